"""Copies of one film among records, found once and kept: comparing all pairs takes a minute, reading the list none."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from medground.data.fingerprints import fingerprint_records, near_duplicates
from medground.schema.record import ImageRecord

_log = logging.getLogger(__name__)
SEARCH_VERSION = 1  # part of the list's name: raise it when a change of the fingerprints changes what is found


def known_copies(records: Sequence[ImageRecord], cache: Path) -> list[tuple[str, str, float]]:
    """Pairs of records whose images are one film, with their correlation; see `near_duplicates`.

    Args:
        records: of one data set; those without a file are passed over.
        cache: folder of the lists. A list is named by the content of all files, so a changed file is compared anew.

    Raises:
        OSError: if an image cannot be read. A list that cannot be kept, e.g. on a full disk, is a warning.
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
    except (OSError, ValueError, TypeError):
        found = list(near_duplicates(fingerprint_records(records)))
    try:
        _keep(path, json.dumps(found).encode())
    except OSError as error:  # a full disk makes the next run slower, not this one wrong
        _log.warning("the list of copies cannot be kept (%s); they will be sought again", error.strerror)
    return found


def _keep(path: Path, content: bytes) -> None:
    """Writes the list, whole or not at all, whoever else writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".partial", delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
