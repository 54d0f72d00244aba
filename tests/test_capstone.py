"""The capstone of lesson 10: limits that hold, and a test split that is opened once."""

import json
from types import SimpleNamespace

import pytest
from lessons import SOURCES, functions, notebook

from course_utils import results

(LESSON,) = (source for source in SOURCES if source.name.startswith("10"))


@pytest.fixture
def capstone(digits):
    """The names of the lesson's set-up, and of its cells that define `enter` and `final_test`."""
    namespace = functions(LESSON, set())
    for cell in notebook(LESSON).cells:
        if cell.cell_type == "code" and ("def enter(" in cell.source or "def final_test(" in cell.source):
            exec(cell.source, namespace)
    namespace |= {"dataset": digits, "weak": None, "strong": None}
    return namespace


@pytest.mark.parametrize("over", [{"labels": 501}, {"steps": 801}, {"mu": 3}])
def test_more_than_all_have_is_refused_before_anything_is_trained(capstone, over):
    with pytest.raises(ValueError, match="more than 500 labels and 800 steps of 32 \\+ 64 images"):
        capstone["enter"]("greedy", None, 0, **over)
    assert not results.runs_file().exists()


def opening(capstone, monkeypatch):
    """Let every look at the test split give another score; return final_test, and the looks."""
    looks = []

    def evaluate(model, split):
        looks.append(split.name)
        return SimpleNamespace(values={"AUC": 0.5 + 0.1 * len(looks)})

    monkeypatch.setitem(capstone, "evaluation", SimpleNamespace(evaluate=evaluate))
    return lambda: capstone["final_test"]({"mine": [SimpleNamespace(ema=None)] * 2}), looks


def test_the_test_split_is_opened_once(capstone, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    final_test, looks = opening(capstone, monkeypatch)
    first = final_test()
    assert looks == ["test", "test"] and "opening the test split" in capsys.readouterr().out
    assert final_test() == first and len(looks) == 2 and "opened before" in capsys.readouterr().out
    capstone["opened"].clear()  # a new kernel
    assert final_test() == first and len(looks) == 2
    assert json.loads(results.runs_file().with_name("final_test.json").read_text()).keys() == {capstone["dataset"].md5}


def test_among_the_solutions_nothing_is_kept(capstone, monkeypatch):
    monkeypatch.setitem(capstone, "SAVE_PROGRESS", False)
    final_test, looks = opening(capstone, monkeypatch)
    final_test()
    final_test()
    assert len(looks) == 2 and not results.runs_file().with_name("final_test.json").exists()
    capstone["opened"].clear()
    final_test()
    assert len(looks) == 4
