"""The spectra of a pool of noise, where they are known."""

import numpy as np
import pytest
from estimated import SIGMA, noise_pool
from scipy.ndimage import uniform_filter1d

from redeg_cli.evaluate.noise_sheet import noise_sheet, noise_spectra, radial_spectrum


def test_the_spectrum_of_white_noise_is_even_and_of_its_power() -> None:
    patches = noise_pool(300).patches.astype(np.float32) * 255
    spectra = noise_spectra(patches)
    power = 20 * np.log10(SIGMA * 255)
    # The same noise in three channels of its own: the luma has the root of the weights' squares.
    share = 20 * np.log10(np.linalg.norm([0.299, 0.587, 0.114]))
    assert spectra["luma"].mean() == pytest.approx(power + share, abs=0.2)
    frequencies, values = radial_spectrum(spectra["luma"])
    assert np.ptp(values) < 1
    assert frequencies[0] < 0.05
    assert frequencies[-1] > 0.45


def test_what_is_smooth_along_the_rows_has_little_at_their_high_frequencies() -> None:
    patches = noise_pool(100).patches.astype(np.float32) * 255
    smooth = uniform_filter1d(patches, 3, axis=2, mode="wrap")
    spectrum = noise_spectra(smooth)["luma"]
    middle = spectrum.shape[0] // 2
    assert spectrum[:, middle].mean() > spectrum[:, 1].mean() + 8
    assert np.ptp(spectrum.mean(1)) < 2


def test_the_sheet_is_larger_with_more_patches() -> None:
    few, many = noise_sheet(noise_pool(2)), noise_sheet(noise_pool(20))
    assert few.shape[2] == many.shape[2] == 3
    assert few.shape[0] < many.shape[0]
    assert 0 <= many.min() < many.max() <= 1
