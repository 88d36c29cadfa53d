"""What only the log and its anchors show of an entry."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from medground.audit.anchor import AnchorFile, anchor_head
from medground.audit.log import AuditLog
from medground.cards.against_log import check_against_log
from medground.cards.audit_file import AuditFile, read_audit_file
from medground.cards.findings import Kind
from medground.schema.errors import AuditError, InputNotFoundError
from tests.audit.chains import Clock, Owner, chain, event
from tests.cards.small_card import BEFORE, SmallCard

OURS = BEFORE + 1


@dataclass(frozen=True)
class Place:
    """A log of a test's own, and the card's entry."""

    engine: Engine
    url: str
    anchors: AnchorFile
    file: AuditFile

    def check(self, *, log: bool = True, anchors: bool = True) -> list[str]:
        found = check_against_log(self.file, self.url if log else None, self.anchors if anchors else None)
        assert {(finding.file, finding.kind) for finding in found} <= {("audit.json", Kind.CHAIN)}
        return [finding.words for finding in found]


@pytest.fixture
def place(card: SmallCard, tmp_path: Path) -> Iterator[Place]:
    shutil.copy(card.url.removeprefix("sqlite:///"), tmp_path / "audit.db")
    shutil.copy(card.anchors, tmp_path / "anchors")
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    engine = create_engine(url)
    file = read_audit_file((card.directory / "audit.json").read_bytes())
    yield Place(engine, url, AnchorFile(tmp_path / "anchors"), file)
    engine.dispose()


def test_it_is_there(place: Place) -> None:
    clock = Clock()
    log = AuditLog(place.engine, clock)
    for more in range(3):  # what others do meanwhile
        assert place.check() == place.check(anchors=False) == place.check(log=False) == []
        log.append(event(more))
        anchor_head(log, place.anchors, clock)


def test_another_log(place: Place) -> None:
    Owner(place.engine).write(chain(OURS))
    assert place.check(anchors=False) == [
        f"entry {OURS} of the log is another one than the card's: the export is not in this log"
    ]
    assert place.check()[0].startswith("the audit log itself is broken (rewritten)")


def test_a_tail_that_was_cut_off(place: Place) -> None:
    owner = Owner(place.engine)
    owner.write(owner.rows()[:-1])
    assert place.check(anchors=False) == [
        f"the log has no entry {OURS}: the export is not in it, or its end was cut off"
    ]
    assert place.check()[0].startswith("the audit log itself is broken (truncated)")


def test_anchors_of_another_log(place: Place, tmp_path: Path) -> None:
    line = (tmp_path / "anchors").read_text()
    (tmp_path / "anchors").write_text(line.replace(place.file.record.hash, "1" * 64))
    assert place.check(log=False) == [
        f"the anchors name another entry {OURS} than the card: it, or the log, was written anew"
    ]
    (tmp_path / "anchors").write_text(line.replace(f'"sequence":{OURS}', f'"sequence":{OURS + 1}'))
    assert place.check(log=False) == [f"the anchors have none of entry {OURS}, which the card says was anchored"]
    without = Place(place.engine, place.url, place.anchors, place.file.model_copy(update={"anchor": None}))
    words = f"the anchors say nothing of entry {OURS}: name the log as well, with --audit-log"
    assert without.check(log=False) == [words]


def test_an_anchor_that_is_not_in_the_file(place: Place) -> None:
    assert place.file.anchor is not None
    later = place.file.anchor.model_copy(update={"sequence": OURS + 5})
    other = Place(place.engine, place.url, place.anchors, place.file.model_copy(update={"anchor": later}))
    assert other.check() == [f"the anchors have none of entry {OURS + 5}, which the card says was anchored"]


def test_what_cannot_be_read(place: Place, tmp_path: Path) -> None:
    (tmp_path / "anchors").write_text("no anchor\n")
    with pytest.raises(AuditError, match="line 1 of the anchor file"):
        place.check()
    with pytest.raises(InputNotFoundError, match="no database file"):
        check_against_log(place.file, f"sqlite:///{tmp_path / 'absent.db'}", None)
