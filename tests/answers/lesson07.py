"""Other right answers, and the wrong answers that people give, for lesson 07."""

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------------------ 7.1 remember


def remember_where(memory, index, guess, confidence, tau):
    new = memory.clone()
    new[index] = torch.where(confidence >= tau, guess, memory[index])
    return new


def remember_loop(memory, index, guess, confidence, tau):
    notes = memory.tolist()
    for i, g, c in zip(index.tolist(), guess.tolist(), confidence):
        if c >= tau:
            notes[i] = g
    return torch.tensor(notes)


def remember_scatter(memory, index, guess, confidence, tau):
    sure = confidence.ge(tau)
    return memory.scatter(0, index[sure], guess[sure])


def remember_in_place(memory, index, guess, confidence, tau):
    sure = confidence >= tau
    memory[index[sure]] = guess[sure]
    return memory


def _remember(sure=lambda c, tau: c >= tau, write=lambda index, guess: (index, guess), start=torch.clone):
    def answer(memory, index, guess, confidence, tau):
        new, s = start(memory), sure(confidence, tau)
        i, g = write(index[s], guess[s])
        new[i] = g
        return new

    return answer


def remember_deleting(memory, index, guess, confidence, tau):
    new = memory.clone()
    new[index] = torch.where(confidence >= tau, guess, -1)
    return new


def remember_by_row(memory, index, guess, confidence, tau):
    new = memory.clone()
    new[: len(guess)] = torch.where(confidence >= tau, guess, new[: len(guess)])
    return new


def remember_only_new(memory, index, guess, confidence, tau):
    new, sure = memory.clone(), (confidence >= tau) & (memory[index] < 0)
    new[index[sure]] = guess[sure]
    return new


def remember_loop_to(first, last):
    """A loop that ends at the first guess that is not sure (`break`), or after the first one (`return` inside)."""

    def answer(memory, index, guess, confidence, tau):
        new = memory.clone()
        for i, g, c in zip(index, guess, confidence):
            if first(c, tau):
                break
            new[i] = g
            if last:
                break
        return new

    return answer


def remember_sorted(memory, index, guess, confidence, tau):
    new, sure = memory.clone(), confidence >= tau
    new[torch.isin(torch.arange(len(memory)), index[sure])] = guess[sure]
    return new


def remember_larger(memory, index, guess, confidence, tau):
    new, sure = memory.clone(), confidence >= tau
    new[index[sure]] = torch.maximum(new[index[sure]], guess[sure])
    return new


def remember_itself(memory, index, guess, confidence, tau):
    return remember_where(memory, index, guess, confidence, tau) if (confidence >= tau).any() else memory


def remember_wrong_positions(memory, index, guess, confidence, tau):
    new, sure = memory.clone(), confidence >= tau
    new[index[: sure.sum()]] = guess[sure]
    return new


def remember_if(keep):
    def answer(memory, index, guess, confidence, tau):
        new, sure = memory.clone(), (confidence >= tau) & keep(index, guess)
        new[index[sure]] = guess[sure]
        return new

    return answer


# ---------------------------------------------------------------------------------------------------- 7.2 the status


def status_loop(memory, num_classes):
    counts = [int((memory == c).sum()) for c in range(num_classes)]
    return torch.tensor([count / max(max(counts), len(memory) - sum(counts)) for count in counts])


def status_shifted(memory, num_classes):
    counts = torch.bincount(memory + 1, minlength=num_classes + 1).double()
    return counts[1:] / counts.max()


def status_one_hot(memory, num_classes):
    counts = F.one_hot(memory.clamp(min=0), num_classes)[memory >= 0].sum(0).float()
    return counts / torch.maximum(counts.max(), (memory < 0).sum())


def _status(divide, minlength=True):
    def answer(memory, num_classes):
        used = memory[memory >= 0]
        counts = torch.bincount(used, minlength=num_classes if minlength else 0).float()
        return divide(counts, len(memory) - len(used), len(memory))

    return answer


def status_last_class(memory, num_classes):
    counts = torch.zeros(num_classes)
    for note in memory.tolist():
        counts[note] += 1
    return counts / counts.max()


def _right_status(counts, unused, n):
    return counts / max(counts.max().item(), unused)


# ------------------------------------------------------------------------------------------------- 7.3 the thresholds


def thresholds_loop(status, tau):
    return torch.stack([tau * x / (2 - x) for x in status])


def thresholds_other_form(status, tau):
    return tau * (2 / (2 - status) - 1)


# ------------------------------------------------------------------------------------------------------- 7.4 select


def _convex(status, tau):
    return tau * status / (2 - status)


def select_alone(memory, index, logits_w, tau, status_of):
    p = logits_w.detach().softmax(-1)
    guess = p.argmax(-1)
    confidence = p.gather(-1, guess[:, None])[:, 0]
    threshold = _convex(status_of(memory), tau)
    mask = torch.tensor([float(c >= threshold[g]) for c, g in zip(confidence, guess)])
    return guess, mask, remember_where(memory, index, guess, confidence, tau)


def select_one_hot(memory, index, logits_w, tau, status_of):
    with torch.no_grad():
        confidence, guess = logits_w.softmax(1).max(1)
        status = status_of(memory)
        threshold = (F.one_hot(guess, len(status)) * _convex(status, tau)).sum(1)
        mask = torch.where(confidence >= threshold, 1.0, 0.0)
    return [guess, mask, remember_scatter(memory, index, guess, confidence, tau)]


def _select(mask=lambda c, g, T, tau: (c >= T[g]).float(), note=None, status=lambda memory, status_of: status_of(memory)):
    def answer(memory, index, logits_w, tau, status_of):
        confidence, guess = logits_w.detach().softmax(1).max(1)
        T = _convex(status(memory, status_of), tau)
        m = mask(confidence, guess, T, tau)
        new = remember_where(memory, index, guess, confidence, tau) if note is None else note(memory, index, guess, confidence, tau, T)
        return guess, m, new

    return answer


def select_update_first(memory, index, logits_w, tau, status_of):
    confidence, guess = logits_w.detach().softmax(1).max(1)
    new = remember_where(memory, index, guess, confidence, tau)
    return guess, (confidence >= _convex(status_of(new), tau)[guess]).float(), new


def select_with_gradient(memory, index, logits_w, tau, status_of):
    confidence, guess = logits_w.softmax(1).max(1)
    mask = (confidence >= _convex(status_of(memory), tau)[guess]) * confidence / confidence
    return guess, mask, remember_where(memory, index, guess, confidence.detach(), tau)


def select_confidence_first(memory, index, logits_w, tau, status_of):
    guess, _ = logits_w.detach().softmax(1).max(1)
    return guess, torch.ones(len(guess)), memory


def select_with(confidences):
    """With another confidence than the softmax over the classes."""

    def answer(memory, index, logits_w, tau, status_of):
        confidence, guess = confidences(logits_w.detach()).max(1)
        mask = (confidence >= _convex(status_of(memory), tau)[guess]).float()
        return guess, mask, remember_where(memory, index, guess, confidence, tau)

    return answer


def select_by_old_note(memory, index, logits_w, tau, status_of):
    confidence, guess = logits_w.detach().softmax(1).max(1)
    mask = (confidence >= _convex(status_of(memory), tau)[memory[index]]).float()
    return guess, mask, remember_where(memory, index, guess, confidence, tau)


def select_without_others(memory, index, logits_w, tau, status_of):
    guess, mask, new = select_alone(memory, index, logits_w, tau, status_of)
    return guess, mask * ((memory[index] < 0) | (memory[index] == guess)), new


def select_two_classes(memory, index, logits_w, tau, status_of):
    confidence, guess = logits_w.detach().softmax(1).max(1)
    T = _convex(status_of(memory), tau)
    mask = torch.zeros(len(guess))
    for c in (0, 1):
        mask[guess == c] = (confidence[guess == c] >= T[c]).float()
    return guess, mask, remember_where(memory, index, guess, confidence, tau)


def select_remembers_by_loop(memory, index, logits_w, tau, status_of):
    confidence, guess = logits_w.detach().softmax(1).max(1)
    T = _convex(status_of(memory), tau)[guess]
    return guess, (confidence >= T).float(), remember_loop(memory, index, guess, confidence, T)


def select_in_place(memory, index, logits_w, tau, status_of):
    guess, mask, new = select_alone(memory, index, logits_w, tau, status_of)
    memory.copy_(new)
    return guess, mask, memory


# ------------------------------------------------------------------------------------------------------ 7.5 the step


def _ce(z, g):
    return F.cross_entropy(z, g, reduction="none")


def step_alone(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        z_w = model(batch.x_w)
    guess, mask, new = select_alone(memory, batch.index, z_w, tau, status_of)
    n = len(batch.x_l)
    z = model(torch.cat((batch.x_l, batch.x_s)))
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * (_ce(z[n:], guess) * mask).mean(), {"mask": mask.mean()}, new


def step_all_together(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    sizes = [len(batch.x_l), len(batch.x_w), len(batch.x_s)]
    z_l, z_w, z_s = model(torch.cat([batch.x_l, batch.x_w, batch.x_s])).split(sizes)
    guess, mask, new = select_one_hot(memory, batch.index, z_w.detach(), tau, status_of)
    loss_u = (mask * _ce(z_s, guess)).sum() / len(mask)
    return F.cross_entropy(z_l, batch.y_l) + lambda_u * loss_u, {"mask": float(mask.mean())}, new


def _step(
    loss=lambda l, z, g, m, lam: l + lam * (_ce(z, g) * m).mean(),
    select=select_alone,
    logs=lambda m: {"mask": m.mean().item()},
    memory_of=lambda old, new: new,
):
    def answer(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
        with torch.no_grad():
            z_w = model(batch.x_w)
        guess, mask, new = select(memory, batch.index, z_w, tau, status_of)
        z = model(torch.cat([batch.x_l, batch.x_s]))
        n = len(batch.x_l)
        total = loss(F.cross_entropy(z[:n], batch.y_l), z[n:], guess, mask, lambda_u)
        return total, logs(mask), memory_of(memory, new)

    return answer


def step_swapped(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    return step_alone(model, batch._replace(x_s=batch.x_w), memory, status_of, tau, lambda_u)


def step_separate(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        z_w = model(batch.x_w)
    guess, mask, new = select_alone(memory, batch.index, z_w, tau, status_of)
    loss_u = (_ce(model(batch.x_s), guess) * mask).mean()
    return F.cross_entropy(model(batch.x_l), batch.y_l) + lambda_u * loss_u, {"mask": mask.mean().item()}, new


def step_weak_with_gradient(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    guess, mask, new = select_alone(memory, batch.index, model(batch.x_w), tau, status_of)
    z, n = model(torch.cat([batch.x_l, batch.x_s])), len(batch.x_l)
    return (
        F.cross_entropy(z[:n], batch.y_l) + lambda_u * (_ce(z[n:], guess) * mask).mean(),
        {"mask": mask.mean().item()},
        new,
    )


def step_weak_detached(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    guess, mask, new = select_alone(memory, batch.index, model(batch.x_w).detach(), tau, status_of)
    z, n = model(torch.cat([batch.x_l, batch.x_s])), len(batch.x_l)
    loss_u = (_ce(z[n:], guess) * mask).sum() / len(guess)
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * loss_u, {"mask": mask.mean().item()}, new


def step_labelled_with_weak(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    n = len(batch.x_l)
    z = model(torch.cat([batch.x_l, batch.x_w]))
    guess, mask, new = select_alone(memory, batch.index, z[n:], tau, status_of)
    loss_u = (_ce(model(batch.x_s), guess) * mask).mean()
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * loss_u, {"mask": mask.mean().item()}, new


def step_views_swapped(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    return step_alone(model, batch._replace(x_w=batch.x_s, x_s=batch.x_w), memory, status_of, tau, lambda_u)


def step_other_default(model, batch, memory, status_of, tau=0.9, lambda_u=1.0):
    return step_alone(model, batch, memory, status_of, tau, lambda_u)


def step_eval(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    model.eval()
    return step_alone(model, batch, memory, status_of, tau, lambda_u)


def step_no_gradient(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        return step_alone(model, batch, memory, status_of, tau, lambda_u)


def step_backward(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    result = step_alone(model, batch, memory, status_of, tau, lambda_u)
    result[0].backward(retain_graph=True)
    return result


def select_fixed(memory, index, logits_w, tau, status_of):
    confidence, guess = logits_w.detach().softmax(1).max(1)
    return guess, (confidence >= tau).float(), remember_where(memory, index, guess, confidence, tau)


# --------------------------------------------------------------------------------------------- 7.6 status by prior


def prior_loop(memory, prior):
    n = len(memory)
    counts = [int((memory == c).sum()) for c in range(len(prior))]
    rates = [count / (float(p) * n) for count, p in zip(counts, prior)]
    return torch.tensor([rate / max(max(rates), 1 - sum(counts) / n) for rate in rates])


def prior_shares(memory, prior):
    shares = torch.bincount(memory + 1, minlength=len(prior) + 1).double() / len(memory)
    rate = shares[1:] / prior
    return rate / torch.maximum(rate.max(), shares[0])


def _prior(rule, minlength=True):
    def answer(memory, prior):
        counts = torch.bincount(memory[memory >= 0], minlength=len(prior) if minlength else 0).float()
        prior, n = prior[: len(counts)], len(memory)
        return rule(counts, prior, n, (memory < 0).sum().item(), counts / prior / n)

    return answer


# ------------------------------------------------------------------------------------------------- 7.7 alignment


def align_logits(q, prior, average):
    return (q.log() + (prior / average).log()).softmax(1)


def align_rows(q, prior, average):
    rows = [row * prior / average for row in q]
    return torch.stack([row / row.sum() for row in rows])


def _norm(x):
    return x / x.sum(1, keepdim=True)


def thresholds_numpy(status, tau):
    x = status.numpy()
    return torch.from_numpy(np.multiply(tau, np.divide(x, np.subtract(2, x))))


def select_loop(memory, index, logits_w, tau, status_of):
    T, new, guesses, mask = _convex(status_of(memory), tau), memory.clone(), [], []
    for i, row in zip(index, logits_w.detach().double().softmax(1)):
        guess = int(row.argmax())
        guesses.append(guess)
        mask.append(1.0 if row[guess] >= T[guess] else 0.0)
        if row[guess] >= tau:
            new[i] = guess
    return torch.tensor(guesses), torch.tensor(mask), new


def step_loop(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        z_w = model(batch.x_w)
    guess, mask, new = select_loop(memory, batch.index, z_w, tau, status_of)
    z_l, z_s = model(torch.cat([batch.x_l, batch.x_s])).tensor_split([len(batch.x_l)])
    log_p = z_s.log_softmax(1)
    loss_u = -sum(m * row[g] for m, row, g in zip(mask, log_p, guess)) / len(mask)
    return F.cross_entropy(z_l, batch.y_l) + lambda_u * loss_u, {"mask": sum(mask.tolist()) / len(mask)}, new


def align_numpy(q, prior, average):
    weighted = q.numpy() * (prior / average).numpy()[None]
    return torch.from_numpy(weighted / weighted.sum(axis=1)[:, None])


RIGHT = {
    "7.1": [remember_where, remember_loop, remember_scatter],
    "7.2": [status_loop, status_shifted, status_one_hot],
    "7.3": [thresholds_loop, thresholds_other_form, thresholds_numpy],
    "7.4": [select_alone, select_one_hot, select_loop],
    "7.5": [step_alone, step_all_together, step_loop, step_weak_detached, step_weak_with_gradient],
    "7.6": [prior_loop, prior_shares, _prior(lambda c, p, n, u, r: c / p / max((c / p).max().item(), u))],
    "7.7": [align_logits, align_rows, align_numpy],
}

WRONG = {
    "7.1": [
        (remember_in_place, "changes its input"),
        (_remember(lambda c, tau: c > tau), ">= instead of >"),
        (_remember(lambda c, tau: c >= 0.95), "tau is the argument"),
        (_remember(lambda c, tau: c < tau), "turned round"),
        (_remember(lambda c, tau: c >= 0), "unsure guesses are noted"),
        (remember_deleting, "deletes the old note"),
        (remember_by_row, "first positions"),
        (remember_only_new, "replaces an old one"),
        (remember_larger, "larger of the old and the new"),
        (remember_sorted, "order of the positions"),
        (remember_wrong_positions, "do not belong together"),
        (remember_loop_to(lambda c, tau: c < tau, False), "`break`"),
        (remember_loop_to(lambda c, tau: c < tau, True), "`return` inside the loop"),
        (remember_if(lambda index, guess: index > 0), "image 0 is left out"),
        (remember_if(lambda index, guess: guess > 0), "class 0 is never noted"),
        (remember_itself, "a copy, then, too"),
        (_remember(lambda c, tau: c.round(decimals=2) >= tau), "not rounded"),
        (_remember(lambda c, tau: c >= tau - 0.01), "just below tau"),
        (_remember(start=lambda m: torch.full_like(m, -1)), "old notes are gone"),
        (_remember(write=lambda i, g: (i, i)), "positions are noted"),
        (lambda m, i, g, c, tau: m.clone(), "unchanged"),
        (lambda m, i, g, c, tau: g, "whole memory"),
        (lambda m, i, g, c, tau: remember_where(m, i, g, c, tau)[i], "batch's part"),
        (lambda m, i, g, c, tau: remember_where(m, i, g, c, tau).float(), "must be an int64 tensor"),
        (lambda m, i, g, c, tau: None, "returned None"),
    ],
    "7.2": [
        (_status(lambda c, u, n: c / c.max().clamp(min=1)), "warm-up is missing"),
        (_status(lambda c, u, n: c / n), "divided by N"),
        (_status(lambda c, u, n: c), "these are counts"),
        (_status(_right_status, minlength=False), "left out"),
        (_status(lambda c, u, n: c / (c.max() + u)), "added"),
        (_status(lambda c, u, n: max(c.max().item(), u) / c), "turned round"),
        (_status(lambda c, u, n: c / max(1, u)), "larger of the two"),
        (_status(lambda c, u, n: c / c.max()), "warm-up is missing"),
        (status_last_class, "-1 points at the last entry"),
        (
            lambda m, n: (lambda c: c / c.max())(torch.cat([torch.bincount(m[m >= 0], minlength=n), (m < 0).sum()[None]])),
            "class of its own",
        ),
        (lambda m, n: status_loop(m, n).tolist(), "must be a float tensor, and is list"),
        (_status(lambda c, u, n: c / torch.maximum(c, torch.tensor(float(u)))), "expected"),
    ],
    "7.3": [
        (lambda s, tau: tau * s, "straight line"),
        (lambda s, tau: tau * s.max() / s, "reversed"),
        (lambda s, tau: tau / s, "reversed"),
        (lambda s, tau: tau * (2 - s) / s, "fraction is turned round"),
        (lambda s, tau: s / (2 - s), "tau is missing"),
        (lambda s, tau: tau * s / 2 - s, "brackets"),
        (lambda s, tau: tau * s / (2 - tau * s), "tau is inside the map"),
        (lambda s, tau: 0.95 * s / (2 - s), "tau is ignored"),
        (lambda s, tau: tau * s / (2 + s), "sign"),
        (lambda s, tau: tau * s**2, "another convex map"),
        (lambda s, tau: tau * (1 - s), "LOWER"),
        (lambda s, tau: tau * (s / s.max()) / (2 - s / s.max()), "divided by its maximum"),
        (lambda s, tau: tau * s / (2 * s.max() - s), "divided by its maximum"),
        (lambda s, tau: tau * s / (2 - s.max()), "with its own status"),
        (lambda s, tau: torch.full_like(s, tau), "status does not enter"),
        (lambda s, tau: s.div_(2 - s).mul_(tau), "changes its input"),
    ],
    "7.4": [
        (_select(lambda c, g, T, tau: (c >= tau).float()), "fixed tau"),
        (
            _select(note=lambda m, i, g, c, tau, T: remember_where(m, i, g, (c >= T[g]).float(), 0.5)),
            "what passes the mask is remembered",
        ),
        (select_update_first, "first the mask, then remember"),
        (_select(lambda c, g, T, tau: (c < T[g]).float()), "turned round"),
        (_select(lambda c, g, T, tau: c >= T[g]), "must be a float tensor"),
        (_select(note=lambda m, i, g, c, tau, T: m.clone()), "returned as it was"),
        (select_with_gradient, "carries a gradient"),
        (select_confidence_first, "confident_pseudo_label returns (confidence, guess)"),
        (lambda m, i, z, tau, s: select_alone(m, i, z, tau, s)[:2], "must return 3 values"),
        (lambda m, i, z, tau, s: select_alone(m, i, z, tau, s)[::-1], "order of the values"),
        (lambda m, i, z, tau, s: select_alone(m, i, z, 0.95, s), "tau is ignored"),
        (_select(status=lambda m, s: torch.ones(2)), "status_of is ignored"),
        (_select(lambda c, g, T, tau: (c > T[g]).float()), ">= instead of >"),
        (_select(note=lambda m, i, g, c, tau, T: remember_where(m, i, g, (c > tau).float(), 0.5)), ">= instead of >"),
        (_select(note=lambda m, i, g, c, tau, T: remember_where(m, i, g, c, 0.95)), "tau is ignored"),
        (lambda m, i, z, tau, s: select_alone(m, i, z, tau, lambda n: 2 * s(n) / (1 + s(n))), "convex map missing"),
        (_select(lambda c, g, T, tau: (c >= T.min()).float()), "every image passes"),
        (_select(lambda c, g, T, tau: (c >= T.max()).float()), "fixed tau"),
        (select_in_place, "changes its input"),
        (select_with(lambda z: z.softmax(0)), "runs over the classes (dim=1)"),
        (select_with(lambda z: z.sigmoid()), "sigmoid is no confidence"),
        (lambda m, i, z, tau, s: select_alone(m, i, z, tau, lambda _: s(m[i])), "batch's part of the memory"),
        (select_by_old_note, "old notes"),
        (select_without_others, "another note is dropped"),
        (select_two_classes, "only two classes"),
        (_select(lambda c, g, T, tau: (c >= torch.where(g == 0, T[0], T[1])).float()), "only two classes"),
        (_select(lambda c, g, T, tau: (c >= T.clamp(min=0.5)[g]).float()), "take the thresholds as they are"),
        (_select(lambda c, g, T, tau: (c >= T.mean()).float()), "look up the threshold"),
        (select_remembers_by_loop, "does remember get the thresholds"),
    ],
    "7.5": [
        (_step(lambda l, z, g, m, lam: (_ce(z, g) * m).mean()), "labelled loss is missing"),
        (_step(lambda l, z, g, m, lam: l), "unlabelled loss is missing"),
        (_step(lambda l, z, g, m, lam: l + lam * _ce(z, g).mean()), "mask is not applied"),
        (_step(lambda l, z, g, m, lam: l + lam * (_ce(z, g) * m).sum() / m.sum()), "kept images"),
        (_step(lambda l, z, g, m, lam: l + lam * (_ce(z, g) * m).sum()), "summed"),
        (_step(lambda l, z, g, m, lam: l + lam * (_ce(z, z.argmax(1)) * m).mean()), "guess comes from the strong view"),
        (_step(lambda l, z, g, m, lam: l + (_ce(z, g) * m).mean()), "lambda_u is ignored"),
        (_step(lambda l, z, g, m, lam: lam * (l + (_ce(z, g) * m).mean())), "both losses"),
        (_step(select=select_fixed), "status_of is ignored"),
        (_step(select=select_update_first), "first the mask, then remember"),
        (_step(memory_of=lambda old, new: old), "old memory comes back"),
        (_step(logs=lambda m: {}), "lacks 'mask'"),
        (_step(logs=lambda m: {"mask": m}), "whole mask"),
        (_step(logs=lambda m: {"mask": m.sum().item()}), "count"),
        (_step(logs=lambda m: m.mean().item()), "must be a dict"),
        (step_swapped, "computed on the weak views"),
        (step_separate, "separately"),
        (step_labelled_with_weak, "with the strong ones"),
        (step_views_swapped, "two views are swapped"),
        (step_other_default, "leave the defaults"),
        (_step(logs=lambda m: {"mask": 1 - m.mean().item()}), "share of images that are dropped"),
        (_step(logs=lambda m: {"mask": 0.5}), "logs['mask'] is 0.5"),
        (_step(lambda l, z, g, m, lam: l + lam * (_ce(z, g) * m).mean().item()), "learn from the strong views"),
        (_step(lambda l, z, g, m, lam: l.item() + lam * (_ce(z, g) * m).mean()), "learn from the labelled images"),
        (_step(lambda l, z, g, m, lam: l + lam * (_ce(z, g) * m).sum() / 4), "number of labelled images"),
        (step_eval, "neither eval() nor train()"),
        (step_no_gradient, "no gradient"),
        (step_backward, "backward() is called inside"),
        (lambda model, b, m, s, tau=0.95, lambda_u=1.0: step_alone(model, b, m, s, 0.95, lambda_u), "tau is ignored"),
        (
            lambda model, b, m, s, tau=0.95, lambda_u=1.0: step_alone(model, b, m, s, tau, lambda_u)[:2],
            "must return 3 values",
        ),
        (
            lambda model, b, m, s, tau=0.95, lambda_u=1.0: step_alone(model, b, m, lambda _: torch.tensor([1.0, 1 / 6]), tau, lambda_u),
            "status_of is ignored",
        ),
    ],
    "7.6": [
        (_prior(lambda c, p, n, u, r: c / max(c.max().item(), u)), "prior does not enter"),
        (_prior(lambda c, p, n, u, r: r), "these are the rates"),
        (_prior(lambda c, p, n, u, r: r / max(r.max().item(), u)), "share of N"),
        (_prior(lambda c, p, n, u, r: r / r.max().clamp(min=1e-9)), "warm-up is missing"),
        (_prior(lambda c, p, n, u, r: r / r.max()), "warm-up is missing"),
        (_prior(lambda c, p, n, u, r: c * p / (c * p).max()), "multiplied by the prior"),
        (_prior(lambda c, p, n, u, r: r / r.sum()), "divided by their sum"),
        (_prior(lambda c, p, n, u, r: r / (r.max() + u / n)), "added"),
        (_prior(lambda c, p, n, u, r: r / max(r.max().item(), u / n), minlength=False), "left out"),
        (_prior(lambda c, p, n, u, r: r / u), "counted"),
        (_prior(lambda c, p, n, u, r: r.clamp(max=1) / max(r.clamp(max=1).max().item(), u / n)), "cut off at 1"),
        (
            _prior(lambda c, p, n, u, r: c / p / max(n - u, 1) / max((c / p / max(n - u, 1)).max().item(), u / n)),
            "N is the number of all images",
        ),
        (_prior(lambda c, p, n, u, r: r / max(r.max().item(), 1 - u / n)), "WITHOUT a note enters"),
        (lambda m, prior: prior_loop(m, prior).tolist(), "must be a float tensor, and is list"),
    ],
    "7.7": [
        (lambda q, p, a: _norm(q * a / p), "factor is turned round"),
        (lambda q, p, a: q * p / a, "do not sum to 1"),
        (lambda q, p, a: _norm(q * p), "average guess does not enter"),
        (lambda q, p, a: _norm(q / a), "prior does not enter"),
        (lambda q, p, a: (q * p / a) / (q * p / a).sum(0), "each column"),
        (lambda q, p, a: (q * p / a).softmax(1), "softmax is no division"),
        (lambda q, p, a: (q * p / a) / (q * p / a).sum(), "one sum"),
        (lambda q, p, a: (q * p / a) / (q * p / a).max(1, keepdim=True).values, "not by its maximum"),
        (lambda q, p, a: _norm(q * p / q.mean(0)), "average of this batch"),
        (lambda q, p, a: _norm(q * p / a).argmax(1), "no argmax here"),
        (lambda q, p, a: q.mul_(p / a) / q.sum(1, keepdim=True), "changes its input"),
        (lambda q, p, a: p.expand(len(q), -1).clone(), "guess does not enter"),
        (lambda q, p, a: _norm(q * (p / a).clamp(max=2)), "factor is cut off"),
        (lambda q, p, a: _norm(q * (p / a).clamp(max=10)), "factor is cut off"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "7.2": {
        "counts = torch.bincount(memory[memory >= 0], minlength=num_classes).float() -> counts = torch.bincount(memory[memory >= 0], minlength=num_classes)": "true division makes floats of the counts",
    },
    "7.5": {
        "with torch.no_grad():; logits_w = model(batch.x_w) -> logits_w = model(batch.x_w)": "guess and mask carry no gradient either way; no_grad only saves time and memory",
        "return (loss, {'mask': mask.mean().item()}, new_memory) -> return (loss, {'mask': mask.mean()}, new_memory)": "a scalar tensor is a number, too",
    },
    "7.7": {
        "weighted = q * prior / average -> weighted = -(q * prior / average)": "the sign cancels when the row is divided by its sum",
        "return weighted / weighted.sum(dim=1, keepdim=True) -> return weighted / weighted.sum(dim=-1, keepdim=True)": "this axis is the last one",
    },
}
