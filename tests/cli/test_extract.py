"""``redeg extract-omega``: the Ω that the network itself gives, and what goes wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from degraded import draw, draw_pair, save_face_restorer, save_redegnet

from redeg_cli.io.images import read_rgb, to_tensor, write_rgb
from redeg_cli.models import load_redegnet, model_fingerprint
from redeg_cli.omega.pool import load_pool


@pytest.fixture
def extract(redeg: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Run the command in ``tmp_path``, where lq/a.png and hq/a.png lie (scale 2)."""
    save_redegnet(tmp_path / "tiny.safetensors")
    draw_pair(tmp_path, "a.png", 2)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: redeg(
        "extract-omega", *arguments, "--redegnet", "tiny.safetensors", "--device", "cpu"
    )


def test_a_pair_gives_a_pool_of_one_row(extract: Callable, tmp_path: Path) -> None:
    result = extract("lq/a.png", "hq/a.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == "a.omega.npz\n"
    assert result.stderr == ""
    pool = load_pool(tmp_path / "a.omega.npz")
    assert (pool.names, pool.notes, pool.scale) == (("a.png",), ("whole",), 2)
    assert pool.model == "tiny"
    assert pool.fingerprint == model_fingerprint(tmp_path / "tiny.safetensors")
    hq, lq = (to_tensor(read_rgb(tmp_path / side / "a.png")) for side in ("hq", "lq"))
    lq = torch.nn.functional.interpolate(lq, scale_factor=2, mode="bicubic", antialias=True)
    with torch.no_grad():
        wanted = load_redegnet(tmp_path / "tiny.safetensors").extract(hq, lq.clamp(0, 1), 2)
    assert np.abs(pool.omegas - wanted.numpy()).max() < 1e-5


def test_json_says_what_was_understood(extract: Callable) -> None:
    told = json.loads(extract("lq/a.png", "hq/a.png", "--json", "-o", "new/o.npz").stdout)
    pool = load_pool(Path("new/o.npz"))
    np.testing.assert_allclose(told["omega"], pool.omegas[0], rtol=1e-6)
    assert (told["scale"], told["native"], told["pool"]) == (2, True, "new/o.npz")
    assert (told["model"], told["fingerprint"]) == ("tiny", pool.fingerprint)


def test_an_aligned_pair_is_of_scale_four_unless_told(extract: Callable) -> None:
    told = json.loads(extract("hq/a.png", "hq/a.png", "--json").stdout)
    assert (told["scale"], told["native"]) == (4, False)
    again = extract("hq/a.png", "hq/a.png", "--json", "--scale", 1, "--overwrite")
    assert json.loads(again.stdout)["scale"] == 1


def test_an_existing_file_is_kept(extract: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.omega.npz").write_bytes(b"mine")
    result = extract("lq/a.png", "hq/a.png")
    assert result.exit_code == 1
    assert result.stderr == "error: a.omega.npz exists; give --overwrite to replace it\n"
    assert (tmp_path / "a.omega.npz").read_bytes() == b"mine"
    assert extract("lq/a.png", "hq/a.png", "--overwrite").exit_code == 0
    assert len(load_pool(tmp_path / "a.omega.npz")) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.png", "hq/a.png"), "none.png does not exist"),
        (("hq/a.png", "lq/a.png"), "swapped"),
        (("lq/a.png", "hq/a.png", "--scale", 4), "scale 2, but scale 4 was given"),
        (("small.png", "small.png"), "at least 32 px"),
        (("tiny.safetensors", "hq/a.png"), "tiny.safetensors"),
        (("lq/a.png", "hq/a.png", "-o", "hq"), "hq is a folder"),
        (("lq/a.png", "hq/a.png", "-o", "small.png/x.npz"), "is a file, not a folder"),
    ],
)
def test_a_mistake_is_one_line(extract: Callable, arguments: tuple, message: str) -> None:
    draw(Path("small.png"), (40, 20))
    result = extract(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert not Path("a.omega.npz").exists()


def write_faces() -> None:
    """Write face.png and coffee.png, and noisy, blurred LQs of both."""
    face = skimage.data.astronaut()[:256, 96:352] / 255
    coffee = skimage.data.coffee()[:256, 100:356] / 255
    for name, picture in (("face", face), ("coffee", coffee)):
        noise = np.random.default_rng(0).normal(0, 0.1, picture.shape)
        lq = np.clip(cv2.GaussianBlur(picture, (0, 0), 3) + noise, 0, 1)
        write_rgb(Path(f"{name}.png"), picture)
        write_rgb(Path(f"{name}_lq.png"), lq)


def test_two_different_pictures_are_refused(extract: Callable) -> None:
    write_faces()
    result = extract("coffee_lq.png", "face.png")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "error: coffee_lq.png and face.png do not show the same picture: their likeness is "
    )
    assert result.stderr.count("\n") == 1
    assert not Path("coffee_lq.omega.npz").exists()
    good = extract("face_lq.png", "face.png")
    assert (good.exit_code, good.stderr) == (0, "")


def test_pictures_that_are_little_alike_are_pointed_at(extract: Callable) -> None:
    write_faces()
    half = (read_rgb(Path("face.png")) + read_rgb(Path("coffee.png"))[:, ::-1]) / 2
    write_rgb(Path("half.png"), half)
    result = extract("half.png", "face.png")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: LQ and HQ are little alike (0.")


@pytest.mark.parametrize("model", ["nonsense", "none.safetensors", "face.safetensors"])
def test_a_wrong_model_is_one_line(redeg: Callable, extract: Callable, model: str) -> None:
    del extract
    save_face_restorer(Path("face.safetensors"))
    result = redeg("extract-omega", "lq/a.png", "hq/a.png", "--redegnet", model)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert model in result.stderr


def test_a_pool_is_called_npz(extract: Callable) -> None:
    for name in ("omega.png", "omega"):
        result = extract("lq/a.png", "hq/a.png", "-o", name)
        assert result.exit_code == 2
        assert "name it omega.npz" in result.stderr
        assert not Path(name).exists()
