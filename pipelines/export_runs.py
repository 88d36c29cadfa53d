"""`python -m pipelines export-runs NAME...`: writes runs of MLflow as small files that are committed.

`make mlflow` brings them into the store of a fresh clone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from medground.evaluation.files import make_folder, replace_file
from medground.schema.errors import MedgroundError
from medground.tracking.summary import ENDING, summarise
from pipelines.compare import EXPERIMENT, HOME
from pipelines.sources import say

RUNS = Path(__file__).resolve().parents[1] / "docs" / "runs"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines export-runs", description=__doc__)
    parse.add_argument("names", nargs="+", metavar="NAME", help="of parent runs; of several so named the newest")
    parse.add_argument("--mlruns", type=Path, default=HOME, help="MLflow's home (default: mlruns/)")
    parse.add_argument("--out", type=Path, default=RUNS, help="folder of the summaries (default: docs/runs)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    try:
        for name in args.names:
            summary = summarise(args.mlruns, EXPERIMENT, name)
            make_folder(args.out)
            path = args.out / f"{name}{ENDING}"
            replace_file(path, f"{summary.model_dump_json(indent=None)}\n".encode())
            say(f"{path}: {len(summary.children)} children, {path.stat().st_size / 1024:.0f} KiB")
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
