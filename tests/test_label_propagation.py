"""Lesson 03: the graph methods on random graphs, against their closed forms, against scikit-learn, and on a graph of full size."""

import ast
import tracemalloc

import numpy as np
import pytest
import torch
from lessons import SOURCES, notebook, solutions
from scipy import sparse
from sklearn.neighbors import kneighbors_graph
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

(SOURCE,) = (source for source in SOURCES if source.name.startswith("03"))


@pytest.fixture(scope="module")
def lesson():
    return solutions("03")


def given(*names):
    """Functions that the lesson defines beside its exercises, without the cells around them."""
    namespace = {}
    for cell in notebook(SOURCE).cells:
        if "setup" in cell.metadata.get("tags", []):
            exec(cell.source, namespace)
        elif cell.cell_type == "code":
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.FunctionDef) and node.name in names:
                    exec(ast.unparse(node), namespace)
    return [namespace[name] for name in names]


def problems(n=60, num_classes=4, labels=12):
    """Random connected graphs with one-hot labels on some nodes: (x, W, Y, labelled)."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n, 3))
        W = np.exp(-((x[:, None] - x) ** 2).sum(2))
        np.fill_diagonal(W, 0)
        labelled = np.zeros(n, bool)
        labelled[rng.permutation(n)[:labels]] = True
        Y = np.zeros((n, num_classes))
        Y[labelled] = np.eye(num_classes)[rng.permutation(np.arange(labels) % num_classes)]
        yield x, W, Y, labelled


# ----------------------------------------------------------------------------------------------------- the graph


def test_affinity_is_symmetric_and_falls_with_distance_and_gamma(lesson):
    for x, *_ in problems():
        W, sharper = lesson.gaussian_affinity(x, 0.5), lesson.gaussian_affinity(x, 2.0)
        off = ~np.eye(len(x), dtype=bool)
        assert np.array_equal(W, W.T) and (sharper[off] <= W[off]).all() and W.max() <= 1 and not W.diagonal().any()
        assert np.allclose(W, lesson.gaussian_affinity(x + 7, 0.5)) and np.allclose(W**4, sharper)


@pytest.mark.parametrize("k", [1, 3, 10, 59])
def test_neighbour_graph_joins_who_chose_or_was_chosen(lesson, k):
    for x, *_ in problems():
        A = lesson.knn_graph(x, k)
        directed = kneighbors_graph(x, k).toarray()  # scikit-learn's is not symmetric
        assert np.array_equal(A, np.maximum(directed, directed.T))
        assert (A.sum(1) >= k).all() and not A.diagonal().any()


def test_sparse_graph_is_the_graph_of_the_exercises(lesson):
    (sparse_graph,) = given("sparse_graph")
    for x, *_ in problems():
        W = sparse_graph(x, 5, 0.7)
        assert np.allclose(W.toarray(), lesson.gaussian_affinity(x, 0.7) * lesson.knn_graph(x, 5))


# ---------------------------------------------------------------------------------------------------------- flow


def test_propagation_reaches_the_harmonic_function(lesson):
    for _, W, Y, labelled in problems():
        masses = lesson.label_propagation(W, Y, labelled, 3000)
        T, free = W / W.sum(1, keepdims=True), ~labelled
        limit = np.linalg.solve(np.eye(free.sum()) - T[np.ix_(free, free)], T[np.ix_(free, labelled)] @ Y[labelled])
        assert np.allclose(masses[free], limit, atol=1e-6)
        assert np.allclose(masses.sum(1), 1, atol=1e-6) and np.array_equal(masses[labelled], Y[labelled])


def test_spreading_reaches_its_closed_form(lesson):
    for _, W, Y, _ in problems():
        d = W.sum(1) ** -0.5
        for alpha in (0.0, 0.2, 0.9):
            limit = (1 - alpha) * np.linalg.solve(np.eye(len(W)) - alpha * d[:, None] * W * d, Y)
            assert np.allclose(lesson.label_spreading(W, Y, alpha, 500), limit, atol=1e-6)


def test_both_agree_with_scikit_learn(lesson):
    for x, W, Y, labelled in problems():
        targets = np.where(labelled, Y.argmax(1), -1)
        theirs = LabelPropagation(lambda a, b, W=W: W.copy(), max_iter=5000, tol=1e-12).fit(x, targets)
        ours = lesson.label_propagation(W, Y, labelled, 5000)
        assert np.allclose(ours, theirs.label_distributions_, atol=1e-6)
        assert np.array_equal(ours.argmax(1), theirs.transduction_)
        theirs = LabelSpreading(lambda a, b, W=W: W.copy(), alpha=0.8, max_iter=500, tol=1e-14).fit(x, targets)
        ours = lesson.label_spreading(W, Y, 0.8, 500)
        assert np.allclose(ours / ours.sum(1, keepdims=True), theirs.label_distributions_, atol=1e-6)


def test_dense_and_sparse_weights_give_the_same(lesson):
    for x, W, Y, labelled in problems():
        W = W * lesson.knn_graph(x, 3)
        for answer in (
            lambda W, Y=Y, l=labelled: lesson.label_propagation(W, Y, l, 7),
            lambda W, Y=Y: lesson.label_spreading(W, Y, 0.7, 7),
        ):
            assert np.allclose(answer(W), answer(sparse.csr_array(W)), atol=1e-12)


def test_order_of_nodes_and_classes_does_not_matter(lesson):
    for _, W, Y, labelled in problems():
        nodes, classes = np.random.default_rng(1).permutation(len(W)), [2, 0, 3, 1]
        turned = W[np.ix_(nodes, nodes)], Y[nodes][:, classes]
        lp = lesson.label_propagation(W, Y, labelled, 9)[nodes][:, classes]
        assert np.allclose(lesson.label_propagation(*turned, labelled[nodes], 9), lp)
        ls = lesson.label_spreading(W, Y, 0.6, 9)[nodes][:, classes]
        assert np.allclose(lesson.label_spreading(*turned, 0.6, 9), ls)


def test_spreading_may_outvote_a_label_and_propagation_never_does(lesson):
    W = np.zeros((6, 6))
    W[0, 1:] = W[1:, 0] = 1.0
    Y = np.eye(2)[[0, 1, 1, 1, 1, 1]]
    assert lesson.label_propagation(W, Y, np.ones(6, bool), 50)[0].argmax() == 0
    assert lesson.label_spreading(W, Y, 0.99, 3000)[0].argmax() == 1


# ------------------------------------------------------------------------------------- masses, new images, opinions


def test_factors_give_the_wanted_shares(lesson):
    rng = np.random.default_rng(0)
    for _ in range(20):
        masses, prior = rng.random((50, 5)), rng.dirichlet(np.ones(5))
        scaled = masses * lesson.class_factors(masses, prior)
        assert np.allclose(scaled.sum(0) / scaled.sum(), prior)
        assert np.allclose(lesson.class_factors(9 * masses, prior), lesson.class_factors(masses, prior))


def test_a_new_image_at_the_place_of_a_node_answers_as_its_own_nearest_neighbour(lesson):
    rng = np.random.default_rng(0)
    masses = rng.random((30, 4))
    nodes = rng.permutation(30)[:, None]
    answers = lesson.predict_new(np.zeros((30, 1)), nodes, masses, 3.0, np.full(4, 0.25))
    assert np.allclose(answers, (masses / masses.sum(1, keepdims=True))[nodes[:, 0]])


def test_answers_are_probabilities_whatever_the_masses(lesson):
    rng = np.random.default_rng(0)
    masses = rng.random((40, 3)) * (rng.random((40, 1)) < 0.5)
    distances, neighbours = rng.random((200, 2)), rng.integers(0, 40, (200, 2))
    answers = lesson.predict_new(distances, neighbours, masses, 1.0, np.array([0.2, 0.3, 0.5]))
    silent = masses[neighbours].sum((1, 2)) == 0
    assert silent.any() and np.allclose(answers.sum(1), 1) and np.allclose(answers[silent], [0.2, 0.3, 0.5])


def test_the_second_opinion_only_takes_away(lesson):
    rng = torch.Generator().manual_seed(0)
    opinion = torch.randint(-1, 4, (100,), generator=rng)
    pseudo_label, index = torch.randint(0, 4, (64,), generator=rng), torch.randint(0, 100, (64,), generator=rng)
    mask = (torch.rand(64, generator=rng) < 0.5).float()
    kept = lesson.second_opinion(pseudo_label, mask, index, opinion)
    assert (kept <= mask).all() and kept.sum() > 0 and (opinion[index][kept == 1] == pseudo_label[kept == 1]).all()


def test_rows_without_mass_are_announced(capsys):
    (to_probabilities,) = given("to_probabilities")
    shares = to_probabilities(np.array([[2.0, 2], [0, 0]]), np.array([0.9, 0.1]))
    assert np.allclose(shares, [[0.5, 0.5], [0.9, 0.1]]) and "no label reaches 1 of 2" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------- the full size


def test_the_whole_pool_needs_no_array_of_all_pairs(lesson):
    (sparse_graph,) = given("sparse_graph")
    n, rng = 7007, np.random.default_rng(0)
    x, Y, labelled = rng.normal(size=(n, 64)).astype(np.float32), np.zeros((n, 7)), np.arange(n) < 500
    Y[:500] = np.eye(7)[rng.integers(0, 7, 500)]
    tracemalloc.start()
    W = sparse_graph(x, 10, 0.01)
    masses = lesson.label_propagation(W, Y, labelled, 20)
    spread = lesson.label_spreading(W, Y, 0.9, 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert W.nnz <= 2 * 10 * n and np.isfinite(masses).all() and np.isfinite(spread).all()
    assert peak < n * n  # bytes: an array of all pairs would need eight times as many
