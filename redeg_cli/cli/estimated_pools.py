"""What ``redeg pool`` does with pools of kernels and of noise, estimated from LR images."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redeg_cli.errors import InputError, OutputError

if TYPE_CHECKING:
    from redeg_cli.degrade.kernel_pool import KernelPool
    from redeg_cli.degrade.noise_pool import NoisePool

KERNELS, NOISE, OMEGAS = "kernels", "noise", "omegas"
_CALLED = {KERNELS: "kernels", NOISE: "noise", OMEGAS: "Ωs"}
SHEET_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def pool_kind(path: Path) -> str:
    """Return what a pool file holds. What is no pool counts as one of Ωs, whose reader says so."""
    from redeg_cli.io.arrays import read_header

    kind = read_header(path).get("kind")
    return kind if kind in (KERNELS, NOISE) else OMEGAS


def common_kind(paths: Sequence[Path]) -> str:
    """Return what all the pools hold. Raises InputError when they differ."""
    kinds = {path: pool_kind(path) for path in paths}
    first = paths[0]
    for path, kind in kinds.items():
        if kind != kinds[first]:
            raise InputError(
                f"{path} holds {_CALLED[kind]} and {first} {_CALLED[kinds[first]]}: give pools of "
                "one kind"
            )
    return kinds[first]


def describe(path: Path, kind: str) -> dict[str, Any]:
    """Return what there is to say of a pool of kernels or noise. Raises InputError."""
    if kind == KERNELS:
        from redeg_cli.degrade.kernel_pool import load_kernel_pool

        return kernel_summary(path, load_kernel_pool(path))
    from redeg_cli.degrade.noise_pool import load_noise_pool

    return noise_summary(path, load_noise_pool(path))


def kernel_summary(path: Path, pool: "KernelPool") -> dict[str, Any]:
    """Return what every command says of a pool of kernels; ``text`` says it in words."""
    import numpy as np
    import torch

    from redeg_cli.evaluate.kernels import describe_kernel

    facts = [describe_kernel(torch.from_numpy(kernel)) for kernel in pool.kernels]
    found = [fact.widths for fact in facts if fact.widths is not None]
    widths, text = None, "without widths: too much of them is below zero"
    if found:
        long, short = np.median(found, 0).tolist()
        low, high = (float(end(np.mean(found, 1))) for end in (np.min, np.max))
        widths = {"median": [long, short], "narrowest": low, "widest": high}
        text = f"width {long:.2f} x {short:.2f} px (median), from {low:.2f} to {high:.2f}"
    return {
        "path": path,
        "kind": KERNELS,
        "kernels": len(pool),
        "images": len(set(pool.names)),
        "scale": pool.scale,
        "side": pool.kernels.shape[1],
        "widths": widths,
        "settings": pool.settings,
        "digest": pool.digest,
        "text": f"scale {pool.scale}, {text}",
    }


def noise_summary(path: Path, pool: "NoisePool") -> dict[str, Any]:
    """Return what every command says of a pool of noise; ``text`` says it in words."""
    import numpy as np

    levels = pool.patches.astype(np.float32) * 255
    deviations = np.sqrt(np.square(levels).mean((1, 2, 3)))
    whole = float(np.sqrt(np.square(levels, dtype=np.float64).mean()))
    qualities = [each.jpeg.quality for each in pool.sources if each.jpeg.quality is not None]
    how = Counter(each.jpeg.how for each in pool.sources)
    halved = sum(each.jpeg.subsample for each in pool.sources if each.jpeg.quality is not None)
    jpeg = "no JPEG"
    if qualities:
        jpeg = f"JPEG quality {np.median(qualities):.0f} (median) in {len(qualities)}"
    return {
        "path": path,
        "kind": NOISE,
        "patches": len(pool),
        "side": pool.side,
        "images": len(pool.sources),
        "images_with_noise": sum(each.patches > 0 for each in pool.sources),
        "deviation": {
            "all": whole,
            "least": float(deviations.min()),
            "median": float(np.median(deviations)),
            "most": float(deviations.max()),
        },
        "jpeg": {
            "quality": float(np.median(qualities)) if qualities else None,
            "lowest": min(qualities, default=None),
            "highest": max(qualities, default=None),
            "subsampled": halved,
            "from": dict(how),
        },
        "rejected": pool.rejected,
        "settings": pool.settings,
        "digest": pool.digest,
        "text": f"{pool.side}x{pool.side} px, of {sum(e.patches > 0 for e in pool.sources)} of "
        f"{len(pool.sources)} images, deviation {whole:.2f} levels ({deviations.min():.2f} to "
        f"{deviations.max():.2f}); {jpeg}",
    }


def summary_line(summary: dict[str, Any]) -> str:
    """Return a summary as a line."""
    count = summary["kernels"] if summary["kind"] == KERNELS else summary["patches"]
    called = "kernels" if summary["kind"] == KERNELS else "patches of noise"
    return f"{summary['path']}: {count} {called}, {summary['text']} ({summary['digest']})"


def merge(paths: Sequence[Path], kind: str, output: Path) -> dict[str, Any]:
    """Write one pool of all; return what there is to say of it. Raises InputError."""
    if kind == KERNELS:
        from redeg_cli.degrade.kernel_pool import load_kernel_pool, merge_kernel_pools

        kernels = merge_kernel_pools([(path, load_kernel_pool(path)) for path in paths])
        kernels.save(output)
        return kernel_summary(output, kernels)
    from redeg_cli.degrade.noise_pool import load_noise_pool, merge_noise_pools

    noise = merge_noise_pools([(path, load_noise_pool(path)) for path in paths])
    noise.save(output)
    return noise_summary(output, noise)


def draw(paths: Sequence[Path], kind: str, output: Path) -> dict[str, Any]:
    """Write a sheet of the kernels, or of patches and spectra of the noise, of all pools."""
    from redeg_cli.io.images import write_rgb

    if output.suffix.lower() not in SHEET_SUFFIXES:
        raise OutputError(
            f"cannot write {output}: a sheet of {_CALLED[kind]} is a picture, use .png"
        )
    if kind == KERNELS:
        from redeg_cli.degrade.kernel_pool import load_kernel_pool, merge_kernel_pools
        from redeg_cli.evaluate.kernel_sheet import pool_sheet

        kernels = merge_kernel_pools([(path, load_kernel_pool(path)) for path in paths])
        write_rgb(output, pool_sheet(kernels))
        return kernel_summary(output, kernels)
    from redeg_cli.degrade.noise_pool import load_noise_pool, merge_noise_pools
    from redeg_cli.evaluate.noise_sheet import noise_sheet

    noise = merge_noise_pools([(path, load_noise_pool(path)) for path in paths])
    write_rgb(output, noise_sheet(noise))
    return noise_summary(output, noise)
