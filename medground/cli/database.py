"""Which database a command is about, if its command line does not say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "MEDGROUND_DATABASE"
STATE_FOLDER: Final = Path("medground-state")
HELP: Final = (
    "sqlite:///FILE or postgresql://HOST/NAME; else MEDGROUND_DATABASE, which keeps a password out of the list of "
    "processes; else medground-state/medground.db."
)


def database_url(given: str | None, environment: Mapping[str, str]) -> str:
    """The address of the database: the given one, else that of `MEDGROUND_DATABASE`, else a file in `STATE_FOLDER`.

    Args:
        given: on the command line.
        environment: where the variable is looked up.
    """
    return given or environment.get(VARIABLE) or f"sqlite:///{STATE_FOLDER / 'medground.db'}"
