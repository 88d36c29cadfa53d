"""The commands about data sets and de-identification that the README shows, one after another, as it shows them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from medground.cli.main import create_app
from tests.data.films import film
from tests.dicom.conftest import dicom_file


def commands(repository: Path, heading: str) -> list[list[str]]:
    section = (
        (repository / "README.md").read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    )
    return [shlex.split(line)[1:] for line in section.splitlines() if line.startswith("medground ")]


def fracatlas(folder: Path) -> None:
    """Thirty films in the published layout."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(30):
        record = film(folder / "images" / f"IMG{number}.jpg", number, None)
        split = "valid" if number < 6 else "train"
        size = {"width": record.columns, "height": record.rows}
        images.append({"id": number, "file_name": f"IMG{number}.jpg", "split": split, **size})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": [10, 10, 40, 30]})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "fracture"}]}
    (folder / "annotations_coco.json").write_text(json.dumps(content), encoding="utf-8")


def test_data_sets(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fracatlas(tmp_path / "FracAtlas")
    shown = commands(repository, "Data sets")
    assert [words[:2] for words in shown] == [
        ["import", "list"],
        ["import", "fracatlas"],
        ["data", "split"],
        ["data", "export"],
        ["data", "card"],
    ]
    for words in shown:
        done = CliRunner().invoke(create_app(), words)
        assert done.exit_code == 0, (words, done.output)
    split = json.loads(Path("data/fracatlas/split.json").read_text())
    assert {part: len(ids) for part, ids in split["parts"].items()}["valid"] == 6
    assert split["leaks"] == []
    assert len(Path("data/fracatlas-qwen/conversations.jsonl").read_text(encoding="utf-8").splitlines()) > 100
    assert "| fracture (fracture) | 30 |" in Path("data/fracatlas/data_card.md").read_text(encoding="utf-8")


def test_deidentification(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("STUDY").mkdir()
    content = dicom_file(
        np.arange(4096, dtype=np.uint16).reshape(64, 64), StudyDate="20200229", BodyPartExamined="HAND"
    )
    Path("STUDY/one.dcm").write_bytes(content)
    (words,) = commands(repository, "DICOM in and out")
    assert words[0] == "deidentify"
    done = CliRunner().invoke(create_app(), words)
    assert done.exit_code == 0, done.output
    written = list(Path("SHARED").rglob("*.dcm"))
    assert len(written) == 1
    assert b"Doe" not in written[0].read_bytes()
