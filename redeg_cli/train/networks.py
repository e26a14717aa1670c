"""The network that a run trains: a new one, or one with the weights that it starts from."""

from torch import nn

from redeg_cli.errors import RecipeError
from redeg_cli.io.checkpoints import check_layout, load_tensors
from redeg_cli.models import build, find_model, is_signed, load_restorer
from redeg_cli.train.recipes import Recipe, RestorerRecipe

_ADDED = ("context.", "synnet.strength.")
"""What a trained f2n-compact or ReDegNet-lite may be given: it changes nothing at first."""


def start_network(recipe: Recipe) -> nn.Module:
    """Return the network of a recipe on the CPU, in training mode, as the run starts with it.

    With ``init`` it has those weights, which must fit the recipe's architecture and ``config``; an
    f2n-compact without coarser grids gets them, and a SynNet-lite its strength of the grain.
    Raises RecipeError and ModelError.
    """
    if recipe.kind == "restorer" and recipe.architecture == "spandrel":
        return _community_network(recipe)
    network = build(recipe.architecture, recipe.config)
    if recipe.init is not None:
        path = find_model(recipe.init)
        tensors, metadata = load_tensors(path)
        if is_signed(metadata):
            raise RecipeError(
                f"'init': {path} works in [-1, 1], training in [0, 1]: `redeg finetune --model` "
                "goes on from it as it is"
            )
        own = network.state_dict()
        for part in _ADDED:
            if not any(name.startswith(part) for name in tensors):
                tensors |= {name: own[name] for name in own if name.startswith(part)}
        check_layout(str(path), network, tensors)
        network.load_state_dict(tensors)
    if recipe.kind == "restorer":
        _check_scales(recipe, network)
        _check_crop(recipe, network)
    return network.train()


def _community_network(recipe: RestorerRecipe) -> nn.Module:
    if recipe.init is None:
        raise RecipeError("'init': architecture spandrel needs a checkpoint to start from")
    if len(recipe.scales) != 1:
        raise RecipeError(f"'scales': a network of spandrel has one scale, got {recipe.scales}")
    restorer = load_restorer(recipe.init, recipe.scales[0])
    restorer.check_crop(recipe.crop)
    if restorer.trained is None:
        raise RecipeError(
            f"'init': {recipe.init} is a network of redeg's own: give its architecture in place of "
            "spandrel"
        )
    return restorer.trained.requires_grad_(True).train()


def _check_crop(recipe: RestorerRecipe, network: nn.Module) -> None:
    """Raise RecipeError for a crop that the network, or the discriminator, cannot take."""
    multiple = int(getattr(network, "multiple", 1))
    if recipe.crop % multiple:
        raise RecipeError(
            f"'crop': {recipe.architecture} takes multiples of {multiple}, got {recipe.crop}"
        )
    least = 24 if recipe.discriminator == "patch" else 8
    if recipe.adversarial_weight and recipe.crop * min(recipe.scales) < least:
        raise RecipeError(
            f"'crop': a {recipe.discriminator} discriminator wants HQs of at least {least} px, got "
            f"{recipe.crop * min(recipe.scales)}"
        )


def _check_scales(recipe: RestorerRecipe, network: nn.Module) -> None:
    """Raise RecipeError for a scale that the network does not have."""
    own = getattr(network, "scales", getattr(network, "scale", (1,)))
    own = (own,) if isinstance(own, int) else own
    for scale in recipe.scales:
        if scale not in own:
            can = ", ".join(f"x{each}" for each in own)
            raise RecipeError(
                f"'scales': the network restores at {can}, x{scale} was asked for: change it or "
                "'config'"
            )
