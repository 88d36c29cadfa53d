"""What a training began with is remembered by its checkpoint, and no other one goes on from that."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch

from medground.model.bundle import Bundle
from medground.model.bundle_facts import read_facts, shipped_bundle_path
from medground.model.bundle_write import save_bundle
from medground.schema.errors import BundleMissingError, CheckpointError, UsageError
from medground.training.checkpoint import Progress, save_checkpoint
from medground.training.origin import Origin
from pipelines.fit import CHEST_NAME, LIMB_NAME
from pipelines.recipes import recipe
from pipelines.start import CHECKPOINT, START_NOTE, Beginning, beginning_of, read_start
from pipelines.train import main, parser
from tests.model.shapes import trained_bundle


def said(out: Path, *more: str) -> argparse.Namespace:
    return parser().parse_args(["--recipe", "tiny", "--out", str(out), *more])


def begin(out: Path, *more: str) -> Beginning:
    args = said(out, *more)
    return beginning_of(args, recipe(args.recipe, base=args.base, mode=args.mode), out)


def stopped(out: Path, origin: Origin | None) -> None:
    """A work folder with the checkpoint of a training that began so."""
    out.mkdir(parents=True, exist_ok=True)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    save_checkpoint(out / CHECKPOINT, Progress(0, 1, "abc"), model.state_dict(), {}, optimizer, origin=origin)


def bundle_at(folder: Path, *trained_on: str, **summary: object) -> Path:
    bundle = trained_bundle(10)
    parts = {name: getattr(bundle, name) for name in Bundle.__slots__}
    info = bundle.info.model_copy(update={"trained_on": trained_on})
    save_bundle(Bundle(**{**parts, "info": info, "summary": summary}), folder)
    return folder


@pytest.mark.parametrize(
    ("begun", "now", "told"),
    [
        (Origin(fold=0), ["--fold", "1"], "another --fold (was 0, now 1), so"),
        (Origin(fold=0), [], "another --fold (was 0, now none), so"),
        (Origin(), ["--fold", "0"], "another --fold (was none, now 0), so"),
        (Origin(large_fold=2), ["--large-fold", "0"], "another --large-fold (was 2, now 0), so"),
        (
            Origin(fold=0, large_fold=2),
            ["--fold", "1"],
            "another --fold (was 0, now 1) and another --large-fold (was 2, now none), so",
        ),
    ],
)
@pytest.mark.parametrize("how", ["--resume", "--calibrate-only"])
def test_a_training_does_not_go_on_with_another_fold(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    begun: Origin,
    now: list[str],
    told: str,
    how: str,
) -> None:
    work = tmp_path / "work"
    stopped(work, begun)
    before = (work / CHECKPOINT).read_bytes()
    job = ["--recipe", "tiny", "--data", str(tmp_path / "none"), "--mlruns", str(tmp_path / "mlruns")]
    assert main([*job, "--out", str(work), how, *now]) == CheckpointError.exit_code == 2
    error = capsys.readouterr().err
    assert told in error
    assert "say what it was begun with, or begin anew in another --out" in error
    assert (work / CHECKPOINT).read_bytes() == before
    assert not (tmp_path / "mlruns").exists()  # its run is not said to have failed


def test_what_it_was_begun_with_goes_on(tmp_path: Path) -> None:
    origin = Origin(fold=3, large_fold=1)
    stopped(tmp_path, origin)
    beginning = begin(tmp_path, "--fold", "3", "--large-fold", "1", "--resume")
    assert (beginning.goes_on, beginning.origin, beginning.started_from) == (True, origin, "")
    assert begin(tmp_path, "--fold", "4") == Beginning(False, Origin(fold=4), "")  # begun anew


def test_the_start_is_remembered_by_its_digest_and_need_not_be_said_again(tmp_path: Path) -> None:
    one, other, work = tmp_path / "one", tmp_path / "other", tmp_path / "work"
    films = ["--recipe", "phantoms"]  # draws no limb, so any may have been held out of its start
    bundle_at(one, "phantom", LIMB_NAME, held_out={"fold": None, "large_fold": 2})
    bundle_at(other, "phantom")
    begun = begin(work, *films, "--start", str(one))
    assert not begun.goes_on
    assert begun.start is not None
    assert begun.start.sha256 == read_facts(one).info.sha256
    stopped(work, begun.origin)
    again = begin(work, *films, "--resume")
    assert (again.origin, again.started_from) == (begun.origin, f"shapes 1 ({begun.start.sha256[:12]})")
    assert again.known_before == ("phantom", LIMB_NAME)
    assert again.held_out({"fold": None, "large_fold": None}) == {"fold": None, "large_fold": 2}
    moved = one.rename(tmp_path / "moved")  # it is known by what it is, not by where it lies
    assert begin(work, *films, "--resume", "--start", str(moved)).origin == begun.origin
    with pytest.raises(CheckpointError, match=r"another --start \(was shapes 1 \(\w{12}\), now shapes 1 \(\w{12}\)\)"):
        begin(work, *films, "--resume", "--start", str(other))
    stopped(work, Origin())
    with pytest.raises(CheckpointError, match=r"another --start \(was none, now shapes 1 "):
        begin(work, *films, "--resume", "--start", str(moved))


def test_pretrained_weights_and_what_of_them_learns_are_remembered(tmp_path: Path) -> None:
    base, work = tmp_path / "base", tmp_path / "work"
    base.mkdir()
    (base / "config.json").write_text("{}")
    around = ["--recipe", "tiny-qwen", "--base", str(base)]
    stopped(work, begin(work, *around).origin)
    assert begin(work, *around, "--resume").goes_on
    with pytest.raises(CheckpointError, match=r"another --mode \(was lora, now frozen\), so"):
        begin(work, *around, "--mode", "frozen", "--resume")
    (base / "config.json").write_text('{"other": 1}')
    with pytest.raises(CheckpointError, match=r"another --base \(was .*base \(\w{12}\), now .*base \(\w{12}\)\), so"):
        begin(work, *around, "--resume")
    stopped(work, Origin())
    assert begin(work, "--base", str(base), "--mode", "full", "--resume").goes_on  # no word to a recipe without such


def test_a_checkpoint_from_before_goes_on_and_does_not_tell_what_it_began_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped(tmp_path, None)
    plain = begin(tmp_path, "--fold", "2", "--resume", "--start", str(tmp_path / "away"))
    assert plain == Beginning(True, None, "")
    assert plain.learned_before == plain.known_before == ()
    assert "does not say which films it holds out" in capsys.readouterr().err
    (tmp_path / START_NOTE).write_text("medground-films 0.2.0 (bb7b1ba1cdb0)")
    tuned = begin(tmp_path, "--fold", "2", "--resume")
    assert tuned.learned_before is None
    assert tuned.known_before == ("what medground-films 0.2.0 (bb7b1ba1cdb0) learned from",)
    assert tuned.held_out({"fold": 2, "large_fold": None}) == {"fold": 2, "large_fold": None}


@pytest.mark.parametrize(
    ("knows", "held", "folds", "why"),
    [
        (CHEST_NAME, {}, ["--fold", "1"], "was trained on the published parts of .* so on films of fold 1"),
        (CHEST_NAME, {"fold": 0}, ["--fold", "1"], "was trained with fold 0 held out of .* so on films of fold 1"),
        (CHEST_NAME, {"fold": 0}, [], "was trained with fold 0 held out, so on films of each part"),
        (CHEST_NAME, {"fold": 1}, ["--fold", "1"], ""),
        (CHEST_NAME, {}, [], ""),
        (LIMB_NAME, {}, ["--fold", "1"], ""),
        (LIMB_NAME, {}, ["--large-fold", "0"], "was trained on the published parts of FracAtlas"),
        (LIMB_NAME, {"large_fold": 1}, [], "was trained with large fold 1 held out"),
        (LIMB_NAME, {"large_fold": 1}, ["--large-fold", "1"], ""),
    ],
)
def test_a_start_never_saw_what_is_held_out(
    tmp_path: Path, knows: str, held: dict[str, int], folds: list[str], why: str
) -> None:
    start = bundle_at(tmp_path / "start", "phantom", knows, held_out={"fold": None, "large_fold": None, **held})
    job = ["--start", str(start), *folds]
    if not why:
        assert begin(tmp_path / "work", *job).start is not None
        return
    with pytest.raises(UsageError, match=rf"--start: shapes 1 .*{why}.*; start from one that never saw"):
        begin(tmp_path / "work", *job)


def test_a_start_of_a_start_counts_as_well(tmp_path: Path) -> None:
    """Chest films, then limbs: what never names chest films itself has their patients in its weights."""
    first = bundle_at(tmp_path / "first", CHEST_NAME, held_out={"fold": 0, "large_fold": None})
    limbs = Beginning(False, Origin(start=read_start(first)), "shapes 1")
    folds = {"fold": None, "large_fold": None}
    summary = {"started_from": "shapes 1", "learned_before": limbs.learned_before, "held_out": limbs.held_out(folds)}
    second = bundle_at(tmp_path / "second", LIMB_NAME, *limbs.known_before, **summary)
    with pytest.raises(UsageError, match="with fold 0 held out of NIH"):
        begin(tmp_path / "work", "--start", str(second), "--fold", "1")
    assert begin(tmp_path / "work", "--start", str(second), "--fold", "0").learned_before == (LIMB_NAME, CHEST_NAME)


def test_a_start_that_does_not_tell_of_its_own_start_is_not_believed_about_a_fold(tmp_path: Path) -> None:
    old = bundle_at(tmp_path / "old", LIMB_NAME, started_from="medground-compact 0.3.0 (abc)")
    with pytest.raises(UsageError, match="started from another and does not say what that learned from"):
        begin(tmp_path / "work", "--start", str(old), "--fold", "1")
    beginning = begin(tmp_path / "work", "--start", str(old))
    assert beginning.learned_before is None
    assert beginning.known_before[0] == LIMB_NAME
    assert len(beginning.known_before) == 2


def test_the_shipped_bundle_is_still_a_start(tmp_path: Path) -> None:
    shipped = shipped_bundle_path()
    beginning = begin(tmp_path, "--start", str(shipped))
    assert beginning.learned_before == read_facts(shipped).info.trained_on
    assert CHEST_NAME in beginning.known_before
    with pytest.raises(UsageError, match="trained on the published parts"):
        begin(tmp_path, "--start", str(shipped), "--fold", "0")


def test_a_start_that_is_not_there_is_told_by_its_own_option(tmp_path: Path) -> None:
    with pytest.raises(BundleMissingError, match=r"no model bundle at .*absent; give the folder of one with --start"):
        begin(tmp_path, "--start", str(tmp_path / "absent"))
