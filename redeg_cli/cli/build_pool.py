"""``redeg build-pool``: many pairs or photos in, one pool of Ωs out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redeg_cli import __version__
from redeg_cli.cli.common import (
    DetectorOption,
    DeviceOption,
    FaceRestorerOption,
    JsonOption,
    MaxFacesOption,
    OverwriteOption,
    RedegnetOption,
    SeedOption,
    run_batch,
    told_how_to_carry_on,
)
from redeg_cli.cli.messages import counted, emit_json, emit_path, say, warn
from redeg_cli.cli.outputs import check_pool
from redeg_cli.errors import NoFaceError
from redeg_cli.progress import OnProgress

if TYPE_CHECKING:
    from redeg_cli.io.pairs import ImagePair
    from redeg_cli.omega.pool import Pool
    from redeg_cli.omega.pool_parts import Part

PHOTO_SCALE = 4


@dataclass(frozen=True)
class Source:
    """A pair of files, or a photo with faces."""

    name: str
    files: Sequence[Path]
    pair: "ImagePair | None" = None


def build_pool(
    output: Annotated[Path, typer.Option("--output", "-o", help="The pool to write (.npz).")],
    pairs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders that hold lq/ and hq/, or .tsv files with the columns LQ and HQ.",
            readable=False,
        ),
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(
            "--photos",
            help="A photo with faces or a folder of such; the restored faces are the HQ. "
            "May be given several times; further photos may follow it. One without a usable face "
            "is left out.",
            readable=False,
        ),
    ] = None,
    crops: Annotated[
        int, typer.Option("--crops", min=1, help="Ωs of each pair: the whole, then random crops.")
    ] = 8,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale",
            min=1,
            max=4,
            help="How much larger the HQ is. Default: the ratio of a pair's sizes; 4 if they are "
            "equal, and for photos.",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = 0,
    redegnet: RedegnetOption = "redegnet-lite",
    face_restorer: FaceRestorerOption = "face-restorer",
    detector: DetectorOption = "centerface",
    max_faces: MaxFacesOption = 8,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Build a pool of Ωs from LQ/HQ pairs, or from the faces in photos.

    What is done is kept in a file beside the pool: stopped, the same command carries on.
    """
    from torch import from_numpy

    from redeg_cli.device import pick_device
    from redeg_cli.io.lock import file_lock
    from redeg_cli.models import (
        find_model,
        load_face_restorer,
        load_redegnet,
        model_fingerprint,
    )
    from redeg_cli.omega.extract import build_omegas, doubt, extract_many, print_of
    from redeg_cli.omega.pool import PoolRows
    from redeg_cli.omega.pool_parts import PairOmegas, Part, PoolParts, sign

    if not pairs and not photos:
        raise typer.BadParameter("give pairs, or photos with --photos")
    of_photos = (face_restorer, detector, max_faces)
    if not photos and of_photos != ("face-restorer", "centerface", 8):
        raise typer.BadParameter(
            "--face-restorer, --detector and --max-faces are for the faces of --photos"
        )
    place = pick_device(device)
    check_pool(output, overwrite)
    sources, problems = _sources(pairs or [], photos or [])
    with file_lock(output):
        check_pool(output, overwrite)  # who had the lock before may have written it
        weights = find_model(redegnet)
        net = load_redegnet(weights, place)
        restorer = load_face_restorer(face_restorer, place) if photos else None
        settings = {
            "redeg": __version__,
            "redegnet": model_fingerprint(weights),
            "face_restorer": restorer and restorer.fingerprint,
            "detector": detector,
            "max_faces": max_faces,
            "scale": scale,
            "crops": crops,
            "seed": seed,
        }
        parts = PoolParts(output, settings, overwrite=overwrite)

        def of_pair(pair: "ImagePair") -> Part:
            omegas, notes, aligned = build_omegas(net, pair, scale, crops, seed, place)
            found = PairOmegas(pair.name, aligned.scale, omegas, notes)
            return Part([found], doubt=doubt(aligned) or "")

        def of_photo(photo_name: str, photo: Path) -> Part:
            from redeg_cli.io.images import read_photo
            from redeg_cli.omega.photo_pairs import photo_pairs
            from redeg_cli.seeds import sample_seed

            assert restorer is not None
            faces, reasons = photo_pairs(
                read_photo(photo).rgb,
                scale or PHOTO_SCALE,
                restorer,
                detector=detector,
                max_faces=max_faces,
            )
            found, soft = [], []
            for number, face in enumerate(faces, start=1):
                name = f"{photo_name} face {number}"
                omegas, notes = extract_many(net, face.pair, crops, sample_seed(seed, name), place)
                x0, y0, x1, y1 = face.box
                region = f"region at {x0},{y0} of {x1 - x0}x{y1 - y0} px"
                notes = [f"{note}; {region}" for note in notes]
                found.append(PairOmegas(name, face.pair.scale, omegas, notes))
                if face.sharpness < 0.5:
                    soft.append(name)
            return Part(found, reasons, soft=soft)

        def work(key: str, on_progress: OnProgress) -> None:
            del on_progress
            source = by_sign[key]
            pair = source.pair
            parts.add(key, of_pair(pair) if pair else of_photo(source.name, source.files[0]))

        by_sign = {sign(source.name, source.files): source for source in sources}
        todo = [key for key in by_sign if parts.find(key) is None]
        if done := len(by_sign) - len(todo):
            say(f"carrying on from {parts.path}: {done} of {len(by_sign)} are done")
        with parts, told_how_to_carry_on(parts.path):
            outcome = run_batch(
                todo, work, lambda key: by_sign[key].name, title="building the pool"
            )
        outcome.done += done
        outcome.failed[:0] = problems
        found = [(each.name, part) for key, each in by_sign.items() if (part := parts.find(key))]
        faceless = [name for name, part in found if not part.pairs]
        _tell(found, scale or PHOTO_SCALE)
        rows = PoolRows()
        for _, part in found:
            for each in part.pairs:
                rows.add(each.omegas, each.notes, each.name, each.scale)
        if rows.names:
            pool = rows.pool(weights.stem, model_fingerprint(weights))
            pool.save(output)
            summary = pool_summary(output, pool)
            say(
                f"{counted(len(pool), 'Ω')} of {counted(summary['pairs'], 'pair')}, "
                f"spread {summary['spread']:.3f}"
            )
            omegas = zip(pool.names, from_numpy(pool.omegas), strict=True)
            if printed := {name for name, omega in omegas if print_of(net, omega) is not None}:
                say(f"printed in dots: {len(printed)} of the pairs")
            if as_json:
                failed = [{"name": name, "message": message} for name, message in outcome.failed]
                dropped = {name: part.left_out for name, part in found if part.left_out}
                told = {"failed": failed, "dropped": dropped, "without_face": faceless}
                emit_json({**summary, **told})
            else:
                emit_path(output)
        parts.remove()
        if not rows.names and faceless and not outcome.failed:
            raise NoFaceError(
                "none of the photos has a usable face: give some with larger or sharper faces"
            )
        outcome.finish()


def _tell(found: Sequence[tuple[str, "Part"]], scale: int) -> None:
    """Say what is to be known of the parts, each with the name of its source."""
    for name, part in found:
        if not part.pairs:
            say(f"{name}: no usable face ({'; '.join(part.left_out)})")
            continue
        for reason in part.left_out:
            say(f"{name}: left out {reason}")
    if faceless := sum(not part.pairs for _, part in found):
        say(f"{faceless} of {len(found)} without a face")
    for name, part in found:
        if part.doubt:
            warn(f"{name}: {part.doubt}")
    if soft := sum(len(part.soft) for _, part in found):
        warn(
            f"{soft} restored faces are enlarged more than twice at scale {scale} and make soft "
            "HQs: a smaller --scale serves them better"
        )


def _sources(
    pairs: Sequence[Path], photos: Sequence[Path]
) -> tuple[list[Source], list[tuple[str, str]]]:
    """Return what to take Ωs of, and (name, why) of the files without a partner.

    With ``photos``, pictures among the ``pairs`` are photos too: of what the shell puts in the
    place of ``--photos *.jpg`` the option gets only the first.
    """
    from redeg_cli.io.images import names_picture
    from redeg_cli.io.listing import list_images
    from redeg_cli.io.pairs import find_pairs

    if photos:
        photos = [*photos, *filter(names_picture, pairs)]
        pairs = [path for path in pairs if not names_picture(path)]
    sources: list[Source] = []
    problems: list[tuple[str, str]] = []
    if pairs:
        found, unpaired = find_pairs(pairs)
        sources += [Source(pair.name, (pair.lq, pair.hq), pair) for pair in found]
        problems = [("pairs", line) for line in unpaired]
    if photos:
        sources += [Source(image.name, (image.path,)) for image in list_images(photos)]
    return sources, problems


def pool_summary(path: Path, pool: "Pool") -> dict[str, Any]:
    """Return what every command says of a pool."""
    from redeg_cli.omega.pool import pool_spread

    return {
        "path": path,
        "omegas": len(pool),
        "pairs": len(set(pool.names)),
        "scales": sorted(set(pool.scales.tolist())),
        "spread": pool_spread(pool.omegas),
        "model": pool.model,
        "fingerprint": pool.fingerprint,
        "digest": pool.digest,
    }
