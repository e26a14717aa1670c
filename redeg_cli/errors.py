"""The errors a user can cause. Each message says what was got, what was wanted and what to do."""


class RedegError(Exception):
    """Base of every error that is shown as one line, without a traceback."""


class InputError(RedegError):
    """A file or folder that was given cannot be used."""


class PairError(InputError):
    """Two images cannot be an LQ/HQ pair."""


class NoFaceError(RedegError):
    """No usable face was found in a photo."""


class ModelError(RedegError):
    """Weights are missing, unreadable or made for another network."""


class OutputError(RedegError):
    """An output exists already or cannot be written."""


class DiskFullError(OutputError):
    """The disk takes no more: what comes after would fail too, so a batch stops."""


class RecipeError(RedegError):
    """A recipe or an override holds an unknown key or a wrong value."""


class MetricError(RedegError):
    """A metric is unknown, cannot be computed here, or not of these images."""
