"""Recipes: what a training run is made of, read from TOML and checked key by key."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.chain import ChainDegrader, preset_table, read_degrader
from redeg_cli.degrade.chain import presets as degrader_presets
from redeg_cli.errors import RecipeError
from redeg_cli.validation import did_you_mean, explain, read_toml


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSource(_Strict):
    """A folder of HQ images and how often it is drawn from."""

    folder: Path
    weight: float = Field(1.0, gt=0)
    align_faces: bool = False
    """Detect the largest face and cut it out, aligned to the FFHQ template, before training."""
    face_size: int = Field(512, ge=64)


class _Recipe(_Strict):
    name: str
    """Name of the weights file that comes out."""
    config: dict[str, Any] = {}
    """Arguments of the network's class."""
    scales: list[Literal[1, 2, 4]] = Field([1, 2, 4], min_length=1)
    data: list[DataSource] = Field(min_length=1)
    validation: list[DataSource] = []
    batch: int = Field(16, ge=1)
    steps: int = Field(5000, ge=1)
    minutes: float | None = Field(None, gt=0)
    """Finish after this much wall-clock time at the latest, the learning rate annealed to it."""
    learning_rate: float = Field(5e-4, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    """What the learning rate does after its warm-up: half a cosine down to 1 %, or nothing."""
    warm_up: int = Field(100, ge=0)
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient."""
    ema: float = Field(0.999, ge=0, lt=1)
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    gray: float = Field(0.05, ge=0, le=1)
    """Share of the images that are turned gray."""
    degradation: dict[str, Any] = Field(default_factory=lambda: dict(preset_table("classical")))
    """What makes the LQs: the name of a degrader, a TOML file or its tables, of which the tables
    are kept. See ``degrade.chain``."""
    compile: bool = False
    """Compile the networks (torch.compile): a slow start, then faster steps."""
    channels_last: bool = True
    """Keep feature maps channels last, as tensor cores and most CPUs have them faster."""
    save_every: int = Field(250, ge=1)
    validate_every: int = Field(1000, ge=1)
    watched: str = ""
    """The figure of the validation that says how good the network is; more is better."""
    patience: int = Field(0, ge=0)
    """Validations in a row without a better ``watched`` after which the run ends; 0 for never."""

    @field_validator("degradation", mode="before")
    @classmethod
    def _read_degradation(cls, value: Any, info: ValidationInfo) -> dict[str, Any]:
        if not isinstance(value, str | Path | Mapping):
            raise RecipeError(
                "'degradation': expected the name of a degrader, a TOML file or tables with "
                f"steps, got {value!r}"
            )
        table, name = read_degrader(value)
        for scale in info.data.get("scales", ()):
            ChainDegrader(table, scale, "degradation" if isinstance(value, Mapping) else name)
        return dict(table)

    def degraders(self) -> dict[int, Degrader]:
        """Return what makes the LQs of each scale."""
        return {
            scale: ChainDegrader(self.degradation, scale, "degradation") for scale in self.scales
        }


class RestorerRecipe(_Recipe):
    """How to train a restorer on pairs made by handcrafted degradations."""

    kind: Literal["restorer"]
    architecture: Literal["f2n-compact", "f2n", "face-restorer", "spandrel"]
    """Of a new network, or of that of ``init``; spandrel takes whatever ``init`` holds."""
    crop: int = Field(48, ge=8)
    """Side of the native LQ crop in pixels."""
    crop_scales: tuple[float, float] = (0.5, 1.0)
    """HQ images are shrunk by a factor of this range before cropping (more scales of texture)."""
    pool: Path | None = None
    """Pool of Ωs that makes a part of the LQs through SynNet."""
    pool_share: float = Field(1.0, ge=0, le=1)
    """Which part of the LQs, where there is a pool."""
    redegnet: str | None = None
    """The ReDegNet that made the pool, if not the default one: a name or a file."""
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
    gradient_weight: float = Field(0.0, ge=0)
    """Weight of the L1 distance of image gradients."""
    perceptual_weight: float = Field(0.0, ge=0)
    """Weight of the L1 distance of features."""
    style_weight: float = Field(0.0, ge=0)
    """Weight of the L1 distance of the features' Gram matrices."""
    features: Literal["auto", "vgg19", "filters"] = "auto"
    """What both look at; auto is VGG-19 where its weights are, else filters."""
    vgg19: Path | None = None
    """Weights of VGG-19, if not in a known place."""
    adversarial_weight: float = Field(0.0, ge=0)
    """Weight of the generator's side of the adversarial loss."""
    adversarial: Literal["hinge", "vanilla", "least-squares", "relativistic"] = "vanilla"
    discriminator: Literal["unet", "patch"] = "unet"
    discriminator_width: int = Field(64, ge=4)
    init: str | None = None
    """Weights to start from: an embedded or imported model's name, or a file."""


class ReDegNetRecipe(_Recipe):
    """How to train DegNet and SynNet together."""

    kind: Literal["redegnet"]
    architecture: Literal["redegnet-lite"] = "redegnet-lite"
    watched: str = "transfer_psnr"
    transfer: int = Field(8, ge=0)
    """Pairs of each family on which a validation measures the transfer of Ω; 0 for none."""
    crop: int = Field(96, ge=32, multiple_of=32)
    """Side of the HQ crop in pixels."""
    crop_scales: tuple[float, float] = (0.5, 1.0)
    mean_weight: float = 1.0
    noise_weight: float = 0.1
    jpeg_weight: float = 0.05
    attraction_weight: float = 0.02


TERM_WEIGHTS = {
    **dict.fromkeys(("disen/attraction", "disen/repulsion", "disen/decay"), 5.0),
    **{"mse/pixel": 1.0, "mse/feature": 0.1},
    **{"real/style": 0.01, "real/adversarial": 0.1},
    **{"cons/natural_pixel": 2.0, "cons/natural_feature": 0.2},
    **{"cons/face_pixel": 2.0, "cons/face_feature": 0.2},
}
"""The λs of eq. 14 times the factors of eqs. 8 and 12 (ReDegNet, section 3.4), by the term."""


class PaperRecipe(_Recipe):
    """How to train DegNet and SynNet by the paper's losses; defaults are the paper's (ReDegNet,
    sections 3.4 and 4.1)."""

    kind: Literal["redegnet-paper"]
    architecture: Literal["redegnet"] = "redegnet"
    """The paper's networks. The lite ones make grain and JPEG that these losses do not train."""
    watched: str = "transfer_psnr"
    transfer: int = Field(8, ge=0)
    """Pairs of each family on which a validation measures the transfer of Ω; 0 for none."""
    batch: int = Field(12, ge=1)
    """Rows of each of the three kinds of pairs. The paper gives none: this is the release's."""
    learning_rate: float = Field(2e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    scales: list[Literal[1, 2, 4]] = Field([1], min_length=1)
    faces: list[DataSource] = []
    """HQ faces: what ``data`` is of natural images."""
    pairs: list[Path] = []
    """Real face pairs: folders that hold lq/ and hq/, or tables of two columns."""
    real_share: float = Field(1.0, ge=0, le=1)
    """Which part of the "real" LQs is real, where there are pairs; the rest is made by a record of
    its own, from an image of ``faces``, or from the HQ of a pair where there are none."""
    crop: int = Field(256, ge=64, multiple_of=64)
    """Side of the crops in pixels; DegNet enlarges smaller ones than 256."""
    crop_scales: tuple[float, float] = (0.5, 1.0)
    weights: dict[str, Annotated[float, Field(ge=0)]] = TERM_WEIGHTS
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
            if name not in TERM_WEIGHTS:
                raise RecipeError(
                    f"'weights': unknown loss term {name!r}{did_you_mean(name, TERM_WEIGHTS)}"
                )
        return {**TERM_WEIGHTS, **value}

    @model_validator(mode="after")
    def _check_faces(self) -> "PaperRecipe":
        if not self.faces and not self.pairs:
            raise RecipeError("'faces': give folders of HQ faces, or 'pairs' of real LQ/HQ faces")
        return self


Recipe = RestorerRecipe | ReDegNetRecipe | PaperRecipe
_T = TypeVar("_T", bound=_Recipe)


_SOURCES = ("data", "validation", "faces")
"""Keys that hold a list of DataSource."""


def presets() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in _preset_folder().glob("*.toml"))


def find_recipe(name_or_path: str | Path) -> tuple[Path, Path]:
    """Return the file of a recipe and the folder that its data folders are relative to.

    A preset's are relative to the working folder, a file's to the file. Raises RecipeError when
    there is neither such a preset nor such a file.
    """
    preset = _preset_folder() / f"{name_or_path}.toml"
    if str(name_or_path) in presets():
        return preset, Path()
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path, path.parent
    raise RecipeError(
        f"no recipe {name_or_path}{did_you_mean(name_or_path, presets())}: give a TOML file, "
        f"or one of {', '.join(presets())}"
    )


def redegnet_kind(path: Path) -> "type[ReDegNetRecipe | PaperRecipe]":
    """Return which of the two trainings of a ReDegNet a TOML recipe is for."""
    paper = read_toml(path).get("kind") == "redegnet-paper"
    return PaperRecipe if paper else ReDegNetRecipe


def _preset_folder() -> Path:
    return Path(__file__).parent / "presets"


def plain_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON values, its data folders absolute."""
    table = recipe.model_dump(mode="json")
    for key in _SOURCES:
        for source in table.get(key, ()):
            source["folder"] = os.path.abspath(source["folder"])
    if "pairs" in table:
        table["pairs"] = [os.path.abspath(folder) for folder in table["pairs"]]
    return table


def load_recipe(
    path: Path, kind: type[_T], overrides: Sequence[str] = (), base: Path | None = None
) -> _T:
    """Read a TOML recipe and apply ``key=value`` overrides (dots reach into tables and lists).

    Folders, and a file that ``degradation`` names, are relative to ``base``, by default the folder
    of the recipe file; those of overrides to the working folder. Raises RecipeError that names the
    key that is unknown, missing or wrong, and the nearest known one.
    """
    table = read_toml(path)
    base = path.parent if base is None else base
    for key in _SOURCES:
        sources = table.get(key)
        for source in sources if isinstance(sources, list) else []:
            if isinstance(source, dict) and isinstance(source.get("folder"), str):
                source["folder"] = str(base / Path(source["folder"]).expanduser())
    for key in ("pool", "vgg19"):
        if isinstance(table.get(key), str):
            table[key] = str(base / Path(table[key]).expanduser())
    if isinstance(pairs := table.get("pairs"), list):
        table["pairs"] = [
            str(base / Path(each).expanduser()) if isinstance(each, str) else each for each in pairs
        ]
    degrader = table.get("degradation")
    if isinstance(degrader, str) and degrader not in degrader_presets():
        file = base / Path(degrader).expanduser()
        # What is neither a file nor named like one is told as a misspelt preset.
        if file.suffix == ".toml" or file.is_file():
            table["degradation"] = str(file)
    for override in overrides:
        _override(table, override)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        reason = explain(error, kind, DataSource.model_fields)
    except RecipeError as error:
        reason = str(error)
    raise RecipeError(f"recipe {path}: {reason}")


def _override(table: dict[str, Any], text: str) -> None:
    key, separator, raw = text.partition("=")
    if not separator:
        raise RecipeError(f"--set {text!r}: expected key=value")
    try:
        value = json.loads(raw)
    except json.JSONDecodeError:
        value = raw
    *parents, last = key.strip().split(".")
    place: Any = table
    for parent in parents:
        if isinstance(place, list):
            place = place[_index(place, parent, text)]
        else:
            place = place.setdefault(parent, {})
        if not isinstance(place, dict | list):
            raise RecipeError(f"--set {text!r}: {parent} is not a table")
    if isinstance(place, list):
        place[_index(place, last, text)] = value
    else:
        place[last] = value


def _index(place: list[Any], key: str, text: str) -> int:
    if not key.isdecimal() or int(key) >= len(place):
        raise RecipeError(
            f"--set {text!r}: {key!r} is no place in a list of {len(place)}, counted from 0"
        )
    return int(key)
