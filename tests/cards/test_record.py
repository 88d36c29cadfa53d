"""An export is recorded once its card is signed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from medground.audit.anchor import AnchorFile
from medground.audit.event import Action
from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.audit.verify import verify as verify_log
from medground.cards.keys import load_signing_key
from medground.cards.record import record_export
from medground.cards.verify import verify
from medground.schema.errors import CardError
from tests.audit.chains import Clock
from tests.cards.small_card import SmallCard, copied


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{tmp_path / 'audit.db'}")
    create_tables(engine)
    return engine


def test_the_log_and_the_anchors_have_it(card: SmallCard, engine: Engine, tmp_path: Path) -> None:
    copy, key = copied(card, tmp_path), load_signing_key(card.private)
    clock, anchors = Clock(), AnchorFile(tmp_path / "anchors")
    log = AuditLog(engine, clock)
    record_export(copy, key, log, None, clock)
    again = record_export(copy, key, log, anchors, clock)
    assert again.anchor is not None
    assert [entry.event.action for entry in log.read()] == [Action.EXPORTED] * 2
    assert [(anchor.sequence, anchor.hash) for anchor in anchors.read()] == [(2, again.record.hash)]
    assert verify_log(engine, anchors.read()).broken is None
    assert verify(copy, [card.key]).findings == ()


def test_a_card_that_is_not_signed_is_not_recorded(card: SmallCard, engine: Engine, tmp_path: Path) -> None:
    copy, key, log = copied(card, tmp_path), load_signing_key(card.private), AuditLog(engine, Clock())
    for name in ("card.sig", "card.json"):
        (copy / name).unlink()
        with pytest.raises(CardError, match=f"has no {name}"):
            record_export(copy, key, log, None, Clock())
    assert log.read() == []
