"""Dates and date-times moved by whole days."""

from __future__ import annotations

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})")
_DATE_TIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?)([+\-]\d{4})?")


def shifted(value: str, vr: str, days: int) -> str:
    """A date or date-time moved; the time of day and the offset from UTC stay, and so does a missing month or day.

    Args:
        value: as written in the element.
        vr: DA or DT.
        days: whole days.

    Returns:
        The new value; empty where the old one is no date.

    Source: PS3.5 6.2 (DA with the dots of ACR-NEMA, DT with its shortened forms).
    """
    value = value.strip(" \0")
    found = (_DATE if vr == "DA" else _DATE_TIME).fullmatch(value)
    if found is None:
        return ""
    year, month, day = (int(part) if part else 1 for part in found.groups()[:3])
    try:
        moved = date(year, month, day) + timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    digits = f"{moved:%Y%m%d}".rjust(8, "0")
    if vr == "DA":
        return digits
    kept = 8 if found[3] else 6 if found[2] else 4
    return digits[:kept] + (found[4] or "") + (found[5] or "")
