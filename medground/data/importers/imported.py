"""What an importer gives back: the records, and an account of everything it rejected, repaired or found doubtful."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.errors import DataSetError
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary

Action = Literal["rejected", "repaired", "merged", "kept"]


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong or doubtful in the source.

    Attributes:
        record_id: the image it stands in; a file name where no record came of it.
        kind: short stable word for counting, e.g. `truncated_image`, `degenerate_box`.
        detail: the value found, for a person.
        action: `rejected` (left out of the records), `repaired` (changed), `merged` (one of several readers' boxes that
            became one) or `kept` (as published).
        boxes: how many published boxes it speaks of; 0 where it is about the image.
        concept: vocabulary key of what a rejected box marks. It is on the image somewhere, so that the image is no
            longer exhaustive for it, see `still_exhaustive`. None where the box was not rejected, or its class has no
            key.
    """

    record_id: str
    kind: str
    detail: str
    action: Action
    boxes: int = 0
    concept: str | None = None


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a user may say about a source.

    Attributes:
        with_images: False reads the annotations alone, and records name no file.
        images: folder of the image files; None looks where the publisher puts them.
        vocabulary: what class names are looked up in.
        classes: the user's own class name to vocabulary key, looked up first.
        domain: kind of image, for a layout that anyone may use; None takes what is known of the published source.
        exhaustive_for: vocabulary keys whose every region is labelled on every image, by the user's word; None takes
            what is known of the published source, and for a layout that anyone may use (COCO, VOC, YOLO) nothing.
    """

    with_images: bool = True
    images: Path | None = None
    vocabulary: Vocabulary = field(default_factory=load_vocabulary)
    classes: Mapping[str, str] = field(default_factory=dict)
    domain: Domain | None = None
    exhaustive_for: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What the source itself lists, counted before anything is judged.

    Attributes:
        images: images listed, with or without boxes.
        boxes: boxes listed, good or bad; for a mask format, connected regions.
        boxes_by_class: the same by the class name as published.
    """

    images: int
    boxes: int
    boxes_by_class: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Import:
    """The records of a data set and every issue met on the way, in the order of the source.

    Every published box is in a record, or in an issue with action `rejected` or `merged` that names it; a lesion of a
    volume, which has a region on each slice, counts once, by its lesion id.
    """

    records: tuple[ImageRecord, ...]
    issues: tuple[Issue, ...]
    published: Published

    @property
    def kept(self) -> int:
        """Published boxes that are in the records."""
        regions = [region for record in self.records for region in record.regions]
        return len({r.lesion_id for r in regions if r.lesion_id}) + sum(r.lesion_id is None for r in regions)

    @property
    def lost(self) -> int:
        """Published boxes that are in no record, each with its issue."""
        return sum(issue.boxes for issue in self.issues if issue.action in ("rejected", "merged"))

    def count(self, kind: str) -> int:
        """Number of issues of that kind."""
        return sum(issue.kind == kind for issue in self.issues)

    @classmethod
    def joined(cls, imports: Sequence[Import]) -> Import:
        """Several tables of one source as one import, in their order.

        Raises:
            DataSetError: if two tables have a record of one id.
        """
        records = tuple(record for one in imports for record in one.records)
        repeated = [name for name, times in Counter(record.record_id for record in records).items() if times > 1]
        if repeated:
            raise DataSetError(f"image {repeated[0]!r} is listed in two tables: list it in one")
        classes: Counter[str] = Counter()
        for one in imports:
            classes.update(one.published.boxes_by_class)
        published = Published(sum(one.published.images for one in imports), classes.total(), classes)
        return cls(records, tuple(issue for one in imports for issue in one.issues), published)


class Importer(Protocol):
    """Reads one published layout from a file or folder.

    Attributes:
        name: by which `by_name` and the command line know it.
        title: one line for `--help`.
    """

    name: str
    title: str

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set at `source`.

        Raises:
            InputNotFoundError: if the folder or its annotations are absent.
            DataSetError: if the annotations do not have the published form.
        """
        ...


def rejected_with_image(record_id: str, boxes: int) -> list[Issue]:
    """The account of boxes whose image could not be used; none where there were none."""
    detail = f"{boxes} boxes of an image that cannot be used"
    return [Issue(record_id, "box_without_image", detail, "rejected", boxes=boxes)] if boxes else []


def still_exhaustive(
    options: ImportOptions, issues: Iterable[Issue], published: frozenset[str] = frozenset()
) -> frozenset[str]:
    """What an image is exhaustive for: by the user's word, else as published, less what a rejected box marks.

    A lesion whose box is rejected is still there. Silence proves nothing then of its concept, nor of the broader ones,
    which cover it, or the narrower ones, one of which it may be.

    Args:
        options: what the user says, and the vocabulary.
        issues: of this image.
        published: what is known of the source, where the user says nothing.
    """
    said = published if options.exhaustive_for is None else options.exhaustive_for
    lost = {issue.concept for issue in issues if issue.concept is not None and issue.action == "rejected"}
    if not lost:
        return said
    narrower = frozenset[str]().union(*(options.vocabulary.descendants(concept) for concept in lost))
    return frozenset(key for key in said - narrower if lost.isdisjoint(options.vocabulary.descendants(key)))


def bounded_box(
    xyxy_px: tuple[float, float, float, float], columns: int, rows: int, record_id: str, concept: str
) -> tuple[Box | None, Issue | None]:
    """Turn four published numbers into a box inside the image, or into the reason why there is none.

    Args:
        xyxy_px: corners as published, pixels.
        columns: width of the frame that the corners are in, pixels.
        rows: height of that frame, pixels.
        record_id: the image, for the issue.
        concept: vocabulary key of what the box marks, for the issue.

    Returns:
        The box, cut at the image edge where it reached over it, and the issue if there is one. The box is None where
        it has no area, or lies outside the image altogether.
    """
    x1, y1, x2, y2 = xyxy_px
    if not (x1 < x2 and y1 < y2):  # also refuses NaN
        detail = f"{concept}: {xyxy_px} has no area"
        return None, Issue(record_id, "degenerate_box", detail, "rejected", boxes=1, concept=concept)
    cut = (max(x1, 0.0), max(y1, 0.0), min(x2, float(columns)), min(y2, float(rows)))
    if not (cut[0] < cut[2] and cut[1] < cut[3]):
        detail = f"{concept}: {xyxy_px} lies outside {columns}x{rows}"
        return None, Issue(record_id, "outside_box", detail, "rejected", boxes=1, concept=concept)
    box = Box(x1=cut[0], y1=cut[1], x2=cut[2], y2=cut[3])
    if cut != (x1, y1, x2, y2):
        detail = f"{xyxy_px} cut at the edge of {columns}x{rows}"
        return box, Issue(record_id, "overhanging_box", detail, "repaired", boxes=1)
    return box, None
