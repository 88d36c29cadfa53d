"""Our pixels against those of pydicom, SimpleITK, DCMTK and GDCM, file by file.

The committed table (tests/dicom/reference_outcomes.csv) is written by::

    python -m pipelines dicom-references --data ../shared/data/dicom --write tests/dicom/reference_outcomes.csv

Values are compared before any window. SimpleITK gives no stored values: it turns MONOCHROME1 round, shows bits as 0 and
255, looks palettes up and rescales; the same is done to ours before the two are compared.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import HTJ2K, JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from medground.dicom.image import DicomImage, open_image
from medground.dicom.lut import Rescale
from medground.schema.errors import MedgroundError
from pipelines.dicom_outcomes import outcome
from pipelines.judges.stored_pixels import REFERENCES, Pixels, reference_pixels

COLUMNS = ("file", "ours", *REFERENCES, "majority", "agreement", "sha256", "verdict")
LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K})
CONVERTED = ("YBR_FULL", "YBR_FULL_422")
_LOSSY_STEPS = 1  # grey levels that two right decoders of a lossy or YBR frame may differ by: each rounds its own way

_BYTE_PLANES = "GDCM mixes the byte planes up: {} holds what ours reads"
VERDICTS = {
    "pydicom/MR_truncated.dcm": "ours refuses: 62 bytes of the pixels are not in the file; GDCM writes zeros for them",
    "pydicom/SC_rgb_rle_16bit.dcm": _BYTE_PLANES.format("SC_rgb_expb_16bit.dcm"),
    "pydicom/SC_rgb_rle_16bit_2frame.dcm": _BYTE_PLANES.format("SC_rgb_expb_16bit_2frame.dcm"),
    "pydicom/SC_rgb_rle_32bit.dcm": _BYTE_PLANES.format("SC_rgb_expb_32bit.dcm"),
    "pydicom/SC_rgb_rle_32bit_2frame.dcm": _BYTE_PLANES.format("SC_rgb_expb_32bit_2frame.dcm"),
    "pydicom/rtdose_expb.dcm": (
        "the file holds 32-bit big endian pixels; DCMTK and GDCM read OW as 16-bit words, and a dose of 250 Gy beside "
        "one of 315; rtdose.dcm, little endian, holds what pydicom and ours read"
    ),
    "pydicom/rtdose_expb_1frame.dcm": "as rtdose_expb.dcm: rtdose_1frame.dcm, little endian, holds what ours reads",
    "pydicom__pydicom-data/emri_small_jpeg_2k_lossless_too_short.dcm": (
        "the delimiter at the end is missing, all frames are there: emri_small_big_endian.dcm holds what ours reads"
    ),
    "pydicom__pydicom-data/liver_deflate.dcm": "too new for the references: liver_expb.dcm holds what ours reads",
    "pydicom__pydicom-data/liver_rle.dcm": "no reference reads RLE of one bit: liver_expb.dcm holds what ours reads",
}
"""Judgement on every file where a reference differs from ours, or only ours reads it."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Our reading of a file, in the two forms that references give.

    Attributes:
        stored: (frames, rows, columns) or (frames, rows, columns, 3).
        as_simpleitk: the same after what SimpleITK does to pixels.
        tolerance: grey levels that a right reference may differ by.
    """

    stored: NDArray[Any]
    as_simpleitk: NDArray[Any]
    tolerance: int


def ours(path: Path) -> Ours | None:
    """All frames of a file, or None where it cannot be read.

    Args:
        path: of the DICOM file.
    """
    try:
        image = open_image(path)
        stored = np.stack([image.stored(frame + 1) for frame in range(image.header.frames)])
        shown = np.stack([_as_simpleitk(image, frame + 1, stored[frame]) for frame in range(image.header.frames)])
    except MedgroundError:
        return None
    header = image.header
    inexact = header.transfer_syntax_uid in LOSSY or header.photometric in CONVERTED
    return Ours(stored, shown, _LOSSY_STEPS if inexact else 0)


def _as_simpleitk(image: DicomImage, frame: int, stored: NDArray[Any]) -> NDArray[Any]:
    header = image.header
    if header.photometric == "PALETTE COLOR":
        return np.round(image.display(frame).astype(np.float64) * 65535).astype(np.uint16) >> 8
    if stored.ndim == 3:
        return stored
    if header.bits_allocated == 1:
        return stored * 255
    modality = image.modality_of(frame)
    if header.photometric == "MONOCHROME1":
        low, high = (-(2 ** (header.bits_stored - 1)), 2 ** (header.bits_stored - 1) - 1)
        stored = (low + high if header.signed else 2**header.bits_stored - 1) - stored.astype(np.int64)
    return modality.apply(stored) if isinstance(modality, Rescale) else stored


def compared(mine: NDArray[Any], theirs: NDArray[Any]) -> float | str:
    """The largest difference of two arrays of frames, or the shape of the second where they differ in it.

    Args:
        mine: (frames, rows, columns) or (frames, rows, columns, 3).
        theirs: the same.
    """
    if mine.shape != theirs.shape:
        return f"shape {'x'.join(map(str, theirs.shape))}"
    if np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f"):
        return 0
    return float(np.nanmax(np.abs(mine.astype(np.float64) - theirs.astype(np.float64))))


def reference_row(path: Path, name: str) -> dict[str, str]:
    """One row of the table.

    Args:
        path: file to read.
        name: by which the table knows it.
    """
    mine, pixels = ours(path), {reference: reference_pixels(reference, path) for reference in REFERENCES}
    recorded = outcome(path, name)
    row = dict.fromkeys(COLUMNS, "") | {"file": name, "ours": recorded["outcome"], "sha256": recorded["sha256"]}
    if mine is None:
        row |= {reference: "cannot" if found.frames is None else "decoded" for reference, found in pixels.items()}
        readers = [reference for reference, found in pixels.items() if found.frames is not None]
        row |= {"majority": "+".join(readers), "agreement": "ours cannot" if readers else "none can"}
        return row | {"verdict": VERDICTS.get(name, "")}
    differences = {
        reference: compared(mine.as_simpleitk if found.is_modality else mine.stored, found.frames)
        for reference, found in pixels.items()
        if found.frames is not None
    }
    row |= {reference: _cell(differences.get(reference)) for reference in REFERENCES}
    agreeing = majority(mine, pixels)
    row["majority"] = "+".join(agreeing)
    row["agreement"] = _agreement([differences[reference] for reference in agreeing], mine.tolerance)
    return row | {"verdict": VERDICTS.get(name, "")}


def _cell(difference: float | str | None) -> str:
    if difference is None or isinstance(difference, str):
        return difference or "cannot"
    return "equal" if difference == 0 else f"differs by {difference:.9g}"


def majority(mine: Ours, pixels: dict[str, Pixels]) -> tuple[str, ...]:
    """The largest group of references that agree with each other; GDCM and SimpleITK, which holds GDCM, count once.

    Args:
        mine: our reading, to compare a rescaled reference with one that is not.
        pixels: what each of `REFERENCES` made of the file.
    """
    able = [reference for reference in REFERENCES if pixels[reference].frames is not None]
    groups = [group for size in range(len(able), 0, -1) for group in combinations(able, size)]
    agreeing = [group for group in groups if all(_alike(mine, pixels[a], pixels[b]) for a, b in combinations(group, 2))]

    def votes(group: tuple[str, ...]) -> tuple[int, int]:
        return len({"gdcm" if name == "simpleitk" else name for name in group}), len(group)

    return max(agreeing, key=votes, default=())


def _alike(mine: Ours, one: Pixels, other: Pixels) -> bool:
    """Whether two references agree; of different forms, whether both differ from ours in the same pixels."""
    first, second = one.frames, other.frames
    if first is None or second is None:
        return False
    if one.is_modality == other.is_modality:
        found = compared(first, second)
        return not isinstance(found, str) and found <= mine.tolerance
    own_first, own_second = (mine.as_simpleitk if form.is_modality else mine.stored for form in (one, other))
    if first.shape != own_first.shape or second.shape != own_second.shape:
        return False
    wrong = _wrong_pixels(own_first, first, mine.tolerance)
    return bool(np.array_equal(wrong, _wrong_pixels(own_second, second, mine.tolerance)))


def _wrong_pixels(mine: NDArray[Any], theirs: NDArray[Any], tolerance: int) -> NDArray[np.bool_]:
    """Which pixels (frames, rows, columns) differ, in one sample or more."""
    difference: NDArray[np.float64] = np.abs(mine.astype(np.float64) - theirs.astype(np.float64))
    return (difference.max(axis=-1) if difference.ndim == 4 else difference) > tolerance


def _agreement(differences: list[float | str], tolerance: int) -> str:
    if not differences:
        return "no reference can"
    if any(isinstance(found, str) for found in differences):
        return "differs: shape"
    largest = max(float(found) for found in differences)
    if largest == 0:
        return "equal"
    return f"within {tolerance}" if largest <= tolerance else f"differs: {largest:.9g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the table; see the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with .dcm files")
    parser.add_argument("--write", type=Path, required=True, help="CSV to write")
    arguments = parser.parse_args(argv)
    paths = sorted(arguments.data.rglob("*.dcm"))
    rows = [reference_row(path, path.relative_to(arguments.data).as_posix()) for path in paths]
    with arguments.write.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for column in ("ours", *REFERENCES):
        able = sum(row[column] != "cannot" and not row[column].endswith("Error") for row in rows)
        print(f"{column}: {able} of {len(rows)} files decoded")
    for agreement, count in Counter(row["agreement"] for row in rows).most_common():
        print(f"{count:4d}  {agreement}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
