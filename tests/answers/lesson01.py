"""Answers to the exercises of lesson 01: other right ones, and wrong ones with a fragment of the cause to be named."""

import copy
import statistics

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------------ 1.1 the label draw


def draw_by_permutation(labels, num_labels, rng):
    left = {c: max(1, n * num_labels // len(labels)) for c, n in enumerate(np.bincount(labels))}
    taken = []
    for i in rng.permutation(len(labels)).tolist():
        if left[int(labels[i])] > 0:
            left[int(labels[i])] -= 1
            taken.append(i)
    return sorted(taken)


def draw_with_torch(labels, num_labels, rng):
    y = torch.as_tensor(labels)
    mask = torch.zeros(len(y), dtype=torch.bool)
    for c in y.unique():
        members = (y == c).nonzero().squeeze(1)
        number = max(int(len(members) * num_labels / len(y)), 1)
        mask[members[torch.from_numpy(rng.permutation(len(members)))[:number]]] = True
    return mask.nonzero().squeeze(1)


def draw_by_shuffle(labels, num_labels, rng):
    out = []
    for c in range(labels.max() + 1):
        members = np.where(labels == c)[0]
        rng.shuffle(members)
        out.extend(members[: max(1, int(np.floor(num_labels * len(members) / len(labels))))])
    return np.array(sorted(out))


def _draw(labels, number, choose, join=lambda parts: np.sort(np.concatenate(parts))):
    """A draw with `number(n_c)` images a class, chosen by `choose(positions, number)`."""
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    return join([choose(m, number(len(m))) for m in members])


def _share(labels, num_labels):
    return lambda n: max(1, n * num_labels // len(labels))


def _without(rng):
    return lambda m, k: rng.choice(m, k, replace=False)


def draw_with_replacement(y, n, rng):
    return _draw(y, _share(y, n), lambda m, k: rng.choice(m, k))


def draw_first(y, n, rng):
    return _draw(y, _share(y, n), lambda m, k: m[:k])


def draw_global(y, n, rng):
    return _draw(y, _share(y, n), lambda m, k: np.random.choice(m, k, replace=False))


def draw_torch_generator(y, n, rng):
    return _draw(y, _share(y, n), lambda m, k: m[torch.randperm(len(m))[:k].numpy()])


def draw_own_generator(y, n, rng):
    mine = np.random.default_rng(0)
    return _draw(y, _share(y, n), lambda m, k: mine.choice(m, k, replace=False))


def draw_unsorted(y, n, rng):
    return _draw(y, _share(y, n), _without(rng), np.concatenate)


def draw_sorted_per_class(y, n, rng):
    return _draw(y, _share(y, n), lambda m, k: np.sort(rng.choice(m, k, replace=False)), np.concatenate)


def draw_labels_returned(y, n, rng):
    return y[_draw(y, _share(y, n), _without(rng))]


def draw_mask(y, n, rng):
    mask = np.zeros(len(y), dtype=bool)
    mask[_draw(y, _share(y, n), _without(rng))] = True
    return mask


def draw_nested(y, n, rng):
    return _draw(y, _share(y, n), _without(rng), lambda parts: np.array(parts, dtype=object))


def draw_positions_within_class(y, n, rng):
    return _draw(y, _share(y, n), lambda m, k: rng.choice(len(m), k, replace=False))


def draw_balanced(y, n, rng):
    return _draw(y, lambda n_c: min(n // 5, n_c) if len(y) > 4 else n_c, _without(rng))


def draw_uniform(y, n, rng):
    return np.sort(rng.choice(len(y), n, replace=False))


def draw_not_the_last(y, n, rng):
    return _draw(y, _share(y, n), lambda m, k: rng.choice(m[: max(k, len(m) - 1)], k, replace=False))


def draw_block(y, n, rng):
    def block(m, k):
        start = rng.integers(0, len(m) - k + 1)
        return m[start : start + k]

    return _draw(y, _share(y, n), block)


def draw_around(y, n, rng):
    def block(m, k):
        return m[(rng.integers(len(m)) + np.arange(k)) % len(m)]

    return _draw(y, _share(y, n), block)


def draw_seeds_numpy(y, n, rng):
    np.random.seed(int(rng.integers(10**6)))
    return draw_global(y, n, rng)


def draw_seeds_torch(y, n, rng):
    torch.manual_seed(int(rng.integers(10**6)))
    return draw_torch_generator(y, n, rng)


def draw_cut(y, n, rng):
    return _draw(y, _share(y, n), _without(rng))[:n]


def draw_left_over(y, n, rng):
    members = [np.flatnonzero(y == c) for c in np.unique(y)]
    numbers = [max(1, len(m) * n // len(y)) for m in members]
    numbers[0] += max(0, n - sum(numbers))
    return np.sort(np.concatenate([rng.choice(m, k, replace=False) for m, k in zip(members, numbers)]))


# ------------------------------------------------------------------------------------------------ 1.2 supervised loss


def loss_by_hand(model, batch):
    z = model(batch.x_l).double()
    log_p = z - z.logsumexp(1, keepdim=True)
    hits = sum(int(guess == y) for guess, y in zip(z.max(1).indices, batch.y_l))
    return -sum(log_p[i, y] for i, y in enumerate(batch.y_l)) / len(z), {"accuracy": hits / len(z), "hits": hits}


def loss_nll(model, batch):
    log_p = F.log_softmax(model(batch.x_l), dim=-1)
    return F.nll_loss(log_p, batch.y_l), dict(accuracy=log_p.argmax(-1).eq(batch.y_l).double().mean())


def loss_module(model, batch):
    outputs = model(batch.x_l)
    accuracy = np.mean(outputs.detach().numpy().argmax(1) == batch.y_l.numpy())
    return torch.nn.CrossEntropyLoss()(outputs, batch.y_l), {"accuracy": accuracy}


def _loss(loss=F.cross_entropy, accuracy=lambda z, y: (z.argmax(1) == y).float().mean().item()):
    def answer(model, batch):
        z = model(batch.x_l)
        return loss(z, batch.y_l), {"accuracy": accuracy(z, batch.y_l)}

    return answer


def loss_runs_twice(model, batch):
    accuracy = (model(batch.x_l).argmax(1) == batch.y_l).float().mean().item()
    return F.cross_entropy(model(batch.x_l), batch.y_l), {"accuracy": accuracy}


def loss_in_eval(model, batch):
    model.eval()
    return _loss()(model, batch)


def loss_in_eval_and_back(model, batch):
    model.eval()
    logits = model(batch.x_l)
    model.train()
    return _loss()(lambda x: logits, batch)


def loss_no_grad(model, batch):
    with torch.no_grad():
        return _loss()(model, batch)


# ---------------------------------------------------------------------------------------------------- 1.3 predicting


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


def _predict(batches=lambda x, b: x.split(b), after=lambda z: z.softmax(1), end=torch.cat, before=True, restore=True):
    def answer(model, images, batch_size):
        found = model.training
        if before:
            model.eval()
        with torch.no_grad():
            parts = [after(model(part)) for part in batches(images, batch_size)]
        if restore:
            model.train(found if restore is True else restore == "train")
        return end(parts)

    return answer


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


def predict_detached(model, images, batch_size):
    return predict_with_gradient(model, images, batch_size).detach()


# ------------------------------------------------------------------------------------------------ 1.4 logit adjustment


def adjusted_by_hand(logits, labels, prior, strength):
    z = logits + (strength * torch.log(prior)).unsqueeze(0)
    return (z.logsumexp(1) - z.gather(1, labels.unsqueeze(1)).squeeze(1)).mean()


def adjusted_weighted_exponentials(logits, labels, prior, strength):
    total = 0.0
    for z, y in zip(logits.double(), labels.tolist()):
        weighted = prior.double() ** strength * z.exp()
        total = total - torch.log(weighted[y] / weighted.sum())
    return total / len(labels)


def _adjusted(change, **options):
    return lambda z, y, prior, s: F.cross_entropy(change(z, prior, s), y, **options)


def adjusted_label_only(z, y, prior, s):
    return F.cross_entropy(z + F.one_hot(y, len(prior)) * s * prior.log(), y)


def adjusted_in_place(z, y, prior, s):
    z.data += s * prior.log()
    return F.cross_entropy(z, y)


# ------------------------------------------------------------------------------------------------ 1.5 paired difference


def paired_statistics(a, b):
    d = [float(x) - float(y) for x, y in zip(a, b)]
    return statistics.mean(d), statistics.stdev(d) / len(d) ** 0.5


def paired_torch(a, b):
    d = torch.as_tensor(a) - torch.as_tensor(b)
    return torch.stack([d.mean(), d.std() / d.numel() ** 0.5])


def paired_scipy(a, b):
    from scipy import stats

    return np.mean(a) - np.mean(b), stats.sem(np.subtract(a, b))


def _paired(mean=np.mean, error=lambda d: d.std(ddof=1) / len(d) ** 0.5, change=lambda d: d):
    return lambda a, b: (mean(change(a - b)), error(change(a - b)))


def predict_with_a_copy(model, images, batch_size):
    frozen = copy.deepcopy(model).eval()
    with torch.inference_mode():
        return torch.cat([frozen(part).softmax(1) for part in images.split(batch_size)])


def predict_and_set_the_attribute(model, images, batch_size):
    mode = model.training
    result = predict_loop(model.eval(), images, batch_size)
    model.training = mode
    return result


def predict_without_gradients_for_good(model, images, batch_size):
    torch.set_grad_enabled(False)
    return predict_loop(model, images, batch_size)


def loss_backward(model, batch):
    loss = F.cross_entropy(model(batch.x_l), batch.y_l)
    loss.backward(retain_graph=True)
    return loss, {"accuracy": 0.75}


def loss_smoothed(model, batch):
    return F.cross_entropy(model(batch.x_l), batch.y_l, label_smoothing=0.1), {"accuracy": 0.75}


def adjusted_log_softmax(logits, labels, prior, strength):
    log_p = (logits + strength * prior.log()).log_softmax(dim=-1)
    return F.nll_loss(log_p, labels)


RIGHT = {
    "1.1": [draw_by_permutation, draw_with_torch, draw_by_shuffle],
    "1.2": [loss_by_hand, loss_nll, loss_module],
    "1.3": [predict_loop, predict_loader, predict_with_a_copy, predict_frozen_for_a_while],
    "1.4": [adjusted_by_hand, adjusted_weighted_exponentials, adjusted_log_softmax],
    "1.5": [paired_statistics, paired_torch, paired_scipy],
}

WRONG = {
    "1.1": [
        (draw_with_replacement, "drawn twice"),
        (lambda y, n, rng: _draw(y, lambda k: max(1, k // (len(y) // n)), _without(rng)), "multiply before you divide"),
        (lambda y, n, rng: _draw(y, lambda k: np.floor(k * n / len(y)), _without(rng)), "must be a whole number"),
        (draw_first, "first images of each class"),
        (draw_global, "use `rng`, not np.random"),
        (draw_torch_generator, "use `rng`, not np.random or torch's"),
        (draw_own_generator, "do not make a new one"),
        (draw_block, "in few combinations"),
        (draw_around, "in few combinations"),
        (draw_seeds_numpy, "the generator of the whole program"),
        (draw_seeds_torch, "torch's own generator"),
        (draw_cut, "cut to num_labels"),
        (draw_left_over, "handed out"),
        (lambda y, n, rng: _draw(y, lambda k: max(1, int(k / len(y) * n)), _without(rng)), "is not exact"),
        (lambda y, n, rng: _draw(y, lambda k: max(1, int(k * (n / len(y)))), _without(rng)), "is not exact"),
        (lambda y, n, rng: _draw(y, lambda k: max(1, int(k / (len(y) / n))), _without(rng)), "is not exact"),
        (draw_unsorted, "not sorted"),
        (draw_sorted_per_class, "over all classes together"),
        (draw_labels_returned, "return their positions"),
        (draw_mask, "mask"),
        (draw_nested, "flat array"),
        (draw_positions_within_class, "within each class"),
        (draw_balanced, "class-balanced"),
        (draw_uniform, "change from draw to draw"),
        (draw_not_the_last, "never came up"),
        (lambda y, n, rng: _draw(y, lambda n_c: n_c * n // len(y), _without(rng)), "at least one"),
        (lambda y, n, rng: _draw(y, lambda n_c: max(1, round(n_c * n / len(y))), _without(rng)), "round down"),
        (lambda y, n, rng: _draw(y, lambda n_c: round(n_c * n / len(y)), _without(rng)), "round down"),
        (lambda y, n, rng: _draw(y, lambda n_c: -(-n_c * n // len(y)), _without(rng)), "not up"),
        (lambda y, n, rng: _draw(y, lambda n_c: max(1, n_c // len(y) * n), _without(rng)), "rounded down to 0"),
        (lambda y, n, rng: _draw(y, lambda n_c: min(n, n_c), _without(rng)), "shared among the classes"),
        (lambda y, n, rng: print(draw_first(y, n, rng)), "return"),
    ],
    "1.2": [
        (loss_backward, "backward() is called inside"),
        (loss_smoothed, "smoothed"),
        (_loss(lambda z, y: F.cross_entropy(z, y, reduction="sum")), "sum over the batch"),
        (_loss(lambda z, y: F.cross_entropy(z, y, reduction="none")), "one loss per image"),
        (_loss(lambda z, y: F.cross_entropy(z.softmax(1), y)), "softmax before cross-entropy"),
        (_loss(lambda z, y: F.cross_entropy(z.sigmoid(), y)), "sigmoid"),
        (_loss(F.nll_loss), "log-probabilities"),
        (_loss(lambda z, y: F.nll_loss(z.softmax(1), y)), "logarithm is missing"),
        (_loss(lambda z, y: -F.cross_entropy(z, y)), "sign"),
        (_loss(lambda z, y: F.cross_entropy(z, z.argmax(1))), "own guess"),
        (_loss(lambda z, y: F.cross_entropy(z, y).item()), "no gradient"),
        (_loss(lambda z, y: F.cross_entropy(z, y).detach()), "no gradient"),
        (loss_no_grad, "no gradient"),
        (_loss(accuracy=lambda z, y: (z.argmax(1) == y).sum().item()), "count"),
        (_loss(accuracy=lambda z, y: 100 * (z.argmax(1) == y).float().mean()), "percentage"),
        (_loss(accuracy=lambda z, y: (z.argmax(1) != y).float().mean()), "wrong answers"),
        (_loss(accuracy=lambda z, y: (z.argmax(1) >= y).float().mean()), "above the label"),
        (_loss(accuracy=lambda z, y: z.softmax(1)[range(len(y)), y].mean()), "mean probability"),
        (_loss(accuracy=lambda z, y: (z.argmax(0) == y).float().mean()), "it raised"),
        (loss_runs_twice, "2 times"),
        (loss_in_eval, "evaluation mode"),
        (loss_in_eval_and_back, "neither eval() nor train()"),
        (lambda model, batch: _loss()(model.train(), batch), "neither eval() nor train()"),
        (_loss(accuracy=lambda z, y: (z.softmax(1)[range(len(y)), y] > 0.5).float().mean()), "above one half"),
        (lambda model, batch: _loss()(model, batch)[::-1], "order"),
        (lambda model, batch: _loss()(model, batch)[0], "must return 2 values"),
        (lambda model, batch: (_loss()(model, batch)[0], 0.75), "dict"),
        (lambda model, batch: (_loss()(model, batch)[0], {"acc": 0.75}), "'accuracy'"),
        (lambda model, batch: F.cross_entropy(model(batch.x_w), batch.y_l), "it raised"),
    ],
    "1.3": [
        (predict_and_set_the_attribute, "changes the outermost module only"),
        (predict_without_gradients_for_good, "leaves gradients switched off"),
        (_predict(before=False), "training mode"),
        (_predict(restore=False), "left in evaluation mode"),
        (_predict(restore="train"), "left in training mode"),
        (_predict(after=lambda z: z), "logits"),
        (_predict(after=lambda z: z.log_softmax(1)), "log-probabilities"),
        (_predict(after=lambda z: z.softmax(0)), "over the images of a batch"),
        (_predict(after=lambda z: z, end=lambda parts: torch.cat(parts).softmax(0)), "went over the images"),
        (_predict(after=lambda z: z.softmax(1).softmax(1)), "twice"),
        (_predict(after=lambda z: z.sigmoid()), "sigmoid"),
        (_predict(after=lambda z: z.argmax(1)), "predicted classes"),
        (_predict(after=lambda z: z.softmax(1).max(1).values), "largest probability"),
        (_predict(lambda x, b: [x[i : i + b] for i in range(0, len(x) - b + 1, b)]), "dropped"),
        (_predict(end=lambda parts: parts[0]), "first batch"),
        (_predict(end=lambda parts: parts[-1]), "last batch"),
        (_predict(lambda x, b: [x]), "at once"),
        (_predict(lambda x, b: x.split(1)), "expected [2, 2, 2, 1]"),
        (_predict(lambda x, b: x.chunk(b)), "chunk"),
        (_predict(lambda x, b: x[torch.randperm(len(x))].split(b)), "is ["),
        (_predict(lambda x, b: x.flip(0).split(b)), "is ["),
        (_predict(end=lambda parts: parts), "must be a tensor"),
        (predict_with_gradient, "gradients were recorded"),
        (predict_detached, "gradients were recorded"),
        (predict_frozen, "stays frozen"),
        (lambda *a: predict_loop(*a).numpy(), "must be a float tensor, and is ndarray"),
    ],
    "1.4": [
        (
            lambda z, labels, prior, s: F.cross_entropy(z + s * prior[labels].log()[:, None], labels),
            "every class of a row got the same number",
        ),
        (_adjusted(lambda z, prior, s: z - s * prior.log()), "sign"),
        (_adjusted(lambda z, prior, s: z + s * prior), "its logarithm"),
        (_adjusted(lambda z, prior, s: z - s * prior), "its logarithm"),
        (_adjusted(lambda z, prior, s: z + prior.log()), "`strength` has no effect"),
        (_adjusted(lambda z, prior, s: z - prior.log()), "`strength` has no effect"),
        (_adjusted(lambda z, prior, s: z), "nothing was adjusted"),
        (adjusted_label_only, "only the label's own logit"),
        (_adjusted(lambda z, prior, s: s * (z + prior.log())), "not the logits"),
        (_adjusted(lambda z, prior, s: z * s * prior.log()), "multiplied"),
        (_adjusted(lambda z, prior, s: z + (s * prior).log()), "inside the logarithm"),
        (_adjusted(lambda z, prior, s: z + prior**s), "power"),
        (_adjusted(lambda z, prior, s: z + s * prior.log10()), "natural"),
        (_adjusted(lambda z, prior, s: (z + s * prior.log()).softmax(1)), "softmax before cross-entropy"),
        (_adjusted(lambda z, prior, s: z.softmax(1) + s * prior.log()), "before the adjustment"),
        (_adjusted(lambda z, prior, s: z + s * prior.log(), reduction="sum"), "sum over the batch"),
        (_adjusted(lambda z, prior, s: z + s * prior.log(), reduction="none"), "one loss per image"),
        (lambda z, y, prior, s: F.cross_entropy(z, y, weight=1 / prior), "weights the loss"),
        (lambda z, y, prior, s: adjusted_by_hand(z, y, prior, s).item(), "no gradient"),
        (lambda z, y, prior, s: adjusted_by_hand(z.detach(), y, prior, s), "no gradient"),
        (adjusted_in_place, "changes its input"),
        (_adjusted(lambda z, prior, s: z + int(s) * prior.log()), "rounded to a whole number"),
        (_adjusted(lambda z, prior, s: z + s * prior.clamp(min=0.01).log()), "a small prior is replaced"),
    ],
    "1.5": [
        (lambda a, b: _paired()(b, a), "sign is reversed"),
        (lambda a, b: _paired()(a, b)[::-1], "order"),
        (_paired(error=lambda d: d.std(ddof=1)), "standard deviation"),
        (_paired(error=lambda d: d.std() / len(d) ** 0.5), "ddof=1"),
        (_paired(error=np.std), "ddof=1"),
        (_paired(error=lambda d: d.std(ddof=1) / len(d)), "square root of n, not by n"),
        (_paired(error=lambda d: d.std(ddof=1) / (len(d) - 1) ** 0.5), "not of n - 1"),
        (_paired(error=lambda d: d.var(ddof=1) / len(d) ** 0.5), "variance"),
        (_paired(error=lambda d: d.var(ddof=1) / len(d)), "squared"),
        (lambda a, b: (np.mean(a - b), np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))), "unpaired"),
        (lambda a, b: (np.mean(a - b), (a.std(ddof=1) - b.std(ddof=1)) / len(a) ** 0.5), "two spreads"),
        (_paired(mean=np.sum), "sum"),
        (_paired(mean=np.median), "median"),
        (_paired(change=np.abs), "absolute"),
        (_paired(mean=lambda d: abs(np.mean(d))), "absolute"),
        (lambda a, b: _paired()(a / b, 1.0), "relative"),
        (lambda a, b: np.mean(a - b), "must return 2 values"),
        (_paired(mean=lambda d: d), "one number"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "1.2": {
        "return (F.cross_entropy(logits, batch.y_l), {'accuracy': right.float().mean().item()}) -> return (F.cross_entropy(logits, batch.y_l), {'accuracy': right.float().mean()})": "a scalar tensor is a number, too",
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
