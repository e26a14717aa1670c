"""Tensors in files: safetensors written, safetensors and pickled checkpoints read."""

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from redeg_cli.errors import ModelError
from redeg_cli.io.files import atomic_path

# Where training codes put the state dict, best first: the averaged weights are what was published.
_WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
# Arrays by which a pool in an .npz file is known, what it is, and the option that takes it.
_POOLS = {
    "omega.npy": ("a pool of Ωs", "--pool"),
    "kernels.npy": ("a pool of kernels", "--kernels"),
    "noise.npy": ("a pool of noise", "--noise"),
}
_HALF_MAX = torch.finfo(torch.float16).max


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], *, half: bool = False
) -> None:
    """Write ``tensors`` and ``metadata`` as one safetensors file, whole or not at all.

    With ``half``, floating tensors are stored in float16, except those that hold values beyond
    its range (65504). Raises OutputError when the place cannot be written.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        value = tensor.detach().cpu()
        if half and value.is_floating_point() and _fits_half(value):
            value = value.to(torch.float16)
        # safetensors refuses views and shared memory (tied weights): each gets its own.
        stored[name] = value.clone(memory_format=torch.contiguous_format)
    noted = {
        # Of a file's name that is not UTF-8, the bytes that are none become \udcxx.
        key: value.encode("utf-8", "backslashreplace").decode("utf-8")
        for key, value in metadata.items()
    }
    with atomic_path(Path(path)) as temporary:
        # Not save_file: it makes files that only their owner may read.
        temporary.write_bytes(_in_order(save(stored, metadata=noted)))


def _in_order(data: bytes) -> bytes:
    """Return a safetensors file with the keys of its header sorted: same content, same bytes."""
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a checkpoint, on the CPU, and its metadata ({} for pickled files).

    Reads safetensors and torch's .pth/.pt/.ckpt (told apart by content, not by name). 16-bit
    floats come back as float32. Nested checkpoints are unwrapped (params_ema, params, state_dict,
    model) and a "module." before every name is taken off. Pickled files are read by torch's
    restricted unpickler, which makes tensors and plain containers only.
    Raises ModelError for anything that is not a readable checkpoint.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "safetensors":
        tensors, metadata = _read_safetensors(path)
    else:
        tensors, metadata = _unwrap(_read_pickled(path), path), {}
    if not tensors:
        raise ModelError(f"{path} holds no weights: give a checkpoint with a state dict")
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return {name: _full(tensor) for name, tensor in tensors.items()}, metadata


def check_layout(source: str, net: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelError for the first tensor that is missing, left over or of another shape."""
    wanted = net.state_dict()
    for name, tensor in wanted.items():
        if name not in tensors:
            raise ModelError(f"{source}: {name} is missing; not weights of {type(net).__name__}")
        if tensors[name].shape != tensor.shape:
            raise ModelError(
                f"{source}: {name} is {list(tensors[name].shape)}, wanted {list(tensor.shape)}"
            )
    for name in tensors:
        if name not in wanted:
            raise ModelError(f"{source}: {name} has no place in {type(net).__name__}")


def _fits_half(tensor: Tensor) -> bool:
    finite = tensor[torch.isfinite(tensor)]
    return finite.numel() == 0 or float(finite.abs().max()) <= _HALF_MAX


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _kind(path: Path) -> str:
    """Return "safetensors" or "pickled" by the file's first bytes. Raises ModelError."""
    if path.is_dir():
        raise ModelError(f"{path} is a folder: give a weights file (.safetensors, .pth)")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist: give the path of a weights file") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from None
    if not head:
        raise ModelError(f"{path} is empty: download it again")
    if head.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"{path} is a git-LFS pointer, not the weights: run 'git lfs pull' or download the file"
        )
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return "safetensors"
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return "pickled"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")):
        raise ModelError(
            f"{path} is a web page, not weights: the download went wrong, get the file itself"
        )
    raise ModelError(f"{path} is not a checkpoint: expected .safetensors or a torch .pth file")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = dict(file.metadata() or {})
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path} is damaged ({_first_line(error)}): download or copy it again"
        ) from error


def _refuse_arrays(path: Path) -> None:
    """Raise ModelError for an .npz file, which is a zip as torch's files are."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return  # an old kind of .pth, or damage that is told when it is read
    for member, (what, option) in _POOLS.items():
        if member in members:
            raise ModelError(
                f"{path} is {what}, not weights: `redeg synthesize` takes it with {option}"
            )
    if any(member.endswith(".npy") for member in members):
        raise ModelError(f"{path} holds NumPy arrays, not weights: give a .safetensors or .pth")


def _read_pickled(path: Path) -> Any:
    _refuse_arrays(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old formats warn about their own age
            # An open file, not its path: by path torch would go by the suffix.
            with path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise ModelError(f"{path} does not fit into memory") from None
    except pickle.UnpicklingError as error:
        message = str(error)
        # Of some only the number of a pickle's instruction is told, which says nothing.
        name = re.search(r"(?:GLOBAL|[Uu]nsupported (?:class|global)) ([\w.]+)", message)
        if name or "Weights only load failed" in message:
            found = f" ({name.group(1)})" if name else ""
            raise ModelError(
                f"{path} holds Python objects{found}, refused because loading them can run code: "
                "give a file with the weights alone"
            ) from error
        raise ModelError(f"{path} is damaged ({_first_line(error)}): download it again") from error
    except Exception as error:  # a damaged pickle or archive raises almost anything
        if "TorchScript" in str(error):
            raise ModelError(
                f"{path} is a TorchScript program, refused because loading it can run code: "
                "give a file with the weights alone"
            ) from error
        raise ModelError(f"{path} is damaged ({_first_line(error)}): download it again") from error


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the state dict inside ``content``."""
    for _ in range(4):
        if not isinstance(content, Mapping):
            raise ModelError(
                f"{path} holds a {type(content).__name__}, not a state dict: "
                "give a checkpoint with named weights"
            )
        inner = next((k for k in _WRAPPERS if isinstance(content.get(k), Mapping)), None)
        if inner is None:
            break
        content = content[inner]
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        keys = ", ".join(str(key) for key in list(content)[:5]) or "nothing"
        raise ModelError(f"{path} holds no state dict (found: {keys}): give one with named weights")
    return tensors


def _first_line(error: Exception) -> str:
    """Return the start of a message: PyTorch's go on for a page."""
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
