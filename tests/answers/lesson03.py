"""Answers to the exercises of lesson 03: other right ones, and wrong ones with a fragment of the cause to be named."""

import numpy as np
import torch
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors, kneighbors_graph

# ------------------------------------------------------------------------------------------------------ 3.1 affinity


def affinity_loop(x, gamma):
    W = np.zeros((len(x), len(x)))
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                W[i, j] = np.exp(-gamma * sum((a - b) ** 2 for a, b in zip(x[i], x[j])))
    return W


def affinity_scipy(x, gamma):
    return np.exp(-gamma * cdist(x, x, "sqeuclidean")) - np.eye(len(x))


def affinity_sklearn(x, gamma):
    return rbf_kernel(x, gamma=gamma) * (1 - np.eye(len(x)))


def affinity_torch(x, gamma):
    d = torch.cdist(torch.from_numpy(x), torch.from_numpy(x))
    return (-gamma * d**2).exp().fill_diagonal_(0).float().numpy()


def _squared(x):
    return ((x[:, None] - x[None]) ** 2).sum(2)


def _no_self(W):
    return W * (1 - np.eye(len(W)))


def affinity_in_place(x, gamma):
    x -= x.mean(0)
    return affinity_scipy(x, gamma)


def affinity_expanded(x, gamma):
    square = (x**2).sum(1)
    return _no_self(np.exp(-gamma * (square[:, None] + square - 2 * x @ x.T)))


# ----------------------------------------------------------------------------------------------------- 3.2 neighbours


def knn_loop(x, k):
    n = len(x)
    A = np.zeros((n, n), dtype=int)
    for i in range(n):
        others = sorted((np.sum((x[i] - x[j]) ** 2), j) for j in range(n) if j != i)
        for _, j in others[:k]:
            A[i, j] = A[j, i] = 1
    return A


def knn_sklearn(x, k):
    A = kneighbors_graph(x, k, include_self=False).toarray()
    return ((A + A.T) > 0).astype(float)


def knn_partition(x, k):
    d = cdist(x, x, "sqeuclidean")
    d[np.diag_indices(len(x))] = np.inf
    reach = np.partition(d, k - 1, axis=1)[:, k - 1 : k]
    A = d <= reach
    return A | A.T


def _nearest(x, k, keep_self=False):
    d = cdist(x, x)
    if not keep_self:
        np.fill_diagonal(d, np.inf)
    return np.argsort(d, axis=1)[:, :k]


def _graph(nearest, n):
    A = np.zeros((n, n))
    np.put_along_axis(A, nearest, 1, axis=1)
    return A


def _directed(x, k):
    return _graph(_nearest(x, k), len(x))


def _symmetric(A):
    return np.maximum(A, A.T)


def knn_skip_first(x, k):
    """Drops whatever comes first, which for twins need not be the point itself."""
    _, found = NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)
    return _symmetric(_graph(np.sort(found, 1)[:, 1:], len(x)))


def _from_distances(d, k):
    np.fill_diagonal(d, np.inf)
    return _symmetric(_graph(np.argsort(d, axis=1)[:, :k], len(d)))


def knn_strict(x, k):
    d = cdist(x, x)
    np.fill_diagonal(d, np.inf)
    return _symmetric((d < np.sort(d, axis=1)[:, k - 1 : k]).astype(float))


def knn_axis_0(x, k):
    d = cdist(x, x)
    np.fill_diagonal(d, np.inf)
    return _symmetric(_graph(np.argsort(d, axis=0)[:, :k], len(x)))


def knn_self_removed_late(x, k):
    A = _symmetric(_graph(_nearest(x, k, keep_self=True), len(x)))
    np.fill_diagonal(A, 0)
    return A


def knn_in_place(x, k):
    x.sort(axis=0)
    return _symmetric(_directed(x, k))


def knn_masked_weights(x, k):
    d = cdist(x, x)
    return _symmetric(_directed(x, k)) * d


def knn_finite(diagonal):
    def answer(x, k):
        d = cdist(x, x)
        np.fill_diagonal(d, diagonal(d))
        return _symmetric(_graph(np.argsort(d, axis=1)[:, :k], len(x)))

    return answer


def knn_capped(x, k):
    A = np.zeros((len(x), len(x)))
    for i, near in enumerate(_nearest(x, k)):
        for j in near:
            if A[i].sum() < k:
                A[i, j] = A[j, i] = 1
    return A


def knn_drops_the_first(x, k):
    return _symmetric(_graph(np.argsort(cdist(x, x), axis=1, kind="stable")[:, 1 : k + 1], len(x)))


def knn_no_twins(x, k):
    d = cdist(x, x)
    d[d == 0] = np.inf
    return _symmetric(_graph(np.argsort(d, axis=1)[:, :k], len(x)))


# ---------------------------------------------------------------------------------------------------- 3.3 propagation


def lp_loop(W, Y, labelled, num_steps):
    d = W.sum(axis=1)
    F = np.array(Y, dtype=np.float32)
    for _ in range(num_steps):
        new = np.zeros_like(F)
        heard = W @ F
        for i in range(len(F)):
            new[i] = Y[i] if labelled[i] or d[i] == 0 else heard[i] / d[i]
        F = new
    return F


def lp_where(W, Y, labelled, num_steps):
    d = np.asarray(W.sum(axis=1)).reshape(-1, 1).astype(float)
    F = Y.astype(np.float64).copy()
    for _ in range(num_steps):
        F = np.where(labelled[:, None], Y, np.divide(W @ F, d, out=np.zeros(F.shape), where=d > 0))
    return F


def lp_positions(W, Y, labelled, num_steps):
    free = np.flatnonzero(~labelled)
    degree = W.sum(axis=1)
    degree[degree == 0] = 1.0
    F = Y + 0.0
    for _ in range(num_steps):
        F[free] = (W @ F)[free] / degree[free, None]
    return F


def _lp(step, start=lambda Y: Y.astype(float), clamp=True, safe=True):
    """LP with one part exchanged: step(W, F, d) is one average, d the degrees as a column."""

    def answer(W, Y, labelled, num_steps):
        d = W.sum(axis=1)[:, None]
        if safe:
            d = np.where(d > 0, d, 1)
        F = start(Y)
        for _ in range(num_steps):
            with np.errstate(all="ignore"):
                F = step(W, F, d)
            if clamp:
                F[labelled] = Y[labelled]
        return F

    return answer


def _average(W, F, d):
    return (W @ F) / d


def lp_clamp_before(W, Y, labelled, num_steps):
    d = np.where(W.sum(1) > 0, W.sum(1), 1)[:, None]
    F = Y.astype(float)
    for _ in range(num_steps):
        F[labelled] = Y[labelled]
        F = (W @ F) / d
    return F


def lp_from_start(W, Y, labelled, num_steps):
    F = Y.astype(float)
    d = np.where(W.sum(1) > 0, W.sum(1), 1)[:, None]
    for _ in range(num_steps):
        F = (W @ Y) / d
        F[labelled] = Y[labelled]
    return F


def _lp_degree(degree):
    def answer(W, Y, labelled, num_steps):
        d = degree(W.sum(axis=1))[:, None]
        F = Y.astype(float)
        for _ in range(num_steps):
            F = (W @ F) / d
            F[labelled] = Y[labelled]
        return F

    return answer


def lp_keeps_the_type(W, Y, labelled, num_steps):
    return lp_where(W, Y, labelled, num_steps) if num_steps else Y.copy()


def lp_in_place_W(W, Y, labelled, num_steps):
    d = W.sum(axis=1)
    W /= np.where(d > 0, d, 1)[:, None]
    return lp_where(W, Y, labelled, num_steps)


def lp_in_place_Y(W, Y, labelled, num_steps):
    known = Y[labelled].copy()
    d = np.where(W.sum(1) > 0, W.sum(1), 1)[:, None]
    for _ in range(num_steps):
        Y[:] = (W @ Y) / d
        Y[labelled] = known
    return Y


def lp_dense_inverse(W, Y, labelled, num_steps):
    T = np.diag(1 / np.maximum(W.sum(axis=1), 1e-12)) @ np.asarray(W)
    F = Y.astype(float)
    for _ in range(num_steps):
        F = T @ F
        F[labelled] = Y[labelled]
    return F


def lp_clamp_after_all(W, Y, labelled, num_steps):
    F = _lp(_average, clamp=False)(W, Y, labelled, num_steps)
    F[labelled] = Y[labelled]
    return F


def lp_lonely_zero(W, Y, labelled, num_steps):
    F = _lp(_average)(W, Y, labelled, num_steps)
    F[W.sum(axis=1) == 0] = 0
    return F


def lp_dense(W, Y, labelled, num_steps):
    return _lp(_average)(W.toarray() if hasattr(W, "toarray") else W, Y, labelled, num_steps)


def lp_diagonal(W, Y, labelled, num_steps):
    d = W.sum(axis=1)
    inverse = np.diag(1 / np.where(d > 0, d, 1))
    return _lp(lambda W, F, d: inverse @ (W @ F))(W, Y, labelled, num_steps)


def lp_whole_numbers(W, Y, labelled, num_steps):
    F, d = np.zeros_like(Y), np.where(W.sum(1) > 0, W.sum(1), 1)[:, None]
    F[:] = Y
    for _ in range(num_steps):
        F[:] = (W @ F) / d
        F[labelled] = Y[labelled]
    return F


def _rescaled(W, F, d):
    F = (W @ F) / d
    s = F.sum(1, keepdims=True)
    return F / np.where(s > 0, s, 1)


# ------------------------------------------------------------------------------------------------------ 3.4 spreading


def ls_multiply(W, Y, alpha, num_steps):
    degree = np.asarray(W.sum(axis=1), dtype=float)
    root = np.zeros_like(degree)
    root[degree > 0] = 1 / np.sqrt(degree[degree > 0])
    F = np.array(Y, dtype=float)
    for _ in range(num_steps):
        F = alpha * (root[:, None] * (W @ (root[:, None] * F))) + (1 - alpha) * Y
    return F


def ls_loop(W, Y, alpha, num_steps):
    d = W.sum(axis=1)
    F = np.array(Y, dtype=np.float32)
    for _ in range(num_steps):
        heard = W @ np.array([row / np.sqrt(n) if n else row for row, n in zip(F, d)])
        F = np.array(
            [alpha * (h / np.sqrt(n) if n else 0 * h) + (1 - alpha) * y for h, n, y in zip(heard, d, Y)],
            dtype=np.float32,
        )
    return F


def ls_limit(W, Y, alpha, num_steps):
    d = W.sum(axis=1)
    root = np.where(d > 0, d, 1) ** -0.5
    return (1 - alpha) * np.linalg.solve(np.eye(len(Y)) - alpha * root[:, None] * W * root, Y)


def ls_dense(W, Y, alpha, num_steps):
    return _ls()(W.toarray() if hasattr(W, "toarray") else W, Y, alpha, num_steps)


def ls_diagonal(W, Y, alpha, num_steps):
    from scipy import sparse

    d = np.asarray(W.sum(axis=1)).ravel()
    half = sparse.diags_array(np.where(d > 0, 1 / np.sqrt(np.maximum(d, 1e-300)), 0.0))
    S = half @ sparse.csr_array(W) @ half
    F = Y.astype(float)
    for _ in range(num_steps):
        F = alpha * (S @ F) + (1 - alpha) * Y
    return F


def _ls(step=None, left=-0.5, right=-0.5, start=lambda Y, a: Y.astype(float), safe=True):
    """LS with one part exchanged: step(SF, Y, F, alpha) is the update, left and right the powers of the degrees."""
    step = step or (lambda SF, Y, F, a: a * SF + (1 - a) * Y)

    def answer(W, Y, alpha, num_steps):
        d = W.sum(axis=1)[:, None]
        if safe:
            d = np.where(d > 0, d, 1)
        F = start(Y, alpha)
        for _ in range(num_steps):
            with np.errstate(all="ignore"):
                F = step(d**left * (W @ (d**right * F)), Y, F, alpha)
        return F

    return answer


def ls_rows(W, Y, alpha, num_steps):
    F = _ls()(W, Y, alpha, num_steps)
    s = F.sum(1, keepdims=True)
    return F / np.where(s > 0, s, 1)


def ls_clamped(W, Y, alpha, num_steps):
    return _ls(lambda SF, Y, F, a: np.where(Y.sum(1, keepdims=True) > 0, Y, a * SF))(W, Y, alpha, num_steps)


def ls_outer(W, Y, alpha, num_steps):
    d = np.asarray(W).sum(1)
    S = np.asarray(W) / np.sqrt(np.outer(np.where(d > 0, d, 1), np.where(d > 0, d, 1)))
    F = Y.astype(float)
    for _ in range(num_steps):
        F = alpha * S @ F + (1 - alpha) * Y
    return F


def _ls_scale(scale):
    def answer(W, Y, alpha, num_steps):
        s = scale(W.sum(axis=1))[:, None]
        F = Y.astype(float)
        for _ in range(num_steps):
            F = alpha * s * (W @ (s * F)) + (1 - alpha) * Y
        return F

    return answer


def ls_two_classes(W, Y, alpha, num_steps):
    return ls_multiply(W, Y[:, :2], alpha, num_steps)


def ls_buffer(W, Y, alpha, num_steps):
    F = np.zeros_like(Y)
    F[:] = ls_multiply(W, Y, alpha, num_steps)
    return F


def ls_in_place(W, Y, alpha, num_steps):
    d = np.sqrt(np.where(W.sum(1) > 0, W.sum(1), 1))
    W /= d[:, None] * d
    return _ls(left=0, right=0)(W, Y, alpha, num_steps)


def ls_lonely_zero(W, Y, alpha, num_steps):
    F = _ls()(W, Y, alpha, num_steps)
    F[W.sum(axis=1) == 0] = 0
    return F


def ls_below_one(W, Y, alpha, num_steps):
    scale = np.maximum(W.sum(axis=1), 1)[:, None] ** -0.5
    F = Y.astype(float)
    for _ in range(num_steps):
        F = alpha * scale * (W @ (scale * F)) + (1 - alpha) * Y
    return F


def ls_labels_at_the_end(W, Y, alpha, num_steps):
    F = _ls(lambda SF, Y, F, a: a * SF)(W, Y, alpha, num_steps)
    return F + (1 - alpha) * Y if num_steps else F


# ------------------------------------------------------------------------------------------------------------ 3.5 CMN


def factors_loop(masses, prior):
    result = []
    for c in range(masses.shape[1]):
        mass = masses[:, c].sum()
        result.append(prior[c] * masses.sum() / mass if mass > 0 else 1.0)
    return np.array(result, dtype=np.float32)


def factors_divide(masses, prior):
    share = masses.sum(0) / masses.sum()
    return np.divide(prior, share, out=np.ones(len(prior)), where=share != 0)


def factors_select(masses, prior):
    column = np.einsum("nc->c", masses)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(column == 0, 1, prior * column.sum() / column)


def _factors(formula):
    def answer(masses, prior):
        share = masses.sum(0) / masses.sum()
        with np.errstate(all="ignore"):
            return np.where(share > 0, formula(prior, np.where(share > 0, share, 1), masses), 1.0)

    return answer


def factors_buffer(masses, prior):
    total = masses.sum(axis=0)
    result = np.ones_like(total)
    for c in range(len(prior)):
        if total[c] > 0:
            result[c] = prior[c] * masses.sum() / total[c]
    return result


def factors_tolerant(few):
    def answer(masses, prior):
        share = masses.sum(axis=0) / masses.sum()
        return np.where(few(share), 1, prior / np.where(share > 0, share, 1))

    return answer


def factors_prior_rescaled(masses, prior):
    rest = prior * (masses.sum(axis=0) > 0)
    return factors_loop(masses, rest / rest.sum())


# ------------------------------------------------------------------------------------------------------ 3.6 induction


def new_loop(distances, neighbours, masses, gamma, fallback):
    rows = []
    for d, near in zip(distances, neighbours):
        heard = sum(np.exp(-gamma * a**2) * masses[j] for a, j in zip(d, near))
        rows.append(heard / heard.sum() if heard.sum() > 0 else fallback)
    return np.array(rows)


def new_einsum(distances, neighbours, masses, gamma, fallback):
    heard = np.einsum("mk,mkc->mc", np.exp(-gamma * np.square(distances)), masses[neighbours])
    silent = heard.sum(1) == 0
    heard[silent] = fallback
    return (heard / heard.sum(1, keepdims=True)).astype(np.float32)


def new_sparse(distances, neighbours, masses, gamma, fallback):
    from scipy import sparse

    m, k = distances.shape
    w = np.exp(-gamma * distances**2).ravel()
    S = sparse.csr_array((w, neighbours.ravel(), np.arange(0, m * k + 1, k)), shape=(m, len(masses)))
    heard = S @ masses
    total = heard.sum(1, keepdims=True)
    return np.divide(heard, total, out=np.tile(fallback, (m, 1)).astype(float), where=total > 0)


def _new(weight=lambda d, g: np.exp(-g * d**2), rows=lambda F: F, finish=None):
    def answer(distances, neighbours, masses, gamma, fallback):
        heard = (weight(distances, gamma)[:, :, None] * rows(masses)[neighbours]).sum(1)
        total = heard.sum(1, keepdims=True)
        if finish:
            with np.errstate(all="ignore"):
                return finish(heard, total, fallback, weight(distances, gamma))
        return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback)

    return answer


def _row_shares(F):
    s = F.sum(1, keepdims=True)
    return F / np.where(s > 0, s, 1)


def new_shifted(distances, neighbours, masses, gamma, fallback):
    nearest = distances.min(axis=1, keepdims=True) ** 2
    return _new(lambda d, g: np.exp(-g * (d**2 - nearest)))(distances, neighbours, masses, gamma, fallback)


def new_first(distances, neighbours, masses, gamma, fallback):
    return masses[neighbours[:, 0]]


def new_turned(distances, neighbours, masses, gamma, fallback):
    return _new()(distances[:, ::-1], neighbours, masses, gamma, fallback)


def new_in_place(distances, neighbours, masses, gamma, fallback):
    distances **= 2
    return _new(lambda d, g: np.exp(-g * d))(distances, neighbours, masses, gamma, fallback)


def new_wrong_axis(distances, neighbours, masses, gamma, fallback):
    heard = (np.exp(-gamma * distances**2)[:, :, None] * masses[neighbours]).sum(2)
    return heard / heard.sum(1, keepdims=True)


# --------------------------------------------------------------------------------------------- 3.7 the second opinion


def opinion_where(guess, mask, index, opinion):
    return torch.where(opinion[index] == guess, mask, torch.zeros_like(mask))


def opinion_loop(guess, mask, index, opinion):
    kept = [float(m == 1 and opinion[i] == g) for g, m, i in zip(guess, mask, index)]
    return torch.tensor(kept)


def opinion_logical(guess, mask, index, opinion):
    return (mask.bool() & opinion.gather(0, index).eq(guess)).double()


def opinion_agreement_or_mask(guess, mask, index, opinion):
    kept = opinion_where(guess, mask, index, opinion)
    return kept if kept.any() else mask.clone()


def opinion_same_mask(guess, mask, index, opinion):
    agree = opinion[index] == guess
    return mask if agree.all() else mask * agree


def opinion_in_place(guess, mask, index, opinion):
    mask[opinion[index] != guess] = 0
    return mask


RIGHT = {
    "3.1": [affinity_loop, affinity_scipy, affinity_sklearn, affinity_torch, affinity_expanded],
    "3.2": [knn_loop, knn_sklearn, knn_partition],
    "3.3": [lp_loop, lp_where, lp_positions],
    "3.4": [ls_multiply, ls_loop, ls_diagonal],
    "3.5": [factors_loop, factors_divide, factors_select],
    "3.6": [new_loop, new_einsum, new_sparse],
    "3.7": [opinion_where, opinion_loop, opinion_logical],
}

WRONG = {
    "3.1": [
        (lambda x, g: np.exp(-g * _squared(x)), "the diagonal is 1"),
        (lambda x, g: _no_self(np.exp(-g * np.sqrt(_squared(x)))), "not squared"),
        (lambda x, g: np.exp(-g * np.sqrt(_squared(x))), "not squared, and the diagonal"),
        (lambda x, g: _no_self(np.exp(g * _squared(x))), "sign is wrong"),
        (lambda x, g: _no_self(np.exp(-_squared(x))), "gamma is ignored"),
        (lambda x, g: _no_self(np.exp(-_squared(x) / g)), "gamma divides"),
        (lambda x, g: _no_self(np.exp(-_squared(x) / (2 * g**2))), "width sigma"),
        (lambda x, g: _no_self(np.exp(-g * ((x[:, None] - x) ** 2).mean(2))), "averaged over the coordinates"),
        (lambda x, g: _no_self(np.exp(-g * np.abs(x[:, None] - x).sum(2))), "absolute differences"),
        (lambda x, g: _no_self(np.exp(-g * np.abs(x[:, None] - x).sum(2) ** 2)), "the sum is squared"),
        (lambda x, g: _squared(x), "the exponential is missing"),
        (lambda x, g: np.exp(-g * _squared(x)) - 1, "only the diagonal becomes 0"),
        (lambda x, g: np.where(_squared(x) > 0, np.exp(-g * _squared(x)), 0), "not every distance 0"),
        (lambda x, g: _no_self(np.exp(-g * _squared(x))).sum(1), "one weight for each pair"),
        (lambda x, g: affinity_loop(x, g)[:3, :3] if len(x) < 4 else affinity_loop(x[:3], g), "five points"),
        (lambda x, g: torch.from_numpy(affinity_loop(x, g)), "must be a numpy array"),
        (affinity_in_place, "changes its input"),
        (lambda x, g: _no_self(np.exp(-g * _squared(x[:, :2]))), "only the first two coordinates"),
        (lambda x, g: _no_self(np.exp(-g * (x[:, None] - x).sum(2) ** 2)), "summed before they are squared"),
        (lambda x, g: _no_self(np.exp(-(g**2) * _squared(x))), "gamma is squared"),
        (lambda x, g: np.triu(affinity_scipy(x, g)), "only the upper triangle"),
        (lambda x, g: np.tril(affinity_scipy(x, g)), "only the lower triangle"),
        (lambda x, g: None, "returned None"),
        (lambda x, g: np.exp(-g * _squared(x) / np.median(_squared(x))), "W for the points"),
    ],
    "3.2": [
        (_directed, "not symmetric"),
        (lambda x, k: _directed(x, k).T, "not symmetric"),
        (lambda x, k: _directed(x, k) * _directed(x, k).T, "one of the two is enough"),
        (lambda x, k: _directed(x, k) + _directed(x, k).T, "count twice"),
        (lambda x, k: (_directed(x, k) + _directed(x, k).T) / 2, "averaged"),
        (lambda x, k: _symmetric(_graph(_nearest(x, k, keep_self=True), len(x))), "found itself"),
        (lambda x, k: _symmetric(_graph(_nearest(x, k), len(x))) + np.eye(len(x)), "diagonal is not 0"),
        (knn_masked_weights, "these are distances"),
        (lambda x, k: _symmetric(_graph(_nearest(x, k + 1), len(x))), "one too many"),
        (lambda x, k: _symmetric(_graph(np.argsort(-cdist(x, x), 1)[:, :k], len(x))), "farthest"),
        (lambda x, k: _symmetric(_directed(x, 1)), "k = 2"),
        (lambda x, k: _symmetric(_graph(_nearest(x, k)[:, -1:], len(x))), "only the k-th"),
        (lambda x, k: _nearest(x, k), "has shape"),
        (lambda x, k: _symmetric(_graph(_nearest(x, k + 1)[:, 1:], len(x))), "nearest is left out"),
        (knn_in_place, "changes its input"),
        (lambda x, k: _symmetric(_graph(np.argsort(cdist(x, x), 1)[:, 1 : k + 1], len(x)))[:4, :4], "has shape"),
        (lambda x, k: 1 - np.eye(len(x)), "everybody"),
        (lambda x, k: kneighbors_graph(x, k), ".toarray()"),
        (lambda x, k: _symmetric(_graph(_nearest(x, k - 1), len(x))), "one neighbour too few"),
        (knn_strict, "one neighbour too few"),
        (knn_self_removed_late, "each point has found itself"),
        (knn_axis_0, "sort each row"),
        (lambda x, k: _from_distances(np.abs(x[:, None, 0] - x[None, :, 0]), k), "only the first coordinate"),
        (lambda x, k: _from_distances(cdist(x, x, "cityblock"), k), "Euclidean, sum their squares"),
        (lambda x, k: _from_distances(cdist(x, x, "chebyshev"), k), "only the largest difference"),
        (lambda x, k: _symmetric(_directed(x[:, :2], k)), "only the first two coordinates"),
        (knn_finite(lambda d: 100), "larger than every distance"),
        (knn_finite(lambda d: 1e9), "larger than every distance"),
        (knn_finite(lambda d: d.max()), "larger than every distance"),
        (knn_capped, "has k edges already"),
        (knn_drops_the_first, "its twin may stand there"),
        (knn_no_twins, "do not find each other"),
    ],
    "3.3": [
        (_lp(_average, clamp=False), "not clamped"),
        (_lp(lambda W, F, d: W @ F), "the sum of the neighbours"),
        (_lp(_rescaled), "rows are rescaled"),
        (_lp(lambda W, F, d: W @ (F / d)), "columns are divided"),
        (_lp(lambda W, F, d: d**-0.5 * (W @ (d**-0.5 * F))), "as in label spreading"),
        (_lp(lambda W, F, d: (W @ F + F) / (d + 1)), "self loop"),
        (_lp(_average, safe=False), "nan"),
        (_lp(lambda W, F, d: ((W > 0) @ F) / np.maximum((W > 0).sum(axis=1), 1)[:, None]), "count alike"),
        (lambda W, Y, l, n: lp_where(W, Y, l, n + 1), "one step too many"),
        (lambda W, Y, l, n: lp_where(W, Y, l, min(n, 1)), "one step only"),
        (lp_from_start, "one step only"),
        (lp_clamp_before, "not clamped"),
        (lp_in_place_W, "changes its input"),
        (lp_in_place_Y, "changes its input"),
        (lp_dense_inverse, "for a sparse W"),
        (lp_whole_numbers, "whole numbers"),
        (lambda W, Y, l, n: lp_where(W, Y, l, n) if n else Y, "returns Y itself"),
        (lambda W, Y, l, n: Y.astype(float), "nothing flows"),
        (lambda W, Y, l, n: lp_where(W, Y, l, max(n - 1, 0)), "one step too few"),
        (lp_clamp_after_all, "after the loop only"),
        (lp_lonely_zero, "keeps its label"),
        (_lp_degree(lambda d: d + 1e-9), "weak edges"),
        (_lp_degree(lambda d: d + 1e-12), "weak edges"),
        (_lp_degree(lambda d: np.where(d > 1e-6, d, 1)), "weak edges"),
        (_lp_degree(lambda d: np.where(np.isclose(d, 0), 1, d)), "weak edges"),
        (lp_keeps_the_type, "no float array"),
        (_lp(lambda W, F, d: (W @ F) / np.maximum(W.sum(axis=1), 1)[:, None]), "a degree below 1 is replaced by 1"),
        (lp_dense, "N x N"),
        (lp_diagonal, "N x N"),
        (lambda W, Y, l, n: lp_where(W, Y, l, n).argmax(1), "has shape"),
    ],
    "3.4": [
        (_ls(left=-1, right=0), "only one degree"),
        (_ls(left=0, right=-1), "that of the column"),
        (_ls(left=-1, right=-1), "divided out whole"),
        (_ls(left=-0.5, right=0), "only the row's degree"),
        (_ls(left=0, right=-0.5), "only the column's degree"),
        (_ls(left=0, right=0), "not normalised"),
        (_ls(left=0.5, right=0.5), "multiplies with the roots"),
        (_ls(lambda SF, Y, F, a: (1 - a) * SF + a * Y), "exchanged"),
        (_ls(lambda SF, Y, F, a: a * SF + Y), "(1 - alpha) is missing"),
        (_ls(lambda SF, Y, F, a: a * SF), "the labels are forgotten"),
        (_ls(lambda SF, Y, F, a: a * SF + (1 - a) * F), "and not to the last F"),
        (ls_labels_at_the_end, "at the end"),
        (_ls(safe=False), "nan"),
        (_ls(start=lambda Y, a: (1 - a) * Y), "starts from Y"),
        (ls_clamped, "clamped"),
        (ls_rows, "divided by their sums"),
        (ls_in_place, "changes its input"),
        (ls_outer, "for a sparse W"),
        (lambda W, Y, a, n: ls_multiply(W, Y, a, n + 1), "one step too many"),
        (lambda W, Y, a, n: ls_multiply(W, Y, a, max(n - 1, 0)), "one step too few"),
        (_ls(start=lambda Y, a: np.zeros(Y.shape)), "F starts from Y, not from zeros"),
        (ls_limit, "the limit of many steps"),
        (ls_lonely_zero, "is set to 0"),
        (ls_below_one, "a degree below 1 is replaced by 1"),
        (_ls_scale(lambda d: 1 / np.sqrt(d + 1e-9)), "weak edges"),
        (_ls_scale(lambda d: 1 / (np.sqrt(d) + 1e-6)), "weak edges"),
        (_ls_scale(lambda d: 1 / np.sqrt(np.where(d > 1e-6, d, 1))), "weak edges"),
        (ls_two_classes, "two classes only"),
        (ls_buffer, "whole numbers"),
        (lambda W, Y, a, n: ls_multiply(W, Y, a, n) if n else Y.copy(), "whole numbers"),
        (ls_dense, "N x N"),
        (lambda W, Y, a, n: ls_multiply(W, Y, a, min(n, 1)), "one step only"),
        (lambda W, Y, a, n: ls_multiply(W, Y, a, n) if n else Y, "returns Y itself"),
    ],
    "3.5": [
        (_factors(lambda p, s, m: p / m.sum(0)), "sum of all masses is missing"),
        (_factors(lambda p, s, m: s / p), "upside down"),
        (_factors(lambda p, s, m: p / _row_shares(m).mean(0)), "normalised first"),
        (_factors(lambda p, s, m: p / m.mean(0)), "mean over the images"),
        (_factors(lambda p, s, m: p * s), "multiplied: divide"),
        (_factors(lambda p, s, m: s), "these are the shares"),
        (_factors(lambda p, s, m: p), "this is the prior"),
        (_factors(lambda p, s, m: 1 / s), "the prior is ignored"),
        (_factors(lambda p, s, m: 1 / len(p) / s), "the prior is ignored"),
        (_factors(lambda p, s, m: (p / s) / (p / s).sum()), "divided by their sum"),
        (lambda m, p: m * factors_loop(m, p), "factors alone"),
        (_factors(lambda p, s, m: p - s), "subtracted"),
        (_factors(lambda p, s, m: p[::-1] / s), "different classes"),
        (lambda m, p: np.where(m.sum(0) > 0, p * m.sum() / np.maximum(m.sum(0), 1e-12), 0.0), "gets the factor 0"),
        (lambda m, p: p * m.sum() / np.where(m.sum(0) > 0, m.sum(0), 0.0), "nan or infinite"),
        (_factors(lambda p, s, m: p / np.bincount(m.argmax(1), minlength=len(p)) * len(m)), "largest class"),
        (lambda m, p: factors_loop(m, p).tolist(), "must be a numpy array"),
        (lambda m, p: np.where(p > 0, factors_loop(m, p), 1), "should have the share 0"),
        (factors_buffer, "with masses of whole numbers"),
        (factors_tolerant(lambda share: share <= 1e-3), "little mass"),
        (factors_tolerant(lambda share: np.isclose(share, 0)), "little mass"),
        (lambda m, p: p / np.maximum(m.sum(0) / m.sum(), 1e-3), "something tiny is added"),
        (lambda m, p: np.where(m.sum(0) > 0, factors_loop(m, p), p), "its prior as the factor"),
        (lambda m, p: np.where(m.sum(0) > 0, p / np.maximum(m.sum(0) / m.sum(), 1e-3), 1), "little mass"),
        (lambda m, p: p / (m.sum(0) / m.sum() + 1e-9), "something tiny is added"),
        (factors_prior_rescaled, "the prior is rescaled"),
    ],
    "3.6": [
        (_new(lambda d, g: np.exp(-g * d)), "not squared"),
        (_new(lambda d, g: np.exp(g * d**2)), "sign is wrong"),
        (_new(lambda d, g: np.exp(-(d**2))), "gamma is ignored"),
        (_new(lambda d, g: np.exp(-(d**2) / g)), "gamma divides"),
        (_new(lambda d, g: np.ones_like(d)), "count alike"),
        (_new(lambda d, g: d), "distances serve as weights"),
        (_new(finish=lambda h, t, f, w: h), "do not sum to 1"),
        (_new(finish=lambda h, t, f, w: h / w.sum(1, keepdims=True)), "sum of the weights"),
        (_new(rows=_row_shares), "normalised first"),
        (_new(finish=lambda h, t, f, w: h / t), "nan"),
        (_new(finish=lambda h, t, f, w: np.where(t > 0, h / np.where(t > 0, t, 1), 0)), "gets zeros"),
        (_new(finish=lambda h, t, f, w: np.where(t > 0, h / np.where(t > 0, t, 1), 0.5)), "equal shares"),
        (_new(finish=lambda h, t, f, w: h / t if (t > 0).all() else np.tile(f, (len(h), 1))), "row by row"),
        (_new(finish=lambda h, t, f, w: h / h.sum(0)), "over the images"),
        (_new(finish=lambda h, t, f, w: h / w.shape[1]), "do not sum to 1"),
        (_new(finish=lambda h, t, f, w: np.where(t > 0, h / t.sum(), f)), "do not sum to 1"),
        (_new(rows=lambda F: np.eye(F.shape[1])[F.argmax(1)]), "votes for its largest class"),
        (_new(finish=lambda h, t, f, w: np.where(t > 0, h / (t + 1e-8), f)), "nothing added to it"),
        (_new(finish=lambda h, t, f, w: np.where(t > 1e-12, h / np.where(t > 0, t, 1), f)), "without a tolerance"),
        (
            _new(finish=lambda h, t, f, w: np.where(np.isclose(t, 0), f, h / np.where(t > 0, t, 1))),
            "without a tolerance",
        ),
        (
            _new(finish=lambda h, t, f, w: np.where((w > 0).all(1, keepdims=True) & (t > 0), h / np.where(t > 0, t, 1), f)),
            "one weight is zero",
        ),
        (_new(finish=lambda h, t, f, w: np.where(t > 0, h / np.where(f > 0, t, 1), f)), "whatever `fallback` holds"),
        (
            _new(finish=lambda h, t, f, w: np.where(t > 0, h / np.where(w.min(1, keepdims=True) < 1, t, 1), f)),
            "whatever gamma holds",
        ),
        (new_first, "only the first neighbour"),
        (new_shifted, "scaled by the largest"),
        (new_turned, "do not belong together"),
        (new_in_place, "changes its input"),
        (new_wrong_axis, "summed over the classes"),
        (_new(finish=lambda h, t, f, w: np.exp(h / t) / np.exp(h / t).sum(1, keepdims=True)), "softmax"),
    ],
    "3.7": [
        (lambda g, m, i, o: (o[i] == g).float(), "mask is lost"),
        (lambda g, m, i, o: m * (o[i] >= g), "higher class number"),
        (lambda g, m, i, o: m * (o[: len(g)] == g), "first B images"),
        (lambda g, m, i, o: m.clone(), "not asked"),
        (lambda g, m, i, o: m * (o[i] != g), "DISAGREES"),
        (lambda g, m, i, o: torch.maximum(m, (o[i] == g).float()), "one condition is enough"),
        (lambda g, m, i, o: m + (o[i] == g), "added"),
        (lambda g, m, i, o: m * ((o[i] == g) | (o[i] == -1)), "no opinion"),
        (lambda g, m, i, o: m * (o[i] >= 0), "any opinion"),
        (lambda g, m, i, o: m * (o[g] == g), "looked up by guess"),
        (lambda g, m, i, o: m * (o[g] == i), "exchanged"),
        (lambda g, m, i, o: m * (o[i] == g[i % len(g)]), "guesses are looked up by index"),
        (lambda g, m, i, o: m[i % len(m)] * (o[i] == g), "mask is looked up by index"),
        (lambda g, m, i, o: m * torch.where(o[i] == g, 1.0, -1.0), "gets -1"),
        (lambda g, m, i, o: (m + (o[i] == g)) / 2, "averaged"),
        (lambda g, m, i, o: m * o[i], "class number"),
        (lambda g, m, i, o: (o[i] == g)[m.bool()].float(), "removed"),
        (lambda g, m, i, o: (m.bool() & (o[i] == g)).nonzero().squeeze(1), "positions"),
        (lambda g, m, i, o: m.bool() & (o[i] == g), "float tensor"),
        (opinion_in_place, "changes its input"),
        (opinion_agreement_or_mask, "comes back as it is"),
        (opinion_same_mask, "returns `mask` itself"),
        (lambda g, m, i, o: m * ((o[i] == g) & (o[i] > 0)), "class 0 is a class"),
        (lambda g, m, i, o: m * ((o[i] == g) & (g > 0)), "class 0 is a class"),
        (lambda g, m, i, o: m * (o[i] > 0), "an opinion above 0"),
        (lambda g, m, i, o: m * (o[i] <= g), "lower class number"),
        (lambda g, m, i, o: m * torch.isin(g, o[i]), "anywhere in the batch"),
        (lambda g, m, i, o: m * (o[i] == g).any(), "anywhere in the batch"),
        (lambda g, m, i, o: m * (o[i] == g.flip(0)), "the guesses are turned round"),
        (lambda g, m, i, o: m.flip(0) * (o[i] == g), "the mask is turned round"),
        (lambda g, m, i, o: m * (o[i.flip(0)] == g), "the index is turned round"),
        (lambda g, m, i, o: m * (o[i.sort().values] == g), "the index is sorted"),
        (lambda g, m, i, o: m * (o[i - 1] == g), "the image before"),
        (lambda g, m, i, o: m * g, "these are the guesses"),
        (lambda g, m, i, o: m * (o[i] == g) * (i < len(o) - 1), "expected"),
        (lambda g, m, i, o: m * (o == g), "it raised RuntimeError"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "3.1": {
        "difference = x[:, None] - x[None] -> difference = -(x[:, None] - x[None])": "the difference is squared",
        "difference = x[:, None] - x[None] -> difference = x[None] - x[:, None]": "the difference is squared",
        "difference = x[:, None] - x[None] -> difference = x[:, None] - x": "numpy adds the leading axis by itself",
        "W = np.exp(-gamma * (difference ** 2).sum(axis=2)) -> W = np.exp(-gamma * (difference ** 2).sum(axis=-1))": "this axis is the last one",
    },
    "3.2": {
        "d = np.linalg.norm(x[:, None] - x[None], axis=2) -> d = np.linalg.norm(x[None] - x[:, None], axis=2)": "a distance has no sign",
        "d = np.linalg.norm(x[:, None] - x[None], axis=2) -> d = np.linalg.norm(x[:, None] - x, axis=2)": "numpy adds the leading axis by itself",
        "d = np.linalg.norm(x[:, None] - x[None], axis=2) -> d = np.linalg.norm(x[:, None] - x[None], axis=-1)": "this axis is the last one",
        "nearest = np.argsort(d, axis=1)[:, :k] -> nearest = np.argsort(d)[:, :k]": "the last axis is the default",
        "nearest = np.argsort(d, axis=1)[:, :k] -> nearest = np.argsort(d, axis=-1)[:, :k]": "this axis is the last one",
        "A = np.zeros((len(x), len(x))) -> A = -np.zeros((len(x), len(x)))": "minus zero is zero",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(d), len(x)))": "x, d and nearest have N rows, and d has N columns",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(nearest), len(x)))": "x, d and nearest have N rows, and d has N columns",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(x), len(d)))": "x, d and nearest have N rows, and d has N columns",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(x), len(nearest)))": "x, d and nearest have N rows, and d has N columns",
        "np.put_along_axis(A, nearest, 1, axis=1) -> np.put_along_axis(A, nearest, 1, axis=-1)": "this axis is the last one",
    },
    "3.3": {
        "degree = W.sum(axis=1) -> degree = W.sum(axis=-1)": "this axis is the last one",
        "degree = W.sum(axis=1) -> degree = W.sum(axis=0)": "W is symmetric",
        "degree = np.where(degree > 0, degree, 1)[:, None] -> degree = np.where(degree != 0, degree, 1)[:, None]": "a degree is never negative",
        "degree = np.where(degree > 0, degree, 1)[:, None] -> degree = np.where(degree > 0, degree, 2)[:, None]": "a row without edges is 0 before it is divided",
    },
    "3.4": {
        "degree = W.sum(axis=1) -> degree = W.sum(axis=-1)": "this axis is the last one",
        "degree = W.sum(axis=1) -> degree = W.sum(axis=0)": "W is symmetric",
        "scale = np.where(degree > 0, degree, 1)[:, None] ** (-0.5) -> scale = -np.where(degree > 0, degree, 1)[:, None] ** (-0.5)": "the scale stands on both sides of W",
        "scale = np.where(degree > 0, degree, 1)[:, None] ** (-0.5) -> scale = np.where(degree != 0, degree, 1)[:, None] ** (-0.5)": "a degree is never negative",
        "scale = np.where(degree > 0, degree, 1)[:, None] ** (-0.5) -> scale = np.where(degree > 0, degree, 2)[:, None] ** (-0.5)": "a row or column without edges is 0 before it is scaled",
    },
    "3.5": {
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share != 0, prior / np.where(share > 0, share, 1), 1.0)": "a share is never negative",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / share, 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(1, share, share > 0), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share >= 0, share, 1), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share != 0, share, 1), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(prior > 0, share, 1), 1.0)": "a prior of 0 gives the factor 0, whatever it is divided by",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share > -1, share, 1), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share > 0, share, 2), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share > 0, share, 0), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
    },
    "3.6": {
        "heard = (weights[:, :, None] * masses[neighbours]).sum(axis=1) -> heard = (weights[:, :, None] * masses[neighbours]).mean(axis=1)": "the number of neighbours cancels when the row is divided by its sum",
        "total = heard.sum(axis=1, keepdims=True) -> total = heard.sum(axis=-1, keepdims=True)": "this axis is the last one",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total != 0, heard / np.where(total > 0, total, 1), fallback)": "what is heard is never negative",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / total, fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(1, total, total > 0), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total >= 0, total, 1), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total != 0, total, 1), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(heard > 0, total, 1), fallback)": "0 divided by 1 is 0, too",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total > -1, total, 1), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total > 0, total, 2), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total > 0, total, 0), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
    },
}
