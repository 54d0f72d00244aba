"""The diagrams: as their sources say, readable by all, and shown with their words."""

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from browser import CHROMIUM, FLAGS, needs_chromium
from playwright.sync_api import sync_playwright

from course_utils import cli, looks
from course_utils.authoring import diagrams, pictograms
from course_utils.authoring.svg import contrast, pieces, width

SOURCES = diagrams.sources()
METHODS = sorted(path.stem for path in diagrams.PAGES.glob("*.md") if path.stem != "index")
SVG = "{http://www.w3.org/2000/svg}"
each = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)


# ----------------------------------------------------------------------------------------------------- what is there


@each
def test_it_is_what_its_source_draws_now(path):
    svg = path.with_suffix(".svg")
    assert svg.read_text(encoding="utf-8") == diagrams.draw(diagrams.read(path)), f"course diagrams {path.stem}"
    assert svg.stat().st_size < 15_000


@each
def test_it_is_one_image_with_a_title_and_words(path):
    svg = ElementTree.parse(path.with_suffix(".svg")).getroot()
    title, words = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
    assert svg.get("role") == "img" and svg.get("aria-labelledby") == f"{title.get('id')} {words.get('id')}"
    assert title.text == diagrams.read(path).title and words.text == diagrams.read(path).words
    assert 25 <= len(words.text.split()) <= 90 and not set("[]<>$_") & set(words.text)
    assert not svg.findall(f".//{SVG}style") and not svg.findall(f".//{SVG}image")  # nothing that a page may refuse


def test_every_svg_has_a_source():
    assert [path.stem for path in SOURCES] == sorted(path.stem for path in diagrams.FIGURES.glob("*.svg"))


@pytest.mark.parametrize("method", METHODS)
def test_the_page_of_a_method_begins_with_its_diagram_in_words(method):
    page = (diagrams.PAGES / f"{method}.md").read_text()
    words = page[page.index("![") + 2 : page.index("](")]
    assert re.match(rf"# .+\n\n!\[[^]]+\]\(\.\./figures/{method}\.svg\)\n\n## Idea\n", page)
    assert words == diagrams.read(diagrams.FIGURES / f"{method}.toml").words
    assert page == diagrams.with_words(page), "course diagrams"


# ------------------------------------------------------------------------------------------------------------- look


@each
def test_no_two_boxes_overlap_and_all_lie_on_the_card(path):
    diagram = diagrams.read(path)
    areas = diagrams.places(diagram)
    for (one, a), (two, b) in combinations(areas.items(), 2):
        apart = max(a.left, b.left) - min(a.right, b.right), max(a.top, b.top) - min(a.bottom, b.bottom)
        assert max(apart) >= 20, (one, two)
    svg = ElementTree.fromstring(diagrams.draw(diagram))
    assert min(area.left for area in areas.values()) == min(area.top for area in areas.values()) == diagrams.MARGIN
    assert max(area.right for area in areas.values()) == int(svg.get("width")) - diagrams.MARGIN
    assert int(svg.get("width")) <= 700 and svg.get("viewBox") == f"0 0 {svg.get('width')} {svg.get('height')}"


@each
def test_words_stand_out_from_their_box_and_lines_from_the_card(path):
    diagram = diagrams.read(path)
    for box in diagram.boxes.values():
        inside, outline, words = diagrams.paint(box, looks.look(diagram.method).color)
        assert contrast(inside, words) >= 4.5, box
        assert contrast(outline, diagrams.CARD) >= 3 or outline == inside, box  # or it is a filled box with words in it
    assert contrast(pictograms.DARK, diagrams.CARD) >= 4.5 and contrast(diagrams.LINES, diagrams.CARD) >= 4.5


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21) and contrast("#777777", "#777777") == 1
    assert contrast("#FFFFFF", "#767676") == pytest.approx(4.54, abs=0.01)


@each
def test_every_box_takes_part(path):
    """An arrow reaches each but the images and the noise, and one leaves these, but what the supervised baseline leaves alone."""
    diagram = diagrams.read(path)
    reached, left = {arrow.end for arrow in diagram.arrows}, {arrow.start for arrow in diagram.arrows}
    first = {name for name, box in diagram.boxes.items() if box.kind in ("labelled", "images", "noise")}
    assert set(diagram.boxes) - reached <= first
    assert first - reached - left == ({"u"} if path.stem == "supervised" else set())


def test_no_gradient_flows_where_the_equations_have_a_constant():
    dashed = {path.stem: {arrow[:2] for arrow in diagrams.read(path).arrows if arrow.dashed} for path in SOURCES}
    assert {("weak", "net"), ("net", "q"), ("label", "lu")} <= dashed["fixmatch"] <= dashed["flexmatch"]
    assert {("student", "ema"), ("ema", "teacher"), ("weak", "teacher"), ("t", "lu")} <= dashed["mean_teacher"]
    assert ("q", "mix") in dashed["mixmatch"] and ("t", "lu") in dashed["temporal_ensembling"] & dashed["pi_model"]
    assert ("label", "lu") in dashed["pseudo_labelling"] and ("net", "q") not in dashed["pseudo_labelling"]
    assert not dashed["sgan"]
    teacher = diagrams.read(diagrams.FIGURES / "mean_teacher.toml").boxes
    assert teacher["teacher"].constant and teacher["t"].constant
    assert not teacher["student"].constant and not teacher["lu"].constant  # a gradient reaches them, too


@needs_chromium
def test_a_browser_shows_them_whole():
    """As an image on a page, and each line of words inside the box that it belongs to."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 700, "height": 700})
        for path in SOURCES:
            page.set_content(path.with_suffix(".svg").read_text(encoding="utf-8"))
            texts = page.evaluate(
                "[...document.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect().toJSON()])"
            )
            origin = page.evaluate("document.querySelector('svg').getBoundingClientRect().toJSON()")
            areas = [*diagrams.places(diagrams.read(path)).values()]
            legend = max(area.bottom for area in areas)
            for words, at in texts:
                left, right = at["left"] - origin["left"], at["right"] - origin["left"]
                top, bottom = at["top"] - origin["top"], at["bottom"] - origin["top"]
                inside = [
                    a for a in areas if a.left <= left and right <= a.right and a.top <= top and bottom <= a.bottom
                ]
                assert len(inside) == 1 or (top >= legend and right <= origin["width"]), (path.stem, words)
        browser.close()


# ------------------------------------------------------------------------------------------------------------- text


def test_small_letters_and_italics():
    assert pieces("max *q* ≥ T_c^{−1}") == [("max ", ""), ("q", "*"), (" ≥ T", ""), ("c", "_"), ("−1", "^")]
    assert width("ab\nabcd") == width("abcd") > width("a_{bcd}") > width("a")


# ----------------------------------------------------------------------------------------------------------- errors

SMALL = """
title = "Small"
method = "FixMatch"
words = "An image goes into the network, and no gradient flows from its answer to the label made of it, which is a constant."
grid = '''
u   net  q
w   .    t
'''
arrows = '''
u -> net -> q
q --> t
u -> w
'''
[boxes]
u   = { kind = "images", text = "image", shows = "3" }
w   = { kind = "weak", text = "view", shows = "3" }
net = { kind = "network", text = "network" }
q   = { kind = "answer", text = "answer", bars = [0.1, 0.9] }
t   = { kind = "step", text = "argmax" }
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def test_a_small_diagram(small):
    diagram = diagrams.read(small)
    assert diagram.arrows == [("u", "net", False), ("net", "q", False), ("q", "t", True), ("u", "w", False)]
    assert diagram.boxes["q"].area == (2, 0, 3, 1) and diagram.boxes["t"].constant
    svg = diagrams.build(small).read_text(encoding="utf-8")
    assert svg.count("marker-end") == 4 and svg.count("stroke-dasharray") == 3 and "no gradient" in svg


WRONG = {
    "no TOML": ("[boxes]", "[boxes", "Cure: compare"),
    "words too short": (re.search('words = ".*"', SMALL)[0], 'words = "FixMatch."', "tell the way of an image"),
    "words missing": (re.search('words = ".*"', SMALL)[0], "", "words missing. Cure: a source has arrows"),
    "a key that nothing reads": ("title =", "colour = 1\ntitle =", "colour unknown"),
    "no such method": ("FixMatch", "FixMitch", "'FixMitch' has no colour. Cure: one of majority class, supervised"),
    "ragged grid": ("w   .    t", "w   t", "differ in length. Cure: a dot"),
    "a box in pieces": ("w   .    t", "w   .    u", "the cells of u are no rectangle"),
    "a box that is nowhere": ("w   .    t", "w   .    .", "box t is not in the grid. Cure: write t into a cell"),
    "a cell without a box": ("w   .    t", "w   z    t", "the grid has z. Cure: say under"),
    "no such kind": ('kind = "step"', 'kind = "stop"', "box t has the kind 'stop'. Cure: one of labelled"),
    "no text": ('text = "argmax"', 'text = ""', "box t has no text"),
    "nothing draws it": ('text = "argmax"', 'text = "argmax", size = 3', "box t has size. Cure: only kind, text"),
    "no image": ('text = "view", shows = "3"', 'text = "view"', 'box w shows no image. Cure: shows = "7"'),
    "no bars": (", bars = [0.1, 0.9]", "", "box q needs bars"),
    "a bar too high": ("0.9]", "1.9]", "box q needs bars"),
    "too few lines": ("0.9]", "0.9], lines = [0.5]", "as many lines or none"),
    "an unknown node": (
        "q --> t",
        "q --> label",
        "an arrow names label, and no box is called so. Cure: one of u, w, net",
    ),
    "half an arrow": ("q --> t", "q -->", "'q -->' are not understood. Cure: box -> box"),
    "no straight line": ("q --> t", "net --> t", "no straight arrow runs from net to t. Cure: give them a row"),
    "an arrow through a box": ("q --> t", "q --> t\nu -> q", "the arrow from u to q runs through net"),
    "no classes": ('{ kind = "step"', '{ kind = "graph", shows = "AB"', "shows = 9 letters"),
}


@pytest.mark.parametrize("old, new, says", WRONG.values(), ids=WRONG)
def test_what_is_wrong_names_the_file_and_the_cure(small, old, new, says):
    assert SMALL.count(old) >= 1
    small.write_text(SMALL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^small\.toml.*{re.escape(says)}"):
        diagrams.read(small)


def test_arrows_that_cross_are_refused(small):
    crossing = SMALL.replace("u   net  q\nw   .    t", "u   net  q\nw   .    t\n.   x    .").replace(
        "[boxes]", '[boxes]\nx = { kind = "loss", text = "loss" }'
    )
    small.write_text(crossing.replace("u -> w", "u -> w -> t\nnet -> x"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"small\.toml: the arrows w to t and net to x cross\. Cure: move a box"):
        diagrams.read(small)


# ---------------------------------------------------------------------------------------------------------- command


def test_the_command_draws_and_renews(small, tmp_path, monkeypatch, capsys):
    (tmp_path / "page.md").write_text("# Small\n\n![old](../figures/small.svg)\n\n![photo](a.png)\n", encoding="utf-8")
    monkeypatch.setattr(diagrams, "FIGURES", tmp_path)
    monkeypatch.setattr(diagrams, "PAGES", tmp_path)
    assert cli.main(["diagrams"]) == 0
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "which is a constant.](../figures/small.svg)\n\n![photo](a.png)" in page
    said = capsys.readouterr().out
    assert "(../docs/figures/small.svg)" in said and "words renewed" in said and (tmp_path / "small.svg").is_file()
    assert cli.main(["diagrams", "small"]) == 0 and "words renewed" not in capsys.readouterr().out
    assert cli.main(["diagrams", "large"]) == 1
    assert "no diagram large; there are small" in capsys.readouterr().err
