"""A file is there as a whole or as it was, and a full disk is one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medground.evaluation.files import make_folder, replace_file
from medground.schema.errors import UsageError
from tests.full_disk import no_file_longer_than


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_is_replaced_and_read_by_whom_the_umask_lets(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        for content in (b"one", b"two"):
            replace_file(tmp_path / "file", content)
            assert (tmp_path / "file").read_bytes() == content
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("limit", [0, 1, 9_999])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "file"
    for before in (None, b"before"):
        if before:
            path.write_bytes(before)
        with no_file_longer_than(limit), pytest.raises(UsageError, match=r"file cannot be written \(File too large\)"):
            replace_file(path, b"x" * 10_000)
        assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == (
            [("file", before)] if before else []
        )


def test_where_nothing_can_be_put_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"folder cannot be written \(Is a directory\); make room, or name another"):
        replace_file(tmp_path / "folder", b"content")
    with pytest.raises(UsageError, match="No such file or directory"):
        replace_file(tmp_path / "absent" / "file", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_is_made_with_those_it_lies_in(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
        assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "b"):
        with pytest.raises(UsageError, match="cannot be written"):
            make_folder(path)
