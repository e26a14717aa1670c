"""Checkpoints: what is read, and what is refused."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from redeg_cli.errors import ModelError, OutputError
from redeg_cli.io.checkpoints import load_tensors, save_tensors


def weights() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.linspace(-1, 1, 12).reshape(3, 4), "count": torch.tensor(7)}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_round_trip_with_metadata(tmp_path: Path) -> None:
    path = tmp_path / "mödel.safetensors"
    save_tensors(path, weights(), {"architecture": "f2n", "note": "写真"})
    tensors, metadata = load_tensors(path)
    assert same(tensors, weights())
    assert metadata == {"architecture": "f2n", "note": "写真"}
    assert list(tmp_path.iterdir()) == [path]


def test_metadata_that_is_no_utf8_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, weights(), {"photo": "caf\udce9 ñ.jpg"})
    assert load_tensors(path)[1] == {"photo": r"caf\udce9 ñ.jpg"}


def test_half_stores_16_bits_and_reads_32(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    given = {**weights(), "big": torch.tensor([1.0, 1e6]), "empty": torch.zeros(0)}
    save_tensors(path, given, {}, half=True)
    with safe_open(path, framework="pt") as file:
        kinds = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert kinds["a.weight"] == torch.float16
    assert kinds["big"] == torch.float32  # beyond the range of 16 bits
    assert kinds["count"] == torch.int64
    tensors, _ = load_tensors(path)
    assert tensors["a.weight"].dtype == torch.float32
    assert torch.allclose(tensors["a.weight"], given["a.weight"], atol=5e-4)
    assert torch.equal(tensors["big"], given["big"])


def test_views_tied_weights_and_parameters_are_saved(tmp_path: Path) -> None:
    base = nn.Parameter(torch.arange(12.0).reshape(3, 4))
    given = {"one": base, "two": base, "turned": base.T}
    save_tensors(tmp_path / "a.safetensors", given, {})
    tensors, _ = load_tensors(tmp_path / "a.safetensors")
    assert torch.equal(tensors["two"], base)
    assert torch.equal(tensors["turned"], base.T)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".bin"])
@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: w,
        lambda w: OrderedDict(w),
        lambda w: {"params_ema": w, "params": {"other": torch.zeros(1)}},
        lambda w: {"params": w},
        lambda w: {"state_dict": {f"module.{k}": v for k, v in w.items()}, "epoch": 3},
        lambda w: {"model": {"params": w}},
        lambda w: {**w, "version": "1.0"},
    ],
)
def test_pickled_checkpoints(tmp_path: Path, suffix: str, modern: bool, wrap: Any) -> None:
    path = tmp_path / f"a{suffix}"
    torch.save(wrap(weights()), path, _use_new_zipfile_serialization=modern)
    tensors, metadata = load_tensors(path)
    assert same(tensors, weights())
    assert metadata == {}


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.pth", weights(), {"k": "v"})
    assert load_tensors(tmp_path / "a.pth")[1] == {"k": "v"}
    torch.save(weights(), tmp_path / "b.safetensors")
    assert same(load_tensors(tmp_path / "b.safetensors")[0], weights())


def test_a_layer_named_model_is_not_unwrapped(tmp_path: Path) -> None:
    torch.save({"model": torch.zeros(2), "x": torch.ones(1)}, tmp_path / "a.pth")
    assert set(load_tensors(tmp_path / "a.pth")[0]) == {"model", "x"}


class Attack:
    """Runs a command when a careless reader unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("modern", [True, False, None])
def test_a_malicious_pickle_is_refused_and_does_not_run(
    tmp_path: Path, modern: bool | None
) -> None:
    mark, path = tmp_path / "ran", tmp_path / "evil.pth"
    content = {"params": Attack(mark)}
    if modern is None:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=modern)
    with pytest.raises(
        ModelError, match=r"evil\.pth holds Python objects( \(\w+\.system\))?, refused"
    ) as caught:
        load_tensors(path)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_pickled_modules_are_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"Python objects \(torch\.nn\.modules\.linear\.Linear\)"):
        load_tensors(tmp_path / "a.pth")


def damaged() -> dict[str, bytes]:
    buffer = io.BytesIO()
    torch.save(weights(), buffer)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("readme.txt", "hello")
    return {
        "half a zip": buffer.getvalue()[: len(buffer.getvalue()) // 2],
        "a zip of something else": archive.getvalue(),
        "half a safetensors": (200).to_bytes(8, "little") + b'{"a":{"dtype":"F32","sha',
        "half a pickle": pickle.dumps({"a": 1}, protocol=2)[:6],
    }


@pytest.mark.parametrize("name", damaged())
def test_damaged_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(damaged()[name])
    with pytest.raises(ModelError, match=r"a\.pth is damaged") as caught:
        load_tensors(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        ("omega", "a pool of Ωs, not weights: `redeg synthesize` takes it with --pool"),
        ("kernels", "a pool of kernels, not weights: `redeg synthesize` takes it with --kernels"),
        ("noise", "a pool of noise, not weights: `redeg synthesize` takes it with --noise"),
        ("other", "holds NumPy arrays, not weights"),
    ],
)
def test_pools_are_no_checkpoints(tmp_path: Path, array: str, words: str) -> None:
    np.savez_compressed(tmp_path / "a.npz", **{array: np.zeros(3)})
    with pytest.raises(ModelError, match=rf"a\.npz (is )?{words}"):
        load_tensors(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"\r\n<!DOCTYPE html>\n<html>", "web page"),
        (b"<html><head>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git-LFS pointer"),
        (b'{"error": "not found"}', "is not a checkpoint"),
        (b"cos\nsystem\n(S'touch x'\ntR.", "is not a checkpoint"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "is not a checkpoint"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "ä.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        load_tensors(path)
    assert str(path) in str(caught.value)


def test_a_folder_and_contents_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        load_tensors(tmp_path)
    path = tmp_path / "a.pth"
    for content, words in (
        ({"epoch": 3, "name": "x"}, r"no state dict \(found: epoch, name\)"),
        ([torch.zeros(1)], "holds a list"),
        (torch.zeros(1), "holds a Tensor"),
        ({}, r"found: nothing"),
    ):
        torch.save(content, path)
        with pytest.raises(ModelError, match=words):
            load_tensors(path)
    (tmp_path / "a.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match="holds no weights"):
        load_tensors(tmp_path / "a.safetensors")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save_tensors(tmp_path / "file" / "a.safetensors", weights(), {})
