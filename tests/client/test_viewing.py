"""What a viewer asks for, through the client and over HTTP."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medground.client.client import Client
from medground.client.errors import ServiceError
from medground.client.parts import Edges, FrameReading, Window
from medground.dicom.image import open_image
from medground.schema.errors import UsageError
from medground.serving.access.scope import Scope
from medground.serving.http.model import INTENDED_USE
from tests.client.conftest import New
from tests.client.other_server import serving
from tests.inference.drawn import drawn, write_ct_slice
from tests.serving.running import NODULE, Running


def test_who_i_am(house: Running) -> None:
    made = house.service.tokens.create("Ann Example", "clinic", (Scope.SIGN, Scope.READ), timedelta(days=3))
    with Client(house.url, made.plain) as client:
        me = client.me()
    assert (me.name, me.tenant, me.scopes, me.kind) == ("Ann Example", "clinic", ("read", "sign"), "token")
    assert me.expires is not None
    assert me.expires.timestamp() == pytest.approx(made.record.expires_us / 1e6, abs=1e-5)


def test_what_answers(house: Running, client: Client) -> None:
    model, facts = client.model(), house.service.model
    assert (model.info, model.intended_use) == (facts.info, INTENDED_USE)
    assert model.scope.found_threshold == facts.scope.found_threshold
    assert model.scope.not_found_threshold == facts.scope.not_found_threshold
    assert model.scope.default_min_score == facts.scope.default_min_score
    assert [(one.concept, one.images, one.real_boxes, one.synthetic_only) for one in model.scope.trained] == [
        (one.concept, one.images, one.real_boxes, one.synthetic_only) for one in facts.scope.trained
    ]
    assert {one.key for one in model.concepts} == {one.concept for one in facts.scope.trained}
    (nodule,) = [one for one in model.concepts if one.key == "nodule"]
    assert nodule.names["en"][0] == "nodule"


def test_a_ct_from_its_upload_to_its_pixels(client: Client, tmp_path: Path, numbers: Any) -> None:
    number, places = next(numbers), (5, -5, 0)
    window = {"WindowCenter": -600, "WindowWidth": 1500, "WindowCenterWidthExplanation": "LUNG"}
    paths = [
        write_ct_slice(
            tmp_path / f"{n}",
            drawn([(n, n, n + 9, n + 9)], rows=64, columns=48),
            z_mm=z,
            instance=n,
            study=number,
            SeriesDescription="thin",
            SeriesNumber=3,
            **window,
        )
        for n, z in enumerate(places, start=1)
    ]
    (key,) = client.store(paths).studies
    (series,) = client.series(key)
    assert (series.modality, series.description, series.number, series.is_volume, series.stack) == (
        "CT",
        "thin",
        3,
        True,
        1,
    )
    assert [one.position_mm for one in series.instances] == [-5, 0, 5]
    by_uid = {open_image(path).header.sop_instance_uid: path for path in paths}
    for one in series.instances:
        assert (one.rows, one.columns, one.frames, one.spacing_mm) == (64, 48, 1, (0.8, 0.7))
        assert (one.edges, one.spacing_source) == (Edges(left="R", right="L", top="A", bottom="P"), "patient plane")
        assert one.windows == (Window(name="LUNG", low=-1350, high=149),)
        assert (one.image_laterality, one.view_position) == (None, None)
        reading, pixels = client.frame(key, one.id)
        values = np.frombuffer(pixels, "<u2").reshape(64, 48) * reading.slope + reading.intercept
        assert np.array_equal(values, open_image(by_uid[one.sop_instance_uid]).modality_values(1))
        assert (reading.lowest, reading.highest) == (values.min(), values.max())
    with pytest.raises(ServiceError, match="no such frame") as error:
        client.frame(key, series.instances[0].id, 2)
    assert (error.value.status, error.value.kind) == (404, "not-found")


def test_threads_share_a_client(client: Client, new_film: New) -> None:
    (key,) = client.store([new_film(NODULE)]).studies
    ((image,),) = [series.instances for series in client.series(key)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: client.frame(key, image.id), range(8)))
    assert all(one == found[0] for one in found)
    assert len(found[0][1]) == 2 * 256 * 256


def test_uploads_of_a_page_never_touch_the_disk(client: Client, new_film: New) -> None:
    one, other = (io.BytesIO(new_film(instance=n).read_bytes()) for n in (1, 2))
    one.seek(100)  # somebody has looked at it
    stored = client.store_files([one, other, io.BytesIO(b"no image")])
    assert (stored.accepted, stored.new, stored.refused) == (2, 2, {"UnreadableFileError": 1})
    assert not one.closed
    assert client.store_files([one]).new == 0
    with pytest.raises(UsageError, match="no file to send"):
        client.store_files([])


def test_a_study_and_its_report(client: Client, new_film: New) -> None:
    job = client.submit([new_film(NODULE, PatientName="Roe^Jo", PatientID="7")], ["is there a nodule?"])
    client.wait(job.id)
    study = client.study(job.study)
    assert (study.study, study.patient_name, study.patient_id, study.status) == (job.study, "Roe^Jo", "7", "answered")
    page = client.report(job.study)
    assert page.startswith("<!doctype html>")
    assert "Roe Jo" in page
    assert client.report(job.study, job.id) == page
    with pytest.raises(ServiceError, match="no such result"):
        client.report(job.study, "0" * 40)


def test_the_audit_log(house: Running, client: Client, new_film: New) -> None:
    (key,) = client.store([new_film()]).studies
    with Client(house.url, house.token(Scope.AUDIT)) as auditor:
        newest = auditor.audit(limit=1)
        (stored,) = newest.entries
        assert (stored.action, stored.object_id, stored.details, stored.tenant) == (
            "study_stored",
            key,
            {"images": 1},
            "clinic",
        )
        assert newest.next == stored.sequence
        older = auditor.audit(limit=500, before=newest.next)
        assert [one.sequence for one in older.entries] == sorted((one.sequence for one in older.entries), reverse=True)
        assert all(one.sequence < stored.sequence for one in older.entries)


READING = FrameReading(
    rows=2, columns=3, samples=1, slope=1, intercept=0, lowest=0, highest=5, inverted=False, spacing_mm=None
)


@pytest.mark.parametrize(
    ("header", "length"),
    [("", 12), ("{}", 12), ("no json", 12), (READING.model_dump_json(), 11), (json.dumps({"rows": 2}), 12)],
)
def test_a_frame_that_is_not_what_it_says(header: str, length: int) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in (
            ("Content-Type", "application/octet-stream"),
            ("X-Request-Id", "0"),
            ("X-Frame", header),
            ("Content-Length", str(length)),
        ):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(bytes(length))

    with (
        serving(answer) as base,
        Client(base, "mg_x", timeout_s=5) as client,
        pytest.raises(ServiceError, match="is it a medground service"),
    ):
        client.frame("0" * 24, 1)
