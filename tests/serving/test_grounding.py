"""From a job's images to the files of its result."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from medground.dicom.untrusted import UntrustedReader
from medground.inference.ground import Grounded
from medground.schema.errors import DecodeError
from medground.schema.result import GroundingResult
from medground.serving.grounding import CancelledError, answer, result_files
from medground.serving.jobs import Job
from medground.serving.result_file import files_of
from tests.inference.blob_reader import BlobReader
from tests.inference.drawn import write_undecodable
from tests.serving.parts import Parts
from tests.serving.running import NODULE


@pytest.fixture(scope="module")
def untrusted() -> Iterator[UntrustedReader]:
    with UntrustedReader(workers=2) as reader:
        yield reader


def ground(parts: Parts, untrusted: UntrustedReader, job: Job) -> Grounded:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        told.append((done, total))
        return True

    grounded = answer(job, files_of(parts.engine, parts.store, job.job_id), BlobReader(), untrusted, progress=progress)
    count = len(files_of(parts.engine, parts.store, job.job_id))
    assert told == [(done, count) for done in range(count + 1)]
    return grounded


def test_images_are_called_by_their_uids(parts: Parts) -> None:
    accepted = [parts.accept(parts.film(1, instance=number)) for number in (2, 1)]
    found = files_of(parts.engine, parts.store, parts.ask(*accepted).job_id)
    assert [one.source for one in found] == sorted(one.sop_instance_uid for one in accepted)
    assert all(one.path.is_file() and one.source not in str(one.path) for one in found)
    found[0].path.unlink()
    with pytest.raises(FileNotFoundError, match="missing from the store"):
        files_of(parts.engine, parts.store, parts.ask(*accepted).job_id)


def test_files_of_a_result(parts: Parts, untrusted: UntrustedReader) -> None:
    job = parts.ask(*(parts.accept(parts.film(1, NODULE, instance=number)) for number in (1, 2)))
    grounded = ground(parts, untrusted, job)
    made = list(result_files(grounded, parts.store))
    kinds = [(one.kind, one.number) for one in made]
    assert kinds[0] == ("sr", 1)
    assert kinds[-1] == ("json", 1)
    assert len(kinds) == len(set(kinds))
    for one in made:
        content = parts.store.read(one.stored.sha256)
        assert len(content) == one.stored.size_bytes
        if one.kind in ("sr", "gsps"):
            assert pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID == one.sop_uid
        else:
            assert one.sop_uid == ""
    last = parts.store.read(made[-1].stored.sha256)
    assert GroundingResult.model_validate_json(last) == grounded.result
    again = list(result_files(ground(parts, untrusted, job), parts.store))
    objects = [one for one in again if one.kind != "json"]  # which has the times of this run
    assert objects == [one for one in made if one.kind != "json"]


def test_a_report_that_cannot_be_written_is_told_in_the_result(parts: Parts, untrusted: UntrustedReader) -> None:
    job = parts.ask(parts.accept(parts.film(1, NODULE, SeriesInstanceUID="1.02.3")))  # which no report may name
    made = list(result_files(ground(parts, untrusted, job), parts.store))
    assert {one.kind for one in made} == {"json", "overlay"}
    result = GroundingResult.model_validate_json(parts.store.read(made[-1].stored.sha256))
    assert len(result.studies[0].answers[0].findings) == 1
    assert "No structured report was written" in " ".join(result.studies[0].warnings)


def test_whoever_no_longer_wants_it_stops_it(parts: Parts, untrusted: UntrustedReader) -> None:
    job = parts.ask(*(parts.accept(parts.film(1, instance=number)) for number in range(1, 4)))
    reader = BlobReader()
    found = files_of(parts.engine, parts.store, job.job_id)
    with pytest.raises(CancelledError):
        answer(job, found, reader, untrusted, progress=lambda done, _: done < 1)
    assert reader.images_read < 3


def test_nothing_can_be_decoded(parts: Parts, untrusted: UntrustedReader, tmp_path: Path) -> None:
    job = parts.ask(parts.accept(write_undecodable(tmp_path / "a.dcm")))
    with pytest.raises(DecodeError, match="no image could be decoded"):
        ground_only(parts, untrusted, job)


def ground_only(parts: Parts, untrusted: UntrustedReader, job: Job) -> Grounded:
    found = files_of(parts.engine, parts.store, job.job_id)
    return answer(job, found, BlobReader(), untrusted, progress=lambda done, total: done <= total)
