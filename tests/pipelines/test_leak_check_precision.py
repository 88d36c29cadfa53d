"""The figures of the leak check, on drawn limbs of which everything is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medground.data.fingerprints import fingerprint
from pipelines.leak_check_precision import CHANGES, Recall, flagged_of, listed_pairs, main, read_grey, recall_of
from tests.data.conftest import draw_limb as draw_limb_fixture

DrawLimb = Callable[[int], NDArray[np.uint8]]
draw_limb = draw_limb_fixture


def test_recall_counts_each_kind(draw_limb: DrawLimb) -> None:
    limbs = [draw_limb(seed) for seed in range(4)]
    assert recall_of(limbs) == dict.fromkeys(CHANGES, Recall(planted=4, caught=4))
    flat = np.full((64, 64), 7, np.uint8)
    assert recall_of([flat]) == dict.fromkeys(CHANGES, Recall(planted=1, caught=0))  # nothing to know it by


def test_changes_are_what_they_are_called(draw_limb: DrawLimb) -> None:
    limb = draw_limb(0)  # 320 rows, 256 columns
    shapes = {kind: change(limb).shape for kind, change in CHANGES.items()}
    assert shapes == {
        "encoded again, quality 40": (320, 256),
        "5% smaller": (304, 243),
        "windowed": (320, 256),
        "2% cropped off each side": (308, 246),
        "windowed and cropped": (308, 246),
    }
    assert all((change(limb) != limb).any() for kind, change in CHANGES.items() if shapes[kind] == limb.shape)


def test_flagged_pairs_are_sorted_by_what_is_known(draw_limb: DrawLimb) -> None:
    prints = {str(seed): fingerprint(draw_limb(seed)) for seed in range(5)} | {"copy": fingerprint(draw_limb(0))}
    found = flagged_of(prints, lambda a, b: {a, b} == {"0", "copy"}, listed=2)
    assert (found.films, found.pairs, found.expected, found.wrong, found.missed) == (6, 15, 1, 0, 1)
    unknown = flagged_of(prints, lambda *_: False)
    assert (unknown.expected, unknown.wrong, unknown.missed) == (0, 1, 0)
    assert unknown.nearest == pytest.approx(1.0, abs=1e-5)


def test_large_films_are_read_small(tmp_path: Path) -> None:
    Image.new("L", (3000, 1500), 9).save(tmp_path / "film.png")
    assert read_grey(tmp_path / "film.png").shape == (512, 1024)


def test_the_list_has_its_pairs() -> None:
    pairs = listed_pairs()
    assert len(pairs) == 37
    assert frozenset(("IMG0002905", "IMG0004233")) in pairs


def test_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err
