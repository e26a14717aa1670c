"""One progress bar over the stages of a fine-tuning."""

from redeg_cli.progress import OnProgress, Parts

TEXTS = {
    "sharp": "reading the sharp images",
    "faces": "finding and restoring the faces",
    "omega": "reading the degradation off the faces",
    "adapt": "fitting the degradation to this photo",
    "tune": "fine-tuning the restorer",
    "restore": "restoring the photo",
}


class Stages(Parts):
    """Reports how much of the whole is done.

    Of the ``tune_steps`` a run before has done ``begun``: they take none of the time.
    """

    def __init__(
        self,
        on_progress: OnProgress,
        adapt_steps: int,
        tune_steps: int,
        megapixels: float,
        begun: int = 0,
    ) -> None:
        # Seconds measured on two CPU cores; on other machines the proportions are much the same.
        seconds = {
            "sharp": 1.0,
            "faces": 3.0,
            "omega": 1.0,
            "adapt": 0.18 * adapt_steps,
            "tune": 0.66 * (tune_steps - begun),
            "restore": 7.5 * megapixels,
        }
        super().__init__(on_progress, seconds)
        self._begun = begun

    def within(self, done: int, total: int, text: str = "") -> None:
        """Report progress inside the current stage; this is an ``OnProgress``."""
        del text
        if self._current == "tune" and total > self._begun:
            done, total = max(0, done - self._begun), total - self._begun
        super().within(done, total, TEXTS[self._current])
