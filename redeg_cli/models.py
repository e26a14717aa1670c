"""Names -> weights: where models lie, what they are, and how they are loaded to run in [0, 1]."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from redeg_cli.device import place
from redeg_cli.errors import ModelChoiceError, ModelError
from redeg_cli.io.checkpoints import check_layout, load_tensors, save_tensors
from redeg_cli.nets.community import CommunityNetwork, community_run, face_run, load_community
from redeg_cli.nets.rrdb import infer_config
from redeg_cli.nets.wrap import FaceRestorer, Restorer, both_ways

Kind = Literal["redegnet", "restorer", "face", "degrader"]

DEFAULT_REDEGNET = "redegnet-lite"
DEFAULT_RESTORER = "f2n-compact"
DEFAULT_FACE_RESTORER = "face-restorer"

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")

# architecture -> (what it is for, module, class). Imported when asked for, so that one broken or
# missing network does not take the others with it.
ARCHITECTURES: dict[str, tuple[Kind, str, str]] = {
    "redegnet-lite": ("redegnet", "redeg_cli.nets.lite", "ReDegNetLite"),
    "redegnet": ("redegnet", "redeg_cli.nets.synnet", "ReDegNet"),
    "f2n": ("restorer", "redeg_cli.nets.rrdb", "RRDBNet"),
    "f2n-compact": ("restorer", "redeg_cli.nets.compact", "CompactF2N"),
    "face-restorer": ("face", "redeg_cli.nets.face", "FaceUNet"),
    "vdsr": ("restorer", "redeg_cli.nets.vdsr", "VDSR"),
    "rcan": ("restorer", "redeg_cli.nets.rcan", "RCAN"),
    "dml": ("degrader", "redeg_cli.nets.dml", "DML"),
    "direct-net": ("degrader", "redeg_cli.nets.dml", "DirectNet"),
    "direct-kpn": ("degrader", "redeg_cli.nets.dml", "DirectKPN"),
}


class DegradationNet(Protocol):
    """What both ReDegNets do. Images are float32 RGB (B, 3, H, W) in [0, 1]."""

    def extract(self, hq: Tensor, lq: Tensor, scale: int = 1) -> Tensor:
        """Return Ω (B, 512) of pairs of one size."""
        ...

    def synthesise(self, hq: Tensor, omega: Tensor, **options: Any) -> Tensor:
        """Return the aligned LQ (B, 3, H, W) of HQ images under Ω (B, 512)."""
        ...


@dataclass(frozen=True)
class ModelInfo:
    """One model that can be named on the command line."""

    name: str
    kind: str
    architecture: str
    path: Path
    source: Literal["embedded", "imported", "file"]
    size: int
    """Bytes on disk."""
    parameters: int
    """Numbers in the weights file, buffers included."""
    metadata: Mapping[str, str] = field(default_factory=dict)


def embedded_folder() -> Path:
    """Return the folder of the weights that come with the package (wheel or checkout)."""
    inside = Path(__file__).parent / "_weights"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "weights"


def user_folder() -> Path:
    """Return the folder of imported weights: ``$REDEG_HOME``, or the platform's data folder."""
    if home := os.environ.get("REDEG_HOME"):
        return Path(home).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(base) / "redeg"
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "redeg"


def find_model(name_or_path: str | Path) -> Path:
    """Return the weights file of a model's name, or the path itself when it names a file.

    Raises ModelError when there is no such model; the line lists the names there are, or says
    what downloads the model.
    """
    text = str(name_or_path)
    path = Path(text).expanduser()
    suffixes = (*SUFFIXES, ".npz")  # a pool: reading it as weights says where it belongs
    if path.suffix.lower() in suffixes or path.parent != Path("."):
        if path.is_file():
            return path
        raise ModelChoiceError(f"{text}: no such weights file")
    for folder in (embedded_folder(), user_folder()):
        candidate = folder / f"{text}.safetensors"
        if candidate.is_file():
            return candidate
    from redeg_cli.downloads import DOWNLOADS, how_to_get  # which imports this module

    download = DOWNLOADS.get(text.lower())
    if download is not None and download.kept == "model":
        raise ModelError(f"the weights of {text} are not here yet: {how_to_get(text.lower())}")
    known = ", ".join(info.name for info in list_models()) or "none"
    raise ModelChoiceError(
        f"no model is called {text!r} (there are: {known}); give one of these, a weights file, "
        "or bring one in with `redeg models import`"
    )


def model_fingerprint(path: str | Path) -> str:
    """Return the first 12 hex digits of the SHA-256 of a model's file (or of a named model)."""
    digest = hashlib.sha256()
    with find_model(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:12]


def model_info(name_or_path: str | Path) -> ModelInfo:
    """Return what the header of a model's file says. Raises ModelError when it is unreadable."""
    path = find_model(name_or_path)
    if path.suffix == ".safetensors":
        metadata, parameters = _read_header(path)
    else:
        tensors, metadata = load_tensors(path)
        metadata = metadata or _released_metadata(path, tensors)
        parameters = sum(tensor.numel() for tensor in tensors.values())
    source: Literal["embedded", "imported", "file"] = "file"
    if path.parent.resolve() == embedded_folder().resolve():
        source = "embedded"
    elif path.parent.resolve() == user_folder().resolve():
        source = "imported"
    architecture = metadata.get("architecture", "unknown")
    kind = ARCHITECTURES[architecture][0] if architecture in ARCHITECTURES else "unknown"
    name = str(path) if source == "file" else path.stem
    return ModelInfo(
        name=name,
        kind=metadata.get("kind", kind),
        architecture=architecture,
        path=path,
        source=source,
        size=path.stat().st_size,
        parameters=parameters,
        metadata=metadata,
    )


def list_models(problems: list[str] | None = None) -> list[ModelInfo]:
    """Return the embedded models, then the imported ones, by name.

    Unreadable files are left out; what is wrong with each is added to ``problems``.
    """
    found: dict[str, ModelInfo] = {}
    for folder in (embedded_folder(), user_folder()):
        for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else []:
            if path.stem not in found:
                try:
                    found[path.stem] = model_info(path)
                except ModelError as error:
                    if problems is not None:
                        problems.append(str(error))
    return list(found.values())


def build(architecture: str, config: Mapping[str, Any]) -> nn.Module:
    """Return a new network. Raises ModelError for an unknown architecture or a wrong config."""
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"unknown architecture {architecture!r}, wanted one of: {known}")
    _, module, name = ARCHITECTURES[architecture]
    try:
        return cast("nn.Module", getattr(import_module(module), name)(**config))
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
        raise ModelError(f"{architecture} cannot be built from this config: {error}") from error


def save_network(
    path: str | Path,
    architecture: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    notes: Mapping[str, str] | None = None,
    half: bool = False,
) -> None:
    """Write weights as redeg's own safetensors file: they can be loaded again by path alone."""
    metadata = {**(notes or {}), "architecture": architecture, "config": json.dumps(dict(config))}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_tensors(Path(path), plain, metadata, half=half)


def load_network(
    name_or_path: str | Path, kind: Kind | None = None, device: torch.device | str = "cpu"
) -> nn.Module:
    """Return one of redeg's own networks with its weights, in eval mode.

    Raises ModelError when the file is not of redeg, holds another ``kind``, or does not fit.
    """
    path = find_model(name_or_path)
    tensors, metadata = load_tensors(path)
    if metadata.get("architecture") not in ARCHITECTURES:
        raise ModelError(f"{path}: not a model of redeg (no known architecture in its metadata)")
    return _fill(path, tensors, metadata, kind, device)


def load_redegnet(name_or_path: str | Path, device: torch.device | str = "cpu") -> DegradationNet:
    """Return a ReDegNet (DegNet and SynNet) by name or path. Raises ModelError."""
    return cast("DegradationNet", load_network(name_or_path, "redegnet", device))


def tuned_scale(name_or_path: str | Path) -> int | None:
    """Return the scale that a restorer was fine-tuned at by ``redeg finetune``; None for others."""
    path = find_model(name_or_path)
    if path.suffix != ".safetensors":  # of others the whole file would be read to know
        return None
    found = model_info(path).metadata.get("finetuned_scale", "")
    return int(found) if found.isdecimal() else None


def load_restorer(
    name_or_path: str | Path, scale: int | None = None, device: torch.device | str = "cpu"
) -> Restorer:
    """Return a restorer (B, 3, h, w) -> (B, 3, h·scale, w·scale), [0, 1] in and out.

    ``scale`` None takes the model's own (the largest one where it has several). Files without
    redeg's metadata are recognised by spandrel. Raises ModelError for a scale it cannot do.
    """
    path = find_model(name_or_path)
    tensors, metadata = load_tensors(path)
    metadata = metadata or _released_metadata(path, tensors)
    label = _label(name_or_path, path)
    architecture = metadata.get("architecture", "")
    if architecture not in ARCHITECTURES:
        return _community_restorer(path, label, tensors, scale, device)
    net = _fill(path, tensors, metadata, "restorer", device)
    # CompactF2N and VDSR serve several scales and are told which; RRDBNet and RCAN have one.
    takes_scale = hasattr(net, "scales")
    scales: Sequence[int] = getattr(net, "scales" if takes_scale else "scale", (1,))
    scales = (scales,) if isinstance(scales, int) else scales
    chosen = max(scales) if scale is None else scale
    _check_scale(label, chosen, scales)

    def run(image: Tensor) -> Tensor:
        return net(image, chosen) if takes_scale else net(image)

    return Restorer(
        run,
        name=label,
        scale=chosen,
        fingerprint=model_fingerprint(path),
        architecture=architecture,
        network=net,
        multiple=int(getattr(net, "multiple", 1)),
        signed=is_signed(metadata),
    )


def load_face_restorer(
    name_or_path: str | Path, device: torch.device | str = "cpu"
) -> FaceRestorer:
    """Return a restorer of aligned faces (B, 3, S, S) in [0, 1], the same size out.

    Our own takes any multiple of 16, and sees each face in its mirror image too; community models
    (GFPGAN, CodeFormer, RestoreFormer) work at 512 and other sizes are resized on the way in and
    out. Raises ModelError.
    """
    path = find_model(name_or_path)
    tensors, metadata = load_tensors(path)
    label = _label(name_or_path, path)
    architecture = metadata.get("architecture", "")
    size, multiple = None, 1
    if architecture in ARCHITECTURES:
        net = _fill(path, tensors, metadata, "face", device)
        run, multiple = both_ways(net), int(getattr(net, "multiple", 16))
    else:
        model = load_community(str(path), tensors, device)
        net, run, size = model.model, face_run(str(path), model), 512
        architecture = model.architecture.name
    return FaceRestorer(
        run,
        name=label,
        fingerprint=model_fingerprint(path),
        architecture=architecture,
        network=net,
        size=size,
        multiple=multiple,
    )


def _community_restorer(
    path: Path,
    label: str,
    tensors: dict[str, Tensor],
    scale: int | None,
    device: torch.device | str,
) -> Restorer:
    model = load_community(str(path), tensors, device)
    _check_scale(label, model.scale if scale is None else scale, (model.scale,))
    needs = model.size_requirements
    return Restorer(
        community_run(model),
        name=label,
        scale=model.scale,
        fingerprint=model_fingerprint(path),
        architecture=model.architecture.name,
        network=model.model,
        multiple=needs.multiple_of,
        minimum=needs.minimum,
        square=needs.square,
        trained=CommunityNetwork(str(path), model),
    )


def _fill(
    path: Path,
    tensors: dict[str, Tensor],
    metadata: Mapping[str, str],
    kind: Kind | None,
    device: torch.device | str,
) -> nn.Module:
    architecture = metadata["architecture"]
    found = ARCHITECTURES[architecture][0]
    if kind is not None and found != kind:
        raise ModelChoiceError(
            f"{path}: holds a {found} model ({architecture}), wanted a {kind} model"
        )
    try:
        config = json.loads(metadata.get("config") or "{}")
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}: its config is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: its config is not a table of settings")
    net = build(architecture, config)
    check_layout(str(path), net, tensors)
    net.load_state_dict(tensors)
    return place(net.eval(), device)


def _check_scale(label: str, scale: int, scales: Sequence[int]) -> None:
    if scale not in scales:
        can = ", ".join(f"x{each}" for each in scales)
        raise ModelChoiceError(
            f"{label} restores at {can}, x{scale} was asked for: give --scale {scales[-1]}"
        )


def _released_metadata(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the metadata that the release's own net_f2n file would carry; {} for other files.

    Its layout is that of any ESRGAN, which runs in [0, 1]: only the name tells them apart.
    """
    config = infer_config(tensors) if path.name.startswith("net_f2n") else None
    if config is None:
        return {}
    return {"architecture": "f2n", "config": json.dumps(config), "value_range": "-1,1"}


def is_signed(metadata: Mapping[str, str]) -> bool:
    """Return whether a network takes and gives values in [-1, 1]. Raises ModelError."""
    value_range = metadata.get("value_range", "0,1")
    if value_range not in ("0,1", "-1,1"):
        raise ModelError(f"unknown value range {value_range!r}, wanted '0,1' or '-1,1'")
    return value_range == "-1,1"


def _label(name_or_path: str | Path, path: Path) -> str:
    return path.name if path.suffix.lower() in Path(name_or_path).name.lower() else path.stem


def _read_header(path: Path) -> tuple[dict[str, str], int]:
    try:
        with safe_open(str(path), "pt") as file:
            shapes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118
            return dict(file.metadata() or {}), sum(prod(shape) for shape in shapes)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors file: {error}") from error
