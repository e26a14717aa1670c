"""Compare restored versions of examples/old_photo.jpg with the sharp original: PSNR and SSIM.

    redeg restore examples/old_photo.jpg -o restored.png --scale 2
    python examples/score.py restored.png

Plain bicubic enlargement of the old photo is always scored too. "outside" leaves out the face the
tool learned from, so that it tells what was gained on the rest of the photo. The tint of the
paper and the faded inks count as errors; "matched" is after the per-channel affine change of
colour (gain and offset, least squares on the pixels compared) that brings the picture nearest.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from make_old_photo import PHOTO, SCALE, original
from skimage.metrics import structural_similarity

from redeg_cli.degrade.resize import resize
from redeg_cli.errors import RedegError
from redeg_cli.io.images import read_rgb, to_array, to_tensor

Box = tuple[int, int, int, int]
Figures = dict[str, float]

FACE_REGIONS: tuple[Box, ...] = ((64, 48, 192, 176),)
"""Where `redeg finetune` takes its pair from: left, top, right, bottom in pixels of the photo."""

_SSIM_RADIUS = 5
"""Of the 11 px window of Wang et al. 2004; nearer to the border SSIM is not defined."""


def read_regions(summary: Path) -> tuple[Box, ...]:
    """Return the face regions, in photo pixels, of the JSON summary `redeg finetune` wrote."""
    try:
        faces = json.loads(summary.read_text(encoding="utf-8"))["photos"][0]["faces"]
        regions = [tuple(round(value) for value in face["region"]) for face in faces]
        return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in regions)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SystemExit(
            f"error: {summary} is not a summary of redeg finetune: wanted faces, each with a "
            f"region of four pixel coordinates ({type(error).__name__}: {error})"
        ) from error


def outside(regions: Sequence[Box], image_hw: tuple[int, int]) -> np.ndarray:
    """Return the mask (H, W), true outside the regions, which are in photo pixels."""
    mask = np.ones(image_hw, dtype=bool)
    for region in regions:
        x0, y0, x1, y1 = (max(side, 0) * SCALE for side in region)
        mask[y0:y1, x0:x1] = False
    if not mask.any():
        raise SystemExit("error: the face regions cover the whole photo, nothing is left to score")
    return mask


def bicubic(photo: np.ndarray) -> np.ndarray:
    """Return the photo (h, w, 3) enlarged to the original's size, as OpenCV's bicubic does it."""
    size = (photo.shape[0] * SCALE, photo.shape[1] * SCALE)
    return to_array(resize(to_tensor(photo), size, antialias=False))


def colour_matched(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the picture after the affine change of each channel nearest to ``truth`` in mask."""
    matched = np.empty_like(picture)
    for channel in range(3):
        x = picture[mask, channel].astype(np.float64)
        y = truth[mask, channel].astype(np.float64)
        spread = x.var()
        gain = ((x - x.mean()) * (y - y.mean())).mean() / spread if spread > 0 else 0.0
        matched[..., channel] = gain * picture[..., channel] + (y.mean() - gain * x.mean())
    return matched.clip(0, 1)


def psnr(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Return the PSNR in dB over the pixels of ``mask`` and all channels; inf when equal."""
    error = float(np.square(picture[mask].astype(np.float64) - truth[mask]).mean())
    return -10 * math.log10(error) if error > 0 else math.inf


def ssim(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean SSIM (Wang et al. 2004, per channel) at the pixels of ``mask``."""
    _, index = structural_similarity(
        picture,
        truth,
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    inner = np.zeros_like(mask)
    inner[_SSIM_RADIUS:-_SSIM_RADIUS, _SSIM_RADIUS:-_SSIM_RADIUS] = True
    return float(index[mask & inner].mean(dtype=np.float64))


def score(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Figures:
    """Return PSNR and SSIM of a picture (H, W, 3) in mask, as it is and with matched colour."""
    if picture.shape != truth.shape:
        (height, width), (wanted_height, wanted_width) = picture.shape[:2], truth.shape[:2]
        raise SystemExit(
            f"error: a picture of {width} x {height} px cannot be compared with the original of "
            f"{wanted_width} x {wanted_height} px: restore {PHOTO.name} with --scale {SCALE}"
        )
    matched = colour_matched(picture, truth, mask)
    return {
        "psnr": psnr(picture, truth, mask),
        "ssim": ssim(picture, truth, mask),
        "psnr_matched": psnr(matched, truth, mask),
        "ssim_matched": ssim(matched, truth, mask),
    }


def score_all(pictures: Sequence[Path], regions: Sequence[Box]) -> dict[str, dict[str, Figures]]:
    """Return the figures of "bicubic" and each picture, over the "whole" and "outside"."""
    truth = original()
    masks = {
        "whole": np.ones(truth.shape[:2], dtype=bool),
        "outside": outside(regions, (truth.shape[0], truth.shape[1])),
    }
    candidates = {"bicubic": bicubic(read_rgb(PHOTO))}
    candidates |= {str(path): read_rgb(path) for path in pictures}
    return {
        name: {where: score(picture, truth, mask) for where, mask in masks.items()}
        for name, picture in candidates.items()
    }


def table(results: dict[str, dict[str, Figures]]) -> str:
    """Return the figures as lines of text: dB / SSIM."""
    width = max(len(name) for name in results)
    heads = ("whole", "whole matched", "outside", "outside matched")
    lines = [" " * width + "".join(f"{head:>17}" for head in heads)]
    for name, figures in results.items():
        cells = [
            f"{figures[where]['psnr' + kind]:.2f} / {figures[where]['ssim' + kind]:.3f}"
            for where in ("whole", "outside")
            for kind in ("", "_matched")
        ]
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>17}" for cell in cells))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("restored", type=Path, nargs="*", help="restored versions at scale 2")
    parser.add_argument(
        "--summary", type=Path, help="JSON summary of redeg finetune, for the face regions"
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of a table (inf: null)")
    options = parser.parse_args(arguments)
    regions = FACE_REGIONS if options.summary is None else read_regions(options.summary)
    try:
        results = score_all(options.restored, regions)
    except RedegError as error:
        raise SystemExit(f"error: {error}") from error
    if not options.json:
        print(table(results))
        return
    finite = {
        name: {
            where: {key: value if math.isfinite(value) else None for key, value in row.items()}
            for where, row in figures.items()
        }
        for name, figures in results.items()
    }
    print(json.dumps({"regions": regions, "pictures": finite}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
