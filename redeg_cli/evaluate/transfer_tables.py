"""The figures of a transfer evaluation as tables."""

from collections.abc import Sequence

from redeg_cli.evaluate.bootstrap import Interval
from redeg_cli.evaluate.grids import Grid, interval
from redeg_cli.evaluate.spectrum import BANDS
from redeg_cli.evaluate.tables import number
from redeg_cli.evaluate.transfer import TransferReport

PERIODS_SEEN = 6.0
"""dB from which a network's own grid can be seen in what it makes."""


def transfer_grids(report: TransferReport) -> list[Grid]:
    """Return the tables of a report, in the order in which they are read."""
    grids = [_transfer(report), _spectrum(report), _grain(report), _omega(report)]
    grids += [_realism(report), _screens(report), _robustness(report)]
    return [grid for grid in grids if grid.rows]


def _transfer(report: TransferReport) -> Grid:
    rows = [
        (
            each.family,
            interval(each.psnr_hq, 2),
            interval(each.psnr_right, 2),
            *(() if each.psnr_pseudo is None else (interval(each.psnr_pseudo, 2),)),
            interval(each.psnr_wrong, 2),
            interval(each.gain, 2, signed=True),
            number(each.detail_ratio, 2),
            *(() if each.detail_ratio_pseudo is None else (number(each.detail_ratio_pseudo, 2),)),
            _ratio(each.energy_db),
            _ratio(each.energy_hq_db),
        )
        for each in report.families
    ]
    pseudo = () if report.families[0].psnr_pseudo is None else ("by pseudo-HQ",)
    figures = ("HQ itself", "right Ω", *pseudo, "another Ω", "gain")
    energies = ("detail", *pseudo, "high frequencies", "of the HQ")
    return Grid(
        "Ω of a face, put on other images",
        ("family", *figures, *energies),
        tuple(rows),
        "PSNR in dB against the true LQ, mean with 95 % interval; gain: right Ω - HQ itself. "
        + ("By pseudo-HQ: Ω read off the LQ and the restored face. " if pseudo else "")
        + "Detail (median) and energy above half of Nyquist's frequency (geometric mean), on the "
        "LQ's own grid: synthetic ÷ true.",
    )


def _spectrum(report: TransferReport) -> Grid:
    rows = [
        (
            each.family,
            *(number(value, 1, signed=True) for value in each.spectrum_db),
            interval(each.spectral_distance, 1),
        )
        for each in report.families
    ]
    return Grid(
        "Spectrum",
        ("family", *_rings(), "distance"),
        tuple(rows),
        "dB that the synthetic LQ has more than the true one, per ring of frequencies (upper end "
        "in cycles per pixel); distance: their root mean square, image by image.",
    )


def _grain(report: TransferReport) -> Grid:
    rows = []
    for each in report.families:
        if grain := each.grain:
            rows.append(
                (
                    each.family,
                    _ratio(grain.energy_db),
                    number(max(map(abs, grain.spectrum_db)), 1),
                    _triple(grain.correlation_true),
                    _triple(grain.correlation_made),
                    interval(grain.correlation_error, 2),
                )
            )
    return Grid(
        "Grain alone",
        ("family", "energy", "worst ring, dB", "correlation, true", "synthetic", "error"),
        tuple(rows),
        "Difference of two LQs that differ by the seed of the grain. Energy: synthetic ÷ true. "
        "Correlation of R and G, R and B, G and B, means; error: mean absolute difference, image "
        "by image.",
    )


def _omega(report: TransferReport) -> Grid:
    omega = report.omega
    rows = []
    if omega.retrieval is not None:
        by_group = ", ".join(
            f"{name} {share:.2f}" for name, share in omega.retrieval_by_group.items()
        )
        rows.append(("retrieval, 5 nearest", interval(omega.retrieval, 3), "0.25", by_group))
    rows.append(("content probe", interval(omega.content_probe, 3), "0.50", "low is good"))
    if omega.rank_correlation is not None:
        ranked = number(omega.rank_correlation, 3)
        rows.append(("rank correlation", ranked, "0.00", "distances in Ω and in parameters, mixed"))
    return Grid("What Ω knows", ("", "figure", "by chance", ""), tuple(rows))


def _realism(report: TransferReport) -> Grid:
    realism = report.realism
    by_family = ", ".join(f"{name} {share:.2f}" for name, share in realism.by_family.items())
    rows = [("synthetic", interval(realism.synthetic, 3), by_family)]
    rows += [(name, interval(rival, 3), "") for name, rival in realism.rivals.items()]
    rows.append(("other true LQs", interval(realism.control, 3), "cannot be told apart"))
    return Grid(
        "Realism",
        ("in place of true LQs", "told apart", ""),
        tuple(rows),
        "Accuracy of a small discriminator on held-out pairs; chance is 0.5, low is good.",
    )


def _screens(report: TransferReport) -> Grid:
    screens = report.screens
    head = ("figure", "synthetic", "wanted")
    if screens is None:
        return Grid("Halftone screens", head, ())
    rows = (
        ("error of the frequency, % (median)", number(screens.frequency, 1), "at most 3"),
        ("error of the angle, degrees (median)", number(screens.angle, 1), "at most 3"),
        ("energy, dB", interval(screens.energy_db, 1, signed=True), "within 2"),
        (
            "coherence",
            interval(screens.coherence, 2),
            f"as the true screen: {number(screens.coherence_true.mean, 2)}",
        ),
        ("share with all four right", number(screens.hits, 2), "1.00"),
    )
    return Grid(
        "Halftone screens",
        head,
        rows,
        f"{screens.count} pictures of 1024x1024 pixels, screened by the Ω of a screened face.",
    )


def _robustness(report: TransferReport) -> Grid:
    tried = report.robustness
    seen = "seen" if tried.checkerboard > PERIODS_SEEN else "not seen"
    rows = [
        ("pictures made", str(tried.tried), "constant, tiny, narrow, large; extreme Ωs"),
        ("failures", str(len(tried.failures)), "; ".join(tried.failures[:3])),
        ("checkerboard, dB", number(tried.checkerboard, 1), f"{seen} (from {PERIODS_SEEN:g} dB)"),
    ]
    return Grid("Robustness", ("", "figure", ""), tuple(rows))


def _ratio(decibels: Interval) -> str:
    """Return an interval in dB as a ratio of energies."""
    mean, low, high = (10 ** (x / 10) for x in (decibels.mean, decibels.low, decibels.high))
    digits = 2 if mean < 10 else 0
    return interval(Interval(decibels.n, mean, float("nan"), low, high), digits)


def _triple(values: Sequence[float]) -> str:
    return " ".join(number(value, 2) for value in values)


def _rings() -> list[str]:
    return [f"{(ring + 1) / 2 / BANDS:.2f}" for ring in range(BANDS)]
