"""The playground: points in the plane, a tiny network, and your own loss, whose boundary you can watch as it moves.

    from course_utils import playground

    playground.watch(fixmatch_loss, title="FixMatch")
    playground.watch(lambda model, batch: fixmatch_loss(model, batch, tau=0.8), title="FixMatch", kind="blobs", strong=0.25)
    playground.watch({"supervised": supervised_loss, "FixMatch": fixmatch_loss}, kind="gap")
    playground.watch(FlexMatch(lambda memory: learning_status(memory, 2), 500), title="FlexMatch")  # one note for each point
    playground.watch_graph(label_propagation, lambda x: gaussian_affinity(x, 30) * knn_graph(x, 5))
    playground.watch_rounds(self_train)
    playground.watch_gan(discriminator_loss, generator_step, feature_matching)

`watch` trains with `training.train`, shows a strip of decision boundaries (in a live notebook a player), and returns what was seen.
"""

from course_utils.playground.plane import KINDS, points
from course_utils.playground.watching import Watched, watch, watch_gan, watch_graph, watch_rounds

__all__ = ["KINDS", "Watched", "points", "watch", "watch_gan", "watch_graph", "watch_rounds"]
