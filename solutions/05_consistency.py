# %% [markdown]
# # 05 · Consistency and the mean teacher
#
# A network sees two views of one image and gives two different answers. Nobody needs a label to know that at least one
# of them is wrong. How much can be learnt from that alone, and who should give the answer that the other one learns from?
#
# **Time** 135 min, of which the computer trains for about four
#
# **You need** lessons 00 and 01 (lesson 02 helps: there a network learns its own answers, too)
#
# **Objectives**
#
# - **5a** Write a loss that asks for the same answer to two views, and turn it up slowly.
# - **5b** Put it into a training step: who sees which view, and where the gradient flows.
# - **5c** Keep an average of the past answers for each image, without a bias towards zero.
# - **5d** Build a mean teacher, a network that is the average of the student's past weights.
# - **5e** Carry the idea to segmentation, where a turned image needs a turned target.

# %% tags=["setup"]
import copy
import math

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from skimage import filters, measure

from course_utils import augment, evaluation, plots, results
from course_utils.batches import Batch, batches, generator, shuffled
from course_utils.check import borrow, check, progress, reveal
from course_utils.datasets import load_dataset, load_kvasir, to_tensor
from course_utils.device import DEVICE
from course_utils.labels import split_labels
from course_utils.models import UNet, new_model
from course_utils.settings import KVASIR, NUM_LABELS, NUM_STEPS, SEED
from course_utils.training import train, train_baseline

# %% [markdown]
# The dataset and a label split with 500 labels, as in lesson 01:

# %% tags=["nbval-ignore-output"]
dataset = load_dataset()
label_split = split_labels(dataset, NUM_LABELS, SEED)
print(dataset)
print(label_split)

# %% [markdown]
# And where we stand: the supervised baseline, its mean over the five label splits of the reference runs, beside the
# majority class.

# %% tags=["dataset"]
reference = results.reference(dataset)
results.compare(reference, dataset, methods=["supervised"])

# %% [markdown]
# ## 1 · Two answers to one image
#
# First the baseline, with the recipe of lesson 01. It learns from the labelled images alone.

# %% tags=["nbval-ignore-output"]
weak, strong = augment.views(dataset)
baseline = train_baseline(dataset, label_split)
scores = {"supervised": evaluation.evaluate(baseline.ema, dataset.test)}
results.record("supervised", dataset, label_split, baseline, scores["supervised"])
evaluation.score_table(scores, dataset, dataset.test)

# %% [markdown]
# Now ask it about nine views of one image that has no label, the one on which it hesitates most. A *weak* view
# (`augment.derma_weak`) shows the image in one of its eight flips and quarter turns, shifted by up to an eighth of its
# side; a digit is only shifted. A *strong* view is also turned by any angle (a digit by a small one) and scaled, made
# lighter or darker, and a rectangle of it is covered.

# %%
known = set(label_split.labelled.tolist())
probe = torch.tensor([i for i in range(len(label_split.images)) if i not in known][:500])
rng = generator(SEED, "probe views")
probabilities = evaluation.predict(baseline.ema, label_split.images[probe])
hesitant = probe[probabilities.max(axis=1).argmin()]
one = label_split.images[hesitant].expand(9, -1, -1, -1)
nine = {"weak": weak(one, rng), "strong": strong(one, rng)}
with torch.no_grad():
    answers = {name: baseline.ema(x).softmax(1).max(1) for name, x in nine.items()}

# %% tags=["figure"]
figure = plots.image_grid(
    list(nine.values()), list(nine), scale=0.95, title="One image, eighteen views, and what the network calls each"
)
for row, (confidence, answer) in enumerate(answers.values()):
    for ax, p, c in zip(figure.axes[9 * row : 9 * row + 9], confidence.tolist(), answer.tolist()):
        ax.set_xlabel(f"{dataset.class_names[c]} {p:.2f}", fontsize=8)
plots.show(
    figure,
    "Nine weak views of one image in the first row and nine strong views of it in the second; under each view stands the class "
    "that the network answers and how probable it calls it. The answers vary from view to view.",
)

# %% [markdown]
# One image, one truth, many answers. How often does it happen? For 500 images without a label, one weak and one strong
# view each: how often do the two answers differ, and how often is the answer to the weak view right?

# %%
x_probe = {"weak": weak(label_split.images[probe], rng), "strong": strong(label_split.images[probe], rng)}
truth = label_split.measure_labels(probe)


@torch.no_grad()
def look_at(model):
    was_training = model.training
    answer = {name: model.eval()(x).argmax(1).cpu() for name, x in x_probe.items()}
    model.train(was_training)
    differ = (answer["weak"] != answer["strong"]).float().mean().item()
    return {
        "views disagree": differ,
        "right on weak views": (answer["weak"] == truth).float().mean().item(),
    }


# %% tags=["nbval-ignore-output"]
looks = {"supervised": look_at(baseline.ema)}
pd.DataFrame(looks).T.round(3)

# %% [markdown]
# **Consistency** makes a loss of this: the answers to two views of an image shall be alike. It says nothing about
# *which* answer is right. That is left to the labelled images; the others carry it further, from view to view and from
# image to similar image.
#
# The loss compares the two distributions over the $C$ classes by their squared distance, averaged over the $B$ images and
# over the classes. One of the two answers is the **target** $t_b$, and a target is a constant:
#
# $$\ell_u = \frac{1}{C\,B} \sum_{b=1}^{B} \lVert p(y \mid x_b) - t_b \rVert_2^2.$$

# %%
target = torch.tensor([[0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
answer = torch.tensor([[0.3, 0.6, 0.1], [0.2, 0.3, 0.5]])
pd.DataFrame((answer - target).square().numpy(), index=["image 0", "image 1"]).round(3)

# %% [markdown]
# ### Exercise 5.1 · The consistency loss
#
# 8 min · difficulty 1/5 · objective 5a
#
# Given `logits` (B, num_classes) of one view, which may be as large as ±300, and the `target` (B, num_classes), which holds
# **probabilities**, return $\ell_u$ as a scalar tensor: the mean over images *and* classes. A gradient flows to `logits` and
# **none to `target`**, even if `target` was computed with gradients; `target` itself stays as it is.
#
# <details><summary>Hint 1 (direction)</summary>Logits and probabilities cannot be subtracted from each other. Which of the
# two arguments still needs a softmax, and which one must be cut off from the gradient?</details>
#
# <details><summary>Hint 2 (which function)</summary><code>logits.softmax(dim=1)</code>, <code>target.detach()</code>,
# <code>.square()</code>, and one <code>.mean()</code> over everything.</details>


# %% tags=["exercise", "ex-5.1"]
def consistency_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared distance between an answer and its target (Laine & Aila 2017; Tarvainen & Valpola 2017).

    logits: (B, num_classes), target: (B, num_classes) probabilities, taken as constant
    returns: scalar
    """
    ### BEGIN SOLUTION
    return (logits.softmax(dim=1) - target.detach()).square().mean()
    ### END SOLUTION


# %% tags=["check", "ex-5.1"]
check("5.1", consistency_loss)

# %% [markdown]
# Why squares, and not the cross-entropy? A target may be wrong, and a square between two distributions is bounded: no
# single image can drown the rest.
#
# ## 2 · Slowly
#
# In the first steps the answers are noise. A network that must agree with noise learns to say the same of everything,
# which is perfectly consistent. So the labelled images get a head start: the weight of $\ell_u$ rises along a **ramp**
#
# $$w(t) = w_{\max} \, e^{-5 (1 - t)^2}, \qquad t = \min(1, \mathrm{step} / \mathrm{ramp\ steps}).$$
#
# Here $t$, without an index, is the part of the ramp that is done, and $w_{\max}$ the full weight.

# %% [markdown]
# ### Exercise 5.2 · The ramp
#
# 5 min · difficulty 1/5 · objective 5a
#
# Return the factor $e^{-5 (1 - t)^2}$, a number, at `step` (0, 1, 2, ...), with $t$ rising from 0 to 1 over `ramp_steps`
# steps: 1 from step `ramp_steps` on. `ramp_steps = 0` means no ramp: 1 at every step, at step 0, too.
#
# <details><summary>Hint 1 (direction)</summary>First the fraction $t$ of the ramp that is done, which never exceeds 1. Mind
# the case in which it cannot be computed.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>math.exp</code>; an <code>if</code>, or
# <code>... if step &lt; ramp_steps else ...</code>, takes care of both special cases.</details>


# %% tags=["exercise", "ex-5.2"]
def ramp_up(step: int, ramp_steps: int) -> float:
    """The fraction of the full weight at a step (Laine & Aila 2017)."""
    ### BEGIN SOLUTION
    t = step / ramp_steps if step < ramp_steps else 1.0
    return math.exp(-5 * (1 - t) ** 2)
    ### END SOLUTION


# %% tags=["check", "ex-5.2"]
check("5.2", ramp_up)

# %% tags=["figure"]
figure, ax = plots.plt.subplots(figsize=(6, 2.5))
ax.plot([ramp_up(step, 400) for step in range(601)], markevery=100)
ax.set(xlabel="step", ylabel="fraction of the weight", title="A ramp of 400 steps")
plots.show(
    figure,
    "The ramp over 400 steps: it stays close to zero for the first hundred steps, rises steeply in the middle and reaches one "
    "at step 400, flat again, where it remains.",
)

# %% [markdown]
# ## 3 · The step
#
# Who gives the target? Let us leave that open, and call it the **teacher**: some network that answers the weak views. The
# **student**, which is trained, answers the strong views of the same images and, with labels, the labelled ones:
#
# $$\ell = \ell_s + w \, \ell_u.$$
#
# The teacher works under `no_grad`. Not only to save time: if a gradient ran into it, the teacher would be moved towards
# the student, and both could agree by giving in.
#
# The papers take $\ell_u$ over *all* images, those with a label included. Here they are in it as well: the stream of unlabelled
# images draws from the whole pool, and the labelled images are part of the pool.

# %% [markdown]
# ### Exercise 5.3 · One step
#
# 20 min · difficulty 3/5 · objective 5b
#
# Return `(loss, logs)`: the scalar $\ell_s + w\,\ell_u$, where $w$ is `weight`, and `{"consistency": ...}`, $\ell_u$ without $w$, a number (no
# gradient). $\ell_s$ is the cross-entropy on `batch.x_l, batch.y_l`; $\ell_u$ compares the student on `batch.x_s` with the teacher's probabilities on
# `batch.x_w`. The student gets `x_l` and `x_s`, nothing else, in **one joint pass**; the teacher gets `x_w`, in one pass under `no_grad`, also when
# `weight` is 0. Leave modes (`eval()`, `train()`) and `requires_grad` alone: `teacher` may be `student` itself, or frozen.
#
# <details><summary>Hint 1 (direction)</summary>Four parts: the target, under <code>no_grad</code>; the student on both groups
# of images, glued; cut its logits where the labelled images end; the two losses. The target is made of
# probabilities.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.cat</code> glues, <code>tensor_split([n])</code> cuts after
# n rows, <code>F.cross_entropy</code> and your <code>consistency_loss</code> are the losses, <code>.item()</code> makes a
# number without gradient.</details>


# %% tags=["exercise", "ex-5.3"]
def consistency_step(student, teacher, batch, weight: float) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of one step: learn from labels, and agree with the teacher.

    student, teacher: map images to logits
    batch: x_l (B, C, H, W), y_l (B,), x_w and x_s (B_u, C, H, W), views of the same unlabelled images
    returns: scalar loss, {"consistency": the unweighted consistency loss}
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        target = teacher(batch.x_w).softmax(dim=1)
    logits = student(torch.cat([batch.x_l, batch.x_s]))
    logits_l, logits_s = logits.tensor_split([len(batch.x_l)])
    loss_u = consistency_loss(logits_s, target)
    return F.cross_entropy(logits_l, batch.y_l) + weight * loss_u, {"consistency": loss_u.item()}
    ### END SOLUTION


# %% tags=["check", "ex-5.3"]
check("5.3", consistency_step)

# %% [markdown]
# Why one joint pass? BatchNorm normalises with the mean and the spread of what goes through together. Labelled and
# unlabelled images shall be normalised alike.
#
# ### A bug that nobody sees
#
# Two libraries that are widely used have got this step wrong, in ways that raise no error. One reads the *teacher's*
# answer where the student's should stand; the other detaches the student. What is left of the gradient?

# %%
z_student = torch.tensor([[1.0, 0, 0]], requires_grad=True)
z_teacher = torch.tensor([[0.0, 1, 0]])
steps = {
    "right": lambda: consistency_loss(z_student, z_teacher.softmax(1)),
    "the teacher's answer twice": lambda: consistency_loss(z_teacher + 0 * z_student, z_teacher.softmax(1)),
    "student detached": lambda: consistency_loss(z_student.detach() + 0 * z_student, z_teacher.softmax(1)),
}
for name, step in steps.items():
    (gradient,) = torch.autograd.grad(step(), z_student)
    print(f"{name:28} loss {step().item():.4f}, size of the gradient {gradient.abs().sum():.4f}")

# %% [markdown]
# (`0 * z_student` only keeps the tensors connected, so that there is a gradient to print.) In both, the training goes on
# happily, on the labelled images: the mean teacher has quietly become the supervised baseline. In the second the loss even
# *looks* right. What catches it is a property, not a number: **where student and teacher differ, the gradient is not zero.**
# The check of Exercise 5.3 looks at the gradient, too.

# %% [markdown]
# ## 4 · The student as its own teacher: the Π-model
#
# The simplest teacher is the student itself, asked about another view. That is the **Π-model**
# ([Laine & Aila 2017](https://arxiv.org/abs/1610.02242)). There the two answers differ by dropout and by noise; our network
# has no dropout, so all the difference lies in the views.
#
# What differs from the papers, and why:
#
# | | papers | here | why |
# |---|---|---|---|
# | network | 13 layers, dropout | SimpleCNN, no dropout | minutes on a CPU |
# | noise | dropout, noise, shifts, the same kind twice | weak view for the teacher, strong for the student | the teacher answers the easy view |
# | gradient of the Π-model | through both answers | through one, the other is a constant target | one step serves every teacher |
# | view of labelled images | as for the others | weak; the baseline has strong ones | chosen by cross-validation, see section 6 |
# | $w_{\max}$, against a mean over the labelled images | `100` (Π-model, mean teacher), `30` (temporal ensembling) | `10`, see section 6 | chosen by cross-validation |
# | steps | many thousands | `1600`, the first `400` of them the ramp | minutes on a CPU |
# | end of training | the weight or the learning rate is ramped down | the learning rate falls along a cosine | as in lesson 01 |
# | past answers | taken in once an epoch | each time an image comes by | the streams have no epochs |
# | decay of the teacher | `.99`, later `.999` | `.99` | an average over the last hundred steps |
# | averaged weights | the teacher | the teacher, and `train` keeps an average of its own | see section 6 |
#
# The teacher's pass stands under `no_grad`, but the student *is* the teacher, in training mode: `no_grad` stops gradients,
# not BatchNorm's statistics. The weak views move its running mean and variance, too. The papers let the gradient flow
# through both answers; here one of them is a constant target.
#
# An object holds what the method has to remember, here only the number of the step:

# %%
W_MAX, RAMP_STEPS = 10.0, 400


class PiModel:
    """The Π-model as a loss for `train`. It counts its steps: make a new one for each run."""

    def __init__(self):
        self.step = 0

    def __call__(self, model, batch):
        weight = W_MAX * ramp_up(self.step, RAMP_STEPS)
        self.step += 1
        return consistency_step(model, model, batch, weight)


# %% [markdown]
# `batches` draws the steps. Its third argument is the strong view; `mu` says how many unlabelled images come with each
# labelled one. A batch has five fields: `x_l` and `y_l`, labelled images (in the weak view, unless `labelled_view`
# names another) and their classes; `x_w` and `x_s`, the weak and the strong view of the same unlabelled images; and
# `index`, their places in the pool.


# %% tags=["nbval-ignore-output"]
def pairs():
    return batches(label_split, weak, strong, batch_size=32, mu=1, seed=SEED)


pi_run = train(new_model(dataset, SEED), PiModel(), pairs(), NUM_STEPS, label="Π-model")
print(f"{pi_run.steps_done} steps, {pi_run.images_seen:,} images, {pi_run.seconds:.0f} s")

# %% [markdown]
# ## 5 · A memory for each image: temporal ensembling
#
# One answer is a shaky target. An average of many is steadier. **Temporal ensembling** (same paper) keeps for every image
# $i$ of the pool a weighted sum $Z_i$ of its past answers $z$, which are probabilities. The newest answer counts most, and
# $t_i$ is the target:
#
# $$Z_i \leftarrow \alpha Z_i + (1 - \alpha)\, z, \qquad t_i = \frac{Z_i}{1 - \alpha^{n_i}},$$
#
# where $n_i$ counts how often the image has come by. And the division? $Z_i$ starts at zero. After one answer it is
# $(1 - \alpha)\, z$, which is no distribution; its sum is too small by just that factor:

# %%
Z, alpha = torch.zeros(2), 0.6
for n, z in enumerate([torch.tensor([0.8, 0.2]), torch.tensor([0.6, 0.4]), torch.tensor([0.7, 0.3])], 1):
    Z = alpha * Z + (1 - alpha) * z
    print(f"n = {n}: Z sums to {Z.sum():.3f}, and 1 - alpha^n is {1 - alpha**n:.3f}")

# %% [markdown]
# The average costs no second pass through a network: the answer of an earlier visit is the second view.

# %% [markdown]
# ### Exercise 5.4 · Take in the new answers
#
# 17 min · difficulty 3/5 · objective 5c
#
# `Z` (N, num_classes) and `counts` (N,) int64 belong to the whole pool; `z` (B, num_classes) are new **probabilities** of the images `index` (B,),
# in any order, without repeats. Return `(Z, counts, target)`: both memories after taking in `z`, other rows unchanged, and the targets $t_i$
# (B, num_classes) of these B images, in the order of `index`, by their **new** counts; $0 < \alpha < 1$. Return new tensors without gradient; the inputs
# stay as they are.
#
# <details><summary>Hint 1 (direction)</summary>Copy the memories, change the rows <code>index</code> of the copies, divide
# the same rows for the target. Each image has a count of its own, so the divisors are a column.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>.clone()</code>, <code>z.detach()</code>, <code>Z[index] = ...</code>;
# <code>counts[index].unsqueeze(1)</code> has the shape (B, 1), and <code>alpha ** counts</code> works entry by
# entry.</details>


# %% tags=["exercise", "ex-5.4"]
def ensemble_update(
    Z: torch.Tensor, counts: torch.Tensor, index: torch.Tensor, z: torch.Tensor, alpha: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take new answers into the running averages of their images (Laine & Aila 2017, algorithm 2).

    Z: (N, num_classes), counts: (N,) int64, index: (B,) int64 without repeats, z: (B, num_classes) probabilities
    returns: Z (N, num_classes), counts (N,) int64, target (B, num_classes), without gradient
    """
    ### BEGIN SOLUTION
    Z, counts = Z.clone(), counts.clone()
    Z[index] = alpha * Z[index] + (1 - alpha) * z.detach()
    counts[index] += 1
    target = Z[index] / (1 - alpha ** counts[index].unsqueeze(1))
    return Z, counts, target
    ### END SOLUTION


# %% tags=["check", "ex-5.4"]
check("5.4", ensemble_update)

# %% [markdown]
# The loss around it. The target that `ensemble_update` returns now is kept for the *next* visit: the present answer is part
# of it, and an answer should not be compared with itself. An image that comes by for the first time has no target yet; it is
# compared with its own answer, and its loss is exactly zero. A pass over the pool takes `len(label_split.images) / 32` steps, about
# `219` on DermaMNIST, during which there is no consistency loss at all: the effective start of this method is the second
# pass over the pool.
#
# Each step has one pass through the network: over the labelled images, and over one view of each unlabelled image, a strong
# one. The stream below is made with one view only, and a batch calls it `x_w`.


# %%
class TemporalEnsembling:
    """Temporal ensembling as a loss for `train`. It remembers an average answer for every image of the pool."""

    def __init__(self, num_images, num_classes, alpha=0.6):
        self.Z = torch.zeros(num_images, num_classes, device=DEVICE)
        self.counts = torch.zeros(num_images, dtype=torch.int64, device=DEVICE)
        self.targets, self.alpha, self.step = self.Z.clone(), alpha, 0

    def __call__(self, model, batch):
        n, index = len(batch.x_l), batch.index.to(DEVICE)
        z = model(torch.cat([batch.x_l, batch.x_w]))
        answer = z[n:].detach().softmax(1)
        old = torch.where(self.counts[index, None] > 0, self.targets[index], answer)
        agree = consistency_loss(z[n:], old)
        self.Z, self.counts, new = ensemble_update(self.Z, self.counts, index, answer, self.alpha)
        self.targets[index] = new
        weight = W_MAX * ramp_up(self.step, RAMP_STEPS)
        self.step += 1
        return F.cross_entropy(z[:n], batch.y_l) + weight * agree, {"consistency": agree.item()}


# %% tags=["nbval-ignore-output"]
memory = TemporalEnsembling(len(label_split.images), dataset.num_classes)
# its only view is the strong one; `batches` calls it x_w
stream = batches(label_split, strong, labelled_view=weak, batch_size=32, mu=1, seed=SEED)
te_run = train(new_model(dataset, SEED), memory, stream, NUM_STEPS, label="temporal ensembling")
print(f"{te_run.steps_done} steps, {te_run.images_seen:,} images, {te_run.seconds:.0f} s")

# %% tags=["dataset"]
visits = memory.counts.float()
print(f"each image came by {visits.min():.0f} to {visits.max():.0f} times")

# %% [markdown]
# That is the weak point: in a training as short as ours an image comes by only a few times, and its target is a few
# hundred steps old. It was given by a network that knew less.

# %% [markdown]
# ## 6 · Average the weights instead: the mean teacher
#
# Averaging answers waits for the image to come by again. Averaging *weights* does not: after every step the teacher moves a
# little towards the student, and it can answer any view of any image at once. This is the **mean teacher**
# ([Tarvainen & Valpola 2017](https://arxiv.org/abs/1703.01780)), with an exponential moving average (EMA) of the weights:
#
# $$\theta'_t = \alpha_t\, \theta'_{t-1} + (1 - \alpha_t)\, \theta_t, \qquad
# \alpha_t = \min\left(1 - \frac{1}{t + 1},\; \alpha\right).$$
#
# Here $t$ is the number of the step, `step` in the code. The minimum takes the place of a bias correction. As long as
# $\alpha_t = 1 - 1/(t + 1)$, the teacher is the plain mean of the start and all students so far; after $t$ steps the random
# start weighs only $1/(t + 1)$, where with $.99$ from the start it would still weigh $.99^t$. Follow a single weight, which
# is 1, 2, 3 after the steps 1, 2 and 3, and started at 0:

# %%
plain_mean, slow = 0.0, 0.0
for t, weight in enumerate([1.0, 2.0, 3.0], 1):
    rate = min(1 - 1 / (t + 1), 0.99)
    plain_mean = rate * plain_mean + (1 - rate) * weight
    slow = 0.99 * slow + (1 - 0.99) * weight
    print(f"step {t}: with the minimum {plain_mean:.2f}, with .99 from the start {slow:.4f}")

# %% [markdown]
# A network is more than its weights. BatchNorm also keeps **buffers**: a running mean, a running variance, and a count of
# batches, which is an integer. They are statistics, not learnt; here they are *copied*. Forgetting them is a common
# bug. A teacher that answers in evaluation mode would use the statistics of an untrained network. One in training mode gathers
# statistics of its own, of weak views only and of past weights: usable, but not the student's.

# %%
model = new_model(dataset, SEED)
print("averaged:", *(name for name, _ in model.named_parameters()), sep="\n  ")
print("copied:", *(f"{name} ({value.dtype})" for name, value in model.named_buffers()), sep="\n  ")

# %% [markdown]
# ### Exercise 5.5 · The teacher follows
#
# 15 min · difficulty 3/5 · objective 5d
#
# Move `teacher` one update towards `student`, **in place**, and return it. All parameters, frozen ones, too: $\theta' \leftarrow \alpha_t \theta' +
# (1 - \alpha_t)\, \theta$ with $\alpha_t = \min(1 - 1/(\mathrm{step} + 1),\ \mathrm{decay})$ for `step` = 0, 1, 2, ... (at step 0 the teacher becomes a
# copy). All buffers, also those that no `state_dict` has: copied. The student, its gradients, and the modes and `requires_grad` of both
# stay as they are; no gradient is recorded, and the two share no memory afterwards.
#
# <details><summary>Hint 1 (direction)</summary>Two networks of the same build have their parameters in the same order: go
# through both side by side. The same for the buffers, with another rule.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>zip(teacher.parameters(), student.parameters())</code> under
# <code>torch.no_grad()</code>; <code>.mul_(a)</code>, <code>.add_(..., alpha=b)</code> or <code>.lerp_</code> change in place,
# <code>.copy_</code> copies, integers too; <code>.buffers()</code> lists the buffers.</details>


# %% tags=["exercise", "ex-5.5"]
def update_teacher(teacher, student, step: int, decay: float):
    """One step of the exponential moving average (Tarvainen & Valpola 2017); buffers are copied.

    teacher, student: two modules of the same build
    returns: teacher, changed in place
    """
    ### BEGIN SOLUTION
    rate = min(1 - 1 / (step + 1), decay)
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters()):
            slow.mul_(rate).add_(fast, alpha=1 - rate)
        for slow, fast in zip(teacher.buffers(), student.buffers()):
            slow.copy_(fast)
    return teacher
    ### END SOLUTION


# %% tags=["check", "ex-5.5"]
check("5.5", update_teacher)

# %% [markdown]
# *When* to call it? After the optimiser's step. `train` calls the loss first and the optimiser afterwards, so at the
# beginning of each call the student holds what the step before has made of it: there the teacher follows. The first time
# there is no teacher, and it becomes a **copy** of the student. (A related notebook, by the author of the original notebook that this course grew from,
# says copy and makes a second network with another random start.)


# %%
class MeanTeacher:
    """The mean teacher as a loss for `train`; `step_loss(student, teacher, batch, weight)` is the loss of one step."""

    def __init__(self, step_loss=consistency_step, w_max=W_MAX, ramp_steps=RAMP_STEPS, decay=0.99):
        self.step_loss, self.w_max, self.ramp_steps = step_loss, w_max, ramp_steps
        self.decay, self.step, self.teacher = decay, 0, None

    def follow(self, student):
        if self.teacher is None:
            self.teacher = copy.deepcopy(student)
        update_teacher(self.teacher, student, self.step, self.decay)

    def __call__(self, model, batch):
        self.follow(model)  # the model as the last optimizer step left it
        weight = self.w_max * ramp_up(self.step, self.ramp_steps)
        self.step += 1
        return self.step_loss(model, self.teacher, batch, weight)


# %% [markdown]
# In which mode does the teacher answer? As in the authors' code, in training mode, as its copy of the student was: BatchNorm
# then uses the statistics of the batch, for teacher and student alike. To be *evaluated* it is put into evaluation mode, and
# uses the statistics copied from the student.
#
# The settings were chosen as in lesson 01, by cross-validation inside the labels of other label splits, the test images not
# looked at. The baselines of the same procedure stand first (two label splits; a setting that fell behind on one was left there):

# %%
settings = results.recipes()
beside = settings["setting"].isin(["supervised, weak views", "supervised, strong views"])
tried = settings[beside | settings["setting"].str.startswith("mean teacher")].groupby("setting", sort=False)
means = tried[["AUC", "ACC", "macro-F1", "balanced ACC"]].mean().round(3)
means.assign(**{"label splits": tried.size()})

# %% [markdown]
# With strong views of the labelled images, which suit the baseline best, the mean teacher stays below that baseline in
# macro-F1, whatever else is changed. With *weak* ones it is above it on both label splits, at about the same AUC; and weak views alone do
# not explain it, as the first line shows. Perhaps the strong views teach the labelled images by force what the consistency loss
# would teach, and the teacher is the better for having learnt easy images well. That is a conjecture. We take weak labelled views and
# a weight of 10. The other two methods take the same settings; nothing was tuned for them.

# %% tags=["nbval-ignore-output"]
mean_teacher = MeanTeacher()
mt_run = train(new_model(dataset, SEED), mean_teacher, pairs(), NUM_STEPS, label="mean teacher")
mean_teacher.follow(mt_run.model)  # the last step
print(f"{mt_run.steps_done} steps, {mt_run.images_seen:,} images, {mt_run.seconds:.0f} s")

# %% [markdown]
# Which network is the result? There are three: the student, the teacher, and `mt_run.ema`, the average that `train` keeps for
# *every* method of this course. The first two belong to the method. The third is only for evaluation: no method ever
# sees it.

# %% tags=["nbval-ignore-output"]
networks = {
    "Π-model": (pi_run, pi_run.ema),
    "temporal ensembling": (te_run, te_run.ema),
    "mean teacher": (mt_run, mean_teacher.teacher),
    "mean teacher, student evaluated": (mt_run, mt_run.model),
}
for name, (its_run, model) in networks.items():
    scores[name] = evaluation.evaluate(model, dataset.test)
    results.record(name, dataset, label_split, its_run, scores[name])
evaluation.score_table(
    {**scores, "mt_run.ema": evaluation.evaluate(mt_run.ema, dataset.test)},
    dataset,
    dataset.test,
)

# %% [markdown]
# Compare the last line with the teacher's. The two are nearly the same average of the same weights; they differ in how they
# start. That one of them is part of the loss cannot be seen from outside. (It also means that *every* method of this
# course is evaluated with an averaged network; only so is the comparison with the mean teacher fair.)
#
# Is your result as it should be? It should lie in the reference range: that of the course's own runs with five seeds, widened as in
# lesson 01.

# %% tags=["dataset"]
for name in networks:
    for metric in ("AUC", "macro-F1"):
        print(results.within(name, metric, scores[name][metric], dataset))

# %% [markdown]
# And consistency itself? The question of section 1 again, for each network:

# %% tags=["nbval-ignore-output"]
looks |= {name: look_at(model) for name, (_, model) in networks.items()}
pd.DataFrame(looks).T.round(3)

# %% [markdown]
# Read both columns together. A network that says the same of everything never disagrees with itself, and is no better for it.
# What we want is less disagreement *and* as many right answers as before, or more.

# %% tags=["figure"]
three = {"Π-model": pi_run, "temporal ensembling": te_run, "mean teacher": mt_run}
curves = {name: its_run.curves["consistency"] for name, its_run in three.items()}
plots.show(
    plots.curves(curves, "consistency loss", title="How much the two answers differ as the networks learn"),
    "The consistency loss of the Π-model, temporal ensembling and the mean teacher against the step, each smoothed over fifty "
    "steps. It is small for all three. That of temporal ensembling is exactly zero during the first pass over the pool, where "
    "no image has a target yet, and starts with the second.",
)

# %% [markdown]
# ## 7 · The same idea, pixel by pixel
#
# In segmentation the label is a mask, one class for each pixel, and a mask takes a person minutes to draw. So there are
# few, and consistency has much to offer. That related notebook trained its mean teacher on polyps
# ([Kvasir-SEG](https://datasets.simula.no/kvasir-seg/)) and fell into a trap on the way, which we shall build again.
#
# If you have Kvasir-SEG, set `COURSE_KVASIR` to the folder that holds `images` and `masks`. If not, we make do with the
# images we have. They come without masks, so a **rule of ours** makes them: what is darker than a threshold, after some
# smoothing, and of that the largest piece; on the digits simply the ink. On some images the darkest piece is the rim of the picture:
# its mask reaches a corner, and we leave the image out. No doctor has drawn these outlines, and the rule still errs. The network
# will learn to imitate a rule, from a few examples of it. That is enough to compare methods, and it says nothing about medicine.


# %%
def rule_mask(image):
    """(H, W) bool: the dark part of an image of a lesion, or the ink of a digit, by Otsu's threshold."""
    if image.shape[2] == 1:
        return image[:, :, 0] > filters.threshold_otsu(image)
    darkness = filters.gaussian(255.0 - image.mean(axis=2), sigma=1)
    pieces = measure.label(darkness > filters.threshold_otsu(darkness))
    return pieces == np.bincount(pieces[pieces > 0]).argmax()


# %% tags=["dataset"]
if KVASIR:
    pictures, masks = load_kvasir(KVASIR)
    NUM_POOL = len(pictures) * 2 // 3
    print("Kvasir-SEG, with the masks that doctors drew")
else:
    pictures = np.concatenate([dataset.train.images[:1000], dataset.test.images[500:1000]])
    masks = np.stack([rule_mask(image) for image in pictures])
    whole = ~masks[:, [0, 0, -1, -1], [0, -1, 0, -1]].any(axis=1)  # no corner is marked
    pictures, masks, NUM_POOL = pictures[whole], masks[whole], int(whole[:1000].sum())
    print("no folder in COURSE_KVASIR: images of this course, with masks that a rule made")
NUM_MASKS = 10
print(f"{NUM_MASKS} masks for training, {NUM_POOL} images, {len(pictures) - NUM_POOL} for testing")

# %%
pixels = to_tensor(pictures).to(DEVICE)
outlines = torch.from_numpy(masks).float().unsqueeze(1).to(DEVICE)  # (N, 1, H, W), zeros and ones

# %% tags=["dataset", "figure"]
rows = [pictures[:12], list(2 * outlines[:12] - 1)]
plots.show(
    plots.image_grid(rows, ["image", "mask"], scale=0.7, title="Twelve images and the region to be found in each"),
    "Twelve images in the first row, and under each its mask in white: the region to be found.",
)

# %% [markdown]
# ### Dice
#
# Most pixels belong to the background, so counting right pixels rewards the answer *nothing*. The **Dice** score asks for the
# overlap instead. For probabilities $p$ and a mask $m$ of zeros and ones, summed over the pixels of one image,
#
# $$D = \frac{2 \sum p\, m}{\sum p + \sum m}.$$
#
# It is 1 for a perfect mask and 0 where nothing overlaps. With probabilities it is *soft*, can be differentiated, and $1 - D$ is a loss.

# %% [markdown]
# ### Exercise 5.6 · Soft Dice
#
# 10 min · difficulty 2/5 · objective 5e
#
# Given probabilities `p` and masks `mask` of zeros and ones, both (B, 1, H, W) floats, return the Dice score **of each image**, a float tensor (B,), by
# the formula above. Where both are empty (nothing but zeros) the score is 1 and not nan, for nothing was to be found and nothing was. A gradient flows
# to `p`; it is never nan, not even where both are empty. To avoid the division by zero you may add a term above and below, of at most `1e-7`.
#
# <details><summary>Hint 1 (direction)</summary>Two sums over all axes but the first. Then think of the image in which both are
# zero.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>.sum(dim=(1, 2, 3))</code>; <code>torch.where</code> chooses image by
# image, and <code>.clamp(min=...)</code> keeps the divisor away from zero.</details>


# %% tags=["exercise", "ex-5.6"]
def soft_dice(p: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Overlap of predicted and true region, image by image (Dice 1945; a variant as a loss: Milletari et al. 2016).

    p: (B, 1, H, W) probabilities, mask: (B, 1, H, W) floats, zeros and ones
    returns: (B,), 1 where both are empty
    """
    ### BEGIN SOLUTION
    overlap = (p * mask).sum(dim=(1, 2, 3))
    total = p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3))
    return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-8), 1.0)
    ### END SOLUTION


# %% tags=["check", "ex-5.6"]
check("5.6", soft_dice)

# %%
disc = ((torch.arange(28) - 13.5) ** 2)[:, None] + (torch.arange(28) - 13.5) ** 2 < 60
disc = disc.float().view(1, 1, 28, 28)
for shift in (0, 2, 6, 12):
    moved = disc.roll(shift, 3)
    right_pixels = (moved == disc).float().mean()
    print(f"moved by {shift:2} pixels: Dice {soft_dice(moved, disc).item():.3f}, right pixels {right_pixels:.3f}")

# %% [markdown]
# ### The warp
#
# Now consistency. The class of a lesion stays the same when the picture is turned; its *mask* does not, it turns along. So if
# the student sees a turned image, its target is the teacher's answer **turned in the same way**. Every pair needs one draw,
# which serves both.

# %% [markdown]
# ### Exercise 5.7 · One warp for two
#
# 14 min · difficulty 3/5 · objective 5e
#
# Given images (B, C, S, S) and targets (B, 1, S, S), floats, draw for each of the B pairs by itself, from `rng` and nothing else: mirrored left-right or
# not (one half each), and 0, 1, 2 or 3 quarter turns (equally likely). Change image and target **of a pair alike**, each at its place in the batch; return
# `(image, target)`, new tensors of these shapes.
#
# <details><summary>Hint 1 (direction)</summary>What is one thing cannot be turned in two ways: glue each target to its image as
# one more channel, warp the whole, and cut it apart again. (Or draw first, and use the same draw twice.)</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.cat([...], dim=1)</code>; <code>torch.rand(..., generator=rng)</code>
# and <code>torch.randint(4, (B,), generator=rng).tolist()</code>; for one picture (C, S, S) <code>.flip(2)</code> and
# <code>.rot90(k, (1, 2))</code>; <code>torch.stack</code> makes a batch of them.</details>


# %% tags=["exercise", "ex-5.7"]
def same_warp(image: torch.Tensor, target: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror and turn each pair of image and target, both in the same way.

    image: (B, C, S, S), target: (B, 1, S, S)
    returns: image (B, C, S, S), target (B, 1, S, S)
    """
    ### BEGIN SOLUTION
    both = torch.cat([image, target], dim=1)
    mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist()
    turns = torch.randint(4, (len(both),), generator=rng).tolist()
    warped = [(x.flip(2) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)]
    return torch.stack(warped).tensor_split([image.shape[1]], dim=1)
    ### END SOLUTION


# %% tags=["check", "ex-5.7"]
check("5.7", same_warp)

# %% [markdown]
# And the related notebook's way: it made a weak and a strong view of each image, **each with flips and turns of its own**, and asked
# that teacher and student agree pixel by pixel. Here are both targets, for the same warped images:

# %%
rng = generator(SEED, "shown warps")
warped, aligned = same_warp(augment.plain(pixels[:10]), outlines[:10], rng)
_, misaligned = same_warp(augment.plain(pixels[:10]), outlines[:10], rng)

# %% tags=["dataset", "figure"]
rows = [pictures[:10], warped, list(2 * aligned - 1), list(2 * misaligned - 1)]
titles = ["image", "what the\nstudent sees", "target, warped\nalong", "target, warped\nby itself"]
plots.show(
    plots.image_grid(rows, titles, scale=0.75, title="A target that turns along with the image, and one that does not"),
    "Ten images; the same ten, turned or mirrored; targets turned along with them, which fit; and targets turned each by itself, "
    "which for most images cover a different region than the one to be found.",
)

# %% [markdown]
# ### Training
#
# The network is a small **U-Net** (see `course_utils.models`): down to small maps that see much of the image, up again, with *skips*
# that hand the fine detail across. (That of the related notebook has no skips.) The labelled loss is $1 - D$ plus the cross-entropy of the
# pixels, and all images are made lighter or darker at random. Labelled and unlabelled images go through the student **in two passes**
# here: with so few masks the joint pass did worse than no unlabelled images at all, even with a weight of zero. So the choice of section 3
# is no law; it has to be tried. (It was tried on other test images than those below, with one seed.) The weight rises to
# the same `10` as before, along a ramp over the first quarter of the steps, as in section 4; both were set by hand, not
# by cross-validation.

# %%
SEG_STEPS = 300
noise = augment.View((augment.BrightnessContrast(0.2, 0.2, p=0.8),))


def mask_batches():
    """Endless batches: 8 warped images with their masks; 16 without, plain for the teacher and with noise."""
    order_l = shuffled(torch.arange(NUM_MASKS), 8, generator(SEED, "masks"))
    order_u = shuffled(torch.arange(NUM_POOL), 16, generator(SEED, "no masks"))
    rng, rng_u = generator(SEED, "labelled warps"), generator(SEED, "noise")
    for l, u in zip(order_l, order_u):
        x_l, y_l = same_warp(noise(pixels[l], rng), outlines[l], rng)
        yield Batch(x_l, y_l, augment.plain(pixels[u]), noise(pixels[u], rng_u), u)


# %%
def mask_loss(logits, masks):
    pixelwise = F.binary_cross_entropy_with_logits(logits, masks)
    return 1 - soft_dice(logits.sigmoid(), masks).mean() + pixelwise


class MaskStep:
    """The step of Exercise 5.3 for masks; `aligned=False` warps the target by a draw of its own."""

    def __init__(self, aligned):
        self.aligned, self.rng = aligned, generator(SEED, "unlabelled warps")

    def __call__(self, student, teacher, batch, weight):
        with torch.no_grad():
            answer = teacher(batch.x_w).sigmoid()
        seen, target = same_warp(batch.x_s, answer, self.rng)
        if not self.aligned:
            _, target = same_warp(batch.x_s, answer, self.rng)
        agree = (student(seen).sigmoid() - target).square().mean()
        loss_l = mask_loss(student(batch.x_l), batch.y_l)  # two passes, see above
        return loss_l + weight * agree, {"consistency": agree.item()}


# %%
def new_unet():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return UNet(pixels.shape[1]).to(DEVICE)


def supervised_masks(model, batch):
    return mask_loss(model(batch.x_l), batch.y_l), {}


# %% tags=["nbval-ignore-output", "aside"]
finished = {}
mask_run = train(new_unet(), supervised_masks, mask_batches(), SEG_STEPS, label="supervised")
finished["supervised"] = mask_run.ema
for name in ("aligned", "misaligned"):
    teach = MeanTeacher(MaskStep(name == "aligned"), w_max=10.0, ramp_steps=SEG_STEPS // 4)
    mask_run = train(new_unet(), teach, mask_batches(), SEG_STEPS, label=f"mean teacher, {name}")
    teach.follow(mask_run.model)
    finished[f"mean teacher, {name}"] = teach.teacher


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def predicted_masks(model):
    return (model.eval()(augment.plain(pixels[NUM_POOL:])) > 0).float()


found = {name: predicted_masks(model) for name, model in finished.items()}
dice = {name: soft_dice(region, outlines[NUM_POOL:]) for name, region in found.items()}
pd.DataFrame(
    {
        name: {"mean Dice": d.mean().item(), "images below .5": (d < 0.5).float().mean().item()}
        for name, d in dice.items()
    }
).T.round(3)

# %% tags=["figure"]
worst = dice["mean teacher, misaligned"].argsort()[:10].cpu()
rows = [pictures[NUM_POOL:][worst], list(2 * outlines[NUM_POOL:][worst] - 1)]
rows += [list(2 * region[worst] - 1) for region in found.values()]
titles = ["image", "mask", "supervised", "mean teacher,\naligned", "mean teacher,\nmisaligned"]
plots.show(
    plots.image_grid(rows, titles, scale=0.75, title="The ten test images on which the misaligned teacher does worst"),
    "The ten test images on which the misaligned mean teacher does worst: image, true mask, and the masks found by the "
    "supervised network, the aligned and the misaligned mean teacher.",
)

# %% [markdown]
# The misaligned teacher does harm: it asks for masks that lie elsewhere, and the network learns to hedge. What the target and its turned
# copy have in common is a blurred middle. On lesions, which are round and lie in the middle, a wrong turn often still covers most
# of the right region, and yet the Dice score falls well below that of the supervised network. (The related notebook gave this loss a weight of `.1`,
# with which the wrong target hardly harms, and the right one could hardly have helped.)
#
# The aligned teacher does much less harm, and brings no gain that one could count on. Here it is no miracle, and we do not hide it: our masks follow a simple
# rule, and ten examples show most of it. With masks that
# doctors drew there is more to learn from images without one. All this is one choice of ten masks and one seed: the fall of the misaligned
# teacher is large; the difference between the other two would have to be repeated before one believes it.

# %% [markdown]
# ## 8 · The running table
#
# Your runs on this label split, and then the five of the reference runs.

# %% tags=["nbval-ignore-output"]
methods = ["supervised", "Π-model", "temporal ensembling", "mean teacher"]
methods += ["mean teacher, student evaluated"]
own = [row for row in results.recorded(dataset, methods) if row["label_split"] == label_split.id]
results.compare(own, dataset)

# %% tags=["dataset"]
results.compare(reference, dataset, methods=methods)

# %% [markdown]
# Label split by label split against the baseline: the mean difference ± its standard error, and on how many label splits the method is above.

# %% tags=["dataset", "figure"]
plots.show_gains(reference, methods[1:], ("AUC", "macro-F1"))

# %% [markdown]
# Then the control experiment: the same code and settings on the digits, whose classes are balanced.

# %% tags=["dataset", "figure"]
plots.show_gains(results.reference(load_dataset("digits")), methods[1:], ("AUC", "macro-F1"))

# %% [markdown]
# **Analysis** On DermaMNIST the three methods are above the equally tuned baseline in macro-F1, on four label splits of five or on all,
# by a few hundredths and by about two standard errors or more, and a little above it in AUC. So unlabelled images help here, without any
# threshold and without a pseudo-label. The order among the methods is not that of their age: the Π-model, the oldest and the simplest, is
# no different from the mean teacher. Three things may explain it. `train` averages the weights of *every*
# method, so the Π-model is evaluated with an average, too. The learning rate falls, so at the end the student hardly moves, and
# teacher and student come close to each other. And the training is short, while the teacher's strength is a long one. Temporal
# ensembling has the oldest targets, from a few visits of each image, and the smallest gain; but it has it on every label split.
#
# In the control experiment, too, the three are alike: on the digits each is above the baseline on every label split, by about five
# standard errors or more.
#
# What this does not show: that a mean teacher is not worth its second network in general. In the papers, with a larger network that has
# dropout, it was well ahead. Nor that consistency always helps: with strong views of the labelled images the same loss brought
# nothing in the cross-validation. The settings were chosen on other label splits, for the mean teacher only. All images come from one
# collection, and some test images show a lesion that is also in the training split. And a step of the mean teacher or the Π-model sees three
# times as many images as a supervised one: equal steps are not equal work. The second baseline of lesson 01, which looks at even more
# images, all of them labelled, has half of this gain in macro-F1 or more, but none of the gain in AUC (lesson 09 compares them label split by label split).

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (5a). A network gives the same answer to every image there is. Its consistency loss is then
#
# <details><summary>a) zero</summary>Yes. Agreement says nothing about being right; only the labelled images speak against this
# answer. That is why the weight starts small.</details>
# <details><summary>b) as large as it can be</summary>That would be so if the two answers to an image were sure and
# opposite.</details>
# <details><summary>c) the entropy of that answer</summary>The squared distance of an answer to itself is zero, however unsure
# the answer is.</details>
#
# **Question 2** (5d). The teacher's weights are averaged, but its BatchNorm buffers are never copied, and the teacher always answers
# in evaluation mode. What do you see?
#
# <details><summary>a) An error, since the shapes differ</summary>They have the same shapes. Nothing complains.</details>
# <details><summary>b) Poor targets from the first step, and poor predictions</summary>Yes. In evaluation mode BatchNorm uses the
# buffers, and these are those of an untrained network. (In training mode it would use the batch, and gather statistics of its
# own.)</details>
# <details><summary>c) Nothing: the buffers are learnt along with the weights</summary>Buffers get no gradient. They are moved by
# passes in training mode, or by you.</details>
#
# **Question 3** (5e). The student sees an image turned by a quarter, the teacher the image as it is. For which task may the teacher's
# answer be the target without change?
#
# <details><summary>a) For the class of the image</summary>Yes, as long as the turn keeps the class: for lesions it does, for
# digits it does not.</details>
# <details><summary>b) For the mask of the image</summary>The mask must turn along, or the student is asked for a wrong
# mask.</details>
# <details><summary>c) For both, since the loss is averaged over all pixels anyway</summary>The average runs over squared
# differences of pixels that do not belong together.</details>

# %% [markdown]
# ## Key points
#
# - Two views, one answer: a squared distance of probabilities, a constant target, a slow ramp.
# - Consistency spreads what the labels say. It does not know what is right.
# - A mean teacher averages the weights after each optimizer step, copies the buffers, and gets no gradient.
# - Test by a property: where student and teacher differ, the gradient is not zero.
# - Whatever moves the image moves the target along, if the target has places in it.
#
# Next: `06_fixmatch.ipynb`, which keeps only the answers that the network is sure of.

# %%
progress("05")
