from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from medground.cli.main import create_app
from medground.data.columnar import write_data_set
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(create_app(), ["data", "export", *map(str, words)])
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records = []
    for name in ("a", "../b"):
        path = tmp_path / f"{name[-1]}.png"
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 65535, (50, 100), dtype=np.uint16)).save(path)
        records.append(
            ImageRecord(
                record_id=name,
                patient_id=name,
                path=path,
                columns=100,
                rows=50,
                domain=Domain.CHEST_RADIOGRAPH,
                dataset="d",
                regions=(Region(concept="nodule", box=Box(x1=10, y1=10, x2=40, y2=30), source="s"),),
                exhaustive_for=frozenset({"nodule", "mass"}),
                part="train" if name == "a" else None,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
        )
    write_data_set(tmp_path / "set", records, name="d", vocabulary=load_vocabulary())
    return tmp_path / "set"


def test_conversations_with_pictures(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (folder, "--out", out, "--format", "qwen", "--coordinates", "absolute")
    code, text = run(*words)
    assert code == 0, text
    first = (out / "conversations.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in first.splitlines()]
    assert f"2 images, {len(lines)} questions" in text
    for line in lines:
        picture = out / line["image"]
        assert picture.resolve().is_relative_to(out.resolve())  # "../b" is no path
        with Image.open(picture) as image:
            assert (image.mode, image.size) == ("L", (100, 50))
        for answer in json.loads(line["conversations"][1]["value"]):
            # 100x50 becomes 112x56.
            assert answer["bbox_2d"] == [round(10 * 1.12), round(10 * 1.12), round(40 * 1.12), round(30 * 1.12)]
    asked = {line["id"].split(":")[1] for line in lines}
    assert {"present", "confusable", "count"} <= asked
    assert run(*words)[0] == 0
    assert (out / "conversations.jsonl").read_text(encoding="utf-8") == first
    assert run(*words, "--seed", 1)[0] == 0
    assert (out / "conversations.jsonl").read_text(encoding="utf-8") != first


def test_coco_of_one_part(folder: Path, tmp_path: Path) -> None:
    code, text = run(folder, "--out", tmp_path / "out", "--format", "coco", "--part", "train", "--no-images")
    assert code == 0, text
    content = json.loads((tmp_path / "out" / "annotations.json").read_text(encoding="utf-8"))
    assert [(image["width"], image["split"]) for image in content["images"]] == [(100, "train")]
    assert [mark["bbox"] for mark in content["annotations"]] == [[10, 10, 30, 20]]
    assert not (tmp_path / "out" / "images").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "yolo"), "--format 'yolo' is none of coco, qwen"),
        (("--format", "qwen", "--coordinates", "mm"), "--coordinates 'mm' is none of"),
        (("--format", "coco", "--part", "test"), "is in part 'test'"),
    ],
)
def test_what_cannot_be_done_is_said(words: tuple[str, ...], message: str, folder: Path, tmp_path: Path) -> None:
    code, text = run(folder, "--out", tmp_path / "out", *words)
    assert code == 2
    assert message in text
    assert run(tmp_path, "--out", tmp_path / "out", "--format", "coco")[0] == 2
