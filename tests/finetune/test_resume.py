"""The file that keeps a fine-tuning: whose it is, and that a damaged one does no harm."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from redeg_cli.degrade.chain import ChainDegrader
from redeg_cli.finetune import checked as checked_module
from redeg_cli.finetune.checked import Checked
from redeg_cli.finetune.choose import Score
from redeg_cli.finetune.consistency import Consistency
from redeg_cli.finetune.resume import Resumed, tuning_key
from redeg_cli.finetune.settings import Settings
from redeg_cli.finetune.tune import Tuning, copy_state
from redeg_cli.io.images import Photo
from redeg_cli.nets.wrap import Restorer
from redeg_cli.train.data import ImageStore

CPU = torch.device("cpu")
SHRINK = ChainDegrader({"steps": [{"op": "resize", "of": "native"}]}, 2)


@pytest.fixture
def begin(
    tiny_restorer: Restorer, scene: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Checked]:
    image = torch.from_numpy((scene(64, 72) * 255).astype(np.uint8)).permute(2, 0, 1).contiguous()
    state = copy_state(tiny_restorer.network)
    monkeypatch.setattr(checked_module, "APART", 3)
    monkeypatch.setattr(checked_module, "EVERY", 2)
    figures = {3: 20.0, 6: 22.0, 9: 21.0}
    monkeypatch.setattr(
        Checked,
        "_check",
        lambda self: checked_module.Check(
            self.tuning.done,
            Score(figures[self.tuning.done], 1.0),
            Consistency(figures[self.tuning.done], 2.0),
        ),
    )

    def make() -> Checked:
        tiny_restorer.network.load_state_dict(state)
        store = ImageStore([[image]], [1.0])
        tuning = Tuning(tiny_restorer, SHRINK, store, state, 9, crop=12)
        return Checked(tuning, SHRINK, [], torch.zeros(1), CPU)

    return make


class Stopped(Exception):
    """The power went."""


def test_what_was_stopped_anywhere_ends_as_what_was_not(
    begin: Callable[[], Checked], tmp_path: Path
) -> None:
    whole = begin()
    whole.run(9)
    for last in range(1, 9):

        def stop(done: int, _total: int, _text: str = "", last: int = last) -> None:
            if done > last:
                raise Stopped

        resumed = Resumed(tmp_path / f"{last}.pt", "k")
        with pytest.raises(Stopped):
            begin().run(9, stop, resumed=resumed)
        said: list[str] = []
        fitting = begin()
        fitting.run(9, say=said.append, resumed=resumed)
        assert bool(said) == (last > 1)  # before the second step nothing was kept
        assert fitting.checks == whole.checks
        assert (fitting.best, fitting.worse) == (whole.best, whole.worse)
        assert fitting.tuning.losses == whole.tuning.losses
        assert whole.best_state is not None
        assert fitting.best_state is not None
        for name, tensor in whole.best_state.items():
            assert torch.equal(tensor, fitting.best_state[name])


def test_the_state_of_another_tuning_or_a_damaged_one_is_not_taken(
    begin: Callable[[], Checked], tmp_path: Path
) -> None:
    path = tmp_path / "state.pt"
    begin().run(3, resumed=Resumed(path, "k"))
    fresh = begin()
    assert not Resumed(path, "other").load(fresh)
    assert not Resumed(tmp_path / "none.pt", "k").load(fresh)
    path.write_bytes(path.read_bytes()[:1000])
    assert not Resumed(path, "k").load(fresh)
    assert (fresh.tuning.done, fresh.checks) == (0, [])


def test_the_key_is_of_all_that_decides_the_tuning(settings: Settings, photo: Photo) -> None:
    key = tuning_key([("a", photo)], settings)
    assert tuning_key([("a", photo)], replace(settings, grain=4.0, tile=64)) == key
    others = [
        tuning_key([("a", photo)], replace(settings, steps=7)),
        tuning_key([("a", photo)], replace(settings, seed=7)),
        tuning_key([("b", photo)], settings),
        tuning_key([("a", replace(photo, rgb=photo.rgb[::-1].copy()))], settings),
    ]
    assert len({key, *others}) == 5
