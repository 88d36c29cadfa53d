"""Every error has a type of its own, and none says more than it may."""

from __future__ import annotations

import errno
import json
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from medground.schema import errors
from medground.serving.access.quota import QuotaConfig
from medground.serving.http.problems import ProblemError, problems, response_of
from medground.serving.intake import ConflictError
from medground.serving.jobs import JobNotFoundError
from medground.serving.results import ResultNotFoundError
from medground.serving.reviews import StaleReviewError
from medground.serving.signing import UnreviewedError
from medground.serving.worklist import StudyNotFoundError
from tests.serving.http.answers import problem
from tests.serving.running import Running, running


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (JobNotFoundError("m"), 404, "not-found"),
        (ResultNotFoundError("m"), 404, "not-found"),
        (StudyNotFoundError("m"), 404, "not-found"),
        (ConflictError("m"), 409, "instance-conflict"),
        (StaleReviewError("m"), 409, "stale-review"),
        (UnreviewedError("m"), 409, "unreviewed"),
        (errors.NotAuthenticatedError("m"), 401, "not-authenticated"),
        (errors.ForbiddenError("m"), 403, "forbidden"),
        (errors.QuotaError("m"), 429, "quota"),
        (errors.AccessUnavailableError("m"), 503, "access-unavailable"),
        (errors.QueryError("m"), 422, "query"),
        (errors.UsageError("m"), 422, "invalid-request"),
        (errors.LimitError("m"), 413, "too-large"),
        (errors.NotAnImageError("m"), 422, "not-an-image"),
        (errors.UnreadableFileError("m"), 422, "unreadable-input"),
        (errors.DecodeError("m"), 422, "unreadable-input"),
        (errors.WorkerError("m"), 422, "unreadable-input"),
        (errors.AuditError("m"), 503, "unavailable"),
        (errors.BundleMissingError("m"), 503, "model-unavailable"),
        (errors.CardError("m"), 503, "model-unavailable"),
        (ProblemError(418, "teapot", "m"), 418, "teapot"),
    ],
)
def test_each_error_has_a_status_and_a_type(error: Exception, status: int, kind: str) -> None:
    answer = response_of(error)
    assert answer.media_type == "application/problem+json"
    title = kind.replace("-", " ").capitalize()
    assert json.loads(answer.body) == {
        "type": f"urn:medground:problem:{kind}",
        "title": title,
        "status": status,
        "detail": "m",
    }
    assert answer.status_code == status


def test_every_error_of_ours_is_an_answer_of_its_own() -> None:
    """One that is added to the tree must not end as a fault of the service."""
    offline = {errors.MedgroundError, errors.AccessError, errors.DataSetError, errors.LeakError, errors.CheckpointError}
    offline.add(errors.InputNotFoundError)  # a fault indeed: nobody names paths here but the store
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MedgroundError)
    ]
    assert len(kinds) > 20
    for kind in set(kinds) - offline:
        assert response_of(kind("m")).status_code != 500, kind


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (OperationalError("SELECT Doe", {}, sqlite3.OperationalError("Doe")), 503, "unavailable"),
        (IntegrityError("INSERT Doe", {}, sqlite3.IntegrityError("Doe")), 500, "internal"),
        (OSError(errno.ENOSPC, "Doe"), 503, "storage-full"),
        (OSError(errno.EACCES, "Doe"), 500, "internal"),
        (ValueError("Doe"), 500, "internal"),
        (KeyError("Doe"), 500, "internal"),
        (FileNotFoundError("Doe"), 500, "internal"),
        (errors.InputNotFoundError("nothing is at /Doe"), 500, "internal"),
    ],
)
def test_a_foreign_error_says_nothing(error: Exception, status: int, kind: str) -> None:
    answer = response_of(error)
    assert (answer.status_code, json.loads(answer.body)["type"]) == (status, f"urn:medground:problem:{kind}")
    assert b"Doe" not in answer.body


def test_who_may_come_again_is_told_when() -> None:
    assert response_of(errors.QuotaError("m", wait_s=7.6)).headers["retry-after"] == "8"
    assert response_of(errors.QuotaError("m", wait_s=0.01)).headers["retry-after"] == "1"
    assert "retry-after" not in response_of(errors.ForbiddenError("m")).headers
    assert response_of(errors.NotAuthenticatedError("m")).headers["www-authenticate"] == 'Bearer realm="medground"'


def test_every_route_may_answer_with_the_problems_of_access() -> None:
    assert set(problems()) == {401, 403, 429, 500, 503}
    assert set(problems(404, 422)) == {401, 403, 404, 422, 429, 500, 503}


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/v1", 404, "not-found"),
        ("GET", "/v1/studies/x/y/z", 404, "not-found"),
        ("PUT", "/v1/studies", 405, "method-not-allowed"),
        ("HEAD", "/v1/model", 405, ""),
        ("TRACE", "/v1/ground", 405, "method-not-allowed"),
        ("GET", "/v1/jobs/x", 422, "invalid-request"),
        ("GET", "/v1/jobs/" + "0" * 39, 422, "invalid-request"),
        ("GET", "/v1/jobs/" + "G" * 40, 422, "invalid-request"),
        ("GET", "/v1/jobs/" + "0" * 40, 404, "not-found"),
        ("GET", "/v1/jobs/" + "0" * 40 + "/result", 404, "not-found"),
        ("GET", "/v1/jobs/" + "0" * 40 + "/sr?number=0", 422, "invalid-request"),
        ("GET", "/v1/jobs/" + "0" * 40 + "/sr?number=x", 422, "invalid-request"),
        ("GET", "/v1/jobs/" + "0" * 40 + "/events", 404, "not-found"),
        ("POST", "/v1/jobs/" + "0" * 40 + "/cancel", 404, "not-found"),
        ("GET", "/v1/studies/" + "0" * 24, 404, "not-found"),
        ("GET", "/v1/studies/1.2.826.0.1", 422, "invalid-request"),
        ("GET", "/v1/studies/" + "0" * 24 + "%0a", 422, "invalid-request"),
        ("GET", "/v1/studies/..%2f..%2fetc", 404, "not-found"),
        ("GET", "/v1/studies?limit=0", 422, "invalid-request"),
        ("GET", "/v1/studies?limit=201", 422, "invalid-request"),
        ("GET", "/v1/studies?after=x", 422, "invalid-request"),
        ("GET", "/v1/studies?after=MS4wMDA=", 422, "invalid-request"),
        ("GET", "/v1/studies/" + "0" * 24 + "/instances/9/frames/1", 404, "not-found"),
        ("GET", "/v1/studies/" + "0" * 24 + "/instances/0/frames/1", 422, "invalid-request"),
        ("GET", f"/v1/studies/{'0' * 24}/instances/{2**63}/frames/1", 422, "invalid-request"),
        ("GET", "/v1/reviews", 422, "invalid-request"),
        ("GET", "/v1/reviews?job=" + "0" * 40, 404, "not-found"),
        ("GET", "/v1/studies/" + "0" * 24 + "/report", 404, "not-found"),
    ],
)
def test_what_is_not_there(house: Running, method: str, path: str, status: int, kind: str) -> None:
    answer = house.client().request(method, path)
    if method == "HEAD":
        assert answer.status_code == status
        return
    problem(answer, status, kind)


def test_what_to_do_is_said(house: Running) -> None:
    client = house.client()
    problem(client.get("/v1/nothing"), 404, "not-found", "no such route; GET /v1/openapi.json")
    problem(client.put("/v1/model"), 405, "method-not-allowed", "it takes GET")
    review = {"job": "0" * 40, "seen_revision": 0, "entry": {"action": "reject", "finding_id": "a"}}
    told = problem(client.post("/v1/reviews", json=review), 422, "invalid-request", "to reject takes a reason")
    assert "Value error" not in told["detail"]


@pytest.mark.parametrize(
    ("body", "media_type", "status", "kind"),
    [
        (b"", "application/json", 422, "invalid-request"),
        (b"{", "application/json", 422, "invalid-request"),
        (b"[]", "application/json", 422, "invalid-request"),
        (b"null", "application/json", 422, "invalid-request"),
        (b"\x80{}", "application/json", 400, "bad-request"),
        (b"[" * 100_000, "application/json", 400, "bad-request"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "application/json", 400, "bad-request"),
        (b'{"\\ud800": 1}', "application/json", 422, "invalid-request"),
        (b'{"\\u0000": 1}', "application/json", 422, "invalid-request"),
        (b'{"job": "\\ud800"}', "application/json", 422, "invalid-request"),
        (b'{"job": NaN}', "application/json", 422, "invalid-request"),
        (b'{"job": 1e999}', "application/json", 422, "invalid-request"),
        (b"{}", "text/plain", 422, "invalid-request"),
        (b"a=b", "application/x-www-form-urlencoded", 422, "invalid-request"),
    ],
)
@pytest.mark.parametrize("url", ["/v1/reviews", "/v1/studies/" + "0" * 24 + "/sign"])
def test_bodies_that_are_wrong(house: Running, url: str, body: bytes, media_type: str, status: int, kind: str) -> None:
    problem(house.client().post(url, content=body, headers={"Content-Type": media_type}), status, kind)


def test_a_database_that_is_away(tmp_path: Path) -> None:
    """Nothing is accepted, and everybody is told to come again."""
    with running(tmp_path) as house:
        client = house.client()
        assert client.get("/v1/studies").status_code == 200
        with house.service.engine.connect() as connection:
            connection.execute(text("DROP TABLE studies"))
            connection.commit()
        answer = client.get("/v1/studies")
        problem(answer, 503, "unavailable", "the database does not answer; nothing was lost")
        assert answer.headers["retry-after"] == "5"
        with house.service.engine.connect() as connection:
            connection.execute(text("DROP TABLE access_tokens"))
            connection.commit()
        problem(client.get("/v1/studies"), 503, "access-unavailable")
        assert house.anybody().get("/healthz").status_code == 200


def test_too_much_in_a_minute(tmp_path: Path) -> None:
    with running(tmp_path, quota=QuotaConfig(requests_per_minute=3, bytes_per_minute=10**9)) as house:
        client = house.client()
        assert [client.get("/v1/studies").status_code for _ in range(3)] == [200] * 3
        answer = client.get("/v1/studies")
        problem(answer, 429, "quota", "try again in")
        assert 1 <= int(answer.headers["retry-after"]) <= 20
        assert house.client(tenant="other").get("/v1/studies").status_code == 200
