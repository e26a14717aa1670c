"""The main job: photos -> their faces -> Ω -> training pairs -> a restorer -> restored photos."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.tone import is_gray
from redeg_cli.device import pick_device
from redeg_cli.finetune.checked import Checked
from redeg_cli.finetune.choose import added_detail, restore_parts, score_of, turns_help
from redeg_cli.finetune.effort import LEAST_SIDE
from redeg_cli.finetune.either import Either
from redeg_cli.finetune.images import load_hq, tone_range, toned_store
from redeg_cli.finetune.pages import (
    draw_photo_parts,
    find_pages,
    find_prints,
    judged_regions,
    of_one_photo,
    toned_regions,
)
from redeg_cli.finetune.paste import paste_faces
from redeg_cli.finetune.regions import Region, clean_regions, printed_region
from redeg_cli.finetune.resume import Resumed, tuning_key
from redeg_cli.finetune.settings import CROP, Settings
from redeg_cli.finetune.stages import Stages
from redeg_cli.finetune.summary import (
    HALF_WAY,
    Choice,
    Method,
    Page,
    choose,
    summarise,
    verdict,
)
from redeg_cli.finetune.tune import State, Tuning, copy_state
from redeg_cli.io.images import Photo, require_size
from redeg_cli.models import find_model, load_redegnet, load_restorer, model_fingerprint
from redeg_cli.nets.blend import blend_weights
from redeg_cli.nets.lite import PRINT, ReDegNetLite, has_room
from redeg_cli.omega.adapt import Adapted, adapt
from redeg_cli.omega.agreement import agreement, agreement_notes
from redeg_cli.omega.extract import extract_printed
from redeg_cli.omega.find_print import FoundPrint
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool
from redeg_cli.omega.printed import printed_note, with_print
from redeg_cli.omega.synthesis import Stages as JpegStages
from redeg_cli.omega.synthesis import jpeg_stages
from redeg_cli.omega.tone import Tone, fit_tone
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.restore.grain import add_grain
from redeg_cli.restore.photo import restore_photo
from redeg_cli.seeds import sample_seed
from redeg_cli.train.data import ImageStore


@dataclass
class Fitted:
    """What was learned from the photos, before they are restored."""

    state: State
    """Weights of the chosen restorer."""
    chosen: Choice
    pool: Pool
    adapted: tuple[Adapted, JpegStages] | None
    """SynNet fitted to the photo, and the compression that goes with it."""


@dataclass(kw_only=True)
class Finetuned(Fitted):
    """What came out."""

    restored: list[Photo]
    """In the order of the photos; none when each was handed on."""
    summary: dict[str, Any] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)
    """Method -> its loss at each step."""
    likeness: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Parts of the photo beside parts that SynNet made, native, (3, s, s) in [0, 1] each."""


def finetune_photo(
    photo: Photo,
    settings: Settings,
    on_progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Finetuned:
    """Fine-tune a restorer on one photo and restore it; see ``finetune_album``."""
    return finetune_album([("the photo", photo)], settings, on_progress, say)


def finetune_album(
    photos: Sequence[tuple[str, Photo]],
    settings: Settings,
    on_progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
    hand_on: Callable[[int, Page, Photo], None] | None = None,
    keep: Callable[[Fitted], None] = lambda _: None,
    state_file: Path | None = None,
    overwrite: bool = False,
) -> Finetuned:
    """Fine-tune one restorer on photos of one origin, by name, and restore them (ReDegNet,
    sections 3.3 and 4.4).

    The Ωs of all faces are pooled. SynNet is adapted on the photo with the largest face, since
    the phases of a screen are each print's own. ``say`` gets one line per finding. ``hand_on`` is
    given each restored photo by its number, and it is not held then: an album's fill the memory.
    ``keep`` is given what was learned, before a photo is restored: one that fails loses nothing.
    ``state_file`` keeps how far the tuning is, until all photos are restored: a run that was
    stopped goes on from it, and with ``overwrite`` that of another one is replaced.
    Photos are taken out of ``photos`` when they are needed, and not held (``PhotoFiles``).
    Raises NoFaceError when no photo has a usable face, OutputError for the state of another run,
    and what reading models and images raises.
    """
    started = time.monotonic()
    sizes = []
    for name, photo in photos:
        require_size(photo, LEAST_SIDE, name)
        sizes.append(photo.rgb.shape[:2])
    pixels = sum(size[0] * size[1] * (4 if settings.in_turns(size) else 1) for size in sizes)
    efforts = (settings.adapt_steps, settings.steps, pixels / 1e6)
    resumed = None
    if state_file is not None:
        resumed = Resumed(state_file, tuning_key(photos, settings), overwrite)
    begun = 0 if resumed is None else resumed.begun()
    stages = Stages(on_progress or no_progress, *efforts, begun)
    device = pick_device(settings.device)
    restorer = load_restorer(settings.model, settings.scale, device)
    net = load_redegnet(settings.redegnet, device)
    assert isinstance(net, torch.nn.Module)

    # Before the faces: a wrong folder is told at once.
    stages.enter("sharp")
    sharp, source = load_hq(settings.hq_dir, CROP * settings.scale, stages.within)
    say(f"sharp images: {source}")

    stages.enter("faces")
    pages = find_pages(photos, settings, device, stages.within, say)
    found = [region for page in pages for region in page.regions]
    regions, lattice = clean_regions(found, of_one_photo(pages, found))
    prints = find_prints(pages, regions) if has_room(net) else [None] * len(regions)
    found_print = prints[regions.index(of_one_photo(pages, regions)[0])]
    if found_print is not None:
        say(printed_note(found_print.how, settings.scale))
    elif lattice is not None:
        finest = max(np.hypot(*frequency) for frequency in lattice.frequencies)
        say(
            f"a periodic pattern was found: {len(lattice.frequencies)} frequencies, the finest "
            f"every {1 / finest / settings.scale:.1f} px of the photo"
        )
    tone = None
    if settings.true_colours:
        tone = fit_tone([region.fitted().view() for region in regions])
        say(
            "the photo has the colours of the sharp version"
            if tone is None
            else "the photo's colours differ from the sharp version's: they are put right"
        )
    store = toned_store(sharp, *_tones(photos, tone))
    del sharp

    stages.enter("omega")
    toned = toned_regions(regions, tone)
    seen = [printed_region(*each) for each in zip(toned, prints, strict=True)]
    pool = _extract(net, seen, prints, settings, device)
    agreed = agreement(pool.omegas[:, : PRINT.start if has_room(net) else None], pool.names)
    for note in agreement_notes(agreed):
        say(note)
    general_state = copy_state(restorer.network)
    held_out = [region.held_out() for region in judged_regions(pages, regions)]
    by_general = restore_parts(restorer, held_out, device)
    general = score_of(by_general, held_out, restorer.scale)

    own = OmegaDegrader(net, pool, settings.scale, tone=tone)
    degrader: Degrader = own
    method: Method = "omega"
    adapted: Adapted | None = None
    jpeg: JpegStages | None = None
    if isinstance(net, ReDegNetLite):
        stages.enter("adapt")
        centre = torch.from_numpy(pool.omegas.mean(0, keepdims=True))
        if has_room(net):  # the mean of all photos' prints is none of this one's
            centre = with_print(centre, [found_print and found_print.how])
        adapted = adapt(
            net,
            centre,
            [region.fitted() for region in of_one_photo(pages, seen)],
            lattice if found_print is None else None,
            device,
            scale=settings.scale,
            steps=settings.adapt_steps,
            tone=tone,
            seed=settings.seed,
            on_progress=stages.within,
        )
        with torch.no_grad():
            jpeg = jpeg_stages(net, centre.to(device))
        of_omega, own = own, _adapted_degrader(adapted, jpeg, pool, settings)
        method, degrader = "adapted", Either(of_omega, own)

    stages.enter("tune")
    tuning = Tuning(
        restorer,
        degrader,
        store,
        general_state,
        settings.steps,
        crop=CROP,
        general_share=settings.general_share,
        seed=settings.seed,
    )
    parts = draw_photo_parts(pages, photos, settings.seed)
    fitting = Checked(tuning, own, held_out, parts, device, settings.seed)
    fitting.run(settings.steps, stages.within, say, resumed)
    best_state = fitting.best_state or general_state

    def find_dirt() -> float:
        restorer.network.load_state_dict(blend_weights(general_state, best_state, HALF_WAY))
        half_way = restore_parts(restorer, held_out, device)
        return added_detail(by_general, half_way, restorer.scale)

    chosen = choose(method, fitting.nearest, general, find_dirt)
    say(verdict(chosen, fitting.nearest, fitting.best, general))
    state = blend_weights(general_state, best_state, chosen.share)
    restorer.network.load_state_dict(state)
    fitted = Fitted(
        state, chosen, pool, None if adapted is None or jpeg is None else (adapted, jpeg)
    )
    keep(fitted)

    stages.enter("restore")
    turned = [settings.in_turns(size) for size in sizes]
    asked = settings.turns is None and any(turned) and tuning.own_rows
    if asked and not turns_help(restorer, tuning.unseen(2, device)):
        say("the degradation has a direction: restored in one turn, four would be worse")
        turned = [False] * len(turned)
    restored, pasted = [], []
    for index, page in enumerate(pages):

        def within(done: int, total: int, text: str = "", index: int = index) -> None:
            stages.within(index * total + done, len(pages) * total, text)

        photo = restore_photo(
            photos[index][1],
            restorer,
            tile=settings.tile,
            device=device,
            turns=turned[index],
            on_progress=within,
        )
        photo, names = paste_faces(
            photo,
            page.faces,
            settings.scale,
            lattice,
            settings.face_rule,
            settings.face_strength,
            say,
        )
        photo = add_grain(photo, settings.grain, sample_seed(settings.seed, page.name))
        if hand_on is None:
            restored.append(photo)
        else:
            hand_on(index, page, photo)
        pasted.append(names)
    if resumed is not None:
        resumed.remove()
    stages.finish()
    summary = summarise(
        settings,
        pages,
        pasted,
        turned,
        fitting,
        method=method,
        general=general,
        chosen=chosen,
        pool=pool,
        agreed=agreed,
        device=str(device),
        lattice=[] if lattice is None else list(lattice.frequencies),
        how_printed=None if found_print is None else found_print.how,
        adapted=adapted,
        seconds=time.monotonic() - started,
    )
    return Finetuned(
        **vars(fitted),
        restored=restored,
        summary=summary,
        pages=pages,
        curves={method: [loss for loss in tuning.losses if math.isfinite(loss)]},
        likeness=_likeness(own, parts, store, settings, device),
    )


def _tones(
    photos: Sequence[tuple[str, Photo]], tone: Tone | None
) -> tuple[tuple[np.ndarray, np.ndarray], bool]:
    """Return (black, white) of what is to come out, RGB in [0, 1], and whether that is gray."""
    ranges, gray = [], True
    for _, photo in photos:
        ranges.append(tone_range(photo.rgb))
        gray = gray and (photo.gray or is_gray(photo.rgb))
    black, white = (np.mean(ends, 0) for ends in zip(*ranges, strict=True))
    if tone is not None:
        black, white = tone.undo(np.stack([black, white]))
    return (black, white), gray


def _extract(
    net: Any,
    regions: Sequence[Region],
    prints: Sequence[FoundPrint | None],
    settings: Settings,
    device: torch.device,
) -> Pool:
    omegas, names, notes = [], [], []
    for region, found in zip(regions, prints, strict=True):
        seed, how = sample_seed(settings.seed, region.name), found and found.how
        rows, told = extract_printed(net, region.fitted_pair(), how, settings.crops, seed, device)
        omegas.append(rows)
        names += [region.name] * len(rows)
        notes += told
    return Pool(
        np.concatenate(omegas).astype(np.float32),
        tuple(names),
        np.full(len(names), settings.scale, np.int64),
        find_model(settings.redegnet).stem,
        model_fingerprint(settings.redegnet),
        tuple(notes),
    )


def _adapted_degrader(
    adapted: Adapted, stages: JpegStages, pool: Pool, settings: Settings
) -> OmegaDegrader:
    fitted = replace(
        pool,
        omegas=adapted.omega.numpy(),
        names=("adapted",),
        scales=pool.scales[:1],
        notes=("fitted to the photo",),
    )
    return OmegaDegrader(
        adapted.net,
        fitted,
        settings.scale,
        lattice=adapted.lattice,
        tone=adapted.tone,
        stages=stages,
    )


def _likeness(
    degrader: Degrader, parts: Tensor, store: ImageStore, settings: Settings, device: torch.device
) -> list[tuple[Tensor, Tensor]]:
    """Return parts of the photo beside what the degrader makes of sharp images, as they are."""
    real = parts[:4]
    side = real.shape[-1] * settings.scale
    seeds = [sample_seed(settings.seed, "likeness", row) for row in range(len(real))]
    hq = torch.stack([store.crop(seed, side, (0.4, 1.0)) for seed in seeds]).to(device)
    made = degrader.apply(hq, [degrader.draw(seed) for seed in seeds]).float().cpu()
    return list(zip(real, made.clamp(0, 1), strict=True))
