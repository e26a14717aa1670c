"""What a run leaves to look at: a JSON Lines log, and curves and pictures for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from redeg_cli.io.files import atomic_path
from redeg_cli.io.manifest import read_manifest

LOG = "log.jsonl"
CURVES = "tensorboard"


class Journal:
    """The log of a run in ``folder``, carried on from ``step``.

    Rows that an earlier sitting wrote after its last saved state are taken off, since those steps
    are done again. Only the main process of several writes.
    """

    def __init__(self, folder: Path, step: int, main: bool = True) -> None:
        self.path = folder / LOG
        self._writer: Any = None
        if not main:
            return
        if self.path.exists():
            rows = read_manifest(self.path)
            kept = [row for row in rows if row.get("step", 0) <= step]
            with atomic_path(self.path) as temporary:
                temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / CURVES), purge_step=step + 1)

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values of one step to the log and to the curves; six digits each."""
        if self._writer is None:
            return
        row = {"step": step} | {name: float(f"{value:.6g}") for name, value in values.items()}
        with self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, name: str, rgb: torch.Tensor, step: int) -> None:
        """Write a picture (3, H, W) in [0, 1]."""
        if self._writer is not None:
            self._writer.add_image(name, rgb.clamp(0, 1).float().cpu(), step)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
