"""Aligned faces through a face restorer, with the photo's own colour kept."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch

from redeg_cli.degrade.tone import LUMA, is_gray
from redeg_cli.errors import ModelError
from redeg_cli.faces.align import ALIGNED_SIZE

_WIDEST = 32.0
"""Sigma in pixels up to which a Gaussian is computed as it is: that of an aligned face."""
_FINENESS = 8
"""Pixels per sigma of the reduced grid on which a wider one is computed."""


def size_to_restore_at(square: float, size: int | None = None) -> int:
    """Return the side in pixels at which to restore a face whose aligned square covers ``square``
    pixels a side of its photo: ``size``, if the restorer takes no other.

    The embedded restorer was trained at 256 to 512 px, with dots of prints up to 14 px apart. Its
    PSNR is highest at 256 px for squares of 32 px, at 384 px for 128 px, at 480 px for 256 px; for
    64 and 96 px at about 300 px, but in print at less, the more the smaller they are: 64 px at
    256 px are 0.03 dB behind without, 0.4 to 1.0 dB ahead with dots 4 px apart.
    """
    if size is not None:
        return size
    best = min(128 + 2 * square, 288 + 0.75 * square)
    return min(max(round(best / 16) * 16, 256), ALIGNED_SIZE)


def restore_faces(
    aligned: Sequence[np.ndarray],
    restorer: Callable[[torch.Tensor], torch.Tensor],
    *,
    batch_size: int = 4,
    keep_colour: bool = True,
) -> list[np.ndarray]:
    """Return the restored faces, as many and as large as ``aligned``.

    ``aligned`` are (S, S, 3) in [0, 1], all of one size; ``restorer`` takes (B, 3, S, S) in [0, 1]
    and gives the same. With ``keep_colour`` the low-frequency colour of the input is kept, and a
    gray face stays gray: what a restorer does to the colour is its habit, not the photo's
    degradation. Raises ModelError when the restorer changes the size or gives NaN.
    """
    device = _device_of(restorer)
    restored: list[np.ndarray] = []
    for start in range(0, len(aligned), batch_size):
        faces = aligned[start : start + batch_size]
        stack = np.stack([np.ascontiguousarray(face.transpose(2, 0, 1)) for face in faces])
        batch = torch.from_numpy(stack.astype(np.float32)).to(device)
        with torch.inference_mode():
            output = restorer(batch).float().clamp(0, 1).cpu()
        if output.shape != batch.shape:
            raise ModelError(
                f"the face restorer gave {tuple(output.shape)} for {tuple(batch.shape)}; "
                "it must keep the size of aligned faces"
            )
        if not bool(torch.isfinite(output).all()):
            raise ModelError("the face restorer gave values that are not numbers; try float32")
        results = output.permute(0, 2, 3, 1).contiguous().numpy()
        for face, result in zip(faces, results, strict=True):
            restored.append(follow_colour(result, face) if keep_colour else result)
    return restored


def follow_colour(
    source: np.ndarray,
    reference: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    reach: float = 1 / 16,
) -> np.ndarray:
    """Return ``source`` with the low-frequency colour of ``reference``, in [0, 1].

    Both are (H, W, 3) in [0, 1]. The difference of the two, blurred with a Gaussian of sigma
    ``reach`` x the longer side, is added: details finer than that are the source's. The sum never
    divides by the source, so dark or flat faces cannot blow up. Where ``mask`` (H, W) in [0, 1]
    is 0 the difference does not count; it fades out away from the mask. Where the whole reference
    is gray the result is gray.
    """
    if source.shape != reference.shape:
        raise ValueError(f"{source.shape} and {reference.shape} do not go together")
    if is_gray(reference):
        source = np.repeat((source @ np.array(LUMA, np.float32))[..., None], 3, axis=-1)
    sigma = max(source.shape[:2]) * reach
    difference = np.asarray(reference, np.float32) - np.asarray(source, np.float32)
    if mask is None:
        shift = _blur(difference, sigma)
    else:
        weight = np.asarray(mask, np.float32)[..., None]
        counted = _blur(weight, sigma)
        if counted.ndim == 2:  # OpenCV drops a single channel
            counted = counted[..., None]
        shift = _blur(difference * weight, sigma) / (counted + 1e-3)
    return np.clip(source + shift, 0, 1).astype(np.float32)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur with a Gaussian; a wide one on a grid that is just fine enough for it.

    With sigma a part of the side, OpenCV's takes 16 s at 2000x2000 px, this 0.4 s. Linear
    interpolation back: a step of 255 levels comes out within 0.25 of the full Gaussian, with
    OpenCV's cubic, which bends straight lines, within 0.5.
    """
    if sigma <= _WIDEST:
        return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    height, width = image.shape[:2]
    step = sigma / _FINENESS
    small = cv2.resize(
        image,
        (max(round(width / step), 1), max(round(height / step), 1)),
        interpolation=cv2.INTER_AREA,
    )
    x, y = (sigma * new / old for new, old in zip(small.shape[1::-1], (width, height), strict=True))
    small = cv2.GaussianBlur(small, (0, 0), x, sigmaY=y, borderType=cv2.BORDER_REFLECT)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _device_of(restorer: object) -> torch.device:
    """Where the restorer's network lives; a plain function is taken to work on the CPU."""
    network = getattr(restorer, "network", restorer)
    first = next(network.parameters(), None) if isinstance(network, torch.nn.Module) else None
    return torch.device("cpu") if first is None else first.device
