"""The files of one fine-tuning, by fixed names in one folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redeg_cli.degrade.resize import to_aligned
from redeg_cli.finetune.photo import Finetuned, Settings, weights_metadata
from redeg_cli.finetune.report import write_before_after, write_page
from redeg_cli.io.checkpoints import save_tensors
from redeg_cli.io.files import ensure_writable, write_json
from redeg_cli.io.images import Photo, to_array, to_tensor, write_photo


@dataclass(frozen=True)
class Outputs:
    """Where each result goes."""

    restored: Path
    before_after: Path
    page: Path
    pool: Path
    weights: Path
    summary: Path

    def ensure_writable(self, overwrite: bool) -> None:
        """Raise OutputError when one of them exists and may not be replaced."""
        for path in vars(self).values():
            ensure_writable(path, overwrite)


def plan_outputs(photo: Path, folder: Path) -> Outputs:
    """Return the output files for a photo in ``folder``."""
    return Outputs(
        restored=folder / f"{photo.stem}_restored.png",
        before_after=folder / "before_after.png",
        page=folder / "index.html",
        pool=folder / "pool.npz",
        weights=folder / "f2n-finetuned.safetensors",
        summary=folder / "summary.json",
    )


def write_outputs(
    outputs: Outputs, name: str, photo: Photo, result: Finetuned, settings: Settings
) -> dict[str, Any]:
    """Write everything, the summary last, and return the summary with the files' names."""
    before = to_array(to_aligned(to_tensor(photo.rgb), settings.scale))
    after = result.restored.rgb
    summary = {
        **result.summary,
        "photo": name,
        "files": {key: path.name for key, path in vars(outputs).items()},
    }
    write_photo(outputs.restored, result.restored)
    write_before_after(outputs.before_after, before, after)
    write_page(outputs.page, name, before, after, summary)
    result.pool.save(outputs.pool)
    save_tensors(outputs.weights, result.state, weights_metadata(settings, summary), half=True)
    write_json(outputs.summary, summary)
    return summary
