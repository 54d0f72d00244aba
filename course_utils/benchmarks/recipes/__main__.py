"""How the recipes of the lessons were chosen: cross-validation inside the 500 labels, never on the test split.

    python -m course_utils.benchmarks.recipes OUTPUT.json [--only MixMatch] [--dataset dermamnist] [--splits 100]

For each label split, five folds: train on 400, predict the 100 held out, and score the 500 pooled predictions.
The supervised baseline and FixMatch get the same number of settings, steps and folds; MixMatch, which began badly, got
more (lesson 08 says so; some of its settings were given up after one label split). Takes about half an hour a method on one
core. The settings whose name begins with `--only` are repeated, the other rows of the file are kept.

A setting is a function `predict(part, fold, images)`: it learns from the label split `part` with the seed `fold` and returns
(N, num_classes) probabilities for the uint8 `images`. Those of lessons 02 to 05 and 09 have files of their own.
"""

import argparse
import importlib
import json
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold
from tqdm import tqdm

from course_utils import augment, evaluation
from course_utils.benchmarks.recipes.common import Adjusted, MixMatch, fixmatch, trained
from course_utils.datasets import Split, load_dataset
from course_utils.labels import LabelSplit, split_labels
from course_utils.training import supervised_loss

SPLITS, FOLDS = (100, 101), 5  # label splits that no lesson uses


def settings(dataset):
    weak, strong = augment.views(dataset)
    num_classes = dataset.num_classes
    u = {"strong": strong, "batch_size": 32, "mu": 2}
    two_weak = {"strong": weak, "batch_size": 32, "mu": 1}
    two_strong = {"strong": strong, "batch_size": 32, "mu": 1, "weak": strong}
    trainings = {
        "supervised, weak views": (lambda: supervised_loss, {"batch_size": 32}),
        "supervised, strong views": (lambda: supervised_loss, {"batch_size": 32, "labelled_view": strong}),
        "supervised, strong views, batch 64": (lambda: supervised_loss, {"batch_size": 64, "labelled_view": strong}),
        "supervised, strong views, lr .005": (
            lambda: supervised_loss,
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
    for path in sorted(Path(__file__).parent.glob("lesson*.py")):
        found |= importlib.import_module(f"course_utils.benchmarks.recipes.{path.stem}").settings(dataset)
    return found


def cross_validate(dataset, predict, split_seed):
    label_split = split_labels(dataset, 500, split_seed)
    labels, probabilities = label_split.y_l.numpy(), np.zeros((500, dataset.num_classes))
    for fold, (fit, held_out) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(labels, labels)):
        part = LabelSplit(dataset.train, label_split.labelled.numpy()[fit], dataset.num_classes, split_seed, "fold")
        probabilities[held_out] = predict(part, fold, label_split.images[label_split.labelled[held_out]])
    images = dataset.train.images[label_split.labelled.numpy()]
    return evaluation.score(probabilities, Split("held-out", images, labels)).values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", default="", help="only the settings whose name begins so")
    parser.add_argument("--dataset", default="best")
    parser.add_argument("--splits", type=int, nargs="+", default=SPLITS)
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.dataset)
    kept = json.loads(arguments.output.read_text())["rows"] if arguments.output.is_file() else []
    chosen = {name: predict for name, predict in settings(dataset).items() if name.startswith(arguments.only)}
    if not chosen:
        parser.error(f"no setting begins with {arguments.only!r}")
    rows = [row for row in kept if row["setting"] not in chosen or row["label_split"] not in arguments.splits]
    for name, predict in tqdm(chosen.items()):
        for split_seed in arguments.splits:
            rows.append({"setting": name, "label_split": split_seed, **cross_validate(dataset, predict, split_seed)})
            print(json.dumps(rows[-1]), flush=True)
    made = {
        "command": "python -m course_utils.benchmarks.recipes",
        "dataset": dataset.name,
        "md5": dataset.md5,
        "rows": rows,
    }
    arguments.output.write_text(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
