"""GDCM in its child process: it may die there, and is there again for the next frame."""

from __future__ import annotations

import pytest
from pydicom.uid import JPEGLosslessSV1

from medground.dicom.gdcm_process import GdcmProcess
from medground.schema.errors import DecodeError

OPTIONS = {
    "rows": 16,
    "columns": 16,
    "samples_per_pixel": 1,
    "bits_allocated": 8,
    "bits_stored": 8,
    "pixel_representation": 0,
    "photometric_interpretation": "MONOCHROME2",
    "number_of_frames": 1,
}
SCAN = bytes.fromhex("ffda0008010100010000") + bytes(range(200))
REFUSED = bytes.fromhex("ffd8ffc3000b080010001001011100") + SCAN
DEADLY = bytes.fromhex("ffd8ffc3000b1f0010001001011100") + SCAN  # 31 bits to a sample: GDCM aborts


def test_the_child_dies_and_comes_back() -> None:
    process = GdcmProcess()
    with pytest.raises(DecodeError, match="refuses this frame"):
        process.decode(JPEGLosslessSV1, OPTIONS, REFUSED)
    with pytest.raises(DecodeError, match="ended on this frame"):
        process.decode(JPEGLosslessSV1, OPTIONS, DEADLY)
    with pytest.raises(DecodeError, match="refuses this frame"):
        process.decode(JPEGLosslessSV1, OPTIONS, REFUSED)
    process.close()
