"""Planted leaks, each kind counted; and pictures that look alike without being one film, none of which may count."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medground.data.columnar import DataSet, write_data_set
from medground.data.data_split import checked_parts, fingerprints, save, split_data_set
from medground.data.fingerprints import fingerprint, near_duplicates
from medground.data.leaks import LeakKind, check_leaks
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain
from medground.schema.errors import LeakError
from medground.schema.record import ImageRecord
from tests.dicom.conftest import dicom_file

Grey = NDArray[np.uint8]
Note = Callable[[str, object], None]
PLANTED = 12  # of each kind, of as many films
LOOK_ALIKES = 200


def chest(seed: int) -> Grey:
    """A normal chest: the next seed is another patient in the same position."""
    return np.rint(chest_radiograph(seed, size_px=256, findings=[]).pixels * 255).astype(np.uint8)


def as_png(grey: Grey) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    return "png", buffer.getvalue()


def encoded_again(grey: Grey) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=40)
    return "jpg", buffer.getvalue()


def resized(factor: float) -> Callable[[Grey], tuple[str, bytes]]:
    def change(grey: Grey) -> tuple[str, bytes]:
        size = (round(grey.shape[1] * factor), round(grey.shape[0] * factor))
        return as_png(np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)))

    return change


def windowed(centre: float, width: float) -> Callable[[Grey], tuple[str, bytes]]:
    """A DICOM file of the same pixels that asks a display for another window."""

    def change(grey: Grey) -> tuple[str, bytes]:
        elements = {"WindowCenter": centre * 16, "WindowWidth": width * 16}
        return "dcm", dicom_file(grey.astype(np.uint16) * 16, **elements)

    return change


def cropped(grey: Grey) -> tuple[str, bytes]:
    cut = round(0.02 * grey.shape[0])
    return as_png(grey[cut:-cut, cut:-cut])


COPIES: dict[str, Callable[[Grey], tuple[str, bytes]]] = {
    "same file": as_png,
    "encoded again": encoded_again,
    "5% smaller": resized(0.95),
    "5% larger": resized(1.05),
    "narrow window": windowed(128, 150),
    "dark window": windowed(160, 150),
    "wide window": windowed(128, 400),
    "2% cropped": cropped,
}


def record(folder: Path, name: str, content: tuple[str, bytes], part: str, patient: str | None = None) -> ImageRecord:
    path = folder / f"{name}.{content[0]}"
    path.write_bytes(content[1])
    if content[0] == "dcm":
        columns, rows = 256, 256
    else:
        with Image.open(path) as image:
            columns, rows = image.size
    return ImageRecord(
        record_id=name,
        patient_id=patient or name,
        path=path,
        columns=columns,
        rows=rows,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset="planted",
        part=part,
    )


@pytest.fixture(scope="module")
def films() -> list[Grey]:
    return [chest(seed) for seed in range(PLANTED)]


@pytest.fixture(scope="module")
def train(films: list[Grey], tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    folder = tmp_path_factory.mktemp("train")
    return [record(folder, f"train{number}", as_png(grey), "train") for number, grey in enumerate(films)]


@pytest.mark.parametrize("kind", COPIES)
def test_every_planted_copy_is_caught(
    kind: str, films: list[Grey], train: list[ImageRecord], tmp_path: Path, record_property: Note
) -> None:
    valid = [record(tmp_path, f"valid{number}", COPIES[kind](grey), "valid") for number, grey in enumerate(films)]
    report = check_leaks({"train": train, "valid": valid}, fingerprints((*train, *valid)))
    caught = [(leak.first, leak.second) for leak in report.leaks if leak.kind is LeakKind.FILM]
    record_property(kind, f"{len(set(caught))} of {PLANTED} planted are caught")
    assert sorted(caught) == sorted((f"train{number}", f"valid{number}") for number in range(PLANTED))
    same_bytes = sum(leak.kind is LeakKind.FILE for leak in report.leaks)
    assert same_bytes == (PLANTED if kind == "same file" else 0)


def test_every_planted_patient_is_caught(train: list[ImageRecord], tmp_path: Path, record_property: Note) -> None:
    """Another film of the same patient: nothing in the picture gives it away."""
    valid = [
        record(tmp_path, f"valid{number}", as_png(chest(1000 + number)), "valid", f"train{number}")
        for number in range(PLANTED)
    ]
    report = check_leaks({"train": train, "valid": valid}, fingerprints((*train, *valid)))
    caught = Counter(leak.kind for leak in report.leaks)
    record_property("same patient", f"{caught[LeakKind.PATIENT]} of {PLANTED} planted are caught")
    assert caught == {LeakKind.PATIENT: PLANTED}


def test_look_alikes_are_not_caught(draw_limb: Callable[[int], Grey], record_property: Note) -> None:
    """Chests of different patients, limbs of different patients, and left limbs beside right ones."""
    pictures = {f"chest{seed}": chest(seed) for seed in range(100)}
    for seed in range(50):
        limb = draw_limb(seed)
        pictures |= {f"left{seed}": limb, f"right{seed}": np.ascontiguousarray(limb[:, ::-1])}
    prints = {name: fingerprint(grey) for name, grey in pictures.items()}
    flagged = near_duplicates(prints)
    record_property("look-alikes", f"{len(flagged)} pairs of {len(prints)} are flagged")
    assert len(prints) == LOOK_ALIKES
    assert flagged == []
    coarse = np.stack([print_.coarse.ravel() for print_ in prints.values()])
    alike = np.triu(coarse @ coarse.T, 1)
    assert (alike > 0.5).sum() > 500, "the pictures must look alike for this to test"


def test_a_data_set_with_planted_copies_is_trained_on_only_without_them(
    films: list[Grey], train: list[ImageRecord], tmp_path: Path
) -> None:
    changes = list(COPIES.values())
    planted = [
        record(tmp_path, f"valid{number}", changes[number % len(changes)](grey), "valid")
        for number, grey in enumerate(films[:8])
    ]
    clean = [record(tmp_path, f"other{number}", as_png(chest(500 + number)), "train") for number in range(2)]
    folder = tmp_path / "set"
    records = [*train, *planted, *clean]
    write_data_set(folder, records, name="planted", vocabulary=load_vocabulary(), copy=False)
    data = DataSet(folder)
    with pytest.raises(LeakError, match="has not been checked"):
        checked_parts(data)
    split = split_data_set(data, dev_fraction=0.0)
    assert set(split.dropped) == {f"train{number}" for number in range(8)}
    assert split.leaks == ()
    save(split, folder)
    parts = checked_parts(data)
    assert sorted(one.record_id for one in parts["valid"]) == [f"valid{number}" for number in range(8)]
    assert {"other0", "other1"} <= {one.record_id for one in parts["train"]}
    check_leaks(parts, fingerprints(tuple(data))).raise_if_leaking()
