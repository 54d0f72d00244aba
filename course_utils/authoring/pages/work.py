"""What a method costs, what it is worth in labels, and how sure five label splits can make one."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from course_utils import results
from course_utils.authoring.pages.experiments import BASELINE, LARGER, SHOWN, Experiment, in_words
from course_utils.authoring.pages.pictures import Chances, Curves, Dots, Line
from course_utils.authoring.pages.tables import markdown, signed
from course_utils.settings import TAUGHT_STEPS

ROUND_ONE = "self-training, round 1"
IN_CHANCES = (
    BASELINE,
    ROUND_ONE,
    "label propagation, class mass normalised",
    "SGAN",
    "mean teacher",
    "FixMatch",
    "FlexMatch",
    "MixMatch",
)
IN_WORTH = (
    "SGAN",
    "Π-model",
    "mean teacher",
    "FixMatch",
    "FlexMatch, status by prior",
    "MixMatch",
    "committee, not adjusted",
)


@dataclass
class Cost:
    """What the methods' trainings take, in images that go through the network and in seconds on one core."""

    experiment: Experiment
    all_rows: pd.DataFrame  # of the same network and steps, with any number of labels: work does not depend on it

    @cached_property
    def methods(self) -> list[str]:
        return [BASELINE, LARGER, *self.experiment.single()]

    @cached_property
    def table_of(self) -> pd.DataFrame:
        """method -> images, seconds (the fastest run's), mean."""
        images = self.experiment.rows.groupby("method")["images"].mean()[self.methods]
        # not counted in the rows: SGAN's generated images and its generator's steps, MixMatch's second pass, the first network
        images["SGAN"] += TAUGHT_STEPS * (32 + (32 + 32) / 2)
        images["MixMatch"] += TAUGHT_STEPS * 64
        images[ROUND_ONE] += images[BASELINE]
        seconds = self.all_rows.groupby("method")["seconds"].min()[self.methods]
        seconds[ROUND_ONE] += seconds[BASELINE]
        found = self.experiment.paired()
        mean = {method: found[method].mean for method in self.methods}
        return pd.DataFrame({"images": images, "seconds": seconds, "mean": mean}).loc[self.methods]

    def on_front(self, cost: str, mean: Sequence[float] | None = None) -> list[str]:
        """The methods that no other dominates: none is as cheap and as good, and better in one of the two."""
        prices = self.table_of[cost]
        points = list(zip(self.methods, prices, self.table_of["mean"] if mean is None else mean))

        def dominated(price: float, value: float) -> bool:
            return any(p <= price and v >= value and (p < price or v > value) for _, p, v in points)

        return [method for method, price, value in points if not dominated(price, value)]

    def front_in_words(self, cost: str = "images") -> str:
        return in_words(self.on_front(cost))

    @property
    def picture(self) -> Dots:
        table = self.table_of.sort_values(["images", "seconds"])
        single = {method: group for method, group in self.experiment.rows.groupby("method")[self.experiment.metric]}
        front = self.on_front("images")
        lines = [
            Line(
                SHOWN.get(str(method), str(method)),
                str(method),
                line["mean"],
                single[method].tolist(),
                method in front,
                words=(f"{line['images'] / 1000:.0f}", f"{line['seconds']:.0f}"),
            )
            for method, line in table.iterrows()
        ]
        more = self.experiment.paired()["supervised, 2000 labels"].mean
        return Dots(
            f"500 labelled lesions, the cheapest at the top: {len(front)} of {len(table)} are on the front (filled)",
            "macro-F1: mean large, label splits small",
            {"": lines},
            "Macro-F1 of the methods, the cheapest at the top; filled marks are on the front, hollow ones are dominated.",
            ("thousand\nviews", "seconds"),
            {"": {"supervised, 2,000 labels": more}},
            decimals=3,
        )

    @property
    def equal_work(self) -> str:
        """Gains over both baselines."""
        over, control = self.experiment.paired(), self.experiment.paired(baseline=LARGER)
        base = self.table_of["images"][BASELINE]
        lines = {
            SHOWN[method]: [
                f"{self.table_of['images'][method] / base:.0f}",
                signed(over[method].gained),
                signed(control[method].gained),
                control[method].won,
            ]
            for method in self.methods
            if method not in (BASELINE, LARGER)
        }
        columns = ["views, × baseline", "gain over supervised", "gain over equal work", "wins over equal work"]
        return markdown(pd.DataFrame.from_dict(lines, "index", columns=columns).rename_axis("method"))

    @property
    def buys(self) -> str:
        """What a hundred thousand more images, and one more core-minute, bring beyond the baseline."""
        table, found = self.table_of, self.experiment.paired()
        lines = {}
        for method in self.methods[1:]:
            more = table.loc[method] - table.loc[BASELINE]
            per_image, per_minute = (
                signed(f"{found[method].gain / amount:+.3f} ± {found[method].sem / amount:.3f}") if amount > 0.1 else ""
                for amount in (more["images"] / 1e5, more["seconds"] / 60)
            )
            lines[SHOWN[method]] = [f"{table['seconds'][method]:.0f}", per_image, per_minute]
        columns = ["seconds", "gain per 100,000 views more", "gain per minute more"]
        return markdown(pd.DataFrame.from_dict(lines, "index", columns=columns).rename_axis("method"))

    @property
    def splits_on_front(self) -> str:
        """On how many of the label splits each method is on the front."""
        by_split = self.experiment.rows.pivot(index="label_split", columns="method", values=self.experiment.metric)
        fronts = [self.on_front("images", row[self.methods]) for _, row in by_split.iterrows()]
        counts = {SHOWN.get(m, m): sum(m in front for front in fronts) for m in self.methods}
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {count}" for name, count in ordered if count)


@dataclass
class Worth:
    """What a method is worth in labels: with how many more of them plain training scores as much."""

    rows: pd.DataFrame  # of one network and length, with any number of labels
    num_labels: int

    @cached_property
    def means(self) -> dict[str, pd.DataFrame]:
        """metric -> (method, number of labels) -> mean and standard error."""
        groups = self.rows.groupby(["method", "num_labels"])
        return {metric: groups[metric].agg(["mean", "sem"]) for metric in ("AUC", "macro-F1")}

    def needed(self, metric: str, baseline: str, score: float) -> float:
        """With how many labels the baseline reaches the score, interpolated on a logarithmic axis; 0 below its curve, inf above."""
        curve = self.means[metric].loc[baseline]["mean"].cummax()  # where it falls it counts as flat
        return float(np.exp(np.interp(score, curve, np.log(curve.index), left=-np.inf, right=np.inf)))

    def told(self, method: str, metric: str, baseline: str) -> str:
        """From a score that is a standard error lower to one that is as much higher."""
        mean, sem = self.means[metric].loc[(method, self.num_labels)]
        low, high = (self.needed(metric, baseline, mean + step * sem) for step in (-1, 1))
        least, most = self.rows["num_labels"].min(), self.rows["num_labels"].max()
        if np.isinf(low) or high == 0:
            return f"more than {most:,}" if np.isinf(low) else f"fewer than {least:,}"
        end = f"more than {most:,}" if np.isinf(high) else f"{_rounded(high):,}"
        return f"up to {end}" if low == 0 else f"{_rounded(low):,} to {end}"

    def cells(self, metric: str) -> pd.DataFrame:
        """What `told` says of each method and baseline."""
        return pd.DataFrame(
            {
                baseline: {method: self.told(method, metric, baseline) for method in IN_WORTH}
                for baseline in (BASELINE, LARGER)
            }
        )

    def never(self, metric: str) -> list[str]:
        """The baselines that reach none of the scores."""
        cells = self.cells(metric)
        return [str(baseline) for baseline in cells if cells[baseline].str.startswith("more than").all()]

    def table(self, metric: str) -> str:
        """Without a baseline that reaches no score."""
        shown = self.cells(metric).drop(columns=self.never(metric)).add_prefix("labels that ").add_suffix(" needs")
        return markdown(shown.rename_axis(f"as good in {metric} as"))

    def out_of_reach(self, metric: str) -> str:
        """A sentence about those."""
        most = f"{self.rows['num_labels'].max():,}"
        return " ".join(
            f"In {metric} *{name}* reaches none of these scores, not even with {most} labels."
            for name in self.never(metric)
        )

    @property
    def picture(self) -> Curves:
        low = self.told("MixMatch", "AUC", BASELINE)
        return Curves(
            f"In AUC, MixMatch with {self.num_labels} labels ranks as plain training does with {low}",
            self.rows,
            (BASELINE, LARGER, "FixMatch", "MixMatch"),
            ("AUC", "macro-F1"),
            "MixMatch",
            self.num_labels,
        )


def _rounded(number: float) -> int:
    """To two digits that count: more would claim too much."""
    digits = 10 ** max(0, int(np.log10(number)) - 1)
    return int(round(number / digits) * digits)


@dataclass
class Certainty:
    """What five label splits can show, and what they can't."""

    experiment: Experiment

    @cached_property
    def scores(self) -> dict[str, list[float]]:
        """The runs of one method a lesson, best mean first."""
        rows = self.experiment.rows
        runs = {method: rows.loc[rows["method"] == method, self.experiment.metric].tolist() for method in IN_CHANCES}
        return dict(sorted(runs.items(), key=lambda item: -np.mean(item[1])))

    @property
    def picture(self) -> Chances:
        return Chances("How often one run of the line's method beats one run of the column's, macro-F1", self.scores)

    @property
    def reversible(self) -> str:
        """How many pairs of methods can be shown in the wrong order, by one run of each."""
        pairs = list(itertools.combinations(self.scores.values(), 2))
        return f"{sum(max(worse) > min(better) for better, worse in pairs)} of {len(pairs)}"

    @property
    def table(self) -> str:
        """Gain, wins, the exact p-value of flipped signs, and the gain in standard errors."""
        pairs = results.differences(self.experiment.every, BASELINE, self.experiment.metric)
        found = self.experiment.paired()
        methods = ["supervised, another processor", *SHOWN]
        lines = {
            SHOWN.get(method, method): [
                signed(found[method].gained),
                found[method].won,
                f"{sign_flip(pairs[method].to_numpy()):.4f}",
                signed(f"{found[method].gain / found[method].sem:.1f}"),
            ]
            for method in methods
        }
        columns = ["gain in macro-F1", "wins", "sign-flip p", "standard errors"]
        return markdown(pd.DataFrame.from_dict(lines, "index", columns=columns).rename_axis("method"))

    @property
    def smallest(self) -> str:
        return f"{sign_flip(np.ones(self.pairs)):.4f}"

    @property
    def pairs(self) -> int:
        return self.experiment.paired()["FixMatch"].pairs

    def by_chance(self, errors: int) -> str:
        """How often a method that does nothing seems to be so many standard errors from zero, if differences scatter like a bell."""
        return f"{2 * stats.t.sf(errors, df=self.pairs - 1):.0%}".replace("%", " %")


def sign_flip(differences: np.ndarray) -> float:
    """The exact two-sided p-value under exchange within pairs (Fisher 1935, section 21)."""
    halves = [np.add.outer, np.subtract.outer]
    sums = np.zeros(1)
    for d in differences:
        sums = np.concatenate([join(sums, [d]).ravel() for join in halves])
    return float(np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-9))
