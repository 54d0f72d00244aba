"""Checks of lesson 01: the label draw, the supervised loss, predicting, logit adjustment, the paired difference."""

import math

import numpy as np
import torch
from torch import nn

from course_utils.batches import Batch
from course_utils.check.core import Fix, exercise, expect, expect_tuple

# 64 labels, so that every share is exact in binary: 33, 15, 11, 4 and 1 images of the classes 0 to 4, well mixed.
LABELS = np.repeat(np.arange(5), [33, 15, 11, 4, 1])[np.random.default_rng(3).permutation(64)]
ONLY_ONE_OF_4 = int(np.flatnonzero(LABELS == 4)[0])


def _positions(result) -> np.ndarray:
    """The drawn positions as whole numbers, or Fix with the reason why these are none."""
    try:
        drawn = np.asarray(result)
    except (TypeError, ValueError, RuntimeError):
        raise Fix(f"return an array of positions, not {type(result).__name__}") from None
    if drawn.dtype == object or drawn.ndim != 1:
        raise Fix(f"return one flat array of positions, of all classes together (np.concatenate), not one of shape {drawn.shape}")
    if drawn.dtype == bool:
        raise Fix("this is a mask of True and False: return the positions, np.flatnonzero gives them")
    if not np.array_equal(drawn, drawn.astype(np.int64)):
        raise Fix("positions are whole numbers")
    return drawn.astype(np.int64)


@exercise("1.1", "a stratified draw of labels")
def _(student):
    def draw(labels: np.ndarray, num_labels: int, seed: int) -> np.ndarray:
        try:
            return _positions(student(labels.copy(), num_labels, np.random.default_rng(seed)))
        except Fix as error:
            if "float64" in str(error) or "cannot be interpreted as an integer" in str(error):
                raise Fix(f"{error}: how many to draw must be a whole number, by // or int()") from None
            raise

    right = np.array([8, 3, 2, 1, 1])
    draws = []
    for seed in range(100):
        drawn = draw(LABELS, 16, seed)
        if len(drawn) and (drawn.min() < 0 or drawn.max() >= len(LABELS)):
            raise Fix(f"positions lie between 0 and {len(LABELS) - 1}, but {drawn.min()} to {drawn.max()} came out")
        if sorted(drawn.tolist()) == np.repeat(np.arange(5), right).tolist():
            raise Fix("these are the labels of the drawn images: return their positions")
        draws.append(drawn)
    if all((drawn == 0).any() for drawn in draws) and len(draws[0]) == 15 and not all(ONLY_ONE_OF_4 in drawn for drawn in draws):
        raise Fix("these are positions within each class: choose among np.flatnonzero(labels == c), the positions in `labels`")
    if any(len(np.unique(drawn)) < len(drawn) for drawn in draws):
        raise Fix("an image was drawn twice: draw without replacement (replace=False)")
    got = [np.bincount(LABELS[drawn], minlength=5) for drawn in draws]
    if any((counts != got[0]).any() for counts in got):
        raise Fix("the counts per class change from draw to draw: draw from each class by itself, a fixed number")
    _counts_per_class(got[0].tolist(), right.tolist())
    if any((np.diff(drawn) < 0).any() for drawn in draws):
        raise Fix("the positions are not sorted: np.sort at the end, over all classes together")
    _chance(student, draws)
    expect(draw(np.array([1, 0, 1, 1]), 4, 0), [0, 1, 2, 3], "the draw of all 4 of 4 labels")
    for counts, num_labels, wanted in (([77, 33], 90, [63, 27]), ([43, 43], 62, [31, 31])):  # all shares are whole
        whole = np.repeat([0, 1], counts)
        took = np.bincount(whole[draw(whole, num_labels, 0)], minlength=2).tolist()
        if took in ([wanted[0] - 1, wanted[1]], [wanted[0], wanted[1] - 1], [wanted[0] - 1, wanted[1] - 1]):
            raise Fix(
                f"of classes with {counts[0]} and {counts[1]} images, {num_labels} labels took {took}, expected {wanted}: a "
                "fraction like n_c / N is not exact, so stay with whole numbers, n_c * num_labels // N"
            )
    few = draw(np.repeat(np.arange(5), 4), 3, 0)
    if len(few) == 3:
        raise Fix("the draw is cut to num_labels: no class goes without, even if more than num_labels are drawn then")
    expect(few // 4, [0, 1, 2, 3, 4], "the classes of a draw of 3 labels from 5 classes, one image of each,")
    uneven = np.array([0, 1] * 3 + [0] * 4)  # 7 and 3 images, 4 labels: 2.8 and 1.2 of them, rounded down
    expect(
        np.bincount(uneven[draw(uneven, 4, 0)], minlength=2),
        [2, 1],
        "the number of labels of classes with 7 and 3 images, 4 labels",
        wrong=[([3, 1], "multiply before you divide, n_c * num_labels // N: N // num_labels is already rounded")],
    )


def _counts_per_class(got: list[int], right: list[int]) -> None:
    causes = [
        ([8, 3, 2, 1, 0], "the rarest class got no label: take at least one of each class"),
        (
            [3, 3, 3, 3, 1],
            "this is a class-balanced draw: each class gets its share of the labels, not the same number",
        ),
        ([8, 4, 3, 1, 1], "round down, not to the nearest number: // does"),
        ([8, 4, 3, 1, 0], "round down, not to the nearest number (// does), and take at least one of each class"),
        ([9, 4, 3, 1, 1], "round down, not up: // does"),
        ([9, 4, 3, 2, 1], "round down and take the larger of that and 1: do not add one"),
        ([9, 4, 3, 2, 2], "round down and take the larger of that and 1: do not add one"),
        ([9, 3, 2, 1, 1], "what rounding down leaves over is handed out: the total may differ from num_labels"),
        ([8, 4, 2, 1, 1], "what rounding down leaves over is handed out: the total may differ from num_labels"),
        ([33, 15, 11, 4, 1], "these are all images: draw only some of each class"),
        ([1, 1, 1, 1, 1], "one of each class came out: did a share get rounded down to 0 before it was multiplied?"),
        ([16, 15, 11, 4, 1], "up to `num_labels` were taken from each class: they are to be shared among the classes"),
    ]
    for value, cause in causes:
        if got == value:
            raise Fix(cause)
    if got != right:
        raise Fix(f"of classes with 33, 15, 11, 4 and 1 images, 16 labels took {got}, expected {right}")


def _chance(student, draws: list[np.ndarray]) -> None:
    """Is it the generator, and nothing else, that decides?"""
    others = np.random.get_state()[1:3], torch.get_rng_state()
    again = [_positions(student(LABELS.copy(), 16, np.random.default_rng(seed))) for seed in range(3)]
    if any(not np.array_equal(a, b) for a, b in zip(again, draws)):
        raise Fix("the same generator state gave two different draws: use `rng`, not np.random or torch's own generator")
    numbers, position = np.random.get_state()[1:3]
    if not np.array_equal(numbers, others[0][0]) or position != others[0][1]:
        raise Fix("it seeds or uses np.random, the generator of the whole program: use `rng`, and nothing else")
    if not torch.equal(torch.get_rng_state(), others[1]):
        raise Fix("it seeds or uses torch's own generator: use `rng`, and nothing else")
    if all(np.array_equal(drawn, draws[0]) for drawn in draws):
        firsts = np.sort(np.concatenate([np.flatnonzero(c == LABELS)[:k] for c, k in enumerate([8, 3, 2, 1, 1])]))
        if np.array_equal(draws[0], firsts):
            raise Fix("these are the first images of each class: draw them at random, with `rng`")
        raise Fix("different generators gave the same draw: use `rng` as it comes, do not make a new one inside")
    seen = set(np.concatenate(draws).tolist())
    never = [c for c in range(5) if not set(np.flatnonzero(c == LABELS).tolist()) <= seen]
    if never:
        raise Fix(f"in 100 draws some images of class {never[0]} never came up: each must have the same chance")
    if len({tuple(drawn[LABELS[drawn] == 0]) for drawn in draws}) < 80:  # of some millions
        raise Fix(
            "in 100 draws the images of class 0 came in few combinations, as if neighbours came together: draw each image by "
            "itself, rng.choice(..., replace=False)"
        )


class _Calls(list):
    """(images, training mode, whether the answer carries a gradient) of each call; a copy of the model writes into the same list."""

    def __deepcopy__(self, memo):
        return self


class _Recorder(nn.Module):
    """A linear map without randomness that notes how it was called; its child has a mode of its own, as BatchNorm has."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.child = nn.Identity()
        self.calls = _Calls()
        self.switched = False

    def train(self, mode: bool = True):
        self.switched = True
        return super().train(mode)

    def forward(self, x):
        z = x.flatten(1) @ self.weight
        self.calls.append((len(x), self.child.training, z.requires_grad))
        return z


@exercise("1.2", "the supervised loss")
def _(student):
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 3.0], [0.0, 0.0, 0.5]])
    y_l = torch.tensor([0, 2, 2, 2])
    log_p = logits.log_softmax(1)
    each = -log_p[range(4), y_l]
    model = _Recorder(torch.eye(3))
    result = expect_tuple(student(model, Batch(logits.clone(), y_l)), ("loss", "logs"))
    value, logs = result
    if isinstance(value, dict):
        raise Fix("the order is (loss, logs): the scalar first, then the dict")
    if not isinstance(logs, dict) or "accuracy" not in logs:
        raise Fix("the second value is a dict with the entry 'accuracy'")
    twice = nn.functional.cross_entropy(logits.softmax(1), y_l)
    expect(
        value,
        each.mean(),
        "the loss",
        wrong=[
            (
                each.sum(),
                "this is the sum over the batch: take the mean, so that the learning rate does not depend on its size",
            ),
            (each, "this is one loss per image: take the mean, one number"),
            (twice, "softmax before cross-entropy: F.cross_entropy takes logits and applies the softmax itself"),
            (
                nn.functional.cross_entropy(logits.sigmoid(), y_l),
                "sigmoid before cross-entropy: F.cross_entropy takes the logits as they are",
            ),
            (-logits[range(4), y_l].mean(), "nll_loss needs log-probabilities: F.cross_entropy takes logits"),
            (
                -log_p.exp()[range(4), y_l].mean(),
                "the logarithm is missing: the loss is -log of the probability of the label",
            ),
            (
                nn.functional.cross_entropy(logits, y_l, label_smoothing=0.1),
                "the labels are smoothed: the plain cross-entropy is asked for",
            ),
            (-each.mean(), "the sign is wrong: the loss is -log p, so that a smaller one is better"),
            (
                nn.functional.cross_entropy(logits, logits.argmax(1)),
                "the loss is computed against the model's own guess: use batch.y_l",
            ),
            (nn.functional.multi_margin_loss(logits, y_l), "this is a margin loss: use the cross-entropy"),
        ],
    )
    expect(
        logs["accuracy"],
        0.75,
        "the accuracy when 3 of 4 images are right",
        wrong=[
            (3, "the accuracy is a count: divide by the size of the batch"),
            (75, "the accuracy is a percentage: a share lies between 0 and 1"),
            (0.25, "the accuracy is the share of wrong answers"),
            (
                0.5,
                "a probability above one half is asked for: the answer is the class with the largest logit, however small",
            ),
            (
                1,
                "the accuracy divides by the wrong number, or compares the guess with itself: compare with batch.y_l, divide by the size of the batch",
            ),
            (
                log_p.exp()[range(4), y_l].mean(),
                "this is the mean probability of the label: count where it has the largest logit",
            ),
        ],
    )
    if model.weight.grad is not None:
        raise Fix("backward() is called inside: leave that to the training loop, return the loss")
    _gradient_of_loss(model, value, logits, y_l)
    if len(model.calls) != 1:
        raise Fix(
            f"the model ran {len(model.calls)} times: once is enough, keep its logits (each run costs time and moves BatchNorm's averages)"
        )
    if not model.training:
        raise Fix("it left the model in evaluation mode: a loss is for training, leave the mode alone")
    if model.switched:
        raise Fix("it switches the mode: call neither eval() nor train(), the training loop takes care of the mode")
    _, logs = expect_tuple(student(_Recorder(torch.eye(3)), Batch(logits.clone(), torch.tensor([0, 0, 2, 1]))), ("loss", "logs"))
    expect(
        logs["accuracy"],
        0.5,
        "the accuracy when 2 of 4 guesses are right and 2 are class numbers above the label",
        [(1.0, "a guess above the label counts as right: the class with the largest logit must be the label, ==")],
    )


def _gradient_of_loss(model: _Recorder, value, logits: torch.Tensor, y_l: torch.Tensor) -> None:
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        raise Fix("the loss has no gradient: return the tensor itself, without .item(), .detach() or no_grad")
    value.backward()
    if model.weight.grad is None:
        raise Fix("the loss has no gradient with respect to the model: compute it from the model's logits")
    error = logits.softmax(1) - nn.functional.one_hot(y_l, 3)
    expect(model.weight.grad, logits.T @ error / len(y_l), "the gradient of the loss", tolerance=1e-3)


@exercise("1.3", "predicting probabilities")
def _(student):
    weight = torch.tensor([[1.0, 0.0, -1.0, 0.5], [0.0, 2.0, 1.0, -0.5]])
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0], [-1.0, 0.5], [0.0, 0.0], [0.5, 3.0]]).view(7, 2, 1, 1)
    logits = images.flatten(1) @ weight
    p = logits.softmax(1)
    model = _Recorder(weight).train()
    result = student(model, images.clone(), 2)
    if any(training for _, training, _ in model.calls):
        raise Fix("the model predicted in training mode: model.eval() first, or BatchNorm mixes the images of a batch")
    per_part = torch.cat([part.softmax(0) for part in logits.split(2)])
    expect(
        result,
        p,
        "the probabilities of 7 images in batches of 2",
        wrong=[
            (p[:6], "the last, smaller batch was dropped: every image needs an answer"),
            (p[:2], "only the first batch came back: collect the parts and join them"),
            (p[6:], "only the last batch came back: collect the parts and join them"),
            (logits, "these are logits: apply the softmax over the classes"),
            (logits.log_softmax(1), "these are log-probabilities: softmax, not log_softmax"),
            (per_part, "the softmax went over the images of a batch: it goes over the classes, dim=1"),
            (logits.softmax(0), "the softmax went over the images: it goes over the classes, dim=1"),
            (logits.sigmoid(), "this is a sigmoid of each logit: the softmax makes each row sum to 1"),
            (p.softmax(1), "the softmax was applied twice"),
            (p.argmax(1), "these are the predicted classes: return the probabilities"),
            (p.max(1).values, "this is the largest probability of each image: return those of all classes"),
            (nn.functional.one_hot(p.argmax(1), 4), "these are answers as one-hot rows: return the probabilities"),
            (p.T, "the result is transposed: one row per image, one column per class"),
        ],
        float_tensor=True,
    )
    if not model.weight.requires_grad:
        raise Fix("requires_grad_(False) freezes the model, and it stays frozen: run it under torch.no_grad() instead")
    if (torch.is_tensor(result) and result.requires_grad) or any(recorded for _, _, recorded in model.calls):
        raise Fix("gradients were recorded: run the model under torch.no_grad(), it saves memory and time")
    if model.training != model.child.training:
        raise Fix("`model.training = ...` changes the outermost module only: model.train(mode) changes BatchNorm's mode, too")
    if not model.training:
        raise Fix("the model came in training mode and was left in evaluation mode: put it back into the mode you found")
    _batch_sizes([images for images, _, _ in model.calls])
    settled = _Recorder(weight).eval()
    expect(student(settled, images[:4].clone(), 2), p[:4], "the probabilities of 4 images in batches of 2")
    if settled.training:
        raise Fix("the model came in evaluation mode and was left in training mode: put it back into the mode you found")
    expect(student(settled, images[:2].clone(), 10), p[:2], "the probabilities of 2 images in batches of at most 10")


def _batch_sizes(sizes: list[int]) -> None:
    if sizes == [7]:
        raise Fix("all images went through at once: `batch_size` at a time, or a large set does not fit into memory")
    if max(sizes) > 2:
        raise Fix(f"a batch had {max(sizes)} images, but batch_size is 2 (split takes the size of the parts, chunk their number)")
    if sum(sizes) > 7:
        raise Fix(f"{sum(sizes)} images went through the model for 7 answers: run each image once")
    if sizes != [2, 2, 2, 1]:
        raise Fix(f"the batches had {sizes} images, expected [2, 2, 2, 1]")


@exercise("1.4", "logit adjustment")
def _(student):
    logits = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 2.0]], requires_grad=True)
    labels, prior = torch.tensor([0, 1]), torch.tensor([0.7, 0.2, 0.1])
    cross_entropy, rows = nn.functional.cross_entropy, torch.arange(2)

    def label_only(z, s):
        shift = torch.zeros_like(z)
        shift[rows, labels] = s * prior[labels].log()
        return z + shift

    def right(z, s):
        return cross_entropy(z + s * torch.log(prior), labels)

    z, s = logits.detach(), 2.5
    value = student(logits, labels, prior, s)
    weighted = cross_entropy(z, labels, weight=1 / prior)
    expect(
        value,
        right(z, s),
        "the loss with strength 2.5",
        wrong=[
            (
                right(z, -s),
                "the sign is wrong: in training log prior is added (it is subtracted when one adjusts at prediction)",
            ),
            (cross_entropy(z + s * prior, labels), "the prior itself was added: its logarithm is"),
            (cross_entropy(z - s * prior, labels), "the prior itself was subtracted: its logarithm is added"),
            (
                right(z, 1.0),
                "`strength` has no effect (inside the logarithm it cancels): the logits get strength * log prior",
            ),
            (right(z, 2.0), "`strength` is rounded to a whole number: take it as it is"),
            (right(z, -1.0), "`strength` has no effect, and the sign is wrong: add strength * log prior"),
            (
                cross_entropy(z, labels),
                "nothing was adjusted, or every class of a row got the same number, which the softmax cancels: "
                "class c gets strength * log prior[c]",
            ),
            (
                cross_entropy(label_only(z, s), labels),
                "only the label's own logit was adjusted: every class gets its log prior, or the classes do not shift against each other",
            ),
            (cross_entropy(s * (z + prior.log()), labels), "`strength` multiplies log prior only, not the logits"),
            (cross_entropy(z * (s * prior.log()), labels), "the logits were multiplied: log prior is added"),
            (cross_entropy(z + prior.pow(s), labels), "prior to the power of strength was added: take its logarithm"),
            (cross_entropy(z + s * prior.log2(), labels), "use the natural logarithm"),
            (cross_entropy(z + s * prior.log10(), labels), "use the natural logarithm"),
            (
                cross_entropy((z + s * prior.log()).softmax(1), labels),
                "softmax before cross-entropy: F.cross_entropy takes logits and applies the softmax itself",
            ),
            (
                cross_entropy(z.softmax(1) + s * prior.log(), labels),
                "the softmax was applied before the adjustment: adjust the logits",
            ),
            (weighted, "this weights the loss of each class by 1/prior: adjust the logits instead"),
            (2 * right(z, s), "this is the sum over the batch: take the mean"),
            (
                cross_entropy(z + s * prior.log(), labels, reduction="none"),
                "this is one loss per image: take the mean",
            ),
        ],
    )
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        raise Fix("the loss has no gradient: keep the tensors, without .item(), .detach() or numpy")
    gradient = torch.autograd.grad(value, logits)[0]
    error = (z + s * torch.log(prior)).softmax(1) - nn.functional.one_hot(labels, 3)
    expect(gradient, error / 2, "the gradient with respect to the logits")
    expect(student(z.clone(), labels, prior, 0.0), cross_entropy(z, labels), "the loss with strength 0")
    expect(student(z.clone(), labels, prior, 2.0), right(z, 2.0), "the loss with strength 2")
    rare = student(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0.999, 0.001]), 1.0)
    expect(
        rare,
        -math.log(0.001),
        "the loss of a label with the prior .001",
        wrong=[
            (-math.log(least / (0.999 + least)), "a small prior is replaced by a larger one (clamp?): take it as it is")
            for least in (0.1, 0.05, 0.01, 0.005, 0.002)
        ],
    )


@exercise("1.5", "the paired difference")
def _(student):
    a, b = np.array([0.40, 0.38, 0.45, 0.41]), np.array([0.38, 0.37, 0.41, 0.40])
    d = a - b  # .02, .01, .04, .01: mean .02, sum of squared deviations .0006
    mean, spread = 0.02, math.sqrt(0.0006 / 3)
    result = expect_tuple(_as_pair(student(a.copy(), b.copy())), ("mean of a - b", "standard error"))
    causes = [
        ((-mean, spread / 2), "the sign is reversed: the difference is a - b"),
        ((spread / 2, mean), "the order is (mean, standard error)"),
        ((mean, spread), "this is the standard deviation of the differences: divide it by the square root of n"),
        ((mean, spread / 4), "the standard error divides by the square root of n, not by n"),
        ((mean, math.sqrt(0.0006 / 4) / 2), "numpy's std divides by n: give it ddof=1, which divides by n - 1"),
        (
            (mean, math.sqrt(0.0006 / 4)),
            "this is the standard deviation, and with n instead of n - 1: ddof=1, and divide by the square root of n",
        ),
        ((mean, 0.0006 / 3 / 2), "this is a variance: take its square root"),
        ((mean, 0.0006 / 3 / 4), "this is the squared standard error: take the square root"),
        (
            (mean, math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 4)),
            "this is the unpaired standard error: take the differences first, then their spread",
        ),
        (
            (mean, math.sqrt((a.var() + b.var()) / 4)),
            "this is the unpaired standard error: take the differences first, then their spread",
        ),
        (
            (mean, abs(a.std(ddof=1) - b.std(ddof=1)) / 2),
            "the difference of two spreads is not the spread of the differences: subtract a - b first",
        ),
        ((mean, math.sqrt(0.0006 / 3) / math.sqrt(3)), "divide by the square root of n, not of n - 1"),
        ((0.08, spread / 2), "this is the sum of the differences: take the mean"),
        ((0.015, spread / 2), "this is the median of the differences: take the mean"),
        (((d / b).mean(), (d / b).std(ddof=1) / 2), "these are differences relative to b: take a - b as it is"),
    ]
    expect(
        torch.tensor([_number(part) for part in result]),
        [mean, spread / 2],
        "(mean, standard error)",
        causes,
        tolerance=1e-6,
    )
    mixed = expect_tuple(_as_pair(student(np.array([0.5, 0.3]), np.array([0.4, 0.6]))), ("mean of a - b", "standard error"))
    expect(
        torch.tensor([_number(part) for part in mixed]),
        [-0.1, 0.2],
        "(mean, standard error) of the differences 0.1 and -0.3",
        wrong=[
            ((0.2, 0.1), "the sign of each difference was dropped: no absolute values"),
            ((0.1, 0.2), "the sign of the mean was dropped: no absolute values"),
        ],
    )


def _as_pair(result):
    """An array or tensor of two numbers is as good as a tuple."""
    if isinstance(result, np.ndarray | torch.Tensor) and result.ndim == 1:
        return tuple(result.tolist())
    return result


def _number(value) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Fix("each of the two values is one number: the mean, and the standard error of the mean") from None
