"""Whole runs of the command line over a reader of drawn blobs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from medground import __version__
from medground.cli.main import create_app
from medground.dicom.sr import read_sr_boxes
from medground.model.bundle_facts import shipped_bundle_path
from medground.schema.errors import BundleDamagedError, BundleMissingError
from medground.schema.result import GroundingResult, Verdict
from tests.full_disk import no_file_longer_than
from tests.inference.blob_reader import CT, BlobReader
from tests.inference.drawn import drawn, write_ct_slice, write_dx, write_png, write_sr_like, write_undecodable

LEFT_NODULE, RIGHT_EFFUSION = (380, 100, 420, 140), (60, 380, 200, 460)


def run(*arguments: str | Path, reader: BlobReader | None = None) -> Result:
    app = create_app(lambda *_: reader or BlobReader())
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ground(*arguments: str | Path, reader: BlobReader | None = None) -> Result:
    return run("ground", *arguments, reader=reader)


def result_in(out: Path) -> GroundingResult:
    return GroundingResult.model_validate_json((out / "results.json").read_bytes())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_dx(tmp_path / "in" / "film.dcm", drawn([LEFT_NODULE, RIGHT_EFFUSION]))


def test_a_film_and_four_questions(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    questions = ["find the lung nodule", "is there a pneumothorax?", "right pleural effusion", "左肺有结节吗"]
    done = ground(film, *(part for q in questions for part in ("--query", q)), "--out", out)
    assert done.exit_code == 0, done.output
    result = result_in(out)
    (study,) = result.studies
    assert [answer.query for answer in study.answers] == questions
    assert [answer.verdict.value for answer in study.answers] == ["found", "not_found", "found", "found"]
    for question in questions:
        assert question.split()[0] in done.stdout
    assert "not found" in done.stdout
    assert "left upper zone" in " ".join(done.stdout.replace("│", " ").split())
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert names == [*(f"overlays/1-{number}-1.png" for number in (1, 2, 3, 4)), "results.json", "sr/1.dcm"]
    assert set(result.timing_ms) == {"gather", "load_model", "understand", "look", "answer", "write"}
    assert result.settings.code_version == __version__


def test_the_picture_frames_the_lesion_and_the_report_holds_it(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert ground(film, "--query", "nodule", "--out", out).exit_code == 0
    (box,) = read_sr_boxes(pydicom.dcmread(out / "sr" / "1.dcm"))
    assert box.box_xyxy_px == pytest.approx(LEFT_NODULE, abs=1)
    assert box.sop_instance_uid == pydicom.dcmread(film).SOPInstanceUID
    with Image.open(out / "overlays" / "1-1-1.png") as picture:
        pixels = np.asarray(picture)
    white = (pixels == 255).all(2)
    white[: pixels.shape[0] // 10] = False  # the edge of the drawn image
    rows, columns = np.nonzero(white[:, 500:])
    scale = 720 / 512
    assert columns.min() + 500 == pytest.approx(LEFT_NODULE[0] * scale, abs=3)
    assert rows.max() - rows.min() == pytest.approx(40 * scale, abs=4)
    orange = (pixels == (230, 159, 0)).all(2)[rows.min() - 8 : rows.max() + 8, :]
    assert np.flatnonzero(orange.any(0)).min() == pytest.approx(LEFT_NODULE[0] * scale, abs=4)
    assert np.flatnonzero(orange.any(0)).max() >= LEFT_NODULE[2] * scale - 1


def test_no_patient_in_any_text(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = ground(film, "--query", "nodule", "--out", out)
    for text in (done.stdout, done.stderr, (out / "results.json").read_text()):
        assert "secret" not in text.lower()


def test_json_and_nothing_else_on_stdout(film: Path, tmp_path: Path) -> None:
    shutil.copy(write_undecodable(tmp_path / "bad.dcm", instance=2), film.parent)
    done = ground(film.parent, "--query", "nodule", "--json")
    assert done.exit_code == 4
    printed = GroundingResult.model_validate_json(done.stdout)
    assert [Path(refusal.source).name for refusal in printed.refused] == ["bad.dcm"]
    assert "bad.dcm" in done.stderr
    out = tmp_path / "out"
    both = ground(film, "--query", "nodule", "--json", "--out", out)
    assert json.loads(both.stdout) == json.loads((out / "results.json").read_text())


def test_formats(film: Path, tmp_path: Path) -> None:
    for formats, expected in (("json", {"results.json"}), ("png", {"overlays"}), ("sr, json", {"sr", "results.json"})):
        out = tmp_path / formats
        assert ground(film, "--query", "nodule", "--out", out, "--format", formats).exit_code == 0
        assert {path.name for path in out.iterdir()} == expected
    wrong = ground(film, "--query", "nodule", "--out", tmp_path / "x", "--format", "json,gif")
    assert wrong.exit_code == 2
    assert "'gif'" in wrong.stderr


def test_a_picture_has_no_report(tmp_path: Path) -> None:
    done = ground(write_png(tmp_path / "a.png", drawn([LEFT_NODULE])), "--query", "nodule", "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert not (tmp_path / "out" / "sr").exists()
    assert (tmp_path / "out" / "overlays" / "1-1-1.png").is_file()
    assert result_in(tmp_path / "out").studies[0].study_instance_uid is None


def test_a_ct_gives_one_picture_per_finding_and_a_report(tmp_path: Path) -> None:
    for number in range(5):
        lesion = [(100, 100, 140, 140)] if number in (1, 2, 3) else []
        write_ct_slice(tmp_path / "ct" / f"{number}.dcm", drawn(lesion), z_mm=2.5 * number, instance=number + 1)
    out = tmp_path / "out"
    done = ground(tmp_path / "ct", "--query", "nodule", "--query", "mass", "--out", out, reader=BlobReader(domain=CT))
    assert done.exit_code == 0, done.output
    nodule, mass = result_in(out).studies[0].answers
    assert (nodule.verdict, mass.verdict) == (Verdict.FOUND, Verdict.UNSUPPORTED)
    assert sorted(path.name for path in (out / "overlays").iterdir()) == ["1-1-1.png", "1-2-1.png"]
    assert len(read_sr_boxes(pydicom.dcmread(out / "sr" / "1.dcm"))) >= 1


def test_an_unsupported_study_still_has_picture_and_report(tmp_path: Path) -> None:
    path = write_dx(tmp_path / "a.dcm", drawn(), Modality="MR")
    out = tmp_path / "out"
    done = ground(path, "--query", "nodule", "--out", out)
    assert done.exit_code == 0
    assert result_in(out).studies[0].answers[0].verdict == Verdict.UNSUPPORTED
    assert (out / "overlays" / "1-1-1.png").is_file()
    assert pydicom.dcmread(out / "sr" / "1.dcm").Modality == "SR"


def test_one_bad_file_among_a_hundred_good_ones(tmp_path: Path) -> None:
    source = write_dx(tmp_path / "one.dcm", drawn([LEFT_NODULE], rows=128, columns=512))
    folder = tmp_path / "in"
    folder.mkdir()
    dataset = pydicom.dcmread(source)
    for number in range(100):
        dataset.StudyInstanceUID = f"1.2.3.{number}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}.1"
        dataset.save_as(folder / f"{number:03d}.dcm")
    (folder / "050x.dcm").write_bytes(source.read_bytes()[:-1000])
    reader = BlobReader()
    done = ground(folder, "--query", "nodule", "--out", tmp_path / "out", "--format", "json", reader=reader)
    assert done.exit_code == 4
    result = result_in(tmp_path / "out")
    assert len(result.studies) == 100
    assert [Path(refusal.source).name for refusal in result.refused] == ["050x.dcm"]
    assert reader.images_read == 100


def test_bad_inputs_are_one_sentence_and_leave_nothing(film: Path, tmp_path: Path) -> None:
    text = tmp_path / "letter.dcm"
    text.write_text("Dear colleague, thank you for referring this patient.\n" * 20)
    empty_file, empty_folder, cut = tmp_path / "empty.dcm", tmp_path / "empty", tmp_path / "cut.dcm"
    empty_file.touch()
    empty_folder.mkdir()
    cut.write_bytes(film.read_bytes()[:5000])
    broken_png = tmp_path / "broken.png"
    broken_png.write_bytes(write_png(tmp_path / "whole.png", drawn()).read_bytes()[:200])
    out = tmp_path / "out"
    inputs = [tmp_path / "absent.dcm", text, empty_file, empty_folder, cut, broken_png]
    inputs += [write_sr_like(tmp_path / "report.dcm"), write_undecodable(tmp_path / "jpeg.dcm")]
    for given in inputs:
        done = ground(given, "--query", "nodule", "--out", out)
        assert done.exit_code == 2, given
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr
        assert not out.exists(), given


@pytest.mark.parametrize("query", ["", "   ", "?", "x" * 10_000])
def test_bad_questions(film: Path, tmp_path: Path, query: str) -> None:
    done = ground(film, "--query", query, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert len(done.stderr) < 300
    assert not (tmp_path / "out").exists()


def test_bad_usage(film: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    for arguments in (
        [str(film), "--out", out],
        ["--query", "nodule", "--out", out],
        [str(film), "--query", "nodule"],
        [str(film), "--query", "nodule", "--out", out, "--min-score", "7"],
        [str(film), "--query", "nodule", "--out", out, "--min-score", "high"],
        [str(film), "--query", "nodule", "--out", out, "--max-boxes", "0"],
        [str(film), "--query", "nodule", "--out", out, "--device", "abacus"],
        [str(film), "--query", "nodule", "--out", str(film)],
    ):
        assert ground(*arguments).exit_code == 2, arguments
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [BundleMissingError("no bundle at x"), BundleDamagedError("one byte differs in x")])
def test_bundle_errors(film: Path, tmp_path: Path, error: Exception) -> None:
    def load(bundle: Path | None, device: str, base: str | None) -> BlobReader:
        raise error

    arguments = ["ground", str(film), "--query", "nodule", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(create_app(load), arguments)
    assert done.exit_code == 3
    assert str(error) in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_a_bundle_the_command_says_so(film: Path, tmp_path: Path) -> None:
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    arguments = ["ground", str(film), "--query", "nodule", "--out", str(out), "--bundle", str(empty)]
    done = CliRunner().invoke(create_app(), arguments)
    assert done.exit_code == 3
    assert str(empty) in done.stderr
    assert not out.exists()


def test_the_bundle_that_ships_answers_and_one_changed_byte_is_refused(film: Path, tmp_path: Path) -> None:
    shipped = shipped_bundle_path()
    out, other = tmp_path / "out", tmp_path / "other"
    arguments = ["ground", str(film), "--query", "nodule", "--query", "左肺有结节吗"]
    done = CliRunner().invoke(create_app(), [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    assert len(result_in(out).studies[0].answers) == 2
    changed = shutil.copytree(shipped, tmp_path / "changed")
    weights = bytearray((changed / "weights.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (changed / "weights.safetensors").write_bytes(weights)
    refused = CliRunner().invoke(create_app(), [*arguments, "--out", str(other), "--bundle", str(changed)])
    assert refused.exit_code == 3
    assert "weights.safetensors" in refused.stderr
    assert not other.exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with no_file_longer_than(5_000):
        done = ground(film, "--query", "nodule", "--out", out)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("error: a file cannot be read or written: ")
    assert not list(out.rglob("*"))


def test_cuda_is_refused_where_there_is_none(film: Path, tmp_path: Path) -> None:
    arguments = ["ground", str(film), "--query", "nodule", "--out", str(tmp_path / "out"), "--device", "cuda"]
    done = CliRunner().invoke(create_app(), arguments)
    assert done.exit_code == 2
    assert "--device" in done.stderr


def test_a_crash_midway_leaves_nothing_and_quotes_nothing(tmp_path: Path) -> None:
    for number in range(20):
        write_dx(tmp_path / "in" / f"{number}.dcm", drawn([LEFT_NODULE]), study=number + 1)
    arguments = (tmp_path / "in", "--query", "nodule", "--out", tmp_path / "out")
    done = ground(*arguments, reader=BlobReader(fails_after=10))
    assert done.exit_code == 1
    assert "RuntimeError" in done.stderr
    assert "out of memory" not in done.stderr
    assert not (tmp_path / "out").exists()
    debugged = ground(*arguments, "--debug", reader=BlobReader(fails_after=10))
    assert debugged.exit_code == 1
    assert "Traceback" in debugged.stderr


def test_a_crash_midway_keeps_the_earlier_result(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert ground(film, "--query", "nodule", "--out", out).exit_code == 0
    before = (out / "results.json").read_bytes()
    assert ground(film, "--query", "nodule", "--out", out, reader=BlobReader(fails_after=0)).exit_code == 1
    assert (out / "results.json").read_bytes() == before
    assert (out / "overlays" / "1-1-1.png").is_file()


def test_version_and_help() -> None:
    assert run("--version").stdout.strip() == f"medground {__version__}"
    helped = ground("--help")
    assert helped.exit_code == 0
    options = "--query --out --bundle --min-score --max-boxes --top-k --format --device --json --debug"
    assert [option for option in options.split() if option not in helped.stdout] == []


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from medground.cli.main import create_app; from typer.testing import CliRunner; "
        "assert CliRunner().invoke(create_app(), ['ground', '--help']).exit_code == 0; "
        "heavy = ('torch', 'monai', 'pydicom', 'numpy', 'PIL', 'highdicom', 'transformers'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
