"""Losses, each named for what it compares."""

import torch


def pixel_l1(made: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of two batches (B, C, H, W)."""
    return (made - truth).abs().mean()


def gradient_l1(made: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the horizontal and vertical first differences."""
    error = made - truth
    return error.diff(dim=3).abs().mean() + error.diff(dim=2).abs().mean()


def grain_distance(made: torch.Tensor, truth: torch.Tensor, lags: int = 4) -> torch.Tensor:
    """Distance of two grains (B, 3, H, W) in what can be compared of them: their statistics.

    The autocovariances of all lags up to ``lags`` pixels and the covariances of the channels,
    each divided by the true grain's standard deviation (its floor is 1/255), and the log of the
    local energies in 8x8 windows. A pixel-wise loss would ask for the mean, which is no grain.
    """
    deviation = truth.square().mean((1, 2, 3)).add((1 / 255) ** 2).sqrt()
    covariances = [_covariances(x, lags) for x in (made, truth)]
    # A difference of covariances over the deviation is in units of amplitude, as L1 is.
    loss = ((covariances[0] - covariances[1]).abs().mean(1) / deviation).mean()
    energies = [
        torch.nn.functional.avg_pool2d(x.square().mean(1, keepdim=True), 8).add((1 / 255) ** 2).log()
        for x in (made, truth)
    ]
    return loss + 0.02 * (energies[0] - energies[1]).abs().mean()


def _covariances(x: torch.Tensor, lags: int) -> torch.Tensor:
    """Return (B, N): autocovariances by lag, averaged over channels, and channel covariances."""
    height, width = x.shape[2:]
    columns = []
    for dy in range(lags + 1):
        for dx in range(-lags if dy else 0, lags + 1):
            a = x[:, :, : height - dy, max(0, -dx) : width - max(0, dx)]
            b = x[:, :, dy:, max(0, dx) : width - max(0, -dx)]
            columns.append((a * b).mean((1, 2, 3)))
    channels = torch.einsum("bchw,bdhw->bcd", x, x) / (height * width)
    return torch.cat([torch.stack(columns, 1), channels.flatten(1)], 1)


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
