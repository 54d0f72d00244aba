"""Checks of lesson 07: FlexMatch's memory, status and thresholds, its step, the two repairs under imbalance, SoftMatch's weight."""

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F

from course_utils.batches import Batch
from course_utils.check.battery import classes, extreme_logits, none, probabilities, scattered, uniform
from course_utils.check.cases import Case, Exercise, loss_and_logs, returns, slips
from course_utils.check.expect import Fix, Part, expect_kind, expect_tuple
from course_utils.check.probe import Probe

EXACT = "compare as it is: no rounding, no tolerance, no half precision"
TAU_0 = "tau = 0 is taken as missing: it is a threshold like any other"
TAU_IGNORED = "tau is ignored: it is an argument, not always .95"
_MEMORY = Part("the memory", "int64 tensor")


def _notes(seed, n, num_classes):
    """(n,) a memory: about a third without a note, class c about twice as often as class c + 1."""
    return torch.where(uniform(seed, n) < -0.6, -1, classes(seed + 1, n, num_classes))


_positions = lambda seed, n, pool: torch.from_numpy(np.random.RandomState(seed).permutation(pool)[:n].astype(np.int64))
_written = lambda memory, index, label, sure: memory.scatter(0, index[sure], label[sure])
_empty = lambda n: torch.full((n,), -1)


def _fresh(memory, new):
    """A fault, as a part, if the new memory is the old one itself."""
    if isinstance(new, torch.Tensor) and new.data_ptr() == memory.data_ptr():
        return {"the copy": Fix("without a sure pseudo-label the old memory itself comes back: return a copy, then, too")}
    return {}


# --------------------------------------------------------------------------------------------------------- 7.1 remember


def _remembered(function, memory, *others):
    seen = returns(_MEMORY)(function, memory, *others)
    return seen | _fresh(memory, seen["the memory"])


@slips
def _remember(sure=lambda b: b.sure, at=lambda b: b.index[b.keep], what=lambda b: b.label[b.keep], start=torch.clone):
    def answer(memory, index, label, c, tau):
        b = SimpleNamespace(index=index, label=label, c=c, tau=tau, old=memory[index], sure=c >= tau, rank=(c >= tau).cumsum(0))
        b.keep, new = sure(b), start(memory)
        new[at(b)] = what(b)
        return new

    return answer


def _shown(seed, n, pool, num_classes):
    """A memory and what a batch brings; the confidences have three decimals, so that a tau with four is never hit."""
    confidence = uniform(seed + 4, n, low=0.0, high=1.0)
    return _notes(seed, pool, num_classes), _positions(seed + 2, n, pool), classes(seed + 3, n, num_classes), confidence


# Image 0 and class 0 are noted, a smaller class replaces a larger one, and the positions are in no order
_EXAMPLE = torch.tensor([2, 3, -1, 1, -1, 0, 2, 3]), torch.tensor([3, 6, 4, 0, 2, 1]), torch.tensor([2, 3, 1, 1, 2, 0])
_CONFIDENCE = torch.tensor([0.97, 0.60, 0.99, 0.98, 0.30, 0.96])
_PLACES, _ONES = torch.tensor([2, 0, 3, 1]), torch.ones(4, dtype=torch.int64)
_NEAR = torch.tensor([0.8 + d for d in (1e-4, -1e-4, 1e-6, -1e-6)])
REPLACES = "a new confident pseudo-label replaces an old one"
EARLY = "only a part of the batch is looked at: is the `return` or the copy inside the loop, or is `break` used?"
TOGETHER = "positions and pseudo-labels do not belong together: pick both, `index` and `pseudo_label`, with the same mask"

remember = Exercise(
    "7.1",
    "remember",
    "remember the confident pseudo-labels",
    why="The method now has a memory of what it once was sure about: its own record of how the learning goes.",
    observe=_remembered,
    cases=[
        Case("of the worked example", (*_EXAMPLE, _CONFIDENCE, 0.95), [1, 0, -1, 2, 1, 0, 2, 3]),
        Case("with other pseudo-labels, at tau = .975", (*_EXAMPLE[:2], 3 - _EXAMPLE[2], _CONFIDENCE, 0.975), [2, 3, -1, 1, 2, 0, 2, 3]),
        Case(
            "after confidences .5, .25, .4999 and .75 at tau = .5",
            (_empty(4), torch.tensor([1, 2, 3, 0]), torch.tensor([2, 1, 1, 0]), torch.tensor([0.5, 0.25, 0.4999, 0.75]), 0.5),
            [0, 2, -1, -1],
        ),
        Case(
            "after a batch without a sure pseudo-label",
            (torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0, 1]), torch.tensor([0.1, 0.2]), 0.9),
            [0, 1],
        ),
    ],
    mistakes={
        "the memory is unchanged: write the sure pseudo-labels into the copy, and return the copy": lambda m, *_: m.clone(),
        "unsure pseudo-labels are noted, too: a confidence of at least tau is wanted": _remember(sure=lambda b: b.c >= 0),
        "the unsure pseudo-labels are noted and the sure ones are not": _remember(sure=lambda b: b.c < b.tau),
        "an unsure pseudo-label deletes the old note: it must leave it as it is": (
            _remember(at=lambda b: b.index, what=lambda b: torch.where(b.sure, b.label, -1)),
            _remember(sure=lambda b: b.sure | (b.label != b.old), what=lambda b: torch.where(b.sure, b.label, -1)[b.keep]),
        ),
        "the notes go to the first positions: write to `index`, the positions in the pool": _remember(at=lambda b: b.sure.nonzero()[:, 0]),
        f"a note is only written where there was none: {REPLACES}": _remember(sure=lambda b: b.sure & (b.old < 0)),
        f"the larger of the old and the new class is kept: {REPLACES}": _remember(sure=lambda b: b.sure & (b.label > b.old)),
        "the old notes are gone: begin with a copy of the memory": _remember(start=lambda m: torch.full_like(m, -1)),
        "positions are noted: note the pseudo-label": _remember(what=lambda b: b.index[b.keep]),
        EARLY: (
            _remember(sure=lambda b: b.sure.cumprod(0).bool()),
            _remember(sure=lambda b: b.sure & (b.rank == 1)),
            _remember(sure=lambda b: b.sure & (b.rank == b.rank[-1])),
        ),
        TOGETHER: (_remember(at=lambda b: b.index[: b.sure.sum()]), _remember(what=lambda b: b.label), _remember(at=lambda b: b.index)),
        "the notes land in the order of the positions, not of `index`": _remember(at=lambda b: b.index[b.keep].sort().values),
        "image 0 is left out: 0 is a position like any other": _remember(sure=lambda b: b.sure & (b.index > 0)),
        "class 0 is never noted: 0 is a class, and only -1 means no note": _remember(sure=lambda b: b.sure & (b.label > 0)),
        "these are the pseudo-labels: return the whole memory, with the sure ones written in": lambda m, i, label, *_: label.clone(),
        "this is the batch's part of the memory: return the whole memory": lambda m, i, label, c, tau: torch.where(c >= tau, label, m[i]),
        "a confidence of exactly tau is noted, too: >= instead of >": _remember(sure=lambda b: b.c > b.tau),
        TAU_IGNORED: _remember(sure=lambda b: b.c >= 0.95),
        TAU_0: _remember(sure=lambda b: b.c >= (b.tau or 0.95)),
        f"a confidence just below tau is noted: {EXACT}": (
            _remember(sure=lambda b: b.c.round(decimals=2) >= b.tau),
            _remember(sure=lambda b: b.c >= b.tau - 1e-3),
            _remember(sure=lambda b: b.c.half() >= b.tau),
        ),
        "large class numbers are cut off: bytes end at 255, keep int64": _remember(what=lambda b: b.label[b.keep].byte().long()),
    },
    errors={"Boolean value": "`if` takes one confidence at a time: loop over the batch, or pick with a mask, index[sure]"},
    battery={
        **none("class numbers are copied and nothing is computed: no logits, no gradient, no network, one batch at a time"),
        "one": [
            Case("after a batch of one image", (torch.tensor([2, -1, 0]), _ONES[:1], _ONES[:1], torch.tensor([0.97]), 0.9)),
            Case("for a pool of one image", (torch.tensor([1]), torch.tensor([0]), torch.tensor([0]), torch.tensor([0.7]), 0.6)),
        ],
        "classes": [
            Case("for two classes", (*_shown(5, 6, 9, 2), 0.4005)),
            Case("for 400 classes", (torch.tensor([399, 7, -1]), torch.tensor([2, 1]), torch.tensor([300, 128]), _CONFIDENCE[:2], 0.5)),
        ],
        "uneven": [Case("for pseudo-labels of which most are class 0", (*_shown(10, 30, 40, 4), 0.3005))],
        "sizes": [Case("for 2100 of 40000 images", (*_shown(15, 2100, 40_000, 5), 0.6005))],
        "ties": [Case("after confidences that miss tau = .8 by 1e-4 and 1e-6", (_empty(4), _PLACES, _ONES, _NEAR, 0.8))],
        "layout": [Case("for inputs that are not contiguous", (*map(scattered, _shown(20, 5, 8, 3)), 0.5005))],
        "ends": [
            Case("at tau = 0", (torch.tensor([1, -1, 0, 0]), _PLACES, _ONES, torch.tensor([0.0, 0.3, 1.0, 0.9]), 0.0)),
            Case("at tau = 1", (torch.tensor([0, -1, 0, 0]), _PLACES, _ONES, torch.tensor([1.0, 0.9999, 1.0, 0.0]), 1.0)),
        ],
    },
)


# ----------------------------------------------------------------------------------------------------------- 7.2 status


_count = lambda memory, n: (memory.reshape(-1, 1) == torch.arange(n)).sum(0).float()
_COUNTS = {  # what else may be counted, and the cause
    "the last class has no note and was left out: minlength is the number of classes": lambda m, n: torch.bincount(m[m >= 0]).float(),
    "class 0 is left out of the counts: it is a class, and only -1 means no note": lambda m, n: _count(m, n) * (torch.arange(n) > 0),
    "-1 points at the last entry, so images without a note count for the last class": lambda m, n: _count(m % n, n),
    "images without a note count for class 0: leave those with -1 out": lambda m, n: _count(m.clamp(min=0), n),
    "images without a note count for class 1: leave those with -1 out": lambda m, n: _count(m.abs(), n),
    "the number of classes is written in: there may be any number of them": lambda m, n: _count(m, 10)[:n],
    "the counts wrap at 256: bytes hold no larger number": lambda m, n: _count(m, n).byte().float(),
    "the counts are rounded above 2,048: no half precision": lambda m, n: _count(m, n).half().float(),
}


def _counting(*rules):
    """Answers from the counts, the number of images without a note, and the number of all images."""
    return tuple(lambda m, n, rule=rule: rule(_count(m, n), int((m < 0).sum()), len(m)) for rule in rules)


def _counts_otherwise(count):
    def answer(memory, num_classes):
        counts = count(memory, num_classes)
        return counts / counts.max().clamp(min=(memory < 0).sum())

    return answer


def _own_class(memory, num_classes):
    counts = _count(memory + 1, num_classes + 1)
    return counts / counts.max()


def _pool_of(*counts):
    """A memory, mixed, with so many notes of class 0, 1, ..., and the last number of images without one."""
    memory = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return torch.where(memory < len(counts) - 1, memory, -1)[_positions(0, len(memory), len(memory))]


WARM_UP = "the warm-up is missing: the number of images without a note enters the maximum"
LARGER = "take the larger of the two numbers in the braces"
NO_MINUS_ONE = {
    "bincount only supports": "bincount takes no -1: leave those images out first, memory[memory >= 0]",
    "invalid combination": "torch.max takes no tensor beside a number: Python's max(a, b) does",
}

learning_status = Exercise(
    "7.2",
    "learning_status",
    "the learning status",
    why="Classes learn at different speeds, and you have found a way to see it without a single extra label.",
    observe=returns(Part("the status", "float tensor")),
    cases=[
        Case("for counts 40, 10, 0 and 50 images without a note", (_pool_of(40, 10, 0, 50), 3), [0.8, 0.2, 0.0]),
        Case("for counts 60, 30, 5 and 5 images without a note", (_pool_of(60, 30, 5, 5), 3), [1.0, 0.5, 1 / 12]),
        Case("of an empty memory", (_empty(7), 4), [0.0] * 4),
        Case("when every image has a note (2, 2, 1, 2)", (torch.tensor([2, 2, 1, 2]), 3), [0.0, 1 / 3, 1.0]),
    ],
    mistakes={
        WARM_UP: _counting(lambda c, w, n: c / c.max(), lambda c, w, n: c / c.max().clamp(min=w / n)),
        f"the counts are divided by N: {LARGER}": _counting(lambda c, w, n: c / n),
        f"these are counts: {LARGER}, and divide": _counting(lambda c, w, n: c),
        f"the counts are divided by their sum: {LARGER}": _counting(lambda c, w, n: c / c.sum(), lambda c, w, n: c / c.sum().clamp(min=w)),
        f"the two numbers are added: {LARGER}": _counting(lambda c, w, n: c / (c.max() + w)),
        f"the two numbers are averaged: {LARGER}": _counting(lambda c, w, n: 2 * c / (c.max() + w)),
        f"this is the smaller one: {LARGER}": _counting(lambda c, w, n: c / c.max().clamp(max=w)),
        f"all is divided by the number without a note: {LARGER}": _counting(lambda c, w, n: c / w),
        "the fraction is inverted: the count stands above the line": _counting(lambda c, w, n: c.max().clamp(min=w) / c),
        "each class has a divisor of its own: it is the same number for all classes": _counting(lambda c, w, n: c / c.clamp(min=w)),
        "-1 is counted as a class of its own: leave those images out": (_own_class, lambda m, n: _own_class(m, n).roll(-1)),
        "whole-number division: a status is a fraction, use /": _counting(lambda c, w, n: c // c.max().clamp(min=w)),
        "in an empty memory every status is 0": _counting(lambda c, w, n: torch.where(c.sum() > 0, c / c.max().clamp(min=w), 1.0)),
        "the warm-up is no switch: divide by the larger number": _counting(lambda c, w, n: torch.where(c.max() >= w, c / c.max(), 0.0)),
        "class 0 is taken for no note: only -1 means none": lambda m, n: _count(m, n) / _count(m, n).max().clamp(min=(m <= 0).sum()),
        **{cause: _counts_otherwise(count) for cause, count in _COUNTS.items()},
    },
    errors=NO_MINUS_ONE,
    battery={
        **none("notes are counted: no logits, no gradient, no network, no loop"),
        "one": [Case("of one image with a note", (torch.tensor([1]), 2)), Case("of one image without a note", (torch.tensor([-1]), 2))],
        "classes": [
            Case("for two classes", (_notes(1, 12, 2), 2)),
            Case("for ten classes, the last one absent", (_notes(3, 40, 9), 10)),
            Case("for twenty classes, the last one absent", (_pool_of(0, 3, *[0] * 9, 4, *[0] * 6, 5, 0, 2), 20)),
            Case("for one class", (_pool_of(3, 9), 1)),
        ],
        "uneven": [
            Case("for notes of which most are class 0", (_notes(5, 60, 5), 5)),
            Case("when the last class is ahead", (_pool_of(1, 2, 30, 7), 3)),
        ],
        "sizes": [
            Case(f"for counts {a}, {b}, {c} and 206 images without a note", (_pool_of(a, b, c, 206), 3))
            for a, b, c in ((300, 2500, 4001), (4001, 2200, 600))
        ],
        "ties": [
            Case("for counts 3000, 3001 and 1000 images without a note", (_pool_of(3000, 3001, 1000), 2)),
            Case("for counts 3000, 1 and 3001 images without a note", (_pool_of(3000, 1, 3001), 2)),
        ],
        "layout": [Case("for a memory that is not contiguous", (scattered(_notes(7, 12, 3)), 3))],
        "ends": [
            Case("for as many images without a note as in the class ahead", (_pool_of(5, 2, 5), 2)),
            Case("for one note in 3000 images", (_pool_of(0, 1, 2999), 2)),
        ],
    },
)


# ------------------------------------------------------------------------------------------------------- 7.3 thresholds


_map = lambda x: 2 / (2 - x) - 1
_STATUS = torch.tensor([0.8, 0.2, 0.5])
RAISED = "a low threshold is raised: take the thresholds as they are, 0 is one of them"

flexible_thresholds = Exercise(
    "7.3",
    "flexible_thresholds",
    "thresholds",
    why="A class that lags behind gets an easier test, so that it is not left out for good.",
    observe=returns(Part("the tensor of thresholds", "float tensor")),
    cases=[
        Case("for status .8, .2, .5 at tau = .95", (_STATUS, 0.95), [0.95 * 2 / 3, 0.95 / 9, 0.95 / 3]),
        Case("for status 1 and 0 at tau = .95", (torch.tensor([1.0, 0.0]), 0.95), [0.95, 0.0]),
        Case("when every status is 0", (torch.zeros(3), 0.95), [0.0] * 3),
        Case("for status .8, .2, .5 at tau = .5", (_STATUS, 0.5), [1 / 3, 1 / 18, 1 / 6]),
    ],
    mistakes={
        "this is the straight line: the convex map x / (2 - x) is missing": lambda s, tau: tau * s,
        "the rule is reversed: a class that is behind must get a LOWER threshold": (
            lambda s, tau: tau / s,
            lambda s, tau: tau * s.max() / s,
            lambda s, tau: tau * (1 - s),
            lambda s, tau: tau * (1 - _map(s)),
        ),
        "the fraction is inverted: x stands above the line, 2 - x below": lambda s, tau: tau * (2 - s) / s,
        "tau is missing: it multiplies the map": lambda s, tau: _map(s),
        "brackets: x / (2 - x), not x / 2 - x": (lambda s, tau: tau * s / 2 - s, lambda s, tau: tau * (s / 2 - s)),
        "tau is inside the map: it multiplies the result": lambda s, tau: _map(tau * s),
        "tau multiplies the map, nothing is subtracted or divided": (lambda s, tau: tau - _map(s), lambda s, tau: _map(s) / tau),
        "the sign: 2 - x": lambda s, tau: tau * s / (2 + s),
        "all classes get tau: the status does not enter": lambda s, tau: torch.full_like(s, tau),
        "this is another map: x / (2 - x)": (lambda s, tau: tau * s**2, lambda s, tau: tau * (s + 1).log2(), lambda s, tau: tau * s**0.5),
        "the status is divided by its maximum: it has been compared already": lambda s, tau: tau * _map((s / s.max()).nan_to_num()),
        "the highest threshold is raised to tau: only status 1 has it": lambda s, tau: tau * (_map(s) / _map(s).max()).nan_to_num(),
        "2 - x, each class with its own status": (lambda s, tau: tau * s / (2 - s.max()), lambda s, tau: tau * s / (2 - s.mean())),
        TAU_IGNORED: lambda s, tau: 0.95 * _map(s),
        TAU_0: lambda s, tau: (tau or 0.95) * _map(s),
        RAISED: (lambda s, tau: (tau * _map(s)).clamp(min=1 / len(s)), lambda s, tau: torch.where(s > 0, tau * _map(s), tau)),
    },
    battery={
        **none("a status goes in that has been counted: no labels, no logits, no gradient, no network, no loop"),
        "extremes": "a status lies between 0 and 1, and both ends are tried",
        "one": [Case("for one class", (torch.tensor([0.3]), 0.9))],
        "classes": [
            Case("for two classes", (torch.tensor([0.7, 0.05]), 0.95)),
            Case("for ten classes", (torch.linspace(0, 0.9, 10), 0.95)),
        ],
        "sizes": [Case("for 3000 classes", (uniform(1, 3000, low=0.0, high=1.0), 0.95))],
        "ties": [Case("for status 1, .9999, .999999, .5, .5001", (torch.tensor([1.0, 0.9999, 0.999999, 0.5, 0.5001]), 0.95))],
        "layout": [
            Case("for a status that is not contiguous", (scattered(uniform(2, 4, low=0.0, high=1.0)), 0.8)),
            Case("for a status of float64", (_STATUS.double(), 0.7)),
        ],
        "ends": [
            Case("at tau = 1", (torch.tensor([1.0, 0.0, 0.4]), 1.0)),
            Case("at tau = 0", (torch.tensor([0.9, 0.1, 0.6]), 0.0)),
            Case("for status .01 and .001", (torch.tensor([0.01, 0.001]), 0.95)),
        ],
    },
)


# ------------------------------------------------------------------------------------------------------------ 7.4 select


def _logits(p, label, num_classes=2):
    """Logits whose softmax is p at the label and equal elsewhere, shifted row by row as real logits are."""
    p = torch.tensor(p, dtype=torch.float64).unsqueeze(1)
    rest = ((1 - p) / (num_classes - 1)).repeat(1, num_classes)
    return (rest.scatter(1, torch.tensor(label).unsqueeze(1), p).log() + 3 * torch.arange(len(p)).unsqueeze(1)).float().requires_grad_()


_always = lambda *status: lambda memory: torch.tensor(status)
_two = lambda p: torch.stack([p, 1 - p], 1).log()


def _by_notes(num_classes):
    """A status that depends on class and memory: 1 for class 0 down to .4 for the last one, less what has a note."""
    return lambda memory: torch.linspace(1, 0.4, num_classes) - 0.3 * _count(memory, num_classes) / len(memory)


class _Asked:
    """A status_of that notes what it is asked about."""

    def __init__(self, rule):
        self.rule, self.memories = rule, []

    def __call__(self, memory):
        self.memories.append(memory.tolist())
        return self.rule(memory)

    def fault(self, memory, index):
        """A fault, as a part, unless it was asked about this very memory."""
        if memory.tolist() in self.memories:
            return {}
        cause = "the memory is renewed before the thresholds are taken: first the mask, then remember"
        if not self.memories:
            cause = "status_of is ignored: the thresholds come from status_of(memory)"
        elif memory[index].tolist() in self.memories:
            cause = "status_of gets the batch's part of the memory: hand over the whole memory"
        elif any(len(notes) < len(memory) for notes in self.memories):
            cause = "status_of gets a part of the memory only, the images with a note: hand over the whole memory"
        return {"the question": Fix(cause)}


def _selected(function, memory, index, logits_w, tau, rule):
    status_of = _Asked(rule)
    parts = Part("the pseudo-label", "int64 tensor", constant=True), Part("the mask", "float tensor", constant=True), _MEMORY
    seen = returns(*parts)(function, memory, index, logits_w, tau, status_of)
    return status_of.fault(memory, index) | seen | _fresh(memory, seen["the memory"])


@slips
def _select(
    confidences=lambda z: z.softmax(1),
    status=lambda m, i, new, ask: ask(m),
    thresholds=lambda s, tau: tau * _map(s),
    mask=lambda b: b.c >= b.T[b.g],
    noted=lambda b: b.c >= b.tau,
    out=lambda b: (b.g, b.mask, b.new),
):
    def answer(memory, index, logits_w, tau, status_of):
        c, g = confidences(logits_w.detach()).max(1)
        b = SimpleNamespace(c=c, g=g, tau=tau, old=memory[index])
        b.T = thresholds(status(memory, index, _written(memory, index, g, c >= tau), status_of), b.tau)
        b.mask = mask(b).float()
        b.new = _written(memory, index, g, noted(b))
        return out(b)

    return answer


def _picked(seed, n, pool, num_classes, scale=4):
    return _notes(seed, pool, num_classes), _positions(seed + 2, n, pool), scale * uniform(seed + 3, n, num_classes)


def _seen(memory, index, p, label, tau, status, mask, after):
    what = f"for confidences {p}, pseudo-labels {label} and status {status} at tau = {tau}"
    return Case(what, (memory, torch.tensor(index), _logits(p, label, len(status)), tau, _always(*status)), (label, mask, after))


LOOK_UP = "look up the threshold of each image's pseudo-label, thresholds[pseudo_label]"
PER_CLASS = f"thresholds has one entry for each class: {LOOK_UP}"
NOT_THOSE = "the thresholds are not flexible_thresholds(status_of(memory), tau): is the convex map missing, or tau?"
LOST = "a pseudo-label is lost where the mask is 0: return one for every image, the mask says which may teach"
PASSED = "what passes the mask is remembered: hand remember the fixed tau, not the flexible thresholds"
OTHER_NOTE = "an image that has a note, or another one, is dropped: the mask compares confidence and threshold only"
OVER_IMAGES = "the confidence of an image depends on the other images: softmax runs over the classes (dim=1)"
SIGMOID = "a sigmoid is no confidence here: take those of confident_pseudo_label, a softmax over the classes"
SWAPPED = "confident_pseudo_label returns (confidence, pseudo_label), in this order"
# The worked example: a pool of ten images, two classes
_TEN, _FIVE, _LABEL = torch.tensor([0, 0, -1, 1, 0, 0, -1, -1, 0, 0]), torch.tensor([0, 3, 6, 7, 2]), [1, 1, 0, 1, 0]
_WEAK, _AFTER = _logits([0.60, 0.58, 0.55, 0.97, 0.96], _LABEL), [0, 0, 0, 1, 0, 0, -1, 1, 0, 0]
_NEAR_T = _two(_NEAR - 0.8 + 0.95 * 2 / 3)  # two thirds of tau: the threshold at status .8
_EIGHT = torch.tensor([1, 0, 0, 1, -1, -1, 1, 0]), [4, 5, 6, 7]

select = Exercise(
    "7.4",
    "select",
    "select, then remember",
    why="Select first, remember afterwards: with this order no batch sets its own threshold.",
    observe=_selected,
    cases=[
        Case(
            "of the worked example (thresholds .95 and .09)",
            (_TEN, _FIVE, _WEAK, 0.95, _always(1.0, 1 / 6)),
            (_LABEL, [1, 1, 0, 1, 1], _AFTER),
        ),
        _seen(_empty(4), [3, 1, 2, 0], [0.99, 0.97, 0.6, 0.505], [0, 0, 0, 1], 0.95, [0.0, 0.0], [1, 1, 1, 1], [-1, 0, -1, 0]),
        _seen(*_EIGHT, [0.97, 0.59, 0.52, 0.56], [1, 1, 0, 1], 0.95, [0.5, 0.75], [1, 1, 1, 0], [1, 0, 0, 1, 1, -1, 1, 0]),
        _seen(*_EIGHT, [0.97, 0.60, 0.99, 0.70], [1, 1, 0, 1], 0.65, [1.0, 1.0], [1, 0, 1, 1], [1, 0, 0, 1, 1, -1, 0, 1]),
        _seen(_empty(5), [0, 1, 2, 3, 4], [0.7, 0.8, 0.6, 0.5, 0.4], [2, 2, 1, 1, 0], 0.95, [0.0, 0.75, 0.9], [0, 1, 1, 0, 1], [-1] * 5),
        Case(
            "for a confidence of exactly tau = 1, which is the threshold, too",
            (_empty(2), torch.tensor([1, 0]), torch.tensor([[200.0, 0.0], [3.0, 0.0]]), 1.0, _always(1.0, 1.0)),
            ([0, 0], [1, 0], [-1, 0]),
        ),
    ],
    mistakes={
        "the mask uses the fixed tau: compare with the flexible threshold of the class": _select(mask=lambda b: b.c >= b.tau),
        f"every image passes: {LOOK_UP}": (_select(mask=lambda b: b.c >= 0), _select(mask=lambda b: b.c >= b.T.min())),
        f"all have one threshold: {LOOK_UP}": (_select(mask=lambda b: b.c >= b.T.max()), _select(mask=lambda b: b.c >= b.T.mean())),
        PER_CLASS: _select(mask=lambda b: b.c >= b.T),
        "the mask is inverted: 1 means keep": _select(mask=lambda b: b.c < b.T[b.g]),
        "the thresholds are those of the old notes: look up those of the pseudo-labels": _select(mask=lambda b: b.c >= b.T[b.old]),
        OTHER_NOTE: (
            _select(mask=lambda b: (b.c >= b.T[b.g]) & ((b.old < 0) | (b.old == b.g))),
            _select(mask=lambda b: (b.c >= b.T[b.g]) & (b.old < 0)),
        ),
        "the mask holds confidences: it is 1 where an image passes, else 0": _select(mask=lambda b: b.c * (b.c >= b.T[b.g])),
        "at least includes equal: >= instead of >": (_select(mask=lambda b: b.c > b.T[b.g]), _select(noted=lambda b: b.c > b.tau)),
        "only two classes are provided for: there may be any number": _select(mask=lambda b: b.c >= torch.where(b.g == 0, b.T[0], b.T[1])),
        RAISED: (_select(mask=lambda b: b.c >= b.T.clamp(min=0.5)[b.g]), _select(mask=lambda b: (b.c >= b.T[b.g]) & (b.T[b.g] > 0))),
        f"the mask is wrong for a confidence near the threshold: {EXACT}": (
            _select(mask=lambda b: b.c >= b.T[b.g] - 1e-3),
            _select(mask=lambda b: b.c.half() >= b.T[b.g].half()),
            _select(confidences=lambda z: z.half().softmax(1).float()),
        ),
        NOT_THOSE: (
            _select(thresholds=lambda s, tau: tau * s),
            _select(thresholds=lambda s, tau: _map(s)),
            _select(thresholds=lambda s, tau: tau * tau * _map(s)),
            _select(thresholds=lambda s, tau: tau * _map(s / s.max())),
            _select(thresholds=lambda s, tau: tau * (1 - _map(s))),
        ),
        TAU_IGNORED: (_select(thresholds=lambda s, tau: 0.95 * _map(s)), _select(noted=lambda b: b.c >= 0.95)),
        PASSED: _select(noted=lambda b: b.mask > 0),
        "every pseudo-label is remembered: only those that reach tau are": _select(noted=lambda b: b.c >= 0),
        "the memory is returned as it was: remember this batch's sure pseudo-labels": _select(noted=lambda b: b.c < 0),
        f"the memory is wrong for a confidence near tau: {EXACT}": (
            _select(noted=lambda b: b.c >= b.tau - 1e-3),
            _select(noted=lambda b: b.c.half() >= b.tau),
        ),
        OVER_IMAGES: _select(confidences=lambda z: z.softmax(0)),
        SIGMOID: _select(confidences=torch.sigmoid),
        "thresholds are compared with logits: take the confidences of confident_pseudo_label": _select(confidences=lambda z: z),
        "softmax is applied twice: confident_pseudo_label takes logits": _select(confidences=lambda z: z.softmax(1).softmax(1)),
        "exp() of a large logit is infinite: use softmax": _select(confidences=lambda z: z.exp() / z.exp().sum(1, True)),
        "status_of is ignored": _select(status=lambda *_: torch.ones(100)),
        "status_of gets the batch's part": _select(status=lambda m, i, new, ask: ask(m[i])),
        "status_of gets a part of the memory only": _select(status=lambda m, i, new, ask: ask(m[m >= 0])),
        "the memory is renewed before": (
            _select(status=lambda m, i, new, ask: ask(new)),
            _select(status=lambda m, i, new, ask: (ask(m), ask(new))[1]),
        ),
        "the order of the values: return (pseudo_label, mask, new_memory)": (
            _select(out=lambda b: (b.new, b.mask, b.g)),
            _select(out=lambda b: (b.mask, b.g, b.new)),
        ),
        f"the first value is the confidence: {SWAPPED}": _select(out=lambda b: (b.c, b.mask, b.new)),
        LOST: (
            _select(out=lambda b: (b.g * b.mask.long(), b.mask, b.new)),
            _select(out=lambda b: (torch.where(b.mask > 0, b.g, -1), b.mask, b.new)),
            _select(out=lambda b: (b.g[b.mask > 0], b.mask[b.mask > 0], b.new)),
        ),
    },
    errors={
        "Boolean value": "`if` and `max` take one number: does remember get the thresholds as its tau? It takes the fixed one",
        "used as indices must be": SWAPPED,
        "must match the size": PER_CLASS,
    },
    battery={
        **none("pseudo-label, mask and memory carry no gradient; there is no network, and one batch at a time"),
        "one": [
            Case("for a batch of one image", (*_picked(1, 1, 4, 3), 0.9, _by_notes(3))),
            Case("for a pool of one image", (_empty(1), torch.tensor([0]), torch.tensor([[0.0, 4.0]]), 0.9, _by_notes(2))),
        ],
        "classes": [
            Case("for two classes", (*_picked(5, 9, 12, 2), 0.9, _by_notes(2))),
            Case("for ten classes", (*_picked(9, 40, 60, 10, 2), 0.9, _by_notes(10))),
            Case("for as many images as classes", (*_picked(13, 4, 9, 4, 3), 0.9, _by_notes(4))),
        ],
        "uneven": [Case("for notes of which most are class 0", (*_picked(17, 30, 60, 4, 2), 0.8, _by_notes(4)))],
        "extremes": [
            Case("for logits of ±90, ±120 and ±300", (_notes(21, 12, 3), _positions(22, 8, 12), extreme_logits(), 0.95, _by_notes(3)))
        ],
        "sizes": [Case("for 2100 of 7007 images", (*_picked(23, 2100, 7007, 3), 0.95, _by_notes(3)))],
        "ties": [
            Case("for confidences that miss tau = .8 by 1e-4 and 1e-6", (_empty(4), _PLACES, _two(_NEAR), 0.8, _always(1.0, 1.0))),
            Case("for confidences that miss the threshold by 1e-4 and 1e-6", (_empty(4), _PLACES, _NEAR_T, 0.95, _always(0.8, 0.3))),
        ],
        "layout": [Case("for inputs that are not contiguous", (*map(scattered, _picked(27, 6, 8, 3)), 0.9, _by_notes(3)))],
        "ends": [
            Case("at tau = 0", (*_picked(31, 6, 8, 3, 1), 0.0, _by_notes(3))),
            Case("at tau = .3", (*_picked(35, 12, 20, 4, 1), 0.3001, _always(1.0, 0.9, 0.99, 1.0))),
        ],
    },
)


# --------------------------------------------------------------------------------------------------------- 7.5 FlexMatch


_ce = lambda z, label: F.cross_entropy(z, label, reduction="none")


def _batch(z_l, y_l, z_w, z_s, index):
    x_l, x_w, x_s = (z.detach().reshape(len(z), -1, 1, 1) for z in (z_l, z_w, z_s))
    return Batch(x_l, y_l, x_w, x_s, index)


def _drawn(seed, labelled, unlabelled, num_classes, pool, absent=()):
    """What a step gets: the network, a batch, a memory, a status."""
    memory, index, z_w = _picked(seed, unlabelled, pool, num_classes)
    z_l, z_s = uniform(seed + 4, labelled, num_classes), uniform(seed + 5, unlabelled, num_classes)
    return Probe(), _batch(z_l, classes(seed + 6, labelled, num_classes, absent), z_w, z_s, index), memory, _by_notes(num_classes)


def _passes(model, batch, *_):
    model.expect_weak_and_joint_pass(batch)


def _stepped(function, model, batch, memory, rule, *tau, **options):
    status_of, new = _Asked(rule), []

    def loss_and_logs_of(*inputs, **options):
        loss, logs, found = expect_tuple(function(*inputs, **options), ("loss", "logs", "new memory"))
        new.append(found)
        return loss, logs

    seen = loss_and_logs("mask", passes=_passes)(loss_and_logs_of, model, batch, memory, status_of, *tau, **options)
    seen = status_of.fault(memory, batch.index) | seen | {"the memory": new[0]} | _fresh(memory, new[0])
    try:
        expect_kind(new[0], _MEMORY)
    except Fix as error:
        seen["the kind of the memory"] = error
    return seen


def _joint(model, b, images):
    """The logits of the labelled images, and of others in the same pass."""
    return model(torch.cat([b.x_l, images])).tensor_split([len(b.x_l)])


@slips
def _step(
    weak=lambda m, b: m(b.x_w),
    tau_of=lambda tau: tau,
    status=lambda m, i, new, ask: ask(m),
    mask=lambda b: b.c >= b.T[b.g],
    noted=lambda b: b.c >= b.tau,
    learn=lambda m, b: _joint(m, b, b.x_s),
    labels=lambda b: b.g,
    losses=_ce,
    mean=lambda x, b: x.mean(),
    total=lambda l, u, w: l + w * u,
    logs=lambda b: {"mask": b.mask.mean().item()},
    memory_of=lambda b: b.new,
    views=lambda b: b,
):
    """A step in which one thing is wrong: `learn` gives the logits of the labelled and the strong images, `mean` gets the masked losses."""

    def answer(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
        b = SimpleNamespace(**views(batch)._asdict(), tau=tau_of(tau), old=memory)
        with torch.no_grad():
            b.c, b.g = weak(model, b).softmax(1).max(1)
        b.T = b.tau * _map(status(memory, b.index, _written(memory, b.index, b.g, b.c >= tau), status_of))
        b.mask = mask(b).float()
        b.new = _written(memory, b.index, b.g, noted(b))
        b.z_l, b.z_s = learn(model, b)
        b.losses = losses(b.z_s, labels(b))
        loss_u = mean(b.losses * (b.mask if len(b.losses) == len(b.mask) else 1), b)
        return total(F.cross_entropy(b.z_l, b.y_l), loss_u, lambda_u), logs(b), memory_of(b)

    return answer


def _from_strong(b):
    own = b.z_s.detach().softmax(1).max(1)
    b.mask = (own.values >= b.T[own.indices]).float()
    return own.indices


_LOGITS_L, _Y_L = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.5, 0.0], [1.0, 3.0]]), torch.tensor([1, 1, 0, 1])
_STRONG = torch.tensor([[0.0, 4.0], [2.0, 0.0], [0.6, 0.0], [3.5, 0.0], [0.0, 1.0]])
_LOSS_L, _LOSSES = F.cross_entropy(_LOGITS_L, _Y_L), _ce(_STRONG, torch.tensor(_LABEL))
_KEPT, _SURE = torch.tensor([1.0, 1, 0, 1, 1]), torch.tensor([0.0, 0, 0, 1, 1])
_STEP = Probe(), _batch(_LOGITS_L, _Y_L, _WEAK, _STRONG, _FIVE), _TEN, _always(1.0, 1 / 6)
_LARGE, _FLIPPED = extreme_logits(), (extreme_logits().flip(1), extreme_logits().roll(1, 1))
CUT = "are the logits cut in the wrong place? Cut after len(batch.x_l) rows"
STRONG_LABEL = "the pseudo-label comes from the strong view: it comes from x_w, and x_s learns it"
OVER_ALL = "divide by the number of all unlabelled images, which .mean() counts"


def _right(loss_u, fraction, after=_AFTER):
    return {"the loss": _LOSS_L + loss_u, "logs['mask']": fraction, "the memory": after}


flexmatch_loss = Exercise(
    "7.5",
    "flexmatch_loss",
    "FlexMatch",
    why="You turned FixMatch into FlexMatch by changing a single part: good methods are built like that.",
    observe=_stepped,
    cases=[
        Case("of the worked example", _STEP, _right((_LOSSES * _KEPT).mean(), 0.8)),
        Case("with lambda_u = 3", _STEP, _right(3 * (_LOSSES * _KEPT).mean(), 0.8), {"lambda_u": 3.0}),
        Case("with tau = .5", _STEP, _right(_LOSSES.mean(), 1.0, [1, 0, 0, 1, 0, 0, 0, 1, 0, 0]), {"tau": 0.5}),
        Case("when every class has status 1", (*_STEP[:3], _always(1.0, 1.0)), _right((_LOSSES * _SURE).mean(), 0.4)),
        Case(
            "when nothing is kept",
            (Probe(), _STEP[1]._replace(x_w=torch.zeros(5, 2, 1, 1)), _TEN, _always(1.0, 1.0)),
            _right(0.0, 0.0, _TEN),
        ),
        Case("with lambda_u = 0", _STEP, _right(0.0, 0.8), {"lambda_u": 0.0}),
    ],
    mistakes={
        "the labelled loss is missing": _step(total=lambda l, u, w: w * u),
        "the unlabelled loss is missing": _step(total=lambda l, u, w: l + 0 * u),
        "lambda_u is ignored": _step(total=lambda l, u, w: l + u),
        "lambda_u multiplies both losses: it weighs the unlabelled one only": _step(total=lambda l, u, w: w * (l + u)),
        "lambda_u multiplies the labelled loss: it weighs the unlabelled one": _step(total=lambda l, u, w: w * l + u),
        "lambda_u is cut off at 1: it is a weight, and may be larger": _step(total=lambda l, u, w: l + min(w, 1.0) * u),
        "the model does not learn from the strong views: no detach, no .item()": _step(total=lambda l, u, w: l + w * u.item()),
        "the model does not learn from the labelled images: no detach, no .item()": _step(total=lambda l, u, w: l.item() + w * u),
        "the loss carries no gradient": _step(total=lambda l, u, w: (l + w * u).detach()),
        "the unlabelled mean runs over the kept images: divide by all of them": _step(mean=lambda x, b: x.sum() / b.mask.sum()),
        f"the unlabelled losses are summed: {OVER_ALL}": _step(mean=lambda x, b: x.sum()),
        f"this divides by the number of labelled images: {OVER_ALL}": _step(mean=lambda x, b: x.sum() / len(b.x_l)),
        f"mu is not always 2: {OVER_ALL}": _step(mean=lambda x, b: x.sum() / (2 * len(b.x_l))),
        "the mean loss is multiplied by the mean mask: mask each image's loss": _step(mean=lambda x, b: b.losses.mean() * b.mask.mean()),
        "the mask is not applied": _step(mean=lambda x, b: b.losses.mean()),
        "labelled and strong images are averaged together: two means, then their sum": _step(
            mean=lambda x, b: torch.cat([F.cross_entropy(b.z_l, b.y_l, reduction="none"), x]).mean(), total=lambda l, u, w: u
        ),
        "softmax is applied before the cross-entropy, which applies it itself": _step(losses=lambda z, label: _ce(z.softmax(1), label)),
        "log(softmax) of a small probability is infinite, log(softmax + 1e-8) has no gradient there: use masked_loss": (
            _step(losses=lambda z, label: -z.softmax(1)[range(len(label)), label].log()),
            _step(losses=lambda z, label: -(z.softmax(1)[range(len(label)), label] + 1e-8).log()),
        ),
        STRONG_LABEL: (_step(labels=lambda b: b.z_s.argmax(1)), _step(labels=_from_strong)),
        "the unlabelled loss is computed on the weak views: learn on x_s": _step(views=lambda b: b._replace(x_s=b.x_w)),
        "the two views are swapped: label x_w, learn on x_s": _step(views=lambda b: b._replace(x_w=b.x_s, x_s=b.x_w)),
        "select gets the logits on the strong views: hand it those on x_w": _step(views=lambda b: b._replace(x_w=b.x_s)),
        "the images are glued together in one order and cut apart in another": _step(
            learn=lambda m, b: m(torch.cat([b.x_s, b.x_l])).tensor_split([len(b.x_l)])
        ),
        CUT: (
            _step(learn=lambda m, b: m(torch.cat([b.x_l, b.x_s])).chunk(2)),
            _step(learn=lambda m, b: m(torch.cat([b.x_l, b.x_s])).tensor_split([32])),
        ),
        "the mask uses the fixed tau (FixMatch): take the mask that select returns": _step(mask=lambda b: b.c >= b.tau),
        "tau is ignored: hand it on to select": _step(tau_of=lambda tau: 0.95),
        "tau is not .95 when it is not given: leave the defaults in the first line as they are": (
            lambda model, batch, m, s, tau=0.9, lambda_u=1.0: _step(tau_of=lambda tau: tau)(model, batch, m, s, tau, lambda_u)
        ),
        "status_of is ignored": _step(status=lambda *_: torch.tensor([1.0, *[1 / 6] * 20])),
        "status_of gets the batch's part": _step(status=lambda m, i, new, ask: ask(m[i])),
        "the memory is renewed before": _step(status=lambda m, i, new, ask: ask(new)),
        "the old memory comes back: return the new one of select": _step(memory_of=lambda b: b.old.clone()),
        PASSED: _step(noted=lambda b: b.mask > 0),
        "the notes go to the first positions: hand batch.index to select": _step(
            memory_of=lambda b: _written(b.old, torch.arange(len(b.g)), b.g, b.c >= b.tau)
        ),
        "this is the batch's part of the memory: return the whole memory": _step(memory_of=lambda b: b.new[b.index]),
        "the third value is the mask: return (loss, logs, new_memory)": _step(memory_of=lambda b: b.mask),
        "logs['mask'] is a count: the mean of the mask is wanted": _step(logs=lambda b: {"mask": b.mask.sum().item()}),
        "logs['mask'] is the fraction that is left out": _step(logs=lambda b: {"mask": 1 - b.mask.mean().item()}),
        "logs['mask'] is the fraction that reaches tau: take the mean of the mask": _step(
            logs=lambda b: {"mask": (b.c >= b.tau).float().mean()}
        ),
        "labelled and strong images go through the model separately": _step(learn=lambda m, b: (m(b.x_l), m(b.x_s))),
        "the labelled images go through the model with the weak views": _step(learn=lambda m, b: (_joint(m, b, b.x_w)[0], m(b.x_s))),
        "not all strong images go through the model with gradients": _step(
            learn=lambda m, b: _joint(m, b, b.x_s[b.mask > 0]),
            labels=lambda b: b.g[b.mask > 0],
            mean=lambda x, b: b.losses.sum() / len(b.mask),
        ),
        "images go through the model once more": _step(learn=lambda m, b: (m(b.x_l), _joint(m, b, b.x_s)[1])),
        "the weak views go through the model in pieces": _step(weak=lambda m, b: torch.cat([m(x[None]) for x in b.x_w])),
        "other images go along with the weak views": _step(weak=lambda m, b: _joint(m, b, b.x_w)[1]),
        "the weak views go through the model twice": _step(weak=lambda m, b: (m(b.x_w) + m(b.x_w)) / 2),
        "it switches the mode: call neither eval() nor train()": _step(weak=lambda m, b: m.train()(b.x_w)),
    },
    errors={"match target batch_size": CUT, "must match the size": CUT, "split_with_sizes": CUT},
    battery={
        **none("a step is one batch; the memory goes on from step to step"),
        "one": [
            Case("for one labelled and one unlabelled image", _drawn(1, 1, 1, 3, 4)),
            Case("for one labelled and eight unlabelled images", _drawn(9, 1, 8, 2, 12)),
        ],
        "classes": [
            Case("for two classes", _drawn(17, 3, 3, 2, 8)),
            Case("for ten classes, the last one absent", (*_drawn(25, 4, 12, 10, 30, absent=(9,)), 0.8)),
        ],
        "uneven": [Case("for labels of which most are class 0", _drawn(33, 12, 12, 3, 20))],
        "extremes": [
            Case(
                "for logits of ±90, ±120 and ±300",
                (Probe(), _batch(_LARGE, classes(41, 8, 3), *_FLIPPED, _positions(42, 8, 12)), _notes(43, 12, 3), _by_notes(3)),
            )
        ],
        "gradient": [Case("for four labelled and eight unlabelled images", _drawn(49, 4, 8, 3, 16))],
        "sizes": [Case("for 2100 unlabelled images of 7007", _drawn(57, 2, 2100, 3, 7007))],
        "ties": [
            Case(
                "for confidences that miss the threshold by 1e-4 and 1e-6",
                (Probe(), _batch(uniform(89, 2, 2), _ONES[:2], _NEAR_T, uniform(90, 4, 2), _PLACES), _empty(4), _always(0.8, 0.3)),
            )
        ],
        "passes": [Case("for as many unlabelled images as labelled ones", _drawn(65, 5, 5, 3, 9))],
        "layout": [Case("for images that are not contiguous", (Probe(), Batch(*map(scattered, _STEP[1])), *_STEP[2:]))],
        "ends": [
            Case("with lambda_u = 10 and tau = 0", _drawn(73, 4, 8, 3, 16), options={"lambda_u": 10.0, "tau": 0.0}),
            Case("with lambda_u = .01 and tau = .97", _drawn(81, 4, 8, 3, 16), options={"lambda_u": 0.01, "tau": 0.97}),
        ],
    },
)


# -------------------------------------------------------------------------------------------------- 7.6 status by prior


@slips
def _by_prior(count=_count, prior_of=lambda p, c: p, expected=lambda p, n: p * n):
    def answer(memory, prior):
        c, n = count(memory, len(prior)), len(memory)
        r = c / expected(prior_of(prior, c)[: len(c)], n)
        return r / r.max().clamp(min=(memory < 0).sum() / n)

    return answer


def _rates(*rules):
    """Answers from the rates, the fraction of images without a note, and the prior."""
    return tuple(lambda m, p, rule=rule: rule(_count(m, len(p)) / p / len(m), float((m < 0).sum()) / len(m), p) for rule in rules)


WITHOUT = "the warm-up is missing: the fraction of images WITHOUT a note, of all N, enters the maximum beside the rates"
AS_IT_IS = "the count that is expected of a class is prior * N as it is: no whole number, no least value"
_PRIOR = torch.tensor([0.5, 0.3, 0.2])
_HALVES = torch.tensor([0.5, 0.5])

status_by_prior = Exercise(
    "7.6",
    "status_by_prior",
    "the status, corrected by the prior",
    why="A count means something only beside what was to be expected; with uneven classes that changes everything.",
    observe=returns(Part("the status", "float tensor")),
    cases=[
        Case("for counts 45, 6, 14 of 100 images, prior .5, .3, .2", (_pool_of(45, 6, 14, 35), _PRIOR), [1.0, 0.2 / 0.9, 0.7 / 0.9]),
        Case("early on (rates .2, 0, .6; .78 without a note)", (_pool_of(10, 0, 12, 78), _PRIOR), [0.2 / 0.78, 0.0, 0.6 / 0.78]),
        Case("of an empty memory", (_empty(6), _PRIOR), [0.0] * 3),
        Case("of a perfect network, whose counts follow the prior", (_pool_of(5, 3, 2, 0), _PRIOR), [1.0, 1.0, 1.0]),
        Case("for 2 notes of class 0 among 10 images, prior .2, .8", (_pool_of(2, 0, 8), torch.tensor([0.2, 0.8])), [1.0, 0.0]),
        Case("for the notes 0, 0, 0, 1 and prior .5, .5 (rates 1.5 and .5)", (_pool_of(3, 1, 0), _HALVES), [1.0, 1 / 3]),
    ],
    mistakes={
        "the prior does not enter: divide by the count expected of the class": _rates(lambda r, w, p: r * p / (r * p).max().clamp(min=w)),
        "these are the rates: divide by the larger of the two numbers in the braces": _rates(lambda r, w, p: r),
        WITHOUT: _rates(lambda r, w, p: r / r.max(), lambda r, w, p: r / r.max().clamp(min=1e-9)),
        "the images without a note are counted: take their fraction of N, beside rates": (
            lambda m, p: (r := _count(m, len(p)) / p / len(m)) / r.max().clamp(min=(m < 0).sum())
        ),
        "the fraction WITH a note is in the divisor: it is the fraction without": _rates(lambda r, w, p: r / (1 - w)),
        "the counts are multiplied by the prior: divide": _rates(lambda r, w, p: r * p * p / (r * p * p).max().clamp(min=w)),
        f"the rates are divided by their sum: {LARGER}": _rates(lambda r, w, p: r / r.sum(), lambda r, w, p: r / r.sum().clamp(min=w)),
        f"the two numbers are added: {LARGER}": _rates(lambda r, w, p: r / (r.max() + w)),
        f"this is the smaller one: {LARGER}": _rates(lambda r, w, p: r / r.max().clamp(max=w)),
        f"all is divided by the fraction without a note: {LARGER}": _rates(lambda r, w, p: r / w),
        "each class has a divisor of its own: it is the same number for all classes": _rates(lambda r, w, p: r / r.clamp(min=w)),
        "the prior does not enter above the line: divide each count by prior * N": _rates(lambda r, w, p: r * p / r.max().clamp(min=w)),
        "the prior does not enter below the line: it is in the rates": _rates(lambda r, w, p: r / (r * p).max().clamp(min=w)),
        "the rates are cut off at 1: one may be larger": _rates(lambda r, w, p: r.clamp(max=1) / r.clamp(max=1).max().clamp(min=w)),
        "all classes get the same prior: use the argument `prior`": _by_prior(prior_of=lambda p, c: torch.full_like(p, 1 / len(p))),
        "the prior is counted in the memory: use the argument `prior`": _by_prior(prior_of=lambda p, c: c / c.sum()),
        "a small prior is raised: take it as it is": _by_prior(prior_of=lambda p, c: p.clamp(min=0.01)),
        AS_IT_IS: (
            _by_prior(expected=lambda p, n: (p * n).clamp(min=1)),
            _by_prior(expected=lambda p, n: (p * n).round()),
            _by_prior(expected=lambda p, n: (p * n).round().clamp(min=1)),
            _by_prior(expected=lambda p, n: (p * n + 1e-4).long()),
            _by_prior(expected=lambda p, n: p * n + 1),
        ),
        **{cause: _by_prior(count=count) for cause, count in _COUNTS.items()},
    },
    errors=NO_MINUS_ONE | {"must match the size": "is the last class, of which there is no note, left out? minlength=len(prior)"},
    battery={
        **none("notes are counted: no logits, no gradient, no network, no loop"),
        "one": [
            Case("of one image with a note", (torch.tensor([1]), torch.tensor([0.4, 0.6]))),
            Case("for one class", (_pool_of(3, 9), torch.tensor([1.0]))),
        ],
        "classes": [
            Case("for two classes", (_notes(1, 12, 2), torch.tensor([0.3, 0.7]))),
            Case("for ten classes, the last one absent", (_notes(3, 40, 9), probabilities(4, 1, 10)[0])),
            Case("for twenty classes", (_pool_of(0, 3, *[0] * 9, 4, *[0] * 6, 5, 0, 2), probabilities(5, 1, 20)[0])),
        ],
        "uneven": [Case("for notes of which most are class 0", (_notes(6, 60, 4), torch.tensor([0.6, 0.05, 0.25, 0.1])))],
        "sizes": [
            Case("for counts 300, 2500, 4001 of 7007 images", (_pool_of(300, 2500, 4001, 206), _PRIOR)),
            Case("for the same counts and another prior", (_pool_of(300, 2500, 4001, 206), _PRIOR.flip(0))),
        ],
        "ties": [
            Case("for rates .6 and .6002", (_pool_of(3000, 3001, 3999), _HALVES)),
            Case("for a largest rate just below the fraction without a note", (_pool_of(3000, 0, 6001), _HALVES)),
        ],
        "layout": [
            Case("for inputs that are not contiguous", (scattered(_notes(8, 12, 3)), scattered(_PRIOR))),
        ],
        "ends": [
            Case("for a prior of .005 and half an image expected", (_pool_of(60, 1, 39), torch.tensor([0.995, 0.005]))),
            Case("for a prior of .005 in 1000 images", (_pool_of(600, 2, 300, 98), torch.tensor([0.7, 0.005, 0.295]))),
            Case("for 3.5, 2.1 and 1.4 expected images", (_pool_of(3, 1, 1, 2), _PRIOR)),
        ],
    },
)


# ------------------------------------------------------------------------------------------------------- 7.7 alignment


_to_one = lambda x: F.normalize(x, p=1, dim=1)
_cut_off = lambda low, high: lambda q, p, a: _to_one(q * (p / a).clamp(low, high))


def _weighed(*weights):
    """Answers in which something else than q * prior / average is divided by its sum."""
    return tuple(lambda q, p, a, weight=weight: _to_one(weight(q, p, a)) for weight in weights)


def _divided(*ways):
    """Answers in which q * prior / average is divided in another way."""
    return tuple(lambda q, p, a, way=way: way(q * (p / a)) for way in ways)


_Q = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
_AVERAGE = torch.tensor([0.5, 0.25, 0.25])
KEEPDIM = "the sums meet the wrong axis: each row by its own sum, keepdim=True"
ONCE = "the factor enters twice, or its root: multiply once by prior / average"

align = Exercise(
    "7.7",
    "align",
    "distribution alignment",
    why="If the answers lean towards one class, pull them back: a small correction that many methods share.",
    observe=returns(Part("the aligned predictions", "float tensor")),
    cases=[
        Case(
            "of the worked example",
            (_Q, torch.tensor([0.7, 0.2, 0.1]), _AVERAGE),
            [[0.70 / 1.02, 0.24 / 1.02, 0.08 / 1.02], [0.14 / 0.54, 0.08 / 0.54, 0.32 / 0.54]],
        ),
        Case("when the average already equals the prior", (_Q, _AVERAGE, _AVERAGE), _Q),
        Case("when a class has prior 0", (_Q[:1], torch.tensor([0.5, 0.5, 0.0]), _AVERAGE), [[5 / 11, 6 / 11, 0.0]]),
        Case(
            "for prior .6, .4 and average .02, .98",
            (torch.tensor([[0.1, 0.9]]), torch.tensor([0.6, 0.4]), torch.tensor([0.02, 0.98])),
            [[147 / 165, 18 / 165]],
        ),
    ],
    mistakes={
        "the factor is inverted: a class named too often must lose": _weighed(lambda q, p, a: q * a / p),
        "the rows do not sum to 1: divide each row by its sum": _divided(lambda x: x),
        "the average does not enter: multiply by prior / average": _weighed(lambda q, p, a: q * p),
        "the prior does not enter: multiply by prior / average": _weighed(lambda q, p, a: q / a),
        "each column is divided by its sum: the rows must sum to 1 (dim=1)": _divided(lambda x: x / x.sum(0)),
        "softmax is no division: divide each row by its sum": _divided(lambda x: x.softmax(1)),
        "all is divided by one sum: each row by its own, keepdim=True": _divided(lambda x: x / x.sum()),
        KEEPDIM: _divided(lambda x: x / x.sum(1)),
        "divide each row by its sum, not by its maximum": _divided(lambda x: x / x.amax(1, True)),
        "the average of this batch is used: use the argument `average`": _weighed(lambda q, p, a: q * p / q.mean(0)),
        "the factor multiplies: nothing is added": _weighed(lambda q, p, a: q + p - a, lambda q, p, a: q + p / a),
        "predictions are distributions: no argmax": _divided(lambda x: x.argmax(1), lambda x: F.one_hot(x.argmax(1), x.shape[1]).float()),
        "the predictions are unchanged: multiply by prior / average": _weighed(lambda q, p, a: q),
        "q does not enter: multiply q by prior / average": _weighed(lambda q, p, a: p.expand(len(q), -1)),
        "the factor is cut off: it may be large or small": (_cut_off(0, 2), _cut_off(0, 10), _cut_off(0, 100), _cut_off(0.5, 999)),
        "a small prior or average is raised: take both as they are": _weighed(
            lambda q, p, a: q * p / a.clamp(min=0.01),
            lambda q, p, a: q * p / (a + 1e-3),
            lambda q, p, a: q * (p + 1e-3) / a,
            lambda q, p, a: q * p.clamp(min=0.01) / a,
        ),
        ONCE: _weighed(lambda q, p, a: q * (p / a) ** 2, lambda q, p, a: q * (p / a) ** 0.5),
        "the predictions are sharper than aligning makes them: no temperature": _weighed(lambda q, p, a: (q * p / a) ** 2),
    },
    errors={"must match the size": KEEPDIM},
    battery={
        **none("predictions are computed from predictions: no labels, no gradient, no network, no loop"),
        "extremes": "probabilities come in, no logits; those of exactly 0 stand under `ends`",
        "one": [Case("for one image", (probabilities(1, 1, 4), *probabilities(2, 2, 4)))],
        "classes": [
            Case("for two classes", (probabilities(3, 5, 2), *probabilities(4, 2, 2))),
            Case("for ten classes", (probabilities(5, 6, 10), *probabilities(6, 2, 10))),
            Case("for as many images as classes", (probabilities(7, 3, 3), *probabilities(8, 2, 3))),
        ],
        "sizes": [Case("for 3000 images", (probabilities(9, 3000, 3), *probabilities(10, 2, 3)))],
        "ties": [
            Case(
                "for probabilities that differ by 1e-4 and 1e-6",
                (torch.tensor([[0.5, 0.4999, 0.0001], [0.333334, 0.333333, 0.333333]]), _PRIOR, _AVERAGE),
            )
        ],
        "layout": [
            Case("for inputs that are not contiguous", tuple(map(scattered, (_Q, _PRIOR, _AVERAGE)))),
            Case("for predictions of float64", tuple(x.double() for x in (_Q, _PRIOR, _AVERAGE.flip(0)))),
        ],
        "ends": [
            Case(
                "for probabilities of exactly 0 and 1",
                (torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]), torch.tensor([0.7, 0.2, 0.1]), _AVERAGE),
            ),
            Case("for a prior of .005", (_Q, torch.tensor([0.005, 0.195, 0.8]), _AVERAGE)),
            Case("for a prior of 1e-9 and an image of that class", (torch.eye(2), torch.tensor([1.0, 1e-9]), torch.tensor([0.6, 0.4]))),
            Case("for an average of .005", (_Q.roll(1, 1), torch.tensor([0.8, 0.1, 0.1]), torch.tensor([0.005, 0.795, 0.2]))),
        ],
    },
)


# --------------------------------------------------------------------------------------------------- 7.8 soft weights


_below = lambda c, m: (c - m).clamp(max=0)


@slips
def _weight(distance=_below, variance=lambda v, c: v, power=lambda d, v: d * d / 2 / v, weight=lambda x, c, m: (-x).exp()):
    """An answer in which one step is wrong: the distance to the mean, the variance, the exponent, or what is made of it."""
    return lambda c, mean, v: weight(power(distance(c, mean), variance(v, c)), c, mean)


_FIVE_C = torch.tensor([0.5, 0.3, 0.7, 0.9, 0.1])
_SOFT = [0.60653066, 0.13533528, 1.0, 1.0, 0.011108997]  # exp(-1/2), exp(-2), 1, 1, exp(-9/2)
_CLOSE_C = torch.tensor([0.8 - 1e-4, 0.8 - 1e-6, 0.8, 0.8 + 1e-6, 0.8 + 1e-4])
FULL = "from the mean on the weight is 1"
GIVEN = "is taken from this batch: use the argument, which belongs to many batches"
OF_TWO = "the exponent is -(c - mean)**2 / (2 * variance): mind the brackets and the 2"
KEPT_SMALL = "a small weight is raised, or cut off to 0: take it as it is"

soft_weight = Exercise(
    "7.8",
    "soft_weight",
    "a weight instead of a mask",
    why="A doubtful pseudo-label may now whisper: you can have many of them and still trust the good ones most.",
    observe=returns(Part("the weight", "float tensor")),
    cases=[
        Case("for confidences .5, .3, .7, .9, .1 at mean .7 and variance .04", (_FIVE_C, 0.7, 0.04), _SOFT),
        Case(
            "for confidences .8, .7, .95, .6, .9 at mean .9 and variance .01",
            (torch.tensor([0.8, 0.7, 0.95, 0.6, 0.9]), 0.9, 0.01),
            [0.60653066, 0.13533528, 1.0, 0.011108997, 1.0],
        ),
        Case("early on, at mean 1/7 and variance 1", (torch.tensor([0.2, 0.9, 0.15]), 1 / 7, 1.0), [1.0, 1.0, 1.0]),
        Case("when all are below the mean of .8 (variance .02)", (torch.tensor([0.6, 0.4]), 0.8, 0.02), [0.36787944, 0.018315639]),
    ],
    mistakes={
        f"the weight falls above the mean, too: {FULL}": _weight(distance=lambda c, m: c - m),
        "the sides are swapped: below the mean the weight fades, above it is 1": _weight(distance=lambda c, m: (c - m).clamp(min=0)),
        "this is a step: below the mean the weight fades, it is not 0": lambda c, m, v: (c >= m).float(),
        f"above the mean this is the confidence: {FULL}": _weight(weight=lambda x, c, m: torch.where(c < m, (-x).exp(), c)),
        f"above the mean this is 0: {FULL}": _weight(weight=lambda x, c, m: torch.where(c < m, (-x).exp(), 0.0)),
        "the variance is squared: it is one already": _weight(variance=lambda v, c: v * v),
        "this is the standard deviation: divide by the variance as it is, no root": _weight(variance=lambda v, c: v**0.5),
        "the variance does not enter: divide the square by 2 * variance": _weight(variance=lambda v, c: 1.0),
        "the variance is divided by 4, as some code does (n_sigma = 2): the formula has it as it is": _weight(variance=lambda v, c: v / 4),
        "a small variance is raised: take it as it is": (
            _weight(variance=lambda v, c: max(v, 0.01)),
            _weight(variance=lambda v, c: v + 1e-3),
        ),
        f"the variance {GIVEN}": _weight(variance=lambda v, c: c.var(correction=0) + 1e-12),
        f"the mean {GIVEN}": _weight(distance=lambda c, m: (c - c.mean()).clamp(max=0)),
        "the mean does not enter: the distance is c - mean": _weight(distance=lambda c, m: c),
        "the mean is fixed: it is the argument, not always .95": _weight(distance=lambda c, m: (c - 0.95).clamp(max=0)),
        OF_TWO: (
            _weight(power=lambda d, v: d * d / v),
            _weight(power=lambda d, v: d * d / 2 * v),
        ),
        "the distance is not squared": (
            _weight(power=lambda d, v: d.abs() / 2 / v),
            _weight(power=lambda d, v: d / 2 / v),
        ),
        "the sign: the exponent is negative, a weight is at most 1": _weight(weight=lambda x, c, m: x.exp()),
        "this is the exponent: the weight is exp of it": _weight(weight=lambda x, c, m: -x),
        "this is 1 minus the weight": _weight(weight=lambda x, c, m: 1 - (-x).exp()),
        "this is a parabola: the weight is exp(-x), not 1 - x": _weight(weight=lambda x, c, m: (1 - x).clamp(min=0)),
        "the weights are divided by their sum or their maximum: they are weights already": (
            _weight(weight=lambda x, c, m: (-x).exp() / (-x).exp().sum()),
            _weight(weight=lambda x, c, m: (-x).exp() / (-x).exp().max()),
        ),
        "the weight is multiplied by the confidence: it is the Gaussian alone": _weight(weight=lambda x, c, m: c * (-x).exp()),
        "this is a mask: a weight lies between 0 and 1, no rounding": _weight(weight=lambda x, c, m: (-x).exp().round()),
        "this is the density, with its factor: the weight at the mean is 1": lambda c, m, v: (
            (-(_below(c, m) ** 2) / (2 * v)).exp() / (2 * torch.pi * v) ** 0.5
        ),
        KEPT_SMALL: (
            _weight(weight=lambda x, c, m: (-x).exp().clamp(min=0.01)),
            _weight(weight=lambda x, c, m: torch.where(x < 4, (-x).exp(), 0.0)),
        ),
        EXACT: (
            _weight(distance=lambda c, m: _below(c.half().float(), m)),
            _weight(weight=lambda x, c, m: (-x).exp().round(decimals=2)),
        ),
    },
    errors={"Boolean value": "`if` takes one confidence at a time: torch.where, or clamp the distance, takes all"},
    battery={
        **none("confidences and two numbers come in: no classes, no labels, no gradient, no network, no loop"),
        "one": [Case("for one image", (torch.tensor([0.4]), 0.6, 0.05)), Case("for another one", (torch.tensor([0.75]), 0.6, 0.05))],
        "extremes": "confidences come in, no logits; those of exactly 0 and 1 stand under `ends`",
        "sizes": [Case("for 3000 images", (uniform(1, 3000, low=0.15, high=1.0), 0.75, 0.03))],
        "ties": [Case("for confidences within 1e-4 and 1e-6 of the mean, at variance 1e-8", (_CLOSE_C, 0.8, 1e-8), tolerance=1e-3)],
        "layout": [
            Case("for confidences that are not contiguous", (scattered(_FIVE_C), 0.6, 0.02)),
            Case("for confidences of float64", (_FIVE_C.double(), 0.65, 0.03)),
        ],
        "ends": [
            Case("for confidences of exactly 0 and 1", (torch.tensor([0.0, 1.0, 0.5]), 0.9, 0.1)),
            Case("at a variance of .0005", (torch.tensor([0.9, 0.93, 0.96, 0.2]), 0.95, 0.0005)),
            Case("at mean 1", (torch.tensor([1.0, 0.99, 0.6]), 1.0, 0.02)),
            Case("at a variance above 1", (torch.tensor([0.2, 0.9, 0.5]), 0.8, 1.7)),
            Case("when all are above the mean", (torch.tensor([0.7, 0.8, 0.9]), 0.6, 0.004)),
        ],
    },
)
