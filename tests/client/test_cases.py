"""Cases through the client: words, pictures, and what there is none of."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from medground.client.client import Client
from medground.client.errors import ServiceError
from medground.client.parts import Case
from medground.model.cases import Picture
from tests.client.conftest import New
from tests.inference.blob_reader import BlobReader
from tests.model.made_cases import one_case
from tests.serving.running import NODULE, Running, running

KEPT, ASKED = one_case(1, "nodule", kept=True), one_case(2, "nodule", picture=Picture.NOT_ASKED)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("house"), BlobReader(cases=KEPT.joined(ASKED))) as it:
        yield it


def test_a_finding_leads_to_its_cases(client: Client, new_film: New) -> None:
    result = client.ground([new_film(NODULE)], ["is there a nodule?"])
    first, second = (client.case(one.case) for one in result.studies[0].answers[0].findings[0].similar)
    assert isinstance(first, Case)
    assert (first.id, first.appearance, first.box_xyxy_px) == (
        KEPT.known[0].id,
        ("round", "cavitated"),
        (10, 12.5, 40, 50),
    )
    assert (second.id, second.has_thumbnail, second.box_xyxy_px) == (ASKED.known[0].id, False, None)
    with Image.open(io.BytesIO(client.case_thumbnail(first.id))) as picture:
        assert np.array_equal(np.asarray(picture), KEPT.pictures[first.id])
    with pytest.raises(ServiceError, match="did not ask for pictures") as none:
        client.case_thumbnail(second.id)
    assert (none.value.status, none.value.kind) == (404, "no-thumbnail")
    with pytest.raises(ServiceError, match="no such case") as absent:
        client.case("0" * 16)
    assert absent.value.kind == "not-found"
