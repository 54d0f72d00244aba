"""The settings of lesson 05 that were tried by cross-validation: the mean teacher, its views, its weight and its mode."""

import copy
import math

import torch
import torch.nn.functional as F

from course_utils import augment, evaluation, models, training
from course_utils.batches import batches
from course_utils.benchmarks.recipes.common import NUM_STEPS


class MeanTeacher:
    """The mean teacher's loss for `train`; its teacher follows the student at the beginning of the next step."""

    def __init__(self, weight, training_mode, decay=0.99):
        self.weight, self.training_mode, self.decay = weight, training_mode, decay
        self.step, self.teacher = 0, None

    def follow(self, student):
        if self.teacher is None:
            self.teacher = copy.deepcopy(student)
        rate = 1 - min(1 - 1 / (self.step + 1), self.decay)
        with torch.no_grad():
            for slow, fast in zip(self.teacher.parameters(), student.parameters()):
                slow.lerp_(fast, rate)
            for slow, fast in zip(self.teacher.buffers(), student.buffers()):
                slow.copy_(fast)
        self.teacher.train(self.training_mode)

    def __call__(self, model, batch):
        self.follow(model)
        with torch.no_grad():
            target = self.teacher(batch.x_w).softmax(1)
        logits_l, logits_s = model(torch.cat([batch.x_l, batch.x_s])).tensor_split([len(batch.x_l)])
        weight = self.weight * math.exp(-5 * (1 - min(1.0, self.step / (NUM_STEPS // 4))) ** 2)
        self.step += 1
        squares = F.mse_loss(logits_s.softmax(1), target)
        return F.cross_entropy(logits_l, batch.y_l) + weight * squares, {}


def settings(dataset):
    weak, strong = augment.views(dataset)

    def setting(labelled_view=strong, weight=10.0, training_mode=True):
        def predict(part, fold, images):
            options = {"labelled_view": labelled_view, "batch_size": 32, "mu": 1, "seed": fold}
            loss, model = MeanTeacher(weight, training_mode), models.new_model(dataset, fold)
            run = training.train(model, loss, batches(part, weak, strong, **options), NUM_STEPS)
            loss.follow(run.model)
            return evaluation.predict(loss.teacher, images)

        return predict

    return {
        "mean teacher, strong labelled views, weight 10": setting(),
        "mean teacher, strong labelled views, weight 50": setting(weight=50.0),
        "mean teacher, weak labelled views, weight 10": setting(labelled_view=weak),
        "mean teacher, strong labelled views, teacher in eval mode": setting(training_mode=False),
    }
