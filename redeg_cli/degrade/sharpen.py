"""Sharpening by an unsharp mask, as cameras and photo editors do it."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, field_validator
from torch import Tensor

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.blur import Blur, filter_canvas, make_kernels
from redeg_cli.degrade.canvas import Canvas


class Sharpen(Step):
    """An unsharp mask. The defaults are those of BSRGAN and Real-ESRGAN."""

    weight: Annotated[float, Field(ge=0, le=10)] = 0.5
    """How much of the detail is added once more."""
    radius: Annotated[int, Field(ge=1, le=127)] = 51
    """Side of the Gaussian kernel in pixels, odd; its deviation is OpenCV's for that side."""
    threshold: Annotated[float, Field(ge=0, le=255)] = 10.0
    """Detail up to this much, in levels of 255, is left alone."""

    @field_validator("radius")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"a kernel size must be odd, got {value}")
        return value


def sharpen(canvas: Canvas, weight: Tensor, threshold: Tensor, kernels: Tensor) -> Tensor:
    """Return the canvas's pixels sharpened, in [0, 1].

    ``weight`` and ``threshold`` (levels of 255) are (B, 1, 1, 1), ``kernels`` (B, k, k). Where the
    detail (the image without its blurred copy) passes the threshold, smoothed by the same kernel,
    ``weight`` times the detail is added. Source: Real-ESRGAN, section 3.5; the released code.
    """
    x = canvas.pixels
    detail = x - filter_canvas(canvas, kernels)
    mask = (detail.abs() * 255 > threshold).to(x)
    soft = filter_canvas(canvas.with_pixels(mask), kernels).clamp(0, 1)
    return (x + soft * ((x + weight * detail).clamp(0, 1) - x)).clamp(0, 1)


def apply_sharpen(canvas: Canvas, steps: Sequence[Sharpen]) -> Canvas:
    """Sharpen each image of a canvas."""
    # OpenCV's deviation for a kernel that is given by its side alone.
    blurs = [
        Blur(size=step.radius, sigma=0.3 * ((step.radius - 1) / 2 - 1) + 0.8) for step in steps
    ]
    weight = canvas.column([step.weight for step in steps])
    threshold = canvas.column([step.threshold for step in steps])
    kernels = make_kernels(blurs).to(canvas.device)
    return canvas.with_pixels(sharpen(canvas, weight, threshold, kernels))
