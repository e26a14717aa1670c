"""Weights that others publish: where they come from, where they are kept, how they are fetched.

Only ``redeg models download`` fetches; everything else looks with ``find_download`` and says, with
``how_to_get``, what brings a missing file. ImageNet's networks lie in torch's own cache, where
torchvision finds them too; detectors and models in the user's model folder, models imported.
"""

import hashlib
import http.client
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import torch

from redeg_cli.errors import ModelChoiceError, ModelError, OutputError, RedegError
from redeg_cli.imports import import_community
from redeg_cli.io.files import replace_file
from redeg_cli.io.lock import file_lock
from redeg_cli.models import user_folder
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.validation import did_you_mean

_BLOCK = 1 << 20
_TIMEOUT = 30.0
"""Seconds without a byte after which a download gives up."""


@dataclass(frozen=True)
class Download:
    """One published file."""

    url: str
    sha256: str
    """The digits of the file's SHA-256 that its publisher states: all 64, or the first few."""
    megabytes: int
    what: str
    """What it is, what needs it, and its licence where that is narrow."""
    kept: Literal["torch", "detector", "model"] = "torch"
    """Where it is put: torch's cache, the model folder as it is, or there as an imported model."""

    @property
    def file(self) -> str:
        """The file's own name."""
        return Path(urlsplit(self.url).path).name


# torchvision's files carry the first eight digits of their SHA-256 in their names.
DOWNLOADS: dict[str, Download] = {
    "vgg19": Download(
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "dcbb9e9d",
        548,
        "VGG-19 of torchvision: perceptual and style losses",
    ),
    "alexnet": Download(
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be79",
        233,
        "AlexNet of torchvision: LPIPS",
    ),
    "retinaface": Download(
        "https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_Resnet50_Final.pth",
        "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        109,
        "RetinaFace of facexlib: --detector retinaface",
        "detector",
    ),
    "gfpgan": Download(
        "https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth",
        "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
        349,
        "GFPGAN 1.4: --face-restorer gfpgan",
        "model",
    ),
    "codeformer": Download(
        "https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth",
        "1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
        377,
        "CodeFormer: --face-restorer codeformer (S-Lab licence: not for commercial use)",
        "model",
    ),
    "realesrgan-x4plus": Download(
        "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/RealESRGAN_x4plus.pth",
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        67,
        "Real-ESRGAN x4, the large one: --model realesrgan-x4plus",
        "model",
    ),
    "realesr-general-x4v3": Download(
        "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0/realesr-general-x4v3.pth",
        "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        5,
        "Real-ESRGAN x4, the compact one: --model realesr-general-x4v3",
        "model",
    ),
}
"""What can be fetched, by name."""


def download_places(name: str) -> list[Path]:
    """Return where a download's file is looked for, in this order. The last is where it is put."""
    download = _known(name)
    if download.kept == "model":
        return [user_folder() / f"{name}.safetensors"]
    if download.kept == "detector":
        return [user_folder() / download.file]
    own = user_folder() / "features"
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    return [own / f"{name}.safetensors", own / download.file, hub / download.file]


def find_download(name: str) -> Path | None:
    """Return the first of ``download_places`` that is there. Raises ModelError for a wrong name."""
    return next((path for path in download_places(name) if path.is_file()), None)


def how_to_get(name: str) -> str:
    """Return the command that brings a download, as half a sentence."""
    return f"run `redeg models download {name}` ({_known(name).megabytes} MB)"


def fetch(name: str, progress: OnProgress = no_progress) -> Path:
    """Bring a download to its place and return the file; one that is there already is returned.

    A download that broke off is carried on. A model is imported, so that its name can be given to
    other commands. Raises ModelError when the address cannot be read or the file is not the one
    that was published, OutputError when it cannot be written or another process is fetching it.
    """
    if found := find_download(name):
        return found
    with file_lock(download_places(name)[-1]):
        return find_download(name) or _fetched(name, progress)


def _fetched(name: str, progress: OnProgress) -> Path:
    download = _known(name)
    path = download_places(name)[-1]
    part = path.with_name(f"{download.file}.part")
    try:
        with part.open("ab") as file:
            _receive(download.url, file, progress)
            file.flush()
            os.fsync(file.fileno())
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise ModelError(f"{download.url} cannot be read: {_reason(error)}") from error
    except ConnectionError as error:
        raise ModelError(f"{download.url} broke off ({error}): the same command goes on") from error
    except OSError as error:
        raise OutputError(f"cannot write {part}: {error.strerror or error}") from error
    digest = _sha256(part)
    if not digest.startswith(download.sha256):
        part.unlink()
        raise ModelError(
            f"{download.url} is not the file it was: SHA-256 {digest[:16]}..., wanted "
            f"{download.sha256[:16]}; it was thrown away"
        )
    if download.kept != "model":
        replace_file(part, path)
        return path
    whole = path.with_name(download.file)
    replace_file(part, whole)
    try:
        imported = import_community(whole, name)
    except RedegError:
        # A package that it needs is missing, or room on the disk: it is not fetched again.
        replace_file(whole, part)
        raise
    whole.unlink()
    return imported


def _known(name: str) -> Download:
    if name not in DOWNLOADS:
        raise ModelChoiceError(
            f"there is no download {name!r}{did_you_mean(name, DOWNLOADS)}: "
            f"one of {', '.join(DOWNLOADS)}"
        )
    return DOWNLOADS[name]


def _receive(url: str, file: Any, progress: OnProgress) -> None:
    """Append to ``file`` what it lacks of ``url``; from the start where a server cannot skip."""
    have = file.tell()
    with _opened(url, have) as answer:
        if answer is None:  # nothing lies behind what is here
            return
        if answer.status != http.client.PARTIAL_CONTENT:
            file.truncate(0)
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else 0
        while block := _read(answer):
            file.write(block)
            have += len(block)
            progress(have >> 20, max(total, have) >> 20, "MB")
        if have < total:
            raise ConnectionError(f"{have} of {total} bytes came")


@contextmanager
def _opened(url: str, start: int) -> Iterator[Any]:
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with _network():
            answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            yield None
            return
        raise
    with answer:
        yield answer


def _read(answer: Any) -> bytes:
    with _network():
        return answer.read(_BLOCK)


@contextmanager
def _network() -> Iterator[None]:
    """Make a ConnectionError of what else the network raises, so that it is none of the disk's."""
    try:
        yield
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        raise
    except OSError as error:  # ssl.SSLError, or a network that has gone
        raise ConnectionError(str(error)) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = str(reason) or type(error).__name__
    if isinstance(reason, ssl.SSLCertVerificationError) and sys.platform == "darwin":
        text += " (Python of python.org: run its 'Install Certificates.command' once)"
    return text
