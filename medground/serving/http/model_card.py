"""`GET /v1/model/card`, `/v1/model/card.html`: the audited card of the model that answers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from medground.serving.http.problems import ProblemError, problems
from medground.serving.http.security import MayRead, ServiceOf
from medground.serving.model_card import CardState, ServedCard

router = APIRouter(prefix="/v1/model", tags=["model"])
_PAGE = "text/html"
# The page has neither scripts nor forms; should one ever get in, nothing runs, and nothing is fetched or sent.
_SANDBOX = {
    "Content-Security-Policy": "; ".join(
        (
            "sandbox",
            "default-src 'none'",
            "img-src data:",
            "style-src 'unsafe-inline'",
            *(f"{name} 'none'" for name in ("base-uri", "form-action", "frame-ancestors")),
        )
    )
}


class CardStanding(BaseModel):
    """What is known of the model's card."""

    state: CardState
    words: str = Field(description="the same in a sentence")
    signer: str = Field(description="name of the key that signed it; empty unless the card holds")
    fingerprint: str = Field(description="SHA-256 of that key; empty likewise")
    exported_at: str = Field(description="UTC; empty likewise")


class CardView(CardStanding):
    """The card, as `medground card verify` found it when the service started."""

    facts: dict[str, Any] | None = Field(description="`facts.json`; null unless the card holds and is of this model")


def standing_of(card: ServedCard) -> CardStanding:
    """What is told of a card wherever its model is named."""
    return CardStanding(**_standing(card))


@router.get("/card", responses=problems())
def card(service: ServiceOf, who: MayRead) -> CardView:
    """Every number and sentence of the card, whether it was verified, and whose key signed it."""
    del who
    found = service.card
    return CardView(**_standing(found), facts=None if found.facts is None else dict(found.facts))


@router.get(
    "/card.html",
    responses={200: {"content": {_PAGE: {}}, "description": "one page that needs no other file"}, **problems(404)},
    response_class=Response,
)
def page(service: ServiceOf, who: MayRead) -> Response:
    """The card for people."""
    del who
    if service.card.page is None:
        raise ProblemError(404, "no-card", f"the model answers without a verified card: {service.card.state.value}")
    return Response(service.card.page, media_type=_PAGE, headers=_SANDBOX)


def _standing(card: ServedCard) -> dict[str, Any]:
    return {
        "state": card.state,
        "words": _WORDS[card.state],
        "signer": card.signer,
        "fingerprint": card.fingerprint,
        "exported_at": card.exported_at,
    }


_WORDS = {
    CardState.VERIFIED: "the card is whole, signed with a key that is trusted here, and of this model",
    CardState.ABSENT: "there is no card: what this model can do has not been shown",
    CardState.NOT_VERIFIED: "there is a card, and it is not to be trusted; whoever runs the service knows why",
    CardState.OTHER_MODEL: "there is a card, and it is of another model",
}
"""What callers are told: paths of the machine are for its log alone."""
