"""What every restorer looks like from outside: [0, 1] in and out, any size, always clamped."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.errors import ModelError

Run = Callable[[Tensor], Tensor]


def pad_to(image: Tensor, multiple: int = 1, minimum: int = 1, *, square: bool = False) -> Tensor:
    """Return ``image`` (B, C, H, W) grown at the right and the bottom.

    Both sides become at least ``minimum`` and a multiple of ``multiple`` (equal when
    ``square``). The border is mirrored, or repeated where the picture is too small to mirror.
    """
    height, width = image.shape[-2:]
    wanted = [-(-max(side, minimum) // multiple) * multiple for side in (height, width)]
    if square:
        wanted = [max(wanted)] * 2
    down, right = wanted[0] - height, wanted[1] - width
    if down == 0 and right == 0:
        return image
    # One side after the other: a mirrored border must be narrower than the side itself.
    image = F.pad(image, (0, right, 0, 0), "reflect" if right < width else "replicate")
    return F.pad(image, (0, 0, 0, down), "reflect" if down < height else "replicate")


def _check(image: Tensor, name: str) -> None:
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
        raise ValueError(
            f"{name}: wanted float RGB (B, 3, H, W) in [0, 1], got {image.dtype} "
            f"{tuple(image.shape)}"
        )


class Restorer:
    """A restorer of whole photos: (B, 3, h, w) -> (B, 3, h·scale, w·scale), both in [0, 1].

    Any h, w >= 1; the network's own size needs are met by padding. The output is float32 and
    clamped. No gradient is kept; training calls ``differentiable``.
    """

    def __init__(
        self,
        run: Run,
        *,
        name: str,
        scale: int,
        fingerprint: str,
        architecture: str,
        network: nn.Module,
        multiple: int = 1,
        minimum: int = 1,
        square: bool = False,
        signed: bool = False,
        trained: nn.Module | None = None,
    ) -> None:
        """``trained`` does what ``run`` does and keeps gradients, where that does not."""
        self.name = name
        self.scale = scale
        self.fingerprint = fingerprint
        self.architecture = architecture
        self.network = network
        self._run = run
        self._multiple = multiple
        self._minimum = max(minimum, 1)
        self._square = square
        self._signed = signed
        self.trained = trained

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        return self._restored(image, self._run).clamp(0, 1)

    def check_crop(self, side: int) -> None:
        """Raise ModelError unless the network takes squares of ``side`` px as they are."""
        if side % self._multiple or side < self._minimum:
            raise ModelError(
                f"{self.name} takes sides of at least {self._minimum} px that are multiples of "
                f"{self._multiple}, got a crop of {side}"
            )

    def differentiable(self, image: Tensor) -> Tensor:
        """Return what a call returns, but with gradients and not clamped: for training."""
        return self._restored(image, self.trained or self._run)

    def train(self, on: bool = True) -> None:
        """Let the weights have gradients, and modes that they want for it; or not any more."""
        self.network.eval().requires_grad_(on)
        if self.trained is not None:
            self.trained.train(on)

    def _restored(self, image: Tensor, run: Run) -> Tensor:
        _check(image, self.name)
        height, width = image.shape[-2:]
        padded = pad_to(image, self._multiple, self._minimum, square=self._square)
        output = run(padded * 2 - 1 if self._signed else padded).float()
        if self._signed:
            output = (output + 1) / 2
        return output[..., : height * self.scale, : width * self.scale]


class FaceRestorer:
    """A restorer of aligned faces: (B, 3, S, S) -> the same size, both in [0, 1].

    ``size`` is the only side the network takes (512 for community models); other sizes are
    resized on the way in and out. Without it any side works: it is padded to ``multiple``.
    """

    def __init__(
        self,
        run: Run,
        *,
        name: str,
        fingerprint: str,
        architecture: str,
        network: nn.Module,
        size: int | None = None,
        multiple: int = 16,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.architecture = architecture
        self.network = network
        self.size = size
        self._run = run
        self._multiple = multiple

    @torch.no_grad()
    def __call__(self, faces: Tensor) -> Tensor:
        _check(faces, self.name)
        height, width = faces.shape[-2:]
        if self.size is None:
            output = self._run(pad_to(faces, self._multiple)).float()
            return output[..., :height, :width].clamp(0, 1)
        fits = (height, width) == (self.size, self.size)
        output = self._run(faces if fits else _resize(faces, (self.size, self.size)))
        output = output.float()
        return (output if fits else _resize(output, (height, width))).clamp(0, 1)


def both_ways(run: Run) -> Run:
    """Return the mean of what ``run`` makes of faces (B, C, H, W) and of their mirror images.

    Nearer to the truth than either (geometric self-ensemble: Lim et al. 2017, "Enhanced Deep
    Residual Networks"), where ``run`` makes the mean of what may have been. What is invented
    differs between the two, and would be blurred.
    """

    def mean(faces: Tensor) -> Tensor:
        return (run(faces).float() + run(faces.flip(-1)).flip(-1).float()) / 2

    return mean


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    image = F.interpolate(image, size, mode="bicubic", align_corners=False, antialias=True)
    return image.clamp(0, 1)
