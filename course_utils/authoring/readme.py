"""README, home page and pages of results: filled in from templates, the lessons and the runs that ship with the course.

A template in `docs/templates` is the page with its numbers left open, such as `{{ lesions.gain("FixMatch") }}`. `renew` fills them
in, and a test compares; so no measured number, no minutes and no address is typed into a page.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from course_utils import ROOT
from course_utils.authoring import build, lessons, pages, repository
from course_utils.check.headings import HEADING

README = ROOT / "README.md"
DOCS = ROOT / "docs"
TEMPLATES, IMAGES = DOCS / "templates", DOCS / "images"
PLACEHOLDER = "OWNER"  # in the repository's address, until it has one
ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")
WITH_ADDRESS = ("pyproject.toml", "CITATION.cff")  # files that repeat the address and are no template's
BUILDS = {
    "00": "a first gain on digits; class fractions, the majority class, macro-F1",
    "01": "label split, loss, logit adjustment, paired comparison",
    "02": "Lee's loss, self-training in rounds, when to stop",
    "03": "the graph, propagation, spreading, class masses",
    "04": "a discriminator that classifies, feature matching",
    "05": "Π-model, temporal ensembling, mean teacher; segmentation",
    "06": "views, pseudo-label and mask, the loss, the step",
    "07": "learning status, a threshold for each class, two repairs, SoftMatch's weights",
    "08": "sharpening, MixUp, the two losses, the ramp",
    "09": "AUC by hand, a sign-flip test, calibration, a committee",
    "10": "eight published bugs found and mended, a hybrid of your own",
}
SHORT_PATH = ("00", "01", "02", "05", "06")
NOT_ON_SHORT_PATH = ("5.6", "5.7")  # segmentation


class Lesson(NamedTuple):
    """What pages say of a lesson; `exercises` are minutes by number."""

    number: str
    name: str  # of its files
    title: str
    minutes: int
    exercises: dict[str, int]
    builds: str


def overview() -> list[Lesson]:
    """All lessons. ValueError where one does not say its minutes, or this module not what one builds in it."""
    found = []
    for source in lessons():
        number, text = source.name[:2], re.sub(r"^# ?", "", source.read_text(), flags=re.MULTILINE)
        title = re.search(rf"^# {number} · (.+)$", text, re.MULTILINE)
        time = re.search(r"^\*\*Time\*\* (\d+) min", text, re.MULTILINE)
        if title is None or time is None:
            raise ValueError(f"{source.name}: it needs a title, '# {number} · Topic', and minutes, '**Time** 95 min'")
        if number not in BUILDS:
            raise ValueError(
                f"lesson {number}: course_utils/authoring/readme.py does not say in BUILDS what one builds"
            )
        exercises = {match["number"]: int(match["minutes"]) for match in HEADING.finditer(text)}
        found.append(Lesson(number, source.stem, title[1], int(time[1]), exercises, BUILDS[number]))
    return found


def hours(chosen: list[Lesson], without: tuple[str, ...] = ()) -> str:
    """How long these lessons take, without some exercises, to the hour."""
    minutes = sum(lesson.minutes - sum(lesson.exercises.get(number, 0) for number in without) for lesson in chosen)
    return f"{round(minutes / 60)} hours"


def published() -> bool:
    """Whether the repository has an address; else links to it would lead nowhere."""
    return f"/{PLACEHOLDER}/" not in f"{repository()}/"


def vocabulary() -> dict[str, Any]:
    """What a template may say."""
    found = overview()
    short = [lesson for lesson in found if lesson.number in SHORT_PATH]
    return pages.vocabulary() | {
        "lessons": found,
        "short_path": SHORT_PATH,
        "time_of_short_path": hours(short, NOT_ON_SHORT_PATH),
        "time_of_all": hours(found),
        "published": published(),
        "address": repository(),
    }


def made(words: dict[str, Any]) -> dict[Path, str]:
    """Every page that has a template, filled in with these words."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = [name for name in environment.list_templates(["md"]) if not name.startswith("_")]
    return {target(name): environment.get_template(name).render(words) for name in names}


def target(template: str) -> Path:
    return README if template == README.name else DOCS / template


def renew() -> Path:
    """Bring all pages and pictures up to date; returns the README."""
    words = vocabulary()
    for path, text in made(words).items():
        path.write_text(text)
    IMAGES.mkdir(exist_ok=True)
    for name, picture in words["pictures"].items():
        pages.save(picture, IMAGES / f"{name}.png")
    return README


def put_speed(table: pd.DataFrame) -> Path:
    """Ship the table of times, and bring the page that shows it up to date."""
    pages.timing.ship(table)
    return renew()


def set_address(address: str) -> None:
    """Give the repository its address: here, in the README's links, and in the notebooks' cells for Colab."""
    if not ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is no address such as https://github.com/me/ssl-course")
    before = repository()
    for name in WITH_ADDRESS:
        path = ROOT / name
        path.write_text(path.read_text().replace(before, address))
    renew()
    for source in lessons():
        build.student_path(source).write_text(build.to_text(build.student_notebook(source)))
