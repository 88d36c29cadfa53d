"""Reviews as a data set: what reviewers made of each finding, and one record an image however often it was asked about.

What was confirmed, corrected or added are regions. What was rejected is no region, and is worth as much: it stands,
with the counts of outcomes, among the attributes of the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import RootModel, ValidationError

from medground.schema.config import StrictConfig
from medground.schema.errors import DataSetError
from medground.schema.record import ImageRecord

OUTCOMES: Final = "review outcomes"
REJECTED: Final = "review rejected"
DATA_SET: Final = "reviews"
Counts = Mapping[str, Mapping[str, int]]
"""Finding to outcome (`accepted`, `edited`, `rejected`, `added`, `unreviewed`) to how many."""
_Counts = RootModel[dict[str, dict[str, int]]]


class RejectedBox(StrictConfig):
    """A box of the model that a reviewer rejected.

    Attributes:
        concept: what the model called it.
        box_xyxy_px: pixels of the stored image.
        reason: from the list of reasons.
    """

    concept: str
    box_xyxy_px: tuple[float, float, float, float]
    reason: str


_Boxes = RootModel[tuple[RejectedBox, ...]]


def review_attributes(outcomes: Counts, rejected: Sequence[RejectedBox]) -> dict[str, str]:
    """Outcomes and rejected boxes as attributes of a record; empty where there are none.

    Args:
        outcomes: of the findings of an image.
        rejected: boxes of it.
    """
    counts = {concept: dict(sorted(by.items())) for concept, by in sorted(outcomes.items()) if by}
    found = {OUTCOMES: _Counts(counts).model_dump_json()} if counts else {}
    return found | ({REJECTED: _Boxes(tuple(rejected)).model_dump_json()} if rejected else {})


def outcomes_of(record: ImageRecord) -> dict[str, dict[str, int]]:
    """What became of the findings of an image; empty for an image that no review is of.

    Args:
        record: of the image.

    Raises:
        DataSetError: the attribute cannot be read.
    """
    try:
        return _Counts.model_validate_json(record.attributes.get(OUTCOMES, "{}")).root
    except ValidationError:
        raise _unreadable(record, OUTCOMES) from None


def rejected_of(record: ImageRecord) -> tuple[RejectedBox, ...]:
    """The boxes of an image that were rejected: what is there is not what the model called it.

    Args:
        record: of the image.

    Raises:
        DataSetError: the attribute cannot be read.
    """
    try:
        return _Boxes.model_validate_json(record.attributes.get(REJECTED, "[]")).root
    except ValidationError:
        raise _unreadable(record, REJECTED) from None


def gathered(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """One record an image, in an order and under names of patients that follow from the images alone.

    So the same reviews give the same version of a data set, whatever pseudonyms an export was written with.

    Args:
        records: of one export; several of one image where several questions were asked about it.
    """
    by_image: dict[str, list[ImageRecord]] = {}
    for record in records:
        by_image.setdefault(record.record_id, []).append(record)
    patients: dict[str, str] = {}
    found = []
    for name in sorted(by_image):
        one = _merged(by_image[name])
        patient = patients.setdefault(one.patient_id, f"patient-{len(patients) + 1:06d}")
        found.append(one.model_copy(update={"patient_id": patient}))
    return found


def _merged(records: Sequence[ImageRecord]) -> ImageRecord:
    outcomes: dict[str, Counter[str]] = {}
    for record in records:
        for concept, counts in outcomes_of(record).items():
            outcomes.setdefault(concept, Counter()).update(counts)
    rejected = dict.fromkeys(box for record in records for box in rejected_of(record))
    regions = dict.fromkeys(region for record in records for region in record.regions)
    changed = {
        "regions": tuple(sorted(regions, key=lambda region: (region.concept, region.box.xyxy_px, region.source))),
        "exhaustive_for": frozenset[str]().union(*(record.exhaustive_for for record in records)),
        "attributes": review_attributes(outcomes, sorted(rejected, key=lambda box: (box.concept, box.box_xyxy_px))),
    }
    return records[0].model_copy(update=changed)


def _unreadable(record: ImageRecord, name: str) -> DataSetError:
    return DataSetError(f"{name!r} of the record {record.record_id} cannot be read: export the reviews again")
