"""How library functions tell what they have done: one callback, and a ready-made one."""

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
