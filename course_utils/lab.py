"""JupyterLab as a student should find it: no pop-up about news, none of nbgrader's menus and buttons.

The settings lie in `lab_settings/` and go before the user's folders on Jupyter's path only while `course lab` runs: nothing of the
user's own settings is touched, what the user has chosen still counts, and `jupyter lab` opens with everything, as a teacher wants it.
"""

import os
from pathlib import Path

SETTINGS = Path(__file__).parent / "lab_settings"


def environment() -> dict[str, str]:
    """What JupyterLab's environment needs beside that of this process."""
    before = os.environ.get("JUPYTER_CONFIG_PATH")
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join([str(SETTINGS), *([before] if before else [])])}
