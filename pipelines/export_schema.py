"""`python -m pipelines export-schema`: writes the JSON Schema of `results.json`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from medground.schema.result import GroundingResult

TARGET = Path(__file__).resolve().parents[1] / "docs" / "schema" / "grounding_result_v1.schema.json"


def schema_text() -> str:
    """The schema as it is written, sorted and indented."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **GroundingResult.model_json_schema()}
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job."""
    parse = argparse.ArgumentParser(prog="python -m pipelines export-schema", description=__doc__)
    parse.add_argument("--write", type=Path, default=TARGET, help=f"file (default: docs/schema/{TARGET.name})")
    path: Path = parse.parse_args(argv).write
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(schema_text(), encoding="utf-8")
    print(f"wrote {path.name}")
    return 0
