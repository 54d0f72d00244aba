"""The static site, both editions: what is on the finished pages, and how they behave in a browser."""

import functools
import http.server
import json
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import nbformat
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import CHROMIUM, FLAGS, needs_chromium
from bs4 import BeautifulSoup
from lessons import SOURCES, notebook, numbers
from playwright.sync_api import Page, sync_playwright
from sphinx.search.en import SearchEnglish

from course_utils import cli, results
from course_utils.authoring import build, readme, site, verify
from course_utils.datasets import load_dataset
from course_utils.evaluation import majority_scores

METHOD_PAGES = sorted(path.stem for path in (site.DOCS / "methods").glob("*.md") if path.stem != "index")


@pytest.fixture(scope="session")
def editions(tmp_path_factory):
    """The folders of the student's and the instructor's edition."""
    folder = tmp_path_factory.mktemp("site")
    with ThreadPoolExecutor(2) as pool:
        for done in [
            pool.submit(site.build, folder / "student"),
            pool.submit(site.build, folder / "instructor", solutions=True),
        ]:
            done.result()
    return {"student": folder / "student", "instructor": folder / "instructor"}


@functools.cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(), "html.parser")


def pages(edition: Path) -> list[Path]:
    return sorted(edition.rglob("*.html"))


def lesson_html(edition: Path, source: Path) -> Path:
    return edition / "lessons" / f"{source.stem}.html"


@functools.cache
def ids(path: Path) -> set[str]:
    return {element["id"] for element in soup(path).find_all(id=True)}


@functools.cache
def shown(page: Path) -> str:
    """All lines that a page shows."""
    return soup(page).get_text()


def search_index(edition: Path) -> dict:
    """What the search of this edition knows."""
    index = (edition / "searchindex.js").read_text()
    return json.loads(index.removeprefix("Search.setIndex(").rstrip().removesuffix(")"))


def leaked(source: Path, texts: list[str]) -> list[str]:
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("\n".join(texts))])
    return verify.leaks(notebook(source), page, "")


# -------------------------------------------------------------------------------------------------------- solutions


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_no_line_of_a_solution_is_in_the_students_edition(editions, source):
    edition = editions["student"]
    lesson_pages = {lesson_html(edition, other) for other in SOURCES} - {lesson_html(edition, source)}
    texts = [shown(page) for page in pages(edition) if page not in lesson_pages]
    texts += [path.read_text() for path in edition.rglob("*.txt")] + [(edition / "searchindex.js").read_text()]
    assert leaked(source, texts) == []
    # The same search finds every line in the other edition.
    everything = leaked(source, [shown(lesson_html(editions["instructor"], source))])
    assert len(everything) == len(verify.solution_lines(notebook(source)))


def test_nothing_else_holds_the_lessons(editions):
    """No source of a page, no notebook and no notes of Sphinx lie beside the pages."""
    for edition in editions.values():
        offered = {path.name for path in (edition / "_downloads").rglob("*.*")}
        assert offered == (
            {"jupyterhub_config.py"} if edition == editions["instructor"] else set()
        )  # the guide to the hub
        kinds = {path.suffix for path in edition.rglob("*") if path.is_file() and path.name not in offered}
        assert not kinds & {".ipynb", ".md", ".py", ".pickle", ".doctree"}, kinds
        assert not (edition / ".doctrees").exists()


def test_the_search_knows_no_word_that_only_solutions_have(editions):
    stem = SearchEnglish({}).stem

    def stems(text: str) -> set[str]:
        return {stem(word) for word in set(re.findall(r"\w+", text.lower()))}

    def words(edition: str) -> set[str]:
        return set(search_index(editions[edition])["terms"])

    solved = stems("\n".join(line for source in SOURCES for line in verify.solution_lines(notebook(source))))
    open_text = [cell.source for source in SOURCES for cell in notebook(source, student=True).cells]
    secret = solved - stems("\n".join([*open_text, *(shown(page) for page in pages(editions["student"]))]))
    assert len(secret) > 10
    assert not secret & words("student")
    assert len(secret & words("instructor")) > 0.9 * len(secret)


def test_the_students_edition_has_no_page_for_teachers(editions):
    """They hold answers; the search of the other edition finds them."""
    teachers = {f"teachers/{path.stem}" for path in (site.DOCS / "teachers").glob("*.md")}
    assert {"teachers/mistakes", "teachers/classroom", "teachers/index"} <= teachers
    assert teachers <= set(search_index(editions["instructor"])["docnames"])
    assert not [name for name in search_index(editions["student"])["docnames"] if "teachers" in name]
    assert not (editions["student"] / "teachers").exists()
    known = "softmax before cross-entropy"  # a mistake that the page names
    assert known in shown(editions["instructor"] / "teachers" / "mistakes.html")
    assert not [page for page in pages(editions["student"]) if known in shown(page)]


def test_each_exercise_shows_its_stub_or_its_solution(editions):
    for source in SOURCES:
        stubs = {f'raise NotImplementedError("Exercise {number}")' for number in numbers(source)}
        student = shown(lesson_html(editions["student"], source))
        instructor = shown(lesson_html(editions["instructor"], source))
        assert all(stub in student and stub not in instructor for stub in stubs)


def test_the_instructors_edition_says_so_on_every_page(editions):
    for page in pages(editions["instructor"]):
        assert "Instructor's edition" in soup(page).select_one(".bd-header-announcement").get_text(), page
        assert "Instructor" in soup(page).title.get_text(), page
    for page in pages(editions["student"]):
        assert soup(page).select_one(".bd-header-announcement") is None, page


# ------------------------------------------------------------------------------------------------------------ pages


@pytest.mark.parametrize("edition", ["student", "instructor"])
def test_each_lesson_is_complete(editions, edition):
    """Its directions, one title, all hints folded, and each figure of the executed notebook with its own text."""
    for source in SOURCES:
        page = soup(lesson_html(editions[edition], source))
        executed = nbformat.read(build.solution_path(source), as_version=4)
        outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
        alts = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
        text = "\n".join(cell.source for cell in executed.cells if cell.cell_type == "markdown")
        diagrams = re.findall(r"!\[(.+?)\]\(\.\./docs/figures/", text)
        assert [image["alt"] for image in page.select("article .cell_output img")] == alts
        assert [
            image["alt"] for image in page.select("article img") if not image.find_parent(class_="cell_output")
        ] == diagrams
        code = sum("figure" in build.tags(cell) for cell in executed.cells)
        assert len(page.select("article details.hide")) == code
        assert len(page.select("article details:not(.hide)")) == text.count("<details>") + len(alts)
        assert f"notebooks/{source.stem}.ipynb" in page.select_one("article .note").get_text()
        assert len(page.select("article h1")) == 1


@pytest.mark.parametrize("edition", ["student", "instructor"])
def test_no_fold_is_open_and_no_image_is_without_a_text(editions, edition):
    for page in pages(editions[edition]):
        assert not soup(page).select("article details[open]"), page
        for image in soup(page).find_all("img"):
            assert image.get("alt", "").strip(), (page, image)


@pytest.mark.parametrize("edition", ["student", "instructor"])
def test_every_link_inside_the_site_leads_somewhere(editions, edition):
    count = 0
    for page in pages(editions[edition]):
        for element in soup(page).select("[href], [src]"):
            link, fragment = urldefrag(element.get("href") or element.get("src"))
            if urlsplit(link).scheme in ("http", "https"):
                assert element.name == "a", f"{page.name} loads {link} from another host"
                continue
            target = (page.parent / unquote(urlsplit(link).path)).resolve() if link else page
            assert target.is_file(), f"{page.name}: {element}"
            assert target.is_relative_to(editions[edition])
            if fragment and target.suffix == ".html":
                assert unquote(fragment) in ids(target), f"{page.name}: no {fragment} in {target.name}"
            count += 1
    assert count > 1000


@pytest.mark.parametrize("edition", ["student", "instructor"])
def test_each_exercise_is_framed(editions, edition):
    for source in SOURCES:
        frames = soup(lesson_html(editions[edition], source)).select("article section > div.exercise")
        titles = [frame.find_parent("section").find(re.compile("h[2-4]")).get_text() for frame in frames]
        assert [title.split()[1] for title in titles] == numbers(source)
        assert all(re.search(r"your turn\s+\d+ min · difficulty", frame.get_text()) for frame in frames)
        assert all(len(frame.select("details")) >= 2 for frame in frames)


def test_the_home_page_has_a_card_for_each_lesson_and_a_button_that_starts(editions):
    page = soup(editions["student"] / "index.html").select_one("article")
    cards = {
        card.select_one("a")["href"]: card.get_text(" ", strip=True).replace("’", "'")  # as typed
        for card in page.select(".lessons .sd-card")
    }
    assert list(cards) == [f"lessons/{source.stem}.html" for source in SOURCES]
    for card, lesson in zip(cards.values(), readme.overview()):
        assert card.startswith(f"{lesson.number} · {lesson.title} {lesson.builds[0].upper()}{lesson.builds[1:]}.")
        assert f"{lesson.minutes} minutes · {len(lesson.exercises)} exercises" in card
        assert ("short path" in card) == (lesson.number in readme.SHORT_PATH)
    assert page.select_one("a.sd-btn.start")["href"] == f"lessons/{SOURCES[0].stem}.html"
    (moving,) = page.select("img")
    assert moving["src"].endswith("moons.gif") and len(moving["alt"].split()) > 20


def test_methods_side_by_side_begins_with_the_dot_plot(editions):
    first = soup(editions["student"] / "methods" / "index.html").select_one("article").find(["img", "table"])
    assert first.name == "img" and first["src"].endswith("overview.png")


def test_formulas_in_hints_are_formulas(editions):
    page = soup(lesson_html(editions["student"], SOURCES[3]))
    hints = [hint for hint in page.select("details") if hint.select(".math")]
    assert hints and r"\(D^{-1}\)" in str(hints[0]) and not any("$" in hint.get_text() for hint in hints)


def test_the_bibliography_has_every_link_of_the_lessons(editions):
    listed = {link["href"] for link in soup(editions["student"] / "references.html").select("article a[href]")}
    cited = set()
    for source in SOURCES:
        text = "\n".join(cell.source for cell in notebook(source).cells if cell.cell_type == "markdown")
        cited |= set(re.findall(r"\((https?://[^)\s]+)\)", text))
    assert len(cited) > 20 and cited <= listed, cited - listed


@pytest.mark.parametrize("method", METHOD_PAGES)
def test_each_method_has_its_idea_equation_lesson_and_results(editions, method):
    page = soup(editions["student"] / "methods" / f"{method}.html").select_one("article")
    headings = [heading.get_text().rstrip("#") for heading in page.find_all("h2")]
    assert headings == ["Idea", "Equation", "What to watch for", "Results"]
    assert page.select("div.math") and page.select('a[href^="../lessons/"]') and page.select('a[href^="../references"]')
    for title in ("DermaMNIST, 500 labels", "Digits, 500 labels"):
        section = next(h3.parent for h3 in page.find_all("h3") if h3.get_text().startswith(title))
        lines = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in section.find_all("tr")]
        assert [line[0] for line in lines[:4]] == ["method", "majority class", *site.BASELINES]
        assert lines[0][-2:] == [f"macro-F1 over {baseline}" for baseline in site.BASELINES]
        assert all(re.fullmatch(r"\d\.\d{3} \(\d\.\d{3}\)", cell) for cell in lines[2][1:3])
    assert "<!--" not in page.get_text()


def test_the_equations_are_those_of_the_lessons():
    """Each displayed equation of a method's page is displayed in a lesson."""

    def formulas(text: str) -> set[str]:
        blocks = re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)
        return {re.sub(r"\s|,$|\.$", "", part).rstrip(".,") for block in blocks for part in block.split(r"\qquad")}

    taught = set()
    for source in SOURCES:
        for cell in notebook(source).cells:
            if cell.cell_type == "markdown":
                taught |= formulas(cell.source)
    own = {"supervised": 2, "fixmatch": 1}  # the lessons have these inside sentences
    for method in METHOD_PAGES:
        new = formulas((site.DOCS / "methods" / f"{method}.md").read_text()) - taught
        assert len(new) <= own.get(method, 0), (method, new)


# ---------------------------------------------------------------------------------------------------------- results


def test_the_results_follow_the_shipped_runs(monkeypatch):
    mark = "Before\n\n<!-- results: FixMatch -->\n\nAfter"
    text = site.with_results(mark)
    runs = results.read_runs(results.shipped_file("dermamnist"))
    runs = runs[(runs["network"] == "SimpleCNN") & (runs["steps"] == 1600) & (runs["num_labels"] == 500)]
    by_split = runs.pivot_table(index=results.PAIR, columns="method", values="macro-F1")
    d = by_split["FixMatch"] - by_split["supervised, batches of 160"]
    (line,) = [line for line in text.splitlines() if line.startswith("| FixMatch |")][:1]
    assert line.endswith(f"{d.mean():+.3f} ± {d.std() / 5**0.5:.3f}, {(d > 0).sum()} of 5 |")
    assert text.startswith("Before\n\n### DermaMNIST") and text.endswith("\n\nAfter")
    shipped = results.read_runs
    monkeypatch.setattr(results, "read_runs", lambda path: shipped(path).assign(AUC=lambda rows: rows["AUC"] - 0.1))
    assert site.with_results(mark) != text


def test_a_method_without_runs_is_an_error():
    with pytest.raises(ValueError, match="asks for the results of FixMitch: no such run ships for dermamnist"):
        site.with_results("<!-- results: FixMatch; FixMitch -->")


def test_the_majority_class_that_ships_is_right(best_dataset):
    shipped = pd.read_csv(site.MAJORITY, index_col="dataset")
    assert list(shipped.index) == list(site.DATASETS)
    for dataset in {best_dataset.name: best_dataset, "digits": load_dataset("digits")}.values():
        scores = majority_scores(dataset, dataset.test).values
        assert shipped.loc[dataset.name].to_dict() == pytest.approx(scores, abs=1e-4)


# ----------------------------------------------------------------------------------------------------------- errors


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A site of two pages; returns its docs folder."""
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(site.DOCS / "conf.py", docs)
    shutil.copytree(site.DOCS / "_static", docs / "_static")
    (docs / "references.bib").write_text("")
    (docs / "index.md").write_text("# Small\n\nText.\n")
    (docs / "teachers").mkdir()
    for name in ("index", "one"):
        (docs / "teachers" / f"{name}.md").write_text("# One\n\nText.\n")
    monkeypatch.setattr(site, "DOCS", docs)
    monkeypatch.setattr(site, "lessons", list)
    return docs


def test_a_file_among_the_teachers_pages_is_a_page_and_a_new_build_leaves_nothing_of_the_old(small, tmp_path, capsys):
    output = tmp_path / "out"
    assert cli.main(["site", "--solutions", "--output", str(output)]) == 0
    assert f"open {output / 'index.html'}" in capsys.readouterr().out
    assert (output / "teachers" / "one.html").is_file()
    (small / "teachers" / "one.md").rename(small / "teachers" / "two.md")
    site.build(output, solutions=True)
    assert (output / "teachers" / "two.html").is_file() and not (output / "teachers" / "one.html").exists()


def test_a_dead_link_stops_the_build_and_leaves_the_old_site(small, tmp_path, capsys):
    output = tmp_path / "out"
    output.mkdir()
    (output / "objects.inv").write_text("an older site")
    (small / "index.md").write_text("# Small\n\n[nowhere](two.md)\n")
    assert cli.main(["site", "--output", str(output)]) == 1
    assert "Sphinx found fault with the site" in capsys.readouterr().err
    assert [path.name for path in output.iterdir()] == ["objects.inv"]


def test_a_folder_with_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert cli.main(["site", "--output", str(tmp_path)]) == 1
    assert "holds something else than a site: name another --output" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_without_sphinx_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    find = site.importlib.util.find_spec
    monkeypatch.setattr(site.importlib.util, "find_spec", lambda name: None if name == "myst_nb" else find(name))
    assert cli.main(["site", "--output", str(tmp_path / "out")]) == 1
    assert "built with myst_nb, not installed here. Cure: make site, which adds it" in capsys.readouterr().err


def test_outputs_of_another_source_are_not_shown(tmp_path, monkeypatch):
    source = tmp_path / SOURCES[0].name
    source.write_text(SOURCES[0].read_text().replace("import numpy as np", "import numpy"))
    shutil.copy(build.solution_path(SOURCES[0]), tmp_path)
    with pytest.raises(RuntimeError, match="was executed from another source: course build 00"):
        site.lesson_page(source, solutions=False)


# ---------------------------------------------------------------------------------------------------------- browser

LOOKED_AT = [
    "index.html",
    "lessons/06_fixmatch.html",
    "methods/fixmatch.html",
    "results/labels.html",
    "glossary.html",
    "search.html?q=mask",
]


def axe(page: Page, rules: list[str]) -> list[tuple[str, str]]:
    """What axe-core finds against these rules, and where."""
    options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
    found = Axe().run(page, options=options).response
    assert found["passes"] or found["inapplicable"]  # it did look
    return [(fault["id"], node["html"]) for fault in found["violations"] for node in fault["nodes"]]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and does not write a line for each."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address(editions):
    """The student's edition on a web server of its own."""
    handler = functools.partial(Quiet, directory=editions["student"])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")  # while it is open, no other test of this process could start one of its own
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, address):
    """Opens a page of the site, waits for its formulas; at the end no request has left the host and no script has failed."""
    faults: list[str] = []
    contexts = []

    def open_page(name: str, width: int = 1300, height: int = 1000, mode: str = "light"):
        # without motion: axe-core would see a colour that is still on its way to the one of the mode
        look = {"viewport": {"width": width, "height": height}, "color_scheme": mode, "reduced_motion": "reduce"}
        contexts.append(chromium.new_context(**look))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: r.url.startswith((address, "data:")) or faults.append(f"asks {r.url}"))
        page.on("response", lambda r: r.status < 400 or faults.append(f"{r.status} {r.url}"))
        page.goto(f"{address}/{name}")
        page.evaluate("window.MathJax?.startup.promise")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@needs_chromium
def test_every_page_shows_its_formulas_and_fits_a_phone(visit, address, editions):
    page = visit("index.html", width=390, height=844)
    formulas = wide = 0
    for path in pages(editions["student"]):
        page.goto(f"{address}/{path.relative_to(editions['student'])}")
        page.evaluate("window.MathJax?.startup.promise")
        count = len(soup(path).select(".math"))
        assert page.locator("mjx-container > svg").count() == count, path
        assert page.locator("mjx-assistive-mml math").count() == count, path
        assert page.locator("mjx-container :is([data-mml-node=merror], [fill=red])").count() == 0, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
        formulas += count
        wide += page.locator("mjx-container[tabindex='0']").count()
        assert axe(page, ["scrollable-region-focusable"]) == [], path
    assert formulas > 200 and wide > 3


@needs_chromium
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", LOOKED_AT)
def test_wcag_aa(visit, name, mode):
    page = visit(name, mode=mode)
    assert page.evaluate("document.documentElement.dataset.theme") == mode
    if name.startswith("search"):
        page.locator("#search-results li").first.wait_for()
    page.evaluate("for (const hint of document.querySelectorAll('article details')) hint.open = true")
    assert axe(page, ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]) == []


@needs_chromium
def test_dark_mode_dims_no_picture_and_leaves_no_bright_slab(visit):
    page = visit("lessons/06_fixmatch.html", mode="dark")
    look = "element => { const style = getComputedStyle(element); return [style.filter, style.padding] }"
    assert page.locator("article .cell_output img").first.evaluate(look) == ["none", "0px"]
    words = page.locator("article .text_html:has(> details)").first
    assert words.evaluate("element => getComputedStyle(element).backgroundColor") == "rgba(0, 0, 0, 0)"


@needs_chromium
def test_the_moving_picture_stands_still_where_less_motion_is_asked_for_and_can_be_started(visit):
    page = visit("index.html")  # with reduced motion
    still, moving = page.locator("article canvas"), page.locator("article img[src$='.gif']")
    assert still.count() == 1 and moving.count() == 0 and len(still.get_attribute("aria-label").split()) > 20
    page.get_by_role("button", name="Play").press("Enter")
    assert still.count() == 0 and moving.count() == 1
    page.get_by_role("button", name="Pause").press("Enter")
    assert still.count() == 1 and moving.count() == 0


@needs_chromium
def test_by_keyboard(visit):
    """Tab reaches the skip link first, then the search, the dark mode and a hint; Enter uses them."""
    page = visit("lessons/06_fixmatch.html")

    def tab_to(selector: str, most: int = 200):
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    tab_to("#pst-skip-link a, a#pst-skip-link", most=1)
    tab_to(".search-button, .search-button-field")
    tab_to(".theme-switch-button")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.keyboard.press("Enter")
    tab_to(".theme-change-button[data-mode=dark]", most=5)
    page.keyboard.press("Enter")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    tab_to("article .exercise > details > summary")
    hint = page.locator("article .exercise > details").first
    assert hint.get_attribute("open") is None and hint.inner_text() == hint.locator("summary").inner_text()
    page.keyboard.press("Enter")
    assert hint.get_attribute("open") is not None and len(hint.inner_text()) > 80


@needs_chromium
def test_the_search_finds(visit):
    page = visit("index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("confirmation bias")
    page.keyboard.press("Enter")
    page.locator("#search-results li", has_text="Pseudo-labelling").first.wait_for()
    page.locator("#search-results li", has_text="Glossary").first.wait_for()
