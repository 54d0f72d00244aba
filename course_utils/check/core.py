"""Runs an exercise's check on a student's function: guarded, timed, and ended in one line.

The check of an exercise is a function in `lessonNN.py`, registered with `@exercise`. It calls the student's function
on hand-computed cases and compares with `expect`, which knows what typical mistakes give and names them.
"""

import contextlib
import copy
import importlib
import io
import linecache
import os
import re
import signal
import textwrap
import threading
import time
import traceback
from _thread import interrupt_main
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from course_utils.check import board
from course_utils.batches import Batch

TIME_LIMIT = 5.0  # seconds of computing for all cases of one exercise; the reference solutions need a small part of one
PATIENCE = (
    4  # times as many seconds on the clock, for a function that waits, or a machine that is busy with other things
)
LINE = 100  # characters; JupyterLab breaks longer lines in the middle of a word
SHOWN_LINES = 5  # of what a student's function printed

CHANGES_INPUT = "it changes its input: work on a copy (no `x[...] = `, no `+=`, no `.sort()` of an array, no `.pop()` of a list, no methods that end in `_`)"

_registry: dict[str, tuple[str, Callable]] = {}


class Fix(Exception):
    """The student's function is wrong; the message says what the likely cause is."""


@dataclass(frozen=True)
class Verdict:
    """`status` is "todo", "fix" or "ok"; `message` is the rest of the line; `printed` is what the function printed."""

    number: str
    status: str
    message: str
    printed: str = ""

    def __str__(self) -> str:
        return f"[{self.status}] Exercise {self.number}: {self.message}"


def exercise(number: str, title: str):
    """Register the decorated function, which takes the guarded student function, as the check of an exercise."""

    def register(case: Callable) -> Callable:
        if number in _registry and _registry[number][1].__module__ != case.__module__:
            raise ValueError(f"two checks with the number {number}")
        _registry[number] = (title, case)
        return case

    return register


class NotPassed(Exception):
    """A check that is not passed, for nbgrader, which gives a cell's points unless the cell fails; one line, no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def check(number: str, function: Callable) -> None:
    """Check a student's function, note the verdict on the board and print it, with the first lines of what the function printed.

    Where nbgrader runs the notebook, to grade or to validate it, an exercise that is not solved raises NotPassed.
    """
    graded = "NBGRADER_EXECUTION" in os.environ
    if getattr(function, "borrowed", None):
        line = f"[borrowed] Exercise {number}: this is the course's function. Write your own in the exercise's cell and run it."
        if graded:
            raise NotPassed(line)
        print(line)
        return
    # nbgrader gives no points to a cell that wrote to stderr, be it a warning
    with contextlib.redirect_stderr(io.StringIO()) if graded else contextlib.nullcontext():
        result = verdict(number, function)
    if graded and result.status != "ok":
        raise NotPassed(str(result))
    board.note(number, result.status, function)
    print("\n".join(textwrap.fill(line, LINE, break_long_words=False) for line in str(result).splitlines()))
    lines = result.printed.splitlines()
    if lines:
        print(f"(your function printed {len(lines)} lines during the check; the first of them:)")
        print("\n".join(line[:120] for line in lines[:SHOWN_LINES]))


def verdict(number: str, function: Callable, time_limit: float = TIME_LIMIT) -> Verdict:
    """The verdict on a student's function. Never raises because of that function, never hangs on it."""
    title, case = find(number)
    if not callable(function):
        return Verdict(
            number, "fix", f"hand in the function itself, not what it returns (got {type(function).__name__})"
        )
    printed = _Capped()
    with contextlib.redirect_stdout(printed), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            with _limited(time_limit):
                case(Guarded(function))
            status, message = "ok", title
        except Fix as error:
            status, message = "fix", str(error)
        except TimeoutError:
            status, message = "fix", f"it did not end within {time_limit:g} seconds: is there a loop that never stops?"
        except RecursionError:
            status, message = "fix", "it calls itself without end: which call should have been another function?"
        except Exception as error:
            if _is_unsolved(error):
                status, message = "todo", _unsolved(number, str(error))
            else:  # e.g. an odd object that fails when the check looks at what was returned
                status, message = "fix", f"what it returned cannot be used: {type(error).__name__}: {_one_line(error)}"
    return Verdict(number, status, message, printed.getvalue())


def find(number: str) -> tuple[str, Callable]:
    """The (title, check) of an exercise; KeyError if there is none."""
    lesson = number.split(".")[0]
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(f"course_utils.check.lesson{int(lesson):02d}")
    if number not in _registry:
        raise KeyError(f"there is no check for an exercise {number!r}")
    return _registry[number]


def _is_unsolved(error: Exception) -> bool:
    """Whether a stub raised this; torch raises NotImplementedError, too, when it gets numbers of the wrong type."""
    return isinstance(error, NotImplementedError) and bool(re.fullmatch(r"Exercise \d+\.\d+", str(error)))


def _unsolved(number: str, message: str) -> str:
    if message == f"Exercise {number}":
        return "not solved yet"
    return f"it uses a function that is not solved yet ({message})"


class Guarded:
    """Calls the student's function; what goes wrong comes out as Fix, with the cause in words."""

    def __init__(self, function: Callable):
        self.function = function
        self.name = getattr(function, "__name__", "the function")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = copy.deepcopy([_plain(a) for a in (*args, *kwargs.values())])
        gradients = torch.is_grad_enabled()
        try:
            result = self.function(*args, **kwargs)
        except (TimeoutError, RecursionError):
            raise
        except Exception as error:
            if _is_unsolved(error):
                raise
            if "in-place operation" in str(error):
                raise Fix(CHANGES_INPUT) from None
            raise Fix(f"it raised {type(error).__name__}: {_one_line(error)}{_where(error, self.function)}") from None
        finally:
            changed = _restore(before, (*args, *kwargs.values()))
        if changed:
            raise Fix(CHANGES_INPUT)
        if torch.is_grad_enabled() != gradients:
            torch.set_grad_enabled(gradients)
            raise Fix(
                "it leaves gradients switched off for all that follows: use `with torch.no_grad():` around a block"
            )
        if result is None:
            raise Fix("it returned None: is the `return` missing?")
        return result


def expect(
    actual: Any,
    right: Any,
    what: str,
    wrong: Iterable[tuple[Any, str]] = (),
    tolerance: float = 1e-4,
    float_tensor: bool = False,
) -> None:
    """Raise Fix unless `actual` has the shape and the values of `right`.

    `wrong` lists (value, cause) of typical mistakes: the first that `actual` equals is named as the cause. Numbers,
    lists, arrays and tensors of any number type are taken alike, unless `float_tensor` asks for what later cells need.
    """
    right = _tensor(right, what)
    original = actual
    actual = _tensor(actual, what)
    if actual.shape == right.shape and torch.allclose(actual, right, atol=tolerance, rtol=0, equal_nan=True):
        if float_tensor and not (isinstance(original, torch.Tensor) and original.is_floating_point()):
            got = f"a tensor of {original.dtype}" if isinstance(original, torch.Tensor) else type(original).__name__
            raise Fix(f"the values are right, but {what} must be a float tensor, and is {got}")
        return
    for value, cause in wrong:
        value = _tensor(value, what)
        if actual.shape == value.shape and torch.allclose(actual, value, atol=tolerance, rtol=0, equal_nan=True):
            raise Fix(cause)
    if actual.shape != right.shape:
        raise Fix(f"{what} has shape {tuple(actual.shape)}, expected {tuple(right.shape)}")
    shown, wanted = _short(actual), _short(right)
    if shown == wanted:  # the same in all digits that are shown
        raise Fix(f"{what} is off by up to {(actual - right).abs().max():.1e}: is something rounded, cut off or added?")
    raise Fix(f"{what} is {shown}, expected {wanted}")


def expect_tuple(result: Any, names: tuple[str, ...]) -> tuple:
    """Raise Fix unless `result` is a tuple (or list) with one part per name; return it."""
    if not isinstance(result, tuple | list) or len(result) != len(names):
        got = f"{len(result)} values" if isinstance(result, tuple | list) else type(result).__name__
        raise Fix(f"it must return {len(names)} values, ({', '.join(names)}), but returned {got}")
    return tuple(result)


class Probe(nn.Module):
    """Stands in for a network: an image's own numbers, raised to `power`, are its logits, so that cases are computed by hand.

    `calls` notes (number of images, gradients recorded, training mode) of every pass, `images` what went through;
    `switched` whether the mode was set.
    """

    def __init__(self, power: int = 1):
        super().__init__()
        self.power, self.scale = power, nn.Parameter(torch.ones(1))
        self.calls: list[tuple[int, bool, bool]] = []
        self.images: list[torch.Tensor] = []
        self.switched = False

    def train(self, mode: bool = True):
        self.switched = True
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append((len(x), torch.is_grad_enabled(), self.training))
        self.images.append(x.detach().flatten(1))
        return self.scale * x.flatten(1) ** self.power

    def expect_mode(self) -> None:
        """Raise Fix if the mode was switched."""
        if self.switched:
            raise Fix("it switches the mode: call neither eval() nor train(), the training loop takes care of the mode")

    def expect_joint_pass(self, batch: Batch) -> None:
        """Raise Fix unless labelled and strong images went through together, with gradients."""
        self.expect_mode()

        def together(*parts: torch.Tensor) -> bool:
            wanted = torch.cat(parts).flatten(1)
            return any(
                gradient and (wanted[:, None] == images).all(2).any(1).all()
                for (_, gradient, _), images in zip(self.calls, self.images)
            )

        if together(batch.x_l, batch.x_s):
            return
        if together(batch.x_l, batch.x_w):
            raise Fix("the labelled images go through the model with the weak views: with the strong ones, x_s")
        raise Fix(
            "labelled and strong images go through the model separately: one joint pass, so that BatchNorm sees them together"
        )


def wrong_weights(loss_l: Any, loss_u: Any, weight: float) -> list[tuple[Any, str]]:
    """What typical mistakes with the weight of the unlabelled loss give, for `expect`."""
    return [
        (loss_l + loss_u, "lambda_u is ignored"),
        (weight * (loss_l + loss_u), "lambda_u multiplies both losses: it weighs the unlabelled one only"),
        (weight * loss_l + loss_u, "lambda_u multiplies the labelled loss: it weighs the unlabelled one"),
    ]


def _tensor(value: Any, what: str) -> torch.Tensor:
    try:
        if isinstance(value, np.ndarray) and not value.flags.writeable:  # torch would warn
            value = value.copy()
        return torch.as_tensor(value).detach().cpu().to(torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Fix(f"{what} must be a tensor, but is {type(value).__name__}") from None


def _short(value: torch.Tensor) -> str:
    text = str(_rounded(value.tolist())) if value.ndim else f"{value.item():.4f}"
    return text if len(text) < 100 else text[:97] + "..."


def _rounded(value: float | list) -> float | list:
    return [_rounded(v) for v in value] if isinstance(value, list) else round(value, 4)


def _plain(value: Any) -> Any:
    """A form of an argument that can be copied: tensors without their gradient graph, everything else as it is."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return value if isinstance(value, np.ndarray | list | dict | int | float | str) else None


def _same(before: Any, after: Any) -> bool:
    if isinstance(after, tuple):
        return all(_same(a, b) for a, b in zip(before, after))
    if isinstance(after, torch.Tensor):
        return before.shape == after.shape and torch.equal(before.nan_to_num(), after.detach().nan_to_num())
    if isinstance(after, np.ndarray):
        return np.array_equal(before, after, equal_nan=after.dtype.kind == "f")
    return before is None or not isinstance(after, list | dict) or repr(before) == repr(after)


def _restore(before: Iterable, after: Iterable) -> bool:
    """Undo what the function did to its arguments: later checks use the same numbers. Whether there was anything."""
    changed = [(old, new) for old, new in zip(before, after) if not _same(old, new)]
    for old, new in changed:
        if isinstance(new, tuple):
            _restore(old, new)
        elif isinstance(new, torch.Tensor) and new.shape == old.shape:
            new.data.copy_(old)
        elif isinstance(new, torch.Tensor):
            new.data = old
        elif isinstance(new, np.ndarray) and new.shape == old.shape:
            new[...] = old
        elif isinstance(new, list):
            new[:] = old
        elif isinstance(new, dict):
            new.clear()
            new.update(old)
    return bool(changed)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _where(error: BaseException, function: Callable) -> str:
    """The line of the student's own code that raised, if it can be found."""
    code = getattr(function, "__code__", None)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if code is not None and frame.filename == code.co_filename:
            line = linecache.getline(frame.filename, frame.lineno).strip()
            return f" (in `{line}`)" if line else ""
    return ""


class _Capped(io.StringIO):
    """Keeps the first characters that are written, so that a function that prints without end fills no memory."""

    def write(self, text: str) -> int:
        if self.tell() < 10_000:
            super().write(text[:10_000])
        return len(text)


@contextlib.contextmanager
def _limited(seconds: float):
    """Raise TimeoutError in the main thread when the block computes longer; elsewhere there is no way to interrupt it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    done, late = threading.Event(), threading.Event()

    def watch():
        computing, clock = time.process_time() + seconds, time.monotonic() + PATIENCE * seconds
        while not done.wait(0.05):
            if time.process_time() > computing or time.monotonic() > clock:
                late.set()
                interrupt_main()
                return

    # A process that was started in the background may ignore interrupts, and then nothing would stop the function
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except KeyboardInterrupt:
        if late.is_set():
            raise TimeoutError from None
        raise  # the student pressed the stop button
    finally:
        done.set()
        watcher.join()
        signal.signal(signal.SIGINT, handler or signal.default_int_handler)  # None: it was not set from Python
