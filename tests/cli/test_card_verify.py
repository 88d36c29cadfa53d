"""Whole runs of `medground card verify`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medground.cards.findings import Kind
from medground.cards.keys import load_public_key, make_key_pair, trusted_keys
from medground.cards.recompute import Difference
from medground.cards.verify import verify
from medground.cli.card_verify import NEXT, with_check
from medground.cli.main import create_app
from medground.schema.errors import CardError
from tests.cards.small_card import MODEL, SmallCard, small_card


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> SmallCard:
    return small_card(tmp_path_factory.mktemp("card"))


@pytest.fixture
def copy(card: SmallCard, tmp_path: Path) -> Path:
    return Path(shutil.copytree(card.directory, tmp_path / "card"))


def run(*words: object, keys: str = "") -> tuple[int, str, str]:
    environment = {"MEDGROUND_CARD_KEYS": keys}
    done = CliRunner().invoke(create_app(), ["card", "verify", *map(str, words)], env=environment)
    return done.exit_code, done.stdout, done.stderr


def rows(table: str) -> list[list[str]]:
    """The cells of a table, with their lines joined."""
    found: list[list[str]] = []
    for line in table.splitlines():
        if line.startswith("├") or line.startswith("┡"):
            found.append(["", "", "", ""])
        elif line.startswith("│"):
            cells = [cell.strip() for cell in line.strip("│").split("│")]
            found[-1] = [f"{old} {new}".strip() for old, new in zip(found[-1], cells, strict=True)]
    return found


def test_a_whole_card(card: SmallCard, copy: Path) -> None:
    public = card.private.with_suffix(".pub")
    said = (
        f"whole: the card of {MODEL.name} {MODEL.version} ({MODEL.sha256}), exported at 2026-01-02T03:04:05Z, "
        f"signed with the key card-key ({card.key.fingerprint}); entry 4 of the audit log, "
        "not looked up: see --audit-log and --anchor; 14 files, 0.2 MB\n"
    )
    assert run(copy, "--trust", public) == (0, said, "")
    assert run(copy, "--trust", public.parent) == (0, said, "")
    assert run(copy, keys=str(public)) == (0, said, "")
    looked_up = run(copy, "--trust", public, "--audit-log", card.url, "--anchor", card.anchors)
    found = said.replace("not looked up: see --audit-log and --anchor", "found in the log and the anchors")
    assert looked_up == (0, found, "")


def test_a_key_that_nobody_trusts(card: SmallCard, copy: Path, tmp_path: Path) -> None:
    other = load_public_key(make_key_pair(tmp_path / "key")[1])
    code, out, err = run(copy, "--trust", tmp_path / "key")
    [row] = rows(out)
    assert code == 2
    assert row[:2] == ["card.sig", "untrusted-key"]
    assert row[2] == (
        f"it says that it was made with the key {card.key.fingerprint}, which is not trusted here; "
        f"trusted: {', '.join([*(key.name for key in trusted_keys()), 'card-key'])}"
    )
    assert row[3] == NEXT[Kind.UNTRUSTED_KEY]
    assert err == f"error: the card in {copy} is not to be trusted: 1 finding; do not use its model by it\n"
    assert other.fingerprint not in out


def test_a_table_of_what_is_wrong(card: SmallCard, copy: Path) -> None:
    (copy / "facts.json").write_text("{}")
    (copy / "evidence" / "images.json").unlink()
    (copy / "[bold]new\x1b[31m.txt").write_text("")
    code, out, err = run(copy, "--trust", card.private.with_suffix(".pub"))
    assert (code, "3 findings" in err) == (2, True)
    assert [row[:2] for row in rows(out)] == [
        ["[bold]new\\x1b[31m.txt", "added"],
        ["evidence/images.json", "missing"],
        ["facts.json", "changed"],
    ]
    assert [row[3] for row in rows(out)] == [NEXT[Kind.ADDED], NEXT[Kind.MISSING], NEXT[Kind.CHANGED]]
    assert "\x1b" not in out


def test_json(card: SmallCard, copy: Path) -> None:
    public = card.private.with_suffix(".pub")
    code, out, _ = run(copy, "--trust", public, "--json")
    said = json.loads(out)
    assert code == 0
    assert said["whole"] is True
    assert said["model"] == MODEL.model_dump()
    assert said["signer"] == {"name": "card-key", "fingerprint": card.key.fingerprint}
    assert (said["audit_entry"], said["files"], said["findings"]) == (4, 14, [])
    (copy / "facts.json").write_text("{}")
    code, out, err = run(copy, "--trust", public, "--json")
    said = json.loads(out)
    assert (code, said["whole"], said["model"], said["audit_entry"]) == (2, False, None, None)
    assert said["findings"] == [
        {
            "file": "facts.json",
            "kind": "changed",
            "words": "it is not what it was when it was exported",
            "next": NEXT[Kind.CHANGED],
        }
    ]
    assert err.startswith("error: the card in")


def test_names_that_are_no_text(card: SmallCard, copy: Path) -> None:
    (copy / os.fsdecode(b"bad\xff\x9b.txt")).write_text("")
    public = card.private.with_suffix(".pub")
    code, out, _ = run(copy, "--trust", public)
    assert (code, [row[:2] for row in rows(out)]) == (2, [["bad\\udcff\\udc9b.txt", "added"]])
    code, out, _ = run(copy, "--trust", public, "--json")
    assert (code, json.loads(out)["findings"][0]["file"]) == (2, "bad\\udcff\\udc9b.txt")


def test_the_log_has_another_entry(card: SmallCard, copy: Path, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors"
    line = json.loads(card.anchors.read_text())
    anchors.write_text(json.dumps(line | {"hash": "1" * 64}, separators=(",", ":")) + "\n")
    code, out, _ = run(copy, "--trust", card.private.with_suffix(".pub"), "--anchor", anchors)
    assert code == 2
    assert [row[:3] for row in rows(out)] == [
        ["audit.json", "chain", "the anchors name another entry 4 than the card: it, or the log, was written anew"]
    ]


def test_evidence_that_nothing_can_be_computed_from_is_one_more_finding(card: SmallCard, copy: Path) -> None:
    """What was found before is not lost, whether an error is foreseen or not."""
    (copy / "more.txt").write_text("")
    public = card.private.with_suffix(".pub")
    code, out, _ = run(copy, "--trust", public, "--recompute", "--json")
    found = [(one["file"], one["kind"]) for one in json.loads(out)["findings"]]
    assert (code, found) == (2, [("evidence", "schema"), ("more.txt", "added")])
    code, out, _ = run(copy, "--trust", public, "--from-images", "--json")
    assert (code, [one["file"] for one in json.loads(out)["findings"]]) == (2, ["evidence", "more.txt"])


@pytest.mark.parametrize("error", [KeyError("a"), AttributeError("a"), ValueError("a"), RecursionError("a")])
def test_what_nobody_foresaw_is_a_finding(card: SmallCard, error: Exception) -> None:
    def check() -> list[Difference]:
        raise error

    before = verify(card.directory, [])
    found = with_check(before, check, may_raise=True).findings
    assert {one.kind for one in found} == {Kind.UNTRUSTED_KEY, Kind.SCHEMA}
    assert [one.words for one in found if one.file == "evidence"] == [
        f"it is not what a card is computed from: {type(error).__name__}"
    ]


def test_a_failure_that_is_not_the_cards_is_an_error_of_its_own(card: SmallCard) -> None:
    def check() -> list[Difference]:
        raise CardError("give the bundle of the card with --bundle")

    with pytest.raises(CardError, match="with --bundle"):
        with_check(verify(card.directory, [card.key]), check, may_raise=True)
    [finding] = with_check(verify(card.directory, [card.key]), check, may_raise=False).findings
    assert finding.words == "give the bundle of the card with --bundle"


def test_what_cannot_be_checked(card: SmallCard, copy: Path, tmp_path: Path) -> None:
    public = card.private.with_suffix(".pub")
    for words, said in (
        ((tmp_path / "absent",), "no directory is at"),
        ((copy, "--trust", tmp_path / "absent.pub"), "cannot be read"),
        ((copy, "--trust", card.private), "is no public key"),
        ((copy, "--anchor-key", public), "--anchor-key is the key of --anchor"),
        ((copy, "--anchor", card.anchors, "--anchor-key", tmp_path / "absent"), "--anchor-key"),
        ((copy, "--anchor", tmp_path / "absent"), "the anchor file"),
        ((copy, "--audit-log", "sqlite:///absent.db"), "no database file"),
        ((copy, "--audit-log", "nonsense"), "the database URL cannot be read"),
    ):
        code, out, err = run(*words)
        assert (code, out) == (2, ""), err
        assert err.startswith("error: ")
        assert said in err


def test_every_kind_has_a_next_step() -> None:
    assert set(NEXT) == set(Kind)
