"""The learned degrader: SynNet driven by the Ωs of a pool, behind the Degrader protocol."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.degrade.base import Record, check_batch
from redeg_cli.nets.lite import PRINT, has_room
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.pool import Pool
from redeg_cli.omega.printed import Phases, Print, print_images, read_code
from redeg_cli.omega.synthesis import (
    Stages,
    compress,
    jpeg_stages,
    native_noise,
    periodic_maps,
    raw_aligned,
)
from redeg_cli.omega.tone import Tone
from redeg_cli.progress import OnProgress
from redeg_cli.restore.tiles import OVERLAP, default_tile, tiled
from redeg_cli.seeds import numpy_generator, sample_seed


class OmegaDegrader:
    """Draws an Ω of the pool and a noise seed; SynNet applies them to any sharp image.

    The record names the row of the pool, so the pool must be kept to replay it.
    """

    def __init__(
        self,
        net: nn.Module,
        pool: Pool,
        scale: int,
        *,
        aligned: bool = False,
        lattice: Lattice | None = None,
        stages: Stages | None = None,
        tone: Tone | None = None,
        precision: str = "auto",
    ) -> None:
        """Make a degrader of ``net`` (on the device to work on) and a pool that it made.

        ``lattice`` is that of an adapted network, ``tone`` what HQ images go through before it;
        ``stages`` (of one row) replaces the JPEG stages that each Ω asks for. SynNet computes in
        ``precision``, see ``device.autocast_dtype``.
        """
        self.net = net
        self.pool = pool
        self.scale = scale
        self.aligned = aligned
        self.lattice = lattice
        self.stages = stages
        self.tone = tone
        self.precision = precision
        self._multiple = int(getattr(net, "multiple", 1))
        self._prints = has_room(net)

    def draw(self, seed: int) -> Record:
        """Return which Ω to use, and the seed of the grain and of the lattice's phases. Pure."""
        row = int(numpy_generator(seed).integers(len(self.pool)))
        return self.record(row, sample_seed(seed, "noise"))

    def record(self, row: int, seed: int) -> Record:
        """Return the record of a row of the pool, and the seed of the grain and the phases."""
        return {
            "degrader": "omega",
            "scale": self.scale,
            "row": row,
            "omega": self.pool.names[row],
            "seed": seed,
        }

    def apply(self, hq: Tensor, records: Sequence[Record]) -> Tensor:
        """Return native LQs, or aligned ones if the degrader was made so. See ``Degrader``."""
        check_batch(hq, records, self.scale)
        omega = self._omegas(records, hq.device)
        seeds = [int(record["seed"]) for record in records]
        inputs, height, width = self._inputs(hq, seeds)
        prints = self._printed(omega, seeds)
        inputs[:, :3] = print_images(inputs[:, :3], *zip(*prints, strict=True))
        maps = periodic_maps(self.lattice, seeds, inputs.shape[2], inputs.shape[3])
        raw = self._synthesise(inputs, omega, maps)[:, :, :height, :width]
        return compress(raw, self._stages(omega), self.scale, self.aligned)

    def apply_large(
        self,
        hq: Tensor,
        record: Record,
        device: torch.device,
        *,
        tile: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Tensor:
        """Degrade one image (1, 3, H, W) on the CPU of any size, in tiles without seams.

        Grain and lattice are drawn for the whole image and cut with it, and JPEG is done on the
        whole image; near seams the network's reach is cut, so that other tiles change a result by a
        few levels. Sides that are no multiple of the scale lose their last pixels.
        """
        s = self.scale
        hq = hq[:, :, : hq.shape[2] // s * s, : hq.shape[3] // s * s]
        omega = self._omegas([record], device)
        seed = int(record["seed"])
        inputs, height, width = self._inputs(hq, [seed])
        ((how, phases),) = self._printed(omega, [seed])

        def synthesise(part: Tensor, y: int, x: int) -> Tensor:
            if how is not None and phases is not None:
                printed = print_images(part[:, :3], [how], [how.moved(phases, x, y)])
                part = torch.cat([printed, part[:, 3:]], 1)
            padded = self._padded(part)
            # Made per tile: 24 maps of a picture of 4000 x 3000 px would take 1.2 GB.
            maps = periodic_maps(self.lattice, [seed], padded.shape[2], padded.shape[3], (x, y))
            made = self._synthesise(padded, omega, maps)
            return made[:, :, : part.shape[2], : part.shape[3]]

        raw = tiled(
            synthesise,
            inputs,
            1,
            tile or default_tile(device),
            OVERLAP,
            device,
            on_progress,
            positions=True,
        )[:, :, :height, :width]
        return compress(raw, self._stages(omega), s, self.aligned)

    @torch.no_grad()
    def _stages(self, omega: Tensor) -> Stages:
        if self.stages is None:
            return jpeg_stages(self.net, omega)
        count = omega.shape[0]
        first, second = (
            stage._replace(
                there=stage.there.expand(count),
                quality=stage.quality.expand(count),
                subsample=stage.subsample.expand(count),
            )
            for stage in self.stages
        )
        return first, second

    def _omegas(self, records: Sequence[Record], device: torch.device) -> Tensor:
        rows = [record["row"] for record in records]
        return torch.from_numpy(self.pool.omegas[rows]).to(device)

    def _printed(
        self, omega: Tensor, seeds: Sequence[int]
    ) -> list[tuple[Print | None, Phases | None]]:
        """Return how each image is printed in dots, and where these lie."""
        codes = omega[:, PRINT].cpu() if self._prints else [None] * len(seeds)
        prints = [None if code is None else read_code(code) for code in codes]
        phases = [
            None if how is None else how.draw_phases(sample_seed(seed, "print"))
            for how, seed in zip(prints, seeds, strict=True)
        ]
        return list(zip(prints, phases, strict=True))

    def _inputs(self, hq: Tensor, seeds: Sequence[int]) -> tuple[Tensor, int, int]:
        """Return HQ and noise as one (B, 6, H', W'), and the sizes to cut back to."""
        height, width = hq.shape[2:]
        hq = self._padded(hq if self.tone is None else self.tone.apply(hq))
        noise = native_noise(seeds, hq.shape[2], hq.shape[3], self.scale, hq.device)
        return torch.cat([hq, noise], 1), height, width

    def _padded(self, x: Tensor) -> Tensor:
        down, right = -x.shape[2] % self._multiple, -x.shape[3] % self._multiple
        return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x

    def _synthesise(self, inputs: Tensor, omega: Tensor, maps: Tensor | None) -> Tensor:
        maps = None if maps is None else maps.to(inputs.device)
        return raw_aligned(
            self.net, inputs[:, :3], omega, inputs[:, 3:], maps, precision=self.precision
        )
