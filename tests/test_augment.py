"""The two forms of each transform are one distribution; views are drawn anew for each image."""

import numpy as np
import pytest
import torch

from course_utils import augment, plots
from course_utils.datasets import to_tensor

N = 2500
TRANSFORMS = {
    "horizontal flip": augment.HorizontalFlip(0.5),
    "square symmetry": augment.SquareSymmetry(),
    "affine, black border": augment.Affine(scale=(0.9, 1.1), rotate=(-15, 15), shift=0.0625, p=0.5),
    "affine, mirrored border": augment.Affine(scale=(0.8, 1.2), rotate=(-180, 180), shift=0.125, border="reflect"),
    "shift only": augment.Affine(shift=0.125, border="reflect"),
    "brightness and contrast": augment.BrightnessContrast(0.2, 0.2, p=0.8),
    "blur": augment.GaussianBlur((0.5, 3.0), p=0.3),
    "cutout": augment.Cutout((7, 11)),
}
VIEWS = {
    "ancestor weak": augment.original_weak,
    "ancestor strong": augment.original_strong,
    "dermatoscopy weak": augment.derma_weak,
    "dermatoscopy strong": augment.derma_strong,
}


def lesion() -> np.ndarray:
    """A made-up lesion without any symmetry, so that every flip and turn shows."""
    y, x = np.mgrid[:28, :28]
    blob = np.exp(-((x - 11) ** 2 / 30 + (y - 16) ** 2 / 60))
    image = np.stack([210 - 120 * blob, 150 - 110 * blob + 2 * x, 140 - 90 * blob + y], axis=-1)
    image[4:7, 18:24] = (60, 40, 30)
    return image.clip(0, 255).astype(np.uint8)


def both_forms(view: augment.View) -> tuple[torch.Tensor, torch.Tensor]:
    image = lesion()
    batch = to_tensor(image).expand(N, -1, -1, -1)
    return augment.augment_one(view, image, N, seed=0), view(batch, torch.Generator().manual_seed(0))


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference of any pixel's mean or mean square, in standard errors."""
    worst = 0.0
    for moment in (1, 2):
        x, y = a**moment, b**moment
        error = ((x.var(0) + y.var(0)) / N).sqrt().clamp(min=0.03 / N**0.5)
        worst = max(worst, ((x.mean(0) - y.mean(0)).abs() / error).max().item())
    return worst


@pytest.mark.parametrize("name", [*TRANSFORMS, *VIEWS])
def test_both_forms_have_one_distribution(name):
    view = VIEWS.get(name) or augment.View((TRANSFORMS[name],))
    theirs, ours = both_forms(view)
    assert theirs.shape == ours.shape == (N, 3, 28, 28)
    assert (
        distance(theirs, ours) < 5.5
    )  # over 2,352 pixels twice, five and a half standard errors are never reached by chance


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (augment.HorizontalFlip(0.5), augment.HorizontalFlip(0.4)),
        (augment.Affine(rotate=(-15, 15)), augment.Affine(rotate=(-20, 20))),
        (augment.Affine(shift=0.125, border="reflect"), augment.Affine(shift=0.125)),
        (augment.Affine(scale=(0.8, 1.2)), augment.Affine(scale=(0.8, 1.1))),
        (augment.BrightnessContrast(0.2, 0.2, p=0.8), augment.BrightnessContrast(0.2, 0.1, p=0.8)),
        (augment.GaussianBlur((0.5, 3.0)), augment.GaussianBlur((0.5, 2.0))),
        (augment.Cutout((7, 11)), augment.Cutout((7, 9))),
        (augment.SquareSymmetry(), augment.HorizontalFlip(0.5)),
    ],
)
def test_the_comparison_can_tell_other_distributions_apart(right, wrong):
    theirs, _ = both_forms(augment.View((right,)))
    _, ours = both_forms(augment.View((wrong,)))
    assert distance(theirs, ours) > 5.5


def test_by_eye(tmp_path):
    """A figure of both forms, side by side, for the person who reads the test's folder."""
    rows, titles = [], []
    for name, view in {**VIEWS, **{n: augment.View((t,)) for n, t in TRANSFORMS.items()}}.items():
        batch = to_tensor(lesion()).expand(8, -1, -1, -1)
        rows += [augment.augment_one(view, lesion(), 8, seed=1), view(batch, torch.Generator().manual_seed(1))]
        titles += [f"{name}, Albumentations", "the fast form"]
    plots.image_grid(rows, titles, scale=0.6).savefig(tmp_path / "augmentations.png")
    print(tmp_path / "augmentations.png")
    assert (tmp_path / "augmentations.png").stat().st_size > 10_000


def test_each_image_gets_its_own_draw():
    batch = to_tensor(lesion()).expand(64, -1, -1, -1)
    for view in (augment.derma_weak, augment.derma_strong, augment.original_strong):
        out = view(batch, torch.Generator().manual_seed(0))
        assert len(torch.unique(out.flatten(1), dim=0)) > 20


def test_views_are_repeatable_and_leave_their_input_alone():
    batch = to_tensor(lesion()).repeat(8, 1, 1, 1)
    before = batch.clone()
    for view in VIEWS.values():
        one, again, other = (view(batch, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
        assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.equal(batch, before)


def test_views_are_floats_between_minus_one_and_one():
    batch = torch.randint(0, 256, (16, 3, 28, 28), dtype=torch.uint8)
    for view in (*VIEWS.values(), augment.plain):
        out = view(batch, torch.Generator().manual_seed(0))
        assert out.dtype == torch.float32 and out.min() >= -1 and out.max() <= 1
        assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(augment.plain(batch), batch / 127.5 - 1, atol=1e-6)


def test_dermatoscopy_views_do_not_change_the_hue():
    """The channels are moved together: grey stays grey, so no view can invent a colour."""
    grey = torch.randint(0, 256, (32, 1, 28, 28), dtype=torch.uint8).expand(-1, 3, -1, -1)
    for view in (augment.derma_weak, augment.derma_strong):
        out = view(grey, torch.Generator().manual_seed(0))
        assert torch.allclose(out[:, 0], out[:, 1], atol=1e-6) and torch.allclose(out[:, 0], out[:, 2], atol=1e-6)


def test_digits_are_never_flipped(digits):
    weak, strong = augment.views(digits)
    names = {type(transform).__name__ for view in (weak, strong) for transform in view.transforms}
    assert not names & {"HorizontalFlip", "SquareSymmetry"}
    x = torch.zeros(200, 1, 28, 28, dtype=torch.uint8)
    x[:, :, 4:12, 4:12] = 255  # top left stays top left
    out = weak(x, torch.Generator().manual_seed(0))
    assert (out[:, 0, :14, :14].mean((1, 2)) > out[:, 0, 14:, 14:].mean((1, 2))).all()
