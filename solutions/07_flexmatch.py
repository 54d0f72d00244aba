# %% [markdown]
# # 07 · FlexMatch, and what came after
#
# FixMatch holds every class to the same threshold. A class that the network finds hard rarely passes, gets few pseudo-labels, and stays
# hard. What if a class that lags behind got an easier test?
#
# ![FlexMatch is FixMatch with a threshold for each class. A memory holds for each image of the pool its last pseudo-label that reached the fixed threshold tau. The counts in it say how far each class is learnt, and give its threshold: lower for a class that is behind. The mask compares the answer on the weak view with the threshold of the class that it names. What passes is the pseudo-label for the strong view. No gradient flows through any of this.](../docs/figures/flexmatch.svg)
#
# That is FlexMatch ([Zhang et al. 2021](https://arxiv.org/abs/2110.08263)). You build it, meet the data on which it fails, repair it, and
# look at the two methods that came next.

# %% [markdown]
# **Time** 100 min, of which the computer trains for 3
#
# **You need** lessons 00, 01 and 06 (pseudo-label and mask, the masked loss, the step)
#
# **Objectives**
#
# - **7a** Keep a memory of confident pseudo-labels, and read from it how far each class is learnt.
# - **7b** Turn that into thresholds, and test a rule by its properties.
# - **7c** Write FlexMatch's step: which threshold masks, which one remembers, and in what order.
# - **7d** See what the rule does where one class is frequent and the others are rare.
# - **7e** Repair it twice: by the class prior, and by distribution alignment.
# - **7f** Weigh pseudo-labels instead of sorting them into kept and dropped.

# %% tags=["setup"]
from collections.abc import Callable

import pandas as pd
import torch
import torch.nn.functional as F

from course_utils import augment, evaluation, playground, plots, results, widgets
from course_utils.batches import batches, generator
from course_utils.check import borrow, check, progress, reveal
from course_utils.datasets import load_dataset
from course_utils.device import DEVICE
from course_utils.labels import split_labels
from course_utils.models import new_model
from course_utils.settings import NUM_LABELS, NUM_STEPS, SEED
from course_utils.training import train, train_baseline

# %% [markdown]
# ## 1 · See it first
#
# Seven kinds of skin lesion, one threshold. Train the supervised baseline for a few seconds, let it answer on the images without a label,
# and move $\tau$ from left to right. Which bars empty first?

# %% tags=["nbval-ignore-output"]
dataset = load_dataset()
label_split = split_labels(dataset, NUM_LABELS, SEED)
num_classes, num_images = dataset.num_classes, len(label_split.images)
print(dataset)
print(label_split)

# %% tags=["nbval-ignore-output"]
quick = train_baseline(dataset, label_split, num_steps=300)
unlabelled = torch.tensor(sorted(set(range(num_images)) - set(label_split.labelled.tolist())))
truth = label_split.measure_labels(unlabelled)
answers = torch.from_numpy(evaluation.predict(quick.ema, label_split.images[unlabelled]))
widgets.threshold(answers, truth, label_split.images[unlabelled], dataset.class_names)

# %% [markdown]
# On the lesions the frequent class *nevus* outlives all others. A threshold for each class could help the rest.
#
# And here is what FlexMatch does with the two moons and six labels of lesson 06. By the end of section 5 **your own function** draws this
# picture.
#
# ![A strip of four pictures of two moons at steps 0, 50, 200 and 800, trained by FlexMatch: the boundary moves until it runs through the gap between the moons.](../docs/figures/strip_flexmatch.png)
#
# You need two pieces of lesson 06 again, in short: confidence and pseudo-label on weak views, and the loss on strong ones.


# %% tags=["setup"]
def confident_pseudo_label(logits_w):
    """(B, C) logits on weak views -> confidence (B,) and pseudo-label (B,), without gradient."""
    return logits_w.detach().softmax(dim=1).max(dim=1)


def masked_loss(logits_s, pseudo_label, mask):
    """Cross-entropy on strong views, masked, divided by the number of all images."""
    return (F.cross_entropy(logits_s, pseudo_label, reduction="none") * mask).mean()


# %% [markdown]
# ## 2 · A memory of the pool
#
# How well has a class been learnt? There are no labels to find out. So FlexMatch counts **confident pseudo-labels**: a class with many is
# learnt well, a class with few is not.
#
# A batch shows only a handful of the pool's $N$ images. So FlexMatch keeps one note for every image: its last confident pseudo-label, or
# `-1` as long as there was none. (The pool holds the labelled images, too, shown without their labels. They get notes like all others.)

# %%
small_memory = torch.full((8,), -1)
shown = torch.tensor([5, 0, 3])  # a batch shows these images of the pool
p, label = torch.tensor([0.97, 0.60, 0.95]), torch.tensor([1, 0, 0])
print("memory", small_memory.tolist())
print("confident:", (p >= 0.95).tolist())

# %% [markdown]
# ### Exercise 7.1 · Remember the confident pseudo-labels
#
# 8 min · difficulty 2/5 · objective 7a
#
# Return a **new** int64 memory (N,): the images at `index` (B,) whose `confidence` (B,) is **at least** `tau` now hold their
# `pseudo_label` (B,). All others hold what they held before: an unsure pseudo-label deletes nothing. Leave the old memory as it
# is, and return a copy even if no image is sure. `index` holds positions from 0 to N - 1, in any order, none twice.
#
# <details><summary>Hint 1 (direction)</summary>Copy the memory. Then write to some of its positions: which of the
# batch's images have something to write, what are their positions, what are their pseudo-labels?</details>
#
# <details><summary>Hint 2 (which function)</summary><code>memory.clone()</code> copies; with a boolean tensor
# <code>sure</code>, <code>index[sure]</code> and <code>pseudo_label[sure]</code> pick out the sure images' entries.</details>


# %% tags=["exercise", "ex-7.1"]
def remember(
    memory: torch.Tensor,
    index: torch.Tensor,
    pseudo_label: torch.Tensor,
    confidence: torch.Tensor,
    tau: float,
) -> torch.Tensor:
    """Note the confident pseudo-labels of a batch (Zhang et al. 2021, section 3.1).

    memory: (N,) int64, each image's last confident pseudo-label, -1 for none
    index: (B,) int64 positions in the memory, pseudo_label: (B,) int64, confidence: (B,) float
    returns: (N,) int64
    """
    ### BEGIN SOLUTION
    sure = confidence >= tau
    renewed = memory.clone()
    renewed[index[sure]] = pseudo_label[sure]
    return renewed
    ### END SOLUTION


# %% tags=["check", "ex-7.1"]
check("7.1", remember)

# %%
print("after one batch", remember(small_memory, shown, label, p, tau=0.95).tolist())

# %% [markdown]
# (The paper writes "more than tau", its code has "at least". We keep "at least", as in lesson 06.)
#
# ## 3 · How far is each class?
#
# Let $\sigma(c)$ be the number of images whose note says class $c$. The **learning status** compares it with the class that is ahead:
#
# $$\beta(c) = \frac{\sigma(c)}{\max\bigl\{\max_{c'} \sigma(c'),\; N - \sum_{c'} \sigma(c')\bigr\}}.$$
#
# The second number in the braces counts the images without a note. It is the **warm-up**. Early on nearly all images are without a note, so
# every status stays near zero until the notes mean something.

# %%
notes = torch.tensor([0, 0, 0, 0, 1, 1, -1, -1, -1, -1, -1, -1])
print("images without a note:", (notes == -1).sum().item())
print("count of classes 0, 1, 2:", [(notes == c).sum().item() for c in range(3)])

# %% [markdown]
# ### Exercise 7.2 · The learning status
#
# 8 min · difficulty 2/5 · objective 7a
#
# From the `memory` (N,), of classes and `-1` (no note), return $\beta$ as a float tensor (num_classes,), by the formula above. A
# class without any note has status 0; so have all classes if the memory holds only `-1`.
#
# <details><summary>Hint 1 (direction)</summary>Take the notes that are not -1 and count them by class. What remains
# up to N is the second number in the braces.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.bincount(..., minlength=num_classes)</code> counts,
# but takes no negative entries; Python's <code>max(a, b)</code> compares two numbers.</details>


# %% tags=["exercise", "ex-7.2"]
def learning_status(memory: torch.Tensor, num_classes: int) -> torch.Tensor:
    """How far each class has come, compared with the one that is ahead (Zhang et al. 2021, sections 3.1 and 3.2).

    memory: (N,) int64, classes or -1
    returns: (num_classes,) float in [0, 1]
    """
    ### BEGIN SOLUTION
    counts = torch.bincount(memory[memory >= 0], minlength=num_classes).float()
    without_note = len(memory) - counts.sum()
    return counts / max(counts.max(), without_note)
    ### END SOLUTION


# %% tags=["check", "ex-7.2"]
check("7.2", learning_status)

# %%
print("status:", [f"{value:.3f}" for value in learning_status(notes, 3)])
print("without the images that have no note:", learning_status(notes[:6], 3).tolist())

# %% [markdown]
# ## 4 · A threshold for each class
#
# A class that is behind gets a lower threshold:
#
# $$T(c) = \mathcal{M}\bigl(\beta(c)\bigr) \cdot \tau, \qquad \mathcal{M}(x) = \frac{x}{2 - x}.$$
#
# Note the direction. A low status means an *open door*: at first every pseudo-label of every class may teach. FixMatch begins the other way
# round, with a closed one. FlexMatch accepts noise at the start so that no class runs ahead.
#
# ### Exercise 7.3 · Thresholds
#
# 5 min · difficulty 1/5 · objective 7b
#
# From the `status` $\beta$ (num_classes,), between 0 and 1, return the thresholds $T$ (num_classes,), a float tensor, by the
# formula above.
#
# <details><summary>Hint 1 (direction)</summary>One line, entry by entry. Test it in your head: status 1 must give tau,
# status 0 must give 0.</details>
#
# <details><summary>Hint 2 (which function)</summary>None: tensors divide entry by entry.</details>


# %% tags=["exercise", "ex-7.3"]
def flexible_thresholds(status: torch.Tensor, tau: float) -> torch.Tensor:
    """One threshold for each class (Zhang et al. 2021, section 3.3, convex mapping).

    status: (num_classes,) float in [0, 1]
    returns: (num_classes,) float in [0, tau]
    """
    ### BEGIN SOLUTION
    return tau * status / (2 - status)
    ### END SOLUTION


# %% tags=["check", "ex-7.3"]
check("7.3", flexible_thresholds)

# %% tags=["figure"]
status = torch.linspace(0, 1, 51)
figure, ax = plots.plt.subplots(figsize=(6, 2.8))
colour = plots.looks.look("FlexMatch").color
ax.plot(status, 0.95 * status, color="0.6", linestyle="--", marker="")
ax.plot(status, flexible_thresholds(status, 0.95), color=colour, linestyle="-", linewidth=2.5, marker="")
ax.text(0.48, 0.55, "x, to compare", color="0.4", ha="right")
ax.text(0.62, 0.33, "x / (2 - x)", color=colour, fontweight="bold")
ax.set(xlabel="learning status", ylabel="threshold", title="Only a class near the leader gets a high threshold")
plots.show(
    figure,
    "Threshold against learning status: the convex curve runs below the straight line and meets it at status 0 "
    "and at status 1, where the threshold is tau.",
)

# %% [markdown]
# ## 5 · The step
#
# Two thresholds are at work, and they are easily mixed up:
#
# - The **mask** uses the flexible threshold of the pseudo-label's class, $T(\hat q_b)$. It says who may teach *now*.
# - The **memory** uses the fixed $\tau$. It says who counts as *learnt*. With a low threshold here, a class could fill its count with unsure
#   pseudo-labels and look learnt.
#
# The order matters too. The thresholds come from the memory as it was *before* this batch. Then the batch is remembered.
#
# ### Exercise 7.4 · Select, then remember
#
# 15 min · difficulty 3/5 · objective 7c
#
# Return `(pseudo_label, mask, new_memory)`. Confidence and `pseudo_label` (B,) come from `confident_pseudo_label`, in this order. `mask`
# (B,) is float, without gradient: 1 where the confidence is at least the flexible threshold of the pseudo-label's class, else 0. The
# thresholds come from the status `status_of(memory)`, asked about the whole memory **before** this batch; `new_memory` is what
# `remember` makes of it, with the **fixed** `tau`. (`status_of` is a function, so that section 8 can put in another status.)
#
# <details><summary>Hint 1 (direction)</summary>Four steps: confidence and pseudo-label; status and thresholds from the old
# memory; the mask; the new memory. You have a function for each but the mask.</details>
#
# <details><summary>Hint 2 (which function)</summary>Indexing: with <code>thresholds</code> (num_classes,) and
# <code>pseudo_label</code> (B,), <code>thresholds[pseudo_label]</code> is (B,), for each image the threshold of its
# pseudo-label.</details>


# %% tags=["exercise", "ex-7.4"]
def select(
    memory: torch.Tensor,
    index: torch.Tensor,
    logits_w: torch.Tensor,
    tau: float,
    status_of: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which pseudo-labels of a batch may teach, and what is remembered of them (Zhang et al. 2021, algorithm 1).

    memory: (N,) int64, index: (B,) int64, logits_w: (B, num_classes) on the weak views
    status_of: a function, memory (N,) -> learning status (num_classes,)
    returns: pseudo-label (B,) int64, mask (B,) float of zeros and ones, new memory (N,) int64
    """
    ### BEGIN SOLUTION
    confidence, pseudo_label = confident_pseudo_label(logits_w)
    thresholds = flexible_thresholds(status_of(memory), tau)
    mask = (confidence >= thresholds[pseudo_label]).float()
    return pseudo_label, mask, remember(memory, index, pseudo_label, confidence, tau)
    ### END SOLUTION


# %% tags=["check", "ex-7.4"]
check("7.4", select)

# %% [markdown]
# Watch one step on a pool of ten images. Class 0 is well ahead, so its threshold is high. Class 1 is behind, and its door is open.

# %%
notes = torch.tensor([0, 0, -1, -1, 0, 0, -1, -1, 0, 1])
shown = torch.tensor([0, 6, 7, 2])
p, label = torch.tensor([0.60, 0.55, 0.97, 0.80]), torch.tensor([1, 0, 1, 0])
logits = F.one_hot(label, 2) * (p / (1 - p)).log()[:, None]  # their softmax has p at the pseudo-label
_, passed, after = select(notes, shown, logits, 0.95, lambda m: learning_status(m, 2))
for image, sure, g, keep in zip(shown.tolist(), p.tolist(), label.tolist(), passed.tolist()):
    print(f"image {image}: class {g}, {sure:.0%} sure: {'teaches' if keep else 'left out'}; note now {after[image]}")

# %% [markdown]
# Look at image 0. It teaches class 1 in this step, because that door is open. But it is not sure enough for the memory, so its note still
# says 0.
#
# ### Exercise 7.5 · FlexMatch
#
# 20 min · difficulty 3/5 · objective 7c
#
# Return `(loss, logs, new_memory)`: the scalar loss $\ell_s + \lambda_u \ell_u$, `{"mask": fraction of unlabelled images kept}` (a number or a
# tensor of one) and the memory after this batch, whose positions are `batch.index`. As in Exercise 6.4, but with `select`: pseudo-labels from
# `batch.x_w`, $\ell_u$ on `batch.x_s`. Run `model` on `x_w` alone (`torch.no_grad()` saves work) and on labelled and strong images in **one**
# joint pass, kept or not; or, as in the paper, once on all three. Call neither `model.eval()` nor `model.train()`.
#
# <details><summary>Hint 1 (direction)</summary>Weak logits under <code>torch.no_grad()</code>; <code>select</code>; the
# joint pass, cut apart again; the two losses.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>masked_loss</code> above,
# <code>torch.cat([batch.x_l, batch.x_s])</code>, and <code>logits.split([...])</code> or slices.</details>


# %% tags=["exercise", "ex-7.5"]
def flexmatch_loss(
    model,
    batch,
    memory: torch.Tensor,
    status_of: Callable[[torch.Tensor], torch.Tensor],
    tau: float = 0.95,
    lambda_u: float = 1.0,
):
    """The loss of one FlexMatch step (Zhang et al. 2021, section 3).

    batch: x_l (B, C, H, W), y_l (B,), x_w and x_s (mu * B, C, H, W), index (mu * B,)
    memory: (N,) int64, status_of: memory -> status (num_classes,)
    returns: scalar loss, {"mask": fraction of unlabelled images kept}, new memory (N,)
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        logits_w = model(batch.x_w)
    pseudo_label, mask, new_memory = select(memory, batch.index, logits_w, tau, status_of)
    both = model(torch.cat([batch.x_l, batch.x_s]))
    logits_l, logits_s = both[: len(batch.x_l)], both[len(batch.x_l) :]
    loss = F.cross_entropy(logits_l, batch.y_l) + lambda_u * masked_loss(logits_s, pseudo_label, mask)
    return loss, {"mask": mask.mean().item()}, new_memory
    ### END SOLUTION


# %% tags=["check", "ex-7.5"]
check("7.5", flexmatch_loss)

# %% [markdown]
# Training wants a function of model and batch, so somebody has to hold the memory from step to step. This object does, and is called like
# a function. It also keeps the thresholds of each step, for a picture.


# %%
class FlexMatch:
    def __init__(self, status_of, num_images, tau=0.95):
        self.memory = torch.full((num_images,), -1, device=DEVICE)
        self.status_of, self.tau, self.thresholds = status_of, tau, []

    def __call__(self, model, batch):
        status = self.status_of(self.memory)
        self.thresholds.append(flexible_thresholds(status, self.tau).cpu())
        batch = batch._replace(index=batch.index.to(DEVICE))
        loss, logs, self.memory = flexmatch_loss(model, batch, self.memory, self.status_of, self.tau)
        return loss, logs


# %% tags=["nbval-ignore-output"]
playground.watch(FlexMatch(lambda memory: learning_status(memory, 2), 500), title="Your FlexMatch")

# %% [markdown]
# Your five functions together slip the boundary into the gap.
#
# ## 6 · On the lesions
#
# The recipe is that of lesson 06, to the last number; only the mask is new. (The paper, too, takes FixMatch's settings.)

# %% tags=["nbval-ignore-output"]
weak, strong = augment.views(dataset)
runs, scores = {}, {}


def fit(name, loss, num_steps=NUM_STEPS):
    stream = batches(label_split, weak, strong, batch_size=32, mu=2, seed=SEED)
    runs[name] = train(new_model(dataset, SEED), loss, stream, num_steps, label=name)
    scores[name] = evaluation.evaluate(runs[name].ema, dataset.test)
    results.record(name, dataset, label_split, runs[name], scores[name])


flexmatch = FlexMatch(lambda memory: learning_status(memory, num_classes), num_images)
fit("FlexMatch", flexmatch)
print(f"{runs['FlexMatch'].steps_done} steps, {runs['FlexMatch'].seconds:.0f} s")
evaluation.score_table(scores, dataset, dataset.test)

# %% tags=["dataset"]
for metric in ("AUC", "ACC", "macro-F1", "balanced ACC"):
    print(results.within("FlexMatch", metric, scores["FlexMatch"][metric], dataset))

# %% [markdown]
# One label split can flatter. Here are the five of the course's own runs, paired with FixMatch on the same labels:

# %% tags=["dataset"]
reference = results.reference(dataset)
for metric in ("macro-F1", "ACC"):
    found = results.paired(reference, "FixMatch", metric)["FlexMatch"]
    print(f"FlexMatch over FixMatch, {metric}: {found.gained} (standard error), {found.won} label splits won")

# %% [markdown]
# Did the lesions get what the method promised? Look at its thresholds. The highest of seven probabilities is at least one seventh, so a
# threshold in the grey band stops nothing.

# %% tags=["figure"]
names, over_time = dataset.class_names, torch.stack(flexmatch.thresholds).T
rows = -(-num_classes // 5) if num_classes > 7 else 1
figure, axes = plots.plt.subplots(
    rows, -(-num_classes // rows), figsize=(9, 0.6 + 1.6 * rows), sharex=True, sharey=True, squeeze=False
)
for ax, name, values in zip(axes.flat, names, over_time):
    ax.axhspan(0, 1 / num_classes, color="0.87", zorder=0)
    ax.axhline(0.95, color="0.5", linewidth=0.8, linestyle=":", marker="")
    ax.plot(values, color=plots.looks.look("FlexMatch").color, linestyle="-", linewidth=2, marker="")
    ax.set(ylim=(-0.02, 1.05), yticks=[0, 0.5, 0.95], yticklabels=["0", ".5", "tau"], xticks=[0, len(values)])
    ax.set_title(name, fontweight="normal", fontsize=10)
figure.supxlabel("step", fontsize=10)
plots.head(figure, "FlexMatch: the threshold of each class (grey: too low to stop anything)")
plots.show(
    figure,
    "One panel for each class: its threshold over the training steps. On DermaMNIST the line of nv climbs to tau and stays "
    "there, and all others stay in the grey band at the bottom; on the digits all lines rise.",
)

# %% [markdown]
# On the lesions one class has a threshold. The other six have none: whatever the pseudo-label, if it is not *nevus*, it passes. What does
# that let in? Ask this one trained network twice, once with `tau` for all classes and once with your `select`. Then move the slider; your
# `select` decides.

# %% tags=["nbval-ignore-output"]
probabilities = torch.from_numpy(evaluation.predict(runs["FlexMatch"].ema, label_split.images[unlabelled]))
memory = flexmatch.memory.cpu()


def by_class(logits, tau):
    return select(memory, unlabelled, logits, tau, lambda m: learning_status(m, num_classes))[:2]


def for_all(logits, tau):
    confidence, pseudo_label = confident_pseudo_label(logits)
    return pseudo_label, confidence >= tau


for name, rule in {"tau for all": for_all, "your select": by_class}.items():
    pseudo_label, kept = rule(probabilities.clamp(min=1e-9).log(), 0.95)
    right = (pseudo_label == truth)[kept > 0].float().mean()
    print(f"{name} keeps {kept.float().mean():.0%} of the pool, and {right:.0%} of what it keeps is right")
widgets.threshold(probabilities, truth, label_split.images[unlabelled], dataset.class_names, rule=by_class)

# %% [markdown]
# ## 7 · Break it
#
# Why did it go wrong? Ask the moons: make one of them **rare**. Above, FixMatch (FlexMatch with every status at 1); below, your FlexMatch.

# %% tags=["nbval-ignore-output"]
playground.watch(
    {
        "FixMatch": FlexMatch(lambda memory: torch.ones(2), 500),
        "FlexMatch": FlexMatch(lambda memory: learning_status(memory, 2), 500),
    },
    kind="uneven",
)

# %% [markdown]
# The rare moon eats into the frequent one. FlexMatch takes *rare* for *not yet learnt*, and lets through everything labelled as
# the rare class.
#
# A better network would not help. Ask the best there is: an **oracle** that gives every image its true class, with certainty. All classes
# are learnt perfectly, so every threshold should be `tau`. (The hidden labels serve to *measure* here, and for nothing else.)

# %% tags=["dataset"]
oracle = label_split.measure_labels(torch.arange(num_images))


def show_thresholds(status):
    for name, threshold in zip(dataset.class_names, flexible_thresholds(status, tau=0.95)):
        print(f"{name:6} {threshold:.2f}  {'' if threshold > 1 / num_classes else 'stops nothing'}")


show_thresholds(learning_status(oracle, num_classes))

# %% [markdown]
# A count mixes two things: how well a class is learnt, and **how frequent it is**.
#
# The authors know. Section 3 of their paper calls the count fair "when the unlabeled dataset is balanced". Section 4 gives this very reason
# for FlexMatch trailing FixMatch on unbalanced SVHN, and finds that a floor of `.5` under the thresholds helps slightly. Long-tailed data
# is left to future work.
#
# So is FlexMatch a bad method? Give it what it was made for: balanced classes and few labels. Forty digits, four of each:

# %%
few = results.reference(load_dataset("digits"), num_labels=40)
fixed, flexible = (results.paired(few, "FixMatch", "ACC")[method] for method in ("FixMatch", "FlexMatch"))
print(f"40 digits, accuracy: FixMatch {fixed.mean:.3f}, FlexMatch {flexible.mean:.3f}")
print(f"the gain, in pairs: {flexible.gained} (standard error), {flexible.won} label splits won")

# %% [markdown]
# There it delivers. What the lesions need is a rule that knows how frequent a class is.

# %% [markdown]
# ## 8 · Two repairs
#
# **First: divide by what a perfect network would count.** That is $\pi_c N$, with the class prior $\pi$ estimated from the labelled images.
# What is left is a *rate*: the learnt part of each class. Rates are compared as counts were before:
#
# $$r(c) = \frac{\sigma(c)}{\pi_c N}, \qquad \beta(c) = \frac{r(c)}{\max\bigl\{\max_{c'} r(c'),\; 1 - \frac{1}{N}\sum_{c'}
# \sigma(c')\bigr\}}.$$
#
# ### Exercise 7.6 · The status, corrected by the prior
#
# 12 min · difficulty 2/5 · objectives 7d, 7e
#
# From the `memory` (N,), as in Exercise 7.2, and the `prior` (num_classes,), all of its entries positive, return the corrected status
# $\beta$ (num_classes,), a float tensor, by the formula above. $N$ counts all images, $\pi_c N$ need not be a whole number, and a rate
# may be above 1. A memory of only `-1` gives zeros.
#
# <details><summary>Hint 1 (direction)</summary>As in Exercise 7.2, with each count divided by the count that is
# expected of its class, and the images without a note as a fraction of N.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.bincount</code> with
# <code>minlength=len(prior)</code>.</details>


# %% tags=["exercise", "ex-7.6"]
def status_by_prior(memory: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
    """Learning status as a rate of each class instead of a count (a repair of this course).

    memory: (N,) int64, classes or -1, prior: (num_classes,) float > 0, sums to 1
    returns: (num_classes,) float in [0, 1]
    """
    ### BEGIN SOLUTION
    noted = memory[memory >= 0]
    rate = torch.bincount(noted, minlength=len(prior)) / (prior * len(memory))
    return rate / max(rate.max(), 1 - len(noted) / len(memory))
    ### END SOLUTION


# %% tags=["check", "ex-7.6"]
check("7.6", status_by_prior)

# %% [markdown]
# The oracle again, with the prior of your labelled images:

# %% tags=["dataset"]
prior = label_split.class_counts() / len(label_split.labelled)
show_thresholds(status_by_prior(oracle, prior))

# %% [markdown]
# Now the moons. Their six labels, three of each moon, would estimate `[.5, .5]`. The true prior is `[.9, .1]`; here you are given it. Watch
# both.

# %% tags=["nbval-ignore-output"]
moons_prior = torch.tensor([0.9, 0.1])


def with_prior(prior):
    return FlexMatch(lambda memory: status_by_prior(memory, prior), 500)


playground.watch(
    {"prior of the labels": with_prior(torch.tensor([0.5, 0.5])), "true prior": with_prior(moons_prior)}, kind="uneven"
)

# %% [markdown]
# The repair is as good as the prior it gets. On the lesions the label split keeps the classes' fractions, so the labels can tell them. It
# can still be fooled: a few wrong notes make a rare class look far ahead, because its expected count is small.
#
# **Second: leave the threshold alone and correct the pseudo-labels.** If the network's average prediction $\tilde p$ names a class more
# often than the prior $\pi$ says, the network favours that class. So multiply each prediction by $\pi_c / \tilde p_c$ and normalise it
# again. This is **distribution alignment** ([Berthelot et al. 2020](https://arxiv.org/abs/1911.09785), ReMixMatch).
#
# ### Exercise 7.7 · Distribution alignment
#
# 8 min · difficulty 2/5 · objective 7e
#
# From the predictions `q` (B, num_classes), whose rows sum to 1, the `prior` $\pi$ and the `average` prediction $\tilde p$ (both
# (num_classes,), all entries of `average` positive), return the aligned predictions (B, num_classes), a float tensor:
# $q_{bc}\, \pi_c / \tilde p_c$, each row divided by its sum. (A prior of 0 makes a class impossible; in
# each row a possible class has a probability above 0.)
#
# <details><summary>Hint 1 (direction)</summary>One factor for each class, the same for all images; then make each row a
# distribution again.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>.sum(dim=1, keepdim=True)</code> has the shape (B, 1), which
# divides (B, num_classes) row by row.</details>


# %% tags=["exercise", "ex-7.7"]
def align(q: torch.Tensor, prior: torch.Tensor, average: torch.Tensor) -> torch.Tensor:
    """Distribution alignment (Berthelot et al. 2020, ReMixMatch, section 3.1).

    q: (B, num_classes), rows sum to 1; prior and average: (num_classes,), sum to 1
    returns: (B, num_classes), rows sum to 1
    """
    ### BEGIN SOLUTION
    weighted = q * prior / average
    return weighted / weighted.sum(dim=1, keepdim=True)
    ### END SOLUTION


# %% tags=["check", "ex-7.7"]
check("7.7", align)

# %%
q, average = torch.tensor([[0.55, 0.45]]), torch.tensor([0.8, 0.2])
aligned = align(q, torch.tensor([0.5, 0.5]), average)
print(f"[0.55, 0.45] becomes {[round(x, 2) for x in aligned[0].tolist()]}: class 0 was named too often")

# %% [markdown]
# ## 9 · What came after
#
# Line the methods up by one question: **how much does a pseudo-label of confidence $p$ weigh in the loss?** FixMatch says 1 from $\tau$ on
# and 0 below. FlexMatch says the same with a step for each class. In 2023 two more answers came.
#
# **FreeMatch** ([Wang et al.](https://arxiv.org/abs/2205.07246)) needs no $\tau$. Its threshold is the running mean $\tau_t$ of the confidences, lower
# for classes that the average prediction $\tilde p$ names less: $\tau_t(c) = \tau_t\, \tilde p(c) / \max_{c'} \tilde p(c')$.
#
# **SoftMatch** ([Chen et al.](https://arxiv.org/abs/2301.10921)) needs no step. From the running mean $\mu_t$ of the confidences on, a
# pseudo-label has full weight. Below, the weight fades like a Gaussian, with their running variance $\sigma_t^2$ (in that
# paper $\sigma$ is no count):
#
# $$w(p) = \begin{cases} \exp\left(-\dfrac{(p - \mu_t)^2}{2 \sigma_t^2}\right) & \text{if } p < \mu_t, \\[1ex] 1 & \text{else.} \end{cases}$$
#
# ### Exercise 7.8 · A weight instead of a mask
#
# 8 min · difficulty 2/5 · objective 7f
#
# From the confidences $p$, `confidence` (B,), between 0 and 1, and two numbers, their running `mean` $\mu_t$ and `variance` $\sigma_t^2 > 0$,
# return SoftMatch's weights $w$ (B,), a float tensor, by the formula above. Take both numbers as they are given: they are those of many
# batches, not of this one. Far below the mean a weight may round to 0.
#
# <details><summary>Hint 1 (direction)</summary>Where the confidence is above the mean, pretend that it <i>is</i> the mean: what does the
# Gaussian give there?</details>
#
# <details><summary>Hint 2 (which function)</summary><code>(confidence - mean).clamp(max=0)</code> is the distance below the mean and 0
# above it; then <code>.square()</code> and <code>torch.exp</code>.</details>


# %% tags=["exercise", "ex-7.8"]
def soft_weight(confidence: torch.Tensor, mean: float, variance: float) -> torch.Tensor:
    """How much each pseudo-label weighs (Chen et al. 2023, SoftMatch, section 3.1).

    confidence: (B,) float, mean and variance: of the confidences of many batches
    returns: (B,) float in [0, 1]
    """
    ### BEGIN SOLUTION
    below = (confidence - mean).clamp(max=0)
    return torch.exp(-below.square() / (2 * variance))
    ### END SOLUTION


# %% tags=["check", "ex-7.8"]
check("7.8", soft_weight)

# %% [markdown]
# Four answers on one axis, drawn by your functions from what your trained network says of the pool. Filled is the weight of a pseudo-label
# `mel`, dashed that of one of the most frequent class. Set `c` to another class and run both cells again.

# %%
c, frequent = 4, prior.argmax()
grid = torch.linspace(1 / num_classes, 1, 400)
sure, average = probabilities.amax(dim=1), probabilities.mean(dim=0)
thresholds = {
    "FixMatch": torch.full((num_classes,), 0.95),
    "FlexMatch": flexmatch.thresholds[-1],
    "FreeMatch": sure.mean() * average / average.max(),
}
weights = {name: [(grid >= t).float() for t in (each[c], each[frequent])] for name, each in thresholds.items()}
weights["SoftMatch"] = [soft_weight(grid, sure.mean().item(), sure.var().item())] * 2

# %% tags=["nbval-ignore-output", "figure"]
figure, axes = plots.plt.subplots(4, 1, figsize=(7, 4.4), sharex=True, sharey=True)
for ax, (method, (own, other)) in zip(axes, weights.items()):
    colour = plots.looks.look(method).color
    ax.fill_between(grid, 0, own, color=colour, alpha=0.3, linewidth=0)
    ax.plot(grid, other, color=colour, linestyle="--", linewidth=2, marker="")
    ax.set(ylim=(0, 1.15), xlim=(1 / num_classes, 1), yticks=[0, 1])
    ax.set_ylabel(method, rotation=0, ha="right", va="center", color=colour, fontweight="bold")
axes[-1].set_xlabel("confidence")
names = dataset.class_names
plots.head(figure, f"The weight of a pseudo-label by its confidence (filled: {names[c]}, dashed: {names[frequent]})")
plots.show(
    figure,
    "Four rows over one axis of confidence, each the weight of a pseudo-label of two classes. FixMatch: one step near the right end. FlexMatch "
    "and FreeMatch: a step for each class, at its threshold. SoftMatch: a smooth rise up to the mean confidence, and full weight from there on.",
)

# %% [markdown]
# SoftMatch throws nothing away: what is doubtful still counts a little. It has one more piece, and you have built it: before the weights are
# computed, the confidences are **aligned to equally frequent classes**. No memory of the pool is left, only running numbers.


# %%
class SoftMatch:
    def __init__(self, target, decay=0.99):
        self.target, self.average, self.decay = target, target.clone(), decay
        self.mean, self.variance = 1 / len(target), 1.0

    def __call__(self, model, batch):
        with torch.no_grad():
            q = model(batch.x_w).softmax(dim=1)
        confidence = self.follow(q)
        weight = soft_weight(confidence, self.mean, self.variance)
        z_l, z_s = model(torch.cat([batch.x_l, batch.x_s])).tensor_split([len(batch.x_l)])
        loss = F.cross_entropy(z_l, batch.y_l) + masked_loss(z_s, q.argmax(dim=1), weight)
        return loss, {"mask": weight.mean().item()}

    def follow(self, q):
        self.average.lerp_(q.mean(dim=0), 1 - self.decay)
        confidence = align(q, self.target, self.average).amax(dim=1)
        self.mean = self.decay * self.mean + (1 - self.decay) * confidence.mean().item()
        self.variance = self.decay * self.variance + (1 - self.decay) * confidence.var().item()
        return confidence


# %% [markdown]
# Equally frequent classes: where have you met that before? The rare moon once more, aligned to equal classes as in the paper, and aligned
# to the true ones.

# %% tags=["nbval-ignore-output"]
playground.watch(
    {"SoftMatch, equal classes": SoftMatch(torch.tensor([0.5, 0.5])), "SoftMatch, true prior": SoftMatch(moons_prior)},
    kind="uneven",
)

# %% [markdown]
# Newer methods, the old assumption. What do they bring on the lesions? Here they are with FlexMatch and the two repairs of section 8, against
# FixMatch on the same labels. (Settings were chosen [inside the labels](../docs/results/settings.md); FreeMatch goes without its
# fairness term.)

# %% tags=["dataset"]
methods = ["FlexMatch", "FlexMatch, status by prior", "FixMatch, distribution alignment", "SoftMatch", "FreeMatch"]
plots.show_gains(reference, methods, ("macro-F1", "ACC"), baseline="FixMatch")

# %% tags=["dataset"]
for method in methods[1:]:
    f1, acc = (results.paired(reference, "FixMatch", metric)[method].gained for metric in ("macro-F1", "ACC"))
    print(f"{method}: macro-F1 {f1}, ACC {acc}")

# %% [markdown]
# All numbers: [results on the lesions](../docs/results/dermamnist.md).

# %% [markdown]
# ## 10 · A rule reversed
#
# The original notebook, from which this course grew, has a function named FlexMatch, too. It keeps a running average of the confidence of
# each class, and sets


# %%
def original_thresholds(average, tau=0.95):
    return tau * average.max() / average


print([round(t, 2) for t in original_thresholds(torch.tensor([0.90, 0.60, 0.45])).tolist()])

# %% [markdown]
# The class that is ahead gets the *lowest* threshold, and the others get thresholds above 1 that no probability can reach. This is FlexMatch
# backwards. Yet it ran, and the loss fell. Would you have noticed? A **property** tells you without training: something that has to hold for
# every input. Here are three, tested on a thousand random inputs. The fourth is **yours**: change the last line of `yours` until FlexMatch
# always passes and the reversed rule never does. (One way: what must hold for the threshold of the class that is ahead?)


# %%
def yours(values, thresholds):
    """Your property of a rule that made these thresholds (7,) of these values (7,), a high one for a class that is ahead."""
    return True


# %%
def properties(rule, tau=0.95):
    """Fraction of random inputs on which a rule (values -> thresholds) has each property."""
    held = torch.zeros(4)
    for values in 0.05 + 0.95 * torch.rand(1000, 7, generator=generator(SEED, "random inputs")):
        thresholds = rule(values)
        held[0] += (thresholds >= 0).all() and (thresholds <= tau + 1e-6).all()
        held[1] += torch.equal(values.argsort(), thresholds.argsort())
        held[2] += torch.allclose(rule(values.flip(0)), thresholds.flip(0))
        held[3] += bool(yours(values, thresholds))
    return (held / 1000).tolist()


rules = {"FlexMatch": lambda values: flexible_thresholds(values, 0.95), "the original notebook": original_thresholds}
properties_of = {name: properties(rule) for name, rule in rules.items()}
pd.DataFrame(properties_of, index=["never above tau", "behind means lower", "no class is special", "yours"]).T

# %% [markdown]
# Would the scores have told you? Here is each rule over FixMatch of the same recipe. Which one would you call the bug?

# %% tags=["dataset"]
for rule, recipe in {"the reversed rule": ", original recipe", "the paper's rule": ""}.items():
    found = results.paired(reference, f"FixMatch{recipe}")[f"FlexMatch{recipe}"]
    print(f"{rule} over FixMatch, macro-F1: {found.gained}, {found.won} label splits won")

# %% [markdown]
# ## What we know
#
# - On the lesions FlexMatch's rule costs what the paired lines of section 6 say. The thresholds and the oracle suggest why.
# - Divided by the prior, FlexMatch gets its macro-F1 back. Look at its accuracy, too. FixMatch, which alignment starts from, had lost
#   nothing.
# - The rare moon shows how a rule fails, not how often. Try `seed=2`: there FlexMatch wins.
# - On digits, where classes are balanced, FlexMatch beats FixMatch with 40 labels and is not clearly different from it with 500
#   ([results](../docs/results/digits.md)).
# - FlexMatch was made for larger networks and far longer trainings, where classes lag for long. We have not tried that.
# - Equal steps are not equal work: see *batches of 160* in lesson 06.

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (7b). A class has the threshold `.05`, and there are seven classes. Pseudo-labels of this class
#
# <details><summary>a) pass only if the network is hopelessly unsure</summary>No: the threshold is a lower bound, and every
# confidence is above it, the high ones too.</details>
# <details><summary>b) pass, all of them</summary>Yes: the highest of seven probabilities is at least one seventh.</details>
# <details><summary>c) pass in one of twenty cases</summary>A threshold is no probability of passing.</details>

# %% [markdown]
# **Question 2** (7c). Somebody updates the memory with the flexible thresholds instead of `tau`. What happens to a class
# that has fallen behind?
#
# <details><summary>a) Its unsure pseudo-labels count as learnt, and it looks well learnt though it is not</summary>Yes: the low
# threshold would confirm itself.</details>
# <details><summary>b) Nothing: mask and memory use the same confidences</summary>The same confidences, but two questions: who may
# teach now, and who counts as learnt.</details>
# <details><summary>c) It never gets a note</summary>The other way round: it gets notes more easily.</details>

# %% [markdown]
# **Question 3** (7f). Half of your pool is less sure than the running mean. What does SoftMatch do with that half?
#
# <details><summary>a) It drops it, as FreeMatch does</summary>No. A step at the mean would drop it; SoftMatch has no step.</details>
# <details><summary>b) It gives it full weight, since no threshold is left</summary>Full weight begins at the mean.</details>
# <details><summary>c) It lets it teach, the less the further it is below the mean</summary>Yes. More pseudo-labels, each counted for what it
# may be worth.</details>

# %% [markdown]
# ## Key points
#
# - The mask uses the flexible threshold, the memory the fixed one. Thresholds first, then remember.
# - Counts mix progress with frequency: with uneven classes even a perfect network leaves the rare ones without a threshold.
# - Divide by the prior, or align the predictions. FreeMatch and SoftMatch assume equal classes as well.
# - Test a rule by its properties. They need no training and no luck.
#
# Next: `08_mixmatch.ipynb`, which mixes images, labels and pseudo-labels.

# %%
progress("07")
