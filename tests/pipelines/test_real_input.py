from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from medground.model.grounder import load_grounder
from pipelines import real_input
from pipelines.real_input import BYTES, SECONDS, Case, Outcome, dicom_cases, run_one


@pytest.fixture(scope="module")
def reader():
    return load_grounder(device="cpu")


@pytest.fixture
def patient(monkeypatch):
    """Beside other tests a file may take longer than when it is measured alone."""
    monkeypatch.setattr(real_input, "SECONDS", 300.0)


def test_a_picture_is_answered_and_a_text_refused_each_in_its_own_process(tmp_path, reader, patient):
    Image.fromarray(np.zeros((200, 200), np.uint8)).save(tmp_path / "flat.png")
    (tmp_path / "text.dcm").write_text("no image")
    good = run_one(Case(tmp_path / "flat.png", "nodule?", (0,)), reader, tmp_path)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.rand(400, 400) @ torch.rand(400, 400)  # threads of this process, which its child will not have
        bad = run_one(Case(tmp_path / "text.dcm", "nodule?", (2,)), reader, tmp_path)
        again = run_one(Case(tmp_path / "flat.png", "nodule?", (0,)), reader, tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert (again.code, again.fault) == (0, "")
    assert (good.code, good.fault) == (0, "")
    assert (bad.code, bad.fault) == (2, "")
    assert bad.text.startswith("error: ")
    assert len(bad.text.splitlines()) == 1


def test_limits_are_faults():
    assert Outcome(1, 0.1, 1, "Traceback (most recent call last)").fault == "traceback"
    assert "took" in Outcome(0, SECONDS + 1, 1, "").fault
    assert "GiB" in Outcome(0, 1.0, BYTES + 1, "").fault
    assert Outcome(0, 1.0, 1, "").fault == ""


@pytest.mark.real_data
def test_a_volume_out_of_scope_whose_lowest_slice_is_not_frame_1_is_unsupported(shared_data, reader, tmp_path, patient):
    path = shared_data / "dicom" / "pydicom__pydicom-data" / "eCT_Supplemental.dcm"
    outcome = run_one(Case(path, "is there a nodule?", (0,)), reader, tmp_path)
    assert (outcome.code, outcome.fault) == (0, "")
    assert '"verdict": "unsupported"' in (tmp_path / "result" / "results.json").read_text()


@pytest.mark.real_data
@pytest.mark.slow
def test_the_first_real_files_come_out_as_expected(shared_data, repository, reader, tmp_path, patient):
    cases = dicom_cases(shared_data, repository / "tests" / "dicom" / "expected_outcomes.csv")
    assert len(cases) == 97
    for case in cases[::8]:
        outcome = run_one(case, reader, tmp_path)
        assert outcome.fault == "", case.path.name
        assert outcome.code in case.codes, (case.path.name, outcome.text)
