"""A real browser: a student works lesson 06 in JupyterLab, from the first line that is read to the board.

Needs Chromium on the PATH; `.ci/run` installs it.
"""

import inspect
import textwrap
from collections.abc import Callable

import nbformat
import torch
from answers import lesson06
from browser import (
    Page,
    browser_page,
    cell,
    jupyterlab,
    needs_chromium,
    picture_folder,
    press_run,
    run_cell,
    run_folded,
    run_set_up,
    wait_for_lesson,
    write_solution,
)


def flip_reseeded(x, rng):
    torch.manual_seed(0)
    mirrored = torch.rand(len(x)) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)


CAUSE = "t draws from a generator of the whole program, or seeds one"

# Called at each change of the page: which percentages a progress bar has shown, and how wide the bar was.
WATCH_THE_BAR = """() => {
    window.shown = [];
    new MutationObserver(() => {
        const bar = document.querySelector(".jp-OutputArea .progress-bar");
        const text = bar?.closest(".widget-hbox").querySelector(".widget-html-content").innerText;
        if (text) window.shown.push([text, parseFloat(bar.style.width) || 0]);
    }).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
}"""


def body(function: Callable) -> str:
    """The code of an answer, to be typed; the editor indents each line like the one before."""
    _, code = inspect.getsource(function).split(":\n", 1)
    return textwrap.dedent(code).strip()


def output_of(notebook: nbformat.NotebookNode, text: str) -> list[nbformat.NotebookNode]:
    (found,) = [one.outputs for one in notebook.cells if one.cell_type == "code" and text in one.source]
    return found


def open_hints(page: Page) -> None:
    """Exercise 6.1's first hint by a click, the second one without the mouse, from the cell below."""
    hints = page.locator(".jp-MarkdownCell", has=page.locator("h3", has_text="Exercise 6.1")).locator("details")
    hints.first.locator("summary").click()
    assert [hint.get_attribute("open") is not None for hint in hints.all()] == [True, False]
    cell(page, "def flip_each").locator(".cm-content").click()
    for key in ("Escape", "ArrowUp"):
        page.keyboard.press(key)
    second = hints.last.locator("summary")
    for _ in range(8):  # how many stops there are before it depends on JupyterLab's extensions
        page.keyboard.press("Tab")
        if second.evaluate("summary => summary === document.activeElement"):
            break
    page.keyboard.press("Enter")
    assert [hint.get_attribute("open") is not None for hint in hints.all()] == [True, True]
    assert "torch.where" in hints.last.inner_text()


def insert_cell_above(page: Page, text: str, code: str) -> None:
    """A new cell, made, written and run with the keyboard."""
    here = cell(page, text)
    here.scroll_into_view_if_needed()
    here.locator(".cm-content").click()
    for key in ("Escape", "a", "Enter"):
        page.keyboard.press(key)
    page.keyboard.type(code)
    page.keyboard.press("Control+Enter")


@needs_chromium
def test_a_student_works_lesson_06(tmp_path):
    pictures = picture_folder(tmp_path)
    with jupyterlab(tmp_path, COURSE_STEPS="150") as lab, browser_page(pictures) as page:
        page.goto(f"{lab}/lab/tree/notebooks/06_fixmatch.ipynb?reset")
        wait_for_lesson(page, "06 · FixMatch")
        page.screenshot(path=pictures / "06_1_opened.png")
        run_set_up(page)
        page.wait_for_function(
            "[...document.querySelectorAll('.jp-MarkdownCell img')].some(one => one.naturalWidth > 0)"
        )

        # The moons: the slider moves the picture, and says so.
        moons = press_run(page, "playground.watch(supervised_loss")
        last = moons.locator(".widget-html img").get_attribute("alt")
        page.screenshot(path=pictures / "06_2_moons.png")
        moons.locator("[role=slider]").last.focus()
        page.keyboard.press("Home")
        moons.locator(".widget-html img[alt*='step 0']").wait_for()
        assert moons.locator(".widget-html img").get_attribute("alt") != last

        run_cell(page, "dataset = load_dataset()", "500 labelled")
        run_folded(page, "image = dataset.train.images").locator("img").scroll_into_view_if_needed()
        page.screenshot(path=pictures / "06_3_views.png")

        # A wrong answer, its cause on a card, the hints, the right answer.
        write_solution(page, "flip_each", "raise NotImplementedError", body(flip_reseeded))
        assert CAUSE in run_cell(page, 'check("6.1"', "fix")
        open_hints(page)
        page.screenshot(path=pictures / "06_4_wrong_and_hints.png")
        write_solution(page, "flip_each", "torch.manual_seed", body(lesson06.flip_index))
        assert "1 of 6 in this lesson" in run_cell(page, 'check("6.1"', "✓")
        page.screenshot(path=pictures / "06_5_right.png")

        # The other exercises: two are solved, three are borrowed.
        write_solution(page, "unlabelled_loss", "raise NotImplementedError", body(lesson06.loss_one_hot))
        run_cell(page, 'check("6.3"', "✓")
        write_solution(page, "zip_coverage", "raise NotImplementedError", body(lesson06.zip_whole_numbers))
        run_cell(page, 'check("6.6"', "✓")
        insert_cell_above(page, "ssl_batches = batches", "\n".join(f'borrow("6.{n}")' for n in (2, 4, 5)))
        cell(page, 'borrow("6.2")').locator(".jp-OutputArea-output", has_text="6.5").wait_for()
        page.screenshot(path=pictures / "06_6_borrowed.png")

        # Training: the bar moves and goes when it is done.
        page.evaluate(WATCH_THE_BAR)
        training = press_run(page, "ssl_batches = batches")
        page.wait_for_function("window.shown.length && window.shown.at(-1)[1] > 30")
        page.screenshot(path=pictures / "06_7_training.png")
        training.locator(".jp-OutputArea-output", has_text="150 steps, ").wait_for()
        shown = page.evaluate("window.shown")
        widths = [width for _, width in shown]
        assert shown[-1][0].startswith("FixMatch") and widths == sorted(widths) and len(set(widths)) > 1, shown
        assert training.locator(".progress-bar:visible").count() == 0
        page.screenshot(path=pictures / "06_8_trained.png")

        # The result, the slider of the threshold, a figure with its text.
        press_run(page, "reference = results.reference(dataset)").locator("img").scroll_into_view_if_needed()
        page.screenshot(path=pictures / "06_9_gains.png")
        threshold = press_run(page, "widgets.threshold(")
        before = threshold.locator("[role=status]").inner_text()
        page.screenshot(path=pictures / "06_10_threshold.png")
        threshold.locator("[role=slider]").focus()
        page.keyboard.press("ArrowLeft")
        threshold.locator("[role=status]", has_text="τ = 0.94").wait_for()
        assert threshold.locator("[role=status]").inner_text() != before
        press_run(page, "fraction, precision = kept_by_class")
        figure = run_folded(page, "bars = {")
        figure.locator("img").scroll_into_view_if_needed()
        figure.locator("summary").click()
        assert "Two bars for each class" in figure.locator("details").inner_text()
        page.screenshot(path=pictures / "06_11_figure.png")

        press_run(page, 'progress("06")').locator("table").scroll_into_view_if_needed()
        page.screenshot(path=pictures / "06_12_progress.png")
        page.keyboard.press("Control+s")
        page.locator(".jp-mod-dirty").first.wait_for(state="detached")

    saved = nbformat.read(tmp_path / "notebooks" / "06_fixmatch.ipynb", as_version=4)
    (board,) = output_of(saved, 'progress("06")')
    assert "3 of 6 exercises solved, 3 borrowed" in board.data["text/plain"]
    states = [row.split()[-1] for row in board.data["text/plain"].splitlines() if row.lstrip().startswith("6.")]
    assert states == ["solved", "borrowed", "solved", "borrowed", "borrowed", "solved"]
    image = next(output for output in output_of(saved, "bars = {") if "image/png" in output.get("data", {}))
    assert image.metadata["image/png"]["alt"].startswith("Two bars for each class")
    assert any("150 steps, " in output.get("text", "") for output in output_of(saved, "ssl_batches = batches"))
