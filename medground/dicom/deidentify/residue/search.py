"""The search: an output file, byte by byte and value by value, for what identified the input."""

from __future__ import annotations

import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medground.dicom.deidentify.residue.calendar import dates_in, whole_date
from medground.dicom.deidentify.residue.values import Values, elements_of, texts_of

_PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_MIN_BYTES_IN_PIXELS: Final = 8  # shorter ones turn up in pixels by chance
_LONG: Final = 6  # letters from which on a word is found inside another
_UNDEFINED: Final = 0xFFFFFFFF
_UID: Final = re.compile(rb"(?<![\d.])\d[\d.]{5,62}\d(?!\d|\.\d)")
_NUMERIC: Final = frozenset({"DS", "IS", "TM", "DT", "DA", "UI"})


@dataclass(frozen=True, slots=True)
class Residue:
    """Something that was found: what kind of value, and in which element; never the value."""

    kind: str
    where: str


@dataclass(frozen=True, slots=True)
class DatedFrom:
    """The dates of the input of one file, to tell a moved date from one that was left.

    Attributes:
        anchors: path of an element to its date.
        dates: all dates in DA and DT elements.
    """

    anchors: dict[str, date]
    dates: frozenset[date]


def dated_from(dataset: Dataset) -> DatedFrom:
    """The dates of an input."""
    anchors: dict[str, date] = {}
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "AcquisitionDateTime"):
        day = whole_date(str(dataset.get(keyword) or ""))
        if day:
            anchors[keyword] = day
    return DatedFrom(anchors, frozenset(_element_dates(elements_of(dataset))))


def residues(output: bytes, name: str, values: Values, dated: DatedFrom | None = None) -> list[Residue]:
    """Everything that was left.

    Args:
        output: the file that would be published.
        name: its path below the output folder, which is searched too.
        values: what identified the patient.
        dated: of the input of this file where dates were moved; None where they were to be removed.
    """
    dataset = dcmread(io.BytesIO(output), force=True)
    header, pixels, encapsulated = _split(output, dataset)
    elements = list(elements_of(dataset))
    uids = header + b"\n" + _text_of(elements) + (b"\n" + pixels if encapsulated else b"")
    found = [*_uid_residues(uids, elements, values), *_date_residues(header, elements, values, dated, dataset)]
    numbers = _text_of([element for element in elements if element.VR in _NUMERIC])
    prose = _text_of([element for element in elements if element.VR not in _NUMERIC])
    lowered, shown = header.lower() + b"\n" + name.lower().encode(), pixels.lower()
    for kind, texts in (("name", values.names), ("word of a name", values.words), ("identifier", values.identifiers)):
        for text in texts:
            spelled = _spellings(text, values.encodings)
            # A number of six digits may be a time of day or a coordinate as well: that it stands there tells nothing.
            explained = _count(numbers, text.encode(), text) if text.isdigit() else 0
            in_bytes = any(_count(lowered, one, text) > explained for one in spelled)
            if in_bytes or _count(prose, text.casefold().encode(), text):
                found.append(Residue(kind, _where(text, elements)))
            if any(len(one) >= _MIN_BYTES_IN_PIXELS and _is_distinct(one) and one in shown for one in spelled):
                found.append(Residue(kind, "(7FE0,0010)"))
    return found


def _text_of(elements: list[DataElement]) -> bytes:
    """The values of elements as text in UTF-8, small letters, one to a line."""
    return "\n".join(text for element in elements for text in texts_of(element)).casefold().encode("utf-8", "replace")


def _split(output: bytes, dataset: Dataset) -> tuple[bytes, bytes, bool]:
    """Everything but the value of the pixel data, inflated; that value; and whether it is encapsulated."""
    raw, before, after = output, b"", b""
    if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        start = 144 + int(dataset.file_meta.FileMetaInformationGroupLength)
        machine = zlib.decompressobj(-zlib.MAX_WBITS)
        raw, before = machine.decompress(output[start:]), output[:start]
        after = machine.unused_data
    for keyword in _PIXELS:
        element: Any = dataset.get_item(keyword)
        if isinstance(element, RawDataElement) and element.value:
            at, end = element.value_tell, element.value_tell + len(element.value)
            encapsulated = element.length == _UNDEFINED
            return before + raw[:at] + b"\n" + raw[end:] + after, element.value, encapsulated
    return before + raw + after, b"", False


def _spellings(text: str, encodings: set[str]) -> set[bytes]:
    """The value in every character set and case, ASCII letters small."""
    cases = {text, text.lower(), text.upper(), text.title(), text.casefold()}
    found = set()
    for encoding in encodings:
        for one in cases:
            try:
                found.add(one.encode(encoding).lower())
            except (UnicodeError, LookupError):
                continue
    return found


def _count(haystack: bytes, needle: bytes, text: str) -> int:
    """How often the value stands there by itself; a long word also counts inside another one."""
    count, at = 0, haystack.find(needle)
    while at >= 0:
        before, after = haystack[at - 1 : at] if at else b"", haystack[at + len(needle) : at + len(needle) + 1]
        if text.isdigit():
            count += not before.isdigit() and not after.isdigit()
        elif text.isascii() and len(text) < _LONG:
            count += not before.isalpha() and not after.isalpha()
        else:
            count += 1
        at = haystack.find(needle, at + 1)
    return count


def _is_distinct(needle: bytes) -> bool:
    """Four different signs and four letters: not what a dark patch of an 8-bit image looks like."""
    return len(set(needle)) >= 4 and sum(not 0x20 <= sign < 0x40 for sign in needle) >= 4


def _uid_residues(haystack: bytes, elements: list[DataElement], values: Values) -> Iterator[Residue]:
    for text in {hit.group().decode("ascii") for hit in _UID.finditer(haystack)} & values.uids:
        yield Residue("UID", _where(text, elements))


def _element_dates(elements: Iterable[DataElement]) -> Iterator[date]:
    for element in elements:
        if element.VR in ("DA", "DT"):
            yield from (day for text in texts_of(element) if (day := whole_date(text)))


def _date_residues(
    header: bytes, elements: list[DataElement], values: Values, dated: DatedFrom | None, dataset: Dataset
) -> Iterator[Residue]:
    """Dates of the input, unless they are another date of it moved by the days that all of them moved by."""
    moved = set(_moved(dataset, dated)) if dated else set()
    numbers = "\n".join(text for e in elements if e.VR in ("DS", "IS", "UI") for text in texts_of(e))
    chance = {day for _, day in dates_in(numbers)}
    seen = Counter(day for _, day in dates_in(header.decode("latin-1")) if day in values.dates)
    for _, day in dates_in(_text_of(elements).decode()):
        if day in values.dates:
            seen.setdefault(day, 1)
    written = Counter(_element_dates(elements))
    for day, times in seen.items():
        if day not in chance and (day not in moved or times > written[day]):
            yield Residue("date", _where_dated(day, elements))


def _moved(dataset: Dataset, dated: DatedFrom) -> Iterator[date]:
    """The input's dates moved as its anchor was; nothing if it was not moved, or if there is none to go by."""
    for keyword, before in dated.anchors.items():
        after = whole_date(str(dataset.get(keyword) or ""))
        if after and after != before:
            yield from (day + (after - before) for day in dated.dates)
            return


def _where(text: str, elements: list[DataElement]) -> str:
    """The tag of the first element that holds the value; never of a private one, which is only called so."""
    small = text.casefold()
    for element in elements:
        if any(small in one.casefold() for one in texts_of(element)):
            return _tag(element)
    return "bytes outside any readable element"


def _where_dated(day: date, elements: list[DataElement]) -> str:
    for element in elements:
        if any(found == day for text in texts_of(element) for _, found in dates_in(text)):
            return _tag(element)
    return "bytes outside any readable element"


def _tag(element: DataElement) -> str:
    return "a private element" if element.tag.is_private else f"({element.tag.group:04X},{element.tag.element:04X})"
