"""What is recorded: who did what to which object, and how it ended; in words from lists, never in free text."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_validator,
)

from medground.schema.config import StrictConfig

MOST_DETAILS, LONGEST_DETAIL, LONGEST_DETAILS_TEXT = 12, 80, 1024
SAFE_INTEGER = 2**53 - 1  # what every reader of JSON keeps exactly
_WORD = re.compile(r"[A-Za-z0-9_+:/{][A-Za-z0-9._+:/{}-]*", re.ASCII)
_UID = re.compile(r"\d+(\.\d+){4,}", re.ASCII)
_VERSION = re.compile(r"\d{1,3}(\.\d{1,3}){0,3}", re.ASCII)
_LETTER = re.compile(r"[A-Za-z]", re.ASCII)
_PATIENT_NUMBER_DIGITS = 24  # a run of digits at least this long is a digest, no hospital's number


class Action(StrEnum):
    """What was done. The first five are for what has no kind of its own."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    EXECUTE = "execute"
    STUDY_STORED = "study_stored"
    STUDY_READ = "study_read"
    STUDIES_SEARCHED = "studies_searched"
    GROUNDED = "grounded"
    RESULT_READ = "result_read"
    REVIEWED = "reviewed"
    SIGNED = "signed"
    EXPORTED = "exported"
    DELETED = "deleted"
    REFUSED = "refused"
    TOKEN_CREATED = "token_created"
    TOKEN_REVOKED = "token_revoked"
    MODEL_LOADED = "model_loaded"
    CONFIG_CHANGED = "config_changed"
    AUDIT_READ = "audit_read"
    STARTED = "started"
    STOPPED = "stopped"


class Outcome(StrEnum):
    """How it ended, as in FHIR's `AuditEvent.outcome` 0, 4 and 8."""

    SUCCESS = "success"
    MINOR_FAILURE = "minor_failure"
    """It did not happen, and may well be asked again: refused, not found, wrong input."""
    SERIOUS_FAILURE = "serious_failure"
    """It did not happen, or only in part, and somebody should look."""


class ActorKind(StrEnum):
    """How it is known who did it."""

    TOKEN = "token"
    OIDC = "oidc"
    DICOM = "dicom"
    SYSTEM = "system"
    UNKNOWN = "unknown"
    """Nobody that could be told: most refusals."""


class ObjectKind(StrEnum):
    """What it was done to."""

    NONE = "none"
    STUDY = "study"
    SERIES = "series"
    IMAGE = "image"
    JOB = "job"
    RESULT = "result"
    REVIEW = "review"
    REPORT = "report"
    DATA_SET = "data_set"
    MODEL = "model"
    TOKEN = "token"
    SETTING = "setting"
    AUDIT_LOG = "audit_log"


DETAILS: Mapping[str, type] = MappingProxyType(
    dict.fromkeys(("accepted", "added", "attempt", "bytes", "changed", "entries", "findings", "images", "limit"), int)
    | dict.fromkeys(("questions", "rejected", "removed", "repeated", "revision", "series", "status", "studies"), int)
    | dict.fromkeys(("limit_seconds", "seconds", "waited_seconds"), float)
    | dict.fromkeys(("dry_run", "emergency", "forced", "retried"), bool)
    | dict.fromkeys(("bundle", "destination", "device", "digest", "format", "job", "kind", "method", "origin"), str)
    | dict.fromkeys(("problem", "reason", "request", "role", "route", "scope", "setting", "state", "version"), str)
)
"""Every key that `AuditEvent.details` may have, with the type of its value. None asks for words about a person."""

Detail = StrictBool | StrictInt | StrictFloat | StrictStr


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))  # what follows is a name of the machine's own
    except ValueError:
        raise ValueError("is no IP address") from None  # its own message quotes what it got


def _listed(details: Mapping[str, Detail]) -> Mapping[str, Detail]:
    for key, value in details.items():
        wanted = DETAILS.get(key)
        if wanted is None:
            raise ValueError("has a key that is not in medground.audit.event.DETAILS")
        if type(value) is int and wanted is float:
            continue
        if type(value) is not wanted:
            raise ValueError(f"{key} takes {wanted.__name__}")
        if isinstance(value, str) and not _is_plain(value):
            raise ValueError(f"{key} takes one word of at most {LONGEST_DETAIL} characters, no free text and no UID")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key} takes a finite number")
        if isinstance(value, int) and abs(value) > SAFE_INTEGER:
            raise ValueError(f"{key} takes a number up to 2**53 - 1")
    return dict(details)


def _is_plain(text: str) -> bool:
    """Whether a text is a word of the system's own, as far as that can be told by its looks."""
    return (
        len(text) <= LONGEST_DETAIL
        and _WORD.fullmatch(text) is not None
        and _UID.search(text) is None
        and (_LETTER.search(text) is not None or _VERSION.fullmatch(text) is not None)
    )


class AuditEvent(StrictConfig):
    """One thing that happened.

    What is wrong in it is told without quoting it, since it may be what must not be written down.

    Attributes:
        action: what was done.
        outcome: how it ended.
        actor_kind: how it is known who did it.
        actor: token id, subject, AE title, or the part of the system; printable ASCII; empty only if unknown.
        tenant: whose; empty for what belongs to none.
        source: IP address it came from, in its shortest form; empty where there was no network.
        object_kind: what it was done to.
        object_id: opaque key of that, A-Z, a-z, 0-9, `_` and `-`, at most 64. Never a patient's number (only digits,
            fewer than 24 of them, is refused) nor a DICOM UID (its dots are).
        details: keys of `DETAILS` with values of their types; a text is one word of A-Z, a-z, 0-9 and `._+:/{}-`, at
            most 80 characters, with a letter in it (but for a version like 0.3.0), and no DICOM UID.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    action: Action
    outcome: Outcome = Outcome.SUCCESS
    actor_kind: ActorKind
    actor: Annotated[str, StringConstraints(pattern=r"^([!-~]([ -~]{0,253}[!-~])?)?$")] = ""
    tenant: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    source: Annotated[str, AfterValidator(_address)] = ""
    object_kind: ObjectKind = ObjectKind.NONE
    object_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = ""
    details: Annotated[Mapping[str, Detail], AfterValidator(_listed)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> AuditEvent:
        if (self.actor == "") != (self.actor_kind == ActorKind.UNKNOWN):
            raise ValueError("an actor is named exactly if its kind is not unknown")
        if (self.object_id == "") != (self.object_kind == ObjectKind.NONE):
            raise ValueError("an object is named exactly if its kind is not none")
        if self.object_id.isdigit() and len(self.object_id) < _PATIENT_NUMBER_DIGITS:
            raise ValueError("object_id has digits only, as a patient's number has; put a word before it")
        if len(self.details) > MOST_DETAILS or len(self.details_text) > LONGEST_DETAILS_TEXT:
            raise ValueError(f"details are more than {MOST_DETAILS}, or longer than {LONGEST_DETAILS_TEXT} in all")
        return self

    @property
    def details_text(self) -> str:
        """The details as they are stored and hashed: JSON, keys sorted, no spaces, ASCII; checked once more."""
        return json.dumps(_listed(self.details), sort_keys=True, separators=(",", ":"), allow_nan=False)
