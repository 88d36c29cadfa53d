"""The card of the shipped model: it holds, and says what its evidence gives with the code it ships with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medground.cards.evidence import FOLDER, read_evidence
from medground.cards.keys import trusted_keys
from medground.cards.layout import card_beside
from medground.cards.recompute import recompute
from medground.cards.untouched import untouched_of, why_leaks_unknown
from medground.cards.verify import verify
from medground.cli.main import create_app
from medground.model.bundle_facts import read_facts, shipped_bundle_path
from tests.cards.test_markdown import numbers_in, told_by

CARD = card_beside(shipped_bundle_path())
ANEW = "make the card anew, see docs/model-cards.md"
MOST_BYTES = 15 << 20
ENDINGS = {".md", ".html", ".json", ".xml", ".yaml", ".sig", ".gz"}


@pytest.fixture(scope="module")
def facts() -> dict:
    return json.loads((CARD / "facts.json").read_bytes())


def test_it_is_whole_signed_with_a_key_of_the_package_and_of_the_shipped_bundle():
    found = verify(CARD, trusted_keys())
    assert found.findings == ()
    assert found.card.model.sha256 == read_facts().info.sha256


def test_the_command_line_checks_it_if_no_other_is_named():
    anchors = Path(__file__).parents[2] / "docs" / "exports.anchors"
    done = CliRunner().invoke(create_app(), ["card", "verify", "--anchor", str(anchors)])
    assert (done.exit_code, done.output.startswith("whole: the card of medground-compact")) == (0, True), done.output


@pytest.mark.slow
def test_every_number_and_every_form_follows_from_its_evidence():
    assert [one.finding().words for one in recompute(CARD)] == [], ANEW


def test_every_number_of_the_markdown_stands_in_the_facts(facts):
    text = (CARD / "MODEL_CARD.md").read_text(encoding="utf-8")
    written = numbers_in(re.sub(r"\]\([^)]*\)", "]", text))  # addresses are no numbers
    assert len(written) > 500
    assert written - told_by(facts) == set()


def test_it_was_measured_on_untouched_parts_of_each_kind_that_was_checked_for_leaks():
    evidence = read_evidence(CARD / FOLDER)
    assert set(untouched_of(evidence)) == {"phantom", "chest", "limb"}
    assert why_leaks_unknown(evidence) == ""
    assert evidence.code.commit
    assert not evidence.code.uncommitted


def test_each_part_of_real_images_has_weaknesses_in_words(facts):
    told = {weakness["evaluation"] for weakness in facts["weaknesses"]}
    assert told >= {"chest", "limb"}
    assert all(weakness["words"].endswith(".") for weakness in facts["weaknesses"])


def test_its_files_are_small_and_its_pictures_are_of_phantoms_alone(facts):
    files = [path for path in CARD.rglob("*") if path.is_file()]
    assert [path.name for path in files if path.stat().st_size > MOST_BYTES] == []
    drawn = {case["picture"]: case["image_id"] for case in facts["known_failures"] if case["picture"]}
    assert drawn
    assert all(image.startswith("phantom-") for image in drawn.values())
    assert {path.name for path in files if path.suffix not in ENDINGS} == {Path(picture).name for picture in drawn}
