"""Every setting of the course: its environment variable and its default, read once, when this module is first imported.

A value that cannot be used raises SettingError, one line that names the variable and what it takes.

    COURSE_DATA      folder that holds `dermamnist.npz`, or `embedded` for the digits that need no download
    COURSE_RUNS      folder for recorded runs and your progress (default: `runs/` beside the notebooks folder)
    COURSE_PROGRESS  `on` or `off`: whether what is solved is saved as your progress (default: on, but for the solution notebooks)
    COURSE_WIDGETS   `on` or `off`: whether sliders, players and cards take the place of still pictures and plain lines (default: on)
    COURSE_KVASIR    folder of Kvasir-SEG, with `images` and `masks`, for the segmentation in lesson 05
    COURSE_SEED      the one seed of a lesson (default 0)
    COURSE_LABELS    number of labelled images in a lesson (default 500)
    COURSE_STEPS     number of steps of a lesson's trainings (default 1600)
    COURSE_MAX_STEPS most steps that any training takes: for whoever runs a lesson only to see its checks (default: no limit)
    COURSE_NETWORK   the network that `new_model` makes: SimpleCNN (default) or ResNet
    COURSE_DEVICE    where torch computes (default: the GPU where there is one, else the CPU)
    OMP_NUM_THREADS  threads for torch (default 1: reproducible, and two notebooks at once do not slow each other down)
"""

import os
import re
import sys
from pathlib import Path

from course_utils import ROOT, SOLUTIONS

TAUGHT_NETWORK, TAUGHT_STEPS, TAUGHT_LABELS = "SimpleCNN", 1600, 500  # with which the lessons are taught
NETWORKS = ("SimpleCNN", "ResNet")


class SettingError(ValueError):
    """An environment variable has a value that cannot be used; shown as one line in a notebook, too."""

    def _render_traceback_(self) -> list[str]:
        return [f"SettingError: {self}"]


def _whole_number(name: str, default: int, least: int) -> int:
    value = os.environ.get(name) or str(default)
    try:
        number = int(value)
    except ValueError:
        raise SettingError(f"{name} is {value!r}: it takes a whole number, such as {name}={default}.") from None
    if number < least:
        raise SettingError(f"{name} is {value}: it takes a whole number that is at least {least}.")
    return number


def _one_of(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = os.environ.get(name) or default
    if value not in choices:
        raise SettingError(f"{name} is {value!r}: it takes {' or '.join(choices)}.")
    return value


def _device_name() -> str | None:
    value = os.environ.get("COURSE_DEVICE") or None
    if value is not None and not re.fullmatch(r"(cpu|mps|cuda|xpu)(:\d+)?", value):
        raise SettingError(
            f"COURSE_DEVICE is {value!r}: it takes cpu, cuda (an NVIDIA or AMD GPU), mps (Apple's) or xpu (Intel's)."
        )
    return value


SEED = _whole_number("COURSE_SEED", 0, least=0)
NUM_LABELS = _whole_number("COURSE_LABELS", TAUGHT_LABELS, least=1)
NUM_STEPS = _whole_number("COURSE_STEPS", TAUGHT_STEPS, least=1)
MAX_STEPS = _whole_number("COURSE_MAX_STEPS", sys.maxsize, least=1)
NETWORK = _one_of("COURSE_NETWORK", TAUGHT_NETWORK, NETWORKS)
DATA = os.environ.get("COURSE_DATA") or None
RUNS = Path(os.environ.get("COURSE_RUNS") or ROOT / "runs").expanduser()
SAVE_PROGRESS = _one_of("COURSE_PROGRESS", "off" if Path.cwd() == SOLUTIONS else "on", ("on", "off")) == "on"
WIDGETS = _one_of("COURSE_WIDGETS", "on", ("on", "off")) == "on"
KVASIR = os.environ.get("COURSE_KVASIR") or None
NUM_THREADS = _whole_number("OMP_NUM_THREADS", 1, least=1)
DEVICE_NAME = _device_name()
