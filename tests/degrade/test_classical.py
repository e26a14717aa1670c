"""The classical chain: what seeds draw, that records replay, and one chain against OpenCV."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from redeg_cli.degrade.base import Record, check_batch
from redeg_cli.degrade.classical import ClassicalDegrader, ClassicalSpec, run_steps

EVERYTHING = ClassicalSpec(
    blur=1, resize=1, noise=1, jpeg=1, early_jpeg=1, halftone=1, fade=1, second=0.5, shuffle=0.5
)
NOTHING = ClassicalSpec(blur=0, resize=0, noise=0, jpeg=0, early_jpeg=0)


def pictures(count: int = 2, size: int = 64, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((count, 3, 8, 8), generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


def names(record: Record) -> list[str]:
    return [step["op"] for step in record["steps"]]


def test_a_seed_draws_what_it_always_drew() -> None:
    """Golden values: a change here changes every data set that was made before."""
    record = ClassicalDegrader(2).draw(3)
    assert record["degrader"] == "classical"
    assert record["scale"] == 2
    blur, shrink, noise, grid, compression = record["steps"]
    assert blur["op"] == "blur"
    assert blur["sigma"] == pytest.approx([0.6549888438917514, 1.7395049307759236])
    assert blur["theta"] == pytest.approx(0.29571385095481995)
    assert shrink.pop("factor") == pytest.approx(1.9244274738995364)
    assert shrink == {"op": "resize", "filter": "area", "antialias": False}
    assert noise.pop("sigma") == pytest.approx(0.02592800009473812)
    assert noise == {"op": "noise", "gray": True, "seed": 2383043475354558459}
    assert grid == {"op": "to_native", "filter": "area", "antialias": True}
    assert compression == {"op": "jpeg", "quality": 93.0, "subsample": True}
    shot = ClassicalDegrader(2).draw(6)["steps"][1]
    assert shot.pop("photons") == pytest.approx(122.42959518292686)
    assert shot == {"op": "poisson", "gray": True, "seed": 3135566771671971870}


@pytest.mark.parametrize("spec", [ClassicalSpec(), EVERYTHING])
def test_drawing_is_pure_and_seeds_differ(spec: ClassicalSpec) -> None:
    degrader = ClassicalDegrader(2, spec)
    first = [degrader.draw(seed) for seed in range(20)]
    again = [ClassicalDegrader(2, spec).draw(seed) for seed in reversed(range(20))]
    assert first == again[::-1]
    assert len({json.dumps(record) for record in first}) == 20


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_records_replay_after_json_on_any_image(scale: int) -> None:
    degrader = ClassicalDegrader(scale, replace(EVERYTHING, full_grid=0.5))
    hq = pictures()
    for seed in range(6):
        record = degrader.draw(seed)
        copy = json.loads(json.dumps(record))
        made = degrader.apply(hq, [record, record])
        assert made.shape == (2, 3, 64 // scale, 64 // scale)
        assert made.isfinite().all()
        assert made.min() >= 0
        assert made.max() <= 1
        # One image at a time, from the record that was written to a file.
        alone = torch.cat([ClassicalDegrader(scale).apply(image[None], [copy]) for image in hq])
        torch.testing.assert_close(made, alone)


def test_the_same_record_gives_both_images_the_same_noise() -> None:
    degrader = ClassicalDegrader(1, replace(NOTHING, noise=1, poisson=0))
    record = degrader.draw(3)
    hq = 0.4 + 0.2 * pictures()
    noise = degrader.apply(hq, [record, record]) - hq
    assert noise[0].std() > 1e-3
    torch.testing.assert_close(noise[0], noise[1], atol=1e-5, rtol=0)


def test_probabilities_of_zero_and_one_are_kept() -> None:
    for seed in range(30):
        assert names(ClassicalDegrader(2, NOTHING).draw(seed)) == ["to_native"]
        ops = names(ClassicalDegrader(2, EVERYTHING).draw(seed))
        assert ops[0] == "halftone"
        assert ops[-2:] == ["to_native", "jpeg"]
        assert {"blur", "resize", "fade"} <= set(ops)
        full = names(ClassicalDegrader(2, replace(NOTHING, full_grid=1)).draw(seed))
        assert full == ["to_hq"]
        # At scale 1 there is one grid only.
        assert names(ClassicalDegrader(1, replace(NOTHING, full_grid=1)).draw(seed)) == [
            "to_native"
        ]


def test_ranges_are_kept() -> None:
    spec = replace(EVERYTHING, quality=(30, 40), photons=(200, 300), second=1, pitch=(4, 5))
    for seed in range(40):
        for step in ClassicalDegrader(4, spec).draw(seed)["steps"]:
            if step["op"] == "jpeg":
                assert 30 <= step["quality"] <= 40
            if step["op"] == "poisson":
                assert 200 <= step["photons"] <= 300
            if step["op"] == "blur":
                # 1.5 at scale 1, twice that at scale 4.
                assert all(0.2 <= sigma <= 3.0 for sigma in step["sigma"])
            if step["op"] == "resize":
                assert 1.1 <= step["factor"] <= 5.0
            if step["op"] == "halftone":
                assert 4 <= step["pitch"] <= 5
                assert len(step["angles"]) == len(step["phases"])


def test_a_chain_is_what_opencv_makes() -> None:
    """Blur, area to the native grid, JPEG: OpenCV step by step."""
    hq = pictures(1)
    steps = [
        {"op": "blur", "sigma": [1.2, 1.2], "theta": 0.4},
        {"op": "to_native", "filter": "area", "antialias": True},
        {"op": "jpeg", "quality": 60.0, "subsample": True},
    ]
    made = ClassicalDegrader(2).apply(hq, [{"steps": steps}])
    image = cv2.GaussianBlur(
        hq[0].permute(1, 2, 0).numpy(), (21, 21), 1.2, borderType=cv2.BORDER_REFLECT_101
    )
    image = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    eight = np.rint(image * 255).astype(np.uint8)
    _, data = cv2.imencode(
        ".jpg",
        eight[..., ::-1].copy(),
        [
            *(cv2.IMWRITE_JPEG_QUALITY, 60),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
        ],
    )
    wanted = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1] / 255
    assert np.abs(made[0].permute(1, 2, 0).numpy() - wanted).mean() < 1 / 255


def test_blur_after_a_resize_keeps_its_width_on_the_hq_grid() -> None:
    """The sigma is given in HQ pixels, whatever grid the blur happens on."""
    spot = torch.zeros(1, 3, 64, 64)
    spot[:, :, 30:34, 30:34] = 1
    widths = []
    for steps in (
        [{"op": "blur", "sigma": [4.0, 4.0], "theta": 0.0}],
        [
            {"op": "resize", "factor": 2.0, "filter": "area", "antialias": True},
            {"op": "blur", "sigma": [4.0, 4.0], "theta": 0.0},
            {"op": "to_hq", "filter": "bilinear", "antialias": True},
        ],
    ):
        profile = run_steps(spot, steps, 1)[0, 0].sum(0)
        x = torch.arange(64.0)
        centre = (profile * x).sum() / profile.sum()
        widths.append(((profile * (x - centre) ** 2).sum() / profile.sum()).sqrt().item())
    assert widths[1] == pytest.approx(widths[0], rel=0.06)


def test_a_full_grid_record_stays_on_the_hq_grid_until_the_end() -> None:
    steps = [{"op": "to_hq", "filter": "area", "antialias": True}]
    hq = pictures(1)
    assert run_steps(hq, steps, 4).shape == hq.shape
    assert ClassicalDegrader(4).apply(hq, [{"steps": steps}]).shape == (1, 3, 16, 16)


def test_an_unknown_step_is_named() -> None:
    with pytest.raises(ValueError, match="unknown step 'sharpen'"):
        run_steps(pictures(1), [{"op": "sharpen"}], 1)


@pytest.mark.parametrize(
    ("shape", "records", "message"),
    [
        ((3, 64, 64), 1, r"expected \(B, 3, H, W\)"),
        ((1, 1, 64, 64), 1, r"expected \(B, 3, H, W\)"),
        ((2, 3, 64, 64), 1, "2 images but 1 records"),
        ((1, 3, 64, 66), 1, "not divisible by the scale 4"),
    ],
)
def test_wrong_batches_are_refused(shape: tuple[int, ...], records: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_batch(torch.zeros(shape), [{}] * records, 4)
