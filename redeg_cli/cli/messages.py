"""What commands tell: lines on stderr, results on stdout.

Results go to stdout and nothing else does: messages and progress bars go to stderr. With --json
stdout is one JSON value whatever happens: the result, or {"error": what went wrong}.
"""

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from redeg_cli.errors import RedegError, one_line


@dataclass
class _Asked:
    """What the command line asked for. Of the process: threads do not inherit a ContextVar."""

    debug: bool = False
    quiet: bool = False
    json_owed: bool = False
    stdout_lost: bool = False
    """Whether a result could not be written: what was asked for was not done."""


_asked = _Asked()


def set_debug(on: bool) -> None:
    """Show tracebacks (``redeg --debug`` or REDEG_DEBUG=1) or not."""
    _asked.debug = on


def set_quiet(on: bool) -> None:
    """Leave notes and progress out (``redeg --quiet``) or not; warnings and errors are told."""
    _asked.quiet = on


def is_quiet() -> bool:
    """Return whether notes and progress are to be left out."""
    return _asked.quiet


def debug_on() -> bool:
    """Return whether tracebacks are wanted."""
    return _asked.debug


def owe_json(on: bool) -> None:
    """Have an error that comes before the result be told as JSON too (``--json``), or not."""
    _asked.json_owed = on


def stdout_lost() -> bool:
    """Return whether a result could not be written to stdout, but for a reader that has gone."""
    return _asked.stdout_lost


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether ``stream`` is a terminal; without a console (pythonw) or closed (``2>&-``),
    sys.stdout and sys.stderr are None."""
    return stream is not None and stream.isatty()


def counted(number: int, one: str, many: str = "") -> str:
    """Return ``1 pair``, ``2 pairs``; ``many`` is for words that do not end in s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def say(text: str) -> None:
    """Write one line of what is going on to stderr, unless that is not wanted (``set_quiet``)."""
    if not is_quiet():
        tell(text)


def tell(text: str) -> None:
    """Write one line to stderr, if it is there and takes it; safe while a progress bar is drawn."""
    if sys.stderr is None:  # print(file=None) would write to stdout
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # nobody reads it, or the disk of a log is full
        _to_nowhere(sys.stderr)


def tell_traceback(error: BaseException) -> None:
    """Write the traceback of ``error`` to stderr."""
    tell("".join(traceback.format_exception(error)).rstrip("\n"))


def warn(text: str) -> None:
    """Write one warning line to stderr."""
    tell(f"warning: {text}")


@contextmanager
def logged_warnings() -> Iterator[None]:
    """Write what the package logs as warning lines, each once; of several processes one does."""
    handler = _WarnOnce(logging.WARNING)
    logger = logging.getLogger("redeg_cli")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _WarnOnce(logging.Handler):
    """Folders are listed and photos read more than once in a run."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        from redeg_cli.device import is_first_process

        text = one_line(record.getMessage())
        if text not in self._said and is_first_process():
            self._said.add(text)
            warn(text)


def report_error(error: BaseException) -> None:
    """Write one error line to stderr, and the traceback before it when debugging."""
    if debug_on():
        tell_traceback(error)
    tell(f"error: {describe(error)}")
    emit_error(describe(error))


def describe(error: BaseException) -> str:
    """Return a user's mistake as its one line, and anything else as the fault of ours it is."""
    if isinstance(error, RedegError):
        return one_line(error)
    if _is_memory(error):
        return f"too little memory: take smaller pictures, or another --device ({one_line(error)})"
    return f"unexpected {type(error).__name__}: {one_line(error)} (redeg --debug shows where)"


def _is_memory(error: BaseException) -> bool:
    """Return whether the memory was too small, the computer's or the GPU's."""
    if isinstance(error, RuntimeError):
        from redeg_cli.device import is_out_of_memory

        return is_out_of_memory(error)
    return isinstance(error, MemoryError)


def emit_path(path: Path | str) -> None:
    """Write one path to stdout, as ``emit_text`` does."""
    emit_text(str(path))


def emit_table(table: object, width: int) -> None:
    """Write what rich can draw to stdout; ``width`` columns where that is no terminal."""
    from rich.console import Console

    # A pipe has no width: tables are never folded there.
    console = Console(width=None if is_terminal(sys.stdout) else width)
    with console.capture() as captured:
        console.print(table)
    emit_text(captured.get().rstrip("\n"))


def emit_json(value: object) -> None:
    """Write ``value`` to stdout as JSON: dataclasses become objects, paths text, NaN null."""
    from redeg_cli.io.files import to_plain

    _asked.json_owed = False
    text = json.dumps(to_plain(value), ensure_ascii=False, indent=2, allow_nan=False)
    # The bytes of a file's name that are not UTF-8 become JSON's \udcxx.
    emit_text(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def emit_error(message: str) -> None:
    """Write ``{"error": message}`` to stdout if ``--json`` was given and no result was written."""
    if _asked.json_owed:
        emit_json({"error": message})


def emit_text(text: str) -> None:
    """Write lines to stdout; nothing once its reader (``| head``) has gone."""
    try:
        print(text, flush=True)
    except OSError as error:  # the work goes on without printing
        _to_nowhere(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            _asked.stdout_lost = True
            tell(f"error: cannot write to stdout: {error.strerror or error}")


def _to_nowhere(stream: TextIO) -> None:
    """Have what comes go nowhere, and what is still buffered too: Python writes it at its end, and
    ends with code 120 if it cannot."""
    with suppress(OSError):  # a stream that is no file
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
