"""A folder of HQ images and recipes that train in seconds."""

from pathlib import Path

import numpy as np
import pytest

from redeg_cli.io.images import write_rgb

RESTORER = """
kind = "restorer"
name = "tiny"
architecture = "f2n-compact"
config = { features = 4, blocks = 1, scales = [1, 2] }
scales = [1, 2]
crop = 8
batch = 2
steps = 6
save_every = 3
precision = "fp32"
data = [{ folder = "hq" }]

[[degradation.steps]]
op = "resize"
of = "native"
[[degradation.steps]]
p = 0.5
op = "jpeg"
quality = [20, 95]
"""

REDEGNET = """
kind = "redegnet"
name = "tiny-redegnet"
crop = 32
batch = 2
steps = 2
precision = "fp32"
data = [{ folder = "hq" }]

[config]
degnet = { widths = [8, 8] }
synnet = { widths = [8, 8], style = 8, kernel = 5, grain_kernel = 5 }
"""


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with hq/ (four images), restorer.toml and redegnet.toml."""
    rng = np.random.default_rng(0)
    for index in range(4):
        coarse = rng.random((6, 7, 3))
        write_rgb(tmp_path / "hq" / f"{index}.png", np.kron(coarse, np.ones((8, 8, 1))))
    (tmp_path / "restorer.toml").write_text(RESTORER)
    (tmp_path / "redegnet.toml").write_text(REDEGNET)
    return tmp_path
