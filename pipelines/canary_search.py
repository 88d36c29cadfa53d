"""Searches texts, and tables of a database, for canaries as they are, percent-encoded, in base64 and in hexadecimal."""

from __future__ import annotations

import base64
import binascii
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from pipelines.canary_places import Canary
from pipelines.canary_studies import MARK

_MARK: Final = MARK.lower().encode()
_DIGITS: Final = re.compile(rb"(?<![0-9])[0-9]{10}(?![0-9])")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{8,}")
_HEX: Final = re.compile(rb"(?:[0-9A-Fa-f]{2}){6,}[0-9A-Fa-f]?")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


class CanarySearch:
    """Finds the canaries of a run: every word begins alike, and digits are known one by one.

    Args:
        canaries: all that were planted.
    """

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self._digits = {one.digits.encode() for one in canaries}

    def hits(self, text: bytes) -> int:
        """How many canaries stand in a text, in any form."""
        return sum(self._plain(form) for form in _forms(text))

    def _plain(self, text: bytes) -> int:
        digits = sum(found in self._digits for found in _DIGITS.findall(text))
        return text.lower().count(_MARK) + digits


def _forms(text: bytes) -> Iterator[bytes]:
    """The text, and what it may stand for; each beginning of a base64 group and of a pair of hex digits counts."""
    yield text
    decoded = unquote_to_bytes(text)
    if decoded != text:
        yield decoded
    for found in _BASE64.findall(text):
        run = found.translate(_URL_SAFE)
        for start in range(4):
            rest = run[start:]
            yield base64.b64decode(rest + b"A" * (-len(rest) % 4))  # with or without its padding
    for found in _HEX.findall(text):
        for start in range(2):
            yield binascii.unhexlify(found[start : start + (len(found) - start) // 2 * 2])


def tables(path: Path, *, but: frozenset[str] = frozenset()) -> Iterator[tuple[str, bytes]]:
    """The rows of every table of a SQLite file but some, by `table NAME`."""
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name not in but:
                yield f"table {name}", rows(connection, name)


def rows(connection: sqlite3.Connection, table: str) -> bytes:
    """All values of a table, a line each."""
    found = connection.execute(f'SELECT * FROM "{table}"')
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode()
        for row in found
        for value in row
        if value is not None
    )
