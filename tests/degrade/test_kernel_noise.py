"""The degrader of estimated kernels and noise, step by step against plain code."""

import numpy as np
import pytest
import skimage.data
import torch
from estimated import SIGMA, kernel_pool, noise_pool
from scipy.ndimage import correlate

from redeg_cli.degrade.jpeg import jpeg
from redeg_cli.degrade.kernel_noise import JpegChoice, KernelNoiseDegrader
from redeg_cli.errors import InputError, RecipeError

HQ = torch.from_numpy(skimage.data.astronaut()[100:196, 150:270] / np.float32(255))
HQ = HQ.permute(2, 0, 1)[None].contiguous()


def degrader(scale: int = 2, jpeg: JpegChoice = "none") -> KernelNoiseDegrader:
    return KernelNoiseDegrader(kernel_pool(), noise_pool(), scale, jpeg)


@pytest.mark.parametrize("scale", [2, 4])
def test_an_lq_is_filtered_subsampled_and_given_noise(scale: int) -> None:
    made = degrader(scale)
    record = made.draw(5)
    lq = made.apply(HQ, [record])
    assert lq.shape == (1, 3, 96 // scale, 120 // scale)
    kernel = kernel_pool().at_scale(scale)[record["kernel"]]
    planes = [correlate(plane, kernel, mode="mirror") for plane in HQ[0].numpy()]
    clean = np.stack(planes)[:, ::scale, ::scale]
    noise = (
        noise_pool()
        .noise(record["noise"]["patch"], record["noise"]["seed"], *clean.shape[1:])
        .numpy()
    )
    np.testing.assert_allclose(lq[0].numpy(), (clean + noise).clip(0, 1), atol=2e-5)
    assert float(noise.std()) == pytest.approx(SIGMA, rel=0.15)


def test_jpeg_comes_last() -> None:
    plain, compressed = degrader(), degrader(jpeg=30)
    seed = next(s for s in range(9) if compressed.draw(s)["jpeg"] is not None)
    assert compressed.draw(seed)["jpeg"] == {"quality": 30.0, "subsample": True}
    lq = plain.apply(HQ, [plain.draw(seed)])
    wanted = jpeg(lq, torch.tensor([30.0]), torch.tensor([True]))
    assert torch.equal(compressed.apply(HQ, [compressed.draw(seed)]), wanted)


def test_a_quality_is_drawn_nine_times_in_ten_and_auto_follows_the_sources() -> None:
    drawn = [degrader(jpeg=30).draw(seed)["jpeg"] for seed in range(400)]
    assert sum(each is not None for each in drawn) == pytest.approx(360, abs=25)
    auto = [degrader(jpeg="auto").draw(seed)["jpeg"] for seed in range(400)]
    # Of the two images one was a JPEG of quality 40, the other none.
    assert {each["quality"] for each in auto if each} == {40.0}
    assert sum(each is not None for each in auto) == pytest.approx(200, abs=50)
    assert all(degrader(jpeg="none").draw(seed)["jpeg"] is None for seed in range(20))


def test_all_rows_of_both_pools_come() -> None:
    records = [degrader().draw(seed) for seed in range(200)]
    assert {record["kernel"] for record in records} == {0, 1, 2}
    assert {record["noise"]["patch"] for record in records} == {0, 1, 2, 3}
    assert records[0] == degrader().draw(0)


def test_an_image_does_not_depend_on_its_batch() -> None:
    made = degrader(jpeg=30)
    records = [made.draw(seed) for seed in range(3)]
    batch = torch.cat([HQ, HQ.flip(3), HQ])
    together = made.apply(batch, records)
    for row, record in enumerate(records):
        assert torch.equal(together[row], made.apply(batch[row : row + 1], [record])[0])


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(InputError, match="of scale 2, which serve scale 2 and 4, not 3"):
        degrader(3)
    made, record = degrader(), degrader().draw(0)
    for wrong, words in (
        ({**record, "kernel": 9}, "there is no row 9 in a pool of 3"),
        ({**record, "scale": 4}, "of scale 4, not 2"),
        ({**record, "extra": 1}, "unknown key 'extra'"),
        ({"degrader": "bsrgan"}, "degrader"),
    ):
        with pytest.raises(RecipeError, match=words):
            made.apply(HQ, [wrong])
