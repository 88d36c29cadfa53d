"""Every route by every scope: the table is made from the application itself, so a new route is in it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import Request

from medground.serving.access.scope import Scope
from medground.serving.http.app import create_app
from medground.serving.http.security import ANY_SCOPE, address_of
from tests.inference.blob_reader import BlobReader
from tests.model.made_cases import one_case
from tests.serving.running import CLINIC, NODULE, OTHER, Running, film, opened, running

WITHOUT_A_TOKEN = {("GET", "/healthz"), ("GET", "/readyz")}
"""What a supervisor asks. The OpenAPI document needs none either: it says nothing that the released code does not."""

DAY = timedelta(days=1)
TENANTLESS = {
    ("GET", "/v1/model"),
    ("GET", "/v1/model/card"),
    ("GET", "/v1/model/card.html"),
    ("GET", "/v1/model/cases/{case}"),
    ("GET", "/v1/model/cases/{case}/thumbnail"),
    ("GET", "/metrics"),
}
"""What is the same for all tenants."""


@dataclass(frozen=True)
class Route:
    """A route with the scope that its signature declares: `any` if each will do, None if it declares none."""

    method: str
    path: str
    scope: Scope | str | None

    @property
    def enough(self) -> tuple[Scope, ...]:
        """Scopes with which the route is opened."""
        return (self.scope,) if isinstance(self.scope, Scope) else (Scope.AUDIT,)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes_of(folder: Path) -> list[Route]:
    with opened(folder) as (service, _):
        app = create_app(service)
        found = []
        for context in iter_route_contexts(app.routes):
            route = context.original_route
            if not isinstance(route, APIRoute):
                assert context.path == "/v1/openapi.json"  # nothing else stands beside the routes
            else:
                scopes = {getattr(one.call, "scope", None) for one in route.dependant.dependencies} - {None}
                assert len(scopes) <= 1, context.path
                found += [Route(method, str(context.path), *(scopes or {None})) for method in sorted(route.methods)]
        documented = {
            (method.upper(), path): operation
            for path, methods in app.openapi()["paths"].items()
            for method, operation in methods.items()
        }
    assert {(one.method, one.path) for one in found} == set(documented)
    for one in found:
        said = documented[one.method, one.path].get("security", [])
        named = [one.scope.value] if isinstance(one.scope, Scope) else []
        assert said == ([{"HTTPBearer": named}] if one.scope else []), str(one)
    return found


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    return routes_of(tmp_path_factory.mktemp("routes"))


def test_every_route_declares_its_scope(routes: list[Route]) -> None:
    assert len(routes) > 20
    assert {(one.method, one.path) for one in routes if one.scope is None} == WITHOUT_A_TOKEN


def expected_scope(route: Route) -> Scope | str | None:
    """What a route should need by what it does: the rule, against which each signature is held."""
    exceptions: dict[tuple[str, str], Scope | str] = {
        ("GET", "/metrics"): Scope.ADMIN,
        ("GET", "/v1/audit"): Scope.AUDIT,
        ("GET", "/v1/model/drift"): Scope.AUDIT,  # how the model does, for whoever watches over it
        ("GET", "/v1/me"): ANY_SCOPE,
        ("GET", "/v1/reviews/export"): Scope.REVIEW,  # training data
        ("POST", "/v1/reviews"): Scope.REVIEW,
        ("POST", "/v1/studies/{study}/sign"): Scope.SIGN,
    }
    if (route.method, route.path) in WITHOUT_A_TOKEN:
        return None
    if (route.method, route.path) in exceptions:
        return exceptions[route.method, route.path]
    if route.method == "DELETE":
        return Scope.ADMIN
    only_looks = route.method == "GET" or route.path.endswith("/search")
    return Scope.READ if only_looks else Scope.GROUND


def test_every_route_needs_what_it_should(routes: list[Route]) -> None:
    assert {str(one): one.scope for one in routes} == {str(one): expected_scope(one) for one in routes}


@dataclass(frozen=True)
class Filled:
    """A service with one answered study, and what names it."""

    house: Running
    study: str
    job: str
    instance: int
    findings: list[str]
    file: bytes
    case: str

    def request(self, route: Route, headers: dict[str, str]) -> httpx.Response:
        """Call a route about the study, as it wants to be called."""
        named = {"study": self.study, "job": self.job, "instance": self.instance, "case": self.case}
        path = route.path.format(**named, frame=1, destination="pacs")
        entry = {"action": "accept", "finding_id": self.findings[0]}
        parts: dict[tuple[str, str], dict[str, Any]] = {
            ("POST", "/v1/ground"): {"data": {"query": "is there a nodule?", "study": self.study}},
            ("POST", "/v1/studies"): {"files": {"file": ("a", self.file)}},
            ("POST", "/v1/studies/search"): {"json": {"words": "a"}},
            ("GET", "/v1/reviews"): {"params": {"job": self.job}},
            ("POST", "/v1/reviews"): {"json": {"job": self.job, "seen_revision": 0, "entry": entry}},
            ("POST", "/v1/studies/{study}/sign"): {
                "json": {"job": self.job, "seen_revision": 0, "person_name": "A^B", "allow_unreviewed": True}
            },
            ("GET", "/v1/pacs/studies"): {"params": {"source": "absent"}},
            ("POST", "/v1/pacs/studies/search"): {"json": {"source": "absent"}},
            ("POST", "/v1/pacs/studies/pull"): {"json": {"source": "absent", "study_instance_uid": "1.2"}},
        }
        given = parts.get((route.method, route.path), {})
        return self.house.anybody().request(route.method, path, headers=headers, **given)

    def by(self, *scopes: Scope, tenant: str = CLINIC) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.house.token(*scopes, tenant=tenant)}"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("filled")
    cases = one_case(1, "nodule", kept=True)
    with running(folder, BlobReader(cases=cases)) as house:
        content = film(folder, 1, NODULE).read_bytes()
        answer = house.client().post("/v1/ground", files={"file": ("a", content)}, data={"query": "is there a nodule?"})
        job = answer.headers["location"].rpartition("/")[2]
        study = house.job(job).study_key
        (series,) = house.client().get(f"/v1/studies/{study}/series").json()
        findings = [one["id"] for one in answer.json()["studies"][0]["answers"][0]["findings"]]
        yield Filled(house, study, job, series["instances"][0]["id"], findings, content, cases.known[0].id)


def is_problem(answer: httpx.Response, status: int, kind: str) -> bool:
    return (
        answer.status_code == status
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json()["type"] == f"urn:medground:problem:{kind}"
    )


def test_whoever_is_unknown_is_refused_everywhere(filled: Filled, routes: list[Route]) -> None:
    expired = filled.house.token(lifetime=timedelta(microseconds=1))
    good = filled.house.token()
    credentials = {
        "none": {},
        "empty": {"Authorization": ""},
        "another scheme": {"Authorization": f"Basic {good}"},
        "no scheme": {"Authorization": good},
        "wrong": {"Authorization": f"Bearer {good[:-1]}{'a' if good[-1] != 'a' else 'b'}"},
        "expired": {"Authorization": f"Bearer {expired}"},
        "no token of ours": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
        "in a cookie": {"Cookie": f"Authorization=Bearer {good}"},
    }
    for route in routes:
        for name, headers in credentials.items():
            answer = filled.request(route, headers)
            if route.scope is None:
                assert answer.status_code == 200, (str(route), name)
                continue
            assert is_problem(answer, 401, "not-authenticated"), (str(route), name, answer.text)
            assert answer.headers["www-authenticate"] == 'Bearer realm="medground"'
            assert good not in answer.text


def test_a_scope_opens_its_routes_and_no_other(filled: Filled, routes: list[Route]) -> None:
    for scope in Scope:
        headers = filled.by(scope)
        for route in routes:
            if route.scope in (None, scope):
                continue
            answer = filled.request(route, headers)
            if route.scope == ANY_SCOPE:
                assert answer.status_code == 200, (str(route), scope)
                continue
            assert is_problem(answer, 403, "forbidden"), (str(route), scope, answer.text)
            assert f"needs the scope {route.scope}" in answer.json()["detail"]
        every_other = filled.by(*(other for other in Scope if other is not scope))
        for route in routes:
            if route.scope is scope:
                assert is_problem(filled.request(route, every_other), 403, "forbidden"), (str(route), scope)


def test_another_tenant_is_told_nothing(filled: Filled, routes: list[Route]) -> None:
    for route in routes:
        if route.scope is None:
            continue
        answer = filled.request(route, filled.by(*route.enough, tenant=OTHER))
        if (route.method, route.path) in TENANTLESS:
            assert answer.status_code in (200, 403, 404), (str(route), answer.text)
        elif "{" in route.path or "job" in str(answer.request.url) or route.path in ("/v1/ground", "/v1/reviews"):
            assert is_problem(answer, 404, "not-found"), (str(route), answer.text)
        elif route.path == "/v1/studies" and route.method == "POST":
            assert filled.study not in answer.json()["studies"]
        else:
            assert answer.status_code in (200, 404), (str(route), answer.text)
        if (route.method, route.path) not in TENANTLESS:
            for known in (filled.study, filled.job, "Secret", "SECRET", *filled.findings):
                assert known not in answer.text.replace(str(answer.request.url), ""), str(route)
    there = filled.house.client().get(f"/v1/studies/{filled.study}")
    assert (there.status_code, there.json()["images"], there.json()["status"]) == (200, 1, "answered")


def test_with_its_scope_every_route_answers(filled: Filled, routes: list[Route]) -> None:
    """Last of all in this file: it changes things, and what deletes comes at the end."""
    expected = {
        ("POST", "/v1/jobs/{job}/cancel"): 409,  # it has ended
        ("POST", "/v1/studies/{study}/sign"): 409,  # the review came first
        ("GET", "/v1/jobs/{job}/signed"): 404,  # so nothing is signed
        ("GET", "/v1/model/card.html"): 404,  # this model has no card
        ("GET", "/v1/pacs/studies"): 404,
        ("POST", "/v1/pacs/studies/search"): 404,
        ("POST", "/v1/pacs/studies/pull"): 404,
    }
    for route in sorted(routes, key=lambda one: len(one.path) if one.method == "DELETE" else 0):
        answer = filled.request(route, filled.by(*route.enough) if route.scope else {})
        wanted = expected.get((route.method, route.path))
        assert answer.status_code == wanted if wanted else answer.is_success, (str(route), answer.text)


def test_what_is_read_is_recorded(house: Running, new_film: Callable[..., Path]) -> None:
    """Whatever tells of a patient or a result, by what it is about."""
    content = new_film(NODULE).read_bytes()
    before = house.service.audit.head().sequence
    client = house.client()
    answer = client.post("/v1/ground", files={"file": ("a", content)}, data={"query": "is there a nodule?"})
    job = answer.headers["location"].rpartition("/")[2]
    study = house.job(job).study_key
    (series,) = client.get(f"/v1/studies/{study}/series").json()
    frame = f"instances/{series['instances'][0]['id']}/frames/1"
    for path in (*(f"/v1/jobs/{job}/{kind}" for kind in ("result", "sr", "gsps", "overlay.png")),):
        assert client.get(path).status_code == 200
    for path in ("", "/results", f"/{frame}", "/report"):
        assert client.get(f"/v1/studies/{study}{path}").status_code == 200
    assert client.get("/v1/reviews", params={"job": job}).status_code == 200
    events = [one.event for one in house.service.audit.read(after=before)]
    read = [(one.action.value, one.object_id) for one in events if one.actor_kind.value == "token"]
    assert read == [
        *(("study_stored", study), ("execute", job), ("result_read", job), ("study_read", study)),
        *[("result_read", job)] * 4,
        *[("study_read", study)] * 3,
        *(("exported", study), ("result_read", job)),
    ]


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("10.0.0.1", 5), "10.0.0.1"),
        (("::1", 5), "::1"),
        (("testclient", 5), ""),
        (("proxy.example", 5), ""),
        (("1.2.3", 1), ""),
        (("a:b", 1), ""),
        (None, ""),
    ],
)
def test_an_address_is_one_or_nothing(client: tuple[str, int] | None, address: str) -> None:
    assert address_of(Request({"type": "http", "client": client, "headers": []})) == address
