"""The photos of an album, and the parts of them whose sharp version is known."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from redeg_cli.errors import NoFaceError
from redeg_cli.faces.turns import turn_note
from redeg_cli.finetune.consistency import COUNT, draw_parts
from redeg_cli.finetune.regions import (
    MOST,
    Region,
    brought_region,
    face_regions,
    find_region_print,
    photo_region,
)
from redeg_cli.finetune.settings import Settings
from redeg_cli.finetune.summary import Page
from redeg_cli.io.images import Photo
from redeg_cli.models import load_face_restorer
from redeg_cli.omega.find_print import FoundPrint
from redeg_cli.omega.photo_pairs import photo_pairs
from redeg_cli.omega.tone import Tone
from redeg_cli.progress import OnProgress

MOST_JUDGED = 8
"""Regions that a restorer is judged on. Eight faces of 190 px take as long as four steps of
fine-tuning, at each of up to eight checks."""


def find_pages(
    photos: Sequence[tuple[str, Photo]],
    settings: Settings,
    device: torch.device,
    on_progress: OnProgress,
    say: Callable[[str], None],
) -> list[Page]:
    """Return the photos with their faces and regions; at least one has a region."""
    several = len(photos) > 1
    if settings.face_pair is not None:
        region = brought_region(
            *settings.face_pair, settings.scale, keep_colours=settings.true_colours
        )
        region = replace(region, kind="pair")
        say(f"using {region.name}")
        pages = [Page(name, photo.rgb.shape[:2], [], [], []) for name, photo in photos]
        pages[0].regions.append(region)
        return pages
    # Before the faces: a wrong box or file is told at once.
    given: list[list[Region]] = [[] for _ in range(len(photos))]
    if settings.region is not None:
        given = [_given_regions(photo, settings) for _, photo in photos]
    if settings.true_colours and settings.region is not None:
        for region in chain(*given):
            say(f"using {region.name}")
        return [
            Page(name, photo.rgb.shape[:2], [], [], regions)
            for (name, photo), regions in zip(photos, given, strict=True)
        ]
    face_restorer = load_face_restorer(settings.face_restorer, device)
    pages = []
    for index, (name, photo) in enumerate(photos):
        faces, dropped = photo_pairs(
            photo.rgb,
            settings.scale,
            face_restorer,
            detector=settings.detector,
            boxes=settings.boxes,
            max_faces=settings.max_faces,
            largest=MOST,
        )
        if note := turn_note([pair.face for pair in faces]):
            say(f"{name}: {note}" if several else note)
        regions = face_regions(photo.rgb, faces) + given[index]
        if several:
            regions = [replace(region, name=f"{name}: {region.name}") for region in regions]
        for region in regions:
            say(f"using {region.name}")
        for reason in dropped:
            say(f"not used: {name}: {reason}" if several else f"not used: {reason}")
        pages.append(Page(name, photo.rgb.shape[:2], faces, dropped, regions))
        on_progress(index + 1, len(photos))
    if not any(page.regions for page in pages):
        reasons = "; ".join(reason for page in pages for reason in page.dropped)
        place = "another --face-box" if settings.boxes else "its place with --face-box"
        raise NoFaceError(
            f"no usable face ({reasons}): give {place} LEFT,TOP,RIGHT,BOTTOM, bring your own "
            "restored face with --face-pair LQ HQ or a sharp version of a part of the photo with "
            "--region, or use `redeg restore`, which needs no face"
        )
    return pages


def _given_regions(photo: Photo, settings: Settings) -> list[Region]:
    """Return the part of a photo that the user has a sharp version of, if that was given."""
    if settings.region is None:
        return []
    keep_colours = settings.true_colours
    region = photo_region(photo.rgb, *settings.region, settings.scale, keep_colours=keep_colours)
    return [replace(region, kind="region")]


def find_prints(pages: Sequence[Page], regions: Sequence[Region]) -> list[FoundPrint | None]:
    """Return for each of all ``regions``, page by page, how its photo was printed in dots."""
    owners = _owners(pages)
    by_page = [
        find_region_print([region for i, region in zip(owners, regions, strict=True) if i == index])
        for index in range(len(pages))
    ]
    return [by_page[owner] for owner in owners]


def of_one_photo(pages: Sequence[Page], regions: Sequence[Region]) -> list[Region]:
    """Return those of all ``regions``, page by page, that lie in the photo of the largest one."""
    owners = _owners(pages)
    sizes = [region.pair.hq[0, 0].numel() for region in regions]
    chosen = owners[int(np.argmax(sizes))]
    return [region for owner, region in zip(owners, regions, strict=True) if owner == chosen]


def _owners(pages: Sequence[Page]) -> list[int]:
    """Return the number of the page that each of all regions lies on."""
    return [index for index, page in enumerate(pages) for _ in page.regions]


def toned_regions(regions: Sequence[Region], tone: Tone | None) -> list[Region]:
    """Return the regions with their HQs in the photo's tones: what is left is texture."""
    if tone is None:
        return list(regions)
    return [
        replace(region, pair=replace(region.pair, hq=tone.apply(region.pair.hq)))
        for region in regions
    ]


def judged_regions(pages: Sequence[Page], regions: Sequence[Region]) -> list[Region]:
    """Return those of all ``regions``, page by page, that a restorer is judged on.

    They are the largest, ``MOST_JUDGED`` at most: the largest of every photo comes before the
    second of any.
    """
    owners = _owners(pages)
    larger: Counter[int] = Counter()
    ranked = []
    for index in sorted(range(len(regions)), key=lambda i: -regions[i].pair.hq.numel()):
        ranked.append((larger[owners[index]], len(ranked), index))
        larger[owners[index]] += 1
    return [regions[index] for index in sorted(index for *_, index in sorted(ranked)[:MOST_JUDGED])]


def draw_photo_parts(
    pages: Sequence[Page], photos: Sequence[tuple[str, Photo]], seed: int
) -> Tensor:
    """Return parts of the photos, each with its page, outside of the faces, for the consistency
    check.

    They are ``COUNT`` at most: of an album with more photos, one of each that is evenly spread.
    """
    many = min(len(pages), COUNT)
    count = COUNT // many
    drawn = []
    for index in (number * len(pages) // many for number in range(many)):
        rgb = torch.from_numpy(np.ascontiguousarray(photos[index][1].rgb.transpose(2, 0, 1)))[None]
        # A pair has no place in the photo that is known.
        boxes = [region.box for region in pages[index].regions if region.kind != "pair"]
        drawn.append(draw_parts(rgb.float(), boxes, seed, count))
    side = min(parts.shape[-1] for parts in drawn)
    return torch.cat([parts[..., :side, :side] for parts in drawn])
