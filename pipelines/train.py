"""`python -m pipelines train`: trains a recipe, fits its calibration, writes its bundle. Goes on after a kill."""

from __future__ import annotations

import argparse
import fcntl
import itertools
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from medground.data.dataset import Pool
from medground.data.questions import phrases
from medground.data.vocabulary import load_vocabulary
from medground.evaluation.files import make_folder, replace_file
from medground.model.backbones.build import build_backbone
from medground.model.backbones.qwen_config import Mode
from medground.model.bundle import Bundle
from medground.model.bundle_write import round_as_stored, save_bundle
from medground.model.config import CompactConfig
from medground.model.network import GroundingNetwork, channels_last, count_parameters
from medground.model.tokenizer import train_tokenizer
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.vocabulary import Vocabulary
from medground.tracking.runs import RunLog, open_run
from medground.tracking.staged_log import StagedLog
from medground.training.processes import Processes
from medground.training.recipe import Recipe
from medground.training.trainer import Surroundings, Trainer, recipe_digest
from pipelines.allocator import keep_freed_memory
from pipelines.data_versions import data_versions
from pipelines.development import development_of
from pipelines.fit import development_figures, development_judge, fit_bundle
from pipelines.recipes import QWEN, RECIPES, recipe
from pipelines.sources import LARGE_FOLDS, default_data, load_sources, say, sets_of, training_pools
from pipelines.start import CHECKPOINT, Beginning, beginning_of, take_start

HOME = Path(__file__).resolve().parents[1] / "mlruns"
SINGLE = Processes.single()
LOCK = ".lock"
RUN_NOTES = "mlflow_runs.json"  # in the work folder: ids of the run and its children


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines train", description=__doc__)
    names = [*RECIPES, *QWEN]
    parse.add_argument(
        "--recipe",
        default="shipped",
        choices=names,
        metavar="NAME",
        help=f"one of {', '.join(names)} (default: shipped)",
    )
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the real data sets")
    parse.add_argument("--out", type=Path, help="work folder (default: out/train/RECIPE)")
    parse.add_argument("--bundle", type=Path, help="where the bundle goes (default: OUT/bundle)")
    parse.add_argument("--base", help="recipes qwen, tiny-qwen: folder or hub id of the Qwen-VL model")
    parse.add_argument(
        "--mode",
        type=Mode,
        choices=list(Mode),
        default=Mode.LORA,
        help="what of that model learns (default: lora)",
    )
    parse.add_argument(
        "--start", type=Path, metavar="BUNDLE", help="start from this bundle's weights; what does not fit begins anew"
    )
    parse.add_argument("--fold", type=int, choices=range(5), help="chest films: hold this fifth of the patients out")
    parse.add_argument(
        "--large-fold", type=int, choices=range(LARGE_FOLDS), help="limb films: hold this third of the large ones out"
    )
    parse.add_argument("--stage", type=int, metavar="N", help="stop where stage N ends (1 is the first)")
    parse.add_argument("--device", default="cpu", choices=["auto", "cpu", "cuda"], help="where to train (default: cpu)")
    parse.add_argument(
        "--precision", default="no", choices=["no", "bf16"], help="bf16 lets a GPU compute in bfloat16 (default: no)"
    )
    parse.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT")
    parse.add_argument("--stop-after", type=int, metavar="STEPS", help="stop, with a checkpoint, after so many steps")
    parse.add_argument(
        "--calibrate-only", action="store_true", help="no training: calibrate the finished checkpoint anew"
    )
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parse.add_argument("--mlruns", type=Path, default=HOME, help="MLflow's home (default: mlruns/)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    try:
        chosen = recipe(args.recipe, base=args.base, mode=args.mode)
        held_out = [f"-fold{args.fold}"] if args.fold is not None else []
        held_out += [f"-large{args.large_fold}"] if args.large_fold is not None else []
        label = "".join([chosen.name, *held_out])
        out: Path = args.out or Path("out") / "train" / label
        if not (args.resume or args.calibrate_only) and (out / CHECKPOINT).exists():
            say(f"{out} holds an unfinished or finished run: give --resume to go on with it, or another --out")
            return 2
        make_folder(out)
        processes = Processes.start(device=args.device, precision=args.precision) if together(args) else SINGLE
        with alone(out) if processes.is_first else nullcontext():
            beginning = beginning_of(args, chosen, out)
            with _run(args, label, out, processes) as run:
                return _train(args, chosen, out, beginning, run, processes)
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code


def together(args: argparse.Namespace) -> bool:
    """Whether torchrun started this process, or it is to compute on a GPU."""
    return "WORLD_SIZE" in os.environ or args.device != "cpu" or args.precision != "no"


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Holds a work folder for this training; the system lets go of it when the process ends, however it ends.

    Raises:
        UsageError: if another training works there.
    """
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another training works in {out}: wait for it, or give another --out") from error
        yield


@contextmanager
def _run(args: argparse.Namespace, label: str, out: Path, processes: Processes) -> Iterator[RunLog]:
    """The MLflow run of the first process; the others write into a store of their own that is thrown away."""
    if processes.is_first:
        with open_run(args.mlruns, "medground", label, notes=out / RUN_NOTES, say=say) as run:
            yield run
    else:
        with tempfile.TemporaryDirectory() as folder, open_run(Path(folder), "medground", label, say=say) as run:
            yield run


def _train(
    args: argparse.Namespace, chosen: Recipe, out: Path, beginning: Beginning, run: RunLog, processes: Processes
) -> int:
    vocabulary = load_vocabulary()
    started = time.monotonic()
    folds = {"fold": args.fold, "large_fold": args.large_fold}
    sources = load_sources(
        args.data,
        **folds,
        development_fraction=chosen.development_fraction,
        only=sets_of(chosen),
        cache=out.parent / "cache",
    )
    pools = training_pools(chosen, sources, out.parent / "cache", workers=args.threads)
    torch.manual_seed(chosen.seed)
    network = new_network(chosen, vocabulary)
    say(f"{count_parameters(network) / 1e6:.2f}M parameters; recipe {recipe_digest(chosen)[:12]}")
    run.parameters(flat(chosen.model_dump(mode="json")))
    take_start(network, beginning, args.start, out)
    started_from = beginning.started_from
    run.parameters({"started_from": started_from} if started_from else {})
    if processes.is_first:
        run.datasets(data_versions(chosen, sources, pools), "training")
    resume = args.resume or args.calibrate_only
    judged = any(stage.judge_every for stage in chosen.stages)
    development = development_of(chosen, sources, out.parent / "cache") if judged else None
    judge = development_judge(chosen, vocabulary, development, pools) if development else None
    with StagedLog(run, [(stage.name, stage.steps) for stage in chosen.stages]) as log:
        around = Surroundings(out, log, say, judge, processes, beginning.origin)
        trainer = Trainer(chosen, network, vocabulary, pools, around)
        done = trainer.run(resume=resume, stop_after=0 if args.calibrate_only else args.stop_after, stage=args.stage)
    processes.end()  # what follows is for the first alone
    if not processes.is_first:
        return 0
    if not done or (args.stage and args.stage < len(chosen.stages)):
        say("stopped before the end; go on with --resume")
        return 0
    network.to("cpu")
    round_as_stored(network)
    network.eval()
    development = development or development_of(chosen, sources, out.parent / "cache")
    before = beginning.known_before
    bundle, readings = fit_bundle(chosen, network, vocabulary, sources, pools, development, before=before)
    summary = {
        "recipe": chosen.model_dump(mode="json"),
        "recipe_sha256": recipe_digest(chosen),
        "started_from": started_from,
        "learned_before": beginning.learned_before,
        "held_out": beginning.held_out(folds),
        "pools": pool_counts(pools),
        "parts": {
            name: {part: len(own) for part, own in parts.items()}
            for name, parts in (("cxr", sources.chest), ("fracatlas", sources.limb), ("bccd", sources.blood))
        },
        "development_parts": development.sizes(),
        "development": development_figures(readings),
        "seconds_this_call": round(time.monotonic() - started),
        "versions": {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]},
    }
    folder: Path = args.bundle or out / "bundle"
    bundle = Bundle(**{**{name: getattr(bundle, name) for name in Bundle.__slots__}, "summary": summary})
    digest = write_outcome(bundle, out, folder)
    run.metrics({f"development/{key}": value for key, value in numbers(summary["development"]).items()})
    run.register(folder, bundle.info.name, "newest")
    say(f"bundle {folder} ({digest[:12]}), {sum(p.stat().st_size for p in folder.iterdir()) / 2**20:.1f} MiB")
    return 0


def write_outcome(bundle: Bundle, out: Path, folder: Path) -> str:
    """Writes the summary into the work folder, then the bundle: where that lies, the training is done.

    Args:
        bundle: with its summary.
        out: the work folder.
        folder: of the bundle.

    Returns:
        The SHA-256 of the bundle's manifest.

    Raises:
        UsageError: if the summary cannot be written, e.g. on a full disk; then there is no bundle, or the one before.
        BundleError: if the bundle cannot be written.
    """
    replace_file(out / "training_summary.json", json.dumps(bundle.summary, indent=1).encode())
    return save_bundle(bundle, folder)


def new_network(chosen: Recipe, vocabulary: Vocabulary) -> GroundingNetwork:
    """The recipe's network before training; random numbers come from torch's generator."""
    backbone = chosen.model.backbone
    tokenizer = (
        train_tokenizer(corpus(vocabulary), backbone.text.tokens) if isinstance(backbone, CompactConfig) else None
    )
    network = GroundingNetwork(chosen.model, build_backbone(backbone, tokenizer=tokenizer))
    channels_last(network)
    return network


def corpus(vocabulary: Vocabulary) -> list[str]:
    """What the tokenizer learns from: every phrase of the vocabulary."""
    return list(itertools.chain.from_iterable(phrases(concept) for concept in vocabulary.concepts))


def pool_counts(pools: Sequence[Pool]) -> dict[str, dict[str, int]]:
    """Boxes by pool and concept, and images."""
    out: dict[str, dict[str, int]] = {}
    for pool in pools:
        table = {"images": len(pool.items)}
        for concept in sorted({c for held in pool.items for c in held.concepts}):
            table[concept] = sum(held.concepts.count(concept) for held in pool.items)
        out[pool.name] = table
    return out


def flat(tree: object, prefix: str = "") -> dict[str, object]:
    """A nested dict as one level, keys joined by dots."""
    if isinstance(tree, dict):
        return {key: value for name, part in tree.items() for key, value in flat(part, f"{prefix}{name}.").items()}
    return {prefix.removesuffix("."): tree}


def numbers(tree: object) -> dict[str, float]:
    """The numbers of a nested dict as one level, with names MLflow accepts."""
    return {
        re.sub(r"[^\w./-]+", "_", key): float(value)
        for key, value in flat(tree).items()
        if isinstance(value, int | float)
    }


if __name__ == "__main__":
    sys.exit(main())
