from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from medground.cli.main import create_app
from medground.data.columnar import DataSet
from medground.data.importers import importers


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(create_app(), ["import", *map(str, words)])
    return result.exit_code, result.output


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A YOLO set of a factory, with a vocabulary of its own."""
    folder = tmp_path / "shop"
    for part in ("images", "labels"):
        (folder / part / "train").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "images" / "train" / "a.png")
    (folder / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n2 0.1 0.1 0.1 0.1\n")
    (folder / "data.yaml").write_text("names: [Scratch, Delle, Other]\n")
    concepts = [
        {
            "key": key,
            "code": {"scheme": "99SHOP", "value": key, "meaning": key},
            "names": {"en": [key], "zh": [name]},
            "domains": ["other"],
        }
        for key, name in (("scratch", "划痕"), ("dent", "凹痕"))
    ]
    (tmp_path / "shop.json").write_text(json.dumps({"concepts": concepts}))
    return folder


def test_a_factory_brings_its_own_words(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (
        *("yolo", shop, "--out", out, "--vocabulary", tmp_path / "shop.json", "--class", "Delle=dent"),
        *("--exhaustive-for", "dent", "--exhaustive-for", "scratch", "--name", "shop"),
    )
    code, text = run(*words)
    assert code == 0, text
    data = DataSet(out)
    assert data.manifest.name == "shop"
    assert [region.concept for region in data[0].regions] == ["scratch", "dent"]
    assert data[0].exhaustive_for == {"scratch", "dent"}
    assert {concept.key for concept in data.vocabulary.concepts} == {"scratch", "dent"}
    assert "1 of 1 images, 2 of 3 boxes" in text
    assert "Other (1)" in text
    report = json.loads((out / "import_report.json").read_text())
    assert report["unmapped"] == {"Other": 1}
    # What is there is not written over unasked.
    assert run(*words)[0] == 2
    assert run(*words, "--replace")[0] == 0


def test_formats_are_listed() -> None:
    code, text = run("list")
    assert code == 0
    for name in importers():
        assert name in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frames", "SHOP", "--out", "OUT"], "no importer is called 'frames'"),
        (["yolo"], "give the source and --out"),
        (["yolo", "SHOP", "--out", "OUT", "--class", "dent"], "is not NAME=KEY"),
        (["yolo", "SHOP", "--out", "OUT", "--domain", "foot"], "--domain 'foot' is none of"),
        (["yolo", "SHOP", "--out", "OUT", "--exhaustive-for", "dent"], "no concept of the vocabulary"),
        (["yolo", "SHOP", "--out", "OUT", "--vocabulary", "SHOP/data.yaml"], "is no vocabulary"),
        (["yolo", "SHOP/nowhere", "--out", "OUT"], "no data.yaml or classes.txt"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], message: str, shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text = run(*(word.replace("SHOP", str(shop)).replace("OUT", str(out)) for word in words))
    assert code == 2
    assert message in text
    assert not out.exists()
