"""What a person looks at afterwards: a before/after picture and a page with a slider."""

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from redeg_cli.io.files import atomic_path, write_text

_LARGEST = 1600
"""Pixels of the longer side of the pictures inside the page."""


def write_before_after(path: Path, before: np.ndarray, after: np.ndarray) -> None:
    """Write a PNG of the enlarged photo and the restored one side by side, labelled.

    Both are (H, W, 3) in [0, 1] and of one size.
    """
    gap, band = 8, 28
    height, width = after.shape[:2]
    sheet = Image.new("RGB", (2 * width + gap, height + band), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (label, picture) in enumerate((("before", before), ("after", after))):
        x = column * (width + gap)
        sheet.paste(_image(picture), (x, band))
        draw.text((x + 4, 6), label, fill="black", font=ImageFont.load_default(14))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def write_page(
    path: Path, name: str, before: np.ndarray, after: np.ndarray, summary: dict[str, Any]
) -> None:
    """Write a self-contained HTML page in which a slider uncovers the restored photo."""
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>"
        for key, value in _findings(summary)
    )
    height, width = after.shape[:2]
    page = _PAGE.format(
        name=html.escape(name),
        ratio=f"{width} / {height}",
        width=width,
        before=_data_url(before),
        after=_data_url(after),
        rows=rows,
    )
    write_text(path, page)


def _findings(summary: dict[str, Any]) -> list[tuple[str, str]]:
    chosen = {
        "general": "the general restorer (fine-tuning did not help on held-out parts)",
        "omega": "fine-tuned with Ω alone",
        "adapted": "fine-tuned, SynNet adapted to this photo",
    }
    scores = ", ".join(
        f"{method} {score['psnr']:.2f} dB" for method, score in summary["held_out_scores"].items()
    )
    faces = ", ".join(face["name"] for face in summary["faces"])
    pattern = f"{len(summary['lattice'])} frequencies" if summary["lattice"] else "none"
    size = summary["size"]
    return [
        ("restored by", chosen[summary["chosen"]]),
        ("faces used", faces),
        ("faces left out", "; ".join(summary["faces_not_used"]) or "none"),
        ("held-out parts of the faces", scores),
        ("periodic pattern", pattern),
        (
            "size",
            f"{size['photo'][0]}x{size['photo'][1]} to {size['restored'][0]}x"
            f"{size['restored'][1]} px",
        ),
        ("time", f"{summary['seconds']:.0f} s on {summary['device']}"),
    ]


def _image(picture: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8))


def _data_url(picture: np.ndarray) -> str:
    image = _image(picture)
    image.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=92)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}, restored</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1100px;
         padding: 0 1rem; color: #222; background: #fafafa }}
  .pair {{ position: relative; aspect-ratio: {ratio}; max-width: min(100%, {width}px);
          overflow: hidden; touch-action: none; cursor: ew-resize }}
  .pair img {{ position: absolute; inset: 0; width: 100%; height: 100%; user-select: none }}
  .pair .after {{ clip-path: inset(0 0 0 var(--at, 50%)) }}
  .pair .line {{ position: absolute; top: 0; bottom: 0; left: var(--at, 50%); width: 2px;
                background: #fff; box-shadow: 0 0 3px #000 }}
  input {{ width: min(100%, {width}px); margin: .75rem 0 }}
  th {{ text-align: left; vertical-align: top; padding-right: 1.5rem; font-weight: 600 }}
</style>
<h1>{name}</h1>
<div class="pair" id="pair">
  <img class="before" src="{before}" alt="before" draggable="false">
  <img class="after" src="{after}" alt="after" draggable="false">
  <div class="line"></div>
</div>
<input id="slider" type="range" min="0" max="100" value="50"
       aria-label="before on the left of the line, after on the right">
<table>{rows}</table>
<script>
  const pair = document.getElementById("pair"), slider = document.getElementById("slider");
  const show = at => {{ pair.style.setProperty("--at", at + "%"); slider.value = at; }};
  slider.addEventListener("input", () => show(slider.value));
  pair.addEventListener("pointermove", event => {{
    if (event.pointerType === "mouse" && event.buttons === 0) return;
    const box = pair.getBoundingClientRect();
    show(Math.max(0, Math.min(100, 100 * (event.clientX - box.left) / box.width)));
  }});
</script>
</html>
"""
