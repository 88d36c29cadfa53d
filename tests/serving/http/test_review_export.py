"""Reviews come out as records that training reads: what was confirmed, corrected and added, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from medground.schema.record import ImageRecord
from tests.inference.drawn import BlobPx
from tests.serving.running import Running

NODULES: tuple[BlobPx, ...] = ((40, 50, 70, 80), (150, 50, 180, 80), (100, 180, 130, 210))


def asked(client: httpx.Client, path: Path) -> tuple[str, list[dict[str, Any]], str]:
    """The job of a question, the findings of its answer, and the image."""
    answer = client.post("/v1/ground", files={"file": path.read_bytes()}, data={"query": "is there a nodule?"})
    assert answer.status_code == 200, answer.text
    (told,) = answer.json()["studies"][0]["answers"]
    job = answer.headers["location"].rpartition("/")[2]
    return job, sorted(told["findings"], key=lambda f: f["box_xyxy_px"]), told["examined"][0]["sop_instance_uid"]


def review(client: httpx.Client, job: str, seen: int, **entry: Any) -> int:
    answer = client.post("/v1/reviews", json={"job": job, "seen_revision": seen, "entry": entry})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["revision"])


def exported(client: httpx.Client) -> list[ImageRecord]:
    answer = client.get("/v1/reviews/export")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [ImageRecord.model_validate_json(line) for line in answer.text.splitlines()]


def test_what_is_left_of_a_result(house: Running, new_film: Callable[..., Path]) -> None:
    client, path = house.client(), new_film(*NODULES, PatientID="CANARY-7")
    job, findings, image = asked(client, path)
    assert len(findings) == 3
    seen = review(client, job, 0, action="accept", finding_id=findings[0]["id"])
    seen = review(client, job, seen, action="reject", finding_id=findings[1]["id"], reason="artefact")
    box = [140, 40, 190, 90]
    seen = review(client, job, seen, action="edit", finding_id=findings[2]["id"], box_xyxy_px=box, concept="mass")
    added = [10, 200, 40, 240]
    seen = review(client, job, seen, action="add", box_xyxy_px=added, concept="nodule", sop_instance_uid=image)

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (record,) = [one for one in exported(client) if one.sha256 == digest]
    boxes = {(region.concept, region.box.xyxy_px, region.source) for region in record.regions}
    assert boxes == {
        ("nodule", tuple(findings[0]["box_xyxy_px"]), "model, accepted"),
        ("mass", tuple(map(float, box)), "reviewer"),
        ("nodule", tuple(map(float, added)), "reviewer"),
    }
    assert (record.columns, record.rows, record.domain, record.exhaustive_for) == (
        256,
        256,
        "chest radiograph",
        frozenset(),
    )
    assert (record.columns_toward_left, record.rows_toward_feet) == (1, 1)
    assert "CANARY" not in record.patient_id

    study = client.get(f"/v1/jobs/{job}").json()["study"]
    body = {"job": job, "seen_revision": seen, "person_name": "Doe^Ann"}
    assert client.post(f"/v1/studies/{study}/sign", json=body).status_code == 201
    (signed,) = [one for one in exported(client) if one.sha256 == digest]
    assert (signed.exhaustive_for, signed.regions) == (frozenset({"nodule"}), record.regions)
    assert signed.patient_id != record.patient_id  # a pseudonym holds within one export
    assert client.get("/v1/reviews/export", params={"since": "2100-01-01T00:00:00Z"}).text == ""


def test_others_see_nothing_of_it(house: Running, new_film: Callable[..., Path]) -> None:
    client, path = house.client(), new_film(NODULES[0])
    job, (finding,), _ = asked(client, path)
    review(client, job, 0, action="accept", finding_id=finding["id"])
    assert len(exported(client)) >= 1
    assert exported(house.client(tenant="other")) == []
