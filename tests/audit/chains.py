"""Logs for tests: events that differ, a clock that ticks, and what somebody does who owns the database."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, insert, select, text, update

from medground.audit.entry import NO_HASH, Record, record_of
from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind, Outcome
from medground.audit.tables import audit_entries, audit_head, missing_triggers

START = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)


class Clock:
    """Each look at it finds it a second and a microsecond later."""

    def __init__(self) -> None:
        self._ticks = itertools.count()

    def __call__(self) -> datetime:
        return START + next(self._ticks) * timedelta(seconds=1, microseconds=1)


def event(number: int, **changes: Any) -> AuditEvent:
    """An event that no other number has."""
    values: dict[str, Any] = {
        "action": Action.GROUNDED if number % 3 else Action.REFUSED,
        "outcome": Outcome.SUCCESS if number % 3 else Outcome.MINOR_FAILURE,
        "actor_kind": ActorKind.TOKEN,
        "actor": f"token-{number % 5}",
        "tenant": ("north", "south")[number % 2],
        "source": "192.0.2.7",
        "object_kind": ObjectKind.STUDY,
        "object_id": f"study-{number}",
        "details": {"images": number, "seconds": number / 7, "dry_run": number % 2 == 0, "reason": "scope"},
    }
    return AuditEvent(**(values | changes))


def chain(count: int) -> list[Record]:
    """Entries that the log would write; of what happened, a hundred kinds at most."""
    clock, previous = Clock(), NO_HASH
    made: list[Record] = []
    events = [event(number) for number in range(1, min(count, 100) + 1)]
    for number in range(1, count + 1):
        made.append(record_of(events[(number - 1) % 100], number, clock(), previous))
        previous = made[-1].hash
    return made


class Owner:
    """Whoever owns the database: drops the triggers, and writes what he likes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("DROP FUNCTION audit_refuse() CASCADE"))
            else:
                for name in connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                    connection.execute(text(f"DROP TRIGGER {name}"))
            assert missing_triggers(connection)

    def write(self, rows: Sequence[Record], head: tuple[int, str] | None = None) -> None:
        """Put these entries in place of all; the head as given, else that of the last one."""
        with self._engine.begin() as connection:
            connection.execute(delete(audit_entries))
            for start in range(0, len(rows), 2000):
                connection.execute(insert(audit_entries), [asdict(row) for row in rows[start : start + 2000]])
            sequence, its_hash = head or (rows[-1].sequence, rows[-1].hash)
            connection.execute(update(audit_head).values(sequence=sequence, hash=its_hash))

    def rows(self) -> list[Record]:
        with self._engine.connect() as connection:
            return [Record(*row) for row in connection.execute(select(audit_entries).order_by("sequence"))]

    def run(self, statement: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement), values)
