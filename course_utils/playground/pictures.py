"""Films as pictures: a strip of a few moments, and the frames of the player."""

import io
from typing import Any

import numpy as np
from contourpy import contour_generator
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from course_utils.looks import CLASS_MARKERS, CLASSES, INK, PAPER, look
from course_utils.playground.films import GRID, Film, Frame
from course_utils.playground.plane import NUM_CLASSES
from course_utils.plots import plt

FAINT, NOT_YET = "#C8C8C8", "#8C8C8C"
RING = 0.9  # line width around a point that has the wrong class
SHARPNESS = 1.5  # of the player's pictures: with 2, they would take twice the time to draw
PANEL = (2.24, 1.6)  # inches, in the shape of the grid
GAP, NAME, TITLE = 0.08, 0.3, 0.24  # inches: between panels, above a row for its name, above a panel for its title


def _tint(color: str) -> tuple[float, float, float]:
    red, green, blue = to_rgb(color)
    return (1 + red) / 2, (1 + green) / 2, (1 + blue) / 2


SHADE = LinearSegmentedColormap.from_list("certainty", [_tint(CLASSES[0]), to_rgb(PAPER), _tint(CLASSES[1])])


def percent(fraction: float) -> str:
    """Rounded, but 100 % only if it is all."""
    return ">99 %" if 0.995 <= fraction < 1 else f"{100 * fraction:.0f} %"


def caption(film: Film, frame: Frame) -> str:
    """The step, and how many points are right; the rare class by itself where one is rare."""
    if frame.step == 0 and film.accuracy(frame) == 0:  # no point has an answer yet
        return f"{film.unit} 0: only the labels"
    sizes = np.bincount(film.truth)
    rare = f", rare {percent(film.right(frame)[sizes.argmin()])}" if sizes.min() < 0.3 * len(film.truth) else ""
    return f"{film.unit} {frame.step}: {percent(film.accuracy(frame))} right{rare}"


class Panel:
    """The plane in a pair of axes. `show(frame)` puts a moment into it: the plane shaded by certainty, the boundary, each point of
    the pool with the colour and marker of the class that it is given (ringed where that is wrong), the generated points, and the labelled ones large."""

    def __init__(self, ax: Axes, film: Film, scale: float = 1.0):
        self.ax, self.film, self.scale = ax, film, scale
        left, right, bottom, top = film.window
        self.across, self.up = np.linspace(left, right, GRID[0]), np.linspace(bottom, top, GRID[1])
        nothing = np.full(GRID[::-1], 0.5)
        extent = (left, right, bottom, top)
        self.shade = ax.imshow(nothing, SHADE, vmin=0, vmax=1, extent=extent, origin="lower", interpolation="nearest")
        self.boundary = LineCollection([], colors=INK, linewidths=1.6 * scale)
        ax.add_collection(self.boundary)
        if film.edges is not None:
            ax.add_collection(LineCollection(list(film.x[film.edges]), colors=FAINT, linewidths=0.5 * scale))
        self.pool = [self._dots(4, NOT_YET, "o")]
        self.pool += [self._dots(6, CLASSES[c], CLASS_MARKERS[c]) for c in range(NUM_CLASSES)]
        self.samples = self._dots(10, look("SGAN").color, look("SGAN").marker)
        self.samples.set(linewidth=0.4 * scale, edgecolor=INK)
        for c in range(NUM_CLASSES):
            given = film.x[film.points.labelled[film.points.y_l == c]]
            (large,) = ax.plot(given[:, 0], given[:, 1], CLASS_MARKERS[c], color=CLASSES[c], zorder=4)
            large.set(markersize=9 * scale, markeredgewidth=1.4 * scale, markeredgecolor="black")
        ax.set(xticks=[], yticks=[], xlim=(left, right), ylim=(bottom, top), aspect="auto")
        ax.spines[:].set(visible=True, color=FAINT, linewidth=0.8)

    def _dots(self, size: float, color: str, marker: str) -> PathCollection:
        return self.ax.scatter(
            [], [], s=size * self.scale**2, c=color, marker=marker, linewidths=0, edgecolors=INK, zorder=3
        )

    def show(self, frame: Frame) -> None:
        if frame.plane is not None:
            fine = Image.fromarray(frame.plane).resize((6 * GRID[0], 6 * GRID[1]), Image.Resampling.BILINEAR)
            self.shade.set_data(np.asarray(fine))  # much faster than imshow's own interpolation
            lines: Any = contour_generator(self.across, self.up, frame.plane).lines(0.5)  # a list of (M, 2)
            self.boundary.set_segments(lines)
        for c, dots in enumerate(self.pool, start=-1):
            own = frame.named == c
            dots.set_offsets(self.film.x[own])
            if c >= 0:
                dots.set_linewidth(np.where(self.film.truth[own] == c, 0, RING * self.scale).tolist())
        if frame.samples is not None:
            self.samples.set_offsets(frame.samples)


def strip(films: list[Film]) -> Figure:
    """A row of moments for each film; rows and panels have one size, whatever they show."""
    width, height = 4 * PANEL[0] + 5 * GAP, NAME + TITLE + PANEL[1] + GAP
    figure = plt.figure(figsize=(width, height * len(films)))
    figure.set_layout_engine("none")
    for film, row in zip(films, figure.subfigures(len(films), 1, squeeze=False)[:, 0]):
        _title(row, film, GAP / width, 1 - (NAME / 2 + 0.04) / height)
        for column, frame in enumerate(film.strip):
            left = GAP + column * (PANEL[0] + GAP)
            ax = row.add_axes((left / width, GAP / height, PANEL[0] / width, PANEL[1] / height))
            Panel(ax, film).show(frame)
            ax.set_title(caption(film, frame), fontsize=9, fontweight="normal", pad=4)
    return figure


def _title(row, film: Film, x: float, y: float) -> None:
    """What is seen, with the method's marker in front."""
    style, half = look(film.name), 0.01
    row.add_artist(Line2D([x + half], [y], marker=style.marker, color=style.color, markersize=9))
    words = f"{film.name}: {percent(film.accuracy())} of the points without a label end up right"
    words += "; diamonds are generated" if film.frames[-1].samples is not None else ""
    row.text(x + 2.4 * half, y, words, va="center", fontsize=11, fontweight="bold")


def player_pictures(film: Film, steps: list[int], width: float) -> list[Image.Image]:
    """One picture for each step, `width` inches wide, with SHARPNESS pixels for each of the page; words stand beside it."""
    figure = Figure(figsize=(width, width * PANEL[1] / PANEL[0]), dpi=80 * SHARPNESS)
    figure.set_layout_engine("none")
    canvas, panel, pictures = FigureCanvasAgg(figure), Panel(figure.add_axes((0, 0, 1, 1)), film, width / PANEL[0]), []
    for step in steps:
        panel.show(film.at(step))
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    return pictures


def palette_of(pictures: list[Image.Image], num_colours: int = 256) -> Image.Image:
    """One palette for all pictures; the paper stays white, which a median would make a little grey."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width, height * len(pictures)))
    for row, picture in enumerate(pictures):
        sheet.paste(picture, (0, row * height))
    found = sheet.quantize(num_colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours = np.array(found.getpalette()).reshape(-1, 3)
    colours[colours.min(1) > 248] = 255
    found.putpalette(colours.ravel().tolist())
    return found


def to_png(pictures: list[Image.Image]) -> list[bytes]:
    """Small PNGs, with the colours of the first and of the last picture."""
    palette, found = palette_of([pictures[0], pictures[-1]]), []
    for picture in pictures:
        buffer = io.BytesIO()
        picture.quantize(palette=palette, dither=Image.Dither.NONE).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found
