"""Calls the student's function, and notices what it leaves behind."""

import copy
import linecache
import random
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from course_utils.check.expect import Fix

CHANGES_INPUT = "it changes its input: work on a copy (no `x[...] = `, no `+=`, no `.sort()` of an array, no `.pop()` of a list, no methods that end in `_`)"
TRACES = {
    "mode": "it leaves the network in another mode (train or eval): put it back as it came, or do not switch it at all",
    "type": "it changes the type of the network's numbers, and leaves it so: the network comes back as it was",
    "frozen": "it leaves requires_grad changed: what was frozen stays frozen, what was not stays free (torch.no_grad() needs no such switch)",
    "gradients": "it leaves another gradient in the network (.grad): backward() and zero_grad() are left to the training loop; return the loss",
    "weights": "it changes the network's weights: leave that to the training loop",
    "buffers": "it changes the network's buffers, such as BatchNorm's running mean",
}
GLOBAL_DRAWS = "it draws from a generator of the whole program, or seeds one (torch.manual_seed, np.random, random): {cure}"


class Guarded:
    """The student's function; what goes wrong comes out as Fix, with the cause in words.

    `changes` names what the function is there to change in a network: keys of TRACES.
    """

    def __init__(self, function: Callable, changes: Iterable[str] = ()):
        self.function = function
        self.name = getattr(function, "__name__", "the function")
        self.changes = frozenset(changes)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arguments = (*args, *kwargs.values())
        before = copy.deepcopy([_plain(a) for a in arguments])
        tensors = [a for a in arguments if isinstance(a, torch.Tensor)]
        flags, grads = [a.requires_grad for a in tensors], _gradients(tensors)
        networks = [(a, _state(a)) for a in arguments if isinstance(a, nn.Module)]
        program, generators = _program(), _generators()
        try:
            result = self.function(*args, **kwargs)
        except (TimeoutError, RecursionError, Fix):
            raise
        except Exception as error:
            if is_unsolved(error):
                raise
            if "in-place operation" in str(error):
                raise Fix(CHANGES_INPUT, error) from None
            raise Fix(f"it raised {type(error).__name__}: {one_line(error)}{_where(error, self.function)}", error) from None
        finally:
            left = _left_behind(program, generators)
            changed = _restore(before, arguments)
        if changed or [a.requires_grad for a in tensors] != flags:
            raise Fix(CHANGES_INPUT)
        if not _alike(grads, _gradients(tensors)):
            raise Fix(TRACES["gradients"].replace("in the network ", ""))
        if left:
            has_own = any(isinstance(a, torch.Generator | np.random.Generator) for a in arguments)
            raise Fix(left.format(cure="draw from `rng`, and from nothing else" if has_own else "nothing is random here"))
        for network, state in networks:
            trace = next((kind for kind, old in state.items() if not _alike(old, _state(network)[kind])), None)
            if trace is not None and trace not in self.changes:
                raise Fix(TRACES[trace])
        if result is None:
            raise Fix("it returned None: is the `return` missing?")
        return result


def is_unsolved(error: BaseException) -> bool:
    """Whether a stub raised this; torch raises NotImplementedError, too, when it gets numbers of the wrong type."""
    words = str(error).split()
    return isinstance(error, NotImplementedError) and len(words) == 2 and words[0] == "Exercise" and "." in words[1]


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _state(network: nn.Module) -> dict[str, list]:
    """What may be told of a network by a key of TRACES, in the order in which it is looked at."""
    parameters, buffers = list(network.parameters()), list(network.buffers())
    return {
        "mode": [module.training for module in network.modules()],
        "type": [tensor.dtype for tensor in (*parameters, *buffers)],
        "frozen": [parameter.requires_grad for parameter in parameters],
        "gradients": _gradients(parameters),
        "weights": [parameter.detach().clone() for parameter in parameters],
        "buffers": [buffer.detach().clone() for buffer in buffers],
    }


def _gradients(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor | None]:
    return [a.grad.detach().clone() if a.is_leaf and a.grad is not None else None for a in tensors]


def _alike(old: list, new: list) -> bool:
    return len(old) == len(new) and all(
        torch.equal(a.nan_to_num(), b.nan_to_num())
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)
        else a is b or (not isinstance(a, torch.Tensor) and not isinstance(b, torch.Tensor) and a == b)
        for a, b in zip(old, new)
    )


def _program() -> tuple:
    return torch.is_grad_enabled(), torch.get_default_dtype(), np.geterr()


def _generators() -> tuple:
    return torch.get_rng_state(), np.random.get_state(), random.getstate()


def _left_behind(program: tuple, generators: tuple) -> str | None:
    """Undo what the function did to the whole program; what it was, in words."""
    gradients, dtype, warnings = program
    cause = None
    if torch.is_grad_enabled() != gradients:
        torch.set_grad_enabled(gradients)
        cause = "it leaves gradients switched off for all that follows: use `with torch.no_grad():` around a block"
    if torch.get_default_dtype() != dtype:
        torch.set_default_dtype(dtype)
        cause = "it changes torch's default type for all that follows: give a tensor its own, .double()"
    if np.geterr() != warnings:
        np.seterr(**warnings)
        cause = "it switches numpy's warnings for all that follows: use `with np.errstate(...):` around a block"
    if not _same_generators(_generators(), generators):
        torch.set_rng_state(generators[0])
        np.random.set_state(generators[1])
        random.setstate(generators[2])
        cause = cause or GLOBAL_DRAWS
    return cause


def _same_generators(one: tuple, other: tuple) -> bool:
    same_numpy = all(np.array_equal(a, b) for a, b in zip(one[1], other[1]))
    return torch.equal(one[0], other[0]) and same_numpy and one[2] == other[2]


def _plain(value: Any) -> Any:
    """A form of an argument that can be copied: tensors without their gradient graph, everything else as it is."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return value if isinstance(value, np.ndarray | list | dict | int | float | str) else None


def _same(before: Any, after: Any) -> bool:
    if isinstance(after, tuple):
        return all(_same(a, b) for a, b in zip(before, after))
    if isinstance(after, torch.Tensor):
        return before.shape == after.shape and torch.equal(before.nan_to_num(), after.detach().nan_to_num())
    if isinstance(after, np.ndarray):
        return np.array_equal(before, after, equal_nan=after.dtype.kind == "f")
    return before is None or not isinstance(after, list | dict) or repr(before) == repr(after)


def _restore(before: Iterable, after: Iterable) -> bool:
    """Undo what the function did to its arguments: later calls use the same numbers. Whether there was anything."""
    changed = [(old, new) for old, new in zip(before, after) if not _same(old, new)]
    for old, new in changed:
        if isinstance(new, tuple):
            _restore(old, new)
        elif isinstance(new, torch.Tensor) and new.shape == old.shape:
            new.data.copy_(old)
        elif isinstance(new, torch.Tensor):
            new.data = old
        elif isinstance(new, np.ndarray) and new.shape == old.shape:
            new[...] = old
        elif isinstance(new, list):
            new[:] = old
        elif isinstance(new, dict):
            new.clear()
            new.update(old)
    return bool(changed)


def _where(error: BaseException, function: Callable) -> str:
    """The line of the student's own code that raised, if it can be found."""
    code = getattr(function, "__code__", None)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if code is not None and frame.filename == code.co_filename and frame.lineno is not None:
            line = linecache.getline(frame.filename, frame.lineno).strip()
            return f" (in `{line}`)" if line else ""
    return ""
