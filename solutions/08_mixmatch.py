# %% [markdown]
# # 08 · MixMatch
#
# FixMatch keeps the pseudo-labels it is sure of and drops the rest. MixMatch drops none. It keeps them all, as soft ones, and blends the
# images as well.
#
# ![MixMatch. The network answers K weak views of each unlabelled image. The average of the answers, sharpened, is the label q of all these views, and no gradient flows through it. Then MixUp: each image and its label are mixed with those of a random partner, labelled or not, and keep the larger weight. From the labelled mixtures the network learns with the cross-entropy, from the unlabelled ones with the squared difference.](../docs/figures/mixmatch.svg)
#
# MixMatch ([Berthelot et al. 2019](https://arxiv.org/abs/1905.02249)) was a leap when it came out. In the original notebook, from which
# this course grew, it ended as a network that answers *nevus* to nearly every image. You build it, watch it work, make it fail again on
# purpose, and solve the case.
#
# **Time** 85 min, of which the computer trains for 2
#
# **You need** lessons 00, 01 and 06
#
# **Objectives**
#
# - **8a** Make a soft pseudo-label of several views, averaged and then sharpened.
# - **8b** Blend images and labels with MixUp, one weight for each image.
# - **8c** Write the two losses and the ramp of their weight.
# - **8d** Put the step together in one forward pass, and say what BatchNorm has to do with it.
# - **8e** Find the cause of a failure by changing one factor at a time, and explain it by what each answer costs.

# %% tags=["setup"]
import math

import numpy as np
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
from course_utils.training import train

# %% [markdown]
# ## 1 · See it first
#
# Half a melanoma and half a nevus: what would you call that? Drag $\lambda$ and watch image **and** label move together.

# %% tags=["nbval-ignore-output"]
dataset = load_dataset()
label_split = split_labels(dataset, NUM_LABELS, SEED)
print(dataset)
print(label_split)

# %% tags=["dataset"]
a, b = (label_split.labelled[label_split.y_l == c][0].item() for c in (4, 5))
widgets.mixup(dataset.train.images[a], dataset.train.images[b], (dataset.class_names[4], dataset.class_names[5]))

# %% [markdown]
# Nobody would call these mixtures photographs. They are an exercise for the network: between two images its answer should move evenly from
# one label to the other, instead of being certain up to a thin border and then certain of the other.
#
# Here is what that does to two moons with six labels. By the end of section 6 **your own function** draws this picture.
#
# ![A strip of four pictures of two moons at steps 0, 50, 200 and 800, trained by MixMatch: the boundary bends towards the gap between the moons, with a pale zone of doubt around it.](../docs/figures/strip_mixmatch.png)

# %% [markdown]
# ## 2 · A soft pseudo-label
#
# *Every* unlabelled image gets a label: a whole distribution, not one class. No threshold decides. But a distribution that says a little of
# everything teaches a little of nothing. So it is made more peaked first. This is **sharpening**, with a *temperature* $T$:
#
# $$\mathrm{Sharpen}(p, T)_i = \frac{p_i^{1/T}}{\sum_j p_j^{1/T}}.$$
#
# With $T = .5$ the exponent is 2:

# %%
p = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
print("p        ", p.tolist(), " sum", round(p.sum().item(), 2))
print("p squared", [round(x, 2) for x in p.square().tolist()], "sum", round(p.square().sum().item(), 2))

# %% [markdown]
# ### Exercise 8.1 · Sharpen
#
# 8 min · difficulty 1/5 · objective 8a
#
# Return the distributions `p` (B, num_classes), each row with the sum 1, sharpened by the formula above: a float tensor
# (B, num_classes) whose rows sum to 1 again. `T` is any number from `.02` up, and needs no guard
# (below `.1`, each row has a probability of at least `.2`): `T = 1` changes nothing, a `T` above 1 makes the rows flatter. A
# probability of exactly 0 stays 0, at any `T`.
#
# <details><summary>Hint 1 (direction)</summary>Two steps: a power of every entry, and then each row divided by the sum
# of that row. Which exponent makes differences larger?</details>
#
# <details><summary>Hint 2 (which function)</summary><code>**</code> works entry by entry, and
# <code>.sum(dim=1, keepdim=True)</code> keeps the shape (B, 1), so that the division is by row.</details>


# %% tags=["exercise", "ex-8.1"]
def sharpen(p: torch.Tensor, T: float) -> torch.Tensor:
    """More decided distributions (Berthelot et al. 2019, equation 7).

    p: (B, num_classes) probabilities, T > 0
    returns: (B, num_classes) float, each row sums to 1
    """
    ### BEGIN SOLUTION
    powers = p ** (1 / T)
    return powers / powers.sum(dim=1, keepdim=True)
    ### END SOLUTION


# %% tags=["check", "ex-8.1"]
check("8.1", sharpen)

# %% [markdown]
# Your `sharpen` in motion. Where does the pseudo-label become the hard one of lesson 06?

# %%
widgets.sharpening(sharpen)

# %% [markdown]
# MixMatch makes $K = 2$ random views of each unlabelled image, and the network answers both. The answers differ, though the image is the
# same. They are **averaged** first, and the average is sharpened. Does the order matter? Take a view of which the network is sure, and
# one where it hesitates:

# %%
views = torch.tensor([[0.9, 0.1], [0.4, 0.6]], dtype=torch.float64)
rows = {
    "averaged, then sharpened": sharpen(views.mean(0, keepdim=True), 0.5)[0],
    "sharpened, then averaged": sharpen(views, 0.5).mean(0),
}
for name, q in rows.items():
    print(name, q.round(decimals=2).tolist())

# %% [markdown]
# Averaged first, the hesitant view counts little, and the pseudo-label comes out decided. Sharpened first, the hesitant view is made to
# speak up, and the average of two loud voices is undecided again.

# %% [markdown]
# ### Exercise 8.2 · One pseudo-label from several views
#
# 8 min · difficulty 2/5 · objective 8a
#
# `logits` (K, B, num_classes) holds what the network answers to K views of the same B images, view by view. Return the
# pseudo-labels `q` (B, num_classes), a float tensor without a gradient: the softmax of each answer, the average of these
# **probabilities** over the K views, then `sharpen` with `T`. K and B may be any numbers from 1 on.
#
# <details><summary>Hint 1 (direction)</summary>The shape says which axis is which: views, images, classes. The softmax
# runs along one of them, the average along another.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>logits.detach()</code>, <code>.softmax(dim=2)</code>,
# <code>.mean(dim=0)</code>, and your function from Exercise 8.1.</details>


# %% tags=["exercise", "ex-8.2"]
def guess_labels(logits: torch.Tensor, T: float) -> torch.Tensor:
    """One soft pseudo-label for each image, from K views of it (Berthelot et al. 2019, algorithm 1).

    logits: (K, B, num_classes)
    returns: (B, num_classes) float, each row sums to 1, without gradient
    """
    ### BEGIN SOLUTION
    average = logits.detach().softmax(dim=2).mean(dim=0)
    return sharpen(average, T)
    ### END SOLUTION


# %% tags=["check", "ex-8.2"]
check("8.2", guess_labels)

# %% [markdown]
# In lesson 06 `argmax` stopped the gradient by itself. Here your `detach` does. The pseudo-label is a smooth function of the weights, and
# without it the network could lower its loss by bending the target.

# %% [markdown]
# ## 3 · MixUp
#
# The second idea: train on **mixtures**. Take an image $x_1$ with the label $p_1$ and a partner $x_2$ with the label $p_2$, draw a weight
# $\lambda \sim \mathrm{Beta}(\alpha, \alpha)$, and mix images and labels alike:
#
# $$\lambda' = \max(\lambda, 1 - \lambda), \qquad
# x' = \lambda' x_1 + (1 - \lambda')\, x_2, \qquad p' = \lambda' p_1 + (1 - \lambda')\, p_2.$$
#
# The maximum is MixMatch's own addition to MixUp ([Zhang et al. 2018](https://arxiv.org/abs/1710.09412)). Partners are drawn from labelled
# and unlabelled images together. With $\lambda' \ge .5$ a mixture still belongs mostly to its *first* image, so you know which mixtures
# count as labelled.

# %%
x1, x2, lam = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), 0.3  # two images of two pixels
for name, weight in (("lambda ", lam), ("lambda'", max(lam, 1 - lam))):
    print(name, weight, "->", [round(value, 2) for value in (weight * x1 + (1 - weight) * x2).tolist()])

# %% [markdown]
# ### Exercise 8.3 · MixUp
#
# 12 min · difficulty 3/5 · objective 8b
#
# Mix the images `x1` (B, C, H, W) with `x2`, and their labels `p1` (B, num_classes) with `p2`, by the formula above.
# `lam` (B,) holds one $\lambda$ in [0, 1] **for each image**: compute $\lambda'$ from it, and use the same $\lambda'$ for an
# image and its label. Return `(x, p)`, float tensors of these shapes. The inputs stay as they are.
#
# <details><summary>Hint 1 (direction)</summary>A vector of B weights meets images of four axes and labels of two. To
# which axis must the B weights belong? Tensors are aligned from the <i>last</i> axis on, unless you say
# otherwise.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.maximum(lam, 1 - lam)</code>; then
# <code>.view(-1, 1, 1, 1)</code> for the images and <code>.view(-1, 1)</code> for the labels.</details>


# %% tags=["exercise", "ex-8.3"]
def mixup(
    x1: torch.Tensor, p1: torch.Tensor, x2: torch.Tensor, p2: torch.Tensor, lam: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """MixUp that stays nearer to the first image (Berthelot et al. 2019, equations 8 to 11).

    x1, x2: (B, C, H, W) images, p1, p2: (B, num_classes) their labels, lam: (B,) in [0, 1]
    returns: x (B, C, H, W), p (B, num_classes)
    """
    ### BEGIN SOLUTION
    larger = torch.maximum(lam, 1 - lam)
    weight_x, weight_p = larger.view(-1, 1, 1, 1), larger.view(-1, 1)
    x = weight_x * x1 + (1 - weight_x) * x2
    p = weight_p * p1 + (1 - weight_p) * p2
    return x, p
    ### END SOLUTION


# %% tags=["check", "ex-8.3"]
check("8.3", mixup)

# %% [markdown]
# On real images: one of each class, mixed by your function with the image of the next class. The weights run from one half upwards, so that
# you see something. (Drawn with the paper's $\alpha = .75$, many lie close to 1, and those mixtures hardly show.)

# %%
first = [int((label_split.y_l == c).nonzero()[0]) for c in range(dataset.num_classes)]
images = augment.plain(label_split.images[label_split.labelled[first]])
labels = torch.eye(dataset.num_classes, device=DEVICE)
lam = torch.linspace(0.5, 0.9, len(first), device=DEVICE)
mixtures, mixed_labels = mixup(images, labels, images.roll(-1, 0), labels.roll(-1, 0), lam)

# %% tags=["dataset", "figure"]
rows = [images, images.roll(-1, 0), mixtures]
figure = plots.image_grid(
    rows, ["image", "partner", "mixture"], scale=0.95, title="Two images, two labels, one mixture of both"
)
for ax, label in zip(figure.axes[2 * len(first) :], mixed_labels.cpu()):
    parts = [f"{label[c]:.2f} {dataset.class_names[c]}" for c in label.argsort(descending=True)[:2]]
    ax.set_xlabel("\n".join(parts), fontsize=9)
plots.show(
    figure,
    "Three rows of images, one column for each class: an image, its partner from the next class, and their mixture. Under "
    "each mixture stands its label, two classes with weights that add up to one; the first image has the larger weight.",
)

# %% [markdown]
# ## 4 · Two losses
#
# The mixtures of labelled images, $\mathcal{X}'$, get the cross-entropy, here with soft labels. Those of unlabelled
# images, $\mathcal{U}'$, get the **Brier loss**: the squared distance between pseudo-label and answer, averaged over the $L$ classes as well:
#
# $$\mathcal{L}_X = \frac{1}{|\mathcal{X}'|} \sum_{(x, p)} -\sum_i p_i \log p(i \mid x), \qquad
# \mathcal{L}_U = \frac{1}{L\,|\mathcal{U}'|} \sum_{(u, q)} \lVert q - p(y \mid u) \rVert_2^2.$$
#
# Why two kinds? A pseudo-label may be wrong. Cross-entropy has no upper limit, so a single sure answer to a wrong one can outweigh a batch.
# A square between distributions is bounded:

# %%
target = torch.tensor([1.0, 0.0, 0.0])
for name, answer in {
    "sure, right": [0.98, 0.01, 0.01],
    "unsure": [0.4, 0.3, 0.3],
    "sure, wrong": [0.001, 0.998, 0.001],
}.items():
    p = torch.tensor(answer)
    print(f"{name:11}  cross-entropy {-p[0].log():.2f}  Brier {(p - target).square().mean():.2f}")

# %% [markdown]
# ### Exercise 8.4 · The two losses
#
# 10 min · difficulty 2/5 · objective 8c
#
# Given logits and soft labels of the labelled mixtures (`logits_l`, `p_l`) and of the unlabelled ones (`logits_u`,
# `p_u`), each (B, num_classes) with its own B, return `(loss_l, loss_u)`: $\mathcal{L}_X$ and $\mathcal{L}_U$ as two
# scalar tensors with a gradient to the logits. Both are finite and right for logits of ±300, too, where a probability
# rounds to 0 or 1. The labels are constants already: you need not detach them.
#
# <details><summary>Hint 1 (direction)</summary>The cross-entropy is summed over the classes and averaged over the
# images; the square is averaged over both. Both compare <i>distributions</i>, and you are given logits.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>F.cross_entropy</code> takes soft labels, too;
# <code>logits_u.softmax(dim=1)</code>, <code>.square()</code> and one <code>.mean()</code> do the second.</details>


# %% tags=["exercise", "ex-8.4"]
def mixmatch_losses(
    logits_l: torch.Tensor, p_l: torch.Tensor, logits_u: torch.Tensor, p_u: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft cross-entropy and mean Brier loss (Berthelot et al. 2019, equations 3 and 4).

    logits_l, p_l: (B_l, num_classes), logits_u, p_u: (B_u, num_classes)
    returns: loss_l, loss_u, two scalars
    """
    ### BEGIN SOLUTION
    loss_l = F.cross_entropy(logits_l, p_l)
    loss_u = (logits_u.softmax(dim=1) - p_u).square().mean()
    return loss_l, loss_u
    ### END SOLUTION


# %% tags=["check", "ex-8.4"]
check("8.4", mixmatch_losses)

# %% [markdown]
# The mean over the classes is a convention with consequences. Whoever sums instead has a loss $L$ times as large, and needs a weight $L$
# times smaller. A published $\lambda_U$ means nothing without it.

# %% [markdown]
# ## 5 · The ramp
#
# The two losses are added with a weight, $\mathcal{L} = \mathcal{L}_X + \lambda_U\, \mathcal{L}_U$. The first pseudo-labels come from a
# network that knows nothing, and no mask holds them back as in FixMatch. So the paper raises the weight slowly: linearly from 0 to $\lambda_U$
# over the first 16,000 steps.

# %% [markdown]
# ### Exercise 8.5 · The ramp
#
# 5 min · difficulty 1/5 · objective 8c
#
# Return the weight at `step` (0, 1, 2, ...), a number: `lambda_u` times `step / ramp_steps` before step `ramp_steps`, and
# `lambda_u` from this step on. `ramp_steps = 0` means no ramp: `lambda_u` at every step, the first included.
#
# <details><summary>Hint 1 (direction)</summary>A fraction that must not exceed 1, times <code>lambda_u</code>; and one
# case in which the fraction does not exist.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>min(1, ...)</code>, and an <code>if</code> for
# <code>ramp_steps == 0</code>.</details>


# %% tags=["exercise", "ex-8.5"]
def ramp(step: int, ramp_steps: int, lambda_u: float) -> float:
    """The weight of the unlabelled loss at a step (Berthelot et al. 2019, section 3.5)."""
    ### BEGIN SOLUTION
    fraction = min(1.0, step / ramp_steps) if ramp_steps else 1.0
    return lambda_u * fraction
    ### END SOLUTION


# %% tags=["check", "ex-8.5"]
check("8.5", ramp)

# %% [markdown]
# ## 6 · The step
#
# The step has three groups of mixtures: labelled, first view, second view. BatchNorm normalises with the mean and the spread of what goes
# through the network **together**. Does the answer to an image depend on its company? Ask a new network:

# %% tags=["nbval-ignore-output"]
weak, strong = augment.views(dataset)
batch = next(batches(label_split, weak, strong, mu=1, batch_size=32, seed=SEED))
model = new_model(dataset, SEED)  # in training mode
with torch.no_grad():
    alone = model(batch.x_l)
    in_company = model(torch.cat([batch.x_l, batch.x_w, batch.x_s]))[: len(batch.x_l)]
print(f"the same images: their logits differ by up to {(alone - in_company).abs().max():.2f}")

# %% [markdown]
# It does. So all groups should be normalised alike. The authors' code sends them one by one, after swapping parts between them
# (*interleaving*). You have a simpler way: **one joint pass** of all mixtures. The pseudo-labels come from a pass of their own, both views
# together, on images that are *not* mixed.

# %% [markdown]
# ### Exercise 8.6 · The step
#
# 20 min · difficulty 4/5 · objective 8d
#
# Glue the images, the labelled ones first and then view by view; and so the labels: `y_l` one-hot, then `q` for *each*
# view. The partner of glued image $i$ is glued image `order[i]`, with its label. Mix all with `lam`, run `model` **once**, on
# all mixtures in this order, and return `(loss, logs)`: $\mathcal{L}_X + \lambda_U \mathcal{L}_U$, and `{"brier": ...}`, $\mathcal{L}_U$ as a
# number (no gradient). As in lesson 06, call neither `model.eval()` nor `model.train()`.
#
# <details><summary>Hint 1 (direction)</summary>Six lines: the labels; glue images and labels; your
# <code>mixup</code> with the permuted images and labels as partners; the model; your two losses, the first
# <code>len(x_l)</code> mixtures being the labelled ones; the sum.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>F.one_hot(y_l, q.shape[1]).float()</code>;
# <code>torch.cat([x_l, *views])</code> glues, and <code>[q] * len(views)</code> repeats the pseudo-labels; <code>x[order]</code>
# are the partners; <code>.item()</code> makes a number of a scalar tensor.</details>


# %% tags=["exercise", "ex-8.6"]
def mixmatch_loss(
    model,
    x_l: torch.Tensor,
    y_l: torch.Tensor,
    views: list[torch.Tensor],
    q: torch.Tensor,
    lam: torch.Tensor,
    order: torch.Tensor,
    lambda_u: float,
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of one MixMatch step (Berthelot et al. 2019, algorithm 1 and equations 2 to 5).

    model: maps images to logits
    x_l: (B, C, H, W) labelled images, y_l: (B,) int64 their labels
    views: K tensors (B_u, C, H, W), views of the same unlabelled images, q: (B_u, num_classes) their pseudo-labels
    lam: (B + K * B_u,) one lambda for each mixture, order: (B + K * B_u,) int64, a permutation
    returns: scalar loss, {"brier": the unlabelled loss}
    """
    ### BEGIN SOLUTION
    labels = F.one_hot(y_l, q.shape[1]).float()
    x, p = torch.cat([x_l, *views]), torch.cat([labels, *[q] * len(views)])
    x, p = mixup(x, p, x[order], p[order], lam)
    logits, n = model(x), len(x_l)
    loss_l, loss_u = mixmatch_losses(logits[:n], p[:n], logits[n:], p[n:])
    return loss_l + lambda_u * loss_u, {"brier": loss_u.item()}
    ### END SOLUTION


# %% tags=["check", "ex-8.6"]
check("8.6", mixmatch_loss)

# %% [markdown]
# All chance was handed to you as `lam` and `order`. For training somebody has to draw it. The class below does, makes the pseudo-labels,
# and counts the steps for the ramp. It also logs which fraction of a batch gets the **most frequent pseudo-label**. Remember that number.
#
# The first cell is the logit adjustment of lesson 01, for the labelled images only. It is no part of MixMatch; strength 0 leaves it out.


# %%
LOG_FRACTIONS = (label_split.class_counts() / len(label_split.labelled)).log().to(DEVICE)


def adjusted(model, n, strength):
    """The model, with the logit adjustment of lesson 01 on the first n images: the labelled ones."""

    def logits(x):
        z = model(x)
        return torch.cat([z[:n] + strength * LOG_FRACTIONS, z[n:]])

    return logits if strength else model


# %%
class MixMatch:
    """MixMatch as a loss for `train`. It counts its steps: make a new one for each run."""

    def __init__(self, lambda_u, T=0.5, alpha=0.75, ramp_steps=0, per_image=True, adjust=0.0):
        self.lambda_u, self.T, self.alpha, self.adjust = lambda_u, T, alpha, adjust
        self.ramp_steps, self.per_image, self.step = ramp_steps, per_image, 0
        self.beta, self.partners = np.random.default_rng(SEED), generator(SEED, "mixing partners")

    @torch.no_grad()
    def pseudo_labels(self, model, views):
        logits = model(torch.cat(views)).unflatten(0, (len(views), -1))
        return guess_labels(logits, self.T)

    def mixing(self, n):
        lam = self.beta.beta(self.alpha, self.alpha, n if self.per_image else 1)
        order = torch.randperm(n, generator=self.partners)
        return torch.from_numpy(lam).float().expand(n).to(DEVICE), order.to(DEVICE)

    def __call__(self, model, batch):
        views = [x for x in (batch.x_w, batch.x_s) if x is not None]
        q, n_l = self.pseudo_labels(model, views), len(batch.x_l)
        lam, order = self.mixing(n_l + len(views) * len(q))
        weight = ramp(self.step, self.ramp_steps, self.lambda_u)
        self.step += 1
        model = adjusted(model, n_l, self.adjust)
        loss, logs = mixmatch_loss(model, batch.x_l, batch.y_l, views, q, lam, order, weight)
        logs["labelled"] = loss.item() - weight * logs["brier"]
        logs["largest"] = q.argmax(1).bincount().max().item() / len(q)
        return loss, logs


# %% tags=["nbval-ignore-output"]
playground.watch(
    {
        "MixMatch, yours": MixMatch(lambda_u=10.0, ramp_steps=400),
        "MixMatch, hardly mixed": MixMatch(lambda_u=10.0, ramp_steps=400, alpha=0.05),
    }
)

# %% [markdown]
# Look at the pale zone around the boundary: MixMatch has learnt to be in doubt between the classes. It also stops short of the gap. MixUp
# asks for straight lines from image to image, and moons are not straight. With a small $\alpha$ hardly anything is mixed, and the boundary
# gets further.

# %% [markdown]
# ## 7 · On the lesions
#
# The frame is that of lessons 01 and 06. What differs from the paper:
#
# | | paper (CIFAR-10) | here |
# |---|---|---|
# | network | WRN-28-2, one and a half million parameters | SimpleCNN, 16 thousand |
# | steps | $2^{20}$ | `1600` |
# | batch | `64` labelled, `64` unlabelled, K = 2 | `32` labelled, `32` unlabelled, K = 2 |
# | $\lambda_U$ | `75`, ramp of 16,000 steps | `10`, ramp of `400` |
# | optimiser | Adam, `.002`, constant | Adam, `.002`, falling along a cosine |
# | EMA decay | `.999` | `.99`, reached at step `890` |
# | BatchNorm | groups interleaved | one joint pass |
# | labelled loss | cross-entropy | with half of the logit adjustment |

# %% [markdown]
# The last line is ours. A pseudo-label leans the way the network leans, towards the frequent class, and then is learnt. So the network is
# asked not to lean in the first place.
#
# All of this was chosen by cross-validation inside the labels of two other label splits, and more settings were tried for MixMatch than
# for FixMatch ([settings](../docs/results/settings.md)). Whoever looks longer finds more. So the baseline got the adjustment, too.
#
# The two views of an image are two random draws of the same kind: hand the same view function to `batches` twice.

# %% tags=["nbval-ignore-output"]
LAMBDA_U, TEMPERATURE, ALPHA, ADJUST, RAMP_STEPS = 10.0, 0.5, 0.75, 0.5, NUM_STEPS // 4
stream = batches(label_split, weak, weak, mu=1, batch_size=32, seed=SEED)
loss = MixMatch(LAMBDA_U, TEMPERATURE, ALPHA, RAMP_STEPS, adjust=ADJUST)
run = train(new_model(dataset, SEED), loss, stream, NUM_STEPS, label="MixMatch")
scores = {"MixMatch": evaluation.evaluate(run.ema, dataset.test)}
results.record("MixMatch", dataset, label_split, run, scores["MixMatch"])
print(f"{run.steps_done} steps, {run.seconds:.0f} s")
evaluation.score_table(scores, dataset, dataset.test)

# %% tags=["dataset"]
for metric in ("AUC", "ACC", "macro-F1", "balanced ACC"):
    print(results.within("MixMatch", metric, scores["MixMatch"][metric], dataset))

# %% [markdown]
# One label split can flatter. Here are the course's own five, each paired with the supervised baseline on the same labels. *Supervised,
# adjusted by half* is the fair opponent: the baseline with the same adjustment.

# %% tags=["dataset"]
reference = results.reference(dataset)
fair = "supervised, adjusted by half"
plots.show_gains(reference, ["MixMatch", fair, "FixMatch"], ("macro-F1", "AUC"))

# %% tags=["dataset"]
for metric in ("macro-F1", "AUC", "balanced ACC"):
    found = results.paired(reference, fair, metric)["MixMatch"]
    print(f"MixMatch over the fair opponent, {metric}: {found.gained} (standard error), {found.won} label splits won")

# %% [markdown]
# All numbers: [results on the lesions](../docs/results/dermamnist.md).

# %% [markdown]
# ## 8 · Break it
#
# Now the original notebook. Its formulas are right: it sharpens, it mixes, it takes the maximum, its Brier loss is a mean over the classes.
# Around them: one view instead of two, one $\lambda$ for the whole batch, and $\lambda_U = 50$ from the first step on. A short run, and the
# same once more with $\lambda_U = 1$:


# %%
def original_run(loss, num_steps, k=1, label="MixMatch"):
    """The original recipe; with k = 2 views half as many unlabelled images, so that the work stays the same."""
    a_weak, a_strong = augment.original_weak, augment.original_strong
    second = a_weak if k == 2 else None
    stream = batches(label_split, a_weak, second, labelled_view=a_strong, mu=4 // k, batch_size=16, seed=SEED)
    options = {"schedule": lambda step, n: 1.0, "weight_decay": 0.0, "label": label}
    return train(new_model(dataset, SEED), loss, stream, num_steps, **options)


# %%
SHORT_STEPS = 600
as_it_was = {"lambda_u": 50.0, "per_image": False}
short = {}


def short_name(factor):
    return f"MixMatch, {factor}, {SHORT_STEPS} steps"


def try_out(factor, change, k=1):
    """Train the original recipe with one thing changed, and record the weights of its last step."""
    short[factor] = original_run(MixMatch(**{**as_it_was, **change}), SHORT_STEPS, k, label=factor)
    model = short[factor].ema if "EMA" in factor else short[factor].model
    scores[factor] = evaluation.evaluate(model, dataset.test)
    results.record(short_name(factor), dataset, label_split, short[factor], scores[factor])


# %% tags=["nbval-ignore-output", "aside"]
try_out("as it was", {})
try_out("λ_U 1", {"lambda_u": 1.0})

# %% tags=["nbval-ignore-output", "figure"]
recalls = {name: scores[name].recall for name in ("as it was", "λ_U 1")}
plots.show(
    plots.class_bars(recalls, dataset.class_names, "recall", title="Which classes the original recipe finds, by λ_U"),
    "Bars of the recall of each class, for the original recipe as it was and with λ_U 1. On DermaMNIST the recipe as it was finds "
    "nearly all images of nv and hardly any of another class; on the digits it finds all classes.",
)

# %% [markdown]
# On the lesions the network as it was answers *nevus* to nearly everything. When did it happen? For each step, the fraction of the
# pseudo-labels that name the same class, beside our MixMatch of section 7:

# %% tags=["nbval-ignore-output", "figure"]
largest_fraction = (label_split.class_counts().max() / len(label_split.labelled)).item()
curves = {"MixMatch": run.curves["largest"][:SHORT_STEPS], "as it was": short["as it was"].curves["largest"]}
curves["most frequent class"] = [largest_fraction] * SHORT_STEPS
title = "How many pseudo-labels of a batch name the same class"
plots.show(
    plots.curves(curves, "fraction of the most frequent", window=25, title=title, ylim=(0, 1.05)),
    "The fraction of the most frequent pseudo-label in each batch against the step, for our MixMatch and for the original recipe as it was, "
    "with the fraction of the most frequent class as a level line. On DermaMNIST the original recipe rises to one and stays there, and "
    "our MixMatch stays near the level line; on the digits both stay low.",
)

# %% [markdown]
# Within the first few dozen steps, and it never ends. Here is a suspicion how. A young network has learnt one thing: the class fractions. Let
# it answer these for every image, sharpen, learn this pseudo-label, answer again:

# %% tags=["dataset"]
p = (label_split.class_counts() / len(label_split.labelled)).view(1, -1)
for number in range(4):
    print(f"round {number}:", "  ".join(f"{name} {x:.2f}" for name, x in zip(dataset.class_names, p[0].tolist())))
    p = sharpen(p, T=0.5)

# %% [markdown]
# On the lesions two rounds make a certainty of a majority. Pseudo-label and answer confirm each other, and the Brier loss is content: **the
# same sure answer to every unlabelled image costs nothing at all**.
#
# That is a story. Which part of the recipe tells it?

# %% [markdown]
# ## 9 · Ten suspects
#
# One view, no ramp, one $\lambda$ per batch, no average of the weights, the unequal classes, the sharpening, the size of $\lambda_U$. Start
# from the run as it was, change **one** factor, leave all else alone. (One run changes four together, in case none is enough alone. And
# `λ_U 0` still mixes unlabelled images in, but they have no loss of their own.)
#
# Make your bet before you run the cell. Five label splits for each suspect, from the course's own runs:

# %% tags=["dataset"]
suspects = [
    "K = 2",
    "ramp",
    "λ per image",
    "EMA",
    "K, ramp, λ, EMA",
    "logit adjustment",
    "T = 1",
    "λ_U 5",
    "λ_U 1",
    "λ_U 0",
]
plots.show_gains(reference, [short_name(factor) for factor in suspects], baseline=short_name("as it was"))

# %% [markdown]
# The first six are in the paper, or ought to help, and any reader of the code would have named them as "the bug". See how they do. A clean
# negative is worth a moment: only the experiment says that they are not what broke this run.
#
# Why does the size of $\lambda_U$ decide? Compare what the two networks pay, averaged over their last hundred steps. Which is cheaper,
# under which weight?


# %% tags=["nbval-ignore-output"]
def paid(run):
    return [float(np.mean(run.curves[name][-100:])) for name in ("labelled", "brier")]


costs = pd.DataFrame({factor: paid(short[factor]) for factor in ("λ_U 1", "as it was")}, index=["L_X", "L_U"]).T
for lambda_u in (1, 50):
    costs[f"L_X + {lambda_u} L_U"] = costs["L_X"] + lambda_u * costs["L_U"]
costs.round(3)

# %% [markdown]
# ### Exercise 8.7 · From which weight on the collapse pays
#
# 8 min · difficulty 2/5 · objective 8e
#
# Network A pays `labelled_a` $+ \lambda_U \cdot$ `brier_a`, network B pays `labelled_b` $+ \lambda_U \cdot$ `brier_b`.
# Return the smallest $\lambda_U \ge 0$ at which B is **at least as cheap** as A, a number, not rounded. If B pays no more
# than A on the labelled images, that is 0, whatever the two Brier losses are. If B pays more there and saves nothing on
# the others, there is no such weight: return `math.inf`.
#
# <details><summary>Hint 1 (direction)</summary>Set both costs equal and solve for $\lambda_U$: what B pays more on the
# labelled images, it must save on the unlabelled ones. Then think of the cases where it pays nothing more, and where it
# saves nothing.</details>
#
# <details><summary>Hint 2 (which function)</summary>Two differences and a fraction; <code>if</code> for the two special
# cases; <code>math.inf</code> is infinity.</details>


# %% tags=["exercise", "ex-8.7"]
def break_even(labelled_a: float, brier_a: float, labelled_b: float, brier_b: float) -> float:
    """The smallest weight of the unlabelled loss at which B costs no more than A; math.inf if there is none."""
    ### BEGIN SOLUTION
    extra, saved = labelled_b - labelled_a, brier_a - brier_b
    if extra <= 0:
        return 0.0
    return extra / saved if saved > 0 else math.inf
    ### END SOLUTION


# %% tags=["check", "ex-8.7"]
check("8.7", break_even)

# %% tags=["nbval-ignore-output"]
weight = break_even(*costs.loc["λ_U 1", ["L_X", "L_U"]], *costs.loc["as it was", ["L_X", "L_U"]])
print(f"from lambda_U = {weight:.0f} on, the network of the run as it was is the cheaper one")

# %% [markdown]
# Case closed. On the lesions this weight lies well below 50, so the collapse was no accident of the optimiser: **under the loss that was
# written down, the collapsed network is the better one**. Being sure of one class costs something on the labelled images, but not much where
# two in three show that class. On the unlabelled images it saves the greater part. (On the digits the number means nothing: neither network
# has collapsed.)
#
# Then why did the paper's 75 work? Taken back to the *sum* over the classes, 50 on seven classes is no more than 75 on ten. Your ramp knows
# the rest:

# %% tags=["dataset"]
print(f"per squared distance: paper {75 / 10:.1f}, original notebook {50 / dataset.num_classes:.1f}")
print(f"the paper's weight after {NUM_STEPS} of its steps: {ramp(NUM_STEPS, 16000, 75.0):.1f}")

# %% [markdown]
# What differs is all around it. The paper's classes are balanced, so one answer to everything is as bad for the labelled images as can be.
# Its network is a hundred times larger. And by the end of *our* training its weight would be a tenth of the full one. A weight is part of a
# recipe. Copied into another one it is just a number.

# %% [markdown]
# ## What we know
#
# - The dot plot in section 7 and the lines under it are what we can say about MixMatch on lesions: five label splits. Its settings were
#   chosen among more candidates than the others'.
# - With many labelled digits MixMatch gains on every label split. With few it doesn't, and stays far behind FixMatch
#   ([results](../docs/results/digits.md)).
# - The original recipe collapses on lesions and not on digits. A smaller weight helps most there; leaving out the sharpening helps.
# - Two views, the ramp, $\lambda$ per image and EMA were tried where the collapse drowns everything else. They may help elsewhere.
# - A step of MixMatch sees five times as many views as a supervised one. Equal steps are not equal work.

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (8a). Why are the views averaged *before* the pseudo-label is sharpened?
#
# <details><summary>a) It makes no difference, the formulas commute</summary>They do not: your check in Exercise 8.2 tells the
# two apart.</details>
# <details><summary>b) To save the time of one sharpening</summary>It costs next to nothing compared with a forward
# pass.</details>
# <details><summary>c) So that a hesitant view counts little, and the pseudo-label comes out decided</summary>Yes. Sharpened
# first, a hesitant view becomes nearly as loud as a sure one, and the average of loud opposites is flat
# again.</details>

# %% [markdown]
# **Question 2** (8b). What would go wrong with $\lambda$ in place of $\max(\lambda, 1 - \lambda)$?
#
# <details><summary>a) The labels of the mixtures would not sum to one</summary>They would: $\lambda$ and $1 - \lambda$ sum to
# one, whichever is larger.</details>
# <details><summary>b) Half of the mixtures called labelled would consist mostly of their partner, often an unlabelled image
# with a pseudo-label</summary>Yes. The labelled loss would be computed mostly on pseudo-labels, and the unlabelled one partly on
# labels.</details>
# <details><summary>c) The images would become too dark</summary>The weights sum to one either way; brightness stays as it
# is on average.</details>

# %% [markdown]
# **Question 3** (8e). A loss on unlabelled images is zero for any sure and constant answer. This is most dangerous when
#
# <details><summary>a) one class is frequent: then the constant answer is cheap on the labelled images, too</summary>Yes.
# Nothing but the labelled loss speaks against the constant answer, and under imbalance it does not speak loudly. A large
# weight drowns it.</details>
# <details><summary>b) the classes are balanced</summary>Then a constant answer is wrong for nearly all labelled images, and
# the labelled loss prevents it.</details>
# <details><summary>c) the loss is the cross-entropy: with the Brier loss it cannot happen</summary>It did happen with the
# Brier loss. Every loss that only asks for agreement has this hole; FixMatch has its threshold, and it has the hole,
# too.</details>

# %% [markdown]
# ## Key points
#
# - Average the probabilities of the views, then sharpen. The pseudo-label is a constant.
# - MixUp mixes images and labels alike, one weight for each image, the first image having the larger part.
# - Send all mixtures through the network together: BatchNorm must not normalise the groups one by one.
# - Change one factor at a time. A constant answer costs an agreement loss nothing; under imbalance its weight decides.
#
# Next: `09_retrospective.ipynb`, all methods side by side.

# %%
progress("08")
