"""In a notebook, using an unsolved exercise ends in one friendly card, not in a traceback."""

import re
import sys
import time

from course_utils.check import cards
from course_utils.check.lending import can_lend

# After "Run all" JupyterLab shows the last cell, wherever it stopped. Not when the notebook is opened again later.
COME_INTO_VIEW = """
<script>
{
    const cell = document.currentScript.closest(".jp-Notebook .jp-Cell");
    if (cell && Date.now() - %d < 60000) setTimeout(() => cell.scrollIntoView({block: "nearest"}), 500);
}
</script>"""


def friendly_unsolved() -> None:
    """Show NotImplementedError("Exercise N.M") as one card in this kernel; does nothing outside of IPython.

    The cell still counts as failed, so that "Run all" stops there.
    """
    shell = cards.shell()
    if shell is None:
        return

    def handler(shell, kind, error, traceback, tb_offset=None):
        number = re.fullmatch(r"Exercise (\d+\.\d+)", str(error))
        if number is None:
            shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)
            return
        _stopped(number[1])
        if "matplotlib.pyplot" in sys.modules:  # a figure that was begun would be shown, empty
            sys.modules["matplotlib.pyplot"].close("all")

    shell.set_custom_exc((NotImplementedError,), handler)


def _stopped(number: str) -> None:
    needs = f"This cell needs Exercise {number}"
    cure = "scroll up to it, solve it, then run this cell again."
    way_on = f"Or go on without: `borrow({number!r})` lends you the course's function." if can_lend() else ""
    card = cards.card("stopped", needs, cards.prose(f"It is not solved yet: {cure}"), cards.prose(way_on))
    text = f"{needs}, which is not solved yet: {cure} {way_on}".rstrip()
    cards.show(card + COME_INTO_VIEW % (1000 * time.time()), text)
