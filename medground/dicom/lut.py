"""Lookup tables and windows: how grey values become what is seen (PS3.3 C.11.1 and C.11.2)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medground.dicom.elements import items, number, numbers, text, value

_FUNCTIONS = frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"})


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table.

    Attributes:
        entries: output values.
        first: input value that maps to the first entry; smaller ones map there too, larger ones to the last.
        bits: depth of the output, which spans 0..2**bits - 1.
    """

    entries: NDArray[np.float64]
    first: int
    bits: int

    def apply(self, grey: NDArray[Any]) -> NDArray[np.float64]:
        """Output values, 0..2**bits - 1, in the shape of `grey`."""
        index = np.nan_to_num(np.asarray(grey, np.float64)) - self.first
        return self.entries[np.clip(index, 0, len(self.entries) - 1).astype(np.int64)]

    def apply_into(self, stored: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Write the output values to `out`, of the shape of `stored`."""
        out[...] = self.apply(stored)


@dataclass(frozen=True, slots=True)
class Rescale:
    """Modality values as slope times stored value plus intercept."""

    slope: float
    intercept: float

    def apply(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Modality values in the shape of `stored`."""
        return np.asarray(stored, np.float64) * self.slope + self.intercept

    def apply_into(self, stored: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Write the modality values, rounded once to float32, to `out`, of the shape of `stored`."""
        if not self._is_exact(stored.dtype):
            out[...] = self.apply(stored)
            return
        out[...] = stored
        if self.slope != 1:
            np.multiply(out, np.float32(self.slope), out=out)
        np.add(out, np.float32(self.intercept), out=out)

    def _is_exact(self, dtype: np.dtype[Any]) -> bool:
        """Whether every step has a whole result that float32 holds, so that float64 would give the same."""
        whole = self.slope.is_integer() and self.intercept.is_integer()
        small = abs(self.slope) * 2**16 + abs(self.intercept) < 2**24
        return whole and small and dtype.kind in "iu" and dtype.itemsize <= 2


@dataclass(frozen=True, slots=True)
class Window:
    """A window of modality values.

    Attributes:
        centre, width: as written; the function says what they mean.
        function: LINEAR, LINEAR_EXACT or SIGMOID.
    """

    centre: float
    width: float
    function: str = "LINEAR"

    @property
    def is_valid(self) -> bool:
        """LINEAR needs a width of at least one, the others a positive one (PS3.3 C.11.2.1.2.1)."""
        return self.function in _FUNCTIONS and (self.width >= 1 if self.function == "LINEAR" else self.width > 0)

    def apply(self, grey: NDArray[Any]) -> NDArray[np.float64]:
        """Brightness 0..1 in the shape of `grey` (equations of PS3.3 C.11.2.1.2.1 and C.11.2.1.3)."""
        grey = np.asarray(grey, np.float64)
        if self.function == "SIGMOID":
            exponent = np.clip(-4 * (grey - self.centre) / self.width, -700, 700)
            return np.asarray(1 / (1 + np.exp(exponent)))
        linear = self.function == "LINEAR"
        centre, width = (self.centre - 0.5, self.width - 1) if linear else (self.centre, self.width)
        if width == 0:
            return (grey > centre).astype(np.float64)
        return np.clip((grey - centre) / width + 0.5, 0, 1)


def read_table(item: Dataset, *, signed: bool) -> Table | None:
    """A lookup table from an item of Modality LUT Sequence or VOI LUT Sequence; None where it is no table.

    Args:
        item: with LUT Descriptor and LUT Data.
        signed: whether the input of the table may be negative; implicit VR does not say so of the descriptor.
    """
    descriptor, data = numbers(item, "LUTDescriptor", 3), value(item, "LUTData")
    if descriptor is None or data is None:
        return None
    count, first, bits = int(descriptor[0]) or 2**16, int(descriptor[1]), int(descriptor[2])
    if not 1 <= bits <= 16:
        return None
    if isinstance(data, bytes):
        little = item.original_encoding[1]
        wide = (">" if little is False or (little is None and sys.byteorder == "big") else "<") + "u2"
        kind = "u1" if bits <= 8 and len(data) < 2 * count else wide
        entries = np.frombuffer(data[: len(data) // np.dtype(kind).itemsize * np.dtype(kind).itemsize], kind)
    else:
        entries = np.atleast_1d(np.asarray(data))
    if len(entries) < count:
        return None
    if signed and first > 0x7FFF:
        first -= 0x10000
    return Table(entries[:count].astype(np.float64), first, bits)


def read_modality(dataset: Dataset, transformation: Dataset | None, *, signed: bool) -> Table | Rescale:
    """The modality transformation: a table, or slope and intercept, or the identity.

    Args:
        dataset: the image object.
        transformation: item of Pixel Value Transformation Sequence of an enhanced object, or None.
        signed: whether stored pixels are signed.
    """
    for item in items(dataset, "ModalityLUTSequence")[:1]:
        table = read_table(item, signed=signed)
        if table is not None:
            return table
    where = transformation or dataset
    slope, intercept = number(where, "RescaleSlope"), number(where, "RescaleIntercept")
    return Rescale(1.0, 0.0) if slope is None or intercept is None else Rescale(slope, intercept)


def read_voi(dataset: Dataset, *, signed: bool) -> tuple[Table | Window | None, str | None]:
    """The first VOI LUT, or else the first window, and a warning where the object has one that cannot be used.

    Args:
        dataset: the image object, or the item of Frame VOI LUT Sequence of an enhanced one.
        signed: whether modality values may be negative.
    """
    for item in items(dataset, "VOILUTSequence")[:1]:
        table = read_table(item, signed=signed)
        if table is not None:
            return table, None
    centres, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    if not centres or not widths:
        return None, None
    window = Window(centres[0], widths[0], (text(dataset, "VOILUTFunction") or "LINEAR").upper())
    if window.is_valid:
        return window, None
    return (
        None,
        f"the window (centre {window.centre:g}, width {window.width:g}, {window.function}) is not valid; unused",
    )
