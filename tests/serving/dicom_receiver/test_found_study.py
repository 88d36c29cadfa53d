"""Studies in DICOM JSON, as archives tell of them and as they should not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medground.schema.errors import PeerError
from medground.serving.dicom_receiver.found_study import FoundStudy, StudyFilter, read_studies


def element(*values: Any) -> dict[str, Any]:
    return {"vr": "LO", "Value": list(values)}


def test_a_study_as_it_should_be() -> None:
    told = {
        "0020000D": element("1.2.3"),
        "00100010": element({"Alphabetic": "Doe^Jane", "Ideographic": "x"}),
        "00100020": element("P-1"),
        "00080050": element("A-1"),
        "00080020": element("20260131"),
        "00081030": element("CHEST"),
        "00080061": element("CT", "SR"),
        "00201208": element(12),
    }
    expected = FoundStudy("1.2.3", "P-1", "Doe^Jane", "A-1", "20260131", "CHEST", ("CT", "SR"), 12)
    assert read_studies(json.dumps([told]).encode()) == (expected,)


@pytest.mark.parametrize("entry", [{}, 7, None, [], {"0020000D": element("../x")}, {"0020000D": element(None)}])
def test_what_has_no_uid_is_left_out(entry: Any) -> None:
    least = {"0020000D": element("1.2.3"), "00100010": 5, "00080061": {"Value": "CT"}, "00201208": element("many")}
    expected = FoundStudy("1.2.3", "", "", "", "", "", (), None)
    assert read_studies(json.dumps([entry, least]).encode()) == (expected,)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["0020000D", "00100010", "00201208", "Value", "Alphabetic"]), inner)
        ),
        max_leaves=20,
    )
)
def test_any_json_is_read_or_refused(told: Any) -> None:
    try:
        found = read_studies(json.dumps(told).encode())
    except PeerError:
        assert not isinstance(told, list)
    else:
        assert isinstance(told, list)
        assert len(found) <= len(told)


def test_filters_become_a_query() -> None:
    assert StudyFilter().query() == [("limit", "200")]
    wanted = StudyFilter(patient_id="P&1=2", study_date="20260101-", modality="DX", at_most=5)
    assert wanted.query() == [
        ("PatientID", "P&1=2"),
        ("StudyDate", "20260101-"),
        ("ModalitiesInStudy", "DX"),
        ("limit", "5"),
    ]
    for wrong in ({"study_date": "yesterday"}, {"at_most": 0}, {"patient": "x"}):
        with pytest.raises(ValidationError):
            StudyFilter.model_validate(wrong)
