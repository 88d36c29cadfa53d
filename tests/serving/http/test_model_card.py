"""The card over HTTP: what is told of it, and a page in which nothing can run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from medground.client.client import Client
from medground.client.errors import ServiceError
from medground.serving.access.scope import Scope
from medground.serving.model_card import CardState, ServedCard
from tests.serving.running import Running, running

CARD = ServedCard(
    CardState.VERIFIED,
    "whole",
    signer="maker",
    fingerprint="ab" * 32,
    exported_at="2026-01-02T03:04:05Z",
    facts={"title": "made", "evaluations": [{"mean_ap50": 0.25}]},
    page="<!doctype html><title>模型</title>".encode(),
    folder=Path("/secret/place"),
)
BROKEN = ServedCard(CardState.NOT_VERIFIED, "the card at /secret/place is damaged")


@pytest.fixture(scope="module")
def carded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("carded"), card=CARD) as it:
        yield it


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("broken"), card=BROKEN) as it:
        yield it


def test_a_verified_card(carded: Running) -> None:
    client = carded.client(Scope.READ)
    view = client.get("/v1/model/card").json()
    assert (view["state"], view["signer"], view["fingerprint"]) == ("verified", "maker", "ab" * 32)
    assert view["facts"] == CARD.facts
    model = client.get("/v1/model").json()["card"]
    assert model == {name: value for name, value in view.items() if name != "facts"}
    assert "/secret" not in str(view)


def test_the_page_is_sent_as_it_is_and_boxed_in(carded: Running) -> None:
    answer = carded.client(Scope.READ).get("/v1/model/card.html")
    assert (answer.status_code, answer.content) == (200, CARD.page)
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"sandbox", "default-src 'none'", "img-src data:", "frame-ancestors 'none'"} <= set(policy)
    assert not [rule for rule in policy if rule.startswith(("script-src", "connect-src"))]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_of_a_card_that_does_not_hold_nothing_is_shown(broken: Running) -> None:
    client = broken.client(Scope.READ)
    view = client.get("/v1/model/card").json()
    assert (view["state"], view["facts"], view["signer"], view["exported_at"]) == ("not_verified", None, "", "")
    assert client.get("/v1/model").json()["card"]["state"] == "not_verified"
    answer = client.get("/v1/model/card.html")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:medground:problem:no-card")
    assert "/secret" not in answer.text + str(view)


def test_by_the_client(carded: Running, broken: Running) -> None:
    with Client(carded.url, carded.token(Scope.READ)) as client:
        assert client.card().facts == CARD.facts
        assert client.card_page() == CARD.page
        standing = client.model().card
        assert standing is not None
        assert standing.state == "verified"
    with Client(broken.url, broken.token(Scope.READ)) as client:
        assert client.card().facts is None
        with pytest.raises(ServiceError) as error:
            client.card_page()
    assert error.value.kind == "no-card"
