from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from medground.inference.ids import answer_id, finding_id, instance_key, result_id
from medground.schema.result import ModelInfo, Settings

MODEL = ModelInfo(name="compact", version="1", sha256="ab" * 32, trained_on=("phantom",))
SETTINGS = Settings(min_score=0.2, max_boxes=300, top_k=10, image_size_px=512, mode="single pass", code_version="0.1")


def test_order_of_studies_and_instances_does_not_matter() -> None:
    one = result_id([["1.2", "1.3"], ["1.4"]], ["nodule?"], MODEL, SETTINGS)
    two = result_id([["1.4"], ["1.3", "1.2"]], ["nodule?"], MODEL, SETTINGS)
    assert one == two
    assert len(one) == 24
    assert set(one) <= set("0123456789abcdef")
    assert one != result_id([["1.2"], ["1.3", "1.4"]], ["nodule?"], MODEL, SETTINGS)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (MODEL.model_copy(update={"sha256": "cd" * 32}), SETTINGS),
        (MODEL, SETTINGS.model_copy(update={"min_score": 0.3})),
        (MODEL, SETTINGS.model_copy(update={"top_k": 5})),
    ],
)
def test_bundle_and_settings_matter(model: ModelInfo, settings: Settings) -> None:
    assert answer_id(["1.2"], "nodule?", MODEL, SETTINGS) != answer_id(["1.2"], "nodule?", model, settings)
    assert result_id([["1.2"]], ["q"], MODEL, SETTINGS) != result_id([["1.2"]], ["q"], model, settings)


def test_the_name_of_the_model_does_not_matter_beside_its_digest() -> None:
    renamed = MODEL.model_copy(update={"name": "other"})
    assert answer_id(["1.2"], "q", MODEL, SETTINGS) == answer_id(["1.2"], "q", renamed, SETTINGS)


def test_questions_differ_and_parts_cannot_run_into_each_other() -> None:
    ids = {
        answer_id(["1.2", "3"], "q", MODEL, SETTINGS),
        answer_id(["1.23"], "q", MODEL, SETTINGS),
        answer_id(["1.2"], "3q", MODEL, SETTINGS),
        finding_id("a", "1", 12, "nodule", 0),
        finding_id("a", "11", 2, "nodule", 0),
        finding_id("a", "1", 12, "nodule", 1),
        finding_id("a", "1", 12, "mass", 0),
    }
    assert len(ids) == 7


def test_a_picture_is_known_by_its_bytes_and_an_instance_by_its_uid(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"pixels")
    (tmp_path / "b.png").write_bytes(b"pixels")
    assert instance_key(None, tmp_path / "a.png") == instance_key(None, tmp_path / "b.png")
    assert instance_key(None, b"pixels") == hashlib.sha256(b"pixels").hexdigest()
    assert instance_key("1.2.3", tmp_path / "a.png") == "1.2.3"
