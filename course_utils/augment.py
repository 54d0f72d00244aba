"""Weak and strong views of images, each transform in two forms of one distribution.

`.albumentations()` is the form to read and to try on one image; `.batch(...)` is the form that training uses, drawn
anew for every image of the batch and many times faster. A test compares the two, transform by transform.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

GREY = 128  # fill of the cutout square: the middle of the grey scale, as FixMatch does (Sohn et al. 2020, appendix D)


def _uniform(low: float, high: float, n: int, rng: torch.Generator) -> torch.Tensor:
    return torch.rand(n, generator=rng) * (high - low) + low


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirror left and right with probability `p`."""

    p: float = 0.5

    def albumentations(self):
        import albumentations as A

        return A.HorizontalFlip(p=self.p)

    def batch(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return x.flip(3)


@dataclass(frozen=True)
class SquareSymmetry:
    """One of the eight flips and quarter turns of a square, each as likely: a skin lesion has no up or down."""

    p: float = 1.0

    def albumentations(self):
        import albumentations as A

        return A.SquareSymmetry(p=self.p)

    def batch(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        out = x.clone()
        coins = (torch.rand(3, len(x), generator=rng) < 0.5).to(x.device)
        out[coins[0]] = out[coins[0]].flip(3)
        out[coins[1]] = out[coins[1]].flip(2)
        out[coins[2]] = out[coins[2]].transpose(2, 3)
        return out


@dataclass(frozen=True)
class Affine:
    """Scale (height and width apart), rotate (degrees) and shift (whole pixels) about the centre, bilinear.

    `border` says what moves in from outside: `"black"`, or `"reflect"` for the mirrored image.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    rotate: tuple[float, float] = (0.0, 0.0)
    shift: float = 0.0  # of the side; the shift in pixels is rounded towards zero, as Albumentations does
    border: str = "black"
    p: float = 1.0

    def albumentations(self):
        import albumentations as A
        import cv2

        return A.Affine(
            scale=self.scale,
            rotate=self.rotate,
            translate_percent=(-self.shift, self.shift),
            border_mode={"black": cv2.BORDER_CONSTANT, "reflect": cv2.BORDER_REFLECT_101}[self.border],
            p=self.p,
        )

    def batch(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        n, side = len(x), x.shape[-1]
        scale = torch.rand(2, n, generator=rng) * (self.scale[1] - self.scale[0]) + self.scale[0]
        angle = torch.deg2rad(_uniform(*self.rotate, n, rng))
        shift = ((torch.rand(2, n, generator=rng) * 2 - 1) * self.shift * side).trunc() * 2 / (side - 1)
        cos, sin = angle.cos(), angle.sin()
        # grid_sample asks where each output pixel comes from: the inverse of "scale, then rotate, then shift"
        inverse = torch.stack([cos / scale[0], -sin / scale[0], sin / scale[1], cos / scale[1]], 1).view(n, 2, 2)
        theta = torch.cat([inverse, -inverse @ shift.T.unsqueeze(2)], 2).to(x.device)
        grid = F.affine_grid(theta, list(x.shape), align_corners=True)
        padding = {"black": "zeros", "reflect": "reflection"}[self.border]
        return F.grid_sample(x, grid, padding_mode=padding, align_corners=True)


@dataclass(frozen=True)
class BrightnessContrast:
    """Multiply by 1 ± `contrast` and add ± `brightness` of the full scale, the same for all channels: no hue changes."""

    brightness: float = 0.2
    contrast: float = 0.2
    p: float = 0.5

    def albumentations(self):
        import albumentations as A

        return A.RandomBrightnessContrast(self.brightness, self.contrast, p=self.p)

    def batch(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        factor = _uniform(1 - self.contrast, 1 + self.contrast, len(x), rng).view(-1, 1, 1, 1).to(x.device)
        offset = _uniform(-self.brightness, self.brightness, len(x), rng).view(-1, 1, 1, 1).to(x.device)
        return (x * factor + offset).clamp_(0, 1)


@dataclass(frozen=True)
class GaussianBlur:
    """Blur with a Gaussian of random width (pixels), cut off at 3.5 widths, mirrored at the border."""

    sigma: tuple[float, float] = (0.5, 3.0)
    p: float = 0.5

    def albumentations(self):
        import albumentations as A

        return A.GaussianBlur(sigma_limit=self.sigma, p=self.p)

    def batch(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        sigma = _uniform(*self.sigma, len(x), rng)
        side, reach = x.shape[-1], int(self.sigma[1] * 3.5)
        offset = torch.arange(-reach, reach + 1)
        kernel = torch.exp(-0.5 * (offset / sigma.view(-1, 1)) ** 2) * (offset.abs() <= (sigma * 3.5).int().view(-1, 1))
        kernel = kernel / kernel.sum(1, keepdim=True)
        # A blur along one axis is a matrix: row i holds the weights of the pixels that output pixel i is made of
        source = (torch.arange(side).view(-1, 1) + offset).abs()
        source = (side - 1) - ((side - 1) - source).abs()  # mirror at both borders
        matrix = torch.zeros(len(x), side, side)
        matrix.scatter_add_(2, source.expand(len(x), -1, -1), kernel.unsqueeze(1).expand(-1, side, -1).contiguous())
        matrix = matrix.unsqueeze(1).to(x.device)
        return matrix @ x @ matrix.transpose(2, 3)


@dataclass(frozen=True)
class Cutout:
    """Paint one rectangle, sides drawn from `size` (pixels), with one grey (DeVries & Taylor 2017)."""

    size: tuple[int, int] = (7, 11)
    fill: int = GREY
    p: float = 1.0

    def albumentations(self):
        import albumentations as A

        return A.CoarseDropout((1, 1), self.size, self.size, fill=self.fill, p=self.p)

    def batch(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        n, side = len(x), x.shape[-1]
        size = torch.randint(self.size[0], self.size[1] + 1, (2, n, 1), generator=rng)
        start = (torch.rand(2, n, 1, generator=rng) * (side - size + 1)).int()
        pixel = torch.arange(side)
        inside = (pixel >= start) & (pixel < start + size)
        hole = (inside[0].unsqueeze(2) & inside[1].unsqueeze(1)).unsqueeze(1).to(x.device)
        return torch.where(hole, self.fill / 255, x)


@dataclass(frozen=True)
class View:
    """A chain of transforms, ended by scaling to [-1, 1]. Call it on a batch; ask for its Albumentations form to read it."""

    transforms: tuple = ()

    def albumentations(self, seed: int | None = None):
        """The chain as an Albumentations pipeline: one (H, W, C) uint8 array in, one (C, H, W) float tensor out.

        Albumentations ignores the seeds of torch and numpy: `seed` is the only way to make it repeatable.
        """
        import albumentations as A
        from albumentations.pytorch import ToTensorV2

        steps = [transform.albumentations() for transform in self.transforms]
        return A.Compose([*steps, A.Normalize(mean=0.5, std=0.5), ToTensorV2()], seed=seed)

    def __call__(self, images: torch.Tensor, rng: torch.Generator | None = None) -> torch.Tensor:
        """(B, C, H, W) uint8 in, the same as floats in [-1, 1] out (channels last: faster pooling on a CPU)."""
        x = images.to(torch.float32, memory_format=torch.channels_last).div_(255)
        for transform in self.transforms:
            if transform.p >= 1:
                x = transform.batch(x, rng)
                continue
            hit = (torch.rand(len(x), generator=rng) < transform.p).nonzero().squeeze(1).to(x.device)
            if len(hit):
                x.index_copy_(0, hit, transform.batch(x[hit], rng))
        return x.mul(2).sub_(1).contiguous(memory_format=torch.channels_last)


plain = View()  # no augmentation: for prediction

# The pipelines of the original notebook.
original_weak = View((HorizontalFlip(0.5),))
original_strong = View(
    (
        HorizontalFlip(0.5),
        Affine(scale=(0.9, 1.1), rotate=(-15, 15), shift=0.0625, p=0.5),
        BrightnessContrast(0.2, 0.2, p=0.5),
        GaussianBlur((0.5, 3.0), p=0.3),
    )
)

# Dermatoscopy: every flip and turn is the same lesion; colour carries the diagnosis and is not shifted.
derma_weak = View((SquareSymmetry(), Affine(shift=0.125, border="reflect")))
derma_strong = View(
    (
        SquareSymmetry(),
        Affine(scale=(0.8, 1.2), rotate=(-180, 180), shift=0.125, border="reflect"),
        BrightnessContrast(0.2, 0.2, p=0.8),
        Cutout((7, 11), p=1.0),
    )
)

# Digits: no flips and no turns (a turned 6 is a 9).
digits_weak = View((Affine(shift=0.08),))
digits_strong = View(
    (
        Affine(scale=(0.8, 1.2), rotate=(-20, 20), shift=0.125),
        BrightnessContrast(0.2, 0.2, p=0.8),
        Cutout((7, 11), fill=0),
    )
)


def views(dataset) -> tuple[View, View]:
    """The (weak, strong) pair whose changes keep the class on this dataset."""
    return (digits_weak, digits_strong) if dataset.name == "digits" else (derma_weak, derma_strong)


def augment_one(view: View, image: np.ndarray, n: int, seed: int) -> torch.Tensor:
    """`n` draws of the Albumentations form on one (H, W, C) uint8 image, as (n, C, H, W) floats in [-1, 1]."""
    pipeline = view.albumentations(seed)
    return torch.stack([pipeline(image=image)["image"] for _ in range(n)])
