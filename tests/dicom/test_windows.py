"""What is displayed equals pydicom's `apply_modality_lut` and `apply_voi_lut`, scaled to 0..1, to a millionth."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medground.dicom.image import open_image

Make = Callable[..., bytes]
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
SIZES = [(64, 64), (520, 520)]  # small frames are computed pixel by pixel, large ones level by level
LINEAR_RESCALES = [(1, 0), (1, -1024), (2.5, -100.25), (0.01, 3), (-1, 4095)]


def ramp(bits: int, signed: bool, size: tuple[int, int] = SIZES[0]) -> NDArray[Any]:
    """Values over the whole range of their bits, shuffled."""
    low = -(2 ** (bits - 1)) if signed else 0
    values = np.linspace(low, low + 2**bits - 1, size[0] * size[1]).round()
    kind = f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"
    return np.random.default_rng(3).permutation(values).astype(kind).reshape(size)


def expected(content: bytes, stored: NDArray[Any]) -> NDArray[np.float64]:
    """Brightness 0..1 by pydicom: its output lies in the range of the values that its last step can give."""
    dataset = dcmread(io.BytesIO(content))
    seen = apply_voi_lut(apply_modality_lut(stored, dataset), dataset, index=0).astype(np.float64)
    if "VOILUTSequence" in dataset:
        ends = np.array([0, 2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1], float)
    elif "ModalityLUTSequence" in dataset:
        ends = np.array([0, 2 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1], float)
    else:
        low = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
        ends = np.array([low, low + 2**dataset.BitsStored - 1], float)
        ends = ends * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))
    bright = (seen - ends[0]) / (ends[1] - ends[0])
    is_inverted = dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    return 1 - bright if is_inverted else bright


def assert_equal(content: bytes, stored: NDArray[Any], padding: tuple[int, int] | None = None) -> None:
    shown, bright = open_image(content).display(), expected(content, stored)
    if padding is not None:
        bright = np.where((stored >= padding[0]) & (stored <= padding[1]), 0, bright)
    assert np.abs(shown - bright).max() <= 1e-6
    assert np.unique(shown).size > 3


def table_item(entries: NDArray[Any], first: int, bits: int, *, signed: bool) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries.tolist())
    return item


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), LINEAR_RESCALES)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_windows(
    make_file: Make, function: str | None, slope: float, intercept: float, signed: bool, size: tuple[int, int]
) -> None:
    pixels = ramp(12, signed, size)
    middle = float(pixels.astype(float).mean() * slope + intercept)
    width = max(1900 * abs(slope), 1.5)
    more: dict[str, Any] = {} if function is None else {"VOILUTFunction": function}
    content = make_file(
        pixels,
        BitsStored=12,
        HighBit=11,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=[round(middle + 13.5, 3), 7, 0],  # of several, the first
        WindowWidth=[round(width, 3), 20, 3],
        **more,
    )
    if slope < 0:  # pydicom takes its range upside down there; the same window over values turned by hand
        values = pixels.astype(np.float64) * slope + intercept
        centre, width = round(middle + 13.5, 3), round(width, 3)
        if function == "SIGMOID":
            bright = 1 / (1 + np.exp(-4 * (values - centre) / width))
        elif function == "LINEAR_EXACT":
            bright = np.clip((values - centre) / width + 0.5, 0, 1)
        else:
            bright = np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
        assert np.abs(open_image(content).display() - bright).max() <= 1e-6
        return
    assert_equal(content, pixels)


@pytest.mark.parametrize("width", [1, 1.25, 4096, 1e5])
@pytest.mark.parametrize("bits", [8, 16])
def test_narrow_and_wide_windows(make_file: Make, width: float, bits: int) -> None:
    pixels = ramp(bits, False)
    content = make_file(pixels, WindowCenter=100, WindowWidth=width)
    assert np.abs(open_image(content).display() - expected(content, pixels)).max() <= 1e-6


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("count", "first", "bits"), [(256, 0, 8), (1000, 500, 12), (4096, 0, 16), (300, 4000, 10)])
@pytest.mark.parametrize("size", SIZES)
def test_voi_tables(
    make_file: Make, syntax: str, signed: bool, count: int, first: int, bits: int, size: tuple[int, int]
) -> None:
    pixels = ramp(12, signed, size)
    first -= 2048 if signed else 0
    entries = np.sort(np.random.default_rng(count).integers(0, 2**bits, count))[::-1]
    item = table_item(entries, first, bits, signed=signed)
    content = make_file(
        pixels, syntax=syntax, BitsStored=12, HighBit=11, VOILUTSequence=[item], WindowCenter=5, WindowWidth=9
    )
    looked_up = entries[np.clip(pixels.astype(int) - first, 0, count - 1)] / (2**bits - 1)
    assert np.abs(open_image(content).display() - looked_up).max() <= 1e-6
    if bits > 8:  # pydicom wraps the index of an 8-bit table at 256, where larger values mean its last entry
        assert_equal(content, pixels)  # a table goes before a window, as pydicom has it


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("size", SIZES)
def test_modality_tables(make_file: Make, syntax: str, signed: bool, bits: int, size: tuple[int, int]) -> None:
    pixels = ramp(10, signed, size)
    first = -500 if signed else 12
    entries = np.cumsum(np.random.default_rng(bits).integers(0, max(2**bits // 1000, 1) + 1, 900)).clip(0, 2**bits - 1)
    item = table_item(entries, first, bits, signed=signed)
    window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits * 0.7}
    content = make_file(pixels, syntax=syntax, BitsStored=10, HighBit=9, ModalityLUTSequence=[item], **window)
    looked_up = entries[np.clip(pixels.astype(int) - first, 0, 899)]
    assert np.array_equal(open_image(content).modality_values(), looked_up)
    if bits != 12:  # pydicom knows modality tables of 8 and 16 bits only
        assert np.array_equal(apply_modality_lut(pixels, dcmread(io.BytesIO(content))), looked_up)
        assert_equal(content, pixels)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
@pytest.mark.parametrize("padding", [None, (0, 0), (100, 300)])
@pytest.mark.parametrize("size", SIZES)
def test_inversion_and_padding(
    make_file: Make, photometric: str, shape: str | None, padding: tuple[int, int] | None, size: tuple[int, int]
) -> None:
    pixels = ramp(12, False, size)
    more: dict[str, Any] = {} if shape is None else {"PresentationLUTShape": shape}
    if padding is not None:
        more |= {"PixelPaddingValue": padding[1], "PixelPaddingRangeLimit": padding[0]}
    content = make_file(
        pixels,
        BitsStored=12,
        HighBit=11,
        PhotometricInterpretation=photometric,
        WindowCenter=1000,
        WindowWidth=1500,
        **more,
    )
    assert_equal(content, pixels, padding)


@pytest.mark.parametrize(("kind", "slope"), [("u1", 1), ("u2", 1), ("i2", 2), ("u4", 1), ("i4", 0.5)])
def test_modality_values(make_file: Make, kind: str, slope: float) -> None:
    limits = np.iinfo(kind)
    pixels = np.linspace(limits.min / 2, limits.max / 2, 80).astype(kind).reshape(8, 10)
    content = make_file(pixels, RescaleSlope=slope, RescaleIntercept=-17.5)
    theirs = apply_modality_lut(pixels, dcmread(io.BytesIO(content)))
    assert np.allclose(open_image(content).modality_values(), theirs, rtol=1e-7, atol=0)
