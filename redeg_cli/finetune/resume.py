"""The state of a fine-tuning under way, kept in a file: one that was stopped is carried on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from redeg_cli import __version__
from redeg_cli.errors import OutputError
from redeg_cli.finetune.settings import Settings
from redeg_cli.io.files import atomic_path, to_plain
from redeg_cli.io.images import Photo
from redeg_cli.models import model_fingerprint

if TYPE_CHECKING:
    from redeg_cli.finetune.checked import Checked

EVERY = 100
"""Steps of tuning after which the state is written, at most."""
_OF_RESTORING = ("faces", "face_strength", "turns", "grain", "tile")
"""Settings that play no part before the restorer is chosen."""


@dataclass(frozen=True)
class Resumed:
    """Where the state of a fine-tuning is kept, and what it must have been begun with."""

    path: Path
    key: str
    """Of the photos, the settings and the models, see ``tuning_key``."""
    replaces: bool = False
    """Whether the state of something else may be replaced."""

    def begun(self) -> int:
        """Return how many steps of the tuning are done already.

        Raises OutputError for the state of something else that may not be replaced.
        """
        if not self.path.exists():
            return 0
        state = self._read(torch.device("cpu"))
        if state is None and not self.replaces:
            raise OutputError(
                f"{self.path} is of another run, of other photos, settings or models: give another "
                "folder, or --overwrite to begin anew"
            )
        return 0 if state is None else int(state["tuning"]["done"])

    def save(self, checked: "Checked") -> None:
        """Write how far a fine-tuning is, whole or not at all. Raises OutputError."""
        tuning = checked.tuning
        state = {
            "key": self.key,
            "tuning": {name: getattr(tuning, name) for name in _OF_TUNING},
            "checked": {name: getattr(checked, name) for name in _OF_CHECKED},
            "checks": [asdict(check) for check in checked.checks],
            "best": None if checked.best is None else checked.checks.index(checked.best),
        }
        with atomic_path(self.path) as temporary:
            torch.save(state, temporary)

    def load(self, checked: "Checked") -> bool:
        """Take up what the file holds; return whether there is one, of just this fine-tuning."""
        from redeg_cli.finetune.checked import read_check

        state = self._read(checked.device)
        if state is None:
            return False
        for name in _OF_TUNING:
            setattr(checked.tuning, name, state["tuning"][name])
        for name in _OF_CHECKED:
            setattr(checked, name, state["checked"][name])
        checked.checks[:] = map(read_check, state["checks"])
        checked.best = None if state["best"] is None else checked.checks[state["best"]]
        return True

    def _read(self, device: torch.device) -> dict[str, Any] | None:
        """Return what the file holds; None if there is none, or not of this fine-tuning."""
        try:
            state = torch.load(self.path, map_location=device, weights_only=True)
            return state if state["key"] == self.key else None
        except Exception:  # a damaged one, or one of another kind
            return None

    def remove(self) -> None:
        """Remove the file: all is done."""
        self.path.unlink(missing_ok=True)


_OF_TUNING = ("state", "done", "losses", "optimizer_state", "weights")
_OF_CHECKED = ("best_state", "highest", "worse")


def tuning_key(photos: Sequence[tuple[str, Photo]], settings: Settings) -> str:
    """Return 32 hex digits of all that a fine-tuning is decided by, but for the files it names."""
    told = {name: each for name, each in asdict(settings).items() if name not in _OF_RESTORING}
    models = [settings.model, settings.redegnet, settings.face_restorer]
    told |= {"version": __version__, "models": [model_fingerprint(name) for name in models]}
    digest = hashlib.sha256(json.dumps(to_plain(told), sort_keys=True).encode())
    for name, photo in photos:
        digest.update(name.encode("utf-8", "surrogateescape"))
        digest.update(photo.rgb.tobytes())
    return digest.hexdigest()[:32]
