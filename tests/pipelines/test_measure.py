from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import medground
from medground.data.splits import DEV, VALID
from medground.evaluation.scene import ENDING, Scene, load_scene, report_of
from medground.model.bundle import Bundle, read_bundle
from medground.model.bundle_write import save_bundle
from medground.model.grounder import Grounder
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from medground.schema.result import Verdict
from medground.tracking.store import open_store
from pipelines.fit import CHEST_NAME, LIMB_NAME
from pipelines.measure import _records, file_stem, label, main, measure, parser, part_of, phantom_records, stem_of
from pipelines.scenes import figures_of, is_logged
from pipelines.sources import CHEST, HELD_OUT_SEEDS, TUNING_SEEDS, Sources, nothing
from pipelines.train import RUN_NOTES
from tests.data.made_records import disc_record
from tests.full_disk import no_file_longer_than
from tests.model.shapes import FILM, trained_bundle
from tests.pipelines.published_limbs import fracatlas


def test_every_image_is_read_for_every_concept_and_boxes_are_in_stored_pixels(tmp_path):
    grounder = Grounder(trained_bundle(10))
    records = [disc_record(tmp_path, f"r{n}", [("nodule", 60, 90, 12)], size=300, domain=FILM) for n in range(2)]
    scene = measure(grounder, records, system="s", data="made")
    assert [image.image_id for image in scene.images] == ["r0", "r1"]
    concepts = {t.concept for t in grounder.scope.trained if t.domain == FILM}
    assert set(scene.training_boxes) == concepts
    for image in scene.images:
        assert (image.columns, image.rows) == (300, 300)
        boxes = np.array([box for _, box, _ in image.detections])
        assert boxes.min() >= 0
        assert 64 < boxes.max() <= 300  # the model frame is 64 px
        assert {concept for concept, _, _ in image.detections} <= concepts
        scores = [score for concept, _, score in image.detections if concept == "nodule"]
        assert scores == sorted(scores, reverse=True)
    assert measure(grounder, records, system="s", data="made") == scene


def test_a_part_without_images_is_refused(tmp_path):
    record = disc_record(tmp_path, "r", [], domain=Domain.CHEST_RADIOGRAPH)
    sources = Sources({**nothing(), DEV: (record,)}, nothing(), nothing(), ())
    assert part_of(sources, CHEST, DEV) == (record,)
    with pytest.raises(UsageError, match="no images in its part valid"):
        part_of(sources, CHEST, VALID)


def test_parts_have_the_names_that_peers_give_them():
    assert label("fracatlas", None, "valid") == "fracatlas, valid part"
    assert label("cxr", 3, "valid") == "cxr fold 3, valid part"


@pytest.fixture
def records(tmp_path):
    """Two films with a nodule, two that are known to have none, one of which nothing is known."""
    discs = [("nodule", 60, 90, 12)]
    made = [disc_record(tmp_path, f"r{n}", discs if n < 2 else [], size=300, domain=FILM) for n in range(4)]
    return [*made, disc_record(tmp_path, "r4", [], size=300, domain=FILM, exhaustive_for=frozenset())]


def test_findings_known_to_be_there_or_not_are_answered_from_the_same_reading(records):
    grounder = Grounder(trained_bundle())
    scene = measure(grounder, records, system="s", data="made")
    concepts = set(scene.training_boxes)
    answers = [{concept: (there, verdict, p) for concept, there, verdict, p in i.answers} for i in scene.images]
    assert [set(own) for own in answers] == [concepts] * 4 + [set()]  # nothing is known of the last
    assert [own["nodule"][0] for own in answers[:4]] == [True, True, False, False]
    scope, calibration = grounder.scope, grounder.bundle.calibration
    for image, own in zip(scene.images, answers, strict=True):
        for concept, (_, verdict, presence) in own.items():
            found = [score for c, _, score in image.detections if c == concept]
            best = max([calibration.box_probability(np.log(s / (1 - s)), concept, FILM) for s in found], default=0.0)
            assert presence >= best - 1e-6
            expected = Verdict.UNCERTAIN
            if presence <= scope.not_found_threshold:
                expected = Verdict.NOT_FOUND
            elif presence >= scope.found_threshold and best >= scope.default_min_score:
                expected = Verdict.FOUND
            assert verdict == expected
    verdicts = report_of(scene, resamples=20).verdicts
    assert verdicts.present.total == 2
    assert verdicts.absent.total == 4 * len(concepts) - 2
    names = {figure.name for figure in figures_of(scene, resamples=20)}
    assert {"absent_error", "ece/all", "auroc/all", "ece/nodule", "auroc/nodule"} <= names


def test_boxes_are_the_same_without_answers(records):
    grounder = Grounder(trained_bundle())
    scene = measure(grounder, records, system="s", data="made")
    plain = measure(grounder, records, system="s", data="made", answered=False)
    assert [image.answers for image in plain.images] == [()] * 5
    assert [image.detections for image in plain.images] == [image.detections for image in scene.images]
    assert "absent_error" not in {figure.name for figure in figures_of(plain, resamples=20)}


def test_phantoms_are_of_seeds_of_their_own_and_known_for_phantoms(tmp_path):
    for part, first in ((DEV, TUNING_SEEDS), (VALID, HELD_OUT_SEEDS)):
        films = phantom_records(part, 2, tmp_path)
        assert [film.record_id for film in films] == [f"phantom-{first + n}" for n in range(2)]
        assert all(film.path.is_file() for film in films)
    scene = measure(Grounder(trained_bundle(10)), films, system="s", data="phantoms")
    assert scene.is_synthetic
    assert len({image.image_id for image in scene.images}) == 2


def test_files_are_called_by_what_was_measured_and_by_what_was_asked_for_otherwise():
    assert file_stem("cxr fold 3, dev part") == "cxr-fold-3-dev-part"
    stems = [file_stem("bccd, dev part", share) for share in (None, 0.0, 0.2, 0.4, 0.5)]
    assert stems == ["bccd-dev-part", *(f"bccd-dev-part-share-{percent}" for percent in (0, 20, 40, 50))]
    asked = ["--share 0.4", "--share 0.404", "--query-weight 0", "--query-weight 0.25", "--mirror", "--no-mirror"]
    asked += ["--share 0 --no-mirror", "--query-weight 0 --no-mirror", "--count 61", "--fractured-only", ""]
    more = {words: stem_of(parser().parse_args(["--set", "phantom", *words.split()])) for words in asked}
    assert len(set(more.values())) == len(asked)
    assert more[""] == "phantom-dev-part"
    assert more["--share 0.4"] == "phantom-dev-part-share-40"
    assert more["--query-weight 0 --no-mirror"] == "phantom-dev-part-query-0-not-mirrored"
    assert more["--count 61"] == "phantom-dev-part-61-phantoms"
    assert stem_of(parser().parse_args(["--set", "cxr", "--count", "61"])) == "cxr-dev-part"  # it has no phantoms
    assert not any("." in stem for stem in (*stems, *more.values()))  # the rest would be taken for an ending


def test_a_share_is_forced_without_another_bundle(tmp_path):
    save_bundle(trained_bundle(), tmp_path / "bundle")
    common = ["--bundle", str(tmp_path / "bundle"), "--set", "phantom", "--count", "2", "--out", str(tmp_path)]

    def scene(*more: str) -> Scene:
        job = [*common, "--threads", "1", *more]
        assert main(job) == 0
        return load_scene(tmp_path / f"{stem_of(parser().parse_args(job))}{ENDING}")

    own, none, half = scene(), scene("--share", "0"), scene("--share", "0.5")
    assert own.data == none.data == half.data == "phantom, dev part"
    assert (none.system, half.system) == tuple(f"{own.system}, prototypes' share {share}" for share in ("0", "0.5"))
    assert [i.detections for i in none.images] != [i.detections for i in half.images]
    assert all(image.answers for image in own.images)
    assert not any(image.answers for one in (none, half) for image in one.images)
    assert main([*common, "--count", "0"]) == 2
    assert main([*common, "--share", "1.5"]) == 2


def test_a_reading_does_not_take_the_place_of_another(tmp_path):
    save_bundle(trained_bundle(), tmp_path / "bundle")
    common = ["--bundle", str(tmp_path / "bundle"), "--set", "phantom", "--out", str(tmp_path), "--threads", "1"]
    readings = {"1": [], "1 mirrored": ["--mirror"], "1 not": ["--no-mirror"], "1 query": ["--query-weight", "0"]}
    for more in (["--count", "2"], *(["--count", "1", *each] for each in readings.values())):
        assert main([*common, *more]) == 0
    scenes = [load_scene(path) for path in sorted(tmp_path.glob(f"*{ENDING}"))]
    assert len(scenes) == 5
    assert len({(scene.system, len(scene.images)) for scene in scenes}) == 5


KILLED = """
import os, signal, sys
from importlib import import_module
import pipelines.measure
room, name = sys.argv[1].rsplit(".", 1)
setattr(import_module(room), name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
pipelines.measure.main(sys.argv[2:])
"""


def killed_at(function: str, job: list[str]) -> None:
    """What a measurement leaves that is killed where it calls a function."""
    command = [sys.executable, "-c", KILLED, function, *job]
    environment = os.environ | {"PYTHONPATH": str(Path(medground.__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


@pytest.mark.slow
def test_killed_before_its_scene_was_in_its_run_it_is_only_logged_by_the_next(tmp_path, capsys):
    save_bundle(trained_bundle(), tmp_path / "bundle")
    work, home = tmp_path / "work", tmp_path / "mlruns"
    work.mkdir()
    job = ["--bundle", str(tmp_path / "bundle"), "--set", "phantom", "--count", "2", "--out", str(work)]
    job += ["--train", str(work), "--mlruns", str(home), "--threads", "1"]
    file, notes = work / f"{stem_of(parser().parse_args(job))}{ENDING}", work / RUN_NOTES
    killed_at("pipelines.measure.log_scene", job)
    made = file.stat().st_mtime_ns
    assert not is_logged(file, notes)
    killed_at("pipelines.scenes.draw", job)  # half of it is in its run
    assert not is_logged(file, notes)
    assert main(job) == 0
    assert file.stat().st_mtime_ns == made  # no image was read for it again
    assert "goes into its run as it is" in capsys.readouterr().err
    assert is_logged(file, notes)
    client, experiment = open_store(home, "medground")
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    child = f"evaluation {file.name.removesuffix(ENDING)}"
    assert {name: run.info.status for name, run in runs.items()} == {"work": "FINISHED", child: "FINISHED"}
    kept = {path.path for path in client.list_artifacts(runs[child].info.run_id)}
    assert kept >= {file.name, "plots"}
    expected = {figure.name: figure.value for figure in figures_of(load_scene(file))}
    assert {name: runs[child].data.metrics[name] for name in expected} == expected
    assert main(job) == 0  # asked for again, it is measured again
    assert file.stat().st_mtime_ns > made
    save_bundle(trained_bundle(11), tmp_path / "bundle")
    notes.unlink()
    before = load_scene(file).system
    assert main(job) == 0
    assert load_scene(file).system != before  # another bundle's scene does not stand for this one's


def test_a_full_disk_is_one_sentence_and_nothing_is_half_written(tmp_path, capsys, monkeypatch):
    save_bundle(trained_bundle(), tmp_path / "bundle")
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    job = ["--bundle", str(tmp_path / "bundle"), "--set", "phantom", "--count", "1", "--threads", "1"]
    job += ["--out", str(tmp_path / "out")]
    with no_file_longer_than(100_000):  # no phantom fits
        assert main(job) == 2
    assert re.fullmatch(r"[0-9:]+ error: .* cannot be written \(File too large\); make room, .*\n", last(capsys))
    with no_file_longer_than(100_000), monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(scratch / "absent"))
        assert main(job) == 2
    assert "cannot be written (No such file or directory)" in last(capsys)
    for folder in ("out", "scratch"):
        assert list((tmp_path / folder).iterdir()) == []


def told(folder: Path, *trained_on: str, **summary: object) -> list[str]:
    """How a bundle is named that says so of its training."""
    bundle = trained_bundle(10)
    parts = {name: getattr(bundle, name) for name in Bundle.__slots__}
    info = bundle.info.model_copy(update={"trained_on": trained_on})
    save_bundle(Bundle(**{**parts, "info": info, "summary": summary}), folder)
    return ["--bundle", str(folder)]


@pytest.mark.parametrize(
    ("title", "held", "asked", "why"),
    [
        (CHEST_NAME, {"fold": 0}, "--fold 1", "cxr fold 1, dev part .* fold 0 held out .*; measure it with --fold 0"),
        (CHEST_NAME, {"fold": 0}, "--fold 1 --part valid", "cxr fold 1, valid part says nothing here"),
        (CHEST_NAME, {"fold": 0}, "", "so on films of each part; measure it with --fold 0"),
        (CHEST_NAME, {}, "--fold 1", "on the published parts .*; leave --fold away"),
        (
            LIMB_NAME,
            {"large_fold": 2},
            "--set fracatlas",
            "large fold 2 held out.*; .* pipelines closer --set fracatlas",
        ),
        (CHEST_NAME, {}, "--set fracatlas --fold 1", "--fold 1: of fracatlas there are no folds here"),
        (CHEST_NAME, {"fold": 0}, "--fold 0", None),
        (CHEST_NAME, {}, "", None),
        (LIMB_NAME, {"large_fold": 2}, "--fold 3", None),
        (LIMB_NAME, {}, "--set fracatlas --part valid", None),
        (CHEST_NAME, {"fold": 0}, "--set bccd", None),
    ],
)
def test_a_model_is_not_measured_on_what_it_may_have_learned_from(tmp_path, capsys, title, held, asked, why):
    bundle = told(tmp_path / "bundle", "phantom", title, held_out={"fold": None, "large_fold": None, **held})
    job = [*bundle, "--out", str(tmp_path / "out"), "--data", str(tmp_path / "none"), "--threads", "1"]
    assert main([*job, *asked.split()]) == 2
    assert re.search(why or "has no images in its part", last(capsys))  # there is no data set here to go on with
    assert list((tmp_path / "out").iterdir()) == []


def test_a_fold_does_not_keep_from_phantoms(tmp_path):
    bundle = told(tmp_path / "bundle", "phantom", CHEST_NAME, held_out={"fold": 0})
    job = [*bundle, "--set", "phantom", "--count", "1", "--out", str(tmp_path / "out"), "--threads", "1"]
    assert main(job) == 0


def test_images_with_a_box_are_asked_for_where_there_are_none(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fracatlas(tmp_path / "data", {})
    labels = tmp_path / "data" / "fracatlas" / "annotations_coco.json"
    labels.write_text(json.dumps(json.loads(labels.read_text()) | {"annotations": []}))
    bundle = told(tmp_path / "bundle", "drawn")
    job = [*bundle, "--set", "fracatlas", "--part", "valid", "--fractured-only", "--data", str(tmp_path / "data")]
    assert main([*job, "--threads", "1"]) == 2
    assert "no image of fracatlas, valid part has a box; leave --fractured-only away" in last(capsys)


def test_the_development_part_is_that_of_the_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fracatlas(tmp_path / "data", {})
    args = parser().parse_args(["--set", "fracatlas", "--data", str(tmp_path / "data")])
    for share, names in ((None, ["t9"]), (1.0, ["t0", "t1", "t2", "t9"])):
        summary = {"recipe": {"development_fraction": share}} if share else {}
        told(tmp_path / "bundle", LIMB_NAME, **summary)
        found = _records(args, read_bundle(tmp_path / "bundle"), tmp_path)
        assert [record.record_id for record in found] == names


def last(capsys) -> str:
    """The last line that was said."""
    return capsys.readouterr().err.splitlines(keepends=True)[-1]
