"""What recipes have in common: where images come from, how long a run is, how it is optimised."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.chain import ChainDegrader, preset_table, read_degrader
from redeg_cli.errors import RecipeError


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSource(Strict):
    """A folder of HQ images and how often it is drawn from."""

    folder: Path
    weight: float = Field(1.0, gt=0)
    align_faces: bool = False
    """Detect the largest face and cut it out, aligned to the FFHQ template, before training."""
    face_size: int = Field(512, ge=64)

    @model_validator(mode="before")
    @classmethod
    def _read_folder(cls, value: Any) -> Any:
        """A folder alone is a source too."""
        return {"folder": value} if isinstance(value, str | Path) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | Path | Mapping | DataSource) else value


DataSources = Annotated[list[DataSource], BeforeValidator(_listed)]
"""A list of them, or one."""


Beta = Annotated[float, Field(ge=0, lt=1)]


def _ascending(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"a range from less to more, got {list(value)}")
    return value


Shrink = Annotated[
    tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(_ascending)
]
"""By how much HQ images are shrunk before cropping."""
Zoom = Annotated[
    tuple[Annotated[float, Field(ge=0.25, le=8)], Annotated[float, Field(ge=0.25, le=8)]],
    AfterValidator(_ascending),
]


class Run(Strict):
    """What the loop itself needs to know."""

    name: str
    """Name of the weights file that comes out."""
    steps: int = Field(5000, ge=1)
    minutes: float | None = Field(None, gt=0)
    """Finish after this much wall-clock time at the latest, the learning rate annealed to it."""
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
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

    @model_validator(mode="after")
    def _check_watched(self) -> "Run":
        if self.patience and not self.watched:
            raise RecipeError("'watched': name the figure of the validation to be patient with")
        return self


class Optimised(Run):
    """How a network is made and optimised."""

    config: dict[str, Any] = {}
    """Arguments of the network's class."""
    init: str | None = None
    """Weights to start from: an embedded or imported model's name, or a file."""
    batch: int = Field(16, ge=1)
    optimizer: Literal["adam", "muon"] = "adam"
    """Muon (``train.muon``): of a small new network 250 steps did what 500 of Adam's did. Trained
    weights want a low rate: at 1.5e-3 they lost half of what they had gained."""
    learning_rate: float = Field(5e-4, gt=0)
    schedule: Literal["cosine", "constant", "step", "plateau"] = "cosine"
    """What the learning rate does after its warm-up: half a cosine down to 1 %, nothing, or times
    ``decay`` at each of the ``milestones``, or whenever ``watched`` stands still."""
    milestones: list[Annotated[int, Field(ge=1)]] = []
    """Steps of the schedule "step"."""
    decay: float = Field(0.5, gt=0, lt=1)
    plateau: int = Field(5, ge=1)
    """Validations in a row without a better ``watched`` that are standing still."""
    warm_up: int = Field(100, ge=0)
    """Steps in which the learning rate rises from 0."""
    betas: tuple[Beta, Beta] = (0.9, 0.99)
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient."""
    ema: float = Field(0.999, ge=0, lt=1)

    @model_validator(mode="after")
    def _check_schedule(self) -> "Optimised":
        if self.schedule == "step" and not self.milestones:
            raise RecipeError("'milestones': schedule step needs the steps at which it falls")
        if self.schedule == "plateau" and not self.watched:
            raise RecipeError("'watched': schedule plateau needs a figure of the validation")
        return self


class HqRecipe(Optimised):
    """What is trained, and on what."""

    known_scales: ClassVar[tuple[int, ...]] = (1, 2, 4)
    scales: list[Literal[1, 2, 3, 4]] = Field([1, 2, 4], min_length=1)
    data: DataSources = Field(min_length=1)
    validation: DataSources = []
    cache: Path | None = None
    """Folder where decoded images are kept, mapped into memory; without one they are in memory."""
    workers: int | None = Field(None, ge=0)
    """Processes that make the batches ahead, where no network makes them (``train.workers``); by
    default as many as a GPU is worth, 0 on a CPU."""
    gray: float = Field(0.05, ge=0, le=1)
    """Share of the images that are turned gray."""
    degradation: dict[str, Any] = Field(default_factory=lambda: dict(preset_table("classical")))
    """What makes the LQs: the name of a degrader, a TOML file or its tables, of which the tables
    are kept. See ``degrade.chain``."""

    @field_validator("scales")
    @classmethod
    def _check_scales(cls, value: list[int]) -> list[int]:
        if any(scale not in cls.known_scales for scale in value):
            known = ", ".join(map(str, cls.known_scales))
            raise RecipeError(f"'scales': expected some of {known}, got {value}")
        return value

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

    @model_validator(mode="after")
    def _check_validation(self) -> "HqRecipe":
        if (self.schedule == "plateau" or self.patience) and not self.validation:
            raise RecipeError("'validation': schedule plateau and patience go by its figures")
        return self

    def degraders(self) -> dict[int, Degrader]:
        """Return what makes the LQs of each scale."""
        return {
            scale: ChainDegrader(self.degradation, scale, "degradation") for scale in self.scales
        }
