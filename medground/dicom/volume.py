"""Volume: the slices of a series, or the frames of an enhanced object, as one array in the units that they measure."""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medground.dicom.boundary import typed_errors
from medground.dicom.geometry import Plane, plane_of
from medground.dicom.header import ImageHeader, Vector
from medground.dicom.image import DicomImage
from medground.dicom.limits import Limits
from medground.dicom.series import EVEN, SAME_PLACE_MM, Instance, Series, are_parallel, gap_warnings, place
from medground.schema.errors import DecodeError, InputError, LimitError, UsageError

_Fill = Callable[[NDArray[np.float32]], None]


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Slices in order along their common normal.

    A point is (slice, x, y): the slice counts from 0 at the centre of the first one, and x and y are pixels of the
    stored slice as in `Box`, whose (0, 0) is the outer corner of the first pixel.

    Attributes:
        voxels_SRC: (slices, rows, columns), modality values: Hounsfield units on CT.
        planes: of each slice.
        spacing_mm: between slices along the normal; None where it is uneven.
        frame_of_reference_uid: of the patient coordinates, or None.
        instances: (SOP Instance UID, 1-based frame) of each slice.
        warnings: what is irregular, and what was left out.
    """

    voxels_SRC: NDArray[np.float32]
    planes: tuple[Plane, ...]
    spacing_mm: float | None
    frame_of_reference_uid: str | None
    instances: tuple[tuple[str, int], ...]
    warnings: tuple[str, ...] = ()
    _places_mm: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        normal = self.planes[0].normal
        object.__setattr__(self, "_places_mm", tuple(place(plane, normal) for plane in self.planes))

    def to_lps(self, slice_index: float, x_px: float, y_px: float) -> Vector:
        """The point of the patient at a point of the volume, millimetres LPS; slices between two are interpolated.

        Args:
            slice_index: from 0; a fraction lies between two slices, and beyond the ends the last gap goes on.
            x_px: along the columns, pixels.
            y_px: along the rows, pixels.
        """
        below, share = self._gap(slice_index)
        first, second = (self.planes[k].to_lps(x_px, y_px) for k in (below, below + 1))
        return _between(first, second, share)

    def to_voxel(self, point_mm: Vector) -> tuple[float, float, float]:
        """The point (slice, x, y) of the volume at a point of the patient; `to_lps` undone.

        Args:
            point_mm: millimetres LPS.
        """
        along = sum(p * n for p, n in zip(point_mm, self.planes[0].normal, strict=True))
        below = min(max(bisect.bisect_right(self._places_mm, along) - 1, 0), len(self.planes) - 2)
        start, end = self._places_mm[below], self._places_mm[below + 1]
        share = (along - start) / (end - start)
        plane = self.planes[below]
        origin = _between(plane.position_mm, self.planes[below + 1].position_mm, share)
        x, y, _ = Plane(origin, plane.orientation, plane.spacing_mm).to_pixel(point_mm)
        return below + share, x, y

    def _gap(self, slice_index: float) -> tuple[int, float]:
        below = min(max(int(np.floor(slice_index)), 0), len(self.planes) - 2)
        return below, slice_index - below


def _between(first: Vector, second: Vector, share: float) -> Vector:
    x, y, z = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return x, y, z


def read_volume(series: Series, *, limits: Limits | None = None, threads: int | None = None) -> Volume:
    """Decode a stack of slices, several at a time, each straight to its place.

    Of slices at one place the first by instance number is kept. Beyond the volume no more is held than the slices that
    are being decoded, one to a thread.

    Args:
        series: with `is_volume`.
        limits: what may be asked of the machine; the defaults of `Limits` if None.
        threads: how many decode at once; one to a processor if None.

    Raises:
        UsageError: the series is no volume.
        InputError: a slice cannot be read; the message says which.
    """
    limits = limits or Limits()
    if not series.is_volume:
        raise UsageError(f"these {len(series.instances)} images make no volume: open each on its own")
    headers = [instance.header for instance in series.instances]
    planes = [_plane(header) for header in headers]
    kept = _first_of_each_place(planes)
    fills = [_slice_reader(series.instances[index], limits) for index in kept]
    voxels_SRC = _filled(fills, (headers[0].rows, headers[0].columns), limits, threads)
    return _volume(
        voxels_SRC,
        [planes[index] for index in kept],
        headers[0].frame_of_reference_uid,
        [(headers[index].sop_instance_uid, 1) for index in kept],
        (*series.warnings, *_left_out(len(planes) - len(kept))),
    )


def read_frames(image: DicomImage, *, limits: Limits | None = None, threads: int | None = None) -> Volume:
    """Decode the frames of an enhanced multi-frame object, in the order of their places, as `read_volume` does.

    Args:
        image: with functional groups that give each frame its plane (PS3.3 C.7.6.16).
        limits: what may be asked of the machine; the defaults of `Limits` if None.
        threads: how many decode at once; one to a processor if None.

    Raises:
        UsageError: the frames have no planes, or these are not parallel and at two or more places.
        InputError: a frame cannot be read; the message says which.
    """
    header = image.header
    found = [image.frame_geometry(frame) for frame in range(1, header.frames + 1)]
    planes = [plane for plane in found if plane is not None]
    if len(planes) < len(found) or not all(are_parallel(plane, planes[0]) for plane in planes):
        raise UsageError(f"the {header.frames} frames are not parallel slices: look at each on its own")
    normal = planes[0].normal
    order = sorted(range(len(planes)), key=lambda index: place(planes[index], normal))
    planes = [planes[index] for index in order]
    kept = _first_of_each_place(planes)
    if len(kept) < 2:
        raise UsageError(f"the {header.frames} frames lie at one place: look at each on its own")
    frames = [order[index] + 1 for index in kept]
    voxels_SRC = _filled(
        [_frame_reader(image, frame) for frame in frames], (header.rows, header.columns), limits or Limits(), threads
    )
    return _volume(
        voxels_SRC,
        [planes[index] for index in kept],
        header.frame_of_reference_uid,
        [(header.sop_instance_uid, frame) for frame in frames],
        (*gap_warnings([place(plane, normal) for plane in planes]), *_left_out(len(planes) - len(kept))),
    )


def _plane(header: ImageHeader) -> Plane:
    plane = plane_of(header)
    if plane is None:
        raise UsageError("a slice has no position, orientation or spacing: open the images on their own")
    return plane


def _first_of_each_place(planes: Sequence[Plane]) -> list[int]:
    """Indices of sorted planes without those that lie where the one before lies."""
    kept = [0]
    normal = planes[0].normal
    for index, plane in enumerate(planes):
        if place(plane, normal) - place(planes[kept[-1]], normal) > SAME_PLACE_MM:
            kept.append(index)
    return kept


def _left_out(count: int) -> tuple[str, ...]:
    return (f"{count} slices at the place of another one are left out of the volume",) if count else ()


def _slice_reader(instance: Instance, limits: Limits) -> _Fill:
    def fill(out: NDArray[np.float32]) -> None:
        stored = instance.native.read(*out.shape) if instance.native else None
        if stored is not None and instance.native:
            instance.native.modality.apply_into(stored, out)
        else:
            image = instance.open(limits)
            if image.header.rows != out.shape[0] or image.header.columns != out.shape[1]:
                raise DecodeError("the file has changed since its header was read; discover the folder again")
            image.modality_values(out=out)

    return fill


def _frame_reader(image: DicomImage, frame: int) -> _Fill:
    def fill(out: NDArray[np.float32]) -> None:
        image.modality_values(frame, out=out)

    return fill


def _filled(fills: Sequence[_Fill], shape: tuple[int, int], limits: Limits, threads: int | None) -> NDArray[np.float32]:
    """(slices, rows, columns), each slice written by its reader."""
    size = len(fills) * shape[0] * shape[1] * 4
    if size > limits.max_volume_bytes:
        raise LimitError(
            f"a volume of {len(fills)} x {shape[0]} x {shape[1]} needs {size} bytes, more than "
            f"{limits.max_volume_bytes} (limit max_volume_bytes)"
        )
    # The warning filter is the process's own: it is set once here, since each thread would restore what another set.
    with typed_errors(DecodeError, "the volume cannot be read"):
        voxels_SRC = np.empty((len(fills), *shape), np.float32)

        def read(index: int) -> None:
            try:
                fills[index](voxels_SRC[index])
            except InputError as error:
                raise type(error)(f"slice {index + 1} of {len(fills)} cannot be read: {error}") from error

        with ThreadPoolExecutor(threads or os.cpu_count() or 1, "volume") as pool:
            try:
                for _ in pool.map(read, range(len(fills))):
                    pass
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return voxels_SRC


def _volume(
    voxels_SRC: NDArray[np.float32],
    planes: Sequence[Plane],
    frame_of_reference_uid: str | None,
    instances: Sequence[tuple[str, int]],
    warnings: tuple[str, ...],
) -> Volume:
    normal = planes[0].normal
    places = [place(plane, normal) for plane in planes]
    gaps = [after - before for before, after in itertools.pairwise(places)]
    usual = (places[-1] - places[0]) / len(gaps)
    is_even = all(abs(gap - usual) <= EVEN * usual for gap in gaps)
    return Volume(
        voxels_SRC, tuple(planes), usual if is_even else None, frame_of_reference_uid, tuple(instances), warnings
    )
