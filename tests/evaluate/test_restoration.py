"""Methods on a data set: a row for each image, whatever is wrong with the others."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from redeg_cli.errors import InputError, MetricError, RedegError
from redeg_cli.evaluate.batches import Batches
from redeg_cli.evaluate.batches import measure as measure_batch
from redeg_cli.evaluate.dataset import Sample, pair_folders
from redeg_cli.evaluate.methods import (
    Method,
    bicubic_method,
    dataset_scale,
    folder_method,
    restorer_method,
)
from redeg_cli.evaluate.metrics import View
from redeg_cli.evaluate.restoration import Evaluation, evaluate
from redeg_cli.io.images import read_rgb, to_array, write_rgb

CPU = torch.device("cpu")


def draw(path: Path, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    """Write a smooth random picture with a little grain; return its pixels as they are read."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0.2, 0.8, (4, 5, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    write_rgb(path, picture + rng.normal(0, 0.02, picture.shape))
    return read_rgb(path)


def measure(root: Path, *folders: str, metrics: tuple[str, ...] = ("psnr",), **options):
    dataset = pair_folders(root / "hr")
    methods = [folder_method(name, root / name, dataset)[0] for name in folders]
    return evaluate(dataset, methods, metrics, View(), CPU, **options)


def messages(evaluation: Evaluation) -> dict[tuple[str, str], str]:
    return {(row.image, row.method): row.message for row in evaluation.failed}


def test_every_image_and_method_has_its_values(tmp_path: Path) -> None:
    """More images than a batch holds, of two sizes in turn: none takes another's value."""
    for number in range(9):
        size = (24, 32) if number % 2 else (20, 28)
        for seed, folder in enumerate(("hr", "a", "b")):
            draw(tmp_path / folder / f"{number}.png", *size, seed=10 * number + seed)
    found = measure(tmp_path, "a", "b", metrics=("ssim", "psnr"))
    assert [(row.image, row.method) for row in found.rows] == [
        (str(number), method) for number in range(9) for method in ("a", "b")
    ]
    for row in found.rows:
        pictures = [read_rgb(tmp_path / f / f"{row.image}.png") for f in ("hr", row.method)]
        assert row.values["psnr"] == pytest.approx(
            peak_signal_noise_ratio(*pictures, data_range=1), abs=1e-3
        )
        assert list(row.values) == ["ssim", "psnr"]
    assert found.column("b", "psnr").tolist() == [row.values["psnr"] for row in found.rows[1::2]]
    assert found.failed == ()


def test_what_goes_wrong_is_a_row(tmp_path: Path) -> None:
    for name in ("good", "missing", "large", "broken", "unread"):
        draw(tmp_path / "hr" / f"{name}.png")
        draw(tmp_path / "a" / f"{name}.png", seed=1)
    (tmp_path / "a" / "missing.png").unlink()
    draw(tmp_path / "a" / "large.png", 48, 64)
    (tmp_path / "a" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "hr" / "unread.png").write_bytes(b"")
    draw(tmp_path / "b" / "missing.png", seed=2)
    found = measure(tmp_path, "a", "b")
    said = messages(found)
    assert len(found.rows) == 10
    assert len(said) == 8
    assert said["missing", "a"] == f"no result in {tmp_path / 'a'}"
    large = "the result is 64x48, its reference 32x24 pixels"
    assert said["large", "a"] == large
    assert "broken.png is not an image" in said["broken", "a"]
    assert "unread.png is empty" in said["unread", "a"]
    assert {row.image for row in found.rows if row.values} == {"good", "missing"}


@pytest.mark.parametrize(
    ("size", "scale", "words"),
    [
        ((24, 32), None, ""),
        ((24, 32), 4, ""),
        ((27, 32), 4, "compared on 32x24"),
        ((21, 29), 4, "compared on 29x21"),
        ((28, 32), 4, "error"),
        ((26, 32), 2, "error"),
        ((25, 32), 2, "compared"),
        ((25, 32), None, "give --scale 2"),
        ((27, 33), None, "give --scale 4"),
        ((29, 32), None, "error"),
    ],
)
def test_sizes_less_than_a_scale_apart(
    tmp_path: Path, size: tuple[int, int], scale: int | None, words: str
) -> None:
    hr = draw(tmp_path / "hr" / "a.png")
    out = draw(tmp_path / "out" / "a.png", *size, seed=1)
    (row,) = measure(tmp_path, "out", scale=scale).rows
    if words == "error" or "give" in words:
        assert row.message.startswith(f"the result is {size[1]}x{size[0]}, its reference 32x24")
        assert ("give" in row.message) == ("give" in words)
        assert words in row.message or words == "error"
        return
    assert (row.message, bool(row.note)) == ("", bool(words))
    assert words in row.note
    height, width = min(24, size[0]), min(32, size[1])
    expected = peak_signal_noise_ratio(hr[:height, :width], out[:height, :width], data_range=1)
    assert row.values["psnr"] == pytest.approx(expected, abs=1e-3)


def test_a_metric_that_an_image_does_not_have(tmp_path: Path) -> None:
    for folder in ("hr", "a"):
        draw(tmp_path / folder / "tiny.png", 9, 9, seed=len(folder))
        draw(tmp_path / folder / "large.png", seed=len(folder))
    found = measure(tmp_path, "a", metrics=("ssim", "psnr"))
    rows = {row.image: row for row in found.rows}
    assert list(rows["tiny"].values) == ["psnr"]
    assert rows["tiny"].message.startswith("ssim: ")
    assert rows["large"].message == ""


def test_metrics_that_are_not_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "hr" / "a.png")
    draw(tmp_path / "out" / "a.png", seed=1)
    with pytest.raises(MetricError, match="did you mean 'psnr'"):
        measure(tmp_path, "out", metrics=("psnrr",))
    monkeypatch.setattr(
        "redeg_cli.evaluate.restoration.why_unavailable",
        lambda name: "run this" if name == "ssim" else None,
    )
    found = measure(tmp_path, "out", metrics=("ssim", "psnr"))
    assert found.metrics == ("psnr",)
    assert found.unavailable == {"ssim": "run this"}
    assert list(found.versions) == ["redeg"]


def test_references_that_are_not_there(tmp_path: Path) -> None:
    draw(tmp_path / "lq" / "a.png", 200, 200)
    dataset = pair_folders(None, tmp_path / "lq")
    method = bicubic_method("bicubic", 1)
    with pytest.raises(InputError, match="lq has no references, which psnr needs"):
        evaluate(dataset, [method], ["psnr", "niqe"], View(), CPU)
    (row,) = evaluate(dataset, [method], ["niqe"], View(), CPU).rows
    assert row.values["niqe"] > 0


def test_names_of_methods_differ(tmp_path: Path) -> None:
    draw(tmp_path / "hr" / "a.png")
    with pytest.raises(InputError, match="different names, got hr, hr"):
        measure(tmp_path, "hr", "hr")
    with pytest.raises(InputError, match="got none"):
        measure(tmp_path)


def test_a_folder_without_any_result(tmp_path: Path) -> None:
    draw(tmp_path / "hr" / "a.png")
    draw(tmp_path / "out" / "z.png")
    with pytest.raises(
        InputError, match=r"no picture in .*out has the name of one .*\(a, \.\.\.\)"
    ):
        measure(tmp_path, "out")


class Enlarger:
    """A restorer that repeats pixels; it counts how often it was made."""

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return image.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


def enlarge(scale: int | None) -> tuple[Method, list[int]]:
    loaded: list[int] = []

    def load(factor: int) -> Enlarger:
        loaded.append(factor)
        return Enlarger(factor)

    return restorer_method("net", load, scale, CPU, "fp32", None, {"model": "x"}), loaded


def test_restorers_run_at_the_scale_of_the_pair(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(tmp_path / "hr" / f"{name}.png", 24, 32)
        lq = draw(tmp_path / "lq" / f"{name}.png", 12, 16, seed=1)
    dataset = pair_folders(tmp_path / "hr", tmp_path / "lq")
    method, loaded = enlarge(None)
    images = [to_array(method.make(sample)) for sample in dataset.samples]
    assert loaded == [2]
    assert np.abs(images[1] - lq.repeat(2, 0).repeat(2, 1)).max() < 1e-6
    assert method.settings["model"] == "x"
    assert dataset_scale(dataset) == 2
    draw(tmp_path / "lq" / "a.png", 12, 15)  # this one fits no scale, and is named later
    assert dataset_scale(dataset) == 2
    (tmp_path / "hr" / "b.png").write_bytes(b"no picture")
    assert dataset_scale(dataset) is None


def test_an_lq_on_the_grid_of_its_reference(tmp_path: Path) -> None:
    """Restored as it is; with a scale it is brought to its own grid first."""
    draw(tmp_path / "hr" / "a.png", 24, 32)
    lq = draw(tmp_path / "lq" / "a.png", 24, 32, seed=1)
    (sample,) = pair_folders(tmp_path / "hr", tmp_path / "lq").samples
    method, loaded = enlarge(None)
    assert np.abs(to_array(method.make(sample)) - lq).max() < 1e-6
    scaled, more = enlarge(4)
    result = to_array(scaled.make(sample))
    assert (loaded, more) == ([1], [4])
    assert result.shape == (24, 32, 3)
    small = cv2.resize(lq, (8, 6), interpolation=cv2.INTER_CUBIC)  # a = -0.75, no antialias
    assert np.abs(result[::4, ::4] - np.rint(small.clip(0, 1) * 255) / 255).max() < 1.01 / 255
    assert np.abs(to_array(bicubic_method("b", None).make(sample)) - lq).max() < 1e-6
    draw(tmp_path / "hr" / "a.png", 22, 32)
    draw(tmp_path / "lq" / "a.png", 22, 32)
    with pytest.raises(RedegError, match=r"32x22, which is no multiple of 4.*--scale 1"):
        scaled.make(sample)


def test_bicubic_is_that_of_matlab(tmp_path: Path) -> None:
    """imresize enlarges a line by 2 with the weights of Keys' cubic (a = -1/2) at 1/4 and 3/4."""
    line = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32)[None, :, None]
    write_rgb(tmp_path / "lq.png", line.repeat(4, 0).repeat(3, 2) * 0.8 + 0.1)
    sample = Sample("lq", None, tmp_path / "lq.png")
    row = to_array(bicubic_method("bicubic", 2).make(sample))[3, :, 0]
    # Of the pixels behind the edge, by distance: 3/4: 0.2266, 5/4: -0.0703, 7/4: -0.0234, ...
    edge = np.array([-0.0234, -0.0703, 0.2031, 0.7969, 1.0703, 1.0234])
    read = read_rgb(tmp_path / "lq.png")[0, :, 0]
    low, high = float(read[0]), float(read[-1])
    assert np.abs(row[5:11] - (edge * (high - low) + low)).max() < 0.6 / 255
    with pytest.raises(InputError, match="give --scale"):
        bicubic_method("bicubic", None).make(sample)


def test_a_model_gives_what_its_saved_results_give(tmp_path: Path) -> None:
    draw(tmp_path / "hr" / "a.png", 24, 32)
    draw(tmp_path / "lq" / "a.png", 12, 16, seed=1)
    dataset = pair_folders(tmp_path / "hr", tmp_path / "lq")
    method, _ = enlarge(None)
    write_rgb(tmp_path / "out" / "a.png", to_array(method.make(dataset.samples[0])))
    saved, _ = folder_method("saved", tmp_path / "out", dataset)
    rows = evaluate(dataset, [method, saved], ["psnr", "ssim"], View("y", 2), CPU).rows
    assert rows[0].values == rows[1].values


def test_lqs_that_do_not_fit(tmp_path: Path) -> None:
    draw(tmp_path / "hr" / "a.png", 24, 32)
    draw(tmp_path / "hr" / "b.png", 24, 32)
    draw(tmp_path / "lq" / "a.png", 10, 16)
    dataset = pair_folders(tmp_path / "hr", tmp_path / "lq")
    found = evaluate(dataset, [enlarge(None)[0]], ["psnr"], View(), CPU)
    said = messages(found)
    assert said["a", "net"].startswith("LQ is 16x10, HQ is 32x24 pixels")
    assert said["b", "net"] == "no LQ to restore"
    assert len(found.problems) == 1  # b's missing LQ


def test_progress_counts_results(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(tmp_path / "hr" / f"{name}.png")
    steps: list[tuple[int, int]] = []
    measure(tmp_path, "hr", on_progress=lambda done, total, _="": steps.append((done, total)))
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_equal_images(tmp_path: Path) -> None:
    draw(tmp_path / "hr" / "a.png")
    (row,) = measure(tmp_path, "hr", metrics=("psnr", "ssim")).rows
    assert row.values["psnr"] == np.inf
    assert row.values["ssim"] == pytest.approx(1)


def run_out(limit: int) -> Callable[..., torch.Tensor]:
    """Return a metric, the mean of an image, that has memory for ``limit`` images at a time."""

    def score(results: torch.Tensor, references: torch.Tensor | None) -> torch.Tensor:
        del references
        if len(results) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return results.mean(dim=(1, 2, 3))

    return score


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_batch_too_large_for_the_memory_is_halved(limit: int) -> None:
    levels = torch.arange(5) / 10
    images = levels.view(-1, 1, 1, 1).expand(5, 3, 8, 8)
    assert measure_batch(run_out(limit), images, images) == pytest.approx(levels.tolist())


def test_not_even_one_image_fits() -> None:
    with pytest.raises(RedegError, match="too little memory for an image of 8x6"):
        measure_batch(run_out(0), torch.zeros(2, 3, 6, 8), None)


def test_few_images_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are computed when they are full, or when too much of many sizes is waiting."""
    collected = Batches({"niqe": run_out(100)}, CPU)
    monkeypatch.setattr(collected, "_pixels", 4 * 64)
    same = [collected.add(torch.zeros(1, 3, 8, 8), None) for _ in range(4)]
    assert all(each.values for each in same)
    sizes = [(4, 9), (4, 8), (4, 7), (4, 6), (8, 8), (8, 8), (8, 9), (16, 8), (8, 14)]
    other = [collected.add(torch.zeros(1, 3, *size), None) for size in sizes]
    assert [bool(each.values) for each in other] == [False] * 4 + [True] * 2 + [False] * 3
    collected.finish()
    assert all(each.values for each in other)
