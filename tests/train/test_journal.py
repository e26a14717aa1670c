"""The log and the curves of a run, and what becomes of them when it is carried on."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from redeg_cli.io.manifest import read_manifest
from redeg_cli.train.journal import Journal


def curves(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0})
    return events.Reload()


def test_rows_are_logged_and_drawn(tmp_path: Path) -> None:
    with Journal(tmp_path, 0) as journal:
        journal.row(1, {"pixel": 1 / 3})
        journal.row(2, {"pixel": 0.25, "psnr": 30.0})
    assert read_manifest(tmp_path / "log.jsonl") == [
        {"step": 1, "pixel": 0.333333},
        {"step": 2, "pixel": 0.25, "psnr": 30.0},
    ]
    events = curves(tmp_path)
    assert set(events.Tags()["scalars"]) == {"pixel", "psnr"}
    found = [(event.step, event.value) for event in events.Scalars("pixel")]
    assert found == [(1, pytest.approx(1 / 3)), (2, 0.25)]


def test_pictures_are_those_given(tmp_path: Path) -> None:
    picture = torch.rand((3, 5, 7), generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    with Journal(tmp_path, 0) as journal:
        journal.picture("samples", picture, 4)
    (event,) = curves(tmp_path).Images("samples")
    assert event.step == 4
    found = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
    wanted = (picture.clamp(0, 1) * 255).permute(1, 2, 0).numpy()
    assert np.abs(found - wanted).max() <= 1


def test_what_came_after_the_saved_step_is_done_again(tmp_path: Path) -> None:
    with Journal(tmp_path, 0) as journal:
        for step in (1, 2, 3, 4):
            journal.row(step, {"pixel": float(step)})
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "pix')  # the power went
    with Journal(tmp_path, 2) as journal:
        journal.row(3, {"pixel": 30.0})
    rows = [(row["step"], row["pixel"]) for row in read_manifest(tmp_path / "log.jsonl")]
    assert rows == [(1, 1.0), (2, 2.0), (3, 30.0)]
    found = [(event.step, event.value) for event in curves(tmp_path).Scalars("pixel")]
    assert found == rows


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    with Journal(tmp_path, 0, main=False) as journal:
        journal.row(1, {"pixel": 1.0})
        journal.picture("samples", torch.zeros(3, 4, 4), 1)
    assert list(tmp_path.iterdir()) == []
