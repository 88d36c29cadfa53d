"""`medground model drift`: asks a service how its model does, and writes it as a page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from medground.cards.drift import Drift
from medground.cards.drift_page import drift_page
from medground.cli.service_token import read_token
from medground.client.client import Client
from medground.evaluation.files import replace_file
from medground.schema.errors import UsageError


def run_drift(service: str, token: Path, out: Path, weeks: int) -> int:
    """Write the page.

    Args:
        service: its address.
        token: file with a token of the scope `audit`.
        out: file to write.
        weeks: how far back.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: the service does not answer, refuses, or is another version.
    """
    with Client(service, read_token(token)) as client:
        told = client.drift(weeks=weeks)
    try:
        drift = Drift.model_validate_json(told)
    except ValidationError:
        raise UsageError(f"what {service} says of drift is of another version than this medground") from None
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    replace_file(out, drift_page(drift, made_at=f"asked for at {now}, {weeks} weeks back").encode())
    words = "; ".join(f"{alarm.monday}: {alarm.words}" for alarm in drift.alarms) or "nothing out of the ordinary"
    Console().print(
        f"{drift.results} results, {len(drift.concepts)} findings; {words}; written to {out}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0
