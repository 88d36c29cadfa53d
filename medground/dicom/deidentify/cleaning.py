"""One data set cleaned, element by element, to the bottom of its sequences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID

from medground.dicom.deidentify.dates import shifted
from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.profile import EDITION, Action, action_for
from medground.dicom.deidentify.pseudonyms import Pseudonyms, identity_of

DUMMY_TEXT: Final = "REMOVED"
_OLDEST_AGE: Final = 90  # ages over 89 are told apart no further (45 CFR 164.514(b)(2)(i)(C))
_DUMMIES: Final[dict[str, Any]] = {
    "DA": "18000101", "DT": "18000101000000", "TM": "000000", "AS": "000Y", "UR": "http://removed.invalid",
    "DS": "0", "IS": "0", "FD": 0.0, "FL": 0.0, "SL": 0, "SS": 0, "SV": 0, "UL": 0, "US": 0, "UV": 0,
    "OB": b"\0\0", "OW": b"\0\0",
}  # fmt: skip
_TEXTS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"})
# What does not look like a value of its VR may be text that was put there.
_SHAPES: Final = {
    "CS": re.compile(r"[A-Za-z0-9_ \-./]{0,16}"),
    "AS": re.compile(r"\d{3}[DWMY]|"),
    "TM": re.compile(r"[\d:]{0,8}(\.\d{1,6})?"),
}


class Cleaner:
    """Applies the profile to the objects of a run.

    Args:
        options: what is kept.
        pseudonyms: what replaces identities.
    """

    def __init__(self, options: Options, pseudonyms: Pseudonyms) -> None:
        self._options = options
        self._pseudonyms = pseudonyms

    def clean(self, dataset: Dataset) -> Counter[tuple[Action, str]]:
        """Clean a data set in place and mark it as de-identified.

        Args:
            dataset: everything before the pixel data, without file meta information.

        Returns:
            How many elements were changed, by action and tag; private elements count as one tag.
        """
        counts: Counter[tuple[Action, str]] = Counter()
        identity = identity_of(dataset)
        self._walk(dataset, self._pseudonyms.shift_days(identity), counts)
        alias = self._pseudonyms.patient(identity)
        dataset.PatientID = dataset.PatientName = alias
        self._mark(dataset)
        return counts

    def _walk(self, dataset: Dataset, days: int, counts: Counter[tuple[Action, str]]) -> None:
        for tag in list(dataset.keys()):
            element = _converted(dataset, tag)
            action = Action.REMOVE if element is None else action_for(tag, element.VR, self._options)
            if element is not None and action is Action.KEEP:
                action = _kept_as_it_is(element)
            if element is None or action is Action.REMOVE:
                del dataset[tag]
            else:
                action = self._apply(element, action, days, counts)
            if action not in (Action.KEEP, Action.WALK):
                counts[action, _name(tag)] += 1

    def _apply(self, element: DataElement, action: Action, days: int, counts: Counter[tuple[Action, str]]) -> Action:
        """Change the element; the action that it came to in the end."""
        if element.VR == "SQ":
            if action is Action.EMPTY:
                element.value = []
            for item in element.value:
                self._walk(item, days, counts)
                if action is Action.DUMMY:
                    _blank(item)
        elif element.is_empty or action is Action.KEEP:
            return Action.KEEP
        elif action is Action.EMPTY:
            element.value = None
        elif action is Action.UID:
            return self._remap(element)
        elif action is Action.PSEUDONYM:
            element.value = self._pseudonyms.patient(str(element.value).strip())
        elif action is Action.SHIFT:
            element.value = _each(element.value, lambda one: shifted(str(one), element.VR, days))
        else:
            _make_dummy(element)
        return action

    def _remap(self, element: DataElement) -> Action:
        before = element.value
        element.value = _each(before, self._new_uid)
        return Action.UID if element.value != before else Action.KEEP

    def _new_uid(self, uid: object) -> str:
        """Another UID, unless it names something that the standard itself defines."""
        value = str(uid).strip(" \0")
        return value if not value or UID(value).name != value else self._pseudonyms.uid(value)

    def _mark(self, dataset: Dataset) -> None:
        """Say what was done (PS3.3 C.7.1.1 and C.12.1, PS3.15 E.2)."""
        options = self._options
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = f"medground, PS3.15 {EDITION} basic profile"
        dataset.DeidentificationMethodCodeSequence = [
            _code_item(code.value, code.scheme_designator, code.meaning)
            for code in options.method_codes(structured_content="ContentSequence" in dataset)
        ]
        dataset.LongitudinalTemporalInformationModified = "MODIFIED" if options.shift_dates else "REMOVED"


def _converted(dataset: Dataset, tag: BaseTag) -> DataElement | None:
    """The element; None where it is private or its bytes are no value of its VR."""
    if tag.is_private:
        return None
    try:
        return dataset[tag]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, NotImplementedError, LookupError):
        return None


def _kept_as_it_is(element: DataElement) -> Action:
    """KEEP, or what to do instead with a value that has not the shape of its VR."""
    shape = _SHAPES.get(element.VR)
    if shape is None or all(shape.fullmatch(str(one).strip(" \0")) for one in _values(element.value)):
        if element.keyword == "PatientAge" and element.value:
            element.value = _capped(str(element.value))
        return Action.KEEP
    return Action.DUMMY if element.VR == "CS" else Action.EMPTY


def _capped(age: str) -> str:
    return f"{_OLDEST_AGE:03d}Y" if age.endswith("Y") and int(age[:3]) >= _OLDEST_AGE else age


def _blank(item: Dataset) -> None:
    """Replace every value in an item that the profile wants as a dummy whole, coded entries included."""
    for element in item:
        if element.VR == "SQ":
            for inner in element.value:
                _blank(inner)
        elif element.VR != "UI" and not element.is_empty:
            _make_dummy(element)


def _make_dummy(element: DataElement) -> None:
    element.value = DUMMY_TEXT if element.VR in _TEXTS else _DUMMIES.get(element.VR)


def _values(value: Any) -> Iterable[Any]:
    return value if isinstance(value, MultiValue | list) else [] if value is None else [value]


def _each(value: Any, change: Callable[[Any], str]) -> Any:
    return [change(one) for one in value] if isinstance(value, MultiValue | list) else change(value)


def _name(tag: BaseTag) -> str:
    """The tag as it is reported: never a private one, whose number may mean something."""
    return "private" if tag.is_private else f"({tag.group:04X},{tag.element:04X})"


def _code_item(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
