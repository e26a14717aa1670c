"""Which degrader the options ask for, and how to get the one that a manifest was made with."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from redeg_cli.cli.messages import warn
from redeg_cli.errors import InputError

if TYPE_CHECKING:
    import torch

    from redeg_cli.degrade.base import Degrader
    from redeg_cli.degrade.kernel_noise import JpegChoice
    from redeg_cli.run.jobs import Settings

OMEGA = "omega"
"""The degrader that a pool drives."""
ADAPTED = "adapted"
"""The degrader of one photo, which `redeg finetune` writes."""
DML = "dml"
"""A degradation that `redeg train dml` has learned."""
KERNEL_NOISE = "kernel-noise"
"""The degrader of kernels and noise that were estimated from real LR images."""


@dataclass(frozen=True)
class Asked:
    """What was asked for, as it was given; see ``cli.degraders``."""

    degrader: str | None = None
    pool: Path | None = None
    redegnet: str | None = None
    adapted: Path | None = None
    model: str | None = None
    noise_sigma: float | None = None
    kernels: Path | None = None
    noise: Path | None = None
    jpeg: str | None = None

    def check(self, others: str = "") -> None:
        """Raise BadParameter unless one degrader was chosen, with the options that it has.

        ``others`` names the command's further ways to choose one.
        """
        of_omega = (self.pool, self.redegnet)
        learned = (self.model, self.noise_sigma)
        estimated = (self.kernels, self.noise, self.jpeg)
        if self.degrader != DML and any(each is not None for each in learned):
            raise typer.BadParameter("--model and --noise-sigma need --degrader dml")
        if self.degrader != KERNEL_NOISE and any(each is not None for each in estimated):
            raise typer.BadParameter("--kernels, --noise and --jpeg are of --degrader kernel-noise")
        self._check_no_file()
        if self.adapted is not None:
            if self.degrader not in (None, ADAPTED) or self.pool is not None:
                raise typer.BadParameter("--adapted excludes --pool and --degrader")
            return
        if self.degrader is None and self.pool is None:
            raise typer.BadParameter(
                f"give --pool, {others}or --degrader with a preset's name or a TOML file"
            )
        if self.degrader == ADAPTED:
            raise typer.BadParameter(
                "--degrader adapted needs --adapted with the adapted.safetensors of a photo"
            )
        if self.degrader == OMEGA and self.pool is None:
            raise typer.BadParameter("--degrader omega needs --pool")
        if self.degrader not in (None, OMEGA) and any(each is not None for each in of_omega):
            raise typer.BadParameter(
                f"--degrader {self.degrader} takes no --pool and no --redegnet"
            )
        if self.degrader == DML and self.model is None:
            raise typer.BadParameter("--degrader dml needs --model, which `redeg train dml` writes")
        if self.degrader == KERNEL_NOISE:
            if self.kernels is None or self.noise is None:
                raise typer.BadParameter("--degrader kernel-noise needs --kernels and --noise")
            read_jpeg(self.jpeg)

    def _check_no_file(self) -> None:
        """Raise BadParameter for a file that is given as the degrader and belongs to an option of
        its own."""
        suffix = Path(self.degrader or "").suffix.lower()
        if suffix in _OPTIONS:
            raise typer.BadParameter(
                f"--degrader {self.degrader}: expected a preset's name or a TOML file; give "
                f"{_OPTIONS[suffix]}"
            )


_OPTIONS = {
    ".safetensors": "a photo's degradation with --adapted, a learned model with --degrader dml "
    "--model",
    ".npz": "a pool of Ωs with --pool, pools of kernels and noise with --degrader kernel-noise "
    "--kernels and --noise",
}
"""What to do with files of other degraders, by suffix."""
_FILES = {
    OMEGA: ("pool",),
    ADAPTED: ("adapted",),
    DML: ("model",),
    KERNEL_NOISE: ("kernels", "noise"),
}
"""The options that give a degrader's files."""


def check_used(asked: Asked, degraders: Collection[str]) -> None:
    """Raise BadParameter for a file that was given and that none of ``degraders`` has a use for."""
    used = {option for name in degraders for option in _FILES.get(name, ())}
    if not {OMEGA, ADAPTED}.isdisjoint(degraders):
        used.add("redegnet")
    for option in ("pool", "redegnet", "adapted", "model", "kernels", "noise"):
        if getattr(asked, option) is not None and option not in used:
            raise typer.BadParameter(f"--{option}: nothing in the manifest was made with one")


class Chosen(NamedTuple):
    """A degrader and how to get it again."""

    degrader: "Degrader"
    settings: "Settings"


def choose(
    asked: Asked, scale: int | None, aligned: bool, seed: int, device: "torch.device"
) -> Chosen:
    """Return the degrader that was asked for (and passed ``Asked.check``)."""
    if asked.degrader == DML:
        return _dml(asked, scale, aligned, seed, device)
    if asked.degrader == KERNEL_NOISE:
        return _estimated(asked, scale, aligned, seed)
    if asked.adapted is not None:
        return _adapted(asked.adapted, asked.redegnet, scale, aligned, seed, device)
    if asked.pool is not None:
        return _learned(asked.pool, asked.redegnet, scale, aligned, seed, device)
    from redeg_cli.degrade.chain import load_degrader
    from redeg_cli.run.jobs import Settings

    chain = load_degrader(str(asked.degrader), scale or 4)
    return Chosen(chain, Settings(chain.name, chain.scale, aligned, seed, chain.digest))


def choose_again(settings: "Settings", asked: Asked, device: "torch.device") -> Chosen:
    """Return what applies the records of a manifest's rows with these settings.

    Its files are where they were, or where ``asked`` says. Raises InputError for other ones.
    """
    if settings.degrader not in (OMEGA, ADAPTED, DML, KERNEL_NOISE):
        from redeg_cli.degrade.chain import Replay

        return Chosen(Replay(settings.scale), settings)
    there = Path(str(settings.pool))
    files = {
        OMEGA: {"pool": asked.pool or there, "redegnet": asked.redegnet or settings.model},
        ADAPTED: {"adapted": asked.adapted or there, "redegnet": asked.redegnet},
        DML: {"model": asked.model or settings.model},  # the noise is in the records
        KERNEL_NOISE: {
            "kernels": asked.kernels or there,
            "noise": asked.noise or Path(str(settings.noise)),
            "jpeg": settings.jpeg,
        },
    }[settings.degrader]
    for option in _FILES[settings.degrader]:
        path = Path(str(files[option]))
        if getattr(asked, option) is None and path.suffix and not path.exists():
            raise InputError(
                f"{path}, which the manifest was made with, does not exist: give --{option}"
            )
    degrader = None if settings.degrader == ADAPTED else settings.degrader
    chosen = choose(
        *(Asked(degrader, **files), settings.scale, settings.aligned, settings.seed, device)  # pyright: ignore
    )
    made = chosen.settings
    checks = {
        OMEGA: [("pool", "pool", made.pool_digest, settings.pool_digest)],
        ADAPTED: [("adapted", "file", made.pool_digest, settings.pool_digest)],
        DML: [("model", "model", made.fingerprint, settings.fingerprint)],
        KERNEL_NOISE: [
            ("kernels", "pool", made.pool_digest, settings.pool_digest),
            ("noise", "pool", made.noise_digest, settings.noise_digest),
        ],
    }
    for option, what, now, then in checks[settings.degrader]:
        if now != then:
            raise InputError(
                f"{files[option]} is not the {what} that the manifest was made with: "
                f"give --{option}"
            )
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
    from redeg_cli.run.jobs import Settings

    pool = load_pool(path)
    weights = find_model(redegnet or DEFAULT_REDEGNET)
    fingerprint = model_fingerprint(weights)
    pool.check_model(fingerprint, path, weights.stem)
    if scale is None:
        scale = pool.scale or 4
    elif note := pool.scale_note(path, scale):
        warn(note)
    net = load_network(weights, "redegnet", device)
    settings = Settings(
        *(OMEGA, scale, aligned, seed, None),
        pool=os.path.abspath(path),
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
    from redeg_cli.run.jobs import Settings

    degrader = load_adapted(path, scale, redegnet=redegnet, aligned=aligned, device=device)
    if degrader.pool.scale != degrader.scale:
        warn(
            f"{path} was fitted at scale {degrader.pool.scale} and is used at scale "
            f"{degrader.scale}: dots, grain and JPEG blocks will have another size than in the "
            "photo"
        )
    settings = Settings(
        *(ADAPTED, degrader.scale, aligned, seed, None),
        pool=os.path.abspath(path),
        pool_digest=adapted_digest(path),
        model=degrader.pool.model,
        fingerprint=degrader.pool.fingerprint,
    )
    return Chosen(degrader, settings)


def _dml(
    asked: Asked, scale: int | None, aligned: bool, seed: int, device: "torch.device"
) -> Chosen:
    from redeg_cli.degrade.dml import NOISE, load_dml
    from redeg_cli.models import model_fingerprint
    from redeg_cli.run.jobs import Settings

    model = Path(str(asked.model)).expanduser()
    noise = NOISE if asked.noise_sigma is None else asked.noise_sigma
    degrader = load_dml(str(asked.model), noise, scale, device)
    settings = Settings(
        *(DML, degrader.scale, aligned, seed, degrader.digest),
        model=os.path.abspath(model) if model.is_file() else asked.model,
        fingerprint=model_fingerprint(str(asked.model)),
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


def _estimated(given: Asked, scale: int | None, aligned: bool, seed: int) -> Chosen:
    from redeg_cli.degrade.kernel_noise import KernelNoiseDegrader
    from redeg_cli.degrade.kernel_pool import load_kernel_pool
    from redeg_cli.degrade.noise_pool import load_noise_pool
    from redeg_cli.run.jobs import Settings

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
        pool=os.path.abspath(str(given.kernels)),
        pool_digest=kernels.digest,
        noise=os.path.abspath(str(given.noise)),
        noise_digest=noise.digest,
        jpeg=str(jpeg),
    )
    return Chosen(degrader, settings)
