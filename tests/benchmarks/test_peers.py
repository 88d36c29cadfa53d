"""Each peer learns four synthetic films by heart; what they find becomes a scene beside ours."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.peers.dense_detector import conv, thinned
from benchmarks.peers.measure import Images, detections, look, mean_ap50
from benchmarks.peers.peer import Found, Peer, Size
from benchmarks.peers.train import CHECKPOINT, Plan, built, choose_rate, fit, share_of_rate
from benchmarks.peers.transformers_detector import dfine, labels_of, pairs, rtdetr
from medground.evaluation.scene import load_scene, save_scene
from medground.imaging.letterbox import Letterbox
from medground.imaging.preprocess import BLACK, ModelImage
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.errors import CheckpointError
from medground.schema.record import ImageRecord, Region
from medground.training.batch import NO_OTHER_SIDE, Batch
from pipelines.compare import compare
from tests.full_disk import no_file_longer_than

CONCEPTS = ("square", "dim_square")
SIZE_PX = 64
SYSTEMS = {"conv": conv, "rtdetr": rtdetr, "dfine": dfine}


class Squares:
    """Four films, each with a bright square and a dim one, the same in training and measurement."""

    concepts = CONCEPTS
    frame_px = SIZE_PX
    training_boxes = {"square": 4, "dim_square": 4}  # noqa: RUF012 - never changed

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.pixels_BHW = torch.full((4, SIZE_PX, SIZE_PX), BLACK)
        self.boxes_BG4 = torch.zeros(4, 2, 4)
        for row in range(4):
            for half, shade in enumerate((2.0, 0.0)):
                side = int(torch.randint(16, 25, (1,), generator=generator))
                x = half * 32 + int(torch.randint(0, 33 - side, (1,), generator=generator))
                y = int(torch.randint(0, SIZE_PX - side, (1,), generator=generator))
                self.pixels_BHW[row, y : y + side, x : x + side] = shade
                self.boxes_BG4[row, half] = torch.tensor([x, y, x + side, y + side])

    def batch(self, boxes: tuple[Tensor, ...] | None = None, *, exhaustive: bool = True) -> Batch:
        boxes = tuple(self.boxes_BG4) if boxes is None else boxes
        concepts = tuple(torch.arange(len(boxes_G4)) for boxes_G4 in boxes)
        said = tuple(((),) * len(boxes_G4) for boxes_G4 in boxes)
        known_BC = torch.full((4, 2), exhaustive)
        one_sided = NO_OTHER_SIDE.expand(4, 2, 3)
        kinds = torch.zeros(4, dtype=torch.int64)
        return Batch(self.pixels_BHW[:, None], boxes, concepts, known_BC, kinds, said, one_sided)

    def batches(self, start: int, end: int) -> Iterator[Batch]:
        for _ in range(start, end):
            yield self.batch()

    def images(self, part: str) -> Images:
        box = Letterbox.fit(2 * SIZE_PX, 2 * SIZE_PX, SIZE_PX)  # stored films are twice as large
        for row, (pixels_HW, boxes_G4) in enumerate(zip(self.pixels_BHW, self.boxes_BG4, strict=True)):
            regions = tuple(
                Region(concept=c, box=Box(x1=b[0], y1=b[1], x2=b[2], y2=b[3]), source="test")
                for c, b in zip(CONCEPTS, (boxes_G4 * 2).tolist(), strict=True)
            )
            record = ImageRecord(
                record_id=f"{part}-{row}",
                patient_id=f"p{row}",
                columns=2 * SIZE_PX,
                rows=2 * SIZE_PX,
                domain=Domain.LIMB_RADIOGRAPH,
                dataset="squares",
                regions=regions,
                exhaustive_for=frozenset(CONCEPTS),
            )
            yield record, ModelImage(pixels_HW, box, 0.0)


def _plan(peer: str, steps: int, rate: float = 2e-3) -> Plan:
    return Plan(
        peer=peer,
        size=Size.TINY,
        data="squares",
        concepts=CONCEPTS,
        view_px=SIZE_PX,
        frame_px=SIZE_PX,
        batch=4,
        steps=steps,
        learning_rate=rate,
        ema=0.9,
    )


def _quiet(_: str) -> None:
    pass


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps", "rate"), [("conv", 130, 4e-3), ("rtdetr", 350, 2e-3), ("dfine", 160, 4e-3)])
def test_a_peer_learns_four_films_by_heart_and_its_scene_stands_beside_another(
    name: str, steps: int, rate: float, tmp_path: Path
) -> None:
    data, plan = Squares(), _plan(name, steps, rate)
    peer = built(SYSTEMS[name], plan)
    before = look(peer, data.images("valid"), data, view_px=SIZE_PX, system="untrained", name="squares, valid part")
    assert (mean_ap50(before) or 0.0) < 0.1
    assert fit(peer, plan, data, tmp_path, _quiet)
    after = look(peer, data.images("valid"), data, view_px=SIZE_PX, system=name, name="squares, valid part")
    ap50 = mean_ap50(after)
    assert ap50 is not None
    assert ap50 >= 0.75  # .88 to 1 on four processors; untrained 0
    save_scene(after, tmp_path / "valid.scene.json.gz")
    read = load_scene(tmp_path / "valid.scene.json.gz")
    assert read == after
    rows = {row.name: row for row in compare([before, read], resamples=20)}
    values = rows["ap50/mean"].values
    assert values[1] is not None
    assert values[1].value == pytest.approx(ap50)


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_films_without_a_box_give_a_finite_loss_and_gradient(name: str) -> None:
    peer = built(SYSTEMS[name], _plan(name, 1)).train()
    empty = Squares().batch((torch.zeros(0, 4),) * 4)
    total = torch.stack(list(peer.losses(empty).values())).sum()
    total.backward()
    assert math.isfinite(float(total.detach()))
    assert all(torch.isfinite(p.grad).all() for p in peer.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_a_concept_that_labels_say_nothing_of_is_not_judged(name: str) -> None:
    peer = built(SYSTEMS[name], _plan(name, 1)).eval()  # no batch statistics, no denoising
    unknown = Squares().batch((torch.zeros(0, 4),) * 4, exhaustive=False)
    assert float(torch.stack(list(peer.losses(unknown).values())).sum().detach()) == pytest.approx(0, abs=1e-6)


def test_going_on_after_a_stop_equals_going_through(tmp_path: Path) -> None:
    data, plan = Squares(), _plan("conv", 12)
    whole, halves, again = (built(conv, plan) for _ in range(3))
    assert fit(whole, plan, data, tmp_path / "whole", _quiet)
    assert not fit(halves, plan, data, tmp_path / "halves", _quiet, stop_after=5)
    assert fit(again, plan, data, tmp_path / "halves", _quiet, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    with pytest.raises(CheckpointError, match="another recipe"):
        fit(again, _plan("conv", 13), data, tmp_path / "halves", _quiet, resume=True)
    assert (tmp_path / "halves" / CHECKPOINT).exists()


def test_what_is_random_in_a_step_depends_on_its_number_alone(tmp_path: Path) -> None:
    data, plan = Squares(), _plan("rtdetr", 4)
    whole, halves, again = (built(rtdetr, plan) for _ in range(3))
    fit(whole, plan, data, tmp_path / "whole", _quiet)
    fit(halves, plan, data, tmp_path / "halves", _quiet, stop_after=2)
    torch.rand(7)  # somebody else draws
    fit(again, plan, data, tmp_path / "halves", _quiet, resume=True)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())


def test_the_rate_that_finds_most_on_the_development_part_is_taken(tmp_path: Path) -> None:
    data, plan, lines = Squares(), _plan("conv", 40), list[str]()

    def chosen(*, resume: bool) -> float:
        rates = (1e-9, 4e-3)
        return choose_rate(conv, plan, rates, data, tmp_path, lines.append, trial_steps=40, resume=resume)

    assert chosen(resume=False) == 4e-3
    said = len(lines)
    assert chosen(resume=True) == 4e-3
    assert len(lines) == said + 2  # nothing was trained again
    assert choose_rate(conv, plan, [0.5], data, tmp_path / "none", _quiet, trial_steps=40) == 0.5
    assert not (tmp_path / "none").exists()


def test_a_rate_that_breaks_the_training_counts_as_nothing(tmp_path: Path) -> None:
    class Broken(Peer):
        def __init__(self, *_: object) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def losses(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002 - the signature of a peer
            return {"loss": self.weight.sum() * math.nan}

        def detect(self, images_BCHW: Tensor) -> list[Found]:
            raise NotImplementedError

    with pytest.raises(FloatingPointError, match="step 0"):
        fit(Broken(), _plan("conv", 2), Squares(), tmp_path, _quiet)
    assert choose_rate(Broken, _plan("conv", 2), [1, 2], Squares(), tmp_path, _quiet, trial_steps=2) == 1


def test_the_schedule_rises_and_falls_as_a_cosine() -> None:
    plan = _plan("conv", 100).model_copy(update={"warmup_steps": 4})
    assert [share_of_rate(step, plan) for step in range(4)] == [0.25, 0.5, 0.75, 1]
    assert share_of_rate(52, plan) == pytest.approx(0.01 + 0.99 * (1 + math.cos(math.pi * 48 / 96)) / 2)
    assert share_of_rate(100, plan) == pytest.approx(0.01)


def test_labels_are_centres_and_sizes_in_shares_of_the_frame() -> None:
    data = Squares()
    for label, boxes_G4 in zip(labels_of(data.batch()), data.boxes_BG4.tolist(), strict=True):
        slow = [[(x1 + x2) / 128, (y1 + y2) / 128, (x2 - x1) / 64, (y2 - y1) / 64] for x1, y1, x2, y2 in boxes_G4]
        assert torch.allclose(label["boxes"], torch.tensor(slow))
        assert label["class_labels"].tolist() == [0, 1]


def test_pairs_of_query_and_concept_come_in_pixels_surest_first() -> None:
    scores_QC = torch.tensor([[0.1, 0.9], [0.8, 0.2]])
    found = pairs(scores_QC, torch.tensor([[0.5, 0.5, 0.5, 0.25], [0.25, 0.5, 0.5, 1.0]]), columns=64, rows=32)
    assert found.scores_N.tolist() == pytest.approx([0.9, 0.8, 0.2, 0.1])
    assert found.concept_N.tolist() == [1, 0, 1, 0]
    assert found.boxes_N4[:2].tolist() == [[16, 12, 48, 20], [0, 0, 32, 32]]


def test_doubles_of_one_concept_are_dropped_and_of_another_kept() -> None:
    boxes_A4 = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    found = thinned(torch.tensor([[0.9, 0.1], [0.8, 0.6], [0.3, 0.2]]), boxes_A4)
    kept = [(int(c), round(float(s), 3)) for c, s in zip(found.concept_N, found.scores_N, strict=True)]
    assert kept == [(0, 0.9), (0, 0.3), (1, 0.6), (1, 0.2)]


def test_boxes_are_scaled_to_the_stored_image_clipped_and_counted_by_concept() -> None:
    boxes_N4 = torch.tensor([[-5.0, 2, 10, 12], [60, 60, 90, 90], [70, 70, 90, 90]])
    found = Found(torch.cat([boxes_N4, torch.ones(150, 4) * torch.tensor([1.0, 1, 3, 3])]), torch.linspace(1, 0, 153),
                  torch.tensor([1, 0, 0] + [1] * 150))  # fmt: skip
    kept = detections(found, Letterbox.fit(128, 128, 64), CONCEPTS)
    assert kept[0] == ("dim_square", (0, 4, 20, 24), 1.0)
    assert kept[1][:2] == ("square", (120, 120, 128, 128))
    assert [concept for concept, *_ in kept].count("square") == 1  # the third lies outside
    assert [concept for concept, *_ in kept].count("dim_square") == 100


def test_the_command_trains_measures_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = _command()
    line = ["--peer", "conv", "--set", "bccd", "--fold", "1", "--steps", "4", "--size", "64", "--batch", "4"]
    line += ["--rates", "1e-3,2e-3", "--trial-steps", "2", "--model-size", "tiny", "--out", str(tmp_path)]
    monkeypatch.setattr(torch, "set_num_threads", _quiet)
    assert command([*line], Squares()) == 0
    first = load_scene(tmp_path / "valid.scene.json.gz")
    assert first.data == "bccd fold 1, valid part"
    assert first.training_boxes == {"square": 4, "dim_square": 4}
    assert command([*line, "--resume"], Squares()) == 0
    assert load_scene(tmp_path / "valid.scene.json.gz") == first
    plan = Plan.model_validate_json((tmp_path / "plan.json").read_text())
    assert (plan.steps, plan.data, plan.learning_rate in {1e-3, 2e-3}) == (4, "bccd fold 1", True)


def test_reports_that_cannot_be_written_are_told_and_the_scene_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = _command()
    line = ["--peer", "conv", "--set", "bccd", "--steps", "1", "--size", "64", "--batch", "4", "--model-size", "tiny"]
    line += ["--out", str(tmp_path), "--resume"]
    monkeypatch.setattr(torch, "set_num_threads", _quiet)
    (tmp_path / "valid.md").mkdir()
    assert command(line, Squares()) == 2
    said = capsys.readouterr()
    assert "valid.md cannot be written (Is a directory)" in said.err
    assert said.out == ""
    (tmp_path / "valid.md").rmdir()
    (tmp_path / "valid.json").unlink()
    plan = (tmp_path / "plan.json").stat().st_size
    with no_file_longer_than(plan):  # it is trained, and no report fits
        assert command(line, Squares()) == 2
    assert re.search(r"error: .*valid.json cannot be written \(File too large\); make room", capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT, "plan.json"}
    assert command(line, Squares()) == 0
    assert {path.name for path in tmp_path.glob("valid*")} == {"valid.json", "valid.md", "valid.scene.json.gz"}
    assert capsys.readouterr().out == (tmp_path / "valid.md").read_text() + "\n"


def _command() -> Callable[..., int]:
    return pytest.importorskip("benchmarks.peers.__main__").main  # type: ignore[no-any-return]
