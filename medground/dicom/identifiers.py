"""UIDs that follow from what they identify: the same input has the same UID."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "medground")


def uid_of(*parts: str) -> str:
    """A UID under 2.25 (PS3.5 B.2) that is a function of the parts alone.

    Args:
        parts: whatever tells this object from every other.
    """
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(31).join(parts)).int}"
