from __future__ import annotations

import ast
from datetime import date
from pathlib import Path

import pytest
from pydicom import Dataset

from medground.dicom.deidentify.residue.values import Allowed, Values, is_too_short, values_of


def test_a_patient_is_known_by_all_that_identifies(patient: Dataset) -> None:
    found = values_of(patient, Allowed())
    assert {"Müller", "Ostrowski", "Annegret", "Quacksalber", "Kreiskrankenhaus", "Xanten", "XANCT07"} <= found.words
    assert {"Müller-Ostrowski^Annegret", "AnnegretMüller-Ostrowski", "王小东", "小东王"} <= found.names
    assert {"K-4711-0815", "9900112233", "SN-55443322", "Kreiskrankenhaus Xanten"} <= found.identifiers
    assert {date(1953, 4, 17), date(2025, 1, 2), date(2025, 1, 3)} == found.dates
    assert "1.2.826.0.1.3680043.77.1.3" in found.uids
    assert not {"medground", "1.2.840.10008.5.1.4.1.1.1"} & (found.identifiers | found.uids | found.words)


def test_text_that_may_be_kept_is_searched_for_what_looks_like_an_identity() -> None:
    dataset = Dataset()
    dataset.ImageComments = "mail ann@kh-xanten.example or +49 2801 710710, MRN12345678, seen 2.1.2025"
    found = values_of(dataset, Allowed())
    assert {"ann@kh-xanten.example", "+49 2801 710710", "MRN12345678"} <= found.identifiers
    assert date(2025, 1, 2) in found.dates


def test_what_was_to_be_kept_is_no_leak(patient: Dataset) -> None:
    found = values_of(patient, Allowed(device=True, uids=True))
    assert found.uids == set()
    assert "SN-55443322" not in found.identifiers
    assert "XANCT07" not in found.words


@pytest.mark.parametrize(
    ("value", "short"),
    [("1", True), ("Doe", True), ("12345", True), ("123456", False), ("Jane", False), ("A-1", True), ("东", True),
     ("小东", False), ("--------", True)],
)  # fmt: skip
def test_what_would_be_found_anywhere_is_not_searched_but_counted(value: str, short: bool) -> None:
    assert is_too_short(value) is short
    dataset = Dataset()
    dataset.PatientID = value
    found = values_of(dataset, Allowed())
    assert (value in found.too_short, value in found.identifiers) == (short, not short)


def test_a_patient_called_left_is_counted_as_ordinary() -> None:
    dataset = Dataset()
    dataset.PatientName = "Left^Chest"
    found = values_of(dataset, Allowed())
    assert found.words == set()
    assert "Left" in found.ordinary
    assert "LeftChest" in found.names  # both together are a name, not a word of DICOM


def test_the_make_of_a_device_is_no_identity() -> None:
    dataset = Dataset()
    dataset.ManufacturerModelName = dataset.DetectorID = "PIXIUM4343"
    dataset.Manufacturer, dataset.InstitutionName = "Acmetron Imaging", "Acmetron Kreiskrankenhaus"
    found = values_of(dataset, Allowed())
    assert found.identifiers == {"Acmetron Kreiskrankenhaus"}
    assert found.words == {"Kreiskrankenhaus"}


def test_a_description_that_is_the_meaning_of_a_code_is_no_identity_and_a_name_in_it_is() -> None:
    code = Dataset()
    code.CodeMeaning = "Lateral thorax of Annegret"
    dataset = Dataset()
    dataset.PatientName, dataset.StudyDescription, dataset.ProcedureCodeSequence = "Annegret", code.CodeMeaning, [code]
    found = values_of(dataset, Allowed())
    assert (found.identifiers, found.words) == (set(), {"Annegret"})


def test_values_of_a_patient_add_up(patient: Dataset) -> None:
    both, other = values_of(patient, Allowed()), Values(words={"Elsewhere"}, dates={date(2000, 1, 1)})
    count = both.searched
    both.merge(other)
    assert both.searched == count + 2
    assert "Elsewhere" in both.words


def test_the_second_scan_knows_nothing_of_the_first_part(repository: Path) -> None:
    room = "medground.dicom.deidentify"
    imported = {
        name
        for path in (repository / "medground/dicom/deidentify/residue").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else []
        )
    }  # fmt: skip
    assert any(name.startswith(f"{room}.residue") for name in imported)
    assert [name for name in imported if name.startswith(room) and not name.startswith(f"{room}.residue")] == []
    assert [name for name in imported if "dicomanonymizer" in name] == []
