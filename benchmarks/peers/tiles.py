"""A frame read in tiles, by a peer that knows boxes only as shares of the views it learned from.

Legend: N boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.peers.peer import Found, Peer
from medground.imaging.boxes import nms
from medground.imaging.preprocess import BLACK

NMS_IOU = 0.5  # of each concept, over all tiles
KEPT = 100  # of each concept, as COCO counts
CUT = 0.05  # boxes that end nearer to an inner edge, in sides of a tile, are cut by it: the next tile has them whole
LONGEST = 0.5 - 2 * CUT  # box that is sure to lie whole in some tile, in sides of a tile


def by_tiles(peer: Peer, image_HW: Tensor, side_px: int) -> Found:
    """What a peer finds in a frame, read in square tiles that overlap by half, and once more shrunk to one of them.

    A box of up to `LONGEST` lies whole in some tile; longer ones are taken from the shrunk frame alone.

    Args:
        peer: in evaluation mode.
        image_HW: the frame; what a tile reaches beyond it is black.
        side_px: of a tile, as of the views that the peer learned from.

    Returns:
        At most `KEPT` boxes of each concept, in pixels of the frame.
    """
    rows, columns = image_HW.shape
    if max(rows, columns) <= side_px:
        return _thinned([_shown(peer, image_HW, side_px)])
    padded = F.pad(image_HW, (0, max(0, side_px - columns), 0, max(0, side_px - rows)), value=BLACK)
    parts = [_long_ones(peer, padded, side_px)]
    for top in offsets(padded.shape[0], side_px):
        for left in offsets(padded.shape[1], side_px):
            found = _shown(peer, padded[top : top + side_px, left : left + side_px], side_px)
            low, high = CUT * side_px, (1 - CUT) * side_px
            x1, y1, x2, y2 = found.boxes_N4.unbind(1)
            whole_N = torch.maximum(x2 - x1, y2 - y1) <= LONGEST * side_px
            whole_N &= ((x1 >= low) | (left == 0)) & ((y1 >= low) | (top == 0))
            whole_N &= (x2 <= high) | (left + side_px == padded.shape[1])
            whole_N &= (y2 <= high) | (top + side_px == padded.shape[0])
            moved_N4 = found.boxes_N4 + found.boxes_N4.new_tensor([left, top, left, top])
            parts.append(Found(moved_N4[whole_N], found.scores_N[whole_N], found.concept_N[whole_N]))
    return _thinned(parts)


def offsets(length_px: int, side_px: int) -> list[int]:
    """Where tiles begin along a side that is at least as long as a tile: half a tile apart, the last at the end."""
    return sorted({*range(0, length_px - side_px + 1, max(1, side_px // 2)), length_px - side_px})


def _shown(peer: Peer, image_HW: Tensor, side_px: int) -> Found:
    """What a peer finds in what fits one view, with black around."""
    rows, columns = image_HW.shape
    view_HW = F.pad(image_HW, (0, side_px - columns, 0, side_px - rows), value=BLACK)
    return peer.detect(view_HW[None, None])[0]


def _long_ones(peer: Peer, image_HW: Tensor, side_px: int) -> Found:
    """What a peer finds in the whole frame, shrunk to fit one view, and no tile can hold; in pixels of the frame."""
    shrink = side_px / max(image_HW.shape)
    size = [max(1, round(length * shrink)) for length in image_HW.shape]
    small_HW = F.interpolate(image_HW[None, None], size=size, mode="bilinear", antialias=True)[0, 0]
    found = _shown(peer, small_HW, side_px)
    boxes_N4 = found.boxes_N4 / shrink
    long_N = (boxes_N4[:, 2:] - boxes_N4[:, :2]).amax(1) > LONGEST * side_px
    return Found(boxes_N4[long_N], found.scores_N[long_N], found.concept_N[long_N])


def _thinned(parts: Sequence[Found]) -> Found:
    """Non-maximum suppression within each concept, over all parts."""
    boxes_N4 = torch.cat([part.boxes_N4 for part in parts])
    scores_N = torch.cat([part.scores_N for part in parts])
    concept_N = torch.cat([part.concept_N for part in parts])
    kept = [concept_N.new_zeros(0)]
    for concept in sorted(set(concept_N.tolist())):
        rows_N = (concept_N == concept).nonzero().squeeze(1)
        kept.append(rows_N[nms(boxes_N4[rows_N], scores_N[rows_N], NMS_IOU, KEPT)])
    best_N = torch.cat(kept)
    return Found(boxes_N4[best_N], scores_N[best_N], concept_N[best_N])
