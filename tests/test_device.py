"""Devices by name, precision by device, and what counts as out of memory."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
import torch

from redeg_cli import device as device_module
from redeg_cli.device import (
    autocast,
    autocast_dtype,
    cpu_has_bf16,
    free_memory,
    is_first_process,
    is_out_of_memory,
    map_single_threaded,
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


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["auto", "cuda:1"])
def test_float32_on_a_gpu_is_no_tf32(name: str) -> None:
    """A container may have switched it on."""
    places = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [place.allow_tf32 for place in places]
    try:
        for place in places:
            place.allow_tf32 = True
        pick_device(name)
        assert not any(place.allow_tf32 for place in places)
    finally:
        for place, value in zip(places, before, strict=True):
            place.allow_tf32 = value


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
        (RuntimeError("Invalid buffer size: 8.00 GB"), True),  # Metal's
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
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


@pytest.fixture
def two_threads() -> Iterator[None]:
    """PyTorch may use two threads, and no pool has been started yet."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    device_module._single_threads.cache_clear()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_results_come_in_the_order_of_the_items() -> None:
    def slow(item: int) -> int:
        time.sleep(0.02 * (item % 2 == 0))
        return item * item

    assert map_single_threaded(slow, range(9)) == [n * n for n in range(9)]
    assert map_single_threaded(slow, []) == []


@pytest.mark.usefixtures("two_threads")
def test_items_are_shared_by_threads_that_use_one_each() -> None:
    both = threading.Barrier(2)

    def work(_: int) -> tuple[int, int]:
        both.wait(10)  # breaks unless two are at work at once
        return threading.get_ident(), torch.get_num_threads()

    for _ in range(2):  # when the pool starts, and later
        seen = map_single_threaded(work, range(4))
        assert {threads for _, threads in seen} == {1}
        assert len({thread for thread, _ in seen}) == 2
        assert threading.get_ident() not in {thread for thread, _ in seen}


@pytest.mark.usefixtures("two_threads")
def test_one_thread_does_it_all_if_told_so() -> None:
    def work(item: int) -> tuple[int, int, int, bool]:
        threads = torch.get_num_threads()
        return item, threading.get_ident(), threads, torch.is_grad_enabled()

    with torch.no_grad():
        seen = map_single_threaded(work, range(6), several=False)
    assert [item for item, _, _, _ in seen] == [*range(6)]
    assert len({thread for _, thread, _, _ in seen} - {threading.get_ident()}) == 1
    assert {(threads, grad) for _, _, threads, grad in seen} == {(1, False)}
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_the_number_of_threads_of_everyone_else_stays() -> None:
    def of_a_new_thread() -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.get_num_threads).result()

    assert of_a_new_thread() == 2
    map_single_threaded(lambda item: item, range(8))
    assert torch.get_num_threads() == 2
    assert of_a_new_thread() == 2


def test_with_one_thread_the_caller_does_it_all() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seen = map_single_threaded(lambda _: threading.get_ident(), range(3))
    finally:
        torch.set_num_threads(before)
    assert seen == [threading.get_ident()] * 3


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("mode", "grad", "inference"),
    [
        (torch.enable_grad, True, False),
        (torch.no_grad, False, False),
        (torch.inference_mode, False, True),
    ],
)
def test_gradient_mode_is_that_of_the_caller(
    mode: Callable[[], AbstractContextManager[object]], grad: bool, inference: bool
) -> None:
    weight = torch.tensor(3.0, requires_grad=True)

    def work(item: int) -> tuple[bool, bool, torch.Tensor]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), weight * item

    with mode():
        seen = map_single_threaded(work, range(4))
    for seen_grad, seen_inference, product in seen:
        assert (seen_grad, seen_inference) == (grad, inference)
        assert product.requires_grad == grad
    if grad:
        torch.stack([product for _, _, product in seen]).sum().backward()
        assert weight.grad == 6
    # What a thread was told does not stay with it.
    assert map_single_threaded(lambda _: torch.is_grad_enabled(), range(4)) == [True] * 4


@pytest.mark.usefixtures("two_threads")
def test_an_error_reaches_the_caller() -> None:
    def work(item: int) -> int:
        return 12 // item

    with pytest.raises(ZeroDivisionError):
        map_single_threaded(work, [1, 2, 0, 3])
    assert map_single_threaded(work, [1, 2, 3]) == [12, 6, 4]


@pytest.mark.usefixtures("two_threads")
def test_within_itself_it_does_not_wait_for_itself() -> None:
    def outer(item: int) -> list[int]:
        return map_single_threaded(lambda other: item * other, range(3))

    assert map_single_threaded(outer, range(5)) == [[0, n, 2 * n] for n in range(5)]


def test_the_first_process_is_that_of_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert is_first_process()
    for rank, first in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        assert is_first_process() is first
