"""The files of one fine-tuning, by fixed names in one folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from redeg_cli.degrade.resize import to_aligned
from redeg_cli.errors import OutputError
from redeg_cli.finetune.album import Finetuned, Fitted
from redeg_cli.finetune.photos import PhotoFiles
from redeg_cli.finetune.report import (
    Views,
    eight_bits,
    slider,
    write_before_after,
    write_page,
)
from redeg_cli.finetune.settings import Settings
from redeg_cli.finetune.summary import Page, weights_metadata
from redeg_cli.io.checkpoints import save_tensors
from redeg_cli.io.files import ensure_writable, write_json
from redeg_cli.io.images import Photo, to_array, to_tensor, write_photo
from redeg_cli.io.listing import BEFORE_AFTER, file_key, unique_names
from redeg_cli.omega.adapted import save_adapted


@dataclass(frozen=True)
class Outputs:
    """Where each result goes."""

    restored: tuple[Path, ...]
    before_after: tuple[Path, ...]
    page: Path
    pool: Path
    weights: Path
    adapted: Path
    """SynNet fitted to the photo; not written for a ReDegNet that cannot be."""
    summary: Path

    def ensure_apart(self, photos: Sequence[Path]) -> None:
        """Raise OutputError when one of them would take the place of one of the photos."""
        given = {file_key(photo.resolve()) for photo in photos}
        for path in (*self.restored, *self.before_after):
            if file_key(path.resolve()) in given:
                raise OutputError(f"{path} is one of the photos: give another folder with -o")

    def ensure_writable(self, overwrite: bool) -> None:
        """Raise OutputError when one of them exists and may not be replaced."""
        for path in (*self.restored, *self.before_after, *_others(self).values()):
            ensure_writable(path, overwrite)


def plan_outputs(photos: Sequence[Path], folder: Path) -> Outputs:
    """Return the output files for photos in ``folder``."""
    names = unique_names([(photo.with_suffix(""), photo.stem) for photo in photos])
    stems: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain = stem = name.replace("/", "_")
        number = 1
        while stem.casefold() in taken:  # some file systems do not tell A from a
            number += 1
            stem = f"{plain}_{number}"
        taken.add(stem.casefold())
        stems.append(stem)
    alone = len(photos) == 1
    before_after = [BEFORE_AFTER] if alone else [f"{stem}_{BEFORE_AFTER}" for stem in stems]
    return Outputs(
        restored=tuple(folder / f"{stem}_restored.png" for stem in stems),
        before_after=tuple(folder / f"{stem}.png" for stem in before_after),
        page=folder / "index.html",
        pool=folder / "pool.npz",
        weights=folder / "f2n-finetuned.safetensors",
        adapted=folder / "adapted.safetensors",
        summary=folder / "summary.json",
    )


@dataclass
class Photos:
    """Writes each restored photo as it comes, and keeps what the page shows of it."""

    outputs: Outputs
    scale: int
    sources: PhotoFiles
    """The photos: what stands before each restored one is as it was given."""
    sliders: list[dict[str, Any]] = field(default_factory=list)
    regions: list[tuple[str, list[tuple[str, np.ndarray]]]] = field(default_factory=list)

    def write(self, index: int, page: Page, restored: Photo) -> None:
        """Write the photo of this number, and it beside the enlarged one."""
        write_photo(self.outputs.restored[index], restored)
        enlarged = to_aligned(to_tensor(self.sources.source(index).rgb), self.scale)
        before = eight_bits(enlarged[0].permute(1, 2, 0).numpy())
        del enlarged
        after = eight_bits(restored.rgb)
        write_before_after(self.outputs.before_after[index], before, after)
        self.sliders.append(slider(page.name, before, after, alone=len(self.sources) == 1))
        self.regions += _regions(page, restored, self.scale)


def write_fitted(outputs: Outputs, title: str, fitted: Fitted, settings: Settings) -> None:
    """Write what was learned from the photos: the weights first, which took the time."""
    metadata = weights_metadata(settings, fitted.chosen)
    save_tensors(outputs.weights, fitted.state, metadata, half=True)
    fitted.pool.save(outputs.pool)
    if fitted.adapted is not None:
        adapted, jpeg = fitted.adapted
        save_adapted(outputs.adapted, adapted, jpeg, settings.scale, settings.redegnet, title)


def write_outputs(photos: Photos, title: str, result: Finetuned) -> dict[str, Any]:
    """Write the page and, last, the summary, and return it with the names of all files."""
    outputs = photos.outputs
    others = {key: path.name for key, path in _others(outputs).items()}
    if result.adapted is None:
        del others["adapted"]
    summary = {
        **result.summary,
        "files": {
            "restored": [path.name for path in outputs.restored],
            "before_after": [path.name for path in outputs.before_after],
            **others,
        },
    }
    likeness = [
        (part.permute(1, 2, 0).numpy(), made.permute(1, 2, 0).numpy())
        for part, made in result.likeness
    ]
    views = Views(photos.sliders, photos.regions, likeness, result.curves)
    write_page(outputs.page, title, views, summary)
    write_json(outputs.summary, summary)
    return summary


def _others(outputs: Outputs) -> dict[str, Path]:
    return {key: path for key, path in vars(outputs).items() if isinstance(path, Path)}


def _regions(
    page: Page, restored: Photo, scale: int
) -> list[tuple[str, list[tuple[str, np.ndarray]]]]:
    """Return what the degradation was read off: in the photo, sharp, and in the result."""
    found = []
    for region in page.regions:
        sharp = "restored by the face restorer" if region.kind == "face" else "the sharp version"
        pictures = [
            ("in the photo", to_array(region.pair.lq)),
            (sharp, to_array(region.pair.hq)),
        ]
        if region.kind != "pair":  # whose place in the photo is not known
            x0, y0, x1, y1 = (scale * each for each in region.box)
            pictures.append(("in the restored photo", restored.rgb[y0:y1, x0:x1].copy()))
        found.append((region.name, pictures))
    return found
