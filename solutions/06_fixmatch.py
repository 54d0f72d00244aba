# %% [markdown]
# # 06 · FixMatch
#
# Your network has learnt from 500 labelled images. Now it looks at one without a label and is almost sure what it sees. Should it
# learn from its own answer?
#
# ![FixMatch. The network learns from weak views of the labelled images. Of each unlabelled image it sees two views. Its answer on the weak view passes the mask only if its highest probability is at least tau; its most probable class is then the pseudo-label, and no gradient flows through it. The answer on the strong view has to match the pseudo-label.](../docs/figures/fixmatch.svg)
#
# FixMatch ([Sohn et al. 2020](https://arxiv.org/abs/2001.07685)) says yes, on one condition: be **sure on an easy view** of the image,
# then give the **same answer on a hard view**.
#
# **Time** 85 min, of which the computer trains for 2
#
# **You need** lessons 00 and 01 (the metrics, the label split, the supervised baseline)
#
# **Objectives**
#
# - **6a** Make a weak and a strong view, drawn anew for every image.
# - **6b** Turn predictions into pseudo-labels and a mask, without letting a gradient through.
# - **6c** Write FixMatch's loss and its training step.
# - **6d** See what the mask lets through, class by class.
# - **6e** Separate the method's gain from the training recipe's.

# %% tags=["setup"]
import math

import torch
import torch.nn.functional as F

from course_utils import augment, evaluation, playground, plots, results, widgets
from course_utils.batches import batches, generator
from course_utils.check import borrow, check, progress, reveal
from course_utils.datasets import load_dataset, to_tensor
from course_utils.labels import split_labels
from course_utils.models import new_model
from course_utils.settings import NUM_LABELS, NUM_STEPS, SEED
from course_utils.training import supervised_loss, train

# %% [markdown]
# ## 1 · See it first
#
# Two moons, two classes, and only three labels in each: the large marks. All other points have no label. Run the cell, then move the
# slider (or press play) and watch where the network draws its boundary when it learns **from the labelled points alone**.

# %% tags=["nbval-ignore-output"]
playground.watch(supervised_loss, title="Labels alone")

# %% [markdown]
# You see the gap between the moons at once. The network can't: it looks at the labelled points only. Here is what FixMatch makes of the
# same labels:
#
# ![A strip of four pictures of two moons at steps 0, 50, 200 and 800, trained by FixMatch: the boundary moves until it runs through the gap between the moons, and nearly every point has the colour of its moon.](../docs/figures/strip_fixmatch.png)
#
# By the end of section 5 **your own function** draws this picture.

# %% [markdown]
# ## 2 · Two views of one image
#
# A lesion that is turned or partly covered is still the same lesion. So FixMatch shows each image twice. The **weak** view is easy: the
# network answers about as well as on the image itself. The **strong** view is hard: to give the same answer there, it has to learn something.

# %% tags=["nbval-ignore-output"]
dataset = load_dataset()
label_split = split_labels(dataset, NUM_LABELS, SEED)
weak, strong = augment.views(dataset)
print(dataset)
print(label_split)

# %% tags=["dataset", "figure"]
image = dataset.train.images[label_split.labelled[7]]
rows = [[image], augment.augment_one(weak, image, 9, seed=0), augment.augment_one(strong, image, 9, seed=0)]
plots.show(
    plots.image_grid(
        rows, ["original", "weak", "strong"], scale=0.75, title="One image, nine weak and nine strong views"
    ),
    alt="One image; nine weak views, which flip, turn and shift it; nine strong views, which also change size and brightness and cover a square.",
)

# %% [markdown]
# A lesion has no up or down, so any flip and any turn is fine. The hue stays as it is: colour is part of the diagnosis. (The digits are
# never flipped. A turned 6 is a 9.) Where a view reaches past the edge, the image is mirrored there: the second lesion in some views is the
# same one.
#
# What happens if strong is barely stronger than weak? Then agreement teaches nothing.

# %% [markdown]
# ### Exercise 6.1 · A random draw for each image
#
# 10 min · difficulty 2/5 · objective 6a
#
# Given a batch `x` (B, C, H, W), return a new batch in which **each image by itself** is mirrored left-right with
# probability one half. All randomness comes from `rng`, a `torch.Generator`: don't reseed it, so that the next call draws other numbers.
# The input stays as it is, and is not what you return, even if no image is mirrored.
#
# <details><summary>Hint 1 (direction)</summary>Draw B numbers, then choose per image between the image and its
# mirror image. One number for the batch would show the network all images mirrored or none.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.rand(len(x), generator=rng)</code> gives the numbers,
# <code>x.flip(3)</code> the mirrored batch, and <code>torch.where</code> chooses, once what you compare has the shape
# (B, 1, 1, 1).</details>


# %% tags=["exercise", "ex-6.1"]
def flip_each(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Mirror each image left-right with probability one half.

    x: (B, C, H, W)
    returns: (B, C, H, W), a new tensor
    """
    ### BEGIN SOLUTION
    mirrored = torch.rand(len(x), generator=rng) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)
    ### END SOLUTION


# %% tags=["check", "ex-6.1"]
check("6.1", flip_each)

# %% tags=["dataset", "figure"]
same = to_tensor(image).expand(12, -1, -1, -1) / 127.5 - 1
plots.show(
    plots.image_grid(
        [flip_each(same, generator(SEED, "mirrored"))], ["flip_each"], scale=0.7, title="Your function on twelve copies"
    ),
    alt="Twelve copies of one image after flip_each: some are mirrored and some are not, in no regular order.",
)

# %% [markdown]
# ## 3 · Pseudo-label and mask
#
# On the weak view $\alpha(u_b)$ the network predicts a distribution $q_b = p(y \mid \alpha(u_b))$. Its most probable class is the
# **pseudo-label** $\hat q_b = \arg\max q_b$. The **mask** keeps it only if the network is confident:
#
# $$m_b = \mathbf{1}\left[\max q_b \ge \tau\right].$$
#
# Four predictions, and a threshold of `tau = .95`:

# %%
q = torch.tensor([[0.97, 0.02, 0.01], [0.60, 0.30, 0.10], [0.03, 0.96, 0.01], [0.01, 0.03, 0.96]])
confidence, pseudo_label = q.max(dim=1)
for row in range(4):
    print(
        f"{[round(x, 2) for x in q[row].tolist()]}  ->  class {pseudo_label[row]}, {'kept' if confidence[row] >= 0.95 else 'left out for now'}"
    )

# %% [markdown]
# The second one may pass later, when the network has learnt more.
#
# A pseudo-label is a *target*, and targets are constants: the dashed arrow in the diagram. Here `argmax` and `≥` let no gradient through
# anyway, so `no_grad` only saves work. With soft labels it decides: the network could move the target instead of its answer.

# %% [markdown]
# ### Exercise 6.2 · Pseudo-label and mask
#
# 8 min · difficulty 2/5 · objective 6b
#
# From the logits on the weak views, `logits_w` (B, num_classes), return `(pseudo_label, mask)`: `pseudo_label` (B,) int64 is the
# most probable class, `mask` (B,) is a float tensor, 1 where that class's probability is **at least** `tau` and 0
# elsewhere. Neither carries a gradient. Logits may be as large as 300.
#
# <details><summary>Hint 1 (direction)</summary>Logits are not probabilities yet. Mind over which axis the
# probabilities sum to one, and that <i>at least</i> includes <i>equal</i>.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>logits_w.detach().softmax(dim=1).max(dim=1)</code> gives
# both the confidences and the classes; <code>.float()</code> turns True and False into 1 and 0.</details>


# %% tags=["exercise", "ex-6.2"]
def pseudo_label_and_mask(logits_w: torch.Tensor, tau: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Hard pseudo-labels and which of them to believe (Sohn et al. 2020, equation 4).

    logits_w: (B, num_classes) on the weak views
    returns: pseudo-label (B,) int64, mask (B,) float of zeros and ones, both without gradient
    """
    ### BEGIN SOLUTION
    probabilities = logits_w.detach().softmax(dim=1)
    confidence, pseudo_label = probabilities.max(dim=1)
    return pseudo_label, (confidence >= tau).float()
    ### END SOLUTION


# %% tags=["check", "ex-6.2"]
check("6.2", pseudo_label_and_mask)

# %% [markdown]
# ## 4 · The loss on unlabelled images
#
# On the strong view $\mathcal{A}(u_b)$ the network has to answer the pseudo-label. A batch has $B$ labelled
# images and $\mu$ times as many unlabelled ones. With the cross-entropy $H$,
#
# $$\ell_u = \frac{1}{\mu B} \sum_{b=1}^{\mu B} m_b \; H\!\left(\hat q_b,\; p(y \mid \mathcal{A}(u_b))\right).$$
#
# Look at the divisor: **all** unlabelled images, not only the kept ones. Early on few pseudo-labels pass, so $\ell_u$ is small by itself.
# FixMatch needs no schedule that turns it on. The mask is the schedule.

# %% [markdown]
# ### Exercise 6.3 · The unlabelled loss
#
# 7 min · difficulty 2/5 · objective 6c
#
# Given the logits on the N strong views, `logits_s` (N, num_classes), the `pseudo_label` (N,) and the `mask` (N,), return
# $\ell_u$ as a scalar tensor: the masked cross-entropies, summed and divided by the number of **all** N images. Its gradient
# reaches `logits_s`. If the mask is all zeros the loss is 0, still a tensor, and not nan.
#
# <details><summary>Hint 1 (direction)</summary>You need one loss per image before you can mask any of them.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>F.cross_entropy(..., reduction="none")</code>, times the
# mask, then <code>.mean()</code>.</details>


# %% tags=["exercise", "ex-6.3"]
def unlabelled_loss(logits_s: torch.Tensor, pseudo_label: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """FixMatch's loss on unlabelled images (Sohn et al. 2020, equation 4).

    logits_s: (N, num_classes) on the strong views, pseudo_label: (N,) int64, mask: (N,) float
    returns: scalar
    """
    ### BEGIN SOLUTION
    losses = F.cross_entropy(logits_s, pseudo_label, reduction="none")
    return (losses * mask).mean()
    ### END SOLUTION


# %% tags=["check", "ex-6.3"]
check("6.3", unlabelled_loss)

# %% [markdown]
# ## 5 · The step
#
# All together: $\ell = \ell_s + \lambda_u\, \ell_u$, where $\ell_s$ is the cross-entropy on the labelled images. A batch brings `x_l, y_l`
# (*weak* views of labelled images, and their labels) and `x_w, x_s` (a weak and a strong view of the same unlabelled images):

# %% tags=["dataset"]
batch = next(batches(label_split, weak, strong, batch_size=32, mu=2, seed=SEED))
{name: tuple(value.shape) for name, value in batch._asdict().items()}

# %% [markdown]
# The formula hides one decision. BatchNorm normalises whatever goes through the network *together*. Send labelled and strong images in one
# pass, and both are normalised alike. In two passes each is normalised by statistics of its own, and the running averages, which you
# need later to predict, fit neither.

# %% [markdown]
# ### Exercise 6.4 · FixMatch
#
# 18 min · difficulty 3/5 · objective 6c
#
# Return `(loss, logs)`: the scalar tensor $\ell_s + \lambda_u \ell_u$, and `{"mask": fraction of unlabelled images that are kept}`,
# a number without gradient. Call `model` twice: on `x_w` alone, under `torch.no_grad()`, and on the labelled and the strong
# images **in one joint pass**, also when the mask keeps nothing. (One pass over all three, as in the paper's code, is right, too: then
# detach the weak logits.) Leave `model.eval()` and `model.train()` to the training loop.
#
# <details><summary>Hint 1 (direction)</summary>Four lines: logits of the weak views under
# <code>torch.no_grad()</code>, pseudo-label and mask; logits of the labelled and strong images, glued together and cut apart
# again; the two losses; their sum. Your functions from Exercises 6.2 and 6.3 do half of
# it.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.cat([batch.x_l, batch.x_s])</code> before the model,
# <code>logits[:len(batch.x_l)]</code> and <code>logits[len(batch.x_l):]</code> after it; <code>mask.mean().item()</code>
# is the fraction.</details>


# %% tags=["exercise", "ex-6.4"]
def fixmatch_loss(model, batch, tau: float = 0.95, lambda_u: float = 1.0):
    """The loss of one FixMatch step (Sohn et al. 2020, equations 3 and 4).

    model: maps images to logits
    batch: x_l (B, C, H, W), y_l (B,), x_w and x_s (mu * B, C, H, W)
    returns: (scalar loss, {"mask": fraction of unlabelled images kept})
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        logits_w = model(batch.x_w)
    pseudo_label, mask = pseudo_label_and_mask(logits_w, tau)
    logits = model(torch.cat([batch.x_l, batch.x_s]))
    logits_l, logits_s = logits.split([len(batch.x_l), len(batch.x_s)])
    loss_l = F.cross_entropy(logits_l, batch.y_l)
    loss = loss_l + lambda_u * unlabelled_loss(logits_s, pseudo_label, mask)
    return loss, {"mask": mask.mean().item()}
    ### END SOLUTION


# %% tags=["check", "ex-6.4"]
check("6.4", fixmatch_loss)

# %% [markdown]
# Now your function draws its picture. The points are the same, the network is the same, the training loop is the one that you will use on
# the lesions. The small noise is the weak view, the large noise the strong one. (`tau=.8`, since so small a network is seldom surer.)

# %% tags=["nbval-ignore-output"]
playground.watch(lambda model, batch: fixmatch_loss(model, batch, tau=0.8), title="Your FixMatch")

# %% [markdown]
# Slide to the step at which the boundary lets go of the labelled points and slips into the gap. That is a confident answer being handed
# on from neighbour to neighbour.

# %% [markdown]
# ## 6 · On the lesions
#
# The recipe is that of lesson 01. Some things differ from the paper, because a CPU should do it in two minutes:
#
# | | paper (CIFAR-10) | here |
# |---|---|---|
# | network | WRN-28-2, one and a half million parameters | SimpleCNN, 16 thousand |
# | steps | $2^{20}$ | `1600` |
# | batch | `64` labelled, `mu = 7` | `32` labelled, `mu = 2` |
# | optimiser | SGD; the paper found Adam worse | Adam, for so few steps |
# | EMA decay | `.999` | `.99`, after a warm-up |
# | strong view | RandAugment or CTAugment, then Cutout | turns, sizes, brightness, then Cutout |

# %% tags=["nbval-ignore-output"]
ssl_batches = batches(label_split, weak, strong, batch_size=32, mu=2, seed=SEED)
run = train(new_model(dataset, SEED), fixmatch_loss, ssl_batches, NUM_STEPS, label="FixMatch")
scores = evaluation.evaluate(run.ema, dataset.test)
results.record("FixMatch", dataset, label_split, run, scores)
print(f"{run.steps_done} steps, {run.seconds:.0f} s")
evaluation.score_table({"FixMatch": scores}, dataset, dataset.test)

# %% tags=["dataset"]
for metric in ("AUC", "ACC", "macro-F1", "balanced ACC"):
    print(results.within("FixMatch", metric, scores[metric], dataset))

# %% [markdown]
# That is one label split, and one split can flatter. Here are the five of the course's own runs, each paired with the supervised baseline
# on the same labels. *Batches of 160* is a baseline that looks at as many views as FixMatch does, all of labelled images. *Original recipe*
# is FixMatch as the notebook from which this course grew trains it (section 9).

# %% tags=["dataset"]
reference = results.reference(dataset)
methods = ["FixMatch", "supervised, batches of 160", "FixMatch, original recipe"]
plots.show_gains(reference, methods)

# %% tags=["dataset"]
found = results.paired(reference)["FixMatch"]
larger = results.paired(reference, baseline="supervised, batches of 160")["FixMatch"]
print(f"FixMatch over the supervised baseline, macro-F1: {found.gained} (standard error), {found.won} label splits won")
print(
    f"FixMatch over the baseline with batches of 160:  {larger.gained} (standard error), {larger.won} label splits won"
)

# %% [markdown]
# All numbers: [results on the lesions](../docs/results/dermamnist.md).

# %% [markdown]
# ## 7 · What the mask lets through
#
# Your trained network answers on every image without a label. Move $\tau$. What do you gain, what do you lose? Which classes go first?

# %% tags=["nbval-ignore-output"]
unlabelled = torch.tensor(sorted(set(range(len(label_split.images))) - set(label_split.labelled.tolist())))
probabilities = torch.from_numpy(evaluation.predict(run.ema, label_split.images[unlabelled]))
truth = label_split.measure_labels(unlabelled)
widgets.threshold(probabilities, truth, label_split.images[unlabelled], dataset.class_names)

# %% [markdown]
# The hidden labels are used here to *measure*, and for nothing else. Now compute the two rows of bars yourself.

# %% [markdown]
# ### Exercise 6.5 · Kept, class by class
#
# 15 min · difficulty 3/5 · objective 6d
#
# From `pseudo_label`, `mask` and the true labels `truth`, all (N,), return `(fraction, precision)`, two float tensors
# (num_classes,). `fraction[c]`: of the images that **truly are** class $c$, which part does the mask keep?
# `precision[c]`: of the images that are kept **with the pseudo-label** $c$, which part truly is $c$? Where there is nothing
# to divide by, the entry is `nan`: unknown, which is not the same as 0.
#
# <details><summary>Hint 1 (direction)</summary>Both are fractions of counts per class: write down numerator and
# denominator of each. For the fraction the classes are those of <code>truth</code>, for the precision those of
# <code>pseudo_label</code>.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.bincount(labels, weights=..., minlength=num_classes)</code>
# counts with weights; in floats 0/0 is nan by itself.</details>


# %% tags=["exercise", "ex-6.5"]
def kept_by_class(pseudo_label: torch.Tensor, mask: torch.Tensor, truth: torch.Tensor, num_classes: int):
    """What the mask keeps of each class, and how right it is.

    pseudo_label, truth: (N,) int64, mask: (N,) float of zeros and ones
    returns: fraction (num_classes,), precision (num_classes,), nan where undefined
    """
    ### BEGIN SOLUTION
    right = mask * (pseudo_label == truth)
    of_class = torch.bincount(truth, minlength=num_classes)
    fraction = torch.bincount(truth, weights=mask, minlength=num_classes) / of_class
    kept_pseudo_labels = torch.bincount(pseudo_label, weights=mask, minlength=num_classes)
    return fraction, torch.bincount(pseudo_label, weights=right, minlength=num_classes) / kept_pseudo_labels
    ### END SOLUTION


# %% tags=["check", "ex-6.5"]
check("6.5", kept_by_class)

# %% tags=["nbval-ignore-output"]
pseudo_label, mask = pseudo_label_and_mask(probabilities.clamp(min=1e-9).log(), tau=0.95)
fraction, precision = kept_by_class(pseudo_label, mask, truth, dataset.num_classes)
num_kept = torch.bincount(pseudo_label[mask == 1], minlength=dataset.num_classes)
print("kept, by pseudo-label:", dict(zip(dataset.class_names, num_kept.tolist())))

# %% tags=["figure"]
bars = {"fraction of the class that is kept": fraction.numpy(), "precision of what is kept": precision.numpy()}
plots.show(
    plots.class_bars(
        bars, dataset.class_names, "fraction", title="What the mask keeps of each class, and how right it is"
    ),
    alt="Two bars for each class: the fraction of its images that the mask keeps, and the precision of the pseudo-labels of that class; n/a where nothing was kept.",
)

# %% [markdown]
# A low first bar: few images of this class are kept. A low second bar: other classes pass under its name. (Where the line above counts a
# handful, the bar is a matter of luck.) On the lesions the mask keeps mostly what is frequent, because the network is sure of what it has
# seen most. So the rare classes, where labels are scarcest, gain least. Lesson 07 takes this up.

# %% [markdown]
# ## 8 · Break it
#
# FixMatch trusts one assumption: **classes lie apart, with a gap between them**. Give it points whose gap is in the wrong place.

# %% tags=["nbval-ignore-output"]
playground.watch(
    {"Labels alone": supervised_loss, "Your FixMatch": lambda model, batch: fixmatch_loss(model, batch, tau=0.8)},
    kind="gap",
)

# %% [markdown]
# Count the rings. FixMatch is confident, it agrees with itself, and here it does **harm**: its boundary moves into the gap, away from the
# labels' own. The unlabelled loss cannot tell you so. Only labels can.

# %% [markdown]
# ## 9 · Method or recipe?
#
# The original notebook, from which this course grew, has FixMatch's formula right. Around it nearly everything differs from the paper: no
# average of the weights, no weight decay, a mild strong view, three passes that feed BatchNorm. The last row of the dot plot shows
# what all of that costs together: the recipe around a method can matter more than the method. One more of its habits is easy to miss. It pairs its two
# loaders with `zip`.

# %% [markdown]
# ### Exercise 6.6 · Where `zip` stops
#
# 10 min · difficulty 2/5 · objective 6e
#
# `zip` ends with the shorter of two loaders. A labelled loader has `ceil(num_labelled / batch_l)` batches of `batch_l`
# images, an unlabelled one `ceil(num_unlabelled / batch_u)` batches of `batch_u` (the last batch of each may be
# smaller). Return the fraction of the **unlabelled images** that one pass over `zip(labelled_loader, unlabelled_loader)`
# sees: a float in [0, 1]. There is at least one image of each kind.
#
# <details><summary>Hint 1 (direction)</summary>How many steps does the pass have? How many unlabelled images come by in
# so many steps, at the most?</details>
#
# <details><summary>Hint 2 (which function)</summary><code>math.ceil</code> for the number of batches,
# <code>min</code> twice: for the steps, and so that no more images are counted than there are.</details>


# %% tags=["exercise", "ex-6.6"]
def zip_coverage(num_labelled: int, num_unlabelled: int, batch_l: int, batch_u: int) -> float:
    """Fraction of the unlabelled images seen in one pass over the two zipped loaders."""
    ### BEGIN SOLUTION
    steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u))
    return min(steps * batch_u, num_unlabelled) / num_unlabelled
    ### END SOLUTION


# %% tags=["check", "ex-6.6"]
check("6.6", zip_coverage)

# %%
print(f"one epoch of the original notebook sees {zip_coverage(500, 6507, 16, 64):.1%} of its unlabelled images")

# %% [markdown]
# A loader that shuffles shows other images in the next epoch, so nothing is lost for good. But its "epoch" is no pass over the data. The
# course counts steps instead, and `batches` lets each stream go on.

# %% [markdown]
# ## What we know
#
# - Section 6 is what we measured on lesions with this network; [a larger one](../docs/results/networks.md) changes it. Look at the second printed line: how much of
#   the gain is left for FixMatch itself?
# - A step of FixMatch sees five times as many views as a supervised step. Equal steps are not equal work.
# - On digits, where classes are balanced and far apart, you saw the method at its best in lesson 00.
# - Our ablations are too short to tell which part of the recipe helps ([pieces exchanged](../docs/results/ablations.md)).
# - All lesions come from one collection. We don't know how FixMatch does on another.

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (6c). In the first steps hardly any pseudo-label passes the threshold. The unlabelled loss, divided by all images, is then
#
# <details><summary>a) large, because the few kept images weigh much</summary>That is what dividing by the <i>kept</i>
# images would do: two lucky pseudo-labels would count as much as a hundred.</details>
# <details><summary>b) undefined</summary>Only with the kept images as divisor, when none is kept.</details>
# <details><summary>c) small, and grows as the mask opens</summary>Yes. The mask is the schedule; no ramp is needed.</details>

# %% [markdown]
# **Question 2** (6a). Why does the pseudo-label come from the weak and the loss from the strong view?
#
# <details><summary>a) The easy view gives the best answer, the hard view leaves something to learn</summary>Yes. Both from
# the weak view: little to learn. Both from the strong view: worse pseudo-labels.</details>
# <details><summary>b) Because the strong view is slower to compute</summary>Speed has nothing to do with it.</details>
# <details><summary>c) So that the network sees each image twice</summary>It would see it twice either way.</details>

# %% [markdown]
# **Question 3** (6d). The kept pseudo-labels are nearly all right. FixMatch therefore
#
# <details><summary>a) must beat the baseline</summary>No: they can be right and teach nothing new, such as the frequent
# class once more.</details>
# <details><summary>b) may or may not help: it depends on whether the kept pseudo-labels add information</summary>Yes. High precision
# helps, but it is not enough.</details>
# <details><summary>c) has found the rare classes</summary>Not necessarily: look at the fraction that is kept, class by
# class.</details>

# %% [markdown]
# ## Key points
#
# - Pseudo-labels come from the weak view, without gradient; learn on the strong view; divide by all images.
# - Draw augmentations per image, and never end at the shorter loader.
# - Look at what the mask keeps class by class: under imbalance it keeps mostly what is frequent.
# - Compare a method on the same label split, steps and network with a baseline that was tuned as well.
#
# Next: `07_flexmatch.ipynb`, one threshold for each class.

# %%
progress("06")
