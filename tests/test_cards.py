"""Cards: the same words as HTML and as plain text, readable in light and dark, and what follows a verdict."""

import re
from types import SimpleNamespace

import matplotlib
import nbformat
import pytest
from bs4 import BeautifulSoup
from lessons import ALL_EXERCISES
from matplotlib.ft2font import FT2Font
from nbclient import NotebookClient

from course_utils import NOTEBOOKS, settings
from course_utils.check import advice, cards, check, events, headings, lending, notebook, overview, runner

LIGHT, DARK = ("#FFFFFF", "#212121"), ("#111111", "#FFFFFF")  # JupyterLab's page and text


def wrong(factor):
    """Different wrong answers to exercise 0.1."""
    return {
        1: lambda labels, num_classes: labels * 1,
        2: lambda labels, num_classes: labels * 2,
        3: lambda labels, num_classes: labels * 3,
    }[factor]


def right(labels, num_classes):
    return (labels == 0).float().mean().new_tensor([(labels == c).float().mean() for c in range(num_classes)])


@pytest.fixture
def shown(monkeypatch):
    """What is displayed in a live notebook: the bundles, in order."""
    bundles: list[dict] = []
    monkeypatch.setattr(cards, "live", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, raw: bundles.append(data))
    return bundles


def words(card: str) -> str:
    return " ".join(BeautifulSoup(card, "html.parser").get_text(" ").split())


# --------------------------------------------------------------------------------------------------------------- looks


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    values = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def tinted(page: str, color: str) -> str:
    mixed = [
        round((1 - cards.TINT) * int(page[i : i + 2], 16) + cards.TINT * int(color[i : i + 2], 16)) for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{value:02X}" for value in mixed)


@pytest.mark.parametrize("kind", cards.KINDS)
def test_a_card_can_be_read_in_light_and_dark_and_says_its_kind_without_colour(kind):
    sign, word, color = cards.KINDS[kind]
    assert contrast(color, "#FFFFFF") >= 4.5  # of the sign and the word
    assert all(contrast(tinted(page, color), text) >= 4.5 for page, text in (LIGHT, DARK))
    font = FT2Font(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf")
    assert font.get_char_index(ord(sign)) and f"{sign} {word}" in words(cards.card(kind, ""))


def test_kinds_differ_by_sign_or_word():
    assert len({(kind.sign, kind.word) for kind in cards.KINDS.values()}) == len(cards.KINDS)


def test_words_wrap_and_are_never_cut():
    style = cards.card("fix", "Exercise 6.2", "text").partition('"')[2].partition('"')[0]
    assert "white-space:normal" in style and "word-break:normal" in style and "overflow-wrap:break-word" in style


def test_what_a_message_says_is_text_and_no_html():
    assert cards.prose("a < b & `x[1] > <b>`") == "a &lt; b &amp; <code>x[1] &gt; &lt;b&gt;</code>"
    assert cards.plain(cards.prose("a < b & `x[1] > <b>`")) == "a < b & `x[1] > <b>`"
    assert cards.plain(cards.bar(1, 1, 3)) == ""


@pytest.mark.parametrize(("done", "widths"), [((1, 1, 4), [25, 25]), ((0, 0, 3), [0, 0]), ((0, 0, 0), [0, 0])])
def test_the_bar(done, widths):
    bar = BeautifulSoup(cards.bar(*done), "html.parser").div
    assert [float(re.search(r"width:([\d.]+)%", part["style"])[1]) for part in bar("div")] == widths
    assert bar["aria-label"] == f"{done[0]} of {done[2]} solved"


# ------------------------------------------------------------------------------------------------------- where and what


def test_a_live_notebook_shows_one_card_with_its_text(shown, capsys):
    check("0.1", wrong(1))
    (bundle,) = shown
    assert bundle["text/plain"].startswith("[fix] Exercise 0.1: ") and capsys.readouterr().out == ""
    assert words(bundle["text/html"]).startswith("! fix Exercise 0.1 ")
    assert cards.KINDS["fix"].color in bundle["text/html"]


def test_what_a_function_printed_stands_below_the_card(shown, capsys):
    check("0.1", lambda labels, num_classes: print("hello"))
    assert len(shown) == 1 and capsys.readouterr().out.splitlines()[1] == "hello"


@pytest.mark.parametrize(
    ("widgets", "nbgrader", "shell", "live"),
    [
        (True, False, SimpleNamespace(kernel=1), True),
        (False, False, SimpleNamespace(kernel=1), False),
        (True, True, SimpleNamespace(kernel=1), False),
        (True, False, SimpleNamespace(), False),  # IPython in a terminal
        (True, False, None, False),
    ],
)
def test_cards_are_for_live_notebooks(monkeypatch, widgets, nbgrader, shell, live):
    monkeypatch.setattr(settings, "WIDGETS", widgets)
    monkeypatch.setattr(cards, "shell", lambda: shell)
    if nbgrader:
        monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    assert cards.live() is live


def test_a_lent_function_has_a_card_of_its_own(shown, monkeypatch):
    import torch

    monkeypatch.setattr(cards, "shell", lambda: SimpleNamespace(user_ns={"torch": torch}))
    lending.borrow("0.1")
    lending.reveal("0.2")
    assert "⇄ borrowed Exercise 0.1" in words(shown[0]["text/html"])
    assert "○ not yet Exercise 0.2" in words(shown[1]["text/html"]) and "(so far 0)" in shown[1]["text/plain"]


def test_run_all_stops_at_a_card_that_comes_into_view(shown):
    notebook._stopped("6.2")
    (bundle,) = shown
    assert "! stopped here This cell needs Exercise 6.2 It is not solved yet" in words(bundle["text/html"])
    assert "scrollIntoView" in bundle["text/html"] and "script" not in bundle["text/plain"]
    assert bundle["text/plain"].startswith("This cell needs Exercise 6.2, which is not solved yet: ")


def test_progress_is_a_card_with_a_bar_and_a_table(shown):
    events.note("0.1", "ok")
    events.note("0.2", "fix")
    overview.progress("00")
    overview.progress()
    lesson, course = (BeautifulSoup(bundle["text/html"], "html.parser") for bundle in shown)
    assert lesson.find(attrs={"role": "img"})["aria-label"] == "1 of 3 solved"
    assert [row("td")[3].get_text() for row in lesson("tr")] == ["✓ solved", "! tried once", "○ to do"]
    assert "about 20 min left" in lesson.get_text()
    assert course.find(attrs={"role": "img"})["aria-label"] == "1 of 73 solved" and len(course("tr")) == 11
    assert [bundle["text/plain"] for bundle in shown] == [overview.text("00"), overview.text()]


@pytest.mark.slow
def test_in_a_kernel(monkeypatch, tmp_path):
    """A live one shows cards; one that a program runs prints the plain lines, as nbval and GitHub know them."""
    use = 'def f(x):\n    raise NotImplementedError("Exercise 0.1")\nf(1)'
    cells = ["from course_utils.check import check, progress", "check('0.1', len)", "progress('00')", use]
    kinds = {}
    for widgets in ("on", "off"):
        monkeypatch.setenv("COURSE_WIDGETS", widgets)
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        NotebookClient(
            book, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(NOTEBOOKS)}}
        ).execute()
        kinds[widgets] = [[output.output_type for output in cell.outputs] for cell in book.cells[1:]]
        said = [cell.outputs[0].get("text") or cell.outputs[0].data["text/plain"] for cell in book.cells[1:]]
        assert said[0].startswith("[fix] Exercise 0.1: ") and said[1].startswith("Lesson 00: 0 of 3 exercises solved")
        assert said[2].startswith("This cell needs Exercise 0.1, which is not solved yet")
    assert kinds == {
        "on": [["display_data"], ["display_data"], ["display_data"]],
        "off": [["stream"], ["stream", "display_data"], ["stream"]],
    }


# ------------------------------------------------------------------------------------------------------------ afterwards


def test_after_ok_comes_why_it_matters_and_how_far_the_lesson_is(capsys):
    check("0.1", right)
    first, why, progress = capsys.readouterr().out.splitlines()
    assert first == "[ok] Exercise 0.1: the fraction of each class" and why == runner.find("0.1").why
    assert progress == "1 of 3 in this lesson, about 20 min of exercises left."
    for number in ("0.2", "0.3"):
        events.note(number, "ok")
    check("0.1", right)
    assert capsys.readouterr().out.endswith("All 3 exercises of this lesson solved: well done!\n")


def test_the_second_different_wrong_answer_brings_a_hint_and_the_third_the_ways_on(capsys):
    said = []
    for answer in (1, 1, 2, 3):
        check("0.1", wrong(answer))
        said.append(" ".join(capsys.readouterr().out.split()))
    (title1, hint1), (title2, hint2) = headings.hints("0.1")
    assert title1.startswith("Hint 1") and "Hint" not in said[0] + said[1]  # the same answer again is no further try
    assert f"{title1}: {cards.plain(hint1)}" in said[2] and "reveal" not in said[2]
    assert (
        f"{title2}: {cards.plain(hint2)}" in said[3] and "`reveal('0.1')`" in said[3] and "`borrow('0.1')`" in said[3]
    )


def test_a_copy_without_solutions_names_no_way_that_is_not_there(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(lending, "SOLUTIONS", tmp_path)
    for answer in (1, 2, 3):
        check("0.1", wrong(answer))
    said = capsys.readouterr().out
    assert "Hint 2" in said and "reveal" not in said and "borrow" not in said


def test_solution_notebooks_say_the_same_whatever_was_run_before(monkeypatch, capsys):
    monkeypatch.setattr(settings, "SAVE_PROGRESS", False)
    monkeypatch.setattr(events, "_unsaved", [])
    check("0.1", right)
    for answer in (1, 2, 3):
        check("0.1", wrong(answer))
    said = capsys.readouterr().out
    assert said.startswith("[ok] Exercise 0.1: the fraction of each class\n[fix] Exercise 0.1: ")
    assert "in this lesson" not in said and "Hint" not in said and "reveal" not in said


def test_nothing_follows_where_no_notebook_announces_the_exercise(monkeypatch, tmp_path):
    monkeypatch.setattr(headings, "NOTEBOOKS", tmp_path)
    assert advice.after(runner.find("0.1"), "ok") == advice.after(runner.find("0.1"), "fix") == []


@pytest.mark.parametrize("number", [number for _, number in ALL_EXERCISES])
def test_every_exercise_says_why_it_matters_and_has_two_hints(number):
    why = runner.find(number).why
    assert why[:1].isupper() and why.endswith(".") and 6 <= len(why.split()) <= 28, why
    assert not re.search(r"\d[.,]\d|%|\.\d", why)  # no measured result
    assert [title[:6] for title, hint in headings.hints(number)] == ["Hint 1", "Hint 2"]
    assert all(cards.plain(hint) for _, hint in headings.hints(number))


def test_no_two_exercises_matter_for_the_same_reason():
    assert len({runner.find(number).why for _, number in ALL_EXERCISES}) == len(ALL_EXERCISES)
