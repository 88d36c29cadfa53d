"""Data sets for other tools: COCO, and the conversations that Qwen-VL fine-tuning tools read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from medground.schema.box import Box
from medground.schema.pair import Pair
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary


class Coordinates(StrEnum):
    """How a conversation writes boxes.

    `RELATIVE`: 0..1000 of width and height (Qwen2-VL, Qwen3-VL). `ABSOLUTE`: pixels of the image as the processor
    resizes it (Qwen2.5-VL), see `resized`.
    """

    RELATIVE = "relative"
    ABSOLUTE = "absolute"


@dataclass(frozen=True, slots=True)
class Resizing:
    """The resizing of an image processor.

    Attributes:
        factor: sides become multiples of it: patch size times merge size, 28 for Qwen2-VL and 2.5, 32 for 3.
        min_pixels: least area after resizing.
        max_pixels: greatest area after resizing.

    Source: Qwen2-VL, `smart_resize` of its image processor.
    """

    factor: int = 28
    min_pixels: int = 56 * 56
    max_pixels: int = 14 * 14 * 4 * 1280


def resized(columns: int, rows: int, resizing: Resizing) -> tuple[int, int]:
    """Columns and rows of an image as the processor resizes it."""
    step = resizing.factor
    width, height = max(step, _round(columns / step) * step), max(step, _round(rows / step) * step)
    area = columns * rows
    if width * height > resizing.max_pixels:
        shrink = math.sqrt(area / resizing.max_pixels)
        return max(step, int(columns / shrink / step) * step), max(step, int(rows / shrink / step) * step)
    if width * height < resizing.min_pixels:
        grow = math.sqrt(resizing.min_pixels / area)
        return math.ceil(columns * grow / step) * step, math.ceil(rows * grow / step) * step
    return width, height


def to_coco(records: Sequence[ImageRecord], vocabulary: Vocabulary, paths: Mapping[str, str]) -> dict[str, Any]:
    """A COCO detection file.

    Args:
        records: the images; doubtful regions are marked `iscrowd`, which scorers pass over.
        vocabulary: its concepts become the categories, numbered from 1 in their order.
        paths: record id to file name.

    Returns:
        What `json.dump` writes; `exhaustive_for` of each image names its fully labelled categories.

    Source: cocodataset.org, data format.
    """
    numbers = {concept.key: number for number, concept in enumerate(vocabulary.concepts, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, record in enumerate(records, 1):
        images.append(
            {
                "id": image_id,
                "file_name": paths[record.record_id],
                "width": record.columns,
                "height": record.rows,
                "patient": record.patient_id,
                "split": record.part,
                "exhaustive_for": sorted(record.exhaustive_for),
            }
        )
        for region in record.regions:
            box = region.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": numbers[region.concept],
                    "bbox": [box.x1, box.y1, box.width_px, box.height_px],
                    "area": box.area_px2,
                    "iscrowd": int(region.uncertain),
                    "source": region.source,
                }
            )
    categories = [{"id": numbers[c.key], "name": c.name, "key": c.key} for c in vocabulary.concepts]
    return {"images": images, "annotations": annotations, "categories": categories}


def to_conversation(
    record: ImageRecord,
    pair: Pair,
    vocabulary: Vocabulary,
    path: str,
    coordinates: Coordinates,
    resizing: Resizing | None = None,
) -> dict[str, Any]:
    """One line of a conversation file: the question, and a JSON list of boxes with labels and descriptions.

    Args:
        record: the image.
        pair: of the same image.
        vocabulary: names the labels, in the pair's language.
        path: of the image file, as the tool shall find it.
        coordinates: convention of the boxes.
        resizing: of the processor, for absolute coordinates.

    Returns:
        `{"image", "conversations": [{"from": "human", ...}, {"from": "gpt", ...}]}`; the answer to a question that
        nothing answers is the empty list.
    """
    said = {index: " ".join(s.text for s in pair.statements if s.region == index) for index in pair.targets}
    answers = []
    for index in pair.targets:
        region = record.regions[index]
        names = vocabulary[region.concept].names
        answers.append(
            {
                "bbox_2d": box_numbers(region.box, record, coordinates, resizing or Resizing()),
                "label": names.get(pair.language, names["en"])[0],
                "description": said[index],
            }
        )
    return {
        "id": f"{record.record_id}:{pair.kind.value}:{pair.question}",
        "image": path,
        "conversations": [
            {"from": "human", "value": f"<image>\n{pair.question}"},
            {"from": "gpt", "value": json.dumps(answers, ensure_ascii=False)},
        ],
    }


def box_numbers(box: Box, record: ImageRecord, coordinates: Coordinates, resizing: Resizing) -> list[int]:
    """A box in whole numbers of a convention: at least one apart, and inside the image."""
    if coordinates is Coordinates.RELATIVE:
        width, height = 1000, 1000
    else:
        width, height = resized(record.columns, record.rows, resizing)
    x1, x2 = _ends(box.x1 / record.columns * width, box.x2 / record.columns * width, width)
    y1, y2 = _ends(box.y1 / record.rows * height, box.y2 / record.rows * height, height)
    return [x1, y1, x2, y2]


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines, whole or not at all.

    Args:
        path: the file.
        lines: what to write.

    Returns:
        How many there were.
    """
    partial = path.with_name(f".{path.name}.partial")
    count = 0
    with partial.open("w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    partial.replace(path)
    return count


def _round(value: float) -> int:
    return round(value)  # half to even, as the processor's own


def _ends(low: float, high: float, limit: int) -> tuple[int, int]:
    first = min(round(low), limit - 1)
    return first, min(max(round(high), first + 1), limit)
