"""The series of a study in viewing order, and the pixels of their images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import delete

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.dicom.image import open_image
from medground.serving.access.scope import Scope
from medground.serving.database import writing
from medground.serving.instance_views import instance_views
from tests.inference.drawn import drawn, write_ct_slice, write_undecodable
from tests.serving.http.answers import post, problem
from tests.serving.running import Running, film

New = Callable[..., Path]
STORE = "/v1/studies"


def stored(house: Running, *paths: Path) -> str:
    (key,) = post(house.client(), *paths, url=STORE).json()["studies"]
    return str(key)


def series_of(house: Running, key: str) -> list[dict[str, Any]]:
    answer = house.client(Scope.READ).get(f"{STORE}/{key}/series")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_a_film_with_what_its_header_tells(house: Running, new_film: New) -> None:
    path = new_film(SeriesDescription="Chest pa", SeriesNumber=7, ImageLaterality="U", ViewPosition="PA")
    header = open_image(path).header
    (series,) = series_of(house, stored(house, path))
    (image,) = series.pop("instances")
    assert series == {
        "series_instance_uid": header.series_instance_uid,
        "stack": 1,
        "is_volume": False,
        "modality": "DX",
        "description": "Chest pa",
        "number": 7,
    }
    assert image.pop("id") > 0
    assert image == {
        "sop_instance_uid": header.sop_instance_uid,
        "frames": 1,
        "rows": 256,
        "columns": 256,
        "is_colour": False,
        "position_mm": None,
        "frame_positions_mm": [],
        "edges": {"left": "R", "right": "L", "top": "H", "bottom": "F"},
        "spacing_mm": [0.5, 0.5],
        "spacing_source": "detector",
        "windows": [{"name": "", "low": 0, "high": 4094}],
        "image_laterality": "U",
        "view_position": "PA",
    }


def test_slices_by_position_beside_films_by_number(house: Running, numbers: Any, tmp_path: Path) -> None:
    number = next(numbers)
    slices = [
        write_ct_slice(tmp_path / f"{n}", drawn(rows=64, columns=48), z_mm=-n, instance=n, study=number, SeriesNumber=1)
        for n in (2, 1, 3)
    ]
    films = [film(tmp_path, number, instance=n, InstanceNumber=10 - n, SeriesNumber=2) for n in (1, 2)]
    ct, dx = series_of(house, stored(house, *slices, *films))
    assert [one["sop_instance_uid"][-2:] for one in ct["instances"]] == [".3", ".2", ".1"]
    assert [one["position_mm"] for one in ct["instances"]] == [-3, -2, -1]
    assert [one["sop_instance_uid"][-2:] for one in dx["instances"]] == [".2", ".1"]
    assert [(one["modality"], one["is_volume"]) for one in (ct, dx)] == [("CT", True), ("DX", False)]
    assert ct["instances"][0]["edges"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert ct["instances"][0]["spacing_source"] == "patient plane"
    assert ct["instances"][0]["windows"] == []


def test_a_study_from_before_there_were_views(house: Running, new_film: New) -> None:
    key = stored(house, new_film(SeriesDescription="old"))
    before = series_of(house, key)
    with writing(house.service.engine) as connection:
        connection.execute(delete(instance_views))
    assert series_of(house, key) == before
    assert "old" in str(house.rows(instance_views))


def test_windows_are_in_the_values_of_frames(house: Running, numbers: Any, tmp_path: Path) -> None:
    """A film of twelve bits as its own window shows it, by the values of the frame and the ends of the window."""
    path = write_ct_slice(
        tmp_path / "a",
        drawn([(10, 10, 30, 30)], rows=64, columns=48),
        z_mm=1,
        instance=1,
        study=next(numbers),
        WindowCenter=-600,
        WindowWidth=1500,
        WindowCenterWidthExplanation="LUNG",
    )
    key = stored(house, path)
    (image,) = series_of(house, key)[0]["instances"]
    (window,) = image["windows"]
    assert window["name"] == "LUNG"
    answer = frame(house, key, image["id"])
    reading = json.loads(answer.headers["x-frame"])
    values = np.frombuffer(answer.content, "<u2").reshape(64, 48) * reading["slope"] + reading["intercept"]
    shown = np.clip((values - window["low"]) / (window["high"] - window["low"]), 0, 1)
    assert np.allclose(shown, open_image(path).display(1), atol=1e-6)


def frame(house: Running, key: str, instance: int, number: int = 1, tenant: str = "clinic") -> httpx.Response:
    url = f"{STORE}/{key}/instances/{instance}/frames/{number}"
    return house.client(Scope.READ, tenant=tenant).get(url)


def instance_of(house: Running, key: str) -> int:
    (series,) = series_of(house, key)
    return int(series["instances"][0]["id"])


def test_the_values_of_a_slice(house: Running, numbers: Any, tmp_path: Path) -> None:
    path = write_ct_slice(tmp_path / "a", drawn(rows=64, columns=48), z_mm=1, instance=1, study=next(numbers))
    key = stored(house, path)
    answer = frame(house, key, instance_of(house, key))
    reading = json.loads(answer.headers["x-frame"])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (reading["rows"], reading["columns"], reading["spacing_mm"]) == (64, 48, [0.8, 0.7])
    pixels = np.frombuffer(answer.content, "<u2").reshape(64, 48)
    values = pixels * reading["slope"] + reading["intercept"]
    assert np.array_equal(values, open_image(path).modality_values(1))
    assert (values.min(), values.max()) == (reading["lowest"], reading["highest"])
    entries = house.service.audit.read(Selection(object_id=key, action=Action.STUDY_READ))
    assert entries[-1].event.details == {"images": 1}


def test_only_the_browser_of_whoever_asked_keeps_a_frame(house: Running, new_film: New) -> None:
    key = stored(house, new_film())
    kept = frame(house, key, instance_of(house, key)).headers
    assert (kept["cache-control"], kept["vary"]) == ("private, max-age=3600, immutable", "Authorization")
    for path in (f"{STORE}/{key}/series", f"{STORE}/{key}/instances/{2**40}/frames/1"):
        assert house.client().get(path).headers["cache-control"] == "no-store"


def test_frames_that_are_not_there(house: Running, new_film: New) -> None:
    mine, other = stored(house, new_film()), stored(house, new_film())
    instance = instance_of(house, mine)
    assert frame(house, mine, instance).status_code == 200
    for answer in (frame(house, mine, instance, 2), frame(house, other, instance), frame(house, mine, 2**40)):
        problem(answer, 404, "not-found", "there is no such frame")
    for answer in (frame(house, mine, instance, tenant="other"), frame(house, "0" * 24, instance)):
        problem(answer, 404, "not-found", "there is no such study")


def test_a_frame_that_cannot_be_decoded(house: Running, tmp_path: Path) -> None:
    key = stored(house, write_undecodable(tmp_path / "a.dcm", instance=88))
    instance = next(
        one["id"]
        for series in series_of(house, key)
        for one in series["instances"]
        if one["sop_instance_uid"].endswith(".88")
    )
    problem(frame(house, key, instance), 422, "unreadable-input")


@pytest.mark.parametrize("ending", ["/series", "/instances/1/frames/1"])
def test_images_of_another_tenant(house: Running, new_film: New, ending: str) -> None:
    key = stored(house, new_film())
    problem(house.client(Scope.READ, tenant="other").get(f"{STORE}/{key}{ending}"), 404, "not-found", "no such study")
