"""Helper package of the semi-supervised learning course: what every lesson shares, and nothing that a lesson teaches."""

import os
from pathlib import Path

# Before the imports that read them: Albumentations asks the package index for its version, OpenMP counts the cores.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

__version__ = "0.2.0"
ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, SOLUTIONS = ROOT / "notebooks", ROOT / "solutions"
