"""The names and limits that every part of a card agrees on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

CARD: Final = "card.json"
SIGNATURE: Final = "card.sig"
AUDIT: Final = "audit.json"
NOT_LISTED: Final = frozenset({CARD, SIGNATURE, AUDIT})
"""What `card.json` does not list: itself, and what is written after it."""
NOT_SIGNED: Final = frozenset({SIGNATURE, AUDIT})
"""What `card.sig` cannot cover. `audit.json` names the hash of `card.sig`, and has a signature of its own."""

_BESIDE: Final = "_card"
"""What follows the name of a bundle's folder in that of its card's."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+ -]{0,119}", re.ASCII)
_MOST_PARTS = 8


def card_beside(bundle: Path) -> Path:
    """Where the card of a bundle is looked for if nobody says where it is: beside it, `NAME_card` for `NAME`.

    Args:
        bundle: its folder.
    """
    return bundle.with_name(f"{bundle.name}{_BESIDE}")


def is_plain_path(path: str) -> bool:
    """Whether a path is relative, stays inside, and means the same on every system.

    Args:
        path: with `/`.
    """
    parts = path.split("/")
    return len(parts) <= _MOST_PARTS and all(_PART.fullmatch(part) and part[-1] not in " ." for part in parts)


def _plain(path: str) -> str:
    if not is_plain_path(path):
        raise ValueError("is no plain relative path")
    return path


PlainPath = Annotated[str, AfterValidator(_plain)]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a directory is looked at before it is refused.

    Attributes:
        files: of all folders together.
        file_bytes: of one file.
        all_bytes: of all files.
        kept_bytes: of a file whose content is read and not only hashed.
    """

    files: int = 5_000
    file_bytes: int = 512 << 20
    all_bytes: int = 2 << 30
    kept_bytes: int = 32 << 20
