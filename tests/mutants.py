"""Generated wrong answers: every small slip in a solution must be rejected by the exercise's check.

`python tests/mutants.py [lesson ...]` prints a table, and each mutant that its check lets through although nobody has
shown in `answers/lessonNN.py` that it is right (EQUIVALENT). The catalogues in `answers/` hold what people get wrong, with the cause
to be named; the mutants show that no hole is left between those.
"""

import ast
import itertools
import operator
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lessons import answers, numbers, solved, tagged
from tqdm import tqdm

from course_utils.authoring import build, lessons
from course_utils.check import verdict

TIME_LIMIT = 2.0  # seconds for a mutant that never ends

MODULES = {"torch", "F", "np", "math", "itertools"}
ARITHMETIC = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult, ast.FloorDiv],
    ast.FloorDiv: [ast.Div, ast.Mult],
    ast.Pow: [ast.Mult],
    ast.MatMult: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
}
COMMUTATIVE = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr)
IN_PLACE = {
    ast.Add: "iadd",
    ast.Sub: "isub",
    ast.Mult: "imul",
    ast.Div: "itruediv",
    ast.Pow: "ipow",
    ast.MatMult: "imatmul",
}
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
GROUPS = [  # each name is mistaken for the others of its group
    "min max",
    "argmin argmax",
    "minimum maximum",
    "sum mean std",
    "any all",
    "exp log",
    "sqrt square abs",
    "ceil floor",
    "softmax log_softmax sigmoid",
    "softplus relu",
    "ones zeros",
    "rand randn",
    "parameters buffers",
    "x_l x_w x_s",
]
CONFUSED = {name: sorted({*group.split()} - {name}) for group in GROUPS for name in group.split()}
CONFUSED |= {"logsumexp": ["sum"], "nansum": ["sum"]}
SYMMETRIC = {"min", "max", "minimum", "maximum"}
REDUCTIONS = {"none", "mean", "sum"}


@dataclass(frozen=True)
class Mutant:
    """A solution with one change. `line` counts from the first line of the solution."""

    line: int
    before: str
    after: str
    code: str

    @property
    def change(self) -> str:
        """The lines before and after: names the mutant in EQUIVALENT."""
        return f"{self.before} -> {self.after or '(nothing)'}"


@cache
def mutants(source: Path, number: str) -> list[Mutant]:
    """All first-order mutants of an exercise's solution, each once."""
    (cell,) = (cell for cell in tagged(source, "exercise") if build.exercise_number(cell) == number)
    (function,) = ast.parse(cell.source).body
    docstring, *body = function.body
    solution = ast.Module(body, [])
    original = ast.unparse(solution).splitlines()
    seen, found = {tuple(original)}, []
    for changed in Slips(function).inside(solution):
        lines = ast.unparse(changed).splitlines()
        if tuple(lines) not in seen:
            seen.add(tuple(lines))
            code = ast.unparse(replace(function, body=[docstring, *changed.body]))
            found.append(Mutant(*difference(original, lines), code))
    return found


def difference(before: list[str], after: list[str]) -> tuple[int, str, str]:
    """The number of the first line that differs, and what stands there before and after."""
    start = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(before, after)))
    tails = zip(reversed(before[start:]), reversed(after[start:]))
    end = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], tails))
    parts = (lines[start : len(lines) - end] for lines in (before, after))
    return start + 1, *("; ".join(line.strip() for line in part) for part in parts)


def replace(node: ast.AST, **fields) -> ast.AST:
    return ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), **fields}), node)


class Slips:
    """Copies of a function's syntax tree with one change each."""

    def __init__(self, function: ast.FunctionDef):
        arguments = function.args.args
        arrays = ("torch.Tensor", "np.ndarray")
        self.arrays = {a.arg for a in arguments if a.annotation and ast.unparse(a.annotation) in arrays}
        written = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.variables = sorted({a.arg for a in arguments} | written - {"_"})

    def of(self, node: ast.AST) -> Iterator[ast.AST | list[ast.stmt]]:
        """What may stand in a node's place; in place of a statement a list of them."""
        yield from self.statements(node) if isinstance(node, ast.stmt) else self.expressions(node)
        for changed in self.inside(node):
            yield [changed] if isinstance(node, ast.stmt) else changed

    def inside(self, node: ast.AST) -> Iterator[ast.AST]:
        """Copies of a node in which one of its parts is changed."""
        for field, value in ast.iter_fields(node):
            if isinstance(value, ast.AST):
                for new in self.of(value):
                    yield replace(node, **{field: new})
            elif isinstance(value, list):
                for i, (first, second) in enumerate(itertools.pairwise(value) if field == "body" else ()):
                    if not independent(first, second):
                        yield replace(node, body=[*value[:i], second, first, *value[i + 2 :]])
                for i, part in enumerate(value):
                    for new in self.of(part) if isinstance(part, ast.AST) else ():
                        news = new if isinstance(new, list) else [new]
                        yield replace(node, **{field: [*value[:i], *news, *value[i + 1 :]] or [ast.Pass()]})

    def statements(self, node: ast.stmt) -> Iterator[list[ast.stmt]]:
        """What may stand in a statement's place: nothing, its body without its head, another sign, ..."""
        yield []
        match node:
            case ast.With(body=body):
                yield body
            case ast.If(test=test, body=body, orelse=orelse):
                yield body
                yield [ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)]
            case ast.AugAssign(target=target, op=op, value=value):
                yield [ast.Assign([target], value, lineno=0)]
                for other in ARITHMETIC[type(op)]:
                    yield [ast.AugAssign(target, other(), value)]
            case ast.Assign(value=value) | ast.Return(value=value) if not isinstance(value, ast.Tuple | ast.Constant):
                yield [replace(node, value=ast.UnaryOp(ast.USub(), value))]

    def expressions(self, node: ast.AST) -> Iterator[ast.AST]:
        """What may stand in the place of an expression: a part of it, another operator, another variable, ..."""
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                yield left
                yield right
                if not isinstance(op, COMMUTATIVE):
                    yield ast.BinOp(right, op, left)
                for other in ARITHMETIC.get(type(op), ()):
                    yield ast.BinOp(left, other(), right)
                if isinstance(op, ast.Add):  # one term teaches nothing
                    yield ast.BinOp(ast.Call(ast.Attribute(left, "detach"), [], []), op, right)
                    yield ast.BinOp(left, op, ast.Call(ast.Attribute(right, "detach"), [], []))
                for changed, value in ((left, right), (right, left))[: 1 + isinstance(op, COMMUTATIVE)]:
                    if isinstance(changed, ast.Name) and changed.id in self.arrays:
                        yield ast.Call(ast.Name(f"operator.{IN_PLACE[type(op)]}"), [changed, value], [])
            case ast.Compare(left=left, comparators=[right]):
                for other in COMPARISONS:
                    yield ast.Compare(left, [other()], [right])
            case ast.UnaryOp(operand=operand):
                yield operand
            case ast.Constant(value=bool(value)):
                yield ast.Constant(not value)
            case ast.Constant(value=int(value)):
                yield ast.Constant(value + 1)
                yield ast.Constant(value - 1)
            case ast.Constant(value=float(value)):
                yield ast.Constant(value * 2 or 1.0)
                yield ast.Constant(value / 2)
            case ast.Constant(value=str(value)) if value in REDUCTIONS:
                for other in sorted(REDUCTIONS - {value}):
                    yield ast.Constant(other)
            case ast.keyword(arg="dim" | "axis", value=ast.Constant()):
                yield ast.keyword(node.arg, ast.Constant(-1))
            case ast.Name(id=name, ctx=ast.Load()) if name in self.variables:
                for other in self.variables:
                    yield ast.Name(other)
            case ast.Name(id=name):
                for other in CONFUSED.get(name, ()):
                    yield ast.Name(other)
            case ast.Attribute(value=value, attr=name):
                for other in CONFUSED.get(name, ()):
                    yield ast.Attribute(value, other)
            case ast.Call(func=func, args=args, keywords=keywords):
                if isinstance(func, ast.Attribute) and getattr(func.value, "id", None) not in MODULES:
                    yield func.value  # .detach(), .clone(), ... is forgotten
                yield from (arg for arg in args if not isinstance(arg, ast.Starred))
                for i in range(len(args)):
                    yield ast.Call(func, args[:i] + args[i + 1 :], keywords)
                for i in range(len(keywords)):
                    yield ast.Call(func, args, keywords[:i] + keywords[i + 1 :])
                for swapped in swaps(args) if called(func) not in SYMMETRIC else ():
                    yield ast.Call(func, swapped, keywords)
                if called(func) == "range":
                    for op in (ast.Add, ast.Sub):
                        yield ast.Call(func, [*args[:-1], ast.BinOp(args[-1], op(), ast.Constant(1))], [])
            case ast.Dict(keys=keys, values=values):
                for i in range(len(keys)):
                    yield ast.Dict(keys[:i] + keys[i + 1 :], values[:i] + values[i + 1 :])
            case ast.Subscript(value=value):
                yield value
            case ast.Slice(lower=lower, upper=upper):
                for bound in filter(None, (lower, upper)):
                    fields = {"lower" if bound is lower else "upper": None}
                    yield replace(node, **fields)
                    for op in (ast.Add, ast.Sub):
                        shifted = ast.BinOp(bound, op(), ast.Constant(1))
                        yield replace(node, **dict.fromkeys(fields, shifted))
            case ast.Tuple(elts=parts) if not all(isinstance(part, ast.Constant) for part in parts):  # axes are a set
                for swapped in swaps(parts):
                    yield ast.Tuple(swapped)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                yield from (body, orelse, ast.IfExp(test, orelse, body))
            case ast.comprehension(ifs=[_, *_]):
                yield replace(node, ifs=[])


def independent(first: ast.stmt, second: ast.stmt) -> bool:
    """Whether two assignments may change places, because neither uses what the other writes."""
    if not isinstance(first, ast.Assign) or not isinstance(second, ast.Assign):
        return False
    return not (names(*first.targets) & names(second) or names(*second.targets) & names(first))


def names(*nodes: ast.AST) -> set[str]:
    return {part.id for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name)}


def called(function: ast.expr) -> str | None:
    return getattr(function, "attr", getattr(function, "id", None))


def swaps(parts: list) -> Iterator[list]:
    """The parts with two of them exchanged."""
    for i, j in itertools.combinations(range(len(parts)), 2):
        yield [parts[j] if k == i else parts[i] if k == j else part for k, part in enumerate(parts)]


# An exercise with many right answers: a mutant is mostly another of them. Its check holds answers to properties, which the
# wrong answers beside it prove.
OPEN = {"10.10"}


def survives(source: Path, number: str, mutant: Mutant) -> bool:
    """Whether the check lets the mutant through, in a lesson whose other exercises are solved."""
    namespace = {**solved(source), "operator": operator}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns of what mutants divide, Python of what they index
        exec(mutant.code, namespace)
        return (
            verdict(number, namespace[ast.parse(mutant.code).body[0].name], TIME_LIMIT, diagnose=False).status != "fix"
        )


def main(only: list[str]) -> int:
    print("lesson  exercises  mutants  rejected  equivalent  holes")
    holes = []
    for source in lessons(only):
        closed = [number for number in numbers(source) if number not in OPEN]
        pairs = [(number, mutant) for number in closed for mutant in mutants(source, number)]
        progress = tqdm(pairs, source.stem, leave=False)
        left = [(number, mutant) for number, mutant in progress if survives(source, number, mutant)]
        open_ones = [(n, mutant) for n, mutant in left if mutant.change not in answers(source).EQUIVALENT.get(n, {})]
        counts = len(closed), len(pairs), len(pairs) - len(left), len(left) - len(open_ones), len(open_ones)
        print(f"{source.name[:2]:6}  {counts[0]:9}  {counts[1]:7}  {counts[2]:8}  {counts[3]:10}  {counts[4]:5}")
        holes += open_ones
    for number, mutant in holes:
        print(f"{number}  line {mutant.line}: {mutant.change}")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
