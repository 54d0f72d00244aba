"""The settings of lesson 04 that were tried by cross-validation: the SGAN, its passes, its views and its generator's loss."""

import torch
import torch.nn.functional as F

from course_utils import augment, evaluation, models, training
from course_utils.batches import batches, generator
from course_utils.benchmarks.recipes.common import NUM_STEPS


class SGAN:
    """The discriminator's loss for `train`; every second step it moves the generator first."""

    def __init__(self, dataset, seed, vanilla, joint):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = models.Generator(dataset.channels)
        self.optimizer = torch.optim.Adam(self.generator.parameters(), lr=0.002, betas=(0.5, 0.999), fused=True)
        self.rng, self.vanilla, self.joint, self.step = generator(seed, "noise"), vanilla, joint, 0

    def fakes(self, n):
        return self.generator(torch.randn(n, self.generator.noise_size, generator=self.rng))

    def features(self, model, real, fake):
        if not self.joint:
            return model.features(real), model.features(fake)
        return model.features(torch.cat([real, fake])).tensor_split([len(real)])

    def move_generator(self, model, x_u):
        real, fake = self.features(model, x_u, self.fakes(len(x_u)))
        if self.vanilla:
            loss = F.softplus(-model.head(fake).logsumexp(1)).mean()
        else:
            loss = (real.mean(0) - fake.mean(0)).square().sum()
        self.optimizer.zero_grad()
        loss.backward()  # also reaches the model, whose gradients `train` sets to zero before its own
        self.optimizer.step()

    def __call__(self, model, batch):
        if self.step % 2 == 0:
            self.move_generator(model, batch.x_w)
        self.step += 1
        n = len(batch.x_l)
        real, fake = self.features(model, torch.cat([batch.x_l, batch.x_w]), self.fakes(len(batch.x_w)).detach())
        logits, score = model.head(real), model.head(fake).logsumexp(1)
        unsupervised = F.softplus(-logits[n:].logsumexp(1)).mean() + F.softplus(score).mean()
        return F.cross_entropy(logits[:n], batch.y_l) + unsupervised / 2, {}


def settings(dataset):
    weak, strong = augment.views(dataset)

    def setting(labelled_view=strong, unlabelled_view=weak, vanilla=False, joint=True):
        def predict(part, fold, images):
            options = {"labelled_view": labelled_view, "batch_size": 32, "mu": 1, "seed": fold}
            stream = batches(part, unlabelled_view, **options)
            loss = SGAN(dataset, fold, vanilla, joint)
            run = training.train(models.new_model(dataset, fold), loss, stream, NUM_STEPS)
            return evaluation.predict(run.ema, images)

        return predict

    return {
        "SGAN, one pass": setting(),
        "SGAN, two passes": setting(joint=False),
        "SGAN, two passes, weak labelled views": setting(labelled_view=weak, joint=False),
        "SGAN, vanilla generator": setting(vanilla=True, joint=False),
    }
