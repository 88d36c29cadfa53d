"""A Qwen network in a bundle: what is inside, what stays beside it, and what is said when either is not right."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from medground.cli.main import create_app
from medground.imaging.preprocess import prepare
from medground.model.backbones.build import build_backbone
from medground.model.backbones.qwen_config import LoraSize, Mode, QwenConfig
from medground.model.bundle import folder_digest, read_bundle
from medground.model.bundle_write import round_as_stored, save_bundle
from medground.model.config import DecoderConfig, ModelConfig, QwenBackboneConfig
from medground.model.familiarity import Familiarity
from medground.model.grounder import Grounder
from medground.model.network import GroundingNetwork, channels_last
from medground.model.reading import Phrase
from medground.schema.anatomy import DOMAINS
from medground.schema.errors import BundleDamagedError, BundleError, BundleMissingError
from tests.full_disk import no_file_longer_than
from tests.tiny_qwen import FAMILIES

SMALL = QwenConfig(width=16, text_width=24, lora=LoraSize(rank=2, alpha=4), max_tokens=8)
ASKED = [Phrase("nodule", "left lung nodule"), Phrase("mass", "心影增大")]


@pytest.fixture
def taught(bundle, qwen_folder):
    """Makes a bundle around a tiny model in which every open weight has moved."""

    def make(family, mode, *, bfloat16=False):
        torch.manual_seed(1)
        backbone = QwenBackboneConfig(source=str(qwen_folder(family)), mode=mode, bfloat16=bfloat16, sizes=SMALL)
        config = ModelConfig(
            image_size_px=64, backbone=backbone, decoder=DecoderConfig(queries=8, layers=1, feedforward=32)
        )
        network = GroundingNetwork(config, build_backbone(backbone)).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter += 0.05 * torch.randn_like(parameter)
        network.dense.bias.data.fill_(-1.0)
        return whole(bundle, network)

    return make


def whole(bundle, network):
    """The parts of an untrained bundle around a network."""
    network.requires_grad_(False)
    round_as_stored(network)
    channels_last(network)
    kinds, width = len(DOMAINS), network.backbone.image_width
    familiarity = Familiarity(
        torch.zeros(kinds, width), torch.eye(width).repeat(kinds, 1, 1), torch.full((kinds, 3), 1e6)
    )
    return dataclasses.replace(bundle, network=network, familiarity=familiarity)


def answers(bundle):
    """What is read of two phrases, and what the describer sees and says of the three best boxes of each."""
    image = prepare(np.random.default_rng(0).random((60, 50), dtype=np.float32), 64)
    grounder = Grounder(bundle)
    (reading,) = grounder.read([image], ASKED, max_boxes=20, min_score=0.0)
    best = [(c.region, p.phrase.concept, reading.domain) for p in reading.phrases for c in p.candidates[:3]]
    return reading, [region.tolist() for region, _, _ in best], grounder.describe(best)


@pytest.mark.parametrize(
    ("family", "mode", "bfloat16"),
    [*((family, mode, False) for family in FAMILIES for mode in Mode), *(("qwen3_vl", mode, True) for mode in Mode)],
)
def test_what_is_read_back_answers_identically(family, mode, bfloat16, taught, qwen_folder, tmp_path):
    model = taught(family, mode, bfloat16=bfloat16)
    save_bundle(model, tmp_path / "b")
    back = read_bundle(tmp_path / "b", base=None if mode is Mode.FULL else qwen_folder(family))
    before = answers(model)
    assert answers(back) == before
    assert all(asked.candidates for asked in before[0].phrases)
    assert len(before[1]) == len(before[2]) > 1
    state = back.network.state_dict()
    for name, value in model.network.state_dict().items():
        assert state[name].dtype == value.dtype
        assert torch.equal(state[name], value), name


@pytest.mark.parametrize("mode", [Mode.LORA, Mode.FROZEN])
def test_weights_that_did_not_learn_stay_where_they_are(mode, taught, qwen_folder, tmp_path):
    model = taught("qwen3_vl", mode)
    save_bundle(model, tmp_path / "b")
    assert not (tmp_path / "b" / "base").exists()
    learned = sum(value.numel() for value in model.network.learned_state().values())
    assert (tmp_path / "b" / "weights.safetensors").stat().st_size < 4 * learned + 50_000
    named = json.loads((tmp_path / "b" / "config.json").read_text())["backbone"]
    assert named["source"] == qwen_folder("qwen3_vl").name
    assert named["base_sha256"] == folder_digest(qwen_folder("qwen3_vl"))


def test_the_command_line_takes_the_base(taught, qwen_folder, tmp_path):
    save_bundle(taught("qwen3_vl", Mode.LORA), tmp_path / "b")
    films = tmp_path / "film.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 50), dtype=np.uint8)).save(films)
    words = (["prototypes", "list"], ["ground", str(films), "--query", "left lung nodule", "--json"])
    for command in words:
        asked = [*command, "--bundle", str(tmp_path / "b")]
        alone = CliRunner().invoke(create_app(), asked)
        assert alone.exit_code == 3
        assert "--base" in alone.stderr
        beside = CliRunner().invoke(create_app(), [*asked, "--base", str(qwen_folder("qwen3_vl"))])
        assert beside.exit_code == 0, beside.output


def test_a_wrong_or_missing_or_damaged_base_is_refused(taught, qwen_folder, tmp_path):
    save_bundle(taught("qwen3_vl", Mode.LORA), tmp_path / "b")
    with pytest.raises(BundleMissingError, match="give the folder of that model with --base"):
        read_bundle(tmp_path / "b")
    with pytest.raises(BundleMissingError, match="neither a folder nor a hub id"):
        read_bundle(tmp_path / "b", base=tmp_path / "nowhere")
    with pytest.raises(BundleDamagedError, match="is not the model"):
        read_bundle(tmp_path / "b", base=qwen_folder("qwen2_5_vl"))
    copy = tmp_path / "copy"
    shutil.copytree(qwen_folder("qwen3_vl"), copy)
    assert read_bundle(tmp_path / "b", base=copy).info == read_bundle(tmp_path / "b", base=str(copy)).info
    weights = copy / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleDamagedError, match="is not the model"):
        read_bundle(tmp_path / "b", base=copy)
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleDamagedError, match="cannot be read"):
        read_bundle(tmp_path / "b", base=copy)
    weights.unlink()
    with pytest.raises(BundleDamagedError, match="cannot be read"):
        read_bundle(tmp_path / "b", base=copy)


def test_weights_inside_are_checked_like_every_file(taught, tmp_path):
    save_bundle(taught("qwen2_5_vl", Mode.FULL), tmp_path / "b")
    inside = sorted((tmp_path / "b" / "base").iterdir())
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"} <= {
        p.name for p in inside
    }
    for path in inside:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleDamagedError, match=f"base/{path.name}"):
            read_bundle(tmp_path / "b")
        path.unlink()
        with pytest.raises(BundleMissingError, match=f"base/{path.name}"):
            read_bundle(tmp_path / "b")
        path.write_bytes(content)
    read_bundle(tmp_path / "b")


@pytest.mark.parametrize(("mode", "size"), [(Mode.FULL, 1_000), (Mode.FULL, 100_000), (Mode.LORA, 10_000)])
def test_a_full_disk_is_an_error_and_leaves_the_bundle_before(mode, size, taught, tmp_path):
    model = taught("qwen3_vl", mode)
    first = save_bundle(model, tmp_path / "b")
    kept = sorted(path.name for path in (tmp_path / "b").rglob("*"))
    with no_file_longer_than(size), pytest.raises(BundleError, match="cannot be written"):
        save_bundle(model, tmp_path / "b")
    assert sorted(path.name for path in (tmp_path / "b").rglob("*")) == kept
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert save_bundle(model, tmp_path / "b") == first


def test_the_digest_follows_names_and_weights(qwen_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(qwen_folder("qwen2_vl"), copy)
    digest = folder_digest(qwen_folder("qwen2_vl"))
    (copy / "README.md").write_text("beside the weights")
    assert folder_digest(copy) == digest
    (copy / "added.json").write_text("{}")
    assert folder_digest(copy) != digest
    (copy / "added.json").unlink()
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert folder_digest(copy) != digest
