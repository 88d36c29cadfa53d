from __future__ import annotations

import pytest

from medground.inference.scope import ANY_DOMAIN, RADIOGRAPHS, gate_header, gate_pixels, gate_reading
from medground.model.reading import ImageReading
from medground.model.scope import Scope
from medground.schema.anatomy import Domain

CHEST, LIMB, CT = Domain.CHEST_RADIOGRAPH, Domain.LIMB_RADIOGRAPH, Domain.CHEST_CT
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SCOPE = Scope(trained=(), min_domain_probability=0.8)


@pytest.mark.parametrize(
    ("modality", "body_part", "domains"),
    [
        ("DX", "CHEST", {CHEST}),
        ("CR", "chest ", {CHEST}),
        ("DX", "CHEST 2 VIEWS", {CHEST}),
        ("DX", "LEFT HAND", {LIMB}),
        ("CR", "Tibia/Fibula", {LIMB}),
        ("CR", "WRIST, RT", {LIMB}),
        ("DX", "", RADIOGRAPHS),
        ("DX", None, RADIOGRAPHS),
        ("RG", "UNKNOWN", RADIOGRAPHS),
        ("CT", "CHEST", {CT}),
        ("CT", "THORAX", {CT}),
        ("CT", None, {CT}),
        ("CT", "WHOLEBODY", {CT}),
        ("OT", None, ANY_DOMAIN),
        (None, None, ANY_DOMAIN),
        (None, "CHEST", {CHEST, CT}),
    ],
)
def test_header_narrows(modality: str | None, body_part: str | None, domains: set[Domain]) -> None:
    gate = gate_header(modality, body_part)
    assert gate.domains == domains
    assert gate.reason == ""


@pytest.mark.parametrize(
    ("modality", "body_part", "word"),
    [
        *[
            (modality, None, modality)
            for modality in ("MR", "US", "SM", "NM", "PT", "RTDOSE", "SEG", "MG", "XA", "ECG")
        ],
        ("DX", "SKULL", "SKULL"),
        ("CR", "ABDOMEN", "ABDOMEN"),
        ("DX", "PELVIS", "PELVIS"),
        ("CT", "HEAD", "HEAD"),
        ("CT", "HAND", "HAND"),
        ("DX", "WHOLEBODY", "WHOLEBODY"),
    ],
)
def test_header_refuses_with_the_reason(modality: str, body_part: str | None, word: str) -> None:
    gate = gate_header(modality, body_part)
    assert gate.domains == frozenset()
    assert word in gate.reason


def test_screen_captures() -> None:
    assert gate_header("OT", None, SECONDARY_CAPTURE).domains == RADIOGRAPHS
    assert gate_header("CT", None, SECONDARY_CAPTURE).domains == frozenset()
    assert gate_header("DX", "CHEST", SECONDARY_CAPTURE).domains == {CHEST}


def test_a_reason_never_repeats_a_long_header_value() -> None:
    reason = gate_header("DX", "DOE^JOHN 1950-01-01 LIVES IN A LONG STREET").reason
    assert "1950" not in reason
    assert "STREET" not in reason


def test_size_and_colour() -> None:
    assert gate_pixels(128, 128, 0.0, SCOPE) == ""
    assert "127 x 900" in gate_pixels(127, 900, 0.0, SCOPE)
    assert gate_pixels(900, 900, 0.08, SCOPE) == ""
    assert "coloured" in gate_pixels(900, 900, 0.081, SCOPE)


@pytest.mark.parametrize(
    ("domain", "probability", "familiarity", "possible", "word"),
    [
        (CHEST, 0.8, 0.002, RADIOGRAPHS, ""),
        (CHEST, 0.99, 0.5, ANY_DOMAIN, ""),
        (CHEST, 0.79, 0.5, RADIOGRAPHS, "not sure"),
        (CHEST, 0.99, 0.001, RADIOGRAPHS, "unlike"),
        (LIMB, 0.99, 0.5, frozenset({CHEST}), "header excludes"),
        (Domain.OTHER, 1.0, 1.0, ANY_DOMAIN, "does not look like"),
    ],
)
def test_what_the_model_takes_it_for(
    domain: Domain, probability: float, familiarity: float, possible: frozenset[Domain], word: str
) -> None:
    reason = gate_reading(ImageReading(domain, probability, familiarity, ()), possible, SCOPE)
    assert word in reason
    assert bool(word) == bool(reason)
