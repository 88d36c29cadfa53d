from __future__ import annotations

import json

import pytest
import torch

from medground.model.backbones.qwen_config import LoraSize, Mode, QwenConfig
from medground.model.backbones.qwen_store import base_digest, read_qwen, save_qwen
from medground.model.backbones.qwen_vl import load_qwen
from medground.model.roi import region_features
from medground.schema.errors import BundleDamagedError, BundleMissingError, UsageError

SMALL = QwenConfig(width=16, text_width=24, lora=LoraSize(rank=2, alpha=4), max_tokens=8)


def trained(folder, mode, dtype=torch.float32):
    """A model after one real step, so that every open weight has moved."""
    torch.manual_seed(1)
    model = load_qwen(folder, mode=mode, dtype=dtype, config=SMALL).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 0.01)
    for _ in range(2):
        pyramid = model.look(film())
        loss = pyramid.image_BC.square().mean() + model.read(["nodule"]).sum()
        (loss + model.description_loss(regions(model), [["round"]])).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def film():
    return torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(3)).clamp(-2, 2)


def regions(model):
    pyramid = model.look(film())
    box = torch.tensor([[4.0, 6.0, 40.0, 50.0]])
    zero = torch.zeros(1, dtype=torch.int64)
    return region_features(pyramid.levels_BCHW, box, zero, zero, pyramid.strides_px)


@torch.no_grad()
def answers(model):
    pyramid = model.look(film())
    said = model.describe(regions(model), allowed=["round", "oval", "dense"])
    return [*pyramid.levels_BCHW, pyramid.image_BC, model.read(["left lung nodule", "心影增大"])], said


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_read_back_answers_identically(family, mode, dtype, qwen_folder, tmp_path):
    model = trained(qwen_folder(family), mode, dtype)
    save_qwen(model, tmp_path / "saved", with_base=family == "qwen3_vl")
    before, said = answers(model)
    again = read_qwen(tmp_path / "saved", base=qwen_folder(family), dtype=dtype)
    after, said_after = answers(again)
    assert again.mode is mode
    assert said_after == said
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    untrained, _ = answers(load_qwen(qwen_folder(family), dtype=dtype, config=SMALL))
    assert not torch.allclose(untrained[-1], after[-1], atol=1e-3)


def test_adapters_alone_are_saved(qwen_folder, tmp_path):
    model = trained(qwen_folder("qwen3_vl"), Mode.LORA)
    save_qwen(model, tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["qwen.json", "trained.safetensors"]
    assert all("lora_" in name for name in model.trained_tensors() if name.startswith("base."))


def test_a_wrong_or_missing_base_is_refused(qwen_folder, tmp_path):
    save_qwen(trained(qwen_folder("qwen3_vl"), Mode.LORA), tmp_path / "saved")
    with pytest.raises(BundleMissingError, match="trained beside a qwen3_vl model"):
        read_qwen(tmp_path / "saved")
    with pytest.raises(BundleDamagedError, match="is not the model"):
        read_qwen(tmp_path / "saved", base=qwen_folder("qwen2_vl"))
    with pytest.raises(UsageError, match="exists already"):
        save_qwen(load_qwen(qwen_folder("qwen3_vl")), tmp_path / "saved")


def test_damage_is_said_in_a_sentence(qwen_folder, tmp_path):
    save_qwen(trained(qwen_folder("qwen3_vl"), Mode.FROZEN), tmp_path / "saved")
    said = tmp_path / "saved" / "qwen.json"
    whole = said.read_text()
    said.write_text(json.dumps(json.loads(whole) | {"surprise": 1}))
    with pytest.raises(BundleDamagedError, match="cannot be read"):
        read_qwen(tmp_path / "saved", base=qwen_folder("qwen3_vl"))
    other = json.loads(whole)
    other["config"]["width"] = 24
    said.write_text(json.dumps(other))
    with pytest.raises(BundleDamagedError, match="do not fit"):
        read_qwen(tmp_path / "saved", base=qwen_folder("qwen3_vl"))
    (tmp_path / "saved" / "trained.safetensors").unlink()
    with pytest.raises(BundleMissingError, match="lacks a file"):
        read_qwen(tmp_path / "saved", base=qwen_folder("qwen3_vl"))


def test_a_full_disk_leaves_nothing_behind(qwen_folder, tmp_path, monkeypatch):
    model = load_qwen(qwen_folder("qwen3_vl"), config=SMALL)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medground.model.backbones.qwen_store.save_file", full)
    with pytest.raises(Exception, match="make room"):
        save_qwen(model, tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_the_digest_follows_every_weight(qwen_folder, tmp_path):
    import shutil

    shutil.copytree(qwen_folder("qwen2_vl"), tmp_path / "copy")
    assert base_digest(tmp_path / "copy") == base_digest(qwen_folder("qwen2_vl"))
    weights = tmp_path / "copy" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert base_digest(tmp_path / "copy") != base_digest(qwen_folder("qwen2_vl"))
