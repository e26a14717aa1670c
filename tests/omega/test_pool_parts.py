"""Parts of a pool: kept as soon as they are there, taken up by the same run only."""

from pathlib import Path

import numpy as np
import pytest

from redeg_cli.errors import InputError, OutputError
from redeg_cli.omega.pool_parts import PairOmegas, Part, PoolParts, sign

SETTINGS = {"crops": 3, "scale": None}


def part_of(seed: int) -> Part:
    omegas = np.random.default_rng(seed).normal(size=(2, 512)).astype(np.float32)
    pair = PairOmegas(f"ñ {seed} face 1", 4, omegas, ("whole", "crop"))
    return Part([pair], ("face 2: blurred",), "a doubt", (pair.name,))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(b"abc")
    return tmp_path / "a.png"


def test_a_part_outlives_the_process(tmp_path: Path, photo: Path) -> None:
    pool = tmp_path / "new" / "pool.npz"
    with PoolParts(pool, SETTINGS) as parts:
        assert parts.find(sign("a.png", [photo])) is None
        parts.add(sign("a.png", [photo]), part_of(0))
        wanted = parts.find(sign("a.png", [photo]))
        killed = parts.path.read_bytes()  # without a goodbye
    assert parts.path == tmp_path / "new" / "pool.npz.part"
    parts.path.write_bytes(killed + b'{"source": "torn')
    with PoolParts(pool, SETTINGS) as again:
        found = again.find(sign("a.png", [photo]))
        assert found is not None
        assert wanted is not None
        assert np.array_equal(found.pairs[0].omegas, wanted.pairs[0].omegas)
        assert found.pairs[0].omegas.dtype == np.float32
        for name in ("name", "scale"):
            assert getattr(found.pairs[0], name) == getattr(wanted.pairs[0], name)
        assert list(found.pairs[0].notes) == ["whole", "crop"]
        assert (list(found.left_out), found.doubt) == (["face 2: blurred"], "a doubt")
        assert list(found.soft) == ["ñ 0 face 1"]
        again.remove()
    assert not parts.path.exists()


def test_another_name_or_another_file_is_another_source(tmp_path: Path, photo: Path) -> None:
    with PoolParts(tmp_path / "pool.npz", SETTINGS) as parts:
        parts.add(sign("a.png", [photo]), part_of(0))
        assert parts.find(sign("deep/a.png", [photo])) is None
        photo.write_bytes(b"abcd")
        assert parts.find(sign("a.png", [photo])) is None
        photo.unlink()
        assert parts.find(sign("a.png", [photo])) is None


def test_other_settings_are_refused_or_begin_anew(tmp_path: Path, photo: Path) -> None:
    pool = tmp_path / "pool.npz"
    with PoolParts(pool, SETTINGS) as parts:
        parts.add(sign("a.png", [photo]), part_of(0))
    with pytest.raises(OutputError, match="of a run with other settings"):
        PoolParts(pool, {**SETTINGS, "crops": 4})
    with PoolParts(pool, SETTINGS, overwrite=True) as same:
        assert same.find(sign("a.png", [photo])) is not None
    with PoolParts(pool, {**SETTINGS, "crops": 4}, overwrite=True) as other:
        assert other.find(sign("a.png", [photo])) is None
        assert len(other.path.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "row",
    ['{"source": "[]"}', '{"source": "[]", "pairs": [{"name": "a", "omegas": "!", "notes": []}]}'],
)
def test_a_damaged_row_is_told(tmp_path: Path, row: str) -> None:
    with PoolParts(tmp_path / "pool.npz", SETTINGS) as parts:
        pass
    parts.path.write_text(parts.path.read_text() + row + "\n")
    with pytest.raises(InputError, match="delete it to begin anew"):
        PoolParts(tmp_path / "pool.npz", SETTINGS)
