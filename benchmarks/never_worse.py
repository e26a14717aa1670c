"""Measure what `redeg finetune` does to photos whose sharp originals are known.

    python benchmarks/never_worse.py PORTRAITS [--count 2] [--steps 400] [--kinds jpeg,tape]

Each portrait is degraded at scale 2 in several ways, fine-tuned on and restored. Printed per photo:
PSNR against the original of bicubic, of the general restorer and of the result, what was chosen,
and the gain on the held-out parts of the faces on which the choice was made.
"""

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from redeg_cli.degrade.blur import filter2d, gaussian_kernels
from redeg_cli.degrade.jpeg import jpeg
from redeg_cli.degrade.resize import to_aligned
from redeg_cli.degrade.steps import StepTable, run_steps
from redeg_cli.errors import NoFaceError
from redeg_cli.finetune.album import finetune_photo
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


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return round(float(-10 * (a - b).square().mean().log10()), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("portraits", type=Path)
    parser.add_argument("--count", type=int, default=2)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--kinds", default=",".join(KINDS))
    args = parser.parse_args()
    general = load_restorer(Settings.model, SCALE)
    for file in list_images([args.portraits])[args.skip : args.skip + args.count]:
        hq = to_tensor(read_rgb(file.path))
        hq = hq[:, :, : hq.shape[2] // SCALE * SCALE, : hq.shape[3] // SCALE * SCALE]
        for kind in args.kinds.split(","):
            lq = degrade(hq, kind)
            photo = Photo(to_array(lq))
            row: dict[str, object] = {"photo": file.name, "degraded": kind}
            row["bicubic"] = psnr(to_aligned(lq, SCALE), hq)
            row["general"] = psnr(to_tensor(restore_photo(photo, general).rgb), hq)
            try:
                result = finetune_photo(photo, Settings(scale=SCALE, steps=args.steps))
            except NoFaceError as error:
                print(json.dumps({**row, "error": str(error)}), flush=True)
                continue
            row["finetune"] = psnr(to_tensor(result.restored[0].rgb), hq)
            row["chosen"] = result.summary["chosen"]
            row["held_out"] = result.summary["held_out_scores"]
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
