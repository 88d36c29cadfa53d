from __future__ import annotations

import pytest
from cyclonedx.spdx import is_expression, is_supported_id

from medground.cards.forms.licences import _KNOWN, _WORDS, spdx_expression, spdx_id


def test_every_identifier_is_one_of_spdx():
    assert [name for name in (*_KNOWN, *_WORDS.values()) if not is_supported_id(name)] == []


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("apache-2.0", "Apache-2.0"),
        (" The MIT License ", "MIT"),
        ("BSD License", None),  # of two clauses, or three, or four
        ("Apache Software License", None),
        ("", None),
    ],
)
def test_one_licence(words, known):
    assert spdx_id(words) == known


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("MPL-2.0 AND MIT", "MPL-2.0 AND MIT"),
        ("mit OR apache 2.0", "MIT OR Apache-2.0"),
        ("MIT", None),
        ("MIT AND Own", None),
        ("MIT and more", None),
    ],
)
def test_several_licences(words, known):
    assert spdx_expression(words) == known
    assert known is None or is_expression(known)
