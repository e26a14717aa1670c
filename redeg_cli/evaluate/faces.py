"""What a face restorer is worth: sharp faces made small and bad, and what comes back of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.resize import resize, to_aligned
from redeg_cli.errors import InputError, one_line
from redeg_cli.evaluate.bootstrap import Interval, bootstrap_mean, paired_difference
from redeg_cli.evaluate.grids import Grid, interval
from redeg_cli.faces.align import ALIGNED_SIZE, MEAN_BOX_512, align_face, template
from redeg_cli.faces.detect import detect_faces
from redeg_cli.faces.detectors import load_detector
from redeg_cli.faces.identity import landmarks_moved, likeness
from redeg_cli.faces.paste import face_mask
from redeg_cli.faces.restore import restore_faces, size_to_restore_at
from redeg_cli.io.images import read_photo, to_array, to_tensor
from redeg_cli.io.listing import list_images
from redeg_cli.nets.wrap import FaceRestorer
from redeg_cli.omega.families import families
from redeg_cli.omega.transfer import psnr, to_levels
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import sample_seed

SIDES = (64, 128, 256)
"""Of the degraded faces' aligned squares, in px."""
POSSIBLE_SIDES = (32, 64, 128, 256, 512)
SHOWN = 3
"""Faces of each side that are kept to look at."""


@dataclass(frozen=True)
class FaceFigures:
    """Figures of faces of one size."""

    side: int
    """Of the aligned square of the degraded face in px; the face itself has 0.56 of its width."""
    bicubic: Interval
    """PSNR in dB of the face enlarged by bicubic, over the whole square."""
    restored: Interval
    """PSNR in dB of the restored face."""
    gain: Interval
    """Restored over bicubic, face by face."""
    moved: Interval
    """By how much the landmarks moved from the degraded to the restored face, in % of its width."""
    not_found: int
    """Faces of which one or the other landmarks were not found."""
    likeness: Interval
    """Correlation with the true face in the details that a small face has (``faces.identity``)."""
    likeness_bicubic: Interval
    """The same of the degraded face."""


@dataclass(frozen=True)
class FaceExample:
    """A face to look at, (3, H, W) in [0, 1] each, on the HQ grid."""

    side: int
    degraded: Tensor
    restored: Tensor
    true: Tensor


def read_faces(
    inputs: Sequence[Path], on_progress: OnProgress = no_progress
) -> tuple[list[np.ndarray], list[str], list[tuple[str, str]]]:
    """Return the largest face of each picture, aligned at 512 px, the names of pictures without a
    face, and (name, why) of each that cannot be read.

    ``inputs`` are files and folders. Raises InputError when no face is found at all.
    """
    files = list_images(inputs)
    faces: list[np.ndarray] = []
    without: list[str] = []
    failed: list[tuple[str, str]] = []
    for done, file in enumerate(files, 1):
        try:
            rgb = read_photo(file.path).rgb
        except InputError as error:
            failed.append((file.name, one_line(error)))
        else:
            if found := detect_faces(rgb):
                faces.append(align_face(rgb, found[0])[0].astype(np.float32))
            else:
                without.append(file.name)
        on_progress(done, len(files), "finding faces")
    if not faces:
        unread = f", of which {len(failed)} cannot be read" if failed else ""
        raise InputError(
            f"no face was found in {len(files)} pictures{unread}: give sharp portraits"
        )
    return faces, without, failed


def evaluate_faces(
    restorer: FaceRestorer,
    faces: Sequence[np.ndarray],
    sides: Sequence[int] = SIDES,
    *,
    seed: int = 7,
    on_progress: OnProgress = no_progress,
) -> tuple[list[FaceFigures], list[FaceExample]]:
    """Degrade aligned faces (512, 512, 3) by the family ``mixed``, restore and compare them.

    ``sides`` are powers of two from 32 to 512 px. A side of n is made at scale 4, at which the face
    is compared at 4 n, but at 512 px at most. The restorer sees what it sees in a photo: the
    enlarged face (``size_to_restore_at``), whose large-scale colour is kept. Raises ValueError for
    another side.
    """
    find = load_detector("centerface")
    mask = face_mask(ALIGNED_SIZE)
    figures, examples = [], []
    for index, side in enumerate(sides):
        if side not in POSSIBLE_SIDES:
            raise ValueError(f"sides are {POSSIBLE_SIDES} px, got {side}")
        rows: list[tuple[float, ...]] = []
        scale = min(4, ALIGNED_SIZE // side)
        size = size_to_restore_at(side, restorer.size)
        degrader = load_degrader({"steps": families()["mixed"]}, scale)
        for number, face in enumerate(faces):
            true = to_tensor(_resized(face, side * scale))
            record = degrader.draw(sample_seed(seed, f"face/{side}", number))
            native = to_levels(degrader.apply(true, [record]))
            seen = _resized(to_array(native), size)
            (made,) = restore_faces([seen], restorer)
            enlarged = to_levels(to_aligned(native, scale))
            restored = to_levels(to_tensor(_resized(made, side * scale)))
            moved = landmarks_moved(seen, made, find)
            rows.append(
                (
                    float(psnr(enlarged, true)),
                    float(psnr(restored, true)),
                    np.nan if moved is None else 100 * moved * _EYES_TO_WIDTH,
                    likeness(face, _resized(made, ALIGNED_SIZE), mask)[0],
                    likeness(face, _resized(seen, ALIGNED_SIZE), mask)[0],
                )
            )
            if number < SHOWN:
                examples.append(FaceExample(side, enlarged[0], restored[0], true[0]))
            on_progress(index * len(faces) + number + 1, len(sides) * len(faces), f"{side} px")
        bicubic, ours, moved, like, like_bicubic = np.array(rows).T
        figures.append(
            FaceFigures(
                side,
                bootstrap_mean(bicubic),
                bootstrap_mean(ours),
                paired_difference(ours, bicubic),
                bootstrap_mean(moved),
                int(np.isnan(moved).sum()),
                bootstrap_mean(like),
                bootstrap_mean(like_bicubic),
            )
        )
    return figures, examples


def face_grids(figures: Sequence[FaceFigures]) -> list[Grid]:
    """Return the figures as a table."""
    rows = tuple(
        (
            f"{each.side} px",
            interval(each.bicubic, 2),
            interval(each.restored, 2),
            interval(each.gain, 2, signed=True),
            interval(each.moved, 2),
            str(each.not_found),
            interval(each.likeness_bicubic, 3),
            interval(each.likeness, 3),
        )
        for each in figures
    )
    head = ("face", "bicubic, dB", "restored, dB", "gain", "landmarks moved, %", "not found")
    return [
        Grid(
            "Faces under mixed degradations",
            (*head, "likeness, degraded", "likeness, restored"),
            rows,
            "Mean with 95 % interval. Side of the degraded aligned square; PSNR over the square; "
            "landmarks: from the degraded to the restored face, in % of the face's width; "
            "likeness: correlation with the true face in details of 6 to 18 px of 512.",
        )
    ]


def example_rows(examples: Sequence[FaceExample], cell: int = 256) -> np.ndarray:
    """Return a picture (H, W, 3) in [0, 1]: degraded, restored and true faces, a face a row."""
    rows = [
        np.concatenate(
            [
                cv2.resize(to_array(face[None]), (cell, cell), interpolation=cv2.INTER_AREA)
                for face in (each.degraded, each.restored, each.true)
            ],
            1,
        )
        for each in examples
    ]
    return np.concatenate(rows).clip(0, 1)


def _resized(face: np.ndarray, side: int) -> np.ndarray:
    return to_array(resize(to_tensor(face), (side, side)))


def _eyes_to_width() -> float:
    """Return the distance of the eyes in widths of the face, of the mean aligned face."""
    left, right = template()[:2]
    return float(np.linalg.norm(right - left)) / (MEAN_BOX_512[2] - MEAN_BOX_512[0])


_EYES_TO_WIDTH = _eyes_to_width()
