"""PSNR, SSIM and MS-SSIM against scikit-image, SciPy, torchmetrics and closed forms; what is there.

What pyiqa and torchmetrics compute is compared with them; without pyiqa those tests are skipped.
"""

import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import skimage.data
import skimage.metrics
import torch
import torchvision
from torch import Tensor
from torch.nn import functional as F

from redeg_cli.errors import MetricError, ModelError
from redeg_cli.evaluate import with_pyiqa
from redeg_cli.evaluate.fetch import fetch_pyiqa, fetchable
from redeg_cli.evaluate.metrics import METRICS, View, load_metric, luma, versions, why_unavailable
from redeg_cli.ssim import MS_SSIM_LEAST, ms_ssim, ssim
from redeg_cli.train.lpips import Lpips

CPU = torch.device("cpu")
HAS_PYIQA = find_spec("pyiqa") is not None


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the weights of this machine."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("REDEG_HOME", str(tmp_path / "redeg"))


def pairs(count: int = 2, height: int = 60, width: int = 71) -> tuple[Tensor, Tensor]:
    """Return results and references of 8 bits: crops of a photo, blurred and noisy."""
    generator = torch.Generator().manual_seed(4)
    photo = torch.from_numpy(skimage.data.coffee()).permute(2, 0, 1).float() / 255
    crops = [photo[:, 20 * k : 20 * k + height, 30 * k : 30 * k + width] for k in range(count)]
    references = torch.stack(crops)
    results = F.avg_pool2d(references, 3, 1, 1)
    results = results + torch.randn(results.shape, generator=generator) * 0.03
    return (results.clamp(0, 1) * 255).round() / 255, references


def arrays(images: Tensor) -> list[np.ndarray]:
    return [image.permute(1, 2, 0).double().numpy() for image in images]


def reference_ssim(result: np.ndarray, reference: np.ndarray, axis: int | None = -1) -> float:
    value = skimage.metrics.structural_similarity(
        result,
        reference,
        channel_axis=axis,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
    )
    return float(value)  # pyright: ignore[reportArgumentType]


def reference_ms_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Work out eq. 7 of Wang et al. 2003 on planes, in float64 with SciPy's Gaussian."""

    def blur(plane: np.ndarray) -> np.ndarray:
        return scipy.ndimage.gaussian_filter(plane, 1.5, radius=5)[5:-5, 5:-5]

    product = 1.0
    exponents = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, exponent in enumerate(exponents):
        mean_x, mean_y = blur(x), blur(y)
        covariance = blur(x * y) - mean_x * mean_y
        variances = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
        term = (2 * covariance + 0.03**2) / (variances + 0.03**2)
        if scale == len(exponents) - 1:
            term = term * (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        product *= term.mean() ** exponent
        x, y = (np.pad(p, [(0, n % 2) for n in p.shape], mode="symmetric") for p in (x, y))
        x, y = ((p[::2] + p[1::2])[:, ::2] / 4 + (p[::2] + p[1::2])[:, 1::2] / 4 for p in (x, y))
    return product


def test_psnr_is_scikit_images() -> None:
    results, references = pairs()
    expected = [
        skimage.metrics.peak_signal_noise_ratio(reference, result, data_range=1)
        for result, reference in zip(arrays(results), arrays(references), strict=True)
    ]
    got = load_metric("psnr", View(), CPU)(results, references)
    assert got.tolist() == pytest.approx(expected, abs=1e-4)


def test_psnr_of_a_constant_difference_and_of_equal_images() -> None:
    images = torch.rand(1, 3, 9, 9) * 0.5
    score = load_metric("psnr", View(), CPU)
    assert score(images + 0.1, images).item() == pytest.approx(20, abs=1e-4)
    assert score(images, images).item() == math.inf


@pytest.mark.parametrize(("height", "width"), [(60, 71), (11, 40), (33, 11)])
def test_ssim_is_scikit_images(height: int, width: int) -> None:
    results, references = pairs(2, height, width)
    expected = [
        reference_ssim(result, reference)
        for result, reference in zip(arrays(results), arrays(references), strict=True)
    ]
    assert ssim(results, references).tolist() == pytest.approx(expected, abs=1e-5)


def test_ssim_of_nearly_flat_bright_images_keeps_its_digits() -> None:
    """Where variances are small differences of large moments."""
    generator = torch.Generator().manual_seed(5)
    reference = 0.9 + torch.rand(1, 3, 64, 64, generator=generator) * 0.02
    result = reference + torch.randn(reference.shape, generator=generator) * 0.01
    expected = reference_ssim(arrays(result)[0], arrays(reference)[0])
    assert ssim(result, reference).item() == pytest.approx(expected, abs=1e-5)


def test_ssim_of_constant_images_is_its_luminance_term() -> None:
    one, other = torch.full((1, 3, 20, 20), 0.2), torch.full((1, 3, 20, 20), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(one, other).item() == pytest.approx(expected, abs=1e-4)


def test_ssim_is_torchmetrics_without_its_border() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    results, references = pairs()
    _, whole = structural_similarity_index_measure(
        results, references, data_range=1.0, reduction="none", return_full_image=True
    )
    expected = whole[..., 5:-5, 5:-5].mean((1, 2, 3))
    torch.testing.assert_close(ssim(results, references), expected, atol=1e-5, rtol=0)


def test_ms_ssim_is_worked_out_as_its_paper_says() -> None:
    results, references = pairs(1, 165, 180)  # odd sides at several scales
    results, references = results.mean(1, keepdim=True), references.mean(1, keepdim=True)
    expected = reference_ms_ssim(*(image[0, 0].double().numpy() for image in (results, references)))
    assert ms_ssim(results, references).item() == pytest.approx(expected, abs=1e-5)


def test_ms_ssim_of_opposites_is_zero_and_not_nan() -> None:
    image = torch.rand(1, 3, MS_SSIM_LEAST, MS_SSIM_LEAST)
    assert ms_ssim(1 - image, image).item() == 0
    assert ms_ssim(image, image).item() == pytest.approx(1)


@pytest.mark.parametrize("name", ["psnr", "ssim", "ms-ssim"])
def test_the_order_of_the_two_does_not_matter_and_batches_do_not(name: str) -> None:
    results, references = pairs(2, 161, 170)
    score = load_metric(name, View(), CPU)
    values = score(results, references)
    assert values.shape == (2,)
    assert values.dtype == torch.float32
    torch.testing.assert_close(score(references, results), values, rtol=1e-5, atol=0)
    alone = torch.cat([score(results[k : k + 1], references[k : k + 1]) for k in range(2)])
    torch.testing.assert_close(alone, values, rtol=1e-6, atol=0)
    flipped = score(results.flip(-1), references.flip(-1))
    torch.testing.assert_close(flipped, values, rtol=1e-3, atol=0)


def test_ssim_of_cpus_and_of_other_devices_are_one_number() -> None:
    """The CPU goes plane by plane, others take all at once."""
    from redeg_cli.ssim import _gaussian, _plane_terms

    results, references = pairs()
    at_once = _plane_terms(results, references, _gaussian())[..., 0].mean(1)
    torch.testing.assert_close(ssim(results, references), at_once, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("rgb", "y"),
    [
        # Recommendation BT.601 studio levels, as rgb2ycbcr of MATLAB has them.
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
        ((128, 128, 128), 16 + 219 * 128 / 255),
    ],
)
def test_y_is_that_of_matlab(rgb: tuple[int, int, int], y: float) -> None:
    pixel = torch.tensor(rgb).view(1, 3, 1, 1) / 255
    assert 255 * luma(pixel).item() == pytest.approx(y, abs=1e-4)


def test_the_view_is_what_is_compared() -> None:
    results, references = pairs()
    inner = (..., slice(3, -3), slice(3, -3))
    planes = [luma(images)[inner] for images in (results, references)]
    expected = [
        reference_ssim(result[..., 0], reference[..., 0], None)
        for result, reference in zip(*(arrays(plane) for plane in planes), strict=True)
    ]
    got = load_metric("ssim", View("y", 3), CPU)(results, references)
    assert got.tolist() == pytest.approx(expected, abs=1e-5)
    damaged = results.clone()
    damaged[..., :3, :] = 0  # outside the view
    assert torch.equal(load_metric("ssim", View("y", 3), CPU)(damaged, references), got)


def test_metrics_with_colours_of_their_own_get_rgb_of_any_view() -> None:
    image = pairs(1, 200, 110)[1]
    values = [load_metric("niqe", View(colour, 4), CPU)(image, None) for colour in ("rgb", "y")]
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], load_metric("niqe", View(), CPU)(image, None))


@pytest.mark.parametrize("crop", [-1, 5])
def test_a_border_that_leaves_nothing_is_said(crop: int) -> None:
    images = torch.rand(1, 3, 12, 10)
    with pytest.raises(MetricError, match=f"border of {crop} pixels cannot be cut off 10x12"):
        load_metric("psnr", View(crop=crop), CPU)(images, images)


def test_wrong_images_are_said() -> None:
    score = load_metric("ssim", View(), CPU)
    with pytest.raises(MetricError, match="result is 20x30 and its reference 20x31"):
        score(torch.rand(1, 3, 30, 20), torch.rand(1, 3, 31, 20))
    with pytest.raises(MetricError, match="ssim compares with a reference"):
        score(torch.rand(1, 3, 30, 20), None)
    with pytest.raises(MetricError, match="10x30 is too small for SSIM: wanted 11 pixels"):
        score(torch.rand(1, 3, 30, 10), torch.rand(1, 3, 30, 10))
    with pytest.raises(MetricError, match="200x160 is too small for MS-SSIM: wanted 161 pixels"):
        load_metric("ms-ssim", View(), CPU)(*(torch.rand(2, 1, 3, 160, 200)))
    with pytest.raises(MetricError, match=r"no metric 'simm' \(did you mean 'ssim'\?\): one of"):
        load_metric("simm", View(), CPU)


def test_the_table_names_its_metrics_in_order() -> None:
    names = "psnr ssim ms-ssim lpips dists nlpd niqe brisque piqe nrqm pi nima"
    assert " ".join(METRICS) == names
    assert all(metric.name == name for name, metric in METRICS.items())
    own = [name for name, metric in METRICS.items() if metric.package == "redeg"]
    assert own == ["psnr", "ssim", "ms-ssim", "lpips", "niqe"]
    assert all(why_unavailable(name) is None for name in own if name != "lpips")
    assert set(versions(own)) == {"redeg"}


def test_without_its_weights_a_metric_is_unavailable_and_says_what_brings_them() -> None:
    assert "redeg models download alexnet" in (why_unavailable("lpips") or "")
    with pytest.raises(MetricError, match=r"lpips cannot be computed: .*`redeg models download"):
        load_metric("lpips", View(), CPU)


def test_without_pyiqa_its_metrics_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_pyiqa, "find_spec", lambda _: None)
    for name, metric in METRICS.items():
        if metric.package == "pyiqa":
            assert "pip install 'redeg[metrics]'" in (why_unavailable(name) or "")
            with pytest.raises(MetricError, match=f"{name} cannot be computed: it needs"):
                load_metric(name, View(), CPU)


def test_every_metric_of_pyiqa_that_has_weights_can_be_fetched() -> None:
    named = {name: metric.weights for name, metric in METRICS.items() if metric.package == "pyiqa"}
    assert fetchable() == [name for name, weights in named.items() if weights]
    assert all(weights == f"pyiqa-{name}" for name, weights in named.items() if weights)
    with pytest.raises(MetricError, match=r"pyiqa-dist \(did you mean 'dists'\?\)"):
        fetch_pyiqa("dist")


def test_lpips_is_that_of_training_with_the_weights_that_are_here() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        alexnet = torchvision.models.alexnet(weights=None)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True)
    state = {f"features.{name}": x for name, x in alexnet.features.state_dict().items()}
    torch.save(state, folder / "alexnet-owt-7be5be79.pth")
    results, references = pairs(2, 70, 80)
    score = load_metric("lpips", View("y", 3), CPU)
    inside = (..., slice(3, -3), slice(3, -3))  # cropped, but in colour
    expected = Lpips()(results[inside], references[inside])
    torch.testing.assert_close(score(results, references), expected)
    assert torch.equal(score(results, results), torch.zeros(2))
    with pytest.raises(MetricError, match="lpips has no value for 9x9: "):
        score(results[..., :9, :9], references[..., :9, :9])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not HAS_PYIQA, reason="pyiqa is not installed")
class TestPyiqa:
    """What pyiqa computes, where it is installed."""

    def test_values_are_those_of_pyiqa(self) -> None:
        import pyiqa

        results, references = pairs()
        nlpd = pyiqa.create_metric("nlpd", device=CPU)(results, references)
        got = load_metric("nlpd", View("y"), CPU)(results, references)
        torch.testing.assert_close(got, nlpd.flatten())
        inside = results[..., 2:-2, 2:-2]
        piqe = pyiqa.create_metric("piqe", device=CPU)(inside)
        got = load_metric("piqe", View(crop=2), CPU)(results, None)
        torch.testing.assert_close(got, piqe.flatten())

    def test_a_metric_with_its_weights_in_the_cache_is_loaded_from_there(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import pyiqa

        assert "`redeg models download pyiqa-brisque`" in (why_unavailable("brisque") or "")
        cache = Path(torch.hub.get_dir()) / "pyiqa"
        cache.mkdir(parents=True)
        monkeypatch.setattr("pyiqa.utils.download_util.DEFAULT_CACHE_DIR", str(cache))
        generator = torch.Generator().manual_seed(1)
        machine = torch.rand(20, generator=generator), torch.rand(20, 36, generator=generator)
        path = cache / "brisque_svm_weights.pth"
        torch.save(machine, path)
        results, _ = pairs()
        theirs = pyiqa.create_metric("brisque", device=CPU, pretrained_model_path=str(path))
        got = load_metric("brisque", View(), CPU)(results, None)
        torch.testing.assert_close(got, theirs(results).flatten())

    @pytest.mark.parametrize("name", fetchable())
    def test_the_files_are_called_as_pyiqa_calls_them(self, name: str) -> None:
        import importlib

        modules = ["nrqm", "niqe"] if name == "pi" else [name]
        urls = [
            url
            for module in modules
            for url in importlib.import_module(
                f"pyiqa.archs.{module}_arch"
            ).default_model_urls.values()
        ]
        own = [file for file in with_pyiqa.WEIGHTS[name] if file.startswith("pyiqa/")]
        assert own
        assert all(any(url.endswith(file.removeprefix("pyiqa/")) for url in urls) for file in own)

    def test_what_cannot_be_fetched_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> torch.nn.Module:
            raise OSError("the line is down\nmore")

        monkeypatch.setattr(with_pyiqa, "create", refuse)
        with pytest.raises(
            ModelError, match=r"not fetch the weights of brisque: the line is down$"
        ):
            fetch_pyiqa("brisque")

    def test_nothing_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        load_metric("nlpd", View(), CPU)
        assert capsys.readouterr().out == ""


def test_other_metrics_do_not_wait_for_torchvision() -> None:
    code = "import sys, redeg_cli.evaluate.metrics; print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
