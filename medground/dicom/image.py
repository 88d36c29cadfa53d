"""DicomImage: a DICOM object with pixels, decoded frame by frame when they are asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medground.dicom.boundary import typed_errors
from medground.dicom.colour import colour_display
from medground.dicom.decode import Decoded, decode_frame, decode_native, is_native, native_bytes
from medground.dicom.elements import functional_item, value
from medground.dicom.fragments import FrameTable, frame_table
from medground.dicom.geometry import Plane
from medground.dicom.grey import GreyPipeline, preset_window
from medground.dicom.header import ImageHeader, plane_elements, read_header, spacing_elements
from medground.dicom.limits import Limits
from medground.dicom.lut import Rescale, Table, read_modality
from medground.dicom.native import NativeSlice, Stamp, plain_dtype
from medground.dicom.parse import Parsed, parse
from medground.schema.errors import DecodeError, UnreadableFileError, UsageError


class DicomImage:
    """One image object: its header at once, its pixels on demand.

    Neither the file nor decoded pixels are kept, so a long series costs no more than its headers.

    Attributes:
        header: size, geometry and identity.
        dataset: everything before the pixel data, with file meta information.
    """

    def __init__(self, parsed: Parsed, header: ImageHeader, limits: Limits) -> None:
        self.header = header
        self.dataset: Dataset = parsed.dataset
        self._parsed = parsed
        self._limits = limits
        self._frame_table: FrameTable | None = None

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What was repaired or ignored on the way."""
        with typed_errors(DecodeError, "the lookup tables cannot be read"):
            return self._parsed.warnings + GreyPipeline(self.dataset, self.header, 1).warnings

    def stored(self, frame: int = 1) -> NDArray[Any]:
        """Pixels of a frame after decoding, before any lookup table; YBR colour already as RGB.

        Args:
            frame: 1-based.

        Returns:
            (rows, columns), or (rows, columns, samples) for colour.

        Raises:
            InputError: there is no such frame, or it cannot be decoded within the limits.
        """
        return self._decoded(frame).pixels

    def modality_values(self, frame: int = 1, *, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """A grey frame in the units that the object measures: Hounsfield units on CT.

        Args:
            frame: 1-based.
            out: (rows, columns) to write to; a new array if None.

        Returns:
            (rows, columns), which is `out` where that is given.

        Raises:
            InputError: as for `stored`, or the frame is in colour.
        """
        decoded = self._decoded(frame)
        if decoded.pixels.ndim != 2 or decoded.photometric == "PALETTE COLOR":
            raise DecodeError(f"frame {frame} is in colour ({decoded.photometric}) and measures nothing; display it")
        values = np.empty(decoded.pixels.shape, np.float32) if out is None else out
        with typed_errors(DecodeError, f"frame {frame} cannot be measured"):
            self.modality_of(frame).apply_into(decoded.pixels, values)
        return values

    def modality_of(self, frame: int = 1) -> Table | Rescale:
        """The transformation of a frame from stored to modality values.

        Args:
            frame: 1-based.
        """
        transformation = functional_item(self.dataset, frame, "PixelValueTransformationSequence")
        return read_modality(self.dataset, transformation, signed=self.header.signed)

    def native_slice(self, path: Path, stamp: Stamp) -> NativeSlice | None:
        """Where the pixels lie, to read them again without another look at the header; None where that needs one.

        Args:
            path: the file that this image was opened from.
            stamp: what `stamp_of` said of it before that.
        """
        pixels = self._parsed.pixels
        dtype = plain_dtype(self.header, pixels.vr)
        if dtype is None or self.header.frames > 1:
            return None
        modality = self.modality_of()
        unused_bits = self.header.bits_allocated - self.header.bits_stored
        if not isinstance(modality, Rescale):
            return None
        return NativeSlice(path, stamp, pixels.offset, dtype, unused_bits, modality)

    def display(self, frame: int = 1, *, window: str | None = None) -> NDArray[np.float32]:
        """A frame as a viewer shows it: modality LUT, VOI LUT or window, inversion; padding black.

        Args:
            frame: 1-based.
            window: preset in place of the object's own window, on CT only: see `grey.PRESETS`.

        Returns:
            (rows, columns) in 0..1 where 1 is white, or (rows, columns, 3) for colour.

        Raises:
            UsageError: an unknown preset, or a preset for an image that is not in Hounsfield units.
            InputError: as for `stored`.
        """
        preset = None if window is None else preset_window(window)
        if preset is not None and self.header.modality != "CT":
            raise UsageError(
                f"window {window!r} is in Hounsfield units, and this image is {self.header.modality or 'no CT'}; "
                "leave the window out"
            )
        decoded = self._decoded(frame)
        with typed_errors(DecodeError, f"frame {frame} cannot be shown"):
            if decoded.pixels.ndim == 3 or decoded.photometric == "PALETTE COLOR":
                return colour_display(decoded, self.dataset, self.header)
            return GreyPipeline(self.dataset, self.header, frame).apply(decoded.pixels, preset)

    def frame_geometry(self, frame: int = 1) -> Plane | None:
        """The plane of a frame in the patient; None where position, orientation or spacing is absent.

        Args:
            frame: 1-based.
        """
        position, orientation = plane_elements(self.dataset, frame)
        spacing = spacing_elements(self.dataset, frame)
        if position is None or orientation is None or spacing is None:
            return None
        return Plane(position, orientation, spacing)

    def _decoded(self, frame: int) -> Decoded:
        if not 1 <= frame <= self.header.frames:
            raise DecodeError(f"there is no frame {frame}: the object has frames 1 to {self.header.frames}")
        pixels = self._parsed.pixels
        with (
            typed_errors(DecodeError, f"frame {frame} cannot be decoded", quote_cause=True),
            self._parsed.source.view(self._limits) as data,
        ):
            if is_native(self.header.transfer_syntax_uid):
                if pixels.length is None:
                    raise DecodeError("the pixel data have no length although they are not compressed")
                whole = data[pixels.offset : pixels.offset + pixels.length]
                decoded = decode_native(self.dataset, self.header, whole, pixels.vr, frame)
            else:
                encoded = self._table(data).frame(data, frame)
                decoded = decode_frame(self.dataset, self.header, encoded, self._limits)
            expected = (self.header.rows, self.header.columns)
            if decoded.pixels.shape[:2] != expected:
                raise DecodeError(f"the frame decodes to {decoded.pixels.shape[:2]} pixels, its header says {expected}")
            return decoded

    def _table(self, data: memoryview) -> FrameTable:
        if self._frame_table is None:
            extended = value(self.dataset, "ExtendedOffsetTable")
            self._frame_table = frame_table(
                data,
                self._parsed.pixels.offset,
                self.header.frames,
                extended if isinstance(extended, bytes) else None,
                self._limits,
            )
        return self._frame_table


def open_image(source: Path | bytes, *, limits: Limits | None = None) -> DicomImage:
    """Open a DICOM object that has pixels, without decoding them.

    Args:
        source: path or content of the file.
        limits: what may be asked of the machine; the defaults of `Limits` if None.

    Raises:
        InputNotFoundError: nothing is at the path.
        UnreadableFileError: not DICOM, or cut short.
        NotAnImageError: DICOM without pixel data.
        DecodeError: a header that no pixels can be decoded by.
        LimitError: larger or deeper than the limits allow.
    """
    limits = limits or Limits()
    parsed = parse(source, limits)
    with typed_errors(DecodeError, "the header cannot be read"):
        header = read_header(parsed.dataset, parsed.transfer_syntax_uid, limits)
        return DicomImage(_with_enough_bytes(parsed, header), header, limits)


def _with_enough_bytes(parsed: Parsed, header: ImageHeader) -> Parsed:
    """Refuse native pixel data that are too short; more than one byte of padding after them is a warning."""
    length = parsed.pixels.length
    if length is None or not is_native(parsed.transfer_syntax_uid):
        return parsed
    needed = native_bytes(header)
    if length < needed:
        raise UnreadableFileError(
            f"the pixel data hold {length} bytes where {header.frames} frames of {header.rows} x {header.columns} "
            f"need {needed}: the file is cut short; copy it again from its source"
        )
    if length > needed + needed % 2:
        trailing = f"{length - needed} bytes after the last pixel are not read"
        return replace(parsed, warnings=(*parsed.warnings, trailing))
    return parsed
