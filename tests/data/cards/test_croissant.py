"""Croissant of a data set, judged by mlcroissant: valid, digests right, and the records come out of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import mlcroissant

from medground.data.cards.croissant import croissant_of
from medground.data.cards.facts import facts_of
from medground.data.cards.stated import Stated
from medground.data.columnar import SCHEMA, DataSet


def described(folder: Path, stated: Stated | None = None) -> dict[str, Any]:
    return croissant_of(folder, facts_of(DataSet(folder)), stated or Stated())


def loaded(folder: Path) -> mlcroissant.Dataset:
    path = folder / "croissant.json"
    path.write_text(json.dumps(described(folder)), encoding="utf-8")
    return mlcroissant.Dataset(jsonld=str(path))


def test_mlcroissant_finds_no_error(folder: Path) -> None:
    issues = loaded(folder).metadata.ctx.issues
    assert issues.errors == set()
    assert {warning.rsplit('"', 2)[-2].rsplit("/", 1)[-1] for warning in issues.warnings} == {"citeAs", "datePublished"}


def test_mlcroissant_reads_every_record(folder: Path) -> None:
    read = list(loaded(folder).records("images"))
    data = DataSet(folder)
    assert len(read) == len(data) == 5
    for row, record in zip(read, data, strict=True):
        assert set(row) == {f"images/{name}" for name in SCHEMA.names}
        assert row["images/record_id"].decode() == record.record_id
        assert (row["images/columns"], row["images/rows"]) == (record.columns, record.rows)
        assert set(json.loads(row["images/exhaustive_for"])) == record.exhaustive_for
        regions = row["images/regions"]
        assert len(regions) == len(record.regions)
        for found, region in zip(regions, record.regions, strict=True):
            corners = tuple(found[f"images/regions/box.{name}"] for name in ("x1", "y1", "x2", "y2"))
            assert corners == region.box.xyxy_px
            assert found["images/regions/concept"].decode() == region.concept
            assert found["images/regions/uncertain"] == region.uncertain
            assert [word.decode() for word in found["images/regions/appearance"]] == list(region.appearance)


def test_files_with_their_digests(folder: Path) -> None:
    files = described(folder)["distribution"]
    assert [one["name"] for one in files] == [
        "index.parquet",
        "vocabulary.json",
        "data_set.json",
        "import_report.json",
    ]
    for one in files:
        content = (folder / one["contentUrl"]).read_bytes()
        assert one["sha256"] == hashlib.sha256(content).hexdigest()
        assert one["contentSize"] == f"{len(content)} B"


def test_what_is_stated(folder: Path) -> None:
    assert described(folder)["license"] == "not stated"
    assert described(folder)["description"] == "not stated"
    web = described(folder, Stated("d", "https://example.org/l", "https://example.org/s"))
    assert (web["description"], web["license"], web["isBasedOn"]) == (
        "d",
        "https://example.org/l",
        "https://example.org/s",
    )
    assert described(folder, Stated(source="A paper, 2020"))["citeAs"] == "A paper, 2020"
