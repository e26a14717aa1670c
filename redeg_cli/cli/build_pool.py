"""``redeg build-pool``: many pairs or photos in, one pool of Ωs out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redeg_cli.cli.common import (
    DetectorOption,
    DeviceOption,
    FaceRestorerOption,
    JsonOption,
    MaxFacesOption,
    OverwriteOption,
    RedegnetOption,
    SeedOption,
    emit_json,
    emit_path,
    run_batch,
    say,
    warn,
)
from redeg_cli.cli.outputs import check_pool
from redeg_cli.errors import NoFaceError
from redeg_cli.progress import OnProgress

if TYPE_CHECKING:
    from redeg_cli.io.pairs import ImagePair
    from redeg_cli.omega.pool import Pool

PHOTO_SCALE = 4


@dataclass(frozen=True)
class Source:
    """A pair of files, or a photo with faces."""

    name: str
    pair: "ImagePair | None" = None
    photo: Path | None = None


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
            "May be given several times.",
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
    """Build a pool of Ωs from LQ/HQ pairs, or from the faces in photos."""
    from torch import from_numpy

    from redeg_cli.device import pick_device
    from redeg_cli.models import (
        find_model,
        load_face_restorer,
        load_redegnet,
        model_fingerprint,
    )
    from redeg_cli.omega.extract import build_omegas, doubt, extract_many, print_of
    from redeg_cli.omega.pool import PoolRows

    if not pairs and not photos:
        raise typer.BadParameter("give pairs, or photos with --photos")
    place = pick_device(device)
    check_pool(output, overwrite)
    sources, problems = _sources(pairs or [], photos or [])
    weights = find_model(redegnet)
    net = load_redegnet(weights, place)
    restorer = load_face_restorer(face_restorer, place) if photos else None
    rows = PoolRows()
    dropped: dict[str, list[str]] = {}
    doubts: dict[str, str] = {}
    blurred: list[str] = []

    def work(source: Source, on_progress: OnProgress) -> None:
        del on_progress
        if source.pair is not None:
            omegas, notes, pair = build_omegas(net, source.pair, scale, crops, seed, place)
            rows.add(omegas, notes, source.name, pair.scale)
            if text := doubt(pair):
                doubts[source.name] = text
            return
        from redeg_cli.io.images import read_photo
        from redeg_cli.omega.photo_pairs import photo_pairs
        from redeg_cli.seeds import sample_seed

        assert source.photo is not None
        assert restorer is not None
        faces, reasons = photo_pairs(
            read_photo(source.photo).rgb,
            scale or PHOTO_SCALE,
            restorer,
            detector=detector,
            max_faces=max_faces,
        )
        if not faces:
            raise NoFaceError(f"{source.photo}: no usable face ({'; '.join(reasons)})")
        if reasons:
            dropped[source.name] = reasons
        for number, face in enumerate(faces, start=1):
            name = f"{source.name} face {number}"
            omegas, notes = extract_many(net, face.pair, crops, sample_seed(seed, name), place)
            x0, y0, x1, y1 = face.box
            region = f"region at {x0},{y0} of {x1 - x0}x{y1 - y0} px"
            rows.add(omegas, [f"{note}; {region}" for note in notes], name, face.pair.scale)
            if face.sharpness < 0.5:
                blurred.append(name)

    outcome = run_batch(sources, work, lambda source: source.name, title="building the pool")
    outcome.failed[:0] = problems
    for name, reasons in dropped.items():
        for reason in reasons:
            say(f"{name}: left out {reason}")
    for name, text in doubts.items():
        warn(f"{name}: {text}")
    if blurred:
        warn(
            f"{len(blurred)} restored faces are enlarged more than twice at scale "
            f"{scale or PHOTO_SCALE} and make soft HQs: a smaller --scale serves them better"
        )
    if rows.names:
        pool = rows.pool(weights.stem, model_fingerprint(weights))
        pool.save(output)
        summary = pool_summary(output, pool)
        say(f"{len(pool)} Ωs of {summary['pairs']} pairs, spread {summary['spread']:.3f}")
        omegas = zip(pool.names, from_numpy(pool.omegas), strict=True)
        if printed := {name for name, omega in omegas if print_of(net, omega) is not None}:
            say(f"printed in dots: {len(printed)} of the pairs")
        if as_json:
            failed = [{"name": name, "message": message} for name, message in outcome.failed]
            emit_json({**summary, "failed": failed, "dropped": dropped})
        else:
            emit_path(output)
    outcome.finish()


def _sources(
    pairs: Sequence[Path], photos: Sequence[Path]
) -> tuple[list[Source], list[tuple[str, str]]]:
    """Return what to take Ωs of, and (name, why) of the files without a partner."""
    from redeg_cli.io.listing import list_images
    from redeg_cli.io.pairs import find_pairs

    sources: list[Source] = []
    problems: list[tuple[str, str]] = []
    if pairs:
        found, unpaired = find_pairs(pairs)
        sources += [Source(pair.name, pair=pair) for pair in found]
        problems = [("pairs", line) for line in unpaired]
    if photos:
        sources += [Source(image.name, photo=image.path) for image in list_images(photos)]
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
