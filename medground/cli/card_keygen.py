"""`medground card keygen`: makes the key pair that cards are signed with."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from medground.cards.keys import VARIABLE, load_public_key, make_key_pair
from medground.schema.errors import UsageError


def run_keygen(out: Path, passphrase: Path | None) -> int:
    """Make a key pair.

    Args:
        out: folder for both files.
        passphrase: file with what to encrypt the private key with; None for a plain one.

    Returns:
        Exit code 0.

    Raises:
        UsageError: a key is there already, or something cannot be read or written.
    """
    private, public = make_key_pair(out, read_passphrase(passphrase))
    lock = "encrypted" if passphrase is not None else "not encrypted: whoever reads the file can sign"
    console = Console()
    for words in (
        f"private key: {private} ({lock}); keep it off the machines that use the model",
        f"public key: {public}; hand it to whoever checks cards, to be named by --trust or in {VARIABLE}",
        f"fingerprint: {load_public_key(public).fingerprint}; tell it by another way than the key",
    ):
        console.print(words, highlight=False, markup=False, soft_wrap=True)
    return 0


def read_passphrase(file: Path | None) -> bytes | None:
    """The passphrase in a file, without the end of its line.

    Args:
        file: that holds it; None for none.

    Raises:
        UsageError: the file cannot be read or is empty.
    """
    if file is None:
        return None
    try:
        passphrase = file.read_bytes().rstrip(b"\r\n")
    except OSError as cause:
        raise UsageError(f"--passphrase {file} cannot be read ({cause.strerror}); name a file") from cause
    if not passphrase:
        raise UsageError(f"--passphrase {file} is empty; write the passphrase into it")
    return passphrase
