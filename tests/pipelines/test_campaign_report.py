from __future__ import annotations

import json
from pathlib import Path

import pytest

from medground.evaluation.detection import average_precision
from medground.evaluation.scene import Scene, SceneImage, save_scene
from medground.schema.errors import UsageError
from medground.schema.result import Verdict
from pipelines.arms import Arm, Look
from pipelines.campaign_report import pooled, report, with_a_box

BOX, ELSEWHERE = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)


def scene(system: str, fold: int | None, *, hit: bool, normal: int = 0, by: tuple[str, ...] = ("one",)) -> Scene:
    """Three films with a nodule, found on all or all but the first, and normal ones with a false box each."""
    images = [
        SceneImage(
            image_id=f"{fold}-{number}",
            patient_id=f"{fold}-{number}",
            exhaustive_for=("nodule",),
            truths=(("nodule", BOX),),
            drawn_by=(by[number % len(by)],),
            detections=(("nodule", BOX if hit or number else ELSEWHERE, 0.5),),
            answers=(("nodule", True, Verdict.FOUND, 0.9),),
            columns=640,
            rows=480,
        )
        for number in range(3)
    ]
    images += [
        SceneImage(
            image_id=f"{fold}-normal{number}",
            patient_id=f"{fold}-normal{number}",
            exhaustive_for=("nodule",),
            truths=(),
            detections=(("nodule", ELSEWHERE, 0.6),),
            answers=(("nodule", False, Verdict.FOUND if number else Verdict.NOT_FOUND, 0.1 + number / 2),),
            columns=640,
            rows=480,
        )
        for number in range(normal)
    ]
    data = "cxr, dev part" if fold is None else f"cxr fold {fold}, valid part"
    return Scene(system=system, data=data, training_boxes={"nodule": 10 + (fold or 0)}, images=tuple(images))


def kept(out, arm: Arm, look: Look, one: Scene) -> None:
    path = arm.scene_file(look, out)
    path.parent.mkdir(exist_ok=True)
    save_scene(one, path)


def test_arms_stand_beside_each_other_with_paired_differences(tmp_path):
    look = Look("cxr", "dev")
    arms = [Arm("one", "cxr", None, (look,)), Arm("two", "cxr", None, (look,))]
    for arm, hit in zip(arms, (False, True), strict=True):
        kept(tmp_path, arm, look, scene(arm.recipe, None, hit=hit, normal=2))
    text = report("chest-arms", arms, tmp_path)
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert rows["figure"] == "| figure | n | one | two |"
    assert "1.000 [1.000, 1.000] (+" not in rows["ap50/mean"]  # two false boxes above
    assert "0.600 [" in rows["ap50/rare/nodule"].split("|")[4]  # found at ranks 3 to 5 of 5
    assert rows["false_on_normal/nodule"].count("1.000 [1.000, 1.000]") == 2
    assert "0.500 [" in rows["absent_error"]
    assert "1.000 [1.000, 1.000]" in rows["auroc/all"]
    assert rows["ece/all"].split("|")[2].strip() == "5"


def test_shares_of_one_training_are_columns_and_each_later_arm_is_compared_with_its_own(tmp_path):
    looks = tuple(Look("bccd", "dev", share=share, plain=True) for share in (0.0, 0.2))
    arms = [Arm(name, "bccd", None, looks) for name in ("five", "five-paste")]
    assert len({arm.scene_file(look, tmp_path) for arm in arms for look in looks}) == 4
    for arm in arms:
        for look in looks:
            kept(tmp_path, arm, look, scene(arm.recipe, None, hit=look.share == 0.2 or arm.recipe != "five"))
    headers = [line for line in report("five", arms, tmp_path).splitlines() if line.startswith("| figure")]
    assert headers == [
        "| figure | n | five, share 0 | five, share 0.2 | five-paste, share 0 | five-paste, share 0.2 |",
        "| figure | n | five-paste, share 0 | five-paste, share 0.2 |",
    ]
    within = report("five", arms, tmp_path).split("within five-paste")[1]
    (row,) = [line for line in within.splitlines() if line.startswith("| ap50/rare/nodule")]
    assert row.endswith("1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] (+0.000 [+0.000, +0.000]) |")


def test_each_data_set_has_a_table_of_its_own(tmp_path):
    looks = Look("cxr", "dev"), Look("phantom", "dev")
    arms = [Arm(name, "cxr", 0, looks) for name in ("base", "no-ewc")]
    for arm in arms:
        kept(tmp_path, arm, looks[0], scene(arm.recipe, 0, hit=True))
        kept(tmp_path, arm, looks[1], scene(arm.recipe, None, hit=arm.recipe == "base"))
        assert arm.scene_file(looks[1], tmp_path).name == "phantom-dev-part.scene.json.gz"  # phantoms have no folds
    text = report("ablations", arms, tmp_path)
    assert text.count("| figure | n | base | no-ewc |") == 2
    assert text.index("## cxr fold 0, valid part") < text.index("## cxr, dev part")


def test_folds_are_measured_as_one_set_and_by_source(tmp_path):
    look = Look("cxr", "valid")
    arms = [Arm("best", "cxr", fold, (look,)) for fold in range(2)]
    scenes = [scene("s", fold, hit=bool(fold), by=("one", "two")) for fold in range(2)]
    together = pooled(scenes)
    assert len(together.images) == 6
    assert together.training_boxes == {"nodule": 10}
    expected = average_precision(together.truth(), together.detections("nodule"), "nodule")
    for arm, one in zip(arms, scenes, strict=True):
        kept(tmp_path, arm, look, one)
    text = report("chest-folds", arms, tmp_path)
    assert f"{expected:.3f}" in text
    assert "### best, by source" in text
    assert text.count("| finding | one | boxes | two | boxes |") == 1  # of the folds together


def test_one_arm_is_told_whole_and_without_the_normal_films(tmp_path):
    look = Look("fracatlas", "valid")
    arm = Arm("limb-tuned", "fracatlas", None, (look,))
    whole = scene("s", None, hit=True, normal=2)
    kept(tmp_path, arm, look, whole)
    text = report("limb", [arm], tmp_path)
    assert "5 images of 5 patients" in text
    only = text.split("images with a box")[1]
    assert "3 images of 3 patients" in only
    assert "| ap50/small | 3 | 1.000 [1.000, 1.000] |" in only
    assert "false_on_normal" in text.split("images with a box")[0]
    assert "false_on_normal" not in only
    assert [image.image_id for image in with_a_box(whole).images] == [i.image_id for i in whole.images[:3]]
    kept(tmp_path, arm, look, scene("s", None, hit=True))
    assert "images with a box" not in report("limb", [arm], tmp_path)


def peer(folder, name: str, one: Scene) -> Path:
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps({"peer": name}), encoding="utf-8")
    save_scene(one, folder / "valid.scene.json.gz")
    return folder


def test_peers_of_the_same_images_are_the_last_columns_their_folds_together(tmp_path):
    look = Look("cxr", "valid")
    arms = [Arm("best", "cxr", fold, (look,)) for fold in range(2)]
    for fold, arm in enumerate(arms):
        kept(tmp_path, arm, look, scene("s", fold, hit=True, by=("one", "two")))
    peers = [peer(tmp_path / f"conv{k}", "conv", scene("c", k, hit=False, by=("one", "two"))) for k in range(2)]
    save_scene(scene("c", 7, hit=True), tmp_path / "conv0" / "dev.scene.json.gz")  # measured elsewhere too
    text = report("chest-folds", arms, tmp_path, peers)
    assert "| figure | n | best | conv |" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| ap50/mean")]
    ours, theirs = row.split("|")[3:5]
    assert ours.strip() == "1.000 [1.000, 1.000]"
    assert "(-" in theirs
    assert "### conv, by source" in text


def test_a_peer_of_other_images_or_of_some_twice_is_refused(tmp_path):
    look = Look("cxr", "valid")
    arms = [Arm("best", "cxr", fold, (look,)) for fold in range(2)]
    for fold, arm in enumerate(arms):
        kept(tmp_path, arm, look, scene("s", fold, hit=True))
    one = peer(tmp_path / "one", "conv", scene("c", 0, hit=False))
    again = peer(tmp_path / "again", "conv", scene("c", 0, hit=True))
    with pytest.raises(UsageError, match="conv was measured on other images"):
        report("chest-folds", arms, tmp_path, [one])  # a fold is missing
    with pytest.raises(UsageError, match="two folders of conv"):
        report("chest-folds", arms, tmp_path, [one, again])


def test_a_peer_that_is_not_done_is_named(tmp_path):
    look = Look("cxr", "valid")
    arm = Arm("best", "cxr", None, (look,))
    kept(tmp_path, arm, look, scene("s", None, hit=True))
    folder = peer(tmp_path / "conv", "conv", scene("c", None, hit=True))
    (folder / "valid.scene.json.gz").unlink()
    with pytest.raises(UsageError, match=r"conv holds no scene"):
        report("limb", [arm], tmp_path, [folder])
    (folder / "plan.json").unlink()
    with pytest.raises(UsageError, match=r"no plan\.json"):
        report("limb", [arm], tmp_path, [folder])
