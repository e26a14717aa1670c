"""``redeg build-pool`` and ``redeg pool``: pairs and photos in, good and bad ones."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from degraded import draw, draw_pair, save_face_restorer, save_pool, save_redegnet

from redeg_cli.io.images import write_rgb
from redeg_cli.io.lock import file_lock
from redeg_cli.io.pairs import ImagePair
from redeg_cli.omega import extract as extracting
from redeg_cli.omega import photo_pairs
from redeg_cli.omega.pool import Pool, load_pool


def find_place(note: str) -> bool:
    """Tell whether a note says where in the region of a face, and where in the photo, it was."""
    return bool(re.fullmatch(r"crop at \d+,\d+ of .*; region at \d+,\d+ of \d+x\d+ px", note))


@pytest.fixture
def build(redeg: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Run ``build-pool`` in ``tmp_path``, where pairs/ holds three pairs of two scales."""
    save_redegnet(tmp_path / "tiny.safetensors")
    draw_pair(tmp_path / "pairs", "a.png", 1)
    draw_pair(tmp_path / "pairs", "deep/bb.png", 2)
    draw_pair(tmp_path / "pairs", "ñ c.png", 2)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: redeg(
        "build-pool", *arguments, "--redegnet", "tiny.safetensors", "--device", "cpu"
    )


def test_pairs_become_a_pool(build: Callable) -> None:
    result = build("pairs", "-o", "new/pool.npz", "--crops", 3)
    assert result.exit_code == 0, result.output
    assert result.stdout == "new/pool.npz\n"
    pool = load_pool(Path("new/pool.npz"))
    assert pool.names == tuple(n for n in ("a.png", "deep/bb.png", "ñ c.png") for _ in range(3))
    assert pool.scales.tolist() == [4] * 3 + [2] * 6  # one size: aligned, 4 unless told
    assert [note == "whole" for note in pool.notes] == [True, False, False] * 3
    assert result.stderr.startswith("9 Ωs of 3 pairs, spread 0.")


def test_what_is_for_faces_is_refused_for_pairs(build: Callable) -> None:
    refused = build("pairs", "-o", "pool.npz", "--max-faces", 3)
    assert refused.exit_code == 2
    assert "--max-faces are for the faces of --photos" in " ".join(refused.stderr.split())
    assert not Path("pool.npz").exists()


def test_the_same_command_gives_the_same_file(build: Callable) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert build("pairs", "-o", f"{name}.npz", "--crops", 4, "--seed", seed).exit_code == 0
    a, b, c = (Path(f"{name}.npz").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_pair_does_not_depend_on_its_neighbours(build: Callable) -> None:
    build("pairs", "-o", "all.npz", "--crops", 4)
    Path("pairs/lq/a.png").unlink()
    Path("pairs/hq/a.png").unlink()
    build("pairs", "-o", "less.npz", "--crops", 4)
    less = load_pool(Path("less.npz"))
    assert np.array_equal(load_pool(Path("all.npz")).omegas[4:], less.omegas)


def test_failed_pairs_are_named_and_the_others_go_on(build: Callable) -> None:
    draw(Path("pairs/lq/odd.png"), (30, 30))
    draw(Path("pairs/hq/odd.png"), (75, 75))
    Path("pairs/lq/text.png").write_text("no picture", encoding="utf-8")
    draw(Path("pairs/hq/text.png"))
    draw(Path("pairs/lq/alone.png"))
    result = build("pairs", "-o", "pool.npz", "--crops", 1, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["omegas"], told["pairs"], told["scales"]) == (3, 3, [2, 4])
    assert len(told["failed"]) == 3
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    for words in (("odd.png", "2.5"), ("text.png",), ("alone.png", "no partner")):
        assert any(all(word in line for word in words) for line in errors), words
    assert len(load_pool(Path("pool.npz"))) == 3


def test_pairs_of_two_pictures_fail_and_the_others_go_on(build: Callable) -> None:
    face = skimage.data.astronaut()[:256, 96:352] / 255
    write_rgb(Path("pairs/hq/mixed.png"), face)
    write_rgb(Path("pairs/lq/mixed.png"), skimage.data.coffee()[:256, 100:356] / 255)
    write_rgb(Path("pairs/hq/right.png"), face)
    write_rgb(Path("pairs/lq/right.png"), face[::2, ::2] * 0.3 + 0.5)
    result = build("pairs", "-o", "pool.npz", "--crops", 1, "--json")
    assert result.exit_code == 1
    (failed,) = json.loads(result.stdout)["failed"]
    assert failed["name"] == "mixed.png"
    for words in ("lq/mixed.png", "hq/mixed.png", "do not show the same picture"):
        assert words in failed["message"]
    assert set(load_pool(Path("pool.npz")).names) == {
        "a.png",
        "deep/bb.png",
        "right.png",
        "ñ c.png",
    }


def test_nothing_usable_writes_nothing(build: Callable) -> None:
    draw(Path("bad/lq/odd.png"), (30, 30))
    draw(Path("bad/hq/odd.png"), (75, 75))
    result = build("bad", "-o", "pool.npz")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "2.5" in result.stderr
    assert not Path("pool.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-o", "pool.npz"), 2, "--photos"),
        (("pairs", "-o", "there.npz"), 1, "--overwrite"),
        (("none", "-o", "pool.npz"), 1, "none does not exist"),
        (("pairs/hq", "-o", "pool.npz"), 1, "lq/"),
        (("--photos", "none", "-o", "pool.npz"), 1, "none does not exist"),
        (("pairs", "-o", "pool.npz", "--crops", 0), 2, "--crops"),
        (("--photos", "pairs", "-o", "p.npz", "--face-restorer", "tiny.safetensors"), 2, "face"),
    ],
)
def test_a_mistake_is_told(build: Callable, arguments: tuple, code: int, message: str) -> None:
    Path("there.npz").touch()
    result = build(*arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert message in result.stderr
    if code == 1:
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
    assert Path("there.npz").read_bytes() == b""


def test_faces_of_photos_become_pairs(build: Callable) -> None:
    save_face_restorer(Path("face.safetensors"))
    write_rgb(Path("photos/astronaut.png"), skimage.data.astronaut()[:300, 60:400] / 255)
    write_rgb(Path("photos/wall.png"), np.full((120, 160, 3), 0.5))
    restorer = ("--face-restorer", "face.safetensors")
    arguments = ("--photos", "photos", *restorer, "--scale", 2, "--crops", 2)
    result = build("-o", "pool.npz", *arguments)
    assert result.exit_code == 0, result.stderr
    assert "wall.png: no usable face (no face was found)" in result.stderr
    assert "1 of 2 without a face" in result.stderr
    assert result.stdout == "pool.npz\n"
    pool = load_pool(Path("pool.npz"))
    assert pool.names == ("astronaut.png face 1",) * 2
    assert pool.notes[0].startswith("whole; region at ")
    assert find_place(pool.notes[1])
    assert pool.scales.tolist() == [2, 2]
    both = build("pairs", "-o", "both.npz", "--photos", "photos/astronaut.png", *arguments[2:])
    assert both.exit_code == 0, both.stderr
    assert len(load_pool(Path("both.npz"))) == 8


FACE = ("--face-restorer", "face.safetensors", "--scale", 2, "--crops", 1)


def test_a_photo_without_a_face_is_not_searched_again(
    build: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_face_restorer(Path("face.safetensors"))
    write_rgb(Path("photos/1.png"), np.full((120, 160, 3), 0.5))
    write_rgb(Path("photos/2.png"), skimage.data.astronaut()[:300, 60:400] / 255)
    find, searched = photo_pairs.photo_pairs, []

    def stopped(rgb: np.ndarray, *rest: object, **how: object) -> object:
        if searched:
            raise KeyboardInterrupt
        searched.append(rgb.shape)
        return find(rgb, *rest, **how)  # pyright: ignore

    with monkeypatch.context() as patch:
        patch.setattr(photo_pairs, "photo_pairs", stopped)
        assert build("--photos", "photos", "-o", "pool.npz", *FACE).exit_code == 130
    result = build("--photos", "photos", "-o", "pool.npz", *FACE, "--json")
    assert result.exit_code == 0, result.stderr
    assert "carrying on from pool.npz.part: 1 of 2 are done" in result.stderr
    told = json.loads(result.stdout)
    assert (told["without_face"], told["failed"]) == (["1.png"], [])
    assert told["dropped"] == {"1.png": ["no face was found"]}


def test_photos_without_any_face_are_a_failure(build: Callable) -> None:
    save_face_restorer(Path("face.safetensors"))
    write_rgb(Path("photos/1.png"), np.full((120, 160, 3), 0.5))
    write_rgb(Path("photos/2.png"), np.full((120, 160, 3), 0.4))
    result = build("--photos", "photos", "-o", "pool.npz", *FACE)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith(
        "error: none of the photos has a usable face: "
    )
    assert not Path("pool.npz").exists()
    # Beside pairs they are only left out.
    assert build("pairs", "--photos", "photos", "-o", "pool.npz", *FACE).exit_code == 0


def test_photos_that_a_shell_put_in_the_place_of_a_pattern(build: Callable) -> None:
    save_face_restorer(Path("face.safetensors"))
    for name in ("1.png", "2.jpg", "3.PNG"):
        write_rgb(Path("photos") / name, skimage.data.astronaut()[:300, 60:400] / 255)
    photos = [f"photos/{name}" for name in ("1.png", "2.jpg", "3.PNG")]
    result = build("--photos", *photos, "pairs", "-o", "pool.npz", *FACE, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["pairs"] == 6
    refused = build(*photos, "-o", "other.npz")
    assert refused.exit_code == 1
    assert "photos/1.png is not a set of pairs" in refused.stderr


def test_two_cannot_build_one_pool(build: Callable) -> None:
    pytest.importorskip("fcntl", reason="nothing is locked on Windows")
    with file_lock(Path("pool.npz")):
        refused = build("pairs", "-o", "pool.npz", "--crops", 1)
        assert refused.exit_code == 1
        wanted = "error: another redeg is at work on pool.npz: wait for it, or give another file\n"
        assert refused.stderr == wanted
        assert not Path("pool.npz.part").exists()
        assert build("pairs", "-o", "other.npz", "--crops", 1).exit_code == 0
    assert build("pairs", "-o", "pool.npz", "--crops", 1).exit_code == 0
    assert not list(Path().glob(".*"))


def test_a_pool_that_another_has_just_written_is_not_replaced(
    build: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def finished_before(output: Path) -> Iterator[None]:
        output.write_bytes(b"theirs")
        with file_lock(output):
            yield

    monkeypatch.setattr("redeg_cli.io.lock.file_lock", finished_before)
    result = build("pairs", "-o", "pool.npz", "--crops", 1)
    assert result.exit_code == 1
    assert result.stderr == "error: pool.npz exists; give --overwrite to replace it\n"
    assert Path("pool.npz").read_bytes() == b"theirs"


def test_a_stopped_run_goes_on(build: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    build("pairs", "-o", "whole.npz", "--crops", 2)
    taken: list[str] = []
    extract = extracting.build_omegas

    def stopped(net: object, pair: ImagePair, *rest: object) -> object:
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(pair.name)
        return extract(net, pair, *rest)  # pyright: ignore

    monkeypatch.setattr(extracting, "build_omegas", stopped)
    interrupted = build("pairs", "-o", "pool.npz", "--crops", 2)
    assert interrupted.exit_code == 130
    assert "stopped: the same command carries on from pool.npz.part" in interrupted.stderr
    assert not Path("pool.npz").exists()
    other = build("pairs", "-o", "pool.npz", "--crops", 3)
    assert other.exit_code == 1
    assert "pool.npz.part is of a run with other settings" in other.stderr
    taken.clear()
    result = build("pairs", "-o", "pool.npz", "--crops", 2)
    assert result.exit_code == 0, result.output
    assert taken == ["ñ c.png"]
    assert "carrying on from pool.npz.part: 2 of 3 are done" in result.stderr
    assert Path("pool.npz").read_bytes() == Path("whole.npz").read_bytes()
    assert not Path("pool.npz.part").exists()


def test_a_file_that_changes_meanwhile_stays_in_the_pool(
    build: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = extracting.build_omegas

    def touched(net: object, pair: ImagePair, *rest: object) -> object:
        made = extract(net, pair, *rest)  # pyright: ignore
        pair.lq.write_bytes(pair.lq.read_bytes() + b" ")
        return made

    monkeypatch.setattr(extracting, "build_omegas", touched)
    result = build("pairs", "-o", "pool.npz", "--crops", 1)
    assert result.exit_code == 0, result.output
    assert load_pool(Path("pool.npz")).names == ("a.png", "deep/bb.png", "ñ c.png")


def test_info_and_merge(redeg: Callable, tmp_path: Path) -> None:
    net = save_redegnet(tmp_path / "tiny.safetensors")
    a = save_pool(tmp_path / "a.npz", net, 3)
    b = save_pool(tmp_path / "b.npz", net, 2, scale=4)
    merged = redeg("pool", "merge", a, b, "-o", tmp_path / "ab.npz")
    assert merged.stdout == f"{tmp_path / 'ab.npz'}\n"
    told = json.loads(redeg("pool", "info", a, tmp_path / "ab.npz", "--json").stdout)
    assert [each["omegas"] for each in told] == [3, 5]
    assert told[1]["scales"] == [2, 4]
    assert told[0]["spread"] == pytest.approx(np.sqrt(2 / 3), abs=0.1)
    first, *lines = redeg("pool", "info", a).stdout.splitlines()
    assert first.startswith(f"{a}: 3 Ωs of 3 pairs, scale 2, spread 0.")
    assert [line.split(":")[0] for line in lines] == [
        "  nearest neighbour",
        "  exact duplicates",
        "  near duplicates (closer than 1% of the radius)",
        "  outliers (distance to the 5 nearest of other pairs, modified z-score > 3.5)",
    ]
    twice = redeg("pool", "merge", a, a, "-o", tmp_path / "aa.npz")
    assert twice.stderr == "pools that hold the same Ωs are taken once\n"
    assert len(load_pool(tmp_path / "aa.npz")) == 3
    again = redeg("pool", "merge", a, b, "-o", tmp_path / "ab.npz")
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr


def test_info_tells_what_is_double_and_what_is_odd(redeg: Callable, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((30, 512)).astype(np.float32)
    rows[7], rows[12] = rows[3], rows[12] * 20
    rows[20] = rows[21] + 1e-4
    names = tuple(f"{'blur' if i < 20 else 'noise'}/{i}.png" for i in range(30))
    notes = ("whole",) * 30
    pool = tmp_path / "pool.npz"
    Pool(rows, names, np.full(30, 4), "m", "f" * 12, notes).save(pool)
    (told,) = json.loads(redeg("pool", "info", pool, "--json").stdout)
    assert told["groups"] == {"blur": 20, "noise": 10}
    assert told["exact_duplicates"] == [
        [{"row": i, "name": f"blur/{i}.png", "note": "whole"} for i in (3, 7)]
    ]
    assert [[row["row"] for row in rows] for rows in told["near_duplicates"]] == [[20, 21]]
    assert [row["name"] for row in told["outliers"]] == ["blur/12.png"]
    assert told["outliers"][0]["score"] > 3.5
    assert told["nearest_is_same_pair"] is None
    lines = redeg("pool", "info", pool).stdout.splitlines()
    assert lines[1] == "  folders: blur 20, noise 10"
    assert lines[3] == "  exact duplicates: 2, blur/3.png (whole) = blur/7.png (whole)"
    assert lines[4].endswith(": 2, noise/20.png (whole) = noise/21.png (whole)")
    assert ": 1, blur/12.png (whole) " in lines[5]


def test_pools_of_two_models_do_not_merge(redeg: Callable, tmp_path: Path) -> None:
    first = save_redegnet(tmp_path / "first.safetensors")
    second = save_redegnet(tmp_path / "second.safetensors", seed=1)
    a = save_pool(tmp_path / "a.npz", first)
    b = save_pool(tmp_path / "b.npz", second)
    result = redeg("pool", "merge", a, b, "-o", tmp_path / "ab.npz")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {b} was made by second")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "ab.npz").exists()


def test_what_is_no_pool_is_one_line(redeg: Callable, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_text("no pool")
    for arguments in (("info",), ("merge", "-o", tmp_path / "o.npz")):
        result = redeg("pool", arguments[0], tmp_path / "x.npz", *arguments[1:])
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {tmp_path / 'x.npz'} is not a pool")
        assert result.stderr.count("\n") == 1
