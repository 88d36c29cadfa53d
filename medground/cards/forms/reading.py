"""Reads what a form says, strictly: one meaning only, within limits, and never an exception."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


class NotPlainError(ValueError):
    """Text that could be read in more than one way."""


def parse_json(content: bytes) -> Any:
    """Reads JSON without doubled names and without numbers that JSON does not have.

    Args:
        content: UTF-8.

    Raises:
        NotPlainError: it is something else; says what.
    """
    try:
        return json.loads(content.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except NotPlainError:
        raise
    except (ValueError, RecursionError) as error:
        raise NotPlainError(f"it is no JSON: {type(error).__name__}") from error


def has_members(tree: Any, members: Mapping[str, type]) -> bool:
    """Whether it is an object with exactly these members in this order, each of its type.

    Args:
        tree: from `parse_json`.
        members: name to type.
    """
    return (
        isinstance(tree, dict)
        and list(tree) == list(members)
        and all(type(value) is members[name] for name, value in tree.items())
    )


def written_json(tree: object) -> bytes:
    """JSON as every form writes it: equal trees give equal bytes.

    Args:
        tree: of objects, lists and plain values.
    """
    return (json.dumps(tree, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def values_of(tree: Any, name: str) -> Iterator[Any]:
    """Every value that stands under a name, wherever in the tree.

    Args:
        tree: from `parse_json`.
        name: of the member.
    """
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == name:
                yield value
            yield from values_of(value, name)
    elif isinstance(tree, list):
        for value in tree:
            yield from values_of(value, name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotPlainError("an object in it has a name twice")
    return found


def _no_constant(name: str) -> Any:
    raise NotPlainError(f"{name} is no number of JSON")
