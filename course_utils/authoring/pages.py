"""What the pages of results show: numbers, tables and dot plots of the runs that ship with the course."""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from course_utils import looks, plots, results
from course_utils.benchmarks import lessons as benchmark
from course_utils.results import Paired
from course_utils.settings import TAUGHT_NETWORK, TAUGHT_STEPS

COLUMNS = ["AUC", "ACC", "macro-F1", "balanced ACC"]
METRIC = {"dermamnist": "macro-F1", "digits": "ACC"}  # by which a data set's pages and pictures compare
NAMES = {"AUC": "AUC", "ACC": "accuracy", "macro-F1": "macro-F1", "balanced ACC": "balanced accuracy"}
IN_LESSON_09_ONLY = "committee without|by a quarter"
BASELINE, LARGER = "supervised", "supervised, batches of 160"
CLEAR = 2  # standard errors from the baseline
SPEED = results.shipped_file("speed")
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
IN_OVERVIEW = ("pseudo-labels, Lee", "SGAN", "Π-model", "mean teacher", "FixMatch", "FlexMatch", "MixMatch")
IN_NETWORKS = (LARGER, "FixMatch", "MixMatch", "committee")
WIDEST = 11  # inches of a picture: wider ones are small print on a page


@dataclass
class Experiment:
    """One experiment of the shipped benchmark, and what may be said of it; a method stands with its name in the runs."""

    dataset: str
    num_labels: int
    network: str = TAUGHT_NETWORK
    steps: int = TAUGHT_STEPS
    known: dict[tuple[str, str], dict[str, Paired]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def rows(self) -> pd.DataFrame:
        rows = shipped(self.dataset, self.network, self.steps)
        return rows[rows["num_labels"] == self.num_labels]

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
            self.known[key] = results.paired(self.rows, baseline, key[0])
        return self.known[key]

    def score(self, method: str, metric: str | None = None) -> str:
        """The mean of a method's scores, with three decimals."""
        return f"{self.paired(metric)[method].mean:.3f}"

    def percent(self, method: str, metric: str | None = None) -> str:
        return f"{self.paired(metric)[method].mean:.0%}".replace("%", " %")

    def gain(self, method: str, metric: str | None = None, baseline: str = BASELINE) -> str:
        """Gain over the baseline ± its standard error."""
        line = self.paired(metric, baseline)[method]
        return _signed(f"{line.gain:+.3f} ± {line.sem:.3f}")

    def one(self, column: str) -> str:
        """What all runs have in this column. ValueError where they differ."""
        (value,) = self.rows[column].unique()
        return value

    def single(self, metric: str | None = None) -> dict[str, Paired]:
        """The methods of the dot plots that train one network with unlabelled images."""
        lines = self.paired(metric)
        return {
            method: lines[method]
            for method in SHOWN
            if method in lines and not method.startswith(("supervised", "committee"))
        }

    def gained(self, method: str) -> str:
        """The gain alone, with two decimals."""
        gain = round(self.paired()[method].gain, 2)
        return _signed(f"{gain:+.2f}") if gain else "0.00"

    def best(self) -> str:
        """Of these the one with the highest mean."""
        lines = self.single()
        return max(lines, key=lambda method: lines[method].mean)

    def clearly_above(self) -> list[str]:
        """Those that gain at least two standard errors."""
        return [method for method, line in self.single().items() if line.gain >= CLEAR * line.sem]

    def above(self) -> str:
        """The same, in words."""
        return in_words(self.clearly_above())

    def below(self) -> str:
        return in_words(method for method, line in self.single().items() if line.gain <= -CLEAR * line.sem)

    def undecided(self) -> str:
        return in_words(method for method, line in self.single().items() if abs(line.gain) < CLEAR * line.sem)

    def always(self) -> str:
        """Those that are above the baseline on every label split, in words."""
        return in_words(method for method, line in self.single().items() if line.wins == line.pairs)

    def reaching(self, score: float) -> str:
        return in_words(method for method, line in self.single().items() if line.mean >= score)

    def higher_than(self, other: "Experiment", metric: str) -> str:
        """For how many of the methods that both have this experiment's mean is higher, as the tables round it."""
        own, others = self.paired(metric), other.paired(metric)
        both = own.keys() & others.keys()
        higher = sum(round(own[method].mean, 3) > round(others[method].mean, 3) for method in both)
        return f"{higher} of {len(both)}"

    @cached_property
    def table(self) -> str:
        """All methods that were measured with the baseline's label splits."""
        return markdown(by_method(self.rows).rename_axis("method"))

    def short_table(self) -> str:
        """The methods of the dot plots, best first, by one metric."""
        lines = {method: line for method, line in self.paired().items() if method in {BASELINE, *SHOWN}}
        ordered = sorted(lines, key=lambda method: -lines[method].mean)
        cells = {SHOWN.get(method, method): [lines[method].score, lines[method].against] for method in ordered}
        columns = [NAMES[self.metric], f"minus {BASELINE}"]
        return markdown(pd.DataFrame.from_dict(cells, "index", columns=columns).rename_axis("method"))


def shipped(dataset: str, network: str = TAUGHT_NETWORK, steps: int = TAUGHT_STEPS) -> pd.DataFrame:
    """The shipped runs of one network and length of training, without what only lesson 09 discusses."""
    rows = results.read_runs(results.shipped_file(dataset))
    rows = rows[(rows["network"] == network) & (rows["steps"] == steps) & (rows["num_steps"] == steps)]
    return rows[~rows["method"].str.contains(IN_LESSON_09_ONLY)]


def majority(dataset: str, metric: str) -> str:
    """What always answering the majority class scores on the test split."""
    return f"{pd.read_csv(results.shipped_file('majority_class'), index_col='dataset').loc[dataset, metric]:.3f}"


def in_words(methods: Iterable[str]) -> str:
    """A list of methods as a part of a sentence."""
    names = [SHOWN[method] for method in methods]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "none of them"


def _signed(number: str) -> str:
    """With a true minus sign."""
    return number.replace("-", "\N{MINUS SIGN}")


# ----------------------------------------------------------------------------------------------------------- tables


def markdown(table: pd.DataFrame) -> str:
    """A table of texts as Markdown, with its index as the first column."""
    lines = [[table.index.name, *table.columns], ["---"] * (1 + len(table.columns)), *table.reset_index().to_numpy()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def by_method(rows: pd.DataFrame, baselines: tuple[str, ...] = (BASELINE,)) -> pd.DataFrame:
    """One line for each method that has the first baseline's label splits: mean (sd), and the paired gains in macro-F1 ± error."""
    of_baseline = rows.loc[rows["method"] == baselines[0], "label_split"]
    rows = rows[rows["label_split"].isin(of_baseline)]
    columns = {name: results.paired(rows, baselines[0], name) for name in COLUMNS}
    gains = {baselines[0]: columns["macro-F1"]}
    gains |= {baseline: results.paired(rows, baseline) for baseline in baselines[1:]}
    lines = {
        method: [
            *(columns[name][method].score for name in COLUMNS),
            *(gains[baseline][method].against for baseline in baselines),
        ]
        for method in rows["method"].unique()
    }
    return pd.DataFrame.from_dict(
        lines, "index", columns=[*COLUMNS, *(f"macro-F1 minus {baseline}" for baseline in baselines)]
    )


def by_labels(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One line for each method with several numbers of labels: mean (sd), and the paired gain ± its error."""
    table = benchmark.table(rows[rows["label_split"].isin(rows.loc[rows["method"] == BASELINE, "label_split"])], metric)
    several = table[(table != "").sum(axis=1) > 1].sort_index(axis=1)
    return several.set_axis([f"{num_labels:,} labels" for _, _, num_labels, _ in several], axis=1)


# --------------------------------------------------------------------------------------------------------- pictures


@dataclass
class Picture:
    """A dot plot of gains over the supervised baseline, one panel for each experiment."""

    title: str
    panels: dict[str, Experiment]
    methods: tuple[str, ...] = tuple(SHOWN)

    def lines(self) -> dict[str, dict[str, Paired]]:
        """What is drawn: the methods of each panel, best first in the last one."""
        found = {name: experiment.paired() for name, experiment in self.panels.items()}
        *_, last = found.values()
        order = sorted(self.methods, key=lambda method: -last[method].gain)
        return {name: {method: lines[method] for method in order} for name, lines in found.items()}

    @property
    def alt(self) -> str:
        parts = []
        for name, lines in self.lines().items():
            ordered = sorted(lines.items(), key=lambda item: -item[1].gain)
            said = [f"{SHOWN[method]} {self.panels[name].gained(method)}" for method, _ in ordered]
            parts.append(f"{name}: {', '.join(said)}.")
        return f"Dot plot of gains over the supervised baseline. In {' In '.join(parts)}"

    def draw(self) -> Figure:
        """By `plots.gains`, for which each experiment is a metric of its own."""
        order = [SHOWN[method] for method in next(iter(self.lines().values()))]
        rows = pd.concat(
            experiment.rows[["method", *results.PAIR, experiment.metric]].rename(columns={experiment.metric: name})
            for name, experiment in self.panels.items()
        )
        figure = plots.gains(rows.replace({"method": SHOWN}), order, list(self.panels))
        figure.set_figwidth(min(figure.get_figwidth(), WIDEST))
        for ax in figure.axes:
            ax.locator_params(axis="x", nbins=5)
        plots.head(figure, self.title)
        return figure


class SpeedPicture:
    """Seconds of the three loops, as bars."""

    NAMES = ("as in the original notebook", "this course", "bare forward and backward passes")

    def seconds(self) -> dict[str, list[float]]:
        """By number of threads, for each loop."""
        loops = speed().iloc[: len(self.NAMES)]
        return {threads: [float(cell.removesuffix(" s")) for cell in loops[threads]] for threads in loops}

    @property
    def alt(self) -> str:
        parts = [
            f"{name}, "
            + ", ".join(f"{threads.partition(' (')[0]} {of[i]:.0f} s" for threads, of in self.seconds().items())
            for i, name in enumerate(self.NAMES)
        ]
        return f"Bars of the seconds that a FixMatch training of 1,600 steps takes. {'; '.join(parts)}."

    def draw(self) -> Figure:
        figure, ax = plt.subplots(figsize=(9, 2.6))
        for offset, (threads, seconds) in zip((0.2, -0.2), self.seconds().items()):
            at = [-i + offset for i in range(len(self.NAMES))]
            ax.barh(at, seconds, 0.36, color=looks.CLASSES[0] if offset > 0 else looks.CLASSES[4])
            for y, value in zip(at, seconds):
                ax.text(value, y, f" {value:.0f} s, {threads.partition(' (')[0]}", va="center", fontsize=9)
        ax.set_yticks([-i for i in range(len(self.NAMES))], self.NAMES)
        ax.set(title="1,600 steps of FixMatch", xlabel="seconds", xlim=(0, 1.25 * max(max(self.seconds().values()))))
        return figure


def save(figure: Figure, path: Path, drawn: str) -> None:
    """The figure as a PNG that carries in words what is drawn, by which a test sees that it is not an old one."""
    note = PngInfo()
    note.add_text("Description", json.dumps(drawn))  # ASCII: viewers differ in what they take besides
    with Image.open(io.BytesIO(plots.png(figure))) as image:
        image.save(path, pnginfo=note, optimize=True)


def drawn_in(path: Path) -> str:
    """What a picture says that it shows."""
    with Image.open(path) as image:
        return json.loads(image.info["Description"])


def speed() -> pd.DataFrame:
    """The shipped table of times, as texts."""
    return pd.read_csv(SPEED, index_col="measured", dtype=str).fillna("")


def vocabulary() -> dict[str, Any]:
    """What a template may say of the results."""
    lesions = {f"macro-F1, {n:,} labels": Experiment("dermamnist", n) for n in (100, 500, 2000)}
    digits = {f"accuracy, {n} labelled digits": Experiment("digits", n) for n in (40, 500)}
    resnet, longer = (Experiment("dermamnist", 500, "ResNet", steps) for steps in (TAUGHT_STEPS, 3 * TAUGHT_STEPS))
    (few, plenty), (hundred, taught, many) = digits.values(), lesions.values()
    both = {"accuracy, 40 labelled digits": few, "macro-F1, 500 labelled lesions": taught}
    networks = {"macro-F1, SimpleCNN": taught, "macro-F1, ResNet": resnet, "macro-F1, ResNet, 4,800 steps": longer}
    return {
        "lesions": taught,
        "lesions_100": hundred,
        "lesions_2000": many,
        "digits": few,
        "digits_500": plenty,
        "resnet": resnet,
        "resnet_long": longer,
        "times_as_many": round(resnet.parameters / taught.parameters),
        "names": SHOWN,
        "larger": LARGER,
        "clear": CLEAR,
        "majority": majority,
        "by_labels": {
            dataset: markdown(by_labels(shipped(dataset), metric).rename_axis("method"))
            for dataset, metric in METRIC.items()
        },
        "speed": speed(),
        "speed_table": markdown(speed()),
        "pictures": {
            "overview": Picture(
                f"FixMatch: {few.gained('FixMatch')} in accuracy on digits, {taught.gained('FixMatch')} in macro-F1 on lesions",
                both,
                IN_OVERVIEW,
            ),
            "lesions": Picture(
                f"500 labelled lesions: {len(taught.clearly_above())} of {len(taught.single())} methods clearly gain",
                {"macro-F1, 500 labelled lesions": taught},
            ),
            "digits": Picture(
                f"Digits: FixMatch gains {few.gained('FixMatch')} with 40 labels, {plenty.gained('FixMatch')} with 500",
                digits,
            ),
            "labels": Picture(
                f"Lesions: FixMatch gains {hundred.gained('FixMatch')} with 100 labels, {many.gained('FixMatch')} with 2,000",
                lesions,
            ),
            "networks": Picture(
                f"500 labelled lesions: FixMatch gains {taught.gained('FixMatch')} with the small network, "
                f"{resnet.gained('FixMatch')} with the larger one",
                networks,
                IN_NETWORKS,
            ),
            "speed": SpeedPicture(),
        },
    }
