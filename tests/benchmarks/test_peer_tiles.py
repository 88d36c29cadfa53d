"""A frame that is larger than a peer's views is read in tiles, and each box comes once, whole and in its place."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.peers.dense_detector import conv
from benchmarks.peers.peer import Found, Peer, Size
from benchmarks.peers.tiles import by_tiles, offsets
from benchmarks.peers.transformers_detector import dfine, rtdetr
from medground.imaging.preprocess import BLACK
from medground.training.batch import Batch

VIEW_PX = 64


class Shades(Peer):
    """Finds the extent of each shade, 1 and 2, in what it is shown, as a share of that: concept 0 and 1."""

    any_frame = False

    def losses(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002 - the signature of a peer
        return {}

    def detect(self, images_BCHW: Tensor) -> list[Found]:
        assert images_BCHW.shape == (1, 1, VIEW_PX, VIEW_PX)
        boxes, scores, concepts = [], [], []
        for concept in (0, 1):
            where = ((images_BCHW[0, 0] - concept - 1).abs() < 0.3).nonzero()
            if len(where):
                (y1, x1), (y2, x2) = where.amin(0).tolist(), (where.amax(0) + 1).tolist()
                boxes.append([x1, y1, x2, y2])
                scores.append(0.5 + len(where) / 1e4)
                concepts.append(concept)
        return [Found(torch.tensor(boxes).reshape(-1, 4).float(), torch.tensor(scores), torch.tensor(concepts).long())]


def found_in(frame_HW: Tensor) -> list[tuple[int, list[float]]]:
    found = by_tiles(Shades(), frame_HW, VIEW_PX)
    return sorted((int(c), box) for c, box in zip(found.concept_N, found.boxes_N4.tolist(), strict=True))


@pytest.mark.parametrize(("x", "y"), [(3, 0), (50, 40), (59, 59), (90, 33), (140, 180), (0, 180)])
def test_a_box_at_any_place_of_the_frame_comes_once_and_whole(x: int, y: int) -> None:
    frame_HW = torch.full((200, 160), BLACK)
    frame_HW[y : y + 20, x : x + 16] = 1.0
    assert found_in(frame_HW) == [(0, [x, y, min(x + 16, 160), min(y + 20, 200)])]


def test_concepts_do_not_hide_each_other() -> None:
    frame_HW = torch.full((100, 100), BLACK)
    frame_HW[40:60, 40:60] = 1.0
    frame_HW[50, 40:60] = 2.0
    assert found_in(frame_HW) == [(0, [40, 40, 60, 60]), (1, [40, 50, 60, 51])]


def test_a_frame_smaller_than_a_view_is_filled_up_with_black() -> None:
    frame_HW = torch.full((40, 50), BLACK)
    frame_HW[30:40, 0:50] = 1.0
    assert found_in(frame_HW) == [(0, [0, 30, 50, 40])]
    assert found_in(torch.full((40, 50), BLACK)) == []


def test_a_box_longer_than_half_a_tile_comes_from_the_shrunk_frame() -> None:
    frame_HW = torch.full((192, 128), BLACK)
    frame_HW[30:90, 21:120] = 1.0
    ((concept, box),) = found_in(frame_HW)
    assert concept == 0
    assert box == pytest.approx([21, 30, 120, 90], abs=3)  # a pixel of the shrunk frame is three of this one


def test_tiles_overlap_by_half_and_reach_the_end() -> None:
    assert offsets(64, 64) == [0]
    assert offsets(150, 64) == [0, 32, 64, 86]


@pytest.mark.parametrize("build", [rtdetr, dfine])
def test_weights_begin_as_in_the_published_code(build) -> None:
    peer = build(3, Size.SMALL)
    for name, module in peer.network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and "backbone" not in name:
            spread = float(module.weight.detach().std())
            assert spread == 0 or spread > 0.0125, name  # nothing of the library's hundredth is left
        if name.endswith("enc_bbox_head"):
            assert not module.layers[-1].weight.any(), name
        if isinstance(module, nn.BatchNorm2d):
            assert bool((module.weight == 1).all()), name
    assert not peer.any_frame
    assert conv(3, Size.TINY).any_frame
