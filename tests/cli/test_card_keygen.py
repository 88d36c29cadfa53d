"""Whole runs of `medground card keygen`."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from medground.cards.keys import load_public_key, load_signing_key
from medground.cli.main import create_app


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(create_app(), ["card", "keygen", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def test_a_plain_key(tmp_path: Path) -> None:
    code, out, err = run("--out", tmp_path / "keys")
    assert (code, err) == (0, "")
    private, public = tmp_path / "keys" / "card-key.pem", tmp_path / "keys" / "card-key.pub"
    assert private.stat().st_mode & 0o777 == 0o600
    lines = out.splitlines()
    assert lines[0].startswith(f"private key: {private} (not encrypted: whoever reads the file can sign)")
    assert lines[1].startswith(f"public key: {public};")
    assert lines[2].startswith(f"fingerprint: {load_public_key(public).fingerprint};")
    before = private.read_bytes()
    code, out, err = run("--out", tmp_path / "keys")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {private} is there already, and no key is replaced")
    assert private.read_bytes() == before


def test_a_key_with_a_passphrase(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery\n")
    code, out, _ = run("--out", tmp_path / "keys", "--passphrase", passphrase)
    assert (code, "(encrypted)" in out) == (0, True)
    assert "correct" not in out
    load_signing_key(tmp_path / "keys" / "card-key.pem", b"correct horse battery")


def test_a_passphrase_that_cannot_be_used(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    assert "cannot be read" in run("--out", tmp_path / "keys", "--passphrase", passphrase)[2]
    passphrase.write_text("\n")
    assert "is empty" in run("--out", tmp_path / "keys", "--passphrase", passphrase)[2]
    passphrase.write_text("short\n")
    code, _, err = run("--out", tmp_path / "keys", "--passphrase", passphrase)
    assert (code, err) == (2, "error: a passphrase of 5 bytes can be guessed; give 12 or more\n")
    assert not (tmp_path / "keys").exists()
