"""How a token is written: `mg_<id>_<secret><check>`.

The prefix and the fixed length let scanners for leaked secrets match a token, and the check lets them and us tell one
from a typing error without asking a database. The id has no `_`, so the secret may.
"""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import dataclass, field
from typing import Final

ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
PREFIX: Final = "mg_"
PATTERN: Final = r"mg_[0-9a-f]{16}_[A-Za-z0-9_-]{49}"
"""For scanners; every token matches it as a whole."""

_TOKEN = re.compile(r"mg_([0-9a-f]{16})_([A-Za-z0-9_-]{43})[A-Za-z0-9_-]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenParts:
    """What a token holds.

    Attributes:
        token_id: `ID_BYTES` bytes as hexadecimal digits; no secret.
        secret: `SECRET_BYTES` random bytes.
    """

    token_id: str
    secret: bytes = field(repr=False)


def write_token(parts: TokenParts) -> str:
    """The token that holds these parts."""
    body = f"{PREFIX}{parts.token_id}_{_base64url(parts.secret)}"
    return body + _check(body)


def parse_token(text: str) -> TokenParts | None:
    """The parts of a token; None if the text is none, or has a typing error in it."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        return None
    token_id, secret = found.groups()
    parts = TokenParts(token_id, base64.urlsafe_b64decode(f"{secret}="))
    return parts if write_token(parts) == text else None  # base64 has several spellings of one content; one is ours


def _check(body: str) -> str:
    # CRC-32 finds every error within four neighbouring characters; it keeps no secret and needs not.
    return _base64url(zlib.crc32(body.encode("ascii")).to_bytes(4, "big"))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
