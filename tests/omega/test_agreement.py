"""Agreement of faces: 1 when they share a degradation, and the one that does not is named."""

import numpy as np
import pytest

from redeg_cli.omega.agreement import agreement, agreement_notes


def drawn(faces: int, each: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Ωs of faces that share a degradation, of unit spread in each of 512 directions."""
    random = np.random.default_rng(seed)
    omegas = random.normal(0, 1, (faces * each, 512)).astype(np.float32)
    return omegas, [f"face {index}" for index in range(faces) for _ in range(each)]


@pytest.mark.parametrize("faces", [2, 3, 8])
def test_one_degradation(faces: int) -> None:
    found = agreement(*drawn(faces, 8))
    # The mean of the others, n Ωs, adds its own uncertainty: sqrt(1 + 1 / n).
    expected = np.sqrt(1 + 1 / (8 * (faces - 1)))
    assert [face.disagreement for face in found] == pytest.approx([expected] * faces, rel=0.04)
    assert not any(face.stands_out for face in found)
    assert agreement_notes(found) == []


def test_the_face_that_stands_out_is_named() -> None:
    omegas, names = drawn(4, 6)
    omegas[6:12, 0] += 100  # the second face, about 4.4 times the spread of sqrt(512)
    found = agreement(omegas, names)
    assert [face.name for face in found if face.stands_out] == ["face 1"]
    assert found[1].disagreement == pytest.approx(np.hypot(1.03, 100 / np.sqrt(512)), rel=0.02)
    [note] = agreement_notes(found)
    assert note.startswith("face 1 disagrees")
    assert "4.5 times" in note


def test_of_two_faces_nobody_knows_which() -> None:
    omegas, names = drawn(2, 6)
    omegas[6:, 0] += 100
    found = agreement(omegas, names)
    assert all(face.stands_out for face in found)
    [note] = agreement_notes(found)
    assert note.startswith("the two faces disagree")


def test_when_all_differ_none_stands_out() -> None:
    omegas, names = drawn(4, 6)
    for index in range(4):
        omegas[6 * index : 6 * index + 6, index] += 100
    found = agreement(omegas, names)
    assert min(face.disagreement for face in found) > 3
    assert not any(face.stands_out for face in found)


def test_order_and_number_of_rows_do_not_matter() -> None:
    omegas, names = drawn(3, 6)
    omegas[12:, 1] += 60
    once = agreement(omegas, names)
    shuffled = np.random.default_rng(1).permutation(len(names))
    again = {face.name: face for face in agreement(omegas[shuffled], [names[i] for i in shuffled])}
    for face in once:
        assert again[face.name].disagreement == pytest.approx(face.disagreement)
    uneven = agreement(np.concatenate([omegas, omegas[:6]]), [*names, *names[:6]])
    assert uneven[2].disagreement == pytest.approx(once[2].disagreement, rel=0.05)


@pytest.mark.parametrize(("faces", "each"), [(1, 8), (3, 1)])
def test_nothing_to_compare(faces: int, each: int) -> None:
    assert agreement(*drawn(faces, each)) == []
