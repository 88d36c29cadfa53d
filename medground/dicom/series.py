"""Instances sorted into series and studies, and what is irregular about the stacks among them."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medground.dicom.found import Found
from medground.dicom.geometry import Plane, plane_of
from medground.dicom.header import ImageHeader, Vector
from medground.dicom.image import DicomImage, open_image
from medground.dicom.limits import Limits
from medground.dicom.native import NativeSlice

SAME_PLACE_MM = 1e-3
_SAME_DIRECTION = 1e-3  # difference of direction cosines between slices of one stack
EVEN = 0.02  # share of the usual gap by which a gap may differ
_SAME_SPACING = 1e-3  # share by which the distance of pixels may differ
_MAX_STACKS = 64  # a series of more is none; each slice is compared with each stack
_SHEAR_PX = 0.5  # a stack that leans by more than this from its first slice to its last is no cuboid

Opener = Callable[[Path | bytes], DicomImage]
"""Opens an image object; raises as `open_image`."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One image object that was found, not opened: its header only, and where uncompressed pixels lie.

    Attributes:
        opener: opens it where another way than `open_image` is wanted, e.g. at arm's length.
    """

    found: Found
    header: ImageHeader
    native: NativeSlice | None = None
    opener: Opener | None = None

    @property
    def source(self) -> str:
        """Path as given, or `archive.zip!member`."""
        return self.found.source

    def open(self, limits: Limits | None = None) -> DicomImage:
        """The image; raises as `open_image`."""
        content = self.found.content(limits)
        return self.opener(content) if self.opener else open_image(content, limits=limits)


@dataclass(frozen=True, slots=True)
class Series:
    """Instances of one series in order, or of one stack of a series that holds several.

    Attributes:
        study_instance_uid, series_instance_uid: empty where the files have none.
        instances: by position along the slice normal in a volume, else by instance number, else by name.
        is_volume: single-frame CT, MR or PET slices of one orientation and size at two or more places.
        warnings: uneven gaps, missing or doubled slices, a leaning stack, and what was set aside from it.
    """

    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[Instance, ...]
    is_volume: bool
    warnings: tuple[str, ...] = ()


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
        Study(
            study if study[0] != "!" else "",
            tuple(stack for members in series.values() for stack in series_of(members)),
        )
        for study, series in studies.items()
    )


def series_of(members: Sequence[Instance]) -> tuple[Series, ...]:
    """Sort the instances of one series, each stack of slices in it by itself.

    Args:
        members: at least one instance; all of one series.

    Returns:
        The stacks, largest first, then one that is no volume and holds what belongs to none of them: localizers,
        multi-frame objects, single slices, slices without a position. What was set aside is said in the warnings of
        the first.
    """
    numbered = sorted(members, key=lambda one: (one.header.instance_number is None, one.header.instance_number or 0))
    stacks = sorted((stack for stack in _aligned(numbered) if _is_deep(stack)), key=len, reverse=True)
    stacked = {id(member) for stack in stacks for member, _ in stack}
    loose = tuple(member for member in numbered if id(member) not in stacked)
    study, series = members[0].header.study_instance_uid, members[0].header.series_instance_uid
    found = []
    for stack in stacks:
        warnings = gap_warnings([place(plane, stack[0][1].normal) for _, plane in stack]) + _shear_warnings(stack)
        warnings += _mixture_warnings(stacks, loose) if stack is stacks[0] else []
        found.append(Series(study, series, tuple(member for member, _ in stack), True, tuple(warnings)))
    return (*found, Series(study, series, loose, False)) if loose else tuple(found)


_Stack = list[tuple[Instance, Plane]]


def _aligned(members: Iterable[Instance]) -> list[_Stack]:
    """Slices of one size, orientation and frame of reference together, by position; what is no slice is left out."""
    stacks: list[_Stack] = []
    for member in members:
        plane = plane_of(member.header)
        if plane is None or not _is_slice(member.header):
            continue
        fitting = next((stack for stack in stacks if _fits(member.header, plane, stack[0])), None)
        if fitting is not None:
            fitting.append((member, plane))
        elif len(stacks) < _MAX_STACKS:
            stacks.append([(member, plane)])
    for stack in stacks:
        normal = stack[0][1].normal
        stack.sort(key=lambda pair: place(pair[1], normal))
    return stacks


def _is_slice(header: ImageHeader) -> bool:
    return header.modality in ("CT", "MR", "PT") and header.frames == 1 and "LOCALIZER" not in header.image_type


def _fits(header: ImageHeader, plane: Plane, first: tuple[Instance, Plane]) -> bool:
    other = first[0].header
    same_grid = (header.rows, header.columns, header.frame_of_reference_uid) == (
        other.rows,
        other.columns,
        other.frame_of_reference_uid,
    )
    return same_grid and are_parallel(plane, first[1])


def are_parallel(plane: Plane, other: Plane) -> bool:
    """Whether two planes have the same directions and the same spacing."""
    axes = zip(plane.orientation, other.orientation, strict=True)
    spacing = zip(plane.spacing_mm, other.spacing_mm, strict=True)
    return all(abs(a - b) <= _SAME_DIRECTION for a, b in axes) and all(
        abs(a - b) <= _SAME_SPACING * b for a, b in spacing
    )


def _is_deep(stack: _Stack) -> bool:
    normal = stack[0][1].normal
    return place(stack[-1][1], normal) - place(stack[0][1], normal) > SAME_PLACE_MM


def place(plane: Plane, normal: Vector) -> float:
    """Where a plane lies along a direction, millimetres."""
    return sum(p * n for p, n in zip(plane.position_mm, normal, strict=True))


def _mixture_warnings(stacks: Sequence[_Stack], loose: Sequence[Instance]) -> list[str]:
    """What else is in the series of a stack."""
    warnings = []
    if len(stacks) > 1:
        warnings.append(
            f"the series mixes {len(stacks)} stacks of different orientations, sizes or frames of reference: each is "
            "read on its own"
        )
    localizers = sum("LOCALIZER" in member.header.image_type for member in loose)
    if localizers:
        warnings.append(f"{localizers} localizers are set aside from the stack")
    if len(loose) > localizers:
        warnings.append(f"{len(loose) - localizers} images fit no stack and are set aside: each is read on its own")
    return warnings


def _shear_warnings(stack: _Stack) -> list[str]:
    """A gantry tilt: each slice is shifted within its plane against the one before."""
    x, y, _ = stack[0][1].to_pixel(stack[-1][1].position_mm)
    shift = max(abs(x - 0.5), abs(y - 0.5))
    return [f"the stack leans by {shift:.1f} pixels (gantry tilt): it is no cuboid"] if shift > _SHEAR_PX else []


def gap_warnings(places_mm: Sequence[float]) -> list[str]:
    """What is irregular about sorted positions."""
    gaps = [after - before for before, after in itertools.pairwise(places_mm)]
    doubled = sum(gap <= SAME_PLACE_MM for gap in gaps)
    warnings = [f"{doubled} slices lie where another one lies"] if doubled else []
    steps = [gap for gap in gaps if gap > SAME_PLACE_MM]
    usual = statistics.median_low(steps) if steps else 0.0
    uneven = [gap for gap in steps if abs(gap - usual) > EVEN * usual]
    whole = [round(gap / usual) for gap in uneven]
    missing = sum(n - 1 for n, gap in zip(whole, uneven, strict=True) if n > 1 and abs(gap - n * usual) <= EVEN * gap)
    if missing:
        warnings.append(f"{missing} slices are missing: the usual gap of {usual:g} mm is a multiple in places")
    elif uneven:
        warnings.append(f"the gaps between slices are uneven ({min(steps):g} to {max(steps):g} mm)")
    return warnings
