"""A check as data: cases with their right values, and the mistakes that people make, as functions.

An exercise is checked on *cases*, whose right values were computed by hand, and on a *battery* (battery.py), whose right
values were recorded from the proved solution. A *mistake* is a function with the mistake in it, and the cause in words. Where
the student's function is wrong, the mistakes are run on the same inputs: of those that do what the student's function did,
the one that does so in most cases names the cause. The tests run every mistake as an answer: it has to be rejected, with
its own cause.
"""

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from course_utils.check.expect import (
    TOLERANCE,
    Fix,
    Part,
    agree,
    difference,
    expect_differentiable,
    expect_kind,
    expect_loss,
    expect_tuple,
    gradients,
    numbers,
)
from course_utils.check.guard import Guarded

Seen = dict[str, Any]  # what came of a call, by the name of the part; a Fix in it is a fault that has been put into words
Observe = Callable[..., Seen]  # (function, *inputs, **options) -> Seen
Rule = Callable[[Guarded], None]  # raises Fix
Recorded = Mapping[str, Seen]  # the right values of the battery, by the case's `what`


class Unrecorded(LookupError):
    """A case of a battery is new, and the course has not been built since."""


class _Recorded:
    def __repr__(self) -> str:
        return "RECORDED"


RECORDED = _Recorded()  # the right values are those that the proved solution gave when the course was built


@dataclass(frozen=True)
class Case:
    """One input and what is right for it.

    `what` ends the sentence "the loss ... is 1, expected 2" and names the input: "for a batch of one image". `inputs` are the
    arguments, or a function that makes them anew; `right` is one value for each part that the function returns, in their order
    (for a single part the value alone), or a dict that names parts.
    """

    what: str
    inputs: tuple | Callable[[], tuple]
    right: Any = RECORDED
    options: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = TOLERANCE

    def arguments(self) -> tuple:
        return self.inputs() if callable(self.inputs) else copy.deepcopy(self.inputs)

    def expected(self, seen: Seen, recorded: Recorded) -> Seen:
        """The right values by the name of the part."""
        if self.right is RECORDED:
            if self.what not in recorded:
                raise Unrecorded(f"the case {self.what!r} has no recorded right value yet: course build records it")
            return recorded[self.what]
        if isinstance(self.right, dict):
            return self.right
        values = self.right if isinstance(self.right, tuple) else (self.right,)
        return dict(zip(seen, values))


class Mistake(NamedTuple):
    """A function with a mistake in it, and the cause that its author should read."""

    function: Callable
    cause: str


@dataclass(frozen=True)
class Exercise:
    """The check of one exercise.

    `name` is the function that the student writes, `title` the line that says [ok]. `observe` calls the function and says what
    came of it. `mistakes` maps causes to the function, or the functions, with this mistake. `battery` has for each of
    battery.KINDS its cases or rules, or the reason why the contract has none. `rules` look at what no value tells. `errors` maps a part of an error's message to the likely cause. `changes` is what the function is
    there to change in a network (keys of guard.TRACES). `why` is one sentence for whoever has solved it: what it is good for.
    """

    number: str
    name: str
    title: str
    observe: Observe
    battery: Mapping[str, Sequence[Case | Rule] | str]
    cases: Sequence[Case] = ()
    mistakes: Mapping[str, Callable | tuple[Callable, ...]] = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    why: str = ""
    _of_mistakes: dict[tuple[int, int], Seen] = field(default_factory=dict, repr=False, compare=False)

    @property
    def all_cases(self) -> list[Case]:
        return [*self.cases, *(one for one in self._battery() if isinstance(one, Case))]

    @property
    def all_mistakes(self) -> list[Mistake]:
        made = {cause: f if isinstance(f, tuple) else (f,) for cause, f in self.mistakes.items()}
        return [Mistake(function, cause) for cause, functions in made.items() for function in functions]

    @property
    def all_rules(self) -> list[Rule]:
        return [*self.rules, *(one for one in self._battery() if not isinstance(one, Case))]

    def _battery(self) -> list[Case | Rule]:
        return [one for kind in self.battery.values() if not isinstance(kind, str) for one in kind]

    def outcome(self, function: Callable, case: Case) -> Seen:
        """What the function gives in a case; the NotImplementedError of a stub goes on to the caller."""
        try:
            return self.observe(Guarded(function, self.changes), *case.arguments(), **case.options)
        except Fix as error:
            return {"": error}

    def of_mistake(self, mistake: int, case: int) -> Seen:
        """What a mistake gives in a case, by their numbers; worked out once."""
        key = mistake, case
        if key not in self._of_mistakes:
            seen = self.outcome(self.all_mistakes[mistake].function, self.all_cases[case])
            self._of_mistakes[key] = {name: _copy(value) for name, value in seen.items()}
        return self._of_mistakes[key]


# ---------------------------------------------------------------------------------------------------------- observing


def returns(*parts: str | Part, gradient: Mapping[int, str] | None = None, constant: Mapping[int, str] | None = None) -> Observe:
    """Observe what a function returns: one value for each part.

    `gradient` maps positions of arguments to their names: the gradient to each (of several parts: of their sum with weights 1,
    2, ...) is looked at, too. `constant` maps positions to the cause to be named if a gradient arrives there.
    """
    wanted = [part if isinstance(part, Part) else Part(part) for part in parts]
    to, never = dict(gradient or {}), dict(constant or {})

    def observe(function: Callable, *inputs: Any, **options: Any) -> Seen:
        leaves = {position: inputs[position].requires_grad_() for position in (*to, *never)}
        result = function(*inputs, **options)
        values = (result,) if len(wanted) == 1 else expect_tuple(result, [part.name for part in wanted])
        seen: Seen = {part.name: value for part, value in zip(wanted, values)}
        if leaves:
            seen |= _gradients(seen, leaves, to, never)
        for part, value in zip(wanted, values):
            seen |= _fault(f"the kind of {part.name}", expect_kind, value, part)
        return seen

    return observe


def _gradients(seen: Seen, leaves: dict[int, torch.Tensor], to: dict[int, str], never: dict[int, str]) -> Seen:
    for name, value in seen.items():
        if fault := _fault("the gradient", expect_differentiable, value, name):
            return fault
    total = sum(weight * value for weight, value in enumerate(seen.values(), 1))
    found = dict(zip(leaves, gradients(total, leaves.values())))
    for position, cause in never.items():
        if found[position].abs().max() > 0:
            return {"the gradient": Fix(cause)}
    return {f"the gradient to {name}": found[position] for position, name in to.items()}


def loss_and_logs(*logs: str, of: Sequence[str] = ("x_l", "x_s"), passes: Callable[..., None] | None = None, batch_at: int = 1) -> Observe:
    """Observe a loss of the form `loss(model, batch, ...) -> (scalar, logs)`, called with a Probe as the model.

    Parts: the loss, its gradient to the logits of the images in the batch's fields `of`, each of `logs`, and a Fix where
    `passes(*inputs)` raises one about how the network was called. `batch_at` is the batch's position among the arguments.
    """

    def observe(function: Callable, *inputs: Any, **options: Any) -> Seen:
        model, batch = inputs[0], inputs[batch_at]
        loss, found = expect_loss(function(*inputs, **options), *logs)
        seen: Seen = {"the loss": loss}
        seen |= {f"the gradient to the logits of {name}": model.gradient_to(loss, getattr(batch, name)) for name in of}
        seen |= {f"logs[{name!r}]": found[name] for name in logs}
        seen["the logs"] = found  # not compared, but watched: no later call may change it
        return seen | (_fault("the passes", passes, *inputs) if passes else {})

    return observe


def _fault(name: str, rule: Callable[..., None], *arguments: Any) -> Seen:
    """What a rule has to say, as a part of this name; nothing if it is kept."""
    try:
        rule(*arguments)
    except Fix as error:
        return {name: error}
    return {}


def slips(make: Callable[..., Callable]) -> Callable[..., Callable]:
    """For a function that makes answers with one wrong step each: without a wrong step it refuses, for that would be a solution."""

    def with_a_slip(**wrong: Any) -> Callable:
        if not wrong:
            raise TypeError(f"{make.__name__} makes wrong answers: name the step that is wrong")
        return make(**wrong)

    return with_a_slip


# ---------------------------------------------------------------------------------------------------------- comparing


def compare(exercise: Exercise, function: Callable, recorded: Recorded, diagnose: bool = True) -> None:
    """Raise Fix unless the function is right in every case, keeps every rule, and remembers nothing from call to call.

    Without `diagnose` the Fix names no cause, and comes sooner.
    """
    cases = exercise.all_cases
    seen: list[Seen] = []
    kept: list[Seen] = []
    for case in cases:
        seen.append(exercise.outcome(function, case))
        kept.append({name: _copy(value) for name, value in seen[-1].items()})
        if wrong_parts(case, seen[-1], recorded):
            raise explain(exercise, function, seen, recorded) if diagnose else Fix("a case is wrong")
    for rule in exercise.all_rules:
        try:
            rule(Guarded(function, exercise.changes))
        except Fix as fault:
            raise (_with_likely_cause(exercise, fault) if fault.error else fault) from None
    for case, before, its_copy in zip(cases, seen, kept):
        if not _all_alike(before, its_copy):
            raise Fix(f"what it returned {case.what} was changed by a later call: return new tensors and dicts each time")
    for case, before in zip(cases[:3], kept):
        if not _all_alike(before, exercise.outcome(function, case)):
            raise Fix(
                f"tried a second time {case.what}, it gives something else: does it remember something from call to call (a "
                "default argument, a global, a counter)?"
            )


def wrong_parts(case: Case, seen: Seen, recorded: Recorded) -> list[str]:
    """The names of the parts that are wrong, in order."""
    expected = {} if isinstance(seen.get(""), Fix) else case.expected(seen, recorded)
    return [
        name
        for name, value in seen.items()
        if isinstance(value, Fix) or (name in expected and not agree(value, expected[name], case.tolerance))
    ]


def explain(exercise: Exercise, function: Callable, seen: list[Seen], recorded: Recorded) -> Fix:
    """The likely cause of what is wrong in the last case of `seen`."""
    cases, at = exercise.all_cases, len(seen) - 1
    case, own = cases[at], seen[at]
    part = wrong_parts(case, own, recorded)[0]
    where = f" ({case.what})" if case.right is RECORDED else ""
    in_words = isinstance(own[part], Fix) and own[part].error is None
    if not in_words and (cause := _named_cause(exercise, function, seen, part, recorded)) is not None:
        return Fix(cause + where)
    if isinstance(own[part], Fix):
        return _with_likely_cause(exercise, own[part], where)
    for earlier, its in zip(cases, seen[:-1]):
        if _telling(own[part]) and agree(own[part], its.get(part)) and signature(earlier) == signature(case):
            if unused := _settings_between(function, earlier, case):
                names = " and ".join(f"`{name}`" for name in unused)
                return Fix(f"{part} {case.what} is what it gave {earlier.what}: {names} should make a difference")
            return Fix(
                f"{part} {case.what} is what it gave {earlier.what}: does it remember something from call to call (a default "
                "argument, a global, a cache)?"
            )
    return Fix(difference(own[part], case.expected(own, recorded)[part], f"{part} {case.what}"))


def _with_likely_cause(exercise: Exercise, fault: Fix, where: str = "") -> Fix:
    """The same, with what the exercise knows of such an error."""
    said = str(fault).rstrip(".")
    likely = next((f": {hint}" for words, hint in exercise.errors.items() if words in said), "")
    return Fix(f"{said}{likely}{where}", fault.error)


def _settings_between(function: Callable, one: Case, other: Case) -> list[str]:
    """The names of the numbers in which two calls differ; none if they differ in anything else."""
    a, b = one.arguments(), other.arguments()
    names = [*inspect.signature(function).parameters, *map(str, range(len(a)))]
    apart = [n for n, (x, y) in enumerate(zip(a, b)) if not _same(x, y)]
    if not all(isinstance(value, int | float) for n in apart for value in (a[n], b[n])):
        return []
    given = {**one.options, **other.options}
    return [names[n] for n in apart] + [name for name in given if one.options.get(name) != other.options.get(name)]


def _same(x: Any, y: Any) -> bool:
    """Whether two arguments are the same; of networks and probes, whether they are of one kind."""
    if isinstance(x, torch.Tensor | np.ndarray):
        return type(x) is type(y) and agree(x, y)
    if isinstance(x, tuple | list):
        return type(x) is type(y) and len(x) == len(y) and all(map(_same, x, y))
    return x == y if isinstance(x, int | float | str | None) else type(x) is type(y)


def _named_cause(exercise: Exercise, function: Callable, seen: list[Seen], part: str, recorded: Recorded) -> str | None:
    """The cause of the mistake that does what the student's function does, in the case that is wrong and in most others."""
    cases, at = exercise.all_cases, len(seen) - 1
    mistakes = exercise.all_mistakes
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of what mistakes divide
        likely = [n for n in range(len(mistakes)) if _alike(exercise.of_mistake(n, at), seen[at], part)]
        if not likely:
            return None
        own = [*seen, *(exercise.outcome(function, case) for case in cases[at + 1 :])]
        wrong = [(n, name) for n, case in enumerate(cases) for name in wrong_parts(case, own[n], recorded)]

        def agreement(mistake: int) -> tuple[int, int]:
            made = [exercise.of_mistake(mistake, n) for n in range(len(cases))]
            return (
                sum(_alike(made[n], own[n], name) for n, name in wrong),
                sum(_all_alike(one, other) for one, other in zip(made, own)),
            )

        scores = [agreement(mistake) for mistake in likely]
    best = max(scores)
    # one that agrees in few of the values that are wrong does so by chance
    return mistakes[likely[scores.index(best)]].cause if 2 * best[0] >= len(wrong) else None


def _telling(value: Any) -> bool:
    """Whether a value is hardly the same by chance: not a few zeros and ones."""
    found = numbers(value)
    return found is not None and bool((found.abs() % 1).gt(0).any())


def _alike(made: Seen, own: Seen, part: str) -> bool:
    """Whether a mistake does what the student's function did in this part: the same value, or the same fault."""
    if part not in made:
        return False
    a, b = made[part], own[part]
    if isinstance(a, Fix) or isinstance(b, Fix):
        return isinstance(a, Fix) and isinstance(b, Fix) and _said(a) == _said(b)
    return agree(a, b)


def _said(fix: Fix) -> str:
    """What a fault says, without the student's own line."""
    return str(fix) if fix.error is None else f"{type(fix.error).__name__}: {fix.error}"


def _all_alike(one: Seen, other: Seen) -> bool:
    return list(one) == list(other) and all(_alike(one, other, name) for name in one)


def _copy(value: Any) -> Any:
    """A value as it is now, whatever a later call does to it."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (tuple, list):
        return type(value)(_copy(part) for part in value)
    return {key: _copy(part) for key, part in value.items()} if isinstance(value, dict) else value


def signature(case: Case) -> list:
    """The shapes of a case's inputs: a function that remembers by shape takes one of two alike for the other."""
    return [tuple(x.shape) if hasattr(x, "shape") else type(x).__name__ for x in case.arguments()]
