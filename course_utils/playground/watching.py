"""`watch` and its kin: train on points in the plane, show what happens, and return it."""

import base64
import html
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import ipywidgets

from course_utils import plots
from course_utils.labels import LabelSplit
from course_utils.playground import films, pictures
from course_utils.playground.films import GAME_LR, GAME_STEPS, LR, NUM_STEPS, ROUNDS_STRONG, STRONG, WEAK, Film, Frame
from course_utils.playground.plane import points
from course_utils.training import Loss

TICK = 150  # milliseconds a frame of the player


@dataclass
class Watched:
    """What was shown, name by name. The picture has been shown already, so as the last value of a cell it shows nothing more."""

    films: dict[str, Film]

    @property
    def accuracy(self) -> dict[str, float]:
        """name -> the fraction of the points without a label that are right at the end."""
        return {name: film.accuracy() for name, film in self.films.items()}

    def _ipython_display_(self) -> None:
        pass


def watch(
    loss: Loss | Mapping[str, Loss],
    *,
    title: str | None = None,
    kind: str | LabelSplit = "moons",
    num_labels: int = 3,
    weak: float = WEAK,
    strong: float = STRONG,
    num_steps: int = NUM_STEPS,
    lr: float = LR,
    seed: int = 0,
) -> Watched:
    """Train a tiny network in the plane with your own loss, and show how its boundary moves.

    `loss(model, batch)` is a loss as for `training.train`; several, `{"supervised": ..., "FixMatch": ...}`, are shown one below the
    other. A loss that remembers something must be new. A batch holds all labelled points (`x_l`, `y_l`) and about 200 of the pool:
    `x_w` and `x_s` are the points with small and with large Gaussian noise (standard deviations `weak`, `strong`), all (B, 2, 1, 1).
    `kind` is a kind of `points`, with `num_labels` labels for each class, or what `points` returned.

    Shows a strip of four moments; in a live notebook a player with a slider takes its place. Raises what `train` raises, TypeError for what
    cannot be called as `loss(model, batch)`, and ValueError for points that cannot be drawn.
    """
    losses = dict(loss) if isinstance(loss, Mapping) else {title or _name_of(loss): loss}
    if not losses:
        raise ValueError("there is no loss to watch: hand in one, or a dict of them")
    for name, one in losses.items():
        _require_loss(name, one)
    pool = _pool(kind, num_labels, seed)
    film = partial(films.film_training, points=pool, weak=weak, strong=strong, num_steps=num_steps, lr=lr, seed=seed)
    return _show([film(name, one) for name, one in losses.items()])


def watch_graph(
    propagate: Callable,
    graph: Callable,
    *,
    title: str = "label propagation",
    kind: str | LabelSplit = "moons",
    num_labels: int = 3,
    seed: int = 0,
) -> Watched:
    """Show how labels flow along a graph of the points, round by round, until no answer changes any more.

    `graph(x)` makes weights (N, N), an array or a sparse one, of points x (N, 2); `propagate(W, Y, labelled, num_steps)` returns the
    masses (N, 2) after so many rounds, as in lesson 03. Raises ValueError if a shape is another.
    """
    return _show([films.film_graph(title, propagate, graph, _pool(kind, num_labels, seed))])


def watch_rounds(
    self_train: Callable,
    *,
    tau: float = 0.95,
    num_rounds: int = 3,
    title: str = "self-training",
    kind: str | LabelSplit = "moons",
    num_labels: int = 3,
    strong: float = ROUNDS_STRONG,
    seed: int = 0,
) -> Watched:
    """Show self-training round by round: where the border of each round's network lies at the end of its training.

    `self_train(known, fit, predict, tau, num_rounds)` returns [(model, targets), ...], one pair for each fit, as in lesson 02. Each
    fit begins with the same network, and learns from points with large noise of standard deviation `strong`.
    """
    pool = _pool(kind, num_labels, seed)
    rounds = partial(films.film_rounds, tau=tau, num_rounds=num_rounds, strong=strong, seed=seed)
    return _show([rounds(title, self_train, pool)])


def watch_gan(
    discriminator_loss: Callable,
    generator_step: Callable,
    objective: Callable,
    *,
    eager: int = 0,
    title: str = "SGAN",
    kind: str | LabelSplit = "moons",
    num_labels: int = 3,
    weak: float = WEAK,
    num_steps: int = GAME_STEPS,
    lr: float = GAME_LR,
    seed: int = 0,
) -> Watched:
    """Show a classifier that plays against a generator, and the points that the generator makes.

    The functions are those of lesson 04: `discriminator_loss(model, x_l, y_l, x_u, fakes)`,
    `generator_step(model, painter, optimizer_g, x_u, z, objective)` and `objective(features_real, features_fake)`, or, with the
    model first, `objective(model, features_real, features_fake)`. The generator takes a step before every second one of the
    classifier, or `eager` steps before each.
    """
    parts, pool = (discriminator_loss, generator_step, objective), _pool(kind, num_labels, seed)
    return _show([films.film_gan(title, *parts, pool, eager=eager, weak=weak, num_steps=num_steps, lr=lr, seed=seed)])


def _pool(kind: str | LabelSplit, num_labels: int, seed: int) -> LabelSplit:
    if not isinstance(kind, LabelSplit):
        return points(kind, num_labels, seed=seed)
    if kind.images.shape[1:] != (2, 1, 1):
        shape = tuple(kind.images.shape)
        raise ValueError(
            f"kind must be points in the plane, as playground.points() draws them, but its images are {shape}"
        )
    return kind


def _name_of(loss: object) -> str:
    name = getattr(loss, "__name__", type(loss).__name__).replace("_", " ")
    return "your loss" if name == "<lambda>" else name


def _require_loss(name: str, loss: object) -> None:
    if not callable(loss):
        raise TypeError(
            f"the loss {name!r} is a {type(loss).__name__}: hand in the function itself, loss(model, batch)"
        )
    try:
        inspect.signature(loss).bind("model", "batch")
    except TypeError as error:
        raise TypeError(
            f"{name!r} cannot be called as loss(model, batch): {error}. "
            "Give it the rest beforehand: lambda model, batch: your_loss(model, batch, ...)"
        ) from None


def _show(shown: list[Film]) -> Watched:
    plots.show(pictures.strip(shown), _alt(shown), lambda: player(shown))
    return Watched({film.name: film for film in shown})


def _alt(shown: list[Film]) -> str:
    """The strip in words; what is right is counted, not claimed."""
    pool = shown[0].points
    hidden = len(pool.images) - len(pool.labelled)
    words = [
        f"{pool.how.capitalize()}: {hidden} points without a label and {len(pool.labelled)} with one, drawn large."
    ]
    for film in shown:
        moments = "; ".join(pictures.caption(film, frame) for frame in film.strip)
        words.append(f"{film.name}, panel by panel: {moments}.")
    seen = "the points take the colour of the label that has reached them"
    if shown[0].run is not None:
        seen = "the shade says how sure the network is, and a line is the boundary between its two answers"
    return " ".join([*words, f"In each panel {seen}. Points that are wrong have a ring."])


def player(shown: list[Film]) -> ipywidgets.Widget:
    """The films with buttons to play them and a slider over the steps; every picture is made beforehand."""
    last = max(film.frames[-1].step for film in shown)
    every = films.stride(last)
    steps = range(0, every * math.ceil(last / every) + 1, every)
    width = 4.2 if len(shown) == 1 else 3.5  # inches
    reels = [pictures.to_png(pictures.player_pictures(film, list(steps), width)) for film in shown]
    slider = ipywidgets.IntSlider(max=steps[-1], step=every, description=shown[0].unit, layout={"width": "24em"})
    play = ipywidgets.Play(max=steps[-1], step=every, interval=TICK)
    screen = ipywidgets.HTML()

    def look(_=None) -> None:
        now = slider.value // every
        seen = [_figure(film, film.at(steps[now]), reel[now], round(80 * width)) for film, reel in zip(shown, reels)]
        screen.value = f'<div style="display: flex; flex-wrap: wrap; gap: 0 8px">{"".join(seen)}</div>'

    slider.observe(look, "value")
    ipywidgets.jslink((play, "value"), (slider, "value"))
    slider.value = play.value = steps[-1]
    return ipywidgets.VBox([screen, ipywidgets.HBox([play, slider])])


def _figure(film: Film, frame: Frame, png: bytes, width: int) -> str:
    """A moment as HTML: its words above its picture, which the next moment replaces without a flicker."""
    name, words = html.escape(film.name), html.escape(pictures.caption(film, frame))
    height = round(width * pictures.PANEL[1] / pictures.PANEL[0])
    size = f'width="{width}" height="{height}" style="max-width: 100%; height: auto" decoding="sync"'
    image = f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{name}, {words}" {size}>'
    return f'<figure style="margin: 0"><figcaption><b>{name}</b>, {words}</figcaption>{image}</figure>'
