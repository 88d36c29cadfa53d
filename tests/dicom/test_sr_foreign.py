"""Reports of other makers: highdicom's regions, dcmqi's segments, a viewer's rectangles."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage, VLWholeSlideMicroscopyImageStorage, generate_uid

from medground.dicom.image import DicomImage
from medground.dicom.sr import codes as our_codes
from medground.dicom.sr import read_sr, read_sr_boxes
from medground.dicom.sr.items import box_item, code_item, container, image_item, number_item, text_item
from medground.dicom.sr.regions import outline_box
from medground.schema.anatomy import Side
from medground.schema.result import Answer, Verdict
from tests.dicom.sr_results import ct_slices, image

MM = Code("mm", "UCUM", "mm")


@pytest.fixture(scope="module")
def slices() -> list[DicomImage]:
    return ct_slices(3)


def _region(on: DicomImage, kind: str, points: Sequence[Sequence[float]]) -> sr.ImageRegion:
    source = sr.SourceImageForRegion(on.header.sop_class_uid, on.header.sop_instance_uid)
    return sr.ImageRegion(sr.GraphicTypeValues[kind], np.array(points, float), source)


def _planar(region: Any, name: str, **more: Any) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    tracking = sr.TrackingIdentifier(generate_uid(entropy_srcs=[name]), name)
    site = sr.FindingSite(codes.SCT.Lung, laterality=codes.SCT.Right)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking, region, finding_type=codes.SCT.Nodule, finding_sites=[site], **more
    )


def _report(slices: Sequence[DicomImage], groups: Sequence[Any]) -> Dataset:
    """A report as highdicom makes it of measurement groups, through a file."""
    person = sr.PersonObserverIdentifyingAttributes("Doe^Ann")
    content = sr.MeasurementReport(
        sr.ObservationContext(sr.ObserverContext(codes.DCM.Person, person)),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    evidence = []
    for one in slices:
        header = Dataset()
        header.update(one.dataset)
        for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyTime"):
            setattr(header, keyword, None)
        header.ReferringPhysicianName = None
        evidence.append(header)
    document = sr.Comprehensive3DSR(
        evidence, content, generate_uid(), 1, generate_uid(), 1, manufacturer="Clinic", manufacturer_model_name="Desk"
    )
    stream = io.BytesIO()
    document.save_as(stream)
    return pydicom.dcmread(io.BytesIO(stream.getvalue()))


def _answer(dataset: Dataset) -> Answer:
    (study,) = read_sr(dataset).studies
    (answer,) = study.answers
    assert study.report.number_of_findings == len(answer.findings)
    return answer


def _ellipse_points(x: float, y: float, a: float, b: float, angle: float) -> list[tuple[float, float]]:
    cos, sin = np.cos(angle), np.sin(angle)
    return [
        (x + a * cos, y + a * sin),
        (x - a * cos, y - a * sin),
        (x - b * sin, y + b * cos),
        (x + b * sin, y - b * cos),
    ]


@pytest.mark.parametrize("angle", [0, 0.4, 1.2, np.pi / 2])
def test_box_around_an_ellipse_against_its_outline(angle: float) -> None:
    points = _ellipse_points(100, 80, 30, 12, angle)
    along = np.linspace(0, 2 * np.pi, 100_001)
    x = 100 + 30 * np.cos(along) * np.cos(angle) - 12 * np.sin(along) * np.sin(angle)
    y = 80 + 30 * np.cos(along) * np.sin(angle) + 12 * np.sin(along) * np.cos(angle)
    box = outline_box("ELLIPSE", [number for point in points for number in point])
    assert box == pytest.approx((x.min(), y.min(), x.max(), y.max()), abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "data", "box"),
    [
        ("POINT", [3, 4], (2.5, 3.5, 3.5, 4.5)),
        ("POINT", [0, 0], (0, 0, 0.5, 0.5)),
        ("POLYLINE", [1, 2, 1, 9], (0.5, 2, 1.5, 9)),
        ("MULTIPOINT", [1, 2, 5, 3, 4, 9], (1, 2, 5, 9)),
        ("CIRCLE", [10, 10, 13, 14], (5, 5, 15, 15)),
        ("CIRCLE", [2, 2, 5, 2], (0, 0, 5, 5)),
        ("CIRCLE", [10, 10], None),
        ("ELLIPSE", [10, 10, 3, 4], None),
        ("POLYGON", [1, 2, 3, 4], None),
        ("POLYLINE", [1, 2, 3], None),
        ("POLYLINE", [], None),
    ],
)
def test_box_around_an_outline(kind: str, data: list[float], box: tuple[float, ...] | None) -> None:
    assert outline_box(kind, data) == box


def test_planar_regions_of_highdicom(slices: list[DicomImage]) -> None:
    diameter = sr.Measurement(codes.SCT.Diameter, 12.5, MM)
    groups = [
        _planar(_region(slices[0], "POLYLINE", [(1, 2), (9, 2), (9, 7), (1, 2)]), "A", measurements=[diameter]),
        _planar(_region(slices[1], "CIRCLE", [(20, 20), (23, 24)]), "B"),
        _planar(_region(slices[1], "ELLIPSE", _ellipse_points(30, 30, 10, 5, 0)), "C"),
        _planar(_region(slices[2], "POINT", [(8, 9)]), "D"),
    ]
    dataset = _report(slices, groups)
    answer = _answer(dataset)
    assert (answer.verdict, answer.presence, answer.query) == (Verdict.FOUND, None, "Nodule")
    boxes = [found.box_xyxy_px for found in answer.findings]
    assert np.allclose(boxes, [(1, 2, 9, 7), (15, 15, 25, 25), (20, 25, 40, 35), (7.5, 8.5, 8.5, 9.5)], atol=1e-4)
    assert [found.sop_instance_uid for found in answer.findings] == ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.2", "1.2.3.4.3"]
    first = answer.findings[0]
    assert (first.series_instance_uid, first.laterality, first.score) == ("1.2.3.2", Side.RIGHT, 1.0)
    assert (first.concept.key, first.concept.code.value) == ("nodule", "27925004")
    assert first.description.text == "Nodule; Diameter: 12.5 mm."
    assert any("no scores: 1.0 stands" in warning for warning in answer.warnings)
    assert not any("no region" in warning for warning in answer.warnings)
    result = read_sr(dataset)
    assert (result.model.name, result.settings.mode) == ("Desk", "structured report")
    assert [one.box_xyxy_px for one in read_sr_boxes(dataset)] == boxes


def test_a_volumetric_group_gives_a_finding_for_each_region(slices: list[DicomImage]) -> None:
    uid = generate_uid()
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(uid, "V"),
        referenced_regions=[
            _region(one, "POLYLINE", [(1, 2), (9, 2), (9, 7 + n), (1, 2)]) for n, one in enumerate(slices)
        ],
        finding_type=codes.SCT.Nodule,
    )
    answer = _answer(_report(slices, [group]))
    assert [found.id for found in answer.findings] == [f"{uid}/{n}" for n in (1, 2, 3)]
    assert [found.box_xyxy_px[3] for found in answer.findings] == [7, 8, 9]
    assert any("1 measurement group(s) have several regions" in warning for warning in answer.warnings)


def test_segments_of_dcmqi_are_counted_and_not_dropped_in_silence(slices: list[DicomImage]) -> None:
    """As tid1500writer has it: TID 1411, measurements, a segment of a segmentation, no coordinates."""
    segmentation = image(SOPClassUID=SegmentationStorage, SOPInstanceUID="1.2.3.55", Modality="SEG")
    listed = [*slices, segmentation]  # highdicom wants everything referred to as evidence
    segment = sr.ReferencedSegment(
        SegmentationStorage,
        "1.2.3.55",
        1,
        source_images=[
            sr.SourceImageForSegmentation(one.header.sop_class_uid, one.header.sop_instance_uid) for one in slices
        ],
    )
    volume = sr.Measurement(codes.SCT.Volume, 70.5, Code("mm3", "UCUM", "mm3"))
    groups = [
        sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            sr.TrackingIdentifier(generate_uid(), "S"),
            referenced_segment=segment,
            finding_type=codes.SCT.Nodule,
            measurements=[volume],
        ),
        _planar(_region(slices[0], "POLYLINE", [(1, 2), (9, 2), (9, 7), (1, 2)]), "A"),
    ]
    alone = _answer(_report(listed, groups[:1]))
    assert (alone.verdict, alone.findings) == (Verdict.UNCERTAIN, ())
    assert any("1 of 1 measurement group(s) have no region" in warning for warning in alone.warnings)
    both = _answer(_report(listed, groups))
    assert (both.verdict, len(both.findings)) == (Verdict.FOUND, 1)
    assert any("1 of 2 measurement group(s) have no region" in warning for warning in both.warnings)


def test_outlines_in_space_are_counted(slices: list[DicomImage]) -> None:
    region = sr.ImageRegion3D(sr.GraphicTypeValues3D.POINT, np.array([[1.0, 2.0, 3.0]]), "1.2.3.9")
    answer = _answer(_report(slices, [_planar(region, "A")]))
    assert answer.findings == ()
    assert any("1 of 1 measurement group(s) have no region" in warning for warning in answer.warnings)


def test_a_viewers_rectangle_is_found_under_its_number() -> None:
    """Viewers write TID 1501 groups whose only coordinates are those that a number was inferred from."""
    source = image_item(our_codes.SOURCE, "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "SELECTED FROM", 2)
    outline = box_item(our_codes.IMAGE_REGION, (1, 2, 30, 40), source, "INFERRED FROM")
    group = container(
        our_codes.GROUP,
        [
            text_item(our_codes.TRACKING_IDENTIFIER, "RectangleROI", "HAS OBS CONTEXT"),
            code_item(our_codes.FINDING, Code("52988006", "SCT", "Lesion")),
            number_item(codes.SCT.Area, 90, MM, children=[outline]),
            number_item(codes.SCT.Mean, 4.5, MM, children=[outline]),
        ],
        template="1501",
    )
    root = container(our_codes.REPORT, [container(our_codes.MEASUREMENTS, [group])], None, "1500")
    (found,) = _answer(root).findings
    assert (found.box_xyxy_px, found.frame, found.id) == ((1, 2, 30, 40), 2, "RectangleROI")
    assert found.description.text == "Lesion; Area: 90 mm; Mean: 4.5 mm."


def test_a_report_without_groups_is_uncertain() -> None:
    answer = _answer(container(our_codes.REPORT, [], None, "1500"))
    assert (answer.verdict, answer.findings, answer.query) == (Verdict.UNCERTAIN, (), "Imaging Measurement Report")


@pytest.mark.real_data
def test_the_sample_of_highdicom(shared_data: Path) -> None:
    path = shared_data / "dicom" / "ImagingDataCommons__highdicom" / "sr_document.dcm"
    answer = _answer(pydicom.dcmread(path))
    (found,) = answer.findings
    assert (answer.query, found.box_xyxy_px) == ("Spinal cord", (47, 41, 69, 63))
    assert found.sop_instance_uid == "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"


def test_pixels_of_a_whole_slide_are_none_of_a_frame() -> None:
    source = image_item(our_codes.SOURCE, VLWholeSlideMicroscopyImageStorage, "1.2.3.4", "SELECTED FROM", None)
    outline = box_item(our_codes.IMAGE_REGION, (1, 2, 30, 40), source, "CONTAINS")
    outline.PixelOriginInterpretation = "VOLUME"
    group = container(our_codes.GROUP, [outline])
    root = container(our_codes.REPORT, [container(our_codes.MEASUREMENTS, [group])], None, "1500")
    assert _answer(root).findings == ()
    outline.PixelOriginInterpretation = "FRAME"
    assert len(_answer(root).findings) == 1
