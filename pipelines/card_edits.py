"""What somebody does to an exported card: single bytes at random places, and whole forgeries with a key of his own."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import create_engine

from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.cards.card_file import read_card, write_card
from medground.cards.findings import Kind
from medground.cards.keys import PUBLIC_NAME, SigningKey, load_signing_key, make_key_pair
from medground.cards.layout import CARD, SIGNATURE
from medground.cards.record import record_export
from medground.cards.signing import sign_directory

_BY_FILE = 0.5  # of all edits so many fall on the files in turn, the others by size


@dataclass(frozen=True, slots=True)
class ByteEdit:
    """One byte, replaced, put in, or taken out.

    Attributes:
        path: of the file, inside the card.
        how: `replace`, `insert` or `delete`.
        at: place in the file.
        value: of the new byte; for `replace`, what the old one is XORed with.
    """

    path: str
    how: str
    at: int
    value: int

    @contextmanager
    def applied(self, directory: Path) -> Iterator[None]:
        """Inside, the file is edited; after it, it is as it was."""
        file = directory / self.path
        content = file.read_bytes()
        if self.how == "replace":
            old, new = content[self.at : self.at + 1], bytes([content[self.at] ^ self.value])
            _put(file, self.at, new)
            try:
                yield
            finally:
                _put(file, self.at, old)
            return
        rest = content[self.at :] if self.how == "insert" else content[self.at + 1 :]
        file.write_bytes(content[: self.at] + (bytes([self.value]) if self.how == "insert" else b"") + rest)
        try:
            yield
        finally:
            file.write_bytes(content)


def byte_edits(directory: Path, count: int, chance: random.Random) -> Iterator[ByteEdit]:
    """Random edits of which every file gets some: half of them go to the files in turn, half by their size.

    Args:
        directory: of the card.
        count: of edits.
        chance: source of what is random.
    """
    sizes = {
        path.relative_to(directory).as_posix(): path.stat().st_size
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
    names = list(sizes)
    chance.shuffle(names)
    in_turn = max(round(count * _BY_FILE), min(count, len(names)))
    paths = [names[number % len(names)] for number in range(in_turn)]
    paths += chance.choices(names, [sizes[name] for name in names], k=count - in_turn)
    for path in paths:
        how = chance.choices(("replace", "insert", "delete"), (8, 1, 1))[0] if sizes[path] else "insert"
        places = sizes[path] + (how == "insert")
        yield ByteEdit(path, how, chance.randrange(places), chance.randrange(how == "replace", 256))


@dataclass(frozen=True, slots=True)
class Forger:
    """Somebody with a key of his own, and a log.

    Attributes:
        folder: for both.
        trusted: fingerprint of a key that is trusted.
    """

    folder: Path
    trusted: str

    def forge(self, directory: Path, how: str) -> None:
        """Edit a card, and hide it.

        Args:
            directory: of the card.
            how: a key of `FORGERIES`.
        """
        change_a_number(directory)
        card = read_card((directory / CARD).read_bytes())
        key = self._key()
        if how == "with his key in the card":
            pinned = directory / "trusted_keys"
            pinned.mkdir()
            shutil.copy(key.path.with_name(PUBLIC_NAME), pinned)
        write_card(directory, card.model, card.exported_at)
        if how == "listed anew":
            return
        sign_directory(directory, key)
        if how == "in the name of a trusted key":
            signature = directory / SIGNATURE
            named = key.public.fingerprint.encode()
            signature.write_bytes(signature.read_bytes().replace(named, self.trusted.encode()))
        engine = create_engine(f"sqlite:///{self.folder / 'forged.db'}")
        create_tables(engine)
        record_export(directory, key, AuditLog(engine, _now), None, _now)
        engine.dispose()

    def _key(self) -> SigningKey:
        folder = self.folder / "forger"
        return load_signing_key(folder / "card-key.pem" if folder.is_dir() else make_key_pair(folder)[0])


FORGERIES: Mapping[str, tuple[str, Kind]] = MappingProxyType(
    {
        "listed anew": (CARD, Kind.CHANGED),
        "signed with another key": (SIGNATURE, Kind.UNTRUSTED_KEY),
        "with his key in the card": (SIGNATURE, Kind.UNTRUSTED_KEY),
        "in the name of a trusted key": (SIGNATURE, Kind.SIGNATURE),
    }
)
"""What a forger does after he has edited a number, and the file and kind of what must be found."""


def change_a_number(directory: Path) -> None:
    """Make one digit of `facts.json`, or of the first file that has one, another."""
    files = sorted(
        (path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.name != "facts.json"
    )
    for file in files:
        content = file.read_bytes()
        if file.name not in (CARD, SIGNATURE) and (digit := re.search(rb"[1-9]", content)):
            other = b"1" if digit.group() != b"1" else b"2"
            file.write_bytes(content[: digit.start()] + other + content[digit.end() :])
            return


def _put(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


def _now() -> datetime:
    return datetime.now(UTC)
