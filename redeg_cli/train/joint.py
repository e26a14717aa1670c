"""Train a ReDegNet and a restorer at once, as the release does.

In each step DegNet and SynNet take theirs first, with the losses of their own recipe; then the
restorer takes one on LQs that SynNet, as it is by then, makes of natural images with the Ωs of that
step's pairs. No gradient goes from the restorer to DegNet or SynNet.

One after the other is the better way: then a validation says when the Ωs are good enough to learn
from, and the restorer never sees what an untrained SynNet makes.
"""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor

from redeg_cli.degrade.base import Degrader
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.transfer import pool_of
from redeg_cli.progress import OnProgress
from redeg_cli.train.loop import Averages, Course
from redeg_cli.train.paper import paper_course
from redeg_cli.train.recipes import JointRecipe, PaperRecipe
from redeg_cli.train.redegnet import REDEGNET, redegnet_course
from redeg_cli.train.restorer import restorer_course


def joint_course(
    recipe: JointRecipe,
    accelerator: Accelerator,
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Course:
    """Return what a run of ``recipe`` trains: the players of both sides, ReDegNet's first."""
    live: dict[int, Degrader] = {}

    def take(omega: Tensor) -> None:
        if bool(torch.isfinite(omega).all()):  # else the step ends with the name of the term
            for degrader in live.values():
                assert isinstance(degrader, OmegaDegrader)
                degrader.pool = pool_of(omega, degrader.scale)

    if isinstance(recipe.redegnet, PaperRecipe):
        first = paper_course(recipe.redegnet, accelerator, progress, say, take)
    else:
        first = redegnet_course(recipe.redegnet, accelerator, progress, take)
    net = next(player for player in first.players if player.name == REDEGNET).network.get_submodule(
        "net"
    )
    nothing = pool_of(torch.zeros(1, 512), 1)  # until the first step has Ωs
    live |= {
        scale: OmegaDegrader(net, nothing, scale, precision=recipe.precision)
        for scale in recipe.restorer.scales
    }
    second = restorer_course(recipe.restorer, accelerator, progress, say, live)

    def validate(averages: Averages) -> dict[str, float]:
        sides = [side.validate(averages) for side in (first, second) if side.validate]
        return {name: value for figures in sides for name, value in figures.items()}

    def samples(averages: Averages) -> dict[str, Tensor]:
        sides = [side.samples(averages) for side in (first, second) if side.samples]
        return {name: picture for pictures in sides for name, picture in pictures.items()}

    def close() -> None:
        first.close()
        second.close()

    players = [*first.players, *second.players]
    return Course(players, validate, samples, second.keeper, first.settle, close)
