"""The network that a run trains: a new one, or one with the weights that it starts from."""

from torch import nn

from redeg_cli.errors import RecipeError
from redeg_cli.models import build, check_layout, find_model, load_restorer, load_tensors
from redeg_cli.train.recipes import Recipe


def start_network(recipe: Recipe) -> nn.Module:
    """Return the network of a recipe on the CPU, in training mode, as the run starts with it.

    With ``init`` it has those weights, which must fit the recipe's architecture and ``config``.
    Raises RecipeError and ModelError.
    """
    init = recipe.init
    if recipe.architecture == "spandrel":
        if init is None:
            raise RecipeError("'init': architecture spandrel needs a checkpoint to start from")
        if len(recipe.scales) != 1:
            raise RecipeError(f"'scales': a network of spandrel has one scale, got {recipe.scales}")
        restorer = load_restorer(init, recipe.scales[0])
        if recipe.kind == "restorer":
            restorer.check_crop(recipe.crop)
        return restorer.network.requires_grad_(True).train()
    network = build(recipe.architecture, recipe.config)
    if init is not None:
        path = find_model(init)
        tensors, _ = load_tensors(path)
        check_layout(str(path), network, tensors)
        network.load_state_dict(tensors)
    return network.train()
