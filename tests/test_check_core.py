"""Whatever a student's function does, a check ends in one line, soon, and harms nothing."""

import signal
import time

import numpy as np
import pytest
import torch
from course_utils.check.core import Fix, exercise, expect, expect_tuple

from course_utils.check import check, core, verdict


@pytest.fixture(autouse=True)
def doubling(monkeypatch):
    """An exercise of lesson 99: return twice the input."""
    monkeypatch.setattr(core, "_registry", {})

    @exercise("99.1", "twice the input")
    def _(student):
        expect(
            student(torch.tensor([1.0, 2.0])), [2.0, 4.0], "twice [1, 2]", wrong=[([1.0, 4.0], "this is the square")]
        )


def endless(x):
    while True:
        pass


def spoils_its_input(x):
    x *= 2
    return x


def calls_itself(x):
    return calls_itself(x)


class Odd:
    @property
    def shape(self):
        raise OSError("odd")

    def __array__(self):
        raise OSError("odd")


def switches_gradients_off(x):
    torch.set_grad_enabled(False)
    return 2 * x


def raises(x):
    wrong = x @ torch.zeros(3)
    return wrong


def unsolved(number):
    def stub(x):
        raise NotImplementedError(f"Exercise {number}")

    return stub


@pytest.mark.parametrize(
    ("function", "status", "message"),
    [
        (lambda x: 2 * x, "ok", "twice the input"),
        (lambda x: np.array([2.0, 4.0]), "ok", ""),
        (lambda x: [2, 4], "ok", ""),
        (lambda x: (2 * x).double().requires_grad_(), "ok", ""),
        (unsolved("99.1"), "todo", "not solved yet"),
        (unsolved("98.1"), "todo", "uses a function that is not solved yet (Exercise 98.1)"),
        (unsolved("of mine"), "fix", "it raised NotImplementedError: Exercise of mine"),
        (lambda x: torch.bincount(x / 2), "fix", "it raised NotImplementedError"),  # as torch does for some types
        (lambda x: None, "fix", "is the `return` missing?"),
        (lambda x: x**2, "fix", "this is the square"),
        (lambda x: 2 * x[:1], "fix", "has shape (1,), expected (2,)"),
        (lambda x: 3 * x, "fix", "twice [1, 2] is [3.0, 6.0], expected [2.0, 4.0]"),
        (lambda x: "4", "fix", "must be a tensor, but is str"),
        (lambda x: {"a": 1}, "fix", "must be a tensor, but is dict"),
        (lambda x: Odd(), "fix", ""),
        (lambda: 1, "fix", "it raised TypeError"),
        (raises, "fix", "(in `wrong = x @ torch.zeros(3)`)"),
        (spoils_its_input, "fix", "it changes its input"),
        (switches_gradients_off, "fix", "leaves gradients switched off"),
        (calls_itself, "fix", "calls itself without end"),
        (lambda x: x * float("nan"), "fix", "nan"),
        (torch.tensor([2.0, 4.0]), "fix", "hand in the function itself"),
        (None, "fix", "hand in the function itself"),
    ],
)
def test_one_line_whatever_it_does(function, status, message):
    result = verdict("99.1", function)
    assert (result.status, "\n" in str(result)) == (status, False) and message in result.message, result


def test_gradients_are_on_again_after_a_check():
    verdict("99.1", switches_gradients_off)
    assert torch.is_grad_enabled()


def test_an_in_place_operation_on_a_leaf_is_named():
    with pytest.raises(Fix, match="changes its input"):
        core.Guarded(spoils_its_input)(torch.zeros(2, requires_grad=True))


def test_an_endless_function_is_stopped():
    start = time.perf_counter()
    result = verdict("99.1", endless, time_limit=0.3)
    assert result.status == "fix" and "did not end within 0.3 seconds" in result.message
    assert time.perf_counter() - start < 3
    assert verdict("99.1", lambda x: 2 * x).status == "ok"  # nothing is left behind


def test_an_endless_function_is_stopped_where_interrupts_are_ignored():
    """So it is in a process that was started in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert "did not end" in verdict("99.1", endless, time_limit=0.3).message
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_stop_button_still_works():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdict("99.1", interrupted)


def test_what_is_printed_comes_after_the_verdict_and_is_cut(capsys):
    def talks(x):
        for i in range(100_000):
            print("line", i)
        return 2 * x

    check("99.1", talks)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[ok] Exercise 99.1: twice the input"
    assert len(lines) == 2 + core.SHOWN_LINES and lines[2] == "line 0"


def test_a_quiet_function_gives_one_line(capsys):
    check("99.1", lambda x: 2 * x)
    assert capsys.readouterr().out == "[ok] Exercise 99.1: twice the input\n"


def test_a_long_verdict_is_broken_between_words(capsys):
    check("99.1", spoils_its_input)
    first, *more = capsys.readouterr().out.splitlines()
    assert len(first) <= core.LINE and " ".join([first, *more]) == str(verdict("99.1", spoils_its_input))
    assert more


def test_the_students_random_numbers_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    verdict("99.1", lambda x: 2 * x + 0 * torch.rand(2))
    assert torch.equal(torch.rand(2), expected)


def test_arguments_of_every_kind_are_guarded():
    guarded = core.Guarded(lambda a, b, c: (a.append(1), b.__setitem__(0, 9), c)[2])
    with pytest.raises(Fix, match="changes its input"):
        guarded([0], np.zeros(2), 1.0)
    with pytest.raises(Fix, match="changes its input"):
        core.Guarded(lambda pair: pair[0].add_(1))((torch.zeros(2), 1))
    assert core.Guarded(lambda a, b: 5)(torch.zeros(2, requires_grad=True) * 1, b=[1]) == 5


@pytest.mark.parametrize("spoil", [lambda x: x.mul_(0), lambda x: x.mul_(0) / "no", lambda x: x.unsqueeze_(0)])
def test_arguments_are_as_before_after_a_function_that_spoils_them(spoil):
    """The checks' numbers stand in their modules: a spoiled one would turn the right answer that comes next into a wrong one."""
    x = torch.tensor([1.0, 2.0])
    array, pair, rows, table = x.numpy().copy(), (x.clone(), 1), [1, 2], {"a": 1}
    for argument, change in (
        (x, spoil),
        (array, lambda a: a.fill(0)),
        (pair, lambda p: p[0].zero_()),
        (rows, list.clear),
        (table, dict.clear),
    ):
        with pytest.raises(Fix):
            core.Guarded(change)(argument)
    assert x.tolist() == array.tolist() == pair[0].tolist() == [1, 2] and rows == [1, 2] and table == {"a": 1}


def test_tuples():
    assert expect_tuple([1, 2], ("a", "b")) == (1, 2)
    for wrong, words in ((1, "returned int"), ((1, 2, 3), "returned 3 values")):
        with pytest.raises(Fix, match=words):
            expect_tuple(wrong, ("a", "b"))


def test_unknown_and_doubled_numbers():
    with pytest.raises(KeyError, match="no check for an exercise '98.7'"):
        verdict("98.7", len)
    with pytest.raises(ValueError, match="two checks with the number 99.1"):

        def other(student): ...

        other.__module__ = "another"
        exercise("99.1", "again")(other)


def test_nan_in_an_array_is_no_change_of_the_input():
    array = np.array([0.5, np.nan])
    assert core.Guarded(lambda x: x.sum())(array) is not None
    with pytest.raises(Fix, match="changes its input"):
        core.Guarded(lambda x: x.fill(1.0) or 1.0)(array)
