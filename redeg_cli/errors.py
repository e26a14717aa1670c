"""The errors a user can cause. Each message says what was got, what was wanted, what to do."""

from typing import ClassVar


def one_line(error: BaseException | str) -> str:
    """Return a message as a single line; an exception without text gives its class name."""
    text = " ".join(str(error).split())
    return text or type(error).__name__


class RedegError(Exception):
    """Base of every error that is shown as one line, without a traceback."""

    exit_code: ClassVar[int] = 1
    """Of a command that ends with it."""


class UsageError(RedegError):
    """An option has a value that it cannot have, at least not on this machine."""

    exit_code = 2


class InputError(RedegError):
    """A file or folder that was given cannot be used."""


class BoxError(InputError, UsageError):
    """A box that was given does not lie in the photo."""


class PairError(InputError):
    """Two images cannot be an LQ/HQ pair."""


class NoFaceError(RedegError):
    """No usable face was found in a photo."""


class ModelError(RedegError):
    """Weights are missing, unreadable or made for another network."""


class ModelChoiceError(ModelError, UsageError):
    """There is no model of the name that was given, or it cannot do what was asked for."""


class OutputError(RedegError):
    """An output exists already or cannot be written."""


class DiskFullError(OutputError):
    """The disk takes no more: what comes after would fail too, so a batch stops."""


class RecipeError(UsageError):
    """A recipe, the table of a degrader or an override holds an unknown key or a wrong value."""


class MetricError(RedegError):
    """A metric is unknown, cannot be computed here, or not of these images."""
