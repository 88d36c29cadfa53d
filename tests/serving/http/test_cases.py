"""Cases over HTTP: findings name them, and each is told in words and, where policy keeps one, in a picture."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medground.model.cases import Cases, Picture
from medground.serving.access.scope import Scope
from tests.inference.blob_reader import BlobReader
from tests.model.made_cases import one_case
from tests.serving.http.test_problems import problem
from tests.serving.running import NODULE, Running, running

KEPT = one_case(1, "nodule", kept=True)
ASKED = one_case(2, "nodule", synthetic=False, source="added to this bundle", picture=Picture.NOT_ASKED, side=None)
WITHHELD = one_case(3, "nodule", synthetic=False, longest_mm=None)
CASES: Cases = KEPT.joined(ASKED).joined(WITHHELD)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("house"), BlobReader(cases=CASES)) as it:
        yield it


def test_a_finding_names_the_cases_that_it_looks_like(house: Running, new_film: Callable[..., Path]) -> None:
    content = new_film(NODULE).read_bytes()
    asked = {"query": "is there a nodule?", "min_score": "0.2"}
    answer = house.client().post("/v1/ground", files={"file": ("a", content)}, data=asked).json()
    (finding,) = answer["studies"][0]["answers"][0]["findings"]
    assert finding["similar"] == [
        {"case": one.id, "similarity": pytest.approx(0.9 - 0.1 * place)} for place, one in enumerate(CASES.known)
    ]


def test_a_case_in_words(house: Running) -> None:
    told = house.client(Scope.READ).get(f"/v1/model/cases/{KEPT.known[0].id}").json()
    assert told == {
        "id": KEPT.known[0].id,
        "concept": "nodule",
        "domain": "chest radiograph",
        "side": "right",
        "zone": "upper zone",
        "longest_mm": 31.4,
        "appearance": ["round", "cavitated"],
        "source": "phantom",
        "synthetic": True,
        "has_thumbnail": True,
        "why_no_thumbnail": "",
        "box_xyxy_px": [10.0, 12.5, 40.0, 50.0],
    }
    told = house.client(Scope.READ).get(f"/v1/model/cases/{ASKED.known[0].id}").json()
    assert (told["has_thumbnail"], told["box_xyxy_px"], told["side"]) == (False, None, None)
    assert "did not ask for pictures to be kept" in told["why_no_thumbnail"]


def test_its_picture(house: Running) -> None:
    key = KEPT.known[0].id
    answer = house.client(Scope.READ).get(f"/v1/model/cases/{key}/thumbnail")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["cache-control"].startswith("private")
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), KEPT.pictures[key])


@pytest.mark.parametrize(("case", "why"), [(ASKED, "whoever added the class"), (WITHHELD, "images of patients")])
def test_where_policy_keeps_no_picture_that_is_said(house: Running, case: Cases, why: str) -> None:
    answer = house.client(Scope.READ).get(f"/v1/model/cases/{case.known[0].id}/thumbnail")
    problem(answer, 404, "no-thumbnail", why)


@pytest.mark.parametrize("tail", ["", "/thumbnail"])
def test_what_is_not_there_and_who_may_not(house: Running, tail: str) -> None:
    client = house.client(Scope.READ)
    problem(client.get(f"/v1/model/cases/{'0' * 16}{tail}"), 404, "not-found", "has no such case")
    for odd in ("0" * 15, "G" * 16, KEPT.known[0].id.upper() + "F", "0" * 16 + "%0a"):
        problem(client.get(f"/v1/model/cases/{odd}{tail}"), 422, "invalid-request", "")
    there = f"/v1/model/cases/{KEPT.known[0].id}{tail}"
    problem(house.client(Scope.AUDIT).get(there), 403, "forbidden", "needs the scope read")
    problem(house.anybody().get(there), 401, "not-authenticated", "")
