from __future__ import annotations

import pytest
from pydantic import ValidationError

from medground.evaluation.scene import Scene, SceneImage, report_of
from pipelines.by_source import by_source_table, of_source, sources_of

TRUE, FALSE = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)


def film(name: str, *, by: tuple[str, ...], found: bool, all_labelled: bool = True) -> SceneImage:
    box = TRUE if found else FALSE
    return SceneImage(
        image_id=name,
        patient_id=name,
        exhaustive_for=("nodule",) if all_labelled else (),
        truths=tuple(("nodule", TRUE) for _ in by),
        drawn_by=by,
        detections=(("nodule", box, 0.8 if found else 0.9),),
    )


def scene(*images: SceneImage) -> Scene:
    return Scene(system="s", data="films", training_boxes={"nodule": 9, "mass": 9}, images=images)


def test_each_source_is_measured_on_its_own_films_and_on_those_nobody_marked():
    seen = scene(film("a", by=("one",), found=True), film("b", by=("two",), found=False), film("c", by=(), found=False))
    assert sources_of(seen) == ["one", "two"]
    one, two = (report_of(of_source(seen, source), resamples=20).concepts for source in ("one", "two"))
    by_name = {row.concept: row for row in one}
    assert by_name["nodule"].ap50.value == pytest.approx(0.5)  # surer of the false box on the normal film
    assert by_name["nodule"].ap50.n_boxes == 1
    assert {row.concept: row for row in two}["nodule"].ap50.value == 0.0
    table = by_source_table(seen, resamples=20)
    assert "| nodule | 0.500 [" in table
    assert "| mass | - | 0 | - | 0 |" in table


def test_a_film_that_two_sources_marked_is_measured_by_neither():
    seen = scene(film("a", by=("one", "two"), found=True), film("b", by=("one",), found=True))
    kept = of_source(seen, "one")
    assert [len(image.truths) for image in kept.images] == [0, 1]
    assert kept.images[0].exhaustive_for == ()
    assert report_of(kept, resamples=20).concepts[1].ap50.value == pytest.approx(1.0)


def test_one_source_needs_no_table():
    assert by_source_table(scene(film("a", by=("one",), found=True))) == ""
    with pytest.raises(ValidationError, match="needs a source for each of its 1 truths or none, got 2"):
        SceneImage.model_validate({**film("a", by=("one",), found=True).model_dump(), "drawn_by": ("one", "two")})
