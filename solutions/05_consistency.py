# %% [markdown]
# # 05 · Consistency and the mean teacher
#
# Show a network two views of one image, and it may give two different answers. You need no label to know that at least one of them is
# wrong. How much can it learn from that alone?
#
# ![Mean teacher. The student answers the labelled images and a strong view of each unlabelled image. The teacher answers a weak view of the same image, and its answer is the target of the consistency loss. No gradient flows into the teacher: its weights are a moving average of the student's, renewed after each step.](../docs/figures/mean_teacher.svg)
#
# The idea is called **consistency**: two views, one answer. Three methods are built on it. They differ in who gives the answer that the
# network has to match: the network itself, its own past answers, or a slow copy of it, the **mean teacher** in the picture.
#
# **Time** 130 min, of which the computer trains for 2. The optional second half, segmentation, takes 38 of them.
#
# **You need** lessons 00 and 01 (the metrics, the label split, the supervised baseline)
#
# **Objectives**
#
# - **5a** Write a loss that asks for the same answer to two views, and turn it up slowly.
# - **5b** Put it into a training step: who sees which view, and where the gradient flows.
# - **5c** Average the past predictions of each image, without a bias towards zero.
# - **5d** Build a mean teacher, a network whose weights are the average of the student's.
# - **5e** (second half) Carry the idea to segmentation, where a turned image needs a turned target.

# %% tags=["setup"]
import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from skimage import filters, measure

from course_utils import augment, evaluation, playground, plots, results, widgets
from course_utils.batches import Batch, batches, generator, shuffled
from course_utils.check import borrow, check, progress, reveal
from course_utils.datasets import load_dataset, load_kvasir, to_tensor
from course_utils.device import DEVICE
from course_utils.labels import split_labels
from course_utils.models import UNet, new_model
from course_utils.settings import KVASIR, NUM_LABELS, NUM_STEPS, SEED
from course_utils.training import supervised_loss, train, train_baseline

# %% [markdown]
# ## 1 · See it first
#
# Two moons, and three labels in each. Run the cell and move the slider. The network learns **from the labelled points alone**.

# %% tags=["nbval-ignore-output"]
playground.watch(supervised_loss, title="Labels alone")

# %% [markdown]
# Now the same labels with a mean teacher. It knows no more about the other points than you do. It only asks each of them to keep its
# class when it is nudged a little:
#
# ![A strip of four pictures of two moons at steps 0, 50, 200 and 800, trained by a mean teacher: the boundary bends until it runs through the gap between the moons, and nearly every point has the colour of its moon.](../docs/figures/strip_mean_teacher.png)
#
# A nudged point lands among its neighbours. So each point takes the class of the points around it, and a label travels along the moon until
# the gap stops it. By the end of section 7 **your own function** draws this picture.

# %% [markdown]
# ## 2 · Two views, two answers
#
# Does a real network contradict itself? A hundred steps of supervised training take a few seconds. Then we show it nine weak and nine strong
# views of 200 images without a label, and pick the one on which its answers differ most.

# %% tags=["nbval-ignore-output"]
dataset = load_dataset()
label_split = split_labels(dataset, NUM_LABELS, SEED)
weak, strong = augment.views(dataset)
print(dataset)
print(label_split)

# %% tags=["nbval-ignore-output"]
young = train_baseline(dataset, label_split, num_steps=100).ema
labelled = set(label_split.labelled.tolist())
unlabelled = [i for i in range(len(label_split.images)) if i not in labelled][:200]
rng = generator(SEED, "probe views")
views = torch.stack([view(label_split.images[unlabelled], rng) for view in [weak] * 9 + [strong] * 9])
with torch.no_grad():
    confidence, answer = torch.stack([young(x) for x in views]).softmax(2).max(2)  # (18, 200) each
puzzling = (answer == answer.mode(0).values).sum(0).argmin()

# %% tags=["figure"]
title = "One image, eighteen views, and what the network calls each"
figure = plots.image_grid(list(views[:, puzzling].split(9)), ["weak", "strong"], scale=0.95, title=title)
for ax, p, c in zip(figure.axes, confidence[:, puzzling].tolist(), answer[:, puzzling].tolist()):
    ax.set_xlabel(f"{dataset.class_names[c]} {p:.2f}", fontsize=8)
plots.show(
    figure,
    "Nine weak views of one image in the first row and nine strong views of it in the second. Under each view stands the class that the "
    "network predicts, and its probability.",
)

# %% [markdown]
# One image, one truth, several answers. Consistency makes a loss of it. The prediction on one view is the **target** $q_b$, and a target
# is a constant. The prediction on the other view has to match it, by their squared distance over the $B$ images and $C$ classes:
#
# $$\ell_u = \frac{1}{C\,B} \sum_{b=1}^{B} \lVert p(y \mid x_b) - q_b \rVert_2^2.$$
#
# Why squares, and not the cross-entropy? A target may be wrong. The square is bounded, so no single image can drown out the rest.

# %% [markdown]
# ### Exercise 5.1 · The consistency loss
#
# 8 min · difficulty 1/5 · objective 5a
#
# Given `logits` (B, num_classes) of one view, which may be as large as ±300, and the `target` (B, num_classes), which holds
# **probabilities**, return $\ell_u$ as a scalar tensor: the mean over images *and* classes. The gradient flows to `logits` and
# **not to `target`**, even if `target` was computed with gradients. `target` itself stays as it is.
#
# <details><summary>Hint 1 (direction)</summary>You can't subtract logits from probabilities. Which of the
# two arguments still needs a softmax, and which one must be cut off from the gradient?</details>
#
# <details><summary>Hint 2 (which function)</summary><code>logits.softmax(dim=1)</code>, <code>target.detach()</code>,
# <code>.square()</code>, and one <code>.mean()</code> over everything.</details>


# %% tags=["exercise", "ex-5.1"]
def consistency_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared distance between a prediction and its target (Laine & Aila 2017; Tarvainen & Valpola 2017).

    logits: (B, num_classes), target: (B, num_classes) probabilities, taken as constant
    returns: scalar
    """
    ### BEGIN SOLUTION
    return (logits.softmax(dim=1) - target.detach()).square().mean()
    ### END SOLUTION


# %% tags=["check", "ex-5.1"]
check("5.1", consistency_loss)

# %% [markdown]
# ## 3 · Slowly
#
# In the first steps the predictions are noise. A network that has to agree with noise learns to say nothing at all, which is perfectly
# consistent. So the labels get a head start, and the weight of $\ell_u$ rises along a **ramp**:
#
# $$w(t) = w_{\max} \, e^{-5 (1 - t)^2}, \qquad t = \min(1, \mathrm{step} / \mathrm{ramp\ steps}).$$
#
# Here $t$ is the part of the ramp that is done, and $w_{\max}$ the full weight.

# %% [markdown]
# ### Exercise 5.2 · The ramp
#
# 6 min · difficulty 1/5 · objective 5a
#
# Return the factor $e^{-5 (1 - t)^2}$, a number, at `step` (0, 1, 2, ...), with $t$ rising from 0 to 1 over `ramp_steps`
# steps: 1 from step `ramp_steps` on. `ramp_steps = 0` means no ramp: 1 at every step, also at step 0.
#
# <details><summary>Hint 1 (direction)</summary>First the fraction <code>t</code> of the ramp that is done, which never exceeds 1. Mind
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
figure, ax = plots.plt.subplots(figsize=(6, 2.2))
ax.plot([ramp_up(step, 400) for step in range(601)], markevery=100)
ax.set(xlabel="step", ylabel="fraction of the weight", title="Your ramp over 400 steps")
plots.show(
    figure,
    "The ramp over 400 steps: it stays close to zero for the first hundred steps, rises steeply in the middle and reaches one "
    "at step 400, flat again, where it remains.",
)

# %% [markdown]
# ## 4 · The step
#
# Who gives the target? Let's leave that open and call it the **teacher**: some network that sees the weak views. The **student** is the
# network that is trained. It sees the strong views of the same images, and the labelled ones:
#
# $$\ell = \ell_s + w \, \ell_u.$$
#
# The teacher works under `no_grad`. If a gradient ran into it, the teacher would move towards the student, and the two would meet halfway.
#
# The student takes both groups of images in **one joint pass**, because BatchNorm normalises whatever goes through together.

# %% [markdown]
# ### Exercise 5.3 · One step
#
# 24 min · difficulty 3/5 · objective 5b
#
# Return `(loss, logs)`: the scalar $\ell_s + w\,\ell_u$, where $w$ is `weight`, and `{"consistency": ...}`, $\ell_u$ without $w$, a number. $\ell_s$
# is the cross-entropy on `batch.x_l, batch.y_l`; $\ell_u$ compares the student on `batch.x_s` with the teacher's probabilities on `batch.x_w`.
# The student gets `x_l` and `x_s`, nothing else, in **one joint pass**; the teacher gets `x_w`, in one pass under `no_grad`, also when `weight` is 0.
# Leave modes (`eval()`, `train()`) and `requires_grad` alone: `teacher` may be `student` itself, or frozen.
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
# One slip here is easy to make and hard to see. Detach the student instead of the teacher: the loss has the right value, nothing crashes,
# and the images without a label teach nothing. A number can't tell you. A **property** can: where student and teacher differ, the gradient
# is not zero. The check tests it. In lesson 10 you hunt a relative of this bug, from a well-known library.

# %% [markdown]
# ## 5 · The student as its own teacher: the Π-model
#
# The simplest teacher is the student itself, asked about another view. That is the **Π-model**
# ([Laine & Aila 2017](https://arxiv.org/abs/1610.02242)). An object counts the steps for the ramp; make a new one for each run.

# %%
W_MAX, RAMP_STEPS = 10.0, 400


class PiModel:
    """The Π-model as a loss for `train`: the student is its own teacher."""

    def __init__(self):
        self.step = 0

    def __call__(self, model, batch):
        weight = W_MAX * ramp_up(self.step, RAMP_STEPS)
        self.step += 1
        return consistency_step(model, model, batch, weight)


# %% [markdown]
# On the moons a view is a nudge: a small one for the teacher, a large one for the student.

# %% tags=["nbval-ignore-output"]
playground.watch(PiModel(), title="Your Π-model")

# %% [markdown]
# There it goes. Ten lines of your own code, and the boundary finds the gap.

# %% [markdown]
# ## 6 · A memory for each image: temporal ensembling
#
# One answer is a shaky target. An average of many is steadier. **Temporal ensembling** (same paper) keeps for every image $i$ of the
# pool a running sum $Z_i$ of its past predictions $z$, probabilities. The newest counts most, and $q_i$ is the target:
#
# $$Z_i \leftarrow \alpha Z_i + (1 - \alpha)\, z, \qquad q_i = \frac{Z_i}{1 - \alpha^{n_i}},$$
#
# where $n_i$ counts how often the image has come by. Why divide? $Z_i$ starts at zero, so after one visit it is $(1 - \alpha)\, z$,
# which doesn't sum to one. It is too small by exactly that factor:

# %%
Z, alpha = torch.zeros(2), 0.6
for n, z in enumerate([torch.tensor([0.8, 0.2]), torch.tensor([0.6, 0.4]), torch.tensor([0.7, 0.3])], 1):
    Z = alpha * Z + (1 - alpha) * z
    print(f"n = {n}: Z sums to {Z.sum():.3f}, and 1 - alpha^n is {1 - alpha**n:.3f}")

# %% [markdown]
# ### Exercise 5.4 · Take in the new answers
#
# 20 min · difficulty 3/5 · objective 5c
#
# `Z` (N, num_classes) and `counts` (N,) int64 belong to the whole pool; `z` (B, num_classes) are new **probabilities** of the images `index` (B,),
# in any order, without repeats. Return `(Z, counts, target)`: both memories after taking in `z`, other rows unchanged, and the targets $q_i$
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
    """Take new predictions into the running averages of their images (Laine & Aila 2017, algorithm 2).

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
# The loss around it needs one pass through the network instead of two: the answer of an earlier visit is the second view. The target that
# `ensemble_update` returns is kept for the *next* visit, or an image would be compared with itself. On its first visit an image has no
# target, and its loss is zero.


# %%
class TemporalEnsembling:
    """Temporal ensembling as a loss for `train`: the average prediction for each image of the pool. Its only view is `x_w`."""

    def __init__(self, num_images, num_classes, alpha=0.6):
        self.Z = torch.zeros(num_images, num_classes, device=DEVICE)
        self.counts = torch.zeros(num_images, dtype=torch.int64, device=DEVICE)
        self.targets, self.alpha, self.step = self.Z.clone(), alpha, 0

    def __call__(self, model, batch):
        n, index = len(batch.x_l), batch.index.to(DEVICE)
        logits = model(torch.cat([batch.x_l, batch.x_w]))
        z = logits[n:].detach().softmax(1)
        old = torch.where(self.counts[index, None] > 0, self.targets[index], z)
        agree = consistency_loss(logits[n:], old)
        self.Z, self.counts, new = ensemble_update(self.Z, self.counts, index, z, self.alpha)
        self.targets[index] = new
        weight = W_MAX * ramp_up(self.step, RAMP_STEPS)
        self.step += 1
        return F.cross_entropy(logits[:n], batch.y_l) + weight * agree, {"consistency": agree.item()}


# %% tags=["nbval-ignore-output"]
memory = TemporalEnsembling(num_images=500, num_classes=2)
playground.watch(  # its only view is x_w: put the large nudges, x_s, in its place
    lambda model, batch: memory(model, batch._replace(x_w=batch.x_s)),
    title="Your temporal ensembling, with large nudges",
)

# %% [markdown]
# Steadier is not yet better. One picture of moons shows how a method works; don't rank the methods by it.
#
# The weak point: a target is as old as the image's last visit. With thousands of images and few passes over them, it was given by a network
# that knew a lot less.

# %% [markdown]
# ## 7 · Average the weights instead: the mean teacher
#
# An average of answers has to wait for its image. An average of *weights* doesn't. After every step the **mean teacher**
# ([Tarvainen & Valpola 2017](https://arxiv.org/abs/1703.01780)) moves a little towards the student, and it can answer any view of
# any image at once. Its weights $\theta'$ are an exponential moving average (EMA) of the student's weights $\theta$. At step $k = 0, 1, 2, \dots$
#
# $$\theta' \leftarrow d_k\, \theta' + (1 - d_k)\, \theta, \qquad d_k = \min\left(1 - \frac{1}{k + 1},\; d\right).$$
#
# (The paper calls the decay $\alpha$; here it is $d$.) How slow should it be? Play with $d$. When does the average lag behind, and when does it wobble?

# %% tags=["nbval-ignore-output"]
widgets.averaging(0.99)

# %% [markdown]
# The dotted line shows why there is a minimum. Move the slider to `.999`: with $d$ from the first step on, the random start lingers. With the minimum, the teacher is
# the plain mean of all students so far, and only later forgets the old ones: at `.99` from step `99` on. (`train` averages the weights of *every*
# method of this course, by a rule of the same kind: $d_k = \min((1 + k) / (10 + k),\; d)$.)
#
# A network is more than its weights. BatchNorm also keeps **buffers**, statistics of what has passed through it:

# %%
{name: str(value.dtype) for name, value in new_model(dataset, SEED).named_buffers()}

# %% [markdown]
# Here they are copied. The [authors' PyTorch code](https://github.com/CuriousAI/mean-teacher/blob/master/pytorch/main.py) leaves them
# out: its teacher trains in training mode and gathers its own. Both work. What fails is a teacher that neither copies nor gathers them,
# and answers with the statistics of an untrained network.

# %% [markdown]
# ### Exercise 5.5 · The teacher follows
#
# 20 min · difficulty 3/5 · objective 5d
#
# Move `teacher` one update towards `student`, **in place**, and return it. All parameters, frozen ones, too: $\theta' \leftarrow d_k \theta' + (1 - d_k)\,
# \theta$ with $d_k = \min(1 - 1/(\mathrm{step} + 1),\ \mathrm{decay})$ for `step` = 0, 1, 2, ... (at step 0 the teacher becomes a copy). All
# buffers, including non-persistent ones, are copied. The student, its gradients, and the modes and `requires_grad` of both stay as they are; no
# gradient is recorded, and the two share no memory afterwards.
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
# *When* does the teacher follow? After the optimiser's step. `train` calls the loss first and the optimiser afterwards, so at the beginning of
# each call the model already includes the previous update. The first time, the teacher starts as a **copy** of the student.


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
        self.follow(model)  # the model as the last optimiser step left it
        weight = self.w_max * ramp_up(self.step, self.ramp_steps)
        self.step += 1
        return self.step_loss(model, self.teacher, batch, weight)


# %% tags=["nbval-ignore-output"]
playground.watch(MeanTeacher(), title="Your mean teacher")

# %% [markdown]
# ## 8 · On the lesions
#
# Your mean teacher goes to work on real images. The baseline learns best from strong views of its labelled images, the mean teacher from
# weak ones. That and the weight were chosen by [cross-validation](../docs/results/settings.md) inside the labels, for the mean teacher only. The
# other two methods take the same.

# %% tags=["nbval-ignore-output"]
mean_teacher = MeanTeacher()
pairs = batches(label_split, weak, strong, batch_size=32, mu=1, seed=SEED)
run = train(new_model(dataset, SEED), mean_teacher, pairs, NUM_STEPS, label="mean teacher")
mean_teacher.follow(run.model)  # the last step
print(f"{run.steps_done} steps, {run.images_seen:,} images, {run.seconds:.0f} s")

# %% [markdown]
# Two networks come out of it. The teacher is the result. Is it better than its student? Beside them stands the course's own run of the
# supervised baseline with these labels.

# %% tags=["nbval-ignore-output"]
networks = {"mean teacher": mean_teacher.teacher, "mean teacher, student evaluated": run.model}
scores = {name: evaluation.evaluate(network, dataset.test) for name, network in networks.items()}
for name in networks:
    results.record(name, dataset, label_split, run, scores[name])
reference = results.reference(dataset)
same_labels = [row for row in reference if row["label_split"] == label_split.id]
baseline = {row["method"]: row for row in same_labels if row["method"] == "supervised"}
evaluation.score_table(baseline | scores, dataset, dataset.test)

# %% tags=["dataset"]
for name in networks:
    for metric in ("AUC", "macro-F1"):
        print(results.within(name, metric, scores[name][metric], dataset))

# %% [markdown]
# Here are the five label splits of the course's own runs, for all three methods, each paired with the supervised baseline on the same labels.

# %% tags=["dataset"]
methods = ["Π-model", "temporal ensembling", "mean teacher", "mean teacher, student evaluated"]
plots.show_gains(reference, methods, ("AUC", "macro-F1"))

# %% [markdown]
# Is that clear? Lesson 01 asks for about three standard errors. Here is the mean teacher against three opponents: the baseline, *batches of 160*
# without one unlabelled image, and its own student.

# %% tags=["dataset"]
for opponent in ("supervised", "supervised, batches of 160", "mean teacher, student evaluated"):
    for metric in ("AUC", "macro-F1"):
        found = results.paired(reference, opponent, metric).get("mean teacher")
        if found and found.pairs > 1:
            verdict = "clear" if abs(found.gain) >= 3 * found.sem else "may be luck"
            print(
                f"{metric:8} over {opponent:31}  {found.gained}, {found.gain / found.sem:+.1f} standard errors: {verdict}"
            )

# %% [markdown]
# No threshold, no pseudo-label, just agreement. All numbers: [lesions](../docs/results/dermamnist.md), and the same code on
# [digits](../docs/results/digits.md). And here is how it differs from the papers' runs (CIFAR-10 and SVHN):
#
# | | papers | here |
# |---|---|---|
# | network | 13 layers with dropout | SimpleCNN without dropout, for a CPU |
# | steps | many thousands | `1600` |
# | two views | the same kind of noise twice | weak for the teacher, strong for the student |
# | Π-model's gradient | through both answers | through one, so that one step serves every teacher |
# | full weight $w_{\max}$, beside a mean over the labelled images | `100`, or `30` for temporal ensembling | `10`, after a ramp of `400` steps |
# | decay $d$ | `.999`, at first `.99` on SVHN | `.99` |
# | towards the end | learning rate and Adam's $\beta_1$ fall | the learning rate falls along a cosine |
# | $\ell_u$ runs over | all images; the mean teacher leaves out the labelled ones on SVHN | the whole pool, labelled images included |

# %% [markdown]
# ## 9 · Break it
#
# Consistency trusts one thing: **a view of an image is still the same image**. The moons lie about half a unit apart. Give the student nudges of
# `.8`, so that many a point lands on the wrong moon.

# %% tags=["nbval-ignore-output"]
playground.watch({"Π-model": PiModel(), "mean teacher": MeanTeacher()}, strong=0.8)

# %% [markdown]
# Asked to agree across the gap, a network fades: being sure of nothing is the cheapest way to agree. But pale is not yet wrong. Hold both against
# the labels alone in section 1. Which one still learnt something, and which one broke? Nothing in the loss says that the views are too strong.
# You have to know which changes keep the class.

# %% [markdown]
# ## What we know
#
# - The dot plot is what we measured on lesions with these settings. [Elsewhere](../docs/results/networks.md) it differs.
# - In the papers the mean teacher was well ahead of the Π-model. Compare them here. `train` averages the weights of *every* method, so
#   the Π-model is evaluated with an average, too.
# - A step of the Π-model or the mean teacher sees three times as many views as a supervised one. Equal steps are not equal work.
# - The settings were chosen for the mean teacher, on other label splits.
# - All lesions come from one collection. Our network is small and has no dropout.

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (5a). A network gives the same answer to every image there is. Its consistency loss is
#
# <details><summary>a) as large as it can be</summary>That would be so if the two answers to an image were sure and
# opposite.</details>
# <details><summary>b) zero</summary>Yes. Agreement says nothing about being right; only the labelled images speak against this
# answer. That is why the weight starts small.</details>
# <details><summary>c) the entropy of that answer</summary>The squared distance of an answer to itself is zero, however unsure
# the answer is.</details>

# %% [markdown]
# **Question 2** (5b). You train a mean teacher twice, with $w_{\max}$ = 0 and with 10. The logged consistency loss is not zero, and yet both
# students end with exactly the same weights. What do you look at first?
#
# <details><summary>a) The decay of the teacher</summary>A poor decay makes poor targets. With another weight they would still pull differently.</details>
# <details><summary>b) The number of steps</summary>More steps of what is not happening won't help.</details>
# <details><summary>c) Whether the consistency loss sends a gradient to the student</summary>Yes. The weight scales that gradient, and nothing
# else. If there is none, no weight makes a difference.</details>

# %% [markdown]
# **Question 3** (5d). The teacher's weights are averaged, but its BatchNorm buffers are never copied, and it always answers
# in evaluation mode. What do you see?
#
# <details><summary>a) Poor targets from the first step, and poor predictions</summary>Yes. In evaluation mode BatchNorm uses the
# buffers, and these are those of an untrained network.</details>
# <details><summary>b) An error, since the shapes differ</summary>They have the same shapes. Nothing complains.</details>
# <details><summary>c) Nothing: the buffers are learnt along with the weights</summary>Buffers get no gradient. They are moved by
# passes in training mode, or by you.</details>

# %% [markdown]
# ## Key points
#
# - Two views, one answer: a squared distance of probabilities, a constant target, a slow ramp.
# - Consistency spreads what the labels say. It does not know what is right.
# - A mean teacher averages the weights after each optimiser step, and gets no gradient.
# - Test a property: where student and teacher differ, the gradient is not zero.
#
# Next: `06_fixmatch.ipynb`, which keeps only the answers that the network is sure of. Or stay for the second half.

# %% [markdown]
# ## Optional second half · The same idea, pixel by pixel
#
# This part is extra: no later lesson needs it. In **segmentation** the label is a mask, one class for each pixel, and a mask takes a
# person minutes to draw. So masks are few. Consistency can use the images without one, but there is a trap: turn the image, and its target has to
# turn along. That trap is what this half is about. Whether the method gains anything here, you will see.
#
# If you have [Kvasir-SEG](https://datasets.simula.no/kvasir-seg/), polyps with masks that doctors drew, set `COURSE_KVASIR` to the folder that holds
# `images` and `masks`. If not, **a rule makes the masks** for our own images: what is darker than a threshold, and of that the largest piece.
# No doctor drew these outlines. They are enough to compare methods, and say nothing about medicine.


# %%
def rule_mask(image):
    """(H, W) bool: the dark part of an image of a lesion, or the ink of a digit, by Otsu's threshold."""
    if image.shape[2] == 1:
        return image[:, :, 0] > filters.threshold_otsu(image)
    darkness = filters.gaussian(255.0 - image.mean(axis=2), sigma=1)
    pieces = measure.label(darkness > filters.threshold_otsu(darkness))
    return pieces == np.bincount(pieces[pieces > 0]).argmax()


def touches_edge(masks):
    """(N,) bool: which masks (N, H, W) reach the edge of their picture, as its dark rim does, or a lesion that is cut off."""
    return masks[:, [0, -1]].any(axis=(1, 2)) | masks[:, :, [0, -1]].any(axis=(1, 2))


# %% [markdown]
# On some photographs the darkest piece is the rim of the picture, not the lesion. A rim touches the edge, so masks that do are left out.

# %% tags=["dataset"]
if KVASIR:
    pictures, masks = load_kvasir(KVASIR)
    NUM_POOL = len(pictures) * 2 // 3
    print("Kvasir-SEG, with the masks that doctors drew")
else:
    pictures = np.concatenate([dataset.train.images[:1000], dataset.test.images[500:1000]])
    masks = np.stack([rule_mask(image) for image in pictures])
    whole = ~touches_edge(masks)
    print(f"masks made by a rule; {(~whole).sum()} of {len(whole)} touch the edge and are left out")
    pictures, masks, NUM_POOL = pictures[whole], masks[whole], int(whole[:1000].sum())
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
# Most pixels are background, so counting right pixels rewards the answer *nothing*. The **Dice** score asks for the
# overlap. For probabilities $p$ and a mask $m$ of zeros and ones, summed over the pixels of one image,
#
# $$D = \frac{2 \sum p\, m}{\sum p + \sum m}.$$
#
# It is 1 for a perfect mask and 0 where nothing overlaps. It can be differentiated, so $1 - D$ is a loss.
# ([Milletari et al. 2016](https://arxiv.org/abs/1606.04797), who made it one, have squares below: $\sum p^2 + \sum m^2$.)

# %% [markdown]
# ### Exercise 5.6 · Soft Dice
#
# 13 min · difficulty 2/5 · objective 5e
#
# Given probabilities `p` and masks `mask` of zeros and ones, both (B, 1, H, W) floats, return the Dice score **of each image**, a float tensor (B,), by
# the formula above. Where both are empty (nothing but zeros) the score is 1 and not nan: there was nothing to find. A gradient flows
# to `p`; it is never nan, not even where both are empty. To avoid the division by zero you may add a term above and below, of at most `1e-7`.
#
# <details><summary>Hint 1 (direction)</summary>Two sums over all axes but the first. Then think of the image in which both are
# zero.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>.sum(dim=(1, 2, 3))</code>; <code>torch.where</code> chooses image by
# image, and <code>.clamp(min=...)</code> keeps the divisor away from zero.</details>


# %% tags=["exercise", "ex-5.6"]
def soft_dice(p: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Overlap of predicted and true region, image by image (Dice 1945).

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
    print(f"disc moved by {shift:2} pixels: Dice {soft_dice(moved, disc).item():.2f}, right pixels {right_pixels:.2f}")

# %% [markdown]
# ### The trap
#
# Turn the picture, and the class of a lesion stays the same. Its *mask* turns along. So if the student sees a turned image, its
# target is the teacher's answer **turned in the same way**. One random draw for each pair has to serve both.

# %% [markdown]
# ### Exercise 5.7 · One warp for two
#
# 20 min · difficulty 3/5 · objective 5e
#
# Given images (B, C, S, S) and targets (B, 1, S, S), floats, draw for each of the B pairs by itself, from `rng` and nothing else: mirrored left-right or
# not (one half each), and 0, 1, 2 or 3 quarter turns (equally likely). Change image and target **of a pair alike**, each at its place in the batch; return
# `(image, target)`, new tensors of these shapes.
#
# <details><summary>Hint 1 (direction)</summary>One tensor can't be turned two ways: glue each target to its image as
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
# A related notebook by the author of the original one fell into the trap: its weak and strong views had flips and turns of their own. Here
# are both targets for the same images:

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
# ### Train both
#
# The network is a small **U-Net**: down to small maps that see much of the image, up again, with *skips* that hand the fine detail across. The
# labelled loss is $1 - D$ plus the cross-entropy of the pixels. Unlike in Exercise 5.3, labelled and unlabelled images go through the student
# in two passes.


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
    """The step of Exercise 5.3 for masks; `aligned=False` warps the target by a random draw of its own."""

    def __init__(self, aligned):
        self.aligned, self.rng = aligned, generator(SEED, "unlabelled warps")

    def __call__(self, student, teacher, batch, weight):
        with torch.no_grad():
            answer = teacher(batch.x_w).sigmoid()
        seen, target = same_warp(batch.x_s, answer, self.rng)
        if not self.aligned:
            _, target = same_warp(batch.x_s, answer, self.rng)
        agree = (student(seen).sigmoid() - target).square().mean()
        return mask_loss(student(batch.x_l), batch.y_l) + weight * agree, {"consistency": agree.item()}


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
for name, d in dice.items():
    print(f"{name:26} mean Dice {d.mean():.2f}, below one half on {(d < 0.5).float().mean():.1%} of the test images")

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
# The misaligned teacher asks for masks that lie elsewhere, so the network learns what a region and its turned copy have in common: a blurred
# middle. Compare the aligned teacher with the supervised network, too. Masks that follow a simple rule are learnt from ten examples, and
# agreement may add nothing or even hurt. This is one choice of ten masks and one seed.

# %%
progress("05")
