"""`medground card verify`: says whether a card is the one that was exported, and if not, what is wrong where."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medground.cards.findings import Finding, Kind
from medground.cards.keys import VARIABLE, trusted_keys
from medground.cards.verify import Verification, verify
from medground.schema.errors import CardError, MedgroundError, UsageError

if TYPE_CHECKING:
    from medground.cards.recompute import Difference

WIDTH_PIPED = 240
"""Of a table that a program reads: no word of it is cut."""
SHOWN = 50
_ODD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What code meets in files that somebody built so that it fails."""
_FETCH = "fetch the card again from whoever exported it"
NEXT: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        Kind.SIGNATURE: _FETCH,
        Kind.UNTRUSTED_KEY: "ask the maker for the key's fingerprint by another way; if it is this one, trust its .pub "
        f"file by --trust or {VARIABLE}",
        Kind.CHANGED: _FETCH,
        Kind.MISSING: _FETCH,
        Kind.ADDED: "delete it if you put it there; else " + _FETCH,
        Kind.LINK: "delete it if you put it there; else " + _FETCH,
        Kind.CHAIN: "look the entry up in the maker's log: medground audit verify, medground audit show",
        Kind.SCHEMA: "export the card again with this version, or check it with the one that wrote it",
        Kind.NUMBER: "believe neither number; export the card again from the evidence",
        Kind.FORM: "export the card again from its facts",
    }
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        directory: of the card.
        trust: files or folders of public keys, besides those of the package and the environment.
        audit_log: URL of the log to look the export up in.
        anchor: file of anchors to look it up in.
        anchor_key: file with their key.
        as_json: print JSON instead of a table.
        recompute: compute every number again from the evidence.
        from_images: run the model on the phantoms of the evidence again.
        bundle: of the model, for that; the shipped one if None.
        most: phantoms of each scene to run, the first of them; all if None.
    """

    directory: Path
    trust: Sequence[Path] = ()
    audit_log: str | None = None
    anchor: Path | None = None
    anchor_key: Path | None = None
    as_json: bool = False
    recompute: bool = False
    from_images: bool = False
    bundle: Path | None = None
    most: int | None = None


def run_verify(options: Options) -> int:
    """Check a card, and say what was found.

    Args:
        options: as above.

    Returns:
        Exit code 0.

    Raises:
        CardError: something is wrong with the card; what, has been printed.
        MedgroundError: it could not be checked.
    """
    found = checked(options)
    if options.as_json:
        print_json(options.directory, found)
    elif not found.is_whole:
        print_table(found.findings)
    if not found.is_whole:
        count = f"{len(found.findings)} finding{'s' if len(found.findings) > 1 else ''}"
        raise CardError(f"the card in {options.directory} is not to be trusted: {count}; do not use its model by it")
    if not options.as_json:
        Console().print(_whole(found, options), highlight=False, markup=False, soft_wrap=True)
    return 0


def checked(options: Options) -> Verification:
    """What is found in a card, and in the log and anchors that were named.

    Args:
        options: as above.

    Raises:
        MedgroundError: it could not be checked.
    """
    if options.anchor_key is not None and options.anchor is None:
        raise UsageError("--anchor-key is the key of --anchor; name that file too")
    found = verify(options.directory, trusted_keys(options.trust, os.environ))
    if options.recompute:
        from medground.cards.recompute import recompute

        found = with_check(found, lambda: recompute(options.directory), may_raise=False)
    if options.from_images:
        from medground.cards.rerun import rerun  # the model's packages: for whoever runs it alone

        def again() -> Sequence[Difference]:
            outcome = rerun(options.directory, options.bundle, most=options.most, note=_told)
            _told(outcome.words())
            return outcome.differences

        found = with_check(found, again, may_raise=True)
    if found.audit is None or (options.audit_log is None and options.anchor is None):
        return found
    from medground.audit.anchor import AnchorFile  # the database's package: for whoever asks it alone
    from medground.cards.against_log import check_against_log

    key = read_anchor_key(options.anchor_key)
    anchors = AnchorFile(options.anchor, key) if options.anchor is not None else None
    return found.with_findings(check_against_log(found.audit, options.audit_log, anchors))


def with_check(found: Verification, check: Callable[[], Sequence[Difference]], *, may_raise: bool) -> Verification:
    """What was found, and what a check of the evidence finds; what was found before is never lost.

    Args:
        found: before.
        check: of the evidence.
        may_raise: whether it may fail for a reason that is not the card's, which is an error if nothing was found.
    """
    try:
        return found.with_findings([one.finding() for one in check()])
    except MedgroundError as error:
        if may_raise and found.is_whole:
            raise
        words = str(error)
    except _ODD as error:
        words = f"it is not what a card is computed from: {type(error).__name__}"
    from medground.cards.evidence import FOLDER

    return found.with_findings([Finding(FOLDER, Kind.SCHEMA, words)])


def _told(words: str) -> None:
    Console(stderr=True).print(words, highlight=False, markup=False, soft_wrap=True)


def print_table(findings: Sequence[Finding]) -> None:
    """Print what is wrong, a row each: file, kind, words, and what to do."""
    table = Table(show_lines=True)
    for heading in ("file", "finding", "what is wrong", "what to do"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "finding")
    for finding in findings[:SHOWN]:
        table.add_row(escape(finding.file), finding.kind.value, escape(finding.words), NEXT[finding.kind])
    if len(findings) > SHOWN:
        table.caption = f"and {len(findings) - SHOWN} more: --json has them all"
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH_PIPED
    console.print(table)


def print_json(directory: Path, found: Verification) -> None:
    """Print what was found as JSON on stdout."""
    whole = found.is_whole
    said: dict[str, Any] = {
        "card": str(directory),
        "whole": whole,
        # What a card says of itself counts only if nothing is wrong with it.
        "model": found.card.model.model_dump() if whole and found.card else None,
        "exported_at": found.card.exported_at if whole and found.card else None,
        "signer": {"name": found.signer.name, "fingerprint": found.signer.fingerprint} if found.signer else None,
        "audit_entry": found.audit.record.sequence if whole and found.audit else None,
        "files": found.files,
        "bytes": found.size_bytes,
        "findings": [
            {"file": one.file, "kind": one.kind.value, "words": one.words, "next": NEXT[one.kind]}
            for one in found.findings
        ],
    }
    Console().print(json.dumps(said, indent=2), highlight=False, markup=False, soft_wrap=True)


def _whole(found: Verification, options: Options) -> str:
    if found.card is None or found.audit is None or found.signer is None:
        raise RuntimeError("a card without findings has been read")
    model, record = found.card.model, found.audit.record
    asked = [name for name, given in (("log", options.audit_log), ("anchors", options.anchor)) if given is not None]
    looked_up = f"found in the {' and the '.join(asked)}" if asked else "not looked up: see --audit-log and --anchor"
    return (
        f"whole: the card of {model.name} {model.version} ({model.sha256}), exported at {found.card.exported_at}, "
        f"signed with the key {found.signer.name} ({found.signer.fingerprint}); "
        f"entry {record.sequence} of the audit log, {looked_up}; {found.files} files, {found.size_bytes / 1e6:.1f} MB"
        + ("; every number was computed again from the evidence" if options.recompute else "")
        + ("; the model found the same again on the phantoms" if options.from_images else "")
    )


def read_anchor_key(path: Path | None) -> bytes | None:
    """The key of a file of anchors; None if there is none.

    Args:
        path: of the file that holds it.

    Raises:
        UsageError: the file cannot be read.
    """
    if path is None:
        return None
    try:
        return path.read_bytes().strip()
    except OSError as cause:
        raise UsageError(f"--anchor-key {path} cannot be read ({cause.strerror}); name a file") from cause
