"""The whole job on a photo of 64 pixels with a face pair that was brought: no detector is run."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from tiny_models import REDEGNET

from redeg_cli.degrade.steps import StepTable, run_steps
from redeg_cli.errors import InputError, ModelError, NoFaceError, PairError
from redeg_cli.finetune import album as album_module
from redeg_cli.finetune import pages as pages_module
from redeg_cli.finetune import summary as summary_module
from redeg_cli.finetune.album import Finetuned, finetune_photo
from redeg_cli.finetune.settings import Settings
from redeg_cli.finetune.tune import Tuning, copy_state
from redeg_cli.io.images import Photo, read_photo, to_array, to_tensor, write_rgb
from redeg_cli.models import load_restorer, save_network
from redeg_cli.nets.lite import COLOURS, PRINT, ReDegNetLite
from redeg_cli.nets.wrap import Restorer
from redeg_cli.omega.printed import Print, read_code
from redeg_cli.restore.photo import restore_photo

Scene = Callable[..., np.ndarray]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def margin(
    monkeypatch: pytest.MonkeyPatch, value: float, lost: float = 0.0, dirt: float = 100.0
) -> None:
    monkeypatch.setattr(summary_module, "MARGIN", value)
    monkeypatch.setattr(summary_module, "SMOOTH_MARGIN", value)
    monkeypatch.setattr(summary_module, "LOST", lost)
    monkeypatch.setattr(summary_module, "SMOOTH_LOST", lost)
    monkeypatch.setattr(summary_module, "DIRT", dirt)


def assert_restored_by(result: Finetuned, photo: Photo, restorer: Restorer) -> None:
    turned = result.summary["photos"][0]["in_turns"]
    wanted = restore_photo(photo, restorer, device="cpu", turns=turned)
    # The weights lie otherwise in memory: sums are rounded otherwise.
    np.testing.assert_allclose(result.restored[0].rgb, wanted.rgb, atol=1e-6)


def test_the_general_restorer_is_kept_where_fine_tuning_is_far_behind(
    photo: Photo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    margin(monkeypatch, 100.0, lost=-100.0)
    said: list[str] = []
    result = finetune_photo(photo, settings, say=said.append)
    assert (result.summary["chosen"], result.summary["share"]) == ("general", 0)
    assert result.summary["kept_step"] == 0
    restorer = load_restorer(settings.model, 2)
    assert same(result.state, copy_state(restorer.network))
    assert_restored_by(result, photo, restorer)
    assert any("the general restorer is kept" in line for line in said)


def test_the_general_restorer_is_kept_where_half_of_it_leaves_dirt(
    photo: Photo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    margin(monkeypatch, 100.0, lost=100.0, dirt=-100.0)
    said: list[str] = []
    result = finetune_photo(photo, settings, say=said.append)
    assert (result.summary["chosen"], result.summary["share"]) == ("general", 0)
    assert math.isfinite(result.summary["dirt"])
    restorer = load_restorer(settings.model, 2)
    assert same(result.state, copy_state(restorer.network))
    assert_restored_by(result, photo, restorer)
    assert any("more fine detail" in line for line in said)


def test_half_of_it_is_taken_where_the_faces_do_not_tell(
    photo: Photo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    margin(monkeypatch, -100.0)
    whole = finetune_photo(photo, settings)
    margin(monkeypatch, 100.0, lost=100.0)
    said: list[str] = []
    half = finetune_photo(photo, settings, say=said.append)
    assert (whole.summary["share"], half.summary["share"]) == (1, 0.5)
    assert half.summary["chosen"] == whole.summary["chosen"] != "general"
    restorer = load_restorer(settings.model, 2)
    general = copy_state(restorer.network)
    for name, weights in half.state.items():
        torch.testing.assert_close(weights, (general[name] + whole.state[name]) / 2)
    assert not same(half.state, general)
    restorer.network.load_state_dict(half.state)
    assert_restored_by(half, photo, restorer)
    assert any("half-way between the general restorer" in line for line in said)


def test_a_better_one_is_chosen_and_used(
    photo: Photo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    margin(monkeypatch, -100.0)
    said: list[str] = []
    result = finetune_photo(photo, settings, say=said.append)
    assert result.summary["chosen"] == "adapted"
    assert any(line.startswith("chosen: fine-tuned") for line in said)
    restorer = load_restorer(settings.model, 2)
    assert not same(result.state, copy_state(restorer.network))
    restorer.network.load_state_dict(result.state)
    assert_restored_by(result, photo, restorer)
    assert result.summary["kept_step"] == result.summary["steps"] == 4
    assert [check["steps"] for check in result.summary["checks"]] == [4]
    scores = result.summary["held_out_scores"]
    assert set(scores) == {"general", "adapted"}


@pytest.mark.parametrize("steps", [40, 80])
def test_a_tuning_that_diverges_does_not_spoil_the_general_restorer(
    photo: Photo, settings: Settings, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """At once, and after a check that was far behind."""
    run = Tuning.run

    def diverge(tuning: Tuning, count: int, *more: Any) -> None:
        run(tuning, 1, *more)
        tuning.done += count - 1
        if tuning.done >= steps:
            tuning.losses.append(math.nan)
            tuning.state = {name: each * math.nan for name, each in tuning.state.items()}
            tuning.restorer.network.load_state_dict(tuning.state)

    monkeypatch.setattr(Tuning, "run", diverge)
    margin(monkeypatch, 100.0, lost=-100.0)
    said: list[str] = []
    result = finetune_photo(photo, replace(settings, steps=80), say=said.append)
    assert f"fine-tuning diverged, within {steps} steps" in said
    assert any(line.startswith("the general restorer is kept") for line in said)
    assert len(result.summary["checks"]) == steps // 40 - 1
    assert (result.summary["chosen"], result.summary["kept_step"]) == ("general", 0)
    restorer = load_restorer(settings.model, 2)
    assert same(result.state, copy_state(restorer.network))
    assert_restored_by(result, photo, restorer)
    assert np.isfinite(sum(result.curves["adapted"]))


def test_the_summary_and_the_pool(photo: Photo, settings: Settings) -> None:
    result = finetune_photo(photo, settings)
    summary = result.summary
    (found,) = summary["photos"]
    assert (found["size"], found["restored_size"]) == ([64, 64], [128, 128])
    assert found["faces"] == []
    assert [each["name"] for each in found["given"]] == ["lq.png and hq.png"]
    assert "region" not in found["given"][0]
    assert found["faces_pasted"] == []
    assert len(summary["models"]["redegnet"]["fingerprint"]) == 12
    assert len(result.pool) == 2
    assert result.pool.fingerprint == summary["models"]["redegnet"]["fingerprint"]
    assert result.pool.scale == 2


def test_the_seed_decides(
    photo: Photo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    margin(monkeypatch, -100.0)
    first, again, other = (
        finetune_photo(photo, replace(settings, seed=seed, adapt_steps=1)) for seed in (3, 3, 4)
    )
    assert same(first.state, again.state)
    np.testing.assert_array_equal(first.restored[0].rgb, again.restored[0].rgb)
    assert not same(first.state, other.state)


def test_progress_never_goes_back_and_ends(photo: Photo, settings: Settings) -> None:
    told: list[tuple[int, int, str]] = []
    finetune_photo(photo, settings, lambda done, total, text="": told.append((done, total, text)))
    done = [row[0] for row in told]
    assert done == sorted(done)
    assert done[-1] == told[-1][1] == 1000
    assert {row[2] for row in told} >= {"fine-tuning the restorer", "restoring the photo", "done"}


@pytest.mark.parametrize("steps", [1, 3])
def test_very_few_steps(photo: Photo, settings: Settings, steps: int) -> None:
    result = finetune_photo(photo, replace(settings, steps=steps, adapt_steps=1))
    assert 1 <= result.summary["steps"] <= steps


def test_gray_and_transparent_photos_stay_so(photo: Photo, settings: Settings) -> None:
    gray = np.repeat(photo.rgb.mean(2, keepdims=True), 3, 2)
    alpha = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    result = finetune_photo(replace(photo, rgb=gray, gray=True, alpha=alpha), settings)
    rgb = result.restored[0].rgb
    np.testing.assert_array_equal(rgb[..., 0], rgb[..., 2])
    assert result.restored[0].alpha is not None
    assert result.restored[0].alpha.shape == (128, 128)


def test_a_photo_without_a_face_says_what_can_be_done(photo: Photo, settings: Settings) -> None:
    with pytest.raises(
        NoFaceError, match=r"no usable face.*--face-box.*--face-pair.*redeg restore"
    ):
        finetune_photo(photo, replace(settings, face_pair=None))
    boxed = replace(settings, face_pair=None, boxes=((8.0, 8.0, 18.0, 19.0),))
    with pytest.raises(NoFaceError, match=r"no usable face.*give another --face-box LEFT"):
        finetune_photo(photo, boxed)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scale": 4}, ModelError, "x4 was asked for"),
        ({"redegnet": "model"}, ModelError, "wanted a redegnet model"),
        ({"model": "redegnet"}, ModelError, "wanted a restorer model"),
        ({"model": "nothing-like-it"}, ModelError, "no model is called"),
        ({"hq_dir": Path("nowhere")}, InputError, "nowhere"),
    ],
)
def test_wrong_models_and_folders_are_one_line(
    photo: Photo, settings: Settings, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    for key, value in change.items():
        if value in ("model", "redegnet"):
            change = {key: getattr(settings, value)}
    with pytest.raises(error, match=message) as raised:
        finetune_photo(photo, replace(settings, **change))
    assert "\n" not in str(raised.value)


def test_a_wrong_folder_is_told_before_the_work(
    photo: Photo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("faces were sought first")

    monkeypatch.setattr(pages_module, "photo_pairs", work)
    with pytest.raises(InputError, match="nowhere"):
        finetune_photo(photo, replace(settings, hq_dir=Path("nowhere"), face_pair=None))


def test_a_photo_must_have_32_pixels(photo: Photo, settings: Settings) -> None:
    with pytest.raises(InputError, match="32"):
        finetune_photo(replace(photo, rgb=photo.rgb[:20]), settings)


def test_a_region_needs_no_face(photo: Photo, settings: Settings, tmp_path: Path) -> None:
    sharp = cv2.resize(photo.rgb[8:56, 8:56], (96, 96), interpolation=cv2.INTER_CUBIC)
    write_rgb(tmp_path / "sharp.png", sharp.clip(0, 1))
    region = ((8.0, 8.0, 56.0, 56.0), tmp_path / "sharp.png")
    result = finetune_photo(photo, replace(settings, face_pair=None, region=region))
    (found,) = result.summary["photos"]
    assert found["faces"] == []
    (given,) = found["given"]
    assert given["name"] == "sharp.png at 16,16"
    assert given["region"] == [16, 16, 56, 56]
    assert found["faces_not_used"]


def test_a_wrong_region_is_told_before_the_faces(
    photo: Photo, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("faces were sought first")

    monkeypatch.setattr(pages_module, "photo_pairs", work)
    for region in (((60.0, 60.0, 20.0, 90.0), tmp_path / "hq.png"), ((0, 0, 48, 48), Path("gone"))):
        with pytest.raises((InputError, PairError), match=r"60|gone"):
            finetune_photo(photo, replace(settings, face_pair=None, region=region))


def fade(rgb: np.ndarray) -> np.ndarray:
    """Brown paper, gray ink, darker middle tones."""
    black, white = np.array([0.18, 0.15, 0.12]), np.array([0.92, 0.84, 0.66])
    return (black + (white - black) * rgb**1.25).astype(np.float32)


@pytest.mark.parametrize("faded", [True, False])
@pytest.mark.parametrize("how", ["region", "face_pair"])
def test_true_colours_are_those_of_the_sharp_version(
    settings: Settings, tmp_path: Path, faded: bool, how: str
) -> None:
    full = skimage.data.astronaut()[:256, 100:356].astype(np.float32) / 255
    small = cv2.resize(full, (128, 128), interpolation=cv2.INTER_AREA)
    write_rgb(tmp_path / "photo.png", fade(small) if faded else small)
    write_rgb(tmp_path / "sharp.png", full[32:224, 32:224])
    write_rgb(tmp_path / "crop.png", (fade(small) if faded else small)[16:112, 16:112])
    brought: dict[str, Any] = {"face_pair": None, "region": None}
    brought[how] = {
        "region": ((16.0, 16.0, 112.0, 112.0), tmp_path / "sharp.png"),
        "face_pair": (tmp_path / "crop.png", tmp_path / "sharp.png"),
    }[how]
    said: list[str] = []
    photo = read_photo(tmp_path / "photo.png")
    result = finetune_photo(photo, replace(settings, true_colours=True, **brought), say=said.append)
    assert result.adapted is not None
    tone = result.adapted[0].tone
    assert result.summary["colours_put_right"] == faded
    assert any(("are put right" in line) == faded for line in said if "colours" in line)
    if not faded:
        assert tone is None
        return
    assert tone is not None
    made = tone.apply(torch.from_numpy(full.transpose(2, 0, 1).copy())[None])[0]
    wanted = fade(full).transpose(2, 0, 1)
    assert np.abs(made.numpy() - wanted).mean() < 0.015
    assert np.abs(full.transpose(2, 0, 1) - wanted).mean() > 0.08


def test_other_colours_are_the_photos_own_unless_said_otherwise(
    settings: Settings, tmp_path: Path
) -> None:
    full = skimage.data.astronaut()[:256, 100:356].astype(np.float32) / 255
    small = cv2.resize(full, (128, 128), interpolation=cv2.INTER_AREA)
    write_rgb(tmp_path / "photo.png", fade(small))
    write_rgb(tmp_path / "sharp.png", full[32:224, 32:224])
    region = ((16.0, 16.0, 112.0, 112.0), tmp_path / "sharp.png")
    result = finetune_photo(
        read_photo(tmp_path / "photo.png"), replace(settings, face_pair=None, region=region)
    )
    assert result.adapted is not None
    assert result.adapted[0].tone is None
    assert result.summary["colours_put_right"] is False


def test_a_print_is_told_and_made_again(
    photo: Photo, settings: Settings, scene: Scene, tmp_path: Path
) -> None:
    net = ReDegNetLite(**REDEGNET)
    with torch.no_grad():
        net.synnet.style[0].weight[:, COLOURS.start :] = 0  # pyright: ignore[reportIndexIssue]
    save_network(tmp_path / "d.safetensors", "redegnet-lite", REDEGNET, net.state_dict())
    steps: list[StepTable] = [
        {"op": "halftone", "pitch": 7.0, "angles": [30.0], "seed": 1},
        {"op": "blur", "sigma": 0.8},
        {"op": "resize", "of": "native", "filter": "bicubic", "antialias": True},
    ]
    sharp = scene(160, 192)
    write_rgb(tmp_path / "hq.png", sharp)
    write_rgb(tmp_path / "lq.png", to_array(run_steps(to_tensor(sharp), steps, 2)))
    said: list[str] = []
    result = finetune_photo(photo, settings, say=said.append)
    found = result.summary["print"]
    assert found["pitch"] == pytest.approx(3.5, rel=0.01)
    assert found["angles"] == pytest.approx([30.0], abs=0.5)
    assert any(line.startswith("printed in dots, 3.5 px of the photo apart") for line in said)
    # Ω alone and the adapted network both print; a lattice has nothing left to do.
    assert all(read_code(torch.from_numpy(omega[PRINT])) for omega in result.pool.omegas)
    assert result.adapted is not None
    adapted, _ = result.adapted
    assert adapted.lattice is None
    again = read_code(adapted.omega[0, PRINT])
    assert again is not None
    assert again.pitch == pytest.approx(7.0, rel=0.01)


def test_a_photo_that_was_not_printed_is_not_adapted_to_the_prints_of_others(
    photo: Photo, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = ReDegNetLite(**REDEGNET)
    net.make_room()
    save_network(tmp_path / "d.safetensors", "redegnet-lite", REDEGNET, net.state_dict())
    printed = Print(7.0, (30.0,)).code().numpy()
    extract = album_module._extract

    def as_of_an_album(*args: Any) -> Any:
        pool = extract(*args)
        pool.omegas[:, PRINT] = printed
        return pool

    monkeypatch.setattr(album_module, "_extract", as_of_an_album)
    result = finetune_photo(photo, settings)
    assert result.summary["print"] is None
    assert result.adapted is not None
    assert read_code(result.adapted[0].omega[0, PRINT]) is None
