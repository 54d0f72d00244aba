"""Answers to the exercises of lesson 10: other right ones, and wrong ones with a fragment of the cause to be named."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from course_utils.check.lesson10 import _dataset_of_the_lesson

# ------------------------------------------------------------------------------------------------------- 10.1 bytes


def bytes_numpy(x):
    return torch.from_numpy(np.clip(np.rint((x.numpy() + 1) / 2 * 255), 0, 255).astype(np.uint8))


def bytes_by_half(x):
    return torch.floor(x.clamp(-1, 1) * 127.5 + 128).clamp(max=255).to(torch.uint8)


def bytes_in_steps(x):
    out = x.clone()
    out += 1
    out *= 127.5
    out[out < 0] = 0
    out[out > 255] = 255
    return torch.round(out).byte()


def _bytes(f):
    return lambda x: f(x).to(torch.uint8)


def bytes_of_this_batch(x):
    low, high = x.min(), x.max()
    return ((x.clamp(-1, 1) - low) / (high - low) * 255).round().to(torch.uint8)


def bytes_in_place(x):
    return x.add_(1).mul_(127.5).round().clamp(0, 255).byte()


# ----------------------------------------------------------------------------------------- 10.2 student and teacher


def consistency_mse(student, teacher, x_w, x_s):
    p = F.softmax(student(x_s), dim=-1)
    with torch.no_grad():
        q = F.softmax(teacher(x_w), dim=-1)
    return F.mse_loss(p, q)


def consistency_by_hand(student, teacher, x_w, x_s):
    @torch.no_grad()
    def target():
        return torch.softmax(teacher(x_w), 1)

    difference = target() - torch.softmax(student(x_s), 1)
    return (difference**2).sum() / difference.numel()


def consistency_log_softmax(student, teacher, x_w, x_s):
    with torch.no_grad():
        q = teacher(x_w).log_softmax(1).exp()
    return torch.stack([(a - b).pow(2).mean() for a, b in zip(student(x_s).softmax(1), q)]).mean()


def _pair(loss, student_on="s", teacher_on="w"):
    def answer(student, teacher, x_w, x_s):
        views = {"s": x_s, "w": x_w}
        z = student(views[student_on])
        with torch.no_grad():
            t = teacher(views[teacher_on])
        return loss(z, t)

    return answer


def _p(z):
    return z.softmax(1)


def consistency_overwritten(student, teacher, x_w, x_s):
    outputs = student(x_s)
    with torch.no_grad():
        outputs = teacher(x_w)
    return F.mse_loss(outputs.softmax(1), outputs.softmax(1))


def consistency_with_gradient(student, teacher, x_w, x_s):
    return F.mse_loss(student(x_s).softmax(1), teacher(x_w).softmax(1))


def consistency_recorded(student, teacher, x_w, x_s):
    return F.mse_loss(student(x_s).softmax(1), teacher(x_w).detach().softmax(1))


def consistency_eval(student, teacher, x_w, x_s):
    teacher.eval()
    return consistency_mse(student, teacher, x_w, x_s)


def consistency_frozen(student, teacher, x_w, x_s):
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        q = teacher(x_w).softmax(1)
    return F.mse_loss(student(x_s).softmax(1), q)


def consistency_no_grad(student, teacher, x_w, x_s):
    with torch.no_grad():
        return consistency_mse(student, teacher, x_w, x_s)


def consistency_own_target(student, teacher, x_w, x_s):
    with torch.no_grad():
        q = student(x_w).softmax(1)
    return F.mse_loss(student(x_s).softmax(1), q)


def consistency_both_views(student, teacher, x_w, x_s):
    with torch.no_grad():
        q = teacher(x_w).softmax(1)
    return F.mse_loss(student(torch.cat([x_w, x_s]))[len(x_w) :].softmax(1), q)


def consistency_once_more(student, teacher, x_w, x_s):
    with torch.no_grad():
        teacher(x_s)
    return consistency_mse(student, teacher, x_w, x_s)


def consistency_with_ema(student, teacher, x_w, x_s):
    loss = consistency_mse(student, teacher, x_w, x_s)
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters()):
            slow.mul_(0.95).add_(fast, alpha=0.1)
    return loss


# -------------------------------------------------------------------------------------------------------- 10.3 vote


def vote_loop(W, Y):
    answers = []
    for row in W:
        mass = [(row * Y[:, c]).sum() for c in range(Y.shape[1])]
        answers.append(int(np.argmax(mass)) if max(mass) > 0 else -1)
    return np.array(answers)


def vote_assign(W, Y):
    answers = np.argmax(W @ Y, axis=1)
    answers[(W == 0).all(axis=1)] = -1
    return answers


def vote_extra_column(W, Y):
    mass = W @ Y
    with_none = np.concatenate([np.full((len(mass), 1), np.nextafter(0, 1)), mass], axis=1)
    with_none[:, 0] *= (mass == 0).all(axis=1)
    return with_none.argmax(axis=1) - 1


def _vote(unknown, known=lambda mass: mass.sum(1) > 0, answer=lambda W, Y: (W @ Y).argmax(1)):
    return lambda W, Y: np.where(known(W @ Y), answer(W, Y), unknown)


def vote_default(W, Y):
    mass = W @ Y
    total = mass.sum(1, keepdims=True)
    total[total == 0] = 1
    return (mass / total).argmax(1)


def vote_epsilon(W, Y):
    mass = W @ Y
    share = mass / (mass.sum(1, keepdims=True) + 1e-12)
    return np.where(share.sum(1) > 0.5, share.argmax(1), -1)


def vote_epsilon_to_zero(W, Y):
    mass = W @ Y
    return np.where(mass.max(1) > 1e-12, mass.argmax(1), 0)


def vote_frequent(W, Y):
    return np.where((W @ Y).sum(1) > 0, (W @ Y).argmax(1), Y.sum(0).argmax())


def vote_equal_is_unknown(W, Y):
    mass = W @ Y
    return np.where(mass.max(1) == mass.min(1), -1, mass.argmax(1))


# --------------------------------------------------------------------------------------------------- 10.4 divergence


def uda_by_hand(logits_w, logits_s, T):
    with torch.no_grad():
        log_q = torch.log_softmax(logits_w / T, 1)
    log_p = torch.log_softmax(logits_s, 1)
    return (log_q.exp() * (log_q - log_p)).sum() / len(log_q)


def uda_power(logits_w, logits_s, T):
    q = logits_w.detach().double().softmax(1) ** (1 / T)
    q = (q / q.sum(1, keepdim=True)).to(logits_s.dtype)
    return F.kl_div(F.log_softmax(logits_s, dim=1), q, reduction="none").sum(1).mean()


def uda_entropy(logits_w, logits_s, T):
    q = F.softmax(logits_w.detach() / T, dim=1)
    entropy = torch.special.entr(q).sum(1).mean()
    return F.cross_entropy(logits_s, q) - entropy


def _uda(target, log_p, reduce=lambda kl: kl.sum(1).mean()):
    def answer(logits_w, logits_s, T):
        log_q = target(logits_w.detach(), T).log_softmax(1)
        return reduce(log_q.exp() * (log_q - log_p(logits_s, T).log_softmax(1)))

    return answer


def _div(z, T):
    return z / T


def _as_is(z, T):
    return z


def uda_cross_entropy(logits_w, logits_s, T):
    return F.cross_entropy(logits_s, (logits_w.detach() / T).softmax(1))


def uda_reversed(logits_w, logits_s, T):
    return F.kl_div((logits_w.detach() / T).log_softmax(1), logits_s.softmax(1), reduction="batchmean")


def uda_with_gradient(logits_w, logits_s, T):
    return F.kl_div(logits_s.log_softmax(1), (logits_w / T).softmax(1), reduction="batchmean")


def uda_nan(logits_w, logits_s, T):
    q = (logits_w.detach() / T).softmax(1)
    return (q * (q.log() - logits_s.softmax(1).log())).sum(1).mean()


def uda_swapped(logits_w, logits_s, T):
    return _uda(_div, _as_is)(logits_s, logits_w, T)


def uda_detached(logits_w, logits_s, T):
    return uda_by_hand(logits_w, logits_s.detach(), T)


def uda_hard(logits_w, logits_s, T):
    return F.cross_entropy(logits_s, logits_w.detach().argmax(1))


def uda_with_floor(logits_w, logits_s, T):
    q, p = (logits_w.detach() / T).softmax(1), logits_s.softmax(1)
    return (q * ((q + 1e-8).log() - (p + 1e-8).log())).sum(1).mean()


def uda_log_of_probability(logits_w, logits_s, T):
    q = (logits_w.detach() / T).softmax(1)
    return F.kl_div(logits_s.softmax(1).log(), q, reduction="batchmean")


# ----------------------------------------------------------------------------------------- 10.5 hold back the known


def tsa_gather(logits, y, eta):
    p = logits.detach().softmax(1).gather(1, y[:, None]).squeeze(1)
    keep = (p <= eta).float()
    return (F.cross_entropy(logits, y, reduction="none") * keep).sum() / keep.sum().clamp(min=1)


def tsa_pick(logits, y, eta):
    keep = F.softmax(logits, dim=1)[torch.arange(len(y)), y] <= eta
    if keep.any():
        return F.cross_entropy(logits[keep], y[keep])
    return logits.sum() * 0


def tsa_loop(logits, y, eta):
    total, count = 0 * logits.sum(), 0
    for z, c in zip(logits, y):
        if z.softmax(0)[c] > eta:
            continue
        total, count = total + z.logsumexp(0) - z[c], count + 1
    return total / max(count, 1)


def _tsa(keep, reduce=lambda losses, keep: (losses * keep).sum() / keep.sum().clamp(min=1)):
    def answer(logits, y, eta):
        p = logits.detach().softmax(1)
        of_truth = p[torch.arange(len(y)), y]
        return reduce(F.cross_entropy(logits, y, reduction="none"), keep(p, of_truth, y, eta).float())

    return answer


def _by_truth(p, of_truth, y, eta):
    return of_truth <= eta


def tsa_cut_off_when_empty(logits, y, eta):
    keep = logits.softmax(1).gather(1, y[:, None])[:, 0] <= eta
    return F.cross_entropy(logits[keep], y[keep]) if keep.any() else torch.tensor(0.0, requires_grad=True)


def tsa_with_floor(logits, y, eta):
    p = logits.softmax(1).gather(1, y[:, None])[:, 0]
    keep = p <= eta
    return (-(p + 1e-8).log() * keep).sum() / keep.sum().clamp(min=1)


def tsa_log_of_probability(logits, y, eta):
    p = logits.softmax(1).gather(1, y[:, None])[:, 0]
    keep = (p <= eta).float()
    return (-p.log() * keep).sum() / keep.sum().clamp(min=1)


# ------------------------------------------------------------------------------------------------- 10.6 rates to keep


def rates_loop(counts, alpha):
    ordered = sorted(counts.tolist(), reverse=True)
    rank = [ordered.index(count) for count in counts.tolist()]
    return torch.tensor([(ordered[len(ordered) - 1 - l] / ordered[0]) ** alpha for l in rank])


def rates_ranks(counts, alpha):
    ascending = counts.sort().values
    ranks = counts.argsort(descending=True).argsort()
    return (ascending[ranks] / counts.max()).pow(alpha)


def rates_compare(counts, alpha):
    below = (counts[:, None] > counts[None]).sum(1)  # how many classes are rarer
    return (counts.sort(descending=True).values[below] / counts.amax()) ** alpha


def _by_rank(counts, alpha):
    return (counts.sort().values / counts.max()) ** alpha


# --------------------------------------------------------------------------------------------- 10.7 look, leave no trace


@torch.no_grad()
def accuracy_decorated(model, x, y):
    mode = model.training
    try:
        model.train(False)
        return float((model(x).argmax(-1) == y).double().mean())
    finally:
        model.train(mode)


def accuracy_of_a_copy(model, x, y):
    other = copy.deepcopy(model).eval()
    with torch.no_grad():
        return (other(x).max(1).indices == y).sum().item() / len(y)


def accuracy_numpy(model, x, y):
    was = model.training
    model.eval()
    with torch.inference_mode():
        guess = model(x).numpy().argmax(1)
    if was:
        model.train()
    return np.mean(guess == y.numpy())


def _look(result=lambda right: right.float().mean().item(), before=True, after=None, grad=False):
    def answer(model, x, y):
        was = model.training
        if before:
            model.eval()
        with torch.set_grad_enabled(grad):
            right = model(x).argmax(1) == y
        model.train(was if after is None else after)
        return result(right)

    return answer


def accuracy_top_only(model, x, y):
    was, model.training = model.training, False
    with torch.no_grad():
        model.eval()
        right = model(x).argmax(1) == y
    model.training = was
    return right.float().mean().item()


def accuracy_left_in_eval(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def accuracy_frozen(model, x, y):
    model.requires_grad_(False)
    return _look()(model, x, y)


def accuracy_children_only(model, x, y):
    was = model.training
    model.eval()
    with torch.no_grad():
        right = (model(x).argmax(1) == y).float().mean().item()
    model.training = was
    for part in model.children():
        part.training = was
    return right


def accuracy_restored(model, x, y):
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        right = (model(x).argmax(1) == y).float().mean().item()
    model.load_state_dict(before)
    return right


def accuracy_own_switch(model, x, y):
    was, model.training = model.training, False
    with torch.no_grad():
        right = (model(x).argmax(1) == y).float().mean().item()
    model.training = was
    return right


# ----------------------------------------------------------------------------------------------- 10.8 the reported number


def report_loop(val_scores, test_scores):
    best, reported = -np.inf, None
    for val, test in zip(val_scores, test_scores):
        if val > best:
            best, reported = val, test
    return reported


def report_max(val_scores, test_scores):
    return max(zip(val_scores, -np.arange(len(val_scores)), test_scores))[2]


def report_list(val_scores, test_scores):
    val_scores = list(val_scores)
    return test_scores[val_scores.index(max(val_scores))].item()


# --------------------------------------------------------------------------------------------------- 10.9 the diagnosis

_NAMES = {1: "G", 2: "C", 3: "J", 4: "F", 5: "H", 6: "A", 7: "E", 8: "D"}


def named_in_lower_case():
    return {case: letter.lower() for case, letter in _NAMES.items()}


def named_by_text():
    return dict(zip("12345678", "GCJFHAED"))


def named_one_by_one():
    names = {}
    for case in range(8, 0, -1):
        names[case] = _NAMES[case] + " "
    return names


# ------------------------------------------------------------------------------------------------------- 10.10 a hybrid


def _glued(model, batch):
    z = model(torch.cat([batch.x_l, batch.x_s]))
    return z[: len(batch.x_l)], z[len(batch.x_l) :]


def _weak(model, batch):
    with torch.no_grad():
        return model(batch.x_w).softmax(1)


def hybrid_fixmatch(model, batch):
    p, guess = _weak(model, batch).max(1)
    z_l, z_s = _glued(model, batch)
    loss_u = (F.cross_entropy(z_s, guess, reduction="none") * (p >= 0.95)).mean()
    return F.cross_entropy(z_l, batch.y_l) + loss_u, {"mask": (p >= 0.95).float().mean()}


def hybrid_all_together(model, batch):
    sizes = [len(batch.x_l), len(batch.x_w), len(batch.x_s)]
    z_l, z_w, z_s = model(torch.cat([batch.x_l, batch.x_w, batch.x_s])).split(sizes)
    q = (z_w.detach() / 0.5).softmax(1)
    return F.cross_entropy(z_l, batch.y_l) + F.cross_entropy(z_s, q), {}


class MeanTeacherMatch:
    """A mean teacher that gives FixMatch's guesses, turned up from zero, with an alignment of its guesses."""

    def __init__(self):
        self.step, self.teacher, self.average = 0, None, None

    def __call__(self, model, batch):
        if self.teacher is None:
            self.teacher = copy.deepcopy(model)
        with torch.no_grad():
            for slow, fast in zip(self.teacher.parameters(), model.parameters()):
                slow.lerp_(fast, 0.1)
            q = self.teacher(batch.x_w).softmax(1)
            self.average = q.mean(0) if self.average is None else 0.9 * self.average + 0.1 * q.mean(0)
            q = q / (self.average + 1e-6)
            q = q / q.sum(1, keepdim=True)
        z_l, z_s = _glued(model, batch)
        weight = min(1.0, max(0, self.step - 40) / 20)  # nothing at all for forty steps
        self.step += 1
        loss_u = F.cross_entropy(z_s, q)
        return F.cross_entropy(z_l, batch.y_l) + weight * loss_u, {"weight": weight}


class MixedUp:
    """MixMatch with the mixing drawn anew in every step, learning on mixtures of all images."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, model, batch):
        x_u = torch.cat([batch.x_w, batch.x_s])
        with torch.no_grad():
            q = model(x_u).softmax(1).view(2, len(batch.x_w), -1).mean(0) ** 2
            q = q / q.sum(1, keepdim=True)
        n = len(batch.y_l)
        p = torch.cat([F.one_hot(batch.y_l, q.shape[1]).float(), q, q])
        x = torch.cat([batch.x_l, x_u])
        lam = self.rng.beta(0.75, 0.75)
        lam = max(lam, 1 - lam)
        other = torch.randperm(len(x))
        z = model(lam * x + (1 - lam) * x[other])
        p = lam * p + (1 - lam) * p[other]
        brier = (z[n:].softmax(1) - p[n:]).square().mean()
        return F.cross_entropy(z[:n], p[:n]) + 10 * brier, {"brier": brier.item()}


class Ensembled:
    """Temporal ensembling on strong views: an image's answer of an earlier visit is its target."""

    def __init__(self):
        self.memory = {}

    def __call__(self, model, batch):
        z_l, z_s = _glued(model, batch)
        p = z_s.softmax(1)
        old = torch.stack([self.memory.get(i, p[k].detach()) for k, i in enumerate(batch.index.tolist())])
        for k, i in enumerate(batch.index.tolist()):
            self.memory[i] = p[k].detach()
        return F.cross_entropy(z_l, batch.y_l) + 10 * F.mse_loss(p, old), {}


def hybrid_both_views(model, batch):
    """Targets in a pass of their own, and learning on the weak views as well."""
    p, guess = _weak(model, batch).max(1)
    z_l, z_s = _glued(model, batch)
    z_w = model(batch.x_w)
    losses = F.cross_entropy(z_s, guess, reduction="none") + F.cross_entropy(z_w, guess, reduction="none")
    return F.cross_entropy(z_l, batch.y_l) + (losses * (p > 0.8)).mean(), {}


def _hybrid(of_labels, of_unlabelled):
    def answer(model, batch):
        q = _weak(model, batch)
        z_l, z_s = _glued(model, batch)
        return of_labels(z_l, batch.y_l) + of_unlabelled(z_s, q), {}

    return answer


def _ce(z, y):
    return F.cross_entropy(z, y)


def _brier(z, q):
    return 10 * (z.softmax(1) - q).square().mean()


def hybrid_with_leak(model, batch):
    z_l, z_s = _glued(model, batch)
    return _ce(z_l, batch.y_l) + _brier(z_s, model(batch.x_w).softmax(1)), {}


def hybrid_one_pass_with_leak(model, batch):
    sizes = [len(batch.x_l), len(batch.x_w), len(batch.x_s)]
    z_l, z_w, z_s = model(torch.cat([batch.x_l, batch.x_w, batch.x_s])).split(sizes)
    return _ce(z_l, batch.y_l) + F.cross_entropy(z_s, z_w.softmax(1)), {}


def hybrid_mean_over_kept(model, batch):
    p, guess = _weak(model, batch).max(1)
    z_l, z_s = _glued(model, batch)
    keep = (p >= 0.95).float()
    loss_u = (F.cross_entropy(z_s, guess, reduction="none") * keep).sum() / keep.sum()
    return _ce(z_l, batch.y_l) + loss_u, {}


def hybrid_kl_nan(model, batch):
    q = _weak(model, batch)
    z_l, z_s = _glued(model, batch)
    return _ce(z_l, batch.y_l) + (q * (q.log() - z_s.log_softmax(1))).sum(1).mean(), {}


def hybrid_log_of_softmax(model, batch):
    q = _weak(model, batch)
    z_l, z_s = _glued(model, batch)
    return _ce(z_l, batch.y_l) - (q * z_s.softmax(1).log()).sum(1).mean(), {}


def hybrid_student_detached(model, batch):
    z_l, z_s = _glued(model, batch)
    return _ce(z_l, batch.y_l) + _brier(z_s.detach(), _weak(model, batch)), {}


def hybrid_supervised(model, batch):
    return _ce(model(batch.x_l), batch.y_l), {}


def hybrid_case_two(model, batch):
    q = _weak(model, batch)
    return _ce(model(batch.x_l), batch.y_l) + (q - q).square().mean(), {}


def hybrid_without_labels(model, batch):
    return _brier(_glued(model, batch)[1], _weak(model, batch)), {}


def hybrid_labels_detached(model, batch):
    with torch.no_grad():
        loss_l = _ce(model(batch.x_l), batch.y_l)
    return loss_l + _brier(model(batch.x_s), _weak(model, batch)), {}


def hybrid_own_labels(model, batch):
    z_l, z_s = _glued(model, batch)
    return _ce(z_l, z_l.argmax(1)) + _brier(z_s, _weak(model, batch)), {}


def hybrid_in_eval(model, batch):
    model.eval()
    q = _weak(model, batch)
    model.train()
    z_l, z_s = _glued(model, batch)
    return _ce(z_l, batch.y_l) + _brier(z_s, q), {}


def hybrid_backward(model, batch):
    loss, logs = hybrid_fixmatch(model, batch)
    loss.backward(retain_graph=True)
    return loss, logs


def hybrid_steps(model, batch):
    loss, logs = hybrid_fixmatch(model, batch)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.99)
    return loss, logs


def hybrid_no_gradient(model, batch):
    with torch.no_grad():
        return hybrid_fixmatch(model, batch)


def hybrid_mask_never_opens(model, batch):
    p, guess = _weak(model, batch).max(1)
    z_l, z_s = _glued(model, batch)
    loss_u = (F.cross_entropy(z_s, guess, reduction="none") * (p >= 95)).mean()
    return _ce(z_l, batch.y_l) + loss_u, {}


def hybrid_cut_the_other_way(model, batch):
    p, guess = _weak(model, batch).max(1)
    n = len(batch.x_l)
    z = model(torch.cat([batch.x_s, batch.x_l]))
    loss_u = ((p >= 0.95) * F.cross_entropy(z[n:], guess, reduction="none")).mean()
    return F.cross_entropy(z[:n], batch.y_l) + loss_u, {}


class KnowsTheData:
    """Logit adjustment and a memory of all guesses, as long as the pool and as wide as the classes of the data set."""

    def __init__(self):
        dataset = _dataset_of_the_lesson()
        self.memory = torch.full((len(dataset.train), dataset.num_classes), 1 / dataset.num_classes)
        shares = np.bincount(dataset.train.labels, minlength=dataset.num_classes) / len(dataset.train)
        self.log_prior = torch.from_numpy(shares).float().log()

    def __call__(self, model, batch):
        self.memory[batch.index] = 0.5 * self.memory[batch.index] + 0.5 * _weak(model, batch)
        z_l, z_s = _glued(model, batch)
        loss_l = F.cross_entropy(z_l + 0.5 * self.log_prior, batch.y_l)
        return loss_l + F.cross_entropy(z_s, self.memory[batch.index].clone()), {}


RIGHT = {
    "10.1": [bytes_numpy, bytes_by_half, bytes_in_steps],
    "10.2": [consistency_mse, consistency_by_hand, consistency_log_softmax],
    "10.3": [vote_loop, vote_assign, vote_extra_column],
    "10.4": [uda_by_hand, uda_power, uda_entropy],
    "10.5": [tsa_gather, tsa_pick, tsa_loop],
    "10.6": [rates_loop, rates_ranks, rates_compare],
    "10.7": [accuracy_decorated, accuracy_of_a_copy, accuracy_numpy],
    "10.8": [report_loop, report_max, report_list],
    "10.9": [named_in_lower_case, named_by_text, named_one_by_one],
    "10.10": [
        hybrid_fixmatch,
        hybrid_all_together,
        hybrid_both_views,
        MeanTeacherMatch(),
        MixedUp(),
        Ensembled(),
        KnowsTheData(),
    ],
}

WRONG = {
    "10.1": [
        (lambda x: x.int().byte(), "converted as they are"),
        (lambda x: x.to(torch.int16).to(torch.uint8), "converted as they are"),
        (lambda x: x.clamp(0, 1).to(torch.uint8), "converted as they are"),
        (_bytes(lambda x: ((x + 1) * 127.5).clamp(0, 255)), "cut off"),
        (lambda x: (x + 1) * 127.5, "not rounded"),
        (lambda x: ((x + 1) * 127.5).round().clamp(0, 255), "torch.uint8"),
        (lambda x: ((x + 1) * 127.5).round().clamp(0, 255).to(torch.int64), "torch.uint8"),
        (_bytes(lambda x: (x.clamp(0, 1) * 255).round()), "below 0 is lost"),
        (lambda x: (x * 255).round().long().to(torch.uint8), "start again from 255"),
        (_bytes(lambda x: ((x + 1) * 255).round().clamp(0, 255)), "length 2"),
        (lambda x: ((x + 1) * 128).round().long().to(torch.uint8), "1 becomes 256"),
        (_bytes(lambda x: (255 - (x + 1) * 127.5).round().clamp(0, 255)), "exchanged"),
        (_bytes(lambda x: ((x + 1) / 2).round().clamp(0, 1)), "ends at 1"),
        (lambda x: ((x + 1) * 127.5).round().long().to(torch.uint8), "clamp to 0 .. 255"),
        (_bytes(lambda x: ((x.clamp(-1, 1) + 1) * 127.5).ceil()), "rounded up"),
        (bytes_of_this_batch, "this very batch"),
        (bytes_in_place, "changes its input"),
    ],
    "10.2": [
        (consistency_overwritten, "is a name overwritten"),
        (_pair(lambda z, t: F.mse_loss(_p(z.detach()), _p(t))), "no gradient reaches the student"),
        (_pair(lambda z, t: F.mse_loss(_p(z.detach()) + 0 * z, _p(t))), "no gradient reaches the student"),
        (consistency_no_grad, "no gradient reaches the student"),
        (consistency_with_gradient, "flows into the teacher"),
        (consistency_recorded, "recorded, which nobody uses"),
        (consistency_eval, "neither eval() nor train()"),
        (consistency_frozen, "requires_grad is switched off"),
        (consistency_own_target, "student's own answer"),
        (_pair(lambda z, t: F.mse_loss(_p(z), _p(t)), "w", "s"), "views are swapped"),
        (_pair(lambda z, t: F.mse_loss(_p(z), _p(t)), "w", "w"), "the student answers x_w, too"),
        (_pair(lambda z, t: F.mse_loss(_p(z), _p(t)), "s", "s"), "the teacher answers x_s, too"),
        (_pair(lambda z, t: F.mse_loss(z, t)), "logits are compared"),
        (_pair(lambda z, t: F.mse_loss(_p(z), t)), "still logits"),
        (_pair(lambda z, t: (_p(z) - _p(t)).square().sum(1).mean()), "sum over the classes"),
        (_pair(lambda z, t: (_p(z) - _p(t)).square().sum()), "this is the sum"),
        (_pair(lambda z, t: (_p(z) - _p(t)).square()), "one number"),
        (_pair(lambda z, t: F.mse_loss(_p(_p(z)), _p(_p(t)))), "twice"),
        (_pair(lambda z, t: F.cross_entropy(z, _p(t))), "cross-entropy"),
        (_pair(lambda z, t: F.l1_loss(_p(z), _p(t))), "absolute"),
        (_pair(lambda z, t: F.mse_loss(_p(z), _p(t)).item()), "no .item()"),
        (consistency_both_views, "more images than its own view"),
        (consistency_once_more, "more images than its own view"),
        (consistency_with_ema, "weights are changed inside"),
    ],
    "10.3": [
        (vote_default, "argmax of zeros is 0"),
        (lambda W, Y: (W @ Y).argmax(1), "argmax of zeros is 0"),
        (_vote(4), "not the number of classes"),
        (_vote(3), "last class"),
        (vote_frequent, "most frequent class"),
        (lambda W, Y: np.where((W @ Y).argmax(1) > 0, (W @ Y).argmax(1), -1), "class 0 are called unknown"),
        (_vote(-1, lambda mass: mass.sum(1) > 1e-12), "small mass"),
        (vote_epsilon, "small mass"),
        (vote_epsilon_to_zero, "none as class 0"),
        (_vote(-1, lambda mass: ~np.isclose(mass.sum(1), 0)), "small mass"),
        (lambda W, Y: np.where(W.sum(1) > 0, Y[W.argmax(1)].argmax(1), -1), "nearest image decides"),
        (lambda W, Y: Y[W.argmax(1)].argmax(1), "nearest image decides, and without any"),
        (lambda W, Y: (W @ Y).argmax(1)[(W @ Y).sum(1) > 0], "stay in their place"),
        (lambda W, Y: (W @ Y).sum(1) > 0, "whether something is known"),
        (lambda W, Y: _vote(-1)(W, Y).astype(float), "integers"),
        (vote_equal_is_unknown, "equal masses"),
        (_vote(-1, lambda mass: mass.sum(1) >= 1e-300), "a small mass"),
        (_vote(-1, lambda mass: mass.sum(1) >= np.finfo(float).tiny), "a small mass"),
    ],
    "10.4": [
        (_uda(_as_is, _div), "wrong side"),
        (_uda(_div, _div), "both sides"),
        (_uda(_as_is, _as_is), "T is ignored"),
        (_uda(lambda z, T: z * T, _as_is), "multiplied by T"),
        (_uda(lambda z, T: z.softmax(1) / T, _as_is), "twice"),
        (_uda(_div, lambda z, T: z.softmax(1)), "twice"),
        (_uda(_div, _as_is, lambda kl: kl.mean()), "batchmean"),
        (_uda(_div, _as_is, lambda kl: kl.sum()), "sum over the images"),
        (_uda(_div, _as_is, lambda kl: kl.sum(1)), "one number"),
        (_uda(_div, _as_is, lambda kl: -kl.sum(1).mean()), "sign"),
        (uda_cross_entropy, "this is the cross-entropy"),
        (uda_reversed, "wrong way round"),
        (uda_with_gradient, "flows into the target"),
        (uda_nan, "use log_softmax"),
        (uda_swapped, "views are swapped"),
        (uda_detached, "no gradient to the strong logits"),
        (uda_hard, "UDA's is soft"),
        (lambda w, s, T: T * T * uda_by_hand(w, s, T), "distillation"),
        (lambda w, s, T: uda_by_hand(w, s, 0.5), "the loss where the prediction is the sharpened target"),
        (uda_with_floor, "no gradient"),
        (uda_log_of_probability, "no gradient"),
    ],
    "10.5": [
        (_tsa(lambda p, t, y, eta: p.amax(1) <= eta), "surely WRONG"),
        (_tsa(lambda p, t, y, eta: p.amax(1) <= eta, lambda l, k: (l * k).mean()), "surely WRONG"),
        (_tsa(lambda p, t, y, eta: t > eta), "wrong way round"),
        (_tsa(lambda p, t, y, eta: p.amax(1) > eta), "and the highest probability decides"),
        (_tsa(lambda p, t, y, eta: t > -1), "nothing is held back"),
        (_tsa(_by_truth, lambda l, k: (l * k).mean()), "divide by their number"),
        (_tsa(_by_truth, lambda l, k: (l * k).sum() / (k.sum() + 1)), "divide by their number"),
        (tsa_cut_off_when_empty, "cut off from the logits"),
        (tsa_with_floor, "no gradient"),
        (tsa_log_of_probability, "no gradient"),
        (_tsa(_by_truth, lambda l, k: (l * k).sum()), "this is the sum"),
        (_tsa(_by_truth, lambda l, k: l[k > 0]), "one number"),
        (_tsa(_by_truth, lambda l, k: l[k > 0].mean()), "nan"),
        (_tsa(_by_truth, lambda l, k: l[k > 0].mean() if k.any() else torch.tensor(0.0)), "cut off from the logits"),
        (_tsa(lambda p, t, y, eta: p.argmax(1) != y), "however unsure"),
        (_tsa(lambda p, t, y, eta: ~((p.argmax(1) == y) & (t > eta))), "also guessed right"),
        (_tsa(lambda p, t, y, eta: t < eta), "ABOVE"),
        (lambda z, y, eta: tsa_gather(z.detach(), y, eta), "no gradient"),
        (lambda z, y, eta: tsa_gather(z, y, eta).item(), "no gradient"),
    ],
    "10.6": [
        (lambda c, a: (c.sort(descending=True).values.flip(0) / c.max()) ** a, "taken for the most frequent"),
        (lambda c, a: (c.sort(descending=True).values / c.max()) ** a, "other way round"),
        (lambda c, a: _by_rank(c, a)[c.argsort(descending=True)], "wrong direction"),
        (lambda c, a: _by_rank(c, a)[c.argsort()], "wrong direction"),
        (lambda c, a: (c / c.max()) ** a, "most frequent class keeps most"),
        (lambda c, a: (c.min() / c) ** a, "mirrored rank"),
        (lambda c, a: (c.flip(0) / c.max()) ** a, "class numbers are mirrored"),
        (lambda c, a: rates_ranks(c, 1), "alpha is missing"),
        (lambda c, a: rates_ranks(c, 1 / a), "not 1 / alpha"),
        (lambda c, a: rates_ranks(c, 1) * a, "not a factor"),
        (lambda c, a: rates_ranks(c, a) * (c.max() / c.sum()) ** a, "not by their sum"),
        (lambda c, a: 1 - rates_ranks(c, a), "share to drop"),
        (lambda c, a: rates_ranks(c, 0.5), "alpha is ignored"),
        (lambda c, a: c.argsort(descending=True).argsort(), "these are ranks"),
        (lambda c, a: rates_ranks(c, a).tolist(), "float tensor"),
    ],
    "10.7": [
        (accuracy_left_in_eval, "go back to that"),
        (_look(after=True), "go back to that"),
        (_look(before=False), "training mode"),
        (_look(grad=True), "gradients are recorded"),
        (accuracy_top_only, "a part of the model"),
        (_look(result=lambda right: right.sum().item()), "this is a count"),
        (_look(result=lambda right: right.float().mean()), "it is a tensor"),
        (_look(result=lambda right: 100 * right.float().mean().item()), "percentage"),
        (_look(result=lambda right: 1 - right.float().mean().item()), "wrong answers"),
        (_look(result=lambda right: right.float()), "one number"),
        (accuracy_frozen, "requires_grad is switched off"),
        (accuracy_children_only, "a part of the model stays in another mode"),
        (accuracy_restored, "answers in training mode"),
        (accuracy_own_switch, "answers in training mode"),
    ],
    "10.8": [
        (lambda val, test: max(test), "highest TEST score"),
        (lambda val, test: max([0.0, *test]), "highest TEST score"),
        (lambda val, test: val.max(), "validation score of the chosen look"),
        (lambda val, test: test[-1], "the last look"),
        (lambda val, test: test[0], "the first look"),
        (lambda val, test: test[np.argmin(val)], "lowest validation score"),
        (lambda val, test: test[np.argmax(val[1:])] if len(val) > 1 else test[0], "the first look"),
        (lambda val, test: max(zip(val, test))[1], "higher TEST score"),
        (lambda val, test: test[val == val.max()].max(), "higher TEST score"),
        (lambda val, test: test[np.argmax(np.round(val, 2))], "without rounding"),
        (lambda val, test: test[np.flatnonzero(val == val.max())[-1]], "the later one"),
        (lambda val, test: test[val == val.max()].mean(), "mean over the looks"),
        (lambda val, test: int(np.argmax(val)), "position"),
        (lambda val, test: test.mean(), "mean of all test scores"),
        (lambda val, test: val[np.argmax(test)], "the other way round"),
        (lambda val, test: test, "one number"),
    ],
    "10.9": [
        (lambda: dict(zip(range(1, 9), "GCJFHADE")), "not named rightly: case 7, 8"),
        (lambda: dict(zip(range(1, 9), "GCJFHAEE")), "one letter stands twice"),
        (lambda: dict(zip(range(1, 9), "GLJFHAED")), "belongs to no case"),
        (lambda: dict(zip(range(1, 9), "CGJFHAED")), "not named rightly: case 1, 2"),
        (lambda: dict(zip(range(8), "GCJFHAED")), "the keys are the cases"),
        (lambda: {1: "G", 2: "C"}, "no letter for case 3, 4, 5, 6, 7, 8"),
        (lambda: dict(zip(range(1, 9), "GCIFHAED")), "one of the letters"),
        (lambda: list("GCJFHAED"), "a dict is wanted"),
        (lambda: {letter: case for case, letter in _NAMES.items()}, "the keys are the cases"),
    ],
    "10.10": [
        (hybrid_with_leak, "flows through the answers on x_w"),
        (hybrid_one_pass_with_leak, "flows through the answers on x_w"),
        (hybrid_mean_over_kept, "no guess is sure"),
        (hybrid_kl_nan, "all guesses are sure"),
        (hybrid_log_of_softmax, "all guesses are sure"),
        (hybrid_student_detached, "unlabelled images have sent no gradient"),
        (hybrid_supervised, "unlabelled images have sent no gradient"),
        (hybrid_case_two, "unlabelled images have sent no gradient"),
        (hybrid_mask_never_opens, "does a mask never open"),
        (hybrid_without_labels, "wrong labels cost no more"),
        (hybrid_labels_detached, "labelled images send no gradient"),
        (hybrid_own_labels, "wrong labels cost no more"),
        (_hybrid(lambda z, y: -_ce(z, y), _brier), "wrong labels cost no more"),
        (_hybrid(_ce, lambda z, q: -_brier(z, q)), "sign of the unlabelled loss"),
        (_hybrid(_ce, lambda z, q: -F.cross_entropy(z, q.argmax(1))), "sign of the unlabelled loss"),
        (_hybrid(lambda z, y: _ce(z, y).detach(), _brier), "is the labelled loss detached"),
        (hybrid_in_eval, "neither eval() nor train()"),
        (hybrid_backward, "backward() is called inside"),
        (hybrid_steps, "weights are changed inside"),
        (hybrid_no_gradient, "no gradient to the model"),
        (_hybrid(lambda z, y: F.cross_entropy(z, y, reduction="none"), _brier), "is a mean() missing"),
        (lambda model, batch: hybrid_fixmatch(model, batch)[0], "the loss only"),
        (lambda model, batch: (hybrid_fixmatch(model, batch)[0], 0.5), "logs must be a dict"),
        (lambda model, batch: (hybrid_fixmatch(model, batch)[0].item(), {}), "no .item()"),
        (lambda model, batch: (hybrid_fixmatch(model, batch)[0], {"mask": torch.ones(3)}), "no plain number"),
        (hybrid_cut_the_other_way, "in the same order"),
        (lambda model, batch: hybrid_fixmatch(model, batch._replace(y_l=batch.y_l.flip(0))), "in the same order"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "10.1": {
        "scaled = (x + 1) * 127.5 -> scaled = (x.detach() + 1) * 127.5": "bytes carry no gradient",
    },
    "10.2": {
        "with torch.no_grad():; target = teacher(x_w).softmax(dim=1); answer = student(x_s).softmax(dim=1) -> answer = student(x_s).softmax(dim=1); with torch.no_grad():; target = teacher(x_w).softmax(dim=1)": "neither pass uses the other",
        "target = teacher(x_w).softmax(dim=1) -> target = teacher(x_w).softmax(dim=-1)": "this axis is the last one",
        "answer = student(x_s).softmax(dim=1) -> answer = student(x_s).softmax(dim=-1)": "this axis is the last one",
        "return (answer - target).square().mean() -> return (target - answer).square().mean()": "a square has no sign",
    },
    "10.3": {
        "known = masses.sum(axis=1) > 0 -> known = masses.sum(axis=1) != 0": "a mass is never negative",
        "known = masses.sum(axis=1) > 0 -> known = masses.mean(axis=1) > 0": "above zero together with the sum",
        "known = masses.sum(axis=1) > 0 -> known = W.sum(axis=1) > 0": "each labelled image has one class, so the weights sum to the masses",
        "known = masses.sum(axis=1) > 0 -> known = masses.sum(axis=-1) > 0": "this axis is the last one",
        "return np.where(known, masses.argmax(axis=1), -1) -> return np.where(known, masses.argmax(axis=-1), -1)": "this axis is the last one",
    },
    "10.4": {
        "target = (logits_w.detach() / T).softmax(dim=1) -> target = (logits_w.detach() / T).softmax(dim=-1)": "this axis is the last one",
        "return F.kl_div(logits_s.log_softmax(dim=1), target, reduction='batchmean') -> return F.kl_div(logits_s.log_softmax(dim=-1), target, reduction='batchmean')": "this axis is the last one",
    },
    "10.5": {
        "takes_part = ((-losses.detach()).exp() <= eta).float() -> takes_part = (-losses.detach()).exp() <= eta": "True and False count as 1 and 0",
        "takes_part = ((-losses.detach()).exp() <= eta).float() -> takes_part = ((-losses).exp() <= eta).float()": "a comparison has no gradient",
    },
    "10.6": {
        "order = counts.argsort(descending=True) -> order = counts.argsort()": "mirroring the ranks is the same from both ends",
        "order = counts.argsort(descending=True) -> order = counts.argsort(descending=False)": "mirroring the ranks is the same from both ends",
        "rates = torch.empty_like(counts) -> rates = -torch.empty_like(counts)": "every entry is written afterwards",
        "rates[order] = (counts[order.flip(0)] / counts.max()) ** alpha -> rates[order] = (counts[order.flip(-1)] / counts.max()) ** alpha": "this axis is the last one",
    },
    "10.7": {
        "right = model.eval()(x).argmax(dim=1) == y -> right = model.eval()(x).argmax(dim=-1) == y": "this axis is the last one",
    },
    "10.8": {
        "return float(test_scores[chosen]) -> return test_scores[chosen]": "a number of numpy is a number, too",
    },
}
