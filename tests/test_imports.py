"""Checkpoints made elsewhere, brought in under a name."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from spandrel.architectures.Compact import Compact
from tiny_models import save_rrdb, tiny_rrdb

from redeg_cli import imports, models
from redeg_cli.errors import ModelError, OutputError

pytestmark = pytest.mark.usefixtures("folders")


def test_community_import_is_kept_as_safetensors(tmp_path: Path, folders: SimpleNamespace) -> None:
    net = Compact(num_feat=8, num_conv=2, upscale=2).eval()
    torch.save({"params_ema": net.state_dict()}, tmp_path / "2x tiny (v1).pth")
    (written,) = imports.import_path(tmp_path / "2x tiny (v1).pth")
    assert written == folders.user / "2x-tiny-v1.safetensors"
    image = torch.rand(1, 3, 6, 5)
    assert torch.equal(
        models.load_restorer("2x-tiny-v1", 2)(image),
        models.load_restorer(tmp_path / "2x tiny (v1).pth", 2)(image),
    )
    (info,) = models.list_models()
    assert (info.name, info.kind, info.source) == ("2x-tiny-v1", "restorer", "imported")
    assert info.parameters == sum(p.numel() for p in net.parameters())


def test_released_f2n_runs_in_its_own_range(tmp_path: Path) -> None:
    net = tiny_rrdb()
    raw, anonymous = tmp_path / "net_f2n_g.pth", tmp_path / "esrgan.pth"
    for path in (raw, anonymous):
        torch.save({"params": net.state_dict()}, path)
    imports.import_path(raw)
    imports.import_path(anonymous, "told", f2n=True)
    image = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        signed = ((net(image * 2 - 1) + 1) / 2).clamp(0, 1)
        plain = net(image).clamp(0, 1)
    assert (signed - plain).abs().max() > 0.05
    # What is fine-tuned from it keeps these notes.
    assert models.model_info(raw).metadata["value_range"] == "-1,1"
    assert "value_range" not in models.model_info(anonymous).metadata
    for name in ("f2n", "told", str(raw)):
        assert torch.allclose(models.load_restorer(name, 4)(image), signed, atol=1e-4), name
    assert torch.allclose(models.load_restorer(anonymous, 4)(image), plain, atol=1e-4)


def test_import_of_an_incomplete_or_wrong_release(tmp_path: Path, folders: SimpleNamespace) -> None:
    release = tmp_path / "release"
    with pytest.raises(ModelError, match="not a folder"):
        imports.import_redegnet(release)
    release.mkdir()
    with pytest.raises(ModelError, match=r"no net_deg\*\.pth in it"):
        imports.import_path(release)
    torch.save({"params": {"deg_ecd0.0.bias": torch.zeros(65)}}, release / "net_deg_init.pth")
    with pytest.raises(
        ModelError, match=r"deg_init\.pth: deg_ecd0\.0\.bias is \[65\], wanted \[64"
    ):
        imports.import_path(release)
    torch.save({"params": {}}, release / "net_deg_g.pth")
    with pytest.raises(ModelError, match=r"several net_deg\*\.pth"):
        imports.import_path(release)
    with pytest.raises(ModelError, match="the folder that holds all three"):
        imports.import_path(release / "net_deg_g.pth")
    assert list(folders.user.glob("*")) == []


def test_names_of_imports(tmp_path: Path, folders: SimpleNamespace) -> None:
    file = tmp_path / "net_f2n_init.pth"
    torch.save({"params": tiny_rrdb().state_dict()}, file)
    for name in ("../up", "a/b", "", ".hidden", "a b", "x.pth"):
        with pytest.raises(ModelError, match="cannot be a model's name"):
            imports.import_f2n(file, name)
    save_rrdb(folders.embedded / "f2n.safetensors", tiny_rrdb())
    with pytest.raises(ModelError, match="comes with redeg"):
        imports.import_f2n(file)
    (written,) = imports.import_path(file)
    assert written.stem == "f2n-init"
    with pytest.raises(OutputError, match="--overwrite"):
        imports.import_path(file)
    imports.import_path(file, overwrite=True)


def test_a_model_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"params": tiny_rrdb().state_dict()}, tmp_path / "net_f2n_init.pth")
    monkeypatch.setenv("REDEG_HOME", str(tmp_path / "net_f2n_init.pth" / "models"))
    with pytest.raises(OutputError, match=r"cannot write .*net_f2n_init\.pth"):
        imports.import_path(tmp_path / "net_f2n_init.pth")
