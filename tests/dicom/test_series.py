"""Series in order, and what is irregular about them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from medground.dicom.found import Found
from medground.dicom.header import ImageHeader
from medground.dicom.series import Instance, series_of, studies_of


def _slice(number: int, z: float | None = None, **changes: Any) -> Instance:
    name = f"{changes.pop('name', number)}.dcm"
    elements: dict[str, Any] = {
        "sop_class_uid": "1",
        "sop_instance_uid": f"1.1.{number}",
        "series_instance_uid": "1.2",
        "study_instance_uid": "1.3",
        "modality": "CT",
        "photometric": "MONOCHROME2",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "rows": 4,
        "columns": 4,
        "frames": 1,
        "instance_number": number,
    }
    if z is not None:
        elements["image_position_mm"] = (0.0, 0.0, z)
        elements["image_orientation"] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        elements["spacing_mm"] = (1.0, 1.0)
    return Instance(Found(name, Path(name)), ImageHeader(**{**elements, **changes}))


def _numbers(*members: Instance) -> list[int | None]:
    return [instance.header.instance_number for instance in series_of(members)[0].instances]


def test_a_stack_is_sorted_by_position_and_not_by_number() -> None:
    members = [_slice(1, 30.0), _slice(2, 10.0), _slice(3, 20.0)]
    assert _numbers(*members) == [2, 3, 1]
    (series,) = series_of(members)
    assert series.is_volume
    assert series.warnings == ()


def test_position_is_taken_along_the_normal() -> None:
    oblique = {"image_orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), "spacing_mm": (1.0, 1.0)}
    members = [
        _slice(1, image_position_mm=(5.0, 0.0, 9.0), **oblique),
        _slice(2, image_position_mm=(3.0, 0.0, 1.0), **oblique),
        _slice(3, image_position_mm=(7.0, 0.0, 0.0), **oblique),
    ]
    assert _numbers(*members) == [3, 1, 2]  # the normal of a sagittal slice with feet down is (-1, 0, 0)


def test_without_positions_the_instance_number_counts_then_the_order_given() -> None:
    members = [_slice(12), _slice(2), _slice(3, instance_number=None), _slice(4, instance_number=None)]
    assert _numbers(*members) == [2, 12, None, None]
    assert [instance.source for instance in series_of(members)[0].instances][2:] == ["3.dcm", "4.dcm"]
    (series,) = series_of(members)
    assert not series.is_volume


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([0, 2, 4, 6], None),
        ([0, 2, 2, 4], "1 slices lie where another one lies"),
        ([0, 2, 4, 8, 10, 16], "3 slices are missing"),
        ([0, 2, 4, 6.7, 8.7], "uneven (2 to 2.7 mm)"),
        ([0, 2, 4.01, 6.01], None),
    ],
)
def test_gaps(places: list[float], words: str | None) -> None:
    (series,) = series_of([_slice(number, float(z)) for number, z in enumerate(places)])
    assert series.is_volume
    assert (words is None) == (series.warnings == ())
    assert words is None or words in series.warnings[0]


def test_what_makes_no_volume() -> None:
    for members in (
        [_slice(1, 0.0)],
        [_slice(1, 0.0), _slice(2, 0.0)],
        [_slice(1, 0.0), _slice(2)],
        [_slice(1, 0.0), _slice(2, 1.0, rows=8)],
        [_slice(1, 0.0), _slice(2, 1.0, spacing_mm=(1.0, 1.1))],
        [_slice(1, 0.0), _slice(2, 1.0, frame_of_reference_uid="1.9")],
        [_slice(1, 0.0, modality="DX"), _slice(2, 1.0, modality="DX")],
        [_slice(1, 0.0, frames=2), _slice(2, 1.0)],
        [_slice(1, 0.0, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), _slice(2, 1.0)],
    ):
        (series,) = series_of(members)
        assert not series.is_volume
        assert len(series.instances) == len(members)
        assert series.warnings == ()


def test_localizers_and_strays_are_set_aside_from_a_stack() -> None:
    scout = _slice(1, 5.0, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    tall, placeless, many = _slice(4, 2.0, rows=8), _slice(5), _slice(6, 3.0, frames=3)
    stack, rest = series_of([scout, _slice(3, 1.0), _slice(2, 0.0), tall, placeless, many])
    assert [one.header.instance_number for one in stack.instances] == [2, 3]
    assert [one.header.instance_number for one in rest.instances] == [1, 4, 5, 6]
    assert (stack.is_volume, rest.is_volume) == (True, False)
    assert stack.series_instance_uid == rest.series_instance_uid == "1.2"
    assert stack.warnings == (
        "1 localizers are set aside from the stack",
        "3 images fit no stack and are set aside: each is read on its own",
    )
    assert rest.warnings == ()


def test_mixed_orientations_are_stacks_of_their_own() -> None:
    sagittal = {"image_orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), "spacing_mm": (1.0, 1.0)}
    members = [_slice(n, image_position_mm=(float(n), 0.0, 0.0), **sagittal) for n in (1, 2)]
    members += [_slice(n, float(n)) for n in (3, 4, 5)]
    axial, other = series_of(members)
    assert [one.header.instance_number for one in axial.instances] == [3, 4, 5]
    assert [one.header.instance_number for one in other.instances] == [2, 1]  # its normal is (-1, 0, 0)
    assert axial.is_volume
    assert other.is_volume
    assert axial.warnings == (
        "the series mixes 2 stacks of different orientations, sizes or frames of reference: each is read on its own",
    )
    assert other.warnings == ()


def test_a_leaning_stack_is_said() -> None:
    def leaning(shift: float) -> tuple[str, ...]:
        members = [_slice(n, float(n), image_position_mm=(0.0, n * shift, float(n))) for n in range(11)]
        return series_of(members)[0].warnings

    assert leaning(0.04) == ()
    assert leaning(0.3) == ("the stack leans by 3.0 pixels (gantry tilt): it is no cuboid",)


def test_a_series_of_nothing_but_directions_costs_no_square() -> None:
    turned = [
        _slice(
            n,
            image_position_mm=(0.0, 0.0, 0.0),
            image_orientation=(math.cos(n), math.sin(n), 0.0, -math.sin(n), math.cos(n), 0.0),
            spacing_mm=(1.0, 1.0),
        )
        for n in range(300)
    ]
    (rest,) = series_of(turned)
    assert len(rest.instances) == 300
    assert not rest.is_volume


def test_studies_and_series_are_told_apart() -> None:
    members = [
        _slice(1, study_instance_uid="A", series_instance_uid="A1"),
        _slice(2, study_instance_uid="B", series_instance_uid="B1"),
        _slice(3, study_instance_uid="A", series_instance_uid="A2"),
        _slice(4, study_instance_uid="A", series_instance_uid="A1"),
        _slice(5, study_instance_uid="", series_instance_uid=""),
        _slice(6, study_instance_uid="", series_instance_uid=""),
    ]
    studies = studies_of(members)
    assert [study.study_instance_uid for study in studies] == ["A", "B", "", ""]
    assert [len(study.series) for study in studies] == [2, 1, 1, 1]
    assert [i.header.instance_number for i in studies[0].series[0].instances] == [1, 4]
