"""`medground model promote` and `list`: moves the alias of the current model, and shows what was decided."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.cards.keys import trusted_keys
from medground.cards.promotion import (
    DECISION_TAG,
    MANIFEST_TAG,
    REASONS_TAG,
    PromotionRecord,
    Proposal,
    carry_out,
    propose,
)
from medground.cards.registry import Decision
from medground.cli.database import database_url
from medground.cli.progress import stage
from medground.schema.errors import CardError, UsageError
from medground.serving.database import connect
from medground.tracking.registry import ModelRegistry, Version, home_of

WIDTH_PIPED = 240
"""Of a table that a program reads: no word of it is cut."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `medground model promote`, parsed; see its help for the meaning of each."""

    card: Path
    bundle: Path | None = None
    registry: str = "mlruns"
    alias: str = "champion"
    current_card: Path | None = None
    trust: Sequence[Path] = ()
    database: str | None = None
    yes: bool = False
    as_json: bool = False


def run_promote(options: Options, confirm: Callable[[str], bool]) -> int:
    """Look, ask, and carry it out.

    Args:
        options: what was asked.
        confirm: asks a person.

    Returns:
        Exit code 0.

    Raises:
        CardError: the gate refused; that was recorded.
        MedgroundError: something is missing, damaged, or cannot be written.
    """
    keys = trusted_keys(options.trust, os.environ)
    registry = ModelRegistry(home_of(options.registry))
    with stage(Console(stderr=True), "comparing"):
        proposal = propose(
            registry, options.card, options.bundle, keys, alias=options.alias, current_card=options.current_card
        )
    if not options.as_json:
        _print_rules(proposal.decision)
    if proposal.decision.promoted and not options.yes and not confirm(_question(proposal)):
        raise UsageError("nothing was changed; answer yes, or say --yes, to promote it")
    record = _carried_out(proposal, registry, options.database)
    if options.as_json:
        Console().print(record.model_dump_json(indent=2), highlight=False, markup=False, soft_wrap=True)
    if not record.decision.promoted:
        broken = ", ".join(rule.value for rule in record.decision.broken)
        raise CardError(
            f"{record.model} {record.bundle_sha256[:12]} is not promoted, {_place(proposal)}: {broken}; recorded as "
            f"version {record.version} and entry {record.audit_entry} of the audit log"
        )
    if not options.as_json:
        _say(
            f"promoted: {record.model} version {record.version} ({record.bundle_sha256[:12]}) is {record.alias}; "
            f"entry {record.audit_entry} of the audit log"
        )
    return 0


def run_list(address: str) -> int:
    """Print the versions.

    Args:
        address: of the registry.

    Returns:
        Exit code 0.

    Raises:
        UsageError: it cannot be opened.
    """
    versions = ModelRegistry(home_of(address)).versions()
    table = Table(show_lines=True)
    for heading in ("model", "version", "registered (UTC)", "bundle", "alias", "decision", "why"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("version", "bundle", "decision"))
    for version in versions:
        table.add_row(*map(escape, _row(version)))
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH_PIPED
    console.print(table)
    return 0


def _row(version: Version) -> list[str]:
    decision = version.tags.get(DECISION_TAG, "none")
    return [
        version.model,
        str(version.number),
        f"{datetime.fromtimestamp(version.created_ms / 1e3, UTC):%Y-%m-%d %H:%M}",
        version.tags.get(MANIFEST_TAG, "")[:12],
        ", ".join(version.aliases),
        decision,
        "registered without the gate" if decision == "none" else version.tags.get(REASONS_TAG, ""),
    ]


def _carried_out(proposal: Proposal, registry: ModelRegistry, database: str | None) -> PromotionRecord:
    engine = connect(database_url(database, os.environ))
    try:
        create_tables(engine)
        return carry_out(proposal, registry, AuditLog(engine, _now), _now)
    finally:
        engine.dispose()


def _print_rules(decision: Decision) -> None:
    table = Table(show_lines=True)
    for heading in ("rule", "met", "why"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "why")
    for ruling in decision.rules:
        table.add_row(ruling.rule.value, "yes" if ruling.passed else "[bold red]no[/]", escape(ruling.words))
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH_PIPED
    console.print(table)


def _question(proposal: Proposal) -> str:
    return f"Make {proposal.info.name} {proposal.info.version} ({proposal.info.sha256[:12]}) {_place(proposal)}?"


def _place(proposal: Proposal) -> str:
    was = f"in the place of version {proposal.current.number}" if proposal.current else "the first one"
    return f"{proposal.alias}, {was}"


def _now() -> datetime:
    return datetime.now(UTC)


def _say(words: str) -> None:
    Console().print(words, highlight=False, markup=False, soft_wrap=True)
