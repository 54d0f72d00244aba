"""The pictures of the playground for README and site: a strip for each method and two methods in motion, by the lessons' solutions."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from course_utils import ROOT, plots
from course_utils.authoring import lessons, recording
from course_utils.authoring.build import read_source, tags
from course_utils.looks import INK
from course_utils.playground import films, pictures, points
from course_utils.playground.films import Film
from course_utils.training import supervised_loss

FIGURES = ROOT / "docs" / "figures"
POOL = 500
FRAMES_A_SECOND, NUM_FRAMES, HOLD = 12, 60, 2.0  # of the moving picture; its last moment is held, in seconds
GIF_DPI, NUM_COLOURS, NUM_SHADES = 100, 64, 15
NOTES = ("from the labels", "from all points")


def solved(number: str, *classes: str) -> dict[str, Any]:
    """What a lesson's set-up and exercises define, solved, and the named classes that it builds around them."""
    (source,) = lessons([number])

    def is_wanted(cell) -> bool:
        return cell.cell_type == "code" and (
            bool({"setup", "exercise"} & set(tags(cell)))
            or any(isinstance(node, ast.ClassDef) and node.name in classes for node in ast.parse(cell.source).body)
        )

    return recording.run_cells([cell for cell in read_source(source).cells if is_wanted(cell)])


def supervised(looks: set[int] | None = None) -> Film:
    return films.film_training("supervised", supervised_loss, points(), looks=looks)


def pseudo_labelling() -> Film:
    lesson, num_steps = solved("02", "Lee"), films.NUM_STEPS
    loss = lesson["Lee"](t1=num_steps // 10, t2=6 * num_steps // 10)
    return films.film_training("pseudo-labels", loss, points())


def label_propagation() -> Film:
    lesson = solved("03")

    def graph(x: np.ndarray) -> np.ndarray:
        return lesson["gaussian_affinity"](x, 30.0) * lesson["knn_graph"](x, 5)

    return films.film_graph("label propagation", lesson["label_propagation"], graph, points())


def sgan() -> Film:
    lesson = solved("04")
    game = lesson["discriminator_loss"], lesson["generator_step"], lesson["feature_matching"]
    return films.film_gan("SGAN", *game, points())


def pi_model() -> Film:
    return films.film_training("Π-model", solved("05", "PiModel")["PiModel"](), points())


def temporal_ensembling() -> Film:
    loss = solved("05", "PiModel", "TemporalEnsembling")["TemporalEnsembling"](POOL, num_classes=2)
    # It takes one view of each point, the strong one
    return films.film_training(
        "temporal ensembling", lambda model, batch: loss(model, batch._replace(x_w=batch.x_s)), points()
    )


def mean_teacher() -> Film:
    return films.film_training("mean teacher", solved("05", "PiModel", "MeanTeacher")["MeanTeacher"](), points())


def fixmatch(looks: set[int] | None = None) -> Film:
    return films.film_training("FixMatch", solved("06")["fixmatch_loss"], points(), looks=looks)


def flexmatch() -> Film:
    lesson = solved("07", "FlexMatch")
    loss = lesson["FlexMatch"](lambda memory: lesson["learning_status"](memory, 2), POOL)
    return films.film_training("FlexMatch", loss, points())


def mixmatch() -> Film:
    lesson = solved("08", "MixMatch")
    lesson["adjusted"] = lambda model, n, strength: model  # the adjustment is for uneven classes
    return films.film_training("MixMatch", lesson["MixMatch"](lambda_u=10.0, ramp_steps=400), points())


METHODS: list[Callable[..., Film]] = [
    supervised,
    pseudo_labelling,
    label_propagation,
    sgan,
    pi_model,
    temporal_ensembling,
    mean_teacher,
    fixmatch,
    flexmatch,
    mixmatch,
]


def write(folder: Path = FIGURES) -> list[Path]:
    """Write a strip for each method, and the moving picture; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"strip_{method.__name__}.png" for method in METHODS]
    for path, method in zip(written, METHODS):
        path.write_bytes(plots.png(pictures.strip([method()])))
    looks = {round(films.NUM_STEPS * (i / NUM_FRAMES) ** 2) for i in range(NUM_FRAMES + 1)}  # it moves most at first
    moving = folder / "moons.gif"
    write_gif([supervised(looks), fixmatch(looks)], moving)
    return [*written, moving]


def write_gif(pair: list[Film], path: Path) -> None:
    """Two films side by side, in a loop that begins with their last moment: where nothing moves, the result is what is seen."""
    frames = [frame.step for frame in pair[0].frames]
    shown = _drawn(pair, [frames[-1], *frames[:-1]])
    palette = pictures.palette_of(shown[:2], NUM_COLOURS)  # the last moment and the first
    first, *rest = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in shown)
    ticks = [round(1000 * HOLD), *[round(1000 / FRAMES_A_SECOND)] * len(rest)]
    first.save(path, save_all=True, append_images=rest, duration=ticks, loop=0, optimize=True)


def _drawn(pair: list[Film], steps: list[int]) -> list[Image.Image]:
    width, height, gap, foot, head = 8.4, 3.9, 0.12, 0.32, 0.42  # inches
    panel_width = (width - 3 * gap) / 2
    panel_height = panel_width * films.GRID[1] / films.GRID[0]
    figure = Figure(figsize=(width, height), dpi=GIF_DPI)
    figure.set_layout_engine("none")
    canvas, panels = FigureCanvasAgg(figure), []
    labelled = len(pair[0].points.labelled)
    title = f"{labelled} labels draw the boundary. {POOL - labelled} points without a label correct it."
    figure.text(gap / width, 1 - head / 2 / height, title, va="center", fontsize=15, fontweight="bold")
    for column, film in enumerate(pair):
        left = gap + column * (panel_width + gap)
        ax = figure.add_axes((left / width, foot / height, panel_width / width, panel_height / height))
        panels.append(pictures.Panel(ax, film, 1.7))
        panels[-1].shade.set_cmap(pictures.SHADE.resampled(NUM_SHADES))  # bands: a few shades make a small file
    track = figure.add_axes((gap / width, 0.1 / height, 1 - 2 * gap / width, 0.11 / height))
    track.set(xlim=(0, max(steps)), ylim=(0, 1))
    track.set_axis_off()
    track.axhspan(0, 1, color="#E4E4E4", linewidth=0)
    (done,) = track.barh(0.5, 0, height=1, color=INK)
    drawn = []
    for step in steps:
        for panel, note in zip(panels, NOTES):
            film, frame = panel.film, panel.film.at(step)
            panel.show(frame)
            score = f": {pictures.percent(film.accuracy(frame))} right" if step else ""
            panel.ax.set_title(f"{film.name}, {note}{score}", fontsize=12, pad=5)
        done.set_width(step)
        canvas.draw()
        drawn.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    return drawn
