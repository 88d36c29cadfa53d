"""Evidence is read as it was verified, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from medground.cards.keys import load_public_key, make_key_pair
from medground.cards.verified_evidence import verified_evidence
from medground.cards.verify import verify
from medground.schema.errors import CardError
from tests.cards.made_cards import films, made_bundle, signed_card


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    private, _ = make_key_pair(folder / "keys")
    return signed_card(folder / "card", made_bundle(folder / "bundle", "7"), {"films": films()}, private)


def test_as_it_was_verified(made: Path, tmp_path: Path) -> None:
    found = verify(made, [load_public_key(made.parent / "keys" / "card-key.pub")])
    assert found.findings == ()
    assert found.card is not None
    assert list(verified_evidence(made, found.card.files).scenes) == ["films"]
    copy = Path(shutil.copytree(made, tmp_path / "card"))
    (copy / "evidence" / "images.json").write_text("{ }")
    with pytest.raises(CardError, match=r"evidence/images\.json is not what was verified"):
        verified_evidence(copy, found.card.files)
