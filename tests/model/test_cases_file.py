"""Cases on disk: they come back as they were, and anything else is damage, never a crash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from medground.model.bundle import Bundle, read_bundle
from medground.model.bundle_facts import read_facts
from medground.model.bundle_write import save_bundle
from medground.model.cases import Cases
from medground.model.cases_file import MOST_BYTES, NUMBERS_FILE, WORDS_FILE, read_cases, write_cases
from medground.schema.errors import BundleDamagedError, BundleError
from tests.model.made_cases import one_case, some_cases

Change = Callable[[dict[str, Any], dict[str, Any]], None]


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    write_cases(some_cases(), tmp_path, bundle.vocabulary)
    return tmp_path


def same(one: Cases, other: Cases) -> bool:
    return (
        one.known == other.known
        and np.array_equal(one.features_ND, other.features_ND)
        and one.pictures.keys() == other.pictures.keys()
        and all(np.array_equal(picture, other.pictures[key]) for key, picture in one.pictures.items())
    )


def test_they_come_back(bundle: Bundle, folder: Path) -> None:
    back = read_cases(folder, bundle.vocabulary)
    assert same(back, some_cases())
    assert back.features_ND.dtype == np.float16


def test_a_bundle_holds_them_under_its_manifest_and_one_without_stays_one(bundle: Bundle, tmp_path: Path) -> None:
    width = bundle.network.backbone.width * 25
    cases = Cases(one_case(1, kept=True).known, np.ones((1, width), np.float16), one_case(1, kept=True).pictures)
    save_bundle(replace(bundle, cases=cases), tmp_path / "with")
    assert same(read_bundle(tmp_path / "with").cases, cases)
    assert same(read_facts(tmp_path / "with").cases, cases)
    named = json.loads((tmp_path / "with" / "manifest.json").read_text())["files"]
    for name in (WORDS_FILE, NUMBERS_FILE):
        assert named[name] == hashlib.sha256((tmp_path / "with" / name).read_bytes()).hexdigest()
    save_bundle(bundle, tmp_path / "without")
    assert read_bundle(tmp_path / "without").cases.known == ()
    assert not (tmp_path / "without" / WORDS_FILE).exists()


def test_cases_of_another_network_are_damage(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(replace(bundle, cases=some_cases()), tmp_path / "b")
    with pytest.raises(BundleDamagedError, match="cases have features of 6 numbers"):
        read_bundle(tmp_path / "b")


def _first(words: dict[str, Any], **changes: Any) -> None:
    words["cases"][0] |= changes


def _array(numbers: dict[str, Any], change: Callable[[Any], Any], prefix: str = "picture.") -> None:
    name = next(name for name in numbers if name.startswith(prefix))
    numbers[name] = change(numbers[name])


HOSTILE: dict[str, Change] = {
    "there twice": lambda words, _: words["cases"].append(words["cases"][0]),
    "which the vocabulary lacks": lambda words, _: _first(words, concept="unheard_of"),
    "String should match pattern": lambda words, _: _first(words, id="../../etc/passwd"),
    "greater than 0": lambda words, _: _first(words, longest_mm=-1),
    "Extra inputs": lambda words, _: _first(words, patient_name="Doe"),
    "and not both": lambda words, _: _first(words, box_xyxy_px=None),
    "leaves its picture": lambda words, _: _first(words, box_xyxy_px=[0, 0, 81, 10]),
    "for 3 cases": lambda words, _: words["cases"].pop(),
    "at most": lambda words, _: words["cases"].extend([words["cases"][0]] * 600),
    "not finite": lambda _, numbers: _array(numbers, lambda a: a * np.float16("inf"), "features"),
    "features are float32": lambda _, numbers: _array(numbers, lambda a: a.astype(np.float32), "features"),
    "features are too wide": lambda _, numbers: numbers.update(features=np.zeros((4, 20_000), np.float16)),
    "a picture is float32": lambda _, numbers: _array(numbers, lambda a: a.astype(np.float32)),
    r"a picture is uint8 of \(60, 80, 1\)": lambda _, numbers: _array(numbers, lambda a: a[:, :, None]),
    r"a picture is uint8 of \(129, 80\)": lambda _, numbers: _array(numbers, lambda a: np.resize(a, (129, 80))),
    r"a picture is uint8 of \(0, 80\)": lambda _, numbers: _array(numbers, lambda a: a[:0]),
    "belong to no case": lambda _, numbers: numbers.update(more=np.zeros(1)),
    "picture.": lambda _, numbers: numbers.pop(next(name for name in numbers if name.startswith("picture."))),
}


@pytest.mark.parametrize("message", HOSTILE)
def test_what_does_not_belong_is_damage(bundle: Bundle, folder: Path, message: str) -> None:
    words, numbers = json.loads((folder / WORDS_FILE).read_text()), load_file(folder / NUMBERS_FILE)
    HOSTILE[message](words, numbers)
    (folder / WORDS_FILE).write_text(json.dumps(words))
    save_file({name: np.ascontiguousarray(one) for name, one in numbers.items()}, folder / NUMBERS_FILE)
    with pytest.raises(BundleDamagedError, match=message):
        read_cases(folder, bundle.vocabulary)


@pytest.mark.parametrize("name", [WORDS_FILE, NUMBERS_FILE])
@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 10_000, b"\xff" * 64, b"\0" * 8])
def test_what_is_no_such_file_is_damage(bundle: Bundle, folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(BundleDamagedError, match="the cases of the bundle"):
        read_cases(folder, bundle.vocabulary)


@pytest.mark.parametrize("name", [WORDS_FILE, NUMBERS_FILE])
def test_what_is_too_large_is_not_read(bundle: Bundle, folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.truncate(MOST_BYTES[name] + 1)
    with pytest.raises(BundleDamagedError, match=f"{name} has more than {MOST_BYTES[name]} bytes"):
        read_cases(folder, bundle.vocabulary)
    (folder / name).unlink()
    with pytest.raises(BundleDamagedError, match="cannot be read"):
        read_cases(folder, bundle.vocabulary)


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_any_cut_is_damage(bundle: Bundle, folder: Path, at: int) -> None:
    content = (folder / NUMBERS_FILE).read_bytes()
    (folder / NUMBERS_FILE).write_bytes(content[:at] if at % 2 else content[:at] + content[at + 1 :])
    with pytest.raises(BundleDamagedError):
        read_cases(folder, bundle.vocabulary)


def test_what_would_be_too_large_is_not_written(bundle: Bundle, tmp_path: Path) -> None:
    wide = Cases(one_case(1).known, np.zeros((1, 8 * 2**20), np.float16))
    with pytest.raises(BundleError, match="keep fewer cases"):
        write_cases(wide, tmp_path, bundle.vocabulary)
    assert not list(tmp_path.iterdir())


def _odd() -> dict[str, Cases]:
    good, (kept,) = one_case(1), one_case(1, kept=True).known
    collapsed = Cases((kept.model_copy(update={"box_xyxy_px": (0.32, 1, 0.32, 9)}),), good.features_ND)
    return {
        "not finite": Cases(good.known, np.full_like(good.features_ND, np.inf)),
        "features are float32": Cases(good.known, good.features_ND.astype(np.float32)),  # type: ignore[arg-type]
        "a box leaves its picture": replace(collapsed, pictures=one_case(1, kept=True).pictures),
        "picture.": collapsed,
        "belong to no case": replace(good, pictures=one_case(1, kept=True).pictures),
        "which the vocabulary lacks": one_case(1, "unheard_of"),
        "cases.json: .*at most 512": Cases(good.known * 513, np.repeat(good.features_ND, 513, 0)),
    }


@pytest.mark.parametrize("message", _odd())
def test_what_could_not_be_read_again_is_not_written(bundle: Bundle, tmp_path: Path, message: str) -> None:
    with pytest.raises(BundleError, match=f"could not be read again: .*{message}"):
        save_bundle(replace(bundle, cases=_odd()[message]), tmp_path / "bundle")
    assert not list(tmp_path.iterdir())
