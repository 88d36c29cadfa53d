"""The client against the real application on loopback, and against what is none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medground.client.client import Client
from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.result import Verdict
from medground.serving.access.scope import Scope
from medground.serving.jobs import Problem
from tests.client.conftest import USER, New
from tests.client.other_server import serving
from tests.inference.drawn import write_undecodable
from tests.serving.running import EFFUSION, NODULE, Running, eventually, film

QUESTION = "is there a nodule?"


def test_a_question_is_asked_and_answered(client: Client, new_film: New) -> None:
    result = client.ground([new_film(NODULE)], [QUESTION, "左侧有胸腔积液吗"], min_score=0.5, max_boxes=3, top_k=1)
    nodule, effusion = result.studies[0].answers
    assert (nodule.verdict, effusion.verdict) == (Verdict.FOUND, Verdict.NOT_FOUND)
    assert np.allclose(nodule.findings[0].box_xyxy_px, NODULE, atol=1)
    assert (result.settings.min_score, result.settings.max_boxes, result.settings.top_k) == (0.5, 3, 1)


def test_names_of_files_stay_at_home(tmp_path: Path, numbers: Iterator[int]) -> None:
    path = film(tmp_path, next(numbers)).rename(tmp_path / "Doe, Jane 4711.dcm")
    sent: list[bytes] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent.append(str(handler.headers).encode() + handler.rfile.read(int(handler.headers["Content-Length"])))
        handler.connection.close()

    with serving(answer) as base, Client(base, "mg_x", timeout_s=60) as one, pytest.raises(ServiceUnreachableError):
        one.store([path])
    assert path.read_bytes() in sent[0]
    assert b"Doe" not in sent[0]


def test_a_job_from_its_submission_to_its_files(house: Running, client: Client, new_film: New) -> None:
    with house.answering.held():
        job = client.submit([new_film(NODULE, EFFUSION)], [QUESTION], deliver_to=["pacs"])
        assert (job.state, job.queries, job.problem) == ("queued", (QUESTION,), None)
        assert [one.destination for one in job.deliveries] == ["pacs"]
        assert client.job(job.id) == job
    result = client.wait(job.id)
    assert client.result(job.id) == result
    assert client.job(job.id).state == "done"
    assert pydicom.dcmread(io.BytesIO(client.file(job.id, "sr"))).Modality == "SR"
    assert pydicom.dcmread(io.BytesIO(client.file(job.id, "gsps"))).Modality == "PR"
    assert client.file(job.id, "overlay.png").startswith(b"\x89PNG")
    with pytest.raises(ServiceError, match="number 99") as error:
        client.file(job.id, "sr", 99)
    assert (error.value.status, error.value.kind) == (404, "not-found")


def test_a_study_is_stored_once_and_asked_often(client: Client, new_film: New) -> None:
    path = new_film(NODULE)
    stored = client.store([path])
    assert (len(stored.studies), stored.accepted, stored.new, stored.refused) == (1, 1, 1, {})
    assert client.store([path]).new == 0
    (key,) = stored.studies
    assert client.ground(key, [QUESTION]).studies[0].answers[0].verdict is Verdict.FOUND
    assert client.ground(key, ["is there a pneumothorax?"]).studies[0].answers[0].verdict is Verdict.NOT_FOUND


def test_the_work_list(client: Client, new_film: New) -> None:
    keys = [client.store([new_film(PatientName="Woo^Li", PatientID=f"w-{n}")]).studies[0] for n in range(3)]
    page = client.studies(search="woo", limit=2)
    assert [one.study for one in page.studies] == keys[:0:-1]
    assert page.next is not None
    (last,) = client.studies(search="woo", limit=2, after=page.next).studies
    assert (last.study, last.patient_name, last.patient_id, last.modalities) == (keys[0], "Woo^Li", "w-0", ("DX",))
    assert last.status == "new"
    assert [one.study for one in client.all_studies(search="woo")] == keys[::-1]
    assert list(client.all_studies(search="nobody")) == []
    assert len(list(client.all_studies())) >= 3


def test_a_result_is_reviewed_and_signed(client: Client, new_film: New) -> None:
    job = client.submit([new_film(NODULE)], [QUESTION])
    client.wait(job.id)
    before = client.review(job.id)
    (open_one,) = before.findings
    assert (before.revision, open_one.status, before.is_signed) == (0, "unreviewed", False)
    with pytest.raises(ServiceError, match="were not reviewed") as refused:
        client.sign(job.study, job.id, 0, "Doe^Ann")
    assert (refused.value.status, refused.value.kind) == (409, "unreviewed")
    after = client.add_review(job.id, 0, {"action": "accept", "finding_id": open_one.finding_id})
    assert (after.revision, after.findings[0].status) == (1, "accepted")
    with pytest.raises(ServiceError) as stale:
        client.add_review(job.id, 0, {"action": "accept", "finding_id": open_one.finding_id})
    assert stale.value.kind == "stale-review"
    signed = client.sign(job.study, job.id, 1, "Doe^Ann")
    assert (signed.revision, signed.findings, signed.destinations) == (2, 1, ())
    assert client.review(job.id).is_signed
    again = client.sign(job.study, job.id, 2, "Doe^Ann", allow_unreviewed=True)
    assert again.sop_instance_uid != signed.sop_instance_uid
    newest = pydicom.dcmread(io.BytesIO(client.file(job.id, "signed")))
    first = pydicom.dcmread(io.BytesIO(client.file(job.id, "signed", 1)))
    assert (newest.SOPInstanceUID, first.SOPInstanceUID) == (again.sop_instance_uid, signed.sop_instance_uid)
    (result,) = client.results(job.study)
    assert (result.job, result.queries, result.signed_reports) == (job.id, (QUESTION,), 2)


def test_a_job_is_cancelled(house: Running, client: Client, new_film: New) -> None:
    with house.answering.held():
        job = client.submit([new_film()], [QUESTION])
        assert client.cancel(job.id).state == "cancelled"
        with pytest.raises(ServiceError, match="the job was cancelled") as error:
            client.wait(job.id)
    assert (error.value.status, error.value.kind) == (409, "job-ended")


def test_a_job_that_fails_says_why(house: Running, client: Client, new_film: New, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no image could be decoded") as error:
        client.ground([write_undecodable(tmp_path / "a.dcm", instance=5)], [QUESTION])
    assert (error.value.status, error.value.kind) == (422, "job-failed")
    with house.answering.held():
        job = client.submit([new_film()], [QUESTION])
        house.service.jobs.fail(house.job(job.id), Problem(kind="K", detail="in words"))
    with pytest.raises(ServiceError, match="in words"):
        client.wait(job.id)


def test_a_job_that_takes_too_long(house: Running, client: Client, new_film: New) -> None:
    with house.answering.held():
        job = client.submit([new_film()], [QUESTION])
        with pytest.raises(ServiceUnreachableError, match=r"not ended in 0\.2 s; it goes on"):
            client.wait(job.id, timeout_s=0.2)
    assert eventually(lambda: client.job(job.id).state == "done")


def test_what_is_refused(client: Client, house: Running, new_film: New) -> None:
    with pytest.raises(UsageError, match="no file to send"):
        client.ground([], [QUESTION])
    with pytest.raises(UsageError, match="no file to send"):
        client.store([])
    for attempt, status, kind in (
        (lambda: client.ground([Path(__file__)], [QUESTION]), 422, "unreadable-input"),
        (lambda: client.ground([new_film()], [""]), 422, "query"),
        (lambda: client.ground([new_film()], [QUESTION], deliver_to=["vna"]), 422, "unknown-destination"),
        (lambda: client.ground("0" * 24, [QUESTION]), 404, "not-found"),
        (lambda: client.job("0" * 40), 404, "not-found"),
        (lambda: client.result("0" * 40), 404, "not-found"),
        (lambda: client.cancel("0" * 40), 404, "not-found"),
        (lambda: client.review("0" * 40), 404, "not-found"),
        (lambda: client.studies(after="x"), 422, "invalid-request"),
        (lambda: client.study("0" * 24), 404, "not-found"),
        (lambda: client.series("0" * 24), 404, "not-found"),
        (lambda: client.frame("0" * 24, 1), 404, "not-found"),
        (lambda: client.report("0" * 24), 404, "not-found"),
        (lambda: client.search_archive("pacs"), 404, "not-found"),
        (lambda: client.pull("pacs", "1.2"), 404, "not-found"),
        (client.audit, 403, "forbidden"),
    ):
        with pytest.raises(ServiceError) as error:
            attempt()
        assert (error.value.status, error.value.kind) == (status, kind)
        assert isinstance(error.value, MedgroundError)
    with (
        Client(house.url, house.token(Scope.READ)) as reader,
        pytest.raises(ServiceError, match="needs the scope") as no,
    ):
        reader.store([new_film()])
    assert (no.value.status, no.value.kind) == (403, "forbidden")


def test_a_token_from_a_file_may_end_with_its_line(house: Running) -> None:
    with Client(house.url, f"{house.token(Scope.READ)}\n") as one:
        assert one.me().scopes == ("read",)


def test_a_file_that_is_not_there(client: Client, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.store([tmp_path / "absent.dcm"])


@pytest.mark.parametrize("base", ["http://127.0.0.1:1", "https://127.0.0.1:1", "nonsense://x"])
def test_a_service_that_is_down(base: str) -> None:
    with (
        Client(base, "mg_x", timeout_s=60) as one,
        pytest.raises(ServiceUnreachableError, match="does not answer") as no,
    ):
        one.studies()
    assert "mg_x" not in str(no.value)


def test_a_service_that_breaks_off(house: Running, new_film: New) -> None:
    """Everything may be sent again: what had arrived is there, and what had not comes now."""
    path, token = new_film(NODULE), house.token(*USER)
    with (
        serving(lambda handler: handler.connection.close()) as base,
        Client(base, token, timeout_s=60) as broken,
        pytest.raises(ServiceUnreachableError, match="asking again is safe"),
    ):
        broken.ground([path], [QUESTION])
    with Client(house.url, token) as whole:
        assert whole.ground([path], [QUESTION]).result_id == whole.ground([path], [QUESTION]).result_id


@pytest.mark.parametrize("status", [200, 201, 302, 404, 500])
def test_what_is_no_service(new_film: New, status: int) -> None:
    page = b"<html><body>Sign in, Canary</body></html>"

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.send_response(status)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(page)))
        handler.end_headers()
        handler.wfile.write(page)

    path = new_film()
    with serving(answer) as base, Client(base, "mg_x", timeout_s=60) as client:
        for attempt in (
            lambda: client.ground([path], [QUESTION]),
            lambda: client.ground("0" * 24, [QUESTION]),
            lambda: client.store([path]),
            lambda: client.job("0" * 40),
            lambda: client.wait("0" * 40),
            lambda: client.result("0" * 40),
            lambda: client.file("0" * 40, "sr"),
            lambda: client.cancel("0" * 40),
            client.studies,
            lambda: list(client.all_studies()),
            lambda: client.review("0" * 40),
            lambda: client.add_review("0" * 40, 0, {}),
            lambda: client.sign("0" * 24, "0" * 40, 0, "A^B"),
            client.me,
            client.model,
            lambda: client.study("0" * 24),
            lambda: client.series("0" * 24),
            lambda: client.frame("0" * 24, 1),
            lambda: client.store_files([io.BytesIO(b"x")]),
            lambda: client.report("0" * 24),
            client.sources,
            lambda: client.search_archive("pacs"),
            lambda: client.pull("pacs", "1.2"),
            client.audit,
        ):
            with pytest.raises(ServiceError, match="is it a medground service") as error:
                attempt()
            assert (error.value.status, error.value.kind) == (status, "unknown")
            assert "Canary" not in str(error.value)
