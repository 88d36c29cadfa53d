from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medground.data.importers.chestx_det import THIRTEEN
from medground.data.importers.nih_chestxdet import CONCEPTS
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.findings import RARE_FINDINGS, check_findings
from medground.data.phantom.known import known_of
from medground.data.phantom.population import (
    FIRST_SEED,
    RARE_FILMS,
    PhantomSet,
    chestx_det_frequencies,
    phantom_findings,
    phantom_record,
    rare_finding,
)
from medground.schema.errors import UsageError

FILMS = 2000


@pytest.fixture(scope="module")
def drawn() -> list[list[str]]:
    return [phantom_findings("train", number) for number in range(FILMS)]


@pytest.mark.real_data
def test_table_is_an_independent_count_of_the_published_files(shared_data: Path) -> None:
    entries = []
    for part in ("train", "test"):
        path = shared_data / "annotation_formats" / "ChestX-Det" / f"ChestX_Det_{part}.json"
        entries += json.loads(path.read_text(encoding="utf-8"))
    table = chestx_det_frequencies()
    assert table.images == len(entries) == 3578
    shown = [Counter(CONCEPTS[label] for label in entry["syms"]) for entry in entries]
    assert Counter(tuple(sorted(film)) for film in shown) == dict(table.together)
    for name in THIRTEEN:
        assert Counter(film[name] for film in shown if film[name]) == table.boxes[name]


def test_table_agrees_with_itself() -> None:
    table = chestx_det_frequencies()
    assert set(table.boxes) == THIRTEEN
    assert sum(films for _, films in table.together) == table.images
    for name in THIRTEEN:
        assert sum(films for findings, films in table.together if name in findings) == sum(table.boxes[name].values())
    assert table.share("consolidation") == pytest.approx(1642 / 3578)


def test_findings_are_as_frequent_as_in_chestx_det(drawn: list[list[str]]) -> None:
    usual = [names for number, names in enumerate(drawn) if rare_finding("train", number) is None]
    table = chestx_det_frequencies()
    shares = {name: table.share(name) for name in THIRTEEN} | {"normal": dict(table.together)[()] / table.images}
    for name, share in shares.items():
        count = sum((name in names) if name != "normal" else not names for names in usual)
        spread = (len(usual) * share * (1 - share)) ** 0.5
        assert abs(count - len(usual) * share) < 3.5 * spread, name
    together = sum({"consolidation", "pleural_effusion"} <= set(names) for names in usual) / len(usual)
    wanted = sum(n for names, n in table.together if {"consolidation", "pleural_effusion"} <= set(names)) / table.images
    assert together == pytest.approx(wanted, abs=3.5 * (wanted * (1 - wanted) / len(usual)) ** 0.5)
    assert (
        wanted > 1.3 * shares["consolidation"] * shares["pleural_effusion"]
    )  # they come together, and so they do here


def test_number_of_boxes_follows_chestx_det_up_to_what_a_patient_can_have(drawn: list[list[str]]) -> None:
    table = chestx_det_frequencies()
    for name, most in (("fracture", 8), ("pleural_effusion", 2), ("consolidation", 8), ("emphysema", 2)):
        counts = [names.count(name) for names in drawn if name in names]
        wanted = np.repeat([min(n, most) for n in table.boxes[name]], list(table.boxes[name].values()))
        assert max(counts) <= most
        assert np.mean(counts) == pytest.approx(wanted.mean(), abs=3.5 * wanted.std() / len(counts) ** 0.5)
    for names in drawn:
        check_findings(names)


@pytest.mark.parametrize("part", FIRST_SEED)
def test_each_rare_finding_has_its_films_and_no_other_film_shows_it(part: str) -> None:
    counts: Counter[str] = Counter()
    for number in range(FILMS):
        rare = rare_finding(part, number)
        shown = set(phantom_findings(part, number)) & set(RARE_FINDINGS)
        assert shown == ({rare} if rare else set())
        counts.update(shown)
    assert counts == dict.fromkeys(RARE_FINDINGS, RARE_FILMS[part])
    assert RARE_FILMS["train"] == 5
    assert RARE_FILMS["valid"] >= 10


def test_a_set_holds_all_of_its_rare_films_whatever_its_size() -> None:
    assert len(PhantomSet("train", 100)) == 100
    assert sum(rare_finding("train", number) is not None for number in range(100)) == 20
    with pytest.raises(UsageError, match="99 films asked for: the train part of the phantom population needs at least"):
        PhantomSet("train", 99)
    with pytest.raises(IndexError):
        PhantomSet("train", 100)[100]


def test_a_film_depends_on_part_and_number_alone() -> None:
    image, record = PhantomSet("valid", 200, 64)[17]
    again, same = phantom_record("valid", 17, size_px=64)
    assert image.pixels.tobytes() == again.pixels.tobytes()
    assert record == same == PhantomSet("valid", 5000, 64)[17][1]
    plain = chest_radiograph(FIRST_SEED["valid"] + 17, size_px=64, findings=phantom_findings("valid", 17))
    assert plain.pixels.tobytes() == image.pixels.tobytes()


def test_records_of_rare_and_usual_films_are_complete() -> None:
    for number in range(25):
        image, record = phantom_record("train", number, size_px=64)
        names = phantom_findings("train", number)
        made_of = {"cavity", "consolidation"} if "cavitary_tuberculosis" in names else set()
        assert {region.concept for region in record.regions} == set(names) | made_of
        assert record.part == "train"
        assert record.patient_id == record.record_id == f"phantom-{FIRST_SEED['train'] + number}"
        assert record.exhaustive_for == known_of(image.regions)
        assert record.attributes["view"] == "frontal"
        assert record.synthetic


def test_parts_share_no_patient() -> None:
    patients = [{phantom_record(part, number, size_px=64)[1].patient_id for number in range(4)} for part in FIRST_SEED]
    assert len(set.union(*patients)) == 12
    starts = sorted(FIRST_SEED.values())
    assert min(np.diff(starts)) >= 10_000_000  # and a number may not reach the next part's
    with pytest.raises(UsageError, match="film 10000000"):
        phantom_findings("train", 10_000_000)
    with pytest.raises(UsageError, match="no part 'dev'"):
        phantom_findings("dev", 0)


def test_written_films_are_the_drawn_ones(tmp_path: Path) -> None:
    films = PhantomSet("train", 100, 64)
    records = [record for record, _ in zip(films.write(tmp_path), range(3), strict=False)]
    for number, record in enumerate(records):
        assert record.path is not None
        with Image.open(record.path) as picture:
            stored = np.asarray(picture, np.float32) / 255
        assert np.abs(stored - films[number][0].pixels).max() <= 0.5 / 255 + 1e-6
        assert record.sha256 == hashlib.sha256(record.path.read_bytes()).hexdigest()
        assert record.regions == films[number][1].regions
