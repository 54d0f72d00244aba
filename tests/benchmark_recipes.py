"""How the recipes of the lessons were chosen: cross-validation inside the 500 labels, never on the test split.

    python tests/benchmark_recipes.py OUTPUT.json [--only MixMatch] [--dataset dermamnist] [--draws 100]

For each draw of 500 labels, five folds: train on 400, predict the 100 held out, and score the 500 pooled predictions.
The supervised baseline and FixMatch get the same number of settings, steps and folds; MixMatch, which began badly, got
more (lesson 08 says so; some of its settings were given up after one draw). Takes about half an hour a method on one
core. The settings whose name begins with `--only` are repeated, the other rows of the file are kept.

A setting is a function `predict(part, fold, images)`: it learns from the label draw `part` with the seed `fold` and returns
(N, num_classes) probabilities for the uint8 `images`. Those of lessons 02 to 05 stand in `recipes/`.
"""

import argparse
import importlib
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.model_selection import StratifiedKFold
from tqdm import tqdm

from course_utils import augment, batches, datasets, evaluation, labels, models, training

NUM_STEPS, DRAWS, FOLDS = 1600, (100, 101), 5  # draws that no lesson uses


def supervised(model, batch):
    return F.cross_entropy(model(batch.x_l), batch.y_l), {}


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
    """Logarithm of the class shares among the labels seen so far, for logit adjustment."""

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
        self.rng, self.order = np.random.default_rng(0), batches.generator(0, "mixup partners")

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
        stream = batches.batches(part, seed=fold, **options)
        run = training.train(models.new_model(dataset, fold), new_loss(), stream, NUM_STEPS, lr=lr)
        return evaluation.predict(run.ema, images)

    return predict


def settings(dataset):
    weak, strong = augment.views(dataset)
    num_classes = dataset.num_classes
    u = {"strong": strong, "batch_size": 32, "mu": 2}
    two_weak = {"strong": weak, "batch_size": 32, "mu": 1}
    two_strong = {"strong": strong, "batch_size": 32, "mu": 1, "weak": strong}
    trainings = {
        "supervised, weak views": (lambda: supervised, {"batch_size": 32}),
        "supervised, strong views": (lambda: supervised, {"batch_size": 32, "labelled_view": strong}),
        "supervised, strong views, batch 64": (lambda: supervised, {"batch_size": 64, "labelled_view": strong}),
        "supervised, strong views, lr .005": (
            lambda: supervised,
            {"batch_size": 32, "labelled_view": strong, "lr": 0.005},
        ),
        "FixMatch, tau .95": (lambda: fixmatch(0.95, 1.0), u),
        "FixMatch, tau .8": (lambda: fixmatch(0.8, 1.0), u),
        "FixMatch, tau .95, strong labelled views": (lambda: fixmatch(0.95, 1.0), {**u, "labelled_view": strong}),
        "FixMatch, tau .95, lr .005": (lambda: fixmatch(0.95, 1.0), {**u, "lr": 0.005}),
        "supervised, strong views, adjusted by half": (
            lambda: Adjusted(num_classes),
            {"batch_size": 32, "labelled_view": strong},
        ),
        "MixMatch, weak views, lambda_u 10, adjusted by half": (lambda: MixMatch(num_classes, 10.0, 0.5), two_weak),
        "MixMatch, weak views, lambda_u 5, adjusted by half": (lambda: MixMatch(num_classes, 5.0, 0.5), two_weak),
        "MixMatch, strong labelled views, lambda_u 10, adjusted by half": (
            lambda: MixMatch(num_classes, 10.0, 0.5),
            {**two_weak, "labelled_view": strong},
        ),
        "MixMatch, weak views, lambda_u 10, alpha .25, adjusted by half": (
            lambda: MixMatch(num_classes, 10.0, 0.5, alpha=0.25),
            two_weak,
        ),
        "MixMatch, weak views, lambda_u 5": (lambda: MixMatch(num_classes, 5.0, 0.0), two_weak),
        "MixMatch, strong views, lambda_u 1": (lambda: MixMatch(num_classes, 1.0, 0.0), two_strong),
        "MixMatch, strong views, lambda_u 1, alpha .25": (
            lambda: MixMatch(num_classes, 1.0, 0.0, alpha=0.25),
            two_strong,
        ),
        "MixMatch, strong views, lambda_u 5, T 1": (
            lambda: MixMatch(num_classes, 5.0, 0.0, temperature=1.0),
            two_strong,
        ),
        "MixMatch, strong views, lambda_u 5, adjusted by half": (lambda: MixMatch(num_classes, 5.0, 0.5), two_strong),
        "MixMatch, weak views, lambda_u 20, adjusted by half": (lambda: MixMatch(num_classes, 20.0, 0.5), two_weak),
    }
    found = {name: trained(dataset, new_loss, **options) for name, (new_loss, options) in trainings.items()}
    for path in sorted((Path(__file__).parent / "recipes").glob("lesson*.py")):
        found |= importlib.import_module(f"recipes.{path.stem}").settings(dataset)
    return found


def cross_validate(dataset, predict, draw_seed):
    label_split = labels.split_labels(dataset, 500, draw_seed)
    labels, probabilities = label_split.y_l.numpy(), np.zeros((500, dataset.num_classes))
    for fold, (fit, held_out) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(labels, labels)):
        part = labels.LabelSplit(dataset.train, label_split.labelled.numpy()[fit], dataset.num_classes, draw_seed, "fold")
        probabilities[held_out] = predict(part, fold, label_split.images[label_split.labelled[held_out]])
    images = dataset.train.images[label_split.labelled.numpy()]
    return evaluation.score(probabilities, datasets.Split("held-out", images, labels)).values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", default="", help="only the settings whose name begins so")
    parser.add_argument("--dataset", default="best")
    parser.add_argument("--draws", type=int, nargs="+", default=DRAWS)
    arguments = parser.parse_args()
    dataset = datasets.load_dataset(arguments.dataset)
    kept = json.loads(arguments.output.read_text())["rows"] if arguments.output.is_file() else []
    chosen = {name: predict for name, predict in settings(dataset).items() if name.startswith(arguments.only)}
    if not chosen:
        parser.error(f"no setting begins with {arguments.only!r}")
    rows = [row for row in kept if row["setting"] not in chosen or row["label_split"] not in arguments.draws]
    for name, predict in tqdm(chosen.items()):
        for draw_seed in arguments.draws:
            rows.append({"setting": name, "label_split": draw_seed, **cross_validate(dataset, predict, draw_seed)})
            print(json.dumps(rows[-1]), flush=True)
    made = {"command": "python tests/benchmark_recipes.py", "dataset": dataset.name, "md5": dataset.md5, "rows": rows}
    arguments.output.write_text(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
