"""Recipes: what a training run is made of, read from TOML and checked key by key."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.chain import ChainDegrader, preset_table, read_degrader
from redeg_cli.degrade.chain import presets as degrader_presets
from redeg_cli.errors import RecipeError
from redeg_cli.io.files import write_json
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
    save_every: int = Field(250, ge=1)
    validate_every: int = Field(1000, ge=1)

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
    architecture: Literal["f2n-compact", "f2n", "face-restorer"]
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
    crop: int = Field(96, ge=32, multiple_of=32)
    """Side of the HQ crop in pixels."""
    crop_scales: tuple[float, float] = (0.5, 1.0)
    mean_weight: float = 1.0
    noise_weight: float = 0.1
    jpeg_weight: float = 0.05
    attraction_weight: float = 0.02


Recipe = RestorerRecipe | ReDegNetRecipe
_T = TypeVar("_T", bound=_Recipe)


# A run may be carried on with another of these: they change how long and how fast, not what.
_FREE = (
    *("steps", "minutes", "learning_rate", "save_every", "validate_every"),
    *("degradation.description", "degradation.source"),
)


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


def _preset_folder() -> Path:
    return Path(__file__).parent / "presets"


def settle_recipe(folder: Path, recipe: "RestorerRecipe | ReDegNetRecipe") -> Path:
    """Write the recipe to ``folder/recipe.json`` and return that path.

    Raises RecipeError when the folder holds the state of a run by another recipe: only steps,
    minutes, learning_rate, save_every and validate_every may change when a run is carried on.
    """
    path = folder / "recipe.json"
    if (folder / "state.pt").exists():
        for key, before, now in _differences(
            _read_settled(path, type(recipe)), plain_recipe(recipe)
        ):
            if key not in _FREE:
                raise RecipeError(
                    f"{folder} holds a run with {key} = {_brief(before)}, now it is "
                    f"{_brief(now)}: give another folder with -o, or remove {folder / 'state.pt'}"
                )
    write_json(path, plain_recipe(recipe))
    return path


def plain_recipe(recipe: "RestorerRecipe | ReDegNetRecipe") -> dict[str, Any]:
    """Return a recipe as JSON values, its data folders absolute."""
    table = recipe.model_dump(mode="json")
    for source in (*table["data"], *table["validation"]):
        source["folder"] = os.path.abspath(source["folder"])
    return table


def _read_settled(path: Path, kind: "type[RestorerRecipe | ReDegNetRecipe]") -> "dict[str, Any]":
    try:
        return plain_recipe(kind.model_validate_json(path.read_bytes()))
    except FileNotFoundError:
        reason = "is missing"
    except ValidationError as error:
        reason = explain(error, kind, DataSource.model_fields)
    except RecipeError as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    raise RecipeError(
        f"{path.parent} holds a run, but its recipe cannot be compared ({path.name}: {reason}): "
        "give another folder with -o"
    )


def _differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield where two values differ: the key, as in ``--set``, and both values there."""
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(name, before.get(name), now.get(name)) for name in sorted({*before, *now})]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(str(i), before[i], now[i]) for i in range(len(now))]
    else:
        if before != now:
            yield key, before, now
        return
    for name, old, new in pairs:
        yield from _differences(old, new, f"{key}.{name}" if key else name)


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."


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
    for key in ("data", "validation"):
        sources = table.get(key)
        for source in sources if isinstance(sources, list) else []:
            if isinstance(source, dict) and isinstance(source.get("folder"), str):
                source["folder"] = str(base / Path(source["folder"]).expanduser())
    for key in ("pool", "vgg19"):
        if isinstance(table.get(key), str):
            table[key] = str(base / Path(table[key]).expanduser())
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
