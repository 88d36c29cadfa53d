"""Display: modality LUT, VOI, inversion, padding and colour, against the formulas of PS3.3 written out here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medground.dicom.grey import PRESETS
from medground.dicom.image import open_image
from medground.schema.errors import DecodeError, UsageError

Make = Callable[..., bytes]


def test_without_a_window_the_range_is_filled(make_file: Make, grey: NDArray[np.uint16]) -> None:
    low, high = int(grey.min()), int(grey.max())
    assert np.allclose(open_image(make_file(grey)).display(), (grey - low) / (high - low), atol=1e-6)


def test_a_single_value_is_black_and_finite(make_file: Make) -> None:
    assert not open_image(make_file(np.full((4, 4), 77, np.uint16))).display().any()


def _linear(x: float, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.2.1, pixel by pixel."""
    if x <= centre - 0.5 - (width - 1) / 2:
        return 0.0
    if x > centre - 0.5 + (width - 1) / 2:
        return 1.0
    return (x - (centre - 0.5)) / (width - 1) + 0.5


def _linear_exact(x: float, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    if x <= centre - width / 2:
        return 0.0
    return 1.0 if x > centre + width / 2 else (x - centre) / width + 0.5


def _sigmoid(x: float, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    return float(1 / (1 + np.exp(min(-4 * (x - centre) / width, 700))))


FORMULAS = {"LINEAR": _linear, "LINEAR_EXACT": _linear_exact, "SIGMOID": _sigmoid}


@pytest.mark.parametrize("function", FORMULAS)
@pytest.mark.parametrize(("centre", "width"), [(2048.0, 1000.0), (300.0, 1.0), (1000.5, 333.25)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_window(
    make_file: Make, grey: NDArray[np.uint16], function: str, centre: float, width: float, photometric: str
) -> None:
    content = make_file(
        grey,
        BitsStored=12,
        HighBit=11,
        RescaleSlope=2,
        RescaleIntercept=-1024,
        WindowCenter=[centre, 1],
        WindowWidth=[width, 1],
        VOILUTFunction=function,
        PhotometricInterpretation=photometric,
    )
    expected = np.vectorize(lambda x: FORMULAS[function](2 * float(x) - 1024, centre, width))(grey)
    expected = 1 - expected if photometric == "MONOCHROME1" else expected
    assert np.allclose(open_image(content).display(), expected, atol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("function", FORMULAS)
def test_window_equals_pydicom(make_file: Make, make_dataset: Any, signed: bool, function: str) -> None:
    kind = np.int16 if signed else np.uint16
    pixels = np.random.default_rng(1).integers(-2000 if signed else 0, 2000, (20, 30)).astype(kind)
    elements = {"RescaleSlope": 1.5, "RescaleIntercept": -10, "WindowCenter": 40, "WindowWidth": 400}
    elements["VOILUTFunction"] = function
    dataset = make_dataset(pixels, **elements)
    seen = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset)
    limits = np.iinfo(kind)
    low, high = limits.min * 1.5 - 10, limits.max * 1.5 - 10
    assert np.allclose(open_image(make_file(pixels, **elements)).display(), (seen - low) / (high - low), atol=1e-5)


def test_an_invalid_window_is_said_and_not_used(make_file: Make, grey: NDArray[np.uint16]) -> None:
    image = open_image(make_file(grey, WindowCenter=100, WindowWidth=0))
    assert "not valid" in image.warnings[0]
    assert image.display().max() == 1
    assert image.display().min() == 0


def _lut(first: int, bits: int, entries: list[int], vr: str) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(entries), first, bits])
    data = np.array(entries, "<u2").tobytes() if vr == "OW" else entries
    item.add_new(0x00283006, vr, data)
    return item


@pytest.mark.parametrize("vr", ["OW", "US"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_voi_table(make_file: Make, vr: str, syntax: str, bits: int) -> None:
    pixels = np.arange(0, 64, dtype=np.uint16).reshape(8, 8)
    entries = [min((n * n * 7) % 2**bits, 2**bits - 1) for n in range(40)]
    content = make_file(
        pixels, syntax=syntax, VOILUTSequence=Sequence([_lut(10, bits, entries, vr)]), WindowCenter=1, WindowWidth=2
    )
    expected = [[entries[min(max(int(x) - 10, 0), 39)] / (2**bits - 1) for x in row] for row in pixels]
    assert np.allclose(open_image(content).display(), expected, atol=1e-6)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_modality_table_with_a_negative_first_value(make_file: Make, syntax: str) -> None:
    pixels = np.arange(-8, 8, dtype=np.int16).reshape(4, 4)
    entries = [n * 100 for n in range(10)]
    item = _lut(-5, 16, entries, "US")
    content = make_file(
        pixels,
        syntax=syntax,
        ModalityLUTSequence=Sequence([item]),
        WindowCenter=450,
        WindowWidth=900,
        VOILUTFunction="LINEAR_EXACT",
    )
    expected = [[entries[min(max(int(x) + 5, 0), 9)] / 900 for x in row] for row in pixels]
    assert np.allclose(open_image(content).display(), expected, atol=1e-6)


def test_presentation_lut_inverse(make_file: Make, grey: NDArray[np.uint16]) -> None:
    plain = open_image(make_file(grey)).display()
    assert np.allclose(open_image(make_file(grey, PresentationLUTShape="INVERSE")).display(), 1 - plain, atol=1e-6)
    both = make_file(grey, PresentationLUTShape="INVERSE", PhotometricInterpretation="MONOCHROME1")
    assert np.allclose(open_image(both).display(), 1 - plain, atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_padding_is_black_and_out_of_the_range(make_file: Make, photometric: str, syntax: str) -> None:
    pixels = np.array([[-2000, -2000, 100], [-1990, 300, 500]], np.int16)
    content = make_file(
        pixels,
        syntax=syntax,
        PhotometricInterpretation=photometric,
        PixelPaddingValue=-2000,
        PixelPaddingRangeLimit=-1990,
    )
    middle = np.array([0.0, 0.5, 1.0])
    low, mid, high = 1 - middle if photometric == "MONOCHROME1" else middle
    assert np.allclose(open_image(content).display(), [[0, 0, low], [0, mid, high]], atol=1e-6)


def test_ct_preset_and_who_may_use_it(make_file: Make) -> None:
    pixels = np.array([[-1350, -600], [150, 400]], np.int16)
    image = open_image(make_file(pixels, Modality="CT", WindowCenter=40, WindowWidth=80))
    expected = np.vectorize(lambda x: _linear(float(x), -600, 1500))(pixels)
    assert np.allclose(image.display(window="lung"), expected, atol=1e-6)
    with pytest.raises(UsageError, match="lung, mediastinum"):
        image.display(window="lungs")
    with pytest.raises(UsageError, match="Hounsfield"):
        open_image(make_file(pixels)).display(window="lung")


def test_enhanced_frames_have_their_own_transformation(make_file: Make) -> None:
    def groups(slope: float, centre: float) -> Dataset:
        item, pixel, voi = Dataset(), Dataset(), Dataset()
        pixel.RescaleSlope, pixel.RescaleIntercept = slope, 0
        voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = centre, 100, "LINEAR_EXACT"
        item.PixelValueTransformationSequence, item.FrameVOILUTSequence = Sequence([pixel]), Sequence([voi])
        return item

    pixels = np.full((2, 2, 2), 50, np.uint16)
    frames = Sequence([groups(1, 75), groups(2, 75)])
    image = open_image(make_file(pixels, frames=2, PerFrameFunctionalGroupsSequence=frames))
    assert np.allclose(image.display(1), 0.25)
    assert np.allclose(image.display(2), 0.75)


def test_colour_is_scaled_by_its_depth(make_file: Make) -> None:
    for kind in (np.uint8, np.uint16):
        pixels = np.random.default_rng(2).integers(0, np.iinfo(kind).max, (5, 6, 3)).astype(kind)
        assert np.allclose(open_image(make_file(pixels)).display(), pixels / np.iinfo(kind).max, atol=1e-6)


def test_palette(make_file: Make) -> None:
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    ramps = {"Red": np.arange(256), "Green": 255 - np.arange(256), "Blue": np.full(256, 9)}
    for name, ramp in ramps.items():
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        elements[f"{name}PaletteColorLookupTableData"] = ramp.astype(np.uint8).tobytes()
    index = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.stack([ramps[name][index] for name in ("Red", "Green", "Blue")], axis=-1) / 255
    assert np.allclose(open_image(make_file(index, **elements)).display(), expected, atol=1e-6)


def test_blocks_do_not_show(make_file: Make) -> None:
    pixels = np.random.default_rng(4).integers(0, 4096, (1500, 1000)).astype(np.uint16)
    pixels[1400, 3] = 5000  # the largest value lies in the last block
    expected = pixels.astype(np.float64) - pixels.min()
    assert np.allclose(open_image(make_file(pixels)).display(), expected / expected.max(), atol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("voi", ["window", "table", "none"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_large_image_looks_like_its_rows(make_file: Make, kind: type, voi: str, photometric: str) -> None:
    """Above 2**16 pixels each value is worked out once; a row at a time each pixel is: the pictures are the same."""
    ends = np.iinfo(kind)
    pixels = np.random.default_rng(6).integers(ends.min, ends.max, (300, 240), endpoint=True).astype(kind)
    pixels[:, :2] = ends.min, ends.max  # so that a row alone fills the same range
    elements: dict[str, Any] = {"RescaleSlope": 0.37, "RescaleIntercept": 11, "PhotometricInterpretation": photometric}
    elements |= {"PixelPaddingValue": 7}
    if voi == "window":
        elements |= {"WindowCenter": 3, "WindowWidth": 40, "VOILUTFunction": "SIGMOID"}
    if voi == "table":
        elements |= {"VOILUTSequence": Sequence([_lut(10, 12, [n * n % 4096 for n in range(99)], "US")])}
    whole = open_image(make_file(pixels, **elements)).display()
    for row in (0, 17, 299):
        alone = open_image(make_file(pixels[row : row + 1], **elements)).display()
        assert np.array_equal(whole[row], alone[0])
    assert (whole[pixels == 7] == 0).all()


def test_presets_are_those_of_their_source() -> None:
    """Radiopaedia, "Windowing (CT)": width and level."""
    told = {
        "brain": (80, 40),
        "stroke": (40, 40),
        "temporal_bone": (2800, 600),
        "lung": (1500, -600),
        "mediastinum": (350, 50),
        "abdomen": (400, 50),
        "liver": (150, 30),
        "spine": (250, 50),
        "bone": (1800, 400),
    }
    for name, (width, level) in told.items():
        assert (PRESETS[name].width, PRESETS[name].centre) == (width, level), name
    assert {"subdural", "soft_tissue", "angio"} == set(PRESETS) - set(told)
    assert all(window.is_valid and window.function == "LINEAR" for window in PRESETS.values())


def test_modality_values_of_a_table_and_of_no_colour(make_file: Make) -> None:
    pixels = np.arange(16, dtype=np.uint16).reshape(4, 4)
    item = _lut(0, 16, [n * n for n in range(16)], "US")
    image = open_image(make_file(pixels, ModalityLUTSequence=Sequence([item])))
    assert np.array_equal(image.modality_values(), pixels.astype(np.float32) ** 2)
    out = np.zeros((4, 4), np.float32)
    assert image.modality_values(out=out) is out
    assert out[3, 3] == 225
    with pytest.raises(DecodeError, match="colour"):
        open_image(make_file(np.zeros((4, 4, 3), np.uint8))).modality_values()
