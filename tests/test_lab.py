"""JupyterLab as `course lab` opens it: no news, no teachers' menus; the cards and the framed exercises in a real browser."""

import json
import re
import sys
from pathlib import Path

import jupyterlab as package
import nbformat
import pytest
from browser import browser_page, jupyterlab, needs_chromium, picture_folder, press_run, wait_for_lesson
from jupyterlab_server.config import get_page_config
from jupyterlab_server.settings_utils import _get_overrides
from lessons import SOURCES, notebook, tagged
from playwright.sync_api import expect

from course_utils import lab
from course_utils.check import cards

NEWS = "@jupyterlab/apputils-extension:notification"


def test_jupyterlab_reads_the_settings_and_what_others_set_counts_too(monkeypatch, tmp_path):
    (tmp_path / "labconfig").mkdir()
    (tmp_path / "labconfig" / "page_config.json").write_text('{"disabledExtensions": {"of-someone": true}}')
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", lab.environment()["JUPYTER_CONFIG_PATH"])
    assert {"@jupyter/nbgrader", "of-someone"} <= set(get_page_config([])["disabledExtensions"])
    overrides, error = _get_overrides(str(tmp_path))
    assert not error and overrides[NEWS]["fetchNews"] == "false"


def test_without_a_path_the_settings_are_the_path(monkeypatch):
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    assert lab.environment() == {"JUPYTER_CONFIG_PATH": str(lab.SETTINGS)}


def test_jupyterlab_knows_the_settings():
    """A name that JupyterLab has given up would be passed over in silence."""
    schema = Path(sys.prefix, "share", "jupyter", "lab", "schemas", *NEWS.split(":"))
    if not schema.with_suffix(".json").is_file():
        schema = Path(package.__file__).parent / "schemas" / Path(*NEWS.split(":"))
    known = json.loads(schema.with_suffix(".json").read_text())["properties"]
    ours = json.loads((lab.SETTINGS / "labconfig" / "default_setting_overrides.json").read_text())[NEWS]
    assert ours.keys() <= known.keys()
    assert ours["fetchNews"] in [choice["const"] for choice in known["fetchNews"]["oneOf"]]


def small_lesson() -> nbformat.NotebookNode:
    """The first exercise of lesson 00, a use of it before it is solved, and much below."""
    (exercise,) = (cell for cell in notebook(SOURCES[0], student=True).cells if "### Exercise 0.1" in cell.source)
    code = [
        "import torch\nfrom course_utils.check import check, progress",
        tagged(SOURCES[0], "exercise", student=True)[0].source,
    ]
    code += ['check("0.1", class_fractions)', "class_fractions(torch.tensor([0]), 1)"]
    below = [nbformat.v4.new_markdown_cell(f"Words {n}" + "\n\nmore" * 5) for n in range(40)]
    cells = [nbformat.v4.new_markdown_cell("# A small lesson"), exercise, *map(nbformat.v4.new_code_cell, code), *below]
    cells.append(nbformat.v4.new_code_cell('progress("00")'))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


IN_VIEW = """card => {
    const box = card.getBoundingClientRect();
    return box.top >= 0 && box.bottom <= window.innerHeight;
}"""
LOOKS = """box => {
    const style = getComputedStyle(box);
    return [parseFloat(style.borderLeftWidth), style.borderLeftColor, style.backgroundColor];
}"""


@pytest.mark.slow
@needs_chromium
def test_in_a_browser(tmp_path):
    pictures = picture_folder(tmp_path)
    # no settings but ours: those of the other browser tests keep the news away, too
    settings = {"COURSE_WIDGETS": "on", "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "none"), **lab.environment()}
    with jupyterlab(tmp_path, **settings) as address, browser_page(pictures) as page:
        nbformat.write(small_lesson(), tmp_path / "notebooks" / "99_small.ipynb")
        page.goto(f"{address}/lab/tree/notebooks/99_small.ipynb?reset")
        wait_for_lesson(page, "A small lesson")

        # The exercise is framed, and its heading is a heading all the same.
        frame = page.locator(".jp-MarkdownCell div", has=page.locator("> h3", has_text="Exercise 0.1"))
        expect(frame.locator("details")).to_have_count(2)
        assert "your turn" in frame.inner_text()
        width, color, background = frame.evaluate(LOOKS)
        assert width > 3 and color == "rgb(11, 92, 173)" and background == f"rgba(11, 92, 173, {cards.TINT})"

        # Run all stops at a card, which comes into view, far above the last cell.
        page.get_by_text("Run", exact=True).first.click()
        page.get_by_text("Run All Cells", exact=True).click()
        card = page.locator(".jp-OutputArea-output div", has_text="This cell needs Exercise 0.1").first
        card.wait_for()
        page.wait_for_function(IN_VIEW, arg=card.element_handle())
        assert page.locator(".jp-OutputArea-output", has_text="○ to do Exercise 0.1").count() == 1
        page.screenshot(path=pictures / "cards_1_run_all.png")

        press_run(page, 'progress("00")').locator("[role=img]").wait_for()
        page.screenshot(path=pictures / "cards_2_progress.png")
        assert "Nbgrader" not in page.locator(".lm-MenuBar").inner_text()
        assert page.get_by_text("Validate", exact=True).count() == 0
        assert page.get_by_text(re.compile("Jupyter news")).count() == 0
