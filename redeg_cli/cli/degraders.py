"""Degraders by name: the options that choose one, and ``redeg degraders``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from redeg_cli.cli.common import JsonOption, emit_json, warn
from redeg_cli.errors import InputError

if TYPE_CHECKING:
    import torch

    from redeg_cli.degrade.base import Degrader
    from redeg_cli.degrade.kernel_noise import JpegChoice
    from redeg_cli.run.synthesis import Settings

OMEGA = "omega"
"""The degrader that a pool drives."""
ADAPTED = "adapted"
"""The degrader of one photo, which `redeg finetune` writes."""
KERNEL_NOISE = "kernel-noise"
"""The degrader of kernels and noise that were estimated from real LR images."""

DegraderOption = Annotated[
    str | None,
    typer.Option(
        "--degrader",
        help="omega (needs --pool), kernel-noise (needs --kernels and --noise), a preset such as "
        "bsrgan, real-esrgan or old-photo (`redeg degraders` lists them), or a TOML file.",
        show_default=False,
    ),
]
PoolOption = Annotated[
    Path | None, typer.Option("--pool", help="Pool of Ωs, made by `redeg build-pool`.")
]
AdaptedOption = Annotated[
    Path | None,
    typer.Option(
        "--adapted",
        help="A photo's degradation, the adapted.safetensors that `redeg finetune` writes.",
    ),
]
KernelsOption = Annotated[
    Path | None,
    typer.Option("--kernels", help="Pool of blur kernels, made by `redeg build-kernels`."),
]
NoiseOption = Annotated[
    Path | None, typer.Option("--noise", help="Pool of noise, made by `redeg build-noise`.")
]
JpegOption = Annotated[
    str | None,
    typer.Option(
        "--jpeg",
        help="Of kernel-noise. auto: each LQ as one of the images that the noise is of; a quality "
        "from 1 to 100, with probability 0.9; none.  [default: auto]",
        show_default=False,
    ),
]
RedegnetOption = Annotated[
    str | None,
    typer.Option(
        "--redegnet",
        help="The ReDegNet that made the pool: a name or a file.  [default: redegnet-lite]",
        show_default=False,
    ),
]
ScaleOption = Annotated[
    int | None,
    typer.Option(
        "--scale",
        min=1,
        max=4,
        help="How much smaller the LQ is. Default: the scale of the pool or the photo, or 4.",
        show_default=False,
    ),
]


class Chosen(NamedTuple):
    """A degrader and how to get it again."""

    degrader: "Degrader"
    settings: "Settings"


class Estimated(NamedTuple):
    """What a kernel-noise degrader is made of, as it was given."""

    kernels: Path | None = None
    noise: Path | None = None
    jpeg: str | None = None


def check_choice(
    degrader: str | None,
    pool: Path | None,
    redegnet: str | None,
    adapted: Path | None = None,
    estimated: Estimated = Estimated(),  # noqa: B008 - immutable
) -> None:
    """Raise BadParameter unless one of an adapted SynNet, a pool and a degrader was chosen."""
    if degrader == KERNEL_NOISE:
        if (pool, redegnet, adapted) != (None, None, None):
            raise typer.BadParameter("--degrader kernel-noise takes --kernels and --noise alone")
        if estimated.kernels is None or estimated.noise is None:
            raise typer.BadParameter("--degrader kernel-noise needs --kernels and --noise")
        read_jpeg(estimated.jpeg)
        return
    if estimated != Estimated():
        raise typer.BadParameter("--kernels, --noise and --jpeg are of --degrader kernel-noise")
    if adapted is not None:
        if degrader is not None or pool is not None:
            raise typer.BadParameter("--adapted excludes --pool and --degrader")
        return
    if degrader is None and pool is None:
        raise typer.BadParameter("give --pool, or --degrader with a preset's name or a TOML file")
    if degrader == OMEGA and pool is None:
        raise typer.BadParameter("--degrader omega needs --pool")
    if degrader not in (None, OMEGA) and (pool is not None or redegnet is not None):
        raise typer.BadParameter(f"--degrader {degrader} takes no --pool and no --redegnet")


def choose(
    degrader: str | None,
    pool: Path | None,
    redegnet: str | None,
    scale: int | None,
    aligned: bool,
    seed: int,
    device: "torch.device",
    adapted: Path | None = None,
    estimated: Estimated = Estimated(),  # noqa: B008 - immutable
) -> Chosen:
    """Return the degrader that the options ask for (see ``check_choice``)."""
    if degrader == KERNEL_NOISE:
        return _estimated(estimated, scale, aligned, seed)
    if adapted is not None:
        return _adapted(adapted, redegnet, scale, aligned, seed, device)
    if pool is not None:
        return _learned(pool, redegnet, scale, aligned, seed, device)
    from redeg_cli.degrade.chain import load_degrader
    from redeg_cli.run.synthesis import Settings

    chain = load_degrader(str(degrader), scale or 4)
    return Chosen(chain, Settings(chain.name, chain.scale, aligned, seed, chain.digest))


def choose_again(
    settings: "Settings",
    pool: Path | None,
    redegnet: str | None,
    device: "torch.device",
    adapted: Path | None = None,
    estimated: Estimated = Estimated(),  # noqa: B008 - immutable
) -> Chosen:
    """Return what applies the records of a manifest's rows with these settings."""
    if settings.degrader == KERNEL_NOISE:
        given = Estimated(
            estimated.kernels or Path(str(settings.pool)),
            estimated.noise or Path(str(settings.noise)),
            settings.jpeg,
        )
        chosen = _estimated(given, settings.scale, settings.aligned, settings.seed)
        made = chosen.settings
        for path, option, now, then in (
            (given.kernels, "--kernels", made.pool_digest, settings.pool_digest),
            (given.noise, "--noise", made.noise_digest, settings.noise_digest),
        ):
            if now != then:
                raise InputError(
                    f"{path} is not the pool that the manifest was made with: give {option}"
                )
        return Chosen(chosen.degrader, settings)
    if settings.degrader == ADAPTED:
        adapted = adapted or Path(str(settings.pool))
        chosen = _adapted(
            adapted, redegnet, settings.scale, settings.aligned, settings.seed, device
        )
        if chosen.settings.pool_digest != settings.pool_digest:
            raise InputError(
                f"{adapted} is not the file that the manifest was made with: give --adapted"
            )
        return Chosen(chosen.degrader, settings)
    if settings.degrader != OMEGA:
        from redeg_cli.degrade.chain import Replay

        return Chosen(Replay(settings.scale), settings)
    pool = pool or Path(str(settings.pool))
    redegnet = redegnet or settings.model
    chosen = _learned(pool, redegnet, settings.scale, settings.aligned, settings.seed, device)
    if chosen.settings.pool_digest != settings.pool_digest:
        raise InputError(f"{pool} is not the pool that the manifest was made with: give --pool")
    return Chosen(chosen.degrader, settings)


def _learned(
    path: Path,
    redegnet: str | None,
    scale: int | None,
    aligned: bool,
    seed: int,
    device: "torch.device",
) -> Chosen:
    from redeg_cli.models import DEFAULT_REDEGNET, find_model, load_network, model_fingerprint
    from redeg_cli.omega.learned import OmegaDegrader
    from redeg_cli.omega.pool import load_pool
    from redeg_cli.run.synthesis import Settings

    pool = load_pool(path)
    weights = find_model(redegnet or DEFAULT_REDEGNET)
    fingerprint = model_fingerprint(weights)
    pool.check_model(fingerprint, path, weights.stem)
    if scale is None:
        scale = pool.scale or 4
    elif pool.scale not in (None, scale):
        warn(
            f"{path} was taken at scale {pool.scale} and is used at scale {scale}: "
            "grain and JPEG blocks will have another size than in its photos"
        )
    net = load_network(weights, "redegnet", device)
    settings = Settings(
        *(OMEGA, scale, aligned, seed, None),
        pool=str(path),
        pool_digest=pool.digest,
        model=weights.stem,
        fingerprint=fingerprint,
    )
    return Chosen(OmegaDegrader(net, pool, scale, aligned=aligned), settings)


def _adapted(
    path: Path,
    redegnet: str | None,
    scale: int | None,
    aligned: bool,
    seed: int,
    device: "torch.device",
) -> Chosen:
    from redeg_cli.omega.adapted import adapted_digest, load_adapted
    from redeg_cli.run.synthesis import Settings

    degrader = load_adapted(path, scale, redegnet=redegnet, aligned=aligned, device=device)
    if degrader.pool.scale != degrader.scale:
        warn(
            f"{path} was fitted at scale {degrader.pool.scale} and is used at scale "
            f"{degrader.scale}: dots, grain and JPEG blocks will have another size than in the "
            "photo"
        )
    settings = Settings(
        *(ADAPTED, degrader.scale, aligned, seed, None),
        pool=str(path),
        pool_digest=adapted_digest(path),
        model=degrader.pool.model,
        fingerprint=degrader.pool.fingerprint,
    )
    return Chosen(degrader, settings)


def read_jpeg(text: str | None) -> "JpegChoice":
    """Return what ``--jpeg`` asks for. Raises BadParameter."""
    if text in (None, "auto"):
        return "auto"
    if text == "none":
        return "none"
    if text.isdecimal() and 1 <= int(text) <= 100:
        return int(text)
    raise typer.BadParameter(f"--jpeg {text}: expected auto, none or a quality from 1 to 100")


def _estimated(given: Estimated, scale: int | None, aligned: bool, seed: int) -> Chosen:
    from redeg_cli.degrade.kernel_noise import KernelNoiseDegrader
    from redeg_cli.degrade.kernel_pool import load_kernel_pool
    from redeg_cli.degrade.noise_pool import load_noise_pool
    from redeg_cli.run.synthesis import Settings

    kernels, noise = (
        load_kernel_pool(Path(str(given.kernels))),
        load_noise_pool(Path(str(given.noise))),
    )
    jpeg = read_jpeg(given.jpeg)
    try:
        degrader = KernelNoiseDegrader(kernels, noise, scale or 4, jpeg)
    except InputError as error:
        raise InputError(f"{given.kernels}: {error}") from None
    settings = Settings(
        *(KERNEL_NOISE, degrader.scale, aligned, seed, None),
        pool=str(given.kernels),
        pool_digest=kernels.digest,
        noise=str(given.noise),
        noise_digest=noise.digest,
        jpeg=str(jpeg),
    )
    return Chosen(degrader, settings)


def degraders(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A preset, to print its file: a start for your own.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the handcrafted degraders, or print the TOML file of one."""
    from redeg_cli.degrade.chain import preset_path, preset_table, presets

    if name is not None:
        print(preset_path(name).read_text(encoding="utf-8"), end="")
        return
    tables = {preset: preset_table(preset) for preset in presets()}
    if as_json:
        keys = ("description", "source")
        emit_json([{"name": p} | {key: table[key] for key in keys} for p, table in tables.items()])
        return
    width = max(map(len, tables))
    for preset, table in tables.items():
        print(f"{preset:<{width}}  {table['description']}")
