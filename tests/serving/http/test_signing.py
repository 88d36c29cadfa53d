"""Signing, and the report for people, over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom import Dataset
from sqlalchemy import Connection

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.dicom.sr import read_sr
from medground.serving.access.scope import Scope
from medground.serving.database import deliveries, result_files, writing
from medground.serving.deliveries import DeliveryState
from tests.serving.http.answers import job_of, post, problem, result_of
from tests.serving.running import NODULE, Running

New = Callable[..., Path]
SIGN = (Scope.SIGN, Scope.READ)


@dataclass
class Signing:
    """A result that is reviewed and signed."""

    house: Running
    study: str
    job: str
    finding: str
    image: str

    def review(self, seen: int, **entry: Any) -> None:
        body = {"job": self.job, "seen_revision": seen, "entry": {"finding_id": self.finding, **entry}}
        answer = self.house.client(Scope.REVIEW).post("/v1/reviews", json=body)
        assert answer.status_code == 201, answer.text

    def sign(self, seen: int, client: httpx.Client | None = None, study: str = "", **changes: Any) -> httpx.Response:
        body = {"job": self.job, "seen_revision": seen, "person_name": "Doe^Ann", **changes}
        client = client or self.house.client(Scope.SIGN)
        return client.post(f"/v1/studies/{study or self.study}/sign", json=body)

    def digest(self, kind: str = "signed", number: int = 1) -> str:
        return self.house.service.results.digest(self.job, "clinic", kind, number)

    def document(self, kind: str = "signed", number: int = 1) -> Dataset:
        return pydicom.dcmread(io.BytesIO(self.house.service.store.read(self.digest(kind, number))))

    def fetched(self, tenant: str = "clinic", **params: int) -> httpx.Response:
        """The signed report as HTTP gives it."""
        client = self.house.client(Scope.READ, tenant=tenant)
        return client.get(f"/v1/jobs/{self.job}/signed", params=params)

    def status(self) -> str:
        return str(self.house.client(Scope.READ).get(f"/v1/studies/{self.study}").json()["status"])

    def page(self, **params: str) -> httpx.Response:
        return self.house.client(Scope.READ).get(f"/v1/studies/{self.study}/report", params=params)


def nothing(connection: Connection, state: DeliveryState) -> None:
    """Nothing else belongs to it."""


@pytest.fixture
def signing(house: Running, new_film: New) -> Signing:
    answer = post(house.client(), new_film(NODULE), deliver_to="pacs")
    study = result_of(answer).studies[0]
    (finding,) = study.answers[0].findings
    job = job_of(answer)
    return Signing(house, house.job(job).study_key, job, finding.id, study.sources[0])


def predecessor(document: Dataset) -> str:
    (study,) = document.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    return str(series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def test_a_reviewed_result_is_signed(signing: Signing) -> None:
    signing.review(0, action="edit", concept="mass", box_xyxy_px=[60, 70, 85, 95], statements=["Large mass."])
    answer = signing.sign(1)
    assert answer.status_code == 201, answer.text
    view = answer.json()
    document = signing.document()
    assert view == {
        "job": signing.job,
        "revision": 2,
        "sop_instance_uid": document.SOPInstanceUID,
        "findings": 1,
        "destinations": ["pacs"],
    }
    (finding,) = read_sr(document).studies[0].answers[0].findings
    assert (finding.concept.key, finding.box_xyxy_px) == ("mass", (60, 70, 85, 95))
    assert finding.description.statements[0].text == "Large mass."
    assert document.VerificationFlag == "VERIFIED"
    assert str(document.VerifyingObserverSequence[0].VerifyingObserverName) == "Doe^Ann"
    assert document.VerifyingObserverSequence[0].VerifyingOrganization == "medground"
    assert predecessor(document) == signing.document("sr").SOPInstanceUID
    assert signing.house.client(Scope.READ).get("/v1/reviews", params={"job": signing.job}).json()["is_signed"]
    assert signing.status() == "signed"
    assert signing.fetched().content == signing.house.service.store.read(signing.digest())
    (entry,) = signing.house.service.audit.read(Selection(object_id=signing.job, action=Action.SIGNED))
    assert (entry.event.details, entry.event.actor[:6]) == ({"revision": 2}, "token:")


def test_signed_reports_are_fetched(signing: Signing) -> None:
    problem(signing.fetched(), 404, "not-found", "no signed number 1")
    assert signing.sign(0, allow_unreviewed=True).status_code == 201
    assert signing.sign(1, allow_unreviewed=True).status_code == 201
    newest, first = signing.fetched(), signing.fetched(number=1)
    assert newest.headers["content-type"] == "application/dicom"
    assert newest.content == signing.fetched(number=2).content != first.content
    assert pydicom.dcmread(io.BytesIO(first.content)).SOPInstanceUID == signing.document().SOPInstanceUID
    problem(signing.fetched(number=3), 404, "not-found")
    problem(signing.fetched(tenant="other"), 404, "not-found")


def test_what_nobody_reviewed_is_not_signed_by_mistake(signing: Signing) -> None:
    problem(signing.sign(0), 409, "unreviewed", "1 finding(s) were not reviewed; review them, or set allow_unreviewed")
    assert signing.status() == "answered"
    answer = signing.sign(0, allow_unreviewed=True)
    assert (answer.status_code, answer.json()["findings"]) == (201, 1)
    texts = read_sr(signing.document()).studies[0].answers[0].findings[0].description.text
    assert "Nobody has reviewed this finding." in texts


def test_a_signature_is_of_what_the_signer_has_seen(signing: Signing) -> None:
    problem(signing.sign(1), 409, "stale-review", "at revision 0, not 1")  # and not that nothing was reviewed
    signing.review(0, action="accept")
    signing.review(1, action="reject", reason="artefact")
    for seen in (0, 1, 3):
        problem(signing.sign(seen), 409, "stale-review", f"at revision 2, not {seen}")
    assert not [row for row in signing.house.rows(result_files) if row.kind == "signed" and row.job_id == signing.job]
    assert signing.sign(2).json()["findings"] == 0


def test_a_second_signature_follows_the_first(signing: Signing) -> None:
    signing.review(0, action="accept")
    first = signing.sign(1).json()
    signing.review(2, action="reject", reason="known")
    assert signing.status() == "in_review"
    assert not signing.house.client(Scope.READ).get("/v1/reviews", params={"job": signing.job}).json()["is_signed"]
    second = signing.sign(3, person_name="Roe^Jo").json()
    assert (first["revision"], second["revision"]) == (2, 4)
    assert predecessor(signing.document(number=2)) == first["sop_instance_uid"]
    assert signing.document(number=2).SOPInstanceUID == second["sop_instance_uid"] != first["sop_instance_uid"]
    assert signing.document().SOPInstanceUID == first["sop_instance_uid"]  # which stays as it was
    assert signing.document(number=2).InstanceNumber > signing.document().InstanceNumber
    assert signing.status() == "signed"
    third = signing.sign(4)  # signed again without another word
    assert (third.status_code, third.json()["revision"]) == (201, 5)


def test_what_was_delivered_is_delivered_once_more(signing: Signing) -> None:
    (delivery,) = [one for one in signing.house.service.deliveries.due() if one.job_id == signing.job]
    signing.house.service.deliveries.note(delivery, None, may_pass=False, then=nothing)
    signing.review(0, action="accept")
    signing.sign(1)
    (row,) = [row for row in signing.house.rows(deliveries) if row.job_id == signing.job]
    assert (row.destination, row.state) == ("pacs", DeliveryState.PENDING)
    digests = signing.house.service.deliveries.digests(signing.job)
    assert signing.house.service.results.digest(signing.job, "clinic", "signed") in digests


def test_a_report_goes_where_the_signer_sends_it(house: Running, new_film: New) -> None:
    answer = post(house.client(), new_film(NODULE))
    (study,), job = result_of(answer).studies, job_of(answer)
    signing = Signing(house, house.job(job).study_key, job, study.answers[0].findings[0].id, study.sources[0])
    signing.review(0, action="accept")
    problem(signing.sign(1, deliver_to=["pacs", "elsewhere"]), 422, "unknown-destination")
    assert [row for row in house.rows(deliveries) if row.job_id == job] == []
    assert signing.sign(1, deliver_to=["pacs", "pacs"]).json()["destinations"] == ["pacs"]
    (row,) = [row for row in house.rows(deliveries) if row.job_id == job]
    assert (row.destination, row.state) == ("pacs", DeliveryState.PENDING)


def test_a_result_of_one_study_is_not_signed_as_anothers(signing: Signing, new_film: New) -> None:
    (another,) = post(signing.house.client(), new_film(), url="/v1/studies").json()["studies"]
    signing.review(0, action="accept")
    problem(signing.sign(1, study=another), 404, "not-found", "about another study")


@pytest.mark.parametrize(
    ("changes", "status", "kind", "said"),
    [
        ({"person_name": ""}, 422, "invalid-request", "person_name"),
        ({"person_name": "x" * 65}, 422, "invalid-request", "person_name"),
        ({"person_name": "Doe\\Ann"}, 422, "invalid-request", "person_name"),
        ({"person_name": "Doe\nAnn"}, 422, "invalid-request", "person_name"),
        ({"person_name": "^^^"}, 422, "invalid-request", "printable characters"),
        ({"person_name": "a^b^c^d^e^f"}, 422, "invalid-request", "printable characters"),
        ({"seen_revision": -1}, 422, "invalid-request", "seen_revision"),
        ({"job": "x"}, 422, "invalid-request", "job"),
        ({"job": "0" * 40}, 404, "not-found", "no such result"),
        ({"study": "0" * 24}, 404, "not-found", "no such study"),
        ({"study": "x"}, 422, "invalid-request", "study"),
        ({"organization": "Elsewhere"}, 422, "invalid-request", "organization"),
    ],
)
def test_what_is_refused(signing: Signing, changes: dict[str, Any], status: int, kind: str, said: str) -> None:
    signing.review(0, action="accept")
    problem(signing.sign(1, **changes), status, kind, said)
    assert signing.status() == "in_review"


def test_names_of_all_kinds(signing: Signing) -> None:
    signing.review(0, action="accept")
    assert signing.sign(1, person_name="Wang^Xiao=王^小").status_code == 201
    observer = signing.document().VerifyingObserverSequence[0]
    assert str(observer.VerifyingObserverName) == "Wang^Xiao=王^小"


def test_another_tenant_signs_nothing(signing: Signing) -> None:
    other = signing.house.client(*SIGN, tenant="other")
    problem(signing.sign(0, other, allow_unreviewed=True), 404, "not-found")
    problem(other.get(f"/v1/studies/{signing.study}/report"), 404, "not-found")


def test_a_result_without_a_report_cannot_be_signed(signing: Signing) -> None:
    with writing(signing.house.service.engine) as connection:
        connection.execute(
            result_files.delete().where(result_files.c.job_id == signing.job, result_files.c.kind == "sr")
        )
    problem(signing.sign(0, allow_unreviewed=True), 409, "no-report", "none can be signed")


def test_an_image_that_is_gone_cannot_be_signed_about(signing: Signing) -> None:
    signing.review(0, action="accept")
    (series,) = signing.house.client().get(f"/v1/studies/{signing.study}/series").json()
    (one,) = signing.house.service.worklist.instances("clinic", signing.study)
    assert series["instances"][0]["id"] == one.instance_id
    signing.house.service.store.path(one.sha256).unlink()
    missing = "missing from the store"
    problem(signing.sign(1), 500, "internal", missing)
    frame = f"/v1/studies/{signing.study}/instances/{one.instance_id}/frames/1"
    problem(signing.house.client(Scope.READ).get(frame), 500, "internal", missing)
    asked = post(signing.house.client(), study=signing.study, query="a fracture?")
    assert "objects" not in problem(asked, 500, "job-failed")["detail"]


def test_the_same_question_twice_is_signed_once(house: Running, new_film: New) -> None:
    question = "is there a nodule?"
    answer = post(house.client(), new_film(NODULE), query=[question, question])
    job = job_of(answer)
    body = {"job": job, "seen_revision": 0, "person_name": "Doe^Ann", "allow_unreviewed": True}
    signed = house.client(Scope.SIGN).post(f"/v1/studies/{house.job(job).study_key}/sign", json=body)
    assert signed.status_code == 201, signed.text


def test_the_page(signing: Signing) -> None:
    signing.review(0, action="edit", concept="mass", text="see <b>CT</b>")
    answer = signing.page()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    assert "Secret Person" in answer.text
    assert "In review, not signed." in answer.text
    assert "Corrected to mass" in answer.text
    assert "see &lt;b&gt;CT&lt;/b&gt;" in answer.text
    assert signing.page(job=signing.job).text == answer.text
    problem(signing.page(job="0" * 40), 404, "not-found", "no such result of this study")
    problem(signing.page(job="x"), 422, "invalid-request")
    entries = signing.house.service.audit.read(Selection(object_id=signing.study, action=Action.EXPORTED))
    assert [one.event.details["format"] for one in entries] == ["html", "html"]


def test_the_page_of_one_result_of_several(signing: Signing) -> None:
    other = post(signing.house.client(), study=signing.study, query="is there a pneumothorax?")
    assert signing.page().text.count("<h2>") == 2
    assert "pneumothorax" in signing.page(job=job_of(other)).text
    assert "is there a nodule" not in signing.page(job=job_of(other)).text
