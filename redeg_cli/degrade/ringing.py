"""Ringing: the luma of analogue video behind a band-limited circuit, blurred and with echoes.

A circuit of limited bandwidth answers an edge late, overshoots and swings out: to the right of
every edge stand fainter and fainter copies of it. The circuit here is the damped oscillator
(second-order low-pass), which tuners, tape heads and long cables resemble.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.rows import bordered_rows, filter_rows, row_kernels
from redeg_cli.degrade.tone import to_luma


class Ringing(Step):
    """Luma through a damped oscillator, along the rows."""

    period: Annotated[float, Field(gt=0, le=24)]
    """Of the oscillation, in pixels. A band of f MHz has 13.5 / f at 720 pixels a line: VHS 4.5."""
    damping: Annotated[float, Field(ge=0.15, le=0.95)]
    """As a share of the critical one. An edge overshoots by 16 % of its height at 0.5, by 5 % at
    0.7, by 0.2 % at 0.9."""


def ring_luma(canvas: Canvas, period: Sequence[float], damping: Sequence[float]) -> Tensor:
    """Return the canvas' pixels with their luma filtered by second-order low-passes of natural
    ``period`` in pixels and ``damping`` in (0, 1), one per image.

    The colour differences are kept. The mean delay of the filter, damping * period / pi, is taken
    away, so that the picture stays where it is.
    """
    # There the envelope has fallen to exp(-6) = 0.25 %.
    reaches = [math.ceil(3 / math.pi * p / d) + 1 for p, d in zip(period, damping, strict=True)]
    omega = 2 * math.pi / canvas.column(period)[:, 0, 0]
    share = canvas.column(damping)[:, 0, 0]
    kernels = row_kernels(lambda x: _step_response(x, omega, share), reaches, canvas.device)
    luma = to_luma(canvas.pixels)
    filtered = filter_rows(bordered_rows(canvas, luma, max(reaches)), kernels)
    return (canvas.pixels + (filtered - luma)).clamp_(0, 1)


def apply_ringing(canvas: Canvas, steps: Sequence[Ringing]) -> Canvas:
    """Ring the luma of each image of the canvas."""
    period, damping = [step.period for step in steps], [step.damping for step in steps]
    return canvas.with_pixels(ring_luma(canvas, period, damping))


def _step_response(x: Tensor, omega: Tensor, damping: Tensor) -> Tensor:
    """Return what of a step has come through at ``x`` pixels behind it, the mean delay
    2 * damping / omega being taken away."""
    time = (x + 2 * damping / omega).clamp(min=0) * omega
    root = (1 - damping.square()).sqrt()
    swing = (root * time).cos() + damping / root * (root * time).sin()
    return 1 - torch.exp(-damping * time) * swing
