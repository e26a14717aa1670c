"""Between fidelity and texture: two sets of weights of one network, blended.

Trained for the distance of pixels a restorer is right on average and smooth where it is unsure;
trained on from there for the statistics of texture, or against a discriminator, it is sharp and
invents. Weights between the two give restorers between the two (``nets.blend``).
"""

from pathlib import Path

import torch

from redeg_cli.errors import ModelChoiceError, ModelError
from redeg_cli.models import find_model, load_restorer
from redeg_cli.nets.blend import blend_weights
from redeg_cli.nets.wrap import Restorer

SUFFIX = "-perceptual"
"""What the weights with texture are called, after the name of those without."""


def perceptual_of(name_or_path: str | Path) -> Path:
    """Return the file of the weights with texture that belong to a model's name or file.

    They lie beside it, called as it is with ``SUFFIX``. Raises ModelError when there are none.
    """
    path = find_model(name_or_path)
    partner = path.with_name(f"{path.stem}{SUFFIX}{path.suffix}")
    if not partner.is_file():
        raise ModelChoiceError(
            f"{name_or_path} has no weights with texture to blend with (no {partner.name} beside "
            "it): leave --texture out, or train them from it (recipe f2n-compact-perceptual)"
        )
    return partner


def load_textured(
    name_or_path: str | Path,
    texture: float,
    scale: int | None = None,
    device: torch.device | str = "cpu",
) -> Restorer:
    """Return a restorer that invents as much texture as asked for, as ``load_restorer`` does.

    ``texture`` is from 0, the model itself, to 1, its weights with texture. Raises ModelError when
    there are none, or when they are of another network.
    """
    if not 0 <= texture <= 1:
        raise ValueError(f"texture is from 0 to 1, got {texture}")
    restorer = load_restorer(name_or_path, scale, device)
    if texture == 0:
        return restorer
    partner = load_restorer(perceptual_of(name_or_path), restorer.scale, device)
    try:
        blended = blend_weights(
            restorer.network.state_dict(), partner.network.state_dict(), texture
        )
    except ValueError:
        raise ModelError(
            f"{partner.name} is another network than {restorer.name}: cannot blend"
        ) from None
    restorer.network.load_state_dict(blended)
    restorer.fingerprint = f"{restorer.fingerprint}+{texture:g}*{partner.fingerprint}"
    return restorer
