"""Files that are sound, and that careless code refuses or complains of."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from redeg_cli.io.images import read_photo, write_rgb
from redeg_cli.validation import read_toml


def test_a_palette_of_many_opacities_is_read_in_silence(tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("P")
    picture.save(tmp_path / "a.png", transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photo = read_photo(tmp_path / "a.png")
    assert photo.alpha is not None
    assert len(np.unique(photo.alpha)) == 64


def test_a_png_with_a_long_text_is_read(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "word " * 600_000, zip=True)
    Image.new("RGB", (4, 4), (10, 20, 30)).save(tmp_path / "a.png", pnginfo=text)
    assert read_photo(tmp_path / "a.png").rgb.shape == (4, 4, 3)


@pytest.mark.parametrize("quality", [90, 95, 100])
def test_strong_noise_fits_into_a_jpeg(
    tmp_path: Path, quality: int, capfd: pytest.CaptureFixture[str]
) -> None:
    rgb = np.random.default_rng(0).integers(0, 2, (900, 900, 3)).astype(np.float32)
    write_rgb(tmp_path / "a.jpg", rgb, quality=quality)
    assert np.abs(read_photo(tmp_path / "a.jpg").rgb - rgb).mean() < 0.2
    assert capfd.readouterr() == ("", "")


def test_a_table_that_notepad_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfsteps = 3\n")
    assert read_toml(tmp_path / "a.toml") == {"steps": 3}
