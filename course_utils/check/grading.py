"""A check as it is run in grading: it trusts no name of the notebook, and notices when it has been made to accept anything."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from IPython.display import display

from course_utils.check.runner import Verdict, verdict

MIME = "application/vnd.ssl-course.verdict+json"
TAMPERED = "the check accepts wrong answers, too: something in this notebook has changed the check, or a library that it uses"


def source(token: str) -> str:
    """The line that goes before a check cell."""
    return f"check = __import__('course_utils.check.grading', fromlist=['examiner']).examiner({token!r})"


def examiner(token: str) -> Callable[[str, Callable], None]:
    """A `check` that hands its verdict, marked with the token, to whoever runs the notebook."""

    def check(number: str, function: Callable) -> None:
        result = examine(number, function)
        display({MIME: {"token": token, "status": result.status, "line": str(result)}}, raw=True)

    return check


def examine(number: str, function: Callable) -> Verdict:
    """The verdict on a function; a check that says ok must be able to say something else about spoiled answers."""
    result = verdict(number, function)
    if result.status != "ok":
        return result
    for spoil in (lambda number: number + 1, lambda number: number * 0 - 7):
        spoiled = _Spoiled(function, spoil)
        rejected = verdict(number, spoiled).status != "ok"
        if rejected or (spoiled.called and not spoiled.did_anything):  # it returns no numbers
            return result
    return Verdict(number, "fix", TAMPERED)


class _Spoiled:
    """A function whose numbers are all made wrong."""

    def __init__(self, function: Callable, spoil: Callable):
        self.function, self.spoil = function, spoil
        self.called = self.did_anything = False

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.called = True
        return self._wrong(self.function(*args, **options))

    def _wrong(self, value: Any) -> Any:
        if isinstance(value, bool | np.bool_):
            self.did_anything = True
            return not value
        if isinstance(value, torch.Tensor | np.ndarray) and value.dtype in (torch.bool, np.bool_):
            self.did_anything = True
            return ~value
        if isinstance(value, torch.Tensor | np.ndarray | np.number | int | float):
            self.did_anything = True
            return self.spoil(value)
        if isinstance(value, dict):
            return {key: self._wrong(part) for key, part in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self._wrong(part) for part in value)
        return value
