"""Which restorer a fine-tuning ends with, and everything that is told of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redeg_cli.finetune.checked import Check, Checked
from redeg_cli.finetune.choose import Score
from redeg_cli.finetune.regions import Region
from redeg_cli.finetune.settings import Settings
from redeg_cli.models import find_model, model_fingerprint, model_info
from redeg_cli.omega.adapt import Adapted
from redeg_cli.omega.agreement import Agreement
from redeg_cli.omega.photo_pairs import FacePair
from redeg_cli.omega.pool import Pool, pool_spread
from redeg_cli.omega.printed import Print

Method = Literal["general", "omega", "adapted"]
"""What a photo is restored by: the general restorer; one tuned on LQs that Ω makes alone; one tuned
on those and on LQs of SynNet adapted to the photo (``finetune.either``)."""

MARGIN, SMOOTH_MARGIN = 0.5, 1.0
"""dB by which a fine-tuned restorer must beat the general one on held-out parts of the faces: as
they are, and after smoothing.

The restored face is no truth: it is softer, and what was fine-tuned on it comes nearer to it by
being soft. On portraits with known originals, gains on held-out parts (as they are, smoothed) and
what they were worth on the whole picture: mild blur, noise and JPEG (1.3, 0.5) -0.3 dB; JPEG
(1.2, 0.3) -0.3 dB; video tape (0.8, 0.6) +0.1 dB; a colour print (4.7, 1.3) +2.2 dB, another
(10.0, 7.5) +4.8 dB; a re-photographed screen (6.7, 3.6) +2.8 dB with its colours matched. With the
general restorer of today the first three are (-1.2, -2.6), (-1.0, -2.4) and (0.2, 0.3). On the
colour print of examples/ the gains fall from (3.6, 1.4) after 62 steps to (2.1, 0.1) after 250,
while the picture gets better: what counts is ``Checked.nearest``."""

HALF_WAY = 0.5
"""Share of the fine-tuned weights where the faces do not tell which restorer is better (WiSE-FT,
Wortsman et al. 2022, arXiv 2109.01903).

Ω of a restored face makes LQs that are somewhat too sharp or too soft, and the general restorer
knows more: half-way, the one makes up for the other. Gains in dB on two portraits with known
originals, all the way and half-way, after 100 steps: blur +0.50 and +0.64, -0.06 and +0.27; noise
-0.15 and +0.36; hardly degraded +0.08 and +0.45, +0.29 and +0.30; a re-photographed screen by Ω
alone -0.02 and 0.00."""

LOST, SMOOTH_LOST = 4.0, 6.0
"""dB behind the general restorer, on the figures of the two above, at which the tuned one is not
mixed in. The farthest behind that still gained (JPEG, +0.3 dB) was at -3.0 and -4.8."""

DIRT = 1.0
"""dB of detail that half-way may have more than the general restorer on flat parts of the faces
(``added_detail``).

With the ripples of JPEG on a sharp portrait, which Ω took for blur, it was 2.1 to 2.5 dB; where
half-way gained on portraits with known originals -2.2 (noise), -1.0 (JPEG), 0.1 (blur) and 0.2 dB
(a little of all), on old photos -0.9 to -0.3 dB."""


@dataclass(frozen=True, eq=False)
class Page:
    """A photo of an album, and what was found in it."""

    name: str
    size: tuple[int, int]
    """(height, width)."""
    faces: list[FacePair]
    dropped: list[str]
    """Why other faces were not used."""
    regions: list[Region]


@dataclass(frozen=True)
class Choice:
    """Which restorer a fine-tuning ends with."""

    method: Method
    share: float
    """Of the fine-tuned weights in what is kept: 1, ``HALF_WAY``, or 0 of the general restorer's.
    """
    dirt: float | None = None
    """dB of detail that half-way has more on flat parts, where it was asked."""


def choose(
    method: Method, nearest: Check | None, general: Score, find_dirt: Callable[[], float]
) -> Choice:
    """Return the tuned restorer if it clearly beats the general one, else half of it.

    ``nearest`` is its check that is looked at (``Checked.nearest``). If it is far behind or there
    is none, or if half of it has too much detail where there is none to be had, which
    ``find_dirt`` finds in dB (``added_detail``), the general restorer is kept.
    """
    if nearest is not None and nearest.score.beats(general, MARGIN, SMOOTH_MARGIN):
        return Choice(method, 1.0)
    if nearest is None or not nearest.score.beats(general, -LOST, -SMOOTH_LOST):
        return Choice("general", 0.0)
    dirt = find_dirt()
    return Choice("general", 0.0, dirt) if dirt > DIRT else Choice(method, HALF_WAY, dirt)


def summarise(
    settings: Settings,
    pages: Sequence[Page],
    pasted: Sequence[Sequence[str]],
    turned: Sequence[bool],
    fitting: Checked,
    *,
    method: Method,
    general: Score,
    chosen: Choice,
    pool: Pool,
    agreed: Sequence[Agreement],
    device: str,
    lattice: Sequence[tuple[float, float]],
    how_printed: Print | None,
    adapted: Adapted | None,
    seconds: float,
) -> dict[str, Any]:
    """Return what is written as summary.json, as JSON values."""
    best, nearest = fitting.best, fitting.nearest
    return {
        "scale": settings.scale,
        "photos": [
            {
                "name": page.name,
                "size": [page.size[1], page.size[0]],
                "restored_size": [settings.scale * side for side in reversed(page.size)],
                "in_turns": in_turns,
                "faces": [_describe(each) for each in page.regions if each.kind == "face"],
                "given": [_describe(each) for each in page.regions if each.kind != "face"],
                "faces_pasted": names,
                "faces_not_used": page.dropped,
            }
            for page, names, in_turns in zip(pages, pasted, turned, strict=True)
        ],
        "device": device,
        "models": _models(settings),
        "omegas": len(pool),
        "omega_spread": round(pool_spread(pool.omegas), 4),
        "face_agreement": [
            {
                "name": each.name,
                "disagreement": round(each.disagreement, 2),
                "stands_out": each.stands_out,
            }
            for each in agreed
        ],
        "lattice": lattice,
        "print": None if how_printed is None else _describe_print(how_printed, settings.scale),
        "colours_put_right": adapted is not None and adapted.tone is not None,
        "adaptation": None
        if adapted is None
        else {"l1": adapted.losses, "kept_step": adapted.kept},
        "held_out_scores": {
            "general": _figures(general),
            # What is compared with the general restorer, and what is kept.
            **({method: {**_scored(nearest), "best": _scored(best)}} if nearest and best else {}),
        },
        "checks": [_check_row(check) for check in fitting.checks],
        "chosen": chosen.method,
        "share": chosen.share,
        "dirt": None if chosen.dirt is None else round(chosen.dirt, 2),
        "steps": fitting.tuning.done,
        "kept_step": best.steps if best and chosen.share else 0,
        "grain": settings.grain,
        "seed": settings.seed,
        "seconds": round(seconds, 1),
    }


_OF_TRAINING = ("recipe", "steps", "minutes", "figures")
"""What weights say of how they were trained."""


def weights_metadata(settings: Settings, chosen: Choice) -> dict[str, str]:
    """Return the metadata of the fine-tuned weights: what network it is, and where it comes from.

    How the model was trained that they started from, and how good it was, is not said of them.
    """
    metadata = model_info(settings.model).metadata
    network = {key: text for key, text in metadata.items() if key not in _OF_TRAINING}
    return network | {
        "finetuned_from": find_model(settings.model).stem,
        "finetuned_scale": str(settings.scale),
        "chosen": chosen.method,
        "share": str(chosen.share),
    }


def verdict(chosen: Choice, nearest: Check | None, best: Check | None, general: Score) -> str:
    """Return in one line what was chosen and why: by ``nearest``, of ``best`` are the weights."""
    if nearest is None or best is None:
        return "the general restorer is kept"
    gain = nearest.score.psnr - general.psnr
    smooth = nearest.score.smooth_psnr - general.smooth_psnr
    if chosen.share == 1:
        kept = f"{best.score.psnr - general.psnr:+.2f} dB on held-out parts"
        if best == nearest:
            return f"chosen: fine-tuned, {kept}"
        return (
            f"chosen: fine-tuned, {kept} after {best.steps} steps, those that are kept; compared "
            f"after {nearest.steps} steps: {gain:+.2f} dB"
        )
    changed = (
        f"fine-tuning changed the held-out parts by {gain:+.2f} dB, {smooth:+.2f} dB when smoothed"
    )
    if chosen.share > 0:
        return (
            f"chosen: half-way between the general restorer and the fine-tuned one: {changed}; "
            f"+{MARGIN} and +{SMOOTH_MARGIN} are asked for to go all the way"
        )
    if chosen.dirt is None:
        reason = f"{changed}; at least -{LOST} and -{SMOOTH_LOST} dB are asked for"
    else:
        reason = (
            f"{changed}, and half-way to it flat parts of the faces have {chosen.dirt:.1f} dB more "
            f"fine detail, dirt it seems; at most {DIRT} dB is asked for"
        )
    return f"the general restorer is kept: {reason}"


def _models(settings: Settings) -> dict[str, dict[str, str]]:
    roles = {
        "restorer": settings.model,
        "redegnet": settings.redegnet,
        "face restorer": settings.face_restorer,
    }
    return {
        role: {"name": name, "fingerprint": model_fingerprint(name)} for role, name in roles.items()
    }


def _figures(found: Score) -> dict[str, float]:
    return {"psnr": round(found.psnr, 3), "smooth_psnr": round(found.smooth_psnr, 3)}


def _scored(check: Check) -> dict[str, Any]:
    return {**_figures(check.score), "steps": check.steps}


def _check_row(check: Check) -> dict[str, Any]:
    row = {"steps": check.steps, **_figures(check.score)}
    if check.consistency is not None:
        row["photo_smooth_psnr"] = round(check.consistency.smooth_psnr, 3)
        row["photo_spectrum"] = round(check.consistency.spectrum, 3)
    return row


def _describe(region: Region) -> dict[str, Any]:
    told: dict[str, Any] = {"name": region.name, "fitted_rows": region.split}
    if region.kind != "pair":  # whose place in the photo is not known
        told["region"] = list(region.box)
    return told


def _describe_print(how: Print, scale: int) -> dict[str, Any]:
    """Return how the photo was printed in dots, lengths in its own pixels."""
    return {
        "pitch": round(how.pitch / scale, 3),
        "angles": [round(angle, 2) for angle in how.angles],
        "softness": how.softness,
        "gain": how.gain,
        "black": how.black,
    }
