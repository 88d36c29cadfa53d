"""A token from its file, and nothing of it in a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from medground.cli.service_token import read_token
from medground.schema.errors import UsageError


def test_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("  mg_secret\n")
    assert read_token(tmp_path / "token") == "mg_secret"


@pytest.mark.parametrize("content", [b"", b"\n", b"mg_secret mg_other", "mg_é".encode(), b"x" * 70_000])
def test_what_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(UsageError, match="medground token create") as error:
        read_token(tmp_path / "token")
    assert "mg_" not in str(error.value).replace(str(tmp_path), "")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "token")
