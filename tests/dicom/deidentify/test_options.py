from __future__ import annotations

import pytest
from pydantic import ValidationError

from medground.dicom.deidentify.options import Options


def test_codes_say_which_options_were_taken() -> None:
    plain = Options().method_codes(structured_content=False)
    assert [code.value for code in plain] == ["113100"]
    everything = Options(shift_dates=True, keep_patient_characteristics=True, keep_device=True, keep_uids=True)
    codes = everything.method_codes(structured_content=True)
    assert [code.value for code in codes] == ["113100", "113104", "113107", "113108", "113109", "113110"]


@pytest.mark.parametrize("wrong", [{"profile": "none"}, {"keep_names": True}])
def test_unknown_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(wrong)
