"""What a check expects of a value: `Fix` with the cause in words where it is something else."""

import inspect
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

TOLERANCE = 1e-5  # absolute, and relative to the right value; float32 and float64 answers agree better than this


class Fix(Exception):
    """The student's function is wrong; the message says what the likely cause is. `error` is what it raised, if it did."""

    def __init__(self, cause: str, error: BaseException | None = None):
        super().__init__(cause)
        self.error = error


class _Any:
    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()  # stands for a right value that a case leaves open


class Part(NamedTuple):
    """One value that a function returns.

    `kind` is a key of PART_KINDS, or "" for whatever holds the right numbers; a `constant` carries no gradient.
    """

    name: str
    kind: str = ""
    constant: bool = False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) or (_is_array(value) and value.ndim == 0)


def _is_array(value: Any) -> bool:
    return isinstance(value, torch.Tensor | np.ndarray)


PART_KINDS = {
    "float tensor": lambda value: isinstance(value, torch.Tensor) and value.is_floating_point(),
    "int64 tensor": lambda value: isinstance(value, torch.Tensor) and value.dtype == torch.int64,
    "uint8 tensor": lambda value: isinstance(value, torch.Tensor) and value.dtype == torch.uint8,
    "bool tensor": lambda value: isinstance(value, torch.Tensor) and value.dtype == torch.bool,
    "tensor": lambda value: isinstance(value, torch.Tensor),
    "float array": lambda value: isinstance(value, np.ndarray) and value.dtype.kind == "f",
    "integer array": lambda value: isinstance(value, np.ndarray) and value.dtype.kind in "iu",
    "bool array": lambda value: isinstance(value, np.ndarray) and value.dtype == np.bool_,
    "number": lambda value: _is_number(value) and not getattr(value, "requires_grad", False),
}


def expect(actual: Any, right: Any, what: str, tolerance: float = TOLERANCE) -> None:
    """Raise Fix unless `actual` has the shape and the values of `right`.

    Numbers, lists, arrays and tensors of any number type are taken alike; what is no number has to be equal.
    """
    if not agree(actual, right, tolerance):
        raise Fix(difference(actual, right, what))


def agree(actual: Any, right: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether two values are the same: shapes and, up to rounding, numbers; nan and inf agree with themselves only."""
    if isinstance(right, _Any):
        return True
    if isinstance(right, Digest):
        return right.fits(actual, tolerance)
    if isinstance(right, dict):
        return isinstance(actual, dict) and [*actual] == [*right] and all(agree(actual[key], right[key], tolerance) for key in right)
    a, b = numbers(actual), numbers(right)
    if b is None:
        return bool(actual == right)
    if a is None or a.shape != b.shape:
        return False
    number = b.isfinite()  # to infinity everything is close, by a relative tolerance
    other, right_other = a[~number], b[~number]
    known = ~right_other.isnan()
    return (
        torch.allclose(a[number], b[number], atol=tolerance, rtol=tolerance)
        and torch.equal(other.isnan(), ~known)
        and torch.equal(other[known], right_other[known])
    )


class Digest(NamedTuple):
    """Stands for an array that is too large to be kept: its shape, and sums of its numbers with four sets of weights."""

    shape: tuple[int, ...]
    sums: tuple[float, ...]

    @classmethod
    def of(cls, value: Any) -> "Digest":
        found = numbers(value)
        if found is None:
            raise TypeError(f"a {type(value).__name__} has no digest")
        flat = found.flatten()
        position = torch.arange(1, len(flat) + 1, dtype=torch.float64)
        weights = [torch.ones_like(flat), *((position * step).cos() for step in (0.7, 1.9, 2.3))]
        return cls(tuple(found.shape), tuple((flat * weight).sum().item() for weight in weights))

    def fits(self, actual: Any, tolerance: float) -> bool:
        if numbers(actual) is None:
            return False
        own = Digest.of(actual)
        # rounding errors of n numbers add up to about the root of n of them
        bound = tolerance * max(1.0, math.sqrt(math.prod(self.shape)))
        return own.shape == self.shape and all(
            math.isclose(a, b, rel_tol=tolerance, abs_tol=bound) or (math.isnan(a) and math.isnan(b)) for a, b in zip(own.sums, self.sums)
        )


def difference(actual: Any, right: Any, what: str) -> str:
    """In words, how a value differs from the right one."""
    a, b = numbers(actual), numbers(right)
    if isinstance(right, Digest):
        if a is not None and tuple(a.shape) == right.shape:
            return f"{what} is wrong in some of its {a.numel()} values"
    elif b is None:
        return f"{what} is {actual!r}, expected {right!r}"
    if a is None:
        return f"{what} must be a tensor or a number, but is {_kind_of(actual)}"
    if b is None or a.shape != b.shape:
        return f"{what} has shape {tuple(a.shape)}, expected {tuple(right.shape if b is None else b.shape)}"
    shown, wanted = _short(a, actual), _short(b, right)
    if b.numel() > 12:
        off = ~torch.isclose(a, b, atol=TOLERANCE, rtol=TOLERANCE, equal_nan=True)
        place = tuple(off.nonzero()[0].tolist())
        shown, wanted = _short(a[place], actual), _short(b[place], right)
        what = f"{what}, at {list(place) if len(place) > 1 else place[0]},"
    if shown == wanted:  # the same in all digits that are shown
        return f"{what} is off by up to {(a - b).abs().max():.1e}: is something rounded, cut off or added?"
    unknown = b.isnan() & ~a.isnan()
    only = unknown.any() and bool(torch.isclose(a, b, atol=TOLERANCE, rtol=TOLERANCE, equal_nan=True)[~unknown].all())
    why = ": where there is nothing to divide by, the value is unknown, nan" if only else ""
    return f"{what} is {shown}, expected {wanted}{why}"


def expect_kind(value: Any, part: Part) -> None:
    """Raise Fix unless a value that holds the right numbers is also of the kind that the contract asks for."""
    if part.kind and not PART_KINDS[part.kind](value):
        if part.kind == "number" and getattr(value, "requires_grad", False):
            raise Fix(f"{part.name} carries a gradient: a number is wanted, .item()")
        article = "an" if part.kind.startswith(("int", "array")) else "a"
        raise Fix(f"the values are right, but {part.name} must be {article} {part.kind}, and is {_kind_of(value)}")
    if part.constant and getattr(value, "requires_grad", False):
        raise Fix(f"{part.name} carries a gradient: detach first (or work under torch.no_grad())")


def expect_tuple(result: Any, names: Iterable[str]) -> tuple:
    """Raise Fix unless `result` is a tuple (or list) with one part per name; return it."""
    names = tuple(names)
    if not isinstance(result, tuple | list) or len(result) != len(names):
        got = f"{len(result)} values" if isinstance(result, tuple | list) else _kind_of(result)
        raise Fix(f"it must return {len(names)} values, ({', '.join(names)}), but returned {got}")
    return tuple(result)


def expect_loss(result: Any, *logs: str) -> tuple[torch.Tensor, dict[str, Any]]:
    """Raise Fix unless `result` is (scalar loss with a gradient, dict with these numbers to log); return the two."""
    keys = ", ".join(f'"{name}": a number' for name in logs)
    if isinstance(result, torch.Tensor):
        raise Fix("it must return two values, (loss, logs), but returned the loss only")
    loss, found = expect_tuple(result, ("loss", "logs"))
    if isinstance(loss, dict):
        raise Fix("the two values are swapped: return (loss, logs)")
    if not isinstance(found, dict):
        raise Fix(f"logs must be a dict, {{{keys}}}, but is {_kind_of(found)}")
    expect_differentiable(loss)
    for name in logs:
        if name not in found:
            raise Fix(f"logs lacks {name!r}; its keys are {list(found)}")
        value = found[name]
        if getattr(value, "requires_grad", False):
            raise Fix(f"logs[{name!r}] carries a gradient: a number is wanted, .item()")
        if _is_array(value) and value.ndim:
            raise Fix(f"logs[{name!r}] has shape {tuple(value.shape)}: one number is wanted")
        if not _is_number(value):
            raise Fix(f"logs[{name!r}] must be a number, but is {_kind_of(value)}")
    return loss, found


def expect_differentiable(loss: Any, name: str = "the loss") -> None:
    """Raise Fix unless `loss` is one number that can be differentiated."""
    if not isinstance(loss, torch.Tensor):
        raise Fix(f"{name} must be a tensor, so that it can be differentiated: no .item() on it (it is {_kind_of(loss)})")
    if loss.ndim:
        raise Fix(f"{name} has shape {tuple(loss.shape)}: one number is wanted, a mean is missing")
    if not loss.requires_grad:
        raise Fix(f"{name} carries no gradient: no detach, no .item(), no no_grad on the way to it")


def gradients(loss: torch.Tensor, leaves: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """The gradient of a loss to each leaf, zeros where none arrives. The graph stays."""
    leaves = list(leaves)
    found = torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves)]


def flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """All numbers of some tensors in one row."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def weights(module: nn.Module) -> torch.Tensor:
    """All parameters of a network in one row."""
    return flat(module.parameters())


def numbers(value: Any) -> torch.Tensor | None:
    """A value as a float64 tensor; None if it holds no numbers."""
    if isinstance(value, dict | str | None):
        return None
    try:
        if isinstance(value, np.ndarray) and not value.flags.writeable:  # torch would warn
            value = value.copy()
        if isinstance(value, torch.Tensor | np.ndarray):
            return torch.as_tensor(value).detach().cpu().to(torch.float64)
        return torch.as_tensor(value, dtype=torch.float64)  # 1e100 is infinite in float32
    except (TypeError, ValueError, RuntimeError):
        return None


def _kind_of(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of {value.dtype}"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    if inspect.isfunction(value):
        return "a function"
    return "None" if value is None else type(value).__name__


def _short(value: torch.Tensor, original: Any) -> str:
    """A value as text, booleans as such."""
    is_bool = getattr(original, "dtype", None) in (torch.bool, np.bool_) or isinstance(original, bool | np.bool_)
    if isinstance(original, list) and original and all(isinstance(v, bool) for v in original):
        is_bool = True
    is_whole = isinstance(original, int) or (_is_array(original) and not torch.as_tensor(original).is_floating_point())
    found = value.bool().tolist() if is_bool else value.long().tolist() if is_whole else _rounded(value.tolist())
    text = str(found) if value.ndim or is_bool or is_whole else _one_number(value.item())
    return text if len(text) < 100 else text[:97] + "..."


def _one_number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4g}"


def _rounded(value: float | list) -> float | list:
    return [_rounded(v) for v in value] if isinstance(value, list) else round(value, 4)
