"""The OpenAPI document is true: whatever is asked, the answer is one that it declares, and none is a fault of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import APIOperation, BaseSchema, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from medground.serving.access.scope import Scope
from medground.serving.config import HttpConfig
from tests.inference.blob_reader import BlobReader
from tests.model.made_cases import one_case
from tests.serving.running import NODULE, Running, film, running

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
    ignored_auth,
]
REFUSALS = ["400", "401", "403", "404", "409", "413", "415", "422"]
LEFT_OUT = {("GET /v1/reviews/export", negative_data_rejection)}  # a number is a time, too: seconds since 1970
OPEN = {"GET /healthz", "GET /readyz"}
NOTHING_TO_GET_WRONG = (
    OPEN
    | {"GET /v1/me", "GET /v1/model", "GET /v1/pacs/sources", "GET /metrics", "GET /v1/pacs/destinations"}
    | {"GET /v1/model/card", "GET /v1/model/card.html"}
)
OUT_OF_REACH = {
    "DELETE /v1/jobs/{job}",  # not what the other routes are asked about
    "DELETE /v1/studies/{study}",
    "GET /v1/jobs/{job}/signed",  # nothing is signed
    "GET /v1/model/card.html",  # nor has this model a card
    "GET /v1/pacs/studies",  # there is no archive
    "POST /v1/pacs/studies/search",
    "POST /v1/pacs/studies/pull",
    "POST /v1/studies",  # random bytes are no image
    "POST /v1/reviews",  # nor is a random word a finding
}
FEW = settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Known:
    """What there is to be asked about, and who asks."""

    house: Running
    study: str
    job: str
    instance: int
    case: str
    session: requests.Session


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """A service with an answered study; nothing else is answered while it is asked."""
    folder = tmp_path_factory.mktemp("app")
    cases = one_case(1, "nodule", kept=True)
    with running(folder, BlobReader(cases=cases)) as house, requests.Session() as session:
        session.trust_env = False
        content = film(folder, 1, NODULE).read_bytes()
        answer = house.client().post("/v1/ground", files={"file": ("a", content)}, data={"query": "is there a nodule?"})
        job = answer.headers["location"].rpartition("/")[2]
        study = house.job(job).study_key
        (series,) = house.client().get(f"/v1/studies/{study}/series").json()
        with house.answering.held():
            yield Known(house, study, job, series["instances"][0]["id"], cases.known[0].id, session)


@pytest.fixture(scope="module")
def api(known: Known) -> BaseSchema:
    config = SchemathesisConfig.from_dict(
        {
            "generation": {
                "deterministic": True,
                "database": "none",
                "allow-extra-parameters": False,  # they are ignored, as HTTP has it
                "with-security-parameters": False,  # the token is ours to give
            },
            "request-timeout": 120,
            "checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}},
        }
    )
    return schemathesis.openapi.from_url(f"{known.house.url}/v1/openapi.json", config=config, timeout=120)


def about(case: Case, known: Known) -> None:
    """Have half of what names nothing name what is there, so that more than `not found` is looked at."""
    if case.method == "DELETE":
        return
    if case.path == "/v1/ground" and isinstance(case.body, dict):
        case.body = {"query": [f"nodule {query}" for query in case.body["query"]], "study": known.study}
    there = {"study": known.study, "job": known.job, "instance": known.instance, "case": known.case}
    for name, real in there.items():
        for where in (case.path_parameters, case.query, case.body):
            if isinstance(where, dict) and re.fullmatch(
                "([0-9a-f]{15}|[0-9a-f]{23}|[0-9a-f]{39}|[0-9]*)[02468ace]", str(where.get(name))
            ):
                where[name] = real


def ask(operation: APIOperation, known: Known, mode: GenerationMode, headers: dict[str, str]) -> set[int]:
    """Ask a route a dozen times; the statuses that it answered with."""
    seen: set[int] = set()
    checks = [check for check in CHECKS if (operation.label, check) not in LEFT_OUT]

    @FEW
    @given(case=operation.as_strategy(generation_mode=mode))
    def once(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            about(case, known)
        answer = case.call_and_validate(session=known.session, headers=headers, checks=checks)
        seen.add(answer.status_code)

    once()
    return seen


def operations(api: BaseSchema) -> list[APIOperation]:
    return [found.ok() for found in api.get_all_operations()]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_declared(api: BaseSchema, known: Known, mode: GenerationMode) -> None:
    """Requests as the document has them, and requests that are wrong in one place."""
    headers = {"Authorization": f"Bearer {known.house.token()}", "Prefer": "respond-async"}
    answered = {
        operation.label: ask(operation, known, mode, headers)
        for operation in operations(api)
        if mode is GenerationMode.POSITIVE or operation.label not in NOTHING_TO_GET_WRONG
    }
    assert len(answered) > 20
    if mode is GenerationMode.POSITIVE:
        reached = {label for label, seen in answered.items() if seen & {200, 201, 202, 204, 409}}
        assert set(answered) - reached <= OUT_OF_REACH


def test_without_a_token_every_answer_is_declared(api: BaseSchema, known: Known) -> None:
    for operation in operations(api):
        seen = ask(operation, known, GenerationMode.POSITIVE, {})
        assert seen == ({200} if operation.label in OPEN else {401}), operation.label


def test_a_page_of_another_origin_may_call_only_if_the_config_says_so(tmp_path: Path) -> None:
    asked = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "POST"}
    with running(tmp_path / "closed") as house:
        refused = house.anybody(**asked).options("/v1/ground")
        assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (405, False)
    http = HttpConfig(cors_origins=("https://viewer.example",))
    with running(tmp_path / "open", http=http) as house:
        allowed = house.anybody(**asked).options("/v1/ground")
        assert allowed.headers["access-control-allow-origin"] == "https://viewer.example"
        answer = house.client(Scope.READ).get("/v1/studies", headers={"Origin": "https://viewer.example"})
        assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
        assert "X-Frame" in answer.headers["access-control-expose-headers"]
        other = house.client(Scope.READ).get("/v1/studies", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_a_slash_at_the_end_is_no_other_name(known: Known) -> None:
    """A redirect would repeat the query, and with it a patient's name, in a header that proxies log."""
    answer = known.house.client().get("/v1/studies/", params={"search": "Canary"})
    assert (answer.status_code, "location" in answer.headers) == (404, False)
    assert "Canary" not in answer.text
