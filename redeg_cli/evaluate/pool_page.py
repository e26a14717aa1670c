"""A pool as an interactive page: points to point at, their LQ crops, groups to hide."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from redeg_cli.evaluate.pool_map import PoolMap
from redeg_cli.io.files import write_text
from redeg_cli.io.page import build_page

_STEPS = 20000
"""Places are written as whole numbers, in this many steps over the wider side."""


def write_pool_page(path: Path, pool_map: PoolMap, crops: Sequence[str]) -> None:
    """Write the page, one file that needs nothing else; ``crops`` are data URIs, empty for none.

    Raises OutputError.
    """
    low = pool_map.places.min(0)
    wide = float(np.ptp(pool_map.places, axis=0).max()) or 1.0
    steps = np.rint((pool_map.places.astype(np.float64) - low) * (_STEPS / wide)).astype(int)
    names = list(dict.fromkeys(pool_map.names))
    index = {name: number for number, name in enumerate(names)}
    data = {
        "title": pool_map.title,
        "caption": pool_map.caption,
        "groups": pool_map.groups,
        "x": steps[:, 0],
        "y": steps[:, 1],
        "group": pool_map.members,
        "names": names,
        "name": [index[name] for name in pool_map.names],
        "notes": pool_map.notes,
        "crops": crops if any(crops) else [],
    }
    write_text(path, build_page("pool_plot", pool_map.title, data))
