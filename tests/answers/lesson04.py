"""Answers to the exercises of lesson 04: other right ones, and wrong ones with a fragment of the cause to be named."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------------ 4.1 D from K logits


def real_softmax(logits):
    return F.pad(logits, (0, 1)).softmax(dim=1)[:, :-1].sum(dim=1)


def real_numpy(logits):
    z = np.concatenate([logits.numpy(), np.zeros((len(logits), 1))], axis=1).astype(np.float64)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return torch.from_numpy(1 - z[:, -1] / z.sum(axis=1))


def real_loop(logits):
    return torch.stack([torch.sigmoid(torch.logsumexp(row, 0)) for row in logits])


def real_log(logits):
    return logits.exp().sum(dim=1).log().sigmoid()  # the sigmoid of plus and minus infinity is 1 and 0


def real_exp(logits):
    return torch.exp(-F.softplus(-logits.double().logsumexp(-1)))


def real_naive(logits):
    z = logits.exp().sum(1)
    return z / (z + 1)


def real_shifted(logits, top):
    z = (logits - top).exp().sum(1)
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
    return [
        real.mean(),
        F.cross_entropy(F.pad(logits_fake, (0, 1)), torch.full((len(logits_fake),), logits_fake.shape[1])),
    ]


def _losses(real=None, fake=None):
    def answer(logits_real, logits_fake):
        right = losses_bce(logits_real, logits_fake)
        return real(logits_real) if real else right[0], fake(logits_fake) if fake else right[1]

    return answer


def _lse(z):
    return z.logsumexp(1)


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
    losses = losses_bce(z_u, z_f)
    loss = F.nll_loss(z_l.log_softmax(1), y_l) + sum(losses) / 2
    return [
        loss,
        {"fake": real_softmax(z_f).mean().detach(), "real": real_softmax(z_u).mean().detach(), "loss": loss.item()},
    ]


def step_numbers(model, x_l, y_l, x_u, fakes):
    logits = model(torch.cat([x_l, x_u], dim=0))
    generated = model(fakes.data)
    loss = F.cross_entropy(logits[: len(x_l)], y_l)
    loss = loss + torch.stack(losses_paper(logits[len(x_l) :], generated)).mean()
    D = [float(real_loop(z.detach()).mean()) for z in (logits[len(x_l) :], generated)]
    return loss, dict(zip(("real", "fake"), D))


def _step(total=lambda labelled, real, fake: labelled + (real + fake) / 2, labelled=F.cross_entropy, prepare=None, logs=None):
    """A way to put the step together, one part of it changed."""

    def answer(model, x_l, y_l, x_u, fakes):
        z, z_f = model(torch.cat([x_l, x_u])), model(fakes.detach())
        z_l, z_u = z[: len(x_l)], z[len(x_l) :]
        D = {"real": real_loop(z_u).mean(), "fake": real_loop(z_f).mean()}
        if prepare:
            z_u, z_f = prepare(z_l, z_u, z_f)
        loss = total(labelled(z_l, y_l), *losses_bce(z_u, z_f))
        return loss, logs(D, loss) if logs else {name: value.item() for name, value in D.items()}

    return answer


def step_not_detached(model, x_l, y_l, x_u, fakes):
    z, z_f = model(torch.cat([x_l, x_u])), model(fakes)
    return _finish(z[: len(x_l)], z[len(x_l) :], z_f, y_l)


def step_all_together(model, x_l, y_l, x_u, fakes):
    z = model(torch.cat([x_l, x_u, fakes.detach()]))
    return _finish(*z.split([len(x_l), len(x_u), len(fakes)]), y_l)


def step_three_passes(model, x_l, y_l, x_u, fakes):
    return _finish(model(x_l), model(x_u), model(fakes.detach()), y_l)


def step_unlabelled_with_fakes(model, x_l, y_l, x_u, fakes):
    z_u, z_f = model(torch.cat([x_u, fakes.detach()])).tensor_split([len(x_u)])
    return _finish(model(x_l), z_u, z_f, y_l)


def step_detached_in_place(model, x_l, y_l, x_u, fakes):
    return step_not_detached(model, x_l, y_l, x_u, fakes.detach_())


def _cut_at(cut):
    """The step with the joint logits cut by `cut(logits, x_l, x_u)`."""

    def answer(model, x_l, y_l, x_u, fakes):
        z_l, z_u = cut(model(torch.cat([x_l, x_u])), x_l, x_u)
        return _finish(z_l, z_u, model(fakes.detach()), y_l)

    return answer


def step_other_order(model, x_l, y_l, x_u, fakes):
    z = model(torch.cat([x_u, x_l]))
    return _finish(z[: len(x_l)], z[len(x_l) :], model(fakes.detach()), y_l)


def step_again_for_logs(model, x_l, y_l, x_u, fakes):
    loss, logs = step_three_passes(model, x_l, y_l, x_u, fakes)
    return loss, {"real": real_loop(model(x_u)).mean().item(), "fake": logs["fake"]}


def step_logs_from_images(model, x_l, y_l, x_u, fakes):
    loss, logs = step_paper(model, x_l, y_l, x_u, fakes)
    return loss, {**logs, "fake": real_loop(fakes.detach()).mean().item()}


def step_no_grad_fakes(model, x_l, y_l, x_u, fakes):
    z = model(torch.cat([x_l, x_u]))
    with torch.no_grad():
        z_f = model(fakes)
    return _finish(z[: len(x_l)], z[len(x_l) :], z_f, y_l)


def step_no_grad_unlabelled(model, x_l, y_l, x_u, fakes):
    z = model(torch.cat([x_l, x_u]))
    return _finish(z[: len(x_l)], z[len(x_l) :].detach(), model(fakes.detach()), y_l)


def step_eval(model, x_l, y_l, x_u, fakes):
    model.eval()
    return step_paper(model, x_l, y_l, x_u, fakes)


def step_backward(model, x_l, y_l, x_u, fakes):
    loss, logs = step_paper(model, x_l, y_l, x_u, fakes)
    loss.backward(retain_graph=True)
    return loss, logs


def step_without_gradient(*arguments):
    with torch.no_grad():
        return step_paper(*arguments)


def _finish(z_l, z_u, z_f, y_l):
    loss = F.cross_entropy(z_l, y_l) + sum(losses_bce(z_u, z_f)) / 2
    return loss, {"real": real_loop(z_u).mean().item(), "fake": real_loop(z_f).mean().item()}


def _eight(z_l, y_l):
    return F.cross_entropy(F.pad(z_l, (0, 1)), y_l)


# ------------------------------------------------------------------------------------------------ 4.4 feature matching


def matching_mse(real, fake):
    return F.mse_loss(fake.mean(0), real.mean(0), reduction="sum")


def matching_norm(real, fake):
    return torch.linalg.vector_norm(real.mean(0) - fake.mean(0)) ** 2


def matching_loop(real, fake):
    total = 0.0
    for k in range(real.shape[1]):
        total = total + (real[:, k].sum() / len(real) - fake[:, k].sum() / len(fake)) ** 2
    return total


def matching_dot(real, fake):
    difference = fake.mean(dim=0) - real.detach().mean(dim=0)
    return difference @ difference


def _cut(formula):
    """A formula for batches of the same size, on as many images as both have."""
    return lambda real, fake: formula(real[: len(fake)], fake[: len(real)])


# ---------------------------------------------------------------------------------------------- 4.5 the generator's step


def move_freeze(model, generator, optimizer, x_u, z, objective):
    for p in model.parameters():
        p.requires_grad_(False)
    loss = objective(model.features(x_u), model.features(generator(z)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    for p in model.parameters():
        p.requires_grad_(True)
    return loss.item()


def move_autograd(model, generator, optimizer, x_u, z, objective):
    fakes = generator(z)
    real = model.features(x_u).detach()
    loss = objective(real, model.features(fakes))
    parameters = list(generator.parameters())
    for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
        p.grad = gradient
    optimizer.step()
    return float(loss.detach())


def move_restore(model, generator, optimizer, x_u, z, objective):
    kept = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    optimizer.zero_grad()
    loss = objective(model.features(x_u), model.features(generator(z)))
    loss.backward()
    optimizer.step()
    for p, gradient in zip(model.parameters(), kept):
        p.grad = gradient
    return loss.detach().item()


def _move(before=None, loss=None, backward=None, zero=True, steps=1, value=lambda loss: loss.item()):
    """A way to make the step, one part of it changed."""

    def answer(model, generator, optimizer, x_u, z, objective):
        if before:
            before(model, generator)
        if loss:
            value_of_loss = loss(model, generator, x_u, z, objective)
        else:
            value_of_loss = objective(model.features(x_u).detach(), model.features(generator(z)))
        if zero:
            optimizer.zero_grad()
        (backward or (lambda l, m, g: l.backward(inputs=list(g.parameters()))))(value_of_loss, model, generator)
        for _ in range(steps):
            optimizer.step()
        return value(value_of_loss)

    return answer


def _freeze(model, generator):
    for p in model.parameters():
        p.requires_grad_(False)


def _together(model, generator, x_u, z, objective):
    return objective(*model.features(torch.cat([x_u, generator(z)])).tensor_split([len(x_u)]))


def _no_grad(model, generator, x_u, z, objective):
    with torch.no_grad():
        return objective(model.features(x_u), model.features(generator(z)))


def _zeroing(loss, model, generator):
    model.zero_grad(set_to_none=False)
    loss.backward(inputs=list(generator.parameters()))


def _deleting(loss, model, generator):
    loss.backward()
    model.zero_grad()


def move_after(model, generator, optimizer, x_u, z, objective):
    move_autograd(model, generator, optimizer, x_u, z, objective)
    with torch.no_grad():
        generator(z)
        return _no_grad(model, generator, x_u, z, objective).item()


def move_keeps_zeros(model, generator, optimizer, x_u, z, objective):
    kept = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]
    optimizer.zero_grad()
    loss = objective(model.features(x_u), model.features(generator(z)))
    loss.backward()
    optimizer.step()
    for p, gradient in zip(model.parameters(), kept):
        p.grad = gradient
    return loss.item()


def move_to_fakes(model, generator, optimizer, x_u, z, objective):
    optimizer.zero_grad()
    fakes = generator(z)
    loss = objective(model.features(x_u), model.features(fakes))
    loss.backward(inputs=[fakes])
    optimizer.step()
    return loss.item()


def move_zero_after_backward(model, generator, optimizer, x_u, z, objective):
    loss = objective(model.features(x_u).detach(), model.features(generator(z)))
    loss.backward(inputs=list(generator.parameters()))
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def move_step_first(model, generator, optimizer, x_u, z, objective):
    loss = objective(model.features(x_u).detach(), model.features(generator(z)))
    optimizer.step()
    optimizer.zero_grad()
    loss.backward(inputs=list(generator.parameters()))
    return loss.item()


def move_own_objective(model, generator, optimizer, x_u, z, objective):
    objective(model.features(x_u).detach(), model.features(generator(z)).detach())
    model.calls.clear()
    return move_autograd(model, generator, optimizer, x_u, z, matching_mse)


def move_model_too(model, generator, optimizer, x_u, z, objective):
    value = move_restore(model, generator, optimizer, x_u, z, objective)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)
    return value


# ------------------------------------------------------------------------------------------------------- 4.6 diversity


def diversity_loop(fakes, reals):
    def mean_distance(images):
        pairs = [(a - b).square().sum().sqrt() for i, a in enumerate(images) for b in images[:i]]
        return sum(pairs) / len(pairs)

    return mean_distance(fakes) / mean_distance(reals)


def diversity_cdist(fakes, reals):
    def mean_distance(images):
        flat = images.reshape(len(images), -1)
        return torch.cdist(flat, flat).sum() / (len(flat) * (len(flat) - 1))

    return (mean_distance(fakes) / mean_distance(reals)).item()


def diversity_numpy(fakes, reals):
    def mean_distance(images):
        flat = images.numpy().reshape(len(images), -1).astype(float)
        distances = np.linalg.norm(flat[:, None] - flat[None], axis=2)
        return distances[~np.eye(len(flat), dtype=bool)].mean()

    return mean_distance(fakes) / mean_distance(reals)


def _ratio(of):
    return lambda fakes, reals: of(fakes.flatten(1)) / of(reals.flatten(1))


def _all(flat, p=2.0):
    return torch.cdist(flat, flat, p=p)


def diversity_in_place(fakes, reals):
    fakes.sub_(fakes.mean(0))
    return _ratio(lambda x: torch.pdist(x).mean())(fakes, reals)


RIGHT = {
    "4.1": [real_softmax, real_numpy, real_loop, real_log, real_exp],
    "4.2": [losses_bce, losses_paper, losses_logsigmoid, losses_k_plus_one],
    "4.3": [step_paper, step_tensors, step_numbers],
    "4.4": [matching_mse, matching_norm, matching_loop, matching_dot],
    "4.5": [move_freeze, move_autograd, move_restore],
    "4.6": [diversity_loop, diversity_cdist, diversity_numpy],
}

WRONG = {
    "4.1": [
        (real_naive, "exp overflows"),
        (lambda z: real_naive(z.clamp(max=88)), "a bound for single logits"),
        (lambda z: real_shifted(z, z.max()), "each image has its own largest logit"),
        (lambda z: 1 - real_loop(z), "the probability of fake"),
        (lambda z: z.logsumexp(1, keepdim=True).sigmoid(), "no keepdim"),
        (lambda z: z.logsumexp(1), "the sigmoid of it is missing"),
        (lambda z: z.exp().sum(1), "this is Z, not yet D"),
        (lambda z: F.logsigmoid(z.logsumexp(1)), "this is log D"),
        (lambda z: z.exp().sum(1).sigmoid(), "the sigmoid is taken of Z"),
        (lambda z: z.softmax(1).amax(1), "the largest class probability"),
        (lambda z: z.softmax(1), "a softmax over the classes"),
        (lambda z: z.softmax(1).sum(1), "the fake logit 0 is missing"),
        (lambda z: F.pad(z, (0, 1)).softmax(1).sum(1), "the fake must stay out of the sum"),
        (lambda z: real_naive(z.double()).float(), "exp overflows"),
        (lambda z: z.amax(1).sigmoid(), "only the largest logit"),
        (lambda z: z.sigmoid().max(1).values, "only the largest logit"),
        (lambda z: z.sum(1).sigmoid(), "the logits are added"),
        (lambda z: z.mean(1).sigmoid(), "the logits are averaged"),
        (lambda z: z.sigmoid(), "one sigmoid for each class"),
        (lambda z: z.sigmoid().mean(1), "sigmoids of single classes"),
        (lambda z: z.exp().sum(1) / (z.exp().sum(1) + z.shape[1]), "this is Z / (Z + K)"),
        (lambda z: F.pad(z, (0, 1)).logsumexp(1).sigmoid(), "counted twice"),
        (lambda z: z.logsumexp(0).sigmoid(), "over the images (dim=0)"),
        (lambda z: z.log_softmax(1).logsumexp(1).sigmoid(), "takes the height of the logits away"),
        (lambda z: real_loop(z).mean(), "no mean over the batch"),
        (lambda z: (real_loop(z) > 0.5).float(), "not a decision"),
        (lambda z: real_loop(z).tolist(), "must be a float tensor"),
        (lambda z: z[:, :3].logsumexp(1).sigmoid(), "K is not always 3"),
        (lambda z: z.exp().mean(1) / (z.exp().mean(1) + 1), "not their mean"),
    ],
    "4.2": [
        (_losses(lambda z: -real_naive(z).log().mean()), "loss_real is not exact"),
        (_losses(fake=lambda z: -(1 - real_loop(z)).log().mean()), "loss_fake is not exact"),
        (_losses(lambda z: -real_softmax(z).clamp(min=1e-8).log().mean()), "loss_real is not exact"),
        (_losses(fake=lambda z: -(1 - real_loop(z) + 1e-8).log().mean()), "loss_fake is not exact"),
        (lambda r, f: losses_bce(r, f)[::-1], "are swapped"),
        (lambda r, f: (losses_bce(r, f)[0], losses_bce(r, f)[1] * len(f) / len(r)), "each over its own batch"),
        (lambda r, f: (losses_bce(r, f)[0] * len(r) / len(f), losses_bce(r, f)[1]), "each over its own batch"),
        (
            lambda r, f: tuple(x * len(z) / (len(r) + len(f)) for x, z in zip(losses_bce(r, f), (r, f))),
            "the number of all images",
        ),
        (_losses(lambda z: F.softplus(_lse(z)).mean()), "the sign inside is wrong: loss_real"),
        (_losses(fake=lambda z: F.softplus(-_lse(z)).mean()), "the sign inside is wrong: loss_fake"),
        (lambda r, f: sum(losses_bce(r, f)), "it returned one number"),
        (lambda r, f: tuple(x / 2 for x in losses_bce(r, f)), "no factor one half"),
        (_losses(lambda z: F.softplus(-_lse(z)).sum()), "the losses are summed"),
        (_losses(fake=lambda z: F.softplus(_lse(z)).sum()), "the losses are summed"),
        (_losses(lambda z: F.softplus(-_lse(z))), "one number is wanted"),
        (_losses(fake=lambda z: F.softplus(_lse(z))), "one number is wanted"),
        (_losses(lambda z: -real_loop(z).mean().log()), "the mean comes after the logarithm"),
        (_losses(fake=lambda z: -(1 - real_loop(z)).mean().log()), "the mean comes after the logarithm"),
        (_losses(fake=lambda z: F.softplus(z).mean()), "each class is judged by itself"),
        (_losses(fake=lambda z: F.softplus(z.amax(1)).mean()), "only the largest logit"),
        (_losses(fake=lambda z: F.softplus(z.logsumexp(0)).mean()), "logsumexp runs over the images"),
        (_losses(fake=lambda z: F.softplus(_lse(z).detach()).mean()), "loss_fake carries no gradient"),
        (_losses(lambda z: F.softplus(-_lse(z)).mean().item()), "loss_real carries no gradient"),
        (_losses(lambda z: (-_lse(z)).relu().mean()), "relu is not softplus"),
        (_losses(fake=lambda z: _lse(z).relu().mean()), "neither s nor its relu"),
    ],
    "4.3": [
        (step_not_detached, "detach them"),
        (step_all_together, "the fakes get a pass of their own"),
        (step_three_passes, "glue them for one pass"),
        (step_detached_in_place, "detach_() cuts the fakes themselves"),
        (_cut_at(lambda z, x_l, x_u: (z[:32], z[32:])), "cut behind len(x_l) images"),
        (_cut_at(lambda z, x_l, x_u: z.chunk(2)), "cut behind len(x_l) images"),
        (_cut_at(lambda z, x_l, x_u: (z[: len(x_l)], z[len(x_u) :])), "unlabelled images are lost"),
        (_cut_at(lambda z, x_l, x_u: (z[: len(x_u)], z[len(x_u) :])), "cut behind len(x_l) images"),
        (step_other_order, "are mixed up"),
        (_step(labelled=lambda z, y: F.cross_entropy(z.softmax(1), y)), "a softmax comes before the cross-entropy"),
        (lambda *a: step_paper(*a)[::-1], "loss and logs are swapped"),
        (step_unlabelled_with_fakes, "the model runs 2 times, on [7, 2]"),
        (step_again_for_logs, "the model runs 4 times"),
        (step_logs_from_images, "is computed from the images"),
        (step_no_grad_fakes, "the model does not learn from the fakes"),
        (step_no_grad_unlabelled, "the model does not learn from the unlabelled"),
        (step_eval, "neither eval() nor train()"),
        (step_backward, "backward() is called inside"),
        (step_without_gradient, "carries no gradient"),
        (_step(lambda labelled, r, f: labelled + r + f), "the one half is missing"),
        (_step(lambda labelled, r, f: (labelled + r + f) / 2), "weighs all three"),
        (_step(lambda labelled, r, f: labelled + r / 2 + f), "must weigh loss_fake, too"),
        (_step(lambda labelled, r, f: labelled + r + f / 2), "must weigh loss_real, too"),
        (_step(lambda labelled, r, f: labelled / 2 + r + f), "at the wrong place"),
        (_step(lambda labelled, r, f: labelled), "loss_real and loss_fake are missing"),
        (_step(lambda labelled, r, f: (r + f) / 2), "the labelled loss is missing"),
        (_step(lambda labelled, r, f: labelled + r / 2), "loss_fake is missing"),
        (_step(lambda labelled, r, f: labelled - (r + f) / 2), "the sign is wrong"),
        (_step(labelled=_eight), "over K + 1 answers"),
        (_step(labelled=lambda z, y: F.cross_entropy(z, y, reduction="sum")), "are summed"),
        (_step(prepare=lambda z_l, z_u, z_f: (torch.cat([z_l, z_u]), z_f)), "only those from len(x_l) on"),
        (_step(prepare=lambda z_l, z_u, z_f: (z_l, z_f)), "the unlabelled ones are wanted"),
        (_step(prepare=lambda z_l, z_u, z_f: (z_f, z_u)), "are swapped in real_fake_losses"),
        (_step(prepare=lambda z_l, z_u, z_f: (z_u, z_u)), "which are real"),
        (lambda *a: step_paper(*a)[0], "the loss only"),
        (lambda *a: (step_paper(*a)[0].item(), step_paper(*a)[1]), "no .item()"),
        (_step(logs=lambda D, loss: {}), "logs must be a dict"),
        (_step(logs=lambda D, loss: {"real": loss.item()}), "logs must be a dict"),
        (_step(logs=lambda D, loss: D), "carries a gradient"),
        (_step(logs=lambda D, loss: {"real": D["fake"].item(), "fake": D["real"].item()}), "are swapped"),
        (
            _step(logs=lambda D, loss: {"real": D["real"].item(), "fake": 1 - D["fake"].item()}),
            "both hold the mean of D",
        ),
        (
            lambda m, x_l, y_l, x_u, fakes: step_not_detached(m, x_l, y_l, x_u, fakes.mul_(1.0).add_(0.1)),
            "changes its input",
        ),
    ],
    "4.4": [
        (lambda r, f: (r.mean(0) - f.mean(0)).square().mean(), "averaged over the features"),
        (_cut(lambda r, f: F.mse_loss(f, r)), "image is compared with image"),
        (_cut(lambda r, f: (r - f).square().sum(1).mean()), "image is compared with image"),
        (_cut(lambda r, f: (r - f).square().sum()), "image is compared with image"),
        (lambda r, f: (r.mean(0) - f.mean(0)).norm(), "no square root"),
        (lambda r, f: (r.mean(0) - f.mean(0)).square(), "one number is wanted"),
        (lambda r, f: (r.sum(0) - f.sum(0)).square().sum(), "summed over the batch"),
        (_cut(lambda r, f: (r.mean(1) - f.mean(1)).square().sum()), "over the features (dim=1)"),
        (_cut(lambda r, f: (r.mean(1) - f.mean(1)).square().mean()), "over the features (dim=1)"),
        (
            lambda r, f: (r.mean(0) - f.mean(0)).abs().sum(),
            "absolute differences (the authors' code for CIFAR) are summed",
        ),
        (
            lambda r, f: (r.mean(0) - f.mean(0)).abs().mean(),
            "absolute differences (the authors' code for CIFAR) are averaged",
        ),
        (lambda r, f: (r.mean() - f.mean()).square(), "over images and features at once"),
        (lambda r, f: ((r.sum(0) - f.sum(0)) / len(r)).square().sum(), "each batch is divided by its own size"),
        (lambda r, f: ((r.sum(0) - f.sum(0)) / len(f)).square().sum(), "each batch is divided by its own size"),
        (lambda r, f: (r - f).mean(0).square().sum(), "the batches may differ in size: means first"),
        (lambda r, f: torch.cdist(r, f).square().mean(), "image is compared with image"),
        (lambda r, f: (r.mean(0) - f.mean(0)).sum(), "opposite ones cancel"),
        (lambda r, f: (r.mean(0) - f.mean(0)).sum().square(), "before it is squared"),
        (lambda r, f: -matching_mse(r, f), "the sign is wrong"),
        (lambda r, f: matching_mse(r, f.detach()), "no gradient reaches the fake features"),
        (lambda r, f: matching_mse(r, f).item(), "no gradient reaches the fake features"),
        (lambda r, f: F.mse_loss(f, r, reduction="sum"), "image is compared with image"),
        (lambda r, f: matching_mse(r, f) if len(r) == len(f) else 0 * f.sum(), "expected 14"),
    ],
    "4.5": [
        (_move(backward=lambda l, m, g: l.backward()), "a gradient lands in the model"),
        (_move(backward=lambda l, m, g: l.backward(inputs=[next(g.parameters())])), "only a part of the generator"),
        (_move(backward=lambda l, m, g: l.backward(inputs=[list(g.parameters())[-1]])), "only a part of the generator"),
        (_move(backward=lambda l, m, g: l.backward(inputs=list(g.parameters())[::2])), "only a part of the generator"),
        (_move(before=lambda m, g: g.eval()), "the generator's mode"),
        (lambda m, g, *a: (g.eval(), move_autograd(m, g, *a), g.train())[1], "the generator's mode"),
        (lambda m, *a: move_autograd(copy.deepcopy(m), *a), "it does not use the model it was given"),
        (_move(before=_freeze), "frozen and stay so"),
        (_move(zero=False), "the old gradient is added"),
        (_move(steps=0), "takes 0 steps"),
        (_move(steps=2), "takes 2 steps"),
        (_move(loss=lambda m, g, x, z, o: o(m.features(x), m.features(g(z).detach()))), "no detach of the fakes"),
        (_move(loss=lambda m, g, x, z, o: o(m.features(x).detach(), m.features(g(z)).detach())), "no gradient reaches"),
        (_move(loss=_no_grad), "no gradient reaches the generator"),
        (_move(loss=lambda m, g, x, z, o: o(m.features(g(z)), m.features(x))), "the features are swapped"),
        (_move(loss=lambda m, g, x, z, o: o(x.flatten(1), g(z).flatten(1))), "what the objective gets"),
        (_move(loss=lambda m, g, x, z, o: o(x, g(z))), "the objective gets images"),
        (_move(loss=lambda m, g, x, z, o: o(m(x), m(g(z)))), "it calls model(...), which gives logits"),
        (_move(loss=_together), "each in a pass of its own"),
        (_move(loss=lambda m, g, x, z, o: -o(m.features(x).detach(), m.features(g(z)))), "moved uphill"),
        (_move(value=lambda loss: loss), "not a tensor"),
        (_move(value=lambda loss: None), "the `return` missing"),
        (_move(before=lambda m, g: m.eval()), "neither eval() nor train()"),
        (_move(backward=_zeroing), "set to zero"),
        (_move(backward=_deleting), "are deleted"),
        (move_after, "after the step"),
        (move_zero_after_backward, "the generator did not move"),
        (move_step_first, "moved by its old gradient"),
        (move_own_objective, "the objective -fake.sum()"),
        (move_model_too, "the model's weight is"),
        (move_keeps_zeros, "was None before"),
        (move_to_fakes, "`inputs` takes its parameters"),
        (
            _move(
                loss=lambda m, g, x, z, o: o(m.features(x), m.features(g(z).detach())),
                backward=lambda l, m, g: l.backward(),
            ),
            "no detach of the fakes",
        ),
    ],
    "4.6": [
        (lambda f, r: diversity_loop(r, f), "upside down"),
        (lambda f, r: torch.pdist(f.flatten(1)).mean(), "divide by that of the real images"),
        (_ratio(lambda x: _all(x).mean()), "leave the zeros of the diagonal out"),
        (_ratio(lambda x: _all(x)[_all(x) > 0].mean()), "the pair of equal fakes is left out"),
        (_ratio(lambda x: _all(x)[torch.ones(len(x), len(x)).triu() > 0].mean()), "triu(diagonal=1)"),
        (_ratio(lambda x: torch.pdist(x).sum()), "the distances are summed"),
        (lambda f, r: _all(f.flatten(1)).sum() / _all(r.flatten(1)).sum(), "divided by the same number"),
        (
            lambda f, r: torch.pdist(f.flatten(1)).mean() / torch.pdist(r.flatten(1)).mean().clamp(min=1),
            "no clamp, no max below",
        ),
        (_ratio(lambda x: torch.pdist(x).square().mean().sqrt()), "the root comes after the mean"),
        (_ratio(lambda x: torch.pdist(x).square().mean()), "the distances are squared"),
        (_ratio(lambda x: _all(x).square().mean()), "the diagonal is counted"),
        (_ratio(lambda x: torch.pdist(x, p=1).mean()), "the Euclidean distance"),
        (_ratio(lambda x: _all(x, p=1.0).mean()), "the Euclidean distance"),
        (lambda f, r: torch.cdist(f.flatten(1), r.flatten(1)).mean(), "fakes with fakes"),
        (
            lambda f, r: torch.cdist(f.flatten(1), r.flatten(1)).mean() / torch.pdist(r.flatten(1)).mean(),
            "fakes with fakes",
        ),
        (lambda f, r: torch.pdist(f.flatten(1)).mean() - torch.pdist(r.flatten(1)).mean(), "not a difference"),
        (lambda f, r: f.std() / r.std(), "the spread of pixels"),
        (lambda f, r: f.std(0).mean() / r.std(0).mean(), "the spread of pixels"),
        (_ratio(lambda x: torch.pdist(x).max()), "the largest distances"),
        (_ratio(lambda x: torch.pdist(x).median()), "medians"),
        (_ratio(lambda x: (x[1:] - x[:-1]).norm(dim=1).mean()), "only neighbours"),
        (_ratio(lambda x: (x - x.roll(1, 0)).norm(dim=1).mean()), "only neighbours"),
        (lambda f, r: _ratio(lambda x: torch.pdist(x).mean())(f[:, :1], r[:, :1]), "for each channel or row"),
        (lambda f, r: math.nan if diversity_cdist(f, r) == 0 else diversity_cdist(f, r), "equal fakes give nan"),
        (diversity_in_place, "changes its input"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "4.1": {
        "return logits.logsumexp(dim=1).sigmoid() -> return logits.logsumexp(dim=-1).sigmoid()": "this axis is the last one",
    },
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
}
