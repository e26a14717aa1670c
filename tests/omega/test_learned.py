"""The learned degrader: the same from tiles, batches and records; its JPEG on its own grid."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from redeg_cli.degrade.resize import to_native
from redeg_cli.nets.lite import PRINT, ReDegNetLite
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool
from redeg_cli.omega.printed import Print, print_images
from redeg_cli.omega.synthesis import JpegStage, Stages, compress, jpeg_stages, native_noise
from redeg_cli.seeds import sample_seed

CPU = torch.device("cpu")


class Copy(nn.Module):
    """A network of the released kind (no noise, no JPEG stages): it darkens by Ω's first number."""

    multiple = 16

    def synthesise(self, hq: Tensor, omega: Tensor) -> Tensor:
        assert hq.shape[2] % 16 == 0
        assert hq.shape[3] % 16 == 0
        return (hq * omega[:, :1, None, None]).clamp(0, 1)


def stages(where: int, quality: float, there: bool = True) -> Stages:
    off = JpegStage(torch.tensor([False]), torch.tensor([90.0]), torch.tensor([False]))
    on = JpegStage(torch.tensor([there]), torch.tensor([quality]), torch.tensor([True]))
    return (on, off) if where == 0 else (off, on)


NO_JPEG = stages(0, 90, False)


def test_drawing_is_pure_and_covers_the_pool(tiny_net: ReDegNetLite, tiny_pool: Pool) -> None:
    degrader = OmegaDegrader(tiny_net, tiny_pool, 2)
    records = [degrader.draw(seed) for seed in range(60)]
    assert records == [degrader.draw(seed) for seed in range(60)]
    assert {record["row"] for record in records} == set(range(5))
    assert len({record["seed"] for record in records}) == 60
    assert all(record["omega"] == f"{record['row']}.png" for record in records)
    assert records[0]["scale"] == 2


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_sizes_and_range(
    tiny_net: ReDegNetLite, tiny_pool: Pool, picture: Tensor, scale: int, aligned: bool
) -> None:
    degrader = OmegaDegrader(tiny_net, tiny_pool, scale, aligned=aligned)
    hq = picture[:, :, :72, :88]
    lq = degrader.apply(torch.cat([hq, hq]), [degrader.draw(0), degrader.draw(1)])
    factor = 1 if aligned else scale
    assert lq.shape == (2, 3, 72 // factor, 88 // factor)
    assert lq.dtype == torch.float32
    assert float(lq.min()) >= 0
    assert float(lq.max()) <= 1
    assert not torch.equal(lq[0], lq[1])


def test_a_batch_gives_what_each_image_gives(
    tiny_net: ReDegNetLite, tiny_pool: Pool, picture: Tensor
) -> None:
    degrader = OmegaDegrader(tiny_net, tiny_pool, 2, stages=NO_JPEG)
    hq = torch.cat([picture, picture.flip(3), picture.flip(2)])
    records = [degrader.draw(seed) for seed in (5, 6, 7)]
    together = degrader.apply(hq, records)
    for image, record, lq in zip(hq, records, together, strict=True):
        alone = degrader.apply(image[None], [record])[0]
        assert (alone - lq).abs().max() < 1e-2  # bfloat16, in another order
        assert (alone - lq).abs().mean() < 1e-4


def test_wrong_batches_are_refused(
    tiny_net: ReDegNetLite, tiny_pool: Pool, picture: Tensor
) -> None:
    degrader = OmegaDegrader(tiny_net, tiny_pool, 2)
    with pytest.raises(ValueError, match="records"):
        degrader.apply(picture, [])
    with pytest.raises(ValueError, match="divisible"):
        degrader.apply(picture[:, :, :95], [degrader.draw(0)])


@pytest.mark.parametrize("lattice", [None, Lattice(((0.21, 0.04), (0.1, 0.3)))])
def test_tiles_leave_no_seam(
    tiny_pool: Pool, picture: Tensor, monkeypatch: pytest.MonkeyPatch, lattice: Lattice | None
) -> None:
    monkeypatch.setattr("redeg_cli.device.cpu_has_bf16", lambda: False)
    torch.manual_seed(0)
    synnet = {"widths": [8, 8], "style": 8, "kernel": 9, "grain_kernel": 5}
    net = ReDegNetLite(
        {"widths": [8]}, {**synnet, "periodic": 4 if lattice is not None else 0}
    ).eval()
    degrader = OmegaDegrader(net, tiny_pool, 1, lattice=lattice, stages=stages(1, 40))
    hq = F.interpolate(picture, size=(150, 203), mode="bilinear")
    record = degrader.draw(3)
    whole = degrader.apply_large(hq, record, CPU, tile=512)
    totals: list[int] = []

    def on_progress(done: int, total: int, text: str = "") -> None:
        del done, text
        totals.append(total)

    cut = degrader.apply_large(hq, record, CPU, tile=128, on_progress=on_progress)
    assert totals[-1] > 1
    assert whole.shape == cut.shape == (1, 3, 150, 203)
    # JPEG rounds differences of 1e-6 up to a whole step here and there.
    difference = (whole - cut).abs()
    assert difference.mean() < 0.2 / 255
    assert (difference > 1 / 255).float().mean() < 0.01


def test_grain_differs_by_seed_and_not_otherwise(
    tiny_net: ReDegNetLite, tiny_pool: Pool, picture: Tensor
) -> None:
    degrader = OmegaDegrader(tiny_net, tiny_pool, 1, stages=NO_JPEG)
    record = degrader.draw(0)
    first = degrader.apply_large(picture, record, CPU)
    assert torch.equal(first, degrader.apply_large(picture, record, CPU))
    other = degrader.apply_large(picture, {**record, "seed": record["seed"] + 1}, CPU)
    assert (first - other).abs().mean() > 1e-3


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_noise_is_white_on_the_native_grid_and_per_image(scale: int) -> None:
    side = 64 * scale
    aligned = native_noise([1, 2], side, side - 4, scale)
    assert aligned.shape == (2, 3, side, side - 4)
    assert torch.equal(aligned[1:], native_noise([2], side, side - 4, scale))
    assert not torch.equal(aligned[0], aligned[1])
    assert float(aligned.abs().max()) > 2.5  # not clamped
    noise = to_native((aligned + 8) / 16, scale) * 16 - 8
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.03
    assert abs(float((noise[..., 1:] * noise[..., :-1]).mean())) < 0.05


def test_noise_of_any_size_is_cut_from_whole_native_pixels() -> None:
    noise = native_noise([5], 30, 45, 4)
    assert torch.equal(noise, native_noise([5], 32, 48, 4)[:, :, :30, :45])


def test_other_sizes_are_padded_and_cut(tiny_pool: Pool, picture: Tensor) -> None:
    """The network may ask for any multiple: what it makes of the padding never shows."""
    pool = replace(tiny_pool, omegas=np.full((5, 512), 0.5, np.float32))
    degrader = OmegaDegrader(Copy(), pool, 2)
    hq = picture[:, :, :91, :77]
    lq = degrader.apply_large(hq, degrader.draw(0), CPU)
    assert lq.shape == (1, 3, 45, 38)
    wanted = 0.5 * F.interpolate(
        hq[:, :, :90, :76], size=(45, 38), mode="bicubic", align_corners=False
    )
    assert (lq - wanted).abs().max() < 1e-2


def pillow_jpeg(image: Tensor, quality: int) -> Tensor:
    pixels = (image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=2)
    buffer.seek(0)
    with Image.open(buffer) as opened:
        decoded = np.asarray(opened.convert("RGB")).astype(np.float32) / 255
    return torch.from_numpy(decoded).permute(2, 0, 1)[None]


def test_jpeg_is_done_on_its_own_grid(picture: Tensor) -> None:
    native = F.interpolate(picture, scale_factor=0.5, mode="bicubic", align_corners=False)
    native = native.clamp(0, 1)
    on_native = compress(picture, stages(1, 20), 2, aligned=False)
    assert (on_native - pillow_jpeg(native, 20)).abs().mean() < 1.5 / 255
    on_hq = compress(picture, stages(0, 20), 1, aligned=True)
    assert (on_hq - pillow_jpeg(picture, 20)).abs().mean() < 1.5 / 255
    # On the HQ grid first, then shrunk: not what a JPEG of the native LQ is.
    shrunk = compress(picture, stages(0, 20), 2, aligned=False)
    assert (shrunk - on_native).abs().mean() > 2 / 255


def test_the_aligned_lq_is_the_native_one_enlarged(picture: Tensor) -> None:
    native = compress(picture, stages(1, 30), 2, aligned=False)
    aligned = compress(picture, stages(1, 30), 2, aligned=True)
    assert aligned.shape == picture.shape
    back = F.interpolate(aligned, scale_factor=0.5, mode="area")
    assert (back - native).abs().mean() < 2 / 255


def head(net: ReDegNetLite, bias: list[float]) -> None:
    with torch.no_grad():
        net.synnet.jpeg.weight.zero_()
        net.synnet.jpeg.bias.copy_(torch.tensor(bias))


@pytest.mark.parametrize(
    ("bias", "expected"),
    [
        ([-1.0, 0.0, 0.0, -2.0, 0.0, 0.0], (False, False)),
        ([2.0, 1.0, 1.0, 1.0, 0.0, -1.0], (True, False)),
        ([2.0, 1.0, 1.0, 3.0, 0.0, -1.0], (False, True)),
    ],
)
def test_only_the_surer_jpeg_stage_stays(
    tiny_net: ReDegNetLite, bias: list[float], expected: tuple[bool, bool]
) -> None:
    head(tiny_net, bias)
    first, second = jpeg_stages(tiny_net, torch.zeros(2, 512))
    assert first.there.tolist() == [expected[0]] * 2
    assert second.there.tolist() == [expected[1]] * 2
    assert first.quality.tolist() == [50 + 25 * bias[1]] * 2
    assert second.subsample.tolist() == [bias[5] > 0] * 2


@pytest.mark.parametrize("make", [lambda net: net, lambda _: Copy()])
def test_stages_can_be_given(
    tiny_net: ReDegNetLite, tiny_pool: Pool, picture: Tensor, make: Callable
) -> None:
    hq = torch.cat([picture, picture])
    plain = OmegaDegrader(make(tiny_net), tiny_pool, 1, stages=NO_JPEG)
    squeezed = OmegaDegrader(make(tiny_net), tiny_pool, 1, stages=stages(1, 10))
    records = [plain.draw(0), plain.draw(1)]
    before, after = plain.apply(hq, records), squeezed.apply(hq, records)
    assert (before - after).abs().mean((1, 2, 3)).min() > 1 / 255


PRINTED = Print(6.0, (15.0, 75.0, 0.0, 45.0), softness=0.4, black=0.8)


@pytest.fixture
def printing(roomy_net: ReDegNetLite, tiny_pool: Pool) -> OmegaDegrader:
    """Of a pool whose first Ω is that of a print, the others of none."""
    omegas = np.zeros_like(tiny_pool.omegas)
    omegas[0, PRINT] = PRINTED.code().numpy()
    return OmegaDegrader(roomy_net, replace(tiny_pool, omegas=omegas), 1, stages=NO_JPEG)


def test_a_print_is_made_before_synnet(
    printing: OmegaDegrader, roomy_net: ReDegNetLite, picture: Tensor
) -> None:
    records = [printing.record(0, 5), printing.record(1, 5), printing.record(0, 6)]
    made = printing.apply(picture.repeat(3, 1, 1, 1), records)
    phases = PRINTED.draw_phases(sample_seed(5, "print"))
    dots = print_images(picture, [PRINTED], [phases])
    by_hand = OmegaDegrader(roomy_net, printing.pool, 1, stages=NO_JPEG)
    wanted = by_hand.apply(dots, [printing.record(1, 5)])
    torch.testing.assert_close(made[:1], wanted, atol=1e-2, rtol=0)  # bfloat16
    assert (made[0] - made[1]).abs().mean() > 0.05
    assert (made[0] - made[2]).abs().mean() > 0.02  # dots lie elsewhere


def test_a_print_of_a_large_picture_has_no_seams(printing: OmegaDegrader, picture: Tensor) -> None:
    record = printing.record(0, 5)
    whole = printing.apply(picture, [record])
    tiled = printing.apply_large(picture, record, CPU, tile=64)
    assert (tiled - whole).abs().mean() < 2e-3
    assert (tiled - whole).abs().max() < 0.1
