"""`medground reviews export` against a service: a version of a data set with its card, and nobody's name in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medground.cli.main import create_app
from medground.data.columnar import DataSet
from medground.data.reviewed import outcomes_of, rejected_of
from medground.serving.access.scope import Scope
from tests.serving.http.test_review_export import NODULES, asked, review
from tests.serving.running import OTHER, Running, film, running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("house")
    with running(folder) as it:
        client = it.client()
        job, findings, image = asked(client, film(folder, 1, *NODULES, PatientID="CANARY-7", PatientName="CANARY^ANN"))
        seen = review(client, job, 0, action="accept", finding_id=findings[0]["id"])
        seen = review(client, job, seen, action="reject", finding_id=findings[1]["id"], reason="artefact")
        box = [140, 40, 190, 90]
        seen = review(client, job, seen, action="edit", finding_id=findings[2]["id"], box_xyxy_px=box, concept="mass")
        added = {"box_xyxy_px": [10, 200, 40, 240], "concept": "pleural_effusion", "sop_instance_uid": image}
        review(client, job, seen, action="add", **added)
        yield it


def export(house: Running, folder: Path, *scopes: Scope, tenant: str = "clinic") -> tuple[int, str, str]:
    token = folder / "token"
    token.write_text(house.token(*scopes, tenant=tenant))
    words = ["reviews", "export", "--service", house.url, "--token", str(token), "--out", str(folder / "set")]
    done = CliRunner().invoke(create_app(), words)
    return done.exit_code, done.stdout, done.stderr


def test_a_version_with_its_card(house: Running, tmp_path: Path) -> None:
    code, out, err = export(house, tmp_path, Scope.REVIEW)
    assert code == 0, err
    data = DataSet(tmp_path / "set")
    assert f"version {data.manifest.version}: 1 images; 1 accepted, 1 added, 1 edited, 1 rejected" in out
    (record,) = data
    assert outcomes_of(record) == {
        "nodule": {"accepted": 1, "edited": 1, "rejected": 1},
        "pleural_effusion": {"added": 1},
    }
    assert {region.concept for region in record.regions} == {"nodule", "mass", "pleural_effusion"}
    (wrong,) = rejected_of(record)
    assert (wrong.concept, wrong.reason) == ("nodule", "artefact")
    assert (record.patient_id, record.path) == ("patient-000001", None)
    page = (tmp_path / "set" / "data_card.md").read_text(encoding="utf-8")
    assert "## What reviewers made of it" in page
    assert "| nodule (nodule) | 1 | 1 | 1 | 0 | 0 |" in page
    assert "| **all** | 1 | 1 | 1 | 1 | 0 |" in page
    for path in (tmp_path / "set").iterdir():
        assert b"CANARY" not in path.read_bytes()


def test_the_same_reviews_are_the_same_version(house: Running, tmp_path: Path) -> None:
    versions = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert export(house, tmp_path / name, Scope.REVIEW)[0] == 0
        versions.add(DataSet(tmp_path / name / "set").manifest.version)
    assert len(versions) == 1


def test_who_has_nothing_or_may_not_gets_nothing(house: Running, tmp_path: Path) -> None:
    code, _, err = export(house, tmp_path, Scope.REVIEW, tenant=OTHER)
    assert (code, "nothing was reviewed" in err) == (2, True)
    code, _, err = export(house, tmp_path, Scope.READ)
    assert (code == 0, "scope review" in err) == (False, True)
    assert not (tmp_path / "set").exists()
