"""Pools of Ωs: what they guarantee, on disk and off."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from redeg_cli.errors import InputError, ModelError
from redeg_cli.omega.pool import Pool, PoolRows, load_pool, merge_pools, pool_spread, tell_apart


def make(count: int = 3, seed: int = 0, fingerprint: str = "0123456789ab") -> Pool:
    rng = np.random.default_rng(seed)
    return Pool(
        rng.standard_normal((count, 512)).astype(np.float32),
        tuple(f"ñ{i}.png" for i in range(count)),
        np.arange(count) % 4 + 1,
        "redegnet-lite",
        fingerprint,
        tuple(f"crop {i}" for i in range(count)),
    )


def test_a_pool_comes_back_as_it_was(tmp_path: Path) -> None:
    pool = make()
    pool.save(tmp_path / "new" / "pool.npz")
    again = load_pool(tmp_path / "new" / "pool.npz")
    assert np.array_equal(again.omegas, pool.omegas)
    assert again.omegas.dtype == np.float32
    assert np.array_equal(again.scales, pool.scales)
    assert (again.names, again.notes) == (pool.names, pool.notes)
    assert (again.model, again.fingerprint) == (pool.model, pool.fingerprint)
    assert again.digest == pool.digest


def test_the_same_pool_is_the_same_file(tmp_path: Path) -> None:
    make().save(tmp_path / "a.npz")
    make().save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_digest_tells_pools_apart() -> None:
    pool = make()
    others = [make(seed=1), make(fingerprint="ffffffffffff"), make(2)]
    changed = pool.omegas.copy()
    changed[1, 7] += 1e-6
    others.append(Pool(changed, pool.names, pool.scales, pool.model, pool.fingerprint, pool.notes))
    digests = {pool.digest, *(other.digest for other in others)}
    assert len(digests) == 5


def test_the_common_scale() -> None:
    assert make(3).scale is None
    assert make(1).scale == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"omegas": np.zeros((3, 511), np.float32)}, r"\(3, 511\)"),
        ({"names": ("a", "b")}, "2 names"),
        ({"scales": np.ones(2, int)}, r"\(2,\) scales"),
        ({"scales": np.array([4, 0, 4])}, "an Ω of scale 0"),
        ({"notes": ("a", "b")}, "a note for each of its 3"),
        ({"omegas": np.full((3, 512), np.nan, np.float32)}, "not finite"),
        (
            {"omegas": np.zeros((0, 512)), "names": (), "scales": np.ones(0), "notes": ()},
            "at least one",
        ),
    ],
)
def test_what_is_no_pool_is_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Pool(**{**vars(make()), **change})


def write_other(path: Path, kind: str) -> None:
    make().save(path)
    content = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("name\tomega\n", encoding="utf-8")
    elif kind == "npy":
        path.unlink()
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif kind == "other npz":
        np.savez(path, a=np.zeros(3))
    elif kind == "objects":
        np.savez(path, omega=np.array([{}], dtype=object), header=np.array("{}"))
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "changed":
        middle = len(content) // 4
        path.write_bytes(content[:middle] + bytes(40) + content[middle + 40 :])
    elif kind == "list header":
        np.savez(path, omega=np.zeros((1, 512)), header=np.array("[]"))
    else:
        whole = {
            "omega": np.ones((1, 512), np.float32),
            "name": np.array(["a"]),
            "scale": np.array([1]),
            "note": np.array([""]),
            "header": np.array('{"model": "m", "fingerprint": "f"}'),
        }
        np.savez(path, **whole)
        assert len(load_pool(path)) == 1
        np.savez(path, **(whole | CHANGES[kind]))  # pyright: ignore[reportArgumentType]


CHANGES: dict[str, dict[str, np.ndarray]] = {
    "bad rows": {"omega": np.full((1, 512), np.inf)},
    "beyond float32": {"omega": np.full((1, 512), 1e300)},
    "complex": {"omega": np.full((1, 512), 1j)},
    "bytes as names": {"name": np.array([b"a"])},
    "names of names": {"name": np.array([["a", "b"]])},
    "broken scale": {"scale": np.array([1.5])},
    "scale of nothing": {"scale": np.array([0])},
    "newer": {"header": np.array('{"format": 2, "model": "m", "fingerprint": "f"}')},
}
KINDS = [
    *("empty", "text", "npy", "other npz", "objects", "cut", "changed", "list header"),
    *CHANGES,
]


@pytest.mark.parametrize("kind", KINDS)
def test_another_file_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pool.npz"
    write_other(path, kind)
    with pytest.raises(InputError) as caught:
        load_pool(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pool_of_a_newer_version_says_what_to_do(tmp_path: Path) -> None:
    write_other(tmp_path / "pool.npz", "newer")
    with pytest.raises(InputError, match="has format 2, this version reads 1: update redeg"):
        load_pool(tmp_path / "pool.npz")


def test_a_missing_pool_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_pool(tmp_path / "none.npz")
    with pytest.raises(InputError, match="is a folder"):
        load_pool(tmp_path)


def test_merging_keeps_every_row(tmp_path: Path) -> None:
    first, second = make(2), make(3, seed=1)
    merged = merge_pools([(tmp_path / "a", first), (tmp_path / "b", second)])
    assert len(merged) == 5
    assert np.array_equal(merged.omegas, np.concatenate([first.omegas, second.omegas]))
    assert merged.names == first.names + second.names
    assert merged.notes == first.notes + second.notes
    assert merged.scales.tolist() == [1, 2, 1, 2, 3]


def test_pairs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Two cameras' IMG_0001 are two pairs; the same pair in two pools is one."""
    first, other = make(3), make(3, seed=1)
    shared = replace(make(3, seed=2), omegas=np.concatenate([first.omegas[:1], other.omegas[1:]]))
    paths = [tmp_path / f"{name}.npz" for name in "xyx"]
    pools = list(zip(paths, (first, other, first), strict=True))
    told = tell_apart(pools)
    assert [path.stem for path, _ in told] == ["x", "y"]
    assert told[0][1].names == first.names
    assert told[1][1].names == tuple(f"y/{name}" for name in first.names)
    again = tell_apart([*pools, (tmp_path / "y.npz", shared)])[-1][1]
    assert again.names == (first.names[0], *(f"y/{name}" for name in first.names[1:]))


def test_pools_of_two_models_do_not_mix(tmp_path: Path) -> None:
    pools = [(tmp_path / "a", make()), (tmp_path / "b", make(fingerprint="ffffffffffff"))]
    with pytest.raises(ModelError, match=r"b was made by redegnet-lite \(ffffffffffff\)"):
        merge_pools(pools)
    with pytest.raises(InputError, match="no pool"):
        merge_pools([])


def test_spread_in_closed_form() -> None:
    assert pool_spread(np.ones((4, 512))) == pytest.approx(0, abs=1e-6)
    opposite = np.stack([np.ones(512), -np.ones(512)])
    assert pool_spread(opposite) == pytest.approx(1)
    # Two Ωs at right angles: the mean lies at 1 / sqrt(2) of each.
    right = np.eye(512)[:2]
    assert pool_spread(right) == pytest.approx(np.sqrt(0.5))
    assert pool_spread(np.zeros((3, 512))) == 0


def test_spread_of_many_and_of_long_ones() -> None:
    many = np.full((50_000, 512), 0.1, np.float32)
    assert pool_spread(many) < 1e-6
    long = np.full((2, 512), 1e30, np.float32) * np.array([[1], [-1]], np.float32)
    assert pool_spread(long) == pytest.approx(1)


def test_rows_become_a_pool() -> None:
    rows = PoolRows()
    rows.add(np.ones((2, 512), np.float32), ["whole", "crop"], "a.png", 4)
    rows.add(np.zeros((1, 512), np.float32), ["whole"], "b.png", 2)
    pool = rows.pool("m", "f")
    assert pool.names == ("a.png", "a.png", "b.png")
    assert pool.scales.tolist() == [4, 4, 2]
    assert pool.omegas[:, 0].tolist() == [1, 1, 0]
    with pytest.raises(InputError, match="at least one"):
        PoolRows().pool("m", "f")
