"""Colour of every photometric interpretation: the stored samples, as RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from medground.dicom.image import open_image
from pipelines.judges.stored_pixels import reference_pixels

NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
SHAPE = (8, 6, 3)


def _samples(kind: str) -> NDArray[Any]:
    return np.random.default_rng(11).integers(0, np.iinfo(kind).max, SHAPE, endpoint=True, dtype=kind)


def _rgb(ybr: NDArray[Any], bits: int) -> NDArray[np.float64]:
    """The matrix of PS3.3 C.7.6.3.1.2, inverted by numpy."""
    forward = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    centred = ybr.astype(np.float64) - [0, 2 ** (bits - 1), 2 ** (bits - 1)]
    return np.clip(centred @ np.linalg.inv(forward).T, 0, 2**bits - 1)


def _file(dataset: Dataset, value: bytes, syntax: str, write_bytes: Any) -> bytes:
    dataset.PixelData = value + b"\0" * (len(value) % 2)
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    content: bytes = write_bytes(dataset)
    return content


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("kind", ["u1", "u2", "u4"])
@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_by_pixel_and_by_plane(make_dataset: Any, write_bytes: Any, syntax: str, kind: str, planar: int) -> None:
    pixels = _samples(kind)
    stored = np.moveaxis(pixels, 2, 0) if planar else pixels
    value = stored.astype(stored.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
    content = _file(make_dataset(pixels, PlanarConfiguration=planar), value, syntax, write_bytes)
    image = open_image(content)
    assert np.array_equal(image.stored(), pixels)
    assert np.allclose(image.display(), pixels / np.iinfo(kind).max, atol=1e-6)


@pytest.mark.parametrize(
    ("syntax", "kind", "bits"),
    [(RLELossless, "u1", 8), *((syntax, *depth) for syntax in NATIVE for depth in (("u1", 8), ("u2", 16)))],
)
def test_ybr_full(make_file: Any, syntax: str, kind: str, bits: int) -> None:
    pixels = _samples(kind)
    stored = open_image(make_file(pixels, syntax=syntax, PhotometricInterpretation="YBR_FULL")).stored()
    assert stored.dtype.itemsize == pixels.dtype.itemsize
    assert np.abs(stored - _rgb(pixels, bits)).max() <= (1 if bits == 8 else 2)


@pytest.mark.judge("libgdcm-tools")
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_ybr_full_422(make_dataset: Any, write_bytes: Any, tmp_path: Path, syntax: str) -> None:
    full = _samples("u1")
    full[:, 1::2, 1:] = full[:, ::2, 1:]  # two neighbours share their colour differences
    pairs = np.stack([full[:, ::2, 0], full[:, 1::2, 0], full[:, ::2, 1], full[:, ::2, 2]], axis=-1)
    dataset = make_dataset(full, PhotometricInterpretation="YBR_FULL_422")
    content = _file(dataset, pairs.tobytes(), syntax, write_bytes)
    stored = open_image(content).stored()
    assert np.abs(stored - _rgb(full, 8)).max() <= 1
    (tmp_path / "422.dcm").write_bytes(content)
    theirs = reference_pixels("gdcm", tmp_path / "422.dcm").frames
    assert theirs is not None
    assert np.abs(stored.astype(int) - theirs[0]).max() <= 1


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless])
def test_high_bit_at_the_top(make_file: Any, syntax: str, signed: bool) -> None:
    """Twelve bits in the upper part of sixteen, as ACR-NEMA had them; the rest is an overlay."""
    kind, low = ("i2", -2048) if signed else ("u2", 0)
    pixels = np.linspace(low, low + 4095, 48).round().astype(kind).reshape(6, 8)
    shifted = ((pixels.astype(np.int64) << 4) | np.arange(48).reshape(6, 8) % 16).astype(kind)
    image = open_image(make_file(shifted, syntax=syntax, BitsStored=12, HighBit=15))
    assert np.array_equal(image.stored(), pixels)
    assert np.array_equal(image.modality_values(), pixels.astype(np.float32))


def test_one_bit_frames_that_end_within_a_byte(make_dataset: Any, write_bytes: Any) -> None:
    mask = np.random.default_rng(2).integers(0, 2, (4, 5, 5), dtype=np.uint8)
    dataset = make_dataset(mask, frames=4, BitsAllocated=1, BitsStored=1, HighBit=0)
    value = np.packbits(mask.ravel(), bitorder="little").tobytes()
    image = open_image(_file(dataset, value, ExplicitVRLittleEndian, write_bytes))
    assert all(np.array_equal(image.stored(number + 1), mask[number]) for number in range(4))
