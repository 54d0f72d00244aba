"""Answers to the exercises of lesson 01: other right ones, and wrong ones that no mistake of the check stands for."""

import copy
import math
import statistics

import numpy as np
import torch
import torch.nn.functional as F

# ---------------------------------------------------------------------------------------------- 1.1 stratified split


def split_by_permutation(labels, num_labels, rng):
    left = {c: max(1, n * num_labels // len(labels)) for c, n in enumerate(np.bincount(labels))}
    taken = []
    for i in rng.permutation(len(labels)).tolist():
        if left[int(labels[i])] > 0:
            left[int(labels[i])] -= 1
            taken.append(i)
    return sorted(taken)


def split_with_torch(labels, num_labels, rng):
    y = torch.as_tensor(labels)
    mask = torch.zeros(len(y), dtype=torch.bool)
    for c in y.unique():
        members = (y == c).nonzero().squeeze(1)
        number = max(len(members) * num_labels // len(y), 1)
        mask[members[torch.from_numpy(rng.permutation(len(members)))[:number]]] = True
    return mask.nonzero().squeeze(1)


def split_by_shuffle(labels, num_labels, rng):
    out = []
    for c in range(labels.max() + 1):
        members = np.where(labels == c)[0]
        rng.shuffle(members)
        if len(members):
            out.extend(members[: max(1, int(np.floor(num_labels * len(members) / len(labels))))])
    return np.array(sorted(out))


def split_by_random_keys(labels, num_labels, rng):
    """The smallest keys of each class."""
    order = np.lexsort((rng.random(len(labels)), labels))
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    numbers = np.maximum(1, counts * num_labels // len(labels))
    return np.sort(np.concatenate([order[s : s + k] for s, k in zip(starts, numbers)]))


def _split(labels, num_labels, choose, end=lambda parts: np.sort(np.concatenate(parts))):
    """A split whose images of a class are chosen by `choose(positions, number)`."""
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    return end([choose(m, max(1, len(m) * num_labels // len(labels))) for m in members])


def _chosen(choose, **options):
    return lambda y, n, rng: _split(y, n, lambda m, k: choose(m, k, rng), **options)


def _without(m, k, rng):
    return rng.choice(m, k, replace=False)


def split_as_mask(y, n, rng):
    mask = np.zeros(len(y), dtype=bool)
    mask[_chosen(_without)(y, n, rng)] = True
    return mask


def split_of_floats(y, n, rng):
    out = np.array([])
    for c in np.unique(y):
        members = np.flatnonzero(y == c)
        out = np.append(out, rng.choice(members, max(1, len(members) * n // len(y)), replace=False))
    return np.sort(out)


def split_in_one_buffer(y, n, rng, kept={}):  # noqa: B006  the default remembers
    found = _chosen(_without)(y, n, rng)
    buffer = kept.setdefault(len(found), np.empty_like(found))
    buffer[...] = found
    return buffer


def _block(m, k, rng):
    start = rng.integers(0, len(m) - k + 1)
    return m[start : start + k]


def _unlike(m, k, rng):
    """The images at the front come up more often."""
    p = np.arange(len(m), 0, -1.0) ** 0.5
    return rng.choice(m, k, replace=False, p=p / p.sum())


def split_all_classes_alike(y, n, rng):
    seed = int(rng.integers(2**32))
    return _split(y, n, lambda m, k: np.random.default_rng(seed).choice(m, k, replace=False))


def _of_the_first_thousand(m, k, rng):
    return rng.choice(m[: max(1000, k)], k, replace=False)


# ------------------------------------------------------------------------------------------------ 1.2 supervised loss


def loss_by_hand(model, batch):
    z = model(batch.x_l).double()
    log_p = z - z.logsumexp(1, keepdim=True)
    hits = sum(int(answer == y) for answer, y in zip(z.max(1).indices, batch.y_l))
    return -sum(log_p[i, y] for i, y in enumerate(batch.y_l)) / len(z), {"accuracy": hits / len(z), "hits": hits}


def loss_nll(model, batch):
    log_p = F.log_softmax(model(batch.x_l), dim=-1)
    return F.nll_loss(log_p, batch.y_l), dict(accuracy=log_p.argmax(-1).eq(batch.y_l).double().mean())


def loss_module(model, batch):
    outputs = model(batch.x_l)
    accuracy = np.mean(outputs.detach().numpy().argmax(1) == batch.y_l.numpy())
    return torch.nn.CrossEntropyLoss()(outputs, batch.y_l), {"accuracy": accuracy}


def loss_one_hot(model, batch):
    z = model(batch.x_l)
    with torch.no_grad():
        correct = torch.eq(z.topk(1).indices.squeeze(1), batch.y_l).sum().item()
    target = F.one_hot(batch.y_l, num_classes=z.shape[1]).float()
    return F.cross_entropy(z, target, reduction="sum") / batch.y_l.numel(), {"accuracy": correct / batch.y_l.numel()}


def loss_runs_twice(model, batch):
    accuracy = (model(batch.x_l).argmax(1) == batch.y_l).float().mean().item()
    return F.cross_entropy(model(batch.x_l), batch.y_l), {"accuracy": accuracy}


def loss_image_by_image(model, batch):
    return loss_nll(lambda x: torch.cat([model(image[None]) for image in x]), batch)


def loss_of_all_images(model, batch):
    return loss_nll(lambda x: model(torch.cat([x, x + 9]))[: len(x)], batch)


def loss_in_eval(model, batch):
    model.eval()
    return loss_nll(model, batch)


def loss_in_eval_and_back(model, batch):
    mode = model.training
    logits = model.eval()(batch.x_l)
    model.train(mode)
    return loss_nll(lambda x: logits, batch)


# ------------------------------------------------------------------------------------------------------ 1.3 predicting


def predict_loop(model, images, batch_size):
    found = model.training
    model.eval()
    out = []
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            out.extend(F.softmax(model(images[start : start + batch_size]), dim=-1))
    if found:
        model.train()
    return torch.stack(out)


@torch.no_grad()
def predict_loader(model, images, batch_size):
    found = model.training
    model.eval()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), batch_size)
    p = np.concatenate([torch.exp(torch.log_softmax(model(x), 1)).numpy() for (x,) in loader])
    model.train(found)
    return torch.from_numpy(p)


def predict_with_a_copy(model, images, batch_size):
    frozen = copy.deepcopy(model).eval()
    with torch.inference_mode():
        return torch.cat([frozen(part).softmax(1) for part in images.split(batch_size)])


def predict_into_a_table(model, images, batch_size):
    mode, table = model.training, None
    try:
        model.eval()
        with torch.no_grad():
            for i in range(math.ceil(len(images) / batch_size)):
                p = torch.softmax(model(images[i * batch_size : (i + 1) * batch_size]), 1)
                table = torch.zeros(len(images), p.shape[1]) if table is None else table
                table[i * batch_size : i * batch_size + len(p)] = p
    finally:
        model.train(mode)
    return table


def predict_with_gradient(model, images, batch_size):
    found = model.training
    model.eval()
    p = torch.cat([model(part).softmax(1) for part in images.split(batch_size)])
    model.train(found)
    return p


def predict_frozen(model, images, batch_size):
    model.requires_grad_(False)
    return predict_with_gradient(model, images, batch_size)


def predict_frozen_for_a_while(model, images, batch_size):
    before = [p.requires_grad for p in model.parameters()]
    result = predict_frozen(model, images, batch_size)
    for p, was in zip(model.parameters(), before):
        p.requires_grad_(was)
    return result


def predict_and_unfreeze(model, images, batch_size):
    result = predict_frozen(model, images, batch_size)
    model.requires_grad_(True)
    return result


def predict_and_set_the_attribute(model, images, batch_size):
    mode = model.training
    result = predict_loop(model.eval(), images, batch_size)
    model.training = mode
    return result


def predict_left(training):
    def answer(model, images, batch_size):
        result = predict_loop(model, images, batch_size)
        model.train(training)
        return result

    return answer


@torch.no_grad()
def predict_in_training_mode(model, images, batch_size):
    return torch.cat([model(part).softmax(1) for part in images.split(batch_size)])


def _sized(size):
    """Batches of another size."""
    return lambda model, images, batch_size: predict_loop(model, images, size(len(images), batch_size))


def predict_chunks(model, images, batch_size):
    return torch.cat([predict_loop(model, part, len(part)) for part in images.chunk(batch_size)])


def predict_twice(model, images, batch_size):
    predict_loop(model, images, batch_size)
    return predict_loop(model, images, batch_size)


# -------------------------------------------------------------------------------------------------- 1.4 logit adjustment


def adjusted_by_hand(logits, labels, prior, strength):
    z = logits + (strength * torch.log(prior)).unsqueeze(0)
    return (z.logsumexp(1) - z.gather(1, labels.unsqueeze(1)).squeeze(1)).mean()


def adjusted_weighted_exponentials(logits, labels, prior, strength):
    total = 0.0
    for z, y in zip(logits.double(), labels.tolist()):
        weighted = prior.double() ** strength * (z - z.max()).exp()
        total = total - strength * prior[y].log() - z[y] + z.max() + torch.log(weighted.sum())
    return total / len(labels)


def adjusted_log_softmax(logits, labels, prior, strength):
    log_p = (logits + strength * prior.log()).log_softmax(dim=-1)
    return F.nll_loss(log_p, labels)


def adjusted_class_by_class(logits, labels, prior, strength):
    columns = [logits[:, c] + strength * math.log(prior[c]) for c in range(len(prior))]
    return torch.nn.CrossEntropyLoss()(torch.stack(columns, dim=1), labels)


# -------------------------------------------------------------------------------------------------- 1.5 paired difference


def paired_statistics(a, b):
    d = [float(x) - float(y) for x, y in zip(a, b)]
    return statistics.mean(d), statistics.stdev(d) / len(d) ** 0.5


def paired_torch(a, b):
    d = torch.as_tensor(a) - torch.as_tensor(b)
    return torch.stack([d.mean(), d.std() / d.numel() ** 0.5])


def paired_scipy(a, b):
    from scipy import stats

    return np.mean(a) - np.mean(b), stats.sem(np.subtract(a, b))


def paired_covariance(a, b):
    (va, c), (_, vb) = np.cov(a, b)
    return (a - b).sum() / a.size, math.sqrt(max(0.0, va + vb - 2 * c) / a.size)


RIGHT = {
    "1.1": [split_by_permutation, split_with_torch, split_by_shuffle, split_by_random_keys],
    "1.2": [loss_by_hand, loss_nll, loss_module, loss_one_hot],
    "1.3": [predict_loop, predict_loader, predict_with_a_copy, predict_into_a_table, predict_frozen_for_a_while],
    "1.4": [adjusted_by_hand, adjusted_weighted_exponentials, adjusted_log_softmax, adjusted_class_by_class],
    "1.5": [paired_statistics, paired_torch, paired_scipy, paired_covariance],
}

WRONG = {
    "1.1": [
        (_chosen(lambda m, k, rng: rng.choice(m, k)), "chosen twice"),
        (_chosen(lambda m, k, rng: m[:k]), "first images of each class"),
        (_chosen(lambda m, k, rng: np.random.choice(m, k, replace=False)), "draw from `rng`, and from nothing else"),
        (_chosen(lambda m, k, rng: m[torch.randperm(len(m))[:k].numpy()]), "draw from `rng`, and from nothing else"),
        (_chosen(lambda m, k, rng: _without(m, k, np.random.default_rng(0))), "another `rng` chooses the same images"),
        (_chosen(lambda m, k, rng: _without(m, k, np.random.default_rng())), "gives two choices"),
        (_chosen(lambda m, k, rng: _without(m, k, copy.deepcopy(rng))), "draw from `rng` itself"),
        (split_all_classes_alike, "depend on each other"),
        (_chosen(_block), "same chance"),
        (_chosen(lambda m, k, rng: m[(rng.integers(len(m)) + np.arange(k)) % len(m)]), "neighbours came together"),
        (_chosen(_unlike), "more often than others"),
        (_chosen(lambda m, k, rng: rng.choice(m[: max(k, len(m) - 1)], k, replace=False)), "never comes up"),
        (_chosen(_of_the_first_thousand), "of 3,000 images some never come up"),
        (_chosen(_without, end=np.concatenate), "not sorted"),
        (_chosen(lambda m, k, rng: np.sort(_without(m, k, rng)), end=np.concatenate), "over all classes together"),
        (lambda y, n, rng: y[_chosen(_without)(y, n, rng)], "return their positions"),
        (split_as_mask, "mask"),
        (split_of_floats, "float64"),
        (_chosen(_without, end=lambda parts: parts), "flat array"),
        (_chosen(_without, end=lambda parts: np.array(parts, dtype=object)), "flat array"),
        (_chosen(lambda m, k, rng: rng.choice(len(m), k, replace=False)), "within each class"),
        (lambda y, n, rng: _chosen(_without)(y, n, rng) + 1, "positions lie between 0 and"),
        (lambda y, n, rng: np.sort(rng.choice(len(y), n, replace=False)), "other numbers of images of a class"),
        (split_in_one_buffer, "new array each time"),
        (lambda y, n, rng: np.sort(rng.choice(y, np.floor(n / 2), replace=False)), "must be a whole number"),
    ],
    "1.2": [
        (loss_runs_twice, "2 times"),
        (loss_image_by_image, "4 times"),
        (loss_of_all_images, "other images than batch.x_l"),
        (loss_in_eval, "leaves the network in another mode"),
        (loss_in_eval_and_back, "neither eval() nor train()"),
    ],
    "1.3": [
        (predict_in_training_mode, "training mode"),
        (predict_and_set_the_attribute, "changes the outermost module only"),
        (predict_left(training=False), "left in evaluation mode"),
        (predict_left(training=True), "left in training mode"),
        (predict_with_gradient, "gradients are recorded"),
        (lambda *a: predict_with_gradient(*a).detach(), "gradients are recorded"),
        (predict_frozen, "stays frozen"),
        (predict_and_unfreeze, "stays frozen"),
        (_sized(lambda n, b: n), "at once"),
        (_sized(lambda n, b: 1), "only the last batch is smaller"),
        (predict_chunks, "chunk"),
        (predict_twice, "run each image once"),
        (lambda *a: list(predict_loop(*a).split(2)), "torch.cat joins them"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "1.2": {
        "return (F.cross_entropy(logits, batch.y_l), {'accuracy': right.float().mean().item()}) -> return (F.cross_entropy(logits, batch.y_l), {'accuracy': right.float().mean()})": "a tensor of one number is a number, too",
    },
    "1.3": {
        "pieces = [model(piece).softmax(dim=1) for piece in images.split(batch_size)] -> pieces = [model(piece).softmax(dim=-1) for piece in images.split(batch_size)]": "this axis is the last one",
    },
    "1.4": {
        "return F.cross_entropy(logits + strength * prior.log(), labels) -> return F.cross_entropy(logits + (strength * prior.log()).detach(), labels)": "the prior is a constant",
    },
    "1.5": {
        "return (difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))) -> return (difference.mean(), difference.std(ddof=1) / np.sqrt(len(a)))": "`a`, `b` and their difference have the same length",
        "return (difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))) -> return (difference.mean(), difference.std(ddof=1) / np.sqrt(len(b)))": "`a`, `b` and their difference have the same length",
    },
}
