"""Tone changes of prints and scans: fading and colour cast."""

import torch


def fade(
    image: torch.Tensor, black: tuple[float, ...], white: tuple[float, ...], gamma: float
) -> torch.Tensor:
    """Map one image (3, H, W) so that black and white take the given RGB values in [0, 1]."""
    low = torch.tensor(black, device=image.device, dtype=image.dtype).view(3, 1, 1)
    high = torch.tensor(white, device=image.device, dtype=image.dtype).view(3, 1, 1)
    return (low + (high - low) * image.clamp(0, 1) ** gamma).clamp(0, 1)
