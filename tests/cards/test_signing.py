"""Signatures, with the package that made them as the judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from model_signing import verifying

from medground.cards.card_file import write_card
from medground.cards.keys import load_public_key, load_signing_key, make_key_pair
from medground.cards.signature import read_signature
from medground.cards.signing import hashing, sign_directory
from medground.schema.errors import CardError
from tests.cards.small_card import MODEL, SmallCard, copied


def judge(directory: Path, key: Path) -> None:
    """Raise ValueError if model-signing itself refuses a card."""
    checked = verifying.Config().use_elliptic_key_verifier(public_key=key)
    checked.set_hashing_config(hashing()).verify(directory, directory / "card.sig")


def test_model_signing_accepts_it(card: SmallCard, tmp_path: Path) -> None:
    public = card.private.with_suffix(".pub")
    copy = copied(card, tmp_path)
    judge(copy, public)
    (copy / "audit.json").unlink()  # what is not signed
    judge(copy, public)
    (copy / "README.md").write_text("other\n")
    with pytest.raises(ValueError, match=r"Hash mismatch for .*README\.md"):
        judge(copy, public)


def test_the_command_in_the_documentation_accepts_it(card: SmallCard, repository: Path) -> None:
    """The one line of docs/model-cards-verification.md that needs no medground."""
    text = (repository / "docs/model-cards-verification.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("model_signing verify key"))
    words = line.replace("DIR", str(card.directory)).replace("KEY.pub", str(card.private.with_suffix(".pub"))).split()
    run = subprocess.run([str(Path(sys.executable).with_name(words[0])), *words[1:]], capture_output=True, text=True)
    assert (run.returncode, "succeeded" in run.stdout) == (0, True), run.stderr


def test_what_is_covered(card: SmallCard) -> None:
    signature = read_signature((card.directory / "card.sig").read_bytes())
    assert signature.fingerprint == card.key.fingerprint
    assert signature.holds(card.key)
    files = {path.relative_to(card.directory).as_posix() for path in card.directory.rglob("*") if path.is_file()}
    assert set(signature.files()) == files - {"card.sig", "audit.json"}
    assert "card.json" in signature.files()


def test_files_of_git_are_covered_too(tmp_path: Path) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "a.txt").write_text("a")
    write_card(tmp_path / "card", MODEL, "2026-01-02T03:04:05Z")
    (tmp_path / "card" / ".gitattributes").write_text("*.json filter=other\n")
    sign_directory(tmp_path / "card", load_signing_key(make_key_pair(tmp_path / "key")[0]))
    assert ".gitattributes" in read_signature((tmp_path / "card" / "card.sig").read_bytes()).files()


def test_with_a_passphrase(card: SmallCard, tmp_path: Path) -> None:
    copy = copied(card, tmp_path)
    private, public = make_key_pair(tmp_path / "key", b"correct horse battery")
    sign_directory(copy, load_signing_key(private, b"correct horse battery"))
    signature = read_signature((copy / "card.sig").read_bytes())
    assert signature.holds(load_public_key(public))
    assert not signature.holds(card.key)


def test_what_cannot_be_signed(card: SmallCard, tmp_path: Path) -> None:
    copy, key = copied(card, tmp_path), load_signing_key(card.private)
    before = (copy / "card.sig").read_bytes()
    (copy / "link").symlink_to("README.md")
    with pytest.raises(CardError, match="it has a link"):
        sign_directory(copy, key)
    (copy / "link").unlink()
    (copy / "card.json").unlink()
    with pytest.raises(CardError, match=r"has no card\.json"):
        sign_directory(copy, key)
    assert (copy / "card.sig").read_bytes() == before
    assert not list(copy.glob(".medground-*"))
