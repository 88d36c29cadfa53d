from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medground.data.loading import LoadConfig, TrainingPairs
from medground.data.vocabulary import load_vocabulary
from pipelines.augment_sheet import chosen, main, phantom_records, sheet


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> TrainingPairs:
    folder = tmp_path_factory.mktemp("sheet")
    records = phantom_records(folder / "images", films=6, volumes=1)
    config = LoadConfig(frame_px=256, zoom={"size_px": 192}, languages=("en",), mosaic=0.2)
    return TrainingPairs(records, load_vocabulary(), config, cache=folder / "cache", seed=0, length=40)


def test_pairs_of_many_kinds_are_chosen(pairs: TrainingPairs) -> None:
    found = chosen(pairs, 8)
    assert len(found) == 8
    drawn = {pairs[number].pair.kind for number in range(40)}
    assert len({pair.pair.kind for pair in found}) >= min(4, len(drawn))


def test_boxes_are_drawn_where_they_are_in_the_colour_of_their_concept(pairs: TrainingPairs) -> None:
    pair = next(pair for pair in chosen(pairs, 16) if pair.pair.targets)
    picture = np.asarray(sheet([pair]))
    size = pair.view.record.columns
    for index in pair.pair.targets:
        x1, y1, _, y2 = (value * 326 / size + 2 for value in pair.view.record.regions[index].box.xyxy_px)
        edge = picture[round((y1 + y2) / 2), round(x1) - 1 : round(x1) + 3]
        assert (edge >= 240).any()  # colours come after the greys
    assert (picture[332:394, :330] == 247).sum() > 200  # the question, in white


def test_the_command_writes_a_picture(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path / "docs" / "sheet.png"), "--films", "8"]) == 0
    with Image.open(tmp_path / "docs" / "sheet.png") as picture:
        assert picture.size == (1320, 1576)
        assert picture.mode == "P"
