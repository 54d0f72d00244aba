"""The small pictures inside the boxes of a diagram: images of digits and their views, bars of probabilities, a graph.

Every function draws at (x, y), the upper left corner, in the units of the SVG: a pixel at natural size.
"""

from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement

from course_utils import looks

SIZE = 36  # of an image, and the height of bars
DARK, LIGHT, GREY = "#1F1F1F", "#FFFFFF", "#8C8C8C"


def add(parent: Element, tag: str, words: str | None = None, **attributes: object) -> Element:
    """A new child; `stroke_width=2.0` becomes stroke-width="2", and an attribute that is None is left out."""
    texts = {
        name.replace("_", "-"): f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
        for name, value in attributes.items()
        if value is not None
    }
    child = SubElement(parent, tag, texts)
    child.text = words
    return child


class Picture(NamedTuple):
    """What a box shows beside its words: `shows` are digits, in rows; `bars` and `lines` lie between 0 and 1."""

    kind: str
    shows: str = ""
    bars: tuple[float, ...] = ()
    lines: tuple[float, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height; (0, 0) where there is nothing to see."""
        if self.kind in IMAGES:
            (across, down), rows = self._steps, self._rows
            return across * max(map(len, rows)) - 4, down * (len(rows) - 1) + SIZE
        if self.kind == "graph":
            return GRAPH
        return (12 * len(self.bars), SIZE) if self.bars else (0, 0)

    def draw(self, parent: Element, x: int, y: int, color: str) -> None:
        """Draw it; `color` is that of the highest bar."""
        if self.kind in IMAGES:
            across, down = self._steps
            for row, digits in enumerate(self._rows):
                for column, digit in enumerate(digits):
                    IMAGES[self.kind](parent, x + across * column, y + down * row, digit)
        elif self.kind == "graph":
            graph(parent, x, y, self.shows)
        elif self.bars:
            bars(parent, x, y, self.bars, self.lines, color)

    @property
    def _rows(self) -> list[list[str]]:
        """A mixture shows two digits in one image."""
        each = 2 if self.kind == "mixture" else 1
        return [[row[i : i + each] for i in range(0, len(row), each)] for row in self.shows.split()]

    @property
    def _steps(self) -> tuple[int, int]:
        """From an image to the next one, and from a row to the next; tags need room."""
        return (SIZE + 12, SIZE + 8) if self.kind == "labelled" else (SIZE + 4, SIZE + 4)


# ------------------------------------------------------------------------------------------------------------ images


def _square(parent: Element, x: int, y: int, fill: str = DARK) -> None:
    add(parent, "rect", x=x, y=y, width=SIZE, height=SIZE, fill=fill)


def _digit(parent: Element, x: int, y: int, digit: str, turn: int = 0, fill: str = LIGHT, **style: object) -> None:
    middle_x, middle_y = x + SIZE // 2, y + SIZE // 2
    letters = {"font_size": 26, "font_weight": 600, "text_anchor": "middle", "fill": fill}
    turned = f"rotate({turn} {middle_x} {middle_y})" if turn else None
    add(parent, "text", digit, x=middle_x, y=middle_y + 9, transform=turned, **letters, **style)


def image(parent: Element, x: int, y: int, digit: str) -> None:
    """An image of a digit."""
    _square(parent, x, y)
    _digit(parent, x, y, digit)


def labelled(parent: Element, x: int, y: int, digit: str) -> None:
    """An image with its label on a tag at the lower right corner, which stands out by 8."""
    image(parent, x, y, digit)
    add(parent, "rect", x=x + 26, y=y + 19, width=18, height=20, rx=4, fill=LIGHT, stroke=looks.INK, stroke_width=1.5)
    add(parent, "text", digit, x=x + 35, y=y + 34, font_size=14, font_weight=700, text_anchor="middle", fill=DARK)


def weak(parent: Element, x: int, y: int, digit: str) -> None:
    """A weak view: turned a little, and its neighbour to the other side."""
    _square(parent, x, y)
    _digit(parent, x, y, digit, turn=(-9, 9)[x // (SIZE + 4) % 2])


def strong(parent: Element, x: int, y: int, digit: str) -> None:
    """A strong view: turned, paler, with a piece cut out."""
    _square(parent, x, y, fill="#555555")
    _digit(parent, x, y, digit, turn=-24, fill="#E6E6E6")
    add(parent, "rect", x=x + 23, y=y + 20, width=11, height=11, fill="#A0A0A0")


def mixture(parent: Element, x: int, y: int, digits: str) -> None:
    """Two images, one over the other, the first ahead."""
    _square(parent, x, y)
    _digit(parent, x, y, digits[1], fill="#7A7A7A")
    _digit(parent, x, y, digits[0], fill_opacity=0.8)


def fake(parent: Element, x: int, y: int, digit: str) -> None:
    """An image that a generator made: nearly a digit."""
    _square(parent, x, y)
    _digit(parent, x, y, digit, turn=8, fill="none", stroke=LIGHT, stroke_dasharray="5 2")


def noise(parent: Element, x: int, y: int, _: str) -> None:
    """White pixels all over the place."""
    _square(parent, x, y)
    cells = [(i, j) for i in range(9) for j in range(9) if (5 * i * i + 7 * j + 3 * i * j) % 11 in (0, 2, 3, 7)]
    add(parent, "path", d="".join(f"M{x + 4 * i} {y + 4 * j}h4v4h-4z" for i, j in cells), fill=LIGHT)


IMAGES = {
    "labelled": labelled,
    "images": image,
    "weak": weak,
    "strong": strong,
    "mixture": mixture,
    "fake": fake,
    "noise": noise,
}


# --------------------------------------------------------------------------------------------------- bars and graph


def bars(parent: Element, x: int, y: int, heights: tuple[float, ...], lines: tuple[float, ...], color: str) -> None:
    """A bar for each class, the highest one in colour; `lines` are thresholds, one for each class."""
    for number, height in enumerate(heights):
        left, fill = x + 12 * number + 1, color if height == max(heights) else GREY
        if height:
            add(parent, "rect", x=left, y=y + (1 - height) * SIZE, width=10, height=height * SIZE, fill=fill)
    for number, line in enumerate(lines):
        add(parent, "path", d=f"M{x + 12 * number} {y + (1 - line) * SIZE:.1f}h12", stroke=DARK, stroke_width=2.5)
    add(parent, "path", d=f"M{x - 1} {y + SIZE}h{12 * len(heights) + 2}", stroke=DARK, stroke_width=1.5)


NODES = [(14, 14), (48, 8), (84, 18), (30, 42), (66, 44), (104, 46), (18, 70), (54, 76), (92, 74)]
NEAR = [(0, 1), (0, 3), (1, 3), (3, 6), (3, 7), (6, 7), (2, 5), (2, 4), (4, 5), (4, 8), (5, 8)]
FAR = [(1, 2), (7, 8)]
GRAPH = (118, 84)


def graph(parent: Element, x: int, y: int, classes: str) -> None:
    """Images as nodes, joined where they are alike; `classes` has for each A, B or, where none is known, a dot."""
    for edge in NEAR + FAR:
        (x0, y0), (x1, y1) = (NODES[end] for end in edge)
        width = 1 if edge in FAR else 3
        add(parent, "path", d=f"M{x + x0} {y + y0}L{x + x1} {y + y1}", stroke=GREY, stroke_width=width)
    for (dx, dy), name in zip(NODES, classes, strict=True):
        fill = {"A": looks.CLASSES[0], "B": looks.CLASSES[1]}.get(name, LIGHT)
        if name == "B":
            node = add(parent, "rect", x=x + dx - 8, y=y + dy - 8, width=16, height=16, fill=fill)
        else:
            node = add(parent, "circle", cx=x + dx, cy=y + dy, r=9 if name == "A" else 7, fill=fill)
        node.attrib |= {"stroke": looks.INK, "stroke-width": "1.5"}
