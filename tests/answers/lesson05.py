"""Answers to the exercises of lesson 05: other right ones, and wrong ones with a fragment of the cause to be named."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------- 5.1 the consistency loss


def loss_functional(logits, target):
    return F.mse_loss(F.softmax(logits, dim=-1), target.detach())


def loss_by_hand(logits, target):
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return ((p - target.clone().detach()) ** 2).sum() / target.numel()


def loss_loop(logits, target):
    with torch.no_grad():
        constant = target * 1.0
    rows = [((z.softmax(0) - t) ** 2).mean() for z, t in zip(logits, constant)]
    return sum(rows) / len(rows)


def loss_norm(logits, target):
    return torch.linalg.vector_norm(logits.softmax(1) - target.data) ** 2 / logits.numel()


def loss_in_place(logits, target):
    target.detach_()
    return F.mse_loss(logits.softmax(1), target)


def loss_leaf_switched_off(logits, target):
    if target.is_leaf:
        target.requires_grad = False
    return F.mse_loss(logits.softmax(1), target.detach())


def _p(z):
    return z.softmax(1)


def _loss(reduce=torch.mean, p=_p, t=lambda t: t, power=2):
    return lambda logits, target: reduce((p(logits) - t(target.detach())).abs() ** power)


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


def ramp_max(step, ramp_steps):
    left = max(0, ramp_steps - step) / max(ramp_steps, 1)
    return math.exp(-5 * left * left)


def _ramp(formula):
    return lambda step, ramp_steps: formula(min(1.0, step / ramp_steps) if ramp_steps else 1.0)


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
def _answer(network, x):
    return network(x).softmax(1)


@torch.no_grad()
def step_logits(network, x):
    return network(x)


def step_helper(student, teacher, batch, weight):
    t = _answer(teacher, batch.x_w)
    z = student(torch.cat([batch.x_l, batch.x_s]))
    u = ((torch.softmax(z[-len(t) :], 1) - t) ** 2).sum(1).mean() / t.shape[1]
    return [
        F.nll_loss(z[: -len(t)].log_softmax(1), batch.y_l) + weight * u,
        {"consistency": u.item(), "weight": weight},
    ]


def _step(target=lambda s, t, b: _answer(t, b.x_w), u=F.mse_loss, combine=None, logs=None, view="x_s", p=_p):
    def answer(student, teacher, batch, weight):
        goal = target(student, teacher, batch)
        n = len(batch.x_l)
        z = student(torch.cat([batch.x_l, getattr(batch, view)]))
        agree, label = u(p(z[n:]), goal), F.cross_entropy(z[:n], batch.y_l)
        loss = combine(label, agree, weight) if combine else label + weight * agree
        return loss, (logs(label, agree, weight) if logs else {"consistency": agree.item()})

    return answer


def step_student_answers(student, teacher, batch, weight):
    with torch.no_grad():
        t = student(batch.x_w).softmax(1)
    return step_functional(student, lambda x: t.log(), batch, weight)


def step_teacher_twice(student, teacher, batch, weight):
    t = _answer(teacher, batch.x_w)
    z = student(torch.cat([batch.x_l, batch.x_s]))[: len(batch.x_l)]
    u = F.mse_loss(t, t)
    return F.cross_entropy(z, batch.y_l) + weight * u, {"consistency": u.item()}


def step_detached(student, teacher, batch, weight):
    t = _answer(teacher, batch.x_w)
    z = student(torch.cat([batch.x_l, batch.x_s]))
    n = len(batch.x_l)
    u = F.mse_loss(z[n:].detach().softmax(1), t)
    return F.cross_entropy(z[:n], batch.y_l) + weight * u, {"consistency": u.item()}


def step_apart(student, teacher, batch, weight):
    u = F.mse_loss(student(batch.x_s).softmax(1), _answer(teacher, batch.x_w))
    return F.cross_entropy(student(batch.x_l), batch.y_l) + weight * u, {"consistency": u.item()}


def step_gradient_teacher(student, teacher, batch, weight):
    z = student(torch.cat([batch.x_l, batch.x_s]))
    n = len(batch.x_l)
    u = F.mse_loss(z[n:].softmax(1), teacher(batch.x_w).softmax(1).detach())
    return F.cross_entropy(z[:n], batch.y_l) + weight * u, {"consistency": u.item()}


def step_swapped_networks(student, teacher, batch, weight):
    t = _answer(student, batch.x_w)
    z_l = student(batch.x_l)
    u = F.mse_loss(teacher(batch.x_s).softmax(1), t)
    return F.cross_entropy(z_l, batch.y_l) + weight * u, {"consistency": u.item()}


def step_swapped_views(student, teacher, batch, weight):
    return step_functional(student, teacher, batch._replace(x_w=batch.x_s, x_s=batch.x_w), weight)


def step_teacher_labels(student, teacher, batch, weight):
    u = F.mse_loss(student(batch.x_s).softmax(1), _answer(teacher, batch.x_w))
    return F.cross_entropy(teacher(batch.x_l), batch.y_l) + weight * u, {"consistency": u.item()}


def step_wrong_cut(student, teacher, batch, weight):
    t = _answer(teacher, batch.x_w)
    z = student(torch.cat([batch.x_s, batch.x_l]))
    n = len(batch.x_l)
    u = F.mse_loss(z[n:].softmax(1), t)
    return F.cross_entropy(z[:n], batch.y_l) + weight * u, {"consistency": u.item()}


def step_extra_pass(student, teacher, batch, weight):
    student(batch.x_w)
    return step_functional(student, teacher, batch, weight)


def step_teacher_all(student, teacher, batch, weight):
    with torch.no_grad():
        teacher(torch.cat([batch.x_l, batch.x_s]))
    return step_functional(student, teacher, batch, weight)


def step_eval(student, teacher, batch, weight):
    teacher.eval()
    return step_functional(student, teacher, batch, weight)


def step_train(student, teacher, batch, weight):
    student.train()
    return step_functional(student, teacher, batch, weight)


def step_no_gradient(student, teacher, batch, weight):
    with torch.no_grad():
        return step_functional(student, teacher, batch, weight)


def step_backward(student, teacher, batch, weight):
    loss, logs = step_functional(student, teacher, batch, weight)
    loss.backward(retain_graph=True)
    return loss, logs


def _step_cut(cut):
    def answer(student, teacher, batch, weight):
        t = _answer(teacher, batch.x_w)
        z_l, z_s = cut(student(torch.cat([batch.x_l, batch.x_s])), batch)
        u = (z_s.softmax(1) - t).square().mean()
        return F.cross_entropy(z_l, batch.y_l) + weight * u, {"consistency": u.item()}

    return answer


def step_all_views(student, teacher, batch, weight):
    t = _answer(teacher, batch.x_w)
    sizes = [len(batch.x_l), len(batch.x_s), len(batch.x_w)]
    z_l, z_s, _ = student(torch.cat([batch.x_l, batch.x_s, batch.x_w])).split(sizes)
    u = F.mse_loss(z_s.softmax(1), t)
    return F.cross_entropy(z_l, batch.y_l) + weight * u, {"consistency": u.item()}


def step_frozen(student, teacher, batch, weight):
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
    return step_functional(student, teacher, batch, weight)


def step_skips_weight_zero(student, teacher, batch, weight):
    if weight == 0:
        z = student(torch.cat([batch.x_l, batch.x_s]))
        return F.cross_entropy(z[: len(batch.x_l)], batch.y_l), {"consistency": 0.0}
    return step_functional(student, teacher, batch, weight)


def step_thaws(student, teacher, batch, weight):
    teacher.requires_grad_(False)
    t = _answer(teacher, batch.x_w)
    teacher.requires_grad_(True)
    z = student(torch.cat([batch.x_l, batch.x_s]))
    n = len(batch.x_l)
    u = F.mse_loss(z[n:].softmax(1), t)
    return F.cross_entropy(z[:n], batch.y_l) + weight * u, {"consistency": u.item()}


def step_labelled_too(student, teacher, batch, weight):
    t = _answer(teacher, torch.cat([batch.x_l, batch.x_w]))
    z = student(torch.cat([batch.x_l, batch.x_s]))
    u = F.mse_loss(z.softmax(1), t)
    return F.cross_entropy(z[: len(batch.x_l)], batch.y_l) + weight * u, {"consistency": u.item()}


def step_number(student, teacher, batch, weight):
    t = _answer(teacher, batch.x_w)
    z = student(torch.cat([batch.x_l, batch.x_s]))
    n = len(batch.x_l)
    u = F.mse_loss(z[n:].softmax(1), t).item()
    return F.cross_entropy(z[:n], batch.y_l) + weight * u, {"consistency": u}


def step_teacher_copied(student, teacher, batch, weight):
    return step_functional(student, copy.deepcopy(teacher), batch, weight)


def step_student_from_teacher(student, teacher, batch, weight):
    u = F.mse_loss(_answer(teacher, batch.x_s), _answer(teacher, batch.x_w))
    z = student(torch.cat([batch.x_l, batch.x_s]))[: len(batch.x_l)]
    return F.cross_entropy(z, batch.y_l) + weight * u, {"consistency": u.item()}


def step_summed_labels(student, teacher, batch, weight):
    t = _answer(teacher, batch.x_w)
    z = student(torch.cat([batch.x_l, batch.x_s]))
    n = len(batch.x_l)
    u = F.mse_loss(z[n:].softmax(1), t)
    return F.cross_entropy(z[:n], batch.y_l, reduction="sum") + weight * u, {"consistency": u.item()}


def step_cross_entropy(student, teacher, batch, weight):
    t = _answer(teacher, batch.x_w)
    z = student(torch.cat([batch.x_l, batch.x_s]))
    n = len(batch.x_l)
    u = F.cross_entropy(z[n:], t)
    return F.cross_entropy(z[:n], batch.y_l) + weight * u, {"consistency": u.item()}


def step_halves(student, teacher, batch, weight):
    t = _answer(teacher, batch.x_w)
    z = student(torch.cat([batch.x_l, batch.x_s]))
    u = (z[2:].softmax(1) - t).square().mean()
    return F.cross_entropy(z[:2], batch.y_l) + weight * u, {"consistency": u.item()}


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


def _ensemble(row=None, raised=1, divisor=None, gather=True):
    def answer(Z, counts, index, z, alpha):
        Z, counts = Z.clone(), counts.clone()
        Z[index] = (row or (lambda old, z, a: a * old + (1 - a) * z))(Z[index], z.detach(), alpha)
        counts[index] += raised
        below = (divisor or (lambda n, a: 1 - a**n))(counts[index].unsqueeze(1), alpha)
        return Z, counts, Z[index] / below

    return answer


def ensemble_in_place(Z, counts, index, z, alpha):
    Z[index] = alpha * Z[index] + (1 - alpha) * z.detach()
    counts[index] += 1
    return Z, counts, Z[index] / (1 - alpha ** counts[index].unsqueeze(1))


def ensemble_z_cut(Z, counts, index, z, alpha):
    return ensemble_loop(Z, counts, index, z.detach_(), alpha)


def ensemble_mask(Z, counts, index, z, alpha):
    hit = torch.zeros(len(Z), dtype=torch.bool)
    hit[index] = True
    Z, counts = Z.clone(), counts + hit
    Z[hit] = alpha * Z[hit] + (1 - alpha) * z.detach()
    return Z, counts, Z[index] / (1 - alpha ** counts[index].unsqueeze(1))


def ensemble_gradient(Z, counts, index, z, alpha):
    Z, counts = Z.clone(), counts.clone()
    Z[index] = alpha * Z[index] + (1 - alpha) * z
    counts[index] += 1
    return Z, counts, Z[index] / (1 - alpha ** counts[index].unsqueeze(1))


def ensemble_target_gradient(Z, counts, index, z, alpha):
    Z, counts, target = ensemble_scatter(Z, counts, index, z, alpha)
    return Z, counts, target + 0 * z


def ensemble_decays_all(Z, counts, index, z, alpha):
    Z, counts = alpha * Z, counts.clone()
    Z[index] += (1 - alpha) * z.detach()
    counts[index] += 1
    return Z, counts, Z[index] / (1 - alpha ** counts[index].unsqueeze(1))


def ensemble_first_rows(Z, counts, index, z, alpha):
    return ensemble_scatter(Z, counts, torch.arange(len(z)), z, alpha)


def ensemble_all_counts(Z, counts, index, z, alpha):
    Z, _, target = ensemble_scatter(Z, counts, index, z, alpha)
    return Z, counts + 1, target


def ensemble_batch_only(Z, counts, index, z, alpha):
    Z, counts, target = ensemble_scatter(Z, counts, index, z, alpha)
    return Z[index], counts[index], target


def ensemble_whole_target(Z, counts, index, z, alpha):
    Z, counts, _ = ensemble_scatter(Z, counts, index, z, alpha)
    return Z, counts, Z / (1 - alpha ** counts.unsqueeze(1))


def ensemble_one_count(Z, counts, index, z, alpha):
    Z, counts, _ = ensemble_scatter(Z, counts, index, z, alpha)
    return Z, counts, Z[index] / (1 - alpha ** counts.max())


def ensemble_unsorted(Z, counts, index, z, alpha):
    Z, counts, _ = ensemble_scatter(Z, counts, index, z, alpha)
    return Z, counts, Z[index] / (1 - alpha ** counts[index.sort().values].unsqueeze(1))


def ensemble_stores_target(Z, counts, index, z, alpha):
    Z, counts, target = ensemble_scatter(Z, counts, index, z, alpha)
    return Z.index_copy(0, index, target), counts, target


def ensemble_first_visit(Z, counts, index, z, alpha):
    first = (counts[index] == 0).unsqueeze(1)
    rows = torch.where(first, z.detach(), alpha * Z[index] + (1 - alpha) * z.detach())
    n = counts.index_add(0, index, torch.ones_like(index))
    return Z.index_copy(0, index, rows), n, rows


def ensemble_counts_one(Z, counts, index, z, alpha):
    Z, _, _ = ensemble_scatter(Z, counts, index, z, alpha)
    counts = counts.index_fill(0, index, 1)
    return Z, counts, Z[index] / (1 - alpha ** counts[index].unsqueeze(1))


def ensemble_old_count(Z, counts, index, z, alpha):
    new, seen, _ = ensemble_scatter(Z, counts, index, z, alpha)
    return new, seen, new[index] / (1 - alpha ** counts[index].unsqueeze(1))


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


def follow_state(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    averaged, new = dict(teacher.named_parameters()), {}
    for name, value in student.state_dict().items():
        new[name] = keep * averaged[name] + (1 - keep) * value if name in averaged else value
    teacher.load_state_dict(new)
    return teacher


def follow_data(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for a, b in zip(teacher.parameters(), student.parameters()):
        a.data.mul_(keep).add_((1 - keep) * b.data)
    for a, b in zip(teacher.buffers(), student.buffers()):
        a.data.copy_(b.data)
    return teacher


def follow_names(teacher, student, step, decay):
    keep = min(1 - 1 / (1 + step), decay)
    with torch.no_grad():
        own = teacher.state_dict()
        for name, value in student.state_dict().items():
            own[name].copy_(keep * own[name] + (1 - keep) * value if value.is_floating_point() and "running" not in name else value)
    return teacher


def _follow(keep=lambda step, decay: min(1 - 1 / (step + 1), decay), rule=None, buffers=None, parts=slice(None)):
    @torch.no_grad()
    def answer(teacher, student, step, decay):
        k = keep(step, decay)
        for a, b in list(zip(teacher.parameters(), student.parameters()))[parts]:
            a.copy_((rule or (lambda a, b, k: k * a + (1 - k) * b))(a, b, k))
        for a, b in zip(teacher.buffers(), student.buffers()):
            a.copy_(buffers(a, b, k) if buffers else b)
        return teacher

    return answer


def follow_without_no_grad(teacher, student, step, decay):
    for a, b in zip(teacher.parameters(), student.parameters()):
        a.mul_(decay).add_(b, alpha=1 - decay)
    return teacher


@torch.no_grad()
def follow_integers(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for a, b in zip(teacher.state_dict().values(), student.state_dict().values()):
        a.mul_(keep).add_(b, alpha=1 - keep)
    return teacher


@torch.no_grad()
def follow_lost(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for a, b in zip(teacher.parameters(), student.parameters()):
        a = keep * a + (1 - keep) * b
    for a, b in zip(teacher.buffers(), student.buffers()):
        a.copy_(b)
    return teacher


def follow_new(teacher, student, step, decay):
    return follow_lerp(copy.deepcopy(teacher), student, step, decay)


@torch.no_grad()
def follow_student(teacher, student, step, decay):
    follow_lerp(student, teacher, step, decay)
    return teacher


def follow_shared(teacher, student, step, decay):
    follow_lerp(teacher, student, step, decay)
    if step == 0:
        for a, b in zip(teacher.parameters(), student.parameters()):
            a.data = b.data
    return teacher


def follow_shared_buffers(teacher, student, step, decay):
    follow_lerp(teacher, student, step, decay)
    for a, b in zip(teacher.buffers(), student.buffers()):
        a.data = b.data
    return teacher


@torch.no_grad()
def follow_top_level(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for mine, its in zip(teacher, student):
        for a, b in zip(mine.parameters(recurse=False), its.parameters(recurse=False)):
            a.lerp_(b, 1 - keep)
        for a, b in zip(mine.buffers(), its.buffers()):
            a.copy_(b)
    return teacher


@torch.no_grad()
def follow_one_norm(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for a, b in zip(teacher.parameters(), student.parameters()):
        a.lerp_(b, 1 - keep)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        getattr(teacher[1], name).copy_(getattr(student[1], name))
    return teacher


def _follow_where(keeps):
    @torch.no_grad()
    def answer(teacher, student, step, decay):
        keep = min(1 - 1 / (step + 1), decay)
        for a, b in zip(teacher.parameters(), student.parameters()):
            if keeps(a, b):
                a.lerp_(b, 1 - keep)
        for a, b in zip(teacher.buffers(), student.buffers()):
            a.copy_(b)
        return teacher

    return answer


@torch.no_grad()
def follow_children(teacher, student, step, decay):
    for mine, its in zip(teacher.children(), student.children()):
        follow_lerp(mine, its, step, decay)
    return teacher


@torch.no_grad()
def follow_norms(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for a, b in zip(teacher.parameters(), student.parameters()):
        a.lerp_(b, 1 - keep)
    for mine, its in zip(teacher.modules(), student.modules()):
        if isinstance(mine, torch.nn.BatchNorm1d):
            for a, b in zip(mine.buffers(), its.buffers()):
                a.copy_(b)
    return teacher


@torch.no_grad()
def follow_weight_and_bias(teacher, student, step, decay):
    keep, its = min(1 - 1 / (step + 1), decay), student.state_dict()
    for name, a in teacher.state_dict().items():
        a.copy_(keep * a + (1 - keep) * its[name] if name.endswith(("weight", "bias")) else its[name])
    return teacher


@torch.no_grad()
def follow_assigned(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    new = {name: b.clone() for name, b in student.state_dict().items()}
    for name, a in teacher.named_parameters():
        new[name] = keep * a + (1 - keep) * new[name]
    teacher.load_state_dict(new, assign=True)
    return teacher


@torch.no_grad()
def follow_buffers_lost(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for a, b in zip(teacher.parameters(), student.parameters()):
        a.lerp_(b, 1 - keep)
    for a, b in zip(teacher.buffers(), student.buffers()):
        a = b.clone()
    return teacher


def follow_zero_grad(teacher, student, step, decay):
    student.zero_grad()
    return follow_lerp(teacher, student, step, decay)


def follow_eval(teacher, student, step, decay):
    return follow_lerp(teacher, student, step, decay).eval()


def follow_train(teacher, student, step, decay):
    return follow_lerp(teacher, student, step, decay).train()


def follow_frozen(teacher, student, step, decay):
    return follow_lerp(teacher, student, step, decay).requires_grad_(False)


def follow_student_eval(teacher, student, step, decay):
    return follow_lerp(teacher, student.eval(), step, decay)


def follow_graph(teacher, student, step, decay):
    keep = min(1 - 1 / (step + 1), decay)
    for mine, its in zip(teacher, student):
        for name, b in list(its.named_parameters()):
            a = getattr(mine, name)
            del mine._parameters[name]
            mine._parameters[name] = keep * a + (1 - keep) * b
    for a, b in zip(teacher.buffers(), student.buffers()):
        a.copy_(b)
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


def _dice(above=lambda p, m: 2 * (p * m).sum((1, 2, 3)), below=lambda p, m: (p + m).sum((1, 2, 3)), empty=1.0):
    def answer(p, mask):
        total = below(p, mask)
        return torch.where(total > 0, above(p, mask) / total.clamp(min=1e-8), empty)

    return answer


def _dice_clamped(least):
    def answer(p, mask):
        total = (p + mask).sum((1, 2, 3))
        return torch.where(total > 0, 2 * (p * mask).sum((1, 2, 3)) / total.clamp(min=least), 1.0)

    return answer


def _dice_smooth(term):
    return lambda p, m: (2 * (p * m).sum((1, 2, 3)) + term) / ((p + m).sum((1, 2, 3)) + term)


def dice_squeezed(p, mask):
    below = p.squeeze(1).sum((1, 2)) + mask.squeeze(1).sum((1, 2))
    safe = below + (below == 0)
    return torch.where(below == 0, 1.0, 2 * (p * mask).squeeze(1).sum((1, 2)) / safe)


# ------------------------------------------------------------------------------------------------------- 5.7 one warp


def _ways(n, rng):
    flips = torch.rand(n, generator=rng) < 0.5
    return flips.tolist(), torch.randint(0, 4, (n,), generator=rng).tolist()


def _one(x, flip, k):
    return torch.rot90(x.flip(-1) if flip else x, k, (-2, -1))


def _all(x, flips, turns):
    return torch.stack([_one(a, f, k) for a, f, k in zip(x, flips, turns)])


def warp_twice(image, target, rng):
    ways = _ways(len(image), rng)
    return _all(image, *ways), _all(target, *ways)


def warp_numpy(image, target, rng):
    codes = torch.randint(8, (len(image),), generator=rng).numpy()
    out = []
    for x in (image, target):
        turned = [np.rot90(a[..., ::-1] if c > 3 else a, c % 4, (1, 2)).copy() for a, c in zip(x.numpy(), codes)]
        out.append(torch.from_numpy(np.stack(turned)))
    return out


def warp_masks(image, target, rng):
    both = torch.cat([image, target], 1)
    coins = torch.randint(2, (3, len(both), 1, 1, 1), generator=rng).bool()
    both = torch.where(coins[0], both.flip(3), both)
    both = torch.where(coins[1], both.flip(2), both)
    both = torch.where(coins[2], both.transpose(2, 3), both)
    return both[:, :-1], both[:, -1:]


def warp_turn_first(image, target, rng):
    out = [(a.rot90(k, (1, 2)), b.rot90(k, (1, 2))) for a, b, k in zip(image, target, _ways(len(image), rng)[1])]
    coins = torch.rand(len(image), generator=rng)
    out = [(a.flip(2), b.flip(2)) if c >= 0.5 else (a, b) for (a, b), c in zip(out, coins)]
    return torch.stack([a for a, _ in out]), torch.stack([b for _, b in out])


def warp_apart(image, target, rng):
    return _all(image, *_ways(len(image), rng)), _all(target, *_ways(len(target), rng))


def _warp(ways, target_ways=lambda flips, turns: (flips, turns)):
    def answer(image, target, rng):
        found = ways(len(image), rng)
        return _all(image, *found), _all(target, *target_ways(*found))

    return answer


def warp_global(image, target, rng):
    flips, turns = torch.rand(len(image)) < 0.5, torch.randint(0, 4, (len(image),))
    return _all(image, flips.tolist(), turns.tolist()), _all(target, flips.tolist(), turns.tolist())


def warp_half_global(image, target, rng):
    flips, turns = torch.rand(len(image), generator=rng) < 0.5, torch.randint(0, 4, (len(image),))
    return _all(image, flips.tolist(), turns.tolist()), _all(target, flips.tolist(), turns.tolist())


def warp_seeded(image, target, rng):
    return warp_twice(image, target, torch.Generator().manual_seed(0))


def warp_channels(image, target, rng):
    ways = _ways(len(image), rng)
    return torch.stack([a.flip(0) if f else a for a, f in zip(image, ways[0])]), target


def warp_shuffled(image, target, rng):
    order = torch.randperm(len(image), generator=rng)
    return warp_twice(image[order], target[order], rng)


def _chance(flip=0.5, turns=lambda n, rng: torch.randint(4, (n,), generator=rng)):
    return _warp(lambda n, rng: ((torch.rand(n, generator=rng) < flip).tolist(), turns(n, rng).tolist()))


def warp_reseeded(image, target, rng):
    torch.manual_seed(rng.initial_seed())
    return warp_global(image, target, rng)


def warp_seed_again(image, target, rng):
    return warp_twice(image, target, torch.Generator().manual_seed(rng.initial_seed()))


def warp_wrong_axes(image, target, rng):
    turns = torch.randint(4, (len(image),), generator=rng).tolist()
    return tuple(torch.stack([a.rot90(k, (0, 1)) for a, k in zip(x, turns)]) for x in (image, target))


def warp_lists(image, target, rng):
    image, target = warp_twice(image, target, rng)
    return list(image), list(target)


def warp_tied(image, target, rng):
    flips = (torch.rand(len(image), generator=rng) < 0.5).tolist()
    more = (torch.rand(len(image), generator=rng) < 0.2).tolist()
    pairs = torch.randint(2, (len(image),), generator=rng).tolist()
    turns = [2 * k + (f != m) for k, f, m in zip(pairs, flips, more)]
    return _all(image, flips, turns), _all(target, flips, turns)


def warp_up_down(image, target, rng):
    flips = (torch.rand(len(image), generator=rng) < 0.5).tolist()
    return tuple(torch.stack([a.flip(1) if f else a for a, f in zip(x, flips)]) for x in (image, target))


def _warp_shared(flip, turn):
    """One draw for all pairs: of the mirror, of the turns."""

    def answer(image, target, rng):
        flips, turns = _ways(len(image), rng)
        flips, turns = flips[:1] * len(flips) if flip else flips, turns[:1] * len(turns) if turn else turns
        return _all(image, flips, turns), _all(target, flips, turns)

    return answer


def warp_transpose(image, target, rng):
    flips, turns = _ways(len(image), rng)
    out = []
    for x in (image, target):
        flipped = [a.flip(2) if f else a for a, f in zip(x, flips)]
        out.append(torch.stack([a.transpose(1, 2) if k % 2 else a for a, k in zip(flipped, turns)]))
    return out


def warp_neighbours(image, target, rng):
    flips, turns = _ways((len(image) + 1) // 2, rng)
    flips, turns = ([part[i // 2] for i in range(len(image))] for part in (flips, turns))
    return _all(image, flips, turns), _all(target, flips, turns)


def warp_single_as_it_is(image, target, rng):
    flips, turns = _ways(len(image), rng)
    if not any(flips) and not any(turns):
        return image, target
    return _all(image, flips, turns), _all(target, flips, turns)


def warp_in_place(image, target, rng):
    image[:], target[:] = warp_twice(image, target, rng)
    return image, target


RIGHT = {
    "5.1": [loss_functional, loss_by_hand, loss_loop, loss_norm],
    "5.2": [ramp_branches, ramp_numpy, ramp_tensor, ramp_max],
    "5.3": [step_functional, step_unlabelled_first, step_helper],
    "5.4": [ensemble_scatter, ensemble_loop, ensemble_numpy],
    "5.5": [follow_lerp, follow_state, follow_data, follow_names],
    "5.6": [dice_flat, dice_einsum, dice_loop, dice_squeezed],
    "5.7": [warp_twice, warp_numpy, warp_masks, warp_turn_first],
}

WRONG = {
    "5.1": [
        (_loss(lambda s: s.sum(1).mean()), "summed over the classes"),
        (_loss(lambda s: s.mean(1).sum()), "the images are summed"),
        (_loss(torch.sum), "the squares are summed"),
        (_loss(lambda s: s.mean(1)), "one number is wanted: take the mean over the images"),
        (_loss(lambda s: s.mean(0)), "one number is wanted: take the mean over the classes"),
        (_loss(lambda s: s), "one number is wanted"),
        (_loss(p=lambda z: z), "logits are compared with probabilities"),
        (_loss(p=lambda z: z, t=_p), "the softmax belongs to the logits"),
        (_loss(t=_p), "no second softmax"),
        (_loss(p=lambda z: _p(_p(z))), "softmax is applied twice"),
        (_loss(p=lambda z: z.softmax(0)), "over the images (dim=0)"),
        (_loss(p=torch.sigmoid), "sigmoid treats"),
        (_loss(power=1), "absolute differences"),
        (_loss(lambda s: s.mean().sqrt()), "no root"),
        (_loss(lambda s: s.mean() / 2), "one half"),
        (_loss(lambda s: -s.mean()), "the sign is wrong"),
        (lambda z, t: F.cross_entropy(z, t.detach()), "cross-entropy"),
        (lambda z, t: F.kl_div(z.log_softmax(1), t.detach(), reduction="batchmean"), "divergence"),
        (_loss(p=lambda z: z.log_softmax(1)), "logarithm does not belong"),
        (_loss(t=lambda t: F.one_hot(t.argmax(1), t.shape[1])), "made one class"),
        (lambda z, t: (z.softmax(1) - t.detach()).mean(), "cancel out"),
        (lambda z, t: F.mse_loss(z.softmax(1), t), "a gradient flows to the target"),
        (lambda z, t: F.mse_loss(z.softmax(1).detach(), t.detach()), "no gradient to the logits"),
        (lambda z, t: F.mse_loss(z.softmax(1).detach(), t), "the wrong one is constant"),
        (lambda z, t: F.mse_loss(z.softmax(1), t.detach()).item(), "no gradient to the logits"),
        (lambda z, t: ((z.softmax(1) - t.detach()) ** 2).sum() / (3 * len(z)), "a size is written in"),
        (lambda z, t: (z.softmax(1) - t.detach()).square().sum(1).mean() / 7, "a size is written in"),
        (lambda z, t: (z.softmax(1) - t.detach()).square().mean(1).sum() / 2, "a size is written in"),
        (lambda z, t: (z.softmax(1) - t.detach()).square().mean(1).sum() / 32, "a size is written in"),
        (loss_in_place, "use target.detach()"),
        (lambda z, t: F.mse_loss(z.softmax(1), t.requires_grad_(False)), "use target.detach()"),
        (loss_leaf_switched_off, "use target.detach()"),
    ],
    "5.2": [
        (_ramp(lambda t: t), "this is the share t itself"),
        (lambda step, ramp_steps: 1.0, "there is no ramp"),
        (_ramp(lambda t: math.exp(-5 * (1 - t))), "the square is missing"),
        (_ramp(lambda t: math.exp(5 * (1 - t) ** 2)), "sign in the exponent"),
        (_ramp(lambda t: math.exp(-5 * t**2)), "the ramp falls"),
        (_ramp(lambda t: math.exp(-5 * (1 - t**2))), "the whole bracket"),
        (_ramp(lambda t: math.exp(-((1 - t) ** 2))), "the 5 is missing"),
        (_ramp(lambda t: math.exp(-((5 * (1 - t)) ** 2))), "the 5 is squared"),
        (_ramp(lambda t: math.exp((-5 * (1 - t)) ** 2)), "swallows the minus sign"),
        (_ramp(lambda t: 10 * math.exp(-5 * (1 - t) ** 2)), "w_max does not belong here"),
        (lambda s, r: ramp_max(s, r - 1) if r else 1.0, "divide by ramp_steps itself"),
        (lambda s, r: ramp_max(s, r) if s else float(r == 0), "at step 0 the factor is 0.0067"),
        (lambda s, r: 1.0 if s > r else math.exp(-5 * (1 - s / r) ** 2), "divides by zero"),
        (_ramp(lambda t: 1 - math.exp(-5 * (1 - t) ** 2)), "1 minus the factor"),
        (_ramp(lambda t: t * math.exp(-5 * (1 - t) ** 2)), "multiplies the factor"),
        (_ramp(lambda t: 2 ** (-5 * (1 - t) ** 2)), "the base is e"),
        (_ramp(lambda t: -5 * (1 - t) ** 2), "the exponential is missing"),
        (lambda s, r: ramp_max((s + 1), r), "one step ahead"),
        (lambda s, r: math.exp(-5 * (1 - s // r) ** 2) if r else 1.0, "instead of `/`"),
        (lambda s, r: math.exp(-5 * (1 - min(1, s / 400)) ** 2) if r else 1.0, "not always 400"),
        (lambda s, r: math.exp(-5 * (1 - s / r) ** 2) if r else 1.0, "falls again"),
        (lambda s, r: (ramp_max(s, r) if s <= r else 0.0) if r else 1.0, "stays at 1"),
        (lambda s, r: math.exp(-5 * (1 - min(1, s / r)) ** 2), "divides by zero"),
        (lambda s, r: ramp_max(s, r) if r else 0.0, "the factor is 1, not 0"),
        (lambda s, r: math.exp(-5 * (1 - min(1, s / max(r, 1))) ** 2), "the factor is 1 from the first step"),
        (lambda s, r: ramp_max(s, r) if r > 1 else 1.0, "a ramp of one step has a step 0"),
    ],
    "5.3": [
        (step_teacher_twice, "missing or zero"),
        (_step(combine=lambda l, u, w: l), "missing or zero"),
        (_step(combine=lambda l, u, w: w * u), "the labelled loss is missing"),
        (_step(combine=lambda l, u, w: l + u), "the weight is ignored"),
        (_step(combine=lambda l, u, w: w * (l + u)), "multiplies both losses"),
        (_step(combine=lambda l, u, w: w * l + u), "multiplies the labelled loss"),
        (_step(combine=lambda l, u, w: (l + w * u) / 2), "averaged: add them"),
        (_step(combine=lambda l, u, w: (1 - w) * l + w * u), "1 - weight"),
        (_step(lambda s, t, b: _answer(t, b.x_s)), "the same view as the student"),
        (step_student_answers, "the target comes from the student"),
        (_step(lambda s, t, b: _answer(s, b.x_s)), "missing or zero"),
        (step_swapped_views, "the views or the networks"),
        (_step(view="x_w"), "learn on x_s"),
        (step_swapped_networks, "the networks are swapped"),
        (step_teacher_labels, "the labelled loss is the teacher's"),
        (_step(lambda s, t, b: t(b.x_w).detach()), "the target holds logits"),
        (_step(lambda s, t, b: _answer(t, b.x_w).softmax(1)), "twice to the teacher's answer"),
        (_step(p=lambda z: _p(_p(z))), "consistency_loss takes logits"),
        (_step(lambda s, t, b: F.one_hot(_answer(t, b.x_w).argmax(1), 3).float()), "made one class"),
        (_step(u=lambda p, t: (p - t).square().sum(1).mean()), "summed over the classes"),
        (step_wrong_cut, "glued together in one order"),
        (step_detached, "the gradient of the consistency loss is zero"),
        (step_apart, "separately"),
        (step_gradient_teacher, "the teacher works with gradients"),
        (_step(lambda s, t, b: t(b.x_w).softmax(1)), "the teacher works with gradients"),
        (step_extra_pass, "the student runs 2 times"),
        (step_teacher_all, "answers more than it is asked for"),
        (step_eval, "neither eval() nor train()"),
        (step_train, "neither eval() nor train()"),
        (step_no_gradient, "carries no gradient"),
        (step_backward, "backward() is called inside"),
        (lambda *a: step_functional(*a)[0], "the loss only"),
        (lambda *a: (step_functional(*a)[0].item(), {}), "no .item()"),
        (_step(logs=lambda l, u, w: {}), "logs must be a dict"),
        (_step(logs=lambda l, u, w: u.item()), "logs must be a dict"),
        (_step(logs=lambda l, u, w: {"consistency": u}), "carries a gradient"),
        (_step(logs=lambda l, u, w: {"consistency": (w * u).item()}), "is weighted"),
        (_step(logs=lambda l, u, w: {"consistency": l.item()}), "holds the labelled loss"),
        (step_halves, "Cut after len(batch.x_l) rows"),
        (_step_cut(lambda z, b: z.chunk(2)), "Cut after len(batch.x_l) rows"),
        (_step_cut(lambda z, b: (z[:32], z[32:])), "Cut after len(batch.x_l) rows"),
        (_step_cut(lambda z, b: (z[: len(b.x_s)], z[len(b.x_s) :])), "Cut after len(batch.x_l) rows"),
        (step_all_views, "the weak views are the teacher's"),
        (step_frozen, "requires_grad of the teacher is switched off"),
        (step_student_from_teacher, "taken from the TEACHER"),
        (step_summed_labels, "the labelled loss is summed"),
        (_step(u=lambda p, t: (p - t).square().sum()), "the squares are summed: does"),
        (_step(u=lambda p, t: (p - t).square().sum(0).mean()), "summed over the images"),
        (_step(lambda s, t, b: step_logits(t, b.x_w).softmax(0)), "the teacher's softmax runs over the images"),
        (step_cross_entropy, "is a cross-entropy here"),
        (_step(u=lambda p, t: F.kl_div(p.log(), t, reduction="batchmean")), "is a divergence here"),
        (lambda *a: step_functional(*a)[::-1], "the two values are swapped"),
        (step_skips_weight_zero, "weight 0 is no special case"),
        (step_thaws, "of a frozen teacher is switched on"),
        (step_labelled_too, "runs over the labelled images, too"),
        (step_number, ".item() for the logs only"),
        (step_teacher_copied, "no copy of it"),
    ],
    "5.4": [
        (_ensemble(row=lambda old, z, a: (1 - a) * old + a * z), "the weights are swapped"),
        (_ensemble(row=lambda old, z, a: (1 - a) * old + a * z, divisor=lambda n, a: 1 - (1 - a) ** n), "swapped"),
        (ensemble_stores_target, "divide for the target only"),
        (_ensemble(row=lambda old, z, a: z), "divide for the target only"),
        (_ensemble(row=lambda old, z, a: old), "Z is not changed"),
        (_ensemble(row=lambda old, z, a: a * old + (1 - a) * z.softmax(1)), "no softmax"),
        (_ensemble(divisor=lambda n, a: 1), "the target is not corrected"),
        (_ensemble(divisor=lambda n, a: a**n), "not by alpha ** count"),
        (_ensemble(divisor=lambda n, a: n * (1 - a)), "a power"),
        (_ensemble(divisor=lambda n, a: (1 - a) ** n), "(1 - alpha) ** count: it is"),
        (_ensemble(divisor=lambda n, a: 1 - 0.6**n), "the divisor ignores alpha"),
        (_ensemble(row=lambda old, z, a: 0.6 * old + 0.4 * z), "alpha is ignored"),
        (_ensemble(raised=0), "the counts are not raised"),
        (ensemble_old_count, "AFTER this visit"),
        (ensemble_all_counts, "the counts of all images are raised"),
        (ensemble_decays_all, "its row shrank"),
        (ensemble_first_rows, "the wrong row is changed"),
        (ensemble_batch_only, "only the rows of the batch are returned"),
        (ensemble_whole_target, "only the targets of the images index"),
        (ensemble_one_count, "a count of its own"),
        (ensemble_unsorted, "counts of other images"),
        (ensemble_row_divisor, "are a column"),
        (ensemble_gradient, "carries a gradient"),
        (ensemble_target_gradient, "target carries a gradient"),
        (ensemble_in_place, "changes its input"),
        (ensemble_z_cut, "detach_() cuts z itself"),
        (ensemble_mask, "in the order of the pool"),
        (lambda *a: ensemble_loop(*a)[::-1], "another order"),
        (lambda *a: [ensemble_loop(*a)[i] for i in (0, 2, 1)], "another order"),
        (lambda *a: [ensemble_loop(*a)[i] for i in (2, 1, 0)], "another order"),
        (ensemble_first_visit, "no special case"),
        (ensemble_counts_one, "the count is set to 1"),
        (_ensemble(row=lambda old, z, a: old + (1 - a) * z), "the old Z is not multiplied"),
        (_ensemble(row=lambda old, z, a: (1 - a) * z), "the old Z is lost"),
        (lambda *a: ensemble_loop(*a)[2], "must return 3 values"),
        (lambda *a: (ensemble_loop(*a)[0], ensemble_loop(*a)[1].float(), ensemble_loop(*a)[2]), "must stay integers"),
        (lambda *a: (*ensemble_loop(*a)[:2], ensemble_loop(*a)[2].tolist()), "must be a tensor"),
    ],
    "5.5": [
        (_follow(rule=lambda a, b, k: (1 - k) * a + k * b), "the decay is swapped"),
        (follow_lost, "did not move"),
        (_follow(keep=lambda s, d: max(1 - 1 / (s + 1), 1 - d) * 0), "became a copy"),
        (_follow(keep=lambda s, d: 1 - 1 / (s + 1)), "decay is ignored"),
        (_follow(keep=lambda s, d: max(1 - 1 / (s + 1), d)), "decay is ignored"),
        (_follow(parts=slice(1)), "only the first parameter moved"),
        (_follow(parts=slice(2)), "BatchNorm's weights are parameters"),
        (_follow(parts=slice(0, None, 2)), "the biases did not move"),
        (_follow(keep=lambda s, d: min(1 - 1 / (s + 1), 0.99)), "written in"),
        (_follow(rule=lambda a, b, k: (a + b) / 2), "both count alike"),
        (_follow(rule=lambda a, b, k: k * (k * a + (1 - k) * b) + (1 - k) * b), "averaged twice"),
        (_follow(rule=lambda a, b, k: a + b * (2 - k)), "sum to one"),
        (_follow(keep=lambda s, d: d), "the ramp of the decay is missing"),
        (_follow(keep=lambda s, d: min(1 - 1 / max(s, 1), d)), "not 1 - 1/step"),
        (_follow(keep=lambda s, d: min(1 - 1 / (s + 2), d) if s else 0.0), "one step less"),
        (_follow(keep=lambda s, d: d if s else 0.0), "the ramp of the decay is missing"),
        (_follow(buffers=lambda a, b, k: a), "buffers are forgotten"),
        (_follow(buffers=lambda a, b, k: k * a + (1 - k) * b), "the buffers are averaged"),
        (_follow(buffers=lambda a, b, k: b if b.is_floating_point() else a), "the count of batches"),
        (_follow(keep=lambda s, d: min(1 / (s + 1), d)), "the `1 -` is missing"),
        (_follow(parts=slice(4)), "in a larger network some parameters stay behind"),
        (follow_top_level, "in a larger network some parameters stay behind"),
        (follow_one_norm, "in a larger network some buffers stay behind"),
        (follow_eval, "move only the values"),
        (follow_train, "move only the values"),
        (follow_frozen, "move only the values"),
        (follow_student_eval, "move only the values"),
        (follow_without_no_grad, "under torch.no_grad()"),
        (follow_graph, "under torch.no_grad()"),
        (follow_integers, "BatchNorm counts its batches"),
        (follow_new, "in place"),
        (follow_student, "the student is changed"),
        (lambda t, s, step, d: s, "it returns the student"),
        (lambda t, s, step, d: follow_lerp(t, s, step, d) and None, "is the `return` missing"),
        (lambda t, s, step, d: t, "did not move"),
        (lambda t, s, step, d: follow_lerp(t, s, step, d).state_dict(), "something else than the teacher"),
        (follow_shared, "share their memory"),
        (follow_shared_buffers, "share their memory"),
        (_follow_where(lambda a, b: a.requires_grad), "whose requires_grad is off stays behind"),
        (_follow_where(lambda a, b: b.requires_grad), "whose requires_grad is off stays behind"),
        (_follow(keep=lambda s, d: 1 - 1 / (s + 1) if s < 10 else d), "decay bounds the rate from the first step on"),
        (_follow(keep=lambda s, d: 1 - 1 / (s + 1) if s < 100 else d), "decay bounds the rate from the first step on"),
        (follow_children, "take parameters(), which finds all"),
        (follow_norms, "a buffer that is not BatchNorm's stays behind"),
        (follow_weight_and_bias, "because of its name"),
        (follow_assigned, "the teacher gets new parameters"),
        (follow_buffers_lost, "not changed in place"),
        (follow_zero_grad, "the student's .grad is changed"),
    ],
    "5.6": [
        (_dice(above=lambda p, m: (p * m).sum((1, 2, 3))), "the factor 2 is missing"),
        (
            _dice(lambda p, m: (p * m).sum((1, 2, 3)), lambda p, m: (p + m - p * m).sum((1, 2, 3))),
            "the overlap over the union",
        ),
        (_dice(below=lambda p, m: (p + m - p * m).sum((1, 2, 3))), "the overlap is subtracted"),
        (lambda p, m: 1 - dice_flat(p, m), "this is the loss"),
        (lambda p, m: 2 * (p * m).sum() / (p.sum() + m.sum()), "one score for the whole batch"),
        (lambda p, m: dice_flat(p, m).mean(), "the mean over the images is taken"),
        (lambda p, m: dice_flat(p, m)[:, None], "the shape is (B, 1)"),
        (lambda p, m: dice_flat(p, m)[:, None, None, None], "keepdim"),
        (lambda p, m: dice_flat((p > 0.5).float(), m), "cut at one half"),
        (lambda p, m: (2 * (p * m).sum((1, 2, 3)) + 1) / ((p + m).sum((1, 2, 3)) + 1), "smoothing term of 1"),
        (lambda p, m: 2 * (p * m).sum((1, 2, 3)) / ((p + m).sum((1, 2, 3)) + 1), "a 1 is added below"),
        (_dice(below=lambda p, m: (p * p + m * m).sum((1, 2, 3))), "sums squares"),
        (_dice(below=lambda p, m: (p.detach() + m).sum((1, 2, 3))), "no gradient flows through the sum of p"),
        (_dice(above=lambda p, m: 2 * (p.detach() * m).sum((1, 2, 3))), "no gradient flows through the overlap"),
        (_dice(below=lambda p, m: p.sum((1, 2, 3))), "the sum of the mask is missing"),
        (_dice(below=lambda p, m: m.sum((1, 2, 3))), "the sum of p is missing"),
        (_dice(lambda p, m: (p * m).sum((1, 2, 3)), lambda p, m: m.sum((1, 2, 3))), "this is the recall"),
        (_dice(lambda p, m: (p * m).sum((1, 2, 3)), lambda p, m: p.sum((1, 2, 3))), "this is the precision"),
        (lambda p, m: ((p > 0.5) == m).float().mean((1, 2, 3)), "share of right pixels"),
        (lambda p, m: (2 * p * m / (p + m)).nan_to_num().mean((1, 2, 3)), "sum over the pixels first"),
        (lambda p, m: 2 * (p * m).sum(3) / (p + m).sum(3), "over one axis only"),
        (lambda p, m: 2 * (p * m).sum((2, 3)) / (p + m).sum((2, 3)), "sum over axis 1, too"),
        (lambda p, m: dice_flat(p.sigmoid(), m), "no sigmoid"),
        (lambda p, m: 2 * (p * m).sum((1, 2, 3)) / (p + m).sum((1, 2, 3)), "it is nan"),
        (_dice(empty=0.0), "where both are empty the score is 1"),
        (
            lambda p, m: 2 * (p * m).sum((1, 2, 3)) / ((p + m).sum((1, 2, 3)) + 1e-7),
            "where both are empty the score is 1",
        ),
        (lambda p, m: torch.where(m.sum((1, 2, 3)) == 0, 1.0, dice_flat(p, m)), "an empty mask alone"),
        (lambda p, m: torch.where(p.sum((1, 2, 3)) == 0, 1.0, dice_flat(p, m)), "an empty prediction alone"),
        (lambda p, m: 2 * ((p + 1e-7) * m).sum((1, 2, 3)) / (p + 1e-7 + m).sum((1, 2, 3)), "a tiny term added to p"),
        (lambda p, m: dice_flat(p.reshape(-1, 784), m.reshape(-1, 784)), "the size of the images is written in"),
        (_dice_clamped(1.5), "clamped at too large a value"),
        (_dice_clamped(2), "clamped at too large a value"),
        (
            lambda p, m: torch.where((p + m).sum((1, 2, 3)) < 0.5, 1.0, dice_flat(p, m)),
            "something small is not nothing",
        ),
        (
            lambda p, m: torch.where((p + m).sum((1, 2, 3)) < 1e-3, 1.0, dice_flat(p, m)),
            "something small is not nothing",
        ),
        (_dice_smooth(1e-5), "is too large: 1e-7"),
        (_dice_smooth(1e-6), "is too large: 1e-7"),
        (lambda p, m: dice_flat(p[:, 0], m[:, 0]).squeeze(), "a batch of one"),
        (lambda p, m: dice_flat(p.detach(), m), "no gradient to p"),
        (
            lambda p, m: torch.where((p + m).sum((1, 2, 3)) > 0, 2 * (p * m).sum((1, 2, 3)) / (p + m).sum((1, 2, 3)), 1.0),
            "the gradient is nan",
        ),
        (lambda p, m: dice_flat(p, m).tolist(), "must be a float tensor"),
    ],
    "5.7": [
        (warp_apart, "warped differently"),
        (_warp(_ways, lambda f, k: (f, [-turns for turns in k])), "warped differently"),
        (_warp(_ways, lambda f, k: (f, [0] * len(k))), "warped differently"),
        (_warp(_ways, lambda f, k: ([False] * len(f), k)), "warped differently"),
        (lambda i, t, rng: (warp_twice(i, t, rng)[0], t), "the target is not warped"),
        (lambda i, t, rng: (i, warp_twice(i, t, rng)[1]), "no image is warped"),
        (lambda i, t, rng: (i, t), "no image is warped"),
        (
            _warp(lambda n, rng: ([torch.rand(1, generator=rng) < 2] * n, [1] * n)),
            "all pairs are warped in the same way",
        ),
        (_warp(lambda n, rng: ([False] * n, _ways(n, rng)[1])), "nothing is mirrored"),
        (_warp(lambda n, rng: ([True] * n, _ways(n, rng)[1])), "every pair is mirrored"),
        (_warp(lambda n, rng: (_ways(n, rng)[0], [0] * n)), "nothing is turned"),
        (
            _warp(lambda n, rng: (_ways(n, rng)[0], torch.randint(3, (n,), generator=rng).tolist())),
            "never occur",
        ),
        (
            _warp(lambda n, rng: (_ways(n, rng)[0], torch.randint(1, 4, (n,), generator=rng).tolist())),
            "never occur",
        ),
        (_chance(flip=0.1), "one half should be"),
        (_chance(flip=0.4), "one half should be"),
        (
            _warp(lambda n, rng: ((torch.randn(n, generator=rng) > 0.5).tolist(), _ways(n, rng)[1])),
            "one half should be",
        ),
        (_chance(turns=lambda n, rng: torch.randint(5, (n,), generator=rng)), "0, 1, 2 and 3 quarter turns"),
        (_chance(turns=lambda n, rng: torch.randint(2, (3, n), generator=rng).sum(0)), "0, 1, 2 and 3 quarter turns"),
        (_chance(turns=lambda n, rng: (3 * torch.rand(n, generator=rng)).round().int()), "0, 1, 2 and 3 quarter turns"),
        (_chance(flip=0.45), "one half should be"),
        (warp_tied, "depend on each other"),
        (_warp_shared(True, False), "one coin mirrors all pairs or none"),
        (_warp_shared(False, True), "the same number of quarter turns"),
        (_warp(lambda n, rng: (lambda k: ([bool(i % 2) for i in k], k))(_ways(n, rng)[1])), "depend on each other"),
        (warp_neighbours, "the draws of neighbours"),
        (warp_transpose, "turn with rot90"),
        (warp_single_as_it_is, "new tensors are wanted"),
        (lambda i, t, rng: (lambda a, b: (a, b.round()))(*warp_twice(i, t, rng)), "the targets are rounded"),
        (warp_reseeded, "global generator"),
        (warp_seed_again, "draw from rng itself"),
        (warp_wrong_axes, "turn the last two axes, (1, 2)"),
        (warp_lists, "stack them"),
        (
            _warp(lambda n, rng: ((torch.randn(n, generator=rng) < 0.5).tolist(), [0] * n)),
            "nothing is turned",
        ),
        (warp_up_down, "never occur"),
        (warp_global, "from rng"),
        (warp_half_global, "from rng"),
        (warp_seeded, "another rng gives the same"),
        (warp_channels, "some images are no mirrored"),
        (warp_shuffled, "keep the order of the batch"),
        (warp_in_place, "changes its input"),
        (lambda i, t, rng: warp_twice(i, t, rng)[::-1], "swapped"),
        (lambda i, t, rng: warp_twice(i, t, rng)[0], "must return 2 values"),
        (lambda i, t, rng: torch.cat(warp_twice(i, t, rng), 1), "must return 2 values"),
        (lambda i, t, rng: (warp_twice(i, t, rng)[0], warp_twice(i, t, rng)[1][:, 0]), "the shapes are"),
        (lambda i, t, rng: (warp_twice(i, t, rng)[0] / 2, warp_twice(i, t, rng)[1]), "turned copy"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "5.1": {
        "return (logits.softmax(dim=1) - target.detach()).square().mean() -> return (target.detach() - logits.softmax(dim=1)).square().mean()": "the difference is squared",
        "return (logits.softmax(dim=1) - target.detach()).square().mean() -> return (logits.softmax(dim=-1) - target.detach()).square().mean()": "this axis is the last one",
    },
    "5.2": {
        "return math.exp(-5 * (1 - t) ** 2) -> return math.exp(-5 * (t - 1) ** 2)": "the difference is squared",
    },
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
        "for slow, fast in zip(teacher.parameters(), student.parameters()):; slow.mul_(rate).add_(fast, alpha=1 - rate); for slow, fast in zip(teacher.buffers(), student.buffers()):; slow.copy_(fast) -> for slow, fast in zip(teacher.buffers(), student.buffers()):; slow.copy_(fast); for slow, fast in zip(teacher.parameters(), student.parameters()):; slow.mul_(rate).add_(fast, alpha=1 - rate)": "parameters and buffers are apart",
    },
    "5.6": {
        "total = p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)) -> total = p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)).detach()": "the mask is a constant",
        "return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-08), 1.0) -> return torch.where(total != 0, 2 * overlap / total.clamp(min=1e-08), 1.0)": "the sum is never negative",
        "return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-08), 1.0) -> return torch.where(total > 0, 2 * overlap / total.clamp(min=2e-08), 1.0)": "a total that small has no masked pixel in it, so the overlap is 0",
        "return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-08), 1.0) -> return torch.where(total > 0, 2 * overlap / total.clamp(min=5e-09), 1.0)": "a total that small has no masked pixel in it, so the overlap is 0",
    },
    "5.7": {
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = torch.rand(len(both), generator=rng) < 0.5": "a tensor of truth values can be gone through, too",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(both), generator=rng) <= 0.5).tolist()": "the coin hits .5 once in 2^24 throws",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(both), generator=rng) > 0.5).tolist()": "the other side of the coin",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(both), generator=rng) >= 0.5).tolist()": "the other side of the coin",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(image), generator=rng) < 0.5).tolist()": "as many images as pairs",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(target), generator=rng) < 0.5).tolist()": "as many images as pairs",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(both),), generator=rng)": "torch turns by a tensor's number, too",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(image),), generator=rng).tolist()": "as many images as pairs",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(mirrored),), generator=rng).tolist()": "as many images as pairs",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(target),), generator=rng).tolist()": "as many images as pairs",
        "warped = [(x.flip(2) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)] -> warped = [(x if m else x.flip(2)).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)]": "the other side of the coin",
        "warped = [(x.flip(2) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)] -> warped = [(x.flip(1) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)]": "up-down is left-right and half a turn, and all turns are equally likely",
    },
}
