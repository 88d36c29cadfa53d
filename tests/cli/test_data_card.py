from __future__ import annotations

import json
from pathlib import Path

import mlcroissant
import pytest

from medground.cli.data_card import Options, run_card
from medground.data.columnar import DataSet, write_data_set
from medground.data.vocabulary import load_vocabulary
from medground.schema.errors import InputNotFoundError
from tests.data.films import film


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records = [film(tmp_path / f"{seed}.jpg", seed, "train") for seed in range(3)]
    write_data_set(tmp_path / "set", records, name="films", vocabulary=load_vocabulary(), copy=False)
    return tmp_path / "set"


def test_both_files_beside_the_index(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_card(Options(folder)) == 0
    said = capsys.readouterr().out
    assert "3 images, 3 boxes" in said
    assert "--licence, --source, --description not stated" in said
    page = (folder / "data_card.md").read_text(encoding="utf-8")
    assert "- Licence: not stated" in page
    assert "| train | 3 | 3 |" in page
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert dataset.metadata.ctx.issues.errors == set()
    assert len(list(dataset.records("images"))) == 3
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert len(DataSet(folder)) == 3


def test_elsewhere_with_what_the_owner_says(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cards" / "films"
    options = Options(folder, out, "CC BY 4.0", "A hospital", "Limbs of adults: 患者。")
    assert run_card(options) == 0
    assert "not stated" not in capsys.readouterr().out
    described = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    assert described["license"] == "CC BY 4.0"
    assert described["distribution"][0]["contentUrl"] == "../../set/index.parquet"
    assert str(tmp_path) not in (out / "croissant.json").read_text(encoding="utf-8")
    assert "患者" in (out / "data_card.md").read_text(encoding="utf-8")
    assert len(list(mlcroissant.Dataset(jsonld=str(out / "croissant.json")).records("images"))) == 3


def test_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no data set"):
        run_card(Options(tmp_path))
    assert list(tmp_path.iterdir()) == []
