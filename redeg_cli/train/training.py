"""A whole training run: from a recipe to weights files."""

from collections.abc import Callable
from pathlib import Path

from accelerate import Accelerator

from redeg_cli.device import is_out_of_memory
from redeg_cli.errors import RedegError
from redeg_cli.progress import OnProgress
from redeg_cli.train.dml import dml_course
from redeg_cli.train.joint import joint_course
from redeg_cli.train.loop import Course, Watch, fit, make_accelerator, save_trained
from redeg_cli.train.paper import paper_course
from redeg_cli.train.recipes import AnyRecipe, parts_of
from redeg_cli.train.redegnet import redegnet_course
from redeg_cli.train.restorer import restorer_course


def train(
    recipe: AnyRecipe,
    folder: Path,
    device: str = "auto",
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
    watch: Watch | None = None,
) -> list[Path]:
    """Train by ``recipe`` in ``folder`` (state, log) and return the weights files.

    ``say`` is told what a user should know of the losses. What was begun in ``folder`` is carried
    on. Raises what ``fit`` does, and RedegError when the device has too little memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = make_accelerator(recipe.precision, device)
    try:
        course = _course(recipe, accelerator, progress, say)
        try:
            averages, clock, figures = fit(
                course, recipe, folder, accelerator, progress=progress, watch=watch
            )
        finally:
            course.close()
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not is_out_of_memory(error):
            raise
        raise RedegError(
            f"{accelerator.device} has too little memory for batch = {_batches(recipe)}: give a "
            "smaller one, or a smaller crop, with --set"
        ) from error
    return [
        save_trained(network, player.recipe, folder, clock, figures)
        for player in course.players
        if (network := player.kept(averages)) is not None
    ]


def _course(
    recipe: AnyRecipe,
    accelerator: Accelerator,
    progress: OnProgress | None,
    say: Callable[[str], None],
) -> Course:
    if recipe.kind == "joint":
        return joint_course(recipe, accelerator, progress, say)
    if recipe.kind == "redegnet":
        return redegnet_course(recipe, accelerator, progress)
    if recipe.kind == "redegnet-paper":
        return paper_course(recipe, accelerator, progress, say)
    if recipe.kind == "dml":
        return dml_course(recipe, accelerator, progress, say)
    return restorer_course(recipe, accelerator, progress, say)


def _batches(recipe: AnyRecipe) -> str:
    return " and ".join(str(part.batch) for part in parts_of(recipe))
