"""Readers of published data sets, one file each: a file of this folder with an `IMPORTER` is found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import MappingProxyType

from medground.data.importers.imported import Import, Importer, ImportOptions, Issue, Published
from medground.schema.errors import UsageError

__all__ = ["Import", "ImportOptions", "Importer", "Issue", "Published", "by_name", "importers"]


@cache
def importers() -> MappingProxyType[str, Importer]:
    """Every importer by its name, in the order of the names."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    found: list[Importer] = [module.IMPORTER for module in modules if hasattr(module, "IMPORTER")]
    return MappingProxyType({importer.name: importer for importer in sorted(found, key=lambda one: one.name)})


def by_name(name: str) -> Importer:
    """The importer of that name.

    Args:
        name: one of `importers()`.

    Raises:
        UsageError: if there is none of that name.
    """
    known = importers()
    if name not in known:
        raise UsageError(f"no importer is called {name!r}; choose one of {', '.join(known)}")
    return known[name]
