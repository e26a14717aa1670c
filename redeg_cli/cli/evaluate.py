"""``redeg evaluate``: the commands that measure."""

import typer

from redeg_cli.cli.evaluate_faces import faces
from redeg_cli.cli.evaluate_kernels import kernels
from redeg_cli.cli.evaluate_restore import restore
from redeg_cli.cli.evaluate_transfer import transfer

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
restore_command = app.command("restore", short_help="Measure restored images, or restorers.")(
    restore
)
transfer_command = app.command("transfer", short_help="Measure the Ω of a ReDegNet.")(transfer)
faces_command = app.command("faces", short_help="Measure a face restorer.")(faces)
kernels_command = app.command("kernels", short_help="Draw kernels, of a degrader or a file.")(
    kernels
)


@app.callback()
def evaluate() -> None:
    """Measure restorers, Ωs, faces and kernels."""
