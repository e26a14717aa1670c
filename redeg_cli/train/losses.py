"""Losses, each named for what it compares."""

import torch


def pixel_l1(made: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of two batches (B, C, H, W)."""
    return (made - truth).abs().mean()


def gradient_l1(made: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the horizontal and vertical first differences."""
    error = made - truth
    return error.diff(dim=3).abs().mean() + error.diff(dim=2).abs().mean()


def jpeg_parameters_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Distance of predicted and recorded JPEG stages, both (B, stages, 3).

    ``logits`` as in ``Synthesis.jpeg``; ``truth`` holds (is there one, (quality - 50) / 25,
    4:2:0). Quality and chroma count only where there is a stage.
    """
    there = truth[..., 0]
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    gate = cross_entropy(logits[..., 0], there)
    count = there.sum().clamp(min=1)
    quality = ((logits[..., 1] - truth[..., 1]).abs() * there).sum() / count
    chroma = cross_entropy(logits[..., 2], truth[..., 2], reduction="none")
    return gate + quality + 0.2 * (chroma * there).sum() / count


def mean_psnr(made: torch.Tensor, truth: torch.Tensor, floor: float = 1e-10) -> float:
    """Mean over the batch of the PSNR in dB, ``made`` clamped to [0, 1].

    ``floor`` is the least mean square counted: 1e-6 caps what is equal at 60 dB.
    """
    error = (made.clamp(0, 1) - truth).square().mean((1, 2, 3)).clamp(min=floor)
    return float((-10 * error.log10()).mean())
