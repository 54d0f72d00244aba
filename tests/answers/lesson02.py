"""Answers to the exercises of lesson 02: other right ones, and wrong ones with a fragment of the cause to be named."""

import math

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


def _weight(share, before=0.0, after=1.0):
    def answer(step, t1, t2, alpha_f):
        if step < t1:
            return alpha_f * before
        return alpha_f * (share(step, t1, t2) if step < t2 else after)

    return answer


def _line(step, t1, t2):
    return (step - t1) / (t2 - t1)


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


def _lee(
    target=lambda z_u: z_u.argmax(1),
    unlabelled=F.cross_entropy,
    labelled=F.cross_entropy,
    total=lambda l, u, a: l + a * u,
    logs=lambda l, u, a: {"unlabelled": u.item()},
    cut=lambda batch: len(batch.x_l),
):
    def answer(model, batch, alpha):
        logits, n = model(torch.cat([batch.x_l, batch.x_w])), cut(batch)
        z_l, z_u = logits[:n], logits[n:]
        labels = batch.y_l if len(z_l) == len(batch.y_l) else torch.cat([batch.y_l, batch.y_l])[: len(z_l)]
        loss_l, loss_u = labelled(z_l, labels), unlabelled(z_u, target(z_u))
        return total(loss_l, loss_u, alpha), logs(loss_l, loss_u, alpha)

    return answer


def lee_glued_backwards(model, batch, alpha):
    z, n = model(torch.cat([batch.x_w, batch.x_l])), len(batch.x_l)
    loss_u = F.cross_entropy(z[n:], z[n:].argmax(1))
    return F.cross_entropy(z[:n], batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_two_passes(model, batch, alpha):
    z_l, z_u = model(batch.x_l), model(batch.x_w)
    loss_u = F.cross_entropy(z_u, z_u.argmax(1))
    return F.cross_entropy(z_l, batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_asks_first(model, batch, alpha):
    with torch.no_grad():
        target = model(batch.x_w).argmax(1)
    return _lee(target=lambda z_u: target)(model, batch, alpha)


def lee_eval_mode(model, batch, alpha):
    model.eval()
    with torch.no_grad():
        target = model(batch.x_w).argmax(1)
    model.train()
    return _lee(target=lambda z_u: target)(model, batch, alpha)


def lee_skips_at_zero(model, batch, alpha):
    if alpha == 0:
        return F.cross_entropy(model(batch.x_l), batch.y_l), {"unlabelled": 0.0}
    return _lee()(model, batch, alpha)


def lee_logs_zero(model, batch, alpha):
    loss, logs = _lee()(model, batch, alpha)
    return loss, logs if alpha else {"unlabelled": 0.0}


def lee_chunk(model, batch, alpha):
    z_l, z_u = model(torch.cat([batch.x_l, batch.x_w])).chunk(2)
    loss_u = F.cross_entropy(z_u, z_u.argmax(1))
    return F.cross_entropy(z_l, batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_cut_at_32(model, batch, alpha):
    z = model(torch.cat([batch.x_l, batch.x_w]))
    loss_u = F.cross_entropy(z[32:], z[32:].argmax(1))
    return F.cross_entropy(z[:32], batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_strong(model, batch, alpha):
    return _lee()(model, batch._replace(x_w=batch.x_s if batch.x_s is not None else batch.x_w), alpha)


def lee_like_fixmatch(model, batch, alpha):
    z = model(torch.cat([batch.x_l, batch.x_w, batch.x_s if batch.x_s is not None else batch.x_w]))
    n, m = len(batch.x_l), len(batch.x_w)
    loss_u = F.cross_entropy(z[n + m :], z[n : n + m].argmax(1))
    return F.cross_entropy(z[:n], batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_one_mean(model, batch, alpha):
    z = model(torch.cat([batch.x_l, batch.x_w]))
    n = len(batch.x_l)
    labels = torch.cat([batch.y_l, z[n:].argmax(1)])
    weights = torch.cat([torch.ones(n), torch.full((len(z) - n,), float(alpha))])
    losses = F.cross_entropy(z, labels, reduction="none")
    return (weights * losses).mean(), {"unlabelled": losses[n:].mean().item()}


def lee_on_all(model, batch, alpha):
    z = model(torch.cat([batch.x_l, batch.x_w]))
    loss_u = F.cross_entropy(z, z.argmax(1))
    return F.cross_entropy(z[: len(batch.x_l)], batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_detaches_logits(model, batch, alpha):
    z = model(torch.cat([batch.x_l, batch.x_w]))
    z_u = z[len(batch.x_l) :].detach()
    loss_u = F.cross_entropy(z_u, z_u.argmax(1))
    return F.cross_entropy(z[: len(batch.x_l)], batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}


def lee_no_gradient(model, batch, alpha):
    with torch.no_grad():
        return _lee()(model, batch, alpha)


def lee_backward(model, batch, alpha):
    loss, logs = _lee()(model, batch, alpha)
    loss.backward(retain_graph=True)
    return loss, logs


def _masked(z_u, target):
    mask = (z_u.softmax(1).max(1).values >= 0.8).float()
    return (F.cross_entropy(z_u, target, reduction="none") * mask).mean()


def _summed(z, target):
    return F.cross_entropy(z, target, reduction="sum")


def _softmax_first(z, target):
    return F.cross_entropy(z.softmax(1), target)


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


def _select(
    believe=lambda c, tau: c >= tau,
    strike=True,
    change=lambda p: p,
    end=lambda positions, guess, confidence, mask: (positions, guess[positions]),
):
    def answer(probabilities, labelled, tau):
        confidence, guess = change(probabilities).max(1)
        mask = believe(confidence, tau)
        if strike:
            mask[labelled] = False
        return end(mask.nonzero().squeeze(1), guess, confidence, mask)

    return answer


def select_short_table(probabilities, labelled, tau):
    free = torch.ones(len(probabilities), dtype=torch.bool)
    free[labelled] = False
    confidence, guess = probabilities[free].max(1)
    positions = (confidence >= tau).nonzero().squeeze(1)
    return positions, guess[positions]


def select_in_place(probabilities, labelled, tau):
    probabilities[labelled] = 0
    return _select()(probabilities, labelled, tau)


def select_only_labelled(probabilities, labelled, tau):
    mask = torch.isin(torch.arange(len(probabilities)), labelled) & (probabilities.amax(1) >= tau)
    positions = mask.nonzero().squeeze(1)
    return positions, probabilities.argmax(1)[positions]


def select_by_confidence(probabilities, labelled, tau):
    positions, _ = select_isin(probabilities, labelled, tau)
    positions = positions[probabilities.amax(1)[positions].argsort(descending=True, stable=True)]
    return positions, probabilities.argmax(1)[positions]


def select_squeeze(probabilities, labelled, tau):
    confidence, guess = probabilities.max(1)
    mask = confidence >= tau
    mask[labelled] = False
    positions = mask.nonzero().squeeze()
    return positions, guess[positions]


def select_each_class(probabilities, labelled, tau):
    mask = probabilities >= tau
    mask[labelled] = False
    return mask.nonzero(as_tuple=True)


def select_untyped_lists(probabilities, labelled, tau):
    positions, labels = select_loop(probabilities, labelled, tau)
    return torch.tensor(positions.tolist()), torch.tensor(labels.tolist())


def select_zeroed(probabilities, labelled, tau):
    confidence, guess = probabilities.max(1)
    confidence[labelled] = 0
    positions = torch.where(confidence >= tau)[0]
    return positions, guess[positions]


def select_mask_of_positions(probabilities, labelled, tau):
    confidence, guess = probabilities.max(1)
    positions = ((confidence >= tau) & ~labelled).nonzero().squeeze(1)
    return positions, guess[positions]


def select_wrong_axis(probabilities, labelled, tau):
    confidence, guess = probabilities.max(0)
    mask = confidence >= tau
    mask[labelled] = False
    positions = mask.nonzero().squeeze(1)
    return positions, guess[positions]


def select_labelled_first(probabilities, labelled, tau):
    confidence, guess = probabilities[len(labelled) :].max(1)
    positions = (confidence >= tau).nonzero().squeeze(1)
    return positions + len(labelled), guess[positions]


def select_set(probabilities, labelled, tau):
    sure = set((probabilities.amax(1) >= tau).nonzero().squeeze(1).tolist())
    positions = torch.tensor(list(sure - set(labelled.tolist())), dtype=torch.int64)
    return positions, probabilities.argmax(1)[positions]


def select_untyped_keep(probabilities, labelled, tau):
    keep = torch.tensor([i for i in range(len(probabilities)) if i not in labelled.tolist()])
    positions = keep[probabilities.amax(1)[keep] >= tau]
    return positions, probabilities.argmax(1)[positions]


def select_strikes_out_a_slice(probabilities, labelled, tau):
    mask = probabilities.amax(1) >= tau
    mask[: labelled.max() + 1] = False
    positions = mask.nonzero().squeeze(1)
    return positions, probabilities.argmax(1)[positions]


def select_by_the_lead(probabilities, labelled, tau):
    best = probabilities.sort(1, descending=True).values
    lead = best[:, 0] - best[:, 1]
    return select_isin(torch.where(lead >= tau, 1.0, 0.0)[:, None] * probabilities.gt(0.5), labelled, 0.5)


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
    guesses = torch.full_like(known, -1).scatter(0, positions, labels)
    return torch.where(known == -1, guesses, known)


def _write(copy):
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


def merge_from_nothing(known, positions, labels):
    targets = torch.full_like(known, -1)
    targets[positions] = labels
    return targets


def merge_zeros(known, positions, labels):
    targets = torch.zeros_like(known)
    targets[positions] = labels
    return torch.where(known >= 0, known, targets)


def merge_adds(known, positions, labels):
    targets = known.clone()
    targets[positions] += labels
    return targets


def merge_class_zero(known, positions, labels):
    targets = known.clone()
    targets[positions] = labels
    return torch.where(known > 0, known, targets)


def merge_all_or_nothing(known, positions, labels):
    return known.clone() if (known[positions] >= 0).any() else merge_mask(known, positions, labels)


def merge_first_free(known, positions, labels):
    targets = known.clone()
    targets[(known < 0).nonzero().squeeze(1)[: len(labels)]] = labels
    return targets


def merge_floats(known, positions, labels):
    return merge_mask(known, positions, labels).float()


def merge_swapped(known, positions, labels):
    targets = known.clone()
    targets[labels] = positions
    return targets


def merge_filters_positions(known, positions, labels):
    targets = known.clone()
    free = positions[known[positions] == -1]
    targets[free] = labels[: len(free)]
    return targets


def merge_counts_the_written(known, positions, labels):
    targets, written = known.clone(), 0
    for position in positions.tolist():
        if known[position] == -1:
            targets[position] = labels[written]
            written += 1
    return targets


def merge_mask_of_positions(known, positions, labels):
    targets, mask = known.clone(), torch.zeros(len(known), dtype=torch.bool)
    mask[positions] = True
    targets[mask] = labels
    return torch.where(known >= 0, known, targets)


def merge_sorts(known, positions, labels):
    targets = known.clone()
    targets[positions.sort().values] = labels
    return torch.where(known >= 0, known, targets)


def merge_first_rows(known, positions, labels):
    targets = known.clone()
    targets[: len(labels)] = labels
    return torch.where(known >= 0, known, targets)


def merge_drops_class_zero(known, positions, labels):
    return merge_mask(known, positions[labels > 0], labels[labels > 0])


def merge_larger(known, positions, labels):
    targets = known.clone()
    targets[positions] = torch.maximum(known[positions], labels)
    return targets


def merge_writes_into_labels(known, positions, labels):
    settled = known[positions] >= 0
    labels[settled] = known[positions][settled]
    return _write(torch.clone)(known, positions, labels)


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
        confidence, guess = predict(model).max(dim=1)
        new = torch.where((confidence >= tau) & (known < 0), guess, known)
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


def rounds_labels_as_positions(known, fit, predict, tau, num_rounds):
    pairs = [(fit(known), known)]
    for _ in range(num_rounds):
        targets = merge_mask(known, *select_isin(predict(pairs[-1][0]), known[known >= 0], tau))
        if torch.equal(targets, pairs[-1][1]):
            break
        pairs.append((fit(targets), targets))
    return pairs


def _rounds(
    base=lambda known, targets: known,
    struck=lambda known, targets: known >= 0,
    asked=lambda pairs: pairs[-1][0],
    count=lambda n: n,
    same=torch.equal,
    tau_used=lambda tau: tau,
    combine=merge_mask,
    end=lambda pairs: pairs,
):
    def answer(known, fit, predict, tau, num_rounds):
        pairs = [(fit(known), known)]
        for _ in range(count(num_rounds)):
            before = pairs[-1][1]
            labelled = struck(known, before).nonzero().squeeze(1)
            positions, labels = select_isin(predict(asked(pairs)), labelled, tau_used(tau))
            targets = combine(base(known, before), positions, labels)
            if same(targets, before):
                break
            pairs.append((fit(targets), targets))
        return end(pairs)

    return answer


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


def rounds_asked_once(known, fit, predict, tau, num_rounds):
    pairs = [(fit(known), known)]
    answers = predict(pairs[0][0])
    for _ in range(num_rounds):
        targets = merge_mask(known, *select_isin(answers, (known >= 0).nonzero().squeeze(1), tau))
        pairs.append((fit(targets), targets))
    return pairs


def rounds_fit_then_stop(known, fit, predict, tau, num_rounds):
    labelled = (known >= 0).nonzero().squeeze(1)
    pairs = [(fit(known), known)]
    for _ in range(num_rounds):
        targets = merge_mask(known, *select_isin(predict(pairs[-1][0]), labelled, tau))
        model = fit(targets)
        if torch.equal(targets, pairs[-1][1]):
            break
        pairs.append((model, targets))
    return pairs


def rounds_begin_with_pseudo_labels(known, fit, predict, tau, num_rounds):
    labelled, pairs, model = (known >= 0).nonzero().squeeze(1), [], fit(known)
    for _ in range(num_rounds):
        targets = merge_mask(known, *select_isin(predict(model), labelled, tau))
        if pairs and torch.equal(targets, pairs[-1][1]):
            break
        model = fit(targets)
        pairs.append((model, targets))
    return pairs


def rounds_any_earlier(known, fit, predict, tau, num_rounds):
    labelled = (known >= 0).nonzero().squeeze(1)
    pairs = [(fit(known), known)]
    for _ in range(num_rounds):
        new = merge_mask(known, *select_isin(predict(pairs[-1][0]), labelled, tau))
        if any(torch.equal(new, targets) for _, targets in pairs):
            break
        pairs.append((fit(new), new))
    return pairs


def rounds_continue(known, fit, predict, tau, num_rounds):
    labelled = (known >= 0).nonzero().squeeze(1)
    pairs = [(fit(known), known)]
    for _ in range(num_rounds):
        new = merge_mask(known, *select_isin(predict(pairs[-1][0]), labelled, tau))
        if torch.equal(new, pairs[-1][1]):
            continue
        pairs.append((fit(new), new))
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


def rounds_asks_at_the_end(known, fit, predict, tau, num_rounds):
    labelled = (known >= 0).nonzero().squeeze(1)
    pairs = [(fit(known), known)]
    answers = predict(pairs[0][0])
    for _ in range(num_rounds):
        new = merge_mask(known, *select_isin(answers, labelled, tau))
        if torch.equal(new, pairs[-1][1]):
            break
        pairs.append((fit(new), new))
        answers = predict(pairs[-1][0])
    return pairs


def rounds_until_nothing(known, fit, predict, tau, num_rounds):
    labelled = (known >= 0).nonzero().squeeze(1)
    pairs = [(fit(known), known)]
    for _ in range(num_rounds):
        positions, labels = select_isin(predict(pairs[-1][0]), labelled, tau)
        if len(positions) == 0:
            break
        new = merge_mask(known, positions, labels)
        if torch.equal(new, pairs[-1][1]):
            break
        pairs.append((fit(new), new))
    return pairs


def rounds_stricter(known, fit, predict, tau, num_rounds):
    labelled = (known >= 0).nonzero().squeeze(1)
    pairs = [(fit(known), known)]
    for r in range(num_rounds):
        new = merge_mask(known, *select_isin(predict(pairs[-1][0]), labelled, tau + 0.01 * r))
        if torch.equal(new, pairs[-1][1]):
            break
        pairs.append((fit(new), new))
    return pairs


def rounds_late_targets(known, fit, predict, tau, num_rounds):
    pairs = rounds_while(known, fit, predict, tau, num_rounds)
    targets = [t for _, t in pairs]
    return [(model, t) for (model, _), t in zip(pairs, [*targets[1:], targets[-1]])]


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


def _survivors(mistake=lambda f, l, t: (f >= 0) & (f != t), stands=lambda f, l, t: l == f, over=None, none=math.nan):
    def answer(first, last, truth):
        mistakes = mistake(first, last, truth)
        below = mistakes if over is None else over(first, last, truth)
        if not below.any():
            return none
        return (mistakes & stands(first, last, truth)).sum().item() / below.sum().item()

    return answer


def survivors_divide(first, last, truth):
    mistakes = (first >= 0) & (first != truth)
    return (mistakes & (last == first)).sum().item() / mistakes.sum().item()


def survivors_positions(first, last, truth):
    mistakes = ((first >= 0) & (first != truth)).nonzero().squeeze()
    if mistakes.numel() == 0:
        return math.nan
    return sum((first[i] == last[i]).item() for i in mistakes) / len(mistakes)


def survivors_none_is_nan(first, last, truth):
    mistakes = (first >= 0) & (first != truth)
    stand = mistakes & (last == first)
    return (stand.sum() / mistakes.sum()).item() if stand.any() else math.nan


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


def stop_patience(scores, margin):
    for r in range(len(scores) - 1):
        if scores[r + 1] < scores[r] + margin:
            return r
    return len(scores) - 1


def stop_running_best(scores, margin):
    best, chosen = scores[0], 0
    for r, score in enumerate(scores):
        if score > best + margin:
            best, chosen = score, r
    return chosen


def stop_walks_back(scores, margin):
    chosen = scores.index(max(scores))
    while chosen > 0 and scores[chosen - 1] >= max(scores) - margin:
        chosen -= 1
    return chosen


def stop_from_zero(scores, margin):
    best = 0
    for score in scores:
        best = max(best, score)
    for r, score in enumerate(scores):
        if score >= best - margin:
            return r


def stop_at_first_drop(scores, margin):
    for r in range(len(scores) - 1):
        if scores[r + 1] < scores[r]:
            return r
    return scores.index(max(scores))


RIGHT = {
    "2.1": [weight_branches, weight_numpy, weight_tensor],
    "2.2": [lee_split, lee_nll, lee_unlabelled_first],
    "2.3": [select_isin, select_loop, select_numpy, select_set_difference],
    "2.4": [merge_mask, merge_loop, merge_numpy, merge_scatter],
    "2.5": [rounds_while, rounds_direct, rounds_recursive],
    "2.6": [survivors_numpy, survivors_loop, survivors_sums],
    "2.7": [stop_numpy, stop_loop, stop_tensor],
}

WRONG = {
    "2.1": [
        (lambda step, t1, t2, a: min(1, max(0, _line(step, t1, t2))), "multiply it by alpha_f"),
        (lambda step, t1, t2, a: a if step >= t1 else 0, "there is no line"),
        (_weight(lambda s, t1, t2: (s - t1) // (t2 - t1)), "a whole-number division"),
        (_weight(lambda s, t1, t2: s / t2), "the line begins at step 0"),
        (_weight(lambda s, t1, t2: s / (t2 - t1)), "subtract t1 from the step"),
        (_weight(lambda s, t1, t2: (s - t1) / t2), "divide by t2 - t1"),
        (_weight(lambda s, t1, t2: (s + 1 - t1) / (t2 - t1)), "no step + 1"),
        (_weight(lambda s, t1, t2: _line(s, t1, t2) ** 2), "squared"),
        (_weight(lambda s, t1, t2: math.exp(-5 * (1 - _line(s, t1, t2)) ** 2)), "exponential ramp"),
        (_weight(lambda s, t1, t2: (t2 - t1) / (s - t1) if s > t1 else 0.0), "upside down"),
        (_weight(lambda s, t1, t2: (t1 - s) / (t2 - t1)), "the sign is wrong"),
        (_weight(lambda s, t1, t2: (t2 - s) / (t2 - t1), 1.0, 0.0), "the line falls"),
        (lambda step, t1, t2, a: a * min(1, _line(step, t1, t2)), "it is 0 there"),
        (lambda step, t1, t2, a: a * min(1, abs(_line(step, t1, t2))), "abs?"),
        (lambda step, t1, t2, a: a * max(0, _line(step, t1, t2)), "it stays at alpha_f"),
        (_weight(_line, after=0.0), "from t2 on the weight is alpha_f, not 0"),
        (lambda step, t1, t2, a: 1.0 if step >= t2 else a * max(0, _line(step, t1, t2)), "not 1"),
        (lambda step, t1, t2, a: min(1, max(0, a * _line(step, t1, t2))), "cut off after it was multiplied"),
        (lambda step, t1, t2, a: min(a, max(0, _line(step, t1, t2))), "multiply it by alpha_f"),
        (lambda step, t1, t2, a: 5 * min(1, max(0, (step - 100) / 500)), "are arguments"),
        (lambda step, t1, t2, a: 5 * min(1, max(0, _line(step, t1, t2))), "alpha_f is an argument"),
        (lambda step, t1, t2, a: int(weight_branches(step, t1, t2, a)), "rounded down to a whole number"),
        (lambda step, t1, t2, a: max(0, min(a, a * (step - t1) // (t2 - t1))), "rounded down to a whole number"),
        (_weight(lambda s, t1, t2: (s - t1) / (t2 - t1 + 1)), "no + 1"),
        (_weight(lambda s, t1, t2: 3 * _line(s, t1, t2) ** 2 - 2 * _line(s, t1, t2) ** 3), "smooth step"),
        (_weight(lambda s, t1, t2: (1 - math.cos(math.pi * _line(s, t1, t2))) / 2), "cosine"),
        (lambda step, t1, t2, a: a * (step - t1) / (t1 - t1), "divides by zero"),
        (
            lambda s, t1, t2, a: 0 if s < t1 else a * _line(s, t1, t2) if s < t2 else a if s > t2 else None,
            "step t2 exactly",
        ),
        (lambda s, t1, t2, a: 0 if s < t1 else None if s == t1 else a * min(1, _line(s, t1, t2)), "step t1 exactly"),
        (lambda s, t1, t2, a: a * min(1, max(0, (s - 160) / 800)), "not 160 and 960"),
        (lambda step, t1, t2, a: None, "it returned None"),
    ],
    "2.2": [
        (_lee(total=lambda l, u, a: l + u), "alpha is ignored"),
        (_lee(total=lambda l, u, a: a * (l + u)), "alpha multiplies both"),
        (_lee(total=lambda l, u, a: a * l + u), "alpha multiplies the labelled"),
        (_lee(total=lambda l, u, a: l), "the unlabelled loss is missing"),
        (_lee(total=lambda l, u, a: a * u), "the labelled loss is missing"),
        (_lee(total=lambda l, u, a: u), "and so is alpha"),
        (_lee(total=lambda l, u, a: l - a * u), "is subtracted"),
        (_lee(unlabelled=_summed), "the unlabelled losses are summed"),
        (_lee(labelled=_summed), "the labelled losses are summed"),
        (_lee(unlabelled=_summed, labelled=_summed), "take the mean of each part"),
        (lee_one_mean, "each part has its own mean"),
        (_lee(unlabelled=lambda z, t: _summed(z, t) / 2), "divided by the number of labelled images"),
        (_lee(target=lambda z: z.detach().softmax(1)), "the targets are soft"),
        (_lee(unlabelled=_masked), "a threshold is applied"),
        (
            _lee(unlabelled=lambda z, t: (F.cross_entropy(z, t, reduction="none") * (z.softmax(1).max(1).values >= 0.95)).mean()),
            "a threshold is applied",
        ),
        (_lee(unlabelled=_softmax_first), "softmax is applied before"),
        (_lee(unlabelled=_softmax_first, labelled=_softmax_first), "softmax is applied before"),
        (_lee(labelled=lambda z, y: F.cross_entropy(z, z.argmax(1))), "they have true ones"),
        (_lee(target=lambda z: z.argmin(1)), "argmax, not argmin"),
        (_lee(target=lambda z: z.argmax(0)), "argmax(dim=1)"),
        (lee_chunk, "cut after len(batch.x_l)"),
        (lee_cut_at_32, "cut after len(batch.x_l)"),
        (lee_skips_at_zero, "the joint pass is skipped"),
        (lee_logs_zero, "with alpha = 0 logs['unlabelled'] is 0"),
        (lambda *a: _lee()(*a)[::-1], "the two values are swapped"),
        (_lee(logs=lambda l, u, a: {"unlabeled": u.item()}), "its keys are ['unlabeled']"),
        (_lee(cut=lambda batch: len(batch.x_w)), "cut apart at the wrong place"),
        (_lee(cut=lambda batch: (len(batch.x_l) + len(batch.x_w)) // 2), "cut apart at the wrong place"),
        (lee_strong, "it uses the strong views"),
        (lee_like_fixmatch, "one view, batch.x_w, for both"),
        (lee_on_all, "runs over all images"),
        (lee_glued_backwards, "glued in one order and cut apart in another"),
        (lee_two_passes, "run it once"),
        (lee_asks_first, "run it once"),
        (lee_eval_mode, "neither eval() nor train()"),
        (lee_detaches_logits, "detach the pseudo-labels, not the logits"),
        (lee_no_gradient, "carries no gradient"),
        (lee_backward, "backward() is called inside"),
        (lambda *a: _lee()(*a)[0], "the loss only"),
        (lambda *a: (_lee()(*a)[0].item(), {}), "no .item()"),
        (_lee(logs=lambda l, u, a: {}), "logs must be a dict"),
        (_lee(logs=lambda l, u, a: u.item()), "logs must be a dict"),
        (_lee(logs=lambda l, u, a: {"unlabelled": u}), "carries a gradient"),
        (_lee(logs=lambda l, u, a: {"unlabelled": (a * u).item()}), "is weighted"),
        (_lee(logs=lambda l, u, a: {"unlabelled": l.item()}), "holds the labelled loss"),
        (_lee(logs=lambda l, u, a: {"unlabelled": (l + a * u).item()}), "holds the whole loss"),
    ],
    "2.3": [
        (_select(believe=lambda c, tau: c > tau), "exactly tau must pass"),
        (_select(strike=False), "labelled images are selected, too"),
        (_select(believe=lambda c, tau: c > tau, strike=False), "one at exactly tau is missing"),
        (_select(believe=lambda c, tau: c <= tau), "expected"),
        (_select(believe=lambda c, tau: c < tau), "upside down"),
        (_select(believe=lambda c, tau: c >= 0), "the threshold is not applied"),
        (_select(believe=lambda c, tau: c >= 0.75), "tau is ignored"),
        (_select(change=lambda p: p.softmax(1)), "softmax applied"),
        (_select(end=lambda i, g, c, m: (g[i], i)), "are swapped"),
        (_select(end=lambda i, g, c, m: (m, g[i])), "is a mask"),
        (_select(end=lambda i, g, c, m: (i.unsqueeze(1), g[i])), "squeeze(1) after nonzero()"),
        (_select(end=lambda i, g, c, m: (c[i], g[i])), "positions are wanted"),
        (_select(end=lambda i, g, c, m: (i, g)), "an entry for every image"),
        (_select(end=lambda i, g, c, m: (i, c[i])), "labels holds confidences"),
        (_select(end=lambda i, g, c, m: (i, g[: len(i)])), "cut, not selected"),
        (_select(end=lambda i, g, c, m: (i, F.one_hot(g[i], 3))), "one-hot"),
        (_select(end=lambda i, g, c, m: (i.tolist(), g[i])), "an int64 tensor is wanted"),
        (_select(end=lambda i, g, c, m: (i, g[i].float())), "an int64 tensor is wanted"),
        (_select(end=lambda i, g, c, m: (i.flip(0), g[i].flip(0))), "rising order"),
        (_select(end=lambda i, g, c, m: i), "it must return 2 values"),
        (
            lambda p, labelled, tau: (select_isin(p, labelled, tau)[0], p[select_isin(p, labelled, tau)[0]]),
            "distributions",
        ),
        (
            lambda p, labelled, tau: (select_isin(p, labelled, tau)[0], p.argmin(1)[select_isin(p, labelled, tau)[0]]),
            "argmin",
        ),
        (select_short_table, "counted among the unlabelled"),
        (select_in_place, "changes its input"),
        (select_only_labelled, "only labelled images"),
        (select_by_confidence, "sorted by confidence"),
        (select_squeeze, ".squeeze(1), not .squeeze()"),
        (select_each_class, "once per class that reaches tau"),
        (select_untyped_lists, "when nothing is selected: it must be int64"),
        (select_zeroed, "at tau = 0 labelled images are selected"),
        (_select(believe=lambda c, tau: (c * 100).round() >= round(tau * 100)), "without rounding"),
        (_select(believe=lambda c, tau: c >= tau - 0.01), "without rounding"),
        (_select(believe=lambda c, tau: c >= 0.95), "is tau used?"),
        (select_mask_of_positions, "labelled holds positions, not a mask"),
        (select_wrong_axis, "max(dim=1)"),
        (select_labelled_first, "taken for the first ones"),
        (select_set, "a Python set has no order"),
        (select_untyped_keep, "when all images are labelled"),
        (select_strikes_out_a_slice, "up to the last labelled image"),
        (select_by_the_lead, "the lead over the second class"),
        (lambda p, labelled, tau: select_isin(p, labelled - 1, tau), "take it as it is"),
    ],
    "2.4": [
        (_write(lambda known: known), "the true labels are lost"),
        (_write(lambda known: known[:]), "the true labels are lost"),
        (_write(lambda known: known.view(-1)), "the true labels are lost"),
        (_write(lambda known: known.detach()), "the true labels are lost"),
        (merge_numpy_alias, "the true labels are lost"),
        (_write(torch.clone), "a pseudo-label replaces a true label"),
        (merge_class_zero, "class 0 is a label, too"),
        (merge_all_or_nothing, "decide for each position"),
        (merge_early_return, "returns `known` itself"),
        (lambda known, positions, labels: known.clone(), "nothing is written"),
        (merge_from_nothing, "the true labels are missing"),
        (merge_zeros, "stays at -1"),
        (merge_adds, "added to -1"),
        (merge_first_free, "the first free places"),
        (merge_floats, "class numbers are int64"),
        (merge_swapped, "positions and labels are swapped"),
        (lambda known, positions, labels: torch.cat([known, labels]), "glued to the end"),
        (lambda known, positions, labels: torch.cat([known[known >= 0], labels]), "glued"),
        (lambda known, positions, labels: merge_mask(known, positions[:1], labels[:1]), "only the first"),
        (lambda known, positions, labels: merge_mask(known, positions, labels).tolist(), "must return one tensor"),
        (lambda known, positions, labels: (positions, labels), "must return one tensor"),
        (lambda known, positions, labels: merge_mask(known, positions, labels[positions]), "not labels[positions]"),
        (merge_filters_positions, "but their labels are not"),
        (merge_counts_the_written, "but their labels are not"),
        (merge_mask_of_positions, "in rising order of the positions"),
        (merge_sorts, "in rising order of the positions"),
        (merge_first_rows, "go to the first rows"),
        (merge_drops_class_zero, "a pseudo-label of class 0 is dropped"),
        (merge_larger, "a pseudo-label replaces a true label"),
        (merge_writes_into_labels, "it writes into `labels`"),
    ],
    "2.5": [
        (_rounds(base=lambda known, targets: targets, struck=lambda known, targets: targets >= 0), "stays for ever"),
        (_rounds(struck=lambda known, targets: targets >= 0), "only images with a TRUE label"),
        (_rounds(base=lambda known, targets: targets), "stays for ever"),
        (_rounds(base=lambda known, targets: targets, combine=_write(torch.clone)), "that was dropped stays"),
        (
            _rounds(struck=lambda known, targets: known > 99, combine=_write(torch.clone)),
            "the labelled images get pseudo-labels",
        ),
        (rounds_labels_as_positions, "the POSITIONS where known >= 0"),
        (_rounds(combine=merge_from_nothing), "the true labels are missing"),
        (_rounds(asked=lambda pairs: pairs[0][0]), "ask the LAST model"),
        (_rounds(asked=lambda pairs: pairs[0][0], same=lambda a, b: False), "ask the LAST model"),
        (_rounds(asked=lambda pairs: pairs[-1]), "predict takes a model, what fit returned, but was handed tuple"),
        (lambda known, fit, predict, tau, n: [(fit([known]), known)], "fit takes the targets"),
        (_rounds(tau_used=lambda tau: 0.95), "is tau used?"),
        (_rounds(same=lambda a, b: a == b), "torch.equal"),
        (_rounds(struck=lambda known, targets: known > 0, combine=_write(torch.clone)), "class 0 is a label, too"),
        (rounds_shifted, "belong to the model trained ON them"),
        (rounds_any_earlier, "an EARLIER round"),
        (rounds_until_nothing, "it stops when nothing is selected"),
        (_rounds(same=lambda a, b: torch.equal(a, b) or (a >= 0).sum() == 2), "it stops when nothing is selected"),
        (rounds_stricter, "tau is the same in every round"),
        (_rounds(same=lambda a, b: (a == b).any()), "as soon as one image keeps its target"),
        (_rounds(same=lambda a, b: torch.equal(a >= 0, b >= 0)), "compare the targets, not the positions"),
        (_rounds(same=lambda a, b: a.sum() == b.sum()), "compare the targets, not their number"),
        (rounds_continue, "not continue"),
        (rounds_asks_at_the_end, "though no round follows"),
        (rounds_asked_once, "asked once only"),
        (_rounds(count=lambda n: n - 1), "one round too few"),
        (_rounds(count=lambda n: n + 1), "one round too many"),
        (_rounds(count=lambda n: 1), "it stops after one round"),
        (_rounds(same=lambda a, b: False), "nothing is confident here"),
        (_rounds(same=lambda a, b: (a >= 0).sum() == (b >= 0).sum()), "compare the targets themselves"),
        (_rounds(same=lambda a, b: not (a >= 0).sum() > (b >= 0).sum()), "compare the targets themselves"),
        (_rounds(tau_used=lambda tau: 0.8), "tau is ignored"),
        (_rounds(end=lambda pairs: pairs[1:]), "round 0 is missing"),
        (_rounds(end=lambda pairs: pairs[-1]), "a list of pairs"),
        (_rounds(end=lambda pairs: pairs[-1][0]), "a list of pairs"),
        (_rounds(end=lambda pairs: [model for model, _ in pairs]), "a list of pairs"),
        (_rounds(end=lambda pairs: [(t, m) for m, t in pairs]), "the pairs are swapped"),
        (_rounds(end=lambda pairs: [(pairs[-1][0], t) for _, t in pairs]), "expected the model of fit"),
        (rounds_in_place, "`known` has changed"),
        (rounds_shared, "all pairs hold the last targets"),
        (rounds_fit_then_stop, "stop"),
        (rounds_begin_with_pseudo_labels, "round 0 is missing"),
        (rounds_late_targets, "belong to the model trained ON them"),
        (lambda known, fit, predict, tau, n: [(fit(known >= 0), known)], "on the true labels alone"),
        (lambda known, fit, predict, tau, n: [], "fit is never called"),
    ],
    "2.6": [
        (lambda f, l, t: ((f >= 0) & (f != t) & (l == f)).sum().item(), "this is the number"),
        (_survivors(over=lambda f, l, t: f > -9), "the denominator is all images"),
        (_survivors(over=lambda f, l, t: f >= 0), "the denominator is all labels"),
        (_survivors(over=lambda f, l, t: (l >= 0) & (l != t)), "all mistakes of `last`"),
        (_survivors(stands=lambda f, l, t: (l >= 0) & (l != t)), "the class must be unchanged"),
        (_survivors(stands=lambda f, l, t: l >= f), "not >="),
        (_survivors(stands=lambda f, l, t: l != t), "only the healed one is taken off"),
        (_survivors(stands=lambda f, l, t: l == t), "share that is healed"),
        (_survivors(stands=lambda f, l, t: l != f), "share that did NOT survive"),
        (_survivors(stands=lambda f, l, t: l < 0), "share that is healed, or dropped"),
        (_survivors(mistake=lambda f, l, t: (f >= 0) & (f != t) & (l >= 0)), "the dropped mistakes are missing"),
        (_survivors(mistake=lambda f, l, t: f != t), "(-1) are counted as mistakes"),
        (_survivors(mistake=lambda f, l, t: f > -9), "look at the mistakes only"),
        (_survivors(none=0.0), "which is not 0"),
        (_survivors(none=1.0), "which is not 1"),
        (survivors_divide, "divides by zero"),
        (survivors_positions, "a single mistake loses its axis"),
        (survivors_none_is_nan, "nan only if `first` has no mistake"),
        (_survivors(mistake=lambda f, l, t: (f > 0) & (f != t)), "class 0 is a class"),
        (_survivors(mistake=lambda f, l, t: f >= 0), "all labels that did not change"),
        (lambda f, l, t: None, "it returned None"),
    ],
    "2.7": [
        (lambda s, m: s.index(max(s)), "this is the best round"),
        (lambda s, m: next(i for i, v in enumerate(s) if v > max(s) - m or v == max(s)), ">= in place of >"),
        (lambda s, m: next(i for i, v in enumerate(s) if v >= max(s) - m / 100), "this is the best round"),
        (lambda s, m: 0 if max(s) - s[0] <= m else s.index(max(s)), "this is the best round"),
        (stop_running_best, "with those before it"),
        (stop_walks_back, "a score may dip in between"),
        (lambda s, m: next((i for i, v in enumerate(s) if i and v >= max(s) - m), 0), "round 0 is never taken"),
        (stop_from_zero, "when all scores are negative"),
        (lambda s, m: next(i for i, v in enumerate(s) if abs(v) >= abs(max(s)) - m), "take no abs"),
        (lambda s, m: next(i for i, v in enumerate(s) if round(v, 2) >= round(max(s) - m, 2)), "without rounding"),
        (lambda s, m: max(i for i, v in enumerate(s) if v >= max(s) - m), "the latest round"),
        (lambda s, m: max(s), "this is the best score"),
        (lambda s, m: next(v for v in s if v >= max(s) - m), "this is the score"),
        (lambda s, m: 1 + next(i for i, v in enumerate(s) if v >= max(s) - m), "counted from 0"),
        (lambda s, m: next(i for i, v in enumerate(s) if v <= max(s) - m), "round 0 does not reach the bar"),
        (lambda s, m: s.index(min(s)), "round 0 does not reach the bar"),
        (lambda s, m: 0, "round 0 does not reach the bar"),
        (lambda s, m: sum(v < max(s) - m for v in s), "how many scores lie below the bar"),
        (lambda s, m: next(i for i, v in enumerate(s) if v >= max(s) + m), "MINUS the margin"),
        (lambda s, m: next((i for i, v in enumerate(s) if v >= max(s) + m), None), "MINUS the margin"),
        (lambda s, m: next(i for i, v in enumerate(s) if v >= max(s) - 0.25), "margin is ignored"),
        (lambda s, m: len(s) - 1 - s[::-1].index(max(s)) if not m else stop_numpy(s, m), "it takes the later"),
        (stop_patience, "a later, better round is not seen"),
        (stop_at_first_drop, "a later, better round is not seen"),
        (lambda s, m: next(i for i, v in enumerate(s) if v >= max(s) * (1 - m)), "as a share"),
        (lambda s, m: float(stop_numpy(s, m)), "is an int"),
        (lambda s, m: next((i for i, v in enumerate(s) if v > max(s) - m), s.index(max(s))), ">= in place of >"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "2.2": {
        "pseudo_labels = unknown.detach().argmax(dim=1) -> pseudo_labels = unknown.argmax(dim=1)": "argmax has no gradient",
        "pseudo_labels = unknown.detach().argmax(dim=1) -> pseudo_labels = unknown.detach().argmax(dim=-1)": "this axis is the last one",
    },
    "2.3": {
        "confidence, guess = probabilities.max(dim=1) -> confidence, guess = probabilities.max(dim=-1)": "this axis is the last one",
        "return (positions, guess[positions]) -> return (positions, guess[believed])": "the mask picks the same images in the same order",
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
        "return (last == first)[mistakes].float().mean().item() -> return (last == first)[mistakes].float().mean()": "a scalar float tensor is accepted, too",
    },
}
