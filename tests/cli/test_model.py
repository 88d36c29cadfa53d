"""Whole runs of `medground model promote` and `list`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from medground.cards.keys import make_key_pair
from medground.cards.promotion import PromotionRecord
from medground.cli.main import create_app
from medground.tracking.store import open_store
from tests.cards.made_cards import films, made_bundle, signed_card


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    private, _ = make_key_pair(folder / "keys")
    bundle = made_bundle(folder / "bundle", "7")
    signed_card(folder / "card", bundle, {"films": films()}, private)
    open_store(folder / "store", "medground")
    return folder


@pytest.fixture
def store(shelf: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shelf / "store", tmp_path / "store"))


def run(*words: object, answer: str = "") -> SimpleNamespace:
    done = CliRunner().invoke(create_app(), ["model", *map(str, words)], input=answer)
    return SimpleNamespace(code=done.exit_code, out=done.stdout, err=done.stderr)


def promote(shelf: Path, store: Path, *more: object, answer: str = "") -> SimpleNamespace:
    bundle, card, key = shelf / "bundle", shelf / "card", shelf / "keys"
    words = ("--bundle", bundle, "--card", card, "--trust", key, "--registry", store)
    return run("promote", *words, "--database", f"sqlite:///{store.parent / 'audit.db'}", *more, answer=answer)


def test_a_first_model_is_promoted_once_somebody_said_yes(shelf: Path, store: Path) -> None:
    asked = promote(shelf, store, answer="n\n")
    assert asked.code == 2
    assert "Make medground-compact 7" in asked.err
    assert "nothing was changed" in asked.err
    assert "medground-compact" not in run("list", "--registry", store).out
    done = promote(shelf, store, answer="y\n")
    assert done.code == 0, done.err
    assert "promoted: medground-compact version 1" in done.out
    assert "films: films, valid part, 80 images of 80 patients" in done.out
    listed = run("list", "--registry", f"sqlite:///{store / 'mlflow.db'}").out
    for word in ("medground-compact", "champion", "promoted", "every rule is met"):
        assert word in listed


def test_for_programs(shelf: Path, store: Path) -> None:
    done = promote(shelf, store, "--yes", "--json", "--alias", "trial")
    record = PromotionRecord.model_validate(json.loads(done.out))
    assert (done.code, record.alias, record.version, record.audit_entry) == (0, "trial", 1, 1)


def test_a_refusal_says_why_and_is_listed(shelf: Path, store: Path, tmp_path: Path) -> None:
    other, _ = make_key_pair(tmp_path / "keys")
    card = signed_card(tmp_path / "card", shelf / "bundle", {"films": films(data="films, dev part")}, other)
    done = promote(shelf, store, "--card", card, "--trust", tmp_path / "keys", "--yes")
    assert done.code == 2
    assert "is not promoted, champion, the first one: untouched; recorded as version 1 and entry 1" in done.err
    assert "neither a valid nor a test part" in done.out
    listed = run("list", "--registry", store).out
    assert "refused" in listed
    assert "champion" not in listed


def test_no_card_at_that_place(shelf: Path, store: Path, tmp_path: Path) -> None:
    done = promote(shelf, store, "--card", tmp_path / "none", "--yes")
    assert done.code == 2
    assert "no directory is at" in done.err
