"""Every figure has a text; figures read without colour."""

import numpy as np
import pytest
import torch

from course_utils import evaluation, plots


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


def test_bars_differ_in_more_than_colour():
    figure = plots.class_bars({"a": np.ones(3), "b": np.ones(3)}, ("x", "y", "z"), "share")
    assert len({bar.get_hatch() for bar in figure.axes[0].patches}) == 2
    assert not figure.axes[0].texts


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
    figure = plots.image_grid([[array, array], [tensor]], ["array", "tensor"], ["one", "two"])
    drawn = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert [image.shape for image in drawn] == [(28, 28, 3), (28, 28, 3), (28, 28)] and all(
        (image == 1).all() for image in drawn
    )


def test_the_confusion_matrix_shows_counts():
    scores = evaluation.Scores({}, np.array([1, 0]), np.array([[9, 1], [3, 0]]), "test")
    figure = plots.confusion(scores, ("a", "b"))
    assert [text.get_text() for text in figure.axes[0].texts] == ["9", "1", "3", "0"]
