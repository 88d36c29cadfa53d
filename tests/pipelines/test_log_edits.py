"""What an owner of the database does to a log: some of it the chain shows, some of it the anchors alone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from medground.audit.anchor import Anchor, AnchorFile
from medground.audit.verify import Kind, Verification, verify
from pipelines.log_edits import DAMAGES, ENTRIES, make_log, tamper


@dataclass(frozen=True)
class Log:
    path: Path
    anchors: list[Anchor]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    folder = tmp_path_factory.mktemp("log")
    make_log(folder / "log.db", folder / "anchors")
    return Log(folder / "log.db", AnchorFile(folder / "anchors").read())


def checked(path: Path, anchors: list[Anchor]) -> Verification:
    engine = create_engine(f"sqlite:///{path}")
    try:
        return verify(engine, anchors)
    finally:
        engine.dispose()


def test_the_log_is_whole(log: Log) -> None:
    found = checked(log.path, log.anchors)
    assert found.broken is None
    assert (found.entries, found.anchors) == (ENTRIES, 7)
    assert log.anchors[-1].sequence == ENTRIES


@pytest.mark.parametrize("how", DAMAGES)
def test_every_damage_is_found(log: Log, tmp_path: Path, how: str) -> None:
    before, copy = log.path.read_bytes(), tmp_path / "copy.db"
    for seed in range(4):
        words = tamper(log.path, copy, how, random.Random(seed))
        broken = checked(copy, log.anchors).broken
        assert broken is not None, words
        # Where everything was hashed anew, and where the end was cut off, the chain alone fits together.
        needs_anchors = "all hashes" in how or "numbers and hashes" in how or how == "tail cut off"
        assert (checked(copy, []).broken is None) == needs_anchors, words
        if how == "tail cut off":
            assert broken.kind == Kind.TRUNCATED
    assert log.path.read_bytes() == before
