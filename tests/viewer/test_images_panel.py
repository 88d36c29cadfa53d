"""The images of a study on the page: its series, the one of a finding, and an older study beside."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from medground.client.client import Client
from medground.client.parts import Edges
from medground.serving.access.scope import Scope
from medground.viewer.images_panel import most_alike, place_of_stage, series_of_finding
from medground.viewer.shown import Shown
from tests.inference.drawn import drawn, write_ct_slice
from tests.serving.running import NODULE
from tests.viewer.conftest import New, Opened
from tests.viewer.made import finding, instance, result, review, reviewed, series
from tests.viewer.people import People


def test_the_series_most_like_another_one() -> None:
    upside_down = Edges(left="L", right="R", top="F", bottom="H")
    shown = series(instance(), modality="CT", is_volume=True)
    film = series(*(instance(n) for n in range(9)), modality="DX")
    localizer = series(*(instance(n) for n in range(5)), modality="CT")
    turned = series(*(instance(n, edges=upside_down) for n in range(4)), modality="CT", is_volume=True)
    short = series(instance(1), modality="CT", is_volume=True)
    long = series(instance(1), instance(2), modality="CT", is_volume=True)
    ranked = [long, short, turned, localizer, film]  # best first
    for first in range(len(ranked)):
        for others in (ranked[first:], ranked[first:][::-1]):
            assert most_alike(shown, others) is ranked[first]
    assert most_alike(shown, []) is None


def test_the_series_that_a_finding_is_in() -> None:
    first, second = series(instance(1)), series(instance(2), instance(3))
    findings = [reviewed(finding(key, sop=sop)) for key, sop in (("a", None), ("b", "1.2.3"), ("c", "1.2.1"))]
    shown = Shown("job", result(), review(*findings))
    assert series_of_finding([first, second], shown, "c") is first
    assert series_of_finding([first, second], shown, "b") is second
    assert series_of_finding([first, second], shown, None) is second  # of the first that has a place
    assert series_of_finding([first, second], shown, "a") is None
    assert series_of_finding([first], shown, "b") is None
    assert series_of_finding([first, second], Shown(), None) is None


def write_ct(folder: Path, study: int, slices: int = 3, **header: Any) -> list[Path]:
    pixels = drawn([(10, 20, 30, 40)], rows=64, columns=64)
    return [
        write_ct_slice(folder / f"{study}-{n}.dcm", pixels, z_mm=2.5 * n, instance=n, study=study, **header)
        for n in range(1, slices + 1)
    ]


def test_the_slices_of_a_volume(opened: Opened, client: Client, tmp_path: Path, numbers: Iterator[int]) -> None:
    (study,) = client.store(write_ct(tmp_path, next(numbers), SeriesDescription="axial", SeriesNumber=2)).studies
    page = opened(study)
    shown = page.stage["series"]
    assert (shown["label"], shown["linked_by"]) == ("2 CT, axial, 3 images", "position")
    positions = [one["position_mm"] for one in shown["slices"]]
    assert sorted(positions) in (positions, positions[::-1])
    assert [abs(b - a) for a, b in pairwise(positions)] == [2.5, 2.5]
    assert shown["slices"][0]["spacing_mm"] == [0.8, 0.7]
    assert shown["slices"][0]["edges"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert [one["name"] for one in page.stage["presets"]] == ["lung", "mediastinum", "bone", "liver", "brain"]


def test_a_chosen_finding_leads_to_its_series(
    opened: Opened, client: Client, tmp_path: Path, numbers: Iterator[int], new_film: New
) -> None:
    number = next(numbers)
    film = new_film(NODULE, StudyInstanceUID=f"1.2.826.0.1.3680043.8.498.{number}")
    (study,) = client.store([*write_ct(tmp_path, number), film]).studies
    page = opened(study)
    assert page.stage["series"]["label"].startswith("CT, ")  # the largest
    job = client.submit(study, ["is there a nodule?"])
    client.wait(job.id)
    page.again()
    assert page.stage["series"]["label"].startswith("DX, ")  # where the first finding is
    ct = next(one for one in page.app.selectbox if one.label == "Series").options
    assert len(ct) == 2


def test_an_older_study_of_the_patient_is_shown_beside(
    opened: Opened, client: Client, tmp_path: Path, numbers: Iterator[int]
) -> None:
    header = {"PatientID": "PRIOR-1", "PatientName": "Old^Ann"}
    (old,) = client.store(write_ct(tmp_path, next(numbers), 2, StudyDate="20250101", **header)).studies
    (new,) = client.store(write_ct(tmp_path, next(numbers), 3, StudyDate="20260101", **header)).studies
    (other,) = client.store(write_ct(tmp_path, next(numbers), 2, PatientID="PRIOR-10")).studies
    page = opened(new)
    assert page.stage["prior"] is None
    (choice,) = (one for one in page.app.selectbox if str(one.key) == f"prior-{new}")
    assert choice.options == ["nothing", "CT, 2025-01-01, 2 images"]
    choice.set_value(old).run()
    assert [one["url"].split("/")[2] for one in page.stage["prior"]["slices"]] == [old, old]
    assert other not in str(page.stage)


def test_a_patient_without_id_has_no_older_study(opened: Opened, client: Client, new_film: New) -> None:
    (study,) = client.store([new_film(PatientID="")]).studies
    client.store([new_film(PatientID="")])
    page = opened(study)
    assert not any(str(one.key).startswith("prior-") for one in page.app.selectbox)


def test_events_of_one_person_are_not_said_by_another_in_the_same_browser(people: People) -> None:
    ann, ben = people.session(), people.session(Scope.READ)
    ben.me = ben.me.model_copy(update={"name": "Ben Example"})
    places = {place_of_stage(one, "s" * 24, "j" * 40) for one in (ann, ann, ben)}
    assert len(places) == 2
    assert all(len(place) <= 128 and "Example" not in place for place in places)
