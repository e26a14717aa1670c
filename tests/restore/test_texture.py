"""Between two sets of weights of one network: the ends, the middle, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F

from redeg_cli.errors import ModelError
from redeg_cli.evaluate.niqe import niqe
from redeg_cli.io.images import to_tensor
from redeg_cli.models import load_restorer, save_network
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.omega.transfer import detail
from redeg_cli.restore.texture import load_textured, perceptual_of

PHOTOS = (
    skimage.data.astronaut()[:208, 140:348],
    skimage.data.coffee()[100:308, 200:408],
    skimage.data.chelsea()[50:258, 100:308],
)
TINY = {"features": 4, "blocks": 1, "scales": [1, 2]}


def write(path: Path, seed: int, **config: object) -> Path:
    torch.manual_seed(seed)
    config = {**TINY, **config}
    net = CompactF2N(**config)
    tensors = {name: torch.randn_like(each) / 8 for name, each in net.state_dict().items()}
    save_network(path, "f2n-compact", config, tensors)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write(tmp_path / "m-perceptual.safetensors", 1)
    return write(tmp_path / "m.safetensors", 0)


def test_the_ends_are_the_two_models(model: Path) -> None:
    image = torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(2))
    for texture, path in ((0, model), (1, perceptual_of(model))):
        torch.testing.assert_close(
            load_textured(model, texture, 2)(image), load_restorer(path, 2)(image)
        )


def test_between_them_the_weights_are_between(model: Path) -> None:
    plain, full, some = (
        load_textured(model, texture).network.state_dict() for texture in (0, 1, 0.25)
    )
    for name, tensor in some.items():
        torch.testing.assert_close(tensor, 0.75 * plain[name] + 0.25 * full[name])


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_the_embedded_weights_look_the_sharper_the_more_texture(scale: int) -> None:
    """Of blurred photographs: more detail, not more than they had, and at x4 a better NIQE."""
    sharp = torch.cat([to_tensor(np.float32(photo / 255)) for photo in PHOTOS])
    blurred = F.avg_pool2d(sharp, 5, stride=1, padding=2, count_include_pad=False)
    lq = F.avg_pool2d(blurred, scale)
    details, scores = [], []
    for texture in (0, 0.5, 1):
        with torch.inference_mode():
            restored = load_textured("f2n-compact", texture, scale)(lq).clamp(0, 1)
        details.append(float(detail(restored).mean()))
        scores.append(float(niqe(restored).mean()))
    assert 1.2 * details[0] < details[1] < details[2] / 1.05
    assert details[2] < detail(sharp).mean()
    if scale == 4:
        assert scores[0] - 0.5 > scores[1] > scores[2] + 0.5


def test_what_was_blended_can_be_told(model: Path) -> None:
    plain, half, full = (load_textured(model, texture).fingerprint for texture in (0, 0.5, 1))
    assert plain == load_restorer(model).fingerprint
    assert len({plain, half, full}) == 3


def test_without_weights_with_texture_the_line_says_what_is_missing(tmp_path: Path) -> None:
    model = write(tmp_path / "alone.safetensors", 0)
    load_textured(model, 0)
    with pytest.raises(ModelError, match=r"no alone-perceptual\.safetensors beside it"):
        load_textured(model, 0.5)


def test_another_network_is_not_blended_with(model: Path) -> None:
    write(model.with_name("m-perceptual.safetensors"), 1, features=6)
    with pytest.raises(ModelError, match="is another network than"):
        load_textured(model, 0.5)


@pytest.mark.parametrize("texture", [-0.1, 1.1])
def test_texture_is_from_zero_to_one(model: Path, texture: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        load_textured(model, texture)
