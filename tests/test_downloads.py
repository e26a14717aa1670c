"""Downloads: found where they lie, fetched whole, carried on, and never taken for another file."""

import errno
import hashlib
import os
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torchvision.models import AlexNet_Weights, VGG19_Weights

from redeg_cli import downloads
from redeg_cli.downloads import DOWNLOADS, download_places, fetch, find_download, how_to_get
from redeg_cli.errors import ModelError, OutputError
from redeg_cli.io.lock import file_lock
from redeg_cli.models import find_model, load_restorer
from redeg_cli.nets.rrdb import RRDBNet

CONTENT = bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; can skip to a place, can break off, notes what it was asked for."""

    ranges = True
    breaks_after: int | None = None
    asked: list[str | None]
    content = CONTENT


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        start = int(asked[6:-1]) if asked and self.server.ranges else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks_after])

    def log_message(self, *args: object) -> None:
        del args


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.asked = []
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setenv("REDEG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    url = f"http://127.0.0.1:{server.server_port}"
    served = {
        "weights": replace(DOWNLOADS["vgg19"], url=f"{url}/weights.pth", sha256=DIGEST[:8]),
        "other": replace(DOWNLOADS["vgg19"], url=f"{url}/other.pth", sha256="00000000"),
        "missing": replace(DOWNLOADS["vgg19"], url=f"{url}/missing.pth"),
    }
    monkeypatch.setattr(downloads, "DOWNLOADS", {**DOWNLOADS, **served})


def test_it_is_fetched_once_and_whole(tmp_path: Path, server: Server) -> None:
    seen: list[tuple[int, int]] = []
    assert find_download("weights") is None
    path = fetch("weights", lambda done, total, _text="": seen.append((done, total)))
    assert path == tmp_path / "torch" / "hub" / "checkpoints" / "weights.pth"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT) >> 20, len(CONTENT) >> 20)
    assert fetch("weights") == path == find_download("weights")
    assert server.asked == [None]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ranges", [True, False])
def test_what_broke_off_is_carried_on(server: Server, ranges: bool) -> None:
    server.ranges = ranges
    server.breaks_after = 1_500_000
    with pytest.raises(ModelError, match="the same command goes on"):
        fetch("weights")
    assert find_download("weights") is None
    server.breaks_after = None
    assert fetch("weights").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1500000-"]


def test_what_came_whole_but_was_not_renamed_is_not_asked_for_again(server: Server) -> None:
    place = download_places("weights")[-1]
    place.parent.mkdir(parents=True)
    place.with_name("weights.pth.part").write_bytes(CONTENT)
    assert fetch("weights").read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


@pytest.mark.skipif(os.name == "nt", reason="nothing is locked on Windows")
def test_two_processes_do_not_write_into_one_file(server: Server) -> None:
    place = download_places("weights")[-1]
    with file_lock(place), pytest.raises(OutputError, match=r"another redeg .*weights\.pth"):
        fetch("weights")
    assert server.asked == []
    assert fetch("weights").read_bytes() == CONTENT


def test_another_file_is_thrown_away() -> None:
    with pytest.raises(ModelError, match=f"SHA-256 {DIGEST[:16]}..., wanted 00000000"):
        fetch("other")
    assert list(download_places("other")[-1].parent.iterdir()) == []


def test_no_such_file_no_such_server_no_such_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"missing\.pth cannot be read: Not Found"):
        fetch("missing")
    nowhere = replace(DOWNLOADS["vgg19"], url="http://127.0.0.1:9/weights.pth")
    monkeypatch.setitem(downloads.DOWNLOADS, "weights", nowhere)
    with pytest.raises(ModelError, match=r"weights\.pth cannot be read: .*refused"):
        fetch("weights")
    with pytest.raises(ModelError, match=r"no download 'vgg' \(did you mean 'vgg19'\?\)"):
        fetch("vgg")


@pytest.mark.parametrize(
    "error",
    [
        ssl.SSLError(1, "bad record mac"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    ],
)
@pytest.mark.parametrize("when", ["http.client.HTTPResponse.read", "urllib.request.urlopen"])
def test_a_network_that_fails_is_not_the_disk(
    monkeypatch: pytest.MonkeyPatch, error: OSError, when: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(when, fail)
        with pytest.raises(ModelError, match=rf"broke off \(.*{error.strerror}.*command goes on"):
            fetch("weights")
    assert fetch("weights").read_bytes() == CONTENT


def test_a_full_disk_is_not_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*part: No space left on device"):
        fetch("weights")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "torch").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot write"):
        fetch("weights")


def test_the_addresses_are_those_of_torchvision() -> None:
    for name, weights in {"vgg19": VGG19_Weights, "alexnet": AlexNet_Weights}.items():
        theirs = weights.IMAGENET1K_V1
        assert DOWNLOADS[name].url == theirs.url
        assert DOWNLOADS[name].megabytes == round(theirs.meta["_file_size"])
        assert DOWNLOADS[name].sha256 in theirs.url
    assert how_to_get("alexnet") == "run `redeg models download alexnet` (233 MB)"


def test_a_model_is_imported_under_its_name(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    torch.save(RRDBNet(features=8, growth=32, blocks=1).state_dict(), tmp_path / "made.pth")
    server.content = (tmp_path / "made.pth").read_bytes()
    url = f"http://127.0.0.1:{server.server_port}/made.pth"
    digest = hashlib.sha256(server.content).hexdigest()
    made = replace(DOWNLOADS["gfpgan"], url=url, sha256=digest)
    monkeypatch.setitem(downloads.DOWNLOADS, "made", made)
    path = fetch("made")
    assert path == tmp_path / "home" / "made.safetensors" == find_model("made")
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert load_restorer("made").architecture == "ESRGAN"
    assert fetch("made") == path
    assert len(server.asked) == 1
    server.content = CONTENT  # whole, but nothing that can be imported here: kept
    monkeypatch.setitem(downloads.DOWNLOADS, "odd", replace(made, sha256=DIGEST))
    for _ in range(2):
        with pytest.raises(ModelError, match="is not a checkpoint"):
            fetch("odd")
    assert sorted(each.name for each in path.parent.iterdir()) == ["made.pth.part", path.name]
    assert server.asked[1:] == [None, f"bytes={len(CONTENT)}-"]


def test_the_digests_of_large_files_are_whole() -> None:
    for name, download in DOWNLOADS.items():
        assert len(download.sha256) == (8 if download.kept == "torch" else 64), name
        assert download.url.startswith("https://")
