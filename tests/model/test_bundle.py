from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from medground.imaging.preprocess import prepare
from medground.model.bundle import read_bundle
from medground.model.bundle_facts import shipped_bundle_path
from medground.model.bundle_write import MAX_FILE_BYTES, save_bundle
from medground.model.grounder import Grounder
from medground.model.reading import Phrase
from medground.schema.errors import BundleDamagedError, BundleError, BundleMissingError
from tests.full_disk import no_file_longer_than


@pytest.fixture
def folder(bundle, tmp_path) -> Path:
    save_bundle(bundle, tmp_path / "b")
    return tmp_path / "b"


def test_it_comes_back_and_answers_the_same(bundle, folder):
    back = read_bundle(folder)
    for name, value in bundle.network.state_dict().items():
        assert torch.equal(back.network.state_dict()[name], value), name
    assert (back.scope, back.calibration, back.vocabulary) == (bundle.scope, bundle.calibration, bundle.vocabulary)
    assert back.summary == {"note": "untrained"}
    image = prepare(np.random.default_rng(0).random((90, 120), dtype=np.float32), 128)
    asked = [Phrase("nodule", "nodule"), Phrase("mass", "结节")]
    before, after = (Grounder(one).read([image], asked, max_boxes=20, min_score=0.0) for one in (bundle, back))
    assert before == after
    assert before[0].phrases[1].candidates
    for one, two in zip(before[0].phrases, after[0].phrases, strict=True):
        for first, second in zip(one.candidates, two.candidates, strict=True):
            assert torch.equal(first.region, second.region)  # what is said of it follows from it and from the weights


def test_saving_again_replaces_it_whole(bundle, folder):
    (folder / "left_over.txt").write_text("x")
    first = read_bundle(folder).info.sha256
    assert save_bundle(bundle, folder) == first
    assert not (folder / "left_over.txt").exists()
    assert [p.name for p in folder.parent.iterdir()] == ["b"]


@pytest.mark.parametrize("limit", [1_000, 50_000])  # at the tokenizer, at the weights
def test_a_full_disk_is_an_error_and_leaves_the_bundle_before(bundle, folder, limit):
    before = read_bundle(folder).info.sha256
    with no_file_longer_than(limit), pytest.raises(BundleError, match="cannot be written"):
        save_bundle(bundle, folder)
    assert read_bundle(folder).info.sha256 == before
    assert [p.name for p in folder.parent.iterdir()] == ["b"]


@pytest.mark.parametrize("where", [0.0, 0.5, 0.999])
def test_one_changed_byte_in_any_file_is_found(folder, where):
    for path in sorted(folder.iterdir()):
        if path.name == "manifest.json":
            continue
        content = bytearray(path.read_bytes())
        content[int(where * (len(content) - 1))] ^= 1
        original = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(BundleDamagedError, match=path.name):
            read_bundle(folder)
        path.write_bytes(original)
    read_bundle(folder)


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(BundleMissingError, match="no model bundle"):
        read_bundle(tmp_path / "nowhere")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(BundleMissingError, match="weights"):
        read_bundle(folder)


def test_a_manifest_cannot_point_outside(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../secret"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleDamagedError, match="secret"):
        read_bundle(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(BundleDamagedError, match=r"manifest\.json"):
        read_bundle(folder)


def test_weights_of_another_shape_are_damage_not_a_crash(bundle, folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    config["backbone"]["channels"][3] = 56
    (folder / "config.json").write_text(json.dumps(config))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["config.json"] = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleDamagedError, match="cannot be read"):
        read_bundle(folder)


def test_the_shipped_bundle_is_whole_small_and_says_what_it_was_trained_on():
    shipped = read_bundle()
    assert shipped.info.name == "medground-compact"
    assert all(path.stat().st_size <= MAX_FILE_BYTES for path in shipped_bundle_path().iterdir())
    assert {"phantom", "FracAtlas"} <= set(shipped.info.trained_on)
    trained = {(entry.concept, entry.domain.value) for entry in shipped.scope.trained}
    assert ("fracture", "limb radiograph") in trained
    assert ("cavity", "chest radiograph") in trained
    cavity = [entry for entry in shipped.scope.trained if entry.concept == "cavity"]
    assert all(entry.synthetic_only for entry in cavity)
    assert shipped.summary["recipe_sha256"]


def test_a_copy_elsewhere_is_the_same_bundle(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert read_bundle(tmp_path / "copy").info == read_bundle(folder).info
