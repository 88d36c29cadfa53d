"""The card of the model that answers: verified once, at the start, and from then on shown as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from medground.cards.export import FACTS, PAGE
from medground.cards.findings import Finding
from medground.cards.keys import trusted_keys
from medground.cards.layout import Limits, card_beside
from medground.cards.tree import read_tree
from medground.cards.verify import Verification, verify
from medground.model.bundle_facts import shipped_bundle_path
from medground.schema.errors import CardError, InputError
from medground.schema.result import ModelInfo
from medground.serving.config import ModelChoice


class CardState(StrEnum):
    """What is known of the card."""

    VERIFIED = "verified"
    ABSENT = "absent"
    NOT_VERIFIED = "not_verified"
    """There is one, and it is damaged, or signed by nobody who is trusted here."""
    OTHER_MODEL = "other_model"
    """There is one that holds, of another bundle."""


@dataclass(frozen=True, slots=True)
class ServedCard:
    """The card as the service shows it.

    Attributes:
        state: as above.
        words: the same in a sentence.
        signer, fingerprint: name and SHA-256 of the key of a card that holds; empty otherwise.
        exported_at: UTC; empty likewise.
        facts: `facts.json`; None unless the card holds and is of this model.
        page: `model_card.html`; the same.
        folder: where the card lies; None likewise.
        listed: SHA-256 of its files by path; empty likewise.
    """

    state: CardState
    words: str
    signer: str = ""
    fingerprint: str = ""
    exported_at: str = ""
    facts: Mapping[str, Any] | None = field(default=None, repr=False)
    page: bytes | None = field(default=None, repr=False)
    folder: Path | None = None
    listed: Mapping[str, str] = field(default_factory=dict, repr=False)


NO_CARD: Final = ServedCard(CardState.ABSENT, "the model has no card")


def card_of(choice: ModelChoice, info: ModelInfo, environment: Mapping[str, str]) -> ServedCard:
    """Verify the card of a model.

    Args:
        choice: which bundle, where its card is, whose keys are trusted, and whether one is required.
        info: of the bundle.
        environment: where more trusted keys are looked up.

    Raises:
        CardError: a card is required, and there is none that holds and is of this bundle.
        UsageError: a trusted key cannot be read.
    """
    found = _found(choice, info, environment)
    if found.state is not CardState.VERIFIED and choice.require_card:
        raise CardError(
            f"the model {info.name} {info.version} ({info.sha256[:12]}) is not served: {found.words}. Name its card "
            "with [model] card, trust its signer's key with [model] trusted_keys or MEDGROUND_CARD_KEYS, or serve it "
            "all the same with --without-card"
        )
    return found


def _found(choice: ModelChoice, info: ModelInfo, environment: Mapping[str, str]) -> ServedCard:
    folder = choice.card or card_beside(choice.bundle or shipped_bundle_path())
    if not folder.is_dir():
        return ServedCard(CardState.ABSENT, f"there is no card at {folder}")
    try:
        verification = verify(folder, trusted_keys(choice.trusted_keys, environment))
    except InputError as error:
        return ServedCard(CardState.NOT_VERIFIED, f"its card cannot be checked: {error}")
    card, signer = verification.card, verification.signer
    if verification.findings or card is None or signer is None:
        return ServedCard(CardState.NOT_VERIFIED, f"its card is not to be trusted: {_first(verification)}")
    if card.model.sha256 != info.sha256:
        words = f"the card at {folder} is of the bundle {card.model.sha256[:12]}, and this one is {info.sha256[:12]}"
        return ServedCard(CardState.OTHER_MODEL, words)
    content = _content(folder, card.files)
    if content is None:
        return ServedCard(CardState.NOT_VERIFIED, f"{FACTS} or {PAGE} is missing from its card, or changed meanwhile")
    return ServedCard(
        state=CardState.VERIFIED,
        words=f"signed with the key {signer.name}, exported at {card.exported_at}",
        signer=signer.name,
        fingerprint=signer.fingerprint,
        exported_at=card.exported_at,
        facts=json.loads(content[FACTS]),
        page=content[PAGE],
        folder=folder,
        listed=card.files,
    )


def _content(folder: Path, listed: Mapping[str, str]) -> dict[str, bytes] | None:
    """What is shown, if it is what was verified a moment ago."""
    shown = (FACTS, PAGE)
    tree = read_tree(folder, lambda path: path in shown, Limits())
    is_same = all(name in tree.kept and tree.digests[name] == listed.get(name) for name in shown)
    return dict(tree.kept) if is_same else None


def _first(verification: Verification) -> str:
    findings: tuple[Finding, ...] = verification.findings
    if not findings:
        return "nobody who is trusted here signed it"
    more = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
    return f"{findings[0].file}: {findings[0].words}{more}"
