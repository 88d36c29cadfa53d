"""The parts of a data set on disk, kept with its version: nothing is trained on without a leak check that passed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from medground.data.columnar import DataSet
from medground.data.fingerprints import Fingerprint, fingerprint, near_duplicates
from medground.data.leaks import check_leaks, with_duplicate_groups, without_leaks
from medground.data.pixels import displayed
from medground.data.splits import DEV, TRAIN_AND_VALID, VALID, split_records
from medground.schema.config import StrictConfig
from medground.schema.errors import LeakError
from medground.schema.record import ImageRecord

SPLIT = "split.json"
MEASURED = (VALID, "test", DEV)
"""Parts kept whole: what leaks into them is dropped from the others."""


class Split(StrictConfig):
    """Parts of one version of a data set, with the leak check that they passed.

    Attributes:
        data_set: its name.
        version: its version; another one needs another check.
        salt, fractions, dev_fraction: as `split_records` takes them.
        parts: part to the ids of its records.
        dropped: record ids left out, since they copy one of a measured part.
        films_compared: images whose pictures were compared with each other.
        leaks: what the parts still have in common; empty where the check passed.
    """

    schema_version: int = 1
    data_set: str
    version: str
    salt: str
    fractions: dict[str, float]
    dev_fraction: float
    parts: dict[str, tuple[str, ...]]
    dropped: tuple[str, ...]
    films_compared: int
    leaks: tuple[str, ...]


def split_data_set(
    data: DataSet,
    *,
    salt: str = "medground",
    fractions: Mapping[str, float] = TRAIN_AND_VALID,
    dev_fraction: float = 0.15,
) -> Split:
    """Put a data set into parts and check them for leaks by patient, file and film.

    Copies of a film within a published part get one patient first; what copies an image of a measured part is dropped.

    Args:
        data: the data set.
        salt: names the split.
        fractions: part to share of the patients without a published part.
        dev_fraction: share of train's patients that becomes `dev`.

    Returns:
        The parts; `save` writes them beside the index.

    Raises:
        LeakError: the publisher put one patient into two parts.
        InputError: an image cannot be read.
    """
    records = tuple(data)
    prints = fingerprints(records)
    published = {record.record_id: record.part for record in records}
    pairs = [pair for pair in near_duplicates(prints) if published[pair[0]] == published[pair[1]]]
    parts = split_records(
        with_duplicate_groups(records, pairs),
        salt=salt,
        fractions=fractions,
        dev_fraction=dev_fraction,
        reach_every_part=True,
    )
    for measured in MEASURED:
        if measured in parts:
            parts = without_leaks(parts, check_leaks(parts, prints), keep=measured)
    kept = {record.record_id for own in parts.values() for record in own}
    return Split(
        data_set=data.manifest.name,
        version=data.manifest.version,
        salt=salt,
        fractions=dict(fractions),
        dev_fraction=dev_fraction,
        parts={part: tuple(record.record_id for record in own) for part, own in parts.items()},
        dropped=tuple(record.record_id for record in records if record.record_id not in kept),
        films_compared=len(prints),
        leaks=tuple(str(leak) for leak in check_leaks(parts, prints).leaks),
    )


def fingerprints(records: tuple[ImageRecord, ...]) -> dict[str, Fingerprint]:
    """Record id to fingerprint of the displayed picture, for every record with a file."""
    return {
        record.record_id: fingerprint(np.rint(displayed(record) * 255).astype(np.uint8))
        for record in records
        if record.path is not None
    }


def save(split: Split, folder: Path) -> None:
    """Write a split beside the index of its data set, whole or not at all."""
    partial = folder / f".{SPLIT}.partial"
    partial.write_text(split.model_dump_json(indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / SPLIT)


def checked_parts(data: DataSet) -> dict[str, tuple[ImageRecord, ...]]:
    """The parts of a data set, as only a passed check of this very version gives them.

    Args:
        data: the data set.

    Returns:
        Part to its records.

    Raises:
        LeakError: there is no split, it is of another version, or its leak check did not pass.
    """
    path = data.folder / SPLIT
    way_out = f"run medground data split {data.folder}"
    if not path.is_file():
        raise LeakError(f"{data.manifest.name} has not been checked for leaks: {way_out}")
    try:
        split = Split.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise LeakError(f"{SPLIT} cannot be read: {way_out}") from error
    if split.version != data.manifest.version:
        raise LeakError(f"{SPLIT} is of version {split.version}, the data of {data.manifest.version}: {way_out}")
    if split.leaks:
        raise LeakError(f"{len(split.leaks)} leaks between the parts of {split.data_set}, e.g. {split.leaks[0]}")
    place = {record_id: index for index, record_id in enumerate(data.column("record_id"))}
    return {part: tuple(data[place[record_id]] for record_id in ids) for part, ids in split.parts.items()}
