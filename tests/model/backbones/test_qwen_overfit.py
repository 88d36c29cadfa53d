"""A tiny random Qwen, the dense head and the describer learn twenty phantom films by heart, and keep them on disk."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.evaluation.detection import Detection, ImageTruth, Truth, ap_by_concept
from medground.imaging.boxes import clip, nms
from medground.imaging.preprocess import prepare
from medground.model.backbones.qwen_config import LoraSize, Mode, QwenConfig
from medground.model.backbones.qwen_store import read_qwen, save_qwen
from medground.model.backbones.qwen_vl import load_qwen
from medground.model.config import HeadConfig
from medground.model.dense_head import DenseHead
from medground.model.network import PresenceHead
from medground.model.roi import region_features
from medground.schema.anatomy import DOMAINS
from medground.training.batch import Batch
from medground.training.objective import LossWeights, dense_losses, weighted

FILMS, SIZE_PX = 20, 128
CONCEPTS = ("mass", "cardiomegaly", "pleural_effusion")
PHRASES = ("mass", "cardiomegaly", "pleural effusion")


class Heads(nn.Module):
    """The heads that stand on any backbone."""

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.dense = DenseHead(width, text_width, HeadConfig(prior_logit=-5.0))
        self.presence = PresenceHead(width, text_width)
        self.kind = nn.Linear(width, len(DOMAINS))


def films() -> tuple[Batch, list[ImageTruth]]:
    """Films with up to three findings; absent findings are questions too.

    Films with a lesion below ten pixels (at this size a blunted angle is one cell or less) are passed over.
    """
    images, boxes, concepts, appearance, truths = [], [], [], [], []
    for seed in range(3 * FILMS):
        found = [concept for bit, concept in enumerate(CONCEPTS) if (len(images) + 1) >> bit & 1]
        film = chest_radiograph(seed, size_px=SIZE_PX, findings=found)
        rows = [r.box.xyxy_px for r in film.regions]
        if len(images) == FILMS or any(min(x2 - x1, y2 - y1) < 10 for x1, y1, x2, y2 in rows):
            continue
        name = str(len(images))
        images.append(prepare(film.pixels, SIZE_PX).pixels_HW[None])
        boxes.append(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4))
        concepts.append(torch.tensor([CONCEPTS.index(r.concept) for r in film.regions], dtype=torch.int64))
        appearance.append(tuple(r.appearance for r in film.regions))
        answers = tuple(Truth(name, r.concept, row) for r, row in zip(film.regions, rows, strict=True))
        truths.append(ImageTruth(name, name, answers, frozenset(CONCEPTS)))
    everything = torch.ones(FILMS, len(CONCEPTS), dtype=torch.bool)
    domain_B = torch.zeros(FILMS, dtype=torch.int64)
    return Batch(torch.stack(images), tuple(boxes), tuple(concepts), everything, domain_B, tuple(appearance)), truths


def part(batch: Batch, images: list[int]) -> Batch:
    """Some films of a batch."""
    boxes, concepts, appearance = ([of[i] for i in images] for of in (batch.boxes, batch.concepts, batch.appearance))
    return Batch(
        batch.images_B1HW[images], boxes, concepts, batch.exhaustive_BC[images], batch.domain_B[images], appearance
    )


def truth_regions(batch: Batch, pyramid):
    image_N = torch.arange(len(batch.boxes)).repeat_interleave(torch.tensor([len(boxes) for boxes in batch.boxes]))
    return region_features(
        pyramid.levels_BCHW, torch.cat(list(batch.boxes)), image_N, torch.zeros_like(image_N), pyramid.strides_px
    )


def statements(batch: Batch) -> list[tuple[str, ...]]:
    return [words for row in batch.appearance for words in row]


@torch.no_grad()
def detections(model, heads, batch) -> list[Detection]:
    dense = heads.dense(model.look(batch.images_B1HW), model.read(PHRASES))
    found = []
    for image in range(FILMS):
        boxes_A4 = clip(dense.boxes_BA4[image], SIZE_PX, SIZE_PX)
        for phrase, concept in enumerate(CONCEPTS):
            score_A = dense.logits_BAP[image, :, phrase].sigmoid()
            for index in nms(boxes_A4, score_A, 0.5, 10).tolist():
                box = boxes_A4[index].tolist()
                if box[2] - box[0] > 1 and box[3] - box[1] > 1:
                    found.append(Detection(str(image), concept, tuple(box), float(score_A[index])))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("family", "mode"), [("qwen2_5_vl", Mode.FULL), ("qwen3_vl", Mode.LORA)])
def test_sixty_questions_are_learnt_by_heart_and_answered_alike_after_reading_back(family, mode, qwen_folder, tmp_path):
    torch.manual_seed(0)
    batch, truths = films()
    config = QwenConfig(width=64, text_width=64, lora=LoraSize(rank=8, alpha=16), max_tokens=48)
    model = load_qwen(qwen_folder(family), mode=mode, dtype=torch.float32, config=config).train()
    heads = Heads(model.width, model.text_width).train()
    learn(model, heads, batch)
    found = detections(model, heads, batch)
    precision = ap_by_concept(truths, found, CONCEPTS)
    save_qwen(model, tmp_path / "saved")
    again = read_qwen(tmp_path / "saved", base=qwen_folder(family), dtype=torch.float32)
    assert detections(again, heads, batch) == found
    with torch.no_grad():
        region_NCSS = truth_regions(batch, again.look(batch.images_B1HW))
    expected = statements(batch)
    allowed = sorted({word for words in expected for word in words})
    told = [tuple(s.text for s in said) for said in again.describe(region_NCSS, allowed=allowed)]
    right = sum(words == said for words, said in zip(expected, told, strict=True))
    assert min(precision.values()) >= 0.8
    assert right >= 0.9 * len(expected)


def learn(model, heads, films: Batch, steps: int = 280, rate: float = 4e-3) -> None:
    """Boxes, presence and words together."""
    opened = [p for p in [*model.parameters(), *heads.parameters()] if p.requires_grad]
    optimizer = torch.optim.AdamW(opened, rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    for step in range(steps):
        if step % 2 == 0:
            order = torch.randperm(FILMS).tolist()
        batch = part(films, order[step % 2 :: 2])
        pyramid, text_CD = model.look(batch.images_B1HW), model.read(PHRASES)
        losses = dense_losses(heads, batch, pyramid, heads.dense(pyramid, text_CD), text_CD)
        loss = weighted(losses, LossWeights())
        loss = loss + model.description_loss(truth_regions(batch, pyramid), statements(batch))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(opened, 5.0)
        optimizer.step()
        schedule.step()
    model.eval()
    heads.eval()
