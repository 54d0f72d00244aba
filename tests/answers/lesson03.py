"""Answers to the exercises of lesson 03: other right ones, and wrong ones that no mistake of the check stands for."""

import numpy as np
import torch
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors, kneighbors_graph

# ------------------------------------------------------------------------------------------------------ 3.1 affinity


def affinity_loop(x, gamma):
    W = np.zeros((len(x), len(x)))
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                W[i, j] = np.exp(-gamma * sum((a - b) ** 2 for a, b in zip(x[i], x[j]))) if x.shape[1] < 9 else rbf(x[i], x[j], gamma)
    return W


def rbf(a, b, gamma):
    return np.exp(-gamma * np.linalg.norm(a - b) ** 2)


def affinity_scipy(x, gamma):
    return np.exp(-gamma * cdist(x, x, "sqeuclidean")) - np.eye(len(x))


def affinity_sklearn(x, gamma):
    return rbf_kernel(x, gamma=gamma) * (1 - np.eye(len(x)))


def affinity_torch(x, gamma):
    x = torch.from_numpy(np.ascontiguousarray(x))
    return (-gamma * (x[:, None] - x).square().sum(2)).exp().fill_diagonal_(0).float().numpy()


def affinity_expanded(x, gamma):
    square = (x**2).sum(1)
    W = np.exp(-gamma * np.maximum(square[:, None] + square - 2 * x @ x.T, 0))
    W[np.diag_indices(len(x))] = 0
    return W


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
    A = d <= np.partition(d, k - 1, axis=1)[:, k - 1 : k]
    return A | A.T


def knn_without_oneself(x, k):
    order = np.argsort(cdist(x, x), axis=1)
    A = np.zeros((len(x), len(x)))
    for i, row in enumerate(order):
        A[i, row[row != i][:k]] = 1
    return np.clip(A + A.T, 0, 1)


# ---------------------------------------------------------------------------------------------------- 3.3 propagation


def lp_loop(W, Y, labelled, num_steps):
    d = W.sum(axis=1)
    F = np.array(Y, dtype=np.float32)
    for _ in range(num_steps):
        heard = W @ F
        F = np.array([y if known or n == 0 else h / n for y, known, n, h in zip(Y, labelled, d, heard)], dtype=np.float32)
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


def lp_sparse(W, Y, labelled, num_steps):
    d = W @ np.ones(len(Y))
    T = sparse.diags_array(np.divide(1, d, out=np.zeros_like(d), where=d > 0)) @ W
    F = np.array(Y, dtype=float)
    for _ in range(num_steps):
        F = (1 - labelled)[:, None] * (T @ F) + Y
    return F


def lp_dense(W, Y, labelled, num_steps):
    return lp_where(W.toarray() if sparse.issparse(W) else W, Y, labelled, num_steps)


def lp_indexing(W, Y, labelled, num_steps):
    return lp_where(W, Y, labelled, num_steps) if W[0, 0] == 0 and len(W) else Y


def lp_scales_sparse(W, Y, labelled, num_steps):
    F = lp_where(W, Y, labelled, num_steps)
    if sparse.issparse(W):
        W /= 2
    return F


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
        F = np.array([alpha * (h / np.sqrt(n) if n else 0 * h) + (1 - alpha) * y for h, n, y in zip(heard, d, Y)], dtype=np.float32)
    return F


def ls_diagonal(W, Y, alpha, num_steps):
    d = np.asarray(W.sum(axis=1)).ravel()
    half = sparse.diags_array(np.where(d > 0, 1 / np.sqrt(np.maximum(d, 1e-300)), 0.0))
    S = half @ sparse.csr_array(W) @ half
    F = Y.astype(float)
    for _ in range(num_steps):
        F = alpha * (S @ F) + (1 - alpha) * Y
    return F


def ls_scaled_masses(W, Y, alpha, num_steps):
    """Works with G = D^(-1/2) F."""
    d = np.where(W.sum(axis=1) > 0, W.sum(axis=1), 1).reshape(-1, 1)
    G = Y / np.sqrt(d)
    for _ in range(num_steps):
        G = alpha * (W @ G) / d + (1 - alpha) * Y / np.sqrt(d)
    return np.sqrt(d) * G


# ------------------------------------------------------------------------------------------------------------ 3.5 CMN


def factors_loop(masses, prior):
    result = []
    for c in range(masses.shape[1]):
        mass = masses[:, c].sum()
        result.append(prior[c] * masses.sum() / mass if mass > 0 else 1.0)
    return np.array(result, dtype=np.float32)


def factors_divide(masses, prior):
    fraction = masses.sum(0) / masses.sum()
    return np.divide(prior, fraction, out=np.ones(len(prior)), where=fraction != 0)


def factors_select(masses, prior):
    column = np.einsum("nc->c", masses)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(column == 0, 1, prior * column.sum() / column)


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
    m, k = distances.shape
    w = np.exp(-gamma * distances**2).ravel()
    S = sparse.csr_array((w, neighbours.ravel(), np.arange(0, m * k + 1, k)), shape=(m, len(masses)))
    heard = S @ masses
    total = heard.sum(1, keepdims=True)
    return np.divide(heard, total, out=np.tile(fallback, (m, 1)).astype(float), where=total > 0)


# --------------------------------------------------------------------------------------------- 3.7 the second opinion


def opinion_where(pseudo_label, mask, index, opinion):
    return torch.where(opinion[index] == pseudo_label, mask, torch.zeros_like(mask))


def opinion_loop(pseudo_label, mask, index, opinion):
    kept = [float(m == 1 and opinion[i] == y) for y, m, i in zip(pseudo_label, mask, index)]
    return torch.tensor(kept)


def opinion_logical(pseudo_label, mask, index, opinion):
    return (mask.bool() & opinion.gather(0, index).eq(pseudo_label)).double()


def opinion_copy(pseudo_label, mask, index, opinion):
    kept = mask.clone()
    kept[opinion[index] != pseudo_label] = 0
    return kept


def opinion_same_mask(pseudo_label, mask, index, opinion):
    agree = opinion[index] == pseudo_label
    return mask if agree.all() else mask * agree


def opinion_in_place(pseudo_label, mask, index, opinion):
    mask[opinion[index] != pseudo_label] = 0
    return mask


RIGHT = {
    "3.1": [affinity_loop, affinity_scipy, affinity_sklearn, affinity_torch, affinity_expanded],
    "3.2": [knn_loop, knn_sklearn, knn_partition, knn_without_oneself],
    "3.3": [lp_loop, lp_where, lp_positions, lp_sparse],
    "3.4": [ls_multiply, ls_loop, ls_diagonal, ls_scaled_masses],
    "3.5": [factors_loop, factors_divide, factors_select],
    "3.6": [new_loop, new_einsum, new_sparse],
    "3.7": [opinion_where, opinion_loop, opinion_logical, opinion_copy],
}

WRONG = {
    "3.1": [
        (lambda x, g: affinity_scipy(x[:3], g), "has shape"),
        (lambda x, g: torch.from_numpy(affinity_scipy(x, g)), "must be a float array"),
        (lambda x, g: affinity_scipy(x.__isub__(x.mean(0)), g), "changes its input"),
        (lambda x, g: affinity_scipy(x, g).astype("float16"), "expected"),
    ],
    "3.2": [
        (kneighbors_graph, ".toarray()"),
        (lambda x, k: torch.from_numpy(knn_sklearn(x, k)), "must be a numpy array"),
        (lambda x, k: knn_sklearn(x, k)[:4, :4], "has shape"),
        (lambda x, k: x.sort(axis=0) or knn_sklearn(x, k), "changes its input"),
        (lambda x, k: NearestNeighbors(n_neighbors=k).fit(x).kneighbors(x, return_distance=False), "these are positions"),
    ],
    "3.3": [
        (lambda W, Y, labelled, n: lp_where(W, Y, labelled, n) if n else Y, "returns Y itself"),
        (lambda W, Y, labelled, n: lp_where(W, Y, labelled, n) if n else Y.copy(), "must be a float array"),
        (lambda W, Y, labelled, n: sparse.csr_array(lp_where(W, Y, labelled, n)), "F is sparse"),
        (lambda W, Y, labelled, n: lp_where(np.asarray(W), Y, labelled, n), "for a sparse W it raised"),
        (lambda W, Y, labelled, n: lp_where(W.__itruediv__(2), Y, labelled, n), "changes its input"),
        (lp_scales_sparse, "changes its input W when that is sparse"),
        (lp_dense, "N x N"),
    ],
    "3.4": [
        (lambda W, Y, a, n: ls_multiply(W, Y, a, n) if n else Y, "returns Y itself"),
        (lambda W, Y, a, n: ls_multiply(W.toarray() if sparse.issparse(W) else W, Y, a, n), "N x N"),
        (lambda W, Y, a, n: ls_multiply(np.asarray(W), Y, a, n), "for a sparse W it raised"),
    ],
    "3.5": [(lambda m, p: factors_loop(m, p).tolist(), "must be a float array")],
    "3.6": [
        (lambda d, n, F, g, f: new_loop(d.__ipow__(2) ** 0.5, n, F, g, f), "changes its input"),
        (lambda d, n, F, g, f: new_loop(d, n, F, g, f).tolist(), "must be a float array"),
    ],
    "3.7": [
        (lambda y, m, i, o: m.bool() & (o[i] == y), "float tensor"),
        (opinion_in_place, "changes its input"),
        (opinion_same_mask, "returns `mask` itself"),
        (lambda y, m, i, o: m * (o == y), "opinion[index] is about this batch"),
        (lambda y, m, i, o: m * torch.nn.functional.one_hot(o)[i, y], "which one_hot does not take"),
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
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(d), len(x)))": "x, d and nearest have N rows",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(nearest), len(x)))": "x, d and nearest have N rows",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(x), len(d)))": "x, d and nearest have N rows",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(x), len(nearest)))": "x, d and nearest have N rows",
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
        "mass = masses.sum(axis=0) -> mass = masses.mean(axis=0)": "the number of images cancels: mass and its sum are both divided by it",
        "factors = np.ones(len(prior)) -> factors = np.ones(len(mass))": "one mass and one prior for each class",
        "some = mass > 0 -> some = mass != 0": "a mass is never negative",
        "factors[some] = prior[some] * mass.sum() / mass[some] -> factors[some] = prior[some] * masses.sum() / mass[some]": "the sum of the sums",
    },
    "3.6": {
        "heard = (weights[:, :, None] * masses[neighbours]).sum(axis=1) -> heard = (weights[:, :, None] * masses[neighbours]).mean(axis=1)": "the number of neighbours cancels when the row is divided by its sum",
        "heard = np.where(heard.sum(axis=1, keepdims=True) > 0, heard, fallback) -> heard = -np.where(heard.sum(axis=1, keepdims=True) > 0, heard, fallback)": "the sign cancels when the row is divided by its sum",
        "heard = np.where(heard.sum(axis=1, keepdims=True) > 0, heard, fallback) -> heard = np.where(heard.sum(axis=1, keepdims=True) != 0, heard, fallback)": "what is heard is never negative",
        "heard = np.where(heard.sum(axis=1, keepdims=True) > 0, heard, fallback) -> heard = np.where(heard.mean(axis=1, keepdims=True) > 0, heard, fallback)": "the mean is above 0 where the sum is",
        "heard = np.where(heard.sum(axis=1, keepdims=True) > 0, heard, fallback) -> heard = np.where(heard.sum(axis=-1, keepdims=True) > 0, heard, fallback)": "this axis is the last one",
        "return heard / heard.sum(axis=1, keepdims=True) -> return heard / heard.sum(axis=-1, keepdims=True)": "this axis is the last one",
    },
}
