"""Rehearse Google Colab: in a bare environment the first cell of a student notebook fetches the course and installs the rest.

    python tests/rehearse_colab.py                  with torch from the package index (a few GB on Linux)
    python tests/rehearse_colab.py --link-torch     with the torch of the environment that runs this script

The environment holds what the course takes for granted on Colab, in older versions than the course's own, and a stand-in for
`google.colab`. In place of the repository's address stands a local clone of the last commit, in place of /content a new folder.
Of each lesson the Colab cell, the set-up, the first exercise (solved) and its check are executed; then the Colab cell again.
"""

import argparse
import ast
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import nbformat
from jupyter_client import KernelManager
from lessons import SOURCES, notebook, tagged
from nbclient import NotebookClient

from course_utils import ROOT
from course_utils.authoring import repository

LESSONS = ("00", "06")
# What Colab had in 2025, as far as the lessons meet it; IPython is the part that differs most from JupyterLab's.
PRESENT = [
    "ipykernel==6.17.1",
    "ipython==7.34.0",
    "ipywidgets==7.7.1",
    "matplotlib==3.10.0",
    "numpy==2.0.2",
    "pandas==2.2.2",
    "tqdm==4.67.1",
]
TORCH = ("torch", "torchgen", "functorch", "torchvision", "torchvision.libs")


def bare_environment(folder: Path, link_torch: bool) -> Path:
    """A virtual environment with Colab's versions of a few packages; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    if link_torch:
        ours = Path(sysconfig.get_path("purelib"))
        infos = [found.name for name in ("torch", "torchvision") for found in ours.glob(f"{name}-*.dist-info")]
        for name in (*TORCH, *infos):
            if (ours / name).exists():
                (site / name).symlink_to(ours / name)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "torch", "torchvision", *PRESENT], check=True)
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").touch()
    (site / "colab.pth").write_text("import google.colab\n")  # Colab's kernel has imported it, too
    return python


def cells(source: Path, address: str, content: Path) -> list[str]:
    """The Colab cell, the set-up, the first exercise with its solution, its check, the board, and the Colab cell again."""
    (colab,) = tagged(source, "colab", student=True)
    fetch = colab.source.replace(repository(), address).replace("/content", str(content))
    assert "github.com" not in fetch
    setup, solved, checked = (tagged(source, tag)[0].source for tag in ("setup", "exercise", "check"))
    return [fetch, setup, solved, checked, notebook(source).cells[-1].source, fetch]


def run(python: Path, book: nbformat.NotebookNode, folder: Path) -> None:
    """Execute the notebook in a kernel of the bare environment; stops at the first error."""
    manager = KernelManager()
    manager.kernel_spec.argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    # Only what a new machine has: no folders of this one, but the way to the package index and to the data
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL", "JUPYTER"))}
    client = NotebookClient(book, km=manager, timeout=1800, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**kept, "TQDM_DISABLE": "1", "COURSE_WIDGETS": "off"})


def versions(python: Path) -> dict[str, str]:
    command = "from importlib.metadata import distributions; print({d.name: d.version for d in distributions()})"
    return ast.literal_eval(subprocess.run([python, "-c", command], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link-torch", action="store_true", help="link this environment's torch instead of a download")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, folder / "course.git"], check=True)
        python = bare_environment(folder / "bare", arguments.link_torch)
        before = versions(python)
        for number in LESSONS:
            content = folder / f"content{number}"
            content.mkdir()
            (source,) = (source for source in SOURCES if source.name.startswith(number))
            sources = cells(source, (folder / "course.git").as_uri(), content)
            book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in sources])
            run(python, book, content)
            said = ["".join(output.get("text", "") for output in cell.outputs).strip() for cell in book.cells]
            print(f"lesson {number}", *(f"  {line}" for line in said if line), sep="\n")
            assert said[3].startswith("[ok]") and "1 of" in said[4] and not said[0] + said[1] + said[5], said
        after = versions(python)
    added = {name: after[name] for name in sorted(after.keys() - before.keys())}
    changed = {name: (before[name], after.get(name)) for name in before if after.get(name) != before[name]}
    print("installed:", ", ".join(" ".join(pair) for pair in added.items()))
    print("changed:", changed or "nothing")
    assert "albumentations" in added and "torch" in before and not changed


if __name__ == "__main__":
    main()
