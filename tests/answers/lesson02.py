"""Answers to the exercises of lesson 02: other right ones, and wrong ones that no mistake of the check stands for."""

import math
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F

# -------------------------------------------------------------------------------------------------- 2.1 the weight


def weight_branches(step, t1, t2, alpha_f):
    if step < t1:
        return 0
    return (step - t1) / (t2 - t1) * alpha_f if step < t2 else alpha_f


def weight_of_the_step_cut_off(step, t1, t2, alpha_f):
    return float(Fraction(sorted((t1, step, t2))[1] - t1, t2 - t1)) * alpha_f


def weight_unset(step, t1, t2, alpha_f):
    if step < t1:
        weight = 0.0
    if t1 < step < t2:
        weight = alpha_f * (step - t1) / (t2 - t1)
    if step >= t2:
        weight = alpha_f
    return weight


def weight_counting(step, t1, t2, alpha_f, calls=[-1]):  # noqa: B006  the default remembers
    calls[0] += 1
    return weight_branches(calls[0], t1, t2, alpha_f)


# --------------------------------------------------------------------------------------------------- 2.2 Lee's loss


def lee_split(model, batch, alpha):
    z_l, z_u = model(torch.cat((batch.x_l, batch.x_w), dim=0)).split([len(batch.x_l), len(batch.x_w)])
    with torch.no_grad():
        _, target = z_u.softmax(-1).max(-1)
    unlabelled = torch.nn.CrossEntropyLoss()(z_u, target)
    return torch.nn.CrossEntropyLoss()(z_l, batch.y_l) + alpha * unlabelled, {"unlabelled": float(unlabelled.detach())}


def lee_nll(model, batch, alpha):
    log_p = F.log_softmax(model(torch.cat([batch.x_l, batch.x_w])), dim=1)
    n = batch.x_l.shape[0]
    loss_u = -log_p[n:].max(dim=1).values.mean()  # the same number and gradient, as argmax is a constant
    return F.nll_loss(log_p[:n], batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_unlabelled_first(model, batch, alpha):
    logits, m = model(torch.cat([batch.x_w, batch.x_l])), len(batch.x_w)
    one_hot = F.one_hot(logits[:m].argmax(1), logits.shape[1]).float()
    loss_u = (-one_hot * logits[:m].log_softmax(1)).sum(1).mean()
    return [F.cross_entropy(logits[m:], batch.y_l) + loss_u * alpha, {"unlabelled": loss_u.detach()}]


def lee_weights(model, batch, alpha):
    """One cross-entropy of all images, each with a weight of its own."""
    z, n, m = model(torch.vstack([batch.x_l, batch.x_w])), len(batch.x_l), len(batch.x_w)
    losses = F.cross_entropy(z, torch.cat([batch.y_l, z[n:].detach().argmax(1)]), reduction="none")
    return losses @ torch.tensor([1 / n] * n + [alpha / m] * m), {"unlabelled": losses[n:].mean().item(), "alpha": alpha}


def lee_loop(model, batch, alpha):
    z = list(model(torch.cat([batch.x_l, batch.x_w])))
    loss_l = sum(row.logsumexp(0) - row[y] for row, y in zip(z, batch.y_l)) / len(batch.y_l)
    loss_u = sum(row.logsumexp(0) - row.max() for row in z[len(batch.y_l) :]) / len(batch.x_w)
    return loss_l + alpha * loss_u, {"unlabelled": np.float64(loss_u.item())}


def lee_squeeze(model, batch, alpha):
    z, n = model(torch.cat([batch.x_l, batch.x_w])), len(batch.x_l)
    loss_u = F.cross_entropy(z[n:].squeeze(), z[n:].argmax(1))
    return F.cross_entropy(z[:n].squeeze(), batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_eval_and_train(model, batch, alpha):
    model.eval()
    model.train()
    return lee_split(model, batch, alpha)


def lee_zero_grad(model, batch, alpha):
    model.zero_grad()
    return lee_split(model, batch, alpha)


def lee_backward(model, batch, alpha):
    loss, logs = lee_split(model, batch, alpha)
    loss.backward(retain_graph=True)
    return loss, logs


# ----------------------------------------------------------------------------------------------------- 2.3 the confident


def select_isin(probabilities, labelled, tau):
    free = ~torch.isin(torch.arange(len(probabilities)), labelled)
    positions = torch.where(free & (probabilities.amax(1) >= tau))[0]
    return positions, probabilities[positions].argmax(1)


def select_loop(probabilities, labelled, tau):
    rows, taken = probabilities.tolist(), set(labelled.tolist())
    pairs = [(i, row.index(max(row))) for i, row in enumerate(rows) if i not in taken and max(row) >= tau]
    return [torch.tensor([pair[part] for pair in pairs], dtype=torch.int64) for part in (0, 1)]


def select_numpy(probabilities, labelled, tau):
    p = probabilities.numpy().copy()
    p[labelled.numpy()] = -1
    positions = np.flatnonzero(p.max(axis=1) >= tau)
    return torch.from_numpy(positions), torch.from_numpy(p.argmax(axis=1)[positions])


def select_set_difference(probabilities, labelled, tau):
    sure = (probabilities >= tau).any(dim=1).nonzero().flatten()
    keep = torch.tensor([i for i in sure.tolist() if i not in labelled.tolist()], dtype=torch.long)
    return [keep, probabilities.argmax(dim=1)[keep]]


def select_in_place(probabilities, labelled, tau):
    probabilities[labelled] = 0
    return select_isin(probabilities, labelled, tau)


def select_untyped_keep(probabilities, labelled, tau):
    keep = torch.tensor([i for i in range(len(probabilities)) if i not in labelled.tolist()])
    positions = keep[probabilities.amax(1)[keep] >= tau]
    return positions, probabilities.argmax(1)[positions]


# ---------------------------------------------------------------------------------------------------------- 2.4 merge


def merge_mask(known, positions, labels):
    targets = torch.clone(known)
    free = known[positions] < 0
    targets[positions[free]] = labels[free]
    return targets


def merge_numpy(known, positions, labels):
    targets = known.numpy().copy()
    targets[positions.numpy()] = labels.numpy()
    return torch.from_numpy(np.where(known.numpy() == -1, targets, known.numpy()))


def merge_dict(known, positions, labels):
    given = dict(zip(positions.tolist(), labels.tolist()))
    return torch.tensor([given.get(i, -1) if k < 0 else k for i, k in enumerate(known.tolist())])


def write_into(copy):
    def answer(known, positions, labels):
        targets = copy(known)
        targets[positions] = labels
        return targets

    return answer


def merge_numpy_alias(known, positions, labels):
    known.numpy()[positions.numpy()] = labels.numpy()
    return known.clone()


def merge_writes_into_labels(known, positions, labels):
    settled = known[positions] >= 0
    labels[settled] = known[positions][settled]
    return write_into(torch.clone)(known, positions, labels)


# --------------------------------------------------------------------------------------------------------- 2.5 rounds


def rounds_while(known, fit, predict, tau, num_rounds):
    labelled = torch.where(known >= 0)[0]
    models, history = [fit(known)], [known.clone()]
    while len(models) <= num_rounds:
        targets = merge_mask(known, *select_isin(predict(models[-1]), labelled, tau))
        if (targets == history[-1]).all():
            break
        history.append(targets)
        models.append(fit(targets))
    return list(zip(models, history))


def rounds_direct(known, fit, predict, tau, num_rounds):
    model, targets = fit(known), known
    pairs = [(model, targets)]
    for _ in range(num_rounds):
        confidence, label = predict(model).max(dim=1)
        new = torch.where((confidence >= tau) & (known < 0), label, known)
        if new.tolist() == targets.tolist():
            break
        model, targets = fit(new), new
        pairs += [(model, targets)]
    return pairs


def rounds_recursive(known, fit, predict, tau, num_rounds):
    labelled = (known != -1).nonzero().flatten()

    def further(model, targets, left):
        yield [model, targets]
        new = merge_dict(known, *select_loop(predict(model), labelled, tau)) if left else targets
        if not torch.equal(new, targets):
            yield from further(fit(new), new, left - 1)

    return tuple(further(fit(known.clone()), known.clone(), num_rounds))


def rounds_in_place(known, fit, predict, tau, num_rounds):
    positions, labels = select_isin(predict(fit(known)), torch.where(known >= 0)[0], tau)
    known[positions] = labels
    return [(fit(known), known)]


def rounds_shared(known, fit, predict, tau, num_rounds):
    """One tensor for all rounds, overwritten each time."""
    targets = known.clone()
    pairs = [(fit(targets), targets)]
    for _ in range(num_rounds):
        new = merge_mask(known, *select_isin(predict(pairs[-1][0]), torch.where(known >= 0)[0], tau))
        if torch.equal(new, targets):
            break
        targets.copy_(new)
        pairs.append((fit(targets), targets))
    return pairs


# ------------------------------------------------------------------------------------------------------- 2.6 survivors


def survivors_numpy(first, last, truth):
    first, last, truth = (t.numpy() for t in (first, last, truth))
    wrong = (first != -1) & (first != truth)
    return float(np.mean(last[wrong] == first[wrong])) if wrong.any() else float("nan")


def survivors_loop(first, last, truth):
    stand = [a == b for a, b, t in zip(first.tolist(), last.tolist(), truth.tolist()) if a >= 0 and a != t]
    return sum(stand) / len(stand) if stand else math.nan


def survivors_sums(first, last, truth):
    mistakes = ((first > -1) * (first != truth)).float()
    return (mistakes * (last == first)).sum() / mistakes.sum()  # a float tensor: 0 / 0 is nan


def survivors_sets(first, last, truth):
    mistakes = {(i, c) for i, c in enumerate(first.tolist()) if c not in (-1, int(truth[i]))}
    return len(mistakes & set(enumerate(last.tolist()))) / len(mistakes) if mistakes else np.nan


def survivors_divide(first, last, truth):
    mistakes = (first >= 0) & (first != truth)
    return (mistakes & (last == first)).sum().item() / mistakes.sum().item()


def survivors_positions(first, last, truth):
    mistakes = ((first >= 0) & (first != truth)).nonzero().squeeze()
    return sum((first[i] == last[i]).item() for i in mistakes) / len(mistakes) if mistakes.numel() else math.nan


# ------------------------------------------------------------------------------------------------------- 2.7 stop rule


def stop_numpy(scores, margin):
    scores = np.asarray(scores)
    return int(np.flatnonzero(scores >= scores.max() - margin)[0])


def stop_tensor(scores, margin):
    scores = torch.tensor(scores, dtype=torch.float64)
    return (scores.max() - scores <= margin).int().argmax()


def stop_backwards(scores, margin):
    bar = sorted(scores)[-1] - margin
    return [r for r in reversed(range(len(scores))) if not scores[r] < bar][-1]


def stop_from(start):
    def answer(scores, margin):
        best = start
        for score in scores:
            best = max(best, score)
        for r, score in enumerate(scores):
            if score >= best - margin:
                return r

    return answer


RIGHT = {
    "2.1": [
        weight_branches,
        lambda step, t1, t2, alpha_f: np.interp(step, [t1, t2], [0.0, alpha_f]),
        lambda step, t1, t2, alpha_f: alpha_f * torch.tensor((step - t1) / (t2 - t1)).clamp(0, 1),
        weight_of_the_step_cut_off,
    ],
    "2.2": [lee_split, lee_nll, lee_unlabelled_first, lee_weights, lee_loop],
    "2.3": [select_isin, select_loop, select_numpy, select_set_difference],
    "2.4": [
        merge_mask,
        merge_numpy,
        merge_dict,
        lambda known, at, labels: torch.where(known == -1, torch.full_like(known, -1).scatter(0, at, labels), known),
    ],
    "2.5": [rounds_while, rounds_direct, rounds_recursive],
    "2.6": [survivors_numpy, survivors_loop, survivors_sums, survivors_sets],
    "2.7": [stop_numpy, stop_tensor, stop_backwards, stop_from(-math.inf)],
}

WRONG = {
    "2.1": [
        (lambda step, t1, t2, a: a * (step - t1) / (t1 - t1), "(step - t1) over (t2 - t1)"),
        (lambda s, t1, t2, a: None if s == t2 else weight_branches(s, t1, t2, a), "step t2 exactly"),
        (lambda s, t1, t2, a: None if s == t1 else weight_branches(s, t1, t2, a), "step t1 exactly"),
        (weight_unset, "no branch sets it at this step"),
        (weight_counting, "there are no calls to count"),
        (lambda step, t1, t2, a: None, "it returned None"),
        (lambda *a: torch.tensor(weight_branches(*a), dtype=torch.float64).requires_grad_(), "carries a gradient"),
    ],
    "2.2": [
        (lambda *a: lee_split(*a)[::-1], "the two values are swapped"),
        (lambda *a: (lee_split(*a)[0], {"unlabeled": 0.0}), "its keys are ['unlabeled']"),
        (lee_squeeze, "does .squeeze() take away"),
        (lee_eval_and_train, "neither eval() nor train()"),
        (torch.no_grad()(lee_split), "carries no gradient"),
        (lee_backward, "backward()"),
        (lee_zero_grad, "zero_grad()"),
        (lambda *a: lee_split(*a)[0], "the loss only"),
        (lambda *a: (lee_split(*a)[0].item(), {}), "no .item()"),
    ],
    "2.3": [
        (lambda *a: [values.tolist() for values in select_isin(*a)], "must be an int64 tensor, and is list"),
        (lambda *a: [values.float() for values in select_isin(*a)], "positions and classes are int64"),
        (lambda *a: [torch.tensor(values.tolist()) for values in select_isin(*a)], "dtype=torch.int64"),
        (lambda *a: select_isin(*a)[0], "it must return 2 values"),
        (select_in_place, "strike out the labelled images in a mask"),
        (select_untyped_keep, "give it dtype=torch.int64"),
    ],
    "2.4": [
        (write_into(lambda known: known), "the true labels are lost"),
        (write_into(lambda known: known[:]), "the true labels are lost"),
        (merge_numpy_alias, "the true labels are lost"),
        (merge_writes_into_labels, "it writes into `labels`"),
        (lambda known, at, labels: merge_mask(known, at, labels) if len(at) else known, "returns `known` itself"),
        (lambda *a: merge_mask(*a).float(), "must be an int64 tensor"),
        (lambda *a: merge_mask(*a).tolist(), "must be an int64 tensor, and is list"),
        (lambda known, positions, labels: (positions, labels), "must be a tensor"),
    ],
    "2.5": [
        (lambda *a: rounds_while(*a)[-1], "a list of pairs"),
        (lambda *a: [model for model, _ in rounds_while(*a)], "a list of pairs"),
        (lambda *a: [(targets, model) for model, targets in rounds_while(*a)], "the pairs are swapped"),
        (lambda *a: [(model, targets.float()) for model, targets in rounds_while(*a)], "must be an int64 tensor"),
        (rounds_in_place, "`known` must come out as it went in"),
        (rounds_shared, "all pairs hold the last targets"),
    ],
    "2.6": [
        (survivors_divide, "return math.nan"),
        (survivors_positions, "a single mistake loses its axis"),
        (lambda first, last, truth: None, "it returned None"),
    ],
    "2.7": [
        (lambda s, m: next(r for r, v in enumerate(s) if v >= max(s) + m), "MINUS the margin"),
        (lambda s, m: next((r for r, v in enumerate(s) if v >= max(s) + m), None), "MINUS the margin"),
        (stop_from(0), "negative scores are scores, too"),
        (lambda *a: float(stop_numpy(*a)), "is an int"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "2.2": {
        "pseudo_labels = unknown.detach().argmax(dim=1) -> pseudo_labels = unknown.argmax(dim=1)": "argmax has no gradient",
        "pseudo_labels = unknown.detach().argmax(dim=1) -> pseudo_labels = unknown.detach().argmax(dim=-1)": "this axis is the last one",
    },
    "2.3": {
        "confidence, pseudo_label = probabilities.max(dim=1) -> confidence, pseudo_label = probabilities.max(dim=-1)": "this axis is the last one",
        "return (positions, pseudo_label[positions]) -> return (positions, pseudo_label[believed])": "the mask picks the same images in the same order",
    },
    "2.5": {
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known >= 0).nonzero()": "an index of shape (K, 1) strikes out the same images",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known >= 0).nonzero().squeeze()": "an index without axes strikes out the one labelled image",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known > 0).nonzero().squeeze(1)": "merge gives back the true labels that are not struck out",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known == 0).nonzero().squeeze(1)": "merge gives back the true labels that are not struck out",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known >= 1).nonzero().squeeze(1)": "merge gives back the true labels that are not struck out",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known >= 0).nonzero().squeeze(0)": "an index of shape (K, 1) or (1,) strikes out the same images",
        "if torch.equal(targets, before): -> if torch.equal(before, targets):": "equality has no order",
    },
    "2.6": {
        "if not mistakes.any():; return math.nan; return (last == first)[mistakes].float().mean().item() -> return (last == first)[mistakes].float().mean().item(); if not mistakes.any():; return math.nan": "the mean of nothing is nan",
        "if not mistakes.any():; return math.nan -> (nothing)": "the mean of nothing is nan",
        "return math.nan -> pass": "the mean of nothing is nan",
        "return math.nan -> return -math.nan": "nan has no sign that counts",
        "return (last == first)[mistakes].float().mean().item() -> return (last == first)[mistakes].float().mean()": "a scalar tensor is a number, too",
    },
}

# Mistakes of a kind (tests/test_battery.py) that cannot be noticed in an exercise, and why.
UNNOTICED = {
    ("at most 256", "2.1"): "the numbers that are large are plain numbers",
    ("overflows", "2.3"): "probabilities are compared, and whole numbers come out: nothing could overflow",
    ("overflows", "2.5"): "probabilities are compared, and whole numbers come out: nothing could overflow",
    ("one buffer for all results", "2.5"): "the test looks for tensors in a tuple, and this is a list of pairs",
    ("never a batch of one", "2.7"): "the scores are a list",
    ("at most 256", "2.7"): "the scores are a list",
}
