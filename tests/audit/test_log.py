"""Appending by many at once, in transactions of others, through crashes; and reading back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from medground.audit.entry import NO_HASH
from medground.audit.event import Action, AuditEvent, ObjectKind, Outcome
from medground.audit.log import AuditLog, Head, Selection
from medground.audit.tables import create_tables
from medground.audit.verify import verify
from medground.schema.errors import AuditError, UsageError
from pipelines.judges.postgres import Postgres
from tests.audit.chains import START, Clock, Owner, chain, event
from tests.conftest import REPOSITORY


@contextmanager
def appending(url: str, first: int, count: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.audit.appender", url, str(first), str(count)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until_ready(process: subprocess.Popen[str]) -> list[tuple[int, int]]:
    """The numbers that a process told until it was ready to be told to append."""
    assert process.stdout is not None
    assert process.stderr is not None
    told: list[tuple[int, int]] = []
    while (line := process.stdout.readline()) != "ready\n":
        assert line, process.stderr.read()
        sequence, number = line.split()
        told.append((int(sequence), int(number)))
    return told


def go(*processes: subprocess.Popen[str]) -> None:
    """Have all that are ready append at once."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def test_entries_are_numbered_and_chained(log: AuditLog) -> None:
    assert log.head() == Head(0, NO_HASH)
    entries = [log.append(event(number)) for number in range(1, 5)]
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4]
    assert [entry.previous for entry in entries] == [NO_HASH, *(entry.hash for entry in entries[:-1])]
    assert [entry.hash for entry in entries] == [record.hash for record in chain(4)]
    assert log.read() == entries
    assert log.head() == Head(4, entries[-1].hash)
    assert [log.hash_of(number) for number in (1, 5)] == [entries[0].hash, None]


def test_what_happened_and_its_record_stand_or_fall_together(engine: Engine, log: AuditLog) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE results (name TEXT)"))
    for number, ends_well in enumerate((True, False, True), start=1):
        with engine.connect() as connection:
            connection.execute(text("INSERT INTO results VALUES (:name)"), {"name": f"result {number}"})
            log.append(event(number), connection)
            connection.commit() if ends_well else connection.rollback()
    with engine.connect() as connection:
        assert connection.scalars(text("SELECT name FROM results ORDER BY name")).all() == ["result 1", "result 3"]
    assert [entry.event.object_id for entry in log.read()] == ["study-1", "study-3"]
    assert verify(engine).broken is None
    assert log.head().sequence == 2


def test_several_events_of_one_transaction(engine: Engine, log: AuditLog) -> None:
    with engine.begin() as connection:
        entries = [log.append(event(number), connection) for number in (1, 2, 3)]
    assert log.read() == entries
    assert verify(engine).entries == 3


@pytest.mark.parametrize("processes", [4])
def test_four_processes_append_at_once(engine: Engine, url: str, processes: int) -> None:
    lines: list[tuple[int, int]] = []
    with ExitStack() as stack:
        running = [stack.enter_context(appending(url, 1000 * number + 1, 60)) for number in range(processes)]
        for process in running:
            until_ready(process)
        for _ in range(16):  # on a busy machine one may be through before the next one is awake
            go(*running)
            lines += [line for process in running for line in until_ready(process)]
            own = [
                [sequence for sequence, number in lines if number // 1000 == process] for process in range(processes)
            ]
            if any(_are_apart(sequences[-60:]) for sequences in own):
                break
    assert sorted(sequence for sequence, _ in lines) == list(range(1, len(lines) + 1))
    stored = {row.sequence: row.object_id for row in Owner(engine).rows()}
    assert stored == {sequence: f"study-{number}" for sequence, number in lines}
    found = verify(engine, page=7)
    assert (found.entries, found.broken) == (len(lines), None)
    assert all(sequences == sorted(sequences) for sequences in own)
    assert any(_are_apart(sequences[-60:]) for sequences in own)  # they did mix


def _are_apart(sequences: list[int]) -> bool:
    """Whether others came in between."""
    return sequences != list(range(sequences[0], sequences[0] + len(sequences)))


def test_a_process_killed_while_it_appends_leaves_a_whole_chain(engine: Engine, url: str, log: AuditLog) -> None:
    told = 0
    for round_ in range(4):
        with appending(url, round_ * 1000, 1000) as process:
            until_ready(process)
            go(process)
            assert process.stdout is not None
            for _ in range(5 + 3 * round_):
                told = int(process.stdout.readline().split()[0])
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read()  # `communicate` would lose the lines that came with the last one read
        told = max([told, *(int(line.split()[0]) for line in rest.splitlines() if line.count(" ") == 1)])
        found = verify(engine)
        assert found.broken is None
        assert told <= found.entries <= told + 1  # at most one was committed and not told
    last = log.append(event(1))
    assert last.sequence == found.entries + 1
    assert verify(engine).broken is None


@pytest.mark.judge("postgresql")
def test_a_database_killed_while_entries_come_leaves_a_whole_chain() -> None:
    with Postgres() as own:
        engine = create_engine(own.url)
        create_tables(engine)
        with appending(own.url, 1, 100_000) as process:
            until_ready(process)
            go(process)
            assert process.stdout is not None
            for _ in range(30):
                told = int(process.stdout.readline().split()[0])
            own.kill()
            assert process.stderr is not None
            rest, error = process.stdout.read(), process.stderr.read()
        assert "AuditError: the audit log cannot be written to" in error
        told = max([told, *(int(line.split()[0]) for line in rest.splitlines())])
        own.start()
        engine.dispose()
        found = verify(engine)
        assert found.broken is None
        assert told <= found.entries <= told + 1
        engine.dispose()


def test_an_engine_that_begins_by_itself(begun_by_hook: Engine) -> None:
    create_tables(begun_by_hook)
    url = str(begun_by_hook.url)
    with appending(url, 1, 40) as other:
        until_ready(other)
        go(other)
        log = AuditLog(begun_by_hook, Clock())
        for number in range(1001, 1041):
            log.append(event(number))
        assert other.communicate(timeout=300)[1] == ""
    assert verify(begun_by_hook).entries == 80
    with begun_by_hook.begin() as connection:
        log.append(event(2000), connection)
    assert verify(begun_by_hook).broken is None
    assert log.head().sequence == 81


def test_a_transaction_that_read_before_another_wrote_fails_whole(begun_by_hook: Engine) -> None:
    create_tables(begun_by_hook)
    log = AuditLog(begun_by_hook, Clock())
    with begun_by_hook.connect() as stale:
        assert stale.scalar(text("SELECT count(*) FROM audit_entries")) == 0
        log.append(event(1))
        with pytest.raises(OperationalError, match="database is locked"):
            log.append(event(2), stale)
    assert [entry.event.object_id for entry in log.read()] == ["study-1"]
    assert verify(begun_by_hook).broken is None


@pytest.mark.judge("postgresql")
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_stricter_transaction_is_told_to_try_again(postgres: Postgres, level: str) -> None:
    engine = create_engine(postgres.new_schema(), isolation_level=level)
    create_tables(engine)
    log = AuditLog(engine, Clock())
    with engine.connect() as stale:
        assert stale.scalar(text("SELECT count(*) FROM audit_entries")) == 0
        log.append(event(1))
        with pytest.raises(OperationalError) as told:
            log.append(event(2), stale)
    assert told.value.orig.sqlstate == "40001"  # type: ignore[union-attr]
    assert [entry.event.object_id for entry in log.read()] == ["study-1"]
    assert verify(engine).broken is None
    engine.dispose()


def test_a_connection_that_commits_by_itself_is_refused(engine: Engine, log: AuditLog) -> None:
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(UsageError, match="commits every statement by itself"),
    ):
        log.append(event(1), connection)
    assert log.read() == []


def test_where_there_is_no_log_it_is_said(url: str) -> None:
    engine = create_engine(url)
    log = AuditLog(engine, Clock())
    with pytest.raises(AuditError, match=r"cannot be written to \(\w+\): look whether the database is there"):
        log.append(event(1))
    for look in (log.head, log.read, lambda: list(log.stream()), lambda: log.hash_of(1)):
        with pytest.raises(AuditError, match=r"cannot be read \(\w+\)"):
            look()
    create_tables(engine)
    Owner(engine).run("DELETE FROM audit_head")
    with pytest.raises(AuditError, match="has lost the row that names its last entry"):
        log.append(event(1))
    engine.dispose()


def test_a_clock_without_an_offset_writes_nothing(engine: Engine) -> None:
    log = AuditLog(engine, lambda: datetime(2026, 1, 2))
    with pytest.raises(AuditError, match="has no offset from UTC"):
        log.append(event(1))
    assert verify(engine).entries == 0


def test_pages(log: AuditLog) -> None:
    entries = [log.append(event(number)) for number in range(1, 24)]
    read, after = [], 0
    while page := log.read(after=after, limit=5):
        assert len(page) <= 5
        read += page
        after = page[-1].sequence
    assert read == entries
    assert list(log.stream(page=4)) == entries
    assert log.latest(limit=3) == entries[:-4:-1]
    assert [log.read(limit=23), log.read(after=23)] == [entries, []]
    for limit in (0, 10_001):
        with pytest.raises(UsageError, match=f"{limit} entries at once; ask for 1 to 10000"):
            log.read(limit=limit)


def test_selections(log: AuditLog) -> None:
    entries = [log.append(event(number)) for number in range(1, 24)]
    other = AuditEvent(action=Action.STARTED, actor_kind="system", actor="service", outcome=Outcome.SERIOUS_FAILURE)
    entries.append(log.append(other))

    def chosen(**wanted: object) -> list[int]:
        found = [entry.sequence for entry in log.read(Selection(**wanted))]  # type: ignore[arg-type]
        assert [entry.sequence for entry in log.stream(Selection(**wanted), page=3)] == found  # type: ignore[arg-type]
        return found

    assert chosen(action=Action.REFUSED) == [3, 6, 9, 12, 15, 18, 21]
    assert chosen(outcome=Outcome.SERIOUS_FAILURE) == [24]
    assert chosen(actor="token-2") == [2, 7, 12, 17, 22]
    assert chosen(tenant="north", actor="token-2") == [2, 12, 22]
    assert chosen(tenant="") == [24]
    assert chosen(object_kind=ObjectKind.STUDY, object_id="study-7") == [7]
    assert chosen(object_id="nobody") == []
    since, until = entries[4].time, entries[7].time
    assert chosen(since=since, until=until) == [5, 6, 7]
    assert chosen(since=since + timedelta(microseconds=1), until=until + timedelta(microseconds=1)) == [6, 7, 8]
    assert chosen(until=START) == []
    assert [entry.sequence for entry in log.latest(Selection(tenant="north"), limit=2)] == [22, 20]


def test_an_entry_that_was_tampered_with_is_not_read_as_if_it_were_whole(engine: Engine, tmp_path: Path) -> None:
    rows = chain(3)
    owner = Owner(engine)
    owner.write(rows)
    owner.run("UPDATE audit_entries SET action = 'praised' WHERE sequence = 2")
    log = AuditLog(engine, Clock())
    assert len(log.read(limit=1)) == 1
    with pytest.raises(AuditError, match="entry 2 of the audit log cannot be read: run `medground audit verify`"):
        log.read()
