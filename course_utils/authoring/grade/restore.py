"""Reading what was handed in, and finding the course's cells in it, whatever became of them."""

import copy
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor

from course_utils.authoring.build import tags


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
