"""The canonical form, recomputed by what knows nothing of medground."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from medground.audit import entry
from medground.audit.entry import NO_HASH, entry_of, record_of, time_text
from medground.audit.event import Action, ActorKind, AuditEvent
from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.schema.errors import AuditError
from tests.audit.chains import START, Clock, chain, event

# What an auditor may write who has the docstring and a copy of the database.
AUDITOR = """
import hashlib, json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.row_factory = sqlite3.Row
previous, count = "0" * 64, 0
for row in db.execute("SELECT * FROM audit_entries ORDER BY sequence"):
    members = {key: row[key] for key in row.keys() if key != "hash"}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    count += 1
    if (hashlib.sha256(text.encode()).hexdigest() != row["hash"] or row["previous"] != previous
            or row["sequence"] != count):
        sys.exit(f"entry {count} is wrong")
    previous = row["hash"]
print(count, previous)
"""


def test_the_example_in_the_docstring_is_the_form_and_has_that_hash() -> None:
    said = entry.__doc__ or ""
    example = "".join(line.strip() for line in re.search(r"commas\)::\n\n(.*?)\n\n", said, re.DOTALL)[1].splitlines())
    its_hash = re.search(r"Its hash is `([0-9a-f]{64})`", said)[1]
    assert hashlib.sha256(example.encode()).hexdigest() == its_hash
    first = AuditEvent(
        action=Action.STARTED, actor_kind=ActorKind.SYSTEM, actor="service", details={"version": "0.3.0"}
    )
    record = record_of(first, 1, START, NO_HASH)
    assert (record.canonical().decode(), record.hash) == (example, its_hash)
    listed = re.findall(r"^`(\w+)` +(string|integer) ", said, re.MULTILINE)
    assert listed == sorted(listed)
    kinds = {"string": str, "integer": int}
    assert {key: type(value) for key, value in json.loads(example).items()} == {
        key: kinds[kind] for key, kind in listed
    }


def test_an_auditor_with_a_few_lines_comes_to_the_same_hashes(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'audit.db'}")
    create_tables(engine)
    log = AuditLog(engine, Clock())
    for number in range(1, 30):
        last = log.append(event(number))
    command = [sys.executable, "-I", "-c", AUDITOR, tmp_path / "audit.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["29", last.hash]


def test_an_entry_comes_back_as_it_was_written() -> None:
    (record,) = chain(1)
    read = entry_of(record)
    assert (read.sequence, read.time, read.event) == (1, START, event(1))
    assert record_of(read.event, read.sequence, read.time, read.previous) == record


@pytest.mark.parametrize("name", [name for name in entry.Record.__slots__ if name != "hash"])
def test_every_member_is_hashed(name: str) -> None:
    (record,) = chain(1)
    value = getattr(record, name)
    other = replace(record, **{name: value + 1 if isinstance(value, int) else f"{value}0"})
    assert record.is_whole()
    assert not other.is_whole()
    assert other.digest() != record.digest()


@pytest.mark.parametrize("value", [b"\xff", "\udcff", float("nan"), None, object()])
def test_what_has_no_text_has_no_hash_that_fits(value: object) -> None:
    (record,) = chain(1)
    odd = replace(record, details=value, hash="")  # type: ignore[arg-type]
    assert not odd.is_whole()


def test_times_are_utc_with_six_decimals() -> None:
    east = timezone(timedelta(hours=8))
    assert time_text(datetime(2026, 1, 2, 11, 4, 5, tzinfo=east)) == "2026-01-02T03:04:05.000000Z"
    with pytest.raises(AuditError, match="has no offset from UTC"):
        time_text(datetime(2026, 1, 2))


def test_what_this_version_cannot_read_is_said_and_not_repeated() -> None:
    (record,) = chain(1)
    deep = {"details": "[" * 100_000}
    for changes in (
        {"action": "Jane Doe"},
        {"details": "["},
        {"details": "3"},
        deep,
        {"time": "Jane Doe"},
        {"form": 2},
    ):
        with pytest.raises(
            AuditError, match=r"entry 1 of the audit log cannot be read: run `medground audit verify`"
        ) as told:
            entry_of(replace(record, **changes))
        assert "Doe" not in str(told.value)


def test_the_time_read_is_the_time_written() -> None:
    for time in (datetime(1999, 12, 31, 23, 59, 59, 999999, UTC), datetime(2026, 5, 6, tzinfo=UTC)):
        assert entry_of(record_of(event(1), 1, time, NO_HASH)).time == time
