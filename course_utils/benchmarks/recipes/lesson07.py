"""The settings of lesson 07 that were tried by cross-validation: SoftMatch and FreeMatch, three each, on the first label split.

All of them have the running averages' decay of .99: .999, the papers', never arrives in so few steps.
"""

import torch
import torch.nn.functional as F

from course_utils import augment
from course_utils.batches import Batch
from course_utils.benchmarks.recipes.common import trained
from course_utils.device import DEVICE

Answers = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def _answers(model, batch: Batch) -> Answers:
    """Probabilities on the weak views, without gradient; the logits on the strong views; each image's loss there; the labelled loss."""
    assert batch.x_w is not None and batch.x_s is not None  # the stream has unlabelled images
    with torch.no_grad():
        q = model(batch.x_w).softmax(1)
    logits_l, logits_s = model(torch.cat([batch.x_l, batch.x_s])).tensor_split([len(batch.x_l)])
    losses = F.cross_entropy(logits_s, q.argmax(1), reduction="none")
    return q, logits_s, losses, F.cross_entropy(logits_l, batch.y_l)


class SoftMatch:
    """Weights that fade below the running mean confidence (Chen et al. 2023); `target`: the classes to which they are aligned.

    "uniform" is the paper's, "labels" the fractions of the labels seen so far, "" aligns nothing.
    """

    def __init__(self, num_classes, target="uniform", decay=0.99):
        self.target, self.decay = target, decay
        self.mean, self.variance = 1 / num_classes, 1.0
        self.average = torch.full((num_classes,), 1 / num_classes, device=DEVICE)
        self.counts = torch.zeros(num_classes, device=DEVICE)

    def __call__(self, model, batch):
        q, _, losses, loss_l = _answers(model, batch)
        self.average.lerp_(q.mean(0), 1 - self.decay)
        if self.target == "labels":
            self.counts += torch.bincount(batch.y_l, minlength=len(self.counts))
            q = q * (self.counts + 1e-3) / self.average
        elif self.target:
            q = q / self.average
        confidence = (q / q.sum(1, keepdim=True)).amax(1)
        self.mean = self.decay * self.mean + (1 - self.decay) * confidence.mean().item()
        self.variance = self.decay * self.variance + (1 - self.decay) * confidence.var().item()
        distance = torch.minimum(confidence - self.mean, torch.zeros(()))
        weight = torch.exp(-distance * distance / 2 / self.variance)
        return loss_l + (weight * losses).mean(), {"mask": weight.mean().item()}


class FreeMatch:
    """Thresholds from running averages (Wang et al. 2023), and the fairness term with its `weight`."""

    def __init__(self, num_classes, weight=0.01, decay=0.99):
        self.weight, self.decay, self.tau = weight, decay, 1 / num_classes
        self.average = torch.full((num_classes,), 1 / num_classes, device=DEVICE)
        self.named = self.average.clone()

    def __call__(self, model, batch):
        q, logits_s, losses, loss_l = _answers(model, batch)
        confidence, pseudo_label = q.max(1)
        self.tau = self.decay * self.tau + (1 - self.decay) * confidence.mean().item()
        self.average.lerp_(q.mean(0), 1 - self.decay)
        self.named.lerp_(_histogram(pseudo_label, len(self.named)), 1 - self.decay)
        kept = confidence >= (self.tau * self.average / self.average.max())[pseudo_label]
        loss = loss_l + (losses * kept).mean()
        if self.weight and kept.any():
            p = logits_s[kept].softmax(1)
            answer = _ratio(p.mean(0), _histogram(p.argmax(1), len(self.named)))
            loss = loss + self.weight * (_ratio(self.average, self.named) * (answer + 1e-12).log()).sum()
        return loss, {"mask": kept.float().mean().item()}


def _histogram(classes, num_classes):
    return torch.bincount(classes, minlength=num_classes) / len(classes)


def _ratio(p, histogram):
    """How much is answered for each time that the class is named, over all classes 1; nothing for a class that is never named."""
    found = torch.where(histogram > 0, p / histogram.clamp(min=1e-12), 0.0)
    return found / found.sum()


def settings(dataset):
    _, strong = augment.views(dataset)
    n, u = dataset.num_classes, {"strong": strong, "batch_size": 32, "mu": 2}
    losses = {
        "SoftMatch, uniform alignment": lambda: SoftMatch(n),
        "SoftMatch, alignment to the labels": lambda: SoftMatch(n, target="labels"),
        "SoftMatch, no alignment": lambda: SoftMatch(n, target=""),
        "FreeMatch, fairness .01": lambda: FreeMatch(n),
        "FreeMatch, no fairness": lambda: FreeMatch(n, weight=0.0),
        "FreeMatch, fairness .1": lambda: FreeMatch(n, weight=0.1),
    }
    return {name: trained(dataset, loss, **u) for name, loss in losses.items()}
