# %% [markdown]
# # 00 · Start here
#
# You have a handful of labelled images and thousands without a label. Can the ones **without** a label help?
#
# ![Two moons of points, six of them labelled, in motion. On the left a network learns from the labelled points alone, and its boundary cuts through both moons. On the right it also uses the points without a label, and its boundary moves into the gap between the moons. Points that get the wrong class have a ring.](../docs/figures/moons.gif)
#
# The six large points have a label. The small ones have none: their colour is the network's answer, and a ring says that it is wrong.
# Both networks know the same labels. The right one also looked at the other points. That is **semi-supervised learning**: learn from a
# few labels, and from many examples that have none.
#
# **Time** 36 min, of which the computer trains for 1
#
# **You need** basic Python and PyTorch: tensors, shapes, a function with a docstring
#
# **Objectives**
#
# - **0a** Say what semi-supervised learning is, and work through a lesson: cells, exercises, checks, hints.
# - **0b** Describe a dataset by its class fractions.
# - **0c** Compute what always predicting the majority class scores, and compare every result with it.
# - **0d** Choose a metric that the majority class cannot dominate.

# %% [markdown]
# ## Your first gain
#
# A notebook is a column of **cells**. Click into the next one and press **Shift + Enter** to run it. Then run the one after it. It trains
# a network on 40 labelled digits, and the same network on the same digits **plus** thousands whose labels are hidden. Give it a minute, and
# watch the two progress bars.

# %% tags=["setup"]
import numpy as np
import pandas as pd
import torch

from course_utils import evaluation, first_gain, plots
from course_utils.check import borrow, check, progress, reveal
from course_utils.datasets import load_dataset
from course_utils.labels import split_labels

# %% tags=["nbval-ignore-output"]
accuracy = first_gain.forty_digits()

# %% tags=["nbval-ignore-output"]
end = accuracy.iloc[-1]
print(
    f"{end['supervised']:.0%} of the test digits right with 40 labels; {end['FixMatch']:.0%} with the images that have no label, too."
)

# %% [markdown]
# Nobody told the second network a single label more. (It did more work: each step also looks at unlabelled images.) It was allowed to trust its own answers where it was sure, and to check them on
# changed copies of the image. The method is called FixMatch. In lesson 06 you write it yourself, in about thirty lines.
#
# ![Semi-supervised learning in one picture. There are few images with a label and many without. The few say what the classes are called, the many show what images look like. One network learns from both, and in the end it has an answer for all images.](../docs/figures/ssl.svg)

# %% [markdown]
# ## The hard case
#
# Digits are easy: ten classes, equally frequent, far apart. This course is about a harder set. **DermaMNIST** holds photographs of pigmented
# skin lesions, shrunk to 28×28 pixels ([Yang et al. 2023](https://doi.org/10.1038/s41597-022-01721-8); the photographs are HAM10000,
# [Tschandl et al. 2018](https://doi.org/10.1038/sdata.2018.161), licence CC BY-NC). Seven diagnoses, and labels cost a doctor's time.
# Here SSL has to prove itself, and we'll measure honestly where it does and where it doesn't.
#
# If the data cannot be downloaded, the next cell says so and goes on with the digits.

# %% tags=["nbval-ignore-output"]
dataset = load_dataset()
dataset

# %% tags=["dataset", "figure"]
rng = np.random.default_rng(0)
rows = [
    dataset.train.images[rng.choice(np.flatnonzero(dataset.train.labels == c), 8, replace=False)]
    for c in range(dataset.num_classes)
]
plots.show(
    plots.image_grid(rows, dataset.class_names, scale=0.7, title="Eight training images of each class"),
    alt="One row of eight random training images for each class. Images of one class differ a lot from each other.",
)

# %% [markdown]
# `nv` is the common mole (nevus) and `mel` is melanoma, the dangerous one. (`akiec` actinic keratosis, `bcc` basal cell carcinoma, `bkl`
# benign keratosis, `df` dermatofibroma, `vasc` vascular lesions.) Would you tell them apart?
#
# Images are stored as uint8, 0-255. There is a training split to learn from, a validation split, and a test split for measuring only.

# %% tags=["dataset"]
print(dataset.train.images.shape, dataset.train.images.dtype)
print(dataset.train.labels.shape, dataset.train.labels[:8])

# %% [markdown]
# ## How an exercise works
#
# An **exercise** cell holds a function without its body. Replace the line `raise NotImplementedError(...)` by your code and run the cell.
# The **check** below it answers at once: `[todo]`, `[fix]` with the likely cause, or `[ok]`. Run it as often as you like.
#
# Two rules hold everywhere. Where a **number** is asked for, a float or a tensor of one number will do. And a function leaves its
# **inputs** as they are, unless the exercise says otherwise.
#
# Stuck? Each exercise has two folded hints. And you have three more options, each typed into a new cell (**B** makes one):
#
# - `borrow("0.1")` lends you the course's function, so that the lesson goes on.
# - `reveal("0.1")` shows the solution, once it is solved or three different answers were checked.
# - `progress("00")` shows where you stand. It is saved in `runs/` and never leaves your machine.
#
# (A copy from a teacher may come without solutions. Then ask them.)

# %% [markdown]
# ### Exercise 0.1 · How frequent is each class?
#
# 5 min · difficulty 1/5 · objectives 0a, 0b
#
# Given `labels` (N,), a tensor of class numbers, return the **fraction** of each class: a float tensor
# (num_classes,) whose entry $c$ is $\pi_c = \frac{1}{N}\sum_{n} \mathbf{1}[y_n = c]$. A class that does not occur
# has the fraction 0 and must not be left out.
#
# <details><summary>Hint 1 (direction)</summary>Count first, then divide by how many labels there are. Make sure
# that the counts have one entry for each class, also for one without images.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.bincount</code> has an argument
# <code>minlength</code>.</details>


# %% tags=["exercise", "ex-0.1"]
def class_fractions(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Fraction of each class.

    labels: (N,) int64 class numbers in 0 .. num_classes - 1, N >= 1
    returns: (num_classes,) float, sums to 1
    """
    ### BEGIN SOLUTION
    return torch.bincount(labels, minlength=num_classes) / len(labels)
    ### END SOLUTION


# %% tags=["check", "ex-0.1"]
check("0.1", class_fractions)

# %% [markdown]
# Now your function describes the dataset:

# %% tags=["dataset"]
fractions = {
    part.name: class_fractions(torch.from_numpy(part.labels), dataset.num_classes).numpy()
    for part in (dataset.train, dataset.val, dataset.test)
}

# %% tags=["dataset", "figure"]
plots.show(
    plots.class_bars(
        fractions, dataset.class_names, "fraction of images", title="How frequent each class is, in the three splits"
    ),
    alt="Bars of the class fractions in the three splits, which agree. In DermaMNIST nv towers over the rest.",
)

# %% [markdown]
# The course keeps the labels of 500 training images and hides the rest. The images without a label are the **pool**.

# %% tags=["dataset"]
label_split = split_labels(dataset, num_labels=500)
print(label_split)
dict(zip(dataset.class_names, label_split.class_counts().tolist()))

# %% [markdown]
# ## What is an accuracy worth?
#
# The notebook from which this course grew trains three semi-supervised methods on these lesions. Its accuracies are all near `67 %`. Is
# that good? Here is a classifier to compare with. It looks at no image at all.

# %% [markdown]
# ### Exercise 0.2 · The majority class
#
# 8 min · difficulty 2/5 · objective 0c
#
# Return the accuracy on the test split of always answering the most frequent class **of the training split**:
# the fraction of test images with that label, one number. If two classes are equally frequent in training, answer
# the one with the smaller number.
#
# <details><summary>Hint 1 (direction)</summary>Two steps: which class is the answer (from the training labels
# only), and how often is it right (on the test labels only).</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.bincount(...).argmax()</code> finds the class;
# comparing with <code>==</code> and taking the mean of the floats gives the fraction.</details>


# %% tags=["exercise", "ex-0.2"]
def majority_accuracy(train_labels: torch.Tensor, test_labels: torch.Tensor) -> float:
    """Accuracy of always answering the most frequent training class.

    train_labels: (N,) int64, test_labels: (M,) int64, N and M >= 1
    returns: a number in [0, 1]
    """
    ### BEGIN SOLUTION
    answer = torch.bincount(train_labels).argmax()
    return (test_labels == answer).float().mean().item()
    ### END SOLUTION


# %% tags=["check", "ex-0.2"]
check("0.2", majority_accuracy)

# %% [markdown]
# Your number, and below it the three that the notebook reported:

# %% tags=["dataset"]
majority = float(majority_accuracy(torch.from_numpy(dataset.train.labels), torch.from_numpy(dataset.test.labels)))
published = {"FixMatch": 0.670, "FlexMatch": 0.678, "MixMatch": 0.672}
pd.DataFrame({"accuracy": {"majority class": majority, **published}}).round(3)

# %% [markdown]
# Three trainings, and none moves clear of an answer that looks at nothing. From now on every result in this course stands beside the
# **majority class**.

# %% [markdown]
# ## A metric that the majority class cannot dominate
#
# Accuracy weighs every image the same, so the majority class dominates it. The **macro-F1** weighs every *class* the same. From the
# confusion matrix $M$ (row: true class, column: predicted class):
#
# $$\mathrm{precision}_c = \frac{M_{cc}}{\sum_i M_{ic}}, \qquad
# \mathrm{recall}_c = \frac{M_{cc}}{\sum_j M_{cj}}, \qquad
# F_c = \frac{2\,M_{cc}}{\sum_i M_{ic} + \sum_j M_{cj}}.$$
#
# $F_c$ is the harmonic mean of precision and recall, written with one division only.

# %% tags=["dataset", "figure"]
answer = evaluation.majority_scores(dataset, dataset.test)
plots.show(
    plots.confusion(answer, dataset.class_names, title="The majority class's answers: one full column"),
    alt="Confusion matrix of the majority class: all counts stand in the column of one class.",
)

# %% [markdown]
# ### Exercise 0.3 · Macro-F1 from a confusion matrix
#
# 12 min · difficulty 3/5 · objective 0d
#
# Given a confusion matrix (C, C) of counts, rows true and columns predicted, compute every $F_c$ and return their
# plain mean over **all** C classes, one number. A class that is neither true nor predicted anywhere has $F_c = 0$
# (not nan).
#
# <details><summary>Hint 1 (direction)</summary>The diagonal holds the numerators. Sums over rows and over columns
# make up the denominators; where a denominator is 0 so is the numerator, and any positive denominator will do.
# </details>
#
# <details><summary>Hint 2 (which function)</summary><code>confusion.diagonal()</code>,
# <code>confusion.sum(0)</code>, <code>confusion.sum(1)</code>, and <code>clamp(min=1)</code> on the denominator.
# </details>


# %% tags=["exercise", "ex-0.3"]
def macro_f1(confusion: torch.Tensor) -> float:
    """Mean of the classes' F1.

    confusion: (C, C) int64 counts, row = true class, column = predicted class
    returns: a number in [0, 1]
    """
    ### BEGIN SOLUTION
    hits = confusion.diagonal()
    predicted_and_true = confusion.sum(0) + confusion.sum(1)
    f1 = 2 * hits / predicted_and_true.clamp(min=1)
    return f1.mean().item()
    ### END SOLUTION


# %% tags=["check", "ex-0.3"]
check("0.3", macro_f1)

# %% tags=["dataset"]
print(f"by hand      {macro_f1(torch.from_numpy(answer.confusion)):.4f}")
print(f"scikit-learn {answer['macro-F1']:.4f}")

# %% [markdown]
# The course reports four metrics. **AUC** asks whether the images of a class get higher probabilities than the others. **ACC** is the
# accuracy, **balanced ACC** is the mean recall.

# %% tags=["dataset"]
evaluation.score_table({}, dataset, dataset.test)

# %% [markdown]
# Which of these numbers would have told you that nobody looked at the images?
#
# <details><summary>Open when you have an answer</summary>All but the accuracy. An AUC of one half is what random answers get, the balanced
# ACC is that of a blind choice among the classes, and the macro-F1 is close to nothing.</details>

# %% [markdown]
# ## Break it: the shuffled loader
#
# A classic. To score predictions you compare them with the labels *in the same order*. Another notebook by the author of the first predicted with
# a shuffling loader, compared with the labels of the file, and called a good method the worst of all. Below, near-perfect predictions are
# scored in order, then shuffled.

# %% tags=["dataset"]
good = 0.9 * np.eye(dataset.num_classes)[dataset.test.labels] + 0.1 / dataset.num_classes
shuffle = np.random.default_rng(0).permutation(len(dataset.test))
print("AUC in order: ", round(evaluation.score(good, dataset.test)["AUC"], 2))
print("AUC shuffled: ", round(evaluation.score(good[shuffle], dataset.test)["AUC"], 1))

# %% [markdown]
# Hand in the labels that came with the predictions, and the course's `score` refuses:

# %%
try:
    evaluation.score(good[shuffle], dataset.test, labels=dataset.test.labels[shuffle])
except ValueError as error:
    print(error)

# %% [markdown]
# ## What we know
#
# - Images without labels can help a lot: you have seen it on digits.
# - On lesions one class is frequent, and the accuracies above are hardly better than that of always predicting it.
# - Macro-F1, balanced accuracy and AUC barely reward always answering the majority class.
# - Everything here was computed once, without a spread. From lesson 01 on methods are compared on five label splits.
# - Your numbers repeat on your machine. On another one they differ a little.

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (0c). On a test split with nine healthy images in ten, a model has an accuracy of nine in ten. It is
#
# <details><summary>a) a good model</summary>No: answering <i>healthy</i> always scores the same.</details>
# <details><summary>b) perhaps useless, perhaps not: one needs another metric</summary>Yes. It could be the majority
# class, or a model that finds half of the sick patients at the price of some false alarms. Recall per class, macro-F1 or
# AUC tell them apart.</details>
# <details><summary>c) surely useless</summary>No: equal accuracy does not mean equal answers.</details>

# %% [markdown]
# **Question 2** (0d). Two models have the same macro-F1, one of them the higher accuracy. The likely reason is
#
# <details><summary>a) it is better at the frequent class at the price of a rare one, and in the macro-F1 the two
# cancel</summary>Yes: the accuracy follows the frequent class; in the macro-F1 each class weighs the same.</details>
# <details><summary>b) macro-F1 was computed wrongly</summary>No: the two metrics weigh images differently and need
# not agree.</details>
# <details><summary>c) its probabilities are better calibrated</summary>No: both metrics look at the answers only, not
# at the probabilities.</details>

# %% [markdown]
# **Question 3** (0d). A model scores an AUC of one half and a macro-F1 well above the majority class's. Then
#
# <details><summary>a) the model ranks badly but answers well</summary>Hardly: answers that are good come from
# probabilities that rank well.</details>
# <details><summary>b) the two numbers were computed on labels in different orders</summary>Yes, that is the first thing
# to suspect: the F1 from the labels of the loader, the AUC from the labels of the file.</details>
# <details><summary>c) this is normal under imbalance</summary>No: random answers have an AUC of one half however frequent the
# classes are, and answers that good are not random.</details>

# %% [markdown]
# ## Key points
#
# - Semi-supervised learning: a few labels, and many images without one.
# - Look at the class fractions before you look at any result.
# - No accuracy without the majority class beside it; macro-F1 and balanced accuracy weigh classes, accuracy weighs images.
# - Predictions and labels must be in the same order. Make your code raise an error if they don't match.
#
# Next: `01_supervised_baseline.ipynb`, what 500 labels are worth without any semi-supervised method.
#
# Only a day? Take the **short path**: lessons 00, 01, 02, 05 (its first half) and 06.

# %%
progress("00")
