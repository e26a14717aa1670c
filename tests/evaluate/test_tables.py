"""Tables of a made-up evaluation whose means are known."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from redeg_cli.errors import InputError
from redeg_cli.evaluate.dataset import Dataset, Sample
from redeg_cli.evaluate.methods import Method
from redeg_cli.evaluate.metrics import View
from redeg_cli.evaluate.restoration import Evaluation, Row
from redeg_cli.evaluate.summary import places, summarise, to_record
from redeg_cli.evaluate.tables import notes, number, to_csv, to_latex, to_markdown, to_rich
from redeg_cli.io.files import to_plain

PSNR = {"ours": [30, 32, 34], "the_irs|1": [29, 31, 33], "worst": [20, 22, 24]}
LPIPS = {"ours": [0.3, 0.3, 0.3], "the_irs|1": [0.1, 0.1, 0.1], "worst": [0.2, 0.2, 0.2]}


def method(name: str) -> Method:
    return Method(name, lambda _: torch.zeros(1, 3, 8, 8), True, {"folder": name})


def evaluation(**changes: object) -> Evaluation:
    samples = tuple(Sample(name, Path(f"{name}.png")) for name in "abc")
    rows = [
        Row(sample.name, name, {"psnr": float(PSNR[name][i]), "lpips": float(LPIPS[name][i])})
        for i, sample in enumerate(samples)
        for name in PSNR
    ]
    made = Evaluation(
        dataset=Dataset("Set5", "HR and LQ folders", samples),
        methods=tuple(map(method, PSNR)),
        metrics=("psnr", "lpips"),
        unavailable={"dists": "run `this`"},
        view=View("y", 4),
        scale=4,
        rows=tuple(rows),
        problems=(),
        versions={"redeg": "1", "torchmetrics": "2"},
    )
    return replace(made, **changes)


def without(made: Evaluation, image: str, name: str, values: dict[str, float]) -> Evaluation:
    rows = [
        Row(r.image, r.method, values, "" if values else "no result")
        if (r.image, r.method) == (image, name)
        else r
        for r in made.rows
    ]
    return replace(made, rows=tuple(rows))


def test_places_follow_the_direction_of_the_metric() -> None:
    summary = summarise(evaluation())
    assert places(summary, "psnr") == {"ours": 1, "the_irs|1": 2, "worst": 3}
    assert places(summary, "lpips") == {"the_irs|1": 1, "worst": 2, "ours": 3}


def test_means_that_print_alike_share_a_place() -> None:
    made = without(evaluation(), "a", "the_irs|1", {"psnr": 33.001, "lpips": 0.3})
    # (33.001 + 31 + 33) / 3 = 32.33 and (30 + 32 + 34) / 3 = 32.00
    assert places(summarise(made), "psnr")["the_irs|1"] == 1
    made = without(evaluation(), "a", "the_irs|1", {"psnr": 32.001, "lpips": 0.3})
    assert places(summarise(made), "psnr") == {"ours": 1, "the_irs|1": 1, "worst": 2}


def test_means_over_fewer_images_have_no_place() -> None:
    summary = summarise(without(evaluation(), "c", "worst", {}))
    assert "worst" not in places(summary, "psnr")
    assert "of 2 images" in to_markdown(summary)
    assert "1 of 9 results have no values, or not all." in notes(summary)


def test_means_over_other_images_have_no_place() -> None:
    made = without(without(evaluation(), "c", "worst", {}), "a", "ours", {})
    assert places(summarise(made), "psnr") == {}
    # What no method has is not asked of any.
    made = without(without(made, "c", "ours", {}), "a", "worst", {})
    for image in "ac":
        made = without(made, image, "the_irs|1", {})
    assert places(summarise(made), "psnr") == {"ours": 1, "the_irs|1": 2, "worst": 3}


def test_a_single_method_is_not_the_best() -> None:
    made = evaluation(methods=(method("ours"),))
    assert places(summarise(made), "psnr") == {}


def test_the_baseline_is_one_of_the_methods() -> None:
    with pytest.raises(InputError, match=r"'our' is none of ours, .*did you mean 'ours'"):
        summarise(evaluation(), "our")


def test_differences_are_to_the_baseline() -> None:
    cells = summarise(evaluation(), "worst").cells
    assert cells["worst", "psnr"].difference is None
    difference = cells["ours", "psnr"].difference
    assert difference is not None
    assert (difference.mean, difference.low, difference.high) == (10, 10, 10)


def test_markdown() -> None:
    text = to_markdown(summarise(evaluation(), "worst"))
    lines = text.splitlines()
    assert lines[0] == "| method | PSNR (dB) ↑ | LPIPS ↓ |"
    assert lines[1] == "| --- | ---: | ---: |"
    assert lines[2].startswith("| ours | **32.00**<br><sub>[30.00, 34.00]</sub><br>")
    assert "<sub>+10.00 [+10.00, +10.00]</sub>" in lines[2]
    assert lines[3].startswith(r"| the_irs\|1 | <u>31.00</u>")
    assert "**0.1000**" in lines[3]
    assert "−0.1000 [−0.1000, −0.1000]" in lines[3]
    assert lines[4].startswith("| worst | 22.00<br>")
    assert "- DISTS: unavailable: run `this`" in lines
    assert any("3 images; Y of BT.601, border of 4 pixels" in line for line in lines)
    assert "- Signed numbers: difference to worst, paired by image." in lines


def test_latex() -> None:
    text = to_latex(summarise(evaluation()))
    assert r"\begin{tabular}{lrr}" in text
    assert r"Method & PSNR (dB) $\uparrow$ & LPIPS $\downarrow$ \\" in text
    assert r"ours & \textbf{32.00} & 0.3000 \\" in text
    assert r"the\_irs|1 & \underline{31.00} & \textbf{0.1000} \\" in text
    assert [line for line in text.splitlines() if "rule" in line] == [
        *(r"\toprule", r"\midrule", r"\bottomrule")
    ]
    bare = [line for line in text.splitlines() if not line.startswith("%")]
    assert all(line.isascii() for line in bare)


def test_latex_of_names_that_are_commands() -> None:
    name = r"100%_\x{a}~^#&$"
    made = evaluation(methods=(method(name),), rows=(Row("a", name, {"psnr": math.inf}),))
    text = to_latex(summarise(made))
    escaped = r"100\%\_\textbackslash{}x\{a\}\textasciitilde{}\textasciicircum{}\#\&\$"
    assert f"{escaped} & " in text
    assert r"$\infty$" in text


def test_terminal() -> None:
    console = Console(width=120, file=io.StringIO(), record=True, force_terminal=True)
    console.print(to_rich(summarise(evaluation(), "worst")))
    text = console.export_text(styles=True)
    assert "\x1b[1m32.00" in text  # bold
    assert "\x1b[4m31.00" in text  # underlined
    assert "the_irs|1" in text
    assert "[30.00, 34.00]" in text  # no markup


def test_csv() -> None:
    made = without(evaluation(), "b", "ours", {})
    made = without(made, "c", "ours", {"psnr": 34.123456, "lpips": math.nan})
    rows = list(csv.DictReader(io.StringIO(to_csv(made))))
    assert len(rows) == 9
    assert list(rows[0]) == ["image", "method", "psnr", "lpips", "message", "note"]
    found = {(row["image"], row["method"]): row for row in rows}
    assert (found["b", "ours"]["psnr"], found["b", "ours"]["message"]) == ("", "no result")
    assert float(found["c", "ours"]["psnr"]) == 34.123456
    assert found["c", "ours"]["lpips"] == "nan"


def test_record() -> None:
    record = json.loads(json.dumps(to_plain(to_record(summarise(evaluation(), "worst")))))
    assert record["settings"] == {
        **{"colour": "y", "crop": 4, "scale": 4, "baseline": "worst", "level": 0.95},
        **{"resamples": 5000, "seed": 0},
    }
    assert record["dataset"]["images"] == 3
    ours = record["methods"][0]
    assert (ours["name"], ours["folder"], ours["failed"]) == ("ours", "ours", 0)
    assert ours["metrics"]["psnr"]["mean"] == 32
    assert ours["metrics"]["psnr"]["n"] == 3
    assert ours["metrics"]["psnr"]["difference"]["mean"] == 10
    assert record["unavailable"] == {"dists": "run `this`"}
    assert record["versions"]["torchmetrics"] == "2"
    assert len(record["rows"]) == 9
    assert record["metrics"][1]["higher_is_better"] is False


def test_nothing_was_measured() -> None:
    made = evaluation(rows=tuple(Row(s, m, {}, "no result") for s in "abc" for m in PSNR))
    summary = summarise(made, "ours")
    assert "| ours | NaN<br><sub>of 0 images</sub> |" in to_markdown(summary)
    assert places(summary, "psnr") == {}
    plain = to_plain(to_record(summary))
    assert plain["methods"][0]["metrics"]["psnr"]["mean"] is None


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (1.005, False, "1.00"),
        (-1.5, False, "-1.50"),
        (-1.5, True, "−1.50"),
        (0.0, True, "+0.00"),
        (math.nan, False, "NaN"),
        (math.inf, True, "∞"),
        (-math.inf, False, "-∞"),
    ],
)
def test_numbers(value: float, signed: bool, expected: str) -> None:
    assert number(value, 2, signed) == expected


def test_intervals_in_the_table_are_those_of_the_images() -> None:
    """A spread of 2 dB over three images: the interval reaches from the least to the greatest."""
    mean = summarise(evaluation()).cells["ours", "psnr"].mean
    assert (mean.low, mean.high) == (30, 34)
    assert mean.std == pytest.approx(np.std([30, 32, 34], ddof=1))
