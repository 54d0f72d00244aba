"""What a method makes of the points, moment by moment: a training with the student's loss, rounds, a game with a generator, a graph."""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import settings
from course_utils.batches import batches, generator
from course_utils.device import DEVICE
from course_utils.labels import LabelSplit
from course_utils.playground.plane import NUM_CLASSES, Painter, TinyNetwork, new_network, noise_view
from course_utils.training import Loss, Run, train

NUM_STEPS, LR = 800, 0.003
GAME_STEPS, GAME_LR = 400, 0.005  # each step of a game is two
WEAK, STRONG, ROUNDS_STRONG = 0.03, 0.2, 0.3  # standard deviations of the noise; the moons are half a unit apart
GRID = (84, 60)  # places across and up at which the network is asked
MARGIN = 0.25  # of the plane around the points
POOL_BATCH = 200  # points of the pool a step, about
NUM_SAMPLES = 120  # generated points that are shown
NUM_FRAMES = 32  # of the player, besides the start
MOST_ROUNDS, MOST_EDGES = 1024, 4000  # of a graph; edges are drawn


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment.

    Attributes:
        step: how many steps (rounds of a graph) were taken. named: (N,) the class given to each point of the pool, -1 for none yet.
        plane: (GRID[1], GRID[0]) probability of class 1, from the bottom up, or None. samples: (M, 2) of a generator, or None.
    """

    step: int
    named: np.ndarray
    plane: np.ndarray | None = None
    samples: np.ndarray | None = None


@dataclass(eq=False)
class Film:
    """The frames of one method; `run` is its training, if it had one, and `edges` (E, 2) the pairs that its graph connects."""

    name: str
    points: LabelSplit
    frames: list[Frame]
    unit: str = "step"
    run: Run | None = None
    edges: np.ndarray | None = None

    @cached_property
    def x(self) -> np.ndarray:
        return self.points.images.flatten(1).cpu().numpy()

    @cached_property
    def truth(self) -> np.ndarray:
        return self.points.measure_labels(torch.arange(len(self.x))).numpy()

    @cached_property
    def window(self) -> tuple[float, float, float, float]:
        return window(self.points)

    @property
    def strip(self) -> list[Frame]:
        """The four moments of the still picture; fewer if not so many were reached."""
        last = self.frames[-1].step
        wanted = strip_steps(last) if self.unit == "step" else (0, 1, 5 if last > 5 else 2, last)
        return list(dict.fromkeys(map(self.at, wanted)))

    def at(self, step: int) -> Frame:
        """The last frame that is not later than this step."""
        return [frame for frame in self.frames if frame.step <= step][-1]

    def right(self, frame: Frame) -> np.ndarray:
        """(num_classes,) the fraction of each class's unlabelled points that get the right class."""
        hidden = np.setdiff1d(np.arange(len(self.x)), self.points.labelled)
        return np.array([(frame.named[hidden] == c)[self.truth[hidden] == c].mean() for c in range(NUM_CLASSES)])

    def accuracy(self, frame: Frame | None = None) -> float:
        """The fraction of all unlabelled points that get the right class, at the end unless a frame is named."""
        hidden = np.setdiff1d(np.arange(len(self.x)), self.points.labelled)
        named = (frame or self.frames[-1]).named
        return float((named == self.truth)[hidden].mean())


def strip_steps(num_steps: int) -> tuple[int, ...]:
    return 0, num_steps // 16, num_steps // 4, num_steps


def stride(num_steps: int) -> int:
    """Steps from one frame of the player to the next: a divisor of all steps, if there is one that gives about NUM_FRAMES frames."""
    least = max(1, math.ceil(num_steps / NUM_FRAMES))
    return next((every for every in range(least, 2 * least) if num_steps % every == 0), least)


def window(points: LabelSplit) -> tuple[float, float, float, float]:
    """(left, right, bottom, top) of the plane around the points, in the shape of the grid."""
    x = points.images.flatten(1).cpu().numpy()
    low, high = x.min(0) - MARGIN, x.max(0) + MARGIN
    middle, size = (low + high) / 2, high - low
    half = max(size[0] / GRID[0], size[1] / GRID[1]) * np.array(GRID) / 2
    (left, bottom), (right, top) = middle - half, middle + half
    return float(left), float(right), float(bottom), float(top)


def film_training(
    name: str,
    loss: Loss,
    points: LabelSplit,
    *,
    weak: float = WEAK,
    strong: float = STRONG,
    num_steps: int = NUM_STEPS,
    lr: float = LR,
    seed: int = 0,
    looks: Iterable[int] | None = None,
    samples: Callable[[], np.ndarray] | None = None,
) -> Film:
    """Train a tiny network with the course's loop, and look at the average of its weights, which is what the course evaluates.

    `looks` are the steps to look at, besides those of the strip; `samples` gives the points of a generator.
    """
    num_labels, num_steps = len(points.labelled), min(num_steps, settings.MAX_STEPS)
    stream = batches(
        points,
        noise_view(weak),
        noise_view(strong),
        batch_size=num_labels,
        mu=max(1, POOL_BATCH // num_labels),
        seed=seed,
    )
    grid, frames = _grid(points), []
    regular = range(0, num_steps, stride(num_steps))
    wanted = {*(regular if looks is None else looks), *strip_steps(num_steps)}

    @torch.no_grad()
    def look(step: int, network: nn.Module) -> None:
        plane = network(grid).softmax(1)[:, 1].view(GRID[1], GRID[0]).cpu().numpy()
        p = network(points.images).softmax(1)
        named = torch.where(p[:, 0] == p[:, 1], -1, p.argmax(1)).cpu().numpy()
        frames.append(Frame(step, named, plane, None if samples is None else samples()))

    def on_step(step: int, network: nn.Module) -> None:
        if step + 1 in wanted:
            look(step + 1, network)

    model = new_network(TinyNetwork, seed)
    look(0, model)
    run = train(model, loss, stream, num_steps, lr=lr, on_step=on_step, label=name)
    if frames[-1].step < run.steps_done:  # it was interrupted
        look(run.steps_done, run.ema)
    return Film(name, points, frames, run=run)


def _grid(points: LabelSplit) -> torch.Tensor:
    left, right, bottom, top = window(points)
    across, up = np.meshgrid(np.linspace(left, right, GRID[0]), np.linspace(bottom, top, GRID[1]))
    return torch.tensor(np.stack([across, up], -1), dtype=torch.float32).view(-1, 2, 1, 1).to(DEVICE)


def film_gan(
    name: str,
    discriminator_loss: Callable,
    generator_step: Callable,
    objective: Callable,
    points: LabelSplit,
    *,
    eager: int = 0,
    weak: float = WEAK,
    num_steps: int = GAME_STEPS,
    lr: float = GAME_LR,
    seed: int = 0,
) -> Film:
    """Train a classifier that plays against a generator, on points with small noise."""
    game = _Game(discriminator_loss, generator_step, objective, eager, lr, seed)
    options = partial(film_training, weak=weak, strong=weak, num_steps=num_steps, lr=lr, seed=seed)
    return options(name, game, points, samples=game.samples)


class _Game:
    """The discriminator's loss for `train`; it owns the generator, as in lesson 04."""

    def __init__(self, discriminator_loss, generator_step, objective, eager: int, lr: float, seed: int):
        self.discriminator_loss, self.generator_step, self.eager = discriminator_loss, generator_step, eager
        asks_model = len(inspect.signature(objective).parameters) == 3
        self.objective = objective if asks_model else lambda model, real, fake: objective(real, fake)
        self.painter, self.step = new_network(Painter, seed), 0
        self.optimizer = torch.optim.Adam(self.painter.parameters(), lr=lr, betas=(0.5, 0.999), fused=True)
        self.rng = generator(seed, "noise")
        rng = generator(seed, "noise to look at")
        self.shown = torch.randn(NUM_SAMPLES, Painter.noise_size, generator=rng).to(DEVICE)

    def noise(self, n: int) -> torch.Tensor:
        return torch.randn(n, Painter.noise_size, generator=self.rng).to(DEVICE)

    @torch.no_grad()
    def samples(self) -> np.ndarray:
        return self.painter(self.shown).flatten(1).cpu().numpy()

    def __call__(self, model: nn.Module, batch) -> tuple[torch.Tensor, dict[str, float]]:
        n = len(batch.x_w)
        objective = partial(self.objective, model)
        for _ in range(self.eager or (self.step + 1) % 2):
            self.generator_step(model, self.painter, self.optimizer, batch.x_w, self.noise(n), objective)
        self.step += 1
        with torch.no_grad():
            fakes = self.painter(self.noise(n))
        return self.discriminator_loss(model, batch.x_l, batch.y_l, batch.x_w, fakes)


def film_graph(name: str, propagate: Callable, graph: Callable, points: LabelSplit) -> Film:
    """Let the labels flow along a graph, for more and more rounds, until no point is named anew."""
    x = points.images.flatten(1).cpu().double().numpy()
    W = graph(x.copy())
    if getattr(W, "shape", None) != (len(x), len(x)):
        raise ValueError(f"the graph must be weights of shape {(len(x), len(x))}, but is {_shape(W)}: it gets x (N, 2)")
    Y, labelled = np.zeros((len(x), NUM_CLASSES)), np.zeros(len(x), dtype=bool)
    Y[points.labelled, points.y_l], labelled[points.labelled] = 1, True

    def after(num_rounds: int) -> Frame:
        return Frame(num_rounds, _named(propagate(W, Y.copy(), labelled.copy(), num_rounds), len(x)))

    settled = 8
    while settled < MOST_ROUNDS and (after(settled).named != after(2 * settled).named).any():
        settled *= 2
    wanted = {0, 1, 5, settled, *range(0, settled, stride(settled))}
    frames = [after(num_rounds) for num_rounds in sorted(wanted)]
    while (frames[-2].named == frames[-1].named).all() and len(frames) > 2:
        frames.pop()
    return Film(name, points, frames, unit="round", edges=_heaviest_edges(W))


def film_rounds(
    name: str, self_train: Callable, points: LabelSplit, *, tau: float, num_rounds: int, strong: float, seed: int = 0
) -> Film:
    """Self-training, the end of each round: a new network learns from points with large noise, the labels and the pseudo-labels."""
    x, nothing = points.images, set[int]()
    known = torch.full((len(x),), -1)
    known[points.labelled] = points.y_l

    def fit(targets: torch.Tensor) -> Film:
        def loss(model: nn.Module, batch) -> tuple[torch.Tensor, dict[str, float]]:
            given = targets[batch.index].to(batch.x_s.device)
            pseudo = F.cross_entropy(model(batch.x_s), given, ignore_index=-1, reduction="sum") / len(given)
            return F.cross_entropy(model(batch.x_l), batch.y_l) + pseudo, {}

        return film_training(name, loss, points, strong=strong, seed=seed, looks=nothing)

    @torch.no_grad()
    def predict(film: Film) -> torch.Tensor:
        assert film.run is not None  # it was trained
        return film.run.ema(x).softmax(1).cpu()

    rounds = self_train(known, fit, predict, tau, num_rounds)
    if not (isinstance(rounds, list) and rounds and all(isinstance(film, Film) for film, *_ in rounds)):
        raise ValueError("self_train must return a list of pairs (model, targets), one for each fit")
    frames = [replace(film.frames[-1], step=r) for r, (film, *_) in enumerate(rounds)]
    return Film(name, points, frames, unit="round", run=rounds[-1][0].run)


def _heaviest_edges(W) -> np.ndarray:
    upper = np.triu(W.toarray() if hasattr(W, "toarray") else W, k=1)
    order = upper.ravel().argsort()[::-1][:MOST_EDGES]
    edges = np.stack(np.unravel_index(order, upper.shape), 1)
    return edges[upper.ravel()[order] > 0.02 * upper.max()]


def _named(masses: np.ndarray, num_points: int) -> np.ndarray:
    if getattr(masses, "shape", None) != (num_points, NUM_CLASSES):
        raise ValueError(
            f"propagate(W, Y, labelled, num_steps) must return masses of shape {(num_points, NUM_CLASSES)}, but gave {_shape(masses)}"
        )
    return np.where(masses.sum(1) > 0, masses.argmax(1), -1)


def _shape(value: object) -> str:
    return str(getattr(value, "shape", type(value).__name__))
