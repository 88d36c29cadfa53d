"""Logs: one JSON object a line; what could name a patient never gets here, since only the service's own words do."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

ALLOWED = frozenset(
    {
        *("event", "level", "timestamp", "role", "job", "kind", "count", "state", "attempt", "attempts", "destination"),
        *("images", "milliseconds", "request", "route", "method", "status", "reason", "origin", "port", "host"),
        *("executor", "model", "version", "logger", "path", "study", "bytes", "seconds", "outcome"),
    }
)
"""Every key that a line may have; another is a fault of ours, and its value is left out."""


def _only_allowed(logger: WrappedLogger, name: str, line: EventDict) -> EventDict:
    del logger, name
    unknown = [key for key in line if key not in ALLOWED]
    for key in unknown:
        line[key] = "(left out)"
    return line


def make_log(role: str, stream: TextIO | None = None) -> FilteringBoundLogger:
    """A log of this process.

    Args:
        role: of the process, on every line.
        stream: where to; stderr if None.
    """
    quiet_libraries()
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_allowed,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    return log.bind(role=role)


def quiet_libraries() -> None:
    """Nothing of what libraries log or warn of: pydicom quotes header values, and with them the patient."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
