"""From published marks, a class name and four corners each, to regions and the reasons why some are none."""

from __future__ import annotations

from collections.abc import Iterable

from medground.data.importers.class_names import ClassNames
from medground.data.importers.image_files import SourceImage
from medground.data.importers.imported import Issue, bounded_box
from medground.schema.record import Region

Mark = tuple[str, tuple[float, float, float, float]]
"""Class name as published, and corners x1, y1, x2, y2 in stored pixels."""


def regions_of(
    marks: Iterable[Mark], image: SourceImage, record_id: str, names: ClassNames, source: str
) -> tuple[list[Region], list[Issue]]:
    """Regions of one image, and the issues of its marks.

    Args:
        marks: as published.
        image: that they lie on.
        record_id: of the image, for the issues.
        names: looks the classes up.
        source: who drew them.
    """
    regions: list[Region] = []
    issues: list[Issue] = []
    for label, corners in marks:
        concept = names.key(label)
        if concept is None:
            issues.append(Issue(record_id, "unknown_class", label, "rejected", boxes=1))
            continue
        box, issue = bounded_box(corners, image.stored.columns, image.stored.rows, record_id, concept)
        issues += [issue] if issue else []
        if box is not None:
            regions.append(Region(concept=concept, box=box, source=source))
    return regions, issues
