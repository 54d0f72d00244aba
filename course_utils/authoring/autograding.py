"""What nbgrader's `autograde` and `export` need to grade this course: given to it by the nbgrader_config.py of `course release`.

nbgrader hands a notebook through preprocessors. Some of its own stop at what real submissions contain (a file that is no
JSON, a cell deleted with its check, a kernel that dies), and a check's points go to whatever cell ended without error. Those
here come in their place: whatever is handed in gets a grade, and every lost point a reason in words.
"""

import copy
import csv
import json
import re
import secrets
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins.export import ExportPlugin
from nbgrader.plugins.zipcollect import ExtractorPlugin
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Integer, List

import course_utils
from course_utils.authoring import kernel
from course_utils.authoring.build import tags
from course_utils.check import grading

MOST_RESTARTS = 5
MOST_OUTPUT = 100_000  # characters of one cell
ASIDE = ("authoring", "__pycache__")  # what the students' copy of course_utils does not have


def exercise_of(cell: NotebookNode) -> str:
    """The N.M of a cell with the grade_id `check-N-M` or `ex-N-M`."""
    return cell.metadata.nbgrader.grade_id.partition("-")[2].replace("-", ".")


def is_check(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def released(exporter, resources) -> NotebookNode:
    """The notebook as it was handed out, for an exporter of nbgrader's or a preprocessor's parent, which is one."""
    folder, own = exporter.parent.coursedir, resources["nbgrader"]
    path = Path(folder.format_path(folder.release_directory, ".", own["assignment"]), f"{own['notebook']}.ipynb")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `nbgrader generate_assignment {own['assignment']}` first")
    return nbformat.read(path, as_version=4)


# ----------------------------------------------------------------------------------------------------- reading


def accept_other_names(assignment: str, student: str, notebooks: list[str]) -> None:
    """A hook before grading: a single notebook that was handed in under another name is taken for the lesson's."""
    if len(notebooks) == 1 and Path(notebooks[0]).stem != Path(notebooks[0]).parent.name:
        given = Path(notebooks[0])
        notebooks[0] = shutil.copy(given, given.with_name(f"{given.parent.name}.ipynb"))


class AnyArchive(ExtractorPlugin):
    """Unpacks what was handed in; an archive that is broken, or without a notebook, is handed on as if it were one.

    So it is kept and graded, with the reason, and stops no other.
    """

    def extract(self, archive_path: str, extracted_path: str) -> None:
        with tempfile.TemporaryDirectory() as made:
            copies = Path(shutil.copytree(archive_path, Path(made, "archive")))
            for path in copies.rglob("*"):
                if path.suffix in self.zip_ext and not self._holds_a_notebook(path):
                    path.rename(path.with_suffix(".ipynb"))
            super().extract(str(copies), extracted_path)

    @staticmethod
    def _holds_a_notebook(path: Path) -> bool:
        try:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    names = archive.namelist() if archive.testzip() is None else []
            else:
                with tarfile.open(path) as archive:
                    names = archive.getnames()
        except Exception:  # whatever a broken archive brings about
            return False
        return any(name.endswith(".ipynb") for name in names)


class AnyNotebook(NotebookExporter):
    """Reads what was handed in; in place of a file that cannot be read, the empty notebook with the reason."""

    def from_filename(self, filename, resources=None, **keywords):
        try:
            notebook = nbformat.read(filename, as_version=4)
            nbformat.validator.normalize(notebook)
            nbformat.validate(notebook, relax_add_props=True)
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            notebook = released(self, resources)
            notebook.metadata.unreadable = f"the file that was handed in is no notebook that can be read ({reason})"
            text = f"**This is not your notebook**: {notebook.metadata.unreadable}. Your file was kept as it is."
            notebook.cells.insert(0, nbformat.v4.new_markdown_cell(text))
        return self.from_notebook_node(notebook, resources=resources, **keywords)


class RestoreCells(NbGraderPreprocessor):
    """Finds the course's cells in what was handed in, whatever became of their metadata, and puts missing checks back."""

    def preprocess(self, nb: NotebookNode, resources):
        original = released(self.parent, resources)
        places = {}  # position in the original -> the cell of the submission
        for cell in reversed(nb.cells):  # of copies, the last counts
            position = self._position(cell, original.cells)
            cell.metadata.pop("nbgrader", None)
            if position is not None and position not in places:
                places[position] = cell
        for position, cell in places.items():
            self._make_alike(cell, original.cells[position])
        for position, cell in enumerate(original.cells):
            if is_check(cell) and position not in places:
                places[position] = copy.deepcopy(cell)
                places[position].metadata.remark = "this check had been deleted, and was put back"
                later = [places[other] for other in sorted(places) if other > position]
                where = next((i for i, one in enumerate(nb.cells) if later and one is later[0]), len(nb.cells))
                nb.cells.insert(where, places[position])
        return nb, resources

    @staticmethod
    def _position(cell: NotebookNode, originals: list[NotebookNode]) -> int | None:
        marks = cell.metadata.get("nbgrader")
        name = marks.get("grade_id") if isinstance(marks, dict) else None
        ways = [
            lambda one: name is not None and one.metadata.get("nbgrader", {}).get("grade_id") == name,
            lambda one: cell.get("id") == one.get("id"),
            lambda one: is_check(one) and cell.source.strip() == one.source.strip(),
        ]
        return next((i for way in ways for i, one in enumerate(originals) if way(one)), None)

    @staticmethod
    def _make_alike(cell: NotebookNode, original: NotebookNode) -> None:
        if "nbgrader" not in original.metadata:
            return
        cell.metadata.nbgrader = copy.deepcopy(original.metadata.nbgrader)
        cell.metadata.tags = tags(original)
        if cell.cell_type != original.cell_type:
            cell.update(cell_type=original.cell_type, outputs=[], execution_count=None)
            cell.pop("attachments", None)
        if is_check(original) and cell.source != original.source:
            cell.source = original.source
            cell.metadata.remark = "this check had been changed; the course's was run"


# ----------------------------------------------------------------------------------------------------- running


class _KernelManager(AsyncKernelManager):
    command = List()

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
        shutil.copytree(package, folder / "course_utils", ignore=shutil.ignore_patterns(*ASIDE))
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


# ----------------------------------------------------------------------------------------------------- grades


class SaveGrades(SaveAutoGrades):
    """Saves the points, and as the comment on an exercise why it has none."""

    def preprocess(self, nb: NotebookNode, resources):
        nb, resources = super().preprocess(nb, resources)
        own = resources["nbgrader"]
        with Gradebook(self.db_url) as gradebook:
            for cell in nb.cells:
                if is_check(cell):
                    name = cell.metadata.nbgrader.grade_id.replace("check", "ex")
                    comment = gradebook.find_comment(name, own["notebook"], own["assignment"], own["student"])
                    failure = next((output for output in cell.outputs if output.output_type == "error"), None)
                    comment.auto_comment = failure.evalue if failure else None
            gradebook.db.commit()
        return nb, resources


class GradeTable(ExportPlugin):
    """Writes grades.csv: nbgrader's columns, which exercises were solved, and a remark on every lost point.

    Whoever handed something in has a line, also when it could not be graded.
    """

    def export(self, gradebook: Gradebook) -> None:
        rows = [
            self._row(gradebook, assignment, student)
            for assignment in gradebook.assignments
            if not self.assignment or assignment.name in self.assignment
            for student in sorted({one.id for one in gradebook.students} | self._handed_in(assignment.name))
            if not self.student or student in self.student
        ]
        with open(self.to or "grades.csv", "w", newline="", encoding="utf-8") as file:
            columns = "assignment student_id last_name first_name email timestamp raw_score late_submission_penalty score max_score solved remarks"
            table = csv.DictWriter(file, columns.split(), restval="")
            table.writeheader()
            table.writerows(rows)

    def _folder(self, student: str, assignment: str) -> Path:
        folder = self.parent.coursedir
        return Path(folder.root, folder.format_path(folder.submitted_directory, student, assignment))

    def _handed_in(self, assignment: str) -> set[str]:
        first = self._folder("*", assignment)
        depth = first.parts.index("*")
        anchor = Path(*first.parts[:depth])
        return {path.parts[depth] for path in anchor.glob(str(Path(*first.parts[depth:]))) if path.is_dir()}

    def _row(self, gradebook: Gradebook, assignment, student: str) -> dict:
        row = {"assignment": assignment.name, "student_id": student, "score": 0.0, "max_score": assignment.max_score}
        try:
            person = gradebook.find_student(student)
            row |= {name: getattr(person, name) or "" for name in ("last_name", "first_name", "email")}
            submission = gradebook.find_submission(assignment.name, student)
        except MissingEntry:
            submission = None
        own = self._folder(student, assignment.name)
        if submission is None or any(grade.auto_score is None for one in submission.notebooks for grade in one.grades):
            files = ", ".join(sorted(path.name for path in own.glob("*"))) if own.is_dir() else ""
            row["remarks"] = (
                f"not graded; handed in: {files or 'an empty folder'}" if own.is_dir() else "nothing handed in"
            )
            if submission is None:
                return row
        penalty = submission.late_submission_penalty or 0.0
        row |= {
            "timestamp": submission.timestamp or "",
            "raw_score": submission.score,
            "late_submission_penalty": penalty,
            "score": max(0.0, submission.score - penalty),
        }
        grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
        numbers = {grade.name: grade.name.partition("-")[2].replace("-", ".") for grade in grades}
        row["solved"] = " ".join(sorted(numbers[grade.name] for grade in grades if grade.score))
        comments = [
            comment.comment for notebook in submission.notebooks for comment in notebook.comments if comment.comment
        ]
        row["remarks"] = "; ".join(filter(None, [row.get("remarks"), *_grouped(sorted(comments))]))
        return row


def _grouped(comments: list[str]) -> list[str]:
    """The verdicts, each reason once: `6.1, 6.2: not solved yet`; what a person wrote stays as it is."""
    groups: dict[str, list[str]] = {}
    for comment in comments:
        line = re.fullmatch(r"\[[a-z ]+\] Exercise (\d+\.\d+): (.*)", comment, re.DOTALL)
        groups.setdefault(line[2] if line else comment, []).extend([line[1]] if line else [])
    return [f"{', '.join(numbers)}: {reason}" if numbers else reason for reason, numbers in groups.items()]
