"""Fine-tuning: it learns, in one stretch or several, and nothing depends on what ran between."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from redeg_cli.degrade.chain import ChainDegrader
from redeg_cli.finetune.tune import BATCH, Tuning, copy_state
from redeg_cli.models import build, load_restorer, save_network
from redeg_cli.nets.wrap import Restorer
from redeg_cli.train.data import ImageStore

SYNTHETIC = 6
CPU = torch.device("cpu")
BLUR = {"steps": [{"op": "blur", "sigma": [1.5, 2]}, {"op": "resize", "of": "native"}]}


@pytest.fixture
def start(tiny_restorer: Restorer, scene: Callable[..., np.ndarray]) -> Callable[..., Tuning]:
    images = [
        torch.from_numpy((scene(64, 72, seed) * 255).astype(np.uint8)).permute(2, 0, 1).contiguous()
        for seed in range(3)
    ]
    state = copy_state(tiny_restorer.network)

    def make(total: int = 4, seed: int = 0, learning_rate: float = 3e-3) -> Tuning:
        return Tuning(
            tiny_restorer,
            ChainDegrader(BLUR, 2),
            ImageStore([images], [1.0]),
            state,
            total,
            crop=12,
            seed=seed,
            learning_rate=learning_rate,
        )

    return make


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_batch_is_decided_by_step_and_seed(start: Callable[..., Tuning]) -> None:
    tuning = start()
    lq, hq = tuning.batch(3, CPU)
    assert lq.shape == (BATCH, 3, 12, 12)
    assert hq.shape == (BATCH, 3, 24, 24)
    torch.testing.assert_close(lq * 255, (lq * 255).round(), atol=1e-3, rtol=0)
    again = start().batch(3, CPU)
    assert torch.equal(again[0], lq)
    assert torch.equal(again[1], hq)
    assert not torch.equal(start(seed=1).batch(3, CPU)[1], hq)
    assert not torch.equal(tuning.batch(4, CPU)[1], hq)


def test_the_first_rows_come_from_the_degrader(
    start: Callable[..., Tuning], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = start()

    class Black(ChainDegrader):
        def apply(self, hq: torch.Tensor, records: object) -> torch.Tensor:
            del records
            return torch.zeros(hq.shape[0], 3, 12, 12)

    monkeypatch.setattr(tuning, "degrader", Black(BLUR, 2))
    lq, _ = tuning.batch(0, CPU)
    assert lq[:SYNTHETIC].abs().max() == 0
    assert all(row.mean() > 0.2 for row in lq[SYNTHETIC:])


def test_it_learns_to_undo_a_blur(start: Callable[..., Tuning], tiny_restorer: Restorer) -> None:
    tuning = start(total=60)
    lq, hq = tuning.batch(1000, CPU)
    lq, hq = lq[:SYNTHETIC], hq[:SYNTHETIC]
    before = (tiny_restorer(lq) - hq).abs().mean()
    tuning.run(60, CPU)
    assert (tiny_restorer(lq) - hq).abs().mean() < 0.9 * before
    assert tuning.done == 60


def test_stretches_are_one_run_whatever_runs_between(start: Callable[..., Tuning]) -> None:
    whole = start()
    whole.run(4, CPU)
    parts, other = start(), start(seed=9)
    parts.run(1, CPU)
    other.run(2, CPU)
    parts.run(3, CPU)
    assert parts.done == whole.done == 4
    assert same(parts.state, whole.state)
    assert not same(parts.state, other.state)


def test_the_given_state_stays_as_it_was(
    start: Callable[..., Tuning], tiny_restorer: Restorer
) -> None:
    tuning = start()
    given = tuning.state
    before = {name: tensor.clone() for name, tensor in given.items()}
    tuning.run(2, CPU)
    assert same(before, given)
    assert not same(tuning.state, given)
    # The restorer holds what was reached, ready to be used.
    assert same(copy_state(tiny_restorer.network), tuning.state)
    assert not tiny_restorer.network.training
    assert not any(p.requires_grad for p in tiny_restorer.network.parameters())


def test_progress_counts_the_steps_of_the_stretch(start: Callable[..., Tuning]) -> None:
    told: list[tuple[int, int]] = []
    tuning = start()
    for steps in (1, 2):
        tuning.run(steps, CPU, lambda done, total, _="": told.append((done, total)))
    assert told == [(1, 1), (1, 2), (2, 2)]


def test_the_share_of_general_degradations(start: Callable[..., Tuning]) -> None:
    class Black(ChainDegrader):
        def apply(self, hq: torch.Tensor, records: object) -> torch.Tensor:
            del records
            return torch.zeros(hq.shape[0], 3, 12, 12)

    for share, black in ((0.0, 8), (0.25, 6), (0.5, 4), (1.0, 0)):
        tuning = start()
        tuning.general_share = share
        tuning.degrader = Black(BLUR, 2)
        lq, _ = tuning.batch(0, CPU)
        assert sum(float(row.abs().max()) == 0 for row in lq) == black


def test_what_is_kept_is_an_average(start: Callable[..., Tuning]) -> None:
    one = start()
    one.run(1, CPU)
    assert one.weights is not None
    assert same(one.state, one.weights)  # the first step is no average yet
    tuning = start(total=30)
    tuning.run(30, CPU)
    assert tuning.weights is not None
    assert not same(tuning.state, tuning.weights)
    assert len(tuning.losses) == 30


def test_the_average_of_a_stretch_stays_when_the_next_one_runs(
    start: Callable[..., Tuning],
) -> None:
    """Who keeps the best of several stretches keeps that, not the last one."""
    tuning = start(total=20)
    tuning.run(10, CPU)
    kept = tuning.state
    before = {name: tensor.clone() for name, tensor in kept.items()}
    tuning.run(10, CPU)
    assert same(kept, before)
    assert not same(tuning.state, kept)


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("vdsr", {"layers": 3, "features": 4}),
        ("vdsr", {"layers": 3, "features": 4, "colour": "rgb"}),
        ("rcan", {"scale": 2, "groups": 1, "blocks": 1, "features": 4, "reduction": 2}),
    ],
)
def test_the_restorers_of_dml_are_tuned(
    scene: Callable[..., np.ndarray], tmp_path: Path, architecture: str, config: dict
) -> None:
    torch.manual_seed(0)
    network = build(architecture, config)
    save_network(tmp_path / "sr.safetensors", architecture, config, network.state_dict())
    restorer = load_restorer(tmp_path / "sr.safetensors", 2)
    image = torch.from_numpy((scene(64, 72) * 255).astype(np.uint8)).permute(2, 0, 1).contiguous()
    tuning = Tuning(
        *(restorer, ChainDegrader(BLUR, 2), ImageStore([[image]], [1.0])),
        *(copy_state(restorer.network), 80),
        crop=12,
        seed=0,
        learning_rate=1e-2,
    )
    lq, hq = tuning.batch(1000, CPU)
    before = float((restorer(lq) - hq).abs().mean())
    tuning.run(80, CPU)
    assert float((restorer(lq) - hq).abs().mean()) < 0.97 * before
