"""A frame of the service for the browser of who is signed in, with what that person's credentials allow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from medground.client.client import Client
from medground.client.parts import FrameReading, Me
from medground.serving.access.scope import Scope
from medground.viewer.pixels import pixel_route, pixel_url
from medground.viewer.sessions import COOKIE, Sessions
from tests.inference.drawn import drawn, write_ct_slice
from tests.serving.running import NODULE, OTHER, Running
from tests.viewer.conftest import New
from tests.viewer.loopback import Answer, Asked, serving
from tests.viewer.people import Clock, People

_DAY = timedelta(days=1)
ME = Me(name="Ann", tenant="clinic", scopes=("read",), kind="token", expires=None)


@pytest.fixture
def browser(sessions: Sessions) -> TestClient:
    return TestClient(Starlette(routes=[pixel_route(sessions)]), raise_server_exceptions=False)


def sign_in(sessions: Sessions, browser: TestClient, client: Client) -> str:
    secret = sessions.begin(client, ME)
    browser.cookies.set(COOKIE, secret)
    return secret


def _stored(client: Client, path: Path) -> tuple[str, int]:
    """Key of a study that is sent, and id of its image."""
    (study,) = client.store([path]).studies
    return study, client.series(study)[0].instances[0].id


def test_a_frame_as_the_service_gives_it(
    people: People, sessions: Sessions, browser: TestClient, new_film: New
) -> None:
    client, path = people.session().client, new_film(NODULE)
    study, image = _stored(client, path)
    sign_in(sessions, browser, client)
    answer = browser.get(pixel_url(study, image, 1))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "private, no-store"
    reading = json.loads(answer.headers["x-frame"])
    assert (reading["rows"], reading["columns"], reading["samples"], reading["inverted"]) == (256, 256, 1, False)
    assert reading["spacing_mm"] == [0.5, 0.5]
    values = reading["slope"] * np.frombuffer(answer.content, "<u2").reshape(256, 256) + reading["intercept"]
    assert np.allclose(values, pydicom.dcmread(path).pixel_array, atol=abs(reading["slope"]))


def test_values_of_a_ct_are_hounsfield_units(
    people: People, sessions: Sessions, browser: TestClient, tmp_path: Path, numbers: Iterator[int]
) -> None:
    pixels = drawn([(10, 20, 30, 40)], rows=64, columns=48)
    path = write_ct_slice(tmp_path / "a.dcm", pixels, z_mm=0, instance=1, study=next(numbers))
    client = people.session().client
    study, image = _stored(client, path)
    sign_in(sessions, browser, client)
    answer = browser.get(pixel_url(study, image, 1))
    reading = json.loads(answer.headers["x-frame"])
    values = reading["slope"] * np.frombuffer(answer.content, "<u2").reshape(64, 48) + reading["intercept"]
    assert (reading["rows"], reading["columns"], reading["spacing_mm"]) == (64, 48, [0.8, 0.7])
    assert np.allclose(values, pixels * 1500 - 1350, atol=1)


def test_nothing_without_a_session(people: People, sessions: Sessions, browser: TestClient, new_film: New) -> None:
    client = people.session().client
    url = pixel_url(*_stored(client, new_film(NODULE)), 1)
    secret = sign_in(sessions, browser, client)
    for cookie in ("", "x" * 43, secret[:-1]):
        browser.cookies.set(COOKIE, cookie)
        assert (browser.get(url).status_code, browser.get(url).json()["detail"][:13]) == (401, "not signed in")
    browser.cookies.clear()
    assert browser.get(url).status_code == 401


def test_loading_ahead_is_no_sign_of_life(
    people: People, sessions: Sessions, browser: TestClient, clock: Clock, new_film: New
) -> None:
    client = people.session().client
    url = pixel_url(*_stored(client, new_film(NODULE)), 1)
    sign_in(sessions, browser, client)
    for _ in range(2):
        clock.now_s += 30
        assert browser.get(url).status_code == 200
    clock.now_s += 1
    assert browser.get(url).status_code == 401


def test_the_service_says_what_may_be_seen(
    people: People, sessions: Sessions, browser: TestClient, new_film: New
) -> None:
    study, image = _stored(people.session().client, new_film(NODULE))
    for session in (people.session(Scope.READ, tenant=OTHER), people.session(Scope.GROUND)):
        sign_in(sessions, browser, session.client)
        answer = browser.get(pixel_url(study, image, 1))
        assert answer.status_code == (404 if session.me.tenant == OTHER else 403)
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("study", "image", "frame", "status"),
    [
        ("0" * 24, 1, 1, 404),
        ("0" * 23, 1, 1, 404),
        ("G" * 24, 1, 1, 404),
        ("0" * 24, 0, 1, 422),
        ("0" * 24, 1, 0, 422),
        ("0" * 24, 2**63, 1, 422),
    ],
)
def test_what_is_no_frame(
    people: People, sessions: Sessions, browser: TestClient, study: str, image: int, frame: int, status: int
) -> None:
    sign_in(sessions, browser, people.session().client)
    answer = browser.get(pixel_url(study, image, frame))
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    for path in (f"/pixels/{study}/x/1", f"/pixels/{study}/1", "/pixels/..%2f..%2fv1%2fme/1/1"):
        assert browser.get(path).status_code == 404


def test_a_frame_that_the_image_does_not_have(
    people: People, sessions: Sessions, browser: TestClient, new_film: New
) -> None:
    client = people.session().client
    study, image = _stored(client, new_film(NODULE))
    sign_in(sessions, browser, client)
    answer = browser.get(pixel_url(study, image, 2))
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("there is no such frame")


def test_a_token_that_was_taken_back(
    people: People, house: Running, sessions: Sessions, browser: TestClient, new_film: New
) -> None:
    made = house.service.tokens.create("Bob", "clinic", (Scope.READ, Scope.GROUND), _DAY)
    client = people.session(token=made.plain).client
    url = pixel_url(*_stored(client, new_film(NODULE)), 1)
    sign_in(sessions, browser, client)
    assert browser.get(url).status_code == 200
    house.service.tokens.revoke(made.record.token_id)
    assert browser.get(url).status_code == 401


def test_a_service_that_is_away_or_is_none(people: People, sessions: Sessions, browser: TestClient) -> None:
    url = pixel_url("0" * 24, 1, 1)
    sign_in(sessions, browser, people.away(people.session()).client)
    assert (browser.get(url).status_code, browser.get(url).json()["detail"][:27]) == (
        503,
        "the service does not answer",
    )
    for status in (200, 302, 404, 500):
        with serving(partial(_page, status)) as address:
            sign_in(sessions, browser, Client(address, "mg_x"))
            answer = browser.get(url)
        assert answer.status_code == (status if status >= 400 else 502)
        assert "Canary" not in answer.text


def _page(status: int, asked: Asked) -> Answer:
    del asked
    return status, {"Content-Type": "text/html"}, b"<p>Canary"


def test_signing_out_while_slices_are_loading(sessions: Sessions, browser: TestClient) -> None:
    arrived, may_go = threading.Event(), threading.Event()

    def slow(asked: Asked) -> tuple[int, dict[str, str], bytes]:
        arrived.set()
        may_go.wait(50)
        return 200, {}, b""

    with serving(slow) as address:
        secret = sign_in(sessions, browser, Client(address, "mg_x"))
        answers: list[httpx.Response] = []
        loading = threading.Thread(target=lambda: answers.append(browser.get(pixel_url("0" * 24, 1, 1))))
        loading.start()
        assert arrived.wait(120)
        sessions.end(secret)
        may_go.set()
        loading.join()
        assert answers[0].status_code in (401, 502, 503)  # whichever came first, and never a fault of ours
        assert browser.get(pixel_url("0" * 24, 1, 1)).status_code == 401


def test_a_session_that_ends_while_a_frame_waits_for_its_turn(sessions: Sessions, browser: TestClient) -> None:
    class Waiting(Client):
        def frame(self, study: str, instance: int, frame: int = 1) -> tuple[FrameReading, bytes]:
            sessions.end(secret)
            return super().frame(study, instance, frame)

    secret = sign_in(sessions, browser, Waiting("http://127.0.0.1:1", "mg_x"))
    answer = browser.get(pixel_url("0" * 24, 1, 1))
    assert (answer.status_code, answer.json()["detail"][:13]) == (401, "not signed in")
