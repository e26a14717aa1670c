"""Realism: can a small network tell synthetic LQs from true LQs of the same HQs?"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.device import map_single_threaded
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import numpy_generator, sample_seed, torch_generator

STEPS = 500
_BATCH, _CROP, _RATE = 8, 64, 2e-3
_HELD_OUT = 1 / 3
_LEAST = 6


@dataclass(frozen=True)
class Judgement:
    """What a discriminator said of pairs that it was not trained on."""

    right: Tensor
    """float32 (2 N,): 1 where it was right, of the true LQs, then of the synthetic ones."""
    pairs: Tensor
    """int64 (2 N,): which of the pairs given each answer is about."""

    @property
    def accuracy(self) -> float:
        """Chance is 0.5."""
        return float(self.right.mean())


class PairDiscriminator(nn.Module):
    """Says of (HQ, LQ) how sure it is that the LQ is the true one; any size from 16 pixels."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 6
        # The first layers keep the grid: grain and blocks are a few pixels large.
        for outputs, stride in ((width, 1), (width, 2), (2 * width, 2), (2 * width, 2)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(2 * inputs, 1)

    def forward(self, hq: Tensor, lq: Tensor) -> Tensor:
        """Return logits (B,) of images (B, 3, H, W) in [0, 1]."""
        # What was lost or added is small beside the picture: it comes enlarged.
        x = self.features(torch.cat([(lq - hq) * 8, lq - 0.5], 1))
        mean = x.mean((2, 3))
        spread = (x.square().mean((2, 3)) - mean.square()).clamp(min=1e-6).sqrt()
        return self.head(torch.cat([mean, spread], 1))[:, 0]


def judge_realism(
    hq: Tensor,
    true: Tensor,
    made: Tensor,
    *,
    seed: int = 0,
    steps: int = STEPS,
    on_progress: OnProgress = no_progress,
) -> Judgement:
    """Train a discriminator on two thirds of some pairs and ask it about the others.

    ``hq``, ``true`` and ``made`` are (N, 3, H, W), uint8 or float in [0, 1]; row by row one image.
    Each HQ comes as often with its true LQ as with the synthetic one, so nothing but the LQ tells.
    The answers are about whole images. Repeatable: ``seed`` decides the split, the initial weights
    and the crops, and the state of PyTorch's own generator is left alone.
    """
    count = len(hq)
    if count < _LEAST:
        raise ValueError(f"{count} pairs are too few for a discriminator: give at least {_LEAST}")
    if hq.device.type != "cpu":
        return _judge(hq, true, made, seed, steps, on_progress)

    def judge(_: int) -> Judgement:
        return _judge(hq, true, made, seed, steps, on_progress)

    # Layers this small gain nothing by a second thread, and lose when others use its core.
    return map_single_threaded(judge, [0], several=False)[0]


def _judge(
    hq: Tensor, true: Tensor, made: Tensor, seed: int, steps: int, on_progress: OnProgress
) -> Judgement:
    count, _, height, width = hq.shape
    rng = numpy_generator(sample_seed(seed, "split"))
    order = torch.from_numpy(rng.permutation(count))
    held = max(2, round(count * _HELD_OUT))
    training, testing = order[held:], order[:held].sort().values
    side = min(_CROP, height, width)
    net = _new_discriminator(sample_seed(seed, "weights")).to(hq.device)
    optimiser = torch.optim.AdamW(net.parameters(), _RATE, betas=(0.9, 0.99), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    with torch.enable_grad():
        for step in range(steps):
            rows = training[torch.from_numpy(rng.integers(len(training), size=_BATCH))]
            parts = torch.stack([_crop(rng, (hq, true, made), int(row), side) for row in rows])
            h, t, m = parts.unbind(1)
            logits = net(torch.cat([h, h]), torch.cat([t, m]))
            labels = torch.cat([torch.ones(_BATCH), torch.zeros(_BATCH)]).to(logits)
            loss = F.binary_cross_entropy_with_logits(logits, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            on_progress(step + 1, steps)
    net.eval()
    with torch.no_grad():
        said = [
            torch.stack([_logit(net, hq, lq, int(row)) for row in testing]) for lq in (true, made)
        ]
    right = torch.cat([said[0] > 0, said[1] <= 0]).float().cpu()
    return Judgement(right, torch.cat([testing, testing]))


def _new_discriminator(seed: int) -> PairDiscriminator:
    """Return one with weights of its own seed: PyTorch's generator, which threads share, is left
    alone."""
    with torch.device("meta"):
        net = PairDiscriminator()
    net.to_empty(device="cpu")
    generator = torch_generator(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
    return net


def _crop(rng: np.random.Generator, images: tuple[Tensor, ...], row: int, side: int) -> Tensor:
    """Return the same crop of each image of a row, (n, 3, side, side), perhaps flipped."""
    height, width = images[0].shape[2:]
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    flip = [2 + axis for axis in (0, 1) if rng.random() < 0.5]
    parts = [_floats(x[row, :, top : top + side, left : left + side]) for x in images]
    return torch.stack(parts).flip(flip)


def _logit(net: nn.Module, hq: Tensor, lq: Tensor, row: int) -> Tensor:
    return net(_floats(hq[row : row + 1]), _floats(lq[row : row + 1]))[0]


def _floats(pixels: Tensor) -> Tensor:
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
