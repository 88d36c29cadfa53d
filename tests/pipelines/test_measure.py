from __future__ import annotations

import numpy as np
import pytest

from medground.data.splits import DEV, VALID
from medground.evaluation.scene import Scene, load_scene, report_of
from medground.model.bundle_write import save_bundle
from medground.model.grounder import Grounder
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from medground.schema.result import Verdict
from pipelines.measure import file_stem, label, main, measure, part_of, phantom_records
from pipelines.scenes import figures_of
from pipelines.sources import CHEST, HELD_OUT_SEEDS, TUNING_SEEDS, Sources, nothing
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


@pytest.fixture
def records(tmp_path):
    """Two films with a nodule, two that are known to have none, one of which nothing is known."""
    discs = [("nodule", 60, 90, 12)]
    made = [disc_record(tmp_path, f"r{n}", discs if n < 2 else [], size=300, domain=FILM) for n in range(4)]
    return [*made, disc_record(tmp_path, "r4", [], size=300, domain=FILM, exhaustive_for=frozenset())]


def test_findings_known_to_be_there_or_not_are_answered_from_the_same_reading(records):
    grounder = Grounder(trained_bundle())
    scene = measure(grounder, records, system="s", data="made")
    concepts = set(scene.training_boxes)
    answers = [{concept: (there, verdict, p) for concept, there, verdict, p in i.answers} for i in scene.images]
    assert [set(own) for own in answers] == [concepts] * 4 + [set()]  # nothing is known of the last
    assert [own["nodule"][0] for own in answers[:4]] == [True, True, False, False]
    scope, calibration = grounder.scope, grounder.bundle.calibration
    for image, own in zip(scene.images, answers, strict=True):
        for concept, (_, verdict, presence) in own.items():
            found = [score for c, _, score in image.detections if c == concept]
            best = max([calibration.box_probability(np.log(s / (1 - s)), concept, FILM) for s in found], default=0.0)
            assert presence >= best - 1e-6
            expected = Verdict.UNCERTAIN
            if presence <= scope.not_found_threshold:
                expected = Verdict.NOT_FOUND
            elif presence >= scope.found_threshold and best >= scope.default_min_score:
                expected = Verdict.FOUND
            assert verdict == expected
    verdicts = report_of(scene, resamples=20).verdicts
    assert verdicts.present.total == 2
    assert verdicts.absent.total == 4 * len(concepts) - 2
    names = {figure.name for figure in figures_of(scene, resamples=20)}
    assert {"absent_error", "ece/all", "auroc/all", "ece/nodule", "auroc/nodule"} <= names


def test_boxes_are_the_same_without_answers(records):
    grounder = Grounder(trained_bundle())
    scene = measure(grounder, records, system="s", data="made")
    plain = measure(grounder, records, system="s", data="made", answered=False)
    assert [image.answers for image in plain.images] == [()] * 5
    assert [image.detections for image in plain.images] == [image.detections for image in scene.images]
    assert "absent_error" not in {figure.name for figure in figures_of(plain, resamples=20)}


def test_phantoms_are_of_seeds_of_their_own_and_known_for_phantoms(tmp_path):
    for part, first in ((DEV, TUNING_SEEDS), (VALID, HELD_OUT_SEEDS)):
        films = phantom_records(part, 2, tmp_path)
        assert [film.record_id for film in films] == [f"phantom-{first + n}" for n in range(2)]
        assert all(film.path.is_file() for film in films)
    scene = measure(Grounder(trained_bundle(10)), films, system="s", data="phantoms")
    assert scene.is_synthetic
    assert len({image.image_id for image in scene.images}) == 2


def test_files_are_called_by_what_was_measured_and_by_a_share_that_was_forced():
    assert file_stem("cxr fold 3, dev part") == "cxr-fold-3-dev-part"
    stems = [file_stem("bccd, dev part", share) for share in (None, 0.0, 0.2, 0.4, 0.5)]
    assert stems == ["bccd-dev-part", *(f"bccd-dev-part-share-{percent}" for percent in (0, 20, 40, 50))]
    assert not any("." in stem for stem in stems)  # the rest would be taken for an ending


def test_a_share_is_forced_without_another_bundle(tmp_path):
    save_bundle(trained_bundle(), tmp_path / "bundle")
    common = ["--bundle", str(tmp_path / "bundle"), "--set", "phantom", "--count", "2", "--out", str(tmp_path)]

    def scene(*more: str) -> Scene:
        share = more[1] if more else None
        assert main([*common, "--threads", "1", *more]) == 0
        return load_scene(tmp_path / f"{file_stem('phantom, dev part', share and float(share))}.scene.json.gz")

    own, none, half = scene(), scene("--share", "0"), scene("--share", "0.5")
    assert own.data == none.data == half.data == "phantom, dev part"
    assert (none.system, half.system) == tuple(f"{own.system}, prototypes' share {share}" for share in ("0", "0.5"))
    assert [i.detections for i in none.images] != [i.detections for i in half.images]
    assert all(image.answers for image in own.images)
    assert not any(image.answers for one in (none, half) for image in one.images)
    assert main([*common, "--count", "0"]) == 2
    assert main([*common, "--share", "1.5"]) == 2
