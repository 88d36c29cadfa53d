"""The work list, and what was answered of each study in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from medground.audit.event import Action, ObjectKind
from medground.audit.log import Selection
from medground.dicom.image import open_image
from medground.serving.access.scope import Scope
from medground.serving.database import instances, jobs, results, studies
from medground.serving.instance_views import instance_views
from tests.serving.http.answers import job_of, post, problem
from tests.serving.running import EFFUSION, NODULE, Running, film, running

New = Callable[..., Path]
STORE = "/v1/studies"


def stored(house: Running, *paths: Path, tenant: str = "clinic") -> str:
    (key,) = post(house.client(tenant=tenant), *paths, url=STORE).json()["studies"]
    return str(key)


def test_a_study_in_the_list(house: Running, new_film: New) -> None:
    path = new_film(
        PatientName="Roe^Jo", PatientID="77-1", AccessionNumber="B-2", StudyDate="20260102", StudyDescription="chest"
    )
    key = stored(house, path)
    view = house.client(Scope.READ).get(f"/v1/studies/{key}").json()
    assert datetime.fromisoformat(view.pop("received")).tzinfo is not None
    assert view == {
        "study": key,
        "study_instance_uid": open_image(path).header.study_instance_uid,
        "patient_name": "Roe^Jo",
        "patient_id": "77-1",
        "study_date": "20260102",
        "accession_number": "B-2",
        "description": "chest",
        "modalities": ["DX"],
        "body_parts": ["CHEST"],
        "images": 1,
        "status": "new",
    }
    page = house.client().post(f"{STORE}/search", json={"words": "roe"}).json()
    assert [one["study"] for one in page["studies"]] == [key]
    assert page["next"] is None
    assert house.client().post(f"{STORE}/search", json={"words": "nobody"}).json() == {"studies": [], "next": None}


@pytest.mark.parametrize("words", ["", "x" * 65, "a\0b"])
def test_words_that_cannot_be_looked_for(house: Running, words: str) -> None:
    answer = house.client().post(f"{STORE}/search", json={"words": words})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:medground:problem:invalid-request")


def test_pages_hold_all_studies_newest_first(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        keys = [stored(house, film(tmp_path, number)) for number in range(1, 8)]
        client, found, after = house.client(), list[str](), None
        while True:
            params = {"limit": 3} | ({"after": after} if after else {})
            page = client.get(STORE, params=params).json()
            found += [one["study"] for one in page["studies"]]
            after = page["next"]
            if after is None:
                break
            assert len(page["studies"]) == 3
        assert found == keys[::-1]
        assert client.get(STORE, params={"limit": 7}).json()["next"] is None
        searched = [
            one.event.details["studies"] for one in house.service.audit.read(Selection(action=Action.STUDIES_SEARCHED))
        ]
        assert searched == [3, 3, 1, 7]


def test_its_results_stand_beside_each_other(house: Running, numbers: Any, tmp_path: Path) -> None:
    number = next(numbers)
    one, two = film(tmp_path, number, NODULE), film(tmp_path, number, EFFUSION, instance=2)
    first = job_of(post(house.client(), one))
    second = job_of(post(house.client(), one, two))
    third = job_of(post(house.client(), one, two, query=["is there a nodule?", "左侧有胸腔积液吗"]))
    key = house.job(first).study_key
    listed = house.client(Scope.READ).get(f"/v1/studies/{key}/results").json()
    assert [view["job"] for view in listed] == [third, second, first]
    assert [view["goes_beyond"] for view in listed] == [None, first, None]
    assert listed[0]["queries"] == ["is there a nodule?", "左侧有胸腔积液吗"]
    assert {(view["model_name"], view["model_version"], view["study"]) for view in listed} == {("blobs", "1", key)}
    assert all(view["reports"] == 1 and view["overlays"] >= 1 for view in listed)


def test_a_study_is_deleted_with_all_of_it(house: Running, new_film: New) -> None:
    kept = job_of(post(house.client(), new_film(NODULE)))
    gone = job_of(post(house.client(), new_film(NODULE, SeriesDescription="goner")))
    key = house.job(gone).study_key
    assert "goner" in str(house.rows(instance_views))
    problem(house.client(Scope.ADMIN, tenant="other").delete(f"/v1/studies/{key}"), 404, "not-found")
    assert house.client(Scope.ADMIN).delete(f"/v1/studies/{key}").status_code == 204
    problem(house.client().get(f"/v1/studies/{key}"), 404, "not-found")
    problem(house.client().get(f"/v1/jobs/{gone}"), 404, "not-found")
    for table in (studies, instances, jobs, results):
        assert key not in str(house.rows(table))
    assert "goner" not in str(house.rows(instance_views))
    problem(house.client(Scope.ADMIN).delete(f"/v1/studies/{key}"), 404, "not-found")
    assert house.client().get(f"/v1/jobs/{kept}").status_code == 200
    entries = house.service.audit.read(Selection(object_id=key, object_kind=ObjectKind.STUDY))
    assert [one.event.action for one in entries][-2:] == [Action.DELETE, Action.DELETED]


@pytest.mark.parametrize("ending", ["", "/results", "/series", "/report"])
def test_a_study_that_is_not_there(house: Running, ending: str) -> None:
    problem(house.client().get(f"/v1/studies/{'0' * 24}{ending}"), 404, "not-found", "GET /v1/studies lists them")
