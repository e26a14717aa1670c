"""The presets for tapes and video frames: what they draw, and that it can be applied."""

from collections import Counter

import pytest
import skimage.data
import torch

from redeg_cli.degrade.chain import load_degrader

ANALOGUE = {"ringing", "tape_noise", "chroma_bleed", "interlace", "line_jitter", "dropouts"}


def photo() -> torch.Tensor:
    rgb = skimage.data.astronaut()[40:168, 160:288].copy()
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_vhs_is_analogue_through_and_through(scale: int) -> None:
    degrader = load_degrader("vhs", scale)
    drawn = [[step["op"] for step in degrader.draw(seed)["steps"]] for seed in range(300)]
    assert all({"ringing", "tape_noise", "chroma_bleed"} <= set(ops) for ops in drawn)
    seen = Counter(op for ops in drawn for op in set(ops))
    assert {*ANALOGUE, "tracking"} <= set(seen)
    assert "video" not in seen
    twice = sum(ops.count("ringing") == 2 for ops in drawn)
    assert 45 < twice < 105  # a quarter of 300


def test_video_mixes_tapes_discs_and_the_web() -> None:
    degrader = load_degrader("video", 4)
    drawn = [degrader.draw(seed)["steps"] for seed in range(1000)]
    tapes = sum("tape_noise" in [step["op"] for step in steps] for steps in drawn)
    assert 240 < tapes < 360  # 3 in 10
    codecs = Counter(s["codec"] for steps in drawn for s in steps if s["op"] == "video")
    assert set(codecs) == {"h264", "mpeg2", "mpeg4"}
    assert codecs["h264"] > codecs["mpeg2"] > codecs["mpeg4"] > 50


@pytest.mark.parametrize("name", ["vhs", "video"])
def test_what_is_drawn_can_be_applied(name: str) -> None:
    if name == "video":
        pytest.importorskip("av")
    degrader = load_degrader(name, 4)
    hq = photo().expand(12, -1, -1, -1)
    out = degrader.apply(hq, [degrader.draw(seed) for seed in range(12)])
    assert out.shape == (12, 3, 32, 32)
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1
    clean = torch.nn.functional.avg_pool2d(hq, 4)
    errors = (out - clean).abs().mean((1, 2, 3))
    assert errors.min() > 0.003
    assert errors.max() < 0.2
    again = degrader.apply(hq[:2], [degrader.draw(seed) for seed in range(2)])
    assert torch.equal(out[:2], again)
