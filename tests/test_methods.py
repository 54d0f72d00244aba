"""The methods as the lessons build them: invariants on random inputs, and agreement with libraries.

The hand-computed cases stand in the checks of the exercises; these tests hold the solutions against properties of the papers.
"""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lessons import solutions
from scipy.stats import permutation_test
from sklearn.metrics import roc_auc_score

TAU = 0.95


@pytest.fixture(scope="module")
def flexmatch():
    return solutions("07")


@pytest.fixture(scope="module")
def mixmatch():
    return solutions("08")


@pytest.fixture(scope="module")
def retrospective():
    return solutions("09")


def memories(num_classes=5, size=200):
    """Random memories, from empty to full, with classes of unequal size."""
    rng = torch.Generator().manual_seed(0)
    weights = torch.arange(1.0, num_classes + 1)
    for filled in (0, 1, 20, 100, 199, 200):
        for _ in range(10):
            notes = torch.multinomial(weights, size, replacement=True, generator=rng)
            notes[torch.randperm(size, generator=rng)[filled:]] = -1
            yield notes


# ------------------------------------------------------------------------------------------------------- FlexMatch


def test_thresholds_lie_between_zero_and_tau(flexmatch):
    for notes in memories():
        thresholds = flexmatch.flexible_thresholds(flexmatch.learning_status(notes, 5), TAU)
        assert thresholds.min() >= 0 and thresholds.max() <= TAU + 1e-6


def test_the_class_ahead_has_tau_once_the_warm_up_is_over(flexmatch):
    for notes in memories():
        counts = torch.bincount(notes[notes >= 0], minlength=5)
        status = flexmatch.learning_status(notes, 5)
        assert (status.max() == 1) == bool(counts.max() >= (notes < 0).sum())


def test_permuting_the_classes_permutes_the_thresholds(flexmatch):
    order = torch.tensor([3, 0, 4, 1, 2])
    prior = torch.tensor([0.1, 0.2, 0.3, 0.25, 0.15])
    for notes in memories():
        renamed = torch.where(notes >= 0, order[notes.clamp(min=0)], -1)
        torch.testing.assert_close(flexmatch.learning_status(renamed, 5)[order], flexmatch.learning_status(notes, 5))
        new_prior = torch.empty(5)
        new_prior[order] = prior
        torch.testing.assert_close(
            flexmatch.status_by_prior(renamed, new_prior)[order], flexmatch.status_by_prior(notes, prior)
        )


def test_flexmatch_keeps_all_that_fixmatch_keeps_and_one_more_note_never_lowers_a_status(flexmatch):
    rng = torch.Generator().manual_seed(1)
    for notes in memories():
        logits, index = 4 * torch.randn(64, 5, generator=rng), torch.randperm(200, generator=rng)[:64]
        pseudo_label, mask, after = flexmatch.select(
            notes, index, logits, TAU, lambda m: flexmatch.learning_status(m, 5)
        )
        fixed = logits.softmax(1).max(1).values >= TAU
        assert mask[fixed].all()
        assert torch.equal(after[index[fixed]], pseudo_label[fixed])
        if (notes < 0).any():
            more = notes.clone()
            more[(notes < 0).nonzero()[0]] = 2
            assert flexmatch.learning_status(more, 5)[2] >= flexmatch.learning_status(notes, 5)[2]


def test_with_every_status_at_one_flexmatch_is_fixmatch(flexmatch):
    fixmatch = solutions("06")
    logits = 4 * torch.randn(64, 5, generator=torch.Generator().manual_seed(2))
    pseudo_label, mask, _ = flexmatch.select(
        torch.full((64,), -1), torch.arange(64), logits, TAU, lambda m: torch.ones(5)
    )
    right_guess, right_mask = fixmatch.pseudo_label_and_mask(logits, TAU)
    assert torch.equal(pseudo_label, right_guess) and torch.equal(mask, right_mask)


def test_an_oracle_under_imbalance_leaves_the_minority_without_a_threshold_and_the_prior_repairs_it(flexmatch):
    counts = torch.tensor([228, 359, 769, 80, 779, 4693, 99])  # DermaMNIST's training split
    oracle = torch.arange(7).repeat_interleave(counts)
    by_count = flexmatch.flexible_thresholds(flexmatch.learning_status(oracle, 7), TAU)
    torch.testing.assert_close(
        by_count, torch.tensor([0.0237, 0.0378, 0.0848, 0.0082, 0.0860, 0.95, 0.0101]), atol=1e-4, rtol=0
    )
    assert (by_count > 1 / 7).sum() == 1
    by_prior = flexmatch.flexible_thresholds(flexmatch.status_by_prior(oracle, counts / counts.sum()), TAU)
    torch.testing.assert_close(by_prior, torch.full((7,), TAU))


def test_with_a_uniform_prior_both_statuses_agree_after_the_warm_up(flexmatch):
    for notes in memories():
        counts = torch.bincount(notes[notes >= 0], minlength=5)
        if counts.max() >= (notes < 0).sum():
            torch.testing.assert_close(
                flexmatch.status_by_prior(notes, torch.full((5,), 0.2)), flexmatch.learning_status(notes, 5)
            )


def test_alignment_keeps_distributions_and_does_nothing_when_the_average_is_the_prior(flexmatch):
    rng = torch.Generator().manual_seed(3)
    q, prior, average = (torch.randn(shape, generator=rng).softmax(-1) for shape in ((50, 6), (6,), (6,)))
    torch.testing.assert_close(flexmatch.align(q, prior, average).sum(1), torch.ones(50))
    torch.testing.assert_close(flexmatch.align(q, prior, prior), q)
    aligned = flexmatch.align(q, prior, q.mean(0))
    assert (aligned.mean(0) - prior).abs().sum() < 0.5 * (q.mean(0) - prior).abs().sum()


def test_a_soft_weight_never_falls_with_the_confidence_and_is_full_from_the_mean_on(flexmatch):
    for seed in range(5):
        confidence = torch.rand(200, generator=torch.Generator().manual_seed(seed)).sort().values
        mean, variance = confidence.mean().item(), confidence.var().item()
        weight = flexmatch.soft_weight(confidence, mean, variance)
        assert (weight.diff() >= 0).all() and (weight >= 0).all() and (weight[confidence >= mean] == 1).all()
        # A narrow Gaussian is a step: FreeMatch's mask at its threshold for all classes
        narrow = flexmatch.soft_weight(confidence, mean, 1e-12)
        torch.testing.assert_close(narrow, (confidence >= mean).float(), atol=1e-3, rtol=0)


# -------------------------------------------------------------------------------------------------------- MixMatch


def test_sharpening(mixmatch):
    p = torch.randn(100, 7, generator=torch.Generator().manual_seed(4)).softmax(1)
    torch.testing.assert_close(mixmatch.sharpen(p, 1.0), p)
    for temperature in (0.1, 0.5, 2.0):
        sharp = mixmatch.sharpen(p, temperature)
        torch.testing.assert_close(sharp, (p.log() / temperature).softmax(1))  # the same in logits
        assert torch.equal(sharp.argsort(1), p.argsort(1))
    torch.testing.assert_close(
        mixmatch.sharpen(p[:, :2].softmax(1), 0.01).max(1).values.mean(), torch.tensor(1.0), atol=0.1, rtol=0
    )


def test_a_guess_is_a_distribution_and_does_not_depend_on_the_order_of_the_views(mixmatch):
    logits = torch.randn(3, 20, 7, generator=torch.Generator().manual_seed(5)).requires_grad_()
    q = mixmatch.guess_labels(logits, 0.5)
    assert not q.requires_grad
    torch.testing.assert_close(q.sum(1), torch.ones(20))
    torch.testing.assert_close(mixmatch.guess_labels(logits.flip(0), 0.5), q)


def test_mixtures_stay_nearer_to_the_first_image_and_their_labels_sum_to_one(mixmatch):
    rng = torch.Generator().manual_seed(6)
    x1, x2 = torch.rand(2, 40, 3, 4, 4, generator=rng)
    p1, p2 = torch.randn(2, 40, 7, generator=rng).softmax(-1)
    lam = torch.rand(40, generator=rng)
    x, p = mixmatch.mixup(x1, p1, x2, p2, lam)
    torch.testing.assert_close(p.sum(1), torch.ones(40))
    assert ((x - x1).abs() <= (x - x2).abs() + 1e-6).all()
    mirrored, _ = mixmatch.mixup(x1, p1, x2, p2, 1 - lam)
    torch.testing.assert_close(x, mirrored)
    for end in (0.0, 1.0):
        same, label = mixmatch.mixup(x1, p1, x2, p2, torch.full((40,), end))
        torch.testing.assert_close(same, x1)
        torch.testing.assert_close(label, p1)


def test_the_two_losses(mixmatch):
    rng = torch.Generator().manual_seed(7)
    z = torch.randn(30, 7, generator=rng)
    p = torch.randn(30, 7, generator=rng).softmax(1)
    loss_l, loss_u = mixmatch.mixmatch_losses(z, p, z, z.softmax(1))
    torch.testing.assert_close(loss_l, -(p * z.log_softmax(1)).sum(1).mean())
    torch.testing.assert_close(loss_u, torch.tensor(0.0))
    wrong = F.one_hot(torch.tensor([1, 2, 0]), 3).float()
    _, largest = mixmatch.mixmatch_losses(z[:1], p[:1], 1000 * torch.eye(3), wrong)
    torch.testing.assert_close(largest, torch.tensor(2 / 3))  # the upper limit for three classes


def test_without_mixing_and_unlabelled_weight_a_step_is_the_supervised_loss(mixmatch):
    rng = torch.Generator().manual_seed(8)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    x_l, view = torch.rand(5, 1, 2, 2, generator=rng), torch.rand(6, 1, 2, 2, generator=rng)
    y_l, q = torch.tensor([0, 1, 2, 1, 0]), torch.full((6, 3), 1 / 3)
    order = torch.randperm(17, generator=rng)
    loss, _ = mixmatch.mixmatch_loss(model, x_l, y_l, [view, view], q, torch.ones(17), order, 0.0)
    torch.testing.assert_close(loss, F.cross_entropy(model(x_l), y_l))


# --------------------------------------------------------------------------------------------------- retrospective


def test_the_auc_by_hand_agrees_with_scikit_learn(retrospective):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(4), [5, 20, 40, 60]))
    scores = rng.normal(size=(125, 4)).round(1)  # rounded: with ties
    right = np.mean([roc_auc_score(labels == c, scores[:, c]) for c in range(4)])
    assert retrospective.macro_auc(scores, labels) == pytest.approx(right)


def test_the_sign_flip_test_agrees_with_scipy(retrospective):
    rng = np.random.default_rng(1)
    for n in (3, 5, 8):
        differences = rng.normal(0.3, 1, n)
        right = permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
        )
        assert retrospective.sign_flip_p(differences) == pytest.approx(right.pvalue)


def test_the_front(retrospective):
    rng = np.random.default_rng(2)
    for _ in range(20):
        cost, benefit = rng.integers(0, 6, (2, 9))
        front = retrospective.not_dominated(cost, benefit)
        for i, j in itertools.product(range(9), repeat=2):
            if cost[j] <= cost[i] and benefit[j] >= benefit[i] and (cost[j] < cost[i] or benefit[j] > benefit[i]):
                assert not front[i]
        assert front[cost.argmin() if (cost == cost.min()).sum() == 1 else np.lexsort((-benefit, cost))[0]]


def test_the_calibration_error_of_a_calibrated_predictor_is_zero(retrospective):
    labels = np.repeat([0, 1], [70, 30])
    always = np.tile([0.7, 0.3], (100, 1))
    assert retrospective.calibration_error(always, labels, 10) == pytest.approx(0, abs=1e-12)
    certain = np.tile([1.0, 0.0], (100, 1))
    assert retrospective.calibration_error(certain, labels, 10) == pytest.approx(0.3)
