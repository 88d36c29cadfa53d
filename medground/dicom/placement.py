"""Where findings lie: each finding on each image, slice or frame that it has a box on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from medground.dicom.image import DicomImage
from medground.schema.errors import UsageError
from medground.schema.result import Answer, BoxPx, Finding, SliceBox, StudyResult


@dataclass(frozen=True, slots=True)
class Placement:
    """A finding on one frame.

    Attributes:
        answer: that the finding belongs to.
        finding: what was found.
        image: that it lies on.
        frame: 1-based.
        box_xyxy_px: within the image.
        slice_: place of the frame in the extent of the finding, from 0; None where that does not list it.
    """

    answer: Answer
    finding: Finding
    image: DicomImage
    frame: int
    box_xyxy_px: BoxPx
    slice_: int | None

    @property
    def label(self) -> str:
        """The finding in a few words: what, on which side, and the score."""
        side = [self.finding.laterality.value] if self.finding.laterality else []
        return ", ".join([self.finding.concept.name, *side, f"{self.finding.score:.2f}"])


def placements(study: StudyResult, images: Mapping[str, DicomImage]) -> Iterator[Placement]:
    """Every finding on every frame it lies on, in the order of the result.

    A finding lies on each slice of its extent, and on its own image, should the extent not list that.

    Args:
        study: the result.
        images: SOP Instance UID to image.

    Raises:
        UsageError: a finding on an image or frame that is not given, or a box outside its image.
    """
    for answer in study.answers:
        for finding in answer.findings:
            for slice_, where in _places(finding):
                image = images.get(where.sop_instance_uid)
                if image is None:
                    raise UsageError(
                        f"finding {finding.id} lies on instance {where.sop_instance_uid or 'none'}, which is not among "
                        "the images given"
                    )
                if where.frame > image.header.frames:
                    raise UsageError(f"finding {finding.id} lies on frame {where.frame} of {image.header.frames}")
                box = _within(finding, where.box_xyxy_px, image)
                yield Placement(answer, finding, image, where.frame, box, slice_)


def _places(finding: Finding) -> Iterator[tuple[int | None, SliceBox]]:
    own = SliceBox(
        sop_instance_uid=finding.sop_instance_uid or "", frame=finding.frame, box_xyxy_px=finding.box_xyxy_px
    )
    slices = finding.extent.slices if finding.extent else ()
    if not any((one.sop_instance_uid, one.frame) == (own.sop_instance_uid, own.frame) for one in slices):
        yield None, own
    yield from enumerate(slices)


def _within(finding: Finding, box: BoxPx, image: DicomImage) -> BoxPx:
    """The part of the box inside the image: no pixel coordinate of DICOM lies outside."""
    rows, columns = image.header.rows, image.header.columns
    x1, y1, x2, y2 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], columns), min(box[3], rows)
    if not (x1 < x2 and y1 < y2):  # also where an edge is no number
        raise UsageError(f"the box {box} of finding {finding.id} lies outside its image of {columns} x {rows} pixels")
    return (x1, y1, x2, y2)
