"""A batch of images of different sizes in one tensor: what the steps of a chain work on.

Images that are resized by factors of their own no longer fit in one tensor as they are. Each lies
in the upper left corner of a canvas as large as the largest, and carries its own size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]
"""Height and width in pixels."""
Border = Literal["mirror", "replicate"]
"""How an image goes on beyond its edge: ``dcb|abcd|cba`` or ``aaa|abcd|ddd``."""


@dataclass(frozen=True)
class Canvas:
    """Images in the upper left corners of one tensor."""

    pixels: Tensor
    """(B, 3, H, W), RGB in [0, 1]; what lies beyond an image's own size is any finite filling."""
    sizes: tuple[Size, ...]
    """Each image's own height and width, at most (H, W)."""
    hq_size: Size
    """Height and width of the HQ that all images of the batch came from."""
    scale: int
    """How much larger the HQ grid is than the native grid."""

    @classmethod
    def of(cls, hq: Tensor, scale: int) -> "Canvas":
        """Return a canvas of HQ images (B, 3, H, W)."""
        size = (hq.shape[2], hq.shape[3])
        return cls(hq, (size,) * hq.shape[0], size, scale)

    @property
    def device(self) -> torch.device:
        """Where the pixels are."""
        return self.pixels.device

    @property
    def native_size(self) -> Size:
        """Height and width of the native grid."""
        return self.hq_size[0] // self.scale, self.hq_size[1] // self.scale

    @property
    def ragged(self) -> bool:
        """Whether some image is smaller than the tensor."""
        whole = (self.pixels.shape[2], self.pixels.shape[3])
        return any(size != whole for size in self.sizes)

    def column(self, values: Sequence[float] | Sequence[bool] | Sequence[int]) -> Tensor:
        """Return one number per image as (B, 1, 1, 1) on the device, to scale pixels with."""
        return torch.tensor(values, device=self.device).view(-1, 1, 1, 1)

    def lengths(self) -> tuple[Tensor, Tensor]:
        """Return the images' own heights and widths, each (B, 1, 1, 1) float32."""
        heights, widths = zip(*self.sizes, strict=True)
        return self.column([float(h) for h in heights]), self.column([float(w) for w in widths])

    def coordinates(self) -> tuple[Tensor, Tensor]:
        """Return the rows (H, 1) and columns (1, W) of the canvas in pixels, float32."""
        height, width = self.pixels.shape[2:]
        rows = torch.arange(height, device=self.device, dtype=torch.float32)
        columns = torch.arange(width, device=self.device, dtype=torch.float32)
        return rows[:, None], columns[None]

    def with_pixels(self, pixels: Tensor, sizes: Sequence[Size] | None = None) -> "Canvas":
        """Return a canvas of the same batch with other pixels, and other sizes if given."""
        sizes = self.sizes if sizes is None else tuple(sizes)
        return Canvas(pixels, sizes, self.hq_size, self.scale)

    def bordered(self, before: int, after: int, mode: Border) -> Tensor:
        """Return (B, 3, before + H + after, before + W + after): each image with its own border.

        ``mirror`` goes to and fro as often as it must, so any border fits any image.
        """
        if not self.ragged:
            pads = (before, after, before, after)
            if mode == "replicate":
                return F.pad(self.pixels, pads, mode="replicate")
            if max(before, after) < min(self.pixels.shape[2:]):
                return F.pad(self.pixels, pads, mode="reflect")
        out = self.pixels
        for axis in (0, 1):
            own = torch.tensor([size[axis] for size in self.sizes], device=self.device)[:, None]
            place = torch.arange(-before, out.shape[2 + axis] + after, device=self.device)[None]
            if mode == "replicate":
                index = torch.minimum(place.clamp(min=0), own - 1)
            else:
                period = (2 * own - 2).clamp(min=1)
                index = place.remainder(period)
                index = torch.minimum(index, period - index)
            shape = (-1, 1, index.shape[1], 1) if axis == 0 else (-1, 1, 1, index.shape[1])
            whole = list(out.shape)
            whole[2 + axis] = index.shape[1]
            out = out.gather(2 + axis, index.view(shape).expand(whole))
        return out

    def images(self) -> list[Tensor]:
        """Return each image as (1, 3, h, w)."""
        return [
            row[None, :, :height, :width]
            for row, (height, width) in zip(self.pixels, self.sizes, strict=True)
        ]

    def select(self, rows: Sequence[int]) -> "Canvas":
        """Return a canvas of some of the images, cut to the largest of them."""
        if len(rows) == len(self.sizes) and list(rows) == list(range(len(rows))):
            return self
        sizes = tuple(self.sizes[row] for row in rows)
        height, width = (max(lengths) for lengths in zip(*sizes, strict=True))
        index = torch.tensor(rows, device=self.device)
        pixels = self.pixels.index_select(0, index)[:, :, :height, :width]
        return Canvas(pixels, sizes, self.hq_size, self.scale)

    def merge(self, rows: Sequence[int], other: "Canvas") -> "Canvas":
        """Return this canvas with the images of ``rows`` replaced by those of ``other``."""
        if list(rows) == list(range(len(self.sizes))):
            return other
        sizes = list(self.sizes)
        for row, size in zip(rows, other.sizes, strict=True):
            sizes[row] = size
        height, width = (max(lengths) for lengths in zip(*sizes, strict=True))
        pixels = _grown(self.pixels, height, width)
        index = torch.tensor(rows, device=self.device)
        return self.with_pixels(
            pixels.index_copy(0, index, _grown(other.pixels, height, width)), sizes
        )


def stack_images(images: Sequence[Tensor], like: Canvas) -> Canvas:
    """Return a canvas of the batch of ``like`` from its images, each (1, 3, h, w)."""
    sizes = [(image.shape[2], image.shape[3]) for image in images]
    height, width = (max(lengths) for lengths in zip(*sizes, strict=True))
    return like.with_pixels(torch.cat([_grown(image, height, width) for image in images]), sizes)


def _grown(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return pixels cut or filled up (with zeros) to ``height`` and ``width``."""
    pixels = pixels[:, :, :height, :width]
    return F.pad(pixels, (0, width - pixels.shape[3], 0, height - pixels.shape[2]))
