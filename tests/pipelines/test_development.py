"""No image serves both to choose and to calibrate, and what is fitted follows the images to calibrate on alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medground.data.augment import AugmentConfig
from medground.data.dataset import Pool
from medground.data.sample import Held, quantise
from medground.data.splits import DEV, TRAIN
from medground.data.vocabulary import load_vocabulary
from medground.imaging.preprocess import standardise
from medground.model.bundle import Bundle
from medground.model.calibration import IDENTITY
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region
from medground.training.calibrate import ENOUGH, Reading
from medground.training.recipe import DataMix, Recipe
from pipelines.development import (
    CALIBRATE,
    CHOOSE,
    LARGE_DEVELOPMENT_PHANTOMS,
    SHARES,
    Development,
    development_of,
    divided,
    large_images,
    part_of,
    seeds_of,
)
from pipelines.fit import calibrated, development_judge, fit_bundle
from pipelines.recipes.compact import tiny
from pipelines.sources import DEVELOPMENT_SEEDS, Sources, nothing
from tests.model.shapes import CLASSES, FILM, SIDE_PX, drawn_picture, trained_bundle

PATIENTS = [f"p{number}" for number in range(24)]
PARTS = tuple(SHARES)


def film(folder: Path, name: str, patient: str, seed: int) -> ImageRecord:
    """A film of large random patches, which no other seed gives."""
    path = folder / f"{name}.png"
    patches = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(patches.repeat(16, 0).repeat(16, 1)).save(path)
    return ImageRecord(
        record_id=name,
        patient_id=patient,
        columns=128,
        rows=128,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset="made",
        part=TRAIN,  # as its publisher had it, before the development part was hashed out
        path=path,
        regions=(Region(concept="nodule", box=Box(x1=16, y1=16, x2=48, y2=48), source="made"),),
        exhaustive_for=frozenset({"nodule"}),
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Images this small are read faster by one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def films(tmp_path: Path) -> list[ImageRecord]:
    """Two of each patient."""
    return [
        film(tmp_path, f"{patient}-{view}", patient, 2 * number + view)
        for number, patient in enumerate(PATIENTS)
        for view in (0, 1)
    ]


def named(records: Sequence[ImageRecord]) -> set[str]:
    return {record.record_id for record in records}


def test_patients_are_divided_by_their_name_alone_about_six_to_four() -> None:
    many = [f"patient {number}" for number in range(5000)]
    assert sum(part_of(name) == CHOOSE for name in many) == pytest.approx(3000, abs=150)
    assert {part_of(name) for name in many} == {CHOOSE, CALIBRATE}
    assert [part_of(name) for name in ("patient 0", "patient 1", "patient 2")] == [part_of(n) for n in many[:3]]


def test_a_patient_is_in_one_part_and_a_new_one_moves_nobody(films: list[ImageRecord], tmp_path: Path) -> None:
    parts = divided(films, tmp_path / "cache")
    patients = [{record.patient_id for record in parts[part]} for part in PARTS]
    assert not patients[0] & patients[1]
    assert all(patients)
    assert named(parts[CHOOSE]) | named(parts[CALIBRATE]) == named(films)
    fewer = divided(films[2:], tmp_path / "cache")
    assert all(named(fewer[part]) == named(parts[part]) - named(films[:2]) for part in PARTS)
    assert divided((), tmp_path / "nowhere") == {CHOOSE: (), CALIBRATE: ()}
    assert not (tmp_path / "nowhere").exists()


def test_a_copy_under_another_name_is_taken_from_the_images_to_choose_by(
    films: list[ImageRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = divided(films, tmp_path / "cache")
    assert not capsys.readouterr().err
    original, other = parts[CALIBRATE][0], parts[CHOOSE][0]
    bytes_of = original.path.read_bytes() if original.path else b""
    (tmp_path / "copy.png").write_bytes(bytes_of)
    copied = other.model_copy(update={"record_id": "copy", "path": tmp_path / "copy.png"})
    with_copy = divided([*films, copied], tmp_path / "cache")
    assert original in with_copy[CALIBRATE]
    assert "copy" not in named([*with_copy[CHOOSE], *with_copy[CALIBRATE]])
    assert "copy one that curves are fitted on" in capsys.readouterr().err


def test_bodies_of_phantoms_are_in_one_part() -> None:
    for together in (1, 8):
        first, second = (set(islice(seeds_of(part, together=together), 400)) for part in PARTS)
        assert min(first | second) == DEVELOPMENT_SEEDS
        assert not {seed // together for seed in first} & {seed // together for seed in second}


def recipe_for(concepts: tuple[str, ...], size_px: int, mix: DataMix) -> Recipe:
    base = tiny()
    return base.model_copy(
        update={
            "concepts": concepts,
            "mix": mix,
            "model": base.model.model_copy(update={"image_size_px": size_px}),
            "augment": AugmentConfig(size_px=64, scale=(0.95, 1.05)),
        }
    )


def test_no_image_serves_both(films: list[ImageRecord], tmp_path: Path) -> None:
    mix = DataMix(
        phantom_radiographs=10, share_phantom=0.5, phantom_slices=4, share_slices=0.1, share_other=0.1, share_chest=0.3
    )
    recipe = recipe_for(tiny().concepts, 128, mix)
    sources = Sources({**nothing(), DEV: tuple(films)}, nothing(), nothing(), ())
    development = development_of(recipe, sources, tmp_path / "cache")
    pixels = [{held.pixels_HW.tobytes() for held in part} for part in (development.choose, development.calibrate)]
    assert not pixels[0] & pixels[1]
    assert len(pixels[0]) + len(pixels[1]) == len(development.choose) + len(development.calibrate) == 10 + 3 + 3 + 48
    sizes = development.sizes()
    assert sizes[CHOOSE]["chest radiograph, phantom"] == 6
    assert sizes[CALIBRATE]["chest radiograph, phantom"] == 4
    real = [sizes[part]["chest radiograph, real"] for part in PARTS]
    assert real == [2 * sum(part_of(patient) == part for patient in PATIENTS) for part in PARTS]
    assert named(development.films) == {r.record_id for r in films if part_of(r.patient_id) == CALIBRATE}
    again = development_of(recipe, sources, tmp_path / "cache")
    for one, other in zip(again.choose + again.calibrate, development.choose + development.calibrate, strict=True):
        assert np.array_equal(one.pixels_HW, other.pixels_HW)


def test_large_films_are_of_the_part_that_is_calibrated_on(films: list[ImageRecord], tmp_path: Path) -> None:
    calibrate = divided(films, tmp_path / "cache")[CALIBRATE]
    larger = [record.model_copy(update={"columns": 256, "rows": 256}) for record in calibrate[:3]]
    development = Development((), (), (*larger, *calibrate[3:]))
    recipe = recipe_for(tiny().concepts, 128, DataMix(close_films=0))
    assert len(list(large_images(recipe, development))) == 3
    assert LARGE_DEVELOPMENT_PHANTOMS <= 48
    made = large_images(recipe.model_copy(update={"mix": DataMix(close_films=1)}), Development((), ()))
    (phantom,) = made
    assert not phantom.real
    assert max(phantom.pixels_HW.shape) == 2048


def drawn(seed: int, shapes: str) -> Held:
    picture, boxes = drawn_picture(seed, shapes)
    return Held(
        quantise(standardise(picture)),
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        tuple(CLASSES[shape] for shape in shapes),
        frozenset(CLASSES.values()),
        DOMAINS.index(FILM),
        ((),) * len(boxes),
        False,
    )


SHAPES = ("s", "xS", "sx", "", "S", "x")


@cache
def development() -> Development:
    choose, calibrate = (
        tuple(drawn(first + number, SHAPES[number % len(SHAPES)]) for number in range(18)) for first in (5000, 6000)
    )
    return Development(choose, calibrate)


def test_a_bundle_names_what_its_weights_had_learned_from_before() -> None:
    pool = Pool("drawn", 1.0, tuple(drawn(seed, "sSx") for seed in range(12)), (1.0,) * 12)
    sources = Sources(nothing(), nothing(), nothing(), ())
    network, images = copy.deepcopy(trained_bundle().network), development()
    before = ("FracAtlas", "phantom")
    bundle, _ = fit_bundle(recipe(), network, load_vocabulary(), sources, [pool], images, before=before)
    assert bundle.info.trained_on == ("phantom", "FracAtlas")


def changed(images: tuple[Held, ...]) -> tuple[Held, ...]:
    """One of them shows something else."""
    return (drawn(9000, "SxS"), *images[1:])


def recipe() -> Recipe:
    return recipe_for(tuple(CLASSES.values()), SIDE_PX, DataMix())


def fitted(images: Development) -> tuple[Bundle, dict[str, dict[str, float]]]:
    pool = Pool("drawn", 1.0, tuple(drawn(seed, "sSx") for seed in range(12)), (1.0,) * 12)
    sources = Sources(nothing(), nothing(), nothing(), ())
    network = copy.deepcopy(trained_bundle().network)
    return fit_bundle(recipe(), network, load_vocabulary(), sources, [pool], images)


def test_curves_follow_the_images_to_calibrate_on_and_choices_the_others() -> None:
    first, tables = fitted(development())
    assert first.calibration.box[""].positives >= ENOUGH
    other_choice, other_tables = fitted(replace(development(), choose=changed(development().choose)))
    assert other_tables != tables
    assert other_choice.calibration == first.calibration
    assert torch.equal(other_choice.familiarity.distances_MR, first.familiarity.distances_MR)
    assert (other_choice.scope.query_weight, other_choice.scope.mirror) == (
        first.scope.query_weight,
        first.scope.mirror,
    )
    other_curves, same_tables = fitted(replace(development(), calibrate=changed(development().calibrate)))
    assert same_tables == tables
    assert other_curves.calibration != first.calibration
    assert not torch.equal(other_curves.familiarity.distances_MR, first.familiarity.distances_MR)


def test_stages_are_judged_by_the_images_to_choose_by() -> None:
    network, pool = trained_bundle().network, Pool("drawn", 1.0, (drawn(0, "sSx"),), (1.0,))

    def judged(images: Development) -> float:
        return development_judge(recipe(), load_vocabulary(), images, [pool])(network)

    value = judged(development())
    assert 0.3 < value < 1
    assert judged(replace(development(), calibrate=())) == value
    assert judged(replace(development(), choose=development().choose[:7])) != value


def reading(present: bool, logit: float, concept: str = "nodule") -> Reading:
    return Reading(concept, FILM, False, present, logit, (logit,), (int(present),))


def test_what_has_too_few_examples_is_named_and_has_the_curve_of_its_kind_of_image(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = np.random.default_rng(0)
    many = [reading(row % 2 == 0, float(rng.normal(2 * (row % 2 == 0)))) for row in range(4 * ENOUGH)]
    few = [reading(row % 2 == 0, float(rng.normal()), "mass") for row in range(2 * ENOUGH - 2)]
    curves = calibrated([*many, *few])
    said = capsys.readouterr().err
    assert set(curves.box) == set(curves.presence) == {"", FILM.value, f"{FILM.value}/nodule"}
    assert said.count(f"{FILM.value}/mass") == 2
    assert f"{FILM.value}/nodule" not in said
    assert curves.box_probability(1.0, "mass", FILM) == curves.box[FILM.value].probability((1.0,))


def test_with_nothing_to_calibrate_on_scores_stay_as_they_are_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert calibrated([]) == IDENTITY
    assert capsys.readouterr().err.count("raw scores stand") == 2
    calibrated([reading(True, 1.0)] * 20)
    assert capsys.readouterr().err.count("raw scores stand") == 2
    bundle, _ = fitted(replace(development(), calibrate=()))
    assert bundle.calibration == IDENTITY
    assert f"every {FILM.value} counts as unfamiliar" in capsys.readouterr().err
