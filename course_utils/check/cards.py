"""A word to the student: a card in a live notebook, the same words as plain text everywhere else.

A card looks alike in JupyterLab, VS Code and Colab, in light and in dark: it takes the page's own colour for its text, on a thin
tint of the kind's colour, and says its kind by a sign and a word, too. Where outputs are compared or read without HTML (a terminal,
a notebook that is executed by a program, nbgrader) the text is printed. Light to import.
"""

import html
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from course_utils import settings

LINE = 100  # characters; JupyterLab breaks longer lines of plain text in the middle of a word


class Kind(NamedTuple):
    """How a card of this kind is marked; white text on `color` has a contrast of at least 4.5:1."""

    sign: str  # no emoji: DejaVu has it, and no system paints it in colours of its own
    word: str
    color: str


KINDS = {
    "ok": Kind("✓", "ok", "#1A7F37"),
    "fix": Kind("!", "fix", "#9A6700"),
    "todo": Kind("○", "to do", "#57606A"),
    "not yet": Kind("○", "not yet", "#57606A"),
    "borrowed": Kind("⇄", "borrowed", "#6639BA"),
    "stopped": Kind("!", "stopped here", "#9A6700"),
    "progress": Kind("→", "progress", "#0B5CAD"),
    "exercise": Kind("✎", "your turn", "#0B5CAD"),
}
TINT = 0.1  # of the kind's colour in a card's background


def line(kind: str, subject: str, message: str) -> str:
    """A word to the student in one line of plain text."""
    return f"[{kind}] {subject}: {message}" if subject else f"[{kind}] {message}"


def tell(kind: str, subject: str, message: str, more: Sequence[str] = ()) -> None:
    """Say `message` about `subject` ("Exercise 6.2", or nothing), and below it each of `more`, which are HTML."""
    text = [line(kind, subject, message), *filter(None, map(plain, more))]
    wrapped = "\n".join(textwrap.fill(part, LINE, break_long_words=False) for part in text)
    sentence = message[:1].upper() + message[1:] + ("" if message.endswith((".", "?", "!")) else ".")
    head = (f"{subject}: {message}",) if kind == "ok" else (subject, prose(sentence))
    show(card(kind, *head, *more), wrapped)


def show(card: str, text: str) -> None:
    """Display a card, or print its text where there are none."""
    if not live():
        print(text)
        return
    from IPython.display import display

    display({"text/html": card, "text/plain": text}, raw=True)


def live() -> bool:
    """Whether cards can be seen: in the kernel of a notebook, unless COURSE_WIDGETS says off, or nbgrader runs it."""
    return settings.WIDGETS and "NBGRADER_EXECUTION" not in os.environ and getattr(shell(), "kernel", None) is not None


def shell() -> Any:
    """IPython's shell, None outside of it; imports nothing that is not there already."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def card(kind: str, title: str, *parts: str) -> str:
    """The HTML of a card with a title in plain text; the parts are HTML."""
    head = f"<div>{badge(kind)} <strong>{prose(title)}</strong></div>"
    rest = "".join(f'<div style="margin-top:0.35em">{part}</div>' for part in parts if part)
    words = "max-width:60em; line-height:1.5; white-space:normal; word-break:normal; overflow-wrap:break-word"
    return f'<div style="{frame(kind)}; {words}">{head}{rest}</div>'


def frame(kind: str) -> str:
    """The style of a box of this kind; inline, because VS Code and JupyterLab leave no other."""
    color = KINDS[kind].color
    return (
        f"box-sizing:border-box; margin:0.3em 0; padding:0.6em 1em; border:1px solid {color}; "
        f"border-left:0.4em solid {color}; border-radius:6px; background:{_tint(color)}"
    )


def badge(kind: str, word: str | None = None, style: str = "") -> str:
    """The sign and the word of a kind, white on its colour; another `word` takes its place, `style` is added."""
    sign, usual, color = KINDS[kind]
    style += f"background:{color}; color:#FFFFFF; border-radius:4px; padding:0.1em 0.5em; font-weight:bold; white-space:nowrap"
    return f'<span style="{style}">{sign} {html.escape(usual if word is None else word)}</span>'


def bar(solved: int, borrowed: int, total: int, width: str = "30em") -> str:
    """How much is done, as a bar without words; what is borrowed stands behind what is solved."""
    parts = {"ok": solved, "borrowed": borrowed}
    filled = "".join(
        f'<div style="width:{100 * part / max(total, 1):.1f}%; height:100%; background:{KINDS[kind].color}"></div>'
        for kind, part in parts.items()
    )
    style = (
        f"display:flex; height:0.6em; width:{width}; max-width:100%; border-radius:0.3em; overflow:hidden; "
        "background:rgba(127,127,127,0.35)"
    )
    return f'<div role="img" aria-label="{solved} of {total} solved" style="{style}">{filled}</div>'


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells of HTML, without lines and stripes; in a narrow window the second cell, the title, gives way."""
    style = "text-align:left; padding:0.15em 0.7em 0.15em 0; border:none; background:none; vertical-align:middle"
    styles = [f"{style}; white-space:{'normal' if column == 1 else 'nowrap'}" for column in range(max(map(len, rows), default=0))]
    lines = ("".join(f'<td style="{style}">{cell}</td>' for style, cell in zip(styles, row)) for row in rows)
    body = "".join(f'<tr style="background:none">{line}</tr>' for line in lines)
    return f'<table style="border-collapse:collapse; border:none; margin:0; font-size:0.92em">{body}</table>'


def prose(text: str) -> str:
    """Plain text as HTML; what stands in `backticks` becomes code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def plain(part: str) -> str:
    """HTML as plain text in one line; code goes into backticks."""
    text = re.sub(r"</?code>", "`", part)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


def _tint(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{TINT})"
