"""A small FracAtlas in the folder layout that it is published in, films of blobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from medground.data.splits import TRAIN, VALID
from pipelines.sources import LIMB
from tests.data.films import film

TEST = "test"  # a part of a publisher that we neither train nor measure on
FILMS = {f"t{n}": TRAIN for n in (0, 1, 2, 9)} | {f"v{n}": VALID for n in range(2)} | {f"x{n}": TEST for n in range(2)}


def fracatlas(data: Path, copies: dict[str, tuple[str, str, Callable[[Path, Path], None]]]) -> None:
    """The set as it is published, films of blobs; copies are (original, part, how) by name."""
    folder = data / LIMB / "images"
    folder.mkdir(parents=True)
    for seed, (name, part) in enumerate(FILMS.items()):
        film(folder / f"{name}.jpg", seed, part)
    for name, (original, _, copy) in copies.items():
        copy(folder / f"{original}.jpg", folder / f"{name}.jpg")
    parts = FILMS | {name: part for name, (_, part, _) in copies.items()}
    images = [
        {"id": number, "file_name": f"{name}.jpg", "width": 120, "height": 160, "split": part}
        for number, (name, part) in enumerate(parts.items(), 1)
    ]
    marks = [
        {"id": image["id"], "image_id": image["id"], "category_id": 1, "bbox": [10, 10, 20, 20], "iscrowd": 0}
        for image in images
    ]
    coco = {"info": {}, "images": images, "annotations": marks, "categories": [{"id": 1, "name": "fracture"}]}
    (data / LIMB / "annotations_coco.json").write_text(json.dumps(coco), encoding="utf-8")
