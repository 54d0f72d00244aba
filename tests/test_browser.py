"""A real browser: JupyterLab in headless Chromium opens a lesson, an exercise is worked wrongly, then rightly.

Needs Chromium on the PATH; `.ci/run` installs it.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from course_utils import NOTEBOOKS
from course_utils.authoring import build, lessons

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WRONG = "return torch.bincount(labels, minlength=num_classes)"
RIGHT = f"{WRONG} / len(labels)"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH, to drive JupyterLab in it")


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a copy of the student notebooks, with settings of its own; yields its address."""
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    folders |= {f"JUPYTERLAB_{name}_DIR": str(tmp_path / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    options = [
        f"--ServerApp.port={port}",
        "--ServerApp.ip=127.0.0.1",
        "--IdentityProvider.token=",
        "--no-browser",
        "--allow-root",
    ]
    log = (tmp_path / "lab.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", *options, "--LabApp.news_url=", f"--ServerApp.root_dir={tmp_path}"],
        env={**os.environ, **folders},
        stdout=log,
        stderr=log,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=1)
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "lab.log").read_text()[-2000:]
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def cell(page: Page, text: str):
    """The code cell whose source holds the text."""
    return page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea-editor", has_text=text)).first


def run_cell(page: Page, text: str, expected: str) -> str:
    """Run the cell and wait until its output holds `expected`."""
    here = cell(page, text)
    here.scroll_into_view_if_needed()
    here.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    output = here.locator(".jp-OutputArea-output").first
    output.filter(has_text=re.compile(re.escape(expected))).wait_for(timeout=60_000)
    return output.inner_text()


def write_solution(page: Page, function: str, old: str, new: str) -> None:
    """Replace the line that holds `old` in the exercise's cell by `new`, with the keyboard."""
    here = cell(page, f"def {function}")
    here.locator(".cm-line", has_text=old).click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.type(new)
    page.keyboard.press("Control+Enter")


def test_a_student_works_the_first_exercise(lab, tmp_path):
    pictures = Path(os.environ.get("COURSE_SCREENSHOTS", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{lab}/lab/tree/notebooks/00_start_here.ipynb?reset")
        page.locator(".jp-Notebook h1", has_text="Start here").wait_for(timeout=120_000)
        page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for(timeout=120_000)
        page.screenshot(path=pictures / "1_opened.png")

        # The set-up, then the untouched exercise: the check says that nothing was done yet.
        here = cell(page, "from course_utils.check import borrow")
        here.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        run = here.locator(".jp-InputPrompt", has_text=re.compile(r"\[\d+\]"))
        run.wait_for(timeout=120_000)
        write = cell(page, "def class_shares")
        write.scroll_into_view_if_needed()
        write.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        assert run_cell(page, 'check("0.1"', "[todo]").startswith("[todo] Exercise 0.1")

        write_solution(page, "class_shares", "raise NotImplementedError", WRONG)
        assert "these are counts: divide by the number of labels" in run_cell(page, 'check("0.1"', "[fix]")
        page.screenshot(path=pictures / "2_wrong.png")

        write_solution(page, "class_shares", "return torch.bincount", RIGHT)
        assert run_cell(page, 'check("0.1"', "[ok]").startswith("[ok] Exercise 0.1")
        page.screenshot(path=pictures / "3_right.png")

        # An exercise that is not solved, used: one friendly line and no traceback.
        line = run_cell(page, "published = ", "name 'constant_accuracy' is not defined")
        assert "NameError" in line
        write = cell(page, "def constant_accuracy")
        write.scroll_into_view_if_needed()
        write.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        run_cell(page, "dataset = load_dataset()", ": train ")
        line = run_cell(page, "published = ", "This cell needs Exercise 0.2")
        assert "Traceback" not in line and "borrow('0.2')" in line
        page.screenshot(path=pictures / "4_friendly.png")

        # A figure carries its text for those who do not see it.
        run_cell(page, "rng = np.random", "")
        figure = cell(page, "rng = np.random").locator(".jp-OutputArea-output img")
        figure.wait_for(timeout=60_000)
        words = cell(page, "rng = np.random").locator("details")
        words.locator("summary").click()
        assert "One row of eight random training images" in words.inner_text()
        figure.scroll_into_view_if_needed()
        page.screenshot(path=pictures / "5_figure.png")
        browser.close()
    assert not errors


def test_the_first_notebook_is_the_one_that_make_lab_opens():
    assert build.student_path(lessons()[0]).name == "00_start_here.ipynb"
