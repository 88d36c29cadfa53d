"""DICOM folders: images with the structured reports (TID 1500) and segmentations that refer to them.

Source: PS3.16 TID 1500, TID 1410; PS3.3 C.17.2 (predecessor documents), C.8.20 (segmentation).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import Dataset

from medground.data.importers.class_names import ClassNames
from medground.data.importers.dicom_folder import Folder, FolderImage, read_folder
from medground.data.importers.dicom_marks import Mark, Place, predecessors, report_marks, segment_marks
from medground.data.importers.imported import (
    Action,
    Import,
    ImportOptions,
    Issue,
    Published,
    bounded_box,
    still_exhaustive,
)
from medground.dicom.elements import text
from medground.dicom.header import ImageHeader
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.errors import InputError, InputNotFoundError
from medground.schema.record import ImageRecord, Region

_PROJECTION = frozenset({"CR", "DX", "DR"})
_CHEST = frozenset({"CHEST", "THORAX", "LUNG"})
_LIMB = frozenset(
    {"ANKLE", "ARM", "ELBOW", "EXTREMITY", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HIP"}
) | frozenset({"HUMERUS", "KNEE", "LEG", "SHOULDER", "THIGH", "THUMB", "TOE", "WRIST"})
_SAME_PLACE_MM = 0.01
_UNREAD = ("unreadable_report", "unreadable_segmentation")


class DicomSr:
    """Importer of a folder of DICOM images, structured reports of any maker and segmentations.

    Every frame of every image becomes a record, marked or not. A finding is known by its code; where the vocabulary
    has no such code by the words of its meaning, and of a segment by its label. Regions with one tracking UID in one
    document are one lesion. A report that names a predecessor takes its place, and a segment of a lesion that a review
    took out goes with it. Where report and segmentation give one lesion, the one on more frames stands.

    Exhaustive for nothing: a report states findings, and neither its silence nor a model's "not found" in it is a
    person's reading of the whole image, verified or not. Sides and zones are those that the document states.

    Patient identifiers become digests (`dicom_folder.pseudonym`), and nothing else of the patient is taken over; the
    image files themselves stay as they are: de-identify them first.
    """

    name = "dicom-sr"
    title = "DICOM images with structured reports (TID 1500) and segmentations, in one folder"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: folder; `options.images` names another one for the images. Without images their headers alone are
                read, and must be there.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no such folder, or no image, report or segmentation in it.
        """
        options = options or ImportOptions()
        roots = (source,) if options.images is None else (source, options.images)
        missing = next((root for root in roots if not root.exists()), None)
        if missing is not None:
            raise InputNotFoundError(f"nothing is at {missing}: give the folder of the DICOM files")
        folder = read_folder(roots, decode=options.with_images)
        if not (folder.images or folder.reports or folder.segmentations):
            raise InputNotFoundError(f"no DICOM image, report or segmentation in {source}")
        marks, superseded, issues = _marks(folder)
        documents = {**folder.reports, **folder.segmentations}
        damaged = [documents[issue.record_id] for issue in issues if issue.kind in _UNREAD]
        unread = frozenset(text(one, "StudyInstanceUID") or "" for one in damaged)
        issues = [*folder.issues, *issues]
        published = Counter(mark.label for mark in (*marks, *superseded))
        issues += [_lost(mark, "superseded", "a later report took its place") for mark in superseded]
        kept, found = _without_repeats(marks)
        issues += found
        names, regions = Names(options), _Regions(folder)
        for number, mark in enumerate(kept, 1):
            issues += regions.add(mark, names, f"{mark.document}/{number}")
        known = _Known(options, issues, unread)
        records = [
            record for uid in folder.images for record in _records(uid, folder.images[uid], regions, known, options)
        ]
        count = Published(len(records), published.total(), published)
        return Import(tuple(records), tuple(issues), count)


class Names:
    """Looks up findings: the user's own names first, then codes, then words.

    Args:
        options: the user's vocabulary and mapping.
    """

    def __init__(self, options: ImportOptions) -> None:
        codes = {f"{one.code.scheme}:{one.code.value}": one.key for one in options.vocabulary.concepts}
        self._own, self._known = options.classes, ClassNames(options, codes)

    def key(self, names: Sequence[str]) -> str | None:
        """The vocabulary key of the first name that anything names; None without."""
        own = (self._own[name] for name in names if name in self._own)
        known = (key for name in names if name and (key := self._known.key(name)))
        return next(own, None) or next(known, None)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A region on a frame of an image that is there."""

    key: tuple[str, int]
    box: Box


class _Regions:
    """Regions by image and frame."""

    def __init__(self, folder: Folder) -> None:
        self._images = folder.images
        self._at = [
            (frame.position_mm, uid, number)
            for uid, image in folder.images.items()
            for number, frame in enumerate(image.frames, 1)
            if frame.position_mm is not None
        ]
        self.by_frame: dict[tuple[str, int], list[Region]] = {}

    def add(self, mark: Mark, names: Names, lesion_id: str) -> list[Issue]:
        """Put a lesion where it belongs, and account for what of it cannot be."""
        concept = names.key(mark.names)
        if concept is None:
            return [_lost(mark, "unknown_class", mark.label)]
        placed: list[_Placed] = []
        issues: list[Issue] = []
        for place in mark.places:
            one, found = self._place(place, mark, concept)
            placed += [one] if one else []
            issues += found
        several = len(placed) > 1
        for one in placed:
            region = Region(
                concept=concept,
                box=one.box,
                source=mark.source,
                side=mark.side,
                zone=mark.zone,
                lesion_id=lesion_id if several else None,
                uncertain=mark.uncertain,
            )
            self.by_frame.setdefault(one.key, []).append(region)
        # A lesion counts once: with no frame left it is lost with its last issue, else none of its frames is a loss.
        issues = [replace(issue, boxes=0, concept=concept if issue.action == "rejected" else None) for issue in issues]
        return issues if placed else [*issues[:-1], replace(issues[-1], action="rejected", boxes=1)]

    def _place(self, place: Place, mark: Mark, concept: str) -> tuple[_Placed | None, list[Issue]]:
        found = self._found(place)
        if len(found) > 1:
            detail = f"{mark.label} on one of {len(found)} images at one place"
            names = [_record_id(uid, frame, self._images[uid].header) for uid, frame in found]
            return None, [Issue(name, "orphan_reference", detail, "rejected") for name in names]
        uid, frame = found[0] if found else ("", 1)
        image = self._images.get(uid)
        if image is None or frame > len(image.frames):
            detail = f"{mark.label} on an image that is not in the folder" if image is None else f"no frame {frame}"
            return None, [Issue(uid or mark.document, "orphan_reference", detail, "rejected")]
        record_id = _record_id(uid, frame, image.header)
        if not _on_grid(place, image, frame):
            rows, columns = place.size_px or (0, 0)
            detail = f"{mark.label}: a segmentation of {columns}x{rows} pixels that are not those of the image"
            return None, [Issue(record_id, "other_grid", detail, "rejected")]
        box, issue = bounded_box(place.box_xyxy_px, image.header.columns, image.header.rows, record_id, concept)
        return (_Placed((uid, frame), box) if box else None), ([issue] if issue else [])

    def _found(self, place: Place) -> list[tuple[str, int]]:
        """Image and frame; where a segmentation names no image, all that it may mean by its position."""
        if place.sop_instance_uid or place.position_mm is None:
            return [(place.sop_instance_uid, place.frame)]
        here = place.position_mm
        return [(uid, frame) for there, uid, frame in self._at if math.dist(here, there) < _SAME_PLACE_MM]


class _Known:
    """What frames are exhaustive for, which the user alone can say.

    Args:
        options: what the user says.
        issues: of all frames, and of images whose frame is not there.
        unread: studies with a report or segmentation that cannot be read; it may mark anything on their images.
    """

    def __init__(self, options: ImportOptions, issues: Sequence[Issue], unread: frozenset[str]) -> None:
        self._options, self._unread = options, unread
        self._issues: dict[str, list[Issue]] = {}
        for issue in issues:
            self._issues.setdefault(issue.record_id, []).append(issue)

    def of(self, uid: str, frame: int, header: ImageHeader) -> frozenset[str]:
        """The concepts whose every region on a frame is known."""
        if header.study_instance_uid in self._unread:
            return frozenset()
        names = {uid, _record_id(uid, frame, header)}
        return still_exhaustive(self._options, [issue for name in names for issue in self._issues.get(name, ())])


def _on_grid(place: Place, image: FolderImage, frame: int) -> bool:
    """Whether pixels of a segmentation are those of the image."""
    if place.size_px is None:
        return True
    at, own = place.position_mm, image.frames[frame - 1]
    together = at is None or own.position_mm is None or own.spacing_mm is None
    near = together or math.dist(at or (), own.position_mm or ()) < min(own.spacing_mm or (0.0,)) / 2
    return place.size_px == (image.header.rows, image.header.columns) and near


def _marks(folder: Folder) -> tuple[list[Mark], list[Mark], list[Issue]]:
    """Marks that stand, marks that a later report took the place of, and what could not be read."""
    replaced = {uid for report in folder.reports.values() for uid in predecessors(report)}
    standing: list[Mark] = []
    superseded: list[Mark] = []
    issues: list[Issue] = []
    for uid, report in folder.reports.items():
        marks, found = _read(uid, report, of_report=True)
        (superseded if uid in replaced else standing).extend(marks)
        if uid in replaced and not marks:
            found = [Issue(uid, "superseded", "a later report took its place", "rejected")]
        issues += found
    live = {mark.tracking for mark in standing if mark.tracking}
    gone = {mark.tracking for mark in superseded if mark.tracking} - live
    for uid, segmentation in folder.segmentations.items():
        marks, found = _read(uid, segmentation, of_report=False)
        for mark in marks:
            (superseded if mark.tracking in gone else standing).append(mark)
        issues += found
    return standing, superseded, issues


def _read(uid: str, document: Dataset, *, of_report: bool) -> tuple[tuple[Mark, ...], list[Issue]]:
    try:
        marks = report_marks(document) if of_report else segment_marks(document)
    except InputError as error:
        kind = _UNREAD[0] if of_report else _UNREAD[1]
        return (), [Issue(uid, kind, type(error).__name__, "rejected")]
    what = "report" if of_report else "segmentation"
    return marks, [] if marks else [Issue(uid, "nothing_marked", f"{what} without a region on an image", "kept")]


def _without_repeats(marks: Sequence[Mark]) -> tuple[list[Mark], list[Issue]]:
    """One mark for each lesion: of one that is in a report and a segmentation, or stated twice in the same words."""
    of_tracking: dict[str, Mark] = {}
    for mark in marks:
        if mark.tracking and mark.tracking not in of_tracking:
            of_tracking[mark.tracking] = mark
        elif mark.tracking and _is_other_form(mark, of_tracking[mark.tracking]):
            of_tracking[mark.tracking] = max(of_tracking[mark.tracking], mark, key=lambda one: len(one.places))
    kept: list[Mark] = []
    issues: list[Issue] = []
    stated: set[tuple[object, ...]] = set()
    for mark in marks:
        chosen = of_tracking.get(mark.tracking or "")
        said = (mark.names, frozenset(mark.places))
        if chosen is not None and chosen is not mark and _is_other_form(mark, chosen):
            issues.append(_lost(mark, "other_form", f"{mark.label}: the same lesion as {chosen.source}", "merged"))
        elif said in stated:
            issues.append(_lost(mark, "repeated_box", f"{mark.label} is stated twice", "merged"))
        else:
            stated.add(said)
            kept.append(mark)
    return kept, issues


def _is_other_form(one: Mark, other: Mark) -> bool:
    """Whether one is of a report, the other of a segmentation. Of two reports both stand: they may be years apart."""
    return (one.places[0].size_px is None) != (other.places[0].size_px is None)


def _lost(mark: Mark, kind: str, detail: str, action: Action = "rejected") -> Issue:
    return Issue(mark.document, kind, detail, action, boxes=1)


def _record_id(uid: str, frame: int, header: ImageHeader) -> str:
    return uid if header.frames == 1 else f"{uid}/{frame}"


def _records(
    uid: str, image: FolderImage, regions: _Regions, known: _Known, options: ImportOptions
) -> list[ImageRecord]:
    """A record for each frame."""
    header = image.header
    said = {"Modality": header.modality, "BodyPartExamined": header.body_part, "ViewPosition": header.view_position}
    return [
        ImageRecord(
            record_id=_record_id(uid, number, header),
            patient_id=image.patient,
            path=image.path if options.with_images else None,
            frame=number,
            columns=header.columns,
            rows=header.rows,
            domain=options.domain or _domain(header),
            dataset=DicomSr.name,
            regions=tuple(regions.by_frame.get((uid, number), ())),
            exhaustive_for=known.of(uid, number, header),
            columns_toward_left=frame.columns_toward_left,
            rows_toward_feet=frame.rows_toward_feet,
            spacing_mm=frame.spacing_mm,
            attributes={name: words for name, words in said.items() if words},
            sha256=image.sha256,
        )
        for number, frame in enumerate(image.frames, 1)
    ]


def _domain(header: ImageHeader) -> Domain:
    """By modality and body part; `OTHER` where they do not settle it."""
    words = set((header.body_part or "").replace("-", " ").split())
    if header.modality == "CT" and words & _CHEST:
        return Domain.CHEST_CT
    if header.modality in _PROJECTION and words & _CHEST:
        return Domain.CHEST_RADIOGRAPH
    return Domain.LIMB_RADIOGRAPH if header.modality in _PROJECTION and words & _LIMB else Domain.OTHER


IMPORTER = DicomSr()
