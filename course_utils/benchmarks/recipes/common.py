"""What the settings share: the losses that are tried, and one training with the course's loop."""

import numpy as np
import torch
import torch.nn.functional as F

from course_utils import augment, evaluation, models, training
from course_utils.batches import batches, generator

NUM_STEPS = 1600


def fixmatch(tau, lambda_u):
    def loss(model, batch):
        with torch.no_grad():
            confidence, pseudo_label = model(batch.x_w).softmax(1).max(1)
        logits = model(torch.cat([batch.x_l, batch.x_s]))
        logits_l, logits_s = logits.split([len(batch.x_l), len(batch.x_s)])
        mask = (confidence >= tau).float()
        loss_u = (F.cross_entropy(logits_s, pseudo_label, reduction="none") * mask).mean()
        return F.cross_entropy(logits_l, batch.y_l) + lambda_u * loss_u, {"mask": mask.mean().item()}

    return loss


class Prior:
    """Logarithm of the class fractions among the labels seen so far, for logit adjustment."""

    def __init__(self, num_classes):
        self.counts = torch.zeros(num_classes)

    def __call__(self, labels):
        self.counts += torch.bincount(labels, minlength=len(self.counts)).float()
        return (self.counts / self.counts.sum() + 1e-4).log()


class Adjusted:
    """The supervised loss with logit adjustment of half strength (lesson 01)."""

    def __init__(self, num_classes):
        self.log_prior = Prior(num_classes)

    def __call__(self, model, batch):
        return F.cross_entropy(model(batch.x_l) + 0.5 * self.log_prior(batch.y_l), batch.y_l), {}


class MixMatch:
    """Lesson 08's loss: two views averaged and sharpened, MixUp, Brier; it counts its steps for the ramp of lambda_u."""

    def __init__(self, num_classes, lambda_u, adjustment, alpha=0.75, temperature=0.5):
        self.lambda_u, self.adjustment, self.alpha, self.temperature = lambda_u, adjustment, alpha, temperature
        self.step, self.log_prior = 0, Prior(num_classes)
        self.rng, self.order = np.random.default_rng(0), generator(0, "mixup partners")

    def __call__(self, model, batch):
        u = torch.cat([batch.x_w, batch.x_s])
        with torch.no_grad():
            mean = model(u).softmax(1).view(2, len(batch.x_w), -1).mean(0)
        q = mean ** (1 / self.temperature)
        q = q / q.sum(1, keepdim=True)
        x, p = torch.cat([batch.x_l, u]), torch.cat([F.one_hot(batch.y_l, q.shape[1]).float(), q, q])
        lam = torch.from_numpy(self.rng.beta(self.alpha, self.alpha, len(x))).float()
        lam = torch.maximum(lam, 1 - lam)
        other = torch.randperm(len(x), generator=self.order)
        n = len(batch.y_l)
        logits = model(lam.view(-1, 1, 1, 1) * x + (1 - lam.view(-1, 1, 1, 1)) * x[other])
        p = lam.view(-1, 1) * p + (1 - lam.view(-1, 1)) * p[other]
        weight = self.lambda_u * min(1.0, self.step / (NUM_STEPS // 4))
        self.step += 1
        brier = (logits[n:].softmax(1) - p[n:]).square().mean()
        adjusted = logits[:n] + self.adjustment * self.log_prior(batch.y_l)
        return F.cross_entropy(adjusted, p[:n]) + weight * brier, {"brier": brier.item()}


def trained(dataset, new_loss, lr=0.002, **options):
    """The setting that is one training with the course's loop."""
    options = {"weak": augment.views(dataset)[0], **options}

    def predict(part, fold, images):
        stream = batches(part, seed=fold, **options)
        run = training.train(models.new_model(dataset, fold), new_loss(), stream, NUM_STEPS, lr=lr)
        return evaluation.predict(run.ema, images)

    return predict
