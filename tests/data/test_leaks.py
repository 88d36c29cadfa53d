from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medground.data.fingerprints import fingerprint, fingerprint_records, near_duplicates
from medground.data.importers import Import
from medground.data.leaks import Leak, LeakKind, check_leaks, with_duplicate_groups, without_leaks
from medground.data.splits import split_records
from medground.schema.anatomy import Domain
from medground.schema.errors import DataSetError, LeakError
from medground.schema.record import ImageRecord

DrawLimb = Callable[[int], NDArray[np.uint8]]


def record(name: str, patient: str, part: str, path: Path | None = None) -> ImageRecord:
    return ImageRecord(
        record_id=name,
        patient_id=patient,
        path=path,
        columns=8,
        rows=8,
        domain=Domain.LIMB_RADIOGRAPH,
        dataset="made",
        part=part,
    )


def by_part(records: list[ImageRecord]) -> dict[str, list[ImageRecord]]:
    return {part: [r for r in records if r.part == part] for part in ("train", "valid")}


def test_clean_parts_pass(tmp_path: Path, draw_limb: DrawLimb) -> None:
    records = []
    for seed in range(6):
        Image.fromarray(draw_limb(seed)).save(tmp_path / f"{seed}.png")
        records.append(record(f"r{seed}", f"p{seed // 2}", "train" if seed < 4 else "valid", tmp_path / f"{seed}.png"))
    report = check_leaks(by_part(records), fingerprint_records(records))
    assert report.leaks == ()
    report.raise_if_leaking()


def test_each_kind_of_leak_is_named(tmp_path: Path, draw_limb: DrawLimb) -> None:
    image = draw_limb(1)
    Image.fromarray(image).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    Image.fromarray(image).resize((243, 304)).save(tmp_path / "c.jpg", quality=40)
    Image.fromarray(draw_limb(2)).save(tmp_path / "d.png")
    records = [
        record("a", "pa", "train", tmp_path / "a.png"),
        record("b", "pb", "valid", tmp_path / "b.png"),
        record("c", "pc", "valid", tmp_path / "c.jpg"),
        record("d", "pd", "train", tmp_path / "d.png"),
        record("e", "pd", "valid"),
        record("f", "pf", "train"),
    ]
    report = check_leaks(by_part(records), fingerprint_records(records))
    found = {(leak.kind, leak.first, leak.first_part, leak.second, leak.second_part) for leak in report.leaks}
    assert found == {
        (LeakKind.PATIENT, "d", "train", "e", "valid"),
        (LeakKind.FILE, "a", "train", "b", "valid"),
        (LeakKind.FILM, "a", "train", "b", "valid"),
        (LeakKind.FILM, "a", "train", "c", "valid"),
    }
    with pytest.raises(LeakError) as caught:
        report.raise_if_leaking()
    for words in ("4 leaks", "d in train and e in valid: same patient", "a in train and c in valid: same film"):
        assert words in str(caught.value)
    assert {leak.kind for leak in check_leaks(by_part(records)).leaks} == {LeakKind.PATIENT, LeakKind.FILE}


def test_a_copy_under_another_name_ties_the_patients(draw_limb: DrawLimb) -> None:
    """b is of the patient of a, and a is copied as c under a new name: b must not be apart from c."""
    prints = {"a": fingerprint(draw_limb(1)), "b": fingerprint(draw_limb(2)), "c": fingerprint(draw_limb(1))}
    records = [record("a", "p", "train"), record("b", "p", "train"), record("c", "q", "valid")]
    report = check_leaks(by_part(records), prints)
    assert {(leak.kind, leak.first, leak.second) for leak in report.leaks} == {
        (LeakKind.FILM, "a", "c"),
        (LeakKind.PATIENT, "b", "c"),
    }
    assert without_leaks(by_part(records), report, keep="valid") == {"train": (), "valid": (records[2],)}


def test_copies_within_a_part_are_no_leak(draw_limb: DrawLimb) -> None:
    prints = {"a": fingerprint(draw_limb(1)), "b": fingerprint(draw_limb(1))}
    assert check_leaks({"train": [record("a", "p", "train"), record("b", "p", "train")]}, prints).leaks == ()


def test_a_long_list_of_leaks_is_cut() -> None:
    records = [record(f"t{n}", f"p{n}", "train") for n in range(30)]
    records += [record(f"v{n}", f"p{n}", "valid") for n in range(30)]
    with pytest.raises(LeakError, match=r"30 leaks.*t19 in train.*and 10 more"):
        check_leaks(by_part(records)).raise_if_leaking()


def test_one_record_in_two_parts_is_refused() -> None:
    with pytest.raises(DataSetError, match=r"'a' is in train and again in valid"):
        check_leaks({"train": [record("a", "p", "train")], "valid": [record("a", "p", "valid")]})


def test_dropping_leaks_leaves_the_measured_part_whole() -> None:
    records = [record(name, patient, "train") for name, patient in (("a", "p"), ("b", "p"), ("c", "q"), ("d", "r"))]
    records += [record("e", "p", "valid"), record("f", "q", "valid"), record("g", "s", "valid")]
    parts = by_part(records)
    report = check_leaks(parts)
    assert Leak(LeakKind.PATIENT, "b", "train", "e", "valid") in report.leaks
    kept = without_leaks(parts, report, keep="valid")
    assert [r.record_id for r in kept["train"]] == ["d"]
    assert [r.record_id for r in kept["valid"]] == ["e", "f", "g"]
    check_leaks(kept).raise_if_leaking()
    other = without_leaks(parts, report, keep="train")
    assert [r.record_id for r in other["train"]] == ["a", "b", "c", "d"]
    assert [r.record_id for r in other["valid"]] == ["g"]


def test_copies_become_one_patient() -> None:
    records = [record(name, name, "train") for name in "abcde"]
    grouped = with_duplicate_groups(records, [("d", "b", 0.9), ("b", "e", 0.9)])
    assert [(r.record_id, r.patient_id) for r in grouped] == [
        ("a", "a"),
        ("b", "b"),
        ("c", "c"),
        ("d", "b"),
        ("e", "b"),
    ]


@pytest.mark.real_data
def test_fracatlas_is_refused_as_published_and_passes_when_cleaned(fracatlas: Import) -> None:
    records = fracatlas.records
    prints = fingerprint_records(records)
    parts = by_part(list(records))
    report = check_leaks(parts, prints)
    fractured = {r.record_id for r in records if r.regions}
    leaking = {leak.second for leak in report.leaks if leak.second in fractured}
    assert len(leaking) == 22  # of the 82 fractured images of the valid part; the source names "at least 14"
    with pytest.raises(LeakError, match="IMG0004233"):
        report.raise_if_leaking()

    kept = without_leaks(parts, report, keep="valid")
    assert len(kept["valid"]) == len(parts["valid"])
    assert len(kept["train"]) == len(parts["train"]) - 24
    left = [r for own in kept.values() for r in own]
    pairs = near_duplicates({r.record_id: prints[r.record_id] for r in left})
    split = split_records(with_duplicate_groups(left, pairs), salt="made")
    assert len(pairs) == 13
    assert {r.part for r in split["dev"]} == {"train"}
    assert split["valid"] == with_duplicate_groups(kept["valid"], pairs)
    check_leaks(split, prints).raise_if_leaking()
