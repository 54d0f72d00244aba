"""A real browser: JupyterLab in headless Chromium opens a lesson, an exercise is worked wrongly, then rightly.

Needs Chromium on the PATH; `.ci/run` installs it.
"""

from browser import (
    browser_page,
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

from course_utils.authoring import build, lessons

WRONG = "return torch.bincount(labels, minlength=num_classes)"
RIGHT = f"{WRONG} / len(labels)"


@needs_chromium
def test_a_student_works_the_first_exercise(tmp_path):
    pictures = picture_folder(tmp_path)
    with jupyterlab(tmp_path) as lab, browser_page(pictures) as page:
        page.goto(f"{lab}/lab/tree/notebooks/00_start_here.ipynb?reset")
        wait_for_lesson(page, "Start here")
        page.screenshot(path=pictures / "1_opened.png")

        # The set-up, then the untouched exercise: the check says that nothing was done yet.
        run_set_up(page)
        press_run(page, "def class_fractions")
        assert "Exercise 0.1" in run_cell(page, 'check("0.1"', "to do")

        write_solution(page, "class_fractions", "raise NotImplementedError", WRONG)
        assert "hese are counts: divide by the number of labels" in run_cell(page, 'check("0.1"', "fix")
        page.screenshot(path=pictures / "2_wrong.png")

        write_solution(page, "class_fractions", "return torch.bincount", RIGHT)
        assert "1 of 3 in this lesson" in run_cell(page, 'check("0.1"', "✓")
        page.screenshot(path=pictures / "3_right.png")

        # An exercise that is not solved, used: one friendly card and no traceback.
        line = run_cell(page, "published = ", "name 'majority_accuracy' is not defined")
        assert "NameError" in line
        press_run(page, "def majority_accuracy")
        run_cell(page, "dataset = load_dataset()", ": train ")
        line = run_cell(page, "published = ", "Exercise 0.2")
        assert "Traceback" not in line and "borrow('0.2')" in line
        page.screenshot(path=pictures / "4_friendly.png")

        # A figure carries its text for those who do not see it.
        here = run_folded(page, "rng = np.random")
        here.locator(".jp-OutputArea-output img").wait_for()
        here.locator("details summary").click()
        assert "One row of eight random training images" in here.locator("details").inner_text()
        here.locator("img").scroll_into_view_if_needed()
        page.screenshot(path=pictures / "5_figure.png")


def test_the_first_notebook_is_the_one_that_make_lab_opens():
    assert build.student_path(lessons()[0]).name == "00_start_here.ipynb"
