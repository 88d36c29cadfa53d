"""The coded vocabulary: which words name which finding, in English and Chinese."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from medground.schema.anatomy import Domain
from medground.schema.config import StrictConfig


class Code(StrictConfig):
    """A coded concept (DICOM PS3.3 section 8.8: Coding Scheme Designator, Code Value, Code Meaning).

    `scheme` is SCT for SNOMED CT, RADLEX, DCM, or 99MEDGROUND for a private code.
    """

    scheme: str
    value: str
    meaning: str


class Concept(StrictConfig):
    """One finding a question can be about.

    Attributes:
        key: stable identifier, lower snake case.
        code: SNOMED CT or RadLex code, or a private one (scheme 99MEDGROUND).
        names: language (`en`, `zh`) to the phrases that name it, the preferred one first; the rest are synonyms and
            lay terms. Plurals and inflections are listed, not derived.
        parent: key of the broader concept, or None.
        confusable_with: keys of findings that look alike.
        image_level: True where the finding is a property of the whole image region rather than a countable lesion.
        domains: kinds of image on which the finding can be seen at all; a question outside is never "not found".
    """

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    code: Code
    names: dict[str, tuple[str, ...]]
    parent: str | None = None
    confusable_with: tuple[str, ...] = ()
    image_level: bool = False
    domains: tuple[Domain, ...] = ()

    @property
    def name(self) -> str:
        """The preferred English name."""
        return self.names["en"][0]


class Vocabulary(StrictConfig):
    """A set of concepts with unique keys whose references all resolve.

    Raises:
        ValueError: on a repeated key, a phrase that names two concepts, or a reference to an unknown key.
    """

    version: int = 1
    concepts: tuple[Concept, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        keys = [concept.key for concept in self.concepts]
        if len(set(keys)) != len(keys):
            raise ValueError(f"vocabulary keys must be unique, got {sorted(k for k in keys if keys.count(k) > 1)}")
        owner: dict[str, str] = {}
        for concept in self.concepts:
            if not concept.names.get("en"):
                raise ValueError(f"concept {concept.key!r} needs an English name")
            for key in (*concept.confusable_with, *([concept.parent] if concept.parent else [])):
                if key not in keys:
                    raise ValueError(f"concept {concept.key!r} refers to the unknown concept {key!r}")
            for phrase in {p.lower() for phrases in concept.names.values() for p in phrases}:
                if owner.setdefault(phrase, concept.key) != concept.key:
                    raise ValueError(f"phrase {phrase!r} names both {owner[phrase]!r} and {concept.key!r}")
        return self

    def __getitem__(self, key: str) -> Concept:
        """The concept with that key; KeyError if there is none."""
        for concept in self.concepts:
            if concept.key == key:
                return concept
        raise KeyError(key)

    def descendants(self, key: str) -> frozenset[str]:
        """The key itself and the keys of everything below it."""
        found = {key}
        while True:
            more = {c.key for c in self.concepts if c.parent in found} - found
            if not more:
                return frozenset(found)
            found |= more
