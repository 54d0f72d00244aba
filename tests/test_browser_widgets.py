"""A widget in a real browser: JupyterLab in headless Chromium, a slider moved with the keyboard.

Needs Chromium on the PATH; `.ci/run` installs it.
"""

import nbformat
import pytest
from browser import browser_page, jupyterlab, needs_chromium, picture_folder, press_run, wait_for_lesson

pytestmark = pytest.mark.slow


@needs_chromium
def test_an_arrow_key_moves_the_slider_and_picture_and_words_follow(tmp_path):
    pictures = picture_folder(tmp_path)
    with jupyterlab(tmp_path, COURSE_WIDGETS="on") as lab, browser_page(pictures) as page:
        title, code = nbformat.v4.new_markdown_cell("# Widgets"), "from course_utils import widgets; widgets.graph()"
        notebook = nbformat.v4.new_notebook(cells=[title, nbformat.v4.new_code_cell(code)])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, tmp_path / "notebooks" / "widgets.ipynb")
        page.goto(f"{lab}/lab/tree/notebooks/widgets.ipynb?reset")
        wait_for_lesson(page, "Widgets")

        here = press_run(page, "widgets.graph")
        here.locator("[role=status]", has_text="γ = 30, k = 4: 320 edges, 2 pieces").wait_for()
        picture = here.locator(".widget-html img").get_attribute("src")
        page.screenshot(path=pictures / "widget_1_before.png")

        here.locator("[role=slider]").nth(1).focus()
        page.keyboard.press("ArrowLeft")
        here.locator("[role=status]", has_text="γ = 30, k = 3").wait_for()
        assert here.locator(".widget-html img").get_attribute("src") != picture
        page.screenshot(path=pictures / "widget_2_after.png")
