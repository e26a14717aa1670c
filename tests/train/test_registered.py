"""Registered pairs: their shift is measured, and what is no pair is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from redeg_cli.errors import PairError
from redeg_cli.io.images import Photo, write_photo, write_rgb
from redeg_cli.train.registered import check_registered, load_registered, measure_shift


def scene(size: int = 128, seed: int = 0) -> np.ndarray:
    """A picture (size, size, 3) in [0, 1] with edges of all scales: overlapping boxes."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), 0.5, np.float32)
    for _ in range(150):
        x, y = rng.integers(0, size, 2)
        w, h = rng.integers(3, size // 3, 2)
        image[y : y + h, x : x + w] = rng.random(3)
    return image


def moved(image: np.ndarray, x: float, y: float, blur: float = 1.5) -> np.ndarray:
    """The picture blurred and shifted by (x, y) pixels, by OpenCV."""
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    size = image.shape[1::-1]
    soft = cv2.GaussianBlur(image, (0, 0), blur)
    shifted = cv2.warpAffine(
        soft, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.clip(shifted, 0, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs in RealSR's layout at scale 2, blurred by 1.5 px, where they belong."""
    for number in range(3):
        image = scene(seed=number)
        write_rgb(tmp_path / f"p{number}_HR.png", image)
        write_rgb(tmp_path / f"p{number}_LR2.png", moved(image, 0, 0))
    return tmp_path


@pytest.mark.parametrize("shift", [(0, 0), (0.3, -0.2), (0.7, 0.1), (-1.5, 2.2), (4, -6)])
@pytest.mark.parametrize("blur", [1.0, 2.5])
def test_a_shift_is_measured_under_blur_and_noise(shift: tuple[float, float], blur: float) -> None:
    for seed in range(3):
        image = scene(seed=seed)
        noise = np.random.default_rng(seed).normal(0, 5 / 255, image.shape)
        lq = np.clip(moved(image, *shift, blur) + noise, 0, 1)
        assert measure_shift(image, lq) == pytest.approx(shift, abs=0.15, rel=0.06)


@pytest.mark.parametrize("native", [False, True])
def test_crops_belong_together(folder: Path, native: bool) -> None:
    """Each LQ crop is the HQ crop of its place: same flip, native ones at the scale."""
    if native:
        for path in sorted(folder.glob("*_HR.png")):
            small = cv2.resize(
                scene(seed=int(path.name[1])), (64, 64), interpolation=cv2.INTER_AREA
            )
            write_rgb(Path(str(path).replace("_HR", "_LR2")), small)
    store = load_registered([folder], 2, 64)
    assert store.grid == ("native" if native else "aligned")
    hq, lq = store.crops(range(8), 48)
    assert hq.shape == (8, 3, 48, 48)
    assert lq.shape == (8, 3, *((24, 24) if native else (48, 48)))
    if native:
        wanted = torch.nn.functional.avg_pool2d(hq, 2)
        torch.testing.assert_close(lq, wanted, atol=2.1 / 255, rtol=0)
    else:
        for image, truth in zip(hq, lq, strict=True):
            soft = cv2.GaussianBlur(image.permute(1, 2, 0).numpy(), (0, 0), 1.5)[6:-6, 6:-6]
            np.testing.assert_allclose(soft, truth.permute(1, 2, 0)[6:-6, 6:-6], atol=0.02)
    assert not torch.equal(hq[0], hq[1])
    again, _ = store.crops(range(8), 48)
    assert torch.equal(hq, again)


def spoil(folder: Path, what: str) -> None:
    """Make the second pair one that cannot be used."""
    path, image = folder / "p1_LR2.png", scene(seed=1)
    if what == "shifted":
        write_rgb(path, moved(image, 1.2, -0.8))
    elif what == "size":
        write_rgb(path, image[:100])
    elif what == "gray":
        gray = np.repeat(image.mean(2, keepdims=True), 3, 2)
        write_photo(path, Photo(gray, gray=True))
    elif what == "small":
        write_rgb(path, image[:60, :60])
        write_rgb(folder / "p1_HR.png", image[:60, :60])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("shifted", r"p1_LR2.png is shifted by \+1.[12][0-9]*,-0.[789][0-9]* pixels"),
        ("size", r"p1_LR2.png \(128x100\) and its HQ \(128x128\) are no pair of scale 2"),
        ("gray", r"p1_LR2.png is gray, its HQ in colour"),
        ("small", r"p1_LR2.png \(60x60\) and its HQ \(60x60\) are too small: at least 64x64"),
    ],
)
def test_a_pair_that_cannot_be_used_is_named(folder: Path, what: str, message: str) -> None:
    spoil(folder, what)
    with pytest.raises(PairError, match=f"^1 of 3 pairs cannot be used: .*{message}") as caught:
        load_registered([folder], 2, 64)
    assert "\n" not in str(caught.value)
    assert "p0_" not in str(caught.value)
    ((path, line),) = check_registered([folder], 2, 64, 0.5)
    assert path.name == "p1_LR2.png"
    assert line in str(caught.value)


def test_a_larger_shift_may_be_allowed(folder: Path) -> None:
    spoil(folder, "shifted")
    assert len(load_registered([folder], 2, 64, max_shift=2).pairs) == 3


def test_native_and_aligned_are_not_mixed(folder: Path) -> None:
    small = cv2.resize(scene(seed=2), (64, 64), interpolation=cv2.INTER_AREA)
    write_rgb(folder / "p2_LR2.png", small)
    with pytest.raises(PairError, match=r"p0_LR2.png is as large as its HQ, .*p2_LR2.png is small"):
        load_registered([folder], 2, 64)


def test_what_has_no_partner_is_told(folder: Path) -> None:
    (folder / "p1_HR.png").unlink()
    told: list[str] = []
    assert len(load_registered([folder], 2, 64, say=told.append).pairs) == 2
    assert len(told) == 1
    assert "p1_LR2.png has no HQ of its name" in told[0]


def test_many_faults_are_counted(folder: Path) -> None:
    for number in range(8):
        image = scene(seed=number)
        write_rgb(folder / f"q{number}_HR.png", image)
        write_rgb(folder / f"q{number}_LR2.png", moved(image, 3, 0))
    with pytest.raises(PairError, match=r"^8 of 11 pairs .*; and 3 more$"):
        load_registered([folder], 2, 64)


def test_pairs_that_were_made_are_not_taken_for_shifted(folder: Path) -> None:
    write_rgb(folder / "p1_LR2.png", moved(scene(seed=1), 3, 0))
    with pytest.raises(PairError, match=r"1 of 3 pairs cannot be used: .*p1_LR2\.png is shifted"):
        load_registered([folder], 2, 64)
    (folder / "manifest.jsonl").write_text("")
    assert len(load_registered([folder], 2, 64).pairs) == 3
    assert check_registered([folder], 2, 64, 0.5) == []
