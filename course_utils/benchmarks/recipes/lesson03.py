"""The settings that were tried for lesson 03: graphs over several embeddings, and the two hybrids.

The images to be predicted are part of the unlabelled pool, as all images of the training split are: an image's nearest node
is itself. So these rows are nearer to transduction than the test scores of the lesson.
"""

from functools import cache
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors, kneighbors_graph
from sklearn.preprocessing import StandardScaler

from course_utils import augment, evaluation, models, training
from course_utils.authoring import lessons, recording
from course_utils.batches import batches
from course_utils.labels import split_labels
from course_utils.training import supervised_loss

NUM_STEPS, FLOW_STEPS = 1600, 100


class Contrastive(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.head = torch.nn.Sequential(torch.nn.Linear(1568, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64))

    def forward(self, x):
        return F.normalize(self.head(self.network.features(x)))


def contrastive(model, batch):
    z = model(torch.cat([batch.x_w, batch.x_s]))
    alike = (z @ z.T / 0.2).fill_diagonal_(-torch.inf)
    return F.cross_entropy(alike, torch.arange(len(z)).roll(len(z) // 2)), {}


@torch.no_grad()
def features(network, images):
    return torch.cat([network.features(augment.plain(part)) for part in images.split(512)]).numpy()


def probabilities(masses, fallback):
    total = masses.sum(1, keepdims=True)
    return np.where(total > 0, masses / np.where(total > 0, total, 1), fallback)


def settings(dataset):
    lesson = SimpleNamespace(**recording.solutions(lessons(["03"])[0]))
    weak, strong = augment.views(dataset)
    everything = dataset.num_classes

    trained = {}  # each fold's network serves all settings

    def network(part, fold):
        if (part.id, fold) not in trained:
            stream = batches(part, weak, labelled_view=strong, batch_size=32, seed=fold)
            run = training.train(models.new_model(dataset, fold), supervised_loss, stream, NUM_STEPS)
            trained[part.id, fold] = run.ema
        return trained[part.id, fold]

    @cache
    def self_made(fold):
        part = split_labels(dataset, 500, 100)  # its labels are not used
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(fold)
            model = Contrastive(models.new_model(dataset, fold))
        stream = batches(part, strong, strong, batch_size=32, mu=1, seed=fold)
        return training.train(model, contrastive, stream, NUM_STEPS).ema.network

    def embedding(part, fold, kind, images, standardise):
        if kind == "pixels":
            x = [part.images.flatten(1).numpy() / 255, images.flatten(1).numpy() / 255]
        else:
            body = network(part, fold) if kind == "network" else self_made(fold)
            x = [features(body, part.images), features(body, images)]
        if standardise:
            scaler = StandardScaler().fit(x[0])
            x = [scaler.transform(values) for values in x]
        pca = PCA(64, svd_solver="randomized", random_state=0).fit(x[0])
        x = [pca.transform(values) for values in x]
        distances, _ = NearestNeighbors(n_neighbors=10).fit(x[0]).kneighbors()
        unit = np.median(distances[:, -1])
        return x[0] / unit, x[1] / unit

    def flow(part, fold, kind, images, k, gamma, alpha, strength, seeds, standardise):
        """The masses in the pool, and the answers of the images' neighbours in it."""
        x, x_new = embedding(part, fold, kind, images, standardise)
        W = sparse.csr_array(kneighbors_graph(x, k, mode="distance"))
        W.data = np.exp(-gamma * W.data**2)
        W = W.maximum(W.T)
        labelled, y_l = part.labelled.numpy(), part.y_l.numpy()
        Y, known = np.zeros((len(x), everything)), np.zeros(len(x), bool)
        if seeds:
            says = evaluation.predict(network(part, fold), part.images)
            sure = np.flatnonzero(says.max(1) >= seeds)
            Y[sure, says[sure].argmax(1)] = 1
        Y[labelled], known[labelled] = np.eye(everything)[y_l], True
        if alpha is None:
            masses = lesson.label_propagation(W, Y, known, FLOW_STEPS)
        else:
            masses = lesson.label_spreading(W, Y, alpha, FLOW_STEPS)
        fractions = np.bincount(y_l, minlength=everything) / len(y_l)
        if strength is not None:
            prior = fractions ** (1 - strength)
            masses = masses * lesson.class_factors(masses[~known], prior / prior.sum())
        near = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(x_new)
        return masses, lesson.predict_new(*near, masses, gamma, fractions)

    def graph(kind="network", k=20, gamma=1.0, alpha=None, strength=None, seeds=None, standardise=False):
        options = (k, gamma, alpha, strength, seeds, standardise)
        return lambda part, fold, images: flow(part, fold, kind, images, *options)[1]

    def filtered(part, fold, images):
        masses, _ = flow(part, fold, "network", images[:1], 20, 1.0, None, 0.5, None, False)
        opinion = torch.from_numpy(masses.argmax(1))

        def loss(model, batch):
            with torch.no_grad():
                confidence, pseudo_label = model(batch.x_w).softmax(1).max(1)
            mask = lesson.second_opinion(pseudo_label, (confidence >= 0.95).float(), batch.index, opinion)
            logits_l, logits_s = model(torch.cat([batch.x_l, batch.x_s])).tensor_split([len(batch.x_l)])
            loss_u = (F.cross_entropy(logits_s, pseudo_label, reduction="none") * mask).mean()
            return F.cross_entropy(logits_l, batch.y_l) + loss_u, {"mask": mask.mean().item()}

        stream = batches(part, weak, strong, batch_size=32, mu=2, seed=fold)
        return evaluation.predict(training.train(models.new_model(dataset, fold), loss, stream, NUM_STEPS).ema, images)

    return {
        "label propagation, raw pixels": graph("pixels"),
        "label propagation": graph(),
        "label propagation, 10 neighbours": graph(k=10),
        "label propagation, 40 neighbours": graph(k=40),
        "label propagation, standardised": graph(standardise=True),
        "label spreading, alpha .9": graph(alpha=0.9),
        "label spreading, alpha .2": graph(alpha=0.2),
        "label propagation, CMN, half strength": graph(strength=0.5),
        "label propagation, CMN": graph(strength=0.0),
        "label spreading, pseudo-label seeds": graph(alpha=0.9, seeds=0.95),
        "label propagation, self-made features": graph("self-made"),
        "FixMatch, graph filter": filtered,
    }
