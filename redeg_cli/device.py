"""Where the numbers are worked out: device, precision and memory."""

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

from redeg_cli.cpu import cpu_cores, cpu_flags
from redeg_cli.errors import UsageError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_Network = TypeVar("_Network", bound=torch.nn.Module)
_KNOWN = "auto, cpu, cuda, cuda:N or mps"
_NO_MEMORY = (
    *("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory"),
    *("MPS backend out of memory", "Invalid buffer size"),  # Metal's largest buffer is smaller
    *("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
    *("CUFFT_ALLOC_FAILED", "unable to find an engine to execute"),  # for want of work space
)
"""How errors that say that a device has no memory left put it."""


def is_first_process() -> bool:
    """Return whether this is the first, or the only, process of a run (torchrun's ``RANK``)."""
    return int(os.environ.get("RANK", "0")) == 0


def process_count() -> int:
    """Return how many processes share a run (torchrun's ``WORLD_SIZE``)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """Return how many of them are on this machine (torchrun's ``LOCAL_WORLD_SIZE``)."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", process_count()))


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device called ``name``: ``auto`` takes cuda, then mps, then cpu.

    A CUDA device always carries its number (``cuda:0``). Raises UsageError when the name is
    unknown or this machine has no such device.
    """
    text = str(name).strip().lower()
    if text == "auto":
        if torch.cuda.is_available():
            return _cuda_device(None)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, separator, number = text.partition(":")
    numbered = number.isascii() and number.isdigit()
    if kind not in ("cpu", "cuda", "mps") or (separator and not numbered):
        raise UsageError(f"unknown device {str(name)!r}: want {_KNOWN}")
    if kind == "cuda":
        return _cuda_device(int(number) if numbered else None)
    if numbered and int(number) > 0:
        raise UsageError(f"device {text!r} does not exist: there is only one {kind}")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device 'mps' needs an Apple GPU and there is none: use 'auto' or 'cpu'")
    return torch.device(kind)


def memory_format(device: torch.device | str) -> torch.memory_format:
    """Return how weights and feature maps of convolutions are laid out on ``device``.

    Channels last, as CPUs and tensor cores have it faster (the embedded networks 1.3 to 1.45 times
    on a CPU with bfloat16); not on Apple's GPUs, where gradients of batch norms are wrong then
    (PyTorch issue 175189).
    """
    apple = torch.device(device).type == "mps"
    return torch.contiguous_format if apple else torch.channels_last


def place(network: _Network, device: torch.device | str) -> _Network:
    """Return a network moved to ``device``, its convolutions' weights laid out for it."""
    network.to(device)
    for weight in network.parameters():
        if weight.ndim == 4:  # modulated weights have five dimensions
            weight.data = weight.data.contiguous(memory_format=memory_format(device))
    return network


def in_float64(x: torch.Tensor) -> torch.Tensor:
    """Return a tensor in float64, on the CPU if its device is one without (MPS)."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def exact_float32() -> None:
    """Let float32 be float32 on CUDA GPUs from now on, not TF32: levels of JPEG are exact products.

    PyTorch's convolutions are in TF32 if nobody says so, and some containers switch it on for all.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _cuda_device(index: int | None) -> torch.device:
    exact_float32()
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        built = torch.version.cuda or torch.version.hip
        cause = "no usable GPU was found" if built else "this PyTorch was built without CUDA"
        raise UsageError(f"device 'cuda' is not available, {cause}: use 'auto' or 'cpu'")
    if index is None:
        return torch.device("cuda", torch.cuda.current_device())
    if index >= count:
        last = f"0 to {count - 1}" if count > 1 else "0"
        raise UsageError(f"device 'cuda:{index}' does not exist: the numbers here are {last}")
    return torch.device("cuda", index)


def files_at_once(device: torch.device | str) -> int:
    """Return how many files to work on at a time where a network on ``device`` takes them in turn.

    While it works on one, threads read the next and write the last: a GPU would wait for them most
    of the time. A CPU is busy with the network itself.
    """
    return min(8, cpu_cores()) if torch.device(device).type == "cuda" else 1


@cache
def cpu_has_bf16() -> bool:
    """Return whether this CPU multiplies bfloat16 by itself (AVX512-BF16 or AMX).

    Other CPUs only emulate it, which is slower than float32.
    """
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        ask = getattr(torch.cpu, probe, None)  # not there in every PyTorch this package runs on
        if ask is not None and ask():
            return True
    return not cpu_flags().isdisjoint(("avx512_bf16", "amx_bf16"))


def autocast_dtype(device: torch.device | str, precision: str = "auto") -> torch.dtype:
    """Return the dtype in which networks run on ``device``; float32 means no autocast.

    ``auto`` is bfloat16 on CUDA and on CPUs that have it natively, else float32. float16 is
    only given when asked for and never on a CPU. Raises UsageError for an unknown or impossible
    precision.
    """
    kind = torch.device(device).type
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}: want one of {', '.join(PRECISIONS)}")
    if precision == "fp16":
        if kind == "cpu":
            raise UsageError("precision 'fp16' does not run on a CPU: use 'auto', 'fp32' or 'bf16'")
        return torch.float16
    if precision == "bf16":
        return torch.bfloat16
    if precision == "auto" and (
        (kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False))
        or (kind == "cpu" and cpu_has_bf16())
    ):
        return torch.bfloat16
    return torch.float32


@contextmanager
def autocast(device: torch.device | str, precision: str = "auto") -> Iterator[torch.dtype]:
    """Run the block in the precision of ``autocast_dtype``; yields that dtype.

    Inputs and weights stay float32; outputs may come back in the lower precision, so callers
    take ``.float()`` of what leaves the block.
    """
    kind = torch.device(device).type
    dtype = autocast_dtype(device, precision)
    if dtype == torch.float32:
        # An outer autocast must not leak in: the caller asked for full precision here.
        with torch.autocast(kind, enabled=False):
            yield dtype
    else:
        with torch.autocast(kind, dtype=dtype):
            yield dtype


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that the device has no memory left, and nothing else."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    # The CPU's allocator, MPS and the libraries of CUDA raise a plain RuntimeError.
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)


def device_memory(device: torch.device | str) -> int:
    """Return the bytes of a CUDA device's memory that may be planned with; no limit for others."""
    if torch.device(device).type != "cuda":
        return sys.maxsize
    return int(0.8 * free_on_cuda(device))


def free_on_cuda(device: torch.device | str) -> int:
    """Return the bytes of a CUDA device's memory that nothing has."""
    index = torch.device(device).index  # PyTorch 2.4 wants one
    return torch.cuda.mem_get_info(torch.cuda.current_device() if index is None else index)[0]


def free_memory(device: torch.device | str) -> None:
    """Give cached memory of ``device`` back, after an out-of-memory error or a large step."""
    gc.collect()
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.empty_cache()
    elif kind == "mps":
        torch.mps.empty_cache()


_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_single_threaded(
    work: Callable[[_Item], _Result], items: Sequence[_Item], several: bool = True
) -> list[_Result]:
    """Return ``work`` of each item, each done on a single CPU thread.

    As many threads as PyTorch may use (``torch.get_num_threads()``) share the items, or one if not
    ``several``. Small tensors gain more by this than by being split over the threads, and the
    results cannot depend on how many threads there are. Gradient mode is that of the caller.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        return [work(item) for item in items]
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def within(item: _Item) -> _Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(grad and not inference):
            return work(item)

    pool = _single_threads(os.getpid(), threads)
    if several:
        return list(pool.map(within, items))
    return pool.submit(lambda: [within(item) for item in items]).result()


@cache
def _single_threads(process: int, count: int) -> ThreadPoolExecutor:
    """Return the threads of one process: those of a parent do not live on in a forked child."""
    del process
    pool = ThreadPoolExecutor(count, "redeg", _use_one_thread)
    started = Barrier(count)
    list(pool.map(lambda _: started.wait(), range(count)))
    # The number is each thread's own, but threads of others that start later take the last one.
    torch.set_num_threads(count)
    return pool


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    # A thread takes over the number when it first asks for it, which must be now.
    torch.get_num_threads()
