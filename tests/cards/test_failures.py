from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from medground.cards.failures import chosen_cases, failures_of
from medground.cards.pictures import SIDE_PX, draw_failures
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.evaluation.scene import Scene, SceneImage
from medground.imaging.overlay import COLOURS
from tests.cards.made_evidence import OWN

SIDE = 140
TRUTH, FALSE, NEAR = (10.0, 10.0, 50.0, 50.0), (80.0, 80.0, 120.0, 120.0), (30.0, 10.0, 70.0, 50.0)
CONCEPTS = ("nodule", "mass", "cavity", "fracture", "calcification", "emphysema", "atelectasis")


def scene(first: str = "phantom-") -> Scene:
    """A film a finding: the lesion is missed, and something else is boxed; on the first film the miss is near."""
    images = tuple(
        SceneImage(
            image_id=f"{first}{row}",
            patient_id=f"{first}{row}",
            exhaustive_for=CONCEPTS,
            truths=((concept, TRUTH),),
            detections=((concept, FALSE, 0.5 + row / 100), *([(concept, NEAR, 0.1)] if row == 0 else [])),
            columns=SIDE,
            rows=SIDE,
        )
        for row, concept in enumerate(CONCEPTS)
    )
    boxes = {concept: row + 1 for row, concept in enumerate(CONCEPTS)}
    return Scene(system=f"a model ({OWN})", data="phantoms", training_boxes=boxes, images=images)


def test_misses_of_the_rarest_come_first_then_the_surest_false_boxes():
    cases = chosen_cases(scene())
    assert [(case.kind, case.concept) for case in cases] == [
        *(("missed", concept) for concept in CONCEPTS[:6]),
        *(("false", concept) for concept in reversed(CONCEPTS[1:])),
    ]


def test_films_of_patients_are_never_shown():
    assert chosen_cases(scene("film-")) == []
    assert draw_failures({"films": scene("film-")}) == {}


def test_words_tell_a_box_that_does_not_fit_from_none():
    failures = failures_of({"phantom": scene()}, {"nodule": "lung nodule"}, ["01-missed-nodule.png"])
    assert (failures[0].picture, failures[0].words) == (
        "01-missed-nodule.png",
        "The nearest box does not fit this lung nodule.",
    )
    assert (failures[1].picture, failures[1].words) == (None, "No box touches this mass.")
    assert failures[6].words == "A box for atelectasis where there is none."


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    return draw_failures({"phantom": scene()})


def test_a_picture_is_the_film_with_both_boxes(pictures):
    assert len(pictures) == 12
    drawn = np.asarray(Image.open(io.BytesIO(pictures["01-missed-nodule.png"])).convert("RGB")).astype(int)
    scale = SIDE_PX / SIDE
    assert tuple(drawn[round(10 * scale) - 1, round(15 * scale)]) == COLOURS[1]  # upper edge of the truth
    assert tuple(drawn[round(30 * scale), round(70 * scale) + 1]) == COLOURS[0]  # right edge of what was boxed
    film = np.asarray(Image.fromarray(chest_radiograph(0, size_px=SIDE).pixels).resize((SIDE_PX, SIDE_PX)))
    inside = np.s_[round(90 * scale) : round(115 * scale), round(90 * scale) : round(115 * scale)]
    assert np.abs(drawn[inside].mean(axis=-1) / 255 - film[inside]).mean() < 0.02


def test_pictures_follow_from_the_seeds(pictures):
    assert draw_failures({"phantom": scene()}) == pictures
