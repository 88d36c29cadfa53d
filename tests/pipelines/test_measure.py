from __future__ import annotations

import numpy as np
import pytest

from medground.data.splits import DEV, VALID
from medground.model.grounder import Grounder
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from pipelines.measure import label, measure, part_of
from pipelines.sources import CHEST, Sources, nothing
from tests.data.made_records import disc_record
from tests.model.shapes import FILM, trained_bundle


def test_every_image_is_read_for_every_concept_and_boxes_are_in_stored_pixels(tmp_path):
    grounder = Grounder(trained_bundle(10))
    records = [disc_record(tmp_path, f"r{n}", [("nodule", 60, 90, 12)], size=300, domain=FILM) for n in range(2)]
    scene = measure(grounder, records, system="s", data="made")
    assert [image.image_id for image in scene.images] == ["r0", "r1"]
    concepts = {t.concept for t in grounder.scope.trained if t.domain == FILM}
    assert set(scene.training_boxes) == concepts
    for image in scene.images:
        assert (image.columns, image.rows) == (300, 300)
        boxes = np.array([box for _, box, _ in image.detections])
        assert boxes.min() >= 0
        assert 64 < boxes.max() <= 300  # the model frame is 64 px
        assert {concept for concept, _, _ in image.detections} <= concepts
        scores = [score for concept, _, score in image.detections if concept == "nodule"]
        assert scores == sorted(scores, reverse=True)
    assert measure(grounder, records, system="s", data="made") == scene


def test_a_part_without_images_is_refused(tmp_path):
    record = disc_record(tmp_path, "r", [], domain=Domain.CHEST_RADIOGRAPH)
    sources = Sources({**nothing(), DEV: (record,)}, nothing(), nothing(), ())
    assert part_of(sources, CHEST, DEV) == (record,)
    with pytest.raises(UsageError, match="no images in its part valid"):
        part_of(sources, CHEST, VALID)


def test_parts_have_the_names_that_peers_give_them():
    assert label("fracatlas", None, "valid") == "fracatlas, valid part"
    assert label("cxr", 3, "valid") == "cxr fold 3, valid part"
