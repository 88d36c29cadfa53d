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
from dataclasses import dataclass
from pathlib import Path

from medground.evaluation.scene import ENDING, Scene, load_scene
from medground.model.bundle_facts import shipped_bundle_path
from medground.schema.errors import MedgroundError
from medground.tracking import figures
from pipelines import closer
from pipelines.compare import Row, compare
from pipelines.measure import label
from pipelines.recipes.ablations import CHANGES
from pipelines.recipes.chest import ARMS
from pipelines.sources import BLOOD, CHEST, FOLDS, LARGE_FOLDS, LIMB, default_data, say

SHIPPED = "shipped bundle"
LARGE_LIMBS = "large-limbs"
STARTS = {"chest-tuned": "films"}  # arms that start from another training


@dataclass(frozen=True, slots=True)
class Arm:
    """One training and what it is measured on.

    Attributes:
        recipe: by its name.
        name: of the data set.
        fold: of the chest films, or of the large limb films; None for the published parts.
        part: that is measured; empty where training is all.
        start: what it starts from: a recipe that is trained first, or `SHIPPED`; empty for random weights.
    """

    recipe: str
    name: str
    fold: int | None
    part: str
    start: str = ""

    @property
    def folder(self) -> str:
        """Of its work, below the campaign's."""
        return self.recipe if self.fold is None else f"{self.recipe}-fold{self.fold}"


def campaigns(best: str) -> dict[str, list[Arm]]:
    """Every campaign by name.

    Args:
        best: the arm of the chest films that all five folds are done with.
    """
    return {
        "chest-arms": [Arm(name, CHEST, 0, "dev", STARTS.get(name, "")) for name in ARMS],
        "chest-folds": [Arm(best, CHEST, fold, "valid", STARTS.get(best, "")) for fold in range(FOLDS)],
        "ablations": [Arm(f"ablation-{change}", CHEST, 0, "dev") for change in CHANGES],
        "limb": [Arm("limb-tuned", LIMB, None, "valid", SHIPPED)],
        "blood": [Arm("blood", BLOOD, None, "valid")],
        LARGE_LIMBS: [Arm("limb-close", LIMB, fold, "", "phantoms") for fold in range(LARGE_FOLDS)],
    }


def first_of(arms: Sequence[Arm]) -> list[Arm]:
    """The trainings that some of the arms start from, each once."""
    names = dict.fromkeys(arm.start for arm in arms if arm.start not in ("", SHIPPED))
    return [Arm(name, arms[0].name, None, "") for name in names]


def run_arm(arm: Arm, out: Path, data: Path, mlruns: Path, threads: int) -> bool:
    """Trains and measures an arm unless that is done; its log lies beside it. True if all went well."""
    folder = out / arm.folder
    folder.mkdir(parents=True, exist_ok=True)
    common = ["--data", str(data), "--mlruns", str(mlruns), "--threads", str(threads)]
    fold = [] if arm.fold is None else ["--large-fold" if arm.name == LIMB else "--fold", str(arm.fold)]
    train = ["train", "--recipe", arm.recipe, "--out", str(folder), "--resume", *fold, *common]
    measured = ["measure", "--bundle", str(folder / "bundle"), "--set", arm.name, "--part", arm.part, *fold, *common]
    measured += ["--out", str(folder), "--train", str(folder)]
    if arm.start and not (folder / "checkpoint.safetensors").is_file():
        train += ["--start", str(shipped_bundle_path() if arm.start == SHIPPED else out / arm.start / "bundle")]
    steps = [] if (folder / "bundle").is_dir() else [train]
    steps += [] if not arm.part or scene_file(arm, out).is_file() else [measured]
    for step in steps:
        say(f"{arm.folder}: {step[0]}")
        with (folder / "log.txt").open("a") as log:
            done = subprocess.run([sys.executable, "-m", "pipelines", *step], stdout=log, stderr=log, check=False)
        if done.returncode:
            say(f"{arm.folder}: {step[0]} failed with exit code {done.returncode}; see {folder / 'log.txt'}")
            return False
    return True


def scene_file(arm: Arm, out: Path) -> Path:
    """Where the scene of an arm lies."""
    stem = label(arm.name, arm.fold, arm.part).replace(", ", "-").replace(" ", "-")
    return out / arm.folder / f"{stem}{ENDING}"


def pooled(scenes: Sequence[Scene]) -> Scene:
    """Folds as one data set; their images are different ones, and each was read by the model that never saw it."""
    first = scenes[0]
    boxes = {c: round(sum(s.training_boxes.get(c, 0) for s in scenes) / len(scenes)) for c in first.training_boxes}
    return first.model_copy(
        update={
            "system": f"{len(scenes)} models, first {first.system}",
            "data": f"{first.data.split(' fold')[0]}, {len(scenes)} folds",
            "training_boxes": boxes,
            "real_boxes": None,
            "images": tuple(image for scene in scenes for image in scene.images),
        }
    )


def table(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Means and AP@0.5 by concept as Markdown, each with its interval; differences to the first arm."""
    lines = ["| figure | n | " + " | ".join(names) + " |", "|---|--:|" + "---|" * len(names)]
    for row in rows:
        if not row.name.startswith(("ap50/", f"ap/{figures.MEAN}", f"froc/{figures.MEAN}")):
            continue
        cells = []
        for number, value in enumerate(row.values):
            cell = "-" if value is None else f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
            change = row.differences[number - 1] if number else None
            cells.append(
                cell if change is None else f"{cell} ({change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}])"
            )
        lines.append(f"| {row.name} | {row.n} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def report(name: str, arms: Sequence[Arm], out: Path) -> str:
    """The campaign's table: arms beside each other, or folds taken together."""
    scenes = [load_scene(scene_file(arm, out)) for arm in arms]
    if len({arm.fold for arm in arms}) > 1:
        scenes, names = [pooled(scenes)], [arms[0].recipe]
    else:
        names = [arm.recipe for arm in arms]
    patients = len({image.patient_id for image in scenes[0].images})
    head = f"# {name}\n\n{scenes[0].data}: {len(scenes[0].images)} images of {patients} patients; 95% intervals over "
    head += "1000 resamples of patients; differences to the first arm, paired.\n\n"
    return head + table(names, compare(scenes))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines campaign", description=__doc__)
    parse.add_argument("name", choices=sorted(campaigns("")), help="which comparison")
    parse.add_argument("--best", default="chest-all", choices=sorted(ARMS), help="arm of chest-folds")
    parse.add_argument("--only", nargs="*", metavar="ARM", help="recipes to run (default: all of the campaign)")
    parse.add_argument("--jobs", type=int, default=2, help="arms side by side, one thread each (default: 2)")
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the real data sets")
    parse.add_argument("--out", type=Path, help="work folder (default: out/campaign/NAME)")
    parse.add_argument("--mlruns", type=Path, default=Path("mlruns"), help="MLflow's home (default: mlruns/)")
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
    if not all(run_arm(first, out, args.data, args.mlruns, 2) for first in first_of(arms)):
        return 4
    with ThreadPoolExecutor(args.jobs) as pool:
        well = list(pool.map(run, arms))
    done = [arm for arm, good in zip(arms, well, strict=True) if good]
    try:
        if args.name == LARGE_LIMBS and all(well):
            bundles = [str(out / arm.folder / "bundle") for arm in arms]
            code = closer.main(["--set", LIMB, "--data", str(args.data), "--out", str(out), "--bundle", *bundles])
            if args.report and not code:
                args.report.write_text((out / f"{LIMB}.md").read_text(encoding="utf-8"), encoding="utf-8")
            return code
        if done and args.name != LARGE_LIMBS:
            text = report(args.name, done, out)
            (out / "report.md").write_text(text, encoding="utf-8")
            if args.report:
                args.report.write_text(text, encoding="utf-8")
            print(text)
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0 if all(well) else 4


if __name__ == "__main__":
    sys.exit(main())
