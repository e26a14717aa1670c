"""Transfer within a family, by networks whose answers are known."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.degrade.resize import to_native
from redeg_cli.evaluate.family import FamilyFigures, measure_family
from redeg_cli.omega.synthesis import native_noise

SIDE = 64


def crops(seeds: Sequence[int], texture: float = 0.2) -> Tensor:
    """Return smooth pictures (B, 3, 64, 64) with some texture, in 8-bit levels."""
    made = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        coarse = torch.rand((1, 3, 8, 8), generator=generator)
        fine = torch.rand((1, 3, SIDE, SIDE), generator=generator)
        smooth = F.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")
        made.append((1 - texture) * smooth + texture * fine)
    return (torch.cat(made) * 255).round() / 255


class Oracle(nn.Module):
    """Knows the true LQ of every HQ whose pair it has seen."""

    multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[bytes, Tensor] = {}

    def extract(self, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
        del scale
        for image, degraded in zip(hq, lq, strict=True):
            self.known[image.numpy().tobytes()] = degraded
        return torch.zeros(len(hq), 512)

    def synthesise(self, hq: Tensor, omega: Tensor, **options: Any) -> Tensor:
        del omega, options
        return torch.stack([self.known[image.numpy().tobytes()] for image in hq])


class Copier(Oracle):
    """Gives the HQ back."""

    def synthesise(self, hq: Tensor, omega: Tensor, **options: Any) -> Tensor:
        del omega, options
        return hq


class Grainer(nn.Module):
    """Reads strength and colour of white noise off a pair and makes such noise anew."""

    multiple = 1

    def __init__(self, louder: float = 1.0, coloured: bool = False) -> None:
        super().__init__()
        self.louder, self.coloured = louder, coloured
        self.generator = torch.Generator().manual_seed(0)

    def extract(self, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
        del scale
        residual = (lq - hq).flatten(2)
        gray = ((residual[:, 0] * residual[:, 1]).mean(1) / residual.square().mean((1, 2))) > 0.5
        return F.pad(torch.stack([residual.std((1, 2)), gray.float()], 1), (0, 510))

    def synthesise(self, hq: Tensor, omega: Tensor, **options: Any) -> Tensor:
        del options
        field = torch.randn(hq.shape, generator=self.generator)
        if not self.coloured:
            gray = omega[:, 1, None, None, None] > 0.5
            field = torch.where(gray, field[:, :1].expand_as(field), field)
        return (hq + self.louder * omega[:, :1, None, None] * field).clamp(0, 1)


def measure(net: nn.Module, family: str, count: int = 8, seed: int = 7) -> FamilyFigures:
    return measure_family(net, crops, crops, family, 1, count, seed=seed).figures


@pytest.mark.parametrize("family", ["blur", "jpeg", "halftone"])
def test_the_truth_gets_perfect_figures(family: str) -> None:
    sample = measure_family(Oracle(), crops, crops, family, 1, 8, seed=7)
    figures = sample.figures
    assert figures.psnr_right.mean == pytest.approx(60)
    assert figures.gain.mean == pytest.approx(60 - figures.psnr_hq.mean)
    assert figures.psnr_right.n == len(sample.records) == len(sample.hq) == 8
    assert figures.detail_ratio == pytest.approx(1)
    assert figures.energy_db.mean == pytest.approx(0, abs=1e-9)
    assert figures.spectrum_db == pytest.approx([0] * 8, abs=1e-9)
    assert figures.spectral_distance.mean == pytest.approx(0, abs=1e-9)
    assert torch.equal(sample.made, sample.true)
    assert figures.grain is None


def test_the_hq_itself_gets_the_baseline() -> None:
    figures = measure(Copier(), "blur")
    for psnr in (figures.psnr_right, figures.psnr_wrong):
        assert psnr == figures.psnr_hq
    assert (figures.gain.mean, figures.gain.low, figures.gain.high) == (0, 0, 0)
    assert figures.energy_db == figures.energy_hq_db
    assert figures.energy_db.mean > 3  # blur took high frequencies away
    assert figures.spectrum_db[-1] > 3
    noisy = measure(Copier(), "noise")
    assert noisy.energy_db.mean < -1  # and noise added some
    assert noisy.grain is not None
    assert noisy.grain.energy_db.mean < -30
    assert noisy.grain.correlation_error.n == 0  # no grain, no correlation


def test_grain_of_the_right_strength_and_colour() -> None:
    grain = measure(Grainer(), "noise", 16).grain
    assert grain is not None
    assert grain.energy_db.mean == pytest.approx(0, abs=0.4)  # Poisson noise varies with tone
    assert max(map(abs, grain.spectrum_db)) < 1
    assert grain.correlation_error.mean < 0.03
    assert grain.correlation_true == pytest.approx(grain.correlation_made, abs=0.03)


def test_grain_of_another_strength_or_colour_is_seen() -> None:
    louder = measure(Grainer(louder=2), "noise", 16).grain
    coloured = measure(Grainer(coloured=True), "noise", 16).grain
    assert louder is not None
    assert coloured is not None
    assert louder.energy_db.mean == pytest.approx(6, abs=0.7)
    assert coloured.correlation_made == pytest.approx([0] * 3, abs=0.02)
    # Gray noise was drawn for about 40 % of the images.
    assert coloured.correlation_error.mean == pytest.approx(
        sum(coloured.correlation_true) / 3, abs=0.03
    )
    assert 0.2 < coloured.correlation_error.mean < 0.7


class HalfSizeGrainer(Grainer):
    """The same of pairs at scale 2: white on the native grid, or as strong on the HQ's."""

    def __init__(self, native: bool) -> None:
        super().__init__(coloured=True)
        self.native = native

    def extract(self, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
        return super().extract(to_native(hq, scale), to_native(lq, scale), scale)

    def synthesise(self, hq: Tensor, omega: Tensor, **options: Any) -> Tensor:
        del options
        seeds = torch.randint(1 << 30, (len(hq),), generator=self.generator).tolist()
        fields = [native_noise(seeds, SIDE, SIDE, scale) for scale in (2, 1)]
        field = fields[0] if self.native else fields[1] * fields[0].std()
        return (hq + omega[:, :1, None, None] * field).clamp(0, 1)


def test_grain_is_measured_where_the_lq_has_it() -> None:
    smooth = partial(crops, texture=0)
    native, finer = (
        measure_family(
            HalfSizeGrainer(native), smooth, smooth, "noise", 2, 16, seed=7
        ).figures.grain
        for native in (True, False)
    )
    assert native is not None
    assert finer is not None
    assert native.energy_db.mean == pytest.approx(0, abs=1)
    assert max(map(abs, native.spectrum_db)) < 3
    assert finer.energy_db.mean < native.energy_db.mean - 0.5
    # Much of it stands above the native grid's frequencies.
    assert finer.spectrum_db[0] < native.spectrum_db[0] - 2


def test_seeds_repeat_bit_for_bit() -> None:
    first = measure(Grainer(), "mixed", 4)
    assert measure(Grainer(), "mixed", 4) == first
    assert measure(Grainer(), "mixed", 4, seed=8).psnr_hq != first.psnr_hq
