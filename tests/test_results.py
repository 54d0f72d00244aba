"""Recording, honest comparison, the reference range."""

import json

import numpy as np
import pandas as pd
import pytest

import course_utils
from course_utils import evaluation, models, results, settings, training
from course_utils.datasets import Split
from course_utils.labels import split_labels


def row(method="supervised", label_split="d0", f1=0.40, steps=1600, md5="x", **more):
    values = dict.fromkeys(evaluation.METRICS, 0.8) | {"macro-F1": f1}
    return {
        "method": method,
        "label_split": label_split,
        "md5": md5,
        "steps": steps,
        "images": 51200,
        "seconds": 10.0,
        "labels": 500,
        "network": "SimpleCNN",
        "num_steps": 1600,
        "seed": 0,
        **values,
        **more,
    }


@pytest.fixture
def recorded_row(digits):
    label_split = split_labels(digits, 100)
    run = training.Run(
        models.new_model(digits), models.new_model(digits), 5, {"loss": [1.0] * 5}, seconds=1.23, images_seen=160
    )
    scores = evaluation.evaluate(run.ema, digits.test)
    return results.record("supervised", digits, label_split, run, scores)


def test_a_row_says_all_that_decides_whether_it_may_be_compared(recorded_row, digits):
    assert recorded_row["method"] == "supervised" and recorded_row["md5"] == digits.md5
    assert recorded_row["split"] == digits.test.name
    assert recorded_row["label_split"] == split_labels(digits, 100).id
    assert (recorded_row["steps"], recorded_row["images"], recorded_row["labels"], recorded_row["seconds"]) == (
        5,
        160,
        100,
        1.2,
    )
    assert recorded_row["network"] == "SimpleCNN" and len(recorded_row["recall"].split()) == 10
    assert recorded_row["parameters"] == models.num_parameters(models.new_model(digits))
    assert set(evaluation.METRICS) <= set(recorded_row) and recorded_row["version"] == course_utils.__version__


def test_recorded_returns_the_latest_run_of_each_method_and_draw(recorded_row, digits):
    path = results.runs_file()
    with path.open("a") as file:
        file.write(json.dumps(recorded_row | {"seconds": 9.9}) + "\n")
        file.write(json.dumps(recorded_row | {"method": "FixMatch"}) + "\n")
        file.write(json.dumps(recorded_row | {"md5": "another file"}) + "\n")
        file.write('{"method": "cut sho')
    rows = results.recorded(digits)
    assert [(r["method"], r["seconds"]) for r in rows] == [("supervised", 9.9), ("FixMatch", 1.2)]
    assert [r["method"] for r in results.recorded(digits, ["FixMatch"])] == ["FixMatch"]


def test_nothing_recorded_is_an_empty_table_with_the_constant_predictor(digits):
    assert results.recorded(digits) == []
    assert list(results.compare([], digits).index) == ["majority class"]


def test_the_constant_predictor_is_scored_on_the_split_of_the_rows(digits):
    answer = np.bincount(digits.train.labels).argmax()
    easy = Split("easy", digits.val.images[:20], np.append(np.arange(10), [answer] * 10))
    assert results.compare([], digits, "ACC", split=easy).loc["majority class", "ACC"] == "0.55"


def test_comparison_of_runs_that_are_alike(digits):
    rows = [
        row(label_split="d0", f1=0.40),
        row(label_split="d1", f1=0.30),
        row("FixMatch", "d0", 0.45),
        row("FixMatch", "d1", 0.33),
    ]
    table = results.compare(rows, digits)
    assert list(table.index) == ["majority class", "supervised", "FixMatch"]
    assert list(table.columns) == ["macro-F1", "gain over supervised", "wins"]
    assert table.loc["supervised"].tolist() == ["0.35", "", ""]
    # paired, the standard error of the mean difference: differences .05 and .03
    assert table.loc["FixMatch"].tolist() == ["0.39", "+0.040 ± 0.010", "2 of 2"]


def test_a_comparison_shows_what_is_asked_for(digits):
    rows = [row(f1=0.40), row("FixMatch", f1=0.45, AUC=0.9), row("MixMatch", f1=0.3, AUC=0.7)]
    table = results.compare(rows, digits, "AUC", ["MixMatch", "supervised", "never run"])
    assert list(table.index) == ["majority class", "MixMatch", "supervised"]
    assert table.loc["MixMatch"].tolist() == ["0.70", "-0.100", "0 of 1"]
    assert list(results.compare(rows, digits, methods=["supervised"])) == ["macro-F1"]  # no empty columns
    full = results.compare(rows, digits, full=True)
    costs = ["runs", "steps", "images", "seconds"]
    assert list(full) == [*evaluation.METRICS, "gain over supervised, macro-F1", "wins", *costs]
    assert full.loc["FixMatch", ["AUC", *costs]].tolist() == ["0.90", "1", "1600", "51200", "10"]
    with pytest.raises(ValueError, match="runs of supervised have no 'F1': metric takes AUC, ACC"):
        results.compare(rows, digits, "F1")


def test_the_best_is_bold_and_the_table_is_the_same_each_time(digits):
    rows = [row(f1=0.404), row("<FixMatch>", f1=0.401), row("MixMatch", f1=0.3)]
    table = results.compare(rows, digits)
    shown = table._repr_html_()
    assert shown == results.compare(rows, digits)._repr_html_() and " id=" not in shown
    assert shown.count("<strong>0.40</strong>") == 2 == shown.count("<strong>")  # as far as one can see they are alike
    assert "&lt;FixMatch&gt;" in shown and "<strong>" not in repr(table)
    assert "<td>0&nbsp;of&nbsp;1</td>" in shown  # one line each
    wide = results.compare(
        [row(), row("A method with a name that is rather long, as some are", f1=0.5)], digits, full=True
    )
    assert "..." not in repr(wide)
    assert "<strong>" not in results.compare([], digits)._repr_html_()  # nothing to be better than
    one = results.compare(rows, digits).loc[["MixMatch", "supervised"]]
    assert one._repr_html_().count("<strong>0.40</strong>") == 1  # a part of a table has a best line of its own


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (row("FixMatch", label_split="d9"), "FixMatch differs in label splits"),
        (row("FixMatch", steps=400), "FixMatch differs in steps"),
        (row("FixMatch", md5="y"), "FixMatch differs in dataset"),
        (row("FixMatch", network="ResNet"), "FixMatch differs in network"),
    ],
)
def test_runs_that_are_not_alike_are_refused_and_named(digits, other, reason):
    with pytest.raises(ValueError, match=reason):
        results.compare([row(), other], digits)
    table = results.compare([row(), other], digits, allow_different=True)
    assert table.loc["FixMatch", "differs in"] == reason.removeprefix("FixMatch differs in ")


def test_the_reference_range_spans_the_reference_runs(monkeypatch, digits):
    rows = [row("FixMatch", f"d{i}", f1) for i, f1 in enumerate((0.40, 0.46, 0.43))]
    monkeypatch.setattr(results, "_shipped", lambda dataset, *settings: rows)
    assert results.reference_range("FixMatch", "macro-F1", digits) == pytest.approx((0.33, 0.53))
    assert (
        results.within("FixMatch", "macro-F1", 0.5, digits)
        == "macro-F1 of FixMatch is inside the reference range 0.33 to 0.53"
    )
    assert results.within("FixMatch", "macro-F1", 0.45, digits) == results.within("FixMatch", "macro-F1", 0.5, digits)
    for outside in (0.32, 0.54, float("nan")):
        assert "OUTSIDE" in results.within("FixMatch", "macro-F1", outside, digits)
    assert "no reference" in results.within("MixMatch", "macro-F1", 0.5, digits)


TRAINING_IMAGES = {"dermamnist": 7007, "digits": 3500}


@pytest.mark.parametrize("name", ["dermamnist", "digits"])
def test_the_shipped_runs_are_complete(name):
    rows = results.read_runs(results.shipped_file(name))
    assert {"supervised", "FixMatch"} <= set(rows["method"]) and rows["stopped"].isna().all()
    assert rows[["md5", "lesson", "version", "torch", "python", "time", "seed", "seconds"]].notna().all(axis=None)
    for chosen, group in rows.groupby(["network", "num_labels", "num_steps", "steps", "method"]):
        same_draw = group["labels"].iloc[0] == TRAINING_IMAGES[name]
        assert group["label_split"].nunique() == (1 if same_draw else 5) and sorted(group["seed"]) == [0, 1, 2, 3, 4], (
            chosen
        )


@pytest.mark.parametrize("method", ["supervised", "FixMatch", "MixMatch"])
def test_calibration_and_unseen_lesions_ship_for_five_draws(method):
    rows = results.read_runs(results.shipped_file("dermamnist"))
    rows = rows[(rows["network"] == "SimpleCNN") & (rows["num_labels"] == 500) & (rows["method"] == method)]
    assert len(rows) == 5 and rows.filter(regex="ECE|unseen").notna().all(axis=None)
    assert rows.filter(regex="ECE|unseen").shape[1] >= 2


def test_reference_gives_the_rows_of_one_budget_network_and_length(monkeypatch, tmp_path, digits):
    monkeypatch.setattr(results, "shipped_file", lambda name: tmp_path / f"{name}.csv")
    assert results.reference(digits) == []
    rows = [row(num_labels=500, label_split="1e23"), row(num_labels=100), row(num_labels=500, network="ResNet")]
    rows += [row(num_labels=500, num_steps=4800, steps=4800)]
    pd.DataFrame(rows).assign(stopped=None).to_csv(tmp_path / "digits.csv", index=False)
    (taught,) = results.reference(digits)
    assert (taught["num_labels"], taught["network"], taught["label_split"], taught["stopped"]) == (
        500,
        "SimpleCNN",
        "1e23",
        None,
    )
    assert [r["labels"] for r in results.reference(digits, 500, "ResNet")] == [500]
    assert results.reference(digits, num_labels=100)[0]["num_labels"] == 100
    assert [r["steps"] for r in results.reference(digits, num_steps=4800)] == [4800]
    assert results.reference(digits, network="ResNet", num_steps=4800) == []


def test_with_settings_that_no_shipped_run_has_those_of_the_lessons_are_shown(monkeypatch, tmp_path, digits, capsys):
    monkeypatch.setattr(results, "shipped_file", lambda name: tmp_path / f"{name}.csv")
    pd.DataFrame([row(num_labels=500, label_split="1e23")]).to_csv(tmp_path / "digits.csv", index=False)
    monkeypatch.setattr(settings, "NUM_STEPS", 150)
    assert [r["num_steps"] for r in results.reference(digits)] == [1600]
    assert "no runs with 500 labels, SimpleCNN and 150 steps" in capsys.readouterr().out
    assert results.reference(digits, num_labels=500) == []  # what is asked for by name is not replaced
    assert "no reference range" in results.within("supervised", "ACC", 0.7, digits)  # which other settings do not give


def test_with_all_labels_runs_are_paired_by_their_seed(recorded_row, digits, monkeypatch):
    """There the label draw is the same for every seed."""
    rows = [row(seed=seed, f1=f1) for seed, f1 in enumerate((0.40, 0.50))]
    rows += [row("FixMatch", seed=seed, f1=f1) for seed, f1 in enumerate((0.41, 0.53))]
    table = results.compare(rows, digits)
    assert table.loc["FixMatch"].tolist()[1:] == ["+0.020 ± 0.010", "2 of 2"]
    monkeypatch.setattr(results, "reference", lambda dataset: rows)
    assert results.gains(["FixMatch"], digits).loc["FixMatch", "macro-F1"] == "+0.020 ± 0.010, 2 of 2"
    results.runs_file().write_text("".join(json.dumps(line) + "\n" for line in rows + rows[:1]))
    assert len(results.recorded(digits)) == 0
    results.runs_file().write_text("".join(json.dumps(line | {"md5": digits.md5}) + "\n" for line in rows + rows[:1]))
    assert [(line["method"], line["seed"]) for line in results.recorded(digits)][-1] == ("supervised", 0)
    assert len(results.recorded(digits)) == 4


def test_gains_are_paired_by_label_split(monkeypatch, digits):
    rows = [row("supervised", f"d{n}", f1) for n, f1 in enumerate((0.40, 0.50, 0.60))]
    rows += [row("FixMatch", f"d{n}", f1) for n, f1 in reversed(list(enumerate((0.43, 0.52, 0.59))))]
    rows += [row("FixMatch", "another label split", 0.99), row("MixMatch", "yet another", 0.99)]
    monkeypatch.setattr(results, "reference", lambda dataset: rows)
    table = results.gains(["FixMatch", "MixMatch", "SGAN"], digits, metrics=("macro-F1",))
    # by hand: differences .03, .02, -.01; mean .04 / 3, standard deviation .02082, divided by the root of 3
    assert (
        table.loc["FixMatch", "macro-F1"] == "+0.013 ± 0.012, 2 of 3" and table.columns.name == "gain over supervised"
    )
    assert set(table["macro-F1"].iloc[1:]) == {"no reference runs"}
    assert results.gains(["supervised"], digits, "FixMatch").loc["supervised"].tolist() == [
        "+0.000 ± 0.000, 0 of 3",
        "-0.013 ± 0.012, 1 of 3",
    ]
    monkeypatch.setattr(results, "reference", lambda dataset: [])
    assert results.gains(["FixMatch"], digits).iloc[0].tolist() == ["no reference runs"] * 2


def test_gains_of_other_settings(monkeypatch, digits):
    of_100 = [row("supervised", f1=0.4), row("FixMatch", f1=0.5)]
    monkeypatch.setattr(results, "reference", lambda dataset, num_labels=500: of_100 if num_labels == 100 else [])
    table = results.gains(["FixMatch", "supervised"], digits, metrics=("macro-F1",), num_labels=100)
    assert table["macro-F1"].tolist() == ["+0.100, 1 of 1", ""]  # one label split has no spread
    assert results.gains(["FixMatch"], digits, metrics=("macro-F1",)).iloc[0, 0] == "no reference runs"


def test_the_one_statistic_by_hand():
    rows = [row("supervised", f"d{n}", f1) for n, f1 in enumerate((0.40, 0.50, 0.60))]
    rows += [row("FixMatch", f"d{n}", f1) for n, f1 in enumerate((0.43, 0.52, 0.59))] + [row("FixMatch", "d9", 0.99)]
    found = results.paired(rows)
    assert list(found) == ["supervised", "FixMatch"]
    own = found["FixMatch"]
    assert (own.n, own.pairs, own.wins) == (4, 3, 2)
    assert own.mean == pytest.approx((0.43 + 0.52 + 0.59 + 0.99) / 4)
    # differences .03, .02, -.01: mean .04 / 3, standard deviation .020817, divided by the root of 3
    assert own.gain == pytest.approx(0.04 / 3) and own.sem == pytest.approx(0.012019, abs=1e-6)
    assert own.against == "+0.013 ± 0.012, 2 of 3" and own.score == "0.633 (0.247)"
    base = found["supervised"]
    assert (base.score, base.against, base.pairs) == ("0.500 (0.100)", "", 0)
    assert results.paired(rows, "MixMatch")["FixMatch"].against == ""  # nothing to be held against
    assert results.paired([*rows[:1], row("FixMatch", "d0", 0.5)])["FixMatch"].against == "+0.100, 1 of 1"
    assert results.paired([]) == {}
    twice = [*rows, row("FixMatch", "d0", 0.40)]  # of two runs of a pair the later one counts
    assert results.paired(twice)["FixMatch"].gain == pytest.approx((0.0 + 0.02 - 0.01) / 3)


def test_the_single_differences(digits):
    rows = [row("supervised", f"d{n}", f1) for n, f1 in enumerate((0.40, 0.50))]
    rows += [
        row("FixMatch", "d1", 0.53),
        row("FixMatch", "d0", 0.39),
        row("FixMatch", "d9", 0.9),
        row("SGAN", "d9", 0.9),
    ]
    found = results.differences(rows)
    assert list(found) == ["FixMatch"]  # the only one with a partner
    assert found["FixMatch"].to_dict() == pytest.approx({("d0", 0): -0.01, ("d1", 0): 0.03})
    assert results.differences(rows, "MixMatch") == results.differences([]) == {}


def test_runs_that_an_older_course_recorded_are_read(recorded_row, digits):
    old = {
        ("draw" if name == "label_split" else name): value for name, value in recorded_row.items() if name != "version"
    }
    results.runs_file().write_text(json.dumps(old) + "\n")
    (found,) = results.recorded(digits)
    assert found["label_split"] == recorded_row["label_split"]


def test_the_recipes_that_were_tried_ship():
    tried = results.recipes()
    assert {"setting", "label_split", *evaluation.METRICS} <= set(tried) and tried["setting"].nunique() > 20
