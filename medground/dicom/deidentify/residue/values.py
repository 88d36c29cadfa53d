"""Values: what identifies the patient, the people and the place of an object, gathered from the input itself.

What counts is decided here by value representation and by the words in the names of attributes, not by the table that
the first part works by: a hole in that table is no hole here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.uid import UID

from medground.dicom.deidentify.residue.calendar import dates_in, whole_date
from medground.dicom.deidentify.residue.words import is_ordinary
from medground.schema.config import StrictConfig

MIN_LETTERS: Final = 4
MIN_DIGITS: Final = 6
MIN_SENTENCE: Final = 12
_TEXT: Final = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_PLACE_OR_PERSON: Final = re.compile(
    "Institution|Address|Telephone|Phone|Physician|Operator|Department|Hospital|Organization|Location|Residence|"
    "StationName|AETitle|AE$|Insurance|CountryOfResidence|Clinical.*Name|Occupation|Personnel|Contact|Owner|"
    "CustodialOrg|Pharmacy|Reviewer|Observer|Issuer"
)
_IDENTIFIER: Final = re.compile(
    "IDs?$|Identifier|AccessionNumber|SerialNumber|OrderNumber|BirthName|Mrn|Locator|URL|URI"
)
_NO_IDENTIFIER: Final = re.compile("ExternalID$|^Template|^Context|^CodingScheme|UIDs?$|^Preset|^MappingResource")
_FREE_TEXT: Final = re.compile("Comment|Description|History|Reason|Text|Instruction|Note|Label|Protocol|Remark|Name$")
_DEVICE: Final = re.compile(
    "Device|Station|Detector|Gantry|Generator|Plate|Cassette|Lens|Serial|Machine|XRaySource|Scheduled.*Location|"
    "ModifyingSystem|Transducer|^UDI"
)
_CHARACTERISTIC: Final = re.compile("^Ethnic|^Smoking|^Pregnancy")
_MAKE: Final = frozenset({
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel", "ImplementationVersionName",
    "CodingSchemeDesignator",
})  # fmt: skip
_PATTERNS: Final = (
    re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),  # e-mail
    re.compile(r"https?://\S+"),
    re.compile(r"\+?\d[\d ()/-]{6,}\d"),  # telephone, or a long number
    re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]{6,}\b"),  # letters and digits together
)
_FIXED_UIDS: Final = re.compile("ClassUID$|TransferSyntaxUID$|CodingSchemeUID$|ContextUID$|MappingResourceUID$|Classes")


class Allowed(StrictConfig):
    """What was asked to be kept, so that finding it is no leak."""

    patient_characteristics: bool = False
    device: bool = False
    uids: bool = False


@dataclass(slots=True)
class Values:
    """What must not be found again, of one patient.

    Attributes:
        names: person names, spelled in all orders.
        words: words of names, institutions and addresses.
        identifiers: numbers, addresses and sentences that are searched as a whole.
        dates, uids: as they are.
        encodings: Python's names of the character sets of the input.
        too_short, ordinary: values that are not searched, because they would be found anywhere.
    """

    names: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    identifiers: set[str] = field(default_factory=set)
    dates: set[date] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    encodings: set[str] = field(default_factory=lambda: {"utf-8", "latin-1"})
    too_short: set[str] = field(default_factory=set)
    ordinary: set[str] = field(default_factory=set)

    @property
    def searched(self) -> int:
        """How many values are searched."""
        return len(self.names) + len(self.words) + len(self.identifiers) + len(self.dates) + len(self.uids)

    def merge(self, other: Values) -> None:
        """Take over what identifies the same patient in another object."""
        for name in Values.__dataclass_fields__:
            getattr(self, name).update(getattr(other, name))


def values_of(dataset: Dataset, allowed: Allowed) -> Values:
    """Gather what identifies.

    Args:
        dataset: of the input, with its file meta information; its pixel data are not looked at.
        allowed: what was asked to be kept.
    """
    found, elements = Values(), list(elements_of(dataset))
    found.encodings.update(_encodings(dataset))
    known = _Known(_texts_under(elements, _MAKE), _texts_under(elements, frozenset({"CodeMeaning"})))
    for element in elements:
        _gather(element, found, allowed, known)
    return found


@dataclass(frozen=True)
class _Known:
    """What the input itself shows as make of the device, and as meaning of a code; small letters."""

    make: frozenset[str]
    meanings: frozenset[str]

    @functools.cached_property
    def make_words(self) -> frozenset[str]:
        """The words of all makes."""
        return frozenset(word for one in self.make for word in re.findall(r"[^\W_]+", one))


def _texts_under(elements: list[DataElement], keywords: frozenset[str]) -> frozenset[str]:
    return frozenset(one.casefold() for e in elements if e.keyword in keywords for one in texts_of(e))


def elements_of(dataset: Dataset) -> Iterator[DataElement]:
    """All elements that can be read, those of file meta information and of sequences included."""
    meta = getattr(dataset, "file_meta", None)
    if meta is not None:
        yield from elements_of(meta)
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:
            continue  # whatever pydicom raises for bytes that are no value; they are still searched as bytes
        if element.VR == "SQ":
            for item in element.value:
                yield from elements_of(item)
        else:
            yield element


def texts_of(element: DataElement) -> list[str]:
    """The values of an element as text, without padding; none for bytes."""
    value: Any = element.value
    many = value if isinstance(value, MultiValue | list) else [value]
    return [text for one in many if one is not None and not isinstance(one, bytes) and (text := str(one).strip(" \0"))]


def _encodings(dataset: Dataset) -> set[str]:
    try:
        declared = dataset.get("SpecificCharacterSet") or "ISO_IR 6"
        return set(convert_encodings(list(declared) if isinstance(declared, MultiValue) else declared))
    except (LookupError, TypeError, ValueError):
        return set()


def _gather(element: DataElement, found: Values, allowed: Allowed, known: _Known) -> None:
    keyword, texts = element.keyword, texts_of(element)
    if (allowed.device and _DEVICE.search(keyword)) or (
        allowed.patient_characteristics and _CHARACTERISTIC.search(keyword)
    ):
        return
    if element.VR == "PN":
        for text in texts:
            _add_name(text, found)
    elif element.VR in ("DA", "DT"):
        found.dates.update(day for text in texts if (day := whole_date(text)))
    elif element.VR == "UI":
        if not allowed.uids and not _FIXED_UIDS.search(keyword):
            found.uids.update(text for text in texts if len(text) >= MIN_DIGITS and UID(text).name == text)
    elif element.VR in _TEXT and not element.tag.is_private:
        for text in (one for one in texts if one.casefold() not in known.make):
            _add_text(keyword, element.VR, text, found, known)


def _add_text(keyword: str, vr: str, text: str, found: Values, known: _Known) -> None:
    if vr == "UR" or (_IDENTIFIER.search(keyword) and not _NO_IDENTIFIER.search(keyword)):
        _add(text, found.identifiers, found)
    elif _PLACE_OR_PERSON.search(keyword):
        _add(text, found.identifiers, found)
        for word in re.findall(r"\w+", text):
            if not word.isdigit() and word.casefold() not in known.make_words:
                _add(word, found.words, found)
    elif _FREE_TEXT.search(keyword):
        found.dates.update(day for _, day in dates_in(text))
        is_sentence = len(text) >= MIN_SENTENCE and " " in text and not is_ordinary(text)
        if is_sentence and text.casefold() not in known.meanings:
            found.identifiers.add(text)
        for pattern in _PATTERNS:
            for hit in pattern.findall(text):
                _add(hit, found.identifiers, found)


def _add_name(name: str, found: Values) -> None:
    """A name's words, and its family and given name together in both orders."""
    for group in name.split("="):
        parts = [part.strip() for part in group.split("^")]
        for word in re.findall(r"[^\W_]+", group):
            _add(word, found.words, found)
        family, given = parts[0], parts[1] if len(parts) > 1 else ""
        if family and given:
            orders = {f"{a}{joint}{b}" for a, b in ((family, given), (given, family)) for joint in ("", " ", "^", ", ")}
            orders |= {
                f"{a}{joint}{b}" for a, b in ((family, given), (given, family)) for joint in (",", "_", "-", ".")
            }
            for order in orders:
                _add(order, found.names, found)
        elif " " in family:
            _add(family, found.names, found)


def _add(value: str, to: set[str], found: Values) -> None:
    """Take a value, unless it would be found everywhere: too short, or a word that DICOM itself uses."""
    value = value.strip()
    if is_too_short(value):
        found.too_short.add(value)
    elif is_ordinary(value):
        found.ordinary.add(value)
    else:
        to.add(value)


def is_too_short(value: str) -> bool:
    """Fewer than 4 characters, or 6 digits; of letters beyond Latin, Greek and Cyrillic 2 are enough."""
    if any(ord(letter) >= 0x2E80 for letter in value):
        return len(value) < 2
    signs = [letter for letter in value if letter.isalnum()]
    return len(signs) < (MIN_DIGITS if all(sign.isdigit() for sign in signs) else MIN_LETTERS)
