"""A marked lesion that finds no place on its image is still there: silence proves nothing of it any more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom

from medground.data.importers import Import
from medground.dicom.image import open_image
from medground.dicom.seg import write_seg
from medground.dicom.sr import write_sr
from tests.data.importers.dicom_folders import BOX, film, read, save, slices
from tests.dicom.conftest import dicom_file
from tests.dicom.sr_results import MODEL, PLACED, SETTINGS, by_uid, finding, study, volume_finding

SAID = frozenset({"nodule", "lung_lesion", "fracture"})
LEFT = {"fracture"}
OUTSIDE = (50.0, 5.0, 60.0, 9.0)


def known(folder: Path) -> dict[str, frozenset[str]]:
    """What each record is exhaustive for, where the user says that all are for a few findings."""
    found: Import = read(folder, exhaustive_for=SAID)
    return {record.record_id: record.exhaustive_for for record in found.records}


def test_outside_its_image(tmp_path: Path) -> None:
    stack = slices(tmp_path, 3)
    findings = [finding(stack[0], 1, OUTSIDE), finding(stack[1], 2, BOX)]
    save(tmp_path, "report", write_sr(study(stack[1], findings), MODEL, SETTINGS, by_uid(*stack)))
    assert known(tmp_path) == {"1.2.3.4.1": LEFT, "1.2.3.4.2": SAID, "1.2.3.4.3": SAID}
    (issue,) = [issue for issue in read(tmp_path).issues if issue.kind == "outside_box"]
    assert (issue.record_id, issue.concept, issue.boxes) == ("1.2.3.4.1", "nodule", 1)


def test_on_one_slice_of_several(tmp_path: Path) -> None:
    stack = slices(tmp_path, 3)
    lesion = volume_finding(stack, 1)
    assert lesion.extent is not None
    first, *others = lesion.extent.slices
    places = (first.model_copy(update={"box_xyxy_px": OUTSIDE}), *others)
    lesion = lesion.model_copy(update={"extent": lesion.extent.model_copy(update={"slices": places})})
    save(tmp_path, "report", write_sr(study(stack[1], [lesion]), MODEL, SETTINGS, by_uid(*stack)))
    assert known(tmp_path) == {"1.2.3.4.1": LEFT, "1.2.3.4.2": SAID, "1.2.3.4.3": SAID}


def test_on_pixels_of_another_grid(tmp_path: Path) -> None:
    on = film(tmp_path)
    (segmentation,) = write_seg(study(on, [finding(on, 1, BOX)]), MODEL, SETTINGS, by_uid(on))
    save(tmp_path, "segments", segmentation)
    (tmp_path / "1.2.3.1.dcm").write_bytes(dicom_file(np.zeros((128, 96), np.uint16), **PLACED))
    assert known(tmp_path) == {"1.2.3.1": LEFT}


def test_on_a_frame_that_is_not_there(tmp_path: Path) -> None:
    content = dicom_file(np.zeros((3, 64, 48), np.uint16), frames=3, **PLACED)
    on = open_image(content)
    save(tmp_path, "report", write_sr(study(on, [finding(on, 1, BOX, frame=3)]), MODEL, SETTINGS, by_uid(on)))
    (tmp_path / "film.dcm").write_bytes(content)
    assert known(tmp_path) == {"1.2.3.1/1": SAID, "1.2.3.1/2": SAID, "1.2.3.1/3": SAID}
    (tmp_path / "film.dcm").write_bytes(dicom_file(np.zeros((2, 64, 48), np.uint16), frames=2, **PLACED))
    assert known(tmp_path) == {"1.2.3.1/1": LEFT, "1.2.3.1/2": LEFT}  # it is on one of them


def test_at_a_place_of_two_images(tmp_path: Path) -> None:
    stack = slices(tmp_path, 3)
    lesion = volume_finding(stack, 1)
    (segmentation,) = write_seg(study(stack[1], [lesion]), MODEL, SETTINGS, by_uid(*stack))
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    save(tmp_path, "segments", segmentation)
    assert [len(record.regions) for record in read(tmp_path).records] == [1, 1, 1]
    twin = pydicom.dcmread(tmp_path / "1.2.3.4.2.dcm")
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = "1.2.3.5"
    twin.save_as(tmp_path / "twin.dcm")
    assert known(tmp_path) == {"1.2.3.4.1": SAID, "1.2.3.4.2": LEFT, "1.2.3.4.3": SAID, "1.2.3.5": LEFT}


def test_in_a_report_that_cannot_be_read(tmp_path: Path) -> None:
    on = film(tmp_path)
    film(tmp_path, "1.2.3.60", StudyInstanceUID="1.2.3.61")
    report = write_sr(study(on, [finding(on, 1, BOX)]), MODEL, SETTINGS, by_uid(on))
    save(tmp_path, "report", report)
    assert known(tmp_path) == {"1.2.3.1": SAID, "1.2.3.60": SAID}
    level = report.ContentSequence
    for _ in range(80):  # deeper than is read
        level.append(type(report)())
        level[-1].ContentSequence = []
        level = level[-1].ContentSequence
    save(tmp_path, "report", report)
    assert known(tmp_path) == {"1.2.3.1": frozenset(), "1.2.3.60": SAID}
