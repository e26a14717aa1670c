"""The distance of two grains: blind to places, not to colour, amount or texture."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.omega.statistics import grain_distance


def white(seed: int, sigma: float = 0.05, batch: int = 2, size: int = 256) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return sigma * torch.randn((batch, 3, size, size), generator=generator)


def blurred(seed: int) -> Tensor:
    smooth = F.avg_pool2d(white(seed), 5, 1, 2)
    return smooth * 0.05 / smooth.std()


def gray(seed: int) -> Tensor:
    return white(seed)[:, :1].expand(-1, 3, -1, -1)


KINDS = {
    "white": white,
    "stronger": lambda seed: white(seed, 0.08),
    "blurred": blurred,
    "gray": gray,
}


def test_a_grain_is_no_distance_from_itself() -> None:
    assert grain_distance(white(0), white(0)).item() == 0


@pytest.mark.parametrize("truth", KINDS)
def test_the_same_kind_is_nearer_than_any_other(truth: str) -> None:
    same = grain_distance(KINDS[truth](0), KINDS[truth](1)).item()
    for other, make in KINDS.items():
        if other != truth:
            assert grain_distance(make(0), KINDS[truth](1)).item() > 1.2 * same, other


def test_silence_is_worse_than_the_wrong_pixels() -> None:
    """A pixel-wise loss would say the contrary, which is why there is none."""
    truth = white(1)
    silence = grain_distance(torch.zeros_like(truth), truth)
    assert silence > 5 * grain_distance(white(0), truth)
    assert truth.abs().mean() < (white(0) - truth).abs().mean()


def test_a_louder_copy_in_closed_form() -> None:
    """Covariances grow by the square; NumPy computes them lag by lag."""
    truth, gain = white(3, size=24), 1.5
    x = truth.double().numpy()
    columns = []
    for dy in range(3):
        for dx in range(-2, 3):
            if dy == 0 and dx < 0:
                continue
            a = x[:, :, : 24 - dy, max(0, -dx) : 24 - max(0, dx)]
            b = x[:, :, dy:, max(0, dx) : 24 - max(0, -dx)]
            columns.append((a * b).mean((1, 2, 3)))
    flat = x.reshape(2, 3, -1)
    channels = (flat @ flat.transpose(0, 2, 1) / 24**2).reshape(2, 9)
    variance = (x**2).mean((1, 2, 3)) + (1 / 255) ** 2
    # The lags and the channels are averaged apart; Huber's loss is half the square up to 1.
    huber = 0.0
    for group in (np.stack(columns, 1), channels):
        share = np.abs((gain**2 - 1) * group / variance[:, None])
        huber = huber + np.where(share < 1, share**2 / 2, share - 0.5).mean(1)
    energy = (x**2).mean(1).reshape(2, 3, 8, 3, 8).mean((2, 4))
    floor = (1 / 255) ** 2
    energies = np.abs(np.log(gain**2 * energy + floor) - np.log(energy + floor)).mean()
    wanted = (huber * np.sqrt(variance)).mean() + 0.02 * energies
    made = grain_distance(gain * truth, truth, lags=2).item()
    assert made == pytest.approx(wanted, rel=1e-4)


def test_its_gradient_finds_the_amount() -> None:
    amount = torch.tensor(0.2, requires_grad=True)
    optimizer = torch.optim.Adam([amount], lr=0.05)
    for step in range(40):
        optimizer.zero_grad()
        loss = grain_distance(amount * white(10 + step, 1.0, size=32), white(500, 0.1, size=32))
        loss.backward()
        optimizer.step()
    assert amount.item() == pytest.approx(0.1, abs=0.03)
