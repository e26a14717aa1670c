"""ReDegNet-lite: DegNet-lite and SynNet-lite in one module, the default learned degradation."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from redeg_cli.nets.degnet_lite import DegNetLite
from redeg_cli.nets.pair_spectra import noise_colours
from redeg_cli.nets.synnet_lite import SynNetLite, Synthesis

PRINT = slice(-14, None)
"""Where in Ω stands how a picture was printed in dots (``omega.printed``)."""
COLOURS = slice(-18, -14)
"""Where the colours of the grain stand, times ``COLOURS_SIZE``: see ``noise_colours``."""
COLOURS_SIZE = 0.1
"""Small beside what is learned: by their distance Ωs are told apart by kind and strength."""


class ReDegNetLite(nn.Module):
    """Fully convolutional: any size, about 2 M parameters.

    The end of Ω is for what is measured, not learned, once training has left it free
    (``omega.content``).
    """

    multiple = 4
    """H and W of what ``forward`` takes are multiples of this."""

    def __init__(
        self, degnet: dict[str, Any] | None = None, synnet: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.degnet = DegNetLite(**(degnet or {}))
        self.synnet = SynNetLite(**(synnet or {}))

    @property
    def has_room(self) -> bool:
        """Whether the end of Ω is free: SynNet does not look at it."""
        first = self.synnet.style[0]
        assert isinstance(first, nn.Linear)
        return not bool(first.weight[:, COLOURS.start :].any())

    @torch.no_grad()
    def make_room(self) -> None:
        """Let SynNet look away from the end of Ω."""
        first = self.synnet.style[0]
        assert isinstance(first, nn.Linear)
        first.weight[:, COLOURS.start :] = 0

    def extract(self, hq: torch.Tensor, lq: torch.Tensor, scale: int) -> torch.Tensor:
        """Return Ω (B, 512) of HQ and aligned LQ (B, 3, H, W) in [0, 1] (ReDegNet, eq. 1)."""
        omega = self.degnet(hq, lq, scale)
        if not self.has_room:
            return omega
        with torch.autocast(hq.device.type, enabled=False):
            # Noise was there before the LQ was enlarged: beyond that the LQ has none to measure.
            native = [
                F.interpolate(x.float(), scale_factor=1 / scale, mode="bicubic", antialias=smooth)
                for x, smooth in ((hq, True), (lq, False))
            ]
            colours = noise_colours(*native)
        # What a JPEG leaves has colours too, those of the picture.
        colours = colours * self.synnet.has_grain(omega)[:, None]
        return torch.cat([omega[:, : COLOURS.start], COLOURS_SIZE * colours, omega[:, PRINT]], 1)

    def jpeg_stages(self, omega: torch.Tensor) -> torch.Tensor:
        """Return the JPEG stages (B, 2, 3) that Ω asks for, see ``Synthesis.jpeg``."""
        return self.synnet.jpeg_stages(omega)

    def synthesise(
        self,
        hq: torch.Tensor,
        omega: torch.Tensor,
        *,
        noise: torch.Tensor | None = None,
        periodic: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the aligned LQ (B, 3, H, W) in [0, 1] of HQ images under Ω, before any JPEG.

        ``noise`` is what grain is made from, see ``forward``; without it there is none.
        """
        made = self(hq, omega, torch.zeros_like(hq) if noise is None else noise, periodic)
        return (made.mean + made.grain).clamp(0, 1)

    def forward(
        self,
        hq: torch.Tensor,
        omega: torch.Tensor,
        noise: torch.Tensor,
        periodic: torch.Tensor | None = None,
    ) -> Synthesis:
        """Return the parts of the LQ of ``hq`` under Ω (ReDegNet, eqs. 2 and 3).

        ``noise`` (B, 3, H, W) is N(0, 1) and white on the native grid (``omega.synthesis``).
        """
        colours = omega[:, COLOURS] / COLOURS_SIZE if self.has_room else None
        return self.synnet(hq, omega, noise, periodic, colours)


def has_room(net: object) -> bool:
    """Return whether Ωs of any ReDegNet have room for what is measured: only lite ones may."""
    return isinstance(net, ReDegNetLite) and net.has_room
