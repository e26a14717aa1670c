"""Devices by name, precision by device, and what counts as out of memory."""

import pytest
import torch

from redeg_cli import device as device_module
from redeg_cli.device import (
    autocast,
    autocast_dtype,
    cpu_has_bf16,
    free_memory,
    is_out_of_memory,
    pick_device,
)
from redeg_cli.errors import RedegError


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)


@pytest.mark.usefixtures("no_gpu")
def test_auto_falls_back_to_the_cpu() -> None:
    assert pick_device() == torch.device("cpu")
    assert pick_device("CPU ") == torch.device("cpu")
    assert pick_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.usefixtures("two_gpus")
def test_cuda_comes_first_and_has_a_number() -> None:
    assert pick_device("auto") == torch.device("cuda", 0)
    assert pick_device("cuda") == torch.device("cuda", 0)
    assert pick_device("cuda:1") == torch.device("cuda", 1)


def test_mps_comes_before_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("mps")
    assert pick_device("mps") == torch.device("mps")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cuda", "use 'auto' or 'cpu'"),
        ("cuda:1", "use 'auto' or 'cpu'"),
        ("mps", "Apple"),
        ("cpu:3", "only one cpu"),
        ("gpu", "unknown device 'gpu'"),
        ("cuda:", "unknown device"),
        ("cuda:x", "unknown device"),
        ("cuda:-1", "unknown device"),
        ("", "unknown device"),
    ],
)
def test_impossible_devices_are_named(name: str, words: str) -> None:
    with pytest.raises(RedegError) as caught:
        pick_device(name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(RedegError, match=r"cuda:2.*0 to 1"):
        pick_device("cuda:2")


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_precision_on_a_cpu_is_what_it_does_natively(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(device_module, "cpu_has_bf16", lambda: native)
    assert autocast_dtype("cpu") == expected
    assert autocast_dtype("cpu", "fp32") == torch.float32
    assert autocast_dtype("cpu", "bf16") == torch.bfloat16


def test_native_bf16_agrees_with_the_kernel() -> None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = file.read().split()
    except OSError:
        pytest.skip("no /proc/cpuinfo here")
    assert cpu_has_bf16() == bool({"avx512_bf16", "amx_bf16"} & set(flags))


def test_mps_runs_in_full_precision_unless_asked() -> None:
    assert autocast_dtype("mps") == torch.float32
    assert autocast_dtype("mps", "fp16") == torch.float16


def test_half_precision_never_runs_on_a_cpu() -> None:
    with pytest.raises(RedegError, match="does not run on a CPU"):
        autocast_dtype("cpu", "fp16")
    with pytest.raises(RedegError, match="unknown precision 'half'"):
        autocast_dtype("cpu", "half")


@pytest.mark.parametrize(
    ("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast_sets_the_dtype_of_a_convolution(precision: str, expected: torch.dtype) -> None:
    net = torch.nn.Conv2d(3, 3, 1)
    with torch.no_grad(), autocast("cpu", precision) as dtype:
        out = net(torch.rand(1, 3, 4, 4))
    assert dtype == expected
    assert out.dtype == expected


def test_full_precision_holds_inside_an_outer_autocast() -> None:
    net = torch.nn.Conv2d(3, 3, 1)
    with torch.no_grad(), autocast("cpu", "bf16"), autocast("cpu", "fp32"):
        assert net(torch.rand(1, 3, 4, 4)).dtype == torch.float32


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("shape mismatch"), False),
        (MemoryError(), False),
        (ValueError("MPS backend out of memory"), False),
    ],
)
def test_only_out_of_memory_counts_as_such(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_the_cpu_allocator_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_freeing_memory_of_the_cpu_does_no_harm() -> None:
    free_memory("cpu")
