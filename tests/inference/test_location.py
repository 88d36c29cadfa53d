from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from medground.dicom.geometry import Plane
from medground.dicom.header import ImageHeader
from medground.dicom.image import open_image
from medground.inference.location import (
    extent_of,
    height_of,
    side_of,
    size_of,
    slice_step_mm,
    tells_side,
    tells_zone,
    zone_of,
)
from medground.inference.views import View
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.result import SpacingSource
from tests.inference.drawn import drawn, write_ct_slice, write_dx

CHEST, LIMB, CT = Domain.CHEST_RADIOGRAPH, Domain.LIMB_RADIOGRAPH, Domain.CHEST_CT
RIGHT_OF_PICTURE, LEFT_OF_PICTURE = (400.0, 10.0, 440.0, 50.0), (60.0, 10.0, 100.0, 50.0)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> ImageHeader:
    return open_image(write_dx(tmp_path_factory.mktemp("film") / "a.dcm", drawn())).header


def view(header: ImageHeader | None, plane: Plane | None = None, frame: int = 1) -> View:
    return View("1.2", "a.dcm", frame, header, plane, drawn)


def test_side_follows_the_orientation_and_not_the_picture(film: ImageHeader) -> None:
    assert side_of(film, CHEST, RIGHT_OF_PICTURE) == Side.LEFT
    assert side_of(film, CHEST, LEFT_OF_PICTURE) == Side.RIGHT
    mirrored = replace(film, patient_orientation=("R", "F"))
    assert side_of(mirrored, CHEST, RIGHT_OF_PICTURE) == Side.RIGHT
    assert side_of(mirrored, CHEST, LEFT_OF_PICTURE) == Side.LEFT


def test_side_is_open_without_orientation(film: ImageHeader) -> None:
    for header in (None, replace(film, patient_orientation=None), replace(film, patient_orientation=("A", "F"))):
        assert not tells_side(header, CHEST)
        assert side_of(header, CHEST, RIGHT_OF_PICTURE) is None
    assert tells_side(film, CHEST)
    assert side_of(film, CHEST, (250, 10, 262, 22)) is None  # small, on the midline


def test_side_of_a_limb_is_that_of_the_image_alone(film: ImageHeader) -> None:
    hand = replace(film, body_part="HAND")
    assert not tells_side(hand, LIMB)
    assert side_of(hand, LIMB, RIGHT_OF_PICTURE) is None
    for letter, side in (("L", Side.LEFT), ("R", Side.RIGHT)):
        marked = replace(hand, image_laterality=letter)
        assert side_of(marked, LIMB, RIGHT_OF_PICTURE) == side_of(marked, LIMB, LEFT_OF_PICTURE) == side
    assert not tells_side(replace(hand, image_laterality="B"), LIMB)


@pytest.mark.parametrize(
    ("centre", "zone"),
    [(0, Zone.UPPER), (170, Zone.UPPER), (190, Zone.MIDDLE), (300, Zone.MIDDLE), (320, Zone.LOWER), (500, Zone.LOWER)],
)
def test_zone(film: ImageHeader, centre: int, zone: Zone) -> None:
    # Thirds between 10% and 85% of 512 rows meet at 179.2 and 307.2.
    box = (100.0, max(centre - 5.0, 0.0), 120.0, centre + 5.0)
    assert zone_of(film, CHEST, box) == zone
    upside_down = replace(film, patient_orientation=("L", "H"))
    turned = (100.0, 512 - box[3], 120.0, 512 - box[1])
    assert zone_of(upside_down, CHEST, turned) == zone


def test_no_zone_where_it_cannot_be_told(film: ImageHeader) -> None:
    assert not tells_zone(None, CHEST)
    assert not tells_zone(film, LIMB)
    assert not tells_zone(film, CT)
    assert not tells_zone(replace(film, patient_orientation=("A", "F")), CHEST)
    assert zone_of(None, CHEST, RIGHT_OF_PICTURE) is None


def test_size_names_its_plane(film: ImageHeader) -> None:
    size = size_of(view(replace(film, spacing_mm=(0.4, 0.2))), (10, 20, 40, 80))
    assert size is not None
    assert (size.width, size.height, size.depth) == pytest.approx((30 * 0.2, 60 * 0.4, None))
    assert size.spacing_source == SpacingSource.DETECTOR
    assert size_of(view(None), (10, 20, 40, 80)) is None
    assert size_of(view(replace(film, spacing_mm=None, spacing_source=None)), (10, 20, 40, 80)) is None


def test_height_grows_toward_the_head(film: ImageHeader) -> None:
    upper, lower = (0.0, 10.0, 5.0, 20.0), (0.0, 100.0, 5.0, 120.0)

    def height(orientation: tuple[str, str] | None, box: tuple[float, float, float, float]) -> float | None:
        return height_of(view(replace(film, patient_orientation=orientation)), box)

    assert (height(("L", "F"), upper) or 0) > (height(("L", "F"), lower) or 0)
    assert (height(("L", "H"), upper) or 0) < (height(("L", "H"), lower) or 0)
    assert height(None, upper) is None
    assert height_of(view(None), upper) is None


def test_extent_covers_the_slices_it_lies_on(tmp_path: Path) -> None:
    views = []
    for number, z in enumerate((0.0, 2.5, 5.0, 7.5)):
        path = write_ct_slice(tmp_path / f"{number}.dcm", drawn(), z_mm=z, instance=number + 1)
        image = open_image(path)
        views.append(View(str(number), str(path), 1, image.header, image.frame_geometry(1), drawn))
    assert slice_step_mm(views) == pytest.approx(2.5)
    assert slice_step_mm(views[:1]) == pytest.approx(2.5)  # the thickness
    boxes = [(100.0, 200.0, 110.0, 220.0), (90.0, 200.0, 120.0, 220.0)]
    extent, depth = extent_of(list(zip(views[1:3], boxes, strict=True)), 2.5)
    assert extent is not None
    assert depth == pytest.approx(5.0)
    # Column 0's outer edge lies half a pixel left of its centre: x = -0.7 * 256 + (column - 0.5) * 0.7.
    expected = (
        -179.2 + 89.5 * 0.7,
        -204.8 + 199.5 * 0.8,
        2.5 - 1.25,
        -179.2 + 119.5 * 0.7,
        -204.8 + 219.5 * 0.8,
        5.0 + 1.25,
    )
    assert extent.box_lps_mm == pytest.approx(expected)
    assert [part.box_xyxy_px for part in extent.slices] == boxes
    assert extent_of([(view(None), boxes[0])], None) == (None, None)
