"""Make examples/old_photo.jpg: a portrait as if cut from a newspaper and scanned.

The sharp original is the public domain portrait of Grace Hopper (US Navy, James S. Davis) that
comes with matplotlib; the degraded photo has half its size, so that restoring at scale 2 gives a
picture that can be compared with the original pixel by pixel (see score.py).

    python examples/make_old_photo.py                           # examples/old_photo.jpg
    python examples/make_old_photo.py --original original.png   # and the sharp original
"""

import argparse
import io
from pathlib import Path

import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image

from redeg_cli.degrade.halftone import INK_ANGLES
from redeg_cli.degrade.steps import StepTable, run_steps
from redeg_cli.io.images import read_rgb, to_array, to_tensor, write_rgb

SCALE = 2
PHOTO = Path(__file__).with_name("old_photo.jpg")
QUALITY = 80
PITCH = 3.4
"""Distance of the dots in pixels of the photo."""
TILT = 1.7
"""The clipping lay a little askew on the scanner: degrees added to every screen angle."""

# Lengths in pixels of the original's grid, where the page is printed and seen by the scanner.
STEPS: list[StepTable] = [
    {
        "op": "halftone",
        "pitch": SCALE * PITCH,
        "angles": [angle + TILT for angle in INK_ANGLES],
        "softness": 0.3,
        "phases": [[0.13, 0.71], [0.52, 0.28], [0.87, 0.44], [0.36, 0.93]],
    },
    # Newsprint is not white and its ink not black: warm paper, slightly faded inks.
    {"op": "fade", "black": [0.035, 0.03, 0.025], "white": [0.985, 0.965, 0.92], "gamma": 1.0},
    {"op": "blur", "sigma": 1.0},
    {"op": "resize", "of": "native", "filter": "area"},
]


def original() -> np.ndarray:
    """Return the sharp portrait, (600, 512, 3) sRGB in [0, 1], cut to even sides."""
    rgb = read_rgb(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    height, width = (side - side % SCALE for side in rgb.shape[:2])
    return rgb[:height, :width]


def degraded(rgb: np.ndarray) -> bytes:
    """Return the JPEG file of a picture (H, W, 3) in [0, 1] printed as newsprint and scanned."""
    scan = to_array(run_steps(to_tensor(rgb), STEPS, SCALE))
    file = io.BytesIO()
    Image.fromarray(np.uint8(scan * 255 + 0.5)).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=PHOTO, help="the old photo to write")
    parser.add_argument("--original", type=Path, help="also write the sharp original here")
    options = parser.parse_args()
    rgb = original()
    options.output.write_bytes(degraded(rgb))
    print(options.output)
    if options.original is not None:
        write_rgb(options.original, rgb)
        print(options.original)


if __name__ == "__main__":
    main()
