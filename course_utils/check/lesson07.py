"""Checks of lesson 07: FlexMatch's memory, status and thresholds, its step, and the two repairs under imbalance."""

import torch
import torch.nn.functional as F

from course_utils.batches import Batch
from course_utils.check.core import Fix, Probe, exercise, expect, expect_tuple, wrong_weights


def _int64(value, what: str) -> None:
    if not isinstance(value, torch.Tensor) or value.dtype != torch.int64:
        got = value.dtype if isinstance(value, torch.Tensor) else type(value).__name__
        raise Fix(f"the values are right, but {what} must be an int64 tensor, and is {got}")


@exercise("7.1", "remember the confident guesses")
def _(student):
    # Image 0 and class 0 are noted, a smaller class replaces a larger one, and the positions are in no order
    memory = torch.tensor([2, 3, -1, 1, -1, 0, 2, 3])
    index, guess = torch.tensor([3, 6, 4, 0, 2, 1]), torch.tensor([2, 3, 1, 1, 2, 0])
    confidence = torch.tensor([0.97, 0.60, 0.99, 0.98, 0.30, 0.96])
    new = student(memory, index, guess, confidence, 0.95)
    right = torch.tensor([1, 0, -1, 2, 1, 0, 2, 3])
    enough = confidence >= 0.95
    at, notes = index[enough], guess[enough]

    def noted(positions, values) -> torch.Tensor:
        """The old memory, with these values at these positions."""
        return memory.scatter(0, torch.as_tensor(positions), torch.as_tensor(values))

    early = "only the first guesses of the batch are looked at: is the `return` inside the loop, or is `break` used?"
    emptied = "the old notes are gone: begin with a copy of the memory"
    expect(
        new,
        right,
        "the memory of the worked example",
        wrong=[
            (memory, "the memory is unchanged: write the sure guesses into the copy, and return the copy"),
            (noted(index, guess), "unsure guesses are noted, too: only those with a confidence of at least tau count"),
            (
                noted(index[~enough], guess[~enough]),
                "the unsure guesses are noted and the sure ones are not: the comparison is turned round",
            ),
            (
                right.scatter(0, index[~enough], torch.tensor([-1, -1])),
                "an unsure guess deletes the old note: it must leave it as it is",
            ),
            (
                torch.cat([torch.where(enough, guess, memory[:6]), memory[6:]]),
                "the guesses are written to the first positions: write to `index`, the positions in the pool",
            ),
            (
                torch.where((memory < 0) & (right >= 0), right, memory),
                "a note is only written where there was none: a new confident guess replaces an old one",
            ),
            (
                torch.maximum(memory, right),
                "the larger of the old and the new class is kept: a new confident guess replaces an old one",
            ),
            (torch.where(right == memory, -1, right), emptied),
            (noted(at, at), "positions are noted: note the guess"),
            (noted(index[:1], guess[:1]), early),
            (
                noted(index[:4], notes),
                "positions and guesses do not belong together: pick both, `index` and `guess`, with the same mask",
            ),
            (
                noted(at.sort().values, notes),
                "the guesses land in the order of the positions: each guess belongs to the position beside it in `index`",
            ),
            (noted(at[at > 0], notes[at > 0]), "image 0 is left out: 0 is a position like any other"),
            (noted(at[notes > 0], notes[notes > 0]), "class 0 is never noted: 0 is a class, and only -1 means no note"),
            (guess, "these are the guesses: return the whole memory, with the sure ones written in"),
            (right[index], "this is the batch's part of the memory: return the whole memory"),
        ],
    )
    _int64(new, "the memory")
    empty, three = torch.full((4,), -1), torch.tensor([1, 2, 3])
    close = student(empty, three, torch.tensor([2, 1, 1]), torch.tensor([0.5, 0.25, 0.4999]), 0.5)
    expect(
        close,
        [-1, 2, -1, -1],
        "the memory after guesses with confidence .5, .25 and .4999 at tau = .5",
        wrong=[
            ([-1, -1, -1, -1], "a confidence of exactly tau is noted, too: >= instead of > (and tau is the argument)"),
            (
                [-1, 2, -1, 1],
                "a confidence just below tau (.4999 at tau = .5) is noted: compare it as it is, not rounded",
            ),
        ],
    )
    old = torch.tensor([0, 1])
    kept = student(old, torch.tensor([1, 0]), torch.tensor([0, 1]), torch.tensor([0.1, 0.2]), 0.9)
    expect(kept, [0, 1], "the memory after a batch without a sure guess")
    if isinstance(kept, torch.Tensor) and kept.data_ptr() == old.data_ptr():
        raise Fix("without a sure guess the old memory itself comes back: return a new tensor, a copy, then, too")


@exercise("7.2", "the learning status")
def _(student):
    memory = torch.tensor([0] * 40 + [1] * 10 + [-1] * 50)
    beta = student(memory, 3)
    expect(
        beta,
        [0.8, 0.2, 0.0],
        "the status for counts 40, 10, 0 of 100 images",
        wrong=[
            ([1.0, 0.25, 0.0], "the warm-up is missing: the images without a note enter the maximum"),
            ([0.4, 0.1, 0.0], "the counts are divided by N: divide by the larger of the two numbers in the braces"),
            ([40, 10, 0], "these are counts: divide by the larger of the two numbers in the braces"),
            ([0.8, 0.2], "the last class has no note and was left out: minlength=num_classes"),
            ([4 / 9, 1 / 9, 0.0], "the two numbers in the braces are added: take the larger one"),
            ([0.8, 0.2, 0.0, 1.0], "-1 is counted as a class of its own: leave those images out of the counts"),
            ([1.25, 5.0, float("inf")], "the fraction is turned round: the count stands above the line"),
            ([1.0, 0.2, 0.0], "each class has a divisor of its own: it is the same number for all classes"),
            ([4 / 3, 1 / 3, 0.0], "the two numbers are subtracted or averaged: take the larger one"),
            (
                [0.4 / 0.5, 0.1 / 0.5, 1.0],
                "-1 points at the last entry, so images without a note count for the last class",
            ),
        ],
        float_tensor=True,
    )
    expect(
        student(torch.tensor([0] * 60 + [1] * 30 + [2] * 5 + [-1] * 5), 3),
        [1.0, 0.5, 1 / 12],
        "the status for counts 60, 30, 5 of 100 images",
        wrong=[
            ([12.0, 6.0, 1.0], "all is divided by the number without a note: take the larger of the two numbers"),
            ([0.6, 0.3, 0.05], "the counts are divided by N"),
            ([60 / 65, 30 / 65, 5 / 65], "the two numbers in the braces are added: take the larger one"),
        ],
    )
    empty = student(torch.full((7,), -1), 4)
    if torch.as_tensor(empty).isnan().any():
        raise Fix("an empty memory gives nan: the images without a note are in the divisor, so it is never 0")
    expect(empty, [0.0] * 4, "the status of an empty memory", float_tensor=True)
    expect(student(torch.tensor([2, 2, 1, 2]), 3), [0.0, 1 / 3, 1.0], "the status when every image has a note (2, 2, 1, 2)")


@exercise("7.3", "thresholds")
def _(student):
    status = torch.tensor([0.8, 0.2, 0.5])
    ahead = status / status.max()
    behind = "the rule is reversed: a class that is behind must get a LOWER threshold"
    inside = "tau is inside the map: it multiplies the result"
    thresholds = student(status, 0.95)
    expect(
        thresholds,
        [0.63333, 0.10556, 0.31667],
        "the thresholds for status .8, .2, .5 at tau = .95",
        wrong=[
            (0.95 * status, "this is the straight line: the convex map x / (2 - x) is missing"),
            (0.95 / status, behind),
            (0.95 * status.max() / status, behind),
            (0.95 * (1 - status), behind),
            (0.95 * (2 - status) / status, "the fraction is turned round: x stands above the line, 2 - x below"),
            (status / (2 - status), "tau is missing"),
            (0.95 * status / 2 - status, "brackets: x / (2 - x), not x / 2 - x"),
            (0.95 * status / (2 - 0.95 * status), inside),
            (0.95 * status / (2 + status), "the sign: 2 - x"),
            (0.95 - status / (2 - status), "tau is multiplied with the map, nothing is subtracted"),
            (torch.full((3,), 0.95), "all classes get tau: the status does not enter"),
            (0.95 * status**2, "this is another convex map: x / (2 - x)"),
            (0.95 * ahead / (2 - ahead), "the status is divided by its maximum: it has been compared already"),
            (0.95 * status / (2 - status.max()), "2 - x, each class with its own status"),
        ],
        float_tensor=True,
    )
    expect(student(torch.tensor([1.0, 0.0]), 0.95), [0.95, 0.0], "the thresholds for status 1 and 0 at tau = .95")
    expect(student(torch.zeros(3), 0.95), [0.0] * 3, "the thresholds when every status is 0")
    expect(
        student(status, 0.5),
        [1 / 3, 1 / 18, 1 / 6],
        "the thresholds at tau = .5",
        [(thresholds, "tau is ignored: it is an argument, not always .95")],
    )


def _logits(p: list[float], guess: list[int], num_classes: int = 2) -> torch.Tensor:
    """Logits whose softmax is p at the guess and equal elsewhere, shifted row by row as real logits are."""
    p = torch.tensor(p, dtype=torch.float64)
    rest = ((1 - p) / (num_classes - 1)).unsqueeze(1).expand(-1, num_classes).clone()
    rest[torch.arange(len(p)), guess] = p
    return (rest.log() + 3 * torch.arange(len(p)).unsqueeze(1)).float()


def _status(memory: torch.Tensor) -> torch.Tensor:
    counts = torch.stack([(memory == c).sum() for c in range(2)]).float()
    return counts / torch.maximum(counts.max(), (memory < 0).sum())


class _Spy:
    """A status_of that notes the memories it is asked about."""

    def __init__(self, rule=_status):
        self.rule, self.memories = rule, []

    def __call__(self, memory: torch.Tensor) -> torch.Tensor:
        self.memories.append(memory.tolist())
        return self.rule(memory)

    def expect_only(self, memory: torch.Tensor, index: torch.Tensor) -> None:
        """Raise Fix unless it was asked, and about this memory only."""
        if not self.memories:
            raise Fix("status_of is ignored: the thresholds come from status_of(memory)")
        if memory[index].tolist() in self.memories:
            raise Fix("status_of gets the batch's part of the memory: the status is that of the whole memory")
        if any(asked != memory.tolist() for asked in self.memories):
            raise Fix("the memory is renewed before the thresholds are taken: first the mask, then remember")


# Pool of 10 images, 2 classes: (positions, confidences, guesses, right mask)
_STREAM = [
    ([0, 1, 2, 3], [0.99, 0.97, 0.60, 0.55], [0, 0, 0, 1], [1, 1, 1, 1]),
    ([4, 5, 6, 7], [0.96, 0.98, 0.70, 0.52], [0, 0, 0, 1], [1, 1, 1, 1]),
    ([8, 9, 3, 2], [0.99, 0.96, 0.97, 0.55], [0, 0, 1, 0], [1, 1, 1, 1]),
    ([0, 3, 6, 7, 2], [0.60, 0.58, 0.55, 0.97, 0.93], [1, 1, 0, 1, 0], [1, 1, 0, 1, 0]),
]
_MEMORIES = [  # after each batch
    [0, 0, -1, -1, -1, -1, -1, -1, -1, -1],
    [0, 0, -1, -1, 0, 0, -1, -1, -1, -1],
    [0, 0, -1, 1, 0, 0, -1, -1, 0, 0],
    [0, 0, -1, 1, 0, 0, -1, 1, 0, 0],
]


@exercise("7.4", "select, then remember")
def _(student):
    names = ("guess", "mask", "new memory")

    def of(memory, index, logits, tau, status_of) -> tuple:
        try:
            return expect_tuple(student(memory, index, logits, tau, status_of), names)
        except Fix as error:
            if "Boolean value of Tensor" in str(error):
                raise Fix(f"{error}: does remember get the thresholds as its tau? It takes the fixed one") from None
            raise

    not_those = "the thresholds are not flexible_thresholds(status_of(memory), tau): is the convex map missing, or tau?"
    memory = torch.full((10,), -1)
    for number, ((index, p, guess, mask), after) in enumerate(zip(_STREAM, _MEMORIES), 1):
        logits, spy = _logits(p, guess).requires_grad_(), _Spy()
        got, kept, new = of(memory, torch.tensor(index), logits, 0.95, spy)
        where = f"in batch {number} of the example"
        at, noted = torch.tensor(index), torch.tensor(guess)
        if getattr(got, "shape", None) == (10,):
            raise Fix("the order of the values: return (guess, mask, new_memory)")
        if isinstance(got, torch.Tensor) and got.is_floating_point():
            raise Fix("the first value is not the guess: confident_pseudo_label returns (confidence, guess), in this order")
        expect(got, guess, f"the guess {where}")
        spy.expect_only(memory, at)
        sure = [int(value >= 0.95) for value in p]
        expect(
            kept,
            mask,
            f"the mask {where} (confidences {p}, guesses {guess})",
            wrong=[
                (
                    sure,
                    not_those if number == 3 else "the mask uses the fixed tau: compare with the flexible threshold of the guessed class",
                ),
                (
                    [1.0] * len(mask),
                    "every image passes: look up the threshold of each image's guess, thresholds[guess]",
                ),
                ([1 - value for value in mask], "the mask is turned round: 1 means keep"),
                (
                    [0, 1, 1, 1, 1],
                    "the thresholds are those of the old notes, memory[index]: look up those of the guesses",
                ),
                (
                    [0, 1, 0, 1, 0],
                    "an image that has another note is dropped: the mask compares confidence and threshold only",
                ),
            ],
            float_tensor=True,
        )

        def notes(chosen, of=noted, old=memory, at=at) -> torch.Tensor:
            return old.scatter(0, at[chosen], of[chosen])

        across, across_guess = logits.detach().softmax(0).max(1)
        by_class, _ = logits.detach().sigmoid().max(1)
        expect(
            new,
            after,
            f"the new memory {where}",
            wrong=[
                (
                    notes(across >= 0.95, across_guess),
                    "the confidence of an image depends on the other images: the softmax runs over the classes (dim=1)",
                ),
                (
                    notes(by_class >= 0.95),
                    "a sigmoid is no confidence here: take those of confident_pseudo_label, a softmax over the classes",
                ),
                (
                    notes(torch.tensor(mask) > 0),
                    "what passes the mask is remembered: remember what reaches the fixed tau, not the flexible threshold",
                ),
                (
                    memory,
                    "the memory is returned as it was: remember this batch's sure guesses, with the confidences of confident_pseudo_label",
                ),
            ],
        )
        _int64(new, "the new memory")
        if kept.requires_grad:
            raise Fix("the mask carries a gradient: take the confidence from confident_pseudo_label, which detaches")
        memory = torch.tensor(after)
    memory = torch.tensor([1, 0, 0, 1, -1, -1, 1, 0])
    index, p, guess = torch.tensor([4, 5, 6, 7]), [0.97, 0.60, 0.99, 0.70], [1, 1, 0, 1]
    _, kept, _ = of(memory, index, _logits(p, guess), 0.95, lambda m: torch.tensor([0.5, 0.75]))
    expect(kept, [1, 1, 1, 1], "the mask for status .5 and .75 (thresholds .32 and .57)", [([1, 0, 1, 0], not_those)])
    _, kept, new = of(memory, index, _logits(p, guess), 0.65, lambda m: torch.ones(2))
    ignored = "tau is ignored: it is an argument, not always .95"
    expect(kept, [1, 0, 1, 1], "the mask at tau = .65 when both classes have status 1", [([1, 0, 1, 0], ignored)])
    expect(new, [1, 0, 0, 1, 1, -1, 0, 1], "the memory at tau = .65", [([1, 0, 0, 1, 1, -1, 0, 0], ignored)])
    _, kept, new = of(torch.tensor([-1, -1]), torch.tensor([1]), torch.zeros(1, 2), 0.5, lambda m: torch.ones(2))
    at_least = "at least includes equal: >= instead of >"
    expect(kept, [1.0], "the mask for a confidence of exactly the threshold", [([0.0], at_least)])
    expect((new >= 0).int(), [0, 1], "the notes after a confidence of exactly tau", [([0, 0], at_least)])
    three = _logits([0.70, 0.80, 0.60, 0.50, 0.40], [2, 2, 1, 1, 0], 3)  # thresholds 0, .57 and .78
    _, kept, _ = of(torch.full((5,), -1), torch.arange(5), three, 0.95, lambda m: torch.tensor([0, 0.75, 0.9]))
    two_only = "only two classes are provided for: there may be any number of them"
    expect(
        kept,
        [0, 1, 1, 0, 1],
        "the mask for guesses 2, 2, 1, 1, 0, confidences .7, .8, .6, .5, .4 and thresholds 0, .57, .78",
        wrong=[
            ([1, 1, 1, 0, 1], two_only),
            ([0, 0, 1, 0, 1], two_only),
            ([0, 1, 0, 0, 1], two_only),
            ([0, 1, 1, 0, 0], "a confidence of .4 does not pass a threshold of 0: take the thresholds as they are"),
        ],
    )


@exercise("7.5", "FlexMatch")
def _(student):
    logits_l, y_l = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.5, 0.0], [1.0, 3.0]]), torch.tensor([1, 1, 0, 1])
    index, p, guess, mask = (torch.tensor(part) for part in _STREAM[3])
    logits_w = _logits(p.tolist(), guess.tolist())
    logits_s = torch.tensor([[0.0, 4.0], [2.0, 0.0], [0.5, 0.0], [3.5, 0.0], [0.0, 1.0]])
    memory, after = torch.tensor(_MEMORIES[2]), _MEMORIES[3]

    def images(logits: torch.Tensor) -> torch.Tensor:
        return logits.view(-1, 2, 1, 1)

    batch = Batch(images(logits_l), y_l, images(logits_w), images(logits_s), index)
    model, spy = Probe(), _Spy()
    loss, logs, new = expect_tuple(student(model, batch, memory, spy), ("loss", "logs", "new memory"))
    if not isinstance(loss, torch.Tensor):
        raise Fix("the loss must be a tensor, so that it can be differentiated: no .item() on it")
    if not isinstance(logs, dict):
        raise Fix(f'the second value must be a dict, {{"mask": share}}, but is {type(logs).__name__}')
    spy.expect_only(memory, index)
    loss_l = F.cross_entropy(logits_l, y_l)
    per_image = F.cross_entropy(logits_s, guess, reduction="none")
    loss_u = (per_image * mask).mean()
    top, own = logits_s.softmax(1).max(1)
    own_mask = top >= torch.tensor([0.95, 0.95 * 0.2 / 1.8])[own]  # status 1 and .2
    strong_guess = "the guess comes from the strong view: guess on x_w, learn on x_s"
    expect(
        loss,
        loss_l + loss_u,
        "the loss of the worked example",
        wrong=[
            (loss_u, "the labelled loss is missing"),
            (loss_l, "the unlabelled loss is missing"),
            (loss_l + per_image.mean(), "the mask is not applied"),
            (
                loss_l + (per_image * (p >= 0.95)).mean(),
                "the mask uses the fixed tau (FixMatch): take the mask that select returns",
            ),
            (
                loss_l + (per_image * mask).sum() / mask.sum(),
                "the unlabelled mean runs over the kept images: divide by all",
            ),
            (
                loss_l + (per_image * mask).sum() / 4,
                "the unlabelled losses are divided by the number of labelled images: by that of the unlabelled ones",
            ),
            (loss_l + (per_image * mask).sum(), "the unlabelled losses are summed: divide by the number of all images"),
            (loss_l + (F.cross_entropy(logits_s, own, reduction="none") * mask).mean(), strong_guess),
            (loss_l + (F.cross_entropy(logits_s, own, reduction="none") * own_mask).mean(), strong_guess),
            (
                loss_l + (F.cross_entropy(logits_w, own, reduction="none") * own_mask).mean(),
                "the two views are swapped: guess on x_w, learn on x_s",
            ),
            (
                loss_l + (per_image * torch.tensor([1, 1, 0, 1, 1])).mean(),
                "tau is not .95 when it is not given: leave the defaults in the first line as they are",
            ),
            (
                loss_l + (F.cross_entropy(logits_w, guess, reduction="none") * mask).mean(),
                "the unlabelled loss is computed on the weak views: learn on x_s",
            ),
            (
                F.cross_entropy(torch.cat([logits_l, logits_s]), torch.cat([y_l, guess])),
                "labelled and strong images are averaged together: two means, then their sum",
            ),
        ],
    )
    if not loss.requires_grad:
        raise Fix("the loss carries no gradient: only the weak views go through the model under no_grad")
    (gradient,) = torch.autograd.grad(loss, model.scale)
    scale = torch.ones(1, requires_grad=True)
    again = F.cross_entropy(logits_s * scale, guess, reduction="none")
    of_l = torch.autograd.grad(F.cross_entropy(logits_l * scale, y_l), scale)[0]
    of_s = torch.autograd.grad((again * mask).mean(), scale)[0]
    expect(
        gradient,
        of_l + of_s,
        "the gradient (through the labelled and the strong images)",
        wrong=[
            (of_l, "the model does not learn from the strong views: no detach, no .item() of their loss in the sum"),
            (of_s, "the model does not learn from the labelled images: no detach, no .item() of their loss in the sum"),
        ],
    )
    expect(
        new,
        after,
        "the new memory",
        wrong=[
            (memory, "the old memory comes back: return the one of select, which takes the logits on x_w"),
            (mask, "the order of the values: return (loss, logs, new_memory)"),
            (after[:4], "write to batch.index, the positions in the pool"),
        ],
    )
    if "mask" not in logs:
        raise Fix(f"logs lacks 'mask', the share of unlabelled images that is kept; it holds {list(logs) or 'nothing'}")
    expect(
        logs["mask"],
        0.6,
        "logs['mask']",
        wrong=[
            (0.4, "logs['mask'] is the share of images that are dropped: log the share that is kept"),
            (0.2, "logs['mask'] is the share of guesses that reach the fixed tau: log the mean of the mask"),
            (mask, "logs['mask'] is the whole mask: its mean is wanted"),
            (3, "logs['mask'] is a count: the share is wanted, the mean of the mask"),
        ],
    )
    expect(
        student(Probe(), batch, memory, _status, lambda_u=3.0)[0],
        loss_l + 3 * loss_u,
        "the loss with lambda_u = 3",
        wrong_weights(loss_l, loss_u, 3),
    )
    expect(
        student(Probe(), batch, memory, _status, tau=0.5)[0],
        loss_l + per_image.mean(),
        "the loss with tau = .5",
        [(loss_l + loss_u, "tau is ignored: hand it on to select")],
    )
    expect(
        student(Probe(), batch, memory, lambda m: torch.ones(2))[0],
        loss_l + (per_image * (p >= 0.95)).mean(),
        "the loss when every class has status 1",
        [(loss_l + loss_u, "status_of is ignored: hand it on to select")],
    )
    if model.scale.grad is not None:
        raise Fix("backward() is called inside: leave that to the training loop, return the loss")
    model.expect_joint_pass(batch)


@exercise("7.6", "the status, corrected by the prior")
def _(student):
    prior = torch.tensor([0.5, 0.3, 0.2])
    memory = torch.tensor([0] * 45 + [1] * 6 + [2] * 14 + [-1] * 35)  # rates .9, .2, .7; .35 without a note
    beta = student(memory, prior)
    counts, rate = torch.tensor([45.0, 6, 14]), torch.tensor([0.9, 0.2, 0.7])
    expect(
        beta,
        rate / 0.9,
        "the status for counts 45, 6, 14 of 100 images, prior .5, .3, .2",
        wrong=[
            (counts / 45, "the prior does not enter: divide each count by the count expected of its class"),
            (rate, "these are the rates: divide by the larger of the two numbers in the braces (neither is 1)"),
            (rate / 35, "the images without a note are counted: take their share of N, as the rates are shares, too"),
            (counts * prior / (counts * prior).max(), "the counts are multiplied by the prior: divide"),
            (rate / rate.sum(), "the rates are divided by their sum: divide by the larger of the two numbers"),
            (counts / prior / 35, "the images without a note are counted: compare rates with their share of N"),
            (rate / (0.9 + 0.35), "the two numbers in the braces are added: take the larger one"),
            (
                rate / 0.65,
                "the share WITH a note is in the divisor: the warm-up is the share without, 1 - (sum of counts) / N",
            ),
            (counts / 35 / prior, "the images without a note are counted: compare rates with their share of N"),
            (counts / 100 / 0.9, "the prior does not enter above the line: divide each count by prior times N"),
            (rate * prior / 0.45, "the prior cancels: divide each count by prior times N, then compare the rates"),
        ],
        float_tensor=True,
    )
    early = torch.tensor([0] * 10 + [2] * 12 + [-1] * 78)  # rates .2, 0, .6
    expect(
        student(early, prior),
        [0.2 / 0.78, 0.0, 0.6 / 0.78],
        "the status early on (rates .2, 0, .6; .78 of the images without a note)",
        wrong=[
            (
                [1 / 3, 0.0, 1.0],
                "the warm-up is missing or out of scale: the share of images WITHOUT a note enters the maximum, beside "
                "rates that are divided by prior * N (N is the number of all images, with and without a note)",
            ),
            (
                [0.2 / 0.22, 0.0, 0.6 / 0.22],
                "the share WITH a note is in the divisor: the warm-up is the share without",
            ),
            ([0.2 / 78, 0.0, 0.6 / 78], "the images without a note are counted: take their share of N"),
        ],
    )
    nothing = student(torch.full((6,), -1), prior)
    if torch.as_tensor(nothing).isnan().any():
        raise Fix("an empty memory gives nan: the share without a note is in the divisor, so it is never 0")
    expect(nothing, [0.0] * 3, "the status of an empty memory")
    oracle = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    expect(student(oracle, prior), [1.0, 1.0, 1.0], "the status of a perfect network, whose counts follow the prior")
    skewed = torch.tensor([0] * 2 + [-1] * 8)
    expect(
        student(skewed, torch.tensor([0.2, 0.8])),
        [1.0, 0.0],
        "the status for 2 notes of class 0 among 10 images, prior .2, .8",
        [([1.0], "the last class has no note and was left out: minlength=len(prior)")],
    )
    expect(
        student(torch.tensor([0, 0, 0, 1]), torch.tensor([0.5, 0.5])),
        [1.0, 1 / 3],
        "the status for the notes 0, 0, 0, 1 and prior .5, .5 (rates 1.5 and .5)",
        [([1.0, 0.5], "the rates are cut off at 1: a class that is named too often has a rate above 1")],
    )


@exercise("7.7", "distribution alignment")
def _(student):
    q = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    prior, average = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.5, 0.25, 0.25])
    aligned = student(q, prior, average)

    def normal(x: torch.Tensor) -> torch.Tensor:
        return x / x.sum(1, keepdim=True)

    expect(
        aligned,
        [[0.686275, 0.235294, 0.078431], [0.259259, 0.148148, 0.592593]],
        "the aligned guesses of the worked example",
        wrong=[
            (normal(q * average / prior), "the factor is turned round: a class named too often must lose"),
            (q * prior / average, "the rows do not sum to 1: divide each row by its sum"),
            (normal(q * prior), "the average guess does not enter: multiply by prior / average"),
            (normal(q / average), "the prior does not enter: multiply by prior / average"),
            (
                (q * prior / average) / (q * prior / average).sum(0, keepdim=True),
                "each column is divided by its sum: the rows must sum to 1 (dim=1)",
            ),
            ((q * prior / average).softmax(1), "softmax is no division: divide each row by its sum"),
            (
                (q * prior / average) / (q * prior / average).sum(),
                "all is divided by one sum: each row by its own, keepdim=True",
            ),
            (
                (q * prior / average) / (q * prior / average).amax(1, keepdim=True),
                "divide each row by its sum, not by its maximum",
            ),
            (normal(q * (prior / q.mean(0))), "the average of this batch is used: use the argument `average`"),
            (normal(q + prior - average), "the factor multiplies: nothing is added"),
            (
                q.argmax(1),
                "the aligned guesses are distributions: no argmax here",
            ),
            (q, "the guesses are unchanged"),
            (prior.expand(2, -1), "the guess does not enter: multiply q by prior / average"),
        ],
        float_tensor=True,
    )
    expect(student(q, average, average), q, "the aligned guesses when the average already equals the prior")
    expect(
        student(q[:1], torch.tensor([0.5, 0.5, 0.0]), average),
        [[5 / 11, 6 / 11, 0.0]],
        "the aligned guess when a class has prior 0",
    )
    rare, seldom = torch.tensor([0.6, 0.4]), torch.tensor([0.02, 0.98])
    few = torch.tensor([[0.1, 0.9]])
    cut = [(normal(few * (rare / seldom).clamp(max=most)), "the factor is cut off: it may be large") for most in (2, 10)]
    expect(
        student(few, rare, seldom),
        normal(few * torch.tensor([30.0, 20 / 49])),
        "the aligned guess for prior .6, .4 and average .02, .98",
        cut,
    )
