"""What a run would be, told before it begins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from redeg_cli.device import autocast_dtype, pick_device, process_count
from redeg_cli.io.listing import list_images
from redeg_cli.io.pairs import find_pairs
from redeg_cli.io.registered_pairs import find_registered
from redeg_cli.models import build, find_model
from redeg_cli.train.journal import CURVES, LOG
from redeg_cli.train.networks import start_network
from redeg_cli.train.recipes import AnyRecipe, Recipe, parts_of
from redeg_cli.train.settled import RECIPE, check_settled

IMAGES_PER_ROW = {"restorer": 1, "redegnet": 2, "redegnet-paper": 3, "dml": 1}
"""Images that a network sees of each row of a batch, by the recipe's kind."""


def images_per_step(recipe: AnyRecipe) -> int:
    """Return how many images the networks of a run see in a step."""
    return sum(part.batch * IMAGES_PER_ROW[part.kind] for part in parts_of(recipe))


def overview(recipe: AnyRecipe, folder: Path, device: str = "auto") -> dict[str, Any]:
    """Return by name: images, parameters, batch, steps, device, precision and what is written.

    Nothing is written. Raises what the run itself would raise for its recipe, its folder and its
    sources: RecipeError, ModelError and InputError.
    """
    check_settled(folder, recipe)
    told: dict[str, Any] = {}
    for part in parts_of(recipe):
        label = f"{part.name}: " if recipe.kind == "joint" else ""
        told |= {f"{label}{key}": value for key, value in _of_part(part).items()}
    place = pick_device(device)
    half = autocast_dtype(place, recipe.precision) == torch.bfloat16
    state = folder / "state.pt"
    weights = [f"{part.name}.safetensors" for part in parts_of(recipe)]
    return {
        **told,
        "processes": process_count(),
        "steps": recipe.steps,
        "minutes": recipe.minutes,
        "device": str(place),
        "precision": "bf16" if half else "fp32",
        "carries on": state.exists(),
        "writes": [str(folder / each) for each in (*weights, state.name, RECIPE, LOG, CURVES)],
    }


def _of_part(recipe: Recipe) -> dict[str, Any]:
    """Return what one network is trained on, and how large it is."""
    if recipe.kind == "dml":
        groups = {"pairs": recipe.pairs, "held-out pairs": recipe.held_out}
        told = _count_pairs(groups, recipe.scale)
        network = build(recipe.architecture, recipe.config)
        parameters = sum(each.numel() for each in network.parameters())
        return {**told, "parameters": parameters, "batch": recipe.batch}
    if recipe.kind == "restorer":
        recipe.degraders()  # pools that are missing, or of another scale, are told now
    sources = {"data": recipe.data, "validation": recipe.validation}
    if recipe.kind == "redegnet-paper":
        sources["faces"] = recipe.faces
    images: dict[str, Any] = {
        f"{key} images": {str(each.folder): len(list_images([each.folder])) for each in group}
        for key, group in sources.items()
        if group
    }
    if recipe.kind == "restorer":
        images |= _count_pairs({"pairs": recipe.pairs}, max(recipe.scales))
        if recipe.dml:
            find_model(recipe.dml)
    if recipe.kind == "redegnet-paper" and recipe.pairs:
        images["face pairs"] = len(find_pairs(recipe.pairs)[0])
    network = start_network(recipe)
    parameters = sum(each.numel() for each in network.parameters())
    return {**images, "parameters": parameters, "batch": recipe.batch}


def _count_pairs(groups: Mapping[str, list[Path]], scale: int) -> dict[str, Any]:
    """Return how many registered pairs each folder of each group has."""
    return {
        key: {str(each): len(find_registered([each], scale)[0]) for each in group}
        for key, group in groups.items()
        if group
    }
