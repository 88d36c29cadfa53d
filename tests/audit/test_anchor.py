"""Anchors outside the database: written whole or not at all, by one at a time, and not to be forged with a key."""

from __future__ import annotations

import hashlib
import hmac
import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from medground.audit.anchor import Anchor, AnchorFile, anchor_head
from medground.audit.entry import NO_HASH, time_text
from medground.audit.log import AuditLog
from medground.audit.verify import verify
from medground.schema.errors import AuditError, UsageError
from tests.audit.chains import START, Clock, Owner, chain, event
from tests.full_disk import no_file_longer_than

KEY = b"k" * 32
ANCHORS = [Anchor(row.sequence, row.hash, row.time) for row in chain(4)]


def written(path: Path, key: bytes | None = None) -> AnchorFile:
    file = AnchorFile(path, key)
    for anchor in ANCHORS:
        file.append(anchor)
    return file


@pytest.mark.parametrize("key", [None, KEY])
def test_anchors_come_back(tmp_path: Path, key: bytes | None) -> None:
    file = written(tmp_path / "anchors", key)
    assert file.read() == ANCHORS
    assert file.last() == ANCHORS[-1]
    assert AnchorFile(tmp_path / "anchors").read() == ANCHORS  # the mark is no hindrance to who has no key
    assert AnchorFile(tmp_path / "none").last() is None


def test_a_line_is_as_documented(tmp_path: Path) -> None:
    written(tmp_path / "anchors", KEY)
    line = (tmp_path / "anchors").read_text().splitlines()[1]
    members = json.loads(line)
    mac = members.pop("mac")
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    assert mac == hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()
    assert members == {"sequence": 2, "hash": ANCHORS[1].hash, "time": ANCHORS[1].time}
    assert line.startswith('{"hash":"')
    assert " " not in line


def test_a_forged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    file = written(path, KEY)
    whole = path.read_text()
    lines = whole.splitlines()
    forged = lines[2].replace('"sequence":3', '"sequence":2')
    plain = json.dumps({"hash": ANCHORS[2].hash, "sequence": 3, "time": ANCHORS[2].time})
    other = lines[2].replace(lines[2].split('"mac":"')[1][:64], "0" * 64)
    for line in (forged, plain, other):
        path.write_text("\n".join([*lines[:2], line, lines[3], ""]))
        with pytest.raises(AuditError, match=r"line 3 of the anchor file .* does not carry the key's mark"):
            file.read()
    path.write_text(whole)
    with pytest.raises(AuditError, match="line 1 of the anchor file"):
        AnchorFile(path, b"other" * 8).read()
    with pytest.raises(AuditError, match="the last line of the anchor file"):
        AnchorFile(path, b"other" * 8).last()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        "[]",
        '{"sequence":3}',
        json.dumps({"hash": "0" * 63, "sequence": 1, "time": ANCHORS[0].time}),
        json.dumps({"hash": NO_HASH, "sequence": -1, "time": ANCHORS[0].time}),
        json.dumps({"hash": NO_HASH, "sequence": "1", "time": ANCHORS[0].time}),
        json.dumps({"hash": NO_HASH, "sequence": 1, "time": "yesterday"}),
        json.dumps({"hash": NO_HASH, "sequence": 1, "time": ANCHORS[0].time, "note": "x"}),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "anchors"
    file = written(path)
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(AuditError, match=r"line 5 of the anchor file .* is no anchor"):
        file.read()
    with pytest.raises(AuditError, match=r"the last line of the anchor file .* is no anchor"):
        file.last()


def test_what_a_dying_writer_left_does_not_count_and_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    file = written(path)
    whole = path.read_bytes()
    ends = len(whole.splitlines(keepends=True)[-1])
    for cut in (1, 5, 9, ends // 2, ends - 1):
        path.write_bytes(whole[:-cut])
        assert file.read() == ANCHORS[:3]
        assert file.last() == ANCHORS[2]
        file.append(ANCHORS[3])
        assert path.read_bytes() == whole


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    for content in ("buy milk", "first\nbuy milk", '{"hash":"' + "x" * 2000):
        path.write_text(content)
        with pytest.raises(AuditError, match=r"notes.txt is no file of anchors, and is left as it is: name another"):
            AnchorFile(path).append(ANCHORS[0])
        assert path.read_text() == content


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    file = written(path)
    whole = path.read_bytes()
    for room in (0, 1, 50):
        with no_file_longer_than(len(whole) + room), pytest.raises(AuditError, match="cannot be used: "):
            file.append(ANCHORS[0])
        assert path.read_bytes() == whole


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"none/anchors cannot be used: No such file"):
        AnchorFile(tmp_path / "none" / "anchors").append(ANCHORS[0])
    with pytest.raises(AuditError, match=r"anchors cannot be used: No such file"):
        AnchorFile(tmp_path / "anchors").read()
    with pytest.raises(AuditError, match=r"cannot be used: Is a directory"):
        AnchorFile(tmp_path).last()
    with pytest.raises(UsageError, match="a key of 31 bytes can be guessed"):
        AnchorFile(tmp_path / "anchors", KEY[1:])


def _append_some(path: Path, first: int) -> None:
    file = AnchorFile(path, KEY)
    for number in range(first, first + 25):
        file.append(replace(ANCHORS[0], sequence=number))


def test_four_processes_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=_append_some, args=(path, 100 * number)) for number in range(1, 5)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    numbers = [anchor.sequence for anchor in AnchorFile(path, KEY).read()]
    assert sorted(numbers) == [100 * first + number for first in range(1, 5) for number in range(25)]


def test_the_head_is_anchored_every_so_many_entries(engine: Engine, log: AuditLog, tmp_path: Path) -> None:
    file, clock = AnchorFile(tmp_path / "anchors", KEY), Clock()
    assert anchor_head(log, file, clock, every=5) == Anchor(0, NO_HASH, time_text(START))
    made = []
    for number in range(1, 13):
        log.append(event(number))
        made.append(anchor_head(log, file, clock, every=5))
    assert [anchor.sequence for anchor in made if anchor] == [5, 10]
    assert [made[4], made[9]] == file.read()[1:]
    last = anchor_head(log, file, clock)
    assert last is not None
    assert (last.sequence, last.hash) == (12, log.head().hash)
    assert anchor_head(log, file, clock) is None
    assert verify(engine, file.read()).anchors == 3
    with pytest.raises(UsageError, match="an anchor every 0 entries"):
        anchor_head(log, file, clock, every=0)


def test_nothing_is_anchored_on_top_of_an_anchor_that_broke(engine: Engine, log: AuditLog, tmp_path: Path) -> None:
    rows = chain(6)
    owner = Owner(engine)
    owner.write(rows)
    file = AnchorFile(tmp_path / "anchors")
    anchor_head(log, file, Clock())
    before = (tmp_path / "anchors").read_bytes()
    for changed in (rows[:4], [*rows[:5], replace(rows[5], hash=rows[4].hash)]):
        owner.write(changed)
        with pytest.raises(AuditError, match="entry 6 is not the one that was anchored last"):
            anchor_head(log, file, Clock())
    assert (tmp_path / "anchors").read_bytes() == before
