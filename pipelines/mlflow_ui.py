"""`python -m pipelines mlflow-ui`: opens MLflow with the shipped model's runs, also in a fresh clone.

The shipped bundle's training summary, the committed evaluations and the committed runs are brought into `mlruns/` once;
then MLflow's own interface is started on the loopback address. An evaluation whose scene is in the card of the bundle
gets every figure with its interval, the scene and its curves, as after a training; others get what their report gives.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from medground.cards.evidence import FOLDER, SCENES
from medground.cards.layout import card_beside
from medground.evaluation.report import EvaluationReport
from medground.evaluation.scene import ENDING as SCENE_ENDING
from medground.evaluation.scene import MOST_BYTES, RARE_BELOW, unpacked
from medground.model.bundle_facts import shipped_bundle_path
from medground.schema.errors import BundleMissingError, MedgroundError, UsageError
from medground.tracking import figures
from medground.tracking.figures import Figure
from medground.tracking.kept import finished_run
from medground.tracking.runs import open_run
from medground.tracking.store import store_uri
from medground.tracking.summary import ENDING, bring_in
from pipelines.compare import EXPERIMENT, HOME
from pipelines.export_runs import RUNS
from pipelines.scenes import figure, log_scene
from pipelines.sources import say
from pipelines.train import flat, numbers

TAG = "medground.shipped"
EVALUATIONS = Path(__file__).resolve().parents[1] / "docs" / "evaluation"
LOOPBACK = "127.0.0.1"


def report_figures(report: EvaluationReport) -> Iterator[Figure]:
    """The figures of a committed report; what it gives without an interval stays without one."""
    for name, mean in ((figures.ap50, report.mean_ap50), (figures.ap, report.mean_ap50_95)):
        if mean:
            yield figure(name(figures.MEAN), mean)
    for row in report.concepts:
        named = [(figures.ap50, row.ap50), (figures.ap, row.ap50_95)]
        named += [(figures.ap50_rare, row.ap50)] if row.training_boxes < RARE_BELOW else []
        for name, interval in named:
            if interval:
                yield figure(name(row.concept), interval)
        if row.false_on_normal:
            yield figure(figures.false_on_normal(row.concept), row.false_on_normal)
        if row.froc:
            yield Figure(name=figures.froc(row.concept), value=row.froc.mean_sensitivity, n=row.froc.n_boxes)
        if row.verdicts and row.verdicts.calibration:
            fit = row.verdicts.calibration
            yield Figure(name=figures.ece(row.concept), value=fit.ece, n=fit.n)
            if row.verdicts.auroc is not None:
                yield Figure(name=figures.auroc(row.concept), value=row.verdicts.auroc, n=fit.n)
    if report.verdicts:
        if report.verdicts.calibration:
            fit = report.verdicts.calibration
            yield Figure(name=figures.ece(figures.ALL), value=fit.ece, n=fit.n)
            if report.verdicts.auroc is not None:
                yield Figure(name=figures.auroc(figures.ALL), value=report.verdicts.auroc, n=fit.n)
        absent = report.verdicts.absent
        if absent.supported:
            yield Figure(name=figures.ABSENT_ERROR, value=absent.found / absent.supported, n=absent.supported)


def import_shipped(home: Path, *, bundle: Path | None = None, evaluations: Path = EVALUATIONS) -> str:
    """Brings the shipped bundle, its summary and its evaluations into the store, unless they are there.

    Args:
        home: the `mlruns` folder.
        bundle: its folder; None is the shipped one.
        evaluations: folder of the committed `*.json` reports.

    Returns:
        The id of the run.

    Raises:
        BundleMissingError: if the bundle has no training summary or manifest.
        UsageError: if the store cannot be opened, or a report not be read.
    """
    folder = bundle or shipped_bundle_path()
    manifest, summary = folder / "manifest.json", folder / "training_summary.json"
    for path in (manifest, summary):
        if not path.is_file():
            raise BundleMissingError(f"{path} is missing; check the bundle out again")
    reports = sorted(evaluations.glob("*.json"))
    kept = card_beside(folder) / FOLDER / SCENES
    scenes = {path.stem: file for path in reports if (file := kept / f"{path.stem}{SCENE_ENDING}").is_file()}
    sources = (manifest, summary, *reports, *scenes.values())
    whole = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    known = finished_run(home, EXPERIMENT, TAG, whole)
    if known:
        return known
    read = [(path, _report(path)) for path in reports]
    told = json.loads(summary.read_bytes())
    about = json.loads(manifest.read_bytes())
    with open_run(home, EXPERIMENT, f"shipped {about['name']} {about['version']}", say=say) as run:
        run.tags({TAG: whole})
        run.parameters(flat(told.get("recipe", {})))
        run.parameters({"recipe_sha256": told.get("recipe_sha256", ""), **flat(told.get("parts", {}), "data/")})
        run.metrics({f"development/{key}": value for key, value in numbers(told.get("development", {})).items()})
        for path, report in read:
            scene = _scene_of(report, scenes.get(path.stem))
            with run.child(f"evaluation {path.stem}", kind="evaluation") as child:
                child.tags({TAG: whole})
                child.parameters({"system": report.system, "data": report.data, "resamples": report.resamples})
                child.artifact(path)
                if scene is None:
                    child.figures(report_figures(report))
            if scene is not None:
                say(f"{report.data}: every figure with its interval, from the scene in the card (seconds)")
                log_scene(run, path.stem, scene)
        run.register(folder, about["name"], "shipped")
        return run.run_id


def _scene_of(report: EvaluationReport, file: Path | None) -> Path | None:
    """The scene file of a report, unless it is of another system or of other data.

    Raises:
        UsageError: if it is no scene.
    """
    if file is None:
        return None
    try:
        told = json.loads(unpacked(file.read_bytes(), MOST_BYTES))
        return file if (told["system"], told["data"]) == (report.system, report.data) else None
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{file} is no scene; check the card of the bundle out again") from error


def _report(path: Path) -> EvaluationReport:
    try:
        return EvaluationReport.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is no evaluation report; make it anew by python -m pipelines evaluate") from error


def server_command(home: Path, port: int) -> list[str]:
    """The command line that starts MLflow's interface on the loopback address."""
    options = ["--backend-store-uri", store_uri(home), "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "mlflow", "ui", *options]


def is_free(port: int) -> bool:
    """Whether nothing listens on the port of the loopback address."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines mlflow-ui", description=__doc__)
    parse.add_argument("--mlruns", type=Path, default=HOME, help="MLflow's home (default: mlruns/)")
    parse.add_argument("--port", type=int, default=5000, help="of the loopback address (default: 5000)")
    parse.add_argument("--import-only", action="store_true", help="bring the shipped runs in, and start nothing")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    try:
        run_id = import_shipped(args.mlruns)
        for path in sorted(RUNS.glob(f"*{ENDING}")):
            bring_in(path, args.mlruns, EXPERIMENT, say=say, note=say)
        say(f"the shipped model is run {run_id} in {args.mlruns}")
        if args.import_only:
            return 0
        if not is_free(args.port):
            raise UsageError(f"port {args.port} is taken; give another: make mlflow PORT=5001")
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    say(f"http://{LOOPBACK}:{args.port} until Ctrl-C")
    try:
        return subprocess.run(server_command(args.mlruns, args.port), check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
