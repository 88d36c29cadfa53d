"""Similar cases on the page: pictures with their boxes, words, and why there is no picture."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest

from medground.client.client import Client
from medground.client.parts import Case
from medground.imaging.thumbnail import png_of
from medground.model.cases import Picture
from medground.viewer.renewal import SignInEndedError
from medground.viewer.similar_cases import case_html, words_of
from tests.inference.blob_reader import BlobReader
from tests.model.made_cases import one_case, picture
from tests.serving.running import EFFUSION, NODULE, Running, running
from tests.viewer.conftest import Ask, Opened
from tests.viewer.opened_page import OpenedPage
from tests.viewer.people import People

KEPT = one_case(1, "nodule", kept=True)
ASKED = one_case(
    2, "nodule", synthetic=False, source="added to this bundle", picture=Picture.NOT_ASKED, longest_mm=None, side=None
)
NAMES = {"nodule": "nodule"}
LABEL = "Similar cases the model learnt from"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("house"), BlobReader(cases=KEPT.joined(ASKED))) as it:
        yield it


def case(**changes: Any) -> Case:
    usual: dict[str, Any] = {
        "id": "0" * 16,
        "concept": "nodule",
        "domain": "chest CT",
        "side": "left",
        "zone": "upper zone",
        "longest_mm": 8.4,
        "appearance": ("round", "solid"),
        "source": "phantom",
        "synthetic": True,
        "has_thumbnail": True,
        "why_no_thumbnail": "",
        "box_xyxy_px": (10.0, 12.0, 40.0, 48.0),
    }
    return Case(**(usual | changes))


def shown(page: OpenedPage) -> list[str]:
    return [str(one.proto.body) for one in page.app.get("html") if "<figure" in str(one.proto.body)]


def test_what_is_known_in_words() -> None:
    assert words_of(case()) == "Chest CT; left side; upper zone; 8 mm; round, solid."
    film = case(domain="chest radiograph", side="bilateral", zone=None, appearance=(), synthetic=False, source="clinic")
    assert words_of(film) == "Chest radiograph; both sides; 8 mm at the detector. From: clinic."
    bare = case(side=None, zone=None, longest_mm=None, appearance=(), concept="rib_metastasis")
    assert words_of(bare) == "Chest CT."


def test_the_box_is_an_outline_over_the_picture() -> None:
    content = png_of(picture(rows=60, columns=80))
    told = case_html(case(), 0.834, NAMES, content)
    assert base64.b64encode(content).decode() in told
    assert 'alt="Synthetic image of a case of nodule, its box outlined"' in told
    assert "width:96px;height:72px" in told
    assert "left:12.5%;top:20.0%;width:37.5%;height:60.0%" in told
    assert "Similarity 0.83" in told
    assert ">synthetic<" in told


def test_without_a_picture_the_reason_stands_there() -> None:
    told = case_html(case(synthetic=False, why_no_thumbnail="No picture: a reason."), 0.5, NAMES, None)
    assert "No picture: a reason." in told
    assert "<img" not in told
    assert "synthetic" not in told


def test_what_is_no_picture_is_not_put_on_the_page() -> None:
    for odd in (b"", b"<svg onload=alert(1)>" * 9, b"\x89PNG\r\n\x1a\n" + b"\0" * 40):
        assert "<img" not in case_html(case(), 0.5, NAMES, odd)


def test_words_of_a_bundle_are_no_html() -> None:
    bad = "<script>alert(1)</script>"
    odd = case(concept=bad, source=bad, appearance=(bad,), zone=bad, synthetic=False, why_no_thumbnail=bad)
    for content in (None, png_of(picture())):
        told = case_html(odd, 0.5, {bad: f'"><img src=x onerror=1>{bad}'}, content)
        assert "<script" not in told
        assert "<img src=x" not in told
        assert told.count("<img") == (content is not None)


def test_a_finding_shows_its_cases(opened: Opened, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    page.choose_finding(asked)
    (expander,) = (one for one in page.app.expander if one.label == LABEL)
    assert not expander.proto.expanded  # a summary, which Tab reaches and Enter opens
    first, second = shown(page)
    assert base64.b64encode(png_of(KEPT.pictures[KEPT.known[0].id])).decode() in first
    assert "Similarity 0.90" in first
    assert "Chest radiograph; right side; upper zone; 31 mm at the detector; round, cavitated." in first
    assert "Similarity 0.80" in second
    assert "whoever added the class did not ask for pictures" in second
    assert "From: added to this bundle." in second
    assert re.search(r"<img", second) is None


def test_a_finding_without_cases_says_nothing_of_them(opened: Opened, ask: Ask) -> None:
    asked = ask(EFFUSION, questions=("is there a pleural effusion?",))
    page = opened(asked.study)
    page.choose_finding(asked)
    assert LABEL not in [one.label for one in page.app.expander]
    assert shown(page) == []


def test_cases_that_the_service_does_not_have(house: Running, opened: Opened, ask: Ask) -> None:
    both = house.reader.cases
    house.reader.cases = KEPT.joined(one_case(9, "nodule"))  # as of a bundle that answered before
    try:
        asked = ask(NODULE)
    finally:
        house.reader.cases = both
    page = opened(asked.study)
    page.choose_finding(asked)
    assert len(shown(page)) == 1
    assert page.shows("A case cannot be shown: the model that answers now has no such case")


def test_cases_of_a_service_that_is_away_take_nothing_else_off_the_page(
    opened: Opened, ask: Ask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = people.session()
    (first, second), tried = (KEPT.known[0].id, ASKED.known[0].id), list[str]()
    away = people.away(session).client
    session.kept(f"case-{second}", 60, lambda: session.client.case(second))

    def cut(key: str) -> Case:
        tried.append(key)
        return away.case(key)

    monkeypatch.setattr(session.client, "case", cut)
    asked = ask(NODULE)
    page = opened(session=session)
    page.memory.study = asked.study
    page.again()
    tried.clear()
    page.choose_finding(asked)
    assert tried == [first]
    assert sum("A case cannot be shown: " in one for one in page.words) == 1
    assert len(shown(page)) == 1  # what is kept needs no service
    assert page.errors == []
    assert "Accept (a)" in page.labels
    assert page.shows("few or no real images")


@pytest.mark.parametrize("credentials", ["mg_x", "ended"])
def test_credentials_that_count_no_more_are_told(
    house: Running, opened: Opened, ask: Ask, people: People, monkeypatch: pytest.MonkeyPatch, credentials: str
) -> None:
    def ended() -> str:
        raise SignInEndedError("Nothing is renewed.")

    session, asked = people.session(), ask(NODULE)
    with Client(house.url, ended if credentials == "ended" else credentials) as other:
        monkeypatch.setattr(session.client, "case", other.case)
        page = opened(asked.study, session=session)
    (told,) = page.errors
    assert told.startswith("Nothing is renewed. " if credentials == "ended" else "Your token has ended")
