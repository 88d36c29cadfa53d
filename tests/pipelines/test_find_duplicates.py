from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipelines.find_duplicates import main


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Five pictures of smooth random structure; the fifth is the second, saved again smaller."""
    (tmp_path / "images").mkdir()
    images = []
    for n in range(5):
        seed = 1 if n == 4 else n
        noise = np.random.default_rng(seed).integers(0, 255, (240, 240), dtype=np.uint8)
        picture = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(5)).point(lambda v: max(0, 8 * (v - 112)))
        picture = picture.resize((228, 228)) if n == 4 else picture
        picture.save(tmp_path / "images" / f"i{n}.jpg", quality=95 if n < 4 else 40)
        part = "valid" if n in (1, 3) else "train"
        size = {"width": picture.width, "height": picture.height}
        images.append({"id": n, "file_name": f"i{n}.jpg", "split": part, **size})
    content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "fracture"}]}
    (tmp_path / "annotations_coco.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_the_table_names_the_copy_with_train_first(data_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = data_set / "table.csv"
    assert main(["--data", str(data_set), "--write", str(table)]) == 0
    header, row = table.read_text(encoding="utf-8").splitlines()
    assert header == "first,first_part,second,second_part,correlation"
    assert row.split(",")[:4] == ["i4", "train", "i1", "valid"]
    assert float(row.split(",")[4]) > 0.9
    assert capsys.readouterr().out == "1 pairs show one film, 1 of them in two parts\n"
    assert [path.name for path in data_set.glob("table*")] == ["table.csv"]


def test_a_missing_data_set_is_exit_2_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "--write", str(tmp_path / "t.csv")]) == 2
    assert "annotations_coco.json" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
