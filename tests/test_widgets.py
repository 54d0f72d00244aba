"""Widgets: a still form everywhere, a live one that follows its sliders, and what they show at the ends of the ranges."""

import io
import re

import numpy as np
import pytest
import torch
from ipywidgets import HTML, Widget
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.text import Text
from PIL import Image

from course_utils import datasets, plots, settings, widgets

NAMES = ("a", "b", "c")
P = np.array([[0.98, 0.01, 0.01], [0.6, 0.3, 0.1], [0.1, 0.9, 0.0], [0.97, 0.02, 0.01], [0.5, 0.4, 0.1]])
TRUTH = np.array([0, 1, 1, 1, 0])  # of class c there is none
PRIOR = np.array([0.7, 0.2, 0.1])
COLOUR = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3), np.uint8)
GREY = COLOUR[..., :1]
RUNS = [
    {"method": method, "macro-F1": value}
    for method, values in {"worse": (0.1, 0.3, 0.5), "better": (0.2, 0.4, 0.6)}.items()
    for value in values
]


def flatten(p, T):
    """No solution of an exercise: it moves p towards the uniform distribution."""
    return p * (1 - T / 4) + T / 4 / p.shape[1]


def mean(x1, p1, x2, p2, lam):
    return (x1 + x2) / 2, (p1 + p2) / 2


SLIDERS = {  # each widget, with another value for each of its sliders
    "threshold": (lambda **start: widgets.threshold(P, TRUTH, COLOUR, NAMES, **start), {"tau": 0.5}),
    "adjustment": (lambda **start: widgets.adjustment(P, PRIOR, TRUTH, NAMES, **start), {"strength": 2.0}),
    "sharpening": (lambda **start: widgets.sharpening(flatten, **start), {"T": 1.5}),
    "mixup": (lambda **start: widgets.mixup(COLOUR[0], COLOUR[1], ("a", "b"), **start), {"lam": 0.1}),
    "graph": (lambda **start: widgets.graph(**start), {"gamma": 3000.0, "k": 1}),
    "averaging": (lambda **start: widgets.averaging(**start), {"decay": 0.9}),
    "one_run_each": (lambda **start: widgets.one_run_each(RUNS, ["worse", "better"], **start), {"lab": 4}),
}
each_widget = pytest.mark.parametrize("name", SLIDERS)


class Shown:
    """What a widget handed to `plots.show`."""

    def __init__(self, figure, words, live):
        self.figure, self.words, self.live = figure, words, live
        self.texts = [text.get_text() for text in figure.findobj(Text)]
        self.title = next(text for text in self.texts if text)

    def pixels(self):
        """(H, W, 3) whole numbers, 80 for each inch."""
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


@pytest.fixture
def show(monkeypatch):
    """Calls a widget and returns what it shows."""
    kept = []
    monkeypatch.setattr(plots, "show", lambda *args: kept.append(Shown(*args)))

    def call(widget, *args, **options):
        widget(*args, **options)
        return kept.pop()

    return call


# ---------------------------------------------------------------------------------------------------- still and live form


@each_widget
def test_without_widgets_the_picture_and_its_words_are_shown(name, monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "display", lambda data, **options: shown.append(data))
    monkeypatch.setattr(plots, "get_ipython", lambda: object())
    assert not settings.WIDGETS
    SLIDERS[name][0]()
    assert set(shown[0]) == {"image/png", "text/plain"} and len(shown[0]["image/png"]) < 250_000


@each_widget
def test_with_widgets_the_sliders_take_its_place(name, monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "display", lambda data, **options: shown.append(data))
    monkeypatch.setattr(plots, "get_ipython", lambda: object())
    monkeypatch.setattr(settings, "WIDGETS", True)
    monkeypatch.delattr(Widget, "_repr_mimebundle_", raising=False)  # ipywidgets 7, which Colab has, is without it
    SLIDERS[name][0]()
    view = shown[0]["application/vnd.jupyter.widget-view+json"]
    assert "image/png" in shown[0] and len(view["model_id"]) == 32 and view["version_major"] == 2


@each_widget
def test_each_slider_changes_the_picture_and_the_words(name, show):
    widget, values = SLIDERS[name]
    box = show(widget).live()
    *sliders, page = box.children
    assert isinstance(page, HTML) and len(sliders) == len(values)
    for slider, value in zip(sliders, values.values()):
        before = page.value
        slider.value = value
        assert all(new != old for new, old in zip(page.value.split("<p "), before.split("<p ")))
        assert not slider.continuous_update and slider.description
    assert show(widget, **values).words in page.value.replace("&amp;", "&")


def test_the_live_picture_has_two_pixels_for_each_of_the_page(show):
    page = show(widgets.sharpening, flatten).live().children[-1].value
    width, data = int(re.search(r"width='(\d+)'", page)[1]), re.search(r"base64,([^']+)'", page)[1]
    assert Image.open(io.BytesIO(plots.base64.b64decode(data))).width == 2 * width <= 2 * 760


@each_widget
def test_the_same_call_shows_the_same(name, show):
    first, second = (show(SLIDERS[name][0]) for _ in range(2))
    assert np.array_equal(first.pixels(), second.pixels()) and first.words == second.words


@each_widget
def test_a_start_outside_the_slider_is_refused(name, show):
    for slider in SLIDERS[name][1]:
        with pytest.raises(ValueError, match=f"{slider} is -9: it takes a number from .* to "):
            show(SLIDERS[name][0], **{slider: -9})


def test_an_error_of_a_students_function_is_seen(show):
    def stops(p, T):
        if T < 0.3:
            raise RuntimeError("p <0")
        return p

    slider, page = show(widgets.sharpening, stops).live().children
    slider.value = 0.1
    assert page.value.startswith("<p role='status'") and ">RuntimeError: p &lt;0</p>" in page.value
    slider.value = 0.6
    assert "<img" in page.value


# --------------------------------------------------------------------------------------------------------------- threshold


def test_a_threshold_of_zero_keeps_everything(show):
    shown = show(widgets.threshold, P, TRUTH, COLOUR, NAMES, tau=0.0)
    assert shown.title == "τ = 0.00 keeps 100% of the pool, and 60% of what it keeps is right"
    assert "all 100%, a 100%, b 100%, c n/a" in shown.words and "all 60%, a 50%, b 100%, c n/a" in shown.words
    assert {"kept, right: 3", "kept, wrong: 2", "rejected: 0", "a, is b", "n/a"} <= set(shown.texts)


def test_what_is_kept_counts_by_true_class_and_what_is_right_by_pseudo_label(show):
    words = show(widgets.threshold, P, TRUTH, COLOUR, NAMES).words
    assert "kept, right: 1; kept, wrong: 1; rejected: 3" in words
    assert "Kept of each true class: all 40%, a 50%, b 33%, c n/a." in words
    assert words.endswith("Right among the kept, by pseudo-label: all 50%, a 50%, b n/a, c n/a.")


def test_a_threshold_of_one_keeps_what_is_certain(show):
    shown = show(widgets.threshold, P, TRUTH, COLOUR, NAMES, tau=1.0)
    assert shown.title == "τ = 1.00 keeps 0% of the pool" and "rejected: 5" in shown.texts
    assert show(widgets.threshold, np.eye(3)[TRUTH], TRUTH, COLOUR, NAMES, tau=1.0).title.startswith(
        "τ = 1.00 keeps 100%"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_threshold_keeps_what_equals_it(dtype, show):
    p = np.array([[0.95, 0.05], [0.94, 0.06]], dtype)
    assert "kept, right: 1; kept, wrong: 0; rejected: 1" in show(widgets.threshold, p, [0, 0], COLOUR[:2], "ab").words


def test_at_most_six_images_of_each_kind(show):
    n = 40
    p, truth = np.tile([0.99, 0.01], (n, 1)), np.arange(n) % 2
    shown = show(widgets.threshold, p, truth, np.zeros((n, 4, 4, 1), np.uint8), ("yes", "no"))
    assert shown.texts.count("yes, is no") == 6 and shown.texts.count("yes") == 6 + 1  # and the name of the bar


def test_a_rule_of_ones_own_decides(show):
    def rule(logits, tau):
        assert torch.allclose(logits.softmax(1), torch.from_numpy(P).float().double(), atol=1e-6)
        return torch.full((5,), 2), torch.tensor([1.0, 0, 0, 0, 0])

    shown = show(widgets.threshold, P, TRUTH, COLOUR, NAMES, rule=rule)
    assert "kept, right: 0; kept, wrong: 1; rejected: 4" in shown.words and "c, is a" in shown.texts
    with pytest.raises(ValueError, match=r"rule returned \(4,\), expected \(5,\), finite numbers: run its check first"):
        show(widgets.threshold, P, TRUTH, COLOUR, NAMES, rule=lambda logits, tau: (torch.zeros(4), torch.zeros(4)))


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_arrays_and_tensors_look_alike(images, show):
    tensors = datasets.to_tensor(images)
    array = show(widgets.threshold, P, TRUTH, images, NAMES, tau=0.8)
    tensor = show(widgets.threshold, torch.from_numpy(P), torch.from_numpy(TRUTH), tensors, NAMES, tau=0.8)
    assert np.array_equal(array.pixels(), tensor.pixels())
    arrays, *others = [
        show(widgets.mixup, *two[:2], ("a", "b")).pixels() for two in (images, tensors, tensors / 127.5 - 1)
    ]
    for other in others:
        assert np.abs(arrays - other).max() <= 1


# -------------------------------------------------------------------------------------------------------------- adjustment


def test_strength_zero_changes_nothing(show):
    shown = show(widgets.adjustment, P, PRIOR, TRUTH, NAMES)
    assert "accuracy 0.60 → 0.60, macro-F1 0.58 → 0.58, balanced accuracy 0.67 → 0.67" in shown.title
    assert shown.words.endswith("Recall: a 100%, b 33%, c n/a.")


def test_strength_moves_answers_to_rare_classes(show):
    shown = show(widgets.adjustment, P, PRIOR, TRUTH, NAMES, strength=1.0)
    assert shown.words.endswith("Recall: a 50%, b 67%, c n/a.") and "accuracy 0.60 → 0.60" in shown.title


def test_a_probability_of_zero_is_never_the_answer(show):
    certain = np.eye(3)[TRUTH]
    assert "accuracy 1.00 → 1.00" in show(widgets.adjustment, certain, PRIOR, TRUTH, NAMES, strength=2.0).title


# ------------------------------------------------------------------------------------------------------ sharpening and MixUp


def test_sharpening_shows_what_ones_own_function_returns(show):
    shown = show(widgets.sharpening, lambda p, T: torch.tensor([[0.9, 0.1]]), T=0.05, p=(0.6, 0.4))
    assert shown.title == "T = 0.05 sharpens: the top class has 0.60 before, 0.90 after"
    assert "0.60 to 0.90, 0.40 to 0.10; the entropy from 0.67 to 0.33" in shown.words
    assert "changes nothing" in show(widgets.sharpening, lambda p, T: p).title
    assert "flattens" in show(widgets.sharpening, flatten, T=2.0).title


def test_sharpening_refuses_what_is_no_answer(show):
    for answer in (lambda p, T: p[0], lambda p, T: p / 0, lambda p, T: p.sum()):
        with pytest.raises(
            ValueError, match=r"sharpen returned .* expected \(1, 5\), finite numbers: run its check first"
        ):
            show(widgets.sharpening, answer)


def test_sharpening_hands_over_a_copy(show):
    def spoils(p, T):
        p.mul_(2)
        return p / 2

    slider, page = show(widgets.sharpening, spoils).live().children
    slider.value = 1.0
    assert "0.40 to 0.40" in page.value


def mixture(shown):
    """The pixels of the image in the middle."""
    return shown.pixels()[34:190, 186:342]


def test_mixup_at_the_ends_is_one_of_the_images(show):
    black, white = np.zeros((4, 4, 1), np.uint8), np.full((4, 4, 1), 255, np.uint8)
    for lam, value in ((1.0, 0), (0.0, 255), (0.5, 127)):
        shown = show(widgets.mixup, black, white, ("night", "day"), lam)
        assert np.abs(mixture(shown) - value).max() <= 2
        assert shown.title == f"λ = {lam:.2f}: image and label become {lam:.0%} night and {1 - lam:.0%} day"


def test_mixup_shows_what_ones_own_function_returns(show):
    own = show(widgets.mixup, COLOUR[0], COLOUR[1], ("a", "b"), lam=0.9, mix=mean)
    assert own.title == "λ = 0.90: image and label become 50% a and 50% b"
    assert np.abs(mixture(own) - mixture(show(widgets.mixup, COLOUR[0], COLOUR[1], ("a", "b"), 0.5))).max() <= 2
    with pytest.raises(ValueError, match=r"mix returned \(1, 3, 6, 6\), expected \(1, 2\)"):
        show(widgets.mixup, COLOUR[0], COLOUR[1], ("a", "b"), mix=lambda x1, p1, x2, p2, lam: (x1, x1))


# ------------------------------------------------------------------------------------------------------ graph and averaging


def test_the_moons_fall_apart_stay_whole_or_are_joined(show):
    assert "80 of 80 points hear one class" in show(widgets.graph).words
    assert "80 of 80 points hear several classes" in show(widgets.graph, gamma=0.1, k=20).words
    huge = show(widgets.graph, gamma=10_000.0)
    assert "78 of 80 points hear no label" in huge.title
    lone = show(widgets.graph, k=1)
    assert "pieces" in lone.words and "hears no label" in lone.texts


POINTS = np.array([[0.0, 0], [0, 0], [1, 0], [5, 0], [6, 0]])


def test_labels_reach_what_is_connected(show):
    labels = np.array([0, -1, -1, 7, -1])
    assert "2 pieces; 5 of 5 points hear one class" in show(widgets.graph, POINTS, labels, 0.3, 1).words
    assert "all connected; 5 of 5 points hear several classes" in show(widgets.graph, POINTS, labels, 0.1, 3).words
    assert (
        "3 of 5 points hear one class, 2 of 5 points hear no label"
        in show(widgets.graph, torch.from_numpy(POINTS), torch.tensor(labels), 1000.0, 1).words
    )


def test_an_edge_is_as_dark_as_its_weight(show, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "course_utils.widgets.neighbours.LineCollection", lambda lines, **how: drawn.append(how) or _Empty()
    )
    show(widgets.graph, POINTS, np.array([0, -1, -1, 1, -1]), 1.0, 1)
    assert np.allclose(np.sort(drawn[0]["alpha"]), np.exp([-1, -1, -1, 0, 0]))


class _Empty(LineCollection):
    def __init__(self):
        super().__init__([])


def test_the_average_follows_the_rule_of_the_mean_teacher(show):
    """At first it is the plain mean of all weights so far, whatever the decay."""
    at_300 = [
        re.search(r"its average to (-?\d\.\d+)", show(widgets.averaging, d).words)[1] for d in (0.997, 0.998, 0.999)
    ]
    assert len(set(at_300)) == 1  # 1 - 1/301 is below all three
    assert show(widgets.averaging, 0.999).title.endswith("an average over the last 1000 steps or so")
    assert show(widgets.averaging, 0.99).title.endswith("an average over the last 100 steps or so")
    wobbles = [
        float(re.search(r"its average by (\d\.\d+)", show(widgets.averaging, d).words)[1]) for d in (0.8, 0.95, 0.99)
    ]
    assert wobbles == sorted(wobbles, reverse=True)


# ------------------------------------------------------------------------------------------------------------- one run each


def test_labs_that_run_each_method_once_disagree(show):
    words = [show(widgets.one_run_each, RUNS, ["worse", "better"], lab=lab).words for lab in range(1, 31)]
    firsts = ["worse" if "in macro-F1: worse" in word else "better" for word in words]
    assert {f"worse ({firsts.count('worse')})", f"better ({firsts.count('better')})"} <= set(
        re.findall(r"\w+ \(\d+\)", words[0])
    )
    assert 0 < firsts.count("worse") < firsts.count("better") and firsts.count("worse") + firsts.count("better") == 30
    # each lab's scores are runs of its methods
    assert {float(value) for word in words for value in re.findall(r"worse \((0\.\d+)\)", word)} == {0.1, 0.3, 0.5}


# --------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: widgets.threshold(P * 2, TRUTH, COLOUR, NAMES),
            "probabilities must be .* apply softmax to logits first",
        ),
        (lambda: widgets.threshold(P[0], TRUTH, COLOUR, NAMES), "probabilities must be"),
        (lambda: widgets.threshold(P, TRUTH, COLOUR, "ab"), "class_names has 2 names, but probabilities has 3 columns"),
        (lambda: widgets.threshold(P, TRUTH[:3], COLOUR, NAMES), "truth must be 5 whole numbers from 0 to 2"),
        (lambda: widgets.threshold(P, TRUTH + 2, COLOUR, NAMES), "truth must be 5 whole numbers from 0 to 2"),
        (lambda: widgets.threshold(P, TRUTH / 1, COLOUR, NAMES), "truth must be 5 whole numbers from 0 to 2"),
        (lambda: widgets.threshold(P, TRUTH, COLOUR[:2], NAMES), "images has 2, but probabilities has 5 rows"),
        (lambda: widgets.adjustment(P, [0.5, 0.5, 0], TRUTH, NAMES), "prior must be 3 numbers above 0"),
        (lambda: widgets.adjustment(P, [0.5, 0.5], TRUTH, NAMES), "prior must be 3 numbers above 0"),
        (lambda: widgets.sharpening(flatten, p=(0.5, 0.6)), "p must be .* each row with the sum 1"),
        (lambda: widgets.mixup(COLOUR[0], GREY[0], "ab"), r"image_a is \(6, 6, 3\) and image_b is \(6, 6\)"),
        (
            lambda: widgets.mixup(COLOUR[0], COLOUR[1], ("a",)),
            r"names is \('a',\): it takes the labels of the two images",
        ),
        (lambda: widgets.one_run_each(RUNS, ["worse", "best"]), "there is no run of best with macro-F1"),
        (lambda: widgets.graph(POINTS), "labels must be one whole number for each point"),
        (lambda: widgets.graph(POINTS, np.full(5, -1)), "labels must be .* not all -1"),
        (lambda: widgets.graph(POINTS[:, 0], np.zeros(5, int)), r"points must be \(N, 2\) finite numbers"),
        (lambda: widgets.graph(POINTS, np.zeros(5, int), k=5), "k is 5: it takes a number from 1 to 4"),
        (lambda: widgets.graph(gamma=0.0), "gamma is 0.0: it takes a number from 0.1 to 10000"),
    ],
)
def test_what_does_not_fit_is_named(call, message, show):
    with pytest.raises(ValueError, match=message):
        call()
