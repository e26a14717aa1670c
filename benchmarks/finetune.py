"""Measure what `redeg finetune` does to photos whose sharp originals are known.

    python benchmarks/finetune.py PHOTOS [--count 2] [--quality fast] [--kinds jpeg] [-o rows.jsonl]

Each photo is degraded at scale 2 in several ways, fine-tuned on and restored. Printed per photo:
PSNR against the original, outside the faces that were fitted on, of bicubic, of the general
restorer (in as many turns as the result) and of the result; the same after the affine change of
each channel's colour that brings it nearest; how like the faces are to the original's before and
after; what was chosen, and the seconds. At the end the mean gains, and the worst.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from redeg_cli.degrade.blur import filter2d, gaussian_kernels
from redeg_cli.degrade.jpeg import jpeg
from redeg_cli.degrade.resize import to_aligned
from redeg_cli.degrade.steps import StepTable, run_steps
from redeg_cli.degrade.tone import is_gray, to_gray
from redeg_cli.errors import NoFaceError
from redeg_cli.faces.identity import likeness
from redeg_cli.finetune.album import finetune_photo
from redeg_cli.finetune.effort import EFFORT
from redeg_cli.finetune.settings import Settings
from redeg_cli.io.images import Photo, read_rgb, to_array, to_tensor
from redeg_cli.io.listing import list_images
from redeg_cli.models import load_restorer
from redeg_cli.restore.photo import restore_photo

SCALE = 2
NATIVE: StepTable = {"op": "resize", "of": "native", "filter": "bicubic", "antialias": True}


def blur(sigma: float) -> StepTable:
    return {"op": "blur", "sigma": sigma}


def noise(sigma: float) -> StepTable:
    return {"op": "noise", "sigma": sigma, "seed": 5}


def compress(quality: float) -> StepTable:
    return {"op": "jpeg", "quality": quality}


def screens(angles: list[float]) -> StepTable:
    phases = [[0.1 + 0.2 * i, 0.3 + 0.1 * i] for i in range(len(angles))]
    return {"op": "halftone", "pitch": 8.0, "angles": angles, "softness": 0.4, "phases": phases}


CHAINS: dict[str, list[StepTable]] = {
    "clean": [NATIVE],
    "jpeg": [NATIVE, compress(55)],
    "mild": [blur(1.2), NATIVE, noise(0.02), compress(75)],
    "blur": [blur(2.5), NATIVE, compress(85)],
    "noise": [NATIVE, noise(0.1)],
    "halftone": [screens([38.0]), blur(1.2), NATIVE, compress(85)],
    "newsprint": [screens([15.0, 75.0, 0.0, 45.0]), blur(1.2), NATIVE, compress(80)],
    "fax": [NATIVE, {"op": "error_diffusion", "seed": 3}],
}
KINDS = (*CHAINS, "tape", "screen")


def degrade(hq: torch.Tensor, kind: str) -> torch.Tensor:
    """Return the native LQ of a picture (1, 3, H, W), as an 8-bit file holds it."""
    if kind in CHAINS:
        lq = run_steps(hq, CHAINS[kind], SCALE)
    else:
        native = run_steps(hq, [NATIVE], SCALE)
        damaged = video_tape(native) if kind == "tape" else screen_photo(native)
        lq = jpeg(damaged.clamp(0, 1), torch.tensor([75]), torch.tensor([True]))
    return (lq * 255).round() / 255


def video_tape(x: torch.Tensor) -> torch.Tensor:
    """Smeared to the right, colours shifted, noisy."""
    tail = torch.exp(-torch.arange(7.0) / 2)
    kernel = (tail / tail.sum()).flip(0).view(1, 1, 1, 7).repeat(3, 1, 1, 1)
    x = F.conv2d(F.pad(x, (6, 0, 0, 0), mode="replicate"), kernel, groups=3)
    x = torch.cat([x[:, :1].roll(2, 3), x[:, 1:2], x[:, 2:].roll(-1, 3)], 1)
    return x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))


def screen_photo(x: torch.Tensor) -> torch.Tensor:
    """A picture photographed from a screen: stripes and a little blur."""
    row = torch.arange(x.shape[2]).view(-1, 1)
    column = torch.arange(x.shape[3]).view(1, -1)
    wave = torch.sin(2 * math.pi * (0.23 * column + 0.02 * row)) * torch.cos(0.25 * row)
    sigma = torch.tensor([0.8])
    return filter2d(x * (0.8 + 0.2 * wave), gaussian_kernels(sigma, sigma, torch.zeros(1)))


def psnr(picture: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
    """Return the PSNR in dB over ``mask`` (H, W), as it is and after a match of the colours."""
    made, wanted = (x[0, :, mask].double().numpy() for x in (picture, truth))
    matched = np.empty_like(made)
    for channel, (x, y) in enumerate(zip(made, wanted, strict=True)):
        spread = x.var()
        gain = ((x - x.mean()) * (y - y.mean())).mean() / spread if spread > 0 else 0.0
        matched[channel] = (gain * (x - x.mean()) + y.mean()).clip(0, 1)
    errors = {"plain": made - wanted, "matched": matched - wanted}
    return {name: round(-10 * math.log10(np.square(e).mean()), 2) for name, e in errors.items()}


def face_likeness(picture: torch.Tensor, truth: torch.Tensor, box: list[int]) -> float:
    """Return how like a face is to the original's, see ``faces.identity``."""
    x0, y0, x1, y1 = (SCALE * side for side in box)
    faces = [to_array(image[:, :, y0:y1, x0:x1]) for image in (picture, truth)]
    return round(likeness(*faces, np.ones(faces[0].shape[:2], np.float32))[0], 4)


def measure(name: str, hq: torch.Tensor, kind: str, settings: Settings) -> dict[str, Any]:
    """Return the figures of one photo degraded in one way."""
    lq = degrade(hq, kind)
    if is_gray(to_array(lq)):  # of a black and white print nothing tells the colours
        hq = to_gray(hq)
    photo = Photo(to_array(lq))
    row: dict[str, Any] = {"photo": name, "degraded": kind}
    started = time.monotonic()
    try:
        result = finetune_photo(photo, settings)
    except NoFaceError as error:
        return {**row, "error": str(error)}
    row["seconds"] = round(time.monotonic() - started)
    general = to_tensor(
        restore_photo(
            photo,
            load_restorer(settings.model, SCALE),
            turns=settings.in_turns(photo.rgb.shape[:2]),
        ).rgb
    )
    restored, enlarged = to_tensor(result.restored[0].rgb), to_aligned(lq, SCALE)
    boxes = [face["region"] for face in result.summary["photos"][0]["faces"]]
    outside = torch.ones(hq.shape[2:], dtype=torch.bool)
    for box in boxes:
        x0, y0, x1, y1 = (SCALE * side for side in box)
        outside[y0:y1, x0:x1] = False
    pictures = {"bicubic": enlarged, "general": general, "finetune": restored}
    row |= {name: psnr(picture, hq, outside) for name, picture in pictures.items()}
    row["likeness"] = {
        name: [face_likeness(picture, hq, box) for box in boxes]
        for name, picture in pictures.items()
    }
    row |= {key: result.summary[key] for key in ("chosen", "share", "kept_step", "checks")}
    return row


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the mean and the least gain over the general restorer, by kind and in all."""
    kinds = list(dict.fromkeys(row["degraded"] for row in rows))
    lines = [f"{'':12}{'photos':>7}{'mean gain':>11}{'worst':>8}{'matched':>9}{'worst':>8}"]
    for kind in (*kinds, "all"):
        chosen = [row for row in rows if kind in (row["degraded"], "all")]
        cells = []
        for what in ("plain", "matched"):
            gains = [row["finetune"][what] - row["general"][what] for row in chosen]
            cells += [sum(gains) / len(gains), min(gains)]
        figures = "".join(
            f"{value:>+{width}.2f}" for value, width in zip(cells, (11, 8, 9, 8), strict=True)
        )
        lines.append(f"{kind:12}{len(chosen):>7}{figures}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=2)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--quality", choices=tuple(EFFORT), default="fast")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("-o", "--output", type=Path, help="a file that gets a row of JSON each")
    args = parser.parse_args()
    effort = EFFORT[args.quality]
    settings = Settings(scale=SCALE, steps=effort.steps, adapt_steps=effort.adapt_steps)
    rows = []
    for file in list_images(args.photos)[args.skip : args.skip + args.count]:
        hq = to_tensor(read_rgb(file.path))
        hq = hq[:, :, : hq.shape[2] // SCALE * SCALE, : hq.shape[3] // SCALE * SCALE]
        for kind in args.kinds.split(","):
            row = measure(file.name, hq, kind, settings)
            if args.output:
                with args.output.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(row) + "\n")
            row.pop("checks", None)
            print(json.dumps(row), flush=True)
            if "error" not in row:
                rows.append(row)
    if rows:
        print(summary(rows))


if __name__ == "__main__":
    main()
