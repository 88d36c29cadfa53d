"""The committed cards: one page and one Croissant file for each importer, and figures that are those of the files."""

from __future__ import annotations

import csv
import hashlib
import json
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlcroissant
import pytest
from PIL import Image

from medground.data.importers import importers

LEADS = ("What", "Source and terms", "Who is in", "Who is not in", "Counts", "Exhaustive set", "Known dirt")
LEADS += ("Patients", "Checks run")
PHANTOM_LEADS = ("What", "Source and terms", "Who is in", "Exhaustive set")
ABSENT = ("deeplesion", "ms-cxr", "nih", "rsna", "siim", "tbx11k", "vindr-cxr")
ANYONES = ("coco", "dicom-sr", "voc", "yolo")
NAMES = (*importers(), "phantom")


@pytest.fixture(scope="module")
def cards(repository: Path) -> Path:
    return repository / "data_cards"


def croissant(path: Path, **mapping: Path) -> mlcroissant.Dataset:
    return mlcroissant.Dataset(jsonld=str(path), mapping=mapping or None)


def rows_of(page: str) -> list[list[str]]:
    """Cells of every row of every table of a page."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("*").replace(",", "") for cell in line.strip("|").split("|")] for line in lines]


def numbers(page: str, first: str) -> list[int]:
    """The numbers of the one row that begins with a word."""
    (row,) = [row for row in rows_of(page) if row[0] == first]
    return [int(cell) for cell in row[1:] if cell.isdigit()]


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_page_with_its_headings(name: str, cards: Path) -> None:
    page = (cards / f"{name}.md").read_text(encoding="utf-8")
    assert f"(`{name}`)" in page.splitlines()[0]
    for lead in PHANTOM_LEADS if name == "phantom" else LEADS:
        assert f"**{lead}" in page, f"{name}.md has no paragraph {lead!r}"
    if name in ABSENT:
        assert "as published, not counted here" in page.lower()
    if name in ANYONES:
        assert "medground data card DIR" in page.replace("\n", " ")


@pytest.mark.parametrize("name", NAMES)
def test_mlcroissant_finds_no_error(name: str, cards: Path) -> None:
    path = cards / f"{name}.croissant.json"
    dataset = croissant(path)
    assert dataset.metadata.ctx.issues.errors == set()
    described = json.loads(path.read_text(encoding="utf-8"))
    assert described["name"] == dataset.metadata.name == name
    assert described["license"]
    page = (cards / f"{name}.md").read_text(encoding="utf-8")
    if name not in (*ANYONES, "phantom"):
        assert described["url"] in page or described["url"].split("/")[-1] in page


def test_there_is_no_card_of_nothing(cards: Path) -> None:
    kinds = {path.name.removesuffix(".md") for path in cards.glob("*.md")}
    assert kinds == {path.name.removesuffix(".croissant.json") for path in cards.glob("*.croissant.json")} == set(NAMES)


def coco(path: Path) -> tuple[list[dict[str, Any]], dict[int, list[dict[str, Any]]], dict[int, str]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    boxes: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in content["annotations"]:
        boxes[one["image_id"]].append(one)
    return content["images"], boxes, {one["id"]: one["name"] for one in content["categories"]}


def decodes(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True


@pytest.mark.real_data
def test_counts_of_fracatlas(shared_data: Path, cards: Path) -> None:
    page = (cards / "fracatlas.md").read_text(encoding="utf-8")
    images, boxes, _ = coco(shared_data / "fracatlas" / "annotations_coco.json")
    whole = {one["id"]: decodes(shared_data / "fracatlas" / "images" / one["file_name"]) for one in images}
    for part in ("train", "valid", "both"):
        own = [one for one in images if part in (one["split"], "both")]
        expected = [
            len(own),
            sum(whole[one["id"]] for one in own),
            sum(bool(boxes[one["id"]]) for one in own),
            sum(len(boxes[one["id"]]) for one in own),
        ]
        assert numbers(page, part) == expected


@pytest.mark.real_data
def test_counts_of_the_chest_films(shared_data: Path, cards: Path) -> None:
    page = (cards / "nih-chestxdet.md").read_text(encoding="utf-8")
    images, boxes, names = coco(shared_data / "cxr" / "annotations_coco.json")
    assert f"{len(images)} films of {len({one['patient'] for one in images})} patients" in page
    by_source: Counter[tuple[str, str]] = Counter()
    films: dict[str, set[int]] = defaultdict(set)
    for image_id, own in boxes.items():
        for one in own:
            by_source[names[one["category_id"]], one["source"]] += 1
            films[names[one["category_id"]]].add(image_id)
    keys = {"Effusion": "pleural_effusion", "Diffuse Nodule": "diffuse_nodules"}
    for name, found in films.items():
        key = keys.get(name, name.lower().replace(" ", "_"))
        counts = [by_source[name, source] for source in ("ChestX-Det", "NIH BBox_List_2017")]
        assert numbers(page, key) == [*(count for count in counts if count), sum(counts), len(found)]
    totals = [
        sum(n for (_, one), n in by_source.items() if one == source) for source in ("ChestX-Det", "NIH BBox_List_2017")
    ]
    assert numbers(page, "all") == [*totals, sum(totals)]


@pytest.mark.real_data
def test_counts_of_chestx_det(shared_data: Path, cards: Path) -> None:
    page = (cards / "chestx-det.md").read_text(encoding="utf-8")
    folder = shared_data / "annotation_formats" / "ChestX-Det"
    parts = [json.loads((folder / f"ChestX_Det_{part}.json").read_text()) for part in ("train", "test")]
    classes = [Counter(name for one in part for name in one["syms"]) for part in parts]
    for name in set(classes[0]) | set(classes[1]):
        counts = [own[name] for own in classes]
        assert numbers(page, name) == [*counts, sum(counts)]
    boxes = [sum(len(one["boxes"]) for one in part) for part in parts]
    empty = [sum(not one["boxes"] for one in part) for part in parts]
    for first, counts in (("boxes", boxes), ("images", [len(part) for part in parts]), ("images without a box", empty)):
        assert numbers(page, first) == [*counts, sum(counts)]


@pytest.mark.real_data
def test_counts_of_luna16(shared_data: Path, cards: Path) -> None:
    page = (cards / "luna16.md").read_text(encoding="utf-8")
    lines = (shared_data / "annotation_formats" / "luna16" / "annotations.csv").read_text().splitlines()[1:]
    assert numbers(page, "nodules") == [len(lines)]
    assert numbers(page, "scans with a nodule") == [len({line.split(",")[0] for line in lines})]


@pytest.mark.real_data
def test_counts_of_bccd(shared_data: Path, cards: Path) -> None:
    page = (cards / "bccd.md").read_text(encoding="utf-8")
    folder, both = shared_data / "bccd", Counter[str]()
    for part, file in (("train", "train"), ("valid", "val")):
        names = (folder / "ImageSets" / "Main" / f"{file}.txt").read_text().split()
        counts = Counter(images=len(names), **dict(_cells(folder, names)))
        assert numbers(page, part) == [counts[name] for name in ("images", "RBC", "WBC", "Platelets")]
        both.update(counts)
    assert numbers(page, "both") == [both[name] for name in ("images", "RBC", "WBC", "Platelets")]


def _cells(folder: Path, names: list[str]) -> Counter[str]:
    """Boxes with an area, by class."""
    counts: Counter[str] = Counter()
    for name in names:
        for cell in ET.parse(folder / "Annotations" / f"{name}.xml").getroot().iter("object"):
            corners = {one.tag: int(one.text or "") for one in cell.iterfind("bndbox/*")}
            if corners["xmin"] < corners["xmax"] and corners["ymin"] < corners["ymax"]:
                counts[str(cell.findtext("name"))] += 1
    return counts


def _held(shared_data: Path) -> Iterator[tuple[str, str, dict[str, Path]]]:
    """Card, record set, and where its file is."""
    for name, folder in (("fracatlas", "fracatlas"), ("nih-chestxdet", "cxr")):
        path = shared_data / folder / "annotations_coco.json"
        files = {"annotations_coco.json": path, "boxes_of_annotations_coco.json": path}
        yield name, "images", files
        yield name, "annotations", files
    formats = shared_data / "annotation_formats"
    parts = {
        f"ChestX_Det_{part}.json": formats / "ChestX-Det" / f"ChestX_Det_{part}.json" for part in ("train", "test")
    }
    yield "chestx-det", "train", parts
    yield "chestx-det", "test", parts
    yield "luna16", "nodules", {"annotations.csv": formats / "luna16" / "annotations.csv"}


@pytest.mark.real_data
def test_mlcroissant_reads_the_real_files_by_the_cards(shared_data: Path, cards: Path) -> None:
    read: dict[tuple[str, str], int] = {}
    for name, records, files in _held(shared_data):
        path = cards / f"{name}.croissant.json"
        described = json.loads(path.read_text(encoding="utf-8"))
        for one in described["distribution"]:
            if one["@type"] == "cr:FileObject":
                assert one["sha256"] == hashlib.sha256(files[one["@id"]].read_bytes()).hexdigest()
        read[name, records] = sum(1 for _ in croissant(path, **files).records(records))
    assert read == {
        ("fracatlas", "images"): 1352,
        ("fracatlas", "annotations"): 848,
        ("nih-chestxdet", "images"): 447,
        ("nih-chestxdet", "annotations"): 813,
        ("chestx-det", "train"): 3025,
        ("chestx-det", "test"): 553,
        ("luna16", "nodules"): 1117,
    }


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_no_pair_of_copies_is_apart_in_the_clean_split(cards: Path) -> None:
    part = {row["image"]: row["part"] for row in _table(cards / "fracatlas_clean_split.csv")}
    assert Counter(part.values()) == {"train": 1107 - 24, "valid": 229}
    for row in _table(cards / "fracatlas_duplicates.csv"):
        assert len({part[name] for name in (row["first"], row["second"]) if name in part}) == 1, row


@pytest.mark.real_data
def test_the_clean_split_is_made_anew(shared_data: Path, cards: Path) -> None:
    """Every image that can be decoded, less those of train that copy one of valid."""
    images, _, _ = coco(shared_data / "fracatlas" / "annotations_coco.json")
    copies = {
        name
        for row in _table(cards / "fracatlas_duplicates.csv")
        for name, part, other in (
            (row["first"], row["first_part"], row["second_part"]),
            (row["second"], row["second_part"], row["first_part"]),
        )
        if (part, other) == ("train", "valid")
    }
    assert len(copies) == 24
    expected = [
        {"image": Path(one["file_name"]).stem, "part": one["split"]}
        for one in sorted(images, key=lambda one: str(one["file_name"]))
        if decodes(shared_data / "fracatlas" / "images" / one["file_name"])
        and Path(one["file_name"]).stem not in copies
    ]
    assert _table(cards / "fracatlas_clean_split.csv") == expected
