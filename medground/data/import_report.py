"""The account of an import: what was read, what became of it, and which images are there twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations

from medground.data.fingerprints import fingerprint_file, near_duplicates
from medground.data.importers.imported import Import
from medground.schema.config import StrictConfig
from medground.schema.record import ImageRecord

FINGERPRINTED = 20_000
"""Images up to which near-duplicates are looked for: every pair is compared."""
_PICTURES = frozenset({".png", ".jpg", ".jpeg"})


class ReportedIssue(StrictConfig):
    """One `Issue`."""

    record_id: str
    kind: str
    detail: str
    action: str
    boxes: int


class Double(StrictConfig):
    """Two images that are one.

    Attributes:
        first, second: record ids.
        first_part, second_part: where the publisher put them.
        identical: byte for byte; else by their fingerprints.
        correlation: of the fingerprints, 0..1.
    """

    first: str
    second: str
    first_part: str | None
    second_part: str | None
    identical: bool
    correlation: float


class ImportReport(StrictConfig):
    """The account of an import.

    Attributes:
        importer: its name.
        images_published, boxes_published, boxes_published_by_class: what the source lists.
        images, boxes, boxes_by_concept, images_by_part: what the records hold; a lesion of a volume is one box.
        boxes_lost: boxes in no record, each in an issue.
        issues: everything rejected, repaired, merged or doubtful.
        issue_counts: the same by kind and action.
        doubles: images that are there twice.
        near_duplicates_sought: False where there were no pictures, or too many.
        unmapped: class names that no concept has, with the number of their boxes.
    """

    schema_version: int = 1
    importer: str
    images_published: int
    boxes_published: int
    boxes_published_by_class: dict[str, int]
    images: int
    boxes: int
    boxes_by_concept: dict[str, int]
    images_by_part: dict[str, int]
    boxes_lost: int
    issues: tuple[ReportedIssue, ...]
    issue_counts: dict[str, int]
    doubles: tuple[Double, ...]
    near_duplicates_sought: bool
    unmapped: dict[str, int]


def report_of(imported: Import, importer: str, *, seek_near_duplicates: bool = True) -> ImportReport:
    """Draw up the account.

    Args:
        imported: what the importer gave back.
        importer: its name.
        seek_near_duplicates: compare the pictures with each other, up to `FINGERPRINTED` of them.

    Raises:
        RuntimeError: a published box is in no record and in no issue: the importer has a fault.
    """
    if imported.kept + imported.lost != imported.published.boxes:
        raise RuntimeError(
            f"{importer}: of {imported.published.boxes} published boxes {imported.kept} were kept and "
            f"{imported.lost} accounted for"
        )
    records = imported.records
    lesions = {
        (r.lesion_id or (record.record_id, i)): r.concept for record in records for i, r in enumerate(record.regions)
    }
    pictures = [record for record in records if record.path is not None and record.path.suffix.lower() in _PICTURES]
    sought = seek_near_duplicates and 0 < len(pictures) <= FINGERPRINTED
    counts = Counter(f"{issue.kind} ({issue.action})" for issue in imported.issues)
    unmapped = Counter(issue.detail for issue in imported.issues if issue.kind == "unknown_class")
    return ImportReport(
        importer=importer,
        images_published=imported.published.images,
        boxes_published=imported.published.boxes,
        boxes_published_by_class=dict(Counter(imported.published.boxes_by_class).most_common()),
        images=len(records),
        boxes=imported.kept,
        boxes_by_concept=dict(Counter(lesions.values()).most_common()),
        images_by_part=dict(Counter(record.part or "none" for record in records)),
        boxes_lost=imported.lost,
        issues=tuple(
            ReportedIssue(record_id=i.record_id, kind=i.kind, detail=i.detail, action=i.action, boxes=i.boxes)
            for i in imported.issues
        ),
        issue_counts=dict(sorted(counts.items())),
        doubles=tuple(_identical(records) + (_near(pictures) if sought else [])),
        near_duplicates_sought=sought,
        unmapped=dict(unmapped.most_common()),
    )


def _identical(records: Sequence[ImageRecord]) -> list[Double]:
    by_digest: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        if record.sha256 is not None:
            by_digest[record.sha256].append(record)
    return [_double(a, b, 1.0, identical=True) for own in by_digest.values() for a, b in combinations(own, 2)]


def _near(pictures: Sequence[ImageRecord]) -> list[Double]:
    by_id = {record.record_id: record for record in pictures}
    prints = {name: fingerprint_file(record.path) for name, record in by_id.items() if record.path is not None}
    return [
        _double(by_id[a], by_id[b], round(value, 4), identical=False)
        for a, b, value in near_duplicates(prints)
        if by_id[a].sha256 is None or by_id[a].sha256 != by_id[b].sha256
    ]


def _double(a: ImageRecord, b: ImageRecord, correlation: float, *, identical: bool) -> Double:
    return Double(
        first=a.record_id,
        second=b.record_id,
        first_part=a.part,
        second_part=b.part,
        identical=identical,
        correlation=min(correlation, 1.0),
    )
