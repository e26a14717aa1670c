"""Measure how well kernels, noise and JPEG are estimated where they are known.

    python benchmarks/estimation.py IMAGES [--images 30] [--only kernels noise jpeg] [--steps 1000]

IMAGES is a folder of sharp photographs.

kernels: each is blurred with an anisotropic Gaussian of its own (variances from 0.6 to 5 px², any
direction), every second pixel taken, 8 bits. Printed per image and as the median: similarity of the
estimated kernel to the true one, and of the bicubic one; then the photograph shrunk with either
kernel: PSNR between both, and how far their PSNRs against the photograph, enlarged again (bicubic),
are apart.

noise: each is first denoised (non-local means) and then given Gaussian noise, white or blurred, 8
bits. Printed: deviation of the pool against the true one, and the difference of the power spectra
in eight bands of frequency, in dB; megapixels per minute.

jpeg: each is compressed at known qualities, its pixels saved anew, some with the first rows and
columns cut off. Printed: mean error of the quality, and how often the chroma subsampling is right.
"""

import argparse
import io
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from redeg_cli.degrade.blur import filter2d
from redeg_cli.degrade.jpeg_quality import estimate_traits
from redeg_cli.degrade.kernel_pool import estimated_pool, kernel_similarity
from redeg_cli.degrade.kernels import gaussian_kernels
from redeg_cli.degrade.noise_patches import Rules, find_noise
from redeg_cli.degrade.resize import to_aligned
from redeg_cli.device import pick_device
from redeg_cli.io.images import read_rgb, to_array, to_tensor
from redeg_cli.io.listing import list_images
from redeg_cli.train.kernelgan import Settings, bicubic_kernel, estimate_kernels

BATCH = 10
NOISES = (("white", 2.0), ("white", 4.0), ("white", 8.0), ("white", 16.0), ("blurred", 8.0))
QUALITIES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
BLUR = 0.7
"""Of the blurred noise, in pixels."""
BANDS = [(a / 16 - 1 / 32, a / 16 + 1 / 32) for a in range(1, 8)] + [(15 / 32, 0.75)]


def eight_bit(image: np.ndarray) -> np.ndarray:
    return np.rint(image.clip(0, 1) * 255).astype(np.float32) / 255


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a - b, dtype=np.float64).mean()))


def measure_kernels(images: list[np.ndarray], names: list[str], steps: int, device: str) -> None:
    rng = np.random.default_rng(0)
    sigmas = np.sqrt(rng.uniform(0.6, 5, (len(images), 2)))
    angles = rng.uniform(0, np.pi, len(images))
    columns = [torch.from_numpy(each) for each in (*sigmas.T, angles)]
    truths = gaussian_kernels(*columns, 17, torch.full((len(images),), 0.5))

    def shrunk(image: np.ndarray, kernel: torch.Tensor) -> np.ndarray:
        return to_array(filter2d(to_tensor(image), kernel[None])[:, :, ::2, ::2])

    lqs = [eight_bit(shrunk(*pair)) for pair in zip(images, truths, strict=True)]
    start = time.perf_counter()
    found = []
    for first in range(0, len(lqs), BATCH):
        part = slice(first, first + BATCH)
        place = pick_device(device)
        found += list(estimate_kernels(lqs[part], names[part], Settings(steps=steps), 0, place))
    right = [row for row, kernel in enumerate(found) if np.isfinite(kernel).all()]
    if not right:
        print(f"kernels: none of {len(images)} trainings came to one")
        return
    pool = estimated_pool([found[row] for row in right], [names[row] for row in right], {})
    seconds = time.perf_counter() - start
    rows = []
    for row, kernel in zip(right, pool.kernels, strict=True):
        image, name, truth = images[row], names[row], truths[row]
        known = truth.numpy()
        similar = kernel_similarity(kernel, known)
        bicubic = kernel_similarity(bicubic_kernel().numpy(), known)
        ours, theirs = (shrunk(image, each) for each in (torch.from_numpy(kernel), truth))
        even = tuple(side // 2 * 2 for side in image.shape[:2])
        whole = image[: even[0], : even[1]]
        against = []
        for lq in (ours, theirs):
            small = lq[: even[0] // 2, : even[1] // 2]
            against.append(psnr(to_array(to_aligned(to_tensor(small), 2)), whole))
        rows.append((similar, bicubic, psnr(ours, theirs), abs(against[0] - against[1])))
        text = f"{rows[-1][2]:.1f} dB, off {rows[-1][3]:.2f} dB"
        print(f"{name}: {similar:.3f} (bicubic {bicubic:.3f}), {text}")
    middle = np.median(rows, 0)
    lost = len(images) - len(rows)
    astray = f" ({lost} more went astray)" if lost else ""
    print(
        f"kernels, {len(rows)} images{astray}, {steps} steps: median similarity {middle[0]:.3f} "
        f"(bicubic {middle[1]:.3f}), PSNR between both {middle[2]:.1f} dB, PSNRs against the "
        f"photograph {middle[3]:.2f} dB apart (median), {max(row[3] for row in rows):.2f} "
        f"(largest); {seconds / len(images):.1f} s per image"
    )


def measure_noise(images: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    clean = []
    for image in images:
        levels = np.rint(image * 255).astype(np.uint8)
        clean.append(cv2.fastNlMeansDenoisingColored(levels, None, 6, 6, 5, 15) / np.float32(255))
    for kind, sigma in NOISES:
        white = rng.standard_normal((400, 64, 64))
        patches, seconds, pixels = [], 0.0, 0
        for image in clean:
            noise = rng.standard_normal(image.shape).astype(np.float32)
            if kind == "blurred":
                noise = gaussian_filter(noise, (BLUR, BLUR, 0))
                noise /= noise.std()
            noisy = eight_bit(image + noise * np.float32(sigma / 255))
            start = time.perf_counter()
            patches.append(find_noise(noisy, Rules()).patches * 255)
            seconds += time.perf_counter() - start
            pixels += image.shape[0] * image.shape[1]
        if kind == "blurred":
            white = gaussian_filter(white, (0, BLUR, BLUR), mode="wrap")
            white /= white.std()
        pool = np.concatenate(patches)
        if not len(pool):
            print(f"noise, {kind}, deviation {sigma:g}: no patch in {len(clean)} images")
            continue
        planes = pool.transpose(0, 3, 1, 2).reshape(-1, 32, 32)
        known = white[:, :32, :32] * sigma
        deviation = float(np.sqrt(np.square(pool, dtype=np.float64).mean()))
        off = [10 * np.log10(a / b) for a, b in zip(bands(planes), bands(known), strict=True)]
        percent = 100 * deviation / sigma - 100
        print(
            f"noise, {kind}, deviation {sigma:g}: {deviation:.3f} ({percent:+.1f} %), "
            f"bands {' '.join(f'{each:+.2f}' for each in off)} dB; {len(pool)} patches of "
            f"{sum(map(bool, map(len, patches)))} of {len(clean)} images; "
            f"{pixels / 1e6 / seconds * 60:.0f} megapixels a minute"
        )


def bands(planes: np.ndarray) -> list[float]:
    """Return the mean power of planes (N, 32, 32) in eight bands of frequency."""
    power = np.square(np.abs(np.fft.fft2(planes))).mean(0)
    axis = np.fft.fftfreq(planes.shape[1])
    radius = np.hypot(axis[:, None], axis)
    return [float(power[(radius >= low) & (radius < high)].mean()) for low, high in BANDS]


def measure_jpeg(images: list[np.ndarray]) -> None:
    errors, right, none = [], [], 0
    for image in images:
        picture = Image.fromarray(np.rint(image * 255).astype(np.uint8))
        picture = picture.resize(
            (picture.width // 2, picture.height // 2), Image.Resampling.BICUBIC
        )
        none += estimate_traits(np.asarray(picture, np.float32) / 255).quality is None
        for quality in QUALITIES:
            for sampling, (top, left) in ((0, (3, 5)), (2, (0, 0))):
                buffer = io.BytesIO()
                picture.save(buffer, "JPEG", quality=quality, subsampling=sampling)
                pixels = np.asarray(Image.open(buffer).convert("RGB"), np.float32)[top:, left:]
                found = estimate_traits(pixels / 255)
                errors.append(abs((found.quality or 100) - quality))
                right.append(found.subsample == (sampling == 2))
    print(
        f"jpeg, {len(images)} images at {len(QUALITIES)} qualities: mean error "
        f"{np.mean(errors):.2f}, largest {max(errors):.0f}; chroma right "
        f"{np.mean(right):.0%}; no JPEG seen in {none} of {len(images)} that were none"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--only", nargs="+", default=["kernels", "noise", "jpeg"])
    parser.add_argument("--steps", type=int, default=Settings().steps)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    files = list_images([options.folder])
    files = [files[int(i)] for i in np.linspace(0, len(files) - 1, min(options.images, len(files)))]
    images = [read_rgb(file.path) for file in files]
    if "noise" in options.only:
        measure_noise(images)
    if "jpeg" in options.only:
        measure_jpeg(images)
    if "kernels" in options.only:
        measure_kernels(images, [file.name for file in files], options.steps, options.device)


if __name__ == "__main__":
    main()
