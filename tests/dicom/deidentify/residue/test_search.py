from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.filewriter import dcmwrite
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from medground.dicom.deidentify.residue.search import Residue, dated_from, residues
from medground.dicom.deidentify.residue.values import Allowed, Values, values_of

Clean = Callable[..., tuple[Any, list[Path]]]


@pytest.fixture
def clean(patient_file: Callable[..., bytes], deidentified: Clean) -> bytes:
    _, (path,) = deidentified(patient_file())
    return path.read_bytes()


@pytest.fixture
def values(patient_file: Callable[..., bytes]) -> Values:
    return values_of(dcmread(io.BytesIO(patient_file())), Allowed())


def salted(clean: bytes, salt: Callable[[Dataset], None], syntax: str | None = None) -> bytes:
    dataset = dcmread(io.BytesIO(clean))
    salt(dataset)
    stream = io.BytesIO()
    if syntax:
        dataset.file_meta.TransferSyntaxUID = syntax
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    for element in dataset.iterall():
        assert element is not None  # read, so that it is written again in the other encoding
    dcmwrite(stream, dataset, enforce_file_format=True, implicit_vr=implicit, little_endian=little)
    return stream.getvalue()


def _deep(dataset: Dataset) -> None:
    item = Dataset()
    item.ImageComments = "for mrs ANNEGRET"
    outer = Dataset()
    outer.DerivationImageSequence = [item]
    dataset.DerivationImageSequence = [outer]


def _latin1(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageComments = "FRAU MÜLLER"


def _japanese(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.ImageComments = "王^小东".replace("东", "東")


SALTS: dict[str, tuple[Callable[[Dataset], None], str, str]] = {
    "word": (lambda d: setattr(d, "ImageComments", "annegret"), "word of a name", "(0020,4000)"),
    "whole name": (lambda d: setattr(d, "ImageComments", "a müller-ostrowski annegret"), "name", "(0020,4000)"),
    "deep": (_deep, "word of a name", "(0020,4000)"),
    "identifier": (lambda d: setattr(d, "CodeValue", "xK-4711-0815x"), "identifier", "(0008,0100)"),
    "number": (lambda d: setattr(d, "CodeValue", "9900112233"), "identifier", "(0008,0100)"),
    "latin 1": (_latin1, "word of a name", "(0020,4000)"),
    "private": (
        lambda d: d.private_block(0x0019, "M", create=True).add_new(1, "OB", b"\1annegret"),
        "word of a name",
        "bytes outside any readable element",
    ),
    "unknown": (
        lambda d: d.add(DataElement(0x00181FF1, "UN", b"Xanten")),
        "word of a name",
        "bytes outside any readable element",
    ),
    "date": (lambda d: setattr(d, "ImageComments", "born 17.04.1953"), "date", "(0020,4000)"),
    "date element": (lambda d: setattr(d, "AcquisitionDate", "20250103"), "date", "(0008,0022)"),
    "UID": (lambda d: setattr(d, "ImageComments", "see 1.2.826.0.1.3680043.77.1.3."), "UID", "(0020,4000)"),
}


def test_a_clean_file_is_clean(clean: bytes, values: Values) -> None:
    assert values.searched > 40
    assert residues(clean, "a/b/c.dcm", values) == []


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("place", SALTS)
def test_what_is_left_is_found_in_every_encoding(clean: bytes, values: Values, place: str, syntax: str | None) -> None:
    salt, kind, where = SALTS[place]
    assert Residue(kind, where) in residues(salted(clean, salt, syntax), "a.dcm", values)


def test_a_name_in_a_shifted_character_set_is_found(clean: bytes) -> None:
    values = Values(names={"王小東", "王^小東"})
    assert residues(salted(clean, _japanese), "a.dcm", values) == [Residue("name", "(0020,4000)")]


def test_the_input_itself_is_full_of_residues(patient_file: Callable[..., bytes], values: Values) -> None:
    kinds = {residue.kind for residue in residues(patient_file(), "a.dcm", values)}
    assert kinds == {"name", "word of a name", "identifier", "date", "UID"}


def test_bytes_around_the_data_set_and_the_file_name_are_searched(clean: bytes, values: Values) -> None:
    nowhere = Residue("word of a name", "bytes outside any readable element")
    assert nowhere in residues(clean + b"Annegret", "a.dcm", values)
    assert nowhere in residues(b"Annegret".ljust(128, b"\0") + clean[128:], "a.dcm", values)
    assert nowhere in residues(clean, "annegret.dcm", values)


def test_a_name_behind_the_pixels_is_found(clean: bytes, values: Values) -> None:
    def salt(dataset: Dataset) -> None:
        dataset.PixelData += b"Quacksalber "

    assert Residue("word of a name", "(7FE0,0010)") in residues(salted(clean, salt), "a.dcm", values)


def test_numbers_that_are_times_or_places_are_no_identifiers(clean: bytes) -> None:
    def salt(dataset: Dataset) -> None:
        dataset.ContentTime, dataset.TableHeight = "101112", "123456"

    values = Values(identifiers={"101112", "123456"})
    assert residues(salted(clean, salt), "a.dcm", values) == []
    assert {one.kind for one in residues(salted(clean, salt) + b" 101112", "a.dcm", values)} == {"identifier"}


def test_short_words_are_not_found_inside_longer_ones(clean: bytes) -> None:
    def salt(dataset: Dataset) -> None:
        dataset.CodeMeaning = "Hannas Kernel"

    assert residues(salted(clean, salt), "a.dcm", Values(words={"Anna", "Kern"})) == []
    assert residues(salted(clean, salt), "a.dcm", Values(words={"Hannas"})) != []


def test_a_moved_date_that_is_another_date_of_the_input_is_no_leak(clean: bytes) -> None:
    before = Dataset()
    before.StudyDate, before.AcquisitionDate = "20250102", "20250112"
    values = Values(dates={date(2025, 1, 2), date(2025, 1, 12)})

    def moved(days: int) -> bytes:
        def salt(dataset: Dataset) -> None:
            for keyword in ("StudyDate", "AcquisitionDate"):
                day = date.fromisoformat(str(getattr(before, keyword))) + timedelta(days=days)
                setattr(dataset, keyword, f"{day:%Y%m%d}")

        return salted(clean, salt)

    dated = dated_from(before)
    assert residues(moved(-10), "a.dcm", values, dated) == []
    assert residues(moved(-11), "a.dcm", values, dated) == []
    assert Residue("date", "(0008,0020)") in residues(moved(0), "a.dcm", values, dated)
    assert residues(moved(-10), "a.dcm", values, None) == [Residue("date", "(0008,0022)")]
    text = salted(moved(-10), lambda d: setattr(d, "ImageComments", "2025-01-02"))
    assert {one.kind for one in residues(text, "a.dcm", values, dated)} == {"date"}


def test_random_pixels_raise_no_alarm(make_file: Callable[..., bytes], values: Values) -> None:
    noise = np.random.default_rng(1).integers(48, 58, (256, 256)).astype(np.uint8)  # every pixel an ASCII digit
    assert residues(make_file(noise, PatientName="", PatientID=""), "a.dcm", values) == []
