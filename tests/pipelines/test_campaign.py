from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from medground.evaluation.scene import ENDING, load_scene, save_scene
from medground.schema.result import Verdict
from medground.tracking.runs import RunNotes, open_run
from pipelines import campaign
from pipelines.arms import FORCED, SHARES, SHIPPED, Arm, Look, campaigns, first_of
from pipelines.measure import parser as measure_parser
from pipelines.measure import stem_of
from pipelines.recipes import RECIPES
from pipelines.scenes import log_scene
from pipelines.train import RUN_NOTES
from tests.evaluation.made_scene import made
from tests.full_disk import no_file_longer_than

STANDING_IN = """
import sys
from pathlib import Path
out = Path(sys.argv[sys.argv.index("--out") + 1])
with (out / "calls.txt").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "train":
    (out / "bundle").mkdir()
"""


def test_every_campaign_has_arms_in_folders_of_their_own_and_known_recipes():
    for arms in campaigns("chest-tuned").values():
        assert len({arm.folder for arm in arms}) == len(arms) > 0
        assert {arm.recipe for arm in arms} <= set(RECIPES)
        for arm in arms:
            files = [arm.scene_file(look, Path("out")) for look in arm.looks]
            assert len(set(files)) == len(files)
            for look in arm.looks:
                own = ["--fold", str(arm.fold)] if look.name == arm.name and arm.fold is not None else []
                args = measure_parser().parse_args([*look.options(), *own])  # what a look asks for
                assert (args.name, args.part, args.share) == (look.name, look.part, look.share)
                assert arm.scene_file(look, Path("out")).name == f"{stem_of(args)}{ENDING}"


def test_the_folds_are_of_the_best_arm_unless_told_otherwise():
    assert campaign.parser().parse_args(["chest-folds"]).best == "chest-tuned"


def test_what_arms_start_from_is_trained_first_and_once():
    arms = campaigns("chest-tuned")["chest-folds"]
    (first,) = first_of(arms)
    assert first.recipe == arms[0].start != ""
    assert first.looks == ()
    assert first.recipe in RECIPES
    limb = campaigns("")["limb"]
    assert limb[0].start == SHIPPED
    assert first_of(limb) == []


def test_prototypes_are_measured_at_every_share_and_beside_the_base_of_the_ablations():
    for arm in campaigns("")["five"]:
        assert [look.share for look in arm.looks] == list(SHARES)
        assert all("--no-mirror" in look.options() for look in arm.looks)
    base, *others = campaigns("")["ablations"]
    assert [(look.name, look.share) for look in base.looks] == [("cxr", None), ("phantom", None), ("cxr", FORCED)]
    assert all(len(arm.looks) == 2 for arm in others)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs an arm, whose steps write down how they were called instead of training and measuring."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "pipelines.py").write_text(STANDING_IN)
    monkeypatch.chdir(package)  # `python -m pipelines` finds this one
    monkeypatch.setenv("PYTHONPATH", str(package))
    out = tmp_path / "out"

    def again(arm: Arm) -> list[str]:
        assert campaign.run_arm(arm, out, tmp_path / "data", tmp_path / "mlruns", 1)
        calls = out / arm.folder / "calls.txt"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return lines

    return out, again


@pytest.fixture
def logged(tmp_path):
    """Puts a scene into the run of its arm, in a store of its own."""

    def log(file: Path) -> None:
        with open_run(tmp_path / "mlruns", "medground", "base", notes=file.parent / RUN_NOTES) as run:
            log_scene(run, file.name.removesuffix(ENDING), file)

    return log


@pytest.mark.slow
def test_an_arm_is_trained_once_and_measured_where_no_whole_scene_lies_or_none_was_logged(run, logged):
    out, again = run
    looks = Look("cxr", "dev"), Look("phantom", "dev"), Look("cxr", "dev", share=0.4)
    arm = Arm("base", "cxr", 0, looks)
    train, *measured = again(arm)
    assert train.startswith("train --recipe base")
    assert "--fold 0" in train
    assert [("--fold 0" in line, "--share 0.4" in line) for line in measured] == [
        (True, False),
        (False, False),
        (True, True),
    ]
    plain = made().model_copy(update={"images": made().images[:6]})  # as before answers were kept; as forced looks are
    first, *others = plain.images
    answered = first.model_copy(update={"answers": (("nodule", True, Verdict.FOUND, 0.9),)})
    for look in looks:
        save_scene(plain, arm.scene_file(look, out))
    assert len(again(arm)) == 3
    logged(arm.scene_file(looks[2], out))
    assert len(again(arm)) == 2
    for look in looks[:2]:
        logged(arm.scene_file(look, out))
        assert len(again(arm)) == 2
        save_scene(plain.model_copy(update={"images": (answered, *others)}), arm.scene_file(look, out))
    assert len(again(arm)) == 2  # what was logged is not what lies there now
    logged(arm.scene_file(looks[0], out))
    (line,) = again(arm)  # killed before the second got into its run
    assert "--set phantom" in line
    logged(arm.scene_file(looks[1], out))
    assert again(arm) == []
    file = arm.scene_file(looks[1], out)
    file.write_bytes(file.read_bytes()[:-9])  # killed while it wrote
    (line,) = again(arm)
    assert "--set phantom" in line
    assert len(load_scene(arm.scene_file(looks[0], out)).images) == 6


def test_a_place_that_no_log_can_be_written_to_is_told(tmp_path, capsys):
    out = tmp_path / "out"
    out.write_bytes(b"")
    command = ["phantom-stages", "--out", str(out), "--data", str(tmp_path), "--mlruns", str(tmp_path / "mlruns")]
    assert campaign.main(command) == 2
    assert "error: " in (said := capsys.readouterr().err)
    assert "phantom-stages cannot be written (Not a directory)" in said
    out.unlink()
    (out / "phantom-stages" / "log.txt").mkdir(parents=True)
    assert campaign.main(command) == 2
    assert "log.txt cannot be written (Is a directory)" in capsys.readouterr().err
    assert [path.name for path in (out / "phantom-stages").iterdir()] == ["log.txt"]


def test_a_table_that_does_not_fit_on_the_disk_is_told_and_the_one_before_stays(tmp_path, capsys):
    (arm,), out = campaigns("")["phantom-stages"], tmp_path / "out"
    (out / arm.folder / "bundle").mkdir(parents=True)
    scene, (look,) = made(), arm.looks
    first = scene.images[0].model_copy(update={"answers": (("nodule", True, Verdict.FOUND, 0.9),)})
    file = arm.scene_file(look, out)
    save_scene(scene.model_copy(update={"images": (first, *scene.images[1:6])}), file)
    notes = RunNotes(file.parent / RUN_NOTES)
    notes.keep("run", "one")
    notes.keep(f"logged {file.name}", f"one {hashlib.sha256(file.read_bytes()).hexdigest()}")
    command = ["phantom-stages", "--out", str(out), "--report", str(tmp_path / "table.md")]
    assert campaign.main(command) == 0
    text = (out / "report.md").read_text()
    assert (tmp_path / "table.md").read_text() == text
    capsys.readouterr()
    with no_file_longer_than(len(text.encode()) - 1):
        assert campaign.main(command) == 2
    said = capsys.readouterr()
    assert "report.md cannot be written (File too large); make room" in said.err
    assert said.out == ""
    assert {path.name for path in out.iterdir()} == {arm.folder, "report.md"}
    assert (out / "report.md").read_text() == text
