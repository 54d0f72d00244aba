"""A graph over points in two dimensions: how far γ and k let labels travel."""

import numpy as np
from ipywidgets import FloatLogSlider, IntSlider
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.datasets import make_moons
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors

from course_utils.looks import CLASS_MARKERS, CLASSES
from course_utils.widgets.player import INK, array, canvas, play

NONE, SEVERAL = -1, -2  # what a point hears, besides one class
FAINTEST = 0.02  # lighter edges are neither drawn nor followed
MOST_NEIGHBOURS = 20


def graph(points=None, labels=None, gamma: float = 30.0, k: int = 4) -> None:
    """Play with γ and k: edges from each point to its k nearest, the darker the heavier, and which labels reach a point on them.

    points: (N, 2) floats, labels: (N,) class numbers, -1 where no label is known; without them, two moons with one label each.
    An edge weighs exp(-γ · squared distance) (Zhu and Ghahramani 2002). ValueError for what does not fit.
    """
    if points is None:
        points, moon = make_moons(80, noise=0.06, random_state=4)
        first = [(moon == c).argmax() for c in (0, 1)]
        labels = np.where(np.isin(np.arange(len(moon)), first), moon, NONE)
    points, labels = array(points), array(labels)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or not np.isfinite(points).all():
        raise ValueError(f"points must be (N, 2) finite numbers, at least two points, but its shape is {points.shape}")
    if labels.shape != points.shape[:1] or labels.dtype.kind not in "iu" or labels.max() < 0:
        raise ValueError("labels must be one whole number for each point, -1 where no label is known, and not all -1")
    most = min(MOST_NEIGHBOURS, len(points) - 1)
    neighbours = NearestNeighbors(n_neighbors=most).fit(points).kneighbors(return_distance=False)

    def draw(gamma: float, k: int) -> tuple[Figure, str]:
        start, end = np.repeat(np.arange(len(points)), k), neighbours[:, :k].ravel()
        weights = rbf_kernel(points, gamma=gamma)[start, end]
        there = weights >= FAINTEST
        heard, pieces = _heard(start[there], end[there], labels)
        said = f"γ = {float(f'{gamma:.3g}'):,g}, k = {k}"
        kinds = {"one class": heard >= 0, "several classes": heard == SEVERAL, "no label": heard == NONE}
        counts = [f"{kind.sum()} of {len(points)} points hear {name}" for name, kind in kinds.items() if kind.any()]

        figure, _ = canvas(6.4, 3.9, f"{said}: {counts[-1]}")
        ax = figure.add_axes((0.02, 0.09, 0.96, 0.81))
        ax.axis("off")
        lines = points[np.stack([start, end], axis=1)[there]]
        ax.add_collection(LineCollection(lines, colors="black", alpha=weights[there], linewidths=1))
        for kind, style in _styles(heard).items():
            ax.plot(*points[heard == kind].T, linestyle="", zorder=2, **style)
        for c, (x, y) in zip(labels[labels >= 0], points[labels >= 0]):
            ax.plot(x, y, CLASS_MARKERS[c % 7], color=CLASSES[c % 7], markersize=17, mec="black", zorder=3)
            ax.text(x, y, c, size=9, weight="bold", ha="center", va="center_baseline", color="white", zorder=4)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, frameon=False, fontsize=8, handletextpad=0)
        ax.set_aspect("equal", adjustable="datalim")
        shape = f"{there.sum()} edges, " + ("all connected" if pieces == 1 else f"{pieces} pieces")
        return figure, f"{said}: {shape}; {', '.join(counts)}."

    log = {"description": "γ", "value": gamma, "min": -1, "max": 4, "step": 0.1, "readout_format": ",.3r"}
    whole = {"description": "neighbours k", "value": k, "min": 1, "max": most}
    play(draw, gamma=(FloatLogSlider, log), k=(IntSlider, whole))


def _heard(start: np.ndarray, end: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """The class whose labels a point is connected with, or SEVERAL, or NONE; and into how many pieces the graph falls."""
    edges = coo_array((np.ones(len(start)), (start, end)), shape=(len(labels), len(labels)))
    pieces, piece = connected_components(edges, directed=False)
    heard = np.full(len(labels), NONE)
    for number in np.unique(piece[labels >= 0]):
        inside = piece == number
        classes = np.unique(labels[inside & (labels >= 0)])
        heard[inside] = classes[0] if len(classes) == 1 else SEVERAL
    return heard, pieces


def _styles(heard: np.ndarray) -> dict[int, dict]:
    """Marker, colour and name of each thing that is heard."""
    styles = {
        int(c): {"marker": CLASS_MARKERS[c % 7], "color": CLASSES[c % 7], "label": f"hears class {c}"}
        for c in np.unique(heard[heard >= 0])
    }
    if (heard == SEVERAL).any():
        styles[SEVERAL] = {"marker": "X", "color": "black", "mfc": "white", "label": "hears several classes"}
    if (heard == NONE).any():
        styles[NONE] = {"marker": "o", "color": INK, "mfc": "white", "label": "hears no label"}
    return styles
