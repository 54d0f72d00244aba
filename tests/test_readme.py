"""README, home page and pages of results are what templates, lessons and shipped runs give."""

import itertools
import re
import tomllib

import numpy as np
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
        assert pages.drawn_in(path) == pages.note(picture), f"{path.name} is old: course renew"
        assert path.stat().st_size < 100_000


def test_other_runs_are_another_page(monkeypatch, words):
    read = results.read_runs
    monkeypatch.setattr(
        results, "read_runs", lambda path: read(path).assign(ACC=lambda rows: rows["ACC"].where(rows["seed"] > 0, 0.5))
    )
    digits = pages.Experiment("digits", 40)
    assert digits.percent("FixMatch") != words["digits"].percent("FixMatch")
    assert digits.table() != words["digits"].table() and digits.scores != words["digits"].scores
    before, after = (pages.Picture("", {"accuracy": pages.panel(one)}).alt for one in (words["digits"], digits))
    assert before != after


def test_what_is_said_of_a_method_is_what_its_runs_say(words):
    rows = results.read_runs(results.shipped_file("dermamnist"))
    rows = rows[(rows["network"] == "SimpleCNN") & (rows["steps"] == 1600) & (rows["num_labels"] == 500)]
    by_split = rows.pivot_table(index=results.PAIR, columns="method", values="macro-F1")
    d = by_split["FixMatch"] - by_split["supervised"]
    lesions = words["lesions"]
    assert lesions.gain("FixMatch") == f"+{d.mean():.3f} ± {d.sem():.3f}" and lesions.gained("FixMatch")[0] == "+"
    assert lesions.gain("label propagation").startswith("−0.")
    assert lesions.score("FixMatch") == f"{by_split['FixMatch'].mean():.3f}"
    groups = [lesions.above("AUC"), lesions.undecided("AUC"), lesions.below("AUC")]
    assert [[name in group for group in groups] for name in ("mean teacher", "FixMatch", "label propagation")] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    assert lesions.above() == "none of them" and lesions.below() == "pseudo-labels"
    assert (lesions.best(), words["digits"].best()) == ("mean teacher", "FlexMatch")
    assert "FixMatch" in words["digits"].reaching(0.95) and "SGAN" not in words["digits"].reaching(0.95)


RESULTS = sorted(path.stem for path in (readme.TEMPLATES / "results").glob("*.md"))
of_results = pytest.mark.parametrize("name", RESULTS)


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a page, as rows of cells, their heads first."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    rows = [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in found]
    return [[table[0], *table[2:]] for table in rows]


@of_results
def test_a_page_begins_with_a_sentence_and_a_picture_and_says_how_to_repeat_it(name, made):
    text = made[readme.DOCS / "results" / f"{name}.md"]
    title, sentence, picture, *rest = text.split("\n\n")
    assert title.startswith("# ") and "\n" not in title
    assert sentence.endswith(".") and not re.search(r"[.!?] [A-Z]", sentence) and re.search(r"\d", sentence)
    assert re.fullmatch(r"!\[[^]]{40,}\]\(\.\./images/\w+\.png\)", picture)
    assert re.search(r"^(Repeat it: `|## Repeat it$)", "\n\n".join(rest), re.MULTILINE)


@of_results
def test_its_tables_are_narrow_and_hold_nothing_that_is_always_the_same(name, made):
    for table in tables(made[readme.DOCS / "results" / f"{name}.md"]):
        head, *rows = table
        assert len(head) <= 5 and {len(row) for row in rows} == {len(head)}, head
        if len(rows) > 2:
            constant = [title for title, column in zip(head, zip(*rows)) if len(set(column)) == 1]
            assert not constant, f"{name}: {constant} says nothing"
        numbers = re.findall(r"\d*\.(\d+)(?![\d.])", " ".join(" ".join(row) for row in rows))
        assert all(len(decimals) <= 4 for decimals in numbers)


@of_results
def test_no_measured_number_is_typed_into_a_template(name):
    """A decimal of a template stands in a formula, in code or in what jinja fills in, but for what an experiment's name says."""
    text = (readme.TEMPLATES / "results" / f"{name}.md").read_text()
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|`[^`]*`", " ", text, flags=re.DOTALL)
    assert not [number for number in re.findall(r"(?<![\w.])\d*\.\d+|\d+ ?%", text) if number != ".95"]


def test_the_index_leads_to_every_page(made):
    """From the index, the site's table of contents, and back by a link."""
    index, site = made[readme.DOCS / "results" / "index.md"], made[readme.DOCS / "index.md"]
    for name in RESULTS:
        assert name == "index" or f"({name}.md)" in index
        assert f"\nresults/{name}\n" in site
        if name not in ("index", "speed"):
            assert "[results](index.md)" in made[readme.DOCS / "results" / f"{name}.md"]


def test_every_experiment_that_ships_is_on_a_page(made, words):
    """Each network, length of training and number of labels has its table, each method a line, and each picture is shown."""
    text = "".join(text for path, text in made.items() if path.parent.name == "results")
    for dataset in ("dermamnist", "digits"):
        ships = results.read_runs(results.shipped_file(dataset))
        for (network, steps), rows in ships.groupby(["network", "num_steps"]):
            for num_labels in rows["num_labels"].unique():
                if (network, dataset) == ("SimpleCNN", "dermamnist") and num_labels != 500:
                    assert num_labels == 7007 or f" {num_labels:,} labels |" in words["by_labels"]["over_supervised"]
                else:
                    assert pages.Experiment(dataset, num_labels, network, steps).table() in text or network == "ResNet"
        of_500 = ships[(ships["num_labels"] == 500) & (ships["network"] == "SimpleCNN")]
        missing = {
            method for method in of_500["method"].unique() if f"| {words['names'].get(method, method)} |" not in text
        }
        assert {
            m for m in missing if not re.search("steps$|without|by a quarter|warm start|original 350|2000 labels", m)
        } == set()
    assert all(words[name].scores in text for name in ("lesions", "digits_500", "resnet", "resnet_long"))
    assert words["speed_table"] in text
    for name in words["pictures"]:
        assert f"images/{name}.png)" in text


def test_the_majority_class_is_quoted_right(dermamnist):
    constant = majority_scores(dermamnist, dermamnist.test)
    text = " ".join((readme.DOCS / "results" / "index.md").read_text().split())
    for metric, name in pages.NAMES.items():
        assert f"{constant[metric]:.3f} in {name}" in text


def test_a_list_in_words():
    assert pages.in_words([]) == "none of them" and pages.in_words(["FixMatch"]) == "FixMatch"
    assert pages.in_words(["SGAN", "FixMatch", "pseudo-labels, Lee"]) == "SGAN, FixMatch and pseudo-labels"


def test_new_times_go_to_their_page(tmp_path, monkeypatch):
    monkeypatch.setattr(pages.timing, "SPEED", tmp_path / "speed.csv")
    monkeypatch.setattr(readme, "renew", lambda: "renewed")
    table = pd.DataFrame({"1 thread": ["1.0 s", "2.0 s", "3.0 s"]}, index=pd.Index(["a", "b", "c"], name="measured"))
    assert readme.put_speed(table) == "renewed"
    assert pages.timing.speed().equals(table) and "1 thread 2 s" in pages.timing.SpeedPicture().alt


# ------------------------------------------------------------------------------------------------- what pages compute


@pytest.fixture
def rows():
    """Runs of three methods on three label splits: B costs as much as C and is better, A is cheap."""
    scores = {"A": (0.1, 0.2, 0.3), "B": (0.4, 0.5, 0.6), "C": (0.3, 0.5, 0.4)}
    lines = [
        {"method": method, "label_split": f"s{n}", "seed": n, "macro-F1": value}
        for method, values in scores.items()
        for n, value in enumerate(values)
    ]
    return pd.DataFrame(lines)


def test_a_table_of_gains(rows):
    assert tables(pages.gains_table(rows, ["C", "A", "B", "no such"], "macro-F1", "A", {"B": "the best"}, "0.050")) == [
        [
            ["method", "macro-F1", "gain over A", "wins"],
            ["the best", "0.500", "+0.300 ± 0.000", "3 of 3"],
            ["C", "0.400", "+0.200 ± 0.058", "3 of 3"],
            ["A", "0.200", "", ""],
            ["majority class", "0.050", "", ""],
        ]
    ]


def test_the_front_and_equal_work(words):
    cost = words["cost"]
    methods, prices, means = cost.methods, cost.table_of["images"], cost.table_of["mean"]
    front = cost.on_front("images")
    for method in methods:
        better = [m for m in methods if prices[m] <= prices[method] and means[m] > means[method]]
        cheaper = [m for m in methods if prices[m] < prices[method] and means[m] >= means[method]]
        assert (method in front) == (not better + cheaper), method
    assert front[0] == "supervised" and cost.table_of["images"]["FixMatch"] == 5 * prices["supervised"]
    gains = {row[0]: row[2:4] for row in tables(cost.equal_work)[0][1:]}
    lesions = words["lesions"]
    assert gains["FixMatch"] == [lesions.gain("FixMatch"), lesions.gain("FixMatch", baseline=pages.LARGER)]


def test_flipped_signs():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 8):
        d = rng.normal(size=n) + 0.5
        signs = np.array(list(itertools.product((1, -1), repeat=n)))
        right = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-9)
        assert pages.work.sign_flip(d) == pytest.approx(right)


def test_what_a_method_is_worth_in_labels():
    scores = {("supervised", 100): 0.2, ("supervised", 400): 0.4, ("supervised, batches of 160", 100): 0.2}
    scores |= {("supervised, batches of 160", 400): 0.3, ("m", 100): 0.3, ("low", 100): 0.1, ("high", 100): 0.9}
    lines = [
        {"method": method, "num_labels": n, "AUC": value, "macro-F1": value + step}
        for (method, n), value in scores.items()
        for step in (-0.02, 0.02)
    ]
    worth = pages.Worth(pd.DataFrame(lines), 100)
    assert worth.told("m", "AUC", "supervised") == "200 to 200"  # half of the way, on a logarithmic axis
    assert worth.told("m", "macro-F1", "supervised") == "170 to 230"
    assert worth.told("m", "macro-F1", pages.LARGER) == "300 to more than 400"
    assert worth.told("low", "AUC", "supervised") == "fewer than 100"
    assert (
        worth.told("m", "AUC", pages.LARGER) == "400 to 400"
        and worth.told("high", "AUC", "supervised") == "more than 400"
    )


def test_what_is_said_of_leakage_follows_the_runs(words):
    leakage = words["leakage"]
    assert "neither shown nor excluded" in leakage.verdict
    shown = pages.Leakage(words["lesions"])
    shown.rows = leakage.rows.assign(
        **{"pool only balanced ACC": lambda rows: rows["pool only balanced ACC"] + 0.2 * (rows["method"] == "FixMatch")}
    )
    assert shown.verdict == "FixMatch clearly profit"


def test_the_chosen_settings_were_tried(words):
    search = words["search"]
    assert set(search.tried.index) >= pages.origins.CHOSEN
    counted = {row[0]: int(row[1]) for row in tables(search.table)[0][1:]}
    assert sum(counted.values()) == len(search.tried) and counted["MixMatch"] == search.num_settings("MixMatch")


def test_published_lines_have_their_counterparts(words):
    lines = {row[0]: row[1:] for row in tables(words["original"].table)[0][1:]}
    assert list(lines) == list(pages.origins.PUBLISHED)
    assert lines["FixMatch"] == [
        "0.675",
        words["lesions"].score("FixMatch", "ACC"),
        "0.360",
        words["lesions"].score("FixMatch"),
    ]


def test_a_picture_says_what_is_hollow_and_what_is_dashed():
    lines = [
        pages.Line("A", "FixMatch", 0.5, filled=False, words=("7",)),
        pages.Line("B", "MixMatch", 0.25, other=0.125),
    ]
    dots = pages.Dots("Title", "score", {"one": lines}, "Dots.", ("cost\nin s",), {"one": {"constant": 0.1}})
    assert dots.alt == "Dots. one: A 0.50 (hollow), cost in s 7; B 0.25 (hollow 0.12); constant 0.10, dashed."
    assert len(dots.draw().axes) == 1


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
