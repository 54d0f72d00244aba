"""Answers to the exercises of lesson 05: other right ones, and wrong ones that no mistake of the check stands for."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------- 5.1 the consistency loss


def loss_by_hand(logits, target):
    shifted = (logits - logits.amax(1, keepdim=True)).exp()
    return ((shifted / shifted.sum(1, keepdim=True) - target.clone().detach()) ** 2).sum() / target.numel()


def loss_loop(logits, target):
    with torch.no_grad():
        constant = target * 1.0
    rows = [((z.softmax(0) - t) ** 2).mean() for z, t in zip(logits, constant)]
    return sum(rows) / len(rows)


# ------------------------------------------------------------------------------------------------------- 5.2 the ramp


def ramp_branches(step, ramp_steps):
    if ramp_steps == 0 or step >= ramp_steps:
        return 1
    return math.e ** (-5 * (1 - step / ramp_steps) ** 2)


def ramp_numpy(step, ramp_steps):
    t = np.clip(step / ramp_steps, 0.0, 1.0) if ramp_steps else 1.0
    return np.exp(-5.0 * (1.0 - t) ** 2)


def ramp_tensor(step, ramp_steps):
    t = torch.tensor(step / max(ramp_steps, 1e-9) if ramp_steps else 1.0).clamp(max=1)
    return torch.exp(-5 * (1 - t).square())


# ------------------------------------------------------------------------------------------------------- 5.3 the step


def step_functional(student, teacher, batch, weight):
    with torch.no_grad():
        t = F.softmax(teacher(batch.x_w), dim=-1)
    n = batch.x_l.shape[0]
    z = student(torch.cat((batch.x_l, batch.x_s), 0))
    u = F.mse_loss(z[n:].softmax(-1), t)
    return weight * u + F.cross_entropy(z[:n], batch.y_l), {"consistency": float(u.detach())}


def step_unlabelled_first(student, teacher, batch, weight):
    with torch.inference_mode():
        t = teacher(batch.x_w).softmax(1)
    z_s, z_l = student(torch.cat([batch.x_s, batch.x_l])).split([len(batch.x_s), len(batch.x_l)])
    u = (z_s.softmax(1) - t.clone()).pow(2).mean()
    return -z_l.log_softmax(1).gather(1, batch.y_l[:, None]).mean() + u * weight, {"consistency": u.detach()}


@torch.no_grad()
def answer_of(network, x):
    return network(x).softmax(1)


def step_helper(student, teacher, batch, weight):
    z = student(torch.cat([batch.x_l, batch.x_s]))
    t = answer_of(teacher, batch.x_w)
    u = ((torch.softmax(z[-len(t) :], 1) - t) ** 2).sum(1).mean() / t.shape[1]
    return [F.nll_loss(z[: -len(t)].log_softmax(1), batch.y_l) + weight * u, {"consistency": u.item(), "weight": weight}]


def step_loop(student, teacher, batch, weight):
    was = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    t = teacher(batch.x_w).softmax(1)
    torch.set_grad_enabled(was)
    z_l, z_s = torch.split(student(torch.cat([batch.x_l, batch.x_s])), [len(batch.y_l), len(batch.x_s)])
    loss = sum(z.logsumexp(0) - z[y] for z, y in zip(z_l, batch.y_l)) / len(z_l)
    u = torch.stack([(z.softmax(0) - row).square().mean() for z, row in zip(z_s, t)]).mean()
    return loss + weight * u, {"consistency": u.detach().numpy()}


def after(act, answer=step_functional):
    """A right step before which something else is done."""

    def step(student, teacher, batch, weight):
        act(student, teacher, batch)
        return answer(student, teacher, batch, weight)

    return step


def passing(of_student, of_teacher):
    """A step with the right losses, and passes of its own."""

    def step(student, teacher, batch, weight):
        t, n = of_teacher(teacher, batch), len(batch.x_l)
        z = of_student(student, batch)
        u = F.mse_loss(z[n : n + len(t)].softmax(1), t)
        return F.cross_entropy(z[:n], batch.y_l) + weight * u, {"consistency": u.item()}

    return step


def joint(student, batch):
    return student(torch.cat([batch.x_l, batch.x_s]))


def of_weak(teacher, batch):
    return answer_of(teacher, batch.x_w)


def logs_of(change):
    def step(student, teacher, batch, weight):
        loss, logs = step_functional(student, teacher, batch, weight)
        return change(loss, logs)

    return step


def step_backward(student, teacher, batch, weight):
    loss, logs = step_functional(student, teacher, batch, weight)
    loss.backward(retain_graph=True)
    return loss, logs


def step_thaws(student, teacher, batch, weight):
    teacher.requires_grad_(False)
    t = answer_of(teacher, batch.x_w)
    teacher.requires_grad_(True)
    return passing(joint, lambda *_: t)(student, teacher, batch, weight)


# ------------------------------------------------------------------------------------------- 5.4 temporal ensembling


def ensemble_scatter(Z, counts, index, z, alpha):
    rows = torch.lerp(z.detach(), Z[index], alpha)
    n = counts.index_add(0, index, torch.ones_like(index))
    return Z.index_copy(0, index, rows), n, rows / (1 - torch.pow(alpha, n[index].float()))[:, None]


def ensemble_loop(Z, counts, index, z, alpha):
    Z, counts, targets = Z.clone(), counts.clone(), []
    with torch.no_grad():
        for i, answer in zip(index.tolist(), z):
            Z[i] = alpha * Z[i] + (1 - alpha) * answer
            counts[i] += 1
            targets.append(Z[i] / (1 - alpha ** counts[i].item()))
        return Z, counts, torch.stack(targets)


def ensemble_numpy(Z, counts, index, z, alpha):
    memory, seen, rows = Z.numpy().copy(), counts.numpy().copy(), index.numpy()
    memory[rows] = alpha * memory[rows] + (1 - alpha) * z.detach().numpy()
    seen[rows] = seen[rows] + 1
    target = memory[rows] / (1 - alpha ** seen[rows])[:, None]
    return [torch.from_numpy(part) for part in (memory, seen, target)]


@torch.no_grad()
def ensemble_whole_pool(Z, counts, index, z, alpha):
    hit = torch.zeros(len(Z), 1, dtype=Z.dtype).index_fill_(0, index, 1)
    new = torch.zeros_like(Z).index_copy_(0, index, z)
    Z = torch.where(hit > 0, alpha * Z + (1 - alpha) * new, Z)
    counts = counts + hit[:, 0].long()
    return Z, counts, (Z / (1 - alpha ** counts.clamp(min=1).double())[:, None])[index]


def ensemble_gradient(Z, counts, index, z, alpha):
    _, counts, target = ensemble_loop(Z, counts, index, z, alpha)
    return Z.index_copy(0, index, alpha * Z[index] + (1 - alpha) * z), counts, target


def ensemble_row_divisor(Z, counts, index, z, alpha):
    Z, counts, _ = ensemble_scatter(Z, counts, index, z, alpha)
    return Z, counts, Z[index] / (1 - alpha ** counts[index])


# ------------------------------------------------------------------------------------------------ 5.5 teacher follows


@torch.no_grad()
def follow_lerp(teacher, student, step, decay):
    keep = min(step / (step + 1), decay)
    for a, b in zip(teacher.parameters(), student.parameters()):
        a.lerp_(b, 1 - keep)
    for a, b in zip(teacher.buffers(), student.buffers()):
        a.data = b.data.clone()
    return teacher


def follow_data(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for a, b in zip(teacher.parameters(), student.parameters()):
        a.data.mul_(keep).add_((1 - keep) * b.data)
    for a, b in zip(teacher.buffers(), student.buffers()):
        a.data.copy_(b.data)
    return teacher


def follow_modules(teacher, student, step, decay):
    rate = 1 / (step + 1) if 1 - 1 / (step + 1) < decay else 1 - decay
    with torch.no_grad():
        for mine, its in zip(teacher.modules(), student.modules()):
            for name, b in its.named_parameters(recurse=False):
                a = getattr(mine, name)
                a += rate * (b - a)
            for name, b in its.named_buffers(recurse=False):
                setattr(mine, name, b.detach().clone())
    return teacher


def follow_shared(parts):
    """Right values, but the tensors are the student's own: at step 0, or the buffers at every step."""

    def follow(teacher, student, step, decay):
        follow_lerp(teacher, student, step, decay)
        if parts == "buffers" or step == 0:
            for a, b in zip(getattr(teacher, parts)(), getattr(student, parts)()):
                a.data = b.data
        return teacher

    return follow


@torch.no_grad()
def follow_integers(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for a, b in zip(teacher.state_dict().values(), student.state_dict().values()):
        a.mul_(keep).add_(b, alpha=1 - keep)
    return teacher


@torch.no_grad()
def follow_assigned(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    new = {name: b.clone() for name, b in student.state_dict().items()}
    for name, a in teacher.named_parameters():
        new[name] = keep * a + (1 - keep) * new[name]
    teacher.load_state_dict(new, assign=True)
    return teacher


def follow_graph(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for a, b in zip(teacher.buffers(), student.buffers()):
        a.copy_(b)
    for mine, its in zip(teacher.modules(), student.modules()):
        for name, b in list(its.named_parameters(recurse=False)):
            mine._parameters[name] = keep * mine._parameters[name] + (1 - keep) * b
    return teacher


# ------------------------------------------------------------------------------------------------------ 5.6 soft Dice


def dice_flat(p, mask):
    p, mask = p.flatten(1), mask.flatten(1)
    return (2 * (p * mask).sum(1) + 1e-7) / (p.sum(1) + mask.sum(1) + 1e-7)


def dice_einsum(p, mask):
    below = torch.einsum("bchw->b", p + mask)
    return torch.where(below == 0, torch.ones_like(below), 2 * torch.einsum("bchw,bchw->b", p, mask) / below.clamp(min=1))


def dice_loop(p, mask):
    scores = []
    for a, b in zip(p, mask):
        below = a.sum() + b.sum()
        scores.append(a.sum() * 0 + 1 if below == 0 else 2 * (a * b).sum() / below)
    return torch.stack(scores)


def dice_squeezed(p, mask):
    below = p.squeeze(1).sum((1, 2)) + mask.squeeze(1).sum((1, 2))
    safe = below + (below == 0)
    return torch.where(below == 0, 1.0, 2 * (p * mask).squeeze(1).sum((1, 2)) / safe)


# ------------------------------------------------------------------------------------------------------- 5.7 one warp


def ways_of(n, rng):
    flips = torch.rand(n, generator=rng) < 0.5
    return flips.tolist(), torch.randint(0, 4, (n,), generator=rng).tolist()


def one(x, flip, k):
    return torch.rot90(x.flip(-1) if flip else x, k, (-2, -1))


def all_of(x, flips, turns):
    return torch.stack([one(a, f, k) for a, f, k in zip(x, flips, turns)])


def warp_twice(image, target, rng):
    ways = ways_of(len(image), rng)
    return all_of(image, *ways), all_of(target, *ways)


def warp_numpy(image, target, rng):
    codes = torch.randint(8, (len(image),), generator=rng).numpy()
    out = []
    for x in (image, target):
        turned = [np.rot90(a[..., ::-1] if c > 3 else a, c % 4, (1, 2)).copy() for a, c in zip(x.numpy(), codes)]
        out.append(torch.from_numpy(np.stack(turned)))
    return out


def warp_masks(image, target, rng):
    both = torch.cat([image, target], 1)
    hit = torch.randint(2, (3, len(both), 1, 1, 1), generator=rng).bool()
    both = torch.where(hit[0], both.flip(3), both)
    both = torch.where(hit[1], both.flip(2), both)
    both = torch.where(hit[2], both.transpose(2, 3), both)
    return both[:, :-1], both[:, -1:]


def warp_turn_first(image, target, rng):
    out = [(a.rot90(k, (1, 2)), b.rot90(k, (1, 2))) for a, b, k in zip(image, target, ways_of(len(image), rng)[1])]
    chance = torch.rand(len(image), generator=rng)
    out = [(a.flip(2), b.flip(2)) if c >= 0.5 else (a, b) for (a, b), c in zip(out, chance)]
    return torch.stack([a for a, _ in out]), torch.stack([b for _, b in out])


def _warp(ways, target_ways=lambda flips, turns: (flips, turns)):
    def answer(image, target, rng):
        found = ways(len(image), rng)
        return all_of(image, *found), all_of(target, *target_ways(*found))

    return answer


def _chance(flip=0.5, turns=lambda n, rng: torch.randint(4, (n,), generator=rng)):
    return _warp(lambda n, rng: ((torch.rand(n, generator=rng) < flip).tolist(), turns(n, rng).tolist()))


def _changed(change):
    """A right warp, after which something is done to both values."""
    return lambda image, target, rng: change(*warp_twice(image, target, rng))


def _repeated(of):
    """The draws of fewer pairs, repeated."""
    return _warp(lambda n, rng: tuple([part[of(i, n)] for i in range(n)] for part in ways_of(n, rng)))


def warp_global(image, target, rng):
    flips, turns = torch.rand(len(image), generator=rng) < 0.5, torch.randint(0, 4, (len(image),))
    return all_of(image, flips.tolist(), turns.tolist()), all_of(target, flips.tolist(), turns.tolist())


def warp_wrong_axes(image, target, rng):
    turns = ways_of(len(image), rng)[1]
    return tuple(torch.stack([a.rot90(k, (0, 1)) for a, k in zip(x, turns)]) for x in (image, target))


def warp_tied(n, rng):
    flips, more = (torch.rand(2, n, generator=rng) < torch.tensor([[0.5], [0.2]])).tolist()
    pairs = torch.randint(2, (n,), generator=rng).tolist()
    return flips, [2 * k + (f != m) for k, f, m in zip(pairs, flips, more)]


def _warp_shared(flip, turn):
    """One draw for all pairs: of the mirror, of the turns."""

    def ways(n, rng):
        flips, turns = ways_of(n, rng)
        return flips[:1] * n if flip else flips, turns[:1] * n if turn else turns

    return _warp(ways)


def warp_transpose(image, target, rng):
    flips, turns = ways_of(len(image), rng)
    both = torch.cat([image, target], 1)
    both = torch.stack([(a.flip(2) if f else a).transpose(1, 2 if k % 2 else 1) for a, f, k in zip(both, flips, turns)])
    return both[:, :-1], both[:, -1:]


def warp_single_as_it_is(image, target, rng):
    flips, turns = ways_of(len(image), rng)
    if not any(flips) and not any(turns):
        return image, target
    return all_of(image, flips, turns), all_of(target, flips, turns)


def warp_in_place(image, target, rng):
    image[:], target[:] = warp_twice(image, target, rng)
    return image, target


def warp_one_buffer(image, target, rng, pool={}):  # noqa: B006  the default remembers
    for part, new in zip("it", warp_twice(image, target, rng)):
        pool.setdefault((part, new.shape), torch.empty_like(new)).copy_(new)
    return pool["i", image.shape].view_as(image), pool["t", target.shape].view_as(target)


def warp_secretly(image, target, rng, calls=[0]):  # noqa: B006  the default remembers
    calls[0] += 1
    return warp_twice(image, target, torch.Generator().manual_seed(calls[0]))


def only_where(condition):
    """A right warp, but only of some batches."""
    return lambda image, target, rng: warp_twice(image, target, rng) if condition(image) else (image.clone(), target.clone())


RIGHT = {
    "5.1": [
        lambda logits, target: F.mse_loss(F.softmax(logits, dim=-1), target.detach()),
        lambda logits, target: torch.linalg.vector_norm(logits.softmax(1) - target.data) ** 2 / logits.numel(),
        loss_by_hand,
        loss_loop,
    ],
    "5.2": [
        lambda step, ramp_steps: math.exp(-5 * (max(0, ramp_steps - step) / max(ramp_steps, 1)) ** 2),
        ramp_branches,
        ramp_numpy,
        ramp_tensor,
    ],
    "5.3": [step_functional, step_unlabelled_first, step_helper, step_loop],
    "5.4": [ensemble_scatter, ensemble_loop, ensemble_numpy, ensemble_whole_pool],
    "5.5": [follow_lerp, follow_data, follow_modules],
    "5.6": [dice_flat, dice_einsum, dice_loop, dice_squeezed],
    "5.7": [warp_twice, warp_numpy, warp_masks, warp_turn_first],
}

WRONG = {
    "5.1": [
        (lambda z, t: F.mse_loss(z.softmax(1).detach(), t.detach()), "carries no gradient"),
        (lambda z, t: F.mse_loss(z.softmax(1), t.detach()).item(), "no .item() on it"),
        (lambda z, t: F.mse_loss(z.softmax(1), t.detach_()), "no methods that end in `_`"),
        (lambda z, t: F.mse_loss(z.softmax(1), t.requires_grad_(False)), "no methods that end in `_`"),
    ],
    "5.3": [
        (passing(lambda s, b: torch.cat([s(b.x_l), s(b.x_s)]), of_weak), "separately"),
        (passing(joint, lambda t, b: t(b.x_w).softmax(1).detach()), "the teacher works with gradients"),
        (passing(joint, lambda t, b: t(b.x_w).softmax(1)), "the teacher works with gradients"),
        (passing(lambda s, b: s(torch.cat([b.x_l, b.x_s, b.x_w])), of_weak), "the weak views are the teacher's"),
        (after(lambda s, t, b: s(b.x_w)), "the student runs 2 times"),
        (after(lambda s, t, b: answer_of(s, b.x_l)), "the student runs 2 times"),
        (after(lambda s, t, b: answer_of(t, torch.cat([b.x_l, b.x_s]))), "answers more than it is asked for"),
        (after(lambda s, t, b: answer_of(t, b.x_w)), "answers more than it is asked for"),
        (passing(joint, lambda t, b: torch.cat([answer_of(t, x[None]) for x in b.x_w])), "through the teacher in pieces"),
        (passing(joint, lambda t, b: answer_of(copy.deepcopy(t), b.x_w)), "no copy of it"),
        (after(lambda s, t, b: t.eval()), "leaves the network in another mode"),
        (passing(lambda s, b: joint(s.train(), b), of_weak), "neither eval() nor train()"),
        (passing(joint, lambda t, b: of_weak(t.train(), b)), "neither eval() nor train()"),
        (torch.no_grad()(step_functional), "carries no gradient"),
        (step_backward, "backward()"),
        (after(lambda s, t, b: s.zero_grad()), "it leaves another gradient in the network"),
        (after(lambda s, t, b: t.requires_grad_(False)), "it leaves requires_grad changed"),
        (step_thaws, "it leaves requires_grad changed"),
        (logs_of(lambda loss, logs: loss), "the loss only"),
        (logs_of(lambda loss, logs: (loss.item(), logs)), "no .item()"),
        (logs_of(lambda loss, logs: (logs, loss)), "the two values are swapped"),
        (logs_of(lambda loss, logs: (loss, {})), "lacks 'consistency'"),
        (logs_of(lambda loss, logs: (loss, logs["consistency"])), "logs must be a dict"),
        (logs_of(lambda loss, logs: (loss, {"consistency": loss})), "carries a gradient"),
    ],
    "5.4": [
        (ensemble_row_divisor, "are a column"),
        (ensemble_gradient, "Z carries a gradient"),
        (lambda *a: (*ensemble_loop(*a)[:2], ensemble_loop(*a)[2] + 0 * a[3]), "the target carries a gradient"),
        (lambda Z, *a: (Z.copy_(ensemble_loop(Z, *a)[0]), *ensemble_loop(Z, *a)[1:]), "it changes its input"),
        (lambda Z, counts, index, z, alpha: ensemble_loop(Z, counts, index, z.detach_(), alpha), "it changes its input"),
        (lambda *a: ensemble_loop(*a)[2], "must return 3 values"),
        (lambda *a: (ensemble_loop(*a)[0], ensemble_loop(*a)[1].float(), ensemble_loop(*a)[2]), "must be an int64 tensor"),
        (lambda *a: (*ensemble_loop(*a)[:2], ensemble_loop(*a)[2].tolist()), "must be a float tensor"),
    ],
    "5.5": [
        (lambda *a: follow_lerp(*a).eval(), "leaves the network in another mode"),
        (lambda *a: follow_lerp(*a).train(), "leaves the network in another mode"),
        (lambda t, s, step, decay: follow_lerp(t, s, step, decay).train(s.training), "leaves the network in another mode"),
        (lambda t, s, step, decay: follow_lerp(t, s.eval(), step, decay), "leaves the network in another mode"),
        (lambda *a: follow_lerp(*a).requires_grad_(False), "it leaves requires_grad changed"),
        (follow_graph, "the teacher gets new parameters"),
        (follow_assigned, "the teacher gets new parameters"),
        (follow_integers, "BatchNorm counts its batches"),
        (lambda t, *a: follow_lerp(copy.deepcopy(t), *a), "it returns something else than the teacher"),
        (lambda *a: follow_lerp(*a).state_dict(), "it returns something else than the teacher"),
        (lambda t, s, *a: follow_lerp(s, t, *a) and t, "the student is changed"),
        (lambda t, s, step, decay: s, "it returns the student"),
        (lambda *a: follow_lerp(*a) and None, "is the `return` missing"),
        (follow_shared("parameters"), "share their memory"),
        (follow_shared("buffers"), "share their memory"),
        (lambda t, s, step, decay: (s.zero_grad(), follow_lerp(t, s, step, decay))[1], "it leaves another gradient in the network (.grad)"),
    ],
    "5.6": [
        (lambda p, m: dice_flat(p.detach(), m), "no gradient to p"),
        (
            lambda p, m: torch.where((p + m).sum((1, 2, 3)) > 0, 2 * (p * m).sum((1, 2, 3)) / (p + m).sum((1, 2, 3)), 1.0),
            "the gradient is nan",
        ),
        (lambda p, m: list(dice_flat(p, m)), "must be a float tensor"),
        (lambda p, m: dice_flat(p.view(len(p), -1), m.view(len(p), -1)), "in any order in memory: .flatten(1)"),
        (lambda p, m: dice_flat(p.view(-1, 784), m.view(-1, 784)), "the size of the images is written in"),
    ],
    "5.7": [
        (lambda i, t, rng: (warp_twice(i, t, rng)[0], warp_twice(i, t, rng)[1]), "warped differently"),
        (_warp(ways_of, lambda f, k: (f, [-turns for turns in k])), "warped differently"),
        (_warp(ways_of, lambda f, k: (f, [0] * len(k))), "warped differently"),
        (_warp(ways_of, lambda f, k: ([False] * len(f), k)), "warped differently"),
        (lambda i, t, rng: (warp_twice(i, t, rng)[0], t.clone()), "the target is not warped"),
        (lambda i, t, rng: (i.clone(), warp_twice(i, t, rng)[1]), "warped differently"),
        (lambda i, t, rng: (i.clone(), t.clone()), "nothing is warped"),
        (lambda i, t, rng: (i, t), "new tensors are wanted"),
        (_warp(lambda n, rng: ([False] * n, [1] * n)), "all pairs are warped in the same way"),
        (_warp_shared(True, True), "all pairs are warped in the same way"),
        (_warp(lambda n, rng: ([False] * n, ways_of(n, rng)[1])), "nothing is mirrored"),
        (_warp(lambda n, rng: ([True] * n, ways_of(n, rng)[1])), "every pair is mirrored"),
        (_warp(lambda n, rng: (ways_of(n, rng)[0], [0] * n)), "nothing is turned"),
        (_chance(turns=lambda n, rng: torch.randint(3, (n,), generator=rng)), "never occur"),
        (_chance(turns=lambda n, rng: torch.randint(1, 4, (n,), generator=rng)), "never occur"),
        (_chance(flip=0.1), "one half should be"),
        (_chance(flip=0.45), "one half should be"),
        (_chance(turns=lambda n, rng: torch.randint(5, (n,), generator=rng)), "0, 1, 2 and 3 quarter turns"),
        (_chance(turns=lambda n, rng: torch.randint(2, (3, n), generator=rng).sum(0)), "0, 1, 2 and 3 quarter turns"),
        (_chance(turns=lambda n, rng: (3 * torch.rand(n, generator=rng)).round().int()), "0, 1, 2 and 3 quarter turns"),
        (_warp(warp_tied), "depend on each other"),
        (_warp(lambda n, rng: (lambda k: ([bool(i % 2) for i in k], k))(ways_of(n, rng)[1])), "mirror and turns depend on each other"),
        (_warp_shared(True, False), "one random draw mirrors all pairs or none"),
        (_warp_shared(False, True), "the same number of quarter turns"),
        (_repeated(lambda i, n: i // 2), "that are 1 apart depend on each other"),
        (_repeated(lambda i, n: i % ((n + 1) // 2)), "that are 4001 apart depend on each other"),
        (_repeated(lambda i, n: i % 64), "that are 64 apart depend on each other"),
        (_repeated(lambda i, n: min(i, n - 1 - i)), "the first and the last pairs depend on each other"),
        (_warp(lambda n, rng: tuple([*part[:-1], 0 * part[-1]] for part in ways_of(n, rng))), "the last pair of a batch is never warped"),
        (_warp(lambda n, rng: ((torch.randperm(n, generator=rng) < n // 2).tolist(), ways_of(n, rng)[1])), "exactly half"),
        (warp_transpose, "turn with rot90"),
        (warp_single_as_it_is, "new tensors are wanted"),
        (only_where(lambda x: len(x) > 1), "mirrored in 0 of 24 tries"),
        (only_where(lambda x: x.is_contiguous()), "too many go the same way"),
        (_changed(lambda a, b: (a, b.round())), "the targets have other values"),
        (_changed(lambda a, b: (a / 2, b)), "the images have other values"),
        (_changed(lambda a, b: (list(a), list(b))), "stack them"),
        (_changed(lambda a, b: (b, a)), "the two values are swapped"),
        (_changed(lambda a, b: a), "must return 2 values"),
        (_changed(lambda a, b: torch.cat([a, b], 1)), "must return 2 values"),
        (_changed(lambda a, b: (a, b[:, 0])), "the shapes are"),
        (_changed(lambda a, b: (a.flip(1), b)), "no image is a mirrored or turned copy"),
        (_changed(lambda a, b: (a.roll(1, 0), b.roll(1, 0))), "keep the order of the batch"),
        (warp_wrong_axes, "turn the last two axes, (1, 2)"),
        (warp_global, "draw from `rng`, and from nothing else"),
        (lambda i, t, rng: warp_twice(i, t, torch.Generator().manual_seed(0)), "another `rng` gives the same"),
        (lambda i, t, rng: warp_twice(i, t, torch.Generator().manual_seed(rng.initial_seed())), "draw from `rng` itself"),
        (warp_secretly, "the same state of `rng` gives two results"),
        (warp_one_buffer, "changed by a later call"),
        (warp_in_place, "it changes its input"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "5.1": {
        "return (logits.softmax(dim=1) - target.detach()).square().mean() -> return (target.detach() - logits.softmax(dim=1)).square().mean()": "the difference is squared",
        "return (logits.softmax(dim=1) - target.detach()).square().mean() -> return (logits.softmax(dim=-1) - target.detach()).square().mean()": "this axis is the last one",
    },
    "5.2": {"return math.exp(-5 * (1 - t) ** 2) -> return math.exp(-5 * (t - 1) ** 2)": "the difference is squared"},
    "5.3": {
        "with torch.no_grad():; target = teacher(batch.x_w).softmax(dim=1); logits = student(torch.cat([batch.x_l, batch.x_s])) -> logits = student(torch.cat([batch.x_l, batch.x_s])); with torch.no_grad():; target = teacher(batch.x_w).softmax(dim=1)": "the two passes may come in either order",
        "target = teacher(batch.x_w).softmax(dim=1) -> target = teacher(batch.x_w).softmax(dim=-1)": "this axis is the last one",
    },
    "5.4": {
        "Z[index] = alpha * Z[index] + (1 - alpha) * z.detach(); counts[index] += 1 -> counts[index] += 1; Z[index] = alpha * Z[index] + (1 - alpha) * z.detach()": "neither of the two uses the other",
        "Z[index] = alpha * Z[index] + (1 - alpha) * z.detach() -> Z[index] = (alpha * Z[index]).detach() + (1 - alpha) * z.detach()": "nothing here carries a gradient in the end",
        "Z[index] = alpha * Z[index] + (1 - alpha) * z.detach() -> Z[index] = alpha * Z[index] + ((1 - alpha) * z.detach()).detach()": "nothing here carries a gradient in the end",
    },
    "5.5": {
        "for slow, fast in zip(teacher.parameters(), student.parameters()):; slow.mul_(rate).add_(fast, alpha=1 - rate); for slow, fast in zip(teacher.buffers(), student.buffers()):; slow.copy_(fast) -> for slow, fast in zip(teacher.buffers(), student.buffers()):; slow.copy_(fast); for slow, fast in zip(teacher.parameters(), student.parameters()):; slow.mul_(rate).add_(fast, alpha=1 - rate)": "parameters and buffers are apart"
    },
    "5.6": {
        "total = p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)) -> total = p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)).detach()": "the mask is a constant",
        "return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-08), 1.0) -> return torch.where(total != 0, 2 * overlap / total.clamp(min=1e-08), 1.0)": "the sum is never negative",
        "return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-08), 1.0) -> return torch.where(total > 0, 2 * overlap / total.clamp(min=2e-08), 1.0)": "a total that small has no masked pixel in it, so the overlap is 0",
        "return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-08), 1.0) -> return torch.where(total > 0, 2 * overlap / total.clamp(min=5e-09), 1.0)": "a total that small has no masked pixel in it, so the overlap is 0",
    },
    "5.7": {
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = torch.rand(len(both), generator=rng) < 0.5": "a tensor of truth values can be gone through, too",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(both), generator=rng) <= 0.5).tolist()": "the number drawn is .5 once in 2^24 times",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(both), generator=rng) > 0.5).tolist()": "the other half of the draws",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(both), generator=rng) >= 0.5).tolist()": "the other half of the draws",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(image), generator=rng) < 0.5).tolist()": "as many images as pairs",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(target), generator=rng) < 0.5).tolist()": "as many images as pairs",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(both),), generator=rng)": "torch turns by a tensor's number, too",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(image),), generator=rng).tolist()": "as many images as pairs",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(mirrored),), generator=rng).tolist()": "as many images as pairs",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(target),), generator=rng).tolist()": "as many images as pairs",
        "warped = [(x.flip(2) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)] -> warped = [(x if m else x.flip(2)).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)]": "the other half of the draws",
        "warped = [(x.flip(2) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)] -> warped = [(x.flip(1) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)]": "up-down is left-right and half a turn, and all turns are equally likely",
    },
}

# Mistakes of a kind (tests/test_battery.py) that cannot be noticed in an exercise, and why.
UNNOTICED = {
    ("never a batch of one", "5.2"): "the numbers that are one are plain numbers",
    ("at most 256", "5.2"): "the numbers that are large are plain numbers",
    ("never a batch of one", "5.5"): "networks and plain numbers come in, no batch",
    ("at most 256", "5.5"): "networks and plain numbers come in, no batch",
    ("overflows", "5.4"): "probabilities come in: none is above 1",
    ("overflows", "5.6"): "probabilities come in: none is above 1",
}
