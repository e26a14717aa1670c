"""What a pair tells in the frequency domain: the transfer function and the noise that it leaves."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 32
"""Side of the windows in px."""
STEP = 16
"""From one window to the next in px."""
RINGS = 10
"""Of radial frequency, up to Nyquist's along an axis; the corners beyond belong to the last."""
SECTORS = 4
"""Of direction, each an eighth of a turn to either side of 0, 45, 90 and 135 degrees."""

# Of the windows' spectra: what rounding to 8 bits leaves, a twelfth of a level squared.
_ROUNDING = (1 / 255) ** 2 / 12
# The power beyond this ring, in times that of rounding, from which on there is noise: what the
# transfer function misses of a blur or of JPEG lies below.
_FINE, _NOISY = 6, 3.0
_PAIRS = ((0, 1), (0, 2), (1, 2))
_CHANNELS = (0, 1, 2)

SIZE = 3 * RINGS * SECTORS + RINGS * (len(_CHANNELS) + len(_PAIRS))
"""How many statistics there are."""


def pair_spectra(hq: Tensor, lq: Tensor) -> Tensor:
    """Return statistics (B, SIZE) of the spectra of HQ and aligned LQ, (B, 3, H, W) in [0, 1].

    From windows that overlap by half, averaged (Welch 1967): per ring and sector of frequency the
    transfer function from HQ to LQ, its log magnitude, and the log ratio of the two powers; per
    ring the log power of what the transfer function does not explain, in each channel, and that
    noise's correlations between the channels. Pictures differ in their spectra; these hardly
    depend on them.
    """
    x, y = _windows(hq), _windows(lq)
    power_x = _smooth(x.abs().square().mean((1, 2)))
    power_y = _smooth(y.abs().square().mean((1, 2)))
    cross = (y * x.conj()).mean((1, 2))
    cross = torch.complex(_smooth(cross.real), _smooth(cross.imag))
    floor = _ROUNDING * _window(hq).square().sum()
    transfer = cross / (power_x + floor)
    noise = y - transfer[:, None, None] * x
    bins = _bins(hq.device)
    polar, rings = bins.flatten(0, 1), bins.sum(1)

    def pooled(values: Tensor, into: Tensor) -> Tensor:
        return torch.einsum("...yx,nyx->...n", values, into / into.sum((1, 2), keepdim=True))

    gain = pooled(cross.real, polar) / (pooled(power_x, polar) + floor)
    size = pooled(cross.abs(), polar) / (pooled(power_x, polar) + floor)
    ratio = (pooled(power_y, polar) + floor) / (pooled(power_x, polar) + floor)
    powers = [pooled(noise[:, c].abs().square().mean(1), rings) for c in _CHANNELS]
    log_powers = [(p / floor + 0.1).log() / 4 for p in powers]
    shared = [
        pooled((noise[:, a] * noise[:, b].conj()).real.mean(1), rings)
        / (powers[a] * powers[b] + floor.square()).sqrt()
        for a, b in _PAIRS
    ]
    return torch.cat([gain, (size + 1e-2).log() / 2, ratio.log() / 4, *log_powers, *shared], 1)


def noise_colours(hq: Tensor, lq: Tensor) -> Tensor:
    """Return (B, 4): 1 for a pair that has noise, else 0, and its correlations RG, RB and GB.

    Noise is what the transfer function leaves in the quietest quarter of the windows: in the
    others it is texture too, where the HQ is a restored face. Of gray noise the correlations are
    1, of colour noise 0.
    """
    x, y = _windows(hq), _windows(lq)
    floor = _ROUNDING * _window(hq).square().sum()
    power_x = _smooth(x.abs().square().mean((1, 2)))
    cross = (y * x.conj()).mean((1, 2))
    transfer = torch.complex(_smooth(cross.real), _smooth(cross.imag)) / (power_x + floor)
    noise = y - transfer[:, None, None] * x
    loudness = x.abs().square().mean((1, 3, 4))
    quiet = (loudness <= loudness.quantile(0.25, 1, keepdim=True)).float()
    # The mean and the lowest frequencies belong to the tones.
    kept = (_bins(hq.device).sum(1)[1:].sum(0) > 0).float()
    weight = quiet[:, :, None, None] * kept
    # The real part of rows @ rows.mH, in real numbers: Apple's GPUs multiply complex ones wrongly.
    rows = torch.view_as_real(noise * weight[:, None]).flatten(2)
    shared = rows @ rows.mT / weight.sum((1, 2, 3))[:, None, None]
    powers = torch.diagonal(shared, dim1=1, dim2=2)
    size = powers.clamp(min=1e-12).sqrt()
    pairs = [shared[:, a, b] / (size[:, a] * size[:, b]) for a, b in _PAIRS]
    fine = quiet[:, :, None, None] * _bins(hq.device).sum(1)[_FINE:].sum(0)
    finest = (noise.abs().square() * fine[:, None]).sum((2, 3, 4)) / fine.sum((1, 2, 3))[:, None]
    there = (finest.amin(1) > _NOISY * floor).float()
    return torch.stack([there, *(pair * there for pair in pairs)], 1)


def _windows(images: Tensor) -> Tensor:
    """Return the spectra (B, 3, N, WINDOW, WINDOW // 2 + 1) of an image's windows."""
    height, width = images.shape[2:]
    missing = (0, max(0, WINDOW - width), 0, max(0, WINDOW - height))
    images = F.pad(images, missing, mode="replicate")
    tiles = images.unfold(2, WINDOW, STEP).unfold(3, WINDOW, STEP).flatten(2, 3)
    window = _window(images)
    mean = (tiles * window).sum((3, 4), keepdim=True) / window.sum()
    return torch.fft.rfft2((tiles - mean) * window)


def _window(like: Tensor) -> Tensor:
    hann = torch.hann_window(WINDOW, device=like.device)
    return hann[:, None] * hann


def _smooth(spectrum: Tensor) -> Tensor:
    """Average each frequency of (B, WINDOW, WINDOW // 2 + 1) with its eight neighbours."""
    # Rows wrap around; beyond the first and the last column lie the conjugates of their
    # neighbours, which the nearest column stands for.
    padded = F.pad(spectrum[:, None], (1, 1, 0, 0), mode="replicate")
    padded = F.pad(padded, (0, 0, 1, 1), mode="circular")
    return F.avg_pool2d(padded, 3, 1)[:, 0]


def _bins(device: torch.device) -> Tensor:
    """Return which frequency belongs to which ring and sector, (RINGS, SECTORS, ...) of 0 and 1."""
    fy = torch.fft.fftfreq(WINDOW, device=device)[:, None]
    fx = torch.fft.rfftfreq(WINDOW, device=device)[None]
    radius, angle = torch.hypot(fy, fx), torch.atan2(fy, fx)
    ring = (radius * 2 * RINGS).ceil().clamp(1, RINGS) - 1
    sector = (angle / math.pi * SECTORS).round() % SECTORS
    rings = torch.arange(RINGS, device=device).view(-1, 1, 1, 1)
    sectors = torch.arange(SECTORS, device=device).view(-1, 1, 1)
    return ((ring == rings) & (sector == sectors) & (radius > 0)).float()
