"""CSV tables as publishers write them: checked columns, rows by image in the order of the file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path

from medground.schema.errors import DataSetError, InputNotFoundError

Row = dict[str, str]
_LONGEST_FIELD = 16 * 2**20  # a run-length mask is one field


def read_table(path: Path, columns: Iterable[str]) -> list[Row]:
    """Read a CSV file.

    Args:
        path: the file, UTF-8 with or without a byte order mark.
        columns: names that it must have; blanks around names and values are cut off.

    Returns:
        Its rows; values under an empty name are left out.

    Raises:
        InputNotFoundError: if there is no such file.
        DataSetError: if a column is missing, or the file is no text.
    """
    if not path.is_file():
        raise InputNotFoundError(f"no table at {path}; give the folder that holds {path.name}, or the file")
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.reader(stream)
            names = [name.strip() for name in next(rows, [])]
            missing = [column for column in columns if column not in names]
            if missing:
                raise DataSetError(f"{path.name} has no column {missing[0]!r}; it has {', '.join(filter(None, names))}")
            return [
                {name: value.strip() for name, value in zip(names, row, strict=False) if name}
                for row in rows
                if any(row)
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataSetError(f"{path.name} is no CSV table ({error}); compare it with the source") from error


def by_image(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    """Rows grouped by the value of a column, groups in the order of their first row."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def decimal(text: str | None) -> float:
    """A number; not-a-number, which no box has, for what is none."""
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
