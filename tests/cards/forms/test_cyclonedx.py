"""The strict validator of cyclonedx-python-lib is the judge, and packageurl of the names of packages."""

from __future__ import annotations

import json
import uuid
from collections import Counter

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from medground.cards.forms.cyclonedx import bom_of, bom_problems
from medground.cards.forms.cyclonedx_parts import licensed, purl_of
from tests.cards.forms.numbers import figures, group_figures


@pytest.fixture(scope="module")
def bom(facts) -> dict:
    return json.loads(bom_of(facts))


def test_it_is_valid(facts, bare):
    judge = JsonStrictValidator(SchemaVersion.V1_6)
    assert judge.validate_str(bom_of(facts).decode()) is None
    assert judge.validate_str(bom_of(bare).decode()) is None
    assert judge.validate_str(bom_of(facts).decode().replace('"approach"', '"aproach"')) is not None


def test_numbers_are_those_of_the_facts(facts, bom):
    metrics = bom["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    read = []
    for metric in metrics:
        limits = metric["confidenceInterval"]
        n = int(metric["slice"].rsplit(" ", 2)[1])
        read.append((float(metric["value"]), float(limits["lowerBound"]), float(limits["upperBound"]), n))
    assert sorted(read) == sorted([*figures(facts), *group_figures(facts)])
    assert Counter(m["type"] for m in metrics)["absent_question_error"] == 1 + 2  # of all, of women, of men


def test_the_model_and_its_files(facts, bom):
    model = bom["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == (
        *("machine-learning-model", facts.model.name),
        facts.model.version,
    )
    assert model["hashes"] == [{"alg": "SHA-256", "content": facts.model.sha256}]
    assert model["components"][0]["hashes"] == [{"alg": "SHA-256", "content": facts.model.weights_sha256}]
    evidence = {r["url"]: r["hashes"][0]["content"] for r in model["externalReferences"] if r["type"] == "evidence"}
    assert evidence == {file.path: file.sha256 for file in facts.files}
    limits = model["modelCard"]["considerations"]["technicalLimitations"]
    assert [weakness.words for weakness in facts.weaknesses] == limits[: len(facts.weaknesses)]


def test_data_packages_and_training(facts, bom):
    parts = {part["bom-ref"]: part for part in bom["components"]}
    cxr = parts["data:cxr"]
    trained = str(facts.training_data[1].parts["train"].images)
    assert {"name": "medground:train:images", "value": trained} in cxr["properties"]
    assert {"name": "medground:leak_check:images", "value": "360"} in cxr["properties"]
    assert parts["measured:phantoms"]["name"].endswith("(synthetic)")
    torch = parts["pkg:pypi/torch@2.6.0%2Bcpu"]
    assert (torch["version"], torch["licenses"]) == ("2.6.0+cpu", [{"license": {"id": "BSD-3-Clause"}}])
    dependencies = {one["ref"]: one.get("dependsOn") for one in bom["dependencies"]}
    assert dependencies["pkg:pypi/medground@0.1.0"] == ["pkg:pypi/torch@2.6.0%2Bcpu"]
    assert dependencies["pkg:pypi/typing-extensions@4.1"] is None
    assert "pkg:pypi/medground@0.1.0" in dependencies["model"]
    (workflow,) = bom["formulation"][0]["workflows"]
    assert [task["name"] for task in workflow["tasks"]] == [stage.name for stage in facts.stages]
    assert {"name": "medground:steps", "value": str(facts.stages[0].steps)} in workflow["tasks"][0]["properties"]


def test_the_serial_number_follows_from_the_bundle_and_the_time_from_the_evidence(facts, bom):
    own = uuid.UUID(bom["serialNumber"].removeprefix("urn:uuid:"))
    assert own.version == 5
    other = facts.model_copy(update={"model": facts.model.model_copy(update={"sha256": "0" * 64})})
    assert json.loads(bom_of(other))["serialNumber"] != bom["serialNumber"]
    assert bom["metadata"]["timestamp"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("name", "version"), [("torch", "2.6.0+cpu"), ("typing_extensions", "4.1"), ("Pillow", "1!2.0"), ("zope.a", "1")]
)
def test_package_urls(name, version):
    assert purl_of(name, version) == PackageURL("pypi", None, name, version).to_string()


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("MIT License", [{"license": {"id": "MIT"}}]),
        ("Apache-2.0 OR BSD-3-Clause", [{"expression": "Apache-2.0 OR BSD-3-Clause"}]),
        ("BSD License", [{"license": {"name": "BSD License"}}]),
        ("MIT AND Own", [{"license": {"name": "MIT AND Own"}}]),
        (None, []),
    ],
)
def test_licences(words, written):
    assert licensed(words) == written


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"1.6"', '"1.5"', "it is no CycloneDX 1.6"),
        ('"bom-ref": "data:cxr"', '"bom-ref": "data:phantom"', "it names a part twice"),
        (
            '"dependsOn": [\n    "data:phantom"',
            '"dependsOn": [\n    "data:absent"',
            "it refers to data:absent, which is not in it",
        ),
        ('"version": 1,', '"version": 1,\n "version": 1,', "an object in it has a name twice"),
        ('"version": 1,', '"version":  1,', "it is written in another form"),
        ('"version": 1,', '"version": "1",', "its members are not $schema, bomFormat"),
        ('"version": 1,', '"version": NaN,', "NaN is no number of JSON"),
        ('"bomFormat"', '"format"', "its members are not $schema, bomFormat"),
    ],
)
def test_what_is_wrong_is_told_without_the_schema(facts, old, new, told):
    content = bom_of(facts).decode()
    assert bom_problems(content.encode()) == []
    assert content.count(old) >= 1
    assert bom_problems(content.replace(old, new, 1).encode())[0].startswith(told)
