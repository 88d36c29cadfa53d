from __future__ import annotations

import tempfile

import pytest

from medground.evaluation.report import EvaluationReport
from medground.evaluation.scene import ENDING, load_scene
from medground.schema.errors import UsageError
from pipelines.evaluate import main, write_scene
from pipelines.scenes import is_logged
from pipelines.train import RUN_NOTES
from tests.evaluation.made_scene import made
from tests.full_disk import no_file_longer_than


@pytest.mark.slow
def test_a_few_phantoms_are_scored_and_the_report_is_written(tmp_path):
    assert main(["--part", "phantom", "--phantoms", "3", "--out", str(tmp_path), "--threads", "1"]) == 0
    report = EvaluationReport.model_validate_json((tmp_path / "phantom.json").read_bytes())
    assert report.n_images == 3
    assert report.verdicts is not None
    asked = report.verdicts.present.total + report.verdicts.absent.total
    assert asked >= 3 * 12  # twelve findings a phantom can show, each known to be there or not
    assert "AP@0.5" in (tmp_path / "phantom.md").read_text()


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def few():
    """A scene whose report is soon computed."""
    return made().model_copy(update={"images": made().images[:6]})


def test_the_scene_comes_last_and_never_without_its_report(tmp_path, capsys):
    """Whoever finds a scene takes the measurement for done."""
    for ending, before in ((".json", []), (".md", ["chest.json"]), (ENDING, ["chest.json", "chest.md"])):
        folder = tmp_path / ending
        (folder / f"chest{ending}").mkdir(parents=True)  # where no file can be put
        with pytest.raises(UsageError, match=r"cannot be written \(Is a directory\)"):
            write_scene(few(), folder / "chest")
        assert files(folder) == sorted([*before, f"chest{ending}"])
    assert capsys.readouterr().out == ""
    write_scene(few(), tmp_path / "chest")
    assert load_scene(tmp_path / f"chest{ENDING}") == few()
    assert capsys.readouterr().out == (tmp_path / "chest.md").read_text() + "\n"


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    write_scene(few(), tmp_path / "chest")
    sizes = {path: path.stat().st_size for path in tmp_path.iterdir()}
    contents = {path: path.read_bytes() for path in sizes}
    for limit in (0, min(sizes.values()) - 1, max(sizes.values()) - 1):
        with no_file_longer_than(limit), pytest.raises(UsageError, match="make room"):
            write_scene(few(), tmp_path / "chest")
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == contents
        (tmp_path / f"new{limit}").mkdir()
        with no_file_longer_than(limit), pytest.raises(UsageError, match="make room"):
            write_scene(few(), tmp_path / f"new{limit}" / "chest")
        for path in (tmp_path / f"new{limit}").iterdir():
            assert path.read_bytes() == contents[tmp_path / path.name]
            path.unlink()
        (tmp_path / f"new{limit}").rmdir()


def test_a_place_that_is_no_folder_is_told(tmp_path, capsys):
    (tmp_path / "out").write_bytes(b"")
    assert main(["--part", "phantom", "--out", str(tmp_path / "out"), "--threads", "1"]) == 2
    assert "out cannot be written (File exists)" in capsys.readouterr().err


def test_phantoms_that_do_not_fit_on_the_disk_are_told(tmp_path, capsys, monkeypatch):
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with no_file_longer_than(100_000):
        assert main(["--part", "phantom", "--phantoms", "1", "--out", str(tmp_path / "out"), "--threads", "1"]) == 2
    assert "cannot be written (File too large); make room" in capsys.readouterr().err
    assert files(tmp_path / "out") == files(scratch) == []


@pytest.mark.slow
def test_a_scene_that_did_not_get_into_its_run_is_only_logged_by_the_next(tmp_path, capsys):
    work = tmp_path / "work"
    job = ["--part", "phantom", "--phantoms", "1", "--threads", "1", "--out", str(work)]
    assert main(job) == 0  # as killed after that: no run has it
    made, training = (
        (work / f"phantom{ENDING}").stat().st_mtime_ns,
        ["--train", str(work), "--mlruns", str(tmp_path / "mlruns")],
    )
    assert main([*job, *training]) == 0
    assert (work / f"phantom{ENDING}").stat().st_mtime_ns == made
    assert "goes into its run as it is" in capsys.readouterr().err
    assert is_logged(work / f"phantom{ENDING}", work / RUN_NOTES)
    assert main([*job, *training, "--look", "once"]) == 0  # another way of looking
    assert load_scene(work / f"phantom{ENDING}").look == "once"
    assert (work / f"phantom{ENDING}").stat().st_mtime_ns > made


def test_a_part_without_images_is_no_report(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    out = tmp_path / "out"
    assert main(["--part", "chest", "--data", str(tmp_path / "data"), "--out", str(out)]) == 2
    assert "holds no image of the part chest; give its folder with --data" in capsys.readouterr().err
    assert not any(out.iterdir())
