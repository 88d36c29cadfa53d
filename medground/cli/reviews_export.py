"""`medground reviews export`: what people made of results, as a version of a data set with its card."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from medground.cli import data_card
from medground.cli.service_token import read_token
from medground.client.client import Client
from medground.data.columnar import write_data_set
from medground.data.reviewed import DATA_SET, gathered, outcomes_of
from medground.data.vocabulary import load_vocabulary
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord

_SOURCE = "Studies that were read with a medground service, and reviewed by people"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `medground reviews export`, parsed; see its help for the meaning of each."""

    out: Path
    token: Path
    service: str
    since: datetime | None = None
    licence: str | None = None
    source: str | None = None
    description: str | None = None


def run_export(options: Options) -> int:
    """Write the data set and its card.

    Args:
        options: what was asked.

    Returns:
        Exit code 0.

    Raises:
        UsageError: nothing was reviewed.
        MedgroundError: the service does not answer, or the data set cannot be written.
    """
    with Client(options.service, read_token(options.token)) as client:
        records = gathered(_record(line, options.service) for line in client.export_reviews(options.since))
    if not records:
        raise UsageError("nothing was reviewed that a data set could be made of; say another --since")
    manifest = write_data_set(
        options.out, records, name=DATA_SET, vocabulary=load_vocabulary(), importer="reviews", copy=False
    )
    data_card.run_card(
        data_card.Options(
            options.out,
            licence=options.licence,
            source=options.source or _SOURCE,
            description=options.description,
        )
    )
    outcomes: Counter[str] = Counter()
    for record in records:
        for counts in outcomes_of(record).values():
            outcomes.update(counts)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    Console().print(
        f"version {manifest.version}: {len(records)} images; {told}", highlight=False, markup=False, soft_wrap=True
    )
    return 0


def _record(line: bytes, service: str) -> ImageRecord:
    try:
        return ImageRecord.model_validate_json(line)
    except ValidationError:
        raise UsageError(f"what {service} exports is of another version than this medground") from None
