"""PNG of 16 bits a channel, written by hand, since Pillow does not write all of it."""

import struct
import zlib

import pytest

from gan.data.decode import Framing, read_squares


def _png_of_16_bits(kind: int, pixel: list[int], *chunks: tuple[bytes, bytes]) -> bytes:
    """16 x 16 equal pixels; kind: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA (PNG, section 11.2.2)."""
    header = struct.pack(">IIBBBBB", 16, 16, 16, kind, 0, 0, 0)
    rows = (b"\0" + struct.pack(f">{len(pixel)}H", *pixel) * 16) * 16
    parts = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*part) for part in parts)


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize(
    ("kind", "pixel", "chunks", "expected"),
    [
        (0, [300], [], (1, 1, 1)),  # 300 x 255 / 65535 = 1.2
        (0, [300], [(b"tRNS", b"\x01\x2c")], (255, 255, 255)),  # 300 is declared to be clear
        (0, [300], [(b"tRNS", b"\x01\x2d")], (1, 1, 1)),
        (2, [20_000, 40_000, 0], [], (78, 156, 0)),
        (4, [40_000, 65_535], [], (156, 156, 156)),
        (4, [40_000, 0], [], (255, 255, 255)),
        (6, [20_000, 40_000, 0, 65_535], [], (78, 156, 0)),
        (6, [20_000, 40_000, 0, 0], [], (255, 255, 255)),
    ],
)
def test_png_of_16_bits_is_read_with_its_transparency(
    kind: int, pixel: list[int], chunks: list[tuple[bytes, bytes]], expected: tuple[int, int, int]
) -> None:
    read = read_squares(_png_of_16_bits(kind, pixel, *chunks), Framing(resolution=16))
    assert (read.pixels == expected).all()
