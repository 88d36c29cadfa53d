"""A listed series as the stage shows it, and the windows that it offers."""

from __future__ import annotations

from medground.client.parts import Edges, Window
from medground.viewer.images import CT_WINDOWS, MOST_PRESETS, key_of, label_of, presets, stage_series
from tests.viewer.made import UPRIGHT, instance, series

STUDY = "0123456789abcdef01234567"


def _window(name: str, low: float, high: float) -> Window:
    return Window(name=name, low=low, high=high)


def test_every_frame_is_a_slice_in_the_order_of_the_listing() -> None:
    listed = series(
        instance(7, position_mm=12.5, sop_instance_uid="1.2.7"),
        instance(3, frames=2, sop_instance_uid="1.2.3", spacing_mm=None, spacing_source=None),
    )
    first, second, third = stage_series(STUDY, listed).slices
    assert [one.url for one in (first, second, third)] == [
        f"/pixels/{STUDY}/7/1",
        f"/pixels/{STUDY}/3/1",
        f"/pixels/{STUDY}/3/2",
    ]
    assert [(one.sop, one.frame) for one in (first, second, third)] == [("1.2.7", 1), ("1.2.3", 1), ("1.2.3", 2)]
    assert (first.position_mm, first.spacing_mm, first.spacing_source) == (12.5, (0.5, 0.25), "detector")
    assert (second.position_mm, second.spacing_mm, second.spacing_source) == (None, None, None)
    assert first.edges.model_dump() == UPRIGHT.model_dump()


def test_each_frame_has_its_own_place_or_none() -> None:
    listed = series(
        instance(1, frames=3, position_mm=5.0, frame_positions_mm=(5.0, None, 10.0)),
        instance(2, frames=2, position_mm=7.0),
        instance(3, position_mm=8.0),
    )
    assert [one.position_mm for one in stage_series(STUDY, listed).slices] == [5.0, None, 10.0, None, None, 8.0]


def test_colour_has_no_windows() -> None:
    colour = series(instance(is_colour=True), modality="CT")
    assert (stage_series(STUDY, colour).is_colour, presets(colour)) == (True, ())
    grey = series(instance(), modality="CT")
    assert stage_series(STUDY, grey).is_colour is False
    assert presets(grey) != ()


def test_edges_that_nobody_knows_stay_empty() -> None:
    listed = series(instance(edges=Edges(left="", right="LP", top="", bottom="")))
    assert stage_series(STUDY, listed).slices[0].edges.model_dump() == {
        "left": "",
        "right": "LP",
        "top": "",
        "bottom": "",
    }


def test_volumes_are_linked_by_position_and_others_by_number() -> None:
    assert stage_series(STUDY, series(instance(), is_volume=True)).linked_by == "position"
    assert stage_series(STUDY, series(instance(), is_volume=False)).linked_by == "index"


def test_stacks_of_one_series_are_told_apart() -> None:
    one, other = series(instance(), stack=1), series(instance(), stack=2)
    assert (key_of(one), key_of(other)) == ("1.2.1", "1.2.2")
    assert stage_series(STUDY, other).key == key_of(other)
    assert key_of(series(instance(), series_instance_uid="1.21", stack=1)) != key_of(other)


def test_what_a_series_is_called() -> None:
    assert label_of(series(instance())) == "DX, 1 image"
    assert label_of(series(instance(frames=3), instance())) == "DX, 4 images"
    assert label_of(series()) == "DX, 0 images"
    axial = series(*(instance(n) for n in range(120)), modality="CT", number=2, description="axial lung")
    assert label_of(axial) == "2 CT, axial lung, 120 images"
    assert label_of(series(instance(), modality="", number=None)) == "series, 1 image"
    assert label_of(series(instance(), modality="", number=4)) == "4, 1 image"
    views = series(*(instance(n, view_position=view) for n, view in enumerate(("PA", "LL", "PA", None))))
    assert label_of(views) == "DX, PA/LL, 4 images"


def test_windows_of_the_header_come_first() -> None:
    listed = series(
        instance(1, windows=(_window("NORMAL", 0, 100), _window("", 10, 60))),
        instance(2, windows=(_window("NORMAL", 0, 100), _window("HARD", 40, 50))),
    )
    assert [(one.name, one.low, one.high) for one in presets(listed)] == [
        ("NORMAL", 0, 100),
        ("header 2", 10, 60),
        ("HARD", 40, 50),
    ]


def test_a_window_without_a_name() -> None:
    assert presets(series(instance(windows=(_window("", 0, 100),))))[0].name == "header"
    assert presets(series(instance(windows=(_window("N" * 60, 0, 100),))))[0].name == "N" * 24


def test_a_threshold_is_no_window() -> None:
    assert presets(series(instance(windows=(_window("", 50, 50), _window("W", 1, 2)))))[0].name == "W"
    assert presets(series(instance(windows=(_window("", 50, 50),)))) == ()


def test_a_ct_has_the_usual_windows() -> None:
    ct = series(instance(), modality="CT")
    by_name = {one.name: (one.low, one.high) for one in presets(ct)}
    # centre and width: lung -600 1500, mediastinum 40 400, bone 300 1500, liver 60 150, brain 40 80
    usual = {"lung": (-600, 1500), "mediastinum": (40, 400), "bone": (300, 1500), "liver": (60, 150), "brain": (40, 80)}
    assert by_name == {name: (centre - width / 2, centre + width / 2) for name, (centre, width) in usual.items()}
    assert list(by_name) == list(usual)
    assert presets(series(instance(), modality="DX")) == ()
    assert presets(series()) == ()


def test_a_window_of_the_header_that_is_a_usual_one_keeps_its_name() -> None:
    _, low, high = CT_WINDOWS[0]
    ct = series(instance(windows=(_window("PULMO", low, high),)), modality="CT")
    assert [one.name for one in presets(ct)] == ["PULMO", "mediastinum", "bone", "liver", "brain"]


def test_headers_that_change_from_slice_to_slice_leave_room_for_the_usual_windows() -> None:
    changing = [instance(n, windows=(_window("", n, 1000 + n),)) for n in range(200)]
    names = [one.name for one in presets(series(*changing, modality="CT"))]
    assert names == ["header", "header 2", "header 3", "lung", "mediastinum", "bone", "liver", "brain"]


def test_there_is_a_digit_for_each_window() -> None:
    many = instance(windows=tuple(_window(f"W{n}", n, 1000 + n) for n in range(12)))
    assert [one.name for one in presets(series(many, modality="CT"))] == [f"W{n}" for n in range(MOST_PRESETS)]
