"""GFPGAN as spandrel loads it, against the network of the gfpgan package itself.

Skipped where gfpgan cannot be imported: it needs basicsr, hence Python below 3.13 and torchvision
below 0.17 (``redeg[gfpgan]`` in an environment of its own).
"""

import warnings
from typing import Any

import pytest
import torch

from redeg_cli.nets.community import face_run, load_community


@pytest.fixture(scope="module")
def reference() -> Any:
    """The published network of GFPGAN 1.3 and 1.4 with weights of chance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # basicsr uses what torchvision has deprecated
        arch = pytest.importorskip(
            "gfpgan.archs.gfpganv1_clean_arch",
            reason="gfpgan is not installed, or its torchvision is too new",
            exc_type=ImportError,
        )
    torch.manual_seed(0)
    # As GFPGANer builds it for arch="clean", channel_multiplier=2.
    net = arch.GFPGANv1Clean(
        out_size=512,
        num_style_feat=512,
        channel_multiplier=2,
        decoder_load_path=None,
        fix_decoder=False,
        num_mlp=8,
        input_is_latent=True,
        different_w=True,
        narrow=1,
        sft_half=True,
    )
    with torch.no_grad():
        for name, weight in net.named_parameters():
            # Fresh networks inject no noise and have zero biases: the test would not see them.
            if weight.abs().max() == 0:
                weight.normal_(0, 0.1)
            elif name.endswith("modulation.bias"):
                weight.add_(0.1 * torch.randn_like(weight))
    return net.eval()


def test_the_same_face_comes_out(reference: Any) -> None:
    torch.manual_seed(1)
    face = torch.nn.functional.interpolate(
        torch.rand(1, 3, 32, 32), size=(512, 512), mode="bicubic"
    ).clamp(0, 1)
    model = load_community("gfpgan", reference.state_dict(), "cpu")
    assert model.architecture.name == "GFPGAN"
    with torch.no_grad():
        expected = reference(face * 2 - 1, return_rgb=False, randomize_noise=False)[0]
        found = face_run("gfpgan", model)(face) * 2 - 1
    detail = expected.std((2, 3)).min()
    assert detail > 0.1
    # 1.2e-7 with torch 2.1: the two differ in nothing but the order of a sum.
    assert (found - expected).abs().max() < 1e-4 * detail
