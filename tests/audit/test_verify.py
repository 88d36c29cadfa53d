"""Everything that whoever owns the database can do to a log is found, and told for what it is."""

from __future__ import annotations

import itertools
import random
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, update

from medground.audit.anchor import Anchor
from medground.audit.entry import NO_HASH, Record, record_of
from medground.audit.log import AuditLog, Head
from medground.audit.tables import audit_entries, create_tables
from medground.audit.verify import Kind, verify
from medground.schema.errors import AuditError
from tests.audit.chains import START, Clock, Owner, chain
from tests.audit.chains import event as event_number

COUNT = 9
ROWS = chain(COUNT)
HEAD = (COUNT, ROWS[-1].hash)
COLUMNS = Record.__slots__


def anchor(record: Record) -> Anchor:
    return Anchor(record.sequence, record.hash, record.time)


def found(engine: Engine, anchors: Sequence[Anchor] = (), page: int = 4) -> tuple[Kind, int]:
    broken = verify(engine, anchors, page=page).broken
    assert broken is not None
    assert str(broken.sequence) in broken.words or "head" in broken.words or "last entry" in broken.words
    return broken.kind, broken.sequence


def edited(record: Record, column: str) -> Record:
    """The same entry with another value in one column, of the kind that the column takes."""
    value = getattr(record, column)
    if column in ("hash", "previous"):
        return replace(record, **{column: f"{'0' if value[0] == '1' else '1'}{value[1:]}"})
    return replace(record, **{column: value + 1000 if isinstance(value, int) else f"{value}x"})


def renumbered(rows: Sequence[Record]) -> list[Record]:
    return [replace(row, sequence=number) for number, row in enumerate(rows, start=1)]


def rechained(rows: Sequence[Record], start: int) -> list[Record]:
    """The rows with all hashes from one of them on made to fit, as somebody does who knows the form."""
    done = list(rows[:start])
    for row in rows[start:]:
        linked = replace(row, previous=done[-1].hash if done else NO_HASH, sequence=len(done) + 1)
        done.append(replace(linked, hash=linked.digest()))
    return done


def test_a_whole_log(engine: Engine) -> None:
    Owner(engine).write(ROWS)
    for page in (1, 4, COUNT, 100):
        checked = verify(engine, [anchor(ROWS[3]), anchor(ROWS[-1]), Anchor(0, NO_HASH, "")], page=page)
        assert checked.broken is None
        assert (checked.entries, checked.head, checked.anchors) == (COUNT, Head(*HEAD), 2)
        assert checked.missing_triggers != ()


def test_an_empty_log(engine: Engine) -> None:
    checked = verify(engine, [Anchor(0, NO_HASH, "")])
    assert (checked.broken, checked.entries, checked.anchors, checked.missing_triggers) == (None, 0, 0, ())
    assert found(engine, [anchor(ROWS[1])]) == (Kind.TRUNCATED, 1)


@pytest.mark.parametrize("column", [column for column in COLUMNS if column != "sequence"])
def test_any_field_of_any_entry_edited(engine: Engine, column: str) -> None:
    owner = Owner(engine)
    for place in range(COUNT):
        rows = [edited(row, column) if index == place else row for index, row in enumerate(ROWS)]
        owner.write(rows, HEAD)
        assert found(engine) == (Kind.EDITED, place + 1), (column, place)


@pytest.mark.parametrize("number", [-3, 0, COUNT + 1, 1000])
def test_any_entry_given_another_number(engine: Engine, number: int) -> None:
    owner = Owner(engine)
    for place in range(COUNT):
        rows = [replace(row, sequence=number) if index == place else row for index, row in enumerate(ROWS)]
        owner.write(rows, HEAD)
        assert found(engine) == (Kind.REORDERED, place + 1), place


def test_any_edit_with_its_hash_made_to_fit(engine: Engine) -> None:
    owner = Owner(engine)
    for place, column in itertools.product(range(COUNT), ("actor", "details", "time")):
        changed = edited(ROWS[place], column)
        rows = [*ROWS[:place], replace(changed, hash=changed.digest()), *ROWS[place + 1 :]]
        owner.write(rows, HEAD)
        assert found(engine) == (Kind.EDITED, place + 1), (place, column)


def test_any_entry_deleted(engine: Engine) -> None:
    owner = Owner(engine)
    for place in range(COUNT):
        owner.write([*ROWS[:place], *ROWS[place + 1 :]], HEAD)
        kind = Kind.TRUNCATED if place == COUNT - 1 else Kind.DELETED
        assert found(engine) == (kind, place + 1), place


def test_any_run_of_entries_deleted_and_the_numbers_closed_up(engine: Engine) -> None:
    owner = Owner(engine)
    for start, stop in itertools.combinations(range(COUNT), 2):
        rows = renumbered([*ROWS[:start], *ROWS[stop:]])
        for head in (HEAD, (rows[-1].sequence, rows[-1].hash)):
            owner.write(rows, head)
            assert found(engine) == (Kind.DELETED, start + 1), (start, stop, head)


def test_any_two_entries_swapped(engine: Engine) -> None:
    owner = Owner(engine)
    for first, second in itertools.combinations(range(COUNT), 2):
        order = list(range(COUNT))
        order[first], order[second] = second, first
        owner.write(renumbered([ROWS[index] for index in order]), HEAD)
        assert found(engine) == (Kind.REORDERED, first + 1), (first, second)


def test_what_happened_swapped_under_the_hashes_of_any_two(engine: Engine) -> None:
    owner = Owner(engine)
    kept = ("sequence", "previous", "hash")
    for first, second in itertools.combinations(range(COUNT), 2):
        rows = list(ROWS)
        for here, there in ((first, second), (second, first)):
            rows[here] = replace(ROWS[there], **{name: getattr(ROWS[here], name) for name in kept})
        owner.write(rows, HEAD)
        assert found(engine) == (Kind.REORDERED, first + 1), (first, second)


def test_seeded_shuffles(engine: Engine) -> None:
    owner, chance = Owner(engine), random.Random(5)
    for _ in range(15):
        order = list(range(COUNT))
        while order == sorted(order):
            chance.shuffle(order)
        owner.write(renumbered([ROWS[index] for index in order]), HEAD)
        first = next(place for place, index in enumerate(order) if place != index)
        assert found(engine) == (Kind.REORDERED, first + 1), order


def test_entries_put_in(engine: Engine) -> None:
    owner = Owner(engine)
    for place in range(1, COUNT):
        forged = record_of(event_number(99), place + 1, START, ROWS[place - 1].hash)
        owner.write(renumbered([*ROWS[:place], forged, *ROWS[place:]]), HEAD)
        assert found(engine) == (Kind.INSERTED, place + 2), place
    appended = record_of(event_number(99), COUNT + 1, START, ROWS[-1].hash)
    owner.write([*ROWS, appended], HEAD)  # with a hash that fits, and by another way than the log's
    assert found(engine) == (Kind.INSERTED, COUNT + 1)
    owner.write([record_of(event_number(99), 0, START, NO_HASH), *ROWS], HEAD)
    assert found(engine) == (Kind.INSERTED, 1)


def test_an_entry_that_stands_twice(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'audit.db'}")
    create_tables(engine)
    owner = Owner(engine)
    owner.run("DROP TABLE audit_entries")
    owner.run(f"CREATE TABLE audit_entries ({', '.join(COLUMNS)})")  # and no key any more
    for place, page in itertools.product(range(COUNT), (1, 2, 3, 100)):
        owner.write([*ROWS[: place + 1], *ROWS[place:]], HEAD)
        kind, _ = found(engine, page=page)
        assert kind == Kind.INSERTED, (place, page)
    owner.write([*ROWS[:3], replace(ROWS[3], sequence="four"), *ROWS[4:]], HEAD)  # type: ignore[arg-type]
    assert found(engine) == (Kind.REORDERED, 4)
    nameless = [replace(row, sequence=None) for row in chain(3)]  # type: ignore[arg-type]
    owner.write([*nameless, *ROWS[3:]], HEAD)
    assert found(engine, page=1) == (Kind.EDITED, 1)
    owner.write([edited(ROWS[0], "actor"), *ROWS[1:], replace(ROWS[8], sequence="ten", actor="x")], HEAD)  # type: ignore[arg-type]
    assert found(engine) == (Kind.EDITED, 1)


@pytest.mark.parametrize("kept", range(1, COUNT))
def test_the_tail_cut_off(engine: Engine, kept: int) -> None:
    owner = Owner(engine)
    owner.write(ROWS[:kept], HEAD)
    assert found(engine) == (Kind.TRUNCATED, kept + 1)  # the head remembers
    owner.write(ROWS[:kept])
    assert verify(engine).broken is None  # nothing in the database does
    assert found(engine, [anchor(ROWS[-1])]) == (Kind.TRUNCATED, kept + 1)
    assert found(engine, [anchor(ROWS[0]), anchor(ROWS[kept])]) == (Kind.TRUNCATED, kept + 1)
    assert verify(engine, [anchor(ROWS[kept - 1])]).broken is None
    log = AuditLog(engine, Clock())
    for number in range(COUNT + 1, 2 * COUNT + 1):  # and grown again past the anchor
        log.append(event_number(number))
    assert found(engine, [anchor(ROWS[-1])]) == (Kind.REWRITTEN, COUNT)


def test_a_chain_written_anew_from_any_entry(engine: Engine) -> None:
    owner = Owner(engine)
    for place in range(COUNT):
        rows = rechained([edited(row, "actor") if index == place else row for index, row in enumerate(ROWS)], place)
        owner.write(rows)
        assert verify(engine).broken is None
        later = max(place, 5)
        anchors = [anchor(ROWS[index]) for index in (8, later, 2) if index >= later or index < place]
        assert found(engine, anchors) == (Kind.REWRITTEN, later + 1), place
        told = verify(engine, anchors).broken
        assert told is not None
        assert f"from entry {4 if place > 2 else 1} or a later one on" in told.words
        assert verify(engine, [anchor(row) for row in ROWS[:place]]).broken is None


def test_two_anchors_of_one_entry_must_agree(engine: Engine) -> None:
    Owner(engine).write(ROWS)
    wrong = replace(anchor(ROWS[4]), hash=ROWS[3].hash)
    assert found(engine, [anchor(ROWS[4]), wrong]) == (Kind.REWRITTEN, 5)
    assert verify(engine, [anchor(ROWS[4]), anchor(ROWS[4])]).anchors == 1


def test_the_head_tampered_with(engine: Engine) -> None:
    owner = Owner(engine)
    owner.write(ROWS, (COUNT, ROWS[0].hash))
    assert found(engine) == (Kind.EDITED, COUNT)
    owner.write(ROWS, (COUNT - 2, ROWS[COUNT - 3].hash))
    assert found(engine) == (Kind.INSERTED, COUNT - 1)
    if engine.dialect.name == "sqlite":
        owner.run("UPDATE audit_head SET sequence = 'nine'")
        assert found(engine) == (Kind.DELETED, COUNT + 1)
    owner.run("DELETE FROM audit_head")
    assert found(engine) == (Kind.DELETED, COUNT + 1)


def test_content_that_no_column_should_hold(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'audit.db'}")
    create_tables(engine)
    owner = Owner(engine)
    for value in ("X'ff'", "CAST(X'ff' AS TEXT)", "''"):
        owner.write(ROWS)
        owner.run(f"UPDATE audit_entries SET details = {value}, hash = '' WHERE sequence = {COUNT}")
        owner.run("UPDATE audit_head SET hash = ''")
        assert found(engine) == (Kind.EDITED, COUNT), value


def test_where_there_is_no_log_it_is_said(url: str) -> None:
    engine = create_engine(url)
    with pytest.raises(AuditError, match="cannot be read"):
        verify(engine)
    engine.dispose()


def test_entries_that_come_while_it_walks_are_no_break(engine: Engine) -> None:
    Owner(engine).write(ROWS)
    log, numbers = AuditLog(engine, Clock()), itertools.count(100)
    seen: list[int] = []

    def progress(count: int) -> None:
        seen.append(count)
        if count <= 6:
            log.append(event_number(next(numbers)))

    checked = verify(engine, page=2, progress=progress)
    assert checked.broken is None
    assert seen[:4] == [2, 4, 6, 8]
    assert checked.entries == COUNT + 3


@pytest.fixture(scope="module")
def long_chains(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Engine]:
    engines = {}
    rows = chain(100_000)
    for count in (10_000, 100_000):
        engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('long') / 'audit.db'}")
        create_tables(engine)
        Owner(engine).write(rows[:count])
        engines[count] = engine
    return engines


def peak_bytes(engine: Engine) -> int:
    tracemalloc.start()
    try:
        assert verify(engine).broken is None
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_long_log_takes_time_in_proportion_and_memory_of_a_page(long_chains: dict[int, Engine]) -> None:
    seconds, statements = {}, {}
    for count, engine in long_chains.items():
        executed: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda _c, _cur, sql, *_, into=executed: into.append(sql))
        start = time.process_time()
        assert verify(engine).entries == count
        seconds[count] = time.process_time() - start
        statements[count] = sum("ORDER BY" in sql for sql in executed)
    assert statements == {10_000: 11, 100_000: 101}  # pages of 1000, and an empty one
    assert seconds[100_000] < 25 * seconds[10_000]  # ten times the entries; a square would be a hundred times
    peaks = {count: peak_bytes(engine) for count, engine in long_chains.items()}
    assert peaks[100_000] < 1.5 * peaks[10_000]


@pytest.mark.slow
def test_one_edit_in_a_long_log(long_chains: dict[int, Engine]) -> None:
    engine = long_chains[100_000]
    with engine.begin() as connection:
        chosen = audit_entries.c.sequence == 70_001
        connection.execute(update(audit_entries).where(chosen).values(source="192.0.2.8"))
    checked = verify(engine)
    assert checked.broken is not None
    assert (checked.entries, checked.broken.kind, checked.broken.sequence) == (70_000, Kind.EDITED, 70_001)
