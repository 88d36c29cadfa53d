"""`medground audit`: checks, anchors, exports and shows the audit log of a database."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medground.audit.anchor import AnchorFile, anchor_head
from medground.audit.database import open_for_reading
from medground.audit.entry import Entry
from medground.audit.event import Outcome
from medground.audit.fhir import ndjson
from medground.audit.log import AuditLog, Selection
from medground.audit.verify import Kind, verify
from medground.cli.progress import stage
from medground.schema.errors import AuditError, UsageError

WIDTH_PIPED = 240
"""Of a table that a program reads: no word of it is cut."""
_NEXT_STEP = "keep the database as it is, stop whoever writes to it, and compare that entry with a backup or an export"
_STYLES = {Outcome.SUCCESS: "green", Outcome.MINOR_FAILURE: "yellow", Outcome.SERIOUS_FAILURE: "bold red"}


def run_verify(database: str, anchor: Path | None, key: Path | None) -> int:
    """Check the chain, and all anchors of a file.

    Args:
        database: URL.
        anchor: file of anchors; None to check the chain alone.
        key: file with the key of its anchors; None for plain ones.

    Returns:
        Exit code 0.

    Raises:
        AuditError: the log is broken, or it or the anchors cannot be read.
    """
    file = _anchor_file(anchor, key) if anchor is not None else None
    anchors = file.read() if file is not None else []  # first: entries that come meanwhile are anchored by none of them
    with open_for_reading(database) as engine, stage(Console(stderr=True), "checking the chain"):
        found = verify(engine, anchors)
    if found.missing_triggers:
        _say(
            Console(stderr=True),
            f"warning: the database lacks {', '.join(found.missing_triggers)}, which refuse to change entries: "
            "somebody dropped them, or it was restored without",
        )
    if found.broken is not None:
        kind = "" if found.broken.kind == Kind.TRUNCATED else f", at entry {found.broken.sequence}"
        raise AuditError(
            f"the audit log is broken ({found.broken.kind}{kind}): {found.broken.words}; {found.entries} entries are "
            f"whole up to there; {_NEXT_STEP}"
        )
    anchored = f"{found.anchors} anchors hold" if file is not None else "without anchors a cut-off end may not show"
    _say(Console(), f"whole: {found.entries} entries, the last one has hash {found.head.hash}; {anchored}")
    return 0


def run_anchor(database: str, out: Path, key: Path | None, every: int) -> int:
    """Anchor the last entry.

    Args:
        database: URL.
        out: file of anchors.
        key: file with their key; None for plain ones.
        every: only if so many entries came since the last anchor.

    Returns:
        Exit code 0.

    Raises:
        AuditError: the last anchor does not hold any more, or something cannot be read or written.
    """
    file = _anchor_file(out, key)
    with open_for_reading(database) as engine:
        anchor = anchor_head(AuditLog(engine, _now), file, _now, every=every)
    _say(Console(), "nothing to anchor yet" if anchor is None else f"anchored entry {anchor.sequence}: {anchor.hash}")
    return 0


def run_export(database: str, out: Path, since: str | None, until: str | None) -> int:
    """Write the entries of a time as FHIR resources.

    Args:
        database: URL.
        out: file to write.
        since: ISO 8601, inclusive; None for the beginning.
        until: ISO 8601, exclusive; None for now.

    Returns:
        Exit code 0.

    Raises:
        UsageError: the file is there already, or a time cannot be read.
        AuditError: the log cannot be read; no file is written then.
    """
    selection = Selection(since=_time(since, "--since"), until=_time(until, "--until"))
    count = 0
    with open_for_reading(database) as engine, _new_file(out) as file:
        for line in ndjson(AuditLog(engine, _now).stream(selection)):
            file.write(line)
            count += 1
    _say(Console(), f"{count} entries written to {out}")
    return 0


def run_show(database: str, last: int, *, tenant: str | None, actor: str | None, object_id: str | None) -> int:
    """Print the last entries, newest first.

    Args:
        database: URL.
        last: so many.
        tenant: only of this one.
        actor: only what this one did.
        object_id: only what was done to this one.

    Returns:
        Exit code 0.

    Raises:
        AuditError: the log cannot be read.
    """
    with open_for_reading(database) as engine:
        chosen = Selection(tenant=tenant, actor=actor, object_id=object_id)
        entries = AuditLog(engine, _now).latest(chosen, limit=last)
    table = Table()
    for heading in ("entry", "time (UTC)", "action", "outcome", "actor", "tenant", "object", "source", "details"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        table.add_row(*_row(entry))
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH_PIPED
    console.print(table)
    return 0


def _row(entry: Entry) -> list[str]:
    event = entry.event
    named = f"{event.object_kind} {event.object_id}" if event.object_id else ""
    return [
        str(entry.sequence),
        f"{entry.time:%Y-%m-%d %H:%M:%S}",
        event.action.value,
        f"[{_STYLES[event.outcome]}]{event.outcome.value.replace('_', ' ')}[/]",
        escape(f"{event.actor_kind} {event.actor}".strip()),
        escape(event.tenant),
        escape(named),
        event.source,
        escape(", ".join(f"{key} {value}" for key, value in sorted(event.details.items()))),
    ]


def _anchor_file(path: Path, key: Path | None) -> AnchorFile:
    if key is None:
        return AnchorFile(path)
    try:
        return AnchorFile(path, key.read_bytes().strip())
    except OSError as cause:
        raise UsageError(f"--key {key} cannot be read ({cause.strerror}); name a file") from cause


def _time(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is no time; give 2026-01-31 or 2026-01-31T08:00+01:00") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A file that appears once all of it is on the disk, readable by its owner alone."""
    if path.exists():
        raise UsageError(f"--out {path} is there already; name a new file")
    try:
        descriptor, name = tempfile.mkstemp(prefix=".medground-", dir=path.parent)
    except OSError as cause:
        raise UsageError(f"--out {path} cannot be written ({cause.strerror}); name a file in a folder") from cause
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _now() -> datetime:
    return datetime.now(UTC)


def _say(console: Console, words: str) -> None:
    console.print(words, highlight=False, markup=False, soft_wrap=True)
