"""Running a submission, and settling what each of its checks says."""

import json
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Integer, List

import course_utils
from course_utils.authoring import FOR_AUTHORS, kernel
from course_utils.authoring.build import tags
from course_utils.authoring.grade.restore import exercise_of, is_check, released
from course_utils.check import grading

MOST_RESTARTS = 5
MOST_OUTPUT = 100_000  # characters of one cell


class _KernelManager(AsyncKernelManager):
    command: List = List()

    @property
    def kernel_spec(self):
        return KernelSpec(argv=self.command, display_name="graded", language="python")


class _Client(NotebookClient):
    """Runs cells in the kernel of kernel.py, and keeps of their output what fits on a page."""

    def __init__(self, nb: NotebookNode, folder: Path, limits: dict[str, int], **settings):
        super().__init__(nb, **settings)
        self.folder, self.limits = folder, limits
        self.written: dict[int, int] = {}

    def create_kernel_manager(self):
        self.km = _KernelManager(connection_file=str(self.folder / "connection.json"))
        self.km.command = [
            sys.executable, str(self.folder / "kernel.py"), json.dumps(self.limits), "-f", "{connection_file}", "--log-level=40"
        ]  # fmt: skip
        self.km.client_class = "jupyter_client.asynchronous.AsyncKernelClient"
        return self.km

    def output(self, outs, msg, display_id, cell_index):
        is_verdict = grading.MIME in msg["content"].get("data", {})
        self.written[cell_index] = self.written.get(cell_index, 0) + (0 if is_verdict else len(str(msg["content"])))
        if self.written[cell_index] > MOST_OUTPUT:
            return None
        return super().output(outs, msg, display_id, cell_index)


@contextmanager
def _workplace(notebook: NotebookNode, name: str) -> Iterator[Path]:
    """A folder for one run: the course as students have it, without solutions, and nobody's files beside it."""
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as made:
        folder = Path(made).resolve()
        package = Path(course_utils.__file__).parent
        shutil.copytree(package, folder / "course_utils", ignore=shutil.ignore_patterns(*FOR_AUTHORS, "__pycache__"))
        shutil.copy(kernel.__file__, folder)
        for part in ("notebooks", "tmp"):
            (folder / part).mkdir()
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
        yield folder


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the instructor's environment; embedded data and trainings of a few steps: no check depends on them."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "COURSE_DATA": "embedded",
        "COURSE_DEVICE": "cpu",
        "COURSE_MAX_STEPS": "2",
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "NBGRADER_EXECUTION": "autograde",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _error(name: str, words: str) -> NotebookNode:
    return nbformat.v4.new_output("error", ename=name, evalue=words, traceback=[words])


class RunSubmission(NbGraderPreprocessor):
    """Runs a submission; a cell that hangs or kills the kernel is left out, and the others are run without it."""

    cell_limit = Integer(60, help="Seconds for one cell").tag(config=True)
    submission_limit = Integer(600, help="Seconds for a whole notebook").tag(config=True)
    memory_limit = Integer(4000, help="Megabytes of memory for a notebook").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources):
        original = released(self.parent, resources)
        course = {(cell.get("id"), cell.source) for cell in original.cells if "setup" not in tags(cell)}
        left_out: dict[int, str] = {}
        if "unreadable" not in nb.metadata:
            deadline = time.monotonic() + self.submission_limit
            if not kernel.landlock_version():
                self.log.warning("This system cannot hide files from the students' code: grade in a container.")
            for restarts in range(MOST_RESTARTS + 1):
                with _workplace(original, resources["nbgrader"]["notebook"]) as folder:
                    stopped = self._run(nb, folder, left_out, deadline, course)
                if stopped is None:
                    break
                position, left_out[position] = stopped
                if restarts == MOST_RESTARTS or time.monotonic() > deadline:
                    # what was run before stays as it is
                    why = f"the notebook took too long, or stopped Python too often ({left_out[position]})"
                    left_out = dict.fromkeys(range(position + 1, len(nb.cells)), why) | left_out
                    break
        for index, cell in enumerate(nb.cells):
            if is_check(cell):
                self._settle(cell, nb.metadata.get("unreadable") or left_out.get(index))
            elif index in left_out and cell.cell_type == "code":
                cell.outputs = [_error("LeftOut", f"(This cell was left out in grading: {left_out[index]}.)")]
            elif cell.cell_type == "code" and (cell.get("id"), cell.source) in course:
                cell.outputs = []  # of trainings that were cut short, they would only confuse
        return nb, resources

    def _run(self, nb, folder: Path, left_out: dict[int, str], deadline: float, course: set) -> tuple[int, str] | None:
        """Run the cells but those left out; which cell stopped everything, and why, or None at the end."""
        client = _Client(
            nb,
            folder,
            {"memory": self.memory_limit * 1_000_000, "seconds": self.submission_limit},
            timeout_func=lambda cell: max(1, min(self._limit(cell), int(deadline - time.monotonic()))),
            interrupt_on_timeout=True,
            error_on_timeout={"ename": "TimeLimit", "evalue": "", "traceback": []},
            raise_on_iopub_timeout=True,  # the cell could not be interrupted
            iopub_timeout=5,
            startup_timeout=120,
            allow_errors=True,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder / "notebooks")}},
        )
        with client.setup_kernel(env=_environment(folder)):
            for index, cell in enumerate(nb.cells):
                aside = "aside" in tags(cell) and (cell.get("id"), cell.source) in course
                if cell.cell_type != "code" or index in left_out or aside:
                    continue
                if time.monotonic() > deadline:
                    return index, f"the notebook took more than {self.submission_limit} seconds"
                started = time.monotonic()
                try:
                    self._run_cell(client, cell, index)
                except DeadKernelError:
                    return index, "it ended Python, or took all the memory or time that there is"
                except CellTimeoutError:
                    return index, f"it did not end within {time.monotonic() - started:.0f} seconds"
        return None

    def _limit(self, cell: NotebookNode) -> int:
        """Seconds for a cell; the imports of the set-up may take their time on a busy machine."""
        return max(self.cell_limit, 120) if "setup" in tags(cell) else self.cell_limit

    def _run_cell(self, client: _Client, cell: NotebookNode, index: int) -> None:
        if not is_check(cell):
            client.execute_cell(cell, index)
            return
        # The check comes from the package, whatever the notebook calls by that name, and its verdict carries a number
        # that no cell before it can know
        token = secrets.token_hex(8)
        run = nbformat.v4.new_code_cell(f"{grading.source(token)}\n{cell.source}")
        client.execute_cell(run, index)
        client.nb.cells[index] = cell
        cell.outputs = run.outputs
        cell.metadata.token = token

    @staticmethod
    def _settle(cell: NotebookNode, left_out: str | None) -> None:
        """Put the verdict, as one line, in the place of a check's outputs: an error unless the exercise is solved."""
        number, token = exercise_of(cell), cell.metadata.pop("token", None)
        found = [output.data[grading.MIME] for output in cell.outputs if grading.MIME in output.get("data", {})]
        verdict = next((one for one in found if one.get("token") == token), None)
        failure = next((output for output in cell.outputs if output.output_type == "error"), None)
        if left_out:
            status, line = "fix", f"[stopped] Exercise {number}: {left_out}"
        elif verdict:
            status, line = verdict["status"], verdict["line"]
        elif failure and (name := re.fullmatch(r"name '(\w+)' is not defined", failure.evalue)):
            words = f"no cell defines `{name[1]}`: was the function renamed, its cell deleted, or was it stopped by an error?"
            status, line = "fix", f"[fix] Exercise {number}: {words}"
        else:
            words = f"{failure.ename}: {failure.evalue}" if failure else "something replaced it"
            status, line = "fix", f"[fix] Exercise {number}: the check gave no verdict ({words[:200]})"
        if remark := cell.metadata.pop("remark", None):
            line += f" ({remark})"
        cell.outputs = (
            [nbformat.v4.new_output("stream", name="stdout", text=line + "\n")]
            if status == "ok"
            else [_error("NotPassed", line)]
        )
