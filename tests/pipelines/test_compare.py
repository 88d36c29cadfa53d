from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from medground.evaluation.calibration import calibration
from medground.evaluation.detection import average_precision, patients_of, value_of
from medground.evaluation.froc import froc
from medground.schema.errors import UsageError
from medground.schema.result import Verdict
from medground.tracking.runs import open_run
from pipelines.compare import compare, find_scenes, main
from pipelines.curves import draw, froc_curve, precision_recall
from pipelines.resampled import absent_error_statistic, ece_statistic, froc_statistic
from pipelines.scenes import ENDING, Scene, SceneImage, figures_of, load_scene, log_scene, report_of, save_scene

BOXES = {"nodule": 300, "cavity": 12}


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


def test_a_scene_survives_its_file_and_gives_the_report_it_came_from(tmp_path):
    first = scene("a", 0.5)
    path = tmp_path / f"chest{ENDING}"
    save_scene(first, path)
    again = load_scene(path)
    assert again == first
    assert report_of(again, resamples=20) == report_of(first, resamples=20)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UsageError, match="is no readable scene"):
        load_scene(path)


def test_statistics_equal_the_plain_figures_on_data_with_patients_repeated():
    """Whole weights mean copies of a patient: the plain formulas on the copied images give the same."""
    made = scene("a", 0.6)
    images, questions = made.truth(), made.questions()
    patients = patients_of(images)
    weights = np.random.default_rng(3).integers(0, 3, (4, len(patients))).astype(float)
    ece, n = ece_statistic(images, questions, "nodule")
    absent, n_absent = absent_error_statistic(images, questions)
    curve = froc_statistic(images, made.detections("cavity"), "cavity")
    assert n == 60
    for row, values in zip(weights, zip(curve(weights), ece(weights), absent(weights), strict=True), strict=True):
        copies = [
            image.model_copy(update={"image_id": f"{image.image_id}/{k}"})
            for image in made.images
            for k in range(int(row[patients.index(image.patient_id)]))
        ]
        copied = made.model_copy(update={"images": tuple(copies)})
        asked = [q for own in copied.questions().values() for q in own]
        about = [q for q in asked if q.concept == "nodule"]
        wrong = [q.verdict == Verdict.FOUND for q in asked if not q.present]
        plain = (
            froc(copied.truth(), copied.detections("cavity"), "cavity").mean_sensitivity,
            calibration([q.presence for q in about], [q.present for q in about]).ece,
            sum(wrong) / len(wrong),
        )
        assert values == pytest.approx(plain, abs=1e-12)
    assert n_absent == sum(not q.present for own in questions.values() for q in own)


def test_nothing_to_measure_gives_no_value():
    made = scene("a", 0.6)
    empty = made.model_copy(update={"images": tuple(i.model_copy(update={"truths": ()}) for i in made.images)})
    assert froc_statistic(empty.truth(), empty.detections("cavity"), "cavity") is None
    ece, n = ece_statistic(made.truth(), {}, None)
    assert (value_of(ece, made.truth()), n) == (None, 0)
    assert not [f for f in figures_of(empty, resamples=10) if f.name.startswith(("ap", "froc"))]


def test_figures_have_the_fixed_names_an_interval_and_n():
    made = scene("a", 0.6)
    found = {figure.name: figure for figure in figures_of(made, resamples=100)}
    assert set(found) == {
        *(f"{family}/{c}" for family in ("ap50", "ap", "froc", "ece") for c in BOXES),
        *("ap50/mean", "ap/mean", "froc/mean", "ece/all", "absent_error"),
        *("ap50/rare/cavity", "ap50/rare/mean"),
    }
    assert all(f.low is not None and f.low <= f.value <= f.high and f.n > 0 for f in found.values())
    images = made.truth()
    assert found["ap50/rare/cavity"].value == average_precision(images, made.detections("cavity"), "cavity")
    assert found["ap50/nodule"].n == sum(t.concept == "nodule" for i in images for t in i.truths)
    assert found["ece/all"].n == 120


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
