"""What lies in the plane: points with a few labels, views of them, and networks that are small enough to watch.

A point is an "image" of two channels and one pixel, (B, 2, 1, 1), so that a loss that was written for images takes it unchanged.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from course_utils.batches import Views
from course_utils.datasets import Split
from course_utils.device import DEVICE
from course_utils.labels import LabelSplit

NUM_CLASSES = 2
Drawn = tuple[np.ndarray, np.ndarray]  # (N, 2) points, (N,) classes


class Kind(NamedTuple):
    """One kind of points: what it is in words, its own noise, and `draw(sizes of the classes, noise, seed)`."""

    description: str
    noise: float
    draw: Callable[[tuple[int, int], float, int], Drawn]
    rare: float = 0.5  # the fraction of class 1
    at_the_tips: bool = False


def points(
    kind: str = "moons", num_labels: int = 3, num_points: int = 500, noise: float | None = None, seed: int = 0
) -> LabelSplit:
    """A pool of points in the plane, `num_labels` of each class labelled; `seed` draws the points and the labels.

    Kinds: "moons" (two moons), "rings" (one inside the other), and four in which methods fail honestly: "blobs" (the classes
    overlap), "uneven" (moons, one of them rare), "gap" (the gap between the points does not lie between the classes) and "tips"
    (moons, labelled where each reaches into the other). `noise` is the standard deviation around the shape (default: the kind's own).

    The result has the attributes of `labels.LabelSplit`: `images` (num_points, 2, 1, 1) floats, `labelled`, `y_l`, and the hidden
    labels behind `measure_labels`. Raises ValueError for an unknown kind and for numbers that cannot be drawn.
    """
    if kind not in KINDS:
        raise ValueError(f"there are no points of kind {kind!r}: use {', '.join(map(repr, KINDS))}")
    if num_points < 20:
        raise ValueError(f"num_points is {num_points}, too few to show a shape: use 20 or more")
    chosen = KINDS[kind]
    rare = round(num_points * chosen.rare)
    if not 1 <= num_labels <= rare:
        raise ValueError(
            f"cannot label {num_labels} points of each class: ask for num_labels from 1 to {rare}, the size of the smaller class"
        )
    x, y = chosen.draw((num_points - rare, rare), chosen.noise if noise is None else noise, seed)
    x = (x - x.mean(0)).astype(np.float32)
    rng = np.random.default_rng(seed)
    pick = _tips if chosen.at_the_tips else _at_random
    labelled = np.concatenate([pick(x, y, c, num_labels, rng) for c in range(NUM_CLASSES)])
    split = Split(kind, x.reshape(-1, 1, 1, 2), y.astype(np.int64))
    return LabelSplit(split, np.sort(labelled), NUM_CLASSES, seed, chosen.description)


def _at_random(x: np.ndarray, y: np.ndarray, c: int, num_labels: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(np.flatnonzero(y == c), num_labels, replace=False)


def _tips(x: np.ndarray, y: np.ndarray, c: int, num_labels: int, rng: np.random.Generator) -> np.ndarray:
    """The points of a class that lie deepest in the other."""
    own = np.flatnonzero(y == c)
    return own[np.linalg.norm(x[own] - x[y != c].mean(0), axis=1).argsort()[:num_labels]]


def _moons(sizes: tuple[int, int], noise: float, seed: int) -> Drawn:
    from sklearn.datasets import make_moons

    return make_moons(sizes, noise=noise, random_state=seed)


def _rings(sizes: tuple[int, int], noise: float, seed: int) -> Drawn:
    from sklearn.datasets import make_circles

    return make_circles(sizes, noise=noise, factor=0.45, random_state=seed)


def _blobs(sizes: tuple[int, int], noise: float, seed: int) -> Drawn:
    from sklearn.datasets import make_blobs

    return make_blobs(sizes, centers=[[0, 0], [1.2, 0]], cluster_std=noise, random_state=seed)


def _gap(sizes: tuple[int, int], noise: float, seed: int) -> Drawn:
    """Two discs with a gap between them; the boundary of the classes runs through the middle of the left one."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], sizes)
    radius, angle = np.sqrt(rng.random(len(y))), rng.uniform(-np.pi / 2, np.pi / 2, len(y))
    x = np.stack([np.where(y == 0, -1, 1) * radius * np.cos(angle), radius * np.sin(angle)], 1)
    far = (y == 1) & (rng.random(len(y)) < 0.5)
    x[far] = [2.2, 0] + 0.6 * x[far] * np.where(rng.random((far.sum(), 1)) < 0.5, 1, -1)
    return x + rng.normal(0, noise, x.shape), y


KINDS = {
    "moons": Kind("two moons that reach into each other", 0.08, _moons),
    "rings": Kind("a ring inside another", 0.08, _rings),
    "blobs": Kind("two blobs that overlap", 0.5, _blobs),
    "uneven": Kind("two moons, one of them rare", 0.08, _moons, rare=0.1),
    "gap": Kind("two clouds, with a gap that does not lie between the classes", 0.05, _gap),
    "tips": Kind("two moons, labelled at their inner tips", 0.08, _moons, at_the_tips=True),
}


def noise_view(sd: float) -> Views:
    """A view of points: Gaussian noise of standard deviation `sd`."""
    return lambda x, rng: x + sd * torch.randn(x.shape, generator=rng).to(x.device)


class TinyNetwork(nn.Module):
    """Two hidden layers of 64 with ReLU: (B, 2, 1, 1) points to logits (B, 2); `features` is the (B, 64) before the last layer.

    The last layer starts at zero, so that a new network is undecided everywhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, NUM_CLASSES)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x))


class Painter(nn.Module):
    """A generator for the plane: noise (B, noise_size) to points (B, 2, 1, 1)."""

    noise_size = 8

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(self.noise_size, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, 2),
            nn.Unflatten(1, (2, 1, 1)),
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layers(z)


def new_network(network: type[nn.Module], seed: int) -> nn.Module:
    """A network on the course's device: the same seed, the same weights; torch's global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network().to(DEVICE)
