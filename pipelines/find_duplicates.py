"""Find copies of one film in FracAtlas, whose official split has some on both sides.

`python -m pipelines.find_duplicates --data FOLDER --write data_cards/fracatlas_duplicates.csv`
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from medground.data.fingerprints import fingerprint_records, near_duplicates
from medground.data.importers import by_name
from medground.schema.errors import MedgroundError
from medground.schema.record import ImageRecord

HEADER = ("first", "first_part", "second", "second_part", "correlation")


def duplicates_csv(records: Sequence[ImageRecord]) -> str:
    """Pairs of images that show one film, as CSV.

    Args:
        records: of one data set, with published parts.

    Returns:
        A header and a row for each pair, pairs across parts first (train, then valid), then by name.
    """
    part = {record.record_id: record.part or "" for record in records}
    rows = []
    for pair in near_duplicates(fingerprint_records(records)):
        first, second = sorted(pair[:2], key=lambda name: (part[name], name))
        rows.append((part[first] == part[second], first, part[first], second, part[second], f"{pair[2]:.3f}"))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(row[1:] for row in sorted(rows))
    return text.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Write the table.

    Args:
        argv: arguments; None takes those of the process.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of FracAtlas")
    parser.add_argument("--write", type=Path, required=True, metavar="CSV", help="table to write")
    arguments = parser.parse_args(argv)
    try:
        text = duplicates_csv(by_name("fracatlas")(arguments.data).records)
    except MedgroundError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    partial = arguments.write.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(arguments.write)
    rows = [row.split(",") for row in text.splitlines()[1:]]
    print(f"{len(rows)} pairs show one film, {sum(row[1] != row[3] for row in rows)} of them in two parts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
