"""Training speed: the course's loop, a loop built like its ancestor's, and the bare forward and backward passes.

    course benchmark                      (python tests/benchmark_training.py)
    OMP_NUM_THREADS=2 course benchmark    (two threads)

All three do the same FixMatch work: SimpleCNN, the ancestor's augmentations drawn for each image, 16 labelled and 64
unlabelled images a step, 1,600 steps. They take turns, 160 steps each, so that a slow spell of the machine hits all
three. A benchmark, not a test: run it on an idle machine.
"""

import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from course_utils import augment, data, models, training

ROUNDS, STEPS = 10, 160
TAU = 0.95


def joint_loss(model, batch):
    """As in lesson 06: the weak views without gradient, the labelled and the strong ones in one pass."""
    with torch.no_grad():
        confidence, guess = model(batch.x_w).softmax(1).max(1)
    mask = (confidence >= TAU).float()
    logits_l, logits_s = model(torch.cat([batch.x_l, batch.x_s])).split([len(batch.x_l), len(batch.x_s)])
    loss_u = (F.cross_entropy(logits_s, guess, reduction="none") * mask).mean()
    return F.cross_entropy(logits_l, batch.y_l) + loss_u, {"mask": mask.mean().item()}


class PerSample(TorchDataset):
    """One image at a time, by way of PIL, through Albumentations, as the ancestor's datasets do."""

    def __init__(self, images, labels, *views):
        self.images, self.labels = images, labels
        self.pipelines = [view.albumentations() for view in views]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = np.array(Image.fromarray(self.images[i].squeeze()))
        return *(pipeline(image=image)["image"] for pipeline in self.pipelines), torch.tensor(self.labels[i])


class AncestorCNN(nn.Module):
    """The same network, with the ReLU where the ancestor has it."""

    def __init__(self, channels, num_classes):
        super().__init__()
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, kernel_size=3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in ((channels, 16), (16, 32))
        ]
        self.layers = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(32 * 7 * 7, num_classes))

    def forward(self, x):
        return self.layers(x)


def ancestor(dataset, draw):
    """Two DataLoaders, zipped; three forward passes; Adam."""
    labelled = draw.labelled.numpy()
    rest = np.setdiff1d(np.arange(len(dataset.train)), labelled)
    images, labels = dataset.train.images, dataset.train.labels
    loader_l = DataLoader(
        PerSample(images[labelled], labels[labelled], augment.ancestor_strong), batch_size=16, shuffle=True
    )
    loader_u = DataLoader(
        PerSample(images[rest], labels[rest], augment.ancestor_weak, augment.ancestor_strong),
        batch_size=64,
        shuffle=True,
    )
    model = AncestorCNN(dataset.channels, dataset.num_classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)

    def run():
        done = 0
        while done < STEPS:
            for (x_l, y_l), (x_w, x_s, _) in zip(loader_l, loader_u):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x_l), y_l)
                with torch.no_grad():
                    confidence, guess = model(x_w).softmax(1).max(1)
                mask = confidence.ge(TAU).float()
                loss = loss + (F.cross_entropy(model(x_s), guess, reduction="none") * mask).mean()
                loss.backward()
                optimizer.step()
                done += 1
                if done == STEPS:
                    break

    return run


def course(dataset, draw):
    """`batches` and `train`, with everything that they do: augmentation, schedule, EMA, curves."""
    model = models.new_model(dataset)
    views = {"weak": augment.ancestor_weak, "strong": augment.ancestor_strong, "labelled_view": augment.ancestor_strong}
    stream = data.batches(draw, batch_size=16, mu=4, **views)
    return lambda: training.train(model, joint_loss, stream, STEPS)


def bare(dataset, draw):
    """Forward, backward and Adam on one ready batch, nothing else."""
    model = models.new_model(dataset)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002, fused=True)
    batch = next(data.batches(draw, augment.plain, augment.plain, batch_size=16, mu=4))

    def run():
        for _ in range(STEPS):
            loss, _ = joint_loss(model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


if __name__ == "__main__":
    dataset = data.load_dataset()
    draw = data.draw_labels(dataset, 500)
    loops = {loop.__name__: loop(dataset, draw) for loop in (ancestor, course, bare)}
    seconds = {name: [] for name in loops}
    for _ in tqdm(range(ROUNDS), unit="round"):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop()
            seconds[name].append(time.perf_counter() - start)
    print(
        f"{dataset}\ntorch {torch.__version__}, {torch.get_num_threads()} thread(s), {ROUNDS} rounds of {STEPS} steps each"
    )
    for name, times in seconds.items():
        print(
            f"{name:9} {sum(times):6.1f} s for {ROUNDS * STEPS} steps, {statistics.median(times) / STEPS * 1000:5.1f} ms a step (median of rounds)"
        )
    for name, other in (("ancestor", "course"), ("course", "bare")):
        ratios = [a / b for a, b in zip(seconds[name], seconds[other])]
        print(
            f"{name} / {other}: {statistics.median(ratios):.2f} (paired median; {min(ratios):.2f} to {max(ratios):.2f})"
        )
