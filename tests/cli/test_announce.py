"""What ``redeg finetune`` says before it begins."""

import re
from pathlib import Path

import pytest

from redeg_cli.cli import announce as module
from redeg_cli.cli.announce import announce

BF16 = frozenset({"avx2", "avx512f", "avx512_bf16"})


def said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: frozenset[str] = BF16,
    cores: int = 2,
    device: str = "cpu",
    nvidia: bool = False,
    known: bool = True,
    threads: str = "",
) -> str:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(module, "cpu_flags", lambda: flags)
    monkeypatch.setattr(module, "cpu_cores", lambda: cores)
    monkeypatch.setattr(module.shutil, "which", lambda _: "nvidia-smi" if nvidia else None)
    photos = [(Path("a.jpg"), (300, 256))]
    announce(photos, 2, 250, 75, Path("out"), device, turns=True, known=known)
    text = capsys.readouterr().err
    assert text.startswith("a.jpg: 256x300 px, to be restored at 512x600 px into out")
    return text


def minutes(text: str) -> int:
    found = re.search(r"about (\d+) min on", text)
    assert found is not None
    return int(found[1])


def test_the_time_is_that_of_this_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    best = minutes(said(monkeypatch, capsys))
    avx512 = minutes(said(monkeypatch, capsys, frozenset({"avx2", "avx512f"})))
    avx2 = minutes(said(monkeypatch, capsys, frozenset({"avx2"})))
    assert best < avx512 < avx2 < 4 * best
    assert minutes(said(monkeypatch, capsys, frozenset(), cores=16)) < avx2 / 4
    assert minutes(said(monkeypatch, capsys, cores=64)) == 1


def test_fewer_threads_take_longer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = said(monkeypatch, capsys, cores=8, threads="1")
    assert "on 1 CPU core (" in alone
    for other in ("", "4,2"):  # for nested regions: not understood, not heeded
        assert minutes(said(monkeypatch, capsys, cores=8, threads=other)) < minutes(alone)


def test_of_another_restorer_no_time_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(monkeypatch, capsys, known=False)
    assert "(at most 250 steps), restore (a GPU is much faster)" in text


@pytest.mark.parametrize(
    ("device", "nvidia", "torch", "gpu"),
    [
        ("auto", False, "2.11.0", False),
        ("auto", True, "2.11.0", True),  # of PyPI
        ("auto", True, "2.11.0+cu130", True),
        ("auto", True, "2.11.0+cpu", False),
        ("cpu", True, "2.11.0", False),
        ("cuda:1", False, "2.11.0", True),
    ],
)
def test_a_gpu_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    device: str,
    nvidia: bool,
    torch: str,
    gpu: bool,
) -> None:
    monkeypatch.setattr(module, "version", lambda _: torch)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    text = said(monkeypatch, capsys, device=device, nvidia=nvidia)
    assert ("on its GPU" in text) is gpu
    assert "2 CPU cores" in text
