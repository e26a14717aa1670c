"""Every preset: golden records, draws that hang on the seed alone, native LQs that do not move."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from redeg_cli.degrade.chain import load_degrader, preset_path, preset_table, presets
from redeg_cli.degrade.resize import resize
from redeg_cli.degrade.steps import run_records

GOLDEN = Path(__file__).parent / "golden_records.json"
PUBLISHED = ("bsrgan", "bsrgan-plus", "real-esrgan", "redegnet-same", "redegnet-simple")


def test_the_presets_are_those_of_the_folder() -> None:
    assert set(PUBLISHED) < set(presets())
    for name in presets():
        assert preset_path(name).is_file()
        table = preset_table(name)
        assert table["description"].strip()
        assert table["source"].strip()


def same(made: Any, wanted: Any) -> None:
    """Equal, floats to five digits: a matrix may be rounded elsewhere on another machine."""
    if isinstance(wanted, dict):
        assert [*made] == [*wanted]
        for key in wanted:
            same(made[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(made) == len(wanted)
        for one, other in zip(made, wanted, strict=True):
            same(one, other)
    elif isinstance(wanted, float):
        assert made == pytest.approx(wanted, rel=1e-5, abs=1e-9)
    else:
        assert made == wanted


@pytest.mark.parametrize("name", presets())
def test_a_seed_always_draws_these_records(name: str) -> None:
    """After a wanted change: ``python tests/degrade/test_presets.py``."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert [*golden[name]] == ["2", "4"]
    for scale, records in golden[name].items():
        for seed, record in records.items():
            same(load_degrader(name, int(scale)).draw(int(seed)), record)


@pytest.mark.parametrize("name", presets())
def test_a_draw_hangs_on_its_seed_alone(name: str) -> None:
    degrader = load_degrader(name, 2)
    records = [degrader.draw(seed) for seed in range(20)]
    np.random.default_rng().random()
    torch.rand(1)
    assert [degrader.draw(seed) for seed in reversed(range(20))] == records[::-1]
    assert [load_degrader(name, 2).draw(seed) for seed in range(20)] == records
    # Seeds side by side give records that are not.
    texts = [json.dumps(record["steps"], sort_keys=True) for record in records]
    assert len(set(texts)) == 20
    for record in records:
        assert json.loads(json.dumps(record)) == record
        assert (record["degrader"], record["scale"]) == (name, 2)


def photo() -> torch.Tensor:
    """A gradient with an edge and a little texture, (1, 3, 96, 96), without black or white."""
    generator = torch.Generator().manual_seed(0)
    row, column = torch.arange(96.0)[:, None] / 120, torch.arange(96.0) / 160
    picture = 0.1 + torch.stack([row + column / 4, column + row / 4, (row + column) / 2])
    picture[:, 30:50, 40:] *= 0.6
    return (picture + 0.02 * torch.rand((3, 96, 96), generator=generator))[None].clamp(0.02, 0.98)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("name", presets())
def test_every_preset_makes_native_lqs(name: str, scale: int) -> None:
    degrader = load_degrader(name, scale)
    side = 64 - 64 % scale
    hq = photo()[..., :side, :side].repeat(3, 1, 1, 1)
    lq = degrader.apply(hq, [degrader.draw(seed) for seed in range(3)])
    assert lq.shape == (3, 3, side // scale, side // scale)
    assert lq.dtype == torch.float32
    assert lq.isfinite().all()
    assert lq.min() >= 0
    assert lq.max() <= 1
    assert lq.std() > 0.005
    assert not torch.equal(lq[0], lq[1])


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("name", [*PUBLISHED, "classical", "mild"])
def test_a_picture_stays_where_it_was(name: str, scale: int) -> None:
    """What lies half a pixel beside its HQ blurs whatever learns from such pairs."""
    side = 96
    line = torch.arange(float(side))
    ramp = (0.2 + (line[:, None] + line) / 400).expand(1, 3, side, side)
    wanted = resize(ramp, (side // scale, side // scale), "area")
    inside = (..., *(slice(side // scale // 4, -(side // scale // 4)),) * 2)
    degrader = load_degrader(name, scale)
    for seed in range(25):
        steps = degrader.draw(seed)["steps"]
        kept = [step for step in steps if step["op"] in ("blur", "resize")]
        made = run_records(ramp, [{"steps": kept}], scale)
        moved = 400 / 2 * (made - wanted)[inside].mean()
        assert abs(moved) < 0.02, kept  # HQ pixels


if __name__ == "__main__":
    made = {
        name: {
            str(scale): {str(seed): load_degrader(name, scale).draw(seed) for seed in (1, 2)}
            for scale in (2, 4)
        }
        for name in presets()
    }
    GOLDEN.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
