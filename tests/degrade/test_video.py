"""Video compression through PyAV, where it is installed, and what is said where it is not."""

import sys

import numpy as np
import pytest
import skimage.data
import torch
from pydantic import ValidationError

from redeg_cli.degrade import video
from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.video import Video, apply_video, coded_clip, filmed
from redeg_cli.errors import RedegError

CODECS = ("h264", "mpeg2", "mpeg4")
QUALITIES = {"h264": (10, 20, 30, 40, 50), "mpeg2": (2, 5, 12, 20, 31), "mpeg4": (2, 5, 12, 20, 31)}


@pytest.fixture
def pyav() -> None:
    pytest.importorskip("av")


def photo(height: int = 64, width: int = 64) -> np.ndarray:
    return skimage.data.astronaut()[60 : 60 + height, 180 : 180 + width].copy()


def tensor(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def shown(rgb: np.ndarray, codec: str, quality: int, **fields: object) -> np.ndarray:
    step = Video.model_validate({"codec": codec, "quality": quality, **fields})
    return filmed(rgb, step).astype(float)


@pytest.mark.usefixtures("pyav")
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("codec", CODECS)
def test_a_worse_quality_is_further_away(codec: str, frames: int) -> None:
    rgb = photo()
    motion = (1.5, 0.5)
    errors = [
        np.square(shown(rgb, codec, quality, frames=frames, motion=motion) - rgb).mean()
        for quality in QUALITIES[codec]
    ]
    assert errors == sorted(errors)
    assert errors[-1] > 4 * errors[0]


@pytest.mark.usefixtures("pyav")
@pytest.mark.parametrize("codec", CODECS)
def test_the_picture_keeps_place_and_colour(codec: str) -> None:
    """Flat colours come back to the rounding of Y, Cb and Cr; a moving clip is taken in place."""
    for colour in ((255, 255, 255), (0, 0, 0), (200, 30, 40), (20, 60, 220)):
        flat = np.full((32, 32, 3), colour, np.uint8)
        assert np.abs(shown(flat, codec, 2, frames=3) - flat).max() <= 4, colour
    rgb = photo()
    best, second = sorted(
        (np.square(np.roll(shown(rgb, codec, 3, motion=(4, -3)), right, 1) - rgb).mean(), right)
        for right in range(-4, 5)
    )[:2]
    assert best[1] == 0
    assert best[0] < second[0] / 2


@pytest.mark.usefixtures("pyav")
@pytest.mark.parametrize(("codec", "quality"), [("mpeg2", 24), ("mpeg4", 24)])
def test_blocks_of_8_pixels_show_on_a_still(codec: str, quality: int) -> None:
    """Steps across the borders of 8x8 blocks are larger than inside; motion takes blocks along."""
    rng = np.random.default_rng(1)
    smooth = np.add.outer(np.arange(128), np.arange(128))[..., None] * [0.7, 0.6, 0.5]
    rgb = (smooth + rng.normal(0, 6, (128, 128, 3)) + 30).clip(0, 255).astype(np.uint8)

    def blockiness(frames: int, motion: tuple[float, float]) -> float:
        gray = shown(rgb, codec, quality, frames=frames, motion=motion).mean(2)
        steps = np.abs(np.diff(gray, axis=1))[:, 16:-16].mean(0)
        border = (np.arange(16, 111) + 1) % 8 == 0
        return float(steps[border].mean() / steps[~border].mean())

    still, moving = blockiness(1, (0, 0)), blockiness(2, (3, 0))
    assert still > 2
    assert moving < 0.7 * still


@pytest.mark.usefixtures("pyav")
@pytest.mark.parametrize("codec", CODECS)
def test_motion_leaves_its_mark(codec: str) -> None:
    rgb = photo()
    still, moving = (shown(rgb, codec, 12, frames=3, motion=m) for m in ((0, 0), (2.5, 1)))
    assert not np.array_equal(still, moving)
    alone, unmoved = (shown(rgb, codec, 12, frames=1, motion=m) for m in ((0, 0), (2.5, 1)))
    assert np.array_equal(alone, unmoved)
    assert not np.array_equal(alone, moving)


@pytest.mark.usefixtures("pyav")
@pytest.mark.parametrize("codec", CODECS)
def test_the_same_bytes_each_time(codec: str) -> None:
    """Many times, in memory that is not clean: an encoder that reads what it has not written
    shows then (x264 does, with its defaults)."""
    rng = np.random.default_rng(1)
    results = set()
    for _ in range(25):
        dirt = [rng.bytes(size) for size in rng.integers(1, 200_000, 3)]
        results.add(shown(photo(50, 70), codec, 9, frames=5, motion=(1.3, -0.4)).tobytes())
        del dirt
    assert len(results) == 1


@pytest.mark.usefixtures("pyav")
@pytest.mark.parametrize("codec", CODECS)
def test_any_size(codec: str) -> None:
    for size in ((1, 1), (3, 17), (16, 16), (35, 33)):
        rgb = photo(*size)
        for frames in (1, 2, 5):
            out = shown(rgb, codec, 2, frames=frames, motion=(1, 1))
            assert out.shape == rgb.shape
            assert np.abs(out - rgb).mean() < 10


@pytest.mark.usefixtures("pyav")
@pytest.mark.parametrize("codec", CODECS)
def test_frames_come_back_in_order(codec: str) -> None:
    clip = [np.full((48, 32), level, np.uint8) for level in (40, 80, 120, 160, 200)]
    for planes in clip:
        planes[32:] = 128
    decoded = coded_clip(clip, codec, 2)  # pyright: ignore[reportArgumentType]
    assert [round(float(planes[:32].mean()), -1) for planes in decoded] == [40, 80, 120, 160, 200]


@pytest.mark.usefixtures("pyav")
def test_each_image_as_if_alone() -> None:
    whole = tensor(photo(80, 90))
    images = [whole, whole[:, :, :41, :-7], whole[:, :, 3:], whole[:, :, :1, :2]]
    steps = [
        Video(codec="h264", quality=30, motion=(1.5, 0)),
        Video(codec="mpeg2", quality=9, frames=2, motion=(0, 3)),
        Video(codec="mpeg4", quality=20, frames=1),
        Video(codec="h264", quality=51, frames=5),
    ]
    together = apply_video(stack_images(images, Canvas.of(whole, 1)), steps)
    for image, step, out in zip(images, steps, together.images(), strict=True):
        alone = apply_video(Canvas.of(image, 1), [step]).pixels
        assert torch.equal(out, alone)
        assert out.isfinite().all()
        assert out.min() >= 0
        assert out.max() <= 1
    assert not torch.equal(together.images()[0], whole)


@pytest.mark.usefixtures("pyav")
@pytest.mark.parametrize(("codec", "side"), [("h264", 16400), ("mpeg2", 16400), ("mpeg4", 8208)])
def test_frames_too_large_for_a_codec_are_named(codec: str, side: int) -> None:
    with pytest.raises(RedegError, match=f"codec {codec} takes no frames of {side}x16 px"):
        shown(np.zeros((16, side, 3), np.uint8), codec, 20)


@pytest.mark.usefixtures("pyav")
def test_a_codec_that_the_package_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(video._CODECS, "h264", ("libnone264", "h264", 51))
    with pytest.raises(RedegError, match=r"no libnone264, which codec h264 needs.*pip install av"):
        shown(photo(16, 16), "h264", 20)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RedegError, match=r"needs the package av: pip install 'redeg\[video\]'"):
        apply_video(Canvas.of(tensor(photo(16, 16)), 1), [Video(codec="h264", quality=20)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"codec": "h265"},
        {"quality": 0},
        {"codec": "mpeg2", "quality": 32},
        {"codec": "mpeg4", "quality": 51},
        {"frames": 6},
        {"motion": (17, 0)},
        {"motion": (1,)},
    ],
)
def test_other_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Video.model_validate({"codec": "h264", "quality": 20, **wrong})


def test_the_message_says_the_range() -> None:
    with pytest.raises(ValidationError, match="quality 40 of mpeg2: want 1 to 31"):
        Video(codec="mpeg2", quality=40)
