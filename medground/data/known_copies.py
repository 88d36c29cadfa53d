"""Copies of one film among records, found once and kept: comparing all pairs takes a minute, reading the list none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from medground.data.fingerprints import fingerprint_records, near_duplicates
from medground.schema.record import ImageRecord

SEARCH_VERSION = 1  # part of the list's name: raise it when a change of the fingerprints changes what is found


def known_copies(records: Sequence[ImageRecord], cache: Path) -> list[tuple[str, str, float]]:
    """Pairs of records whose images are one film, with their correlation; see `near_duplicates`.

    Args:
        records: of one data set; those without a file are passed over.
        cache: folder of the lists. A list is named by the content of all files, so a changed file is compared anew.

    Raises:
        OSError: if a file cannot be read.
    """
    content = sorted(
        f"{record.record_id} {hashlib.sha256(record.path.read_bytes()).hexdigest()}"
        for record in records
        if record.path is not None
    )
    name = hashlib.sha256("\n".join([str(SEARCH_VERSION), *content]).encode()).hexdigest()
    path = cache / f"copies-{name[:32]}.json"
    try:
        return [(str(first), str(second), float(value)) for first, second, value in json.loads(path.read_bytes())]
    except (FileNotFoundError, ValueError, TypeError):
        found = list(near_duplicates(fingerprint_records(records)))
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.replace(path)
    return found
