"""The batteries: every exercise is tried on inputs of every kind, and mistakes of each kind are noticed, whatever the exercise."""

import random

import numpy as np
import torch
from lessons import answers, each_lesson, exercises, solution
from torch import nn

from course_utils.authoring import recording
from course_utils.check import battery, runner, verdict
from course_utils.check.battery import KINDS
from course_utils.check.cases import RECORDED, Case, signature
from course_utils.check.expect import agree


def tensors(value) -> list:
    """All tensors and arrays among some arguments."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return [value]
    if isinstance(value, tuple | list):
        return [found for part in value for found in tensors(part)]
    if isinstance(value, dict):
        return tensors(tuple(value.values()))
    return []


def whole_numbers(value) -> list[int]:
    return [part for part in value if isinstance(part, int) and not isinstance(part, bool)]


def floats(arguments) -> list:
    return [torch.as_tensor(x) for x in tensors(arguments) if torch.as_tensor(x).is_floating_point()]


def contiguous(x) -> bool:
    return x.is_contiguous() if isinstance(x, torch.Tensor) else x.flags.c_contiguous


# What has to hold of the arguments of at least one case of a kind, where it can be told from them
TOLD = {
    "one": lambda args: any(len(x) == 1 for x in tensors(args) if x.ndim) or 1 in whole_numbers(args),
    "extremes": lambda args: any((x.abs() >= 90).any() or (x == 0).any() for x in floats(args)),
    "sizes": lambda args: (
        any(max(x.shape, default=0) > 256 for x in tensors(args)) or max(whole_numbers(args), default=0) > 2048
    ),
    "layout": lambda args: any(not contiguous(x) for x in tensors(args)),
}


@exercises
def test_every_kind_is_there_or_its_absence_has_a_reason(source, number):
    exercise = runner.find(number)
    assert set(exercise.battery) == set(KINDS)
    for kind, content in exercise.battery.items():
        assert len(content.split()) >= 4 if isinstance(content, str) else content, kind


@exercises
def test_cases_are_of_the_kind_that_they_stand_under(source, number):
    exercise = runner.find(number)
    for kind, told in TOLD.items():
        content = exercise.battery[kind]
        cases = [] if isinstance(content, str) else [one for one in content if isinstance(one, Case)]
        assert not cases or any(told(case.arguments()) for case in cases), (
            f"no case of the kind {kind!r}: {KINDS[kind]}"
        )


@exercises
def test_cases_have_names_of_their_own(source, number):
    names = [case.what for case in runner.find(number).all_cases]
    assert len(set(names)) == len(names)
    assert all(
        one.right is RECORDED for kind in runner.find(number).battery.values() for one in kind if isinstance(one, Case)
    )


@exercises
def test_a_function_that_remembers_by_shape_is_tried_on_two_cases_alike(source, number):
    shapes = [signature(case) for case in runner.find(number).all_cases]
    assert not shapes or any(shapes.count(shape) > 1 for shape in shapes)


@each_lesson
def test_what_is_recorded_is_what_the_solutions_give(source):
    recorded = battery.recorded(source.name[:2])
    fresh = recording.values(source)
    assert {n: list(cases) for n, cases in recorded.items()} == {n: list(cases) for n, cases in fresh.items() if cases}
    for number, cases in recorded.items():
        for what, parts in cases.items():
            assert list(parts) == list(fresh[number][what])
            for name, value in parts.items():
                assert agree(fresh[number][what][name], value, 1e-6), (
                    f"{number}, {name} {what}: course build {source.name[:2]}"
                )


# ------------------------------------------------------------------------------------- mistakes of a kind, on every exercise


def on_results(change):
    """Answers whose floating-point results are changed."""

    def wrong(function):
        def answer(*args, **options):
            return _changed(function(*args, **options), change)

        return answer

    return wrong


def _changed(value, change):
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return change(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return change(torch.from_numpy(value.copy())).numpy()
    if isinstance(value, float):
        return change(torch.tensor(value, dtype=torch.float64)).item()
    if type(value) in (tuple, list):
        return type(value)(_changed(part, change) for part in value)
    return value


def by_shape(function):
    """Remembers what it gave for inputs of these shapes."""
    known = {}

    def answer(*args, **options):
        key = repr([tuple(x.shape) if hasattr(x, "shape") else type(x) for x in args])
        if key not in known:
            known[key] = function(*args, **options)
        return known[key]

    return answer


def one_buffer(function):
    """Returns the same tensor each time, with other numbers in it."""
    known = {}

    def answer(*args, **options):
        result = function(*args, **options)
        parts = [result] if not isinstance(result, tuple) else list(result)
        for i, part in enumerate(parts):
            if isinstance(part, torch.Tensor) and not part.requires_grad:
                buffer = known.setdefault((i, part.shape, part.dtype), torch.empty_like(part))
                parts[i] = buffer.copy_(part)
            elif isinstance(part, np.ndarray):
                buffer = known.setdefault((i, part.shape, part.dtype.str), np.empty_like(part))
                buffer[...] = part
                parts[i] = buffer
        return tuple(parts) if isinstance(result, tuple) else parts[0]

    return answer


def before(act):
    def wrong(function):
        def answer(*args, **options):
            act(args)
            return function(*args, **options)

        return answer

    return wrong


def after(act):
    def wrong(function):
        def answer(*args, **options):
            result = function(*args, **options)
            act(args)
            return result

        return answer

    return wrong


def on_networks(act):
    return lambda args: [act(x) for x in args if isinstance(x, nn.Module)]


def _zero_grads(network):
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)


def _rounded(x):
    return x + ((x * 1000).round() / 1000 - x).detach() if x.requires_grad else (x * 1000).round() / 1000


def _half(x):
    return x + (x.half().to(x.dtype) - x).detach() if x.requires_grad else x.half().to(x.dtype)


def only_contiguous(function):
    def answer(*args, **options):
        if not all(contiguous(x) for x in tensors(args)):
            raise RuntimeError("view size is not compatible with input tensor's size and stride")
        return function(*args, **options)

    return answer


def never_one(function):
    def answer(*args, **options):
        if any(len(x) == 1 for x in tensors(args) if x.ndim):
            raise IndexError("Dimension out of range")
        return function(*args, **options)

    return answer


def overflow(function):
    """nan where an exponential overflows."""

    def answer(*args, **options):
        large = any((x.abs() > 88).any() for x in floats(args))
        result = function(*args, **options)
        return _changed(result, lambda x: x * float("nan")) if large else result

    return answer


def no_more_than(limit):
    """Forgets what comes after so many images."""

    def wrong(function):
        def answer(*args, **options):
            if any(len(x) > limit for x in tensors(args) if x.ndim):
                raise MemoryError("too many")
            return function(*args, **options)

        return answer

    return wrong


def twice_the_gradient(x):
    return x + x - x.detach() if x.requires_grad else x


def half_the_gradient(x):
    return (x + x.detach()) / 2 if x.requires_grad else x


def is_fractional(x) -> bool:
    x = torch.as_tensor(x)
    return x.is_floating_point() and bool((x.detach().nan_to_num() * 1000 % 1).gt(0.01).any())


def of_kind(kind):
    """A mistake that shows on inputs of this kind: on every exercise that has them."""
    return lambda exercise, seen: not isinstance(exercise.battery[kind], str)


def with_results(exercise, seen):
    return any(
        is_fractional(x)
        for _, result in seen
        for x in [*tensors(result), *(x for x in [result] if isinstance(x, float))]
    )


def with_buffers(exercise, seen):
    return any(isinstance(x, np.ndarray) or not x.requires_grad for _, result in seen for x in tensors(result))


def with_logs(exercise, seen):
    return any(isinstance(part, dict) for _, result in seen if isinstance(result, tuple) for part in result)


def one_dict(f):
    """All calls return the same dict of logs."""
    kept = {}

    def answer(*args, **options):
        return tuple(kept.update(part) or kept if isinstance(part, dict) else part for part in f(*args, **options))

    return answer


def with_networks(exercise, seen):
    return any(isinstance(x, nn.Module) for args, _ in seen for x in args)


def always(exercise, seen):
    return True


# name: (what makes the mistake of a right answer, on which exercises it has to be noticed)
MISTAKES = {
    "rounded to three places": (on_results(_rounded), with_results),
    "half precision": (on_results(_half), with_results),
    "remembers by shape": (by_shape, always),
    "one buffer for all results": (one_buffer, with_buffers),
    "one dict of logs for all calls": (one_dict, with_logs),
    "seeds torch": (before(lambda args: torch.manual_seed(0)), always),
    "seeds numpy": (before(lambda args: np.random.seed(0)), always),
    "seeds random": (before(lambda args: random.seed(0)), always),
    "changes the default type": (after(lambda args: torch.set_default_dtype(torch.float64)), always),
    "switches gradients off": (after(lambda args: torch.set_grad_enabled(False)), always),
    "leaves the network in another mode": (
        after(on_networks(lambda network: network.train(not network.training))),
        with_networks,
    ),
    "leaves the network in float64": (after(on_networks(lambda network: network.double())), with_networks),
    "freezes the network": (after(on_networks(lambda network: network.requires_grad_(False))), with_networks),
    "zeroes gradients": (after(on_networks(_zero_grads)), with_networks),
    "twice the gradient": (on_results(twice_the_gradient), of_kind("gradient")),
    "half the gradient": (on_results(half_the_gradient), of_kind("gradient")),
    "contiguous inputs only": (only_contiguous, of_kind("layout")),
    "never a batch of one": (never_one, of_kind("one")),
    "overflows": (overflow, of_kind("extremes")),
    "at most 256": (no_more_than(256), of_kind("sizes")),
}


def calls(function, seen: list):
    """The function; `seen` gets the arguments and the result of every call."""

    def answer(*args, **options):
        result = function(*args, **options)
        seen.append((args, result))
        return result

    return answer


@exercises
def test_mistakes_of_each_kind_are_noticed(source, number):
    """A right answer with a mistake around it is rejected, wherever the exercise has something to which it could happen."""
    exercise, seen = runner.find(number), []
    own = solution(exercise)
    assert verdict(number, calls(own, seen)).status == "ok"
    here = [name for name, (_, concerns) in MISTAKES.items() if concerns(exercise, seen)]
    passed = {name for name in here if verdict(number, MISTAKES[name][0](own), diagnose=False).status == "ok"}
    # (mistake, exercise) that cannot be noticed, and why
    unnoticed = getattr(answers(source), "UNNOTICED", {})
    assert passed == {mistake for mistake, other in unnoticed if other == number}
