"""The page of speed: the shipped table of times, and its bars."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from course_utils import looks, results

SPEED = results.shipped_file("speed")
NAMES = ("as in the original notebook", "this course", "bare forward and backward passes")


def speed() -> pd.DataFrame:
    """The shipped table of times, as texts."""
    return pd.read_csv(SPEED, index_col="measured", dtype=str).fillna("")


def ship(table: pd.DataFrame) -> None:
    """Put a new table of times in its place."""
    table.to_csv(SPEED)


class SpeedPicture:
    """Seconds of the three loops, as bars."""

    title = "1,600 steps of FixMatch"

    def seconds(self) -> dict[str, list[float]]:
        """By number of threads, for each loop."""
        loops = speed().iloc[: len(NAMES)]
        return {threads: [float(cell.removesuffix(" s")) for cell in loops[threads]] for threads in loops}

    @property
    def alt(self) -> str:
        parts = [
            f"{name}, "
            + ", ".join(f"{threads.partition(' (')[0]} {of[i]:.0f} s" for threads, of in self.seconds().items())
            for i, name in enumerate(NAMES)
        ]
        return f"Bars of the seconds that a FixMatch training of 1,600 steps takes. {'; '.join(parts)}."

    def draw(self) -> Figure:
        figure, ax = plt.subplots(figsize=(9, 2.6))
        for offset, (threads, seconds) in zip((0.2, -0.2), self.seconds().items()):
            at = [-i + offset for i in range(len(NAMES))]
            ax.barh(at, seconds, 0.36, color=looks.CLASSES[0] if offset > 0 else looks.CLASSES[4])
            for y, value in zip(at, seconds):
                ax.text(value, y, f" {value:.0f} s, {threads.partition(' (')[0]}", va="center", fontsize=9)
        ax.set_yticks([-i for i in range(len(NAMES))], NAMES)
        ax.set(title=self.title, xlabel="seconds", xlim=(0, 1.25 * max(max(self.seconds().values()))))
        return figure
