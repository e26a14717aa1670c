"""The losses of ReDegNet in the paper's order (section 3.4, eqs. 7 to 14), then the lite networks'.

Symbols: Ω_f^Rea, Ω_f^Syn and Ω_n^Syn (B, 512) are DegNet's of real face pairs, synthetic face pairs
and synthetic natural pairs (eqs. 4 to 6); the last two share their degradation row by row. Î is
what SynNet made, I the LQ it should be, both (B, 3, H, W) in [0, 1]; Φ_i (B, C_i, H_i, W_i) are the
layers of a feature extractor (``train.features``), by name.

Every loss is a scalar, every sum of losses a dict of its named terms: "disen/attraction" is the
term attraction of L_disen. Terms are plain: what they weigh, the factors within eqs. 7, 8 and 12
too, stands in one table at eq. 14 (``PAPER_WEIGHTS``). The loop sums them last. The release trains
with other distances (L1) than the paper (squared): ``distance`` chooses.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from redeg_cli.errors import RecipeError

Terms = dict[str, Tensor]
"""Scalar loss terms by name."""

Features = Mapping[str, Tensor]
"""Feature maps Φ_i (B, C_i, H_i, W_i) by the layer's name."""

Extractor = Callable[[Tensor], Features]
"""Images (B, 3, H, W) in [0, 1] -> Φ."""

Distance = Literal["squared", "l1"]


# Eq. 7: L_disen = ||Ω_f^Syn − Ω_n^Syn||² + λ / (||Ω_f^Syn − Ω_f^Rea||² + ε) + ½ ||Θ_Deg||²


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return ||a − b||²₂ (B,) of Ωs (B, 512): the sum over the 512 numbers.

    A sum since eq. 7 writes the norm of the vector, without the 1/N that eqs. 8 and 9 do write.
    """
    return (a - b).square().sum(dim=1)


def mean_l1_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean |a − b| (B,) over the 512 numbers of Ωs: the release's distance."""
    return (a - b).abs().mean(dim=1)


def attraction(omega_f_syn: Tensor, omega_n_syn: Tensor) -> Tensor:
    """Eq. 7, first term: ||Ω_f^Syn − Ω_n^Syn||²₂, mean over the batch."""
    return squared_distance(omega_f_syn, omega_n_syn).mean()


def repulsion(omega_f_syn: Tensor, omega_f_rea: Tensor, epsilon: float = 1e-2) -> Tensor:
    """Eq. 7, second term: 1 / (||Ω_f^Syn − Ω_f^Rea||²₂ + ε), mean over the batch.

    The paper gives no value for λ and ε. The term is at most 1/ε and its slope along the distance
    at most 0.65 ε^−1.5: with this ε 100 and 650, so that Ωs that start out alike do not throw the
    network far away.
    """
    return (1 / (squared_distance(omega_f_syn, omega_f_rea) + epsilon)).mean()


def attraction_l1(omega_f_syn: Tensor, omega_n_syn: Tensor) -> Tensor:
    """Return the release's attraction, mean |Ω_f^Syn − Ω_n^Syn|; it weighs 100 there."""
    return mean_l1_distance(omega_f_syn, omega_n_syn).mean()


def repulsion_l1(omega_f_syn: Tensor, omega_f_rea: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Return the release's repulsion ("contrastive"), 1 / (mean |Ω_f^Syn − Ω_f^Rea| + ε).

    It divides by the mean over the batch, not each row by its own. The release writes it as
    4 / (10 L1 + 1e-7): the same, weighing 0.4.
    """
    return 1 / (mean_l1_distance(omega_f_syn, omega_f_rea).mean() + epsilon)


def weight_decay(theta_deg: Iterable[Tensor]) -> Tensor:
    """Eq. 7, third term: ½ ||Θ_Deg||²₂, the sum over all numbers of DegNet's parameters.

    Spectral-normalised weights act by their direction only, which it turns all the same where the
    steps are Adam's: those do not follow its size. The release has no such term.
    """
    return 0.5 * torch.stack([theta.square().sum() for theta in theta_deg]).sum()


def l_disen(
    omega_f_syn: Tensor,
    omega_n_syn: Tensor,
    omega_f_rea: Tensor,
    theta_deg: Iterable[Tensor] = (),
    *,
    distance: Distance = "squared",
) -> Terms:
    """Eq. 7: the disentanglement loss, without its third term where no ``theta_deg`` is given."""
    attract, repel = {
        "squared": (attraction, repulsion),
        "l1": (attraction_l1, repulsion_l1),
    }[distance]
    terms = {
        "disen/attraction": attract(omega_f_syn, omega_n_syn),
        "disen/repulsion": repel(omega_f_syn, omega_f_rea),
    }
    if parameters := list(theta_deg):
        terms["disen/decay"] = weight_decay(parameters)
    return terms


# Eq. 8: ℓ_mse(Î, I) = 1/(CHW) ||Î − I||² + 0.1 Σ_i w_i/(C_i H_i W_i) ||Φ_i(Î) − Φ_i(I)||²


def pixel_mse(made: Tensor, truth: Tensor) -> Tensor:
    """Eq. 8, first term: 1/(CHW) ||Î − I||², mean over the batch (B, C, H, W)."""
    return (made - truth).square().mean()


def pixel_l1(made: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of two batches (B, C, H, W); the release's pixel term."""
    return (made - truth).abs().mean()


_PIXEL = {"squared": pixel_mse, "l1": pixel_l1}


def feature_loss(
    phi_made: Features,
    phi_truth: Features,
    weights: Mapping[str, float],
    distance: Distance = "squared",
) -> Tensor:
    """Eq. 8, second term without its 0.1: Σ_i w_i/(C_i H_i W_i) ||Φ_i(Î) − Φ_i(I)||².

    Mean over the batch. ``weights`` are the w_i by layer, 1 each in the paper. With "l1" absolute
    differences in place of squares.
    """
    compare = _PIXEL[distance]
    # In float32: under autocast the features come in 16 bits.
    return _sum(
        weight * compare(phi_made[layer].float(), phi_truth[layer].float())
        for layer, weight in weights.items()
    )


def l_mse(
    made: Tensor,
    truth: Tensor,
    phi: Extractor,
    weights: Mapping[str, float],
    *,
    distance: Distance = "squared",
) -> Terms:
    """Eq. 8: pixels and features of Î and I, the features without their 0.1."""
    return {
        "mse/pixel": _PIXEL[distance](made, truth),
        "mse/feature": feature_loss(phi(made), phi(truth), weights, distance),
    }


# Eq. 9: L_style = Σ_i 1/(C_i H_i W_i) ||Φ_i(Î)ᵀ Φ_i(Î) − Φ_i(I)ᵀ Φ_i(I)||²


def gram(phi: Tensor) -> Tensor:
    """Return ΦᵀΦ / (CHW), (B, C, C) in float32, of features (B, C, H, W), Φ taken as (HW, C)."""
    channels, height, width = phi.shape[1:]
    with torch.autocast(phi.device.type, enabled=False):  # sums of HW products: not in 16 bits
        columns = phi.float().flatten(2)
        return columns @ columns.transpose(1, 2) / (channels * height * width)


def style_loss(
    phi_made: Features,
    phi_truth: Features,
    weights: Mapping[str, float],
    distance: Distance = "squared",
) -> Tensor:
    """Eq. 9: Σ_i w_i ||G_i(Î) − G_i(I)||² of the Gram matrices, mean over the batch; w_i = 1 there.

    The 1/(CHW) stands inside the norm, on each Gram matrix, as in the release and in arXiv
    1603.08155 (eqs. 3 and 4): outside it, as eq. 9 is printed, the loss would grow with the area
    of the image. Squares are summed over the C·C entries; with "l1" absolute differences are
    averaged over them, as in the release, where the term weighs 53.3.
    """
    losses = []
    for layer, weight in weights.items():
        error = gram(phi_made[layer]) - gram(phi_truth[layer])
        compared = error.square().sum((1, 2)) if distance == "squared" else error.abs()
        losses.append(weight * compared.mean())
    return _sum(losses)


def hinge_d(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Eq. 10: −E[min(0, −1 + D(I, …))] − E[min(0, −1 − D(Î, …))]; logits of any shape."""
    zero = real_logits.new_zeros(())
    return (
        -torch.minimum(zero, -1 + real_logits).mean() - torch.minimum(zero, -1 - fake_logits).mean()
    )


def hinge_g(_real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """Eq. 11: −E[D(Î, …)]. The first argument is that of the family in ``train.adversarial``."""
    return -fake_logits.mean()


def l_real(style: Tensor, adversarial: Tensor) -> Terms:
    """Eq. 12: L_style and L_G (eqs. 9 and 11), the style without its 0.1."""
    return {"real/style": style, "real/adversarial": adversarial}


def l_cons(
    made_n: Tensor,
    lq_n: Tensor,
    made_f: Tensor,
    lq_f: Tensor,
    phi: Extractor,
    weights: Mapping[str, float],
    *,
    distance: Distance = "squared",
) -> Terms:
    """Eq. 13: ℓ_mse of natural and of face images, each made with the Ω of the other.

    ``made_n`` = F_Syn(I_n^H, Ω_f^Syn), ``made_f`` = F_Syn(I_f^PseH, Ω_n^Syn); ``lq_n`` = I_n^SynL
    and ``lq_f`` = I_f^SynL are what they should be.
    """
    pairs = {"natural": (made_n, lq_n), "face": (made_f, lq_f)}
    return {
        name.replace("mse/", f"cons/{kind}_"): value
        for kind, pair in pairs.items()
        for name, value in l_mse(*pair, phi, weights, distance=distance).items()
    }


# Eq. 14: λ_disen L_disen + λ_mse L_mse + λ_real L_real + λ_cons L_cons

PAPER_WEIGHTS = {
    # λ_disen; λ of eq. 7, which has no value in the paper, is 1
    **{"disen/attraction": 5.0, "disen/repulsion": 5.0, "disen/decay": 5.0},
    # λ_mse; with the 0.1 of eq. 8
    **{"mse/pixel": 1.0, "mse/feature": 0.1},
    # λ_real; with the 0.1 of eq. 12
    **{"real/style": 0.01, "real/adversarial": 0.1},
    # λ_cons; with the 0.1 of eq. 8
    **{"cons/natural_pixel": 2.0, "cons/natural_feature": 0.2},
    **{"cons/face_pixel": 2.0, "cons/face_feature": 0.2},
}
"""What each term weighs in the paper (section 3.4)."""


def weigh(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Terms:
    """Return the weighted terms of eq. 14, or of any other sum, by name.

    Terms that weigh 0 are left out. Raises RecipeError for a term without a weight.
    """
    weighted = {}
    for name, value in terms.items():
        weight = weights.get(name)
        if weight is None:
            there = ", ".join(weights) or "none"
            raise RecipeError(f"the loss term {name!r} has no weight (there are: {there})")
        if weight:
            weighted[name] = weight * value
    return weighted


def relative_attraction(omega_a: Tensor, omega_b: Tensor) -> Tensor:
    """Return which share of the variance of Ω is due to content, mean over the 512 numbers.

    Rows of both (B, 512) share a degradation. Eq. 7's attraction, number by number in units of the
    spread over all rows: there content cannot hide in a number that varies little, nor can all
    shrink. 0 when partners agree, 1 when they are no nearer than any two.
    """
    apart = (omega_a - omega_b).square().mean(dim=0) / 2
    spread = torch.cat([omega_a, omega_b]).var(dim=0)
    return (apart / (spread + 1e-6)).mean()


def contrast(omega_a: Tensor, omega_b: Tensor, temperature: float = 0.5) -> Tensor:
    """Return the cross-entropy of finding the partner of each row among all of the others.

    Rows of both (B, 512) share a degradation; the logits are -||a − b||² / ``temperature``
    (InfoNCE: van den Oord et al. 2018, eq. 4, with distances, by which Ωs are compared here).
    """
    omega = torch.cat([omega_a, omega_b])
    count = omega.shape[0]
    # Not torch.cdist: its gradient at distance 0 is not finite.
    logits = -(omega[:, None] - omega).square().sum(dim=2) / temperature
    logits = logits.masked_fill(torch.eye(count, dtype=torch.bool, device=omega.device), -1e9)
    partner = torch.arange(count, device=omega.device).roll(count // 2)
    return torch.nn.functional.cross_entropy(logits, partner)


def jpeg_parameters_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Distance of predicted and recorded JPEG stages, both (B, stages, 3).

    ``logits`` as in ``Synthesis.jpeg``; ``truth`` holds (is there one, (quality - 50) / 25,
    4:2:0). Quality and chroma count only where there is a stage.
    """
    there = truth[..., 0]
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    gate = cross_entropy(logits[..., 0], there)
    count = there.sum().clamp(min=1)
    quality = ((logits[..., 1] - truth[..., 1]).abs() * there).sum() / count
    chroma = cross_entropy(logits[..., 2], truth[..., 2], reduction="none")
    return gate + quality + 0.2 * (chroma * there).sum() / count


def mean_psnr(made: Tensor, truth: Tensor, floor: float = 1e-10) -> float:
    """Mean over the batch of the PSNR in dB, ``made`` clamped to [0, 1].

    ``floor`` is the least mean square counted: 1e-6 caps what is equal at 60 dB.
    """
    error = (made.clamp(0, 1) - truth).square().mean((1, 2, 3)).clamp(min=floor)
    return float((-10 * error.log10()).mean())


def _sum(scalars: Iterable[Tensor]) -> Tensor:
    return sum(scalars, start=torch.zeros(()))
