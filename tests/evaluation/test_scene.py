from __future__ import annotations

import gzip

import pytest
from pydantic import ValidationError

from medground.evaluation.scene import (
    ENDING,
    MOST_THREADS,
    Scene,
    SceneImage,
    load_scene,
    report_of,
    save_scene,
    unpacked,
)
from medground.schema.errors import UsageError
from medground.schema.subgroup import Axis
from tests.evaluation.made_scene import BOXES, made
from tests.full_disk import no_file_longer_than


def test_a_scene_survives_its_file_and_gives_the_report_it_came_from(tmp_path):
    first = made(real_boxes={"nodule": 20, "cavity": 0})
    path = tmp_path / f"chest{ENDING}"
    save_scene(first, path)
    again = load_scene(path)
    assert again == first
    assert report_of(again, resamples=20) == report_of(first, resamples=20)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UsageError, match="is no readable scene"):
        load_scene(path)


def test_a_full_disk_is_an_error_and_leaves_the_scene_before(tmp_path):
    path = tmp_path / f"chest{ENDING}"
    save_scene(made(), path)
    size = path.stat().st_size
    other = made(real_boxes={"nodule": 20, "cavity": 0})
    for limit in (0, size // 2):
        with no_file_longer_than(limit), pytest.raises(UsageError, match=r"cannot be written .*make room"):
            save_scene(other, path)
        assert load_scene(path) == made()
        assert [found.name for found in tmp_path.iterdir()] == [path.name]
    save_scene(other, path)
    assert load_scene(path) == other


@pytest.mark.parametrize("threads", [0, MOST_THREADS + 1, 10**30])
def test_a_number_of_threads_that_no_processor_has_is_refused(threads):
    told = made().model_dump(mode="json")
    assert Scene.model_validate({**told, "threads": MOST_THREADS}).threads == MOST_THREADS
    with pytest.raises(ValidationError, match="threads"):
        Scene.model_validate({**told, "threads": threads})


def test_no_more_is_unpacked_than_a_scene_has(tmp_path, monkeypatch):
    save_scene(made(), tmp_path / "one")
    size = len(gzip.decompress((tmp_path / "one").read_bytes()))
    monkeypatch.setattr("medground.evaluation.scene.MOST_BYTES", size)
    assert load_scene(tmp_path / "one") == made()
    monkeypatch.setattr("medground.evaluation.scene.MOST_BYTES", size - 1)
    with pytest.raises(UsageError, match="too large"):
        load_scene(tmp_path / "one")
    for content, words in ((b"no gzip", "no gzip"), (gzip.compress(b"{}") + b"x", "followed by something")):
        with pytest.raises(ValueError, match=words):
            unpacked(content, 100)


def test_a_file_from_before_real_boxes_and_image_sizes_is_read():
    told = made().model_dump(mode="json")
    del told["real_boxes"]
    for image in told["images"]:
        del image["columns"], image["rows"]
    old = Scene.model_validate(told)
    assert old.rarity() == BOXES
    assert old.rare() == ["cavity"]
    assert {image.columns_rows_px for image in old.truth()} == {None}


def test_a_file_from_before_groups_and_threads_is_read_and_new_ones_keep_them(tmp_path):
    told = made().model_dump(mode="json")
    del told["threads"]
    for image in told["images"]:
        del image["attributes"]
    old = Scene.model_validate(told)
    assert old == made()
    assert ({image.attributes.get(Axis.VIEW) for image in old.images}, old.threads) == ({None}, None)
    told["images"][0]["attributes"] = {"view": "lateral", "age_band": "under 18"}
    new = Scene.model_validate({**told, "threads": 2})
    save_scene(new, tmp_path / f"chest{ENDING}")
    assert load_scene(tmp_path / f"chest{ENDING}").images[0].attributes == {
        Axis.VIEW: "lateral",
        Axis.AGE_BAND: "under 18",
    }
    told["images"][0]["attributes"] = {"patient_name": "x"}
    with pytest.raises(ValidationError, match="attributes"):
        Scene.model_validate(told)


def test_equal_scenes_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        save_scene(made(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert Scene.model_validate_json(gzip.decompress((tmp_path / "one").read_bytes())) == made()


def test_phantoms_are_known_by_their_ids():
    scene = made()

    def is_synthetic(**names: str) -> bool:
        """Of the scene with every image under these names; `#` becomes the number of the image."""
        images = (
            i.model_copy(update={key: name.replace("#", str(row)) for key, name in names.items()})
            for row, i in enumerate(scene.images)
        )
        return scene.model_copy(update={"images": tuple(images)}).is_synthetic

    assert not scene.is_synthetic
    assert is_synthetic(image_id="phantom-50#", patient_id="phantom-50#")
    assert not is_synthetic(image_id="phantom-50#")  # a film of somebody
    assert not is_synthetic(image_id="phantom-50#", patient_id="phantom-5#")
    for name in ("phantom-", "phantom-Doe", "phantom-#_000", "phantom-ct-#", "xphantom-#", "phantom-#\n", "phantom-٣#"):
        assert not is_synthetic(image_id=name, patient_id=name)
    phantoms = tuple(
        i.model_copy(update=dict.fromkeys(("image_id", "patient_id"), f"phantom-{row}"))
        for row, i in enumerate(scene.images)
    )
    assert not scene.model_copy(update={"images": (*phantoms[:-1], scene.images[-1])}).is_synthetic
    assert not scene.model_copy(update={"images": ()}).is_synthetic


def test_the_rarest_comes_first_by_real_boxes_where_they_are_known():
    scene = made(real_boxes={"nodule": 49, "cavity": 50})
    assert (scene.rarest_first(), scene.rare()) == (["nodule", "cavity"], ["nodule"])
    assert (made().rarest_first(), made().rare()) == (["cavity", "nodule"], ["cavity"])


@pytest.mark.parametrize("real", [{"nodule": 1}, {"nodule": 1, "cavity": 2, "mass": 3}])
def test_real_boxes_of_other_concepts_are_refused(real):
    with pytest.raises(ValidationError, match="only one of them has"):
        made(real_boxes=real)


@pytest.mark.parametrize("size", [{"columns": None}, {"rows": None}, {"columns": 0}])
def test_half_an_image_size_is_refused(size):
    with pytest.raises(ValidationError, match=r"columns"):
        SceneImage.model_validate(made().images[0].model_dump() | size)
