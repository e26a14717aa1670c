"""The measurement of Ω: on networks whose figures are known beforehand."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from degraded import REDEGNET
from torch import nn

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.families import FAMILIES, families, screen_chain
from redeg_cli.omega.transfer import (
    detail,
    flat_figures,
    measure_transfer,
    pair_batches,
    retrieval,
    to_levels,
)


def crops(seeds: Sequence[int]) -> torch.Tensor:
    made = [torch.rand((3, 8, 8), generator=torch.Generator().manual_seed(s)) for s in seeds]
    smooth = nn.functional.interpolate(torch.stack(made), size=(64, 64), mode="bilinear")
    return to_levels(smooth)


class Copier(nn.Module):
    """Ω is what was lost on average; SynNet gives the HQ back as it is."""

    multiple = 1

    def extract(self, hq: torch.Tensor, lq: torch.Tensor, scale: int) -> torch.Tensor:
        del scale
        figures = torch.stack([detail(hq), detail(lq), (hq - lq).abs().mean((1, 2, 3))], 1)
        return nn.functional.pad(figures, (0, 509))

    def synthesise(self, hq: torch.Tensor, omega: torch.Tensor, **options: Any) -> torch.Tensor:
        del omega, options
        return hq


def test_a_copy_of_the_hq_is_worth_what_the_hq_is() -> None:
    table = measure_transfer(Copier(), crops, crops, 1, 8, batch=4)
    assert set(table) == {*families(), "retrieval"}
    for family in families():
        row = table[family]
        assert row["right_omega"] == pytest.approx(row["hq"], abs=1e-3)
        assert row["wrong_omega"] == pytest.approx(row["hq"], abs=1e-3)
        assert row["detail_ratio"] == pytest.approx(row["detail_ratio_hq"], rel=1e-3)
    assert table["blur"]["detail_ratio_hq"] > 1.1  # blur takes detail away
    assert table["noise"]["detail_ratio_hq"] < 0.9  # and noise adds some
    again = measure_transfer(Copier(), crops, crops, 1, 8, batch=4)
    assert again == table
    figures = flat_figures(table)
    rights = [table[family]["right_omega"] for family in families()]
    assert figures["transfer_psnr"] == pytest.approx(sum(rights) / len(rights))
    assert figures["omega_retrieval"] == table["retrieval"]["accuracy_5nn"]
    assert figures["detail_ratio_noise"] == table["noise"]["detail_ratio"]


def test_the_omega_of_pseudo_hqs_is_of_the_faces() -> None:
    degrader = load_degrader({"steps": families()["blur"]}, 1)

    def dark(seeds: Sequence[int]) -> torch.Tensor:
        return crops(seeds) / 2

    arguments = (Copier(), crops, dark, degrader, "blur", 4)
    (without,) = pair_batches(*arguments)
    assert without.pseudo_omega is None
    (same,) = pair_batches(*arguments, pseudo=lambda lq: lq)
    assert same.pseudo_omega is not None
    assert (same.pseudo_omega[:, 2] == 0).all()  # nothing lies between an LQ and itself
    torch.testing.assert_close(same.pseudo_omega[:, 1], same.face_omega[:, 1])
    assert torch.equal(same.face_omega, without.face_omega)
    assert torch.equal(same.natural_omega, without.natural_omega)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_real_network_can_be_measured(scale: int) -> None:
    torch.manual_seed(0)
    net = ReDegNetLite(**REDEGNET).eval()
    table = measure_transfer(net, crops, crops, scale, 4, batch=2, full_grid=scale > 1)
    assert all(torch.tensor(list(row.values())).isfinite().all() for row in table.values())


def test_white_images_have_figures() -> None:
    def white(seeds: Sequence[int]) -> torch.Tensor:
        return torch.ones(len(seeds), 3, 64, 64)

    table = measure_transfer(Copier(), crops, white, 1, 4, batch=2)
    assert all(torch.tensor(list(row.values())).isfinite().all() for row in table.values())


def test_retrieval_counts_what_the_nearest_say() -> None:
    corners = [torch.zeros(512), torch.ones(512)]
    spread = torch.linspace(-0.1, 0.1, 6)[:, None]
    first, second = (corner + spread for corner in corners)
    assert retrieval([(first, first), (second, second)]).all()
    assert not retrieval([(first, second), (second, first)]).any()
    half = torch.cat([second[:3], first[:3]])
    assert retrieval([(first, first), (second, half)]).tolist() == [True] * 9 + [False] * 3


def test_of_groups_with_as_many_votes_the_nearest_wins() -> None:
    """Faces on a line, naturals at 0: two of the second, two of the first and one of the third."""
    places = [[0.3, 0.4, 9.0], [0.1, 0.5, 9.0], [0.2, 9.0, 9.0]]
    faces = [torch.tensor(each)[:, None].expand(-1, 512) for each in places]
    naturals = torch.zeros(3, 512)
    right = retrieval([(face, naturals) for face in faces])
    assert right.view(3, 3).all(1).tolist() == [False, True, False]


def test_by_chance_every_group_is_told_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(2, 400, 8, generator=generator) for _ in range(4)]
    shares = retrieval([(faces, naturals) for faces, naturals in drawn]).float().view(4, -1).mean(1)
    assert shares.min() > 0.2
    assert shares.max() < 0.3


def test_detail_of_a_checkerboard() -> None:
    """The Laplacian of a board of amplitude a is ±8 a."""
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    board = 0.5 + 0.1 * (1.0 - 2 * ((x + y) % 2)).expand(1, 3, 32, 32)
    assert detail(board).item() == pytest.approx(0.8, rel=1e-2)
    assert detail(torch.full((1, 3, 16, 16), 0.3)).item() == pytest.approx(0, abs=1e-6)


def test_families_hold_what_their_names_say() -> None:
    for family, op in {"blur": "blur", "noise": "noise", "jpeg": "jpeg"}.items():
        degrader = load_degrader({"steps": families()[family]}, 2)
        ops = [{step["op"] for step in degrader.draw(seed)["steps"]} for seed in range(20)]
        wanted = {op, "poisson"} if op == "noise" else {op}
        assert all(found & wanted and found <= wanted | {"resize"} for found in ops)
    for steps, of in ((families(), "native"), (families(full_grid=True), "hq")):
        assert load_degrader({"steps": steps["blur"]}, 2).draw(0)["steps"][-1]["of"] == of


def test_halftone_is_one_more_when_asked_for() -> None:
    assert tuple(families(halftone=True)) == FAMILIES
    assert "halftone" not in families()
    steps = load_degrader({"steps": screen_chain()}, 2).draw(3)["steps"]
    assert [step["op"] for step in steps] == ["halftone", "blur", "resize"]
    assert 6 <= steps[0]["pitch"] <= 16
