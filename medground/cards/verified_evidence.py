"""The evidence of a card that was verified, byte for byte as it was then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from medground.cards.evidence import FOLDER, Evidence, read_evidence
from medground.schema.errors import CardError


def verified_evidence(card: Path, listed: Mapping[str, str]) -> Evidence:
    """Read the evidence.

    Args:
        card: directory of the card.
        listed: SHA-256 by path, from a `card.json` that was verified.

    Raises:
        CardError: it cannot be read, or is not what was verified.
    """
    evidence = read_evidence(card / FOLDER)
    for name, content in evidence.files.items():
        if hashlib.sha256(content).hexdigest() != listed.get(f"{FOLDER}/{name}"):
            raise CardError(f"{FOLDER}/{name} is not what was verified of the card in {card}: verify it again")
    return evidence
