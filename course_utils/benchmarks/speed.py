"""Speed: the course's training loop against the original notebook's and the bare passes, its profile, memory, import time.

    course speed           print the table
    course speed --ship    the same, and the table into the page of results

The three loops do the same FixMatch work: SimpleCNN, the original notebook's augmentations drawn for each image, 16 labelled and
64 unlabelled images a step, 1,600 steps. A benchmark, not a test: run it on an idle machine.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from course_utils import augment, models, training
from course_utils.authoring import pages, readme
from course_utils.batches import batches
from course_utils.datasets import load_dataset
from course_utils.labels import split_labels

ROUNDS, STEPS = 10, 160
WEAK, STRONG = augment.original_weak, augment.original_strong
TAU = 0.95


def joint_loss(model, batch):
    """As in lesson 06: the weak views without gradient, the labelled and the strong ones in one pass."""
    with torch.no_grad():
        confidence, pseudo_label = model(batch.x_w).softmax(1).max(1)
    mask = (confidence >= TAU).float()
    logits_l, logits_s = model(torch.cat([batch.x_l, batch.x_s])).split([len(batch.x_l), len(batch.x_s)])
    loss_u = (F.cross_entropy(logits_s, pseudo_label, reduction="none") * mask).mean()
    return F.cross_entropy(logits_l, batch.y_l) + loss_u, {"mask": mask.mean().item()}


class PerSample(TorchDataset):
    """One image at a time, by way of PIL, through Albumentations, as the original notebook's datasets do."""

    def __init__(self, images, labels, *views):
        self.images, self.labels = images, labels
        self.pipelines = [view.albumentations() for view in views]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = np.array(Image.fromarray(self.images[i].squeeze()))
        return *(pipeline(image=image)["image"] for pipeline in self.pipelines), torch.tensor(self.labels[i])


class OriginalCNN(nn.Module):
    """The same network, with the ReLU where the original notebook has it."""

    def __init__(self, channels, num_classes):
        super().__init__()
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, kernel_size=3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in ((channels, 16), (16, 32))
        ]
        self.layers = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(32 * 7 * 7, num_classes))

    def forward(self, x):
        return self.layers(x)


def original(dataset, label_split):
    """Two DataLoaders, zipped; three forward passes; Adam."""
    labelled = label_split.labelled.numpy()
    rest = np.setdiff1d(np.arange(len(dataset.train)), labelled)
    images, labels = dataset.train.images, dataset.train.labels
    loader_l = DataLoader(
        PerSample(images[labelled], labels[labelled], augment.original_strong), batch_size=16, shuffle=True
    )
    loader_u = DataLoader(
        PerSample(images[rest], labels[rest], augment.original_weak, augment.original_strong),
        batch_size=64,
        shuffle=True,
    )
    model = OriginalCNN(dataset.channels, dataset.num_classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)

    def run():
        done = 0
        while done < STEPS:
            for (x_l, y_l), (x_w, x_s, _) in zip(loader_l, loader_u):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x_l), y_l)
                with torch.no_grad():
                    confidence, pseudo_label = model(x_w).softmax(1).max(1)
                mask = confidence.ge(TAU).float()
                loss = loss + (F.cross_entropy(model(x_s), pseudo_label, reduction="none") * mask).mean()
                loss.backward()
                optimizer.step()
                done += 1
                if done == STEPS:
                    break

    return run


def course(dataset, label_split):
    """`batches` and `train`, with everything that they do: augmentation, schedule, EMA, curves."""
    model = models.new_model(dataset)
    stream = batches(label_split, WEAK, STRONG, labelled_view=STRONG, batch_size=16, mu=4)
    return lambda: training.train(model, joint_loss, stream, STEPS)


def bare(dataset, label_split):
    """Forward, backward and Adam on one ready batch, nothing else."""
    model = models.new_model(dataset)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002, fused=True)
    batch = next(batches(label_split, augment.plain, augment.plain, batch_size=16, mu=4))

    def run():
        for _ in range(STEPS):
            loss, _ = joint_loss(model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def take_turns(dataset, label_split) -> dict[str, list[float]]:
    """Seconds of each round of each loop; they take turns, so that a slow spell of the machine hits all three."""
    loops = {loop.__name__: loop(dataset, label_split) for loop in (original, course, bare)}
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in tqdm(range(ROUNDS), unit="round"):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def profile(dataset, label_split) -> dict[str, float]:
    """Where the time of the course's loop goes, as fractions, measured by a stopwatch around each part."""
    spent = dict.fromkeys(("forward", "backward", "optimizer", "batches"), 0.0)

    def timed(part, function):
        def call(*arguments, **options):
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                spent[part] += time.perf_counter() - start

        return call

    course(dataset, label_split)()  # the first steps of a process load and compile
    stream = batches(label_split, WEAK, STRONG, labelled_view=STRONG, batch_size=16, mu=4)
    next_batch = timed("batches", stream.__next__)
    with (
        mock.patch.object(torch.Tensor, "backward", timed("backward", torch.Tensor.backward)),
        mock.patch.object(torch.optim.Adam, "step", timed("optimizer", torch.optim.Adam.step)),
    ):
        model, endless = models.new_model(dataset), iter(next_batch, None)
        start = time.perf_counter()
        training.train(model, timed("forward", joint_loss), endless, 2 * STEPS)
        total = time.perf_counter() - start
    fractions = {part: seconds / total for part, seconds in spent.items()}
    return fractions | {"all else (averaged weights, checks, curves)": 1 - sum(fractions.values())}


def memory(side: int, num_images: int) -> float:
    """Megabytes that a data set of this size adds to the process: images, label draw, ten batches of 64."""
    code = f"""
import numpy as np, psutil
from course_utils import augment
from course_utils.batches import batches
from course_utils.datasets import Dataset, Split
from course_utils.labels import split_labels
def used(): return psutil.Process().memory_info().rss / 2**20
def parts():
    rng = np.random.default_rng(0)
    for name, n in (("train", {num_images}), ("val", 700), ("test", 700)):
        images = np.empty((n, {side}, {side}, 3), np.uint8)
        images[:] = rng.integers(0, 256, images.shape[1:], np.uint8)
        yield name, Split(name, images, np.arange(n) % 7)
before = used()
dataset = Dataset("made", "made for this measurement", "none", tuple("abcdefg"), **dict(parts()))
stream = batches(split_labels(dataset, 700), augment.derma_weak, augment.derma_strong, batch_size=16, mu=4)
for _ in range(10): next(stream)
print(used() - before)
"""
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def import_seconds() -> float:
    """Median of five: Python starts, imports torch and everything that a lesson's set-up cell imports, and ends."""
    rooms = "augment, batches, datasets, evaluation, labels, models, plots, results, training, check"
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"from course_utils import {rooms}"], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def timings() -> dict[str, str]:
    """One column of the table: the loops and the profile, with the number of threads that the environment sets."""
    dataset = load_dataset()
    label_split = split_labels(dataset, 500)
    seconds = take_turns(dataset, label_split)
    ratios = {
        (a, b): [one / other for one, other in zip(seconds[a], seconds[b])]
        for a, b in (("original", "course"), ("course", "bare"))
    }
    fractions = profile(dataset, label_split)
    return (
        {LINES[name]: f"{sum(times):.1f} s" for name, times in seconds.items()}
        | {
            LINES[pair]: f"{statistics.median(of_pairs):.2f} ({min(of_pairs):.2f} to {max(of_pairs):.2f})"
            for pair, of_pairs in ratios.items()
        }
        | {f"fraction of this course's time: {part}": f"{fraction:.0%}" for part, fraction in fractions.items()}
    )


def sizes() -> dict[str, str]:
    """The lines that do not depend on the number of threads."""
    lines = {}
    for num_images in (7_000, 70_000):
        used = ", ".join(f"{memory(side, num_images):.0f}" for side in (28, 64, 128))
        lines[f"memory for {num_images:,} images of 28, 64, 128 pixels"] = f"{used} MB"
    return lines | {"import of torch and all that a lesson uses": f"{import_seconds():.1f} s"}


LINES = {
    "original": "as in the original notebook: Albumentations in a `DataLoader`, three forward passes",
    "course": "this course: `batches` and `train`",
    "bare": "bare forward and backward passes on a ready batch",
    ("original", "course"): "the original notebook's time / the course's (median of pairs, smallest to largest)",
    ("course", "bare"): "the course's time / the bare passes'",
}


def main(ship: bool) -> int:
    """Print the table; with `ship` put it into the page of results, too."""
    columns = {}
    for threads in (1, 2):  # the number of threads is settled when torch is loaded
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run([sys.executable, "-m", __name__], env=environment, stdout=subprocess.PIPE, check=True)
        columns["1 thread (the course's default)" if threads == 1 else f"{threads} threads"] = json.loads(done.stdout)
    table = pd.concat([pd.DataFrame(columns), pd.DataFrame({next(iter(columns)): sizes()})]).fillna("")
    print(f"torch {torch.__version__}\n\n{pages.markdown(table.rename_axis('measured'))}")
    if ship:
        print(f"written to {readme.put_speed(table.rename_axis('measured'))}")
    return 0


if __name__ == "__main__":  # the timings for OMP_NUM_THREADS as JSON: one column
    print(json.dumps(timings()))
