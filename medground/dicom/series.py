"""Instances sorted into series and studies."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medground.dicom.found import Found
from medground.dicom.geometry import Plane, plane_of
from medground.dicom.header import ImageHeader
from medground.dicom.image import DicomImage, open_image
from medground.dicom.limits import Limits

_SAME_DIRECTION = 1e-3  # difference of direction cosines between slices of one stack
_SAME_PLACE_MM = 1e-3
_EVEN = 0.02  # share of the usual gap by which a gap may differ


@dataclass(frozen=True, slots=True)
class Instance:
    """One image object that was found, not opened: its header only."""

    found: Found
    header: ImageHeader

    @property
    def source(self) -> str:
        """Path as given, or `archive.zip!member`."""
        return self.found.source

    def open(self, limits: Limits | None = None) -> DicomImage:
        """The image; raises as `open_image`."""
        return open_image(self.found.content(limits), limits=limits)


@dataclass(frozen=True, slots=True)
class Series:
    """Instances of one series, in order.

    Attributes:
        study_instance_uid, series_instance_uid: empty where the files have none.
        instances: by position along the slice normal in a volume, else by instance number, else by name.
        is_volume: single-frame CT or MR slices of one orientation and size at two or more places.
        warnings: uneven gaps, missing or doubled slices, mixed orientations.
    """

    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[Instance, ...]
    is_volume: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """Series of one study, in the order they were found."""

    study_instance_uid: str
    series: tuple[Series, ...]


def studies_of(instances: Iterable[Instance]) -> tuple[Study, ...]:
    """Group by study and series UID; an instance without one stands alone."""
    studies: dict[str, dict[str, list[Instance]]] = {}
    for instance in instances:
        header = instance.header
        alone = f"!{instance.source}"  # no UID holds an exclamation mark
        series = studies.setdefault(header.study_instance_uid or alone, {})
        series.setdefault(header.series_instance_uid or alone, []).append(instance)
    return tuple(
        Study(study if study[0] != "!" else "", tuple(series_of(members) for members in series.values()))
        for study, series in studies.items()
    )


def series_of(members: Sequence[Instance]) -> Series:
    """Sort the instances of one series, and say whether they make a volume.

    Args:
        members: at least one instance; all of one series.
    """
    header = members[0].header
    planes = [plane_of(member.header) for member in members]
    stack = [plane for plane in planes if plane is not None]
    numbered = sorted(members, key=lambda one: (one.header.instance_number is None, one.header.instance_number or 0))
    ordered, is_volume, warnings = tuple(numbered), False, []
    if len(members) > 1 and len(stack) == len(members) and all(_is_slice(member.header) for member in members):
        if not _is_aligned(stack):
            warnings.append("the slices have different orientations: each is read on its own")
        elif len({(member.header.rows, member.header.columns) for member in members}) > 1:
            warnings.append("the slices have different sizes: each is read on its own")
        else:
            normal = stack[0].normal
            places = {id(m): _along(plane, normal) for m, plane in zip(members, stack, strict=True)}
            ordered = tuple(sorted(numbered, key=lambda member: places[id(member)]))
            warnings = _gap_warnings([places[id(member)] for member in ordered])
            is_volume = places[id(ordered[-1])] - places[id(ordered[0])] > _SAME_PLACE_MM
    return Series(header.study_instance_uid, header.series_instance_uid, ordered, is_volume, tuple(warnings))


def _is_slice(header: ImageHeader) -> bool:
    return header.modality in ("CT", "MR") and header.frames == 1 and "LOCALIZER" not in header.image_type


def _is_aligned(stack: Sequence[Plane]) -> bool:
    first = stack[0].orientation
    return all(abs(a - b) <= _SAME_DIRECTION for plane in stack for a, b in zip(plane.orientation, first, strict=True))


def _along(plane: Plane, normal: tuple[float, float, float]) -> float:
    return sum(p * n for p, n in zip(plane.position_mm, normal, strict=True))


def _gap_warnings(places_mm: Sequence[float]) -> list[str]:
    """What is irregular about sorted positions."""
    gaps = [after - before for before, after in itertools.pairwise(places_mm)]
    doubled = sum(gap <= _SAME_PLACE_MM for gap in gaps)
    warnings = [f"{doubled} slices lie where another one lies"] if doubled else []
    steps = [gap for gap in gaps if gap > _SAME_PLACE_MM]
    usual = statistics.median_low(steps) if steps else 0.0
    uneven = [gap for gap in steps if abs(gap - usual) > _EVEN * usual]
    whole = [round(gap / usual) for gap in uneven]
    missing = sum(n - 1 for n, gap in zip(whole, uneven, strict=True) if n > 1 and abs(gap - n * usual) <= _EVEN * gap)
    if missing:
        warnings.append(f"{missing} slices are missing: the usual gap of {usual:g} mm is a multiple in places")
    elif uneven:
        warnings.append(f"the gaps between slices are uneven ({min(steps):g} to {max(steps):g} mm)")
    return warnings
