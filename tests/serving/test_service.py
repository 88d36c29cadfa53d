"""The parts of a service put together, and what is recorded of what they do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medground.audit.event import Action, ActorKind, ObjectKind, Outcome
from medground.schema.errors import UsageError
from medground.serving.access.scope import Principal, PrincipalKind, Scope
from medground.serving.database import schema_versions, studies, writing
from medground.serving.intake import Origin, Sender, read_file
from tests.inference.blob_reader import BlobReader
from tests.serving.running import film, opened, rows

ANN = Principal("token:1", PrincipalKind.TOKEN, "clinic", frozenset({Scope.READ}), "Ann Example")


def test_what_is_done_is_recorded(tmp_path: Path) -> None:
    with opened(tmp_path) as (service, _):
        service.record(ANN, Action.READ, source="10.0.0.1", about=(ObjectKind.JOB, "j"), images=3)
        service.record(None, Action.REFUSED, outcome=Outcome.MINOR_FAILURE, reason="missing")
        with writing(service.engine) as connection:
            service.record(ANN, Action.UPDATE, connection=connection)
            connection.rollback()
        one, other = (entry.event for entry in service.audit.read())
    assert (one.actor, one.actor_kind, one.tenant, one.source) == ("token:1", ActorKind.TOKEN, "clinic", "10.0.0.1")
    assert (one.object_kind, one.object_id, one.details) == (ObjectKind.JOB, "j", {"images": 3})
    assert (other.actor, other.actor_kind, other.tenant) == ("", ActorKind.UNKNOWN, "")
    assert "Ann" not in json.dumps([one.model_dump(mode="json"), other.model_dump(mode="json")])


def test_a_study_whose_time_is_over_is_known_by_its_key_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as (service, _):
        with service.store.incoming() as incoming:
            read_file(film(tmp_path, 1), incoming)
            accepted = service.intake.accept(incoming, Sender("clinic", Origin.HTTP))
        assert service.retention.forget("clinic", accepted.study_key) == 1
        assert rows(service.engine, studies) == []
        (entry,) = service.audit.read()
    assert (entry.event.action, entry.event.actor) == (Action.DELETED, "retention")
    assert (entry.event.object_id, entry.event.details) == (accepted.study_key, {"images": 1})
    assert "1.2.826" not in entry.event.model_dump_json()


def test_everybody_is_nudged(tmp_path: Path) -> None:
    told: list[int] = []
    with opened(tmp_path) as (service, _):
        service.nudge()
        service.nudges.extend([lambda: told.append(1), lambda: told.append(2)])
        service.nudge()
    assert told == [1, 2]


def test_it_opens_again_over_what_is_there(tmp_path: Path) -> None:
    with opened(tmp_path) as (service, _):
        token = service.tokens.create("t", "clinic", [Scope.READ]).plain
        service.record(ANN, Action.READ)
    with opened(tmp_path, BlobReader(sha256="1" * 64)) as (service, _):
        assert service.authenticator.authenticate(f"Bearer {token}").tenant == "clinic"
        assert len(service.audit.read()) == 1
        assert service.model.info.sha256 == "1" * 64


def test_what_it_cannot_be_opened_over(tmp_path: Path) -> None:
    with opened(tmp_path) as (service, _), writing(service.engine) as connection:
        connection.execute(schema_versions.update().values(version=99))
    with pytest.raises(UsageError, match="has version 99"), opened(tmp_path):
        pass
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written to"), opened(tmp_path, state=tmp_path / "file"):
        pass
