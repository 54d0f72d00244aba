"""How the recipes of the lessons were chosen: cross-validation inside the 500 labels, never on the test split.

    python tests/benchmark_recipes.py OUTPUT.json [dataset]

For each draw of 500 labels, five folds: train on 400, predict the 100 held out, and score the 500 pooled predictions.
The supervised baseline and FixMatch get the same number of settings, steps and folds. Takes about an hour on one core.
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.model_selection import StratifiedKFold
from tqdm import tqdm

from course_utils import augment, data, evaluation, models, training

NUM_STEPS, DRAWS, FOLDS = 1600, (100, 101), 5  # draws that no lesson uses


def supervised(model, batch):
    return F.cross_entropy(model(batch.x_l), batch.y_l), {}


def fixmatch(tau, lambda_u):
    def loss(model, batch):
        with torch.no_grad():
            confidence, guess = model(batch.x_w).softmax(1).max(1)
        logits = model(torch.cat([batch.x_l, batch.x_s]))
        logits_l, logits_s = logits.split([len(batch.x_l), len(batch.x_s)])
        mask = (confidence >= tau).float()
        loss_u = (F.cross_entropy(logits_s, guess, reduction="none") * mask).mean()
        return F.cross_entropy(logits_l, batch.y_l) + lambda_u * loss_u, {"mask": mask.mean().item()}

    return loss


def settings(weak, strong):
    u = {"strong": strong, "batch_size": 32, "mu": 2}
    return {
        "supervised, weak views": (supervised, {"batch_size": 32}),
        "supervised, strong views": (supervised, {"batch_size": 32, "labelled_view": strong}),
        "supervised, strong views, batch 64": (supervised, {"batch_size": 64, "labelled_view": strong}),
        "supervised, strong views, lr .005": (supervised, {"batch_size": 32, "labelled_view": strong, "lr": 0.005}),
        "FixMatch, tau .95": (fixmatch(0.95, 1.0), u),
        "FixMatch, tau .8": (fixmatch(0.8, 1.0), u),
        "FixMatch, tau .95, strong labelled views": (fixmatch(0.95, 1.0), {**u, "labelled_view": strong}),
        "FixMatch, tau .95, lr .005": (fixmatch(0.95, 1.0), {**u, "lr": 0.005}),
    }


def cross_validate(dataset, loss, options, draw_seed):
    draw = data.draw_labels(dataset, 500, draw_seed)
    labels, probabilities = draw.y_l.numpy(), np.zeros((500, dataset.num_classes))
    options = dict(options)
    lr = options.pop("lr", 0.002)
    weak, _ = augment.views(dataset)
    for fold, (fit, held_out) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(labels, labels)):
        part = data.LabelDraw(dataset.train, draw.labelled.numpy()[fit], dataset.num_classes, draw_seed, "fold")
        model = models.new_model(dataset, fold)
        batches = data.batches(part, weak, seed=fold, **options)
        run = training.train(model, loss, batches, NUM_STEPS, lr=lr)
        probabilities[held_out] = evaluation.predict(run.ema, draw.images[draw.labelled[held_out]])
    images = dataset.train.images[draw.labelled.numpy()]
    return evaluation.score(probabilities, data.Split("held-out", images, labels)).values


if __name__ == "__main__":
    dataset = data.load_dataset(sys.argv[2] if len(sys.argv) > 2 else "best")
    rows = []
    for name, (loss, options) in tqdm(settings(*augment.views(dataset)).items()):
        for draw_seed in DRAWS:
            rows.append({"setting": name, "draw": draw_seed, **cross_validate(dataset, loss, options, draw_seed)})
            print(json.dumps(rows[-1]), flush=True)
    with open(sys.argv[1], "w") as file:
        json.dump(
            {"command": "python tests/benchmark_recipes.py", "dataset": dataset.name, "md5": dataset.md5, "rows": rows},
            file,
            indent=1,
        )
