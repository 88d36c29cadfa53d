"""What a viewer gets are the values that the object measures, by the slope and intercept that it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medground.dicom.image import open_image
from medground.dicom.untrusted import UntrustedReader
from medground.schema.errors import DecodeError
from medground.serving.frames import FrameValues, frame_values
from tests.dicom.conftest import dicom_file
from tests.inference.drawn import write_undecodable

RNG = np.random.default_rng(7)
CT = {"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "PixelSpacing": [0.5, 0.75]}


@pytest.fixture(scope="module")
def untrusted() -> Iterator[UntrustedReader]:
    with UntrustedReader() as reader:
        yield reader


def values(untrusted: UntrustedReader, stored: NDArray[Any], **elements: Any) -> tuple[FrameValues, NDArray[Any]]:
    """A frame as it is sent, and the same by the library in this process."""
    content = dicom_file(stored, **elements)
    return frame_values(untrusted.open(content), 1), open_image(content).modality_values(1)


def back(sent: FrameValues) -> NDArray[np.float64]:
    return sent.slope * sent.pixels.astype(np.float64) + sent.intercept


def test_integer_ct_comes_back_exactly(untrusted: UntrustedReader) -> None:
    stored = RNG.integers(0, 4096, (40, 30)).astype(np.uint16)
    sent, true = values(untrusted, stored, RescaleSlope=1, RescaleIntercept=-1024, **CT)
    assert np.array_equal(back(sent), stored.astype(float) - 1024)
    assert np.array_equal(back(sent), true)
    assert (sent.slope, sent.intercept) == (1.0, float(stored.min()) - 1024)
    assert (sent.lowest, sent.highest) == (true.min(), true.max())
    assert sent.reading() == {
        "rows": 40,
        "columns": 30,
        "samples": 1,
        "slope": 1.0,
        "intercept": sent.intercept,
        "lowest": sent.lowest,
        "highest": sent.highest,
        "inverted": False,
        "spacing_mm": (0.5, 0.75),
    }


def test_the_whole_range_of_16_bits_comes_back_exactly(untrusted: UntrustedReader) -> None:
    stored = np.array([[-32768, 0], [1, 32767]], np.int16)
    sent, _ = values(untrusted, stored, PixelRepresentation=1, **CT)
    assert np.array_equal(back(sent), stored)
    assert sent.pixels.tolist() == [[0, 32768], [32769, 65535]]


@pytest.mark.parametrize(("slope", "intercept"), [(0.1, -3.3), (2.5, 1000), (1e-6, 0), (1000, -5e5)])
def test_other_values_come_back_within_a_step(untrusted: UntrustedReader, slope: float, intercept: float) -> None:
    stored = RNG.integers(0, 4096, (40, 30)).astype(np.uint16)
    stored[0, :2] = 0, 4095
    sent, true = values(untrusted, stored, RescaleSlope=slope, RescaleIntercept=intercept, **CT)
    assert sent.slope == pytest.approx((true.max() - true.min()) / 65535)
    assert np.abs(back(sent) - true).max() <= sent.slope
    assert (sent.pixels.min(), sent.pixels.max()) == (0, 65535)


def test_an_even_image(untrusted: UntrustedReader) -> None:
    sent, true = values(untrusted, np.full((3, 4), 7, np.uint16), RescaleSlope=0.5, RescaleIntercept=0, **CT)
    assert np.array_equal(back(sent), true)
    assert sent.pixels.max() == 0


def test_inverted_images_keep_their_values_and_say_so(untrusted: UntrustedReader) -> None:
    stored = RNG.integers(0, 4096, (5, 6)).astype(np.uint16)
    sent, _ = values(untrusted, stored, PhotometricInterpretation="MONOCHROME1")
    assert sent.is_inverted
    assert np.array_equal(back(sent), stored)


def test_colour_is_what_a_viewer_shows(untrusted: UntrustedReader) -> None:
    stored = RNG.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    sent, _ = _colour(untrusted, stored)
    assert sent.pixels.shape == (5, 6, 3)
    assert sent.reading()["samples"] == 3
    assert np.allclose(back(sent), stored / 255, atol=1 / 65535)
    assert (sent.lowest, sent.highest) == (0, 1)


def _colour(untrusted: UntrustedReader, stored: NDArray[np.uint8]) -> tuple[FrameValues, None]:
    return frame_values(untrusted.open(dicom_file(stored, PhotometricInterpretation="RGB")), 1), None


def test_each_frame_is_its_own(untrusted: UntrustedReader) -> None:
    stored = np.stack([np.full((4, 4), 5), np.arange(16).reshape(4, 4)]).astype(np.uint16)
    image = untrusted.open(dicom_file(stored, frames=2))
    assert np.array_equal(back(frame_values(image, 1)), stored[0])
    assert np.array_equal(back(frame_values(image, 2)), stored[1])


class Measured:
    """An image whose values are given, with all that floats can be."""

    def __init__(self, given: list[float]) -> None:
        self.header = open_image(dicom_file(np.zeros((1, len(given)), np.uint16))).header
        self._given = given

    def modality_values(self, frame: int) -> NDArray[np.float32]:
        assert frame == 1
        return np.array([self._given], np.float32)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1.0, float("nan"), 3.0], [1.0, 1.0, 3.0]),
        ([1.0, float("inf"), 3.0, float("-inf")], [1.0, 3.0, 3.0, 1.0]),
        ([float("nan")], [0.0]),
        ([-3e38, 2e38, 3e38], [-3e38, 2e38, 3e38]),
    ],
)
def test_floats_of_every_kind(given: list[float], expected: list[float]) -> None:
    sent = frame_values(Measured(given), 1)  # type: ignore[arg-type]
    assert np.allclose(back(sent)[0], expected, atol=sent.slope)
    assert np.isfinite([sent.lowest, sent.highest, sent.slope, sent.intercept]).all()


def test_what_cannot_be_decoded(untrusted: UntrustedReader, tmp_path: Path) -> None:
    with pytest.raises(DecodeError):
        frame_values(untrusted.open(write_undecodable(tmp_path / "a.dcm")), 1)
