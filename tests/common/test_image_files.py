"""Which files are pictures, how others are counted, and which pictures are refused in few words."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common import image_files
from common.image_files import UnreadableError, is_passed_over, is_picture, kind_of, opened, other_files
from tests.phone_photos import phone_photo, quarters


def planar_tiff(bits: int) -> bytes:
    """An RGB TIFF of 2 x 2 pixels with one plane per colour (TIFF 6.0, PlanarConfiguration 2)."""
    plane = 4 * bits // 8
    entries = [
        (256, 3, 1, 2),
        (257, 3, 1, 2),
        (258, 3, 3, 200),  # offset of three shorts
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 3, 220),  # offsets of three strips
        (277, 3, 1, 3),
        (278, 3, 1, 2),
        (279, 4, 3, 240),
        (284, 3, 1, 2),
    ]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    data = bytearray(b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + b"\0\0\0\0").ljust(260, b"\0")
    data[200:206] = struct.pack("<3H", bits, bits, bits)
    data[220:232] = struct.pack("<3I", *(260 + index * plane for index in range(3)))
    data[240:252] = struct.pack("<3I", plane, plane, plane)
    return bytes(data) + bytes(3 * plane)


def test_sixteen_bits_in_planes_are_refused_and_eight_are_read() -> None:
    with opened(planar_tiff(8)) as image:
        assert image.size == (2, 2) and image.mode == "RGB"
    with (
        pytest.raises(UnreadableError, match="a TIFF of 16 bits with separate colour planes; save it"),
        opened(planar_tiff(16)),
    ):
        pass


def test_avif_is_read_where_pillow_can(tmp_path: Path) -> None:
    pytest.importorskip("PIL._avif")
    Image.new("RGB", (8, 6), (200, 30, 30)).save(tmp_path / "a.avif")
    assert is_picture("a.AVIF")
    with opened(tmp_path / "a.avif") as image:
        assert image.size == (8, 6)
        assert np.abs(np.asarray(image.convert("RGB"))[2, 2].astype(int) - [200, 30, 30]).max() < 12


def test_heic_is_read_by_the_decoder_that_is_installed_with_the_project(tmp_path: Path) -> None:
    image_files._register_heif.cache_clear()  # imageio has perhaps registered pillow-heif since
    for name in ("a.heic", "b.HEIF", "c.hif"):
        assert is_picture(name) and not other_files({})
        (tmp_path / name).write_bytes(phone_photo(quarters(48, 64), "heic"))
        with opened(tmp_path / name) as image:
            assert (image.format, type(image).__module__.partition(".")[0]) == ("HEIF", "pi_heif")
            assert np.abs(np.asarray(image)[5, 5].astype(int) - [220, 30, 30]).max() < 12
    with (
        pytest.raises(UnreadableError, match="64 x 48 pixels, over the limit of 3,000"),
        opened(tmp_path / "a.heic", 3000),
    ):
        pass
    torn = (tmp_path / "a.heic").read_bytes()[:-200]
    with pytest.raises(UnreadableError) as caught, opened(torn) as image:
        image.load()
    assert "\n" not in str(caught.value)


def test_heic_without_its_decoder_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "_HAS_HEIF", False)
    heic = struct.pack(">I", 24) + b"ftypheic" + bytes(40)
    with pytest.raises(UnreadableError, match="HEIC, which needs `pip install pi-heif`"), opened(heic):
        pass
    counted = other_files({".heic": 4, ".mov": 1})
    assert counted == "skipped 5 files of other kinds: 4 .heic, 1 .mov; `pip install pi-heif` reads .heic"


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        ({}, ""),
        ({".txt": 1}, "skipped 1 file of other kinds: 1 .txt"),
        (
            {".mov": 2, ".dng": 1200, ".aae": 2},
            "skipped 1,204 files of other kinds: 1,200 .dng, 2 .aae, 2 .mov",
        ),
        (
            {f".{letter}": 1 for letter in "abcdefgh"},
            "skipped 8 files of other kinds: 1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 1 .f, 2 others",
        ),
    ],
)
def test_other_files_are_counted_by_their_endings_most_frequent_first(
    kinds: dict[str, int], text: str
) -> None:
    assert other_files(kinds) == text


def test_files_of_systems_are_no_files_of_the_user() -> None:
    for name in ("@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", ".DS_Store", "Thumbs.db", "lost+found"):
        assert is_passed_over(name)
    for name in ("@home", "#1.png", "$5.jpg", "holiday"):
        assert not is_passed_over(name)
    assert kind_of("a/b.MOV") == ".mov" and kind_of("a.b/README") == "without an ending"
