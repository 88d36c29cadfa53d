from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from pycocotools.coco import COCO

from medground.data.export import Coordinates, Resizing, box_numbers, resized, to_coco, to_conversation, write_lines
from medground.data.importers import ImportOptions, by_name
from medground.data.vocabulary import load_vocabulary
from medground.model.backbones.qwen_frame import level_of
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.pair import Pair, PairKind, RegionStatement
from medground.schema.record import ImageRecord, Region
from medground.schema.result import StatementKind

VOCABULARY = load_vocabulary()


def record(columns: int = 1000, rows: int = 500, *boxes: Box) -> ImageRecord:
    return ImageRecord(
        record_id="r",
        patient_id="p",
        columns=columns,
        rows=rows,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset="d",
        regions=tuple(Region(concept="nodule", box=box, source="s", uncertain=i > 0) for i, box in enumerate(boxes)),
        exhaustive_for=frozenset({"nodule"}),
        part="train",
    )


BOX, OTHER = Box(x1=100, y1=50, x2=300.4, y2=200), Box(x1=0, y1=0, x2=5, y2=5)


def published_resize(height: int, width: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """The processor's formula, written out again."""
    h_bar, w_bar = round(height / factor) * factor, round(width / factor) * factor
    h_bar, w_bar = max(factor, h_bar), max(factor, w_bar)
    if h_bar * w_bar > max_pixels:
        beta = math.sqrt((height * width) / max_pixels)
        h_bar = max(factor, math.floor(height / beta / factor) * factor)
        w_bar = max(factor, math.floor(width / beta / factor) * factor)
    elif h_bar * w_bar < min_pixels:
        beta = math.sqrt(min_pixels / (height * width))
        h_bar, w_bar = math.ceil(height * beta / factor) * factor, math.ceil(width * beta / factor) * factor
    return w_bar, h_bar


def test_resizing_is_that_of_the_processor() -> None:
    rng = np.random.default_rng(0)
    for columns, rows in [(28, 28), (1, 190), *rng.integers(20, 5000, (300, 2)).tolist()]:
        for resizing in (Resizing(), Resizing(factor=32, min_pixels=65536, max_pixels=2**20)):
            expected = published_resize(rows, columns, resizing.factor, resizing.min_pixels, resizing.max_pixels)
            assert resized(columns, rows, resizing) == expected


@pytest.mark.parametrize("patch_px", [14, 16])
def test_a_thousand_sizes_become_what_the_real_processor_makes_of_them(patch_px: int) -> None:
    """Of every tenth, a bright square lies in the processor's own pixels where it is said to: no half-pixel shift."""
    cell = 2 * patch_px
    resizing = Resizing(factor=cell, min_pixels=16 * cell**2, max_pixels=64 * cell**2)
    real = transformers.Qwen2VLImageProcessorPil(
        patch_size=patch_px, size={"shortest_edge": resizing.min_pixels, "longest_edge": resizing.max_pixels}
    )
    drawn = np.exp(np.random.default_rng(0).uniform(np.log(20), np.log(700), (1000, 2))).astype(int)
    grown = shrunk = 0
    for number, (columns, rows) in enumerate(drawn.tolist()):
        width, height = resized(columns, rows, resizing)
        half = max(2, min(columns, rows) // 8)
        middle_x, middle_y = columns // 3, rows // 2
        square = Box(x1=max(0, middle_x - half), y1=middle_y - half, x2=middle_x + half, y2=middle_y + half)
        image = np.zeros((rows, columns, 3), np.uint8)
        image[int(square.y1) : int(square.y2), int(square.x1) : int(square.x2)] = 255
        out = real(images=[image], return_tensors="np")
        assert out["image_grid_thw"].tolist() == [[1, height // patch_px, width // patch_px]]
        assert (width % cell, height % cell) == (0, 0)
        grown, shrunk = grown + (width > columns), shrunk + (width < columns)
        if number % 10 == 0:
            grid = height // patch_px, width // patch_px
            tokens = torch.from_numpy(out["pixel_values"]).reshape(-1, 3, 2, patch_px, patch_px)[:, 0, 0].flatten(1)
            cells = level_of(tokens, 1, *grid, 2).reshape(patch_px, patch_px, *grid)
            mass = cells.permute(2, 0, 3, 1).reshape(height, width).double().numpy()
            mass = mass - mass.min()
            x1, y1, x2, y2 = box_numbers(square, record(columns, rows), Coordinates.ABSOLUTE, resizing)
            found_x = mass.sum(0) @ (np.arange(width) + 0.5) / mass.sum()
            found_y = mass.sum(1) @ (np.arange(height) + 0.5) / mass.sum()
            assert abs(found_x - (x1 + x2) / 2) < 0.6  # what is written is whole pixels
            assert abs(found_y - (y1 + y2) / 2) < 0.6
    assert min(grown, shrunk) > 100


def test_both_conventions() -> None:
    one = record(1000, 500, BOX)
    assert box_numbers(BOX, one, Coordinates.RELATIVE, Resizing()) == [100, 100, 300, 400]
    # 1000x500 becomes 1008x504 at a factor of 28.
    assert box_numbers(BOX, one, Coordinates.ABSOLUTE, Resizing()) == [101, 50, 303, 202]
    thin = Box(x1=999.9, y1=0, x2=1000, y2=500)
    assert box_numbers(thin, one, Coordinates.RELATIVE, Resizing()) == [999, 0, 1000, 1000]


def test_a_conversation_and_an_empty_answer(tmp_path: Path) -> None:
    one = record(1000, 500, BOX)
    said = RegionStatement(region=0, kind=StatementKind.FINDING, text="可见结节。", language="zh")
    pair = Pair(
        record_id="r",
        question="有结节吗？",
        language="zh",
        kind=PairKind.PRESENT,
        targets=(0,),
        complete=True,
        statements=(said,),
    )
    absent = pair.model_copy(update={"targets": (), "statements": (), "kind": PairKind.ABSENT})
    lines = [to_conversation(one, p, VOCABULARY, "images/r.png", Coordinates.RELATIVE) for p in (pair, absent)]
    assert write_lines(tmp_path / "c.jsonl", lines) == 2
    read = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [turn["from"] for turn in read[0]["conversations"]] == ["human", "gpt"]
    assert read[0]["conversations"][0]["value"] == "<image>\n有结节吗？"
    assert json.loads(read[0]["conversations"][1]["value"]) == [
        {"bbox_2d": [100, 100, 300, 400], "label": "结节", "description": "可见结节。"}
    ]
    assert json.loads(read[1]["conversations"][1]["value"]) == []
    assert read[0]["image"] == "images/r.png"


def test_lines_are_whole_or_not_there(tmp_path: Path) -> None:
    def broken():
        yield {"a": 1}
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_lines(tmp_path / "c.jsonl", broken())
    assert not (tmp_path / "c.jsonl").exists()


def test_coco_is_read_by_its_own_tools_and_by_our_importer(tmp_path: Path) -> None:
    content = to_coco([record(1000, 500, BOX, OTHER)], VOCABULARY, {"r": "r.png"})
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    coco = COCO(str(path))
    (first, second) = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert first["bbox"] == pytest.approx([100, 50, 200.4, 150])
    assert (first["iscrowd"], second["iscrowd"]) == (0, 1)
    assert coco.loadCats([first["category_id"]])[0]["key"] == "nodule"
    again = by_name("coco")(path, ImportOptions(with_images=False))
    assert [r.box.xyxy_px for r in again.records[0].regions] == [pytest.approx(BOX.xyxy_px)]
    assert (again.records[0].patient_id, again.records[0].part) == ("p", "train")
