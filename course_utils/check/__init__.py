"""Checks of the exercises: `check("6.2", your_function)` prints one line, [todo], [fix] with the likely cause, or [ok]."""

from course_utils.check.core import Verdict, check, verdict
from course_utils.check.notebook import friendly_unsolved

__all__ = ["Verdict", "check", "verdict"]

friendly_unsolved()
