"""Checks of the exercises: `check("6.2", your_function)` says [todo], [fix] with the likely cause, or [ok].

`progress("06")` shows where you stand in a lesson, `borrow("6.2")` lends the course's function, `reveal("6.2")` shows the solution.
"""

import importlib
from typing import TYPE_CHECKING, Any

from course_utils.check.notebook import friendly_unsolved

if TYPE_CHECKING:
    from course_utils.check.lending import borrow, reveal
    from course_utils.check.overview import progress
    from course_utils.check.runner import Verdict, check, verdict

__all__ = ["Verdict", "borrow", "check", "progress", "reveal", "verdict"]

HOMES = {"borrow": "lending", "reveal": "lending", "progress": "overview"}  # the others live in `runner`

friendly_unsolved()


def __getattr__(name: str) -> Any:
    """What lessons import, when it is first asked for: whoever reads the progress only does not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{HOMES.get(name, 'runner')}"), name)
