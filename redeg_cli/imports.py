"""Checkpoints made elsewhere -> named models in the user's folder."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from redeg_cli.errors import ModelChoiceError, ModelError
from redeg_cli.io.checkpoints import check_layout, load_tensors, save_tensors
from redeg_cli.io.files import ensure_writable
from redeg_cli.models import (
    SUFFIXES,
    build,
    embedded_folder,
    save_network,
    user_folder,
)
from redeg_cli.nets.community import load_community
from redeg_cli.nets.rrdb import infer_config

if TYPE_CHECKING:
    from torch import Tensor

# The three files of the ReDegNet release and the part of our module each one fills.
RELEASED_PARTS = {"net_deg": "degnet", "net_synE": "encoder", "net_synG": "generator"}


def import_redegnet(folder: str | Path, name: str = "redegnet", *, overwrite: bool = False) -> Path:
    """Bring the released net_deg*, net_synE* and net_synG* files in under one name.

    Names and shapes are checked against the architecture and the first difference is named.
    Returns the file written. Raises ModelError, or OutputError when the name is taken.
    """
    folder = Path(folder)
    target = import_target(name, overwrite)
    net = build("redegnet", {})
    merged: dict[str, Tensor] = {}
    for stem, part in RELEASED_PARTS.items():
        file = _released_file(folder, stem)
        tensors, _ = load_tensors(file)
        check_layout(str(file), net.get_submodule(part), tensors)
        merged.update({f"{part}.{key}": value for key, value in tensors.items()})
    save_network(target, "redegnet", {}, merged, notes={"origin": "ReDegNet release"})
    return target


def import_f2n(file: str | Path, name: str = "f2n", *, overwrite: bool = False) -> Path:
    """Bring a released net_f2n file in; it runs in [-1, 1], which the metadata then says.

    Returns the file written. Raises ModelError when the layout is not RRDBNet's, or OutputError
    when the name is taken.
    """
    file = Path(file)
    if file.is_dir():
        raise ModelError(f"{file}: a folder; give the net_f2n*.pth file itself")
    target = import_target(name, overwrite)
    tensors, _ = load_tensors(file)
    config = infer_config(tensors)
    if config is None:
        raise ModelError(f"{file}: not an F2N-ESRGAN checkpoint (no RRDBNet layout in it)")
    check_layout(str(file), build("f2n", config), tensors)
    notes = {"origin": "ReDegNet release", "value_range": "-1,1"}
    save_network(target, "f2n", config, tensors, notes=notes)
    return target


def import_community(file: str | Path, name: str, *, overwrite: bool = False) -> Path:
    """Bring in a community restorer or face restorer that spandrel knows.

    Returns the file written. Raises ModelError, or OutputError when the name is taken.
    """
    file = Path(file)
    target = import_target(name, overwrite)
    tensors, metadata = load_tensors(file)
    if "config" in metadata:
        raise ModelError(f"{file}: a model of redeg already; give its path where a name is asked")
    notes = {"origin": file.name} | _recognise(file, tensors)
    save_tensors(target, tensors, notes)
    return target


def recognise(file: str | Path) -> dict[str, str]:
    """Return architecture, kind and scales of a checkpoint that spandrel knows.

    Raises ModelError for others.
    """
    return _recognise(Path(file), load_tensors(Path(file))[0])


def _recognise(file: Path, tensors: "dict[str, Tensor]") -> dict[str, str]:
    model = load_community(str(file), tensors, "cpu")
    return {
        "architecture": model.architecture.name,
        "kind": "face" if model.purpose == "FaceSR" else "restorer",
        "scales": str(model.scale),
    }


def import_path(
    path: str | Path, name: str | None = None, *, f2n: bool = False, overwrite: bool = False
) -> list[Path]:
    """Bring in what ``path`` holds: the folder of the release, or one checkpoint.

    A folder gives ReDegNet and, without ``name``, each net_f2n file beside it. A file called
    net_f2n*, or any with ``f2n``, is an F2N-ESRGAN of the release; others go through spandrel.
    Returns the files written. Raises ModelError or OutputError.
    """
    path = Path(path)
    if path.is_dir() and not f2n:
        written = [import_redegnet(path, name or "redegnet", overwrite=overwrite)]
        for file in sorted(path.glob("net_f2n*.pth")) if name is None else []:
            written.append(import_f2n(file, _f2n_name(file), overwrite=overwrite))
        return written
    if not path.exists():
        raise ModelError(f"{path}: no such file or folder")
    if path.name.startswith(tuple(RELEASED_PARTS)):
        raise ModelError(f"{path}: one of three files; give the folder that holds all three")
    if f2n or path.name.startswith("net_f2n"):
        return [import_f2n(path, name or _f2n_name(path), overwrite=overwrite)]
    default = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    return [import_community(path, name or default, overwrite=overwrite)]


def import_target(name: str, overwrite: bool = False) -> Path:
    """Return where an imported model called ``name`` is written. Raises ModelError, OutputError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ModelChoiceError(
            f"{name!r} cannot be a model's name: use letters, digits, '.', '_', '-'"
        )
    if name.lower().endswith(SUFFIXES):
        raise ModelChoiceError(f"{name!r} cannot be a model's name: leave the ending away")
    if (embedded_folder() / f"{name}.safetensors").exists():
        raise ModelChoiceError(
            f"{name!r} comes with redeg and cannot be replaced: take another name"
        )
    target = user_folder() / f"{name}.safetensors"
    ensure_writable(target, overwrite)
    return target


def _released_file(folder: Path, stem: str) -> Path:
    if not folder.is_dir():
        raise ModelError(f"{folder}: not a folder; give the one that holds {stem}*.pth")
    found = sorted(folder.glob(f"{stem}*.pth"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise ModelError(f"{folder}: no {stem}*.pth in it (the release calls it {stem}_init.pth)")
    names = ", ".join(path.name for path in found)
    raise ModelError(f"{folder}: several {stem}*.pth ({names}); leave only the one to import")


def _f2n_name(file: Path) -> str:
    rest = file.stem.removeprefix("net_f2n").strip("_")
    return "f2n" if rest in ("", "g") or not file.stem.startswith("net_f2n") else f"f2n-{rest}"
