"""Which pictures a folder holds: on disks made here with every kind of trouble, and in an object store."""

import os
import sys
import uuid
from pathlib import Path

import pytest
from PIL import Image

from common.errors import ConfigError
from common.storage.content_hash import digest_bytes
from common.storage.folder import Folder
from styletransfer.pictures.listing import list_pictures
from styletransfer.pictures.reading import PictureError, read_picture


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), (10, 20, 30)).save(path, "PNG")
    return path


def names(location: Path | str, **options: list[str]) -> list[str]:
    return list(list_pictures(str(location), flag="CONTENTS", **options).names)


def test_pictures_are_listed_sorted_with_their_relative_paths(tmp_path: Path) -> None:
    for name in (
        "b.png",
        "a/z.JPG",
        "a/b/c/d.tiff",
        "ä #?%41'.png",
        ".hidden.png",
        ".git/x.png",
        "__MACOSX/y.png",
    ):
        put(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    assert names(tmp_path) == sorted(["b.png", "a/z.JPG", "a/b/c/d.tiff", "ä #?%41'.png"])


def test_files_of_other_kinds_are_counted_and_folders_of_systems_passed_over(tmp_path: Path) -> None:
    url = f"memory://bucket-{uuid.uuid4().hex}/phone"
    data, folder = put(tmp_path / "a.png").read_bytes(), Folder(url)
    others = ("IMG_1.JXL", "b/IMG_2.jxl", "b/clip.MOV", "notes", ".hidden.mov")
    passed_over = ("@eaDir/a.png", "#recycle/b.png", "$RECYCLE.BIN/c.png", "b/@eaDir/x/d.png", "Thumbs.db")
    for name in ("a.png", *others, *passed_over):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
        folder.write(name, data)
    for place in (str(tmp_path), url):
        listing = list_pictures(place, flag="CONTENTS")
        assert listing.names == ("a.png",)
        assert listing.others == {".jxl": 2, ".mov": 1, "without an ending": 1}
    (tmp_path / "a.png").unlink()
    with pytest.raises(
        ConfigError, match=r"holds no pictures .+skipped 4 files of other kinds: 2 \.jxl, 1 \.mov"
    ):
        list_pictures(str(tmp_path), flag="CONTENTS")


def test_a_single_file_is_a_listing_of_one(tmp_path: Path) -> None:
    put(tmp_path / "b.png")
    listing = list_pictures(str(put(tmp_path / "a.png")), flag="STYLES")
    assert listing.names == ("a.png",) and listing.location == str(tmp_path)
    assert read_picture(listing.source("a.png")).size_px == (4, 3)


def test_a_link_out_of_the_folder_is_skipped_with_its_reason(tmp_path: Path) -> None:
    outside, root = put(tmp_path / "outside" / "secret.png"), tmp_path / "root"
    put(root / "sub" / "in.png")
    (root / "leak.png").symlink_to(outside)
    (root / "sub" / "leak").symlink_to(outside.parent)
    (root / "relative.png").symlink_to("../outside/secret.png")
    (root / "inside.png").symlink_to("sub/in.png")
    (root / "again").symlink_to("sub")
    (root / "above").symlink_to("..")
    (root / "self").symlink_to(".")
    (root / "circle.png").symlink_to("circle.png")
    (root / "nowhere.png").symlink_to("absent.png")
    (root / "note.txt").symlink_to("sub/in.png")
    os.mkfifo(root / "pipe.png")
    listing = list_pictures(str(root), flag="CONTENTS")
    assert listing.names == ("inside.png", "sub/in.png")
    out, within = "out of the folder", "whose pictures are listed there"
    reasons = {
        "leak.png": out,
        "sub/leak": out,
        "relative.png": out,
        "above": out,
        "again": within,
        "self": within,
        "circle.png": "in a circle",
        "nowhere.png": "a broken link",
        "pipe.png": "not a regular file",
    }
    assert [name for name, _ in listing.skipped] == sorted(reasons)
    assert all(reasons[name] in reason for name, reason in listing.skipped)


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "real" / "a.png")
    (tmp_path / "link").symlink_to("real")
    assert names(tmp_path / "link") == ["a.png"]


def test_the_output_inside_the_folder_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / "out" / "a__b.png")
    put(tmp_path / "out2" / "c.png")
    assert names(tmp_path, leave_out=[str(tmp_path / "out")]) == ["a.png", "out2/c.png"]
    with pytest.raises(ConfigError, match="is also the output folder"):
        names(tmp_path, leave_out=[str(tmp_path)])


def test_a_place_without_pictures_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link.png").symlink_to("absent")
    os.mkfifo(tmp_path / "pipe")
    for place, reason in (
        (tmp_path / "absent", "No such file"),
        (tmp_path / "empty", "holds no pictures"),
        (tmp_path, "broken link"),
        (tmp_path / "pipe", "neither a file nor a folder"),
        (f"memory://{uuid.uuid4().hex}/x", "holds no pictures"),
    ):
        with pytest.raises(ConfigError, match=reason) as caught:
            names(place)
        assert "\n" not in str(caught.value) and str(caught.value).startswith("CONTENTS ")


def test_a_folder_that_may_not_be_read_is_skipped_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / "closed" / "b.png")
    scan = os.scandir

    def refuse(path: Path) -> object:  # root, who runs this in a container, may read everything
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = list_pictures(str(tmp_path), flag="CONTENTS")
    assert listing.names == ("a.png",)
    assert listing.skipped == (("closed", "cannot be read: Permission denied"),)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_unicode_are_listed_and_read(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Path(os.fsdecode(raw)).write_bytes(put(tmp_path / "a.png").read_bytes())
    listing = list_pictures(str(tmp_path), flag="CONTENTS")
    assert listing.names == ("a.png", os.fsdecode(b"\xff\xfe.png"))
    assert read_picture(listing.source(listing.names[1])).size_px == (4, 3)


def test_an_object_store_is_listed_and_read_alike(tmp_path: Path) -> None:
    data = put(tmp_path / "a.png").read_bytes()
    url = f"memory://bucket-{uuid.uuid4().hex}/photos"
    folder = Folder(url)
    for name in ("b.png", "sub/a #1.JPG", ".hidden/x.png", "notes.txt", "out/c.png"):
        folder.write(name, data)
    listing = list_pictures(url, flag="CONTENTS", leave_out=[f"{url}/out", str(tmp_path)])
    assert listing.names == ("b.png", "sub/a #1.JPG")
    assert read_picture(listing.source("sub/a #1.JPG")).size_px == (4, 3)
    single = list_pictures(f"{url}/b.png", flag="CONTENTS")
    assert single.names == ("b.png",) and single.source("b.png") == data
    with pytest.raises(PictureError, match="no such file"):
        single.source("absent.png")
    found = listing.digests(listing.names, tmp_path / "index.json")
    assert found == dict.fromkeys(listing.names, digest_bytes(data))


def test_digests_are_those_of_the_bytes_and_follow_a_change(tmp_path: Path) -> None:
    path = put(tmp_path / "photos" / "a.png")
    listing = list_pictures(str(tmp_path / "photos"), flag="CONTENTS")
    assert listing.digests(["a.png"], tmp_path / "i.json") == {"a.png": digest_bytes(path.read_bytes())}
    Image.new("RGB", (9, 9)).save(path)
    assert listing.digests(["a.png"], tmp_path / "i.json") == {"a.png": digest_bytes(path.read_bytes())}
