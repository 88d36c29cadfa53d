"""`card.json`: which model the card is of, and the hash of every file; written and read in one form only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, ValidationError, field_validator

from medground.cards.findings import printable
from medground.cards.layout import CARD, NOT_LISTED, Limits, PlainPath, Sha256
from medground.cards.tree import read_tree
from medground.evaluation.files import replace_file
from medground.schema.config import StrictConfig
from medground.schema.errors import CardError

Time = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]{6})?Z$")]
Control = TypeVar("Control", bound=StrictConfig)
_Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class CardModel(StrictConfig):
    """Which model a card is of.

    Attributes:
        name: of the bundle.
        version: of the bundle.
        sha256: of the bundle, as the service knows it.
    """

    name: _Name
    version: _Name
    sha256: Sha256


class CardFile(StrictConfig):
    """What `card.json` says.

    Attributes:
        format: 1.
        model: which the card is of.
        exported_at: UTC, as `2026-01-02T03:04:05Z`, with six decimals or none.
        files: SHA-256 of every other file but `card.sig` and `audit.json`, by path.
    """

    format: Literal[1] = 1
    model: CardModel
    exported_at: Time
    files: dict[PlainPath, Sha256] = Field(min_length=1)

    @field_validator("files")
    @classmethod
    def _lists_no_control_file(cls, files: dict[str, str]) -> dict[str, str]:
        if listed := NOT_LISTED & files.keys():
            raise ValueError(f"lists {', '.join(sorted(listed))}, which no card does")
        return files

    def content(self) -> bytes:
        """The one form in which it is written: JSON, keys in alphabetical order, two spaces, a last newline."""
        return canonical(self.model_dump())


def canonical(members: object) -> bytes:
    """The one form in which control files are written."""
    return f"{json.dumps(members, sort_keys=True, indent=2, ensure_ascii=False)}\n".encode()


def read_card(content: bytes) -> CardFile:
    """Read `card.json`.

    Args:
        content: of the file.

    Raises:
        CardError: it is none, or one of its bytes is not as it is written.
    """
    return read_canonical(CardFile, content, CARD)


def read_canonical(kind: type[Control], content: bytes, name: str) -> Control:
    """Read a control file of which every byte is as it is written.

    Args:
        kind: of file.
        content: of it.
        name: of it, for the message.

    Raises:
        CardError: it is none, or one of its bytes is not as it is written.
    """
    try:
        file = kind.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise CardError(f"it is no {name} of format 1: {where}: {first['msg']}") from None
    if canonical(file.model_dump()) != content:
        raise CardError("it says what such a file says, in another form than the one that it is written in")
    return file


def write_card(directory: Path, model: CardModel, exported_at: str) -> CardFile:
    """Write `card.json` for the files that lie in a directory.

    Args:
        directory: of the card; all other files are in it.
        model: which the card is of.
        exported_at: as above.

    Raises:
        CardError: there is a link, an empty folder, or a name that means something else elsewhere.
        LimitError: there is more in it than a check would read.
    """
    tree = read_tree(directory, lambda _: False, Limits())
    if tree.findings:
        first = tree.findings[0]
        raise CardError(f"{first.file!r} cannot be part of a card: {first.words}")
    files = {path: digest for path, digest in tree.digests.items() if path not in NOT_LISTED}
    try:
        card = CardFile(model=model, exported_at=exported_at, files=files)
    except ValidationError as error:
        first_error = error.errors(include_url=False, include_input=False)[0]
        where = printable(".".join(str(part) for part in first_error["loc"]))
        raise CardError(f"no {CARD} can be written for {directory}: {where}: {first_error['msg']}") from None
    replace_file(directory / CARD, card.content())
    return card
