"""A degrader of two: who degrades which image, whatever the batch."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from redeg_cli.finetune.either import Either


class Fill:
    """A degrader whose LQs are of one value; its records are refused by any other."""

    def __init__(self, value: float, scale: int = 2) -> None:
        self.value, self.scale = value, scale

    def draw(self, seed: int) -> dict[str, Any]:
        return {"value": self.value, "seed": seed}

    def apply(self, hq: Tensor, records: Sequence[dict[str, Any]]) -> Tensor:
        assert len(hq) == len(records)
        assert all(record["value"] == self.value for record in records)
        return torch.nn.functional.avg_pool2d(hq, 2) + self.value


def test_each_image_gets_what_its_seed_says() -> None:
    either = Either(Fill(1.0), Fill(2.0))
    records = [either.draw(seed) for seed in range(400)]
    hq = torch.arange(400.0).view(-1, 1, 1, 1).expand(400, 3, 4, 4) / 1000
    made = either.apply(hq, records)
    assert made.shape == (400, 3, 2, 2)
    wanted = hq[:, :, :2, :2] + torch.tensor([r["which"] + 1.0 for r in records]).view(-1, 1, 1, 1)
    torch.testing.assert_close(made, wanted)
    assert 160 < sum(record["which"] for record in records) < 240
    assert records == [either.draw(seed) for seed in range(400)]
    # Alone and together.
    torch.testing.assert_close(either.apply(hq[7:8], records[7:8]), made[7:8])


def test_both_must_be_of_one_scale() -> None:
    with pytest.raises(ValueError, match="scales 2 and 4"):
        Either(Fill(1.0), Fill(2.0, 4))
