"""Reads PNG and JPEG pictures as they are stored: no rotation, no colour management, no header to trust."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medground.schema.errors import InputNotFoundError, LimitError, UnreadableFileError

MAX_PIXELS = 50_000_000  # a colour picture of this size takes 600 MB as float32
MAX_BYTES = 256 * 1024 * 1024
_JPEG = b"\xff\xd8\xff"
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", _JPEG)
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")


def is_picture(path: Path) -> bool:
    """Whether the file begins as a PNG or a JPEG does; its name does not matter.

    Raises:
        InputNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise InputNotFoundError(f"there is no file at {path}; check the path")
    with path.open("rb") as file:
        return file.read(8).startswith(_SIGNATURES)


def is_jpeg(source: Path | bytes) -> bool:
    """Whether a picture, a file or its bytes, is a JPEG."""
    if isinstance(source, bytes):
        return source.startswith(_JPEG)
    with source.open("rb") as file:
        return file.read(len(_JPEG)) == _JPEG


def read_picture(source: Path | bytes, *, name: str | None = None) -> NDArray[np.float32]:
    """Read a PNG or JPEG.

    The EXIF orientation is not applied: boxes are given in stored pixels, so the picture must stay as stored.
    Transparency is laid over black. Sixteen-bit pictures are stretched from their least to their greatest value,
    because nothing in the file says which window was meant.

    Args:
        source: a path, or the bytes of the file.
        name: what messages call it; the path where None.

    Returns:
        Display values 0..1: (rows, columns), or (rows, columns, 3) RGB where the channels differ.

    Raises:
        InputNotFoundError: there is no such file.
        LimitError: more than 50 million pixels or 256 MiB.
        UnreadableFileError: neither PNG nor JPEG, or cut short.
    """
    label = name or (str(source) if isinstance(source, Path) else "the picture")
    data = source if isinstance(source, bytes) else _read_bytes(source, label)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit below is lower than the one Pillow warns about
            picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
            if picture.width * picture.height > MAX_PIXELS:
                raise LimitError(_too_many_pixels(label, f"{picture.width} x {picture.height}"))
            picture.load()
            return _display_values(picture)
    except Image.DecompressionBombError as error:
        raise LimitError(_too_many_pixels(label, "far more")) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        reason = f"{label} is not a whole PNG or JPEG ({len(data)} bytes); export it again, or give DICOM"
        raise UnreadableFileError(reason) from error


def _read_bytes(path: Path, label: str) -> bytes:
    if not path.is_file():
        raise InputNotFoundError(f"there is no file at {label}; check the path")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise LimitError(f"{label} has {size} bytes, more than the {MAX_BYTES} allowed for a picture; give DICOM")
    return path.read_bytes()


def _too_many_pixels(label: str, size: str) -> str:
    return f"{label} has {size} pixels, more than the {MAX_PIXELS} allowed for a picture; make it smaller"


def _display_values(picture: Image.Image) -> NDArray[np.float32]:
    if picture.mode in _SIXTEEN_BIT:
        values = np.asarray(picture, dtype=np.float32)
        low, high = float(values.min()), float(values.max())
        return np.asarray((values - low) / max(high - low, 1), dtype=np.float32)
    if picture.mode in ("1", "L"):
        return np.asarray(np.asarray(picture.convert("L")) / np.float32(255), dtype=np.float32)
    if picture.mode in ("LA", "PA", "RGBA", "P", "La", "RGBa") or "transparency" in picture.info:
        front = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", front.size, (0, 0, 0, 255)), front)
    levels = np.asarray(picture.convert("RGB"))
    if np.array_equal(levels[..., 0], levels[..., 1]) and np.array_equal(levels[..., 0], levels[..., 2]):
        levels = levels[..., 0]
    return np.asarray(levels / np.float32(255), dtype=np.float32)
