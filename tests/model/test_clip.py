from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from medground.model.clip import AT_ONCE, Clip
from medground.schema.errors import UsageError
from tests.model.tiny_clip import build_clip

SENTENCES = ("a round nodule", "an oval nodule", "a band")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_clip(tmp_path_factory.mktemp("clip") / "tiny")


def crops(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random((20 + 7 * n % 50, 30), dtype=np.float32) for n in range(count)]


def test_probabilities_are_those_of_scaled_cosines(folder):
    clip = Clip(folder)
    table = clip.probabilities(crops(AT_ONCE + 3), SENTENCES)
    assert table.shape == (AT_ONCE + 3, len(SENTENCES))
    assert table.sum(1).tolist() == pytest.approx([1.0] * len(table))
    pixels = clip.processor(
        [np.repeat(np.rint(crops(1)[0] * 255).astype(np.uint8)[..., None], 3, 2)], return_tensors="pt"
    )["pixel_values"]
    with torch.inference_mode():
        vision = clip.model.visual_projection(clip.model.vision_model(pixels).pooler_output)
        texts = [
            clip.model.text_projection(clip.model.text_model(**clip.tokenizer(one, return_tensors="pt")).pooler_output)
            for one in SENTENCES
        ]
        cosines = torch.cosine_similarity(vision, torch.cat(texts))
        expected = (cosines * clip.model.logit_scale.exp()).softmax(0)
    assert table[0].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert len(set(table[:, 0].tolist())) > AT_ONCE
    assert clip.probabilities([], SENTENCES).shape == (0, len(SENTENCES))


def test_it_is_known_by_all_that_its_answers_depend_on(folder, tmp_path):
    first, again = Clip(folder), Clip(build_clip(tmp_path / "other"))
    assert (first.name, again.name) == ("tiny", "other")
    assert first.sha256 == again.sha256
    settings = tmp_path / "other" / "preprocessor_config.json"
    settings.write_text(settings.read_text().replace("0.48145466", "0.1"))
    changed = Clip(tmp_path / "other")
    assert changed.probabilities(crops(1), SENTENCES).tolist() != first.probabilities(crops(1), SENTENCES).tolist()
    assert changed.sha256 != first.sha256


def test_damaged_weights_are_told_and_no_finding_vanishes_by_them(folder):
    clip = Clip(folder)
    with torch.no_grad():
        clip.model.visual_projection.weight.fill_(torch.nan)
    with pytest.raises(UsageError, match="computes no numbers"):
        clip.probabilities(crops(1), SENTENCES)


def test_what_is_no_clip_or_a_pickle_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match=r"there is no CLIP model; it needs config\.json"):
        Clip(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="there is no CLIP model"):
        Clip(build_clip(tmp_path / "pickled", safe=False))
    broken = build_clip(tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(UsageError, match="no CLIP model can be read"):
        Clip(broken)
    foreign = build_clip(tmp_path / "foreign")
    tensors = load_file(foreign / "model.safetensors")
    save_file(
        {f"other.{name}": value for name, value in tensors.items()}, foreign / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(UsageError, match="of its weights are missing"):
        Clip(foreign)
    kept = {name: value for name, value in tensors.items() if not name.startswith("text_model.encoder")}
    save_file(kept, foreign / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match="of its weights are missing"):
        Clip(foreign)
    narrow = {**tensors, "text_projection.weight": tensors["text_projection.weight"][:, :8].contiguous()}
    save_file(narrow, foreign / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match="no CLIP model can be read"):
        Clip(foreign)
    other = build_clip(tmp_path / "siglip")
    config = other / "config.json"
    config.write_text(config.read_text().replace('"model_type": "clip"', '"model_type": "siglip"'))
    with pytest.raises(UsageError, match="is that of a 'siglip' model"):
        Clip(other)
    bare = build_clip(tmp_path / "bare")
    (bare / "preprocessor_config.json").unlink()
    with pytest.raises(UsageError, match="no CLIP model can be read"):
        Clip(bare)
