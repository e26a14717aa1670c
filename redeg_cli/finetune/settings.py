"""What a fine-tuning is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from redeg_cli.finetune.effort import EFFORT, FaceRule
from redeg_cli.models import DEFAULT_FACE_RESTORER, DEFAULT_REDEGNET, DEFAULT_RESTORER

TURNED_PIXELS = 1_000_000
"""Of a photo up to which it is restored in all four turns unless it is said. Seconds, for which the
photo in examples/ gains 0.1 dB."""

CROP = 48
"""Side in photo pixels of what the restorer is fine-tuned on."""


@dataclass(frozen=True)
class Settings:
    """What a fine-tuning is asked to do."""

    scale: int = 2
    steps: int = EFFORT["fast"].steps
    adapt_steps: int = EFFORT["fast"].adapt_steps
    general_share: float = 0.25
    """Part of the restorer's crops that have mild classical degradations, not the photo's own:
    what keeps its general skill."""
    crops: int = 8
    """Ωs per face."""
    model: str = DEFAULT_RESTORER
    redegnet: str = DEFAULT_REDEGNET
    face_restorer: str = DEFAULT_FACE_RESTORER
    hq_dir: Path | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    face_pair: tuple[Path, Path] | None = None
    detector: str = "centerface"
    max_faces: int = 8
    """Of each photo."""
    region: tuple[tuple[float, float, float, float], Path] | None = None
    """A part of the photo (left, top, right, bottom in pixels), and a file that shows it sharp."""
    true_colours: bool = False
    """The sharp version that was brought (``region``, ``face_pair``) shows true colours: where the
    photo's differ, they have faded, and are put right. Faces that are found are not used then."""
    faces: FaceRule | None = None
    """What is done with restored faces; None: ``face_rule``."""
    face_strength: float = 1.0
    """How much of a restored face is mixed in, 0 to 1."""
    turns: bool | None = None
    """Restore the photos in all four turns and take the mean; None: the small ones, if it helps."""
    grain: float = 0.0
    """Film grain put on the restored photos, see ``restore.grain``: deviation in levels of 255."""
    seed: int = 0
    device: str = "auto"
    tile: int | None = None

    def in_turns(self, image_hw: tuple[int, int]) -> bool:
        """Return whether a photo of (height, width) is restored in all four turns."""
        return image_hw[0] * image_hw[1] <= TURNED_PIXELS if self.turns is None else self.turns

    @property
    def face_rule(self) -> FaceRule:
        """What is done with restored faces: unless it is said, they are blended in if they come
        from a face restorer of the user's choice (GFPGAN, ...). The embedded one is there to
        measure with: its faces are softer than the restored photo.
        """
        if self.faces is not None:
            return self.faces
        return "keep" if self.face_restorer == DEFAULT_FACE_RESTORER else "blend"
