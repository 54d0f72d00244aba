"""The committee of four methods, taken apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from course_utils import results
from course_utils.authoring.pages.experiments import BASELINE, LARGER, Experiment
from course_utils.authoring.pages.pictures import Picture, panel
from course_utils.authoring.pages.tables import markdown, signed

METRICS = ("AUC", "ACC", "macro-F1", "balanced ACC")
PLAIN, ADJUSTED = "committee, not adjusted", "committee"
ALIKE, ALIKE_ADJUSTED = "four supervised networks, not adjusted", "four supervised networks"
STUDENT = "mean teacher, student averaged"
BEST_MEMBERS = ("MixMatch", STUDENT)
MEMBERS = ("supervised", "FixMatch", "MixMatch", "mean teacher")
SHORT = {STUDENT: "mean teacher (student, averaged)"}


@dataclass
class Committee:
    """What the committee has above its pieces, and in other experiments."""

    experiment: Experiment
    others: Mapping[str, Experiment]  # by title, this one among them

    @property
    def picture(self) -> Picture:
        panels = {metric: panel(self.experiment, metric) for metric in ("AUC", "macro-F1")}
        methods = (LARGER, ALIKE, ALIKE_ADJUSTED, "FixMatch", *BEST_MEMBERS, ADJUSTED, PLAIN)
        gain = self.experiment.gained(PLAIN, "AUC")
        return Picture(f"A committee of four methods gains {gain} in AUC", panels, methods, SHORT)

    def minus(self, method: str, other: str, metric: str) -> str:
        """The gain of one method over another, with its wins."""
        one = self.experiment.paired(metric, other)[method]
        return f"{signed(one.gained)} ({one.won} label splits)"

    def over(self, method: str, others: Sequence[str]) -> str:
        """The method's gains over each of the others in all metrics."""
        lines = {
            SHORT.get(other, other): [
                signed(self.experiment.paired(metric, other)[method].gained) for metric in METRICS
            ]
            for other in others
        }
        return markdown(pd.DataFrame.from_dict(lines, "index", columns=list(METRICS)).rename_axis(f"{method}, minus"))

    @property
    def plain(self) -> str:
        """Nothing adjusted."""
        return self.over(PLAIN, [BASELINE, LARGER, ALIKE, *BEST_MEMBERS])

    @property
    def pieces(self) -> str:
        """The adjusted committee minus each committee that lacks a piece."""
        without = [f"committee without {member}" for member in MEMBERS]
        alone = [f"{member}, adjusted by a quarter" for member in MEMBERS]
        return self.over(ADJUSTED, [PLAIN, ALIKE_ADJUSTED, *without, *alone, f"{LARGER}, adjusted by a quarter"])

    @property
    def one_member(self) -> str:
        """The member that comes closest, adjusted."""
        adjusted = "mean teacher, adjusted by a quarter"
        return self.over(adjusted, [BASELINE, LARGER, f"{LARGER}, adjusted by a quarter", STUDENT])

    def elsewhere(self, metric: str) -> str:
        """The committee that is not adjusted, with other numbers of labels, networks and data."""
        lines = {}
        for title, experiment in self.others.items():
            over = [results.paired(experiment.every, other, metric) for other in (BASELINE, LARGER, ALIKE)]
            lines[title] = [signed(found[PLAIN].gained) if found[PLAIN].pairs else "" for found in over]
        columns = [f"over {BASELINE}", f"over {LARGER}", "over four supervised networks"]
        return markdown(
            pd.DataFrame.from_dict(lines, "index", columns=columns).rename_axis(f"{PLAIN}: gain in {metric}")
        )
