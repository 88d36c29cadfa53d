"""A peer on a part of the data: the scene that `python -m pipelines compare` sets beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch

from benchmarks.peers.peer import Found, Peer
from benchmarks.peers.tiles import by_tiles
from medground.evaluation.detection import ap_by_concept, mean_average_precision
from medground.evaluation.scene import Box, Scene, SceneImage
from medground.imaging.letterbox import Letterbox
from medground.imaging.preprocess import ModelImage
from medground.schema.record import ImageRecord

BOXES = 100  # per image and concept, as COCO counts
LEAST_PX = 0.01  # narrower boxes have no area to score
Images = Iterable[tuple[ImageRecord, ModelImage]]


class Counted(Protocol):
    """What is measured, and how often training showed it."""

    @property
    def concepts(self) -> Sequence[str]:
        """Vocabulary keys, in the order of the label columns."""
        ...

    @property
    def training_boxes(self) -> Mapping[str, int]:
        """How many boxes of each concept the training part has."""
        ...


def look(peer: Peer, images: Images, counted: Counted, *, view_px: int, system: str, name: str) -> Scene:
    """Runs a peer over images one by one.

    Args:
        peer: trained; left in evaluation mode.
        images: truth and model frame of each.
        counted: concepts in the order of the peer's columns.
        view_px: side of the views that the peer learned from; unless it reads any frame, it is shown as much at once.
        system: name of what is measured.
        name: of the data set and its part.

    Returns:
        Truth and boxes by image, in stored pixels, without a least score. Peers answer no questions.
    """
    peer.eval()
    seen = []
    for record, image in images:
        with torch.inference_mode():
            whole = peer.any_frame
            found = peer.detect(image.pixels_HW[None, None])[0] if whole else by_tiles(peer, image.pixels_HW, view_px)
        seen.append(
            SceneImage(
                image_id=record.record_id,
                patient_id=record.patient_id,
                columns=record.columns,
                rows=record.rows,
                exhaustive_for=tuple(sorted(record.exhaustive_for)),
                truths=tuple((region.concept, region.box.xyxy_px) for region in record.regions),
                drawn_by=tuple(region.source for region in record.regions),
                detections=detections(found, image.letterbox, counted.concepts),
            )
        )
    boxes = {concept: counted.training_boxes.get(concept, 0) for concept in counted.concepts}
    return Scene(system=system, data=name, training_boxes=boxes, images=tuple(seen))


def detections(found: Found, letterbox: Letterbox, concepts: Sequence[str]) -> tuple[tuple[str, Box, float], ...]:
    """The best `BOXES` of each concept, in pixels of the stored image and clipped to it, surest first."""
    size = np.array([letterbox.columns, letterbox.rows] * 2, dtype=np.float64)
    stored = np.clip(letterbox.to_stored(found.boxes_N4.double().cpu().numpy()), 0, size)
    left = dict.fromkeys(range(len(concepts)), BOXES)
    kept: list[tuple[str, Box, float]] = []
    for row in found.scores_N.argsort(descending=True, stable=True).tolist():
        x1, y1, x2, y2 = (float(edge) for edge in stored[row])
        concept = int(found.concept_N[row])
        if left[concept] and x2 - x1 > LEAST_PX and y2 - y1 > LEAST_PX:
            left[concept] -= 1
            kept.append((concepts[concept], (x1, y1, x2, y2), float(found.scores_N[row])))
    return tuple(kept)


def mean_ap50(scene: Scene) -> float | None:
    """Mean over concepts of average precision at an overlap of a half; None where there is no truth."""
    boxes = [box for concept in scene.training_boxes for box in scene.detections(concept)]
    return mean_average_precision(ap_by_concept(scene.truth(), boxes, scene.training_boxes))
