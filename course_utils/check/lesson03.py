"""Checks of lesson 03: label propagation."""

import tracemalloc

import numpy as np
import torch
from scipy import sparse

from course_utils.check.core import Fix, exercise, expect

NOT_SYMMETRIC = "the result is not symmetric"
SELF_FOUND = "each point has found itself: make the diagonal of the distances infinite before you sort"

HIGHER = "a higher class number counts as agreement: the graph must say the same as the guess, =="
LOST_ZERO = "class 0 is a class, too: what is not -1 is an opinion, and 0 may be the guess"
FINITE = "a point has found itself: the diagonal of the distances must be larger than every distance, so take np.inf"
TWIN_FIRST = "the first of each row is taken for the point itself, but its twin may stand there: make the diagonal infinite"
NO_TWIN = "two points at the same place do not find each other: make the diagonal infinite, and not every distance 0"


def chain(n: int) -> np.ndarray:
    """The weights of n points in a row, each joined to the next."""
    return np.eye(n, k=1) + np.eye(n, k=-1)


def expect_array(result, what: str) -> None:
    """Raise Fix for anything that later cells could not use as an array."""
    if sparse.issparse(result):
        raise Fix(f"{what} is sparse: a numpy array is wanted, .toarray() makes one")
    if not isinstance(result, np.ndarray):
        raise Fix(f"{what} must be a numpy array, but is {type(result).__name__}")


def on_sparse(student, W: np.ndarray, *rest):
    """The student's answer for a sparse W, which must come out unchanged."""
    weights = sparse.csr_array(W)
    try:
        result = student(weights, *rest)
    except Fix as error:
        raise Fix(f"for a sparse W {error}: use W.sum(axis=1) and W @ ..., and nothing else of W") from None
    if sparse.issparse(result):
        raise Fix("for a sparse W the result is sparse: W @ F is an ordinary array, if F is one")
    if not np.array_equal(weights.toarray(), W):
        raise Fix("it changes its input W when that is sparse: divide W @ F, not W")
    return result


def expect_small(student, *rest, n: int = 1000) -> None:
    """Raise Fix if the student's function makes an array of all pairs of a sparse W's n images."""
    weights = sparse.diags_array([np.ones(n - 1)] * 2, offsets=[-1, 1], format="csr")
    tracemalloc.start()
    try:
        student(weights, np.eye(n, 2), *rest)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if peak > 4 * n * n:  # half of what such an array needs
        raise Fix(
            "for a sparse W it makes an array of N x N numbers (toarray, np.diag, np.outer?), too large for a whole pool: "
            "use W.sum(axis=1) and W @ ..., and scale rows"
        )


def equal(result, value) -> bool:
    """Whether a result is this value, for probes that come before the cases themselves."""
    result, value = np.asarray(result), np.asarray(value)
    return result.shape == value.shape and bool(np.allclose(result, value, atol=1e-4))


def joined(distances: np.ndarray) -> np.ndarray:
    """The graph that joins each point with the one that these distances say is nearest."""
    graph = np.zeros(distances.shape)
    for i, row in enumerate(distances):
        j = min((far, j) for j, far in enumerate(row) if j != i)[1]
        graph[i, j] = graph[j, i] = 1
    return graph


NO_EDGE = "weak edges count as none (> 1e-6, isclose?), or something is added to the degree: only a degree of 0 is replaced"
BELOW_ONE = "a degree below 1 is replaced by 1 (np.maximum?): only a degree of 0 may be"
ONE_STEP_LESS = "it takes one step too few: num_steps steps, range(num_steps)"


def without_nan(result, what: str) -> None:
    if not np.isfinite(np.asarray(result, dtype=float)).all():
        raise Fix(f"{what} holds nan or infinite values: where the degree is 0, do not divide by it")


@exercise("3.1", "the Gaussian affinity")
def _(student):
    x = np.array([[0, 0], [0.5, 0.5], [1.5, 0]])  # squared distances .5, 2.25 and 1.25
    squared = np.array([[0, 0.5, 2.25], [0.5, 0, 1.25], [2.25, 1.25, 0]])
    off = 1 - np.eye(3)
    right = np.exp(-0.6 * squared) * off
    taxi, largest = (
        np.array([[0, 1, 1.5], [1, 0, 1.5], [1.5, 1.5, 0]]),
        np.array([[0, 0.5, 1.5], [0.5, 0, 1], [1.5, 1, 0]]),
    )
    result = student(x, 0.6)
    expect(
        result,
        right,
        "W for the points (0, 0), (.5, .5), (1.5, 0) and gamma .6",
        wrong=[
            (np.exp(-0.6 * squared), "the diagonal is 1: a point is no neighbour of its own, set it to 0"),
            (np.exp(-0.6 * squared**0.5) * off, "the distance is not squared: leave out the square root"),
            (np.exp(-0.6 * squared**0.5), "the distance is not squared, and the diagonal is not 0"),
            (np.exp(0.6 * squared) * off, "the sign is wrong: far points must get small weights, exp(-gamma * ...)"),
            (np.exp(0.6 * squared), "the sign is wrong: far points must get small weights, exp(-gamma * ...)"),
            (np.exp(-squared) * off, "gamma is ignored"),
            (np.exp(-squared / 0.6) * off, "gamma divides: it multiplies the squared distance"),
            (
                np.exp(-squared / (2 * 0.6**2)) * off,
                "gamma is used as a width sigma: here it multiplies, exp(-gamma * d²)",
            ),
            (np.exp(-squared / 1.2) * off, "gamma divides: it multiplies the squared distance"),
            (np.exp(-0.6 * squared / 2) * off, "the squares are averaged over the coordinates: sum them"),
            (np.exp(-0.6 * taxi) * off, "absolute differences are summed: square them instead"),
            (np.exp(-0.6 * taxi**2) * off, "the sum is squared: square each coordinate's difference, then sum"),
            (np.exp(-0.6 * largest**2) * off, "only one coordinate counts: sum the squares over all of them"),
            (
                np.exp(-0.6 * (x.sum(1)[:, None] - x.sum(1)) ** 2) * off,
                "the differences are summed before they are squared: square each one, then sum",
            ),
            (np.exp(-(0.6**2) * squared) * off, "gamma is squared, too: only the distance is"),
            (np.triu(right), "only the upper triangle is filled: W[j, i] is W[i, j]"),
            (np.tril(right), "only the lower triangle is filled: W[j, i] is W[i, j]"),
            (squared, "these are the squared distances: the exponential is missing"),
            (-0.6 * squared, "the exponential is missing"),
            (np.exp(-0.6 * squared) - 1, "1 is subtracted everywhere: only the diagonal becomes 0"),
            (right / right.sum(1, keepdims=True), "the rows are normalised: that belongs to the next step"),
            (right.sum(1), "the weights are summed over each row: one weight for each pair, (N, N)"),
        ],
    )
    expect_array(result, "W")
    deep = np.array([[0.0, 0, 0], [0, 0, 1], [0.5, 0, 1]])  # squared distances 1, 1.25 and .25
    apart = np.array([[0, 1, 1.25], [1, 0, 0.25], [1.25, 0.25, 0]])
    flat = np.array([[0, 0, 0.25], [0, 0, 0.25], [0.25, 0.25, 0]])
    expect(
        student(deep, 1.0),
        np.exp(-apart) * off,
        "W for three points with three coordinates",
        wrong=[(np.exp(-flat) * off, "only the first two coordinates count: sum the squares over all of them")],
    )
    expect(student(np.array([[2.0, 3.0]]), 1.0), np.zeros((1, 1)), "W of a single point")
    line = np.arange(5.0)[:, None]
    wide = student(line, 1.0)
    expect(wide, np.exp(-((line - line.T) ** 2)) * (1 - np.eye(5)), "W of five points on a line")
    same = student(np.zeros((2, 3)), 5.0)
    expect(
        same,
        1 - np.eye(2),
        "W of two points at the same place",
        wrong=[
            (
                np.zeros((2, 2)),
                "two points at the same place get weight 0: only the diagonal is 0, not every distance 0",
            )
        ],
    )
    shift = student(np.array([[1000.0, 0], [1001.0, 1]]), 0.5)
    expect(shift, np.exp(-1.0) * (1 - np.eye(2)), "W of two points far from the origin")


@exercise("3.2", "the neighbour graph")
def _(student):
    x = np.array([[0.0], [1], [3], [7], [15]])  # one neighbour: 0-1, 1-0, 2-1, 3-2, 4-3
    chosen = np.array([[0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]])
    either = np.maximum(chosen, chosen.T)
    d = np.abs(x - x.T)
    wrong = [
        (chosen, f"{NOT_SYMMETRIC}: who is chosen must be joined with who chose, np.maximum(A, A.T)"),
        (chosen.T, f"{NOT_SYMMETRIC}: who is chosen must be joined with who chose, np.maximum(A, A.T)"),
        (chosen * chosen.T, "an edge needs both to choose each other: one of the two is enough"),
        (chosen + chosen.T, "mutual neighbours count twice: zeros and ones are wanted, np.maximum in place of +"),
        ((chosen + chosen.T) / 2, "the graph and its transpose are averaged: 1 where at least one chose the other"),
        (np.eye(5), SELF_FOUND),
        (np.maximum(either, np.eye(5)), "the diagonal is not 0: a point is no neighbour of its own"),
        (either * d, "these are distances: zeros and ones are wanted"),
        (1 - np.eye(5), "everybody is a neighbour of everybody: keep the k smallest distances of each row"),
    ]
    far = np.eye(5)[d.argmax(1)]
    wrong += [
        (np.maximum(far, far.T), "the farthest points are chosen: sort the distances upwards"),
        (far, "the farthest points are chosen: sort the distances upwards"),
    ]
    two = np.argsort(d + np.diag([np.inf] * 5), 1)[:, :2]
    more = np.zeros((5, 5))
    np.put_along_axis(more, two, 1, 1)
    wrong += [
        (np.maximum(more, more.T), "each point chose k + 1 others: one too many"),
        (more, "each point chose k + 1 others: one too many"),
    ]
    second = np.eye(5)[two[:, 1]]
    wrong.append((np.maximum(second, second.T), "the nearest is left out: with an infinite diagonal no point finds itself first"))
    columns = np.roll(np.eye(5), 1, axis=1)  # all points, ordered by the distance from point 0
    over_columns = "the distances are sorted down the columns: sort each row, axis=1"
    wrong += [(columns, over_columns), (np.maximum(columns, columns.T), over_columns)]
    twins = np.array([[0.0], [0.0], [5.0], [6.0]])
    result = student(x, 1)
    expect_array(result, "A")
    if equal(result, np.zeros((5, 5))):  # nobody has a neighbour; where two share a place, one of them finds the other
        if np.any(student(twins, 1)):
            raise Fix(SELF_FOUND)
        raise Fix("each point has one neighbour too few: the first k, not k - 1; up to the k-th distance, <= and not <")
    expect(result, either, "A for the points 0, 1, 3, 7, 15 on a line and k = 1", wrong=wrong)
    expect(
        student(x, 2),
        np.maximum(more, more.T),
        "A for the same points and k = 2",
        wrong=[
            (either, "with k = 2 it still chooses one neighbour: does a point count itself? or is k ignored?"),
            (more, f"{NOT_SYMMETRIC} for k = 2"),
            (
                np.maximum(np.eye(5)[two[:, 1]], np.eye(5)[two[:, 1]].T),
                "only the k-th neighbour is kept: keep the first k",
            ),
        ],
    )
    uneven = np.array([[0.0], [3], [5], [6.2]])
    expect(
        student(uneven, 1),
        chain(4),
        "A for the points 0, 3, 5, 6.2 on a line and k = 1",
        wrong=[
            (
                chain(4) * [[1, 1, 1, 1], [1, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 1]],
                "an edge is left out where a point has k edges already: each chooses k, and may be chosen besides",
            )
        ],
    )
    expect(
        student(np.array([[0.0], [1e10], [3e10]]), 1),
        chain(3),
        "A for the points 0, 1e10, 3e10 on a line",
        wrong=[
            (np.eye(3), FINITE),
            (np.maximum(chain(3), np.eye(3)), FINITE),
            (np.zeros((3, 3)), FINITE),
        ],
    )
    plane = np.array([[0.0, 0], [3, 0], [0, 2], [10, 10], [10, 11.5]])
    pairs = np.zeros((5, 5))
    for i, j in ((0, 2), (1, 0), (3, 4)):
        pairs[i, j] = pairs[j, i] = 1
    first = np.zeros((5, 5))
    for i, j in enumerate((2, 0, 0, 4, 3)):
        first[i, j] = 1
    expect(
        student(plane, 1),
        pairs,
        "A for five points in the plane",
        wrong=[(first, f"{NOT_SYMMETRIC}: who is chosen must be joined with who chose, np.maximum(A, A.T)")],
    )
    # Points 1 and 3 compete for point 0, points 6 and 8 for point 5; the others stand close to these four.
    near = [[0, 0], [2.9, 2.9], [3.1, 3.4], [0.2, -4.2], [-0.1, -4.6]]
    far = [[100, 100], [103, 103], [103.2, 103.5], [100.4, 96], [100.5, 95.6]]
    rivals = np.array(near + far)
    closest = np.zeros((10, 10))
    for i, j in ((0, 1), (1, 2), (3, 4), (5, 8), (6, 7), (8, 9)):
        closest[i, j] = closest[j, i] = 1
    apart = np.abs(rivals[:, None] - rivals)
    expect(
        student(rivals, 1),
        closest,
        "A for ten points in the plane",
        wrong=[
            (joined(apart[..., 0]), "only the first coordinate counts: the distance uses all of them"),
            (
                joined(apart.sum(axis=2)),
                "absolute differences are summed: the distance is Euclidean, sum their squares",
            ),
            (
                joined(apart.max(axis=2)),
                "only the largest difference counts, or the last coordinate: the distance is Euclidean",
            ),
        ],
    )
    deep = np.array([[0, 0, 0], [0, 0.1, 5], [0, 0.3, 0]])
    expect(
        student(deep, 1),
        np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]]),
        "A for three points with three coordinates",
        wrong=[(chain(3), "only the first two coordinates count: the distance uses all of them")],
    )
    found = student(twins, 1)
    right = np.zeros((4, 4))
    for i, j in ((0, 1), (2, 3)):
        right[i, j] = right[j, i] = 1
    expect(
        found,
        right,
        "A when two points lie at the same place",
        wrong=[
            (np.zeros((4, 4)), "no edges at all"),
            (np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]), TWIN_FIRST),
            (np.array([[0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]), TWIN_FIRST),
            (np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]), TWIN_FIRST),
            (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]), TWIN_FIRST),
            (np.array([[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]]), NO_TWIN),
        ],
    )
    expect(
        student(np.array([[0.0], [2.0]]), 1),
        1 - np.eye(2),
        "A of two points",
        wrong=[(np.eye(2), FINITE), ([[1, 1], [1, 0]], FINITE), ([[1, 1], [1, 1]], FINITE)],
    )


@exercise("3.3", "label propagation")
def _(student):
    uneven = np.array([[0, 2.0, 0], [2, 0, 1], [0, 1, 0]])
    Y3, known = np.array([[1.0, 0], [0, 0], [0, 1]]), np.array([True, False, True])
    W, ends = chain(4), np.array([True, False, False, True])
    Y = np.zeros((4, 2))
    Y[0, 0] = Y[3, 1] = 1
    one = np.array([[1, 0], [0.5, 0], [0, 0.5], [0, 1]])
    if equal(student(W, Y, ends, 1), Y) and equal(student(W, Y, ends, 2), one):
        raise Fix(ONE_STEP_LESS)
    expect(
        student(uneven, Y3, known, 1),
        [[1, 0], [2 / 3, 1 / 3], [0, 1]],
        "F of an image with edges of weight 2 and 1",
        wrong=[
            ([[1, 0], [0.5, 0.5], [0, 1]], "all edges count alike: the average is weighted by W"),
            (
                [[1, 0], [1, 1], [0, 1]],
                "columns are divided by their degree: each row of W @ F by the degree of that row",
            ),
            (Y3, "nothing flows in one step: is the result of W @ F used?"),
            (
                [[0, 0], [2 / 3, 1 / 3], [0, 0]],
                "the labels are not clamped: after each step reset the labelled rows to Y",
            ),
            ([[0.5, 0], [0.5, 0.25], [0, 0.5]], "the degree is too large by one: is there a self loop?"),
            ([[1, 0], [0.5, 0.25], [0, 1]], "the degree is too large by one: is there a self loop?"),
            ([[1, 0], [2, 1], [0, 1]], "the sum of the neighbours is taken: divide by the degree"),
            (
                [[1, 0], [2 / 6**0.5, 1 / 3**0.5], [0, 1]],
                "both degrees are used, as in label spreading: the row's degree only",
            ),
        ],
    )
    expect(
        student(0.1 * uneven + 0.1 * (uneven > 0), Y3, known, 1),
        [[1, 0], [0.6, 0.4], [0, 1]],
        "F of an image with edges of weight .3 and .2",
        wrong=[([[1, 0], [0.3, 0.2], [0, 1]], BELOW_ONE)],
    )
    first = student(W, Y, ends, 1)
    wrong = [
        (Y, "nothing flows in one step: is the result of W @ F used?"),
        (
            np.array([[0, 0], [0.5, 0], [0, 0.5], [0, 0]]),
            "the labels are not clamped: after each step reset the labelled rows to Y",
        ),
        (
            np.array([[0.5, 0], [0.5, 0], [0, 0.5], [0, 0.5]]),
            "the labels are not clamped (and does each image keep half of its own?)",
        ),
        (
            np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]),
            "the sum of the neighbours is taken, or rows are rescaled: the average, divided by the degree",
        ),
        (np.array([[1, 0], [0.5, 0.25], [0.25, 0.5], [0, 1]]), "it takes one step too many"),
        (
            np.array([[1, 0], [2**-0.5, 0], [0, 2**-0.5], [0, 1]]),
            "both degrees are used, as in label spreading: divide by the row's degree only",
        ),
        (np.array([[1, 0], [1 / 3, 0], [0, 1 / 3], [0, 1]]), "the degree is too large by one: is there a self loop?"),
        (np.array([[1, 0], [0, 0], [0, 0], [0, 1]]), "nothing flows in one step: is the result of W @ F used?"),
    ]
    expect(first, one, "F after 1 step on a chain of four images", wrong=wrong)
    expect_array(first, "F")
    expect(student(W, Y, ends, 0), Y, "F after 0 steps", wrong=[(one, "it takes one step too many")])
    expect(
        student(W, Y, ends, 2),
        [[1, 0], [0.5, 0.25], [0.25, 0.5], [0, 1]],
        "F after 2 steps on a chain of four images",
        wrong=[
            (one, "it takes one step only: is there a loop, and does each step start from the last one's F?"),
            (
                [[0.5, 0], [0.5, 0.25], [0.25, 0.5], [0, 0.5]],
                "the labels are clamped before the step only: reset them after each step",
            ),
            ([[0.5, 0], [0, 0.25], [0.25, 0], [0, 0.5]], "the labels are not clamped"),
            (
                [[1, 0], [0, 0.25], [0.25, 0], [0, 1]],
                "the labels are clamped after the loop only: reset them at the end of each step, inside the loop",
            ),
            (
                [[1, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3], [0, 1]],
                "the rows are rescaled to the sum 1: leave them as they are",
            ),
            (
                [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]],
                "the rows are rescaled to the sum 1: leave them as they are",
            ),
        ],
    )
    long = student(W, Y, ends, 200)
    expect(
        long,
        [[1, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3], [0, 1]],
        "F after 200 steps on a chain of four images",
        wrong=[
            (np.full((4, 2), 0.5), "the labels are not clamped: after each step reset the labelled rows to Y"),
            (np.zeros((4, 2)), "the masses fade away: are the labelled rows reset to Y after each step?"),
        ],
    )
    if not np.array_equal(np.asarray(long)[ends], Y[ends]):
        raise Fix("the labelled rows are not exactly those of Y: reset them as the last thing of each step")
    lonely = np.zeros((5, 5))
    lonely[:3, :3] = chain(3)
    start = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]])
    result = student(lonely, start, np.array([True, False, True, False, True]), 3)
    without_nan(result, "with an image that has no edge, F")
    joint = [[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]]
    expect(
        result,
        [*joint, [0, 0, 0], [0, 1, 0]],
        "F with two images that have no edge",
        wrong=[
            (
                [*joint, [1 / 3, 1 / 3, 1 / 3], [0, 1, 0]],
                "an image that nothing has reached stays at zeros",
            ),
            (
                [*joint, [0, 0, 0], [0, 0, 0]],
                "a labelled image without edges is set to 0: it keeps its label, its row of Y",
            ),
        ],
    )
    if np.shares_memory(np.asarray(student(W, Y, ends, 0)), Y):
        raise Fix("with 0 steps it returns Y itself: return a new array, Y.astype(float) makes one")
    whole = student(W, Y.astype(int), ends, 2)
    expect(
        whole,
        [[1, 0], [0.5, 0.25], [0.25, 0.5], [0, 1]],
        "F when Y holds whole numbers",
        wrong=[
            (
                [[1, 0], [0, 0], [0, 0], [0, 1]],
                "with a Y of whole numbers all fractions are cut off: start from Y.astype(float)",
            )
        ],
    )
    if np.asarray(student(W, Y.astype(int), ends, 0)).dtype.kind != "f":
        raise Fix("with 0 steps and a Y of whole numbers F is no float array: start from Y.astype(float)")
    expect(on_sparse(student, W, Y, ends, 2), [[1, 0], [0.5, 0.25], [0.25, 0.5], [0, 1]], "F for a sparse W")
    if not equal(student(1e-15 * uneven, Y3, known, 1), [[1, 0], [2 / 3, 1 / 3], [0, 1]]):
        raise Fix(NO_EDGE)
    expect_small(student, np.arange(1000) < 2, 1)


@exercise("3.4", "label spreading")
def _(student):
    weights = np.array([[0, 1.0, 0], [1, 0, 2], [0, 2, 0]])  # degrees 1, 3 and 2
    ends = np.array([[1.0, 0], [0, 0], [0, 1]])
    a, b = 3**-0.5, 2 * 6**-0.5

    def after_one(middle, kept=0.8):
        return [[kept, 0], list(middle), [0, kept]]

    not_both = "divide by the root of both degrees, the row's and the column's"
    W = chain(4)
    Y = np.zeros((4, 2))
    Y[0, 0] = Y[3, 1] = 1
    r = 2**-0.5
    S = np.array([[0, r, 0, 0], [r, 0, 0.5, 0], [0, 0.5, 0, r], [0, 0, r, 0]])
    F1 = 0.5 * S @ Y + 0.5 * Y
    two = 0.5 * S @ F1 + 0.5 * Y
    if equal(student(W, Y, 0.5, 1), Y) and equal(student(W, Y, 0.5, 2), F1):
        raise Fix(ONE_STEP_LESS)
    expect(
        student(W, Y, 0.5, 0),
        Y,
        "F after 0 steps",
        wrong=[
            (0.5 * Y, "F starts from Y, not from (1 - alpha) * Y"),
            (0 * Y, "F starts from Y, not from zeros"),
            (F1, "it takes one step too many: num_steps steps, range(num_steps)"),
            (
                0.5 * np.linalg.solve(np.eye(4) - 0.5 * S, Y),
                "this is the limit of many steps: take exactly num_steps of them",
            ),
        ],
    )
    first = student(weights, ends, 0.2, 1)
    expect(
        first,
        after_one((0.2 * a, 0.2 * b)),
        "F after 1 step, for edges of weight 1 and 2 and alpha .2",
        wrong=[
            (after_one((0.2 / 3, 0.4 / 3)), f"only one degree is used, as in label propagation: {not_both}"),
            (after_one((0.2, 0.2)), f"only one degree is used, and it is that of the column: {not_both}"),
            (after_one((0.2 / 3, 0.2 / 3)), "both degrees are divided out whole: divide by the root of each"),
            (after_one((0.2 * 3**0.5, 0.4 * 6**0.5)), "it multiplies with the roots of the degrees: divide"),
            (after_one((0.2 * a, 0.4 * a)), f"only the row's degree is used: {not_both}"),
            (after_one((0.2, 0.4 * 2**-0.5)), f"only the column's degree is used: {not_both}"),
            (after_one((0.2, 0.4)), "W is not normalised: S, not W"),
            (after_one((0.8 * a, 0.8 * b), 0.2), "alpha and 1 - alpha are exchanged: alpha belongs to the neighbours"),
            (
                after_one((0.2 * a, 0.2 * b), 1),
                "(1 - alpha) is missing before Y, or the labels are clamped: they are held softly",
            ),
            (after_one((a, b), 1), "the labels are clamped, and alpha is ignored: alpha * S F + (1 - alpha) * Y"),
            (after_one((a, b), 0.8), "alpha is missing before S F"),
            (after_one((0.2 * a, 0.2 * b), 0), "the labels are forgotten: + (1 - alpha) * Y"),
            (after_one((a, b), 0), "the labels are forgotten: alpha * S F + (1 - alpha) * Y"),
            (after_one((a / (a + b), b / (a + b)), 1), "the rows are divided by their sums: leave them as they are"),
            (after_one((0, 0)), "nothing flows in one step: is the result of S F used?"),
            (ends, "nothing flows in one step: is the result of S F used?"),
        ],
    )
    expect_array(first, "F")
    expect(
        student(np.array([[0, 0.3, 0], [0.3, 0, 0.2], [0, 0.2, 0]]), ends, 0.2, 1),
        after_one((0.06 * 0.15**-0.5, 0.04 * 0.1**-0.5)),
        "F after 1 step, for edges of weight .3 and .2 and alpha .2",
        wrong=[(after_one((0.06, 0.04)), BELOW_ONE)],
    )
    expect(
        student(W, Y, 0.5, 2),
        two,
        "F after 2 steps on a chain of four images, alpha .5",
        wrong=[
            (F1, "it takes one step only: is there a loop, and does each step start from the last one's F?"),
            (0.5 * S @ F1 + 0.5 * F1, "(1 - alpha) belongs to Y, the given labels, and not to the last F"),
            (0.25 * S @ S @ Y + 0.5 * Y, "the labels are added once at the end: add (1 - alpha) * Y in each step"),
        ],
    )
    limit = [[0.816498, 0.001684], [0.116661, 0.011904], [0.011904, 0.116661], [0.001684, 0.816498]]
    shares = np.array(limit) / np.sum(limit, axis=1, keepdims=True)
    expect(
        student(W, Y, 0.2, 100),
        limit,
        "F after 100 steps on a chain of four images, alpha .2",
        wrong=[
            (shares, "the rows are divided by their sums: leave them as they are"),
            (np.array(limit) / 0.8, "the limit is 1 / (1 - alpha) too large: is (1 - alpha) missing before Y?"),
        ],
    )
    star = np.zeros((4, 4))
    star[0, 1:] = star[1:, 0] = 1
    leaves = np.array([[0.0, 0], [1, 0], [0, 1], [0, 0]])
    centre = np.asarray(student(star, leaves, 0.5, 200))[0]
    expect(
        centre,
        [0.192450, 0.192450],
        "F of the centre of a star with three leaves, alpha .5",
        wrong=[
            ([1 / 9, 1 / 9], "only one degree is used, as in label propagation: divide by the root of both"),
            ([1 / 3, 1 / 3], "only one degree is used, and it is that of the column: divide by the root of both"),
        ],
    )
    expect(student(W, Y, 0.0, 5), Y, "F for alpha 0", wrong=[(0 * Y, "with alpha 0 the labels stay as they are")])
    path = student(weights, ends, 0.5, 200)
    middle = np.asarray(path, dtype=float)[1]
    expect(middle / middle.sum(), [0.414214, 0.585786], "the pair of shares of an image with edges of weight 1 and 2")
    lonely = np.zeros((4, 4))
    lonely[:3, :3] = chain(3)
    joint = [[0.5, 0, 0], [r / 2, 0, r / 2], [0, 0, 0.5]]
    start = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 0]])
    result = student(lonely, start, 0.5, 1)
    without_nan(result, "with an image that has no edge, F")
    expect(
        result,
        [*joint, [0, 0.5, 0]],
        "F of three classes with a labelled image that has no edge",
        wrong=[
            (np.array([*joint, [0, 0.5, 0]])[:, :2], "there are two classes only: Y says how many, Y.shape[1]"),
            (
                [*joint, [0, 1, 0]],
                "an image without edges keeps (1 - alpha) * Y, like all others",
            ),
            (
                [*joint, [0, 0, 0]],
                "a labelled image without edges is set to 0: (1 - alpha) * Y remains",
            ),
        ],
    )
    if np.shares_memory(np.asarray(student(W, Y, 0.5, 0)), Y):
        raise Fix("with 0 steps it returns Y itself: return a new array, Y.astype(float) makes one")
    if np.asarray(student(W, Y.astype(int), 0.5, 0)).dtype.kind != "f" or not equal(student(W, Y.astype(int), 0.5, 2), two):
        raise Fix("with a Y of whole numbers all fractions are cut off: start from Y.astype(float)")
    expect(on_sparse(student, W, Y, 0.5, 2), two, "F for a sparse W")
    if not equal(student(1e-15 * weights, ends, 0.2, 1), after_one((0.2 * a, 0.2 * b))):
        raise Fix(NO_EDGE)
    expect_small(student, 0.5, 1)


@exercise("3.5", "class mass normalisation")
def _(student):
    masses = np.array([[0.5, 0.5], [1.0, 0], [0.5, 0], [0, 0.5]])  # sums 2 and 1, shares 2/3 and 1/3
    prior = np.array([0.7, 0.3])
    result = student(masses, prior)
    expect(
        result,
        [1.05, 0.9],
        "the result for the masses 2 and 1 and the prior (.7, .3)",
        wrong=[
            ([1.12, 0.8], "the rows are normalised first: sum the masses as they are"),
            ([0.35, 0.3], "the sum of all masses is missing: divide by the share of the class, not by its mass"),
            ([1 / 1.05, 1 / 0.9], "the fraction is upside down: prior over share"),
            (
                [1.4, 1.2],
                "the mean over the images is taken for the share: divide by the sum of all masses, which need not be N",
            ),
            ([1.4 / 3, 0.1], "prior and share are multiplied: divide"),
            ([2 / 3, 1 / 3], "these are the shares that arrived: the factors are prior / share"),
            ([0.7, 0.3], "this is the prior: divide it by the share that arrived"),
            ([0.75, 1.5], "the prior is ignored, as if all classes should have the same share"),
            ([1.5, 3.0], "the prior is ignored: prior / share"),
            ([1.05 / 1.95, 0.9 / 1.95], "the factors are divided by their sum: leave them as they are"),
            (masses * [1.05, 0.9], "the factors are multiplied into the masses already: return the factors alone"),
            ([0.7 / 0.75, 0.3 / 0.25], "the largest class of each image is counted: sum the masses"),
            ([0.7 - 2 / 3, 0.3 - 1 / 3], "share is subtracted from prior: divide"),
            ([0.45, 2.1], "prior and share belong to different classes: is one of them sorted or turned?"),
        ],
    )
    expect_array(result, "the result")
    expect(
        student(np.array([[1, 3]]), np.array([0.5, 0.5])),
        [2, 2 / 3],
        "the result for masses that are whole numbers, 1 and 3,",
        wrong=[([2, 0], "with masses of whole numbers the factors are cut off: make a float array for them")],
    )
    half = np.array([[0.6, 0.4], [0.55, 0.45], [0.7, 0.3], [0.9, 0.1]])
    expect(student(half, np.array([0.5, 0.5])), [2 / 2.75, 2 / 1.25], "the result for four images and equal priors")
    with np.errstate(all="ignore"):
        empty = student(np.array([[1.0, 0, 3], [2, 0, 2]]), np.array([0.25, 0.25, 0.5]))
    if not np.isfinite(np.asarray(empty, dtype=float)).all():
        raise Fix("with a class that has no mass a factor is nan or infinite: it has the factor 1")
    if np.asarray(empty, dtype=float).max() > 10:
        raise Fix("something tiny is added to a mass of 0 or put in its place: a class without mass has the factor 1")
    expect(
        empty,
        [2 / 3, 1, 0.8],
        "the result with a class that has no mass",
        wrong=[
            ([2 / 3, 0, 0.8], "a class without mass gets the factor 0: it has the factor 1"),
            ([8 / 9, 1, 16 / 15], "the prior is rescaled to the classes that have mass: take it as it is"),
            ([2 / 3, 0.25, 0.8], "a class without mass gets its prior as the factor: it has the factor 1"),
        ],
    )
    tiny = np.asarray(student(np.array([[0.66, 1e-13]]), np.array([0.5, 0.5])), dtype=float)
    expect(
        tiny / [0.5, 0.33e13],
        [1, 1],
        "the result over the right one, where a class has the mass 1e-13,",
        wrong=[
            (
                [1, 0],
                "a class with little mass gets too small a factor: 1 is for a mass of exactly 0 (no tolerance, no maximum)",
            )
        ],
    )
    expect(
        student(np.array([[3.0, 1.0]]), np.array([0.75, 0.25])),
        [1, 1],
        "the result where the shares are right already",
    )
    expect(
        student(np.array([[3.0, 1.0]]), np.array([1.0, 0.0])),
        [4 / 3, 0],
        "the result where a class should have the share 0",
        wrong=[
            (
                [4 / 3, 1],
                "a class that should have the share 0 has the factor 0: only a class without mass has the factor 1",
            )
        ],
    )


@exercise("3.6", "ask the neighbours")
def _(student):
    masses = np.array([[0.8, 0.2], [0.1, 0.9], [0.5, 0.1], [0, 0]])
    distances, neighbours = np.array([[0.0, 1.0, 0.5], [2.0, 0.5, 1.0]]), np.array([[0, 1, 2], [1, 2, 0]])
    fallback, gamma = np.array([0.9, 0.1]), 0.5

    def mix(weights, F=masses, divide=True):
        heard = np.einsum("mk,mkc->mc", weights, F[neighbours])
        return heard / heard.sum(1, keepdims=True) if divide else heard

    w = np.exp(-gamma * distances**2)
    rows = masses / np.maximum(masses.sum(1, keepdims=True), 1e-9)
    votes = np.array([[1.0, 0], [0, 1], [1, 0], [1, 0]])
    result = student(distances, neighbours, masses, gamma, fallback)
    expect(
        result,
        mix(w),
        "the result for two new images",
        wrong=[
            (mix(np.exp(-gamma * distances)), "the distances are not squared: exp(-gamma * distance²)"),
            (mix(np.exp(gamma * distances**2)), "the sign is wrong: what is far must count less, exp(-gamma * ...)"),
            (mix(np.exp(-(distances**2))), "gamma is ignored"),
            (mix(np.exp(-(distances**2) / gamma)), "gamma divides: it multiplies the squared distance"),
            (
                mix(np.exp(-(distances**2) / (2 * gamma**2))),
                "gamma is used as a width sigma: it multiplies the squared distance",
            ),
            (mix(np.ones_like(w)), "all neighbours count alike: weigh them"),
            (mix(distances), "the distances serve as weights: what is far must count less"),
            (mix(distances**2), "the distances serve as weights: what is far must count less"),
            (mix(w, divide=False), "the rows do not sum to 1: divide each by its sum"),
            (
                mix(w, divide=False) / 3,
                "the rows do not sum to 1: divide each by its sum, not by the number of neighbours",
            ),
            (
                mix(w, divide=False) / mix(w, divide=False).sum(),
                "the rows do not sum to 1, only all together: divide each row by its own sum",
            ),
            (mix(w, votes), "each neighbour votes for its largest class: add its row of masses instead"),
            (
                mix(np.ones_like(w), votes),
                "each neighbour votes for its largest class: weigh and add its row of masses",
            ),
            (
                mix(w, divide=False) / w.sum(1, keepdims=True),
                "divided by the sum of the weights, the rows need not sum to 1: divide by the row's own sum",
            ),
            (mix(w, rows), "the rows of masses are normalised first: take them as they are, and divide at the end"),
            (mix(w[:, ::-1]), "weights and neighbours do not belong together: is one of them turned?"),
            (masses[neighbours[:, 0]], "only the first neighbour is asked"),
            (rows[neighbours[:, 0]], "only the first neighbour is asked"),
            (rows[neighbours[np.arange(2), distances.argmin(1)]], "only the nearest neighbour is asked"),
            (
                masses[neighbours].sum(1) / masses[neighbours].sum((1, 2))[:, None],
                "all neighbours count alike: weigh them",
            ),
            (
                np.stack([masses[n].sum(1) * v for n, v in zip(neighbours, w)]) / (w * masses[neighbours].sum(2)).sum(1)[:, None],
                "summed over the classes: sum over the neighbours, axis 1 of (M, k, num_classes)",
            ),
            (mix(w) * 0 + fallback, "each image gets the fallback: it is for rows where nothing was heard"),
            (np.exp(mix(w)) / np.exp(mix(w)).sum(1, keepdims=True), "a softmax is applied: divide by the sum"),
            (
                mix(w, divide=False) / mix(w, divide=False).sum(0),
                "divided by the sum over the images: each row by its own sum, axis=1",
            ),
        ],
    )
    expect_array(result, "the result")
    with np.errstate(all="ignore"):
        silent = student(np.array([[1.0, 2.0], [1.0, 0.0]]), np.array([[3, 3], [3, 0]]), masses, gamma, fallback)
    if not np.isfinite(np.asarray(silent, dtype=float)).all():
        raise Fix("where an image hears nothing the result is nan: that row is `fallback`")
    expect(
        silent,
        [[0.9, 0.1], [0.8, 0.2]],
        "the result where one of two images hears nothing",
        wrong=[
            ([[0, 0], [0.8, 0.2]], "an image that hears nothing gets zeros: its row is `fallback`"),
            ([[0.5, 0.5], [0.8, 0.2]], "an image that hears nothing gets equal shares: its row is `fallback`"),
            ([[0.9, 0.1], [0.9, 0.1]], "one silent image, and all get the fallback: row by row"),
        ],
    )
    with np.errstate(all="ignore"):
        far = student(np.array([[1e3, 1e3]]), np.array([[0, 1]]), masses, gamma, fallback)
    expect(
        far,
        [[0.9, 0.1]],
        "the result for an image whose weights are all zero",
        wrong=[
            (
                [[0.45, 0.55]],
                "the weights of a row are scaled by the largest of them, so that none is zero: exp(-gamma * distance²) as it is",
            ),
            ([[np.nan, np.nan]], "where all weights are zero the result is nan: that row is `fallback`"),
        ],
    )
    with np.errstate(all="ignore"):
        half = student(np.array([[1.0, 1e3]]), np.array([[0, 1]]), masses, gamma, fallback)
    expect(
        half,
        [[0.8, 0.2]],
        "the result for an image with one weight that is zero and one that is not",
        wrong=[([[0.9, 0.1]], "one weight is zero, and the row gets the fallback: only if all that is heard is zero")],
    )
    with np.errstate(all="ignore"):  # the totals are about 1e-13 and 1e-25
        faint = student(np.array([[5.5, 5.5], [7.6, 7.6]]), np.array([[0, 0], [0, 0]]), masses, 1.0, fallback)
    for row in np.asarray(faint, dtype=float):
        if equal(row, fallback):
            raise Fix("an image that hears little, but not nothing, gets the fallback: compare with > 0, without a tolerance")
        if row.sum() < 0.999:
            raise Fix("where an image hears little the row does not sum to 1: divide by the total itself, nothing added to it")
    expect(faint, [[0.8, 0.2], [0.8, 0.2]], "the result for two images that hear little")
    three = np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 1], [1, 1, 1], [0, 0, 5]])
    near, ids = np.array([[0.3], [0.1], [0.2]]), np.array([[1], [3], [4]])
    unscaled = "the rows do not sum to 1: every row that hears something is divided by its sum, whatever {} holds"
    expect(
        student(near, ids, three, 2.0, np.array([0.5, 0.5, 0])),
        [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]],
        "the result for one neighbour and three classes",
        [([[0, 1, 0], [1 / 3, 1 / 3, np.exp(-0.02)], [0, 0, 5 * np.exp(-0.08)]], unscaled.format("`fallback`"))],
    )
    expect(
        student(distances, neighbours, masses, 0.0, fallback),
        mix(np.ones_like(w)),
        "the result for gamma = 0, where all neighbours count alike",
        [(mix(np.ones_like(w), divide=False), unscaled.format("gamma"))],
    )


@exercise("3.7", "a second opinion")
def _(student):
    guess, opinion = torch.tensor([1, 2, 0, 0, 1, 2, 2, 0, 0, 1]), torch.tensor([2, 1, -1, 0, 1, 2, 0, 0, 0, 2, 1, 1])
    mask, index = torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 1, 1, 1]), torch.tensor([4, 0, 2, 10, 1, 5, 7, 6, 3, 11])
    result = student(guess, mask, index, opinion)
    if equal(result, mask):
        if equal(student(torch.tensor([1, 0]), torch.ones(2), torch.tensor([0, 5]), opinion), [0, 0]):
            raise Fix("agreement anywhere in the batch is enough: compare each guess with the opinion on that image, ==")
        raise Fix("the graph is not asked")
    agree = (opinion[index] == guess).float()
    batch_order = (opinion[: len(guess)] == guess).float() * mask
    expect(
        result,
        [0, 1, 0, 0, 1, 1, 0, 1, 1, 1],
        "the mask of ten guesses",
        wrong=[
            (agree, "the network's mask is lost: both conditions must hold"),
            (
                batch_order,
                "the opinions are those of the first B images of the pool: those of this batch, opinion[index]",
            ),
            (mask * (1 - agree), "the guesses where the graph DISAGREES are kept"),
            (torch.maximum(mask, agree), "one condition is enough for it: both must hold"),
            (mask + agree, "the conditions are added: both must hold, so multiply"),
            (
                mask * ((agree == 1) | (opinion[index] == -1)).float(),
                "where the graph has no opinion (-1) the guess is kept: then it does not agree",
            ),
            (
                mask * (opinion[index] >= 0).float(),
                "it keeps what the graph has any opinion on: that opinion must be the guess",
            ),
            (mask * (opinion[guess] == guess).float(), "the opinion is looked up by guess: look it up by index"),
            (
                mask * (opinion[guess] == index).float(),
                "guess and index are exchanged: opinion[index] is compared with the guess",
            ),
            (
                mask * (opinion[index] == guess[index % 10]).float(),
                "the guesses are looked up by index: they are in the order of the batch already",
            ),
            (
                mask[index % 10] * agree,
                "the mask is looked up by index: it is in the order of the batch already",
            ),
            (mask * (2 * agree - 1), "a guess that the graph does not share gets -1: it gets 0"),
            ((mask + agree) / 2, "the conditions are averaged: both must hold, so multiply"),
            (mask * (opinion[index] > 0).float() * agree, LOST_ZERO),
            (
                mask * (opinion[index] > 0).float(),
                "it keeps what the graph has an opinion above 0 on: compare it with the guess",
            ),
            (mask * (opinion[index] >= guess).float(), HIGHER),
            (
                mask * (opinion[index] <= guess).float(),
                "a lower class number counts as agreement: the same class is wanted, ==",
            ),
            (
                mask * (opinion[index] == guess.flip(0)).float(),
                "the guesses are turned round: they are in the order of the batch",
            ),
            (mask.flip(0) * agree, "the mask is turned round: it is in the order of the batch"),
            (
                mask * (opinion[index.flip(0)] == guess).float(),
                "the index is turned round: entry b says where image b of the batch is",
            ),
            (
                mask * (opinion[index.sort().values] == guess).float(),
                "the index is sorted: entry b says where image b of the batch is",
            ),
            (
                mask * (opinion[index - 1] == guess).float(),
                "the opinion is that of the image before: index counts from 0",
            ),
            (mask * agree * guess, "these are class numbers: a mask of zeros and ones is wanted"),
            (mask * guess, "these are the guesses that the network is sure of: a mask of zeros and ones is wanted"),
            (mask * opinion[index], "the mask is multiplied by the class number: compare it with the guess"),
            (torch.ones(6), "the masked-out images are removed: one number for each of the B images"),
            ([1, 4, 5, 7, 8, 9], "positions are returned: a mask of zeros and ones is wanted"),
            (agree[mask.bool()], "the masked-out images are removed: one number for each of the B images"),
        ],
        float_tensor=True,
    )
    none = student(guess, torch.zeros(10), index, opinion)
    expect(none, torch.zeros(10), "the mask when the network is sure of nothing", float_tensor=True)
    one = student(torch.tensor([2]), torch.tensor([1.0]), torch.tensor([5]), opinion)
    expect(one, [1.0], "the mask of a batch of one", float_tensor=True)
    expect(
        student(torch.tensor([1, 1, 1]), torch.ones(3), torch.tensor([0, 3, 2]), opinion),
        [0.0, 0.0, 0.0],
        "the mask of three guesses of which the graph shares none",
        wrong=[
            (torch.ones(3), "where the graph shares no guess at all the mask comes back as it is: all of it must be 0"),
            ([1.0, 0.0, 0.0], HIGHER),
        ],
    )
    silent = torch.full((12,), -1)
    expect(student(guess, torch.ones(10), index, silent), torch.zeros(10), "the mask when the graph has no opinion at all")
    sure = torch.ones(3)
    same = student(torch.tensor([2, 1, 1]), sure, torch.tensor([0, 1, 11]), opinion)
    expect(same, [1.0, 1.0, 1.0], "the mask when the graph shares every guess, also that on the last image of the pool")
    if same.data_ptr() == sure.data_ptr():
        raise Fix("where the graph shares every guess it returns `mask` itself: return a new tensor")
