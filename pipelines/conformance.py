"""`python -m pipelines conformance`: writes the DICOM conformance statement from the tables of the receiver."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from medground.serving.dicom_receiver.conformance import conformance_statement

TARGET = Path(__file__).resolve().parents[1] / "docs" / "dicom-conformance.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job."""
    parse = argparse.ArgumentParser(prog="python -m pipelines conformance", description=__doc__)
    parse.add_argument("--write", type=Path, default=TARGET, help=f"file (default: docs/{TARGET.name})")
    path: Path = parse.parse_args(argv).write
    path.write_text(conformance_statement(), encoding="utf-8")
    print(f"wrote {path.name}")
    return 0
