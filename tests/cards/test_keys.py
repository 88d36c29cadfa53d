"""Keys: of one kind, for their owner alone, never replaced, and trusted because somebody here said so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from medground.cards import keys
from medground.cards.keys import load_public_key, load_signing_key, make_key_pair, trusted_keys
from medground.schema.errors import UsageError

PASSPHRASE = b"correct horse battery"
SPKI = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()


def test_a_key_pair(tmp_path: Path) -> None:
    private, public = make_key_pair(tmp_path / "new" / "folder")
    assert (private.name, public.name) == ("card-key.pem", "card-key.pub")
    assert private.stat().st_mode & 0o777 == 0o600
    assert private.parent.stat().st_mode & 0o777 == 0o700
    key = load_signing_key(private)
    assert key.public.fingerprint == load_public_key(public).fingerprint
    signature = key.sign(b"words")
    assert load_public_key(public).holds_strictly(signature, b"words")
    assert not load_public_key(public).holds(signature, b"other words")
    assert not load_public_key(make_key_pair(tmp_path / "other")[1]).holds(signature, b"words")


def test_whatever_the_umask_the_private_key_is_its_owners(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private, _ = make_key_pair(tmp_path / "key")
    finally:
        os.umask(before)
    assert private.stat().st_mode & 0o777 == 0o600


def test_no_key_is_replaced(tmp_path: Path) -> None:
    private, public = make_key_pair(tmp_path)
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(UsageError, match=r"card-key\.pem is there already"):
        make_key_pair(tmp_path)
    private.unlink()
    with pytest.raises(UsageError, match=r"card-key\.pub is there already"):
        make_key_pair(tmp_path)
    assert not private.exists()
    private.symlink_to(tmp_path / "nowhere")  # a link to nothing is not written through either
    public.unlink()
    with pytest.raises(UsageError, match="no key can be written"):
        make_key_pair(tmp_path)
    assert not (tmp_path / "nowhere").exists()
    assert before[0] != before[1]


def test_a_passphrase(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a passphrase of 11 bytes can be guessed; give 12"):
        make_key_pair(tmp_path, b"x" * 11)
    private, public = make_key_pair(tmp_path, PASSPHRASE)
    assert b"ENCRYPTED" in private.read_bytes()
    assert load_signing_key(private, PASSPHRASE).public.fingerprint == load_public_key(public).fingerprint
    with pytest.raises(UsageError, match="needs a passphrase"):
        load_signing_key(private)
    with pytest.raises(UsageError, match="the passphrase is wrong"):
        load_signing_key(private, b"another passphrase")
    plain, _ = make_key_pair(tmp_path / "plain")
    with pytest.raises(UsageError, match="needs no passphrase"):
        load_signing_key(plain, PASSPHRASE)


def test_of_two_valid_signatures_only_the_written_one_holds(tmp_path: Path) -> None:
    """Whoever has (r, s) can write (r, n - s), which any ECDSA takes as well."""
    key = load_signing_key(make_key_pair(tmp_path)[0])
    for _ in range(8):  # half of all would have the greater number
        signature = key.sign(b"words")
        r, s = decode_dss_signature(signature)
        order = 2**256 - 2**224 + 2**192 - 89188191075325690597107910205041859247  # FIPS 186-4 D.1.2.3
        other = encode_dss_signature(r, order - s)
        assert key.public.holds(other, b"words")
        assert key.public.holds_strictly(signature, b"words")
        assert not key.public.holds_strictly(other, b"words")
    assert not key.public.holds_strictly(b"no signature", b"words")


def test_keys_of_other_kinds_are_refused(tmp_path: Path) -> None:
    other, curve, nothing = (
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP384R1()),
        tmp_path / "x",
    )
    for number, key in enumerate((other, curve)):
        private, public = tmp_path / f"{number}.pem", tmp_path / f"{number}.pub"
        private.write_bytes(key.private_bytes(*PKCS8))
        public.write_bytes(key.public_key().public_bytes(*SPKI))
        with pytest.raises(UsageError, match="not ECDSA P-256"):
            load_signing_key(private)
        with pytest.raises(UsageError, match="not ECDSA P-256"):
            load_public_key(public)
    nothing.write_bytes(b"no key")
    with pytest.raises(UsageError, match="is no private key"):
        load_signing_key(nothing)
    with pytest.raises(UsageError, match="is no public key in PEM form"):
        load_public_key(nothing)
    with pytest.raises(UsageError, match="is no public key"):
        load_public_key(make_key_pair(tmp_path / "pair")[0])
    with pytest.raises(UsageError, match=r"cannot be read \(No such file or directory\)"):
        load_public_key(tmp_path / "absent.pub")
    nothing.write_bytes(b"x" * 20_000)
    with pytest.raises(UsageError, match="too long for a key"):
        load_public_key(nothing)


def test_which_keys_are_trusted(tmp_path: Path) -> None:
    pinned = [key.fingerprint for key in trusted_keys()]
    assert [key.name for key in trusted_keys()] == ["medground-0.3.1"]
    made = [make_key_pair(tmp_path / name)[1] for name in ("a", "b", "c")]
    prints = [load_public_key(path).fingerprint for path in made]
    folder = made[2].parent
    environment = {keys.VARIABLE: os.pathsep.join(map(str, (made[1], folder)))}
    assert [key.fingerprint for key in trusted_keys([made[0]], environment)] == [
        *pinned,
        prints[1],
        prints[2],
        prints[0],
    ]
    twice = trusted_keys([made[0], made[0], keys.PINNED])
    assert [key.fingerprint for key in twice] == [*pinned, prints[0]]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no \*\.pub file is in"):
        trusted_keys([tmp_path / "empty"])
    with pytest.raises(UsageError, match="cannot be read"):
        trusted_keys([], {keys.VARIABLE: str(tmp_path / "absent.pub")})


def test_no_private_key_is_in_the_repository(repository: Path) -> None:
    """Neither committed nor about to be."""

    def git(*words: str) -> bytes:
        return subprocess.run(["git", "-C", str(repository), *words], check=True, capture_output=True).stdout

    if not (repository / ".git").exists():
        pytest.skip("these files are no checkout, so git cannot list them")
    marks = [b"-----BEGIN " + kind + b"PRIVATE KEY" for kind in (b"", b"EC ", b"RSA ", b"ENCRYPTED ", b"OPENSSH ")]
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0")
    paths = [repository / name for name in listed if name]
    looked = {path: path.read_bytes() for path in paths if path.is_file() and not path.is_symlink()}
    assert [path for path, content in looked.items() if any(mark in content for mark in marks)] == []
    assert [path for path in paths if path.suffix in {".pem", ".p12", ".pfx", ".key"}] == []
    assert len(looked) > 500
    assert git("check-ignore", "card-key.pem", "docs/card-key.pem").split() == [b"card-key.pem", b"docs/card-key.pem"]
