"""Sentences about answers and faults: what stands in them is what the service said."""

from __future__ import annotations

import pytest

from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.schema.errors import UsageError
from medground.schema.result import Origin, Verdict
from medground.viewer.words import ORIGINS, VERDICTS, fault_words, grounds_words, names_of
from tests.viewer.made import answer, model, trained

LEARNED = trained("nodule", "chest CT", 100)


def test_every_verdict_and_origin_has_words() -> None:
    assert set(VERDICTS) == set(Verdict)
    assert set(ORIGINS) == set(Origin)
    assert len(set(VERDICTS.values())) == len(Verdict)
    assert len(set(ORIGINS.values())) == len(Origin)


def test_what_a_verdict_rests_on() -> None:
    words = grounds_words(answer("q", verdict=Verdict.UNCERTAIN, presence=0.456), model(LEARNED))
    assert words == ("Probability 0.46 that it is there (calibrated). Found from 0.70 on, not found up to 0.20.")
    assert grounds_words(answer("q", presence=0.0), model(LEARNED)).startswith("Probability 0.00 ")


def test_unsupported_is_never_taken_for_not_found() -> None:
    assert VERDICTS[Verdict.UNSUPPORTED] == "Unsupported: the model cannot answer this"
    assert grounds_words(answer("q", verdict=Verdict.UNSUPPORTED, presence=None), model(LEARNED)) == ""


def test_names_are_the_first_english_ones() -> None:
    names = {"nodule": {"en": ("nodule", "pulmonary nodule"), "zh": ("结节",)}}
    assert names_of(model(LEARNED, names=names)) == {"nodule": "nodule"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ServiceUnreachableError("ConnectError"), "The service does not answer. Nothing that was saved is lost."),
        (ServiceError(401, "not-authenticated", "no"), "Your token has ended or was taken back. Sign out"),
        (ServiceError(403, "forbidden", "this needs the scope sign"), "You may not do this: this needs the scope sign"),
        (ServiceError(404, "not-found", "there is no such study"), "there is no such study"),
        (ServiceError(429, "quota", "x"), "That was too much at once. Wait a minute"),
        (ServiceError(500, "internal", "a fault"), "The service has a fault of its own (a fault). Try again"),
        (ServiceError(503, "unavailable", "full"), "The service has a fault of its own (full)."),
        (UsageError("there is no file to send"), "there is no file to send"),
    ],
)
def test_what_went_wrong_and_what_to_do(error: ServiceError, words: str) -> None:
    assert fault_words(error).startswith(words)
