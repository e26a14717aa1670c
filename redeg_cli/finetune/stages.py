"""One progress bar over the stages of a fine-tuning."""

from redeg_cli.progress import OnProgress

TEXTS = {
    "sharp": "reading the sharp images",
    "faces": "finding and restoring the faces",
    "omega": "reading the degradation off the faces",
    "adapt": "fitting the degradation to this photo",
    "tune": "fine-tuning the restorer",
    "restore": "restoring the photo",
}


class Stages:
    """Reports how much of the whole is done; stages are weighted by the time they take.

    Of the ``tune_steps`` a run before has done ``begun``: they take none.
    """

    def __init__(
        self,
        on_progress: OnProgress,
        adapt_steps: int,
        tune_steps: int,
        megapixels: float,
        begun: int = 0,
    ) -> None:
        self._report = on_progress
        self._begun = begun
        # Seconds measured on two CPU cores; on other machines the proportions are much the same.
        self._plan = {
            "sharp": 1.0,
            "faces": 3.0,
            "omega": 1.0,
            "adapt": 0.18 * adapt_steps,
            "tune": 0.66 * (tune_steps - begun),
            "restore": 7.5 * megapixels,
        }
        self._current = "sharp"

    def enter(self, stage: str) -> None:
        """Begin a stage; those before it count as done."""
        self._current = stage
        self.within(0, 1)

    def within(self, done: int, total: int, text: str = "") -> None:
        """Report progress inside the current stage; this is an ``OnProgress``."""
        del text
        if self._current == "tune" and total > self._begun:
            done, total = done - self._begun, total - self._begun
        names = list(self._plan)
        before = sum(self._plan[name] for name in names[: names.index(self._current)])
        part = self._plan[self._current] * max(0, done) / max(1, total)
        share = (before + part) / sum(self._plan.values())
        self._report(round(1000 * share), 1000, TEXTS[self._current])

    def finish(self) -> None:
        """Report the end."""
        self._report(1000, 1000, "done")
