"""Answers to the exercises of lesson 04: other right ones, and wrong ones that no mistake of the check stands for."""

import copy

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------------ 4.1 D from K logits


def real_softmax(logits):
    return F.pad(logits, (0, 1)).softmax(dim=1)[:, :-1].sum(dim=1)


def real_loop(logits):
    return torch.stack([torch.sigmoid(torch.logsumexp(row, 0)) for row in logits])


def real_numpy(logits):
    z = np.concatenate([logits.numpy(), np.zeros((len(logits), 1))], axis=1).astype(np.float64)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return torch.from_numpy(1 - z[:, -1] / z.sum(axis=1))


def real_shifted(logits):
    top = logits.amax(1).clamp(min=0)
    z = (logits - top[:, None]).exp().sum(1)
    return z / (z + (-top).exp())


# ------------------------------------------------------------------------------------------ 4.2 real and fake losses


def losses_bce(logits_real, logits_fake):
    real, fake = logits_real.logsumexp(1), logits_fake.logsumexp(1)
    bce = F.binary_cross_entropy_with_logits
    return bce(real, torch.ones_like(real)), bce(fake, torch.zeros_like(fake))


def losses_paper(logits_real, logits_fake):
    real, fake = torch.logsumexp(logits_real, -1), torch.logsumexp(logits_fake, -1)
    return (-real + F.softplus(real)).mean(), F.softplus(fake).mean()


def losses_logsigmoid(logits_real, logits_fake):
    return -F.logsigmoid(logits_real.logsumexp(1)).mean(), -F.logsigmoid(-logits_fake.logsumexp(1)).mean()


def losses_k_plus_one(logits_real, logits_fake):
    real = F.pad(logits_real, (0, 1)).logsumexp(1) - logits_real.logsumexp(1)
    is_fake = torch.full((len(logits_fake),), logits_fake.shape[1])
    return [real.mean(), F.cross_entropy(F.pad(logits_fake, (0, 1)), is_fake)]


def losses_by_hand(logits_real, logits_fake):
    s = -logits_real.logsumexp(1), logits_fake.double().logsumexp(1)
    return tuple((x.relu() + torch.log1p((-x.abs()).exp())).sum() / len(x) for x in s)


# ----------------------------------------------------------------------------------------- 4.3 the discriminator's loss


def step_paper(model, x_l, y_l, x_u, fakes):
    fake = model(fakes.detach()).logsumexp(1)
    z_l, z_u = model(torch.cat((x_l, x_u))).split([len(x_l), len(x_u)])
    real = z_u.logsumexp(1)
    labelled = (z_l.logsumexp(1) - z_l[torch.arange(len(y_l)), y_l]).mean()
    unlabelled = 0.5 * (-real.mean() + F.softplus(real).mean()) + 0.5 * F.softplus(fake).mean()
    return labelled + unlabelled, {"real": real.sigmoid().mean().item(), "fake": fake.sigmoid().mean().item()}


def step_tensors(model, x_l, y_l, x_u, fakes):
    with torch.no_grad():
        fakes = fakes.clone()
    z, z_f = model(torch.vstack([x_u, x_l])), model(fakes)
    z_u, z_l = z[: len(x_u)], z[len(x_u) :]
    loss = F.nll_loss(z_l.log_softmax(1), y_l) + sum(losses_bce(z_u, z_f)) / 2
    D = {name: real_softmax(z).mean().detach() for name, z in (("fake", z_f), ("real", z_u))}
    return [loss, D | {"loss": loss.item()}]


def step_one_hot(model, x_l, y_l, x_u, fakes):
    z = model(torch.cat([x_l, x_u]))
    z_l, z_u = z[: -len(x_u)], z[-len(x_u) :]
    z_f = model(fakes.data)
    labelled = -(F.one_hot(y_l, z.shape[1]) * z_l.log_softmax(1)).sum() / len(y_l)
    with torch.no_grad():
        D = [float(real_loop(z).mean()) for z in (z_u, z_f)]
    return labelled + torch.stack(losses_logsigmoid(z_u, z_f)).mean(), dict(zip(("real", "fake"), D))


def step_passes(forward):
    """The step with the three groups of logits from another way of calling the model."""

    def answer(model, x_l, y_l, x_u, fakes):
        z_l, z_u, z_f = forward(model, x_l, x_u, fakes.detach())
        loss = F.cross_entropy(z_l, y_l) + sum(losses_bce(z_u, z_f)) / 2
        return loss, {"real": real_loop(z_u).mean().item(), "fake": real_loop(z_f).mean().item()}

    return answer


def step_backward(*arguments):
    loss, logs = step_paper(*arguments)
    loss.backward(retain_graph=True)
    return loss, logs


def _returns(change):
    """The step, and something else of its loss and logs."""
    return lambda *arguments: change(*step_paper(*arguments))


def _takes(change):
    """The step with something done to the fakes before."""
    return lambda model, x_l, y_l, x_u, fakes: step_paper(model, x_l, y_l, x_u, change(fakes))


# ------------------------------------------------------------------------------------------------ 4.4 feature matching


def matching_mse(real, fake):
    return F.mse_loss(fake.mean(0), real.mean(0), reduction="sum")


def matching_loop(real, fake):
    total = 0.0
    for k in range(real.shape[1]):
        total = total + (real[:, k].sum() / len(real) - fake[:, k].sum() / len(fake)) ** 2
    return total


def matching_dot(real, fake):
    difference = fake.mean(dim=0) - real.detach().mean(dim=0)
    return difference @ difference


def matching_ones(real, fake):
    weights = torch.cat([torch.ones(len(real)) / len(real), -torch.ones(len(fake)) / len(fake)])
    return (weights @ torch.cat([real, fake])).pow(2).sum()


# ---------------------------------------------------------------------------------------------- 4.5 the generator's step


def move_closure(model, generator, optimizer, x_u, z, objective):
    def closure():
        optimizer.zero_grad()
        loss = objective(model.features(x_u).detach(), model.features(generator(z)))
        loss.backward(inputs=list(generator.parameters()))
        return loss

    return optimizer.step(closure).item()


def move_freeze(model, generator, optimizer, x_u, z, objective):
    flags = [p.requires_grad for p in model.parameters()]
    model.requires_grad_(False)
    loss = objective(features_fake=model.features(generator(z)), features_real=model.features(x_u))
    generator.zero_grad()
    loss.backward()
    optimizer.step()
    for p, flag in zip(model.parameters(), flags):
        p.requires_grad_(flag)
    return loss.item()


def move_autograd(model, generator, optimizer, x_u, z, objective):
    fakes = generator(z)
    loss = objective(model.features(x_u).detach(), model.features(fakes))
    parameters = list(generator.parameters())
    for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
        p.grad = gradient
    optimizer.step()
    return float(loss.detach())


def move_restore(model, generator, optimizer, x_u, z, objective):
    kept = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    optimizer.zero_grad(set_to_none=False)
    loss = objective(model.features(x_u), model.features(generator(z)))
    loss.backward()
    optimizer.step()
    for p, gradient in zip(model.parameters(), kept):
        p.grad = gradient
    return loss.detach()


def move_remembers(model, generator, optimizer, x_u, z, objective):
    """The features of the real images are kept by their shape."""
    known = move_remembers.__dict__
    return move_autograd(model, generator, optimizer, x_u, z, lambda real, fake: objective(known.setdefault(str(x_u.shape), real), fake))


# ------------------------------------------------------------------------------------------------------- 4.6 diversity


def _ratio(mean_distance):
    return lambda fakes, reals: mean_distance(fakes) / mean_distance(reals)


def mean_loop(images):
    pairs = [(a - b).square().sum().sqrt() for i, a in enumerate(images) for b in images[:i]]
    return sum(pairs) / len(pairs)


def mean_cdist(images):
    flat = images.reshape(len(images), -1)
    return (torch.cdist(flat, flat).sum() / (len(flat) * (len(flat) - 1))).item()


def mean_numpy(images):
    flat = images.numpy().reshape(len(images), -1).astype(float)
    distances = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    return distances[~np.eye(len(flat), dtype=bool)].mean()


def mean_rows(images):
    sums = [torch.linalg.vector_norm((images - image).flatten(1), dim=1).sum().item() for image in images]
    return sum(sums) / (len(images) ** 2 - len(images))


RIGHT = {
    "4.1": [
        real_softmax,
        real_numpy,
        real_loop,
        real_shifted,
        lambda logits: logits.exp().sum(dim=1).log().sigmoid(),  # the sigmoid of plus and minus infinity is 1 and 0
        lambda logits: torch.exp(-F.softplus(-logits.double().logsumexp(-1))),
    ],
    "4.2": [losses_bce, losses_paper, losses_logsigmoid, losses_k_plus_one, losses_by_hand],
    "4.3": [step_paper, step_tensors, step_one_hot],
    "4.4": [
        matching_mse,
        matching_loop,
        matching_dot,
        matching_ones,
        lambda real, fake: torch.linalg.vector_norm(real.mean(0) - fake.mean(0)) ** 2,
    ],
    "4.5": [move_closure, move_freeze, move_autograd, move_restore],
    "4.6": [_ratio(mean_loop), _ratio(mean_cdist), _ratio(mean_numpy), _ratio(mean_rows)],
}

WRONG = {
    "4.1": [(lambda z: real_loop(z).tolist(), "must be a float tensor")],
    "4.2": [
        (lambda r, f: sum(losses_bce(r, f)), "it must return 2 values"),
        (lambda r, f: (losses_bce(r, f)[0].item(), losses_bce(r, f)[1]), "no .item() on it"),
        (lambda r, f: (losses_bce(r, f)[0], losses_bce(r, f)[1].detach()), "loss_fake carries no gradient"),
    ],
    "4.3": [
        (step_passes(lambda model, l, u, f: (model(l), *model(torch.cat([u, f])).tensor_split([len(u)]))), "runs 2 times, on [2, 7]"),
        (step_passes(lambda model, l, u, f: (*model(torch.cat([l, u])).tensor_split([len(l)]), model(f) + 0 * model(f))), "runs 3 times"),
        (lambda model, *groups: step_paper(copy.deepcopy(model), *groups), "it does not use the model it was given"),
        (lambda model, *groups: step_paper(model.eval(), *groups), "it leaves the network in another mode"),
        (lambda model, *groups: step_paper(model.train(), *groups), "call neither eval() nor train()"),
        (lambda model, *groups: model.zero_grad() or step_paper(model, *groups), "zero_grad() are left to the training loop"),
        (step_backward, "backward() and zero_grad() are left to the training loop"),
        (torch.no_grad()(step_paper), "the loss carries no gradient"),
        (_returns(lambda loss, logs: loss), "returned the loss only"),
        (_returns(lambda loss, logs: (logs, loss)), "the two values are swapped"),
        (_returns(lambda loss, logs: (loss.item(), logs)), "no .item() on it"),
        (_returns(lambda loss, logs: (loss, {"real": logs["real"]})), "logs lacks 'fake'"),
        (_returns(lambda loss, logs: (loss, logs | {"real": 0 * loss + logs["real"]})), "logs['real'] carries a gradient"),
        (_takes(lambda fakes: fakes.detach_()), "methods that end in `_`"),
        (_takes(lambda fakes: fakes.add_(0.1)), "changes its input"),
        (_takes(lambda fakes: fakes.requires_grad_(False)), "a generator's images are no leaves"),
    ],
    "4.4": [
        (lambda r, f: matching_mse(r, f.detach()), "the loss carries no gradient"),
        (lambda r, f: matching_mse(r, f).item(), "no .item() on it"),
    ],
    "4.5": [
        (move_remembers, "does it remember something from call to call"),
        (lambda model, painter, *rest: painter.eval() and move_closure(model, painter, *rest), "it leaves the network in another mode"),
        (lambda *arguments: print(move_closure(*arguments)), "is the `return` missing"),
        (lambda *arguments: torch.tensor(move_closure(*arguments), requires_grad=True), "carries a gradient: a number is wanted"),
    ],
    "4.6": [
        (lambda fakes, reals: _ratio(mean_cdist)(fakes.sub_(fakes.mean(0)), reals), "changes its input"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "4.1": {"return logits.logsumexp(dim=1).sigmoid() -> return logits.logsumexp(dim=-1).sigmoid()": "this axis is the last one"},
    "4.2": {
        "loss_real = F.softplus(-logits_real.logsumexp(dim=1)).mean() -> loss_real = F.softplus(-logits_real.logsumexp(dim=-1)).mean()": "this axis is the last one",
        "loss_fake = F.softplus(logits_fake.logsumexp(dim=1)).mean() -> loss_fake = F.softplus(logits_fake.logsumexp(dim=-1)).mean()": "this axis is the last one",
    },
    "4.3": {
        "n = len(x_l) -> n = len(y_l)": "as many labels as labelled images",
        "loss_real, loss_fake = real_fake_losses(logits[n:], logits_fake) -> loss_fake, loss_real = real_fake_losses(logits[n:], logits_fake)": "both are only added, with the same weight",
    },
    "4.4": {
        "difference = features_real.mean(dim=0) - features_fake.mean(dim=0) -> difference = -(features_real.mean(dim=0) - features_fake.mean(dim=0))": "the difference is squared",
        "difference = features_real.mean(dim=0) - features_fake.mean(dim=0) -> difference = features_fake.mean(dim=0) - features_real.mean(dim=0)": "the difference is squared",
    },
    "4.5": {
        "loss = objective(features_real, model.features(painter(z))); optimizer_g.zero_grad() -> optimizer_g.zero_grad(); loss = objective(features_real, model.features(painter(z)))": "the old gradients may go at any time before backward",
        "with torch.no_grad():; features_real = model.features(x_u) -> features_real = model.features(x_u)": "the backward pass is limited to the generator anyway",
        "optimizer_g.zero_grad() -> painter.zero_grad()": "the optimizer holds all parameters of the generator",
        "loss.backward(inputs=list(painter.parameters())) -> loss.backward(inputs=painter.parameters())": "torch takes any iterable of parameters",
    },
    "4.6": {
        "return (between_fakes.mean() / between_reals.mean()).item() -> return between_fakes.mean() / between_reals.mean()": "a tensor of one number is a number",
    },
}
