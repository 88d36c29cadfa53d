"""The token that a command shows to a service: read from a file, so that no list of processes has it."""

from __future__ import annotations

from pathlib import Path

from medground.schema.errors import UsageError

_MOST_BYTES = 64 << 10


def read_token(path: Path) -> str:
    """Read a token.

    Args:
        path: of its file.

    Raises:
        UsageError: it cannot be read, or is empty or too long for one.
    """
    try:
        with path.open("rb") as file:
            token = file.read(_MOST_BYTES + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as cause:
        raise UsageError(f"--token {path} cannot be read; `medground token create` makes one") from cause
    if not token or len(token) > _MOST_BYTES or len(token.split()) > 1:
        raise UsageError(f"--token {path} holds no token; `medground token create` makes one")
    return token
