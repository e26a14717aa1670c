"""Pairs -> Ω: sizes, pieces, crops."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from redeg_cli.degrade.steps import StepTable, run_steps
from redeg_cli.errors import InputError, PairError
from redeg_cli.io.images import to_tensor, write_rgb
from redeg_cli.io.pairs import ImagePair
from redeg_cli.nets.lite import PRINT, ReDegNetLite
from redeg_cli.omega import extract
from redeg_cli.omega.extract import AlignedPair
from redeg_cli.omega.printed import read_code

CPU = torch.device("cpu")


class Recorder:
    """A degradation network that remembers what it saw; Ω is the mean colour, repeated."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor, int]] = []

    def extract(self, hq: Tensor, lq: Tensor, scale: int = 1) -> Tensor:
        self.seen.append((hq, lq, scale))
        return lq.mean((1, 2, 3), keepdim=False)[:, None].expand(-1, 512)

    def synthesise(self, hq: Tensor, omega: Tensor, **_options: object) -> Tensor:
        return hq + 0 * omega.sum()


def test_a_native_lq_is_enlarged_onto_the_hq(picture: Tensor) -> None:
    lq = F.interpolate(picture, scale_factor=0.5, mode="area")
    pair = extract.align_pair(lq, picture, None)
    assert pair.scale == 2
    for plane, enlarged in zip(lq[0], pair.lq[0], strict=True):
        wanted = Image.fromarray(plane.numpy()).resize((128, 96), Image.Resampling.BICUBIC)
        assert np.abs(enlarged.numpy() - np.asarray(wanted).clip(0, 1)).max() < 1e-5
    cropped = extract.align_pair(lq, picture[..., :95, :127], None)
    assert cropped.lq.shape == cropped.hq.shape == (1, 3, 95, 127)
    assert torch.allclose(cropped.lq, pair.lq[..., :95, :127])


def test_an_aligned_lq_is_taken_as_it_is(picture: Tensor) -> None:
    assert extract.align_pair(picture, picture, None).scale == 4
    pair = extract.align_pair(picture * 0.5, picture, 2)
    assert pair.scale == 2
    assert torch.equal(pair.lq, picture * 0.5)


@pytest.mark.parametrize(
    ("lq", "hq", "scale", "message"),
    [
        ((96, 128), (48, 64), None, "swapped"),
        ((20, 20), (50, 50), None, "2.5"),
        ((48, 64), (96, 128), 4, "scale 2"),
        ((31, 64), (31, 64), None, "at least 32"),
    ],
)
def test_what_is_no_pair(
    lq: tuple[int, int], hq: tuple[int, int], scale: int | None, message: str
) -> None:
    with pytest.raises(PairError, match=message):
        extract.align_pair(torch.zeros(1, 3, *lq), torch.zeros(1, 3, *hq), scale)


def test_messages_name_the_files(tmp_path: Path) -> None:
    write_rgb(tmp_path / "l.png", np.zeros((40, 40, 3)))
    write_rgb(tmp_path / "h.png", np.zeros((40, 60, 3)))
    with pytest.raises(PairError, match=r"l\.png and .*h\.png: "):
        extract.single(tmp_path / "l.png", tmp_path / "h.png", None)
    with pytest.raises(InputError, match=r"none\.png"):
        extract.single(tmp_path / "none.png", tmp_path / "h.png", None)


def test_a_small_pair_is_one_piece(tiny_net: ReDegNetLite, picture: Tensor) -> None:
    pair = AlignedPair(picture, picture * 0.8, 2)
    with torch.no_grad():
        wanted = tiny_net.extract(pair.hq, pair.lq, 2)
    omega = extract.extract_omega(tiny_net, pair, CPU)
    assert omega.shape == (1, 512)
    assert torch.allclose(omega, wanted, atol=1e-6)


def test_a_large_pair_is_the_mean_of_its_pieces_by_area(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "LARGEST", 64)
    lq = torch.rand(1, 3, 64, 112, generator=torch.Generator().manual_seed(0))
    net = Recorder()
    omega = extract.extract_omega(net, AlignedPair(lq, lq, 2), CPU)
    assert [tuple(hq.shape[2:]) for hq, _, _ in net.seen] == [(64, 64), (64, 48)]
    # The mean of means weighted by area is the mean: only without a lost or doubled pixel.
    assert float(omega[0, 0]) == pytest.approx(float(lq.mean()), abs=1e-6)


def test_a_strip_too_narrow_to_say_anything_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "LARGEST", 64)
    hq = torch.rand(1, 3, 64, 95, generator=torch.Generator().manual_seed(0))
    net = Recorder()
    extract.extract_omega(net, AlignedPair(hq, hq, 2), CPU)
    assert [tuple(hq.shape[2:]) for hq, _, _ in net.seen] == [(64, 64)]


def test_crops_are_the_same_again_and_differ_by_seed(
    tiny_net: ReDegNetLite, picture: Tensor
) -> None:
    pair = AlignedPair(picture, picture * 0.7, 1)
    first, notes = extract.extract_many(tiny_net, pair, 6, 3, CPU)
    again, _ = extract.extract_many(tiny_net, pair, 6, 3, CPU)
    other, _ = extract.extract_many(tiny_net, pair, 6, 4, CPU)
    assert first.shape == (6, 512)
    assert len(notes) == 6
    assert notes[0] == "whole"
    assert np.array_equal(first, again)
    assert np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1:], other[1:])
    more, _ = extract.extract_many(tiny_net, pair, 9, 3, CPU)
    np.testing.assert_allclose(more[:6], first, atol=1e-5)


@pytest.mark.parametrize(("scale", "size"), [(1, 128), (2, 128), (3, 288), (4, 128)])
def test_crops_start_on_jpeg_blocks_and_stay_registered(scale: int, size: int) -> None:
    """In a picture of its own coordinates every crop can be looked up; a turned one has whole
    blocks too."""
    height, width, block = size, size + 32, 8 * scale
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = np.stack([x / width, y / height, np.zeros_like(x)], -1)
    image = to_tensor(planes)
    net = Recorder()
    _, notes = extract.extract_many(net, AlignedPair(image, image.clone(), scale), 24, 0, CPU)
    (_, _, _), (hq, lq, seen_scale) = net.seen
    assert seen_scale == scale
    assert torch.equal(hq, lq)
    assert hq.shape[2] % block == 0
    plain = 0
    for crop, note in zip(hq, notes[1:], strict=True):
        left, top = (int(v) for v in note.split()[2].split(","))
        assert left % block == 0
        assert top % block == 0
        turns = int(note.split("turned ")[1].split("°")[0]) // 90
        upright = torch.rot90(crop, -turns, (1, 2))
        if "resampled" not in note:
            plain += 1
            side = crop.shape[1]
            assert torch.equal(upright, image[0, :, top : top + side, left : left + side])
    assert 4 < plain < 20


@pytest.mark.parametrize("size", [(96, 96), (96, 112), (128, 128)])
def test_no_two_crops_are_the_same(size: tuple[int, int]) -> None:
    """A square of one crop's size, too, gives other Ωs than that of the whole."""
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    net = Recorder()
    _, notes = extract.extract_many(net, AlignedPair(image, image, 2), 16, 0, CPU)
    assert len(set(notes)) == 16
    if size == (96, 96):
        assert all(int(note.split(" of ")[1].split(" px")[0]) < 96 for note in notes[1:])


def test_resampled_crops_are_what_opencv_makes_of_them(picture: Tensor) -> None:
    net = Recorder()
    _, notes = extract.extract_many(net, AlignedPair(picture, picture, 1), 24, 1, CPU)
    enlarged = [
        (crop, note)
        for crop, note in zip(net.seen[1][0], notes[1:], strict=True)
        if "resampled 1." in note and "turned 0°" in note
    ]
    assert enlarged
    for crop, note in enlarged:
        left, top = (int(v) for v in note.split()[2].split(","))
        need = int(note.split(" of ")[1].split(" px")[0])
        part = picture[0, :, top : top + need, left : left + need].permute(1, 2, 0).numpy()
        wanted = cv2.resize(part, (96, 96), interpolation=cv2.INTER_LINEAR)
        assert np.abs(crop.permute(1, 2, 0).numpy() - wanted).mean() < 0.01


def test_a_pair_smaller_than_a_block_gives_the_whole_only(tiny_net: ReDegNetLite) -> None:
    image = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    omegas, notes = extract.extract_many(tiny_net, AlignedPair(image, image, 4), 1, 0, CPU)
    assert (len(omegas), notes) == (1, ["whole"])


def test_build_depends_on_the_name_of_the_pair(
    tiny_net: ReDegNetLite, picture: Tensor, tmp_path: Path
) -> None:
    rgb = picture[0].permute(1, 2, 0).numpy()
    write_rgb(tmp_path / "hq.png", rgb)
    write_rgb(tmp_path / "lq.png", rgb[::2, ::2])
    files = (tmp_path / "lq.png", tmp_path / "hq.png")
    a, notes, pair = extract.build_omegas(tiny_net, ImagePair(*files, "a"), None, 4, 0, CPU)
    b, _, _ = extract.build_omegas(tiny_net, ImagePair(*files, "b"), None, 4, 0, CPU)
    assert pair.scale == 2
    assert len(notes) == 4
    assert np.array_equal(a[0], b[0])
    assert not np.array_equal(a[1:], b[1:])


def dotted(picture: Tensor) -> Tensor:
    steps: list[StepTable] = [
        {"op": "halftone", "pitch": 5.0, "angles": [20.0], "seed": 2},
        {"op": "blur", "sigma": 0.7},
    ]
    return run_steps(picture, steps, 1)


def test_a_print_is_the_end_of_omega(roomy_net: ReDegNetLite, picture: Tensor) -> None:
    printed, plain = AlignedPair(picture, dotted(picture), 1), AlignedPair(picture, picture, 1)
    how = read_code(extract.extract_omega(roomy_net, printed, CPU)[0, PRINT])
    assert how is not None
    assert how.pitch == pytest.approx(5.0, rel=5e-3)
    assert how.angles == pytest.approx([20.0], abs=0.5)
    assert read_code(extract.extract_omega(roomy_net, plain, CPU)[0, PRINT]) is None
    batch = extract.extract_batch(
        roomy_net, torch.cat([picture, picture]), torch.cat([printed.lq, plain.lq]), 1
    )
    assert [read_code(omega[PRINT]) is not None for omega in batch] == [True, False]


def test_degnet_sees_the_printed_hq(
    roomy_net: ReDegNetLite, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    own = roomy_net.extract

    def spy(hq: Tensor, lq: Tensor, scale: int) -> Tensor:
        seen.append(hq)
        return own(hq, lq, scale)

    monkeypatch.setattr(roomy_net, "extract", spy)
    lq = dotted(picture)
    extract.extract_omega(roomy_net, AlignedPair(picture, lq, 1), CPU)
    scanned = [run_steps(hq, [{"op": "blur", "sigma": 0.7}], 1) for hq in (seen[0], picture)]
    missed = [float((each - lq).abs().mean()) for each in scanned]
    assert missed[0] < 0.3 * missed[1]


def test_resampled_crops_have_their_dots_further_apart(
    roomy_net: ReDegNetLite, picture: Tensor
) -> None:
    pair = AlignedPair(picture, dotted(picture), 1)
    omegas, notes = extract.extract_many(roomy_net, pair, 12, 3, CPU)
    for omega, note in zip(omegas, notes, strict=True):
        how = read_code(torch.from_numpy(omega[PRINT]))
        assert how is not None
        factor = float(note.split("resampled ")[1]) if "resampled" in note else 1.0
        assert how.pitch == pytest.approx(5.0 * factor, rel=0.01)
    assert len({note.split("resampled ")[-1] for note in notes}) > 3


def test_without_room_in_omega_no_print_is_looked_for(
    tiny_net: ReDegNetLite, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "find_common_lattice", lambda *_: pytest.fail("looked for"))
    assert not tiny_net.has_room
    pair = AlignedPair(picture, dotted(picture), 1)
    omega = extract.extract_omega(tiny_net, pair, CPU)
    with torch.no_grad():
        torch.testing.assert_close(omega, tiny_net.extract(pair.hq, pair.lq, 1))
