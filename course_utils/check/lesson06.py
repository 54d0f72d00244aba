"""Checks of lesson 06: views, guess and mask, FixMatch's loss, what the mask keeps, zip."""

import math

import torch
import torch.nn.functional as F

from course_utils.check.core import Fix, Probe, exercise, expect, expect_tuple, wrong_weights
from course_utils.batches import Batch

# The worked example: four images, three classes (the second is unsure), threshold .95
_Q = torch.tensor([[0.97, 0.02, 0.01], [0.60, 0.30, 0.10], [0.03, 0.96, 0.01], [0.01, 0.03, 0.96]])
_LOGITS_W = _Q.log() + torch.tensor([[4.0], [3.2], [6.5], [0.0]])  # the same probabilities, logits shifted row by row
_LOGITS_S = torch.tensor([[2.0, 0, 0], [0.5, 0, 1], [0, 1, 0], [1, 0, 0]])
_GUESS, _MASK = torch.tensor([0, 0, 1, 2]), torch.tensor([1.0, 0, 1, 1])
_LOSS_U = 0.585609


@exercise("6.1", "a coin for each image")
def _(student):
    x = torch.arange(600 * 2 * 2 * 3, dtype=torch.float32).view(600, 2, 2, 3)

    def flipped(seed: int, global_seed: int = 0) -> torch.Tensor:
        torch.manual_seed(global_seed)
        try:
            out = student(x, torch.Generator().manual_seed(seed))
        except Fix as error:
            if "must match" in str(error):
                raise Fix(f"{error}: one coin for each image needs the shape (B, 1, 1, 1)") from None
            raise
        if not isinstance(out, torch.Tensor) or out.shape != x.shape:
            raise Fix(
                f"it must return a batch of the same shape {tuple(x.shape)}, but returned {getattr(out, 'shape', type(out).__name__)}"
            )
        same, mirrored = (out == x).flatten(1).all(1), (out == x.flip(3)).flatten(1).all(1)
        if not (same | mirrored).all():
            for other, cause in (
                (
                    x.flip(2),
                    "images are turned upside down: left-right is the last axis (width, 3), not the height (2)",
                ),
                (x.flip(1), "the channels are reversed: left-right is the last axis (width, 3)"),
                (x.flip(0), "the order of the batch is reversed: mirror within each image, along the width (axis 3)"),
                (x.flip(2, 3), "images are turned by half a turn: mirror along the width (axis 3) only"),
                (-x, "the values change their sign: mirroring moves the pixels and keeps their values, x.flip(3)"),
                (-x.flip(3), "the values change their sign: mirroring moves the pixels and keeps their values"),
            ):
                if ((out == other).flatten(1).all(1) | same).all():
                    raise Fix(cause)
            if torch.equal(out.flatten(1).sum(1).sort().values, x.flatten(1).sum(1)):
                raise Fix("the images change places: mirror each at its place, and keep the order of the batch")
            raise Fix(
                "some images are neither the original nor its mirror image: is a coin drawn for each pixel or row?"
            )
        return mirrored

    first = flipped(1)
    if first.all():
        raise Fix("every image is mirrored: it should happen with probability one half")
    if not first.any():
        if flipped(2).all() or flipped(3).all() or flipped(4).all() or flipped(5).all():
            raise Fix("one coin decides for the whole batch: draw B coins, one for each image")
        raise Fix("no image is mirrored: it should happen with probability one half")
    if not torch.equal(first, flipped(1, global_seed=1)):
        raise Fix("the coins do not come from `rng`: hand it over, as in torch.rand(..., generator=rng)")
    patterns = [first, *(flipped(seed) for seed in range(2, 9))]
    different = len({tuple(pattern.tolist()) for pattern in patterns})
    if different == 1:
        raise Fix(
            "another `rng` gives the same coins: hand it over, as in torch.rand(..., generator=rng), and set no seed"
        )
    if different < 5:
        raise Fix(
            f"eight different `rng` give {different} different results only: one coin decides for many images, draw B coins"
        )
    if all(pattern.sum() == len(x) // 2 for pattern in patterns):
        raise Fix("exactly half of the batch is mirrored each time: draw the coins one by one, independently")
    rng = torch.Generator().manual_seed(1)
    if torch.equal(student(x, rng), student(x, rng)):
        raise Fix(
            "a second call with the same `rng` draws the same coins again: draw from `rng` itself, and seed nothing with it"
        )
    _coins_are_fair(student)
    single = x[:1]
    for seed in range(12):
        alone = student(single, torch.Generator().manual_seed(seed))
        if not (torch.equal(alone, single) or torch.equal(alone, single.flip(3))):
            raise Fix("a batch of one image comes back as something else than the image or its mirror image")
        if alone.data_ptr() == single.data_ptr():
            raise Fix("where no image is mirrored it returns `x` itself: a new batch is wanted, x.clone() at least")


def _coins_are_fair(student) -> None:
    """Limits of more than five standard errors: a right answer fails less than once in a million seeds."""
    n = 8000
    tiny = torch.arange(2.0 * n).view(n, 1, 1, 2)
    mirrored = (student(tiny, torch.Generator().manual_seed(5)) != tiny).flatten(1).any(1)
    share = mirrored.float().mean().item()
    if abs(share - 0.5) > 0.03:
        raise Fix(f"about {share:.0%} of the images are mirrored: the probability should be one half")
    if abs((mirrored[1:] == mirrored[:-1]).float().mean() - 0.5) > 0.03:
        raise Fix("the coins of neighbours depend on each other: draw B coins, one for each image by itself")


@exercise("6.2", "guess and mask")
def _(student):
    def of(logits: torch.Tensor, tau: float) -> tuple:
        try:
            return expect_tuple(student(logits, tau), ("guess", "mask"))
        except Fix as error:
            if "math domain" in str(error) or "expected a positive input" in str(error):
                raise Fix("log(tau) does not exist at tau = 0: compare probabilities with tau, no logarithms") from None
            raise

    logits = _LOGITS_W.clone().requires_grad_()
    guess, mask = of(logits, 0.95)
    if not logits.requires_grad:
        raise Fix("it changes its input: detach_() cuts the logits themselves, detach() returns a detached tensor")
    shape_of = getattr(guess, "shape", None)
    if shape_of == (4, 3):
        raise Fix("the guess is one class number for each image, not a distribution: argmax over the classes")
    if shape_of == (3,) and torch.equal(guess, _GUESS[_MASK.bool()]):
        raise Fix("unsure images are left out of the guess: return a guess for every image, the mask says which count")
    if shape_of == (3,):
        raise Fix(
            "the guess has one entry per class: the maximum is taken over the images (dim=0), take it over the classes (dim=1)"
        )
    if isinstance(guess, torch.Tensor) and guess.is_floating_point() and not torch.equal(guess, guess.round()):
        raise Fix("the first value is the confidence: return (guess, mask), where max(dim=1) gives (value, class)")
    over_images = "softmax runs over the images (dim=0): it must run over the classes (dim=1)"
    swapped = "the two values are swapped: return (guess, mask)"
    expect(guess, _GUESS, "the guess", wrong=[(_MASK, swapped), (_LOGITS_W.softmax(0).argmax(1), over_images)])
    if isinstance(guess, torch.Tensor) and guess.dtype != torch.int64:
        raise Fix(f"guess has the type {guess.dtype}: cross-entropy needs class numbers of type int64")
    confidence = _Q.max(1).values
    expect(
        mask,
        _MASK,
        "the mask for confidences .97, .60, .96, .96 at tau = .95",
        wrong=[
            (1 - _MASK, "the mask is inverted: 1 means keep"),
            (confidence, "the mask holds confidences: it is 1 where the confidence is at least tau, else 0"),
            (confidence * _MASK, "the mask holds confidences: it is 1 where the confidence is at least tau, else 0"),
            ((_LOGITS_W.max(1).values >= 0.95).float(), "tau is compared with logits: apply softmax first"),
            ((_LOGITS_W.softmax(0).max(1).values >= 0.95).float(), over_images),
            (
                (_LOGITS_W.sigmoid().max(1).values >= 0.95).float(),
                "sigmoid treats classes one by one: softmax makes them a distribution",
            ),
            (
                (_LOGITS_W.softmax(1).softmax(1).max(1).values >= 0.95).float(),
                "no image passes: is softmax applied twice?",
            ),
            (torch.ones(4), "every image passes: compare each image's highest probability with tau"),
        ],
        float_tensor=True,
    )
    for name, value in (("guess", guess), ("mask", mask)):
        if value.requires_grad:
            raise Fix(f"{name} carries a gradient: detach the logits first (or work under torch.no_grad())")
    _, low = of(_LOGITS_W, 0.5)
    expect(
        low,
        [1.0, 1.0, 1.0, 1.0],
        "the mask at tau = .5",
        [(_MASK, "tau is ignored: the threshold is the argument, not a fixed .95")],
    )
    tied, at = of(torch.tensor([[1.0, 1.0], [0.0, 3.0]]), 0.5)
    if getattr(tied, "shape", None) != (2,):
        raise Fix("where two classes are equally probable there are two guesses: one for each image is wanted, argmax")
    expect(
        at,
        [1.0, 1.0],
        "the mask at tau = .5 for a confidence of exactly .5",
        [([0.0, 1.0], "a confidence of exactly tau must pass: >= instead of >")],
    )
    _, wide = of(torch.tensor([[1.0, 0.5, 0.0]]), 0.6)
    expect(
        wide,
        [0.0],
        "the mask for logits [1, .5, 0] at tau = .6",
        [([1.0], "the probabilities are sharper than softmax gives: no temperature, no sharpening")],
    )
    unsure, _ = of(torch.tensor([[0.0, 1.0], [0.0, 9.0]]), 0.95)
    expect(
        unsure,
        [1, 1],
        "the guess for the logits [0, 1] and [0, 9] at tau = .95",
        [
            (
                [0, 1],
                "the guess of an unsure image is lost: the most probable class of every image, the mask says the rest",
            )
        ],
    )
    _, near = of(torch.tensor([[0.9495, 0.0505], [0.0495, 0.9505]]).log(), 0.95)
    expect(
        near,
        [0.0, 1.0],
        "the mask for confidences .9495 and .9505 at tau = .95",
        wrong=[
            ([1.0, 1.0], "a confidence just below tau passes: compare as it is, no rounding and no tolerance"),
            ([0.0, 0.0], "a confidence just above tau does not pass: compare as it is, no rounding and no tolerance"),
        ],
    )
    _, every = of(_LOGITS_W, 0.0)
    expect(
        every,
        [1.0] * 4,
        "the mask at tau = 0",
        [(_MASK, "tau = 0 is taken as missing: it is a threshold like any other, and every image passes")],
    )


@exercise("6.3", "the unlabelled loss")
def _(student):
    def of(*arguments):
        try:
            return student(*arguments)
        except Fix as error:
            if "must match the size" in str(error):
                raise Fix(f"{error}: is a number of images or classes written in?") from None
            raise

    losses = F.cross_entropy(_LOGITS_S, _GUESS, reduction="none")
    logits = _LOGITS_S.clone().requires_grad_()
    loss = of(logits, _GUESS, _MASK)
    masked_logits = F.cross_entropy(_LOGITS_S * _MASK[:, None], _GUESS)
    expect(
        loss,
        _LOSS_U,
        "the loss of the worked example",
        wrong=[
            (losses * _MASK, "return one number: the mean over all images"),
            (losses, "the mask is not applied, and one number is wanted: the masked mean"),
            ((losses * _MASK).sum() / 3, "the mean runs over the kept images: divide by all of them"),
            ((losses * _MASK).sum(), "this is the sum: divide by the number of all images"),
            ((losses * _MASK).sum() / 12, "divide by the number of images, not by images times classes"),
            (losses.mean(), "the mask is not applied"),
            (
                losses.mean() * _MASK.mean(),
                "mask each image's loss, then take the mean; not the mean loss times the mean mask (or (B, 1) met (B,) and became (B, B))",
            ),
            (
                masked_logits,
                "the mask is applied to the logits: an image with logits 0 still has a loss; mask the losses",
            ),
            ((losses * (1 - _MASK)).mean(), "the mask is inverted: 1 means keep"),
            (-_LOSS_U, "the sign is wrong: a cross-entropy is positive"),
            (
                (F.cross_entropy(_LOGITS_S.softmax(1), _GUESS, reduction="none") * _MASK).mean(),
                "softmax is applied twice: cross_entropy takes logits",
            ),
            (
                (F.cross_entropy(_LOGITS_S, _LOGITS_S.argmax(1), reduction="none") * _MASK).mean(),
                "the target is the argmax of the strong view: it is the guess",
            ),
            (
                -(_LOGITS_S.softmax(1).gather(1, _GUESS[:, None])[:, 0] * _MASK).mean(),
                "the logarithm is missing: cross-entropy is -log of the probability",
            ),
        ],
    )
    if not (isinstance(loss, torch.Tensor) and loss.requires_grad):
        raise Fix("the loss carries no gradient to the strong logits: no detach, no .item(), no no_grad here")
    (gradient,) = torch.autograd.grad(loss, logits)
    expect(gradient[1], [0, 0, 0], "the gradient of the image that is masked out")
    none_kept = of(_LOGITS_S, _GUESS, torch.zeros(4))
    if torch.as_tensor(none_kept).isnan().any():
        raise Fix("with nothing kept the loss is nan: divide by all images, not by the kept ones")
    expect(none_kept, 0.0, "the loss when nothing is kept")
    if not isinstance(none_kept, torch.Tensor):
        raise Fix(
            f"with nothing kept it returns a {type(none_kept).__name__}: a scalar tensor is wanted, and no special case"
        )
    # Six images of two classes: logits 0 and 0 for the first five, whose loss is log 2; 0 and 1 for the last
    two = torch.zeros(6, 2)
    two[5, 1] = 1.0
    half, last, zeros = math.log(2), math.log(1 + math.e), torch.zeros(6, dtype=torch.int64)
    size_written = "the number of images is written in: divide by the number of all images, which .mean() counts"
    expect(
        of(two, zeros, torch.tensor([1.0, 1, 0, 0, 0, 1])),
        (2 * half + last) / 6,
        "the loss of six images of two classes, three of them kept",
        wrong=[
            ((2 * half + last) / 4, size_written),
            ((2 * half + last) / 8, size_written),
            (2 * half / 4, "only the first four images count: go through all of them"),
            (2 * half / 6, "only the first images count: go through all of them"),
        ],
    )
    expect(of(two[5:], zeros[:1], torch.ones(1)), last, "the loss of one image", [(last / 4, size_written)])
    infinite = "log(softmax) of a small probability is infinite: log_softmax or cross_entropy stay with logarithms"
    for kept in (0.0, 1.0):
        expect(
            of(torch.tensor([[200.0, 0.0]]), torch.tensor([1]), torch.tensor([kept])),
            200 * kept,
            f"the loss of one image with logits [200, 0] and guess 1, mask {kept:.0f}",
            wrong=[(math.nan, infinite), (math.inf, infinite)],
        )


@exercise("6.4", "FixMatch")
def _(student):
    logits_l, y_l = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]), torch.tensor([1, 1])
    logits_s = torch.tensor(
        [[0.0, 5, 0], [0.5, 0, 1], [0, 1, 0], [1, 0, 0]]
    )  # sure in the first image, and not of the guess
    loss_l = F.cross_entropy(logits_l, y_l)

    def images(logits: torch.Tensor) -> torch.Tensor:
        return logits.view(-1, 3, 1, 1)

    def cross_entropies(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, target, reduction="none")

    def of(*arguments, **options):
        try:
            return student(*arguments, **options)
        except Fix as error:
            if any(
                sign in str(error) for sign in ("match target batch_size", "must match the size", "split_with_sizes")
            ):
                raise Fix(
                    f"{str(error).rstrip('.')}: are the logits cut in the wrong place? Cut after len(batch.x_l) rows"
                ) from None
            raise

    batch = Batch(images(logits_l), y_l, images(_LOGITS_W), images(logits_s), torch.arange(4))
    model = Probe()
    result = of(model, batch)
    if isinstance(result, torch.Tensor):
        raise Fix("it must return two values, (loss, logs), but returned the loss only")
    loss, logs = expect_tuple(result, ("loss", "logs"))
    if isinstance(loss, dict):
        raise Fix("the two values are swapped: return (loss, logs)")
    if not isinstance(loss, torch.Tensor):
        raise Fix("the loss must be a tensor, so that it can be differentiated: no .item() on it")
    if not isinstance(logs, dict):
        raise Fix(f'logs must be a dict, {{"mask": share}}, but is {type(logs).__name__}')
    own_guess, own_mask = logits_s.argmax(1), (logits_s.softmax(1).max(1).values >= 0.95).float()
    losses = cross_entropies(logits_s, _GUESS)
    own = cross_entropies(logits_s, own_guess)
    loss_u = (losses * _MASK).mean()
    mixed_up = (
        F.cross_entropy(logits_s[:2], y_l)
        + (cross_entropies(torch.cat([logits_s[2:], logits_l]), _GUESS) * _MASK).mean()
    )
    all_masked = "mask" in logs and not torch.as_tensor(logs["mask"]).any()
    expect(
        loss,
        loss_l + loss_u,
        "the loss of the worked example",
        wrong=[
            (loss_u, "the labelled loss is missing"),
            (
                loss_l,
                "no image passes the mask: is softmax applied twice? pseudo_label_and_mask takes logits"
                if all_masked
                else "the unlabelled loss is missing",
            ),
            (
                loss_l + (losses * _MASK).sum() / 3,
                "the unlabelled mean runs over the kept images: divide by all of them",
            ),
            (
                loss_l + (losses * _MASK).sum(),
                "the unlabelled losses are summed: divide by the number of all unlabelled images",
            ),
            (loss_l + losses.mean(), "the mask is not applied"),
            (loss_l + (own * _MASK).mean(), "the guess comes from the strong view: guess on x_w, learn on x_s"),
            (loss_l + (own * own_mask).mean(), "guess and mask come from the strong view: guess on x_w, learn on x_s"),
            (loss_l + (losses * own_mask).mean(), "the mask comes from the strong view: take it from x_w"),
            (
                loss_l + (cross_entropies(_LOGITS_W, _GUESS) * _MASK).mean(),
                "the unlabelled loss is computed on the weak views: learn on x_s",
            ),
            (
                loss_l + (cross_entropies(_LOGITS_W, own_guess) * own_mask).mean(),
                "the two views are swapped: guess on x_w, learn on x_s",
            ),
            (
                F.cross_entropy(torch.cat([logits_l, logits_s]), torch.cat([y_l, _GUESS])),
                "labelled and strong images are averaged together: two means, then their sum",
            ),
            (mixed_up, "the images are glued together in one order and cut apart in another"),
        ],
    )
    expect(
        of(Probe(), batch, lambda_u=3.0)[0],
        loss_l + 3 * loss_u,
        "the loss with lambda_u = 3",
        wrong_weights(loss_l, loss_u, 3),
    )
    expect(
        of(Probe(), batch, tau=0.5)[0],
        loss_l + losses.mean(),
        "the loss with tau = .5",
        [(loss_l + loss_u, "tau is ignored")],
    )
    if model.scale.grad is not None:
        raise Fix("backward() is called inside: leave that to the training loop, return the loss")
    if not loss.requires_grad:
        raise Fix("the loss carries no gradient: only the weak views go through the model under no_grad")
    (gradient,) = torch.autograd.grad(loss, model.scale)
    scale = torch.ones(1, requires_grad=True)
    right = F.cross_entropy(logits_l * scale, y_l) + (cross_entropies(logits_s * scale, _GUESS) * _MASK).mean()
    expect(
        gradient,
        torch.autograd.grad(right, scale)[0],
        "the gradient (it flows through the labelled and the strong images)",
    )
    if "mask" not in logs:
        raise Fix(f"logs lacks 'mask', the share of unlabelled images that is kept; it holds {list(logs) or 'nothing'}")
    expect(
        logs["mask"],
        0.75,
        "logs['mask']",
        wrong=[
            (_MASK, "logs['mask'] is the whole mask: its mean is wanted"),
            (3, "logs['mask'] is a count: the share is wanted, the mean of the mask"),
        ],
    )
    _expect_passes(model, batch)
    _no_special_cases(of, batch, loss_l)
    _other_sizes(of)


def _expect_passes(model: Probe, batch: Batch) -> None:
    """The weak images by themselves, the labelled and the strong ones together; or, as in the paper, all in one pass."""
    labelled, unlabelled = len(batch.x_l), len(batch.x_w)
    part = [size for size, gradient, _ in model.calls if gradient]
    if len(part) == 1 and part[0] < labelled + unlabelled:
        raise Fix(
            f"only a part of the images goes through the model ({part[0]} of {labelled + unlabelled}): all strong images, "
            "kept or not, go with the labelled ones, and the mask belongs to the losses"
        )
    model.expect_joint_pass(batch)
    if sorted(size for size, *_ in model.calls) in ([unlabelled, labelled + unlabelled], [labelled + 2 * unlabelled]):
        return
    weak = [size for size, gradient, _ in model.calls if not gradient]
    if not weak:
        raise Fix(
            "the model is not asked about the weak views: the guess is the model's own, model(batch.x_w), no copy's"
        )
    if len(model.calls) - len(weak) > 1:
        raise Fix("images go through the model once more: one pass with gradients, over labelled and strong images")
    if max(weak) > unlabelled:
        raise Fix("other images go along with the weak views: BatchNorm sees x_w alone in the pass of the guess")
    if max(weak) < unlabelled:
        raise Fix("the weak views go through the model in pieces: one pass, so that BatchNorm sees them together")
    raise Fix("the weak views go through the model twice: one pass is enough, and BatchNorm takes note of each")


def _no_special_cases(student, batch: Batch, loss_l: torch.Tensor) -> None:
    unsure = batch._replace(x_w=torch.zeros_like(batch.x_w))
    for case, given, options, share in (
        ("nothing is kept", unsure, {}, 0.0),
        ("lambda_u is 0", batch, {"lambda_u": 0.0}, 0.75),
    ):
        model = Probe()
        loss, logs = expect_tuple(student(model, given, **options), ("loss", "logs"))
        expect(loss, loss_l, f"the loss when {case}", [(math.nan, f"when {case} the loss is nan")])
        passes = [(size, gradient) for size, gradient, _ in model.calls]
        if not any(gradient and size >= len(batch.x_l) + len(batch.x_s) for size, gradient in passes):
            raise Fix(
                f"when {case} the strong images do not go through the model: no special case, for BatchNorm sees them all the same"
            )
        expect(logs["mask"], share, f"logs['mask'] when {case}")


def _other_sizes(student) -> None:
    """As many unlabelled images as labelled ones, and many more; two classes."""
    for labelled, unlabelled in ((3, 3), (1, 8)):
        sizes = f"with {labelled} labelled and {unlabelled} unlabelled images of two classes"
        x_l, y_l = torch.tensor([[1.0, 0], [0, 0.5], [2, 0]])[:labelled], torch.tensor([0, 0, 1])[:labelled]
        x_w, x_s = (
            torch.tensor([[0.0, 9.0], [9.0, 0.0]] * 4)[:unlabelled],
            (torch.arange(16.0) ** 2 % 7).view(8, 2)[:unlabelled],
        )
        x_w[0] = 0.0  # the first is unsure
        target = x_w.argmax(1)
        losses = F.cross_entropy(x_s, target, reduction="none")[1:]
        batch = Batch(x_l[..., None, None], y_l, x_w[..., None, None], x_s[..., None, None], torch.arange(unlabelled))
        loss, logs = expect_tuple(student(Probe(), batch), ("loss", "logs"))
        loss_l, share = F.cross_entropy(x_l, y_l), (unlabelled - 1) / unlabelled
        written = "divide by the number of all unlabelled images, which .mean() counts"
        expect(
            loss,
            loss_l + losses.sum() / unlabelled,
            f"the loss {sizes}",
            wrong=[
                (loss_l + losses.sum() / 4, f"the number of images is written in: {written}"),
                (loss_l + losses.sum() / (2 * labelled), f"mu is not always 2: {written}"),
            ],
        )
        expect(
            logs["mask"],
            share,
            f"logs['mask'] {sizes}",
            wrong=[
                ((unlabelled - 1) / 4, "logs['mask'] is divided by 4, which is written in: the mean of the mask"),
                ((unlabelled - 1) / (2 * labelled), "mu is not always 2: logs['mask'] is the mean of the mask"),
            ],
        )


@exercise("6.5", "what the mask keeps, class by class")
def _(student):
    guess = torch.tensor([0, 0, 0, 1, 0, 1, 0, 2])
    mask = torch.tensor([1.0, 1, 1, 0, 0, 1, 1, 0])
    truth = torch.tensor([0, 0, 1, 1, 0, 1, 2, 2])
    nan = float("nan")

    def of(*arguments):
        try:
            return expect_tuple(student(*arguments), ("share", "precision"))
        except Fix as error:
            if "must match the size" in str(error):
                raise Fix(f"{error}: is a count too short for the last class? minlength=num_classes") from None
            raise

    share, precision = of(guess, mask, truth, 4)
    right_share, right_precision = [2 / 3, 2 / 3, 1 / 2, nan], [1 / 2, 1.0, nan, nan]
    expect(
        share,
        right_share,
        "the share of each true class that is kept",
        wrong=[
            (right_precision, "the two values are swapped: return (share, precision)"),
            (
                [4 / 5, 1 / 2, 0, nan],
                "the share is counted by guess: it is the part of the images that TRULY are class c",
            ),
            ([2 / 3, 2 / 3, 1 / 2, 0], "a class without images has an unknown share: nan, not 0"),
            ([2 / 5, 2 / 5, 1 / 5, 0], "these are shares of all kept images: divide by the size of each true class"),
            ([2 / 8, 2 / 8, 1 / 8, 0], "these are shares of all images: divide by the size of each true class"),
            ([2, 2, 1, 0], "these are counts: divide by the size of each true class"),
            (
                [2 / 3, 1 / 3, 0, nan],
                "this counts only kept images that are guessed right: the share counts all kept ones",
            ),
            ([2 / 3, 2 / 3, 1 / 2], "the last class has no image and was left out: minlength=num_classes"),
        ],
        float_tensor=True,
    )
    expect(
        precision,
        right_precision,
        "the precision of the kept guesses",
        wrong=[
            ([3 / 5, 1.0, 1.0, nan], "the precision is over all guesses: only the kept ones count"),
            (
                [2 / 3, 1 / 3, 0, nan],
                "this divides by the size of the true class (recall): divide by how many were kept and guessed as c",
            ),
            ([2 / 5, 1 / 2, 0, nan], "this divides by all guesses of the class: divide by the kept ones only"),
            ([1.0, 1 / 2, 0, nan], "this divides by the kept images that truly are c: divide by those guessed as c"),
            ([1 / 2, 1.0, 0, 0], "where nothing was kept the precision is unknown: nan, not 0"),
            ([2, 1, 0, 0], "these are counts: divide by how many were kept and guessed as c"),
        ],
        float_tensor=True,
    )
    share, precision = of(guess, torch.zeros(8), truth, 3)
    expect(
        share,
        [0.0, 0.0, 0.0],
        "the share when nothing is kept",
        [([nan] * 3, "when nothing is kept the shares are known: 0")],
    )
    expect(precision, [nan, nan, nan], "the precision when nothing is kept")
    up, down = torch.tensor([1, 1, 0]), torch.tensor([0, 1, 1])
    for guess, truth in ((up, down), (down, up)):
        _, precision = of(guess, torch.ones(3), truth, 2)
        expect(
            precision,
            [0.0, 0.5],
            f"the precision for the guesses {guess.tolist()} and the true classes {truth.tolist()}, all kept",
            wrong=[
                ([0.0, 1.0], "a guess above the true class counts as right: the guess must be the true class, =="),
                ([1.0, 0.5], "a guess below the true class counts as right: the guess must be the true class, =="),
            ],
        )
    share, precision = of(torch.tensor([0, 0]), torch.ones(2), torch.tensor([1, 1]), 2)
    expect(share, [nan, 1.0], "the share for the guesses [0, 0], both kept, and the true classes [1, 1]")
    expect(
        precision,
        [0.0, nan],
        "the precision for the guesses [0, 0], both kept, and the true classes [1, 1]",
        wrong=[
            ([nan, nan], "a class that is guessed, but is no image's true class, has a known precision: 0, not nan"),
            ([0.0, 0.0], "where nothing was kept the precision is unknown: nan, not 0"),
        ],
    )


@exercise("6.6", "where zip stops")
def _(student):
    expect(
        student(500, 6507, 16, 64),
        2048 / 6507,
        "the share for 500 and 6507 images in batches of 16 and 64",
        wrong=[
            (1.0, "this is a full pass: zip stops after the labelled loader's 32 batches"),
            (31 * 64 / 6507, "the labelled loader has 32 batches, the last one smaller: round up"),
            (500 / 6507, "count the unlabelled images: each step brings batch_u of them"),
            (32 * 16 / 6507, "each step brings batch_u unlabelled images, not batch_l"),
            (32 / 102, "this is the share of the batches: count images (the last batch is smaller)"),
            (32.0, "these are steps: count the images they bring, and divide by num_unlabelled"),
            (2048.0, "this is a count of images: divide by num_unlabelled"),
            (204800 / 6507, "this is a percentage: the share is between 0 and 1"),
            (1 - 2048 / 6507, "this is the share that is NOT seen"),
            (2000 / 6507, "round the number of batches up before multiplying"),
        ],
    )
    expect(
        student(1000, 100, 10, 30),
        1.0,
        "the share for 1000 and 100 images in batches of 10 and 30",
        wrong=[
            (30.0, "more than all cannot be seen: zip stops at the shorter loader, whichever it is"),
            (1.2, "more than all cannot be seen: the last unlabelled batch is smaller"),
            (0.9, "the unlabelled loader's last, smaller batch counts too: round up"),
        ],
    )
    expect(
        student(96, 1000, 32, 100),
        0.3,
        "the share for 96 and 1000 images in batches of 32 and 100",
        [(0.4, "96 images make exactly 3 batches of 32: round up, do not add one")],
    )
    expect(
        student(400, 200, 40, 8),
        0.4,
        "the share for 400 and 200 images in batches of 40 and 8",
        wrong=[
            (0.2, "the unlabelled loader has ceil(num_unlabelled / batch_u) batches: divide by batch_u, not batch_l"),
            (0.32, "batch_u is how many images a step brings, not how many steps there are"),
        ],
    )
    for num_unlabelled in (100, 90):
        expect(
            student(64, num_unlabelled, 16, 25),
            1.0,
            f"the share for 64 and {num_unlabelled} images in batches of 16 and 25, four batches each",
            wrong=[
                (100 / 90, "more than all cannot be seen: the last unlabelled batch is smaller"),
                (0.75, "where both loaders have as many batches, the last one of each is seen, too"),
                (75 / 90, "where both loaders have as many batches, the last one of each is seen, too"),
            ],
        )
