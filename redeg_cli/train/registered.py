"""Registered HQ-LQ pairs for Degradation Model Learning: read, checked, cropped from seeds."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.resize import to_aligned
from redeg_cli.degrade.tone import LUMA
from redeg_cli.errors import InputError, PairError
from redeg_cli.io.images import Photo, read_photo, to_array, to_tensor
from redeg_cli.io.pairs import ImagePair
from redeg_cli.io.registered_pairs import find_registered
from redeg_cli.nets.dml import Grid
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import numpy_generator

HELD_OUT_SIDE = 64
"""Least side in pixels of the HQ of a pair that is only measured on."""
_FINE, _COARSE = 2.5, 10.0
"""Standard deviations in pixels of the two blurs whose difference is the band that shifts are
measured in: finer detail is gone from the LQ or is noise, coarser is uneven light."""
_MEASURED = 1024
"""Side in pixels of the middle part that a shift is measured on."""
_NAMED = 5
"""Pairs that an error names; `--check-data` names them all."""


@dataclass(frozen=True)
class Registered:
    """One pair, decoded."""

    hq: Tensor
    """(3, H, W) uint8."""
    lq: Tensor
    """(3, H, W) uint8, or (3, H/scale, W/scale) of a native LQ."""


@dataclass(frozen=True)
class RegisteredStore:
    """Pairs of one grid."""

    pairs: tuple[Registered, ...]
    grid: Grid
    scale: int

    def crops(
        self, seeds: Sequence[int], size: int, upright: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return HQ (B, 3, size, size) and LQ crops in [0, 1], a seed each, flipped at random.

        ``size`` is a multiple of the scale. Native LQs are (B, 3, size/scale, size/scale). What is
        ``upright`` is never turned upside down.
        """
        step = self.scale if self.grid == "native" else 1
        hqs, lqs = [], []
        for seed in seeds:
            rng = numpy_generator(seed)
            pair = self.pairs[int(rng.integers(len(self.pairs)))]
            height, width = pair.hq.shape[1:]
            top = int(rng.integers((height - size) // step + 1))
            left = int(rng.integers((width - size) // step + 1))
            flips = [axis for axis in (1, 2) if rng.random() < 0.5 and not (upright and axis == 1)]
            part, y, x = size // step, top * step, left * step
            hqs.append(pair.hq[:, y : y + size, x : x + size].flip(flips))
            lqs.append(pair.lq[:, top : top + part, left : left + part].flip(flips))
        return torch.stack(hqs).float() / 255, torch.stack(lqs).float() / 255


def load_registered(
    folders: Sequence[Path],
    scale: int,
    minimum: int,
    max_shift: float = 0.5,
    progress: OnProgress = no_progress,
    say: Callable[[str], None] = lambda _: None,
) -> RegisteredStore:
    """Read all pairs of ``folders`` (see ``find_registered``) and check that they are pairs.

    HQs have at least ``minimum`` pixels a side. Pictures without a partner are told by ``say``.
    Raises PairError that names the pairs whose sizes do not fit the scale, of which one is gray,
    or that are shifted by more than ``max_shift`` HQ pixels (not of pairs that ``redeg synthesize``
    made), and when aligned and native LQs are mixed; InputError for what cannot be read.
    """
    found, problems = find_registered(folders, scale)
    for problem in problems:
        say(problem)
    pairs: list[Registered] = []
    wrong: list[str] = []
    with ThreadPoolExecutor() as pool:
        read = pool.map(
            lambda pair: _read(pair, scale, minimum, _limit(pair, folders, max_shift)), found
        )
        for number, each in enumerate(read, 1):
            if isinstance(each, str):
                wrong.append(each)
            else:
                pairs.append(each)
            progress(number, len(found), "reading pairs")
    if wrong:
        more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        named = "; ".join(wrong[:_NAMED])
        raise PairError(f"{len(wrong)} of {len(found)} pairs cannot be used: {named}{more}")
    aligned = [pair.hq.shape == pair.lq.shape for pair in pairs]
    if len(set(aligned)) > 1:
        odd = found[aligned.index(not aligned[0])]
        raise PairError(
            f"{found[0].lq} is {_grid(aligned[0])}, {odd.lq} is {_grid(not aligned[0])}: "
            "give LQs that all have their HQ's size, or that all are smaller by the scale"
        )
    return RegisteredStore(tuple(pairs), "aligned" if aligned[0] else "native", scale)


def check_registered(
    folders: Sequence[Path], scale: int, minimum: int, max_shift: float
) -> list[tuple[Path, str]]:
    """Return the LQ's file and one line for each pair that cannot be used, as above; what has no
    partner too. Unreadable files are passed over."""
    pairs, problems = find_registered(folders, scale)
    wrong = [(Path(folders[0]), problem) for problem in problems]
    for pair in pairs:
        try:
            found = _read(pair, scale, minimum, _limit(pair, folders, max_shift))
        except InputError:
            continue
        if isinstance(found, str):
            wrong.append((pair.lq, found))
    return wrong


def measure_shift(hq: np.ndarray, lq: np.ndarray) -> tuple[float, float]:
    """Return by how many pixels (x, y) the LQ is shifted against the HQ, both (H, W, 3) in [0, 1].

    Phase correlation of the lumas, to a twentieth of a pixel (Guizar-Sicairos et al. 2008), within
    a band of middle frequencies. Not whitened: beside blur and noise that is three times as exact
    (0.05 px for a blur of 2.5 px and noise of 5/255, where OpenCV's ``phaseCorrelate`` and a
    whitened one miss by up to 0.8).
    """
    from skimage.registration import phase_cross_correlation

    first, second = (_band(_middle(image) @ np.array(LUMA, np.float32)) for image in (hq, lq))
    whitening: Any = None  # its stubs know of no other than "phase"
    moved, _, _ = phase_cross_correlation(
        second, first, upsample_factor=20, normalization=whitening
    )
    return float(moved[1]), float(moved[0])


def _limit(pair: ImagePair, folders: Sequence[Path], max_shift: float) -> float:
    """Return how far a pair may be shifted: pairs that were made lie where they belong.

    Their blur and noise can look like a shift: 10 of 40 of ``bsrgan``'s did, by up to 5.7 px.
    """
    made = [folder for folder in folders if (Path(folder) / "manifest.jsonl").is_file()]
    return math.inf if any(pair.lq.is_relative_to(folder) for folder in made) else max_shift


def _read(pair: ImagePair, scale: int, minimum: int, max_shift: float) -> Registered | str:
    """Return the pair, or why it cannot be used."""
    hq, lq = read_photo(pair.hq), read_photo(pair.lq)
    if reason := _why_not(hq, lq, scale, minimum):
        return f"{pair.lq} {reason}"
    enlarged = lq.rgb
    if hq.rgb.shape != lq.rgb.shape:
        enlarged = to_array(to_aligned(to_tensor(lq.rgb), scale))
    x, y = measure_shift(hq.rgb, enlarged)
    if max(abs(x), abs(y)) > max_shift:
        return (
            f"{pair.lq} is shifted by {x:+.2f},{y:+.2f} pixels against its HQ "
            f"(at most {max_shift:g}: register it)"
        )
    return Registered(_bytes(hq.rgb), _bytes(lq.rgb))


def _why_not(hq: Photo, lq: Photo, scale: int, minimum: int) -> str | None:
    (height, width), (low, narrow) = hq.rgb.shape[:2], lq.rgb.shape[:2]
    sizes = f"({narrow}x{low}) and its HQ ({width}x{height})"
    if (height, width) not in ((low, narrow), (low * scale, narrow * scale)):
        return f"{sizes} are no pair of scale {scale}: wanted equal sizes, or {scale} times as much"
    if hq.gray != lq.gray:
        kinds = ("gray", "in colour") if lq.gray else ("in colour", "gray")
        return f"is {kinds[0]}, its HQ {kinds[1]}"
    if min(height, width) < minimum:
        return f"{sizes} are too small: at least {minimum}x{minimum} is needed"
    return None


def _grid(aligned: bool) -> str:
    return "as large as its HQ" if aligned else "smaller than its HQ"


def _bytes(rgb: np.ndarray) -> Tensor:
    levels = (rgb * 255).round().astype(np.uint8)
    return torch.from_numpy(levels).permute(2, 0, 1).contiguous()


def _middle(image: np.ndarray) -> np.ndarray:
    """Return the middle part that is measured."""
    top, left = (max(0, side - _MEASURED) // 2 for side in image.shape[:2])
    return image[top : top + _MEASURED, left : left + _MEASURED]


def _band(luma: np.ndarray) -> np.ndarray:
    """Return the middle frequencies of a luma (H, W), faded out towards the edges."""
    fine, coarse = (cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in (_FINE, _COARSE))
    height, width = luma.shape
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    return (fine - coarse) * window
