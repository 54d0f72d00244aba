"""What the browser tests share: JupyterLab as a student has it, Chromium that drives it, and the hands of a student."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, sync_playwright

from course_utils import NOTEBOOKS, ROOT, lab

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
FIGURES = ROOT / "docs" / "figures"  # which lessons show
PATIENCE = 120_000  # milliseconds; the machine may have other work to do

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH (.ci/run installs it)")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A server's environment as a student has it: with progress bars, cards and widgets, and Jupyter's settings in `folder`."""
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')  # or it asks, in a pop-up
    folders = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    folders |= {f"JUPYTERLAB_{name}_DIR": str(folder / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    own = {name: value for name, value in os.environ.items() if name not in ("TQDM_DISABLE", "COURSE_WIDGETS")}
    return own | folders | lab.environment() | more


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    """Wait until the server answers; fails with the end of its log if it ends instead."""
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except OSError:
            assert server.poll() is None, log.read_text()[-2000:]
            time.sleep(0.5)
    raise AssertionError(f"nothing answers at {address}: {log.read_text()[-2000:]}")


@contextmanager
def jupyterlab(folder: Path, **settings: str) -> Iterator[str]:
    """JupyterLab on a copy of the student notebooks in `folder`, with settings of its own; yields its address."""
    shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    shutil.copytree(FIGURES, folder / "docs" / "figures")
    port, log = free_port(), folder / "lab.log"
    options = [
        f"--ServerApp.port={port}",
        "--ServerApp.ip=127.0.0.1",
        "--IdentityProvider.token=",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.root_dir={folder}",
    ]
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=environment(folder, **settings),
            stdout=output,
            stderr=output,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/api", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


@contextmanager
def browser_page(pictures: Path) -> Iterator[Page]:
    """A page of headless Chromium; fails if a script of the page has failed. A failure leaves a picture."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            yield page
        except BaseException:
            page.screenshot(path=pictures / "failed.png")
            raise
        finally:
            browser.close()
    assert not errors


def wait_for_lesson(page: Page, title: str) -> None:
    page.locator(".jp-Notebook h1", has_text=title).wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()


def cell(page: Page, text: str) -> Locator:
    """The code cell whose source holds the text."""
    return page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea-editor", has_text=text)).first


def press_run(page: Page, text: str) -> Locator:
    """Click into the cell, wherever in the notebook it is, and run it with the keyboard."""
    here = cell(page, text)
    here.scroll_into_view_if_needed()
    here.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    return here


def run_folded(page: Page, text: str) -> Locator:
    """Unfold the cell whose first line holds the text, and run it."""
    page.locator(".jp-CodeCell .jp-Placeholder", has_text=text).click()
    return press_run(page, text)


def run_set_up(page: Page) -> None:
    prompt = press_run(page, "from course_utils.check import borrow").locator(".jp-InputPrompt")
    prompt.filter(has_text=re.compile(r"\[\d+\]")).wait_for()


def run_cell(page: Page, text: str, expected: str) -> str:
    """Run the cell and wait until its output holds `expected`."""
    output = press_run(page, text).locator(".jp-OutputArea-output").first
    output.filter(has_text=re.compile(re.escape(expected))).wait_for()
    return output.inner_text()


def write_solution(page: Page, function: str, old: str, new: str) -> None:
    """Replace the code from the line that holds `old` to the end of the exercise's cell by `new`, with the keyboard."""
    here = cell(page, f"def {function}")
    here.scroll_into_view_if_needed()
    here.locator(".cm-line", has_text=old).click()
    page.keyboard.press("Home")
    page.keyboard.press("Control+Shift+End")
    page.keyboard.type(new)
    page.keyboard.press("Control+Enter")


def picture_folder(otherwise: Path) -> Path:
    """The folder for screenshots: that of COURSE_SCREENSHOTS, where it is set."""
    folder = Path(os.environ.get("COURSE_SCREENSHOTS", otherwise))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
