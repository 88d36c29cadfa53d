"""What answers here, and how far it can be believed."""

from __future__ import annotations

from medground.serving.access.scope import Scope
from tests.serving.running import Running


def test_what_answers(house: Running) -> None:
    view = house.client(Scope.READ).get("/v1/model").json()
    assert (view["info"]["name"], view["info"]["sha256"]) == ("blobs", "0" * 64)
    assert "Not a medical device" in view["intended_use"]
    trained = {one["concept"] for one in view["scope"]["trained"]}
    assert {one["key"] for one in view["concepts"]} == trained
    nodule = next(one for one in view["concepts"] if one["key"] == "nodule")
    assert "nodule" in nodule["names"]["en"]
    assert "结节" in nodule["names"]["zh"]
    assert (nodule["code_scheme"], nodule["code"]) == ("SCT", "786838002")
    assert view["scope"]["found_threshold"] > view["scope"]["not_found_threshold"]
