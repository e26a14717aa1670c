"""What is shown while a network is trained: a table on a terminal, else a line now and then."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redeg_cli.cli.common import duration, progress
from redeg_cli.cli.messages import is_quiet, is_terminal
from redeg_cli.progress import OnProgress

Watch = Callable[[Any], None]
"""Called with the run's ``train.state.Clock`` after each step."""


class TrainingTable:
    """Step, time left, images per second and the smoothed losses, drawn anew whenever asked."""

    def __init__(self, steps: int, minutes: float | None, images: int) -> None:
        """``images`` are those of one step."""
        self.steps = steps
        self.minutes = minutes
        self.images = images
        self._title = "training"
        self._rows: dict[str, str] = {}
        self._recent: deque[tuple[int, float]] = deque(maxlen=50)

    def on_progress(self, done: int, total: int, text: str = "") -> None:
        """Tell of what comes before the first step."""
        if not self._rows:
            self._title = f"{text} {done}/{total}" if total else text

    def watch(self, clock: Any) -> None:
        """Take over the numbers of a step."""
        self._recent.append((clock.step, clock.seconds))
        (step, seconds), share = self._recent[0], clock.share(self.steps, self.minutes)
        passed = clock.seconds - seconds
        rate = self.images * (clock.step - step) / passed if passed > 0 else 0.0
        left = clock.seconds * (1 - share) / share if share else 0.0
        self._title = "training"
        self._rows = {
            "step": f"{clock.step} of {self.steps} ({share:.1%})",
            "images/s": f"{rate:.1f}",
            "left": duration(left),
            **{name: f"{value:.5f}" for name, value in clock.smooth.items()},
        }

    def __rich__(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self._title), show_header=False, title_justify="left")
        table.add_column()
        table.add_column(justify="right")
        for name, value in self._rows.items():
            table.add_row(Text(name), value)
        return table


@contextmanager
def training_view(
    steps: int, minutes: float | None, images: int
) -> Iterator[tuple[OnProgress, Watch]]:
    """Yield what to call while images are read and after each step; ``images`` per step."""
    if is_quiet() or not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        with progress("training") as on_progress:
            yield on_progress, lambda _: None
        return
    from rich.console import Console
    from rich.live import Live

    table = TrainingTable(steps, minutes, images)
    # Lines on a stdout that is a file or a pipe must not be drawn on stderr.
    redirect = is_terminal(sys.stdout)
    console = Console(stderr=True)
    with Live(table, console=console, transient=True, redirect_stdout=redirect):
        yield table.on_progress, table.watch
