"""Archives: the destinations of the config, ready to be sent to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from medground.serving.config import ServiceConfig
from medground.serving.worker import Archive


@contextmanager
def open_archives(config: ServiceConfig) -> Iterator[Mapping[str, Archive]]:
    """The destinations of a service by name."""
    del config
    yield {}
