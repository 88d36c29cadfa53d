"""Signing: how far a review is, in words, and signing on the page."""

from __future__ import annotations

from medground.client.client import Client
from medground.viewer.reviewing import STALE
from medground.viewer.signing_panel import progress_words, unreviewed
from tests.serving.running import NODULE
from tests.viewer.conftest import Ask, Opened
from tests.viewer.made import finding, review, reviewed
from tests.viewer.people import People

OPEN, DONE, ADDED = reviewed(finding("a")), reviewed(finding("b"), "accepted"), reviewed(None, "added")


def test_findings_that_nobody_has_said_anything_of() -> None:
    assert unreviewed(review()) == 0
    assert unreviewed(review(OPEN, DONE, ADDED, reviewed(finding("c")))) == 2
    assert unreviewed(review(DONE, ADDED, reviewed(finding("c"), "rejected"), reviewed(finding("d"), "edited"))) == 0


def test_how_far_a_review_is() -> None:
    assert progress_words(review()) == "No finding to review."
    assert progress_words(review(OPEN, DONE, ADDED)) == "2 of 3 findings reviewed."
    assert progress_words(review(DONE, ADDED)) == "2 of 2 findings reviewed. All can be signed."
    assert progress_words(review(DONE, is_signed=True)) == "Signed."
    assert progress_words(review(OPEN, DONE, is_signed=True)) == "Signed. 1 finding(s) were not reviewed."
    assert progress_words(review(is_signed=True)) == "Signed."


SIGNER = "Signed by (Family^Given)"


def test_nothing_unreviewed_is_signed_by_accident(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    page.press("Sign")
    assert page.errors == ["1 finding(s) were not reviewed. Review them, or tick the box to sign without them."]
    assert not client.review(asked.job).is_signed
    (box,) = page.app.checkbox
    assert box.label.endswith("1 finding(s) were not reviewed: the report keeps them and says so at each")
    box.check()
    page.press("Sign")
    assert page.errors == []
    assert client.review(asked.job).is_signed
    assert page.shows("Signed. 1 finding(s) were not reviewed.")
    (said,) = page.app.success
    assert " with 1 finding(s)." in said.value
    assert b"Nobody has reviewed this finding." in client.file(asked.job, "signed")


def test_a_name_is_needed(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask()
    page = opened(asked.study)
    for nobody in ("", "   "):
        page.write(SIGNER, nobody)
        page.press("Sign")
        assert page.errors == ["Write your name: a report without one cannot be signed."]
    page.write(SIGNER, "Li\\Na")
    page.press("Sign")
    assert page.errors[0].startswith("Nothing was signed. ")
    assert not client.review(asked.job).is_signed
    page.write(SIGNER, " Li^Na ")
    page.press("Sign")
    assert client.review(asked.job).is_signed


def test_a_reviewed_result_is_signed(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    page = opened(asked.study)
    page.choose_finding(asked)
    page.press("Accept (a)")
    assert len(page.app.checkbox) == 0
    assert "Report (DICOM SR)" in page.labels
    page.press("Sign")
    state = client.review(asked.job)
    assert (state.is_signed, state.revision) == (True, 2)
    (said,) = page.app.success
    assert said.value.startswith("Signed: report ")
    assert " with 1 finding(s)." in said.value
    assert "Signed report (DICOM SR)" in page.labels
    assert not any(label.startswith("Undo") for label in page.labels)  # a signature is not taken back


def test_a_review_that_goes_on_while_somebody_signs(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask()
    page = opened(asked.study)
    sop = client.series(asked.study)[0].instances[0].sop_instance_uid
    added = {"action": "add", "concept": "nodule", "box_xyxy_px": [1, 2, 3, 4], "sop_instance_uid": sop}
    client.add_review(asked.job, 0, added)
    page.press("Sign")
    assert page.errors == [STALE]
    assert not client.review(asked.job).is_signed


def test_what_was_not_seen_is_not_signed(opened: Opened, client: Client, ask: Ask) -> None:
    """Everything is reviewed when the page is shown; then somebody else changes it, and it stays reviewed."""
    asked = ask(NODULE)
    page = opened(asked.study)
    finding = page.choose_finding(asked)
    page.press("Accept (a)")
    client.add_review(asked.job, 1, {"action": "reject", "finding_id": finding, "reason": "artefact"})
    page.press("Sign")
    assert page.errors == [STALE]
    assert client.review(asked.job).revision == 2
    assert page.button("", key=f"finding-{finding}").label == "nodule 0.90  ✗ rejected"
    page.press("Sign")  # now it was seen
    assert page.errors == []
    assert client.review(asked.job).is_signed


def test_a_service_that_goes_away_while_somebody_signs(
    opened: Opened, people: People, client: Client, ask: Ask
) -> None:
    asked = ask()
    page = opened(asked.study)
    there = page.session
    assert there is not None
    away = people.away(there)
    there.client, away.client = away.client, there.client
    page.press("Sign")
    there.client = away.client
    page.again()
    assert page.errors[0].startswith("It is not known whether that was signed. The service does not answer.")
    assert not client.review(asked.job).is_signed


def test_reports_can_be_taken_away(opened: Opened, client: Client, ask: Ask) -> None:
    page = opened(ask(NODULE).study)
    assert [one.label for one in page.app.download_button] == ["Report (HTML)", "Report (DICOM SR)"]
