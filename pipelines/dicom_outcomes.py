"""What every file of a folder of DICOM objects comes to: shape, type and digest of its pixels, or its error.

The committed table (tests/dicom/expected_outcomes.csv) is written by::

    python -m pipelines.dicom_outcomes --data ../shared/data/dicom --write tests/dicom/expected_outcomes.csv
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medground.dicom.image import open_image
from medground.schema.errors import MedgroundError

COLUMNS = ("file", "outcome", "frames", "shape", "dtype", "sha256")


def outcome(path: Path, name: str) -> dict[str, str]:
    """One row of the table.

    Args:
        path: file to read.
        name: by which the table knows it.

    Returns:
        Frames, shape of a frame, type, and the digest of all stored frames in little endian; or the error's class.
    """
    digest = hashlib.sha256()
    try:
        image = open_image(path)
        for frame in range(1, image.header.frames + 1):
            stored = image.stored(frame)
            digest.update(stored.astype(stored.dtype.newbyteorder("<")).tobytes())
        image.display()
    except MedgroundError as error:
        return dict(zip(COLUMNS, (name, type(error).__name__, "", "", "", ""), strict=True))
    dtype = np.dtype(stored.dtype).newbyteorder("=").name
    shape = "x".join(str(length) for length in stored.shape)
    row = (name, "decoded", str(image.header.frames), shape, dtype, digest.hexdigest())
    return dict(zip(COLUMNS, row, strict=True))


def outcomes(data: Path) -> list[dict[str, str]]:
    """The rows of all `.dcm` files below a folder, by name."""
    return [outcome(path, path.relative_to(data).as_posix()) for path in sorted(data.rglob("*.dcm"))]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the table; see the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with .dcm files")
    parser.add_argument("--write", type=Path, required=True, help="CSV to write")
    arguments = parser.parse_args(argv)
    rows = outcomes(arguments.data)
    with arguments.write.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    decoded = sum(row["outcome"] == "decoded" for row in rows)
    print(f"{decoded} of {len(rows)} files decoded; table in {arguments.write}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
