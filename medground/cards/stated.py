"""What no program can count about a model: said by its makers, in a YAML file that the evidence keeps."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, field_validator

from medground.cards.contents import Change
from medground.schema.config import StrictConfig
from medground.schema.errors import CardError

MOST_BYTES = 2**20


class StatedData(StrictConfig):
    """A data set in its publishers' and users' words.

    Attributes:
        key: as the training calls it.
        title, licence, source, cite: of the publication.
        synthetic: whether it was made by code.
        who: whose images these are.
        not_in: whose are missing.
        pools: of the training that it fills.
    """

    key: str
    title: str
    licence: str
    source: str
    cite: str
    synthetic: bool
    who: str
    not_in: str
    pools: tuple[str, ...] = ()


class Stated(StrictConfig):
    """The words of the makers; each becomes a paragraph or a list of the card.

    Attributes:
        model: name of the model that this is said of.
        stages: name of a stage of the training to what it is for.
    """

    model: str
    title: str
    summary: str
    developer: str
    contact: str
    licence: str
    regulatory: str
    languages: tuple[str, ...]
    intended_use: tuple[str, ...]
    users: tuple[str, ...]
    out_of_scope: tuple[str, ...]
    never_shown: tuple[str, ...]
    oversight: tuple[str, ...]
    ethics: tuple[str, ...]
    compute: str
    stages: dict[str, str] = Field(default_factory=dict)
    changes: tuple[Change, ...]
    data: tuple[StatedData, ...]

    @field_validator("changes", mode="before")
    @classmethod
    def _dates_are_words(cls, changes: object) -> object:
        """YAML reads a date as one; the card keeps it as it is written."""
        if not isinstance(changes, list):
            return changes
        return [{k: str(v) for k, v in change.items()} if isinstance(change, dict) else change for change in changes]


def shipped_stated() -> bytes:
    """What is said of the model that ships."""
    return (resources.files("medground.cards") / "stated.yaml").read_bytes()


def read_stated(content: bytes) -> Stated:
    """Reads a YAML file.

    Args:
        content: of the file.

    Raises:
        CardError: it is too long, no YAML, or says something else than it should.
    """
    if len(content) > MOST_BYTES:
        raise CardError(f"what is stated of a model has {len(content)} bytes, more than {MOST_BYTES}: shorten it")
    try:
        return Stated.model_validate(yaml.safe_load(content))
    except yaml.YAMLError as error:
        raise CardError(f"what is stated of a model is no YAML: {str(error).splitlines()[0]}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise CardError(f"what is stated of a model lacks something: {where}: {first['msg']}") from None


def stated_from(path: Path | None) -> bytes:
    """The bytes of a file, or what is said of the model that ships."""
    return shipped_stated() if path is None else path.read_bytes()
