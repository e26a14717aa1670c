"""How library functions tell what they have done: one callback, and ready-made ones."""

from collections.abc import Mapping
from typing import Protocol


class OnProgress(Protocol):
    """Called after each step with how many of ``total`` steps are done.

    ``total`` may change from one call to the next (a smaller tile makes more tiles); 0 means
    that it is not known. ``text`` says in a few words what is going on.
    """

    def __call__(self, done: int, total: int, text: str = "") -> None: ...


def no_progress(done: int, total: int, text: str = "") -> None:
    """Say nothing: the callback of those who gave none."""
    del done, total, text


def tqdm_progress(description: str = "") -> OnProgress:
    """Return a callback that draws a tqdm bar, for notebooks and scripts.

    The bar closes when everything is done; a later call starts a new one.
    """
    from tqdm.auto import tqdm

    bar = None

    def on_progress(done: int, total: int, text: str = "") -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(desc=description or None, total=total or None)
        bar.total = total or None
        if text:
            bar.set_postfix_str(text, refresh=False)
        bar.n = done
        bar.refresh()
        if total and done >= total:
            bar.close()
            bar = None

    return on_progress


class Parts:
    """Reports work of several kinds as one whole, each part weighed by the time it takes."""

    def __init__(self, on_progress: OnProgress, seconds: Mapping[str, float]) -> None:
        """``seconds`` are those of each part, in their order: their proportions count."""
        self._report = on_progress
        self._seconds = dict(seconds)
        self._whole = sum(seconds.values())
        self._before = 0.0
        self._current = ""

    def enter(self, part: str) -> None:
        """Begin a part; those before it count as done."""
        names = list(self._seconds)
        self._before = sum(self._seconds[name] for name in names[: names.index(part)])
        self._current = part
        self.within(0, 1)

    def within(self, done: int, total: int, text: str = "") -> None:
        """Report progress inside the current part, whose name stands in for a missing text; this
        is an ``OnProgress``."""
        part = self._seconds[self._current] * done / max(1, total)
        share = round(1000 * (self._before + part) / self._whole)
        self._report(share, 1000, text or self._current)

    def finish(self) -> None:
        """Report the end."""
        self._report(1000, 1000, "done")
