"""Readers of published data sets, one file each."""

from __future__ import annotations

from medground.data.importers.fracatlas import FracAtlas
from medground.data.importers.imported import Import, Importer, Issue
from medground.data.importers.nih_chestxdet import NihChestXDet, merge_double_marked
from medground.data.importers.voc import Voc
from medground.schema.errors import UsageError

__all__ = ["NAMES", "Import", "Importer", "Issue", "by_name", "merge_double_marked"]

_IMPORTERS: dict[str, Importer] = {importer.name: importer for importer in (NihChestXDet(), FracAtlas(), Voc())}

NAMES = tuple(_IMPORTERS)
"""Names that `by_name` knows."""


def by_name(name: str) -> Importer:
    """The importer of that name.

    Args:
        name: one of `NAMES`.

    Returns:
        The importer.

    Raises:
        UsageError: if there is none of that name.
    """
    if name not in _IMPORTERS:
        raise UsageError(f"no importer is called {name!r}; choose one of {', '.join(NAMES)}")
    return _IMPORTERS[name]
