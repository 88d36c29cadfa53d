"""mlcroissant is the judge: it reads the file, and the records in it are the numbers of the facts."""

from __future__ import annotations

import hashlib

import mlcroissant
import pytest

from medground.cards.export import export_card
from medground.cards.forms.croissant import croissant_of, croissant_problems
from tests.cards.made_evidence import made_evidence


@pytest.fixture
def read(facts, tmp_path) -> mlcroissant.Dataset:
    path = tmp_path / "croissant.json"
    path.write_bytes(croissant_of(facts))
    return mlcroissant.Dataset(jsonld=path)


def records(read: mlcroissant.Dataset, name: str) -> list[dict]:
    return [{key.partition("/")[2]: value for key, value in row.items()} for row in read.records(name)]


def test_it_is_read_without_a_complaint(read):
    assert read.metadata.issues.errors == set()
    assert read.metadata.issues.warnings == set()


def test_records_are_the_numbers_of_the_facts(read, facts):
    parts = [(row["data_set"], row["part"], row["images"], row["patients"]) for row in records(read, "parts")]
    assert parts == [
        (data.key, part, count.images, "not stated" if count.patients is None else str(count.patients))
        for data in facts.training_data
        for part, count in data.parts.items()
    ]
    findings = [(r["concept"], r["kind_of_image"], r["real_boxes"], r["boxes"]) for r in records(read, "findings")]
    assert findings == [(row.concept, row.domain.value, row.real_boxes, row.boxes) for row in facts.classes]
    measured = [(row["part"], row["synthetic"], row["images"], row["patients"]) for row in records(read, "measured")]
    assert measured == [(one.name, one.synthetic, one.n_images, one.n_patients) for one in facts.evaluations]
    marked = [(row["part"], row["concept"], row["boxes"]) for row in records(read, "marked")]
    assert marked == [(one.name, row.concept, row.n_boxes) for one in facts.evaluations for row in one.concepts]
    assert [row["leak_check"] for row in records(read, "data_sets")][1] == "360 images compared, 0 leaks"


def test_who_is_in_the_data_and_who_is_not(read, facts):
    assert facts.training_data[1].not_in in read.metadata.data_limitations[1]
    assert facts.training_data[1].who in read.metadata.data_collection
    assert "MIT" in read.metadata.license


def test_its_files_are_in_the_card(tmp_path):
    export_card(made_evidence(), tmp_path / "card")
    read = mlcroissant.Dataset(jsonld=tmp_path / "card" / "croissant.json")
    files = {file.content_url: file.sha256 for file in read.metadata.distribution}
    assert {"evidence/scenes/films.scene.json.gz", "evidence/images.json", "evidence/data_cards/cxr.json"} < set(files)
    for path, digest in files.items():
        assert hashlib.sha256((tmp_path / "card" / path).read_bytes()).hexdigest() == digest


def test_a_model_that_was_not_measured(bare, tmp_path):
    path = tmp_path / "croissant.json"
    path.write_bytes(croissant_of(bare))
    assert {part.id for part in mlcroissant.Dataset(jsonld=path).metadata.record_sets} == {
        *("data_sets", "parts", "findings")
    }
    assert croissant_problems(path.read_bytes()) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("croissant/1.0", "croissant/9.0", "it is no Croissant 1.0 of medground"),
        ('"parts/images": ', '"parts/images": 0.', "record 0 of parts has a value of another type than it should"),
        ('"parts/images": ', '"parts/image": ', "record 0 of parts has other fields than it should"),
        ('"@id": "parts/part"', '"@id": "parts/boxes"', "it names a part twice"),
        ('"@type"', ' "@type"', "it is written in another form"),
        ('"@type"', '@"type"', "it is no JSON: JSONDecodeError"),
    ],
)
def test_what_is_wrong_is_told_without_the_library(facts, old, new, told):
    content = croissant_of(facts).decode()
    assert croissant_problems(content.encode()) == []
    assert old in content
    assert croissant_problems(content.replace(old, new, 1).encode())[0] == told
