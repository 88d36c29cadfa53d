"""Whole runs of `medground prototypes` over drawn films, labelled as COCO."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from medground.cli.main import create_app
from medground.data.columnar import write_data_set
from medground.data.importers import ImportOptions, by_name
from medground.evaluation.overlap import iou_matrix
from medground.inference.understand import understand
from medground.model.bundle import read_bundle
from medground.model.bundle_facts import read_facts
from medground.model.bundle_write import save_bundle
from medground.model.cases import MOST_CASES, Cases, Picture
from medground.model.roi import SAMPLES
from medground.schema.anatomy import Domain
from medground.schema.result import GroundingResult, Verdict
from tests.model.made_cases import one_case
from tests.model.shapes import NEW, drawn_picture, trained_bundle


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(create_app(), ["prototypes", *map(str, words)], env={"COLUMNS": "200"})
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old") / "bundle"
    save_bundle(trained_bundle(), folder)
    return folder


def labelled(folder: Path, count: int, *, label: str = "dark spot") -> Path:
    """A COCO folder of films with one disc each."""
    folder.mkdir(parents=True)
    images, annotations = [], []
    for number in range(count):
        picture, (box,) = drawn_picture(3000 + number, NEW)
        Image.fromarray((picture * 255).astype("uint8")).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        x1, y1, x2, y2 = map(float, box)
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    table = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": label}]}
    (folder / "labels.json").write_text(json.dumps(table))
    return folder


def words(bundle: Path, images: Path, out: Path) -> tuple[object, ...]:
    names = ("--name", "dark spot", "--name-zh", "暗斑", "--synonym", "murk", "--synonym", "墨点")
    return ("add", "--bundle", bundle, "--images", images, "--concept", "dark_spot", "--out", out, *names)


def test_a_class_is_added_listed_and_removed(old: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    out = tmp_path / "new"
    code, text = run(*words(old, labelled(tmp_path / "films", 4), out), "--domain", "chest-radiograph")
    assert code == 0, text
    assert "dark_spot (dark spot): 4 images (chest radiograph), 4 boxes" in text
    assert "100% of its score" in text
    assert "self-check, each patient left out once: " in text
    assert "of 4 boxes found" in text
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    new = read_bundle(out)
    assert new.network.config.classes[-1] == "dark_spot"
    assert new.vocabulary["dark_spot"].names == {"en": ("dark spot", "murk"), "zh": ("暗斑", "墨点")}
    assert new.info.version == "1+dark_spot"
    for question in ("find the dark spot", "any murk?", "有没有暗斑", "有墨点吗"):
        assert understand(question, new.vocabulary).understood.concepts == ("dark_spot",), question
    code, text = run("list", "--bundle", out)
    assert code == 0
    row = next(line for line in text.splitlines() if "dark_spot" in line)
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == [
        "dark_spot",
        "dark spot",
        "added",
        "4",
        "2",
        "1.00",
    ]
    code, text = run("remove", "--bundle", out, "--concept", "dark_spot", "--out", tmp_path / "back")
    assert code == 0, text
    for name in ("config.json", "vocabulary.json", "scope.json", "calibration.json", "training_summary.json"):
        assert (tmp_path / "back" / name).read_bytes() == before[name], name
    back = read_bundle(tmp_path / "back").network.state_dict()
    for name, value in read_bundle(old).network.state_dict().items():
        assert torch.equal(value, back[name]), name


def test_a_question_by_the_new_name_is_answered_with_a_box(old: Path, tmp_path: Path) -> None:
    out, films = tmp_path / "new", labelled(tmp_path / "films", 8)
    assert run(*words(old, films, out))[0] == 0
    picture, (_, spot) = drawn_picture(1000, f"s{NEW}")
    Image.fromarray((picture * 255).astype("uint8")).save(tmp_path / "film.png")
    verdicts = {}
    for bundle in (old, out):
        line = ("ground", tmp_path / "film.png", "--bundle", bundle, "--query", "find the dark spot", "--json")
        done = CliRunner().invoke(create_app(), [str(word) for word in line])
        assert done.exit_code == 0, done.output
        (answer,) = GroundingResult.model_validate_json(done.stdout).studies[0].answers
        verdicts[bundle.name] = answer.verdict
    assert verdicts == {"bundle": Verdict.UNSUPPORTED, "new": Verdict.FOUND}
    best = answer.findings[0]
    assert best.concept.name == "dark spot"
    assert iou_matrix([best.box_xyxy_px], [spot])[0, 0] > 0.5


def test_the_regions_become_cases_in_words_alone(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    code, text = run(*words(old, labelled(tmp_path / "Doe, Jane 4711", 4), out), "--domain", "chest-radiograph")
    assert code == 0, text
    assert "4 regions are kept as cases to show beside what is found, no pictures" in text
    cases = read_facts(out).cases
    assert len(cases.known) == 4
    assert cases.pictures == {}
    for one in cases.known:
        assert (one.concept, one.domain, one.source) == ("dark_spot", Domain.CHEST_RADIOGRAPH, "added to this bundle")
        assert (one.picture, one.box_xyxy_px, one.synthetic) == (Picture.NOT_ASKED, None, False)
    told = (out / "cases.json").read_text()
    for name in ("Doe", "4711", "labels.json", ".png", "films"):
        assert name not in told
    code, _ = run("remove", "--bundle", out, "--concept", "dark_spot", "--out", tmp_path / "back")
    assert code == 0
    assert not (tmp_path / "back" / "cases.json").exists()


def test_pictures_are_kept_if_asked_for_and_a_finding_names_what_it_looks_like(old: Path, tmp_path: Path) -> None:
    out, films = tmp_path / "new", labelled(tmp_path / "films", 6)
    code, text = run(*words(old, films, out), "--keep-thumbnails", "--domain", "chest-radiograph")
    assert code == 0, text
    assert "6 regions are kept as cases to show beside what is found, a picture of each" in text
    cases = read_facts(out).cases
    assert set(cases.pictures) == {one.id for one in cases.known}
    for one in cases.known:
        assert one.box_xyxy_px is not None
        x1, y1, x2, y2 = (round(edge) for edge in one.box_xyxy_px)
        picture = cases.pictures[one.id]
        middle = picture[(y1 + y2) // 2 - 3 : (y1 + y2) // 2 + 3, (x1 + x2) // 2 - 3 : (x1 + x2) // 2 + 3]
        assert middle.mean() < picture.mean() - 20  # a dark disc on grey
    line = ("ground", films / "3.png", "--bundle", out, "--query", "find the dark spot", "--json", "--min-score", "0")
    done = CliRunner().invoke(create_app(), [str(word) for word in line])
    assert done.exit_code == 0, done.output
    best = GroundingResult.model_validate_json(done.stdout).studies[0].answers[0].findings[0]
    alike = [one.similarity for one in best.similar]
    assert len(alike) == 4
    assert alike == sorted(alike, reverse=True)
    assert alike[0] > 0.9  # its own region, boxed a little otherwise
    assert {one.case for one in best.similar} <= {one.id for one in cases.known}


def nodules(bundle: Path, films: Path, out: Path) -> tuple[object, ...]:
    asked = ("add", "--bundle", bundle, "--images", films, "--concept", "nodule", "--out", out)
    return (*asked, "--keep-thumbnails", "--domain", "chest-radiograph")


def test_a_class_from_training_keeps_cases_only_while_they_are_shown(tmp_path: Path) -> None:
    bundle = trained_bundle()
    trained = [one.model_copy(update={"real_boxes": 47}) for one in bundle.scope.trained]
    scope = bundle.scope.model_copy(update={"trained": tuple(trained)})
    save_bundle(replace(bundle, scope=scope), tmp_path / "old")
    films = labelled(tmp_path / "films", 2, label="nodule")
    code, text = run(*nodules(tmp_path / "old", films, tmp_path / "rare"))
    assert code == 0, text
    assert "2 regions are kept as cases to show beside what is found, a picture of each" in text
    assert len(read_facts(tmp_path / "rare").cases.pictures) == 2
    more = labelled(tmp_path / "more", 3, label="nodule")
    code, text = run(*nodules(tmp_path / "old", more, tmp_path / "common"))
    assert code == 0, text
    assert "0 regions are kept" in text
    assert "no region on a chest radiograph is kept: 50 or more real boxes stand behind nodule there" in text
    assert "were added before" not in text
    assert read_facts(tmp_path / "common").cases.known == ()
    code, text = run(*nodules(tmp_path / "rare", films, tmp_path / "again"))
    assert code == 0, text
    assert "cases of nodule that were added before are in the bundle; `prototypes remove` takes them out" in text
    code, text = run("remove", "--bundle", tmp_path / "again", "--concept", "nodule", "--out", tmp_path / "back")
    assert code == 0, text
    assert "2 added cases of nodule, which comes from training and stays, removed" in text
    assert not (tmp_path / "back" / "cases.json").exists()


def test_as_many_cases_are_kept_as_there_is_room_for(tmp_path: Path) -> None:
    bundle = trained_bundle()
    count = MOST_CASES - 2
    known = tuple(one_case(0).known[0].model_copy(update={"id": f"{n:016x}"}) for n in range(count))
    full = Cases(known, np.ones((count, bundle.network.backbone.width * SAMPLES**2), np.float16))
    save_bundle(replace(bundle, cases=full), tmp_path / "old")
    films = labelled(tmp_path / "films", 4)
    code, text = run(*words(tmp_path / "old", films, tmp_path / "new"), "--domain", "chest-radiograph")
    assert code == 0, text
    assert "2 regions are kept as cases" in text
    assert "the bundle is full with 512 cases: 2 of 4 were kept" in text
    cases = read_facts(tmp_path / "new").cases
    assert cases.known[:count] == known
    assert [one.concept for one in cases.known[count:]] == ["dark_spot"] * 2
    code, text = run(*words(tmp_path / "new", films, tmp_path / "newer")[:9], "--domain", "chest-radiograph")
    assert code == 0, text
    assert "the bundle is full with 512 cases: 0 of 4 were kept" in text


def test_a_data_set_and_a_class_from_training(old: Path, tmp_path: Path) -> None:
    films = labelled(tmp_path / "films", 1, label="nodule")
    records = by_name("coco")(films, ImportOptions()).records
    write_data_set(tmp_path / "set", records, name="films", vocabulary=trained_bundle().vocabulary)
    code, text = run(
        "add", "--bundle", old, "--images", tmp_path / "set", "--concept", "nodule", "--out", tmp_path / "n"
    )
    assert code == 0, text
    assert "nodule comes from training and keeps the words it learned; images behind its prototypes: 36 + 1" in text
    assert "no self-check" in text
    assert "warning: one image says little about a class" in text
    new = read_bundle(tmp_path / "n")
    assert new.network.prototypes.images_C.tolist() == [37, *trained_bundle().network.prototypes.images_C.tolist()[1:]]
    assert not new.network.prototypes.added_C.any()


def test_what_cannot_be_added_is_said(old: Path, tmp_path: Path) -> None:
    films, out = labelled(tmp_path / "films", 2), tmp_path / "out"
    (tmp_path / "empty").mkdir()
    asked = words(old, films, out)
    swapped = {
        "is no key": [("dark_spot", "Dark Spot")],
        "none of 2 images": [("dark_spot", "stain"), ("dark spot", "stain")],
        "is no data set": [(films, tmp_path / "empty")],
        "leave its names and code out": [("dark_spot", "hernia")],
        "names both": [("murk", "lung nodule")],
        "is there already": [(out, films)],
    }
    for message, pairs in swapped.items():
        changed = [next((new for was, new in pairs if word == was), word) for word in asked]
        code, text = run(*changed)
        assert code == 2, (message, text)
        assert message in text, text
    groundless = copy.deepcopy(trained_bundle())
    groundless.network.prototypes.ground.forget()
    save_bundle(groundless, tmp_path / "groundless")
    code, text = run(*words(tmp_path / "groundless", films, out))
    assert code == 2
    assert "keeps no statistics of its embeddings" in text
    code, text = run("remove", "--bundle", old, "--concept", "nodule", "--out", out)
    assert code == 2
    assert "comes from training and cannot be taken out" in text
    assert not out.exists()
