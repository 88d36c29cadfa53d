"""Sentences for people about answers, findings and faults. Pure functions."""

from __future__ import annotations

from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.client.parts import Model
from medground.schema.errors import MedgroundError
from medground.schema.result import Answer, Origin, Verdict

RESEARCH_ONLY = "Research only, not a medical device. No diagnosis rests on it without a physician."
ORIGINS = {
    Origin.MODEL: "the model says so",
    Origin.MEASURED: "measured on the box",
    Origin.HEADER: "read in the header",
    Origin.RULE: "added by a rule",
    Origin.REVIEWER: "written by the reviewer",
}
VERDICTS = {
    Verdict.FOUND: "Found",
    Verdict.NOT_FOUND: "Not found",
    Verdict.UNCERTAIN: "Uncertain",
    Verdict.UNSUPPORTED: "Unsupported: the model cannot answer this",
}


def names_of(model: Model) -> dict[str, str]:
    """English names of the findings that a model can be asked for, by key."""
    return {one.key: one.names["en"][0] for one in model.concepts}


def grounds_words(answer: Answer, model: Model) -> str:
    """What a verdict rests on: the calibrated probability, and where the model draws its lines; empty if on nothing.

    Args:
        answer: to one question.
        model: that gave it.
    """
    if answer.presence is None:
        return ""
    lines = model.scope
    return (
        f"Probability {answer.presence:.2f} that it is there (calibrated). Found from {lines.found_threshold:.2f} on, "
        f"not found up to {lines.not_found_threshold:.2f}."
    )


def fault_words(error: MedgroundError) -> str:
    """What went wrong, and what to do."""
    if isinstance(error, ServiceUnreachableError):
        return "The service does not answer. Nothing that was saved is lost. Wait a moment, then press Try again."
    if isinstance(error, ServiceError):
        if error.status == 401:
            return "Your token has ended or was taken back. Sign out, and sign in with a new one."
        if error.status == 403:
            return f"You may not do this: {error}"
        if error.status == 429:
            return "That was too much at once. Wait a minute, then try again."
        if error.status >= 500:
            return f"The service has a fault of its own ({error}). Try again; if it stays, tell whoever runs it."
    return str(error)
