"""Pages in headless Chromium: what they load, what they complain of, what is seen on them."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Watched:
    """A page that is open, and all that it did so far."""

    page: Any
    """Playwright's page."""
    file: Path
    complaints: list[str] = field(default_factory=list)
    """Console messages and errors."""
    requests: list[str] = field(default_factory=list)
    """What was loaded besides the page itself: paths relative to its folder, or addresses."""

    def watch(self) -> None:
        """Note every message and request from now on."""
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        if parts.scheme == "data" or path == self.file:
            return
        inside = parts.scheme == "file" and path.is_relative_to(self.file.parent)
        self.requests.append(path.relative_to(self.file.parent).as_posix() if inside else url)

    def drag(self, locator: Any, across: float, down: float = 0) -> None:
        """Drag the middle of an element by CSS pixels."""
        box = locator.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + across / 2, y + down / 2)
        self.page.mouse.move(x + across, y + down)
        self.page.mouse.up()
