"""What a check of a card finds: which file, of which kind, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong."""

    SIGNATURE = "signature"
    """The signature is missing, damaged, or not one over these files."""
    UNTRUSTED_KEY = "untrusted-key"
    """Somebody signed, and nobody who is trusted here."""
    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    LINK = "link"
    """A link or a device stands where only plain files may."""
    CHAIN = "chain"
    """The entry of the audit log is not the one of this export, or not the one in the log."""
    SCHEMA = "schema"
    NUMBER = "number"
    """A number on the card is not the one that the evidence gives."""
    FORM = "form"
    """A form of the card is not the one that its facts give."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        file: path inside the card, with `/`.
        kind: what is wrong with it.
        words: the same in a sentence.

    Both texts are made printable: what somebody called a file is shown, encoded and recorded like any other text.
    """

    file: str
    kind: Kind
    words: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", printable(self.file))
        object.__setattr__(self, "words", printable(self.words))


def printable(text: str) -> str:
    """A text in which no character moves a cursor or has no encoding: those are written as escapes, as in Python.

    Args:
        text: that somebody else wrote, such as the name of a file.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
