"""A network over a picture of any size: in tiles, with feathered seams, within the memory there is.

The whole picture stays on the CPU; only one tile at a time goes to the device.
"""

import threading
from collections.abc import Callable

import torch
from torch import Tensor

from redeg_cli.device import free_memory, is_out_of_memory
from redeg_cli.errors import ModelError, RedegError
from redeg_cli.progress import OnProgress, no_progress

SMALLEST_TILE = 64
OVERLAP = 112
"""Pixels that tiles share. The embedded restorer looks 80 pixels around: cut off at 24 its result
is up to 8.7 levels of 255 off, cut off at 48 (here it is at 49) up to 1.4."""
_TILE = "tile "
# Tiles start on multiples of this: networks that pixel-unshuffle or downsample see the same phase
# in every tile as in the whole picture.
_ALIGN = 8
_TURN = threading.RLock()
"""Held by the thread whose tile is on the device: others read, blend and write meanwhile, and leave
it the memory."""


def tiled(
    fn: Callable[..., Tensor],
    image: Tensor,
    scale: int,
    tile: int,
    overlap: int = OVERLAP,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
    *,
    positions: bool = False,
    into: Tensor | None = None,
) -> Tensor:
    """Return ``fn`` of a whole picture, computed tile by tile.

    ``image`` is (1,C,H,W) float32 on the CPU, the result (1,C',H*scale,W*scale) float32 on the
    CPU. ``fn`` takes a tile (1,C,h,w) on ``device`` and returns (1,C',h*scale,w*scale); with
    ``positions`` it is called as ``fn(tile, y, x)`` with the tile's top left corner in the picture.
    The result is written to ``into`` where that is given, however its memory is laid out.
    ``tile`` is the longest side of a tile; a picture that fits is one call. Pixels within 7/16 of
    ``overlap`` of a tile's inner edge are not used, so a network that looks no further than that
    gives what it gives on the whole picture; across the rest of the overlap tiles blend linearly.
    A ``tile`` of less than twice the overlap has an overlap of half itself.

    One tile is worked on at a time, those of other threads wait.
    When the device runs out of memory the tile is halved, down to 64, and the picture is begun
    again. Raises RedegError when even that is too large, ModelError when ``fn`` returns another
    shape; every other exception of ``fn`` passes through.
    """
    if image.ndim != 4 or image.shape[0] != 1 or 0 in image.shape:
        raise ValueError(f"image has shape {tuple(image.shape)}, want (1,C,H,W)")
    if tile < 1 or overlap < 0:
        raise ValueError(f"tile {tile} and overlap {overlap} must be positive")
    on_progress = on_progress or no_progress
    call = fn if positions else lambda part, _y, _x: fn(part)
    longest = max(image.shape[-2:])
    while True:
        try:
            return _run(call, image, scale, tile, overlap, torch.device(device), on_progress, into)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the except block: there the traceback still holds the tensors of the failed call.
        free_memory(device)
        used = min(tile, longest)
        if used <= SMALLEST_TILE:
            raise RedegError(
                f"{device} is out of memory even with tiles of {used} pixels: close other programs "
                "that use it, or use --device cpu"
            )
        tile = max(SMALLEST_TILE, used // 2)


def _run(
    call: Callable[[Tensor, int, int], Tensor],
    image: Tensor,
    scale: int,
    tile: int,
    overlap: int,
    device: torch.device,
    on_progress: OnProgress,
    into: Tensor | None,
) -> Tensor:
    height, width = image.shape[-2:]
    rows, columns = tile_spans(height, tile, overlap), tile_spans(width, tile, overlap)
    row_weights = _weights(rows, height, scale)
    column_weights = _weights(columns, width, scale)
    total = len(rows) * len(columns)
    text = f"{_TILE}{tile}" if total > 1 else ""
    on_progress(0, total, text)
    result = torch.empty(0)  # made when the first tile tells how many channels come out
    done = 0
    for (top, bottom), row_weight in zip(rows, row_weights, strict=True):
        for (left, right), column_weight in zip(columns, column_weights, strict=True):
            part = image[..., top:bottom, left:right].contiguous()
            with _TURN, torch.no_grad():
                out = call(part.to(device), top, left).float()
                _check_shape(out, part, scale)
                if total > 1:
                    out = out * row_weight.to(device)[:, None] * column_weight.to(device)
                out = out.cpu()
            if done == 0:
                shape = (1, out.shape[1], height * scale, width * scale)
                if into is not None and into.shape != shape:
                    raise ValueError(f"the result {shape} does not fit into {tuple(into.shape)}")
                result = out.new_zeros(shape) if into is None else into.zero_()
            result[..., top * scale : bottom * scale, left * scale : right * scale] += out
            done += 1
            on_progress(done, total, text)
    return result


def _check_shape(out: Tensor, part: Tensor, scale: int) -> None:
    height, width = part.shape[-2:]
    if out.ndim != 4 or out.shape[0] != 1 or out.shape[-2:] != (height * scale, width * scale):
        raise ModelError(
            f"the network made {tuple(out.shape)} from {tuple(part.shape)}: want scale {scale}"
        )


def tile_spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Return (start, stop) of the tiles along one side of ``length`` pixels.

    Starts are multiples of 8 and neighbours share at least ``overlap`` pixels, or half a tile if
    that is less; no tile is longer than ``tile`` (or 16, if that is more), and none longer than so
    many tiles must be. One span when it fits.
    """
    tile = max(tile, 2 * _ALIGN)
    if length <= tile:
        return [(0, length)]
    overlap = min(overlap, tile // 2)
    step = max((tile - overlap) // _ALIGN * _ALIGN, _ALIGN)
    count = -(-(length - overlap) // step)
    step = min(step, -(-(length - overlap) // (count * _ALIGN)) * _ALIGN)
    # The last tile is moved back so that it is about as large as the others: more context.
    last = -(-(length - step - overlap) // _ALIGN) * _ALIGN
    starts = [*range(0, last, step), last]
    return [(start, min(start + step + overlap, length)) for start in starts]


def _weights(spans: list[tuple[int, int]], length: int, scale: int) -> list[Tensor]:
    """Return the weight of each tile along one side; at each output pixel they sum to 1."""
    weights = []
    for index, (start, stop) in enumerate(spans):
        position = torch.arange((stop - start) * scale, dtype=torch.float64) + 0.5
        weight = torch.ones_like(position)
        if index > 0:
            weight = torch.minimum(weight, _ramp(position, spans[index - 1][1] - start, scale))
        if index < len(spans) - 1:
            shared = stop - spans[index + 1][0]
            weight = torch.minimum(weight, _ramp(position, shared, scale).flip(0))
        weights.append(weight)
    total = torch.zeros(length * scale, dtype=torch.float64)
    for (start, stop), weight in zip(spans, weights, strict=True):
        total[start * scale : stop * scale] += weight
    return [
        (weight / total[start * scale : stop * scale]).float()
        for (start, stop), weight in zip(spans, weights, strict=True)
    ]


def _ramp(position: Tensor, shared: int, scale: int) -> Tensor:
    """Return 0 over the first 7/16 of ``shared`` pixels, then a line to 1 over the next eighth."""
    if shared <= 0:
        return torch.ones_like(position)
    shared *= scale
    return ((position - 0.4375 * shared) / (0.125 * shared)).clamp(0, 1)


def tile_of(text: str) -> int | None:
    """Return the tile in use that ``tiled`` told ``on_progress``; None for a picture that fits."""
    return int(text.removeprefix(_TILE)) if text.startswith(_TILE) else None


def default_tile(device: torch.device | str) -> int:
    """Return the tile to begin with on ``device`` when none was asked for."""
    # Smaller ones waste work in the overlap (112 of 512 cost 1.6x), larger ones hide the progress.
    return 1024 if torch.device(device).type == "cuda" else 512
