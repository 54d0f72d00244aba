"""The settings of lesson 02 that were tried by cross-validation: Lee's loss, and self-training round by round.

The images to be predicted are part of the unlabelled pool, as in the rows of the other methods.
"""

import torch
import torch.nn.functional as F

from course_utils import augment, evaluation, models, training
from course_utils.batches import Batch, batches
from course_utils.benchmarks.recipes.common import NUM_STEPS
from course_utils.datasets import Split
from course_utils.labels import LabelSplit
from course_utils.training import supervised_loss


class Lee:
    """Lee's loss for `train`: the network's own answer is the target, with a weight that grows."""

    def __init__(self, alpha_f):
        self.alpha_f, self.step = alpha_f, 0

    def __call__(self, model, batch):
        start, end = NUM_STEPS // 10, 6 * NUM_STEPS // 10
        alpha = self.alpha_f * min(1.0, max(0.0, (self.step - start) / (end - start)))
        self.step += 1
        logits_l, logits_u = model(torch.cat([batch.x_l, batch.x_w])).tensor_split([len(batch.x_l)])
        loss_u = F.cross_entropy(logits_u, logits_u.detach().argmax(1))
        return F.cross_entropy(logits_l, batch.y_l) + alpha * loss_u, {}


def together(first, second):
    """Two streams of labelled batches, glued batch by batch."""
    for one, two in zip(first, second):
        yield Batch(torch.cat([one.x_l, two.x_l]), torch.cat([one.y_l, two.y_l]))


class SelfTraining:
    """The networks of the rounds, fitted once for each label split and fold; those of round 0 may be shared."""

    def __init__(self, dataset, threshold=0.95, halves=True, round_zero=None, num_steps=NUM_STEPS):
        self.dataset, self.threshold, self.halves, self.round_zero = dataset, threshold, halves, round_zero
        self.num_steps = num_steps
        self.weak, self.strong = augment.views(dataset)
        self.fitted = {}

    def stream(self, part, fold):
        return batches(part, self.weak, labelled_view=self.strong, batch_size=32, seed=fold)

    def with_labels(self, part, positions, labels):
        """A label split whose labels are the given ones."""
        everything = torch.zeros(len(part.images), dtype=torch.int64)
        everything[positions] = labels
        split = Split("pool", self.dataset.train.images, everything.numpy())
        return LabelSplit(split, positions.numpy(), self.dataset.num_classes, part.seed, "pseudo")

    def network(self, part, fold, rounds):
        networks = self.fitted.setdefault((part.seed, fold), [])
        if self.round_zero and not networks:
            networks.append(self.round_zero.network(part, fold, 0))
        while len(networks) <= rounds:
            stream = self.stream(part, fold)
            if networks:
                probabilities = torch.from_numpy(evaluation.predict(networks[-1], part.images))
                probabilities[part.labelled] = 0
                confidence, pseudo_label = probabilities.max(1)
                kept = (confidence >= self.threshold).nonzero().squeeze(1)
                if self.halves:
                    stream = together(
                        stream, self.stream(self.with_labels(part, kept, pseudo_label[kept]), fold + 1000)
                    )
                else:
                    positions = torch.cat([part.labelled, kept])
                    labels = torch.cat([part.y_l, pseudo_label[kept]])
                    stream = self.stream(self.with_labels(part, positions, labels), fold)
            run = training.train(models.new_model(self.dataset, fold), supervised_loss, stream, self.num_steps)
            networks.append(run.ema)
        return networks[rounds]

    def after(self, rounds):
        return lambda part, fold, images: evaluation.predict(self.network(part, fold, rounds), images)


def settings(dataset):
    weak, strong = augment.views(dataset)

    def lee(alpha_f):
        def predict(part, fold, images):
            stream = batches(part, weak, labelled_view=strong, batch_size=32, mu=1, seed=fold)
            run = training.train(models.new_model(dataset, fold), Lee(alpha_f), stream, NUM_STEPS)
            return evaluation.predict(run.ema, images)

        return predict

    chosen = SelfTraining(dataset)
    short = SelfTraining(dataset, num_steps=400)  # six full rounds in five folds take hours
    return {
        "pseudo-labels, Lee, alpha 3": lee(3.0),
        "pseudo-labels, Lee, alpha 1": lee(1.0),
        "self-training, round 1": chosen.after(1),
        **{f"self-training, round {rounds}, 400 steps": short.after(rounds) for rounds in range(6)},
        "self-training, round 1, tau .8": SelfTraining(dataset, threshold=0.8, round_zero=chosen).after(1),
        "self-training, round 1, one set": SelfTraining(dataset, halves=False, round_zero=chosen).after(1),
    }
