from __future__ import annotations

from datetime import date

import pytest

from medground.dicom.deidentify.residue.calendar import dates_in, whole_date

DAY = date(2025, 3, 4)


@pytest.mark.parametrize(
    "text",
    [
        "20250304", "on 20250304.", "20250304101112", "202503041011", "2025-03-04", "2025.03.04", "2025/3/4",
        "04.03.2025", "4.3.2025", "04/03/2025", "03/04/2025", "4 Mar 2025", "04-MAR-2025", "4. March 2025",
        "March 4, 2025", "Mar 4th, 2025", "2025年3月4日", "x20250304x",
    ],
)  # fmt: skip
def test_forms(text: str) -> None:
    assert DAY in {day for _, day in dates_in(text)}


@pytest.mark.parametrize("text", ["120250304", "202503049", "20251304", "00010101", "2025", "1.2025.0304", "99990304"])
def test_other_digits_are_no_dates(text: str) -> None:
    assert list(dates_in(text)) == []


@pytest.mark.parametrize(
    ("text", "day"), [("20250304", DAY), ("2025.03.04", DAY), ("20250304101112.5+0100", DAY), ("202503", None)]
)
def test_values_of_date_elements(text: str, day: date | None) -> None:
    assert whole_date(text) == day
