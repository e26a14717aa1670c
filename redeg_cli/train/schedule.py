"""What the learning rate is multiplied with in each step of a run."""

import math

from redeg_cli.train.recipes import Recipe
from redeg_cli.train.state import Clock


def rate_factor(recipe: Recipe, clock: Clock, share: float) -> float:
    """Return the factor in (0, 1] of the step after ``clock``, ``share`` of the run being done.

    A linear warm-up, and at the same time what ``schedule`` says: "cosine" half a cosine from 1
    down to 1 %, "constant" 1, "step" ``decay`` to the number of milestones passed, "plateau"
    ``decay`` to the number of times that the watched figure stood still.
    """
    warm = min(1.0, (clock.step + 1) / max(1, recipe.warm_up))
    if recipe.schedule == "cosine":
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
    if recipe.schedule == "step":
        return warm * recipe.decay ** sum(clock.step >= each for each in recipe.milestones)
    if recipe.schedule == "plateau":
        return warm * recipe.decay ** sum(streak // recipe.plateau for streak in clock.streaks)
    return warm
