"""`GET /v1/model`: what answers here, how far it can be believed, and where its limits are."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from medground.model.scope import Scope
from medground.schema.result import ModelInfo
from medground.serving.http.model_card import CardStanding, standing_of
from medground.serving.http.problems import problems
from medground.serving.http.security import MayRead, ServiceOf

router = APIRouter(tags=["model"])
INTENDED_USE = "Research software. Not a medical device; no diagnosis rests on it without a physician."


class ConceptView(BaseModel):
    """A finding that can be asked for."""

    key: str
    names: dict[str, tuple[str, ...]]
    code_scheme: str
    code: str
    code_meaning: str


class ModelView(BaseModel):
    """The model of this service.

    Attributes:
        info: name, version, digest of the bundle, training data.
        intended_use: what it is for.
        scope: the findings and kinds of image it answers about, with the thresholds of its verdicts and how many images
            of each finding it learned from.
        concepts: the findings by name and code.
        card: whether its card was verified, and by whom it is signed.
    """

    info: ModelInfo
    intended_use: str
    scope: Scope
    concepts: tuple[ConceptView, ...]
    card: CardStanding


@router.get("/v1/model", responses=problems())
def model(service: ServiceOf, who: MayRead) -> ModelView:
    """What answers here."""
    del who
    facts = service.model
    known = {trained.concept for trained in facts.scope.trained}
    return ModelView(
        info=facts.info,
        intended_use=INTENDED_USE,
        scope=facts.scope,
        concepts=tuple(
            ConceptView(
                key=concept.key,
                names={str(language): tuple(names) for language, names in concept.names.items()},
                code_scheme=concept.code.scheme,
                code=concept.code.value,
                code_meaning=concept.code.meaning,
            )
            for concept in facts.vocabulary.concepts
            if concept.key in known
        ),
        card=standing_of(service.card),
    )
