from __future__ import annotations

import pytest

from medground.inference.words import meaning
from medground.schema.anatomy import Side, Zone
from medground.schema.result import PlaceAsked, Relation, Understood, Verdict


@pytest.mark.parametrize(
    ("understood", "verdict", "words"),
    [
        (Understood(concepts=("nodule",)), Verdict.FOUND, "nodule"),
        (Understood(concepts=("pleural_effusion",), side=Side.RIGHT), Verdict.FOUND, "pleural effusion, right"),
        (
            Understood(concepts=("nodule", "mass"), side=Side.LEFT, zone=Zone.UPPER, relation=Relation.LARGEST),
            Verdict.FOUND,
            "largest nodule or mass, left, upper zone",
        ),
        (
            Understood(concepts=("nodule",), relation=Relation.MOST_MEDIAL, rank=2, attributes=("round",)),
            Verdict.FOUND,
            "second most medial round nodule",
        ),
        (Understood(concepts=("mass",), relation=Relation.LARGEST, count=2), Verdict.FOUND, "two largest mass"),
        (Understood(concepts=("nodule",), negated=True), Verdict.FOUND, "anything but nodule"),
        (
            Understood(
                concepts=("nodule", "pleural_effusion"),
                places=(
                    PlaceAsked(concept="nodule", side=Side.LEFT, zone=Zone.UPPER),
                    PlaceAsked(concept="pleural_effusion", side=Side.RIGHT),
                ),
            ),
            Verdict.FOUND,
            "nodule (left, upper zone) and pleural effusion (right)",
        ),
        (
            Understood(concepts=("nodule",), beyond_image=("newer",)),
            Verdict.UNCERTAIN,
            "nodule, not to be told from one image: newer",
        ),
        (Understood(concepts=()), Verdict.FOUND, "any finding"),
        (Understood(concepts=()), Verdict.UNSUPPORTED, "nothing known"),
    ],
)
def test_meaning(understood: Understood, verdict: Verdict, words: str) -> None:
    assert meaning(understood, verdict) == words
