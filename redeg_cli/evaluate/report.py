"""The files of an evaluation."""

from pathlib import Path

from redeg_cli.evaluate.sheet import CROP, choose_images, draw_sheet, make_strips
from redeg_cli.evaluate.summary import Summary, to_record
from redeg_cli.evaluate.tables import to_csv, to_latex, to_markdown
from redeg_cli.io.files import write_json, write_text
from redeg_cli.io.images import write_rgb
from redeg_cli.progress import OnProgress, no_progress

REPORT_FILES = ("table.md", "table.tex", "per_image.csv", "result.json", "sheet.png")


def write_report(
    folder: Path,
    summary: Summary,
    *,
    images: int = 4,
    names: tuple[str, ...] = (),
    crop: int = CROP,
    on_progress: OnProgress = no_progress,
) -> list[Path]:
    """Write tables, values and the comparison sheet into ``folder``; return the files.

    The sheet shows the images ``names``, or else as many as ``images`` that show most (0: no
    sheet), cut to squares of ``crop`` pixels. Raises OutputError, InputError for an unknown name.
    """
    chosen = names or tuple(choose_images(summary.evaluation, images))
    strips = make_strips(summary.evaluation, chosen, crop, on_progress)
    texts = {
        "table.md": to_markdown(summary),
        "table.tex": to_latex(summary),
        "per_image.csv": to_csv(summary.evaluation),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    write_json(folder / "result.json", to_record(summary))
    written = [folder / name for name in (*texts, "result.json")]
    if strips:
        write_rgb(folder / "sheet.png", draw_sheet(strips))
        written.append(folder / "sheet.png")
    return written
