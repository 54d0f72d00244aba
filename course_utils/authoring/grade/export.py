"""Saving grades, and the table of all of them, with a remark on every lost point."""

import csv
import re
from pathlib import Path

from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins.export import ExportPlugin
from nbgrader.preprocessors import SaveAutoGrades

from course_utils.authoring.grade.restore import is_check


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
