"""The comparison sheet: which images, which part of them, and what is drawn where."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from redeg_cli.errors import InputError
from redeg_cli.evaluate.dataset import Dataset, Sample
from redeg_cli.evaluate.methods import Method
from redeg_cli.evaluate.metrics import View
from redeg_cli.evaluate.restoration import Evaluation, Row
from redeg_cli.evaluate.sheet import (
    Panel,
    Strip,
    choose_crop,
    choose_images,
    draw_sheet,
    make_strips,
)
from redeg_cli.io.images import write_rgb

RED, GREEN, BLUE, GRAY = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.5, 0.5, 0.5)


def flat(colour: Sequence[float], height: int = 60, width: int = 80) -> Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, height, width).contiguous()


def fails(_: Sample) -> Tensor:
    raise InputError("no result in out/")


def evaluation(
    values: dict[str, list[float]],
    makes: dict[str, Callable[[Sample], Tensor]] | None = None,
    reference: Path | None = None,
    lq: Path | None = None,
) -> Evaluation:
    count = len(next(iter(values.values())))
    samples = tuple(Sample(f"i{n}", reference, lq) for n in range(count))
    rows = [
        Row(sample.name, name, {} if np.isnan(column[n]) else {"psnr": column[n], "ssim": 0.5})
        for n, sample in enumerate(samples)
        for name, column in values.items()
    ]
    methods = tuple(Method(name, (makes or {}).get(name, fails), True) for name in values)
    dataset = Dataset("set", "references", samples)
    return Evaluation(
        dataset, methods, ("psnr", "ssim"), {}, View(), None, tuple(rows), problems=(), versions={}
    )


def test_images_on_which_methods_differ_most() -> None:
    made = evaluation({"a": [30, 30, 30, 30, 30], "b": [30, 25, 31, 38, np.nan]})
    assert choose_images(made, 2) == ["i1", "i3"]
    assert choose_images(made, 3) == ["i1", "i2", "i3"]
    assert choose_images(made, 5) == ["i0", "i1", "i2", "i3", "i4"]
    assert choose_images(made, 0) == []


def test_a_single_method_shows_its_worst_and_best() -> None:
    made = evaluation({"a": [33, 20, 28, 40, 25]})
    assert choose_images(made, 3) == ["i1", "i2", "i3"]  # worst, median, best
    assert choose_images(made, 1) == ["i1"]


def with_patch(colour: Sequence[float], top: int, left: int) -> Tensor:
    image = flat(GRAY)
    image[..., top : top + 16, left : left + 16] = torch.tensor(colour).view(1, 3, 1, 1)
    return image


def covers(box: tuple[int, int, int, int], top: int, left: int) -> bool:
    return box[0] <= top and box[1] <= left and box[0] + box[2] >= top + 16


def test_the_crop_is_where_methods_differ() -> None:
    box = choose_crop([with_patch(RED, 40, 8), flat(GRAY)], with_patch(BLUE, 8, 56), 24)
    assert box[2:] == (24, 24)
    assert covers(box, 40, 8)


def test_the_crop_of_one_method() -> None:
    against = choose_crop([with_patch(RED, 40, 8)], with_patch(RED, 8, 56), 24)
    assert covers(against, 40, 8) or covers(against, 8, 56)
    rng = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    textured = flat(GRAY)
    textured[..., 8:24, 56:72] = rng
    assert covers(choose_crop([textured], None, 24), 8, 56)
    assert choose_crop([textured], None, 200) == (0, 0, 60, 80)  # all of a small image


def panel(colour: Sequence[float], label: str = "m", **more: object) -> Panel:
    return Panel(np.ones((256, 256, 3), np.float32) * np.float32(colour), label, **more)


def test_panels_stand_side_by_side() -> None:
    strip = Strip("image", (panel(RED), panel(GREEN), panel(BLUE)))
    sheet = draw_sheet([strip, strip])
    assert sheet.shape[1] == 3 * (256 + 14) + 14
    for row in range(2):
        top = 14 + 30 + row * ((sheet.shape[0] - 14) // 2)
        for column, colour in enumerate((RED, GREEN, BLUE)):
            left = 14 + column * (256 + 14)
            inner = sheet[top : top + 256, left : left + 256]
            assert np.abs(inner - np.float32(colour)).max() == 0
            assert np.abs(sheet[top, left - 1] - 1).max() == 0


def test_many_panels_go_on_below() -> None:
    one = draw_sheet([Strip("", tuple(panel(RED) for _ in range(6)))])
    two = draw_sheet([Strip("", tuple(panel(RED) for _ in range(7)))])
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] > one.shape[0] + 256


def test_labels_are_smooth_dark_and_stay_in_their_column() -> None:
    """Scalable type has grays between ink and paper; a long name is cut, not written over."""
    name = "a_method_with_a_very_long_name_" * 3
    sheet = draw_sheet([Strip("t", (panel(RED, name), panel(RED, "x", text="PSNR", best=True)))])
    text = sheet[14 + 30 + 256 :]
    assert text[:, 14 : 14 + 256].min() < 0.2
    grays = np.unique((text[:, 14:270, 0] * 255).round())
    assert len(grays) > 20
    assert text[:, 270:283].min() == 1  # the gap
    best = text[:, 284:].reshape(-1, 3)
    assert (best[:, 1] > best[:, 0] + 0.2).any()  # green


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    """A reference with a red patch, and an LQ of half the size in blue."""
    write_rgb(tmp_path / "hr.png", with_patch(RED, 16, 16)[0].permute(1, 2, 0).numpy())
    write_rgb(tmp_path / "lq.png", flat(BLUE, 30, 40)[0].permute(1, 2, 0).numpy())
    return tmp_path / "hr.png", tmp_path / "lq.png"


def test_a_strip_shows_lq_methods_and_reference(pictures: tuple[Path, Path]) -> None:
    makes = {"good": lambda _: with_patch(RED, 16, 16), "bad": lambda _: flat(GREEN)}
    made = evaluation({"good": [30.123], "bad": [10], "none": [np.nan]}, makes, *pictures)
    (strip,) = make_strips(made, ["i0"], side=32)
    labels = [panel.label for panel in strip.panels]
    assert labels == ["whole image", "LQ", "good", "bad", "none", "reference"]
    shown = dict(zip(labels, strip.panels, strict=True))
    assert shown["LQ"].text == "40x30, nearest"
    assert shown["good"].text == "PSNR 30.12 dB · SSIM 0.5000"
    assert shown["none"].text == "no result"
    assert [panel.best for panel in strip.panels] == [False, False, True, False, False, False]
    assert all(panel.picture.shape == (256, 256, 3) for panel in strip.panels[1:])
    assert np.abs(shown["good"].picture - shown["reference"].picture).max() < 0.51 / 255
    assert np.abs(shown["bad"].picture - np.float32(GREEN)).max() == 0
    assert np.abs(shown["LQ"].picture - np.float32(BLUE)).max() == 0
    # Every pixel of the crop is 8 pixels of the sheet.
    blocks = shown["good"].picture.reshape(32, 8, 32, 8, 3)
    assert np.ptp(blocks, axis=(1, 3)).max() == 0
    assert shown["whole image"].picture.shape == (60, 80, 3)


def test_results_of_other_sizes_are_shown_too(pictures: tuple[Path, Path]) -> None:
    makes = {"cut": lambda _: flat(GREEN, 59, 77), "twice": lambda _: flat(RED, 120, 160)}
    made = evaluation({"cut": [30], "twice": [np.nan]}, makes, *pictures)
    (strip,) = make_strips(made, ["i0"], side=64)
    shown = {panel.label: panel for panel in strip.panels}
    assert shown["cut"].picture.shape == shown["twice"].picture.shape == (240, 256, 3)
    assert np.abs(shown["twice"].picture - np.float32(RED)).max() < 1e-6
    assert shown["twice"].text == "no values"


def test_images_of_which_nothing_is_there() -> None:
    made = evaluation({"a": [np.nan, np.nan]}, {"a": fails})
    assert make_strips(made, ["i0", "i1"]) == []
    with pytest.raises(InputError, match="no image of set is called 'i7'"):
        make_strips(made, ["i7"])
