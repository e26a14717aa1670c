"""How a preset gives a parameter: a number, a range, a choice; read from TOML, drawn by a seed.

| in TOML | drawn |
| --- | --- |
| ``3``, ``true``, ``"area"`` | that |
| ``[2, 8]`` | uniform; whole numbers with both ends where the parameter is one |
| ``{ log_uniform = [1, 10] }`` | the logarithm is uniform |
| ``{ sqrt_uniform = [0, 8] }`` | the square is uniform: the square root of U(0, 8) |
| ``{ reciprocal = [1, 8] }`` | 1 / U(1, 8) |
| ``{ integers = [7, 21], step = 2 }`` | 7, 9, ... 21, alike |
| ``{ chance = 0.4 }`` | true so often |
| ``{ choice = [1, [2, 3]], weights = [2, 1] }`` | one of these, which may be ranges themselves |
| ``{ mixing = 0.1 }`` | M of noise with channels correlated as in BSRGAN, at most that deviation |

A parameter of several numbers takes a list with one of these for each. Numbers may be given as
text with ``+ - * /``, brackets and the variable ``scale``: ``[0, "2 + 0.2 * scale"]``.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin

import numpy as np

from redeg_cli.errors import RecipeError
from redeg_cli.validation import nearest_or_all


class Distribution(Protocol):
    """What a parameter is drawn from."""

    def draw(self, rng: np.random.Generator) -> Any:
        """Return a JSON-able value; uses ``rng.random()`` alone, whose stream NumPy keeps."""
        ...

    def extremes(self) -> list[Any]:
        """Return values that show whether all that can be drawn is allowed."""
        ...


@dataclass(frozen=True)
class Constant:
    """Always the same value."""

    value: Any

    def draw(self, rng: np.random.Generator) -> Any:
        """See ``Distribution``."""
        del rng
        return self.value

    def extremes(self) -> list[Any]:
        """See ``Distribution``."""
        return [self.value]


@dataclass(frozen=True)
class Uniform:
    """A function of a number that is uniform on [low, high]; kept to six digits."""

    low: float
    high: float
    function: Callable[[float], float] = float

    def draw(self, rng: np.random.Generator) -> float:
        """See ``Distribution``."""
        return self._at(self.low + (self.high - self.low) * rng.random())

    def extremes(self) -> list[Any]:
        """See ``Distribution``."""
        # As they are drawn: exp(log(100)) is 100.00000000000004.
        return [self._at(self.low), self._at(self.high)]

    def _at(self, number: float) -> float:
        return float(f"{self.function(number):.6g}")


@dataclass(frozen=True)
class Integers:
    """Whole numbers from low to high, both included, in steps."""

    low: int
    high: int
    step: int = 1

    def draw(self, rng: np.random.Generator) -> int:
        """See ``Distribution``."""
        count = (self.high - self.low) // self.step + 1
        return self.low + self.step * int(rng.random() * count)

    def extremes(self) -> list[Any]:
        """See ``Distribution``."""
        values = range(self.low, self.high + 1, self.step)
        return [*values[:1000], values[-1]]


@dataclass(frozen=True)
class Choice:
    """One of some distributions."""

    options: tuple[Distribution, ...]
    weights: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """See ``Distribution``."""
        return self.options[pick(rng, self.weights)].draw(rng)

    def extremes(self) -> list[Any]:
        """See ``Distribution``."""
        return [value for option in self.options for value in option.extremes()]


@dataclass(frozen=True)
class Several:
    """A list of values, each from a distribution of its own."""

    parts: tuple[Distribution, ...]

    def draw(self, rng: np.random.Generator) -> list[Any]:
        """See ``Distribution``."""
        return [part.draw(rng) for part in self.parts]

    def extremes(self) -> list[Any]:
        """See ``Distribution``."""
        # Never all at their low ends: weights that are all 0 are refused, and never drawn.
        last = [part.extremes()[-1] for part in self.parts]
        return [
            [*last[:place], value, *last[place + 1 :]]
            for place, part in enumerate(self.parts)
            for value in part.extremes()
        ] or [[]]


@dataclass(frozen=True)
class Mixing:
    """M of correlated noise, M Mᵀ = |L² Uᵀ D U| with D diagonal in [0, 1] and U a random rotation.

    Source: BSRGAN, section 3.3 and its code, where L is 25/255 for every noise level, and U
    orthonormalises a matrix of numbers from 0 to 1: there channels correlate by 0.30, 0.29 and
    0.22, here by 0.24.
    """

    level: float

    def draw(self, rng: np.random.Generator) -> list[list[float]]:
        """See ``Distribution``."""
        normal = [_normal(rng) for _ in range(9)]
        rotation = np.linalg.qr(np.reshape(normal, (3, 3)))[0]
        spread = np.diag([rng.random() for _ in range(3)])
        covariance = np.abs(self.level**2 * rotation.T @ spread @ rotation)
        # The absolute values may leave a direction of negative variance, which gets none.
        values, vectors = np.linalg.eigh(covariance)
        mixing = vectors * np.sqrt(values.clip(min=0))
        return [[float(f"{value:.6g}") for value in row] for row in mixing @ vectors.T]

    def extremes(self) -> list[Any]:
        """See ``Distribution``."""
        return [np.diag([self.level] * 3).tolist()]


@dataclass(frozen=True)
class NewSeed:
    """A seed of 62 bits."""

    def draw(self, rng: np.random.Generator) -> int:
        """See ``Distribution``."""
        return int(rng.random() * (1 << 31)) << 31 | int(rng.random() * (1 << 31))

    def extremes(self) -> list[Any]:
        """See ``Distribution``."""
        return [0]


def pick(rng: np.random.Generator, weights: tuple[float, ...]) -> int:
    """Return a place among ``weights``, drawn in proportion to them."""
    rest = rng.random() * sum(weights)
    for place, weight in enumerate(weights):
        rest -= weight
        if rest < 0:
            return place
    return max(place for place, weight in enumerate(weights) if weight > 0)


def _normal(rng: np.random.Generator) -> float:
    return math.sqrt(-2 * math.log(1 - rng.random())) * math.cos(2 * math.pi * rng.random())


@dataclass(frozen=True)
class Reader:
    """Reads distributions of one file, for one scale."""

    scale: int

    def read(self, value: Any, kind: Any, where: str) -> Distribution:
        """Return the distribution that ``value`` stands for, of a parameter annotated ``kind``.

        Raises RecipeError that begins with ``where``.
        """
        kind = _bare(kind)
        if isinstance(value, Mapping):
            return self._read_table(value, kind, where)
        parts = get_args(kind) if get_origin(kind) is tuple else ()
        if parts and isinstance(value, list):
            kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
            if len(value) != len(kinds):
                raise RecipeError(f"{where}: expected {len(kinds)} values, got {value!r}")
            return Several(
                tuple(
                    self.read(each, one, f"{where}[{place}]")
                    for place, (each, one) in enumerate(zip(value, kinds, strict=True))
                )
            )
        if isinstance(value, list) and (kind is bool or get_origin(kind) is Literal):
            raise RecipeError(f"{where}: expected a value or {{ choice = [...] }}, got {value!r}")
        if isinstance(value, list):
            return self._range(value, kind is int, where)
        if isinstance(value, str) and get_origin(kind) is not Literal:
            return Constant(self.number(value, where))
        return Constant(value)

    def _read_table(self, table: Mapping[str, Any], kind: Any, where: str) -> Distribution:
        extra = {"integers": "step", "choice": "weights"}
        names = [key for key in table if key not in extra.values()]
        if len(names) != 1 or set(table) - {names[0], extra.get(names[0])}:
            raise RecipeError(f"{where}: expected a table with one of {_KINDS}, got {dict(table)}")
        (name,) = names
        where, value = f"{where}.{name}", table[name]
        if name in _FUNCTIONS:
            if kind is int or kind is bool:
                wanted = "[low, high] or { integers = [low, high] }" if kind is int else "chance"
                raise RecipeError(f"{where}: gives fractions; expected {wanted}")
            inverse, function = _FUNCTIONS[name]
            low, high = self._ends(value, where)
            if name != "uniform" and low <= 0 and not (name == "sqrt_uniform" and low == 0):
                raise RecipeError(f"{where}: both ends must be above 0, got {value!r}")
            return Uniform(inverse(low), inverse(high), function)
        if name == "integers":
            step = table.get("step", 1)
            if not isinstance(step, int) or step < 1:
                raise RecipeError(f"{where}: step must be a whole number above 0, got {step!r}")
            low, high = self._ends(value, where)
            return _integers(low, high, step, where)
        if name == "chance":
            return Choice((Constant(True), Constant(False)), self._chances(value, where))
        if name == "mixing":
            level = self.number(value, where)
            if not 0 <= level <= 1:
                raise RecipeError(f"{where}: a deviation lies between 0 and 1, got {value!r}")
            return Mixing(level)
        if name == "choice":
            return self._choice(value, table.get("weights"), kind, where)
        raise RecipeError(f"{where}: unknown{nearest_or_all(name, _KINDS.split(', '))}")

    def _choice(self, value: Any, weights: Any, kind: Any, where: str) -> Choice:
        if not isinstance(value, list) or not value:
            raise RecipeError(f"{where}: expected a list, got {value!r}")
        options = tuple(
            self.read(each, kind, f"{where}[{place}]") for place, each in enumerate(value)
        )
        weights = [1] * len(options) if weights is None else weights
        if not isinstance(weights, list) or len(weights) != len(options):
            raise RecipeError(f"{where}: expected {len(options)} weights, got {weights!r}")
        return Choice(options, read_weights([self.number(w, where) for w in weights], where))

    def _chances(self, value: Any, where: str) -> tuple[float, float]:
        chance = self.share(value, where)
        return chance, 1 - chance

    def share(self, value: Any, where: str) -> float:
        """Return a probability. Raises RecipeError."""
        chance = self.number(value, where)
        if not 0 <= chance <= 1:
            raise RecipeError(f"{where}: a probability lies between 0 and 1, got {value!r}")
        return chance

    def _range(self, value: list[Any], whole: bool, where: str) -> Distribution:
        low, high = self._ends(value, where)
        return _integers(low, high, 1, where) if whole else Uniform(low, high)

    def _ends(self, value: Any, where: str) -> tuple[float, float]:
        if not isinstance(value, list) or len(value) != 2:
            raise RecipeError(f"{where}: expected [low, high], got {value!r}")
        low, high = (self.number(each, where) for each in value)
        if low > high:
            raise RecipeError(f"{where}: {low:g} is above {high:g}; expected [low, high]")
        return low, high

    def number(self, value: Any, where: str) -> float:
        """Return a number, or what a sum of numbers and ``scale`` comes to. Raises RecipeError."""
        try:
            if isinstance(value, str):
                value = self._evaluate(ast.parse(value, mode="eval").body)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError
            if not math.isfinite(value):
                raise RecipeError(f"{where}: expected a finite number, got {value!r}")
        except (ValueError, SyntaxError, ArithmeticError, RecursionError):
            raise RecipeError(
                f"{where}: expected a number, or text like '2 + 0.2 * scale', got {value!r}"
            ) from None
        return value

    def _evaluate(self, node: ast.expr) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return node.value
        if isinstance(node, ast.Name) and node.id == "scale":
            return self.scale
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](self._evaluate(node.left), self._evaluate(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._evaluate(node.operand)
        raise ValueError


def read_weights(weights: list[float], where: str) -> tuple[float, ...]:
    """Return weights of which none is negative and not all are 0. Raises RecipeError."""
    if min(weights) < 0 or sum(weights) <= 0:
        raise RecipeError(f"{where}: weights must not be negative nor all 0, got {weights}")
    return tuple(weights)


def _integers(low: float, high: float, step: int, where: str) -> Integers:
    if low != int(low) or high != int(high):
        raise RecipeError(f"{where}: expected whole numbers, got [{low:g}, {high:g}]")
    return Integers(int(low), int(high), step)


def _bare(kind: Any) -> Any:
    """Return the kind within an annotation that is optional or states a range."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return _bare(next(each for each in get_args(kind) if each is not type(None)))
    return kind


def _same(value: float) -> float:
    return value


def _square_root(value: float) -> float:
    return math.sqrt(value)


def _one_over(value: float) -> float:
    return 1 / value


# How the ends are brought to where the number is uniform, and what is then made of it.
_FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "uniform": (_same, _same),
    "log_uniform": (math.log, math.exp),
    "sqrt_uniform": (_same, _square_root),
    "reciprocal": (_same, _one_over),
}
_KINDS = ", ".join([*_FUNCTIONS, "integers", "choice", "chance", "mixing"])
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
