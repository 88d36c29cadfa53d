"""Plain text: what of a header's text may stand in a database and in an answer."""

from __future__ import annotations

import itertools
import unicodedata


def plain_text(found: str | None, at_most: int) -> str:
    """A text without what a database may refuse: control characters and halves of surrogate pairs.

    Args:
        found: as the header has it.
        at_most: letters that are kept.
    """
    letters = (letter for letter in found or "" if unicodedata.category(letter) not in ("Cc", "Cs"))
    return "".join(itertools.islice(letters, at_most))
