"""What the network says of a phrase on an image before calibration."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medground.imaging.boxes import clip, fuse
from medground.imaging.preprocess import ModelImage

FINAL_NMS_IOU = 0.5
LOWEST_LOGIT = -9.0


@dataclass(frozen=True, slots=True)
class RawReading:
    """What the network says of one phrase on one image, before calibration.

    Attributes:
        boxes_N4: xyxy pixels of the stored image, best first.
        logits_N: score before the calibration.
        frame_boxes_N4: the same boxes in the model frame.
        presence_logit: of the phrase on the image.
    """

    boxes_N4: Tensor
    logits_N: Tensor
    frame_boxes_N4: Tensor
    presence_logit: float

    @property
    def best_logit(self) -> float:
        """Score of the best box; -9 where there is none."""
        return float(self.logits_N[0]) if len(self.logits_N) else LOWEST_LOGIT


def fused_with_mirrored(image: ModelImage, own: RawReading, other: RawReading, max_boxes: int) -> RawReading:
    """One reading of an image and of its mirror image.

    Args:
        image: that was read.
        own: its reading.
        other: that of the mirror image, whose boxes are mirrored back.
        max_boxes: at most so many boxes.

    Returns:
        Boxes and scores fused, the mean of both presences.
    """
    back_N4 = other.frame_boxes_N4[:, [2, 1, 0, 3]].clone()
    back_N4[:, [0, 2]] = image.letterbox.inner_columns - back_N4[:, [0, 2]]
    boxes_N4 = torch.cat([own.frame_boxes_N4, back_N4])
    scores_N = torch.cat([own.logits_N, other.logits_N]).sigmoid()
    view_N = torch.arange(2).repeat_interleave(torch.tensor([len(own.logits_N), len(other.logits_N)]))
    frame_N4, fused_N = fuse(boxes_N4, scores_N, view_N, FINAL_NMS_IOU, max_boxes)
    stored = torch.from_numpy(image.letterbox.to_stored(frame_N4.double().numpy()))
    presence = (own.presence_logit + other.presence_logit) / 2
    return RawReading(
        clip(stored, image.letterbox.columns, image.letterbox.rows), fused_N.logit(eps=1e-6), frame_N4, presence
    )
