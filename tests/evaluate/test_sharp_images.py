"""Folders of sharp images: what is read, what is left out, what is an error."""

from pathlib import Path

import numpy as np
import pytest
import torch
from degraded import draw

from redeg_cli.errors import InputError
from redeg_cli.evaluate.sharp_images import read_sharp_images

CPU = torch.device("cpu")


def test_small_and_broken_files_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    pixels = draw(tmp_path / "1.png", (96, 80))
    draw(tmp_path / "sub" / "2.png", (64, 64))
    draw(tmp_path / "small.png", (63, 200))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    told: list[tuple[int, int, str]] = []
    found = read_sharp_images(tmp_path, 64, lambda *step: told.append(step))
    assert [tuple(image.shape) for image in found.images] == [(3, 80, 96), (3, 64, 64)]
    np.testing.assert_array_equal(
        found.images[0].permute(1, 2, 0).numpy(), (pixels * 255).round().astype(np.uint8)
    )
    assert found.small == ("small.png",)
    assert [name for name, _ in found.failed] == ["broken.png"]
    assert "broken.png" in found.failed[0][1]
    assert [step[:2] for step in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_crops_depend_on_their_seed_alone(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, (96, 96))
    found = read_sharp_images(tmp_path, 64)
    crops = found.crops([3, 4, 5], 48, CPU)
    assert crops.shape == (3, 3, 48, 48)
    assert torch.equal(found.crops([4], 48, CPU)[0], crops[1])
    assert not torch.equal(crops[0], crops[1])


def test_a_large_picture_is_the_image_mirrored(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", (40, 30))
    image = read_sharp_images(tmp_path, 16).images[0].float() / 255
    large = read_sharp_images(tmp_path, 16).large(7, 100)
    assert large.shape == (1, 3, 100, 100)
    assert torch.equal(large[0, :, :30, :40], image)
    assert torch.equal(large[0, :, 30:60, :40], image.flip(1))
    assert torch.equal(large[0, :, 60:90, 40:80], image.flip(2))


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing does not exist"):
        read_sharp_images(tmp_path / "nothing", 64)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no images"):
        read_sharp_images(tmp_path / "empty", 64)
    draw(tmp_path / "small" / "a.png", (60, 60))
    (tmp_path / "small" / "b.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"none of its 2 .*1 are smaller than 64 px, 1 cannot"):
        read_sharp_images(tmp_path / "small", 64)
    with pytest.raises(InputError, match=r"a.png is a file, not a folder"):
        read_sharp_images(tmp_path / "small" / "a.png", 64)
