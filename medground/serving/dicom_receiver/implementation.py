"""How the software names itself to other systems (PS3.7 D.3.3.2) and in the files it writes (PS3.10 7.1)."""

from __future__ import annotations

from functools import cache

from medground import __version__
from medground.dicom.identifiers import uid_of


@cache
def implementation_class_uid() -> str:
    """The same for all installations of a version."""
    return uid_of("implementation", __version__)


def implementation_version_name() -> str:
    """At most 16 characters."""
    return f"MEDGROUND_{__version__}"[:16]
