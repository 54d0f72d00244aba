"""Checks of the exercises: `check("6.2", your_function)` prints one line, [todo], [fix] with the likely cause, or [ok].

`progress("06")` shows the board of a lesson, `borrow("6.2")` lends the course's function, `reveal("6.2")` shows the solution.
"""

from course_utils.check.board import borrow, progress, reveal
from course_utils.check.core import Verdict, check, verdict
from course_utils.check.notebook import friendly_unsolved

__all__ = ["Verdict", "borrow", "check", "progress", "reveal", "verdict"]

friendly_unsolved()
