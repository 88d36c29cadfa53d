"""Signs a card with model-signing, offline; its form is read and checked in `signature`, without that package."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from medground.cards.keys import SigningKey
from medground.cards.layout import CARD, NOT_SIGNED, SIGNATURE
from medground.cards.signature import read_signature
from medground.evaluation.files import replace_file
from medground.schema.errors import CardError

if TYPE_CHECKING:
    from model_signing.hashing import Config


def sign_directory(directory: Path, key: SigningKey) -> None:
    """Write `card.sig` over every file of a directory but itself and `audit.json`; a signature there is replaced.

    Args:
        directory: of the card, with all its files.
        key: to sign with.

    Raises:
        CardError: there is no `card.json` in it, or something that cannot be signed, like a link.
    """
    from model_signing.signing import Config as Signing  # half a second: for whoever signs alone

    if not (directory / CARD).is_file():
        raise CardError(f"{directory} has no {CARD}: write it before the card is signed")
    # It hands the passphrase on to what takes bytes, whatever its annotation says.
    signing = Signing().use_elliptic_key_signer(private_key=key.path, password=cast("str | None", key.passphrase))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / SIGNATURE
        try:
            signing.set_hashing_config(hashing()).sign(directory, made)
        except ValueError as cause:
            raise CardError(f"{directory} cannot be signed: it has a link or something else that is no file") from cause
        content = made.read_bytes()
    if not read_signature(content).holds(key.public):
        raise CardError(f"the signature made with {key.path} does not hold: was the file replaced meanwhile?")
    replace_file(directory / SIGNATURE, content)


def hashing() -> Config:
    """What of a directory is hashed: everything, also what belongs to git, but for what the signature cannot cover."""
    from model_signing.hashing import Config

    return Config().set_ignored_paths(paths=sorted(NOT_SIGNED), ignore_git_paths=False)
