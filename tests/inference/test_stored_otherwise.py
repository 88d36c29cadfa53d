"""The same patient stored otherwise: the answer is about the patient, and its boxes about the stored pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medground.imaging.upright import Turn
from medground.inference.gather import _is_stack, gather
from medground.inference.ground import ground
from medground.inference.request import Request
from medground.inference.views import Crops, upright
from medground.schema.anatomy import Side, Zone
from medground.schema.box import Box
from medground.schema.result import Answer, StudyResult, Verdict
from tests.inference.blob_reader import CT, BlobReader
from tests.inference.drawn import drawn, write_ct_slice, write_dx

LEFT_NODULE = (380, 100, 420, 140)
FILM = drawn([LEFT_NODULE], columns=480)
TURNS = {
    ("L", "F"): Turn(),
    ("R", "F"): Turn(mirror_x=True),
    ("L", "H"): Turn(mirror_y=True),
    ("R", "H"): Turn(mirror_x=True, mirror_y=True),
    ("F", "L"): Turn(swap=True),
    ("H", "L"): Turn(swap=True, mirror_y=True),
    ("F", "R"): Turn(swap=True, mirror_x=True),
    ("H", "R"): Turn(swap=True, mirror_x=True, mirror_y=True),
}


def stored(turn: Turn) -> np.ndarray:
    """The film laid down so that the turn brings it upright."""
    laid = FILM[:: -1 if turn.mirror_y else 1, :: -1 if turn.mirror_x else 1]
    laid = laid.swapaxes(0, 1) if turn.swap else laid
    assert np.array_equal(turn.apply(laid), FILM)
    return np.ascontiguousarray(laid)


def study(path: Path, *queries: str, reader: BlobReader | None = None) -> StudyResult:
    return ground(gather([path]), Request(queries or ("nodule",)), reader or BlobReader()).result.studies[0]


def the_box(given: Answer) -> tuple[int, ...]:
    (finding,) = given.findings
    return tuple(round(edge) for edge in finding.box_xyxy_px)


@pytest.mark.parametrize("letters", TURNS)
def test_however_a_film_lies_it_is_read_upright_and_boxed_as_stored(letters: tuple[str, str], tmp_path: Path) -> None:
    turn = TURNS[letters]
    pixels = stored(turn)
    path = write_dx(tmp_path / "a.dcm", pixels, PatientOrientation=list(letters))
    left, right = study(path, "left lung nodule", "right lung nodule").answers
    rows, columns = pixels.shape
    assert the_box(left) == turn.back(LEFT_NODULE, columns, rows)
    x1, y1, x2, y2 = the_box(left)
    assert (pixels[y1:y2, x1:x2] == 1).all()
    assert (left.findings[0].laterality, left.findings[0].zone) == (Side.LEFT, Zone.UPPER)
    assert right.verdict == Verdict.NOT_FOUND
    assert "is not stated in the header" not in left.findings[0].description.text


def test_a_lateral_view_and_a_silent_header_are_read_as_stored(tmp_path: Path) -> None:
    for letters in (["P", "F"], ["A", "F"], None, ["L", "L"], ["?", "F"]):
        path = write_dx(tmp_path / "a.dcm", FILM, PatientOrientation=letters)
        (view,) = gather([path]).studies[0].views
        assert upright(view) == Turn(), letters
    path = write_dx(tmp_path / "a.dcm", FILM, PatientOrientation=["P", "H"])
    assert upright(gather([path]).studies[0].views[0]) == Turn(mirror_y=True)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        ([1, 0, 0, 0, 1, 0], Turn()),
        ([-1, 0, 0, 0, 1, 0], Turn(mirror_x=True)),
        ([1, 0, 0, 0, -1, 0], Turn(mirror_y=True)),
        ([0, 1, 0, 1, 0, 0], Turn(swap=True)),
        ([1, 0, 0, 0, 0, -1], Turn()),
        ([0, 1, 0, 0, 0, 1], Turn(mirror_y=True)),
        ([0.71, 0.71, 0, -0.71, 0.71, 0], Turn()),
        ([0.6, 0.6, 0.53, -0.6, 0.7, -0.1], Turn()),
    ],
    ids=["axial", "mirrored", "prone", "transposed", "coronal", "sagittal", "halfway", "oblique"],
)
def test_slices_are_turned_by_their_direction_cosines(orientation: list[float], turn: Turn, tmp_path: Path) -> None:
    path = write_ct_slice(tmp_path / "a.dcm", FILM, z_mm=0, instance=1, ImageOrientationPatient=orientation)
    assert upright(gather([path]).studies[0].views[0]) == turn


def test_a_mirrored_ct_gives_the_same_finding_in_the_patient(tmp_path: Path) -> None:
    extents = []
    for name, pixels, first, x0 in (("usual", FILM, 1, -168.0), ("mirrored", FILM[:, ::-1], -1, 168.0 - 0.7)):
        for number in range(4):
            write_ct_slice(
                tmp_path / name / f"{number}.dcm",
                np.ascontiguousarray(pixels),
                z_mm=2.5 * number,
                instance=number + 1,
                ImageOrientationPatient=[first, 0, 0, 0, 1, 0],
                ImagePositionPatient=[x0, -204.8, 2.5 * number],
            )
        (given,) = study(tmp_path / name, reader=BlobReader(domain=CT)).answers
        (finding,) = given.findings
        assert finding.extent is not None
        assert finding.laterality == Side.LEFT
        extents.append(finding.extent.box_lps_mm)
    assert extents[0] == pytest.approx(extents[1], abs=0.01)


@pytest.mark.parametrize("letters", [("L", "F"), ("R", "F"), ("F", "L"), ("H", "R")])
def test_an_order_is_that_of_the_patient(letters: tuple[str, str], tmp_path: Path) -> None:
    other, turn = (20, 200, 50, 230), TURNS[letters]
    film = FILM.copy()
    film[other[1] : other[3], other[0] : other[2]] = 1
    laid = film[:: -1 if turn.mirror_y else 1, :: -1 if turn.mirror_x else 1]
    laid = np.ascontiguousarray(laid.swapaxes(0, 1) if turn.swap else laid)
    path = write_dx(tmp_path / "a.dcm", laid, PatientOrientation=list(letters))
    asked = ("uppermost nodule", "lowest nodule", "leftmost nodule", "rightmost nodule", "the outermost nodule")
    rows, columns = laid.shape
    for given, meant in zip(study(path, *asked).answers, (LEFT_NODULE, other, LEFT_NODULE, other, other), strict=True):
        assert the_box(given) == turn.back(meant, columns, rows), given.query


def test_a_frame_is_turned_by_its_own_orientation(tmp_path: Path) -> None:
    (view,) = gather([write_ct_slice(tmp_path / "a.dcm", FILM, z_mm=0, instance=1)]).studies[0].views
    assert view.plane is not None
    prone = replace(view, plane=replace(view.plane, orientation=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)))
    assert (upright(view), upright(prone)) == (Turn(), Turn(mirror_x=True, mirror_y=True))
    above = replace(view, plane=replace(view.plane, position_mm=(0.0, 0.0, 2.5)))
    assert _is_stack([view, above])
    assert not _is_stack([view, prone])  # frames of one object that no volume is made of
    assert not _is_stack([view, replace(view, plane=None)])


def test_what_surrounds_boxes_is_shown_upright_and_decoded_once(tmp_path: Path) -> None:
    path = write_dx(tmp_path / "a.dcm", stored(Turn(mirror_x=True)), PatientOrientation=["R", "F"])
    (view,) = gather([path]).studies[0].views
    decoded = []

    def display() -> np.ndarray:
        decoded.append(1)
        return view.display()

    watched = replace(view, display=display)
    x1, y1, x2, y2 = Turn(mirror_x=True).back(LEFT_NODULE, 480, 512)
    crops = Crops([(watched, Box(x1=x1, y1=y1, x2=x2, y2=y2)), (watched, Box(x1=0, y1=0, x2=0.5, y2=0.5))])
    assert decoded == []
    assert crops.of(0) == pytest.approx(FILM[90:150, 370:430], abs=1e-3)
    assert crops.of(1).shape == (1, 1)
    assert crops.of(0).base is None  # a crop keeps no film in memory
    assert decoded == [1]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({}, None),
        ({"LossyImageCompression": "00"}, None),
        ({"LossyImageCompression": "01"}, "Its image was compressed with loss:"),
        (
            {"LossyImageCompression": "01", "LossyImageCompressionRatio": ["4", "2.5"]},
            "Its image was compressed with loss (10:1):",
        ),
        (
            {"LossyImageCompression": "01", "LossyImageCompressionRatio": "0"},
            "Its image was compressed with loss:",
        ),
        (
            {"LossyImageCompression": "01", "LossyImageCompressionRatio": "1.4"},
            "Its image was compressed with loss (1.4:1):",
        ),
        (
            {"LossyImageCompression": "01", "LossyImageCompressionRatio": ["1e300", "1e300"]},
            "Its image was compressed with loss:",
        ),
    ],
)
def test_loss_is_told(header: dict[str, str | list[str]], told: str | None, tmp_path: Path) -> None:
    warnings = study(write_dx(tmp_path / "a.dcm", FILM, **header)).warnings
    assert [w.split(" small")[0] for w in warnings] == ([told] if told else [])


def test_loss_of_some_images_of_a_study_and_of_a_picture_is_told(tmp_path: Path) -> None:
    write_dx(tmp_path / "two" / "a.dcm", FILM, LossyImageCompression="01", LossyImageCompressionRatio="8")
    write_dx(tmp_path / "two" / "b.dcm", FILM, instance=2)
    assert "1 of its 2 images was compressed with loss (8:1)" in study(tmp_path / "two").warnings[0]
    picture = tmp_path / "a.jpg"
    Image.fromarray(np.rint(FILM * 255).astype(np.uint8)).save(picture, quality=95)
    assert "It is a JPEG, compressed with loss" in study(picture).warnings[0]
    Image.open(picture).save(tmp_path / "a.png")
    assert study(tmp_path / "a.png").warnings == ()
