"""README, home page and pages of results are what templates, lessons and shipped runs give."""

import re
import tomllib

import pandas as pd
import pytest
import yaml
from lessons import SOURCES, numbers

from course_utils import ROOT, cli, results
from course_utils.authoring import pages, readme
from course_utils.evaluation import majority_scores


@pytest.fixture(scope="module")
def words():
    """What templates may say, computed once."""
    return readme.vocabulary()


@pytest.fixture(scope="module")
def made(words):
    return readme.made(words)


def visible_words(text: str) -> int:
    """Without what pictures and links are called and lead to."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)|\]\([^)]*\)", " ", text)
    return sum(bool(re.search(r"\w", word)) for word in re.split(r"[\s|]+", text))


# ------------------------------------------------------------------------------------------------------------- pages


def test_every_page_is_up_to_date(made):
    assert {readme.README, readme.DOCS / "index.md", readme.DOCS / "results" / "dermamnist.md"} <= made.keys()
    for path, text in made.items():
        assert path.read_text() == text, f"{path.name} is old, or was edited by hand: course renew"
    assert {path.name for path in (readme.DOCS / "results").glob("*.md")} == {
        path.name for path in made if path.parent.name == "results"
    }


def test_every_picture_is_up_to_date_and_small(words):
    assert {path.stem for path in readme.IMAGES.glob("*.png")} == set(words["pictures"])
    for name, picture in words["pictures"].items():
        path = readme.IMAGES / f"{name}.png"
        assert pages.drawn_in(path) == picture.alt, f"{path.name} is old: course renew"
        assert path.stat().st_size < 100_000


def test_other_runs_are_another_page(monkeypatch, words):
    read = results.read_runs
    monkeypatch.setattr(
        results, "read_runs", lambda path: read(path).assign(ACC=lambda rows: rows["ACC"].where(rows["seed"] > 0, 0.5))
    )
    digits = pages.Experiment("digits", 40)
    assert digits.percent("FixMatch") != words["digits"].percent("FixMatch")
    assert digits.table != words["digits"].table
    assert pages.Picture("", {"accuracy": digits}).alt != pages.Picture("", {"accuracy": words["digits"]}).alt


def test_what_is_said_of_a_method_is_what_its_runs_say(words):
    rows = results.read_runs(results.shipped_file("dermamnist"))
    rows = rows[(rows["network"] == "SimpleCNN") & (rows["steps"] == 1600) & (rows["num_labels"] == 500)]
    by_split = rows.pivot_table(index=results.PAIR, columns="method", values="macro-F1")
    d = by_split["FixMatch"] - by_split["supervised"]
    lesions = words["lesions"]
    assert lesions.gain("FixMatch") == f"+{d.mean():.3f} ± {d.sem():.3f}" and lesions.gained("FixMatch")[0] == "+"
    assert lesions.gain("label propagation").startswith("−0.")
    assert lesions.score("FixMatch") == f"{by_split['FixMatch'].mean():.3f}"
    groups = [lesions.above(), lesions.undecided(), lesions.below()]
    assert [[name in group for group in groups] for name in ("FixMatch", "self-training", "label propagation")] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    assert (lesions.best(), words["digits"].best()) == ("mean teacher", "FlexMatch")
    assert "FixMatch" in words["digits"].reaching(0.95) and "SGAN" not in words["digits"].reaching(0.95)
    assert words["resnet_long"].higher_than(words["resnet"], "AUC") == "2 of 10"


def test_every_experiment_that_ships_is_on_a_page(made, words):
    """Each network, length of training and number of labels has its table."""
    text = "".join(text for path, text in made.items() if path.parent.name == "results")
    for dataset in ("dermamnist", "digits"):
        ships = results.read_runs(results.shipped_file(dataset))
        for (network, steps), rows in ships.groupby(["network", "num_steps"]):
            if network == "SimpleCNN":
                table = words["by_labels"][dataset]
                assert all(f"{n:,} labels" in table for n in rows["num_labels"].unique())
            else:
                (num_labels,) = rows["num_labels"].unique()
                table = pages.Experiment(dataset, num_labels, network, steps).table
            assert table in text
    assert words["speed_table"] in text


def test_the_majority_class_is_quoted_right(dermamnist):
    constant = majority_scores(dermamnist, dermamnist.test)
    text = " ".join((readme.DOCS / "results" / "index.md").read_text().split())
    for metric, name in pages.NAMES.items():
        assert f"{constant[metric]:.3f} in {name}" in text


def test_a_list_in_words():
    assert pages.in_words([]) == "none of them" and pages.in_words(["FixMatch"]) == "FixMatch"
    assert pages.in_words(["SGAN", "FixMatch", "pseudo-labels, Lee"]) == "SGAN, FixMatch and pseudo-labels"


def test_new_times_go_to_their_page(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "SPEED", tmp_path / "speed.csv")
    monkeypatch.setattr(readme, "renew", lambda: "renewed")
    table = pd.DataFrame({"1 thread": ["1.0 s", "2.0 s", "3.0 s"]}, index=pd.Index(["a", "b", "c"], name="measured"))
    assert readme.put_speed(table) == "renewed"
    assert pages.speed().equals(table) and "1 thread 2 s" in pages.SpeedPicture().alt


# ------------------------------------------------------------------------------------------------------------ README


def test_the_readme_is_one_page():
    text = readme.README.read_text()
    assert 400 <= visible_words(text) <= 600
    assert text.count("\n![") == 2 and "(docs/figures/moons.gif)" in text
    assert {"make lab", "make test", "git clone"} <= set(re.findall("make lab|make test|git clone", text))


def test_the_lessons_with_their_minutes():
    text = readme.README.read_text()
    rows = re.findall(r"^\| (\d\d) \| \[.+?\]\(notebooks/(\w+)\.ipynb\) \| (.+?) \| (\d+) \|", text, re.MULTILINE)
    assert [name for _, name, *_ in rows] == [source.stem for source in SOURCES]
    for (_, _, builds, minutes), source in zip(rows, SOURCES):
        assert f"**Time** {minutes} min" in source.read_text() and len(builds.split()) > 4
    exercises = [list(lesson.exercises) for lesson in readme.overview()]
    assert exercises == [numbers(source) for source in SOURCES]


def test_hours_leave_out_what_is_not_on_the_short_path():
    lessons = [
        readme.Lesson("00", "00_a", "A", 100, {"0.1": 30}, "a"),
        readme.Lesson("01", "01_b", "B", 80, {"1.1": 20, "1.2": 40}, "b"),
    ]
    assert readme.hours(lessons) == "3 hours" and readme.hours(lessons, ("1.2", "0.1")) == "2 hours"
    assert {*readme.SHORT_PATH} <= {source.name[:2] for source in SOURCES}
    assert {*readme.NOT_ON_SHORT_PATH} <= {number for source in SOURCES for number in numbers(source)}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("# # 99 · New\n#\n# no minutes", "99_new.py: it needs a title, '# 99 · Topic', and minutes"),
        ("# # 99 · New\n#\n# **Time** 30 min", "lesson 99: course_utils/authoring/readme.py does not say in BUILDS"),
    ],
)
def test_a_lesson_that_says_too_little_is_named(tmp_path, monkeypatch, text, error):
    source = tmp_path / "99_new.py"
    source.write_text(f"# %% [markdown]\n{text}\n")
    monkeypatch.setattr(readme, "lessons", lambda: [source])
    with pytest.raises(ValueError, match=re.escape(error)):
        readme.overview()


# ----------------------------------------------------------------------------------------------------------- address


@pytest.fixture
def copy(tmp_path, monkeypatch, words):
    """What the address stands in, elsewhere: returns the folder, with notebooks and pages written into it."""
    for name in readme.WITH_ADDRESS:
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    monkeypatch.setattr("course_utils.authoring.ROOT", tmp_path)
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    monkeypatch.setattr(readme, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(readme, "IMAGES", tmp_path / "docs" / "images")
    monkeypatch.setattr(readme, "lessons", lambda: SOURCES[:1])
    monkeypatch.setattr(readme.build, "student_path", lambda source: tmp_path / f"{source.stem}.ipynb")
    monkeypatch.setattr(pages, "save", lambda *_: None)
    monkeypatch.setattr(pages, "vocabulary", lambda: words)
    for folder in ("results", "methods"):
        (tmp_path / "docs" / folder).mkdir(parents=True)
    return tmp_path


def test_one_command_sets_the_address(copy, capsys):
    before = readme.made(readme.vocabulary())[readme.README]
    assert "git clone <address of this repository>" in before and not re.search("OWNER|colab.research|mybinder", before)
    for address in ("https://github.com/me/my-course", "https://github.com/you/other"):  # a fork sets it again
        assert cli.main(["address", address]) == 0
        assert f"address is {address}" in capsys.readouterr().out
        assert tomllib.loads((copy / "pyproject.toml").read_text())["project"]["urls"] == {"Repository": address}
        assert yaml.safe_load((copy / "CITATION.cff").read_text())["repository-code"] == address
        text, at = (copy / "README.md").read_text(), address.removeprefix("https://github.com/")
        assert f"git clone {address}\ncd {at.split('/')[1]}\n" in text
        assert f"colab.research.google.com/github/{at}/blob/main/notebooks/00_start_here.ipynb) |" in text
        assert f"mybinder.org/v2/gh/{at}/main" in text and f"{address}/actions/workflows/test.yml" in text
        assert f"git clone --quiet --depth 1 {address} " in (copy / "00_start_here.ipynb").read_text()
        assert "OWNER" not in text and visible_words(text) <= 650


@pytest.mark.parametrize("address", ["github.com/me/course", "https://github.com/me", "https://github.com/me/course/"])
def test_what_is_no_address_changes_nothing(copy, capsys, address):
    assert cli.main(["address", address]) == 1
    assert "is no address such as https://github.com/me/ssl-course" in capsys.readouterr().err
    assert (copy / "pyproject.toml").read_text() == (ROOT / "pyproject.toml").read_text()
