from __future__ import annotations

from medground.evaluation.detection import average_precision
from medground.evaluation.scene import Scene, SceneImage, save_scene
from pipelines.campaign import SHIPPED, Arm, campaigns, first_of, pooled, report, scene_file
from pipelines.recipes import RECIPES

BOX = (0.0, 0.0, 10.0, 10.0)


def scene(system: str, fold: int | None, *, hit: bool) -> Scene:
    images = tuple(
        SceneImage(
            image_id=f"{fold}-{number}",
            patient_id=f"{fold}-{number}",
            exhaustive_for=("nodule",),
            truths=(("nodule", BOX),),
            detections=(("nodule", BOX if hit or number else (50.0, 50.0, 60.0, 60.0), 0.5),),
        )
        for number in range(3)
    )
    data = "cxr, dev part" if fold is None else f"cxr fold {fold}, valid part"
    return Scene(system=system, data=data, training_boxes={"nodule": 10 + (fold or 0)}, images=images)


def test_arms_stand_beside_each_other_with_paired_differences(tmp_path):
    arms = [Arm("one", "cxr", None, "dev"), Arm("two", "cxr", None, "dev")]
    for arm, hit in zip(arms, (False, True), strict=True):
        scene_file(arm, tmp_path).parent.mkdir()
        save_scene(scene(arm.recipe, None, hit=hit), scene_file(arm, tmp_path))
    lines = report("chest-arms", arms, tmp_path).splitlines()
    assert lines[4] == "| figure | n | one | two |"
    (row,) = [line for line in lines if line.startswith("| ap50/mean")]
    assert "1.000 [1.000, 1.000] (+" in row


def test_folds_are_measured_as_one_set(tmp_path):
    arms = [Arm("best", "cxr", fold, "valid") for fold in range(2)]
    scenes = [scene("s", fold, hit=bool(fold)) for fold in range(2)]
    together = pooled(scenes)
    assert len(together.images) == 6
    assert together.training_boxes == {"nodule": 10}
    expected = average_precision(together.truth(), together.detections("nodule"), "nodule")
    for arm, one in zip(arms, scenes, strict=True):
        scene_file(arm, tmp_path).parent.mkdir()
        save_scene(one, scene_file(arm, tmp_path))
    assert f"{expected:.3f}" in report("chest-folds", arms, tmp_path)


def test_every_campaign_has_arms_in_folders_of_their_own():
    for arms in campaigns("chest-all").values():
        assert len({arm.folder for arm in arms}) == len(arms) > 0


def test_what_arms_start_from_is_trained_first_and_once():
    arms = campaigns("chest-tuned")["chest-folds"]
    (first,) = first_of(arms)
    assert first.recipe == arms[0].start != ""
    assert first.part == ""
    assert first.recipe in RECIPES
    limb = campaigns("")["limb"]
    assert limb[0].start == SHIPPED
    assert first_of(limb) == []
