"""What every command shares: options, progress, batches and exit codes.

Exit codes: 0 all done, 1 something failed, 2 wrong usage, 130 interrupted.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from redeg_cli.cli.messages import (
    debug_on,
    describe,
    emit_error,
    is_quiet,
    is_terminal,
    say,
    tell,
    tell_traceback,
)
from redeg_cli.errors import DiskFullError
from redeg_cli.progress import OnProgress, no_progress

Item = TypeVar("Item")

DeviceOption = Annotated[
    str, typer.Option("--device", help="Where to compute: auto, cpu, cuda, cuda:1 or mps.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="Same seed, same inputs: the same result.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace outputs that exist already.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write the result as JSON to stdout.")]
GrainOption = Annotated[
    float,
    typer.Option(
        "--grain",
        min=0,
        max=32,
        help="Film grain put on the result, for those to whom it looks too smooth: its standard "
        "deviation in levels of 255; 3 to 5 look like film.",
    ),
]
TileOption = Annotated[
    int | None,
    typer.Option(
        "--tile",
        min=32,
        help="Side in pixels of the tiles a large picture is cut into. Default: chosen for the "
        "device; halved when memory runs out. Below 224, seams may show.",
        show_default=False,
    ),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision",
        help="auto (bf16 where the device has it, else fp32), fp32, bf16 or fp16.",
    ),
]
RedegnetOption = Annotated[
    str, typer.Option("--redegnet", help="DegNet and SynNet: a name or a weights file.")
]
FaceRestorerOption = Annotated[
    str,
    typer.Option(
        "--face-restorer", help="What restores faces in photos: a name or a file (GFPGAN, ...)."
    ),
]
DetectorOption = Annotated[
    str,
    typer.Option(
        "--detector",
        help="What finds faces: centerface, or retinaface once `redeg models download retinaface` "
        "has brought it.",
    ),
]
MaxFacesOption = Annotated[
    int, typer.Option("--max-faces", min=1, help="Use the largest N faces of a photo.")
]


def _bar(total: int | None) -> tuple[Any, Any]:
    """Return a rich progress display on stderr and its only task."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    display = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        TextColumn("{task.fields[text]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        # Lines on a stdout that is a file or a pipe must not be drawn on stderr.
        redirect_stdout=is_terminal(sys.stdout),
    )
    return display, display.add_task("", total=total, text="")


@contextmanager
def progress(description: str, every_seconds: float = 30.0) -> Iterator[OnProgress]:
    """Yield a callback that shows how far the work is and the time left, on stderr.

    A bar on a terminal; otherwise one plain line at most every ``every_seconds``. When that is not
    wanted (``set_quiet``) nothing.
    """
    if is_quiet():
        yield no_progress
        return
    if not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        yield _plain_lines(description, every_seconds)
        return
    display, task = _bar(None)
    display.update(task, description=description)

    def on_progress(done: int, total: int, text: str = "") -> None:
        display.update(task, completed=done, total=total or None, text=text)

    with display:
        yield on_progress


def _plain_lines(description: str, every_seconds: float) -> OnProgress:
    start = last = time.monotonic()
    first = 0  # what was done already: a run that is carried on
    before: tuple[int, int] | None = None

    def on_progress(done: int, total: int, text: str = "") -> None:
        nonlocal start, last, first, before
        now = time.monotonic()
        if before is None or total != before[1] or done < before[0]:
            # Other work than before: the time that took says nothing of this.
            start, first = (start if before is None else now), max(0, done - 1)
        before = done, total
        if now - last < every_seconds:
            return
        last = now
        parts = [f"{description}: {done / total:.0%}" if total else f"{description}: {done}"]
        if total and first < done <= total:
            seconds = (now - start) / (done - first) * (total - done)
            parts.append(f"about {duration(seconds)} left")
        say(", ".join([*parts, text] if text else parts))

    return on_progress


def duration(seconds: float) -> str:
    """Return seconds as a person would say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass
class Outcome:
    """What became of a batch."""

    done: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(name, message) of each item that failed, in the order of the batch."""

    @property
    def exit_code(self) -> int:
        """0 when every item was done, else 1."""
        return 1 if self.failed else 0

    def finish(self) -> None:
        """Name every failure on stderr and leave the command with code 1 if there was one."""
        self.tell_failures()
        if self.failed and self.done + len(self.failed) > 1:
            tell(f"{len(self.failed)} of {self.done + len(self.failed)} failed")
        if self.failed:
            emit_error("; ".join(self._failures()))
            raise typer.Exit(self.exit_code)

    def tell_failures(self) -> None:
        """Name every failure on stderr."""
        for line in self._failures():
            tell(f"error: {line}")

    def _failures(self) -> list[str]:
        # Most messages name the file themselves.
        return [text if name in text else f"{name}: {text}" for name, text in self.failed]


def run_batch(
    items: Sequence[Item],
    work: Callable[[Item, OnProgress], object],
    describe: Callable[[Item], str],
    *,
    title: str = "",
    report: Callable[[Item], None] | None = None,
    threads: int = 1,
) -> Outcome:
    """Do ``work(item, on_progress)`` for each item and go on after one that fails.

    ``describe`` names an item in messages. ``on_progress`` moves the bar within the item. Each item
    that is done is given to ``report``, in their order whatever the number of ``threads``. Any
    RedegError, and any other exception as a fault, is one entry in the outcome's ``failed``;
    Ctrl-C and a full disk stop the batch: the failures before are named, and KeyboardInterrupt or
    DiskFullError is raised. The caller ends with ``outcome.finish()``.
    """
    outcome = Outcome()
    with progress(title) as on_progress:
        bar = _BatchBar(on_progress, len(items))

        def attempt(index: int) -> object:
            return work(items[index], bar.begin(index, describe(items[index])))

        with _failures_told(outcome), _attempts(attempt, len(items), threads) as attempts:
            for index, (item, result) in enumerate(zip(items, attempts, strict=True)):
                name = describe(item)
                try:
                    result()
                except (DiskFullError, typer.Exit, typer.Abort):  # meant for the command
                    raise
                except Exception as error:
                    _note_failure(outcome, name, error)
                else:
                    outcome.done += 1
                    if report is not None:
                        report(item)
                bar.end(index, name)
    return outcome


@contextmanager
def _failures_told(outcome: Outcome) -> Iterator[None]:
    """Name the failures before, when the batch within is stopped."""
    try:
        yield
    except (DiskFullError, KeyboardInterrupt):
        outcome.tell_failures()
        raise


class _BatchBar:
    """One bar for all items of a batch, some of which may be worked on at a time."""

    _STEPS = 1000
    """Of the bar, per item: a callback counts whole steps."""

    def __init__(self, on_progress: OnProgress, items: int) -> None:
        self._on_progress = on_progress
        self._total = items * self._STEPS
        self._lock = threading.Lock()
        self._done = 0
        self._begun: dict[int, int] = {}
        """Steps that each item which is being worked on has done."""

    def begin(self, index: int, name: str) -> OnProgress:
        """Show an item and return its callback."""

        def within(done: int, total: int, text: str = "") -> None:
            part = self._STEPS * min(done, total) // total if total else 0
            with self._lock:
                self._done += part - self._begun.get(index, 0)
                self._begun[index] = part
                shown = f"{name} ({text})" if text else name
                self._on_progress(self._done, self._total, shown)

        within(0, 1)
        return within

    def end(self, index: int, name: str) -> None:
        """Count an item as done, whatever became of it."""
        with self._lock:
            self._done += self._STEPS - self._begun.pop(index, 0)
            self._on_progress(self._done, self._total, name)


@contextmanager
def told_how_to_carry_on(state: Path, first: bool = True) -> Iterator[None]:
    """Say in one line, when the run within is stopped, that it can be carried on from ``state``.

    ``first`` is whether this is the process, of several, that says it.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if debug_on() or not state.exists():
            raise
        if first:
            stopped = f"stopped: the same command carries on from {state}"
            tell(stopped)
            emit_error(stopped)
        raise typer.Exit(130) from error


@contextmanager
def _attempts(
    attempt: Callable[[int], object], count: int, threads: int
) -> Iterator[Iterator[Callable[[], object]]]:
    """Yield, in the items' order, what does the work of each or waits for the thread that does."""
    if threads <= 1:
        yield (partial(attempt, index) for index in range(count))
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[object]] = deque()

    def ahead() -> Iterator[Callable[[], object]]:
        for index in range(count):
            # A few more than there are threads, so that a slow item holds up none of them.
            if len(waiting) >= 4 * threads:
                yield waiting.popleft().result
            waiting.append(pool.submit(attempt, index))
        while waiting:
            yield waiting.popleft().result

    try:
        yield ahead()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _note_failure(outcome: Outcome, name: str, error: Exception) -> None:
    if debug_on():
        tell_traceback(error)
    outcome.failed.append((name, describe(error)))
