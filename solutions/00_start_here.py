# %% [markdown]
# # 00 · Start here
#
# Can you trust an accuracy? A notebook on the web trains three semi-supervised methods on skin lesions, reports
# about two images right in three, and calls it progress. By the end of this lesson you will have computed what
# that number is worth, and you will know how every other lesson of this course works.
#
# **Time** 35 min, of which the computer needs less than one
#
# **You need** basic Python and PyTorch: tensors, shapes, a function with a docstring
#
# **Objectives**
#
# - **0a** Work through a lesson: cells, exercises, checks, hints.
# - **0b** Describe a dataset by its class fractions.
# - **0c** Compute what the majority class scores, and hold every result against it.
# - **0d** Choose a metric that the frequent class cannot dominate.

# %% [markdown]
# ## How a lesson works
#
# A notebook is a column of **cells**. Click into a cell and press **Shift + Enter** to run it; do so from top to
# bottom. Three kinds of code cells matter:
#
# 1. Most cells are complete. Read them, run them, look at what they show.
# 2. An **exercise** cell holds a function whose body is missing. You replace the line
#    `raise NotImplementedError(...)` by your own code and run the cell.
# 3. The **check** cell below it tries your function on small cases and answers in one line: `[todo]` if you have
#    not begun, `[fix]` with the likely cause, `[ok]` when it is right. Run it as often as you like.
#
# Two things hold everywhere. Where a **number** is asked for, a float or a tensor of one number will do. And a function leaves its
# **inputs** as they are, unless the exercise says otherwise.
#
# Under each exercise there are two hints, folded up: the first gives a direction, the second names a function. If you are
# still stuck, there are three more ways on. Type them into a new cell (**B** makes one, with the cell's frame clicked):
#
# - `borrow("0.1")` lends you the course's function for Exercise 0.1, so that the lesson goes on. Come back to it later.
# - `reveal("0.1")` shows its solution, once you have solved it or the check has seen three different answers of yours.
# - `progress("00")` shows where you stand in this lesson. Each lesson ends with it, and `course progress` in a terminal shows
#   the whole course. It is remembered when you close the notebook, in the folder `runs/`, and sent to nobody.
#
# If a teacher gave you the course, your copy may come without solutions: then `borrow` and `reveal` say so, and you ask them.
#
# Everything is random with one fixed seed, so your numbers repeat when you run the notebook again on the same
# machine. On another machine they differ a little; where that matters, the lesson shows the spread.

# %% tags=["setup"]
import numpy as np
import pandas as pd
import torch

from course_utils import evaluation, plots
from course_utils.check import borrow, check, progress, reveal
from course_utils.datasets import load_dataset
from course_utils.labels import split_labels

# %% [markdown]
# ## The data
#
# DermaMNIST holds photographs of pigmented skin lesions taken through a dermatoscope, shrunk to 28×28 pixels
# ([Yang et al. 2023](https://doi.org/10.1038/s41597-022-01721-8); the photographs are HAM10000,
# [Tschandl et al. 2018](https://doi.org/10.1038/sdata.2018.161), licence CC BY-NC). Seven diagnoses, three parts:
# the training split to learn from, the validation split, and the test split, which is for measuring and for
# nothing else.
#
# If the data cannot be downloaded, the next cell says so and takes 5,000 handwritten digits instead. The course
# works with both; the digits are also its control experiment, because their classes are equally frequent. In brackets
# the cell says which file it found: the official one, or a copy with other bytes.

# %% tags=["nbval-ignore-output"]
dataset = load_dataset()
dataset

# %% [markdown]
# The images lie in memory as whole numbers from 0 to 255. `train.images` has the shape (images, height, width,
# channels) and `train.labels` one class number per image.

# %% tags=["dataset"]
print(dataset.train.images.shape, dataset.train.images.dtype)
print(dataset.train.labels.shape, dataset.train.labels[:8])
print(dataset.class_names)

# %% tags=["dataset"]
rng = np.random.default_rng(0)
rows = [
    dataset.train.images[rng.choice(np.flatnonzero(dataset.train.labels == c), 8, replace=False)]
    for c in range(dataset.num_classes)
]
alt = "One row of eight random training images for each class. Images of one class differ a lot from each other."
plots.show(plots.image_grid(rows, dataset.class_names, scale=0.7), alt)

# %% [markdown]
# In DermaMNIST `nv` is the common mole (nevus) and `mel` is melanoma, the dangerous one. The others: `akiec`
# actinic keratosis, `bcc` basal cell carcinoma, `bkl` benign keratosis, `df` dermatofibroma, `vasc` vascular
# lesions. Telling them apart at this size is hard for people, too.

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
# If the line above says `[ok]`, your function now describes the dataset. If it says `[todo]` or `[fix]`, go back one cell.

# %% tags=["dataset"]
fractions = {
    part.name: class_fractions(torch.from_numpy(part.labels), dataset.num_classes).numpy()
    for part in (dataset.train, dataset.val, dataset.test)
}
pd.DataFrame(fractions, index=dataset.class_names).round(3)

# %% tags=["dataset"]
alt = "Bars of the class fractions in the three splits, which agree. In DermaMNIST nv towers over the rest."
plots.show(plots.class_bars(fractions, dataset.class_names, "fraction of images"), alt)

# %% [markdown]
# ## A few labels, many images
#
# Semi-supervised learning asks: what if a doctor has labelled only some of the images? The course's standard
# label split keeps the labels of 500 training images and hides the rest. The images all stay: they are the pool, and the
# labelled ones are part of it.

# %% tags=["dataset"]
label_split = split_labels(dataset, num_labels=500)
print(label_split)
dict(zip(dataset.class_names, label_split.class_counts().tolist()))

# %% [markdown]
# ## What is an accuracy worth?
#
# Here is a classifier that looks at no image at all: it finds the most frequent class of the training split and
# answers that class, always. Every result in this course stands beside this **majority class**.

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
# The original notebook, from which this course grew, published these test results (its last training cell). The first line
# is yours: what its accuracies have to be held against.

# %% tags=["dataset"]
majority = float(majority_accuracy(torch.from_numpy(dataset.train.labels), torch.from_numpy(dataset.test.labels)))
published = {"FixMatch": 0.670, "FlexMatch": 0.678, "MixMatch": 0.672}
pd.DataFrame({"accuracy": {"majority class": majority, **published}}).round(3)

# %% [markdown]
# All three are less than one point away from an answer that never looked at the image, and with this many test images
# the standard error of an accuracy is about one point, too. (On the digits the majority class is far below them,
# since no class is frequent; the published numbers are for DermaMNIST only.)

# %% [markdown]
# ## A metric that the frequent class cannot dominate
#
# Accuracy weighs every image the same, so the frequent class decides it. The **macro-F1** weighs every *class*
# the same. From the confusion matrix $M$ (row: true class, column: predicted class) compute for each class $c$
#
# $$\mathrm{precision}_c = \frac{M_{cc}}{\sum_i M_{ic}}, \qquad
# \mathrm{recall}_c = \frac{M_{cc}}{\sum_j M_{cj}}, \qquad
# F_c = \frac{2\,M_{cc}}{\sum_i M_{ic} + \sum_j M_{cj}}.$$
#
# $F_c$ is the harmonic mean of precision and recall, written so that it needs one division only.

# %% tags=["dataset"]
answer = evaluation.majority_scores(dataset, dataset.test)
alt = "Confusion matrix of the majority class: all counts stand in the column of one class."
plots.show(plots.confusion(answer, dataset.class_names), alt)

# %% [markdown]
# One column is full and the others are empty: a class that is never predicted has no precision, and its recall
# is zero.

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

# %% [markdown]
# Compare with scikit-learn, which `course_utils.evaluation` uses (and tells to count all classes; left alone it skips
# those that occur nowhere):

# %% tags=["dataset"]
print(f"by hand      {macro_f1(torch.from_numpy(answer.confusion)):.4f}")
print(f"scikit-learn {answer['macro-F1']:.4f}")

# %% [markdown]
# The course reports five metrics. **AUC** asks of each class whether its images get higher probabilities than
# the others, without choosing any answer; it is computed on probabilities, one class against the rest, and
# averaged. **ACC** is the accuracy, **weighted-F1** weighs the $F_c$ by class frequency, **balanced ACC** is the
# mean recall. `score_table` puts the majority class first, always.

# %% tags=["dataset"]
evaluation.score_table({}, dataset, dataset.test)

# %% [markdown]
# **Analysis** The majority class is nobody's idea of a diagnosis, and on DermaMNIST three of the five columns say so:
# its AUC is that of random answers, its balanced accuracy is one over the number of classes, its macro-F1 is the F1 of one class
# divided by the number of classes. Only the accuracy, and with it the weighted F1, looks respectable.
# This does not show that accuracy is useless. It shows that accuracy says little *alone* when one class is
# frequent. Nothing here was trained, so there is no spread over seeds; from the next lesson on there will be.

# %% [markdown]
# ## A failure on purpose: the shuffled loader
#
# The second classic mistake. To score predictions you compare them with the labels *in the same order*. A
# related notebook by the same author predicted with a shuffling loader and compared with the labels in file order: a good
# model came out at chance, and label propagation was called the worst method of all. Below, near-perfect
# predictions are scored, first in order and then shuffled.

# %% tags=["dataset"]
good = 0.9 * np.eye(dataset.num_classes)[dataset.test.labels] + 0.1 / dataset.num_classes
shuffle = np.random.default_rng(0).permutation(len(dataset.test))
print("AUC in order: ", round(evaluation.score(good, dataset.test)["AUC"], 2))
print("AUC shuffled: ", round(evaluation.score(good[shuffle], dataset.test)["AUC"], 1))

# %% [markdown]
# If you hand in the labels that came with the predictions, the course's `score` notices and refuses:

# %%
try:
    evaluation.score(good[shuffle], dataset.test, labels=dataset.test.labels[shuffle])
except ValueError as error:
    print(error)

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (0c). On a test split with nine healthy images in ten, a model has an accuracy of nine in ten. It is
#
# <details><summary>a) a good model</summary>No: answering <i>healthy</i> always scores the same.</details>
# <details><summary>b) perhaps useless, perhaps not: one needs another metric</summary>Yes. It could be the majority
# class, or a model that finds half of the ill at the price of some false alarms. Recall per class, macro-F1 or
# AUC tell them apart.</details>
# <details><summary>c) surely useless</summary>No: equal accuracy does not mean equal answers.</details>
#
# **Question 2** (0d). Two models have the same macro-F1, one of them the higher accuracy. The likely reason is
#
# <details><summary>a) it is better at the frequent class at the price of a rare one, and in the macro-F1 the two
# cancel</summary>Yes: the accuracy follows the frequent class; in the macro-F1 each class weighs the same.</details>
# <details><summary>b) macro-F1 was computed wrongly</summary>No: the two metrics weigh images differently and need
# not agree.</details>
# <details><summary>c) its probabilities are better calibrated</summary>No: both metrics look at the answers only, not
# at the probabilities.</details>
#
# **Question 3** (0d). A model scores an AUC of one half and a macro-F1 well above the majority class's. Then
#
# <details><summary>a) the model ranks badly but answers well</summary>Hardly: answers that are good come from
# probabilities that rank well.</details>
# <details><summary>b) the two numbers were computed on labels in different orders</summary>Yes, that is the first thing
# to suspect: the F1 from the labels of the loader, the AUC from the labels of the file.</details>
# <details><summary>c) this is normal under imbalance</summary>No: the one-vs-rest AUC does not depend on how frequent the
# class is.</details>

# %% [markdown]
# ## Key points
#
# - Look at the class fractions before you look at any result.
# - No accuracy without the majority class beside it.
# - Macro-F1 and balanced accuracy weigh classes, accuracy weighs images, AUC looks at the ranking only.
# - Predictions and labels must be in the same order; let code refuse if they are not.
#
# Next: `01_supervised_baseline.ipynb`, what 500 labels are worth without any semi-supervised method.

# %%
progress("00")
