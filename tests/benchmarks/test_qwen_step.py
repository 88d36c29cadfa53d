"""Sizes as they are published, a network as the recipe has it, and tiny models through the whole command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.qwen_architectures import ARCHITECTURES, new_network
from benchmarks.qwen_figures import FAILED, GIB, MEASURED, SHORT, Row, table
from benchmarks.qwen_step import Asked, counted, main, parser, recipe_of, row_of, train
from medground.data.dataset import Pool, inverse_root_weights
from medground.data.pools import phantom_radiograph
from medground.data.vocabulary import load_vocabulary
from medground.model.backbones.qwen_config import Mode
from medground.training.opening import open_parameters
from medground.training.processes import Processes
from pipelines.train import new_network as trained_network

PUBLISHED = [name for name, chosen in ARCHITECTURES.items() if chosen.published]
MODES = [mode.value for mode in Mode]


def asked(mode: str, architecture: str = "tiny", **more: object) -> Asked:
    sizes = {"precision": "no", "batch": 2, "size_px": 112, "steps": 2, "warm_up": 0, "free_bytes": 64 * GIB}
    return Asked(architecture, mode, "cpu", **(sizes | more))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_towers_have_as_many_parameters_as_are_published(name: str) -> None:
    network = new_network(recipe_of(asked("frozen", name)), name, "meta")
    assert sum(parameter.numel() for parameter in network.backbone.base.parameters()) == ARCHITECTURES[name].published


@pytest.mark.parametrize("mode", MODES)
def test_the_network_is_what_the_recipe_makes_of_saved_weights(mode: str, tmp_path: Path) -> None:
    """Loaded as pretrained weights are, it has the same names, sizes and dtypes, and recomputes the same blocks."""
    recipe = recipe_of(asked(mode))
    ours = new_network(recipe, "tiny", "cpu")
    new_network(recipe_of(asked("frozen")), "tiny", "cpu").backbone.save_pretrained(tmp_path)
    model = recipe.model
    beside = model.model_copy(update={"backbone": model.backbone.model_copy(update={"source": str(tmp_path)})})
    theirs = trained_network(recipe.model_copy(update={"model": beside}), load_vocabulary())
    facts = []
    for network in (ours, theirs):
        open_parameters(network, (), recipe.stages[0])
        told = {n: (p.shape, p.dtype, p.requires_grad, p.stride()) for n, p in network.named_parameters()}
        again = {
            n: m.gradient_checkpointing for n, m in network.named_modules() if hasattr(m, "gradient_checkpointing")
        }
        facts.append((told, again))
    assert facts[0] == facts[1]
    assert any(facts[0][1].values()) is (mode != "frozen")
    row = counted(asked(mode))
    opened = [p for p in theirs.parameters() if p.requires_grad]
    assert row.parameters == sum(p.numel() for p in theirs.parameters())
    assert row.trained == sum(p.numel() for p in opened)
    kept = sum(v.numel() * v.element_size() for v in theirs.learned_state().values())
    held = sum(p.numel() * p.element_size() for p in theirs.parameters())
    assert row.least_bytes == held + kept + 5 * 4 * row.trained


@pytest.mark.slow
def test_steps_are_steps_of_training() -> None:
    recipe = recipe_of(asked("lora", warm_up=1))
    torch.manual_seed(0)
    network = new_network(recipe, "tiny", "cpu")
    before = {name: value.clone() for name, value in network.named_parameters()}
    films = tuple(phantom_radiograph(seed, 112) for seed in range(4))
    pool = Pool("phantom", 1.0, films, inverse_root_weights(films))
    seconds = train(network, recipe, pool, Processes.single())
    assert len(seconds) == 3
    assert min(seconds) > 0
    open_parameters(network, (), recipe.stages[0])
    for name, value in network.named_parameters():
        if not value.requires_grad:
            assert torch.equal(value, before[name]), name
    moved = " ".join(name for name, value in network.named_parameters() if not torch.equal(value, before[name]))
    for part in ("visual", "language_model", "levels", "phrases", "describer", "dense", "presence", "decoder"):
        assert part in moved


@pytest.mark.slow
def test_the_command_measures_every_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made" / "figures.json"
    sizes = ["--batch", "2", "--size", "112", "--steps", "3", "--warm-up", "1"]
    assert main(["--architecture", "tiny", "--mode", *MODES, "--device", "cpu", *sizes, "--out", str(out)]) == 0
    page = json.loads(out.read_text())
    rows = [Row(**(row | {"step_seconds": tuple(row["step_seconds"])})) for row in page["rows"]]
    assert [row.mode for row in rows] == MODES
    assert {row.outcome for row in rows} == {MEASURED}
    for row in rows:
        assert len(row.step_seconds) == 3
        assert row.described > 0
        assert row.answer_seconds > 0
        assert row.least_bytes < row.answering_peak_bytes <= row.training_peak_bytes
    assert rows[0].trained < rows[1].trained
    assert table(rows, 2) in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ["figures.json"]


@pytest.mark.slow
def test_out_of_memory_and_failure_are_rows() -> None:
    short = row_of(asked("lora", size_px=448, free_bytes=GIB // 8))
    assert short.outcome == SHORT
    assert "allocate" in short.why
    failed = row_of(asked("frozen", size_px=1))
    assert failed.outcome == FAILED
    assert "at least 64 pixels" in failed.why


def test_what_cannot_fit_is_not_begun(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--architecture", "qwen2-vl-2b", "--mode", "full", "--device", "cpu", "--memory", "20"]) == 2
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert "needs at least 27.1 GiB, activations not counted, and 20.0 GiB are free; it was not begun" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--architecture", "tiny"]) == 2
    assert "torch finds no GPU here; use --device cpu" in capsys.readouterr().err


def test_sizes_are_counted_for_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--architecture", "tiny", "--mode", "frozen", "--device", "cuda", "--count"]) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith("| frozen | 3.60M | 2.98M | 0.08 GiB | counted |")
    assert row.count("|") == 10


def test_the_table_tells_spread_and_reason() -> None:
    good = Row("lora", 2_000_000, 500_000, GIB // 2, MEASURED, "", GIB, GIB // 4, (3.0, 1.0, 2.0), 0.5, 7)
    bad = Row("full", 2_000_000, 2_000_000, 3 * GIB, SHORT, "CUDA | out")
    lines = table([good, bad], 4).splitlines()
    assert lines[2] == (
        "| lora | 2.00M | 0.50M | 0.50 GiB | 1.00 GiB | 0.25 GiB | 2 (1 to 3) | 0.5 (0.25 to 0.75) | 0.5 |"
    )
    assert lines[3] == "| full | 2.00M | 2.00M | 3.00 GiB | out of memory: CUDA / out | | | | |"
    assert {line.count("|") for line in lines} == {10}


def test_help_says_that_no_gpu_was_measured() -> None:
    assert "No figures with a GPU have been taken yet." in parser().format_help()
