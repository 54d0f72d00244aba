"""Data-flow diagrams: from a text that people edit, `docs/figures/NAME.toml`, to a picture, `docs/figures/NAME.svg`.

A source lays its boxes out as a table of names (a name that fills several cells is one box), and its arrows as lines such as
`image -> view -> network`, with `-->` where no gradient flows. Arrows are straight, so two boxes that an arrow joins have a row or
a column in common. `docs/figures/HOWTO.txt` tells all that a source may hold.
"""

import re
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, tostring

from course_utils import ROOT, looks
from course_utils.authoring.pictograms import DARK, IMAGES, LIGHT, NODES, SIZE, Picture
from course_utils.authoring.svg import FONT, LINE, add, contrast, width, write

FIGURES, PAGES = ROOT / "docs" / "figures", ROOT / "docs" / "methods"
ACROSS, DOWN, MARGIN, PADDING = 26, 24, 16, 10  # between columns, between rows, around all, inside a box
GAP, LEGEND = 6, 26  # between a picture and the words below it; for the line at the bottom
# Behind all is a light card: an image cannot know whether the page around it is dark, and without a card lines, dashes and words
# would have to be of a grey that is weak on both.
CARD, LINES = "#F4F4F4", "#6B6B6B"
DASHES = "5 4"
KEYS = {"title", "method", "words", "formula", "grid", "arrows", "boxes"}
KINDS = (*IMAGES, "graph", "answer", "network", "step", "store", "loss")
SHOWN = re.compile(r"!\[[^]]*\]\((\S*figures)/(\w+)\.svg\)")


class Area(NamedTuple):
    """Cells of the grid (`right` and `bottom` are the first cells outside) or pixels."""

    left: int
    top: int
    right: int
    bottom: int


class Box(NamedTuple):
    area: Area
    text: str
    picture: Picture
    constant: bool = False  # only arrows without gradient lead here

    @property
    def kind(self) -> str:
        return self.picture.kind


class Arrow(NamedTuple):
    start: str
    end: str
    dashed: bool


class Diagram(NamedTuple):
    """What a source says; `method` gives the colour, `words` are for those who cannot see the diagram."""

    name: str
    title: str
    method: str
    words: str
    formula: str
    boxes: dict[str, Box]
    arrows: list[Arrow]


# ----------------------------------------------------------------------------------------------------------- source


def sources(names: list[str] | None = None) -> list[Path]:
    """The sources of all diagrams, or of those named. ValueError for a name that none has."""
    found = sorted(FIGURES.glob("*.toml"))
    unknown = sorted(set(names or []) - {path.stem for path in found})
    if unknown:
        raise ValueError(f"no diagram {', '.join(unknown)}; there are {', '.join(path.stem for path in found)}")
    return [path for path in found if not names or path.stem in names]


def read(path: Path) -> Diagram:
    """The diagram that a source describes. ValueError, with the file and the cure, for what cannot be drawn."""
    try:
        return _diagram(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name} is no TOML: {error}. Cure: compare that line with another source") from None
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def _diagram(name: str, source: dict[str, Any]) -> Diagram:
    missing, unknown = sorted(KEYS - {"formula"} - set(source)), sorted(set(source) - KEYS)
    if missing or unknown:
        what = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown)} unknown"
        raise ValueError(f"{what}. Cure: a source has {', '.join(sorted(KEYS))}")
    words = " ".join(source["words"].split())
    if len(words) < 80 or not words.endswith("."):
        raise ValueError("words are for those who cannot see the diagram. Cure: tell the way of an image, in sentences")
    if source["method"] not in looks.METHODS:
        raise ValueError(f"method {source['method']!r} has no colour. Cure: one of {', '.join(looks.METHODS)}")
    areas = _areas(source["grid"])
    boxes = {own: _box(own, areas, **how) for own, how in source["boxes"].items()}
    if empty := sorted(set(areas) - set(boxes)):
        raise ValueError(f"the grid has {', '.join(empty)}. Cure: say under [boxes] what it is, or write a dot")
    arrows = _arrows(source["arrows"], boxes)
    for own, box in boxes.items():
        reaching = [arrow.dashed for arrow in arrows if arrow.end == own]
        boxes[own] = box._replace(constant=bool(reaching) and all(reaching))
    return Diagram(name, source["title"], source["method"], words, source.get("formula", ""), boxes, arrows)


def _areas(grid: str) -> dict[str, Area]:
    rows = [line.split() for line in grid.strip().splitlines()]
    if len({len(row) for row in rows}) != 1:
        raise ValueError("the rows of the grid differ in length. Cure: a dot for each empty cell")
    cells: dict[str, list[tuple[int, int]]] = {}
    for y, row in enumerate(rows):
        for x, name in enumerate(row):
            cells.setdefault(name, []).append((x, y))
    cells.pop(".", None)
    areas = {}
    for name, own in cells.items():
        (left, right), (top, bottom) = ((min(side), max(side) + 1) for side in zip(*own))
        if len(own) != (right - left) * (bottom - top):
            raise ValueError(f"the cells of {name} are no rectangle. Cure: another name for some of them")
        areas[name] = Area(left, top, right, bottom)
    return areas


def _box(name: str, areas: dict[str, Area], kind: str = "", text: str = "", **how: Any) -> Box:
    if name not in areas:
        raise ValueError(f"box {name} is not in the grid. Cure: write {name} into a cell")
    if kind not in KINDS:
        raise ValueError(f"box {name} has the kind {kind!r}. Cure: one of {', '.join(KINDS)}")
    if unknown := sorted(set(how) - {"shows", "bars", "lines"}):
        raise ValueError(f"box {name} has {', '.join(unknown)}. Cure: only kind, text, shows, bars and lines are drawn")
    if not text:
        raise ValueError(f"box {name} has no text. Cure: give it a word or two")
    shows, bars, lines = how.get("shows", ""), tuple(how.get("bars", ())), tuple(how.get("lines", ()))
    if kind in IMAGES and (not shows or (kind == "mixture" and any(len(row) % 2 for row in shows.split()))):
        raise ValueError(f'box {name} shows no image. Cure: shows = "7", a digit for each image, two for a mixture')
    if kind == "graph" and (len(shows) != len(NODES) or set(shows) - set("AB.")):
        raise ValueError(f"box {name} has no classes. Cure: shows = {len(NODES)} letters, A, B or a dot")
    if (
        (kind == "answer") != bool(bars)
        or len(lines) not in (0, len(bars))
        or not all(0 <= b <= 1 for b in bars + lines)
    ):
        raise ValueError(
            f"box {name} needs bars if it is an answer. Cure: bars = [0.1, 0.8, 0.1], and as many lines or none"
        )
    return Box(areas[name], text, Picture(kind, shows, bars, lines))


def _arrows(text: str, boxes: dict[str, Box]) -> list[Arrow]:
    arrows: dict[Arrow, Area] = {}
    for line in text.strip().splitlines():
        words = line.split()
        if len(words) % 2 == 0 or not set(words[1::2]) <= {"->", "-->"}:
            raise ValueError(
                f"the arrows {line!r} are not understood. Cure: box -> box, or --> where no gradient flows"
            )
        for name in words[::2]:
            if name not in boxes:
                raise ValueError(f"an arrow names {name}, and no box is called so. Cure: one of {', '.join(boxes)}")
        for start, sign, end in zip(words[::2], words[1::2], words[2::2]):
            arrows[Arrow(start, end, sign == "-->")] = _way(start, end, boxes)
    for arrow, way in arrows.items():
        for name, box in boxes.items():
            if name not in arrow[:2] and _meet(way, box.area):
                raise ValueError(f"the arrow from {arrow.start} to {arrow.end} runs through {name}. Cure: move a box")
    for one, two in combinations(arrows, 2):
        if _meet(arrows[one], arrows[two]) and not {*one[:2]} & {*two[:2]}:
            raise ValueError(
                f"the arrows {one.start} to {one.end} and {two.start} to {two.end} cross. Cure: move a box"
            )
    return list(arrows)


def _way(start: str, end: str, boxes: dict[str, Box]) -> Area:
    """The cells between two boxes through which a straight arrow runs."""
    a, b = boxes[start].area, boxes[end].area
    left, top, right, bottom = _overlap(a, b)
    if left < right:
        return Area(left, bottom, right, top)
    if top < bottom:
        return Area(right, top, left, bottom)
    raise ValueError(f"no straight arrow runs from {start} to {end}. Cure: give them a row or a column in common")


def _overlap(a: Area, b: Area) -> Area:
    """What two areas have in common; where they have nothing, right is left of left, or bottom above top: the gap."""
    return Area(max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom))


def _meet(a: Area, b: Area) -> bool:
    left, top, right, bottom = _overlap(a, b)
    return left < right and top < bottom


# ----------------------------------------------------------------------------------------------------------- layout


def places(diagram: Diagram) -> dict[str, Area]:
    """Where each box is drawn, in pixels."""
    columns, rows = _tracks(diagram, 0, ACROSS), _tracks(diagram, 1, DOWN)
    return {
        name: Area(columns[left][0], rows[top][0], columns[right - 1][1], rows[bottom - 1][1])
        for name, (left, top, right, bottom) in ((name, box.area) for name, box in diagram.boxes.items())
    }


def _tracks(diagram: Diagram, side: int, gap: int) -> list[tuple[int, int]]:
    """From where to where each column (side 0) or row (side 1) runs: as narrow as the boxes allow."""
    boxes = [(box.area[side], box.area[side + 2], _needs(box)[side]) for box in diagram.boxes.values()]
    sizes = [0] * max(end for _, end, _ in boxes)
    for start, end, need in sorted(boxes, key=lambda box: box[1] - box[0]):  # those in one track first
        lacking = need - sum(sizes[start:end]) - gap * (end - start - 1)
        for number in range(start, end):
            sizes[number] += max(0, -(-lacking // (end - start)))
    starts = [MARGIN + sum(sizes[:number]) + gap * number for number in range(len(sizes))]
    return [(start, start + size) for start, size in zip(starts, sizes)]


def _needs(box: Box) -> tuple[int, int]:
    """Width and height that a box cannot do without."""
    wide, high = _content(box)
    slopes = 10 if box.kind in ("step", "loss") else 0
    return wide + 2 * PADDING + slopes, high + (26 if box.kind == "store" else 16)


def _content(box: Box) -> tuple[int, int]:
    """Width and height of picture and words together."""
    (wide, high), words, lines = box.picture.size, width(box.text), LINE * (box.text.count("\n") + 1)
    if _stands_above(box):
        return max(wide, words), high + GAP + lines
    return wide + PADDING * bool(wide) + words, max(high, lines)


def _stands_above(box: Box) -> bool:
    """A picture of more than one row stands above the words, others beside them."""
    return box.picture.size[1] > SIZE


# ------------------------------------------------------------------------------------------------------------- draw


def draw(diagram: Diagram) -> str:
    """The diagram as the text of an SVG file."""
    areas, color = places(diagram), looks.look(diagram.method).color
    dashes = any(arrow.dashed for arrow in diagram.arrows)
    wide = MARGIN + max(area.right for area in areas.values())
    high = MARGIN + max(area.bottom for area in areas.values()) + LEGEND * bool(dashes or diagram.formula)
    svg = Element(
        "svg", xmlns="http://www.w3.org/2000/svg", width=f"{wide}", height=f"{high}", viewBox=f"0 0 {wide} {high}"
    )
    svg.attrib |= {"role": "img", "aria-labelledby": f"{diagram.name}-title {diagram.name}-words"}
    svg.attrib |= {"font-family": "system-ui, sans-serif", "font-size": f"{FONT}"}
    add(svg, "title", diagram.title, id=f"{diagram.name}-title")
    add(svg, "desc", diagram.words, id=f"{diagram.name}-words")
    size = {"markerUnits": "userSpaceOnUse", "markerWidth": "10", "markerHeight": "10", "refX": "8", "refY": "5"}
    head = add(svg, "marker", id=f"{diagram.name}-head", orient="auto", **size)
    add(head, "path", d="M0 0.5L9 5L0 9.5z", fill=LINES)
    add(svg, "rect", width=wide, height=high, rx=4, fill=CARD)
    for arrow in diagram.arrows:
        way = _line(areas[arrow.start], areas[arrow.end])
        style = {"stroke": LINES, "stroke_width": 2, "stroke_dasharray": DASHES if arrow.dashed else None}
        add(svg, "path", d=way, **style, marker_end=f"url(#{diagram.name}-head)")
    for name, box in diagram.boxes.items():
        _draw_box(svg, box, areas[name], color)
    middle = high - MARGIN - 4
    if diagram.formula:
        write(svg, MARGIN, middle, diagram.formula, DARK, "start")
    if dashes:
        x = wide - MARGIN - width("no gradient")
        add(svg, "path", d=f"M{x - 42} {middle}h34", stroke=LINES, stroke_width=2, stroke_dasharray=DASHES)
        write(svg, x, middle, "no gradient", DARK, "start")
    whole = tostring(svg, encoding="unicode")
    for child in svg:  # each on a line of its own, so that a change shows
        whole = whole.replace(part := tostring(child, encoding="unicode"), f"\n{part}")
    return whole.replace("</svg>", "\n</svg>\n")


def _line(a: Area, b: Area) -> str:
    """A straight line from box to box, in the middle of what they have in common."""
    left, top, right, bottom = _overlap(a, b)
    if left < right:
        x = (left + right) // 2
        return f"M{x} {a.bottom}V{b.top - 1}" if a.bottom < b.top else f"M{x} {a.top}V{b.bottom + 1}"
    y = (top + bottom) // 2
    return f"M{a.right} {y}H{b.left - 1}" if a.right < b.left else f"M{a.left} {y}H{b.right + 1}"


def paint(box: Box, color: str) -> tuple[str, str, str]:
    """The colours of a box: inside, outline, words."""
    inside, outline = {"network": (color, color), "loss": (DARK, DARK), "step": ("#E2E2E2", LINES)}.get(
        box.kind, (LIGHT, LINES)
    )
    if box.constant and box.kind == "network":
        inside, outline = LIGHT, DARK
    return inside, outline, max("#FFFFFF", "#000000", key=lambda words: contrast(words, inside))


def _draw_box(svg: Element, box: Box, area: Area, color: str) -> None:
    left, top, right, bottom = area
    wide, high = right - left, bottom - top
    inside, outline, words = paint(box, color)
    style = {"fill": inside, "stroke": outline, "stroke_width": 2, "stroke_dasharray": DASHES if box.constant else None}
    if box.kind == "step":
        way = f"M{left + 8} {top}H{right - 8}l8 8V{bottom - 8}l-8 8H{left + 8}l-8 -8V{top + 8}z"
        add(svg, "path", d=way, **style)
    elif box.kind == "store":
        half = f"a{wide / 2:g} 7 0 0"
        add(svg, "path", d=f"M{left} {top + 7}{half} 1 {wide} 0V{bottom - 7}{half} 1 -{wide} 0z", **style)
        add(svg, "path", d=f"M{left} {top + 7}{half} 0 {wide} 0", **style | {"fill": "none"})
    else:
        corner = {"network": 14, "loss": min(high // 2, 27)}.get(box.kind)
        add(svg, "rect", x=left, y=top, width=wide, height=high, rx=corner, **style)
    middle_x, middle_y = (left + right) // 2, (top + bottom) // 2 + (5 if box.kind == "store" else 0)
    (picture_wide, picture_high), (content_wide, content_high) = box.picture.size, _content(box)
    if _stands_above(box):
        y = middle_y - content_high // 2
        box.picture.draw(svg, middle_x - picture_wide // 2, y, color)
        write(svg, middle_x, y + (picture_high + GAP + content_high) / 2, box.text, words)
    else:
        x = middle_x - content_wide // 2
        box.picture.draw(svg, x, middle_y - picture_high // 2, color)
        write(svg, x + content_wide - width(box.text) // 2, middle_y, box.text, words)


# ------------------------------------------------------------------------------------------------------------ build


def build(path: Path) -> Path:
    """Draw a source's diagram beside it; returns the SVG file."""
    target = path.with_suffix(".svg")
    target.write_text(draw(read(path)), encoding="utf-8")
    return target


def markdown(path: Path, folder: str = "../docs/figures") -> str:
    """What shows a diagram in a lesson (on a page: another `folder`), with its words for where it cannot be seen.

    One line, however long: Sphinx would glue the last word of a line to the first of the next.
    """
    return f"![{read(path).words}]({folder}/{path.stem}.svg)"


def with_words(page: str) -> str:
    """The text of a page, the words of each diagram on it those of its source."""
    return SHOWN.sub(lambda found: markdown(sources([found[2]])[0], found[1]), page)


def renew_pages() -> list[Path]:
    """Bring the words on the pages of the methods up to date; returns the pages that have changed."""
    stale = [page for page in sorted(PAGES.glob("*.md")) if page.read_text() != with_words(page.read_text())]
    for page in stale:
        page.write_text(with_words(page.read_text()))
    return stale
