"""Whatever a student's function does, a check ends in one line, soon, and harms nothing; and it names the likely cause."""

import random
import signal
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.batches import Batch
from course_utils.check import battery, cards, cases, check, events, runner, verdict
from course_utils.check.battery import none
from course_utils.check.cases import Case, Exercise, Unrecorded, compare, loss_and_logs, returns, slips
from course_utils.check.expect import ANY, Digest, Fix, Part, agree, difference, expect, expect_loss, expect_tuple
from course_utils.check.guard import CHANGES_INPUT, Guarded
from course_utils.check.probe import Probe

TWICE = Exercise(
    "99.1",
    "twice",
    "twice the input",
    observe=returns(Part("the result")),
    cases=[
        Case("of [1, 2]", (torch.tensor([1.0, 2.0]),), [2.0, 4.0]),
        Case("of [3, 5]", (torch.tensor([3.0, 5.0]),), [6.0, 10.0]),
    ],
    mistakes={
        "this is the square": lambda x: x**2,
        "one is added": lambda x: x + 1,
        "always four": lambda x: 0 * x + 4,
    },
    errors={"only integer tensors": "is an index a float?"},
    battery=none("a toy has no battery"),
)


@pytest.fixture(autouse=True)
def lesson_99(monkeypatch):
    """A lesson with one exercise: return twice the input."""
    known = runner.exercises
    monkeypatch.setattr(runner, "exercises", lambda lesson: {"99.1": TWICE} if lesson == "99" else known(lesson))


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
        (lambda x: 2 * x.numpy(), "ok", ""),
        (lambda x: [2 * n for n in x.tolist()], "ok", ""),
        (lambda x: (2 * x).double().requires_grad_(), "ok", ""),
        (unsolved("99.1"), "todo", "not solved yet"),
        (unsolved("98.1"), "todo", "uses a function that is not solved yet (Exercise 98.1)"),
        (unsolved("of mine"), "fix", "it raised NotImplementedError: Exercise of mine"),
        (lambda x: torch.bincount(x / 2), "fix", "it raised NotImplementedError"),  # as torch does for some types
        (lambda x: None, "fix", "is the `return` missing?"),
        (lambda x: x**2, "fix", "this is the square"),
        (lambda x: 2 * x[:1], "fix", "the result of [1, 2] has shape (1,), expected (2,)"),
        (lambda x: 3 * x, "fix", "the result of [1, 2] is [3.0, 6.0], expected [2.0, 4.0]"),
        (lambda x: "4", "fix", "must be a tensor or a number, but is str"),
        (lambda x: {"a": 1}, "fix", "must be a tensor or a number, but is dict"),
        (lambda x: torch.zeros(2)[x], "fix", "is an index a float?"),
        (lambda x: {"a": (2 * x).requires_grad_() * 1}, "fix", "must be a tensor or a number, but is dict"),
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
        Guarded(spoils_its_input)(torch.zeros(2, requires_grad=True))


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


def test_an_import_is_not_cut_off(tmp_path, monkeypatch):
    """Half a module would be left behind, and whatever needs it fails from then on (torch imports sympy when first needed)."""
    (tmp_path / "slow_to_import.py").write_text("sum(range(10**8))\nwhole = True")
    monkeypatch.syspath_prepend(tmp_path)

    def imports(x):
        import slow_to_import

        return 2 * x if slow_to_import.whole else x

    def imports_and_never_ends(x):
        imports(x)
        return endless(x)

    assert verdict("99.1", imports, time_limit=0.3).status == "ok"
    del sys.modules["slow_to_import"]
    assert "did not end" in verdict("99.1", imports_and_never_ends, time_limit=0.3).message


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
    assert len(lines) == 2 + runner.SHOWN_LINES and lines[2] == "line 0"


def test_a_quiet_function_gives_one_line(capsys):
    check("99.1", lambda x: 2 * x)
    assert capsys.readouterr().out == "[ok] Exercise 99.1: twice the input\n"


def test_a_long_verdict_is_broken_between_words(capsys):
    check("99.1", spoils_its_input)
    first, *more = capsys.readouterr().out.splitlines()
    assert len(first) <= cards.LINE and " ".join([first, *more]) == str(verdict("99.1", spoils_its_input))
    assert more


def test_the_students_random_numbers_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    verdict("99.1", lambda x: 2 * x + 0 * torch.rand(2))
    assert torch.equal(torch.rand(2), expected)


def test_arguments_of_every_kind_are_guarded():
    guarded = Guarded(lambda a, b, c: (a.append(1), b.__setitem__(0, 9), c)[2])
    with pytest.raises(Fix, match="changes its input"):
        guarded([0], np.zeros(2), 1.0)
    with pytest.raises(Fix, match="changes its input"):
        Guarded(lambda pair: pair[0].add_(1))((torch.zeros(2), 1))
    assert Guarded(lambda a, b: 5)(torch.zeros(2, requires_grad=True) * 1, b=[1]) == 5


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
            Guarded(change)(argument)
    assert x.tolist() == array.tolist() == pair[0].tolist() == [1, 2] and rows == [1, 2] and table == {"a": 1}


def test_tuples():
    assert expect_tuple([1, 2], ("a", "b")) == (1, 2)
    for wrong, words in ((1, "returned int"), ((1, 2, 3), "returned 3 values")):
        with pytest.raises(Fix, match=words):
            expect_tuple(wrong, ("a", "b"))


def test_an_exercise_that_does_not_exist_is_named_in_one_line(capsys):
    with pytest.raises(KeyError, match="no exercise '98.7'"):
        verdict("98.7", len)
    for number in ("6.9", "98.1", "six", 6.25, None):
        check(number, len)
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"[fix] there is no exercise '{number}'")
    check("6.9", len)
    assert "lesson 06 has 6.1 to 6.6" in capsys.readouterr().out


def test_a_check_without_a_function_says_how_in_one_line(capsys):
    check("6.2")
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "[todo] Exercise 6.2: hand over your function, too: check('6.2', pseudo_label_and_mask)"
    check(6.2, lambda *a: None)  # the number as a number
    assert capsys.readouterr().out.startswith("[fix] Exercise 6.2: it returned None")
    assert len(events.events()) == 1


def test_nan_in_an_array_is_no_change_of_the_input():
    array = np.array([0.5, np.nan])
    assert Guarded(lambda x: x.sum())(array) is not None
    with pytest.raises(Fix, match="changes its input"):
        Guarded(lambda x: x.fill(1.0) or 1.0)(array)


# ------------------------------------------------------------------------------------------------- naming the cause


def test_of_mistakes_that_fit_one_case_the_one_that_fits_most_is_named():
    """4 * x and x + 3 are alike for 1 only."""
    twice = Exercise(
        "99.7",
        "twice",
        "twice",
        returns("the result"),
        none("a toy has no battery"),
        [Case(f"of {n}", (float(n),), 2.0 * n) for n in (1, 2, 5)],
        {"it is multiplied by four": lambda x: 4 * x, "three is added": lambda x: x + 3},
    )
    for wrong, cause in ((lambda x: 3.0 + x, "three is added"), (lambda x: x * 4, "it is multiplied by four")):
        with pytest.raises(Fix, match=cause):
            compare(twice, wrong, {})


def test_a_mistake_that_fits_by_chance_is_not_named():
    """It agrees in one of the values that are wrong, and not in the others."""
    many = Exercise(
        "99.2",
        "same",
        "the same",
        returns("the result"),
        none("a toy has no battery"),
        [Case(f"of {n}", (float(n),), float(n)) for n in range(1, 8)],
        {"always four": lambda x: 4.0},
    )
    with pytest.raises(Fix, match="the result of 1 is 4.0000, expected 1.0000"):
        compare(many, lambda x: 5.0 - x, {})
    with pytest.raises(Fix, match="always four"):
        compare(many, lambda x: 4.0, {})


def test_what_is_remembered_from_an_earlier_call_is_named():
    pi, e = torch.tensor([3.14, 2.71]), torch.tensor([1.41, 1.73])
    exercise = Exercise(
        "99.3",
        "same",
        "the same",
        returns("it"),
        none("a toy has no battery"),
        [Case("of a", (pi,), pi), Case("of b", (e,), e)],
    )
    known = {}
    with pytest.raises(Fix, match="it of b is what it gave of a: does it remember something"):
        compare(exercise, lambda x: known.setdefault(x.shape, x.clone()), {})
    calls = []
    with pytest.raises(Fix, match="tried a second time of a, it gives something else"):
        compare(exercise, lambda x: calls.append(x) or x.clone() * (1 + (len(calls) > 2)), {})
    buffer = torch.empty(2)
    with pytest.raises(Fix, match="what it returned of a was changed by a later call"):
        compare(exercise, lambda x: buffer.copy_(x), {})
    assert compare(exercise, lambda x: x.clone(), {}) is None


def test_numbers_that_make_no_difference_are_named():
    e = torch.tensor([1.41, 1.73])
    cases = [
        Case("of e", (e, 1.0), e),
        Case("doubled", (e, 2.0), 2 * e),
        Case("with one more", (e, 1.0), e + 1, {"more": 1.0}),
    ]

    def of(*chosen: Case) -> Exercise:
        return Exercise("99.5", "scaled", "scaled", returns("it"), none("a toy has no battery"), chosen)

    with pytest.raises(Fix, match="it doubled is what it gave of e: `by` should make a difference"):
        compare(of(*cases), lambda x, by, more=0.0: x + more, {})
    with pytest.raises(Fix, match="it with one more is what it gave of e: `more` should make a difference"):
        compare(of(*cases), lambda x, by, more=0.0: x * by, {})


def test_zero_where_the_value_is_unknown_is_told():
    right = torch.tensor([0.5, torch.nan])
    assert difference(torch.tensor([0.5, 0.0]), right, "it").endswith("the value is unknown, nan")
    assert "unknown" not in difference(torch.tensor([0.4, 0.0]), right, "it")


def test_a_fault_on_the_battery_names_the_input_in_words():
    exercise = Exercise(
        "99.4",
        "double",
        "double",
        returns("it"),
        {**none("a toy"), "one": [Case("for a batch of one image", (torch.ones(1),))]},
        mistakes={"that is the half": lambda x: x / 2},
    )
    right = {"for a batch of one image": {"it": [2.0]}}
    assert compare(exercise, lambda x: x + x, right) is None
    for wrong, words in (
        (lambda x: x / 2, r"that is the half \(for a batch of one image\)"),
        (lambda x: x.squeeze()[0], r"IndexError.*\(for a batch of one image\)"),
        (lambda x: x * 3, "it for a batch of one image is .3.0., expected .2.0."),
    ):
        with pytest.raises(Fix, match=words):
            compare(exercise, wrong, right)
    with pytest.raises(Unrecorded, match="course build"):
        compare(exercise, lambda x: x + x, {})


def test_a_factory_of_mistakes_makes_no_solution():
    @slips
    def doubles(factor=2):
        return lambda x: factor * x

    with pytest.raises(TypeError, match="name the step that is wrong"):
        doubles()
    assert doubles(factor=3)(1) == 3


# ------------------------------------------------------------------------------------------------------------ values


def test_values_agree_up_to_rounding_and_no_further():
    assert agree(1.0, torch.tensor(1.0 + 1e-7)) and not agree(0.1234, 0.12345)
    assert agree(300.0, 300.0001) and not agree(300.0, 300.1)
    assert agree([float("nan"), float("inf")], torch.tensor([float("nan"), float("inf")]))
    assert not agree(1e100, float("inf")) and not agree(float("-inf"), float("inf")) and not agree(0.5, float("nan"))
    assert not agree(float("nan"), 0.0) and not agree([1.0], 1.0) and not agree("1", 1.0)
    assert agree("a", "a") and agree({1: "x"}, {1: "x"}) and not agree({1: "x"}, {1: "y"}) and agree(object(), ANY)


def test_a_digest_stands_for_a_large_array():
    x = battery.uniform(0, 3000)
    digest = Digest.of(x)
    assert agree(x, digest) and agree(x.double() + 1e-8, digest) and not agree(x[:-1], digest)
    for position in (0, 1500, 2999):
        wrong = x.clone()
        wrong[position] += 0.01
        assert not agree(wrong, digest)
    assert not agree(x.flip(0), digest) and not agree(x.half(), digest) and not agree("x", digest)


def test_booleans_are_shown_as_such():
    with pytest.raises(Fix, match=r"it is \[True, False\], expected \[True, True\]"):
        expect(np.array([True, False]), np.array([True, True]), "it")


def test_whole_numbers_are_shown_as_such():
    with pytest.raises(Fix, match=r"it is \[1, -1\], expected \[1, 2\]"):
        expect(torch.tensor([1, -1]), torch.tensor([1, 2]), "it")
    with pytest.raises(Fix, match="it is 3, expected 4"):
        expect(3, 4, "it")


def test_of_a_large_array_the_first_wrong_entry_is_shown():
    wrong = torch.zeros(20, 3)
    wrong[4, 1] = 5
    with pytest.raises(Fix, match=r"it, at \[4, 1\], is 5.0000, expected 0.0000"):
        expect(wrong, torch.zeros(20, 3), "it")


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("float tensor", torch.ones(2), [1.0, 1.0]),
        ("int64 tensor", torch.ones(2).long(), torch.ones(2)),
        ("number", torch.tensor(1.0), torch.tensor(1.0, requires_grad=True)),
        ("integer array", np.ones(2, int), np.ones(2)),
        ("bool array", np.ones(2, bool), np.ones(2)),
    ],
)
def test_kinds_of_values(kind, right, wrong):
    exercise = Exercise(
        "99.5", "one", "one", returns(Part("it", kind)), none("a toy"), [Case("here", (), np.ones(np.shape(right)))]
    )
    assert compare(exercise, lambda: right, {}) is None
    with pytest.raises(Fix, match="the values are right, but it must be|carries a gradient"):
        compare(exercise, lambda: wrong, {})


def test_gradients_are_looked_at():
    z = torch.tensor([1.0, 2.0, 3.0])
    observe = returns("the loss", gradient={0: "the logits"}, constant={1: "detach the target"})
    right = {"the loss": 14.0, "the gradient to the logits": 2 * z}
    exercise = Exercise(
        "99.6", "square", "square", observe, none("a toy"), [Case("of 1, 2, 3", (z, torch.ones(3)), right)]
    )
    assert compare(exercise, lambda x, t: (x * x).sum(), {}) is None
    assert compare(exercise, lambda x, t: (x * x * t.detach()).sum(), {}) is None
    for wrong, words in (
        (lambda x, t: (x * x.detach()).sum(), "the gradient to the logits of 1, 2, 3 is .1.0, 2.0, 3.0."),
        (lambda x, t: (x * x * t).sum(), "detach the target"),
        (lambda x, t: (x * x).sum().detach(), "carries no gradient"),
        (lambda x, t: (x * x).sum().item(), "no .item()"),
    ):
        with pytest.raises(Fix, match=words):
            compare(exercise, wrong, {})


def test_losses_with_logs():
    loss = torch.ones((), requires_grad=True) * 2
    assert expect_loss((loss, {"a": 1.0, "b": torch.tensor(2)}), "a", "b")[0] is loss
    for wrong, words in (
        (loss, "the loss only"),
        (({}, loss), "swapped"),
        ((loss, 3.0), "logs must be a dict"),
        ((loss, {}), "lacks 'a'"),
        ((loss, {"a": loss}), "carries a gradient"),
        ((loss, {"a": torch.ones(3)}), "has shape"),
        ((loss, {"a": "high"}), "must be a number"),
        ((2.0, {"a": 1.0}), "no .item()"),
        ((loss.detach(), {"a": 1.0}), "carries no gradient"),
        ((loss.expand(2), {"a": 1.0}), "a mean is missing"),
        ((loss, {}, 3), "2 values"),
    ):
        with pytest.raises(Fix, match=words):
            expect_loss(wrong, "a")


# ------------------------------------------------------------------------------------------------------- left behind


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(2, 2), nn.BatchNorm1d(2)
        self.register_buffer("aside", torch.zeros(2), persistent=False)

    def forward(self, x):
        return self.norm(self.layer(x))


def _gradient(network):
    network(torch.ones(3, 2)).sum().backward()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda network: network.eval(), "another mode"),
        (lambda network: network.norm.eval(), "another mode"),
        (lambda network: network.double(), "changes the type"),
        (lambda network: network.requires_grad_(False), "what was frozen stays frozen"),
        (_gradient, r"another gradient in the network \(.grad\)"),
        (lambda network: network.layer.weight.data.add_(1), "changes the network's weights"),
        (lambda network: network.aside.add_(1), "changes the network's buffers"),
        (lambda network: network(torch.ones(3, 2)), "changes the network's buffers"),
    ],
)
def test_what_is_left_behind_in_a_network_is_named(act, words):
    with pytest.raises(Fix, match=words):
        Guarded(lambda network: (act(network), 1.0)[1])(Network())


def test_what_an_exercise_is_there_to_change_may_change():
    assert Guarded(lambda n: n.layer.weight.data.add_(1) is not None, ["weights"])(Network())
    assert Guarded(lambda n: n(torch.ones(3, 2)).sum().item() is not None, ["buffers"])(Network())


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: torch.manual_seed(0), "nothing is random here"),
        (lambda: np.random.rand(), "nothing is random here"),
        (lambda: random.random(), "nothing is random here"),
        (lambda: torch.set_default_dtype(torch.float64), "default type"),
        (lambda: np.seterr(all="ignore"), "numpy's warnings"),
        (lambda: torch.set_grad_enabled(False), "gradients switched off"),
    ],
)
def test_what_is_left_behind_in_the_program_is_named_and_undone(act, words):
    before = (
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),
        random.getstate(),
        torch.get_default_dtype(),
        np.geterr(),
    )
    with pytest.raises(Fix, match=words):
        Guarded(lambda x: (act(), x)[1])(torch.ones(1))
    after = torch.get_rng_state(), np.random.get_state()[1], random.getstate(), torch.get_default_dtype(), np.geterr()
    assert torch.equal(before[0], after[0]) and np.array_equal(before[1], after[1]) and before[2:] == after[2:]
    assert torch.is_grad_enabled()


def test_draws_from_another_generator_than_the_one_handed_over_are_named():
    with pytest.raises(Fix, match="draw from `rng`, and from nothing else"):
        Guarded(lambda rng: torch.rand(1))(torch.Generator())
    assert Guarded(lambda rng: torch.rand(1, generator=rng))(torch.Generator()) is not None


# ------------------------------------------------------------------------------------------------------------- Probe


def test_a_probe_tells_the_gradient_of_each_image_in_whichever_pass_it_went():
    x_l, x_s = torch.tensor([[1.0, 0], [0, 2]]), torch.tensor([[3.0, 0], [0, 4], [5, 5]])
    batch = Batch(x_l, torch.tensor([0, 1]), x_s, x_s, torch.arange(3))
    for passes in (lambda m: m(torch.cat([x_l, x_s])).split([2, 3]), lambda m: (m(x_l), m(x_s))):
        model = Probe()
        z_l, z_s = passes(model)
        loss = (z_l * torch.tensor([[1.0, 2], [3, 4]])).sum() + 7 * z_s[1, 1]
        assert model.gradient_to(loss, x_l).tolist() == [[1, 2], [3, 4]]
        assert model.gradient_to(loss, x_s).tolist() == [[0, 0], [0, 7], [0, 0]]
    with pytest.raises(Fix, match="separately"):
        model.expect_joint_pass(batch)
    observe = loss_and_logs("n", of=("x_l",))
    seen = observe(lambda model, batch: (model(batch.x_l).sum(), {"n": 2}), Probe(), batch)
    assert list(seen) == ["the loss", "the gradient to the logits of x_l", "logs['n']", "the logs"]


def test_input_that_is_changed_is_named():
    with pytest.raises(Fix, match="changes its input") as error:
        Guarded(lambda x: x.add_(1))(torch.ones(1))
    assert str(error.value) == CHANGES_INPUT
    with pytest.raises(Fix, match=r"another gradient \(.grad\)"):
        Guarded(lambda x: (x * 2).sum().backward() or 1)(torch.ones(1, requires_grad=True))


def test_every_case_of_an_exercise_is_a_fresh_copy():
    case = Case("here", ([1, 2], Probe()))
    first, _ = case.arguments()
    first.append(3)
    assert case.arguments()[0] == [1, 2] and cases.signature(case)[0] == "list"
