"""The benchmark: jobs that are lessons, files that are whole, resumption, workers elsewhere, shipping."""

import subprocess
import sys
import time

import pandas as pd
import pytest

from course_utils import cli, results
from course_utils.benchmarks import lessons as benchmark

LESSON = """
# %% [markdown]
# # 01 · A lesson that takes seconds

# %%
from course_utils import evaluation, results
from course_utils.settings import NUM_LABELS, NUM_STEPS, SEED
from course_utils.datasets import load_dataset
from course_utils.labels import split_labels
from course_utils.models import new_model
from course_utils.training import Run

# %%
dataset = load_dataset("digits")
label_split = split_labels(dataset, NUM_LABELS, SEED)
run = Run(new_model(dataset, SEED), new_model(dataset, SEED), NUM_STEPS, {"loss": [1.0] * NUM_STEPS})
if SEED == 9:
    raise ValueError("this seed is not liked")
results.record("supervised", dataset, label_split, run, evaluation.evaluate(run.ema, dataset.test))
results.record("chosen", dataset, label_split, run, evaluation.evaluate(run.ema, dataset.val))

# %% tags=["aside"]
beside = results.record("aside", dataset, label_split, run, evaluation.evaluate(run.ema, dataset.test))

# %%
print(beside)

# %%
if NUM_STEPS < 1600:
    raise ValueError("a figure that needs longer runs")
"""
JOB = benchmark.Job("digits", "SimpleCNN", 1600, 40, 3, "01")
JOB_OF_THE_COURSE = ("digits", "SimpleCNN", 1600, 500, 0, "01")


@pytest.fixture(autouse=True)
def a_short_lesson(monkeypatch, tmp_path):
    source = tmp_path / "01_short.py"
    source.write_text(LESSON)
    monkeypatch.setattr(benchmark, "lessons", lambda numbers: [source])
    return source


def test_a_job_runs_the_lesson_with_its_settings_and_keeps_test_rows():
    job, rows, error = benchmark.run(JOB)
    assert job is JOB and error is None
    (row,) = rows
    assert (row["method"], row["labels"], row["num_labels"], row["seed"], row["steps"]) == (
        "supervised",
        40,
        40,
        3,
        1600,
    )
    assert (row["lesson"], row["network"], row["dataset"]) == ("01", "SimpleCNN", "digits")
    assert len(row["recall"].split()) == 10 and row["torch"] and row["python"] and row["md5"]
    # With seven steps the last cell fails: nothing is lost
    _, (row,), _ = benchmark.run(benchmark.Job("digits", "ResNet", 7, 40, 3, "01"))
    assert (row["network"], row["steps"]) == ("ResNet", 7) and row["parameters"] > 300_000


def test_the_taught_settings_run_the_side_experiments_too():
    taught = benchmark.Job(*JOB_OF_THE_COURSE)
    assert [row["method"] for row in benchmark.run(taught)[1]] == ["supervised", "aside"]
    assert taught.code != JOB.code


def test_of_the_file_beside_a_lesson_only_what_is_marked_runs_with_other_settings(
    monkeypatch, tmp_path, a_short_lesson
):
    folder = tmp_path / "asides"
    folder.mkdir()
    (folder / a_short_lesson.name).write_text('# %% tags=["all-settings"]\nalways = 1\n\n# %%\ntaught_only = 1\n')
    monkeypatch.setattr(benchmark, "ASIDES", folder)
    sources = [[cell.source for cell in job.read().cells] for job in (JOB, benchmark.Job(*JOB_OF_THE_COURSE))]
    assert ["always = 1" in cells and "taught_only = 1" in cells for cells in sources] == [False, True]
    assert "always = 1" in sources[0]


def test_a_lesson_that_fails_or_records_nothing_is_an_error_in_words(a_short_lesson):
    _, rows, error = benchmark.run(benchmark.Job("digits", "SimpleCNN", 5, 40, 9, "01"))
    assert rows == [] and "this seed is not liked" in error
    a_short_lesson.write_text(LESSON.replace("results.record", "print").replace("beside = ", ""))
    _, rows, error = benchmark.run(JOB)
    assert rows == [] and "recorded nothing on digits" in error
    a_short_lesson.write_text(LESSON.replace('results.record("chosen"', 'results.record({}["no such run"]'))
    _, rows, error = benchmark.run(JOB)
    assert rows == [] and "a cell that records failed, KeyError" in error and "no such run" in error
    a_short_lesson.write_text(LESSON + "\n# %%\nimport os\nos._exit(1)\n")
    _, rows, error = benchmark.run(JOB)
    assert rows == [] and "the kernel died" in error


def fake_run(job):
    """In place of `run`, in the same process: seed 9 fails."""
    fake_run.calls.append(job)
    if job.seed == 9:
        return job, [], "this seed is not liked"
    row = {"method": "supervised", "dataset": job.dataset, "label_split": f"d{job.seed}", "steps": job.num_steps}
    more = {"network": job.network, "num_labels": job.num_labels, "macro-F1": 0.4, "md5": "x"}
    return job, [row | more], None


@pytest.fixture
def in_process(monkeypatch):
    fake_run.calls = []
    monkeypatch.setattr(benchmark, "run", fake_run)


def test_a_killed_benchmark_goes_on_where_it_stopped(in_process, tmp_path, a_short_lesson):
    todo = benchmark.jobs(["digits"], ["SimpleCNN"], 5, [40, 100], [0, 1, 9], ["01"])
    assert [(job.seed, job.num_labels) for job in todo] == [(0, 40), (0, 100), (1, 40), (1, 100), (9, 40), (9, 100)]
    folder = tmp_path / "out"
    failed = benchmark.benchmark(todo[:2] + todo[4:], folder, 1)
    assert list(failed) == todo[4:] and set(failed.values()) == {"this seed is not liked"}
    todo[2].path(folder).with_suffix(".part").write_text("cut sho")  # killed while it was writing
    fake_run.calls.clear()
    assert list(benchmark.benchmark(todo, folder, 1)) == todo[4:]
    assert fake_run.calls == todo[2:]
    assert len(benchmark.collect(todo, folder)) == 4
    a_short_lesson.write_text(LESSON.replace("# %%\nprint", "# a remark\n\n# %%\nprint"))
    assert len(benchmark.collect(todo, folder)) == 4  # other words only
    a_short_lesson.write_text(LESSON + "\n# %%\n1 + 1\n")  # other code: these results are not its results
    assert len(benchmark.collect(todo, folder)) == 0


def test_kill_and_resume_for_real(tmp_path):
    """The command is killed after the first lesson; the second call runs what is missing, and no more."""
    code = f"""
import sys
from pathlib import Path
from course_utils import cli
from course_utils.benchmarks import lessons as benchmark
benchmark.lessons = lambda numbers: [Path({str(tmp_path / "01_short.py")!r})]
sys.exit(cli.main(["benchmark", "01", "--labels", "40", "50", "60", "--seeds", "0", "--steps", "5", "--datasets", "digits",
                   "--jobs", "1", "--output", {str(tmp_path / "out")!r}]))
"""
    first = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 120
    while not list((tmp_path / "out").glob("*.csv")) and time.time() < deadline:
        time.sleep(0.05)
    first.kill()
    first.wait()
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.csv")}
    assert 1 <= len(done) < 3
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert len(list((tmp_path / "out").glob("*.csv"))) == 3
    assert all(path.stat().st_mtime_ns == written for path, written in done.items())
    assert "supervised" in second.stdout and "nan" not in second.stdout.split("supervised")[0]


def test_a_dask_cluster_runs_the_jobs(tmp_path):
    """A real scheduler and two workers, each a process of its own, on the loopback."""
    from distributed import LocalCluster

    todo = benchmark.jobs(["digits"], ["SimpleCNN"], 5, [40], [0, 1, 2], ["01"])
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        # the workers have a lesson of their own, which says who ran it
        theirs = tmp_path / "workers" / "01_short.py"
        theirs.parent.mkdir()
        theirs.write_text(LESSON.replace('"supervised"', '"by a worker"'))
        cluster.get_client().run(use_lesson, str(theirs))
        assert benchmark.benchmark(todo, tmp_path / "out", 1, scheduler=cluster.scheduler_address) == {}
    rows = benchmark.collect(todo, tmp_path / "out")
    assert sorted(rows["seed"]) == [0, 1, 2] and set(rows["method"]) == {"by a worker"}


def use_lesson(path):
    from pathlib import Path

    from course_utils.benchmarks import lessons as benchmark

    benchmark.lessons = lambda numbers: [Path(path)]


def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, capsys):
    command = ["benchmark", "01", "--datasets", "digits", "--output", str(tmp_path), "--scheduler", "tcp://127.0.0.1:9"]
    assert cli.main(command) == 1
    assert "tcp://127.0.0.1:9" in capsys.readouterr().err


def row(method, label_split, f1, **more):
    settings = {"dataset": "digits", "md5": "x", "lesson": "01", "code": "c", "network": "SimpleCNN"}
    settings |= {"num_labels": 500, "num_steps": 1600}
    return (
        settings
        | {"method": method, "label_split": label_split, "seed": int(label_split[1:]), "steps": 1600, "macro-F1": f1}
        | more
    )


def test_shipping_replaces_runs_with_the_same_settings_and_keeps_the_others(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "shipped_file", lambda name: tmp_path / f"{name}.csv")
    old = [row("supervised", "d0", 0.1), row("FixMatch", "d0", 0.2), row("SGAN", "d0", 0.3)]
    benchmark.ship(pd.DataFrame(old))
    new = [row("FixMatch", "d0", 0.5), row("FixMatch", "d1", 0.6), row("supervised", "d0", 0.7, num_labels=100)]
    new += [row("FixMatch", "d1", 0.9, lesson="09", ECE=0.2)]  # trained by a second lesson, which measures more
    assert benchmark.ship(pd.DataFrame(new)) == [tmp_path / "digits.csv"]
    shipped = results.read_runs(tmp_path / "digits.csv")
    lines = list(zip(shipped["method"], shipped["num_labels"], shipped["label_split"], shipped["macro-F1"]))
    assert lines == [
        ("supervised", 100, "d0", 0.7),
        ("supervised", 500, "d0", 0.1),
        ("FixMatch", 500, "d0", 0.5),
        ("FixMatch", 500, "d1", 0.6),
        ("SGAN", 500, "d0", 0.3),
    ]
    assert shipped["ECE"].dropna().tolist() == [0.2]
    # the first lesson once more: one run came out as before and keeps what lesson 09 measured of it, one did not
    benchmark.ship(pd.DataFrame([row("FixMatch", "d0", 0.5), row("FixMatch", "d1", 0.6)]))
    shipped = results.read_runs(tmp_path / "digits.csv")
    assert shipped["ECE"].dropna().tolist() == [0.2]
    benchmark.ship(pd.DataFrame([row("FixMatch", "d1", 0.61)]))
    shipped = results.read_runs(tmp_path / "digits.csv")
    assert shipped["ECE"].isna().all() and shipped["macro-F1"].tolist() == [0.7, 0.1, 0.5, 0.61, 0.3]
    # longer trainings stand beside, also where a lesson's side experiment has its own number of steps
    benchmark.ship(
        pd.DataFrame([row("SGAN", "d0", 0.4, num_steps=4800), row("SGAN", "d1", 0.4, num_steps=4800, steps=4800)])
    )
    shipped = results.read_runs(tmp_path / "digits.csv")
    of_sgan = shipped[shipped["method"] == "SGAN"]
    assert list(zip(of_sgan["num_steps"], of_sgan["steps"])) == [(1600, 1600), (4800, 1600), (4800, 4800)]
    text = (tmp_path / "digits.csv").read_text()
    benchmark.ship(shipped)
    assert (tmp_path / "digits.csv").read_text() == text  # what is read is what was written


def test_the_table_pairs_by_label_split():
    rows = [row("supervised", "d0", 0.4), row("supervised", "d1", 0.2), row("FixMatch", "d1", 0.3)]
    rows += [row("FixMatch", "d0", 0.46), row("SGAN", "d0", 0.5, num_labels=100)]
    made = benchmark.table(pd.DataFrame(rows))
    assert made.loc["supervised"].tolist() == ["0.300 (0.141)", ""]
    assert made.loc["FixMatch"].tolist() == ["0.380 (0.113); +0.080 ± 0.020, 2 of 2", ""]
    assert made.loc["SGAN"].tolist()[1].startswith("0.500")


def test_all_means_the_whole_training_split():
    assert benchmark.labels_of(["40", "all"], "digits") == [40, 3500]
    with pytest.raises(ValueError, match="neither 'all' nor a number from 1 to 3500"):
        benchmark.labels_of(["many"], "digits")
