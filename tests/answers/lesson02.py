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
    if step < t2:
        return (step - t1) / (t2 - t1) * alpha_f
    return alpha_f


def weight_numpy(step, t1, t2, alpha_f):
    return np.interp(step, [t1, t2], [0.0, alpha_f])


def weight_tensor(step, t1, t2, alpha_f):
    return alpha_f * torch.tensor((step - t1) / (t2 - t1)).clamp(0, 1)


def weight_of_clipped_step(step, t1, t2, alpha_f):
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
    loss = torch.nn.CrossEntropyLoss()(z_l, batch.y_l) + alpha * unlabelled
    return loss, {"unlabelled": float(unlabelled.detach())}


def lee_nll(model, batch, alpha):
    log_p = F.log_softmax(model(torch.cat([batch.x_l, batch.x_w])), dim=1)
    n = batch.x_l.shape[0]
    loss_u = -log_p[n:].max(dim=1).values.mean()  # the same number and gradient, as argmax is a constant
    return F.nll_loss(log_p[:n], batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_unlabelled_first(model, batch, alpha):
    logits = model(torch.cat([batch.x_w, batch.x_l]))
    m = len(batch.x_w)
    one_hot = F.one_hot(logits[:m].argmax(1), logits.shape[1]).float()
    loss_u = (-one_hot * logits[:m].log_softmax(1)).sum(1).mean()
    return [F.cross_entropy(logits[m:], batch.y_l) + loss_u * alpha, {"unlabelled": loss_u.detach()}]


def lee_weights(model, batch, alpha):
    """One cross-entropy of all images, each with a weight of its own."""
    z, n, m = model(torch.vstack([batch.x_l, batch.x_w])), len(batch.x_l), len(batch.x_w)
    losses = F.cross_entropy(z, torch.cat([batch.y_l, z[n:].detach().argmax(1)]), reduction="none")
    weights = torch.tensor([1 / n] * n + [alpha / m] * m)
    return losses @ weights, {"unlabelled": losses[n:].mean().item(), "alpha": alpha}


def lee_loop(model, batch, alpha):
    z = list(model(torch.cat([batch.x_l, batch.x_w])))
    loss_l = sum(row.logsumexp(0) - row[y] for row, y in zip(z, batch.y_l)) / len(batch.y_l)
    loss_u = sum(row.logsumexp(0) - row.max() for row in z[len(batch.y_l) :]) / len(batch.x_w)
    return loss_l + alpha * loss_u, {"unlabelled": np.float64(loss_u.item())}


def lee_right(model, batch, alpha):
    return lee_split(model, batch, alpha)


def lee_eval_and_train(model, batch, alpha):
    model.eval()
    model.train()
    return lee_split(model, batch, alpha)


def lee_no_gradient(model, batch, alpha):
    with torch.no_grad():
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
    taken, positions, labels = set(labelled.tolist()), [], []
    for i, row in enumerate(probabilities.tolist()):
        if i not in taken and max(row) >= tau:
            positions.append(i)
            labels.append(row.index(max(row)))
    return torch.tensor(positions, dtype=torch.int64), torch.tensor(labels, dtype=torch.int64)


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


def merge_loop(known, positions, labels):
    targets = known.tolist()
    for position, label in zip(positions.tolist(), labels.tolist()):
        if targets[position] == -1:
            targets[position] = label
    return torch.tensor(targets)


def merge_numpy(known, positions, labels):
    targets = known.numpy().copy()
    targets[positions.numpy()] = labels.numpy()
    return torch.from_numpy(np.where(known.numpy() == -1, targets, known.numpy()))


def merge_scatter(known, positions, labels):
    given = torch.full_like(known, -1).scatter(0, positions, labels)
    return torch.where(known == -1, given, known)


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
    array = known.numpy()
    array[positions.numpy()] = labels.numpy()
    return torch.from_numpy(array)


def merge_early_return(known, positions, labels):
    return known if len(positions) == 0 else merge_mask(known, positions, labels)


def merge_writes_into_labels(known, positions, labels):
    settled = known[positions] >= 0
    labels[settled] = known[positions][settled]
    return write_into(torch.clone)(known, positions, labels)


# --------------------------------------------------------------------------------------------------------- 2.5 rounds


def rounds_while(known, fit, predict, tau, num_rounds):
    labelled = torch.where(known >= 0)[0]
    models, history = [fit(known)], [known.clone()]
    while len(models) <= num_rounds:
        positions, labels = select_isin(predict(models[-1]), labelled, tau)
        targets = merge_mask(known, positions, labels)
        if (targets == history[-1]).all():
            return list(zip(models, history))
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
        if left == 0:
            return []
        new = merge_loop(known, *select_loop(predict(model), labelled, tau))
        if torch.equal(new, targets):
            return []
        model = fit(new)
        return [[model, new], *further(model, new, left - 1)]

    first = fit(known)
    return [[first, known], *further(first, known, num_rounds)]


def rounds_flag(known, fit, predict, tau, num_rounds):
    rounds, going = [(fit(known.clone()), known.clone())], True
    while going and len(rounds) < num_rounds + 1:
        targets = merge_numpy(known, *select_numpy(predict(rounds[-1][0]), np_positions(known), tau))
        going = bool((targets != rounds[-1][1]).any())
        rounds += [(fit(targets), targets)] if going else []
    return tuple(rounds)


def np_positions(known):
    return torch.from_numpy(np.flatnonzero(known.numpy() != -1))


def rounds_in_place(known, fit, predict, tau, num_rounds):
    labelled = (known >= 0).nonzero().squeeze(1)
    pairs = [(fit(known), known)]
    for _ in range(num_rounds):
        positions, labels = select_isin(predict(pairs[-1][0]), labelled, tau)
        known[positions] = labels
        pairs.append((fit(known), known))
    return pairs


def rounds_shared(known, fit, predict, tau, num_rounds):
    """One tensor for all rounds, overwritten each time."""
    labelled, targets = (known >= 0).nonzero().squeeze(1), known.clone()
    pairs = [(fit(targets), targets)]
    for _ in range(num_rounds):
        new = merge_mask(known, *select_isin(predict(pairs[-1][0]), labelled, tau))
        if torch.equal(new, targets):
            break
        targets.copy_(new)
        pairs.append((fit(targets), targets))
    return pairs


def rounds_shifted(known, fit, predict, tau, num_rounds):
    labelled, pairs, model, targets = (known >= 0).nonzero().squeeze(1), [], fit(known), known
    for _ in range(num_rounds + 1):
        new = merge_mask(known, *select_isin(predict(model), labelled, tau))
        pairs.append((model, new))
        if torch.equal(new, targets):
            break
        targets = new
        model = fit(targets)
    return pairs


def rounds_until_nothing(known, fit, predict, tau, num_rounds):
    labelled = (known >= 0).nonzero().squeeze(1)
    pairs = [(fit(known), known)]
    for _ in range(num_rounds):
        positions, labels = select_isin(predict(pairs[-1][0]), labelled, tau)
        new = merge_mask(known, positions, labels)
        if len(positions) == 0 or torch.equal(new, pairs[-1][1]):
            break
        pairs.append((fit(new), new))
    return pairs


# ------------------------------------------------------------------------------------------------------- 2.6 survivors


def survivors_numpy(first, last, truth):
    first, last, truth = (t.numpy() for t in (first, last, truth))
    wrong = (first != -1) & (first != truth)
    return float(np.mean(last[wrong] == first[wrong])) if wrong.any() else float("nan")


def survivors_loop(first, last, truth):
    stand, total = 0, 0
    for a, b, t in zip(first.tolist(), last.tolist(), truth.tolist()):
        if a >= 0 and a != t:
            total += 1
            stand += a == b
    return stand / total if total else math.nan


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
    if mistakes.numel() == 0:
        return math.nan
    return sum((first[i] == last[i]).item() for i in mistakes) / len(mistakes)


# ------------------------------------------------------------------------------------------------------- 2.7 stop rule


def stop_numpy(scores, margin):
    scores = np.asarray(scores)
    return int(np.flatnonzero(scores >= scores.max() - margin)[0])


def stop_loop(scores, margin):
    for r in range(len(scores)):
        if all(scores[r] >= other - margin for other in scores):
            return r


def stop_tensor(scores, margin):
    scores = torch.tensor(scores, dtype=torch.float64)
    return (scores.max() - scores <= margin).int().argmax().item()


def stop_backwards(scores, margin):
    bar, chosen = sorted(scores)[-1] - margin, None
    for r in reversed(range(len(scores))):
        if not scores[r] < bar:
            chosen = r
    return np.int64(chosen)


def stop_from_zero(scores, margin):
    best = 0
    for score in scores:
        best = max(best, score)
    for r, score in enumerate(scores):
        if score >= best - margin:
            return r


RIGHT = {
    "2.1": [weight_branches, weight_numpy, weight_tensor, weight_of_clipped_step],
    "2.2": [lee_split, lee_nll, lee_unlabelled_first, lee_weights, lee_loop],
    "2.3": [select_isin, select_loop, select_numpy, select_set_difference],
    "2.4": [merge_mask, merge_loop, merge_numpy, merge_scatter, merge_dict],
    "2.5": [rounds_while, rounds_direct, rounds_recursive, rounds_flag],
    "2.6": [survivors_numpy, survivors_loop, survivors_sums, survivors_sets],
    "2.7": [stop_numpy, stop_loop, stop_tensor, stop_backwards],
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
        (lambda *a: (lee_split(*a)[0], lee_split(*a)[1]), "run it once"),
        (lee_eval_and_train, "neither eval() nor train()"),
        (lee_no_gradient, "carries no gradient"),
        (lee_backward, "backward()"),
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
        (merge_early_return, "returns `known` itself"),
        (lambda *a: merge_mask(*a).float(), "must be an int64 tensor"),
        (lambda *a: merge_mask(*a).tolist(), "must be an int64 tensor, and is list"),
        (lambda known, positions, labels: (positions, labels), "must be a tensor"),
        (merge_writes_into_labels, "it writes into `labels`"),
    ],
    "2.5": [
        (rounds_shifted, "belong to the model trained ON them"),
        (rounds_until_nothing, "it stops when nothing is selected"),
        (lambda *a: rounds_while(*a)[-1], "a list of pairs"),
        (lambda *a: [model for model, _ in rounds_while(*a)], "a list of pairs"),
        (lambda *a: [(targets, model) for model, targets in rounds_while(*a)], "the pairs are swapped"),
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
        (stop_from_zero, "negative scores are scores, too"),
        (lambda *a: float(stop_numpy(*a)), "is an int"),
    ],
}

EQUIVALENT = {}
UNNOTICED = {}
