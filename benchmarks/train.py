"""Measure how fast networks are trained, and which share of it goes into making their data.

    python benchmarks/train.py [--device cpu|cuda] [--presets f2n-compact ...] [--set batch=8]

Printed per preset: images of a step per second (median of the steps, with the slowest and the
fastest), the share of a step that makes the pairs, or waits for workers that do, FLOPs of a step in
the networks (forward and backward, a pass of its own counts them) and, on a GPU that is known or
with --peak, the part of its peak that this is. HQ images are photographs inside scikit-image.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import skimage.data
import torch
from rich.console import Console
from rich.table import Column, Table
from torch.utils.flop_counter import FlopCounterMode

from redeg_cli.errors import RedegError
from redeg_cli.io.images import write_rgb
from redeg_cli.train import redegnet
from redeg_cli.train.overview import IMAGES_PER_ROW
from redeg_cli.train.pairs import PairMaker
from redeg_cli.train.recipe_files import find_recipe, load_recipe
from redeg_cli.train.recipes import ReDegNetRecipe, RestorerRecipe
from redeg_cli.train.training import train
from redeg_cli.train.workers import BatchMaker

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
PRESETS = ("f2n-compact", "face-restorer", "redegnet-lite")

PEAK = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "L4": 121, "RTX 4090": 165}
"""Dense bfloat16 TFLOP/s by a part of the GPU's name, from NVIDIA's data sheets."""

Recipe = RestorerRecipe | ReDegNetRecipe


class Meter:
    """Seconds, and FLOPs where they are counted, spent on data and in whole steps."""

    def __init__(self, cuda: bool, counter: FlopCounterMode | None = None) -> None:
        self.cuda = cuda
        self.counter = counter
        self.data: list[float] = []
        self.steps: list[float] = []
        self.data_flops = 0
        self._making = 0.0
        self._last = 0.0

    def now(self) -> float:
        """Return the time when the device has done all it was given."""
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def flops(self) -> int:
        """Return what was counted so far."""
        return self.counter.get_total_flops() if self.counter else 0

    def timed(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``make``, its time and FLOPs added to those of the data."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start, flops = self.now(), self.flops()
            made = make(*args, **kwargs)
            self._making += self.now() - start
            self.data_flops += self.flops() - flops
            return made

        return run

    def watch(self, _clock: object) -> None:
        """Close a step; the first one only starts the watch."""
        now = self.now()
        if self._last:
            self.steps.append(now - self._last)
            self.data.append(self._making)
        self._last, self._making = now, 0.0


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Within, what makes training data is timed."""
    kept = BatchMaker.__call__, PairMaker.target, redegnet.see_pseudo_hqs
    BatchMaker.__call__ = meter.timed(kept[0])
    PairMaker.target = meter.timed(kept[1])
    redegnet.see_pseudo_hqs = meter.timed(kept[2])
    try:
        yield
    finally:
        BatchMaker.__call__, PairMaker.target, redegnet.see_pseudo_hqs = kept


def recipe_of(preset: str, hq: Path, steps: int, overrides: Sequence[str]) -> Recipe:
    """Return a preset's recipe for the images in ``hq``: steps alone, no validation, no ending."""
    file, base = find_recipe(preset)
    own = (f"data={json.dumps([{'folder': str(hq)}])}", "validation=[]", f"steps={steps}")
    rare = tuple(f"{key}={10**9}" for key in ("save_every", "validate_every"))
    if not preset.startswith("redegnet"):
        return load_recipe(file, RestorerRecipe, [*own, *rare, *overrides], base)
    return load_recipe(file, ReDegNetRecipe, [*own, *rare, "omega_rank=0", *overrides], base)


def run(recipe: Recipe, device: str, meter: Meter) -> None:
    """Train in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder, metered(meter):
        train(recipe, Path(folder), device, watch=meter.watch)


def flops_of_a_step(recipe: Recipe, device: str) -> float:
    """Return the FLOPs of the networks in one step, the mean over the recipe's scales."""
    count = len(recipe.scales)
    # One more step: the last one makes the sample picture too.
    short = recipe.model_copy(update={"steps": count + 1, "compile": False})
    with FlopCounterMode(display=False) as counter:
        meter = Meter(cuda=device != "cpu", counter=counter)
        counts: list[int] = []
        watch = meter.watch

        def note(clock: object) -> None:
            watch(clock)
            counts.append(meter.flops() - meter.data_flops)

        meter.watch = note
        run(short, device, meter)
    return counts[count - 1] / count


def measure(preset: str, hq: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return what is printed about one preset."""
    recipe = recipe_of(preset, hq, args.warm_up + args.steps + 1, args.set)
    meter = Meter(cuda=args.device != "cpu")
    run(recipe, args.device, meter)
    # The last step makes the sample picture too.
    steps, data = (times[-args.steps - 1 : -1] for times in (meter.steps, meter.data))
    images = recipe.batch * IMAGES_PER_ROW[recipe.kind]
    flops = flops_of_a_step(recipe, args.device)
    peak = args.peak or known_peak(args.device)
    return {
        "batch": recipe.batch,
        "images_per_s": images / median(steps),
        "slowest": images / max(steps),
        "fastest": images / min(steps),
        "data_share": sum(data) / sum(steps),
        "gflops_per_step": flops / 1e9,
        "utilisation": flops * len(steps) / sum(steps) / (peak * 1e12) if peak else None,
    }


def known_peak(device: str) -> float | None:
    """Return the peak of this machine's GPU in TFLOP/s, if it is known."""
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return next((peak for part, peak in PEAK.items() if part in name), None)


def table_of(results: dict[str, dict[str, Any]], device: str) -> Table:
    """Return a row for each preset."""
    table = Table(Column("preset", min_width=max(map(len, results))), title=device)
    for column in ("batch", "images/s", "from, to", "data", "GFLOPs/step", "of peak"):
        table.add_column(column, justify="right")
    for preset, row in results.items():
        spread = f"{row['slowest']:.1f}, {row['fastest']:.1f}"
        part = "" if row["utilisation"] is None else f"{row['utilisation']:.1%}"
        numbers = (f"{row['data_share']:.0%}", f"{row['gflops_per_step']:.1f}", part)
        table.add_row(preset, str(row["batch"]), f"{row['images_per_s']:.1f}", spread, *numbers)
    return table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--presets", nargs="+", default=PRESETS, choices=(*PRESETS, "f2n"))
    parser.add_argument("--steps", type=int, default=20, help="that are measured")
    parser.add_argument("--warm-up", type=int, default=5, help="steps before, at least 1")
    parser.add_argument("--set", action="append", default=[], help="key=value over the recipes")
    parser.add_argument("--peak", type=float, help="of the device, in TFLOP/s")
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    args = parser.parse_args(argv)
    if min(args.steps, args.warm_up) < 1:
        parser.error("--steps and --warm-up: want 1 or more")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: there is no CUDA device here")
    with tempfile.TemporaryDirectory() as hq:
        for name in PHOTOS:
            write_rgb(Path(hq) / f"{name}.png", getattr(skimage.data, name)() / 255)
        try:
            results = {preset: measure(preset, Path(hq), args) for preset in args.presets}
        except RedegError as error:
            parser.error(str(error))
    device = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    Console(file=sys.stderr if args.json else sys.stdout).print(table_of(results, device))
    if args.json:
        said = {"device": device, "threads": torch.get_num_threads(), "torch": torch.__version__}
        print(json.dumps({**said, "steps": args.steps, "presets": results}))


if __name__ == "__main__":
    main()
