"""`python -m pipelines compare RUN...`: one page of several runs on the same images, rare findings first.

A RUN is a scene file of `python -m pipelines evaluate`, a folder with such files, or a run in MLflow by id or name.
Differences are to the first run, with 95% intervals over resamples of patients, the same for both runs. A run that kept
figures but no scene (one that `make mlflow` brought in) is set beside the others by its figures alone.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from medground.cards.comparison import aligned, why_other_images
from medground.evaluation.bootstrap import Interval, bootstrap_by_patient
from medground.evaluation.detection import ImageTruth, Statistic
from medground.evaluation.files import make_folder, replace_file
from medground.evaluation.resampled import difference
from medground.evaluation.scene import ENDING, RARE_BELOW, Scene, load_scene
from medground.schema.errors import MedgroundError, UsageError
from medground.tracking.figures import ap50
from medground.tracking.kept import find_evaluations
from medground.tracking.runs import find_artifacts
from pipelines.scenes import figures_of, statistics_of
from pipelines.side_by_side import (
    Measured,
    difference_cell,
    of_evaluation,
    of_scene,
    section,
    shade,
    together,
    why_unpaired,
    words,
)
from pipelines.sources import say

HOME = Path(__file__).resolve().parents[1] / "mlruns"
EXPERIMENT = "medground"
STYLE = (
    "body{font:15px/1.4 sans-serif;max-width:75em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;border-bottom:1px solid #ccc;text-align:right}td:first-child,th:first-child"
    "{text-align:left}.up{color:#00629b;font-weight:bold}.down{color:#b3261e;font-weight:bold}.rare{background:#f3f3ea}"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: n behind it, of each run its interval, and of each run but the first its difference to the first."""

    name: str
    n: int
    values: tuple[Interval | None, ...]
    differences: tuple[Interval | None, ...]


def find_scenes(run: str, home: Path) -> dict[str, Scene]:
    """The scenes of a run by data set.

    Raises:
        UsageError: if there is none, or two of one data set.
    """
    path = Path(run)
    if path.is_dir():
        files = sorted(path.rglob(f"*{ENDING}"))
    else:
        files = [path] if path.is_file() else find_artifacts(home, EXPERIMENT, run, ENDING)
    if not files:
        raise UsageError(f"{run!r} holds no scene (*{ENDING}); make one by python -m pipelines evaluate")
    scenes: dict[str, Scene] = {}
    for scene in map(load_scene, files):
        if scene.data in scenes:
            raise UsageError(f"{run!r} holds two scenes of {scene.data}; name the file instead")
        scenes[scene.data] = scene
    return scenes


def find_measured(run: str, home: Path) -> list[Measured]:
    """What a run measured: its scenes, or the figures that were logged where it kept none.

    Raises:
        UsageError: if it holds neither.
    """
    if Path(run).exists() or find_artifacts(home, EXPERIMENT, run, ENDING):
        return [of_scene(scene) for scene in find_scenes(run, home).values()]
    logged = [of_evaluation(kept) for kept in find_evaluations(home, EXPERIMENT, run)]
    if not logged:
        raise UsageError(
            f"{run!r} holds no scene (*{ENDING}) and no logged figures; make one by python -m pipelines evaluate"
        )
    return logged


def compare(scenes: Sequence[Scene], *, resamples: int = 1000, seed: int = 0) -> list[Row]:
    """Figures of several systems on the same images, rare findings first.

    What is measured, what is rare, and the sizes of the images are settled by the first scene. Images that have other
    names, as those of patients on a card have, are known by their place, size, truth and patient.

    Args:
        scenes: at least one.
        resamples: of patients.
        seed: of the resamples.

    Raises:
        UsageError: if the scenes have other images or truths.
    """
    first = scenes[0]
    known = _truths(first)
    scenes = [first, *(_under_names_of(first, scene) for scene in scenes[1:])]
    for scene in scenes[1:]:
        if _truths(scene) != known:
            raise UsageError(
                f"{first.system} and {scene.system} were measured on other images or truths of {first.data}; "
                "evaluate both on the same"
            )
    sizes = {image.image_id: {"columns": image.columns, "rows": image.rows} for image in first.images}
    # In one order: equal scores are ranked by it.
    ordered = [
        s.model_copy(
            update={
                "training_boxes": first.training_boxes,
                "real_boxes": first.real_boxes,
                "images": tuple(
                    image.model_copy(update=sizes[image.image_id])
                    for image in sorted(s.images, key=lambda image: image.image_id)
                ),
            }
        )
        for s in scenes
    ]
    images = ordered[0].truth()
    tables = [{name: (statistic, about, n) for name, statistic, about, n in statistics_of(s)} for s in ordered]
    rows = []
    for name, (statistic, about, n) in tables[0].items():

        def interval(of: Statistic, concepts: frozenset[str] = about) -> Interval | None:
            return bootstrap_by_patient(of, images, concepts, n=resamples, seed=seed)

        others = [table[name][0] for table in tables[1:]]
        values = tuple(interval(each) for each in (statistic, *others))
        differences = tuple(interval(difference(statistic, other)) for other in others)
        if values[0] is not None:
            rows.append(Row(name, values[0].n_boxes if n is None else n, values, differences))
    rare = [row for row in rows if row.name.startswith("ap50/rare/")]
    again = {ap50(concept) for concept in first.rare()}
    return rare + [row for row in rows if row not in rare and row.name not in again]


def _under_names_of(first: Scene, scene: Scene) -> Scene:
    """The scene with the image names of the first, if it has others and is of the same images."""
    names = [{image.image_id for image in each.images} for each in (first, scene)]
    return scene if names[0] == names[1] or why_other_images(first, scene) else aligned(first, scene)


def _truths(scene: Scene) -> dict[str, ImageTruth]:
    """The labels by image, without the image's size: older scene files do not hold it."""
    return {image.image_id: replace(image, columns_rows_px=None) for image in scene.truth()}


def page(labels: Sequence[str], sections: Sequence[str], how: str) -> str:
    """The comparison as one HTML page that needs no other file.

    Args:
        labels: of the runs.
        sections: HTML, one for each data set.
        how: the intervals came about, in words.
    """
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Runs compared</title><style>{STYLE}</style>",
        "<h1>Runs compared</h1><ol>",
        *(f"<li>{html.escape(label)}</li>" for label in labels),
        f"</ol><p>In brackets 95% intervals over {how}. A "
        "difference is to run 1, coloured where its interval leaves out zero (of ece, absent_error and false_on_normal "
        "less is better). "
        f"Shaded: findings with fewer than {RARE_BELOW} real boxes in the training of run 1 (in older files: boxes).",
        "</p>",
        *sections,
    ]
    return "\n".join(parts) + "\n</html>\n"


def _paired_section(scene: Scene, rows: Sequence[Row], runs: int) -> str:
    """The figures of runs that all kept their scenes, with paired differences."""
    patients = len({image.patient_id for image in scene.images})
    parts = [f"<h2>{html.escape(scene.data)}</h2><p>{len(scene.images)} images of {patients} patients.</p>"]
    if runs > 1:
        parts.append(f'<img alt="Differences in AP@0.5 to run 1" src="data:image/png;base64,{_plot(rows)}">')
    heads = ["figure", "n", "run 1"]
    heads += [head for k in range(2, runs + 1) for head in (f"run {k}", f"run {k} - run 1")]
    parts.append(f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>")
    return "\n".join([*parts, *map(_row, rows), "</table>"])


def _unpaired_section(labels: Sequence[str], measured: Sequence[Measured], resamples: int) -> str:
    """The figures of runs of which some kept no scene; those that did have paired differences if run 1 is one."""
    kept = [one.scene is not None for one in measured]
    scenes = [one.scene for one in measured if one.scene is not None]
    found = [
        {f.name: f for f in figures_of(one.scene, resamples=resamples)} if one.scene else one.figures
        for one in measured
    ]
    differences: dict[str, list[Interval | None]] = {}
    if kept[0] and len(scenes) > 1:
        places = list(compress(range(len(measured) - 1), kept[1:]))
        for row in compare(scenes, resamples=resamples):
            spread: list[Interval | None] = [None] * (len(measured) - 1)
            for place, change in zip(places, row.differences, strict=True):
                spread[place] = change
            differences[row.name] = spread
    return section(measured, found, differences, why_unpaired(labels, measured))


def _section(labels: Sequence[str], measured: Sequence[Measured], resamples: int) -> str:
    scenes = [one.scene for one in measured if one.scene is not None]
    if len(scenes) < len(measured):
        return _unpaired_section(labels, measured, resamples)
    return _paired_section(scenes[0], compare(scenes, resamples=resamples), len(scenes))


def _row(row: Row) -> str:
    cells = [f"<td>{row.name}</td><td>{row.n}</td><td>{words(row.values[0])}</td>"]
    for value, change in zip(row.values[1:], row.differences, strict=True):
        cells.append(f"<td>{words(value)}</td>{difference_cell(change)}")
    return f"<tr{shade(row.name)}>{''.join(cells)}</tr>"


def _plot(rows: Sequence[Row]) -> str:
    """A forest plot of the differences in AP@0.5, as base64 PNG."""
    shown = [row for row in rows if row.name.startswith("ap50/")][::-1]
    canvas = Canvas(figsize=(8, 1 + 0.25 * len(shown)), layout="constrained")
    axes = canvas.subplots()
    runs = len(rows[0].differences) if rows else 0
    for k in range(runs):
        points = [(y, d) for y, row in enumerate(shown) if (d := row.differences[k]) is not None]
        heights = [y + 0.5 * ((k + 1) / (runs + 1) - 0.5) for y, _ in points]
        axes.hlines(heights, [d.low for _, d in points], [d.high for _, d in points], colors=f"C{k}")
        axes.plot([d.value for _, d in points], heights, "o", color=f"C{k}", label=f"run {k + 2} - run 1")
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [row.name for row in shown])
    axes.set_xlabel("difference in AP@0.5, 95% interval")
    axes.legend()
    held = io.BytesIO()
    canvas.savefig(held, format="png", dpi=100)
    return base64.b64encode(held.getvalue()).decode()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines compare", description=__doc__)
    parse.add_argument("runs", nargs="+", metavar="RUN", help="scene file, folder of scene files, or run id or name")
    parse.add_argument("--out", type=Path, default=Path("out/compare.html"), help="the page to write")
    parse.add_argument("--resamples", type=int, default=1000, help="of patients (default: 1000)")
    parse.add_argument("--mlruns", type=Path, default=HOME, help="MLflow's home (default: mlruns/)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    try:
        found = [find_measured(run, args.mlruns) for run in args.runs]
        shared = together(found)
        if not shared:
            sets = "; ".join(", ".join(sorted({one.data for one in run})) for run in found)
            raise UsageError(f"the runs share no data set, they were measured on: {sets}")
        bare = [measured for measured in shared if any(one.scene is None for one in measured)]
        if bare:
            say(why_unpaired(args.runs, bare[0]))
        sections = [_section(args.runs, measured, args.resamples) for measured in shared]
        labels = [f"{run}: {one.system}" for run, one in zip(args.runs, shared[0], strict=True)]
        how = f"{args.resamples} resamples of patients, the same for all runs"
        if len(bare) == len(shared):
            how = "resamples of patients, each run's as they were logged or made by themselves"
        make_folder(args.out.parent)
        replace_file(args.out, page(labels, sections, how).encode())
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
