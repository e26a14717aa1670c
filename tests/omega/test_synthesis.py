"""JPEG stages on their grids, noise and lattices for whole images, and tiles that do not show."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from redeg_cli.degrade.resize import to_aligned, to_native
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool
from redeg_cli.omega.synthesis import (
    JpegStage,
    compress,
    jpeg_stages,
    native_noise,
    periodic_maps,
    raw_aligned,
)


def stage(*there: bool, quality: float = 30.0, subsample: bool = False) -> JpegStage:
    count = len(there)
    return JpegStage(
        torch.tensor(there),
        torch.full((count,), quality),
        torch.full((count,), subsample, dtype=torch.bool),
    )


def opencv(image: Tensor, quality: int) -> Tensor:
    bgr = (image[0].permute(1, 2, 0).numpy()[..., ::-1] * 255).round().astype(np.uint8)
    settings = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    _, data = cv2.imencode(".jpg", bgr, settings)
    back = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].copy()
    return torch.from_numpy(back).permute(2, 0, 1)[None].float() / 255


def distance(a: Tensor, b: Tensor) -> float:
    return 255 * (a - b).abs().mean().item()


def test_only_images_with_the_stage_are_compressed(picture: Tensor) -> None:
    batch = picture.repeat(3, 1, 1, 1)
    made = stage(False, True, False).apply(batch)
    assert torch.equal(made[[0, 2]], batch[[0, 2]])
    assert not torch.equal(made[1], batch[1])
    assert stage(False, False, False).apply(batch) is batch


def test_both_stages_are_files_of_their_own_grid(picture: Tensor) -> None:
    none, jpeg = stage(False), stage(True)
    on_hq = compress(picture, (jpeg, none), 2, aligned=False)
    assert distance(on_hq, to_native(opencv(picture, 30), 2)) < 0.6
    on_native = compress(picture, (none, jpeg), 2, aligned=False)
    assert distance(on_native, opencv(to_native(picture, 2), 30)) < 0.6
    # The two differ by more than that.
    assert distance(on_hq, on_native) > 1.2


def test_an_aligned_lq_shows_the_native_grid(picture: Tensor) -> None:
    none, jpeg = stage(False), stage(True)
    made = compress(picture, (none, jpeg), 2, aligned=True)
    assert torch.equal(made, to_aligned(compress(picture, (none, jpeg), 2, aligned=False), 2))
    assert torch.equal(compress(picture, (none, none), 2, aligned=True), picture)
    assert distance(compress(picture, (jpeg, none), 2, aligned=True), opencv(picture, 30)) < 0.6


def test_at_scale_one_either_stage_is_the_same_grid(picture: Tensor) -> None:
    none, jpeg = stage(False), stage(True)
    first, second = (compress(picture, pair, 1, True) for pair in ((jpeg, none), (none, jpeg)))
    assert torch.equal(first, second)
    assert distance(first, opencv(picture, 30)) < 0.6


def test_stages_are_read_from_the_logits(tiny_net: ReDegNetLite) -> None:
    with torch.no_grad():
        tiny_net.synnet.jpeg.weight.zero_()
        tiny_net.synnet.jpeg.bias.copy_(torch.tensor([-2.0, 0, 0, 1.0, 0.81, -3.0]))
    on_hq, on_native = jpeg_stages(tiny_net, torch.zeros(2, 512))
    assert on_hq.there.tolist() == [False, False]
    assert on_native.there.tolist() == [True, True]
    assert on_native.quality.tolist() == [70, 70]  # 50 + 25 * 0.81 in whole numbers
    assert on_native.subsample.tolist() == [False, False]


def test_another_network_makes_its_own_jpeg() -> None:
    for made in jpeg_stages(torch.nn.Identity(), torch.zeros(3, 512)):
        assert made.there.tolist() == [False] * 3
        assert made.quality.shape == made.subsample.shape == (3,)


def test_raw_is_the_network_in_full_range(tiny_net: ReDegNetLite, picture: Tensor) -> None:
    omega, noise = torch.zeros(1, 512), native_noise([3], 96, 128, 1)
    made = raw_aligned(tiny_net, picture, omega, noise)
    assert made.dtype == torch.float32
    assert not made.requires_grad
    wanted = tiny_net.synthesise(picture, omega, noise=noise)
    assert (made - wanted).abs().max() < 0.02  # bfloat16 where the processor has it


def test_maps_have_fresh_phases_for_each_image() -> None:
    lattice = Lattice(((0.2, 0.05), (0.0, 0.3)))
    maps = periodic_maps(lattice, [1, 2, 1], 16, 20)
    assert maps is not None
    assert maps.shape == (3, 4, 16, 20)
    assert torch.equal(maps[0], maps[2])
    assert (maps[0] - maps[1]).abs().max() > 0.1
    torch.testing.assert_close(
        maps[:, 0].square() + maps[:, 1].square(), torch.ones(3, 16, 20), atol=1e-5, rtol=0
    )
    assert periodic_maps(None, [1], 16, 20) is None


@pytest.mark.parametrize("tile", [48, 64])
def test_tiles_do_not_show(
    tiny_net: ReDegNetLite, tiny_pool: Pool, picture: Tensor, tile: int
) -> None:
    """Grain is drawn for the whole image; only the borders of tiles may differ, and hardly."""
    degrader = OmegaDegrader(tiny_net, tiny_pool, 1)
    record, device = degrader.draw(4), torch.device("cpu")
    whole = degrader.apply_large(picture, record, device, tile=256)
    parts = degrader.apply_large(picture, record, device, tile=tile)
    assert (whole - parts).abs().max() < 2 / 255
    assert torch.equal(parts, degrader.apply_large(picture, record, device, tile=tile))
