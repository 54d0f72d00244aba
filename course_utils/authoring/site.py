"""The course as a static site: the lessons with their figures, a page for each method, glossary and bibliography.

Sphinx builds it from `docs/` and the notebooks, without executing anything and without a network. The student's edition
shows each exercise as its stub; the instructor's shows the solutions, and says so on every page.
"""

import copy
import importlib.resources
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd
from nbformat import NotebookNode

from course_utils import ROOT, results
from course_utils.authoring import build as builder
from course_utils.authoring import lessons, pages
from course_utils.check import cards
from course_utils.datasets import load_dataset
from course_utils.evaluation import METRICS, majority_scores
from course_utils.settings import TAUGHT_NETWORK, TAUGHT_STEPS

DOCS = ROOT / "docs"
MAJORITY = results.shipped_file("majority_class")
DATASETS = {"dermamnist": "DermaMNIST", "digits": "Digits"}
BASELINES = (pages.BASELINE, pages.LARGER)
RESULTS = re.compile(r"^<!-- results: (.+) -->$", re.MULTILINE)
PACKAGES = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx_design", "sphinxcontrib.bibtex", "sphinx-mathjax-offline")
TEACHERS = """
```{toctree}
:caption: For teachers and authors
:maxdepth: 1
:hidden:
:glob:

teachers/index
teachers/*
```
"""


def build(output: Path, solutions: bool = False, check_external: bool = False) -> None:
    """Build the student's edition, or with `solutions` the instructor's, into the folder `output`, in place of what was there.

    Raises RuntimeError where a package is missing or Sphinx finds fault (a dead link, say), and ValueError for a folder
    that holds something else than a site; then the folder is left as it was.
    """
    missing = [name for name in PACKAGES if not _installed(name)]
    if missing:
        raise RuntimeError(
            f"the site is built with {', '.join(missing)}, not installed here. "
            "Cure: make site, which adds it (or pip install -c requirements.txt -e '.[site]')"
        )
    if output.exists() and not _may_be_replaced(output):
        raise ValueError(f"{output} holds something else than a site: name another --output, or remove it first")
    with tempfile.TemporaryDirectory() as folder:
        source, html = Path(folder) / "source", Path(folder) / "html"
        stage(source, solutions)
        command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--jobs", "auto"]
        command += ["--tag", "instructor"] if solutions else []
        if subprocess.call([*command, "--builder", "html", str(source), str(html)]):
            raise RuntimeError("Sphinx found fault with the site; what it is stands above. Nothing was written.")
        if check_external and subprocess.call([*command, "--builder", "linkcheck", str(source), f"{folder}/links"]):
            raise RuntimeError("links to other sites do not answer; which ones stands above. Nothing was written.")
        shutil.rmtree(html / ".doctrees")  # Sphinx's own notes, the full text of all pages among them
        for template in (html / "_static").glob("*.html"):  # copied by the themes by mistake: no pages
            template.unlink()
        if output.exists():
            shutil.rmtree(output)
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(html, output)


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _may_be_replaced(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "objects.inv").is_file() or not any(folder.iterdir()))


def stage(folder: Path, solutions: bool) -> None:
    """Lay out what Sphinx reads: `docs/` with its tables made, the lessons, and MathJax, so that formulas need no network.

    The pages for teachers hold answers, so only the instructor's edition has them.
    """
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("templates", *([] if solutions else ["teachers"])))
    if solutions:
        with (folder / "index.md").open("a") as home:
            home.write(TEACHERS)
    for page in folder.rglob("*.md"):
        text = page.read_text().replace("../notebooks/", "lessons/")  # where the lessons lie for Sphinx
        page.write_text(_unbroken(with_results(text)))
    mathjax = Path(str(importlib.resources.files("sphinx-mathjax-offline"))) / "static" / "mathjax"
    shutil.copy(mathjax / "tex-svg.js", folder / "_static" / "mathjax.js")
    (folder / "lessons").mkdir()
    for source in lessons():
        (folder / "lessons" / f"{source.stem}.ipynb").write_text(builder.to_text(lesson_page(source, solutions)))


# ---------------------------------------------------------------------------------------------------------- lessons


def lesson_page(source: Path, solutions: bool) -> NotebookNode:
    """A lesson as it goes to Sphinx: the executed outputs, beside the solutions or beside the stubs."""
    executed = nbformat.read(builder.solution_path(source), as_version=4)
    if not builder.same_code(executed, builder.read_source(source)):
        raise RuntimeError(
            f"solutions/{source.stem}.ipynb was executed from another source: course build {source.name[:2]}"
        )
    page = executed if solutions else builder.student_notebook(source, framed=False)
    page.cells = [cell for cell in page.cells if "colab" not in builder.tags(cell)]
    _one_title(page)
    page.cells[0].source = _with_directions(page.cells[0].source, source, solutions)
    cells = []
    for cell, done in zip(page.cells, executed.cells):
        if cell.cell_type == "markdown":
            text = _formulas_in_hints(cell.source).replace("](../docs/", "](../")  # where `docs` lies for Sphinx
            cell.source = _framed(re.sub(r"`((\d\d)_\w+)\.ipynb`", r"[lesson \2](\1.ipynb)", text))
            cells.append(cell)
        else:
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
            if "figure" in builder.tags(cell):  # its code, with the words of the figure, is folded
                cell.metadata["tags"] = [*builder.tags(cell), "hide-input"]
            cells += _with_alt_texts(cell)
    page.cells = cells
    return page


def _one_title(page: NotebookNode) -> None:
    """A page has one title: where a lesson has parts, they and all below them move one level down."""
    text = [cell for cell in page.cells[1:] if cell.cell_type == "markdown"]
    if any(re.search(r"^# ", cell.source, re.MULTILINE) for cell in text):
        for cell in text:
            cell.source = re.sub(r"^#+ ", r"#\g<0>", cell.source, flags=re.MULTILINE)


def _framed(text: str) -> str:
    """An exercise, below its heading, in a box; the box that the notebooks have would tear the page's sections apart."""
    heading = re.search(r"^#+ Exercise .+\n", text, re.MULTILINE)
    if heading is None:
        return text
    return f"{text[: heading.end()]}\n:::{{container}} exercise\n{cards.badge('exercise')}\n{text[heading.end() :].strip()}\n:::"


def _with_directions(text: str, source: Path, solutions: bool) -> str:
    """The first cell, and where the notebook is, below its title."""
    title, _, rest = text.partition("\n")
    shows = "This page shows its solutions." if solutions else "On this page the exercises are not solved."
    return (
        f"{title}\n\n```{{note}}\nTo work on this lesson open `notebooks/{source.stem}.ipynb` in JupyterLab (`make lab`).\n"
        f"{shows} The outputs are those of the course's own run on DermaMNIST.\n```\n{rest}"
    )


def _formulas_in_hints(text: str) -> str:
    """Formulas inside raw HTML in the form that MathJax looks for; Markdown does not read there."""

    def marked(hint: re.Match) -> str:
        return re.sub(r"\$([^$]+)\$", r'<span class="math notranslate nohighlight">\\(\1\\)</span>', hint[0])

    return re.sub(r"<details>.*?</details>", marked, text, flags=re.DOTALL)


def _with_alt_texts(cell: NotebookNode) -> Iterator[NotebookNode]:
    """The cell with the alternative text of its figure where MyST-NB looks for it, which knows one text a cell.

    So a cell that shows several figures is followed by one without code for each further figure.
    """
    groups: list[list[NotebookNode]] = [[]]
    for output in cell.outputs:
        if "image/png" in output.get("data", {}) and any("image/png" in other.get("data", {}) for other in groups[-1]):
            groups.append([])
        groups[-1].append(output)
    for number, outputs in enumerate(groups):
        part = copy.deepcopy(cell)
        part.outputs = outputs
        if number:
            part.id = f"{cell.id}-{number}"
            part.metadata["tags"] = [*builder.tags(cell), "remove-input"]
        for output in outputs:
            if "image/png" in output.get("data", {}):
                part.metadata["mystnb"] = {"image": {"alt": output.metadata["image/png"]["alt"]}}
        yield part


# ---------------------------------------------------------------------------------------------------------- results


def with_results(text: str) -> str:
    """The page, each line `<!-- results: METHOD; METHOD -->` replaced by what the shipped runs say of these methods."""
    return RESULTS.sub(lambda found: _results_of(found[1].split("; ")), text)


def _results_of(methods: list[str]) -> str:
    shown = [*BASELINES, *(method for method in methods if method not in BASELINES)]
    parts = []
    for dataset, title in DATASETS.items():
        rows = results.read_runs(results.shipped_file(dataset))
        rows = rows[(rows["network"] == TAUGHT_NETWORK) & (rows["steps"] == TAUGHT_STEPS) & rows["method"].isin(shown)]
        unknown = sorted(set(shown) - set(rows["method"]))
        if unknown:
            raise ValueError(f"a page asks for the results of {', '.join(unknown)}: no such run ships for {dataset}")
        at_500 = rows[rows["num_labels"] == 500]
        table = pages.by_method(at_500, BASELINES).reindex(shown)
        constant = pd.read_csv(MAJORITY, index_col="dataset").loc[dataset]
        table.loc["majority class"] = [f"{constant[name]:.3f}" for name in pages.FEW] + [""] * len(BASELINES)
        splits = at_500["label_split"].nunique()
        parts.append(
            f"### {title}, 500 labels\n\n"
            f"SimpleCNN, 1,600 steps, test split: mean (standard deviation) over {splits} label splits, each with its own "
            "initial weights. The last columns: the mean paired gain in macro-F1 ± its standard error, and on "
            "how many of the label splits the method is above.\n\n"
            + pages.markdown(table.loc[["majority class", *shown]].rename_axis("method"))
        )
        metric = pages.METRIC[dataset]
        others = rows[rows["num_labels"].isin(rows.loc[rows["method"].isin(methods), "num_labels"])]
        if others["num_labels"].nunique() > 1:
            parts.append(
                f"### {title}, other numbers of labels\n\n{metric}: mean (standard deviation) over the label splits, and the mean "
                "of the paired differences to the supervised baseline ± its standard error. The settings are those chosen for "
                f"500 labels. The majority class has {constant[metric]:.3f}, however many labels there are.\n\n"
                + pages.markdown(pages.by_labels(others, metric).rename_axis("method"))
            )
    return "\n\n".join(parts)


def _unbroken(text: str) -> str:
    """No line break between a mean and its spread in a table."""
    return re.sub(
        r"^\|.*$", lambda row: row[0].replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"), text, flags=re.MULTILINE
    )


def write_majority_class() -> None:
    """Ship the scores of the majority class on the test splits: a site is built without the data."""
    rows = {
        name: majority_scores(dataset, dataset.test).values for name in DATASETS for dataset in [load_dataset(name)]
    }
    pd.DataFrame.from_dict(rows, "index", columns=list(METRICS)).round(4).to_csv(MAJORITY, index_label="dataset")
