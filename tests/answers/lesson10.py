"""Answers to the exercises of lesson 10: other right ones, and wrong ones that no mistake of the check stands for."""

import copy
import functools

import numpy as np
import torch
import torch.nn.functional as F
from course_utils.check.lesson10 import _dataset_of_the_lesson

# ------------------------------------------------------------------------------------------------------- 10.1 bytes


def bytes_numpy(x):
    return torch.as_tensor(np.clip(np.rint((x.double().numpy() + 1) / 2 * 255), 0, 255), dtype=torch.uint8)


def bytes_by_half(x):
    return torch.floor(x.clamp(-1, 1) * 127.5 + 128).clamp(max=255).to(torch.uint8)


def bytes_in_steps(x):
    out = x.clone()
    out += 1
    out *= 127.5
    out[out < 0] = 0
    out[out > 255] = 255
    return torch.round(out).byte()


def bytes_one_by_one(x):
    return torch.tensor([min(255, max(0, round((v + 1) * 127.5))) for v in x.flatten().tolist()], dtype=torch.uint8).view(x.shape)


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


def consistency_shifted(student, teacher, x_w, x_s):
    def probabilities(z):
        e = torch.exp(z - z.detach().amax(1, keepdim=True))
        return e / e.sum(1, keepdim=True)

    answers = probabilities(student(x_s))
    with torch.no_grad():
        targets = probabilities(teacher(x_w)).double()
    return torch.mean(torch.square(answers.double() - targets), dim=(0, 1))


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


def vote_torch(W, Y):
    best, answers = (torch.from_numpy(W.copy()).double() @ torch.from_numpy(Y.copy()).double()).max(1)
    return torch.where(best > 0, answers, -1).numpy()


# --------------------------------------------------------------------------------------------------- 10.4 divergence


def uda_by_hand(logits_w, logits_s, T):
    with torch.no_grad():
        log_q = torch.log_softmax(logits_w / T, 1)
    log_p = torch.log_softmax(logits_s, 1)
    return (log_q.exp() * (log_q - log_p)).sum() / len(log_q)


def uda_log_target(logits_w, logits_s, T):
    log_q = (logits_w / T).log_softmax(1).detach().double()
    return F.kl_div(F.log_softmax(logits_s.double(), dim=1), log_q, reduction="none", log_target=True).sum(1).mean()


def uda_entropy(logits_w, logits_s, T):
    q = F.softmax(logits_w.detach() / T, dim=1)
    entropy = torch.special.entr(q).sum(1).mean()
    return F.cross_entropy(logits_s, q) - entropy


def uda_loop(logits_w, logits_s, T):
    losses = []
    for w, s in zip(logits_w.detach(), logits_s):
        log_q, log_p = w / T - torch.logsumexp(w / T, 0), s - torch.logsumexp(s, 0)
        losses.append((log_q.exp() * (log_q - log_p)).sum())
    return torch.stack(losses).mean()


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


def tsa_where(logits, y, eta):
    log_p = logits.log_softmax(1)[torch.arange(len(y)), y].double()
    known = log_p.exp() > eta
    return torch.where(known, 0 * log_p, -log_p).sum() / max(1, int((~known).sum()))


# ------------------------------------------------------------------------------------------------- 10.6 fractions to keep


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


def rates_numpy(counts, alpha):
    c = counts.numpy().astype(np.float64)
    rates = np.zeros_like(c)
    rates[np.argsort(-c)] = (np.sort(c) / c.max()) ** alpha
    return torch.from_numpy(rates)


# --------------------------------------------------------------------------------------------- 10.7 look, leave no trace


@torch.no_grad()
def accuracy_decorated(model, x, y):
    before = {name: part.training for name, part in model.named_modules()}
    try:
        model.train(False)
        return float((model(x).argmax(-1) == y).double().mean())
    finally:
        for name, part in model.named_modules():
            part.training = before[name]


def accuracy_of_a_copy(model, x, y):
    other = copy.deepcopy(model).eval()
    with torch.no_grad():
        return (other(x).max(1).indices == y).sum().item() / len(y)


def accuracy_numpy(model, x, y):
    trained = [part for part in model.modules() if part.training]
    model.eval()
    with torch.inference_mode():
        answers = model(x).numpy().argmax(1)
    for part in trained:
        part.training = True
    return np.mean(answers == y.numpy())


def accuracy_from_the_top(model, x, y):
    modes = [part.training for part in model.modules()]
    with torch.no_grad():
        right = sum(int(z.argmax() == c) for z, c in zip(model.eval()(x), y)) / torch.tensor(len(y))
    for part, mode in zip(model.modules(), modes):
        part.train(mode)  # parents come before their parts
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


def report_sorted(val_scores, test_scores):
    return torch.tensor(test_scores[np.lexsort((-np.arange(len(val_scores)), val_scores))[-1]])


# --------------------------------------------------------------------------------------------------- 10.9 the diagnosis

_NAMES = dict(enumerate("GCJFHAED", 1))


def named_in_lower_case():
    return {case: letter.lower() for case, letter in _NAMES.items()}


def named_by_text():
    return dict(zip("12345678", "GCJFHAED"))


def named_one_by_one():
    return {case: _NAMES[case] + " " for case in range(8, 0, -1)}


def _named(letters, cases=range(1, 9)):
    return lambda: dict(zip(cases, letters))


# ------------------------------------------------------------------------------------------------------- 10.10 a hybrid


def _glued(model, batch):
    z = model(torch.cat([batch.x_l, batch.x_s]))
    return z[: len(batch.x_l)], z[len(batch.x_l) :]


def _weak(model, batch):
    with torch.no_grad():
        return model(batch.x_w).softmax(1)


def hybrid_fixmatch(model, batch):
    p, pseudo_label = _weak(model, batch).max(1)
    z_l, z_s = _glued(model, batch)
    loss_u = (F.cross_entropy(z_s, pseudo_label, reduction="none") * (p >= 0.95)).mean()
    return F.cross_entropy(z_l, batch.y_l) + loss_u, {"mask": (p >= 0.95).float().mean()}


def hybrid_all_together(model, batch):
    sizes = [len(batch.x_l), len(batch.x_w), len(batch.x_s)]
    z_l, z_w, z_s = model(torch.cat([batch.x_l, batch.x_w, batch.x_s])).split(sizes)
    q = (z_w.detach() / 0.5).softmax(1)
    return F.cross_entropy(z_l, batch.y_l) + F.cross_entropy(z_s, q), {}


class MeanTeacherMatch:
    """A mean teacher that gives FixMatch's pseudo-labels, turned up from zero, with an alignment of its pseudo-labels."""

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
    p, pseudo_label = _weak(model, batch).max(1)
    z_l, z_s = _glued(model, batch)
    z_w = model(batch.x_w)
    losses = F.cross_entropy(z_s, pseudo_label, reduction="none") + F.cross_entropy(z_w, pseudo_label, reduction="none")
    return F.cross_entropy(z_l, batch.y_l) + (losses * (p > 0.8)).mean(), {}


def hybrid_minimum_entropy(model, batch):
    """No target at all: answers on both views are to be sure (Grandvalet & Bengio 2004)."""
    log_p = [model(x).log_softmax(1) for x in (batch.x_w, batch.x_s)]
    entropy = -sum((view.exp() * view).sum(1).mean() for view in log_p)
    return F.cross_entropy(model(batch.x_l), batch.y_l) + 0.3 * entropy, {"entropy": entropy.item()}


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
    p, pseudo_label = _weak(model, batch).max(1)
    z_l, z_s = _glued(model, batch)
    keep = (p >= 0.95).float()
    loss_u = (F.cross_entropy(z_s, pseudo_label, reduction="none") * keep).sum() / keep.sum()
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


def hybrid_mask_never_opens(model, batch):
    p, pseudo_label = _weak(model, batch).max(1)
    z_l, z_s = _glued(model, batch)
    loss_u = (F.cross_entropy(z_s, pseudo_label, reduction="none") * (p >= 95)).mean()
    return _ce(z_l, batch.y_l) + loss_u, {}


def hybrid_cut_the_other_way(model, batch):
    p, pseudo_label = _weak(model, batch).max(1)
    n = len(batch.x_l)
    z = model(torch.cat([batch.x_s, batch.x_l]))
    loss_u = ((p >= 0.95) * F.cross_entropy(z[n:], pseudo_label, reduction="none")).mean()
    return F.cross_entropy(z[:n], batch.y_l) + loss_u, {}


class KnowsTheData:
    """Logit adjustment and a memory of all pseudo-labels, as long as the pool and as wide as the classes of the data set."""

    def __init__(self):
        dataset = _dataset_of_the_lesson()
        self.memory = torch.full((len(dataset.train), dataset.num_classes), 1 / dataset.num_classes)
        fractions = np.bincount(dataset.train.labels, minlength=dataset.num_classes) / len(dataset.train)
        self.log_prior = torch.from_numpy(fractions).float().log()

    def __call__(self, model, batch):
        self.memory[batch.index] = 0.5 * self.memory[batch.index] + 0.5 * _weak(model, batch)
        z_l, z_s = _glued(model, batch)
        loss_l = F.cross_entropy(z_l + 0.5 * self.log_prior, batch.y_l)
        return loss_l + F.cross_entropy(z_s, self.memory[batch.index].clone()), {}


def hybrid_default_memory(model, batch, memory={}):  # noqa: B006  the default remembers
    q = _weak(model, batch)
    for i, row in zip(batch.index.tolist(), q):
        memory[i] = 0.6 * memory.get(i, row) + 0.4 * row
    z_l, z_s = _glued(model, batch)
    return _ce(z_l, batch.y_l) + _brier(z_s, torch.stack([memory[i] for i in batch.index.tolist()])), {}


_GLOBAL = {"step": 0}


def hybrid_global_ramp(model, batch):
    weight = min(1.0, _GLOBAL["step"] / 200)
    _GLOBAL["step"] += 1
    z_l, z_s = _glued(model, batch)
    return _ce(z_l, batch.y_l) + weight * _brier(z_s, _weak(model, batch)), {}


class SharedByTheClass:
    """Keeps the average of its targets in the class, which all copies share."""

    average = 0.0

    def __call__(self, model, batch):
        q = _weak(model, batch)
        SharedByTheClass.average = 0.5 * self.average + 0.5 * q.mean(0)
        z_l, z_s = _glued(model, batch)
        return _ce(z_l, batch.y_l) + _brier(z_s, (q + self.average) / 2), {}


def hybrid_seeding(model, batch):
    torch.manual_seed(0)
    return MixedUp()(model, batch)


class NotToBeCopied(MixedUp):
    def __init__(self):
        super().__init__()
        self.weights = (1.0 for _ in range(1000))  # no generator can be copied


RIGHT = {
    "10.1": [bytes_numpy, bytes_by_half, bytes_in_steps, bytes_one_by_one],
    "10.2": [consistency_mse, consistency_by_hand, consistency_log_softmax, consistency_shifted],
    "10.3": [vote_loop, vote_assign, vote_extra_column, vote_torch],
    "10.4": [uda_by_hand, uda_log_target, uda_entropy, uda_loop],
    "10.5": [tsa_gather, tsa_pick, tsa_loop, tsa_where],
    "10.6": [rates_loop, rates_ranks, rates_compare, rates_numpy],
    "10.7": [accuracy_decorated, accuracy_of_a_copy, accuracy_numpy, accuracy_from_the_top],
    "10.8": [report_loop, report_max, report_list, report_sorted],
    "10.9": [named_in_lower_case, named_by_text, named_one_by_one],
    "10.10": [
        hybrid_fixmatch,
        hybrid_all_together,
        hybrid_both_views,
        hybrid_minimum_entropy,
        MeanTeacherMatch(),
        MixedUp(),
        Ensembled(),
        KnowsTheData(),
    ],
}

WRONG = {
    "10.1": [(lambda x: x.add_(1).mul_(127.5).round().clamp(0, 255).byte(), "changes its input")],
    "10.9": [
        (_named("GCJFHADE"), "not named rightly: case 7, 8"),
        (_named("GCJFHAEE"), "one letter stands twice"),
        (_named("GLJFHAED"), "belongs to no case"),
        (_named("CGJFHAED"), "not named rightly: case 1, 2"),
        (_named("GCJFHAED", range(8)), "the keys are the cases"),
        (_named("GC"), "no letter for case 3, 4, 5, 6, 7, 8"),
        (_named("GCIFHAED"), "one of the letters"),
        (lambda: list("GCJFHAED"), "a dict is wanted"),
        (lambda: {letter: case for case, letter in _NAMES.items()}, "the keys are the cases"),
    ],
    "10.10": [
        (hybrid_with_leak, "flows through the answers on x_w"),
        (hybrid_one_pass_with_leak, "flows through the answers on x_w"),
        (hybrid_mean_over_kept, "where no answer is sure, the loss is not finite"),
        (hybrid_kl_nan, "where all answers are sure, the loss is not finite"),
        (hybrid_log_of_softmax, "where all answers are sure, the loss is not finite"),
        (_hybrid(_ce, lambda z, q: (z.softmax(1) - q).square().sum(1).sqrt().mean()), "the gradient is not finite"),
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
        (hybrid_backward, "backward() and zero_grad() are left to the training loop"),
        (hybrid_steps, "changes the network's weights"),
        (torch.no_grad()(hybrid_fixmatch), "carries no gradient"),
        (lambda model, batch: (0 * hybrid_fixmatch(model, batch)[0], {}), "the gradient to the model is zero"),
        (_hybrid(functools.partial(F.cross_entropy, reduction="none"), _brier), "a mean is missing"),
        (lambda model, batch: hybrid_fixmatch(model, batch)[0], "the loss only"),
        (lambda model, batch: (hybrid_fixmatch(model, batch)[0], 0.5), "logs must be a dict"),
        (lambda model, batch: (hybrid_fixmatch(model, batch)[0].item(), {}), "no .item()"),
        (lambda model, batch: (hybrid_fixmatch(model, batch)[0], {"mask": torch.ones(3)}), "one number is wanted"),
        (lambda model, batch: (hybrid_fixmatch(model, batch)[0], {"size": model.head.weight.norm()}), "carries a gradient"),
        (hybrid_cut_the_other_way, "in the same order"),
        (lambda model, batch: hybrid_fixmatch(model, batch._replace(y_l=batch.y_l.flip(0))), "in the same order"),
        (hybrid_default_memory, "a second run does not begin like the first"),
        (hybrid_global_ramp, "a second run does not begin like the first"),
        (SharedByTheClass(), "a second run does not begin like the first"),
        (hybrid_seeding, "it seeds a generator of the whole program"),
        (NotToBeCopied(), "it cannot be copied"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "10.1": {"scaled = (x + 1) * 127.5 -> scaled = (x.detach() + 1) * 127.5": "bytes carry no gradient"},
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
        "return right.float().mean().item() -> return right.float().mean()": "a tensor of one number without gradient is a number, too",
        "right = model.eval()(x).argmax(dim=1) == y -> right = model.eval()(x).argmax(dim=-1) == y": "this axis is the last one",
    },
    "10.8": {"return float(test_scores[chosen]) -> return test_scores[chosen]": "a number of numpy is a number, too"},
}

# (mistake of tests/test_battery.py, exercise) that cannot be noticed, and why
UNNOTICED = {
    ("overflows", "10.1"): "bytes cannot be nan",
    ("overflows", "10.3"): "the answers are whole numbers, which cannot be nan",
    ("remembers by shape", "10.9"): "nothing comes in",
    ("half precision", "10.10"): "a method of one's own has no right value",
    ("rounded to three places", "10.10"): "a method of one's own has no right value",
    ("one dict of logs for all calls", "10.10"): "what it logs has no right value, and the loop reads it at once",
}
