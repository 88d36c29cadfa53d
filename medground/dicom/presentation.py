"""How a presentation state says what its images look like: lookup tables, windows, polarity, colour profile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import ImageCms
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.tag import Tag

from medground.dicom.derived import decimal_string, image_reference
from medground.dicom.elements import functional_item, items, text, value
from medground.dicom.grey import GreyPipeline
from medground.dicom.image import DicomImage
from medground.dicom.lut import Rescale, Table, Window
from medground.schema.errors import InputError

_COLOURED = "PALETTE COLOR"
_CREATED, _PROFILE_ID = slice(24, 36), slice(84, 100)  # of the header of an ICC profile (ICC.1 section 7.2)
_SIXTEEN_BITS = 2**16

# A table by what it does: entries of 16 bits, first input
_TableKey = tuple[bytes, int]
_VoiKey = _TableKey | Window | None


@dataclass(frozen=True, slots=True)
class Look:
    """What a presentation state holds once for all its images.

    Attributes:
        is_colour: in colour, with nothing else to say but the profile.
        modality: slope and intercept, or a table; None for the identity.
        modality_unit: what modality values are in, a defined term of PS3.3 C.11.1.1.2.
        is_inverted: low values are white.
        profile: ICC profile of colour images.
    """

    is_colour: bool
    modality: Rescale | _TableKey | None = None
    modality_unit: str = "US"
    is_inverted: bool = False
    profile: bytes = b""


def look_of(image: DicomImage, frame: int) -> Look:
    """The look of a frame, but for its window.

    Args:
        image: in grey or colour.
        frame: 1-based.
    """
    header = image.header
    if header.samples_per_pixel > 1 or header.photometric == _COLOURED:
        own = value(image.dataset, "ICCProfile")
        return Look(is_colour=True, profile=own if isinstance(own, bytes) else _srgb())
    grey = GreyPipeline(image.dataset, header, frame)
    modality = grey.modality if isinstance(grey.modality, Rescale) else _key(grey.modality)
    identity = modality == Rescale(1.0, 0.0) and header.modality != "CT"
    return Look(False, None if identity else modality, _unit(image, frame), grey.is_inverted)


def add_look(state: Dataset, look: Look, frames: Iterable[tuple[DicomImage, int]]) -> None:
    """Write a look, and the window of each frame, into a presentation state.

    Args:
        state: to be completed.
        look: of all the frames.
        frames: image and 1-based frame.
    """
    if look.is_colour:
        state.ICCProfile = look.profile
        return
    if isinstance(look.modality, Rescale):
        state.RescaleIntercept, state.RescaleSlope = (
            decimal_string(look.modality.intercept),
            decimal_string(look.modality.slope),
        )
        state.RescaleType = look.modality_unit
    elif look.modality is not None:
        table = _table_item(look.modality)
        table.ModalityLUTType = look.modality_unit
        state.ModalityLUTSequence = [table]
    state.PresentationLUTShape = "INVERSE" if look.is_inverted else "IDENTITY"
    _add_windows(state, list(dict.fromkeys(frames)))


def _add_windows(state: Dataset, frames: Sequence[tuple[DicomImage, int]]) -> None:
    """The first window or VOI LUT of each frame (PS3.3 C.11.8), or else the range of its pixels.

    Of a frame without either an image alone leaves the window to the viewer. A presentation state does not: without a
    window the whole range of stored values would be shown, and little of the image seen.
    """
    by_voi: dict[_VoiKey, dict[DicomImage, list[int]]] = {}
    for image, frame in frames:
        grey = GreyPipeline(image.dataset, image.header, frame)
        voi = grey.voi or _range_of_pixels(image, frame, grey)
        key = _key(voi, largest=2**voi.bits - 1) if isinstance(voi, Table) else voi
        by_voi.setdefault(key, {}).setdefault(image, []).append(frame)
    written = []
    for key, members in by_voi.items():
        if key is None:
            continue
        item = Dataset()
        if len(by_voi) > 1:
            item.ReferencedImageSequence = [image_reference(image, chosen) for image, chosen in members.items()]
        if isinstance(key, Window):
            item.WindowCenter, item.WindowWidth = decimal_string(key.centre), decimal_string(key.width)
            if key.function != "LINEAR":
                item.VOILUTFunction = key.function
        else:
            item.VOILUTSequence = [_table_item(key)]
        written.append(item)
    if written:
        state.SoftcopyVOILUTSequence = written


def _range_of_pixels(image: DicomImage, frame: int, grey: GreyPipeline) -> Window | None:
    """The window from the darkest to the brightest pixel but padding; None where the pixels have none."""
    try:
        stored = image.stored(frame)
    except InputError:
        return None  # to be drawn on it need not be decoded
    if grey.padding:
        stored = stored[(stored < grey.padding[0]) | (stored > grey.padding[1])]
    if isinstance(grey.modality, Rescale) and stored.size:
        stored = np.array([stored.min(), stored.max()])  # of which the slope makes the ends
    values = grey.modality.apply(stored)
    if not values.size or not values.min() < values.max():
        return None
    low, high = float(values.min()), float(values.max())
    return Window((low + high) / 2 + 0.5, high - low + 1)  # LINEAR, which every viewer knows


def _unit(image: DicomImage, frame: int) -> str:
    """The unit of modality values, unspecified where the image does not say; CT says it by being CT."""
    transformation = functional_item(image.dataset, frame, "PixelValueTransformationSequence")
    tables = items(image.dataset, "ModalityLUTSequence")
    found = text(tables[0], "ModalityLUTType") if tables else text(transformation or image.dataset, "RescaleType")
    return found or ("HU" if image.header.modality == "CT" else "US")


def _key(table: Table, largest: int | None = None) -> _TableKey:
    """A table with 16 bits to an entry: presentation states have tables of 8 and 16 bits, images also between.

    Args:
        table: of the image.
        largest: the entry that is to become the largest of 16 bits; None where entries mean what they say.
    """
    entries = table.entries * ((_SIXTEEN_BITS - 1) / largest) if largest else table.entries
    return np.rint(entries).astype("<u2").tobytes(), table.first


def _table_item(key: _TableKey) -> Dataset:
    """A lookup table with its descriptor (PS3.3 C.11.1.1.1): entries, first input, bits."""
    entries, first = key
    count = len(entries) // 2 % _SIXTEEN_BITS  # none stands for 65536
    item = Dataset()
    item.add(DataElement(Tag("LUTDescriptor"), "SS" if first < 0 else "US", [_in_vr(count, first), first, 16]))
    item.add(DataElement(Tag("LUTData"), "OW", entries))
    return item


def _in_vr(count: int, first: int) -> int:
    """A count in the representation of the first input: counts from 32768 have no sign (PS3.5 6.2)."""
    return count - _SIXTEEN_BITS if first < 0 and count >= _SIXTEEN_BITS // 2 else count


def _srgb() -> bytes:
    """The sRGB profile, without the time at which it is made."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_CREATED] = np.array([1900, 1, 1, 0, 0, 0], ">u2").tobytes()
    profile[_PROFILE_ID] = bytes(16)
    return bytes(profile)
