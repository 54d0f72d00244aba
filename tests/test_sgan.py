"""Lesson 04: invariants of the SGAN on random inputs, agreement with libraries, and the generator of `models`."""

import copy

import pytest
import torch
import torch.nn.functional as F
from lessons import solutions
from scipy.spatial.distance import pdist
from scipy.special import logsumexp

from course_utils.models import Generator, SimpleCNN, num_parameters


@pytest.fixture(scope="module")
def sgan():
    return solutions("04")


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def game(rng):
    """A classifier, a generator with its optimiser, real images and noise."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, generator = SimpleCNN(3, 5), Generator(3)
    optimizer = torch.optim.SGD(generator.parameters(), lr=1e-4)
    return model, generator, optimizer, torch.rand(8, 3, 28, 28, generator=rng), torch.randn(6, 64, generator=rng)


def test_d_is_the_softmax_over_k_plus_one_answers_with_a_zero(sgan, rng):
    for num_classes in (1, 2, 7, 40):
        logits = 10 * torch.randn(50, num_classes, generator=rng)
        with_fake = F.pad(logits, (0, 1)).softmax(1)
        torch.testing.assert_close(sgan.probability_real(logits), 1 - with_fake[:, -1], atol=1e-6, rtol=0)


def test_the_losses_are_minus_log_d_and_minus_log_one_minus_d(sgan, rng):
    real, fake = 3 * torch.randn(20, 4, generator=rng).double(), 3 * torch.randn(30, 4, generator=rng).double()
    loss_real, loss_fake = sgan.real_fake_losses(real, fake)
    torch.testing.assert_close(loss_real, -sgan.probability_real(real).log().mean())
    torch.testing.assert_close(loss_fake, -(1 - sgan.probability_real(fake)).log().mean())
    assert loss_fake.item() == pytest.approx((logsumexp(F.pad(fake, (0, 1)).numpy(), axis=1)).mean())


def test_moving_all_logits_changes_d_but_not_the_labelled_loss(sgan, rng):
    """Which class and how real are two things: a labelled loss over K + 1 answers mixes them."""
    x = torch.randn(12, 5, 1, 1, generator=rng)
    labels = torch.randint(5, (12,), generator=rng)

    def parts(shift):
        def model(images):
            return images.flatten(1) + shift

        loss, logs = sgan.discriminator_loss(model, x, labels, x, x)
        real, fake = sgan.real_fake_losses(model(x), model(x))
        return loss - (real + fake) / 2, logs["real"]

    (before, low), (after, high) = parts(-3.0), parts(3.0)
    torch.testing.assert_close(before, after)
    assert low < high


def test_the_discriminators_loss_moves_no_fake_and_no_generator(sgan, game):
    model, generator, _, x_u, z = game
    fakes = generator(z)
    loss, logs = sgan.discriminator_loss(model, x_u[:3], torch.tensor([0, 4, 2]), x_u, fakes)
    loss.backward()
    assert all(p.grad is None for p in generator.parameters())
    assert all(p.grad is not None for p in model.parameters())
    with torch.no_grad():
        assert logs["fake"] == pytest.approx(sgan.probability_real(model(fakes)).mean().item(), rel=1e-4)
        of_real = sgan.probability_real(model(torch.cat([x_u[:3], x_u])))[3:]
    assert logs["real"] == pytest.approx(of_real.mean().item(), rel=1e-4)


def test_feature_matching_asks_only_for_the_means(sgan, rng):
    real, fake = torch.randn(9, 6, generator=rng), torch.randn(9, 6, generator=rng)
    loss = sgan.feature_matching(real, fake)
    torch.testing.assert_close(sgan.feature_matching(real, fake[torch.randperm(9, generator=rng)]), loss)
    torch.testing.assert_close(sgan.feature_matching(real + 5, fake + 5), loss)
    torch.testing.assert_close(sgan.feature_matching(2 * real, 2 * fake), 4 * loss)
    assert sgan.feature_matching(real, real.mean(0).expand(4, -1)).item() == pytest.approx(0, abs=1e-10)


def test_the_generators_step_changes_the_generator_only_and_lowers_the_objective(sgan, game):
    model, generator, optimizer, x_u, z = game
    before, start = copy.deepcopy(model), copy.deepcopy(generator)
    for p in generator.parameters():
        p.grad = torch.full_like(p, 1e6)  # old gradients, which must not count
    values = [sgan.generator_step(model, generator, optimizer, x_u, z, sgan.feature_matching) for _ in range(5)]
    assert values[-1] < values[0]
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), model.parameters()))
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(torch.equal(a, b) for a, b in zip(start.parameters(), generator.parameters()))


def test_diversity_is_a_ratio_of_mean_distances(sgan, rng):
    fakes, reals = torch.rand(7, 3, 5, 5, generator=rng), torch.rand(9, 3, 5, 5, generator=rng)
    right = pdist(fakes.flatten(1).numpy()).mean() / pdist(reals.flatten(1).numpy()).mean()
    assert float(sgan.diversity(fakes, reals)) == pytest.approx(right, rel=1e-5)
    assert float(sgan.diversity(reals.flip(0) + 1, reals)) == pytest.approx(1, rel=1e-5)
    assert float(sgan.diversity(0.25 * reals, reals)) == pytest.approx(0.25, rel=1e-5)
    assert float(sgan.diversity(fakes[:1].expand(5, -1, -1, -1), reals)) == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_the_generator_makes_images_in_the_range_of_the_views(channels, rng):
    generator = Generator(channels)
    images = generator(torch.randn(4, 64, generator=rng))
    assert images.shape == (4, channels, 28, 28)
    assert images.min() >= -1 and images.max() <= 1 and images.requires_grad
    assert num_parameters(generator) < 150_000


def test_the_generator_names_the_noise_that_it_takes():
    with pytest.raises(ValueError, match=r"noise \(B, 64\), but got \(4, 32\)"):
        Generator(3)(torch.zeros(4, 32))
    assert Generator(1, noise_size=32)(torch.zeros(4, 32)).shape == (4, 1, 28, 28)
