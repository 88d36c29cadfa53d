"""Targets: which findings a question asks a model to look for on one kind of image."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from medground.inference.reader import Reader
from medground.inference.understand import Question
from medground.model.reading import Phrase
from medground.schema.anatomy import Domain


def targets(question: Question, domain: Domain, reader: Reader) -> tuple[Phrase, ...]:
    """What to look for, one phrase per finding.

    A finding that the model was not trained for is replaced by the narrower ones that it was trained for, if any:
    "lung opacity" by consolidation, atelectasis, and so on. "Anything" asks for everything the model was trained for,
    and "anything but X" for all that but X and what is narrower than X.

    Args:
        question: what was asked.
        domain: kind of image.
        reader: the model.

    Returns:
        Phrases whose findings the model was trained for on that kind of image; empty where the question is unsupported.
    """
    vocabulary = reader.vocabulary
    if question.domains and domain not in question.domains:
        return ()  # a "wrist fracture" is not looked for on a chest film
    trained = [entry.concept for entry in reader.scope.trained if entry.domain == domain]
    if question.everything or question.understood.negated:
        spared = {key for concept in question.understood.concepts for key in vocabulary.descendants(concept)}
        if not question.understood.negated:
            spared = set()
        return tuple(Phrase(key, vocabulary[key].name) for key in trained if key not in spared)
    found: dict[str, Phrase] = {}
    for phrase in question.phrases:
        if phrase.concept in trained:
            found.setdefault(phrase.concept, phrase)
        else:
            below = vocabulary.descendants(phrase.concept)
            for key in trained:
                if key in below:
                    found.setdefault(key, Phrase(key, vocabulary[key].name))
    return tuple(found.values())


def untrained(question: Question, domain: Domain, reader: Reader) -> tuple[str, ...]:
    """Names of what the question asks for and the model was not trained for on that kind of image, in any form."""
    if question.everything or question.understood.negated:
        return ()
    trained = {entry.concept for entry in reader.scope.trained if entry.domain == domain}
    vocabulary = reader.vocabulary
    return tuple(
        vocabulary[key].name for key in question.understood.concepts if not trained & vocabulary.descendants(key)
    )


def phrases_of(questions: Sequence[Question], domains: Collection[Domain], reader: Reader) -> tuple[Phrase, ...]:
    """All targets of all questions on any of the kinds of image, each once, so that an image is read once."""
    return tuple(
        dict.fromkeys(
            phrase
            for question in questions
            for domain in sorted(domains)
            for phrase in targets(question, domain, reader)
        )
    )
