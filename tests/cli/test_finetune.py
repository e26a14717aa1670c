"""``redeg finetune`` from end to end: a real face, the real detector, tiny networks."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load
from tiny_models import COMPACT

from redeg_cli.io.images import read_rgb, write_rgb
from redeg_cli.models import load_restorer, save_network
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.omega.pool import load_pool

pytestmark = pytest.mark.usefixtures("few_steps")

FILES = {
    "old_restored.png",
    "before_after.png",
    "index.html",
    "pool.npz",
    "f2n-finetuned.safetensors",
    "adapted.safetensors",
    "summary.json",
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_photo_is_restored_and_the_same_again(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    result = finetune(place.photo, "-o", tmp_path / "a", "--json", "--seed", 5)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    made = contents(tmp_path / "a")
    files = told["files"]
    single = {files[key] for key in ("page", "pool", "weights", "adapted", "summary")}
    assert set(made) == FILES == {*files["restored"], *files["before_after"], *single}
    assert json.loads(made["summary.json"]) == {
        k: v for k, v in told.items() if k not in ("folder", "failed")
    }
    (found,) = told["photos"]
    assert found["name"] == "old.png"
    assert (found["size"], found["restored_size"]) == ([192, 196], [384, 392])
    assert len(found["faces"]) == 1
    x0, y0, x1, y1 = found["faces"][0]["region"]
    # The face of this cut: eyes about (74, 72) and (118, 73), mouth at y = 113.
    assert x0 <= 74 < 118 <= x1
    assert y0 <= 72 < 113 <= y1
    assert told["chosen"] == "adapted"
    assert told["seed"] == 5
    # Every finding is on stderr.
    assert "using face of" in result.stderr
    assert "chosen: fine-tuned" in result.stderr
    assert "192x196 px, to be restored at 384x392 px" in result.stderr

    restored = read_rgb(tmp_path / "a" / "old_restored.png")
    enlarged = cv2.resize(read_rgb(place.photo), (384, 392), interpolation=cv2.INTER_CUBIC)
    assert np.abs(restored - enlarged).mean() < 0.05
    assert read_rgb(tmp_path / "a" / "before_after.png").shape == (392 + 28, 2 * 384 + 8, 3)
    page = made["index.html"].decode()
    assert page.count("data:image/jpeg;base64,") == 2 + 3  # and the face thrice
    assert page.count("data:image/png;base64,") == 2 * 4  # parts beside synthetic ones
    assert "default-src 'none'" in page
    assert load_pool(tmp_path / "a" / "pool.npz").scale == 2
    weights = tmp_path / "a" / "f2n-finetuned.safetensors"
    assert load_restorer(weights, 2)(torch.rand(1, 3, 9, 7)).shape == (1, 3, 18, 14)

    # Nothing is replaced unless it is asked for, and then the same comes out.
    refused = finetune(place.photo, "-o", tmp_path / "a")
    assert refused.exit_code == 1
    assert "give --overwrite to replace it" in refused.stderr
    assert contents(tmp_path / "a") == made
    again = finetune(place.photo, "-o", tmp_path / "a", "--overwrite", "--seed", 5)
    assert again.exit_code == 0, again.stderr
    assert again.stdout.strip() == str(tmp_path / "a" / "old_restored.png")
    remade = contents(tmp_path / "a")
    assert [
        n for n in ("old_restored.png", "before_after.png", "pool.npz") if remade[n] != made[n]
    ] == []
    first, second = (
        load(made["f2n-finetuned.safetensors"]),
        load(remade["f2n-finetuned.safetensors"]),
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_box_is_used_where_no_face_is_found(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    photo = place.folder / "empty.png"
    refused = finetune(photo, "-o", tmp_path / "out")
    assert refused.exit_code == 1
    error = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    for advice in ("no usable face", "--face-box", "--face-pair", "--region", "`redeg restore`"):
        assert advice in error[0]
    assert not (tmp_path / "out").exists()

    result = finetune(photo, "-o", tmp_path / "out", "--face-box", "16,16,80,88", "--json")
    assert result.exit_code == 0, result.stderr
    x0, y0, x1, y1 = json.loads(result.stdout)["photos"][0]["faces"][0]["region"]
    assert x0 < 48 < x1
    assert y0 < 52 < y1


def test_a_face_that_was_restored_elsewhere(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    crop = read_rgb(place.photo)[40:96, 56:112]
    write_rgb(tmp_path / "lq.png", crop)
    write_rgb(tmp_path / "hq.png", cv2.resize(crop, (112, 112)))
    pair = ("--face-pair", tmp_path / "lq.png", tmp_path / "hq.png")
    result = finetune(place.folder / "empty.png", "-o", tmp_path / "out", *pair, "--json")
    assert result.exit_code == 0, result.stderr
    (told,) = json.loads(result.stdout)["photos"]
    assert told["faces"] == []
    assert [each["name"] for each in told["given"]] == ["lq.png and hq.png"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 + 2
    assert told["faces_pasted"] == []


def test_a_region_is_told_from_the_faces(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    """The coat, beside the face."""
    sharp = cv2.resize(read_rgb(place.photo)[128:192, 16:80], (128, 128))
    write_rgb(tmp_path / "coat.png", sharp)
    region = ("--region", "16,128,80,192", tmp_path / "coat.png")
    result = finetune(place.photo, "-o", tmp_path / "out", *region, "--json")
    assert result.exit_code == 0, result.stderr
    (told,) = json.loads(result.stdout)["photos"]
    assert [face["name"].split(" of ")[0] for face in told["faces"]] == ["face"]
    assert [each["name"] for each in told["given"]] == ["coat.png at 16,128"]
    page = (tmp_path / "out" / "index.html").read_text()
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert data is not None
    face, coat = json.loads(data[1])["regions"]
    assert [label for label, _ in face["pictures"]][1] == "restored by the face restorer"
    assert [label for label, _ in coat["pictures"]][1] == "the sharp version"


def test_faces_are_pasted_only_when_asked(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    results = {}
    for rule in ("restore", "keep"):
        made = finetune(place.photo, "-o", tmp_path / rule, "--faces", rule, "--json")
        assert made.exit_code == 0, made.stderr
        results[rule] = json.loads(made.stdout)["photos"][0]["faces_pasted"]
    assert results["keep"] == []
    assert len(results["restore"]) == 1


def test_the_photo_is_restored_in_all_turns_or_in_one(
    finetune: Callable, redeg: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    """As ``redeg restore`` does it with the weights that are written, which are rounded."""
    torch.manual_seed(1)
    network = CompactF2N(**COMPACT)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
    save_network(tmp_path / "drawn.safetensors", "f2n-compact", COMPACT, network.state_dict())
    drawn = ("--model", tmp_path / "drawn.safetensors")
    made = {}
    for how, turns in (("small", []), ("plain", ["--no-turns"])):
        assert finetune(place.photo, *drawn, "-o", tmp_path / how, *turns).exit_code == 0
        made[how] = read_rgb(tmp_path / how / "old_restored.png")
        told = json.loads((tmp_path / how / "summary.json").read_text())
        assert told["photos"][0]["in_turns"] is (how == "small")
    weights = tmp_path / "small" / "f2n-finetuned.safetensors"
    redo = ("restore", place.photo, "--model", weights, "--device", "cpu", "-o")
    assert redeg(*redo, tmp_path / "small.png", "--turns").exit_code == 0
    assert redeg(*redo, tmp_path / "plain.png").exit_code == 0
    again = {how: read_rgb(tmp_path / f"{how}.png") for how in made}
    difference = np.abs(made["small"] - made["plain"]).mean()
    assert difference > 1e-3
    for how in made:
        assert np.abs(again[how] - made[how]).mean() < difference / 4


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_a_network_of_spandrel_is_tuned(
    finetune: Callable, redeg: Callable, place: SimpleNamespace, swinir: Path, tmp_path: Path
) -> None:
    """SwinIR: its own call keeps no gradients, and its state holds whole numbers."""
    result = finetune(
        place.photo, "--model", swinir, "-o", tmp_path / "a", "--faces", "keep", "--no-turns"
    )
    assert result.exit_code == 0, result.stderr
    weights = tmp_path / "a" / "f2n-finetuned.safetensors"
    for model, name in ((weights, "tuned.png"), (swinir, "before.png")):
        redo = redeg("restore", place.photo, "--model", model, "-o", tmp_path / name)
        assert redo.exit_code == 0, redo.stderr
    tuned, before = (read_rgb(tmp_path / name) for name in ("tuned.png", "before.png"))
    difference = np.abs(read_rgb(tmp_path / "a" / "old_restored.png") - tuned).mean()
    assert difference < np.abs(before - tuned).mean() / 4


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--quality", "quick"], 2, "'--quality'"),
        (["--general-share", "1.5"], 2, "'--general-share'"),
        (["--true-colours"], 2, "--true-colours needs --region or --face-pair"),
        (
            ["--face-pair", "a.png", "b.png", "--region", "0,0,9,9", "c.png"],
            2,
            "--face-pair and --region exclude each other",
        ),
        (
            ["--true-colours", "--region", "0,0,9,9", "c.png", "--face-box", "0,0,9,9"],
            2,
            "no face is used: leave --face-box out",
        ),
        (["--faces", "keep", "--face-strength", "0.5"], 2, "give --faces blend too"),
        (["--face-pair", "a.png", "b.png", "--faces", "blend"], 2, "no face is looked for with"),
        (["--face-box", "1,2,3"], 2, "expected LEFT,TOP,RIGHT,BOTTOM"),
        (["--face-box", "a,b,c,d"], 2, "expected LEFT,TOP,RIGHT,BOTTOM"),
        (["--face-box", "nan,0,inf,20"], 2, "expected LEFT,TOP,RIGHT,BOTTOM"),
        (["--face-box", "500,500,600,600"], 2, "500"),
        (["--face-box", "60,60,20,90"], 2, "60"),
        (["--scale", "3"], 2, "use 2 or 4"),
        (["--scale", "5"], 2, "'--scale'"),
        (["--scale", "4"], 2, "x4 was asked for"),
        (["--steps", "0"], 2, "'--steps'"),
        (["--hq-dir", "nowhere"], 1, "nowhere"),
        (["--model", "nothing"], 2, "no model is called 'nothing'"),
        (["--face-pair", "gone.png", "gone.png"], 1, "gone.png"),
        (["--detector", "eyes"], 2, "eyes"),
    ],
)
def test_wrong_options_are_one_line(
    finetune: Callable,
    place: SimpleNamespace,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    result = finetune(place.photo, "-o", tmp_path / "out", *arguments)
    assert result.exit_code == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    if code == 1:
        assert sum(line.startswith("error: ") for line in result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert result.stdout == ""


@pytest.mark.parametrize("kind", ["missing", "text", "folder", "tiny"])
def test_wrong_photos_are_one_line(finetune: Callable, tmp_path: Path, kind: str) -> None:
    photo = tmp_path / "photo.png"
    if kind == "text":
        photo.write_text("not a picture")
    elif kind == "folder":
        photo.mkdir()
    elif kind == "tiny":
        write_rgb(photo, np.zeros((20, 40, 3), np.float32))
    result = finetune(photo, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "photo.png" in result.stderr
    assert sum(line.startswith("error: ") for line in result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_results_go_beside_by_default(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = finetune(place.photo)
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in (tmp_path / "old_restored").iterdir()} == FILES
    assert result.stdout.strip() == str(Path("old_restored") / "old_restored.png")


def test_the_folder_of_a_link_has_its_name(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As git-annex stores files: the link is grandma.png, its target a checksum."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grandma.png").symlink_to(place.photo)
    assert finetune("grandma.png").exit_code == 0
    assert (tmp_path / "grandma_restored" / "grandma_restored.png").exists()


def test_a_photo_is_never_replaced_by_a_result(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    photos = [tmp_path / name for name in ("a.png", "a_restored.png")]
    for photo in photos:
        photo.write_bytes(place.photo.read_bytes())
    result = finetune(*photos, "-o", tmp_path, "--overwrite")
    assert result.exit_code == 1
    assert f"{photos[1]} is one of the photos" in result.stderr


@pytest.mark.parametrize("name", ["out", "out.txt"])
def test_a_file_in_the_place_of_the_folder(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    result = finetune(place.photo, "-o", tmp_path / name)
    assert result.exit_code == 1
    assert "is a file, not a folder" in result.stderr
    assert (tmp_path / name).read_text() == "mine"


def test_the_name_of_a_picture_is_no_folder(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    result = finetune(place.photo, "-o", tmp_path / "mine.png")
    assert result.exit_code == 2
    assert "is a file name, and several files are written" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_marked_scratches_are_filled_first_and_seen_before(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    """On the coat, beside the face: white in the photo and in what stands before, not after."""
    photo = np.asarray(Image.open(place.photo)).copy()
    marked = np.zeros(photo.shape[:2], np.uint8)
    marked[170:173, 20:120] = 255
    photo[marked > 0] = 255
    Image.fromarray(photo).save(tmp_path / "old.png")
    Image.fromarray(marked).save(tmp_path / "mask.png")
    result = finetune(
        tmp_path / "old.png", "-o", tmp_path / "o", "--mask", tmp_path / "mask.png", "--no-turns"
    )
    assert result.exit_code == 0, result.stderr
    assert "old.png: 0.8% of it is marked" in result.stderr
    sheet = np.asarray(Image.open(tmp_path / "o" / "before_after.png"))[28:]
    before, after = sheet[:, :384], sheet[:, 392:]
    scratch = np.s_[342, 60:220]
    assert before[scratch].mean() > 240
    assert after[scratch].mean() < 200
