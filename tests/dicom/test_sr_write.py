"""Structured reports written: judged by dciodvfy, read by highdicom, the same bytes for the same input."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import sr as highdicom_sr
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation, DigitalXRayImageStorageForPresentation

from medground.dicom.image import DicomImage, open_image
from medground.dicom.sr import SrKind, write_sr
from medground.schema.anatomy import Side
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.result import Description, FindingConcept, SizeMm, SpacingSource
from medground.schema.vocabulary import Code
from tests.dicom.sr_results import (
    BOXES,
    MODEL,
    SETTINGS,
    by_uid,
    ct_slices,
    finding,
    image,
    items_of,
    loaded,
    named,
    stored,
    study,
    volume_finding,
    written,
)

IODS = {SrKind.COMPREHENSIVE: "ComprehensiveSR", SrKind.COMPREHENSIVE_3D: "Comprehensive3DSR"}


def _errors(content: bytes, path: Path, program: str, iod: str = "ComprehensiveSR") -> list[str]:
    path.write_bytes(content)
    run = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    lines = (run.stdout + run.stderr).splitlines()
    assert iod in lines
    return [line for line in lines if line.startswith("Error")]


@pytest.fixture
def film() -> DicomImage:
    return image()


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize("kind", list(SrKind))
@pytest.mark.parametrize("number", [0, 1, 200])
def test_dciodvfy_finds_no_error(film: DicomImage, tmp_path: Path, dciodvfy: str, number: int, kind: SrKind) -> None:
    findings = [finding(film, n, BOXES[n % 3]) for n in range(number)]
    content = written(film, study(film, findings, warnings=("the window is not valid",)), kind=kind)
    assert _errors(content, tmp_path / "sr.dcm", dciodvfy, IODS[kind]) == []


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize(
    "changes",
    [
        {"laterality": None, "zone": None, "size_mm": None},
        {"laterality": Side.BILATERAL, "zone": None, "score": 0.1},
        {"size_mm": SizeMm(width=1, height=2, depth=3, spacing_source=SpacingSource.PATIENT_PLANE), "score": 0.5},
        {"description": Description(text="肺结节" * 400, statements=())},
        {"description": Description(text=' "blank" at both ends\x00 ', statements=())},
    ],
)
def test_dciodvfy_on_what_may_be_absent(
    film: DicomImage, tmp_path: Path, dciodvfy: str, changes: dict[str, Any]
) -> None:
    content = written(film, study(film, [finding(film, 1, BOXES[2], **changes)]))
    assert _errors(content, tmp_path / "sr.dcm", dciodvfy) == []


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize("kind", list(SrKind))
def test_dciodvfy_on_other_images(tmp_path: Path, dciodvfy: str, kind: SrKind) -> None:
    """Multi-frame, digital radiograph, mammogram with Chinese patient name, and a volume of CT slices."""
    frames = image(frames=3, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3", Modality="OT")
    plate = image(SOPClassUID=DigitalXRayImageStorageForPresentation, Modality="DX", PatientName="")
    breast = image(
        SOPClassUID=DigitalMammographyXRayImageStorageForPresentation,
        Modality="MG",
        BodyPartExamined="BREAST",
        ImageLaterality="L",
        SpecificCharacterSet="GB18030",
        PatientName="Wang^XiaoDong=王^小东",
    )
    slices = ct_slices(4)
    contents = [
        written(one, study(one, [finding(one, 1, BOXES[0], frame=one.header.frames)]), kind=kind)
        for one in (frames, plate, breast)
    ]
    contents.append(
        written(slices[0], study(slices[0], [volume_finding(slices, 1)]), images=by_uid(*slices), kind=kind)
    )
    assert str(loaded(contents[2]).PatientName) == "Wang^XiaoDong=王^小东"
    for content in contents:
        assert _errors(content, tmp_path / "sr.dcm", dciodvfy, IODS[kind]) == []


@pytest.mark.judge("dicom3tools")
@pytest.mark.real_data
def test_reports_on_real_images(shared_data: Path, tmp_path: Path, dciodvfy: str) -> None:
    """On every image with UIDs: no error of dciodvfy but those that come from the image's own patient elements."""
    judged, retired = 0, 0
    for path in sorted((shared_data / "dicom").rglob("*.dcm")):
        try:
            one = open_image(path)
        except MedgroundError:
            continue
        header = one.header
        uids = (header.study_instance_uid, header.series_instance_uid, header.sop_instance_uid, header.sop_class_uid)
        about = study(one, [finding(one, 1, (0, 0, 5, 5))])
        if not all(uid and UID(uid).is_valid for uid in uids):
            with pytest.raises(UsageError):
                written(one, about)
            continue
        errors = _errors(written(one, about), tmp_path / "sr.dcm", dciodvfy)
        if header.frames > 1:  # some have frames in a class that has none, or one younger than dciodvfy
            errors = [line for line in errors if "ReferencedFrameNumber" not in line]
        own = (*uids, "Patient")  # some real images have UIDs with a root that no one may use
        assert [line for line in errors if not any(word in line for word in own)] == [], path.name
        judged, retired = judged + 1, retired + UID(header.sop_class_uid).is_retired
    assert judged > 60
    assert retired >= 1


def test_highdicom_reads_it() -> None:
    slices = ct_slices(3)
    about = study(slices[0], [finding(slices[2], 1, BOXES[2]), volume_finding(slices, 2)])
    report = highdicom_sr.srread(io.BytesIO(written(slices[0], about, images=by_uid(*slices))))
    groups = report.content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["f1", "f2", "f2", "f2"]
    assert len({group.tracking_uid for group in groups}) == 2
    assert np.allclose(groups[0].roi.value[:3], [[10.1, 20.2], [30.3, 20.2], [30.3, 40.4]])
    assert groups[0].finding_type.meaning == "Nodule of lung"


def test_what_a_reader_without_medground_finds(film: DicomImage) -> None:
    dataset = loaded(written(film, study(film, [finding(film, 1, BOXES[2])])))
    texts = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.TextValue for item in items_of(dataset) if "TextValue" in item
    }
    assert texts["Calibrated score"] == "0.7999999999999999"  # the shortest text for 0.1 + 0.7
    assert texts["Comment"] == "Nodule in the left upper zone, 12 x 9 mm."
    assert [item.TextValue for item in named(dataset, "question")] == ["左肺有结节吗", "fracture?"]
    verdicts = [item.ConceptCodeSequence[0].CodeMeaning for item in named(dataset, "verdict")]
    assert verdicts == ["Present", "Outside what the model was trained for"]
    lengths = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.MeasuredValueSequence[0]
        for item in items_of(dataset)
        if item.ValueType == "NUM" and "ContentSequence" in item
    }
    assert lengths["Width"].FloatingPointValue == 37 / 3
    assert float(lengths["Width"].NumericValue) == pytest.approx(37 / 3, abs=1e-12)
    assert "FloatingPointValue" not in lengths["Height"]
    assert (dataset.VerificationFlag, dataset.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert str(dataset.PatientName) == "Doe^Jane"


@pytest.mark.parametrize("size", [SizeMm(width=1, height=2, spacing_source=SpacingSource.DETECTOR), None])
def test_the_first_number_of_a_group_leads_to_its_box(film: DicomImage, size: SizeMm | None) -> None:
    """Viewers look for the region under the first number of a group; there the box must be."""
    dataset = loaded(written(film, study(film, [finding(film, 1, BOXES[2], size_mm=size)])))
    (group,) = named(dataset, "125007")
    first = next(item for item in group.ContentSequence if item.ValueType == "NUM")
    (outline,) = [item for item in first.ContentSequence if item.ValueType == "SCOORD"]
    assert outline.GraphicType == "POLYLINE"
    assert np.allclose(outline.GraphicData, [10.1, 20.2, 30.3, 20.2, 30.3, 40.4, 10.1, 40.4, 10.1, 20.2])
    units = first.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue
    assert units == ("mm" if size else "{pixels}")


def test_a_slice_of_a_volume_is_measured_on_its_own_image() -> None:
    slices = ct_slices(3)
    dataset = loaded(written(slices[0], study(slices[0], [volume_finding(slices, 1)]), images=by_uid(*slices)))
    widths = [float(item.MeasuredValueSequence[0].NumericValue) for item in named(dataset, "103355008")]
    heights = [float(item.MeasuredValueSequence[0].NumericValue) for item in named(dataset, "121207")]
    assert widths == [10.5 * 0.75] * 3
    assert heights == [17.75 * 0.5] * 3


_FRACTURE = FindingConcept(
    key="fracture", name="fracture", code=Code(scheme="SCT", value="125605004", meaning="Fracture of bone")
)


@pytest.mark.parametrize(
    ("body_part", "changes", "site", "side"),
    [
        ("CHEST", {}, "Upper zone of lung", "Left"),
        ("CHEST", {"zone": None}, "Chest", "Left"),
        ("CHEST", {"concept": _FRACTURE}, "Chest", "Left"),
        ("HAND", {}, "Hand", "Left"),
        ("HAND", {"concept": _FRACTURE, "laterality": None}, "Hand", None),
        (None, {}, "Body part", "Left"),
        (None, {"laterality": None}, None, None),
    ],
)
def test_zone_of_the_lung_only_for_lung_on_a_chest(
    body_part: str | None, changes: dict[str, Any], site: str | None, side: str | None
) -> None:
    one = image(BodyPartExamined=body_part)
    dataset = loaded(written(one, study(one, [finding(one, 1, BOXES[2], **changes)])))
    sites = named(dataset, "363698007")
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in sites] == ([site] if site else [])
    sides = [item.ConceptCodeSequence[0].CodeMeaning for item in named(dataset, "272741003")]
    assert sides == ([side] if side else [])


def test_same_input_same_bytes(film: DicomImage) -> None:
    about = study(film, [finding(film, 1, BOXES[2])])
    assert written(film, about) == written(image(), about)


def test_uids_follow_from_images_questions_bundle_and_settings_alone(film: DicomImage) -> None:
    about = study(film, [finding(film, 1, BOXES[2])])

    def uids(**changes: Any) -> tuple[str, str, tuple[str, ...]]:
        dataset = loaded(written(film, **{"about": about, **changes}))
        return dataset.SOPInstanceUID, dataset.SeriesInstanceUID, tuple(item.UID for item in named(dataset, "112040"))

    first = uids()
    moved = study(film, [finding(film, 1, BOXES[0], score=0.5)], warnings=("other",))
    renamed = MODEL.model_copy(update={"name": "other", "version": "2"})
    turned = about.model_copy(update={"answers": about.answers[::-1]})
    assert uids(about=moved) == uids(model=renamed) == uids(about=turned) == first
    asked = about.answers[0].model_copy(update={"query": "nodule?"})
    others = [
        uids(about=about.model_copy(update={"answers": (asked,)})),
        uids(model=MODEL.model_copy(update={"sha256": "cd" * 32})),
        uids(settings=SETTINGS.model_copy(update={"min_score": 0.6})),
        uids(images=by_uid(film, image(SOPInstanceUID="1.2.3.77"))),
    ]
    assert all(len({one[part] for one in (first, *others)}) == 5 for part in range(3))
    as_3d = uids(kind=SrKind.COMPREHENSIVE_3D)  # another class of object may not share an instance UID
    assert as_3d[0] != first[0]
    assert as_3d[1:] == first[1:]
    assert all(UID(uid).is_valid for one in others for uid in (*one[:2], *one[2]))


_LONG_MEANING = FindingConcept(key="x", name="x", code=Code(scheme="SCT", value="1", meaning="x" * 65))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sop_instance_uid": "9.9"}, "not among the images"),
        ({"frame": 2}, "frame 2 of 1"),
        ({"box_xyxy_px": (0, 0, float("inf"), 1)}, "no pixel coordinates"),
        ({"size_mm": SizeMm(width=float("nan"), height=1, spacing_source=SpacingSource.DETECTOR)}, "finite"),
        ({"concept": _LONG_MEANING}, "1 to 64"),
    ],
)
def test_findings_that_no_report_can_hold(film: DicomImage, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        written(film, study(film, [finding(film, 1, BOXES[2], **changes)]))


def test_what_no_report_can_be_written_about(film: DicomImage) -> None:
    about = study(film, [])
    with pytest.raises(UsageError, match="needs a DICOM study"):
        written(film, study(film, [], study_instance_uid=None))
    with pytest.raises(UsageError, match="needs a DICOM study"):
        written(film, about, images={})
    with pytest.raises(UsageError, match="is not of study"):
        written(film, study(film, [], study_instance_uid="9.9"))
    with pytest.raises(UsageError, match="cannot be referred to"):
        written(film, about, images={"": film})


def test_header_elements_that_are_none_are_left_empty() -> None:
    one = image(StudyDate="", PatientBirthDate="", AccessionNumber="A7", StudyTime="101112.5")
    dataset = write_sr(study(one, []), MODEL, SETTINGS, by_uid(one))
    assert dataset.ContentDate == "19000101"
    assert dataset.ContentTime == "101112.5"
    assert loaded(stored(dataset)).AccessionNumber == "A7"
