from __future__ import annotations

from pathlib import Path

import pytest

from medground.cards.collect import stated_data
from medground.cards.evidence import read_evidence
from medground.cards.stated import read_stated, shipped_stated
from medground.data.splits import DEV, TRAIN, VALID
from medground.evaluation.scene import ENDING, report_of, save_scene
from medground.model.bundle_facts import read_facts
from pipelines.card_evidence import _counted, main
from tests.cards.made_evidence import four_films
from tests.data.films import film


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    info = read_facts().info
    scene = four_films().model_copy(update={"system": f"{info.name} {info.version} ({info.sha256[:12]})"})
    (tmp_path / "scenes").mkdir()
    save_scene(scene, tmp_path / "scenes" / f"chest{ENDING}")
    return tmp_path / "scenes"


def test_evidence_is_collected_without_the_names_of_patients_and_films(scenes, tmp_path):
    out = tmp_path / "evidence"
    assert main(["--scenes", str(scenes), "--out", str(out), "--no-data"]) == 0
    evidence = read_evidence(out)
    scene = evidence.scenes["chest"]
    assert {i.patient_id for i in scene.images} & {f"patient-{name}" for name in "abcd"} == set()
    assert {i.image_id for i in scene.images} & set("abcd") == set()
    kept, first = report_of(scene), report_of(four_films())
    assert (kept.concepts, kept.mean_ap50, kept.verdicts) == (first.concepts, first.mean_ap50, first.verdicts)
    assert [i.attributes for i in scene.images] == [{}] * 4  # two women and two men are too few to be told apart
    assert evidence.weights.parameters > 3_000_000
    assert main(["--scenes", str(scenes), "--out", str(out), "--no-data"]) == 2  # what is there is kept


def test_scenes_of_another_model_and_no_scenes_are_refused(scenes, tmp_path, capsys):
    other = four_films().model_copy(update={"system": "a model"})
    save_scene(other, scenes / f"phantom{ENDING}")
    assert main(["--scenes", str(scenes), "--out", str(tmp_path / "evidence"), "--no-data"]) == 2
    assert "was measured with a model, not with the model" in capsys.readouterr().err
    assert main(["--scenes", str(tmp_path), "--out", str(tmp_path / "evidence"), "--no-data"]) == 2
    assert "make some by python -m pipelines evaluate" in capsys.readouterr().err
    assert not (tmp_path / "evidence").exists()


def test_parts_are_counted_only_if_they_are_those_of_the_training(tmp_path, capsys):
    films = [film(tmp_path / f"{seed}.jpg", seed, "train", patient=f"patient {seed}") for seed in range(3)]
    parts = {TRAIN: tuple(films[:2]), DEV: (), VALID: (films[2],)}
    cards = stated_data(read_stated(shipped_stated()), {"parts": {"cxr": {TRAIN: 2, DEV: 0, VALID: 1}}})
    (card,) = [card for card in cards if card.key == "cxr"]
    counted = _counted(card, parts)
    assert (counted.parts[TRAIN].images, counted.parts[TRAIN].patients) == (2, len({f.patient_id for f in films[:2]}))
    assert counted.parts[TRAIN].boxes == sum(len(f.regions) for f in films[:2])
    assert (counted.leak_check.images, counted.leak_check.leaks) == (3, 0)
    other = _counted(card, {**parts, VALID: ()})
    assert (other.leak_check, other.parts) == (None, card.parts)
    assert "parts have other sizes" in capsys.readouterr().err


def test_patients_are_not_counted_where_the_source_names_none(tmp_path):
    films = [film(tmp_path / f"{seed}.jpg", seed, "train") for seed in range(3)]
    unnamed = [one.model_copy(update={"patient_id": films[0].record_id}) for one in films]  # copies of one film
    cards = stated_data(read_stated(shipped_stated()), {"parts": {"fracatlas": {TRAIN: 3, DEV: 0, VALID: 0}}})
    (card,) = [card for card in cards if card.key == "fracatlas"]
    counted = _counted(card, {TRAIN: tuple(unnamed), DEV: (), VALID: ()})
    assert (counted.parts[TRAIN].images, counted.parts[TRAIN].patients) == (3, None)
    assert "where the source names patients" in counted.leak_check.words
    assert "by the patient's number alone" in counted.leak_check.words
