"""Checks of lesson 02: Lee's weight and loss, confident answers, the merge, the rounds, surviving mistakes, the stop rule."""

import math
import re

import torch
import torch.nn.functional as F

from course_utils.batches import Batch
from course_utils.check.core import CHANGES_INPUT, Fix, Probe, exercise, expect, expect_tuple


@exercise("2.1", "a weight that grows")
def _(student):
    def at(step, *schedule):
        try:
            return student(step, *schedule)
        except Fix as error:
            if "ZeroDivisionError" in str(error):
                raise Fix("it divides by zero: the line is (step - t1) over (t2 - t1), and t1 < t2") from None
            if "returned None" in str(error) and step in schedule[:2]:
                name = ("t1", "t2")[schedule.index(step)]
                raise Fix(f"no branch returns anything at step {name} exactly: is there a < or > that should be <= or >=?") from None
            raise

    schedule = (100, 600, 5.0)
    expect(
        at(350, *schedule),
        2.5,
        "the weight at step 350, half way from t1 = 100 to t2 = 600, with alpha_f = 5",
        wrong=[
            (0.5, "this is the share of the way: multiply it by alpha_f"),
            (5.0, "there is no line: half way from t1 to t2 the weight is half of alpha_f"),
            (0.0, "the weight is 0 on the way: it grows from t1 on (a whole-number division //?)"),
            (5 * 350 / 600, "the line begins at step 0: subtract t1 above and below"),
            (5 * 350 / 500, "subtract t1 from the step as well: (step - t1) / (t2 - t1)"),
            (5 * 250 / 600, "divide by t2 - t1, the length of the line, not by t2"),
            (5 * 251 / 500, "the line begins at t1 with 0: no step + 1"),
            (1.25, "the line is squared: a straight line is wanted"),
            (5 * math.exp(-5 * 0.25), "this is the exponential ramp of other methods: a straight line is wanted"),
            (5 * 190 / 800, "t1, t2 and alpha_f are arguments: use them, not 160 and 960"),
            (10.0, "the fraction is upside down: (step - t1) / (t2 - t1)"),
            (-2.5, "the sign is wrong: step - t1 stands above, t2 - t1 below"),
            (1.0, "the share is cut off after it was multiplied: cut it off at 1 first, then multiply by alpha_f"),
            (2.0, "the weight is rounded down to a whole number: is there an int() or a //?"),
            (5 * 250 / 501, "the line is t2 - t1 steps long: no + 1"),
        ],
    )
    expect(
        at(225, *schedule),
        1.25,
        "the weight at step 225",
        wrong=[
            (3.75, "the line falls: it rises from 0 at t1 to alpha_f at t2"),
            (5 * (3 * 0.25**2 - 2 * 0.25**3), "this is a smooth step: a straight line is wanted"),
            (5 * (1 - math.cos(math.pi / 4)) / 2, "this is a cosine: a straight line is wanted"),
        ],
    )
    for step in (50, 100, 0):
        expect(
            at(step, *schedule),
            0.0,
            f"the weight at step {step} (t1 = 100)",
            wrong=[
                (5 * (step - 100) / 500, "before t1 the weight is negative: it is 0 there"),
                (5 * (100 - step) / 500, "before t1 the weight is 0 (is the sign lost, abs?)"),
                (5.0, "before t1 the weight is 0, not alpha_f"),
            ],
        )
    for step in (600, 900):
        expect(
            at(step, *schedule),
            5.0,
            f"the weight at step {step} (t2 = 600)",
            wrong=[
                (5 * (step - 100) / 500, "after t2 the weight goes on growing: it stays at alpha_f"),
                (1.0, "after t2 the weight is alpha_f, not 1"),
                (0.0, "from t2 on the weight is alpha_f, not 0"),
            ],
        )
    expect(
        at(30, 20, 40, 0.5),
        0.25,
        "the weight at step 30 with t1 = 20, t2 = 40, alpha_f = .5",
        wrong=[
            (0.0, "t1, t2 and alpha_f are arguments: use them, not 100, 600 and 5"),
            (2.5, "alpha_f is an argument: use it, not 5"),
            (0.5, "the share is cut off by alpha_f: cut it off at 1, then multiply"),
        ],
    )


@exercise("2.2", "Lee's loss")
def _(student):
    x_l, y_l = torch.tensor([[2.0, 0, 0], [0, 1, 0.5]]).view(2, 3, 1, 1), torch.tensor([0, 2])
    x_w = torch.tensor([[1.0, 0, 0.5], [0, 5, 0], [0.2, 0, 1], [1.5, 1, 0]]).view(4, 3, 1, 1)
    x_s = torch.tensor([[0, 2.0, 0], [1, 0, 0], [0, 0, 2], [0, 1, 0]]).view(4, 3, 1, 1)
    z_l, z_u, z_s = x_l.flatten(1), x_w.flatten(1), x_s.flatten(1)

    def entropy(z, labels):
        return -z.log_softmax(1)[torch.arange(len(z)), labels]

    own = torch.tensor([0, 1, 2, 0])
    per_l, per_u = entropy(z_l, y_l), entropy(z_u, own)
    loss_l, loss_u = per_l.mean(), per_u.mean()
    model = Probe()
    try:
        result = student(model, Batch(x_l, y_l, x_w, x_s), 0.7)
    except Fix as error:
        rows = re.search(r"input batch_size \((\d)\) to match target batch_size \((\d)\)", str(error))
        if rows is None:
            raise
        if rows.groups() == ("4", "3"):
            raise Fix("there is one pseudo-label per class: wanted is one per image, argmax(dim=1)") from None
        raise Fix(
            "the logits are cut at the wrong place: cut after len(batch.x_l) rows, whatever the number of unlabelled images"
        ) from None
    if isinstance(result, tuple | list) and len(result) == 2 and isinstance(result[0], dict):
        raise Fix("the two values are swapped: return (loss, logs)")
    if isinstance(result, torch.Tensor):
        raise Fix("it must return two values, (loss, logs), but returned the loss only")
    loss, logs = expect_tuple(result, ("loss", "logs"))
    if not isinstance(loss, torch.Tensor):
        raise Fix("the loss must be a tensor, so that it can be differentiated: no .item() on it")
    sure = z_u.softmax(1).max(1).values >= 0.95
    q = z_u.softmax(1)
    uneven = "the images are cut apart at the wrong place: the first len(batch.x_l) rows belong to the labelled ones"
    z = torch.cat([z_l, z_u])

    def cut(n):
        return entropy(z[:n], torch.cat([y_l, y_l])[:n]).mean() + 0.7 * entropy(z[n:], z[n:].argmax(1)).mean()

    expect(
        loss,
        loss_l + 0.7 * loss_u,
        "the loss of the worked example",
        wrong=[
            (loss_l + loss_u, "alpha is ignored"),
            (0.7 * (loss_l + loss_u), "alpha multiplies both losses: it weighs the unlabelled one only"),
            (0.7 * loss_l + loss_u, "alpha multiplies the labelled loss: it weighs the unlabelled one"),
            (0.7 * loss_l + 0.7 * loss_u, "the losses are averaged: add them, the unlabelled one times alpha"),
            (loss_l, "the unlabelled loss is missing"),
            (0.7 * loss_u, "the labelled loss is missing"),
            (loss_u, "the labelled loss is missing, and so is alpha"),
            (loss_l - 0.7 * loss_u, "the unlabelled loss is subtracted: add it"),
            (loss_l + 0.7 * per_u.sum(), "the unlabelled losses are summed: take their mean"),
            (
                loss_l + 0.7 * per_u.sum() / 2,
                "the unlabelled losses are divided by the number of labelled images: take their own mean",
            ),
            (per_l.sum() + 0.7 * per_u.sum(), "the losses are summed: take the mean of each part"),
            (per_l.sum() + 0.7 * loss_u, "the labelled losses are summed: take their mean"),
            (
                (per_l.sum() + 0.7 * per_u.sum()) / 6,
                "both parts are divided by the number of all images: each part has its own mean",
            ),
            (
                (per_l.sum() + per_u.sum()) / 6,
                "one mean over all images, without alpha: each part has its own mean",
            ),
            (
                loss_l - 0.7 * (q * z_u.log_softmax(1)).sum(1).mean(),
                "the targets are soft: a pseudo-label is one class, the most probable one (argmax)",
            ),
            (
                loss_l + 0.7 * (per_u * sure).mean(),
                "a threshold is applied: in Lee's loss every unlabelled image counts",
            ),
            (
                loss_l + 0.7 * per_u[sure].mean() if sure.any() else loss_l,
                "a threshold is applied: in Lee's loss every unlabelled image counts",
            ),
            (
                entropy(z_l.softmax(1), y_l).mean() + 0.7 * entropy(z_u.softmax(1), own).mean(),
                "softmax is applied before the cross-entropy, which applies it itself: hand over the logits",
            ),
            (
                loss_l + 0.7 * entropy(z_u.softmax(1), own).mean(),
                "softmax is applied before the cross-entropy, which applies it itself: hand over the logits",
            ),
            (
                loss_l + 0.7 * entropy(z_s, own).mean(),
                "the unlabelled loss looks at the strong views: Lee's method uses one view, batch.x_w, for both",
            ),
            (
                loss_l + 0.7 * entropy(z_s, z_s.argmax(1)).mean(),
                "it uses the strong views: the unlabelled images of this lesson are batch.x_w",
            ),
            (
                loss_l + 0.7 * entropy(z_u, z_s.argmax(1)).mean(),
                "the pseudo-labels come from the strong views: they come from batch.x_w itself",
            ),
            (
                entropy(z_l, z_l.argmax(1)).mean() + 0.7 * loss_u,
                "the labelled images get pseudo-labels: they have true ones, batch.y_l",
            ),
            (
                loss_l + 0.7 * entropy(z, torch.cat([y_l, own])).mean(),
                "the loss on pseudo-labels runs over all images: cut the labelled ones off first",
            ),
            (
                loss_l + 0.7 * entropy(z, z.argmax(1)).mean(),
                "the loss on pseudo-labels runs over all images: cut the labelled ones off first",
            ),
            (
                loss_l + 0.7 * entropy(z_u, z_u.argmin(1)).mean(),
                "the pseudo-label is the least probable class: argmax, not argmin",
            ),
            (cut(4), uneven),
            (
                entropy(z_u[:2], y_l).mean() + 0.7 * entropy(torch.cat([z_u[2:], z_l]), torch.cat([own[2:], z_l.argmax(1)])).mean(),
                "the images are glued in one order and cut apart in another: the labelled ones first, in both",
            ),
            (cut(3), uneven),
        ],
    )
    if model.scale.grad is not None:
        raise Fix("backward() is called inside: leave that to the training loop, return the loss")
    if not loss.requires_grad:
        raise Fix("the loss carries no gradient: only the pseudo-labels are constants, not the logits of the loss")
    model.expect_mode()
    sizes = [size for size, *_ in model.calls]
    if sizes != [6]:
        parts = ", then ".join(map(str, sizes))
        raise Fix(
            f"the model runs on {parts} images: run it once, on labelled and unlabelled images together (6 here), so that "
            "BatchNorm sees them together"
        )
    (gradient,) = torch.autograd.grad(loss, model.scale)
    leaf = torch.ones(1, requires_grad=True)
    right = entropy(leaf * z_l, y_l).mean() + 0.7 * entropy(leaf * z_u, own).mean()
    expect(
        gradient,
        torch.autograd.grad(right, leaf)[0],
        "the gradient of the loss",
        wrong=[
            (
                torch.autograd.grad(entropy(leaf * z_l, y_l).mean(), leaf)[0],
                "no gradient comes from the unlabelled images: detach the pseudo-labels, not the logits of the loss",
            )
        ],
    )
    if not isinstance(logs, dict) or "unlabelled" not in logs:
        found = f"its keys are {list(logs)}" if isinstance(logs, dict) else f"it is {type(logs).__name__}"
        raise Fix(f'logs must be a dict, {{"unlabelled": the unlabelled loss as a number}}, but {found}')
    if isinstance(logs["unlabelled"], torch.Tensor) and logs["unlabelled"].requires_grad:
        raise Fix("logs['unlabelled'] carries a gradient: a plain number is wanted, .item()")
    expect(
        logs["unlabelled"],
        loss_u,
        "logs['unlabelled']",
        wrong=[
            (0.7 * loss_u, "logs['unlabelled'] is weighted: log the loss before it is multiplied by alpha"),
            (loss_l, "logs['unlabelled'] holds the labelled loss"),
            (loss_l + 0.7 * loss_u, "logs['unlabelled'] holds the whole loss"),
        ],
    )
    model = Probe()
    zero, logs = expect_tuple(student(model, Batch(x_l, y_l, x_w), 0.0), ("loss", "logs"))
    expect(zero, loss_l, "the loss with alpha = 0")
    if [size for size, *_ in model.calls] != [6]:
        raise Fix("with alpha = 0 the joint pass is skipped: run the model on both parts all the same, for BatchNorm's sake")
    expect(
        logs["unlabelled"],
        loss_u,
        "logs['unlabelled'] with alpha = 0",
        [(0.0, "with alpha = 0 logs['unlabelled'] is 0: log the loss before it is multiplied by alpha")],
    )


@exercise("2.3", "the confident ones")
def _(student):
    p = torch.tensor(
        [
            [0.10, 0.80, 0.10],  # confident
            [0.96, 0.02, 0.02],  # labelled
            [0.50, 0.30, 0.20],
            [0.125, 0.125, 0.75],  # exactly at tau
            [0.60, 0.20, 0.20],  # labelled
            [0.90, 0.05, 0.05],  # confident
            [0.14, 0.86, 0.00],  # confident
        ]
    )
    labelled = torch.tensor([4, 1])
    try:
        result = student(p, labelled, 0.75)
    except Fix as error:
        if str(error) == CHANGES_INPUT:
            raise Fix("it changes its input, the probabilities: strike out the labelled ones in a mask") from None
        if "out of bounds for dimension 0 with size 3" in str(error):
            raise Fix("the maximum runs over the wrong axis: one for each image, max(dim=1)") from None
        if re.search(r"must match the size of tensor|could not be broadcast", str(error)):
            raise Fix("labelled holds positions, not a mask: mask[labelled] = False") from None
        raise
    positions, labels = expect_tuple(result, ("positions", "labels"))
    right, names = torch.tensor([0, 3, 5, 6]), torch.tensor([1, 2, 0, 1])
    if isinstance(positions, torch.Tensor) and positions.dtype == torch.bool:
        raise Fix("the first value is a mask: return positions, mask.nonzero().squeeze(1)")
    if isinstance(positions, torch.Tensor) and positions.ndim == 2:
        raise Fix(f"positions has shape {tuple(positions.shape)}: .squeeze(1) after nonzero() makes it (K,)")
    kept = torch.tensor([0, 1, 3, 5, 6])
    expect(
        positions,
        right,
        "positions, at tau = .75,",
        wrong=[
            (names, "the two values are swapped: return (positions, labels)"),
            (torch.tensor([0, 5, 6]), "a probability of exactly tau must pass: >= instead of >"),
            (kept, "labelled images are selected, too: they have a true label and get no pseudo-label"),
            (
                torch.tensor([0, 1, 5, 6]),
                "labelled images are selected, and one at exactly tau is missing: >= and no labelled",
            ),
            (
                torch.tensor([0, 2, 3, 4]),
                "the positions are counted among the unlabelled images only: count in the whole pool",
            ),
            (torch.tensor([1]), "only labelled images are selected: it is the others that are wanted"),
            (torch.tensor([1, 4]), "these are the labelled positions: it is the others that are wanted"),
            (torch.tensor([0, 2, 3, 5, 6]), "the threshold is not applied: highest probability >= tau"),
            (torch.tensor([2]), "the comparison is upside down: keep what is at least tau"),
            (torch.tensor([5, 6, 0, 3]), "the positions are sorted by confidence: rising order is wanted"),
            (torch.tensor([6, 5, 3, 0]), "the positions fall: rising order is wanted"),
            (torch.empty(0), "nothing is selected: is tau used? Is softmax applied to what are probabilities already?"),
            (
                torch.tensor([3, 5, 6]),
                "the labelled images are taken for the first ones of the pool: `labelled` says where they are",
            ),
            (
                torch.tensor([5]),
                "the lead over the second class is compared with tau: the highest probability alone is",
            ),
            (
                torch.tensor([5, 6]),
                "all up to the last labelled image are struck out: mask[labelled] = False strikes out these alone",
            ),
            (
                torch.tensor([1, 5, 6]),
                "the images before the labelled ones are struck out: `labelled` counts from 0, take it as it is",
            ),
            (p.max(1).values, "these are the confidences: turn the mask into positions"),
            (p.max(1).values[right], "these are the confidences: positions are wanted"),
            (torch.arange(7), "every image is selected"),
        ],
    )
    expect(
        labels,
        names,
        "labels",
        wrong=[
            (p.argmax(1), "labels has an entry for every image of the pool: only for the selected ones"),
            (p.max(1).values[right], "labels holds confidences: max(dim=1) gives (value, class)"),
            (p[right], "labels holds distributions: one class number for each image"),
            (p.argmax(1)[:4], "labels is cut, not selected: index it with the positions"),
            (p.argmin(1)[right], "this is the least probable class: argmax, not argmin"),
            (F.one_hot(names, 3), "labels is one-hot: class numbers are wanted"),
        ],
    )

    def expect_int64(values, ending):
        for name, value in zip(("positions", "labels"), values):
            if not isinstance(value, torch.Tensor) or value.dtype != torch.int64:
                got = f"a tensor of {value.dtype}" if isinstance(value, torch.Tensor) else type(value).__name__
                raise Fix(f"{name} is {got}{ending}")

    expect_int64((positions, labels), ": an int64 tensor is wanted")
    high, _ = expect_tuple(student(p, labelled, 0.85), ("positions", "labels"))
    expect(high, [5, 6], "positions at tau = .85", [(right, "tau is ignored: the threshold is the argument")])
    none, empty = expect_tuple(student(p, labelled, 0.99), ("positions", "labels"))
    if none is None or empty is None or len(none) or len(empty):
        raise Fix("at tau = .99 nothing is confident: return two empty tensors")
    expect_int64((none, empty), " when nothing is selected: it must be int64 even then, torch.tensor([], dtype=torch.int64)")
    expect(none, torch.empty(0), "positions when nothing is selected")
    expect(empty, torch.empty(0), "labels when nothing is selected")
    one, name = expect_tuple(student(p[[2, 0]], torch.tensor([0]), 0.5), ("positions", "labels"))
    if getattr(one, "ndim", 1) == 0:
        raise Fix("with a single confident image positions has no axis: .squeeze(1), not .squeeze()")
    expect(one, [1], "positions with a single confident image")
    expect(name, [1], "labels with a single confident image")
    halves = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]])
    once = "an image is selected once per class that reaches tau: only its highest probability counts"
    both, _ = expect_tuple(student(halves, torch.tensor([1]), 0.5), ("positions", "labels"))
    expect(both, [0, 2], "positions for the answers .5 and .5 at tau = .5", [(torch.tensor([0, 0, 2, 2]), once)])
    free = torch.tensor([0, 2, 3, 5, 6])
    everything, named = expect_tuple(student(p, labelled, 0.0), ("positions", "labels"))
    expect(
        everything,
        free,
        "positions at tau = 0",
        wrong=[
            (free.repeat_interleave(3), once),
            (torch.arange(7), "at tau = 0 labelled images are selected: strike them out, whatever their probability"),
        ],
    )
    expect(named, p.argmax(1)[free], "labels at tau = 0")
    apart = torch.eye(2)[[0, 1, 0, 0, 0, 0, 0, 0, 1]] * 0.5 + 0.25
    apart[[0, 2, 3, 4, 5, 6, 7]] = 0.5
    rising, _ = expect_tuple(student(apart, torch.tensor([0]), 0.75), ("positions", "labels"))
    expect(
        rising,
        [1, 8],
        "positions when images 1 and 8 are confident",
        [
            (
                torch.tensor([8, 1]),
                "the positions are not in rising order: a Python set has no order, sort what comes out",
            )
        ],
    )
    try:
        none, empty = expect_tuple(student(p, torch.arange(7), 0.75), ("positions", "labels"))
    except Fix as error:
        raise Fix(f"when all images are labelled {error}: an empty tensor needs dtype=torch.int64, too") from None
    expect_int64((none, empty), " when all images are labelled: it must be int64 even then")
    expect(none, torch.empty(0), "positions when all images are labelled")
    near = torch.tensor([[0.749, 0.251], [0.75, 0.25], [0.9, 0.1]])
    close, _ = expect_tuple(student(near, torch.tensor([2]), 0.75), ("positions", "labels"))
    expect(
        close,
        [1],
        "positions for the confidences .749 and .75 at tau = .75",
        [(torch.tensor([0, 1]), "a confidence just below tau passes: compare it as it is, without rounding")],
    )


@exercise("2.4", "a merge that touches nothing")
def _(student):
    known = torch.tensor([0, -1, 2, -1, -1, 1])

    def merged(positions, labels, true=known):
        positions, labels = torch.tensor(positions, dtype=torch.int64), torch.tensor(labels, dtype=torch.int64)
        try:
            targets = student(true, positions, labels)
        except Fix as error:
            if str(error) == CHANGES_INPUT:
                for name, tensor in (("positions", positions), ("labels", labels)):
                    if tensor._version:  # counts what was written into it
                        raise Fix(f"it writes into `{name}`: write into a copy of `known`, and into nothing else") from None
                raise Fix(
                    "it writes into `known`: the true labels are lost. Copy first: `targets = known`, a slice or .numpy() are "
                    "no copies, known.clone() is"
                ) from None
            if "index 4 is out of bounds for dimension 0 with size 2" in str(error):
                raise Fix("labels has K entries, one for each of `positions`: take it as it is, not labels[positions]") from None
            raise
        if not isinstance(targets, torch.Tensor):
            raise Fix(f"it must return one tensor (N,), but returned {type(targets).__name__}")
        return targets

    targets = merged([1, 4], [0, 2])
    expect(
        targets,
        [0, 0, 2, -1, 2, 1],
        "the targets for known = [0, -1, 2, -1, -1, 1], positions [1, 4], labels [0, 2]",
        wrong=[
            (known, "nothing is written: targets[positions] = labels"),
            ([-1, 0, -1, -1, 2, -1], "the true labels are missing: begin with a copy of `known`"),
            ([0, 0, 0, 0, 2, 0], "the true labels are missing, and -1 stands for 'no label', not 0"),
            ([0, 0, 2, 0, 2, 1], "an image without any label stays at -1"),
            ([0, 2, 1, 0, 2], "true and pseudo-labels are glued: write them into a copy at their positions"),
            ([0, -1, 2, -1, 1, 1], "the labels are added to -1: set them, do not add"),
            ([1, -1, 4, -1, -1, 1], "positions and labels are swapped: targets[positions] = labels"),
            ([0, -1, 2, -1, -1, 1, 0, 2], "the pseudo-labels are glued to the end: write them at their positions"),
            ([0, 0, 2, -1, -1, 1], "only the first pseudo-label is written"),
            ([0, -1, 2, -1, 2, 1], "a pseudo-label of class 0 is dropped: class 0 is a class, too"),
            ([0, 2, 2, -1, 2, 1], "one label is written everywhere: each position has its own"),
            ([0, 0, 2, -1, 0, 1], "one label is written everywhere: each position has its own"),
            ([0, 0, 2, 2, -1, 1], "the labels go to the first free places: they belong at `positions`"),
            ([0, 2, 2, -1, -1, 1], "the labels go to the first rows: they belong at `positions`"),
        ],
    )
    if targets.dtype != torch.int64:
        raise Fix(f"targets has the type {targets.dtype}: class numbers are int64")
    expect(
        merged([0, 3, 5], [1, 2, 2]),
        [0, -1, 2, 2, -1, 1],
        "the targets when positions 0 and 5 have a true label",
        wrong=[
            ([1, -1, 2, 2, -1, 2], "a pseudo-label replaces a true label: where `known` is not -1, that label stays"),
            ([0, -1, 2, 2, -1, 2], "a true label of class 1 is replaced: every label but -1 is a true one"),
            ([1, -1, 2, 2, -1, 1], "the true label 0 is replaced: class 0 is a label, too (>= 0, not > 0)"),
            (
                [0, -1, 2, 1, -1, 1],
                "positions with a true label are left out, but their labels are not: labels[i] belongs to positions[i]",
            ),
            (known, "one true label among the positions, and nothing is written: decide for each position by itself"),
        ],
    )
    expect(
        merged([4, 1], [0, 2]),
        [0, 2, 2, -1, 0, 1],
        "the targets for the positions [4, 1] and the labels [0, 2]",
        wrong=[
            (
                [0, 0, 2, -1, 2, 1],
                "the labels are written in rising order of the positions (a mask, a sort?): labels[i] belongs to positions[i]",
            )
        ],
    )
    same = merged([], [])
    expect(same, known, "the targets without pseudo-labels")
    for result in (targets, same):
        if result.data_ptr() == known.data_ptr():
            raise Fix("it returns `known` itself, under another name: return a tensor of its own, known.clone()")
    expect(merged([1, 0], [1, 1], torch.tensor([-1, -1])), [1, 1], "the targets when nothing is known")


class _Fakes:
    """A `fit` that numbers its models and a `predict` with an answer for each number; both note what they were handed."""

    def __init__(self, answers):
        self.answers, self.fitted, self.asked, self.misuse = answers, [], [], None

    def fit(self, targets):
        if not isinstance(targets, torch.Tensor):
            self.misuse = f"fit takes the targets, a tensor (N,), but was handed {type(targets).__name__}"
            raise TypeError(self.misuse)
        self.fitted.append(targets.clone())
        return f"model {len(self.fitted) - 1}"

    def predict(self, model):
        if not isinstance(model, str):
            self.misuse = f"predict takes a model, what fit returned, but was handed {type(model).__name__}"
            raise TypeError(self.misuse)
        self.asked.append(int(model.split()[1]))
        return self.answers[min(self.asked[-1], len(self.answers) - 1)].clone()


def _answers(*rows):
    """Probabilities of two classes from the numbers [p(class 1), ...] of each image."""
    return [torch.tensor([[1 - p, p] for p in row]) for row in rows]


@exercise("2.5", "the rounds")
def _(student):
    known = torch.tensor([0, 1, -1, -1, -1])
    answers = _answers(
        [0.9, 0.1, 0.9, 0.1, 0.5],  # model 0: image 2 is a 1, image 3 a 0
        [0.1, 0.9, 0.6, 0.9, 0.805],  # model 1: drops image 2, changes image 3, takes image 4
        [0.1, 0.9, 0.5, 0.1, 0.795],  # model 2: image 3 is a 0 again, and nothing else
        [0.1, 0.9, 0.9, 0.9, 0.9],
    )
    right = [[0, 1, -1, -1, -1], [0, 1, 1, 0, -1], [0, 1, -1, 1, 1], [0, 1, -1, 0, -1]]

    def go(num_rounds, tau=0.8, answers=answers, known=known):
        fakes = _Fakes(answers)
        try:
            rounds = student(known, fakes.fit, fakes.predict, tau, num_rounds)
        except Fix as error:
            if str(error) == CHANGES_INPUT:
                raise Fix("`known` has changed: merge must make a new tensor in every round") from None
            if fakes.misuse:
                raise Fix(fakes.misuse) from None
            if "Boolean value of Tensor" in str(error):
                raise Fix("== compares image by image: torch.equal(a, b) says whether two tensors are the same") from None
            raise
        if not isinstance(rounds, list | tuple) or not all(isinstance(r, list | tuple) and len(r) == 2 for r in rounds):
            raise Fix("return a list of pairs (model, targets), one for each fit")
        return fakes, rounds

    def equal(fitted, wanted):
        return [row.tolist() for row in fitted] == wanted

    fakes, rounds = go(3)
    if not fakes.fitted:
        raise Fix("fit is never called")
    if not equal(fakes.fitted[:1], right[:1]):
        raise Fix("the first fit is on the true labels alone: fit(known)")
    model, targets = rounds[0] if rounds else (None, None)
    if model == "model 0" and isinstance(targets, torch.Tensor) and targets.tolist() == right[1]:
        raise Fix("the pairs are shifted: the targets of a pair belong to the model trained ON them, not to the one that gave them")
    if len(fakes.fitted) == 1:
        probe, _ = go(1, answers=_answers([0.9, 0.9]), known=torch.tensor([-1, -1]))
        if len(probe.fitted) == 2:
            raise Fix("it stops as soon as one image keeps its target: torch.equal asks whether all are the same")
        raise Fix(
            "there is no second fit, so nothing was selected: is tau used? Does select_confident get the answers as predict gives them?"
        )
    if len(set(fakes.asked)) == 1 and len(fakes.asked) > 1:
        raise Fix("every round asks the first model: ask the LAST model, the result of the last fit")
    if len(fakes.fitted) == 3 and equal(fakes.fitted, right[:3]):
        raise Fix("there is one round too few: num_rounds rounds come after the first fit")
    if len(fakes.fitted) == 5:
        raise Fix("there is one round too many: num_rounds rounds come after the first fit")
    if len(fakes.fitted) == 2 and equal(fakes.fitted, right[:2]):
        raise Fix("it stops after one round, though the targets changed: compare the targets themselves, not how many there are")
    if fakes.asked == [0] and len(fakes.fitted) > 2:
        raise Fix("the pool is asked once only: ask it again in every round, with the last model")
    if len(fakes.fitted) > 1 and fakes.fitted[1].tolist() == [1, 1, 1, 0, -1]:
        raise Fix("a true label 0 is replaced: class 0 is a label, too (known >= 0, not known > 0)")
    if len(fakes.fitted) > 1 and fakes.fitted[1].tolist() == [1, 0, 1, 0, -1]:
        raise Fix("the labelled images get pseudo-labels: hand their positions to select_confident, merge with known")
    if len(fakes.fitted) > 2:
        second = fakes.fitted[2].tolist()
        if second == [0, 1, 1, 0, 1]:
            raise Fix("an old pseudo-label stays for ever: merge with `known`, not with the last targets")
        if second == [0, 1, 1, 1, 1]:
            raise Fix("a pseudo-label that was dropped stays: merge with `known`, not with the last targets")
        if second == [0, 1, -1, 1, -1]:
            raise Fix("a confidence of .805 is not enough in a later round: tau is the same in every round")
        if second == [0, 1, -1, -1, 1]:
            raise Fix("an image with a pseudo-label is not asked again: only images with a TRUE label are struck out")
    if len(fakes.fitted) > 1 and fakes.fitted[1].tolist() == [-1, -1, 1, 0, -1]:
        raise Fix("the true labels are missing from the targets: merge them with the pseudo-labels")
    if not equal(fakes.fitted, right):
        for r, (got, wanted) in enumerate(zip(fakes.fitted, right)):
            if got.tolist() != wanted:
                raise Fix(f"round {r} is fitted on the targets {got.tolist()}, expected {wanted}")
        raise Fix(f"there are {len(fakes.fitted)} fits, expected {len(right)}")
    if fakes.asked == [0, 1, 2, 3]:
        raise Fix("the last model is asked, too, though no round follows: ask at the beginning of a round")
    if fakes.asked != [0, 1, 2]:
        raise Fix(f"the models asked are {fakes.asked}, expected [0, 1, 2]: each round asks the last model, once")
    if len(rounds) == 3 and rounds[0][0] == "model 1":
        raise Fix("round 0 is missing from the list: it begins with (fit(known), known)")
    if len(rounds) != 4:
        raise Fix(f"the list holds {len(rounds)} pairs, expected one for each of the 4 fits")
    if isinstance(rounds[0][0], torch.Tensor):
        raise Fix("the pairs are swapped: (model, targets)")
    for r, (model, targets) in enumerate(rounds):
        if model != f"model {r}":
            raise Fix(f"pair {r} holds {model!r}, expected the model of fit {r}")
        expect(
            targets,
            right[r],
            f"the targets in pair {r}",
            wrong=[
                (right[-1], "all pairs hold the last targets: each round needs a tensor of its own"),
                (right[min(r + 1, 3)], "the targets of a pair belong to the model trained ON them"),
            ],
        )

    fakes, _ = go(1, answers=_answers([0.9, 0.9, 0.5, 0.5]), known=torch.tensor([-1, -1, 0, 1]))
    if len(fakes.fitted) < 2 or fakes.fitted[1].tolist() != [1, 1, 0, 1]:
        raise Fix("an image without a true label is struck out: `labelled` holds the POSITIONS where known >= 0, not labels")
    fakes, rounds = go(0)
    if len(rounds) != 1 or len(fakes.fitted) != 1:
        raise Fix("with num_rounds = 0 there is one fit, on the true labels, and one pair")
    fakes, rounds = go(2, tau=0.95)
    if len(fakes.fitted) > 1:
        if equal(fakes.fitted[1:2], right[1:2]):
            raise Fix("tau is ignored: hand it to select_confident")
        raise Fix("nothing is confident here, so the targets equal `known`: stop without another fit")
    if len(rounds) != 1:
        raise Fix("a round without a fit has no place in the list")
    settled = _answers([0.1, 0.9, 0.9, 0.1, 0.5], [0.1, 0.9, 0.9, 0.1, 0.6])
    fakes, rounds = go(5, answers=settled)
    if len(fakes.fitted) == 6:
        raise Fix("it fits again although the targets are those of the round before: compare them and stop")
    if len(fakes.fitted) != 2 or len(rounds) != 2:
        raise Fix(
            f"where the second round selects what the first did there are 2 fits and 2 pairs, not {len(fakes.fitted)} and "
            f"{len(rounds)}: stop BEFORE the fit that would change nothing"
        )
    if len(fakes.asked) != 2:
        raise Fix("it goes on asking although nothing changes any more: leave the loop with break, not continue")
    swapped = _answers([0.1, 0.9, 0.9, 0.5, 0.5], [0.1, 0.9, 0.5, 0.9, 0.5], [0.1, 0.9, 0.5, 0.5, 0.9])
    fakes, _ = go(3, answers=swapped)
    if len(fakes.fitted) != 4:
        raise Fix("as many pseudo-labels as before are not the same ones: compare the targets, not their number")
    renamed = _answers([0.1, 0.9, 0.9, 0.1, 0.5], [0.1, 0.9, 0.1, 0.9, 0.5], [0.1, 0.9, 0.9, 0.9, 0.5])
    fakes, _ = go(3, answers=renamed)
    if len(fakes.fitted) != 4:
        raise Fix("the same images with other classes are other targets: compare the targets, not the positions")
    turning = _answers([0.1, 0.9, 0.9, 0.1, 0.5], [0.1, 0.9, 0.1, 0.1, 0.5], [0.1, 0.9, 0.9, 0.1, 0.5])
    fakes, _ = go(3, answers=turning)
    if len(fakes.fitted) != 4:
        raise Fix("it stops at targets that an EARLIER round had: compare with those of the round before only")
    vanishing = _answers([0.1, 0.9, 0.9, 0.5, 0.5], [0.1, 0.9, 0.6, 0.5, 0.5])
    fakes, _ = go(2, answers=vanishing)
    if len(fakes.fitted) != 3:
        raise Fix(
            "it stops when nothing is selected, though the round before had a pseudo-label: the targets have changed, so fit "
            "anew, on the true labels alone"
        )


@exercise("2.6", "the mistakes that survive")
def _(student):
    truth = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])
    # The mistakes are at 2, 3, 4, 5, 6, 9: of these 2, 3, 9 stand, 4 is healed, 5 is changed, 6 is dropped
    first = torch.tensor([0, 1, 0, 1, 2, 1, 2, -1, -1, 2, -1, 2, -1, -1])
    last = torch.tensor([0, 2, 0, 1, 1, 0, -1, 0, 1, 2, -1, 2, 2, 1])
    share = student(first, last, truth)
    expect(
        share,
        3 / 6,
        "the share for six mistakes of which three stand, one is healed, one is changed and one is dropped",
        wrong=[
            (3, "this is the number: divide by the number of first mistakes"),
            (3 / 14, "the denominator is all images: it is the mistakes of `first`"),
            (3 / 9, "the denominator is all labels of `first`: it is its mistakes"),
            (3 / 8, "the denominator is all mistakes of `last`: it is those of `first`"),
            (4 / 6, "a mistake that is now another mistake counts as surviving: the class must be unchanged"),
            (5 / 6, "only the healed one is taken off: a dropped or a changed mistake has not survived either"),
            (1 / 6, "this is the share that is healed, or dropped: wanted is the share that stands unchanged"),
            (7 / 6, "mistakes that are new in `last` are counted, too: look only at those of `first`"),
            (
                3 / 4,
                "dropped and changed mistakes are missing from the denominator: all mistakes of `first` belong to it",
            ),
            (3 / 5, "the dropped mistakes are missing from the denominator: all mistakes of `first` belong to it"),
            (4 / 11, "the images without a label (-1) are counted as mistakes: first >= 0"),
            (3 / 11, "the images without a label (-1) are counted as mistakes: first >= 0"),
            (6 / 14, "all images that did not change are counted: look at the mistakes only"),
            (5 / 9, "all labels that did not change are counted: look at the mistakes only"),
            (2 / 5, "class 0 is a class, too: first >= 0, not > 0"),
        ],
    )
    expect(
        student(torch.tensor([2, 1, 2]), torch.tensor([2, 0, -1]), torch.tensor([0, 2, 1])),
        1 / 3,
        "the share for three mistakes of which one stands",
        wrong=[(2 / 3, "this is the share that did NOT survive: a mistake stands where last == first")],
    )
    expect(
        student(torch.tensor([1, 0, 1]), torch.tensor([1, 1, 2]), torch.tensor([0, 2, 0])),
        1 / 3,
        "the share for three mistakes of which one stands and two are now mistakes of a higher class number",
        wrong=[(1.0, "a mistake that is now another mistake counts as surviving: last == first, not >=")],
    )
    expect(
        student(torch.tensor([1, -1, 1]), torch.tensor([1, -1, 0]), torch.tensor([0, 0, 0])),
        0.5,
        "the share for two mistakes and one image that never had a label",
        wrong=[
            (2 / 3, "an image without a label (-1) is no mistake: first >= 0"),
            (1.0, "an image without a label (-1) is no mistake: first >= 0"),
        ],
    )
    expect(
        student(torch.tensor([1, 2]), torch.tensor([-1, 0]), torch.tensor([0, 0])),
        0.0,
        "the share when there are mistakes, and none of them survives",
        wrong=[(math.nan, "nan only if `first` has no mistake: if it has, and none survives, the share is 0")],
    )
    try:
        single = student(torch.tensor([1, 0]), torch.tensor([1, 0]), torch.tensor([0, 0]))
    except Fix as error:
        if re.search(r"not iterable|0-d tensor|has no len|len\(\) of", str(error)):
            raise Fix("a single mistake loses its axis: .squeeze(1) after nonzero(), not .squeeze()") from None
        raise
    expect(single, 1.0, "the share for a single mistake, which stands")
    try:
        none = student(torch.tensor([0, -1, 2]), torch.tensor([1, 1, 2]), torch.tensor([0, 1, 2]))
    except Fix as error:
        if "ZeroDivisionError" in str(error):
            raise Fix("without any mistake in `first` it divides by zero: return math.nan") from None
        raise
    expect(
        none,
        math.nan,
        "the share when `first` has no mistake",
        wrong=[
            (0.0, "without any mistake there is nothing to survive: math.nan, which is not 0"),
            (1.0, "without any mistake there is nothing to survive: math.nan, which is not 1"),
        ],
    )
    expect(
        student(torch.tensor([0, 0]), torch.tensor([0, 0]), torch.tensor([1, 1])),
        1.0,
        "the share when every mistake stands",
        wrong=[
            (0.0, "class 0 is a class, too: first >= 0, not > 0"),
            (math.nan, "class 0 is a class, too: first >= 0"),
        ],
    )


@exercise("2.7", "the stop rule")
def _(student):
    scores = [0.25, 0.5, 0.375, 0.625, 0.375, 0.6875, 0.75, 0.5]
    try:
        chosen = student(scores, 0.25)
    except Fix:
        if student(scores, 0.0) == 6:  # without a margin it finds one
            raise Fix("no round reaches its bar: the bar is the best score MINUS the margin") from None
        raise
    if chosen == 3 and student([1.0, 0.0, 0.0], 0.5) == 2:
        raise Fix("this is how many scores lie below the bar: the number of the first round that reaches it is wanted")
    if chosen == 3 and student([8.0, 9.0, 10.0], 1.0) == 0:
        raise Fix("the margin is taken as a share of the best score: subtract it")
    if chosen == 3 and student([0.5, 0.625, 0.75], 0.25) == 0:
        raise Fix("each round is compared with those before it: compare with the best of all, minus the margin")
    expect(
        chosen,
        1,
        "the round for the scores .25, .5, .375, .625, .375, .6875, .75, .5 and the margin .25 (the bar is at .5)",
        wrong=[
            (3, "a score of exactly best minus margin is good enough: >= in place of >"),
            (6, "this is the best round: wanted is the earliest that reaches the bar, the best score minus the margin"),
            (
                5,
                "only the rounds right before the best one are looked at: walk from round 0 on, a score may dip in between",
            ),
            (0.5, "this is the score: return the number of the round"),
            (0.75, "this is the best score: return the number of a round"),
            (7, "this is the latest round within the margin: the earliest is wanted"),
            (2, "this is the round that comes after: rounds are counted from 0"),
            (0, "round 0 does not reach the bar: compare each score with the best score minus the margin"),
        ],
    )
    if isinstance(chosen, bool | float):
        raise Fix(f"the round is an int, and is {type(chosen).__name__}")
    expect(
        student(scores, 0.0),
        6,
        "the round with margin 0",
        wrong=[(1, "margin is ignored, or a later, better round is not seen: with margin 0 it is the best round")],
    )
    expect(
        student([0.5, 0.75, 0.75], 0.0),
        1,
        "the round with margin 0 when two rounds are the best",
        wrong=[(2, "of two equally good rounds it takes the later: the earliest is wanted")],
    )
    expect(
        student([0.5, 0.25, 0.5, 1.0], 0.25),
        3,
        "the round for the scores .5, .25, .5, 1 and the margin .25",
        wrong=[
            (0, "it stops at the first drop: look at all rounds first, the best one comes later"),
            (2, "each round is compared with its neighbour: compare with the best of all, minus the margin"),
        ],
    )
    expect(
        student([0.5, 0.625, 0.75], 0.25),
        0,
        "the round when no later one is better by more than the margin",
        wrong=[
            (2, "a score of exactly best minus margin is good enough: >="),
            (1, "round 0 is never taken, although it reaches the bar: begin with it"),
        ],
    )
    expect(student([8.0, 9.0, 10.0], 1.0), 1, "the round for the scores 8, 9, 10 and the margin 1")
    expect(student([0.5], 0.125), 0, "the round when there is only one")
    expect(
        student([0.49609375, 0.5], 0.001953125),
        1,
        "the round for the scores .496, .5 and the margin .002",
        wrong=[(0, "a score just below the bar passes: compare it as it is, without rounding")],
    )
    start = "negative scores are scores, too: start from the first score (or max), not from 0 or -1, and take no abs"
    try:
        negative = student([-3.0, -2.0, -2.5], 0.25)
    except Fix:
        raise Fix(f"no round is found when all scores are negative: {start}") from None
    expect(
        negative,
        1,
        "the round for the scores -3, -2, -2.5 and the margin .25",
        wrong=[(0, f"{start}: the best of -3, -2, -2.5 is -2"), (2, f"{start}: the best of -3, -2, -2.5 is -2")],
    )
