"""Segmentations written: judged by dciodvfy, read by highdicom with the same pixels and places, and back as boxes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.seg import Segmentation, segread
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from medground.dicom.geometry import plane_of
from medground.dicom.image import DicomImage, open_image
from medground.dicom.seg import write_seg
from medground.dicom.seg_read import read_seg_boxes
from medground.dicom.sr import write_sr
from medground.schema.errors import UsageError
from medground.schema.result import BoxPx, StudyResult
from tests.dicom.conftest import dicom_file
from tests.dicom.judged import errors, not_of_the_image, referable_images
from tests.dicom.sr_results import (
    MODEL,
    NODULE,
    PLACED,
    SETTINGS,
    by_uid,
    ct_slices,
    finding,
    image,
    loaded,
    named,
    stored,
    study,
    volume_finding,
)

SIZE = 64


def write(about: StudyResult, *on: DicomImage, masks: Mapping[str, NDArray[Any]] | None = None) -> list[Dataset]:
    """Segmentations as they come back from a file."""
    return [loaded(stored(one)) for one in write_seg(about, MODEL, SETTINGS, by_uid(*on), masks=masks)]


def by_highdicom(dataset: Dataset) -> Segmentation:
    return segread(io.BytesIO(stored(dataset)))


def centres_inside(box: BoxPx, rows: int = SIZE, columns: int = SIZE) -> NDArray[np.bool_]:
    """The slow way: every pixel asked whether its centre lies in the box."""
    x1, y1, x2, y2 = box
    return np.array([[x1 <= c + 0.5 < x2 and y1 <= r + 0.5 < y2 for c in range(columns)] for r in range(rows)])


@pytest.mark.judge("dicom3tools")
def test_a_film_without_a_place(tmp_path: Path) -> None:
    film = image()
    boxes: list[BoxPx] = [(1.4, 2.5, 10.6, 20), (5, 5, 30, 40), (5, 5, 30, 40)]
    (dataset,) = write(study(film, [finding(film, n, box) for n, box in enumerate(boxes)]), film)
    assert errors(dataset, tmp_path, "Segmentation") == []
    pixels = by_highdicom(dataset).get_pixels_by_source_instance([film.header.sop_instance_uid])
    assert pixels.shape == (1, SIZE, SIZE, 3)
    for number, box in enumerate(boxes):
        assert (pixels[0, :, :, number] == centres_inside(box)).all()
    found = read_seg_boxes(dataset)
    assert [one.box_xyxy_px for one in found] == [(1, 2, 11, 20), (5, 5, 30, 40), (5, 5, 30, 40)]
    assert [(one.tracking_identifier, one.segment) for one in found] == [("f0", 1), ("f1", 2), ("f2", 3)]
    assert {(one.sop_instance_uid, one.frame, one.position_mm, one.size_px) for one in found} == {
        ("1.2.3.1", 1, None, (SIZE, SIZE))
    }
    assert found[0].concept == (NODULE.code.scheme, NODULE.code.value)
    assert "FrameOfReferenceUID" not in dataset


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize("seed", range(4))
def test_many_boxes_whose_frames_end_within_a_byte(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    rows, columns = 2 * random.integers(3, 40, 2) + 1
    film = open_image(dicom_file(np.zeros((rows, columns), np.uint16), **PLACED))
    corners = np.sort(random.uniform(0, 1, (20, 2, 2)) * (columns, rows), axis=1).reshape(20, 4)
    boxes: list[BoxPx] = [tuple(map(float, box)) for box in corners]  # type: ignore[misc]
    (dataset,) = write(study(film, [finding(film, number, box) for number, box in enumerate(boxes)]), film)
    assert errors(dataset, tmp_path, "Segmentation") == []
    pixels = by_highdicom(dataset).get_pixels_by_source_instance([film.header.sop_instance_uid])
    found = read_seg_boxes(dataset)
    for number, box in enumerate(boxes):
        expected = centres_inside(box, rows, columns)
        if expected.any():  # else it is the one pixel that the middle of the box lies in
            assert (pixels[0, :, :, number] == expected).all()
        assert np.abs(np.array(found[number].box_xyxy_px) - box).max() <= 1


@pytest.mark.judge("dicom3tools")
def test_a_volume_lies_where_its_slices_lie(tmp_path: Path) -> None:
    slices = ct_slices(5)
    drawn = volume_finding(slices[1:4], 1)
    other = finding(slices[2], 2, (5, 5, 50, 20))
    (dataset,) = write(study(slices[0], [drawn, other]), *slices)
    assert errors(dataset, tmp_path, "Segmentation") == []
    read = by_highdicom(dataset)
    assert dataset.NumberOfFrames == 4
    uids = [one.header.sop_instance_uid for one in slices]
    pixels = read.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    assert drawn.extent
    expected = np.zeros((5, SIZE, SIZE, 2), np.bool_)
    for place in drawn.extent.slices:
        expected[uids.index(place.sop_instance_uid), :, :, 0] = centres_inside(place.box_xyxy_px)
    expected[2, :, :, 1] = centres_inside(other.box_xyxy_px)
    assert (pixels == expected).all()
    _same_place(read, slices[1:4], expected[1:4])
    found = read_seg_boxes(dataset)
    assert [(one.sop_instance_uid, one.segment) for one in found] == [*((uid, 1) for uid in uids[1:4]), (uids[2], 2)]
    assert [one.position_mm for one in found[:3]] == [one.header.image_position_mm for one in slices[1:4]]
    assert found[0].box_xyxy_px == (10, 12, 20, 30)  # of (10, 12.25, 20.5, 30)


def _same_place(read: Segmentation, slices: list[DicomImage], expected: NDArray[np.bool_]) -> None:
    """Every voxel of highdicom's volume lies where the pixel of the slice lies, and holds the same."""
    volume = read.get_volume()
    affine, held = np.asarray(volume.affine), np.asarray(volume.array)
    for voxel in ((0, 0, 0), (1, 13, 12), (2, 63, 63), (2, 20, 15)):
        place = (affine @ (*voxel, 1))[:3]
        for number, one in enumerate(slices):
            plane = plane_of(one.header)
            assert plane
            x, y, away = plane.to_pixel(tuple(place))
            if abs(away) < 1e-3:
                assert (held[voxel] == expected[number, round(y - 0.5), round(x - 0.5)]).all()
                break
        else:
            pytest.fail(f"voxel {voxel} lies on no slice")


@pytest.mark.judge("dicom3tools")
def test_an_oblique_series_is_one_segmentation(tmp_path: Path) -> None:
    cosines = [0.96592583, 0, 0.25881905, 0, 1, 0]
    slices = [
        image(
            SOPClassUID=CTImageStorage,
            SOPInstanceUID=f"1.2.3.4.{number}",
            Modality="CT",
            FrameOfReferenceUID="1.2.3.9",
            PixelSpacing=[0.5, 0.75],
            SliceThickness=2.5,
            ImageOrientationPatient=[cosine + number * 1e-9 for cosine in cosines],
            ImagePositionPatient=[2.5 * number * 0.25881905, 1, -2.5 * number * 0.96592583],
        )
        for number in range(3)
    ]
    (dataset,) = write(study(slices[0], [volume_finding(slices, 1)]), *slices)
    assert errors(dataset, tmp_path, "Segmentation") == []
    (measures,) = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert (measures.PixelSpacing, measures.SliceThickness) == ([0.5, 0.75], 2.5)
    assert by_highdicom(dataset).get_volume().spatial_shape == (3, SIZE, SIZE)


@pytest.mark.judge("dicom3tools")
def test_frames_of_multi_frame_images(tmp_path: Path) -> None:
    film = image(frames=3, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3", Modality="OT")
    (dataset,) = write(study(film, [finding(film, 1, (5, 5, 50, 20), frame=3), finding(film, 2, (1, 1, 9, 9))]), film)
    assert errors(dataset, tmp_path, "Segmentation") == []
    pixels = by_highdicom(dataset).get_pixels_by_source_frame(
        "1.2.3.1", [1, 2, 3], assert_missing_frames_are_empty=True
    )
    assert pixels.sum((1, 2)).tolist() == [[0, 64], [0, 0], [675, 0]]
    assert [(one.frame, one.segment) for one in read_seg_boxes(dataset)] == [(3, 1), (1, 2)]


@pytest.mark.judge("dicom3tools")
def test_frames_of_an_enhanced_ct(tmp_path: Path) -> None:
    shared, frames = Dataset(), []
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.5], 2
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    for number in range(3):
        item, position = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, 2 * number]
        item.PlanePositionSequence = [position]
        frames.append(item)
    ct = image(
        frames=3,
        SOPClassUID=EnhancedCTImageStorage,
        Modality="CT",
        FrameOfReferenceUID="1.2.3.9",
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )
    (dataset,) = write(study(ct, [finding(ct, 1, (5, 5, 50, 20), frame=2)]), ct)
    assert errors(dataset, tmp_path, "Segmentation") == []
    (box,) = read_seg_boxes(dataset)
    assert (box.frame, box.position_mm, box.box_xyxy_px) == (2, (0, 0, 2), (5, 5, 50, 20))


@pytest.mark.judge("dicom3tools")
def test_masks(tmp_path: Path) -> None:
    slices = ct_slices(3)
    random = np.random.default_rng(2)
    through = random.integers(0, 2, (3, SIZE, SIZE))
    through[1] = 0  # on the middle slice the segment is not
    flat = np.zeros((SIZE, SIZE), np.uint8)
    flat[20:30, 7:9] = 255
    about = study(slices[0], [volume_finding(slices, 1), finding(slices[1], 2, (5, 5, 50, 20))])
    (dataset,) = write(about, *slices, masks={"f1": through, "f2": flat})
    assert errors(dataset, tmp_path, "Segmentation") == []
    assert dataset.NumberOfFrames == 3
    uids = [one.header.sop_instance_uid for one in slices]
    pixels = by_highdicom(dataset).get_pixels_by_source_instance(uids)
    assert (pixels[..., 0] == through).all()
    assert (pixels[1, :, :, 1] == (flat > 0)).all()
    assert read_seg_boxes(dataset)[-1].box_xyxy_px == (7, 20, 9, 30)
    (boxes,) = write(about, *slices)
    (again,) = write(about, *slices, masks={"f2": flat, "f1": through})
    assert again.SOPInstanceUID == dataset.SOPInstanceUID != boxes.SOPInstanceUID


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({"f1": np.ones((4, 4))}, r"shape \(4, 4\); it needs \(64, 64\)"),
        ({"f1": np.ones((1, SIZE, SIZE))}, "shape"),
        ({"f1": np.zeros((SIZE, SIZE))}, "f1 has no pixel"),
        ({"f9": np.ones((SIZE, SIZE))}, "f9 has no pixel"),
    ],
)
def test_masks_that_do_not_fit(masks: dict[str, NDArray[Any]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        write(study(image(), [finding(image(), 1, (1, 2, 3, 4))]), image(), masks=masks)


def test_what_a_segment_says() -> None:
    film = image()
    about = study(film, [finding(film, 1, (1, 2, 3, 4))])
    (dataset,) = write(about, film)
    description = by_highdicom(dataset).get_segment_description(1)
    assert description.segment_label == "nodule, left, 0.80"
    assert description.segmented_property_category == codes.SCT.MorphologicallyAbnormalStructure
    assert description.segmented_property_type.value == NODULE.code.value
    assert description.algorithm_type.value == "AUTOMATIC"
    (algorithm,) = description.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (MODEL.name, MODEL.version)
    assert algorithm.AlgorithmParameters == f"bundle_sha256={MODEL.sha256}"
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == codes.DCM.ArtificialIntelligence.value
    report = write_sr(about, MODEL, SETTINGS, by_uid(film))
    assert {item.UID for item in named(report, "112040")} == {description.tracking_uid}
    assert description.tracking_id == "f1"


def test_series_are_segmented_apart() -> None:
    one, other = image(), image(SOPInstanceUID="1.2.3.5", SeriesInstanceUID="1.2.3.22")
    written = write(study(one, [finding(one, 1, (1, 2, 3, 4)), finding(other, 2, (5, 5, 9, 9))]), one, other)
    assert [len(dataset.SegmentSequence) for dataset in written] == [1, 1]
    assert [dataset.ReferencedSeriesSequence[0].SeriesInstanceUID for dataset in written] == ["1.2.3.2", "1.2.3.22"]
    assert [box.box_xyxy_px for dataset in written for box in read_seg_boxes(dataset)] == [(1, 2, 3, 4), (5, 5, 9, 9)]
    assert len({dataset.SOPInstanceUID for dataset in written}) == 2


def test_the_same_input_gives_the_same_bytes() -> None:
    slices = ct_slices(3)
    about = study(slices[0], [volume_finding(slices, 1)])
    once, twice = (write_seg(about, MODEL, SETTINGS, by_uid(*order)) for order in (slices, slices[::-1]))
    assert [stored(one) for one in once] == [stored(one) for one in twice]


def test_without_findings_there_is_none() -> None:
    assert write_seg(study(image(), []), MODEL, SETTINGS, by_uid(image())) == ()


def test_what_cannot_be_written() -> None:
    film = image()
    long = NODULE.model_copy(update={"code": NODULE.code.model_copy(update={"scheme": "S" * 17})})
    with pytest.raises(UsageError, match="16 characters"):
        write(study(film, [finding(film, 1, (1, 2, 3, 4), concept=long)]), film)
    with pytest.raises(UsageError, match="plain picture"):
        write(study(film, [], study_instance_uid=None), film)


@pytest.mark.judge("dicom3tools")
@pytest.mark.real_data
def test_segmentations_on_real_images(shared_data: Path, tmp_path: Path) -> None:
    """The box comes back, and no error but those that come from the image's own patient elements and UIDs."""
    judged = 0
    for name, one in referable_images(shared_data):
        (dataset,) = write(study(one, [finding(one, 1, (0, 0, 5, 4))]), one)
        assert not_of_the_image(errors(dataset, tmp_path, "Segmentation"), one) == [], name
        (box,) = read_seg_boxes(dataset)
        assert box.box_xyxy_px == (0, 0, min(5, one.header.columns), min(4, one.header.rows))
        judged += 1
    assert judged > 15
