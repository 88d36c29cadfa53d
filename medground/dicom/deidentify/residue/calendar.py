"""Dates as people and machines write them, found in text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = rf"({'|'.join(_MONTHS)})[a-z]*\.?"
_BEFORE, _AFTER = r"(?<!\d)", r"(?!\d)"
_TIME: Final = r"(?=[0-2]\d[0-5]\d(?:[0-5]\d)?(?!\d))"
# Order of the groups: year, month, day (0 to 2 say which group is which).
_FORMS: Final = (
    (re.compile(rf"{_BEFORE}(\d{{4}})(\d\d)(\d\d)(?:{_AFTER}|{_TIME})"), ((0, 1, 2),)),
    (re.compile(rf"{_BEFORE}(\d{{4}})[-./ ](\d\d?)[-./ ](\d\d?){_AFTER}"), ((0, 1, 2),)),
    (re.compile(rf"{_BEFORE}(\d\d?)[-./ ](\d\d?)[-./ ](\d{{4}}){_AFTER}"), ((2, 1, 0), (2, 0, 1))),
    (re.compile(rf"{_BEFORE}(\d\d?)\.?[- ]{_MONTH}[- ,]+(\d{{4}}){_AFTER}", re.IGNORECASE), ((2, 1, 0),)),
    (re.compile(rf"{_MONTH}[- ](\d\d?)(?:st|nd|rd|th)?[- ,]+(\d{{4}}){_AFTER}", re.IGNORECASE), ((2, 0, 1),)),
    (re.compile(rf"{_BEFORE}(\d{{4}})年(\d\d?)月(\d\d?)日"), ((0, 1, 2),)),
)
_FIRST_YEAR, _LAST_YEAR = 1850, 2150  # outside lies what stands for no date, as 00010101 or 18000101


def dates_in(text: str) -> Iterator[tuple[int, date]]:
    """Dates in a text, with where they start; a form that can be read two ways gives both.

    Known forms: 20250102 (also before a time), 2025-01-02, 2025.01.02, 2025/1/2, 02.01.2025, 01/02/2025, 2 Jan 2025,
    January 2, 2025, 2025年1月2日.
    """
    for pattern, orders in _FORMS:
        for hit in pattern.finditer(text):
            for order in orders:
                day = _date(*(hit.groups()[which] for which in order))
                if day is not None:
                    yield hit.start(), day


def whole_date(text: str) -> date | None:
    """The date of a DA or DT value; None where it has no day."""
    hit = re.match(r"(\d{4})[.\-]?(\d\d)[.\-]?(\d\d)", text)
    return _date(*hit.groups()) if hit else None


def _date(year: str, month: str, day: str) -> date | None:
    number = _MONTHS.index(month.lower()[:3]) + 1 if not month.isdigit() else int(month)
    try:
        found = date(int(year), number, int(day))
    except ValueError:
        return None
    return found if _FIRST_YEAR <= found.year <= _LAST_YEAR else None
