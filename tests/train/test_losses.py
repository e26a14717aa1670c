"""Losses in closed form, and where their gradients go."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from redeg_cli.errors import RecipeError
from redeg_cli.train.losses import (
    PAPER_WEIGHTS,
    attraction,
    attraction_l1,
    contrast,
    feature_loss,
    gram,
    hinge_d,
    hinge_g,
    jpeg_parameters_loss,
    l_cons,
    l_disen,
    l_mse,
    l_real,
    pixel_l1,
    pixel_mse,
    relative_attraction,
    repulsion,
    repulsion_l1,
    squared_distance,
    style_loss,
    weigh,
    weight_decay,
)


def test_the_distance_of_pixels() -> None:
    assert pixel_l1(flat(0.25), flat(0)).item() == pytest.approx(0.25)


def stage(logit: float, quality: float, chroma: float) -> list[float]:
    return [logit, quality, chroma]


def test_the_jpeg_loss_is_the_sum_of_its_parts() -> None:
    logits = torch.tensor([[stage(2.0, 0.5, 1.0), stage(-1.0, 0.9, 5.0)]])
    truth = torch.tensor([[stage(1.0, 0.3, 0.0), stage(0.0, 0.0, 0.0)]])
    gate = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    wanted = gate + 0.2 + 0.2 * math.log1p(math.exp(1))
    assert jpeg_parameters_loss(logits, truth).item() == pytest.approx(wanted, rel=1e-5)


def test_quality_and_chroma_do_not_count_without_jpeg() -> None:
    truth = torch.zeros(3, 2, 3)
    low, high = torch.zeros(3, 2, 3), torch.zeros(3, 2, 3)
    high[..., 1:] = 7.0
    assert jpeg_parameters_loss(low, truth) == jpeg_parameters_loss(high, truth)
    assert jpeg_parameters_loss(low, truth).item() == pytest.approx(math.log(2))


def test_a_sure_and_right_answer_costs_nothing() -> None:
    truth = torch.tensor([[stage(1.0, -0.4, 1.0), stage(0.0, 0.0, 0.0)]])
    logits = torch.tensor([[stage(30.0, -0.4, 30.0), stage(-30.0, 2.0, 2.0)]])
    assert jpeg_parameters_loss(logits, truth).item() == pytest.approx(0, abs=1e-6)


A = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
B = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
"""Two rows of two numbers in place of 512: squared distances 5 and 25, mean |a − b| 1.5 and 3.5."""


def test_eq_7_sums_over_omega_and_averages_over_the_batch() -> None:
    assert squared_distance(A, B).tolist() == [5, 25]
    assert attraction(A, B).item() == pytest.approx((5 + 25) / 2)
    assert repulsion(A, B, epsilon=5).item() == pytest.approx((1 / 10 + 1 / 30) / 2)
    assert weight_decay([A, B]).item() == pytest.approx((5 + 25) / 2)


def test_the_release_has_mean_absolute_differences() -> None:
    assert attraction_l1(A, B).item() == pytest.approx(2.5)
    assert repulsion_l1(A, B, epsilon=0.5).item() == pytest.approx(1 / 3)
    near = A + 2e-8
    as_released = 4 / (10 * (A.double() - near.double()).abs().mean() + 1e-7)
    found = 0.4 * repulsion_l1(A.double(), near.double()).item()
    assert found == pytest.approx(as_released.item(), rel=1e-6)


def test_the_repulsion_and_its_slope_are_bounded_as_stated() -> None:
    epsilon = 0.02
    assert repulsion(A, A, epsilon).item() == pytest.approx(1 / epsilon)
    distance = torch.linspace(0, 2, 20_001).view(-1, 1).requires_grad_()
    repulsion(distance, torch.zeros(20_001, 1), epsilon).mul(20_001).backward()
    assert distance.grad is not None
    steepest = distance.grad.abs().max().item()
    assert steepest == pytest.approx(0.65 * epsilon**-1.5, rel=2e-3)


Loss = Callable[[Tensor, Tensor], Tensor]


def omega(seed: int) -> Tensor:
    return torch.randn(3, 512, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize(("pull", "push"), [(attraction, repulsion), (attraction_l1, repulsion_l1)])
def test_attraction_pulls_together_and_repulsion_pushes_apart(pull: Loss, push: Loss) -> None:
    for loss, closer in ((pull, True), (push, False)):
        a, b = omega(0), omega(1)
        loss(a, b).backward()
        assert a.grad is not None
        assert b.grad is not None
        scale = 0.1 / a.grad.norm()
        moved = squared_distance(a - scale * a.grad, b - scale * b.grad)
        assert bool(((moved < squared_distance(a, b)) == closer).all())


def test_eq_7_names_its_terms() -> None:
    f, n, real, theta = omega(0), omega(1), omega(2), torch.ones(3, 2).requires_grad_()
    terms = l_disen(f, n, real, [theta])
    assert list(terms) == ["disen/attraction", "disen/repulsion", "disen/decay"]
    assert terms["disen/attraction"] == attraction(f, n)
    assert terms["disen/repulsion"] == repulsion(f, real)
    assert terms["disen/decay"].item() == 3
    terms["disen/decay"].backward()
    assert theta.grad is not None
    assert torch.equal(theta.grad, theta)  # ½||Θ||² has Θ for its gradient
    released = l_disen(f, n, real, distance="l1")
    assert released == {
        "disen/attraction": attraction_l1(f, n),
        "disen/repulsion": repulsion_l1(f, real),
    }


def test_only_the_omegas_of_a_term_get_its_gradient() -> None:
    for name, reached in (("attraction", (True, True, False)), ("repulsion", (True, False, True))):
        omegas = omega(0), omega(1), omega(2)
        l_disen(*omegas)[f"disen/{name}"].backward()
        assert tuple(each.grad is not None for each in omegas) == reached


def phi(images: Tensor) -> dict[str, Tensor]:
    """Features whose losses can be worked out by hand."""
    return {"double": 2 * images, "gray": images.mean(1, keepdim=True)}


def flat(value: float) -> Tensor:
    return torch.full((2, 3, 4, 5), float(value))


WEIGHTS = {"double": 1.0, "gray": 3.0}


def test_eq_8_by_hand() -> None:
    made, truth = flat(0.5), flat(0.25)
    assert pixel_mse(made, truth).item() == pytest.approx(0.0625)
    squares = 1 * 0.25 + 3 * 0.0625
    assert feature_loss(phi(made), phi(truth), WEIGHTS).item() == pytest.approx(squares)
    absolutes = 1 * 0.5 + 3 * 0.25
    assert feature_loss(phi(made), phi(truth), WEIGHTS, "l1").item() == pytest.approx(absolutes)
    paper = l_mse(made, truth, phi, WEIGHTS)
    assert paper["mse/pixel"].item() == pytest.approx(0.0625)
    assert paper["mse/feature"].item() == pytest.approx(squares)
    released = l_mse(made, truth, phi, WEIGHTS, distance="l1")
    assert released["mse/pixel"].item() == pytest.approx(0.25)
    assert released["mse/feature"].item() == pytest.approx(absolutes)


def test_the_gram_matrix_by_hand() -> None:
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 2, 1, 2)
    wanted = torch.tensor([[5.0, 11.0], [11.0, 25.0]]) / (2 * 1 * 2)
    torch.testing.assert_close(gram(features)[0], wanted)
    # Not a matter of the size of the image, nor of where things are in it.
    torch.testing.assert_close(gram(features.repeat(1, 1, 6, 5))[0], wanted)
    torch.testing.assert_close(gram(features.flip(3))[0], wanted)
    with torch.autocast("cpu", torch.bfloat16):
        assert gram(features).dtype == torch.float32


def test_eq_9_by_hand() -> None:
    made = {"a": torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 2, 1, 2).repeat(3, 1, 1, 1)}
    truth = {"a": torch.zeros(3, 2, 1, 2)}
    entries = (5 / 4, 11 / 4, 11 / 4, 25 / 4)
    squares = style_loss(made, truth, {"a": 0.5}).item()
    assert squares == pytest.approx(0.5 * sum(x * x for x in entries))
    assert style_loss(made, truth, {"a": 0.5}, "l1").item() == pytest.approx(0.5 * 13 / 4)


def test_eqs_10_and_11_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, 0.0, 3.0])
    assert hinge_d(real, fake).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 4) / 3)
    assert hinge_g(None, fake).item() == pytest.approx(-1 / 3)


def test_eq_12_and_eq_13_name_their_terms() -> None:
    real = l_real(torch.tensor(2.0), torch.tensor(-3.0))
    assert {name: value.item() for name, value in real.items()} == pytest.approx(
        {"real/style": 2.0, "real/adversarial": -3.0}
    )
    cons = l_cons(flat(0.5), flat(0.25), flat(0.75), flat(0.25), phi, WEIGHTS)
    assert {name: value.item() for name, value in cons.items()} == pytest.approx(
        {
            "cons/natural_pixel": 0.0625,
            "cons/natural_feature": 0.4375,
            "cons/face_pixel": 0.25,
            "cons/face_feature": 4 * 0.4375,
        }
    )


def test_the_natural_image_teaches_the_omega_of_the_face() -> None:
    omega_f, omega_n = torch.tensor(0.5).requires_grad_(), torch.tensor(0.7).requires_grad_()
    terms = l_cons(flat(1) * omega_f, flat(0), flat(1) * omega_n, flat(0), phi, WEIGHTS)
    (terms["cons/natural_pixel"] + terms["cons/natural_feature"]).backward()
    assert omega_f.grad is not None
    assert omega_n.grad is None


def test_eq_14_has_the_factors_of_the_equations_before_it() -> None:
    """λ_disen = 5, λ_mse = 1, λ_real = 0.1 and λ_cons = 2; 0.1 in eqs. 8 and 12."""
    terms = {name: torch.tensor(1.0) for name in PAPER_WEIGHTS}
    weighted = weigh(terms, PAPER_WEIGHTS)
    sums: dict[str, float] = {}
    for name, value in weighted.items():
        group = name.partition("/")[0]
        sums[group] = sums.get(group, 0) + value.item()
    eq_8 = 1 + 0.1
    wanted = {"disen": 5 * 3, "mse": eq_8, "real": 0.1 * (0.1 + 1), "cons": 2 * 2 * eq_8}
    assert sums == pytest.approx(wanted)


def test_what_weighs_nothing_is_left_out() -> None:
    terms = {"pixel": torch.tensor(2.0), "style": torch.tensor(math.nan)}
    assert weigh(terms, {"pixel": 3.0, "style": 0.0}) == {"pixel": torch.tensor(6.0)}


def test_a_term_without_a_weight_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"'real/style' has no weight \(there are: mse\)"):
        weigh({"real/style": torch.tensor(1.0)}, {"mse": 1.0})


def test_relative_attraction_is_the_share_of_the_variance_within_partners() -> None:
    rows = torch.Generator().manual_seed(0)
    degradation, content = (torch.randn(4000, 6, generator=rows) for _ in range(2))
    scale = torch.tensor([1e-2, 0.1, 1, 10, 100, 1.0])
    a, b = (scale * (degradation[:2000] + 0.5 * c) for c in content.split(2000))
    # Content has a quarter of the variance of the degradation: 0.25 / 1.25 of all.
    assert relative_attraction(a, b).item() == pytest.approx(0.2, rel=0.05)
    assert relative_attraction(a, a).item() == 0
    assert relative_attraction(100 * a, 100 * b).item() == pytest.approx(
        relative_attraction(a, b).item(), rel=1e-2
    )


def test_contrast_is_the_cross_entropy_of_finding_the_partner() -> None:
    a, b = torch.tensor([[0.0, 0], [2, 0]]), torch.tensor([[0.0, 1], [2, 1]])
    # From (0, 0): the partner at distance² 1, the others at 4 and 5; all rows are alike.
    expected = -math.log(math.exp(-2) / (math.exp(-2) + math.exp(-8) + math.exp(-10)))
    assert contrast(a, b).item() == pytest.approx(expected, rel=1e-3)
    assert contrast(a, b.flip(0)) > contrast(a, b)


def test_contrast_has_a_slope_where_all_omegas_are_equal() -> None:
    omega = torch.zeros(3, 4, requires_grad=True)
    contrast(omega, omega.detach() + 0).backward()
    assert omega.grad is not None
    assert omega.grad.isfinite().all()
