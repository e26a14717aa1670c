"""Measure how fast degraders make LQ images, and where the time goes.

    python benchmarks/degraders.py [--device cpu|cuda] [--batch 16] [--degraders bsrgan real-esrgan]

Printed per degrader: images per second (median of the rounds, with the slowest and the fastest),
and per op how often it comes and its share of the time. A round is all batches once, each image
with a record of its own; drawing the records is not in it. On the CPU a round uses all threads;
the shares are taken in a pass of its own on one thread. On a GPU that pass waits for every op, so
its sum is more than a round's time. HQ images are crops of photographs inside scikit-image.

On Linux the C library gives large blocks back and asks for them anew at every op. Where that is
slow (some virtual machines), MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_MMAP_THRESHOLD_=4000000000
in the environment shows by how much.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np
import skimage.data
import torch
from rich.console import Console
from rich.table import Table

from redeg_cli.degrade import steps
from redeg_cli.degrade.base import Degrader, Record
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.chain import load_degrader, presets
from redeg_cli.device import pick_device
from redeg_cli.errors import RedegError

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
LARGEST = 300
"""Height of the smallest photo in pixels."""


class Batch(NamedTuple):
    """What one call of a degrader takes."""

    hq: torch.Tensor
    records: list[Record]


def hq_crops(count: int, size: int) -> torch.Tensor:
    """Return crops (count, 3, size, size) of the photos in turn, in [0, 1]."""
    rng = np.random.default_rng(0)
    crops = []
    for index in range(count):
        photo = getattr(skimage.data, PHOTOS[index % len(PHOTOS)])()
        top, left = (int(rng.random() * (side - size + 1)) for side in photo.shape[:2])
        crops.append(torch.from_numpy(photo[top : top + size, left : left + size].copy()))
    return torch.stack(crops).permute(0, 3, 1, 2).float().contiguous() / 255


def wait_for(device: torch.device) -> None:
    """Return when the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def round_time(degrader: Degrader, batches: Sequence[Batch]) -> float:
    """Return the seconds that it takes to degrade all batches once."""
    device = batches[0].hq.device
    wait_for(device)
    start = time.perf_counter()
    for batch in batches:
        degrader.apply(batch.hq, batch.records)
    wait_for(device)
    return time.perf_counter() - start


@contextmanager
def timed_ops(device: torch.device) -> Iterator[dict[str, float]]:
    """Within, every op adds the seconds that it takes to the dict, under its name."""
    seconds: dict[str, float] = defaultdict(float)

    def timed(name: str, apply: Callable[[Canvas, Sequence[Any]], Canvas]) -> Any:
        def run(canvas: Canvas, chosen: Sequence[Any]) -> Canvas:
            wait_for(device)
            start = time.perf_counter()
            out = apply(canvas, chosen)
            wait_for(device)
            seconds[name] += time.perf_counter() - start
            return out

        return run

    known = dict(steps.OPS)
    steps.OPS.update({name: op._replace(apply=timed(name, op.apply)) for name, op in known.items()})
    try:
        yield seconds
    finally:
        steps.OPS.update(known)


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, PyTorch and OpenCV use a single thread."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def op_times(
    degrader: Degrader, batches: Sequence[Batch], rounds: int
) -> tuple[float, dict[str, float]]:
    """Return the mean seconds of a round on a single thread, and of each op in it."""
    with one_thread(), timed_ops(batches[0].hq.device) as seconds:
        round_time(degrader, batches)  # to warm up
        seconds.clear()
        whole = sum(round_time(degrader, batches) for _ in range(rounds))
    return whole / rounds, {name: spent / rounds for name, spent in seconds.items()}


def measure(name: str, hq: torch.Tensor, args: argparse.Namespace) -> dict[str, Any]:
    """Return what is printed about one degrader."""
    degrader = load_degrader(name, args.scale)
    start = time.perf_counter()
    records = [degrader.draw(seed) for seed in range(hq.shape[0])]
    drawing = time.perf_counter() - start
    batches = [
        Batch(hq[at : at + args.batch], records[at : at + args.batch])
        for at in range(0, len(records), args.batch)
    ]
    round_time(degrader, batches)  # to warm up
    times = [round_time(degrader, batches) for _ in range(args.rounds)]
    speeds = sorted(len(records) / seconds for seconds in times)
    whole, ops = op_times(degrader, batches, args.rounds)
    calls = Counter(step["op"] for record in records for step in record["steps"])
    # Canvases put together and taken apart, records read, the last resize where it is missing.
    spent = {**ops, "(rest)": whole - sum(ops.values())}
    return {
        "images_per_s": median(speeds),
        "slowest": speeds[0],
        "fastest": speeds[-1],
        "draw_ms_per_image": 1000 * drawing / len(records),
        "one_thread_ms_per_image": 1000 * whole / len(records),
        "ops": {
            op: {
                "per_image": calls[op] / len(records),
                "ms_per_image": 1000 * seconds / len(records),
                "share": seconds / whole,
            }
            for op, seconds in sorted(spent.items(), key=lambda item: -item[1])
        },
    }


def tables(results: dict[str, dict[str, Any]], args: argparse.Namespace) -> list[Table]:
    """Return one table of the degraders, and one of each degrader's ops."""
    grid = f"HQ {args.size}x{args.size}, scale {args.scale}, batch {args.batch}"
    speeds = Table("degrader", title=f"{args.device}, {grid}")
    for column in ("images/s", "slowest", "fastest", "draw, ms/image"):
        speeds.add_column(column, justify="right")
    made = [speeds]
    for name, row in results.items():
        if "error" in row:
            speeds.add_row(name, row["error"])
            continue
        numbers = (row["images_per_s"], row["slowest"], row["fastest"])
        speeds.add_row(name, *(f"{n:.1f}" for n in numbers), f"{row['draw_ms_per_image']:.2f}")
        shares = Table("op", title=f"{name}: {row['one_thread_ms_per_image']:.2f} ms/image")
        for column in ("per image", "ms/image", "ms each", "share"):
            shares.add_column(column, justify="right")
        for op, part in row["ops"].items():
            often, spent = part["per_image"], part["ms_per_image"]
            each = f"{spent / often:.2f}" if often else ""
            shares.add_row(op, f"{often:.2f}", f"{spent:.2f}", each, f"{part['share']:.1%}")
        made.append(shares)
    return made


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--batches", type=int, default=4, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=256, help="of the HQ images, at most 300")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--degraders", nargs="+", default=presets(), help="names or TOML files")
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    args = parser.parse_args(argv)
    if not args.scale <= args.size <= LARGEST or args.size % args.scale:
        parser.error(f"--size {args.size}: want a multiple of the scale, at most {LARGEST}")
    if min(args.batch, args.batches, args.rounds) < 1:
        parser.error("--batch, --batches and --rounds: want 1 or more")
    try:
        device = pick_device(args.device)
    except RedegError as error:
        parser.error(str(error))
    hq = hq_crops(args.batch * args.batches, args.size).to(device)
    results: dict[str, dict[str, Any]] = {}
    for name in args.degraders:
        try:
            with torch.no_grad():
                results[name] = measure(name, hq, args)
        except RedegError as error:  # an optional package is missing: the others still count
            results[name] = {"error": str(error)}
    console = Console(file=sys.stderr if args.json else sys.stdout)
    for table in tables(results, args):
        console.print(table)
    if args.json:
        settings = ("batch", "batches", "rounds", "size", "scale")
        said = {key: getattr(args, key) for key in settings}
        said |= {"device": device_name(device), "threads": torch.get_num_threads()}
        print(json.dumps({**said, "torch": torch.__version__, "degraders": results}))


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or what kind of device it is."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


if __name__ == "__main__":
    main()
