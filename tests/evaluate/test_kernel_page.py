"""The page of kernels, in a browser: a pixel is clicked, its kernel is shown."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import Watched

from redeg_cli.errors import InputError
from redeg_cli.evaluate.kernel_page import write_kernel_page
from redeg_cli.evaluate.kernels import KernelSet, kernel_at

TITLE = '</script><b>"dml"</b>'


def kernels_of(height: int, width: int) -> KernelSet:
    """Two kernels; the first weighs 0 at the left and 1 at the right, the second 1 and 0."""
    ramp = torch.linspace(0, 1, width).expand(height, width)
    kernels = torch.zeros(2, 5, 5)
    kernels[0, 2, 2], kernels[1, 1:4, 1:4] = 1, 1 / 9
    return KernelSet(kernels, torch.stack([ramp, 1 - ramp]))


@pytest.fixture
def page(open_page: Callable[..., Watched], tmp_path: Path) -> Watched:
    picture = np.full((60, 100, 3), 0.5)
    write_kernel_page(tmp_path / "page.html", kernels_of(60, 100), picture, TITLE, (10, 20))
    watched = open_page(tmp_path / "page.html")
    watched.page.wait_for_function("document.getElementById('place').textContent !== ''")
    return watched


def text(watched: Watched, part: str) -> str:
    return watched.page.locator(f"#{part}").text_content()


def test_the_given_pixel_is_shown_first(page: Watched) -> None:
    assert text(page, "title") == TITLE
    assert text(page, "place") == "pixel 10,20"
    assert page.requests == []


def test_a_click_shows_the_kernel_of_the_pixel(page: Watched) -> None:
    box = page.page.locator("#map").bounding_box()
    page.page.mouse.click(box["x"] + 0.755 * box["width"], box["y"] + 0.51 * box["height"])
    assert text(page, "place") == "pixel 75,30"
    shown = torch.tensor(page.page.evaluate("kernelAt(...current)"))
    wanted = kernel_at(kernels_of(60, 100), 75, 30)
    torch.testing.assert_close(shown, wanted, atol=0.003, rtol=0)  # 256 levels of weights
    assert text(page, "facts").startswith("sum 1.00")
    labels = page.page.locator("#basis span").all_text_contents()
    assert [float(each) for each in labels] == pytest.approx([75 / 99, 24 / 99], abs=0.003)
    blue = page.page.evaluate(
        "[...byId('kernel').getContext('2d').getImageData(2, 2, 1, 1).data].slice(0, 3)"
    )
    assert blue == [9, 30, 77]  # the middle is what is most


def test_arrow_keys_move_and_stay_inside(page: Watched) -> None:
    page.page.locator("#map").focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowDown")
    assert text(page, "place") == "pixel 11,21"
    for _ in range(15):
        page.page.keyboard.press("ArrowLeft")
    assert text(page, "place") == "pixel 0,21"


def test_of_large_pictures_every_other_pixel_can_be_clicked(
    open_page: Callable[..., Watched], tmp_path: Path
) -> None:
    path = tmp_path / "large.html"
    write_kernel_page(path, kernels_of(30, 700), np.zeros((30, 700, 3)), "large", None)
    watched = open_page(path)
    watched.page.wait_for_function("document.getElementById('place').textContent !== ''")
    assert text(watched, "place") == "pixel 350,14"
    shown = torch.tensor(watched.page.evaluate("kernelAt(...current)"))
    wanted = kernel_at(kernels_of(30, 700), 350, 14)
    torch.testing.assert_close(shown, wanted, atol=0.003, rtol=0)


@pytest.mark.parametrize(
    ("kernels", "message"),
    [
        (KernelSet(torch.ones(1, 3, 3), None), "needs the weights of a picture"),
        (kernels_of(8, 9), "the picture is 6x5, the weights are for 9x8 pixels"),
    ],
)
def test_what_is_no_page(tmp_path: Path, kernels: KernelSet, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_kernel_page(tmp_path / "page.html", kernels, np.zeros((5, 6, 3)), "no", None)
    assert not (tmp_path / "page.html").exists()
