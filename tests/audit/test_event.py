"""What an event takes, and what it refuses without repeating it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from medground.audit.entry import NO_HASH, record_of
from medground.audit.event import DETAILS, LONGEST_DETAIL, Action, ActorKind, AuditEvent, ObjectKind
from tests.audit.chains import START, event


def test_details_are_one_canonical_text() -> None:
    made = event(
        4, details={"seconds": 2, "images": 3, "dry_run": False, "reason": ObjectKind.SETTING, "version": "0.3.0"}
    )
    assert made.details_text == '{"dry_run":false,"images":3,"reason":"setting","seconds":2,"version":"0.3.0"}'
    assert event(4, details={}).details_text == "{}"


def test_an_event_cannot_be_changed_and_survives_json() -> None:
    given = {"images": 3}
    made = event(4, details=given)
    given["images"] = 4
    assert dict(made.details) == {"images": 3}
    made.details["reason"] = "Jane Doe"  # type: ignore[index] # a dict all the same; it does not get into the log
    with pytest.raises(ValueError, match="reason takes one word"):
        record_of(made, 1, START, NO_HASH)
    made = event(4)
    with pytest.raises(ValidationError):
        made.action = Action.READ  # type: ignore[misc]
    assert AuditEvent.model_validate_json(made.model_dump_json()) == made


def test_addresses_are_kept_in_their_shortest_form() -> None:
    assert event(1, source="2001:0DB8:0:0:0:0:0:7").source == "2001:db8::7"
    assert event(1, source="fe80::1%Jane Doe").source == "fe80::1"
    assert event(1, source="").source == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"details": {"patient": "x"}}, "has a key that is not in"),
        ({"details": {"reason": "Jane Doe"}}, "reason takes one word"),
        ({"details": {"reason": "Doe^Jane"}}, "reason takes one word"),
        ({"details": {"reason": "某人"}}, "reason takes one word"),
        ({"details": {"reason": ""}}, "reason takes one word"),
        ({"details": {"reason": "scope\n"}}, "reason takes one word"),
        ({"details": {"job": "4711223"}}, "job takes one word"),
        ({"details": {"job": "1970-01-31"}}, "job takes one word"),
        ({"details": {"route": "/studies/1.2.840.113619.2.5"}}, "route takes one word"),
        ({"details": {"reason": "a" * (LONGEST_DETAIL + 1)}}, "reason takes one word"),
        ({"details": {"images": "three"}}, "images takes int"),
        ({"details": {"images": True}}, "images takes int"),
        ({"details": {"images": 1.0}}, "images takes int"),
        ({"details": {"dry_run": 1}}, "dry_run takes bool"),
        ({"details": {"seconds": float("nan")}}, "seconds takes a finite number"),
        ({"details": {"images": 2**53}}, "images takes a number up to"),
        ({"details": {"reason": ["scope"]}}, "details"),
        ({"details": dict.fromkeys(sorted(k for k, v in DETAILS.items() if v is int)[:13], 1)}, "more than 12"),
        (
            {"details": dict.fromkeys(sorted(k for k, v in DETAILS.items() if v is str)[:12], "a" * 80)},
            "longer than 1024",
        ),
        ({"object_id": "4711223"}, "a patient's number"),
        ({"object_id": "1.2.840.113619.2.5"}, "object_id"),
        ({"object_id": "a" * 65}, "object_id"),
        ({"object_id": ""}, "named exactly if its kind is not none"),
        ({"object_kind": ObjectKind.NONE}, "named exactly if its kind is not none"),
        ({"actor": ""}, "named exactly if its kind is not unknown"),
        ({"actor_kind": ActorKind.UNKNOWN}, "named exactly if its kind is not unknown"),
        ({"actor": "a\nb"}, "actor"),
        ({"actor": "Jürgen"}, "actor"),
        ({"tenant": "north wing"}, "tenant"),
        ({"source": "pc-doe.example"}, "is no IP address"),
        ({"action": "looked"}, "action"),
        ({"patient": "Doe"}, "patient"),
    ],
)
def test_what_is_refused_is_not_repeated(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        event(1, **changes)
    assert said in str(refused.value)
    texts = [value for value in changes.values() if isinstance(value, str)]
    texts += [value for value in changes.get("details", {}).values() if isinstance(value, str)]
    for text in texts:
        if len(text) > 6 and not isinstance(text, ObjectKind | ActorKind):
            assert text not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reason", "wrong_secret"),
        ("digest", "sha256:" + "0123456789abcdef" * 4),
        ("route", "/v1/studies/{study}/results"),
        ("version", "10.3"),
        ("digest", "1234567890" * 3 + "abcdef"),
        ("limit_seconds", 3),
        ("bytes", 2**53 - 1),
    ],
)
def test_what_the_service_needs_is_taken(key: str, value: str | int) -> None:
    assert json.loads(event(1, details={key: value}).details_text) == {key: value}


def test_a_digest_of_digits_only_is_no_patients_number() -> None:
    assert event(1, object_id="7" * 32).object_id == "7" * 32
