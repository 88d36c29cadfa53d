from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medground.imaging.picture import is_picture, read_picture
from medground.schema.errors import InputNotFoundError, LimitError, UnreadableFileError

RAMP = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_grey_png() -> None:
    pixels = read_picture(encoded(Image.fromarray(RAMP)))
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, RAMP / 255, atol=1e-6)


def test_equal_channels_become_grey_and_different_ones_stay() -> None:
    grey = np.repeat(RAMP[..., None], 3, axis=2)
    assert read_picture(encoded(Image.fromarray(grey))).shape == (12, 20)
    colour = grey.copy()
    colour[3, 4, 0] ^= 1
    np.testing.assert_allclose(read_picture(encoded(Image.fromarray(colour))), colour / 255, atol=1e-6)


def test_sixteen_bits_are_stretched() -> None:
    values = (1000 + 10 * RAMP.astype(np.uint16)).astype(np.uint16)
    low, high = int(values.min()), int(values.max())
    np.testing.assert_allclose(read_picture(encoded(Image.fromarray(values))), (values - low) / (high - low), atol=1e-6)
    flat = np.full((4, 4), 4711, dtype=np.uint16)
    np.testing.assert_array_equal(read_picture(encoded(Image.fromarray(flat))), np.zeros((4, 4)))


def test_palette_alpha_one_bit_and_cmyk() -> None:
    levels = Image.fromarray(RAMP)
    palette = levels.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_allclose(read_picture(encoded(palette)), np.asarray(palette.convert("L")) / 255, atol=0.01)

    alpha = np.full((12, 20), 128, dtype=np.uint8)
    transparent = Image.merge("LA", (levels, Image.fromarray(alpha)))
    np.testing.assert_allclose(read_picture(encoded(transparent)), RAMP / 255 * 128 / 255, atol=1 / 255)

    bits = Image.fromarray((RAMP > 100).astype(np.uint8) * 255).convert("1")
    np.testing.assert_array_equal(read_picture(encoded(bits)), (RAMP > 100).astype(np.float32))

    red = Image.new("RGB", (16, 16), (200, 30, 30)).convert("CMYK")
    pixels = read_picture(encoded(red, "JPEG", quality=95))
    np.testing.assert_allclose(pixels.mean((0, 1)) * 255, [200, 30, 30], atol=4)


def test_the_exif_orientation_is_not_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown rotated by a quarter turn
    data = encoded(Image.fromarray(np.tile(RAMP, (2, 2))), "JPEG", quality=95, exif=exif)
    assert read_picture(data).shape == (24, 40)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_cut_short(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for end in (9, len(data) // 2, len(data) - 40):
        with pytest.raises(UnreadableFileError, match=r"scan\.img is not a whole PNG or JPEG"):
            read_picture(data[:end], name="scan.img")


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a" + bytes(40), b"\x89PNG\r\n\x1a\n"])
def test_other_content(data: bytes) -> None:
    with pytest.raises(UnreadableFileError):
        read_picture(data)


def declared(columns: int, rows: int) -> bytes:
    """A PNG of a few bytes that declares any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_bombs(side: int) -> None:
    with pytest.raises(LimitError, match="50000000"):
        read_picture(declared(side, side))


def test_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"  # the content decides, not the name
    path.write_bytes(encoded(Image.fromarray(RAMP)))
    pixels: NDArray[np.float32] = read_picture(path)
    assert pixels.shape == (12, 20)
    assert is_picture(path)
    path.write_text("a text")
    assert not is_picture(path)
    for read in (read_picture, is_picture):
        with pytest.raises(InputNotFoundError, match="absent"):
            read(tmp_path / "absent.png")
