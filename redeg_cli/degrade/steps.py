"""Recorded steps: reading them, and running chains of them on a batch of images."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError

from redeg_cli.degrade.base import Record, Step, check_batch
from redeg_cli.degrade.blur import Blur
from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.ops import OPS, find_op
from redeg_cli.degrade.resize import Resize
from redeg_cli.device import map_single_threaded
from redeg_cli.errors import RecipeError
from redeg_cli.validation import explain

_WORTH_A_THREAD = 160 * 160
"""Pixels of an HQ image. Below, threads wait for Python more than they work: at 128x128 two of
them took 1.5 times as long as one."""
StepTable = Mapping[str, Any]
"""A step as a record holds it: the name of the op at ``op``, its parameters beside it."""


class PlannedStep(NamedTuple):
    """One step of a chain: the op's name and its parameters."""

    op: str
    step: Step


def read_steps(table: Any) -> list[PlannedStep]:
    """Return the steps of a record, checked. Raises RecipeError that names the step and the key.

    ``table`` is a list of ``StepTable``.
    """
    if not isinstance(table, list | tuple):
        raise RecipeError(f"steps: expected a list of steps, got {table!r}")
    return [_read_step(entry, f"steps[{index}]") for index, entry in enumerate(table)]


def _read_step(entry: Any, where: str) -> PlannedStep:
    if not isinstance(entry, Mapping) or "op" not in entry:
        raise RecipeError(f"{where}: expected a table with an op, got {entry!r}")
    name, values = entry["op"], {key: value for key, value in entry.items() if key != "op"}
    try:
        return PlannedStep(name, find_op(name, where).step.model_validate(values))
    except ValidationError as error:
        raise RecipeError(f"{where} ({name}): {explain(error, OPS[name].step)}") from None


def run_steps(hq: torch.Tensor, steps: Sequence[StepTable], scale: int) -> torch.Tensor:
    """Run the same recorded steps on each of some HQ images (B, 3, H, W); return what comes out.

    After a last step on the native grid that is (B, 3, H/scale, W/scale). Seeded noise is the same
    on all images. Raises RecipeError for a step that is none.
    """
    return run_chains(hq, [steps] * hq.shape[0], scale).pixels


def run_records(hq: torch.Tensor, records: Sequence[Record], scale: int) -> torch.Tensor:
    """Run the steps of each image's own record; return native LQs (B, 3, H/scale, W/scale).

    An image whose steps end on another grid is resized (area) to the native one. Raises ValueError
    for a wrong batch and RecipeError for a record that is none, or whose kernel is larger than
    the image.
    """
    check_batch(hq, records, scale)
    check_records(records, scale)
    # A step of each image's own, so that the others of the batch have no part in its last digit.
    end = PlannedStep("resize", Resize(of="native"))
    return _run(hq, [[*read_steps(record["steps"]), end] for record in records], scale).pixels


def check_records(records: Sequence[Record], scale: int) -> None:
    """Raise RecipeError unless each record holds steps and is of the scale, if it names one."""
    for place, record in enumerate(records):
        if not isinstance(record, Mapping) or "steps" not in record:
            raise RecipeError(f"record {place}: expected a table with steps, got {record!r}")
        if record.get("scale", scale) != scale:
            raise RecipeError(f"record {place} is one of scale {record['scale']}, not {scale}")


def run_chains(hq: torch.Tensor, chains: Sequence[Sequence[StepTable]], scale: int) -> Canvas:
    """Run for each of some HQ images (B, 3, H, W) recorded steps of its own.

    Returns the images as they are after their last steps, of sizes that may differ. Raises
    RecipeError for a step that is none, and for a kernel that is larger than the HQ image.
    """
    return _run(hq, [read_steps(chain) for chain in chains], scale)


def _run(hq: torch.Tensor, plans: Sequence[Sequence[PlannedStep]], scale: int) -> Canvas:
    for plan in plans:
        _check_kernels(plan, (hq.shape[2], hq.shape[3]))
    canvas = Canvas.of(hq, scale)
    if hq.device.type != "cpu":
        # Half precision would round the levels of JPEG.
        with torch.autocast(hq.device.type, enabled=False):
            return _run_together(canvas, plans)
    # A core does best with one image at a time, which stays in its cache and fills its canvas.
    images = map_single_threaded(
        lambda row: _run_together(canvas.select([row]), [plans[row]]).images()[0],
        range(len(plans)),
        several=hq.shape[2] * hq.shape[3] >= _WORTH_A_THREAD,
    )
    return stack_images(images, canvas)


def _check_kernels(plan: Sequence[PlannedStep], size: tuple[int, int]) -> None:
    for index, (name, step) in enumerate(plan):
        side = step.size if isinstance(step, Blur) else 0
        if side > min(size):
            raise RecipeError(
                f"an image of {size[1]}x{size[0]} is smaller than the {side}x{side} kernel of "
                f"steps[{index}] ({name}): give larger images"
            )


def _run_together(canvas: Canvas, plans: Sequence[Sequence[PlannedStep]]) -> Canvas:
    """Run chains side by side: always the op that most images wait for, on all of those."""
    waiting = {row: list(plan) for row, plan in enumerate(plans) if plan}
    while waiting:
        heads = Counter(plan[0].op for plan in waiting.values())
        op = heads.most_common(1)[0][0]
        rows = [row for row, plan in waiting.items() if plan[0].op == op]
        steps = [waiting[row].pop(0).step for row in rows]
        canvas = canvas.merge(rows, OPS[op].apply(canvas.select(rows), steps))
        waiting = {row: plan for row, plan in waiting.items() if plan}
    return canvas
