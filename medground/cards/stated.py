"""What no program can count about a model: said by its makers, in a YAML file that the evidence keeps."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from medground.cards.contents import Change
from medground.schema.config import StrictConfig
from medground.schema.errors import CardError

MOST_BYTES = 2**20
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Keeps every value as it is written: a date stays a text, and no long number is computed."""


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


def shipped_stated() -> bytes:
    """What is said of the model that ships."""
    return (resources.files("medground.cards") / "stated.yaml").read_bytes()


def read_stated(content: bytes) -> Stated:
    """Reads a YAML file.

    Args:
        content: of the file.

    Raises:
        CardError: it is too long, no YAML, repeats a part by name, or says something else than it should.
    """
    if len(content) > MOST_BYTES:
        raise CardError(f"what is stated of a model has {len(content)} bytes, more than {MOST_BYTES}: shorten it")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, Loader=_LOADER)):
            raise CardError("what is stated of a model repeats a part by name, which could grow without end: write it")
        return Stated.model_validate(yaml.load(content, Loader=_LOADER))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise CardError(f"what is stated of a model lacks something: {where}: {first['msg']}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CardError(f"what is stated of a model is no YAML: {reason}") from error


def stated_from(path: Path | None) -> bytes:
    """The bytes of a file, or what is said of the model that ships."""
    return shipped_stated() if path is None else path.read_bytes()
