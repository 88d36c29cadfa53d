"""A review from its first word to the signed report, through the client, over HTTP, to the DICOM file."""

from __future__ import annotations

import io

import pydicom
import pytest

from medground.client.client import Client
from medground.client.errors import ServiceError
from medground.client.parts import Job, ReviewState
from medground.dicom.sr import read_sr
from medground.schema.result import Finding, Origin
from tests.client.conftest import New
from tests.serving.running import EFFUSION, NODULE

QUESTIONS = ["is there a nodule?", "is there a pleural effusion?"]
MISSED = (20, 30, 50, 55)
MOVED = (62, 71, 95, 104)


@pytest.fixture
def job(client: Client, new_film: New) -> Job:
    asked = client.submit([new_film(NODULE, EFFUSION)], QUESTIONS)
    client.wait(asked.id)
    return asked


def status_of(state: ReviewState) -> dict[str, str]:
    return {one.finding_id: one.status for one in state.findings}


def signed(client: Client, job: Job) -> list[Finding]:
    """The findings of the newest signed report."""
    study = read_sr(pydicom.dcmread(io.BytesIO(client.file(job.id, "signed")))).studies[0]
    return [finding for answer in study.answers for finding in answer.findings]


def test_a_review_end_to_end(client: Client, job: Job) -> None:
    nodule, effusion = (answer.findings[0] for answer in client.result(job.id).studies[0].answers)
    # Another finding by name, with the words of the reviewer.
    state = client.add_review(
        job.id,
        0,
        {
            "action": "edit",
            "finding_id": nodule.id,
            "concept": "mass",
            "statements": ["Round mass.", "Smooth edge."],
            "reason": "wrong_finding",
        },
    )
    assert (state.revision, status_of(state)) == (1, {nodule.id: "edited", effusion.id: "unreviewed"})
    # Its box, which goes on from the edit before.
    state = client.add_review(job.id, 1, {"action": "edit", "finding_id": nodule.id, "box_xyxy_px": list(MOVED)})
    (edited,) = [one for one in state.findings if one.finding_id == nodule.id]
    assert edited.entry is not None
    assert (edited.entry["concept"], edited.entry["box_xyxy_px"]) == ("mass", list(MOVED))
    assert edited.entry["statements"] == ["Round mass.", "Smooth edge."]
    # One that the model has missed.
    add = {
        "action": "add",
        "concept": "nodule",
        "box_xyxy_px": list(MISSED),
        "sop_instance_uid": nodule.sop_instance_uid,
        "frame": 1,
        "reason": "missed",
    }
    state = client.add_review(job.id, 2, add)
    (added,) = [one for one in state.findings if one.finding is None]
    assert added.status == "added"
    # A word that is taken back, by the number of its entry.
    state = client.add_review(
        job.id, 3, {"action": "reject", "finding_id": effusion.id, "reason": "artefact", "text": "a fold of skin"}
    )
    assert status_of(state)[effusion.id] == "rejected"
    state = client.add_review(job.id, 4, {"action": "undo", "undoes": 4})
    assert status_of(state)[effusion.id] == "unreviewed"
    # Nothing is signed that nobody looked at, and nothing on what was seen before the last word.
    with pytest.raises(ServiceError, match="1 finding") as unreviewed:
        client.sign(job.study, job.id, 5, "Doe^Ann")
    assert unreviewed.value.kind == "unreviewed"
    state = client.add_review(job.id, 5, {"action": "accept", "finding_id": effusion.id})
    for stale in (
        lambda: client.sign(job.study, job.id, 5, "Doe^Ann"),
        lambda: client.add_review(job.id, 5, {"action": "accept", "finding_id": nodule.id}),
    ):
        with pytest.raises(ServiceError) as error:
            stale()
        assert (error.value.status, error.value.kind) == (409, "stale-review")
    assert client.review(job.id) == state
    report = client.sign(job.study, job.id, state.revision, "Doe^Ann")
    assert (report.revision, report.findings) == (7, 3)
    assert client.review(job.id).is_signed
    assert client.study(job.study).status == "signed"
    # All of it stands in the report.
    found = {finding.id: finding for finding in signed(client, job)}
    assert set(found) == {nodule.id, effusion.id, added.finding_id}
    assert (found[nodule.id].concept.key, found[nodule.id].box_xyxy_px) == ("mass", MOVED)
    said = [(one.text, one.origin) for one in found[nodule.id].description.statements[:2]]
    assert said == [("Round mass.", Origin.REVIEWER), ("Smooth edge.", Origin.REVIEWER)]
    assert (found[added.finding_id].concept.key, found[added.finding_id].box_xyxy_px) == ("nodule", MISSED)
    assert (found[added.finding_id].score, found[added.finding_id].frame) == (1, 1)
    assert found[effusion.id] == effusion
    assert "Corrected to mass" in client.report(job.study, job.id)


def test_what_a_review_cannot_say(client: Client, job: Job) -> None:
    finding = client.result(job.id).studies[0].answers[0].findings[0]
    outside = {"action": "edit", "finding_id": finding.id, "box_xyxy_px": [0, 0, 257, 10]}
    for entry, said in (
        ({"action": "edit", "finding_id": finding.id, "concept": "unicorn"}, "no finding that is known"),
        (outside, "leaves its image"),
        ({"action": "edit", "finding_id": "f0"}, "no finding of this result"),
        ({"action": "undo", "undoes": 1}, "nothing that can be undone"),
        ({"action": "reject", "finding_id": finding.id}, "takes a reason"),
        ({"action": "sign"}, "is signed by POST"),
    ):
        with pytest.raises(ServiceError, match=said) as error:
            client.add_review(job.id, 0, entry)
        assert (error.value.status, error.value.kind) == (422, "invalid-request")
    assert client.review(job.id).revision == 0
