"""Helper package of the semi-supervised learning course: what every lesson shares, and nothing that a lesson teaches.

Settings, all optional environment variables:
    COURSE_DATA      folder that holds `dermamnist.npz`, or `embedded` for the digits that need no download
    COURSE_RUNS      folder for recorded runs and the progress board (default: `runs/` beside the notebooks folder)
    COURSE_SEED      the one seed of a lesson (default 0)
    COURSE_LABELS    how many labelled images a lesson draws (default 500)
    COURSE_STEPS     how many steps a lesson's trainings take (default 1600)
    COURSE_MAX_STEPS most steps that any training takes: for whoever runs a lesson only to see its checks (default: no limit)
    COURSE_NETWORK   the network that `new_model` makes: SimpleCNN (default) or ResNet
    COURSE_DEVICE    where torch computes (default: the GPU where there is one, else the CPU)
    OMP_NUM_THREADS  threads for torch (default 1: reproducible, and two notebooks at once do not slow each other down)
"""

import os
import sys
from pathlib import Path

# Before the imports that read them: Albumentations asks the package index for its version, OpenMP counts the cores.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, SOLUTIONS = ROOT / "notebooks", ROOT / "solutions"
SEED = int(os.environ.get("COURSE_SEED", "0"))
NUM_LABELS = int(os.environ.get("COURSE_LABELS", "500"))
NUM_STEPS = int(os.environ.get("COURSE_STEPS", "1600"))
MAX_STEPS = int(os.environ.get("COURSE_MAX_STEPS", sys.maxsize))
NETWORK = os.environ.get("COURSE_NETWORK", "SimpleCNN")
DEVICE = torch.device(os.environ.get("COURSE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))
