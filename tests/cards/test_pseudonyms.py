from __future__ import annotations

import numpy as np

from medground.cards.pseudonyms import image_names, under_pseudonyms
from medground.evaluation.scene import Scene, report_of
from tests.cards.made_evidence import FAR, A, image

NUMBERS = [int(n) for n in np.random.default_rng(3).choice(10**8, 12, replace=False)]


def hospital() -> Scene:
    """Two films each of twelve patients, whose numbers stand in the ids of the films too."""
    images = []
    for row, number in enumerate(NUMBERS):
        for film in range(2):
            boxes = (("nodule", A if (row + film) % 3 else FAR, 0.9 - row / 40),)
            name = f"{number:08d}_{film:03d}"
            images.append(image(name, truths=(("nodule", A),), detections=boxes, patient=f"{number:08d}"))
    return Scene(system="s", data="d", training_boxes={"nodule": 9}, images=tuple(images))


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
    scene = hospital()
    phantoms = tuple(i.model_copy(update={"image_id": f"phantom-{n}"}) for n, i in enumerate(scene.images))
    scene = scene.model_copy(update={"images": phantoms})
    assert under_pseudonyms(scene) == scene
