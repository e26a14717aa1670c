import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from paper_runs import make_place
from paper_runs import recipe_of as paper_recipe
from tiny_models import FACE
from torch import Tensor

from redeg_cli.errors import RecipeError
from redeg_cli.io.checkpoints import load_tensors
from redeg_cli.models import save_network
from redeg_cli.nets.face import FaceUNet
from redeg_cli.train import restorer as restorer_module
from redeg_cli.train import workers as workers_module
from redeg_cli.train.loop import make_accelerator
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import AnyRecipe, ReDegNetRecipe, RestorerRecipe
from redeg_cli.train.restorer import restorer_course
from redeg_cli.train.settled import check_settled, settle_recipe
from redeg_cli.train.training import train
from redeg_cli.train.workers import BatchMaker, worker_count

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked")


class Batch(NamedTuple):
    step: Tensor
    process: Tensor


def numbered(step: int) -> Batch:
    return Batch(torch.tensor([step, torch.get_num_threads()]), torch.tensor(os.getpid()))


@pytest.fixture
def maker() -> Iterator[Callable[..., BatchMaker]]:
    made: list[BatchMaker] = []

    def make(function: Callable = numbered, workers: int = 2) -> BatchMaker:
        made.append(BatchMaker(function, CPU, workers))
        return made[-1]

    yield make
    for each in made:
        each.close()


@linux
def test_workers_make_the_batches_of_the_steps_in_their_order(maker: Callable) -> None:
    batches = maker()
    made = [batches(step) for step in range(3, 12)]
    assert all(isinstance(batch, Batch) for batch in made)
    assert [batch.step.tolist() for batch in made] == [[step, 1] for step in range(3, 12)]
    assert os.getpid() not in {int(batch.process) for batch in made}
    assert len({int(batch.process) for batch in made}) <= 2


@linux
def test_a_run_may_go_on_elsewhere(maker: Callable) -> None:
    batches = maker()
    assert [int(batches(step).step[0]) for step in (0, 1, 7, 8, 2)] == [0, 1, 7, 8, 2]


def test_without_workers_the_run_makes_them(maker: Callable) -> None:
    batch = maker(workers=0)(5)
    assert batch.step[0] == 5
    assert batch.process == os.getpid()


def unlucky(step: int) -> Batch:
    if step == 2:
        raise RecipeError("'crop': too large")
    return numbered(step)


@linux
def test_an_error_is_that_of_its_step(maker: Callable) -> None:
    batches = maker(unlucky)
    assert [int(batches(step).step[0]) for step in (0, 1)] == [0, 1]
    with pytest.raises(RecipeError, match="'crop': too large"):
        batches(2)


@linux
def test_a_run_goes_on_without_workers_that_were_ended(
    maker: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    run = os.getpid()

    def deadly(step: int) -> Batch:
        if os.getpid() != run and step == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return numbered(step)

    batches = maker(deadly)
    with caplog.at_level(logging.WARNING):
        made = [batches(step) for step in range(8)]
    assert [int(batch.step[0]) for batch in made] == [*range(8)]
    assert int(made[-1].process) == run
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "--set workers=1" in caplog.text


@linux
def test_a_stop_is_not_theirs(maker: Callable) -> None:
    """Ctrl-C goes to the whole group of processes that a terminal runs."""
    batches = maker()
    process = int(batches(0).process)
    assert os.getpgid(process) != os.getpgid(os.getpid())


@linux
def test_workers_end_with_the_run(maker: Callable) -> None:
    batches = maker()
    process = int(batches(0).process)
    batches.close()
    assert ends(process)


@linux
def test_workers_end_with_a_run_that_is_killed() -> None:
    code = """
import os, time, torch
from redeg_cli.train.pairs import Pairs
from redeg_cli.train.workers import BatchMaker

def make(step):
    return Pairs(torch.tensor(os.getpid()), torch.zeros(()))

batches = BatchMaker(make, torch.device("cpu"), 2)
print(int(batches(0).lq), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        worker = int(run.stdout.readline())
        run.kill()
    assert ends(worker)


def ends(process: int) -> bool:
    """Whether a process is gone within ten seconds; who waits for its parent is gone too."""
    status = Path(f"/proc/{process}/stat")
    for _ in range(100):
        try:
            if status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("wanted", "device", "cores", "processes", "count"),
    [
        (None, CPU, 16, 1, 0),
        (None, CUDA, 1, 1, 0),
        (None, CUDA, 4, 1, 3),
        (None, CUDA, 64, 1, 8),
        (None, CUDA, 16, 4, 3),
        (None, torch.device("mps"), 8, 1, 0),
        (5, CPU, 2, 1, 5),
        (0, CUDA, 16, 1, 0),
    ],
    ids=str,
)
def test_how_many_workers(
    monkeypatch: pytest.MonkeyPatch,
    wanted: int | None,
    device: torch.device,
    cores: int,
    processes: int,
    count: int,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(workers_module, "cpu_cores", lambda: cores)
    monkeypatch.setenv("WORLD_SIZE", str(2 * processes))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert worker_count(wanted, device) == count


def test_elsewhere_than_on_linux_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert worker_count(None, CUDA) == 0
    assert worker_count(0, CUDA) == 0
    with pytest.raises(RecipeError, match="Linux"):
        worker_count(2, CUDA)


def restorer(folder: Path, overrides: tuple[str, ...]) -> AnyRecipe:
    own = ("lq_noise=0.5", "queue=4", *overrides)
    return load_recipe(folder / "restorer.toml", RestorerRecipe, own)


def redegnet(folder: Path, overrides: tuple[str, ...]) -> AnyRecipe:
    own = ("pseudo_share=0.5", f"pseudo_restorer={save_restorer(folder)}", *overrides)
    return load_recipe(folder / "redegnet.toml", ReDegNetRecipe, own)


def paper(folder: Path, overrides: tuple[str, ...]) -> AnyRecipe:
    return paper_recipe(make_place(folder), *overrides)


def save_restorer(folder: Path) -> Path:
    """Write a face restorer with random weights."""
    path = folder / "faces.safetensors"
    torch.manual_seed(1)
    save_network(path, "face-restorer", FACE, FaceUNet(**FACE).state_dict())
    return path


@linux
@pytest.mark.parametrize("recipe_of", [restorer, redegnet, paper])
def test_what_is_trained_is_the_same(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, recipe_of: Callable
) -> None:
    asked: list[int] = []
    taken = BatchMaker._taken
    monkeypatch.setattr(
        BatchMaker, "_taken", lambda self, step: asked.append(step) or taken(self, step)
    )
    weights = {}
    for workers in (0, 2):
        recipe = recipe_of(workplace, (f"workers={workers}", "steps=3", "save_every=9"))
        (file,) = train(recipe, workplace / str(workers), "cpu")
        weights[workers] = load_tensors(file)[0]
    assert asked == [0, 1, 2]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[2][name], tensor, rtol=0, atol=0)


@linux
def test_a_run_that_goes_on_may_have_others(workplace: Path) -> None:
    before = restorer(workplace, ("workers=1", "steps=3"))
    settle_recipe(workplace / "run", before)
    train(before, workplace / "run", "cpu")
    after = restorer(workplace, ("workers=2", "steps=5"))
    check_settled(workplace / "run", after)
    train(after, workplace / "run", "cpu")


@pytest.mark.parametrize("by", ["pool", "dml"])
def test_what_networks_make_the_run_makes_itself(workplace: Path, by: str) -> None:
    assert restorer(workplace, (f"{by}=any.file",)).by_network
    assert not restorer(workplace, ()).by_network


@linux
@pytest.mark.parametrize(("by", "count"), [("nothing", 2), ("a network", 0), ("SynNet", 0)])
def test_then_a_restorer_has_no_workers(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, by: str, count: int
) -> None:
    recipe = restorer(workplace, ("workers=2",))
    assert isinstance(recipe, RestorerRecipe)
    given: list[int] = []

    def make(function: Callable, device: torch.device, workers: int) -> BatchMaker:
        given.append(workers)
        return BatchMaker(function, device, workers)

    monkeypatch.setattr(restorer_module, "BatchMaker", make)
    monkeypatch.setattr(RestorerRecipe, "by_network", by == "a network")
    live = recipe.degraders() if by == "SynNet" else None
    restorer_course(recipe, make_accelerator("fp32", "cpu"), live=live).close()
    assert given == [count]
