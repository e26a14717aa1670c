"""Figures of a face restorer: known restorers, known answers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from redeg_cli.degrade.resize import resize
from redeg_cli.errors import InputError
from redeg_cli.evaluate.faces import evaluate_faces, example_rows, face_grids, read_faces
from redeg_cli.evaluate.grids import to_markdown
from redeg_cli.io.images import write_rgb
from redeg_cli.nets.wrap import FaceRestorer


def restorer(run) -> FaceRestorer:
    return FaceRestorer(
        run, name="known", fingerprint="0", architecture="none", network=torch.nn.Identity()
    )


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    folder = tmp_path_factory.mktemp("portraits")
    write_rgb(folder / "a.png", data.astronaut()[:320, 60:380] / np.float32(255))
    write_rgb(folder / "flat.png", np.full((80, 80, 3), 0.5, np.float32))
    (folder / "text.png").write_text("no picture")
    faces, without, failed = read_faces([folder])
    assert len(faces) == 1
    assert without == ["flat.png"]
    ((name, why),) = failed
    assert name == "text.png"
    assert "text.png is not an image" in why
    return faces[0]


def test_doing_nothing_gains_nothing_and_moves_nothing(face: np.ndarray) -> None:
    (figures,), examples = evaluate_faces(restorer(lambda x: x), [face, face], [128])
    assert figures.gain.mean == pytest.approx(0, abs=0.2)  # there and back to 512 px
    assert figures.moved.mean == pytest.approx(0, abs=1e-3)
    assert figures.likeness.mean == pytest.approx(figures.likeness_bicubic.mean, abs=1e-3)
    assert figures.not_found == 0
    assert [each.side for each in examples] == [128, 128]
    assert example_rows(examples).shape == (512, 768, 3)


def test_the_truth_is_the_best_answer(face: np.ndarray) -> None:
    truth = torch.from_numpy(face.transpose(2, 0, 1).copy())[None]
    answer = restorer(lambda seen: resize(truth, (seen.shape[2], seen.shape[3])))
    (small, large), _ = evaluate_faces(answer, [face], [64, 256])
    for figures in (small, large):
        assert figures.gain.mean > 3
        assert figures.likeness.mean > figures.likeness_bicubic.mean
        assert figures.likeness.mean > 0.99
    text = to_markdown(face_grids([small, large]), "Known")
    assert f"| 64 px | {small.bicubic.mean:.2f}" in text


def test_a_shifted_face_is_moved_by_its_part_of_the_width(face: np.ndarray) -> None:
    shift = 10
    moved = restorer(lambda x: x.roll(shift, 3))
    (figures,), _ = evaluate_faces(moved, [face], [512])
    # Of a face 286 px wide. The detector is sure to a pixel or so.
    assert figures.moved.mean == pytest.approx(100 * shift / 286, rel=0.25)


def test_the_same_seed_gives_the_same_figures(face: np.ndarray) -> None:
    runs = [evaluate_faces(restorer(lambda x: x), [face], [64], seed=s)[0] for s in (1, 1, 2)]
    # As text: the intervals of a single face are NaN, which equals nothing.
    assert str(runs[0]) == str(runs[1])
    assert str(runs[0]) != str(runs[2])


def test_another_side_is_refused(face: np.ndarray) -> None:
    with pytest.raises(ValueError, match="got 100"):
        evaluate_faces(restorer(lambda x: x), [face], [100])


def test_pictures_without_a_face_are_one_line(tmp_path: Path) -> None:
    write_rgb(tmp_path / "flat.png", np.full((80, 80, 3), 0.5, np.float32))
    with pytest.raises(InputError, match="no face was found in 1 pictures: give"):
        read_faces([tmp_path])
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match="in 2 pictures, of which 1 cannot be read: give"):
        read_faces([tmp_path])
