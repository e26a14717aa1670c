"""``redeg evaluate``: the commands that measure."""

import typer

from redeg_cli.cli.evaluate_restore import restore

app = typer.Typer(no_args_is_help=True, add_completion=False)
restore_command = app.command("restore")(restore)


@app.callback()
def evaluate() -> None:
    """Measure restorers, Ωs and kernels."""
