"""A CUDA device without a GPU: tensors in the CPU's memory that say that they are on cuda:0.

They refuse what CUDA's refuse: to meet a tensor of the CPU, unless one is a number, an index or
only copied; and to become a NumPy array. So what was left on the wrong device is found where there
is no GPU. Nothing of CUDA's own arithmetic, memory or speed is tested.

``python pretended_cuda.py`` with lists of arguments, in JSON, runs each as a command of redeg.
"""

import copy
import json
import sys
import threading
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
_DEVICE, _IS_CUDA, _IS_CPU = (
    getattr(Tensor, name).__get__ for name in ("device", "is_cuda", "is_cpu")
)
_COPIES = {Tensor.copy_, Tensor.__setitem__}
_LOOKS = ("backward", "__set__", "item", "tolist", "__bool__", "__len__", "__repr__", "__hash__")
"""What gives no tensor to be marked, or is given one that must stay as it is."""
done: set[str] = set()
"""Names of what was worked out on the pretended device."""


class OnCuda(Tensor):
    """A tensor that says it is on CUDA."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do ``func`` as CUDA would."""
        return _do(func, args, kwargs or {})


class _Everywhere(TorchFunctionMode):
    """Sees also what has no tensor yet: ``torch.zeros(3, device="cuda")``."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _do(func, args, kwargs or {})


def install() -> None:
    """Pretend from now on, in this process."""
    # Weights that move change places with their copies: the data of a tensor cannot change class.
    torch.__future__.set_swap_module_params_on_conversion(True)
    for name, value in {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "is_bf16_supported": True,
        "mem_get_info": (20 << 30, 24 << 30),
        "get_device_capability": (9, 0),
        "get_device_properties": SimpleNamespace(name="none", total_memory=24 << 30, major=9),
    }.items():
        setattr(torch.cuda, name, lambda *_, value=value, **__: value)
    for name in ("empty_cache", "synchronize", "set_device", "manual_seed_all"):
        setattr(torch.cuda, name, lambda *_, **__: None)
    # Of graphs of CUDA, which ask the driver.
    torch.optim.Optimizer._accelerator_graph_capture_health_check = lambda _: None  # pyright: ignore
    torch.optim.Optimizer._cuda_graph_capture_health_check = lambda _: None  # pyright: ignore

    class Autocast(torch.autocast):
        def __init__(self, device_type: str, *args: Any, **settings: Any) -> None:
            super().__init__("cpu" if device_type == "cuda" else device_type, *args, **settings)

    torch.autocast = torch.amp.autocast = torch.amp.autocast_mode.autocast = Autocast  # pyright: ignore

    save, load, run = torch.save, torch.load, threading.Thread.run

    def load_to(file: Any, map_location: Any = None, **settings: Any) -> Any:
        to_cuda = map_location is not None and torch.device(map_location).type == "cuda"
        found = load(file, map_location="cpu", **settings)
        return tree_map(_mark, found) if to_cuda else found

    def run_thread(thread: threading.Thread) -> None:
        with _Everywhere():
            run(thread)

    torch.save = lambda what, *args, **settings: save(tree_map(_plain, what), *args, **settings)
    torch.load = load_to
    threading.Thread.run = run_thread  # pyright: ignore[reportAttributeAccessIssue]
    _Everywhere().__enter__()


def _mark(x: Any) -> Any:
    return x.as_subclass(OnCuda) if isinstance(x, Tensor) and not isinstance(x, OnCuda) else x


def _plain(x: Any) -> Any:
    if not isinstance(x, OnCuda):
        return x
    with torch._C.DisableTorchFunctionSubclass():
        return x.detach().as_subclass(Tensor)


def _do(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = getattr(func, "__qualname__", None) or getattr(func, "__name__", str(func))
    here = bool(args) and isinstance(args[0], OnCuda)
    if func == _DEVICE:
        return CUDA if here else CPU
    if func == _IS_CUDA:
        return here
    if func == _IS_CPU:
        return not here
    if name.endswith("_has_compatible_shallow_copy_type"):
        return True
    if func == Tensor.__deepcopy__ and here:
        return _copied(*args)
    with torch._C.DisableTorchFunctionSubclass():
        if func in (Tensor.to, Tensor.cpu, Tensor.cuda):
            return _moved(func, *args, **kwargs)
        if func in (Tensor.numpy, Tensor.__array__) and here:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        made = kwargs.get("device") is not None and torch.device(kwargs["device"])
        if made and made.type == "cuda":
            kwargs = {**kwargs, "device": CPU}
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        if not made:
            _check(func, name, tensors)
        result = func(*args, **kwargs)
        if name.endswith(_LOOKS):
            return result
        there = any(isinstance(x, OnCuda) for x in tensors)
        if func in _COPIES or name.startswith("Tensor.new_"):
            there = here
        if made:
            there = made.type == "cuda"
        if not there:
            return result
        done.add(name)
        return tree_map(_mark, result)


def _check(func: Any, name: str, tensors: list[Tensor]) -> None:
    """Raise RuntimeError where CUDA would, for tensors of two devices."""
    others = [x for x in tensors if not isinstance(x, OnCuda) and x.ndim > 0]
    mixed = len(others) > 0 and any(isinstance(x, OnCuda) for x in tensors)
    indexed = func == Tensor.__getitem__ and isinstance(tensors[0], OnCuda)
    if mixed and func not in _COPIES and not indexed:
        where = [
            f"{tuple(x.shape)} on {'cuda' if isinstance(x, OnCuda) else 'cpu'}" for x in tensors
        ]
        raise RuntimeError(f"{name}: expected all tensors on one device, got {', '.join(where)}")


def _moved(func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    here = isinstance(x, OnCuda)
    there = here if func == Tensor.to else func == Tensor.cuda
    settings = {key: kwargs[key] for key in ("dtype", "copy", "memory_format") if key in kwargs}
    for value in (*args, kwargs.get("device"), kwargs.get("other")):
        if isinstance(value, Tensor):
            there = isinstance(value, OnCuda)
            settings["dtype"] = value.dtype
        elif isinstance(value, torch.dtype):
            settings["dtype"] = value
        elif isinstance(value, (str, int, torch.device)) and not isinstance(value, bool):
            there = torch.device(value).type == "cuda"
    result = x.to(**settings) if settings else x
    if there == here:
        return x if result is x else (_mark(result) if there else result)
    result = result.clone() if result.data_ptr() == x.data_ptr() else result
    return _mark(result) if there else result.as_subclass(Tensor)


def _copied(x: Tensor, memo: dict[int, Any]) -> Tensor:
    if id(x) not in memo:
        new = x.detach().clone().requires_grad_(x.requires_grad)
        memo[id(x)] = nn.Parameter(new, x.requires_grad) if isinstance(x, nn.Parameter) else new
    return memo[id(x)]


def try_out() -> None:
    """Raise unless this PyTorch can be pretended to: a network trains, a mixture is refused."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)).to("cuda")
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    for _ in range(2):
        loss = net(torch.rand(1, 3, 8, 8, device=CUDA)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert next(copy.deepcopy(net).parameters()).device == CUDA
    try:
        net(torch.rand(1, 3, 8, 8))
    except RuntimeError:
        return
    raise AssertionError("a tensor of the CPU went through a network on CUDA")


def main() -> None:
    """Run the commands of ``sys.argv``; say how many kinds of work each did on the device."""
    install()
    try:
        try_out()
    except Exception as error:
        sys.exit(f"NO PRETENCE: {error!r}")
    from redeg_cli.cli.app import app

    for command in sys.argv[1:]:
        done.clear()
        try:
            app(json.loads(command))
        except SystemExit as end:
            if end.code:
                raise
        print(f"ON CUDA: {len(done)}", flush=True)


if __name__ == "__main__":
    main()
