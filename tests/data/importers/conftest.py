"""Small data sets in the published layouts, written on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

WriteJpeg = Callable[..., None]
WriteCoco = Callable[..., Path]


@pytest.fixture
def write_jpeg() -> WriteJpeg:
    def write(path: Path, columns: int = 60, rows: int = 40, *, orientation: int = 1, cut: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(columns * rows).integers(0, 255, (rows, columns), dtype=np.uint8)
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(pixels).save(path, quality=95, exif=exif)
        if cut:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


@pytest.fixture
def write_coco(tmp_path: Path) -> WriteCoco:
    def write(images: list[dict[str, Any]], annotations: list[dict[str, Any]], categories: list[str]) -> Path:
        content = {
            "info": {},
            "images": images,
            "annotations": [{"id": n, "iscrowd": 0, **entry} for n, entry in enumerate(annotations, start=1)],
            "categories": [{"id": n, "name": name} for n, name in enumerate(categories, start=1)],
        }
        (tmp_path / "annotations_coco.json").write_text(json.dumps(content), encoding="utf-8")
        return tmp_path

    return write
