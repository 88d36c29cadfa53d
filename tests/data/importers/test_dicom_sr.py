"""Folders of images, reports and segmentations: ours through their writers, others' by highdicom."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom.seg
import numpy as np
import pydicom
import pytest
from highdicom import AlgorithmIdentificationSequence, sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from medground.data.import_report import report_of
from medground.data.importers import Import
from medground.dicom.image import DicomImage, open_image
from medground.dicom.seg import write_seg
from medground.dicom.sr import Review, write_sr
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.errors import InputNotFoundError
from medground.schema.record import ImageRecord, Region
from medground.schema.result import FindingConcept
from medground.schema.vocabulary import Code as SchemaCode
from tests.data.importers.dicom_folders import BOX, film, read, save, slices
from tests.dicom.conftest import dicom_file
from tests.dicom.sr_results import MODEL, PLACED, SETTINGS, by_uid, finding, stored, study, volume_finding


def only(found: Import) -> tuple[ImageRecord, Region]:
    (record,) = found.records
    (region,) = record.regions
    return record, region


def test_our_own_report(tmp_path: Path) -> None:
    on = film(tmp_path, PatientOrientation=["L", "F"], ImagerPixelSpacing=[0.2, 0.1], PatientID="MRN-77")
    report = save(tmp_path, "report", write_sr(study(on, [finding(on, 1, BOX)]), MODEL, SETTINGS, by_uid(on)))
    found = read(tmp_path)
    record, region = only(found)
    assert (region.concept, region.box.xyxy_px) == ("nodule", BOX)
    assert (region.side, region.zone, region.lesion_id, region.uncertain) == (Side.LEFT, Zone.UPPER, None, False)
    assert region.source == f"DICOM SR of {report.ManufacturerModelName}"
    assert (record.record_id, record.columns, record.rows, record.frame) == ("1.2.3.1", 48, 64, 1)
    assert (record.columns_toward_left, record.rows_toward_feet, record.spacing_mm) == (1, 1, (0.2, 0.1))
    assert record.domain is Domain.CHEST_RADIOGRAPH
    assert record.exhaustive_for == frozenset()
    assert record.patient_id == hashlib.sha256(b"patient\x00\x00MRN-77").hexdigest()[:16]
    assert record.path is not None
    assert record.sha256 == hashlib.sha256(record.path.read_bytes()).hexdigest()
    assert found.published.boxes == 1
    assert found.issues == ()


def test_nothing_of_the_patient_is_taken_over(tmp_path: Path) -> None:
    on = film(tmp_path, PatientName="Doe^Jane", PatientID="MRN-77", PatientBirthDate="19500102", AccessionNumber="A99")
    first = write_sr(study(on, [finding(on, 1, BOX)]), MODEL, SETTINGS, by_uid(on))
    review = Review(first, "Roe^Richard", "Ward 9", datetime(2025, 1, 3, tzinfo=UTC))
    about = study(on, [finding(on, 1, BOX)])
    save(tmp_path, "reviewed", write_sr(about, MODEL, SETTINGS, by_uid(on), review=review))
    (tmp_path / "DOE_JANE.dcm").write_bytes(b"no DICOM")
    found = read(tmp_path)
    said = "\n".join([*(one.model_dump_json(exclude={"path"}) for one in found.records), *map(repr, found.issues)])
    assert "verified" in said
    for word in ("Doe", "Jane", "DOE", "MRN-77", "19500102", "A99", "Roe", "Ward 9"):
        assert word not in said, word


def test_a_lesion_through_slices_counts_once(tmp_path: Path) -> None:
    stack = slices(tmp_path, 4)
    lesion = volume_finding(stack[:3], 1)
    save(tmp_path, "report", write_sr(study(stack[1], [lesion]), MODEL, SETTINGS, by_uid(*stack)))
    found = read(tmp_path)
    assert found.published.boxes == found.kept == 1
    assert [len(record.regions) for record in found.records] == [1, 1, 1, 0]
    regions = [region for record in found.records for region in record.regions]
    assert len({region.lesion_id for region in regions}) == 1
    assert regions[0].lesion_id is not None
    assert [region.box.x1 for region in regions] == [10.0, 11.0, 12.0]
    assert {(record.domain, record.spacing_mm) for record in found.records} == {(Domain.CHEST_CT, (0.5, 0.75))}


def test_an_image_that_is_not_in_the_folder(tmp_path: Path) -> None:
    stack = slices(tmp_path, 3)
    gone = film(tmp_path, "1.2.3.7")
    findings = [volume_finding(stack, 1), finding(gone, 2, BOX), finding(stack[0], 3, (40.0, 60.0, 90.0, 70.0))]
    about = study(stack[1], findings)
    save(tmp_path, "report", write_sr(about, MODEL, SETTINGS, by_uid(*stack, gone)))
    for name in ("1.2.3.7", "1.2.3.4.3"):
        (tmp_path / f"{name}.dcm").unlink()
    found = read(tmp_path)
    assert found.published.boxes == 3
    assert (found.kept, found.lost) == (2, 1)
    orphans = [issue for issue in found.issues if issue.kind == "orphan_reference"]
    assert [(issue.record_id, issue.boxes) for issue in orphans] == [("1.2.3.4.3", 0), ("1.2.3.7", 1)]
    assert found.count("overhanging_box") == 1  # cut at 48 columns and 64 rows
    assert found.records[0].regions[-1].box.xyxy_px == (40.0, 60.0, 48.0, 64.0)


def test_a_lesion_outside_its_images_is_lost_once(tmp_path: Path) -> None:
    stack = slices(tmp_path, 2)
    lesion = volume_finding(stack, 1)
    assert lesion.extent is not None
    away = [one.model_copy(update={"box_xyxy_px": (50.0, 5.0, 60.0, 9.0)}) for one in lesion.extent.slices]
    extent = lesion.extent.model_copy(update={"slices": tuple(away)})
    lesion = lesion.model_copy(update={"extent": extent, "box_xyxy_px": (50.0, 5.0, 60.0, 9.0)})
    save(tmp_path, "report", write_sr(study(stack[1], [lesion]), MODEL, SETTINGS, by_uid(*stack)))
    found = read(tmp_path)
    assert (found.kept, found.lost, found.count("outside_box")) == (0, 1, 2)


def test_codes_before_words_and_the_users_before_both(tmp_path: Path) -> None:
    on = film(tmp_path)

    def named(number: int, scheme: str, value: str, meaning: str) -> Any:
        code = SchemaCode(scheme=scheme, value=value, meaning=meaning)
        concept = FindingConcept(key="any", name=meaning, code=code)
        return finding(on, number, (number, 1.0, number + 5.0, 9.0), concept=concept)

    findings = [
        named(1, "SCT", "60046008", "a word that nobody knows"),
        named(2, "99CLINIC", "17", "Pleural-Effusion"),
        named(3, "99CLINIC", "18", "Ghost lesion"),
        named(4, "99CLINIC", "19", "Ghost lesion"),
    ]
    save(tmp_path, "report", write_sr(study(on, findings), MODEL, SETTINGS, by_uid(on)))
    found = read(tmp_path)
    assert [region.concept for region in found.records[0].regions] == ["pleural_effusion"] * 2
    assert report_of(found, "dicom-sr").unmapped == {"Ghost lesion": 2}
    assert found.published.boxes_by_class == {"a word that nobody knows": 1, "Pleural-Effusion": 1, "Ghost lesion": 2}
    mapped = read(tmp_path, classes={"Ghost lesion": "mass", "SCT:60046008": "nodule"})
    assert [region.concept for region in mapped.records[0].regions] == ["nodule", "pleural_effusion", "mass", "mass"]


def test_a_review_takes_the_place_of_the_report(tmp_path: Path) -> None:
    on = film(tmp_path)
    before = study(on, [finding(on, 1, BOX), finding(on, 2, (1.0, 1.0, 9.0, 9.0))])
    first = save(tmp_path, "first", write_sr(before, MODEL, SETTINGS, by_uid(on)))
    for segmentation in write_seg(before, MODEL, SETTINGS, by_uid(on)):
        save(tmp_path, "segments", segmentation)
    assert read(tmp_path).kept == 2  # the second form of each is merged
    review = Review(first, "Roe^Jo", "Radiology", datetime(2025, 1, 3, tzinfo=UTC))
    after = study(on, [finding(on, 1, BOX)])
    save(tmp_path, "reviewed", write_sr(after, MODEL, SETTINGS, by_uid(on), review=review))
    found = read(tmp_path)
    record, region = only(found)
    assert region.box.xyxy_px == BOX
    assert region.source.endswith(", verified")
    assert record.exhaustive_for == frozenset()
    # Two of the first report, and the segment of the finding that the review took out.
    assert found.count("superseded") == 3
    assert found.count("other_form") == 1
    assert found.published.boxes == 5
    (tmp_path / "reviewed.dcm").unlink()
    save(tmp_path, "emptied", write_sr(study(on, []), MODEL, SETTINGS, by_uid(on), review=review))
    assert read(tmp_path).kept == 0


def test_segments_alone_and_the_form_on_more_frames_stands(tmp_path: Path) -> None:
    stack = slices(tmp_path, 3)
    about = study(stack[1], [volume_finding(stack, 1)])
    (segmentation,) = write_seg(about, MODEL, SETTINGS, by_uid(*stack))
    save(tmp_path, "segments", segmentation)
    alone = read(tmp_path)
    regions = [region for record in alone.records for region in record.regions]
    # Pixels whose centres lie in 10..20.5 by 12.25..30 are columns 10 to 19 and rows 12 to 29.
    assert regions[0].box.xyxy_px == (10.0, 12.0, 20.0, 30.0)
    assert (len(regions), alone.kept, alone.published.boxes) == (3, 1, 1)
    assert regions[0].concept == "nodule"
    assert regions[0].source.startswith("DICOM SEG of ")
    short = volume_finding(stack, 1).model_copy(update={"extent": None})
    save(tmp_path, "report", write_sr(study(stack[1], [short]), MODEL, SETTINGS, by_uid(*stack)))
    both = read(tmp_path)
    assert [len(record.regions) for record in both.records] == [1, 1, 1]
    assert (both.kept, both.lost, both.count("other_form")) == (1, 1, 1)


def test_the_same_statement_twice(tmp_path: Path) -> None:
    on = film(tmp_path)
    findings = [finding(on, 1, BOX), finding(on, 2, BOX)]
    save(tmp_path, "report", write_sr(study(on, findings), MODEL, SETTINGS, by_uid(on)))
    found = read(tmp_path)
    only(found)
    assert (found.published.boxes, found.lost, found.count("repeated_box")) == (2, 1, 1)


def _through_file(dataset: Dataset) -> Dataset:
    stream = io.BytesIO()
    dataset.save_as(stream)
    return pydicom.dcmread(io.BytesIO(stream.getvalue()))


def _evidence(images: Sequence[DicomImage]) -> list[Dataset]:
    evidence = []
    for one in images:
        header = Dataset()
        header.update(one.dataset)
        for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyTime"):
            setattr(header, keyword, None)
        header.ReferringPhysicianName = header.PositionReferenceIndicator = None
        header.file_meta = one.dataset.file_meta
        evidence.append(header)
    return evidence


def test_a_report_of_highdicom_with_one_lesion_on_two_slices(tmp_path: Path) -> None:
    stack = slices(tmp_path, 3)
    uid = generate_uid(entropy_srcs=["lesion"])
    groups = []
    for number, one in enumerate(stack[:2]):
        source = sr.SourceImageForRegion(one.header.sop_class_uid, one.header.sop_instance_uid)
        points = np.array([[5 + number, 6], [15, 6], [15, 20], [5 + number, 20], [5 + number, 6]], float)
        groups.append(
            sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                sr.TrackingIdentifier(uid, f"slice {number}"),
                sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, points, source),
                finding_type=Code("786838002", "SCT", "Nodule of lung"),
                finding_sites=[sr.FindingSite(codes.SCT.Lung, laterality=codes.SCT.Right)],
            )
        )
    person = sr.PersonObserverIdentifyingAttributes("Doe^Ann")
    content = sr.MeasurementReport(
        sr.ObservationContext(sr.ObserverContext(codes.DCM.Person, person)),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    made = sr.Comprehensive3DSR(_evidence(stack), content, generate_uid(), 1, generate_uid(), 1, manufacturer="Clinic")
    (tmp_path / "report.dcm").write_bytes(stored(_through_file(made)))
    found = read(tmp_path)
    assert (found.published.boxes, found.kept) == (1, 1)
    boxes = [region.box.xyxy_px for record in found.records for region in record.regions]
    assert boxes == [(5.0, 6.0, 15.0, 20.0), (6.0, 6.0, 15.0, 20.0)]
    region = found.records[0].regions[0]
    assert (region.side, region.zone, region.source) == (Side.RIGHT, None, "DICOM SR of Clinic")


def test_a_segmentation_of_highdicom_by_its_label(tmp_path: Path) -> None:
    stack = slices(tmp_path, 2)
    mask = np.zeros((2, 64, 48), np.uint8)
    mask[:, 5:12, 7:20] = 1
    described = highdicom.seg.SegmentDescription(
        1,
        "pleural effusion",
        codes.SCT.MorphologicallyAbnormalStructure,
        Code("1", "99CLINIC", "Region of interest"),
        "MANUAL",
        AlgorithmIdentificationSequence("n", codes.DCM.ArtificialIntelligence, "1"),
    )
    made = highdicom.seg.Segmentation(
        _evidence(stack), mask, "BINARY", [described], generate_uid(), 1, generate_uid(), 1, "Clinic", "Desk", "1", "7"
    )
    (tmp_path / "segments.dcm").write_bytes(stored(_through_file(made)))
    found = read(tmp_path)
    assert found.kept == 1
    assert {region.concept for record in found.records for region in record.regions} == {"pleural_effusion"}
    assert [r.regions[0].box.xyxy_px for r in found.records] == [(7.0, 5.0, 20.0, 12.0)] * 2


def test_pixels_of_another_grid_are_refused(tmp_path: Path) -> None:
    on = film(tmp_path)
    (segmentation,) = write_seg(study(on, [finding(on, 1, BOX)]), MODEL, SETTINGS, by_uid(on))
    save(tmp_path, "segments", segmentation)
    pixels = np.zeros((128, 96), np.uint16)
    (tmp_path / "1.2.3.1.dcm").write_bytes(dicom_file(pixels, **PLACED))
    found = read(tmp_path)
    assert (found.kept, found.lost, found.count("other_grid")) == (0, 1, 1)


def test_frames_become_records(tmp_path: Path) -> None:
    content = dicom_file(np.zeros((3, 64, 48), np.uint16), frames=3, **PLACED)
    (tmp_path / "film.dcm").write_bytes(content)
    on = open_image(content)
    save(tmp_path, "report", write_sr(study(on, [finding(on, 1, BOX, frame=2)]), MODEL, SETTINGS, by_uid(on)))
    found = read(tmp_path)
    assert [(one.record_id, one.frame, len(one.regions)) for one in found.records] == [
        ("1.2.3.1/1", 1, 0),
        ("1.2.3.1/2", 2, 1),
        ("1.2.3.1/3", 3, 0),
    ]
    assert len({one.patient_id for one in found.records}) == 1


def test_what_is_none_of_it_is_listed(tmp_path: Path) -> None:
    on = film(tmp_path)
    report = write_sr(study(on, [finding(on, 1, BOX)]), MODEL, SETTINGS, by_uid(on))
    save(tmp_path, "a_report", report)
    (tmp_path / "b_copy.dcm").write_bytes(stored(report))
    (tmp_path / "c_note.txt").write_text("hello")
    cut = dicom_file(np.zeros((64, 48), np.uint16), **{**PLACED, "SOPInstanceUID": "1.2.3.50"})
    (tmp_path / "d_cut.dcm").write_bytes(cut[:-3000])
    plan = Dataset()
    plan.SOPClassUID, plan.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.5", "1.2.3.51"
    plan.file_meta = on.dataset.file_meta
    save(tmp_path, "e_plan", plan)
    broken = write_sr(study(on, [finding(on, 1, BOX)]), MODEL, SETTINGS, by_uid(on))
    broken.SOPInstanceUID = "1.2.3.52"
    level = broken.ContentSequence
    for _ in range(80):
        inner = Dataset()
        inner.ContentSequence = []
        level.append(inner)
        level = inner.ContentSequence
    save(tmp_path, "f_broken", broken)
    found = read(tmp_path)
    only(found)
    kinds = {issue.kind: issue.record_id for issue in found.issues}
    assert kinds == {
        "repeated_instance": report.SOPInstanceUID,
        "not_dicom": "file 4",
        "truncated_image": "1.2.3.50",
        "no_image": "1.2.3.51",
        "unreadable_report": "1.2.3.52",
    }


def test_headers_alone_and_images_elsewhere(tmp_path: Path) -> None:
    images, reports = tmp_path / "images", tmp_path / "reports"
    images.mkdir()
    reports.mkdir()
    on = film(images)
    save(reports, "report", write_sr(study(on, [finding(on, 1, BOX)]), MODEL, SETTINGS, by_uid(on)))
    assert read(reports).kept == 0
    record, _ = only(read(reports, images=images, with_images=False))
    assert (record.path, record.sha256, record.columns) == (None, None, 48)
    record, _ = only(read(reports, images=images, exhaustive_for=frozenset({"nodule"}), domain=Domain.OTHER))
    assert (record.exhaustive_for, record.domain) == (frozenset({"nodule"}), Domain.OTHER)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no DICOM image"):
        read(tmp_path)
    with pytest.raises(InputNotFoundError, match="give the folder"):
        read(tmp_path / "absent")


@pytest.mark.real_data
def test_real_files_that_nobody_marked(shared_data: Path) -> None:
    found = read(shared_data / "dicom")
    assert found.kept == 0
    assert len(found.records) >= 60
    assert all(len(record.patient_id) == 16 and not record.regions for record in found.records)
    assert len({record.record_id for record in found.records}) == len(found.records)
