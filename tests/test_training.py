"""The training loop: its schedule, its average, its care for bad losses and interruptions."""

import itertools
import math
import os
import subprocess
import sys
import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import augment, models, training
from course_utils.batches import Batch, batches
from course_utils.labels import split_labels
from course_utils.models import new_model
from course_utils.training import TrainingDiverged, train


def supervised(model, batch):
    return F.cross_entropy(model(batch.x_l), batch.y_l), {"accuracy": 0.5}


def stream(seed=0):
    rng = torch.Generator().manual_seed(seed)
    while True:
        y = torch.randint(0, 3, (16,), generator=rng)
        yield Batch(torch.randn(16, 1, 28, 28, generator=rng) + y.view(-1, 1, 1, 1) * 0.2, y)


def model(seed=0):
    torch.manual_seed(seed)
    return models.SimpleCNN(1, 3)


def test_the_network_is_the_one_of_the_design():
    assert models.num_parameters(models.SimpleCNN(3, 7)) == 16_167
    net = models.SimpleCNN(3, 7)
    assert net.features(torch.zeros(2, 3, 28, 28)).shape == (2, 1568)
    assert net(torch.zeros(2, 3, 28, 28)).shape == (2, 7)
    for channels, classes in ((1, 10), (3, 2)):
        assert models.SimpleCNN(channels, classes)(torch.zeros(1, channels, 28, 28)).shape == (1, classes)


def test_wrong_images_are_refused_in_words():
    with pytest.raises(ValueError, match=r"takes images \(B, 3, 28, 28\) as floats, but got \(2, 1, 28, 28\)"):
        models.SimpleCNN(3, 7)(torch.zeros(2, 1, 28, 28))


def test_new_model_is_seeded_and_leaves_the_global_seed_alone(best_dataset):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, again, other = (models.new_model(best_dataset, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one.head.weight, again.head.weight) and not torch.equal(one.head.weight, other.head.weight)


def test_it_learns_and_keeps_curves():
    run = train(model(), supervised, stream(), 60)
    assert run.steps_done == 60 and run.stopped is None and run.images_seen == 60 * 16
    assert set(run.curves) == {"loss", "accuracy"} and len(run.curves["accuracy"]) == 60
    assert sum(run.curves["loss"][-10:]) < 0.5 * sum(run.curves["loss"][:10])
    assert not run.model.training and not run.ema.training


def test_the_same_seed_gives_the_same_bits():
    one, again = (train(model(), supervised, stream(), 20) for _ in range(2))
    assert one.curves == again.curves
    assert all(torch.equal(a, b) for a, b in zip(one.ema.state_dict().values(), again.ema.state_dict().values()))


def test_the_schedule():
    steps = [training.cosine_7_16(round(share * 1600), 1600) for share in (0, 0.25, 0.5, 1)]
    assert steps == pytest.approx([1, 0.941544, 0.773010, 0.195090], abs=1e-6)


def test_the_schedule_is_applied(monkeypatch):
    rates = []
    original = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam,
        "step",
        lambda self, *a, **k: (rates.append(self.param_groups[0]["lr"]), original(self, *a, **k))[1],
    )
    train(model(), supervised, stream(), 4, lr=0.1)
    assert rates == pytest.approx([0.1 * math.cos(7 * math.pi * k / 64) for k in range(4)])


def test_weight_decay_spares_biases_and_batchnorm(monkeypatch):
    groups = training._decay_groups(model(), 0.5)
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert [len(group["params"]) for group in groups] == [3, 7]


def test_the_average_of_the_weights():
    weights, averages = [], []
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 3))

    def on_step(step, ema):
        weights.append(net[1].weight.detach().clone())
        averages.append(ema[1].weight.detach().clone())

    train(net, supervised, stream(), 30, ema_decay=0.9, on_step=on_step)
    expected = weights[0]
    for step in range(1, 30):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weights[step]
        assert torch.allclose(averages[step], expected, atol=1e-6)
    assert not torch.allclose(averages[-1], weights[-1], atol=1e-4)


def test_the_average_has_the_batchnorm_buffers_of_the_model():
    """The commonest mistake: averaged weights with the running statistics of the random start."""
    run = train(model(), supervised, stream(), 10)
    for own, averaged in zip(run.model.buffers(), run.ema.buffers()):
        assert torch.equal(own, averaged)
    assert not torch.equal(run.ema.convolutions[1].running_mean, torch.zeros(16))


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_at_the_last_good_step(where):
    net, states = model(), []

    def breaks(net, batch):
        loss, logs = supervised(net, batch)
        if len(states) == 7:
            loss = loss * math.nan if where == "loss" else loss + (net.head.weight.sum() * 0).abs().sqrt()
        return loss, logs

    def remember(step, ema):
        states.append({name: value.clone() for name, value in net.state_dict().items()})

    with pytest.raises(TrainingDiverged, match="not finite at step 7; the model holds the state after step 7") as error:
        train(net, breaks, stream(), 20, on_step=remember)
    assert all(torch.equal(value, states[-1][name]) for name, value in net.state_dict().items())
    assert all(torch.isfinite(value).all() for value in error.value.run.ema.state_dict().values())
    assert error.value.run.steps_done == 7 and len(error.value.run.curves["loss"]) == 7


def test_ctrl_c_keeps_what_was_learned(capsys):
    def interrupted():
        yield from itertools.islice(stream(), 12)
        raise KeyboardInterrupt

    run = train(model(), supervised, interrupted(), 50)
    assert run.steps_done == 12 and "interrupted after step 12 of 50" in run.stopped
    assert "interrupted after step 12 of 50; what was learned is kept" in capsys.readouterr().out
    assert not torch.equal(run.ema.head.weight, model().head.weight)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda loss: loss, "must return"),
        (lambda loss: None, "NoneType"),
        (lambda loss: (loss.item(), {}), "float"),
        (lambda loss: (loss.repeat(4), {}), r"\(4,\): is a mean\(\) missing"),
        (lambda loss: (loss.detach(), {}), "no gradient"),
        (lambda loss: (loss, 0.5), "dict"),
    ],
)
def test_a_loss_of_the_wrong_form_is_refused_in_words(returned, message):
    with pytest.raises(TypeError, match=message):
        train(model(), lambda net, batch: returned(supervised(net, batch)[0]), stream(), 3)


def test_progress_is_a_bar_with_loss_and_logs(monkeypatch, capsys):
    def slow(net, batch):
        time.sleep(0.04)
        return supervised(net, batch)

    monkeypatch.setenv("TQDM_DISABLE", "0")
    train(model(), slow, stream(), 31, label="a bar")
    shown = capsys.readouterr().err
    assert "a bar:" in shown and "/31 [" in shown and "loss=" in shown and "accuracy=0.500" in shown
    assert shown.endswith("\r")  # it cleans up after itself


def test_threads_are_fixed():
    assert torch.get_num_threads() == 1


def test_the_device_is_chosen():
    command = "from course_utils.device import DEVICE; print(DEVICE)"
    best = "cuda" if torch.cuda.is_available() else "cpu"
    for wish, device in {"": best, "cpu": "cpu", best: best}.items():
        environment = {**os.environ, "COURSE_DEVICE": wish}
        run = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True)
        assert run.stdout.strip() == device


def test_the_baseline_is_the_recipe_of_lesson_01(digits):
    """What later lessons call in one line is the training that lesson 01 writes out."""
    label_split = split_labels(digits, 100, 3)
    weak, strong = augment.views(digits)
    stream = batches(label_split, weak, labelled_view=strong, batch_size=16, seed=3)
    by_hand = training.train(new_model(digits, 3), training.supervised_loss, stream, 5)
    run = training.train_baseline(digits, label_split, 5, batch_size=16, seed=3)
    assert run.curves == by_hand.curves and run.steps_done == 5
    model, batch = new_model(digits, 3), next(batches(label_split, weak, seed=3))
    loss, logs = training.supervised_loss(model, batch)
    assert logs == {} and torch.equal(loss, torch.nn.functional.cross_entropy(model(batch.x_l), batch.y_l))
