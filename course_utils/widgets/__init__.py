"""Ideas to play with: a picture, the sliders that change it, and what it shows in words. Nothing here is trained.

Each function shows a still picture; in a live notebook sliders stand above it, which move with the mouse and with the arrow keys.
Where a picture needs a function that a lesson lets you build, the widget takes yours.
"""

from course_utils.widgets.neighbours import graph
from course_utils.widgets.predictions import adjustment, threshold
from course_utils.widgets.soft_labels import mixup, sharpening
from course_utils.widgets.weights import averaging

__all__ = ["adjustment", "averaging", "graph", "mixup", "sharpening", "threshold"]
