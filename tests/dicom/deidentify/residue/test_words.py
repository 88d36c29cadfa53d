from __future__ import annotations

import pytest

from medground.dicom.deidentify.residue.words import is_ordinary


@pytest.mark.parametrize("value", ["Left", "CHEST", "Siemens", "study", "University Hospital", "Phantom"])
def test_words_of_dicom_are_ordinary(value: str) -> None:
    assert is_ordinary(value)


@pytest.mark.parametrize("value", ["Annegret", "Left Annegret", "K-4711", "", "^", "张"])
def test_names_are_not(value: str) -> None:
    assert not is_ordinary(value)
