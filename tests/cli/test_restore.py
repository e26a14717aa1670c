"""``redeg restore``: good and bad photos, names, formats, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from redeg_cli.io import files
from redeg_cli.models import save_network
from redeg_cli.nets.compact import CompactF2N


def draw(path: Path, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> np.ndarray:
    """Write a smooth picture with some noise and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    values = rng.integers(60, 200, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(values, "RGBA") if mode == "RGBA" else None
    if image is None:
        image = Image.fromarray(np.ascontiguousarray(values[..., :3])).convert(mode)
    image.save(path)
    return np.asarray(image)


def look(path: Path) -> Image.Image:
    """Read a picture whole and close its file."""
    with Image.open(path) as image:
        image.load()
        kept = image.copy()
        kept.format = image.format
        return kept


def bicubic(pixels: np.ndarray, scale: int) -> np.ndarray:
    tensor = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    large = F.interpolate(tensor, scale_factor=scale, mode="bicubic", align_corners=False)
    return large[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255


def test_a_photo_is_restored_at_scale_two_by_default(restore: Callable, tmp_path: Path) -> None:
    pixels = draw(tmp_path / "a.png")
    result = restore(tmp_path / "a.png", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path / 'out' / 'a.png'}\n"
    assert result.stderr == ""
    out = np.asarray(look(tmp_path / "out" / "a.png")).astype(float)
    assert out.shape == (60, 80, 3)
    assert np.abs(out - bicubic(pixels, 2)).max() <= 1


def test_grain_is_put_on_by_the_photo_s_name(restore: Callable, tmp_path: Path) -> None:
    for name in ("in/a.png", "in/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (40, 30), 128).save(tmp_path / name)
    for folder in ("one", "two"):
        assert restore(tmp_path / "in", "-o", tmp_path / folder, "--grain", 4).exit_code == 0
    first, again, other = (
        np.asarray(look(tmp_path / name)).astype(float)
        for name in ("one/a.png", "two/a.png", "one/b.png")
    )
    assert first.std() == pytest.approx(4, rel=0.1)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 2
    refused = restore(tmp_path / "in", "-o", tmp_path / "bad", "--grain", -1)
    assert refused.exit_code == 2


def test_photos_read_and_written_meanwhile_are_the_same(
    restore: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU. Results are named in the photos' order, and one that fails stops no other."""
    for number in range(6):
        draw(tmp_path / "in" / f"{number}.png", size=(40 + 9 * number, 30))
    (tmp_path / "in" / "2.png").write_bytes(b"none")
    first = restore(tmp_path / "in", "-o", tmp_path / "one", "--grain", 3)
    monkeypatch.setattr("redeg_cli.device.files_at_once", lambda _device: 4)
    again = restore(tmp_path / "in", "-o", tmp_path / "two", "--grain", 3)
    assert (first.exit_code, again.exit_code) == (1, 1)
    assert again.stdout == first.stdout.replace("one", "two")
    assert again.stderr == first.stderr
    made = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert made == ["0.png", "1.png", "3.png", "4.png", "5.png"]
    for name in made:
        one, two = (tmp_path / folder / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_tiles_give_the_same_photo(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", size=(120, 90))
    assert restore(tmp_path / "a.png", "-o", tmp_path / "whole").exit_code == 0
    assert restore(tmp_path / "a.png", "-o", tmp_path / "cut", "--tile", 40).exit_code == 0
    whole, cut = (np.asarray(look(tmp_path / n / "a.png")).astype(int) for n in ("whole", "cut"))
    assert np.abs(whole - cut).max() <= 1


def test_a_single_photo_can_name_its_file(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    target = tmp_path / "new" / "better.webp"
    result = restore(tmp_path / "a.png", "-o", target, "--scale", 1)
    assert result.stdout == f"{target}\n"
    assert look(target).format == "WEBP"
    assert look(target).size == (40, 30)


def test_folders_keep_their_tree(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.jpg")
    draw(tmp_path / "in" / "deep" / "er" / "ñandú 3.png")
    result = restore(tmp_path / "in", "-o", tmp_path / "out", "--format", "keep")
    assert result.exit_code == 0
    written = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*")}
    assert written == {Path("a.jpg"), Path("deep/er/ñandú 3.png")}
    assert sorted(result.stdout.splitlines()) == sorted(
        str(tmp_path / "out" / name) for name in written
    )
    assert look(tmp_path / "out" / "a.jpg").format == "JPEG"


def test_results_inside_the_input_folder_are_not_restored_again(
    restore: Callable, tmp_path: Path
) -> None:
    draw(tmp_path / "a.png")
    for _ in range(2):
        result = restore(tmp_path, "-o", tmp_path / "out", "--overwrite")
        assert result.stdout == f"{tmp_path / 'out' / 'a.png'}\n"
    assert len(list(tmp_path.rglob("*.png"))) == 2


@pytest.mark.parametrize(
    ("form", "name", "kind"),
    [("png", "a.png", "PNG"), ("jpg", "a.jpg", "JPEG"), ("keep", "a.png", "PNG")],
)
def test_formats(restore: Callable, tmp_path: Path, form: str, name: str, kind: str) -> None:
    draw(tmp_path / "a.bmp")
    assert restore(tmp_path / "a.bmp", "-o", tmp_path / "out", "--format", form).exit_code == 0
    assert look(tmp_path / "out" / name).format == kind


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("RGB", (1, 1), "RGB"),
        ("L", (33, 17), "L"),
        ("RGBA", (20, 20), "RGBA"),
        ("P", (9, 9), "RGB"),
    ],
)
def test_unusual_photos(
    restore: Callable, tmp_path: Path, mode: str, size: tuple[int, int], expected: str
) -> None:
    draw(tmp_path / "a.png", mode, size)
    result = restore(tmp_path / "a.png", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    out = look(tmp_path / "out" / "a.png")
    assert out.mode == expected
    assert out.size == (2 * size[0], 2 * size[1])


def test_sixteen_bits_are_kept(restore: Callable, tmp_path: Path) -> None:
    deep = np.arange(0, 60000, 60000 // 400, dtype=np.uint16)[:400].reshape(20, 20)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert restore(tmp_path / "deep.png", "-o", tmp_path / "o", "--scale", 1).exit_code == 0
    out = np.asarray(look(tmp_path / "o" / "deep.png")).astype(int)
    assert np.abs(out - deep).max() <= 1


def test_transparency_is_not_lost_in_a_jpeg(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "RGBA")
    result = restore(tmp_path / "a.png", "-o", tmp_path / "out", "--format", "jpg")
    assert result.exit_code == 1
    assert "transparency" in result.stderr
    assert not list(tmp_path.rglob("*.jpg"))


def test_metadata_is_kept_or_stripped(restore: Callable, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "Grandmother", 6
    Image.new("RGB", (40, 30), (90, 80, 70)).save(tmp_path / "a.jpg", exif=exif)
    assert restore(tmp_path / "a.jpg", "-o", tmp_path / "kept.jpg").exit_code == 0
    kept = look(tmp_path / "kept.jpg")
    assert kept.size == (60, 80)  # turned upright
    assert kept.getexif()[0x010E] == "Grandmother"
    assert kept.getexif()[0x0112] == 1
    arguments = ("-o", tmp_path / "bare.jpg", "--strip-metadata")
    assert restore(tmp_path / "a.jpg", *arguments).exit_code == 0
    assert not look(tmp_path / "bare.jpg").getexif()


def test_a_bad_photo_does_not_stop_the_others(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_text("not a picture")
    (tmp_path / "in" / "c.png").write_bytes(b"")
    draw(tmp_path / "in" / "d.png")
    result = restore(tmp_path / "in", tmp_path / "gone.png", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert [Path(line).name for line in result.stdout.splitlines()] == ["a.png", "d.png"]
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    for name in ("b.png", "c.png", "gone.png"):
        assert sum(name in line for line in errors) == 1
    assert "3 of 5 failed" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("what", ["missing", "empty folder", "no pictures"])
def test_nothing_to_restore_is_one_line(restore: Callable, tmp_path: Path, what: str) -> None:
    source = tmp_path / "source"
    if what != "missing":
        source.mkdir()
    if what == "no pictures":
        (source / "notes.txt").write_text("notes")
    result = restore(source, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {source} ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale", "5"], "--scale"),
        (["--tile", "8"], "--tile"),
        (["--format", "gif"], "--format"),
        (["--skip-existing", "--overwrite"], "exclude each other"),
    ],
)
def test_wrong_usage_is_code_two(
    restore: Callable, tmp_path: Path, arguments: list[str], words: str
) -> None:
    draw(tmp_path / "a.png")
    result = restore(tmp_path / "a.png", "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_a_file_name_for_several_photos_is_wrong_usage(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png")
    result = restore(tmp_path / "in", "-o", tmp_path / "out.png")
    assert result.exit_code == 2
    assert "give a folder" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale", "4"], "x4"),
        (["--precision", "fp16"], "fp16"),
        (["--precision", "lots"], "unknown precision"),
    ],
)
def test_impossible_requests_are_one_line(
    restore: Callable, tmp_path: Path, arguments: list[str], words: str
) -> None:
    draw(tmp_path / "a.png")
    result = restore(tmp_path / "a.png", "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_device_is_one_line(redeg: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    result = redeg("restore", tmp_path / "a.png", "-o", tmp_path / "out", "--device", "tpu")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: unknown device 'tpu'")


def test_json_tells_what_became_of_each_photo(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png")
    draw(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "c.png").write_text("text")
    (tmp_path / "out").mkdir()
    draw(tmp_path / "out" / "b.png")
    result = restore(tmp_path / "in", "-o", tmp_path / "out", "--json", "--skip-existing")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["model"]["scale"] == 2
    assert len(told["model"]["fingerprint"]) == 12
    assert [row["status"] for row in told["photos"]] == ["done", "skipped", "failed"]
    assert told["photos"][0]["size"] == [80, 60]
    assert told["photos"][0]["output"] == str(tmp_path / "out" / "a.png")
    assert "c.png" in told["photos"][2]["message"]


@pytest.mark.parametrize("moment", ["before the rename", "while it computes"])
def test_ctrl_c_leaves_nothing_half_written(
    restore: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    draw(tmp_path / "in" / "a.png")
    draw(tmp_path / "in" / "b.png")
    if moment == "before the rename":
        monkeypatch.setattr(files.os, "replace", interrupt)
    else:
        monkeypatch.setattr("redeg_cli.restore.photo.tiled", interrupt)
    result = restore(tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"
    assert result.stdout == ""
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_texture_blends_with_the_weights_that_have_it(redeg: Callable, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    config = {"features": 4, "blocks": 1, "scales": [2]}
    for seed, name in enumerate(("m", "m-perceptual")):
        torch.manual_seed(seed)
        tensors = {
            key: each + torch.randn_like(each) / 20
            for key, each in CompactF2N(**config).state_dict().items()
        }
        save_network(tmp_path / f"{name}.safetensors", "f2n-compact", config, tensors)
    pixels = rng.integers(60, 200, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    common = ["restore", tmp_path / "a.png", "--device", "cpu", "--precision", "fp32"]
    model = ["--model", tmp_path / "m.safetensors"]
    made = {}
    for texture in (0, 0.5, 1):
        out = tmp_path / f"{texture}.png"
        assert redeg(*common, *model, "--texture", texture, "-o", out).exit_code == 0
        made[texture] = out.read_bytes()
    assert len(set(made.values())) == 3
    partner = ["--model", tmp_path / "m-perceptual.safetensors"]
    assert redeg(*common, *partner, "-o", tmp_path / "p.png").exit_code == 0
    assert made[1] == (tmp_path / "p.png").read_bytes()
    refused = redeg(*common, *partner, "--texture", 0.5, "-o", tmp_path / "q.png")
    assert refused.exit_code == 2
    assert "no weights with texture" in refused.stderr
    assert redeg(*common, *model, "--texture", 2, "-o", tmp_path / "q.png").exit_code == 2
