"""The images of a study as the stage shows them, and the windows that it offers. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from medground.client.parts import Instance
from medground.client.parts import Series as ListedSeries
from medground.viewer.pixels import pixel_url
from medground.viewer.stage_data import Edges, Preset, Series, Slice

CT_WINDOWS = (  # HU; centre and width as chest and abdominal radiology use them
    ("lung", -1350.0, 150.0),
    ("mediastinum", -160.0, 240.0),
    ("bone", -450.0, 1050.0),
    ("liver", -15.0, 135.0),
    ("brain", 0.0, 80.0),
)
MOST_PRESETS = 9  # one for each digit


def stage_series(study: str, listed: ListedSeries) -> Series:
    """A series for the stage.

    Args:
        study: key.
        listed: as the service lists it, in viewing order.
    """
    slices = tuple(
        Slice(
            url=pixel_url(study, one.id, frame),
            sop=one.sop_instance_uid,
            frame=frame,
            position_mm=_position_mm(one, frame),
            spacing_mm=one.spacing_mm,
            spacing_source=one.spacing_source,
            edges=Edges(**one.edges.model_dump()),
        )
        for one in listed.instances
        for frame in range(1, one.frames + 1)
    )
    return Series(
        key=key_of(listed),
        label=label_of(listed),
        slices=slices,
        is_colour=any(one.is_colour for one in listed.instances),
        linked_by="position" if listed.is_volume else "index",
    )


def _position_mm(listed: Instance, frame: int) -> float | None:
    """Of one frame of several only what is said of itself: the object's place is that of its first frame."""
    if listed.frames == 1:
        return listed.position_mm
    known = listed.frame_positions_mm
    return known[frame - 1] if len(known) == listed.frames else None


def key_of(listed: ListedSeries) -> str:
    """A series by its UID and stack, since one DICOM series may hold several."""
    return f"{listed.series_instance_uid}.{listed.stack}"


def label_of(listed: ListedSeries) -> str:
    """What a series is called, for example `2 CT, axial lung, 120 images`."""
    number = "" if listed.number is None else f"{listed.number} "
    words = [f"{number}{listed.modality}".strip() or "series"]
    if listed.description:
        words.append(listed.description)
    views = list(dict.fromkeys(one.view_position for one in listed.instances if one.view_position))
    if views:
        words.append("/".join(views))
    frames = sum(one.frames for one in listed.instances)
    words.append(f"{frames} image{'' if frames == 1 else 's'}")
    return ", ".join(words)


def presets(listed: ListedSeries) -> tuple[Preset, ...]:
    """Windows for the digits: those of the header first, then the usual ones of the modality."""
    found: dict[tuple[float, float], Preset] = {}
    for instance in listed.instances:
        for window in instance.windows:
            name = window.name or ("header" if not found else f"header {len(found) + 1}")
            if window.low < window.high:
                found.setdefault((window.low, window.high), Preset(name=name[:24], low=window.low, high=window.high))
        if len(found) >= 3:  # headers that change from slice to slice offer no more than three
            break
    is_grey_ct = listed.modality == "CT" and not any(one.is_colour for one in listed.instances)
    usual: Sequence[tuple[str, float, float]] = CT_WINDOWS if is_grey_ct else ()
    for name, low, high in usual:
        found.setdefault((low, high), Preset(name=name, low=low, high=high))
    return tuple(found.values())[:MOST_PRESETS]
