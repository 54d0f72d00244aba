"""A real JupyterHub on the loopback address, with the configuration of the guide: students work side by side.

What is put in the place of the guide's: accounts (any name, no password), the spawner (a plain process instead of a unit of
systemd), ports and folders. Run by root, the students' processes lose root's right to write what is read-only.
"""

import asyncio
import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest
import requests
import websocket
from browser import (
    browser_page,
    free_port,
    needs_chromium,
    picture_folder,
    run_cell,
    run_set_up,
    wait_for,
    write_solution,
)
from systemdspawner import SystemdSpawner, systemd
from traitlets.config import Config

from course_utils import ROOT, settings
from course_utils.authoring import build, classroom
from course_utils.check import events

CONFIG = ROOT / "docs" / "jupyterhub" / "jupyterhub_config.py"
FIRST = "notebooks/00_start_here.ipynb"
ANSWER = "return torch.bincount(labels, minlength=num_classes) / len(labels)"
OVERRIDES = """
load_subconfig({config!r})
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = {{"ada", "bo", "cleo"}}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.Spawner.args = [*c.Spawner.args, *{arguments}]
c.Spawner.cmd = [*{before}, *c.Spawner.cmd]
c.JupyterHub.hub_port, c.ConfigurableHTTPProxy.api_url = {hub_port}, "http://127.0.0.1:{api_port}"
"""


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=instructor", "-c", "user.email=instructor@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def commit(course: Path, message: str) -> None:
    """What the guide says to type after a change of the shared folder."""
    git(course, "add", "--all")
    git(course, "commit", "--message", message)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def hub():
    """A running hub: its address, the shared course folder and the folder of the students' homes."""
    # Not pytest's folder: the kernels' sockets are in the homes, and a socket's path may have 107 characters only
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        course, homes, log = folder / "ssl-course", folder / "home", folder / "hub.log"
        classroom.release(None, folder)
        git(course, "init", "--initial-branch", "main")
        commit(course, "The course")
        subprocess.run(["chmod", "-R", "a-w", course], check=True)

        is_root = os.geteuid() == 0
        (folder / "config.py").write_text(
            OVERRIDES.format(
                config=str(CONFIG),
                homes=str(homes),
                arguments=["--allow-root"] if is_root else [],
                before=["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if is_root else [],
                hub_port=free_port(),
                api_port=free_port(),
            )
        )
        address = f"http://127.0.0.1:{free_port()}"
        settings = {
            "HUB_URL": address,
            "HUB_COURSE": str(course),
            "HUB_DATA": os.environ.get("COURSE_DATA") or str(Path.home() / ".medmnist"),
        }
        with log.open("w") as output:
            server = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", folder / "config.py"],
                cwd=folder,
                env=os.environ | settings,
                stdout=output,
                stderr=output,
            )
            try:
                wait_for(f"{address}/hub/health", server, log)
                yield SimpleNamespace(address=address, course=course, homes=homes)
            finally:
                server.terminate()
                server.wait(60)
                subprocess.run(["chmod", "-R", "u+w", course], check=True)


class Student:
    """A student at the hub: comes in through the login page, then does by requests what JupyterLab does."""

    def __init__(self, hub: SimpleNamespace, name: str):
        self.hub, self.name, self.home = hub, name, hub.homes / name
        with requests.Session() as session:
            session.get(f"{hub.address}/hub/login").raise_for_status()
            form = {"username": name, "password": "", "_xsrf": session.cookies.get("_xsrf", path="/hub/")}
            session.post(f"{hub.address}/hub/login", data=form, allow_redirects=False).raise_for_status()
            headers = {"X-XSRFToken": session.cookies.get("_xsrf", path="/hub/")}
            token = session.post(f"{hub.address}/hub/api/users/{name}/tokens", headers=headers, json={})
            self.headers = {"Authorization": f"token {token.json()['token']}"}

    def ask(self, method: str, path: str, **more) -> requests.Response:
        answer = requests.request(method, self.hub.address + path, headers=self.headers, timeout=120, **more)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def start(self) -> None:
        """Start the server and open its first page, which brings the course."""
        self.ask("POST", f"/hub/api/users/{self.name}/server")
        while not self.ask("GET", f"/hub/api/users/{self.name}").json()["servers"].get("", {}).get("ready"):
            time.sleep(0.2)
        page = urlsplit(self.ask("GET", f"/user/{self.name}/", allow_redirects=False).headers["Location"])
        assert page.path == f"/user/{self.name}/git-pull"
        lines = self.ask("GET", f"{page.path}/api?{page.query}").text
        assert '"phase": "finished"' in lines, lines

    def stop(self) -> None:
        self.ask("DELETE", f"/hub/api/users/{self.name}/server")
        while self.ask("GET", f"/hub/api/users/{self.name}").json()["servers"]:
            time.sleep(0.2)

    def run(self, *codes: str) -> list[str]:
        """Run cells in a new kernel beside the first lesson; what each of them printed."""
        kernel = self.ask("POST", f"/user/{self.name}/api/kernels", json={"path": f"ssl-course/{FIRST}"}).json()["id"]
        address = f"{self.hub.address.replace('http', 'ws')}/user/{self.name}/api/kernels/{kernel}/channels"
        with closing(websocket.create_connection(address, header=self.headers, timeout=120)) as connection:
            return [_execute(connection, code) for code in codes]

    def notebook(self, path: str = FIRST) -> nbformat.NotebookNode:
        notebook = nbformat.read(self.home / "ssl-course" / path, as_version=4)
        nbformat.validate(notebook)
        return notebook

    def save(self, notebook: nbformat.NotebookNode) -> None:
        model = {"type": "notebook", "content": notebook}
        self.ask("PUT", f"/user/{self.name}/api/contents/ssl-course/{FIRST}", json=model)


def _execute(connection: websocket.WebSocket, code: str) -> str:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": "1",
        "version": "5.3",
    }
    message = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "content": {"code": code}}
    connection.send(json.dumps(message))
    printed = ""
    while True:
        reply = json.loads(connection.recv())
        if reply["parent_header"].get("msg_id") == header["msg_id"]:
            content = reply["content"]
            printed += (
                content.get("text", "") + content.get("evalue", "") + content.get("data", {}).get("text/plain", "")
            )
            if reply["content"].get("execution_state") == "idle":
                return printed


def exercise(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return next(cell for cell in notebook.cells if "class_fractions" in cell.source and cell.cell_type == "code")


def source(notebook: nbformat.NotebookNode, start: str) -> str:
    return next(cell.source for cell in notebook.cells if cell.source.startswith(start))


@pytest.fixture
def config(monkeypatch):
    """The guide's configuration as it stands, with nothing from the environment."""
    for name in ("HUB_URL", "HUB_COURSE", "HUB_DATA"):
        monkeypatch.delenv(name, raising=False)
    read = Config()
    exec(compile(CONFIG.read_text(), CONFIG, "exec"), {"get_config": lambda: read})
    return read


def test_the_guide_names_what_the_configuration_uses(config):
    guide = (ROOT / "docs" / "teachers" / "jupyterhub.md").read_text()
    groups = config.PAMAuthenticator.allowed_groups | config.PAMAuthenticator.admin_groups
    for name in (*config.Spawner.environment.values(), *groups, config.JupyterHub.bind_url):
        assert name in guide, f"the guide does not name {name}"
    repository = parse_qs(urlsplit(config.Spawner.default_url).query)["repo"]
    assert repository == ["file:///srv/ssl-course"] and repository[0] in guide


def test_systemd_enforces_the_limits(config, monkeypatch):
    assert config.JupyterHub.spawner_class == "systemd"
    unit = AsyncMock()
    monkeypatch.setattr(systemd, "start_transient_service", unit)
    monkeypatch.setattr(systemd, "service_running", AsyncMock(side_effect=[False, True]))
    monkeypatch.setattr(systemd, "service_failed", AsyncMock(return_value=False))
    monkeypatch.setattr(SystemdSpawner, "get_env", lambda self: {})
    student = SimpleNamespace(name=getpass.getuser(), id=1, url="/")
    asyncio.run(SystemdSpawner(config=config, hub=SimpleNamespace(), user=student).start())
    asked = unit.await_args.kwargs
    assert asked["properties"]["MemoryMax"] == 3 * 2**30 and asked["properties"]["CPUQuota"] == "100%"
    assert asked["uid"] == os.getuid()


def test_two_students_side_by_side(hub, monkeypatch):
    shared = contents(hub.course)
    ada, bo = Student(hub, "ada"), Student(hub, "bo")
    with ThreadPoolExecutor() as pool:
        list(pool.map(Student.start, (ada, bo)))
    assert contents(ada.home / "ssl-course" / "notebooks") == contents(hub.course / "notebooks")
    refused = requests.get(f"{hub.address}/user/bo/api/contents", headers=ada.headers)
    assert refused.status_code in (403, 404), "one student comes into the server of the other"

    # Ada solves the first exercise and saves it; Bo tries to write into the shared folder.
    work = ada.notebook()
    exercise(work).source = exercise(work).source.split("raise NotImplementedError")[0] + ANSWER
    ada.save(work)
    set_up = next(cell.source for cell in work.cells if "import borrow" in cell.source)
    transport = "import json, ipykernel.connect as c; print(json.loads(c.get_connection_info())['transport'])"
    intrusion = f"open({str(hub.course / 'course_utils' / 'check' / 'core.py')!r}, 'a')"
    with ThreadPoolExecutor() as pool:
        hers = pool.submit(ada.run, set_up, exercise(work).source, 'check("0.1", class_fractions)', 'borrow("0.2")')
        package = "load_dataset(); import course_utils; print(course_utils)"
        his = pool.submit(bo.run, set_up, "_ = progress('00')", intrusion, package, transport)
        _, _, verdict, no_loan = hers.result()
        _, progress, denied, package, transport = his.result()
    assert verdict.startswith("[ok] Exercise 0.1")
    assert no_loan.startswith("This copy of the course comes without solutions")
    assert progress.startswith("Lesson 00: 0 of 3 exercises solved")
    assert "Permission denied" in denied and str(hub.course) in package
    assert transport == "ipc\n", "another student of this server could listen to the kernel"
    assert contents(hub.course) == shared, "working on the lessons has changed the shared folder"

    # The instructor mends a sentence and the exercise that Ada has solved, and adds a lesson; Ada throws one away.
    ada.stop()
    (ada.home / "ssl-course" / "notebooks" / "01_supervised_baseline.ipynb").unlink()
    subprocess.run(["chmod", "-R", "u+w", hub.course], check=True)
    new = nbformat.read(hub.course / FIRST, as_version=4)
    key_points = source(new, "## Key points")
    next(cell for cell in new.cells if cell.source == key_points).source += "\n- A sentence of the second week."
    exercise(new).source += "  # of the second week"
    (hub.course / FIRST).write_text(build.to_text(new))
    shutil.copy(hub.course / FIRST, hub.course / "notebooks" / "11_extra.ipynb")
    commit(hub.course, "The second week")
    subprocess.run(["chmod", "-R", "a-w", hub.course], check=True)
    ada.start()
    assert source(ada.notebook(), "## Key points").endswith("- A sentence of the second week.")
    assert exercise(ada.notebook()).source == exercise(work).source
    assert ada.notebook("notebooks/11_extra.ipynb") == new
    assert len(ada.notebook("notebooks/01_supervised_baseline.ipynb").cells) > 10

    # Progress: each student's own, and the same as before the second start.
    for student, solved in ((ada, True), (bo, False)):
        monkeypatch.setattr(settings, "RUNS", student.home / "ssl-course-runs")
        assert events.state("0.1").solved is solved
    assert not (hub.course / "runs").exists()


@needs_chromium
def test_a_student_in_a_browser(hub, tmp_path):
    pictures = picture_folder(tmp_path)
    with browser_page(pictures) as page:
        page.goto(hub.address)
        page.get_by_label("Username").fill("cleo")
        page.screenshot(path=pictures / "hub_1_login.png")
        page.get_by_label("Password").press("Enter")
        page.locator(".jp-Notebook h1", has_text="Start here").wait_for()
        page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()
        page.screenshot(path=pictures / "hub_2_opened.png")
        assert "Nbgrader" not in page.locator(".lm-MenuBar").inner_text()
        run_set_up(page)
        write_solution(page, "class_fractions", "raise NotImplementedError", ANSWER)
        run_cell(page, 'check("0.1"', "✓")
        page.screenshot(path=pictures / "hub_3_right.png")
        page.keyboard.press("Control+s")
        page.locator(".jp-mod-dirty").first.wait_for(state="detached")
        page.get_by_role("menuitem", name="File", exact=True).click()
        page.get_by_role("menuitem", name="Log Out").click()
        page.get_by_text("Sign in").first.wait_for()
        page.screenshot(path=pictures / "hub_4_logged_out.png")
        page.goto(f"{hub.address}/user/cleo/lab")
        page.get_by_label("Username").wait_for()
    assert ANSWER in (hub.homes / "cleo" / "ssl-course" / FIRST).read_text()
