"""Images decoded once: in memory, or in one file of bytes that is mapped into memory.

The file makes a second run start at once, lets several processes share their memory, and holds
sets that are larger than it.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from PIL import Image
from torch import Tensor

from redeg_cli.device import free_on_cuda
from redeg_cli.errors import RecipeError
from redeg_cli.io.ahead import map_ahead
from redeg_cli.io.files import atomic_path, write_json
from redeg_cli.io.images import read_rgb
from redeg_cli.io.listing import list_images
from redeg_cli.memory import available_memory
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.train.recipe_base import DataSource

_FORMAT = 1
"""Of the files of a cache; another one is made anew."""


def decode_images(source: DataSource, progress: OnProgress = no_progress) -> Iterator[np.ndarray]:
    """Yield the images of a source, uint8 RGB (H, W, 3), in their order.

    Of faces that are to be aligned, those in whose image none is large enough are left out. Raises
    InputError for the first image that cannot be read.
    """
    files = [file.path for file in list_images([source.folder])]
    text = f"reading {source.folder.name}"
    # Detecting faces takes all cores by itself.
    threads = 1 if source.align_faces else None
    decoded = map_ahead(lambda path: _decode(path, source), files, threads)
    for index, image in enumerate(decoded, 1):
        if image is not None:
            yield image
        progress(index, len(files), text)


def images_in_memory(
    source: DataSource, device: torch.device, progress: OnProgress = no_progress
) -> list[Tensor]:
    """Return the images of a source as (3, H, W) uint8, on ``device`` if they are few for it.

    A GPU must have room for the training too: what would fill more than a quarter of its memory
    stays in that of the CPU, once for each process. Raises RecipeError, before anything is decoded,
    when they are more than that holds.
    """
    need = _decoded_bytes(source)
    if device.type != "cpu" and need > 0.25 * _memory(device):
        device = torch.device("cpu")
    there = _memory(device)
    if device.type == "cpu":
        need *= PartialState().num_processes
    if need > 0.9 * there:
        raise RecipeError(
            f"the images of {source.folder} take {need / 1e9:.1f} GB decoded, {device} has "
            f"{there / 1e9:.1f} GB free: keep them on disk with --set cache=FOLDER"
        )
    return [
        torch.from_numpy(image).permute(2, 0, 1).contiguous().to(device)
        for image in decode_images(source, progress)
    ]


def images_on_disk(
    source: DataSource, cache: Path, progress: OnProgress = no_progress
) -> list[Tensor]:
    """Return the images of a source as (3, H, W) uint8 that are read from a file as needed.

    The file is made in ``cache`` when it is not there yet; it is made anew when the source has
    changed (other files, sizes in bytes or times). Raises OutputError when it cannot be written.
    """
    name = f"{source.folder.name}-{_identity(source)}"
    pixels, index = cache / f"{name}.pixels", cache / f"{name}.json"
    if not index.exists() or not pixels.exists():
        shapes: list[tuple[int, ...]] = []
        with atomic_path(pixels) as temporary, temporary.open("wb") as file:
            for image in decode_images(source, progress):
                planes = np.ascontiguousarray(image.transpose(2, 0, 1))
                file.write(planes.data)
                shapes.append(planes.shape)
            file.write(b"\0")  # an empty file cannot be mapped
        write_json(index, {"folder": source.folder.absolute(), "shapes": shapes})
    # Only to be read, which nothing here does else: of a private copy that could be written to the
    # system would want to have all the memory.
    mapped = np.memmap(pixels, np.uint8, "r")
    images, start = [], 0
    for shape in json.loads(index.read_bytes())["shapes"]:
        end = start + int(np.prod(shape))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            images.append(torch.from_numpy(mapped[start:end].reshape(shape)))
        start = end
    return images


def _decode(path: Path, source: DataSource) -> np.ndarray | None:
    rgb = read_rgb(path)
    if source.align_faces:
        from redeg_cli.faces.align import align_face
        from redeg_cli.faces.detect import detect_faces

        faces = detect_faces(rgb)
        if not faces:
            return None
        largest = max(faces, key=lambda f: (f.box[2] - f.box[0]) * (f.box[3] - f.box[1]))
        if largest.box[2] - largest.box[0] < source.face_size / 8:
            return None
        rgb = align_face(rgb, largest, source.face_size)[0]
    return (rgb * 255).round().astype(np.uint8)


def _identity(source: DataSource) -> str:
    """Return 16 hex digits that change with the source's files and with what is cut out of them."""
    said: list[Any] = [_FORMAT, source.align_faces and source.face_size]
    for file in list_images([source.folder]):
        status = os.stat(file.path)
        said.append((str(file.path.absolute()), status.st_size, status.st_mtime_ns))
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _decoded_bytes(source: DataSource) -> int:
    """Return the bytes of a source's pixels, by the headers of its files."""
    total = 0
    for file in list_images([source.folder]):
        if source.align_faces:
            total += 3 * source.face_size**2
            continue
        try:
            with Image.open(file.path) as image:
                total += 3 * image.width * image.height
        except (OSError, ValueError, Image.DecompressionBombError):
            continue  # told with its name when it is decoded
    return total


def _memory(device: torch.device) -> int:
    """Return the bytes that are free on ``device``."""
    return free_on_cuda(device) if device.type == "cuda" else available_memory()
