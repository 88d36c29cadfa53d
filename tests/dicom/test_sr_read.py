"""Reports of medground read back: nothing changes, and whatever is done to one ends in a result or a typed error."""

from __future__ import annotations

import contextlib
import io
import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.sr.coding import Code

from medground.dicom.limits import Limits
from medground.dicom.sr import SrKind, read_sr, read_sr_boxes
from medground.dicom.sr.items import number_item, text_item, unquoted
from medground.schema.errors import LimitError, UnreadableFileError
from medground.schema.result import Extent, Finding, GroundingResult, SimilarCase, StudyResult, Verdict
from tests.dicom.sr_results import (
    BOXES,
    MODEL,
    SETTINGS,
    by_uid,
    ct_slices,
    finding,
    image,
    items_of,
    loaded,
    named,
    stored,
    study,
    volume_finding,
    written,
)


def _single(number: float) -> float:
    return float(np.float32(number))


def _as_stored(found: Finding) -> Finding:
    """The finding with box edges rounded to 32-bit floats, as DICOM holds them; all else as it was."""
    extent = found.extent
    if extent:
        slices = [one.model_copy(update={"box_xyxy_px": tuple(map(_single, one.box_xyxy_px))}) for one in extent.slices]
        extent = Extent.model_validate(extent.model_dump() | {"slices": [one.model_dump() for one in slices]})
    return found.model_copy(update={"box_xyxy_px": tuple(map(_single, found.box_xyxy_px)), "extent": extent})


def _expected(about: StudyResult) -> StudyResult:
    answers = tuple(
        answer.model_copy(update={"findings": tuple(map(_as_stored, answer.findings))}) for answer in about.answers
    )
    return about.model_copy(update={"answers": answers})


def _read(content: bytes) -> GroundingResult:
    return read_sr(loaded(content))


@pytest.mark.parametrize("kind", list(SrKind))
def test_a_result_comes_back_unchanged(kind: SrKind) -> None:
    """Every field, scores and sizes to the last bit; findings of two answers stay with their answers."""
    slices = ct_slices(4)
    first = slices[0]
    about = study(
        first,
        [finding(slices[3], 1, BOXES[1]), volume_finding(slices, 2), finding(first, 3, BOXES[0], size_mm=None)],
        warnings=("slices are missing", "序列不完整"),
    )
    other = about.answers[1].model_copy(
        update={"verdict": Verdict.UNCERTAIN, "findings": (finding(first, 1, BOXES[2], laterality=None, zone=None),)}
    )
    about = about.model_copy(update={"answers": (about.answers[0], other)})
    content = written(first, about, images=by_uid(*slices), kind=kind)
    back = _read(content)
    assert back.studies == (_expected(about),)
    assert (back.model, back.settings) == (MODEL, SETTINGS)
    assert back.result_id == loaded(content).SOPInstanceUID
    assert back.settings.min_score == 0.30000000000000004
    for was, is_ in zip(about.answers[0].findings, back.studies[0].answers[0].findings, strict=True):
        assert np.abs(np.subtract(was.box_xyxy_px, is_.box_xyxy_px)).max() < 0.01


@pytest.mark.parametrize("verdict", [Verdict.NOT_FOUND, Verdict.UNCERTAIN, Verdict.UNSUPPORTED])
def test_a_result_without_findings_comes_back(verdict: Verdict) -> None:
    film = image()
    about = study(film, [])
    answer = about.answers[0].model_copy(update={"verdict": verdict})
    about = about.model_copy(update={"answers": (answer, about.answers[1])})
    assert _read(written(film, about)).studies == (about,)


def test_volume_whose_own_image_is_none_of_its_slices() -> None:
    slices = ct_slices(4)
    whole = volume_finding(slices, 1)
    extent = whole.extent.model_copy(update={"slices": whole.extent.slices[2:]}) if whole.extent else None
    empty = whole.extent.model_copy(update={"slices": (), "frame_of_reference_uid": None}) if whole.extent else None
    findings = [whole.model_copy(update={"extent": one, "id": f"f{n}"}) for n, one in enumerate((extent, empty))]
    about = study(slices[0], findings)
    content = written(slices[0], about, images=by_uid(*slices))
    assert len(named(loaded(content), "125007")) == 4
    assert _read(content).studies == (_expected(about),)


def test_the_frame_comes_back() -> None:
    frames = image(frames=3)
    about = study(frames, [finding(frames, 1, (1, 1, 2, 2), frame=3)])
    content = written(frames, about)
    assert _read(content).studies[0].answers[0].findings[0].frame == 3
    assert read_sr_boxes(loaded(content))[0].frame == 3


def test_boxes_alone() -> None:
    film = image()
    content = written(film, study(film, [finding(film, n, box) for n, box in enumerate(BOXES)]))
    back = read_sr_boxes(loaded(content))
    assert [(one.frame, one.concept, one.tracking_identifier) for one in back] == [
        (1, ("SCT", "786838002"), f"f{n}") for n in range(3)
    ]
    assert np.abs(np.subtract([one.box_xyxy_px for one in back], BOXES)).max() < 0.01
    assert read_sr_boxes(Dataset()) == []


def _through_a_file(item: Dataset) -> Dataset:
    stream = io.BytesIO()
    outer = Dataset()
    outer.SpecificCharacterSet, outer.ContentSequence = "ISO_IR 192", [item]
    outer.save_as(stream, implicit_vr=False, little_endian=True)
    stream.seek(0)
    return pydicom.dcmread(stream, force=True).ContentSequence[0]


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(codec=None), max_size=60) | st.sampled_from(["", " ", '"', "\\", "a\r\nb", "\ud800", "x\x00"])
)
def test_any_text_comes_back(words: str) -> None:
    item = _through_a_file(text_item(Code("x", "99X", "x"), words))
    assert item.TextValue
    assert unquoted(str(item.TextValue)) == words


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_comes_back(number: float) -> None:
    item = _through_a_file(number_item(Code("x", "99X", "x"), number, Code("mm", "UCUM", "mm")))
    (measured,) = item.MeasuredValueSequence
    exact = measured.get("FloatingPointValue")
    assert (float(measured.NumericValue) if exact is None else exact) == number


def _base() -> bytes:
    slices = ct_slices(2)
    about = study(slices[0], [finding(slices[0], 1, BOXES[2]), volume_finding(slices, 2)])
    return written(slices[0], about, images=by_uid(*slices))


def _attempt(dataset: Dataset) -> str:
    """What became of it; anything but a result or an error of medground fails the test."""
    try:
        read_sr_boxes(dataset)
        result = read_sr(dataset)
    except (UnreadableFileError, LimitError):
        return "refused"
    GroundingResult.model_validate_json(result.model_dump_json())
    return "read"


def test_mutated_bytes_end_in_a_result_or_a_typed_error() -> None:
    base = _base()
    outcomes: Counter[str] = Counter()
    for seed in range(200):
        chance = random.Random(seed)
        content = bytearray(base)
        for _ in range(chance.choice((1, 3, 10))):
            content[chance.randrange(132, len(content))] = chance.randrange(256)
        if chance.random() < 0.2:
            del content[chance.randrange(400, len(content)) :]
        try:
            dataset = pydicom.dcmread(io.BytesIO(bytes(content)), force=True)
        except Exception:  # the file itself is no DICOM any more: not the reader's matter
            outcomes["no file"] += 1
            continue
        outcomes[_attempt(dataset)] += 1
    assert _attempt(loaded(base)) == "read"
    assert outcomes["read"] > 20
    assert outcomes["refused"] > 20


_CHANGES: tuple[Callable[[Dataset, str], None], ...] = (
    delattr,
    lambda item, keyword: setattr(item, keyword, None),
    lambda item, keyword: setattr(item, keyword, []),
    lambda item, keyword: setattr(item, keyword, item[keyword].value * 2),
)


def test_mutated_items_end_in_a_result_or_a_typed_error() -> None:
    base = _base()
    outcomes: Counter[str] = Counter()
    for seed in range(200):
        chance = random.Random(1000 + seed)
        dataset = loaded(base)
        item = chance.choice(items_of(dataset))
        keyword = chance.choice([element.keyword for element in item])
        with contextlib.suppress(TypeError, ValueError):  # pydicom itself refuses some values
            chance.choice(_CHANGES)(item, keyword)
        outcomes[_attempt(dataset)] += 1
    assert outcomes["read"] > 10
    assert outcomes["refused"] > 10


def test_nothing_is_lost_in_silence() -> None:
    """A group, a slice or a text that somebody took out is an error, not a shorter result."""

    def without(value: str, which: int) -> Dataset:
        dataset = loaded(_base())
        gone = named(dataset, value)[which]
        for item in (dataset, *items_of(dataset)):
            children = item.get("ContentSequence", [])
            if any(child is gone for child in children):
                item.ContentSequence = [child for child in children if child is not gone]
        return dataset

    for value, which in (("125007", 0), ("125007", 1), ("place", 0), ("score", 0), ("verdict", 0), ("question", 1)):
        with pytest.raises(UnreadableFileError):
            read_sr(without(value, which))
    assert read_sr(without("zone", 0)).studies[0].answers[0].findings[0].zone is None


def test_other_objects_and_later_versions_are_refused() -> None:
    with pytest.raises(UnreadableFileError, match="no TID 1500"):
        read_sr(Dataset())
    film = image()
    dataset = loaded(written(film, study(film, [])))
    named(dataset, "schema_version")[0].TextValue = "2"
    with pytest.raises(UnreadableFileError, match="version '2'"):
        read_sr(dataset)


def test_depth_and_number_are_limited() -> None:
    dataset = loaded(_base())
    with pytest.raises(LimitError, match="max_elements"):
        read_sr(dataset, limits=Limits(max_elements=50))
    deepest = named(dataset, "settings")[0]
    for _ in range(100):
        inner = text_item(Code("x", "99X", "x"), "x")
        deepest.ContentSequence = [inner]
        deepest = inner
    with pytest.raises(LimitError, match="max_nesting"):
        read_sr(dataset)
    assert stored(loaded(_base())) == _base()


def test_cases_that_a_finding_looks_like_are_left_out() -> None:
    """They are of the model's bundle, and mean nothing in an archive."""
    film = image()
    key = "5e8dd41a0c9b7f23"
    about = study(film, [finding(film, 1, BOXES[0], similar=(SimilarCase(case=key, similarity=0.75),))])
    content = written(film, about)
    assert key.encode() not in content
    assert _read(content).studies == (_expected(study(film, [finding(film, 1, BOXES[0])])),)
