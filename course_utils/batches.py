"""The batches that training takes, and the random generators behind them."""

import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch

from course_utils.device import DEVICE
from course_utils.labels import LabelSplit


def generator(seed: int, purpose: str) -> torch.Generator:
    """A random generator of its own for each purpose, so that adding a draw in one place changes no other."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}/{purpose}".encode()))


class Batch(NamedTuple):
    """One training step's images, as floats in [-1, 1]; the unlabelled fields are None in supervised training."""

    x_l: torch.Tensor  # (B, C, H, W) labelled images, weakly augmented unless told otherwise
    y_l: torch.Tensor  # (B,) their labels
    x_w: torch.Tensor | None = None  # (mu * B, C, H, W) weak views of unlabelled images
    x_s: torch.Tensor | None = None  # (mu * B, C, H, W) strong views of the same images
    index: torch.Tensor | None = None  # (mu * B,) their positions in the pool


Views = Callable[[torch.Tensor, torch.Generator], torch.Tensor]  # (B, C, H, W) uint8 -> the same as floats in [-1, 1]


def shuffled(positions: torch.Tensor, batch_size: int, rng: torch.Generator) -> Iterator[torch.Tensor]:
    """Endless batches of positions: pass after pass in a new order, each batch full, none left out of a pass."""
    if len(positions) == 0:
        raise ValueError("there is nothing to draw batches from: the set is empty")
    queue = positions[:0]
    while True:
        while len(queue) < batch_size:
            queue = torch.cat([queue, positions[torch.randperm(len(positions), generator=rng)]])
        yield queue[:batch_size]
        queue = queue[batch_size:]


def batches(
    label_split: LabelSplit,
    weak: Views,
    strong: Views | None = None,
    *,
    batch_size: int = 32,
    mu: int = 0,
    labelled_view: Views | None = None,
    seed: int = 0,
) -> Iterator[Batch]:
    """Endless training batches: `batch_size` labelled and `mu * batch_size` unlabelled images a step, on the draw's device.

    The labelled and the unlabelled stream each go on by themselves, so neither ends at the shorter one, and after one
    pass every image of the pool (the labelled ones too: they are images like the others) was seen once. The weak and
    the strong view of an image are independent draws. The labelled images get the weak view, or `labelled_view`.

    Where a core is free, the next batch is made in a second thread while the caller learns from this one; the batches are
    the same. So a view must not look at anything that changes during the training.
    """
    stream = _one_by_one(label_split, weak, strong, batch_size, mu, labelled_view or weak, seed)
    core_is_free = DEVICE.type == "cpu" and torch.get_num_threads() < (os.cpu_count() or 1)
    return _made_ahead(stream) if core_is_free else stream


def _one_by_one(
    label_split: LabelSplit,
    weak: Views,
    strong: Views | None,
    batch_size: int,
    mu: int,
    labelled_view: Views,
    seed: int,
) -> Iterator[Batch]:
    images = label_split.images
    position_l = torch.arange(len(label_split.labelled))
    stream_l = shuffled(position_l, batch_size, generator(seed, "labelled order"))
    stream_u = shuffled(torch.arange(len(images)), mu * batch_size, generator(seed, "unlabelled order")) if mu else None
    rng = {name: generator(seed, f"{name} views") for name in ("labelled", "weak", "strong")}
    while True:
        chosen = next(stream_l)
        x_l = labelled_view(images[label_split.labelled[chosen]], rng["labelled"])
        y_l = label_split.y_l[chosen].to(images.device)
        if stream_u is None:
            yield Batch(x_l, y_l)
            continue
        index = next(stream_u)
        x_u = images[index]
        x_s = None if strong is None else strong(x_u, rng["strong"])
        yield Batch(x_l, y_l, weak(x_u, rng["weak"]), x_s, index)


def _made_ahead(stream: Iterator[Batch]) -> Iterator[Batch]:
    thread = ThreadPoolExecutor(1)
    try:
        coming = thread.submit(next, stream)
        while True:
            batch = coming.result()
            coming = thread.submit(next, stream)
            yield batch
    finally:  # also when the caller drops the iterator
        thread.shutdown(wait=False)
