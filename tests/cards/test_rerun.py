from __future__ import annotations

from pathlib import Path

import pytest

from medground.cards.collect import collect
from medground.cards.environment import code_of, environment
from medground.cards.evidence import evidence_of
from medground.cards.export import export_card
from medground.cards.rerun import rerun
from medground.cards.stated import shipped_stated
from medground.evaluation.scene import ENDING, Scene, save_scene
from medground.inference.scene import measure, phantom_cases
from medground.model.bundle_facts import shipped_bundle_path
from medground.model.grounder import load_grounder
from medground.schema.anatomy import Domain
from medground.schema.errors import CardError
from tests.cards.made_evidence import COLLECTED_AT, made_evidence, packed

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
def test_a_box_that_the_model_did_not_say_is_found_and_noise_is_none(card, tmp_path):
    scene = Scene.model_validate(next(iter(evidence_of(files(card)).scenes.values())).model_dump(mode="json"))
    (image,) = scene.images
    concept, box, score = max(image.detections, key=lambda detection: detection[2])
    for change, differences in (((*box[:3], box[3] + 0.001), 0), ((*box[:3], box[3] + 40.0), 2)):
        boxes = tuple(
            (concept, change, s) if (c, b, s) == (concept, box, score) else (c, b, s) for c, b, s in image.detections
        )
        edited = scene.model_copy(update={"images": (image.model_copy(update={"detections": boxes}),)})
        out = tmp_path / f"card-{differences}"
        export_card(evidence_of(files(card) | {f"scenes/phantom{ENDING}": packed(edited)}), out)
        outcome = rerun(out, None)
        assert (outcome.exact, len(outcome.differences)) == (False, differences)
        assert all(f"phantom-{SEED}, {concept}" in one.about for one in outcome.differences)


def files(card: Path) -> dict[str, bytes]:
    folder = card / "evidence"
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_without_phantoms_nothing_can_be_made_again(tmp_path):
    export_card(made_evidence(), tmp_path / "card")
    with pytest.raises(CardError, match="no scene of the card is of phantoms"):
        rerun(tmp_path / "card", None)
