"""Running records: replay, independence of the batch and of threads, and errors by name."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from redeg_cli.degrade.base import Record
from redeg_cli.degrade.blur import Blur, filter2d, make_kernels
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.chain import load_degrader, presets
from redeg_cli.degrade.jpeg import jpeg
from redeg_cli.degrade.ops import OPS
from redeg_cli.degrade.resize import resize
from redeg_cli.degrade.steps import (
    PlannedStep,
    _run_together,
    read_steps,
    run_chains,
    run_records,
    run_steps,
)
from redeg_cli.errors import RecipeError

CORE = ("bsrgan", "bsrgan-plus", "real-esrgan", "classical")
JPEG = {"op": "jpeg", "quality": 30}
HALF = {"op": "resize", "factor": 0.5}


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def photos(count: int = 1, side: int = 64) -> torch.Tensor:
    """Parts of a photograph, (count, 3, side, side), with a little room before black and white."""
    photo = torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1).float() / 255
    corners = [(60 + 24 * index % 300, 150 + 17 * index % 200) for index in range(count)]
    parts = [photo[:, y : y + side, x : x + side] for y, x in corners]
    return 0.03 + 0.94 * torch.stack(parts)


def records(names: Sequence[str], scale: int, count: int = 2, first: int = 0) -> list[Record]:
    degraders = [load_degrader(name, scale) for name in names]
    return [each.draw(seed) for seed in range(first, first + count) for each in degraders]


def written(record: Record) -> Record:
    """What a manifest gives back."""
    return json.loads(json.dumps(record))


# Replay ------------------------------------------------------------------------------------------


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.sampled_from(presets()), st.sampled_from([1, 2, 3, 4]), st.integers(0, 2**63 - 1))
def test_a_record_read_back_gives_the_same_image(name: str, scale: int, seed: int) -> None:
    hq = photos(1, 48)
    record = load_degrader(name, scale).draw(seed)
    again = written(record)
    assert again == record
    made = run_records(hq, [record], scale)
    assert made.shape == (1, 3, 48 // scale, 48 // scale)
    assert torch.equal(made, run_records(hq, [again], scale))
    assert torch.equal(made, load_degrader("mild", scale).apply(hq, [again]))


def test_running_leaves_image_and_record_as_they_were() -> None:
    hq = photos(3)
    before, drawn = hq.clone(), records(CORE, 2)[:3]
    kept = written({"all": drawn})["all"]
    run_records(hq, drawn, 2)
    assert torch.equal(hq, before)
    assert drawn == kept


# Independence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", presets())
def test_images_of_a_batch_are_what_they_are_alone(name: str) -> None:
    drawn = records([name], 2, 4)
    hq = photos(4)
    together = run_records(hq, drawn, 2)
    for row in range(4):
        assert torch.equal(together[row], run_records(hq[row : row + 1], [drawn[row]], 2)[0])
    backwards = run_records(hq.flip(0), drawn[::-1], 2)
    assert torch.equal(backwards.flip(0), together)


@pytest.mark.parametrize(("side", "scale"), [(96, 1), (200, 4), (64, 2)])
def test_that_the_others_end_at_other_sizes_changes_nothing(side: int, scale: int) -> None:
    """A product of larger matrices, most of them zeros, is rounded otherwise."""
    drawn = [
        {"steps": [{"op": "resize", "factor": 0.23 + 0.31 * row, "filter": "bicubic"}]}
        for row in range(6)
    ]
    hq = photos(6, side)
    together = run_records(hq, drawn, scale)
    for row in range(6):
        assert torch.equal(together[row], run_records(hq[row : row + 1], [drawn[row]], scale)[0])


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("name", presets())
def test_the_number_of_threads_changes_nothing(name: str) -> None:
    """Large images are shared by the threads, small ones are left to one."""
    drawn = records([name], 2, 2)
    for side in (64, 168) if name in CORE else (64,):
        made = []
        for count in (1, 2):
            torch.set_num_threads(count)
            made.append(run_records(photos(2, side), drawn, 2))
        assert torch.equal(made[0], made[1])


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_whole_ragged_batch_comes_out_as_each_alone(scale: int) -> None:
    """What a GPU does: all records side by side, in images of many sizes."""
    drawn = records(CORE, scale, 4)
    side = 64 - 64 % scale
    hq = photos(len(drawn))[..., :side, :side]
    plans = [read_steps(record["steps"]) for record in drawn]
    together = _run_together(Canvas.of(hq, scale), plans)
    assert together.sizes == ((side // scale, side // scale),) * len(drawn)
    for row, record in enumerate(drawn):
        alone = run_records(hq[row : row + 1], [record], scale)
        difference = (together.images()[row] - alone).abs()
        # Rounding apart: it moves values over the thresholds of JPEG, a level or two each.
        assert difference.mean() < 0.3 / 255
        assert difference.quantile(0.95) < 2 / 255


def test_side_by_side_the_sizes_do_differ() -> None:
    """The test above would say little if all images always had one size."""
    drawn = records(CORE, 2, 4)
    plans = [read_steps(record["steps"])[:-4] for record in drawn]
    hq = photos(len(drawn))
    together = _run_together(Canvas.of(hq, 2), plans)
    assert len(set(together.sizes)) > len(drawn) / 2
    for row, plan in enumerate(plans):
        alone = _run_together(Canvas.of(hq[row : row + 1], 2), [plan])
        assert together.sizes[row] == alone.sizes[0]


def test_every_preset_runs_side_by_side_with_all_others() -> None:
    """Steps that threshold may turn a pixel over, as halftone does: few, so the mean is small."""
    drawn = records(presets(), 2, 2, first=7)
    hq = photos(len(drawn))
    plans = [read_steps(record["steps"]) for record in drawn]
    together = _run_together(Canvas.of(hq, 2), plans)
    for row, record in enumerate(drawn):
        alone = run_chains(hq[row : row + 1], [record["steps"]], 2)
        assert together.sizes[row] == alone.sizes[0]
        difference = (together.images()[row] - alone.pixels).abs().mean()
        assert difference < 1 / 255, record["degrader"]


# The same record on two images -------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        [{"op": "noise", "sigma": 0.02, "seed": 7}],
        [{"op": "noise", "sigma": 0.02, "gray": True, "seed": 7}],
        [{"op": "blur", "size": 11, "sigma": 2}, HALF, {"op": "noise", "sigma": 0.01, "seed": 7}],
        [
            {"op": "noise", "sigma": 0.02, "seed": 1 << 60},
            {"op": "blur", "family": "sinc", "size": 9, "cutoff": 1.5},
            {"op": "resize", "factor": 0.7, "filter": "bicubic"},
            {"op": "resize", "of": "native", "filter": "lanczos", "antialias": True},
        ],
    ],
)
def test_kernels_and_noise_do_not_look_at_the_picture(steps: list[dict[str, Any]]) -> None:
    """Without clamping these steps are affine: adding a constant adds it to what comes out."""
    hq = 0.35 + 0.1 * photos(1)
    lighter = run_steps(hq + 0.2, steps, 2)
    plain = run_steps(hq, steps, 2)
    torch.testing.assert_close(lighter - plain, torch.full_like(plain, 0.2), atol=2e-6, rtol=0)
    # And both hold the noise: without it nothing would be tested.
    silent = run_steps(hq, [step for step in steps if step["op"] != "noise"], 2)
    assert (plain - silent).std() > 0.005


def test_one_list_of_steps_is_run_on_every_image() -> None:
    steps = [HALF, {"op": "noise", "sigma": 0.1, "seed": 3}, {"op": "jpeg", "quality": 40}]
    hq = photos(3)
    made = run_steps(hq, steps, 2)
    assert made.shape == (3, 3, 32, 32)
    for row in range(3):
        assert torch.equal(made[row], run_steps(hq[row : row + 1], steps, 2)[0])


# What is run -------------------------------------------------------------------------------------


def test_steps_are_run_in_their_order() -> None:
    hq = photos(1)
    steps = [{"op": "blur", "size": 7, "sigma": 1.5}, HALF, JPEG]
    kernels = make_kernels([Blur(size=7, sigma=1.5)])
    small = resize(filter2d(hq, kernels).clamp(0, 1), (32, 32), "area")
    wanted = jpeg(small, torch.tensor([30.0]), torch.tensor([True]))
    torch.testing.assert_close(run_steps(hq, steps, 2), wanted, atol=1e-6, rtol=0)
    assert (run_steps(hq, [JPEG, *steps[:2]], 2) - wanted).abs().mean() > 1 / 255


def test_images_that_end_elsewhere_are_brought_to_the_native_grid() -> None:
    hq = photos(3)
    ends = [[], [{"op": "resize", "factor": 0.3}], [{"op": "resize", "of": "native"}, JPEG]]
    made = run_records(hq, [{"steps": steps} for steps in ends], 4)
    assert made.shape == (3, 3, 16, 16)
    torch.testing.assert_close(made[:1], resize(hq[:1], (16, 16), "area"))
    small = resize(hq[1:2], (19, 19), "area")
    torch.testing.assert_close(made[1:2], resize(small, (16, 16), "area"), atol=1e-6, rtol=0)
    # Nothing is done to those that end there.
    assert torch.equal(made[2:], run_steps(hq[2:], ends[2], 4))


def test_run_chains_leaves_the_images_at_their_own_sizes() -> None:
    hq = photos(3)
    canvas = run_chains(hq, [[], [HALF], [{"op": "resize", "factor": 1.25}]], 2)
    assert canvas.sizes == ((64, 64), (32, 32), (80, 80))
    assert canvas.hq_size == (64, 64)
    assert torch.equal(canvas.images()[0], hq[:1])
    assert torch.equal(canvas.images()[1], run_steps(hq[1:2], [HALF], 2))


def test_images_need_not_be_square() -> None:
    hq = photos(2)[..., :48, :]
    drawn = records(CORE[:2], 4, 1)
    made = run_records(hq, drawn, 4)
    assert made.shape == (2, 3, 12, 16)
    plain = [{"steps": [HALF]}] * 2
    turned = run_records(hq.transpose(2, 3), plain, 4).transpose(2, 3)
    torch.testing.assert_close(run_records(hq, plain, 4), turned, atol=1e-6, rtol=0)


def test_gradients_reach_the_image() -> None:
    hq = photos(2).requires_grad_()
    steps = [{"op": "blur", "size": 7}, HALF, {"op": "noise", "sigma": 0.01, "seed": 1}, JPEG]
    run_steps(hq, steps, 2).sum().backward()
    assert hq.grad is not None
    # Blur, area and JPEG keep the sum; the borders count for more in the mirror, not in all.
    assert hq.grad[0].sum().item() == pytest.approx(3 * 32 * 32, rel=0.02)
    with torch.no_grad():
        assert not run_steps(hq, steps, 2).requires_grad


def test_steps_are_read_with_their_defaults_and_ranges() -> None:
    read = read_steps(({"op": "jpeg", "quality": 30}, {"op": "sharpen"}))
    assert all(isinstance(step, PlannedStep) for step in read)
    assert [step.op for step in read] == ["jpeg", "sharpen"]
    assert read[0].step.model_dump() == {"quality": 30.0, "subsample": True}
    assert read[1].step.model_dump() == {"weight": 0.5, "radius": 51, "threshold": 10.0}
    assert read_steps([]) == []


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("jpeg", "steps: expected a list of steps, got 'jpeg'"),
        (JPEG, "steps: expected a list of steps, got {'op': 'jpeg', 'quality': 30}"),
        (None, "steps: expected a list of steps, got None"),
        (["jpeg"], "steps[0]: expected a table with an op, got 'jpeg'"),
        ([JPEG, {"quality": 3}], "steps[1]: expected a table with an op, got {'quality': 3}"),
        ([JPEG, {"op": "jpg"}], "steps[1]: unknown op 'jpg' (did you mean 'jpeg'?)"),
        ([{"op": 3}], f"steps[0]: unknown op 3: there are {', '.join(OPS)}"),
        (
            [{"op": "jpeg", "qualty": 30}],
            # Of two faults, the first: what is missing.
            "steps[0] (jpeg): 'quality': Field required",
        ),
        (
            [{**JPEG, "subsampl": 1}],
            "steps[0] (jpeg): unknown key 'subsampl' (did you mean 'subsample'?)",
        ),
        (
            [{"op": "jpeg", "quality": 0}],
            "steps[0] (jpeg): 'quality': Input should be greater than or equal to 1, got 0",
        ),
        (
            [{"op": "jpeg", "quality": [30, 95]}],
            "steps[0] (jpeg): 'quality': Input should be a valid number, got [30, 95]",
        ),
        ([{"op": "blur", "size": 4}], "steps[0] (blur): 'size': a kernel size must be odd, got 4"),
        (
            [{"op": "noise", "sigma": 0.1}],
            "steps[0] (noise): 'seed': Field required",
        ),
        ([{"op": "noise", "seed": 1}], "steps[0] (noise): give either sigma or mixing"),
        ([{**JPEG, "p": 0.5}], "steps[0] (jpeg): unknown key 'p'"),
    ],
)
def test_steps_that_are_none_are_refused_by_name(steps: Any, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_steps(steps)
    assert str(caught.value) == message
    for run in (
        lambda: run_steps(photos(1), steps, 2),
        lambda: run_records(photos(1), [{"steps": steps}], 2),
        lambda: run_chains(photos(2), [[], steps], 2),
    ):
        with pytest.raises(RecipeError):
            run()


@pytest.mark.parametrize("record", [None, {}, {"degrader": "omega", "omega": [0.1]}, [JPEG]])
def test_a_record_without_steps_is_refused(record: Any) -> None:
    """Rather than run as one of no steps: that would be a clean LQ."""
    with pytest.raises(RecipeError, match="record 1: expected a table with steps, got"):
        run_records(photos(2), [{"steps": []}, record], 2)


def test_a_kernel_larger_than_the_image_is_refused() -> None:
    steps = [JPEG, {"op": "blur", "size": 25}]
    message = (
        r"an image of 64x24 is smaller than the 25x25 kernel of steps\[1\] \(blur\): "
        "give larger images"
    )
    wide = photos(1)[..., :24, :]
    for run in (run_steps, lambda hq, steps, scale: run_records(hq, [{"steps": steps}], scale)):
        with pytest.raises(RecipeError, match=message):
            run(wide, steps, 2)
    assert run_steps(photos(1, 26), steps, 2).shape == (1, 3, 26, 26)
    # What has become smaller than the kernel on its way is mirrored to and fro.
    made = run_steps(photos(1, 32), [{"op": "resize", "factor": 0.1}, *steps], 2)
    assert made.shape == (1, 3, 3, 3)
    assert made.isfinite().all()


@pytest.mark.parametrize(
    ("hq", "count", "words"),
    [
        (torch.zeros(3, 32, 32), 1, r"expected \(B, 3, H, W\) images, got \(3, 32, 32\)"),
        (torch.zeros(1, 1, 32, 32), 1, r"expected \(B, 3, H, W\) images, got \(1, 1, 32, 32\)"),
        (torch.zeros(0, 3, 32, 32), 0, r"expected \(B, 3, H, W\) images, got \(0, 3, 32, 32\)"),
        (torch.zeros(2, 3, 32, 32), 1, "2 images but 1 records"),
        (torch.zeros(1, 3, 32, 30), 1, r"\(32, 30\) is not divisible by the scale 4"),
        (torch.zeros(1, 3, 30, 32), 1, r"\(30, 32\) is not divisible by the scale 4"),
    ],
)
def test_a_wrong_batch_is_refused(hq: torch.Tensor, count: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run_records(hq, [{"steps": []}] * count, 4)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_nan_and_infinity_are_refused_by_image(value: float) -> None:
    hq = photos(4)
    hq[1, 0, 5, 5] = hq[3, 2, 0, 0] = value
    with pytest.raises(ValueError, match="NaN or infinity in image 1, 3 of the batch"):
        run_records(hq, [{"steps": []}] * 4, 2)


def test_a_record_of_another_scale_is_refused() -> None:
    with pytest.raises(RecipeError, match="record 1 is one of scale 4, not 2"):
        run_records(photos(2), [{"steps": [], "scale": 2}, {"steps": [], "scale": 4}], 2)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64, torch.float16])
def test_images_of_other_types_are_refused(dtype: torch.dtype) -> None:
    """Levels from 0 to 255 would be taken for white."""
    with pytest.raises(ValueError, match=f"expected float32 images .* got {dtype}"):
        run_records(torch.ones(1, 3, 8, 8, dtype=dtype), [{"steps": [JPEG]}], 2)
