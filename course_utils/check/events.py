"""What a student has done so far: a file of events, one a line, in the folder of the recorded runs; nothing leaves the machine.

Lines are only ever added, each in one write: two notebooks at once do not disturb each other, and a write that was cut short
spoils no other line.
"""

import inspect
import json
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from course_utils import settings

# What cannot be saved, or is nobody's progress, is remembered in this process only.
_unsaved: list[dict] = []


class State(NamedTuple):
    """Where a student stands with one exercise; `tries` counts the different wrong answers."""

    solved: bool = False
    borrowed: bool = False
    revealed_first: bool = False
    tries: int = 0

    def __str__(self) -> str:
        if self.solved:
            return "solved after reveal" if self.revealed_first else "solved"
        if self.borrowed:
            return "borrowed"
        return ("to do", "tried once")[self.tries] if self.tries < 2 else f"tried {self.tries} times"


def progress_file() -> Path:
    """The untracked file that holds the events."""
    return settings.RUNS / "progress.jsonl"


def note(number: str, event: str, function: Callable | None = None) -> None:
    """Add an event ("todo", "fix", "ok", "borrowed" or "revealed") of an exercise, with a mark that tells answers apart."""
    line: dict[str, str | int] = {"exercise": number, "event": event, "time": time.strftime("%Y-%m-%d %H:%M:%S")}
    if function is not None:
        line["answer"] = _fingerprint(function)
    if not settings.SAVE_PROGRESS:
        _unsaved.append(line)
        return
    path = progress_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            # the line break comes first, so that it also ends a line that was cut short
            os.write(descriptor, ("\n" + json.dumps(line)).encode())
        finally:
            os.close(descriptor)
    except OSError as error:  # a course folder that cannot be written must not keep anybody from learning
        if not _unsaved:
            print(f"(Your progress cannot be saved, and is forgotten when this kernel stops: {error})")
        _unsaved.append(line)


def _fingerprint(function: Callable) -> int:
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):  # not written in a cell or a file
        text = repr(getattr(getattr(function, "__code__", None), "co_code", function))
    return zlib.crc32(text.encode())


def events() -> list[dict]:
    """All events, in the order in which they happened; lines that cannot be read are passed over."""
    found = []
    path = progress_file()
    if settings.SAVE_PROGRESS and path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
                found.append({key: event[key] for key in ("exercise", "event")} | {"answer": event.get("answer")})
            except (json.JSONDecodeError, TypeError, KeyError):
                continue  # empty, or cut short when a machine went down
    return found + _unsaved


def state(number: str) -> State:
    """Where the student stands with the exercise `number`."""
    return states().get(number, State())


def states() -> dict[str, State]:
    """Where the student stands with each exercise on which there are events."""
    own: dict[str, list[dict]] = {}
    for event in events():
        own.setdefault(str(event["exercise"]), []).append(event)
    return {number: _state(found) for number, found in own.items()}


def _state(own: list[dict]) -> State:
    kinds = [event["event"] for event in own]
    before = kinds[: kinds.index("ok")] if "ok" in kinds else kinds
    return State(
        solved="ok" in kinds,
        borrowed="borrowed" in kinds,
        revealed_first="revealed" in before,
        tries=len({event.get("answer") for event in own if event["event"] == "fix"}),
    )
