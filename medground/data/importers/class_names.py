"""From the class names of a source to vocabulary keys: looked up, never guessed."""

from __future__ import annotations

from collections.abc import Mapping

from medground.data.importers.imported import ImportOptions
from medground.schema.errors import UsageError


class ClassNames:
    """Looks up class names: the user's own first, then the published source's, then the phrases of the vocabulary.

    Args:
        options: the user's vocabulary and mapping.
        published: class name to key, as the data card of the source gives it.

    Raises:
        UsageError: a mapping leads to a key that the vocabulary does not have.
    """

    def __init__(self, options: ImportOptions, published: Mapping[str, str] | None = None) -> None:
        known = {concept.key for concept in options.vocabulary.concepts}
        for name, key in options.classes.items():
            if key not in known:
                raise UsageError(f"class {name!r} is mapped to {key!r}, which the vocabulary does not have")
        self._keys: dict[str, str] = {}
        for concept in options.vocabulary.concepts:
            for phrase in (concept.key, *(phrase for phrases in concept.names.values() for phrase in phrases)):
                self._keys[_folded(phrase)] = concept.key
        self._keys |= {_folded(name): key for name, key in (published or {}).items() if key in known}
        self._keys |= {_folded(name): key for name, key in options.classes.items()}

    def key(self, name: str) -> str | None:
        """The vocabulary key of a class name; None for one that nothing names."""
        return self._keys.get(_folded(name))


def _folded(name: str) -> str:
    """Case, underscores, hyphens and doubled blanks do not tell class names apart."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
