"""Promotes a model: looks at it with the gate, registers it, records the decision, and moves the alias last.

Whoever is killed in between leaves the old alias, or the new one with its record; the same command then goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from enum import StrEnum
from pathlib import Path
from typing import Literal

from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind, Outcome
from medground.audit.log import AuditLog, Clock
from medground.cards.card_file import canonical
from medground.cards.findings import Finding, Kind
from medground.cards.keys import PublicKey
from medground.cards.layout import SIGNATURE
from medground.cards.registry import Carded, Decision, decide
from medground.cards.verified_evidence import verified_evidence
from medground.cards.verify import verify
from medground.model.bundle_facts import read_facts, shipped_bundle_path
from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.schema.result import ModelInfo
from medground.tracking.registry import ModelRegistry, Version

BUNDLE, CARD, DECISIONS = "bundle", "card", "decisions"
MANIFEST_TAG, CARD_TAG = "manifest_sha256", "medground.card_sha256"
DECISION_TAG, REASONS_TAG, ENTRY_TAG = "medground.decision", "medground.reasons", "medground.audit_entry"
ALIAS_TAG, DECIDED_TAG = "medground.decided_for", "medground.decided_at"
PROMOTED, REFUSED = "promoted", "refused"
ACTOR, KIND = "medground-model", "model-promotion"
NO_CARD = "0" * 64


class Step(StrEnum):
    """What has been done, in this order."""

    REGISTERED = "registered"
    LOGGED = "logged"
    NOTED = "noted"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the gate says of a bundle, before anything is written.

    Attributes:
        info: of the bundle.
        bundle: its folder.
        card: folder of its card; None if the card does not hold: then it is not kept.
        card_sha256: of `card.sig`.
        alias: that is to be moved.
        current: the version that has it; None if none has.
        decision: of the gate.
        trusted: keys whose cards count.
    """

    info: ModelInfo
    bundle: Path
    card: Path | None
    card_sha256: str
    alias: str
    current: Version | None
    decision: Decision
    trusted: tuple[PublicKey, ...]


class PromotionRecord(StrictConfig):
    """What is kept of a decision, beside the card and, by its hash, in the audit log.

    Attributes:
        model, bundle_sha256, card_sha256: what it is about.
        version: of the registry.
        alias, before: the alias, and the version that had it.
        decided_at: UTC.
        decision: with the words of every rule.
        audit_entry, audit_hash: of the entry that names the SHA-256 of all of the above.
    """

    format: Literal[1] = 1
    model: str
    bundle_sha256: str
    card_sha256: str
    version: int
    alias: str
    before: int | None
    decided_at: str
    decision: Decision
    audit_entry: int | None = None
    audit_hash: str | None = None

    def digest(self) -> str:
        """SHA-256 of the record without its entry."""
        return hashlib.sha256(
            canonical(self.model_dump(mode="json", exclude={"audit_entry", "audit_hash"}))
        ).hexdigest()


def propose(
    registry: ModelRegistry,
    card: Path,
    bundle: Path | None,
    trusted: Sequence[PublicKey],
    *,
    alias: str,
    current_card: Path | None = None,
) -> Proposal:
    """Verify a card and have the gate decide; nothing is written.

    Args:
        registry: that knows the current model.
        card: directory of the card.
        bundle: folder of the model; the shipped one if None.
        trusted: keys whose cards count.
        alias: of the current model.
        current_card: of the current model; read only where the registry keeps none of it.

    Raises:
        BundleError: the bundle is missing or damaged.
        InputError: there is no card at that path.
        CardError: a card that holds has evidence that cannot be read.
    """
    path = bundle or shipped_bundle_path()
    info = read_facts(path).info
    candidate = carded(info.sha256, card, trusted)
    current = registry.holder(info.name, alias)
    there = _current(registry, current, current_card, trusted) if current else None
    holds = candidate.evidence is not None
    sealed = _sealed(card) if holds else NO_CARD
    decision = decide(candidate, there)
    return Proposal(info, path, card if holds else None, sealed, alias, current, decision, tuple(trusted))


def carded(sha256: str, card: Path, trusted: Sequence[PublicKey]) -> Carded:
    """A model with what is found of its card; of one that does not hold nothing is read.

    Args:
        sha256: of the bundle.
        card: directory of the card.
        trusted: keys whose cards count.

    Raises:
        InputError: there is no card at that path.
        CardError: the card holds, and its evidence cannot be read, or changed meanwhile.
    """
    found = verify(card, trusted)
    return Carded(sha256, found, verified_evidence(card, found.card.files) if found.is_whole and found.card else None)


def _current(registry: ModelRegistry, version: Version, given: Path | None, trusted: Sequence[PublicKey]) -> Carded:
    """The model that is there with its card; the one that the registry keeps comes before the one that is given."""
    sha256 = version.tags.get(MANIFEST_TAG, "")
    folder = registry.folder(version, CARD) or given
    if folder is None:
        return Carded(sha256, None, None)
    model, decided = carded(sha256, folder, trusted), version.tags.get(CARD_TAG, NO_CARD)
    if model.verification is None or decided in (NO_CARD, _sealed(folder)):
        return model
    other = Finding(SIGNATURE, Kind.CHANGED, "is of another card than the one that the registry decided about")
    return Carded(sha256, replace(model.verification, findings=(*model.verification.findings, other)), None)


def _sealed(card: Path) -> str:
    """SHA-256 of the signature of a card, which names it; of none, `NO_CARD`."""
    path = card / SIGNATURE
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else NO_CARD


def carry_out(
    proposal: Proposal,
    registry: ModelRegistry,
    log: AuditLog,
    clock: Clock,
    *,
    done: Callable[[Step], None] | None = None,
) -> PromotionRecord:
    """Register the bundle, record the decision, and move the alias if the gate let it pass.

    Args:
        proposal: what was decided.
        registry: the same.
        log: the audit log.
        clock: gives the time, with its offset from UTC.
        done: told after each step.

    Raises:
        UsageError: the alias was moved by somebody else since; nothing was written.
        AuditError: the log cannot be written to; the alias stays where it is.
    """
    info, alias, decision = proposal.info, proposal.alias, proposal.decision
    tell = done or (lambda _: None)
    with registry.alone():
        _check_unmoved(proposal, registry.holder(info.name, alias))
        folders = {BUNDLE: proposal.bundle} | ({CARD: proposal.card} if proposal.card else {})
        version = registry.put(info.name, {MANIFEST_TAG: info.sha256, CARD_TAG: proposal.card_sha256}, folders)
        _check_copied(registry, version, proposal)
        tell(Step.REGISTERED)
        record = PromotionRecord(
            model=info.name,
            bundle_sha256=info.sha256,
            card_sha256=proposal.card_sha256,
            version=version.number,
            alias=alias,
            before=proposal.current.number if proposal.current else None,
            decided_at=clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            decision=decision,
        )
        entry = log.append(_event(record))
        record = record.model_copy(update={"audit_entry": entry.sequence, "audit_hash": entry.hash})
        tell(Step.LOGGED)
        registry.note(version, _tags(record), {f"{DECISIONS}/{entry.sequence:08d}.json": _text(record)})
        tell(Step.NOTED)
        if decision.promoted:
            registry.move(alias, version)
            tell(Step.MOVED)
    return record


def _check_unmoved(proposal: Proposal, now: Version | None) -> None:
    was = proposal.current
    if (was and was.number) != (now and now.number):
        raise UsageError(
            f"the alias {proposal.alias!r} moved to {f'version {now.number}' if now else 'nothing'} since the gate "
            "looked: run the command again"
        )


def _check_copied(registry: ModelRegistry, version: Version, proposal: Proposal) -> None:
    """Whether what the registry keeps is what the gate looked at."""
    bundle, card = registry.folder(version, BUNDLE), registry.folder(version, CARD)
    if bundle is None or (card is None and proposal.card is not None):
        raise UsageError(f"the registry lost files of version {version.number}: bring them back from a backup")
    kept, was = read_facts(bundle).info.sha256, proposal.info.sha256
    mend = f"delete version {version.number} of the registry, and run it again"
    if kept != was:
        raise UsageError(f"the bundle changed while it was copied ({kept[:12]}, and it was {was[:12]}): {mend}")
    if card is not None and proposal.card is not None and _fails(card, proposal):
        raise UsageError(f"the card changed while it was copied, or its copy did since: {mend}")


def _fails(card: Path, proposal: Proposal) -> bool:
    """Whether a copy is another card than the one that was verified: by its signature, and file by file."""
    return _sealed(card) != proposal.card_sha256 or not verify(card, proposal.trusted).is_whole


def _event(record: PromotionRecord) -> AuditEvent:
    promoted = record.decision.promoted
    reason = {} if promoted else {"reason": "+".join(rule.value for rule in record.decision.broken)}
    return AuditEvent(
        action=Action.UPDATE,
        outcome=Outcome.SUCCESS if promoted else Outcome.MINOR_FAILURE,
        actor_kind=ActorKind.SYSTEM,
        actor=ACTOR,
        object_kind=ObjectKind.MODEL,
        object_id=record.bundle_sha256,
        details={
            "kind": KIND,
            "digest": f"sha256:{record.digest()}",
            "state": PROMOTED if promoted else REFUSED,
            "version": str(record.version),
            **reason,
        },
    )


def _tags(record: PromotionRecord) -> dict[str, str]:
    return {
        REASONS_TAG: "; ".join(record.decision.reasons) or "every rule is met",
        ENTRY_TAG: str(record.audit_entry),
        ALIAS_TAG: record.alias,
        DECIDED_TAG: record.decided_at,
        DECISION_TAG: PROMOTED if record.decision.promoted else REFUSED,  # last: with it the others are there
    }


def _text(record: PromotionRecord) -> str:
    return canonical(record.model_dump(mode="json")).decode()
