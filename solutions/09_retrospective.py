# %% [markdown]
# # 09 · The retrospective
#
# You have built one way after another to learn from images without labels. Which one would you use? And how sure are you?
#
# ![A fair comparison. The baseline and the method start from the same labelled images and the same initial weights. Both are scored once, on the same test images, and their scores are subtracted: one pair. Five label splits give five such differences, and what is reported is their mean, its error, and how many of the five are wins.](../docs/figures/comparison.svg)
#
# A table should answer that, and most tables can't. In this lesson you take one apart, build one that can be read, and measure what it
# still doesn't say.
#
# **Time** 110 min, of which the computer trains for 3
#
# **You need** lessons 00, 01 and 06 to 08
#
# **Objectives**
#
# - **9a** Tell which numbers of a table can't be compared, and compute the AUC that its column claims to hold.
# - **9b** Test paired differences exactly, and know what five label splits can show at most.
# - **9c** Weigh cost against benefit without inventing an exchange rate.
# - **9d** Measure leakage between training and test images, with a control.
# - **9e** Measure calibration before and after semi-supervised learning.
# - **9f** Combine what several networks know into one answer.

# %% tags=["setup"]
import dataclasses
import itertools

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from course_utils import augment, evaluation, playground, plots, results, widgets
from course_utils.batches import batches, generator
from course_utils.check import borrow, check, progress, reveal
from course_utils.datasets import Split, load_dataset, load_lesions, to_tensor
from course_utils.device import DEVICE
from course_utils.labels import split_labels
from course_utils.models import new_model
from course_utils.settings import NUM_LABELS, NUM_STEPS, SEED
from course_utils.training import supervised_loss, train, train_baseline

# %% tags=["nbval-ignore-output"]
dataset = load_dataset()
label_split = split_labels(dataset, NUM_LABELS, SEED)
weak, strong = augment.views(dataset)
print(dataset)
print(label_split)

# %% [markdown]
# ## 1 · See it first: thirty labs
#
# Thirty labs have your code and your data. Each shows **one run** of every method, and publishes a ranking. The labs are made up, the runs
# are real: for each method a lab picks one of the five that ship with the course. Move the slider from lab to lab.

# %% tags=["dataset"]
METHODS = ["self-training, round 1", "label propagation, class mass normalised", "SGAN", "mean teacher"]
METHODS += ["FixMatch", "FlexMatch", "MixMatch"]
rows = results.reference(dataset)
widgets.one_run_each(rows, ["supervised", *METHODS])

# %% [markdown]
# Nobody cheated, and the labs don't agree on the winner. What would a reader of just one of their papers believe?

# %% [markdown]
# ## 2 · A table with five faults
#
# The original notebook, from which this course grew, ends with such a ranking. We add the first line: what always predicting the majority
# class scores on your data. (Of its five rounds of pseudo-labelling you see the last.)

# %% tags=["dataset"]
published = {
    "supervised": (0.824, 0.489, 0.234, "350, balanced"),
    "pseudo-labelling": (0.844, 0.605, 0.301, "not stated"),
    "label propagation": (0.505, 0.367, 0.355, "not stated"),
    "SGAN": (0.832, 0.482, 0.297, "not stated"),
    "FixMatch": (0.825, 0.675, 0.360, "500, stratified"),
    "FlexMatch": (0.824, 0.678, 0.318, "500, stratified"),
    "MixMatch": (0.793, 0.671, 0.149, "500, stratified"),
}
columns = ["AUC", "ACC", "macro-F1", "labels"]
constant = evaluation.majority_scores(dataset, dataset.test)
first = [round(constant[metric], 3) for metric in columns[:3]]
pd.DataFrame.from_dict({"majority class": [*first, ""], **published}, "index", columns=columns)

# %% [markdown]
# The notebook concludes that pseudo-labelling brings a clear gain, and that the advanced methods raise the accuracy notably. Before you
# read on: what would you ask its author? Look for two numbers that can't both be true.
#
# <details><summary>Open when you have two questions: the five faults</summary><ol>
# <li><b>Different experiments share a column.</b> The four lines below the majority class come from other notebooks, with other labels and
# other steps.</li>
# <li><b>The table is not the run.</b> You'll see in a moment.</li>
# <li><b>The AUC was computed from logits.</b> Exercise 9.1 shows what that does.</li>
# <li><b>One line was scored against the wrong labels.</b> Which one? Section 3 does the same to your FixMatch.</li>
# <li><b>One run each.</b> You have just met the thirty labs.</li></ol></details>
#
# The same notebook printed macro-F1 for its last three methods, one cell above its table:

# %%
printed = {"FixMatch": 0.321, "FlexMatch": 0.350, "MixMatch": 0.152}
for name, value in printed.items():
    print(f"{name:9} printed {value:.3f}, in the table {published[name][2]:.3f}")

# %% [markdown]
# FixMatch and FlexMatch have changed places. The table was typed from another run of the same code, and no seed was set. So let your code
# print your tables, as this course does.

# %% [markdown]
# ### What an AUC counts
#
# An AUC needs no curve ([Hanley and McNeil 1982](https://doi.org/10.1148/radiology.143.1.7063747)). Take an image $p$ of the class and an
# image $q$ of any other class. How often does $p$ have the higher score? With the score $s_{ic}$ of image $i$ for class $c$, the images
# $P$ of class $c$ and all others $Q$,
#
# $$A_c = \frac{1}{|P|\,|Q|} \sum_{p \in P} \sum_{q \in Q} \left( \mathbf{1}[s_{pc} > s_{qc}]
# + \tfrac{1}{2}\, \mathbf{1}[s_{pc} = s_{qc}] \right).$$
#
# Two images of a class, and three others:

# %%
for p in (0.8, 0.4):
    print(p, [f"{'beats' if p > q else 'ties' if p == q else 'loses to'} {q}" for q in (0.6, 0.4, 0.1)])

# %% [markdown]
# Six pairs, four wins, one tie: $A_c = 4.5 / 6$. Only scores *in the same column* are compared.

# %% [markdown]
# ### Exercise 9.1 · AUC by counting pairs
#
# 15 min · difficulty 2/5 · objective 9a
#
# Given `scores` (N, C) and `labels` (N,), return the plain mean of $A_c$ over the C classes, a number in [0, 1]. Take the scores as they
# are: any finite numbers, and only equal ones (`==`) tie. Every class has at least one image, and none has all of them.
#
# <details><summary>Hint 1 (direction)</summary>For each class, split its column in two: the scores of its images, and those
# of the others. Compare each of the first with each of the second, all at once or image by image (a Python loop over all
# pairs works and takes very long).</details>
#
# <details><summary>Hint 2 (which function)</summary>With <code>labels == c</code> you pick rows. An array of shape (P, 1)
# compared with one of shape (Q,) gives all P times Q comparisons; <code>.mean()</code> of True and False is a fraction.</details>


# %% tags=["exercise", "ex-9.1"]
def macro_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean of the one-vs-rest AUCs, each the fraction of pairs that are ranked right (Hanley and McNeil 1982).

    scores: (N, C) numbers, labels: (N,) int64 in 0 .. C - 1
    returns: a number in [0, 1]
    """
    ### BEGIN SOLUTION
    areas = []
    for c in range(scores.shape[1]):
        inside, outside = scores[labels == c, c], scores[labels != c, c]
        won, tied = inside[:, None] > outside, inside[:, None] == outside
        areas.append(won.mean() + tied.mean() / 2)
    return np.mean(areas)
    ### END SOLUTION


# %% tags=["check", "ex-9.1"]
check("9.1", macro_auc)

# %% [markdown]
# Now six images of three classes, two of each, with the logits of some model. Every image has its highest logit at its own class.

# %%
six_labels = np.array([0, 0, 1, 1, 2, 2])
six = np.array([[5, 4, 0], [1, 0, 0], [6, 7, 0], [0, 1, 0], [0, 0, 1], [2, 2, 3]], dtype=float)
print(f"AUC of the logits        {macro_auc(six, six_labels):.4f}")
print(f"AUC of the probabilities {macro_auc(torch.from_numpy(six).softmax(1).numpy(), six_labels):.4f}")

# %% [markdown]
# Same model, same answers, another AUC. Some images speak loudly for several classes at once, such as the third. Softmax takes that
# loudness out. Neither number is wrong, but they don't belong in one column, and MedMNIST's published AUCs come from probabilities.

# %% [markdown]
# ## 3 · Three runs of your own
#
# Train three of your methods on the same label split, from the same initial weights, for the same number of steps. FixMatch once more, as
# you built it:


# %%
def fixmatch_loss(model, batch, tau=0.95):
    with torch.no_grad():
        confidence, pseudo_label = model(batch.x_w).softmax(1).max(1)
    logits_l, logits_s = model(torch.cat([batch.x_l, batch.x_s])).tensor_split([len(batch.x_l)])
    losses = F.cross_entropy(logits_s, pseudo_label, reduction="none")
    return F.cross_entropy(logits_l, batch.y_l) + (losses * (confidence >= tau)).mean(), {}


# %% [markdown]
# Your MixMatch is folded into the next cell. Nothing in it is new, so open it only if you like.


# %% tags=["figure"]
class MixMatchLoss:
    """Two views averaged and sharpened, MixUp over everything, a ramp of 400 steps; `adjust` is added to the labelled logits."""

    def __init__(self, adjust=0.0, lambda_u=10.0, temperature=0.5, alpha=0.75):
        self.adjust, self.lambda_u, self.temperature, self.alpha = adjust, lambda_u, temperature, alpha
        self.step, self.rng, self.partners = 0, np.random.default_rng(SEED), generator(SEED, "mixing partners")

    def __call__(self, model, batch):
        x_u = torch.cat([batch.x_w, batch.x_s])
        with torch.no_grad():
            q = model(x_u).softmax(1).view(2, len(batch.x_w), -1).mean(0) ** (1 / self.temperature)
        q = q / q.sum(1, keepdim=True)
        x = torch.cat([batch.x_l, x_u])
        p = torch.cat([F.one_hot(batch.y_l, q.shape[1]).float(), q, q])
        lam = torch.from_numpy(self.rng.beta(self.alpha, self.alpha, len(x))).float().to(x.device)
        lam, n = torch.maximum(lam, 1 - lam).view(-1, 1), len(batch.y_l)
        other = torch.randperm(len(x), generator=self.partners)
        logits = model(lam.view(-1, 1, 1, 1) * x + (1 - lam.view(-1, 1, 1, 1)) * x[other])
        p = lam * p + (1 - lam) * p[other]
        brier = (logits[n:].softmax(1) - p[n:]).square().mean()
        weight = self.lambda_u * min(1.0, self.step / 400)
        self.step += 1
        return F.cross_entropy(logits[:n] + self.adjust, p[:n]) + weight * brier, {}


# %% [markdown]
# As in lesson 08, your MixMatch gets half of the logit adjustment on the lesions.

# %% tags=["nbval-ignore-output"]
fractions = (label_split.class_counts() / len(label_split.labelled)).numpy()
runs = {"supervised": train_baseline(dataset, label_split)}
stream = batches(label_split, weak, strong, batch_size=32, mu=2, seed=SEED)
runs["FixMatch"] = train(new_model(dataset, SEED), fixmatch_loss, stream, NUM_STEPS, label="FixMatch")
stream = batches(label_split, weak, weak, batch_size=32, mu=1, seed=SEED)
mixmatch_loss = MixMatchLoss(adjust=0.5 * torch.from_numpy(fractions).log().to(DEVICE))
runs["MixMatch"] = train(new_model(dataset, SEED), mixmatch_loss, stream, NUM_STEPS, label="MixMatch")
predictions = {name: evaluation.predict(run.ema, dataset.test.images) for name, run in runs.items()}
scores = {name: evaluation.score(p, dataset.test) for name, p in predictions.items()}
print(f"{sum(run.seconds for run in runs.values()):.0f} s")
evaluation.score_table(scores, dataset, dataset.test)

# %% tags=["dataset"]
for name, metric in itertools.product(scores, ("AUC", "macro-F1")):
    print(results.within(name, metric, scores[name][metric], dataset))

# %% [markdown]
# Does your AUC agree with scikit-learn's? And what would the original notebook have written, with logits?


# %%
@torch.no_grad()
def predict_logits(model):
    x = augment.plain(to_tensor(dataset.test.images)).to(DEVICE)
    return torch.cat([model(part) for part in x.split(500)]).cpu().numpy()


by_hand = {name: macro_auc(p, dataset.test.labels) for name, p in predictions.items()}
print("same AUC as scikit-learn:", all(abs(by_hand[name] - scores[name]["AUC"]) < 1e-6 for name in scores))

# %% tags=["nbval-ignore-output"]
for name, run in runs.items():
    of_logits = macro_auc(predict_logits(run.ema), dataset.test.labels)
    print(f"{name:10} AUC of logits {of_logits:.3f}, of probabilities {by_hand[name]:.3f}")

# %% [markdown]
# The six images above were made to exaggerate. How does your gap compare with the gaps between your three methods?
#
# And fault 4? The line is label propagation: the AUC of random answers beside one of the best macro-F1. Its notebook predicted with a
# shuffled loader. It then compared with the labels of the file for AUC and accuracy, and with those of the loader for F1. Do the same
# to your FixMatch:

# %% tags=["nbval-ignore-output", "dataset"]
shuffle = np.random.default_rng(SEED).permutation(len(dataset.test))
p = predictions["FixMatch"][shuffle]
in_order = Split("test, shuffled", dataset.test.images[shuffle], dataset.test.labels[shuffle])
auc, f1 = macro_auc(p, dataset.test.labels), evaluation.score(p, in_order)["macro-F1"]
print(f"FixMatch, shuffled: AUC {auc:.3f}, macro-F1 {f1:.3f}")
print(f"FixMatch, in order: AUC {scores['FixMatch']['AUC']:.3f}, macro-F1 {scores['FixMatch']['macro-F1']:.3f}")

# %% [markdown]
# The same pattern. The line that looks like the worst of the table may have one of its best models behind it.

# %% [markdown]
# ## 4 · Same runs, in pairs
#
# Now the table that can be read. Five label splits. On each, every method gets the same labels and the same initial weights as the
# baseline, and the two scores are subtracted. *Batches of 160* is the second baseline of lesson 01: as many views a step as FixMatch, all
# labelled.

# %% tags=["dataset"]
work = "supervised, batches of 160"
plots.show_gains(rows, [work, *METHODS])

# %% [markdown]
# One method in the plot has an advantage: only MixMatch has the logit adjustment. Its fair opponent is a baseline that has it, too.

# %% tags=["dataset"]
fair = results.paired(rows, "supervised, adjusted by half")["MixMatch"]
print("MixMatch over supervised, adjusted by half, macro-F1:", fair.against or "no such runs")

# %% [markdown]
# Each difference is taken on the same labels, so a lucky label split can't favour one side. Compare that with the thirty labs. How much of
# what you see may still be chance?
#
# Suppose a method makes no difference. Then on each label split the two results could as well have been swapped, and $d_i$ and $-d_i$ are
# equally likely. So flip the signs of the differences in every possible way. How many of the flipped means are at least as far from zero as
# yours (Fisher, *The Design of Experiments*, 1935, section 21)? Three differences, and all their flipped means:

# %%
three = np.array([0.05, 0.02, -0.01])
means = [np.mean(three * signs) for signs in itertools.product((1, -1), repeat=3)]
print(f"observed {three.mean():.4f}")
print("flipped ", sorted(round(float(mean), 4) for mean in means))

# %% [markdown]
# Of eight, four are at least as far out as the observed one. Such a difference says nothing.

# %% [markdown]
# ### Exercise 9.2 · The exact sign-flip test
#
# 18 min · difficulty 3/5 · objective 9b
#
# `differences` (n,) holds $d_1 \dots d_n$, each between -100 and 100; $1 \le n \le 12$. Of all $2^n$ patterns of signs
# $s_i \in \{-1, +1\}$, return the fraction with $\left|\frac{1}{n}\sum_i s_i d_i\right| \ge \left|\frac{1}{n}\sum_i d_i\right|$, a number.
# Rounding must not lose a tie: compare *means*, not sums, and let one that falls short by less than `1e-12` count (`np.isclose` lets in more).
#
# <details><summary>Hint 1 (direction)</summary>Make all patterns, multiply each with the differences, take the mean, then the
# absolute value. The last step is a comparison and the fraction of those that pass it.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>itertools.product((1, -1), repeat=n)</code> yields the patterns;
# <code>np.array(list(...))</code> makes them one array of shape (2^n, n).</details>


# %% tags=["exercise", "ex-9.2"]
def sign_flip_p(differences: np.ndarray) -> float:
    """Exact two-sided p-value of paired differences under exchange within pairs (Fisher 1935, section 21).

    differences: (n,) float, 1 <= n <= 12
    returns: a number in (0, 1]
    """
    ### BEGIN SOLUTION
    patterns = np.array(list(itertools.product((1, -1), repeat=len(differences))))
    flipped = np.abs((patterns * differences).mean(axis=1))
    return (flipped >= np.abs(differences.mean()) - 1e-12).mean()
    ### END SOLUTION


# %% tags=["check", "ex-9.2"]
check("9.2", sign_flip_p)

# %% [markdown]
# Before you use it: what is the smallest value it can give? Suppose a method wins on *every* label split.

# %%
for n in range(3, 9):
    print(f"{n} label splits, all won: p = {sign_flip_p(np.full(n, 0.02)):.4f}")

# %% [markdown]
# With five label splits the test can't go below two patterns in thirty-two, however large the gain. Six is the least that can pass the usual
# mark of `.05`. That's not the test's fault: a method that does nothing wins or loses all five about once in sixteen times.

# %% tags=["dataset"]
found, differences = results.paired(rows), results.differences(rows)
for method in [work, *METHODS]:
    print(f"p = {sign_flip_p(differences[method].to_numpy()):.4f}  {method}: {found[method].against}")

# %% [markdown]
# A small $p$ says that chance alone would rarely do this. The gain says whether it's worth anything. You need both. And remember that all
# five label splits share one test split, and that eight lines are eight chances to be lucky.
# ([What five label splits can show](../docs/results/certainty.md), and [all methods](../docs/results/dermamnist.md).)

# %% [markdown]
# ## 5 · What it costs
#
# Equal steps are not equal work: in each step FixMatch looks at five views where the baseline looks at one. Is the gain worth it? There's
# no exchange rate between work and macro-F1, but some comparisons need none. A method is **dominated** if another one costs at most
# as much, gains at least as much, and is strictly better in one of the two. What remains is the **front** (after Pareto).
#
# Say A costs `1` and gains `.2`, B costs `3` and gains `.5`, C costs `3` and gains `.4`, D costs `5` and gains `.5`. B dominates C and D. A gains
# least and stays, because nobody else is as cheap.

# %% [markdown]
# ### Exercise 9.3 · The front
#
# 15 min · difficulty 3/5 · objective 9c
#
# Given `cost` (n,) and `benefit` (n,), return a boolean array (n,), in the same order: True where **no** other method
# dominates. Method $j$ dominates $i$ if $\mathrm{cost}_j \le \mathrm{cost}_i$ and $\mathrm{benefit}_j \ge \mathrm{benefit}_i$,
# and at least one of the two holds strictly. So two methods that are equal in both do not dominate each other. Round nothing.
#
# <details><summary>Hint 1 (direction)</summary>For one method, ask of all methods at once whether they are no worse on both
# sides, and whether they are better on one. If any is both, the method is dominated.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>&</code> and <code>|</code> combine boolean arrays (with brackets
# around comparisons), <code>.any()</code> asks for one True, <code>np.array([...])</code> makes an array of a list.</details>


# %% tags=["exercise", "ex-9.3"]
def not_dominated(cost: np.ndarray, benefit: np.ndarray) -> np.ndarray:
    """Which methods no other dominates.

    cost, benefit: (n,) float, n >= 1
    returns: (n,) bool
    """
    ### BEGIN SOLUTION
    stays = []
    for c, b in zip(cost, benefit):
        no_worse, better = (cost <= c) & (benefit >= b), (cost < c) | (benefit > b)
        stays.append(not (no_worse & better).any())
    return np.array(stays)
    ### END SOLUTION


# %% tags=["check", "ex-9.3"]
check("9.3", not_dominated)

# %% [markdown]
# What should count as cost? Seconds change from machine to machine. **Views that go through the network** don't: an image that is shown
# twice counts twice. `record` wrote down those of the batches. Three methods need more.

# %% tags=["dataset"]
cost = pd.DataFrame(rows).groupby("method")["images"].mean()[["supervised", work, *METHODS]]
# SGAN: 32 generated images in each step; in every second one the generator learns from 32 real and 32 generated ones
cost["SGAN"] += NUM_STEPS * (32 + (32 + 32) / 2)
cost["MixMatch"] += NUM_STEPS * (32 + 32)  # two unlabelled views, which first get their pseudo-label
cost["self-training, round 1"] += cost["supervised"]  # the baseline comes first
mean = pd.Series({method: found[method].mean for method in cost.index})
front = pd.Series(not_dominated(cost.to_numpy(), mean.to_numpy()), index=cost.index)
print("on the front:", ", ".join(front.index[front]))
print("MixMatch over mean teacher:", results.paired(rows, "mean teacher")["MixMatch"].against)

# %% [markdown]
# The front takes each mean for the truth and knows no errors. A method can be dominated by less than an error: is MixMatch, in the second
# line? Read "dominated" as "nothing here speaks for paying more".

# %% tags=["dataset"]
equal_work = results.paired(rows, work)
lines = {
    method: [f"{cost[method] / cost['supervised']:.0f}", found[method].gained, equal_work[method].gained]
    for method in METHODS
}
pd.DataFrame.from_dict(
    lines, "index", columns=["views, × baseline", "gain over the baseline", "gain over batches of 160"]
)

# %% [markdown]
# The last column is the control that most papers lack: a baseline that looks at as many views as FixMatch, all of labelled images. Compare it
# with the column before. What is left of each gain once the work is paid for? Equal steps favour whoever does more in each.
# ([What a view and a minute buy](../docs/results/cost.md).)

# %% [markdown]
# ## 6 · Lesions seen before
#
# HAM10000 photographs many lesions more than once, and DermaMNIST was split image by image. So a lesion can be in the training split and, in
# another photograph, in the test split ([Abhishek et al. 2025](https://doi.org/10.1038/s41597-025-04382-5)). This is **leakage**. SSL is
# exposed in a way of its own: it trains on the *whole* pool, though without its labels. (Short of time? Solve Exercise 9.4 and go on with
# section 7.)

# %% [markdown]
# ### Exercise 9.4 · Unseen lesions
#
# 6 min · difficulty 1/5 · objective 9d
#
# `test_ids` (N,) and `train_ids` (M,), both of at least one, hold the lesion id of every image, as strings; two ids are the same only if all
# their characters are. Return a boolean array (N,), one entry for each **test image**: True where its lesion occurs in no training
# image. (A lesion may occur twice in the test split; that doesn't matter here.)
#
# <details><summary>Hint 1 (direction)</summary>For each test image, is its id among the training ids? Then the opposite.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>np.isin</code>, and <code>~</code> exchanges True and
# False.</details>


# %% tags=["exercise", "ex-9.4"]
def unseen_lesions(test_ids: np.ndarray, train_ids: np.ndarray) -> np.ndarray:
    """Which test images show a lesion that no training image shows.

    test_ids: (N,) str, train_ids: (M,) str
    returns: (N,) bool
    """
    ### BEGIN SOLUTION
    return ~np.isin(test_ids, train_ids)
    ### END SOLUTION


# %% tags=["check", "ex-9.4"]
check("9.4", unseen_lesions)

# %% [markdown]
# MedMNIST's file doesn't name the lesions. If you have their ids (`load_lesions` says how the file must look), the next cell counts yours.
# If not, it says so, and you go on with the shipped runs. We compare two groups of test images: **unseen** lesions, and lesions whose other
# photographs are all in the pool without a label (**pool only**). Lesions with a labelled photograph stay out: those even the baseline knows.

# %% tags=["dataset", "nbval-ignore-output"]
lesions, groups = load_lesions(dataset), {}
if lesions is None:
    print("no lesion ids at hand")
else:
    unseen = unseen_lesions(lesions["test"], lesions["train"])
    no_label = unseen_lesions(lesions["test"], lesions["train"][label_split.labelled.numpy()])
    groups = {"unseen": unseen, "pool only": ~unseen & no_label}
    frequent = np.bincount(dataset.train.labels).argmax()
    print(f"{(~unseen).sum()} of {len(unseen)} test images show a lesion of the training split")
    for name, group in groups.items():
        print(f"{name:9} {(dataset.test.labels[group] == frequent).mean():.0%} are {dataset.class_names[frequent]}")

# %% [markdown]
# The groups differ medically: a lesion that is photographed several times is less often a mole. So accuracy can't be compared between them,
# and neither can macro-F1 or AUC. The balanced accuracy, a mean of recalls, doesn't depend on the mix.
#
# And you need a **control**. The supervised baseline never saw an unlabelled image, so to it a lesion of the pool is as new as any other.
# If even the baseline scores differently on the two groups, that difference is not leakage.

# %%
with_ids = results.read_runs(results.shipped_file("dermamnist")).query(
    "network == 'SimpleCNN' and num_labels == 500 and `unseen AUC`.notna()"
)
with_ids = with_ids.assign(more=with_ids["pool only balanced ACC"] - with_ids["unseen balanced ACC"])
control = with_ids.query("method == 'supervised'")["more"]
print(f"the supervised baseline, balanced ACC, pool only less unseen: {control.mean():+.3f} ± {control.sem():.3f}")

# %% [markdown]
# A control that differs shows that the groups differ. Whoever compares seen with unseen lesions and stops there measures the groups. The right
# question is a difference of differences: does a method gain *more* over the baseline on lesions of the pool than on unseen ones?

# %%
for method in ("FixMatch", "MixMatch"):
    for group in ("unseen", "pool only"):
        gain = results.paired(with_ids, metric=f"{group} balanced ACC")[method]
        print(f"{method} over the baseline, {group}: {gain.against}")
    print(f"{method} gains more on lesions of the pool by {results.paired(with_ids, metric='more')[method].against}")

# %% [markdown]
# Look at the error beside each number before you call it leakage. ([All groups and metrics](../docs/results/leakage.md).)

# %% [markdown]
# ## 7 · Does it know what it knows?
#
# FixMatch keeps a pseudo-label if the network is confident. A doctor wants to know what a confident answer is worth. A model is **calibrated**
# if, of the images on which its confidence is `.8`, four in five are answered correctly.
#
# Here are two classes that **overlap**: in the middle nobody can be sure. The shade says how sure the network is.

# %% tags=["nbval-ignore-output"]
losses = {"supervised": supervised_loss, "FixMatch": fixmatch_loss, "MixMatch": MixMatchLoss()}
seen = playground.watch(losses, kind="blobs", num_labels=10)

# %% [markdown]
# In which row is the middle pale, as it should be? To put a number on it, sort the images into bins by their confidence $\max_c p_c$. Compare the fraction of
# right answers in each bin with its mean confidence ([Guo et al. 2017](https://arxiv.org/abs/1706.04599), section 2). Four images, four bins:

# %%
tiny = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.55, 0.45]])
tiny_labels = np.array([0, 0, 1, 0])
for p, label in zip(tiny, tiny_labels):
    bin_of_four = "(.75, 1]" if p.max() > 0.75 else "(.5, .75]"
    print(f"confidence {p.max():.2f}, bin {bin_of_four:9}, {'right' if p.argmax() == label else 'wrong'}")

# %% [markdown]
# The upper bin has a mean confidence of `.85`, and one answer of two is right: too confident. The lower one has `.575`, and both are right: too
# timid. The other two bins are empty.

# %% [markdown]
# ### Exercise 9.5 · The bins of a reliability diagram
#
# 18 min · difficulty 3/5 · objective 9e
#
# Bin $b = 0, \dots, B - 1$ holds the images with a confidence in $(b/B, (b+1)/B]$: **open below, closed above**. Return `(fraction, accuracy,
# confidence)`, three float arrays of length $B$ = `num_bins`: which fraction of all N images is in the bin, the fraction of right answers in
# it, its mean confidence. An empty bin has the fraction 0 and `nan` in the other two. If two classes tie, either may be the answer.
#
# <details><summary>Hint 1 (direction)</summary>First two arrays (N,): each image's confidence, and whether its most probable class
# is its label. Then, bin by bin, a mask of the images inside.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>probabilities.max(1)</code>, <code>probabilities.argmax(1)</code>;
# <code>np.full(num_bins, np.nan)</code> to begin with; <code>mask.any()</code> says whether a bin holds an image.</details>


# %% tags=["exercise", "ex-9.5"]
def reliability(probabilities: np.ndarray, labels: np.ndarray, num_bins: int):
    """Fraction, accuracy and mean confidence of equally wide bins of confidence (Guo et al. 2017, section 2).

    probabilities: (N, C) rows sum to 1, labels: (N,) int64
    returns: fraction, accuracy, confidence, each (num_bins,) float; the last two nan where a bin is empty
    """
    ### BEGIN SOLUTION
    top, right = probabilities.max(1), probabilities.argmax(1) == labels
    fraction, accuracy, confidence = np.zeros(num_bins), *np.full((2, num_bins), np.nan)
    for b in range(num_bins):
        mask = (b / num_bins < top) & (top <= (b + 1) / num_bins)
        fraction[b] = mask.mean()
        if mask.any():
            accuracy[b], confidence[b] = right[mask].mean(), top[mask].mean()
    return fraction, accuracy, confidence
    ### END SOLUTION


# %% tags=["check", "ex-9.5"]
check("9.5", reliability)

# %% [markdown]
# One number for all bins is the **expected calibration error**. With $n_b$ images in bin $b$,
#
# $$\mathrm{ECE} = \sum_{b} \frac{n_b}{N} \left|\,\mathrm{acc}_b - \mathrm{conf}_b\,\right|.$$
#
# For the four images above it is `.5 * .35 + .5 * .425 = .3875`.

# %% [markdown]
# ### Exercise 9.6 · The expected calibration error
#
# 6 min · difficulty 2/5 · objective 9e
#
# Return the ECE of `probabilities` (N, C) and `labels` (N,) with `num_bins` bins, a number in [0, 1]. Empty bins count 0. Use your
# function from Exercise 9.5.
#
# <details><summary>Hint 1 (direction)</summary>Each bin's absolute distance, times its fraction; then the sum. Mind what 0 times nan
# is.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>np.nansum</code> leaves nan out of a sum.</details>


# %% tags=["exercise", "ex-9.6"]
def calibration_error(probabilities: np.ndarray, labels: np.ndarray, num_bins: int) -> float:
    """Expected calibration error with equally wide bins (Guo et al. 2017, equation 3).

    probabilities: (N, C) rows sum to 1, labels: (N,) int64
    returns: a number in [0, 1]
    """
    ### BEGIN SOLUTION
    fraction, accuracy, confidence = reliability(probabilities, labels, num_bins)
    return np.nansum(fraction * np.abs(accuracy - confidence))
    ### END SOLUTION


# %% tags=["check", "ex-9.6"]
check("9.6", calibration_error)

# %% [markdown]
# Your function on all points of the overlapping blobs, the labelled ones too. Were the shades honest?


# %% tags=["nbval-ignore-output"]
def honesty(p, labels):
    right, sure = (p.argmax(1) == labels).mean(), p.max(1).mean()
    return f"{right:.0%} right, mean confidence {sure:.0%}, ECE {calibration_error(p, labels, 10):.2f}"


for name, film in seen.films.items():
    with torch.no_grad():
        p = film.run.ema(film.points.images).softmax(1).cpu().numpy()
    print(f"blobs      {name:10}  {honesty(p, film.truth)}")

# %% [markdown]
# Now your three runs on the test split. A diamond above its bar is a bin that is too confident. What has FixMatch, which learns from its own
# hard pseudo-labels, done to its confidence? And MixMatch, which learns from answers *between* the classes?

# %% tags=["nbval-ignore-output"]
NUM_BINS = 10
bins = {name: reliability(p, dataset.test.labels, NUM_BINS) for name, p in predictions.items()}
ece = {name: calibration_error(p, dataset.test.labels, NUM_BINS) for name, p in predictions.items()}
for name, p in predictions.items():
    print(f"{dataset.name} {name:10}  {honesty(p, dataset.test.labels)}")

# %% tags=["figure", "nbval-ignore-output"]
figure, axes = plots.plt.subplots(2, 3, figsize=(9, 4), height_ratios=[3, 1], sharex=True, sharey="row")
middle = (np.arange(NUM_BINS) + 0.5) / NUM_BINS
for (top, bottom), (name, (fraction, accuracy, confidence)) in zip(axes.T, bins.items()):
    colour = plots.looks.look(name).color
    top.bar(middle, accuracy, 0.9 / NUM_BINS, color=colour, alpha=0.45)
    top.plot(middle, confidence, ls="", marker="D", color="black")
    top.plot([0, 1], [0, 1], ls=":", color="black", marker="", lw=0.8)
    bottom.bar(middle, fraction, 0.9 / NUM_BINS, color=colour)
    top.set(title=f"{name}: ECE {ece[name]:.2f}", ylim=(0, 1.05))
    bottom.set(xlabel="confidence", xlim=(0, 1))
axes[0, 0].set_ylabel("in the bin")
axes[1, 0].set_ylabel("fraction")
plots.head(figure, "How often the answers are right (bars), and how sure they are (diamonds)")
plots.show(
    figure,
    "Reliability diagrams of the three runs: for each of ten bins of confidence the accuracy as a bar and the mean confidence as "
    "a mark, and below it the fraction of the images. "
    + " ".join(f"{name} has an ECE of {value:.2f}." for name, value in ece.items()),
)

# %% tags=["dataset"]
for name, run in runs.items():
    extra = {"ECE": float(ece[name])}
    for group, images in groups.items():
        part = Split(group, dataset.test.images[images], dataset.test.labels[images])
        of_group = evaluation.score(predictions[name][images], part).values
        extra |= {f"{group} {metric}": value for metric, value in of_group.items()}
    results.record(
        name, dataset, label_split, run, dataclasses.replace(scores[name], values=scores[name].values | extra)
    )

# %% tags=["dataset"]
for method, one in results.paired(rows, metric="ECE").items():
    print(f"{method}: ECE {one.mean:.3f}" + (f", {one.gained} against supervised" if one.pairs else ""))

# %% [markdown]
# These are the five label splits of the course. Compare your lines of the lesions with those of the blobs. Is FixMatch the surest on both? A
# hard pseudo-label asks for full confidence, and a soft one doesn't. Whether that is the cause was not tested: your MixMatch also mixes
# images, and on the lesions it has the logit adjustment. ([Lesions and digits](../docs/results/calibration.md).)
#
# And calibration alone is not enough: a model that always answers the majority class, with that class's fraction as its confidence, has an
# ECE near zero.

# %% [markdown]
# ## 8 · Ask several networks
#
# The best methods differ by less than their errors. But are they right about the *same* images?

# %% tags=["nbval-ignore-output"]
for one, other in itertools.combinations(predictions, 2):
    a, b = (predictions[name].argmax(1) for name in (one, other))
    print(f"{one} and {other} differ on {(a != b).mean():.0%} of the test images")

# %% [markdown]
# Where members of a committee err in different places, their mean often errs less than they do ([Hansen and Salamon
# 1990](https://doi.org/10.1109/34.58871)). It can also be moved towards the rare classes: the logit adjustment of lesson 01, done after the training
# ([Menon et al. 2021](https://arxiv.org/abs/2007.07314)). With the members' probabilities $p^{(1)}, \dots, p^{(M)}$, the class fractions
# $\pi_c$ among the labels, and a strength $s$:
#
# $$\bar p_{ic} = \frac{1}{M} \sum_{m=1}^{M} p^{(m)}_{ic}, \qquad
# q_{ic} = \frac{\bar p_{ic}\, \pi_c^{-s}}{\sum_{k} \bar p_{ik}\, \pi_k^{-s}}.$$
#
# Two members say `(.9, .1)` and `(.5, .5)`: the mean is `(.7, .3)`. Let the first class be four times as frequent. At $s = 1$ the numerators
# are `.7 / .8 = .875` and `.3 / .2 = 1.5`, and the second class wins. At $s = 0$ nothing moves.

# %% [markdown]
# ### Exercise 9.7 · The committee
#
# 12 min · difficulty 2/5 · objective 9f
#
# `members` is a list of M arrays (N, C), probabilities of the same images; `fractions` (C,), above 0, are the class fractions $\pi$, and
# `strength` is $s$, from 0 to 10. Return $q$, a float array (N, C) whose rows sum to 1. Don't change the input arrays.
#
# <details><summary>Hint 1 (direction)</summary>Three steps: the mean over the members, a factor for each class, each row divided by
# its sum. What is the factor of a rare class, larger or smaller than that of a frequent one?</details>
#
# <details><summary>Hint 2 (which function)</summary><code>np.mean(members, axis=0)</code> averages over the list;
# <code>fractions ** -strength</code> are the factors; <code>.sum(axis=1, keepdims=True)</code> keeps the shape (N, 1), by which an array
# (N, C) can be divided.</details>


# %% tags=["exercise", "ex-9.7"]
def committee(members: list[np.ndarray], fractions: np.ndarray, strength: float) -> np.ndarray:
    """The mean of the members' probabilities, moved towards the rare classes (Menon et al. 2021).

    members: M arrays (N, C), rows sum to 1; fractions: (C,) above 0; strength: 0 or more
    returns: (N, C), rows sum to 1
    """
    ### BEGIN SOLUTION
    moved = np.mean(members, axis=0) * fractions**-strength
    return moved / moved.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% tags=["check", "ex-9.7"]
check("9.7", committee)

# %% [markdown]
# Let your three networks vote:

# %% tags=["nbval-ignore-output", "dataset"]
members = list(predictions.values())
vote = evaluation.score(committee(members, fractions, strength=0.0), dataset.test)
for name, one in {**scores, "your committee": vote}.items():
    print(f"{name:15} AUC {one['AUC']:.3f}, macro-F1 {one['macro-F1']:.3f}")

# %% [markdown]
# No training at all, only a mean. Now the strength. Move it, and watch accuracy pay for the recall of the rare classes. (This is the test
# split, so look and don't choose. The course chose `.25` by [cross-validation inside the labels](../docs/results/settings.md).)

# %% tags=["nbval-ignore-output"]
mean_answer = committee(members, fractions, strength=0.0)
widgets.adjustment(mean_answer, fractions, dataset.test.labels, dataset.class_names)

# %% [markdown]
# Is it the variety, or just the number? The course's committee has four members: your three and the mean teacher. Against it stand four
# supervised networks that differ in their seeds, and its two best members alone. Nothing in this picture is adjusted afterwards. (The mean
# teacher votes with the average of its student's weights, as your three networks do. Section 4 shows the teacher, another average.)

# %% tags=["dataset"]
rivals = ["four supervised networks, not adjusted", "MixMatch", "mean teacher, student averaged"]
plots.show_gains(rows, [*rivals, "committee, not adjusted"], ("AUC", "macro-F1"))

# %% tags=["dataset"]
for rival, metric in itertools.product(rivals, ("AUC", "macro-F1")):
    one = results.paired(rows, rival, metric)["committee, not adjusted"]
    print(f"committee over {rival}, {metric}: {one.against or 'no such runs'}")

# %% [markdown]
# The committee is taken apart, member by member, [on its own page](../docs/results/committee.md).

# %% [markdown]
# ## 9 · Break it: lie with honest numbers
#
# You may run five label splits and show one run of each method, whichever you like. Pick a claim you'd love to make:

# %% tags=["dataset"]
winner, loser = "self-training, round 1", "mean teacher"
scored = {method: [row["macro-F1"] for row in rows if row["method"] == method] for method in ["supervised", *METHODS]}
if max(scored[winner]) > min(scored[loser]):
    print(f"{winner} ({max(scored[winner]):.3f}) beats {loser} ({min(scored[loser]):.3f}). Real runs, honest numbers.")
else:
    print("not even cherry-picking shows this")

# %% tags=["dataset"]
order = sorted(scored, key=lambda method: -np.mean(scored[method]))
pairs = list(itertools.combinations(order, 2))
lies = sum(max(scored[worse]) > min(scored[better]) for better, worse in pairs)
print(f"{lies} of {len(pairs)} pairs of methods can be shown in the wrong order")

# %% [markdown]
# Same label splits, all runs shown, differences in pairs. These three habits take the choice away.

# %% [markdown]
# ## What we know
#
# - Five habits spoil the published table, and none requires bad intent.
# - On lesions several methods beat the baseline in the mean, and five label splits can't rank them.
# - A baseline with more work gains in macro-F1, too. Over it no method is clearly ahead in macro-F1 with this network.
# - Seen and unseen lesions differ in kind, and our errors are too wide to show leakage or to exclude it.
# - A method can gain in macro-F1 and lose in calibration. Which piece of it does that was not tested.
# - A committee of methods ranks better than its members here; another network, another data set, or settings of their own may change
#   [all of this](../docs/results/networks.md).

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (9b). Five label splits, the method wins on all five, and the sign-flip test gives one in sixteen. A colleague says: not
# significant, so there is no effect. You say:
#
# <details><summary>a) "Right. Let's drop the method."</summary>No: with five label splits the test can give nothing smaller. It
# could not have found an effect of any size at the usual mark.</details>
# <details><summary>b) "Five label splits cannot give less. Look at the size of the difference, or run more of them."</summary>Yes. A
# test that cannot pass is no evidence of absence.</details>
# <details><summary>c) "Then we use the one-sided test."</summary>No: a one-sided test must be chosen before the runs. Chosen after them
# it halves the number and adds no evidence.</details>

# %% [markdown]
# **Question 2** (9d). A model scores higher on test lesions that it has not seen than on those it has. So
#
# <details><summary>a) leakage lowers scores</summary>Hardly: something else must differ between the groups.</details>
# <details><summary>b) there is no leakage</summary>Not shown: an easier group of unseen lesions can hide a gain on the
# seen ones.</details>
# <details><summary>c) the groups differ in kind, and one needs a model that has seen neither group as a control</summary>Yes. The
# control measures how hard the groups are; what a method gains beyond it is the question.</details>

# %% [markdown]
# **Question 3** (9e). After semi-supervised training the AUC is higher and the ECE is higher, too. Is that possible?
#
# <details><summary>a) Yes: the AUC looks at the order of the scores only, the ECE at their size</summary>Yes. Multiply all logits by
# two: every answer stays, and the confidence changes. (The macro AUC moves a little, too, since the softmax compares
# within a row.)</details>
# <details><summary>b) No: better ranking means better probabilities</summary>No: a ranking does not say how large a probability
# should be.</details>
# <details><summary>c) Only if the test images have leaked</summary>No, it needs no leakage: learning from one's own pseudo-labels
# can raise the confidence by itself.</details>

# %% [markdown]
# ## Key points
#
# - Compare in pairs: same labels, same initial weights, all runs shown, the majority class beside them.
# - Five label splits can never pass an exact two-sided test at `.05`. Say how large the gain is, and how often it was one.
# - Pay for work and test for leakage with a control: a baseline that works as much, a model that saw neither group.
# - Confidence is not accuracy. Measure both, above all where a method learns from its own confidence.
#
# Next: `10_bug_hunt.ipynb`, mistakes to find and a method of your own.

# %%
progress("09")
