"""`medground data split`: parts of a data set, and what they have in common."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from medground.cli.progress import stage
from medground.data.columnar import DataSet
from medground.data.data_split import SPLIT, save, split_data_set
from medground.schema.errors import LeakError, UsageError


def run_split(folder: Path, salt: str, valid: float, dev: float) -> int:
    """Split, check, write and print.

    Args:
        folder: of the data set.
        salt: names the split.
        valid: share of patients without a published part that goes to valid, 0..1.
        dev: share of train's patients that goes to dev, 0..1.

    Returns:
        Exit code 0.

    Raises:
        LeakError: the parts still have something in common; the split is written with its leaks named.
    """
    if not (0 <= valid < 1 and 0 <= dev < 1):
        raise UsageError(f"--valid {valid} and --dev {dev} are shares from 0 up to 1")
    data = DataSet(folder)
    with stage(Console(stderr=True), "comparing the images"):
        split = split_data_set(data, salt=salt, fractions={"train": 1 - valid, "valid": valid}, dev_fraction=dev)
    save(split, folder)
    part_of = {record_id: part for part, ids in split.parts.items() for record_id in ids}
    table = Table("part", "images", "patients", "boxes")
    records = {record.record_id: record for record in data}
    for part, ids in split.parts.items():
        patients = {records[record_id].patient_id for record_id in ids}
        boxes = sum(len(records[record_id].regions) for record_id in ids)
        table.add_row(part, str(len(ids)), str(len(patients)), str(boxes))
    console = Console()
    console.print(table)
    console.print(
        f"{len(part_of)} of {len(data)} images in parts, {len(split.dropped)} dropped as copies of a measured one; "
        f"{split.films_compared} films compared, {len(split.leaks)} leaks left; written to {folder / SPLIT}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if split.leaks:
        raise LeakError(f"the parts have something in common, e.g. {split.leaks[0]}; nothing will train on them")
    return 0
