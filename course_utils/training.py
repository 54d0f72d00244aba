"""One training loop for every method: the methods differ in the loss that they hand in."""

import copy
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from course_utils import augment
from course_utils.batches import Batch, batches
from course_utils.datasets import Dataset
from course_utils.labels import LabelSplit
from course_utils.models import new_model
from course_utils.settings import MAX_STEPS, NUM_STEPS, SEED

Loss = Callable[[nn.Module, Batch], tuple[torch.Tensor, dict[str, float]]]


class TrainingDiverged(FloatingPointError):
    """The loss or its gradient became nan or infinite. `run` holds everything up to the last good step."""

    def __init__(self, message: str, run: "Run"):
        super().__init__(message)
        self.run = run


@dataclass
class Run:
    """What a training left behind.

    Attributes:
        model: the weights of the last step. ema: their running average, the one to evaluate.
        curves: one list per logged number, one entry per step. stopped: None, or why it ended early.
    """

    model: nn.Module
    ema: nn.Module
    num_steps: int
    curves: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    images_seen: int = 0
    stopped: str | None = None

    @property
    def steps_done(self) -> int:
        return len(self.curves.get("loss", []))


def cosine_7_16(step: int, num_steps: int) -> float:
    """FixMatch's learning-rate factor cos(7πk / 16K), from 1 down to .195 (Sohn et al. 2020, section 2.4)."""
    return math.cos(7 * math.pi * step / (16 * num_steps))


def train(
    model: nn.Module,
    loss: Loss,
    batches: Iterable[Batch],
    num_steps: int,
    *,
    lr: float = 0.002,
    weight_decay: float = 1e-4,
    ema_decay: float = 0.99,
    schedule: Callable[[int, int], float] = cosine_7_16,
    on_step: Callable[[int, nn.Module], None] | None = None,
    label: str = "training",
) -> Run:
    """Train `model` in place for `num_steps` steps and return the run.

    `loss(model, batch)` returns the scalar to minimise and a dict of numbers to log. Each step: loss, gradient, Adam,
    then the exponential moving average of the weights (decay `min(ema_decay, (1 + step) / (10 + step))`, so that the
    random start is soon forgotten; BatchNorm's buffers are copied). `on_step(step, ema)` is called after each step.

    Ctrl-C (the stop button) ends the training and keeps what was learned. Raises TypeError if the loss does not return
    (scalar tensor, dict), and TrainingDiverged, with the model back at the last good step, if a number is not finite.
    """
    num_steps = min(num_steps, MAX_STEPS)
    optimizer = torch.optim.Adam(_decay_groups(model, weight_decay), lr=lr, fused=True)
    lr_schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step, num_steps))
    run = Run(model, copy.deepcopy(model), num_steps)
    parameters = list(model.parameters())
    averaged = list(zip(run.ema.parameters(), parameters))
    copied = list(zip(run.ema.buffers(), model.buffers()))
    start = time.perf_counter()
    model.train()
    # The notebook's bar does not look at TQDM_DISABLE by itself, and no bar belongs into stored outputs
    bar = tqdm(
        range(num_steps), desc=label, leave=False, mininterval=0.5, disable=os.environ.get("TQDM_DISABLE") == "1"
    )
    try:
        for step, batch in zip(bar, batches):
            value, logs = _checked(loss(model, batch))
            optimizer.zero_grad()
            value.backward()
            norm = nn.utils.clip_grad_norm_(parameters, math.inf)
            if not (torch.isfinite(value) and torch.isfinite(norm)):
                raise _diverged(step, run)
            optimizer.step()
            lr_schedule.step()
            decay = min(ema_decay, (1 + step) / (10 + step)) if step else 0.0
            with torch.no_grad():
                for average, weight in averaged:
                    average.lerp_(weight, 1 - decay)
                for its, buffer in copied:
                    its.copy_(buffer)
            run.images_seen += sum(len(x) for x in (batch.x_l, batch.x_w, batch.x_s) if x is not None)
            for name, number in {"loss": value.item(), **logs}.items():
                run.curves.setdefault(name, []).append(float(number))
            if on_step is not None:
                on_step(step, run.ema)
            if step % 20 == 0:
                bar.set_postfix({name: f"{numbers[-1]:.3f}" for name, numbers in run.curves.items()}, refresh=False)
    except KeyboardInterrupt:
        run.stopped = f"interrupted after step {run.steps_done} of {num_steps}; what was learned is kept"
        print(f"{label}: {run.stopped}")
    finally:
        bar.close()
        run.seconds = time.perf_counter() - start
        model.eval()
        run.ema.eval()
    return run


def supervised_loss(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
    """The cross-entropy of the labelled images, as lesson 01 builds it, without anything to log."""
    return F.cross_entropy(model(batch.x_l), batch.y_l), {}


def train_baseline(
    dataset: Dataset, label_split: LabelSplit, num_steps: int = NUM_STEPS, *, batch_size: int = 32, seed: int = SEED
) -> Run:
    """Train the supervised baseline by the recipe of lesson 01: strong views of the labelled images, and nothing else."""
    weak, strong = augment.views(dataset)
    stream = batches(label_split, weak, labelled_view=strong, batch_size=batch_size, seed=seed)
    return train(new_model(dataset, seed), supervised_loss, stream, num_steps, label="supervised")


def _decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Weight decay on the weights of layers only, not on biases and BatchNorm's scales."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _checked(returned) -> tuple[torch.Tensor, dict[str, float]]:
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], dict)):
        raise TypeError(
            f"the loss must return (scalar tensor, dict of numbers to log), but returned {type(returned).__name__}"
        )
    value = returned[0]
    if not isinstance(value, torch.Tensor) or value.ndim != 0:
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise TypeError(f"the loss must return a scalar tensor first, but it is {shape}: is a mean() missing?")
    if not value.requires_grad:
        raise TypeError("the loss has no gradient: was it computed under no_grad, or from detached logits only?")
    return returned


def _diverged(step: int, run: Run) -> TrainingDiverged:
    # This step's forward pass has spoilt the BatchNorm buffers; the average still holds those of the last good step.
    for buffer, good in zip(run.model.buffers(), run.ema.buffers()):
        buffer.data.copy_(good)
    run.stopped = f"the loss or its gradient was not finite at step {step}"
    return TrainingDiverged(
        f"{run.stopped}; the model holds the state after step {run.steps_done}. "
        "Likely causes: a logarithm of zero, a division by an empty count, a learning rate that is too high.",
        run,
    )
