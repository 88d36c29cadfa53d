"""What a peer is given: our samples, in the frame that our recipe for the data set has."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.pipeline_data import PipelineData
from medground.data.splits import DEV, VALID
from pipelines.recipes import recipe
from pipelines.sources import LIMB
from tests.pipelines.published_limbs import fracatlas

VIEW_PX = 96


def test_a_peer_learns_from_views_of_the_frame_that_it_is_measured_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fracatlas(tmp_path / "data", {})
    data = PipelineData.load(LIMB, tmp_path / "data", fold=None, size_px=VIEW_PX, batch=2, seed=0)
    ours = recipe("limb-tuned")
    assert data.frame_px == ours.model.image_size_px
    assert tuple(data.concepts) == ours.concepts
    assert data.training_boxes == {"fracture": 3}
    (pool,) = data.source.samples.pools  # phantoms of our mix are ours alone
    assert {max(held.pixels_HW.shape) for held in pool.items} == {data.frame_px}
    (batch,) = data.batches(0, 1)
    assert batch.images_BCHW.shape == (2, 1, VIEW_PX, VIEW_PX)
    measured = {part: list(data.images(part)) for part in (DEV, VALID)}
    assert [record.record_id for record, _ in measured[VALID]] == ["v0", "v1"]
    assert [record.record_id for record, _ in measured[DEV]] == ["t9"]
    for _, image in [*measured[DEV], *measured[VALID]]:
        assert max(image.pixels_HW.shape) == data.frame_px
