"""Handcrafted degradations as a chain of recorded steps: blur, resize, noise, JPEG, print.

A record is ``{"degrader": "classical", "scale": s, "steps": [...]}``; each step names its op and
holds its parameters, so that the same record applied to two images degrades both alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from redeg_cli.degrade.base import Record, check_batch
from redeg_cli.degrade.blur import filter2d, gaussian_kernels
from redeg_cli.degrade.halftone import INK_ANGLES, halftone
from redeg_cli.degrade.jpeg import jpeg
from redeg_cli.degrade.noise import gaussian_noise, poisson_noise
from redeg_cli.degrade.resize import resize
from redeg_cli.degrade.tone import fade
from redeg_cli.seeds import numpy_generator

Step = dict[str, Any]
FILTERS = ("area", "bilinear", "bicubic")


@dataclass(frozen=True)
class ClassicalSpec:
    """Probabilities and ranges of the chain. Lengths in pixels, amplitudes of [0, 1].

    The upper ends of ``sigma`` and ``factor`` are those of scale 1 and grow with the square root
    of the scale: ×4 restorers are expected to undo more blur per HQ pixel than ×1 ones.
    """

    blur: float = 0.7
    sigma: tuple[float, float] = (0.2, 1.5)
    resize: float = 0.6
    factor: tuple[float, float] = (1.1, 2.5)
    noise: float = 0.7
    noise_sigma: tuple[float, float] = (1 / 255, 25 / 255)
    poisson: float = 0.25
    photons: tuple[float, float] = (100.0, 5000.0)
    gray_noise: float = 0.4
    jpeg: float = 0.7
    early_jpeg: float = 0.35
    quality: tuple[float, float] = (20.0, 95.0)
    halftone: float = 0.0
    pitch: tuple[float, float] = (3.0, 9.0)
    fade: float = 0.0
    second: float = 0.0
    shuffle: float = 0.0
    full_grid: float = 0.0
    """Share of LQs that were never on the native grid: resized back to the HQ grid instead."""


class ClassicalDegrader:
    """Blur, resampling, noise and JPEG with drawn parameters (BSRGAN, section 3, simplified).

    One round is blur, resize down, noise, JPEG; ``spec.second`` adds a milder second round,
    ``spec.shuffle`` shuffles the order. The last two steps are always the resize to the native
    grid and, with probability ``spec.jpeg``, a JPEG on that grid.
    """

    def __init__(self, scale: int, spec: ClassicalSpec | None = None) -> None:
        self.scale = scale
        self.spec = spec or ClassicalSpec()

    def draw(self, seed: int) -> Record:
        """Return the steps drawn for ``seed``. Pure."""
        rng = numpy_generator(seed)
        spec = self.spec
        steps = self._round(rng, 1.0)
        if rng.random() < spec.second:
            steps += self._round(rng, 0.5)
        if rng.random() < spec.shuffle:
            steps = [steps[i] for i in rng.permutation(len(steps))]
        if rng.random() < spec.halftone:
            steps.insert(0, _draw_halftone(rng, spec.pitch))
        if rng.random() < spec.fade:
            steps.insert(len(steps) // 2, _draw_fade(rng))
        grid = "to_hq" if self.scale > 1 and rng.random() < spec.full_grid else "to_native"
        steps.append({"op": grid, "filter": str(rng.choice(FILTERS)), "antialias": True})
        if rng.random() < spec.jpeg:
            steps.append(_draw_jpeg(rng, spec.quality))
        return {"degrader": "classical", "scale": self.scale, "steps": steps}

    def _round(self, rng: np.random.Generator, strength: float) -> list[Step]:
        spec = self.spec
        steps: list[Step] = []
        if rng.random() < spec.blur * strength:
            low, high = spec.sigma[0], spec.sigma[1] * math.sqrt(self.scale)
            sigmas = low + (high * strength - low) * rng.random(2)
            if rng.random() < 0.5:
                sigmas[1] = sigmas[0]
            steps.append(
                {
                    "op": "blur",
                    "sigma": [float(s) for s in sigmas],
                    "theta": float(rng.uniform(0, math.pi)),
                }
            )
        if rng.random() < spec.resize * strength:
            low, high = spec.factor
            steps.append(
                {
                    "op": "resize",
                    "factor": _log_uniform(rng, low, high * math.sqrt(self.scale)),
                    "filter": str(rng.choice(FILTERS)),
                    "antialias": bool(rng.random() < 0.7),
                }
            )
        if rng.random() < spec.noise * strength:
            gray, seed = bool(rng.random() < spec.gray_noise), int(rng.integers(1 << 62))
            if rng.random() < spec.poisson:
                photons = float(_log_uniform(rng, *spec.photons))
                steps.append({"op": "poisson", "photons": photons, "gray": gray, "seed": seed})
            else:
                sigma = float(_log_uniform(rng, *spec.noise_sigma)) * strength
                steps.append({"op": "noise", "sigma": sigma, "gray": gray, "seed": seed})
        if rng.random() < spec.early_jpeg * strength:
            steps.append(_draw_jpeg(rng, spec.quality))
        return steps

    def apply(self, hq: torch.Tensor, records: Sequence[Record]) -> torch.Tensor:
        """See ``Degrader.apply``."""
        check_batch(hq, records, self.scale)
        native = (hq.shape[2] // self.scale, hq.shape[3] // self.scale)
        return torch.cat(
            [
                resize(run_steps(image[None], record["steps"], self.scale), native)
                for image, record in zip(hq, records, strict=True)
            ]
        )


def run_steps(image: torch.Tensor, steps: Sequence[Step], scale: int) -> torch.Tensor:
    """Run recorded steps on one HQ image (1, 3, H, W); return what they make of it.

    With a ``to_native`` step the result is (1, 3, H/scale, W/scale), with ``to_hq`` (1, 3, H, W).
    """
    size = (image.shape[2], image.shape[3])
    native = (size[0] // scale, size[1] // scale)
    x = image
    for step in steps:
        x = _apply_step(x, step, size, native)
    return x


def _apply_step(
    x: torch.Tensor, step: Step, size: tuple[int, int], native: tuple[int, int]
) -> torch.Tensor:
    op = step["op"]
    if op == "blur":
        values = torch.tensor([*step["sigma"], step["theta"]], device=x.device)
        # Sigmas are given on the HQ grid; after a resize the picture is smaller.
        sigmas = (values[:2] * x.shape[2] / size[0]).clamp(min=0.05)
        kernel = gaussian_kernels(sigmas[:1], sigmas[1:2], values[2:])
        return filter2d(x, kernel)
    if op == "resize":
        target = tuple(max(4, round(n / step["factor"])) for n in size)
        return resize(x, (target[0], target[1]), step["filter"], step["antialias"])
    if op in ("to_native", "to_hq"):
        return resize(x, native if op == "to_native" else size, step["filter"], step["antialias"])
    if op == "noise":
        return gaussian_noise(x[0], step["sigma"], step["gray"], step["seed"])[None]
    if op == "poisson":
        return poisson_noise(x[0], step["photons"], step["gray"], step["seed"])[None]
    if op == "jpeg":
        quality = torch.tensor([step["quality"]])
        return jpeg(x, quality, torch.tensor([step["subsample"]]))
    if op == "fade":
        return fade(x[0], step["black"], step["white"], step["gamma"])[None]
    if op == "halftone":
        phases = tuple(tuple(p) for p in step["phases"])
        return halftone(x[0], step["pitch"], tuple(step["angles"]), step["softness"], phases)[None]
    raise ValueError(f"unknown step {op!r} in a classical record")


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _draw_jpeg(rng: np.random.Generator, quality: tuple[float, float]) -> Step:
    return {
        "op": "jpeg",
        "quality": float(round(rng.uniform(*quality))),
        "subsample": bool(rng.random() < 0.7),
    }


def _draw_halftone(rng: np.random.Generator, pitch: tuple[float, float]) -> Step:
    if rng.random() < 0.5:
        angles = [float(rng.uniform(0, 90))]
    else:
        tilt = rng.uniform(-10, 10)
        angles = [float(angle + tilt) for angle in INK_ANGLES]
    return {
        "op": "halftone",
        "pitch": float(_log_uniform(rng, *pitch)),
        "angles": angles,
        "softness": float(rng.uniform(0.05, 0.6)),
        "phases": [[float(v) for v in rng.random(2)] for _ in angles],
    }


def _draw_fade(rng: np.random.Generator) -> Step:
    paper = rng.uniform(0.8, 1.0) * np.array([1.0, rng.uniform(0.9, 1.0), rng.uniform(0.75, 1.0)])
    black = rng.uniform(0.0, 0.2) + rng.uniform(-0.03, 0.03, 3)
    return {
        "op": "fade",
        "black": [float(v) for v in black.clip(0, 1)],
        "white": [float(v) for v in paper.clip(0, 1)],
        "gamma": float(_log_uniform(rng, 0.75, 1.3)),
    }
