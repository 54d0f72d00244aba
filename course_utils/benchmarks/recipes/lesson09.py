"""The settings of lesson 09 that were tried by cross-validation: the strength with which the committee's answers are moved."""

import numpy as np

from course_utils import augment
from course_utils.benchmarks.recipes.common import MixMatch, fixmatch, trained
from course_utils.benchmarks.recipes.lesson05 import MeanTeacher
from course_utils.training import supervised_loss


def settings(dataset):
    weak, strong = augment.views(dataset)
    members = [
        trained(dataset, lambda: supervised_loss, labelled_view=strong, batch_size=32),
        trained(dataset, lambda: MeanTeacher(10.0, training_mode=True), strong=strong, batch_size=32, mu=1),
        trained(dataset, lambda: fixmatch(0.95, 1.0), strong=strong, batch_size=32, mu=2),
        trained(dataset, lambda: MixMatch(dataset.num_classes, 10.0, 0.5), strong=weak, batch_size=32, mu=1),
    ]

    means = {}  # the strength is tried on the same members

    def setting(strength):
        def predict(part, fold, images):
            if part.id not in means:
                means[part.id] = np.mean([member(part, fold, images) for member in members], axis=0)
            fractions = (part.class_counts() / len(part.labelled)).numpy()
            p = means[part.id] * fractions**-strength
            return p / p.sum(1, keepdims=True)

        return predict

    return {
        "committee, strength 0": setting(0.0),
        "committee, strength .25": setting(0.25),
        "committee, strength .5": setting(0.5),
    }
