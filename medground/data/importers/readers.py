"""Several readers' boxes of one image brought together: weighted box fusion, with the number who agreed.

Source: Solovyev et al., Weighted boxes fusion, 2021 (library `ensemble-boxes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medground.schema.box import Box

SAME_LESION_IOU = 0.4
"""Overlap from which two readers' boxes of one class are one lesion; the threshold of VinBigData's challenge."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """A lesion that one or more readers marked.

    Attributes:
        concept: vocabulary key.
        box: mean of the readers' boxes.
        readers: how many readers marked it.
        boxes: how many boxes went into it; more than `readers` where one marked it twice.
    """

    concept: str
    box: Box
    readers: int
    boxes: int


def fuse(marks: Mapping[str, Sequence[tuple[str, Box]]], columns: int, rows: int) -> list[Agreed]:
    """Fuse the boxes of the readers of one image.

    Args:
        marks: reader to the (concept, box) of what they marked; a reader who marked nothing counts as a reader too.
        columns: width of the image, pixels.
        rows: height of the image, pixels.

    Returns:
        One lesion for each group of boxes of one class, best agreed first.
    """
    from ensemble_boxes import weighted_boxes_fusion  # compiles with numba: a second that only such sources pay

    concepts = sorted({concept for own in marks.values() for concept, _ in own})
    if not concepts:
        return []
    scale = (columns, rows, columns, rows)
    boxes = [[[v / s for v, s in zip(box.xyxy_px, scale, strict=True)] for _, box in own] for own in marks.values()]
    labels = [[concepts.index(concept) for concept, _ in own] for own in marks.values()]
    scores = [[1.0] * len(own) for own in labels]
    fused, _, which = weighted_boxes_fusion(boxes, scores, labels, iou_thr=SAME_LESION_IOU)
    lesions = []
    for share, label in zip(fused.tolist(), which.tolist(), strict=True):
        x1, y1, x2, y2 = (v * s for v, s in zip(share, scale, strict=True))
        lesions.append((concepts[int(label)], Box(x1=max(x1, 0.0), y1=max(y1, 0.0), x2=x2, y2=y2)))
    return _with_readers(lesions, marks)


def _with_readers(lesions: Sequence[tuple[str, Box]], marks: Mapping[str, Sequence[tuple[str, Box]]]) -> list[Agreed]:
    """Count the readers of each fused lesion: each box counts for the lesion of its class that it overlaps most."""
    readers: list[set[str]] = [set() for _ in lesions]
    boxes = [0] * len(lesions)
    for reader, own in marks.items():
        for concept, box in own:
            same = [i for i, (other, _) in enumerate(lesions) if other == concept]
            best = max(same, key=lambda i: lesions[i][1].iou(box))
            readers[best].add(reader)
            boxes[best] += 1
    agreed = [
        Agreed(concept, box, len(who), count)
        for (concept, box), who, count in zip(lesions, readers, boxes, strict=True)
        if count
    ]
    return sorted(agreed, key=lambda one: (-one.readers, one.concept, one.box.xyxy_px))
