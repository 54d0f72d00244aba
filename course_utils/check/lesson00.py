"""Checks of lesson 00: class shares, the majority class, macro-F1."""

import torch

from course_utils.check.core import Fix, exercise, expect


@exercise("0.1", "the shares of the classes")
def _(student):
    labels = torch.tensor([0, 2, 2, 3, 0, 2, 3, 2])
    shares = student(labels, 5)
    expect(
        shares,
        [0.25, 0.0, 0.5, 0.25, 0.0],
        "the shares of 5 classes in [0, 2, 2, 3, 0, 2, 3, 2]",
        wrong=[
            ([2, 0, 4, 2, 0], "these are counts: divide by the number of labels"),
            ([25, 0, 50, 25, 0], "these are percentages: shares are between 0 and 1"),
            ([0, 0, 0, 0, 0], "all shares are 0: a division of whole numbers with // rounds down, use /"),
            ([0.5, 0, 1, 0.5, 0], "divide by the number of labels, not by the largest count: shares sum to 1"),
            ([0.4, 0, 0.8, 0.4, 0], "divide by the number of labels, not by the number of classes"),
            ([0.25, 0.0, 0.5, 0.25], "the last class has no image and was left out: give bincount a minlength"),
            ([0.25, 0.5, 0.25], "classes without an image were left out: their share is 0, but they need an entry"),
        ],
        float_tensor=True,
    )
    expect(
        student(torch.tensor([1, 1, 1]), 2),
        [0.0, 1.0],
        "the shares of 2 classes in [1, 1, 1]",
        wrong=[([1.0, 0.0], "the shares are in another order: entry c belongs to class c, however frequent it is")],
    )


@exercise("0.2", "what a constant answer scores")
def _(student):
    train, test = torch.tensor([0, 1, 1, 1, 1, 2, 2, 2]), torch.tensor([2, 2, 2, 1, 0, 2, 1, 2, 2, 2])
    expect(
        student(train, test),
        0.2,
        "the accuracy when class 1 is the most frequent in training and 2 of 10 test images have it",
        wrong=[
            (
                0.7,
                "the answer was chosen on the test labels: choose it on the training labels, measure on the test labels",
            ),
            (0.5, "this is the share of the class in the training split: measure on the test labels"),
            (2.0, "this is a count: divide by the number of test images"),
            (1.0, "this is the class (or a fixed number), not how often it is right"),
            (0.1, "this answers class 0, the rarest in training: take the most frequent one (argmax of the counts)"),
            (
                0.0,
                "no test image has this label: max gives the count of the most frequent class, argmax the class itself",
            ),
            (20.0, "this is a percentage: an accuracy is between 0 and 1"),
            (0.8, "this is the share of wrong answers"),
            (2 / 8, "divide by the number of test images, not of training images"),
            (3 / 8, "the two splits are exchanged: choose on the training labels, measure on the test labels"),
        ],
    )
    expect(
        student(torch.tensor([0, 0, 1, 2, 3]), torch.tensor([0, 0, 0, 1])),
        0.75,
        "the accuracy when class 0 is the most frequent of five training labels",
        [(0.25, "the middle one of the class numbers is answered (median or mean): the most frequent one is wanted")],
    )
    tie = student(torch.tensor([3, 3, 1, 1]), torch.tensor([1, 1, 1, 3]))
    expect(
        tie,
        0.75,
        "the accuracy when 1 and 3 are equally frequent in training",
        [(0.25, "in a tie answer the smaller class")],
    )
    unseen = student(torch.tensor([5, 5, 1]), torch.tensor([1, 1]))
    expect(unseen, 0.0, "the accuracy when the answer does not occur in the test labels")


@exercise("0.3", "macro-F1 from the confusion matrix")
def _(student):
    # class 0: F1 = 2*8/(10+12), class 1: 2*3/(5+6), class 2: 2*1/(5+2)
    confusion = torch.tensor([[8, 1, 1], [2, 3, 0], [2, 2, 1]])
    f1 = torch.tensor([16 / 22, 6 / 11, 2 / 7])
    precision, recall = torch.tensor([8 / 12, 3 / 6, 1 / 2]), torch.tensor([8 / 10, 3 / 5, 1 / 5])
    mean_p, mean_r = precision.mean(), recall.mean()
    expect(
        student(confusion),
        f1.mean(),
        "the macro-F1 of [[8, 1, 1], [2, 3, 0], [2, 2, 1]]",
        wrong=[
            (f1, "return the mean over the classes, one number"),
            (f1.sum(), "return the mean over the classes, not the sum"),
            (12 / 20, "this is the accuracy (micro-F1): compute F1 for each class first, then the plain mean"),
            (recall.mean(), "this is the mean recall (balanced accuracy): the denominator needs the column sums, too"),
            (precision.mean(), "this is the mean precision: the denominator needs the row sums, too"),
            ((f1 * torch.tensor([10, 5, 5])).sum() / 20, "this is the weighted F1: every class counts the same here"),
            (
                2 * mean_p * mean_r / (mean_p + mean_r),
                "this is the F1 of mean precision and mean recall: take F1 per class, then the mean",
            ),
            (0.0, "all F1 are 0: a division of whole numbers with // rounds down, use /"),
            (f1.mean() / 2, "the factor 2 in the numerator is missing"),
            (
                ((precision + recall) / 2).mean(),
                "F1 is the harmonic mean of precision and recall, not their plain mean",
            ),
        ],
    )
    never = student(torch.tensor([[4, 0, 0], [2, 0, 0], [0, 0, 0]]))
    if torch.as_tensor(never).isnan().any():
        raise Fix("a class gives 0/0 = nan (nothing to divide by): its F1 is 0, guard every division")
    expect(
        never,
        (8 / 10 + 0 + 0) / 3,
        "the macro-F1 of [[4, 0, 0], [2, 0, 0], [0, 0, 0]]",
        wrong=[
            (0.8, "classes with F1 = 0 were left out: the mean goes over all classes"),
            (0.4, "the class without images was left out: the mean goes over all classes"),
            (8 / 10 / 2, "the class without images was left out: the mean goes over all classes"),
        ],
    )
    huge = student(torch.tensor([[50_000, 0], [0, 50_000]]))
    expect(huge, 1.0, "the macro-F1 of a perfect classifier")
