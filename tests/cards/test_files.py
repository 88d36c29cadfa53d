"""A file is there as a whole or as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from medground.cards.files import replace_file


def test_a_file_is_replaced(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        replace_file(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_left_of_one_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="Is a directory"):
        replace_file(tmp_path / "folder", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
