from __future__ import annotations

import hashlib
import hmac
import re
import stat
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import UID

from medground.dicom.deidentify.pseudonyms import MAX_SHIFT_DAYS, Pseudonyms, identity_of, load_key
from medground.schema.errors import UsageError

KEY, OTHER = bytes(32), bytes([1] * 32)


def test_a_uid_is_the_keyed_hash_and_valid() -> None:
    digest = hmac.new(KEY, b"uid\x1f1.2.3", hashlib.sha256).hexdigest()
    assert Pseudonyms(KEY).uid("1.2.3") == f"2.25.{int(digest[:32], 16)}"
    assert all(UID(Pseudonyms(KEY).uid(f"1.2.{n}")).is_valid for n in range(200))


def test_the_same_value_and_key_give_the_same_and_nothing_else_does() -> None:
    assert Pseudonyms(KEY).patient("A") == Pseudonyms(KEY).patient("A")
    made = {Pseudonyms(key).patient(one) for key in (KEY, OTHER) for one in ("A", "B", "a")}
    assert len(made) == 6
    assert all(re.fullmatch(r"MG-[A-Z2-7]{16}", one) for one in made)


def test_days_lie_within_ten_years_before_and_differ() -> None:
    days = [Pseudonyms(KEY).shift_days(str(n)) for n in range(2000)]
    assert max(days) <= -1
    assert min(days) >= -MAX_SHIFT_DAYS
    assert len(set(days)) > 1400
    assert abs(sum(days) / len(days) + MAX_SHIFT_DAYS / 2) < 100


def test_the_patient_is_known_by_id_then_name_then_study() -> None:
    dataset = Dataset()
    dataset.SOPInstanceUID = "1.2.3"
    assert identity_of(dataset) == "1.2.3"
    dataset.StudyInstanceUID = "1.2"
    assert identity_of(dataset) == "1.2"
    dataset.PatientName, dataset.PatientBirthDate = "Doe^Jane", "19700101"
    assert identity_of(dataset) == "Doe^Jane\x1f19700101"
    dataset.PatientID = " P1 "
    assert identity_of(dataset) == "P1"


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = load_key(path)
    assert len(key) == 32
    assert load_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(None) != load_key(None)
    assert key.hex() not in repr(Pseudonyms(key))


@pytest.mark.parametrize("content", ["", "ab" * 31, "no hexadecimal digits"])
def test_a_file_that_holds_no_key_is_refused_without_being_quoted(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(UsageError) as caught:
        load_key(tmp_path / "key")
    assert content == "" or content not in str(caught.value)


def test_a_key_file_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be made"):
        load_key(tmp_path / "no" / "key")
