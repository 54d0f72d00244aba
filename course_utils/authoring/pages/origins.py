"""Where recipes come from: the original notebook's table, the search of the settings, and methods with a piece exchanged."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from course_utils import results
from course_utils.authoring.pages.experiments import BASELINE, Experiment, majority
from course_utils.authoring.pages.pictures import Dots, Line
from course_utils.authoring.pages.tables import folded, markdown, signed

# ------------------------------------------------------------------------------------------- the original notebook

PUBLISHED = {  # its closing table: AUC, accuracy, macro-F1
    "supervised": (0.824, 0.489, 0.234),
    "pseudo-labelling, round 1": (0.805, 0.547, 0.290),
    "pseudo-labelling, round 2": (0.845, 0.586, 0.308),
    "pseudo-labelling, round 3": (0.852, 0.585, 0.295),
    "pseudo-labelling, round 4": (0.846, 0.598, 0.289),
    "pseudo-labelling, round 5": (0.844, 0.605, 0.301),
    "label propagation": (0.505, 0.367, 0.355),
    "SGAN": (0.832, 0.482, 0.297),
    "FixMatch": (0.825, 0.675, 0.360),
    "FlexMatch": (0.824, 0.678, 0.318),
    "MixMatch": (0.793, 0.671, 0.149),
}
OURS = {"label propagation": "label propagation, class mass normalised"} | {
    f"pseudo-labelling, round {n}": f"self-training, round {n}" for n in range(1, 6)
}
RECIPES = {  # its recipes, run by the course: from which published line, and with what they are compared
    "supervised, original 350 balanced": ("supervised", BASELINE),
    "supervised, original recipe": ("", BASELINE),  # the table has no such line
    "FixMatch, original recipe": ("FixMatch", "FixMatch"),
    "FlexMatch, original recipe": ("FlexMatch", "FlexMatch"),
    "MixMatch, original recipe": ("MixMatch", "MixMatch"),
}


@dataclass
class Original:
    """The original notebook's table beside the course's runs."""

    experiment: Experiment

    @cached_property
    def means(self) -> pd.DataFrame:
        return self.experiment.every.groupby("method")[["AUC", "ACC", "macro-F1"]].mean()

    @property
    def picture(self) -> Dots:
        groups = {}
        for place, metric in ((1, "ACC"), (2, "macro-F1")):
            groups[metric] = [
                Line(name, OURS.get(name, name), self.means.loc[OURS.get(name, name), metric], other=row[place])
                for name, row in PUBLISHED.items()
                if not name.startswith("pseudo") or name.endswith("5")
            ]
        constant = {metric: {"majority class": float(majority(self.experiment.dataset, metric))} for metric in groups}
        return Dots(
            "The published table (hollow) and our runs of the same methods (filled)",
            "hollow: published, one run; filled: ours, mean of five label splits",
            groups,
            "The published score (hollow) and ours (filled) of each method.",
            strokes=constant,
            side_by_side=True,
        )

    @property
    def table(self) -> str:
        lines = {}
        for name, (_, accuracy, f1) in PUBLISHED.items():
            own = self.means.loc[OURS.get(name, name)]
            lines[name] = [f"{accuracy:.3f}", f"{own['ACC']:.3f}", f"{f1:.3f}", f"{own['macro-F1']:.3f}"]
        columns = ["accuracy, published", "ours", "macro-F1, published", "ours "]
        return markdown(pd.DataFrame.from_dict(lines, "index", columns=columns).rename_axis("method"))

    @property
    def recipes(self) -> str:
        lines = {}
        for recipe, (line, method) in RECIPES.items():
            published, own = self.published(line) if line else "", self.means["macro-F1"]
            lines[recipe] = [published, f"{own[recipe]:.3f}", f"{own[method]:.3f}"]
        columns = ["macro-F1, published", "its recipe, five label splits", "the course's recipe"]
        return markdown(pd.DataFrame.from_dict(lines, "index", columns=columns).rename_axis("recipe"))

    def published(self, name: str) -> str:
        """The macro-F1 of a line."""
        return f"{PUBLISHED[name][2]:.3f}"

    def mean(self, method: str, metric: str = "macro-F1") -> str:
        return f"{self.means.loc[method, metric]:.3f}"


# ------------------------------------------------------------------------------------------------- the settings

CHOSEN = {  # the settings of the lessons' recipes, by their names in the search
    "supervised, strong views",
    "supervised, strong views, adjusted by half",
    "FixMatch, tau .95",
    "MixMatch, weak views, lambda_u 10, adjusted by half",
    "self-training, round 1",
    "label propagation",
    "label propagation, CMN, half strength",
    "label spreading, alpha .9",
    "SGAN, two passes",
    "mean teacher, weak labelled views, weight 10",
    "committee, strength .25",
    "SoftMatch, uniform alignment",
    "FreeMatch, no fairness",
}
MOST_SEARCHED = ("supervised", "FixMatch", "MixMatch", "committee")


class Search:
    """The cross-validation by which the recipes were chosen: inside 500 labels, on label splits that no page shows."""

    @cached_property
    def rows(self) -> pd.DataFrame:
        return results.recipes().assign(method=lambda rows: rows["setting"].str.partition(",")[0])

    @cached_property
    def tried(self) -> pd.DataFrame:
        """setting -> means, and the number of label splits."""
        groups = self.rows.groupby("setting", sort=False)
        means = groups[["AUC", "ACC", "macro-F1", "balanced ACC"]].mean()
        return means.assign(method=groups["method"].first(), splits=groups.size())

    @property
    def picture(self) -> Dots:
        groups = {
            method: [
                Line(
                    str(setting).removeprefix(f"{method}, "),
                    method,
                    line["macro-F1"],
                    self.rows.loc[self.rows["setting"] == setting, "macro-F1"].tolist(),
                    setting in CHOSEN,
                )
                for setting, line in self.tried[self.tried["method"] == method].iterrows()
            ]
            for method in MOST_SEARCHED
        }
        return Dots(
            "The settings that were searched the most, inside the labels: chosen ones are filled",
            "macro-F1 on held-out labels: mean large, label splits small",
            groups,
            "Cross-validated macro-F1 of each setting; filled: chosen, hollow: not.",
        )

    def num_settings(self, method: str) -> int:
        return int((self.tried["method"] == method).sum())

    @property
    def table(self) -> str:
        """Method by method: how many settings were tried, and which was taken."""
        lines = {}
        for method, settings in self.tried.groupby("method", sort=False):
            taken = [str(setting).removeprefix(f"{method}, ") for setting in settings.index if setting in CHOSEN]
            splits = sorted(settings["splits"].unique())
            lines[method] = [len(settings), " or ".join(map(str, splits)), "; ".join(taken) or "see its lesson"]
        columns = ["settings", "label splits each", "taken"]
        return markdown(pd.DataFrame.from_dict(lines, "index", columns=columns).rename_axis("method"))

    @property
    def every(self) -> str:
        shown = self.tried.assign(splits=self.tried["splits"].map(str))
        for metric in ("AUC", "ACC", "macro-F1"):
            shown[metric] = shown[metric].map(lambda value: f"{value:.3f}")
        shown = shown.rename(columns={"splits": "label splits"}).rename_axis("setting")
        return folded("Every setting", markdown(shown[["AUC", "ACC", "macro-F1", "label splits"]]))


# ------------------------------------------------------------------------------------------------ pieces exchanged


@dataclass
class Pieces:
    """Variants of a method against the method itself, in runs of one length."""

    experiment: Experiment
    baseline: str
    methods: Sequence[str]
    steps: int

    def gain(self, piece: str) -> str:
        """What a variant has above the method as it is."""
        found = results.paired(self.experiment.every, self.baseline, self.experiment.metric)
        (line,) = (one for method, one in found.items() if method in self.methods and self.short(method) == piece)
        return signed(line.gained)

    def short(self, method: str) -> str:
        return method.removesuffix(f", {self.steps} steps").removeprefix("MixMatch, ").removeprefix("one round, ")

    @property
    def table(self) -> str:
        found = results.paired(self.experiment.every, self.baseline, self.experiment.metric)
        shown = sorted([self.baseline, *self.methods], key=lambda method: -found[method].mean)
        lines = {
            self.short(method): [f"{found[method].mean:.3f}", signed(found[method].gained), found[method].won]
            for method in shown
        }
        columns = [self.experiment.metric, f"minus {self.short(self.baseline)}", "wins"]
        return markdown(pd.DataFrame.from_dict(lines, "index", columns=columns).rename_axis("run"))

    @property
    def lines(self) -> list[Line]:
        every = self.experiment.every
        found = []
        for method in (self.baseline, *self.methods):
            own = every.loc[every["method"] == method, self.experiment.metric]
            look = method if method.startswith(BASELINE) else self.baseline
            found.append(Line(self.short(method), look, own.mean(), own.tolist(), method != self.baseline))
        return found
