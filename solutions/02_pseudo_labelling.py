# %% [markdown]
# # 02 · Pseudo-labelling
#
# Your network has learnt from 500 labels. Ask it about any other image and it answers, too. May it learn from its own answers, as if they were
# labels? And what becomes of its mistakes if it does?
#
# ![Pseudo-labelling as Lee does it. One network answers labelled and unlabelled images. Of each answer on an unlabelled image the most probable class is taken as if it were the label; no gradient flows through this pseudo-label. The second loss compares the same answer with it, and its weight alpha grows during the training.](../docs/figures/pseudo_labelling.svg)
#
# Such an answer is a **pseudo-label**. It is one of the oldest ideas of the field, and it is still the heart of FixMatch. Here you build its two
# classic forms, see one of them fail, and find out why.
#
# **Time** 116 min, of which the computer trains for 2
#
# **You need** lessons 00 and 01 (the metrics, the labelled set, the supervised baseline)
#
# **Objectives**
#
# - **2a** Train a network on its own answers, with a weight that grows.
# - **2b** Choose which answers to believe, and say what a threshold trades for what.
# - **2c** Add pseudo-labels without touching a true label, and refit in rounds.
# - **2d** See how a network confirms its own mistakes, class by class and round by round.
# - **2e** Decide when to stop without a look at the test split.

# %% tags=["setup"]
import math

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from course_utils import augment, evaluation, playground, plots, results, widgets
from course_utils.batches import Batch, batches
from course_utils.check import borrow, check, progress, reveal
from course_utils.datasets import Split, load_dataset
from course_utils.labels import LabelSplit, split_labels
from course_utils.models import new_model
from course_utils.settings import NUM_LABELS, NUM_STEPS, SEED
from course_utils.training import supervised_loss, train, train_baseline

# %% [markdown]
# ## 1 · See it first
#
# What does an image teach when you give it its own most probable class? Take three answers: one sure, one torn between two classes, one that
# hardly knows. Their true classes are 0, 1 and 0. Let each take ten steps of gradient descent towards its own favourite.

# %%
answers = torch.tensor([[0.90, 0.06, 0.04], [0.50, 0.45, 0.05], [0.36, 0.33, 0.31]])
true_classes = [0, 1, 0]
logits = answers.log()
for _ in range(10):
    logits.requires_grad_()
    F.cross_entropy(logits, answers.argmax(dim=1), reduction="sum").backward()
    logits = (logits - 0.5 * logits.grad).detach()
after = logits.softmax(dim=1)

# %% tags=["figure"]
figure, panels = plots.plt.subplots(1, 3, figsize=(7.5, 2.4), sharey=True)
for panel, first, last, true in zip(panels, answers, after, true_classes):
    panel.bar(range(3), last, color=plots.looks.look("pseudo-labels").color, label="after")
    panel.hlines(first, np.arange(3) - 0.4, np.arange(3) + 0.4, color="black", linestyle="-", label="before")
    panel.set_xticks(range(3), [f"{c}, true" if c == true else str(c) for c in range(3)])
    panel.set(xlabel="class", ylim=(0, 1.05))
panels[0].set_ylabel("probability")
panels[2].legend(frameon=False)
plots.head(figure, "Three answers that learn from themselves")
plots.show(
    figure,
    alt="Three panels, each with the probabilities of three classes: strokes before, bars after ten steps on the most probable class. "
    "The true class is marked: in the second panel it is not the most probable one.",
)

# %% [markdown]
# Whatever was in front moves further to the front, the wrong class of the second answer too. The network becomes **surer**. Does it become more
# **right**? Nothing in these three answers says so. Change a number and run both cells again. What would turn the second answer round?

# %% [markdown]
# ## 2 · Its own answers as targets
#
# [Lee (2013)](https://www.researchgate.net/publication/280581078) does this at every step, with every unlabelled image of the batch. There is no
# threshold. With $n$ labelled images (labels $y$, answers $f$), $n'$ unlabelled ones and the cross-entropy $L$,
#
# $$\ell = \frac{1}{n} \sum_{i} L(y_i, f_i) + \alpha(t)\, \frac{1}{n'} \sum_{j} L(y'_j, f'_j), \qquad
# y'_j = \arg\max_c f'_j(c).$$
#
# A new network knows nothing, and its first pseudo-labels show it. So the weight $\alpha$ is 0 up to step $T_1$, then grows along a straight line,
# and from $T_2$ on it has its final value:
#
# $$\alpha(t) = \begin{cases} 0 & t < T_1 \\ \alpha_f\, \frac{t - T_1}{T_2 - T_1} & T_1 \le t < T_2 \\
# \alpha_f & T_2 \le t \end{cases}$$

# %% [markdown]
# ### Exercise 2.1 · A weight that grows
#
# 8 min · difficulty 1/5 · objective 2a
#
# Return $\alpha$ at `step` by the formula above, a number. `step` and `t1` < `t2` are whole numbers of steps, counted from 0;
# `alpha_f` is the final weight, and may be larger than 1.
#
# <details><summary>Hint 1 (direction)</summary>How far between <code>t1</code> and <code>t2</code> is the step, as a fraction?
# Before <code>t1</code> that fraction is negative, after <code>t2</code> larger than one: cut both off.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>max(0, ...)</code> and <code>min(1, ...)</code>, or three
# branches with <code>if</code>.</details>


# %% tags=["exercise", "ex-2.1"]
def lee_weight(step: int, t1: int, t2: int, alpha_f: float) -> float:
    """The weight of the pseudo-labels at a step (Lee 2013)."""
    ### BEGIN SOLUTION
    fraction = (step - t1) / (t2 - t1)
    return alpha_f * min(1.0, max(0.0, fraction))
    ### END SOLUTION


# %% tags=["check", "ex-2.1"]
check("2.1", lee_weight)

# %% [markdown]
# Now the loss. A pseudo-label is a **constant**: the answer moves towards the target, not the target towards the answer. `argmax` has no gradient,
# so no gradient flows through it. And BatchNorm normalises whatever goes through the network *together*, so send both kinds of images in one pass.
# The pseudo-labels then come for free.

# %% [markdown]
# ### Exercise 2.2 · Lee's loss
#
# 19 min · difficulty 2/5 · objective 2a
#
# Return `(loss, logs)`: the scalar tensor $\ell$ with the number `alpha` as the weight, and `{"unlabelled": ...}`, the unlabelled loss before it is
# weighted, a number without gradient. `batch.x_l`, `batch.y_l` are labelled images and labels, `batch.x_w` unlabelled images, perhaps of another
# number. Run `model` **once**, on both together, also when `alpha` is 0; the pseudo-labels come from this very pass. Leave `model.eval()` and
# `model.train()` to the training loop.
#
# <details><summary>Hint 1 (direction)</summary>Glue the images, run the model, cut the logits apart after
# <code>len(batch.x_l)</code> rows. Each part has its own mean.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.cat</code> glues, slices cut;
# <code>F.cross_entropy</code> takes logits and class numbers and gives the mean; <code>.argmax(dim=1)</code> finds the
# class numbers, <code>.item()</code> makes a number of a scalar tensor.</details>


# %% tags=["exercise", "ex-2.2"]
def lee_loss(model, batch, alpha: float) -> tuple[torch.Tensor, dict[str, float]]:
    """The labelled loss plus alpha times the loss on the network's own answers (Lee 2013).

    model: maps images to logits
    batch: x_l (B, C, H, W), y_l (B,), x_w (B_u, C, H, W)
    returns: scalar loss, {"unlabelled": the loss on the pseudo-labels}
    """
    ### BEGIN SOLUTION
    logits = model(torch.cat([batch.x_l, batch.x_w]))
    known, unknown = logits[: len(batch.x_l)], logits[len(batch.x_l) :]
    pseudo_labels = unknown.detach().argmax(dim=1)
    loss_u = F.cross_entropy(unknown, pseudo_labels)
    return F.cross_entropy(known, batch.y_l) + alpha * loss_u, {"unlabelled": loss_u.item()}
    ### END SOLUTION


# %% tags=["check", "ex-2.2"]
check("2.2", lee_loss)

# %% [markdown]
# Somebody has to count the steps during training. An object can remember them:

# %%


class Lee:
    """Lee's loss for `train`, with a weight that grows from step `t1` to step `t2`."""

    def __init__(self, t1=NUM_STEPS // 10, t2=6 * NUM_STEPS // 10, alpha_f=1.0):
        self.schedule, self.step = (t1, t2, alpha_f), 0

    def __call__(self, model, batch):
        alpha = lee_weight(self.step, *self.schedule)
        self.step += 1
        return lee_loss(model, batch, alpha)


# %% [markdown]
# Your loss draws its picture on the moons. Up to step `80` the weight is 0, so the second panel shows the labels alone:

# %% tags=["nbval-ignore-output"]
playground.watch({"pseudo-labels": Lee(t1=80, t2=480)})

# %% [markdown]
# Look at the white rim along the boundary, where the network is unsure. By the end it has shrunk to a hair. The loss is small where few points
# lie in that rim, so it pulls the boundary towards empty places. Does it get there, or does it still cut through the moons?

# %% [markdown]
# ## 3 · On the lesions
#
# Here is what differs from the paper, so that a CPU can do it in half a minute:
#
# | | paper (MNIST) | here |
# |---|---|---|
# | $T_1$, $T_2$ | epochs `100` and `600` | steps `160` and `960`, in the same ratio |
# | output | a sigmoid for each class | a softmax over the classes |
# | $\alpha_f$ | `3` | `1`: pseudo-labels do not outweigh labels |
# | network | one hidden layer, dropout | SimpleCNN with BatchNorm |
# | randomness | dropout | views: strong for labelled, weak for unlabelled images |
#
# First the baseline, with as many steps and the recipe that suited it best (lesson 01). Then your loss. `mu=1` asks for as many unlabelled images
# in a batch as labelled ones.

# %% tags=["nbval-ignore-output"]
dataset = load_dataset()
label_split = split_labels(dataset, NUM_LABELS, SEED)
weak, strong = augment.views(dataset)
baseline = train_baseline(dataset, label_split)

# %% tags=["nbval-ignore-output"]
stream = batches(label_split, weak, labelled_view=strong, batch_size=32, mu=1, seed=SEED)
lee = train(new_model(dataset, SEED), Lee(), stream, NUM_STEPS, label="pseudo-labels, Lee")
scores = {
    "supervised": evaluation.evaluate(baseline.ema, dataset.test),
    "pseudo-labels, Lee": evaluation.evaluate(lee.ema, dataset.test),
}
print(f"supervised {baseline.seconds:.0f} s, pseudo-labels {lee.seconds:.0f} s")
evaluation.score_table(scores, dataset, dataset.test)

# %% tags=["dataset"]
results.record("supervised", dataset, label_split, baseline, scores["supervised"])
results.record("pseudo-labels, Lee", dataset, label_split, lee, scores["pseudo-labels, Lee"])
for metric in ("AUC", "ACC", "macro-F1", "balanced ACC"):
    print(results.within("pseudo-labels, Lee", metric, scores["pseudo-labels, Lee"][metric], dataset))

# %% [markdown]
# No line of your code is wrong, and on the lesions it did harm. The fall in accuracy looks small, until you hold it against the lead over the
# majority class. Macro-F1 and balanced accuracy show it at once.
#
# Think back to the three answers. To this loss any confident answer is as cheap as any other, whichever class it names. On most lesions the
# frequent class is in front from the start. So it moves further to the front, and nothing in the loss speaks for the rare ones.

# %% [markdown]
# ## 4 · Which answers to believe
#
# Lee's network believes all of its answers. Others believe an answer only if the network is *confident*: its highest probability reaches a threshold
# $\tau$. Ask the baseline about every image of the pool that has no label, and move $\tau$. What do you gain, and what do you lose? Which classes go
# first? The left bars sort the images by their *true* class, the right ones by their *pseudo-label*. So images of a class may be kept, all under
# another name. Then its right bar says *n/a*.

# %% tags=["nbval-ignore-output"]
known = torch.full((len(label_split.images),), -1)  # the labels that training may use; -1: none
known[label_split.labelled] = label_split.y_l
unlabelled = (known < 0).nonzero().squeeze(1)
truth = label_split.measure_labels(torch.arange(len(known)))  # hidden from training: only to measure


def predict(run):
    """(N, num_classes) probabilities for the whole pool, without augmentation, in evaluation mode."""
    return torch.from_numpy(evaluation.predict(run.ema, label_split.images))


images = label_split.images[unlabelled]
widgets.threshold(predict(baseline)[unlabelled], truth[unlabelled], images, dataset.class_names)

# %% [markdown]
# A threshold trades **number** for **purity**. Now put Lee's network beside the baseline. It was trained to be sure, so one threshold for both
# would not be fair. Take as many of its surest answers as the baseline keeps. Is it more often right on these?

# %% tags=["nbval-ignore-output"]
num_kept = int((predict(baseline)[unlabelled].max(dim=1).values >= 0.95).sum())
for name, run in {"supervised": baseline, "pseudo-labels, Lee": lee}.items():
    confidence, pseudo_label = predict(run)[unlabelled].max(dim=1)
    right = (pseudo_label == truth[unlabelled]).float()
    sure, surest = confidence >= 0.95, confidence.argsort(descending=True)[:num_kept]
    print(f"{name:18}  sure of {sure.float().mean():3.0%} of the pool, {right[sure].mean():.1%} right", end="; ")
    print(f"of its {num_kept:,} surest answers {right[surest].mean():.1%} right")

# %% [markdown]
# Surer without being more right is **overconfidence**. A network that learns from its own answers, right and wrong ones, and grows sure of them
# has **confirmation bias** ([Arazo et al. 2020](https://arxiv.org/abs/1908.02983)). You will watch it at work in section 10.

# %% [markdown]
# ### Exercise 2.3 · Select the confident
#
# 16 min · difficulty 2/5 · objective 2b
#
# `probabilities` (N, num_classes) are the answers for the whole pool, `labelled` (L,) the positions that have a true label, in any
# order. Return `(positions, labels)`, two int64 tensors (K,): the positions, in rising order, of the images **without** a true label
# whose highest probability is **at least** `tau`, and their most probable classes. K and L may be 0.
#
# <details><summary>Hint 1 (direction)</summary>Two conditions for each of the N images, confident and not labelled, and
# together they make a mask of length N. Only at the end turn it into positions: whoever removes rows first loses
# count.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>probabilities.max(dim=1)</code> gives confidences and classes;
# <code>mask[labelled] = False</code> strikes out; <code>mask.nonzero().squeeze(1)</code> gives
# positions.</details>


# %% tags=["exercise", "ex-2.3"]
def select_confident(
    probabilities: torch.Tensor, labelled: torch.Tensor, tau: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The pseudo-labels to believe: which images, and which class for each.

    probabilities: (N, num_classes), labelled: (L,) int64 positions with a true label
    returns: positions (K,) int64 in rising order, labels (K,) int64
    """
    ### BEGIN SOLUTION
    confidence, pseudo_label = probabilities.max(dim=1)
    believed = confidence >= tau
    believed[labelled] = False
    positions = believed.nonzero().squeeze(1)
    return positions, pseudo_label[positions]
    ### END SOLUTION


# %% tags=["check", "ex-2.3"]
check("2.3", select_confident)

# %% [markdown]
# ## 5 · In rounds
#
# **Self-training** (Scudder 1965, Yarowsky 1995) is older than deep learning. Train on the labels, answer the pool, keep what is confident. Then
# train a *new* network on labels and pseudo-labels, and answer again.
#
# ![Self-training, in rounds. A new network learns from the labelled images and answers every unlabelled one. An answer whose highest probability is at least tau becomes a pseudo-label; the others are left out. In the next round a new network learns from scratch, from the labels and the pseudo-labels.](../docs/figures/self_training.svg)
#
# The original notebook, from which this course grew, begins its rounds with two lines like these. What is wrong with them?

# %%
true_labels = torch.tensor([3, 0, 1, 0, 2])  # the last three are hidden from training
temp = true_labels
temp[2:] = torch.tensor([0, 0, 0])  # pseudo-labels: the network says 0 to everything
right = (temp[2:] == true_labels[2:]).float().mean()
print(f"right pseudo-labels: {right:.0%}")

# %% [markdown]
# One in three is right, and it prints that all are. `temp = true_labels` makes no copy. Both are names of *one* tensor, so the true labels are
# gone, and the pseudo-labels are compared with themselves. No error, no warning, a perfect score.
#
# The labels of the pool stay in one tensor, the `known` (N,) of section 4: the class where a true label is known, `-1` elsewhere. It has to come
# out of every round as it went in.

# %% [markdown]
# ### Exercise 2.4 · Merge, and touch nothing
#
# 10 min · difficulty 2/5 · objective 2c
#
# Return `targets`, a **new** int64 tensor (N,): a copy of `known` in which the image at `positions[i]` has the pseudo-label
# `labels[i]`, for each i < K. The positions come in any order, none twice. Where `known` holds a true label (not -1), that label
# stays, whatever `positions` says. K may be 0, and even then `targets` is a tensor of its own. The inputs stay as they are.
#
# <details><summary>Hint 1 (direction)</summary>Copy, write, and then make sure that the true labels are the true ones. The
# last step is easiest if you ask <code>known</code> where it knows something.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>known.clone()</code>; writing at positions with
# <code>targets[positions] = labels</code>; <code>torch.where</code> to choose between the two tensors.</details>


# %% tags=["exercise", "ex-2.4"]
def merge(known: torch.Tensor, positions: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """True labels and pseudo-labels in one new tensor; a true label always wins.

    known: (N,) int64, -1 where no label is known, positions, labels: (K,) int64
    returns: (N,) int64
    """
    ### BEGIN SOLUTION
    targets = known.clone()
    targets[positions] = labels
    return torch.where(known >= 0, known, targets)
    ### END SOLUTION


# %% tags=["check", "ex-2.4"]
check("2.4", merge)

# %% [markdown]
# Now the rounds. Your loop need not know what is trained. It is handed two functions: `fit(targets)` trains a **new** model on all images whose
# target is not -1, and `predict(model)` answers the whole pool. What a model *is*, these two settle between them. In this lesson it is the run
# that `train` returns, and `predict` asks its averaged weights, `run.ema`. Your loop only hands it on.
#
# Each round asks the *last* model alone and decides everything anew. An image may change its pseudo-label or lose it, so the kept set may shrink.

# %% [markdown]
# ### Exercise 2.5 · The rounds
#
# 26 min · difficulty 4/5 · objective 2c
#
# Return a list of pairs `(model, targets)`: each model with the targets that it was trained **on**, one for each fit, in order; the first
# is `(fit(known), known)`. Each of up to `num_rounds` further rounds asks the last model once, selects with `tau`, merges with `known` and
# fits anew. If a round's targets equal those of the round just before, stop *without* fitting, for nothing would change any more. There is
# no other reason to stop early. `known` stays as it is.
#
# <details><summary>Hint 1 (direction)</summary>Before the loop: one fit. In the loop four calls in a row, each using the
# result of the one before: predict, select, merge, fit. Merge with <code>known</code>, not with the last targets: so every
# round decides anew.</details>
#
# <details><summary>Hint 2 (which function)</summary>Your functions from Exercises 2.3 and 2.4;
# <code>(known >= 0).nonzero().squeeze(1)</code> are the labelled positions; <code>torch.equal</code> compares two
# tensors; <code>break</code> leaves the loop.</details>


# %% tags=["exercise", "ex-2.5"]
def self_train(known: torch.Tensor, fit, predict, tau: float, num_rounds: int) -> list[tuple]:
    """Iterative self-training that decides anew in every round.

    known: (N,) int64, -1 where no label is known
    fit: targets (N,) -> a new model, predict: model -> (N, num_classes) probabilities of the pool
    returns: [(model, targets), ...], at most num_rounds + 1 pairs
    """
    ### BEGIN SOLUTION
    labelled = (known >= 0).nonzero().squeeze(1)
    rounds = [(fit(known), known)]
    for _ in range(num_rounds):
        model, before = rounds[-1]
        positions, labels = select_confident(predict(model), labelled, tau)
        targets = merge(known, positions, labels)
        if torch.equal(targets, before):
            break
        rounds.append((fit(targets), targets))
    return rounds
    ### END SOLUTION


# %% tags=["check", "ex-2.5"]
check("2.5", self_train)

# %% [markdown]
# Your loop draws its picture, one panel a round. Each network learns from points with large noise, and answers without any.

# %% tags=["nbval-ignore-output"]
playground.watch_rounds(self_train, num_rounds=5)

# %% [markdown]
# Round by round the boundary moves away from the labels into the gap. (scikit-learn's `SelfTrainingClassifier` is this loop with one change:
# a pseudo-label once given is never revised.)

# %% [markdown]
# ## 6 · Two rounds on the lesions
#
# `fit` begins with the same random weights each time and trains for as many steps as the baseline. Half of each batch is labelled and half has a
# pseudo-label, so the few true labels don't drown. Round 0 *is* the baseline. Two helpers are folded away here: the batches, and what to show if no
# answer is confident.


# %% tags=["figure"]
def stream_of(targets):
    """Training batches: 32 labelled images and, if there are any, 32 with a pseudo-label, which counts as a label there."""
    labelled = batches(label_split, weak, labelled_view=strong, batch_size=32, seed=SEED)
    given = ((targets >= 0) & (known < 0)).nonzero().squeeze(1)
    if len(given) == 0:
        return labelled
    pool = Split("pool", dataset.train.images, targets.numpy())
    pseudo = LabelSplit(pool, given.numpy(), dataset.num_classes, SEED, "pseudo-labels")
    more = batches(pseudo, weak, labelled_view=strong, batch_size=32, seed=SEED + 1000)
    return (Batch(torch.cat([a.x_l, b.x_l]), torch.cat([a.y_l, b.y_l])) for a, b in zip(labelled, more))


def with_a_round(rounds):
    """The rounds; without pseudo-labels round 1 would be round 0 again, and is shown as such."""
    if len(rounds) == 1:
        print("no answer was confident: round 1 is round 0 again")
    return rounds if len(rounds) > 1 else rounds * 2


# %%
def fit(targets, num_steps=NUM_STEPS, label="self-training"):
    if torch.equal(targets, known) and num_steps == NUM_STEPS:
        return baseline
    model = new_model(dataset, SEED)
    return train(model, supervised_loss, stream_of(targets), num_steps, label=label)


# %% tags=["nbval-ignore-output"]
TAU, NUM_ROUNDS = 0.95, 2
before = known.clone()
rounds = with_a_round(self_train(known, fit, predict, TAU, NUM_ROUNDS))
for r, (run, _) in enumerate(rounds[1:], start=1):
    name = f"self-training, round {r}"
    scores[name] = evaluation.evaluate(run.ema, dataset.test)
    results.record(name, dataset, label_split, run, scores[name])
    print(f"round {r}: {run.steps_done} steps, {run.seconds:.0f} s")
print("the true labels are untouched:", torch.equal(known, before))
evaluation.score_table(scores, dataset, dataset.test)

# %% tags=["dataset"]
last = f"self-training, round {len(rounds) - 1}"
for metric in ("AUC", "ACC", "macro-F1", "balanced ACC"):
    print(results.within(last, metric, scores[last][metric], dataset))

# %% [markdown]
# That is one label split; section 9 has five. What was each round trained on?


# %% tags=["nbval-ignore-output"]
def describe(targets):
    """How many images have a pseudo-label, how many of these are right, and how many name the most frequent class."""
    given = (targets >= 0) & (known < 0)
    frequent = label_split.class_counts().argmax()
    return {
        "kept": f"{given.sum():,}",
        "right": f"{(targets == truth)[given].float().mean():.1%}",
        "named the most frequent class": f"{(targets == frequent)[given].float().mean():.1%}",
        "truly of it": f"{(truth == frequent)[given].float().mean():.1%}",
    }


pd.DataFrame({f"round {r}": describe(targets) for r, (_, targets) in enumerate(rounds) if r}).T

# %% [markdown]
# Nearly all pseudo-labels are right, which looks like success. Now read on to the right. On the lesions nearly all of them name the most frequent
# class. They are right, and they say little about the others. Compare the two rounds as well: which keeps more, and which is purer? One threshold
# for all classes keeps what is frequent. Lesson 07 takes that up.

# %% [markdown]
# ## 7 · Does a mistake heal?
#
# A wrong pseudo-label teaches its own mistake. If the next network learns it well, it gives the same wrong answer again, and is surer. How many
# of the first round's mistakes survive?

# %% [markdown]
# ### Exercise 2.6 · Surviving mistakes
#
# 12 min · difficulty 2/5 · objective 2d
#
# `first`, `last` and `truth` are (N,) int64: the targets of two rounds (-1 for no label) and the true labels. Return, as a number, the fraction of the
# mistakes in `first` (a label that is not the true one) that stand in `last` **unchanged**, with the same wrong class. A mistake that was dropped or
# changed to another class, right or wrong, has not survived. If `first` has no mistake, return `math.nan`; if it has some and none survives, 0.
#
# <details><summary>Hint 1 (direction)</summary>First find the mistakes: where <code>first</code> has a label, and a wrong one.
# Then look at <code>last</code> only there. What is the denominator?</details>
#
# <details><summary>Hint 2 (which function)</summary><code>&</code> joins two conditions; <code>(last == first)</code>,
# indexed by the mask of the mistakes, as floats, has a <code>.mean()</code>, and <code>.any()</code> tells whether there is
# anything at all.</details>


# %% tags=["exercise", "ex-2.6"]
def surviving_mistakes(first: torch.Tensor, last: torch.Tensor, truth: torch.Tensor) -> float:
    """The fraction of the wrong labels of `first` that stand unchanged in `last`; nan if there are none."""
    ### BEGIN SOLUTION
    mistakes = (first >= 0) & (first != truth)
    if not mistakes.any():
        return math.nan
    return (last == first)[mistakes].float().mean().item()
    ### END SOLUTION


# %% tags=["check", "ex-2.6"]
check("2.6", surviving_mistakes)

# %% tags=["nbval-ignore-output"]
first, last = rounds[1][1], rounds[-1][1]
mistakes = ((first >= 0) & (first != truth)).sum()
print(
    f"of the {mistakes} mistakes of round 1, {surviving_mistakes(first, last, truth):.0%} stand in round {len(rounds) - 1}"
)

# %% [markdown]
# Why does a mistake survive? The next network was trained on it. It also started from the same random weights. And perhaps any network would take
# this image for that class. One number can't tell these apart. Starting afresh gives a mistake the chance to be dropped
# ([Cascante-Bonilla et al. 2021](https://arxiv.org/abs/2001.06001)). It doesn't promise more.

# %% [markdown]
# ## 8 · When to stop
#
# Which round do you keep? It is tempting to take the one with the best test score. Then the test split has chosen your network, and no longer says
# how it does on images that nobody has looked at.
#
# What you may look at is *labelled images of the training split*, held out for the purpose. Such scores come with the course: short rounds of
# `400` steps on another label split, five times trained on 400 labels and scored on the other 100.
#
# Scores go up and down by chance, too. Among equally good rounds the plain maximum takes a random one. A sober rule takes the **earliest** round
# that is as good as the best, save for a `margin` that chance explains.

# %% [markdown]
# ### Exercise 2.7 · The stop rule
#
# 8 min · difficulty 2/5 · objective 2e
#
# `scores` is a list of held-out scores, one for each round from round 0 on, of any sign, higher is better. Return the number of the
# **earliest** round, an int, whose score is **at least** the best score minus `margin` (`margin` >= 0, on the scale of the scores).
#
# <details><summary>Hint 1 (direction)</summary>First the bar: the best score minus the margin. Then walk through the rounds from the
# beginning and stop at the first one that reaches it.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>max(scores)</code>, and <code>enumerate(scores)</code> in a
# <code>for</code> loop; or <code>next(...)</code> with a generator expression.</details>


# %% tags=["exercise", "ex-2.7"]
def choose_round(scores: list[float], margin: float) -> int:
    """The earliest round whose held-out score is within `margin` of the best."""
    ### BEGIN SOLUTION
    bar = max(scores) - margin
    return next(r for r, score in enumerate(scores) if score >= bar)
    ### END SOLUTION


# %% tags=["check", "ex-2.7"]
check("2.7", choose_round)

# %% [markdown]
# How large a margin? If rounds 1 to 5 were all alike they would still scatter. Take their standard deviation, which is coarse and cautious.
# Beside the held-out scores stands a curve that we made up, on which the plain maximum and your rule disagree.

# %%
tried = results.recipes()
tried = tried[tried["setting"].str.fullmatch(r"self-training, round \d, 400 steps")]
held_out = tried.groupby("setting")["macro-F1"].mean().tolist()  # round 0 first
margin = float(np.std(held_out[1:], ddof=1))
made_up = [0.30, 0.37, 0.36, 0.375, 0.35, 0.355]
for name, curve in {"made up": made_up, "held out": held_out}.items():
    print(
        f"{name:8}  best: round {np.argmax(curve)}, your rule with margin {margin:.3f}: round {choose_round(curve, margin)}"
    )

# %% tags=["figure"]
figure, panels = plots.plt.subplots(1, 2, figsize=(7.5, 2.8), sharey=True)
own = plots.looks.look("self-training")._asdict()
for ax, name, curve in zip(panels, ("made up", "held out"), (made_up, held_out)):
    kept = choose_round(curve, margin)
    ax.axhspan(max(curve) - margin, max(curve), color="#E4E4E4", linewidth=0)
    ax.plot(range(len(curve)), curve, linestyle="-", **own)
    ax.plot(kept, curve[kept], "o", markersize=15, markerfacecolor="none", markeredgecolor="black")
    ax.margins(y=0.2)
    ax.set(xlabel="round", title=name)
panels[0].set_ylabel("macro-F1")
plots.head(figure, "The rule keeps the earliest round in the grey range")
plots.show(
    figure,
    alt="Two curves of macro-F1 over rounds 0 to 5, a made-up one and the held-out scores; in each a grey range one margin below the best, and a ring around the round that the rule keeps.",
)

# %% [markdown]
# A rule that can say *round 0, keep the baseline* is worth having. What would cheating have gained? This is what choosing the best of five
# rounds on the test split adds to a table, for nothing:

# %% tags=["dataset"]
reference = results.reference(dataset)
rows = pd.DataFrame(reference, columns=["method", "label_split", "macro-F1"])
rows = rows[rows["method"].str.fullmatch(r"self-training, round \d")]
by_split = rows.groupby("label_split")["macro-F1"]
surplus = (by_split.max() - by_split.mean()).mean()
print(f"the best round on the test split lies {surplus:.3f} above the mean of the rounds, in macro-F1")

# %% [markdown]
# ## 9 · What it brings
#
# The course's own runs on five label splits, each paired with the baseline on the same labels. They need not repeat the held-out curve. That was
# *one* label split, with short trainings and few held-out images of the rare classes. *Warm start* is the original notebook's way: one network
# trains on, round after round, and a pseudo-label is never revised. By its last round it has trained longer than the others.

# %% tags=["dataset"]
methods = ["pseudo-labels, Lee", "self-training, round 1", "self-training, round 5", "self-training, warm start"]
plots.show_gains(reference, methods, ("macro-F1", "balanced ACC"))

# %% [markdown]
# And on the digits, whose classes are balanced? The same code, the same settings:

# %% tags=["dataset"]
for name, rows in {"here": reference, "on the digits": results.reference(load_dataset("digits"))}.items():
    found = results.paired(rows).get("pseudo-labels, Lee")
    gained = f"macro-F1 {found.gained} (standard error), {found.won} label splits won" if found else "no reference runs"
    right = results.paired(rows, metric="ACC").get("supervised")
    print(f"Lee's loss {name:13}  {gained}" + (f"; accuracy of the baseline {right.mean:.2f}" if right else ""))

# %% [markdown]
# One loss, two data sets, opposite signs. The digits differ in two ways: no class is in front, *and* the network is more often right. Two data sets
# can't tell you which of these matters.
#
# Does the missing threshold explain the harm? Here is a single short round that believes *every* answer, against the same round at `.95`:

# %% tags=["dataset"]
all_believed = results.paired(reference, "one round, tau 0.95, 400 steps").get("one round, tau 0, 400 steps")
print(f"macro-F1 {all_believed.gained} (standard error), {all_believed.won}" if all_believed else "no reference runs")

# %% [markdown]
# By lesson 01's rule of thumb this is no clear difference. So a missing threshold alone does not explain what happened to Lee's loss. A round's
# pseudo-labels come from a *finished* network and stand still. Lee's change with the network that they train. We haven't separated the causes.
#
# All numbers: [lesions](../docs/results/dermamnist.md), [digits](../docs/results/digits.md), and more thresholds in
# [short runs](../docs/results/ablations.md).

# %% [markdown]
# ## 10 · Break it
#
# Your self-training made the moons better. Give it other labels, and change nothing else:

# %% tags=["nbval-ignore-output"]
playground.watch_rounds(self_train, num_rounds=5, seed=2, title="self-training, unlucky labels")

# %% [markdown]
# The first network is wrong about one end of a moon, and sure of it. The second learns that, and so do all others. Nothing in the loop can tell
# them. This is confirmation bias, and a threshold is no cure: these mistakes are *confident*.

# %% [markdown]
# ## What we know
#
# - Lee's loss believes every answer. In our runs it harms on the lesions and helps on the digits.
# - Self-training with a high threshold believes few answers. On the lesions its rounds are not clearly different from the baseline in macro-F1.
# - The warm start is above it in balanced accuracy on every label split. It also trained longer, and we can't separate the two.
# - Lee's loss was not tuned, self-training on fewer label splits than the baseline. A step with pseudo-labels looks at twice as many images.
# - Would thresholds of their own help the rare classes? Lesson 07 tries.

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (2a). A network is trained on its own most probable classes, without a threshold. Its average confidence on the
# unlabelled images rises. This shows that
#
# <details><summary>a) it has become more right on them</summary>Not by itself: whatever was in front moves further to the front,
# right or wrong.</details>
# <details><summary>b) it was trained to be sure, and nothing more</summary>Yes. Whether it became more right has to be measured with
# labels.</details>
# <details><summary>c) the weight of the pseudo-labels was too small</summary>A larger weight makes it surer
# still.</details>

# %% [markdown]
# **Question 2** (2c). After five rounds of self-training the program reports that all pseudo-labels are right. What do you check
# first?
#
# <details><summary>a) Whether the threshold is too high</summary>A high threshold makes pseudo-labels purer, but hardly
# perfect: a wrong answer can be confident.</details>
# <details><summary>b) Whether there are enough rounds</summary>More rounds do not make a comparison honest.</details>
# <details><summary>c) Whether the labels it compares with are still the true ones</summary>Yes. If the pseudo-labels were written into
# the same tensor, they are compared with themselves.</details>

# %% [markdown]
# **Question 3** (2d). Why does each round begin with a new network and decide all pseudo-labels anew?
#
# <details><summary>a) So that a mistake of an early round has a chance to be dropped</summary>Yes. A network that goes on from its
# weights remembers what it was taught, and a list that is never revised cannot forget.</details>
# <details><summary>b) It is faster</summary>It is slower: a warm network needs fewer steps.</details>
# <details><summary>c) So that the kept set grows in every round</summary>On the contrary: decided anew, it may
# shrink.</details>

# %% [markdown]
# ## Key points
#
# - A pseudo-label is the network's own answer, taken as a constant target. It makes the network surer first of all.
# - A threshold trades number for purity. Look at both, class by class: right is not the same as informative.
# - Copy before you write, refit from scratch, and decide anew in every round.
# - Choose the round on held-out labels, with a margin for chance. The test split is for the end.
#
# Next: `03_label_propagation.ipynb`, labels that travel from image to image along a graph.

# %%
progress("02")
