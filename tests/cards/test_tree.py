"""What lies in a directory, with limits."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from medground.cards.findings import Finding, Kind
from medground.cards.layout import Limits
from medground.cards.tree import Tree, read_tree
from medground.schema.errors import InputNotFoundError, LimitError

LIMITS = Limits(files=10, file_bytes=1000, all_bytes=2000, kept_bytes=100)


def read(directory: Path, limits: Limits = LIMITS) -> Tree:
    return read_tree(directory, lambda path: path.endswith(".json"), limits)


def test_files_are_hashed_and_some_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.json").write_bytes(b"{}")
    (tmp_path / "c.txt").write_bytes(b"c" * 900)
    (tmp_path / ".hidden").write_bytes(b"")
    tree = read(tmp_path)
    assert tree.digests == {
        "a/b.json": hashlib.sha256(b"{}").hexdigest(),
        "c.txt": hashlib.sha256(b"c" * 900).hexdigest(),
        ".hidden": hashlib.sha256(b"").hexdigest(),
    }
    assert (tree.kept, tree.findings, tree.size_bytes) == ({"a/b.json": b"{}"}, (), 902)


def test_links_are_told_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.json").write_text("secret")
    card = tmp_path / "card"
    (card / "a").mkdir(parents=True)
    (card / "a" / "f").write_text("f")
    (card / "a" / "inside").symlink_to("../a/f")
    (card / "a" / "up").symlink_to("../../outside/secret.json")
    (card / "folder").symlink_to(outside)
    (card / "ring").symlink_to("ring")
    os.mkfifo(card / "pipe")
    (card / "empty").mkdir()
    tree = read(card)
    assert set(tree.digests) == {"a/f"}
    inside, leaves = "a link, where only files may be", "a link that leaves the card"
    assert tree.findings == (
        Finding("a/inside", Kind.LINK, inside),
        Finding("a/up", Kind.LINK, leaves),
        Finding("empty", Kind.ADDED, "an empty folder that no card has"),
        Finding("folder", Kind.LINK, leaves),
        Finding("pipe", Kind.LINK, "a pipe, socket or device, where only files may be"),
        Finding("ring", Kind.LINK, inside),
    )


def test_a_name_that_is_no_text_is_told_in_one_that_is(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff\x1b[2J")).symlink_to("nowhere")
    [finding] = read(tmp_path).findings
    assert finding.file == "bad\\udcff\\x1b[2J"
    assert finding.file.isprintable()
    finding.file.encode()


def test_limits(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}").write_bytes(b"x" * 100)
    read(tmp_path)
    with pytest.raises(LimitError, match="more than 9 files"):
        read(tmp_path, replace(LIMITS, files=9))
    with pytest.raises(LimitError, match="up to 99 are read of it"):
        read(tmp_path, replace(LIMITS, file_bytes=99))
    with pytest.raises(LimitError, match="999 of all"):
        read(tmp_path, replace(LIMITS, all_bytes=999))
    (tmp_path / "0").rename(tmp_path / "0.json")
    with pytest.raises(LimitError, match=r"'0\.json' has 100 bytes; up to 99"):
        read(tmp_path, replace(LIMITS, kept_bytes=99))
    deep = tmp_path.joinpath("deep", *"abcdefghijklmnopq")
    deep.mkdir(parents=True)
    with pytest.raises(LimitError, match="16 deep"):
        read(tmp_path, Limits())
    with pytest.raises(InputNotFoundError, match="no directory is at"):
        read(tmp_path / "absent")
    with pytest.raises(InputNotFoundError, match="no directory is at"):
        read(tmp_path / "1")
