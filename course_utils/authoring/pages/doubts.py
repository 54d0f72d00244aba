"""Two doubts about a good score: lesions that were seen before, and confidence that is not deserved."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from course_utils import results
from course_utils.authoring.pages.experiments import BASELINE, CLEAR, Experiment, in_words
from course_utils.authoring.pages.pictures import Dots, Line, Panel, Picture
from course_utils.authoring.pages.tables import markdown, signed
from course_utils.results import Paired

OF_GROUPS = ("FixMatch", "MixMatch")  # the methods that were scored on the groups of lesions
GROUPS = {"": "all test images", "unseen ": "unseen lesions", "pool only ": "lesions of the pool"}
RECALL = "balanced ACC"  # a mean of recalls: no mix of classes moves it


@dataclass
class Leakage:
    """The methods on lesions that stand in the training split, too, and on those that do not."""

    experiment: Experiment

    @cached_property
    def rows(self) -> pd.DataFrame:
        rows = self.experiment.rows
        return rows[rows[f"unseen {RECALL}"].notna()]

    @property
    def picture(self) -> Picture:
        panels = {f"{RECALL}, {name}": Panel(self.rows, group + RECALL) for group, name in GROUPS.items()}
        return Picture("FixMatch and MixMatch on seen and on unseen lesions", panels, OF_GROUPS, same_scale=True)

    def control(self, group: str) -> str:
        """What the supervised baseline, which has seen none of these images, scores on a group."""
        return f"{self.rows.loc[self.rows['method'] == BASELINE, group + RECALL].mean():.3f}"

    @cached_property
    def more_of(self) -> dict[str, Paired]:
        """By how much each method gains more on lesions of the pool than on unseen ones."""
        rows = self.rows.assign(more=self.rows[f"pool only {RECALL}"] - self.rows[f"unseen {RECALL}"])
        return results.paired(rows, metric="more")

    def more(self, method: str) -> str:
        return signed(self.more_of[method].gained)

    def more_often(self, method: str) -> str:
        return self.more_of[method].won

    @property
    def verdict(self) -> str:
        """What that says of leakage."""
        clear = [method for method in OF_GROUPS if self.more_of[method].gain >= CLEAR * self.more_of[method].sem]
        return f"{in_words(clear)} clearly profit" if clear else "a profit from leakage is neither shown nor excluded"

    def table(self, metric: str) -> str:
        """The gains over the baseline on the same images, group by group."""
        lines = {}
        for method in OF_GROUPS:
            found = [results.paired(self.rows, metric=group + metric)[method] for group in GROUPS]
            lines[method] = [signed(one.against) for one in found]
        return markdown(pd.DataFrame.from_dict(lines, "index", columns=list(GROUPS.values())).rename_axis("method"))


@dataclass
class Calibration:
    """The expected calibration error of the three methods of lesson 09, in several experiments."""

    experiments: Mapping[str, Experiment]  # by title

    def rows(self, title: str) -> pd.DataFrame:
        rows = self.experiments[title].rows
        return rows[rows["ECE"].notna()]

    def error(self, title: str, method: str) -> str:
        return f"{results.paired(self.rows(title), metric='ECE')[method].mean:.3f}"

    def change(self, title: str, method: str) -> str:
        return signed(results.paired(self.rows(title), metric="ECE")[method].gained)

    @property
    def picture(self) -> Dots:
        groups = {}
        for title in self.experiments:
            rows = self.rows(title)
            groups[title] = [
                Line(str(method), str(method), own.mean(), own.tolist())
                for method, own in rows.groupby("method", sort=False)["ECE"]
            ]
        return Dots(
            "Expected calibration error: lower is better",
            "ECE: mean large, label splits small",
            groups,
            "Dot plot of the expected calibration error; lower is better.",
            same_scale=True,
        )

    @property
    def table(self) -> str:
        lines = []
        for title in self.experiments:
            for method, one in results.paired(self.rows(title), metric="ECE").items():
                higher = f"{one.wins} of {one.pairs}" if one.pairs else ""
                lines.append([title, method, f"{one.mean:.3f}", signed(one.gained), higher])
        columns = ["experiment", "method", "ECE", "change from supervised", "higher on"]
        return markdown(pd.DataFrame(lines, columns=columns).set_index("experiment"))
