import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medground.data.vocabulary import load_vocabulary
from medground.inference.describe import Place, certainty_words, describe
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.box import Box
from medground.schema.result import Origin, SizeMm, SpacingSource, StatementKind

VOCABULARY = load_vocabulary()
ROWS, COLUMNS = 1200, 1000
LEFT_LOW = Box(x1=100, y1=900, x2=300, y2=1100)


def place(**changes: object) -> Place:
    fields: dict[str, object] = {
        "domain": Domain.CHEST_RADIOGRAPH,
        "box": LEFT_LOW,
        "rows": ROWS,
        "columns": COLUMNS,
    }
    return Place(**(fields | changes))  # type: ignore[arg-type]  # the cases are data


def test_a_finding_with_a_full_header() -> None:
    size = SizeMm(width=28.44, height=9.14, spacing_source=SpacingSource.DETECTOR)
    where = place(side=Side.RIGHT, header_tells_side=True, zone=Zone.LOWER, size_mm=size)
    said = describe(
        VOCABULARY["nodule"], where, 0.83, appearance=("round", "faint", "round"), appearance_synthetic=True
    )
    assert [(s.kind, s.origin, s.text) for s in said.statements] == [
        (StatementKind.FINDING, Origin.MODEL, "Marked as a nodule."),
        (StatementKind.LOCATION, Origin.HEADER, "On the patient's right side, by the image header."),
        (StatementKind.LOCATION, Origin.MEASURED, "Centred in the lower zone of the chest."),
        (
            StatementKind.SIZE,
            Origin.MEASURED,
            "The box measures 28 x 9.1 mm (width x height), "
            "measured at the detector, where the patient appears magnified.",
        ),
        (StatementKind.APPEARANCE, Origin.MODEL, "It looks round and faint (words learnt from synthetic images)."),
        (StatementKind.CERTAINTY, Origin.MODEL, "A nodule is likely here (calibrated probability 0.83)."),
    ]
    assert said.text == " ".join(statement.text for statement in said.statements)


def test_a_plain_picture_gets_picture_words_and_pixels() -> None:
    said = describe(VOCABULARY["pneumonia"], place(), 0.4)
    texts = [(s.origin, s.text) for s in said.statements]
    assert texts == [
        (Origin.MODEL, "Marked as pneumonia."),
        (
            Origin.MEASURED,
            "Centred in the lower third of the image, in the left half of the image; "
            "the patient side is not stated in the header.",
        ),
        (Origin.MEASURED, "The box is 200 x 200 pixels (width x height); no pixel spacing is stated."),
        (Origin.MODEL, "Pneumonia is possible here (calibrated probability 0.40)."),
    ]


def test_a_box_across_the_midline_gets_no_side() -> None:
    where = place(box=Box(x1=300, y1=500, x2=800, y2=700), header_tells_side=True)
    location = describe(VOCABULARY["cardiomegaly"], where, 0.95).statements[1]
    assert location.text == (
        "Centred in the middle third of the image, across the vertical midline of the image; "
        "it is given no patient side."
    )
    assert location.origin == Origin.MEASURED


def test_a_limb_is_of_a_side() -> None:
    where = place(domain=Domain.LIMB_RADIOGRAPH, side=Side.LEFT, header_tells_side=True)
    texts = [s.text for s in describe(VOCABULARY["fracture"], where, 0.9).statements]
    assert texts[1] == "In the patient's left limb, by the image header."


@pytest.mark.parametrize(
    ("source", "note"),
    [
        (SpacingSource.PATIENT_PLANE, "plane of the patient"),
        (SpacingSource.DETECTOR, "magnified"),
        (SpacingSource.CALIBRATION, "calibration"),
    ],
)
def test_where_millimetres_come_from_is_named(source: SpacingSource, note: str) -> None:
    size = SizeMm(width=5, height=12.6, depth=10, spacing_source=source)
    text = describe(VOCABULARY["nodule"], place(size_mm=size), 0.5).statements[2].text
    assert note in text
    assert "5.0 x 13 x 10 mm (width x height x depth)" in text


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("mass",), "Also read as a mass."),
        (("consolidation", "mass"), "Also read as consolidation and a mass."),
        (("consolidation", "mass", "diffuse_nodules"), "Also read as consolidation, a mass and diffuse nodules."),
    ],
)
def test_other_names_of_the_box_follow_the_first(names: tuple[str, ...], text: str) -> None:
    said = describe(VOCABULARY["nodule"], place(), 0.5, also=[VOCABULARY[name] for name in names])
    second = said.statements[1]
    assert (second.kind, second.origin, second.text) == (StatementKind.FINDING, Origin.MODEL, text)
    assert said.statements[0].text == "Marked as a nodule."
    assert "Also" not in describe(VOCABULARY["nodule"], place(), 0.5).text


def test_plural_names_take_a_plural_verb() -> None:
    last = describe(VOCABULARY["diffuse_nodules"], place(), 0.02).statements[-1].text
    assert last == "Diffuse nodules are very unlikely here (calibrated probability 0.02)."


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (1.0, "most likely"),
        (0.91, "most likely"),
        (0.9, "likely"),
        (0.76, "likely"),
        (0.75, "possible"),
        (0.26, "possible"),
        (0.25, "unlikely"),
        (0.06, "unlikely"),
        (0.05, "very unlikely"),
        (0.0, "very unlikely"),
    ],
)
def test_certainty_follows_the_scale(score: float, words: str) -> None:
    assert certainty_words(score) == words


@pytest.mark.parametrize(
    ("score", "number"), [(0.0, "below 0.01"), (1.0, "above 0.99"), (0.994, "above 0.99"), (0.5, "0.50")]
)
def test_certainty_gives_the_number_and_never_0_or_1(score: float, number: str) -> None:
    text = describe(VOCABULARY["mass"], place(), score).statements[-1].text
    assert f"(calibrated probability {number})." in text


@given(
    key=st.sampled_from([concept.key for concept in VOCABULARY.concepts]),
    left=st.floats(0, 900),
    top=st.floats(0, 1100),
    width=st.floats(1, 100),
    height=st.floats(1, 100),
    side=st.sampled_from([None, *Side]),
    zone=st.sampled_from([None, *Zone]),
    score=st.floats(0, 1),
)
def test_nothing_contradicts_the_box(
    key: str, left: float, top: float, width: float, height: float, side: Side | None, zone: Zone | None, score: float
) -> None:
    box = Box(x1=left, y1=top, x2=left + width, y2=top + height)
    said = describe(VOCABULARY[key], place(box=box, side=side, zone=zone), score)
    for half, inside in (("left", box.x2 <= COLUMNS / 2), ("right", box.x1 >= COLUMNS / 2)):
        if f"{half} half of the image" in said.text:
            assert inside
            assert side is None
    third = re.search(r"(upper|middle|lower) third", said.text)
    if third:
        assert zone is None
        low = {"upper": 0, "middle": ROWS / 3, "lower": 2 * ROWS / 3}[third[1]]
        assert low - 1e-6 <= (box.y1 + box.y2) / 2 <= low + ROWS / 3 + 1e-6
    if side is not None:
        assert f"patient's {side.value} side" in said.text
        assert "not stated" not in said.text
    assert all(s.text.endswith(".") and s.text[0].isupper() for s in said.statements)
    assert not any(s.kind == StatementKind.APPEARANCE for s in said.statements)
