"""The gate of the registry: whether a model may take the place of the current one, by stated rules and with figures.

A pure function of two cards and their evidence. Every figure is computed here from predictions and truth; what the
cards say of them is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from medground.cards.comparison import (
    Compared,
    compared_ap50,
    compared_ece,
    compared_found,
    unrated,
    why_other_images,
)
from medground.cards.evidence import Evidence
from medground.cards.measured import ON_A_CARD, Resampling
from medground.cards.rounding import shown
from medground.cards.untouched import untouched_of, why_leaks_unknown, why_not_counted
from medground.cards.verify import Verification
from medground.evaluation.bootstrap import Interval
from medground.evaluation.scene import Scene
from medground.model.scope import Scope
from medground.schema.config import StrictConfig


class Rule(StrEnum):
    """What a model must meet."""

    CARD = "card"
    """Its card is whole, and signed with a key that is trusted here."""
    BUNDLE = "bundle"
    """The card is of the bundle that is to be promoted."""
    UNTOUCHED = "untouched"
    """It was measured on a part that nobody trained or tuned by."""
    PREDECESSOR = "predecessor"
    """The card of the current model is there and holds, so that there is something to compare with."""
    IMAGES = "images"
    """Every untouched part of the current model was measured with both, on the same images."""
    MEAN = "mean"
    """Mean AP50 is not lower than the current one's, beyond its interval."""
    RARE = "rare"
    """Nor is AP50 of any rare finding."""
    CLASSES = "classes"
    """No finding that the current model answers about is lost."""
    ANSWERS = "answers"
    """What is there is answered `found` as often, and what is not there no more often, beyond its interval."""
    CALIBRATION = "calibration"
    """Every probability that the current model stated is stated, and their error is not higher, beyond its interval."""


class Ruling(StrictConfig):
    """What one rule says of a candidate.

    Attributes:
        rule: which; one may speak several times, of each part and each finding.
        passed: whether it is met.
        words: why, with the figures.
    """

    rule: Rule
    passed: bool
    words: str


class Decision(StrictConfig):
    """What the gate decides, and why.

    Attributes:
        promoted: whether every rule is met.
        rules: what each of them says.
    """

    promoted: bool
    rules: tuple[Ruling, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The words of the rules that are not met."""
        return tuple(ruling.words for ruling in self.rules if not ruling.passed)

    @property
    def broken(self) -> tuple[Rule, ...]:
        """The rules that are not met, each once."""
        return tuple(rule for rule in Rule if any(r.rule is rule and not r.passed for r in self.rules))


@dataclass(frozen=True, slots=True)
class Carded:
    """A model with its card.

    Attributes:
        sha256: of the bundle.
        verification: of the card; None if there is no card.
        evidence: of the card; None if the card does not hold: then nothing of it is read.
    """

    sha256: str
    verification: Verification | None
    evidence: Evidence | None


def decide(candidate: Carded, current: Carded | None, how: Resampling = ON_A_CARD) -> Decision:
    """Whether a candidate may take the place of the current model.

    Args:
        candidate: that would.
        current: that is there; None if there is none yet.
        how: intervals are made; a gate has the default.

    Returns:
        The decision, with what each rule says. Where a rule that others rest on is not met, those say nothing.
    """
    rules = [*_own_rules(candidate)]
    if current is None:
        words = "there is no current model, so nothing is compared"
        rules.append(Ruling(rule=Rule.PREDECESSOR, passed=True, words=words))
    elif candidate.evidence is not None:
        rules += _compared_rules(candidate.evidence, current, how)
    return Decision(promoted=all(ruling.passed for ruling in rules), rules=tuple(rules))


def _own_rules(candidate: Carded) -> Iterator[Ruling]:
    broken = why_not_whole(candidate.verification)
    yield Ruling(rule=Rule.CARD, passed=not broken, words=broken or _signed_by(candidate.verification))
    if broken or candidate.evidence is None:
        return
    other = why_other_bundle(candidate)
    short = candidate.sha256[:12]
    yield Ruling(rule=Rule.BUNDLE, passed=not other, words=other or f"card and evidence are of the bundle {short}")
    yield _untouched(candidate.evidence)


def _untouched(evidence: Evidence) -> Ruling:
    leaks = [
        f"the data card of {card.key} has {card.leak_check.leaks} images in two parts"
        for card in evidence.data_cards
        if card.leak_check and card.leak_check.leaks
    ]
    leaks += filter(None, [why_leaks_unknown(evidence)])
    parts = untouched_of(evidence)
    measured = [_part_words(part, scene) for part, scene in parts.items()] or [_none_counts(evidence)]
    return Ruling(rule=Rule.UNTOUCHED, passed=bool(parts) and not leaks, words="; ".join([*leaks, *measured]))


def why_not_whole(verification: Verification | None) -> str:
    """Why a card counts for nothing; empty if it counts.

    Args:
        verification: of it; None if there is no card.
    """
    if verification is None:
        return "there is no card"
    if verification.findings:
        first, n = verification.findings[0], len(verification.findings)
        more = f", and {n - 1} more" if n > 1 else ""
        return f"the card is not to be trusted: {first.file}: {first.words}{more}"
    return "" if verification.signer and verification.card else "nobody who is trusted here signed the card"


def why_other_bundle(model: Carded) -> str:
    """Why a card is not of its bundle; empty if it is.

    Args:
        model: whose card holds.
    """
    card = model.verification.card if model.verification else None
    stated = {
        "card.json": card.model.sha256 if card else None,
        "evidence": model.evidence.manifest_sha256 if model.evidence else None,
    }
    for where, sha256 in stated.items():
        if sha256 != model.sha256:
            return f"{where} is of the bundle {(sha256 or 'none')[:12]}, and this one is {model.sha256[:12]}"
    return ""


def _signed_by(verification: Verification | None) -> str:
    if verification is None or verification.signer is None:
        raise RuntimeError("a card that holds has a signer")
    return f"whole, signed with the key {verification.signer.name} ({verification.signer.fingerprint[:16]})"


def _part_words(part: str, scene: Scene) -> str:
    images = shown(len(scene.images))
    if scene.is_synthetic:
        return f"{part}: {scene.data}, {images} phantoms"
    patients = shown(len({image.patient_id for image in scene.images}))
    return f"{part}: {scene.data}, {images} images of {patients} patients as far as the source tells them apart"


def _none_counts(evidence: Evidence) -> str:
    why = [f"{part} {why_not_counted(scene, evidence)}" for part, scene in evidence.scenes.items()]
    return f"no untouched part was measured: {'; '.join(why)}" if why else "nothing was measured"


def _compared_rules(candidate: Evidence, current: Carded, how: Resampling) -> Iterator[Ruling]:
    broken = why_not_whole(current.verification) or why_other_bundle(current)
    if broken or current.evidence is None:
        words = f"of the current model {current.sha256[:12]} there is nothing to compare with: {broken}"
        yield Ruling(rule=Rule.PREDECESSOR, passed=False, words=words)
        return
    words = f"the card of the current model {current.sha256[:12]} holds"
    yield Ruling(rule=Rule.PREDECESSOR, passed=True, words=words)
    names = {**candidate.names(), **current.evidence.names()}
    yield _classes(candidate.scope, current.evidence.scope, names)
    ours, theirs = untouched_of(candidate), untouched_of(current.evidence)
    if not theirs:
        words = "the current model was measured on no untouched part: measure it again, and export its card anew"
        yield Ruling(rule=Rule.IMAGES, passed=False, words=words)
    for part, scene in theirs.items():
        other = "it is not on the card of the candidate" if part not in ours else why_other_images(scene, ours[part])
        if other:
            words = f"{part} cannot be compared: {other}; measure both on the same images"
            yield Ruling(rule=Rule.IMAGES, passed=False, words=words)
            continue
        words = f"{part}: the same {shown(len(scene.images))} images"
        yield Ruling(rule=Rule.IMAGES, passed=True, words=words)
        yield from _part_rules(part, scene, ours[part], names, how)


def _part_rules(
    part: str, current: Scene, candidate: Scene, names: Mapping[str, str], how: Resampling
) -> Iterator[Ruling]:
    there = {concept for image in current.images for concept, _ in image.truths}
    measured = [concept for concept in current.rarest_first() if concept in there]
    rare = [concept for concept in measured if concept in {*current.rare(), *candidate.rare()}]
    yield _precision(Rule.MEAN, f"{part}, mean AP50", compared_ap50(current, candidate, measured, how))
    for concept in rare:
        name = f"{part}, AP50 of {names.get(concept, concept)}"
        yield _precision(Rule.RARE, name, compared_ap50(current, candidate, [concept], how))
    if not rare:
        yield Ruling(rule=Rule.RARE, passed=True, words=f"{part}: no rare finding is on these images")
    yield from _answers(part, current, candidate, how)
    yield _calibration(part, current, candidate, how)


def _precision(rule: Rule, name: str, figures: Compared | None) -> Ruling:
    if figures is None:
        return Ruling(rule=rule, passed=True, words=f"{name}: no box of it is on these images")
    return Ruling(rule=rule, passed=not figures.is_lower, words=f"{name}: {_figures(figures, 'boxes')}")


def _answers(part: str, current: Scene, candidate: Scene, how: Resampling) -> Iterator[Ruling]:
    for present, of in ((True, "there"), (False, "not there")):
        name = f'{part}, share answered "found" of what is {of}'
        figures = compared_found(current, candidate, present=present, how=how)
        if figures is None:
            yield Ruling(rule=Rule.ANSWERS, passed=True, words=f"{name}: the current one was asked nothing")
            continue
        worse = figures.is_lower if present else figures.is_higher
        yield Ruling(rule=Rule.ANSWERS, passed=not worse, words=f"{name}: {_figures(figures, 'questions')}")


def _calibration(part: str, current: Scene, candidate: Scene, how: Resampling) -> Ruling:
    name = f"{part}, calibration error"
    figures = compared_ece(current, candidate, how)
    missing, rated = unrated(current, candidate)
    if missing or figures is None:
        words = f"no probability for {shown(missing)} of {shown(rated)} questions that the current one stated one for"
        return Ruling(rule=Rule.CALIBRATION, passed=not missing, words=f"{name}: {words}")
    words = f"{name}: {_figures(figures, 'questions')}"
    return Ruling(rule=Rule.CALIBRATION, passed=not figures.is_higher, words=words)


def _classes(candidate: Scope, current: Scope, names: Mapping[str, str]) -> Ruling:
    answered = {(trained.domain, trained.concept) for trained in candidate.trained}
    lost = [t for t in current.trained if (t.domain, t.concept) not in answered]
    if lost:
        words = f"no longer answered: {_listed([f'{names.get(t.concept, t.concept)} on {t.domain}s' for t in lost])}"
        return Ruling(rule=Rule.CLASSES, passed=False, words=words)
    new = len(candidate.trained) - len(current.trained)
    return Ruling(
        rule=Rule.CLASSES,
        passed=True,
        words=f"all {len(current.trained)} findings by kind of image are answered, {new} more than before",
    )


def _figures(figures: Compared, of: str) -> str:
    return (
        f"{shown(figures.candidate.value)}, the current one {_interval(figures.current)}, "
        f"difference {_interval(figures.difference)}; n = {shown(figures.n)} {of} on {shown(figures.images)} images"
    )


def _interval(one: Interval) -> str:
    return f"{shown(one.value)} [{shown(one.low)}, {shown(one.high)}]"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
