"""What can be compared of two grains: their statistics, not their pixels."""

import torch
import torch.nn.functional as F


def grain_distance(made: torch.Tensor, truth: torch.Tensor, lags: int = 4) -> torch.Tensor:
    """Distance of two grains (B, 3, H, W) in what can be compared of them: their statistics.

    The autocovariances of all lags up to ``lags`` pixels and the covariances of the channels, as
    shares of the true grain's variance (its floor is (1/255)²), by Huber's loss, and the log of
    the local energies in 8x8 windows. In units of the true grain's standard deviation. A
    pixel-wise loss would ask for the mean, which is no grain.
    """
    variance = truth.square().mean((1, 2, 3)).add((1 / 255) ** 2)
    # Squared up to 100 %: absolute differences pull to the median, which for few coloured and many
    # gray grains, or the reverse, is wrong for both. The groups are averaged apart: the many lags,
    # whose estimates scatter with the amplitude, would outweigh the few variances.
    loss = torch.zeros_like(variance)
    groups = (
        (lag_covariances(made, lags), lag_covariances(truth, lags)),
        (channel_covariances(made), channel_covariances(truth)),
    )
    for got, wanted in groups:
        share = (got - wanted) / variance[:, None]
        loss = loss + F.huber_loss(share, torch.zeros_like(share), reduction="none").mean(1)
    energies = [
        F.avg_pool2d(x.square().mean(1, keepdim=True), 8).add((1 / 255) ** 2).log()
        for x in (made, truth)
    ]
    local = (energies[0] - energies[1]).abs().mean()
    return (loss * variance.sqrt()).mean() + 0.02 * local


def lag_covariances(x: torch.Tensor, lags: int) -> torch.Tensor:
    """Return autocovariances (B, N) of x (B, C, H, W), averaged over channels, (0, 0) first."""
    height, width = x.shape[2:]
    columns = []
    for dy in range(lags + 1):
        for dx in range(-lags if dy else 0, lags + 1):
            a = x[:, :, : height - dy, max(0, -dx) : width - max(0, dx)]
            b = x[:, :, dy:, max(0, dx) : width - max(0, -dx)]
            columns.append((a * b).mean((1, 2, 3)))
    return torch.stack(columns, 1)


def channel_covariances(x: torch.Tensor) -> torch.Tensor:
    """Return the covariances (B, C * C) of the channels of x (B, C, H, W)."""
    return torch.einsum("bchw,bdhw->bcd", x, x).flatten(1) / (x.shape[2] * x.shape[3])
