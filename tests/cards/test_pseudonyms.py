from __future__ import annotations

import numpy as np

from medground.cards.pseudonyms import LEAST_PATIENTS, image_names, kept_groups, under_pseudonyms
from medground.evaluation.scene import Scene, report_of
from medground.schema.subgroup import Axis
from tests.cards.made_cards import phantoms
from tests.cards.made_evidence import FAR, OWN, A, image

NUMBERS = [int(n) for n in np.random.default_rng(3).choice(10**8, 12, replace=False)]


def hospital() -> Scene:
    """Two films each of twelve patients, whose numbers stand in the ids of the films too."""
    images = []
    for row, number in enumerate(NUMBERS):
        for film in range(2):
            boxes = (("nodule", A if (row + film) % 3 else FAR, 0.9 - row / 40),)
            name = f"{number:08d}_{film:03d}"
            images.append(image(name, truths=(("nodule", A),), detections=boxes, patient=f"{number:08d}"))
    return Scene(system=f"a model ({OWN})", data="d", training_boxes={"nodule": 9}, images=tuple(images))


def test_figures_and_intervals_are_the_same_to_the_last_digit():
    scene = hospital()
    renamed = under_pseudonyms(scene)
    assert report_of(renamed, resamples=200) == report_of(scene, resamples=200)
    assert report_of(renamed, resamples=200).mean_ap50.low < report_of(scene, resamples=200).mean_ap50.high


def test_no_number_of_a_patient_is_left_and_films_of_one_stay_together():
    scene = hospital()
    renamed = under_pseudonyms(scene)
    text = renamed.model_dump_json()
    assert [number for number in NUMBERS if f"{number:08d}" in text] == []
    pairs = [{i.patient_id for i in renamed.images[n : n + 2]} for n in range(0, 24, 2)]
    assert [len(pair) for pair in pairs] == [1] * 12
    assert len(set.union(*pairs)) == 12
    names = image_names(scene, renamed)
    assert len(set(names.values())) == len(names) == 24


def test_the_key_is_another_each_time_and_nobody_keeps_it():
    scene = hospital()
    assert under_pseudonyms(scene) != under_pseudonyms(scene)
    assert under_pseudonyms(scene, b"k" * 32) == under_pseudonyms(scene, b"k" * 32)


def test_phantoms_keep_the_names_that_they_are_made_from():
    scene = phantoms(hospital(), 5_000_000)
    assert under_pseudonyms(scene) == scene


def test_groups_of_few_patients_are_left_out():
    """Of twelve patients five are women, seven men; two films of one of them are from elsewhere."""
    scene = hospital()

    def groups(row: int) -> dict[Axis, str]:
        sex = {Axis.SEX: "female" if row // 2 < LEAST_PATIENTS else "male"}
        return sex | ({Axis.DEVICE: "GE"} if row // 2 == 0 else {})

    grouped = tuple(i.model_copy(update={"attributes": groups(row)}) for row, i in enumerate(scene.images))
    scene = scene.model_copy(update={"images": grouped})
    kept = kept_groups(scene)
    assert kept == [{Axis.SEX: "female"}] * 10 + [{Axis.SEX: "male"}] * 14
    fewer = scene.model_copy(update={"images": grouped[2:]})
    assert kept_groups(fewer) == [{}] * 8 + [{Axis.SEX: "male"}] * 14
    assert kept_groups(phantoms(scene, 0)) == [dict(i.attributes) for i in scene.images]


def test_who_drew_a_box_is_left_out_of_films_of_people():
    scene = hospital()
    drawn = tuple(i.model_copy(update={"drawn_by": ("Jane Doe",)}) for i in scene.images)
    scene = scene.model_copy(update={"images": drawn})
    assert "Doe" in scene.model_dump_json()
    assert "Doe" not in under_pseudonyms(scene).model_dump_json()


def test_one_film_that_only_says_it_is_a_phantom_puts_all_under_pseudonyms():
    scene = hospital()
    named = tuple(i.model_copy(update={"image_id": f"phantom-{n}"}) for n, i in enumerate(scene.images))
    renamed = under_pseudonyms(scene.model_copy(update={"images": named}))
    assert not any(i.image_id.startswith("phantom-") for i in renamed.images)
    assert [number for number in NUMBERS if f"{number:08d}" in renamed.model_dump_json()] == []
