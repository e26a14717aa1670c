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
    """Reports how much of the whole is done; stages are weighted by the time they take."""

    def __init__(
        self, on_progress: OnProgress, adapt_steps: int, tune_steps: int, megapixels: float
    ) -> None:
        self._report = on_progress
        # Seconds measured on two CPU cores; on other machines the proportions are much the same.
        self._plan = {
            "sharp": 1.0,
            "faces": 3.0,
            "omega": 1.0,
            "adapt": 0.18 * adapt_steps,
            "tune": 0.66 * tune_steps,
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
        names = list(self._plan)
        before = sum(self._plan[name] for name in names[: names.index(self._current)])
        part = self._plan[self._current] * done / max(1, total)
        share = (before + part) / sum(self._plan.values())
        self._report(round(1000 * share), 1000, TEXTS[self._current])

    def finish(self) -> None:
        """Report the end."""
        self._report(1000, 1000, "done")
