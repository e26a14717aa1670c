"""LQ/HQ pairs of files: finding them, and the scale between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from redeg_cli.errors import InputError, PairError
from redeg_cli.io.listing import expand_inputs, folder_images, unique_names

SCALES = (1, 2, 3, 4)


@dataclass(frozen=True)
class ImagePair:
    """An LQ picture and the HQ picture of the same thing."""

    lq: Path
    hq: Path
    name: str
    """The LQ's name relative to its input, with suffix and forward slashes; unique."""


def find_pairs(inputs: Sequence[Path]) -> tuple[list[ImagePair], list[str]]:
    """Return the pairs of the inputs, and one line for each file that could not be paired.

    An input is a folder that holds ``lq`` and ``hq`` (files matched by their relative name
    without suffix, in natural order), or a .tsv or .txt file of two tab-separated columns, LQ
    and HQ, relative to that file (# comments and a header are skipped).
    Raises InputError for an input of another kind, PairError when there is no pair at all.
    """
    found: list[tuple[Path, Path, str]] = []
    problems: list[str] = []
    given = expand_inputs(inputs)
    for path in given:
        if path.is_dir():
            _pairs_of_folder(path, found, problems)
        elif path.suffix.lower() in (".tsv", ".txt"):
            _pairs_of_table(path, found, problems)
        else:
            raise InputError(
                f"{path} is not a set of pairs: give a folder that holds lq/ and hq/, "
                "or a .tsv file with the columns LQ and HQ"
            )
    if not found:
        where = ", ".join(map(str, given)) or "the inputs"
        reason = f" ({problems[0]})" if problems else ""
        raise PairError(f"no LQ/HQ pair in {where}{reason}: names in lq/ and hq/ must agree")
    names = unique_names([(lq, name) for lq, _, name in found])
    pairs = [ImagePair(lq, hq, name) for (lq, hq, _), name in zip(found, names, strict=True)]
    return pairs, problems


def pair_scale(
    lq_hw: tuple[int, int], hq_hw: tuple[int, int], scale: int | None
) -> tuple[int, bool]:
    """Return (scale, whether the LQ is native) for an LQ and an HQ of (height, width) pixels.

    Equal sizes are an aligned pair: the scale given, 4 without. A native LQ is k times smaller,
    k in 1 to 4, where the HQ may be cropped by less than k pixels (LQ = ceil(HQ / k)).
    Raises PairError, saying why, for anything else and for another scale than the one given.
    """
    if scale is not None and scale not in SCALES:
        raise PairError(f"scale {scale} is not supported: give 1, 2, 3 or 4")
    if min(*lq_hw, *hq_hw) < 1:
        raise PairError(f"{_sizes(lq_hw, hq_hw)}: a picture without pixels")
    if lq_hw == hq_hw:
        return scale or 4, False
    fitting = [k for k in SCALES if _fits(lq_hw, hq_hw, k)]
    if scale is not None and scale in fitting:
        return scale, True
    if fitting:
        # Tiny pictures fit several scales: the one that crops least is meant.
        best = min(fitting, key=lambda k: k * sum(lq_hw) - sum(hq_hw))
        if scale is None:
            return best, True
        raise PairError(
            f"{_sizes(lq_hw, hq_hw)}: a pair of scale {best}, but scale {scale} was given"
        )
    raise PairError(f"{_sizes(lq_hw, hq_hw)}: {_why_not(lq_hw, hq_hw)}")


def _fits(lq_hw: tuple[int, int], hq_hw: tuple[int, int], k: int) -> bool:
    return all(0 <= k * lq - hq < k for lq, hq in zip(lq_hw, hq_hw, strict=True))


def _why_not(lq_hw: tuple[int, int], hq_hw: tuple[int, int]) -> str:
    vertical, horizontal = hq_hw[0] / lq_hw[0], hq_hw[1] / lq_hw[1]
    if lq_hw[0] >= hq_hw[0] and lq_hw[1] >= hq_hw[1]:
        return "the LQ is larger than the HQ, are they swapped?"
    nearest = round((vertical * horizontal) ** 0.5)
    leftover = [hq - nearest * lq for lq, hq in zip(lq_hw, hq_hw, strict=True)]
    if 1 <= nearest <= SCALES[-1] and all(0 <= rest < nearest for rest in leftover):
        height, width = nearest * lq_hw[0], nearest * lq_hw[1]
        return f"crop the HQ to {width}x{height}, {nearest} times the LQ"
    # One pixel of rounding in the LQ changes a ratio by 1 / LQ: more than that is another shape.
    if abs(vertical - horizontal) > max(vertical, horizontal) * (1 / min(lq_hw) + 0.01):
        return (
            f"the shapes differ (ratio {horizontal:.3g} across, {vertical:.3g} down), "
            "they must show the same part of the picture"
        )
    ratio = (vertical + horizontal) / 2
    if ratio > SCALES[-1] + 0.5:
        return f"the ratio {ratio:.3g} is too large, at most {SCALES[-1]} is supported"
    return (
        f"the ratio {ratio:.3g} is not a whole number, resize the HQ to 1, 2, 3 or 4 times the LQ"
    )


def _sizes(lq_hw: tuple[int, int], hq_hw: tuple[int, int]) -> str:
    return f"LQ is {lq_hw[1]}x{lq_hw[0]}, HQ is {hq_hw[1]}x{hq_hw[0]} pixels"


def _pairs_of_folder(
    folder: Path, found: list[tuple[Path, Path, str]], problems: list[str]
) -> None:
    sides = {}
    for side in ("lq", "hq"):
        inner = next((p for p in (folder / side, folder / side.upper()) if p.is_dir()), None)
        if inner is None:
            raise InputError(f"{folder} holds no folder {side}/: put the pairs into lq/ and hq/")
        sides[side] = _by_stem(inner, problems)
    lq, hq = sides["lq"], sides["hq"]
    for stem, (path, name) in lq.items():
        if stem in hq:
            found.append((path, hq[stem][0], name))
        else:
            problems.append(f"{path} has no partner in hq/ (wanted {stem} with any image suffix)")
    problems.extend(
        f"{path} has no partner in lq/ (wanted {stem} with any image suffix)"
        for stem, (path, _) in hq.items()
        if stem not in lq
    )


def _by_stem(folder: Path, problems: list[str]) -> dict[str, tuple[Path, str]]:
    """Return the pictures of a folder by relative name without suffix; the first of equals."""
    stems: dict[str, tuple[Path, str]] = {}
    for path, name in folder_images(folder):
        stem = str(PurePosixPath(name).with_suffix(""))
        if stem in stems:
            problems.append(f"{path} is left out: {stems[stem][0].name} has the same name")
        else:
            stems[stem] = (path, name)
    return stems


def _pairs_of_table(table: Path, found: list[tuple[Path, Path, str]], problems: list[str]) -> None:
    try:
        lines = table.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{table} is not UTF-8 text: save it as a UTF-8 .tsv file") from None
    except OSError as error:
        raise InputError(f"cannot read {table}: {error.strerror or error}") from None
    first = True
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        columns = [column.strip() for column in line.split("\t")]
        is_header, first = first and [c.casefold() for c in columns[:2]] == ["lq", "hq"], False
        if is_header:
            continue
        if len(columns) < 2 or not columns[0] or not columns[1]:
            problems.append(f"{table} line {number}: wanted two tab-separated columns, LQ and HQ")
            continue
        lq, hq = table.parent / columns[0], table.parent / columns[1]
        missing = [str(path) for path in (lq, hq) if not path.is_file()]
        if missing:
            problems.append(f"{table} line {number}: {' and '.join(missing)} does not exist")
            continue
        found.append((lq, hq, PurePosixPath(columns[0].replace("\\", "/")).as_posix()))
