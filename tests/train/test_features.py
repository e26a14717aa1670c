"""Feature extractors: VGG-19 against torchvision's, and a filter bank that sees degradations."""

from pathlib import Path

import pytest
import skimage.data
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import VGG19_Weights, vgg

from redeg_cli.degrade.jpeg import jpeg
from redeg_cli.errors import ModelError
from redeg_cli.train.features import (
    LAYER_WEIGHTS,
    FeatureExtractor,
    FilterFeatures,
    Vgg19Features,
    layer_weights,
    make_features,
)
from redeg_cli.train.losses import Distance, feature_loss, style_loss
from redeg_cli.train.vgg import ESRGAN_LAYERS, _vgg19_layers

LOW = ("conv1_2", "conv2_2")
LOW_COUNT = 8
"""Modules of torchvision's features up to conv2_2: 260 thousand weights of 20 million."""


@pytest.fixture(autouse=True)
def _no_weights_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDEG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="module")
def torchvision_features() -> nn.Sequential:
    """torchvision's own network up to conv2_2, with random weights."""
    torch.manual_seed(0)
    return vgg.make_layers(vgg.cfgs["E"][:5], batch_norm=False)[:LOW_COUNT]


def state(features: nn.Module, prefix: str = "features.") -> dict[str, Tensor]:
    tensors = {f"{prefix}{name}": x for name, x in features.state_dict().items()}
    return {**tensors, "classifier.0.weight": torch.zeros(2, 2)}


@pytest.fixture
def checkpoint(tmp_path: Path, torchvision_features: nn.Sequential) -> Path:
    path = tmp_path / "vgg.pth"
    torch.save(state(torchvision_features), path)
    return path


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_the_layers_are_torchvisions_convolutions_before_their_relu() -> None:
    with torch.device("meta"):
        theirs = vgg.make_layers(vgg.cfgs["E"], batch_norm=False)
    convolutions = [i for i, module in enumerate(theirs) if isinstance(module, nn.Conv2d)]
    places = _vgg19_layers()
    assert list(places.values()) == convolutions
    last_of_blocks = [i - 2 for i, m in enumerate(theirs) if isinstance(m, nn.MaxPool2d)]
    assert [places[layer] for layer in ESRGAN_LAYERS] == last_of_blocks


def test_features_are_those_of_torchvision(
    checkpoint: Path, torchvision_features: nn.Sequential
) -> None:
    phi = Vgg19Features(checkpoint, LOW)
    batch = images(2, 3, 21, 34)
    x = VGG19_Weights.IMAGENET1K_V1.transforms()
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (x.mean, x.std))
    normalised = (batch - mean) / deviation
    found = phi(batch)
    assert list(found) == list(LOW)
    with torch.no_grad():  # layer by layer: their ReLU works in place
        wanted = {"conv1_2": torchvision_features[:3](normalised)}
        wanted["conv2_2"] = torchvision_features(normalised)
    for layer in LOW:
        torch.testing.assert_close(found[layer], wanted[layer])
    assert (found["conv2_2"] < 0).any()


def test_all_five_layers_at_the_sizes_they_have(tmp_path: Path) -> None:
    with torch.device("meta"):
        theirs = vgg.make_layers(vgg.cfgs["E"], batch_norm=False)
    # Zeros that share one byte in the file: the names and shapes of 80 MB.
    tensors = {n: torch.zeros(()).expand(x.shape) for n, x in state(theirs).items()}
    torch.save(tensors, tmp_path / "zeros.pth")
    assert (tmp_path / "zeros.pth").stat().st_size < 100_000
    found = Vgg19Features(tmp_path / "zeros.pth")(images(1, 3, 33, 48))
    shapes = {layer: list(x.shape[1:]) for layer, x in found.items()}
    assert shapes == {
        "conv1_2": [64, 33, 48],
        "conv2_2": [128, 16, 24],
        "conv3_4": [256, 8, 12],
        "conv4_4": [512, 4, 6],
        "conv5_4": [512, 2, 3],
    }


def test_a_features_part_alone_and_safetensors_do(
    tmp_path: Path, checkpoint: Path, torchvision_features: nn.Sequential
) -> None:
    part = tmp_path / "part.safetensors"
    save_file(dict(torchvision_features.state_dict()), part)
    batch = images(1, 3, 16, 16)
    wanted = Vgg19Features(checkpoint, LOW)(batch)
    torch.testing.assert_close(Vgg19Features(part, LOW)(batch), wanted)


def test_gradients_reach_the_images_and_not_the_weights(checkpoint: Path) -> None:
    phi = Vgg19Features(checkpoint, LOW)
    assert not phi.training
    assert not any(parameter.requires_grad for parameter in phi.parameters())
    made, truth = images(1, 3, 16, 16).requires_grad_(), images(1, 3, 16, 16, seed=1)
    feature_loss(phi(made), phi(truth), dict.fromkeys(LOW, 1.0)).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
    assert not any(x.requires_grad for x in phi(truth).values())


def test_weights_that_are_not_vgg19s_are_errors(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"features\.10\.weight is missing; not weights of VGG-19"):
        Vgg19Features(checkpoint)  # ends at conv2_2
    tensors = torch.load(checkpoint, weights_only=True)
    tensors["features.0.weight"] = torch.zeros(64, 1, 3, 3)
    torch.save(tensors, tmp_path / "gray.pth")
    with pytest.raises(ModelError, match=r"features\.0\.weight is \[64, 1, 3, 3\], wanted"):
        Vgg19Features(tmp_path / "gray.pth", LOW)
    with pytest.raises(ModelError, match=r"no layers \['conv6_1'\], but: conv1_1, "):
        Vgg19Features(checkpoint, ("conv1_2", "conv6_1"))
    with pytest.raises(ModelError, match="does not exist"):
        make_features("auto", tmp_path / "nowhere.pth")


def test_without_weights_auto_says_that_it_takes_filters(tmp_path: Path) -> None:
    phi = make_features("auto")
    assert phi.name == "filters"
    for text in ("no weights of VGG-19", "`redeg models download vgg19` (548 MB)"):
        assert text in phi.note
    assert "VGG" not in make_features("filters").note
    with pytest.raises(ModelError) as caught:
        make_features("vgg19")
    message = str(caught.value)
    assert "\n" not in message
    assert "run `redeg models download vgg19` (548 MB)" in message
    with pytest.raises(ModelError, match="filters take no weights"):
        make_features("filters", tmp_path / "any.pth")


@pytest.mark.parametrize(
    "place",
    [
        "home/features/vgg19.safetensors",
        "home/features/vgg19-dcbb9e9d.pth",
        "torch/hub/checkpoints/vgg19-dcbb9e9d.pth",
    ],
)
def test_auto_finds_weights_where_they_may_lie(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not weights at all")
    # Found, so read, so refused: a broken file is not passed over in silence.
    with pytest.raises(ModelError, match="is not a checkpoint"):
        make_features("auto")


def test_auto_takes_what_it_finds(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "home" / "features" / "vgg19-dcbb9e9d.pth"
    place.parent.mkdir(parents=True)
    checkpoint.rename(place)
    monkeypatch.setattr(Vgg19Features.__init__, "__defaults__", (None, LOW))
    phi = make_features("auto")
    assert phi.name == "vgg19"
    assert phi.note == f"features: VGG-19 of {place}"


def test_layer_weights_sum_to_the_same_for_filters(checkpoint: Path) -> None:
    filters: FeatureExtractor = FilterFeatures()
    for table, wanted in LAYER_WEIGHTS.items():
        weights = layer_weights(filters, table)
        assert list(weights) == list(filters.layers)
        assert sum(weights.values()) == pytest.approx(sum(wanted.values()))
    assert LAYER_WEIGHTS["released"]["conv3_4"] == 0.6
    assert LAYER_WEIGHTS["real-esrgan"]["conv2_2"] == 0.1
    vgg19 = Vgg19Features(checkpoint, LOW)
    vgg19.layers = ESRGAN_LAYERS
    assert layer_weights(vgg19, "paper") == LAYER_WEIGHTS["paper"]


# What the filter bank sees.

PHOTOS = {
    "astronaut": skimage.data.astronaut()[60:124, 180:244],
    "coffee": skimage.data.coffee()[100:164, 200:264],
    "chelsea": skimage.data.chelsea()[80:144, 120:184],
}
ON_PHOTOS = pytest.mark.parametrize("photo", PHOTOS)
PHI = FilterFeatures()
WEIGHTS = layer_weights(PHI, "paper")


def load(photo: str) -> Tensor:
    return torch.from_numpy(PHOTOS[photo].copy()).permute(2, 0, 1)[None].float() / 255


def blurred(image: Tensor, sigma: float) -> Tensor:
    x = torch.arange(-6, 7.0)
    line = torch.exp(-x.square() / (2 * sigma**2))
    kernel = (line[:, None] * line / line.sum() ** 2).expand(3, 1, 13, 13)
    return F.conv2d(F.pad(image, (6, 6, 6, 6), mode="replicate"), kernel, groups=3)


def noisy(image: Tensor, sigma: float, seed: int = 0) -> Tensor:
    return image + sigma * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))


def compressed(image: Tensor, quality: float) -> Tensor:
    return jpeg(image, torch.tensor([quality]), torch.tensor([True]))


@pytest.mark.parametrize("size", [(64, 64), (37, 61), (9, 5), (1, 1)])
def test_filters_take_any_size(size: tuple[int, int]) -> None:
    found = PHI(images(2, 3, *size))
    height, width = size
    for layer in PHI.layers:
        assert found[layer].shape == (2, 72, height, width)
        assert found[layer].isfinite().all()
        height, width = -(-height // 2), -(-width // 2)


def test_filters_by_hand() -> None:
    found = PHI(torch.full((1, 3, 16, 16), 0.5))["level0"][0, :, 8, 8]
    assert found[0].item() == pytest.approx(2.5, abs=1e-4)  # the tone: 5 times the luma
    assert found[1:-1].abs().max().item() < 1e-3
    # A wave of one DCT frequency answers in its own channel alone, by its amplitude.
    u = 2
    wave = torch.cos((2 * torch.arange(5.0) + 1) * u * torch.pi / 10)
    image = (0.5 + 0.1 * wave).view(1, 1, 1, 5).expand(1, 3, 5, 5)
    middle = PHI(image)["level0"][0, :, 2, 2]
    luma = middle[:25].clone()
    response = 0.1 * wave.square().sum().sqrt() * 5**0.5 * u / 0.13
    assert luma[u].item() == pytest.approx(response.item(), rel=1e-4)
    luma[[0, u]] = 0
    assert luma.abs().max() < 1e-3
    assert middle[25:37].abs().max() < 1e-3  # gray: nothing in Cb and Cr
    magnitude = (response**2 + 0.01).sqrt() - 0.1
    assert middle[37:][u - 1].item() == pytest.approx(magnitude.item(), rel=1e-4)
    deviation = (0.1**2 * wave.square().mean() + 1e-4).sqrt() / 0.13
    assert middle[-1].item() == pytest.approx(deviation.item(), rel=1e-3)


def test_filters_stay_in_float32_and_draw_nothing() -> None:
    batch = images(1, 3, 16, 16)
    before = torch.get_rng_state()
    wanted = FilterFeatures()(batch)
    assert torch.equal(torch.get_rng_state(), before)
    assert not list(FilterFeatures().state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(PHI(batch), wanted)


@ON_PHOTOS
@pytest.mark.parametrize("distance", ["squared", "l1"])
def test_losses_are_zero_on_equal_images_and_grow(photo: str, distance: Distance) -> None:
    clean = load(photo)
    truth = PHI(clean)
    rows = (
        [blurred(clean, sigma) for sigma in (0.6, 1.0, 1.6, 2.5)],
        [noisy(clean, sigma) for sigma in (0.01, 0.03, 0.08)],
        [compressed(clean, quality) for quality in (95, 60, 25, 8)],
    )
    for loss in (feature_loss, style_loss):
        assert loss(truth, truth, WEIGHTS, distance) == 0
        for row in rows:
            values = [loss(PHI(made), truth, WEIGHTS, distance).item() for made in row]
            assert values[0] > 0
            assert values == sorted(values)


@ON_PHOTOS
def test_the_gram_distance_tells_kinds_of_degradation_apart(photo: str) -> None:
    clean = load(photo)
    kinds = {
        "noise": (noisy(clean, 0.06), noisy(clean, 0.05, seed=1)),
        "blur": (blurred(clean, 1.5), blurred(clean, 1.3)),
        "jpeg": (compressed(clean, 20), compressed(clean, 25)),
    }
    for kind, (one, other) in kinds.items():
        phi_one = PHI(one)
        own = style_loss(phi_one, PHI(other), WEIGHTS)
        for foreign in (clean, *(x for k, pair in kinds.items() if k != kind for x in pair)):
            assert own < 0.9 * style_loss(phi_one, PHI(foreign), WEIGHTS)


def test_the_gram_distance_asks_for_grain_and_not_for_its_place() -> None:
    clean = load("coffee")
    truth, other, smooth = PHI(noisy(clean, 0.06)), PHI(noisy(clean, 0.06, seed=1)), PHI(clean)
    assert style_loss(other, truth, WEIGHTS) < 0.05 * style_loss(smooth, truth, WEIGHTS)
    # Pixel by pixel, no grain is better than other grain.
    assert feature_loss(other, truth, WEIGHTS) > feature_loss(smooth, truth, WEIGHTS)


def test_gradients_lead_from_a_blurred_image_to_the_sharp_one() -> None:
    clean = load("astronaut")
    made = blurred(clean, 1.5).requires_grad_()
    optimizer = torch.optim.Adam([made], 5e-3)
    truth = PHI(clean)
    start = (made - clean).square().mean().item()
    for _ in range(12):
        optimizer.zero_grad()
        feature_loss(PHI(made), truth, WEIGHTS, "l1").backward()
        optimizer.step()
    assert (made - clean).square().mean().item() < 0.6 * start
