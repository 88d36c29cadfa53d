"""A process of its own that appends to a log whenever it is told to, and tells each number that is committed."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from sqlalchemy import create_engine

from medground.audit.log import AuditLog
from tests.audit.chains import event


def main(url: str, first: int, count: int) -> None:
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    log = AuditLog(create_engine(url, **options), lambda: datetime.now(UTC))
    log.head()  # it is connected
    tell("ready")
    for _ in sys.stdin:
        for number in range(first, first + count):
            tell(f"{log.append(event(number)).sequence} {number}")
        first += count
        tell("ready")


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
