"""`python -m pipelines campaign NAME`: trains and measures every arm of a comparison, and writes its table.

A campaign is killed and started again as one likes: an arm that is done is not done again, one that was under way goes
on from its checkpoint. Arms run beside each other with one thread each (`--jobs`), which uses two cores better than one
training with two threads.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medground.evaluation.files import make_folder, replace_file, writing
from medground.evaluation.scene import load_scene
from medground.model.bundle_facts import shipped_bundle_path
from medground.schema.errors import MedgroundError, UsageError
from pipelines import closer
from pipelines.arms import LARGE_LIMBS, SHIPPED, Arm, campaigns, first_of
from pipelines.campaign_report import report
from pipelines.recipes.chest import ARMS
from pipelines.scenes import is_logged
from pipelines.sources import LIMB, default_data, say
from pipelines.train import RUN_NOTES


def run_arm(arm: Arm, out: Path, data: Path, mlruns: Path, threads: int) -> bool:
    """Trains and measures an arm unless that is done; its log lies beside it. True if all went well.

    Raises:
        UsageError: if the folder or the log cannot be written.
    """
    folder = out / arm.folder
    make_folder(folder)
    common = ["--data", str(data), "--mlruns", str(mlruns), "--threads", str(threads)]
    fold = [] if arm.fold is None else ["--large-fold" if arm.name == LIMB else "--fold", str(arm.fold)]
    train = ["train", "--recipe", arm.recipe, "--out", str(folder), "--resume", *fold, *common]
    if arm.start and not (folder / "checkpoint.safetensors").is_file():
        train += ["--start", str(shipped_bundle_path() if arm.start == SHIPPED else out / arm.start / "bundle")]
    steps = [] if (folder / "bundle").is_dir() else [train]
    for look in arm.looks:
        file, answered = arm.scene_file(look, out), look.share is None and not look.plain
        if not (_is_measured(file, answered=answered) and is_logged(file, folder / RUN_NOTES)):
            own = fold if look.name == arm.name else []
            where = ["--bundle", str(folder / "bundle"), "--out", str(folder), "--train", str(folder)]
            steps.append(["measure", *look.options(), *own, *where, *common])
    for step in steps:
        say(f"{arm.folder}: {' '.join(step[:5])}")
        with writing(folder / "log.txt"), (folder / "log.txt").open("a") as log:
            done = subprocess.run([sys.executable, "-m", "pipelines", *step], stdout=log, stderr=log, check=False)
        if done.returncode:
            say(f"{arm.folder}: {step[0]} failed with exit code {done.returncode}; see {folder / 'log.txt'}")
            return False
    return True


def _is_measured(file: Path, *, answered: bool) -> bool:
    """Whether a scene lies there whole, with answers where they belong.

    One that is, but did not get into its run before it was killed, gets there by the same command, which reads no image
    anew for it; any other is made anew.
    """
    try:
        images = load_scene(file).images if file.is_file() else ()
        return any(image.answers for image in images) if answered else bool(images)
    except UsageError:
        return False


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines campaign", description=__doc__)
    parse.add_argument("name", choices=sorted(campaigns("")), help="which comparison")
    parse.add_argument("--best", default="chest-tuned", choices=sorted(ARMS), help="arm of chest-folds")
    parse.add_argument("--only", nargs="*", metavar="ARM", help="recipes to run (default: all of the campaign)")
    parse.add_argument("--jobs", type=int, default=2, help="arms side by side, one thread each (default: 2)")
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the real data sets")
    parse.add_argument("--out", type=Path, help="work folder (default: out/campaign/NAME)")
    parse.add_argument("--mlruns", type=Path, default=Path("mlruns"), help="MLflow's home (default: mlruns/)")
    parse.add_argument(
        "--peers",
        type=Path,
        nargs="*",
        default=[],
        metavar="FOLDER",
        help="what python -m benchmarks.peers left: set beside the arms, folds of a peer together",
    )
    parse.add_argument("--report", type=Path, help="also write the table here")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    arms = [arm for arm in campaigns(args.best)[args.name] if not args.only or arm.recipe in args.only]
    out: Path = args.out or Path("out") / "campaign" / args.name
    threads = 2 if len(arms) == 1 else max(1, 2 // args.jobs)

    def run(arm: Arm) -> bool:
        return run_arm(arm, out, args.data, args.mlruns, threads)

    if not arms:
        say(f"error: campaign {args.name} has no arm called {', '.join(args.only)}")
        return 2
    try:
        if not all(run_arm(first, out, args.data, args.mlruns, 2) for first in first_of(arms)):
            return 4
        with ThreadPoolExecutor(args.jobs) as pool:
            well = list(pool.map(run, arms))
        done = [arm for arm, good in zip(arms, well, strict=True) if good]
        if args.name == LARGE_LIMBS and all(well):
            bundles = [str(out / arm.folder / "bundle") for arm in arms]
            code = closer.main(["--set", LIMB, "--data", str(args.data), "--out", str(out), "--bundle", *bundles])
            if args.report and not code:
                replace_file(args.report, (out / f"{LIMB}.md").read_bytes())
            return code
        if done and args.name != LARGE_LIMBS:
            text = report(args.name, done, out, args.peers)
            for path in filter(None, (out / "report.md", args.report)):
                replace_file(path, text.encode())
            print(text)
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0 if all(well) else 4


if __name__ == "__main__":
    sys.exit(main())
