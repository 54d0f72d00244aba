"""Runs an exercise's check on a student's function: guarded, timed, and ended in one line."""

import contextlib
import importlib
import io
import os
import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from course_utils.check import advice, battery, cards, events
from course_utils.check.cases import Exercise, Unrecorded, compare
from course_utils.check.expect import Fix
from course_utils.check.guard import is_unsolved, one_line

TIME_LIMIT = 5.0  # seconds of computing for all cases of one exercise; the reference solutions need a small part of one
PATIENCE = 4  # times as many seconds on the clock, for a function that waits, or a machine that is busy with other things
SEED = 20_615_843  # a number that nobody seeds with: a function that seeds torch is noticed by what it leaves behind
SHOWN_LINES = 5  # of what a student's function printed


@dataclass(frozen=True)
class Verdict:
    """`status` is "todo", "fix", "ok" or "borrowed"; `message` is the rest of the line; `printed` is what the function printed.

    `number` is empty where a call of `check` names no exercise.
    """

    number: str
    status: str
    message: str
    printed: str = ""

    @property
    def subject(self) -> str:
        return f"Exercise {self.number}" if self.number else ""

    def __str__(self) -> str:
        return cards.line(self.status, self.subject, self.message)


class NotPassed(Exception):
    """A check that is not passed, for nbgrader, which gives a cell's points unless the cell fails; one line, no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class _Nothing:
    pass


def check(number: str, function: Any = _Nothing) -> None:
    """Check a student's function, note the verdict and show it, with the first lines of what the function printed.

    Where nbgrader runs the notebook, to grade or to validate it, an exercise that is not solved raises NotPassed.
    """
    graded = "NBGRADER_EXECUTION" in os.environ
    unchecked = _unchecked(number, function)
    # nbgrader gives no points to a cell that wrote to stderr, be it a warning
    with contextlib.redirect_stderr(io.StringIO()) if graded else contextlib.nullcontext():
        result = unchecked or verdict(str(number), function)
    if graded and result.status != "ok":
        raise NotPassed(str(result))
    if unchecked is None:
        events.note(result.number, result.status, function)
    more = advice.after(find(result.number), result.status) if unchecked is None else []
    cards.tell(result.status, result.subject, result.message, more)
    lines = result.printed.splitlines()
    if lines:
        print(f"(your function printed {len(lines)} lines during the check; the first of them:)")
        print("\n".join(line[:120] for line in lines[:SHOWN_LINES]))


def _unchecked(number: Any, function: Any) -> Verdict | None:
    """What to say to a call of `check` with nothing to check: no exercise, no function, or one that was lent."""
    try:
        exercise = find(str(number))
    except KeyError as error:
        return Verdict("", "fix", error.args[0])
    if function is _Nothing:
        how = f"check({exercise.number!r}, {exercise.name})"
        return Verdict(exercise.number, "todo", f"hand over your function, too: {how}")
    if getattr(function, "borrowed", None):
        return Verdict(exercise.number, "borrowed", "this is the course's function. Write your own in the exercise's cell and run it.")
    return None


def verdict(number: str, function: Callable, time_limit: float = TIME_LIMIT, diagnose: bool = True) -> Verdict:
    """The verdict on a student's function. Never raises because of that function, never hangs on it.

    Without `diagnose` a [fix] names no cause, and comes sooner. KeyError if there is no such exercise.
    """
    exercise = find(number)
    if not callable(function):
        return Verdict(number, "fix", f"hand in the function itself, not what it returns (got {type(function).__name__})")
    recorded = battery.recorded(f"{int(number.split('.')[0]):02d}").get(number, {})
    printed = _Capped()
    with contextlib.redirect_stdout(printed), torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        try:
            with _limited(time_limit):
                compare(exercise, function, recorded, diagnose)
            status, message = "ok", exercise.title
        except Fix as error:
            status, message = "fix", str(error)
        except TimeoutError:
            status, message = "fix", f"it did not end within {time_limit:g} seconds: is there a loop that never stops?"
        except RecursionError:
            status, message = "fix", "it calls itself without end: which call should have been another function?"
        except Unrecorded:
            raise
        except Exception as error:
            if is_unsolved(error):
                status, message = "todo", _unsolved(number, str(error))
            else:  # e.g. an odd object that fails when the check looks at what was returned
                status, message = "fix", f"what it returned cannot be used: {type(error).__name__}: {one_line(error)}"
    return Verdict(number, status, message, printed.getvalue())


def exercises(lesson: str) -> dict[str, Exercise]:
    """The checks of a lesson such as "06", by the exercise's number, in order; empty if there is no such lesson."""
    if not (Path(__file__).parent / f"lesson{lesson}.py").is_file():
        return {}
    module = importlib.import_module(f"course_utils.check.lesson{lesson}")
    found = [value for value in vars(module).values() if isinstance(value, Exercise)]
    return {one.number: one for one in sorted(found, key=lambda one: int(one.number.split(".")[1]))}


def find(number: str) -> Exercise:
    """The check of an exercise; KeyError, in words, if there is none."""
    lesson, _, rest = number.partition(".")
    known = exercises(f"{int(lesson):02d}") if lesson.isdigit() and rest.isdigit() else {}
    if number not in known:
        found = (
            f"lesson {int(lesson):02d} has {next(iter(known))} to {list(known)[-1]}"
            if known
            else "its number is in its heading, like '6.2'"
        )
        raise KeyError(f"there is no exercise {number!r}: {found}")
    return known[number]


def _unsolved(number: str, message: str) -> str:
    if message == f"Exercise {number}":
        return "not solved yet"
    return f"it uses a function that is not solved yet ({message})"


class _Capped(io.StringIO):
    """Keeps the first characters that are written, so that a function that prints without end fills no memory."""

    def write(self, text: str) -> int:
        if self.tell() < 10_000:
            super().write(text[:10_000])
        return len(text)


def _imports(thread: int) -> bool:
    """Whether the thread is in the middle of an import."""
    frame = sys._current_frames().get(thread)
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread when the block computes longer; elsewhere there is no way to interrupt it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    done, late = threading.Event(), threading.Event()
    main = threading.get_ident()

    def watch() -> None:
        computing, clock = time.process_time() + seconds, time.monotonic() + PATIENCE * seconds
        while not done.wait(0.05):
            if _imports(main):  # an import that is cut off leaves half a module behind; and its time is not the function's
                computing, clock = time.process_time() + seconds, time.monotonic() + PATIENCE * seconds
            elif time.process_time() > computing or time.monotonic() > clock:
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
