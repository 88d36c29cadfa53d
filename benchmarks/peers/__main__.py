r"""Trains another detector under the conditions of ours, and writes what it finds as a scene.

  conv     a plain dense convolutional detector of our size: pyramid, sigmoid scores, box sides as distributions
  rtdetr   RT-DETRv2 of transformers, random weights, half the width of its smallest published model
  dfine    D-FINE of transformers, random weights, the widths of its smallest published model

Images are kept, seen in views, and measured in the frame of our own recipe for the data set. All see the same samples
in the same order, for as many steps as you say. With several --rates each is tried for --trial-steps steps, and the one
that finds most on the development part is taken; try the same number for every system.

  python -m benchmarks.peers --peer conv --data ../shared/data --set fracatlas --steps 4000 \
      --rates 3e-4,1e-3 --out out/peers/conv
  python -m pipelines campaign limb --peers out/peers/conv

--out then holds checkpoint.safetensors, plan.json, a folder for each trial, and PART.scene.json.gz, PART.json and
PART.md for each --part. After a kill the same command with --resume goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.peers.dense_detector import conv
from benchmarks.peers.measure import look
from benchmarks.peers.peer import Peer, Size
from benchmarks.peers.pipeline_data import PipelineData
from benchmarks.peers.train import PeerData, Plan, built, choose_rate, fit
from benchmarks.peers.transformers_detector import dfine, rtdetr
from medground.data.splits import DEV, VALID
from medground.evaluation.files import make_folder, replace_file
from medground.schema.errors import MedgroundError, UsageError
from pipelines.allocator import keep_freed_memory
from pipelines.evaluate import write_scene
from pipelines.sources import BLOOD, CHEST, LIMB, default_data, say

PEERS: dict[str, Callable[[int, Size], Peer]] = {"conv": conv, "rtdetr": rtdetr, "dfine": dfine}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parse.add_argument("--peer", choices=list(PEERS), required=True, help="which system")
    parse.add_argument("--set", choices=[LIMB, CHEST, BLOOD], required=True, help="which data set")
    parse.add_argument(
        "--data", type=Path, default=default_data(), help="folder of the data sets (default: %(default)s)"
    )
    parse.add_argument("--fold", type=int, help="fold that is measured (default: the published parts)")
    parse.add_argument("--steps", type=int, default=4000, help="optimiser steps (default: %(default)s)")
    parse.add_argument("--batch", type=int, default=8, help="images of a step (default: %(default)s)")
    parse.add_argument(
        "--size", type=int, default=256, help="side of the views of a step, pixels (default: %(default)s)"
    )
    parse.add_argument("--rates", type=_rates, default=(1e-3,), help="learning rates, by commas (default: 1e-3)")
    parse.add_argument("--trial-steps", type=int, help="length of a trial of a rate (default: a fifth of --steps)")
    parse.add_argument("--seed", type=int, default=0, help="of weights and samples (default: %(default)s)")
    parse.add_argument("--part", action="append", choices=[DEV, VALID], help="what to measure (default: valid)")
    parse.add_argument("--model-size", type=Size, choices=list(Size), default=Size.SMALL, help="tiny is for tests")
    parse.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parse.add_argument("--resume", action="store_true", help="go on with what --out holds")
    parse.add_argument("--out", type=Path, required=True, help="folder of checkpoint and scenes")
    return parse


def _rates(text: str) -> tuple[float, ...]:
    return tuple(dict.fromkeys(float(rate) for rate in text.split(",")))


def run(args: argparse.Namespace, data: PeerData) -> None:
    """Chooses the rate, trains, and measures; see `parser`."""
    build: Callable[[int, Size], Peer] = PEERS[args.peer]
    name = args.set if args.fold is None else f"{args.set} fold {args.fold}"
    plan = Plan(
        peer=args.peer,
        size=args.model_size,
        data=name,
        concepts=tuple(data.concepts),
        view_px=args.size,
        frame_px=data.frame_px,
        batch=args.batch,
        steps=args.steps,
        learning_rate=args.rates[0],
        seed=args.seed,
    )
    trial_steps = args.trial_steps or max(1, args.steps // 5)
    rate = choose_rate(build, plan, args.rates, data, args.out, say, trial_steps=trial_steps, resume=args.resume)
    plan = plan.model_copy(update={"learning_rate": rate})
    make_folder(args.out)
    replace_file(args.out / "plan.json", f"{plan.model_dump_json(indent=1)}\n".encode())
    peer = built(build, plan)
    count = sum(parameter.numel() for parameter in peer.parameters())
    say(f"{args.peer}: {count / 1e6:.2f} million parameters, rate {rate:g}, {args.steps} steps of {args.batch} images")
    fit(peer, plan, data, args.out, say, resume=args.resume)
    system = f"{args.peer} {args.model_size} ({plan.digest()[:12]})"
    for part in args.part or [VALID]:
        scene = look(peer, data.images(part), data, view_px=args.size, system=system, name=f"{name}, {part} part")
        write_scene(scene, args.out / part)


def main(argv: Sequence[str] | None = None, data: PeerData | None = None) -> int:
    """Runs the benchmark; `data` stands in for the data sets on disk."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    try:
        if data is None:
            if args.fold is not None and args.set != CHEST:
                raise UsageError(f"--fold is of {CHEST}; {args.set} has published parts")
            data = PipelineData.load(
                args.set, args.data, fold=args.fold, size_px=args.size, batch=args.batch, seed=args.seed
            )
        run(args, data)
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    except FloatingPointError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
