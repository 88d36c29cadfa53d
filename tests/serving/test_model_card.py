"""A model is served with a card that holds, with a warning where it may be without, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from medground.cards.drift import expected_scores
from medground.cards.keys import make_key_pair
from medground.model.bundle_facts import read_facts
from medground.schema.errors import CardError
from medground.serving.config import ModelChoice
from medground.serving.drift import expected_of
from medground.serving.model_card import CardState, ServedCard, card_of
from tests.cards.made_cards import films, made_bundle, signed_card

NO_KEYS: Mapping[str, str] = {}


class Shelf:
    """A bundle, its card beside it, and the key that signed it."""

    def __init__(self, folder: Path) -> None:
        self.bundle = made_bundle(folder / "model", "7")
        self.private, self.public = make_key_pair(folder / "keys")
        self.card = signed_card(folder / "model_card", self.bundle, {"films": films()}, self.private)

    def look(self, **choice: Any) -> ServedCard:
        given = {"bundle": self.bundle, "trusted_keys": (self.public,), **choice}
        return card_of(ModelChoice(**given), read_facts(self.bundle).info, NO_KEYS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shelf")
    Shelf(folder)
    return folder


@pytest.fixture
def shelf(made: Path, tmp_path: Path) -> Shelf:
    shutil.copytree(made, tmp_path / "copy")
    shelf = Shelf.__new__(Shelf)
    shelf.bundle, shelf.card = tmp_path / "copy/model", tmp_path / "copy/model_card"
    shelf.private, shelf.public = (tmp_path / "copy/keys" / name for name in ("card-key.pem", "card-key.pub"))
    return shelf


def test_a_card_beside_the_bundle_is_found_and_verified(shelf: Shelf) -> None:
    found = shelf.look()
    assert (found.state, found.signer, len(found.fingerprint)) == (CardState.VERIFIED, "card-key", 64)
    assert found.exported_at == "2026-01-02T03:04:05Z"
    assert found.facts == json.loads((shelf.card / "facts.json").read_bytes())
    assert found.facts["evaluations"][0]["name"] == "films"
    assert found.page == (shelf.card / "model_card.html").read_bytes()


def test_the_config_may_name_another_place(shelf: Shelf, tmp_path: Path) -> None:
    place = shelf.card.rename(tmp_path / "elsewhere")
    assert shelf.look(card=place).state is CardState.VERIFIED


def test_a_key_may_come_from_the_environment(shelf: Shelf) -> None:
    environment = {"MEDGROUND_CARD_KEYS": str(shelf.public)}
    found = card_of(ModelChoice(bundle=shelf.bundle), read_facts(shelf.bundle).info, environment)
    assert found.state is CardState.VERIFIED


def refused(shelf: Shelf, state: CardState, said: str, **choice: Any) -> None:
    """It is refused with a way out, and served with the same words where it may be."""
    with pytest.raises(CardError, match="--without-card") as error:
        shelf.look(**choice)
    assert said in str(error.value)
    assert "is not served" in str(error.value)
    let_in = shelf.look(require_card=False, **choice)
    assert (let_in.state, let_in.facts, let_in.page, let_in.signer) == (state, None, None, "")
    assert said in let_in.words


def test_a_card_that_was_edited(shelf: Shelf) -> None:
    (shelf.card / "facts.json").write_text("{}")
    refused(shelf, CardState.NOT_VERIFIED, "facts.json: it is not what it was when it was exported")


def test_a_card_of_somebody_who_is_not_trusted(shelf: Shelf) -> None:
    refused(shelf, CardState.NOT_VERIFIED, "which is not trusted here", trusted_keys=())


def test_a_card_of_another_model(shelf: Shelf) -> None:
    manifest = shelf.bundle / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": "8"}))
    refused(shelf, CardState.OTHER_MODEL, "is of the bundle")


def test_no_card(shelf: Shelf, tmp_path: Path) -> None:
    shutil.rmtree(shelf.card)
    refused(shelf, CardState.ABSENT, f"there is no card at {shelf.card}")
    refused(shelf, CardState.ABSENT, f"there is no card at {tmp_path / 'nowhere'}", card=tmp_path / "nowhere")


def test_the_shipped_model_brings_a_card_that_holds_with_the_keys_of_the_package() -> None:
    info = read_facts(None).info
    found = card_of(ModelChoice(), info, NO_KEYS)
    assert found.state is CardState.VERIFIED
    assert found.facts is not None
    assert found.facts["model"]["sha256"] == info.sha256


def test_what_the_card_lets_expect_is_read_once_and_only_as_verified(shelf: Shelf) -> None:
    found = shelf.look()
    expected = expected_of(found, 0.2)
    assert expected == expected_scores([films()], 0.2)
    assert expected_of(found, 0.2) is expected
    (shelf.card / "evidence" / "images.json").write_text("{ }")
    with pytest.raises(CardError, match=r"images\.json is not what was verified"):
        expected_of(found, 0.3)
    assert expected_of(shelf.look(require_card=False), 0.2) is None
