"""Every op by name: what chains are made of."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.blur import Blur, apply_blur
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.chroma import ChromaBleed, apply_chroma_bleed
from redeg_cli.degrade.creases import Creases, apply_creases
from redeg_cli.degrade.dust import Dust, apply_dust
from redeg_cli.degrade.error_diffusion import ErrorDiffusion, apply_error_diffusion
from redeg_cli.degrade.grain import Grain, apply_grain
from redeg_cli.degrade.halftone import Halftone, apply_halftone
from redeg_cli.degrade.interlace import Interlace, apply_interlace
from redeg_cli.degrade.isp import IspNoise, apply_isp_noise
from redeg_cli.degrade.jitter import LineJitter, apply_line_jitter
from redeg_cli.degrade.jpeg import Jpeg, apply_jpeg
from redeg_cli.degrade.moire import Moire, apply_moire
from redeg_cli.degrade.noise import (
    GaussianNoise,
    PoissonNoise,
    apply_noise,
    apply_poisson,
    apply_speckle,
)
from redeg_cli.degrade.paper import Paper, apply_paper
from redeg_cli.degrade.resize import Resize, apply_resize
from redeg_cli.degrade.ringing import Ringing, apply_ringing
from redeg_cli.degrade.scratches import Scratches, apply_scratches
from redeg_cli.degrade.sharpen import Sharpen, apply_sharpen
from redeg_cli.degrade.tape import Dropouts, TapeNoise, apply_dropouts, apply_tape_noise
from redeg_cli.degrade.tone import Fade, apply_fade
from redeg_cli.degrade.tracking import Tracking, apply_tracking
from redeg_cli.degrade.video import Video, apply_video
from redeg_cli.degrade.vignette import Vignette, apply_vignette
from redeg_cli.degrade.webp import Webp, apply_webp
from redeg_cli.errors import RecipeError
from redeg_cli.validation import nearest_or_all


class Op(NamedTuple):
    """One degradation."""

    step: type[Step]
    """Its parameters, with their ranges."""
    apply: Callable[[Canvas, Sequence[Any]], Canvas]
    """Applies one step to each image of a canvas."""


OPS: dict[str, Op] = {
    # Lens, sensor and sampling.
    "blur": Op(Blur, apply_blur),
    "resize": Op(Resize, apply_resize),
    "noise": Op(GaussianNoise, apply_noise),
    "speckle": Op(GaussianNoise, apply_speckle),
    "poisson": Op(PoissonNoise, apply_poisson),
    "isp": Op(IspNoise, apply_isp_noise),
    "sharpen": Op(Sharpen, apply_sharpen),
    "vignette": Op(Vignette, apply_vignette),
    # Files.
    "jpeg": Op(Jpeg, apply_jpeg),
    "webp": Op(Webp, apply_webp),
    # Prints, their age and their scans.
    "halftone": Op(Halftone, apply_halftone),
    "error_diffusion": Op(ErrorDiffusion, apply_error_diffusion),
    "grain": Op(Grain, apply_grain),
    "paper": Op(Paper, apply_paper),
    "fade": Op(Fade, apply_fade),
    "scratches": Op(Scratches, apply_scratches),
    "dust": Op(Dust, apply_dust),
    "creases": Op(Creases, apply_creases),
    "moire": Op(Moire, apply_moire),
    # Video.
    "chroma_bleed": Op(ChromaBleed, apply_chroma_bleed),
    "ringing": Op(Ringing, apply_ringing),
    "interlace": Op(Interlace, apply_interlace),
    "line_jitter": Op(LineJitter, apply_line_jitter),
    "tape_noise": Op(TapeNoise, apply_tape_noise),
    "dropouts": Op(Dropouts, apply_dropouts),
    "tracking": Op(Tracking, apply_tracking),
    "video": Op(Video, apply_video),
}


def find_op(name: Any, where: str) -> Op:
    """Return the op of that name. Raises RecipeError that names the nearest one, or all."""
    if not isinstance(name, str) or name not in OPS:
        raise RecipeError(f"{where}: unknown op {name!r}{nearest_or_all(name, OPS)}")
    return OPS[name]
