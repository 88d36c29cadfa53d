from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from medground.cards.pseudonyms import under_pseudonyms
from medground.evaluation.detection import average_precision, patients_of
from medground.evaluation.froc import froc
from medground.evaluation.scene import ENDING, Scene, SceneImage, load_scene, save_scene
from medground.schema.errors import UsageError
from medground.schema.result import Verdict
from medground.tracking.runs import find_artifacts, open_run
from medground.tracking.summary import bring_in, read_summary
from pipelines.compare import compare, find_scenes, main
from pipelines.curves import draw, froc_curve, precision_recall
from pipelines.export_runs import RUNS
from pipelines.scenes import figures_of, log_scene
from tests.full_disk import no_file_longer_than

BOXES = {"nodule": 300, "cavity": 12}
SIZE = {"columns": 64, "rows": 48}


def scene(system: str, skill: float, *, images: int = 60, truth: int = 0) -> Scene:
    """Two images a patient; a truth is found with the probability `skill`, false boxes are the same for all systems."""
    world, luck = np.random.default_rng(truth), np.random.default_rng(7)
    made = []
    for number in range(images):
        truths, detections, answers = [], [], []
        for concept in BOXES:
            present = bool(world.random() < 0.6)
            x, y = (float(v) for v in world.uniform(0, 80, 2))
            found = luck.random() < skill
            score, false = (float(v) for v in luck.uniform(0.05, 0.95, 2))
            if present:
                truths.append((concept, (x, y, x + 20, y + 20)))
            if present and found:
                detections.append((concept, (x + 1, y, x + 21, y + 20), score))
            detections.append((concept, (x + 100, y, x + 120, y + 20), false))
            verdict = Verdict.FOUND if (found if present else false > 0.6) else Verdict.NOT_FOUND
            answers.append((concept, present, verdict, score))
        exhaustive = tuple(BOXES) if number % 3 else ()
        made.append(
            SceneImage(
                image_id=f"{number:03d}",
                patient_id=f"p{number // 2}",
                exhaustive_for=exhaustive,
                truths=tuple(truths),
                detections=tuple(detections),
                answers=tuple(answers),
            )
        )
    return Scene(system=system, data="made films", training_boxes=BOXES, images=tuple(made))


def test_the_better_run_is_above_by_the_paired_interval_and_rare_comes_first():
    weak, strong = scene("weak", 0.3), scene("strong", 0.9)
    # Another order of images changes nothing.
    strong = strong.model_copy(update={"images": strong.images[::-1]})
    rows = compare([weak, strong, weak], resamples=300)
    assert [row.name for row in rows][:2] == ["ap50/rare/mean", "ap50/rare/cavity"]
    assert "ap50/cavity" not in {row.name for row in rows}
    by_name = {row.name: row for row in rows}
    for name in ("ap50/rare/cavity", "ap50/nodule", "froc/nodule", "ap/mean"):
        row = by_name[name]
        better, same = row.differences
        assert better.value == pytest.approx(row.values[1].value - row.values[0].value)
        assert better.low > 0, name
        assert (same.value, same.low, same.high) == (0, 0, 0)


def test_the_paired_interval_is_that_of_differences_resample_by_resample():
    weak, strong = scene("weak", 0.5), scene("strong", 0.6)
    (row,) = [row for row in compare([weak, strong], resamples=50) if row.name == "ap50/nodule"]
    images = weak.truth()
    patients = patients_of(images)
    draws = np.random.default_rng(0).multinomial(len(patients), np.full(len(patients), 1 / len(patients)), size=50)
    differences = []
    for drawn in draws:
        values = []
        for each in (weak, strong):
            copies = [
                image.model_copy(update={"image_id": f"{image.image_id}/{k}"})
                for image in each.images
                for k in range(drawn[patients.index(image.patient_id)])
            ]
            copied = each.model_copy(update={"images": tuple(copies)})
            values.append(average_precision(copied.truth(), copied.detections("nodule"), "nodule"))
        differences.append(values[1] - values[0])
    assert (row.differences[0].low, row.differences[0].high) == pytest.approx(np.quantile(differences, [0.025, 0.975]))


def test_other_images_or_truths_are_not_compared():
    with pytest.raises(UsageError, match="measured on other images"):
        compare([scene("a", 0.5), scene("b", 0.5, images=58)], resamples=10)
    with pytest.raises(UsageError, match="measured on other images"):
        compare([scene("a", 0.5), scene("b", 0.5, truth=1)], resamples=10)


def test_a_file_without_image_sizes_is_compared_as_the_first_scene_sees_the_images():
    old = scene("old", 0.5)
    new = old.model_copy(update={"images": tuple(i.model_copy(update=SIZE) for i in old.images)})
    # 20 px of 64 are 200 of 640: large; in stored pixels they are small.
    for pair, size in (((old, new), "small"), ((new, old), "large")):
        (row,) = [r for r in compare(pair, resamples=20) if r.name in ("ap50/small", "ap50/medium", "ap50/large")]
        assert row.name == f"ap50/{size}"
        assert row.values[0] == row.values[1]
        assert row.n == sum(len(image.truths) for image in old.images)


def test_what_is_rare_is_settled_by_the_real_boxes_of_the_first_scene():
    first = scene("a", 0.5).model_copy(update={"real_boxes": {"nodule": 3, "cavity": 80}})
    rows = compare([first, scene("b", 0.6)], resamples=20)
    assert [row.name for row in rows if row.name.startswith("ap50/rare/")] == ["ap50/rare/mean", "ap50/rare/nodule"]


def test_the_page_of_two_runs_needs_no_other_file(tmp_path, capsys):
    for name, skill in (("weak", 0.3), ("<strong>", 0.9)):
        (tmp_path / name).mkdir()
        save_scene(scene(name, skill), tmp_path / name / f"made{ENDING}")
    out = tmp_path / "pages" / "compare.html"
    runs = [str(tmp_path / "weak"), str(tmp_path / "<strong>" / f"made{ENDING}")]
    assert main([*runs, "--out", str(out), "--resamples", "60"]) == 0
    text = out.read_text()
    assert "&lt;strong&gt;" in text
    assert "<strong>" not in text
    assert re.search(r'<tr class="rare"><td>ap50/rare/mean</td>.*class="up">\+0\.\d{3} \[\+0', text)
    assert set(re.findall(r'(?:src|href)="([^,"]*)', text)) == {"data:image/png;base64"}
    assert text.count("<tr") == 1 + len(compare([scene("weak", 0.3)], resamples=10))


def test_a_full_disk_is_one_sentence_and_leaves_the_page_before(tmp_path, capsys):
    save_scene(scene("a", 0.5), tmp_path / f"made{ENDING}")
    out = tmp_path / "pages" / "compare.html"
    job = [str(tmp_path / f"made{ENDING}"), "--resamples", "10", "--out"]
    for before in ({}, {"compare.html": "before"}):
        for limit in (0, 1_000):
            with no_file_longer_than(limit):
                assert main([*job, str(out)]) == 2
            told = capsys.readouterr()
            assert re.search(r"error: .*compare\.html cannot be written \(File too large\); make room", told.err)
            assert told.out == ""
            assert {path.name: path.read_text() for path in out.parent.iterdir()} == before
        out.write_text("before")
    assert main([*job, str(out / "inside" / "compare.html")]) == 2  # a file where the folder should be
    assert "inside cannot be written" in capsys.readouterr().err


def test_runs_that_cannot_be_compared_are_named(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 2
    assert "holds no scene" in capsys.readouterr().err
    for name in ("a", "b"):
        save_scene(scene(name, 0.5), tmp_path / "empty" / f"{name}{ENDING}")
    with pytest.raises(UsageError, match="two scenes of made films"):
        find_scenes(str(tmp_path / "empty"), tmp_path)


def test_runs_in_mlflow_are_compared_by_name(tmp_path):
    home, files = tmp_path / "mlruns", []
    for name, skill in (("weak", 0.3), ("strong", 0.9)):
        file = tmp_path / f"{name}{ENDING}"
        save_scene(scene(name, skill), file)
        with open_run(home, "medground", name) as run:
            log_scene(run, "made", file)
        files.append(load_scene(file))
    assert [list(find_scenes(name, home).values()) for name in ("weak", run.run_id)] == [[each] for each in files]
    with pytest.raises(UsageError, match="neither a file, a folder nor a run"):
        find_scenes("absent", home)
    (sheet,) = find_artifacts(home, "medground", "weak", "worst_cases.png")
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_a_scene_under_pseudonyms_is_compared_with_the_scene_of_the_same_images():
    plain, other = scene("plain", 0.5), under_pseudonyms(scene("other", 0.9))
    assert not {image.image_id for image in plain.images} & {image.image_id for image in other.images}
    assert compare([plain, other], resamples=50) == compare([plain, scene("other", 0.9)], resamples=50)
    with pytest.raises(UsageError, match="measured on other images"):
        compare([plain, under_pseudonyms(scene("other", 0.9, truth=1))], resamples=10)


def cells(page: str, name: str) -> list[str]:
    (row,) = re.findall(rf"<tr[^>]*><td>{name}</td>(.*)</tr>", page)
    return re.findall(r"<td[^>]*>([^<]*)</td>", row)


def test_committed_runs_without_scenes_are_set_side_by_side(tmp_path, capsys):
    home, out = tmp_path / "mlruns", tmp_path / "compare.html"
    told = {}
    for name in ("limb-tuned", "shipped"):
        bring_in(RUNS / f"{name}.run.json", home, "medground")
        (told[name],) = [
            child.metrics
            for child in read_summary(RUNS / f"{name}.run.json").children
            if child.name in ("evaluation fracatlas-valid-part", "evaluation limb")
        ]
    assert main(["limb-tuned", "shipped", "--mlruns", str(home), "--out", str(out)]) == 0
    page = out.read_text()
    why = "No scene of 'limb-tuned' and 'shipped' was kept"
    assert why in capsys.readouterr().err
    assert why in page.replace("&#x27;", "'")
    assert page.count("<h2>") == 1  # fracatlas dev was measured by one of them only
    expected = []
    for metrics in told.values():
        value, low, high, n = (metrics[f"ap50/fracture{part}"][0][1] for part in ("", "/low", "/high", "/n"))
        expected += [f"{value:.3f} [{low:.3f}, {high:.3f}]", f"{n:.0f}"]
    assert cells(page, "ap50/fracture") == expected
    assert cells(page, "absent_error")[:2] == ["-", "-"]
    assert "run 2 - run 1" not in page


def test_rare_findings_of_run_1_come_first_where_figures_are_all_there_is(tmp_path):
    home, out = tmp_path / "mlruns", tmp_path / "compare.html"
    for name in ("ablation-base-fold0", "ablation-no-miner-fold0"):
        bring_in(RUNS / f"{name}.run.json", home, "medground")
    names = ["ablation-base-fold0", "ablation-no-miner-fold0"]
    assert main([*names, "--mlruns", str(home), "--out", str(out)]) == 0
    page = out.read_text()
    assert page.count("<h2>cxr fold 0, dev part</h2>") == 1  # not that with another share of prototypes
    rows = re.findall(r"<tr[^>]*><td>([^<]*)</td>", page)
    rare = [row for row in rows if row.startswith("ap50/rare/")]
    assert len(rare) > 3
    assert rows[: len(rare)] == rare
    assert rare[0] == "ap50/rare/mean"
    assert rows[len(rare) : len(rare) + 3] == ["ap50/mean", "ap/mean", "froc/mean"]
    assert rows[-1] == "absent_error"
    assert not {row.replace("/rare", "") for row in rare[1:]} & set(rows)


def test_runs_with_scenes_keep_their_paired_differences_beside_one_without(tmp_path):
    home, out = tmp_path / "mlruns", tmp_path / "compare.html"
    for name, skill in (("weak", 0.3), ("strong", 0.9)):
        save_scene(scene(name, skill), tmp_path / f"{name}{ENDING}")
    with open_run(home, "medground", "logged") as run, run.child("evaluation made", kind="evaluation") as child:
        child.parameters({"system": "logged", "data": "made films", "images": 60})
        child.figures(figures_of(scene("logged", 0.5), resamples=20))
    runs = [str(tmp_path / f"weak{ENDING}"), "logged", str(tmp_path / f"strong{ENDING}")]
    assert main([*runs, "--mlruns", str(home), "--out", str(out), "--resamples", "60"]) == 0
    weak, n, logged, _, unpaired, _, _, paired = cells(out.read_text(), "ap50/nodule")
    (row,) = [
        row for row in compare([scene("weak", 0.3), scene("strong", 0.9)], resamples=60) if row.name == "ap50/nodule"
    ]
    assert weak.startswith(f"{row.values[0].value:.3f} [{row.values[0].low:.3f}")
    assert int(n) == row.n
    assert "[" in logged
    assert unpaired == "-"
    assert paired == f"{row.differences[0].value:+.3f} [{row.differences[0].low:+.3f}, {row.differences[0].high:+.3f}]"


def test_a_run_without_scenes_and_figures_is_named(tmp_path, capsys):
    with open_run(tmp_path / "mlruns", "medground", "bare"):
        pass
    assert main(["bare", "--mlruns", str(tmp_path / "mlruns")]) == 2
    assert "'bare' holds no scene (*.scene.json.gz) and no logged figures" in capsys.readouterr().err


def test_curves_pass_through_the_figures_and_become_pictures(tmp_path):
    made = scene("a", 0.7)
    images, boxes = made.truth(), made.detections("nodule")
    recall, precision = precision_recall(images, boxes, "nodule")
    hits = round(recall[-1] * sum(t.concept == "nodule" for i in images for t in i.truths))
    assert precision[-1] == pytest.approx(hits / len(recall))
    false, sensitivity = froc_curve(images, boxes, "nodule")
    for point in froc(images, boxes, "nodule").points:
        assert max(sensitivity[false <= point.fp_per_image], default=0) == pytest.approx(point.sensitivity)
    assert precision_recall(images, [], "mass") is None
    draw({"nodule": (false, sensitivity)}, tmp_path / "froc.png", across="x", up="y", false_positives=True)
    with Image.open(tmp_path / "froc.png") as picture:
        assert picture.size == (900, 600)
