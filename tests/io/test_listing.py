"""Files behind the paths a user gives."""

import os
from pathlib import Path

import pytest

from redeg_cli.errors import InputError
from redeg_cli.io.listing import RealPaths, file_key, list_images, natural_key, unique_names


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names(*inputs: Path, recursive: bool = True) -> list[str]:
    return [item.name for item in list_images(inputs, recursive)]


def test_a_folder_in_natural_order_without_hidden_files(tmp_path: Path) -> None:
    make(tmp_path, "10.png", "2.PNG", "b/1.jpg", "b/.redeg-1.png", ".git/x.png", "a.txt", "é.webp")
    make(tmp_path, "__MACOSX/2.png", "$RECYCLE.BIN/3.png", "B10.tiff", "b9.jpeg")
    make(tmp_path, "lost+found/4.png", "b/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg")
    assert names(tmp_path) == ["2.PNG", "10.png", "b/1.jpg", "b9.jpeg", "B10.tiff", "é.webp"]
    assert names(tmp_path, recursive=False) == ["2.PNG", "10.png", "b9.jpeg", "B10.tiff", "é.webp"]
    for item in list_images([tmp_path]):
        assert item.path == tmp_path / item.name


def test_files_come_as_given_and_once(tmp_path: Path) -> None:
    make(tmp_path, "b.png", "a.png", "odd.suffix")
    files = [tmp_path / "odd.suffix", tmp_path / "b.png", tmp_path / "a.png", tmp_path / "b.png"]
    assert names(*files) == ["odd.suffix", "b.png", "a.png"]
    assert names(tmp_path / "b.png", tmp_path) == ["b.png", "a.png"]


def test_equal_names_get_their_folders(tmp_path: Path) -> None:
    make(tmp_path, "x/s/1.png", "y/s/1.png", "y/s/2.png")
    assert names(tmp_path / "x", tmp_path / "y") == ["x/s/1.png", "y/s/1.png", "s/2.png"]
    assert names(tmp_path / "x/s/1.png", tmp_path / "y/s") == ["x/s/1.png", "y/s/1.png", "2.png"]


def test_unique_names_ends_even_for_one_file_twice() -> None:
    same = [(Path("/a/1.png"), "1.png")] * 2
    assert len(set(unique_names(same))) == 2


@pytest.mark.parametrize("recursive", [True, False])
def test_an_empty_folder_is_named_with_the_suffixes(tmp_path: Path, recursive: bool) -> None:
    make(tmp_path / "ö", "readme.txt")
    with pytest.raises(InputError, match=r"ö holds no images: looked for \.png, \.jpg"):
        list_images([tmp_path / "ö"], recursive)


def test_missing_paths_and_no_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.png does not exist"):
        list_images([tmp_path / "nothing.png"])
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InputError, match="broken link"):
        list_images([tmp_path / "link.png"])
    with pytest.raises(InputError, match="no images were given"):
        list_images([])


def test_patterns_are_expanded_where_no_shell_did(tmp_path: Path) -> None:
    make(tmp_path, "10.png", "9.png", "a.jpg", "[1].png")
    assert names(tmp_path / "*.png") == ["9.png", "10.png", "[1].png"]
    assert names(tmp_path / "[1].png") == ["[1].png"]
    with pytest.raises(InputError, match="does not exist"):
        list_images([tmp_path / "*.webp"])


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    make(tmp_path, "in/a.png", "elsewhere/b.png")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert names(tmp_path / "in") == ["a.png", "more/b.png"]


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Folders put in here cannot be read, by root neither."""
    scan, folders = os.scandir, set()

    def refuse(path: str):
        if Path(path) in folders:
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr("os.scandir", refuse)
    return folders


def test_a_sub_folder_that_cannot_be_read_is_told_and_left_out(
    tmp_path: Path, locked: set[Path], caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "a.png", "private/b.png", "then/c.png")
    locked.add(tmp_path / "private")
    assert names(tmp_path) == ["a.png", "then/c.png"]
    told = f"cannot read the folder {tmp_path / 'private'}: Permission denied; it is left out"
    assert [each.getMessage() for each in caplog.records] == [told]


def test_a_given_folder_that_cannot_be_read_is_refused(tmp_path: Path, locked: set[Path]) -> None:
    make(tmp_path, "in/a.png")
    locked.add(tmp_path / "in")
    with pytest.raises(InputError, match=r"cannot read the folder .*in: Permission denied"):
        list_images([tmp_path / "in"])


def test_natural_key_orders_numbers_by_value() -> None:
    given = ["b", "a10", "a2", "A1", "a02", "1", "a2b", "", "²"]
    assert sorted(given, key=natural_key) == ["", "1", "A1", "a02", "a2", "a2b", "a10", "b", "²"]


def test_pictures_of_a_kind_that_is_not_read_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "a.png", "p.mpo", "x.txt", "1.JXL", "deep/2.jxl", "3.cr2", ".4.jxl", "5.pdf")
    assert names(tmp_path) == ["a.png", "p.mpo"]
    told = "3 files are not read: 2 .jxl, 1 .cr2 (save them as JPEG or PNG)"
    assert [each.getMessage() for each in caplog.records] == [f"{tmp_path}: {told}"]
    caplog.clear()
    assert names(tmp_path / "a.png", tmp_path / "p.mpo") == ["a.png", "p.mpo"]
    assert caplog.records == []
    with pytest.raises(InputError, match="holds no images"):
        list_images([tmp_path / "deep"])
    assert "deep: 1 file is not read: 1 .jxl (save it as JPEG or PNG)" in caplog.text


@pytest.mark.parametrize(
    ("platform", "same"), [("win32", True), ("darwin", True), ("linux", False)]
)
def test_names_that_differ_in_case_are_one_file_where_the_system_says_so(
    monkeypatch: pytest.MonkeyPatch, platform: str, same: bool
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert (file_key(Path("out/A.png")) == file_key("out/a.png")) is same


def test_a_path_that_cannot_be_looked_at_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*too long|does not exist"):
        list_images([tmp_path / (300 * "x")])


def test_real_paths_are_those_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "there" / "deep").mkdir(parents=True)
    (tmp_path / "there" / "a.png").touch()
    (tmp_path / "folder").symlink_to(tmp_path / "there")
    (tmp_path / "there" / "b.png").symlink_to(tmp_path / "there" / "a.png")
    real_path = RealPaths()
    names = ("there/a.png", "folder/a.png", "folder/b.png", "folder/deep", "folder/deep/..", "none")
    for name in names:
        assert real_path(tmp_path / name) == os.path.realpath(tmp_path / name)
        assert real_path(f"{tmp_path}/{name}/.") == os.path.realpath(f"{tmp_path}/{name}/.")


def test_a_folder_is_resolved_once_and_what_is_found_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(25):
        (tmp_path / f"{index}.png").touch()
    resolve, asked, told = os.path.realpath, [], []

    def count(path: str, **more: bool) -> str:
        asked.append(path)
        return resolve(path, **more)

    monkeypatch.setattr("os.path.realpath", count)
    monkeypatch.setattr("redeg_cli.io.listing._TOLD", 10)
    listed = list_images([tmp_path], on_progress=lambda *done: told.append(done))
    assert [each.real for each in listed] == [resolve(tmp_path / f"{i}.png") for i in range(25)]
    assert len(asked) == 2  # once on the walk
    assert told == [(10, 0, "images found"), (20, 0, "images found")]
