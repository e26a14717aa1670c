"""What several folders of tests use: a browser, started once and only where there is one, empty
folders of models, and a checkpoint as others publish theirs."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from browser import ARGUMENTS, Watched, find_chromium

from redeg_cli import imports, models

# Tests run beside each other, on small networks that a second thread only slows down.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Playwright's browser; the test is skipped where there is no Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = find_chromium()
    if executable is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Watched]]:
    """Open a file in a page of its own; at the end it must have had nothing to complain of."""
    opened: list[Watched] = []

    def open_file(path: Path, width: int = 900, height: int = 700, **settings: Any) -> Watched:
        context = chromium.new_context(viewport={"width": width, "height": height}, **settings)
        watched = Watched(context.new_page(), path.absolute())
        watched.watch()
        opened.append(watched)
        watched.page.goto(watched.file.as_uri())
        watched.page.wait_for_load_state("load")
        return watched

    yield open_file
    for watched in opened:
        assert watched.complaints == []
        watched.page.context.close()


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Keep a test away from the real weights and the user's own folder."""
    torch.manual_seed(0)
    own, user = tmp_path / "embedded", tmp_path / "user"
    own.mkdir()
    monkeypatch.setenv("REDEG_HOME", str(user))
    monkeypatch.setattr(models, "embedded_folder", lambda: own)
    monkeypatch.setattr(imports, "embedded_folder", lambda: own)
    return SimpleNamespace(embedded=own, user=user)


@pytest.fixture
def swinir(tmp_path: Path) -> Path:
    """A tiny SwinIR x2 as its authors would publish it."""
    from spandrel.architectures.SwinIR import SwinIR

    torch.manual_seed(0)
    net = SwinIR(
        img_size=16,
        window_size=8,
        depths=[2],
        embed_dim=12,
        num_heads=[2],
        mlp_ratio=2,
        upscale=2,
        upsampler="pixelshuffledirect",
    )
    torch.save({"params": net.state_dict()}, tmp_path / "swinir.pth")
    return tmp_path / "swinir.pth"
