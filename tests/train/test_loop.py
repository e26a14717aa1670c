"""The loop: it learns, it says what broke, and a stopped run ends like one that was not."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from redeg_cli.errors import RedegError, UsageError
from redeg_cli.io.checkpoints import load_tensors
from redeg_cli.io.manifest import read_manifest
from redeg_cli.models import load_redegnet, load_restorer
from redeg_cli.train.loop import Averages, Course, Player, _takes_cpu, fit, make_accelerator
from redeg_cli.train.losses import Terms
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import ReDegNetRecipe, RestorerRecipe
from redeg_cli.train.state import Clock
from redeg_cli.train.training import train

VALIDATION = 'validation=[{"folder": "hq"}]'


class Stopped(Exception):
    """The power went."""


def recipe_of(workplace: Path, *overrides: str) -> RestorerRecipe:
    return load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)


def line_terms(net: nn.Module, step: int) -> Terms:
    """Fit y = 2 x - 1 from the points of this step."""
    x = torch.rand((16, 1), generator=torch.Generator().manual_seed(step))
    return {"squares": (net(x) - (2 * x - 1)).square().mean()}


def run_line(
    folder: Path,
    recipe: RestorerRecipe,
    validate: Callable[[Averages], dict[str, float]] | None = None,
    **options: Any,
) -> tuple[nn.Module, Clock]:
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    accelerator = make_accelerator("fp32", device="cpu")
    course = Course([Player("network", nn.Linear(1, 1), line_terms, recipe, "")], validate)
    averages, clock, _ = fit(course, recipe, folder, accelerator, **options)
    return averages["network"], clock


def test_it_learns_a_line(workplace: Path) -> None:
    recipe = recipe_of(workplace, "steps=400", "learning_rate=0.05", "warm_up=5", "ema=0.9")
    net, clock = run_line(workplace / "run", recipe)
    assert clock.step == 400
    assert net.weight.item() == pytest.approx(2, abs=0.05)
    assert net.bias.item() == pytest.approx(-1, abs=0.05)
    rows = read_manifest(workplace / "run" / "log.jsonl")
    assert [row["step"] for row in rows] == list(range(50, 401, 50))
    assert rows[-1]["squares"] < 0.1 * rows[0]["squares"]
    # Half a cosine down to one percent.
    assert rows[0]["lr"] == pytest.approx(
        0.05 * (0.01 + 0.495 * (1 + math.cos(math.pi * 49 / 400)))
    )
    assert rows[-1]["lr"] < 0.02 * 0.05


def test_a_short_run_is_not_lost_in_the_average(workplace: Path) -> None:
    """Below 100 steps the average is the network itself, not its first weights."""
    recipe = recipe_of(workplace, "steps=3", "learning_rate=0.05", "warm_up=0")
    torch.manual_seed(0)
    before = nn.Linear(1, 1).weight.item()
    net, _ = run_line(workplace / "run", recipe)
    state = torch.load(workplace / "run" / "state.pt", weights_only=True)
    assert net.weight.item() != before
    assert net.weight.item() == state["networks"]["network"]["weight"].item()


def test_the_average_follows_slowly(workplace: Path) -> None:
    recipe = recipe_of(workplace, "steps=103", "learning_rate=0.05", "ema=0.5", "save_every=1")
    weights: list[float] = []

    def look(done: int, total: int, text: str = "") -> None:
        del done, total, text
        state = torch.load(workplace / "run" / "state.pt", weights_only=True)
        weights.append(state["networks"]["network"]["weight"].item())

    net, _ = run_line(workplace / "run", recipe, progress=look)
    average = weights[98]  # after step 99
    for weight in weights[99:]:
        average = 0.5 * average + 0.5 * weight
    assert net.weight.item() == pytest.approx(average, abs=1e-6)


def test_a_stopped_run_ends_like_one_that_was_not(workplace: Path) -> None:
    recipe = recipe_of(workplace, "steps=120", "save_every=30", "learning_rate=0.05")
    whole, _ = run_line(workplace / "whole", recipe)
    calls = 0

    def stop(done: int, total: int, text: str = "") -> None:
        nonlocal calls
        del done, total, text
        calls += 1
        if calls == 47:
            raise Stopped

    with pytest.raises(Stopped):
        run_line(workplace / "cut", recipe, progress=stop)
    resumed, clock = run_line(workplace / "cut", recipe)
    assert clock.step == 120
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name])
    assert run_line(workplace / "cut", recipe)[1].step == 120  # finished: nothing is done again


def test_what_is_settled_at_the_end_is_not_carried_on(workplace: Path) -> None:
    """Nor is it settled twice when a finished run is started again."""

    @torch.no_grad()
    def shift(averages: Averages) -> None:
        averages["network"].get_parameter("bias").add_(100)

    def run(folder: str, steps: int) -> Tensor:
        recipe = recipe_of(workplace, f"steps={steps}", "learning_rate=0.05", "ema=0.9")
        torch.manual_seed(0)
        (workplace / folder).mkdir(exist_ok=True)
        course = Course(
            [Player("network", nn.Linear(1, 1), line_terms, recipe, "")],
            settle=shift,
        )
        averages, _, _ = fit(
            course, recipe, workplace / folder, make_accelerator("fp32", device="cpu")
        )
        return averages["network"].get_parameter("bias").detach().clone()

    first = run("a", 120)
    assert 95 < float(first) < 100
    assert torch.equal(run("a", 120), first)
    assert float(run("a", 160)) == pytest.approx(float(run("b", 160)), abs=1)


def test_terms_of_one_name_are_both_logged(workplace: Path) -> None:
    recipe = recipe_of(workplace, "steps=2")
    players = [Player(name, nn.Linear(1, 1), line_terms, recipe) for name in ("one", "other")]
    fit(Course(players), recipe, workplace, make_accelerator("fp32", device="cpu"))
    row = read_manifest(workplace / "log.jsonl")[-1]
    assert row["squares"] != row["other: squares"]


def test_validation_is_logged_at_its_steps_and_at_the_end(workplace: Path) -> None:
    recipe = recipe_of(workplace, "steps=5", "validate_every=2")
    run_line(workplace / "run", recipe, validate=lambda _net: {"psnr": 30.0})
    rows = read_manifest(workplace / "run" / "log.jsonl")
    assert [row["step"] for row in rows if row.get("psnr") == 30.0] == [2, 4, 5]


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_runs_of_one_process_may_differ_in_precision(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redeg_cli.device.cpu_has_bf16", lambda: True)
    for precision, wanted in (("fp32", "no"), ("bf16", "bf16"), ("fp32", "no")):
        assert make_accelerator(precision, device).mixed_precision == wanted


def test_no_process_computes_in_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one that takes its GPU from accelerate."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    make_accelerator("fp32", "auto")
    assert not torch.backends.cudnn.allow_tf32


def test_one_process_takes_the_gpu_that_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert not _takes_cpu("cuda:1")
    assert taken == [torch.device("cuda", 1)]
    assert _takes_cpu("CPU")
    with pytest.raises(UsageError, match="'cuda:2' does not exist: the numbers here are 0 to 1"):
        _takes_cpu("cuda:2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not _takes_cpu("cuda")
    assert _takes_cpu("cpu")
    assert len(taken) == 1
    with pytest.raises(UsageError, match=r"'cuda:1' is one, and there are 2 processes: each takes"):
        make_accelerator("auto", "cuda:1")


def test_time_ends_a_run_too() -> None:
    assert Clock(10, 30.0).share(100, None) == pytest.approx(0.1)
    assert Clock(10, 30.0).share(100, 1.0) == pytest.approx(0.5)
    assert Clock(10, 90.0).share(100, 1.0) == 1


def test_a_restorer_is_trained_saved_and_resumed(workplace: Path) -> None:
    recipe = recipe_of(workplace, f'validation=[{{"folder": "{workplace}/hq"}}]')
    whole = train(recipe, workplace / "whole", device="cpu")[0]
    assert whole == workplace / "whole" / "tiny.safetensors"
    tensors, metadata = load_tensors(whole)
    assert metadata["steps"] == "6"
    assert set(json.loads(metadata["figures"])) >= {"psnr_x1", "psnr_bicubic_x2"}
    assert str(workplace) not in metadata["recipe"]  # no private paths in what is shared
    assert load_restorer(whole, 2).scale == 2

    calls = 0

    def stop(done: int, total: int, text: str = "") -> None:
        nonlocal calls
        del done, text
        calls += total == 1000
        if calls == 5:
            raise Stopped

    with pytest.raises(Stopped):
        train(recipe, workplace / "cut", device="cpu", progress=stop)
    again, _ = load_tensors(train(recipe, workplace / "cut", device="cpu")[0])
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)


def test_a_redegnet_is_trained_and_saved(workplace: Path) -> None:
    recipe = load_recipe(workplace / "redegnet.toml", ReDegNetRecipe)
    path = train(recipe, workplace / "run", device="cpu")[0]
    net = load_redegnet(path)
    omega = net.extract(torch.rand(1, 3, 40, 48), torch.rand(1, 3, 40, 48), 1)
    assert omega.shape == (1, 512)
    row = json.loads((workplace / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert {"mean", "grain", "jpeg", "attraction"} <= set(row)


def test_the_layout_of_weights_is_a_switch(workplace: Path) -> None:
    for last in (True, False):
        net = nn.Conv2d(3, 4, 3)
        seen: list[bool] = []

        def terms(model: nn.Module, step: int, net: nn.Module = net, seen: list = seen) -> Terms:
            seen.append(net.weight.is_contiguous(memory_format=torch.channels_last))
            return {"mean": model(torch.full((1, 3, 4, 4), float(step))).square().mean()}

        folder = workplace / f"run {last}"
        folder.mkdir()
        recipe = recipe_of(workplace, "steps=2", f"channels_last={str(last).lower()}")
        course = Course([Player("network", net, terms, recipe)])
        fit(course, recipe, folder, make_accelerator("fp32", device="cpu"))
        assert seen == [last, last]


def test_compiled_networks_learn_the_same_and_are_carried_on(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []

    def compile_eagerly(net: nn.Module) -> None:
        """Trace, but leave out the minutes of a compiler."""
        compiled.append(net)
        net._compiled_call_impl = torch.compile(net._call_impl, backend="eager")  # pyright: ignore[reportPrivateUsage]

    monkeypatch.setattr(nn.Module, "compile", compile_eagerly)

    def stop(done: int, total: int, text: str = "") -> None:
        del total, text
        if done == 667:  # the fourth step; the third is saved
            raise Stopped

    plain, _ = run_line(workplace / "plain", recipe_of(workplace, "steps=6"))
    with pytest.raises(Stopped):
        run_line(workplace / "run", recipe_of(workplace, "steps=6", "compile=true"), progress=stop)
    other, clock = run_line(workplace / "run", recipe_of(workplace, "steps=6", "compile=true"))
    assert clock.step == 6
    assert len(compiled) == 2
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor)


def test_a_run_that_gets_no_better_ends_with_its_best(workplace: Path) -> None:
    figures = iter([1.0, 3.0, 2.0, 2.5, 2.9, 9.0])
    overrides = ("steps=100", "validate_every=2", "watched=psnr", "patience=3", VALIDATION)
    recipe = recipe_of(workplace, *overrides, "save_every=1")
    seen: list[float] = []

    def validate(averages: Averages) -> dict[str, float]:
        seen.append(averages["network"].weight.item())
        return {"psnr": next(figures)}

    def stop(done: int, total: int, text: str = "") -> None:
        del total, text
        if done == 70:
            raise Stopped

    with pytest.raises(Stopped):
        run_line(workplace / "run", recipe, validate, progress=stop)
    net, clock = run_line(workplace / "run", recipe, validate)
    # The best at step 4, which is remembered over the stop, and three worse ones until step 10.
    assert clock.step == 10
    assert (clock.best, clock.stale) == (3.0, 3)
    assert net.weight.item() == seen[1] != seen[4]
    assert seen[5:] == seen[1:2]  # the last look is at what is returned
    again, clock = run_line(workplace / "run", recipe)
    assert (again.weight.item(), clock.step) == (seen[1], 10)


def test_patience_with_an_unknown_figure_is_told(workplace: Path) -> None:
    overrides = ("steps=9", "validate_every=2", "watched=psrn", "patience=1", VALIDATION)
    recipe = recipe_of(workplace, *overrides)
    with pytest.raises(RedegError, match=r"no figure 'psrn' .*did you mean 'psnr'"):
        run_line(workplace / "run", recipe, validate=lambda _net: {"psnr": 1.0})


def test_the_rate_falls_at_its_milestones(workplace: Path) -> None:
    schedule = ("schedule=step", "milestones=[60, 110]", "decay=0.1", "warm_up=0")
    recipe = recipe_of(workplace, "steps=150", "learning_rate=0.05", *schedule)
    run_line(workplace / "run", recipe)
    rows = read_manifest(workplace / "run" / "log.jsonl")
    assert [row["lr"] for row in rows] == pytest.approx([0.05, 0.005, 0.0005])


def test_the_rate_falls_when_the_validation_stands_still(workplace: Path) -> None:
    figures = iter([1, 2, 1, 1, 3, 1, 1, 1, 1, 1])
    schedule = ("schedule=plateau", "plateau=2", "decay=0.5", "warm_up=0", "watched=psnr")
    overrides = ("steps=10", "validate_every=1", "learning_rate=0.08", *schedule, VALIDATION)

    def validate(_averages: Averages) -> dict[str, float]:
        return {"psnr": float(next(figures))}

    def stop(done: int, total: int, text: str = "") -> None:
        del total, text
        if done == 700:
            raise Stopped

    recipe = recipe_of(workplace, *overrides, "save_every=1")
    with pytest.raises(Stopped):
        run_line(workplace / "run", recipe, validate, progress=stop)
    run_line(workplace / "run", recipe, validate)  # what it waited for is remembered
    rows = read_manifest(workplace / "run" / "log.jsonl")
    # Two no better than the 2, and twice two no better than the 3.
    assert [row["lr"] for row in rows] == pytest.approx(
        [0.08, 0.08, 0.08, 0.08, 0.04, 0.04, 0.04, 0.02, 0.02, 0.01]
    )


def test_what_a_killed_run_left_is_removed(workplace: Path) -> None:
    (workplace / "run").mkdir()
    (workplace / "run" / ".redeg-0123456789ab.pt").write_bytes(b"half a state")
    run_line(workplace / "run", recipe_of(workplace, "steps=2"))
    assert not list((workplace / "run").glob(".redeg-*"))


def test_the_last_validation_is_made_once(workplace: Path) -> None:
    looked: list[int] = []

    def validate(_averages: Averages) -> dict[str, float]:
        looked.append(len(looked))
        return {"psnr": float(len(looked))}

    accelerator = make_accelerator("fp32", device="cpu")
    recipe = recipe_of(workplace, "steps=4", "validate_every=2")
    for told in (2.0, 3.0):  # a finished run that is asked again looks once more
        course = Course([Player("network", nn.Linear(1, 1), line_terms, recipe, "")], validate)
        assert fit(course, recipe, workplace / "run", accelerator)[2] == {"psnr": told}


def test_too_little_memory_is_one_line(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (torch.OutOfMemoryError("CUDA out of memory"), MemoryError()):

        def exhausted(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("redeg_cli.train.training.fit", exhausted)
        with pytest.raises(RedegError, match="cpu has too little memory for batch = 2: give a sm"):
            train(recipe_of(workplace), workplace / "run", device="cpu")
