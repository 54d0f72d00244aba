"""A command of the command line is a function with its options beside it."""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

Option = tuple[tuple[str, ...], dict[str, Any]]


class Command(NamedTuple):
    """`run` takes the parsed arguments and returns the exit status; its docstring is the help."""

    run: Callable[[argparse.Namespace], int]
    options: tuple[Option, ...]
    passes_on: bool = False  # options that it does not know are handed over in `arguments.rest`


def option(*names: str, **how: Any) -> Option:
    """An argument, as `ArgumentParser.add_argument` takes it."""
    return names, how


def command(*options: Option, passes_on: bool = False) -> Callable[[Callable], Command]:
    """Make a command of the decorated function."""
    return lambda function: Command(function, options, passes_on)


def whole_number(least: int) -> Callable[[str], int]:
    """A type for numbers that are at least this."""

    def number(word: str) -> int:
        if not word.lstrip("-").isdigit() or int(word) < least:
            raise argparse.ArgumentTypeError(f"{word!r} is no whole number that is at least {least}")
        return int(word)

    return number


def parse(commands: list[Command], words: list[str], description: str) -> tuple[Command, argparse.Namespace]:
    """The command that the words name, and its arguments; SystemExit with the usage where they are not understood."""
    parser = argparse.ArgumentParser(prog="course", description=description)
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for one in commands:
        name, words_of_help = one.run.__name__, one.run.__doc__
        own = choices.add_parser(name, help=words_of_help, description=words_of_help)
        own.set_defaults(chosen=one)
        for names, how in one.options:
            own.add_argument(*names, **how)
    arguments, rest = parser.parse_known_args(words)
    if rest and not arguments.chosen.passes_on:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = [word for word in rest if word != "--"]
    return arguments.chosen, arguments
