from __future__ import annotations

import pytest

from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Looking, Request
from medground.inference.scene import every_box, measure, phantom_cases
from medground.model.grounder import load_grounder
from medground.schema.anatomy import Domain
from medground.schema.subgroup import Axis

SEED = 5_000_002  # a film without tubes


@pytest.mark.slow
@pytest.mark.parametrize("looking", list(Looking))
def test_every_box_holds_what_the_answers_show(tmp_path, looking):
    grounder = load_grounder(device="cpu")
    (case,) = phantom_cases([SEED], tmp_path)
    queries = ("is there a nodule?", "pleural effusion")
    shown = ground(gather([case.path]), Request(queries, looking=looking), grounder).result.studies[0]
    boxes = every_box(case.path, queries, grounder, looking)
    assert {concept for concept, _, _ in boxes} == {"nodule", "pleural_effusion"}
    for answer in shown.answers:
        for finding in answer.findings:
            assert (finding.concept.key, finding.box_xyxy_px, finding.score) in boxes


@pytest.mark.slow
def test_a_film_is_asked_for_every_trained_finding_and_keeps_its_groups(tmp_path):
    grounder = load_grounder(device="cpu")
    noted: list[str] = []
    scene = measure(
        phantom_cases([SEED], tmp_path),
        grounder,
        Domain.CHEST_RADIOGRAPH,
        system="s",
        data="one phantom",
        looking=Looking.ONCE,
        note=noted.append,
    )
    (image,) = scene.images
    trained = {t.concept for t in grounder.scope.trained if t.domain == Domain.CHEST_RADIOGRAPH}
    assert set(scene.training_boxes) == {concept for concept, _, _ in image.detections} == trained
    assert (scene.is_synthetic, image.image_id, noted) == (True, f"phantom-{SEED}", [])
    assert image.attributes[Axis.IN_PICTURE] == "no tubes or devices"
    assert {answer[0] for answer in image.answers} == trained & set(image.exhaustive_for)
    assert scene.threads is not None
