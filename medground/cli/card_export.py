"""`medground card export`: writes the card of a bundle or of a run, signs it, and records that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from medground.cards.evidence import FOLDER, Evidence, read_evidence
from medground.cards.export import Seal, export_card
from medground.cards.layout import card_beside
from medground.cli.database import database_url
from medground.cli.progress import stage
from medground.model.bundle_facts import read_facts
from medground.schema.errors import UsageError

if TYPE_CHECKING:
    from medground.audit.log import AuditLog


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `medground card export`, parsed; see its help for the meaning of each."""

    out: Path
    bundle: Path | None = None
    run: str | None = None
    evidence: Path | None = None
    stated: Path | None = None
    key: Path | None = None
    passphrase: Path | None = None
    unsigned: bool = False
    database: str | None = None
    anchor: Path | None = None
    anchor_key: Path | None = None
    mlruns: Path = Path("mlruns")
    experiment: str = "medground"
    replace: bool = False


def run_export(options: Options) -> int:
    """Write the card.

    Args:
        options: what was asked.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: something is missing, damaged, or does not fit together.
    """
    if (options.key is None) != options.unsigned:
        raise UsageError("name the key to sign with by --key, or ask for a draft that nobody can verify by --unsigned")
    evidence = _evidence(options)
    with stage(Console(stderr=True), "computing the card"):
        facts = export_card(evidence, options.out, seal=_seal(options), replace=options.replace)
    signed = "not signed" if options.unsigned else "signed and recorded"
    measured = ", ".join(one.name for one in facts.evaluations) or "nothing"
    Console().print(
        f"{facts.model.name} {facts.model.version}: {len(facts.weaknesses)} weaknesses, measured on {measured}; "
        f"{signed}; written to {options.out}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0


def _evidence(options: Options) -> Evidence:
    """What was collected, of the model that is named; of a run it is collected now if it was not before."""
    if (options.bundle is None) == (options.run is None):
        raise UsageError("name what the card is of: a bundle with --bundle, or a run with --run")
    bundle = options.bundle or _bundle_of(options)
    folder = options.evidence
    if folder is None and options.run is not None:
        return _collected(bundle, options)
    if folder is None:
        folder = card_beside(bundle) / FOLDER
        if not folder.is_dir():
            raise UsageError("a bundle's card needs --evidence; collect it by python -m pipelines card-evidence")
    if options.stated is not None:
        raise UsageError("--stated was settled when the evidence was collected; leave it out")
    evidence, info = read_evidence(folder), read_facts(bundle).info
    if evidence.manifest_sha256 != info.sha256:
        raise UsageError(
            f"the evidence is of the model {evidence.manifest_sha256[:12]}, the bundle is {info.sha256[:12]}: "
            "collect evidence for this bundle"
        )
    return evidence


def _collected(bundle: Path, options: Options) -> Evidence:
    import medground
    from medground.cards.collect import collect
    from medground.cards.environment import code_of, environment
    from medground.cards.stated import stated_from
    from medground.evaluation.scene import ENDING
    from medground.tracking.runs import find_artifacts

    found = find_artifacts(options.mlruns, options.experiment, options.run or "", ENDING)
    scenes = {path.name.removesuffix(ENDING): path for path in found}
    if not scenes:
        raise UsageError(
            f"the run {options.run!r} has no evaluation; make some by python -m pipelines evaluate --train"
        )
    if len(scenes) < len(found):
        raise UsageError(f"the run {options.run!r} keeps two scenes of one part; name one folder of evidence instead")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return collect(
        bundle,
        scenes,
        stated=stated_from(options.stated),
        environment=environment(),
        code=code_of(Path(medground.__file__).parent, medground.__version__, now),
    )


def _bundle_of(options: Options) -> Path:
    from medground.tracking.runs import find_artifacts

    found = find_artifacts(options.mlruns, options.experiment, options.run or "", "manifest.json")
    if not found:
        raise UsageError(f"the run {options.run!r} keeps no bundle; it gets one when it is registered")
    return max(found, key=lambda path: path.stat().st_mtime).parent


def _seal(options: Options) -> Seal | None:
    if options.key is None:
        return None
    from medground.audit.anchor import AnchorFile
    from medground.cards.keys import load_signing_key
    from medground.cards.record import record_export
    from medground.cards.signing import sign_directory
    from medground.cli.card_keygen import read_passphrase
    from medground.cli.card_verify import read_anchor_key

    key = load_signing_key(options.key, read_passphrase(options.passphrase))
    secret = read_anchor_key(options.anchor_key)
    anchors = AnchorFile(options.anchor, secret) if options.anchor else None

    def seal(directory: Path) -> None:
        sign_directory(directory, key)
        with _log(options) as log:
            record_export(directory, key, log, anchors, _now)

    return seal


@contextmanager
def _log(options: Options) -> Iterator[AuditLog]:
    from medground.audit.log import AuditLog
    from medground.audit.tables import create_tables
    from medground.serving.database import connect

    engine = connect(database_url(options.database, os.environ))
    try:
        create_tables(engine)
        yield AuditLog(engine, _now)
    finally:
        engine.dispose()


def _now() -> datetime:
    return datetime.now(UTC)
