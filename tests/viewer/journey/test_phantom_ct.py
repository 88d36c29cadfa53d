"""A phantom CT, the model that ships, and a reader who asks in two languages: is the box where the lesion was drawn?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from medground.client.client import Client
from medground.data.phantom.chest_ct import chest_ct
from medground.data.phantom.ct_volume import PhantomVolume
from medground.data.phantom.dicom_study import write_ct_study
from medground.model.grounder import load_grounder
from medground.schema.box import Box
from medground.schema.result import Verdict
from tests.serving.running import Running, running
from tests.viewer.journey.conftest import Open
from tests.viewer.people import USER

SEED, SLICES = 9_400_000, 24  # a CT with one nodule, in the left lung
COLOUR = "#56b4e9"
LINE_PX = 2.5  # of the image: as wide as a drawn line may be


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with the bundle that ships, in place of one that reads drawn slices."""
    with running(tmp_path_factory.mktemp("house"), load_grounder()) as it:
        yield it


@pytest.fixture(scope="module")
def volume(house: Running, tmp_path_factory: pytest.TempPathFactory) -> PhantomVolume:
    """The CT, stored."""
    made = chest_ct(SEED, slices=SLICES)
    with Client(house.url, house.token(*USER)) as client:
        for path in write_ct_study(made, Path(tmp_path_factory.mktemp("ct"))):
            client.store([path])  # the service of the tests takes no more than a megabyte at once
    return made


@pytest.mark.parametrize("question", ["is there a nodule?", "左肺有结节吗"])
def test_a_nodule_is_boxed_where_it_was_drawn(
    open_viewer: Open, house: Running, volume: PhantomVolume, question: str
) -> None:
    (lesion,) = (region for region in volume.regions3d if region.concept == "nodule")
    page = open_viewer()
    page.sign_in(house.token(*USER))
    page.open_study(f"PHANTOM-{SEED}")
    page.ask(question)
    page.page.get_by_role("button", name="Accept (a)").wait_for()  # the first finding is chosen, and its slice shown
    page.settle()
    with Client(house.url, house.token(*USER)) as client:
        (study,) = client.studies(search=f"PHANTOM-{SEED}").studies
        (answer,) = client.result(client.results(study.study)[0].job).studies[0].answers
        place_mm = {
            instance.sop_instance_uid: instance.position_mm
            for series in client.series(study.study)
            for instance in series.instances
        }
    assert (answer.query, answer.verdict) == (question, Verdict.FOUND)
    best = answer.findings[0]
    painted = page.painted_box(COLOUR)
    assert painted == pytest.approx(best.box_xyxy_px, abs=LINE_PX)
    position_mm = place_mm[best.sop_instance_uid or ""]
    assert position_mm is not None
    drawn = lesion.boxes[round(position_mm / volume.spacing_mm[0])]
    x1, y1, x2, y2 = painted
    assert Box(x1=x1, y1=y1, x2=x2, y2=y2).iou(drawn) > 0.5


def test_what_the_model_does_not_know_is_told(open_viewer: Open, house: Running, volume: PhantomVolume) -> None:
    page = open_viewer()
    page.sign_in(house.token(*USER))
    page.open_study(f"PHANTOM-{SEED}")
    page.ask("is there a brain tumour?")
    page.page.get_by_text("Unsupported: the model cannot answer this").wait_for()
    page.page.get_by_text("was not trained to find brain tumour").wait_for()
