"""Whole photos: opacity, gray, bit depth and metadata come out as they went in."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from redeg_cli.errors import RedegError
from redeg_cli.io.images import Photo, read_photo, write_photo
from redeg_cli.io.metadata import Metadata
from redeg_cli.restore import photo as module
from redeg_cli.restore.photo import restore_photo


class Tinted:
    """Enlarges by nearest neighbours and adds a tint, as a network that drifts would."""

    def __init__(self, scale: int = 2, tint: tuple[float, float, float] = (0, 0, 0)) -> None:
        self.scale = scale
        self.tint = torch.tensor(tint, dtype=torch.float32).view(1, 3, 1, 1)
        self.dtypes: set[torch.dtype] = set()

    def __call__(self, image: Tensor) -> Tensor:
        self.dtypes.add(torch.mm(torch.ones(1, 1), torch.ones(1, 1)).dtype)
        large = F.interpolate(image, scale_factor=self.scale, mode="nearest")
        return (large + self.tint).clamp(0, 1)


def colours(height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(5).random((height, width, 3), dtype=np.float32) * 0.8 + 0.1


def enlarged(rgb: np.ndarray, scale: int) -> np.ndarray:
    return rgb.repeat(scale, axis=0).repeat(scale, axis=1)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (20, 30), (70, 50)])
def test_the_result_is_the_restorers_at_its_scale(scale: int, size: tuple[int, int]) -> None:
    photo = Photo(colours(*size))
    out = restore_photo(photo, Tinted(scale), tile=32)
    assert out.rgb.dtype == np.float32
    np.testing.assert_allclose(out.rgb, enlarged(photo.rgb, scale), atol=1e-6)
    assert out.alpha is None
    assert not out.gray


def test_opacity_goes_beside_the_network() -> None:
    alpha = np.zeros((20, 30), np.float32)
    alpha[:, 15:] = 1
    rgb = colours()
    rgb[:, :15] = 0  # black under transparent pixels, as many programs write it
    rgb[:, 15:] = (0.9, 0.5, 0.2)
    seen: list[Tensor] = []

    class Spy(Tinted):
        def __call__(self, image: Tensor) -> Tensor:
            seen.append(image.clone())
            return super().__call__(image)

    out = restore_photo(Photo(rgb, alpha=alpha), Spy())
    assert out.alpha is not None
    assert out.alpha.shape == (40, 60)
    assert out.alpha.dtype == np.float32
    np.testing.assert_array_equal(out.alpha[:, :26], 0)
    np.testing.assert_array_equal(out.alpha[:, 34:], 1)
    expected = torch.tensor([0.9, 0.5, 0.2]).view(1, 3, 1, 1).expand_as(seen[0])
    torch.testing.assert_close(seen[0], expected)  # no black for the network to smear


def test_gray_comes_out_gray_however_the_network_tints() -> None:
    gray = np.repeat(colours()[..., :1], 3, axis=2)
    out = restore_photo(Photo(gray, gray=True), Tinted(tint=(0.05, -0.05, 0.02)))
    assert out.gray
    np.testing.assert_array_equal(out.rgb[..., 0], out.rgb[..., 1])
    np.testing.assert_array_equal(out.rgb[..., 0], out.rgb[..., 2])
    shift = 0.299 * 0.05 - 0.587 * 0.05 + 0.114 * 0.02
    np.testing.assert_allclose(out.rgb, enlarged(gray, 2) + shift, atol=1e-5)


def test_a_large_gray_photo_is_made_gray_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    gray = np.repeat(colours(50, 30)[..., :1], 3, axis=2)
    tinted = Tinted(tint=(0.05, -0.05, 0.02))
    whole = restore_photo(Photo(gray), tinted).rgb
    monkeypatch.setattr(module, "_ROWS", 7)
    np.testing.assert_array_equal(restore_photo(Photo(gray), tinted).rgb, whole)


def test_what_a_network_overshoots_is_clamped() -> None:
    class Loud(Tinted):
        def __call__(self, image: Tensor) -> Tensor:
            return 3 * super().__call__(image) - 1

    photo = Photo(colours())
    wanted = np.clip(3 * enlarged(photo.rgb, 2) - 1, 0, 1)
    assert {0.0, 1.0} < set(wanted.ravel().tolist())
    np.testing.assert_allclose(restore_photo(photo, Loud()).rgb, wanted, atol=1e-6)


def test_colour_is_matched_only_when_asked() -> None:
    photo = Photo(colours(64, 64))
    drifting = Tinted(tint=(0.08, 0.0, -0.08))
    plain = restore_photo(photo, drifting)
    matched = restore_photo(photo, drifting, match_colour=True)
    wanted = photo.rgb.mean(axis=(0, 1))
    assert np.abs(plain.rgb.mean(axis=(0, 1)) - wanted).max() > 0.07
    np.testing.assert_allclose(matched.rgb.mean(axis=(0, 1)), wanted, atol=1e-3)


def test_sixteen_bits_stay_sixteen_bits_in_full_precision(tmp_path) -> None:
    ramp = np.linspace(20000, 20400, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    photo = read_photo(tmp_path / "deep.png")
    restorer = Tinted(1)
    out = restore_photo(photo, restorer)
    assert out.bit_depth == 16
    assert restorer.dtypes == {torch.float32}
    write_photo(tmp_path / "out.png", out)
    with Image.open(tmp_path / "out.png") as image:
        np.testing.assert_allclose(np.asarray(image).astype(int), ramp, atol=1)


def test_precision_reaches_the_network() -> None:
    restorer = Tinted(1)
    restore_photo(Photo(colours()), restorer, precision="bf16")
    restore_photo(Photo(colours()), restorer, precision="fp32")
    assert restorer.dtypes == {torch.bfloat16, torch.float32}
    with pytest.raises(RedegError, match="fp16"):
        restore_photo(Photo(colours()), restorer, precision="fp16")


def test_in_turns_the_mean_of_all_four_comes_out() -> None:
    class Sideways(Tinted):
        """Drifts from left to right: turned, it drifts the other ways, the mean not at all."""

        def __call__(self, image: Tensor) -> Tensor:
            width = image.shape[3] * self.scale
            return super().__call__(image) + torch.linspace(-0.05, 0.05, width)

    photo = Photo(colours())
    plain = restore_photo(photo, Sideways(), tile=8).rgb
    turned = restore_photo(photo, Sideways(), tile=8, turns=True).rgb
    assert turned.shape == plain.shape
    assert np.abs(plain - enlarged(photo.rgb, 2)).max() > 0.04
    np.testing.assert_allclose(turned, enlarged(photo.rgb, 2), atol=1e-5)


def test_metadata_is_kept_with_the_new_size() -> None:
    exif = Image.Exif()
    exif[0x010E] = "Grandmother, 1923"
    exif[0x0100], exif[0x0101] = 30, 20
    exif[0x8769] = {0xA002: 30, 0xA003: 20}
    metadata = Metadata(exif=exif.tobytes(), text=(("Author", "A. Nobody"),))
    out = restore_photo(Photo(colours(), metadata=metadata), Tinted(3)).metadata
    assert out.text == metadata.text
    again = Image.Exif()
    assert out.exif is not None
    again.load(out.exif)
    assert again[0x010E] == "Grandmother, 1923"
    assert (again[0x0100], again[0x0101]) == (90, 60)
    details = again.get_ifd(0x8769)
    assert (details[0xA002], details[0xA003]) == (90, 60)


def test_the_photo_given_is_not_changed() -> None:
    rgb = colours()
    alpha = np.full((20, 30), 0.0, np.float32)
    alpha[0, 0] = 1
    before = rgb.copy()
    restore_photo(Photo(rgb, alpha=alpha), Tinted(1, (0.1, 0.1, 0.1)), match_colour=True)
    np.testing.assert_array_equal(rgb, before)
    assert alpha.sum() == 1


def test_progress_is_told_tile_by_tile() -> None:
    seen: list[tuple[int, int]] = []

    def on_progress(done: int, total: int, text: str = "") -> None:
        del text
        seen.append((done, total))

    restore_photo(Photo(colours(100, 100)), Tinted(), tile=64, on_progress=on_progress)
    total = seen[0][1]
    assert total > 1
    assert seen == [(done, total) for done in range(total + 1)]


def test_three_equal_channels_stay_equal() -> None:
    gray = np.repeat(colours()[..., :1], 3, axis=2)
    out = restore_photo(Photo(gray), Tinted(tint=(0.05, -0.05, 0.02)))
    assert not out.gray
    assert np.ptp(out.rgb, axis=2).max() == 0
