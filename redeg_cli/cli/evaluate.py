"""``redeg evaluate``: the commands that measure."""

import typer

from redeg_cli.cli.evaluate_faces import faces
from redeg_cli.cli.evaluate_kernels import kernels
from redeg_cli.cli.evaluate_restore import restore
from redeg_cli.cli.evaluate_transfer import transfer

app = typer.Typer(no_args_is_help=True, add_completion=False)
restore_command = app.command("restore")(restore)
transfer_command = app.command("transfer")(transfer)
faces_command = app.command("faces")(faces)
kernels_command = app.command("kernels")(kernels)


@app.callback()
def evaluate() -> None:
    """Measure restorers, Ωs, faces and kernels."""
