"""What a fine-tuning does with the restored photo: faces, turns, grain, files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redeg_cli.finetune import album as album_module
from redeg_cli.finetune.album import finetune_photo
from redeg_cli.finetune.outputs import plan_outputs
from redeg_cli.finetune.settings import Settings
from redeg_cli.io.images import Photo
from redeg_cli.models import load_restorer
from redeg_cli.restore.grain import add_grain
from redeg_cli.restore.photo import restore_photo
from redeg_cli.seeds import sample_seed


@pytest.mark.parametrize(
    ("said", "own", "rule"),
    [
        (None, False, "keep"),
        (None, True, "blend"),
        ("restore", False, "restore"),
        ("keep", True, "keep"),
    ],
)
def test_what_is_done_with_restored_faces(said: Any, own: bool, rule: str) -> None:
    face_restorer = "gfpgan" if own else Settings.face_restorer
    assert Settings(faces=said, face_restorer=face_restorer).face_rule == rule


@pytest.mark.parametrize(
    ("said", "size", "turned"),
    [
        (None, (1000, 1000), True),
        (None, (1000, 1001), False),
        (True, (4000, 3000), True),
        (False, (30, 40), False),
    ],
)
def test_small_photos_are_restored_in_all_turns(
    said: bool | None, size: tuple[int, int], turned: bool
) -> None:
    assert Settings(turns=said).in_turns(size) == turned


def test_where_turns_do_not_help_there_is_one(
    photo: Photo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album_module, "turns_help", lambda *_: False)
    said: list[str] = []
    result = finetune_photo(photo, settings, say=said.append)
    assert any(line.startswith("the degradation has a direction") for line in said)
    assert [each["in_turns"] for each in result.summary["photos"]] == [False]
    restorer = load_restorer(settings.model, 2)
    restorer.network.load_state_dict(result.state)
    wanted = restore_photo(photo, restorer, device="cpu").rgb
    np.testing.assert_allclose(result.restored[0].rgb, wanted, atol=1e-6)
    turned = finetune_photo(photo, replace(settings, turns=True))
    assert [each["in_turns"] for each in turned.summary["photos"]] == [True]


def test_every_photo_has_a_file_of_its_own() -> None:
    photos = [Path("x/p.jpg"), Path("y/p.jpg"), Path("x_p.jpg"), Path("X_P.png")]
    names = [path.name.casefold() for path in plan_outputs(photos, Path("out")).restored]
    assert len(set(names)) == len(photos)


def test_grain_is_put_on_last(photo: Photo, settings: Settings) -> None:
    plain, grainy = (
        finetune_photo(photo, replace(settings, grain=levels)) for levels in (0.0, 4.0)
    )
    assert grainy.summary["grain"] == 4
    assert plain.summary["held_out_scores"] == grainy.summary["held_out_scores"]
    wanted = add_grain(plain.restored[0], 4, sample_seed(settings.seed, "the photo"))
    np.testing.assert_allclose(grainy.restored[0].rgb, wanted.rgb, atol=1e-6)
    assert np.abs(wanted.rgb - plain.restored[0].rgb).mean() > 1 / 255
