"""Is a pair true? Every word of the question and of each statement is accounted for and held against the record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from medground.data.verify.answer import answer
from medground.data.verify.grammar import Grammar, Said
from medground.data.verify.truth import Truth
from medground.schema.pair import Pair, RegionStatement
from medground.schema.record import ImageRecord
from medground.schema.result import StatementKind
from medground.schema.vocabulary import Vocabulary

FaultKind = Literal["record", "not understood", "not settled", "targets", "complete", "kind", "statement"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a pair.

    Attributes:
        kind: `not understood` has a word or an order of words that is not known, `not settled` asks what the record
            does not say; the others name the part of the pair that is false.
        text: what is wrong, in a sentence.
    """

    kind: FaultKind
    text: str


class Verifier:
    """Checks pairs whose words are of one vocabulary.

    Args:
        vocabulary: what findings are named by.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._grammars = {"en": Grammar(vocabulary, "en"), "zh": Grammar(vocabulary, "zh")}
        self._narrower = {concept.key: vocabulary.descendants(concept.key) for concept in vocabulary.concepts}
        self._asked = lru_cache(maxsize=100_000)(lambda text, language: self._grammars[language].question(text))
        self._said = lru_cache(maxsize=100_000)(lambda text, language: self._grammars[language].statement(text))

    def faults(self, pair: Pair, record: ImageRecord) -> tuple[Fault, ...]:
        """What is wrong with a pair; empty where all of it is true.

        Args:
            pair: a question with its targets and statements.
            record: the image it is about.
        """
        if pair.record_id != record.record_id:
            return (Fault("record", f"the pair is about {pair.record_id!r}, the record is {record.record_id!r}"),)
        truth = Truth(record, self._vocabulary, self._narrower.__getitem__)
        return (*self._of_question(pair, truth), *self._of_statements(pair, truth))

    def _of_question(self, pair: Pair, truth: Truth) -> Iterator[Fault]:
        asked = self._asked(pair.question, pair.language)
        if isinstance(asked, str):
            yield Fault("not understood", asked)
            return
        true = answer(asked, truth)
        if isinstance(true, str):
            yield Fault("not settled", f"{pair.question!r}: {true}")
            return
        if pair.targets != true.targets:
            yield Fault("targets", f"{pair.question!r} is answered by {true.targets}, not by {pair.targets}")
        if pair.complete != true.complete:
            yield Fault("complete", f"{pair.question!r} has complete {true.complete}, not {pair.complete}")
        if pair.kind not in true.kinds:
            yield Fault("kind", f"{pair.question!r} may be {sorted(true.kinds)}, not {pair.kind.value!r}")

    def _of_statements(self, pair: Pair, truth: Truth) -> Iterator[Fault]:
        for statement in pair.statements:
            if statement.region not in pair.targets or statement.region >= len(truth.record.regions):
                yield Fault("statement", f"{statement.text!r} is about region {statement.region}, which is no target")
                continue
            said = self._said(statement.text, statement.language)
            if isinstance(said, str):
                yield Fault("not understood", said)
            elif statement.kind is not said.kind:
                yield Fault("statement", f"{statement.text!r} is of kind {said.kind.value}, not {statement.kind.value}")
            elif wrong := _untrue(said, statement, truth):
                yield Fault("statement", f"{statement.text!r}: region {statement.region} {wrong}")


def verify(pair: Pair, record: ImageRecord, vocabulary: Vocabulary) -> tuple[Fault, ...]:
    """What is wrong with one pair; for many of one vocabulary keep a `Verifier`.

    Args:
        pair: a question with its targets and statements.
        record: the image it is about.
        vocabulary: what findings are named by.

    Returns:
        The faults; empty where the pair is true in every word.
    """
    return Verifier(vocabulary).faults(pair, record)


def _untrue(said: Said, statement: RegionStatement, truth: Truth) -> str | None:
    """What a statement says falsely of its region, or None."""
    index, noun = statement.region, said.noun
    region = truth.record.regions[index]
    if region.uncertain:
        return "is doubtful"
    if said.denied:
        return "is there, so that nothing is denied of it"
    if said.kind is StatementKind.FINDING and region.concept not in truth.narrower(noun.concept):
        return f"is {region.concept}, not {noun.concept}"
    if noun.side is not None and truth.side(index) is not noun.side:
        return f"has side {truth.side(index)}, not {noun.side}"
    if noun.zone is not None and truth.zone(index) is not noun.zone:
        return f"has zone {truth.zone(index)}, not {noun.zone}"
    if noun.size is not None and truth.size(index) != noun.size:
        return f"is {truth.size(index)}, not {noun.size}"
    if said.size_mm is not None and not truth.measures(index, said.size_mm):
        return f"does not measure {said.size_mm} mm"
    if not all(truth.looks(index, look) for look in noun.looks):
        return f"looks {region.appearance}, not {noun.looks}"
    if said.number is not None:
        if not truth.is_countable(noun.concept):
            return f"cannot be counted: not every {noun.concept} is labelled once"
        if len(truth.sure(noun.concept)) != said.number:
            return f"is one of {len(truth.sure(noun.concept))}, not of {said.number}"
    return None
