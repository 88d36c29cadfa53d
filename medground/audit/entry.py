r"""An entry of the log, and the exact text that its hash is of.

The hash of an entry is the SHA-256, in lower-case hexadecimal, of the UTF-8 bytes of a JSON object in the canonical
form of RFC 8785: keys in alphabetical order, no spaces, nothing escaped that need not be. It has these thirteen
members, each as it stands in the column of the same name in the table `audit_entries`:

==============  =======  ===========================================================================================
key             JSON     what it holds
==============  =======  ===========================================================================================
`action`        string   what was done
`actor`         string   who did it
`actor_kind`    string   how that is known
`details`       string   a JSON object as text, **taken as it stands**: it is hashed as a string and never parsed
`form`          integer  1: this list of members
`object_id`     string   opaque key of the object
`object_kind`   string   kind of the object
`outcome`       string   how it ended
`previous`      string   hash of the entry before; of the first entry, 64 zeros
`sequence`      integer  1, 2, 3, ...
`source`        string   IP address, or empty
`tenant`        string   tenant, or empty
`time`          string   UTC as `2026-01-02T03:04:05.000006Z`, always with six decimals
==============  =======  ===========================================================================================

Numbers are integers only and texts are ASCII, so that any JSON writer with sorted keys gives the same bytes. The first
entry of a log, as an example (one line, broken here after commas)::

    {"action":"started","actor":"service","actor_kind":"system","details":"{\"version\":\"0.3.0\"}","form":1,
    "object_id":"","object_kind":"none","outcome":"success",
    "previous":"0000000000000000000000000000000000000000000000000000000000000000",
    "sequence":1,"source":"","tenant":"","time":"2026-01-02T03:04:05.000006Z"}

Its hash is `2ec3e4a7fe594a1b0ddb09d5000ca126987ca7909a03d1e49d54919c041b41ba`. To check a log: read the rows by
`sequence`, build this object of each, and compare its hash with `hash` and its `previous` with the `hash` before.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from medground.audit.event import AuditEvent
from medground.schema.config import StrictConfig
from medground.schema.errors import AuditError

FORM = 1
NO_HASH = "0" * 64
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Record:
    """An entry as it is stored, nothing interpreted: what is hashed, and what an edited row still fits into.

    Attributes: the columns of `audit_entries`, see above.
    """

    form: int
    sequence: int
    time: str
    action: str
    outcome: str
    actor_kind: str
    actor: str
    tenant: str
    source: str
    object_kind: str
    object_id: str
    details: str
    previous: str
    hash: str = ""

    def canonical(self) -> bytes:
        """The text that the hash is of; ValueError or TypeError where a column holds what has no such text."""
        return _write({name: getattr(self, name) for name in _HASHED}).encode()

    def digest(self) -> str:
        """The hash that the other members call for; empty where they have no such text, which only tampering leaves."""
        try:
            return hashlib.sha256(self.canonical()).hexdigest()
        except (ValueError, TypeError):
            return ""

    def is_whole(self) -> bool:
        """Whether the hash is that of the other members."""
        digest = self.digest()
        return digest != "" and digest == self.hash


_HASHED = tuple(name for name in sorted(Record.__slots__) if name != "hash")


class Entry(StrictConfig):
    """An entry, read and checked.

    Attributes:
        sequence: 1, 2, 3, ...
        time: when it was written, UTC, in microseconds.
        event: what happened.
        previous: hash of the entry before.
        hash: of this entry.
    """

    sequence: int = Field(ge=1)
    time: datetime
    event: AuditEvent
    previous: Hash
    hash: Hash


def time_text(time: datetime) -> str:
    """A time as entries and anchors have it, for example `2026-01-02T03:04:05.000006Z`.

    Args:
        time: with its offset from UTC.

    Raises:
        AuditError: it has none.
    """
    if time.tzinfo is None:
        raise AuditError(f"the time {time.isoformat()} has no offset from UTC; give the log a clock that tells it")
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def record_of(event: AuditEvent, sequence: int, time: datetime, previous: str) -> Record:
    """The entry of an event, hashed.

    Args:
        event: what happened.
        sequence: of the entry.
        time: now.
        previous: hash of the entry before.
    """
    record = Record(
        form=FORM,
        sequence=sequence,
        time=time_text(time),
        action=event.action.value,
        outcome=event.outcome.value,
        actor_kind=event.actor_kind.value,
        actor=event.actor,
        tenant=event.tenant,
        source=event.source,
        object_kind=event.object_kind.value,
        object_id=event.object_id,
        details=event.details_text,
        previous=previous,
    )
    return replace(record, hash=record.digest())


def entry_of(record: Record) -> Entry:
    """A stored entry, read.

    Raises:
        AuditError: it is none of this version's, or it was tampered with.
    """
    try:
        if record.form != FORM:
            raise ValueError
        event = AuditEvent.model_validate(
            {name: getattr(record, name) for name in AuditEvent.model_fields if name != "details"}
            | {"details": json.loads(record.details)}
        )
        return Entry(
            sequence=record.sequence,
            time=datetime.strptime(record.time, _TIME).replace(tzinfo=UTC),
            event=event,
            previous=record.previous,
            hash=record.hash,
        )
    except (ValueError, TypeError, RecursionError, ValidationError):
        raise AuditError(
            f"entry {record.sequence} of the audit log cannot be read: run `medground audit verify`, and if that finds "
            "nothing, read it with the version that wrote it"
        ) from None
