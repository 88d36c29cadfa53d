"""Presentation states: judged by dciodvfy and DCMTK, shown by DCMTK as our own display shows the image."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRBigEndian

from medground.dicom.gsps import LAYER, write_gsps
from medground.dicom.image import DicomImage, open_image
from medground.dicom.sr import read_sr_boxes, write_sr
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.result import BoxPx, StudyResult
from tests.dicom.conftest import dicom_file
from tests.dicom.sr_results import (
    MODEL,
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

ROWS, COLUMNS = 60, 80
BOX: BoxPx = (10, 20, 30.5, 40.25)
CT = {"SOPClassUID": CTImageStorage, "Modality": "CT", "BitsStored": 12, "HighBit": 11}
GREY = np.random.default_rng(5).integers(0, 4096, (ROWS, COLUMNS)).astype(np.uint16)
FRAMES = np.random.default_rng(6).integers(0, 256, (3, ROWS, COLUMNS)).astype(np.uint8)
RGB = np.random.default_rng(7).integers(0, 256, (ROWS, COLUMNS, 3)).astype(np.uint8)


def lut(entries: int, first: int, bits: int, **more: Any) -> DicomSequence:
    """A lookup table that runs backwards, so that it cannot be mistaken for none."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [entries, first, bits])
    item.add_new("LUTData", "OW", np.linspace(2**bits - 1, 0, entries).astype("<u2").tobytes())
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return DicomSequence([item])


def content(pixels: NDArray[Any], **elements: Any) -> bytes:
    return dicom_file(pixels, **{**PLACED, **elements})


def states(on: Sequence[DicomImage], about: StudyResult) -> list[Dataset]:
    """Presentation states as they come back from a file."""
    return [loaded(stored(one)) for one in write_gsps(about, MODEL, SETTINGS, by_uid(*on))]


def state(on: DicomImage, *boxes: BoxPx, **changes: Any) -> Dataset:
    found = [finding(on, number, box, **changes) for number, box in enumerate(boxes, start=1)]
    (only,) = states([on], study(on, found))
    return only


def errors(dataset: Dataset, path: Path, program: str, iod: str = "GrayscaleSoftcopyPresentationState") -> list[str]:
    path.write_bytes(stored(dataset))
    run = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    lines = (run.stdout + run.stderr).splitlines()
    assert iod in lines
    return [line for line in lines if line.startswith("Error")]


def by_dcmtk(film: bytes, dataset: Dataset, folder: Path, frame: int = 1) -> tuple[NDArray[Any], Dataset]:
    """What dcmp2pgm shows of an image with a presentation state, 0..1, and the state as DCMTK writes it again."""
    (folder / "film.dcm").write_bytes(film)
    (folder / "gsps.dcm").write_bytes(stored(dataset))
    names = {name: str(folder / name) for name in ("film.dcm", "gsps.dcm", "shown.pgm", "again.dcm")}
    run = subprocess.run(
        [
            "dcmp2pgm",
            *("-f", str(frame)),
            *("-p", names["gsps.dcm"]),
            *("+S", names["again.dcm"]),
            names["film.dcm"],
            names["shown.pgm"],
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
    with Image.open(names["shown.pgm"]) as picture:
        return np.asarray(picture) / 255, pydicom.dcmread(names["again.dcm"])


def outlines(dataset: Dataset) -> list[list[tuple[float, float]]]:
    """The corners of every graphic, in order."""
    return [
        list(zip(graphic.GraphicData[0::2], graphic.GraphicData[1::2], strict=True))
        for annotation in dataset.GraphicAnnotationSequence
        for graphic in annotation.GraphicObjectSequence
    ]


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


CASES: dict[str, dict[str, Any]] = {
    "no window": {},
    "no window, and padding": {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 500},
    "no window, rescaled": {**CT, "RescaleSlope": 0.5, "RescaleIntercept": -1024},
    "window": {"WindowCenter": 2000, "WindowWidth": 1000},
    "first of two windows": {"WindowCenter": [2000, 100], "WindowWidth": [1000, 50]},
    "MONOCHROME1": {"WindowCenter": 2000, "WindowWidth": 1000, "PhotometricInterpretation": "MONOCHROME1"},
    "inverse": {"WindowCenter": 2000, "WindowWidth": 1000, "PresentationLUTShape": "INVERSE"},
    "rescaled": {
        **CT,
        "RescaleSlope": 2.5,
        "RescaleIntercept": -1024,
        "RescaleType": "HU",
        "WindowCenter": 40,
        "WindowWidth": 400,
    },
    "VOI LUT": {"VOILUTSequence": lut(4096, 0, 16), "BitsStored": 12, "HighBit": 11},
    "VOI LUT of negative values": {
        **CT,
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "VOILUTSequence": lut(4096, -1024, 12),
    },
    "modality LUT": {
        "ModalityLUTSequence": lut(4096, 0, 16, ModalityLUTType="OD"),
        "BitsStored": 12,
        "HighBit": 11,
        "WindowCenter": 30000,
        "WindowWidth": 20000,
    },
}


@pytest.mark.judge("dcmtk", "dicom3tools")
@pytest.mark.parametrize("case", list(CASES))
def test_dcmtk_shows_it_as_we_do(case: str, tmp_path: Path, dciodvfy: str) -> None:
    film = content(GREY, **CASES[case])
    ours = open_image(film)
    dataset = state(ours, BOX)
    assert errors(dataset, tmp_path / "state.dcm", dciodvfy) == []
    shown, again = by_dcmtk(film, dataset, tmp_path)
    expected = ours.display()
    assert expected.std() > 0.1
    if "PixelPaddingValue" in CASES[case]:  # DCMTK shows padding like all else, and we black
        shown = np.where(GREY <= 500, 0, shown)
    assert np.abs(shown - expected).max() < 1.5 / 255  # DCMTK cuts to 8 bits, and tables to fewer steps
    assert outlines(again) == outlines(dataset)
    check = subprocess.run(["dcmpschk", str(tmp_path / "gsps.dcm")], capture_output=True, text=True, check=False)
    assert "Test passed" in check.stdout + check.stderr


def test_the_window_keeps_its_function() -> None:
    """DCMTK knows none but LINEAR."""
    film = open_image(content(GREY, WindowCenter=2000.5, WindowWidth=1000, VOILUTFunction="SIGMOID"))
    (window,) = state(film, BOX).SoftcopyVOILUTSequence
    assert (window.WindowCenter, window.WindowWidth, window.VOILUTFunction) == (2000.5, 1000, "SIGMOID")
    flat = open_image(content(np.full((ROWS, COLUMNS), 7, np.uint16)))
    assert "SoftcopyVOILUTSequence" not in state(flat, BOX)


@pytest.mark.judge("dcmtk")
def test_the_picture_follows_the_state_and_not_the_image(tmp_path: Path) -> None:
    """That the comparison above can fail: another window or polarity in the state is another picture."""
    film = content(GREY, WindowCenter=2000, WindowWidth=1000)
    dataset = state(open_image(film), BOX)
    right, _ = by_dcmtk(film, dataset, tmp_path)
    dataset.PresentationLUTShape = "INVERSE"
    inverted, _ = by_dcmtk(film, dataset, tmp_path)
    assert np.allclose(inverted, 1 - right, atol=1 / 255)
    dataset.SoftcopyVOILUTSequence[0].WindowCenter = "1000"
    assert np.abs(by_dcmtk(film, dataset, tmp_path)[0] - inverted).max() > 0.5


@pytest.mark.judge("dcmtk", "dicom3tools")
def test_a_frame_of_several(tmp_path: Path, dciodvfy: str) -> None:
    film = content(
        FRAMES, frames=3, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.2", Modality="OT", WindowCenter=90, WindowWidth=60
    )
    ours = open_image(film)
    found = [finding(ours, 1, BOX, frame=3), finding(ours, 2, (1, 2, 3, 4), frame=2)]
    (dataset,) = states([ours], study(ours, found))
    assert errors(dataset, tmp_path / "state.dcm", dciodvfy) == []
    for frame in (2, 3):
        shown, _ = by_dcmtk(film, dataset, tmp_path, frame)
        assert np.abs(shown - ours.display(frame)).max() < 1.5 / 255
    references = [annotation.ReferencedImageSequence[0] for annotation in dataset.GraphicAnnotationSequence]
    assert [one.ReferencedFrameNumber for one in references] == [2, 3]
    assert outlines(dataset)[0][0] == (1, 2)
    assert dataset.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedFrameNumber == [2, 3]


@pytest.mark.judge("dicom3tools")
def test_a_volume_is_drawn_on_every_slice(tmp_path: Path, dciodvfy: str) -> None:
    slices = ct_slices(5)
    drawn = volume_finding(slices[1:4], 1)
    (dataset,) = states(slices, study(slices[0], [drawn]))
    assert errors(dataset, tmp_path / "state.dcm", dciodvfy) == []
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
def test_series_sizes_and_windows_in_one_state(tmp_path: Path, dciodvfy: str) -> None:
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
    assert errors(dataset, tmp_path / "state.dcm", dciodvfy) == []
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
def test_what_one_state_cannot_hold_is_two(tmp_path: Path, dciodvfy: str) -> None:
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
    assert errors(grey, tmp_path / "state.dcm", dciodvfy) == []
    assert errors(inverse, tmp_path / "state.dcm", dciodvfy) == []
    assert errors(coloured, tmp_path / "state.dcm", dciodvfy, "ColorSoftcopyPresentationState") == []
    profile = ImageCms.ImageCmsProfile(io.BytesIO(coloured.ICCProfile))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize("number", [1, 200])
def test_labels_stand_in_the_image_beside_their_boxes(number: int, tmp_path: Path, dciodvfy: str) -> None:
    film = open_image(content(GREY))
    random = np.random.default_rng(3)
    low = random.uniform(0, 1, (number, 2)) * (COLUMNS - 2, ROWS - 2)
    high = low + random.uniform(0.01, 1, (number, 2)) * (np.array([COLUMNS, ROWS]) - low)
    boxes: list[BoxPx] = [tuple(map(float, corners)) for corners in np.hstack([low, high])]  # type: ignore[misc]
    dataset = state(film, *boxes)
    assert errors(dataset, tmp_path / "state.dcm", dciodvfy) == []
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
def test_states_on_real_images(shared_data: Path, tmp_path: Path, dciodvfy: str) -> None:
    """No error but those that come from the image's own patient elements and UIDs."""
    judged = 0
    for path in sorted((shared_data / "dicom").rglob("*.dcm")):
        try:
            one = open_image(path)
        except MedgroundError:
            continue
        header = one.header
        own = (header.study_instance_uid, header.series_instance_uid, header.sop_instance_uid, "Patient")
        if not all(UID(uid).is_valid for uid in (*own[:3], header.sop_class_uid)):
            continue  # which nothing can refer to
        (dataset,) = states([one], study(one, [finding(one, 1, (0, 0, 1, 1))]))
        iod = "ColorSoftcopyPresentationState" if "ICCProfile" in dataset else "GrayscaleSoftcopyPresentationState"
        found = errors(dataset, tmp_path / "state.dcm", dciodvfy, iod)
        if header.frames > 1:  # frames in a class that has none, or one younger than dciodvfy
            found = [line for line in found if "ReferencedFrameNumber" not in line]
        assert [line for line in found if not any(word in line for word in own)] == [], path.name
        judged += 1
    assert judged > 15


@pytest.mark.judge("dcmtk")
@pytest.mark.real_data
def test_dcmtk_shows_real_images_as_we_do(shared_data: Path, tmp_path: Path) -> None:
    """Every grey image that DCMTK renders; most have no window, and a state that names none would show them dark."""
    compared = 0
    for path in sorted((shared_data / "dicom").rglob("*.dcm")):
        try:
            one = open_image(path)
            expected = one.display()
            (dataset,) = states([one], study(one, [finding(one, 1, (0, 0, 1, 1))]))
        except MedgroundError:
            continue
        header = one.header
        of_32_bits_big_endian = header.bits_allocated == 32 and header.transfer_syntax_uid == ExplicitVRBigEndian
        if expected.ndim == 3 or expected.size > 2**21 or of_32_bits_big_endian:  # which DCMTK reads as noise
            continue
        try:
            shown, _ = by_dcmtk(path.read_bytes(), dataset, tmp_path)
        except AssertionError:
            continue  # DCMTK does not know the image
        assert np.abs(shown - expected).max() < 1.5 / 255, path.name
        compared += 1
    assert compared >= 15
