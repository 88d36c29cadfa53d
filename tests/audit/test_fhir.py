"""The export against FHIR's definition, DICOM's codes, and the chain it came from."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from pydicom.sr._concepts_dict import concepts

from medground.audit.entry import NO_HASH, Entry, entry_of, record_of
from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind, Outcome
from medground.audit.fhir import ndjson, resource
from medground.schema.errors import AuditError
from tests.audit import fhir_r4
from tests.audit.chains import START, chain, event

ENTITY_ID = "https://github.com/medground/medground/audit"


def entry(**changes: Any) -> Entry:
    return entry_of(record_of(event(1, **changes), 1, START, NO_HASH))


def codes(node: Any) -> list[dict[str, str]]:
    """All codings in a resource."""
    if isinstance(node, list):
        return [found for item in node for found in codes(item)]
    if isinstance(node, dict):
        own = [node] if {"system", "code"} <= node.keys() else []
        return own + [found for item in node.values() for found in codes(item)]
    return []


def test_a_whole_resource() -> None:
    made = entry(actor_kind=ActorKind.OIDC, actor="subject-7", details={"images": 3, "seconds": 1.5, "dry_run": False})
    text = record_of(made.event, 1, START, NO_HASH).canonical()
    assert resource(made) == {
        "resourceType": "AuditEvent",
        "id": made.hash,
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
            "display": "RESTful Operation",
        },
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "operation", "display": "operation"}],
        "action": "E",
        "recorded": "2026-01-02T03:04:05.000006Z",
        "outcome": "0",
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/extra-security-role-type",
                            "code": "humanuser",
                            "display": "human user",
                        }
                    ]
                },
                "who": {"identifier": {"system": f"{ENTITY_ID}/oidc", "value": "subject-7"}},
                "requestor": True,
                "network": {"address": "192.0.2.7", "type": "2"},
            }
        ],
        "source": {
            "site": "south",
            "observer": {"display": "medground"},
            "type": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
        "entity": [
            {
                "what": {"identifier": {"system": f"{ENTITY_ID}/study", "value": "study-1"}},
                "type": {
                    "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                    "code": "2",
                    "display": "System Object",
                },
                "role": {
                    "system": "http://terminology.hl7.org/CodeSystem/object-role",
                    "code": "3",
                    "display": "Report",
                },
                "detail": [
                    {"type": "dry_run", "valueString": "false"},
                    {"type": "images", "valueString": "3"},
                    {"type": "seconds", "valueString": "1.5"},
                ],
            },
            {
                "what": {"identifier": {"system": f"{ENTITY_ID}/entry", "value": "1"}},
                "type": {
                    "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                    "code": "2",
                    "display": "System Object",
                },
                "role": {
                    "system": "http://terminology.hl7.org/CodeSystem/object-role",
                    "code": "13",
                    "display": "Security Resource",
                },
                "detail": [
                    {"type": "sequence", "valueString": "1"},
                    {"type": "sha256", "valueString": made.hash},
                    {"type": "previous", "valueString": NO_HASH},
                    {"type": "hashed", "valueBase64Binary": base64.b64encode(text).decode()},
                ],
            },
        ],
    }


@pytest.mark.parametrize("action", Action)
def test_every_action_is_a_resource_as_defined(action: Action) -> None:
    for kind in ObjectKind:
        made = entry(action=action, object_kind=kind, object_id="" if kind == ObjectKind.NONE else "key-1")
        fhir_r4.AuditEvent.model_validate(resource(made))


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("kind", ActorKind)
def test_every_actor_and_outcome(kind: ActorKind, outcome: Outcome) -> None:
    made = entry(actor_kind=kind, actor="" if kind == ActorKind.UNKNOWN else "ARCHIVE", outcome=outcome)
    read = fhir_r4.AuditEvent.model_validate(resource(made))
    assert read.outcome == {"success": "0", "minor_failure": "4", "serious_failure": "8"}[outcome]
    (agent,) = read.agent
    assert (agent.who is None) == (kind == ActorKind.UNKNOWN)
    assert agent.requestor == (kind != ActorKind.SYSTEM)
    assert agent.type is None or (agent.type.coding[0].code == "humanuser") == (kind == ActorKind.OIDC)


def test_the_least_an_event_may_have() -> None:
    bare = AuditEvent(action=Action.REFUSED, outcome=Outcome.MINOR_FAILURE, actor_kind=ActorKind.UNKNOWN)
    made = resource(entry_of(record_of(bare, 1, START, NO_HASH)))
    read = fhir_r4.AuditEvent.model_validate(made)
    assert made["agent"] == [{"requestor": True}]
    assert read.source.site is None
    assert [entity.detail[0].type for entity in read.entity] == ["sequence"]
    only_details = resource(entry(object_kind=ObjectKind.NONE, object_id="", details={"reason": "scope"}))
    assert [sorted(entity) for entity in only_details["entity"]] == [
        ["detail", "type"],
        ["detail", "role", "type", "what"],
    ]
    fhir_r4.AuditEvent.model_validate(only_details)


def test_the_codes_of_dicom_are_dicoms() -> None:
    meanings = {code: meaning for names in concepts["DCM"].values() for code, (meaning, _) in names.items()}
    events, subtypes, roles = set(), set(), set()
    for action in Action:
        for kind in (ObjectKind.STUDY, ObjectKind.MODEL):
            made = resource(entry(action=action, object_kind=kind))
            for coding in codes(made):
                if coding["system"] == fhir_r4.DCM:
                    assert coding["display"] == meanings[coding["code"]]
            events |= {coding["code"] for coding in codes(made["type"]) if coding["system"] == fhir_r4.DCM}
            subtypes |= {coding["code"] for coding in codes(made["subtype"]) if coding["system"] == fhir_r4.DCM}
            roles |= {coding["code"] for coding in codes(made["agent"]) if coding["system"] == fhir_r4.DCM}
    cids = {code: cids for names in concepts["DCM"].values() for code, (_, cids) in names.items()}
    assert {code for code in events if 400 not in cids[code]} == set()
    assert {code for code in subtypes if 401 not in cids[code]} == set()
    assert {code for code in roles if 402 not in cids[code]} == set()
    assert events >= {"110100", "110101", "110103", "110104", "110105", "110106", "110112", "110113"}


def test_what_an_auditor_asks_for_first() -> None:
    wanted = {
        Action.STUDY_STORED: ("110104", "C"),
        Action.STUDY_READ: ("110103", "R"),
        Action.EXPORTED: ("110106", "R"),
        Action.REFUSED: ("110113", "E"),
        Action.STARTED: ("110100", "E"),
        Action.DELETED: ("110105", "D"),
        Action.SIGNED: ("attest", "U"),
    }
    made = {action: resource(entry(action=action)) for action in wanted}
    assert {action: (one["type"]["code"], one["action"]) for action, one in made.items()} == wanted
    assert resource(entry(action=Action.DELETED, object_kind=ObjectKind.RESULT))["type"]["code"] == "rest"


def test_lines_carry_the_chain() -> None:
    entries = [entry_of(record) for record in chain(12)]
    lines = list(ndjson(entries))
    assert [line.count("\n") for line in lines] == [1] * 12
    previous = NO_HASH
    for number, line in enumerate(lines, start=1):
        read = fhir_r4.AuditEvent.model_validate_json(line)
        proof = {detail.type: detail.valueString or detail.valueBase64Binary for detail in read.entity[-1].detail}
        hashed = base64.b64decode(proof["hashed"] or "")
        assert hashlib.sha256(hashed).hexdigest() == proof["sha256"] == read.id
        assert proof["previous"] == json.loads(hashed)["previous"] == previous
        assert proof["sequence"] == str(json.loads(hashed)["sequence"]) == str(number)
        previous = read.id


def test_an_entry_that_was_edited_is_not_exported() -> None:
    first, second = chain(2)
    edited = entry_of(replace(second, actor="somebody"))
    lines = ndjson([entry_of(first), edited])
    assert json.loads(next(lines))["id"] == first.hash
    with pytest.raises(AuditError, match="entry 2 does not fit its hash: run `medground audit verify`"):
        next(lines)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "a" * 65},
        {"outcome": "1"},
        {"action": "X"},
        {"recorded": "2026-01-02"},
        {"agent": []},
        {"source": {}},
        {"extra": 1},
        {"type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest", "display": "x"}},
    ],
)
def test_the_judge_judges(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        fhir_r4.AuditEvent.model_validate(resource(entry()) | changes)
