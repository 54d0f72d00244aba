"""Every figure has a text; figures read without colour."""

import itertools
import re

import numpy as np
import pytest
import torch
from lessons import SOURCES, notebook
from matplotlib.text import Text

from course_utils import evaluation, looks, plots
from course_utils.authoring.build import tags


@pytest.fixture
def shown(monkeypatch):
    calls = []
    monkeypatch.setattr(plots, "display", lambda data, **options: calls.append((data, options)))
    return calls


def test_a_figure_is_shown_with_its_text_and_closed(shown):
    figure, ax = plots.plt.subplots()
    ax.plot([1, 2])
    plots.show(figure, "A line that rises from left to right.")
    data, options = shown[0]
    assert data["text/plain"] == options["metadata"]["image/png"]["alt"] == "A line that rises from left to right."
    assert (
        shown[1][0].data
        == "<details><summary>The figure in words</summary>A line that rises from left to right.</details>"
    )
    assert data["image/png"].startswith("iVBOR") and not plots.plt.fignum_exists(figure.number)


@pytest.mark.parametrize("alt", ["", "A figure.", "loss over steps"])
def test_a_text_that_does_not_help_is_refused(shown, alt):
    with pytest.raises(ValueError, match="must say what the figure shows"):
        plots.show(plots.plt.figure(), alt)
    assert not shown


def test_lines_differ_in_more_than_colour():
    figure = plots.curves({"a": [1.0] * 80, "b": [2.0] * 80, "c": [3.0] * 80}, "loss")
    lines = figure.axes[0].lines
    assert len({line.get_linestyle() for line in lines}) == len({line.get_marker() for line in lines}) == 3


def test_a_method_has_its_look_in_every_figure():
    named = {"FixMatch": [1.0] * 80, "weak view": [2.0] * 80, "MixMatch, original recipe": [3.0] * 80}
    lines = plots.curves(named, "loss", window=1, title="Three losses", ylim=(0, 4)).axes[0].lines
    fixmatch, other, variant = [looks.Look(line.get_color(), line.get_marker()) for line in lines]
    assert fixmatch == looks.METHODS["FixMatch"] and variant == looks.METHODS["MixMatch"]
    assert other.color in looks.SHADES
    bars = plots.class_bars({name: np.ones(2) for name in named}, ("x", "y"), "fraction").axes[0].patches
    assert plots.plt.matplotlib.colors.to_hex(bars[0].get_facecolor()).upper() == fixmatch.color
    colours = [look.color for look in looks.METHODS.values()]
    assert not set(colours) & set(looks.SHADES) and looks.look("anything") == looks.OTHER
    alike = {method for method, look in looks.METHODS.items() if list(looks.METHODS.values()).count(look) > 1}
    assert alike == {
        "label propagation",
        "label spreading",
        "supervised",
        "Labels alone",
    }  # two of a kind; all others differ


def test_lines_have_their_names_at_their_ends_and_no_two_on_each_other():
    ends = {"one": 0.5, "another": 0.51, "a third": 0.49, "far": 0.9}
    figure = plots.curves({name: [0.0] * 60 + [end] * 60 for name, end in ends.items()}, "loss", window=1)
    figure.draw_without_rendering()
    labels = {text.get_text(): Text.get_window_extent(text) for text in figure.axes[0].texts}  # without their leaders
    assert set(labels) == set(ends) and figure.axes[0].get_legend() is None
    by_height = sorted(labels, key=lambda name: labels[name].y0)
    assert by_height == sorted(ends, key=ends.get)
    assert all(labels[low].y1 <= labels[high].y0 for low, high in itertools.pairwise(by_height))
    assert all(figure.bbox.contains(box.x1, box.y1) for box in labels.values())


def test_places_move_as_little_as_possible():
    assert plots.spread(np.array([0.0, 5.0, 9.0]), 2).tolist() == [0, 5, 9]
    assert plots.spread(np.array([5.0, 5.0, 0.0]), 2).tolist() == [4, 6, 0]


def test_lines_without_a_value_have_no_name():
    figure = plots.curves({"known": [1.0, np.nan], "unknown": [np.nan, np.nan]}, "loss", window=1)
    assert [text.get_text() for text in figure.axes[0].texts] == ["known"]


def test_bars_differ_in_more_than_colour():
    figure = plots.class_bars({"a": np.ones(3), "b": np.ones(3)}, ("x", "y", "z"), "share", title="Two")
    (ax,) = figure.axes
    assert len({bar.get_hatch() for bar in ax.patches}) == 2
    assert not ax.texts and ax.get_title(loc="left") == "Two"
    figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().y0 >= ax.bbox.y1  # the key covers no bar


def test_unknown_bars_say_so():
    figure = plots.class_bars({"a": np.array([0.0, np.nan])}, ("x", "y"), "share")
    assert [text.get_text() for text in figure.axes[0].texts] == ["n/a"]


def test_smooth():
    assert plots.smooth([1, 2, 3, 4], 2).tolist() == [1.5, 2.5, 3.5]
    assert plots.smooth([1, np.nan, 3, np.nan, np.nan], 2).tolist()[:3] == [1, 3, 3]
    assert np.isnan(plots.smooth([1, np.nan, 3, np.nan, np.nan], 2)[3])
    assert plots.smooth([1, 3], 50).tolist() == [2]


def test_images_of_both_kinds_are_drawn():
    array, tensor = np.full((28, 28, 3), 255, np.uint8), torch.ones(1, 28, 28)
    figure = plots.image_grid([[array, array], [tensor]], ["array", "tensor"], ["one", "two"], title="White")
    assert figure.get_suptitle() == "White"
    drawn = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert [image.shape for image in drawn] == [(28, 28, 3), (28, 28, 3), (28, 28)] and all(
        (image == 1).all() for image in drawn
    )


def test_a_long_title_takes_two_lines_and_stays_inside():
    figure, ax = plots.plt.subplots(figsize=(4, 3))
    plots.head(figure, "a title of many words " * 5)
    figure.canvas.draw()
    title = figure._suptitle.get_window_extent()
    assert title.x1 <= figure.bbox.x1 and title.y1 <= figure.bbox.y1
    assert title.y0 >= ax.get_tightbbox().y1


def test_the_confusion_matrix_shows_counts():
    scores = evaluation.Scores({}, np.array([1, 0]), np.array([[9, 1], [3, 0]]), "test")
    figure = plots.confusion(scores, ("a", "b"), title="What is taken for what")
    assert figure.get_suptitle() == "What is taken for what"
    assert [text.get_text() for text in figure.axes[0].texts] == ["9", "1", "3", "0"]


def runs(of: dict[str, list[float]], metric="macro-F1") -> list[dict]:
    return [
        {"method": method, "label_split": f"d{n}", "seed": n, "dataset": "digits", metric: value}
        for method, values in of.items()
        for n, value in enumerate(values)
    ]


THREE = runs({"supervised": [0.40, 0.50, 0.60], "FixMatch": [0.43, 0.52, 0.59], "MixMatch": [0.5]})


def test_a_variant_is_hollow():
    figure = plots.gains(
        runs({"supervised": [0.4, 0.5], "FixMatch": [0.43, 0.52], "FixMatch, original recipe": [0.3, 0.4]})
    )
    large = [line for line in figure.axes[0].lines if line.get_markersize() == 7]
    assert [line.get_markerfacecolor() for line in large] == [looks.METHODS["FixMatch"].color, looks.PAPER]
    plots.plt.close(figure)


def test_gains_are_drawn_in_pairs_and_told_in_words(shown):
    figure = plots.gains(THREE)
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["FixMatch", "MixMatch"]
    assert figure.get_suptitle() == "Gain in macro-F1 over the supervised baseline, 3 label splits"
    points = [line for line in ax.lines if line.get_color() == looks.METHODS["FixMatch"].color]
    assert points[0].get_xdata().tolist() == pytest.approx([0.03, 0.02, -0.01])  # the single pairs
    assert points[1].get_xdata().tolist() == pytest.approx([0.04 / 3]) and points[1].get_marker() == "P"
    assert [text.get_text() for text in ax.texts] == ["wins", "2 of 3", "1 of 1"] and ax.get_legend() is None
    words = plots.gains_in_words(THREE)
    assert "FixMatch: +0.013 ± 0.012, 2 of 3; MixMatch: +0.100, 1 of 1." in words and "on digits" in words
    plots.show_gains(THREE)
    assert shown[0][0]["text/plain"] == words


def test_gains_of_chosen_methods_in_two_metrics():
    rows = [row | {"AUC": row["macro-F1"] + 0.2} for row in THREE]
    figure = plots.gains(rows, ["MixMatch", "SGAN"], ("AUC", "macro-F1"), baseline="FixMatch")
    assert [ax.get_xlabel() for ax in figure.axes] == ["gain in AUC on digits", "gain in macro-F1 on digits"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["wins", "1 of 1", "no runs"]
    assert figure.get_suptitle() == "Gain over FixMatch, 1 label split"
    assert "SGAN: no runs" in plots.gains_in_words(rows, ["MixMatch", "SGAN"], "AUC", "FixMatch")


@pytest.mark.parametrize("rows", [[], THREE[:3], THREE[3:]])
def test_where_nothing_can_be_paired_a_line_says_so(rows, shown, capsys):
    plots.show_gains(rows)
    assert not shown and "no gains to draw" in capsys.readouterr().out
    with pytest.raises(LookupError, match="no run of FixMatch has the label split of a run of supervised"):
        plots.gains(rows, ["FixMatch"])


def test_many_methods_are_each_a_line():
    many = runs({"supervised": [0.4, 0.5]} | {f"method {n}": [0.41, 0.52] for n in range(40)})
    (ax,) = plots.gains(many).axes
    assert len(ax.get_yticklabels()) == 40 and len(ax.texts) == 41


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_cells_that_draw_are_folded_and_their_words_come_last(source):
    """One reads neither how a figure is drawn nor what it shows before one sees it."""
    code = [cell for cell in notebook(source, student=True).cells if cell.cell_type == "code"]
    assert not [cell.source for cell in code if re.search(r"^alt = ", cell.source, re.MULTILINE)]
    shows = [cell for cell in code if re.search(r"^plots\.show\(", cell.source, re.MULTILINE)]
    assert not [cell.source for cell in shows if "figure" not in tags(cell)]
    folded = [cell for cell in code if cell.metadata.get("jupyter", {}).get("source_hidden")]
    assert folded == [cell for cell in code if {"figure", "colab"} & set(tags(cell))]
