"""Whether a card is the one that somebody who is trusted exported: offline, and without reading what it says of itself.

The order of trust: a key that is pinned here holds `card.sig`; that names every file but `audit.json`, and its hash;
`audit.json` is signed by the same key and names the hash of `card.sig`. `card.json` says the same hashes once more, for
whoever has no key, and so that a file can be named even where the signature is damaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medground.cards.agreement import disagreements
from medground.cards.audit_file import AuditFile, broken_links, read_audit_file
from medground.cards.card_file import CardFile, read_card
from medground.cards.findings import Finding, Kind
from medground.cards.keys import PublicKey
from medground.cards.layout import AUDIT, CARD, NOT_LISTED, NOT_SIGNED, SIGNATURE, Limits
from medground.cards.schemas import KNOWN, Schemas, validator_of
from medground.cards.signature import SignatureFile, read_signature
from medground.cards.tree import Tree, read_tree
from medground.schema.errors import CardError


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    Attributes:
        findings: what is wrong, by file; empty for a card that is whole.
        signer: whose card it is; None if nobody's who is trusted.
        card: what `card.json` says; None if it cannot be read. Of worth only if there is no finding.
        audit: what `audit.json` says; the same.
        files: that were looked at.
        size_bytes: of all of them.
    """

    findings: tuple[Finding, ...]
    signer: PublicKey | None
    card: CardFile | None
    audit: AuditFile | None
    files: int
    size_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def with_findings(self, more: Iterable[Finding]) -> Verification:
        """The same with what another check found."""
        return replace(self, findings=_sorted([*self.findings, *more]))


def verify(
    directory: Path, trusted: Sequence[PublicKey], *, schemas: Schemas = KNOWN, limits: Limits | None = None
) -> Verification:
    """Check signature, hashes, chain and schemas.

    Args:
        directory: of the card.
        trusted: keys whose cards count; see `medground.cards.keys.trusted_keys`.
        schemas: checks of files by path.
        limits: of what is read; the usual ones if None.

    Raises:
        InputError: there is no directory, it is too large to be a card, or it cannot be read.
    """

    def keep(path: str) -> bool:
        return path in NOT_LISTED or validator_of(path, schemas) is not None

    tree = read_tree(directory, keep, limits or Limits())
    signed, signer, found = _signature(tree, trusted)
    card, in_card = _card(tree, signed)
    listed = signed if signed is not None else _listed(card)
    if listed is not None:
        found += _differences(tree, listed, NOT_SIGNED if signed is not None else NOT_LISTED)
    found += in_card
    audit, in_audit = _audit(tree, card, signer)
    found += [*in_audit, *tree.findings]
    if signer is not None:  # what nobody trusted wrote is not parsed: it could be made to take hours
        found += _schemas(tree, schemas, {finding.file for finding in found})
    if not found:
        found += disagreements(tree.kept)
    return Verification(_sorted(found), signer, card, audit, len(tree.digests), tree.size_bytes)


def _signature(
    tree: Tree, trusted: Sequence[PublicKey]
) -> tuple[Mapping[str, str] | None, PublicKey | None, list[Finding]]:
    """The files that are signed, by whom, and what is wrong; None twice if the signature does not hold."""
    if SIGNATURE not in tree.kept:
        return None, None, [Finding(SIGNATURE, Kind.MISSING, "nobody signed this card, or the signature was removed")]
    try:
        signature = read_signature(tree.kept[SIGNATURE])
        signer = next((key for key in trusted if key.fingerprint == signature.fingerprint), None)
        if signer is None:
            return None, None, [Finding(SIGNATURE, Kind.UNTRUSTED_KEY, _untrusted(signature, trusted))]
        if not signature.holds(signer):
            raise CardError(f"it names the key {signer.name} and was not made with it: it was edited or forged")
        return signature.files(), signer, []
    except CardError as error:
        return None, None, [Finding(SIGNATURE, Kind.SIGNATURE, str(error))]


def _untrusted(signature: SignatureFile, trusted: Sequence[PublicKey]) -> str:
    names = ", ".join(key.name for key in trusted) or "nobody"
    return f"it says that it was made with the key {signature.fingerprint}, which is not trusted here; trusted: {names}"


def _card(tree: Tree, signed: Mapping[str, str] | None) -> tuple[CardFile | None, list[Finding]]:
    """What `card.json` says, and where that is not so; nothing of the latter if it is not the signed one."""
    if CARD not in tree.kept:
        return None, [Finding(CARD, Kind.MISSING, "the list of files is not there")]
    is_signed = signed is None or signed.get(CARD) == tree.digests[CARD]
    try:
        card = read_card(tree.kept[CARD])
    except CardError as error:
        return None, [Finding(CARD, Kind.SCHEMA, str(error))]
    if signed is None or not is_signed:
        return card, []
    return card, [
        Finding(finding.file, finding.kind, f"{finding.words}, by {CARD}")
        for finding in _differences(tree, card.files, NOT_LISTED)
    ]


def _listed(card: CardFile | None) -> Mapping[str, str] | None:
    return card.files if card is not None else None


def _differences(tree: Tree, wanted: Mapping[str, str], without: frozenset[str]) -> list[Finding]:
    """Where the files are not the wanted ones."""
    found = [
        Finding(path, Kind.MISSING, "it was exported, and is not there any more")
        for path in wanted.keys() - tree.digests.keys()
    ]
    for path, digest in tree.digests.items():
        if path in without:
            continue
        if path not in wanted:
            found.append(Finding(path, Kind.ADDED, "it was not exported with the card"))
        elif wanted[path] != digest:
            found.append(Finding(path, Kind.CHANGED, "it is not what it was when it was exported"))
    return found


def _audit(tree: Tree, card: CardFile | None, signer: PublicKey | None) -> tuple[AuditFile | None, list[Finding]]:
    if AUDIT not in tree.kept:
        return None, [Finding(AUDIT, Kind.MISSING, "the entry of the audit log that records the export is not there")]
    try:
        audit = read_audit_file(tree.kept[AUDIT])
    except CardError as error:
        return None, [Finding(AUDIT, Kind.CHAIN, str(error))]
    model = card.model if card is not None else None
    words = broken_links(audit, model, tree.digests.get(SIGNATURE, ""), signer)
    return audit, [Finding(AUDIT, Kind.CHAIN, sentence) for sentence in words]


def _schemas(tree: Tree, schemas: Schemas, wrong: set[str]) -> list[Finding]:
    """What schemas say of the files with which nothing else is wrong: of a changed one they would say nothing more."""
    found = []
    for path in tree.kept.keys() - NOT_LISTED - wrong:
        check = validator_of(path, schemas)
        found += [Finding(path, Kind.SCHEMA, words) for words in check(tree.kept[path])] if check else []
    return found


def _sorted(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """By file; of several that say the same of one file, the first."""
    first = {
        (finding.file, finding.kind, finding.words if finding.kind in _MANY else ""): finding
        for finding in reversed([*found])
    }
    return tuple(sorted(first.values()))


_MANY = frozenset({Kind.CHAIN, Kind.SCHEMA, Kind.NUMBER, Kind.FORM})
"""Kinds of which a file may have several."""
