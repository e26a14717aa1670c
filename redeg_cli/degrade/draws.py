"""Chains of random steps: in order, shuffled, one of several; read from TOML tables.

An entry of a chain is one of

- ``{ op = "jpeg", quality = [30, 95] }``: a step, its parameters as ``distributions`` says;
- ``{ steps = [...] }``, ``{ shuffle = [...] }``, ``{ one_of = [...] }``: entries in order, in
  random order, or one of them by their ``weight``;
- ``{ preset = "bsrgan" }``: another preset; ``{ use = "main" }`` or just ``"main"``: a list under
  ``[chains]`` of the same file; ``scale = 2`` beside them is what ``scale`` means inside.

Every entry may have ``p``, the probability that it happens, and ``only_scale``, a scale or a list
of them without which it does not. ``shuffle`` may have ``in_order = ["down", "fit"]``: where those
of that ``name`` came out the other way round, they are exchanged. ``weight`` belongs to entries of
``one_of`` and ``name`` to those of ``shuffle``.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from pydantic import ValidationError

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.distributions import Distribution, NewSeed, Reader, pick, read_weights
from redeg_cli.degrade.ops import find_op
from redeg_cli.errors import RecipeError
from redeg_cli.validation import did_you_mean, explain, nearest_or_all

StepTable = dict[str, Any]


class Draw(Protocol):
    """An entry of a chain."""

    def draw(self, rng: np.random.Generator) -> list[StepTable]:
        """Return the steps that it comes to this time."""
        ...


@dataclass(frozen=True)
class OneStep:
    """An op with its parameters."""

    op: str
    parameters: dict[str, Distribution]

    def draw(self, rng: np.random.Generator) -> list[StepTable]:
        """See ``Draw``."""
        return [{"op": self.op} | {key: d.draw(rng) for key, d in self.parameters.items()}]


@dataclass(frozen=True)
class InOrder:
    """Entries one after the other."""

    entries: tuple[Draw, ...]

    def draw(self, rng: np.random.Generator) -> list[StepTable]:
        """See ``Draw``."""
        return [step for entry in self.entries for step in entry.draw(rng)]


@dataclass(frozen=True)
class Shuffled:
    """Entries in random order, but for two that keep theirs."""

    entries: tuple[Draw, ...]
    first: int | None = None
    second: int | None = None

    def draw(self, rng: np.random.Generator) -> list[StepTable]:
        """See ``Draw``."""
        order = sorted(
            range(len(self.entries)), key=[rng.random() for _ in self.entries].__getitem__
        )
        if self.first is not None and self.second is not None:
            a, b = order.index(self.first), order.index(self.second)
            if a > b:
                order[a], order[b] = order[b], order[a]
        return [step for place in order for step in self.entries[place].draw(rng)]


@dataclass(frozen=True)
class OneOf:
    """One of some entries, by weight."""

    entries: tuple[Draw, ...]
    weights: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> list[StepTable]:
        """See ``Draw``."""
        return self.entries[pick(rng, self.weights)].draw(rng)


@dataclass(frozen=True)
class Sometimes:
    """An entry that happens with a probability."""

    chance: float
    entry: Draw

    def draw(self, rng: np.random.Generator) -> list[StepTable]:
        """See ``Draw``."""
        return self.entry.draw(rng) if rng.random() < self.chance else []


_COMMON = ("p", "only_scale")
_FORMS = {
    "op": (),
    "steps": (),
    "shuffle": ("in_order",),
    "one_of": (),
    "preset": ("scale",),
    "use": ("scale",),
}


@dataclass(frozen=True)
class ChainReader:
    """Reads the entries of one file, for one scale."""

    scale: int
    """Of the degrader: what ``only_scale`` looks at."""
    chains: Mapping[str, Any]
    """Lists of entries by name."""
    find_preset: Callable[[str, str], Mapping[str, Any]]
    """Returns a preset's tables; takes its name and where it was named."""
    variable: int | None = None
    """What ``scale`` means in expressions, if not the scale."""
    within: tuple[str, ...] = ()
    """Presets and chains that are being read, to see those that contain themselves."""

    @property
    def distributions(self) -> Reader:
        """What reads parameters."""
        return Reader(self.variable or self.scale)

    def read_list(self, value: Any, where: str) -> InOrder:
        """Return a list of entries in order. Raises RecipeError that begins with ``where``."""
        return InOrder(tuple(entry for entry, _ in self._entries(value, where)))

    def _entries(self, value: Any, where: str, *more: str) -> list[tuple[Draw, Mapping[str, Any]]]:
        """Return those entries of a list that the scale allows, with their tables.

        ``more`` are keys that entries of this kind of list may have.
        """
        if not isinstance(value, list) or not value:
            raise RecipeError(f"{where}: expected a list of steps, got {value!r}")
        read = []
        for place, entry in enumerate(value):
            table = {"use": entry} if isinstance(entry, str) else entry
            if not isinstance(table, Mapping):
                raise RecipeError(f"{where}[{place}]: expected a table, got {entry!r}")
            scales = self._scales(table, f"{where}[{place}]")
            allowed = self.scale in scales
            # What never happens at this scale is checked at one where it does.
            reader = self if allowed else replace(self, scale=scales[0])
            draw = reader._entry(table, f"{where}[{place}]", (*_COMMON, *more))
            if allowed:
                read.append((draw, table))
        return read

    def _scales(self, table: Mapping[str, Any], where: str) -> list[int]:
        scales = table.get("only_scale", self.scale)
        scales = scales if isinstance(scales, list) else [scales]
        if not scales or not all(type(scale) is int for scale in scales):
            raise RecipeError(f"{where}.only_scale: expected scales, got {table['only_scale']!r}")
        return scales

    def _entry(self, table: Mapping[str, Any], where: str, common: tuple[str, ...]) -> Draw:
        forms = [key for key in _FORMS if key in table]
        if len(forms) != 1:
            wanted = f"expected one of {', '.join(_FORMS)}"
            known = (*_FORMS, *common)
            odd = next((key for key in table if key not in known), None)
            hint = "" if odd is None else f", got {odd!r}{did_you_mean(odd, _FORMS)}"
            raise RecipeError(f"{where}: {wanted}{hint or f', got {forms}'}")
        form = forms[0]
        if form != "op":
            known = (form, *_FORMS[form], *common)
            for key in table:
                if key not in known:
                    raise RecipeError(f"{where}: unknown key {key!r}{nearest_or_all(key, known)}")
        draw = self._step(table, where, common) if form == "op" else self._form(form, table, where)
        if "p" not in table:
            return draw
        return Sometimes(self.distributions.share(table["p"], f"{where}.p"), draw)

    def _form(self, form: str, table: Mapping[str, Any], where: str) -> Draw:
        value = table[form]
        if form == "steps":
            # None at all is a way to say "nothing" among others.
            return InOrder(()) if value == [] else self.read_list(value, f"{where}.steps")
        if form == "shuffle":
            return self._shuffle(table, f"{where}.shuffle")
        if form == "one_of":
            return self._one_of(value, f"{where}.one_of")
        variable = table.get("scale", self.variable)
        if variable is not None and (type(variable) is not int or variable < 1):
            raise RecipeError(f"{where}.scale: expected a scale, got {variable!r}")
        mark = f"{form} {value!r}"
        if mark in self.within:
            raise RecipeError(f"{where}: {mark} contains itself")
        inside = replace(self, variable=variable, within=(*self.within, mark))
        if form == "use":
            if not isinstance(value, str) or value not in self.chains:
                hint = did_you_mean(value, self.chains)
                raise RecipeError(f"{where}: there is no list {value!r} under [chains]{hint}")
            return inside.read_list(self.chains[value], f"chains.{value}")
        preset = self.find_preset(value, where)
        # The lists of a preset are its own: one may have the name of a list that leads here.
        presets = tuple(each for each in inside.within if each.startswith("preset "))
        inside = replace(inside, chains=preset.get("chains", {}), within=presets)
        return inside.read_list(preset.get("steps"), f"{where} (preset {value}): steps")

    def _step(self, table: Mapping[str, Any], where: str, common: tuple[str, ...]) -> OneStep:
        name = table["op"]
        step = find_op(name, where).step
        parameters: dict[str, Distribution] = {}
        for key, value in table.items():
            if key in common and key in step.model_fields:
                raise RecipeError(
                    f"{where} ({name}): {key!r} may be that of the op or of the entry: write the "
                    f"op within steps = [...]"
                )
            if key == "op" or key in common:
                continue
            if key not in step.model_fields:
                hint = nearest_or_all(key, [*step.model_fields, *common])
                raise RecipeError(f"{where} ({name}): unknown key {key!r}{hint}")
            kind = step.model_fields[key].annotation
            parameters[key] = self.distributions.read(value, kind, f"{where}.{key}")
        if "seed" in step.model_fields and "seed" not in parameters:
            parameters["seed"] = NewSeed()
        _check_extremes(step, parameters, f"{where} ({name})")
        return OneStep(name, parameters)

    def _shuffle(self, table: Mapping[str, Any], where: str) -> Shuffled:
        read = self._entries(table["shuffle"], where, "name")
        entries = tuple(entry for entry, _ in read)
        pair = table.get("in_order")
        if pair is None:
            return Shuffled(entries)
        if not isinstance(pair, list) or len(pair) != 2:
            raise RecipeError(f"{where}: in_order: expected two names, got {pair!r}")
        every = [
            _name({"use": each} if isinstance(each, str) else each) for each in table["shuffle"]
        ]
        for name in pair:
            if every.count(name) != 1:
                raise RecipeError(
                    f"{where}: in_order: expected one entry of the name {name!r}, "
                    f"there are {every.count(name)}"
                )
        names = [_name(each) for _, each in read]
        if not set(pair) <= set(names):
            return Shuffled(entries)  # one of them does not happen at this scale
        return Shuffled(entries, names.index(pair[0]), names.index(pair[1]))

    def _one_of(self, value: Any, where: str) -> OneOf:
        read = self._entries(value, where, "weight")
        numbers = [
            self.distributions.number(table.get("weight", 1), f"{where}: weight")
            for _, table in read
        ]
        if not numbers:
            raise RecipeError(f"{where}: nothing is left for scale {self.scale}")
        return OneOf(tuple(entry for entry, _ in read), read_weights(numbers, where))


def _name(table: Mapping[str, Any]) -> Any:
    return table.get("name", table.get("use"))


def _check_extremes(step: type[Step], parameters: Mapping[str, Distribution], where: str) -> None:
    """Raise RecipeError if some value that may be drawn is one that the op refuses."""
    extremes = {key: distribution.extremes() for key, distribution in parameters.items()}
    first = {key: values[0] for key, values in extremes.items()}
    tables = [first, *({**first, key: each} for key, values in extremes.items() for each in values)]
    # What an op allows of one parameter may depend on another: on the codec, or the kernel's size.
    some = {key: [*values[:8], *values[8:][-8:]] for key, values in extremes.items()}
    for one, other in itertools.combinations(some, 2):
        pairs = itertools.product(some[one], some[other])
        tables += [{**first, one: value, other: with_it} for value, with_it in pairs]
    for table in tables:
        try:
            step.model_validate(table)
        except ValidationError as error:
            raise RecipeError(f"{where}: {explain(error, step)}") from None
