"""Checks of the exercises: `check("6.2", your_function)` prints one line, [todo], [fix] with the likely cause, or [ok].

`progress("06")` shows where you stand in a lesson, `borrow("6.2")` lends the course's function, `reveal("6.2")` shows the solution.
"""

from course_utils.check.lending import borrow, reveal
from course_utils.check.notebook import friendly_unsolved
from course_utils.check.overview import progress
from course_utils.check.runner import Verdict, check, verdict

__all__ = ["Verdict", "borrow", "check", "progress", "reveal", "verdict"]

friendly_unsolved()
