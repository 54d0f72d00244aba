"""Answers to the exercises of lesson 07: other right ones, and wrong ones that no mistake of the check stands for."""

import math

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------------------ 7.1 remember


def remember_where(memory, index, label, confidence, tau):
    new = memory.clone()
    new[index] = torch.where(confidence >= tau, label, memory[index])
    return new


def remember_loop(memory, index, label, confidence, tau):
    notes = memory.tolist()
    for i, g, c in zip(index.tolist(), label.tolist(), confidence):
        if c >= tau:
            notes[i] = g
    return torch.tensor(notes)


def remember_numpy(memory, index, label, confidence, tau):
    new, sure = memory.numpy().copy(), np.flatnonzero(confidence.numpy() >= tau)
    new[index.numpy()[sure]] = label.numpy()[sure]
    return torch.from_numpy(new)


def remember_in_place(memory, index, label, confidence, tau):
    sure = confidence >= tau
    memory[index[sure]] = label[sure]
    return memory


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


def status_histogram(memory, num_classes):
    counts = torch.histc(memory.double(), num_classes, 0, num_classes)
    return counts / max(counts.max().item(), np.count_nonzero(memory.numpy() == -1))


# ------------------------------------------------------------------------------------------------------- 7.4 select


def _convex(status, tau):
    return tau * status / (2 - status)


def select_alone(memory, index, logits_w, tau, status_of):
    p = logits_w.detach().softmax(-1)
    label = p.argmax(-1)
    confidence = p.gather(-1, label[:, None])[:, 0]
    threshold = _convex(status_of(memory), tau)
    mask = torch.tensor([float(c >= threshold[g]) for c, g in zip(confidence, label)])
    return label, mask, remember_where(memory, index, label, confidence, tau)


def select_one_hot(memory, index, logits_w, tau, status_of):
    with torch.no_grad():
        confidence, label = logits_w.softmax(1).max(1)
        status = status_of(memory.clone())
        threshold = (F.one_hot(label, len(status)) * _convex(status, tau)).sum(1)
        mask = torch.where(confidence >= threshold, 1.0, 0.0)
    return [label, mask, remember_loop(memory, index, label, confidence, tau)]


def select_loop(memory, index, logits_w, tau, status_of):
    T, new, labels, mask = _convex(status_of(memory), tau), memory.clone(), [], []
    for i, row in zip(index, logits_w.detach().double().softmax(1)):
        label = int(row.argmax())
        labels.append(label)
        mask.append(1.0 if row[label] >= T[label] else 0.0)
        if row[label] >= tau:
            new[i] = label
    return torch.tensor(labels), torch.tensor(mask), new


def select_numpy(memory, index, logits_w, tau, status_of):
    """Noted before the status is asked for, but the status is that of the old memory."""
    z = logits_w.detach().numpy().astype(np.float64)
    confidence, label = 1 / np.exp(z - z.max(1, keepdims=True)).sum(1), torch.from_numpy(z.argmax(1))
    new = remember_where(memory, index, label, torch.from_numpy(confidence), tau)
    mask = confidence >= _convex(status_of(memory).numpy().astype(np.float64), tau)[label.numpy()]
    return label, torch.from_numpy(mask.astype(np.float32)), new


def select_with_gradient(memory, index, logits_w, tau, status_of):
    confidence, label = logits_w.softmax(1).max(1)
    mask = (confidence >= _convex(status_of(memory), tau)[label]) * confidence / confidence
    return label, mask, remember_where(memory, index, label, confidence.detach(), tau)


def select_remembers_by_loop(memory, index, logits_w, tau, status_of):
    confidence, label = logits_w.detach().softmax(1).max(1)
    T = _convex(status_of(memory), tau)[label]
    return label, (confidence >= T).float(), remember_loop(memory, index, label, confidence, T)


# ------------------------------------------------------------------------------------------------------ 7.5 the step


def _ce(z, label):
    return F.cross_entropy(z, label, reduction="none")


def step_alone(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        z_w = model(batch.x_w)
    label, mask, new = select_alone(memory, batch.index, z_w, tau, status_of)
    n = len(batch.x_l)
    z = model(torch.cat((batch.x_l, batch.x_s)))
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * (_ce(z[n:], label) * mask).mean(), {"mask": mask.mean()}, new


def step_all_together(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    sizes = [len(batch.x_l), len(batch.x_w), len(batch.x_s)]
    z_l, z_w, z_s = model(torch.cat([batch.x_l, batch.x_w, batch.x_s])).split(sizes)
    label, mask, new = select_one_hot(memory, batch.index, z_w.detach(), tau, status_of)
    loss_u = (mask * _ce(z_s, label)).sum() / len(mask)
    return F.cross_entropy(z_l, batch.y_l) + lambda_u * loss_u, {"mask": float(mask.mean())}, new


def step_loop(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        z_w = model(batch.x_w)
    label, mask, new = select_loop(memory, batch.index, z_w, tau, status_of)
    z_l, z_s = model(torch.cat([batch.x_l, batch.x_s])).tensor_split([len(batch.x_l)])
    log_p = z_s.log_softmax(1)
    loss_u = -sum(m * row[g] for m, row, g in zip(mask, log_p, label)) / len(mask)
    return F.cross_entropy(z_l, batch.y_l) + lambda_u * loss_u, {"mask": sum(mask.tolist()) / len(mask)}, new


def step_strong_first(model, batch, memory, status_of, tau=0.95, lambda_u=1.0):
    """The joint pass comes first, its images in the other order, and the weak logits are detached afterwards."""
    n = len(batch.x_s)
    z = model(torch.cat([batch.x_s, batch.x_l]))
    label, mask, new = select_numpy(memory, batch.index, model(batch.x_w).detach(), tau, status_of)
    loss_u = F.cross_entropy(z[:n][mask > 0], label[mask > 0], reduction="sum") / n
    return [F.cross_entropy(z[n:], batch.y_l) + lambda_u * loss_u, {"mask": np.float64(mask.mean())}, new]


def step_backward(*inputs, **options):
    result = step_alone(*inputs, **options)
    result[0].backward(retain_graph=True)
    return result


def step_int32(*inputs, **options):
    loss, logs, new = step_alone(*inputs, **options)
    return loss, logs, new.int()


# --------------------------------------------------------------------------------------------- 7.6 status by prior


def prior_loop(memory, prior):
    n = len(memory)
    counts = [int((memory == c).sum()) for c in range(len(prior))]
    rates = [count / (float(p) * n) for count, p in zip(counts, prior)]
    return torch.tensor([rate / max(max(rates), 1 - sum(counts) / n) for rate in rates])


def prior_fractions(memory, prior):
    fractions = torch.bincount(memory + 1, minlength=len(prior) + 1).double() / len(memory)
    rate = fractions[1:] / prior
    return rate / torch.maximum(rate.max(), fractions[0])


def prior_counts(memory, prior):
    """Both numbers in the braces times N."""
    counts = (memory[:, None] == torch.arange(len(prior))).sum(0) / prior
    return counts / max(counts.max().item(), (memory < 0).sum().item())


def prior_numpy(memory, prior):
    m, p = memory.numpy(), prior.numpy().astype(np.float64)
    rate = np.bincount(m[m >= 0], weights=1 / p[m[m >= 0]], minlength=len(p)) / m.size
    return torch.from_numpy(rate / np.append(rate, np.mean(m == -1)).max())


# ------------------------------------------------------------------------------------------------- 7.7 alignment


def align_rows(q, prior, average):
    rows = [row * prior / average for row in q]
    return torch.stack([row / row.sum() for row in rows])


def align_numpy(q, prior, average):
    weighted = q.numpy() * (prior / average).numpy()[None]
    return torch.from_numpy(weighted / weighted.sum(axis=1)[:, None])


# ------------------------------------------------------------------------------------------------ 7.8 soft weights


def soft_loop(confidence, mean, variance):
    weight = [1.0 if c >= mean else math.exp(-((c - mean) ** 2) / (2 * variance)) for c in confidence.tolist()]
    return torch.tensor(weight, dtype=confidence.dtype)


def soft_where(confidence, mean, variance):
    gaussian = torch.exp(-((confidence - mean) ** 2) / (2 * variance))
    return torch.where(confidence < mean, gaussian, torch.ones_like(confidence))


def soft_numpy(confidence, mean, variance):
    short = np.minimum(confidence.numpy().astype(np.float64), mean) - mean
    return torch.from_numpy(np.exp(-0.5 * np.square(short) / variance))


def soft_relu(confidence, mean, variance):
    """The distance in standard deviations."""
    return (-(F.relu(mean - confidence) / math.sqrt(variance)).pow(2) / 2).exp()


def soft_assigned(confidence, mean, variance):
    weight = torch.ones_like(confidence)
    below = confidence < mean
    weight[below] = torch.exp(-0.5 * (mean - confidence[below]) ** 2 / variance)
    return weight


def soft_in_place(confidence, mean, variance):
    confidence -= mean
    return torch.exp(-(confidence.clamp_(max=0) ** 2) / (2 * variance))


def soft_by_if(confidence, mean, variance):
    return torch.ones_like(confidence) if confidence >= mean else torch.exp(-((confidence - mean) ** 2) / (2 * variance))


RIGHT = {
    "7.1": [remember_where, remember_loop, remember_numpy, lambda m, i, g, c, tau: m.scatter(0, i[c.ge(tau)], g[c.ge(tau)])],
    "7.2": [status_loop, status_shifted, status_one_hot, status_histogram],
    "7.3": [
        lambda status, tau: torch.stack([tau * x / (2 - x) for x in status]),
        lambda status, tau: tau * (2 / (2 - status) - 1),
        lambda status, tau: torch.from_numpy(np.multiply(tau, status.numpy() / np.subtract(2, status.numpy()))),
    ],
    "7.4": [select_alone, select_one_hot, select_loop, select_numpy],
    "7.5": [step_alone, step_all_together, step_loop, step_strong_first],
    "7.6": [prior_loop, prior_fractions, prior_counts, prior_numpy],
    "7.7": [
        align_rows,
        align_numpy,
        lambda q, prior, average: (q.log() + (prior / average).log()).softmax(1),
        lambda q, prior, average: (q @ torch.diag(prior / average)) / (q @ (prior / average)).unsqueeze(1),
    ],
    "7.8": [soft_loop, soft_where, soft_numpy, soft_relu, soft_assigned],
}

WRONG = {
    "7.1": [
        (remember_in_place, "changes its input"),
        (lambda m, i, g, c, tau: remember_where(m, i, g, c, tau) if (c >= tau).any() else m, "a copy, then, too"),
        (lambda *inputs: remember_where(*inputs).float(), "must be an int64 tensor"),
    ],
    "7.4": [
        (lambda *inputs: select_alone(*inputs)[:2], "must return 3 values"),
        (select_with_gradient, "carries a gradient"),
        (select_remembers_by_loop, "does remember get the thresholds"),
    ],
    "7.5": [(step_backward, "backward()"), (step_int32, "must be an int64 tensor")],
    "7.8": [
        (soft_in_place, "changes its input"),
        (soft_by_if, "one confidence at a time"),
        (lambda *inputs: soft_where(*inputs).numpy(), "must be a float tensor"),
        (lambda *inputs: soft_where(*inputs).tolist(), "must be a float tensor"),
        (lambda *inputs: soft_where(*inputs).mean(), "shape"),
        (lambda *inputs: soft_where(*inputs)[:, None], "shape"),
        (lambda c, mean, variance: None, "None"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "7.2": {
        "counts = torch.bincount(memory[memory >= 0], minlength=num_classes).float() -> counts = torch.bincount(memory[memory >= 0], minlength=num_classes)": "true division makes floats of the counts",
    },
    "7.5": {
        "with torch.no_grad():; logits_w = model(batch.x_w) -> logits_w = model(batch.x_w)": "pseudo-label and mask carry no gradient either way; no_grad only saves time and memory",
        "return (loss, {'mask': mask.mean().item()}, new_memory) -> return (loss, {'mask': mask.mean()}, new_memory)": "a scalar tensor is a number, too",
    },
    "7.7": {
        "weighted = q * prior / average -> weighted = -(q * prior / average)": "the sign cancels when the row is divided by its sum",
        "return weighted / weighted.sum(dim=1, keepdim=True) -> return weighted / weighted.sum(dim=-1, keepdim=True)": "this axis is the last one",
    },
    "7.8": {
        "below = (confidence - mean).clamp(max=0) -> below = -(confidence - mean).clamp(max=0)": "the sign is lost in the square",
    },
}
