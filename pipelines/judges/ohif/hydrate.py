"""Does OHIF's adapter make a rectangle of every box, in the right place of the right frame?"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medground.dicom.header import plane_elements, spacing_elements
from medground.dicom.image import DicomImage
from medground.schema.errors import UsageError
from medground.schema.result import BoxPx, Finding, StudyResult
from pipelines.judges.complaint import Complaint, program
from pipelines.judges.ohif.install import ensure_ohif

NAME = "ohif"
PACKAGE = "npm"
TOLERANCE_PX = 0.01


@dataclass(frozen=True, slots=True)
class Report:
    """A structured report with what it was written from.

    Attributes:
        file: the report.
        study: the truth.
        images: SOP Instance UID to image.
    """

    file: Path
    study: StudyResult
    images: Mapping[str, DicomImage]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A box on a frame: `frame` is the SOP Instance UID and the 1-based frame, `concept` the code's value."""

    frame: str
    concept: str
    box_xyxy_px: BoxPx


def judge(reports: Sequence[Report]) -> list[Complaint]:
    """Hydrate reports in one Node process and compare the rectangles with the findings.

    Args:
        reports: of one or many studies.

    Returns:
        A complaint for each rectangle that is lost, too many, or further than `TOLERANCE_PX` from its box, and for
        each message of the adapter.

    Raises:
        UsageError: Node or the packages are not there, or the process failed.
    """
    if not reports:
        return []
    node = program("node", "nodejs")
    requests = "".join(f"{json.dumps(_request(report))}\n" for report in reports)
    run = subprocess.run([node, str(ensure_ohif())], input=requests.encode(), capture_output=True, check=False)
    answers = run.stdout.decode().rstrip("\n").split("\n")
    if run.returncode != 0 or len(answers) != len(reports):
        raise UsageError(
            f"the OHIF judge gave {len(answers)} answers on {len(reports)} files and ended with status "
            f"{run.returncode}: {run.stderr.decode()[-500:]}"
        )
    complaints = []
    for report, line in zip(reports, answers, strict=True):
        answer = json.loads(line)
        texts = [*answer["failures"], *_differences(rectangles_of(report.study), answer["rectangles"])]
        complaints += [Complaint(NAME, report.file, text) for text in texts]
    return complaints


def _request(report: Report) -> dict[str, Any]:
    planes = {
        f"{uid}:{frame}": _plane(image, frame)
        for uid, image in report.images.items()
        for frame in range(1, image.header.frames + 1)
    }
    return {"file": str(report.file.resolve()), "planes": planes}


def _plane(image: DicomImage, frame: int) -> dict[str, Any]:
    """What OHIF's metadata provider says of a frame, its defaults where the image says nothing."""
    position, orientation = plane_elements(image.dataset, frame)
    spacing = spacing_elements(image.dataset, frame) or spacing_elements(image.dataset, frame, "ImagerPixelSpacing")
    return {
        "position": position or (0, 0, 0),
        "orientation": orientation or (1, 0, 0, 0, 1, 0),
        "spacing": spacing or (1, 1),
        "frameOfReference": image.header.frame_of_reference_uid,
    }


def rectangles_of(study: StudyResult) -> list[Rectangle]:
    """A rectangle for each finding, and for each further slice of a finding through a volume."""
    return [one for answer in study.answers for finding in answer.findings for one in _of_finding(finding)]


def _of_finding(finding: Finding) -> Iterator[Rectangle]:
    code = finding.concept.code.value
    own = Rectangle(f"{finding.sop_instance_uid}:{finding.frame}", code, finding.box_xyxy_px)
    slices = finding.extent.slices if finding.extent else ()
    along = [Rectangle(f"{one.sop_instance_uid}:{one.frame}", code, one.box_xyxy_px) for one in slices]
    if own not in along:
        yield own
    yield from along


def _differences(wanted: Sequence[Rectangle], hydrated: Sequence[Mapping[str, Any]]) -> list[str]:
    left = [(str(one["image"]), one["finding"], one["corners_px"] or []) for one in hydrated]
    texts = []
    for rectangle in wanted:
        found = next((i for i, (*place, corners) in enumerate(left) if _is(rectangle, place, corners)), None)
        if found is None:
            texts.append(f"no rectangle for {rectangle.concept} at {rectangle.box_xyxy_px} of {rectangle.frame}")
        else:
            del left[found]
    return texts + [f"a rectangle too many: {concept} at {corners} of {frame}" for frame, concept, corners in left]


def _is(rectangle: Rectangle, place: Sequence[object], corners: Sequence[Sequence[float]]) -> bool:
    """Whether four corners, in the adapter's order (first row, then second), are those of a rectangle."""
    x1, y1, x2, y2 = rectangle.box_xyxy_px
    expected = ((x1, y1), (x2, y1), (x1, y2), (x2, y2))
    return (
        place == [rectangle.frame, rectangle.concept]
        and len(corners) == len(expected)
        and all(
            abs(got - want) <= TOLERANCE_PX
            for corner, point in zip(corners, expected, strict=True)
            for got, want in zip(corner, point, strict=True)
        )
    )
