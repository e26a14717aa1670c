"""Recipes: what a training run is made of, checked key by key. ``recipe_files`` reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.kernel_noise import KernelNoiseDegrader
from redeg_cli.degrade.kernel_pool import load_kernel_pool
from redeg_cli.degrade.noise_pool import load_noise_pool
from redeg_cli.errors import InputError, RecipeError
from redeg_cli.train.losses import PAPER_WEIGHTS
from redeg_cli.train.recipe_base import (
    Beta,
    DataSources,
    HqRecipe,
    Optimised,
    Run,
    Shrink,
    Zoom,
)
from redeg_cli.validation import did_you_mean


class RestorerRecipe(HqRecipe):
    """How to train a restorer on pairs that degraders make, or that are given."""

    known_scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    kind: Literal["restorer"]
    data: DataSources = Field([])
    """Needed unless all pairs are given."""
    architecture: Literal["f2n-compact", "f2n", "vdsr", "rcan", "face-restorer", "spandrel"]
    """Of a new network, or of that of ``init``; spandrel takes whatever ``init`` holds."""
    crop: int = Field(48, ge=8)
    """Side of the native LQ crop in pixels."""
    crop_scales: Shrink = (0.5, 1.0)
    """HQ images are shrunk by a factor of this range before cropping (more scales of texture)."""
    warp: float = Field(0.0, ge=0, le=0.1)
    """How far places move in half of the HQ images (``train.data.warped``): other shapes."""
    pairs: list[Path] = Field([])
    """Folders of ready pairs, native LQs at the largest scale: real ones, or LQs with what a larger
    network made of them. RealSR's layout, or hr/ and lr/."""
    pairs_share: float = Field(1.0, gt=0, le=1)
    """Which part of the pairs they are, where there are any; the others are made from ``data``."""
    max_shift: float = Field(0.5, gt=0)
    """HQ pixels by which an LQ of ``pairs`` may be shifted against its HQ."""
    kernels: Path | None = None
    """Pool of blur kernels of real LR images; with ``noise`` in the place of ``degradation``."""
    noise: Path | None = None
    """Pool of noise of real LR images."""
    jpeg: Annotated[int, Field(ge=1, le=100)] | Literal["auto", "none"] = "auto"
    """How those are compressed: each as one of the real images was, or by a quality in nine of
    ten."""
    pool: Path | None = None
    """Pool of Ωs that makes a part of the LQs through SynNet."""
    pool_share: float = Field(1.0, ge=0, le=1)
    """Which part of the LQs, where there is a pool."""
    redegnet: str | None = None
    """The ReDegNet that made the pool, if not the default one: a name or a file."""
    dml: Path | None = None
    """A model of `redeg train dml` that makes the LQs in the place of ``degradation``."""
    dml_noise: float = Field(5.0, ge=0, le=255)
    """Standard deviation, of 255, of the noise on its LQs."""
    lq_noise: float = Field(0.0, ge=0, le=1)
    """Share of the LQs that get noise at last, so that SynNet hides nothing in them."""
    lq_noise_sigma: float = Field(0.1, ge=0, le=1)
    """Largest standard deviation of that noise; uniform from 0."""
    queue: int = Field(0, ge=0)
    """Pairs of each scale that are kept to be mixed into later batches; 0 for none."""
    usm_targets: bool = False
    """Compare with a sharpened HQ; the discriminator still sees the HQ itself."""
    pixel_weight: float = Field(1.0, ge=0)
    """Weight of the L1 distance of pixels."""
    psnr_weight: float = Field(0.0, ge=0)
    """Weight of each image's PSNR (``psnr_loss``): 0.05 moves weights about as the L1 does."""
    gradient_weight: float = Field(0.0, ge=0)
    """Weight of the L1 distance of image gradients."""
    perceptual_weight: float = Field(0.0, ge=0)
    """Weight of the L1 distance of features."""
    style_weight: float = Field(0.0, ge=0)
    """Weight of the L1 distance of the features' Gram matrices."""
    energy_weight: float = Field(0.0, ge=0)
    """Weight of the distance of the features' energies around each place (``local_energy``)."""
    lattice_weight: float = Field(0.0, ge=0)
    """Weight of patterns that repeat with the native grid, or coarser ones (``lattice``)."""
    lpips_weight: float = Field(0.0, ge=0)
    """Weight of LPIPS (AlexNet), which needs its weights."""
    lpips: Literal["alexnet", "auto"] = "alexnet"
    """auto is LPIPS where the weights of AlexNet are, else the same distance of fixed filters."""
    alexnet: Path | None = None
    """Weights of AlexNet, if not in a known place."""
    features: Literal["auto", "vgg19", "filters"] = "auto"
    """What both look at; auto is VGG-19 where its weights are, else filters."""
    vgg19: Path | None = None
    """Weights of VGG-19, if not in a known place."""
    adversarial_weight: float = Field(0.0, ge=0)
    """Weight of the generator's side of the adversarial loss."""
    adversarial: Literal["hinge", "vanilla", "least-squares", "relativistic"] = "vanilla"
    discriminator: Literal["unet", "patch"] = "unet"
    discriminator_width: int = Field(64, ge=4)
    discriminator_norm: Literal["spectral", "instance"] = "spectral"
    """What is normalised: the discriminator's weights or, in a patch discriminator alone, the
    features of each image."""
    discriminator_rate: float | None = Field(None, gt=0)
    """The discriminator's learning rate, by Adam; if not given, it is optimised as the restorer is.
    (Of its own: Heusel et al. 2017, "GANs trained by a two time-scale update rule".)"""

    @model_validator(mode="before")
    @classmethod
    def _tell_vdsr_its_scales(cls, table: Any) -> Any:
        """VDSR could restore at any scale: its weights say at which it was trained."""
        if not isinstance(table, Mapping) or table.get("architecture") != "vdsr":
            return table
        config, scales = table.get("config", {}), table.get("scales")
        if not isinstance(config, Mapping) or scales is None or "scales" in config:
            return table
        return {**table, "config": {**config, "scales": scales}}

    @model_validator(mode="after")
    def _check_parts(self) -> "RestorerRecipe":
        if (self.kernels is None) != (self.noise is None):
            missing = "noise" if self.noise is None else "kernels"
            raise RecipeError(f"'{missing}': pools of kernels and of noise belong together")
        if self.kernels and self.dml:
            raise RecipeError("'dml': the pools of kernels and noise make the LQs already")
        if not self.data and not (self.pairs and self.pairs_share == 1):
            raise RecipeError("'data': give folders of HQ images, or 'pairs' that are ready")
        weights = (
            *(self.pixel_weight, self.psnr_weight, self.gradient_weight, self.perceptual_weight),
            *(self.style_weight, self.energy_weight, self.lattice_weight, self.lpips_weight),
            self.adversarial_weight,
        )
        if not any(weights):
            raise RecipeError("'pixel_weight': no loss has a weight")
        if self.discriminator_norm == "instance" and self.discriminator != "patch":
            raise RecipeError("'discriminator_norm': only a patch discriminator can have instance")
        return self

    @property
    def by_network(self) -> bool:
        """Whether a network makes LQs: on its own device then, not in other processes."""
        return self.pool is not None or self.dml is not None

    def degraders(self) -> dict[int, Degrader]:
        """Return what makes the LQs of each scale. Raises InputError for pools of another one."""
        if self.kernels is None or self.noise is None:
            return super().degraders()
        kernels, noise = load_kernel_pool(self.kernels), load_noise_pool(self.noise)
        try:
            return {
                scale: KernelNoiseDegrader(kernels, noise, scale, self.jpeg)
                for scale in self.scales
            }
        except InputError as error:
            raise InputError(f"{self.kernels}: {error}") from None


class ReDegNetRecipe(HqRecipe):
    """How to train DegNet and SynNet together."""

    kind: Literal["redegnet"]
    architecture: Literal["redegnet-lite"] = "redegnet-lite"
    watched: str = "transfer_psnr"
    transfer: int = Field(8, ge=0)
    """Pairs of each family on which a validation measures the transfer of Ω; 0 for none."""
    crop: int = Field(96, ge=32, multiple_of=32)
    """Side of the HQ crop in pixels."""
    crop_scales: Shrink = (0.5, 1.0)
    mean_weight: float = 1.0
    noise_weight: float = 0.1
    jpeg_weight: float = 0.05
    attraction_weight: float = 0.05
    """Of the difference of partners' Ωs as a share of the spread of all."""
    contrast_weight: float = 0.02
    """Of telling a partner's Ω from those of other records."""
    pseudo_share: float = Field(0.0, ge=0, le=1)
    """Share of the images of which DegNet sees not the HQ but what a face restorer makes of the LQ:
    of a real photo's face there is no other. Those that were faded keep their HQ."""
    pseudo_restorer: str = "face-restorer"
    """That restorer, a name or a file."""
    pseudo_zoom: Zoom = (1.0, 1.0)
    """From how much to how much the LQ is enlarged for that restorer, log-uniformly by step: a
    photo's small faces are, and what is made of them is shrunk again."""
    omega_rank: int = Field(0, ge=0, le=512)
    """At the end Ω is kept to this many directions, less the one that tells the images of the last
    source from those of the first (``omega.content``); 0 leaves it as it is."""
    frozen: Literal["", "degnet", "synnet"] = ""
    """The network of the two that keeps the weights of ``init``: if it is DegNet, Ω stays what it
    is."""

    @model_validator(mode="after")
    def _check_frozen(self) -> "ReDegNetRecipe":
        if self.frozen and self.init is None:
            raise RecipeError("'frozen': give the weights to keep as 'init'")
        if self.frozen and self.omega_rank:
            raise RecipeError("'frozen': an 'omega_rank' changes both networks, set it to 0")
        if 0 < self.omega_rank <= len(set(self.scales)):
            raise RecipeError(
                f"'omega_rank': one direction for each scale tells of content, so more than "
                f"{len(set(self.scales))} are wanted, got {self.omega_rank}"
            )
        return self


class PaperRecipe(HqRecipe):
    """How to train DegNet and SynNet by the paper's losses; defaults are the paper's (ReDegNet,
    sections 3.4 and 4.1) but for the average of the weights, the warm-up and the batch."""

    kind: Literal["redegnet-paper"]
    architecture: Literal["redegnet"] = "redegnet"
    """The paper's networks. The lite ones make grain and JPEG that these losses do not train."""
    watched: str = "transfer_psnr"
    transfer: int = Field(8, ge=0)
    """Pairs of each family on which a validation measures the transfer of Ω; 0 for none."""
    batch: int = Field(12, ge=1)
    """Rows of each of the three kinds of pairs. The paper gives none: this is the release's."""
    learning_rate: float = Field(2e-4, gt=0)
    betas: tuple[Beta, Beta] = (0.5, 0.999)
    clip: float = Field(1e9, gt=0)
    """None: DegNet's gradient is far larger at first (2794, SynNet's 0.2 in the first step), and
    one norm for both would leave SynNet next to nothing."""
    scales: list[Literal[1, 2, 3, 4]] = Field([1], min_length=1)
    faces: DataSources = Field([])
    """HQ faces: what ``data`` is of natural images."""
    pairs: list[Path] = Field([])
    """Real face pairs: folders that hold lq/ and hq/, or tables of two columns."""
    real_share: float = Field(1.0, ge=0, le=1)
    """Which part of the "real" LQs is real, where there are pairs; the rest is made by a record of
    its own, from an image of ``faces``, or from the HQ of a pair where there are none."""
    crop: int = Field(256, ge=64, multiple_of=64)
    """Side of the crops in pixels; DegNet enlarges smaller ones than 256."""
    crop_scales: Shrink = (0.5, 1.0)
    weights: dict[str, Annotated[float, Field(ge=0)]] = PAPER_WEIGHTS
    """Of each loss term by name; what is left out weighs as in the paper. Without a weight of
    real/adversarial there is no discriminator."""
    distance: Literal["squared", "l1"] = "squared"
    """How pixels, features, Grams and Ωs are compared."""
    swap: float = Field(1.0, ge=0, le=1)
    """Share of the steps in which face and natural image are made with each other's Ω (eq. 13);
    in the others each has its own."""
    disentangle: bool = True
    """L_disen (eq. 7); without it this is Ours (−D) of section 4.5."""
    paired: bool = True
    """Without, this is Ours (U) of section 4.5: DegNet sees LQs alone."""
    features: Literal["auto", "vgg19", "filters"] = "auto"
    """What mse/feature, real/style and cons look at; auto is VGG-19 where its weights are, else
    filters."""
    feature_layers: Literal["paper", "released"] = "paper"
    """Whose layers of VGG-19, and their weights."""
    vgg19: Path | None = None
    """Weights of VGG-19, if not in a known place."""
    discriminator_widths: list[int] | None = Field(None, min_length=1)
    """Channels of the discriminator's convolutions, if not its own."""

    @field_validator("weights", mode="before")
    @classmethod
    def _complete_weights(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        for name in value:
            if name not in PAPER_WEIGHTS:
                raise RecipeError(
                    f"'weights': unknown loss term {name!r}{did_you_mean(name, PAPER_WEIGHTS)}"
                )
        return {**PAPER_WEIGHTS, **value}

    @model_validator(mode="after")
    def _check_faces(self) -> "PaperRecipe":
        if not any(self.weights.values()):
            raise RecipeError("'weights': no loss has one")
        if not self.faces and not self.pairs:
            raise RecipeError("'faces': give folders of HQ faces, or 'pairs' of real LQ/HQ faces")
        return self


class JointRecipe(Run):
    """How to train a ReDegNet and a restorer at once, as the release does: each step the restorer
    is given LQs that SynNet makes, as it is by then, with the Ωs of that step's pairs."""

    kind: Literal["joint"]
    redegnet: Annotated[ReDegNetRecipe | PaperRecipe, Field(discriminator="kind")]
    restorer: RestorerRecipe
    """Its ``pool_share`` is the part of its LQs that SynNet makes."""

    @model_validator(mode="before")
    @classmethod
    def _share_the_run(cls, table: Any) -> Any:
        """Let both sides have what is the joint run's own, so that their schedules agree."""
        if not isinstance(table, Mapping):
            return table
        own = {key: table[key] for key in _OF_BOTH if key in table}
        sides = {
            side: {**table[side], **own}
            for side in ("redegnet", "restorer")
            if isinstance(table.get(side), Mapping)
        }
        return {**table, **sides}

    @model_validator(mode="after")
    def _check_sides(self) -> "JointRecipe":
        if self.restorer.pool is not None:
            raise RecipeError("'restorer.pool': a joint run has its Ωs from its own pairs")
        if not self.watched and "plateau" in (self.redegnet.schedule, self.restorer.schedule):
            raise RecipeError("'watched': schedule plateau needs a figure of the joint validation")
        several, own = self.redegnet.scales, self.restorer.scales
        if len(set(several)) > 1 and several != own:
            raise RecipeError(
                f"'restorer.scales': {own}, those of redegnet are {several}: of several scales "
                "both sides take the same one in a step, so give both the same list"
            )
        if len({self.name, self.redegnet.name, self.restorer.name}) < 3:
            raise RecipeError(
                "'name': the joint run, redegnet and restorer need names of their own"
            )
        return self


class DmlRecipe(Optimised):
    """How to learn a degradation from registered pairs; defaults are the paper's (Xiao et al. 2020,
    section 4.2) but for ``ema`` and ``clip``."""

    kind: Literal["dml"]
    architecture: Literal["dml", "direct-net", "direct-kpn"] = "dml"
    scale: Literal[2, 3, 4] = 4
    pairs: list[Path] = Field(min_length=1)
    """Folders of registered pairs: RealSR's layout, or hr/ and lr/."""
    held_out: list[Path] = Field([])
    """Such folders for the validation."""
    max_shift: float = Field(0.5, gt=0)
    """HQ pixels by which an LQ may be shifted against its HQ."""
    crop: int = Field(192, ge=32)
    """Side of the HQ crop in pixels."""
    batch: int = Field(16, ge=1)
    steps: int = Field(100_000, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    schedule: Literal["cosine", "constant", "step", "plateau"] = "constant"
    warm_up: int = Field(0, ge=0)
    betas: tuple[Beta, Beta] = (0.9, 0.999)

    @model_validator(mode="after")
    def _check_pairs(self) -> "DmlRecipe":
        for key in ("scale", "grid"):
            if key in self.config:
                told = "set 'scale' of the recipe" if key == "scale" else "the pairs decide it"
                raise RecipeError(f"'config.{key}': {told}")
        if self.crop % self.scale:
            raise RecipeError(f"'crop': {self.crop} is no multiple of the scale {self.scale}")
        if (self.schedule == "plateau" or self.patience) and not self.held_out:
            raise RecipeError("'held_out': schedule plateau and patience go by its figures")
        return self


_OF_BOTH = ("steps", "minutes", "seed", "precision", "compile", "channels_last")

Recipe = RestorerRecipe | ReDegNetRecipe | PaperRecipe | DmlRecipe
"""Of one network."""
AnyRecipe = Recipe | JointRecipe


def parts_of(recipe: AnyRecipe) -> tuple[Recipe, ...]:
    """Return the recipes of the networks that are trained: of a joint one, ReDegNet's first."""
    return (recipe.redegnet, recipe.restorer) if recipe.kind == "joint" else (recipe,)
