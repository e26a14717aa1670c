"""Pseudo-HQs: restored, in the colours of the LQ."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.errors import ModelError
from redeg_cli.faces import pseudo
from redeg_cli.faces.pseudo import enlarged, load_pseudo_hq, pseudo_hq

CPU = torch.device("cpu")


def smooth(seed: int) -> Tensor:
    coarse = torch.rand((2, 3, 3, 3), generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(64, 48), mode="bicubic").clamp(0.1, 0.9)


def test_what_the_restorer_does_to_the_colour_is_undone() -> None:
    lq = smooth(0)
    tint = torch.tensor([0.05, -0.04, 0.06]).view(1, 3, 1, 1)
    assert (pseudo_hq(lq, lambda x: x + tint) - lq).abs().max() < 1e-5


def test_details_are_the_restorers() -> None:
    lq = smooth(1)
    stripes = 0.05 * torch.cos(torch.arange(48) * torch.pi / 2).expand_as(lq)
    made = pseudo_hq(lq, lambda x: x + stripes)
    assert (made - lq - stripes).abs().max() < 1e-3


@pytest.mark.parametrize("side", [48, 37])
def test_the_embedded_restorer_takes_crops(side: int) -> None:
    sharp = smooth(2)[:, :, :side, :side]
    noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(3))
    lq = (sharp + 0.1 * noise).clamp(0, 1)
    made = load_pseudo_hq("face-restorer", CPU)(lq)
    assert made.shape == lq.shape
    assert made.dtype == torch.float32
    assert not made.requires_grad
    assert (made - sharp).square().mean() < 0.7 * (lq - sharp).square().mean()


def test_it_is_enlarged_for_the_restorer_and_shrunk_again() -> None:
    lq = smooth(4)
    seen: list[Tensor] = []

    def sharpen(large: Tensor) -> Tensor:
        seen.append(large)
        return large + 0.1

    made = enlarged(sharpen, 2.5)(lq)
    (large,) = seen
    assert large.shape == (2, 3, 160, 120)
    torch.testing.assert_close(F.interpolate(large, (64, 48), mode="area"), lq, atol=0.02, rtol=0)
    torch.testing.assert_close(made, lq + 0.1, atol=0.02, rtol=0)
    assert enlarged(sharpen, 1) is sharpen


def test_enlarged_pseudo_hqs_stay_in_range() -> None:
    step = torch.zeros(1, 3, 32, 32)
    step[..., 16:] = 1

    def keep(large: Tensor) -> Tensor:
        assert large.min() >= 0
        assert large.max() <= 1
        return large

    made = enlarged(keep, 2)(step)
    assert made.min() >= 0
    assert made.max() <= 1


def test_a_restorer_of_whole_faces_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Whole:
        name, size = "gfpgan", 512

    monkeypatch.setattr(pseudo, "load_face_restorer", lambda *_: Whole())
    with pytest.raises(ModelError, match="gfpgan takes whole faces of 512 px"):
        load_pseudo_hq("gfpgan", CPU)
