"""In a notebook, using an unsolved exercise ends in one friendly line, not in a traceback."""

import re
import sys

from IPython import get_ipython

from course_utils.check.lending import can_lend


def friendly_unsolved() -> None:
    """Show NotImplementedError("Exercise N.M") as one line in this kernel; does nothing outside of IPython.

    The cell still counts as failed, so that "Run all" stops there.
    """
    shell = get_ipython()
    if shell is None:
        return

    def handler(shell, kind, error, traceback, tb_offset=None):
        number = re.fullmatch(r"Exercise (\d+\.\d+)", str(error))
        if number is None:
            shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)
            return
        way_on = f" Or go on without: borrow({number[1]!r}) lends you the course's function." if can_lend() else ""
        print(
            f"This cell needs Exercise {number[1]}, which is not solved yet: scroll up to it, solve it, then run this cell again.{way_on}"
        )
        if "matplotlib.pyplot" in sys.modules:  # a figure that was begun would be shown, empty
            sys.modules["matplotlib.pyplot"].close("all")

    shell.set_custom_exc((NotImplementedError,), handler)
