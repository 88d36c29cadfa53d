from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from medground.data.known_copies import known_copies
from tests.data.made_records import disc_record
from tests.full_disk import no_file_longer_than


def test_copies_are_found_once_and_again_when_a_file_changes(tmp_path, monkeypatch):
    first = disc_record(tmp_path, "a", [("nodule", 60, 90, 12)])
    shutil.copyfile(first.path, tmp_path / "b.png")
    records = [first, first.model_copy(update={"record_id": "b", "patient_id": "b", "path": tmp_path / "b.png"})]
    found = known_copies(records, tmp_path / "cache")
    assert [pair[:2] for pair in found] == [("a", "b")]
    with monkeypatch.context() as patched:
        patched.setattr("medground.data.known_copies.fingerprint_records", lambda _: 1 / 0)
        assert known_copies(records, tmp_path / "cache") == found  # from the list
    noise = np.random.default_rng(0).integers(0, 256, (25, 25), dtype=np.uint8)
    Image.fromarray(noise).resize((200, 200), Image.Resampling.NEAREST).save(tmp_path / "b.png")
    assert known_copies(records, tmp_path / "cache") == []
    (listed,) = [path for path in (tmp_path / "cache").iterdir() if path.read_text() != "[]"]
    listed.write_text("{ damaged")
    shutil.copyfile(first.path, tmp_path / "b.png")
    assert known_copies(records, tmp_path / "cache") == found


@pytest.mark.parametrize("limit", [0, 1, 16])
def test_a_full_disk_makes_it_slow_and_not_wrong(tmp_path, caplog, limit):
    first = disc_record(tmp_path, "a", [("nodule", 60, 90, 12)])
    shutil.copyfile(first.path, tmp_path / "b.png")
    records = [first, first.model_copy(update={"record_id": "b", "path": tmp_path / "b.png"})]
    with no_file_longer_than(limit):
        found = known_copies(records, tmp_path / "cache")
    assert [pair[:2] for pair in found] == [("a", "b")]
    assert "cannot be kept (File too large)" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == []
    assert known_copies(records, tmp_path / "a.png") == found  # a file where the folder should be
    assert known_copies(records, tmp_path / "cache") == found
    (kept,) = (tmp_path / "cache").iterdir()
    with no_file_longer_than(0):
        assert known_copies(records, tmp_path / "cache") == found
    assert list((tmp_path / "cache").iterdir()) == [kept]
