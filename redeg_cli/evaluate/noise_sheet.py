"""A sheet of a pool of noise: patches, and the spectra of all."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from redeg_cli.degrade.noise_pool import NoisePool
from redeg_cli.evaluate.sheet import Panel, Strip, draw_sheet

_CELL = 256
_SHOWN = 12
_BINS = 16
_INK, _AXIS, _GRID = (20, 20, 20), (105, 105, 105), (225, 225, 225)
_COLOURS = {"luma": (20, 20, 20), "blue - luma": (40, 90, 200), "red - luma": (190, 40, 40)}
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def noise_sheet(pool: NoisePool) -> np.ndarray:
    """Return a sheet (H, W, 3) in [0, 1]: patches with the least to the most noise, then spectra.

    The patches are all enlarged in contrast alike. Spectra are powers per frequency, in dB above
    white noise of one level (of 255); in the pictures of them frequency 0 is in the middle.
    """
    patches = pool.patches.astype(np.float32) * 255
    deviations = np.sqrt(np.square(patches).mean((1, 2, 3)))
    order = np.argsort(deviations)
    chosen = order[np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(int)]
    gain = 0.5 / max(3 * float(np.median(deviations[chosen])), 1.0)
    shown = [
        Panel(
            _large(0.5 + gain * patches[row]),
            pool.names[row],
            f"at {pool.places[row][1]},{pool.places[row][0]} · deviation {deviations[row]:.2f}",
        )
        for row in chosen
    ]
    spectra = noise_spectra(patches)
    low = min(float(values.min()) for values in spectra.values())
    high = max(float(values.max()) for values in spectra.values())
    panels = [
        Panel(
            _large(np.repeat(((values - low) / max(high - low, 1e-9))[..., None], 3, 2)),
            f"spectrum of {name}",
            f"{values.min():.1f} to {values.max():.1f} dB (black {low:.1f}, white {high:.1f})",
        )
        for name, values in spectra.items()
    ]
    panels.append(Panel(_curves(spectra), "by frequency", "cycles per pixel; dB over one level"))
    count = f"{len(shown)} of {len(pool)} patches of {pool.side}x{pool.side} px"
    return draw_sheet(
        [
            Strip(f"{count}, contrast x {255 * gain:.1f}, levels of 255", tuple(shown)),
            Strip(f"mean spectra of all {len(pool)}", tuple(panels)),
        ]
    )


def noise_spectra(patches: np.ndarray) -> dict[str, np.ndarray]:
    """Return the mean power spectra (p, p) of patches (N, p, p, 3), in levels, by what they are of.

    In dB above white noise of deviation 1; frequency 0, of which the patches have nothing, is in
    the middle and stands at its neighbours' mean.
    """
    luma = patches @ _LUMA
    planes = {"luma": luma, "blue - luma": patches[..., 2] - luma}
    planes["red - luma"] = patches[..., 0] - luma
    found = {}
    for name, values in planes.items():
        power = np.square(np.abs(np.fft.fft2(values))).mean(0) / values[0].size
        power[0, 0] = (power[0, 1] + power[1, 0]) / 2
        found[name] = np.fft.fftshift(10 * np.log10(power + 1e-4))
    return found


def radial_spectrum(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies in cycles per pixel, up to 0.5, and the mean dB (p, p) has there."""
    axis = np.fft.fftshift(np.fft.fftfreq(spectrum.shape[0]))
    radius = np.hypot(axis[:, None], axis)
    bins = np.minimum((radius * 2 * _BINS).astype(int), 2 * _BINS)
    counts = np.bincount(bins.ravel(), minlength=_BINS)[:_BINS]
    sums = np.bincount(bins.ravel(), spectrum.ravel(), minlength=_BINS)[:_BINS]
    there = counts > 0
    middles = (np.arange(_BINS) + 0.5) / (2 * _BINS)
    return middles[there], sums[there] / counts[there]


def _large(picture: np.ndarray) -> np.ndarray:
    zoom = max(1, _CELL // picture.shape[0])
    return picture.repeat(zoom, 0).repeat(zoom, 1)[:_CELL, :_CELL]


def _curves(spectra: dict[str, np.ndarray]) -> np.ndarray:
    """Return the radial means of spectra as a picture of a cell's size."""
    curves = {name: radial_spectrum(values) for name, values in spectra.items()}
    every = np.concatenate([values for _, values in curves.values()])
    low, high = 5 * np.floor(every.min() / 5), 5 * np.ceil(every.max() / 5 + 1e-9)
    picture = Image.new("RGB", (_CELL, _CELL), (255, 255, 255))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    left, bottom, wide, tall = 30, _CELL - 18, _CELL - 40, _CELL - 30

    def place(frequency: float, value: float) -> tuple[float, float]:
        return left + wide * frequency / 0.5, bottom - tall * (value - low) / (high - low)

    for value in np.arange(low, high + 1, 5):
        pen.line([place(0, value), place(0.5, value)], _GRID)
        pen.text((2, place(0, value)[1] - 6), f"{value:.0f}", _AXIS, font)
    for frequency in (0, 0.25, 0.5):
        pen.text((place(frequency, low)[0] - 8, bottom + 3), f"{frequency:g}", _AXIS, font)
    for index, (name, (frequencies, values)) in enumerate(curves.items()):
        points = [place(f, v) for f, v in zip(frequencies, values, strict=True)]
        pen.line(points, _COLOURS[name], 2)
        pen.text((_CELL - 80, 4 + 13 * index), name, _COLOURS[name], font)
    return np.asarray(picture, np.float32) / 255
