"""Pseudo-labelling as lesson 02 builds it: invariants on random inputs, and agreement with scikit-learn."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lessons import solutions
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

from course_utils.batches import Batch


@pytest.fixture(scope="module")
def lesson():
    return solutions("02")


@pytest.fixture(scope="module", params=[0, 1, 2])
def problem(request):
    """Features (N, 6), known labels with -1, the true labels: three classes of unequal size, one in ten labelled."""
    x, truth = make_classification(
        600, 6, n_informative=4, n_classes=3, weights=[0.6, 0.3, 0.1], class_sep=0.8, random_state=request.param
    )
    known = np.where(np.random.default_rng(request.param).random(600) < 0.1, truth, -1)
    known[[int(np.flatnonzero(truth == c)[0]) for c in range(3)]] = [0, 1, 2]
    return x, torch.from_numpy(known), torch.from_numpy(truth)


def regression(x):
    """`fit` and `predict` for the lesson's loop, with a logistic regression."""

    def fit(targets):
        chosen = targets.numpy() >= 0
        return LogisticRegression(max_iter=500).fit(x[chosen], targets.numpy()[chosen])

    return fit, lambda model: torch.from_numpy(model.predict_proba(x))


def positions(mask):
    return mask.nonzero().squeeze(1)


def test_lees_weight_rises_from_zero_to_its_end_in_a_straight_line(lesson):
    values = np.array([lesson.lee_weight(step, 100, 600, 3.0) for step in range(1000)])
    assert values.min() == 0 and values.max() == 3.0
    slopes = np.diff(values)
    assert np.allclose(slopes[100:600], 3 / 500) and np.allclose(slopes[:100], 0) and np.allclose(slopes[600:], 0)


def test_lees_loss_without_weight_is_the_supervised_loss_and_its_target_is_constant(lesson):
    rng = torch.Generator().manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    x_l, x_w = torch.randn(5, 1, 2, 2, generator=rng), torch.randn(9, 1, 2, 2, generator=rng)
    batch = Batch(x_l, torch.tensor([0, 1, 2, 0, 1]), x_w)
    supervised = F.cross_entropy(model(x_l), batch.y_l)
    torch.testing.assert_close(lesson.lee_loss(model, batch, 0.0)[0], supervised)
    loss, logs = lesson.lee_loss(model, batch, 2.0)
    written = torch.tensor(model(x_w).argmax(1).tolist())
    torch.testing.assert_close(loss, supervised + 2 * F.cross_entropy(model(x_w), written))
    gradients = torch.autograd.grad(loss, model.parameters())
    expected = torch.autograd.grad(supervised + 2 * F.cross_entropy(model(x_w), written), model.parameters())
    torch.testing.assert_close(gradients, expected)
    assert logs["unlabelled"] == pytest.approx((loss.item() - supervised.item()) / 2, abs=1e-5)


def test_a_higher_threshold_selects_a_part_of_what_a_lower_one_does(lesson):
    rng = torch.Generator().manual_seed(1)
    for _ in range(20):
        p = (3 * torch.randn(200, 5, generator=rng)).softmax(1)
        labelled = torch.randperm(200, generator=rng)[:30]
        before = set(range(200)) - set(labelled.tolist())
        for tau in (0.0, 0.3, 0.6, 0.9, 1.01):
            chosen, labels = lesson.select_confident(p, labelled, tau)
            assert chosen.dtype == labels.dtype == torch.int64
            assert chosen.tolist() == sorted(set(chosen.tolist()) & before)
            assert torch.equal(labels, p[chosen].argmax(1))
            assert tau > 0 or len(chosen) == 170
            before = set(chosen.tolist())
        assert not before


def test_a_merge_keeps_every_true_label_and_its_inputs(lesson):
    rng = torch.Generator().manual_seed(2)
    for _ in range(50):
        known = torch.randint(-1, 4, (40,), generator=rng)
        where, labels = torch.randperm(40, generator=rng)[:15], torch.randint(0, 4, (15,), generator=rng)
        copies = [t.clone() for t in (known, where, labels)]
        targets = lesson.merge(known, where, labels)
        assert all(torch.equal(a, b) for a, b in zip(copies, (known, where, labels)))
        true = known >= 0
        assert torch.equal(targets[true], known[true])
        targets.fill_(9)
        assert torch.equal(known, copies[0])


def test_the_rounds_keep_the_true_labels_and_decide_anew(lesson, problem):
    x, known, _ = problem
    fit, predict = regression(x)
    before = known.clone()
    rounds = lesson.self_train(known, fit, predict, 0.8, 5)
    assert torch.equal(known, before) and len(rounds) <= 6
    for (model, _), (_, targets) in itertools.pairwise(rounds):
        p = predict(model)
        sure = (p.max(1).values >= 0.8) & (known < 0)  # decided by the model before, and by nothing else
        assert torch.equal(targets >= 0, sure | (known >= 0))
        assert torch.equal(targets[sure], p.argmax(1)[sure])


def test_the_rounds_stop_where_nothing_changes(lesson, problem):
    x, known, _ = problem
    fit, predict = regression(x)
    assert len(lesson.self_train(known, fit, predict, 1.01, 5)) == 1
    many = lesson.self_train(known, fit, predict, 0.8, 200)
    assert len(many) < 201  # finitely many lists of targets, and it settles on these
    model, targets = many[-1]
    again = lesson.merge(known, *lesson.select_confident(predict(model), positions(known >= 0), 0.8))
    assert torch.equal(again, targets)


@pytest.mark.parametrize("threshold", [0.6, 0.75, 0.95])
def test_without_revision_the_loop_is_that_of_scikit_learn(lesson, problem, threshold):
    """What has a label, true or pseudo, keeps it: then the targets and the round of each are the library's, one by one."""
    x, known, _ = problem
    fit, predict = regression(x)
    targets, labelled_in = known, torch.where(known >= 0, 0, -1)
    for r in range(1, 6):
        new, labels = lesson.select_confident(
            predict(fit(targets)), positions(targets >= 0), np.nextafter(threshold, 1)
        )
        targets = lesson.merge(targets, new, labels)
        labelled_in[new] = r
    library = SelfTrainingClassifier(LogisticRegression(max_iter=500), threshold=threshold, max_iter=5)
    library.fit(x, known.numpy())
    assert np.array_equal(targets.numpy(), library.transduction_)
    assert np.array_equal(labelled_in.numpy(), library.labeled_iter_)


def test_scikit_learn_takes_strictly_more_than_the_threshold_and_we_take_at_least(lesson):
    class Half(LogisticRegression):
        def predict_proba(self, x):
            return np.tile([0.25, 0.75], (len(x), 1))

    known = torch.tensor([0, 1, -1, -1])
    library = SelfTrainingClassifier(Half(), threshold=0.75).fit(np.eye(4), known.numpy())
    assert library.transduction_.tolist() == [0, 1, -1, -1]
    chosen, _ = lesson.select_confident(torch.tensor([[0.25, 0.75]] * 4), torch.tensor([0, 1]), 0.75)
    assert chosen.tolist() == [2, 3]


def test_surviving_mistakes(lesson):
    rng = torch.Generator().manual_seed(3)
    for _ in range(20):
        first, last = torch.randint(-1, 4, (2, 60), generator=rng)
        truth = torch.randint(0, 4, (60,), generator=rng)
        assert lesson.surviving_mistakes(first, first, truth) == 1.0
        assert lesson.surviving_mistakes(first, torch.full_like(first, -1), truth) == 0.0
        assert lesson.surviving_mistakes(first, truth, truth) == 0.0
        assert math.isnan(lesson.surviving_mistakes(truth, last, truth))
        assert 0 <= lesson.surviving_mistakes(first, last, truth) <= 1


def test_a_larger_margin_never_chooses_a_later_round(lesson):
    rng = np.random.default_rng(4)
    for _ in range(50):
        scores = rng.random(6).tolist()
        chosen = [lesson.choose_round(scores, margin) for margin in (0.0, 0.1, 0.3, 1.0)]
        assert chosen == sorted(chosen, reverse=True)
        assert chosen[0] == int(np.argmax(scores)) and chosen[-1] == 0
