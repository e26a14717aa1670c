"""``redeg build-kernels``, ``build-noise`` and ``redeg pool`` of what they make."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from degraded import save_pool, save_redegnet
from estimated import gaussians, kernel_pool, noise_pool, save_pools
from PIL import Image

from redeg_cli.degrade.kernel_pool import KernelPool, load_kernel_pool
from redeg_cli.degrade.noise_pool import load_noise_pool
from redeg_cli.io.images import read_rgb, write_rgb


@pytest.fixture
def lr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """lr/ with a PNG, a JPEG of quality 60, an image that is too small and one that is none."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    photo = cv2.resize(skimage.data.astronaut(), (160, 160), interpolation=cv2.INTER_AREA) / 255
    photo[:80, :96] = 0.5
    noisy = (photo + 6 / 255 * rng.standard_normal(photo.shape)).clip(0, 1)
    folder = tmp_path / "lr"
    write_rgb(folder / "a.png", noisy)
    Image.fromarray(np.uint8(noisy * 255)).save(folder / "b.jpg", quality=60)
    write_rgb(folder / "small.png", noisy[:24, :24])
    (folder / "text.png").write_text("no picture")
    return folder


def test_kernels_are_estimated_and_bad_images_named(redeg: Callable, lr: Path) -> None:
    arguments = ("build-kernels", lr, "-o", "k.npz", "--steps", 10, "--device", "cpu")
    result = redeg(*arguments, "--batch", 1)
    assert result.exit_code == 1
    assert result.stdout == "k.npz\n"
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "small.png is 24x24 pixels: at least 64x64 are needed" in result.stderr
    assert "2 of 4 failed" in result.stderr
    pool = load_kernel_pool(Path("k.npz"))
    assert pool.names == ("a.png", "b.jpg")
    assert pool.scale == 2
    assert pool.settings["steps"] == 10
    again = redeg(*arguments, "--batch", 1)
    assert "--overwrite" in again.stderr
    told = redeg(*arguments, "--overwrite", "--json", "-n", 1)
    assert json.loads(told.stdout)["kernels"] == 1


def test_an_image_without_detail_has_no_kernel(redeg: Callable, tmp_path: Path) -> None:
    write_rgb(tmp_path / "flat.png", np.full((80, 80, 3), 0.4))
    result = redeg("build-kernels", tmp_path / "flat.png", "-o", tmp_path / "k.npz", "--steps", 10)
    assert result.exit_code == 1
    assert "flat.png is flat" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "k.npz").exists()


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("the GPU is gone"), 1, "error: unexpected RuntimeError: the GPU is gone"),
    ],
)
def test_a_stop_keeps_what_there_is(
    redeg: Callable,
    lr: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    told: str,
) -> None:
    def estimate(images: list, names: list, *_: object) -> np.ndarray:
        if "b.jpg" in names:
            raise error
        return gaussians(*[(1.2, 0.9)] * len(images))

    monkeypatch.setattr("redeg_cli.train.kernelgan.estimate_kernels", estimate)
    (lr / "0.png").write_bytes(b"no picture")
    result = redeg("build-kernels", lr, "-o", "k.npz", "--batch", 1, "--device", "cpu")
    assert result.exit_code == code
    assert "the 1 kernels estimated so far are in k.npz" in result.stderr
    assert "0.png" in result.stderr
    assert told in result.stderr
    assert load_kernel_pool(Path("k.npz")).names == ("a.png",)


def test_a_fault_is_told_when_what_there_is_cannot_be_kept_either(
    redeg: Callable, lr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def estimate(images: list, names: list, *_: object) -> np.ndarray:
        if "b.jpg" in names:
            Path("k.npz").mkdir()
            raise RuntimeError("the GPU is gone")
        return gaussians(*[(1.2, 0.9)] * len(images))

    monkeypatch.setattr("redeg_cli.train.kernelgan.estimate_kernels", estimate)
    result = redeg("build-kernels", lr, "-o", "k.npz", "--batch", 1, "--device", "cpu")
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first == "error: k.npz is a folder, not a file: give a file name"
    assert second.startswith("error: unexpected RuntimeError: the GPU is gone")


def test_a_kernel_that_went_astray_is_named_and_the_others_stay(
    redeg: Callable, lr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def estimate(images: list, names: list, *_: object) -> np.ndarray:
        made = gaussians(*[(1.2, 0.9)] * len(images))
        made[names.index("b.jpg")] = np.nan
        return made

    monkeypatch.setattr("redeg_cli.train.kernelgan.estimate_kernels", estimate)
    result = redeg("build-kernels", lr, "-o", "k.npz", "--device", "cpu")
    assert result.exit_code == 1
    assert "the kernel of b.jpg did not settle" in result.stderr
    assert load_kernel_pool(Path("k.npz")).names == ("a.png",)


def test_noise_is_found_and_what_was_left_out_is_said(redeg: Callable, lr: Path) -> None:
    result = redeg("build-noise", lr, "-o", "n.npz", "--variance", 0.5)
    assert result.exit_code == 1
    assert result.stdout == "n.npz\n"
    assert "small.png is 24x24 pixels: at least 32x32 are needed" in result.stderr
    assert "with parts of different means (eq. 4)" in result.stderr
    pool = load_noise_pool(Path("n.npz"))
    assert "a.png" in pool.names
    patches = pool.patches[[name == "a.png" for name in pool.names]].astype(np.float32)
    deviation = 255 * float(patches.std())
    assert deviation == pytest.approx(6, rel=0.1)
    traits = {source.name: source.jpeg for source in pool.sources}
    assert (traits["a.png"].quality, traits["a.png"].how) == (None, "none")
    assert (traits["b.jpg"].quality, traits["b.jpg"].how) == (60, "tables")


def test_a_folder_without_a_smooth_patch_is_told_by_rule(redeg: Callable, tmp_path: Path) -> None:
    write_rgb(tmp_path / "lr" / "flat.png", np.full((64, 64, 3), 0.4))
    result = redeg("build-noise", tmp_path / "lr", "-o", tmp_path / "n.npz")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "no smooth patch with noise in 1 images" in result.stderr
    assert "289 with a variance below φ (eq. 6)" in result.stderr
    assert not (tmp_path / "n.npz").exists()
    (tmp_path / "lr" / "bad.png").write_bytes(b"no picture")
    result = redeg("build-noise", tmp_path / "lr", "-o", tmp_path / "n.npz")
    first, second = result.stderr.splitlines()
    assert "bad.png" in first
    assert "no smooth patch with noise in 1 images" in second


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("build-noise", "lr", "-o", "n.npz", "--part", 7), "cannot be cut into parts of 7"),
        (("build-noise", "none", "-o", "n.npz"), "none does not exist"),
        (("build-kernels", "none", "-o", "k.npz"), "none does not exist"),
        (("build-kernels", "lr", "-o", "lr"), "is a folder"),
    ],
)
def test_a_mistake_is_told(redeg: Callable, lr: Path, arguments: tuple, words: str) -> None:
    del lr
    result = redeg(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr


def test_info_says_which_kind_of_pool_it_is(redeg: Callable, tmp_path: Path) -> None:
    kernels, noise = save_pools(tmp_path)
    omegas = save_pool(tmp_path / "o.npz", save_redegnet(tmp_path / "tiny.safetensors"))
    lines = redeg("pool", "info", kernels, noise, omegas).stdout.splitlines()
    assert lines[0].startswith(f"{kernels}: 3 kernels, scale 2, width 1.3")
    assert lines[1].startswith(f"{noise}: 4 patches of noise, 16x16 px, of 2 of 2 images")
    assert "JPEG quality 40 (median) in 1" in lines[1]
    assert lines[2].startswith(f"{omegas}: 4 Ωs")
    told = json.loads(redeg("pool", "info", kernels, noise, "--json").stdout)
    assert [each["kind"] for each in told] == ["kernels", "noise"]
    assert told[0]["digest"] == kernel_pool().digest
    assert told[1]["deviation"]["all"] == pytest.approx(4, rel=0.1)
    assert told[1]["jpeg"]["from"] == {"tables": 1, "none": 1}


def test_kernels_that_have_no_width_are_told_of(redeg: Callable, tmp_path: Path) -> None:
    values = np.zeros((1, 5, 5), np.float32)
    values[0, 2, 2], values[0, 0, 0], values[0, 4, 4] = 3, -1, -1
    KernelPool(values, ("a.png",), 2).save(tmp_path / "k.npz")
    told = redeg("pool", "info", tmp_path / "k.npz")
    assert "1 kernels, scale 2, without widths" in told.stdout
    (summary,) = json.loads(redeg("pool", "info", tmp_path / "k.npz", "--json").stdout)
    assert summary["widths"] is None


def test_merge(redeg: Callable, tmp_path: Path) -> None:
    kernels, noise = save_pools(tmp_path)
    kernel_pool(5).save(tmp_path / "more.npz")
    for given, output, count in (
        ((kernels, tmp_path / "more.npz"), "all.npz", 5),
        ((noise, noise), "twice.npz", 4),
    ):
        result = redeg("pool", "merge", *given, "-o", tmp_path / output)
        assert result.stdout == f"{tmp_path / output}\n"
        (told,) = json.loads(redeg("pool", "info", tmp_path / output, "--json").stdout)
        assert told.get("kernels", told.get("patches")) == count
    kernel_pool(1, scale=4).save(tmp_path / "four.npz")
    for wrong, words in (
        ((kernels, noise), "holds noise and"),
        ((kernels, tmp_path / "four.npz"), "of scale 4 and"),
    ):
        result = redeg("pool", "merge", *wrong, "-o", tmp_path / "no.npz")
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "no.npz").exists()


def test_plots_are_sheets(redeg: Callable, tmp_path: Path) -> None:
    kernels, noise = save_pools(tmp_path)
    sheets = []
    for pool in (kernels, noise):
        result = redeg("pool", "plot", pool, "-o", tmp_path / f"{pool.stem}.png")
        assert result.stdout == f"{tmp_path / pool.stem}.png\n"
        sheets.append(read_rgb(tmp_path / f"{pool.stem}.png"))
    assert min(sheet.std() for sheet in sheets) > 0.02
    wrong = redeg("pool", "plot", noise, "-o", tmp_path / "page.html")
    assert "is a picture, use .png" in wrong.stderr
    assert redeg("pool", "plot", noise, "-o", "a.png", "--colour-by", "scale").exit_code == 2
    assert redeg("pool", "plot", noise, "-o", "a.png", "--title", "x").exit_code == 2
    assert redeg("evaluate", "kernels", kernels, "-o", tmp_path / "again.png").exit_code == 0


def test_a_sheet_of_one_patch_can_be_drawn(redeg: Callable, tmp_path: Path) -> None:
    noise_pool(1).save(tmp_path / "one.npz")
    assert redeg("pool", "plot", tmp_path / "one.npz", "-o", tmp_path / "a.png").exit_code == 0
