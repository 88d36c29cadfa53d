from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medground.dicom.deidentify.dates import shifted

DAYS = st.integers(-3650, -1)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))


@given(MOMENTS, DAYS)
def test_a_date_moves_by_whole_days(moment: datetime, days: int) -> None:
    assert shifted(f"{moment:%Y%m%d}", "DA", days) == f"{moment + timedelta(days=days):%Y%m%d}"


@given(MOMENTS, DAYS, st.sampled_from(["", "+0100", "-1130"]), st.sampled_from(["%H", "%H%M", "%H%M%S", "%H%M%S.%f"]))
def test_time_and_offset_stay(moment: datetime, days: int, offset: str, form: str) -> None:
    expected = f"{moment + timedelta(days=days):%Y%m%d}{moment:{form}}{offset}"
    assert shifted(f"{moment:%Y%m%d{form}}{offset}", "DT", days) == expected


@pytest.mark.parametrize(
    ("value", "vr", "days", "expected"),
    [
        ("2025", "DT", -1, "2024"),
        ("202503", "DT", -1, "202502"),
        ("2025.01.02", "DA", -2, "20241231"),
        ("20240229", "DA", -366, "20230228"),
        ("20250102 ", "DA", -1, "20250101"),
        ("today", "DA", -1, ""),
        ("20251301", "DA", -1, ""),
        ("00010101", "DA", -1, ""),
        ("20250101-20250105", "DA", -1, ""),
    ],
)
def test_short_old_and_damaged_values(value: str, vr: str, days: int, expected: str) -> None:
    assert shifted(value, vr, days) == expected
