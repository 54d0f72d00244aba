"""The shipped runs of one experiment, and what may be said of them in a sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from course_utils import results
from course_utils.authoring.pages.tables import folded, gains_table, scores_table, signed
from course_utils.results import Paired
from course_utils.settings import TAUGHT_NETWORK, TAUGHT_STEPS

METRIC = {"dermamnist": "macro-F1", "digits": "ACC"}  # by which a data set's pages and pictures compare
NAMES = {"AUC": "AUC", "ACC": "accuracy", "macro-F1": "macro-F1", "balanced ACC": "balanced accuracy"}
PIECES_OF_COMMITTEE = "committee without|by a quarter"  # they are on a page of their own
BASELINE, LARGER = "supervised", "supervised, batches of 160"
CLEAR = 3  # standard errors from the baseline, the rule of thumb of lesson 01
# One line for each method of the course in the dot plots, by its name in the runs
SHOWN = {
    "supervised, batches of 160": "supervised, larger batches",
    "pseudo-labels, Lee": "pseudo-labels",
    "self-training, round 1": "self-training",
    "label propagation, class mass normalised": "label propagation",
    "SGAN": "SGAN",
    "Π-model": "Π-model",
    "temporal ensembling": "temporal ensembling",
    "mean teacher": "mean teacher",
    "FixMatch": "FixMatch",
    "FlexMatch": "FlexMatch",
    "MixMatch": "MixMatch",
    "committee": "committee of four",
}


@dataclass
class Experiment:
    """One experiment of the shipped benchmark, and what may be said of it; a method stands with its name in the runs."""

    dataset: str
    num_labels: int
    network: str = TAUGHT_NETWORK
    steps: int = TAUGHT_STEPS
    known: dict[tuple[str, str], dict[str, Paired]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def every(self) -> pd.DataFrame:
        """All its rows, those of the committees' pieces and of shorter trainings among them."""
        rows = results.read_runs(results.shipped_file(self.dataset))
        alike = (rows["network"] == self.network) & (rows["num_steps"] == self.steps)
        return rows[alike & (rows["num_labels"] == self.num_labels)]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of whole trainings on all of its labels, without the committees' pieces."""
        rows = self.every[self.every["steps"] == self.steps]
        rows = rows[~rows["method"].str.contains(PIECES_OF_COMMITTEE)]
        return rows[rows["label_split"].isin(rows.loc[rows["method"] == BASELINE, "label_split"])]

    @property
    def parameters(self) -> int:
        """Of the network."""
        return self.rows.loc[self.rows["method"] == BASELINE, "parameters"].iloc[0]

    @property
    def metric(self) -> str:
        return METRIC[self.dataset]

    def paired(self, metric: str | None = None, baseline: str = BASELINE) -> dict[str, Paired]:
        """Every method against the baseline, by the data set's own metric or another; computed once, since pages ask often."""
        key = (metric or self.metric, baseline)
        if key not in self.known:
            self.known[key] = results.paired(self.every, baseline, key[0])
        return self.known[key]

    def score(self, method: str, metric: str | None = None) -> str:
        """The mean of a method's scores, with three decimals."""
        return f"{self.paired(metric)[method].mean:.3f}"

    def percent(self, method: str, metric: str | None = None) -> str:
        return f"{self.paired(metric)[method].mean:.0%}".replace("%", " %")

    def gain(self, method: str, metric: str | None = None, baseline: str = BASELINE) -> str:
        """Gain over the baseline ± its standard error."""
        return signed(self.paired(metric, baseline)[method].gained)

    def wins(self, method: str, metric: str | None = None, baseline: str = BASELINE) -> str:
        return self.paired(metric, baseline)[method].won

    def one(self, column: str) -> str:
        """What all runs have in this column. ValueError where they differ."""
        (value,) = self.rows[column].unique()
        return value

    def versions(self, column: str) -> str:
        """Those with which the runs were made, without the build, in words."""
        return " and ".join(sorted({value.split("+")[0] for value in self.rows[column]}))

    def single(self, metric: str | None = None, baseline: str = BASELINE) -> dict[str, Paired]:
        """The methods of the dot plots that train one network with unlabelled images."""
        lines = self.paired(metric, baseline)
        return {
            method: lines[method]
            for method in SHOWN
            if method in lines and not method.startswith(("supervised", "committee"))
        }

    def gained(self, method: str, metric: str | None = None) -> str:
        """The gain alone, with two decimals."""
        gain = round(self.paired(metric)[method].gain, 2)
        return signed(f"{gain:+.2f}") if gain else "0.00"

    def best(self, metric: str | None = None) -> str:
        """Of these the one with the highest mean."""
        lines = self.single(metric)
        return max(lines, key=lambda method: lines[method].mean)

    def clearly_above(self, metric: str | None = None, baseline: str = BASELINE) -> list[str]:
        """Those that gain at least `CLEAR` standard errors."""
        return [method for method, line in self.single(metric, baseline).items() if line.gain >= CLEAR * line.sem]

    def above(self, metric: str | None = None, baseline: str = BASELINE) -> str:
        """The same, in words."""
        return in_words(self.clearly_above(metric, baseline))

    def below(self, metric: str | None = None, baseline: str = BASELINE) -> str:
        lines = self.single(metric, baseline)
        return in_words(method for method, line in lines.items() if line.gain <= -CLEAR * line.sem)

    def undecided(self, metric: str | None = None, baseline: str = BASELINE) -> str:
        lines = self.single(metric, baseline)
        return in_words(method for method, line in lines.items() if abs(line.gain) < CLEAR * line.sem)

    def always(self, metric: str | None = None, baseline: str = BASELINE) -> str:
        """Those that are above the baseline on every label split, in words."""
        lines = self.single(metric, baseline)
        return in_words(method for method, line in lines.items() if line.wins == line.pairs)

    def reaching(self, score: float) -> str:
        return in_words(method for method, line in self.single().items() if line.mean >= score)

    def table(self, methods: Sequence[str] | None = None, metric: str | None = None, baseline: str = BASELINE) -> str:
        """Method, mean, gain ± error, wins, best first: those named, or the methods of the dot plots by their names there."""
        metric, names = metric or self.metric, {} if methods else SHOWN
        constant = majority(self.dataset, metric)
        return gains_table(self.every, methods or [BASELINE, *SHOWN], metric, baseline, names, constant)

    @cached_property
    def scores(self) -> str:
        """All methods that were measured with the baseline's label splits: their means, folded up."""
        title = f"All lines, all scores: {self.num_labels:,} labels, {self.network}, {self.steps:,} steps"
        return folded(title, scores_table(self.rows))

    def short_table(self) -> str:
        """The methods of the dot plots, best first, by one metric."""
        return self.table()


def shipped(dataset: str, network: str = TAUGHT_NETWORK, steps: int = TAUGHT_STEPS) -> pd.DataFrame:
    """The shipped runs of one network and length of training, without the committees' pieces."""
    rows = results.read_runs(results.shipped_file(dataset))
    rows = rows[(rows["network"] == network) & (rows["steps"] == steps) & (rows["num_steps"] == steps)]
    return rows[~rows["method"].str.contains(PIECES_OF_COMMITTEE)]


def majority(dataset: str, metric: str) -> str:
    """What always answering the majority class scores on the test split."""
    return f"{pd.read_csv(results.shipped_file('majority_class'), index_col='dataset').loc[dataset, metric]:.3f}"


def in_words(methods: Iterable[str]) -> str:
    """A list of methods as a part of a sentence."""
    names = [SHOWN.get(method, method) for method in methods]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "none of them"
