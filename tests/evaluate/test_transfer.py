"""The whole measurement: what comes together, what is left out, and that it repeats."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from degraded import REDEGNET
from torch import Tensor

from redeg_cli.evaluate import robustness, screen_transfer, transfer
from redeg_cli.evaluate.bootstrap import bootstrap_mean
from redeg_cli.evaluate.grids import to_markdown, to_rich
from redeg_cli.evaluate.realism import judge_realism
from redeg_cli.evaluate.sharp_images import SharpImages
from redeg_cli.evaluate.transfer import TransferSettings, evaluate_transfer
from redeg_cli.evaluate.transfer_sheet import transfer_sheet
from redeg_cli.evaluate.transfer_tables import transfer_grids
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.families import FAMILIES

CPU = torch.device("cpu")
SETTINGS = TransferSettings(count=12, crop=64)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen_transfer, "SIDE", 128)
    monkeypatch.setattr(transfer, "SCREENS", 2)
    monkeypatch.setattr(robustness, "SIZES", ((8, 8), (17, 31)))
    monkeypatch.setattr(robustness, "_SIDE", 16)
    monkeypatch.setattr(transfer, "judge_realism", partial(judge_realism, steps=4))


def sharp(seed: int) -> SharpImages:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((3, 3, 12, 12), generator=generator)
    images = F.interpolate(coarse, size=(96, 96), mode="bicubic").clamp(0, 1)
    pixels = (images * 255).round().to(torch.uint8)
    return SharpImages(Path("sharp"), tuple(pixels), (), ())


@pytest.fixture
def net() -> ReDegNetLite:
    torch.manual_seed(0)
    return ReDegNetLite(**REDEGNET).eval()


def test_everything_is_measured_and_shown(net: ReDegNetLite) -> None:
    told: list[tuple[int, int, str]] = []
    measure = partial(evaluate_transfer, net, sharp(0), sharp(1), SETTINGS, CPU)
    report, examples = measure(lambda done, total, text="": told.append((done, total, text)))
    assert [each.family for each in report.families] == list(FAMILIES)
    assert all(each.psnr_right.n == 12 for each in report.families)
    assert [bool(each.grain) for each in report.families] == [
        name in ("noise", "mixed") for name in FAMILIES
    ]
    assert report.omega.retrieval is not None
    assert report.omega.retrieval.n == 48
    assert report.omega.content_probe.n == 12 * 6  # pairs, though each is asked about twice
    assert report.omega.rank_correlation is not None
    assert set(report.realism.rivals) == {"bsrgan", "real-esrgan"}
    assert report.realism.synthetic.n == report.realism.control.n == 12 * 6 // 3
    assert report.screens is not None
    assert report.screens.hits == 0  # an untrained network makes no screen
    assert report.screens.coherence_true.mean > 0.9
    assert report.robustness.failures == ()
    counted = [done / total for done, total, _ in told]
    assert counted == sorted(counted)
    assert counted[-1] == 1
    parts = {"blur", "halftone screens", "realism, control", "robustness"}
    assert parts < {text for *_, text in told}
    text = to_markdown(transfer_grids(report), "A title")
    grids = transfer_grids(report)
    assert text.startswith("# A title\n")
    for grid in grids:
        assert f"\n## {grid.title}\n" in text
        assert {len(row) for row in grid.rows} == {len(grid.head)}
    assert f"{report.families[0].psnr_hq.mean:.2f} [" in text
    assert len(to_rich(transfer_grids(report)).renderables) == len(grids) == 7
    sheet = transfer_sheet(examples)
    hq = examples[0].hq.permute(1, 2, 0).numpy() / 255
    # The first picture of 64 pixels is four times as large, in the corner under its title.
    corner = next(
        top
        for top in range(60)
        if np.allclose(sheet[top : top + 256 : 4, 14 : 14 + 256 : 4], hq, atol=1e-3)
    )
    assert sheet[:corner].min() < 0.5  # where there is ink


def test_some_families_only_and_the_same_bits_again(net: ReDegNetLite) -> None:
    settings = TransferSettings(count=12, crop=64, families=("blur", "noise"))
    measure = partial(evaluate_transfer, net, sharp(0), sharp(1), settings, CPU)
    report, examples = measure()
    assert [each.family for each in report.families] == ["blur", "noise"]
    assert len(examples) == 2
    assert report.omega.retrieval is None  # it takes all four groups
    assert report.omega.rank_correlation is None
    assert report.screens is None
    titles = [grid.title for grid in transfer_grids(report)]
    assert "Halftone screens" not in titles
    assert "Realism" in titles
    # Another number of threads, the same figures.
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert repr(measure()[0]) == repr(report)  # by text: NaN is not itself
    finally:
        torch.set_num_threads(threads)


def test_what_is_sure_goes_by_pairs(net: ReDegNetLite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of half of the pairs both answers are right, of the others none."""
    told = np.tile(np.arange(24) % 2 == 0, 2)
    monkeypatch.setattr(transfer, "probe_content", lambda *_: told)
    settings = TransferSettings(count=12, crop=64, families=("blur", "noise"))
    report, _ = evaluate_transfer(net, sharp(0), sharp(1), settings, CPU)
    of_pairs = bootstrap_mean(told[:24].astype(float))
    assert report.omega.content_probe == of_pairs
    assert of_pairs.high - of_pairs.low > 0.35  # 0.28 of 48 answers


class Leak(ReDegNetLite):
    """Its Ω says what is in the picture, and nothing of what was done to it."""

    def extract(self, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
        del lq, scale
        return F.pad(hq.mean((1, 2, 3), keepdim=True)[:, :, 0, 0].expand(-1, 3), (0, 509))


def test_an_omega_that_leaks_content_is_found() -> None:
    torch.manual_seed(0)
    settings = TransferSettings(count=12, crop=64, families=("blur",))
    dark = SharpImages(Path("dark"), tuple(i // 4 for i in sharp(0).images), (), ())
    leaky = evaluate_transfer(Leak(**REDEGNET).eval(), dark, sharp(1), settings, CPU)[0]
    assert leaky.omega.content_probe.mean > 0.95


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TransferSettings(count=11), "at least 12 pairs"),
        (TransferSettings(families=("blurr",)), "wanted families of"),
        (TransferSettings(crop=65, scale=2), "65 px cannot be divided by 2"),
    ],
)
def test_what_cannot_be_measured(
    net: ReDegNetLite, settings: TransferSettings, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_transfer(net, sharp(0), sharp(1), settings, CPU)
