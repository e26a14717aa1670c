"""The examples: the old photo, its figures, and the commands the shell scripts name."""

import importlib
import io
import json
import math
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch.nn.functional as F
import typer
from PIL import Image
from skimage.metrics import structural_similarity

from redeg_cli.cli.app import app
from redeg_cli.degrade.chain import load_degrader
from redeg_cli.faces.crop import face_region
from redeg_cli.faces.detect import detect_faces, select_faces
from redeg_cli.io.images import to_tensor

EXAMPLES = Path(__file__).parents[2] / "examples"
PHOTO = EXAMPLES / "old_photo.jpg"
SCRIPTS = sorted(EXAMPLES.glob("*.sh"))

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def maker(score: ModuleType) -> ModuleType:
    del score
    return importlib.import_module("make_old_photo")


@pytest.fixture(scope="module")
def score():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("score")


@pytest.fixture(scope="module")
def truth(maker: ModuleType) -> np.ndarray:
    return maker.original()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    with Image.open(PHOTO) as image:
        return np.asarray(image, dtype=np.float32) / 255


def test_old_photo_is_reproduced_at_half_the_size(maker, truth, photo):
    again = np.asarray(Image.open(io.BytesIO(maker.degraded(truth))), dtype=np.float32) / 255
    assert truth.shape == (600, 512, 3)
    assert photo.shape == again.shape == (300, 256, 3)
    assert np.abs(again - photo).mean() < 1 / 255


def test_main_writes_photo_and_original(maker, truth, tmp_path, monkeypatch, capsys):
    old, sharp = tmp_path / "old.jpg", tmp_path / "sharp.png"
    monkeypatch.setattr("sys.argv", ["x", "--output", str(old), "--original", str(sharp)])
    maker.main()
    assert capsys.readouterr().out.split() == [str(old), str(sharp)]
    assert old.read_bytes() == maker.degraded(truth)
    sharp_bgr = cv2.imread(str(sharp))
    assert sharp_bgr is not None
    assert np.array_equal(sharp_bgr[..., ::-1], np.uint8(truth * 255 + 0.5))


def test_dots_of_the_photo_have_the_stated_pitch(maker, photo):
    # The cap is black: its screen, at 45 degrees and the tilt, must be the spectrum's peak.
    patch = photo[240:300, 100:160].mean(axis=2)
    window = np.hanning(60)[:, None] * np.hanning(60)
    spectrum = np.abs(np.fft.fft2((patch - patch.mean()) * window, s=(512, 512)))
    y, x = (np.fft.fftfreq(512) for _ in range(2))
    radius = np.hypot(y[:, None], x)
    spectrum[radius < 0.1] = 0
    peak = np.unravel_index(spectrum.argmax(), spectrum.shape)
    assert 1 / radius[peak] == pytest.approx(maker.PITCH, rel=0.02)
    angle = math.degrees(math.atan2(y[peak[0]], x[peak[1]])) % 90
    assert angle == pytest.approx(45 + maker.TILT, abs=1.5)


def test_the_face_is_found_where_score_leaves_it_out(score, photo):
    faces = detect_faces(photo)
    kept, dropped = select_faces(faces, (300, 256))
    assert len(kept) == 1
    assert not dropped
    assert kept[0].score > 0.6
    assert (face_region(kept[0], (300, 256), 2),) == score.FACE_REGIONS


def test_score_of_the_original_is_perfect(score, truth):
    everywhere = np.ones(truth.shape[:2], dtype=bool)
    figures = score.score(truth, truth, everywhere)
    assert figures["psnr"] == math.inf
    assert figures["ssim"] == pytest.approx(1.0)


def test_matched_colour_undoes_an_affine_change(score, truth):
    everywhere = np.ones(truth.shape[:2], dtype=bool)
    tinted = 0.2 + truth * np.array([0.7, 0.6, 0.5], dtype=np.float32)
    figures = score.score(tinted, truth, everywhere)
    assert figures["psnr"] < 20
    assert figures["psnr_matched"] > 80
    assert figures["ssim_matched"] == pytest.approx(1.0, abs=1e-4)
    flat = score.colour_matched(np.full_like(truth, 0.5), truth, everywhere)
    assert flat[0, 0] == pytest.approx(truth.mean(axis=(0, 1), dtype=np.float64), abs=1e-4)


def test_bicubic_agrees_with_opencv(score, truth, photo):
    enlarged = cv2.resize(photo, (512, 600), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    figures = score.score_all([], score.FACE_REGIONS)["bicubic"]
    assert figures["whole"]["psnr"] == pytest.approx(cv2.PSNR(enlarged, truth, 1.0), abs=0.01)
    ssim = structural_similarity(
        enlarged,
        truth,
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert figures["whole"]["ssim"] == pytest.approx(float(ssim), abs=1e-3)
    ((x0, y0, x1, y1),) = score.FACE_REGIONS
    squares = np.square(enlarged - truth, dtype=np.float64)
    inside = squares[2 * y0 : 2 * y1, 2 * x0 : 2 * x1]
    mean = (squares.sum() - inside.sum()) / (squares.size - inside.size)
    assert figures["outside"]["psnr"] == pytest.approx(-10 * math.log10(mean), abs=0.01)


def test_bicubic_figures_as_published(score):
    figures = score.score_all([], score.FACE_REGIONS)["bicubic"]
    assert list(figures["whole"].values()) == pytest.approx([17.87, 0.240, 18.07, 0.251], abs=0.01)
    assert list(figures["outside"].values()) == pytest.approx(
        [18.17, 0.237, 18.40, 0.250], abs=0.01
    )


def test_json_with_the_regions_of_a_summary(score, maker, tmp_path, capsys):
    summary, sharp = tmp_path / "summary.json", tmp_path / "sharp.png"
    photo = {"faces": [{"region": [0, 0, 256, 200]}]}
    summary.write_text(json.dumps({"photos": [photo]}))
    maker.write_rgb(sharp, maker.original())
    score.main([str(sharp), "--summary", str(summary), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["regions"] == [[0, 0, 256, 200]]
    assert result["pictures"][str(sharp)]["outside"]["psnr"] is None
    whole, outside = (result["pictures"]["bicubic"][key] for key in ("whole", "outside"))
    assert outside["psnr"] != pytest.approx(whole["psnr"], abs=0.05)


@pytest.mark.parametrize(
    "content", ["{}", "no json", '{"photos": [{"faces": [{"region": [1, 2]}]}]}', '{"photos": []}']
)
def test_a_wrong_summary_is_one_line(score, content, tmp_path):
    summary = tmp_path / "summary.json"
    summary.write_text(content)
    with pytest.raises(SystemExit, match=r"^error: .*not a summary of redeg finetune.*$"):
        score.main(["--summary", str(summary)])


def test_a_picture_of_another_size_is_one_line(score):
    with pytest.raises(SystemExit, match=r"^error: .*256 x 300 px.*--scale 2$"):
        score.main([str(PHOTO)])


def test_there_are_five_scripts():
    names = {"extract_omega.sh", "build_pool_and_synthesize.sh", "finetune_and_restore.sh"}
    names |= {"surveillance_faces.sh", "teach.sh"}
    assert {path.name for path in SCRIPTS} == names


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_parses(script):
    run = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_names_only_existing_commands_and_options(script):
    calls = _redeg_calls(script.read_text())
    assert calls
    for words in calls:
        known = _options(words)
        unknown = [word for word in words if word.startswith("-") and word not in known]
        assert not unknown, f"redeg {shlex.join(words)}"


def _redeg_calls(text: str) -> list[list[str]]:
    """Return the words after ``redeg`` of every call in a script, bash arrays resolved."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    arrays = " ".join(re.findall(r"options\+?=\(([^)]*)\)", joined))
    calls = re.findall(r"(?:^|! )\s*redeg ([^;\n]*)", joined, flags=re.MULTILINE)
    return [shlex.split(call.replace('"${options[@]}"', arrays)) for call in calls]


def _options(words: list[str]) -> set[str]:
    """Return the options of the command the words name; fail when there is no such command."""
    group = typer.main.get_command(app)
    for word in words:
        if not hasattr(group, "get_command"):
            break
        command = group.get_command(None, word)  # pyright: ignore[reportAttributeAccessIssue]
        assert command is not None, f"redeg {shlex.join(words)}: no command {word!r}"
        group = command
    return {option for parameter in group.params for option in parameter.opts}


@pytest.mark.parametrize("chain", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_a_degrader_of_the_examples_degrades(chain, truth):
    degrader = load_degrader(chain, 2)
    hq = to_tensor(truth[:128, :128])
    lq = degrader.apply(hq, [degrader.draw(3)])
    assert lq.shape == (1, 3, 64, 64)
    assert (lq - F.avg_pool2d(hq, 2)).abs().mean() > 0.01
