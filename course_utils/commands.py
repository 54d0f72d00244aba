"""A command of the command line is a function with its options beside it."""

import argparse
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple, NoReturn

Option = tuple[tuple[str, ...], dict[str, Any]]


class Command(NamedTuple):
    """`run` takes the parsed arguments and returns the exit status; its docstring is the help, its first line the short one."""

    run: Callable[[argparse.Namespace], int]
    options: tuple[Option, ...]
    passes_on: str = ""  # whose options it hands over, in `arguments.rest`


def option(*names: str, **how: Any) -> Option:
    """An argument, as `ArgumentParser.add_argument` takes it."""
    return names, how


def command(*options: Option, passes_on: str = "") -> Callable[[Callable], Command]:
    """Make a command of the decorated function; `passes_on` names the program that gets the options it does not know."""
    return lambda function: Command(function, options, passes_on)


def whole_number(least: int) -> Callable[[str], int]:
    """A type for numbers that are at least this."""

    def number(word: str) -> int:
        if not word.lstrip("-").isdigit() or int(word) < least:
            raise argparse.ArgumentTypeError(f"{word!r} is no whole number that is at least {least}")
        return int(word)

    return number


def parse(groups: dict[str, list[Command]], words: list[str], description: str) -> tuple[Command, argparse.Namespace]:
    """The command that the words name, and its arguments; without words, the help.

    A call that is not understood ends in SystemExit(2) and one line on stderr, with the nearest word that would be.
    """
    commands = {one.run.__name__: one for group in groups.values() for one in group}
    name, *rest = words or ["--help"]
    if name in ("-h", "--help"):
        print(_overview(groups, description))
        raise SystemExit(0)
    if name not in commands:
        _refuse("course", f"there is no command {name!r}{_nearest(name, commands)}")
    return commands[name], _arguments(commands[name], rest)


def _refuse(program: str, message: str) -> NoReturn:
    print(f"{program}: {message} ({program} --help lists all)", file=sys.stderr)
    raise SystemExit(2)


class _Parser(argparse.ArgumentParser):
    """One that ends a call that it does not understand in one line."""

    def error(self, message: str) -> NoReturn:
        _refuse(self.prog, message)


def _overview(groups: dict[str, list[Command]], description: str) -> str:
    listed = [line for title, group in groups.items() for line in (f"\n{title}:", *map(_line, group))]
    last = "\ncourse COMMAND --help says what a command takes."
    return "\n".join(["usage: course COMMAND ...", f"\n{description}", *listed, last])


def _line(one: Command) -> str:
    """A command's name and the first line of its help, in one line of the terminal."""
    room = max(40, shutil.get_terminal_size().columns - 14)
    summary = (one.run.__doc__ or "").partition("\n")[0]
    return f"  {one.run.__name__:<10}  {textwrap.shorten(summary, room, placeholder=' ...')}"


def _nearest(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f": did you mean {close[0]}?" if close else ""


def _arguments(chosen: Command, words: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog=f"course {chosen.run.__name__}",
        description=chosen.run.__doc__,
        usage=f"%(prog)s [options of {chosen.passes_on}]" if chosen.passes_on else None,
        allow_abbrev=False,
    )
    for names, how in chosen.options:
        parser.add_argument(*names, **how)
    arguments, rest = parser.parse_known_args(words)
    if rest and not chosen.passes_on:
        known = ["--help", *(name for names, _ in chosen.options for name in names if name.startswith("-"))]
        parser.error(f"{rest[0]} is not understood{_nearest(rest[0], known)}")
    arguments.command, arguments.rest = chosen.run.__name__, [word for word in rest if word != "--"]
    return arguments
