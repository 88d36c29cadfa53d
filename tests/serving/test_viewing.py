"""What a viewer says around an image, from headers that pydicom wrote."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from medground.dicom.image import DicomImage, open_image
from medground.serving.viewing import (
    MOST_WINDOWS,
    Edges,
    InstanceView,
    ShownSeries,
    ShownWindow,
    edges_of,
    series_shown,
    view_of,
    windows_of,
)
from medground.serving.worklist import ListedInstance
from tests.dicom.conftest import dicom_file

AXIAL = [1, 0, 0, 0, 1, 0]
CT = {"Modality": "CT", "PixelSpacing": [0.5, 0.75], "ImageOrientationPatient": AXIAL}


def image(shape: tuple[int, ...] = (4, 5), **elements: Any) -> DicomImage:
    return open_image(dicom_file(np.zeros(shape, np.uint16), **elements))


def edges(**elements: Any) -> tuple[str, str, str, str]:
    found = edges_of(image(**elements).header)
    return found.left, found.right, found.top, found.bottom


def turned(degrees: float) -> list[float]:
    """Axial, turned about the patient's length: the rows go from the right toward the left and the back."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [c, s, 0, -s, c, 0]


@pytest.mark.parametrize(
    ("orientation", "found"),
    [
        (AXIAL, ("R", "L", "A", "P")),
        ([0, 1, 0, 0, 0, -1], ("A", "P", "H", "F")),  # sagittal
        ([1, 0, 0, 0, 0, -1], ("R", "L", "H", "F")),  # coronal
        ([-1, 0, 0, 0, 1, 0], ("L", "R", "A", "P")),  # seen from the head
        (turned(20), ("R", "L", "A", "P")),
        (turned(25), ("RA", "LP", "AL", "PR")),
        (turned(65), ("AR", "PL", "LA", "RP")),
        (turned(70), ("A", "P", "L", "R")),
    ],
)
def test_sides_of_a_slice(orientation: list[float], found: tuple[str, ...]) -> None:
    assert edges(ImageOrientationPatient=orientation, ImagePositionPatient=[0, 0, 0]) == found


def test_an_axis_between_all_others_has_three_letters() -> None:
    third = 1 / math.sqrt(3)
    across, down = [0.6, third, 0.55], [1 / math.sqrt(2), -1 / math.sqrt(2), 0]
    assert edges(ImageOrientationPatient=[*across, *down]) == ("RAF", "LPH", "RP", "LA")


@pytest.mark.parametrize(
    ("orientation", "found"),
    [
        (["L", "F"], ("R", "L", "H", "F")),  # a film as it hangs
        (["P", "F"], ("A", "P", "H", "F")),  # from the side
        (["LA", "FH"], ("RP", "LA", "", "")),  # no axis goes both ways
        (["A", "FR"], ("P", "A", "HL", "FR")),  # a mammogram
        (["X", "f"], ("", "", "H", "F")),
        (["LAFR", "LL"], ("", "", "", "")),
        (None, ("", "", "", "")),
    ],
)
def test_sides_of_a_film(orientation: list[str] | None, found: tuple[str, ...]) -> None:
    elements = {} if orientation is None else {"PatientOrientation": orientation}
    assert edges(**elements) == found


def test_where_both_are_told_the_plane_counts() -> None:
    assert edges(ImageOrientationPatient=AXIAL, PatientOrientation=["L", "F"]) == ("R", "L", "A", "P")


def shown(**elements: Any) -> list[tuple[str, float, float]]:
    found = image(**elements)
    return [(one.name, one.low, one.high) for one in windows_of(found.dataset, found.header)]


@pytest.mark.parametrize(
    ("function", "centre", "width", "low", "high"),
    [
        (None, 50, 400, -150, 249),
        ("LINEAR", 50, 400, -150, 249),
        ("LINEAR", 2048, 4096, 0, 4095),  # the example of PS3.3 C.11.2.1.2.1
        ("LINEAR", 10, 1, 9.5, 9.5),
        ("LINEAR_EXACT", 50, 400, -150, 250),
        ("LINEAR_EXACT", 2048, 4096, 0, 4096),
        ("SIGMOID", 50, 400, -150, 250),
    ],
)
def test_ends_of_a_window(function: str | None, centre: float, width: float, low: float, high: float) -> None:
    elements = {"WindowCenter": centre, "WindowWidth": width} | ({"VOILUTFunction": function} if function else {})
    assert shown(**elements) == [("", low, high)]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT"])
def test_between_the_ends_brightness_rises_from_0_to_1(function: str) -> None:
    """By the pixels that the library shows for that window."""
    ramp = np.arange(1000, dtype=np.uint16).reshape(20, 50)
    content = dicom_file(ramp, WindowCenter=500, WindowWidth=200, VOILUTFunction=function)
    opened = open_image(content)
    (window,) = windows_of(opened.dataset, opened.header)
    brightness = opened.display(1).ravel()
    by_ends = np.clip((np.arange(1000) - window.low) / (window.high - window.low), 0, 1)
    assert np.allclose(brightness, by_ends, atol=1e-6)


def test_several_windows_and_their_names() -> None:
    several = {"WindowCenter": [40, -600, 400], "WindowWidth": [400, 1500, 1800]}
    assert shown(**several, WindowCenterWidthExplanation=["SOFT", "LUNG"]) == [
        ("SOFT", -160, 239),
        ("LUNG", -1350, 149),
        ("", -500, 1299),
    ]
    assert len(shown(WindowCenter=[1] * 99, WindowWidth=[9] * 99)) == MOST_WINDOWS


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"WindowCenter": 40},
        {"WindowCenter": 40, "WindowWidth": 0.5},
        {"WindowCenter": 40, "WindowWidth": -5, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "CUBIC"},
        {"WindowCenter": "1.7e308", "WindowWidth": "1e308", "VOILUTFunction": "LINEAR_EXACT"},
    ],
)
def test_what_is_no_window(elements: dict[str, Any]) -> None:
    assert shown(**elements) == []


def test_a_table_is_left_out_and_a_window_beside_it_is_not() -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [2, 0, 8], b"\x00\x00\xff\x00"
    assert shown(VOILUTSequence=[table]) == []
    assert shown(VOILUTSequence=[table], WindowCenter=40, WindowWidth=400) == [("", -160, 239)]


def test_colour_is_given_as_it_is_shown() -> None:
    colour = open_image(dicom_file(np.zeros((4, 5, 3), np.uint8), WindowCenter=128, WindowWidth=256))
    assert windows_of(colour.dataset, colour.header) == ()


def test_windows_of_the_first_frame_of_an_enhanced_object() -> None:
    frames = []
    for centre in (40, 400):
        voi, groups = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth, voi.WindowCenterWidthExplanation = centre, 400, f"W{centre}"
        groups.FrameVOILUTSequence = [voi]
        frames.append(groups)
    assert shown(shape=(2, 4, 5), frames=2, PerFrameFunctionalGroupsSequence=frames) == [("W40", -160, 239)]


def test_what_is_kept_of_an_image() -> None:
    opened = image(
        SeriesDescription="Chest\x07 ap " + "x" * 70,
        SeriesNumber=3,
        WindowCenter=40,
        WindowWidth=400,
        ImageType=["A"] * 40,
        **CT,
    )
    view = view_of(opened)
    assert (view.series_description, view.series_number) == ("Chest ap " + "x" * 55, 3)
    assert view.windows == (ShownWindow(name="", low=-160, high=239),)
    assert view.header.image_type == ("A",) * 16
    assert (view.header.spacing_mm, view.header.spacing_source) == ((0.5, 0.75), "patient plane")
    assert InstanceView.model_validate_json(view.model_dump_json()) == view
    nothing = view_of(image())
    assert (nothing.series_description, nothing.series_number, nothing.windows) == ("", None, ())


@pytest.mark.parametrize(
    ("shape", "elements", "is_colour"),
    [
        ((4, 5), {}, False),
        ((4, 5, 3), {}, True),
        ((4, 5), {"PhotometricInterpretation": "PALETTE COLOR"}, True),
    ],
)
def test_what_is_colour(shape: tuple[int, ...], elements: dict[str, Any], is_colour: bool) -> None:
    opened = open_image(dicom_file(np.zeros(shape, np.uint8), **elements))
    assert view_of(opened).is_colour == is_colour


def test_places_of_frames_are_kept_with_an_image() -> None:
    grid = {"GridFrameOffsetVector": [0, 2.5], "ImagePositionPatient": [0, 0, 4], **CT}
    view = view_of(image((2, 4, 5), frames=2, **grid))
    assert (view.frame_positions_mm, view.is_whole) == ((4, 6.5), True)
    assert InstanceView.model_validate_json(view.model_dump_json()) == view
    assert not view.model_copy(update={"frame_positions_mm": None}).is_whole
    assert view_of(image()).model_copy(update={"frame_positions_mm": None}).is_whole


def placed(*elements: dict[str, Any]) -> tuple[ShownSeries, ...]:
    """The series of images that are numbered as they are given, listed by UID."""
    views, listed = {}, []
    for number, given in enumerate(elements):
        view = view_of(image(**{"SOPInstanceUID": f"1.2.3.1.{number}"} | given))
        header = view.header
        views[number] = view
        listed.append(
            ListedInstance(number, header.sop_instance_uid, header.series_instance_uid, header.modality, 1, "0" * 64)
        )
    return series_shown(sorted(listed, key=lambda one: (one.series_uid, one.sop_uid)), views)


def order(series: ShownSeries) -> list[int]:
    return [one.listed.instance_id for one in series.instances]


def at(*position: float, **elements: Any) -> dict[str, Any]:
    return {**CT, "ImagePositionPatient": list(position), **elements}


def test_slices_are_in_the_order_of_their_positions() -> None:
    (series,) = placed(at(0, 0, 30, InstanceNumber=1), at(0, 0, -10, InstanceNumber=2), at(0, 0, 10, InstanceNumber=3))
    assert (order(series), series.is_volume, series.stack) == ([1, 2, 0], True, 1)
    assert [one.position_mm for one in series.instances] == [-10, 10, 30]
    assert {one.edges for one in series.instances} == {Edges(left="R", right="L", top="A", bottom="P")}


def test_positions_are_along_the_normal_of_an_oblique_stack() -> None:
    tilt = math.radians(30)  # about the patient's left: the normal is (0, -sin, cos)
    orientation = [1, 0, 0, 0, math.cos(tilt), math.sin(tilt)]
    normal = np.array([0, -math.sin(tilt), math.cos(tilt)])
    corner = np.array([5.0, 7.0, 9.0])
    places = [corner + distance * normal for distance in (0, 2.5, 5)]
    (series,) = placed(*(at(*place, ImageOrientationPatient=orientation) for place in places[::-1]))
    first = float(corner @ normal)
    assert order(series) == [2, 1, 0]
    assert [one.position_mm for one in series.instances] == pytest.approx([first, first + 2.5, first + 5])


def test_other_images_are_in_the_order_of_their_numbers_and_then_of_their_uids() -> None:
    films = [{"Modality": "DX", "InstanceNumber": n} if n else {"Modality": "DX"} for n in (7, 2, None, 2, None)]
    (series,) = placed(*films)
    assert (order(series), series.is_volume) == ([1, 3, 0, 2, 4], False)
    assert {one.position_mm for one in series.instances} == {None}


def test_a_localizer_stands_beside_the_stack_of_its_series() -> None:
    localizer = at(0, 0, 0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    stack, loose = placed(localizer, at(0, 0, 2), at(0, 0, 1))
    assert (order(stack), stack.stack, stack.is_volume) == ([2, 1], 1, True)
    assert (order(loose), loose.stack, loose.is_volume) == ([0], 2, False)
    assert stack.series_uid == loose.series_uid
    assert loose.instances[0].position_mm == 0


def test_the_position_of_a_single_slice_needs_no_spacing() -> None:
    (series,) = placed({"Modality": "MR", "ImageOrientationPatient": AXIAL, "ImagePositionPatient": [1, 2, 3]})
    assert series.instances[0].position_mm == 3
    (series,) = placed({"Modality": "MR", "ImageOrientationPatient": AXIAL})
    assert series.instances[0].position_mm is None


def test_series_are_in_the_order_of_their_numbers() -> None:
    numbered = [
        {"Modality": "DX", "SeriesInstanceUID": f"1.2.{uid}"} | ({"SeriesNumber": number} if number is not None else {})
        for uid, number in ((1, 20), (2, None), (3, 4), (4, -1), (5, 4))
    ]
    assert [one.series_uid[-1] for one in placed(*numbered)] == ["4", "3", "5", "1", "2"]


def test_of_no_image_there_is_no_series() -> None:
    assert series_shown([], {}) == ()
