"""Every route has an example of what it takes and gives, and each is what the document says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from medground.schema.result import GroundingResult
from medground.serving.http.app import create_app
from medground.serving.http.examples import ANSWERS, REQUESTS
from tests.serving.running import opened

JSON, PROBLEM = "application/json", "application/problem+json"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("examples")
    with opened(folder) as (service, _):
        return create_app(service).openapi()


def contents(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Route, where, and content of every body that is told."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            route = f"{method.upper()} {path}"
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                yield route, f"request {kind}", content
            for status, answer in operation["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    yield route, f"{status} {kind}", content


def test_every_json_has_an_example_that_fits(document: dict[str, Any]) -> None:
    seen = 0
    for route, where, content in contents(document):
        if where.endswith((JSON, PROBLEM)):
            assert "example" in content, (route, where)
            schema = {**content["schema"], "components": document["components"]}
            jsonschema_rs.validate(schema, content["example"])
            seen += 1
    assert seen > 150
    assert GroundingResult.model_validate(ANSWERS["POST /v1/ground"]["200"]).studies[0].answers[0].findings


def test_examples_are_of_routes_that_are_there(document: dict[str, Any]) -> None:
    routes = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert set(REQUESTS) | set(ANSWERS) <= routes


def test_problems_say_their_own_status(document: dict[str, Any]) -> None:
    told = [(where.split()[0], content) for _, where, content in contents(document) if where.endswith(PROBLEM)]
    assert all(str(content["example"]["status"]) == status for status, content in told)


def test_names_of_schemas_are_for_people(document: dict[str, Any]) -> None:
    assert not [name for name in document["components"]["schemas"] if "__" in name]
