"""The ``redeg`` command: the table of its commands, and what they do with errors."""

import io
import signal
import sys
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from redeg_cli import __version__
from redeg_cli.cli.messages import (
    debug_on,
    emit_error,
    emit_text,
    logged_warnings,
    owe_json,
    report_error,
    set_debug,
    set_quiet,
    stdout_lost,
    tell,
    tell_traceback,
)
from redeg_cli.errors import RedegError
from redeg_cli.memory import keep_freed_memory


class Entry(NamedTuple):
    """Where a command lives: ``attribute`` is a function, or a typer.Typer with commands of its
    own. Its docstring (or the Typer's ``help``) is its help text."""

    module: str
    attribute: str
    summary: str
    """Of the help page: at most 55 characters, as of 80 columns more are cut off."""


# Every command, in the order of the help page. A module is imported when its command is used or
# the help page is shown, so it must be cheap to import: no torch, cv2, scipy, skimage, spandrel.
COMMANDS: dict[str, Entry] = {
    "finetune": Entry(
        "redeg_cli.cli.finetune", "finetune", "Restore a photo by what its own faces tell."
    ),
    "restore": Entry("redeg_cli.cli.restore", "restore", "Restore any photos, no faces needed."),
    "extract-omega": Entry(
        "redeg_cli.cli.extract", "extract_omega", "Read the degradation Ω off an LQ/HQ pair."
    ),
    "build-pool": Entry(
        "redeg_cli.cli.build_pool",
        "build_pool",
        "Collect Ωs from many pairs, or from photos' faces.",
    ),
    "build-kernels": Entry(
        "redeg_cli.cli.build_kernels",
        "build_kernels",
        "Estimate blur kernels from LR images alone.",
    ),
    "build-noise": Entry(
        "redeg_cli.cli.build_noise", "build_noise", "Cut patches of noise out of real images."
    ),
    "pool": Entry("redeg_cli.cli.pool", "app", "Say what pools hold, plot them, merge them."),
    "synthesize": Entry(
        "redeg_cli.cli.synthesize", "synthesize", "Degrade HQ images: make training pairs."
    ),
    "degraders": Entry(
        "redeg_cli.cli.degraders", "degraders", "List the degraders, or print the file of one."
    ),
    "degrade-preview": Entry(
        "redeg_cli.cli.preview", "degrade_preview", "Show on one image what a degrader does."
    ),
    "evaluate": Entry("redeg_cli.cli.evaluate", "app", "Measure restorers, Ωs, faces and kernels."),
    "compare": Entry(
        "redeg_cli.cli.compare", "compare", "Make a page of pictures side by side, zoomed in step."
    ),
    "train": Entry("redeg_cli.cli.train", "train", "Train a network by a recipe."),
    "models": Entry(
        "redeg_cli.cli.models", "app", "List the models, bring others in, say what one is."
    ),
    "doctor": Entry(
        "redeg_cli.cli.doctor", "doctor", "Say what this machine has, and what is missing."
    ),
}

# Click's, which newer Typers have inside.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
_SETTINGS = {"help_option_names": ["-h", "--help"]}
_stopped: list[bool] = []
"""Not empty once the process was asked to stop."""


class _LazyGroup(TyperGroup):
    """The commands of the table, imported one by one; errors become one line and an exit code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        names: Any = dict.fromkeys(COMMANDS)  # for the help page and "Did you mean ...?"
        self.commands = names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        target = getattr(import_module(entry.module), entry.attribute)
        if isinstance(target, typer.Typer):
            command = typer.main.get_command(target)
        else:
            single = typer.Typer(
                add_completion=False, context_settings=_SETTINGS, rich_markup_mode=None
            )
            single.command(cmd_name)(target)
            command = typer.main.get_command(single)
        command.name, command.short_help = cmd_name, entry.summary
        return command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        owe_json("--json" in args)  # of the command: none is known yet, and perhaps there is none
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            with logged_warnings():
                result = super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise  # Typer's own, and a stdout that nobody reads, at which it ends quietly
        except _UsageError as error:  # which Typer tells
            emit_error(error.format_message())  # pyright: ignore
            raise
        except (Exception, KeyboardInterrupt) as error:
            # An import that was interrupted half-way may fail with anything.
            if isinstance(error, KeyboardInterrupt) or _stopped:
                if debug_on():
                    tell_traceback(error)
                tell("interrupted")
                emit_error("interrupted")
                raise typer.Exit(130) from error
            report_error(error)
            raise typer.Exit(error.exit_code if isinstance(error, RedegError) else 1) from error
        if stdout_lost():
            raise typer.Exit(1)
        return result


app = typer.Typer(
    name="redeg",
    cls=_LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
    # Plain help: of 80 columns Rich's tables leave 25 to what is said of an option.
    rich_markup_mode=None,
    epilog="Exit codes: 0 all done, 1 something failed, 2 wrong usage, 130 interrupted.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        emit_text(f"redeg {__version__}")
        raise typer.Exit


@app.callback()
def redeg(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="REDEG_DEBUG", help="Show tracebacks of errors.")
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Leave out notes and progress; not warnings, errors."),
    ] = False,
) -> None:
    """Learn how a photo was degraded from the faces in it, and restore the whole photo."""
    del version
    set_debug(debug)
    set_quiet(quiet)


def _end_as_by_ctrl_c() -> None:
    """Have what a scheduler or a closed terminal sends clean up and keep what is done, as Ctrl-C
    does; what is ignored (nohup) stays so."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        usual = (signal.SIG_DFL, signal.default_int_handler)
        if number is not None and signal.getsignal(number) in usual:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    _stopped.append(True)
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and leave with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if not sys.stdout.isatty():  # a file or a pipe, which on Windows would get its code page
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
        elif sys.stdout.encoding.lower() == "utf-8":
            # A file name that is not valid UTF-8 must come out byte for byte, not stop the run.
            sys.stdout.reconfigure(errors="surrogateescape")
        else:
            sys.stdout.reconfigure(errors="backslashreplace")
    _end_as_by_ctrl_c()
    keep_freed_memory()
    app(prog_name="redeg")
