"""What the pages of results show: numbers, tables and pictures of the runs that ship with the course.

`vocabulary` names what a template may say; each page has an object of its own, in the module named in brackets: experiments
(experiments.py), cost, labels and certainty (work.py), leakage and calibration (doubts.py), the committee (committees.py), the
original notebook, settings and ablations (origins.py), speed (timing.py). Tables are made in tables.py, pictures in pictures.py.
"""

from typing import Any

import pandas as pd

from course_utils import results
from course_utils.authoring.pages import origins, timing, work
from course_utils.authoring.pages.committees import Committee
from course_utils.authoring.pages.doubts import Calibration, Leakage
from course_utils.authoring.pages.experiments import (
    BASELINE,
    CLEAR,
    LARGER,
    METRIC,
    NAMES,
    SHOWN,
    Experiment,
    in_words,
    majority,
    shipped,
)
from course_utils.authoring.pages.origins import Original, Pieces, Search
from course_utils.authoring.pages.pictures import Dots, Line, Picture, Recalls, drawn_in, note, panel, save
from course_utils.authoring.pages.tables import (
    FEW,
    by_labels,
    by_method,
    folded,
    gains_by,
    gains_table,
    markdown,
    signed,
)
from course_utils.authoring.pages.work import Certainty, Cost, Worth
from course_utils.settings import TAUGHT_LABELS, TAUGHT_STEPS

__all__ = [
    "BASELINE",
    "FEW",
    "LARGER",
    "METRIC",
    "NAMES",
    "SHOWN",
    "Dots",
    "Experiment",
    "Leakage",
    "Line",
    "Picture",
    "Worth",
    "by_labels",
    "by_method",
    "drawn_in",
    "gains_table",
    "in_words",
    "majority",
    "markdown",
    "note",
    "origins",
    "panel",
    "save",
    "timing",
    "vocabulary",
    "work",
]
IN_OVERVIEW = ("pseudo-labels, Lee", "SGAN", "Π-model", "mean teacher", "FixMatch", "FlexMatch", "MixMatch")
IN_NETWORKS = (LARGER, "FixMatch", "MixMatch", "mean teacher, student averaged", "committee, not adjusted")
IN_RECALLS = (BASELINE, "FixMatch", "MixMatch", "committee")
LESIONS = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
VARIANTS = (
    "mean teacher, student evaluated",
    "FixMatch, graph filter",
    "FixMatch, distribution alignment",
    "FlexMatch, status by prior",
    "FreeMatch",
    "SoftMatch",
    "SGAN, vanilla generator",
    "label spreading",
    "label spreading, pseudo-label seeds",
    "label propagation, self-made features",
    "supervised, adjusted by half",
    "supervised, logit adjustment",
)


def vocabulary() -> dict[str, Any]:
    """What a template may say of the results."""
    hundred, some, taught, many = (Experiment("dermamnist", n) for n in (100, 350, TAUGHT_LABELS, 2000))
    few, plenty = (Experiment("digits", n) for n in (40, TAUGHT_LABELS))
    resnet, longer = (
        Experiment("dermamnist", TAUGHT_LABELS, "ResNet", steps) for steps in (TAUGHT_STEPS, 3 * TAUGHT_STEPS)
    )
    lesions = {f"{experiment.num_labels:,} labels": experiment for experiment in (hundred, some, taught, many)}
    elsewhere = lesions | {"ResNet": resnet, "ResNet, 4,800 steps": longer, "digits, 40": few, "digits, 500": plenty}
    of_lesions, larger_networks = shipped("dermamnist"), {"ResNet": resnet, "ResNet, 4,800 steps": longer}
    words = {
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
        "folded": folded,
        "variants": list(VARIANTS),
        "in_networks": list(IN_NETWORKS),
        "cost": Cost(taught, of_lesions),
        "worth": Worth(of_lesions, TAUGHT_LABELS),
        "certainty": Certainty(taught),
        "committee": Committee(taught, elsewhere),
        "leakage": Leakage(taught),
        "calibration": Calibration({"500 lesions": taught, "500 digits": plenty, "ResNet, 4,800 steps": longer}),
        "original": Original(taught),
        "search": Search(),
        "ablations": ablations(taught),
        "ablations_digits": ablations(plenty),
        "by_labels": gains_by_labels(lesions),
        "fixed_steps": fixed_steps(taught),
        "longer": longer_training(resnet, longer),
        "speed": timing.speed(),
        "speed_table": markdown(timing.speed()),
    }
    return words | {"pictures": pictures(words, lesions, larger_networks)}


def ablations(experiment: Experiment) -> dict[str, Pieces]:
    """Methods with a piece exchanged, and the lengths of their trainings."""
    every = experiment.every["method"].unique()

    def steps_of(steps: int, *beginnings: str) -> list[str]:
        return [m for m in every if m.endswith(f", {steps} steps") and m.startswith(beginnings)]

    fixmatch = ("supervised", "tau", "pseudo-label on", "weak only", "mean over")
    return {
        "fixmatch": Pieces(experiment, "FixMatch, 400 steps", steps_of(400, *fixmatch), 400),
        "mixmatch": Pieces(
            experiment,
            "MixMatch, as it was, 600 steps",
            [m for m in steps_of(600, "MixMatch") if "as it was" not in m],
            600,
        ),
        "self_training": Pieces(
            experiment,
            "one round, tau 0.95, 400 steps",
            [m for m in steps_of(400, "one round") if not m.endswith("tau 0.95, 400 steps")],
            400,
        ),
    }


def gains_by_labels(experiments: dict[str, Experiment]) -> dict[str, str]:
    """Tables of gains over either baseline, a column for each number of labels."""
    rows = {name: experiment.every for name, experiment in experiments.items()}
    metric = METRIC["dermamnist"]
    means = {
        name: {method: f"{one.mean:.3f}" for method, one in results.paired(own, BASELINE, metric).items()}
        for name, own in rows.items()
    }
    methods = [BASELINE, *SHOWN, "committee, not adjusted"]
    return {
        "over_supervised": gains_by(rows, methods[1:], metric, BASELINE, SHOWN),
        "over_larger": gains_by(rows, methods[2:], metric, LARGER, SHOWN),
        "in_auc": gains_by(rows, methods[1:], "AUC", BASELINE, SHOWN),
        "means": _of_methods(means, methods),
    }


def _of_methods(columns: dict[str, dict[str, str]], methods: list[str]) -> str:
    table = pd.DataFrame(columns, index=methods).fillna("").rename(index=SHOWN)
    return markdown(table.rename_axis("method"))


def fixed_steps(experiment: Experiment) -> str:
    """The learning curve of the baseline where every training has 500 steps, however many labels there are."""
    lines = {}
    for n in (50, 100, 200, 500, 1000, 2000):
        scores = experiment.every[experiment.every["method"] == f"supervised, {n} labels, 500 steps"]
        lines[f"{n:,}", 500] = [f"{scores[metric].mean():.3f}" for metric in ("AUC", "macro-F1")]
    for n, method in ((500, BASELINE), (2000, "supervised, 2000 labels")):
        scores = experiment.every[experiment.every["method"] == method]
        lines[f"{n:,}", 1600] = [f"{scores[metric].mean():.3f}" for metric in ("AUC", "macro-F1")]
    table = pd.DataFrame(lines, ["AUC", "macro-F1"]).T.rename_axis(["labels", "steps"]).reset_index("steps")
    return markdown(table.assign(steps=table["steps"].map("{:,}".format)))


def longer_training(shorter: Experiment, longer: Experiment) -> dict[str, str]:
    """What three times the steps bring each method by itself, in pairs with the shorter training."""
    lines: dict[str, list[str]] = {}
    for method in (BASELINE, *IN_NETWORKS, "committee", "four supervised networks, not adjusted"):
        for metric in ("AUC", "macro-F1"):
            both = [
                one.every[one.every["method"] == method].assign(method=f"{one.steps} steps")
                for one in (shorter, longer)
            ]
            found = results.paired(pd.concat(both), f"{shorter.steps} steps", metric)[f"{longer.steps} steps"]
            lines.setdefault(SHOWN.get(method, method), []).extend([signed(found.gained), found.won])
    columns = ["AUC gained", "wins", "macro-F1 gained", "wins "]
    return {"table": markdown(pd.DataFrame.from_dict(lines, "index", columns=columns).rename_axis("method"))}


def pictures(
    words: dict[str, Any], lesions: dict[str, Experiment], larger_networks: dict[str, Experiment]
) -> dict[str, Any]:
    """The pictures by the names of their files."""
    taught, few, plenty = words["lesions"], words["digits"], words["digits_500"]
    both = {"accuracy, 40 labelled digits": panel(few), "macro-F1, 500 labelled lesions": panel(taught)}
    digits = {f"accuracy, {one.num_labels} labelled digits": panel(one) for one in (few, plenty)}
    networks = {f"AUC, {name}": panel(one, "AUC") for name, one in {"SimpleCNN": taught, **larger_networks}.items()}
    pieces = words["ablations"]
    return {
        "overview": Picture(
            f"FixMatch: {few.gained('FixMatch')} in accuracy on digits, {taught.gained('FixMatch')} in macro-F1 on lesions",
            both,
            IN_OVERVIEW,
        ),
        "lesions": Picture(
            f"{sum(line.gain > 0 for line in taught.single().values())} of {len(taught.single())} methods gain in the mean, "
            f"{len(taught.clearly_above()) or 'none'} by {CLEAR} standard errors",
            {"macro-F1, 500 labelled lesions": panel(taught)},
        ),
        "recalls": Recalls("Which classes are found, mean of five label splits", taught.rows, IN_RECALLS, LESIONS),
        "digits": Picture(
            f"Digits: FixMatch gains {few.gained('FixMatch')} with 40 labels, {plenty.gained('FixMatch')} with 500",
            digits,
        ),
        "labels": words["worth"].picture,
        "networks": Picture(
            "With the larger network FixMatch falls below the baseline in AUC; the committee stays above",
            networks,
            IN_NETWORKS,
        )
        if _kept(larger_networks["ResNet"])
        else Picture("Gains in AUC by network", networks, IN_NETWORKS),
        "ablations": Dots(
            "FixMatch and MixMatch with a piece exchanged (hollow: as it is)",
            "macro-F1: mean large, label splits small",
            {
                "FixMatch, 400 steps": pieces["fixmatch"].lines,
                "MixMatch as it was, 600 steps": pieces["mixmatch"].lines,
            },
            "Macro-F1 of each variant; hollow: the method as it is.",
        ),
        "cost": words["cost"].picture,
        "committee": words["committee"].picture,
        "leakage": words["leakage"].picture,
        "calibration": words["calibration"].picture,
        "certainty": words["certainty"].picture,
        "original": words["original"].picture,
        "settings": words["search"].picture,
        "speed": timing.SpeedPicture(),
    }


def _kept(resnet: Experiment) -> bool:
    """Whether the title above is true of the runs."""
    lines = resnet.paired("AUC")
    return (
        lines["committee, not adjusted"].gain >= CLEAR * lines["committee, not adjusted"].sem
        and lines["FixMatch"].gain <= -CLEAR * lines["FixMatch"].sem
    )
