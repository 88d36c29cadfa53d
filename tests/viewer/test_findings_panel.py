"""Findings: statements with their origins, where millimetres come from, and reviewing on the page."""

from __future__ import annotations

from typing import Any

import pytest

from medground.client.client import Client
from medground.client.parts import Me
from medground.schema.result import Origin
from medground.viewer.banner import synthetic_only
from medground.viewer.findings_panel import _STATUS, Reviewing, statements_of
from medground.viewer.memory import Memory
from medground.viewer.reviewing import STALE
from medground.viewer.sessions import Session
from tests.serving.running import EFFUSION, NODULE
from tests.viewer.conftest import Ask, Opened
from tests.viewer.made import finding, instance, model, result, review, reviewed, series, study, trained
from tests.viewer.people import Clock

SAID = (("A nodule.", Origin.MODEL), ("It is 10 mm long.", Origin.MEASURED), ("Follow it up.", Origin.RULE))
ONE = finding(statements=SAID)


def test_the_models_statements_stand_until_somebody_writes_others() -> None:
    assert statements_of(reviewed(ONE)) == list(SAID)
    assert statements_of(reviewed(ONE, "accepted", entry={"statements": None})) == list(SAID)
    assert statements_of(reviewed(finding())) == []


def test_what_a_reviewer_wrote_is_marked_as_theirs() -> None:
    edited = reviewed(ONE, "edited", entry={"statements": ["It is 10 mm long.", "A cyst."]})
    assert statements_of(edited) == [("It is 10 mm long.", Origin.MEASURED), ("A cyst.", Origin.REVIEWER)]
    assert statements_of(reviewed(ONE, "edited", entry={"statements": []})) == []


def test_an_added_finding_says_what_its_reviewer_wrote() -> None:
    assert statements_of(reviewed(None, "added", entry={})) == []
    assert statements_of(reviewed(None, "edited", entry={"statements": ["Here."]})) == [("Here.", Origin.REVIEWER)]


def test_every_status_has_words_and_a_sign() -> None:
    assert set(_STATUS) == {"unreviewed", "accepted", "edited", "rejected", "added"}
    assert len({words[0] for words in _STATUS.values()}) == len(_STATUS)


def _reviewing(*scopes: str) -> Reviewing:
    me = Me(name="Ann", tenant="clinic", scopes=scopes, kind="token", expires=None)
    session = Session(me, Client("http://127.0.0.1:1", "mg_x"), 0, 0, Clock())
    listed = (
        series(instance(1, spacing_mm=(0.5, 0.25), spacing_source="patient plane")),
        series(instance(2, spacing_mm=None, spacing_source=None)),
    )
    return Reviewing(session, Memory(), model(), study(), "1" * 40, result(), review(), listed)


def test_spacing_is_that_of_the_image_of_the_finding() -> None:
    reviewing = _reviewing("read")
    assert reviewing.spacing_of(("1.2.1", 1)) == ((0.5, 0.25), "patient plane")
    assert reviewing.spacing_of(("1.2.2", 1)) == (None, "")
    assert reviewing.spacing_of(("1.2.3", 1)) == (None, "")
    assert reviewing.spacing_of(None) == (None, "")


def test_who_may_review() -> None:
    assert [_reviewing(*scopes).may_review for scopes in (("read",), ("read", "sign"), ("read", "review"))] == [
        False,
        False,
        True,
    ]


def test_a_finding_is_synthetic_only_if_it_is_on_every_kind_of_image() -> None:
    learned = (
        trained("a", "chest CT", 10, synthetic_only=True),
        trained("a", "chest radiograph", 10),
        trained("b", "chest CT", 10, synthetic_only=True),
        trained("c", "chest CT", 10),
    )
    assert synthetic_only(model(*learned)) == {"a": False, "b": True, "c": False}
    assert synthetic_only(model(*reversed(learned))) == {"a": False, "b": True, "c": False}


def test_a_finding_says_what_it_rests_on(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    finding = page.choose_finding(asked)
    said = client.review(asked.job).findings[0].finding
    assert said is not None
    x1, y1, x2, y2 = said.box_xyxy_px
    short, long = sorted((0.5 * (x2 - x1), 0.5 * (y2 - y1)))
    assert page.shows(f"Long axis {long:.1f} mm, short axis {short:.1f} mm")
    assert (short, long) == pytest.approx((15, 15), abs=0.5)
    assert page.shows("Measured on the sides of the box; spacing from detector.")
    fields = [one for one in page.app.text_area if str(one.key).startswith(f"said-{finding}-")]
    assert [one.value for one in fields] == [*(one.text for one in said.description.statements), ""]
    for one, statement in zip(fields, said.description.statements, strict=False):
        assert one.label.startswith(f"{statement.origin}: ")


def test_without_spacing_there_are_no_millimetres(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE, ImagerPixelSpacing=None)
    page = opened(asked.study)
    page.choose_finding(asked)
    assert page.shows("No millimetres: the header gives no spacing.")
    assert not page.shows("Long axis")


def test_what_was_learned_from_synthetic_images_only_is_said(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    finding = client.review(asked.job).findings[0].finding_id
    said = {"action": "edit", "finding_id": finding, "concept": "pneumothorax", "reason": "wrong_finding"}
    client.add_review(asked.job, 0, said)
    page = opened(asked.study)
    page.choose_finding(asked)
    assert page.shows("pneumothorax")
    assert not page.shows("The model learned this finding from synthetic images only.")  # it said nodule itself


def test_a_finding_is_accepted_and_that_is_undone(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    finding = page.choose_finding(asked)
    assert "Undo: accept by Ann Example" not in page.labels
    page.press("Accept (a)")
    assert page.button("", key=f"finding-{finding}").label == "nodule 0.90  ✓ accepted"
    assert page.shows("1 of 1 findings reviewed. All can be signed.")
    assert page.stage["boxes"][0]["status"] == "accepted"
    (entry,) = client.review(asked.job).entries
    assert (entry["entry"]["action"], entry["entry"]["reason"]) == ("accept", "confirmed")
    page.press("Undo: accept by Ann Example")
    assert page.button("", key=f"finding-{finding}").label == "nodule 0.90  ○ not reviewed"
    assert client.review(asked.job).findings[0].status == "unreviewed"
    assert not any(label.startswith("Undo") for label in page.labels)


def test_a_finding_is_rejected_with_a_reason(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    finding = page.choose_finding(asked)
    page.press("normal variant")
    assert page.button("", key=f"finding-{finding}").label == "nodule 0.90  ✗ rejected"
    (entry,) = client.review(asked.job).entries
    assert (entry["entry"]["action"], entry["entry"]["reason"]) == ("reject", "normal_variant")


def test_statements_are_rewritten_and_marked_as_the_reviewers(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    finding = page.choose_finding(asked)
    said = client.review(asked.job).findings[0].finding
    assert said is not None
    first, second, *rest = [one.text for one in said.description.statements]
    fields = [one for one in page.app.text_area if str(one.key).startswith(f"said-{finding}-")]
    fields[0].set_value("Calcified, unchanged.")
    fields[1].set_value("  ")
    fields[-1].set_value("Seen before.")
    page.press("Keep these statements")
    (entry,) = client.review(asked.job).entries
    assert entry["entry"]["statements"] == ["Calcified, unchanged.", *rest, "Seen before."]
    assert (entry["entry"]["action"], entry["entry"]["reason"]) == ("edit", "wrong_description")
    fields = [one for one in page.app.text_area if str(one.key).startswith(f"said-{finding}-")]
    assert [one.value for one in fields] == ["Calcified, unchanged.", *rest, "Seen before.", ""]
    theirs = [one.value for one in fields if one.label == "reviewer: written by the reviewer"]
    assert theirs == ["Calcified, unchanged.", "Seen before."]
    page.press("Keep these statements")  # nothing was changed
    assert client.review(asked.job).revision == 1
    assert first not in [one.value for one in fields]
    assert second not in [one.value for one in fields]


def test_statements_that_rest_on_an_older_state(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    finding = page.choose_finding(asked)
    client.add_review(asked.job, 0, {"action": "accept", "finding_id": finding})
    page.write("A statement of your own", "Seen before.")
    page.press("Keep these statements")
    assert page.errors == [STALE]
    assert client.review(asked.job).revision == 1


def test_somebody_who_was_faster(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    finding = page.choose_finding(asked)
    client.add_review(asked.job, 0, {"action": "reject", "finding_id": finding, "reason": "artefact"})
    page.press("Accept (a)")
    assert page.errors == [STALE]
    assert page.button("", key=f"finding-{finding}").label == "nodule 0.90  ✗ rejected"
    page.press("Accept (a)")
    assert page.errors == []
    assert client.review(asked.job).findings[0].status == "accepted"


def test_what_is_done_on_the_stage_reaches_the_review(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE, EFFUSION)
    page = opened(asked.study)
    finding = client.review(asked.job).findings[0].finding
    assert finding is not None
    accept: dict[str, Any] = {"number": 7, "study": page.stage["study"], "kind": "accept", "finding": finding.id}
    page.does(accept, {**accept, "number": 8, "kind": "select"})
    assert client.review(asked.job).findings[0].status == "accepted"
    assert page.stage["acknowledged"] == {"": 8}
    assert page.stage["selected"] == finding.id
    assert page.stage["boxes"][0]["status"] == "accepted"
    box, sop = [10.0, 20.0, 30.0, 50.0], finding.sop_instance_uid
    place = {"study": page.stage["study"], "box_xyxy_px": box, "sop": sop, "frame": 1}
    page.does(
        accept,  # sent again, since it does not know yet that it was heard
        {**place, "number": 9, "kind": "add", "concept": "pneumothorax"},
        {**place, "number": 10, "kind": "edit", "finding": finding.id, "box_xyxy_px": [0, 0, 9999, 9999]},
    )
    assert page.stage["acknowledged"] == {"": 10}
    assert [one["number"] for one in page.stage["refused"]] == [10]
    assert "leaves its image" in page.stage["refused"][0]["words"]
    assert [one["label"] for one in page.stage["boxes"]] == ["nodule 0.90", "pneumothorax"]
    assert page.stage["boxes"][1]["box_xyxy_px"] == box
    assert [one["entry"]["action"] for one in client.review(asked.job).entries] == ["accept", "add"]
    added = page.stage["boxes"][1]["id"]
    assert page.button("", key=f"finding-{added}").label == "pneumothorax  + added"


def test_low_scores_can_be_hidden(opened: Opened, ask: Ask) -> None:
    asked = ask(NODULE, (150, 40, 160, 50))
    page = opened(asked.study)
    assert [one["label"] for one in page.stage["boxes"]] == ["nodule 0.90", "nodule 0.40"]
    (slider,) = page.app.slider
    slider.set_value(0.5).run()
    assert [one["label"] for one in page.stage["boxes"]] == ["nodule 0.90"]
    assert [label for label in page.labels if label.startswith("nodule")] == ["nodule 0.90  ○ not reviewed"]
    assert page.shows("0 of 2 findings reviewed.")  # hidden is not reviewed
