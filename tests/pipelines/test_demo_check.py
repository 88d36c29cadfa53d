"""What counts as right when the demo's questions are asked about many patients."""

from __future__ import annotations

import itertools

from apps.demo.__main__ import QUESTIONS, patients, phantom
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Request
from medground.model.grounder import load_grounder
from medground.schema.errors import BundleError, UsageError
from medground.schema.result import Verdict
from pipelines import demo_check
from pipelines.demo_check import ABOUT, Told, ask, table, told


def test_the_first_patient_is_that_of_the_demo_and_all_show_the_same():
    first, second = itertools.islice(patients(), 2)
    assert first.seed == phantom().seed != second.seed
    assert {region.concept for region in second.regions} == set(ABOUT.values()) - {"pneumothorax"}


def test_a_bundle_is_asked_every_question():
    found = ask([phantom()], load_grounder())
    assert tuple(found) == QUESTIONS
    (effusion,), (absent,) = found["right pleural effusion"], found["is there a pneumothorax?"]
    assert (effusion.verdict, effusion.right) == (Verdict.FOUND, True)
    assert (absent.right, absent.hit) == (absent.verdict is Verdict.NOT_FOUND, False)


def test_an_answer_is_judged_by_what_is_drawn(tmp_path):
    image = phantom()
    files = write_radiograph_study(image, tmp_path)
    result = ground(gather(files), Request(QUESTIONS), load_grounder()).result
    answer = next(one for one in result.studies[0].answers if one.query == "right pleural effusion")
    (drawn,) = [region.box.xyxy_px for region in image.regions if region.concept == "pleural_effusion"]
    exact = answer.findings[0].model_copy(update={"box_xyxy_px": drawn, "score": 1.0})
    fits = answer.model_copy(update={"findings": (*answer.findings, exact)})
    assert told(image, "pleural_effusion", fits) == Told(Verdict.FOUND, right=True, hit=True)
    far = exact.model_copy(update={"box_xyxy_px": (0.0, 0.0, 1.0, 1.0)})
    assert not told(image, "pleural_effusion", answer.model_copy(update={"findings": (far,)})).hit
    absent = answer.model_copy(update={"findings": (), "verdict": Verdict.NOT_FOUND})
    assert told(image, "pleural_effusion", absent) == Told(Verdict.NOT_FOUND, right=False, hit=False)
    assert told(image, "pneumothorax", absent) == Told(Verdict.NOT_FOUND, right=True, hit=False)
    assert not told(image, "pneumothorax", fits).right


def test_the_table_counts():
    yes, no = Told(Verdict.FOUND, right=True, hit=False), Told(Verdict.UNCERTAIN, right=False, hit=True)
    text = table({"a": {question: [yes, yes, no] for question in QUESTIONS}}, frozenset({"nodule", "pleural_effusion"}))
    rows = dict(line.strip("| ").split(" | ") for line in text.splitlines()[2:])
    assert rows["find the lung nodule: verdict right"].startswith("2 of 3 [0.21, 0.94]")
    assert rows["find the lung nodule: best box at IoU 0.5"].startswith("1 of 3 ")
    assert "is there a pneumothorax?: best box at IoU 0.5" not in rows


def test_nobody_to_ask_about_is_an_error_in_words(capsys):
    assert demo_check.main(["--count", "0"]) == UsageError.exit_code
    assert "--count 0: there must be 1 patient or more" in capsys.readouterr().err


def test_a_bundle_that_is_not_there_is_an_error_in_words(tmp_path, capsys):
    assert demo_check.main(["--count", "1", "--bundle", str(tmp_path / "none")]) == BundleError.exit_code
    assert "there is no model bundle at" in capsys.readouterr().err
