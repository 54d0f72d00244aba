"""What follows a verdict: after [ok] why it matters and how far the lesson is, after several [fix] a hint, then the ways on."""

from course_utils import settings
from course_utils.check import cards, overview
from course_utils.check.cases import Exercise
from course_utils.check.events import state
from course_utils.check.headings import hints, lesson_of
from course_utils.check.lending import TRIES, can_lend


def after(exercise: Exercise, status: str) -> list[str]:
    """Lines of HTML for the card of a verdict that was just noted; none for an exercise that no notebook announces.

    None either where the progress is nobody's: the solution notebooks say the same whatever was run before.
    """
    if not (cards.live() or settings.SAVE_PROGRESS):
        return []
    try:
        if status == "ok":
            return [cards.prose(exercise.why), *_progress(exercise.number)]
        return _ways_on(exercise.number) if status == "fix" else []
    except ValueError:  # no such notebook, or a damaged one: a check is not the place to say so
        return []


def _progress(number: str) -> list[str]:
    counts = overview.summary(lesson_of(number))
    done, of = counts["solved"], counts["exercises"]
    words = f"{done} of {of} in this lesson, about {overview.duration(counts['minutes left'])} of exercises left."
    return [cards.bar(done, counts["borrowed"], of), words if done < of else f"All {of} exercises of this lesson solved: well done!"]


def _ways_on(number: str) -> list[str]:
    """Hint 1 after two different wrong answers, hint 2 after three; from then on, when it may be seen, how to see the solution."""
    tries, found = state(number).tries, hints(number)
    if tries < 2 or not found:
        return []
    hint = [f"<strong>{title}:</strong> {text}" for title, text in found[tries - 2 : tries - 1]]
    ways = cards.prose(
        f"Still stuck? `reveal({number!r})` shows the course's solution, and `borrow({number!r})` lends it to you, so that you can go on."
    )
    return [*hint, *([ways] if tries >= TRIES and can_lend() else [])]
