"""The vocabulary that ships with medground."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from medground.schema.vocabulary import Vocabulary


@cache
def load_vocabulary() -> Vocabulary:
    """The medical vocabulary: what the bundled model is trained for, and more that it must recognise as unsupported.

    Returns:
        The vocabulary; read once, then the same (immutable) object.
    """
    return Vocabulary.model_validate_json(files(__package__).joinpath("medical.json").read_bytes())
