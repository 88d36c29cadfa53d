from __future__ import annotations

import json
from pathlib import Path

import pytest

from medground.cards.collect import collect
from medground.cards.environment import code_of, environment
from medground.cards.evidence import evidence_of
from medground.cards.export import export_card
from medground.cards.recompute import Difference
from medground.cards.rerun import Rerun, apart, rerun
from medground.cards.stated import shipped_stated
from medground.evaluation.scene import ENDING, Scene, SceneImage, save_scene
from medground.inference.scene import measure, phantom_cases
from medground.model.bundle_facts import shipped_bundle_path
from medground.model.grounder import load_grounder
from medground.schema.anatomy import Domain
from medground.schema.errors import CardError
from medground.schema.subgroup import Axis
from tests.cards.made_evidence import COLLECTED_AT, OWN, image, made_evidence, packed

SEED = 5_000_002


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card of the shipped model, measured on one phantom."""
    folder = tmp_path_factory.mktemp("measured")
    grounder = load_grounder()
    system = f"{grounder.info.name} ({grounder.info.sha256[:12]})"
    scene = measure(phantom_cases([SEED], folder), grounder, Domain.CHEST_RADIOGRAPH, system=system, data="one phantom")
    save_scene(scene, folder / f"phantom{ENDING}")
    evidence = collect(
        shipped_bundle_path(),
        {"phantom": folder / f"phantom{ENDING}"},
        stated=shipped_stated(),
        environment=environment(),
        code=code_of(folder, "0.1.0", COLLECTED_AT),
    )
    export_card(evidence, folder / "card")
    return folder / "card"


@pytest.mark.slow
def test_the_same_model_says_the_same_to_the_last_digit(card):
    outcome = rerun(card, None)
    assert (outcome.images, outcome.same_kind, outcome.exact, outcome.differences) == (1, True, True, ())


@pytest.mark.slow
def test_the_model_looks_as_closely_as_it_did(card, tmp_path):
    (stated,) = evidence_of(files(card)).scenes.values()
    by_itself, edited = rerun(card, None), stated.model_copy(update={"look": "once"})
    assert by_itself.exact
    export_card(evidence_of(files(card) | {f"scenes/phantom{ENDING}": packed(edited)}), tmp_path / "card")
    outcome = rerun(tmp_path / "card", None)  # boxes of closer looks, which a look at the whole does not have
    assert (outcome.exact, len(outcome.differences) > 0) == (False, True)


@pytest.mark.slow
def test_a_box_that_the_model_did_not_say_is_found_and_noise_only_on_the_same_kind_of_machine(card, tmp_path):
    scene = Scene.model_validate(next(iter(evidence_of(files(card)).scenes.values())).model_dump(mode="json"))
    (image,) = scene.images
    concept, box, score = max(image.detections, key=lambda detection: detection[2])
    here, elsewhere = files(card), {**files(card), "environment.json": other_machine(files(card)["environment.json"])}
    noise, wrong = (*box[:3], box[3] + 0.001), (*box[:3], box[3] + 40.0)
    for change, kept, differences in ((noise, elsewhere, 0), (noise, here, 1), (wrong, here, 2)):
        boxes = tuple(
            (concept, change, s) if (c, b, s) == (concept, box, score) else (c, b, s) for c, b, s in image.detections
        )
        edited = scene.model_copy(update={"images": (image.model_copy(update={"detections": boxes}),)})
        out = tmp_path / f"card-{differences}"
        export_card(evidence_of(kept | {f"scenes/phantom{ENDING}": packed(edited)}), out)
        outcome = rerun(out, None)
        assert (outcome.exact, len(outcome.differences)) == (False, differences)
        assert outcome.same_kind == (kept is here)
        assert all(f"phantom-{SEED}" in one.about for one in outcome.differences)


def other_machine(environment: bytes) -> bytes:
    return json.dumps(json.loads(environment) | {"cpu": "none of ours"}).encode()


def reading(*boxes: tuple[float, float], presence: float | None = 0.5, **changes) -> SceneImage:
    """A phantom with a box of each left side and score."""
    detections = tuple(("nodule", (left, 0.0, left + 10.0, 10.0), score) for left, score in boxes)
    made = image("phantom-1", detections=detections, answers=(("nodule", True, "found", presence),))
    return made.model_copy(update={"patient_id": "phantom-1", **changes})


def told(old: SceneImage, new: SceneImage, *, to_the_digit: bool = False) -> list[str]:
    scene = Scene(system=f"a model ({OWN})", data="d", training_boxes={"nodule": 9}, images=(new,))
    found = apart("phantom", [old], scene, to_the_digit=to_the_digit)
    assert {one.file for one in found} <= {f"evidence/scenes/phantom{ENDING}"}
    return [f"{one.path.removeprefix('$.images[0]')}: {one.stated}" for one in found]


def test_a_box_is_the_like_of_one_alone():
    assert told(reading((0, 0.9)), reading((1, 0.905))) == []
    assert told(reading((0, 0.9), (0, 0.9)), reading((0, 0.9))) == [".detections: a box"]
    assert told(reading((0, 0.9)), reading((0, 0.9), (1, 0.9))) == [".detections: none like it"]
    # Whoever takes the nearest first leaves the last one without.
    assert told(reading((0, 0.9), (2, 0.9)), reading((1.5, 0.9), (3.5, 0.9))) == []
    assert told(reading((2, 0.9), (0, 0.9)), reading((1.5, 0.9), (3.5, 0.9))) == []


def test_boxes_that_hardly_score_are_left_out_but_may_be_a_like():
    assert told(reading((0, 0.04)), reading()) == []
    assert told(reading((0, 0.045)), reading((0, 0.052))) == []
    assert told(reading((0, 0.03)), reading((0, 0.052))) == [".detections: none like it"]
    assert told(reading((0, 0.045), (0, 0.055)), reading((0, 0.05))) == []


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [(0.5, 0.509, True), (0.5, 0.52, False), (None, None, True), (0.5, None, False), (None, 0.5, False)],
)
def test_stated_probabilities_are_compared(first, second, same):
    found = told(reading(presence=first), reading(presence=second))
    assert found == ([] if same else [".answers: one verdict or probability"])


@pytest.mark.parametrize(
    "change",
    [
        {"exhaustive_for": ("nodule",)},
        {"columns": 65},
        {"rows": 65},
        {"patient_id": "phantom-2"},
        {"truths": (("nodule", (0.0, 0.0, 1.0, 1.0)),)},
    ],
)
def test_what_is_no_reading_must_be_the_same(change):
    (words,) = told(reading(), reading(**change))
    assert words.startswith(f".{next(iter(change))}: one ")


def test_the_last_digit_counts_where_it_is_asked_for():
    old, new = reading((0, 0.9)), reading((0, 0.9000001))
    assert told(old, new) == []
    assert told(old, new, to_the_digit=True) == [": one reading"]
    assert told(old, old.model_copy(update={"attributes": {Axis.VIEW: "PA"}}), to_the_digit=True) == []


def test_the_outcome_says_what_was_shown():
    difference = Difference("$", "a", "b", "f")
    for outcome, words in (
        (
            Rerun(3, True, True, ()),
            "3 phantoms were read again on the same kind of machine: every box, score and answer",
        ),
        (
            Rerun(3, False, False, ()),
            "other packages: all that matters is the same within 0.01 of a score and 2 pixels",
        ),
        (Rerun(3, True, False, (difference,) * 2), "on the same kind of machine: 2 differences"),
    ):
        assert words in outcome.words()


def files(card: Path) -> dict[str, bytes]:
    folder = card / "evidence"
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_without_phantoms_nothing_can_be_made_again(tmp_path):
    export_card(made_evidence(), tmp_path / "card")
    with pytest.raises(CardError, match="no scene of the card is of phantoms"):
        rerun(tmp_path / "card", None)
