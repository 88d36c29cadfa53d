"""Closer looks, with a reader that sees what is really in the pixels it is given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medground.imaging.preprocess import ModelImage, prepare
from medground.imaging.windows import covered_share, tiles
from medground.inference.closer import CROP_PX, OVERLAP_PX, TILE_PX, Closer, look_closer, plan, zoom_for
from medground.inference.request import Looking
from medground.model.reading import Candidate, ImageReading, Phrase, PhraseReading
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from tests.inference.blob_reader import SCOPE, BlobReader

NODULE = Phrase("nodule", "nodule")
WIDE = Phrase("pleural_effusion", "pleural effusion")


def film(*boxes: tuple[int, int, int, int], size: int = 2048) -> ModelImage:
    """Dark ground, a white edge so that blobs stay bright, and bright blobs."""
    pixels = np.zeros((size, size), dtype=np.float32)
    pixels[: size // 50] = 1.0
    for x1, y1, x2, y2 in boxes:
        pixels[y1:y2, x1:x2] = 1.0
    return prepare(pixels, 512, keep_full=True)


def look(image: ModelImage, looking: Looking, *phrases: Phrase, floor: float = 0.1) -> tuple[ImageReading, Closer]:
    reader = BlobReader()
    first = reader.read([image], phrases, max_boxes=100, min_score=0.005)
    (closer,) = look_closer([image], first, phrases, reader, looking=looking, max_boxes=100, floor=floor)
    return first[0], closer


def test_a_small_finding_gets_its_box_to_the_pixel_and_a_score_of_its_own() -> None:
    image = film((1000, 1203, 1022, 1222))
    first, closer = look(image, Looking.CLOSER, NODULE)
    (before,), (after,) = first.phrases[0].candidates, closer.reading.phrases[0].candidates
    assert before.box_xyxy_px != (1000, 1203, 1022, 1222)  # a frame of 512 px can't tell
    assert after.box_xyxy_px == (1000, 1203, 1022, 1222)
    assert closer.share == pytest.approx(CROP_PX**2 / 2048**2)


def test_looking_once_changes_nothing() -> None:
    image = film((1000, 1203, 1022, 1222))
    first, closer = look(image, Looking.ONCE, NODULE)
    assert closer == Closer(first, 0.0)


def test_what_is_large_stays_as_it_was_seen_first() -> None:
    image = film((300, 600, 1100, 1000))
    first, closer = look(image, Looking.CLOSER, WIDE)
    assert closer == Closer(first, 0.0)


def test_an_image_without_more_pixels_is_not_looked_at_again() -> None:
    image = film((100, 100, 112, 112), size=600)
    first, closer = look(image, Looking.ALL, NODULE)
    assert closer == Closer(first, 0.0)


def test_many_places_end_in_a_look_at_the_whole_image_exactly_as_if_that_had_been_asked_for() -> None:
    spots = [(x, y, x + 20, y + 20) for x in range(150, 1900, 230) for y in range(150, 1900, 230)]
    image = film(*spots)
    _, everywhere = look(image, Looking.ALL, NODULE)
    _, unsure = look(image, Looking.CLOSER, NODULE)
    assert unsure == everywhere
    assert everywhere.share == 1.0
    seen = {candidate.box_xyxy_px for candidate in everywhere.reading.phrases[0].candidates}
    assert seen == {tuple(map(float, spot)) for spot in spots}


def test_the_windows_of_several_images_are_read_together() -> None:
    images = [film((400, 700, 420, 720)), film((1500, 300 + 900, 1521, 1222), (420, 640, 440, 660))]
    reader = BlobReader()
    first = reader.read(images, [NODULE], max_boxes=100, min_score=0.005)
    reader.phrases_read.clear()
    together = look_closer(images, first, [NODULE], reader, looking=Looking.CLOSER, max_boxes=100, floor=0.1)
    assert len(reader.phrases_read) == 1
    assert reader.images_read == 2 + 3
    alone = [
        look_closer([image], [one], [NODULE], BlobReader(), looking=Looking.CLOSER, max_boxes=100, floor=0.1)[0]
        for image, one in zip(images, first, strict=True)
    ]
    assert together == alone


class Doubter(BlobReader):
    """Sees one nodule on a whole image and nothing in a crop."""

    def read(self, images, phrases, *, known=None, **limits):  # type: ignore[no-untyped-def]  # as BlobReader
        assert set(limits) == {"max_boxes", "min_score"}
        seen = () if known else (Candidate((1000.0, 1000.0, 1020.0, 1020.0), 0.6),)
        return [
            ImageReading(Domain.CHEST_RADIOGRAPH, 0.99, 0.5, (PhraseReading(p, 0.7, seen),))
            for _ in images
            for p in phrases
        ]


def test_what_the_closer_look_does_not_see_is_gone_and_so_is_its_probability() -> None:
    image, reader = film(), Doubter()
    first = reader.read([image], [NODULE], max_boxes=5, min_score=0.0)
    (closer,) = look_closer([image], first, [NODULE], reader, looking=Looking.CLOSER, max_boxes=5, floor=0.1)
    (heard,) = closer.reading.phrases
    assert heard.candidates == ()
    assert heard.presence == 0.1


def test_scores_below_the_floor_are_looked_at_but_not_told() -> None:
    image = film((1000, 1203, 1010, 1213))  # small: the reader gives it 0.4
    _, closer = look(image, Looking.CLOSER, NODULE, floor=0.5)
    assert closer.reading.phrases[0].candidates == ()
    assert closer.share > 0


def test_how_large_a_closer_look_shows_a_finding() -> None:
    def zoom(side: float, scale: float) -> float | None:
        return zoom_for(Candidate((0, 0, side, side / 2), 0.5), scale)

    assert [zoom(side, 0.125) for side in (20, 72, 73, 144, 145, 288, 289)] == [1, 1, 0.5, 0.5, 0.25, 0.25, None]
    assert zoom(145, 0.2) is None  # 0.25 would show it hardly larger
    assert zoom(20, 0.7) is None


def test_candidates_left_out_are_less_than_a_twentieth_of_a_finding() -> None:
    image = film()
    faint = tuple(Candidate((100.0 + 300 * n, 900.0, 120.0 + 300 * n, 920.0), 0.01) for n in range(5))
    reading = ImageReading(Domain.CHEST_RADIOGRAPH, 0.99, 0.5, (PhraseReading(NODULE, 0.3, faint),))
    assert plan(reading, image, Looking.CLOSER).windows == ()
    sure = (Candidate((1800.0, 300.0, 1820.0, 320.0), 0.9), *faint, *faint[:1])
    reading = ImageReading(Domain.CHEST_RADIOGRAPH, 0.99, 0.5, (PhraseReading(NODULE, 0.9, sure),))
    assert len(plan(reading, image, Looking.CLOSER).windows) == 2  # the sure one, and one of six times 0.01


def test_coarse_windows_over_most_of_an_image_are_not_yet_a_look_at_all_of_it() -> None:
    image = film(size=3072)
    far = tuple(Candidate((x, y, x + 260.0, y + 260.0), 0.9) for x, y in ((100.0, 100.0), (2700.0, 2700.0)))
    reading = ImageReading(Domain.CHEST_RADIOGRAPH, 0.99, 0.5, (PhraseReading(NODULE, 0.9, far),))
    planned = plan(reading, image, Looking.CLOSER)
    assert not planned.everywhere
    assert {window.zoom for window in planned.windows} == {0.25}
    assert covered_share(planned.windows, 3072, 3072) > 0.5


def test_stored_pixels_that_were_not_kept_are_asked_for() -> None:
    image = film((1000, 1203, 1022, 1222))
    lean = ModelImage(image.pixels_HW, image.letterbox, image.colourfulness)
    with pytest.raises(UsageError, match="not kept"):
        look(lean, Looking.CLOSER, NODULE)
    assert torch.equal(lean.pixels_HW, image.pixels_HW)


class Perfect(BlobReader):
    """Sees a given lesion, wherever it is shown whole or in part."""

    lesion = (690.0, 1200.0, 950.0, 1440.0)

    def read(self, images, phrases, *, known=None, **limits):  # type: ignore[no-untyped-def]  # as BlobReader
        assert len(phrases) == 1
        assert limits["max_boxes"] >= 5
        readings = []
        for image in images:
            found = ()
            size = image.letterbox
            if not known:
                found = (Candidate(self.lesion, 0.9),)
            elif size.columns < 3072:
                x, y = self.origins.pop(0)
                cut = (
                    max(self.lesion[0] - x, 0.0),
                    max(self.lesion[1] - y, 0.0),
                    min(self.lesion[2] - x, size.columns),
                    min(self.lesion[3] - y, size.rows),
                )
                found = (Candidate(cut, 0.9),) if cut[0] < cut[2] and cut[1] < cut[3] else ()
            readings.append(ImageReading(Domain.CHEST_RADIOGRAPH, 0.99, 0.5, (PhraseReading(NODULE, 0.9, found),)))
        return readings


@pytest.mark.parametrize("x", range(600, 1100, 60))
def test_what_lies_across_the_seam_of_two_tiles_is_not_lost(x: int) -> None:
    image = film(size=3072)
    reader = Perfect()
    reader.lesion = (float(x), 1200.0, float(x + 260), 1440.0)
    reader.origins = [(w.x1, w.y1) for w in tiles(3072, 3072, TILE_PX, OVERLAP_PX)]
    first = reader.read([image], [NODULE], max_boxes=5, min_score=0.0)
    (closer,) = look_closer([image], first, [NODULE], reader, looking=Looking.ALL, max_boxes=5, floor=0.1)
    (heard,) = closer.reading.phrases
    assert [c.box_xyxy_px for c in heard.candidates] == [reader.lesion]
    assert heard.presence == 0.9


def test_a_faint_candidate_that_another_window_cuts_stays() -> None:
    sure, faint = Candidate((1500.0, 1500.0, 1530.0, 1530.0), 0.9), Candidate((1700.0, 1500.0, 1780.0, 1580.0), 0.04)
    image, reader = film(size=3072), Doubter()
    reading = ImageReading(Domain.CHEST_RADIOGRAPH, 0.99, 0.5, (PhraseReading(NODULE, 0.9, (sure, faint)),))
    (closer,) = look_closer([image], [reading], [NODULE], reader, looking=Looking.CLOSER, max_boxes=5, floor=0.03)
    assert closer.reading.phrases[0].candidates == (faint,)


def test_a_kind_of_image_that_closer_looks_were_not_learned_on_is_looked_at_once() -> None:
    image = film((1000, 1203, 1022, 1222))
    able = BlobReader(scope=SCOPE.model_copy(update={"reads_crops": (Domain.LIMB_RADIOGRAPH,)}))
    first = able.read([image], [NODULE], max_boxes=100, min_score=0.005)
    (closer,) = look_closer([image], first, [NODULE], able, looking=Looking.CLOSER, max_boxes=100, floor=0.1)
    assert closer == Closer(first[0], 0.0)
