"""Measure how fast pairs of images are compared: read from PNG files, PSNR and SSIM.

    python benchmarks/metrics.py [--count 1000] [--side 512] [--metrics psnr ssim] [--json]

Printed: the seconds that ``redeg evaluate restore`` needs for the pairs without its start-up, the
CPU seconds in them (which other work on the machine hardly changes), and per pair, on a single
thread, the milliseconds of reading the two files and of each metric. The pairs are crops of
photographs inside scikit-image and blurred copies of them with a little noise: ``--distinct`` pairs
of files under ``--count`` names, which come from the page cache.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import skimage.data
import torch
from rich.console import Console
from rich.table import Table

from redeg_cli.device import pick_device
from redeg_cli.errors import RedegError
from redeg_cli.evaluate.dataset import pair_folders
from redeg_cli.evaluate.methods import folder_method
from redeg_cli.evaluate.metrics import METRICS, View, load_metric
from redeg_cli.evaluate.restoration import evaluate
from redeg_cli.io.images import read_rgb, to_tensor

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def write_pairs(folder: Path, count: int, distinct: int, side: int) -> tuple[Path, Path]:
    """Write ``count`` pairs of PNG files; return the folders of the references and the results."""
    rng = np.random.default_rng(0)
    references, results = folder / "hr", folder / "sr"
    references.mkdir()
    results.mkdir()
    for index in range(count):
        name, first = f"{index:04}.png", f"{index % distinct:04}.png"
        if index >= distinct:
            for each in (references, results):
                os.link(each / first, each / name)
            continue
        reference = crop(getattr(skimage.data, PHOTOS[index % len(PHOTOS)])(), side, rng)
        noise = rng.normal(0, 2, reference.shape)
        result = cv2.GaussianBlur(reference, (0, 0), 0.8) + noise
        cv2.imwrite(str(references / name), reference)
        cv2.imwrite(str(results / name), result.clip(0, 255).round().astype(np.uint8))
    return references, results


def crop(photo: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return a crop (side, side, 3) of a photo, which is mirrored at its edges if too small."""
    lacking = [max(0, side - length) for length in photo.shape[:2]]
    photo = np.pad(photo, [*((0, more) for more in lacking), (0, 0)], mode="symmetric")
    top, left = (int(rng.integers(length - side + 1)) for length in photo.shape[:2])
    return photo[top : top + side, left : left + side]


def evaluation_time(
    references: Path, results: Path, args: argparse.Namespace
) -> tuple[float, float]:
    """Return the seconds that all pairs take as the command evaluates them, and the CPU seconds."""
    start, start_cpu = time.perf_counter(), time.process_time()
    dataset = pair_folders(references)
    method, _ = folder_method("results", results, dataset)
    done = evaluate(dataset, [method], args.metrics, View(), pick_device(args.device))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    if done.failed or done.unavailable:
        reasons = [*done.unavailable.values(), *(row.message for row in done.failed)]
        raise SystemExit(f"not all was measured: {reasons[0]}")
    return seconds, cpu_seconds


def single_thread_times(references: Path, results: Path, args: argparse.Namespace) -> dict:
    """Return the milliseconds of each part of one pair, the median over the distinct pairs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        pairs = [(path, results / path.name) for path in sorted(references.iterdir())]
        pairs = pairs[: args.distinct]
        times = {"reading": timed(lambda pair: [to_tensor(read_rgb(path)) for path in pair], pairs)}
        images = [tuple(to_tensor(read_rgb(path)) for path in pair) for pair in pairs]
        for name in args.metrics:
            score = load_metric(name, View(), torch.device("cpu"))
            times[name] = timed(lambda pair, score=score: score(*pair), images)
    finally:
        torch.set_num_threads(before)
    return times


def timed(work: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """Return the median milliseconds of ``work`` over the items, after one to warm up."""
    work(items[0])
    taken = []
    for item in items:
        start = time.perf_counter()
        work(item)
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="pairs")
    parser.add_argument("--distinct", type=int, default=40, help="pairs that are not the same")
    parser.add_argument("--side", type=int, default=512, help="of the images, in pixels")
    parser.add_argument("--metrics", nargs="+", default=["psnr", "ssim"], choices=list(METRICS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    args = parser.parse_args(argv)
    if min(args.count, args.distinct, args.side) < 1:
        parser.error("--count, --distinct and --side: want 1 or more")
    args.distinct = min(args.distinct, args.count)
    with tempfile.TemporaryDirectory() as folder:
        folders = write_pairs(Path(folder), args.count, args.distinct, args.side)
        try:
            seconds, cpu_seconds = evaluation_time(*folders, args)
            parts = single_thread_times(*folders, args)
        except RedegError as error:
            parser.error(str(error))
    threads = torch.get_num_threads()
    console = Console(file=sys.stderr if args.json else sys.stdout)
    console.print(
        f"{args.count} pairs of {args.side}x{args.side} in {seconds:.1f} s: "
        f"{args.count / seconds:.1f} pairs/s on {args.device}, {threads} threads; "
        f"{cpu_seconds:.1f} CPU s"
    )
    table = Table("part", title="one pair on one thread")
    table.add_column("ms", justify="right")
    for part, taken in parts.items():
        table.add_row(part, f"{taken:.2f}")
    console.print(table)
    if args.json:
        settings = ("count", "distinct", "side", "metrics", "device")
        said = {key: getattr(args, key) for key in settings}
        said |= {"threads": threads, "torch": torch.__version__}
        said |= {"seconds": seconds, "cpu_seconds": cpu_seconds, "one_thread_ms": parts}
        print(json.dumps(said))


if __name__ == "__main__":
    main()
