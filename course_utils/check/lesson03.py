"""Checks of lesson 03: affinity and neighbour graph, propagation, spreading, class mass, induction, the second opinion."""

import tracemalloc

import numpy as np
import torch
from scipy import sparse

from course_utils.check.battery import classes, none, scattered, uniform
from course_utils.check.cases import Case, Exercise, returns, slips
from course_utils.check.expect import Fix, Part

_FAR = np.array([[90.0, -120.0], [300.0, -300.0], [90.5, -120.0], [-300.0, 90.0], [299.0, -300.5], [-300.0, 91.5]])


def _points(seed, *shape, low=-2.0, high=2.0):
    return uniform(seed, *shape, low=low, high=high).double().numpy()


def _far_from_0(seed, n):
    """Points near (1000, -1000) that float32 holds exactly, but not their squares."""
    return np.round(64 * _points(seed, n, 2, low=-0.4, high=0.4)) / 64 + np.array([1000.0, -1000.0])


def _pairs(n, *values):
    """The symmetric (n, n) array with these values above the diagonal, row by row, and zeros on it."""
    made = np.zeros((n, n))
    made[np.triu_indices(n, 1)] = values
    return made + made.T


def _edges(n, *edges):
    """The graph of n points with these edges, of weight 1."""
    made = np.zeros((n, n))
    made[tuple(np.transpose(edges))] = 1
    return np.maximum(made, made.T)


def _chain(*weights):
    """The weights of points in a row, each joined to the next."""
    return np.diag(np.array(weights, float), 1) + np.diag(np.array(weights, float), -1)


def _apart(what, *inputs):
    """A case whose arrays are not contiguous: made anew each time, since a deep copy of an array is."""
    return Case(what, lambda: tuple(scattered(x) if isinstance(x, np.ndarray) else x for x in inputs))


def _array(name, kind="float array"):
    """Observe the array that comes back; with `over`, divided by these right values, so that small ones count, too."""
    values = returns(Part(name, kind))

    def observe(function, *inputs, over=None):
        result = function(*inputs)
        if sparse.issparse(result):
            raise Fix(f"{name} is sparse: a numpy array is wanted, .toarray() makes one")
        seen = values(lambda: result / over if over is not None and np.shape(result) == over.shape else result)
        if not isinstance(result, np.ndarray):
            seen["the type"] = Fix(f"{name} must be a numpy array, but is of the type {type(result).__name__}")
        return seen

    return observe


def _each(make, step, *wrong):
    """Answers with one of these in place of a step."""
    return tuple(make(**{step: one}) for one in wrong)


# ------------------------------------------------------------------------------------------------------- 3.1 affinity


def _no_self(W):
    return np.where(np.eye(len(W), dtype=bool), 0, W)


def _squares(x):
    return np.square(x[:, None] - x).sum(-1)


def _gram32(x):
    y = x.astype("float32")
    length = (y * y).sum(1)
    return np.maximum(length[:, None] + length - 2 * y @ y.T, 0).astype(float)


@slips
def _rbf(apart=lambda x: x[:, None] - x, squared=lambda d: np.square(d).sum(-1), weight=lambda s, g: np.exp(-g * s), finish=_no_self):
    return lambda x, gamma: finish(weight(squared(apart(x)), gamma))


def _by_their_own(size):
    return lambda x, g: _no_self(np.exp(-g * _squares(x) / (size(_squares(x)) or 1)))


def _weights(gamma, n, *squared):
    return _pairs(n, *np.exp(-gamma * np.array(squared)))


_PLACES = np.array([[0.0, 0.0], [0.5, 0.5], [1.5, 0.0]])
_DEEP = np.array([[0.0, 0, 0], [0, 0, 1], [0.5, 0, 1]])
_APART, _FAINT = np.array([[0.0], [4.0], [9.0]]), _weights(0.5, 3, 16, 81, 25)
WRONG_SIGN = "the sign is wrong: far points must get small weights, exp(-gamma * ...)"
AS_A_WIDTH = "gamma is used as a width sigma: here it multiplies, exp(-gamma * d²)"
LIMITED = "gamma is limited (min, max, clip): take it as it is"
BY_THEIR_OWN = "the squared distances are divided by their own size (median, mean, maximum): gamma alone sets the scale"
GRAM = "|a|² + |b|² - 2ab in float32 loses small distances far from 0: subtract the points, x[:, None] - x[None]"
FLOAT32 = "what is small becomes 0 in float32: stay in float64, as the arrays come"
TOO_COARSE = "half precision is too coarse: stay in float32 or float64"

gaussian_affinity = Exercise(
    "3.1",
    "gaussian_affinity",
    "the Gaussian affinity",
    why="You have decided what near means, and in a graph method that decision is the model.",
    observe=_array("W"),
    cases=[
        Case("for (0, 0), (.5, .5), (1.5, 0) and gamma .6", (_PLACES, 0.6), _weights(0.6, 3, 0.5, 2.25, 1.25)),
        Case("for the same points and gamma 2", (_PLACES, 2.0), _weights(2, 3, 0.5, 2.25, 1.25)),
        Case("for three points with three coordinates", (_DEEP, 1.0), _weights(1, 3, 1, 1.25, 0.25)),
        Case("for one point", (np.array([[2.0, 3.0]]), 1.0), np.zeros((1, 1))),
        Case("for 0, 1, 2, 3 and 4 on a line", (np.arange(5.0)[:, None], 1.0), _weights(1, 5, 1, 4, 9, 16, 1, 4, 9, 1, 4, 1)),
        Case("for two points at the same place", (np.zeros((2, 3)), 5.0), 1 - np.eye(2)),
        Case("for (1000, 0) and (1001, 1)", (np.array([[1000.0, 0], [1001.0, 1]]), 0.5), _weights(0.5, 2, 2)),
        Case("over the right one, for 0, 4 and 9 on a line,", (_APART, 0.5), 1 - np.eye(3), {"over": _FAINT + np.eye(3)}),
    ],
    mistakes={
        "the diagonal is 1: a point is no neighbour of its own, set it to 0": _rbf(finish=lambda W: W),
        "the distance is not squared: leave out the square root": _rbf(weight=lambda s, g: np.exp(-g * s**0.5)),
        "the distance is not squared, and the diagonal is not 0": _rbf(weight=lambda s, g: np.exp(-g * s**0.5), finish=lambda W: W),
        WRONG_SIGN: (_rbf(weight=lambda s, g: np.exp(g * s)), _rbf(weight=lambda s, g: np.exp(g * s), finish=lambda W: W)),
        "gamma is ignored": _rbf(weight=lambda s, g: np.exp(-s)),
        "gamma divides: it has to multiply": _each(_rbf, "weight", lambda s, g: np.exp(-s / g), lambda s, g: np.exp(-s / (2 * g))),
        AS_A_WIDTH: _each(_rbf, "weight", lambda s, g: np.exp(-s / (2 * g**2)), lambda s, g: np.exp(-s / g**2)),
        "gamma is squared, too: only the distance is": _rbf(weight=lambda s, g: np.exp(-(g**2) * s)),
        LIMITED: tuple(_rbf(weight=lambda s, g, a=a, b=b: np.exp(-np.clip(g, a, b) * s)) for a, b in ((0, 1), (0, 10), (0.01, 1e9))),
        "the exponent is halved: exp(-gamma * d²), without a 2": _rbf(weight=lambda s, g: np.exp(-g * s / 2)),
        "the squares are averaged over the coordinates: sum them": _rbf(squared=lambda d: np.square(d).mean(-1)),
        "absolute differences are summed: square them instead": _rbf(squared=lambda d: np.abs(d).sum(-1)),
        "the sum is squared: square each coordinate's difference, then sum": _rbf(squared=lambda d: np.abs(d).sum(-1) ** 2),
        "only one coordinate counts: sum over all": _each(_rbf, "squared", lambda d: np.square(d).max(-1), lambda d: np.square(d[..., 0])),
        "the differences are summed before they are squared: square each one, then sum": _rbf(squared=lambda d: d.sum(-1) ** 2),
        "only the first two coordinates count: sum the squares over all of them": _rbf(apart=lambda x: x[:, None, :2] - x[:, :2]),
        "only the upper triangle is filled: W[j, i] is W[i, j]": _rbf(finish=lambda W: np.triu(W, 1)),
        "only the lower triangle is filled: W[j, i] is W[i, j]": _rbf(finish=lambda W: np.tril(W, -1)),
        "these are distances: the exponential is missing": _each(_rbf, "weight", lambda s, g: s, lambda s, g: -g * s, lambda s, g: g * s),
        "1 is subtracted everywhere: only the diagonal becomes 0": _rbf(finish=lambda W: W - 1),
        "the rows are normalised: that belongs to the next step": _rbf(finish=lambda W: _rows_rescaled(_no_self(W))),
        "the weights are summed over each row: one weight for each pair, (N, N)": _rbf(finish=lambda W: _no_self(W).sum(1)),
        "two points at the same place get weight 0: only the diagonal is 0, not every distance 0": (
            _rbf(weight=lambda s, g: np.where(s > 0, np.exp(-g * s), 0)),
            _rbf(weight=lambda s, g: np.where(np.isclose(s, 0), 0, np.exp(-g * s))),
        ),
        BY_THEIR_OWN: tuple(_by_their_own(size) for size in (np.median, np.mean, np.max)),
        "the coordinates are normalised first: take them as they are": _rbf(apart=lambda x: (x[:, None] - x) / (x.std(0) + 1e-9)),
        "small weights are cut off, rounded, or something is added to them: exp(-gamma * ...) as it is": (
            *_each(_rbf, "finish", lambda W: np.where(_no_self(W) < 1e-6, 0, _no_self(W)), lambda W: _no_self(W).round(4)),
            _rbf(finish=lambda W: _no_self(W + 1e-8)),
            _rbf(weight=lambda s, g: np.exp(-np.minimum(g * s, 30))),
        ),
        GRAM: _rbf(apart=_gram32, squared=lambda s: s),
        TOO_COARSE: _rbf(squared=lambda d: np.square(d.astype("float16")).sum(-1).astype(float)),
    },
    errors={"broadcast": "x[:, None] - x[None] has the shape (N, N, D); the sum over its last axis leaves (N, N)"},
    battery={
        **none("points without labels come in, and a formula comes out: no network, no gradient, no loop"),
        "one": [Case("for one point of three coordinates", (_points(1, 1, 3), 0.7))],
        "extremes": [
            Case("for ten points near (1000, -1000)", (_far_from_0(2, 10), 4.0)),
            Case("for coordinates of ±90, ±120 and ±300", (_FAR, 0.5)),
        ],
        "sizes": [
            Case("for 260 points", (_points(3, 260, 2), 0.8)),
            Case("for 2100 coordinates", (_points(4, 3, 2100, low=-0.05, high=0.05), 0.3)),
        ],
        "ties": [Case("for points that are 1e-4 and 1e-6 apart", (np.array([[0.0], [1e-4], [1e-6], [-1e-4]]), 1e7))],
        "layout": [
            _apart("for points that are not contiguous", _points(5, 6, 3), 0.4),
            Case("for points in Fortran order", (np.asfortranarray(_points(6, 6, 3)), 0.4)),
        ],
        "ends": [
            Case("for gamma .005", (_points(7, 5, 2, low=-20, high=20), 0.005)),
            Case("for gamma 30", (_points(8, 5, 2, low=-0.3, high=0.3), 30.0)),
        ],
    },
)


# ------------------------------------------------------------------------------------------------- 3.2 the neighbours


def _first(k, d):
    return np.argsort(d, axis=1, kind="stable")[:, :k]


@slips
def _knn(distance=_squares, own=lambda d: np.inf, choose=_first, join=np.maximum, finish=lambda A, x: A):
    """`own` is what stands on the diagonal of the distances, `choose` gives for each row the positions that it chooses."""

    def answer(x, k):
        d = distance(x)
        d = np.where(np.eye(len(d), dtype=bool), own(d), d)
        A = np.zeros(d.shape)
        for i, chosen in enumerate(choose(k, d)):
            A[i, chosen] = 1
        return finish(join(A, A.T), x)

    return answer


def _others(x, k):
    return _first(k, _squares(x) + np.diag(np.full(len(x), np.inf)))


def _capped(x, k):
    A = np.zeros(2 * x.shape[:1])
    for i, row in enumerate(_others(x, k)):
        for j in row:
            if A[i].sum() < k:
                A[i, j] = A[j, i] = 1
    return A


def _one_too_many(k, d):
    return _first(min(k + 1, len(d) - 1), d)


def _without_the_first(k, d):
    return _first(k + 1, d)[:, 1:] if k + 1 < len(d) else _first(k, d)


def _within(more):
    """Chosen is what is nearer than the k-th distance and a little more."""
    return _knn(choose=lambda k, d: d < np.sort(d, axis=1)[:, k - 1 : k] + more)


def _first_of_columns(k, d):
    return d.argsort(0)[:, :k]


def _last(k, d):
    return _first(k, -d)


def _alone(A, T):
    return A


def _zero(d):
    return 0


SELF_FOUND = "each point has found itself: make the diagonal of the distances infinite before you sort"
FINITE = "a point has found itself: the diagonal of the distances must be larger than every distance, so take np.inf"
FARTHEST = "the farthest points are chosen: sort the distances upwards"
NOT_ALL = "only the largest difference counts, or the last coordinate: the distance is Euclidean"
TWIN_FIRST = "the first of each row is taken for the point itself, but its twin may stand there: make the diagonal infinite"
NO_TWIN = "two points at the same place do not find each other: make the diagonal infinite, and not every distance 0"
_LINE = np.array([[0.0], [1], [3], [7], [15]])
_PLANE = np.array([[0.0, 0], [3, 0], [0, 2], [10, 10], [10, 11.5]])
# Points 1 and 3 compete for point 0, points 6 and 8 for point 5; the others stand close to these four.
_FIVE = np.array([[0, 0], [2.9, 2.9], [3.1, 3.4], [0.2, -4.2], [-0.1, -4.6]])
_RIVALS = np.concatenate([_FIVE, [[100, 100], [103, 103], [103.2, 103.5], [100.4, 96], [100.5, 95.6]]])
# Twice a point with one at distance 1, and one a little farther, both of which have others beside them
_NEAR_TIES = np.array([[x, y] for y, d in ((0, 1e-4), (9, 1e-6)) for x in (0.0, -1 - d, -1.6, 1.0, 1.5)])
_TWINS = np.repeat([[0.0, 1.0], [7.0, -2.0]], 21, axis=0)

knn_graph = Exercise(
    "3.2",
    "knn_graph",
    "the neighbour graph",
    why="Keeping only near neighbours makes the graph small, and lets it follow the shape of the data.",
    observe=_array("A", ""),
    cases=[
        Case("for 0, 1, 3, 7, 15 on a line and k = 1", (_LINE, 1), _chain(1, 1, 1, 1)),
        Case("for 0, 1, 3, 7, 15 on a line and k = 2", (_LINE, 2), _chain(1, 1, 1, 1) + _edges(5, (0, 2), (1, 3), (2, 4))),
        Case("for 0, 3, 5, 6.2 on a line and k = 1", (np.array([[0.0], [3], [5], [6.2]]), 1), _chain(1, 1, 1)),
        Case("for 0, 1e10, 3e10 on a line and k = 1", (np.array([[0.0], [1e10], [3e10]]), 1), _chain(1, 1)),
        Case("for five points in the plane and k = 1", (_PLANE, 1), _edges(5, (0, 2), (0, 1), (3, 4))),
        Case("for ten points in the plane and k = 1", (_RIVALS, 1), _edges(10, (0, 1), (1, 2), (3, 4), (5, 8), (6, 7), (8, 9))),
        Case("for three coordinates and k = 1", (np.array([[0, 0, 0], [0, 0.1, 5], [0, 0.3, 0]]), 1), _edges(3, (0, 1), (0, 2))),
        Case("when two points lie at the same place", (np.array([[0.0], [0.0], [5.0], [6.0]]), 1), _edges(4, (0, 1), (2, 3))),
        Case("for two points and k = 1", (np.array([[0.0], [2.0]]), 1), _edges(2, (0, 1))),
    ],
    mistakes={
        "the result isn't symmetric: join who is chosen with who chose, np.maximum(A, A.T)": (_knn(join=_alone), _knn(join=lambda A, T: T)),
        "an edge needs both to choose each other: one of the two is enough": _knn(join=np.minimum),
        "mutual neighbours count twice: zeros and ones are wanted, np.maximum in place of +": _knn(join=np.add),
        "the graph and its transpose are averaged: 1 where at least one chose the other": _knn(join=lambda A, T: (A + T) / 2),
        SELF_FOUND: (_knn(own=_zero), _knn(own=_zero, join=_alone), _knn(own=_zero, finish=lambda A, x: _no_self(A))),
        "the diagonal is not 0: a point is no neighbour of its own": (
            _knn(finish=lambda A, x: np.maximum(A, np.eye(len(A)))),
            _knn(own=_zero, choose=lambda k, d: _first(k + 1, d)),
        ),
        "these are distances: zeros and ones are wanted": _knn(finish=lambda A, x: A * _squares(x) ** 0.5),
        "these are positions, (N, k): a graph (N, N) of zeros and ones is wanted": (_others, lambda x, k: _first(k, _squares(x))),
        "everybody is a neighbour of everybody: keep the k smallest distances of each row": _knn(choose=lambda k, d: _first(-1, d)),
        FARTHEST: (_knn(own=lambda d: -1, choose=_last), _knn(own=lambda d: -1, choose=_last, join=_alone)),
        "each point chose k + 1 others: one too many": (_knn(choose=_one_too_many), _knn(choose=_one_too_many, join=_alone)),
        "neighbours of neighbours are joined, too": _knn(finish=lambda A, x: _no_self(A + A @ A > 0)),
        "the nearest is left out: with an infinite diagonal no point finds itself first": _knn(choose=_without_the_first),
        "distances are sorted down the columns: sort with axis=1": (
            _knn(choose=_first_of_columns),
            _knn(choose=_first_of_columns, join=_alone),
        ),
        "each point has one neighbour too few: the first k, or d <= the k-th": (_knn(choose=lambda k, d: _first(k - 1, d)), _within(0)),
        "only one neighbour is chosen, whatever k is: keep the first k": _knn(choose=lambda k, d: _first(1, d)),
        "only the k-th neighbour is kept: keep the first k": _knn(choose=lambda k, d: _first(k, d)[:, -1:]),
        "an edge is left out where a point has k edges already: each chooses k, and may be chosen besides": _capped,
        FINITE: _each(_knn, "own", lambda d: 100, lambda d: 1e9, lambda d: d.max()),
        "only the first coordinate counts: the distance uses all of them": _knn(distance=lambda x: _squares(x[:, :1])),
        "only the first two coordinates count: the distance uses all of them": _knn(distance=lambda x: _squares(x[:, :2])),
        "absolute differences are summed: sum their squares": _knn(distance=lambda x: np.abs(x[:, None] - x).sum(-1)),
        NOT_ALL: _each(_knn, "distance", lambda x: np.abs(x[:, None] - x).max(-1), lambda x: _squares(x[:, -1:])),
        "differences are summed before they are squared": _knn(distance=lambda x: _squares(x.sum(1)[:, None])),
        TWIN_FIRST: (_knn(own=_zero, choose=_without_the_first), _knn(own=_zero, choose=_without_the_first, join=_alone)),
        NO_TWIN: _knn(distance=lambda x: np.where(_squares(x) == 0, np.inf, _squares(x))),
        "distances that are nearly equal are taken for equal (round, isclose, half precision): compare them as they are": (
            *(_knn(distance=lambda x, n=n: np.sqrt(_squares(x)).round(n)) for n in (3, 4, 5)),
            _knn(distance=lambda x: np.sqrt(_squares(x)).clip(0, 6e4).astype("float16")),
            *map(_within, (1e-3, 1e-5)),
        ),
        GRAM: _knn(distance=_gram32),
    },
    errors={"broadcast": "x[:, None] - x[None] has the shape (N, N, D); the distance sums over its last axis"},
    battery={
        **none("points without labels come in, and zeros and ones come out: no network, no gradient"),
        "one": "there are at least two points, since 1 <= k < N; k = 1 stands among the cases",
        "extremes": [
            Case("for twelve points near (1000, -1000) and k = 3", (_far_from_0(1, 12), 3)),
            Case("for coordinates of ±90, ±120 and ±300 and k = 2", (_FAR, 2)),
        ],
        "sizes": [
            Case("for 260 points and k = 20", (_points(2, 260, 3), 20)),
            Case("for twice 21 points at the same place and k = 20", (_TWINS, 20)),
        ],
        "ties": [
            Case("for distances that differ by 1e-4 and 1e-6", (_NEAR_TIES, 1)),
            Case("for the same points in another order", (_NEAR_TIES[::-1].copy(), 1)),
        ],
        "layout": [
            _apart("for points that are not contiguous", _points(3, 7, 2), 2),
            Case("for points in Fortran order", (np.asfortranarray(_points(4, 7, 2)), 2)),
        ],
        "ends": [Case("for k = N - 1", (_points(5, 6, 2), 5)), Case("for k = N - 2", (_points(6, 6, 2), 4))],
        "longer": [
            Case("for a point that 30 others choose", (np.vstack([np.zeros(30), np.diag(np.arange(1, 31) / 30 + 3)]), 1)),
            Case("for forty points and k = 7", (_points(7, 40, 2), 7)),
        ],
    },
)


# ---------------------------------------------------------------------------------------- what 3.3 and 3.4 have in common


def _flow(function, W, Y, *rest, over=None):
    """Observe the masses: a new array; a sparse W stays as it is, and no array of all pairs is made of it."""
    masses = _array("F")
    if sparse.issparse(W):
        return _sparsely(masses, function, W, Y, *rest)
    seen = masses(function, W, Y, *rest, over=over)
    if isinstance(seen["F"], np.ndarray) and np.may_share_memory(seen["F"], Y):
        seen["the array"] = Fix("it returns Y itself: return a new array, Y.astype(float) makes one")
    return seen


def _sparsely(observe, function, W, *rest):
    before, n = W.copy(), W.shape[0]
    tracemalloc.start()
    try:
        seen = observe(function, W, *rest)
        _, peak = tracemalloc.get_traced_memory()
    except Fix as error:
        raise Fix(f"for a sparse W {error}: use W.sum(axis=1) and W @ ..., and nothing else of W") from None
    finally:
        tracemalloc.stop()
    if n > 1000 and peak > n * n:
        raise Fix(
            "for a sparse W it makes an array of N x N numbers (toarray, np.diag, np.outer?), too large for a whole pool: "
            "use W.sum(axis=1) and W @ ..., and scale rows"
        )
    if abs(W - before).max() > 0:
        raise Fix("it changes its input W when that is sparse: divide W @ F, not W")
    return seen


def _safe(degree):
    return np.where(degree == 0, 1, degree)


def _rows_rescaled(F, *_):
    return F / _safe(F.sum(1, keepdims=True))


def _one_hot(F, *_):
    return np.where(F.sum(1, keepdims=True) > 0, np.eye(F.shape[1])[F.argmax(1)], 0)


def _as_it_is(F, *_):
    return F


def _times(n, step, F, enough=lambda F, before: False, back=False):
    """At most n steps, and none after one that changes little enough; with `back` without this one."""
    for _ in range(n):
        F, before = step(F), F
        if enough(F, before):
            return before if back else F
    return F


def _cut(W):
    return W * (W > 1e-8)


def _changes_less(bound):
    return lambda n, step, F: _times(n, step, F, lambda F, before: np.abs(F - before).max() < bound)


def _row_by_row(scale, own, free):
    """Gauss and Seidel's way: each row sees what others got in the same step."""

    def answer(W, Y, *rest):
        *rest, num_steps = rest
        F, W, d = np.array(Y, float), sparse.csr_array(W), _safe(W.sum(axis=1))[:, None]
        for _ in range(num_steps):
            for i in np.flatnonzero(free(*rest) | np.zeros(len(Y), bool)):
                at = slice(*W.indptr[i : i + 2])
                F[i] = own(scale(W.data[at], d[i], d[W.indices[at], 0]) @ F[W.indices[at]], Y[i], *rest)
        return F

    return answer


def _in_place(step):
    """F has the type of Y; `step` gives the next F from W, F, the degrees and the rest of the arguments."""

    def answer(W, Y, *rest):
        F, d = Y.copy(), _safe(W.sum(axis=1))[:, None]
        for _ in range(rest[-1]):
            F[:] = step(W, F, d, Y, rest[0])
        return F

    return answer


def _random_graph(seed, n, num_classes, absent=(), weight=1.0):
    """(W, Y, labelled): about a third of all pairs joined, every third point labelled, the last point without edges."""
    drawn = np.triu(_points(seed, n, n, low=-1, high=0.5), 1)
    W = weight * np.maximum(drawn + drawn.T, 0)
    W[-1] = W[:, -1] = 0
    labelled = np.arange(n) % 3 == 0
    Y = np.zeros((n, num_classes))
    Y[labelled] = np.eye(num_classes)[classes(seed + 1, labelled.sum(), num_classes, absent).numpy()]
    return W, Y, labelled


def _ring(n):
    """(W, Y, labelled): a sparse ring with edges of weights 1, 2 and 3; three classes, every tenth point labelled."""
    place = np.arange(n)
    half = sparse.coo_array((place % 3 + 1.0, (place, np.roll(place, -1))), shape=(n, n))
    labelled = place % 10 == 0
    return sparse.csr_array(half + half.T), np.eye(3)[place // 10 % 3] * labelled[:, None], labelled


def _ends(n, kind=float):
    """(Y, labelled) of n points, the first of class 0 and the last of class 1."""
    Y = np.zeros((n, 2), kind)
    Y[0, 0] = Y[-1, 1] = 1
    return Y, Y.any(1)


def _battery(inputs, **more):
    """`inputs` makes the arguments from W, Y, labelled and the number of steps."""
    W, *labels = _random_graph(15, 8, 3)
    given = {
        "one": {
            "for one labelled image": (np.zeros((1, 1)), np.array([[0.0, 1]]), np.array([True]), 2),
            "for one unlabelled image": (np.zeros((1, 1)), np.zeros((1, 3)), np.array([False]), 1),
            "for one class": (*_random_graph(1, 5, 1), 2),
        },
        "classes": {
            "for two classes": (*_random_graph(3, 8, 2), 3),
            "for ten classes, the last one absent": (*_random_graph(5, 15, 10, absent=(9,)), 4),
        },
        "uneven": {"for labels of which most are class 0": (*_random_graph(7, 25, 3), 3)},
        "extremes": {
            "for weights in the hundreds": (*_random_graph(9, 8, 3, weight=700.0), 3),
            "for weights of about 1e12": (*_random_graph(11, 8, 3, weight=1e12), 3),
            "for weights of about 1e-60": (*_random_graph(11, 8, 3, weight=1e-60), 3),
        },
        "sizes": {"for a sparse ring of 2100 images": (*_ring(2100), 3)},
        "ties": {"for edges of weight 1, 1e-4 and 1e-6": (_chain(1, 1e-4, 1e-6, 1e-4, 1e-6), *_ends(6), 3)},
        "layout": {"for a sparse W with an image that has no edge": (sparse.csr_array(W), *labels, 3)},
        "ends": {
            "when every image is labelled": (_chain(1, 1), np.eye(3), np.ones(3, bool), 2),
            "when no image is labelled": (_chain(1, 1), np.zeros((3, 2)), np.zeros(3, bool), 2),
        },
        "longer": {"after 7 steps on a chain of twelve": (_chain(*[1] * 11), *_ends(12), 7)},
    }
    cases = {kind: [Case(what, inputs(*made)) for what, made in of_kind.items()] for kind, of_kind in given.items()}
    cases["layout"].append(_apart("for inputs that are not contiguous", *inputs(*_random_graph(13, 8, 3), 3)))
    return none("masses are averaged in a loop: no network, no gradient") | cases | {k: cases[k] + own for k, own in more.items()}


NO_EDGE = "weak edges count as none (> 1e-6, isclose?), or something is added to the degree: only a degree of 0 is replaced"
BELOW_ONE = "a degree below 1 is replaced by 1 (np.maximum?): only a degree of 0 may be"
NAN = "a row without edges is divided by 0: where the degree is 0, divide by 1"
ONE_STEP_LESS = "it takes one step too few: num_steps steps, range(num_steps)"
ONE_STEP_MORE = "it takes one step too many: num_steps steps, range(num_steps)"
ONE_STEP_ONLY = "it takes one step only: is there a loop, and does each step start from the last one's F?"
WHOLE_NUMBERS = "with a Y of whole numbers all fractions are cut off: start from Y.astype(float)"
ROWS_RESCALED = "the rows are divided by their sums: leave them as they are"
STOPS_EARLY = "it stops when little changes: take num_steps steps, however small they are"
ONE_CLASS = "these are the most probable classes: the masses of all classes are wanted, (N, num_classes)"
HARDENED = "every image is turned into its most probable class: keep the masses of all classes"
ONE_BY_ONE = "a row uses what others got in the same step: compute all rows from the last step's F, then replace it"
FROM_ZEROS = "F starts from zeros: start from Y"
MASSES_ROUNDED = "the masses are rounded: leave them as they are"
NOT_REACHED = "an image that nothing has reached gets equal fractions: it stays at zeros"
_EDGES_LOST = (  # what may be made of the degrees, so that weak edges are lost
    lambda d: d + 1e-9,
    lambda d: d + 1e-12,
    lambda d: np.maximum(d, 1e-12),
    lambda d: (d**0.5 + 1e-6) ** 2,
    lambda d: np.where(d > 1e-6, d, 1),
    lambda d: np.where(np.isclose(d, 0), 1, d),
)
_EARLY = (
    _changes_less(1e-3),
    _changes_less(1e-6),
    lambda n, step, F: _times(n, step, F, np.allclose),
    lambda n, step, F: _times(n, step, F, np.allclose, back=True),
)
_2_1, _LIGHT = _pairs(3, 2, 0, 1), _pairs(3, 0.3, 0, 0.2)
# A chain of three points, and two points without edges, the last one labelled
_LONELY = np.pad(_chain(1, 1), (0, 2)), np.eye(3)[[0, 0, 2, 0, 1]] * [[1], [0], [1], [0], [1]], np.array([1, 0, 1, 0, 1], bool)
_FOUR = _chain(1, 1, 1)


# ---------------------------------------------------------------------------------------------------- 3.3 propagation


def _reset(F, Y, labelled):
    return np.where(labelled[:, None], Y, F)


@slips
def _lp(
    step=lambda W, F, d: W @ F / d,
    degree=_safe,
    start=lambda Y: np.array(Y, float),
    clamp=_reset,
    steps=lambda n: n,
    finish=_as_it_is,
    loop=_times,
):
    def answer(W, Y, labelled, num_steps):
        with np.errstate(all="ignore"):
            own = W.sum(axis=1)
            d = degree(own)[:, None]
            F = loop(steps(num_steps), lambda F: clamp(step(W, F, d), Y, labelled), start(Y))
            return finish(F, Y, labelled, own)

    return answer


def _on_floats(step):
    return lambda W, Y, *rest: _in_place(step)(W, Y.astype(float), *rest)


def _number(W):
    """Of neighbours."""
    return _safe((W > 0).sum(axis=1))[:, None]


_CHAIN_2 = [[1, 0], [0.5, 0.25], [0.25, 0.5], [0, 1]]

label_propagation = Exercise(
    "3.3",
    "label_propagation",
    "label propagation",
    why="Labels now flow from point to point like heat: no network, no gradient, and still semi-supervised.",
    observe=_flow,
    cases=[
        Case("after 1 step over edges of weight 2 and 1", (_2_1, *_ends(3), 1), [[1, 0], [2 / 3, 1 / 3], [0, 1]]),
        Case("after 1 step over edges of weight .3 and .2", (_LIGHT, *_ends(3), 1), [[1, 0], [0.6, 0.4], [0, 1]]),
        Case("after 1 step on a chain of four images", (_FOUR, *_ends(4), 1), [[1, 0], [0.5, 0], [0, 0.5], [0, 1]]),
        Case("after 0 steps", (_FOUR, *_ends(4), 0), _ends(4)[0]),
        Case("after 2 steps on a chain of four images", (_FOUR, *_ends(4), 2), _CHAIN_2),
        Case("after 200 steps on a chain of four", (_FOUR, *_ends(4), 200), [[1, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3], [0, 1]]),
        Case("with two images that have no edge", (*_LONELY, 3), [[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1], [0, 0, 0], [0, 1, 0]]),
        Case("for a Y of whole numbers", (_FOUR, *_ends(4, int), 2), _CHAIN_2),
        Case("for a Y of whole numbers, after 0 steps", (_FOUR, *_ends(4, int), 0), _ends(4)[0]),
        Case("for a sparse W", (sparse.csr_array(_FOUR), *_ends(4), 2), _CHAIN_2),
        Case("for edges of weight 2e-18 and 1e-18", (1e-18 * _2_1, *_ends(3), 1), [[1, 0], [2 / 3, 1 / 3], [0, 1]]),
        Case(
            "over the right one, after 20 steps over edges of weight 1e-9",
            (_chain(1e-9, 1, 1e-9), *_ends(4), 20),
            [[1, 0], [1, 1], [1, 1], [0, 1]],
            {"over": np.array([[1, 1], [1e-8, 1e-8], [1e-8, 1e-8], [1, 1]])},
        ),
    ],
    mistakes={
        "all edges count alike: the average is weighted by W": _lp(step=lambda W, F, d: (W > 0) @ F / _number(W)),
        "the sum is divided by the number of neighbours: divide by the degree": _lp(step=lambda W, F, d: W @ F / _number(W)),
        "columns are divided by their degree: each row of W @ F by the degree of that row": _lp(step=lambda W, F, d: W @ (F / d)),
        "nothing flows: is the result of W @ F used?": _lp(step=lambda W, F, d: F),
        "the labels are not clamped: after each step reset the labelled rows to Y": (
            _lp(clamp=_as_it_is),
            _lp(clamp=_as_it_is, step=lambda W, F, d: (W @ F + F) / (d + 1)),
            _lp(clamp=_as_it_is, step=lambda W, F, d: (W @ F / d + F) / 2),
        ),
        "the labels are clamped before the step only: clamp after each step": _on_floats(lambda W, F, d, Y, l: W @ _reset(F, Y, l) / d),
        "the labels are clamped after the loop only: clamp in each step": _lp(clamp=_as_it_is, finish=lambda F, Y, l, d: _reset(F, Y, l)),
        "the labels are added to what arrives at them: reset the labelled rows to Y": _lp(clamp=lambda F, Y, labelled: F + Y),
        "the unlabelled rows are reset, and not the labelled ones": _lp(clamp=lambda F, Y, labelled: _reset(F, Y, ~labelled)),
        "the degree is too large: is there a self loop?": (_lp(step=lambda W, F, d: (W @ F + F) / (d + 1)), _lp(degree=lambda d: d + 1)),
        "the sum of the neighbours is taken: divide by the degree": _lp(step=lambda W, F, d: W @ F),
        "both degrees are used: divide by the row's degree only": _lp(step=lambda W, F, d: d**-0.5 * (W @ (d**-0.5 * F))),
        BELOW_ONE: _lp(degree=lambda d: np.maximum(d, 1)),
        ROWS_RESCALED: (_lp(step=lambda W, F, d: _rows_rescaled(W @ F / d)), _lp(finish=_rows_rescaled)),
        HARDENED: (_lp(step=lambda W, F, d: _one_hot(W @ F / d)), _lp(finish=_one_hot)),
        ONE_CLASS: _lp(finish=lambda F, *_: F.argmax(1)),
        NAN: _lp(degree=_as_it_is),
        NOT_REACHED: _lp(finish=lambda F, *_: np.where(F.sum(1, keepdims=True) == 0, 1 / F.shape[1], F)),
        "a labelled image without edges is set to 0: it keeps its row of Y": _lp(finish=lambda F, Y, l, d: np.where(d[:, None] == 0, 0, F)),
        ONE_STEP_LESS: _lp(steps=lambda n: max(n - 1, 0)),
        ONE_STEP_MORE: _lp(steps=lambda n: n + 1),
        ONE_STEP_ONLY: (_lp(steps=lambda n: min(n, 1)), _on_floats(lambda W, F, d, Y, labelled: _reset(W @ Y / d, Y, labelled))),
        FROM_ZEROS: _lp(start=lambda Y: np.zeros(Y.shape)),
        WHOLE_NUMBERS: _in_place(lambda W, F, d, Y, labelled: _reset(W @ F / d, Y, labelled)),
        STOPS_EARLY: _each(_lp, "loop", *_EARLY),
        FLOAT32: _lp(degree=lambda d: _safe(d.astype("float32"))),
        NO_EDGE: (*_each(_lp, "degree", *_EDGES_LOST), _lp(step=lambda W, F, d: _cut(W) @ F / d)),
        ONE_BY_ONE: _row_by_row(lambda w, d, other: w / d, lambda heard, y, labelled: heard, lambda labelled: ~labelled),
        MASSES_ROUNDED: _lp(finish=lambda F, *_: F.round(3)),
    },
    battery=_battery(
        lambda *inputs: inputs,
        longer=[Case("after 1100 steps on a chain of forty", (_chain(*[1] * 39), *_ends(40), 1100))],
    ),
)


# ------------------------------------------------------------------------------------------------------ 3.4 spreading


@slips
def _ls(
    step=lambda SF, Y, F, a: a * SF + (1 - a) * Y,
    powers=(-0.5, -0.5),
    degree=_safe,
    start=lambda Y, a: np.array(Y, float),
    steps=lambda n: n,
    finish=_as_it_is,
    loop=_times,
    graph=lambda W: W,
):
    """`powers` of the degrees on the left of W (the row's) and on its right (the column's)."""

    def answer(W, Y, alpha, num_steps):
        with np.errstate(all="ignore"):
            W = graph(W)
            own = W.sum(axis=1)
            left, right = (degree(own)[:, None].astype(float) ** power for power in powers)
            F = loop(steps(num_steps), lambda F: step(left * (W @ (right * F)), Y, F, alpha), start(Y, alpha))
            return finish(F, Y, own, alpha, num_steps)

    return answer


def _limit(W, Y, alpha, num_steps):
    root = _safe(W.sum(axis=1)) ** -0.5
    return np.linalg.solve(np.eye(len(Y)) - alpha * root[:, None] * (W @ np.diag(root)), (1 - alpha) * Y)


def _where_labelled(own, others):
    return _ls(step=lambda SF, Y, F, a: np.where(Y.any(1)[:, None], own(SF, Y, a), others(SF, a)))


def _where_lonely(value):
    return _ls(finish=lambda F, Y, d, a, n: np.where(d[:, None] == 0, value(Y, a), F))


NOT_BOTH = "divide by the root of both degrees, the row's and the column's"
CLAMPED = "the labels are clamped: they are held softly, alpha * S F + (1 - alpha) * Y"
ADDED_ONCE = "the labels are added once at the end: add (1 - alpha) * Y in each step"
_1_2 = _pairs(3, 1, 0, 2)  # degrees 1, 3 and 2
_A, _B, _R = 3**-0.5, 2 * 6**-0.5, 2**-0.5
_LIMIT = [[0.816498, 0.001684], [0.116661, 0.011904], [0.011904, 0.116661], [0.001684, 0.816498]]
_SOFT = [[0.8, 0], [0.2 * _A, 0.2 * _B], [0, 0.8]]
_SOFT_2 = [[0.625, 0], [_R / 4, _R / 8], [_R / 8, _R / 4], [0, 0.625]]
_STAR = _edges(4, (0, 1), (0, 2), (0, 3)), np.array([[0.0, 0], [1, 0], [0, 1], [0, 0]])
_Y3, _Y4 = _ends(3)[0], _ends(4)[0]

label_spreading = Exercise(
    "3.4",
    "label_spreading",
    "label spreading",
    why="This version may also doubt the labels it was given, which helps when some of them are wrong.",
    observe=_flow,
    cases=[
        Case("after 0 steps", (_FOUR, _Y4, 0.5, 0), _Y4),
        Case("after 1 step over edges of weight 1 and 2, for alpha .2", (_1_2, _Y3, 0.2, 1), _SOFT),
        Case("after 1 step over edges of weight .3 and .2", (_LIGHT, _Y3, 0.2, 1), [[0.8, 0], [0.024**0.5, 0.016**0.5], [0, 0.8]]),
        Case("after 2 steps on a chain of four images, for alpha .5", (_FOUR, _Y4, 0.5, 2), _SOFT_2),
        Case("after 100 steps on a chain of four images, for alpha .2", (_FOUR, _Y4, 0.2, 100), _LIMIT),
        Case(
            "after 200 steps on a star with three leaves, for alpha .5",
            (*_STAR, 0.5, 200),
            [[_A / 3, _A / 3], [10 / 18, 1 / 18], [1 / 18, 10 / 18], [1 / 18, 1 / 18]],
        ),
        Case("for alpha 0", (_FOUR, _Y4, 0.0, 5), _Y4),
        Case(
            "after 200 steps over edges of weight 1 and 2, for alpha .5",
            (_1_2, _Y3, 0.5, 200),
            [[0.5 + _A * _A / 6, _A * _B / 6], [_A / 3, _B / 3], [_A * _B / 6, 0.5 + _B * _B / 6]],
        ),
        Case(
            "with two images that have no edge, after 1 step",
            (*_LONELY[:2], 0.5, 1),
            [[0.5, 0, 0], [_R / 2, 0, _R / 2], [0, 0, 0.5], [0, 0, 0], [0, 0.5, 0]],
        ),
        Case("with two images that have no edge, after 0 steps", (*_LONELY[:2], 0.5, 0), _LONELY[1]),
        Case("for a Y of whole numbers", (_FOUR, _Y4.astype(int), 0.5, 2), _SOFT_2),
        Case("for a Y of whole numbers, after 0 steps", (_FOUR, _Y4.astype(int), 0.5, 0), _Y4),
        Case("for a sparse W", (sparse.csr_array(_FOUR), _Y4, 0.5, 2), _SOFT_2),
        Case("for edges of weight 1e-18 and 2e-18", (1e-18 * _1_2, _Y3, 0.2, 1), _SOFT),
        Case(
            "over the right one, after 20 steps over edges of weight 1e-18",
            (_chain(1e-18, 1, 1e-18), _Y4, 0.5, 20),
            [[0.5, 0], [1, 1], [1, 1], [0, 0.5]],
            {"over": np.array([[1, 1], [1e-9 / 3, 1e-9 / 6], [1e-9 / 6, 1e-9 / 3], [1, 1]])},
        ),
    ],
    mistakes={
        f"only one degree is used, as in label propagation: {NOT_BOTH}": _ls(powers=(-1, 0)),
        f"only one degree is used, and it is that of the column: {NOT_BOTH}": _ls(powers=(0, -1)),
        "both degrees are divided out whole: divide by the root of each": _ls(powers=(-1, -1)),
        "it multiplies with the roots of the degrees: divide": _ls(powers=(0.5, 0.5)),
        f"only the row's degree is used: {NOT_BOTH}": _ls(powers=(-0.5, 0)),
        f"only the column's degree is used: {NOT_BOTH}": _ls(powers=(0, -0.5)),
        "W is not normalised: S, not W": _ls(powers=(0, 0)),
        "alpha and 1 - alpha are exchanged: alpha belongs to the neighbours": _ls(step=lambda SF, Y, F, a: (1 - a) * SF + a * Y),
        "(1 - alpha) is missing before Y": _ls(step=lambda SF, Y, F, a: a * SF + Y),
        CLAMPED: (_where_labelled(lambda SF, Y, a: Y, lambda SF, a: a * SF), _where_labelled(lambda SF, Y, a: Y, lambda SF, a: SF)),
        "alpha is missing before S F": _ls(step=lambda SF, Y, F, a: SF + Y - a * Y),
        "alpha is for every row, with a label or without": _where_labelled(lambda SF, Y, a: a * SF + Y - a * Y, lambda SF, a: SF),
        "alpha is ignored: alpha * S F + (1 - alpha) * Y": (
            _ls(step=lambda SF, Y, F, a: SF + Y),
            *(_ls(step=lambda SF, Y, F, a, b=b: b * SF + (1 - b) * Y) for b in (0.2, 0.5, 0.99)),
        ),
        "alpha is limited (min, max, clip): take it as it is": tuple(
            _ls(step=lambda SF, Y, F, a, low=low, high=high: np.clip(a, low, high) * (SF - Y) + Y) for low, high in ((0.01, 1), (0, 0.99))
        ),
        "the labels are forgotten: + (1 - alpha) * Y": (_ls(step=lambda SF, Y, F, a: a * SF), _ls(step=lambda SF, Y, F, a: SF)),
        ROWS_RESCALED: (_ls(finish=_rows_rescaled), _ls(step=lambda SF, Y, F, a: _rows_rescaled(a * SF + Y - a * Y))),
        "nothing flows: is the result of S F used?": _each(
            _ls, "step", lambda SF, Y, F, a: F, lambda SF, Y, F, a: a * F + (1 - a) * Y, lambda SF, Y, F, a: (1 - a) * Y
        ),
        BELOW_ONE: _ls(degree=lambda d: np.maximum(d, 1)),
        "F starts from (1 - alpha) * Y: start from Y": _ls(start=lambda Y, a: (1 - a) * Y),
        FROM_ZEROS: _ls(start=lambda Y, a: np.zeros(Y.shape)),
        ONE_STEP_LESS: _ls(steps=lambda n: max(n - 1, 0)),
        ONE_STEP_MORE: _ls(steps=lambda n: n + 1),
        ONE_STEP_ONLY: _ls(steps=lambda n: min(n, 1)),
        "this is the limit of many steps: take exactly num_steps of them": _limit,
        "(1 - alpha) belongs to Y, the given labels, and not to the last F": _ls(step=lambda SF, Y, F, a: a * SF + (1 - a) * F),
        ADDED_ONCE: _ls(step=lambda SF, Y, F, a: a * SF, finish=lambda F, Y, d, a, n: F + (1 - a) * Y if n else F),
        NAN: _ls(degree=_as_it_is),
        "an image without edges keeps (1 - alpha) * Y, like all others": _where_lonely(lambda Y, a: Y),
        "with 0 steps F is Y, also where an image has no edge": _where_lonely(lambda Y, a: (1 - a) * Y),
        "a labelled image without edges is set to 0: (1 - alpha) * Y remains": _where_lonely(lambda Y, a: 0),
        NOT_REACHED: _ls(finish=lambda F, *_: np.where(F.sum(1, keepdims=True) == 0, 1 / F.shape[1], F)),
        "self loops are added to W: its diagonal stays 0": _ls(graph=lambda W: W + sparse.eye_array(W.shape[0], format="csr")),
        "there are two classes only: Y says how many, Y.shape[1]": _ls(finish=lambda F, *_: F[:, :2]),
        HARDENED: (_ls(step=lambda SF, Y, F, a: _one_hot(a * SF + Y - a * Y)), _ls(finish=_one_hot)),
        ONE_CLASS: _ls(finish=lambda F, *_: F.argmax(1)),
        WHOLE_NUMBERS: _in_place(lambda W, F, d, Y, a: a * d**-0.5 * (W @ (d**-0.5 * F)) + Y - a * Y),
        STOPS_EARLY: _each(_ls, "loop", *_EARLY),
        FLOAT32: _ls(degree=lambda d: _safe(d.astype("float32"))),
        NO_EDGE: (*_each(_ls, "degree", *_EDGES_LOST), _ls(graph=_cut)),
        ONE_BY_ONE: _row_by_row(lambda w, d, other: w / (d * other) ** 0.5, lambda heard, y, a: a * heard + y - a * y, lambda a: True),
        MASSES_ROUNDED: _ls(finish=lambda F, *_: F.round(3)),
    },
    battery=_battery(
        lambda W, Y, labelled, num_steps: (W, Y, 0.7, num_steps),
        ends=[Case(f"for alpha {a}", (*_random_graph(17, 8, 3)[:2], a, 3)) for a in (0.999, 0.005)],
        longer=[Case("after 1100 steps on a chain of five, for alpha .999", (_chain(*[1] * 4), _ends(5)[0], 0.999, 1100))],
    ),
)


# ------------------------------------------------------------------------------------------------------------ 3.5 CMN


@slips
def _cmn(
    fraction=lambda m: m.sum(0) / m.sum(),
    factor=lambda prior, got: prior / got,
    nothing=lambda got: got == 0,
    instead=lambda prior: 1.0,
    finish=lambda f, m, prior: f,
):
    """`fraction` of the mass that each class has got; where `nothing` is true the factor is that of `instead`."""

    def answer(masses, prior):
        with np.errstate(all="ignore"):
            got = fraction(masses)
            return finish(np.where(nothing(got), instead(prior), factor(prior, got)), masses, prior)

    return answer


def _whole_factors(masses, prior):
    f = np.ones_like(masses.sum(axis=0))
    for c in np.flatnonzero(masses.sum(axis=0)):
        f[c] = prior[c] * masses.sum() / masses[:, c].sum()
    return f


def _random_masses(seed, n, num_classes):
    """Masses of which class c gets about half as much as class c - 1; a third of the rows are empty."""
    m = _points(seed, n, num_classes, low=0, high=1) * 0.5 ** np.arange(num_classes)
    m[::3] = 0
    return m


def _prior(*weights):
    return np.array(weights) / sum(weights)


TURNED = "prior and fraction belong to different classes: is one of them sorted or turned?"
_FAINT_MASS = np.array([[0.66, 1e-13]])
_SUMS_2_1 = np.array([[0.5, 0.5], [1.0, 0], [0.5, 0], [0, 0.5]])
_FOUR_ROWS = np.array([[0.6, 0.4], [0.55, 0.45], [0.7, 0.3], [0.9, 0.1]])

class_factors = Exercise(
    "3.5",
    "class_factors",
    "class mass normalisation",
    why="What you know about the class fractions can repair what the graph alone gets wrong.",
    observe=_array("the result"),
    cases=[
        Case("for the masses 2 and 1 and the prior (.7, .3)", (_SUMS_2_1, _prior(7, 3)), [1.05, 0.9]),
        Case("for the masses 1 and 3, whole numbers, and the prior (.5, .5)", (np.array([[1, 3]]), _prior(1, 1)), [2, 2 / 3]),
        Case("for four images and equal priors", (_FOUR_ROWS, _prior(1, 1)), [2 / 2.75, 2 / 1.25]),
        Case("for a class that has no mass", (np.array([[1.0, 0, 3], [2, 0, 2]]), _prior(1, 1, 2)), [2 / 3, 1, 0.8]),
        Case("over the right one, for the masses .66 and 1e-13", (_FAINT_MASS, _prior(1, 1)), [1, 1], {"over": np.array([0.5, 0.33e13])}),
        Case("for the masses 3 and 1 and the prior (.75, .25)", (np.array([[3.0, 1.0]]), _prior(3, 1)), [1, 1]),
        Case("for the masses 3 and 1 and the prior (1, 0)", (np.array([[3.0, 1.0]]), _prior(1, 0)), [4 / 3, 0]),
        Case("for the masses 2 and 0 and the prior (1, 0)", (np.array([[1.5, 0], [0.5, 0]]), _prior(1, 0)), [1, 1]),
    ],
    mistakes={
        "the rows are normalised first: sum the masses as they are": _cmn(fraction=lambda m: _rows_rescaled(m).sum(0) / m.any(1).sum()),
        "the sum of all masses is missing: divide by the fraction of the class, not by its mass": _cmn(fraction=lambda m: m.sum(0)),
        "the factor is upside down: prior over fraction": _cmn(factor=lambda prior, got: got / prior),
        "the mean over the images is taken for the fraction: divide by the sum of all masses": _cmn(fraction=lambda m: m.mean(0)),
        "prior and fraction are multiplied: divide": _cmn(factor=lambda prior, got: prior * got),
        "these are the fractions that arrived: the factors are prior / fraction": _cmn(factor=lambda prior, got: got),
        "this is the prior: divide it by the fraction that arrived": _cmn(factor=lambda prior, got: prior),
        "the prior is ignored: prior / fraction": _each(_cmn, "factor", lambda prior, got: 1 / got, lambda prior, got: 1 / len(got) / got),
        "the factors are divided by their sum: leave them as they are": _cmn(finish=lambda f, m, prior: f / f.sum()),
        "the factors are divided by the largest of them, or cut off: leave them as they are": (
            _cmn(finish=lambda f, m, prior: f / f.max()),
            *(_cmn(finish=lambda f, m, prior, top=top: np.minimum(f, top)) for top in (1, 10, 100)),
        ),
        "the root of the factors is taken: leave them as they are": _cmn(factor=lambda prior, got: np.sqrt(prior / got)),
        "the factors are multiplied into the masses already: return the factors alone": _cmn(finish=lambda f, m, prior: m * f),
        "most probable classes are counted: sum the masses": _cmn(fraction=lambda m: np.eye(m.shape[1])[m.argmax(1)].mean(0)),
        "the fraction is subtracted from the prior: divide": _cmn(factor=lambda prior, got: prior - got),
        TURNED: _each(_cmn, "factor", lambda prior, got: prior[::-1] / got, lambda prior, got: np.sort(prior) / got),
        "one factor for each class, not for each image: sum over the images, axis=0": lambda m, prior: m.sum() / _safe(m.sum(1)),
        "with a class that has no mass a factor is nan or infinite: it has the factor 1": _cmn(nothing=lambda got: got < 0),
        "something tiny is added to a mass of 0 or put in its place: a class without mass has the factor 1": (
            *(_cmn(fraction=lambda m, tiny=tiny: np.maximum(m.sum(0) / m.sum(), tiny)) for tiny in (1e-3, 1e-12)),
            *(_cmn(fraction=lambda m, tiny=tiny: m.sum(0) / m.sum() + tiny) for tiny in (1e-9, 1e-12)),
        ),
        "a class without mass gets the factor 0: it has the factor 1": _cmn(instead=lambda prior: 0.0),
        "a class without mass gets its prior as the factor: it has the factor 1": _cmn(instead=lambda prior: prior),
        "a class without mass is left out: one factor for each class, 1 for this one": _cmn(finish=lambda f, m, prior: f[m.any(0)]),
        "the prior is rescaled to classes with mass: leave it": _cmn(finish=lambda f, m, p: np.where(m.any(0), f / p[m.any(0)].sum(), f)),
        "one class has no mass, and all have the factor 1: class by class": _cmn(nothing=lambda got: (got == 0).any() | (got == 0)),
        "a class with little mass gets too small a factor: 1 is for a mass of exactly 0 (no tolerance, no maximum)": (
            *_each(_cmn, "nothing", lambda got: got <= 1e-3, lambda got: got <= 1e-12, lambda got: np.isclose(got, 0)),
            _cmn(factor=lambda prior, got: prior / np.maximum(got, 1e-3)),
            *(_cmn(factor=lambda prior, got, tiny=tiny: prior / (got + tiny)) for tiny in (1e-9, 1e-12)),
        ),
        "where the prior is 0 the factor is 0, unless the class has no mass": _cmn(finish=lambda f, m, prior: np.where(prior > 0, f, 1)),
        "with masses of whole numbers the factors are cut off: make a float array for them": _whole_factors,
        TOO_COARSE: _cmn(fraction=lambda m: m.astype("float16").sum(0).astype(float) / m.sum()),
        FLOAT32: _cmn(fraction=lambda m: m.astype("float32").sum(0) / m.sum()),
        "the factors are rounded: leave them as they are": _cmn(finish=lambda f, m, prior: f.round(3)),
    },
    errors={"broadcast": "sum the masses over the images, axis=0: one number for each class"},
    battery={
        **none("sums and a quotient: no labels, no network, no gradient, no loop"),
        "one": [Case("for one image", (np.array([[0.2, 0.5, 0.1]]), _prior(1, 2, 3)))],
        "classes": [
            Case("for two classes", (_random_masses(1, 7, 2), _prior(1, 4))),
            Case("for ten classes, the last one without mass", (_random_masses(2, 9, 10) * (np.arange(10) < 9), _prior(*range(1, 11)))),
        ],
        "uneven": [Case("for masses of which class 0 has most", (_random_masses(3, 12, 4) ** 2, _prior(4, 3, 2, 1)))],
        "extremes": [
            Case("for masses in the hundreds", (300 * _random_masses(4, 7, 3), _prior(1, 2, 3))),
            Case("for masses of about 1e-9", (1e-9 * _random_masses(5, 7, 3), _prior(1, 2, 3))),
            Case("for a mass of 1e-46 beside one of 1", (np.array([[1.0, 1e-46]]), np.array([1 - 1e-9, 1e-9]))),
        ],
        "sizes": [Case("for 5000 images", (_random_masses(6, 5000, 3), _prior(1, 2, 3)))],
        "ties": [Case("for fractions of 1e-4 and 1e-6", (np.array([[1.0, 1e-4, 1e-6], [2.0, 2e-4, 2e-6]]), _prior(1, 1, 1)))],
        "layout": [
            _apart("for masses and a prior that are not contiguous", _random_masses(7, 7, 3), _prior(3, 1, 2)),
            Case("for masses in Fortran order", (np.asfortranarray(_random_masses(8, 7, 3)), _prior(3, 1, 2))),
        ],
        "ends": [Case("for a prior of .005", (_random_masses(9, 7, 3), np.array([0.005, 0.9, 0.095])))],
    },
)


# ------------------------------------------------------------------------------------------------------- 3.6 induction


def _near(d, gamma):
    return np.exp(-gamma * d * d)


@slips
def _ask(weight=_near, rows=_as_it_is, hear="mk,mkc->mc", nodes=_as_it_is, finish=lambda h, t, f, w: np.where(t == 0, f, h / t)):
    """`finish` makes the result of what is heard, its sums, the fallback and the weights."""

    def answer(distances, neighbours, masses, gamma, fallback):
        with np.errstate(all="ignore"):
            w = weight(distances, gamma)
            heard = np.einsum(hear, w, rows(masses)[nodes(neighbours, distances)])
            return finish(heard, heard.sum(1, keepdims=True), fallback, w)

    return answer


def _silent(where):
    """The fallback is for rows that `where` tells from what is heard, its sums and the weights."""
    return _ask(finish=lambda h, t, f, w: np.where(where(h, t, w), f, h / _safe(t)))


def _one(node):
    return _ask(nodes=node, hear="mk,mlc->mc", weight=lambda d, g: np.eye(d.shape[1])[[0] * len(d)])


def _shifted(d, gamma):
    return np.exp(-gamma * (d**2 - d.min(1, keepdims=True) ** 2))


WHATEVER = "the rows do not sum to 1: every row that hears something is divided by its sum, whatever {} holds"
NOT_TOGETHER = "weights and neighbours do not belong together: is one of them turned or sorted?"
SOFTMAX = "a softmax is applied: divide by the sum"
TOLERANCE = "an image that hears little, but not nothing, gets the fallback: compare with > 0, without a tolerance"
_MASSES = np.array([[0.8, 0.2], [0.1, 0.9], [0.5, 0.1], [0, 0]])
_NEW = np.array([[0.0, 1.0, 0.5], [2.0, 0.5, 1.0]]), np.array([[0, 1, 2], [1, 2, 0]])
_E5, _E125, _E2 = np.exp([-0.5, -0.125, -2.0])
_HEARD = np.array([[1, _E5, _E125, 0], [_E5, _E2, _E125, 0]])  # the weights of the four nodes
_THREE = np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 1], [1, 1, 1], [0, 0, 5]])


def _to(distances, neighbours, gamma, masses=_MASSES, fallback=(0.9, 0.1)):
    return np.array(distances), np.array(neighbours), masses, gamma, np.array(fallback)


def _asked(seed, m, k, n, num_classes, gamma, high=2.0):
    """Random distances up to `high` to k of n nodes, for m new images; every seventh node has no mass."""
    F = _random_masses(seed, n, num_classes) + 0.1
    F[::7] = 0
    near = (np.arange(m)[:, None] * 11 + np.arange(k) * 13) % n
    return _points(seed + 1, m, k, low=0, high=high), near, F, gamma, _prior(*range(1, num_classes + 1))


predict_new = Exercise(
    "3.6",
    "predict_new",
    "ask the neighbours",
    why="A graph knows only its own nodes; with this it can answer for images that come tomorrow.",
    observe=_array("the result"),
    cases=[
        Case("for two new images", _to(*_NEW, 0.5), _rows_rescaled(_HEARD @ _MASSES)),
        Case("for gamma = 0, where all neighbours count alike", _to(*_NEW, 0.0), [[7 / 13, 6 / 13]] * 2),
        Case("where one of two images hears nothing", _to([[1.0], [1.0]], [[3], [0]], 0.5), [[0.9, 0.1], [0.8, 0.2]]),
        Case("for an image whose weights are all zero", _to([[1e3, 1e3]], [[0, 1]], 0.5), [[0.9, 0.1]]),
        Case("for an image with one weight that is zero and one that is not", _to([[1.0, 1e3]], [[0, 1]], 0.5), [[0.8, 0.2]]),
        Case("for two images that hear little", _to([[5.5, 5.6], [7.6, 7.7]], [[0, 3], [0, 3]], 1.0), [[0.8, 0.2]] * 2),
        Case(
            "for one neighbour and three classes",
            _to([[0.3], [0.1], [0.2]], [[1], [3], [4]], 2.0, _THREE, (0.5, 0.5, 0)),
            [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]],
        ),
    ],
    mistakes={
        "the distances are not squared: exp(-gamma * distance²)": _ask(weight=lambda d, g: np.exp(-g * d)),
        "the sign is wrong: what is far must count less, exp(-gamma * ...)": _ask(weight=lambda d, g: np.exp(g * d**2)),
        "gamma is ignored": _ask(weight=lambda d, g: np.exp(-(d**2))),
        "gamma divides: it multiplies the squared distance": _ask(weight=lambda d, g: np.exp(-(d**2) / g)),
        "gamma is used as a width sigma: it multiplies the squared distance": _ask(weight=lambda d, g: np.exp(-(d**2) / (2 * g**2))),
        LIMITED: tuple(_ask(weight=lambda d, g, a=a, b=b: _near(d, np.clip(g, a, b))) for a, b in ((0, 1), (0, 10), (0.01, 1e9))),
        "all neighbours count alike: weigh them": (
            _ask(weight=lambda d, g: np.ones_like(d)),
            _ask(weight=lambda d, g: np.ones_like(d), finish=lambda h, t, f, w: h / w.shape[1]),
        ),
        "the distances serve as weights: what is far must count less": _each(_ask, "weight", lambda d, g: d, lambda d, g: d**2),
        "1 / distance is the weight: take exp(-gamma * d²)": _each(_ask, "weight", lambda d, g: 1 / (d + 1e-9), lambda d, g: 1 / (1 + d)),
        "the rows do not sum to 1: divide each by its sum": (
            *_each(_ask, "finish", lambda h, t, f, w: h, lambda h, t, f, w: h / w.shape[1]),
            _ask(finish=lambda h, t, f, w: np.where(t > 0, h / t.sum(), f)),
        ),
        "divided by the sum of the weights, the rows need not sum to 1: divide by the row's own sum": (
            _ask(finish=lambda h, t, f, w: h / w.sum(1, keepdims=True)),
            _ask(finish=lambda h, t, f, w: np.where(t > 0, h / w.sum(1, keepdims=True), f)),
        ),
        "divided by the sum over the images: each row by its own sum, axis=1": _ask(finish=lambda h, t, f, w: h / h.sum(0)),
        "each neighbour votes for its most probable class: add its row of masses instead": (
            _ask(rows=lambda F: np.eye(F.shape[1])[F.argmax(1)]),
            _ask(rows=lambda F: np.eye(F.shape[1])[F.argmax(1)], weight=lambda d, g: np.ones_like(d)),
        ),
        "these are classes: probabilities of all classes are wanted, (M, num_classes)": _ask(finish=lambda h, t, f, w: h.argmax(1)),
        "the most probable class gets all: all probabilities are wanted": _ask(finish=lambda h, t, f, w: np.where(t == 0, f, _one_hot(h))),
        "the rows of masses are normalised first: take them as they are, and divide at the end": _ask(rows=_rows_rescaled),
        NOT_TOGETHER: _each(_ask, "weight", lambda d, g: _near(d[:, ::-1], g), lambda d, g: _near(np.sort(d), g)),
        "the masses are those of the first nodes: masses[neighbours]": _ask(nodes=lambda n, d: np.arange(n.size).reshape(n.shape) % 4),
        "only the first neighbour is asked": (_one(lambda n, d: n[:, :1]), lambda d, n, F, gamma, fallback: F[n[:, 0]]),
        "only the nearest neighbour is asked": _one(lambda n, d: np.take_along_axis(n, d.argmin(1)[:, None], 1)),
        "summed over the classes: sum over the neighbours, axis 1 of (M, k, num_classes)": _ask(hear="mk,mkc->mk", finish=_rows_rescaled),
        "each image gets the fallback: it is for rows where nothing was heard": _silent(lambda h, t, w: t >= 0),
        "the fallback is mixed into every row: it is for rows where nothing was heard": _ask(finish=lambda h, t, f, w: (h + f) / (t + 1)),
        SOFTMAX: _each(_ask, "finish", lambda h, t, f, w: _rows_rescaled(np.exp(h / t)), lambda h, t, f, w: _rows_rescaled(np.exp(h))),
        "where an image hears nothing the result is nan: that row is `fallback`": _ask(finish=lambda h, t, f, w: h / t),
        "an image that hears nothing gets zeros: its row is `fallback`": _ask(finish=lambda h, t, f, w: h / _safe(t)),
        "images that hear nothing get equal fractions, not `fallback`": _ask(finish=lambda h, t, f, w: np.where(t > 0, h / t, 1 / len(f))),
        "one image hears nothing, and all get the fallback: row by row": _silent(lambda h, t, w: (t == 0).any()),
        "the weights of a row are scaled by the largest, so that none is zero: exp(-gamma * distance²) as it is": _ask(weight=_shifted),
        "one weight is 0 and the row gets the fallback: only if its sum is 0": _silent(lambda h, t, w: (w.min(1) == 0)[:, None] | (t == 0)),
        "if the neighbours have no mass the row is `fallback`, whatever the weights are": _silent(lambda h, t, w: (w.max(1) == 0)[:, None]),
        "one class hears nothing, and the row gets the fallback: only if its sum is 0": _silent(lambda h, t, w: (h.min(1) == 0)[:, None]),
        "a class that hears nothing gets fallback's number: whole rows only": _ask(finish=lambda h, t, f, w: np.where(h == 0, f, h / t)),
        TOLERANCE: tuple(map(_silent, (lambda h, t, w: t <= 1e-3, lambda h, t, w: t <= 1e-12, lambda h, t, w: np.isclose(t, 0)))),
        "where an image hears little the row does not sum to 1: divide by the total itself, nothing added to it": (
            _ask(finish=lambda h, t, f, w: np.where(t > 0, h / (t + 1e-8), f)),
            _ask(finish=lambda h, t, f, w: np.where(t > 0, h / (t + 1e-12), f)),
            _ask(finish=lambda h, t, f, w: np.where(t > 0, h / np.maximum(t, 1e-8), f)),
        ),
        WHATEVER.format("`fallback`"): _ask(finish=lambda h, t, f, w: np.where(t > 0, h / np.where(f > 0, t, 1), f)),
        WHATEVER.format("gamma"): _ask(finish=lambda h, t, f, w: np.where(t == 0, f, h / np.where(w.min(1, keepdims=True) < 1, t, 1))),
        TOO_COARSE: _ask(weight=lambda d, g: _near(d, g).astype("float16")),
        FLOAT32: _ask(weight=lambda d, g: _near(d, g).astype("float32")),
        "the probabilities are rounded: leave them as they are": _ask(finish=lambda h, t, f, w: np.where(t == 0, f, (h / t).round(3))),
    },
    errors={"broadcast": "weights[:, :, None] has the shape (M, k, 1), masses[neighbours] (M, k, num_classes)"},
    battery={
        **none("masses and distances come in: no labels, no network, no gradient, no loop"),
        "one": [
            Case("for one image and one neighbour", _asked(1, 1, 1, 4, 3, 0.6)),
            Case("for one image and five neighbours", _asked(3, 1, 5, 8, 3, 0.6)),
        ],
        "classes": [
            Case("for two classes", _asked(5, 4, 3, 9, 2, 1.3)),
            Case("for ten classes", _asked(7, 4, 3, 9, 10, 1.3)),
            Case("for three classes, the last one without mass", _to(*_NEW, 0.5, np.pad(_MASSES, ((0, 0), (0, 1))), _prior(2, 1, 1))),
        ],
        "extremes": [
            Case(
                "for distances of 90, 120 and 300",
                _to([[90.0, 1, 120], [90, 120, 300], [0.5, 300, 1]], [[0, 1, 2]] * 3, 1.0, 300 * _MASSES),
            )
        ],
        "sizes": [Case("for 2100 images and a graph of 3000", _asked(9, 2100, 5, 3000, 3, 0.8))],
        "ties": [
            Case("for totals of about 1e-4, 1e-6 and 1e-9", _to([[3.0, 3.1], [3.7, 3.8], [4.5, 4.6]], [[0, 1]] * 3, 1.0)),
            Case("for a total of about 1e-60", _to([[11.8, 11.9]], [[0, 1]], 1.0)),
        ],
        "layout": [_apart("for inputs that are not contiguous", *_asked(11, 4, 3, 9, 3, 0.9))],
        "ends": [
            Case("for gamma 20", _asked(13, 4, 3, 9, 3, 20.0, high=0.4)),
            Case("for gamma .005", _asked(15, 4, 3, 9, 3, 0.005, high=20.0)),
        ],
    },
)


# ------------------------------------------------------------------------------------------------ 3.7 a second opinion


def _mask(function, label, mask, index, opinion):
    """Observe the mask: a new tensor."""
    seen = returns(Part("the mask", "float tensor"))(function, label, mask, index, opinion)
    if isinstance(seen["the mask"], torch.Tensor) and seen["the mask"].data_ptr() == mask.data_ptr():
        seen["the tensor"] = Fix("where the graph says the same everywhere it returns `mask` itself: return a new tensor")
    return seen


@slips
def _both(
    label=lambda y, i: y, sure=lambda m, i: m, of_image=lambda y, i, o: o[i], agrees=torch.eq, combine=lambda m, agree: m * agree.float()
):
    return lambda y, m, i, o: combine(sure(m, i), agrees(of_image(y, i, o), label(y, i)))


def _voted(seed, batch, pool, num_classes, absent=()):
    """(labels, mask, index, opinion); the graph agrees with about half of the labels, and has no opinion on every fifth image."""
    opinion = classes(seed, pool, num_classes, absent)
    index = torch.from_numpy(np.random.RandomState(seed).permutation(pool)[:batch])
    label = torch.where(classes(seed + 1, batch, 2) == 1, classes(seed + 2, batch, num_classes, absent), opinion[index])
    return label, 1 - (torch.arange(batch) % 4 == 1).float(), index, torch.where(torch.arange(pool) % 5 == 2, -1, opinion)


def _of(label, index, opinion=(2, 1, -1, 0, 1, 2, 0, 0, 0, 2, 1, 1), mask=None):
    return torch.tensor(label), torch.ones(len(label)) if mask is None else mask, torch.tensor(index), torch.tensor(opinion)


_TEN = [1, 2, 0, 0, 1, 2, 2, 0, 0, 1], [4, 0, 2, 10, 1, 5, 7, 6, 3, 11]
_SURE = (torch.arange(10) > 0).float()
ANYWHERE = "agreement anywhere in the batch is enough: compare each pseudo-label with the opinion on that image, =="
LOST_ZERO = "class 0 is a class, too: what is not -1 is an opinion, and 0 may be the pseudo-label"
NO_OPINION = "where the graph has no opinion (-1) the pseudo-label is kept: then it does not agree"
NONE_SHARED = "where the graph shares no pseudo-label the mask comes back as it is: all of it must be 0"
REMOVED = "the masked-out images are removed: one number for each of the B images"
NARROW = "positions in the pool do not fit into bytes or half precision: leave index as int64"

second_opinion = Exercise(
    "3.7",
    "second_opinion",
    "a second opinion",
    why="Two methods that go wrong in different ways make a good filter: believe what both say.",
    observe=_mask,
    cases=[
        Case("of ten images", _of(*_TEN, mask=_SURE), [0, 1, 0, 0, 1, 1, 0, 1, 1, 1]),
        Case("when the network is sure of nothing", _of(*_TEN, mask=torch.zeros(10)), torch.zeros(10)),
        Case("of one image", _of([2], [5]), [1]),
        Case("of three images of which the graph says something else", _of([1, 1, 1], [0, 3, 2]), [0, 0, 0]),
        Case("when the graph has no opinion at all", _of(*_TEN, opinion=[-1] * 12), torch.zeros(10)),
        Case("when the graph says the same everywhere, also of the last image", _of([2, 1, 1], [0, 1, 11]), [1, 1, 1]),
    ],
    mistakes={
        "the graph is not asked": lambda y, m, i, o: m.clone(),
        ANYWHERE: (lambda y, m, i, o: m * torch.isin(y, o[i]), lambda y, m, i, o: m * (o[i] == y).any()),
        "the network's mask is lost: both conditions must hold": _both(sure=lambda m, i: torch.ones_like(m)),
        "the opinions are those of the pool's first B images: opinion[index]": _both(of_image=lambda y, i, o: o[: len(y)]),
        "the pseudo-labels where the graph DISAGREES are kept": _both(agrees=torch.ne),
        "one condition is enough for it: both must hold": _both(combine=torch.maximum),
        "the conditions are added: both must hold, so multiply": _both(combine=lambda m, a: m + a),
        NO_OPINION: _each(_both, "agrees", lambda o, y: (o == y) | (o == -1), lambda o, y: o.clamp(min=0) == y),
        "it keeps what the graph has any opinion on: that opinion must be the pseudo-label": _both(agrees=lambda o, y: o >= 0),
        "the opinion is looked up by pseudo-label: look it up by index": _both(of_image=lambda y, i, o: o[y]),
        "pseudo-label and index are exchanged: opinion[index] is compared with the pseudo-label": lambda y, m, i, o: m * (o[y] == i),
        "the pseudo-labels are looked up by index: they are in the order of the batch already": _both(label=lambda y, i: y[i % len(y)]),
        "the mask is looked up by index: it is in the order of the batch already": _both(sure=lambda m, i: m[i % len(m)]),
        "a pseudo-label that the graph does not share gets -1: it gets 0": _both(combine=lambda m, a: m * (2.0 * a - 1)),
        "a pseudo-label that the graph does not share counts half: it gets 0": _both(combine=lambda m, a: m * (1.0 + a) / 2),
        "the conditions are averaged: both must hold, so multiply": _both(combine=lambda m, a: (m + a) / 2),
        LOST_ZERO: (_both(agrees=lambda o, y: (o == y) & (o > 0)), _both(agrees=lambda o, y: o * y > 0)),
        "it keeps what the graph has an opinion above 0 on: compare it with the pseudo-label": _both(agrees=lambda o, y: o > 0),
        "a higher class number counts as agreement: the same class is wanted, ==": _both(agrees=torch.ge),
        "a lower class number counts as agreement: the same class is wanted, ==": _both(agrees=torch.le),
        "the next class counts as agreement: the same class is wanted, ==": _both(agrees=lambda o, y: (o - y).abs() <= 1),
        "the pseudo-labels are turned round: they are in the order of the batch": _both(label=lambda y, i: y.flip(0)),
        "the mask is turned round: it is in the order of the batch": _both(sure=lambda m, i: m.flip(0)),
        "the index is turned round: entry b says where image b of the batch is": _both(of_image=lambda y, i, o: o[i.flip(0)]),
        "the index is sorted: entry b says where image b of the batch is": _both(of_image=lambda y, i, o: o[i.sort().values]),
        "the opinion is that of the image before: index counts from 0": _both(of_image=lambda y, i, o: o[i - 1]),
        "the last image of the pool is left out": lambda y, m, i, o: m * ((o[i] == y) & (i < len(o) - 1)),
        "these are class numbers: a mask of zeros and ones is wanted": lambda y, m, i, o: m * ((o[i] == y) * y),
        "these are the pseudo-labels that the network is sure of: a mask of zeros and ones is wanted": lambda y, m, i, o: m * y,
        "the mask is multiplied by the class number: compare it with the pseudo-label": lambda y, m, i, o: m * o[i],
        REMOVED: (_both(combine=lambda m, a: a[m > 0].float()), _both(combine=lambda m, a: torch.ones(int((m * a).sum())))),
        "positions are returned: a mask of zeros and ones is wanted": _both(combine=lambda m, a: (m * a).nonzero()[:, 0]),
        NONE_SHARED: _both(combine=lambda m, a: m * a if (m * a).any() else m.clone()),
        "an image that is twice in the batch has one answer only: compare within the batch": (
            lambda y, m, i, o: m * (torch.full_like(o, -2).index_put((i,), y) == o)[i].float(),
        ),
        NARROW: _each(_both, "of_image", lambda y, i, o: o[i % 256], lambda y, i, o: o[i.half().long().clamp(max=len(o) - 1)]),
    },
    errors={
        "must match the size": "opinion is about the whole pool: opinion[index] is about this batch",
        "non-negative": "where the graph has no opinion it says -1, which one_hot does not take: compare with ==",
    },
    battery={
        **none("class numbers are compared: nothing is computed from them, and nothing has a gradient"),
        "one": [Case(f"for one image and a pool of one, of class {c}", _of([0], [0], [c])) for c in (0, 1, -1)],
        "classes": [
            Case("for two classes", _voted(1, 9, 20, 2)),
            Case("for ten classes, the last one absent", _voted(4, 30, 40, 10, absent=(9,))),
            Case("for the last three of ten classes", _voted(19, 30, 40, 10, absent=range(7))),
        ],
        "uneven": [Case("for pseudo-labels of which most are class 0", _voted(7, 30, 40, 4))],
        "sizes": [
            Case("for 2100 images of a pool of 5000", _voted(10, 2100, 5000, 7)),
            Case("for classes 255, 2048 and 2049", _of([255, 2048, 1], [0, 1, 2], opinion=[-1, 2049, 1])),
        ],
        "layout": [
            Case("for inputs that are not contiguous", tuple(map(scattered, _voted(13, 9, 20, 3)))),
            Case("for a mask of float64", _of(*_TEN, mask=_SURE.double())),
        ],
        "ends": [
            Case("for a batch that is the whole pool", _voted(16, 20, 20, 3)),
            Case("for images that are twice in the batch", _of([0, 2, 2, 0, 1], [3, 3, 5, 5, 1])),
            Case("when the graph shares one pseudo-label of ten", _of([0, 2, 0, 2, 0, 0, 1, 1, 1, 2], _TEN[1])),
        ],
    },
)
