"""SVG by hand: elements, and lines of text whose width is known without a browser."""

import functools
import re
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import matplotlib
from fontTools.ttLib import TTFont

FONT, LINE = 16, 19  # size of the letters, and from line to line


def add(parent: Element, tag: str, words: str | None = None, /, **attributes: object) -> Element:
    """A new child; `stroke_width=2.0` becomes stroke-width="2", and an attribute that is None is left out."""
    texts = {
        name.replace("_", "-"): f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
        for name, value in attributes.items()
        if value is not None
    }
    child = SubElement(parent, tag, texts)
    child.text = words
    return child


@functools.cache
def _widths() -> dict[int, float]:
    """How wide a letter is, of an em, in DejaVu Sans: the widest of the fonts that a reader may have."""
    font = TTFont(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    em = font["head"].unitsPerEm
    return {code: font["hmtx"][name][0] / em for code, name in font.getBestCmap().items()}


def pieces(line: str) -> list[tuple[str, str]]:
    """A line of text as (letters, style): `_x` and `_{xy}` are lowered, `^x` and `^{xy}` raised, `*x*` is italic."""
    found = re.findall(r"([_^])(?:\{(.+?)\}|(.))|\*(.+?)\*|([^_^*]+)", line)
    return [(more or one or slanted or plain, sign or "*" * bool(slanted)) for sign, more, one, slanted, plain in found]


def width(text: str) -> int:
    """How wide the widest line of a text may become."""

    def of(line: str) -> float:
        scales = {"_": 0.75, "^": 0.75}
        return sum(
            _widths().get(ord(one), 1) * scales.get(style, 1) for letters, style in pieces(line) for one in letters
        )

    return round(FONT * max(map(of, text.split("\n"))))


def write(parent: Element, x: int, middle: float, text: str, fill: str, anchor: str = "middle") -> None:
    """Lines of text, `middle` halfway down."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        y = middle + 0.35 * FONT + (number - (len(lines) - 1) / 2) * LINE
        own, now = add(parent, "text", x=x, y=y, fill=fill, text_anchor=anchor), 0
        for letters, style in pieces(line):
            level = {"_": 4, "^": -6}.get(style, 0)
            slant = "italic" if style == "*" else None
            add(own, "tspan", letters, dy=level - now or None, font_size=12 if level else None, font_style=slant)
            now = level


def contrast(one: str, two: str) -> float:
    """How far apart two colours are in lightness, from 1 to 21 (the contrast ratio of WCAG 2)."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)
