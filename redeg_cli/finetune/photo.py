"""The main job: a photo -> its faces -> Ω -> training pairs -> a restorer -> the restored photo."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from redeg_cli.device import pick_device
from redeg_cli.errors import NoFaceError
from redeg_cli.faces.restore import is_gray
from redeg_cli.finetune.choose import Score, score
from redeg_cli.finetune.images import load_hq, tone_range
from redeg_cli.finetune.paste import paste_faces
from redeg_cli.finetune.regions import Region, brought_region, clean_regions, face_regions
from redeg_cli.finetune.stages import Stages
from redeg_cli.finetune.tune import State, Tuning, copy_state
from redeg_cli.io.images import Photo, require_size
from redeg_cli.models import (
    DEFAULT_FACE_RESTORER,
    DEFAULT_REDEGNET,
    DEFAULT_RESTORER,
    load_face_restorer,
    load_redegnet,
    load_restorer,
    model_fingerprint,
    model_info,
)
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.adapt import Adapted, adapt
from redeg_cli.omega.extract import extract_many
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.photo_pairs import FacePair, photo_pairs
from redeg_cli.omega.pool import Pool, pool_spread
from redeg_cli.omega.synthesis import jpeg_stages
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.restore.photo import restore_photo
from redeg_cli.seeds import sample_seed

Method = Literal["general", "omega", "adapted"]
Paste = Literal["auto", "always", "never"]

CROP = 48
"""Side in photo pixels of what the restorer is fine-tuned on."""
MARGIN, SMOOTH_MARGIN = 0.5, 2.0
"""dB by which a fine-tuned restorer must beat the general one on held-out parts of the faces: as
they are, and after smoothing.

The restored face is no truth: it is softer, and what was fine-tuned on it comes nearer to it by
being soft. On portraits with known originals, gains on held-out parts (as they are, smoothed) and
what they were worth on the whole picture: mild blur, noise and JPEG (1.3, 0.5) -0.3 dB; JPEG
(1.2, 0.3) -0.3 dB; video tape (0.8, 0.6) +0.1 dB; strong noise (0.8, 3.8) +4.1 dB; a
re-photographed screen (8.3, 6.1) +0.3 dB; gray halftone (20.8, 17.4) +8.9 dB."""


@dataclass(frozen=True)
class Settings:
    """What a fine-tuning is asked to do."""

    scale: int = 2
    steps: int = 400
    """Restorer steps of the candidate that is carried on; the other stops at a quarter."""
    adapt_steps: int = 250
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
    paste: Paste = "auto"
    seed: int = 0
    device: str = "auto"
    tile: int | None = None

    def pastes(self) -> bool:
        """Whether restored faces are blended in.

        By itself this is done with a face restorer of the user's choice (GFPGAN, ...). The
        embedded one is there to measure with: its faces are softer than the restored photo.
        """
        if self.paste == "auto":
            return self.face_restorer != DEFAULT_FACE_RESTORER
        return self.paste == "always"


@dataclass
class Finetuned:
    """What came out."""

    restored: Photo
    state: State
    """Weights of the chosen restorer."""
    pool: Pool
    summary: dict[str, Any] = field(default_factory=dict)


def finetune_photo(
    photo: Photo,
    settings: Settings,
    on_progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Finetuned:
    """Fine-tune a restorer on one photo and restore it (ReDegNet, sections 3.3 and 4.4).

    ``say`` gets one line per finding. Raises NoFaceError when there is no usable face, and what
    reading models and images raises.
    """
    started = time.monotonic()
    stages = Stages(
        on_progress or no_progress,
        settings.adapt_steps,
        settings.steps + settings.steps // 4,
        photo.rgb.shape[0] * photo.rgb.shape[1] / 1e6,
    )
    device = pick_device(settings.device)
    require_size(photo, 32, "the photo")
    restorer = load_restorer(settings.model, settings.scale, device)
    net = load_redegnet(settings.redegnet, device)
    assert isinstance(net, torch.nn.Module)
    # Before the faces, which take the time: a wrong folder is told at once.
    gray = photo.gray or is_gray(photo.rgb)
    store, source = load_hq(settings.hq_dir, CROP * settings.scale, tone_range(photo.rgb), gray)
    say(f"sharp images: {source}")

    stages.enter("faces")
    faces, dropped, regions = _find_regions(photo, settings, device)
    for region in regions:
        say(f"using {region.name}")
    for reason in dropped:
        say(f"not used: {reason}")
    regions, lattice = clean_regions(regions)
    if lattice is not None:
        finest = max(np.hypot(*frequency) for frequency in lattice.frequencies)
        say(
            f"a periodic pattern was found: {len(lattice.frequencies)} frequencies, the finest "
            f"every {1 / finest / settings.scale:.1f} px of the photo"
        )

    stages.enter("omega")
    pool = _extract(net, regions, settings, device)
    spread = pool_spread(pool.omegas)
    general_state = copy_state(restorer.network)
    held_out = [region.held_out() for region in regions]
    scores: dict[Method, Score] = {"general": score(restorer, held_out, device)}

    degraders: dict[Method, OmegaDegrader] = {"omega": OmegaDegrader(net, pool, settings.scale)}
    adapted: Adapted | None = None
    if isinstance(net, ReDegNetLite):
        stages.enter("adapt")
        centre = torch.from_numpy(pool.omegas.mean(0, keepdims=True))
        adapted = adapt(
            net,
            centre,
            [region.fitted() for region in regions],
            lattice,
            device,
            steps=settings.adapt_steps,
            seed=settings.seed,
            on_progress=stages.within,
        )
        degraders["adapted"] = _adapted_degrader(adapted, net, centre.to(device), pool, settings)

    tunings: dict[Method, Tuning] = {
        method: Tuning(
            restorer, degrader, store, general_state, settings.steps, crop=CROP, seed=settings.seed
        )
        for method, degrader in degraders.items()
    }
    stages.enter("tune")
    best = _race(tunings, scores, held_out, device, stages.within, settings.steps)
    chosen: Method = (
        best if scores[best].beats(scores["general"], MARGIN, SMOOTH_MARGIN) else "general"
    )
    say(_verdict(chosen, best, scores))

    stages.enter("restore")
    state = general_state if chosen == "general" else tunings[chosen].state
    restorer.network.load_state_dict(state)
    restored = restore_photo(
        photo, restorer, tile=settings.tile, device=device, on_progress=stages.within
    )
    pasted: list[str] = []
    if settings.pastes():
        restored, pasted = paste_faces(restored, faces, settings.scale, lattice)
    stages.finish()
    summary = {
        "scale": settings.scale,
        "size": {"photo": _size(photo), "restored": _size(restored)},
        "device": str(device),
        "models": {
            role: {"name": name, "fingerprint": model_fingerprint(name)}
            for role, name in (
                ("restorer", settings.model),
                ("redegnet", settings.redegnet),
                ("face restorer", settings.face_restorer),
            )
        },
        "faces": [
            {"name": region.name, "region": list(region.box), "fitted_rows": region.split}
            for region in regions
        ],
        "faces_pasted": pasted,
        "faces_not_used": dropped,
        "omega_spread": round(spread, 4),
        "lattice": [] if lattice is None else lattice.frequencies,
        "adaptation_l1": None if adapted is None else adapted.losses,
        "held_out_scores": {
            method: {"psnr": round(s.psnr, 3), "smooth_psnr": round(s.smooth_psnr, 3)}
            for method, s in scores.items()
        },
        "chosen": chosen,
        "steps": {method: tuning.done for method, tuning in tunings.items()},
        "seed": settings.seed,
        "seconds": round(time.monotonic() - started, 1),
    }
    return Finetuned(restored, state, pool, summary)


def _find_regions(
    photo: Photo, settings: Settings, device: torch.device
) -> tuple[list[FacePair], list[str], list[Region]]:
    if settings.face_pair is not None:
        return [], [], [brought_region(*settings.face_pair, settings.scale)]
    faces, dropped = photo_pairs(
        photo.rgb,
        settings.scale,
        load_face_restorer(settings.face_restorer, device),
        detector=settings.detector,
        boxes=settings.boxes,
        max_faces=settings.max_faces,
    )
    if not faces:
        raise NoFaceError(
            f"no usable face ({'; '.join(dropped)}): give its place with --face-box "
            "LEFT,TOP,RIGHT,BOTTOM, bring your own restored face with --face-pair LQ HQ, or use "
            "`redeg restore`, which needs no face"
        )
    return faces, dropped, face_regions(photo.rgb, faces)


def _extract(net: Any, regions: list[Region], settings: Settings, device: torch.device) -> Pool:
    omegas, names, notes = [], [], []
    for region in regions:
        seed = sample_seed(settings.seed, region.name)
        rows, how = extract_many(net, region.fitted_pair(), settings.crops, seed, device)
        omegas.append(rows)
        names += [region.name] * len(rows)
        notes += how
    return Pool(
        np.concatenate(omegas).astype(np.float32),
        tuple(names),
        np.full(len(names), settings.scale, np.int64),
        settings.redegnet,
        model_fingerprint(settings.redegnet),
        tuple(notes),
    )


def _adapted_degrader(
    adapted: Adapted, net: ReDegNetLite, centre: torch.Tensor, pool: Pool, settings: Settings
) -> OmegaDegrader:
    fitted = replace(
        pool,
        omegas=adapted.omega.numpy(),
        names=("adapted",),
        scales=pool.scales[:1],
        notes=("fitted to the photo",),
    )
    with torch.no_grad():
        stages = jpeg_stages(net, centre)
    return OmegaDegrader(
        adapted.net, fitted, settings.scale, lattice=adapted.lattice, stages=stages
    )


def _race(
    tunings: dict[Method, Tuning],
    scores: dict[Method, Score],
    held_out: list[Any],
    device: torch.device,
    on_progress: OnProgress,
    steps: int,
) -> Method:
    """Tune every candidate for a quarter of the steps, then only the best one to the end."""
    first = steps // 4 if len(tunings) > 1 else 0
    everything = first * (len(tunings) - 1) + steps
    before = 0

    def stretch(method: Method, count: int) -> None:
        nonlocal before
        tuning = tunings[method]

        def within(done: int, total: int, text: str = "") -> None:
            del total
            on_progress(before + done, everything, text)

        tuning.run(count, device, within)
        before += count
        scores[method] = score(tuning.restorer, held_out, device)

    for method in tunings if first else ():
        stretch(method, first)
    best = max(tunings, key=lambda m: scores[m].smooth_psnr if m in scores else 0.0)
    stretch(best, steps - tunings[best].done)
    return best


def _verdict(chosen: Method, best: Method, scores: dict[Method, Score]) -> str:
    texts = {"omega": "Ω alone", "adapted": "SynNet adapted to this photo"}
    gain = scores[best].psnr - scores["general"].psnr
    smooth = scores[best].smooth_psnr - scores["general"].smooth_psnr
    if chosen == "general":
        return (
            f"the general restorer is kept: fine-tuning ({texts[best]}) changed the held-out "
            f"parts of the faces by {gain:+.2f} dB, {smooth:+.2f} dB when smoothed; at least "
            f"+{MARGIN} and +{SMOOTH_MARGIN} are asked for"
        )
    return f"chosen: fine-tuned, {texts[best]}, {gain:+.2f} dB on held-out parts of the faces"


def _size(photo: Photo) -> list[int]:
    return [photo.rgb.shape[1], photo.rgb.shape[0]]


def weights_metadata(settings: Settings, summary: dict[str, Any]) -> dict[str, str]:
    """Return the metadata of the fine-tuned weights: those of the model they started from."""
    metadata = dict(model_info(settings.model).metadata)
    return metadata | {"finetuned_from": settings.model, "chosen": str(summary["chosen"])}
