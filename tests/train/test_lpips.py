"""LPIPS against torchmetrics' own, on an AlexNet of random weights."""

from pathlib import Path

import pytest
import torch
from torchmetrics.image import LearnedPerceptualImagePatchSimilarity
from torchvision.models import alexnet

from redeg_cli.errors import ModelError
from redeg_cli.train.lpips import FilterLpips, Lpips


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AlexNet as torchvision publishes it, its classifier (58 M numbers) left out."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("alexnet") / "alexnet-owt-7be5be79.pth"
    state = {f"features.{n}": x for n, x in alexnet().features.state_dict().items()}
    torch.save({**state, "classifier.9.bias": torch.zeros(2)}, path)
    return path


def images(seed: int, side: int = 64) -> torch.Tensor:
    return torch.rand((2, 3, side, side), generator=torch.Generator().manual_seed(seed))


def test_it_is_that_of_torchmetrics(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def theirs(**_: object) -> torch.nn.Module:
        made = alexnet()
        made.load_state_dict(torch.load(checkpoint, weights_only=True), strict=False)
        return made

    with monkeypatch.context() as patched:
        patched.setattr("torchvision.models.alexnet", theirs)
        reference = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
    made, truth = images(0), images(1)
    wanted = reference.net(made, truth, normalize=True).flatten()
    found = Lpips(checkpoint)(made, truth)
    assert wanted.min() > 0
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-7)


def test_it_is_zero_for_equals_and_symmetric(checkpoint: Path) -> None:
    lpips = Lpips(checkpoint)
    assert lpips(images(0), images(0)).tolist() == [0, 0]
    torch.testing.assert_close(lpips(images(0), images(1)), lpips(images(1), images(0)))


def test_gradients_reach_the_images_alone(checkpoint: Path) -> None:
    lpips = Lpips(checkpoint)
    made = images(0).requires_grad_()
    lpips(made, images(1)).mean().backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in lpips.parameters())


def test_without_weights_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDEG_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="run `redeg models download alexnet`"):
        Lpips()
    torch.save({"features.0.weight": torch.zeros(64, 1, 11, 11)}, tmp_path / "gray.pth")
    with pytest.raises(ModelError, match=r"gray\.pth: 0\.weight is \[64, 1, 11, 11\], wanted"):
        Lpips(tmp_path / "gray.pth")


def test_the_substitute_grows_with_what_differs() -> None:
    substitute = FilterLpips()
    truth = images(0)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))
    little, much = ((truth + share * noise).clamp(0, 1) for share in (0.02, 0.2))
    assert substitute(truth, truth).tolist() == [0] * len(truth)
    assert bool((substitute(little, truth) < substitute(much, truth)).all())
    made = little.requires_grad_(True)
    substitute(made, truth).mean().backward()
    assert made.grad is not None
    assert bool(made.grad.isfinite().all())
