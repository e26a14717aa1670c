"""Halftone screens: where their dots lie, that tones stay what they were, and ragged batches."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.halftone import (
    INK_ANGLES,
    Dot,
    Halftone,
    apply_halftone,
    print_inks,
    screen_thresholds,
    separate_inks,
)
from redeg_cli.degrade.tone import to_luma

DOTS: tuple[Dot, ...] = ("round", "ellipse", "line")
PHASES = tuple((0.1 * i, 0.3 * i) for i in range(4))


def flat(*rgb: float, size: int = 96) -> torch.Tensor:
    return torch.tensor(rgb).view(1, 3, 1, 1).repeat(1, 1, size, size)


def printed(images: torch.Tensor, *steps: Halftone) -> torch.Tensor:
    return apply_halftone(Canvas.of(images, 1), steps).pixels


def screen(
    size: tuple[int, int],
    pitch: float,
    angle: float,
    phase: tuple[float, float] = (0, 0),
    dot: Dot = "round",
) -> torch.Tensor:
    phases = torch.tensor(phase, dtype=torch.float32).view(1, 1, 2)
    return screen_thresholds(size, torch.tensor([pitch]), torch.tensor([[angle]]), phases, [dot])[
        0, 0
    ]


def assert_peak(plane: np.ndarray, pitch: float, angle: float, *, lines: bool = False) -> None:
    """Assert that the strongest wave of a plane has the pitch and (mod 90°; lines: mod 180°) the
    angle: the waves of dots stand crosswise."""
    size = plane.shape[0]
    spectrum = np.abs(np.fft.fft2((plane - plane.mean()) * np.outer(*[np.hanning(size)] * 2)))
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    fy, fx = np.fft.fftfreq(size)[[row, column]]
    assert math.hypot(fx, fy) == pytest.approx(1 / pitch, abs=0.7 / size)
    turn = 180 if lines else 90
    away = (math.degrees(math.atan2(fy, fx)) - angle) % turn
    assert min(away, turn - away) < math.degrees(pitch / size)


@pytest.mark.parametrize("dot", DOTS)
@pytest.mark.parametrize(("pitch", "angle"), [(4.0, 0.0), (6.0, 30.0), (7.3, 45.0), (5.0, 75.0)])
def test_dots_stand_at_the_pitch_and_the_angle(pitch: float, angle: float, dot: Dot) -> None:
    plane = screen((128, 128), pitch, angle, (0.1, 0.7), dot)
    assert_peak(plane.numpy(), pitch, angle, lines=dot != "round")
    tone = 1 - 0.3
    step = Halftone(pitch=pitch, angles=(angle - 5,), tilt=5, softness=0.2, dot=dot, seed=3)
    print_ = printed(flat(tone, tone, tone, size=128), step)
    assert_peak(print_[0, 0].numpy(), pitch, angle, lines=dot != "round")


@pytest.mark.parametrize(("ink", "channel"), [(0, 0), (1, 1), (2, 2), (3, 0)])
@pytest.mark.parametrize("pitch", [5.0, 6.7])
def test_each_ink_has_its_own_angle(pitch: float, ink: int, channel: int) -> None:
    # A light tint of one ink, or a gray, which is all black ink.
    colour = [0.75, 0.75, 0.75] if ink == 3 else [1.0, 1.0, 1.0]
    colour[channel] = 0.75
    step = Halftone(pitch=pitch, angles=INK_ANGLES, tilt=3.0, softness=0.1, seed=8)
    out = printed(flat(*colour, size=128), step)
    assert_peak(out[0, channel].numpy(), pitch, INK_ANGLES[ink] + 3.0)
    for other in range(3):
        if ink != 3 and other != channel:
            assert out[0, other].min() == 1


def test_the_screen_is_periodic_and_a_phase_of_one_changes_nothing() -> None:
    plane = screen((32, 40), 8.0, 0.0)
    close = {"atol": 1e-3, "rtol": 0}
    torch.testing.assert_close(plane[:, 8:], plane[:, :-8], **close)
    torch.testing.assert_close(plane[8:], plane[:-8], **close)
    torch.testing.assert_close(screen((32, 40), 8.0, 0.0, (1.0, -2.0)), plane, **close)
    moved = screen((32, 40), 8.0, 0.0, (0.25, 0.0))
    torch.testing.assert_close(moved[:, :-2], plane[:, 2:], **close)
    # A dot's middle is where its phase says.
    assert plane[0, 0] == plane.min()


@pytest.mark.parametrize("dot", DOTS)
def test_thresholds_are_uniform_over_the_paper(dot: Dot) -> None:
    # A pitch and an angle that put dots at all places between pixels.
    plane = screen((256, 256), 7.37, 31.3, (0.2, 0.6), dot).flatten().sort().values
    assert plane[0] >= 0
    assert plane[-1] <= 1
    uniform = (torch.arange(len(plane)) + 0.5) / len(plane)
    assert (plane - uniform).abs().max() < 0.006


@pytest.mark.parametrize("dot", DOTS)
@pytest.mark.parametrize("softness", [0.0, 0.1, 0.5, 1.0])
def test_tones_are_kept(softness: float, dot: Dot) -> None:
    for tone in (0.0, 0.02, 0.1, 0.35, 0.5, 0.8, 0.95, 1.0):
        step = Halftone(pitch=5.3, angles=(30.0,), softness=softness, dot=dot, phases=((0.2, 0.4),))
        out = printed(flat(tone, tone, tone), step)
        assert torch.equal(out[0, 0], out[0, 2])
        assert out.mean().item() == pytest.approx(tone, abs=0.004)
        if softness <= 0.1:
            # Printed in ink or paper, not in gray.
            assert ((out < 0.02) | (out > 0.98)).float().mean() > 0.6


def test_dots_have_their_shapes() -> None:
    tone = 0.5
    spans = {}
    for dot in DOTS:
        step = Halftone(pitch=16, angles=(0,), softness=0, dot=dot, phases=((0.5, 0.5),))
        ink = 1 - printed(flat(tone, tone, tone, size=16), step)[0, 0]
        # The waves of an ellipse's and a line's first direction run to the right.
        spans[dot] = ((ink > 0.5).any(1).float().mean(), (ink > 0.5).any(0).float().mean())
    assert spans["line"][0] == 1
    assert spans["line"][1] == pytest.approx(0.5, abs=0.07)
    assert spans["ellipse"][0] == 1
    assert 0.55 < spans["ellipse"][1] < 0.8
    light = Halftone(pitch=16, angles=(0,), softness=0, phases=((0.5, 0.5),))
    round_ = printed(flat(0.9, 0.9, 0.9, size=16), light)[0, 0]
    torch.testing.assert_close(round_, round_.T)


def test_dot_gain_darkens_the_middle_tones() -> None:
    def tone(level: float, gain: float) -> float:
        step = Halftone(pitch=6.1, angles=(20,), gain=gain, seed=1)
        return printed(flat(level, level, level), step).mean().item()

    assert tone(0.5, 0.2) == pytest.approx(0.3, abs=0.005)
    assert tone(0.0, 0.2) == 0
    assert tone(1.0, 0.2) == 1
    tones = [tone(level / 8, 0.25) for level in range(9)]
    assert tones == sorted(tones)


@pytest.mark.parametrize("black", [0.0, 0.5, 1.0])
def test_separated_inks_print_the_image_again(black: float) -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    images[0, :, :4] = torch.tensor([0.0, 0.5, 1.0])[:, None, None]
    images[1, :, :2] = 0
    gray = torch.tensor([False, True]).view(2, 1, 1, 1)
    inks = separate_inks(images, torch.full((2, 1, 1, 1), black), gray)
    assert inks.min() >= 0
    assert inks.max() <= 1
    again = print_inks(inks)
    torch.testing.assert_close(again[0], images[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(again[1], to_luma(images[1]).expand(3, -1, -1), atol=1e-6, rtol=0)
    expected = black * (1 - images[0].amax(0))
    torch.testing.assert_close(inks[0, 3], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "colour", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 1.0)]
)
@pytest.mark.parametrize("softness", [0.0, 0.5])
def test_pure_inks_stay_pure(colour: tuple[float, float, float], softness: float) -> None:
    step = Halftone(pitch=6.0, angles=INK_ANGLES, softness=softness, phases=PHASES)
    out = printed(flat(*colour), step)
    torch.testing.assert_close(out, flat(*colour), atol=1e-5, rtol=0)


@pytest.mark.parametrize("black", [0.0, 0.6, 1.0])
def test_four_inks_keep_the_colour(black: float) -> None:
    step = Halftone(pitch=5.3, angles=INK_ANGLES, tilt=4, black=black, phases=PHASES)
    out = printed(flat(0.7, 0.5, 0.3, size=160), step).mean((0, 2, 3))
    # Dots of different angles overlap as often as by chance.
    torch.testing.assert_close(out, torch.tensor([0.7, 0.5, 0.3]), atol=0.006, rtol=0)


def test_softness_makes_the_edges_wider() -> None:
    shares = []
    for softness in (0.05, 0.5):
        step = Halftone(pitch=7, angles=(20,), softness=softness, phases=((0, 0),))
        out = printed(flat(0.5, 0.5, 0.5), step)
        shares.append(((out > 0.02) & (out < 0.98)).float().mean().item())
    assert shares[1] > 3 * shares[0]


def test_the_seed_decides_phases_that_are_not_given() -> None:
    image = flat(0.7, 0.5, 0.3, size=32)
    first = printed(image, Halftone(pitch=5, angles=INK_ANGLES, seed=1))
    assert torch.equal(first, printed(image, Halftone(pitch=5, angles=INK_ANGLES, seed=1)))
    assert not torch.equal(first, printed(image, Halftone(pitch=5, angles=INK_ANGLES, seed=2)))
    given = Halftone(pitch=5, angles=INK_ANGLES, seed=1, phases=PHASES)
    assert torch.equal(printed(image, given), printed(image, given.model_copy(update={"seed": 2})))


STEPS = (
    Halftone(pitch=5.0, angles=(40.0,), softness=0.2, seed=1),
    Halftone(pitch=3.7, angles=INK_ANGLES, softness=0.5, dot="ellipse", black=0.4, seed=2),
    Halftone(pitch=9.0, angles=(10.0,), softness=0.0, dot="line", gain=0.1, seed=3),
    Halftone(pitch=6.0, angles=INK_ANGLES, tilt=-7.5, phases=PHASES),
)


def test_an_image_in_a_batch_is_printed_as_if_alone() -> None:
    sizes = ((64, 40), (33, 64), (21, 27), (5, 3))
    generator = torch.Generator().manual_seed(4)
    images = [torch.rand(1, 3, *size, generator=generator) for size in sizes]
    canvas = Canvas(torch.rand(4, 3, 64, 64, generator=generator), sizes, (64, 64), 1)
    for i, image in enumerate(images):
        canvas.pixels[i, :, : image.shape[2], : image.shape[3]] = image[0]
    together = apply_halftone(canvas, STEPS)
    assert together.sizes == sizes
    for image, step, result in zip(images, STEPS, together.images(), strict=True):
        torch.testing.assert_close(result, printed(image, step), atol=1e-5, rtol=0)


def test_results_are_in_range_for_extreme_steps_and_images() -> None:
    images = torch.stack([torch.zeros(3, 24, 24), torch.ones(3, 24, 24), torch.rand(3, 24, 24)])
    for angles in ((0.0,), (-360.0, 360.0, 1e-9, 90.0)):
        for pitch in (1.0, 200.0):
            step = Halftone(pitch=pitch, angles=angles, softness=0, gain=0.25, black=0)
            out = printed(images, step, step, step)
            assert out.isfinite().all()
            assert out.min() >= 0
            assert out.max() <= 1


def test_steps_that_older_records_hold_are_read() -> None:
    step = {"pitch": 6.0, "angles": [38.0], "softness": 0.4, "phases": [[0.1, 0.3]]}
    assert Halftone.model_validate(step).phases == ((0.1, 0.3),)
    again = Halftone.model_validate_json(STEPS[3].model_dump_json())
    assert again == STEPS[3]


@pytest.mark.parametrize(("angles", "phases"), [((0.0, 1.0), 2), ((0.0,), 2), (INK_ANGLES, 1)])
def test_other_numbers_of_screens_are_refused(angles: tuple[float, ...], phases: int) -> None:
    with pytest.raises(ValidationError, match="1 or 4 angles"):
        Halftone(pitch=5.0, angles=angles, softness=0.1, phases=((0.0, 0.0),) * phases)


@pytest.mark.parametrize(
    "wrong",
    [{"pitch": 0.5}, {"pitch": math.inf}, {"softness": -0.1}, {"gain": 0.3}, {"dot": "star"}],
)
def test_other_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Halftone.model_validate({"pitch": 5.0, "angles": [45.0], **wrong})
