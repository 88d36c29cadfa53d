"""What every request passes: limits on its size, an id, headers of caution, a line in the log, a count."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from medground.serving.access.scope import Scope as Right
from medground.serving.config import HttpConfig, TlsConfig
from medground.serving.http.gate import MAX_TEXT_BYTES, Gate
from tests.serving.http.answers import post, problem
from tests.serving.running import BODY_LIMIT, Running, config_in, eventually, opened, running

New = Callable[..., Path]
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


def announcement(token: str, length: int) -> bytes:
    """The head of an upload of so many bytes."""
    head = ("POST /v1/studies HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", f"Content-Length: {length}")
    return "\r\n".join((*head, f"Content-Type: {FORM['Content-Type']}", "", "")).encode()


def in_pieces(count: int, size: int = 2**16) -> Iterator[bytes]:
    """A body without a Content-Length."""
    yield HEAD
    for _ in range(count):
        yield bytes(size)


def test_a_body_that_is_announced_too_large_is_not_read(house: Running) -> None:
    answer = house.client().post("/v1/studies", content=HEAD + bytes(BODY_LIMIT), headers=FORM)
    problem(answer, 413, "too-large", f"{BODY_LIMIT} bytes; send the study in several requests")
    host, port = house.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as wire:
        token = house.token()
        head = f"POST /v1/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        wire.sendall(
            f"{head}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 99999999\r\n\r\n".encode()
        )
        assert wire.recv(100).startswith(b"HTTP/1.1 413 ")  # with nothing of it sent


def test_a_body_that_grows_too_large_is_broken_off(house: Running) -> None:
    before = set((house.service.config.state / "objects").rglob("*"))
    answer = house.client().post("/v1/studies", content=in_pieces(64), headers=FORM)
    problem(answer, 413, "too-large", f"{BODY_LIMIT} bytes")
    assert set((house.service.config.state / "objects").rglob("*")) == before


def test_the_largest_body_that_is_taken(house: Running) -> None:
    end = b"\r\n--b--\r\n"
    for size, status in ((BODY_LIMIT, 422), (BODY_LIMIT + 1, 413)):
        body = HEAD + bytes(size - len(HEAD) - len(end)) + end
        assert house.client().post("/v1/studies", content=body, headers=FORM).status_code == status
        assert house.client().post("/v1/studies", content=iter([body]), headers=FORM).status_code == status


def test_a_text_may_be_shorter_still(tmp_path: Path) -> None:
    """It is held in memory before anybody is asked who he is, and so by everybody."""
    with running(tmp_path, http=HttpConfig(max_body_bytes=2**26)) as house:
        text = b'{"job": "' + b"x" * MAX_TEXT_BYTES + b'"}'
        json_urls = ("/v1/reviews", f"/v1/studies/{'0' * 24}/sign")
        for url, kind in (*((url, "json") for url in json_urls), ("/v1/ground", "x-www-form-urlencoded")):
            for content in (text, iter([text[: 2**19], text[2**19 :]])):
                answer = house.anybody().post(url, content=content, headers={"Content-Type": f"application/{kind}"})
                if url in json_urls or isinstance(content, bytes):
                    problem(answer, 413, "too-large", f"{MAX_TEXT_BYTES} bytes")
                else:
                    problem(answer, 401, "not-authenticated")  # a form is read after whoever sends it is known
        for url in json_urls:  # and what it says of itself opens nothing
            for content in (HEAD + bytes(MAX_TEXT_BYTES), in_pieces(32)):
                problem(house.anybody().post(url, content=content, headers=FORM), 413, "too-large")
        assert (
            house.client().post("/v1/studies", content=HEAD + bytes(2 * MAX_TEXT_BYTES), headers=FORM).status_code
            == 422
        )


@pytest.mark.parametrize("length", [b"x", b"-1", b"1_0", b"+5", b"9" * 19, b"9" * 5000, b"0x10", b"\xb2"])
def test_a_length_that_is_none(tmp_path: Path, length: bytes) -> None:
    """A server in front of the application may let through what ours does not."""
    answered: list[Message] = []

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("it is refused before")

    async def send(message: Message) -> None:
        answered.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", length)]}
    with opened(tmp_path) as (service, _):
        asyncio.run(Gate(never, service)(scope, receive, send))
    assert answered[0]["status"] == 400
    assert json.loads(answered[1]["body"])["type"] == "urn:medground:problem:bad-request"


def test_every_answer_has_headers_of_caution(house: Running) -> None:
    paths = ("/healthz", "/v1/openapi.json", "/v1/studies", "/absent", "/v1/studies/x", "/v1/jobs/" + "0" * 40)
    for client in (house.client(), house.anybody()):
        for path in paths:
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["cache-control"] == "no-store"
            assert headers["referrer-policy"] == "no-referrer"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "server" not in headers
            assert "strict-transport-security" not in headers  # without TLS it would lock people out


def test_with_tls_it_says_so(tmp_path: Path) -> None:
    http = HttpConfig(tls=TlsConfig(certificate=Path("c"), key=Path("k")))
    with running(tmp_path, http=http) as house:
        assert house.anybody().get("/healthz").headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0123456789abcdef0123456789abcdef", True),
        ("01234567-89ab-cdef-0123-456789abcdef", True),
        ("SECRET-12345678", False),  # a patient's number would be logged
        ("12345678", False),
        ("0123456789ABCDEF0123456789ABCDEF", False),
        ("a\tb", False),
        ("", False),
    ],
)
def test_an_id_from_outside_is_kept_if_it_is_a_uuid(house: Running, given: str, kept: bool) -> None:
    answer = house.anybody().get("/healthz", headers={"X-Request-Id": given})
    assert (answer.headers["x-request-id"] == given) is kept
    assert house.line(answer)["route"] == "/healthz"


def test_ids_differ(house: Running) -> None:
    assert len({house.anybody().get("/healthz").headers["x-request-id"] for _ in range(20)}) == 20


def test_a_request_is_logged_by_its_route_and_never_by_its_path(house: Running) -> None:
    client = house.client(Right.READ)
    for path, route, status in (
        ("/v1/studies?search=Canary", "/v1/studies", 200),
        ("/v1/studies/" + "0" * 24, "/v1/studies/{study}", 404),
        ("/v1/studies/Canary", "/v1/studies/{study}", 422),
        ("/Canary", "unknown", 404),
        ("/v1/jobs/Canary/Canary", "unknown", 404),
    ):
        line = house.line(client.get(path))
        assert (line["route"], line["status"], line["method"]) == (route, status, "GET"), path
        assert isinstance(line["milliseconds"], int)
    assert house.line(house.anybody().request("CANARY", "/healthz"))["method"] == "OTHER"
    assert "canary" not in house.logged.getvalue().lower()
    metrics = house.client(Right.ADMIN).get("/metrics").text
    assert "canary" not in metrics.lower()
    counted = {
        (one.labels["route"], one.labels["status"]): one.value
        for family in text_string_to_metric_families(metrics)
        for one in family.samples
        if one.name == "medground_http_requests_total"
    }
    assert counted["/v1/studies/{study}", "422"] >= 1
    assert counted["unknown", "404"] >= 2


def test_what_breaks_is_told_by_its_class_alone(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        house.service.store.path("0" * 64).parents[1].joinpath("incoming").rmdir()
        answer = post(house.client(), b"x", url="/v1/studies")
        body = problem(answer, 500, "internal", "X-Request-Id")
        assert "incoming" not in body["detail"]
        assert eventually(lambda: "request_failed" in house.logged.getvalue())
        failed = next(line for line in house.lines() if line["event"] == "request_failed")
        assert (failed["kind"], failed["request"]) == ("FileNotFoundError", answer.headers["x-request-id"])
        assert str(tmp_path) not in house.logged.getvalue()


def test_only_http_is_counted(tmp_path: Path) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        return {}

    async def nowhere(message: Message) -> None:
        del message

    with opened(tmp_path) as (service, logged):
        asyncio.run(Gate(app, service)({"type": "lifespan"}, nothing, nowhere))
        assert (seen, logged.getvalue()) == (["lifespan"], "")
    assert config_in(tmp_path).http.max_body_bytes == BODY_LIMIT


def test_a_client_that_leaves_in_the_middle_does_no_harm(house: Running, new_film: New) -> None:
    host, port = house.url.removeprefix("http://").split(":")
    for sent in (b"", HEAD, HEAD + new_film().read_bytes()[:5000]):
        with socket.create_connection((host, int(port)), timeout=120) as wire:
            head = f"POST /v1/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.token()}\r\n"
            wire.sendall(
                f"{head}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 99999\r\n\r\n".encode()
            )
            wire.sendall(sent)
    assert post(house.client(), new_film(), url="/v1/studies").status_code == 201
    incoming = house.service.config.state / "objects" / "incoming"
    assert eventually(lambda: list(incoming.iterdir()) == [])  # once it is noticed that they have left
