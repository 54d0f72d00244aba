"""The label split: which images of the training split are labelled."""

import hashlib
import warnings

import numpy as np
import torch

from course_utils.datasets import Dataset, Split, to_tensor
from course_utils.device import DEVICE


class LabelSplit:
    """The training split as semi-supervised learning sees it: a pool of images, a few of them with labels.

    Attributes:
        images: (N, C, H, W) uint8 tensor on the course's device, the whole pool; the labelled images are part of it.
        labelled: (L,) int64 tensor, positions of the labelled images in the pool.
        y_l: (L,) int64 tensor, their labels.
        num_classes, seed, how: as asked for.
    """

    def __init__(self, split: Split, labelled: np.ndarray, num_classes: int, seed: int, how: str):
        self.images = to_tensor(split.images).to(DEVICE)
        self.labelled = torch.from_numpy(labelled)
        self.y_l = torch.from_numpy(split.labels[labelled])
        self.num_classes, self.seed, self.how = num_classes, seed, how
        self._hidden = torch.from_numpy(split.labels)

    def __repr__(self) -> str:
        return f"{len(self.labelled)} labelled of {len(self.images)} images ({self.how}, seed {self.seed})"

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


def split_labels(dataset: Dataset, num_labels: int = 500, seed: int = 0, how: str = "stratified") -> LabelSplit:
    """Draw the labelled images from the training split.

    `"stratified"` keeps the class fractions of the split (scikit-learn's rule, as the original notebook did);
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
        raise ValueError(f"unknown way to choose the labels {how!r}: use 'stratified' or 'balanced'")
    label_split = LabelSplit(dataset.train, np.sort(labelled), dataset.num_classes, seed, how)
    empty = [name for name, n in zip(dataset.class_names, label_split.class_counts()) if n == 0]
    if empty:
        warnings.warn(
            f"with {num_labels} labels no image is labelled {', '.join(empty)}: it cannot be learnt", stacklevel=2
        )
    return label_split
