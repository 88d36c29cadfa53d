"""What facts read of a bundle is of its type, or refused by name."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from medground.cards.evidence import evidence_of
from medground.cards.facts import facts_of
from medground.cards.summary import require_types
from medground.model.bundle_facts import shipped_bundle_path
from medground.schema.errors import CardError
from tests.cards.made_evidence import files_of

SUMMARY, CONFIG = "training_summary.json", "config.json"


def changed(name: str, change: dict[str, Any]) -> dict[str, bytes]:
    """The files of evidence whose manifest fits a changed file of the bundle."""
    files = files_of({})
    files[name] = json.dumps(json.loads(files[name]) | change).encode()
    manifest = json.loads(files["manifest.json"])
    manifest["files"][name] = hashlib.sha256(files[name]).hexdigest()
    return files | {"manifest.json": json.dumps(manifest).encode()}


@pytest.mark.parametrize("name", [CONFIG, SUMMARY])
def test_the_shipped_ones_are_given_back(name: str) -> None:
    tree = json.loads((shipped_bundle_path() / name).read_bytes())
    assert require_types(tree, name) is tree


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (CONFIG, {"backbone": []}, "backbone"),
        (CONFIG, {"backbone": {"kind": 3}}, r"backbone\.kind"),
        (CONFIG, {"image_size_px": "512"}, "image_size_px"),
        (SUMMARY, {"pools": []}, "pools"),
        (SUMMARY, {"pools": {"chest": {"images": "many"}}}, r"pools\.chest\.images"),
        (SUMMARY, {"recipe": {"stages": [{"steps": 3}]}}, r"recipe\.stages\.0\.name"),
        (SUMMARY, {"recipe": {"stages": [{"name": "a", "steps": 3, "pools": 7}]}}, r"recipe\.stages\.0\.pools"),
        (SUMMARY, {"recipe": None}, "recipe"),
        (SUMMARY, {"versions": {"torch": 2}}, r"versions\.torch"),
        (SUMMARY, {"seconds_this_call": "long"}, "seconds_this_call"),
    ],
)
def test_a_member_of_another_type_is_named(name: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(CardError, match=rf"{name} in the evidence cannot be read: {words}"):
        evidence_of(changed(name, change))


def test_what_facts_do_not_read_may_be_anything() -> None:
    evidence = evidence_of(changed(SUMMARY, {"development": [1, None], "recipe": {"mix": 3}}))
    assert facts_of(evidence).stages == ()
