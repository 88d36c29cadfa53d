"""The log as FHIR R4 AuditEvent resources, one per line (NDJSON, as in bulk data export).

Each resource carries its own proof: the last entity has the entry's hash and, in base64, the text that the hash is of.

Source: HL7 FHIR R4 (4.0.1), AuditEvent; DICOM PS3.16, CID 400 and 401 (events), CID 402 (roles), and PS3.15, A.5.3.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from medground.audit.entry import Entry, record_of, time_text
from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind, Outcome
from medground.schema.errors import AuditError

MEDIA_TYPE = "application/fhir+ndjson"
IDENTIFIERS = "https://github.com/medground/medground/audit"  # of what our keys are; nothing needs to answer there

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_HL7 = "http://terminology.hl7.org/CodeSystem"
_RESTFUL = "http://hl7.org/fhir/restful-interaction"
_IP_ADDRESS = "2"  # of FHIR's network-type

Coding = dict[str, str]


def _dcm(code: str, display: str) -> Coding:
    return {"system": _DCM, "code": code, "display": display}


def _rest(code: str) -> Coding:
    return {"system": _RESTFUL, "code": code, "display": code}


_OPERATION = {"system": f"{_HL7}/audit-event-type", "code": "rest", "display": "RESTful Operation"}
_ATTEST = {"system": f"{_HL7}/iso-21089-lifecycle", "code": "attest", "display": "Attest Record Lifecycle Event"}
_ACTIVITY = _dcm("110100", "Application Activity")
_ALERT = _dcm("110113", "Security Alert")
_ACCESSED = _dcm("110103", "DICOM Instances Accessed")
_CONFIGURATION = _dcm("110131", "Software Configuration")
_USER_ATTRIBUTES = _dcm("110137", "User Security Attributes Changed")

# What was done: type, subtype, and whether it created, read, updated, deleted or executed.
_EVENTS: Mapping[Action, tuple[Coding, Coding, str]] = MappingProxyType(
    {
        Action.CREATE: (_OPERATION, _rest("create"), "C"),
        Action.READ: (_OPERATION, _rest("read"), "R"),
        Action.UPDATE: (_OPERATION, _rest("update"), "U"),
        Action.DELETE: (_OPERATION, _rest("delete"), "D"),
        Action.EXECUTE: (_OPERATION, _rest("operation"), "E"),
        Action.STUDY_STORED: (_dcm("110104", "DICOM Instances Transferred"), _rest("create"), "C"),
        Action.STUDY_READ: (_ACCESSED, _rest("read"), "R"),
        Action.STUDIES_SEARCHED: (_dcm("110112", "Query"), _rest("search-type"), "E"),
        Action.GROUNDED: (_OPERATION, _rest("operation"), "E"),
        Action.RESULT_READ: (_OPERATION, _rest("read"), "R"),
        Action.REVIEWED: (_OPERATION, _rest("update"), "U"),
        Action.SIGNED: (_ATTEST, _rest("update"), "U"),
        Action.EXPORTED: (_dcm("110106", "Export"), _rest("read"), "R"),
        Action.DELETED: (_OPERATION, _rest("delete"), "D"),
        Action.REFUSED: (_ALERT, _dcm("110132", "Use of Restricted Function"), "E"),
        Action.TOKEN_CREATED: (_ALERT, _USER_ATTRIBUTES, "C"),
        Action.TOKEN_REVOKED: (_ALERT, _USER_ATTRIBUTES, "D"),
        Action.MODEL_LOADED: (_ACTIVITY, _CONFIGURATION, "E"),
        Action.CONFIG_CHANGED: (_ALERT, _CONFIGURATION, "U"),
        Action.AUDIT_READ: (_dcm("110101", "Audit Log Used"), _rest("read"), "R"),
        Action.STARTED: (_ACTIVITY, _dcm("110120", "Application Start"), "E"),
        Action.STOPPED: (_ACTIVITY, _dcm("110121", "Application Stop"), "E"),
    }
)
_STUDY_DELETED = _dcm("110105", "DICOM Study Deleted")
_OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {Outcome.SUCCESS: "0", Outcome.MINOR_FAILURE: "4", Outcome.SERIOUS_FAILURE: "8"}
)
_APPLICATION = _dcm("110150", "Application")
_HUMAN = {"system": f"{_HL7}/extra-security-role-type", "code": "humanuser", "display": "human user"}
_SYSTEM_OBJECT = {"system": f"{_HL7}/audit-entity-type", "code": "2", "display": "System Object"}
_SERVER = {"system": f"{_HL7}/security-source-type", "code": "4", "display": "Application Server"}
_ROLES: Mapping[ObjectKind, tuple[str, str]] = MappingProxyType(
    {
        ObjectKind.STUDY: ("3", "Report"),  # so does the definition of that role name a DICOM study
        ObjectKind.SERIES: ("3", "Report"),
        ObjectKind.IMAGE: ("3", "Report"),
        ObjectKind.REPORT: ("3", "Report"),
        ObjectKind.JOB: ("20", "Job"),
        ObjectKind.TOKEN: ("13", "Security Resource"),
        ObjectKind.SETTING: ("13", "Security Resource"),
        ObjectKind.AUDIT_LOG: ("13", "Security Resource"),
        ObjectKind.MODEL: ("5", "Master file"),
    }
)
_OTHER_ROLE = ("4", "Domain Resource")


def ndjson(entries: Iterable[Entry]) -> Iterator[str]:
    """One line per entry, with its end.

    Args:
        entries: oldest first.
    """
    for entry in entries:
        yield json.dumps(resource(entry), separators=(",", ":"), ensure_ascii=False) + "\n"


def resource(entry: Entry) -> dict[str, Any]:
    """An entry as a FHIR R4 AuditEvent.

    Args:
        entry: of the log.

    Returns:
        The resource as JSON; its id is the entry's hash, which is as long as a FHIR id may be.

    Raises:
        AuditError: the entry is not what was hashed.
    """
    event = entry.event
    kind, subtype, action = _EVENTS[event.action]
    if event.action == Action.DELETED and event.object_kind == ObjectKind.STUDY:
        kind = _STUDY_DELETED
    return {
        "resourceType": "AuditEvent",
        "id": entry.hash,
        "type": kind,
        "subtype": [subtype],
        "action": action,
        "recorded": time_text(entry.time),
        "outcome": _OUTCOMES[event.outcome],
        "agent": [_agent(event)],
        "source": {
            **({"site": event.tenant} if event.tenant else {}),
            "observer": {"display": "medground"},
            "type": [_SERVER],
        },
        "entity": [*_object(event), _proof(entry)],
    }


def _agent(event: AuditEvent) -> dict[str, Any]:
    """Who did it; what asks by itself is an application, and who signed in is a person."""
    role = _HUMAN if event.actor_kind == ActorKind.OIDC else _APPLICATION
    known = event.actor_kind != ActorKind.UNKNOWN
    return {
        **({"type": {"coding": [role]}, "who": _reference(event.actor_kind, event.actor)} if known else {}),
        "requestor": event.actor_kind != ActorKind.SYSTEM,
        **({"network": {"address": event.source, "type": _IP_ADDRESS}} if event.source else {}),
    }


def _object(event: AuditEvent) -> list[dict[str, Any]]:
    details = [{"type": key, "valueString": _text(value)} for key, value in sorted(event.details.items())]
    if event.object_kind == ObjectKind.NONE and not details:
        return []
    code, display = _ROLES.get(event.object_kind, _OTHER_ROLE)
    named = event.object_kind != ObjectKind.NONE
    return [
        {
            **({"what": _reference(event.object_kind, event.object_id)} if named else {}),
            "type": _SYSTEM_OBJECT,
            **({"role": {"system": f"{_HL7}/object-role", "code": code, "display": display}} if named else {}),
            **({"detail": details} if details else {}),
        }
    ]


def _proof(entry: Entry) -> dict[str, Any]:
    """The entry in the chain: hashing `hashed` gives `sha256`, and its `previous` is the `sha256` of the one before."""
    record = record_of(entry.event, entry.sequence, entry.time, entry.previous)
    if record.hash != entry.hash:
        raise AuditError(f"entry {entry.sequence} does not fit its hash: run `medground audit verify` before an export")
    return {
        "what": _reference("entry", str(entry.sequence)),
        "type": _SYSTEM_OBJECT,
        "role": {"system": f"{_HL7}/object-role", "code": "13", "display": "Security Resource"},
        "detail": [
            {"type": "sequence", "valueString": str(entry.sequence)},
            {"type": "sha256", "valueString": entry.hash},
            {"type": "previous", "valueString": entry.previous},
            {"type": "hashed", "valueBase64Binary": base64.b64encode(record.canonical()).decode()},
        ],
    }


def _reference(kind: str, value: str) -> dict[str, Any]:
    return {"identifier": {"system": f"{IDENTIFIERS}/{kind}", "value": value}}


def _text(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)
