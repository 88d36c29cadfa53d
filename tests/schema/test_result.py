from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from medground.schema.result import Answer, Examined, GroundingResult, Understood, Verdict
from pipelines.export_schema import TARGET, schema_text


def answer(**changes) -> dict:
    base = {
        "id": "a",
        "query": "nodule?",
        "language": "en",
        "understood": {"concepts": ["nodule"]},
        "examined": [],
        "verdict": "not_found",
        "presence": 0.1,
        "findings": [],
    }
    return {**base, **changes}


def test_the_committed_json_schema_is_the_one_of_the_code():
    assert TARGET.read_text(encoding="utf-8") == schema_text()


def test_the_schema_knows_every_verdict_and_refuses_unknown_keys():
    schema = json.loads(schema_text())
    assert schema["$defs"]["Verdict"]["enum"] == [verdict.value for verdict in Verdict]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["schema_version"]["const"] == 1


def test_probabilities_are_bounded_and_presence_may_be_unknown():
    assert Answer.model_validate(answer(presence=None, verdict="unsupported")).presence is None
    with pytest.raises(ValidationError):
        Answer.model_validate(answer(presence=1.2))
    with pytest.raises(ValidationError):
        Answer.model_validate(answer(extra=1))


def test_a_result_survives_json():
    understood = Understood(concepts=("nodule",), unknown_words=("zork",))
    examined = Examined(source="a.png", series_instance_uid=None, sop_instance_uid=None, frames=(1,))
    one = Answer.model_validate(answer()).model_copy(update={"understood": understood, "examined": (examined,)})
    assert Answer.model_validate_json(one.model_dump_json()) == one
    assert GroundingResult.model_fields["schema_version"].default == 1
