"""Collecting what was handed in: other names, archives of every kind."""

import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from nbgrader.plugins.zipcollect import ExtractorPlugin


def accept_other_names(assignment: str, student: str, notebooks: list[str]) -> None:
    """A hook before grading: a single notebook that was handed in under another name is taken for the lesson's."""
    if len(notebooks) == 1 and Path(notebooks[0]).stem != Path(notebooks[0]).parent.name:
        given = Path(notebooks[0])
        notebooks[0] = str(shutil.copy(given, given.with_name(f"{given.parent.name}.ipynb")))


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
