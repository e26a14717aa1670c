"""The file that keeps a run: what it holds, whose it is, and a disk that is full."""

import errno
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from redeg_cli.errors import OutputError, RecipeError
from redeg_cli.train.muon import Muon
from redeg_cli.train.state import Clock, TrainingState

CPU = torch.device("cpu")


class Memory:
    """A keeper that keeps one number."""

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.value = state["value"]


def state_of(path: Path, seed: int, *names: str, keeper: Memory | None = None) -> TrainingState:
    torch.manual_seed(seed)
    networks = {name: nn.Linear(2, 3) for name in names or ("network",)}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in networks.items()}
    for name, net in networks.items():
        net(torch.rand(4, 2)).square().sum().backward()
        optimizers[name].step()
    averages = {"network": AveragedModel(networks["network"])}
    return TrainingState(path, networks, optimizers, averages, keeper)


def test_everything_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    kept = state_of(path, 0, "network", "discriminator", keeper=Memory(5))
    kept.save(Clock(7, 12.5, {"pixel": 0.5}))
    memory = Memory()
    other = state_of(path, 1, "network", "discriminator", keeper=memory)
    assert other.load(CPU) == Clock(7, 12.5, {"pixel": 0.5})
    assert memory.value == 5
    for name, network in kept.networks.items():
        torch.testing.assert_close(other.networks[name].state_dict(), network.state_dict())
        torch.testing.assert_close(
            other.optimizers[name].state_dict()["state"],
            kept.optimizers[name].state_dict()["state"],
        )
    torch.testing.assert_close(
        other.averages["network"].state_dict(), kept.averages["network"].state_dict()
    )


def test_a_state_of_before_a_figure_was_remembered_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    kept = state_of(path, 0)
    kept.save(Clock(7, 12.5, {}, best=3.0, watched="psnr"))
    found = torch.load(path, weights_only=True)
    del found["watched"]
    torch.save(found, path)
    clock = state_of(path, 1).load(CPU)
    assert (clock.step, clock.best, clock.watched) == (7, 3.0, "")
    clock.watch("psnr")
    assert clock.best == 3.0


@pytest.mark.parametrize("kind", [torch.optim.Adam, Muon])
def test_moments_are_laid_out_as_the_parameters_are(tmp_path: Path, kind: type) -> None:
    """Fused steps walk through both alike: else a run with another layout goes astray."""

    def moved(network: nn.Module) -> Tensor:
        torch.manual_seed(5)
        network(torch.rand(2, 3, 9, 9)).square().sum().backward()
        return network.weight.detach().clone()

    def begun(layout: torch.memory_format) -> TrainingState:
        torch.manual_seed(0)
        network = nn.Conv2d(3, 4, 3).to(memory_format=layout)
        options = {"fused": True} if kind is torch.optim.Adam else {}
        optimizer = kind(network.parameters() if options else network, lr=0.01, **options)
        return TrainingState(tmp_path / "state.pt", {"net": network}, {"net": optimizer}, {})

    after = []
    for layout in (torch.channels_last, torch.contiguous_format):
        first = begun(torch.channels_last)
        moved(first.networks["net"])
        first.optimizers["net"].step()
        first.save(Clock(1))
        second = begun(layout)
        second.load(CPU)
        moved(second.networks["net"])
        second.optimizers["net"].step()
        after.append(second.networks["net"].weight.detach().contiguous())
    torch.testing.assert_close(*after)


def test_a_run_without_a_state_begins(tmp_path: Path) -> None:
    assert state_of(tmp_path / "state.pt", 0, "network").load(CPU) == Clock()


def test_the_state_of_other_networks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    state_of(path, 0, "network", "discriminator").save(Clock(7))
    other = state_of(path, 1, "network")
    before = other.networks["network"].weight.clone()  # pyright: ignore[reportCallIssue]
    with pytest.raises(RecipeError, match=r"state\.pt is the state of another kind of run"):
        other.load(CPU)
    assert torch.equal(other.networks["network"].weight, before)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("found", [b"", b"half a file", pickle.dumps(print), None])
def test_what_is_no_state_is_refused(tmp_path: Path, found: bytes | None) -> None:
    path = tmp_path / "state.pt"
    state = state_of(path, 0, "network")
    state.save(Clock(7))
    path.write_bytes(path.read_bytes()[:-100] if found is None else found)
    with pytest.raises(RecipeError, match=r"state\.pt is no state of a run, or damaged: remove"):
        state.load(CPU)


def test_a_list_is_no_state(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "state.pt")
    with pytest.raises(RecipeError, match="another kind of run"):
        state_of(tmp_path / "state.pt", 0, "network").load(CPU)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.pt"
    state = state_of(path, 0, "network")
    state.save(Clock(7))
    before = path.read_bytes()

    def full(_obj: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        state.save(Clock(8))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_torch_itself_meets_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.save to a path reports a RuntimeError of its own, not an OSError."""
    path = tmp_path / "state.pt"
    state = state_of(path, 0, "network")
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda obj, _file: save(obj, "/dev/full"))
    with pytest.raises(OutputError, match=r"cannot write .*state\.pt"):
        state.save(Clock(8))
    assert list(tmp_path.iterdir()) == []


def test_another_figure_that_is_watched_has_no_best_yet() -> None:
    clock = Clock()
    clock.watch("a")
    clock.judge({"a": 5.0, "b": 1.0}, "a")
    clock.judge({"a": 4.0, "b": 1.0}, "a")
    clock.watch("a")
    assert (clock.best, clock.stale) == (5.0, 1)
    clock.watch("b")
    assert (clock.best, clock.stale) == (None, 0)
