"""Reading one value out of a data set, whatever the file made of it: a value or None, never an exception."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from pydicom import Dataset
from pydicom.tag import BaseTag, Tag


def value(dataset: Dataset, keyword: str) -> object:
    """The value of an element as pydicom converts it; None where it is absent, empty or cannot be converted."""
    try:
        found: object = dataset[_tag(keyword)].value
    except Exception:  # absent, or pydicom converts on access and raises whatever the bytes provoke
        return None
    return None if isinstance(found, str) and not found.strip() else found


@cache
def _tag(keyword: str) -> BaseTag:
    """The tag of a keyword; asking pydicom by keyword costs five times as much, and most elements are absent."""
    return Tag(keyword)


def text(dataset: Dataset, keyword: str) -> str | None:
    """A text value without padding; the first of several."""
    found = value(dataset, keyword)
    if isinstance(found, Sequence) and not isinstance(found, str | bytes):
        found = found[0] if found else None
    return None if found is None else str(found).strip() or None


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of a text element."""
    found = value(dataset, keyword)
    many = found if isinstance(found, Sequence) and not isinstance(found, str | bytes) else [found]
    return tuple(str(one).strip() for one in many if one is not None)


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """All values of a numeric element, finite; None unless there are `count` of them (any number but zero if None)."""
    found = value(dataset, keyword)
    many = found if isinstance(found, Sequence) and not isinstance(found, str | bytes) else [found]
    try:
        converted = tuple(float(str(one)) for one in many)
    except (TypeError, ValueError):
        return None
    wrong_count = not converted if count is None else len(converted) != count
    return None if wrong_count or not all(math.isfinite(number) for number in converted) else converted


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first value of a numeric element."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def whole(dataset: Dataset, keyword: str) -> int | None:
    """The first value of a numeric element if it is a whole number."""
    found = number(dataset, keyword)
    return None if found is None or found != int(found) else int(found)


def items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence; empty where there are none."""
    found = value(dataset, keyword)
    return [item for item in found if isinstance(item, Dataset)] if isinstance(found, Sequence) else []


def functional_item(dataset: Dataset, frame: int, keyword: str) -> Dataset | None:
    """The functional group macro of a frame of an enhanced object (PS3.3 C.7.6.16), its own before the shared one.

    Args:
        dataset: an image object, enhanced or not.
        frame: 1-based.
        keyword: of the macro's sequence, e.g. `PlanePositionSequence`.

    Returns:
        The first item of that sequence, or None.
    """
    own = value(dataset, "PerFrameFunctionalGroupsSequence")
    shared = value(dataset, "SharedFunctionalGroupsSequence")
    for groups, index in ((own, frame - 1), (shared, 0)):
        if isinstance(groups, Sequence) and index < len(groups):
            found = items(groups[index], keyword)
            if found:
                return found[0]
    return None
