"""Reading degraders from presets, files and tables; replaying what they drew."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from redeg_cli.degrade.base import Record
from redeg_cli.degrade.chain import (
    ChainDegrader,
    Replay,
    load_degrader,
    preset_path,
    preset_table,
)
from redeg_cli.errors import RecipeError

JPEG = {"steps": [{"op": "jpeg", "quality": [30, 95]}]}


def test_a_degrader_is_a_preset_a_file_or_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "my chain.toml"
    path.write_text("[[steps]]\nop = 'jpeg'\nquality = [30, 95]\n", encoding="utf-8")
    read = [load_degrader(what, 2) for what in (path, str(path), JPEG)]
    assert [degrader.name for degrader in read] == ["my chain.toml", "my chain.toml", "chain"]
    assert len({json.dumps(degrader.draw(3)["steps"]) for degrader in read}) == 1
    assert len({degrader.digest for degrader in read}) == 1
    assert load_degrader("bsrgan", 2).name == "bsrgan"
    assert (
        load_degrader(preset_path("bsrgan"), 2).draw(1)["steps"]
        == (load_degrader("bsrgan", 2).draw(1)["steps"])
    )


def test_the_digest_is_that_of_all_that_is_read() -> None:
    one = ChainDegrader({"steps": [{"preset": "bsrgan"}]}, 2)
    other = ChainDegrader({"steps": [{"preset": "mild"}]}, 2)
    longer = ChainDegrader({"steps": [{"op": "jpeg", "quality": [30, 94]}]}, 2)
    reordered = ChainDegrader({"steps": [{"quality": [30, 95], "op": "jpeg"}]}, 4)
    digests = [each.digest for each in (one, other, longer, reordered)]
    assert len(set(digests)) == 4
    assert ChainDegrader(JPEG, 2).digest == reordered.digest
    alone = ChainDegrader(preset_table("bsrgan"), 2)
    assert one.digest != alone.digest


def test_a_preset_within_a_chain_is_that_preset() -> None:
    tables = {
        "steps": [{"use": "main"}],
        # BSRGAN has a list of this name too.
        "chains": {"main": [{"preset": "bsrgan"}]},
    }
    assert ChainDegrader(tables, 4).draw(5)["steps"] == load_degrader("bsrgan", 4).draw(5)["steps"]


def test_a_replay_applies_what_others_drew_and_draws_nothing() -> None:
    degrader = load_degrader("bsrgan", 2)
    record: Record = json.loads(json.dumps(degrader.draw(4)))
    hq = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    assert torch.equal(Replay(2).apply(hq, [record]), degrader.apply(hq, [degrader.draw(4)]))
    with pytest.raises(RuntimeError, match="no record to draw for seed 4"):
        Replay(2).draw(4)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "mine: the key 'steps' is missing"),
        ({"step": []}, "mine: unknown key 'step' (did you mean 'steps'?)"),
        ({**JPEG, "chain": {}}, "mine: unknown key 'chain' (did you mean 'chains'?)"),
        ({**JPEG, "chains": []}, "mine: chains: expected a table of lists, got []"),
        ({**JPEG, "chains": {"a": {}}}, "mine: chains.a: expected a list of steps, got {}"),
        # A list that nothing uses is read all the same.
        (
            {**JPEG, "chains": {"a": [{"op": "jpg"}]}},
            "mine: chains.a[0]: unknown op 'jpg' (did you mean 'jpeg'?)",
        ),
        ({"steps": [{"op": "jpeg"}]}, "mine: steps[0] (jpeg): 'quality': Field required"),
        (
            {"steps": [{"preset": "bsrgn"}]},
            "mine: steps[0]: no preset 'bsrgn' (did you mean 'bsrgan'?): there are ",
        ),
        ({"steps": [{"preset": 3}]}, "mine: steps[0]: no preset 3: there are "),
    ],
)
def test_a_wrong_table_is_refused_by_name(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        ChainDegrader(table, 2, "mine")
    assert str(caught.value).startswith(message)


def test_a_degrader_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no degrader 'bsrgn' \(did you mean 'bsrgan'\?\): give"):
        load_degrader("bsrgn", 2)
    with pytest.raises(RecipeError, match=r"nothing\.toml does not exist"):
        load_degrader(tmp_path / "nothing.toml", 2)
    path = tmp_path / "wrong.toml"
    path.write_text("[[steps]]\nop = 'jpeg'\nqualty = 3\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"wrong\.toml: steps\[0\] \(jpeg\): unknown key 'qualt"):
        load_degrader(path, 2)
    with pytest.raises(RecipeError, match="no preset 'bsrgn'"):
        preset_path("bsrgn")
