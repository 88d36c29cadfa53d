from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medground.data.importers import by_name
from medground.data.splits import folds, hash_part, split_records
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.errors import LeakError, UsageError
from medground.schema.record import ImageRecord, Region

HALVES = {"train": 0.5, "valid": 0.5}


def record(name: str, patient: str, part: str | None = None, concepts: Sequence[str] = ()) -> ImageRecord:
    box = Box(x1=0, y1=0, x2=4, y2=4)
    return ImageRecord(
        record_id=name,
        patient_id=patient,
        columns=8,
        rows=8,
        domain=Domain.OTHER,
        dataset="made",
        part=part,
        regions=tuple(Region(concept=concept, box=box, source="made") for concept in concepts),
    )


@given(st.text(min_size=1), st.text())
def test_a_part_is_the_place_of_a_digest_on_the_unit_line(patient: str, salt: str) -> None:
    place = int.from_bytes(hashlib.sha256(salt.encode() + b"\0" + patient.encode()).digest()[:6], "big") / 2.0**48
    expected = "a" if place < 0.25 else "b" if place < 0.85 else "c"
    assert hash_part(patient, fractions={"a": 0.25, "b": 0.6, "c": 0.15}, salt=salt) == expected


def test_parts_get_their_shares_and_salts_are_independent() -> None:
    patients = [f"p{n}" for n in range(4000)]
    parts = [hash_part(p, fractions={"train": 0.8, "valid": 0.2}, salt="one") for p in patients]
    other = [hash_part(p, fractions={"train": 0.8, "valid": 0.2}, salt="two") for p in patients]
    assert abs(parts.count("valid") - 800) < 4 * (4000 * 0.8 * 0.2) ** 0.5
    both = sum(a == b == "valid" for a, b in zip(parts, other, strict=True))
    assert abs(both - 160) < 4 * (4000 * 0.04 * 0.96) ** 0.5


def test_a_part_of_share_zero_stays_empty() -> None:
    assert {hash_part(f"p{n}", fractions={"a": 0, "b": 1, "c": 0}, salt="") for n in range(200)} == {"b"}


@pytest.mark.parametrize("fractions", [{"train": 0.8}, {"train": 0.8, "valid": 0.3}, {"train": 1.2, "valid": -0.2}])
def test_fractions_must_be_shares_of_one(fractions: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        hash_part("p", fractions=fractions, salt="s")


def test_new_patients_move_nobody() -> None:
    old = [record(f"r{n}", f"p{n // 2}") for n in range(200)]
    new = [record(f"n{n}", f"q{n}") for n in range(300)]
    before = {r.record_id: part for part, own in split_records(old, salt="s").items() for r in own}
    after = {r.record_id: part for part, own in split_records([*new, *old], salt="s").items() for r in own}
    assert before.items() <= after.items()
    assert len(after) == 500


def test_nobody_is_in_two_parts_and_nothing_is_lost() -> None:
    records = [record(f"r{n}", f"p{n % 100}") for n in range(300)]
    parts = split_records(records, salt="s", fractions=HALVES, dev_fraction=0.3)
    assert set(parts) == {"train", "valid", "dev"}
    assert Counter(r.record_id for own in parts.values() for r in own) == Counter(r.record_id for r in records)
    homes = Counter(patient for own in parts.values() for patient in {r.patient_id for r in own})
    assert set(homes.values()) == {1}
    assert all(parts.values())
    order = [r.record_id for r in reversed(records)]
    for own in split_records(reversed(records), salt="s", fractions=HALVES).values():
        assert [order.index(r.record_id) for r in own] == sorted(order.index(r.record_id) for r in own)


def test_development_comes_out_of_train_alone() -> None:
    records = [record(f"t{n}", f"t{n}", "train") for n in range(2000)]
    records += [record(f"v{n}", f"v{n}", "valid") for n in range(500)]
    records += [record(f"e{n}", f"e{n}", "test") for n in range(500)]
    parts = split_records(records, salt="s")
    assert {r.part for r in parts["dev"]} == {"train"}
    assert (len(parts["valid"]), len(parts["test"])) == (500, 500)
    assert abs(len(parts["dev"]) - 300) < 4 * (2000 * 0.15 * 0.85) ** 0.5
    assert {r.part for r in split_records(records, salt="s", dev_fraction=1)["dev"]} == {"train"}
    assert split_records(records, salt="s", dev_fraction=0)["dev"] == ()


def test_a_patient_in_two_published_parts_is_refused() -> None:
    for other in ("valid", None):
        with pytest.raises(LeakError, match=r"'p'.*a, b"):
            split_records([record("a", "p", "train"), record("b", "p", other)], salt="s")


def test_bad_dev_fraction() -> None:
    with pytest.raises(UsageError, match=r"1\.5"):
        split_records([], salt="s", dev_fraction=1.5)
    assert split_records([], salt="s") == {"train": (), "valid": (), "dev": ()}


def test_folds_hold_out_everyone_once_and_spread_the_rare() -> None:
    records = [
        record(f"r{n}", f"p{n // 2}", concepts=["common"] if n % 2 else ["rare"] if n < 20 else []) for n in range(90)
    ]
    made = folds(records, 5, "s")
    assert len(made) == 5
    for learned, held in made:
        assert len(learned) + len(held) == 90
        assert not {r.patient_id for r in learned} & {r.patient_id for r in held}
        assert sum(g.concept == "rare" for r in held for g in r.regions) == 2  # 10 cases over 5 folds
        assert len({r.patient_id for r in held}) == 9
    assert Counter(r.record_id for _, held in made for r in held) == Counter(r.record_id for r in records)
    assert folds(records, 5, "s") == made
    assert folds(records, 5, "t") != made


@pytest.mark.parametrize("k", [0, 1, 4])
def test_folds_need_patients(k: int) -> None:
    with pytest.raises(UsageError, match=f"k={k}"):
        folds([record(f"r{n}", f"p{n}") for n in range(3)], k, "s")


@pytest.mark.real_data
def test_every_fold_of_the_chest_films_has_every_finding(shared_data: Path) -> None:
    records = by_name("nih-chestxdet")(shared_data / "cxr").records
    concepts = {g.concept for r in records for g in r.regions}
    assert len(concepts) == 15
    for _, held in folds(records, 5, "s"):
        assert {g.concept for r in held for g in r.regions} == concepts


def test_a_rare_finding_reaches_every_part_where_it_can() -> None:
    def film(name: str, concept: str) -> ImageRecord:
        return record(name, name, concepts=[concept])

    names = ["common", "rare", "two"]
    for trial in range(30):
        records = [film(f"c{trial}-{i}", "common") for i in range(80)]
        records += [film(f"r{trial}-{i}", "rare") for i in range(3 + trial % 3)]
        records += [film(f"t{trial}-{i}", "two") for i in range(2)]
        fractions = {"train": 0.8, "valid": 0.2}
        hashed = split_records(records, salt="s", fractions=fractions)
        spread = split_records(records, salt="s", fractions=fractions, reach_every_part=True)
        count = {
            part: {name: sum(r.regions[0].concept == name for r in own) for name in names}
            for part, own in spread.items()
        }
        assert min(count[part]["rare"] for part in ("train", "valid", "dev")) >= 1, count
        assert sum(map(len, spread.values())) == len(records)
        # Two cases cannot be in three parts: they stay where they were.
        where = {r.record_id: part for part, own in hashed.items() for r in own}
        after = {r.record_id: part for part, own in spread.items() for r in own}
        moved = [name for name in where if where[name] != after[name]]
        assert all(name.startswith("r") for name in moved)
        assert len(moved) <= 2
        # Another patient changes nobody else's part, unless a finding was short.
        more = split_records([*records, film("new", "common")], salt="s", fractions=fractions, reach_every_part=True)
        assert {r.record_id: part for part, own in more.items() for r in own if r.record_id != "new"} == after
