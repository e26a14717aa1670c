"""The released ReDegNet and F2N-ESRGAN: names, shapes and outputs, through our own import.

The reference outputs were made by the released networks with weights drawn by a rule from the
tensors' names, so that no released weights are needed here.
"""

import copy
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from redeg_cli import imports, models
from redeg_cli.nets.degnet import DegNet, SpectralConv, crop_starts
from redeg_cli.nets.rrdb import RRDBNet
from redeg_cli.nets.synnet import ReDegNet, SynNetEncoder, SynNetGenerator

DATA = Path(__file__).parents[1] / "data" / "official"
LAYOUT: dict[str, dict[str, list[int]]] = json.loads((DATA / "state_dict_layout.json").read_text())
FILES = {
    "net_deg": "net_deg_init.pth",
    "net_synE": "net_synE_init.pth",
    "net_synG": "net_synG_init.pth",
    "net_f2n": "net_f2n_g.pth",
}


def draw(name: str, shape: list[int]) -> np.ndarray:
    """Return the values of one tensor under the rule of the reference."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    values = random.standard_normal(int(np.prod(shape))).reshape(shape)
    if len(shape) <= 1:
        return values * 0.1 + (1 if name.endswith("modulation.bias") else 0)
    return values / np.sqrt(np.prod(shape[1:])) if len(shape) in (2, 4) else values


def draw_network(layout: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """Return a whole state dict; u and v make W = weight_orig / (uᵀ W v) well scaled."""
    values = {name: draw(name, shape) for name, shape in layout.items()}
    for name in [name for name in values if name.endswith(".weight_orig")]:
        stem = name.removesuffix("_orig")
        matrix = values[name].reshape(len(values[name]), -1)
        v = values[f"{stem}_v"] / np.linalg.norm(values[f"{stem}_v"])
        u = matrix @ v
        u *= np.sqrt(matrix.shape[1] / matrix.shape[0]) / np.linalg.norm(u)
        values[f"{stem}_u"], values[f"{stem}_v"] = u, v
    return {name: torch.from_numpy(np.float32(value)) for name, value in values.items()}


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the larger of the relative errors in the 2-norm and in the maximum norm."""
    assert got.shape == wanted.shape
    difference = got - wanted
    return max(
        float(difference.norm() / wanted.norm()),
        float(difference.abs().max() / wanted.abs().max()),
    )


@pytest.fixture(scope="module")
def reference() -> dict[str, torch.Tensor]:
    with np.load(DATA / "parity.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Write the release's four files, import them and take the files away."""
    folder = tmp_path_factory.mktemp("release")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDEG_HOME", str(tmp_path_factory.mktemp("home")))
        for net, file in FILES.items():
            torch.save({"params": draw_network(LAYOUT[net])}, folder / file)
        written = imports.import_path(folder)
        assert [path.stem for path in written] == ["redegnet", "f2n"]
        for file in FILES.values():
            (folder / file).unlink()
        yield
        for path in written:
            path.unlink()


@pytest.mark.parametrize(
    ("net", "make"),
    [
        ("net_deg", DegNet),
        ("net_synE", SynNetEncoder),
        ("net_synG", SynNetGenerator),
        ("net_f2n", RRDBNet),
    ],
)
def test_names_and_shapes(net: str, make: type[torch.nn.Module]) -> None:
    with torch.device("meta"):
        state = make().state_dict()
    # Order too: it is what a reader of two listings compares.
    assert [(k, list(v.shape)) for k, v in state.items()] == list(LAYOUT[net].items())


@pytest.mark.usefixtures("imported")
@torch.no_grad()
def test_redegnet_outputs(reference: dict[str, torch.Tensor]) -> None:
    net = models.load_redegnet("redegnet")
    assert isinstance(net, ReDegNet)
    hq, lq, omega = reference["hq"][None], reference["lq"][None], reference["omega"]
    assert relative_error(net.degnet(torch.cat([hq, lq], dim=1)), omega) < 1e-4
    synthesised = net.generator(omega, *net.encoder(hq))[0]
    assert relative_error(synthesised, reference["synthesised"]) < 1e-4
    # The picture is nearly flat, so its deviations are held to the same limit by themselves.
    flat = [x - x.mean(dim=(1, 2), keepdim=True) for x in (synthesised, reference["synthesised"])]
    assert relative_error(flat[0], flat[1]) < 1e-4

    # The same through the public border, in [0, 1] and with two pictures at once.
    hq01, lq01 = (torch.cat([x, x.flip(-1)]) / 2 + 0.5 for x in (hq, lq))
    assert relative_error(net.extract(hq01, lq01, 4)[:1], omega) < 1e-4
    assert float((net.extract(hq01, lq01, 4)[1] - omega[0]).norm()) > 1e-2
    both = net.synthesise(hq01, torch.cat([omega, -omega]))
    assert relative_error(both[0] * 2 - 1, reference["synthesised"]) < 1e-4
    assert relative_error(both[:1], net.synthesise(hq01[:1], omega)) < 1e-5
    assert float((both[1].flip(-1) - both[0]).abs().max()) > 1e-3


@pytest.mark.usefixtures("imported")
def test_f2n_output(reference: dict[str, torch.Tensor]) -> None:
    restorer = models.load_restorer("f2n", 4)
    small = reference["hq"][None, :, :64, :64]
    with torch.no_grad():
        restored = restorer.network(small)
    assert relative_error(restored[0], reference["restored"]) < 1e-4
    # [-1, 1] inside, [0, 1] outside: the wrapper must give the same picture, clamped.
    restorer.network.forward = lambda x: x.repeat_interleave(4, -1).repeat_interleave(4, -2)
    small01 = (small + 1) / 2
    assert relative_error(restorer(small01)[..., ::4, ::4], small01) < 1e-6


@torch.no_grad()
def test_sizes_are_padded_and_cut() -> None:
    torch.manual_seed(0)
    net = ReDegNet().eval()
    hq, omega = torch.rand(1, 3, 64, 40), torch.randn(1, 512)
    made = net.synthesise(hq, omega)
    assert made.shape == hq.shape
    assert 0 <= made.min() <= made.max() <= 1
    mirrored = torch.cat([hq, hq[..., 15:39].flip(-1)], dim=-1)
    assert torch.equal(made, net.synthesise(mirrored, omega)[..., :40])
    with pytest.raises(ValueError, match=r"Ω must be \(B, 512\)"):
        net.synthesise(hq, omega[:, :100])


@torch.no_grad()
def test_omega_of_other_sizes() -> None:
    torch.manual_seed(0)
    net = ReDegNet().eval()
    hq, lq = torch.rand(1, 3, 256, 400), torch.rand(1, 3, 256, 400)
    left, right = (net.extract(hq[..., x : x + 256], lq[..., x : x + 256]) for x in (0, 144))
    assert relative_error(net.extract(hq, lq), (left + right) / 2) < 1e-5
    # A native LQ is brought onto the HQ grid; a constant one is the same there exactly.
    gray = torch.full_like(lq, 0.25)
    native = net.extract(hq, gray[..., :64, :100], 4)
    assert relative_error(native, net.extract(hq, gray, 4)) < 1e-4
    assert net.extract(hq[..., :50, :70], lq[..., :50, :70]).shape == (1, 512)
    assert crop_starts(256) == [0]
    assert crop_starts(3000) == [0, 1372, 2744]
    with pytest.raises(ValueError, match="256, 256"):
        net.degnet(torch.zeros(1, 6, 128, 128))


def test_spectral_normalisation_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours = SpectralConv(5, 7, stride=2)
    theirs = torch.nn.utils.spectral_norm(torch.nn.Conv2d(5, 7, 3, 2, 1), eps=1e-12)
    theirs.load_state_dict(ours.state_dict())
    image = torch.randn(2, 5, 9, 8)
    for training in (True, True, False):
        outputs = [net.train(training)(image) for net in (ours, theirs)]
        assert torch.allclose(outputs[0], outputs[1], atol=1e-6)
        gradients = [
            torch.autograd.grad(output.square().sum(), net.weight_orig)[0]
            for output, net in zip(outputs, (ours, theirs), strict=True)
        ]
        assert gradients[0].norm() > 0.1
        assert torch.allclose(gradients[0], gradients[1], atol=1e-4)
        assert torch.allclose(ours.weight_u, theirs.weight_u, atol=1e-6)
    # Autocast changes the convolution's precision, not that of the normalisation.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert relative_error(ours(image).detach().float(), outputs[0].detach()) < 2e-2
    # After a training step an average of the network can still be made by copying it.
    ours(image).sum().backward()
    twin = copy.deepcopy(ours)
    assert torch.equal(twin.eval()(image), ours.eval()(image))
    # Two forward passes before one backward pass, as adversarial training does.
    ours.train()
    (ours(image).sum() + ours(image).sum()).backward()
