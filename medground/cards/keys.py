"""Keys: made, read, and trusted because the package or its user says so, never because a card does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from medground.schema.errors import UsageError

VARIABLE: Final = "MEDGROUND_CARD_KEYS"
"""Environment variable with files of public keys, or folders of `*.pub`, joined as in PATH."""
PINNED: Final = Path(__file__).parent / "trusted_keys"
PRIVATE_NAME, PUBLIC_NAME = "card-key.pem", "card-key.pub"
LEAST_PASSPHRASE_BYTES = 12
_MOST_BYTES = 16 << 10
_HASH = ec.ECDSA(hashes.SHA256())
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256, SEC 2 section 2.4.2


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with.

    Attributes:
        name: of its file, without the ending.
        fingerprint: SHA-256 of its PEM form, as signatures name it.
    """

    name: str
    fingerprint: str
    _key: ec.EllipticCurvePublicKey

    def holds(self, signature: bytes, content: bytes) -> bool:
        """Whether a signature (DER) is one that this key's owner made over the content."""
        try:
            self._key.verify(signature, content, _HASH)
        except InvalidSignature:
            return False
        return True

    def holds_strictly(self, signature: bytes, content: bytes) -> bool:
        """The same for signatures of `SigningKey.sign`: of the two that are valid, only the one that it writes."""
        try:
            is_low = decode_dss_signature(signature)[1] <= _ORDER // 2
        except ValueError:
            return False
        return is_low and self.holds(signature, content)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, and where it lies.

    Attributes:
        path: of its file.
        passphrase: that opens it; None if it needs none.
        public: its other half.
    """

    path: Path
    passphrase: bytes | None
    public: PublicKey
    _key: ec.EllipticCurvePrivateKey

    def sign(self, content: bytes) -> bytes:
        """A signature (DER) over the content; the one of two with the smaller number, so that none can be swapped."""
        r, s = decode_dss_signature(self._key.sign(content, _HASH))
        return encode_dss_signature(r, min(s, _ORDER - s))


def make_key_pair(folder: Path, passphrase: bytes | None = None) -> tuple[Path, Path]:
    """Make an ECDSA P-256 key pair; what is there already is never replaced.

    Args:
        folder: where to; made if absent, then for its owner alone.
        passphrase: to encrypt the private key with; None for a plain one.

    Returns:
        Files of the private and the public key.

    Raises:
        UsageError: a key is there already, the passphrase is short, or the folder cannot be written to.
    """
    if passphrase is not None and len(passphrase) < LEAST_PASSPHRASE_BYTES:
        raise UsageError(
            f"a passphrase of {len(passphrase)} bytes can be guessed; give {LEAST_PASSPHRASE_BYTES} or more"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    paths = folder / PRIVATE_NAME, folder / PUBLIC_NAME
    for path in paths:
        if path.exists():
            raise UsageError(f"{path} is there already, and no key is replaced: name another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(paths[0], private, 0o600)
        _write_new(paths[1], _pem(key.public_key()), 0o644)
    except OSError as cause:
        raise UsageError(f"no key can be written to {folder} ({cause.strerror}); name another folder") from cause
    return paths


def load_signing_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Read a private key.

    Args:
        path: of its PEM file.
        passphrase: that opens it; None if it needs none.

    Raises:
        UsageError: it cannot be read, is of another kind, or the passphrase does not fit.
    """
    try:
        key = serialization.load_pem_private_key(_content(path), passphrase)
    except TypeError:
        needed = "needs a passphrase" if passphrase is None else "needs no passphrase"
        raise UsageError(f"the private key {path} {needed}: name its file with --passphrase, or leave it out") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(
            f"{path} is no private key, or the passphrase is wrong: `medground card keygen` makes one"
        ) from (None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UsageError(f"the private key {path} is not ECDSA P-256: `medground card keygen` makes one")
    return SigningKey(path, passphrase, _public(path.stem, key.public_key()), key)


def load_public_key(path: Path) -> PublicKey:
    """Read a public key.

    Args:
        path: of its PEM file.

    Raises:
        UsageError: it cannot be read or is of another kind.
    """
    content = _content(path)
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{path} is no public key in PEM form: name the .pub file of whoever signs cards") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UsageError(f"the public key {path} is not ECDSA P-256, which cards are signed with")
    return _public(path.stem, key)


def trusted_keys(files: Sequence[Path] = (), environment: Mapping[str, str] | None = None) -> tuple[PublicKey, ...]:
    """The keys whose cards count: those pinned in the package, those of the environment, and those named.

    Args:
        files: of public keys, or folders of `*.pub`.
        environment: where `MEDGROUND_CARD_KEYS` is looked up; None for nowhere.

    Raises:
        UsageError: one of them cannot be read.
    """
    named = [Path(name) for name in (environment or {}).get(VARIABLE, "").split(os.pathsep) if name]
    keys: dict[str, PublicKey] = {}
    for file in (file for place in (PINNED, *named, *files) for file in _key_files(place)):
        key = load_public_key(file)
        keys.setdefault(key.fingerprint, key)
    return tuple(keys.values())


def _key_files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    found = sorted(place.glob("*.pub"))
    if not found and place != PINNED:
        raise UsageError(f"no *.pub file is in {place}: name a public key, or the folder of some")
    return found


def _public(name: str, key: ec.EllipticCurvePublicKey) -> PublicKey:
    return PublicKey(name, hashlib.sha256(_pem(key)).hexdigest(), key)


def _pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as cause:
        raise UsageError(f"the key {path} cannot be read ({cause.strerror}); name a file") from cause
    if len(content) > _MOST_BYTES:
        raise UsageError(f"{path} is too long for a key; name a file in PEM form")
    return content


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
