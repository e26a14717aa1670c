"""The ``redeg`` command: the table of its commands, and what they do with errors."""

import io
import sys
import traceback
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from redeg_cli import __version__
from redeg_cli.cli.common import debug_on, logged_warnings, report_error, say, set_debug
from redeg_cli.memory import keep_freed_memory


class Entry(NamedTuple):
    """Where a command lives: ``attribute`` is a function, or a typer.Typer with commands of its
    own. Its docstring (or the Typer's ``help``) is its help text."""

    module: str
    attribute: str


# Every command, in the order of the help page. A module is imported when its command is used or
# the help page is shown, so it must be cheap to import: no torch, cv2, scipy, skimage, spandrel.
COMMANDS: dict[str, Entry] = {
    "finetune": Entry("redeg_cli.cli.finetune", "finetune"),
    "restore": Entry("redeg_cli.cli.restore", "restore"),
    "extract-omega": Entry("redeg_cli.cli.extract", "extract_omega"),
    "build-pool": Entry("redeg_cli.cli.build_pool", "build_pool"),
    "build-kernels": Entry("redeg_cli.cli.build_kernels", "build_kernels"),
    "build-noise": Entry("redeg_cli.cli.build_noise", "build_noise"),
    "pool": Entry("redeg_cli.cli.pool", "app"),
    "synthesize": Entry("redeg_cli.cli.synthesize", "synthesize"),
    "degraders": Entry("redeg_cli.cli.degraders", "degraders"),
    "degrade-preview": Entry("redeg_cli.cli.preview", "degrade_preview"),
    "evaluate": Entry("redeg_cli.cli.evaluate", "app"),
    "compare": Entry("redeg_cli.cli.compare", "compare"),
    "train": Entry("redeg_cli.cli.train", "train"),
    "models": Entry("redeg_cli.cli.models", "app"),
    "doctor": Entry("redeg_cli.cli.doctor", "doctor"),
}

# Click's, which newer Typers have inside.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
_SETTINGS = {"help_option_names": ["-h", "--help"]}


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
            single = typer.Typer(add_completion=False, context_settings=_SETTINGS)
            single.command(cmd_name)(target)
            command = typer.main.get_command(single)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        try:
            with logged_warnings():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort, _UsageError, BrokenPipeError):
            raise  # Typer's own, and a stdout that nobody reads, at which it ends quietly
        except Exception as error:
            report_error(error)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            if debug_on():
                traceback.print_exc(file=sys.stderr)
            say("interrupted")
            raise typer.Exit(130) from error


app = typer.Typer(
    name="redeg",
    cls=_LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"redeg {__version__}")
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
) -> None:
    """Learn how a photo was degraded from the faces in it, and restore the whole photo."""
    del version
    set_debug(debug)


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
    keep_freed_memory()
    app(prog_name="redeg")
