"""A photo's degradation in one file: what adapting changed in SynNet, lattice, tone, Ω and JPEG."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from redeg_cli.errors import ModelError
from redeg_cli.io.checkpoints import load_tensors, save_tensors
from redeg_cli.models import find_model, load_network, model_fingerprint
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.adapt import Adapted, with_delta, with_lattice
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool
from redeg_cli.omega.synthesis import JpegStage, Stages
from redeg_cli.omega.tone import Tone

KIND = "adapted-synnet"
FORMAT = "1"
_OMEGA = "omega"


def save_adapted(
    path: Path, adapted: Adapted, stages: Stages, scale: int, redegnet: str | Path, photo: str = ""
) -> None:
    """Write what was fitted to a photo as one safetensors file.

    It holds float16 differences from ``redegnet`` (a name or a file), which is named in it with
    its fingerprint; ``stages`` are the JPEG stages of the photo, one row each; ``photo`` is a
    name to know it by. Raises OutputError when the place cannot be written.
    """
    facts = {
        "scale": scale,
        "photo": photo,
        "stages": [
            [bool(stage.there[0]), float(stage.quality[0]), bool(stage.subsample[0])]
            for stage in stages
        ],
        "lattice": None if adapted.lattice is None else adapted.lattice.frequencies,
        "tone": None
        if adapted.tone is None
        else {"curves": adapted.tone.curves, "mix": adapted.tone.mix},
        "losses": adapted.losses,
        "kept": adapted.kept,
    }
    weights = find_model(redegnet)
    metadata = {
        "kind": KIND,
        "format": FORMAT,
        "redegnet": weights.stem,
        "fingerprint": model_fingerprint(weights),
        "facts": json.dumps(facts),
    }
    save_tensors(path, {**adapted.delta, _OMEGA: adapted.omega}, metadata)


def load_adapted(
    path: Path,
    scale: int | None = None,
    *,
    redegnet: str | Path | None = None,
    aligned: bool = False,
    device: torch.device | str = "cpu",
) -> OmegaDegrader:
    """Return the degrader of the photo that was adapted to.

    ``scale`` None takes the one it was fitted at; ``redegnet`` None the one it names. Raises
    ModelError for a file of another kind, a damaged one, and for another ReDegNet than its own.
    """
    tensors, metadata = load_tensors(Path(path))
    if metadata.get("kind") != KIND:
        raise ModelError(
            f"{path} is no photo's degradation: give the adapted.safetensors that "
            "`redeg finetune` writes"
        )
    if metadata.get("format") != FORMAT:
        raise ModelError(
            f"{path} has format {metadata.get('format')}, this version reads {FORMAT}: "
            "update redeg, or adapt again"
        )
    name, fingerprint = metadata.get("redegnet", "?"), metadata.get("fingerprint", "?")
    weights = find_model(redegnet or name)
    if model_fingerprint(weights) != fingerprint:
        raise ModelError(
            f"{path} was adapted from {name} ({fingerprint}), not from {weights.stem} "
            f"({model_fingerprint(weights)}): give --redegnet the model it was adapted from"
        )
    net = load_network(weights, "redegnet", "cpu")
    try:
        if not isinstance(net, ReDegNetLite):
            raise ValueError(f"{name} cannot be adapted")
        facts = json.loads(metadata["facts"])
        lattice, tone, stages = _read_facts(facts)
        omega = tensors.pop(_OMEGA)
        net = with_delta(with_lattice(net, lattice), tensors)
        pool = Pool(
            omega.numpy().astype(np.float32),
            (str(facts["photo"]) or "adapted",),
            np.array([int(facts["scale"])]),
            name,
            fingerprint,
            ("fitted to the photo",),
        )
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path} is damaged ({reason}): copy it again") from None
    return OmegaDegrader(
        net.to(device).eval(),
        pool,
        scale or int(facts["scale"]),
        aligned=aligned,
        lattice=lattice,
        stages=stages,
        tone=tone,
    )


def adapted_digest(path: Path) -> str:
    """Return 12 hex digits that tell the file from any other. Raises ModelError."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None


def _read_facts(facts: Mapping[str, Any]) -> tuple[Lattice | None, Tone | None, Stages]:
    lattice = tone = None
    if facts["lattice"] is not None:
        lattice = Lattice(tuple((float(x), float(y)) for x, y in facts["lattice"]))
    if facts["tone"] is not None:
        curves, mix = (
            tuple(tuple(float(v) for v in row) for row in facts["tone"][key])
            for key in ("curves", "mix")
        )
        tone = Tone(curves, mix)  # pyright: ignore[reportArgumentType]
    first, second = (
        JpegStage(torch.tensor([there]), torch.tensor([quality]), torch.tensor([subsample]))
        for there, quality, subsample in facts["stages"]
    )
    return lattice, tone, (first, second)
