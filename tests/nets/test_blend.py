"""Weights between two networks' weights."""

import pytest
import torch

from redeg_cli.nets.blend import blend_weights

OURS = {"w": torch.tensor([0.0, 2.0]), "count": torch.tensor(3)}
THEIRS = {"w": torch.tensor([4.0, 2.0]), "count": torch.tensor(8)}


@pytest.mark.parametrize(("share", "wanted"), [(0, [0, 2]), (0.25, [1, 2]), (1, [4, 2])])
def test_numbers_lie_between_and_counts_are_ours(share: float, wanted: list[float]) -> None:
    blended = blend_weights(OURS, THEIRS, share)
    assert blended["w"].tolist() == wanted
    assert blended["count"] == 3


def test_half_precision_is_taken_as_ours() -> None:
    halves = {name: each.half() if each.ndim else each for name, each in THEIRS.items()}
    assert blend_weights(OURS, halves, 0.5)["w"].dtype == torch.float32


@pytest.mark.parametrize(
    "other", [{"w": torch.zeros(3), "count": torch.tensor(1)}, {"w": torch.zeros(2)}]
)
def test_two_architectures_are_refused(other: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="two architectures"):
        blend_weights(OURS, other, 0.5)
