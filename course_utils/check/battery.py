"""More inputs of the same contract: the kinds on which natural mistakes show, makers of such inputs, and what is right for them.

The right values are recorded from the proved solutions when the course is built (`course build`), and lie in `recorded/`: so no
solution lies in a student's copy. A test holds them to the solutions.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_utils.check.expect import Digest, numbers

# Every exercise has cases or rules of each kind, or says why its contract has none.
KINDS = {
    "one": "one of something: a batch of one image, one unlabelled image, one method",
    "classes": "another number of classes, 2 and 10, and a last class that is absent",
    "uneven": "labels that repeat unevenly",
    "extremes": "logits of ±90, ±120 and ±300, probabilities of exactly 0, coordinates far from 0",
    "gradient": "the whole gradient, not only where it has to be zero",
    "sizes": "counts above 256 and 2,048, more than 16 equal keys, the largest n of the contract",
    "ties": "near ties, at 1e-4 and 1e-6",
    "passes": "how the network is called: one pass over all images, in the right grouping",
    "layout": "inputs that are not contiguous, other numbers of axes",
    "ends": "a prior of .005, weights above 1, temperatures on both sides, limits that nothing else reaches",
    "longer": "the algorithm on a longer example",
}


def none(why: str, *kinds: str) -> dict[str, str]:
    """For a battery: these kinds, or all, are excluded by the contract, for this reason."""
    return dict.fromkeys(kinds or KINDS, why)


FOLDER = Path(__file__).parent / "recorded"
LARGE = 200  # numbers; of a larger result a digest is kept


# ------------------------------------------------------------------------------------------------------------- inputs


def uniform(seed: int, *shape: int, low: float = -2.0, high: float = 2.0) -> torch.Tensor:
    """Float32 numbers with three decimals, the same on every machine: RandomState's stream is frozen (NEP 19)."""
    drawn = np.random.RandomState(seed).uniform(low, high, shape)
    return torch.from_numpy(drawn.round(3)).float()


def classes(seed: int, n: int, num_classes: int, absent: tuple[int, ...] = ()) -> torch.Tensor:
    """(n,) int64 labels, class c drawn about twice as often as class c + 1; those in `absent` not at all."""
    weights = np.array([0.0 if c in absent else 0.5**c for c in range(num_classes)])
    return torch.from_numpy(np.random.RandomState(seed).choice(num_classes, n, p=weights / weights.sum()).astype(np.int64))


def probabilities(seed: int, n: int, num_classes: int) -> torch.Tensor:
    """(n, num_classes) float32 rows that sum to 1, some of them nearly sure."""
    return (2 * uniform(seed, n, num_classes)).double().softmax(1).float()


def extreme_logits() -> torch.Tensor:
    """(8, 3) logits at which exponentials overflow and logarithms of probabilities are infinite, beside ordinary ones."""
    return torch.tensor(
        [
            [90.0, 0.0, -90.0],
            [-120.0, 120.0, 0.0],
            [300.0, -300.0, 0.0],
            [-300.0, -300.0, -299.0],
            [0.5, 0.0, -1.0],
            [95.0, 94.0, 93.0],
            [-90.0, 90.0, 89.0],
            [0.0, -120.0, -300.0],
        ]
    )


def scattered(x: Any) -> Any:
    """The same tensor or array with its numbers apart in memory: not contiguous."""
    if isinstance(x, torch.Tensor):
        return torch.stack([x, torch.zeros_like(x)], -1)[..., 0]
    return np.stack([x, np.zeros_like(x)], -1)[..., 0]


# ----------------------------------------------------------------------------------------------------------- recording


@cache
def recorded(lesson: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The right values of a lesson's batteries: exercise -> what -> part -> value."""
    path = _path(lesson)
    if not path.is_file():
        return {}
    found = json.loads(path.read_text())
    return {
        number: {what: {part: _decoded(value) for part, value in parts.items()} for what, parts in cases.items()}
        for number, cases in found.items()
    }


def write(lesson: str, values: dict[str, dict[str, dict[str, Any]]]) -> bool:
    """Write the recorded values of a lesson, one line for each case; whether the file has changed."""
    encoded = {
        number: {what: {part: _encoded(value) for part, value in parts.items()} for what, parts in cases.items()}
        for number, cases in values.items()
    }
    lines = [
        f' "{number}": {{\n'
        + ",\n".join(f"  {json.dumps(what, ensure_ascii=False)}: {json.dumps(parts)}" for what, parts in cases.items())
        + "\n }"
        for number, cases in encoded.items()
        if cases
    ]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    path = _path(lesson)
    changed = not path.is_file() or path.read_text() != text
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    recorded.cache_clear()
    return changed


def _path(lesson: str) -> Path:
    return FOLDER / f"lesson{lesson}.json"


def _encoded(value: Any) -> Any:
    found = None if isinstance(value, str | dict | None) else numbers(value)
    if found is None:
        return {"is": value}
    if found.numel() > LARGE:
        digest = Digest.of(value)
        return {"shape": list(digest.shape), "sums": [_rounded(number) for number in digest.sums]}
    if found.numel() == 0:
        return {"shape": list(found.shape)}
    is_bool = getattr(value, "dtype", None) in (torch.bool, np.bool_) or isinstance(value, bool)
    return found.bool().tolist() if is_bool else _rounded(found.tolist())


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "is" in value:
        return value["is"]
    if "sums" in value:
        return Digest(tuple(value["shape"]), tuple(value["sums"]))
    return torch.empty(value["shape"])


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return int(value) if value == value and abs(value) < 1e15 and value == int(value) else float(f"{value:.9g}")
