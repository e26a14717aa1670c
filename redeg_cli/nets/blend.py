"""Weights between those of two networks of one architecture.

Number by number, they give a network between the two: of a restorer and the same one trained on for
sharpness (network interpolation: ESRGAN, arXiv 1809.00219, section 3.4), of a general one and the
same one fine-tuned (WiSE-FT, arXiv 2109.01903).
"""

from collections.abc import Mapping

from torch import Tensor

State = Mapping[str, Tensor]


def blend_weights(ours: State, theirs: State, share: float) -> dict[str, Tensor]:
    """Return ``ours`` at a ``share`` of 0, ``theirs`` at 1, in between what lies between.

    What is not of floating point (indices, counts) is ours. Raises ValueError for weights of other
    names or shapes than ours.
    """
    shapes = [{name: each.shape for name, each in side.items()} for side in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError("weights of two architectures cannot be blended")
    return {
        name: each.lerp(theirs[name].to(each), share) if each.is_floating_point() else each
        for name, each in ours.items()
    }
