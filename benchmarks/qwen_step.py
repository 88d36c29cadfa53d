"""`python -m benchmarks.qwen_step`: memory and time of training steps around a Qwen-VL model of full size.

The towers have the published sizes and random weights, so nothing is downloaded; what is around them is that of the
recipe `qwen`, and so is the training: its trainer runs its stage `joint`, which opens most and holds most in memory,
on phantom films. Each mode runs in a process of its own, so that peaks do not mix. Before it, one film is answered:
every trained finding is asked for, and the best box of each described.

Nobody has run it on a GPU yet: there are no figures of one, neither here nor in the documentation.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.qwen_architectures import ARCHITECTURES, configuration, new_network
from benchmarks.qwen_figures import FAILED, GIB, MEASURED, SHORT, Row, table
from medground.data.dataset import Pool, inverse_root_weights
from medground.data.pools import phantom_radiograph
from medground.data.vocabulary import load_vocabulary
from medground.evaluation.files import make_folder, replace_file
from medground.model.backbones.qwen_config import Mode
from medground.model.bundle import Bundle
from medground.model.calibration import IDENTITY
from medground.model.familiarity import Familiarity
from medground.model.grounder import Grounder
from medground.model.network import GroundingNetwork, count_parameters
from medground.model.scope import Scope
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.result import ModelInfo
from medground.training.average import Average
from medground.training.batch import Batch
from medground.training.kernels import Kernels
from medground.training.opening import open_parameters
from medground.training.processes import Precision, Processes
from medground.training.recipe import Recipe, Stage
from medground.training.step import Place
from medground.training.trainer import Surroundings, Trainer
from pipelines.allocator import keep_freed_memory
from pipelines.fit import asked, framed, trained_concepts
from pipelines.recipes.qwen import SIZE_PX, qwen
from pipelines.sources import say

_UNTAKEN = "No figures with a GPU have been taken yet."
_FILMS = 16
_ANCHORED = 2  # general films that EWC looks at before the first step: one after the other, so more need no more memory
_BOXES = 20
_SHORT_SAYS = re.compile(r"out of memory|can't allocate|cannot allocate|ALLOC_FAILED|killed by signal", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a child process is to measure.

    Attributes:
        architecture: a key of `ARCHITECTURES`.
        mode: what of the towers learns.
        device: `cpu` or `cuda`.
        precision: of `autocast`: `no` or `bf16`.
        batch: images in a step.
        size_px: side of an image.
        steps, warm_up: that are timed, and before these.
        free_bytes: that a process on the CPU may take; 0 sets no bound.
    """

    architecture: str
    mode: str
    device: str
    precision: Precision
    batch: int
    size_px: int
    steps: int
    warm_up: int
    free_bytes: int = 0


def recipe_of(wanted: Asked) -> Recipe:
    """The recipe `qwen` with its stage `joint` alone, for as many steps as are asked for."""
    with tempfile.TemporaryDirectory() as folder:
        configuration(wanted.architecture).save_pretrained(folder)  # it tells the recipe how deep the towers are
        whole = qwen(folder, mode=Mode(wanted.mode))
    (joint,) = (stage for stage in whole.stages if stage.name == "joint")
    stage = joint.model_copy(update={"steps": wanted.warm_up + wanted.steps, "ewc_samples": _ANCHORED})
    return whole.model_copy(
        update={
            "batch": wanted.batch,
            "model": whole.model.model_copy(update={"image_size_px": wanted.size_px}),
            "augment": whole.augment.model_copy(update={"size_px": wanted.size_px}),
            "stages": (stage,),
        }
    )


def counted(wanted: Asked) -> Row:
    """Parameters of a mode and the least memory that its training takes, without taking any."""
    recipe = recipe_of(wanted)
    network = new_network(recipe, wanted.architecture, "meta")
    open_parameters(network, (), recipe.stages[0])
    weights = sum(parameter.nbytes for parameter in network.parameters())
    average = sum(value.nbytes for value in network.learned_state().values())
    opened = sum(parameter.nbytes for parameter in network.parameters() if parameter.requires_grad)
    trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return Row(wanted.mode, count_parameters(network), trained, weights + average + 5 * opened)


class _Timed(Trainer):
    """The trainer as it is, with a clock at either end of each step; checkpoints are not written."""

    def __init__(self, recipe: Recipe, network: GroundingNetwork, pool: Pool, around: Surroundings) -> None:
        super().__init__(recipe, network, load_vocabulary(), [pool], around)
        self.began, self.seconds = 0.0, list[float]()

    def _step(
        self, stage: Stage, place: Place, batch: Batch, numbers: Sequence[int], optimizer: Kernels
    ) -> dict[str, float]:
        self.began = _now(self.around.processes.device)
        return super()._step(stage, place, batch, numbers, optimizer)

    def _look(self, stage: Stage, average: Average, step: int, offset: int) -> bool:
        """Comes after every step, once the average took it in."""
        self.seconds.append(_now(self.around.processes.device) - self.began)
        return super()._look(stage, average, step, offset)

    def _save(self, index: int, step: int, average: Average, optimizer: Kernels) -> None:
        pass


class _Nowhere:
    def metrics(self, values: dict[str, float], step: int) -> None:
        pass


def train(network: GroundingNetwork, recipe: Recipe, pool: Pool, processes: Processes) -> list[float]:
    """Trains the recipe's stages; seconds of each step.

    Args:
        network: modified in place.
        recipe: of it.
        pool: of films.
        processes: one, with the device and the precision of `autocast`.

    Raises:
        UsageError: if a loss or its gradient is not finite.
    """
    with tempfile.TemporaryDirectory() as folder:
        trainer = _Timed(recipe, network, pool, Surroundings(Path(folder), _Nowhere(), say, None, processes))
        trainer.run(resume=False)
    return trainer.seconds


def answer(network: GroundingNetwork, recipe: Recipe, pool: Pool, device: str) -> int:
    """Answers one film: all trained findings, and words for the best box of each; how many boxes were described."""
    kinds, width, vocabulary = len(DOMAINS), network.backbone.image_width, load_vocabulary()
    scope = Scope(trained=trained_concepts(recipe, [pool]))
    usual = Familiarity(
        torch.zeros(kinds, width), torch.eye(width).repeat(kinds, 1, 1), torch.full((kinds, 3), torch.inf)
    )
    info = ModelInfo(name="random", version="0", sha256="", trained_on=("nothing",))
    grounder = Grounder(Bundle(info, network.eval(), vocabulary, scope, IDENTITY, usual, {}), device=device)
    film = Domain.CHEST_RADIOGRAPH
    questions = asked(recipe, vocabulary, scope, film)
    (reading,) = grounder.read([framed(pool.items[0])], questions, max_boxes=_BOXES, min_score=0.0, known=[film])
    best = [(one.region, heard.phrase.concept, film) for heard in reading.phrases for one in heard.candidates[:1]]
    able = [region for region in best if region[0] is not None]
    grounder.describe(able)
    return len(able)


def measured(wanted: Asked) -> dict[str, Any]:
    """Answers and trains in this process: the fields of a `Row` that only doing it can tell."""
    on_gpu = wanted.device == "cuda"
    keep_freed_memory()
    if wanted.free_bytes:  # so that what is too large is refused, and the system does not end a neighbour for it
        resource.setrlimit(resource.RLIMIT_DATA, (_status_bytes("VmData") + wanted.free_bytes,) * 2)
    recipe = recipe_of(wanted)
    films = tuple(phantom_radiograph(seed, wanted.size_px) for seed in range(_FILMS))
    pool = Pool("phantom", 1.0, films, inverse_root_weights(films))
    torch.manual_seed(recipe.seed)
    network = new_network(recipe, wanted.architecture, wanted.device)
    if on_gpu:  # of what it took to draw the weights, which loading them does not
        _forget_peak()
    say(f"{wanted.mode}: {count_parameters(network) / 1e6:.1f}M parameters on {wanted.device}")
    for _ in range(2 if on_gpu else 1):  # a GPU loads its kernels in the first
        began = _now(torch.device(wanted.device))
        described = answer(network, recipe, pool, wanted.device)
        seconds = _now(torch.device(wanted.device)) - began
    answering = _peak(wanted.device)
    if on_gpu:
        _forget_peak()
    processes = Processes.single(device=wanted.device, precision=wanted.precision)
    steps = train(network, recipe, pool, processes)[wanted.warm_up :]
    return {
        "outcome": MEASURED,
        "training_peak_bytes": _peak(wanted.device),
        "answering_peak_bytes": answering,
        "step_seconds": steps,
        "answer_seconds": seconds,
        "described": described,
    }


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _forget_peak() -> None:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def _peak(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    """Of this process; `ru_maxrss` would tell the peak of whoever started it, if that was larger."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _child(wanted: Asked) -> dict[str, Any]:
    """What a process of its own found."""
    command = [sys.executable, "-m", "benchmarks.qwen_step", "--child", json.dumps(asdict(wanted))]
    home = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=home)  # what it notes is seen as it comes
    if done.returncode == -signal.SIGKILL:
        return {"outcome": SHORT, "why": "the system ended the process, as it does when memory runs out"}
    if done.returncode or not done.stdout:
        return {"outcome": FAILED, "why": f"the process ended with {done.returncode}"}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _run_as_child(wanted: Asked) -> dict[str, Any]:
    try:
        return measured(wanted)
    except Exception as error:  # whatever it is, it is the outcome of this mode, and others are still to come
        traceback.print_exc()
        short = isinstance(error, MemoryError | torch.OutOfMemoryError) or _SHORT_SAYS.search(str(error))
        why = (str(error).splitlines() or [""])[0]
        return {"outcome": SHORT if short else FAILED, "why": f"{type(error).__name__}: {why}"[:300]}


def row_of(wanted: Asked, *, count_only: bool = False) -> Row:
    """Counts a mode, and measures it in a process of its own unless it cannot fit or is only to be counted."""
    row = counted(wanted)
    if count_only:
        return row
    if wanted.device == "cpu" and row.least_bytes > wanted.free_bytes:
        needs, free = row.least_bytes / GIB, wanted.free_bytes / GIB
        why = f"needs at least {needs:.1f} GiB, activations not counted, and {free:.1f} GiB are free; it was not begun"
        return replace(row, outcome=SHORT, why=why)
    return replace(row, **_child(wanted))


def _free_bytes() -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _machine(device: str) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    return {"device": device, "name": name, "threads": torch.get_num_threads(), **versions}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m benchmarks.qwen_step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_UNTAKEN,
    )
    parse.add_argument("--architecture", choices=list(ARCHITECTURES), default="qwen2.5-vl-3b")
    parse.add_argument(
        "--mode", nargs="+", choices=[mode.value for mode in Mode], default=[mode.value for mode in Mode]
    )
    parse.add_argument("--device", choices=["cpu", "cuda"], default="cuda", help="(default: cuda)")
    parse.add_argument(
        "--precision",
        choices=["no", "bf16"],
        default="no",
        help="as of `pipelines train`: bf16 is for mode full, whose weights are float32 (default: no)",
    )
    parse.add_argument(
        "--batch", type=_at_least(1), default=16, help="images in a step (default: 16, as in the recipe)"
    )
    parse.add_argument(
        "--size", type=_at_least(1), default=SIZE_PX, help="side of an image, px (default: as in the recipe)"
    )
    parse.add_argument("--steps", type=_at_least(1), default=5, help="that are timed (default: 5)")
    parse.add_argument("--warm-up", type=_at_least(0), default=2, help="steps before these (default: 2)")
    parse.add_argument("--memory", type=float, metavar="GIB", help="cpu: that may be taken (default: what is free now)")
    parse.add_argument("--count", action="store_true", help="only count parameters and the least memory; takes none")
    parse.add_argument("--out", type=Path, help="JSON to write")
    parse.add_argument("--child", help=argparse.SUPPRESS)
    return parse


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not {least} or more")
        return int(text)

    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table with a row to each mode, and writes the figures as JSON if asked.

    Args:
        argv: command line without the program; None takes the process's own.

    Returns:
        0 if a mode was measured, or all were counted as asked; 1 if one failed; 2 if none had the memory, or the device
        is not there.
    """
    given = parser().parse_args(argv)
    if given.child:
        print(json.dumps(_run_as_child(Asked(**json.loads(given.child)))))
        return 0
    try:
        return _report(given)
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code


def _report(given: argparse.Namespace) -> int:
    if given.device == "cuda" and not (given.count or torch.cuda.is_available()):
        raise UsageError("--device cuda: torch finds no GPU here; use --device cpu, or --count for sizes alone")
    free = 0
    if given.device == "cpu":
        free = _free_bytes() if given.memory is None else int(given.memory * GIB)
    rows: list[Row] = []
    for mode in given.mode:
        sizes = (given.precision, given.batch, given.size, given.steps, given.warm_up)
        rows.append(row_of(Asked(given.architecture, mode, given.device, *sizes, free), count_only=given.count))
        page = {
            "architecture": given.architecture,
            "weights": "random",
            "stage": "joint",
            "precision": given.precision,
            "batch": given.batch,
            "size_px": given.size,
            "warm_up": given.warm_up,
            "machine": _machine("cpu" if given.count else given.device),
            "rows": [asdict(row) for row in rows],
        }
        if given.out:
            make_folder(given.out.parent)
            replace_file(given.out, (json.dumps(page, indent=1) + "\n").encode())
    print(
        f"{given.architecture} with random weights, batches of {given.batch} images of {given.size} px, stage joint\n"
    )
    print(table(rows, given.batch))
    outcomes = [row.outcome for row in rows]
    for row in rows:
        if row.outcome in (SHORT, FAILED):
            say(f"error: {given.architecture}, mode {row.mode}: {row.outcome}: {row.why}")
    if FAILED in outcomes:
        return 1
    return 0 if given.count or MEASURED in outcomes else 2


if __name__ == "__main__":
    raise SystemExit(main())
