"""Presentation states: judged by dciodvfy, with every box and label where it belongs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageCms

from medground.dicom.gsps import LAYER, write_gsps
from medground.dicom.image import open_image
from medground.dicom.sr import read_sr_boxes, write_sr
from medground.schema.errors import UsageError
from medground.schema.result import BoxPx
from tests.dicom.judged import errors, not_of_the_image, referable_images
from tests.dicom.sr_results import (
    MODEL,
    SETTINGS,
    by_uid,
    ct_slices,
    finding,
    image,
    named,
    stored,
    study,
    volume_finding,
)
from tests.dicom.states import BOX, COLOUR_STATE, COLUMNS, GREY, GREY_STATE, ROWS, content, outlines, state, states

RGB = np.random.default_rng(7).integers(0, 256, (ROWS, COLUMNS, 3)).astype(np.uint8)


def test_the_coordinates_of_a_known_corner() -> None:
    """Graphics count edges from 0, as reports do; the displayed area alone counts pixels from 1."""
    film = open_image(content(GREY))
    whole: BoxPx = (0, 0, COLUMNS, ROWS)
    corner: BoxPx = (0, 0, 1, 1)  # the first pixel
    dataset = state(film, whole, corner)
    assert outlines(dataset) == [
        [(0, 0), (COLUMNS, 0), (COLUMNS, ROWS), (0, ROWS), (0, 0)],
        [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)],
    ]
    (area,) = dataset.DisplayedAreaSelectionSequence
    assert (area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner) == ([1, 1], [COLUMNS, ROWS])
    found = [finding(film, 1, whole), finding(film, 2, corner)]
    report = write_sr(study(film, found), MODEL, SETTINGS, by_uid(film))
    assert [box.box_xyxy_px for box in read_sr_boxes(report)] == [whole, corner]


@pytest.mark.judge("dicom3tools")
def test_a_volume_is_drawn_on_every_slice(tmp_path: Path) -> None:
    slices = ct_slices(5)
    drawn = volume_finding(slices[1:4], 1)
    (dataset,) = states(slices, study(slices[0], [drawn]))
    assert errors(dataset, tmp_path, GREY_STATE) == []
    assert drawn.extent
    expected = {one.sop_instance_uid: one.box_xyxy_px for one in drawn.extent.slices}
    found = {}
    for annotation in dataset.GraphicAnnotationSequence:
        (reference,), (graphic,) = annotation.ReferencedImageSequence, annotation.GraphicObjectSequence
        assert "ReferencedFrameNumber" not in reference
        found[reference.ReferencedSOPInstanceUID] = (*graphic.GraphicData[:2], *graphic.GraphicData[4:6])
    assert found == expected
    (area,) = dataset.DisplayedAreaSelectionSequence
    assert area.PresentationPixelSpacing == [0.5, 0.75]


@pytest.mark.judge("dicom3tools")
def test_series_sizes_and_windows_in_one_state(tmp_path: Path) -> None:
    one = open_image(content(GREY, WindowCenter=2000, WindowWidth=1000))
    wide = open_image(
        content(GREY[:30], SOPInstanceUID="1.2.3.5", SeriesInstanceUID="1.2.3.22", WindowCenter=1000, WindowWidth=500)
    )
    plain = open_image(content(GREY, SOPInstanceUID="1.2.3.6"))
    about = study(
        one,
        [finding(on, number, BOX if on is not wide else (1, 2, 3, 4)) for number, on in enumerate([one, wide, plain])],
    )
    (dataset,) = states([one, wide, plain], about)
    assert errors(dataset, tmp_path, GREY_STATE) == []
    listed = {
        series.SeriesInstanceUID: [ref.ReferencedSOPInstanceUID for ref in series.ReferencedImageSequence]
        for series in dataset.ReferencedSeriesSequence
    }
    assert listed == {"1.2.3.2": ["1.2.3.1", "1.2.3.6"], "1.2.3.22": ["1.2.3.5"]}
    areas = {tuple(a.DisplayedAreaBottomRightHandCorner): a for a in dataset.DisplayedAreaSelectionSequence}
    assert set(areas) == {(COLUMNS, ROWS), (COLUMNS, 30)}
    assert areas[COLUMNS, 30].ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.5"
    windows = {float(item.WindowCenter): item.ReferencedImageSequence for item in dataset.SoftcopyVOILUTSequence}
    assert {centre: ref[0].ReferencedSOPInstanceUID for centre, ref in windows.items()} == {
        2000: "1.2.3.1",
        1000: "1.2.3.5",
        (GREY.min() + GREY.max() + 1) / 2: "1.2.3.6",
    }


@pytest.mark.judge("dicom3tools")
def test_what_one_state_cannot_hold_is_two(tmp_path: Path) -> None:
    """Polarity is one for a whole state; colour is another kind of state, with a profile."""
    plain = open_image(content(GREY))
    negative = open_image(content(GREY, SOPInstanceUID="1.2.3.5", PhotometricInterpretation="MONOCHROME1"))
    colour = open_image(content(RGB, SOPInstanceUID="1.2.3.6", SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT"))
    everything = [plain, negative, colour]
    about = study(plain, [finding(one, number, BOX) for number, one in enumerate(everything)])
    grey, inverse, coloured = states(everything, about)
    assert (grey.PresentationLUTShape, inverse.PresentationLUTShape) == ("IDENTITY", "INVERSE")
    assert "PresentationLUTShape" not in coloured
    assert len({one.SOPInstanceUID for one in (grey, inverse, coloured)}) == 3
    assert len({one.SeriesInstanceUID for one in (grey, inverse, coloured)}) == 1
    assert [one.InstanceNumber for one in (grey, inverse, coloured)] == [1, 2, 3]
    assert errors(grey, tmp_path, GREY_STATE) == []
    assert errors(inverse, tmp_path, GREY_STATE) == []
    assert errors(coloured, tmp_path, COLOUR_STATE) == []
    profile = ImageCms.ImageCmsProfile(io.BytesIO(coloured.ICCProfile))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize("number", [1, 200])
def test_labels_stand_in_the_image_beside_their_boxes(number: int, tmp_path: Path) -> None:
    film = open_image(content(GREY))
    random = np.random.default_rng(3)
    low = random.uniform(0, 1, (number, 2)) * (COLUMNS - 2, ROWS - 2)
    high = low + random.uniform(0.01, 1, (number, 2)) * (np.array([COLUMNS, ROWS]) - low)
    boxes: list[BoxPx] = [tuple(map(float, corners)) for corners in np.hstack([low, high])]  # type: ignore[misc]
    dataset = state(film, *boxes)
    assert errors(dataset, tmp_path, GREY_STATE) == []
    (annotation,) = dataset.GraphicAnnotationSequence
    assert annotation.GraphicLayer == LAYER == dataset.GraphicLayerSequence[0].GraphicLayer
    for words, box in zip(annotation.TextObjectSequence, boxes, strict=True):
        assert words.UnformattedTextValue == "nodule, left, 0.80"
        (left, top), (right, bottom) = words.BoundingBoxTopLeftHandCorner, words.BoundingBoxBottomRightHandCorner
        assert 0 <= left < right <= COLUMNS
        assert 0 <= top < bottom <= ROWS
        assert top <= box[3] + 1e-3
        assert bottom >= box[1] - 1e-3
    corners = [(outline[0], outline[2]) for outline in outlines(dataset)]
    assert np.abs(np.array(corners).reshape(-1, 4) - np.array(boxes)).max() < 0.01


def test_what_two_questions_find_alike_is_drawn_once() -> None:
    film = image()
    found = finding(film, 1, (1, 2, 3, 4))
    about = study(film, [found])
    again = about.answers[0].model_copy(update={"id": "a3", "query": "nodule"})
    (dataset,) = states([film], about.model_copy(update={"answers": (*about.answers, again)}))
    assert len(outlines(dataset)) == 1


def test_the_same_input_gives_the_same_bytes() -> None:
    film, about = image(), study(image(), [finding(image(), 1, (1, 2, 3, 4))])
    first, second = (write_gsps(about, MODEL, SETTINGS, by_uid(film)) for _ in range(2))
    assert [stored(one) for one in first] == [stored(one) for one in second]
    other = write_gsps(about, MODEL.model_copy(update={"sha256": "cd" * 32}), SETTINGS, by_uid(film))
    assert other[0].SOPInstanceUID != first[0].SOPInstanceUID
    colour = open_image(content(RGB))
    once, twice = (states([colour], study(colour, [finding(colour, 1, BOX)]))[0].ICCProfile for _ in range(2))
    assert once == twice


def test_tracking_uids_are_those_of_the_report() -> None:
    film = image()
    about = study(film, [finding(film, 1, (1, 2, 3, 4))])
    report = write_sr(about, MODEL, SETTINGS, by_uid(film))
    (dataset,) = states([film], about)
    (graphic,) = dataset.GraphicAnnotationSequence[0].GraphicObjectSequence
    assert graphic.TrackingID == "f1"
    assert {item.UID for item in named(report, "112040")} == {graphic.TrackingUID}


def test_without_findings_there_is_none() -> None:
    assert write_gsps(study(image(), []), MODEL, SETTINGS, by_uid(image())) == ()


def test_what_cannot_be_drawn() -> None:
    film = image()
    beyond = study(film, [finding(film, 1, (70, 2, 80, 4))])
    with pytest.raises(UsageError, match="64 x 64"):
        write_gsps(beyond, MODEL, SETTINGS, by_uid(film))
    elsewhere = study(film, [finding(film, 1, (1, 2, 3, 4), sop_instance_uid="1.2.9")])
    with pytest.raises(UsageError, match=r"1\.2\.9"):
        write_gsps(elsewhere, MODEL, SETTINGS, by_uid(film))
    with pytest.raises(UsageError, match="frame 2 of 1"):
        write_gsps(study(film, [finding(film, 1, (1, 2, 3, 4), frame=2)]), MODEL, SETTINGS, by_uid(film))
    with pytest.raises(UsageError, match="plain picture"):
        write_gsps(study(film, [], study_instance_uid=None), MODEL, SETTINGS, by_uid(film))
    partly = state(film, (60, 60, 80, 80))
    assert outlines(partly)[0][2] == (64, 64)


@pytest.mark.judge("dicom3tools")
@pytest.mark.real_data
def test_states_on_real_images(shared_data: Path, tmp_path: Path) -> None:
    """No error but those that come from the image's own patient elements and UIDs."""
    judged = 0
    for name, one in referable_images(shared_data):
        (dataset,) = states([one], study(one, [finding(one, 1, (0, 0, 1, 1))]))
        iod = COLOUR_STATE if "ICCProfile" in dataset else GREY_STATE
        assert not_of_the_image(errors(dataset, tmp_path, iod), one) == [], name
        judged += 1
    assert judged > 15
