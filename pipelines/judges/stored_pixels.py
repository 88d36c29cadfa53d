"""What pydicom, SimpleITK, DCMTK and GDCM make of the pixels of a file, each in a process of its own.

DCMTK and GDCM rewrite the file uncompressed, and what they wrote is read here by numpy alone; so no decoder of the
library has a part in them. Run as a module, this is the child process of the two Python references::

    python -m pipelines.judges.stored_pixels pydicom FILE OUT.npy
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

REFERENCES = ("pydicom", "simpleitk", "dcmtk", "gdcm")
_SECONDS = 60
_FLOATS = {"FloatPixelData": "f4", "DoubleFloatPixelData": "f8"}
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Pixels:
    """What one reference made of a file.

    Attributes:
        frames: (frames, rows, columns) or (frames, rows, columns, 3); None where it cannot read them.
        is_modality: SimpleITK has no stored values to give: grey is rescaled, and a palette looked up.
    """

    frames: NDArray[Any] | None
    is_modality: bool = False


def reference_pixels(reference: str, path: Path) -> Pixels:
    """Read a file with one reference.

    Args:
        reference: one of `REFERENCES`.
        path: of the DICOM file.
    """
    with tempfile.TemporaryDirectory() as folder:
        if reference in ("pydicom", "simpleitk"):
            out = Path(folder) / "pixels.npy"
            command = [sys.executable, "-m", __spec__.name, reference, str(path.resolve()), str(out)]
            frames = np.load(out) if _succeeds(command) and out.exists() else None
            return Pixels(frames, is_modality=reference == "simpleitk")
        out = Path(folder) / "native.dcm"
        for command in _conversions(reference, path):
            if _succeeds([*command, str(path), str(out)]) and out.exists():
                return Pixels(native_frames(out))
    return Pixels(None)


def _conversions(reference: str, path: Path) -> list[list[str]]:
    """The programs that may write the file uncompressed."""
    if reference == "gdcm":
        return [["gdcmconv", "--raw"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta = pydicom.dcmread(path, force=True, stop_before_pixels=True).file_meta
    syntax = meta.get("TransferSyntaxUID")
    if syntax in JPEGTransferSyntaxes:
        return [["dcmdjpeg", "+px", "+cp"]]
    if syntax in JPEGLSTransferSyntaxes:
        return [["dcmdjpls", "+px"]]
    return [["dcmdrle"]] if syntax == RLELossless else [["dcmconv", "+te"]]


def _succeeds(command: list[str]) -> bool:
    try:
        ended = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0


def native_frames(path: Path) -> NDArray[Any] | None:
    """The pixels of an uncompressed file, by PS3.5 section 8 and PS3.3 C.7.6.3.1 alone; YBR becomes RGB.

    Args:
        path: a file that DCMTK or GDCM wrote.

    Returns:
        (frames, rows, columns) or (frames, rows, columns, 3); None where there are none, or too few bytes of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True)
        keyword = next((name for name in ("PixelData", *_FLOATS) if name in dataset), None)
        if keyword is None or "BitsAllocated" not in dataset or "Rows" not in dataset:
            return None
        frames = _leading_number(dataset)
    rows, columns, samples = dataset.Rows, dataset.Columns, dataset.get("SamplesPerPixel", 1)
    shape = (frames, rows, columns) if samples == 1 else (frames, rows, columns, samples)
    value = np.frombuffer(dataset[keyword].value, np.uint8)
    if dataset.BitsAllocated == 1:
        bits = np.unpackbits(value, bitorder="little")
        return bits[: frames * rows * columns].reshape(shape)
    order = "<" if dataset.original_encoding[1] else ">"
    dtype = _FLOATS.get(keyword, f"u{dataset.BitsAllocated // 8}")
    flat = np.frombuffer(value[: len(value) // np.dtype(dtype).itemsize * np.dtype(dtype).itemsize], order + dtype)
    photometric = dataset.PhotometricInterpretation
    if photometric == "YBR_FULL_422":  # two luminances, then one pair of colour differences for both
        pairs = flat[: frames * rows * columns * 2].reshape(frames, rows, columns // 2, 4)
        luminance = pairs[..., :2].reshape(frames, rows, columns)
        pixels = np.stack([luminance, *(pairs[..., c].repeat(2, axis=-1) for c in (2, 3))], axis=-1)
    elif flat.size < np.prod(shape):
        return None
    elif samples == 3 and dataset.get("PlanarConfiguration") == 1:
        planes = flat[: frames * rows * columns * samples].reshape(frames, samples, rows, columns)
        pixels = np.moveaxis(planes, 1, -1)
    else:
        pixels = flat[: np.prod(shape)].reshape(shape)
    if keyword == "PixelData":
        pixels = _stored_bits(pixels, dataset.BitsStored, dataset.HighBit, signed=dataset.PixelRepresentation == 1)
    return _rgb(pixels) if photometric.startswith("YBR_FULL") else pixels


def _leading_number(dataset: pydicom.Dataset) -> int:
    """Number of Frames as DCMTK and GDCM read it: the digits that it starts with."""
    if "NumberOfFrames" not in dataset:
        return 1
    raw = dataset.get_item("NumberOfFrames").value
    found = re.match(r"\s*(\d+)", raw.decode("ascii", "replace") if isinstance(raw, bytes) else str(raw))
    return max(int(found[1]), 1) if found else 1


def _stored_bits(pixels: NDArray[Any], stored: int, high: int, *, signed: bool) -> NDArray[Any]:
    """Keep the bits stored, and extend the sign."""
    allocated = pixels.dtype.itemsize * 8
    kind = f"{'i' if signed else 'u'}{pixels.dtype.itemsize}"
    up = pixels.astype(pixels.dtype.newbyteorder("=")) << (allocated - 1 - high)
    shifted: NDArray[Any] = up.view(kind) >> (allocated - stored)
    return shifted


def _rgb(ybr: NDArray[Any]) -> NDArray[Any]:
    """The inverse of PS3.3 C.7.6.3.1.2, rounded once."""
    y, cb, cr = (ybr[..., channel].astype(np.float64) - offset for channel, offset in enumerate((0, 128, 128)))
    rgb = np.stack([y + 1.402 * cr, y - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587, y + 1.772 * cb], axis=-1)
    return np.clip(np.floor(rgb + 0.5), 0, 255).astype(ybr.dtype)


def _with_pydicom(path: Path) -> NDArray[Any]:
    dataset = pydicom.dcmread(path, force=True)
    pixels = dataset.pixel_array
    if dataset.PhotometricInterpretation.startswith("YBR_FULL"):
        pixels = pixel_array(dataset)
    return pixels if int(dataset.get("NumberOfFrames") or 1) > 1 else pixels[np.newaxis]


def _with_simpleitk(path: Path) -> NDArray[Any]:
    import SimpleITK  # only in this child: a large library, for this one purpose

    array: NDArray[Any] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO"))
    return array


def main(argv: Sequence[str]) -> int:
    """Write the frames of a file, as one of the Python references reads them; see the module."""
    reference, path, out = argv
    warnings.simplefilter("ignore")
    frames = _with_pydicom(Path(path)) if reference == "pydicom" else _with_simpleitk(Path(path))
    np.save(out, frames.astype(frames.dtype.newbyteorder("=")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
