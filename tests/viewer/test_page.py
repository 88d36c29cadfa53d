"""The page against a real service: what is always there, what scopes allow, and what is said of faults."""

from __future__ import annotations

from datetime import timedelta

import pytest

from medground.client.client import Client
from medground.serving.access.scope import Scope
from tests.serving.running import NODULE, Running
from tests.viewer.conftest import Ask, New, Opened
from tests.viewer.opened_page import OpenedPage
from tests.viewer.people import USER, People


def test_what_is_always_visible(opened: Opened, ask: Ask) -> None:
    for page in (opened(), opened(ask(NODULE).study)):
        assert page.shows("**Research only, not a medical device. No diagnosis rests on it without a physician.**")
        assert page.shows("blobs 1, bundle `000000000000`")
        assert page.shows("| pneumothorax | chest radiograph | 100 | none: learned from synthetic images only |")
        assert page.shows("Signed in as Ann Example (ground, read, review, sign)")
        (out,) = (one for one in page.app.get("html") if "Sign out" in one.value)
        assert 'method="post" action="/sign-out"' in out.value


def test_who_may_only_read_is_shown_nothing_else_to_press(opened: Opened, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(None, Scope.READ)
    assert [one.label for one in page.app.expander] == []  # nothing to open files with
    page.memory.study = asked.study
    page.memory.selected[asked.job] = page.session.client.review(asked.job).findings[0].finding_id  # type: ignore[union-attr]
    page.again()
    assert page.shows("You may look at answers but not ask: your credentials lack the scope ground.")
    assert page.stage["may_review"] is False
    assert page.labels == ["← Work list", "nodule 0.90  ○ not reviewed", "Report (HTML)", "Report (DICOM SR)"]
    assert len(page.app.text_area) == len(page.app.text_input) == 0
    assert page.shows("model: the model says so")  # each statement with its origin


@pytest.mark.parametrize(
    ("scope", "labels"),
    [(Scope.GROUND, {"Ask"}), (Scope.REVIEW, {"Accept (a)", "Keep these statements"}), (Scope.SIGN, {"Sign"})],
)
def test_each_scope_has_its_buttons(opened: Opened, client: Client, ask: Ask, scope: Scope, labels: set[str]) -> None:
    asked = ask(NODULE)
    page = opened(asked.study, Scope.READ, scope)
    page.choose_finding(asked)
    assert {"Ask", "Accept (a)", "Keep these statements", "Sign"} & set(page.labels) == labels


def test_a_session_that_has_ended(people: People, client: Client, new_film: New) -> None:
    client.store([new_film(PatientName="Canary^Ann")])
    page = OpenedPage(people.session())
    assert page.shows("Canary")
    page.session = None
    page.again()
    assert page.words == ["Your session has ended. [Sign in again](/sign-in)"]
    assert page.labels == []


def test_a_service_that_is_away(opened: Opened, people: People, ask: Ask) -> None:
    page = opened(ask(NODULE).study)
    there = page.session
    assert there is not None
    page.session = people.away(there)
    page.again()
    assert page.errors == [
        "The service does not answer. Nothing that was saved is lost. Wait a moment, then press Try again."
    ]
    page.session = there
    page.press("Try again")
    assert page.errors == []
    assert page.shows("1. is there a nodule?")


def test_a_service_that_goes_away_while_somebody_reviews(
    opened: Opened, people: People, client: Client, ask: Ask
) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    finding = page.choose_finding(asked)
    there = page.session
    assert there is not None
    accept = {"number": 7, "study": page.stage["study"], "kind": "accept", "finding": finding}
    page.session = people.away(there)
    page.press("", key="finding-" + finding)
    assert page.errors[0].startswith("The service does not answer.")
    page.session = there
    page.press("Try again")
    page.does(accept)
    assert client.review(asked.job).findings[0].status == "accepted"


def test_a_token_that_was_taken_back_meanwhile(opened: Opened, people: People, house: Running, ask: Ask) -> None:
    asked = ask(NODULE)
    made = house.service.tokens.create("Bob", "clinic", USER, timedelta(days=1))
    page = opened(asked.study, session=people.session(token=made.plain))
    house.service.tokens.revoke(made.record.token_id)
    words = "Your token has ended or was taken back. Sign out, and sign in with a new one."
    page.again()
    assert page.errors == [words]
    page.memory.study = None
    page.again()
    assert page.errors == [words]
    assert any("Sign out" in one.value for one in page.app.get("html"))


def test_a_study_that_was_deleted_meanwhile(opened: Opened, house: Running, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    house.client(Scope.ADMIN).delete(f"/v1/studies/{asked.study}").raise_for_status()
    page.again()
    assert page.errors[0].startswith("there is no such study")
    page.press("← Work list")
    assert page.errors == []
    assert [one.value for one in page.app.header] == ["Work list"]


def test_a_result_that_was_deleted_meanwhile(opened: Opened, house: Running, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    page.choose_finding(asked)
    house.client(Scope.ADMIN).delete(f"/v1/jobs/{asked.job}").raise_for_status()
    page.press("Accept (a)")
    assert page.errors == []
    assert page.shows("Nothing was asked of this study yet.")
