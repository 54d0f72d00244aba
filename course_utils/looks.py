"""One colour and one marker for each method, the same in every lesson, on the site and in the README.

The colours are Okabe and Ito's (2008) and Tol's (2021): they differ in grey and for the colour-blind, and each comes with a marker
of its own, so that no figure depends on colour.
"""

from typing import NamedTuple


class Look(NamedTuple):
    """How a method is drawn."""

    color: str
    marker: str


OTHER = Look("#7F7F7F", "o")
INK = "#404040"  # words and lines that belong to no method
PAPER = "#FFFFFF"
METHODS = {
    "majority class": Look("#999999", "|"),
    "supervised": Look("#000000", "o"),
    "Labels alone": Look("#000000", "o"),
    "pseudo-labels": Look("#E69F00", "s"),
    "self-training": Look("#B8860B", "p"),
    "label propagation": Look("#56B4E9", "v"),
    "label spreading": Look("#56B4E9", "v"),
    "SGAN": Look("#CC79A7", "D"),
    "Π-model": Look("#009E73", "<"),
    "temporal ensembling": Look("#66A61E", ">"),
    "mean teacher": Look("#117733", "^"),
    "FixMatch": Look("#0072B2", "P"),
    "FlexMatch": Look("#332288", "X"),
    "SoftMatch": Look("#6699CC", "d"),
    "FreeMatch": Look("#44AA99", "h"),
    "MixMatch": Look("#D55E00", "*"),
    "committee": Look("#882255", "H"),
}
CLASSES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F")  # classes of points and images
CLASS_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SHADES = ("#404040", "#9A9A9A", "#6E6E6E", "#B8B8B8")  # what is neither: colour stands for a method or a class


def look(method: str, place: int | None = None) -> Look:
    """The look of a method; a variant, such as "FixMatch, graph filter" or "Your FixMatch", has the look of its method.

    What is no method gets a shade of grey and a marker by its `place` among those drawn with it, or always the same without one.
    """
    method = method.removeprefix("Your ")
    known = [name for name in METHODS if method == name or method.startswith((f"{name},", f"{name} "))]
    if known:
        return METHODS[max(known, key=len)]
    return OTHER if place is None else Look(SHADES[place % len(SHADES)], CLASS_MARKERS[place % len(CLASS_MARKERS)])
