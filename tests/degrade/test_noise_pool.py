"""Pools of noise: fields of any size, files, merging."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from estimated import SIGMA, kernel_pool, noise_pool

from redeg_cli.degrade.jpeg_quality import JpegTraits
from redeg_cli.degrade.noise_patches import Rules, find_noise
from redeg_cli.degrade.noise_pool import NoiseRows, load_noise_pool, merge_noise_pools
from redeg_cli.errors import InputError


def test_a_field_no_larger_than_a_patch_is_the_patch() -> None:
    pool = noise_pool()
    patch = torch.from_numpy(pool.patches[2].astype(np.float32)).permute(2, 0, 1)
    assert torch.equal(pool.noise(2, 7, 16, 16), patch)
    assert torch.equal(pool.noise(2, 8, 9, 13), patch[:, :9, :13])


def test_a_large_field_has_the_variance_of_the_patches_everywhere() -> None:
    pool = noise_pool(60)
    fields = torch.stack([pool.noise(row, row, 70, 50) for row in range(60)])
    assert fields.shape == (60, 3, 70, 50)
    # Seams would show as rows and columns of another variance.
    for axis in ((0, 1, 2), (0, 1, 3)):
        deviations = fields.square().mean(axis).sqrt() / SIGMA
        assert deviations.min() > 0.9
        assert deviations.max() < 1.1


def test_a_field_is_of_one_image_and_of_its_seed() -> None:
    pool = noise_pool(6)
    pool.patches[1::2] = 0  # those of the second image
    assert not bool(pool.noise(1, 3, 40, 40).any())
    assert float(pool.noise(0, 3, 40, 40).std()) == pytest.approx(SIGMA, rel=0.15)
    assert torch.equal(pool.noise(0, 3, 40, 40), pool.noise(0, 3, 40, 40))
    assert not torch.equal(pool.noise(0, 3, 40, 40), pool.noise(0, 4, 40, 40))


def test_a_file_holds_what_the_pool_held(tmp_path: Path) -> None:
    pool = noise_pool()
    pool.save(tmp_path / "a.npz")
    again = load_noise_pool(tmp_path / "a.npz")
    assert np.array_equal(again.patches, pool.patches)
    assert np.array_equal(again.places, pool.places)
    assert (again.names, again.sources, again.digest) == (pool.names, pool.sources, pool.digest)
    assert noise_pool(quality=41).digest != pool.digest  # another compression, another degrader


def test_what_is_no_pool_of_noise_is_told(tmp_path: Path) -> None:
    kernel_pool().save(tmp_path / "kernels.npz")
    with pytest.raises(InputError, match=r"it holds kernels.*redeg build-noise"):
        load_noise_pool(tmp_path / "kernels.npz")
    with pytest.raises(InputError, match="does not exist"):
        load_noise_pool(tmp_path / "none.npz")


def test_duplicates_are_left_out() -> None:
    image = (0.5 + 0.02 * np.random.default_rng(0).standard_normal((128, 128, 3))).astype("f4")
    found, rules = find_noise(image, Rules(mu=1, gamma=1)), Rules(mu=1, gamma=1)
    rows = NoiseRows()
    rows.add("a.png", found, JpegTraits())
    rows.add("copy of a.png", found, JpegTraits(30.0, True, "tables"))
    pool = rows.pool(rules)
    assert len(pool) == len(found.patches) > 0
    assert pool.rejected["duplicate"] == len(pool)
    assert set(pool.names) == {"a.png"}
    assert [each.patches for each in pool.sources] == [len(pool), 0]
    assert pool.settings["gamma"] == 1


def test_merging() -> None:
    a, b = noise_pool(4), noise_pool(6)
    merged = merge_noise_pools([(Path("a"), a), (Path("b"), b)])
    assert len(merged) == 6
    assert merged.rejected["duplicate"] == 4
    assert [each.name for each in merged.sources] == ["lr 0.png", "lr 1.png"]
    with pytest.raises(InputError, match="b holds patches of 20 px and a of 16"):
        merge_noise_pools([(Path("a"), a), (Path("b"), noise_pool(side=20))])


@pytest.mark.parametrize("what", ["patches", "qualities"])
def test_images_of_one_name_are_told_apart(what: str) -> None:
    """Two cameras' IMG_0001.jpg: noise goes on with patches of the same one."""
    a, b = noise_pool(4), noise_pool(6)
    if what == "patches":
        b = replace(b, patches=b.patches * 10)
    else:
        sources = [replace(each, jpeg=replace(each.jpeg, quality=31)) for each in b.sources]
        b = replace(b, sources=tuple(sources), patches=b.patches[::-1])
    merged = merge_noise_pools([(Path("one/a.npz"), a), (Path("two/b.npz"), b)])
    names = [each.name for each in merged.sources]
    assert names == ["lr 0.png", "lr 1.png", "b/lr 0.png", "b/lr 1.png"]
    assert sum(each.patches for each in merged.sources) == len(merged)
    again = merge_noise_pools([(Path("a.npz"), merged), (Path("b.npz"), merged)])
    assert [each.name for each in again.sources] == names
    assert again.names == merged.names


def test_nothing_is_no_pool() -> None:
    with pytest.raises(InputError, match="at least one patch"):
        NoiseRows().pool(Rules())
