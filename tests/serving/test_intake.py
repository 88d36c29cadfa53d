"""What comes in is one row however often it comes, and nobody's row is another tenant's."""

from __future__ import annotations

import hashlib
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import dcmread

from medground.dicom.limits import Limits
from medground.schema.errors import InputError, LimitError, NotAnImageError, UnreadableFileError
from medground.serving.database import instances, studies
from medground.serving.intake import ConflictError, Intake, Origin, Sender, read_file, study_key
from tests.inference.drawn import write_sr_like
from tests.serving.access.clock import START_US
from tests.serving.parts import Parts
from tests.serving.running import rows

UID = "1.2.826.0.1.3680043.8.498."


def test_an_image_becomes_a_file_and_a_row(parts: Parts) -> None:
    path = parts.film(
        1,
        PatientName="Doe^Jane",
        PatientID="QUAILWREN",
        AccessionNumber="A-9",
        StudyDate="20260102",
        StudyDescription="ap",
    )
    accepted = parts.accept(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert parts.store.read(digest) == path.read_bytes()
    (row,) = rows(parts.engine, instances)
    assert (row.id, row.tenant, row.sop_uid, row.series_uid) == (
        accepted.instance_id,
        "clinic",
        f"{UID}1.1.1",
        f"{UID}1.1",
    )
    assert (row.sha256, row.size_bytes, row.received_us) == (digest, path.stat().st_size, START_US)
    assert (row.modality, row.frames, row.transfer_syntax_uid) == ("DX", 1, "1.2.840.10008.1.2.1")
    (study,) = rows(parts.engine, studies)
    assert (study.patient_name, study.patient_id, study.accession_number) == ("Doe^Jane", "QUAILWREN", "A-9")
    assert (study.study_date, study.description, study.modalities, study.body_parts) == (
        "20260102",
        "ap",
        "DX",
        "CHEST",
    )
    assert (study.study_key, study.study_uid, study.images, study.is_open) == (accepted.study_key, f"{UID}1", 1, False)
    assert (accepted.sop_instance_uid, accepted.is_new) == (f"{UID}1.1.1", True)


def test_a_key_tells_nothing_and_differs_from_tenant_to_tenant() -> None:
    assert study_key("clinic", "1.2.3") == hashlib.sha256(b"clinic\n1.2.3").hexdigest()[:24]
    assert study_key("other", "1.2.3") != study_key("clinic", "1.2.3")


def test_the_same_object_a_hundred_times_is_one_row(parts: Parts) -> None:
    path = parts.film(1)
    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(lambda _: parts.accept(path), range(100)))
    assert len(rows(parts.engine, instances)) == 1
    assert {one.instance_id for one in accepted} == {rows(parts.engine, instances)[0].id}
    assert sum(one.is_new for one in accepted) == 1
    assert rows(parts.engine, studies)[0].images == 1
    assert len([path for path in (parts.folder / "objects").rglob("*") if path.is_file()]) == 1


def test_another_object_of_the_same_uid_is_a_conflict(parts: Parts) -> None:
    parts.accept(parts.film(1))
    first = rows(parts.engine, instances)
    with pytest.raises(ConflictError, match="needs a new UID"):
        parts.accept(parts.film(1, PatientID="changed"))
    assert rows(parts.engine, instances) == first
    assert parts.accept(parts.film(1, PatientID="changed"), "other").is_new  # of its own, in another tenant


def test_a_study_of_two_tenants_is_two_studies(parts: Parts) -> None:
    path = parts.film(1)
    ours, theirs = parts.accept(path), parts.accept(path, "other")
    assert ours.study_key != theirs.study_key
    assert ours.instance_id != theirs.instance_id
    assert [(row.tenant, row.images) for row in rows(parts.engine, studies)] == [("clinic", 1), ("other", 1)]
    assert theirs.is_new


def test_a_study_counts_its_images_and_what_they_are(parts: Parts) -> None:
    parts.accept(parts.film(1))
    parts.clock.forward(5)
    parts.accept(parts.film(1, instance=2, Modality="CR", BodyPartExamined="HAND"))
    parts.accept(parts.film(1, instance=3, Modality="CR", BodyPartExamined=None))
    (study,) = rows(parts.engine, studies)
    assert (study.images, study.modalities, study.body_parts) == (3, "DX\\CR", "CHEST\\HAND")
    assert (study.first_received_us, study.last_received_us) == (START_US, START_US + 5_000_000)


def test_only_what_comes_by_itself_opens_a_study(parts: Parts) -> None:
    parts.accept(parts.film(1))
    assert not rows(parts.engine, studies)[0].is_open
    parts.accept(parts.film(1, instance=2), origin=Origin.DICOM, ae="CT1")
    (study,) = rows(parts.engine, studies)
    assert (study.is_open, study.calling_ae) == (True, "CT1")
    parts.accept(parts.film(1, instance=3))
    (study,) = rows(parts.engine, studies)
    assert (study.is_open, study.calling_ae) == (True, "CT1")
    parts.accept(parts.film(1, instance=2), origin=Origin.DICOM, ae="CT2")  # not new: nothing changes
    assert rows(parts.engine, studies)[0].calling_ae == "CT1"


@pytest.mark.filterwarnings("ignore:The PN component length:UserWarning")
def test_long_and_odd_values_fit_their_columns(parts: Parts) -> None:
    path = parts.film(1)
    dataset = dcmread(path)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID, dataset.AccessionNumber = "\u738b" * 300, "\u738b\u3000" * 20, "A\0\x01B"
    dataset.save_as(path)
    parts.accept(path)
    (study,) = rows(parts.engine, studies)
    assert (study.patient_name, study.patient_id) == ("\u738b" * 256, ("\u738b\u3000" * 20).strip())
    assert study.accession_number == "AB"


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")
def test_a_class_that_is_none_fits_its_column(parts: Parts) -> None:
    path = parts.film(1)
    content = path.read_bytes()
    (uid,) = {bytes(dcmread(path).SOPClassUID, "ascii")}
    at = content.rindex(uid) - 2
    (length,) = struct.unpack_from("<H", content, at)
    long = b"1.2." + b"3" * 96
    path.write_bytes(content[:at] + struct.pack("<H", len(long)) + long + content[at + 2 + length :])
    parts.accept(path)
    assert rows(parts.engine, instances)[0].sop_class_uid == long[:64].decode()


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_an_object_without_a_name_is_refused(parts: Parts, keyword: str) -> None:
    path = parts.film(1)
    dataset = dcmread(path)
    delattr(dataset, keyword)
    dataset.save_as(path)
    with pytest.raises(UnreadableFileError, match="lacks a SOP, series or study instance UID"):
        parts.accept(path)


def test_what_is_refused_leaves_neither_row_nor_file(parts: Parts, tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(parts.film(1).read_bytes()[:700])
    for path, kind in (
        (write_sr_like(tmp_path / "sr.dcm"), NotAnImageError),
        (broken, UnreadableFileError),
        (Path(__file__), UnreadableFileError),
    ):
        with pytest.raises(kind):
            parts.accept(path)
    small = Intake(parts.engine, parts.store, parts.clock.now_us, Limits(max_header_bytes=100))
    with parts.store.incoming() as incoming:
        read_file(parts.film(1), incoming)
        with pytest.raises(LimitError):
            small.accept(incoming, Sender("clinic", Origin.HTTP))
    assert rows(parts.engine, instances) == []
    assert rows(parts.engine, studies) == []
    assert [path for path in (parts.folder / "objects").rglob("*") if path.is_file()] == []


def test_what_is_refused_says_nothing_of_the_patient(parts: Parts) -> None:
    path = parts.film(1, PatientName="Doe^Jane", PatientID="QUAILWREN")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError) as error:
        parts.accept(path)
    assert "Doe" not in str(error.value)
    assert "QUAILWREN" not in str(error.value)
