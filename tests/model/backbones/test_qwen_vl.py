from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys

import pytest
import torch

from medground.model.backbones.qwen_config import LoraSize, Mode, QwenConfig
from medground.model.backbones.qwen_vl import load_qwen
from medground.model.roi import region_features
from medground.schema.errors import BundleDamagedError, BundleMissingError, UsageError
from tests.tiny_qwen import FAMILIES

SMALL = QwenConfig(width=16, text_width=24, lora=LoraSize(rank=2, alpha=4))


def load(folder, mode=Mode.FROZEN, dtype=torch.float32, **more):
    torch.manual_seed(1)
    return load_qwen(folder, mode=mode, dtype=dtype, config=SMALL, **more)


def film(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)).clamp(-2, 2)


def regions(model, images):
    boxes = torch.tensor([[4.0, 6.0, 40.0, 50.0], [20.0, 20.0, 60.0, 44.0]])
    pyramid = model.look(images)
    return region_features(pyramid.levels_BCHW, boxes, torch.tensor([0, 1]), torch.tensor([0, 1]), pyramid.strides_px)


@pytest.mark.parametrize("family", FAMILIES)
def test_levels_have_the_stated_strides_and_phrases_have_unit_length(family, qwen_folder):
    model = load(qwen_folder(family))
    cell = model.strides_px[-1]
    assert model.strides_px == ((8, 16, 32) if family == "qwen3_vl" else (7, 14, 28))
    pyramid = model.look(film(2, 1, 3 * cell - 5, 2 * cell))
    shapes = [tuple(level.shape) for level in pyramid.levels_BCHW]
    assert shapes == [(2, 16, 12, 8), (2, 16, 6, 4), (2, 16, 3, 2)]
    assert pyramid.image_BC.shape == (2, model.image_width)
    text_PD = model.read(["left lung nodule", "左肺有结节吗", ""])
    assert text_PD.shape == (3, model.text_width)
    assert torch.allclose(text_PD.norm(dim=1), torch.ones(3), atol=1e-5)
    assert model.read([]).shape == (0, 24)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_phrase_reads_the_same_alone_and_beside_a_longer_one(family, qwen_folder):
    model = load(qwen_folder(family))
    both = model.read(["nodule", "left lung nodule with an irregular margin"])
    assert torch.allclose(both[:1], model.read(["nodule"]), atol=1e-5)
    assert float((both[0] @ both[1]).detach()) < 0.999


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_stand_where_their_pixels_are(family, qwen_folder):
    """The embedding of each patch, found in the image by its own convolution, is where `_vision` puts it."""
    model = load(qwen_folder(family))
    visual, p = model.base.model.visual, model.grid.patch_px
    for block in visual.blocks:  # each becomes the identity: what is left is the patch embedding
        block.forward = lambda hidden, **_: hidden
    if family == "qwen3_vl":
        visual.pos_embed.weight.data.zero_()
    images = film(2, 3, 8 * p, 6 * p)
    from medground.model.backbones.qwen_frame import patches_of

    early, late, merged = model._vision(patches_of(images, model.grid, 2), 2, 8, 6)
    kernel = visual.patch_embed.proj
    expected = torch.nn.functional.conv2d(images, kernel.weight.sum(2), kernel.bias, stride=p)
    assert torch.allclose(early, expected, atol=1e-4)
    assert torch.equal(early, late)
    cells = expected.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 4, 5, 1).reshape(-1, expected.shape[1])
    assert torch.allclose(merged.permute(0, 2, 3, 1).reshape(-1, merged.shape[1]), visual.merger(cells), atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_reads_the_same_alone_and_in_a_batch(family, qwen_folder):
    model = load(qwen_folder(family))
    images = film(3, 1, 4 * 28, 5 * 28)
    for together, alone in zip(model.look(images).levels_BCHW, model.look(images[1:2]).levels_BCHW, strict=True):
        assert torch.allclose(together[1:2], alone, atol=1e-4)


def test_padding_leaves_pixel_coordinates_as_they_are(qwen_folder):
    """A frame of the letterbox (multiples of 32) becomes one of 28s by black at the right and bottom alone."""
    model = load(qwen_folder("qwen2_5_vl"))
    images = film(1, 1, 64, 96)
    by_hand = torch.nn.functional.pad(images, (0, 112 - 96, 0, 84 - 64), value=-2.0)
    for level, expected in zip(model.look(images).levels_BCHW, model.look(by_hand).levels_BCHW, strict=True):
        assert torch.equal(level, expected)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", list(Mode))
def test_each_mode_teaches_what_it_says(family, mode, qwen_folder):
    model = load(qwen_folder(family), mode).train()
    loss = sum(level.square().mean() for level in model.look(film(2, 1, 64, 64)).levels_BCHW)
    loss = (
        loss
        + model.read(["nodule", "mass"]).sum()
        + model.description_loss(regions(model, film(2, 1, 64, 64)), [["round", "dense"], []])[0]
    )
    loss.backward()
    taught = {name for name, p in model.named_parameters() if p.grad is not None and float(p.grad.abs().sum()) > 0}
    own = {name for name, _ in model.named_parameters() if not name.startswith("base.")}
    assert own <= taught
    base = taught - own
    vision, language = ({n for n in base if part in n} for part in (".visual.", ".language_model."))
    if mode is Mode.FROZEN:
        assert base == set()
    elif mode is Mode.LORA:
        assert vision
        assert language
        assert all("lora_B" in name for name in base)  # B starts at zero, so A has no gradient at the first step
        assert {n for n, p in model.named_parameters() if p.requires_grad} - own == {
            n for n, _ in model.named_parameters() if "lora_" in n
        }
    else:
        assert {n for n in vision if "patch_embed" in n}
        assert {n for n in language if "embed_tokens" in n}


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_is_finite_and_near_to_float32(family, qwen_folder):
    exact, half = load(qwen_folder(family)), load(qwen_folder(family), dtype=torch.bfloat16)
    images = film(1, 1, 64, 64)
    assert half.base.model.visual.dtype == torch.bfloat16
    for level, expected in zip(half.look(images).levels_BCHW, exact.look(images).levels_BCHW, strict=True):
        assert level.dtype == torch.float32
        assert float(((level - expected).abs().mean() / expected.abs().mean()).detach()) < 0.05
    assert torch.isfinite(half.read(["nodule"])).all()
    loss, count = half.description_loss(regions(half, film(2, 1, 64, 64)), [["round"], ["oval"]])
    assert torch.isfinite(loss)
    assert loss.dtype == count.dtype == torch.float32


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", [Mode.LORA, Mode.FULL])
def test_gradient_checkpointing_changes_no_gradient(family, mode, qwen_folder):
    gradients = []
    for checkpointing in (False, True):
        model = load(qwen_folder(family), mode, gradient_checkpointing=checkpointing).train()
        images = film(2, 1, 64, 64)
        loss = model.description_loss(regions(model, images), [["round"], ["oval", "dense"]])[0]
        (loss + model.read(["nodule"]).sum() + model.look(images).image_BC.square().sum()).backward()
        assert model.base.model.visual.blocks[0].gradient_checkpointing is checkpointing
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-6), name


def test_adapters_can_keep_to_one_tower(qwen_folder):
    config = SMALL.model_copy(update={"lora": LoraSize(rank=2, language=False)})
    model = load_qwen(qwen_folder("qwen3_vl"), mode=Mode.LORA, config=config)
    adapters = [name for name, _ in model.named_parameters() if "lora_" in name]
    assert adapters
    assert all(".visual." in name for name in adapters)
    none = SMALL.model_copy(update={"lora": LoraSize(vision=False, language=False)})
    with pytest.raises(UsageError, match="needs adapters in a tower"):
        load_qwen(qwen_folder("qwen3_vl"), mode=Mode.LORA, config=none)


def test_what_cannot_be_loaded_is_refused_in_a_sentence(qwen_folder, tmp_path):
    with pytest.raises(BundleMissingError, match="neither a folder nor a hub id in the local cache"):
        load_qwen("Qwen/no-such-model-here")
    other = tmp_path / "other"
    shutil.copytree(qwen_folder("qwen3_vl"), other)
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UsageError, match="'bert'"):
        load_qwen(other)
    pickled = tmp_path / "pickled"
    shutil.copytree(qwen_folder("qwen3_vl"), pickled)
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(BundleDamagedError, match="cannot be read"):
        load_qwen(pickled)


def test_loading_opens_no_connection(qwen_folder, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load(qwen_folder("qwen2_5_vl"))
    with pytest.raises(BundleMissingError):
        load_qwen("Qwen/no-such-model-here")


def test_a_hub_id_is_read_from_the_local_cache(qwen_folder, tmp_path, monkeypatch):
    revision = "0" * 40
    cached = tmp_path / "models--someone--tiny"
    shutil.copytree(qwen_folder("qwen2_vl"), cached / "snapshots" / revision)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    model = load("someone/tiny")
    assert model.folder == cached / "snapshots" / revision
    assert torch.equal(model.read(["nodule"]), load(qwen_folder("qwen2_vl")).read(["nodule"]))


@pytest.mark.parametrize("tied", [False, True])
def test_what_is_given_is_all_of_the_base_but_the_adapters(tied, qwen_folder):
    model = load(qwen_folder("qwen2_5_vl"), Mode.LORA)
    if tied:  # as in the smaller models of each family: one tensor of two names, of which `parameters` tells one
        model.base.lm_head.weight = model.base.model.language_model.embed_tokens.weight
    learned = set(model.state_dict()) - model.given()
    assert {"base.lm_head.weight", "base.model.visual.patch_embed.proj.weight"} <= model.given()
    assert {name for name in learned if name.startswith("base.")} == {n for n in model.state_dict() if "lora_" in n}
    assert {name for name in learned if not name.startswith("base.")} == {
        name for name, _ in model.named_parameters() if not name.startswith("base.")
    }
    assert load(qwen_folder("qwen2_5_vl"), Mode.FULL).given() == frozenset()


def test_the_rest_works_without_the_packages_of_the_extra():
    rooms = ["build", "compact", "qwen_config", "qwen_frame", "qwen_levels", "qwen_language", "qwen_describer"]
    modules = ", ".join(f"medground.model.backbones.{room}" for room in rooms)
    code = f"""import sys
sys.modules |= dict.fromkeys(["transformers", "peft", "accelerate", "huggingface_hub"])  # None: cannot be imported
import {modules}
from medground.model.config import QwenBackboneConfig
try:
    medground.model.backbones.build.build_backbone(QwenBackboneConfig(source="somewhere"))
except medground.model.backbones.build.UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'medground[qwen]'" in done.stdout
