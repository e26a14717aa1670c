"""The metrics by which restored images are judged: what each is, and how it is loaded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import torch
from torch import Tensor

from redeg_cli import __version__
from redeg_cli.device import is_out_of_memory, map_single_threaded
from redeg_cli.downloads import find_download, how_to_get
from redeg_cli.errors import MetricError
from redeg_cli.evaluate import with_pyiqa
from redeg_cli.evaluate.niqe import niqe
from redeg_cli.ssim import ms_ssim, ssim
from redeg_cli.train.lpips import Lpips
from redeg_cli.validation import did_you_mean

Score = Callable[[Tensor, Tensor | None], Tensor]
"""(results (B, 3, H, W), references of the same shape or None) -> (B,) float32 on the CPU.

Raises MetricError for images that have no such score: too small, without a reference, or of another
size than it. NIQE is NaN for flat images and PSNR infinite for equal ones.
"""


@dataclass(frozen=True)
class Metric:
    """What is known of a metric before it is computed."""

    name: str
    """What the user types."""
    label: str
    reference: bool
    """Whether it compares with a reference."""
    higher_is_better: bool
    digits: int
    """Decimals to print."""
    package: str
    """Whose implementation: ``redeg`` or ``pyiqa``."""
    colour: Literal["view", "rgb", "luma"]
    """What it is computed of: the colours of the view, RGB, or a luma that it makes itself."""
    weights: str | None = None
    """What ``redeg models download`` has to fetch for it, None if nothing."""


def _table(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS: dict[str, Metric] = _table(
    Metric("psnr", "PSNR (dB)", True, True, 2, "redeg", "view"),
    Metric("ssim", "SSIM", True, True, 4, "redeg", "view"),
    Metric("ms-ssim", "MS-SSIM", True, True, 4, "redeg", "view"),
    Metric("lpips", "LPIPS", True, False, 4, "redeg", "rgb", "alexnet"),
    Metric("dists", "DISTS", True, False, 4, "pyiqa", "rgb", "pyiqa-dists"),
    Metric("nlpd", "NLPD", True, False, 4, "pyiqa", "luma"),
    Metric("niqe", "NIQE", False, False, 3, "redeg", "luma"),
    Metric("brisque", "BRISQUE", False, False, 2, "pyiqa", "luma", "pyiqa-brisque"),
    Metric("piqe", "PIQE", False, False, 2, "pyiqa", "luma"),
    Metric("nrqm", "NRQM", False, True, 3, "pyiqa", "luma", "pyiqa-nrqm"),
    Metric("pi", "PI", False, False, 3, "pyiqa", "luma", "pyiqa-pi"),
    Metric("nima", "NIMA", False, True, 3, "pyiqa", "rgb", "pyiqa-nima"),
)


@dataclass(frozen=True)
class View:
    """What of an image is looked at."""

    colour: Literal["rgb", "y"] = "rgb"
    """``y``: BT.601 studio luma as MATLAB's rgb2ycbcr, (16 to 235) / 255, as SR papers do.

    Metrics with colours of their own (``Metric.colour``) are not touched by it.
    """
    crop: int = 0
    """Border in pixels that is left out, by every metric."""

    def inside(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) without their border.

        Raises MetricError when nothing would be left.
        """
        height, width = images.shape[-2:]
        if self.crop < 0 or 2 * self.crop >= min(height, width):
            raise MetricError(f"a border of {self.crop} pixels cannot be cut off {width}x{height}")
        return images[..., self.crop : height - self.crop, self.crop : width - self.crop]

    def of(self, images: Tensor) -> Tensor:
        """Return the view of RGB images (B, 3, H, W) in [0, 1]: (B, 3 or 1, h, w)."""
        inside = self.inside(images)
        return luma(inside) if self.colour == "y" else inside


def luma(images: Tensor) -> Tensor:
    """Return the Y (B, 1, H, W) of RGB images in [0, 1], not rounded (as BasicSR's PSNR)."""
    red, green, blue = images.split(1, dim=1)
    return (65.481 * red + 128.553 * green + 24.966 * blue + 16) / 255


def why_unavailable(name: str) -> str | None:
    """Return why a metric cannot be computed here, with the command that makes it so, or None.

    Raises MetricError for a name that is no metric's.
    """
    metric = _known(name)
    if metric.package == "pyiqa":
        return with_pyiqa.why_unavailable(name)
    if metric.weights and find_download(metric.weights) is None:
        return f"its weights are not here, {how_to_get(metric.weights)}"
    return None


def load_metric(name: str, view: View, device: torch.device) -> Score:
    """Return the function that computes a metric on ``device``. Nothing is ever downloaded.

    Raises MetricError when the metric is unknown or ``why_unavailable``.
    """
    metric = _known(name)
    if reason := why_unavailable(name):
        raise MetricError(f"{name} cannot be computed: {reason}")
    if device.type == "mps" and metric.colour == "luma":
        device = torch.device("cpu")  # these need float64, which mps has not
    compute = _load(metric, device)
    looked_at = view.of if metric.colour == "view" else view.inside

    @torch.inference_mode()
    def score(results: Tensor, references: Tensor | None) -> Tensor:
        seen = [looked_at(results.to(device))]
        if metric.reference:
            if references is None:
                raise MetricError(f"{name} compares with a reference and was given none")
            if references.shape != results.shape:
                raise MetricError(
                    f"the result is {_size(results)} and its reference {_size(references)}: "
                    f"{name} wants one size"
                )
            seen.append(looked_at(references.to(device)))
        try:
            return compute(*seen).float().cpu()
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            if is_out_of_memory(error):
                raise
            # Other packages say in their own ways that an image is too small for them.
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise MetricError(f"{name} has no value for {_size(results)}: {reason}") from error

    return score


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that compute these metrics."""
    packages = sorted({_known(name).package for name in names})
    return {each: __version__ if each == "redeg" else version(each) for each in packages}


def psnr(results: Tensor, references: Tensor) -> Tensor:
    """Return the PSNR (B,) in dB of images (B, C, H, W) in [0, 1], over all their channels."""
    return -10 * (results - references).square().mean((1, 2, 3)).log10()


def _load(metric: Metric, device: torch.device) -> Callable[..., Tensor]:
    if metric.package == "pyiqa":
        return with_pyiqa.load(metric.name, device)
    if metric.name == "lpips":
        return Lpips().to(device)
    if metric.name == "niqe" and device.type == "cpu":
        return lambda images: torch.cat(map_single_threaded(niqe, images.split(1)))
    return {"psnr": psnr, "ssim": ssim, "ms-ssim": ms_ssim, "niqe": niqe}[metric.name]


def _known(name: str) -> Metric:
    if name not in METRICS:
        known = ", ".join(METRICS)
        raise MetricError(
            f"there is no metric {name!r}{did_you_mean(name, METRICS)}: one of {known}"
        )
    return METRICS[name]


def _size(images: Tensor) -> str:
    height, width = images.shape[-2:]
    return f"{width}x{height}"
