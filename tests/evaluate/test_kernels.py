"""Kernels: their facts by closed forms, effective kernels by real impulses, wrong files."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from redeg_cli.degrade.kernels import gaussian_kernels
from redeg_cli.degrade.steps import run_steps
from redeg_cli.errors import InputError, RecipeError
from redeg_cli.evaluate.kernel_sheet import draws_sheet, paint_kernel, set_sheet
from redeg_cli.evaluate.kernels import (
    KernelSet,
    describe_kernel,
    draw_kernels,
    effective_kernel,
    kernel_at,
    kernels_of,
    read_kernels,
)


def gaussian(along: float, across: float, degrees: float, size: int = 41) -> torch.Tensor:
    values = (torch.tensor([v]) for v in (along, across, math.radians(degrees)))
    return gaussian_kernels(*values, size)[0]


def test_facts_of_a_gaussian() -> None:
    facts = describe_kernel(gaussian(4.0, 1.5, 30))
    assert facts.total == pytest.approx(1, abs=1e-5)
    assert facts.centre == pytest.approx((0, 0), abs=1e-5)
    assert facts.widths == pytest.approx((4.0, 1.5), abs=1e-2)
    assert facts.angle == pytest.approx(30, abs=0.1)


def test_facts_of_a_point_a_sum_and_a_kernel_without_one() -> None:
    point = torch.zeros(5, 5)
    point[1, 4] = 2.0
    facts = describe_kernel(point)
    assert facts.total == 2
    assert facts.centre == (2, -1)  # (x, y)
    assert facts.widths == (0, 0)
    edge = torch.tensor([[-1.0, 0, 1.0]])
    assert describe_kernel(edge).widths is None
    ringing = torch.tensor([[-1.0, 3.0, -1.0]])
    assert describe_kernel(ringing).widths is None


def test_the_effective_kernel_of_a_blur_is_its_kernel() -> None:
    steps = [{"op": "blur", "size": 15, "sigma": 2.0, "sigma_y": 1.0, "theta": 0.5}]
    wanted = gaussian(2.0, 1.0, math.degrees(0.5), 15)
    found = effective_kernel(steps, 1)
    middle, reach = 7, found.shape[0] // 2
    part = slice(middle - reach, middle + reach + 1)
    torch.testing.assert_close(found, wanted[part, part], atol=1e-6, rtol=0)


def test_the_effective_kernel_is_the_answer_to_impulses() -> None:
    """What one LQ pixel takes of an HQ pixel is what an impulse there adds to it."""
    scale = 2
    steps = [
        {"op": "blur", "size": 7, "sigma": 1.2, "sigma_y": 0.6, "theta": 0.9},
        {"op": "resize", "factor": 0.7, "filter": "bicubic"},
        {"op": "resize", "of": "native", "filter": "bilinear"},
    ]
    found = effective_kernel(steps, scale)
    reach = found.shape[0] // 2
    side, row = 256, 64
    middle = 2 * row  # at or just below the centre 2 row + 0.5 of the LQ pixel
    gray = torch.full((1, 3, side, side), 0.5)
    for down, across in ((0, 0), (1, -2), (-3, 1), (2, 2)):
        hit = gray.clone()
        hit[..., middle + down, middle + across] += 0.4
        change = run_steps(hit, steps, scale) - run_steps(gray, steps, scale)
        assert float(found[reach + down, reach + across]) == pytest.approx(
            float(change[0, 0, row, row]) / 0.4, abs=2e-5
        )
    assert float(found.sum()) == pytest.approx(1, abs=1e-2)


def test_draws_say_what_they_are_and_repeat() -> None:
    draws = draw_kernels("bsrgan", 2, 3)
    assert len(draws) == 3
    for draw in draws:
        assert draw.ops.count("blur") == len(draw.kernels) >= 2
        assert all(shown.label.startswith("gaussian ") for shown in draw.kernels)
        assert draw.effective is not None
        assert set(draw.left_out) == {"noise", "jpeg"}
        assert float(draw.effective.sum()) == pytest.approx(1, abs=0.02)
    again = draw_kernels("bsrgan", 2, 3)
    assert [d.ops for d in again] == [d.ops for d in draws]
    assert torch.equal(again[2].kernels[0].values, draws[2].kernels[0].values)
    other = draw_kernels("bsrgan", 2, 3, seed=1)
    assert [d.kernels[0].label for d in other] != [d.kernels[0].label for d in draws]
    with pytest.raises(RecipeError, match=r"no degrader 'bsrgn' \(did you mean 'bsrgan'\?\)"):
        draw_kernels("bsrgn", 2, 1)


def test_a_chain_that_is_no_filter_has_no_effective_kernel() -> None:
    sinc = {"op": "blur", "family": "sinc", "size": 13, "cutoff": math.pi / 2}
    draw = kernels_of([{"op": "halftone", "pitch": 4, "angles": [45]}, sinc], 1)
    assert draw.effective is None
    assert draw.left_out == ("halftone",)
    assert draw.kernels[0].label == "sinc 13 px, cut-off 0.50 pi"
    plateau = {"op": "blur", "family": "plateau", "sigma": 2, "sigma_y": 1, "theta": 4, "beta": 1.5}
    label = kernels_of([plateau], 1).kernels[0].label
    assert label == "plateau 21 px, width 2.00 x 1.00, 49°, beta 1.50"


@pytest.fixture
def basis() -> KernelSet:
    kernels = torch.stack([gaussian(1, 1, 0, 9), gaussian(2, 1, 0, 9)])
    weights = torch.zeros(2, 4, 6)
    weights[0], weights[1, 2, 5] = 0.25, 0.75
    return KernelSet(kernels, weights)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_files_are_read_and_combined(tmp_path: Path, basis: KernelSet, suffix: str) -> None:
    path = tmp_path / f"basis{suffix}"
    assert basis.weights is not None
    if suffix == ".npz":
        np.savez(path, kernels=basis.kernels.numpy(), weights=basis.weights.numpy(), more=[1])
    else:
        save_file({"kernels": basis.kernels, "weights": basis.weights}, path)
    found = read_kernels(path)
    torch.testing.assert_close(found.kernels, basis.kernels)
    wanted = 0.25 * basis.kernels[0] + 0.75 * basis.kernels[1]
    torch.testing.assert_close(kernel_at(found, 5, 2), wanted)
    torch.testing.assert_close(kernel_at(found, 0, 0), 0.25 * basis.kernels[0])
    with pytest.raises(InputError, match="pixel 6,0 is outside of the weights, which are 6x4"):
        kernel_at(found, 6, 0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"kernel": np.ones((2, 3, 3))}, "wanted kernels"),
        ({"kernels": np.ones((3, 3))}, r"kernels are \(3, 3\), wanted \(M, k, k\)"),
        (
            {"kernels": np.ones((2, 3, 3)), "weights": np.ones((3, 4, 4))},
            r"weights are \(3, 4, 4\), wanted \(2, H, W\)",
        ),
        ({"kernels": np.full((1, 3, 3), np.nan)}, "kernels hold NaN"),
        ({"kernels": np.array([["a"]])}, "cannot be read as .npz"),
        ({"kernels": np.full((1, 3, 3), 1j)}, "cannot be read as .npz"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        read_kernels(tmp_path / "a.npz")


def test_no_file_and_no_npz(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_kernels(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(InputError, match=r"text.npz cannot be read as .npz"):
        read_kernels(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.ones(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(InputError, match=r"one.npz cannot be read as .npz: not an .npz file"):
        read_kernels(tmp_path / "one.npz")
    noise = np.random.default_rng(0).random((9, 9, 9))
    np.savez_compressed(tmp_path / "changed.npz", kernels=noise)
    whole = (tmp_path / "changed.npz").read_bytes()
    (tmp_path / "changed.npz").write_bytes(whole[:100] + bytes(20) + whole[120:])
    with pytest.raises(InputError, match=r"changed.npz cannot be read as .npz: Error -3"):
        read_kernels(tmp_path / "changed.npz")


def test_colours_of_a_kernel() -> None:
    painted = paint_kernel(torch.tensor([[0.0, 1.0, -1.0], [0.5, 0.0, 0.0]]))
    np.testing.assert_allclose(painted[0, 0], 1)
    assert painted[0, 1].argmax() == 2  # blue
    assert painted[0, 2].argmax() == 0  # red
    assert painted[0, 1].sum() < painted[1, 0].sum() < 3


def test_sheets_show_every_kernel(basis: KernelSet) -> None:
    draws = draw_kernels("bsrgan", 2, 2)
    sheet = draws_sheet(draws)
    assert sheet.ndim == 3
    zoomed = paint_kernel(draws[0].kernels[0].values)
    zoom = 256 // len(zoomed)
    rows = slice(44 + zoom, 44 + zoom * (len(zoomed) - 1), zoom)
    columns = slice(14 + zoom, 14 + zoom * (len(zoomed) - 1), zoom)
    np.testing.assert_allclose(sheet[rows, columns], zoomed[1:-1, 1:-1], atol=3e-3)
    plain = set_sheet(KernelSet(basis.kernels, None))
    whole = set_sheet(basis, at=(5, 2), picture=np.full((300, 500, 3), 0.5, np.float32))
    assert whole.shape[0] > 2 * plain.shape[0]
    assert ((whole == np.float32([1, 0, 0])).all(2)).any()  # the mark of the pixel
