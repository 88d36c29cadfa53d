"""`python -m apps.api --config service.toml`: the same process as `medground serve`, for containers and supervisors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of
from medground.cli.serve import Options, run_serve


def main(
    config: Annotated[Path | None, typer.Option(help="Config file (TOML); see docs/service.md.")] = None,
    role: Annotated[str, typer.Option(help="all, api or worker: what this process does.")] = "all",
) -> None:
    """Answer questions over HTTP and DICOM until stopped."""
    options = Options(config=config, state=None, port=None, dicom_port=None, database=None, role=role)
    raise typer.Exit(exit_code_of(lambda: run_serve(options)))


if __name__ == "__main__":
    typer.run(main)
