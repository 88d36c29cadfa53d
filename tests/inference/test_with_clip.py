"""A CLIP beside the reader: both are heard, the pixels it sees are those of the box, and the result says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Request
from medground.inference.with_clip import WithClip
from medground.model.clip import Clip
from medground.model.reading import LookGroup
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.result import Verdict
from tests.inference.drawn import drawn, write_dx
from tests.inference.truth_reader import TruthReader, fits_of
from tests.model.tiny_clip import build_clip

ONE, TWO = Box(x1=300, y1=100, x2=360, y2=160), Box(x1=60, y1=200, x2=100, y2=240)


class Undecided(TruthReader):
    """Says of every region that it may as well be round as oval, and nothing of any other look."""

    def liken(self, portraits: Sequence[object], groups: Sequence[LookGroup]) -> list[dict[str, float]]:
        del groups
        return [{"round": 0.5, "oval": 0.5} for _ in portraits]


class Bright:
    """Takes what is bright in the middle for round, and what is not for oval; keeps what it was given."""

    name, sha256 = "bright", "1" * 64

    def __init__(self) -> None:
        self.crops: list[NDArray[np.float32]] = []
        self.sentences: list[tuple[str, ...]] = []

    def probabilities(self, crops: Sequence[NDArray[np.float32]], sentences: Sequence[str]) -> Tensor:
        self.crops += crops
        self.sentences.append(tuple(sentences))
        table = torch.full((len(crops), len(sentences)), 1 / len(sentences))
        for row, crop in enumerate(crops):
            bright = float(crop[crop.shape[0] // 2, crop.shape[1] // 2])
            if " round " in sentences[0]:
                table[row] = torch.tensor([bright, 1 - bright, *[0.0] * (len(sentences) - 2)])
        return table


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = drawn()
    pixels[100:160, 300:360], pixels[200:240, 60:100] = pixels.min(), pixels.max()
    return write_dx(tmp_path_factory.mktemp("clip") / "a.dcm", pixels)


def reader() -> Undecided:
    return Undecided([[("nodule", ONE), ("nodule", TWO)]], Domain.CHEST_RADIOGRAPH)


def test_the_pixels_settle_what_the_reader_leaves_open(film: Path) -> None:
    request = Request(("the round nodule",))
    alone = ground(gather([film]), request, reader()).result
    bright = Bright()
    both = ground(gather([film]), request, WithClip(reader(), bright)).result
    assert len(alone.studies[0].answers[0].findings) == 2
    (finding,) = both.studies[0].answers[0].findings
    assert (both.studies[0].answers[0].verdict, finding.box_xyxy_px) == (Verdict.FOUND, TWO.xyxy_px)
    assert sorted(crop.shape for crop in bright.crops) == [(60, 60), (90, 90)]  # one group was asked for
    ((first, second, *_),) = bright.sentences
    assert (first, second) == ("a chest radiograph with a round nodule", "a chest radiograph with an oval nodule")
    assert (both.model.name, alone.model.name) == ("truth with bright", "truth")
    assert both.model.sha256 != alone.model.sha256
    assert both.result_id != alone.result_id


def test_of_a_look_that_was_never_learnt_clip_alone_tells(film: Path) -> None:
    class Silent(Undecided):
        def liken(self, portraits: Sequence[object], groups: Sequence[LookGroup]) -> list[dict[str, float]]:
            del groups
            return [{} for _ in portraits]

    silent = Silent([[("nodule", ONE), ("nodule", TWO)]], Domain.CHEST_RADIOGRAPH)
    answer = (
        ground(gather([film]), Request(("the round nodule",)), WithClip(silent, Bright())).result.studies[0].answers[0]
    )
    assert [finding.box_xyxy_px for finding in answer.findings] == [TWO.xyxy_px]
    assert answer.warnings == ("For nodule on a chest radiograph the model has learnt from synthetic images only.",)


def test_nothing_is_asked_of_it_without_a_look_in_the_question(film: Path) -> None:
    bright = Bright()
    ground(gather([film]), Request(("the largest nodule", "nodules")), WithClip(reader(), bright))
    assert bright.crops == []


def test_a_real_clip_answers_through_the_same_path(film: Path, tmp_path: Path) -> None:
    clip = Clip(build_clip(tmp_path / "tiny"))
    result = ground(gather([film]), Request(("the round nodule",)), WithClip(reader(), clip)).result
    answer = result.studies[0].answers[0]
    assert result.model.name == "truth with tiny"
    assert answer.findings
    assert answer.understood.attributes == ("round",)


def test_the_words_of_a_look_add_up() -> None:
    assert sum(fits_of(("round",), (("round", "oval", "irregular"),)).values()) == pytest.approx(1)
